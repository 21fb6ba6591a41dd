"""Every code, after every kind of request, on an order in every state: what it does, and that it does no more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from longwatch.broker.codes import CODES, Asked, Code, Verdict, row_of
from longwatch.domain import messages as m
from longwatch.domain.order_life.verdicts import WHAT_FOLLOWS, Action
from longwatch.domain.orders import TERMINAL, Absence, OrderState
from longwatch.domain.risk.permissions import is_about_permission
from longwatch.domain.state import put_order
from tests.domain.world import World, alerts, of_kind

S = OrderState
SENT = {S.SENDING, S.WORKING, S.UNKNOWN}
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
    verdict = row.after(asked)
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
    assert ending == {(Verdict.REJECTED, state) for state in SENT}
    assert not TERMINAL & SENT


def test_an_alert_tells_code_meaning_and_what_becomes_of_the_order(world: World) -> None:
    """One sentence, as severe as the row says; `info` is kept in the journal alone."""
    row = replace(row_of(99_999, CODES), meaning="held for review")
    for severity, count in (("critical", 1), ("info", 0)):
        told = of_kind(heard(world, S.WORKING, replace(row, severity=severity), Asked.NEW).effects, m.RaiseAlert)
        assert len(told) == count
        assert all((one.severity, one.text) == (severity, TEXT) for one in told)


TEXT = "order lw:k7q2:1 stays working: 99999 as it says (held for review)"
