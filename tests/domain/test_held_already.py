"""What must hold an instrument until a person has looked, heard of while it is held back for something else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal as D

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.orders import OrderState, Purpose
from longwatch.domain.reconciliation.causes import Cause
from longwatch.domain.replies import objection
from longwatch.domain.settings import StopRule
from tests.domain.test_identity import OTHER, working
from tests.domain.test_protection import FIXED
from tests.domain.test_resolution import says, unknown
from tests.domain.test_splits_hidden import (
    before_the_open,
    held_200,
    in_the_session,
    layers,
    not_permitted,
    said,
    stops_of,
    unreadable,
)
from tests.domain.test_take_profit import pair
from tests.domain.world import ACCOUNT, World, alerts, execution, open_order, perm_id

Held = Callable[[World], None]


def by_its_position(world: World) -> None:
    """The shares are gone, and nothing has told why."""
    world.positions[1] = D(0)
    world.moved("AAA")
    world.reconcile(3)
    assert world.state.quarantines[1].reason.startswith("position")


HELD: tuple[Held, ...] = (by_its_position, unreadable, not_permitted)
LIQUIDATED = {"is_liquidation": True}
LOST = {"client_id": 1, "order_id": 900, "ref": "lw:other:4"}
OF_AN_OLDER_COPY = {"client_id": 1, "order_id": 900, "ref": "lw:k7q2:77"}
MARKS = {
    "liquidation": (LIQUIDATED, Cause.LIQUIDATION, "liquidation"),
    "a lost journal": (LOST, Cause.OURS_UNKNOWN, "ours_unknown"),
    "an older copy": (OF_AN_OLDER_COPY, Cause.OURS_UNKNOWN, "ours_but_unknown"),
}


def told(world: World, exec_id: str, quantity: int, **marks: object) -> list[str]:
    """The execution of a sale by nobody we know; the alerts that it caused."""
    fields = {"client_id": 0, "order_id": 0, "ref": "", "is_liquidation": False} | marks
    what = {"con_id": 1, "symbol": "AAA", "side": Side.SELL, "quantity": D(quantity), "price": D(99)}
    step = world.hear(
        m.ExecutionSeen,
        exec_id=exec_id,
        perm_id=991,
        account=ACCOUNT,
        cumulative=D(quantity),
        executed_at=world.now,
        **(what | fields),
    )
    world.executions.append(exec_id)
    return alerts(step)


@pytest.mark.parametrize("held", HELD, ids=lambda one: one.__name__)
@pytest.mark.parametrize("whose", MARKS)
def test_a_trade_that_nobody_may_make_for_us_is_told_and_held_whatever_holds_its_instrument(
    whose: str, held: Held
) -> None:
    """Its position may be told minutes before it: book and account agree again, and nothing is bought back."""
    world, _ = held_200()
    held(world)
    before = layers(world)
    marks, cause, key = MARKS[whose]
    world.positions[1] = D(0)
    assert told(world, "0000f1.9.01", 120, **marks) == [key]
    assert told(world, "0000f1.10.01", 80, **marks) == []
    world.reconcile(4)
    world.wait(60)
    world.reconcile()
    assert (world.state.outside[1][1], world.positions[1]) == (-200, 0)
    assert layers(world) == [cause, *(one for one in before if one is Cause.NOT_PERMITTED)] or held is unreadable
    assert cause in layers(world) and world.trade(AAA="0.4") == []
    said(world, "unquarantine")
    assert cause not in layers(world)
    assert (Cause.NOT_PERMITTED in layers(world)) == (held is not_permitted)


def test_a_difference_that_an_execution_explains_in_part_holds_on_and_what_it_told_after_it() -> None:
    """Each is ended by a word of its own, or by itself."""
    world, _ = held_200()
    by_its_position(world)
    assert told(world, "0000f1.9.01", 120, **LIQUIDATED) == ["liquidation"]
    steps = world.reconcile(3)
    assert not [key for step in steps for key in alerts(step)]
    assert world.state.quarantines[1].reason.startswith("position") and layers(world)[1:] == [Cause.LIQUIDATION]
    told(world, "0000f1.10.01", 80, **LIQUIDATED)
    world.reconcile(2)
    assert layers(world) == [Cause.LIQUIDATION]
    said(world, "adopt")
    assert (layers(world), world.state.held(1)) == ([], 0)


def test_a_trade_of_a_lost_journal_hides_no_split() -> None:
    """Neither to the history that proves it nor to the stops that wait for that; booked, it leaves the other."""
    world, stop = held_200()
    before_the_open(world, stop)
    world.positions[1], world.costs[1] = D(400), D(50)
    world.prices["AAA"] = D(50)
    world.moved("AAA")
    row = open_order(world.order(1), world.now, ref="lw:k7q2:77")
    row = replace(row, perm_id=OTHER, order_id=2777)
    assert alerts(world.take(row)) == ["ours_but_unknown"]
    assert alerts(world.take(row)) == []
    assert layers(world) == [Cause.SPLIT, Cause.OURS_UNKNOWN]
    assert stops_of(in_the_session(world)) == []
    step = world.hear(
        m.DataRefreshed,
        run_id="refresh@3",
        session=world.state.sessions[1].date,
        judged=(m.SeriesJudged(symbol="AAA", bars=250, last_session=None, close=D(50), rebased=D(2)),),
    )
    assert any(isinstance(one, m.RequestSnapshot) for one in step.effects)
    in_the_session(world, 2)
    assert (layers(world), world.state.held(1)) == ([Cause.OURS_UNKNOWN], 400)


def test_two_orders_of_one_intent_are_held_though_a_fill_of_the_second_was_seen_before() -> None:
    """As a difference, which its execution explains: whether the shares are wanted a person says."""
    world, intent = working()
    world.positions[1] = D(100)
    world.moved("AAA")
    world.reconcile(3)
    assert world.state.quarantines[1].cause is Cause.LATE_FILL
    assert alerts(world.open_order(intent, perm_id=OTHER, order_id=2777)) == ["two_orders_one_intent"]
    row = execution(world.order(intent), world.now, "00018.01.01", 100, "100")
    world.executions.append("00018.01.01")
    world.take(replace(row, perm_id=OTHER))
    world.open_orders.discard(perm_id(intent))
    world.completed |= {perm_id(intent), OTHER}
    world.status(intent, "Cancelled", 0)
    world.reconcile(4)
    assert not list(world.state.live_orders()) and world.state.held(1) == world.positions[1] == 100
    assert "two orders" in world.state.quarantines[1].reason and world.trade(AAA="0.3") == []
    said(world, "unquarantine")
    world.reconcile()
    assert [order.quantity for order in world.trade(AAA="0.3")] == [200]


def test_a_word_that_the_broker_contradicts_is_held_though_its_order_was_held_for_what_it_filled() -> None:
    """The alert says `unquarantine`: nothing else may do it, and then the instrument trades again."""
    world, intent = unknown()
    world.positions[1] = D(60)
    world.moved("AAA")
    world.reconcile(4)
    assert world.state.quarantines[1].cause is Cause.LATE_FILL
    says(world, f"{intent} cancelled")
    world.positions[1] = D(100)
    world.executions.append("00019.01.01")
    step = world.take(execution(world.order(intent), world.now, "00019.01.01", 100, "100"))
    assert "resolution_contradicted" in alerts(step)
    world.reconcile(4)
    assert world.order(intent).state is OrderState.FILLED and world.state.held(1) == 100
    assert "was resolved as cancelled" in world.state.quarantines[1].reason and world.trade(AAA="0.3") == []
    said(world, "unquarantine")
    world.reconcile()
    assert [order.quantity for order in world.trade(AAA="0.3")] == [200]


@pytest.mark.parametrize(("sold", "left"), [(200, "cancelled"), (150, 50), (0, 200), (-40, 200)])
@pytest.mark.parametrize("whose", ["a lost journal", "an older copy"])
def test_a_stop_for_more_than_an_unknown_order_of_ours_left_is_made_smaller_and_nothing_else(
    whose: str, sold: int, left: int | str
) -> None:
    """Rested it on, it would turn the account round; none is enlarged, moved or placed for such an order."""
    world, stop = held_200()
    marks, _, _ = MARKS[whose]
    world.positions[1] = D(200 - sold)
    if sold:
        told(world, "0000f1.9.01", abs(sold), **(marks | {"side": Side.SELL if sold > 0 else Side.BUY}))
    else:
        row = open_order(world.order(1), world.now, ref=str(marks["ref"]))
        world.take(replace(row, perm_id=OTHER, order_id=2777))
        world.state.quarantines.setdefault(
            1, m.QuarantineSet(con_id=1, symbol="AAA", reason="found", tech=world.now, cause=Cause.OURS_UNKNOWN)
        )
    world.prices["AAA"] = D(120)
    world.hear(m.ConfigLoaded, settings=replace(FIXED, stop=StopRule(fraction=D("0.03"))), sha256="nearer")
    world.reconcile(3)
    order = world.order(stop.intent)
    assert layers(world) == [Cause.OURS_UNKNOWN]
    assert order.cancel_asked is (left == "cancelled")
    assert (order.change.quantity if order.change else order.quantity) == (200 if left == "cancelled" else left)
    assert (order.change is None) is (left != 50)
    assert [one.intent for one in world.state.orders.values() if one.purpose is Purpose.STOP] == [stop.intent]


def test_a_stop_under_orders_of_a_lost_journal_follows_an_account_that_has_less_and_no_execution() -> None:
    """Once two readings have shown it so: it is not made larger again, and a position may follow its execution."""
    world, stop = held_200()
    told(world, "0000f1.9.01", 40, **(LOST | {"side": Side.BUY}))
    world.hear(m.TimeReached)
    world.positions[1] = D(240)
    world.reconcile(2)
    assert world.order(stop.intent).change is None
    world.positions[1] = D(140)
    world.reconcile()
    assert world.order(stop.intent).change is None
    world.reconcile(2)
    change = world.order(stop.intent).change
    assert change is not None and change.quantity == 100


@pytest.mark.parametrize(("sold", "is_cancelled"), [(200, True), (0, False)])
def test_a_take_profit_for_more_than_an_unknown_order_of_ours_left_goes(sold: int, is_cancelled: bool) -> None:
    """As its stop does."""
    world, stop, profit = pair()
    held = int(world.state.held(1))
    world.positions[1] = D(held - sold)
    told(world, "0000f1.9.01", sold or 10, **(LOST | {"side": Side.SELL if sold else Side.BUY}))
    world.positions[1] += 0 if sold else 10
    world.reconcile(2)
    assert [world.order(one.intent).cancel_asked for one in (stop, profit)] == [is_cancelled, is_cancelled]


@pytest.mark.parametrize("outside", [0, 30])
def test_a_word_that_adopts_takes_no_difference_that_its_quarantine_told_nobody_of(outside: int) -> None:
    """A stop's fill on its way, its position told first: adopted, the shares would be sold twice in the book."""
    world, stop = held_200()
    not_permitted(world)
    if outside:
        world.positions[1] += outside
        told(world, "0000f1.9.01", outside, side=Side.BUY)
        world.reconcile()
    world.positions[1] = D(outside)
    world.moved("AAA")
    event = m.ControlRequested(
        at=world.now, tech=world.now, command="adopt", argument="AAA", by="uid 1000", reason="looked into"
    )
    why = objection(world.state, event)
    assert (why is None) is bool(outside) and (why is None or "quarantined for something else (not permitted" in why)
    step = world.take(event)
    assert alerts(step) == ["unexplained_difference"] and world.state.held(1) == 200 + outside
    world.positions[1] += 200
    world.fill(stop.intent, 200, price="95")
    world.end(stop.intent)
    world.status(stop.intent, "Filled")
    world.reconcile(3)
    assert world.state.held(1) == world.positions[1] == outside
    assert layers(world) == [Cause.NOT_PERMITTED]


def test_a_fill_that_was_taken_back_is_adopted_where_a_message_could_not_be_read() -> None:
    """That message may have been all that told of it, and nothing is told again."""
    world, _ = held_200()
    unreadable(world)
    world.positions[1] = D(290)
    world.moved("AAA")
    world.reconcile()
    said(world, "adopt")
    assert (world.state.held(1), 1 in world.state.outside) == (290, False)


def test_a_fill_on_its_way_is_not_adopted_where_a_message_could_not_be_read() -> None:
    """Its execution would count again: the stop that may have made the difference is named."""
    world, stop = held_200()
    unreadable(world)
    world.positions[1] = D(0)
    world.moved("AAA")
    event = m.ControlRequested(
        at=world.now, tech=world.now, command="adopt", argument="AAA", by="uid 1000", reason="looked into"
    )
    assert f"{stop.ref} (SELL 200 AAA) may have made the difference" in (objection(world.state, event) or "")
    world.take(event)
    assert world.state.held(1) == 200
