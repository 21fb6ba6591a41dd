"""What every reading of the account takes up again: a flatten that is on, and trades put off for sells."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument
from tests.domain.world import CLOSE, MONDAY, SETTINGS, World, of_kind

D = Decimal


def asked_for(world: World) -> list[str]:
    """The reasons of the jobs that a reading of the account asks for."""
    return [effect.reason for effect in of_kind(world.snapshot().effects, m.RunJob)]


def flattening() -> World:
    """100 AAA of ours, a flatten asked for, its job lost, and the last decision a while ago."""
    world = World.ready()
    world.finish(world.one(AAA="0.1"))
    world.hear(m.ControlRequested, command="flatten", by="uid 1000")
    world.wait(121)
    return world


def test_a_flatten_with_something_to_close_is_asked_for_again() -> None:
    """With every reading, until a decision has come of it."""
    world = flattening()
    assert asked_for(world) == asked_for(world) == ["flatten"]
    world.rebalance()
    assert asked_for(world) == []


def test_the_reading_that_makes_the_link_ready_asks_too() -> None:
    """After a restart or an outage there may be no other reading for long."""
    world = flattening()
    world.hear(m.LinkLost, reason="closed")
    step = world.connect()
    assert world.state.link is m.Link.READY
    assert [effect.reason for effect in of_kind(step.effects, m.RunJob)] == ["flatten"]


def test_while_the_exchange_is_closed_nothing_is_asked_for() -> None:
    """At the next open it is; who trades outside of hours need not wait."""
    world = flattening()
    world.now = CLOSE
    assert asked_for(world) == []
    world.hear(m.ConfigLoaded, settings=replace(SETTINGS, trading_hours_only=False), sha256="0ff")
    assert asked_for(world) == ["flatten"]
    world.hear(m.ConfigLoaded, settings=SETTINGS, sha256="c0ffee")
    world.now = MONDAY.open_at
    assert asked_for(world) == ["flatten"]


def test_a_decision_just_made_is_given_time() -> None:
    """A closing order that a check refuses is not tried with every reading."""
    world = flattening()
    world.rebalance(quotes=())
    assert asked_for(world) == []
    world.wait(120)
    assert asked_for(world) == ["flatten"]


def test_what_can_not_be_closed_is_not_asked_for() -> None:
    """A quarantined instrument, a position without a contract, and everything under a halt."""
    world = flattening()
    world.hear(m.MessageUndecodable, message_id=11, reason="a field is missing", raw=(), con_id=1)
    begun_before = world.now - timedelta(seconds=1)
    assert of_kind(world.snapshot(started_tech=begun_before).effects, m.RunJob) == []
    assert world.state.quarantines
    assert asked_for(world) == ["flatten"]

    world = flattening()
    world.state.instruments.pop("AAA")
    assert asked_for(world) == []
    world.hear(m.InstrumentsSeen, instruments=(Instrument(con_id=1, symbol="AAA"),))
    assert asked_for(world) == ["flatten"]

    world.hear(m.ControlRequested, command="halt", by="uid 1000")
    assert asked_for(world) == []


def test_a_rejected_closing_order_is_tried_again_in_the_next_session() -> None:
    """Not before: the next one would be rejected as well."""
    world = flattening()
    (close,) = of_kind(world.rebalance().effects, m.SubmitOrder)
    world.handed(close.order.intent)
    world.hear(m.OrderErrorSeen, order_id=close.order.order_id, code=201, text="read-only", verdict="rejected")
    world.wait(121)
    assert asked_for(world) == []
    world.now = MONDAY.open_at
    assert asked_for(world) == ["flatten"]


def put_off() -> World:
    """A buy that waits for a sell, and the sell filled; the job that follows it got lost."""
    world = World.ready(replace(SETTINGS, max_gross_exposure=SETTINGS.max_weight))
    world.finish(world.one(AAA="0.4"))
    (sell,) = world.trade(BBB="0.4")
    assert world.state.rebalance is not None and world.state.rebalance.waiting == 1
    world.acknowledge(sell.intent)
    assert asked_for(world) == []
    world.finish(sell.intent)
    return world


def test_a_buy_put_off_for_a_sell_is_asked_for_again_in_its_session() -> None:
    """Until a decision has come of it."""
    world = put_off()
    assert asked_for(world) == asked_for(world) == ["sells and cancels have ended"]
    world.rebalance()
    assert asked_for(world) == []


def test_a_buy_put_off_in_one_session_is_not_made_up_for_in_the_next() -> None:
    """That has a rebalance of its own."""
    world = put_off()
    world.now = MONDAY.open_at
    assert asked_for(world) == []


def test_a_sell_that_has_ended_and_whose_fills_are_never_told_holds_up_no_buy() -> None:
    """It fills no more: the buy takes what room there is, and is not put off day after day (seed 12, 8 days, all)."""
    world = World.ready(replace(SETTINGS, max_gross_exposure=SETTINGS.max_weight))
    world.finish(world.one(AAA="0.3"))
    (sell,) = world.trade(BBB="0.4")
    world.acknowledge(sell.intent)
    assert world.state.rebalance is not None and world.state.rebalance.waiting == 1
    world.status(sell.intent, "Filled", int(sell.quantity))
    assert asked_for(world) == ["sells and cancels have ended"]
    (buy,) = world.trade(BBB="0.4")
    assert (buy.symbol, world.state.rebalance.waiting) == ("BBB", 0)


def test_a_sell_that_lives_on_does_not_hold_up_what_its_fills_have_made_room_for() -> None:
    """Buys wait for sells; two minutes after the decision a reading that finds shares sold looks at them again."""
    world = World.ready(replace(SETTINGS, max_weight=D(1), max_gross_exposure=D(1)))
    world.finish(world.one(AAA="0.9"))
    world.wait(121)
    (sale,) = world.trade(BBB="0.5")
    assert world.state.rebalance is not None and world.state.rebalance.waiting
    world.acknowledge(sale.intent)
    world.wait(121)
    assert asked_for(world) == []
    world.fill(sale.intent, 600)
    assert asked_for(world) == ["sells and cancels have ended"]
    (purchase,) = [effect.order for effect in world.rebalance().effects if isinstance(effect, m.SubmitOrder)]
    assert purchase.symbol == "BBB" and asked_for(world) == []
    world.wait(121)
    assert asked_for(world) == []
