"""Fault plans drawn from a seed: what real nights and weekends bring, and trouble in the middle of trading; simulate's.

Nights are as gateway.md's sources tell them: IB's servers reset between 00:15 and 01:45 in New York, the gateway
restarts itself at 23:45, and from Sunday 01:00 on it may wait for hours until somebody logs in. All of these may also
come while orders live: in Asia the reset falls into New York's afternoon, and a log-in may be wanted on any day.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Literal
from zoneinfo import ZoneInfo

from longwatch.simulation.plan import SCOPES, Incident

Level = Literal["none", "some", "all"]

NEW_YORK = ZoneInfo("America/New_York")
RESET_FROM, RESET_UNTIL = time(0, 15), time(1, 45)
RESTART_AT = time(23, 45)
LOGIN_FROM = time(1, 0)
SUNDAY = 6

A_DAY = {"none": 0, "some": 3, "all": 12}
"""Incidents drawn for each session, nights apart."""

AFTER_ORDER = (0.0, 0.01, 0.03, 0.3, 0.6, 0.8, 1.5, 5.0, 120.0)
"""Seconds after an order: others still queue, it was sent, acknowledged, partly filled."""
AFTER_CANCEL = (0.0, 0.1, 0.4)

RARE = ("lose_fill", "login_wait")
"""In sessions at most once a run: what they leave behind, or the time they take, would be missed by the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """When a rare fault comes: `wait` seconds after the next order; of the `first` day, which has most orders at once.

    With `cancels` a person has just cancelled everything.
    """

    after: str = "order"
    wait: float = 0.0
    first: bool = False
    cancels: bool = False


AIMS = {
    "queued": Aim(first=True),
    "sent": Aim(wait=0.03),
    "acknowledged": Aim(wait=1.5),
    "partly filled": Aim(wait=120.0),
    "cancel pending": Aim(wait=1.6, cancels=True),
    "any": Aim(after=""),
}
"""Of so many seeds in a row as there are aims, each has one, and as many seeds have none."""
CANCELLED_BEFORE = 0.1
"""Seconds between a person's cancel and what is aimed at it: no cancel is acknowledged in that time."""


def drawn(seed: int, level: Level, days: Sequence[tuple[datetime, datetime]]) -> tuple[Incident, ...]:
    """The incidents of a run in order of time; `days` are open and close of its sessions (UTC)."""
    if level == "none" or not days:
        return ()
    random = Random(f"{seed}|{level}|trouble")
    found = [*_nights(random, days[0][0], days[-1][1]), *_in_sessions(random, A_DAY[level], days)]
    for fault in RARE if level == "all" else ():
        found += _aimed(seed, _incident(random, fault, _within(random, random.choice(days))), days[0][0])
    return tuple(sorted(found, key=lambda incident: incident.at))


def _nights(random: Random, first: datetime, last: datetime) -> Iterator[Incident]:
    day = first.astimezone(NEW_YORK).date()
    while (day := day + timedelta(days=1)) <= last.astimezone(NEW_YORK).date():
        yield _incident(random, "nightly_reset", _between(random, day, RESET_FROM, RESET_UNTIL))
        if day.weekday() == SUNDAY:
            yield _incident(random, "login_wait", _between(random, day, LOGIN_FROM, LOGIN_FROM))
        if random.random() < 0.5:
            yield _incident(random, "restart", _between(random, day - timedelta(days=1), RESTART_AT, RESTART_AT))


def _in_sessions(random: Random, count: int, days: Sequence[tuple[datetime, datetime]]) -> Iterator[Incident]:
    """Every kind as often as every other, most of them at an order or a cancel.

    Resets too: where the gateway's servers are on the other side of the earth, their night is in our session.
    """
    kinds: list[str] = []
    for day in days:
        for _ in range(count):
            if not kinds:
                kinds = sorted(SCOPES.keys() - set(RARE))
                random.shuffle(kinds)
            yield _incident(random, kinds.pop(), _within(random, day), in_session=True)


def _aimed(seed: int, incident: Incident, opens: datetime) -> Iterator[Incident]:
    """A rare fault where a seed's run has it, at what it is aimed at there."""
    dozen, place = divmod(seed, 2 * len(AIMS))
    aims = [*AIMS.values(), *(None for _ in AIMS)]
    Random(f"{dozen}|{incident.fault}|aims").shuffle(aims)
    if (aim := aims[place]) is None:
        return
    at = opens if aim.first else incident.at
    if aim.cancels:
        yield Incident(at=at, fault="cancel_all", after=aim.after, wait=aim.wait - CANCELLED_BEFORE)
    yield replace(incident, at=at, after=aim.after, wait=aim.wait)


def _within(random: Random, day: tuple[datetime, datetime]) -> datetime:
    opened, closed = day
    return opened + (closed - opened) * random.uniform(-0.02, 0.95)


def _incident(random: Random, fault: str, at: datetime, *, in_session: bool = False) -> Incident:
    scope = SCOPES[fault]
    moment = random.random() if in_session else 1.0
    after = "order" if moment < 0.5 else "cancel" if moment < 0.7 else ""
    waits = {"order": AFTER_ORDER, "cancel": AFTER_CANCEL}.get(after, (0.0,))
    return Incident(
        at=at,
        fault=fault,
        seconds=_skewed(random, scope.seconds),
        count=random.randint(*scope.count) if scope.count else 1,
        by=_skewed(random, scope.by),
        part=random.choice(scope.parts) if scope.parts else "",
        after=after,
        wait=random.choice(waits),
    )


def _skewed(random: Random, range_: tuple[float, float] | None) -> float:
    """Short more often than long: evenly over orders of magnitude; to a thousandth."""
    if range_ is None:
        return 0.0
    low, high = range_
    return round(float(low * (high / low) ** random.random()), 3)


def _between(random: Random, day: date, earliest: time, latest: time) -> datetime:
    first = datetime.combine(day, earliest, NEW_YORK)
    last = datetime.combine(day, latest, NEW_YORK)
    return first + (last - first) * random.random()
