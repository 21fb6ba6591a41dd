"""Fills that the broker no longer tells, concluded from what it still shows; called by reconcile, undone by lifecycle.

A gateway started anew has forgotten the day's executions. Where the account differs from the book by exactly what our
orders have filled by the broker's own word, or by no more than one unknown order of an earlier connection could have
filled, these orders explain it. The price is the decision's until the execution itself is heard and takes its place.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.evidence import EVIDENCE_OF_END, Decided, advance
from longwatch.domain.orders import Evidence, Order, OrderState
from longwatch.domain.state import Fill, State

ZERO = Decimal(0)
PREFIX = "inferred:"


def infer(state: State, row: m.Difference, at: datetime, tech: datetime) -> Decided:
    """The fills that explain a standing difference; nothing where something else might."""
    if any(foreign.con_id == row.con_id for foreign in state.foreign_orders.values()):
        return
    missing = row.account - row.book - row.outside
    live = state.live_in(row.con_id)
    reported = [order for order in live if order.reported > order.filled]
    if reported:
        parts = [(order, order.reported - order.filled) for order in reported]
        if sum((part * order.side.sign for order, part in parts), ZERO) != missing:
            return
        for order, part in parts:
            yield from _book(state, order, part, at, tech)
            yield from _settled(state, state.orders[order.intent])
        return
    unknown = [order for order in live if order.state is OrderState.UNKNOWN and order.epoch != state.epoch]
    if len(unknown) != 1 or not ZERO < missing * unknown[0].side.sign <= unknown[0].remaining:
        return
    yield from _book(state, unknown[0], abs(missing), at, tech)
    text = f"the account holds {abs(missing)} more of it, and nothing else explains that"
    yield from advance(state, state.orders[unknown[0].intent], Evidence.INFERRED, text=text)


def replaced_by(state: State, intent: int | None, executed_at: datetime) -> Fill | None:
    """The inferred fill that an execution heard after all was part of; None for one made since then."""
    if intent is None:
        return None
    prefix = f"{PREFIX}{intent}."
    found = (fill for exec_id, fill in state.fills.items() if exec_id.startswith(prefix))
    return next((fill for fill in found if executed_at <= fill.executed_at), None)


def rest_of(state: State, former: Fill, executed: Decimal, tech: datetime) -> Decided:
    """What is left of an inferred fill when one of the executions it stood for has taken its place."""
    left = abs(former.quantity) - executed
    if left > 0 and former.intent is not None:
        yield from _book(state, state.orders[former.intent], left, former.executed_at, tech)


def _book(state: State, order: Order, quantity: Decimal, at: datetime, tech: datetime) -> Decided:
    booked = sum(1 for exec_id in state.fills if exec_id.startswith(f"{PREFIX}{order.intent}."))
    heard = sum(1 for fill in state.fills.values() if fill.intent == order.intent)
    yield m.FillBooked(
        exec_id=f"{PREFIX}{order.intent}.{booked + heard + 1}",
        intent=order.intent,
        con_id=order.con_id,
        symbol=order.symbol,
        side=order.side,
        quantity=quantity,
        price=order.decision_price,
        executed_at=at,
        tech=tech,
    )
    yield m.RaiseAlert(
        key="inferred_fill",
        text=(
            f"{order.side.value} {quantity} {order.symbol} ({order.ref}) filled by the account's position; "
            "no execution was heard, so its price is the decision's: see the broker's statement"
        ),
    )


def _settled(state: State, order: Order) -> Decided:
    """The order goes where its fills, and the broker's word on its end, lead."""
    text = "its executions were not heard; the account's position shows them"
    if order.filled >= order.quantity:
        yield from advance(state, order, Evidence.ALL_FILLED, text=text, reported=order.filled)
    elif order.ending is not None:
        yield from advance(state, order, EVIDENCE_OF_END[order.ending], text=text)
    else:
        yield from advance(state, order, Evidence.PART_FILLED, text=text)
