"""What can't be digested stops its instrument beside what has stopped it already, and hides none of that."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.domain.reconciliation.causes import Cause
from longwatch.domain.state import evolve
from longwatch.engine import undigested
from longwatch.journal.codec import decode, encode
from tests.domain.test_protection import changes
from tests.domain.test_splits_hidden import held_200, layers, not_permitted, said, unreadable
from tests.domain.world import World, alerts, order_status

WHY = "KeyError: 'no such row'"


def undigestible(world: World) -> list[m.Fact]:
    """The status of the stop of AAA can't be digested; as the engine takes that in."""
    event = order_status(world.order(2), world.now, "PreSubmitted", D(0))
    facts = undigested.facts_of(world.state, event, WHY)
    for fact in facts:
        evolve(world.state, fact)
    return facts


def reasons(world: World) -> list[str]:
    found, held = [], world.state.quarantines.get(1)
    while held is not None:
        found.append(held.reason)
        held = held.beneath
    return found


def differs(world: World, shares: int) -> list[Step]:
    world.positions[1] = D(shares)
    return [world.moved("AAA"), *world.reconcile(3)]


def test_a_split_that_is_suspected_is_booked_and_the_event_is_left() -> None:
    """It would have been forgotten, and a stop of old terms placed upon new shares."""
    world, stop = held_200()
    world.split("AAA", 2, 1, rebased=False)
    facts = undigestible(world)
    assert [type(fact) for fact in facts] == [m.EventKept, m.QuarantineSet]
    assert decode(encode(1, 1, facts[1])) == facts[1]
    assert layers(world) == [Cause.SPLIT, Cause.UNEXPLAINED]
    assert not [one for step in world.reconcile(2) for one in changes(step)]
    world.fetched(AAA=D(2))
    world.reconcile(2)
    assert world.state.book[1].quantity == 400 and world.order(stop.intent).is_live
    assert reasons(world) == [f"an undigested event: {undigested._plain(WHY)}"]
    said(world, "unquarantine")
    assert not world.state.quarantines and not world.state.outside


@pytest.mark.parametrize("quarantined", [not_permitted, unreadable], ids=lambda one: one.__name__)
def test_what_lay_there_before_is_there_again_after_a_word_for_the_event(quarantined) -> None:
    world, _ = held_200()
    quarantined(world)
    (before,) = reasons(world)
    undigestible(world)
    assert reasons(world)[1:] == [before]
    said(world, "unquarantine")
    assert reasons(world) == [before]


def test_a_difference_is_told_upon_it_and_each_has_its_word() -> None:
    """The word for the event takes no shares for somebody else's."""
    world, _ = held_200()
    undigestible(world)
    told = [key for step in differs(world, 207) for key in alerts(step)]
    assert told.count("unexplained_difference") == 1
    assert [reason.split(":")[0] for reason in reasons(world)] == ["position", "an undigested event"]
    world.positions[1] = D(200)
    world.moved("AAA")
    world.reconcile(2)
    assert [reason.split(":")[0] for reason in reasons(world)] == ["an undigested event"]
    world.positions[1] = D(207)
    world.moved("AAA")
    assert "unexplained_difference" in alerts(said(world, "unquarantine"))
    assert not world.state.outside


def test_a_difference_that_was_there_before_ends_by_itself_and_leaves_the_event() -> None:
    world, _ = held_200()
    differs(world, 207)
    undigestible(world)
    world.positions[1] = D(200)
    world.moved("AAA")
    world.reconcile(2)
    assert [reason.split(":")[0] for reason in reasons(world)] == ["an undigested event"]


def test_one_is_enough() -> None:
    """A row that can't be digested is told again with every reading."""
    world, _ = held_200()
    undigestible(world)
    assert [type(fact) for fact in undigestible(world)] == [m.EventKept]
    assert len(reasons(world)) == 1
