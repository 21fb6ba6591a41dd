"""Fills nobody told: what the account's position proves, and what it does not."""

from __future__ import annotations

from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.orders import OrderState
from tests.domain.world import World, alerts, completed, execution, of_kind

D = Decimal


def restarted(world: World) -> None:
    """The gateway comes back and has forgotten the executions; its positions are right."""
    world.hear(m.LinkLost, reason="closed")
    world.wait(200)
    world.connect()


def orphan(world: World, weight: str = "0.1") -> int:
    """An order sent, never acknowledged, whose connection ended."""
    intent = world.one(AAA=weight)
    world.handed(intent)
    restarted(world)
    return intent


def test_fills_forgotten_by_a_restarted_gateway_are_taken_from_its_word_and_the_position() -> None:
    """The completed orders say filled, the account has the shares, no execution comes: the order is filled, once."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    quantity = world.order(intent).quantity
    world.positions[1] = quantity
    world.end(intent)
    world.hear(m.LinkLost, reason="closed")
    world.take(completed(world.order(intent), world.now, "Filled", int(quantity)))
    restarted(world)
    world.reconcile(rounds=2)
    assert (world.order(intent).state, world.state.held(1)) == (OrderState.FILLED, quantity)
    assert not world.state.quarantines
    assert not of_kind(world.snapshot().facts, m.FillBooked)


def test_a_part_filled_order_that_works_on_is_brought_up_to_its_status() -> None:
    """The status says 40 are filled and so does the position: 40 are booked, and the order goes on working."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    world.positions[1] = D(40)
    world.status(intent, "Submitted", filled=40)
    world.reconcile(rounds=2)
    assert (world.order(intent).state, world.order(intent).filled) == (OrderState.WORKING, D(40))
    assert not world.state.quarantines


def test_an_unknown_order_alone_explains_what_the_account_gained_over_a_restart() -> None:
    """Sent, never acknowledged, the link gone: the position shows what it filled, and the order is settled by it."""
    world = World.ready()
    intent = orphan(world)
    world.positions[1] = D(40)
    world.reconcile(rounds=2)
    order = world.order(intent)
    assert (order.state, order.filled, world.state.held(1)) == (OrderState.INFERRED, D(40), D(40))
    assert "inferred_fill" in {key for _, step in world.steps for key in alerts(step)}


def test_one_comparison_is_not_enough() -> None:
    """An execution may still be on its way: a difference seen once proves nothing."""
    world = World.ready()
    intent = orphan(world)
    world.positions[1] = D(40)
    world.reconcile()
    assert world.order(intent).state is OrderState.UNKNOWN


@pytest.mark.parametrize("change", [5000, -10])
def test_a_difference_of_another_size_or_sign_explains_nothing(change: int) -> None:
    """More than the order could fill, or on its other side: the instrument is quarantined, the order stays unknown."""
    world = World.ready()
    world.finish(world.one(AAA="0.1"))
    intent = orphan(world, "0.3")
    world.positions[1] += D(change)
    world.reconcile(rounds=2)
    assert world.order(intent).state is OrderState.UNKNOWN
    assert world.state.quarantines


def test_an_execution_heard_after_all_takes_the_inferred_ones_place() -> None:
    """Part by part, at its own price; the book never counts a share twice."""
    world = World.ready()
    intent = orphan(world)
    world.positions[1] = D(40)
    made = [execution(world.order(intent), world.now, f"{n:04x}.01", q, "99.50") for n, q in enumerate((30, 10))]
    world.reconcile(rounds=2)
    for event in made:
        world.take(event)
        assert world.state.held(1) == D(40)
    order = world.order(intent)
    assert (order.filled, order.average_price) == (D(40), D("99.50"))
    assert not any(exec_id.startswith("inferred:") for exec_id in world.state.fills)


def test_a_later_fill_is_one_of_its_own() -> None:
    """What the order fills after the inference is added to it."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    world.positions[1] = D(40)
    world.status(intent, "Submitted", filled=40)
    world.reconcile(rounds=2)
    world.wait(5)
    world.fill(intent, 20)
    assert world.state.held(1) == world.positions[1] == D(60)
