"""The indexes of the state's fold: after whatever was heard they say what walking through all orders says."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.orders import TERMINAL, Change, Order, OrderState, Purpose
from longwatch.domain.risk.attached import may_trade
from longwatch.domain.risk.exposure import paid_at_worst, worst_sides, worst_value
from longwatch.domain.state import State, put_order
from longwatch.domain.working import AtWork, at_work
from longwatch.journal.checkpoints import decoded, encoded, snapshot
from tests.domain.play import Play, played, plays
from tests.domain.test_exposure import foreign, order, state_of
from tests.domain.world import START, SYMBOLS

D = Decimal


def most(orders: list[Order], side: Side, worth) -> Decimal:
    """What orders of one side come to; of an OCA group the most that one of it comes to."""
    groups: dict[object, Decimal] = {}
    for one in orders:
        if one.side is side:
            key = one.oca_group if one.oca_group and one.twin_of is None else one.intent
            groups[key] = max(worth(one), groups.get(key, D(0)))
    return sum(groups.values(), D(0))


def walked(orders: list[Order], state: State) -> AtWork:
    """An instrument's row of the index, by walking through its live orders."""

    def shares(one: Order) -> Decimal:
        return may_trade(state, one)

    def cost(one: Order) -> Decimal:
        return may_trade(state, one) * one.worst_price

    return AtWork(
        intents=tuple(one.intent for one in orders),
        buys=most(orders, Side.BUY, shares),
        sells=most(orders, Side.SELL, shares),
        buys_cost=most(orders, Side.BUY, cost),
        sells_cost=most(orders, Side.SELL, cost),
        entries_cost=sum((cost(one) for one in orders if one.purpose is Purpose.ENTRY), D(0)),
        purchases_cost=sum((one.remaining * one.worst_price for one in orders if one.side is Side.BUY), D(0)),
        told=sum((one.commission_told or D(0) for one in orders), D(0)),
        untold=tuple(one.at_most for one in orders if one.commission_told is None),
        least=min(one.worst_price for one in orders),
        most=max(one.worst_price for one in orders),
    )


def assert_true(state: State) -> None:
    """Every index against all orders there are."""
    orders = state.orders.values()
    assert set(state.live) == {one.intent for one in orders if one.state not in TERMINAL}
    assert set(state.unknown) == {one.intent for one in orders if one.state is OrderState.UNKNOWN}
    for con_id in {one.con_id for one in orders}:
        of_it = [one for one in orders if one.con_id == con_id]
        assert state.made_in[con_id] == tuple(one.intent for one in of_it)
        live = [state.orders[intent] for intent in state.live if state.orders[intent].con_id == con_id]
        assert state.live_in(con_id) == live
        assert state.at_work.get(con_id) == (walked(live, state) if live else None)
    assert state.at_work.keys() | state.made_in.keys() == {one.con_id for one in orders}


class Walked(Play):
    """A play that looks at the indexes after every fact."""

    seen: int = 0

    def folded(self, fact: m.Fact) -> None:
        assert_true(self.state)
        type(self).seen += len(self.state.live) > 1


@settings(max_examples=60)
@given(plays)
def test_after_any_fact_the_indexes_say_what_walking_through_all_orders_says(acts) -> None:
    """Also in a state that comes back from a checkpoint, and in a copy for another thread."""
    play = played(acts, Walked())
    again = decoded(encoded(play.state))
    assert_true(again)
    assert again.at_work == play.state.at_work == snapshot(play.state).at_work
    assert (again.made_in, again.unknown) == (play.state.made_in, play.state.unknown)


@settings(max_examples=60)
@given(plays, st.sampled_from([D(1), D(60), D(99), D(101), D(500)]))
def test_exposure_by_the_index_is_that_of_every_live_order_by_itself(acts, price: Decimal) -> None:
    """Below, among and above what the orders may cost; `worst_sides` of all and `worst_value` of one agree."""
    state = played(acts).state
    state.compared, state.quarantines = None, {}
    ups, downs = worst_sides(state, dict.fromkeys(SYMBOLS.values(), price))
    for con_id in SYMBOLS:
        held = state.held(con_id) + state.outside.get(con_id, ("", D(0)))[1]
        for side, values in ((Side.BUY, ups), (Side.SELL, downs)):
            ours = [one for one in state.orders.values() if one.con_id == con_id]
            value = held * price + side.sign * most(ours, side, lambda one: one.remaining * paid_at_worst(one, price))
            value += sum(
                row.remaining * side.sign * paid_at_worst(row, price)
                for row in state.foreign_orders.values()
                if row.con_id == con_id and row.side is side
            )
            assert worst_value(state, con_id, side, price) == values.get(con_id, D(0)) == value


@settings(max_examples=60)
@given(plays)
def test_a_state_besides_an_order_is_the_state_without_it(acts) -> None:
    """As it would be if that order had ended; the state itself stays what it was."""
    state = played(acts).state
    for intent in state.orders:
        other, ended = state.besides(state.orders[intent]), snapshot(state)
        put_order(ended, replace(state.orders[intent], state=OrderState.ABSENT))
        for name in ("live", "unknown", "at_work", "made_in"):
            assert getattr(other, name) == getattr(ended, name), name
        assert_true(state)


@pytest.mark.parametrize("price", [90, 100, 105, 107, 110, 120])
def test_orders_at_several_prices_count_each_at_its_own(price: int) -> None:
    """At or below the least of them, at or above the dearest, and between; groups and changes under way among them."""
    change = Change(number=1, quantity=D(70), limit_price=D(110), stop_price=None, asked_at=START)
    orders = [
        order(1, 10, limit_price=D(105)),
        order(2, 20, limit_price=D(100), change=change),
        order(3, 5, Side.SELL, limit_price=D(108)),
        order(4, 40, Side.SELL, oca_group="g", limit_price=D(101)),
        order(5, 41, Side.SELL, oca_group="g", limit_price=D(100), purpose=Purpose.REDUCE),
        order(6, 9, Side.SELL, oca_group="g", twin_of=4),
    ]
    state = state_of(*orders)
    assert state.at_work[1] == walked(orders, state)
    at = {side: most(orders, side, lambda one: one.remaining * paid_at_worst(one, D(price))) for side in Side}
    ups, downs = worst_sides(state, {"AAA": D(price)})
    assert (ups[1], downs[1]) == (100 * price + at[Side.BUY], 100 * price - at[Side.SELL])
    assert worst_value(state, 1, Side.BUY, D(price)) == ups[1]
    assert worst_value(state, 1, Side.SELL, D(price)) == downs[1]


def test_what_is_ordered_or_others_hold_counts_where_nothing_of_ours_is_held() -> None:
    """An instrument new to the book, one only others have, one only others order, and one that was sold."""
    state = state_of(order(1, 10, con_id=2, symbol="BBB"), held=0)
    state.outside[3] = ("CCC", D(-7))
    state.foreign_orders[77] = foreign(77, 2, Side.SELL, con_id=4)
    ups, downs = worst_sides(state, {"AAA": D(90), "CCC": D(11)})
    assert ups == {2: D(1050), 3: D(-77), 4: D(0)}
    assert downs == {2: D(0), 3: D(-77), 4: D(-180)}


def test_a_row_is_of_the_orders_as_they_are() -> None:
    """A fill, a change of terms, an outcome that becomes unknown, an end and another life are each seen."""
    state = state_of(first := order(1, 10), order(2, 5))
    rows = [state.at_work[1]]
    for version in (
        replace(first, filled=D(4)),
        replace(first, limit_price=D(107)),
        replace(first, state=OrderState.UNKNOWN),
        replace(first, state=OrderState.CANCELLED),
        first,
    ):
        put_order(state, version)
        assert_true(state)
        rows.append(state.at_work[1])
    assert [row.intents for row in rows] == [(1, 2), (1, 2), (1, 2), (1, 2), (2,), (2, 1)]
    assert [row.buys for row in rows] == [15, 11, 15, 15, 5, 15]
    assert at_work([first]).entries_cost == 1050


CHANGE = Change(number=1, quantity=D(70), limit_price=D(110), stop_price=None, asked_at=START)


@pytest.mark.parametrize(
    ("former", "fields"),
    [
        ({}, {"filled": D(4)}),
        ({}, {"quantity": D(12)}),
        ({}, {"change": CHANGE}),
        ({"change": CHANGE}, {"change": None}),
        ({}, {"limit_price": D(107)}),
        ({"limit_price": None, "stop_price": D(108)}, {"stop_price": D(109)}),
        ({"limit_price": None}, {"decision_price": D(101)}),
        ({"oca_group": "g"}, {"oca_group": ""}),
        ({"oca_group": "g"}, {"twin_of": 2}),
        ({}, {"purpose": Purpose.REDUCE}),
        ({}, {"side": Side.SELL}),
    ],
)
def test_a_row_is_made_anew_for_each_thing_that_it_is_made_of(
    former: dict[str, object], fields: dict[str, object]
) -> None:
    """Of an order that goes on living, with others of its instrument and group beside it."""
    state = state_of(order(1, 10, **former), order(2, 40, oca_group="g"), order(3, 1))
    assert_true(state)
    before = state.at_work[1]
    put_order(state, replace(state.orders[1], **fields))  # type: ignore[arg-type]
    assert_true(state)
    assert state.at_work[1] != before


@pytest.mark.parametrize(
    ("entry", "stop", "sells"),
    [
        ({}, {}, 0),
        ({"filled": D(4)}, {}, 4),
        ({"taken_back": D(4)}, {}, 4),
        ({"change": replace(CHANGE, quantity=D(7))}, {}, 3),
        ({"state": OrderState.CANCELLED, "filled": D(4)}, {}, 10),
        ({}, {"quantity": D(12)}, 2),
        ({}, {"quantity": D(8)}, 0),
        ({}, {"twin_of": 2}, 10),
        ({}, {"attached_to": None}, 10),
        ({"intent": 9}, {}, 10),
    ],
)
def test_a_stop_that_left_with_its_entry_counts_beyond_what_that_has_left(
    entry: dict[str, object], stop: dict[str, object], sells: int
) -> None:
    """In shares, at its own price; one that is a second order at the broker, or is with no entry, counts in full."""
    fields = {"purpose": Purpose.STOP, "limit_price": None, "stop_price": D(95), "attached_to": 1}
    held = replace(order(2, 10, Side.SELL, decision_price=D(96)), **(fields | stop))  # type: ignore[arg-type]
    state = state_of(replace(order(1, 10), **entry), held)  # type: ignore[arg-type]
    assert_true(state)
    assert (state.at_work[1].sells, state.at_work[1].sells_cost) == (sells, sells * 96)
    _, downs = worst_sides(state, {"AAA": D(100)})
    assert downs[1] == 100 * 100 - sells * 100
