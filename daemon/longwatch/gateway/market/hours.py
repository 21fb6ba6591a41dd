"""When the simulated exchange is open: replayed sessions, or round the clock; used by market and contract replies."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

DAYS_IN_HOURS_TEXT = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingDay:
    """One session of the exchange: its date there, and its opening and closing instants, aware, in UTC."""

    date: date
    open_at: datetime
    close_at: datetime


class SessionLike(Protocol):
    """Anything with a date, an opening and a closing instant."""

    @property
    def date(self) -> date: ...
    @property
    def open_at(self) -> datetime: ...
    @property
    def close_at(self) -> datetime: ...


class Hours(Protocol):
    """What the exchange knows of its sessions."""

    def at(self, instant: datetime) -> TradingDay | None:
        """The session running at `instant`; the closing instant belongs to none."""
        ...

    def following(self, instant: datetime) -> TradingDay | None:
        """The first session that opens after `instant`, or None when the market ends before."""
        ...

    def on(self, day: date) -> TradingDay | None:
        """The session of a date."""
        ...


class ListedHours:
    """Sessions from a list: those of real market history."""

    def __init__(self, sessions: Iterable[SessionLike]) -> None:
        days = sorted({(s.open_at, s.close_at, s.date) for s in sessions})
        self._days = [TradingDay(date=day, open_at=opened, close_at=closed) for opened, closed, day in days]
        self._opens = [day.open_at for day in self._days]
        self._by_date = {day.date: day for day in self._days}

    def at(self, instant: datetime) -> TradingDay | None:
        place = bisect_right(self._opens, instant) - 1
        if place < 0 or instant >= self._days[place].close_at:
            return None
        return self._days[place]

    def following(self, instant: datetime) -> TradingDay | None:
        place = bisect_right(self._opens, instant)
        return self._days[place] if place < len(self._days) else None

    def on(self, day: date) -> TradingDay | None:
        return self._by_date.get(day)


class RoundTheClock:
    """Sessions of 24 hours back to back, midnight to midnight UTC, every day of the week."""

    def at(self, instant: datetime) -> TradingDay | None:
        return self.on(instant.astimezone(UTC).date())

    def following(self, instant: datetime) -> TradingDay | None:
        return self.on(instant.astimezone(UTC).date() + timedelta(days=1))

    def on(self, day: date) -> TradingDay | None:
        opened = datetime.combine(day, time(), UTC)
        return TradingDay(date=day, open_at=opened, close_at=opened + timedelta(days=1))


def hours_text(hours: Hours, at: datetime, zone: str) -> str:
    """The next days' sessions as contract details show them: `20240325:0930-20240325:1600;20240330:CLOSED`.

    A session stands at the day on which it opens by the exchange's clock; a day on which none opens is closed. The one
    that is running comes first, even when it opened yesterday.
    """
    local = ZoneInfo(zone)
    today = at.astimezone(local).date()
    running = hours.at(at)
    first = min(today, running.open_at.astimezone(local).date()) if running is not None else today
    found = (hours.on(first + timedelta(days=ahead)) for ahead in range(DAYS_IN_HOURS_TEXT + 2))
    opens = {one.open_at.astimezone(local).date(): one for one in found if one is not None}
    return ";".join(_day_text(opens, first + timedelta(days=ahead), local) for ahead in range(DAYS_IN_HOURS_TEXT))


def _day_text(opens: Mapping[date, TradingDay], day: date, local: ZoneInfo) -> str:
    session = opens.get(day)
    if session is None:
        return f"{day:%Y%m%d}:CLOSED"
    return f"{session.open_at.astimezone(local):%Y%m%d:%H%M}-{session.close_at.astimezone(local):%Y%m%d:%H%M}"
