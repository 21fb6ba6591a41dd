"""Historical bars and the first date of an instrument, as the simulated market has made them so far; asked by requests.

Nothing of a running session is told but what its path has already shown. Prices and shares are as of the newest split.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

from longwatch.gateway.market.actions import UNCHANGED, Adjustment
from longwatch.gateway.market.bars import PastBar, Prices, cut, money, running_bar
from longwatch.gateway.market.hours import TradingDay
from longwatch.gateway.market.market import Instrument, Market
from longwatch.gateway.market.path import DayBar
from longwatch.gateway.wording import SHARES_IN_HISTORY, moment

STEPS: dict[str, timedelta] = {
    **dict.fromkeys(("1 sec", "1 secs"), timedelta(seconds=1)),
    **{f"{count} secs": timedelta(seconds=count) for count in (5, 10, 15, 30)},
    "1 min": timedelta(minutes=1),
    **{f"{count} mins": timedelta(minutes=count) for count in (2, 3, 5, 10, 15, 20, 30)},
    "1 hour": timedelta(hours=1),
    **{f"{count} hours": timedelta(hours=count) for count in (2, 3, 4, 8)},
}
"""Bar sizes within a session."""

DAILY = frozenset({"1 day", "1D"})
WEEKLY = frozenset({"1 week", "1W"})
MONTHLY = frozenset({"1 month", "1M"})
SIZES = STEPS.keys() | DAILY | WEEKLY | MONTHLY
DAY = timedelta(days=1)
SPANS = {"S": timedelta(seconds=1), "W": timedelta(weeks=1), "M": timedelta(days=30), "Y": timedelta(days=365)}
LONGEST = timedelta(days=365 * 100)
"""More is asked of no market, and would end before the calendar begins."""

LOT = 100
MOST_BARS = 100_000
"""A request for more bars is refused, as real gateways refuse a long time in short bars."""

_DURATION = re.compile(r"(\d{1,5}) ([SDWMY])", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What a duration text asks for: a number of sessions, or a stretch of time."""

    sessions: int = 0
    length: timedelta = timedelta()

    @property
    def reach(self) -> timedelta:
        """How far back it is said to go; a session counts as a day."""
        return self.length or DAY * self.sessions


def span_of(text: str) -> Span | None:
    """`30 D` is thirty sessions; seconds, weeks, months and years are stretches of time. None when it is neither."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or int(match.group(1)) == 0:
        return None
    count, unit = int(match.group(1)), match.group(2)
    return Span(sessions=count) if unit == "D" else Span(length=min(SPANS[unit] * count, LONGEST))


def bars_of(
    market: Market,
    instrument: Instrument,
    size: str,
    span: Span,
    end: datetime,
    *,
    what: Prices = Prices.TRADES,
    now: datetime | None = None,
) -> list[PastBar]:
    """Bars of a size in SIZES up to `end`, oldest first; splits up to `now`, or else `end`, are reckoned in."""
    if size in STEPS:
        bars = short_bars(market, instrument, span, STEPS[size], end, what=what, now=now)
    else:
        bars = daily_bars(market, instrument, span, end, what=what, now=now)
    if size in WEEKLY:
        return [_joined(list(days), what) for _, days in groupby(bars, key=lambda bar: _day(bar).isocalendar()[:2])]
    if size in MONTHLY:
        return [_joined(list(days), what) for _, days in groupby(bars, key=lambda bar: _day(bar).replace(day=1))]
    return bars


def daily_bars(
    market: Market,
    instrument: Instrument,
    span: Span,
    end: datetime,
    *,
    what: Prices = Prices.TRADES,
    now: datetime | None = None,
) -> list[PastBar]:
    """Daily bars up to `end`, oldest first; the session running at `end` gives a bar of its path so far."""
    past = _chosen(market.completed(instrument, end), span, end)
    if what.is_traded:
        bars = [_whole(bar) for bar in past]
    else:
        bars = [one for bar in past if (one := running_bar(market, instrument, what, bar.close_at - _MOMENT))]
    running = running_bar(market, instrument, what, end)
    if running is not None:
        bars.append(running)
    bars = bars[-span.sessions :] if span.sessions else bars
    return [_adjusted(bar, market.adjusted(instrument, _day(bar), now or end, what.is_adjusted), what) for bar in bars]


def short_bars(
    market: Market,
    instrument: Instrument,
    span: Span,
    step: timedelta,
    end: datetime,
    *,
    what: Prices = Prices.TRADES,
    now: datetime | None = None,
) -> list[PastBar]:
    """Bars of `step` up to `end`, oldest first, at whole multiples of it by the exchange's clock, and at each open."""
    hours = market.hours_of(instrument)
    days = [bar.date for bar in _chosen(market.completed(instrument, end), span, end)]
    running = hours.at(end)
    if running is not None:
        days.append(running.date)
    since = None if span.sessions else end - span.length
    bars: list[PastBar] = []
    for day in days[-span.sessions :] if span.sessions else days:
        session = hours.on(day)
        if session is not None:
            adjusted = market.adjusted(instrument, day, now or end, what.is_adjusted)
            made = cut(market, instrument, session, step, end, what=what, since=since)
            bars.extend(_adjusted(bar, adjusted, what) for bar in made)
    return bars


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


def shown(bar: PastBar, server_version: int) -> dict[str, Any]:
    """A bar's figures as messages carry them; shares are lots of a hundred before version 175."""
    lot = 1 if server_version >= SHARES_IN_HISTORY or bar.volume < 0 else LOT
    return {
        "open": bar.open,
        "high": bar.high,
        "low": bar.low,
        "close": bar.close,
        "volume": bar.volume // lot,
        "wap": bar.average,
        "count": bar.trades,
    }


_MOMENT = timedelta(microseconds=1)


def _day(bar: PastBar) -> date:
    return bar.start.date() if isinstance(bar.start, datetime) else bar.start


def _whole(bar: DayBar) -> PastBar:
    return PastBar(
        start=bar.date,
        open=money(bar.open),
        high=money(bar.high),
        low=money(bar.low),
        close=money(bar.close),
        volume=int(bar.volume),
        average=money((bar.high + bar.low + bar.close) / 3),
        trades=PastBar.trades_of(int(bar.volume)),
    )


def _joined(days: Sequence[PastBar], what: Prices) -> PastBar:
    """One bar of several days, dated as the last of them."""
    bar = replace(days[-1], open=days[0].open, high=max(day.high for day in days), low=min(day.low for day in days))
    if not what.is_traded:
        return bar
    volume = sum(day.volume for day in days)
    spent = sum((day.average * day.volume for day in days), Decimal(0))
    average = money(float(spent / volume)) if volume else bar.close
    return replace(bar, volume=volume, average=average, trades=sum(day.trades for day in days))


def _adjusted(bar: PastBar, by: Adjustment, what: Prices) -> PastBar:
    if by is UNCHANGED:
        return bar
    opening, high, low, close, average = (
        money(float(price) * by.price) for price in (bar.open, bar.high, bar.low, bar.close, bar.average)
    )
    bar = replace(bar, open=opening, high=high, low=low, close=close)
    return replace(bar, average=average, volume=round(bar.volume * by.shares)) if what.is_traded else bar


def _chosen(past: Sequence[DayBar], span: Span, end: datetime) -> Sequence[DayBar]:
    """The sessions a span reaches back to: a number of them, or those that closed within its length."""
    if span.sessions:
        return past[-span.sessions :]
    return past[bisect_left(past, end - span.length, key=lambda bar: bar.close_at) :]


def sessions_of(market: Market, instrument: Instrument, span: Span, end: datetime) -> list[TradingDay]:
    """The sessions of a span up to `end`, oldest first, the running one too."""
    hours = market.hours_of(instrument)
    found = [
        TradingDay(date=bar.date, open_at=bar.open_at, close_at=bar.close_at)
        for bar in _chosen(market.completed(instrument, end), span, end)
    ]
    running = hours.at(end)
    if running is not None:
        found.append(running)
    return found[-span.sessions :] if span.sessions else found
