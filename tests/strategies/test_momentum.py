"""The built-in strategy against its formula, written down a second time with pandas."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pandas as pd
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longwatch.strategies.base import Bars
from longwatch.strategies.momentum import Momentum, MomentumParameters
from tests.strategies.samples import context, series, walk

UNIVERSE = tuple("ABCDEFGH")
PARAMETERS = MomentumParameters(universe=UNIVERSE, lookback=120, skip=20, top=3, volatility_window=60)


def market(drift: float = 0.0005, count: int = 200) -> dict[str, object]:
    return {symbol: walk(symbol, seed, count, drift) for seed, symbol in enumerate(UNIVERSE)}


def reference(bars: Bars, top: int = 3) -> dict[str, float]:
    """The formula in pandas."""
    prices: pd.DataFrame = bars.adjusted
    momentum = prices.iloc[-21] / prices.iloc[-121] - 1
    risen = momentum[momentum > 0].sort_values(ascending=False)
    held = [symbol for symbol in momentum.sort_values(ascending=False).index[:top] if symbol in risen.index]
    inverse = 1 / prices.pct_change().iloc[-60:].std()[held]
    return dict(inverse / inverse.sum())


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.floats(-0.002, 0.002))
def test_weights_are_the_documented_formula(seed: int, drift: float) -> None:
    """Rank by past return without the last month, weigh by inverse volatility, sum to 1 or to nothing."""
    bars = Bars({symbol: walk(symbol, seed + n, 200, drift) for n, symbol in enumerate(UNIVERSE)})
    weights, memory = Momentum(PARAMETERS).target_weights(bars, context(bars["A"]))
    assert weights == pytest.approx(reference(bars), abs=1e-12)
    assert memory == {}


def test_nothing_that_fell_is_held_unless_asked() -> None:
    """In a falling market everything stays in cash; `positive_only: false` holds the least bad."""
    bars = Bars(market(drift=-0.02))
    assert Momentum(PARAMETERS).target_weights(bars, context(bars["A"]))[0] == {}
    bold = PARAMETERS.model_copy(update={"positive_only": False})
    weights, _ = Momentum(bold).target_weights(bars, context(bars["A"]))
    assert len(weights) == 3 and sum(weights.values()) == pytest.approx(1)


def test_the_last_month_does_not_count() -> None:
    """A symbol that soared within the skipped sessions ranks by what came before."""
    flat = [100.0 + 0.01 * (n % 2) for n in range(200)]
    early = [price * (1 + 0.001 * min(n, 170)) for n, price in enumerate(flat)]
    late = [*flat[:181], *(price * 2 for price in flat[181:])]
    bars = Bars({"A": series("A", early), "B": series("B", late)})
    one = PARAMETERS.model_copy(update={"universe": ("A", "B"), "top": 1, "positive_only": False})
    assert list(Momentum(one).target_weights(bars, context(bars["A"]))[0]) == ["A"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda one: one.between(100, 200),
        lambda one: one.between(0, 199),
        lambda one: series("A", [*one.close[:-1], float("nan")]),
        lambda one: series("A", [*one.close[:-1], 0.0]),
        lambda one: series("A", [50.0] * 200),
        None,
    ],
    ids=["too short", "no bar of the session", "NaN", "zero", "no volatility", "missing"],
)
def test_a_flawed_symbol_is_skipped_and_the_others_are_held(spoil) -> None:
    """The weights are those of a universe without the flawed symbol."""
    whole = market()
    others = {symbol: one for symbol, one in whole.items() if symbol != "A"}
    spoilt = others | ({"A": spoil(whole["A"])} if spoil else {})
    moment = context(whole["B"])
    expected, _ = Momentum(PARAMETERS).target_weights(Bars(others), moment)
    found, _ = Momentum(PARAMETERS).target_weights(Bars(spoilt), moment)
    assert found == expected and "A" not in found


def test_equal_scores_are_ranked_by_name() -> None:
    """Ties do not depend on the order of the input."""
    same = walk("A", 7, 200, 0.001)
    bars = Bars({symbol: replace(same, symbol=symbol) for symbol in reversed(UNIVERSE)})
    assert list(Momentum(PARAMETERS).target_weights(bars, context(same))[0]) == ["A", "B", "C"]


def test_a_cap_leaves_the_rest_in_cash() -> None:
    """What `max_weight` cuts is not given to the others."""
    bars = Bars(market(0.003))
    capped = PARAMETERS.model_copy(update={"max_weight": 0.2})
    weights, _ = Momentum(capped).target_weights(bars, context(bars["A"]))
    assert list(weights.values()) == [0.2, 0.2, 0.2]


def test_held_for_a_month_weights_change_with_the_month_only() -> None:
    """Memory carries the weights from the month's first session to its last."""
    monthly = Momentum(PARAMETERS.model_copy(update={"hold": "month"}))
    whole = market()
    memory: dict[str, object] = {}
    chosen: dict[date, dict[str, float]] = {}
    for last in range(150, 200):
        bars = Bars({symbol: one.between(0, last) for symbol, one in whole.items()})
        moment = context(bars["A"], memory=memory)
        weights, memory = monthly.target_weights(bars, moment)
        chosen[moment.session] = dict(weights)
    for session, weights in chosen.items():
        first = min(other for other in chosen if (other.year, other.month) == (session.year, session.month))
        assert weights == chosen[first]
    assert len({str(weights) for weights in chosen.values()}) == len({(s.year, s.month) for s in chosen})


def test_weights_remembered_for_another_universe_are_chosen_anew() -> None:
    """After a change of parameters the memory does not ask for a symbol that is gone."""
    monthly = Momentum(PARAMETERS.model_copy(update={"hold": "month"}))
    bars = Bars(market())
    moment = context(bars["A"])
    old = {"month": f"{moment.session:%Y-%m}", "weights": {"GONE": 1.0}}
    assert "GONE" not in monthly.target_weights(bars, context(bars["A"], memory=old))[0]


def test_needs_one_bar_more_than_the_longer_window() -> None:
    """A return over n sessions takes n + 1 prices."""
    assert Momentum(PARAMETERS).needs().lookback == 121
    assert Momentum(MomentumParameters(lookback=30, skip=0, volatility_window=90)).needs().lookback == 91


@pytest.mark.parametrize("wrong", [{"skip": 252}, {"top": 0}, {"lookbak": 20}, {"max_weight": 1.5}])
def test_wrong_parameters_are_refused(wrong: dict[str, object]) -> None:
    """Bounds, cross-checks and unknown names."""
    with pytest.raises(pydantic.ValidationError):
        MomentumParameters(**wrong)
