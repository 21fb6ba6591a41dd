"""A stop that the broker calls Inactive: it protects nothing, is asked about, and ends by no word but those that do."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from longwatch.broker.codes import CODES, Asked, row_of
from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.domain.orders import Order, OrderState, Purpose
from longwatch.domain.safeguards.protection import protected
from tests.domain.test_protection import confirmed, holding, sent
from tests.domain.world import World, alerts, of_kind

D = Decimal


def resized() -> tuple[World, Order]:
    """A stop for 120 of AAA that was made larger, to 200, and is shown so."""
    world, stop = holding(filled=120)
    (entry,) = (one for one in world.state.live_orders() if one.purpose is Purpose.ENTRY)
    step = world.fill(entry.intent, 80)
    world.end(entry.intent)
    world.status(entry.intent, "Filled")
    world.moved("AAA")
    confirmed(world, step)
    world.reconcile(2)
    stop = world.order(stop.intent)
    assert (stop.quantity, stop.change, protected(world.state, 1)) == (200, None, 200)
    world.wait(3600)
    world.reconcile()
    return world, stop


def listed_inactive(world: World, stop: Order) -> Step:
    """A reading that lists the stop as Inactive."""
    began = world.now
    world.wait(1)
    world.open_order(stop.intent, "Inactive")
    world.status(stop.intent, "Inactive")
    step = world.snapshot(started_tech=began)
    world.wait(31)
    return step


def error(world: World, stop: Order, code: int, asked: Asked) -> Step:
    said = row_of(code, CODES).said(asked)
    return world.hear(m.OrderErrorSeen, order_id=stop.order_id, code=code, text="Order rejected - reason:", **said)


@pytest.mark.parametrize("is_shown", [False, True], ids=["status", "open order"])
def test_a_stop_told_to_be_inactive_protects_nothing_and_a_person_is_told(is_shown: bool) -> None:
    """Its outcome is unknown: the account is read when a deadline has passed, and nothing is sent beside it."""
    world, stop = resized()
    step = world.open_order(stop.intent, "Inactive") if is_shown else world.status(stop.intent, "Inactive")
    order = world.order(stop.intent)
    assert (order.state, order.text) == (OrderState.UNKNOWN, "told to be inactive")
    assert (protected(world.state, 1), world.state.unprotected[1].unprotected) == (0, 200)
    assert not of_kind(world.hear(m.TimeReached).effects, m.RequestSnapshot), "the broker has its time to say more"
    world.wait(world.state.settings.acknowledge_seconds + 1)
    step = world.hear(m.TimeReached)
    assert of_kind(step.effects, m.RequestSnapshot)
    steps = [listed_inactive(world, stop) for _ in range(12)]
    assert "unprotected" in [key for _, one in world.steps for key in alerts(one)]
    assert not [order for one in steps for order in sent(one)]
    assert world.order(stop.intent).state is OrderState.UNKNOWN


def test_a_stop_listed_as_inactive_is_asked_about_once_and_what_comes_of_that_settles_it() -> None:
    """Its cancel goes out with the reading that shows it; too late, it stays; ended, the next one follows a reading."""
    world, stop = resized()
    world.status(stop.intent, "Inactive")
    cancels = [one for _ in range(6) for one in of_kind(listed_inactive(world, stop).effects, m.CancelOrder)]
    assert [one.intent for one in cancels] == [stop.intent]
    world.wait(1)
    assert of_kind(error(world, stop, 10148, Asked.CANCEL).effects, m.RequestSnapshot)
    assert not of_kind(listed_inactive(world, stop).effects, m.CancelOrder)
    assert world.order(stop.intent).state is OrderState.UNKNOWN
    world.end(stop.intent)
    world.status(stop.intent, "Cancelled")
    assert world.order(stop.intent).state is OrderState.CANCELLED
    steps = world.reconcile(3)
    assert [order.quantity for one in steps for order in sent(one)] == [200]


def test_a_stop_that_one_reading_lacks_is_not_cancelled() -> None:
    """Only its row may be missing: a cancel would end it. It goes out where the next reading lacks it as well."""
    world, stop = resized()
    world.open_orders.clear()
    for is_second in (False, True):
        (step,) = world.reconcile()
        assert world.order(stop.intent).state is OrderState.UNKNOWN
        assert [one.intent for one in of_kind(step.effects, m.CancelOrder)] == [stop.intent] * is_second


def test_an_inactive_stop_that_works_again_protects_again() -> None:
    """IB holds an order inactive for a system too: what it says last counts."""
    world, stop = resized()
    world.status(stop.intent, "Inactive")
    world.status(stop.intent, "PreSubmitted")
    assert (world.order(stop.intent).state, protected(world.state, 1)) == (OrderState.WORKING, 200)


def test_a_rejection_after_the_answer_to_a_change_ends_the_stop_and_the_next_one_follows() -> None:
    """201 about the order itself, as the connection tells it once the change was answered: never two at once."""
    world, stop = resized()
    world.status(stop.intent, "Inactive")
    world.end(stop.intent)
    error(world, stop, 201, Asked.NEW)
    assert world.order(stop.intent).state is OrderState.REJECTED
    steps = world.reconcile(3)
    assert len([order for one in steps for order in sent(one)]) <= 1
    live = [one for one in world.state.live_orders() if one.purpose is Purpose.STOP]
    assert [one.quantity for one in live] == [200]


def test_an_unclear_rejection_of_a_stop_that_was_ever_changed_has_the_account_read() -> None:
    """The gateway may have shown the new terms before it was told that they are rejected."""
    world, stop = resized()
    step = error(world, stop, 201, Asked.MODIFY)
    assert world.order(stop.intent).state is OrderState.WORKING
    assert of_kind(step.effects, m.RequestSnapshot)


def test_what_does_not_rest_is_left_as_it_is() -> None:
    """It counts at its worst either way."""
    world = World.ready()
    intent = world.one(AAA="0.2")
    world.acknowledge(intent)
    before = world.order(intent)
    world.status(intent, "Inactive")
    assert replace(world.order(intent)) == before
