"""Executions of an order of ours that was not known by their permId when they were told; called by decide.

Until the broker names the order they are booked as others' trades, and count so.
"""

from __future__ import annotations

from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.order_life import lifecycle
from longwatch.domain.order_life.evidence import Decided
from longwatch.domain.reconciliation.others import NEVER_BY_OTHERS
from longwatch.domain.reconciliation.quarantines import layers, lifted
from longwatch.domain.state import State


def identified(state: State, fact: m.OrderIdentified, event: m.Event) -> Decided:
    """The order has this permId: executions that bore it alone are its own, and no longer outside."""
    exec_ids = [name for name in state.unclaimed.get(fact.perm_id, ()) if name in state.fills]
    if not exec_ids:
        return
    order = state.orders[fact.intent]
    for exec_id in exec_ids:
        fill = state.fills[exec_id]
        held = state.outside.get(fill.con_id, (fill.symbol, Decimal(0)))[1]
        because = f"execution {exec_id} is of {order.ref}, permId {fact.perm_id}"
        yield m.OutsideSet(con_id=fill.con_id, symbol=fill.symbol, quantity=held - fill.quantity, reason=because)
        yield m.FillBooked(
            exec_id=exec_id,
            intent=fact.intent,
            con_id=fill.con_id,
            symbol=fill.symbol,
            side=Side.BUY if fill.quantity > 0 else Side.SELL,
            quantity=abs(fill.quantity),
            price=fill.price,
            executed_at=fill.executed_at,
            tech=event.tech,
            replaces=exec_id,
            perm_id=fact.perm_id,
            recounted=True,
        )
        yield from _nobody_else_s(state, fill.con_id, exec_id, fact.perm_id, because)
    yield from lifecycle.after_fill(state, state.orders[fact.intent])


def _nobody_else_s(state: State, con_id: int, exec_id: str, perm_id: int, because: str) -> Decided:
    """What was held back, or counted, because of an unknown order is so no more."""
    there = layers(state, con_id)
    held = next((one for one in there if one.cause in NEVER_BY_OTHERS and exec_id in one.reason), None)
    if held is not None:
        yield from lifted(state, con_id, because, of=held.cause)
    other = state.foreign_orders.get(perm_id)
    if other is not None:
        yield m.ForeignOrderSet(
            perm_id=perm_id,
            con_id=con_id,
            symbol=other.symbol,
            side=other.side,
            remaining=Decimal(0),
            status="ours",
        )
