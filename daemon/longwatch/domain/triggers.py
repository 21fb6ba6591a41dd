"""When a job is due: what people write ("5 minutes after the open") as values, and the instants those mean.

Called by engine/schedule.py, and by configuration checks for `parse_trigger`. All of it is pure: a function of the
trigger, the sessions handed in and the zone rules installed. Conventions, each held by a test:

* A session's own open and close count, so a half day's "15 minutes before the close" is before its early close.
* "every 5 min" falls on multiples of the interval since 1970-01-01 00:00 UTC; "during the session" counts from the
  open, the open included and the close not.
* A local time that does not exist (clocks go forward) is due at the first instant after the gap; one that occurs twice
  (clocks go back) is due at its first occurrence only. Local times are due every calendar day.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from enum import Enum
from typing import assert_never
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from longwatch.domain.sessions import Session
from longwatch.errors import ConfigError


class Anchor(Enum):
    """The end of a session a trigger counts from."""

    OPEN = "open"
    CLOSE = "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTrigger:
    """Due once a session, `offset` after (negative: before) its open or close."""

    anchor: Anchor
    offset: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class EveryTrigger:
    """Due again and again, `every` apart; with `in_session` only in sessions, counted from their open."""

    every: timedelta
    in_session: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTimeTrigger:
    """Due once a calendar day, at a wall-clock time of an IANA zone."""

    at: time
    zone: str


Trigger = SessionTrigger | EveryTrigger | LocalTimeTrigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """One instant (aware, UTC) at which a trigger is due, and the date of the session it belongs to, if any.

    A session trigger's run belongs to its session, a local time's to the session of that date at the exchange, an
    interval's to the session open at the instant.
    """

    at: datetime
    session: date | None


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)


def next_run(trigger: Trigger, after: datetime, sessions: Sequence[Session]) -> Due | None:
    """The first run strictly later than `after` (UTC); None when the sessions known don't reach that far.

    `sessions` are in order of time and do not overlap.
    """
    match trigger:
        case SessionTrigger():
            index = bisect_right(sessions, after - trigger.offset, key=_instant_of(trigger.anchor))
            return _due_in(trigger, sessions[index]) if index < len(sessions) else None
        case EveryTrigger(in_session=True):
            return _next_during_session(trigger, after, sessions)
        case EveryTrigger():
            return _due_at(EPOCH + ((after - EPOCH) // trigger.every + 1) * trigger.every, sessions)
        case LocalTimeTrigger():
            return min((due for due in _around(trigger, after, sessions) if due.at > after), key=lambda due: due.at)
        case _:
            assert_never(trigger)


def last_run(trigger: Trigger, until: datetime, sessions: Sequence[Session]) -> Due | None:
    """The last run not later than `until` (UTC); None when the sessions known hold none."""
    match trigger:
        case SessionTrigger():
            index = bisect_right(sessions, until - trigger.offset, key=_instant_of(trigger.anchor)) - 1
            return _due_in(trigger, sessions[index]) if index >= 0 else None
        case EveryTrigger(in_session=True):
            return _last_during_session(trigger, until, sessions)
        case EveryTrigger():
            return _due_at(EPOCH + (until - EPOCH) // trigger.every * trigger.every, sessions)
        case LocalTimeTrigger():
            return max((due for due in _around(trigger, until, sessions) if due.at <= until), key=lambda due: due.at)
        case _:
            assert_never(trigger)


def _instant_of(anchor: Anchor) -> Callable[[Session], datetime]:
    return _open_at if anchor is Anchor.OPEN else _close_at


def _open_at(session: Session) -> datetime:
    return session.open_at


def _close_at(session: Session) -> datetime:
    return session.close_at


def _due_in(trigger: SessionTrigger, session: Session) -> Due:
    return Due(at=_instant_of(trigger.anchor)(session) + trigger.offset, session=session.date)


def _due_at(at: datetime, sessions: Sequence[Session]) -> Due:
    index = bisect_right(sessions, at, key=_open_at) - 1
    is_in = index >= 0 and sessions[index].is_open(at)
    return Due(at=at, session=sessions[index].date if is_in else None)


def _next_during_session(trigger: EveryTrigger, after: datetime, sessions: Sequence[Session]) -> Due | None:
    first = max(bisect_right(sessions, after, key=_open_at) - 1, 0)
    for session in sessions[first : first + 2]:
        steps = max((after - session.open_at) // trigger.every + 1, 0)
        at = session.open_at + steps * trigger.every
        if session.is_open(at):
            return Due(at=at, session=session.date)
    return None


def _last_during_session(trigger: EveryTrigger, until: datetime, sessions: Sequence[Session]) -> Due | None:
    index = bisect_right(sessions, until, key=_open_at) - 1
    if index < 0:
        return None
    session = sessions[index]
    steps = (min(until, session.close_at - INSTANT) - session.open_at) // trigger.every
    return Due(at=session.open_at + steps * trigger.every, session=session.date)


def _around(trigger: LocalTimeTrigger, at: datetime, sessions: Sequence[Session]) -> Iterator[Due]:
    """The runs of the local days round `at`; two to each side, since a zone may have skipped a day."""
    zone = ZoneInfo(trigger.zone)
    today = at.astimezone(zone).date()
    for days in range(-2, 3):
        day = today + timedelta(days=days)
        index = bisect_left(sessions, day, key=lambda session: session.date)
        is_session = index < len(sessions) and sessions[index].date == day
        yield Due(at=_local_instant(day, trigger.at, zone), session=day if is_session else None)


def _local_instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The first instant at which `zone`'s clocks show `at` or, where they skip it, the first after the gap."""
    local = datetime.combine(day, at, tzinfo=zone)
    instant = local.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return instant
    # In a gap PEP 495 reads fold 1 with the later offset, which lies before the change, and fold 0 after it.
    return _change_between(local.replace(fold=1).astimezone(UTC), instant, zone)


def _change_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The instant, to the second, at which `zone`'s offset changes."""
    old = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == old:
            before = middle
        else:
            after = middle
    return after


UNITS = {
    unit: length
    for units, length in (
        ("s sec secs second seconds", timedelta(seconds=1)),
        ("min mins minute minutes", timedelta(minutes=1)),
        ("h hour hours", timedelta(hours=1)),
    )
    for unit in units.split()
}
SHORTEST_EVERY = timedelta(seconds=1)
LONGEST = timedelta(days=1)
# Abbreviations are refused: some are fixed offsets, an hour wrong in summer, and some mean several places.
ABBREVIATIONS = {
    "EST": "America/New_York",
    "EDT": "America/New_York",
    "ET": "America/New_York",
    "CST": "America/Chicago",
    "MST": "America/Denver",
    "PST": "America/Los_Angeles",
    "JST": "Asia/Tokyo",
    "HST": "Pacific/Honolulu",
    "CET": "Europe/Berlin",
    "MET": "Europe/Berlin",
    "EET": "Europe/Athens",
    "WET": "Europe/Lisbon",
}
EXAMPLES = (
    '"5 minutes after the open", "15 minutes before the close", "at the open", "every 30 s", '
    '"every 5 min during the session" or "16:00 America/New_York"'
)


def parse_trigger(text: str) -> Trigger:
    """Read a trigger as people write it. Raises ConfigError: one sentence with what is wrong and what to write."""
    words = " ".join(text.split())
    for pattern, read in _FORMS:
        if found := pattern.fullmatch(words):
            return read(text, found)
    raise ConfigError(f'The trigger "{text}" is not understood; write for example {EXAMPLES}.')


def describe(trigger: Trigger) -> str:
    """The trigger in words; `parse_trigger` reads them back as the same trigger."""
    match trigger:
        case SessionTrigger():
            side = "before" if trigger.offset < timedelta(0) else "after"
            offset = f"{_in_words(abs(trigger.offset))} {side}" if trigger.offset else "at"
            return f"{offset} the {trigger.anchor.value}"
        case EveryTrigger():
            return f"every {_in_words(trigger.every)}{' during the session' if trigger.in_session else ''}"
        case LocalTimeTrigger():
            return f"{trigger.at.isoformat('seconds' if trigger.at.second else 'minutes')} {trigger.zone}"
        case _:
            assert_never(trigger)


def _read_at_anchor(text: str, found: re.Match[str]) -> Trigger:
    return SessionTrigger(anchor=Anchor(found[1].lower()), offset=timedelta(0))


def _read_offset(text: str, found: re.Match[str]) -> Trigger:
    length = _length(text, found[1], found[2])
    if length > LONGEST:
        raise ConfigError(f'The trigger "{text}" is more than a day from the {found[4]}; write at most 24 hours.')
    return SessionTrigger(anchor=Anchor(found[4].lower()), offset=-length if found[3].lower() == "before" else length)


def _read_every(text: str, found: re.Match[str]) -> Trigger:
    every = _length(text, found[1] or "1", found[2])
    if not SHORTEST_EVERY <= every <= LONGEST:
        raise ConfigError(f'The trigger "{text}" is out of range; write an interval from 1 s to 24 h.')
    return EveryTrigger(every=every, in_session=found[3] is not None)


def _read_local_time(text: str, found: re.Match[str]) -> Trigger:
    try:
        at = time(int(found[1]), int(found[2]), int(found[3] or 0))
    except ValueError:
        raise ConfigError(
            f'The trigger "{text}" has no time of day; write hours from 00 to 23 and minutes from 00 to 59.'
        ) from None
    return LocalTimeTrigger(at=at, zone=_zone_name(text, found[4]))


_AMOUNT = r"(\d+(?:\.\d+)?) ?([a-z]+)"
_FORMS: tuple[tuple[re.Pattern[str], Callable[[str, re.Match[str]], Trigger]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), read)
    for pattern, read in (
        (r"at the (open|close)", _read_at_anchor),
        (rf"{_AMOUNT} (before|after) the (open|close)", _read_offset),
        (r"every (?:(\d+(?:\.\d+)?) ?)?([a-z]+)( during the session)?", _read_every),
        (r"(\d{1,2}):(\d{2})(?::(\d{2}))? (\S+)", _read_local_time),
    )
)


def _length(text: str, number: str, unit: str) -> timedelta:
    length = UNITS.get(unit.lower())
    if length is None:
        raise ConfigError(f'The trigger "{text}" has the unknown unit "{unit}"; write s, min or h.')
    try:
        return float(number) * length
    except OverflowError:
        raise ConfigError(f'The trigger "{text}" is out of range; write at most 24 hours.') from None


def _zone_name(text: str, name: str) -> str:
    if name in ABBREVIATIONS:
        raise ConfigError(
            f'The trigger "{text}" names its zone by the ambiguous "{name}"; write the place, as {ABBREVIATIONS[name]}.'
        )
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = get_close_matches(name, available_timezones(), n=1, cutoff=0.0)
        raise ConfigError(
            f'The trigger "{text}" has the unknown time zone "{name}"; the nearest name known is {near[0]}.'
        ) from None


def _in_words(length: timedelta) -> str:
    for unit, size in (("h", timedelta(hours=1)), ("min", timedelta(minutes=1)), ("s", timedelta(seconds=1))):
        if not length % size:
            return f"{length // size} {unit}"
    return f"{length.total_seconds():.6f}".rstrip("0") + " s"
