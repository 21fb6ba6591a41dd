"""The verb matrix: every condition against every action, as a rebalance sees it and again at the write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.decide import gate
from longwatch.domain.orders import Purpose
from longwatch.domain.risk.verbs import ALLOWED, Action, Condition
from tests.domain.world import World, of_kind

D = Decimal
C, A = Condition, Action


def _verb(command: str) -> Callable[[World], object]:
    return lambda world: world.hear(m.ControlRequested, command=command, by="uid 1000")


def _reducing(world: World) -> None:
    fact = m.VerbSet(verb=m.Verb.REDUCING, on=True, by="limit", reason="daily loss")
    world.state.verbs[m.Verb.REDUCING] = fact


def _quarantine(world: World) -> None:
    for con_id in (1, 2):
        world.hear(m.MessageUndecodable, message_id=11, raw=(), reason="a field is missing", con_id=con_id)


def _not_ready(world: World) -> None:
    world.hear(m.BackendSeen, up=False)


def _unknown(world: World) -> None:
    """An order each in AAA and BBB, on the side that the matrix's trade is on, of which no outcome is heard.

    The gateway has answered their cancels, so no window in it holds everything up.
    """
    lost = world.trade(AAA="0.15", BBB="0.05")
    for order in lost:
        world.handed(order.intent)
    world.hear(m.LinkLost, reason="reset by peer")
    world.connect()
    world.reconcile(1)
    for order in lost:
        row = {"order_id": world.order(order.intent).order_id, "code": 10148, "text": "too late", "verdict": "too late"}
        world.hear(m.OrderErrorSeen, **row)


HOLD: dict[Condition, Callable[[World], object]] = {
    C.PAUSE: _verb("pause"),
    C.REDUCING: _reducing,
    C.HALT: _verb("halt"),
    C.FLATTEN: _verb("flatten"),
    C.QUARANTINED: _quarantine,
    C.NOT_READY: _not_ready,
    C.UNKNOWN: _unknown,
}


def test_the_matrix_is_total_and_a_cancel_is_always_allowed() -> None:
    """Each condition says of each action whether it passes; nothing ever holds back a cancel."""
    assert set(ALLOWED) == set(Condition) == set(HOLD)
    assert all(A.CANCEL in allowed for allowed in ALLOWED.values())
    assert all(A.ENTRY not in allowed for allowed in ALLOWED.values())


def invested() -> World:
    """100 shares of AAA; targets of less AAA (a reduction) and of some BBB (an entry)."""
    world = World.ready()
    world.finish(world.one(AAA="0.2"))
    world.wait(1)
    world.snapshot()
    return world


@pytest.mark.parametrize("condition", Condition)
def test_a_rebalance_intends_what_the_matrix_lets_through(condition: Condition) -> None:
    """Entries and reductions, each refused by the condition's own name or made into an order."""
    world = invested()
    HOLD[condition](world)
    world.targets(AAA="0.05", BBB="0.2")
    step = world.rebalance()
    made = {effect.order.purpose: effect.order.symbol for effect in of_kind(step.effects, m.SubmitOrder)}
    refused = {fact.symbol: fact.check for fact in of_kind(step.facts, m.TradeRefused)}
    assert (Purpose.REDUCE in made) == (A.REDUCE in ALLOWED[condition])
    assert (Purpose.ENTRY in made) == (A.ENTRY in ALLOWED[condition])
    if condition is C.FLATTEN:
        # A flatten has one aim: everything goes, nobody asks for entries.
        assert made == {Purpose.REDUCE: "AAA"} and refused == {}
    else:
        assert set(refused) == {"AAA", "BBB"} - set(made.values())
        assert set(refused.values()) <= {condition.name.lower()}


@pytest.mark.parametrize("purpose", [one for one in Purpose if one is not Purpose.PROFIT])
@pytest.mark.parametrize("condition", Condition)
def test_the_gate_asks_the_matrix_again_at_the_write(condition: Condition, purpose: Purpose) -> None:
    """An order that waited while a condition came up is withheld by it, or leaves."""
    world = invested()
    if condition is C.UNKNOWN:
        HOLD[condition](world)
        intent = world.one(AAA="0.15", BBB="0.05", CCC="0.1")
    else:
        intent = world.one(AAA="0.2", CCC="0.1")
    changes = {"purpose": purpose, "con_id": 1, "symbol": "AAA", "quantity": D(1)}
    world.state.orders[intent] = replace(world.order(intent), **changes)
    if condition is not C.UNKNOWN:
        assert gate(world.state, intent, world.now) is None
        HOLD[condition](world)
        world.state.orders[intent] = replace(world.order(intent), cancel_asked=False)
    reason = gate(world.state, intent, world.now)
    assert (reason is None) == (A(purpose.value) in ALLOWED[condition])
    assert reason is None or reason.startswith(condition.value)


def test_an_unknown_order_is_not_held_against_itself() -> None:
    """Only others in the same instrument block it."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    assert gate(world.state, intent, world.now) is None


def test_the_gate_names_what_is_not_ready_only_when_that_is_why() -> None:
    """A halt is told as a halt, also while the link is down."""
    world = invested()
    intent = world.one(AAA="0.2", CCC="0.1")
    world.hear(m.BackendSeen, up=False)
    assert gate(world.state, intent, world.now) == "not ready: backend: the gateway has lost its link to IB"
    world.state.verbs[m.Verb.HALT] = m.VerbSet(verb=m.Verb.HALT, on=True, by="", reason="")
    assert gate(world.state, intent, world.now) == "halted"


def test_the_gate_lets_nothing_pass_that_is_not_being_sent() -> None:
    """Not known, asked to be cancelled, or past its sending."""
    world = invested()
    intent = world.one(AAA="0.2", CCC="0.1")
    assert gate(world.state, 99, world.now) == "the order is not known"
    world.hear(m.ControlRequested, command="cancel", argument=str(intent))
    assert gate(world.state, intent, world.now) == "its cancel was asked for"
    world.hear(m.OrderWithheld, intent=intent, reason="its cancel was asked for")
    assert gate(world.state, intent, world.now) == "the order is unsent"
