"""Trading sessions of an exchange, without pandas for New York; made by app for scheduling and validation.

The New York sessions of 1999 to 2030 are a file in the package. Other exchanges, and other years, come from
exchange_calendars, which takes half a second to import: a calendar loads when it is made, so make it before the loop
is busy or in a worker. A lunch break does not split a session. What Interactive Brokers publishes for this week
outranks any calendar.
"""

from __future__ import annotations

import gzip
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from functools import cache
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from longwatch.domain.sessions import Session
from longwatch.errors import ConfigError, DataError

WARNING_DAYS = 30
FILE_START = date(1999, 1, 1)
FILE_END = date(2030, 12, 31)
_FILE = Path(__file__).resolve().parent / "xnys.csv.gz"
_NEW_YORK = "XNYS"
_EPOCH = date(1970, 1, 1)

# Other names of exchanges that keep New York's hours; exchange_calendars knows further ones by itself.
SAME_SESSIONS: Mapping[str, str] = {
    "NYSE": _NEW_YORK,
    "NASDAQ": _NEW_YORK,
    "XNAS": _NEW_YORK,
    "ARCX": _NEW_YORK,
    "ARCA": _NEW_YORK,
    "XASE": _NEW_YORK,
    "AMEX": _NEW_YORK,
    "BATS": _NEW_YORK,
}

# Names Interactive Brokers gives zones. JST and CST are no zone names here; EST is one, but of a fixed offset that is
# wrong in summer.
ZONE_ALIASES: Mapping[str, str] = {
    "JST": "Asia/Tokyo",
    "CST": "America/Chicago",
    "EST": "America/New_York",
}


class ExchangeCalendar:
    """The sessions of one exchange from `start` to `end`, by its market identifier code, with half days as they are.

    Raises ConfigError for an unknown exchange, or a range its rules are not known for.
    """

    def __init__(self, name: str = _NEW_YORK, start: date = FILE_START, end: date = FILE_END) -> None:
        if end < start:
            raise ConfigError(f"calendar {name} would end on {end}, before its start on {start}; exchange the two")
        self.name = SAME_SESSIONS.get(name.upper(), name)
        self._plain = PlainCalendar(_load(self.name, start, end), start=start, end=end, name=self.name)

    def sessions(self, start: date, end: date) -> list[Session]:
        """As the port Calendar promises."""
        return self._plain.sessions(start, end)

    def warning(self, today: date) -> str | None:
        """A sentence for the log from 30 days before the calendar's end; None before."""
        return self._plain.warning(today)


class PlainCalendar:
    """A calendar made from a list; without `start` and `end` it reaches from its first session to its last.

    Raises DataError when the sessions are out of order or overlap.
    """

    def __init__(
        self, sessions: Sequence[Session], *, start: date | None = None, end: date | None = None, name: str = "given"
    ) -> None:
        if not sessions:
            raise DataError(f"calendar {name} has no session; widen its range")
        for before, after in pairwise(sessions):
            if after.date <= before.date or after.open_at < before.close_at:
                raise DataError(f"calendar {name}: the session of {after.date} does not follow that of {before.date}")
        self.name = name
        self._sessions = tuple(sessions)
        self._dates = [session.date for session in sessions]
        self._start = start or self._dates[0]
        self._end = end or self._dates[-1]

    def sessions(self, start: date, end: date) -> list[Session]:
        """As the port Calendar promises."""
        if start < self._start or end > self._end:
            reach = f"calendar {self.name} reaches from {self._start} to {self._end}"
            raise DataError(f"{reach}, not from {start} to {end}; make it with a wider range")
        return list(self._sessions[bisect_left(self._dates, start) : bisect_right(self._dates, end)])

    def warning(self, today: date) -> str | None:
        """A sentence for the log from 30 days before the calendar's end; None before."""
        left = (self._end - today).days
        if left > WARNING_DAYS:
            return None
        return f"calendar {self.name} ends on {self._end}, {max(left, 0)} days from now; install a newer release"


class AlwaysOpen:
    """Sessions end to end, around the clock in UTC, each `step` long: for markets that never close, and tests at speed.

    Sessions begin at midnight and count from 1970-01-01. Raises ConfigError unless `step` is a whole number of days: a
    daily bar needs a date of its own.
    """

    name = "24/7"

    def __init__(self, step: timedelta = timedelta(days=1)) -> None:
        if step < timedelta(days=1) or step % timedelta(days=1):
            raise ConfigError(f"a session around the clock lasts whole days, not {step}; set it to one day")
        self._step = step

    def sessions(self, start: date, end: date) -> list[Session]:
        """As the port Calendar promises; it reaches everywhere."""
        days = self._step.days
        first = start + timedelta(days=-(start - _EPOCH).days % days)
        return [self._session(first + timedelta(days=each)) for each in range(0, (end - first).days + 1, days)]

    def warning(self, today: date) -> str | None:
        """None: it has no end."""
        return None

    def _session(self, day: date) -> Session:
        open_at = datetime(day.year, day.month, day.day, tzinfo=UTC)
        return Session(date=day, open_at=open_at, close_at=open_at + self._step)


def last_completed(sessions: Sequence[Session], at: datetime) -> Session | None:
    """The newest of `sessions` (oldest first) that has closed by `at`; None when none has."""
    return next((session for session in reversed(sessions) if session.close_at <= at), None)


def current_or_next(sessions: Sequence[Session], at: datetime) -> Session | None:
    """The one of `sessions` (oldest first) that is open at `at`, else the next to open; None when none is left."""
    return next((session for session in sessions if session.close_at > at), None)


def zone(name: str) -> ZoneInfo:
    """The time zone Interactive Brokers means by `name`. Raises ConfigError with the nearest name."""
    try:
        return ZoneInfo(ZONE_ALIASES.get(name, name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(f"'{name}' is not a time zone; write one like America/New_York") from None


def _load(name: str, start: date, end: date) -> Sequence[Session]:
    if name == _NEW_YORK and start >= FILE_START and end <= FILE_END:
        sessions = _shipped()
        return [session for session in sessions if start <= session.date <= end]
    return _computed(name, start, end)


@cache
def _shipped() -> tuple[Session, ...]:
    lines = gzip.decompress(_FILE.read_bytes()).decode("ascii").splitlines()
    return tuple(_from_line(line) for line in lines[1:])


def _from_line(line: str) -> Session:
    day, opening, closing = line.split(",")
    midnight = datetime.fromisoformat(f"{day}T00:00:00+00:00")
    return Session(
        date=midnight.date(),
        open_at=midnight + timedelta(minutes=int(opening)),
        close_at=midnight + timedelta(minutes=int(closing)),
    )


def _computed(name: str, start: date, end: date) -> list[Session]:
    import exchange_calendars
    from exchange_calendars.errors import InvalidCalendarName

    try:
        table = exchange_calendars.get_calendar(name, start=start, end=end)
    except InvalidCalendarName:
        raise ConfigError(_unknown_exchange(name, exchange_calendars.get_calendar_names())) from None
    except ValueError as error:
        raise ConfigError(f"calendar {name} can't reach from {start} to {end}: {error}") from error
    rows = zip(table.sessions, table.opens, table.closes, strict=True)
    return [
        Session(date=label.date(), open_at=_plain_utc(opening), close_at=_plain_utc(closing))
        for label, opening, closing in rows
    ]


def _plain_utc(at: datetime) -> datetime:
    """A standard datetime: pandas' own would drag pandas into every process the session goes to."""
    return datetime.fromtimestamp(at.timestamp(), UTC)


def _unknown_exchange(name: str, known: Sequence[str]) -> str:
    nearest = get_close_matches(name.upper(), known, n=1, cutoff=0.0)
    return f"'{name}' is not an exchange we have a calendar of; did you mean {nearest[0]}?"
