"""A split under another quarantine, or told row by row: no stop of old terms for new shares, and no word too many."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

import pytest

from longwatch.domain import messages as m
from longwatch.domain.decide import Step, gate
from longwatch.domain.orders import Order, Purpose
from longwatch.domain.reconciliation import splits
from longwatch.domain.reconciliation.causes import LIFTED_BY, Cause
from longwatch.domain.reconciliation.quarantines import (
    POSITION,
    UNDIGESTED,
    UNREADABLE,
    ended_by,
    for_undigested,
    is_alone,
    laid,
    lets_adopt,
    lifted,
    tells_of_shares,
)
from longwatch.domain.state import State, evolve
from tests.domain.test_protection import FIXED, holding, sent
from tests.domain.world import CON_IDS, OPEN, World, alerts, of_kind

KID = "Order rejected - reason:No Trading Permission: Key Information Document (KID) not available"
MORNING = OPEN + timedelta(days=3)


def held_200() -> tuple[World, Order]:
    """200 AAA bought at 100, their stop at 95, book and account agreeing."""
    world, stop = holding(FIXED)
    world.costs[1] = D(100)
    world.reconcile()
    return world, world.order(stop.intent)


def not_permitted(world: World) -> None:
    (buy,) = world.trade(AAA="0.3")
    world.handed(buy.intent)
    order_id = world.order(buy.intent).order_id
    told = {"text": KID, "verdict": "rejected", "meaning": "", "severity": "warning"}
    world.hear(m.OrderErrorSeen, order_id=order_id, code=201, **told)
    world.reconcile()
    assert layers(world) == [Cause.NOT_PERMITTED]


def unreadable(world: World) -> None:
    world.hear(m.MessageUndecodable, message_id=61, reason="no such field", raw=(), con_id=1)


def layers(world: World) -> list[Cause]:
    found, held = [], world.state.quarantines.get(1)
    while held is not None:
        found.append(held.cause)
        held = held.beneath
    return found


def before_the_open(world: World, stop: Order) -> None:
    """The next session's morning: the broker has ended the stop."""
    world.now = MORNING - timedelta(minutes=30)
    world.snapshot()
    world.hear(m.ClockSeen, skew_seconds=0.1)
    world.end(stop.intent)
    world.status(stop.intent, "Cancelled")


def in_the_session(world: World, rounds: int = 4) -> list[Step]:
    world.now = max(world.now, MORNING + timedelta(minutes=1))
    return world.reconcile(rounds)


def said(world: World, command: str) -> Step:
    return world.hear(m.ControlRequested, command=command, argument="AAA", by="uid 1000", reason="looked into")


def stops_of(steps: list[Step]) -> list[tuple[D, D | None]]:
    return [(order.quantity, order.stop_price) for step in steps for order in sent(step)]


@pytest.mark.parametrize("quarantined", [not_permitted, unreadable], ids=lambda one: one.__name__)
def test_a_split_is_suspected_under_another_quarantine_and_leaves_it(quarantined) -> None:
    """Nothing is placed at 95 for shares at 50; once it is booked what was there before is there again."""
    world, stop = held_200()
    quarantined(world)
    before_the_open(world, stop)
    if not world.state.quarantines:
        quarantined(world)  # what could not be read has been, since
    (before,) = layers(world)
    world.positions[1], world.costs[1] = D(400), D(50)
    world.prices["AAA"] = D(50)
    step = world.moved("AAA")
    assert layers(world) == [Cause.SPLIT, before]
    assert alerts(step) == ["split_suspected"] and of_kind(step.effects, m.RunJob)
    assert stops_of(in_the_session(world)) == []
    world.hear(
        m.DataRefreshed,
        run_id="refresh@3",
        session=world.state.sessions[1].date,
        judged=(m.SeriesJudged(symbol="AAA", bars=250, last_session=None, close=D(50), rebased=D(2)),),
    )
    assert stops_of(in_the_session(world, 2)) == [(D(400), D("47.50"))]
    assert layers(world) == ([Cause.NOT_PERMITTED] if quarantined is not_permitted else [])


def test_a_cost_that_follows_its_shares_by_a_row_tells_a_split_all_the_same() -> None:
    """400 at 100, then 400 at 50."""
    world, stop = held_200()
    before_the_open(world, stop)
    world.positions[1] = D(400)
    assert not alerts(world.moved("AAA"))
    world.costs[1] = D(50)
    assert alerts(world.moved("AAA")) == ["split_suspected"]
    assert layers(world) == [Cause.SPLIT]
    assert stops_of(in_the_session(world)) == []


@pytest.mark.parametrize("shares", ["400", "300", "20", "133"])
def test_while_the_shares_could_be_those_of_a_split_an_ended_stop_is_not_placed_again(shares: str) -> None:
    """Their cost is not told anew: neither at once nor once the difference is quarantined, until somebody says."""
    world, stop = held_200()
    before_the_open(world, stop)
    world.positions[1] = D(shares)
    world.moved("AAA")
    steps = in_the_session(world)
    assert stops_of(steps) == [] and layers(world) == [Cause.UNEXPLAINED]
    assert "unprotected" in [key for step in steps for key in alerts(step)]
    step = said(world, "unquarantine")
    assert of_kind(step.facts, m.OutsideSet)
    assert not splits.may_be_one(world.state, 1)


def test_shares_that_are_no_split_leave_the_stop_to_be_renewed() -> None:
    """207 for 200 is none of plain numbers."""
    world, stop = held_200()
    before_the_open(world, stop)
    world.positions[1] = D(207)
    world.moved("AAA")
    assert stops_of(in_the_session(world, 1)) == [(D(200), D("95.00"))]


def test_a_stop_that_waits_to_be_written_is_not_of_a_split_s_old_shares() -> None:
    """It was sized, and then the account moved."""
    world = World.ready(FIXED)
    intent = world.one(AAA="0.2")
    world.acknowledge(intent)
    (stop,) = sent(world.fill(intent, 200))
    world.end(intent)
    world.status(intent, "Filled")
    world.costs[1] = D(100)
    world.moved("AAA")
    assert gate(world.state, stop.intent, world.now) is None
    world.positions[1], world.costs[1] = D(400), D(50)
    world.moved("AAA")
    why = gate(world.state, stop.intent, world.now)
    assert why == "its terms are of shares that a split seems to have replaced"


def test_a_difference_is_told_upon_a_quarantine_that_is_not_about_it() -> None:
    """Once; it ends by itself, and the permission is held back as before."""
    world, _ = held_200()
    not_permitted(world)
    world.positions[1] = D(207)
    told = [key for step in world.reconcile(4) for key in alerts(step)]
    assert told.count("unexplained_difference") == 1
    assert layers(world)[1:] == [Cause.NOT_PERMITTED]
    world.positions[1] = D(200)
    world.reconcile(2)
    assert layers(world) == [Cause.NOT_PERMITTED]


def test_a_word_about_a_permission_books_no_difference_that_nobody_was_told_of() -> None:
    """It is said, the quarantine for the permission ends, and where the difference stands it has one of its own."""
    world, _ = held_200()
    not_permitted(world)
    world.positions[1] = D(207)
    world.moved("AAA")
    step = said(world, "unquarantine")
    assert not of_kind(step.facts, m.OutsideSet) and alerts(step) == ["unexplained_difference"]
    assert not world.state.quarantines
    world.reconcile(3)
    assert len(layers(world)) == 1 and layers(world) != [Cause.NOT_PERMITTED]
    step = said(world, "unquarantine")
    assert [fact.quantity for fact in of_kind(step.facts, m.OutsideSet)] == [7]
    world.reconcile(2)
    assert not world.state.quarantines and world.state.outside[CON_IDS["AAA"]][1] == 7


def test_a_word_about_a_difference_leaves_the_permission() -> None:
    """Each is lifted by a word of its own."""
    world, _ = held_200()
    not_permitted(world)
    world.positions[1] = D(207)
    world.reconcile(4)
    said(world, "unquarantine")
    assert layers(world) == [Cause.NOT_PERMITTED] and world.state.outside[1][1] == 7
    said(world, "unquarantine")
    assert layers(world) == []
    assert not [one for one in world.state.live_in(1) if one.purpose is Purpose.ENTRY]


@pytest.mark.parametrize("ended", [Cause.NOT_PERMITTED, Cause.REBASED, Cause.SPLIT])
def test_of_three_quarantines_each_may_end_and_the_others_lie_as_they_lay(ended: Cause) -> None:
    """Whichever it is, with the reason that is given for its end; the last one left is alone."""
    state, causes = State(), [Cause.NOT_PERMITTED, Cause.REBASED, Cause.SPLIT]
    for cause in causes:
        evolve(state, laid(state, m.QuarantineSet(con_id=1, symbol="AAA", reason=cause, tech=OPEN, cause=cause)))
    there, *beneath = (cause for cause in reversed(causes) if cause is not ended)
    first, left = lifted(state, 1, "a person has looked", of=ended)
    assert first == m.QuarantineLifted(con_id=1, reason="a person has looked")
    assert isinstance(left, m.QuarantineSet) and left.beneath is not None
    assert ([left.cause, left.beneath.cause], left.beneath.beneath) == ([there, *beneath], None)
    evolve(state, first)
    evolve(state, left)
    assert not any(is_alone(state, 1, cause) for cause in Cause)
    for fact in list(lifted(state, 1, "", of=there)):
        evolve(state, fact)
    assert [cause for cause in Cause if is_alone(state, 1, cause)] == beneath
    assert not any(is_alone(state, 2, cause) for cause in Cause)


def quarantine(reason: str, cause: Cause = Cause.UNEXPLAINED, con_id: int = 1) -> m.QuarantineSet:
    return m.QuarantineSet(con_id=con_id, symbol="AAA", reason=reason, tech=OPEN, cause=cause)


DIFFERS = quarantine(f"{POSITION}: account 207, book 200")
EVENT = quarantine(f"{UNDIGESTED}: a status")
PERMISSION = quarantine("no trading permission", Cause.NOT_PERMITTED)


def lying(*layers: m.QuarantineSet) -> State:
    """The last one uppermost."""
    state = State()
    for one in layers:
        evolve(state, laid(state, one))
    return state


def test_an_event_of_which_nothing_was_concluded_lies_beneath_what_ends_by_itself_and_above_the_rest() -> None:
    """Once an instrument; another's is none of it."""
    assert for_undigested(lying(), EVENT) == EVENT
    assert for_undigested(lying(quarantine(EVENT.reason, con_id=2)), EVENT) == EVENT
    held = for_undigested(lying(PERMISSION, DIFFERS), EVENT)
    assert held == replace(DIFFERS, beneath=replace(EVENT, beneath=PERMISSION))
    for there in ((EVENT,), (EVENT, DIFFERS), (PERMISSION, EVENT, DIFFERS)):
        assert for_undigested(lying(*there), quarantine(f"{UNDIGESTED}: another")) is None


@pytest.mark.parametrize(
    ("held", "tells"),
    [
        (DIFFERS, True),
        (quarantine(f"{POSITION}: as by a split", Cause.SPLIT), True),
        (quarantine("its history is ahead", Cause.REBASED), False),
        (PERMISSION, False),
        (quarantine(UNREADABLE), False),
        (EVENT, False),
    ],
)
def test_a_word_counts_for_a_difference_only_where_one_was_told(held: m.QuarantineSet, tells: bool) -> None:
    """To adopt, also where a message could not be read that may have told of it."""
    assert tells_of_shares(held) is tells
    assert lets_adopt(held) is (tells or held.reason == UNREADABLE)


@pytest.mark.parametrize(
    ("held", "what"),
    [
        (
            quarantine(UNREADABLE),
            "a whole download of the account that can be read; or else `longwatch unquarantine AAA`",
        ),
        (EVENT, "`longwatch unquarantine AAA`, once it is looked into"),
        (DIFFERS, LIFTED_BY[Cause.UNEXPLAINED].format("AAA")),
        (quarantine(f"{POSITION}: 5 are 6", Cause.TRANSFER), LIFTED_BY[Cause.TRANSFER].format("AAA")),
        (PERMISSION, LIFTED_BY[PERMISSION.cause].format("AAA")),
    ],
)
def test_a_person_reads_what_would_end_a_quarantine(held: m.QuarantineSet, what: str) -> None:
    """Book and account agreeing ends what is about shares alone."""
    assert ended_by(held) == what
