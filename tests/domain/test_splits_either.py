"""A stop that the broker has ended while a history is ahead is placed where it is right for old shares and for new."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

import pytest

from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.domain.instruments import Side
from longwatch.domain.orders import Order
from tests.domain.test_protection import FIXED, changes, ended, sent, works
from tests.domain.test_splits_ahead import MORNING, overnight, refreshed
from tests.domain.world import CLOSE, World, alerts

SHORT = replace(FIXED, allow_short=True, check_shortable=False)


def bare(rebased: str) -> tuple[World, Order, list[Step]]:
    """200 AAA behind 95; the history is rebased, the broker ends the stop, and the account shows the old shares."""
    world, stop = overnight(FIXED)
    refreshed(world, 1 / D(rebased), D(rebased))
    world.now = MORNING + timedelta(minutes=1)
    world.snapshot()
    world.hear(m.ClockSeen, skew_seconds=0.1)
    return world, stop, [ended(world, stop.intent), *world.reconcile(2)]


@pytest.mark.parametrize(
    ("rebased", "level"), [("1.06", "89.62"), ("2", "47.5"), ("0.1", "95"), ("0.5", "95")], ids=str
)
def test_it_is_placed_at_the_lower_of_both(rebased: str, level: str) -> None:
    """At 95 it would sell at once what is worth 50; at 950 what is worth 100."""
    world, _, steps = bare(rebased)
    (placed,) = [order for step in steps for order in sent(step)]
    assert (placed.quantity, placed.stop_price) == (200, D(level))
    told = [key for step in steps for key in alerts(step)]
    assert told.count("stop_of_either_scale") == (level != "95")
    works(world, placed.intent)
    assert not [one for step in world.reconcile(3) for one in (*changes(step), *sent(step))]
    assert world.order(placed.intent).change is None, "it stays there"


def test_a_short_one_has_it_at_the_higher() -> None:
    world = World.ready(SHORT)
    intent = world.one(AAA="-0.2")
    world.finish(intent)
    world.costs[1] = D(100)
    world.moved("AAA")
    world.reconcile()
    (stop,) = [one for one in world.state.live_orders() if one.rests]
    assert stop.stop_price == 105
    works(world, stop.intent)
    world.now = CLOSE + timedelta(minutes=15)
    world.snapshot()
    refreshed(world)
    refreshed(world, D(10), D("0.1"))
    world.now = MORNING + timedelta(minutes=1)
    world.snapshot()
    world.hear(m.ClockSeen, skew_seconds=0.1)
    steps = [ended(world, stop.intent), *world.reconcile(2)]
    assert [(one.side, one.stop_price) for step in steps for one in sent(step)] == [(Side.BUY, 1050)]


def bare_after(*histories: tuple[str, str]) -> list[D | None]:
    """At which levels stops are placed after these closes of the history, as parts of 100, with their rebasings."""
    world, stop = overnight(FIXED)
    for close, rebased in histories:
        refreshed(world, D(close), D(rebased))
    world.now = MORNING + timedelta(minutes=1)
    world.snapshot()
    world.hear(m.ClockSeen, skew_seconds=0.1)
    steps = [ended(world, stop.intent), *world.reconcile(3)]
    return [order.stop_price for step in steps for order in sent(step)]


def test_none_is_placed_where_the_last_close_is_beyond_it() -> None:
    """It would sell at once, on figures that are in doubt."""
    assert bare_after(("0.45", "2")) == []


def test_all_that_its_history_was_rebased_by_counts() -> None:
    assert bare_after(("0.5", "2"), ("0.1", "5")) == [D("9.5")]


def test_the_split_makes_it_whole() -> None:
    """Its level is the one of new shares already."""
    world, _, steps = bare("2")
    (placed,) = [order for step in steps for order in sent(step)]
    works(world, placed.intent)
    world.positions[1], world.costs[1] = D(400), D(50)
    steps = [world.moved("AAA"), *world.reconcile(3)]
    assert [(one.change.quantity, one.change.stop_price) for step in steps for one in changes(step)] == [
        (400, D("47.5"))
    ]


def test_where_no_split_comes_a_person_gives_it_its_level_back() -> None:
    world, _, steps = bare("1.06")
    (placed,) = [order for step in steps for order in sent(step)]
    works(world, placed.intent)
    said = world.hear(m.ControlRequested, command="unquarantine", argument="AAA", by="uid 1000", reason="none comes")
    asked = [one.change for step in [said, *world.reconcile()] for one in changes(step)]
    assert [(one.quantity, one.stop_price) for one in asked] == [(200, 95)]


def test_it_is_not_placed_while_shares_differ_by_what_a_split_could_be() -> None:
    """The account is on its way."""
    world, stop = overnight(FIXED)
    refreshed(world, D("0.5"), D(2))
    world.now = MORNING + timedelta(minutes=1)
    world.snapshot()
    world.positions[1] = D(400)
    assert not [order for step in [ended(world, stop.intent), *world.reconcile(2)] for order in sent(step)]
