"""Historical bars and the first date of an instrument, as the simulated market has made them so far; asked by requests.

Nothing of a running session is told but what its path has already shown.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from longwatch.gateway.hours import TradingDay
from longwatch.gateway.market import Instrument, Market, money
from longwatch.gateway.path import DayBar, DayPath, place_of
from longwatch.gateway.wording import moment

STEPS: dict[str, timedelta] = {
    "1 min": timedelta(minutes=1),
    "2 mins": timedelta(minutes=2),
    "3 mins": timedelta(minutes=3),
    "5 mins": timedelta(minutes=5),
    "10 mins": timedelta(minutes=10),
    "15 mins": timedelta(minutes=15),
    "20 mins": timedelta(minutes=20),
    "30 mins": timedelta(minutes=30),
    "1 hour": timedelta(hours=1),
    "2 hours": timedelta(hours=2),
    "3 hours": timedelta(hours=3),
    "4 hours": timedelta(hours=4),
    "8 hours": timedelta(hours=8),
}
"""Bar sizes within a session. Shorter ones would be empty: the path has few points."""

DAILY = frozenset({"1 day", "1D"})
SPANS = {"S": timedelta(seconds=1), "W": timedelta(weeks=1), "M": timedelta(days=30), "Y": timedelta(days=365)}
LONGEST = timedelta(days=365 * 100)
"""More is asked of no market, and would end before the calendar begins."""

SHARES_A_TRADE = 150

_DURATION = re.compile(r"(\d{1,5}) ([SDWMY])", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class PastBar:
    """One bar: its date (daily) or starting instant, prices, shares, average price and number of trades."""

    start: date | datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int
    average: Decimal
    trades: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What a duration text asks for: a number of sessions, or a stretch of time."""

    sessions: int = 0
    length: timedelta = timedelta()


def span_of(text: str) -> Span | None:
    """`30 D` is thirty sessions; seconds, weeks, months and years are stretches of time. None when it is neither."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or int(match.group(1)) == 0:
        return None
    count, unit = int(match.group(1)), match.group(2)
    return Span(sessions=count) if unit == "D" else Span(length=min(SPANS[unit] * count, LONGEST))


def daily_bars(market: Market, instrument: Instrument, span: Span, end: datetime) -> list[PastBar]:
    """Daily bars up to `end`, oldest first; the session running at `end` gives a bar of its path so far."""
    bars = [
        PastBar(
            start=bar.date,
            open=money(bar.open),
            high=money(bar.high),
            low=money(bar.low),
            close=money(bar.close),
            volume=int(bar.volume),
            average=money((bar.high + bar.low + bar.close) / 3),
            trades=int(bar.volume) // SHARES_A_TRADE,
        )
        for bar in _chosen(market.completed(instrument, end), span, end)
    ]
    running = _running(market, instrument, end)
    if running is not None:
        bars.append(running)
    return bars[-span.sessions :] if span.sessions else bars


def short_bars(market: Market, instrument: Instrument, span: Span, step: timedelta, end: datetime) -> list[PastBar]:
    """Bars of `step` up to `end`, oldest first, counted from each open; a quiet bar repeats the last close."""
    days = [bar.date for bar in _chosen(market.completed(instrument, end), span, end)]
    running = market.hours.at(end)
    if running is not None:
        days.append(running.date)
    bars: list[PastBar] = []
    for day in days[-span.sessions :] if span.sessions else days:
        session = market.hours.on(day)
        path = market.path(instrument, day)
        if session is not None and path is not None:
            bars.extend(_cut(market, path, session, step, end))
    if span.sessions:
        return bars
    return [bar for bar in bars if isinstance(bar.start, datetime) and bar.start >= end - span.length]


def head_of(market: Market, instrument: Instrument, at: datetime) -> datetime | None:
    """When the first bar of an instrument begins, or None when it has none yet."""
    past = market.completed(instrument, at)
    return past[0].open_at if past else None


def shown_start(bar: PastBar, zone: str, server_version: int, *, as_epoch: bool) -> str:
    """A bar's date as messages carry it: `yyyymmdd`; of shorter bars epoch seconds, or a time in the version's form."""
    match bar.start:
        case datetime() as start:
            return str(int(start.timestamp())) if as_epoch else moment(start, zone, server_version)
        case day:
            return f"{day:%Y%m%d}"


def _chosen(past: Sequence[DayBar], span: Span, end: datetime) -> Sequence[DayBar]:
    """The sessions a span reaches back to: a number of them, or those that closed within its length."""
    if span.sessions:
        return past[-span.sessions :]
    return past[bisect_left(past, end - span.length, key=lambda bar: bar.close_at) :]


def _running(market: Market, instrument: Instrument, at: datetime) -> PastBar | None:
    """The bar of the session running at an instant, from the part of its path already gone."""
    session = market.hours.at(at)
    path = market.path(instrument, session.date) if session else None
    if session is None or path is None:
        return None
    place = place_of(session.open_at, session.close_at, len(path.prices) - 1, at)
    return _bar(path, 0, place, session.date)


def _cut(market: Market, path: DayPath, session: TradingDay, step: timedelta, end: datetime) -> list[PastBar]:
    """A session's path cut into bars of `step`, up to `end`."""
    until = min(end, session.close_at)
    instants = market.points(session, until)
    bars: list[PastBar] = []
    first, start = 0, session.open_at
    while start <= until and start < session.close_at:
        last = bisect_left(instants, start + step)
        bars.append(_bar(path, first, last - 1, start) if last > first else _quiet(bars[-1], start))
        first, start = last, start + step
    return bars


def _bar(path: DayPath, first: int, last: int, start: date | datetime) -> PastBar:
    """One bar of the points `first` up to and with `last`."""
    prices = path.prices[first : last + 1]
    volume = path.volumes[last] - (path.volumes[first - 1] if first else 0)
    return PastBar(
        start=start,
        open=money(prices[0]),
        high=money(max(prices)),
        low=money(min(prices)),
        close=money(prices[-1]),
        volume=volume,
        average=money(sum(prices) / len(prices)),
        trades=volume // SHARES_A_TRADE,
    )


def _quiet(before: PastBar, start: datetime) -> PastBar:
    close = before.close
    return PastBar(start=start, open=close, high=close, low=close, close=close, volume=0, average=close, trades=0)
