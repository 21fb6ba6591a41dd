"""Take-profits under a strategy's hold: they sell its part with the others', so a halt of one ends them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.decide import gate
from longwatch.domain.levels import Grade, HoldLimits
from longwatch.domain.orders import Allocation, Order, OrderState
from longwatch.domain.portfolio.parts import forbidden_part, part_of
from longwatch.domain.settings import TradeSettings
from tests.domain.test_holds import hold_back
from tests.domain.test_protection import ended, holding, sent, works
from tests.domain.test_take_profit import PAIR, cancelled, pair, profits
from tests.domain.world import World, of_kind, perm_id

D = Decimal
OFF = HoldLimits(daily_loss=None, rejections=None)
AT_ONCE = replace(OFF, strategy_drawdown=D("0.001"))
TWO = replace(PAIR, holds=OFF, allocations=(("left", D("0.5")), ("right", D("0.5"))), max_weight=D(1))


def limited(limits: HoldLimits) -> TradeSettings:
    return replace(PAIR, holds=limits)


def lost(world: World, price: str = "99") -> set[str]:
    """The closes are in, and AAA's is lower; what the holds then cancel is told by its reason."""
    world.prices["AAA"] = D(price)
    world.hear(m.SignalsEnded, run_id="signals@2", session=world.now.date(), prices=tuple(sorted(world.prices.items())))
    return {hold.grade.value for hold in world.state.holds.values()}


def two() -> tuple[World, Order, Order]:
    """300 AAA, 100 of them the left strategy's and 200 the right one's, with their stop and take-profit at work."""
    world = World.ready(TWO)
    world.targets("left", AAA="0.2")
    world.targets("right", AAA="0.4")
    (entry,) = [one.order for one in of_kind(world.rebalance().effects, m.SubmitOrder)]
    world.acknowledge(entry.intent)
    (stop,) = sent(world.fill(entry.intent, 300))
    world.end(entry.intent)
    world.status(entry.intent, "Filled")
    works(world, stop.intent)
    world.moved("AAA")
    (profit,) = profits(world.snapshot())
    works(world, profit.intent)
    return world, stop, world.order(profit.intent)


def test_a_strategys_halt_ends_it_at_once_and_it_comes_back_when_that_is_lifted() -> None:
    """The stop stays all the while; no reading under the halt places another take-profit."""
    world, stop, profit = pair(limited(AT_ONCE))
    step_before = len(world.steps)
    assert lost(world) == {"halted"}
    (step,) = [step for _, step in world.steps[step_before:]]
    assert cancelled(step) == [profit.intent]
    assert world.order(profit.intent).cancel_reason == "strategy_drawdown limit"
    ended(world, profit.intent)
    for reading in world.reconcile(3):
        assert profits(reading) == [] and cancelled(reading) == []
    assert (world.order(stop.intent).state, world.order(stop.intent).cancel_asked) == (OrderState.WORKING, False)
    world.hear(m.ControlRequested, command="resume", argument="trend", by="uid 1000")
    back = [order for reading in world.reconcile(2) for order in profits(reading)]
    assert [(order.quantity, order.limit_price) for order in back] == [(D(200), D("110.00"))]
    assert gate(world.state, back[0].intent, world.now) is None


def test_one_that_only_may_reduce_keeps_it() -> None:
    """It reduces; and it is placed under such a hold, too."""
    reduces = replace(AT_ONCE, strategy_drawdown_sets=Grade.REDUCING)
    world, _, profit = pair(limited(reduces))
    assert lost(world) == {"reducing"}
    assert not world.order(profit.intent).cancel_asked and cancelled(world.snapshot()) == []
    world, _ = holding(limited(reduces))
    assert lost(world) == {"reducing"}
    (profit,) = profits(world.snapshot())
    assert gate(world.state, profit.intent, world.now) is None


def test_none_is_placed_under_a_halt_and_one_on_its_way_is_withheld() -> None:
    """As the table of limits has it of every order that closes."""
    world, _ = holding(limited(AT_ONCE))
    assert lost(world) == {"halted"}
    assert [profits(reading) for reading in world.reconcile(3)] == [[], [], []]
    world, _ = holding(limited(OFF))
    (profit,) = profits(world.snapshot())
    hold_back(world, "trend", Grade.HALTED)
    assert gate(world.state, profit.intent, world.now) == "strategy trend is halted"


def test_found_at_work_under_a_halt_it_is_ended() -> None:
    """Whatever the hold came by: the next reading sees it."""
    world, stop, profit = pair(limited(OFF))
    hold_back(world, "trend", Grade.HALTED)
    assert cancelled(world.snapshot()) == [profit.intent]
    assert world.order(profit.intent).cancel_reason == "strategy trend is halted"
    assert not world.order(stop.intent).cancel_asked


@pytest.mark.parametrize("name", ["left", "right"])
def test_of_a_holding_of_several_the_halt_of_one_ends_it(name: str) -> None:
    """What it sells comes off each part by its size, the halted one's too; the stop stays, for all of it."""
    world, stop, profit = two()
    assert (part_of(world.state, "left", 1), part_of(world.state, "right", 1)) == (100, 200)
    assert (profit.quantity, stop.quantity) == (D(300), D(300))
    hold_back(world, name, Grade.HALTED)
    assert cancelled(world.snapshot()) == [profit.intent]
    ended(world, profit.intent)
    for reading in world.reconcile(2):
        assert profits(reading) == [] and cancelled(reading) == []
    world.hear(m.ControlRequested, command="resume", argument=name, by="uid 1000")
    (back,) = [order for reading in world.reconcile(2) for order in profits(reading)]
    assert (back.quantity, back.oca_group) == (D(300), stop.oca_group)


def test_a_halt_of_a_strategy_that_has_no_part_of_it_is_no_matter() -> None:
    """Nor is one of a strategy with shares of another instrument."""
    world, _, profit = pair(limited(OFF))
    hold_back(world, "other", Grade.HALTED)
    part = world.state.parts[("trend", 1)]
    world.state.parts[("other", 2)] = replace(part, symbol="BBB")
    world.state.parts[("other", 1)] = replace(part, quantity=D(0))
    assert cancelled(world.snapshot()) == [] and not world.order(profit.intent).cancel_asked
    world.state.parts[("other", 1)] = replace(part, quantity=D(-1))
    assert cancelled(world.snapshot()) == [profit.intent]


def test_an_order_of_no_strategy_is_forbidden_where_a_halted_one_has_a_part() -> None:
    """A flatten closes what is ours, whosesoever it is."""
    world, _ = holding(limited(OFF))
    hold_back(world, "trend", Grade.HALTED)
    halted = "strategy trend is halted"
    assert forbidden_part(world.state, 1, ()) == halted
    assert forbidden_part(world.state, 2, ()) is None
    assert forbidden_part(world.state, 1, (Allocation(strategy="other", quantity=D(-1)),)) is None
    world.hear(m.ControlRequested, command="flatten", by="uid 1000")
    assert forbidden_part(world.state, 1, ()) is None


def test_a_flatten_under_a_strategys_halt_closes_it_all() -> None:
    """It cancels what rests by itself, and nothing of the hold is in its way."""
    world, stop, profit = pair(limited(OFF))
    hold_back(world, "trend", Grade.HALTED)
    step = world.hear(m.ControlRequested, command="flatten", by="uid 1000")
    assert set(cancelled(step)) == {stop.intent, profit.intent}
    ended(world, profit.intent)
    ended(world, stop.intent)
    (exit_,) = [one.order for one in of_kind(world.rebalance().effects, m.SubmitOrder)]
    assert exit_.quantity == D(200) and perm_id(exit_.intent)
    assert gate(world.state, exit_.intent, world.now) is None
