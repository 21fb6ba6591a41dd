"""What the data tests share: bars and sessions made by rule, and workers that work at once."""

from __future__ import annotations

from array import array
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

import pytest

from longwatch.domain.bars import BarSeries, stamp_of
from longwatch.domain.sessions import Session

T = TypeVar("T")
Bars = Callable[..., BarSeries]
FIRST = date(2007, 1, 1)


class InlineWorkers:
    """The port Workers, doing the work where it is asked for."""

    def __init__(self) -> None:
        self.deadlines: list[float] = []

    async def run(self, work: Callable[[], T], *, deadline_seconds: float) -> T:
        self.deadlines.append(deadline_seconds)
        return work()


class LateWorkers:
    """The port Workers whose work is never done in time."""

    def run(self, work: Callable[[], T], *, deadline_seconds: float) -> Awaitable[T]:
        raise TimeoutError


def make_bars(
    closes: Sequence[float], *, start: date = FIRST, symbol: str = "XYZ", days: Sequence[int] = ()
) -> BarSeries:
    """Daily bars with these closes on consecutive days from `start`, or on the days counted from it in `days`."""
    offsets = days or range(len(closes))
    return BarSeries(
        symbol=symbol,
        bar_size="1 day",
        stamps=array("q", [stamp_of(start + timedelta(days=offset)) for offset in offsets]),
        open=array("d", closes),
        high=array("d", [close * 1.01 for close in closes]),
        low=array("d", [close * 0.99 for close in closes]),
        close=array("d", closes),
        volume=array("d", [1000.0] * len(closes)),
        adjusted=array("d", closes),
    )


def make_sessions(count: int, *, start: date = FIRST) -> list[Session]:
    """A session on each of `count` consecutive days, from 14:30 to 21:00 UTC."""
    return [_session(start + timedelta(days=each)) for each in range(count)]


def _session(day: date) -> Session:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return Session(date=day, open_at=midnight + timedelta(hours=14.5), close_at=midnight + timedelta(hours=21))


@pytest.fixture
def workers() -> InlineWorkers:
    return InlineWorkers()


@pytest.fixture
def late_workers() -> LateWorkers:
    return LateWorkers()


@pytest.fixture
def bars() -> Callable[..., BarSeries]:
    return make_bars


@pytest.fixture
def sessions() -> Callable[..., list[Session]]:
    return make_sessions
