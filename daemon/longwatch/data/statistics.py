"""Figures of a symbol's daily bars that sizes, limits and stops go by; asked by the refresh, and by backtests.

`measure` reads one window of bars as a refresh fetches it. `Measured` gives the same for the window of every day of a
long series, to the last digit: both take the same floats in the same order, so that a backtest decides as the daemon.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from longwatch.domain.bars import BarSeries
from longwatch.quick import quick

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DAILY = "1 day"
SESSIONS_A_YEAR = 252
REACH = 10
"""Half-lives, or sessions of the average true range, after which a bar counts no more: by then it weighs 1/1,000 of the
newest at most."""
BEYOND = 1e15
"""No volatility, no range and no volume comes near it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """How far back the figures look, in sessions."""

    half_life: int = 12
    atr: int = 14
    volume: int = 20


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one symbol's bars come to; None where there are too few of them, or they are not daily.

    `volatility`: annualised standard deviation of daily returns, 1e-6. `atr`: average true range, price units, 1e-6.
    `average_volume`: shares a session, whole.
    """

    volatility: Decimal | None = None
    atr: Decimal | None = None
    average_volume: Decimal | None = None


def measure(series: BarSeries, windows: Windows) -> Figures:
    """The figures as of the newest bar. Prices must be above zero, as those of sound bars are."""
    if series.bar_size != DAILY:
        return Figures()
    return Figures(
        volatility=_exact(volatility(series.adjusted, windows.half_life), 6),
        atr=_exact(average_true_range(series, windows.atr), 6),
        average_volume=_exact(average_volume(series.volume, windows.volume), 0),
    )


def volatility(closes: Sequence[float], half_life: int) -> float | None:
    """Annualised EWMA standard deviation of simple returns about zero; None below `half_life` returns.

    sqrt(252 Σ wᵏ rₜ₋ₖ² / Σ wᵏ) with w = 2^(-1/half_life), as RiskMetrics (1996, 5.2) has it; its daily decay of 0.94 is
    a half-life of 11.2, pysystemtrade's span of 35 sessions one of 11.8.
    """
    if len(closes) <= half_life:
        return None
    weights = _weights(half_life)[: len(closes) - 1]
    total = norm = 0.0
    for place, weight in zip(range(len(closes) - 1, 0, -1), weights, strict=False):
        change = closes[place] / closes[place - 1] - 1.0
        total += weight * (change * change)
        norm += weight
    return math.sqrt(SESSIONS_A_YEAR * (total / norm))


def average_true_range(series: BarSeries, sessions: int) -> float | None:
    """Wilder's (1978) average of true ranges, in price units; None below `sessions` ranges.

    The mean of the first `sessions` ranges, then (former x (sessions - 1) + range) / sessions. A range takes the former
    close in, so it needs one bar more.
    """
    ranges = list(_true_ranges(series, max(1, len(series) - REACH * sessions)))
    if len(ranges) < sessions:
        return None
    found = _mean(ranges[:sessions])
    for one in ranges[sessions:]:
        found = (found * (sessions - 1) + one) / sessions
    return found


def average_volume(volumes: Sequence[float], sessions: int) -> float | None:
    """The plain mean of the last `sessions` volumes, in shares; None below so many."""
    return None if len(volumes) < sessions else _mean(volumes[-sessions:])


def _true_ranges(series: BarSeries, start: int) -> Iterator[float]:
    for place in range(start, len(series)):
        former = series.close[place - 1]
        yield max(series.high[place], former) - min(series.low[place], former)


def _mean(values: Sequence[float]) -> float:
    total = 0.0
    for value in values:
        total += value
    return total / len(values)


def _weights(half_life: int) -> list[float]:
    return [0.5 ** (back / half_life) for back in range(REACH * half_life)]


def _exact(value: float | None, decimals: int) -> Decimal | None:
    """The figure to so many decimals; None for what is no number, or beyond all sense."""
    return None if value is None or not value < BEYOND else Decimal(f"{value:.{decimals}f}")


class Measured:
    """The figures of every day of one symbol's series, each of the last `count` bars up to that day."""

    def __init__(self, series: BarSeries, windows: Windows, count: int) -> None:
        self._is_daily = series.bar_size == DAILY
        if self._is_daily:
            self._volatility = _volatilities(series, windows.half_life, count).tolist()
            self._atr = _true_range_averages(series, windows.atr, count).tolist()
            self._volume = _volume_averages(series, windows.volume, count).tolist()

    def at(self, place: int) -> Figures:
        """The figures once the bar at this place has ended."""
        if not self._is_daily:
            return Figures()
        return Figures(
            volatility=_exact(self._volatility[place], 6),
            atr=_exact(self._atr[place], 6),
            average_volume=_exact(self._volume[place], 0),
        )


def _volatilities(series: BarSeries, half_life: int, count: int) -> NDArray[np.float64]:
    """NaN where there are too few returns."""
    import numpy as np

    found = np.full(len(series), np.nan)
    closes = np.frombuffer(series.adjusted, dtype=np.float64)
    with _whatever_the_bars():
        squares = (closes[1:] / closes[:-1] - 1.0) ** 2
        total, norm = np.zeros(len(squares)), np.zeros(len(squares))
        for back, weight in enumerate(_weights(half_life)[: min(count - 1, len(squares))]):
            total[back:] += weight * squares[: len(squares) - back]
            norm[back:] += weight
        if count > half_life:
            found[half_life:] = np.sqrt(SESSIONS_A_YEAR * (total / norm))[half_life - 1 :]
    return found


def _true_range_averages(series: BarSeries, sessions: int, count: int) -> NDArray[np.float64]:
    import numpy as np

    found = np.full(len(series), np.nan)
    high, low, close = (np.frombuffer(getattr(series, name), dtype=np.float64) for name in ("high", "low", "close"))
    with _whatever_the_bars():
        ranges = np.maximum(high[1:], close[:-1]) - np.minimum(low[1:], close[:-1])
        reach = min(REACH * sessions, count - 1)
        if reach < sessions or len(ranges) < sessions:
            return found
        # As long as the first bar is in reach, one recursion from there passes through every day's figure.
        one = _mean(ranges[:sessions].tolist())
        found[sessions] = one
        for place in range(sessions, min(reach, len(ranges))):
            one = (one * (sessions - 1) + float(ranges[place])) / sessions
            found[place + 1] = one
        if len(ranges) > reach:
            days = len(ranges) - reach + 1
            total = np.zeros(days)
            for ahead in range(sessions):
                total += ranges[ahead : ahead + days]
            total /= sessions
            for ahead in range(sessions, reach):
                total = (total * (sessions - 1) + ranges[ahead : ahead + days]) / sessions
            found[reach:] = total
    return found


def _volume_averages(series: BarSeries, sessions: int, count: int) -> NDArray[np.float64]:
    import numpy as np

    found = np.full(len(series), np.nan)
    days = len(series) - sessions + 1
    if days > 0 and count >= sessions:
        volumes, total = np.frombuffer(series.volume, dtype=np.float64), np.zeros(days)
        with _whatever_the_bars():
            for ahead in range(sessions):
                total += volumes[ahead : ahead + days]
            found[sessions - 1 :] = total / sessions
    return found


def _whatever_the_bars() -> Any:
    """Figures of flawed bars are worked out too and never asked for: numpy need not warn of them."""
    import numpy as np

    return np.errstate(all="ignore")
