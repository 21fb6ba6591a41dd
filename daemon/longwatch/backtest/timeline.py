"""The sessions of a backtest and the instants its jobs are due at, by the configuration's triggers."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta

from longwatch.config.schema import Settings
from longwatch.domain.bars import BarSeries
from longwatch.domain.sessions import Session
from longwatch.domain.triggers import EveryTrigger, next_run, parse_trigger
from longwatch.errors import ConfigError, DataError
from longwatch.ports import Calendar

BEFORE_THE_OPEN = timedelta(hours=1)
BEHIND, AHEAD = timedelta(days=14), timedelta(days=45)
LEFT = timedelta(days=20)


class Timeline:
    """Sessions known, of which those from `start` to `end` (both included) are traded. Raises DataError without one.

    `known` reaches further back, to the first bar of any of `series`, and a little further ahead.
    """

    def __init__(self, calendar: Calendar, series: Iterable[BarSeries], start: date, end: date) -> None:
        firsts = [first[0] for one in series if (first := one.between(0, 1).sessions())]
        begin = min([*firsts, start]) - BEHIND
        self.known = _reached(calendar, begin, end)
        self.traded = [session for session in self.known if start <= session.date <= end]
        if not self.traded:
            raise DataError(f"there is no session from {start} to {end}; choose other dates")
        self.begins_at = self.traded[0].open_at - BEFORE_THE_OPEN
        self._opens = [session.open_at for session in self.known]
        self._closes = [session.close_at for session in self.known]

    def due(self, job: str, settings: Settings) -> Iterator[datetime]:
        """The instants a job is due at, from the beginning to the last close. Raises ConfigError for an interval."""
        text = getattr(settings.schedule, job).trigger
        trigger = parse_trigger(text)
        if isinstance(trigger, EveryTrigger):
            raise ConfigError(
                f'trading.schedule.{job}: "{text}" is an interval, and on daily bars a job runs once a session; '
                'write it as "5 minutes after the open"'
            )
        after, last = self.begins_at, self.traded[-1].close_at
        while (found := next_run(trigger, after, self.known)) is not None and found.at <= last:
            after = found.at
            yield after

    def open_at(self, at: datetime) -> Session | None:
        """The session open at an instant, or None."""
        place = bisect_right(self._opens, at) - 1
        return self.known[place] if place >= 0 and self.known[place].is_open(at) else None

    def ended_by(self, at: datetime) -> Session:
        """The newest session that has closed by an instant."""
        return self.known[bisect_right(self._closes, at) - 1]

    def seen_from(self, at: datetime) -> tuple[Session, ...]:
        """The sessions the daemon would know of: a fortnight back, six weeks ahead."""
        first = bisect_left(self._closes, at - BEHIND)
        return tuple(self.known[first : bisect_right(self._opens, at + AHEAD)])


def nearest_price(session: Session, at: datetime) -> str:
    """Which price of a daily bar is nearest to an instant of its session: `open` or `close`."""
    return "close" if session.close_at - at < at - session.open_at else "open"


def _reached(calendar: Calendar, begin: date, end: date) -> Sequence[Session]:
    """The sessions from `begin` to some weeks after `end`, as far as the calendar goes."""
    try:
        return calendar.sessions(begin, end + AHEAD)
    except DataError:
        return calendar.sessions(begin, end)
