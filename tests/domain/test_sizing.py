"""Sizing and the grids: arithmetic that holds for every input."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from longwatch.domain.instruments import Side, to_lot, to_tick
from longwatch.domain.portfolio import Caps, capped
from longwatch.domain.sizing import combine, not_through_zero, size

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
