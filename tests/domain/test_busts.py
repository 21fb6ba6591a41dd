"""Fills that the exchange takes back: what proves it, what does not, and what a person can say."""

from __future__ import annotations

from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.exposure import worst_values
from longwatch.domain.instruments import Side
from longwatch.domain.orders import OrderState
from longwatch.domain.replies import objection
from tests.domain.world import PRICES, World, alerts, commission, completed, execution, of_kind, perm_id

D = Decimal


def held_two() -> World:
    """A world that has bought 200 BBB and 100 AAA, by executions that were heard."""
    world = World.ready()
    world.finish(world.one(BBB="0.1"), price="50")
    world.wait(5)
    world.finish(world.one(AAA="0.1", BBB="0.1"))
    world.take(commission("0001.01", world.now))
    world.reconcile()
    return world


def bust(world: World, exec_id: str, signed: int, con_id: int = 1) -> None:
    """The broker takes a fill back and says nothing: its position and its list of executions lack it."""
    world.executions.remove(exec_id)
    world.positions[con_id] -= signed


def told(world: World) -> list[str]:
    return [key for _, step in world.steps for key in alerts(step)]


def said(world: World, name: str, argument: str) -> m.ControlRequested:
    return m.ControlRequested(
        at=world.now, tech=world.now, command=name, argument=argument, by="uid 1000", reason="the statement"
    )


def command(world: World, name: str, argument: str) -> None:
    world.take(said(world, name, argument))


def test_a_fill_missing_from_position_and_executions_is_taken_back() -> None:
    """Looked at twice: its shares and its commission leave the book, the order stays filled, a person is told."""
    world = held_two()
    assert (world.state.held(1), world.order(2).commission) == (100, D("1.25"))
    bust(world, "0001.01", 100)
    world.reconcile()
    assert world.state.held(1) == 100
    world.reconcile()
    order = world.order(2)
    assert (world.state.held(1), order.filled, order.taken_back, order.state) == (0, 0, 100, OrderState.FILLED)
    assert order.commission == 0
    assert "fill_taken_back" in told(world) and not world.state.quarantines
    assert not of_kind([fact for step in world.reconcile(rounds=2) for fact in step.facts], m.FillBooked)


def test_a_row_missing_alone_takes_nothing_back() -> None:
    """A download may lack a row: the position shows the shares."""
    world = held_two()
    world.executions.remove("0001.01")
    world.reconcile(rounds=3)
    assert world.state.held(1) == 100 and "fill_taken_back" not in told(world)


@pytest.mark.parametrize("change", [-40, -160, 100])
def test_a_difference_of_another_size_is_not_explained(change: int) -> None:
    """Neither by a fill that is not shown: quarantined."""
    world = held_two()
    world.executions.remove("0001.01")
    world.positions[1] += change
    world.reconcile(rounds=3)
    assert world.state.held(1) == 100 and set(world.state.quarantines) == {1}


def test_a_position_lower_by_a_fill_that_is_still_shown_is_not_explained() -> None:
    """The broker stands by the execution: something else took the shares."""
    world = held_two()
    world.positions[1] -= 100
    world.reconcile(rounds=3)
    assert world.state.held(1) == 100 and set(world.state.quarantines) == {1}


def test_a_gateway_started_anew_has_forgotten_the_day_and_proves_nothing() -> None:
    """Quarantined, until a person says that the account is right: `adopt`."""
    world = held_two()
    bust(world, "0001.01", 100)
    world.hear(m.LinkLost, reason="closed")
    world.executions.clear()
    world.wait(200)
    world.connect()
    world.reconcile(rounds=3)
    assert world.state.held(1) == 100 and set(world.state.quarantines) == {1}
    assert objection(world.state, said(world, "adopt", "AAA")) is None
    command(world, "adopt", "AAA")
    world.reconcile()
    assert world.state.held(1) == 0 and not world.state.quarantines
    assert objection(world.state, said(world, "adopt", "AAA")) is not None


def test_an_earlier_execution_that_is_still_shown_proves_that_nothing_was_forgotten() -> None:
    """Another connection to the same gateway: the later fill alone is missing."""
    world = held_two()
    bust(world, "0001.01", 100)
    world.hear(m.LinkLost, reason="closed")
    world.wait(200)
    world.connect()
    world.reconcile(rounds=2)
    assert world.state.held(1) == 0 and not world.state.quarantines


def test_yesterdays_fill_proves_nothing() -> None:
    """At midnight the list of executions begins anew."""
    world = held_two()
    bust(world, "0001.01", 100)
    world.wait(16 * 3600)
    world.reconcile(rounds=3)
    assert world.state.held(1) == 100 and set(world.state.quarantines) == {1}


def test_an_order_on_the_other_side_may_have_sold_the_shares() -> None:
    """While it lives nothing is concluded; when it has ended unfilled, the fill is."""
    world = held_two()
    sale = world.one(BBB="0.1")
    world.acknowledge(sale)
    bust(world, "0001.01", 100)
    world.reconcile(rounds=3)
    assert world.state.held(1) == 100 and set(world.state.quarantines) == {1}
    world.end(sale)
    world.status(sale, "Cancelled")
    world.reconcile(rounds=2)
    assert world.state.held(1) == 0 and not world.state.quarantines


def test_of_two_fills_of_one_size_none_is_chosen_at_random() -> None:
    """One is gone and the other's row was left out: the next whole download tells which."""
    world = World.ready()
    order = world.one(AAA="0.1")
    world.acknowledge(order)
    world.fill(order, 50)
    world.fill(order, 50)
    bust(world, "0000.01", 50)
    world.reconcile()
    world.executions.remove("0001.01")
    world.reconcile(rounds=2)
    assert world.state.held(1) == 100
    world.executions.append("0001.01")
    world.reconcile()
    assert world.state.held(1) == 50 and "busted:0000.01" in world.state.fills


def test_two_fills_taken_back_at_once_are() -> None:
    """Where all that is missing comes to the difference."""
    world = World.ready()
    order = world.one(AAA="0.1")
    world.acknowledge(order)
    world.fill(order, 70)
    world.fill(order, 30)
    bust(world, "0000.01", 70)
    bust(world, "0001.01", 30)
    world.reconcile(rounds=2)
    assert world.state.held(1) == 0 and not world.state.quarantines


def test_an_execution_told_again_is_booked_again_once() -> None:
    """By the same name or a later revision; an older one is a message that was late."""
    world = held_two()
    order = world.order(2)
    bust(world, "0001.01", 100)
    world.reconcile(rounds=2)
    world.take(execution(order, world.now, "0001.00", 100, "100"))
    assert world.state.held(1) == 0
    world.positions[1] += 100
    world.executions.append("0001.01")
    world.take(execution(order, world.now, "0001.01", 100, "100"))
    order = world.order(2)
    assert (world.state.held(1), order.filled, order.taken_back) == (100, 100, 0)
    world.reconcile(rounds=2)
    assert world.state.held(1) == 100 and not world.state.quarantines


@pytest.mark.parametrize("revised", [False, True])
def test_an_order_ends_by_the_brokers_count_though_a_fill_of_it_was_taken_back(revised: bool) -> None:
    """The status goes on counting the shares: the cancelled order does not wait for them for ever."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    world.fill(intent, 60)
    bust(world, "0000.01", 60)
    if revised:
        world.take(execution(world.order(intent), world.now, "0000.02", 0, "100"))
    else:
        world.reconcile(rounds=2)
    assert (world.state.held(1), world.order(intent).state) == (0, OrderState.WORKING)
    world.fill(intent, 20, exec_id="bbbb.01")
    world.end(intent)
    world.status(intent, "Cancelled", filled=80)
    order = world.order(intent)
    assert (order.state, order.filled, order.taken_back) == (OrderState.CANCELLED, 20, 60)


def test_a_fill_taken_back_before_it_was_heard_of_ends_with_its_session() -> None:
    """Told as filled, with no execution and no shares: it waits until the session is over, and is expired then."""
    world = held_two()
    intent = world.one(AAA="0.2", BBB="0.1")
    world.acknowledge(intent)
    world.end(intent)
    world.take(completed(world.order(intent), world.now, "Filled", int(world.order(intent).quantity)))
    world.reconcile(rounds=3)
    assert world.order(intent).state is OrderState.WORKING
    world.wait(7 * 3600)
    world.reconcile(rounds=2)
    assert (world.order(intent).state, world.state.held(1)) == (OrderState.EXPIRED, 100)
    assert "fill_taken_back" in told(world)


def test_a_cancel_told_before_the_close_stays_one_when_its_row_is_told_again_after_it() -> None:
    """Killed at the broker in the morning, a part filled and taken back unheard: the evening's rows are no expiry."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    world.end(intent)
    world.take(completed(world.order(intent), world.now, "Cancelled", 60))
    assert (world.order(intent).state, world.order(intent).ending) == (OrderState.WORKING, OrderState.CANCELLED)
    world.wait(7 * 3600)
    world.take(completed(world.order(intent), world.now, "Cancelled", 60))
    world.reconcile()
    assert (world.order(intent).state, world.order(intent).reported) == (OrderState.CANCELLED, 60)


def test_a_fill_unheard_of_that_the_account_has_is_waited_for_beyond_its_session() -> None:
    """The difference stands: that is no order that came to nothing."""
    world = held_two()
    intent = world.one(AAA="0.2", BBB="0.1")
    world.acknowledge(intent)
    world.end(intent)
    world.positions[1] += world.order(intent).quantity
    world.take(completed(world.order(intent), world.now, "Filled", int(world.order(intent).quantity)))
    world.wait(7 * 3600)
    world.reconcile(rounds=3)
    assert world.order(intent).state is OrderState.WORKING and set(world.state.quarantines) == {1}


def test_a_sale_taken_back_counts_as_exposure_while_nobody_knows_why() -> None:
    """In quarantine the account's shares count where they are more than the book's."""
    world = held_two()
    world.finish(world.one(BBB="0.1"))
    assert world.state.held(1) == 0
    gross = worst_values(world.state, PRICES)[0]
    world.positions[1] += 70
    world.reconcile(rounds=3)
    assert set(world.state.quarantines) == {1}
    assert worst_values(world.state, PRICES)[0] == gross + 7000


def test_somebody_elses_order_in_the_instrument_takes_the_proof_away() -> None:
    """It may have filled untold."""
    world = held_two()
    world.open_orders.add(perm_id(77))
    world.hear(
        m.OpenOrderSeen,
        order_id=5,
        client_id=9,
        perm_id=perm_id(77),
        ref="by hand",
        account="DU123456",
        con_id=1,
        symbol="AAA",
        side=Side.SELL,
        quantity=D(100),
        order_type="LMT",
        limit_price=D(100),
        stop_price=None,
        tif="DAY",
        status="Submitted",
    )
    bust(world, "0001.01", 100)
    world.reconcile(rounds=3)
    assert world.state.held(1) == 100 and set(world.state.quarantines) == {1}


def test_revisions_of_one_execution_are_told_of_as_its_largest() -> None:
    """40, then 35, then 40 again are 40 shares told of, not 45."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    for revision, quantity in enumerate((40, 35, 40), start=1):
        world.take(execution(world.order(intent), world.now, f"00018.01.{revision:02d}", quantity, "100"))
        assert (world.order(intent).filled, world.order(intent).told) == (quantity, 40)
