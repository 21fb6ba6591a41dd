"""How an order, or its new terms, leave: the facts that are durable before the bytes, each with its deadline."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.order_life.submission import ASK_AGAIN_AFTER, was_in_vain
from longwatch.domain.orders import Change, OrderState, Purpose
from longwatch.domain.settings import StopRule
from tests.domain.test_modification import ask, working
from tests.domain.world import CLIENT, SETTINGS, World, of_kind

D = Decimal
ASKING = replace(SETTINGS, what_if=True, what_if_seconds=7.0)


def decided(world: World, **weights: str):
    world.targets(**weights)
    return world.rebalance()


def test_an_order_is_intended_and_its_id_is_taken_before_it_is_submitted() -> None:
    """With whose id it is, and since when it is awaited: twice as long as an answer to the bytes may take."""
    world = World.ready()
    order_id = world.state.next_id
    step = decided(world, AAA="0.1")
    kinds = [type(one) for one in step.facts if isinstance(one, m.OrderIntended | m.OrderSending)]
    assert kinds == [m.OrderIntended, m.OrderSending]
    (sending,) = of_kind(step.facts, m.OrderSending)
    assert sending == m.OrderSending(
        intent=1,
        order_id=order_id,
        client_id=CLIENT,
        epoch=world.state.epoch,
        sent_at=world.now,
        deadline=world.now + timedelta(seconds=2 * SETTINGS.acknowledge_seconds),
    )
    (effect,) = of_kind(step.effects, m.SubmitOrder)
    assert effect == m.SubmitOrder(order=world.order(1), instrument=world.state.instruments["AAA"])
    assert effect.order.state is OrderState.SENDING and world.state.next_id == order_id + 1
    assert not of_kind(step.facts, m.WhatIfAsked) and not of_kind(step.facts, m.DelayedDataUsed)


def test_an_order_decided_on_delayed_prices_says_so() -> None:
    world = World.ready(replace(SETTINGS, allow_delayed_data=True))
    world.targets(AAA="0.1")
    quotes = tuple(replace(one, market_data_type=3) for one in world.quotes())
    facts = world.rebalance(quotes=quotes).facts
    assert of_kind(facts, m.DelayedDataUsed) == [m.DelayedDataUsed(intent=1, symbol="AAA", market_data_type=3)]


def test_a_what_if_is_asked_under_an_id_of_its_own_and_the_order_waits() -> None:
    """The order's id is taken when it leaves; an exit asks nothing."""
    world = World.ready(ASKING)
    order_id = world.state.next_id
    step = decided(world, AAA="0.1")
    assert of_kind(step.facts, m.WhatIfAsked) == [
        m.WhatIfAsked(intent=1, order_id=order_id, asked_at=world.now, deadline=world.now + timedelta(seconds=7))
    ]
    (effect,) = of_kind(step.effects, m.RequestWhatIf)
    assert (effect.order.order_id, effect.order.ref) == (order_id, world.order(1).ref)
    assert effect.instrument == world.state.instruments["AAA"]
    assert world.order(1).state is OrderState.INTENDED and not of_kind(step.effects, m.SubmitOrder)
    holder = World.ready(replace(ASKING, adopt_existing=True), AAA=100)
    step = decided(holder, AAA="0.05")
    assert [one.order.purpose for one in of_kind(step.effects, m.SubmitOrder)] == [Purpose.REDUCE]
    assert not of_kind(step.effects, m.RequestWhatIf)


@pytest.mark.parametrize("asked_before", [0, 2])
def test_a_change_is_numbered_and_awaited_twice_as_long_as_its_answer_may_take(asked_before: int) -> None:
    """From the asking on: until the bytes are handed over nobody can answer."""
    world = working()
    world.state.orders[1] = replace(world.order(1), changed=asked_before)
    step = ask(world, "1 120 99.50 -")
    change = Change(
        number=asked_before + 1,
        quantity=D(120),
        limit_price=D("99.50"),
        stop_price=None,
        asked_at=world.now,
        reason="uid 1000: the market moved",
        deadline=world.now + timedelta(seconds=2 * SETTINGS.acknowledge_seconds),
    )
    assert of_kind(step.facts, m.OrderChangeAsked) == [m.OrderChangeAsked(intent=1, change=change)]
    (effect,) = of_kind(step.effects, m.ModifyOrder)
    assert effect.order.terms == change.terms and effect.order.change == change


def test_a_change_of_a_stop_price_leaves_with_it_and_with_the_contract() -> None:
    """Of an entry that waits for its stop; the limit it never had stays away."""
    world = working(order_type="STP", stop_offset_bps=D(50))
    step = ask(world, "1 120 - 101")
    (fact,) = of_kind(step.facts, m.OrderChangeAsked)
    (effect,) = of_kind(step.effects, m.ModifyOrder)
    assert fact.change.terms == effect.order.terms == (120, None, D(101))
    assert effect.instrument == world.state.instruments["AAA"]


def test_an_entry_leaves_with_its_stop_and_with_the_contract_of_both() -> None:
    """One effect, which is one write."""
    settings = replace(SETTINGS, stop=StopRule(fraction=D("0.05")), attached_stops=True)
    world = World.ready(settings)
    (effect,) = of_kind(decided(world, AAA="0.1").effects, m.SubmitOrder)
    assert effect.attached is not None and effect.attached.purpose is Purpose.STOP
    assert effect.instrument == world.state.instruments["AAA"]


def test_terms_that_came_to_nothing_are_not_asked_for_again_at_every_telling() -> None:
    """Just those, half a minute long; a reading of the account asks for them at once."""
    world = World.ready()
    order, terms = world.order(world.one(AAA="0.1")), (D(100), None, D(95))
    change = Change(number=1, quantity=D(100), limit_price=None, stop_price=D(95), asked_at=world.now)
    told = m.TimeReached(at=world.now, tech=world.now + ASK_AGAIN_AFTER - timedelta(microseconds=1))
    later = replace(told, tech=world.now + ASK_AGAIN_AFTER)
    reading = next(event for event, _ in world.steps if isinstance(event, m.SnapshotSeen))
    vain = replace(order, vain=change)
    assert was_in_vain(vain, terms, told)
    for of, asked, event in (
        (order, terms, told),
        (vain, (D(90), None, D(95)), told),
        (vain, terms, later),
        (vain, terms, replace(reading, tech=told.tech)),
    ):
        assert not was_in_vain(of, asked, event)
