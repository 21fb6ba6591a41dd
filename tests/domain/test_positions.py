"""The arithmetic of fills: no cent appears or goes."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.domain.positions import Holding, after_fill

D = Decimal
NOTHING = Holding(con_id=1, symbol="AAA")
TINY = D("1e-15")

fills = st.lists(
    st.tuples(st.integers(-500, 500).filter(bool).map(D), st.decimals("0.01", "1000", places=2)),
    max_size=30,
)


def booked(trades) -> Holding:
    holding = NOTHING
    for signed, price in trades:
        holding = after_fill(holding, signed, price)
    return holding


@given(fills)
def test_cash_paid_is_the_cost_of_what_is_held_less_what_was_realised(trades) -> None:
    """The cash identity: cash out of all fills = shares x average cost - realised profit, over any way through zero."""
    holding = booked(trades)
    paid = sum((signed * price for signed, price in trades), D(0))
    assert abs(paid - (holding.quantity * holding.average_cost - holding.realized)) < TINY
    assert holding.quantity == sum((signed for signed, _ in trades), D(0))


@given(fills)
def test_an_average_cost_is_a_price_that_was_paid_or_nothing_is_held(trades) -> None:
    """Between the lowest and the highest price of all fills; zero when flat."""
    holding = booked(trades)
    if not holding.quantity:
        assert holding.average_cost == 0
    else:
        paid = [price for _, price in trades]
        assert min(paid) - TINY <= holding.average_cost <= max(paid) + TINY


@given(fills, st.data())
def test_a_fill_taken_back_leaves_the_cash_identity(trades, data) -> None:
    """A correction books the opposite of the former fill at its own price: the money is as if it had not been."""
    if not trades:
        return
    signed, price = data.draw(st.sampled_from(trades))
    after = after_fill(booked(trades), -signed, price)
    paid = sum((s * p for s, p in trades), D(0)) - signed * price
    assert abs(paid - (after.quantity * after.average_cost - after.realized)) < TINY


def test_crossing_zero_realises_the_old_side_and_prices_the_new() -> None:
    """100 bought at 10, 150 sold at 12: 200 realised, 50 short at 12."""
    turned = after_fill(after_fill(NOTHING, D(100), D(10)), D(-150), D(12))
    assert (turned.quantity, turned.average_cost, turned.realized) == (D(-50), D(12), D(200))


@pytest.mark.parametrize(
    ("held", "signed", "price", "after"),
    [
        ((0, 0), 1, 10, (1, 10, 0)),
        ((0, 0), -1, 10, (-1, 10, 0)),
        ((1, 10), 1, 12, (2, 11, 0)),
        ((-1, 10), -3, 12, (-4, "11.5", 0)),
        ((2, 10), -1, 12, (1, 10, 2)),
        ((-2, 10), 1, 8, (-1, 10, 2)),
        ((1, 10), -1, 12, (0, 0, 2)),
        ((-1, 10), 1, 12, (0, 0, -2)),
        ((1, 10), -2, 12, (-1, 12, 2)),
        ((-1, 10), 3, 8, (2, 8, 2)),
        ((0, 0), 0, 10, (0, 0, 0)),
    ],
    ids=str,
)
def test_each_way_a_fill_can_meet_a_holding(held, signed, price, after) -> None:
    """Opened, added to, reduced, closed, and turned round, long and short, by single shares; and a fill of none."""
    quantity, cost = held
    holding = after_fill(
        Holding(con_id=1, symbol="AAA", quantity=D(quantity), average_cost=D(cost)), D(signed), D(price)
    )
    assert (holding.quantity, holding.average_cost, holding.realized) == tuple(map(D, after))
