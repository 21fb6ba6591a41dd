"""Lines on whose shares are whose, what holds orders back, and persons' words on both; in the narrator's table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from longwatch.domain import messages as m
from longwatch.domain.reconciliation.causes import Cause
from longwatch.domain.risk.held_at import told
from longwatch.domain.state import State
from longwatch.ops.lines import Line, quiet, warning
from longwatch.ops.phrases import number, symbol_of


def quarantine_set(fact: m.QuarantineSet, state: State) -> Line:
    """Quiet: an alert tells it."""
    return quiet("reconcile", f"{fact.symbol} quarantined: {fact.reason}")


def quarantine_lifted(fact: m.QuarantineLifted, state: State) -> Line:
    """Both sides agree again, or a person has looked."""
    return Line(topic="reconcile", text=f"{symbol_of(state, fact.con_id)} out of quarantine: {fact.reason}")


def outside_set(fact: m.OutsideSet, state: State) -> Line:
    """What is not ours, and by what proof."""
    cause = "" if fact.cause is Cause.UNEXPLAINED else f"{fact.cause.value}: "
    return Line(topic="book", text=f"{number(fact.quantity)} {fact.symbol} not ours ({cause}{fact.reason})")


def holding_adopted(fact: m.HoldingAdopted, state: State) -> Line:
    """What is ours by a person's word, or a setting's."""
    text = f"adopted {number(fact.quantity)} {fact.symbol} at {number(fact.average_cost)} ({fact.reason})"
    return Line(topic="book", text=text)


def split_booked(fact: m.SplitBooked, state: State) -> Line:
    """What moved together, and what proves it."""
    ours = f"ours {number(fact.book)} at {number(fact.average_cost)}"
    return warning("reconcile", f"{fact.symbol} split {fact.new}/{fact.old}: {ours}; {fact.proof}")


def breaker_set(fact: m.BreakerSet, state: State) -> Line | None:
    """Alerts tell of those that the broker caused; a person's cancel has a line of its own."""
    if fact.until is None:
        return None
    held = f"{fact.symbol}: no {fact.purpose.value} before {fact.until:%Y-%m-%d %H:%M}Z ({fact.reason})"
    return quiet("risk", held)


def breaker_lifted(fact: m.BreakerLifted, state: State) -> Line:
    """A fill, or a person's word."""
    return Line(topic="risk", text=f"{fact.symbol}: {fact.purpose.value} allowed again: {fact.because}")


def hold_set(fact: m.HoldSet, state: State) -> Line:
    """Quiet: an alert tells it."""
    return quiet("risk", f"held: {told(fact)}")


def hold_lifted(fact: m.HoldLifted, state: State) -> Line:
    """The rule's own end, or a person's word."""
    return Line(topic="risk", text=f"{fact.level.value} {fact.name}: {fact.rule} no longer holds: {fact.because}")


def flow_booked(fact: m.FlowBooked, state: State) -> Line:
    """Money that is neither gain nor loss, and by what that is known."""
    way = "into" if fact.amount > 0 else "out of"
    return Line(topic="account", text=f"{number(abs(fact.amount))} {way} the account without a trade: {fact.reason}")


def parts_crossed(fact: m.PartsCrossed, state: State) -> Line:
    """Who took over from whom."""
    moves = ", ".join(f"{name} {number(quantity)}" for name, quantity in fact.moves)
    return Line(topic="sizing", text=f"{fact.symbol} between strategies at {number(fact.price)}: {moves}")


def verb_set(fact: m.VerbSet, state: State) -> Line:
    """Loud while it holds, and once when it no longer does."""
    text = f"{fact.verb.value} {'on' if fact.on else 'off'}, by {fact.by}" + (f": {fact.reason}" if fact.reason else "")
    return warning("verb", text) if fact.on else Line(topic="verb", text=text)


def order_resolved(fact: m.OrderResolved, state: State) -> Line:
    """A person's evidence, with who and why."""
    order = state.orders[fact.intent]
    part = f", {number(fact.quantity)} filled at {number(fact.price)}" if fact.quantity else ""
    why = f": {fact.reason}" if fact.reason else ""
    return warning("orders", f"{order.ref} {order.symbol} resolved as {fact.outcome}{part} by {fact.by}{why}")


def resolution_contradicted(fact: m.ResolutionContradicted, state: State) -> Line:
    """Quiet: an alert tells it."""
    return quiet("orders", f"{state.orders[fact.intent].ref} is unknown again, the broker says: {fact.says}")


def stop_level_set(fact: m.StopLevelSet, state: State) -> Line | None:
    """Where a stop is to lie, and by what; its orders have lines of their own."""
    if fact.level is None:
        return None
    return Line(topic="stops", text=f"{fact.symbol}: stop at {number(fact.level)}: {fact.because}")


def protection_set(fact: m.ProtectionSet, state: State) -> Line | None:
    """Quiet: it comes with every fill; an alert tells when it lasts."""
    if not fact.unprotected:
        return quiet("stops", f"{fact.symbol}: all that is held has its stop")
    return quiet("stops", f"{fact.symbol}: {number(fact.unprotected)} held without a stop")


HELD_BACK = cast(
    "dict[type, Callable[[Any, State], Line | None]]",
    {
        m.QuarantineSet: quarantine_set,
        m.QuarantineLifted: quarantine_lifted,
        m.OutsideSet: outside_set,
        m.HoldingAdopted: holding_adopted,
        m.SplitBooked: split_booked,
        m.BreakerSet: breaker_set,
        m.BreakerLifted: breaker_lifted,
        m.HoldSet: hold_set,
        m.HoldLifted: hold_lifted,
        m.FlowBooked: flow_booked,
        m.PartsCrossed: parts_crossed,
        m.VerbSet: verb_set,
        m.StopLevelSet: stop_level_set,
        m.ProtectionSet: protection_set,
        m.OrderResolved: order_resolved,
        m.ResolutionContradicted: resolution_contradicted,
    },
)
"""Of the narrator's table, the facts of this module."""
