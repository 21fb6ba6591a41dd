"""What a person's commands come to."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.orders import OrderState, Purpose
from longwatch.domain.replies import objection
from tests.domain.world import SETTINGS, World, alerts, of_kind

D = Decimal


def told(world: World, command: str, argument: str = ""):
    return world.hear(m.ControlRequested, command=command, argument=argument, by="uid 1000", reason="as agreed")


def test_a_halt_cancels_what_works_and_leaves_protective_stops() -> None:
    """No orders at all from here on; what protects a position stays at the broker."""
    world = World.ready()
    entry, stop = (order.intent for order in world.trade(AAA="0.1", BBB="0.1"))
    world.state.orders[stop] = replace(world.order(stop), purpose=Purpose.STOP)
    step = told(world, "halt")
    assert [effect.intent for effect in of_kind(step.effects, m.CancelOrder)] == [entry]
    assert (world.order(entry).cancel_asked, world.order(stop).cancel_asked) == (True, False)
    assert world.state.is_on(m.Verb.HALT)


def test_a_resume_ends_every_verb() -> None:
    """Entries pass again."""
    world = World.ready()
    told(world, "halt")
    told(world, "pause")
    told(world, "resume")
    assert world.state.verbs == {}
    assert len(world.trade(AAA="0.1")) == 1


def test_a_verb_that_holds_already_is_no_news() -> None:
    """One fact, however often it is asked for."""
    world = World.ready()
    told(world, "pause")
    assert told(world, "pause").facts == ()


def test_a_flatten_closes_at_once_what_no_order_can_still_change() -> None:
    """One unknown order in AAA does not keep BBB from being sold."""
    world = World.ready()
    for order in world.trade(AAA="0.1", BBB="0.1"):
        world.finish(order.intent)
    unknown = world.one(AAA="0.2", BBB="0.1")
    world.state.orders[unknown] = replace(world.order(unknown), state=OrderState.UNKNOWN)
    step = told(world, "flatten")
    assert [effect.reason for effect in of_kind(step.effects, m.RunJob)] == ["flatten"]
    made = of_kind(world.rebalance().effects, m.SubmitOrder)
    assert [(one.order.symbol, one.order.side.value, one.order.quantity) for one in made] == [("BBB", "SELL", 200)]


def test_a_flatten_goes_on_when_the_orders_in_its_way_have_ended() -> None:
    """Cancelled first, closed next, and nothing more once everything is gone."""
    world = World.ready()
    world.finish(world.one(AAA="0.1"))
    more = world.one(AAA="0.2")
    world.acknowledge(more)
    assert of_kind(told(world, "flatten").effects, m.RunJob) == []
    step = world.status(more, "Cancelled", 0)
    assert [effect.reason for effect in of_kind(step.effects, m.RunJob)] == ["flatten"]
    (close,) = of_kind(world.rebalance().effects, m.SubmitOrder)
    world.acknowledge(close.order.intent)
    assert of_kind(world.fill(close.order.intent, 100).effects, m.RunJob) == []
    assert world.state.held(1) == 0


def test_a_closing_order_that_is_rejected_is_not_sent_again_at_once() -> None:
    """A flatten against a read-only gateway must not become a storm of orders."""
    world = World.ready()
    world.finish(world.one(AAA="0.1"))
    told(world, "flatten")
    (close,) = of_kind(world.rebalance().effects, m.SubmitOrder)
    world.handed(close.order.intent)
    step = world.hear(m.OrderErrorSeen, order_id=close.order.order_id, code=201, text="read-only", verdict="rejected")
    assert of_kind(step.effects, m.RunJob) == []


def test_a_flatten_tells_what_it_can_not_close() -> None:
    """A position without a known contract is named, never left in silence."""
    world = World.ready()
    world.finish(world.one(AAA="0.1"))
    world.state.instruments.pop("AAA")
    told(world, "flatten")
    assert alerts(world.rebalance()) == ["not_flattened"]


@pytest.mark.parametrize("argument", ["all", "1", "lw:k7q2:1"])
def test_a_cancel_names_an_order_by_number_or_reference(argument: str) -> None:
    """Or all of them."""
    world = World.ready()
    world.acknowledge(world.one(AAA="0.1"))
    assert [effect.intent for effect in of_kind(told(world, "cancel", argument).effects, m.CancelOrder)] == [1]


def test_a_cancel_of_nothing_cancels_nothing() -> None:
    """An order that does not exist is not guessed at."""
    world = World.ready()
    world.one(AAA="0.1")
    assert told(world, "cancel", "77").effects == ()


@pytest.mark.parametrize("argument", ["AAA", "all"])
def test_adopted_shares_are_ours_at_what_the_account_says_they_cost(argument: str) -> None:
    """What was outside is in the book, the price of the day notwithstanding; the account agrees as before."""
    world = World.ready(AAA=100)
    world.targets(BBB="0.1")
    told(world, "adopt", argument)
    assert (world.state.held(1), world.state.book[1].average_cost, world.state.outside) == (100, 90, {})
    world.snapshot()
    assert world.state.compared is not None and world.state.compared.differences == ()


def test_adopted_shares_no_strategy_trades_are_not_booked_for_nothing() -> None:
    """Nobody asks their price, but the account tells what they cost."""
    world = World(positions={99: D(300)}, costs={99: D(290)})
    world.start()
    world.connect()
    world.snapshot()
    told(world, "adopt", "99")
    assert (world.state.held(99), world.state.book[99].average_cost) == (300, 290)


def test_adopted_shares_beside_ours_bring_our_average_to_the_accounts() -> None:
    """The account's average is that of both together."""
    world = World.ready(AAA=100)
    world.finish(world.one(AAA="0.1"))
    held, outside = world.state.held(1), world.state.outside[1][1]
    world.costs[1] = D(96)
    world.snapshot()
    told(world, "adopt", "AAA")
    assert world.state.held(1) == held + outside
    assert abs(world.state.book[1].average_cost - 96) < D("0.0001")


def test_a_reconcile_asks_for_the_account() -> None:
    """Beside its schedule."""
    assert of_kind(told(World.ready(), "reconcile").effects, m.RequestSnapshot)


def test_a_strategy_at_fault_leaves_its_symbols_as_they_are() -> None:
    """Its former targets are kept and not traded on; another strategy trades on."""
    world = World.ready(replace(SETTINGS, allocations=(("other", D("0.5")), ("trend", D("0.5")))))
    world.targets("other", BBB="0")
    world.finish(world.one(AAA="0.2"))
    world.targets("other", BBB="0.2")
    day = world.state.sessions[0].date
    world.hear(m.StrategyFailed, run_id="signals@2", strategy="trend", session=day, reason="it raised")
    made = of_kind(world.rebalance().effects, m.SubmitOrder)
    assert [(one.order.symbol, one.order.quantity) for one in made] == [("BBB", 200)]
    assert world.state.held(1) == 100


def test_an_orders_allocations_add_up_to_it() -> None:
    """Each strategy's part by its weight and allocation, to the last share."""
    world = World.ready(replace(SETTINGS, allocations=(("a", D("0.2")), ("b", D("0.3")), ("trend", D("0.5")))))
    for name, weight in (("a", "0.1"), ("b", "0.2"), ("trend", "0.07")):
        world.targets(name, AAA=weight)
    (effect,) = of_kind(world.rebalance().effects, m.SubmitOrder)
    parts = {part.strategy: part.quantity for part in effect.order.allocations}
    assert sum(parts.values()) == effect.order.quantity == 115
    assert parts["a"] == D("20.000000")
    assert parts["b"] == D("60.000000")


def test_adopt_all_with_nothing_outside_says_so() -> None:
    """`done` would say that something was taken."""
    world = World.ready()
    event = m.ControlRequested(at=world.now, tech=world.now, command="adopt", argument="all")
    assert "nothing beside ours" in str(objection(world.state, event))
