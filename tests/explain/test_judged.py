"""What a check that passed is told to have seen is what it saw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from longwatch.domain import messages as m
from longwatch.domain.risk.permits import check_order_rate
from longwatch.explain.judged import OBSERVED
from tests.domain.test_caps import proposal
from tests.domain.test_protection import FIXED, holding
from tests.domain.world import World


def an_order_and_its_stop() -> World:
    return holding(FIXED)[0]


def an_order_and_its_modification() -> World:
    world = World.ready()
    world.acknowledge(world.one(AAA="0.2"))
    world.hear(m.ControlRequested, command="modify", argument="1 150", by="uid 1000", quotes=world.quotes())
    assert world.order(1).change is not None
    return world


@pytest.mark.parametrize(("seconds", "is_late"), [(0, False), (59.9, False), (60, True)])
@pytest.mark.parametrize(("made", "sends"), [(an_order_and_its_stop, 1), (an_order_and_its_modification, 2)])
def test_the_order_rate_told_is_what_the_check_counts(
    made: Callable[[], World], sends: int, seconds: float, is_late: bool
) -> None:
    """Of two orders one is a stop, which does not count; an order and its modification are two; for a minute."""
    world = made()
    trade = replace(proposal(), tech=world.now + timedelta(seconds=seconds))
    counted = "0" if is_late else str(sends)
    assert OBSERVED["order_rate"](world.state, trade) == (counted, "60")
    world.state.settings = replace(world.state.settings, max_orders_per_minute=0)
    refusal = check_order_rate(world.state, trade)
    assert refusal is not None and refusal.observed == counted
