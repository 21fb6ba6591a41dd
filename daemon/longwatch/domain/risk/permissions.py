"""What the broker lets this account not trade is held until a person lifts it; asked by lifecycle."""

from __future__ import annotations

from longwatch.domain import messages as m
from longwatch.domain.order_life.evidence import Decided
from longwatch.domain.orders import Order
from longwatch.domain.reconciliation.causes import Cause, lifted_by
from longwatch.domain.state import State

CODES = frozenset({203, 412, 460})
"""Refusals that speak of nothing else: not available or allowed for this account, no trading permissions."""

PHRASES = (
    "trading permission",
    "key information document",
    "(kid)",
    " kid ",
    "priips",
    "not allowed for this account",
    "not available for trading",
    "not permitted",
    "not eligible to trade",
)
"""What other refusals, 201 and 10xxx above all, say of permissions; in small letters."""


def is_about_permission(code: int, text: str) -> bool:
    """Whether an order was refused for what it is and not for how it was made: the next would be as well."""
    told = f" {text.lower()} "
    return code in CODES or any(phrase in told for phrase in PHRASES)


def refused(state: State, order: Order, event: m.OrderErrorSeen) -> Decided:
    """A refusal for want of permission quarantines the instrument with its reason."""
    if order.con_id in state.quarantines or not is_about_permission(event.code, event.text):
        return
    cause = Cause.NOT_PERMITTED
    reason = f"{cause.value}: {event.text} ({event.code})"
    yield m.QuarantineSet(con_id=order.con_id, symbol=order.symbol, reason=reason, tech=event.tech, cause=cause)
    text = f"{order.symbol}: {reason}; no new orders in it until: {lifted_by(cause, order.symbol)}"
    yield m.RaiseAlert(key="not_permitted", text=text, severity="critical")
