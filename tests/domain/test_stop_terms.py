"""New terms of a stop that somebody else has a hand in: whose move a price is, and what is withheld at the write."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.decide import gate, next_deadline
from longwatch.domain.instruments import Side
from longwatch.domain.orders import Order, Purpose
from longwatch.domain.safeguards.stop_levels import BY_HAND
from tests.domain.test_protection import FIXED, TRAILING, changes, confirmed, holding
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


def asked_for_more() -> tuple[World, Order]:
    """A stop for 120 is to be for 200, and its new terms wait for their turn to be written."""
    world, stop = holding(FIXED, filled=120)
    (entry,) = [one for one in world.state.live_orders() if one.purpose is Purpose.ENTRY]
    step = world.fill(entry.intent, 80)
    world.end(entry.intent)
    world.status(entry.intent, "Filled")
    world.moved("AAA")
    assert [one.change.terms for one in changes(step)] == [(D(200), None, D("95.00"))]
    assert gate(world.state, stop.intent, world.now) is None
    return world, stop


@pytest.mark.parametrize(("sold", "left"), [(150, 50), (50, 150)])
def test_a_larger_stop_is_withheld_once_less_is_held_and_the_right_size_follows_by_the_clock(
    sold: int, left: int
) -> None:
    """Somebody else sells before the bytes leave: as a new stop, it is not written for more than there is.

    What rests is then too large, or too small; either is looked at again.
    """
    world, stop = asked_for_more()
    world.stranger("AAA", sold, "00aa.01", side=Side.SELL)
    world.positions[1] -= sold
    world.moved("AAA")
    said = gate(world.state, stop.intent, world.now)
    assert said == "less is held than it would sell"
    step = world.hear(m.OrderWithheld, intent=stop.intent, reason=said, change=1)
    assert changes(step) == [] and world.order(stop.intent).terms == (D(120), None, D("95.00"))
    due = next_deadline(world.state)
    assert due is not None and due - world.now <= timedelta(seconds=world.state.settings.acknowledge_seconds + 1)
    world.now = due
    step = world.hear(m.TimeReached)
    assert [one.change.terms for one in changes(step)] == [(D(left), None, D("95.00"))]
    assert gate(world.state, stop.intent, world.now) is None
    confirmed(world, step)
    assert world.order(stop.intent).quantity == left
    assert not world.state.surpluses.get(1) and not world.state.unprotected.get(1)
