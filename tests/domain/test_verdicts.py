"""Every code, after every kind of request, on an order in every state: what it does, and that it does no more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from longwatch.broker.codes import CODES, Asked, Code, Verdict, row_of
from longwatch.domain import messages as m
from longwatch.domain.order_life.verdicts import WHAT_FOLLOWS, Action
from longwatch.domain.orders import TERMINAL, Absence, OrderState
from longwatch.domain.reconciliation.causes import Cause
from longwatch.domain.risk.permissions import is_about_permission
from longwatch.domain.state import put_order
from tests.domain.world import World, alerts, of_kind

S = OrderState
SENT = {S.SENDING, S.WORKING, S.UNKNOWN}
REJECTIONS = {Verdict.REJECTED, Verdict.REJECTED_IF_NEW}
"""Of an order that was never acknowledged: that of these tests."""
NEVER_SENT = {S.INTENDED, S.REFUSED}
"""The broker can't speak of these: that it does is told."""
UNLISTED = [99_999, 10_999, 1]


@pytest.fixture(scope="module")
def world() -> World:
    """One order of 100 AAA with an id; each test puts it into the state it wants."""
    world = World.ready()
    world.one(AAA="0.1")
    world.handed(1)
    return world


def heard(world: World, state: OrderState, row: Code, asked: Asked, *, absence: bool = False):
    """What comes of the code on the order in that state; the breaker's memory is wiped before."""
    world.state.breakers.clear()
    gathered = Absence(since=world.now) if absence else None
    put_order(world.state, replace(world.order(1), state=state, filled=0, reported=0, ending=None, absence=gathered))
    said = row.said(asked)
    return world.hear(m.OrderErrorSeen, order_id=world.order(1).order_id, code=row.code, text="as it says", **said)


def test_the_table_says_of_every_verdict_what_follows_in_every_state() -> None:
    """There is no default row."""
    assert set(WHAT_FOLLOWS) == set(Verdict)
    assert all(set(row) == set(OrderState) for row in WHAT_FOLLOWS.values())


@pytest.mark.parametrize("code", [*CODES, *UNLISTED])
@pytest.mark.parametrize("asked", Asked)
def test_a_code_does_to_an_order_in_any_state_what_its_row_says(world: World, code: int, asked: Asked) -> None:
    """A listed rejection ends an order with the broker, a cancel's answer has the orders read; the rest does not
    move it, and what is unclear is told."""
    row = row_of(code, CODES)
    verdict = Verdict.REJECTED if row.after(asked) in REJECTIONS else row.after(asked)
    for state in OrderState:
        world.state.quarantines.clear()
        step = heard(world, state, row, asked)
        rejected = verdict is Verdict.REJECTED and state in SENT
        assert world.order(1).state is (S.REJECTED if rejected else state), (state, verdict)
        asks = verdict in (Verdict.CANCELLED, Verdict.NOT_FOUND, Verdict.TOO_LATE) and state in SENT
        assert bool(of_kind(step.effects, m.RequestSnapshot)) == asks, (state, verdict)
        late = verdict is Verdict.REJECTED and state not in {*SENT, S.REJECTED}
        told = late or verdict is Verdict.UNCLEAR or state in NEVER_SENT
        expected = {"order_rejected"} if rejected else {f"{verdict}_code"} if told else set()
        if rejected and is_about_permission(code, ""):
            expected |= {"not_permitted"}
        assert set(alerts(step)) == expected, (state, verdict)
        assert rejected or step.facts == (), (state, verdict)


@pytest.mark.parametrize("code", [code for code in CODES if CODES[code].cancel is Verdict.NOT_FOUND])
def test_not_found_on_an_unknown_order_is_noted_towards_its_absence(world: World, code: int) -> None:
    """It proves nothing by itself: the order stays unknown."""
    step = heard(world, S.UNKNOWN, row_of(code, CODES), Asked.CANCEL, absence=True)
    (fact,) = of_kind(step.facts, m.AbsenceNoted)
    assert fact.absence.cancel_not_found and world.order(1).state is S.UNKNOWN


def test_no_action_but_a_rejection_ends_an_order_and_none_ends_one_that_has_ended() -> None:
    """By the table itself."""
    ending = {(verdict, state) for verdict, row in WHAT_FOLLOWS.items() for state in row if row[state] is Action.END}
    assert ending == {(verdict, state) for verdict in REJECTIONS for state in SENT}
    assert not TERMINAL & SENT


def test_an_alert_tells_code_meaning_and_what_becomes_of_the_order(world: World) -> None:
    """One sentence, as severe as the row says; `info` is kept in the journal alone."""
    row = replace(row_of(99_999, CODES), meaning="held for review")
    for severity, count in (("critical", 1), ("info", 0)):
        told = of_kind(heard(world, S.WORKING, replace(row, severity=severity), Asked.NEW).effects, m.RaiseAlert)
        assert len(told) == count
        assert all((one.severity, one.text) == (severity, TEXT) for one in told)


TEXT = "order lw:k7q2:1 stays working: 99999 as it says (held for review)"


# ── a rejection that comes after our own cancel ─────────────────────────────────────────────────────────────────────


def asked_in_vain(acts: str = "") -> tuple[World, int]:
    """An order of 100 AAA that nothing was heard of, and our cancel that asks for it; shown at work first: `shown`."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.handed(intent)
    if acts == "shown":
        world.open_order(intent)
        world.open_orders.clear()
    world.wait(11)
    world.hear(m.TimeReached)
    asked = [effect for step in world.reconcile(3) for effect in of_kind(step.effects, m.CancelOrder)]
    assert world.order(intent).state is S.UNKNOWN and asked and world.order(intent).probed
    return world, intent


def says(world: World, intent: int, code: int) -> list[str]:
    """The alerts of a code that the broker says on the order after its cancel."""
    said = CODES[code].said(Asked.CANCEL)
    return alerts(world.hear(m.OrderErrorSeen, order_id=world.order(intent).order_id, code=code, text="no", **said))


def strikes(world: World) -> list[tuple[str, int]]:
    return [(row.reason, len(row.strikes)) for row in world.state.breakers.values()]


LATE = [code for code in CODES if CODES[code].cancel is Verdict.REJECTED_IF_NEW]


@pytest.mark.parametrize("code", LATE)
def test_an_order_without_an_answer_is_rejected_by_the_code_that_comes_after_our_cancel(code: int) -> None:
    """It is told and counted, and nothing said of order or cancel later counts it again, whichever comes."""
    world, intent = asked_in_vain()
    assert says(world, intent, code)[:1] == ["order_rejected"]
    for later in (code, 201, 202, 10147, 10148, 161, 135):
        says(world, intent, later)
        assert (world.order(intent).state, strikes(world)) == (S.REJECTED, [(f"rejected ({code})", 1)])
    world.status(intent, "Inactive", 0)
    world.status(intent, "Cancelled", 0)
    world.reconcile(8)
    assert (world.order(intent).state, strikes(world)) == (S.REJECTED, [(f"rejected ({code})", 1)])


def test_what_the_account_may_not_trade_is_not_sent_again_though_its_rejection_came_late() -> None:
    """The permission quarantine holds as it does where the rejection comes at once."""
    world, intent = asked_in_vain()
    assert says(world, intent, 203) == ["order_rejected", "not_permitted"]
    says(world, intent, 10147)
    world.reconcile(8)
    assert world.state.quarantines[1].cause is Cause.NOT_PERMITTED
    assert world.trade(AAA="0.1") == []


def test_the_answer_to_the_cancel_may_come_first() -> None:
    """Noted towards the absence, it proves nothing by itself: the rejection ends the order."""
    world, intent = asked_in_vain()
    says(world, intent, 10147)
    assert world.order(intent).state is S.UNKNOWN
    assert says(world, intent, 110) == ["order_rejected"]
    assert (world.order(intent).state, strikes(world)) == (S.REJECTED, [("rejected (110)", 1)])


def test_a_rejection_of_what_was_taken_for_absent_is_told() -> None:
    """The order is over either way; a person hears why."""
    world, intent = asked_in_vain()
    for _ in range(9):
        says(world, intent, 10147)
        world.reconcile()
    assert world.order(intent).state is S.ABSENT
    assert says(world, intent, 203) == ["rejected_code"]
    assert (world.order(intent).state, strikes(world)) == (S.ABSENT, [])


def test_an_order_that_is_at_work_after_all_is_live_again() -> None:
    """Whatever the code was about: shown with a permId it counts, and can fill."""
    world, intent = asked_in_vain()
    says(world, intent, 110)
    assert "order_revived" in alerts(world.open_order(intent))
    assert (world.order(intent).state, world.order(intent).remaining) == (S.WORKING, 100)
    assert says(world, intent, 110) == []
    world.fill(intent, 100)
    assert (world.order(intent).state, world.state.held(1)) == (S.FILLED, 100)


@pytest.mark.parametrize("code", LATE)
def test_an_order_that_was_acknowledged_goes_on(code: int) -> None:
    """It was accepted before: the code is no answer to it, and other evidence decides."""
    world, intent = asked_in_vain("shown")
    assert says(world, intent, code) == []
    assert (world.order(intent).state, strikes(world)) == (S.UNKNOWN, [])


@pytest.mark.parametrize("code", [116, 321, 10149])
@pytest.mark.parametrize("acts", ["", "shown"])
def test_a_code_that_may_be_about_the_cancel_ends_nothing_and_is_told(code: int, acts: str) -> None:
    """As when the gateway takes nothing but readings by now: the order may wait, or work, behind that."""
    world, intent = asked_in_vain(acts)
    assert says(world, intent, code) == ["unclear_code"]
    assert (world.order(intent).state, strikes(world)) == (S.UNKNOWN, [])


def test_a_person_may_have_cancelled_what_was_never_acknowledged() -> None:
    """While it is being sent; that it was refused counts as a strike all the same, once."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.handed(intent)
    step = world.hear(m.ControlRequested, command="cancel", argument="AAA", by="uid 1000", reason="a slip")
    assert of_kind(step.effects, m.CancelOrder) and world.order(intent).state is S.SENDING
    assert says(world, intent, 383) == ["order_rejected"]
    says(world, intent, 10147)
    assert world.order(intent).state is S.REJECTED
    assert [row for row in strikes(world) if row[1]] == [("rejected (383)", 1)]


@pytest.mark.parametrize(("outcome", "contradicted"), [("rejected", False), ("filled - 99.50", True)])
def test_a_persons_word_is_held_against_a_rejection_after_the_cancel(outcome: str, contradicted: bool) -> None:
    """As against one that came at once."""
    world, intent = asked_in_vain()
    told = {"by": "uid 1000", "reason": "by the statement"}
    world.hear(m.ControlRequested, command="resolve", argument=f"{intent} {outcome}", **told)
    assert ("resolution_contradicted" in says(world, intent, 110)) == contradicted
    assert world.order(intent).state is S.REJECTED and world.state.held(1) == 0
