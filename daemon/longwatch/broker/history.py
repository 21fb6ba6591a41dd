"""A history request put into IB's terms, and its answer put into a BarSeries; pure, called by live.IbBroker."""

from __future__ import annotations

from array import array
from datetime import date
from math import ceil

from longwatch.broker.figures import instant
from longwatch.domain.bars import BarSeries, stamp_of
from longwatch.wire.bulk import BarColumns

DAILY = "1 day"
MOST_DAYS = 365
"""IB refuses longer durations in days; beyond, it wants years."""
SESSIONS_A_YEAR = 250


def duration_of(bar_size: str, count: int) -> str:
    """A duration that holds at least `count` bars; what is too much is cut off afterwards."""
    if bar_size != DAILY:
        return f"{min(count, MOST_DAYS)} D"
    # Days may be counted as sessions or as calendar days: seven for every five covers both, and a holiday or two.
    days = ceil(count * 7 / 5) + 5
    return f"{days} D" if days <= MOST_DAYS else f"{ceil(count / SESSIONS_A_YEAR)} Y"


def end_of(until: date, today: date) -> str:
    """The end of the request, in UTC; empty, IB's "now", when the day is not over."""
    return "" if until >= today else f"{until:%Y%m%d}-23:59:59"


def series_of(symbol: str, bar_size: str, columns: BarColumns, *, until: date, count: int, zone: str) -> BarSeries:
    """The last `count` bars up to and with `until`. Raises ValueError or KeyError on a date that is none."""
    stamps = array("q", [_stamp(text, zone) for text in columns.dates])
    last = stamp_of(until) + (0 if bar_size == DAILY else 86_399)
    stop = sum(1 for stamp in stamps if stamp <= last)
    whole = BarSeries(
        symbol=symbol,
        bar_size=bar_size,
        stamps=stamps,
        open=columns.open,
        high=columns.high,
        low=columns.low,
        close=columns.close,
        volume=columns.volume,
        adjusted=columns.close[:],
    )
    return whole.between(max(0, stop - count), stop)


def _stamp(text: str, zone: str) -> int:
    """A daily bar's `yyyymmdd`, else an instant."""
    if len(text) == len("20231116") and text.isdecimal():
        return stamp_of(date(int(text[:4]), int(text[4:6]), int(text[6:])))
    return int(instant(text, zone).timestamp())
