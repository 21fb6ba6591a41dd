"""Whether what a stop, a take-profit or an exit is about to sell has been overtaken; asked by the gate of decide."""

from __future__ import annotations

from longwatch.domain.orders import Order, Purpose
from longwatch.domain.reconciliation.causes import Cause
from longwatch.domain.reconciliation.quarantines import is_for
from longwatch.domain.risk.oca import is_intact, others
from longwatch.domain.safeguards import attached
from longwatch.domain.safeguards.shares import known_held
from longwatch.domain.state import State

TOO_FEW = "less is held than it would sell"
SPLIT = "its terms are of shares that a split seems to have replaced"


def overtaken(state: State, order: Order) -> str | None:
    """Asked when an order's bytes are about to be written: why it would now sell, or buy back, what is not held."""
    if order.rests and is_for(state, order.con_id, {Cause.SPLIT}) and not attached.is_leaving(state, order):
        return SPLIT
    if order.rests and order.quantity > abs(known_held(state, order.con_id)) and not attached.is_leaving(state, order):
        return TOO_FEW
    stops = [one for one in others(state, order) if one.purpose is Purpose.STOP]
    if order.purpose in (Purpose.REDUCE, Purpose.PROFIT) and any(one.told or one.reported for one in stops):
        return "the stop of these shares has been triggered"
    if order.purpose is Purpose.PROFIT and not any(one.is_live and is_intact(state, one) for one in stops):
        return "the stop it belongs to is gone, or about to be"
    return None


def outgrown(state: State, order: Order) -> str | None:
    """Asked when the bytes of an order's new terms are about to be written: why a stop would then be too large.

    It may be so already: new terms for fewer shares leave in any case, and are followed by those for still fewer.
    """
    change = order.change
    if order.purpose is not Purpose.STOP or change is None or change.quantity < order.quantity:
        return None
    return TOO_FEW if change.quantity - order.told > abs(known_held(state, order.con_id)) else None
