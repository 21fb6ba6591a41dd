"""The methods of sizing against numbers worked by hand, and what holds for all of them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.domain.portfolio.methods import METHODS, Measures, portfolio_volatility, scale
from longwatch.domain.settings import SizingRules

D = Decimal
STEP = D("0.000001")
NAMES = ("AAA", "BBB", "CCC")


def rules(method: str, **changes: Any) -> SizingRules:
    return replace(SizingRules(method=method, max_leverage=D(100)), **changes)


def volatile(**volatility: str) -> dict[str, Measures]:
    return {symbol: Measures(volatility=D(value)) for symbol, value in volatility.items()}


def stopped(close: str, stop: str) -> dict[str, Measures]:
    return {"AAA": Measures(close=D(close), stop=D(stop))}


weights = st.dictionaries(
    st.sampled_from(NAMES), st.integers(-1_000_000, 1_000_000).map(lambda n: n * STEP), min_size=1
)
measured = st.builds(
    Measures,
    volatility=st.integers(1, 3_000_000).map(lambda n: n * STEP),
    close=st.integers(1, 10_000_000).map(lambda n: n * D("0.0001")),
    stop=st.integers(1, 1_000_000).map(lambda n: n * D("0.0001")),
)
measures = st.fixed_dictionaries({name: measured for name in NAMES})
some_rules = st.builds(
    SizingRules,
    method=st.sampled_from(("weights", *METHODS)),
    target_volatility=st.integers(1, 100).map(lambda n: n * D("0.01")),
    volatility_floor=st.integers(1, 100).map(lambda n: n * D("0.005")),
    correlation=st.integers(0, 100).map(lambda n: n * D("0.01")),
    max_leverage=st.integers(1, 40).map(lambda n: n * D("0.1")),
    risk_fraction=st.integers(1, 100).map(lambda n: n * D("0.001")),
)


def test_weights_are_left_as_they_are() -> None:
    """Also above any leverage: strategies may not sum to more than one, and that is theirs."""
    wanted = {"AAA": D("0.7"), "BBB": D("-0.6")}
    found = scale(wanted, rules("weights", max_leverage=D("0.5")), {})
    assert (found.weights, found.scaled, found.leverage, found.lacking) == (wanted, wanted, 1, {})


def test_a_weight_is_a_share_of_the_risk_by_volatility() -> None:
    """pysystemtrade's capital x target / (price x volatility): half of 10 % at 25 % is a fifth, at 50 % a tenth."""
    found = scale({"AAA": D("0.5"), "BBB": D("-0.5")}, rules("volatility"), volatile(AAA="0.25", BBB="0.5"))
    assert found.weights == {"AAA": D("0.2"), "BBB": D("-0.1")}
    assert found.leverage == 1


def test_a_quiet_instrument_counts_as_the_floor() -> None:
    """0.1 x 0.10 / 0.05, whether the volatility is the floor, below it, or none at all."""
    for volatility in ("0.05", "0.01", "0"):
        found = scale({"AAA": D("0.1")}, rules("volatility", volatility_floor=D("0.05")), volatile(AAA=volatility))
        assert found.weights == {"AAA": D("0.2")}
    louder = scale({"AAA": D("0.1")}, rules("volatility", volatility_floor=D("0.05")), volatile(AAA="0.050001"))
    assert louder.weights == {"AAA": D("0.199996")}


def test_sizes_are_rounded_towards_zero() -> None:
    """A third of 0.1 at 10 % of target: 0.0333333, and never more than that."""
    found = scale({"AAA": D("0.1"), "BBB": D("-0.1")}, rules("volatility"), volatile(AAA="0.3", BBB="0.3"))
    assert found.weights == {"AAA": D("0.033333"), "BBB": D("-0.033333")}


@pytest.mark.parametrize(
    ("correlation", "whole"),
    [("0", "0.05"), ("1", "0.07"), ("0.5", "0.0608276253029821968899968424520")],
)
def test_the_volatility_of_two_together(correlation: str, whole: str) -> None:
    """Risks 0.03 and 0.04: 3-4-5 without correlation, their sum with all of it, sqrt((25 + 49) / 2) half-way."""
    found = portfolio_volatility([D("0.03"), D("0.04")], D(correlation))
    assert abs(found - D(whole)) < D("1e-20")


def test_a_hedge_takes_risk_away() -> None:
    """Long 0.04 and short 0.04, fully correlated, are no risk at all; without correlation both count."""
    assert portfolio_volatility([D("0.04"), D("-0.04")], D(1)) == 0
    assert portfolio_volatility([D("0.03"), D("-0.04")], D(0)) == D("0.05")


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=6), st.integers(0, 100))
def test_the_volatility_of_many_is_that_of_their_covariance(risks: list[int], percent: int) -> None:
    """Computed another way: the square root of r'Cr with the matrix of correlations written out."""
    correlation = np.full((len(risks), len(risks)), percent / 100)
    np.fill_diagonal(correlation, 1.0)
    vector = np.array(risks, dtype=float)
    found = portfolio_volatility([D(risk) for risk in risks], D(percent) / 100)
    assert float(found) == pytest.approx(np.sqrt(max(vector @ correlation @ vector, 0.0)), rel=1e-6, abs=1e-3)


def test_a_portfolio_is_scaled_as_one() -> None:
    """Risks 0.6 x 0.05 and 0.4 x 0.10 are 5 % together: a target of 10 % doubles both."""
    wanted = {"AAA": D("0.6"), "BBB": D("0.4"), "CCC": D(0)}
    found = scale(wanted, rules("portfolio", correlation=D(0)), volatile(AAA="0.05", BBB="0.10", CCC="9"))
    assert found.weights == {"AAA": D("1.2"), "BBB": D("0.8"), "CCC": 0}


def test_a_perfect_hedge_counts_as_the_floor() -> None:
    """0.5 and -0.5 at the same volatility, fully correlated, have none: 0.02 stands for it, a fifth of 0.10."""
    wanted = {"AAA": D("0.5"), "BBB": D("-0.5")}
    found = scale(wanted, rules("portfolio", correlation=D(1)), volatile(AAA="0.2", BBB="0.2"))
    assert found.weights == {"AAA": D("2.5"), "BBB": D("-2.5")}


def test_at_the_stop_the_fraction_is_lost() -> None:
    """1 % of 100,000 at a stop 6 away from 100: 166.67 shares, 0.166666 of it; a weight is only a direction."""
    for weight in ("1", "0.000001"):
        found = scale({"AAA": D(weight)}, rules("risk", risk_fraction=D("0.01")), stopped("100", "6"))
        assert found.weights == {"AAA": D("0.166666")}
    short = scale({"AAA": D("-0.3")}, rules("risk", risk_fraction=D("0.01")), stopped("100", "6"))
    assert short.weights == {"AAA": D("-0.166666")}


def test_all_are_cut_alike_to_the_largest_leverage() -> None:
    """1.2 and 0.8 together are twice too much for 1; the parts keep their proportion, and what it was is told."""
    wanted = {"AAA": D("0.6"), "BBB": D("-0.4")}
    found = scale(wanted, rules("volatility", max_leverage=D(1)), volatile(AAA="0.05", BBB="0.05"))
    assert found.scaled == {"AAA": D("1.2"), "BBB": D("-0.8")}
    assert found.leverage == D("0.5")
    assert found.weights == {"AAA": D("0.6"), "BBB": D("-0.4")}


def test_a_leverage_just_reached_cuts_nothing() -> None:
    """At the limit is within it."""
    found = scale({"AAA": D("0.5")}, rules("volatility", max_leverage=D(1)), volatile(AAA="0.05"))
    assert (found.weights, found.leverage) == ({"AAA": D(1)}, 1)


def test_without_a_volatility_there_is_no_size_but_for_nothing() -> None:
    """The symbol is left out with a reason; the others have their sizes, and zero needs no figure."""
    known = {"AAA": Measures(), "BBB": Measures(volatility=D("0.2"))}
    wanted = {"AAA": D("0.3"), "BBB": D("0.4"), "CCC": D(0)}
    found = scale(wanted, rules("volatility"), known)
    assert found.weights == {"BBB": D("0.2"), "CCC": 0}
    assert found.lacking == {"AAA": "has too few bars for a volatility to be sized by"}


def test_without_one_volatility_a_portfolio_has_no_factor() -> None:
    """None of its symbols has a size, and each says whose figure is lacking; zero needs none."""
    known = {"AAA": Measures(volatility=D("0.2"))}
    found = scale({"AAA": D("0.3"), "BBB": D("0.4"), "CCC": D(0)}, rules("portfolio"), known)
    assert found.weights == {"CCC": 0}
    why = "BBB has too few bars for a volatility to be sized by"
    assert found.lacking == {"AAA": why, "BBB": why}


@pytest.mark.parametrize(
    "known",
    [
        {},
        {"AAA": Measures(close=D(100))},
        {"AAA": Measures(close=D(100), stop=D(0))},
        {"AAA": Measures(stop=D(2))},
    ],
)
def test_without_a_stop_or_a_price_there_is_no_size(known: dict[str, Measures]) -> None:
    """Nothing can be said of what a share loses at a stop that is nowhere, or right here."""
    found = scale({"AAA": D("0.3"), "BBB": D(0)}, rules("risk"), known)
    assert found.weights == {"BBB": 0}
    assert found.lacking == {"AAA": "has no stop, and no average true range, to be sized by"}


@given(weights, some_rules, measures)
def test_no_method_turns_a_weight_round_or_makes_something_of_nothing(
    wanted: dict[str, D], how: SizingRules, known: dict[str, Measures]
) -> None:
    """The sign is the strategy's, every symbol has a size where its figures are known, and leverage holds."""
    found = scale(wanted, how, known)
    assert found.weights.keys() == wanted.keys()
    for symbol, weight in wanted.items():
        assert found.weights[symbol] * weight >= 0
        assert bool(weight) or not found.weights[symbol]
        assert found.weights[symbol] == found.scaled[symbol] * found.leverage
    if how.method != "weights":
        assert sum(map(abs, found.weights.values())) <= how.max_leverage
        assert found.leverage <= 1


@given(weights, some_rules, measures, st.sampled_from(NAMES))
def test_more_weight_is_never_less_of_one_alone(
    wanted: dict[str, D], how: SizingRules, known: dict[str, Measures], symbol: str
) -> None:
    """Every method is monotone in a weight that stands alone."""
    low, high = sorted((wanted.get(symbol, D(0)), D("0.25")))
    one, other = (scale({symbol: weight}, how, known).weights[symbol] for weight in (low, high))
    assert one <= other


@given(weights, some_rules, measures)
def test_volatility_is_never_above_the_target(
    wanted: dict[str, D], how: SizingRules, known: dict[str, Measures]
) -> None:
    """By its own measure a portfolio's is the target at most; by volatility each has at most its weight's part."""
    portfolio = scale(wanted, replace(how, method="portfolio"), known).weights
    risks = [
        weight * max(known[symbol].volatility or D(0), how.volatility_floor) for symbol, weight in portfolio.items()
    ]
    # Rounding towards zero can take from a hedge: by a step of each weight at the most.
    slack = STEP * sum((max(known[s].volatility or D(0), how.volatility_floor) for s in portfolio), D(0))
    assert portfolio_volatility(risks, how.correlation) <= how.target_volatility + slack
    single = scale(wanted, replace(how, method="volatility"), known).weights
    for symbol, weight in single.items():
        volatility = max(known[symbol].volatility or D(0), how.volatility_floor)
        assert abs(weight) * volatility <= abs(wanted[symbol]) * how.target_volatility


@given(weights, some_rules, measures, st.sampled_from([D(2), D(10), D("0.1"), D(1000)]))
def test_the_currency_does_not_matter(
    wanted: dict[str, D], how: SizingRules, known: dict[str, Measures], factor: D
) -> None:
    """Prices and stops times a factor, as after a split or in pence: the same fractions of the capital."""
    scaled = {
        symbol: replace(one, close=(one.close or D(0)) * factor, stop=(one.stop or D(0)) * factor)
        for symbol, one in known.items()
    }
    assert scale(wanted, how, known) == scale(wanted, how, scaled)


@given(weights, some_rules, measures)
def test_what_is_lost_at_the_stop_is_the_fraction_at_most(
    wanted: dict[str, D], how: SizingRules, known: dict[str, Measures]
) -> None:
    """Of each position: its shares times the distance of its stop."""
    for symbol, weight in scale(wanted, replace(how, method="risk"), known).weights.items():
        one = known[symbol]
        assert abs(weight) / (one.close or D(1)) * (one.stop or D(0)) <= how.risk_fraction * (1 + D("1e-20"))


def test_what_lacks_a_figure_lacks_it_under_leverage_too() -> None:
    """The others are cut, and it is still named."""
    known = {"AAA": Measures(volatility=D("0.02")), "BBB": Measures()}
    found = scale({"AAA": D("0.5"), "BBB": D("0.5")}, rules("volatility", max_leverage=D(1)), known)
    assert (found.weights, found.leverage) == ({"AAA": D(1)}, D("0.4"))
    assert found.lacking.keys() == {"BBB"}
