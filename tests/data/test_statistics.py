"""The figures of bars: against pandas and hand-worked numbers, and the same for one window as day by day."""

from __future__ import annotations

import math
from array import array
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.data import demo
from longwatch.data.statistics import Figures, Measured, Windows, measure
from longwatch.domain.bars import BarSeries
from tests.data.conftest import make_bars

D = Decimal
NONE = Figures()
DAY = [
    # high, low, close
    (11.0, 9.0, 10.0),
    (12.0, 10.0, 11.0),  # range 2
    (15.0, 14.0, 14.5),  # a gap up: 15 - 11 = 4
    (13.0, 12.0, 12.5),  # a gap down: 14.5 - 12 = 2.5
    (13.0, 12.0, 12.0),  # 1
]


def wild(steps: list[float], volumes: list[float]) -> BarSeries:
    """Bars that move by these fractions, each with a range and a gap of its own."""
    closes = list(np.cumprod([100.0, *(1 + step for step in steps)]))
    series = make_bars(closes)
    spread = [1 + abs(step) for step in [0.01, *steps]]
    return replace(
        series,
        high=array("d", (close * by for close, by in zip(closes, spread, strict=True))),
        low=array("d", (close / by for close, by in zip(closes, spread, strict=True))),
        volume=array("d", volumes[: len(closes)]),
    )


moves = st.lists(st.floats(-0.3, 0.4).map(lambda x: round(x, 4)), min_size=0, max_size=90)
wilds = moves.flatmap(
    lambda steps: st.lists(st.integers(0, 10**9).map(float), min_size=len(steps) + 1, max_size=len(steps) + 1).map(
        lambda volumes: wild(steps, volumes)
    )
)
windows = st.builds(Windows, half_life=st.integers(1, 9), atr=st.integers(1, 9), volume=st.integers(1, 30))


def test_volatility_by_hand() -> None:
    """Returns +10 %, -10 %; with a half-life of one session the older counts half: sqrt(252 x 0.01)."""
    found = measure(make_bars([100.0, 110.0, 99.0]), Windows(half_life=1, atr=5, volume=5))
    assert found == Figures(volatility=D("1.587451"))
    twice = measure(make_bars([100.0, 110.0, 132.0]), Windows(half_life=1, atr=5, volume=5))
    assert twice.volatility == D(f"{math.sqrt(252 * (0.04 + 0.005) / 1.5):.6f}")


def test_volatility_is_measured_on_the_close_that_is_adjusted() -> None:
    """A dividend or a split is no risk."""
    series = replace(make_bars([100.0, 50.0, 50.0]), adjusted=array("d", [50.0, 50.0, 50.0]))
    assert measure(series, Windows(half_life=1)).volatility == 0


def test_true_range_by_hand() -> None:
    """Ranges 2, 4, 2.5, 1, gaps included: mean of two 3, then (3 + 2.5) / 2 = 2.75, then (2.75 + 1) / 2."""
    series = make_bars([row[2] for row in DAY])
    series = replace(series, high=array("d", [r[0] for r in DAY]), low=array("d", [r[1] for r in DAY]))
    assert measure(series, Windows(atr=2)).atr == D("1.875")
    assert measure(series, Windows(atr=4)).atr == D("2.375")
    assert measure(series, Windows(atr=5)).atr is None


def test_average_volume_by_hand() -> None:
    """The mean of the last three, in whole shares."""
    series = replace(make_bars([1.0] * 4), volume=array("d", [9e9, 100.0, 200.0, 301.0]))
    assert measure(series, Windows(volume=3)).average_volume == 200
    assert measure(series, Windows(volume=5)).average_volume is None


@pytest.mark.parametrize("bars", [0, 1])
def test_of_too_few_bars_there_are_no_figures(bars: int) -> None:
    """None is not zero."""
    assert measure(make_bars([100.0] * bars), Windows(half_life=1, atr=1, volume=2)) == NONE


def test_each_figure_begins_with_the_bars_it_needs() -> None:
    """One return more than the half-life's sessions less one, a former close for a range, and no more."""
    series = make_bars([100.0, 101.0, 102.0, 103.0])
    assert measure(series, Windows(half_life=3, atr=3, volume=4)) != NONE
    short = measure(series, Windows(half_life=4, atr=4, volume=5))
    assert short == NONE


def test_of_shorter_bars_there_are_no_figures() -> None:
    """A volatility of days can't be told from hours alone."""
    series = replace(make_bars([100.0] * 60), bar_size="1 hour")
    assert measure(series, Windows()) == NONE
    assert Measured(series, Windows(), 60).at(59) == NONE


@pytest.mark.parametrize("symbol", demo.symbols())
def test_the_figures_are_those_pandas_computes(symbol: str) -> None:
    """Six years of real prices; what lies out of reach weighs less than a thousandth in the variance."""
    series = demo.load(symbol)
    frame = pd.DataFrame({name: getattr(series, name) for name in ("high", "low", "close", "adjusted", "volume")})
    squares = frame.adjusted.pct_change() ** 2
    expected = np.sqrt(252 * squares.ewm(halflife=12, adjust=True).mean()).iloc[-1]
    found = measure(series, Windows())
    assert found.volatility is not None
    assert float(found.volatility) == pytest.approx(expected, rel=2e-3)
    assert found.volatility == D(f"{np.sqrt(252 * squares[-120:].ewm(halflife=12).mean()).iloc[-1]:.6f}")
    before = frame.close.shift()
    ranges = pd.concat([frame.high - frame.low, (frame.high - before).abs(), (frame.low - before).abs()], axis=1)
    wilder = ranges.max(axis=1)[-140:].reset_index(drop=True)
    seeded = pd.concat([pd.Series([wilder[:14].mean()]), wilder[14:]])
    assert found.atr == D(f"{seeded.ewm(alpha=1 / 14, adjust=False).mean().iloc[-1]:.6f}")
    assert found.average_volume == D(f"{frame.volume[-20:].mean():.0f}")


@given(wilds, windows, st.integers(2, 100))
def test_day_by_day_the_figures_are_those_of_each_days_window(series: BarSeries, w: Windows, count: int) -> None:
    """To the last digit, however long the window is and however few bars there are."""
    measured = Measured(series, w, count)
    for place in range(len(series)):
        assert measured.at(place) == measure(series.between(max(0, place + 1 - count), place + 1), w)


@given(wilds, windows, st.sampled_from([0.25, 2.0, 1024.0]))
def test_volatility_knows_no_currency_and_a_range_is_in_it(series: BarSeries, w: Windows, factor: float) -> None:
    """Prices times a power of two change no return; a range grows by it."""
    names = ("open", "high", "low", "close", "adjusted")
    scaled = replace(series, **{n: array("d", (factor * x for x in getattr(series, n))) for n in names})  # type: ignore[arg-type]
    one, other = measure(series, w), measure(scaled, w)
    assert (one.volatility, one.average_volume) == (other.volatility, other.average_volume)
    if one.atr is not None and other.atr is not None:
        assert abs(other.atr - one.atr * D(factor)) <= D("0.000001") * max(1, D(factor))


def test_what_no_float_can_hold_is_no_figure() -> None:
    """Sound bars come nowhere near it; a figure that is no number never leaves as one."""
    series = replace(make_bars([5e-324, 1e14, 1e14]), volume=array("d", [1e300] * 3))
    assert measure(series, Windows(half_life=1, atr=9, volume=1)) == NONE
    assert Measured(series, Windows(half_life=1, atr=9, volume=1), 3).at(2) == NONE


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 7, 12, 30, 31, 40])
def test_windows_of_every_length_are_measured_alike(count: int) -> None:
    """Around what each figure needs and reaches: 3 returns, 3 ranges and 30 of them, 4 volumes."""
    series, few = demo.load("IBM").between(0, 60), Windows(half_life=3, atr=3, volume=4)
    measured = Measured(series, few, count)
    for place in range(len(series)):
        assert measured.at(place) == measure(series.between(max(0, place + 1 - count), place + 1), few)
