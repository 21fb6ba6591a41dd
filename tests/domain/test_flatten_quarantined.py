"""A flatten of what is quarantined closes nothing, so its stop stays until the quarantine is over; then it closes."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from longwatch.domain import messages as m
from longwatch.domain.decide import Step, gate
from longwatch.domain.orders import Order, Purpose
from longwatch.domain.reconciliation.causes import Cause
from longwatch.domain.replies import outcome
from tests.domain.test_protection import changes, ended, holding, sent
from tests.domain.test_splits_ahead import ahead
from tests.domain.world import World, of_kind

FLATTEN = {"command": "flatten", "by": "uid 1000", "reason": "enough"}


def apart() -> tuple[World, Order]:
    """200 AAA with a stop, of which the account shows 207: quarantined."""
    world, stop = holding()
    world.reconcile()
    differs(world, 207)
    return world, stop


def differs(world: World, shares: int) -> None:
    world.positions[1] = D(shares)
    world.moved("AAA")
    world.reconcile(3)
    assert world.state.quarantines[1].reason.startswith("position")


def said(world: World, command: str, argument: str = "") -> Step:
    return world.hear(m.ControlRequested, command=command, argument=argument, by="uid 1000", reason="test")


def cancelled(*steps: Step) -> list[int]:
    return [one.intent for step in steps for one in of_kind(step.effects, m.CancelOrder)]


def test_what_it_can_not_close_keeps_its_stop_and_it_says_so() -> None:
    world, _ = apart()
    steps = [said(world, "flatten"), *world.reconcile(3), world.rebalance()]
    assert not cancelled(*steps) and not [one for step in steps for one in of_kind(step.effects, m.SubmitOrder)]
    is_done, text = outcome(world.state, m.ControlRequested(at=world.now, tech=world.now, argument="", **FLATTEN))
    assert not is_done and "200 AAA stay: quarantined (position" in text and "a stop that rests stays too" in text


@pytest.mark.parametrize("word", ["adopt", "unquarantine"])
def test_it_is_closed_once_a_person_has_settled_the_quarantine(word: str) -> None:
    """First the stop goes, then the closing order leaves, for what is ours by then."""
    world, stop = apart()
    said(world, "flatten")
    assert cancelled(said(world, word, "AAA")) == [stop.intent]
    assert world.order(stop.intent).cancel_reason == "flatten"
    assert not sent(world.rebalance(), Purpose.REDUCE)
    assert of_kind(ended(world, stop.intent).effects, m.RunJob)
    (order,) = sent(world.rebalance(), Purpose.REDUCE)
    assert order.quantity == (207 if word == "adopt" else 200)
    assert not [one for step in world.reconcile(2) for one in sent(step)], "no stop comes back beside it"


def test_it_is_closed_once_both_sides_agree() -> None:
    world, stop = apart()
    said(world, "flatten")
    world.positions[1] = D(200)
    assert cancelled(world.moved("AAA"), *world.reconcile(2)) == [stop.intent]


def test_a_stop_comes_back_where_the_quarantine_comes_after_the_flatten() -> None:
    """Its stop had gone for a closing order that must not leave any more."""
    world, stop = holding()
    world.reconcile()
    assert cancelled(said(world, "flatten")) == [stop.intent]
    differs(world, 207)
    (again,) = [one for step in [ended(world, stop.intent), *world.reconcile(2)] for one in sent(step)]
    assert (again.quantity, again.stop_price) == (200, stop.stop_price)
    assert gate(world.state, again.intent, world.now) is None


def test_it_stays_for_what_the_account_shows() -> None:
    """Its size follows as without the flatten: with more at the broker than is held a fall would turn it round."""
    world, stop = apart()
    said(world, "flatten")
    world.positions[1] = D(150)
    steps = [world.moved("AAA"), *world.reconcile()]
    assert [one.change.quantity for step in steps for one in changes(step)] == [150]
    assert not cancelled(*steps) and gate(world.state, stop.intent, world.now) is None


def test_under_a_split_that_is_suspected_it_stays_too() -> None:
    """How many shares an order would close nobody knows yet; once that is booked, it goes."""
    world, stop = holding()
    world.costs[1] = D(100)
    world.moved("AAA")
    world.reconcile()
    world.split("AAA", 2, 1, rebased=False)
    assert world.state.quarantines[1].cause is Cause.SPLIT
    assert not cancelled(said(world, "flatten"), *world.reconcile(2))
    world.fetched(AAA=D(2))
    assert cancelled(*world.reconcile(2)) == [stop.intent]
    assert world.state.book[1].quantity == 400


def test_take_profits_and_entries_are_cancelled_all_the_same() -> None:
    """What may add to it, and what may close it at a price of its own."""
    world, stop = holding()
    entry = world.one(AAA="0.3")
    world.acknowledge(entry)
    differs(world, 207)
    assert cancelled(said(world, "flatten")) == [entry]
    assert world.order(stop.intent).is_live


def test_of_a_history_that_is_ahead_alone_it_says_that_it_closes() -> None:
    """By how many shares is in no doubt."""
    world, stop = ahead()
    assert cancelled(said(world, "flatten")) == [stop.intent]
    is_done, text = outcome(world.state, m.ControlRequested(at=world.now, tech=world.now, argument="", **FLATTEN))
    assert is_done and "1 of 1 positions are being closed" in text
