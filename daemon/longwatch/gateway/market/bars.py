"""Bars cut from the path of a session: trades, bids, asks or the middle; used by history and by live bars."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

from longwatch.gateway.market.hours import TradingDay
from longwatch.gateway.market.market import Instrument, Market, money
from longwatch.gateway.market.path import DayPath
from longwatch.quick import quick

__all__ = ["PastBar", "Prices", "bar_at", "cut", "money", "running_bar"]

SHARES_A_TRADE = 150
NOT_TRADED = -1
"""Stands for volume, average and count in bars of quotes."""

MOMENT = timedelta(microseconds=1)


class Prices(StrEnum):
    """What bars are made of, by the names of requests. ADJUSTED_LAST is TRADES with dividends taken out."""

    TRADES = "TRADES"
    ADJUSTED_LAST = "ADJUSTED_LAST"
    MIDPOINT = "MIDPOINT"
    BID = "BID"
    ASK = "ASK"
    BID_ASK = "BID_ASK"

    @property
    def is_traded(self) -> bool:
        """Whether there are shares traded in such bars."""
        return self in {Prices.TRADES, Prices.ADJUSTED_LAST}

    @property
    def is_adjusted(self) -> bool:
        """Whether dividends are taken out of old prices."""
        return self is Prices.ADJUSTED_LAST


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class PastBar:
    """One bar: its date (daily) or starting instant, prices, shares, average price and number of trades.

    Of bid and ask together, open and close are the mean bid and the mean ask, low and high the lowest bid and the
    highest ask. Bars of quotes have -1 for shares, average and trades.
    """

    start: date | datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int
    average: Decimal
    trades: int

    @staticmethod
    def trades_of(volume: int) -> int:
        """How many trades so many shares are reckoned as."""
        return volume // SHARES_A_TRADE


def running_bar(market: Market, instrument: Instrument, what: Prices, at: datetime) -> PastBar | None:
    """The daily bar of the session running at an instant, from the part of its path already gone."""
    session = market.hours_of(instrument).at(at)
    path = market.path(instrument, session.date) if session else None
    if session is None or path is None:
        return None
    return _bar(market, instrument, path, what, 0, market.place(session, at), session.date)


def bar_at(
    market: Market, instrument: Instrument, session: TradingDay, step: timedelta, at: datetime, what: Prices
) -> PastBar | None:
    """The bar of `step` that is open at an instant of a session, of the points so far; None when there are none."""
    start = _start_at(session, step, at, instrument.zone)
    bars = cut(market, instrument, session, step, at, what=what, since=start)
    return bars[-1] if bars else None


def cut(
    market: Market,
    instrument: Instrument,
    session: TradingDay,
    step: timedelta,
    end: datetime,
    *,
    what: Prices,
    since: datetime | None = None,
) -> list[PastBar]:
    """A session's path cut into bars of `step` that start from `since` on, up to `end`; a quiet bar repeats a close."""
    path = market.path(instrument, session.date)
    until = min(end, session.close_at)
    if path is None:
        return []
    bars: list[PastBar] = []
    start = session.open_at if since is None else max(since, session.open_at)
    if start > session.open_at:
        begun = _start_at(session, step, start, instrument.zone)
        start = begun if begun == start else _next(session, step, start, instrument.zone)
    while start <= until and start < session.close_at:
        following = _next(session, step, start, instrument.zone)
        first = market.place(session, start - MOMENT) + 1
        last = market.place(session, min(following - MOMENT, until))
        if last >= first:
            bars.append(_bar(market, instrument, path, what, first, last, start))
        else:
            bars.append(_quiet(market, instrument, path, what, last, start))
        start = following
    return bars


def _start_at(session: TradingDay, step: timedelta, at: datetime, zone: str) -> datetime:
    """When the bar that is open at an instant of a session started."""
    midnight = _midnight(session, zone)
    return max(midnight + (at - midnight) // step * step, session.open_at)


def _next(session: TradingDay, step: timedelta, at: datetime, zone: str) -> datetime:
    midnight = _midnight(session, zone)
    return midnight + ((at - midnight) // step + 1) * step


def _midnight(session: TradingDay, zone: str) -> datetime:
    """Where bars are counted from: midnight by the exchange's clock before the open."""
    local = session.open_at.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    return local.astimezone(session.open_at.tzinfo)


def _bar(
    market: Market, instrument: Instrument, path: DayPath, what: Prices, first: int, last: int, start: date | datetime
) -> PastBar:
    """One bar of the points `first` up to and with `last`."""
    prices = path.prices[first : last + 1]
    if not what.is_traded:
        return _quoted(market, instrument, prices, what, start)
    volume = path.volumes[last] - (path.volumes[first - 1] if first else 0)
    return PastBar(
        start=start,
        open=money(prices[0]),
        high=money(max(prices)),
        low=money(min(prices)),
        close=money(prices[-1]),
        volume=volume,
        average=money(sum(prices) / len(prices)),
        trades=PastBar.trades_of(volume),
    )


def _quoted(
    market: Market, instrument: Instrument, prices: tuple[float, ...], what: Prices, start: date | datetime
) -> PastBar:
    quotes = [market.spread_round(price, instrument) for price in prices]
    bids, asks = [bid for bid, _ in quotes], [ask for _, ask in quotes]
    match what:
        case Prices.BID_ASK:
            shown = [_mean(bids), max(asks), min(bids), _mean(asks)]
        case Prices.BID:
            shown = [bids[0], max(bids), min(bids), bids[-1]]
        case Prices.ASK:
            shown = [asks[0], max(asks), min(asks), asks[-1]]
        case _:
            middles = [(bid + ask) / 2 for bid, ask in quotes]
            shown = [middles[0], max(middles), min(middles), middles[-1]]
    opening, high, low, close = shown
    return PastBar(
        start=start,
        open=opening,
        high=high,
        low=low,
        close=close,
        volume=NOT_TRADED,
        average=Decimal(NOT_TRADED),
        trades=NOT_TRADED,
    )


def _mean(prices: list[Decimal]) -> Decimal:
    return money(float(sum(prices)) / len(prices))


def _quiet(market: Market, instrument: Instrument, path: DayPath, what: Prices, place: int, start: datetime) -> PastBar:
    """A bar in which nothing happened: the newest price, and no shares."""
    if not what.is_traded:
        return _quoted(market, instrument, path.prices[place : place + 1], what, start)
    close = money(path.prices[place])
    return PastBar(start=start, open=close, high=close, low=close, close=close, volume=0, average=close, trades=0)
