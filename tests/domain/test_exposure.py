"""What the account could come to hold at worst, figure by figure: what counts, on which side, at which price."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument, Side
from longwatch.domain.orders import Change, Order, OrderState, OrderType, Purpose
from longwatch.domain.positions import Holding
from longwatch.domain.reconciliation.causes import Cause
from longwatch.domain.risk.exposure import (
    SHOWN_WITHIN,
    con_ids_of,
    gross_and_net,
    is_told_late,
    paid_at_worst,
    still_there,
    surely_there,
    worst_shares,
    worst_sides,
    worst_value,
    worst_values,
)
from longwatch.domain.state import Fill, State, put_order
from tests.domain.test_unprotected import stop
from tests.domain.world import START, judged

D = Decimal
S = OrderState
READ = START + timedelta(hours=1)
TICK = timedelta(microseconds=1)
BOTH = pytest.mark.parametrize("side", list(Side))


def order(intent: int = 1, quantity: int = 10, side: Side = Side.BUY, **fields: object) -> Order:
    """An entry of AAA at a limit of 105, decided at 100."""
    common = {"order_type": OrderType.LIMIT, "limit_price": D(105), "stop_price": None, "purpose": Purpose.ENTRY}
    return replace(stop(intent, quantity), side=side, **(common | {"decision_price": D(100)} | fields))  # type: ignore[arg-type]


def foreign(perm_id: int = 77, quantity: int = 7, side: Side = Side.BUY, con_id: int = 1) -> m.ForeignOrderSet:
    return m.ForeignOrderSet(
        perm_id=perm_id, con_id=con_id, symbol="AAA", side=side, remaining=D(quantity), status="Submitted"
    )


def state_of(*orders: Order, held: int = 100, outside: int = 0, account: int | None = None) -> State:
    """AAA at a cost of 90 in the book and not ours, the account's figure of it as it should be if not said."""
    state = State()
    state.book[1] = Holding(con_id=1, symbol="AAA", quantity=D(held), average_cost=D(90))
    if outside:
        state.outside[1] = ("AAA", D(outside))
    state.account_positions[1] = ("AAA", D(held + outside if account is None else account))
    for one in orders:
        put_order(state, one)
    return state


def compared(state: State, missing: int | None, con_id: int = 1) -> State:
    """The last reading, and what it found in the account beyond the book."""
    rows: tuple[m.Difference, ...] = ()
    if missing is not None:
        rows = (
            m.Difference(con_id=9, symbol="ZZZ", book=D(0), outside=D(0), account=D(1)),
            m.Difference(con_id=con_id, symbol="AAA", book=D(0), outside=D(0), account=D(missing)),
        )
    state.compared = m.BookCompared(reason="", positions=0, orders=0, differences=rows, activity=0, tech=READ)
    return state


def quarantined(state: State, con_id: int = 1) -> State:
    state.quarantines[con_id] = m.QuarantineSet(
        con_id=con_id, symbol="AAA", reason="", tech=READ, cause=Cause.UNEXPLAINED
    )
    return state


@BOTH
def test_at_worst_every_live_order_of_one_side_fills_and_none_of_the_other(side: Side) -> None:
    """Ours and others', on top of what is held by us and by others; those that have ended and of others not."""
    other = Side.SELL if side is Side.BUY else Side.BUY
    state = state_of(
        order(1, 10, side),
        order(2, 20, side, state=S.UNKNOWN, filled=D(5)),
        order(3, 40, other),
        order(4, 80, side, con_id=2),
        order(5, 160, side, state=S.CANCELLED),
        outside=-30,
    )
    rows = [foreign(71, 1, side), foreign(72, 2, side), foreign(73, 4, other), foreign(74, 8, side, con_id=2)]
    state.foreign_orders = {row.perm_id: row for row in rows}
    assert worst_shares(state, 1, side) == 70 + side.sign * (10 + 15 + 3)
    assert worst_value(state, 1, side, D(100)) == 70 * 100 + side.sign * (25 * 105 + 3 * 100)
    assert worst_value(state, 1, side, D(110)) == 70 * 110 + side.sign * (25 * 110 + 3 * 110)
    assert worst_shares(State(), 1, side) == worst_value(State(), 1, side, D(1)) == 0


@BOTH
def test_of_a_group_the_largest_counts_in_shares_and_in_value(side: Side) -> None:
    sizes = {1: 10, 3: 30, 2: 20, 5: 25}
    rows = [order(one, size, side, oca_group="g", limit_price=D(100 + one)) for one, size in sizes.items()]
    state = state_of(*rows, order(4, 1, side, oca_group="h"))
    assert worst_shares(state, 1, side) == 100 + side.sign * 31
    assert worst_value(state, 1, side, D(100)) == 100 * 100 + side.sign * (30 * 103 + 105)
    ups, downs = worst_sides(state, {"AAA": D(100)})
    one, rest = (ups, downs) if side is Side.BUY else (downs, ups)
    assert one[1] == worst_value(state, 1, side, D(100))
    assert rest[1] == 100 * 100


@BOTH
@pytest.mark.parametrize(
    ("missing", "account", "is_doubted", "extra"),
    [
        (None, 130, False, 0),
        (None, 130, True, 30),
        (None, 70, True, 0),
        (30, 100, False, 30),
        (30, 120, False, 30),
        (30, 140, False, 40),
        (-30, 140, False, 40),
        (-30, 100, False, 0),
        (0, 100, True, 0),
    ],
)
def test_what_the_account_shows_beyond_the_book_counts_while_it_is_in_doubt(
    side: Side, missing: int | None, account: int, is_doubted: bool, extra: int
) -> None:
    """By a difference found, or under a quarantine; the figure found or that of now, whichever is larger."""
    sign = side.sign
    state = state_of(held=sign * 100, account=sign * account)
    assert worst_shares(state, 1, side) == sign * 100
    compared(state, None if missing is None else sign * missing)
    if is_doubted:
        quarantined(state)
    assert worst_shares(state, 1, side) == sign * (100 + extra)
    assert worst_value(state, 1, side, D(100)) == sign * (100 + extra) * 100
    ups, downs = worst_sides(state, {"AAA": D(100), "ZZZ": D(0)})
    assert (ups if sign > 0 else downs)[1] == sign * (100 + extra) * 100
    assert (downs if sign > 0 else ups)[1] == worst_value(state, 1, Side.SELL if sign > 0 else Side.BUY, D(100))


def test_a_quarantine_before_any_reading_doubts_what_was_told_by_itself() -> None:
    state = quarantined(state_of(account=130))
    assert worst_shares(state, 1, Side.BUY) == 130
    assert worst_shares(state, 1, Side.SELL) == 100
    assert surely_there(quarantined(state_of(account=80)), 1) == 80
    state = quarantined(state_of(account=130))
    state.account_positions.clear()
    assert worst_shares(state, 1, Side.SELL) == 0


@BOTH
@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({}, 0),
        ({"reported": D(4)}, 4),
        ({"reported": D(4), "moved_at": READ - SHOWN_WITHIN + TICK}, 0),
        ({"reported": D(4), "moved_at": None}, 0),
        ({"reported": D(4), "filled": D(1)}, 3),
        ({"reported": D(4), "filled": D(1), "taken_back": D(2)}, 1),
        ({"reported": D(1), "filled": D(4)}, 0),
        ({"reported": D(40), "filled": D(3)}, 7),
        ({"reported": D(4), "con_id": 2}, 0),
    ],
)
def test_what_the_status_told_of_well_before_the_reading_is_in_the_accounts_figure(
    side: Side, fields: dict[str, object], shown: int
) -> None:
    """Its order is counted already; never more than that may still fill, nor what executions have told of."""
    moved = {"moved_at": READ - SHOWN_WITHIN}
    one = order(1, 10, side, **(moved | fields))  # type: ignore[arg-type]
    state = compared(state_of(one, held=0, account=side.sign * 30), side.sign * 30)
    mine = one.remaining if one.con_id == 1 else D(0)
    assert worst_shares(state, 1, side) == side.sign * (mine + 30 - shown)
    other = Side.SELL if side is Side.BUY else Side.BUY
    opposite = order(2, 10, other, reported=D(4), **moved)
    put_order(state, opposite)
    assert worst_shares(state, 1, side) == side.sign * (mine + 30 - shown)
    few = compared(state_of(one, held=0, account=side.sign), side.sign)
    assert worst_shares(few, 1, side) == side.sign * (mine + max(1 - shown, 0))


@pytest.mark.parametrize(
    ("held", "outside", "there"),
    [
        (1, 0, 1),
        (100, 0, 100),
        (100, 50, 100),
        (100, -30, 70),
        (100, -130, 0),
        (-100, 0, 100),
        (-100, 30, 70),
        (-100, 130, 0),
    ],
)
def test_what_others_have_traded_away_is_not_there(held: int, outside: int, there: int) -> None:
    """Nor, surely, is what the last reading did not show."""
    state = state_of(held=held, outside=outside)
    assert still_there(state, 1) == surely_there(state, 1) == there
    sign = 1 if held > 0 else -1
    state.account_positions[1] = ("AAA", D(held + outside - sign * 20))
    assert surely_there(state, 1) == there
    compared(state, -sign * 20)
    assert (still_there(state, 1), surely_there(state, 1)) == (there, max(there - 20, 0))
    compared(state, sign * 20)
    state.account_positions[1] = ("AAA", D(held + outside + sign * 20))
    assert surely_there(state, 1) == there


@BOTH
@pytest.mark.parametrize(
    ("heard", "executed", "con_id", "is_doubted"),
    [
        (TICK, -SHOWN_WITHIN - TICK, 1, True),
        (TICK, -SHOWN_WITHIN, 1, False),
        (0 * TICK, -SHOWN_WITHIN - TICK, 1, False),
        (TICK, -SHOWN_WITHIN - TICK, 2, False),
    ],
)
def test_a_fill_heard_after_a_reading_that_should_have_shown_it_is_in_doubt(
    side: Side, heard: timedelta, executed: timedelta, con_id: int, is_doubted: bool
) -> None:
    """It counts with what is held, and not with what may surely be closed; unless the account shows it."""
    sign, other = side.sign, Side.SELL if side is Side.BUY else Side.BUY
    state = compared(state_of(held=sign * 100, account=0), None)
    assert state.compared is not None
    fill = Fill(
        exec_id="1.01",
        intent=1,
        con_id=con_id,
        symbol="AAA",
        quantity=D(sign * 100),
        price=D(90),
        executed_at=READ + executed,
        tech=READ + heard,
    )
    state.fills[fill.exec_id] = fill
    assert not is_told_late(state, con_id), "nobody knows what time it was in the market at the reading"
    state.compared = replace(state.compared, at=READ)
    assert is_told_late(state, 1) is is_doubted
    there = 0 if is_doubted else 100
    assert surely_there(state, 1) == there
    assert worst_shares(state, 1, other) == sign * there
    assert worst_shares(state, 1, side) == sign * 100
    state.account_positions[1] = ("AAA", D(sign * 100))
    assert surely_there(state, 1) == 100


@BOTH
def test_a_fill_told_late_counts_in_the_exposure_of_all_as_in_that_of_one(side: Side) -> None:
    """Heard after a reading that should have shown it, and did not; no comparison has found it yet."""
    state = compared(state_of(held=100, account=100 + 40 * side.sign), None)
    assert state.compared is not None
    state.compared = replace(state.compared, at=READ)
    late = Fill(
        exec_id="e", intent=1, con_id=1, symbol="AAA", quantity=D(40), price=D(100), executed_at=START, tech=READ + TICK
    )
    state.fills["e"] = late
    assert is_told_late(state, 1)
    assert worst_shares(state, 1, side) == 100 + 40 * side.sign
    ups, downs = worst_sides(state, {"AAA": D(90)})
    assert (ups if side is Side.BUY else downs)[1] == worst_value(state, 1, side, D(90)) == (100 + 40 * side.sign) * 90


def test_nothing_held_is_nowhere() -> None:
    state = compared(state_of(held=0, outside=5, account=5), None)
    assert still_there(state, 1) == surely_there(state, 1) == 0


@pytest.mark.parametrize(
    ("fields", "price"),
    [
        ({}, 105),
        ({"limit_price": D(95)}, 100),
        ({"limit_price": None}, 100),
        ({"limit_price": None, "stop_price": D(110)}, 110),
        ({"change": Change(number=1, quantity=D(1), limit_price=D(120), stop_price=None, asked_at=START)}, 120),
    ],
)
def test_an_order_counts_at_the_worst_it_may_be_paid_and_others_at_the_sizing_price(
    fields: dict[str, object], price: int
) -> None:
    assert paid_at_worst(order(**fields), D(100)) == price  # type: ignore[arg-type]
    assert paid_at_worst(foreign(), D(100)) == 100


def test_gross_is_the_larger_side_of_each_and_net_the_larger_side_of_all() -> None:
    ups, downs = {1: D(100), 2: D(-10), 3: D(5)}, {1: D(40), 2: D(-90), 3: D(-5)}
    assert gross_and_net(ups, downs) == (195, 95)
    assert gross_and_net({1: D(10)}, {1: D(-80)}) == (80, 80)
    assert gross_and_net({}, {}) == (0, 0)


def test_both_sides_of_every_instrument_that_anybody_holds_or_orders_or_that_is_in_doubt() -> None:
    """In one pass; what the prices do not name at its last close, else its decision, else its cost, else nothing."""
    state = state_of(order(1, 10), order(2, 20, Side.SELL), order(3, 5, con_id=2, symbol="BBB", limit_price=D(60)))
    state.book[3] = Holding(con_id=3, symbol="CCC", quantity=D(-4), average_cost=D(20))
    state.book[4] = Holding(con_id=4, symbol="DDD", quantity=D(0), average_cost=D(1))
    state.outside = {1: ("AAA", D(-30)), 5: ("EEE", D(6))}
    state.judged = {"EEE": replace(judged("AAA"), symbol="EEE", close=D(7))}
    state.foreign_orders = {77: replace(foreign(con_id=6), symbol="FFF"), 78: foreign(78, 3, Side.SELL)}
    state.account_positions[1] = ("AAA", D(70))
    ups, downs = worst_sides(state, {"AAA": D(110), "BBB": D(50), "FFF": D(2)})
    assert ups == {1: 7700 + 1100, 2: 300, 3: -80, 5: 42, 6: 14}
    assert downs == {1: 7700 - 2200 - 330, 2: 0, 3: -80, 5: 42, 6: 0}
    assert worst_values(state, {"AAA": D(110), "BBB": D(50), "FFF": D(2)}) == gross_and_net(ups, downs)
    quarantined(state)
    quarantined(state, 8)
    compared(state, 1, con_id=7)
    state.account_positions |= {1: ("AAA", D(75)), 8: ("AAA", D(-9))}
    ups, downs = worst_sides(state, {"AAA": D(110), "BBB": D(50), "FFF": D(2), "ZZZ": D(1000)})
    assert (ups[1], ups[7], ups[8], ups[9]) == (7700 + 1100 + 550, 110, 0, 1000)
    assert (downs[1], downs[7], downs[8], downs[9]) == (7700 - 2200 - 330, 0, -990, 0)


@pytest.mark.parametrize(
    ("close", "decided", "cost", "price"),
    [("70", "80", "90", 70), (None, "80", "90", 80), (None, None, "90", 90), (None, None, None, 0)],
)
def test_for_want_of_a_price_the_last_close_the_decision_or_the_cost(
    close: str | None, decided: str | None, cost: str | None, price: int
) -> None:
    state = state_of(outside=2)
    if close is not None or decided is not None:
        state.judged["AAA"] = replace(judged("AAA"), close=close and D(close))
    if decided is not None:
        put_order(state, order(1, 1, limit_price=None, decision_price=D(decided)))
    if cost is None:
        state.book.clear()
    ups, _ = worst_sides(state, {})
    held = 102 if cost is not None else 2
    bought = max(D(price), D(decided)) if decided is not None else 0
    assert ups[1] == held * price + bought


def test_instruments_are_named_wherever_their_symbol_was_heard_of() -> None:
    state = state_of(outside=1)
    state.instruments = {"BBB": Instrument(con_id=2, symbol="BBB"), "CCC": Instrument(con_id=3, symbol="CCC")}
    state.outside[4] = ("BBB", D(1))
    state.foreign_orders = {77: foreign(con_id=5), 78: replace(foreign(78, con_id=6), symbol="CCC")}
    assert con_ids_of(state, ("AAA",)) == {1, 5}
    assert con_ids_of(state, ("BBB", "ZZZ")) == {2, 4}
    assert con_ids_of(state, {"CCC"}) == {3, 6}
    assert con_ids_of(state, ()) == set()
