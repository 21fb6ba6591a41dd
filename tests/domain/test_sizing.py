"""Sizing and the grids: arithmetic that holds for every input."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.domain.instruments import Side, to_lot, to_tick
from longwatch.domain.portfolio.sizing import Clamp, Target, combine, edges, not_through_zero, size, to_edge
from longwatch.domain.portfolio.weights import Caps, Cut, capped

D = Decimal

weights = st.decimals("-2", "2", places=6)
equities = st.decimals("1", "100000000", places=2)
prices = st.decimals("0.01", "100000", places=4)
lots = st.sampled_from([D("0.0001"), D(1), D(10), D(100)])
caps = st.decimals("0.01", "1", places=2)
shares = st.integers(-10_000, 10_000).map(D)
whole = st.integers(0, 1_000_000).map(D)
sides = st.sampled_from(Side)


def sized(weight, equity, price, lot, cap, most, *, allow_short=False):
    """One symbol alone, through its caps to shares."""
    caps = Caps(allow_short=allow_short, max_weight=cap, max_net=D(10), max_gross=D(10))
    left, cuts = capped({"AAA": weight}, caps)
    return size(
        "AAA",
        left["AAA"],
        cuts.get("AAA", ()),
        equity=equity,
        price=price,
        lot=lot,
        max_weight=cap,
        max_shares=most,
    )


@given(weights, equities, prices, lots, caps, whole, st.booleans())
def test_a_size_is_never_beyond_a_cap(weight, equity, price, lot, cap, most, short) -> None:
    """Value within the weight, shares within the most, whole lots, and on the weight's side of zero."""
    found = sized(weight, equity, price, lot, cap, most, allow_short=short).shares
    assert abs(found) * price <= cap * equity
    assert abs(found) * price <= abs(weight) * equity
    assert abs(found) <= most
    assert found % lot == 0
    assert found * weight >= 0


@given(weights, equities, prices, lots, caps, whole, st.sampled_from([D("0.5"), D(1), D(25)]))
def test_a_size_is_none_or_no_fewer_than_the_broker_takes(weight, equity, price, lot, cap, most, least) -> None:
    """Too few become none, and the clamp that says so has both figures; nothing else is changed by it."""
    figures = {"equity": equity, "price": price, "lot": lot, "max_weight": cap, "max_shares": most}
    free, bound = (size("AAA", weight, (), min_size=each, **figures) for each in (D(0), least))
    if 0 < abs(free.shares) < least:
        too_few = Clamp(
            check="contract_min_size", wanted=free.shares, allowed=D(0), observed=abs(free.shares), limit=least
        )
        assert (bound.shares, bound.ceiling, bound.clamps) == (0, 0, (*free.clamps, too_few))
    else:
        assert bound == free


@given(weights, equities, prices, lots, caps, whole)
def test_long_only_never_goes_short_and_says_so(weight, equity, price, lot, cap, most) -> None:
    """A negative weight is a clamp to nothing."""
    target = sized(weight, equity, price, lot, cap, most)
    assert target.shares >= 0
    assert ("long_only" in [clamp.check for clamp in target.clamps]) == (weight < 0)


@given(weights, weights, equities, prices, lots, caps, whole)
def test_more_weight_is_never_fewer_shares(one, other, equity, price, lot, cap, most) -> None:
    """Sizing is monotone in the weight."""
    low, high = sorted((one, other))
    args = (equity, price, lot, cap, most)
    assert sized(low, *args, allow_short=True).shares <= sized(high, *args, allow_short=True).shares


@given(weights, equities, prices, lots, caps, whole, st.booleans())
def test_a_clamp_tells_a_smaller_size_and_the_limit_it_passed(weight, equity, price, lot, cap, most, short) -> None:
    """Each clamp makes the quantity smaller and names an observed value beyond its limit; the last is the result."""
    target = sized(weight, equity, price, lot, cap, most, allow_short=short)
    for clamp in target.clamps:
        assert abs(clamp.allowed) <= abs(clamp.wanted)
        assert abs(clamp.observed) > clamp.limit
    if target.clamps:
        assert target.clamps[-1].allowed == target.shares


@given(shares, shares)
def test_a_trade_ends_at_zero_rather_than_turn_a_position_round(trade, held) -> None:
    """The position after the trade has the sign it had, or none; a trade that does not turn it is left alone."""
    made = not_through_zero(trade, held)
    assert (held + made) * held >= 0
    assert abs(made) <= abs(trade)
    if (held + trade) * held >= 0:
        assert made == trade


@given(st.decimals("0.01", "100000", places=6), st.sampled_from([D("0.01"), D("0.05"), D("0.0001"), D(1)]), sides)
def test_a_limit_lies_on_the_tick_grid_and_gives_no_more_than_asked(price, tick, side) -> None:
    """A buy is rounded down and a sell up, by less than a tick."""
    limit = to_tick(price, tick, side)
    assert limit % tick == 0
    assert 0 <= (price - limit) * side.sign < tick


@given(st.decimals("-100000", "100000", places=3), lots)
def test_a_lot_is_rounded_towards_zero(quantity, lot) -> None:
    """Never more than wanted, by less than a lot."""
    found = to_lot(quantity, lot)
    assert found % lot == 0
    assert abs(found) <= abs(quantity) < abs(found) + lot


@given(
    st.dictionaries(st.sampled_from("ab"), st.dictionaries(st.sampled_from(["AAA", "BBB"]), weights)),
    st.decimals("0", "1", places=2),
    st.decimals("0", "1", places=2),
)
def test_combined_weights_are_each_strategys_share_less_the_reserve(targets, allocation, reserve) -> None:
    """The sum of everything wanted is scaled by allocation and reserve, whatever the order of the strategies."""
    allocations = {"a": allocation, "b": 1 - allocation}
    found = combine(targets.items(), allocations, reserve)
    assert found == combine(reversed(targets.items()), allocations, reserve)
    wanted = sum((allocations[name] * sum(w.values(), D(0)) for name, w in targets.items()), D(0))
    assert sum(found.values(), D(0)) == wanted * (1 - reserve)


fractions = st.integers(0, 100).map(lambda n: D(n) / 100)
targets = st.builds(
    Target,
    symbol=st.just("AAA"),
    weight=st.just(D(0)),
    shares=shares,
    ceiling=st.integers(0, 20_000).map(D),
)


def test_edges_by_hand() -> None:
    """A tenth of 200 about it; a ceiling of 210 ends it above; of a short position the signs are turned."""
    target = Target(symbol="AAA", weight=D(0), shares=D(200), ceiling=D(1000))
    assert edges(target, D("0.1")) == (180, 220)
    assert edges(replace(target, ceiling=D(210)), D("0.1")) == (180, 210)
    assert edges(replace(target, ceiling=D(100)), D("0.1")) == (180, 200)
    assert edges(replace(target, shares=D(-200)), D("0.1")) == (-220, -180)
    assert edges(replace(target, shares=D(-200), ceiling=D(210)), D("0.1")) == (-210, -180)
    assert edges(target, D(0)) == (200, 200)
    assert edges(replace(target, shares=D(0)), D("0.1")) == (0, 0)


def test_the_trade_to_an_edge_by_hand() -> None:
    """Up to the lower, down to the upper, none between or at them."""
    found = [to_edge(D(180), D(220), D(position)) for position in (100, 179, 180, 200, 220, 221, 300)]
    assert found == [80, 1, 0, 0, 0, -1, -80]


@given(targets, fractions, shares)
def test_a_buffer_is_never_traded_inside_of_and_never_left_from_within(target, fraction, position) -> None:
    """From inside nothing is traded; from outside just to the nearer edge; no edge is across zero."""
    low, high = edges(target, fraction)
    assert low <= target.shares <= high
    assert low * high >= 0
    trade = to_edge(low, high, position)
    if low <= position <= high:
        assert trade == 0
    else:
        assert position + trade == (low if position < low else high)
        assert abs(trade) <= abs(target.shares - position)


@given(targets, fractions)
def test_a_buffer_never_reaches_beyond_the_ceiling(target, fraction) -> None:
    """But for a target that is itself there."""
    assert max(map(abs, edges(target, fraction))) <= max(target.ceiling, abs(target.shares))


@given(targets, fractions, fractions, shares)
def test_a_wider_buffer_never_trades_more(target, one, other, position) -> None:
    """Churn falls with its width."""
    wide, narrow = (to_edge(*edges(target, fraction), position) for fraction in sorted((one, other), reverse=True))
    assert abs(wide) <= abs(narrow)


@given(weights, equities, prices, caps, st.booleans(), st.sampled_from([D(2), D(10), D("0.5")]))
def test_capital_and_prices_scale_alike(weight, equity, price, cap, short, factor) -> None:
    """Capital and price times a factor: the same shares; the price alone: the same value, but for a lot."""
    plenty = D(10) ** 12
    same = sized(weight, equity * factor, price * factor, D(1), cap, plenty, allow_short=short).shares
    one = sized(weight, equity, price, D(1), cap, plenty, allow_short=short).shares
    assert same == one
    more = sized(weight, equity * factor, price, D(1), cap, plenty, allow_short=short).shares
    assert abs(more - one * factor) <= max(factor, 1)


def test_a_ceiling_is_the_caps_of_an_instrument_alone_or_the_target_once_it_was_cut() -> None:
    """What was not cut may drift up to the cap on its weight, or on its shares."""
    assert sized(D("0.2"), D(1000), D(10), D(1), D("0.5"), D(100)).ceiling == 50
    assert sized(D("0.2"), D(1000), D(10), D(1), D("0.5"), D(30)).ceiling == 30
    assert sized(D("0.6"), D(1000), D(10), D(1), D("0.5"), D(100)).ceiling == 50
    assert sized(D("0.5"), D(1000), D(10), D(1), D("0.5"), D(30)).ceiling == 30
    shared = Cut(check="max_group_weight", before=D("0.4"), after=D("0.2"), observed=D("0.6"), limit=D("0.3"))
    room = {"equity": D(1000), "price": D(10), "lot": D(1), "max_weight": D("0.5"), "max_shares": D(100)}
    assert size("AAA", D("0.2"), (shared,), **room).ceiling == 20


def test_clamps_in_shares_by_hand() -> None:
    """60 shares wanted, 50 by weight, 30 by shares; what was seen and what is allowed in the unit of each cap."""
    found = sized(D("0.6"), D(1000), D(10), D(1), D("0.5"), D(30))
    assert (found.symbol, found.weight, found.shares) == ("AAA", D("0.5"), 30)
    assert found.clamps == (
        Clamp(check="max_weight", wanted=D(60), allowed=D(50), observed=D("0.6"), limit=D("0.5")),
        Clamp(check="max_position_size", wanted=D(50), allowed=D(30), observed=D(50), limit=D(30)),
    )
    assert sized(D("0.3"), D(1000), D(10), D(1), D("0.5"), D(30)).clamps == ()
    odd = sized(D("-0.9"), D(1000), D(10), D(7), D(1), D(30), allow_short=True)
    assert (odd.shares, odd.clamps[0].allowed) == (-28, -28)


@pytest.mark.parametrize(
    ("trade", "held", "made"),
    [
        ("-3", "1", "-1"),
        ("3", "-1", "1"),
        ("1", "-0.5", "0.5"),
        ("-1", "0.5", "-0.5"),
        ("-1", "1", "-1"),
        ("5", "0", "5"),
    ],
)
def test_what_would_turn_a_position_round_closes_it(trade: str, held: str, made: str) -> None:
    """However small it is; from nothing there is nothing to turn."""
    assert not_through_zero(D(trade), D(held)) == D(made)
