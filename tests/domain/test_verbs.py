"""The verb matrix: every condition against every action, as a rebalance sees it and again at the write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.decide import gate
from longwatch.domain.levels import Grade, Level
from longwatch.domain.orders import OrderState, Purpose
from longwatch.domain.risk.permits import check_verbs
from longwatch.domain.risk.verbs import (
    ALLOWED,
    Action,
    Condition,
    because,
    conditions,
    forbidden_by,
    forbidden_for,
    is_halted,
)
from tests.domain.test_caps import proposal
from tests.domain.test_exposure import order as an_order
from tests.domain.test_exposure import state_of
from tests.domain.test_holds import aim, hold_back, ordered, two
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
    state = state_of(replace(an_order(1), state=OrderState.UNKNOWN))
    for con_id, besides, held_by in ((1, None, C.UNKNOWN), (1, 2, C.UNKNOWN), (1, 1, None), (2, None, None)):
        assert list(conditions(state, con_id, ready=True, besides=besides)) == ([held_by] if held_by else [])
        assert forbidden_by(state, con_id, A.ENTRY, ready=True, besides=besides) is held_by


def test_a_flatten_is_a_condition_unless_a_halt_is_on() -> None:
    """Under a halt it closes nothing, so it may not keep the stops away either."""
    world = World.ready()
    world.hear(m.ControlRequested, command="flatten", by="uid 1000")
    assert list(conditions(world.state, 1, ready=True)) == [C.FLATTEN]
    world.hear(m.ControlRequested, command="halt", by="uid 1000")
    assert list(conditions(world.state, 1, ready=True)) == [C.HALT]


def held(world: World, *holds: tuple[Level, str, str, Grade]) -> World:
    for level, name, rule, grade in holds:
        world.state.holds[(level, name, rule)] = m.HoldSet(
            level=level,
            name=name,
            rule=rule,
            grade=grade,
            observed=D(1),
            limit=D(1),
            since=world.now,
            con_id=1 if level is Level.INSTRUMENT else None,
        )
    return world


def test_the_limits_behind_a_condition_are_named() -> None:
    """Those of its grade on this instrument, in order; none where a person is behind it, or nobody."""
    world = held(
        World.ready(),
        (Level.ACCOUNT, "DU123456", "rejections", Grade.REDUCING),
        (Level.ACCOUNT, "DU123456", "daily_loss", Grade.REDUCING),
        (Level.INSTRUMENT, "AAA", "order_slippage", Grade.HALTED),
        (Level.STRATEGY, "trend", "strategy_drawdown", Grade.HALTED),
    )
    assert (
        because(world.state, 1, C.REDUCING) == because(world.state, 2, C.REDUCING) == " (daily_loss, rejections limit)"
    )
    assert (because(world.state, 1, C.HALT), because(world.state, 2, C.HALT)) == (" (order_slippage limit)", "")
    assert because(World.ready().state, 1, C.HALT) == because(world.state, 1, C.UNKNOWN) == ""
    world.hear(m.ControlRequested, command="pause", by="uid 1000")
    assert because(world.state, 2, C.REDUCING) == " (daily_loss, rejections limit)"
    world.hear(m.ControlRequested, command="halt", by="uid 1000")
    assert because(world.state, 1, C.HALT) == ""


def test_a_refusal_names_the_limit_of_its_own_instrument() -> None:
    """AAA's hold is told of AAA, and the account's of the others."""
    world = held(World.ready(), (Level.INSTRUMENT, "AAA", "order_slippage", Grade.REDUCING))
    refusal = check_verbs(world.state, proposal(tech=world.now))
    assert refusal is not None and refusal.text == "AAA: no entry while reducing only (order_slippage limit)"


@pytest.mark.parametrize(
    ("level", "grade", "verb", "halted"),
    [
        (Level.ACCOUNT, Grade.HALTED, "", True),
        (Level.ACCOUNT, Grade.HALTED, "flatten", False),  # it closes
        (Level.ACCOUNT, Grade.REDUCING, "", False),
        (Level.INSTRUMENT, Grade.HALTED, "", False),
        (Level.STRATEGY, Grade.HALTED, "", False),
        (Level.INSTRUMENT, Grade.REDUCING, "halt", True),
        (Level.INSTRUMENT, Grade.REDUCING, "pause", False),
    ],
)
def test_the_account_is_halted_by_a_person_or_by_a_hold_of_its_own(
    level: Level, grade: Grade, verb: str, halted: bool
) -> None:
    """An instrument's or a strategy's hold is its own matter."""
    world = held(World.ready(), (level, "AAA", "drawdown", grade))
    if verb:
        world.hear(m.ControlRequested, command=verb, by="uid 1000")
    assert is_halted(world.state) is halted


def test_a_strategys_hold_forbids_no_stop_and_an_order_is_not_held_against_its_own_shares() -> None:
    """All of its part is being sold by this very order; a second one would turn it round."""
    world = two()
    aim(world, left={"AAA": "0"}, right={"AAA": "0.4"})
    (sale,) = ordered(world)
    assert forbidden_for(world.state, 1, A.REDUCE, sale.allocations) is None
    hold_back(world, "left", Grade.REDUCING)
    assert gate(world.state, sale.intent, world.now) is None
    assert forbidden_for(world.state, 1, A.REDUCE, sale.allocations, besides=sale.intent) is None
    assert forbidden_for(world.state, 1, A.REDUCE, sale.allocations) == "strategy left is reducing only"
    assert forbidden_for(world.state, 1, A.STOP, sale.allocations) is None


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
