"""Entries by stop and stop-limit orders: where they lie, what they count at, and where something else is sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side, beyond_tick
from longwatch.domain.order_life.patience import AT_CLOSE
from longwatch.domain.orders import OrderState, OrderType
from longwatch.domain.risk.exposure import worst_values
from tests.domain.world import CLOSE, PRICES, SETTINGS, World, of_kind

D = Decimal
STOPS = replace(SETTINGS, order_type="STP", stop_offset_bps=D(50))
STOP_LIMITS = replace(STOPS, order_type="STP LMT", limit_offset_bps=D(20))


def test_an_entry_waits_beyond_the_far_side_of_the_quote_on_the_tick_grid() -> None:
    """AAA is asked at 100.01: half a per cent above is 100.51005, and no stop is triggered before that."""
    (order,) = World.ready(STOPS).trade(AAA="0.1")
    assert (order.order_type, order.stop_price, order.limit_price) == (OrderType.STOP, D("100.52"), None)
    assert beyond_tick(D("100.51005"), D("0.01"), Side.SELL) == D("100.51")


def test_a_stop_limits_limit_lies_beyond_its_stop() -> None:
    """By the limit's own offset, rounded so that no more is paid than was asked for."""
    (order,) = World.ready(STOP_LIMITS).trade(AAA="0.1")
    assert (order.order_type, order.stop_price) == (OrderType.STOP_LIMIT, D("100.52"))
    assert order.limit_price == D("100.72")


@pytest.mark.parametrize("settings", [STOPS, STOP_LIMITS])
def test_what_reduces_and_what_flattens_does_not_wait_for_a_stop(settings) -> None:
    """A limit beyond the far side: the price that a stop waits for may never come."""
    world = World.ready(replace(settings, adopt_existing=True), AAA=100)
    (sale,) = world.trade(AAA="0.05")
    assert (sale.order_type, sale.stop_price, sale.side) == (OrderType.LIMIT, None, Side.SELL)
    flat = World.ready(replace(settings, adopt_existing=True), AAA=100)
    flat.hear(m.ControlRequested, command="flatten", by="uid 1000")
    (closing,) = [one.order for one in of_kind(flat.rebalance().effects, m.SubmitOrder)]
    assert closing.order_type is OrderType.LIMIT


@pytest.mark.parametrize(("settings", "counts_at"), [(STOPS, D("100.52")), (STOP_LIMITS, D("100.72"))])
def test_a_waiting_stop_counts_at_the_worst_it_may_be_paid(settings, counts_at: Decimal) -> None:
    """Its stop, or the limit of a stop-limit; the caps ask for that price before it is sent."""
    world = World.ready(settings)
    (order,) = world.trade(AAA="0.1")
    assert worst_values(world.state, dict(PRICES))[0] == order.quantity * counts_at
    close = replace(settings, max_order_value=order.quantity * counts_at - 1)
    (less,) = World.ready(close).trade(AAA="0.1")
    assert less.quantity == order.quantity - 1


def test_a_waiting_stop_is_not_sent_twice() -> None:
    """What it may still buy is netted at the next decision."""
    world = World.ready(STOPS)
    assert len(world.trade(AAA="0.1")) == 1
    world.acknowledge(1)
    assert world.trade(AAA="0.1") == []


@pytest.mark.parametrize("at_close", ["cancel", "moc"])
def test_a_stop_that_was_not_triggered_is_not_bought_at_the_close(at_close: str) -> None:
    """What waits for a price that has not come is not wanted at any other: it is cancelled, and nothing follows."""
    world = World.ready(replace(STOPS, at_close=at_close))
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    world.now = CLOSE - timedelta(minutes=14)
    world.snapshot()
    assert world.order(intent).cancel_reason == AT_CLOSE
    world.end(intent)
    step = world.status(intent, "Cancelled", 0)
    assert world.order(intent).state is OrderState.CANCELLED
    assert not of_kind(step.effects, m.RunJob)
