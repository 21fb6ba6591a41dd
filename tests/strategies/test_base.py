"""Frames without copies, weights made exact or refused."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.errors import StrategyError
from longwatch.strategies.base import Bars, Needs, settle_weights
from tests.strategies.samples import FIRST, series

NEEDS = Needs(universe=("AAPL", "IBM", "MSFT"), lookback=10)


def test_frames_hold_sessions_down_and_symbols_across() -> None:
    """Columns are in alphabetical order, the index holds dates without a zone, absent bars are NaN."""
    bars = Bars({"IBM": series("IBM", [1.0, 2.0, 3.0]), "AAPL": series("AAPL", [5.0, 6.0])})
    expected = pd.DataFrame(
        {"AAPL": [5.0, 6.0, np.nan], "IBM": [1.0, 2.0, 3.0]}, index=pd.date_range(FIRST, periods=3, freq="D")
    )
    pd.testing.assert_frame_equal(bars.adjusted, expected, check_freq=False, check_index_type=False)
    assert list(bars) == ["AAPL", "IBM"]
    assert bars.close is bars.close
    for frame in (bars.open, bars.high, bars.low, bars.close):
        assert frame.shape == (3, 2)
    assert bars.volume.loc["2007-01-03", "IBM"] == 1000.0


def test_short_bars_are_indexed_by_utc_time() -> None:
    """Anything but daily bars carries instants."""
    daily = series("IBM", [1.0, 2.0])
    minute = type(daily)(
        symbol="IBM",
        bar_size="5 mins",
        **{c: getattr(daily, c) for c in ("stamps", "open", "high", "low", "close", "volume", "adjusted")},
    )
    assert str(Bars({"IBM": minute}).close.index.tz) == "UTC"


def test_a_column_is_the_series_own_memory() -> None:
    """Numpy reads the array where it lies."""
    one = series("IBM", [1.0, 2.0, 3.0])
    column = Bars({"IBM": one}).column("IBM", "close")
    assert column.tolist() == [1.0, 2.0, 3.0]
    assert column.__array_interface__["data"][0] == one.close.buffer_info()[0]


def test_weights_are_multiples_of_a_millionth_for_the_whole_universe() -> None:
    """Rounding is toward zero, float noise is not taken for less, and a symbol not named gets 0."""
    raw = {"IBM": 0.1 + 0.2, "AAPL": np.float32(0.25)}
    assert settle_weights(raw, NEEDS) == {"AAPL": Decimal("0.25"), "IBM": Decimal("0.3"), "MSFT": Decimal(0)}
    assert settle_weights({"IBM": -2 / 3}, NEEDS)["IBM"] == Decimal("-0.666666")
    assert settle_weights(pd.Series({"IBM": 1 - 0.7}), NEEDS)["IBM"] == Decimal("0.3")
    assert settle_weights({"IBM": Decimal(1)}, NEEDS)["IBM"] == Decimal(1)
    assert str(settle_weights({"IBM": -1e-12}, NEEDS)["IBM"]) == "0.000000"


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ({"AAPL": float("nan")}, "the weight of AAPL is NaN; weights must be finite numbers"),
        ({"AAPL": float("-inf")}, "the weight of AAPL is -Infinity; weights must be finite numbers"),
        ({"AAPL": None}, "the weight of AAPL is None, which is not a number"),
        ({"AAPL": True}, "the weight of AAPL is True, which is not a number"),
        ({"AAPL": "0.5"}, "the weight of AAPL is '0.5', which is not a number"),
        ({"TSLA": 0.5}, "a weight was returned for 'TSLA', which is not in the strategy's universe"),
        ({"AAPL": 0.6, "IBM": -0.5}, "absolute weights sum to 1.100000; at most 1 can be allocated"),
        ({"AAPL": 10**400}, "absolute weights sum to inf; at most 1 can be allocated"),
        ([0.5, 0.5], "weights must map symbols to numbers, and list does not"),
        (None, "weights must map symbols to numbers, and NoneType does not"),
    ],
)
def test_what_cannot_be_traded_is_refused_in_one_sentence(raw: object, sentence: str) -> None:
    """Each wrong answer has its own sentence."""
    with pytest.raises(StrategyError) as refusal:
        settle_weights(raw, NEEDS)
    assert str(refusal.value) == sentence


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=40))
def test_settled_weights_never_allocate_more_than_all(parts: list[float]) -> None:
    """Whatever floats sum to about 1, the exact weights sum to at most 1, each within a millionth of what was asked."""
    whole = max(1.0, sum(map(abs, parts)))
    raw = {f"S{n}": part / whole for n, part in enumerate(parts)}
    settled = settle_weights(raw, Needs(universe=tuple(raw), lookback=1))
    assert sum(map(abs, settled.values())) <= 1
    for symbol, weight in settled.items():
        assert abs(weight - Decimal(raw[symbol])) < Decimal("0.0000011")
        assert weight == weight.quantize(Decimal("0.000001"))


@pytest.mark.parametrize("universe", [(), ("IBM", "IBM")])
def test_a_universe_names_each_symbol_once(universe: tuple[str, ...]) -> None:
    """An empty universe or a repeated symbol is refused."""
    with pytest.raises(StrategyError, match="universe"):
        Needs(universe=universe, lookback=1)


def test_a_lookback_is_at_least_one_bar() -> None:
    """No bars, no decision."""
    with pytest.raises(StrategyError, match="at least one bar, not 0"):
        Needs(universe=("IBM",), lookback=0)
