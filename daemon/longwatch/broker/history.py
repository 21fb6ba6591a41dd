"""A history request put into IB's terms, and its answer put into a BarSeries; pure, called by live.IbBroker."""

from __future__ import annotations

from array import array
from datetime import date
from math import ceil

from longwatch.broker.figures import day_of, instant
from longwatch.domain.bars import BarSeries, stamp_of
from longwatch.wire.bulk import BarColumns

DAILY = "1 day"
FIRST_EPOCH, LAST_EPOCH = 100_000_000.0, 7_000_000_000.0
"""Epoch seconds of 1973 and of 2191; smaller numbers are dates, as 20231116."""
MOST_DAYS = 365
"""IB refuses longer durations in days; beyond, it wants years."""
SESSIONS_A_YEAR = 250
SESSION_SECONDS = 3.5 * 3600
"""The shortest session, a half day: bars of part of a day are never asked too few of."""
UNIT_SECONDS = {"sec": 1, "min": 60, "hour": 3600}


def duration_of(bar_size: str, count: int) -> str:
    """A duration that holds at least `count` bars; what is too much is cut off afterwards."""
    sessions = count if bar_size == DAILY else ceil(count * _bar_seconds(bar_size) / SESSION_SECONDS)
    # Days may be counted as sessions or as calendar days: seven for every five covers both, and a holiday or two.
    days = ceil(sessions * 7 / 5) + 5
    return f"{days} D" if days <= MOST_DAYS else f"{ceil(sessions / SESSIONS_A_YEAR)} Y"


def end_of(until: date, today: date) -> str:
    """The end of the request, in UTC; empty, IB's "now", when the day is not over."""
    return "" if until >= today else f"{until:%Y%m%d}-23:59:59"


def series_of(symbol: str, bar_size: str, columns: BarColumns, *, until: date, count: int, zone: str) -> BarSeries:
    """The last `count` bars up to and with `until`. Raises ValueError or KeyError on a date that is none."""
    stamps = _stamps(columns.dates, zone)
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


def _stamps(dates: list[str] | array[float], zone: str) -> array[int]:
    """The stamps of bars. Raises ValueError or KeyError on a date that is none."""
    if isinstance(dates, list):
        return array("q", [_stamp(text, zone) for text in dates])
    if not dates:
        return array("q")
    low, high = min(dates), max(dates)
    if high < FIRST_EPOCH:
        return array("q", [stamp_of(day_of(f"{date:.0f}")) for date in dates])
    if not FIRST_EPOCH <= low <= high < LAST_EPOCH:
        raise ValueError(f"a bar's date {low if low < FIRST_EPOCH else high:.0f} is no time of this age")
    return array("q", map(int, dates))


def _stamp(text: str, zone: str) -> int:
    """A daily bar's `yyyymmdd`, else an instant."""
    if len(text) == len("20231116") and text.isdecimal():
        return stamp_of(day_of(text))
    return int(instant(text, zone).timestamp())


def _bar_seconds(bar_size: str) -> int:
    """The length of a bar such as `5 mins` or `1 hour`. Raises ValueError for a size that IB does not have."""
    number, _, unit = bar_size.partition(" ")
    if not number.isdecimal() or unit.removesuffix("s") not in UNIT_SECONDS:
        raise ValueError(f"the bar size {bar_size!r} is none of IB's, such as '5 mins', '1 hour' or '1 day'")
    return int(number) * UNIT_SECONDS[unit.removesuffix("s")]
