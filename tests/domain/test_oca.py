"""OCA groups: what counts once, when a stop is to be relied on, and what an order of its group takes from it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from longwatch.domain.instruments import Side
from longwatch.domain.orders import Change, Order, OrderState, Purpose
from longwatch.domain.positions import Holding
from longwatch.domain.risk.oca import (
    at_most,
    group_of,
    has_traded,
    is_intact,
    is_spent,
    joined,
    may_be_filled,
    others,
    summed,
)
from longwatch.domain.state import State, put_order
from tests.domain.test_unprotected import stop
from tests.domain.world import START

D = Decimal
S = OrderState
GROUP = "lw:k7q2:1"
CHANGE = Change(number=1, quantity=D(40), limit_price=None, stop_price=D(95), asked_at=START)


def member(intent: int = 1, quantity: int = 60, **fields: object) -> Order:
    return replace(stop(intent, quantity), **({"oca_group": GROUP} | fields))  # type: ignore[arg-type]


def exit_(intent: int = 2, **fields: object) -> Order:
    return member(intent, **({"purpose": Purpose.REDUCE} | fields))  # type: ignore[arg-type]


def state_of(*orders: Order, held: int = 60, account: int = 60, outside: int = 0) -> State:
    """AAA in the book, in the account, and there not ours; the orders with their groups."""
    state = State()
    state.book[1] = Holding(con_id=1, symbol="AAA", quantity=D(held), average_cost=D(90))
    state.account_positions[1] = ("AAA", D(account))
    if outside:
        state.outside[1] = ("AAA", D(outside))
    for one in orders:
        put_order(state, one)
        state.oca_groups[one.oca_group] = (*state.oca_groups.get(one.oca_group, ()), one.intent)
    return state


def test_of_each_group_the_largest_counts_and_everything_that_is_in_none() -> None:
    amounts = [("", 5), ("a", 3), ("b", 4), ("a", 7), ("", 5), ("b", 2), ("a", 6)]
    assert summed((group, D(amount)) for group, amount in amounts) == 5 + 5 + 7 + 4
    assert summed([]) == 0
    assert at_most(State(), [member(quantity=60), exit_(quantity=50), stop(3, 20)]) == 60 + 20
    assert at_most(State(), [member(quantity=60, filled=D(20)), exit_(quantity=50)]) == 50


def test_a_twin_is_in_no_group() -> None:
    """Nobody knows what the broker takes from it."""
    assert (group_of(member()), group_of(member(twin_of=9)), group_of(stop())) == (GROUP, "", "")
    assert at_most(State(), [member(), member(2, twin_of=1)]) == 120
    state = state_of(member(), member(2), member(3, twin_of=1))
    assert others(state, state.orders[3]) == []


def test_the_others_of_a_group_are_all_but_the_order_itself_also_those_that_have_ended() -> None:
    first, second, third = member(), exit_(), exit_(3, state=S.CANCELLED)
    state = state_of(first, second, third, stop(4))
    assert others(state, second) == [first, third]
    assert others(state, state.orders[4]) == []
    assert others(State(), first) == []


@pytest.mark.parametrize(
    ("fields", "is_touched"),
    [
        ({}, False),
        ({"cancel_asked": True}, True),
        ({"ending": S.CANCELLED}, True),
        ({"change": CHANGE}, True),
        ({"filled": D(1)}, True),
        ({"reported": D(1)}, True),
        ({"twin_of": 9}, True),
        ({"oca_group": ""}, True),
    ],
)
def test_a_stop_is_intact_while_nothing_of_it_has_filled_and_nobody_ends_or_changes_it(
    fields: dict[str, object], is_touched: bool
) -> None:
    """An exit enters its group then, and no other's."""
    state = state_of(member(**fields))  # type: ignore[arg-type]
    assert is_intact(state, state.orders[1]) is not is_touched
    assert joined(state, 1, Side.SELL) == (None if is_touched else state.orders[1])


def test_an_exit_joins_the_one_stop_on_its_side() -> None:
    state = state_of(member())
    assert joined(state, 1, Side.BUY) is None
    assert joined(state, 2, Side.SELL) is None
    assert joined(state_of(exit_(1)), 1, Side.SELL) is None
    assert joined(state_of(member(), member(2, oca_group="lw:k7q2:2")), 1, Side.SELL) is None
    assert joined(state_of(member(), member(2, side=Side.BUY)), 1, Side.SELL) == member()


@pytest.mark.parametrize(
    ("held", "account", "outside", "is_less"),
    [
        (60, 60, 0, False),
        (60, 61, 0, False),
        (60, 59, 0, True),
        (60, 70, 10, False),
        (60, 70, 11, True),
        (-60, -60, 0, False),
        (-60, -59, 0, True),
        (-60, -61, 0, False),
        (0, -1, 0, False),
        (0, 1, 0, True),
        (1, 0, 0, True),
    ],
)
def test_a_stop_is_not_relied_on_where_the_account_was_told_to_have_less(
    held: int, account: int, outside: int, is_less: bool
) -> None:
    """It may have traded, and nobody has told of it; of shares that are not ours it sells none."""
    state = state_of(member(), held=held, account=account, outside=outside)
    assert is_intact(state, state.orders[1]) is not is_less


def test_without_a_word_on_the_account_what_is_held_is_not_there() -> None:
    state = state_of(member())
    state.account_positions.clear()
    assert not is_intact(state, state.orders[1])


@pytest.mark.parametrize(
    ("fields", "spent"),
    [
        ({}, False),
        ({"state": S.FILLED}, True),
        ({"ending": S.FILLED}, True),
        ({"ending": S.CANCELLED, "state": S.CANCELLED}, False),
        ({"filled": D(59)}, False),
        ({"filled": D(60)}, True),
        ({"reported": D(60)}, True),
        ({"filled": D(40), "taken_back": D(20)}, True),
        ({"filled": D(39), "change": CHANGE}, False),
        ({"filled": D(40), "change": CHANGE}, True),
    ],
)
def test_an_order_is_spent_that_has_filled_in_full_or_is_told_to_have(fields: dict[str, object], spent: bool) -> None:
    """Under the smaller of its terms: with it the broker ends the group, and no stop of it is intact."""
    order = exit_(**fields)
    assert is_spent(order) is spent
    state = state_of(member(), order)
    assert is_intact(state, state.orders[1]) is not spent


def test_a_group_has_traded_when_another_of_it_has_filled_told_or_only_reported() -> None:
    for fields, traded in (({}, False), ({"filled": D(1)}, True), ({"reported": D(1)}, True)):
        state = state_of(member(), exit_(**fields))  # type: ignore[arg-type]
        assert has_traded(state, state.orders[1]) is traded
        assert has_traded(state, state.orders[2]) is False


@pytest.mark.parametrize(
    ("fields", "shares"),
    [
        ({}, 0),
        ({"reported": D(25)}, 25),
        ({"reported": D(25), "filled": D(20)}, 5),
        ({"reported": D(25), "filled": D(10), "taken_back": D(10)}, 5),
        ({"reported": D(10), "filled": D(20)}, 0),
        ({"reported": D(99), "filled": D(20)}, 40),
        ({"state": S.UNKNOWN}, 60),
        ({"state": S.UNKNOWN, "filled": D(20), "reported": D(25)}, 40),
    ],
)
def test_what_may_have_filled_unheard_is_what_the_status_tells_beyond_the_executions(
    fields: dict[str, object], shares: int
) -> None:
    """All that is left of an order whose outcome nobody knows; never more than that."""
    assert may_be_filled(member(**fields)) == shares  # type: ignore[arg-type]
