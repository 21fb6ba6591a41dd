"""New terms of a stop that somebody else has a hand in: whose move a price is, and what is withheld at the write."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.orders import Order
from longwatch.domain.safeguards.stop_levels import BY_HAND
from tests.domain.test_protection import TRAILING, changes, holding
from tests.domain.world import CLOSE, CON_IDS, DAY, PRICES, World, judged

D = Decimal


def raised_while_not_ready() -> tuple[World, Order]:
    """The close lifts the level from 95 to 104.50, while a farm that is down lets nothing be asked of the broker."""
    world, stop = holding(TRAILING)
    world.costs[1] = D(100)
    world.reconcile()
    world.now = CLOSE + timedelta(minutes=15)
    world.snapshot()
    world.hear(m.FarmSeen, farm="usfarm", up=False)
    rows = tuple(replace(judged(one), last_session=DAY, close=PRICES[one] * D("1.1")) for one in CON_IDS)
    step = world.hear(m.DataRefreshed, run_id="refresh@3", session=DAY, judged=rows)
    assert changes(step) == []
    assert (world.state.stop_levels[1].level, world.order(stop.intent).stop_price) == (D("104.50"), D(95))
    return world, stop


def test_a_person_who_changes_only_the_size_of_a_stop_leaves_its_level() -> None:
    """Though that is ahead of the price at the broker: the raise is asked for as soon as it can be."""
    world, stop = raised_while_not_ready()
    raised = world.state.stop_levels[1]
    world.open_order(stop.intent, "PreSubmitted", quantity=D(150))
    assert world.order(stop.intent).quantity == D(150)
    assert world.state.stop_levels[1] == raised
    world.hear(m.FarmSeen, farm="usfarm", up=True)
    world.reconcile()
    change = world.order(stop.intent).change
    assert change is not None and change.terms == (D(200), None, D("104.50"))


def test_a_person_who_moves_the_price_while_a_raise_waits_has_the_last_word() -> None:
    world, stop = raised_while_not_ready()
    world.open_order(stop.intent, "PreSubmitted", quantity=D(150), stop_price=D(96))
    assert (world.state.stop_levels[1].level, world.state.stop_levels[1].because) == (D(96), BY_HAND)
