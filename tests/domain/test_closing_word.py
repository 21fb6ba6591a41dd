"""A person's word to close or to halt, and the limits, beside protective stops: what goes, what stays, what counts."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.levels import HoldLimits
from longwatch.domain.order_life.evidence import may_close_more
from longwatch.domain.orders import OrderType, Purpose
from longwatch.domain.replies import outcome
from tests.domain.test_protection import FIXED, ended, holding, sent, works
from tests.domain.world import World, alerts, of_kind

D = Decimal


def told(world: World, command: str, argument: str = "") -> m.ControlRequested:
    world.hear(m.ControlRequested, command=command, argument=argument, by="uid 1000")
    event = world.steps[-1][0]
    assert isinstance(event, m.ControlRequested)
    return event


def closing(world: World, **fields: object) -> list[OrderType]:
    return [effect.order.order_type for effect in of_kind(world.rebalance(**fields).effects, m.SubmitOrder)]


def test_under_a_halt_a_flatten_leaves_the_stops() -> None:
    """Nothing is closed, so nothing may lose its protection; the reply says so."""
    world, stop = holding()
    told(world, "halt")
    event = told(world, "flatten")
    assert not world.order(stop.intent).cancel_asked
    assert not may_close_more(world.state, world.now) and closing(world) == []
    assert outcome(world.state, event) == (
        False,
        "flatten is journalled, but a halt is on and lets no closing order out, so stops stay: "
        "`longwatch resume`, then flatten again",
    )
    told(world, "resume")
    told(world, "flatten")
    assert world.order(stop.intent).cancel_asked
    ended(world, stop.intent)
    assert len(closing(world)) == 1


def test_a_halt_after_a_flatten_brings_the_stops_back() -> None:
    """Cancelled for a flatten that the halt then keeps from closing: another one rests as soon as it is gone."""
    world, stop = holding()
    told(world, "flatten")
    told(world, "halt")
    step = ended(world, stop.intent)
    (again,) = sent(step)
    assert (again.quantity, again.stop_price) == (stop.quantity, stop.stop_price)
    works(world, again.intent)
    assert closing(world) == []


def test_a_flatten_at_the_market_needs_no_quote() -> None:
    """Its stops are gone already; without a quote, or with an old one, it closes all the same. A limit can't."""
    for quotes in ((), None):
        for choice, made in (("MKT", [OrderType.MARKET]), ("LMT", [])):
            world, stop = holding()
            told(world, "flatten", choice)
            ended(world, stop.intent)
            assert closing(world, quotes=world.quotes(600) if quotes is None else quotes) == made


def test_stops_that_the_broker_refuses_hold_nothing_else() -> None:
    """However many: the way out of the position must stay open."""
    world = World.ready(replace(FIXED, holds=HoldLimits(daily_loss=None, rejections=3)))
    intent = world.one(AAA="0.2")
    world.acknowledge(intent)
    world.fill(intent, 200)
    world.end(intent)
    world.status(intent, "Filled")
    world.moved("AAA")
    refused = 0
    for _ in range(200):
        for order in list(world.state.live_in(1)):
            world.handed(order.intent)
            order = world.order(order.intent)
            world.hear(m.OrderErrorSeen, order_id=order.order_id, code=201, text="no", verdict="rejected")
            refused += 1
        world.wait(31)
        world.hear(m.TimeReached)
        world.snapshot(reason="reconcile")
    assert refused > 3 and not world.state.holds
    assert [order.purpose for order in world.trade(AAA="0")] == [Purpose.REDUCE]


def test_a_stop_at_rest_takes_nothing_of_a_sessions_volume() -> None:
    """200 shares were bought of 300 that may be: 100 more may, though the stop is for 200 too."""
    world, _ = holding(replace(FIXED, max_volume_fraction=D("0.0003")))
    world.wait(10)
    world.snapshot()
    assert [order.quantity for order in world.trade(AAA="0.4")] == [100]


def test_a_stop_at_rest_is_no_day_trade_under_way() -> None:
    """One is left, and the stop of another instrument does not use it; one that has begun to trade does."""
    for filled, made in ((0, ["BBB"]), (50, [])):
        world, stop = holding()
        world.finish(world.one(AAA="0.2", BBB="0.1"))
        for other in world.state.live_in(2):
            works(world, other.intent)
        assert world.figures is not None
        world.figures = replace(world.figures, day_trades_remaining=1)
        world.wait(10)
        if filled:
            world.fill(stop.intent, filled, "94")
            world.status(stop.intent, "Submitted")
        world.moved("AAA")
        world.wait(20)
        world.snapshot()
        assert [order.symbol for order in world.trade(AAA="0.2", BBB="0") if order.symbol == "BBB"] == made


def test_a_stop_whose_cancel_is_never_answered_is_told_of() -> None:
    """Not before the broker had its time; then at every regular reading, until it is gone."""
    world, stop = holding()
    told(world, "flatten")
    assert "not_flattened" not in alerts(world.snapshot(reason="reconcile"))
    world.wait(60)
    assert "not_flattened" in alerts(world.snapshot(reason="reconcile"))
    ended(world, stop.intent)
    world.wait(60)
    assert "not_flattened" not in alerts(world.snapshot(reason="reconcile"))
