"""Executions that bore nothing but a permId nobody had told yet: ours as soon as an order of ours has that permId."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.orders import OrderState
from longwatch.domain.reconciliation.causes import Cause
from tests.domain.world import ACCOUNT, SETTINGS, World, completed, of_kind, perm_id

D = Decimal


def nameless(world: World, intent: int, quantity: int, exec_id: str, **fields: object) -> None:
    """An execution of our order, with its permId and no more."""
    order = world.order(intent)
    world.executions.append(exec_id)
    world.positions[order.con_id] = world.positions.get(order.con_id, D(0)) + quantity * order.side.sign
    row = {
        "exec_id": exec_id,
        "order_id": 0,
        "client_id": 0,
        "perm_id": perm_id(intent),
        "ref": "",
        "account": ACCOUNT,
        "con_id": order.con_id,
        "symbol": order.symbol,
        "side": order.side,
        "quantity": D(quantity),
        "price": D(100),
        "cumulative": D(quantity),
        "executed_at": world.now,
    }
    world.hear(m.ExecutionSeen, **row | fields)


@pytest.mark.parametrize("how", ["open order", "status", "completed"])
def test_an_execution_told_before_its_order_is_named_becomes_ours(how: str) -> None:
    """By whatever row names the order: book, order, commission and account agree, and nothing of it is outside."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.handed(intent)
    nameless(world, intent, 40, "a.01")
    nameless(world, intent, 60, "b.01")
    world.hear(m.CommissionSeen, exec_id="b.01", commission=D(2), currency="USD")
    assert world.state.held(1) == 0 and world.state.outside[1] == ("AAA", D(100))
    match how:
        case "open order":
            world.open_order(intent)
        case "status":
            world.status(intent, "Submitted", 100)
        case _:
            world.take(completed(world.order(intent), world.now, "Filled", 100))
    order = world.order(intent)
    assert (order.state, order.filled, order.average_price, order.commission) == (OrderState.FILLED, 100, 100, 2)
    assert world.state.held(1) == 100 and 1 not in world.state.outside and not world.state.unclaimed
    assert world.state.parts[("trend", 1)].quantity == 100
    world.end(intent)
    for step in world.reconcile(rounds=3):
        (compared,) = of_kind(step.facts, m.BookCompared)
        assert compared.differences == ()


def test_a_quarantine_for_an_order_that_seemed_lost_ends_when_it_is_named() -> None:
    """Our client id under an order id nobody knows: held until the broker names it as one we know."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.handed(intent)
    nameless(world, intent, 100, "a.01", client_id=world.state.client_id, order_id=77)
    assert world.state.quarantines[1].cause is Cause.OURS_UNKNOWN
    world.open_order(intent)
    assert not world.state.quarantines and world.order(intent).state is OrderState.FILLED
    assert world.state.held(1) == 100 and not world.state.outside


def test_an_execution_of_a_stranger_stays_a_stranger_s() -> None:
    """Another permId than that of any order of ours."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.handed(intent)
    world.positions[1] = D(5)
    world.stranger("AAA", 5, "s.01")
    world.open_order(intent)
    assert world.state.held(1) == 0 and world.state.outside[1] == ("AAA", D(5))
    assert world.state.unclaimed == {990: ("s.01",)}


def test_a_correction_of_such_an_execution_is_ours_too() -> None:
    """`.02` takes the place of `.01`, before the order is named and after."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.handed(intent)
    nameless(world, intent, 40, "a.01")
    world.positions[1] = D(0)
    nameless(world, intent, 30, "a.02")
    assert world.state.outside[1] == ("AAA", D(30))
    world.open_order(intent)
    assert world.order(intent).filled == 30 and 1 not in world.state.outside
    world.positions[1] = D(0)
    nameless(world, intent, 20, "a.03")
    assert world.order(intent).filled == 20 == world.state.held(1)


def holder() -> tuple[World, int]:
    """A sale of 50 of 100 AAA, handed over; 7 more of them are somebody else's."""
    world = World.ready(replace(SETTINGS, adopt_existing=True), AAA=100)
    intent = world.one(AAA="0.05")
    world.handed(intent)
    return world, intent


def test_each_execution_leaves_what_is_outside_and_enters_the_book_as_it_was() -> None:
    """A sale's too, with price, time and permId; what else is outside stays there."""
    world, intent = holder()
    world.positions[1] += 7
    world.stranger("AAA", 7, "s.01")
    first = world.now
    nameless(world, intent, 20, "a.01", price=D(99))
    world.wait(1)
    nameless(world, intent, 30, "b.01", price=D("99.5"))
    assert world.state.outside[1] == ("AAA", D(-43)) and world.state.held(1) == 100
    step = world.open_order(intent)
    because = [f"execution {name} is of lw:k7q2:{intent}, permId {perm_id(intent)}" for name in ("a.01", "b.01")]
    assert of_kind(step.facts, m.OutsideSet) == [
        m.OutsideSet(con_id=1, symbol="AAA", quantity=D(quantity), reason=reason)
        for quantity, reason in zip((-23, 7), because, strict=True)
    ]
    plain = {"intent": intent, "con_id": 1, "symbol": "AAA", "side": Side.SELL, "tech": world.now}
    assert of_kind(step.facts, m.FillBooked) == [
        m.FillBooked(
            **plain,  # type: ignore[arg-type]
            exec_id=name,
            quantity=D(quantity),
            price=D(price),
            executed_at=at,
            replaces=name,
            perm_id=perm_id(intent),
            recounted=True,
        )
        for name, quantity, price, at in (("a.01", 20, "99", first), ("b.01", 30, "99.5", world.now))
    ]
    assert world.state.held(1) == 50 and world.state.outside[1] == ("AAA", D(7))
    assert world.order(intent).state is OrderState.FILLED


def test_an_execution_may_be_the_only_thing_that_seemed_to_be_outside() -> None:
    """A single share of it, in an instrument of which nothing is outside once it is ours; and nothing was before."""
    world, intent = holder()
    nameless(world, intent, 1, "a.01")
    world.state.outside.clear()
    step = world.open_order(intent)
    assert [one.quantity for one in of_kind(step.facts, m.OutsideSet)] == [1]
    assert world.state.held(1) == 99


def test_an_order_that_seemed_somebody_elses_counts_no_more_when_it_is_ours() -> None:
    """It was shown under its permId alone; named, it is counted once."""
    world, intent = holder()
    row = {"ref": "", "order_id": 0, "client_id": 0}
    world.open_order(intent, **row)
    assert world.state.foreign_orders[perm_id(intent)].remaining == 50
    nameless(world, intent, 20, "a.01")
    step = world.open_order(intent)
    because = f"execution a.01 is of lw:k7q2:{intent}, permId {perm_id(intent)}"
    assert of_kind(step.facts, m.OutsideSet)[0].reason == because
    assert m.ForeignOrderSet(
        perm_id=perm_id(intent), con_id=1, symbol="AAA", side=Side.SELL, remaining=D(0), status="ours"
    ) in of_kind(step.facts, m.ForeignOrderSet)
    assert perm_id(intent) not in world.state.foreign_orders
    assert not of_kind(step.facts, m.QuarantineLifted)


def test_only_the_quarantine_that_names_the_execution_ends_with_it() -> None:
    """With the reason why; one for anything else stays."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.handed(intent)
    nameless(world, intent, 100, "a.01", client_id=world.state.client_id, order_id=77)
    assert "a.01" in world.state.quarantines[1].reason
    because = f"execution a.01 is of lw:k7q2:{intent}, permId {perm_id(intent)}"
    step = world.open_order(intent)
    assert of_kind(step.facts, m.QuarantineLifted) == [m.QuarantineLifted(con_id=1, reason=because)]
    other = World.ready()
    intent = other.one(AAA="0.1")
    other.handed(intent)
    nameless(other, intent, 100, "a.01")
    other.state.quarantines[1] = m.QuarantineSet(con_id=1, symbol="AAA", reason="something else", tech=other.now)
    assert not of_kind(other.open_order(intent).facts, m.QuarantineLifted)


def test_what_lies_upon_or_beside_the_quarantine_that_names_the_execution_stays() -> None:
    """A difference laid upon it; and one for another execution that nobody here made."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.handed(intent)
    nameless(world, intent, 100, "a.01", client_id=world.state.client_id, order_id=77)
    upon = m.QuarantineSet(con_id=1, symbol="AAA", reason="position: 5 are 6", tech=world.now, cause=Cause.TRANSFER)
    world.state.quarantines[1] = replace(upon, beneath=world.state.quarantines[1])
    assert len(of_kind(world.open_order(intent).facts, m.QuarantineLifted)) == 1
    assert world.state.quarantines[1] == upon
    other = World.ready()
    intent = other.one(AAA="0.1")
    other.handed(intent)
    nameless(other, intent, 100, "a.01")
    lost = replace(upon, reason="execution b.01 of 5, order nameless", cause=Cause.OURS_UNKNOWN)
    other.state.quarantines[1] = lost
    assert not of_kind(other.open_order(intent).facts, m.QuarantineLifted)
    assert other.state.quarantines[1] == lost


def test_a_single_share_that_was_bought_is_claimed_as_bought() -> None:
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.handed(intent)
    nameless(world, intent, 1, "a.01")
    (fill,) = of_kind(world.open_order(intent).facts, m.FillBooked)
    assert (fill.side, fill.quantity, world.state.held(1)) == (Side.BUY, 1, 1)
