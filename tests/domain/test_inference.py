"""Fills nobody told: what the account's position proves, and what it does not."""

from __future__ import annotations

from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.orders import OrderState
from tests.domain.world import World, alerts, completed, execution, of_kind

D = Decimal


def traded() -> World:
    """A world that has bought BBB today, by an execution that was heard."""
    world = World.ready()
    world.finish(world.one(BBB="0.2"), price="50")
    world.wait(5)
    return world


def bought(world: World, weight: str = "0.1") -> int:
    """The intent of an order for AAA; BBB stays."""
    return world.one(AAA=weight, BBB="0.2")


def connected_again(world: World) -> None:
    """The link goes and comes back, to a gateway that shows what it showed."""
    world.hear(m.LinkLost, reason="closed")
    world.wait(200)
    world.connect()


def restarted(world: World) -> None:
    """The gateway comes back and has forgotten the executions; its positions are right."""
    world.executions.clear()
    connected_again(world)


def orphan(world: World, weight: str = "0.1") -> int:
    """An order sent, never acknowledged, whose connection ended; the gateway was started anew since."""
    intent = bought(world, weight)
    world.handed(intent)
    restarted(world)
    return intent


def filled_unheard(world: World, intent: int) -> None:
    """The account has all the order was for."""
    order = world.order(intent)
    world.positions[order.con_id] = world.positions.get(order.con_id, D(0)) + order.remaining * order.side.sign


def inferred(world: World) -> list[str]:
    return [exec_id for exec_id in world.state.fills if exec_id.startswith("inferred:")]


def left_to_a_person(world: World, intent: int, state: OrderState = OrderState.UNKNOWN) -> bool:
    """Nothing concluded: the order is as it was, the book too, and the instrument is quarantined."""
    order = world.order(intent)
    return (order.state, inferred(world), set(world.state.quarantines)) == (state, [], {1})


def test_fills_forgotten_by_a_restarted_gateway_are_taken_from_its_word_and_the_position() -> None:
    """The completed orders say filled, the account has the shares, no execution comes: the order is filled, once."""
    world = traded()
    intent = bought(world)
    world.acknowledge(intent)
    quantity = world.order(intent).quantity
    filled_unheard(world, intent)
    world.end(intent)
    world.hear(m.LinkLost, reason="closed")
    world.take(completed(world.order(intent), world.now, "Filled", int(quantity)))
    restarted(world)
    world.reconcile(rounds=2)
    assert (world.order(intent).state, world.state.held(1)) == (OrderState.FILLED, quantity)
    assert not world.state.quarantines
    assert not of_kind(world.snapshot().facts, m.FillBooked)


def test_a_part_filled_order_that_works_on_is_brought_up_to_its_status() -> None:
    """The status of a restarted gateway says 40, and so does the position: 40 are booked, and the order works on."""
    world = traded()
    intent = bought(world)
    world.acknowledge(intent)
    world.positions[1] = D(40)
    restarted(world)
    world.status(intent, "Submitted", filled=40)
    world.reconcile(rounds=2)
    assert (world.order(intent).state, world.order(intent).filled) == (OrderState.WORKING, D(40))
    assert not world.state.quarantines


def test_an_unknown_order_alone_explains_what_the_account_gained_over_a_restart() -> None:
    """Sent, never acknowledged, the link gone: the position shows all it was for, and the order is settled by it.

    What was paid is pending: it stands at the limit, and the order says so.
    """
    world = traded()
    intent = orphan(world)
    filled_unheard(world, intent)
    world.reconcile(rounds=2)
    order = world.order(intent)
    assert (order.state, order.filled, world.state.held(1)) == (OrderState.INFERRED, order.quantity, order.quantity)
    assert order.average_price == order.limit_price
    assert f"price is pending at {order.limit_price}" in order.text
    assert "inferred_fill" in {key for _, step in world.steps for key in alerts(step)}


def test_one_comparison_is_not_enough() -> None:
    """An execution may still be on its way: a difference seen once proves nothing."""
    world = traded()
    intent = orphan(world)
    filled_unheard(world, intent)
    world.reconcile()
    assert world.order(intent).state is OrderState.UNKNOWN


@pytest.mark.parametrize("status", ["", "Submitted", "Filled"])
def test_a_fill_lost_on_a_live_link_is_not_made_up(status: str) -> None:
    """The gateway was never away: it must know the execution and does not tell, so a person must look."""
    world = traded()
    intent = bought(world)
    world.acknowledge(intent)
    filled_unheard(world, intent)
    if status:
        world.status(intent, status, filled=int(world.order(intent).quantity))
    world.reconcile(rounds=3)
    assert left_to_a_person(world, intent, OrderState.WORKING)


def test_a_lost_link_to_a_gateway_that_shows_the_days_executions_proves_no_restart() -> None:
    """It has forgotten nothing, and shows none of the order: the shares came from elsewhere."""
    world = traded()
    intent = bought(world)
    world.handed(intent)
    filled_unheard(world, intent)
    connected_again(world)
    world.reconcile(rounds=3)
    assert left_to_a_person(world, intent)


def test_where_there_was_nothing_to_forget_an_unknown_order_proves_nothing() -> None:
    """Without an execution before the order, nothing tells an old gateway from a new one."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.handed(intent)
    restarted(world)
    filled_unheard(world, intent)
    world.reconcile(rounds=3)
    assert left_to_a_person(world, intent)


def test_the_brokers_word_on_an_order_is_enough_where_there_was_nothing_to_forget() -> None:
    """The first order of the day, told as filled by the next connection, with the shares in the account: it is."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    filled_unheard(world, intent)
    restarted(world)
    world.end(intent)
    world.take(completed(world.order(intent), world.now, "Filled", int(world.order(intent).quantity)))
    world.reconcile(rounds=2)
    assert (world.order(intent).state, len(inferred(world))) == (OrderState.FILLED, 1)
    assert not world.state.quarantines


@pytest.mark.parametrize("change", [30, 5000, -10])
def test_a_difference_of_another_size_or_sign_explains_nothing(change: int) -> None:
    """Less or more than the order was for, or the other side: quarantined, and the order stays unknown."""
    world = traded()
    intent = orphan(world, "0.3")
    world.positions[1] = D(change)
    world.reconcile(rounds=3)
    assert left_to_a_person(world, intent)


def test_an_execution_of_somebody_else_since_takes_the_proof_away() -> None:
    """Who trades by hand in the same instrument may have made the difference as well."""
    world = traded()
    intent = orphan(world)
    filled_unheard(world, intent)
    world.positions[1] += 7
    world.stranger("AAA", 7, "aaaa.01")
    world.reconcile(rounds=3)
    assert left_to_a_person(world, intent)


@pytest.mark.parametrize("ended", [False, True])
def test_an_order_of_somebody_else_since_takes_the_proof_away(ended: bool) -> None:
    """It may have filled untold, whether it is still there or gone by now."""
    world = traded()
    intent = orphan(world)
    world.open_orders.add(77)
    for status in ("Submitted", "Cancelled") if ended else ("Submitted",):
        world.hear(
            m.OpenOrderSeen,
            order_id=5,
            client_id=9,
            perm_id=77,
            ref="by hand",
            account="DU123456",
            con_id=1,
            symbol="AAA",
            side=Side.BUY,
            quantity=D(100),
            order_type="LMT",
            limit_price=D(100),
            stop_price=None,
            tif="DAY",
            status=status,
        )
    filled_unheard(world, intent)
    world.reconcile(rounds=3)
    assert left_to_a_person(world, intent)


def test_an_execution_heard_after_all_takes_the_inferred_ones_place() -> None:
    """Part by part, at its own price; the book never counts a share twice."""
    world = traded()
    intent = orphan(world)
    quantity = int(world.order(intent).quantity)
    filled_unheard(world, intent)
    parts = (30, quantity - 30)
    made = [execution(world.order(intent), world.now, f"a{n:03x}.01", q, "99.50") for n, q in enumerate(parts)]
    world.reconcile(rounds=2)
    assert inferred(world)
    for event in made:
        world.take(event)
        assert world.state.held(1) == quantity
    order = world.order(intent)
    assert (order.filled, order.average_price, order.state) == (quantity, D("99.50"), OrderState.FILLED)
    assert not inferred(world)


def test_a_later_fill_is_one_of_its_own() -> None:
    """What the order fills after the inference is added to it."""
    world = traded()
    intent = bought(world)
    world.acknowledge(intent)
    world.positions[1] = D(40)
    restarted(world)
    world.status(intent, "Submitted", filled=40)
    world.reconcile(rounds=2)
    world.wait(5)
    world.fill(intent, 20, exec_id="bbbb.01")
    assert world.state.held(1) == world.positions[1] == D(60)


def test_a_figure_seen_for_the_first_time_proves_nothing_however_long_another_was_there() -> None:
    """Forty were there for minutes, then a hundred at once: only the next reading shows that the hundred stand."""
    world = traded()
    intent = orphan(world)
    world.positions[1] = D(40)
    world.reconcile(rounds=12)
    world.positions[1] = world.order(intent).quantity
    world.reconcile()
    assert world.order(intent).state is OrderState.UNKNOWN and inferred(world) == []
    world.reconcile()
    assert world.order(intent).state is OrderState.INFERRED
