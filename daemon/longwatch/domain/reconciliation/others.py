"""Orders and trades in the account that are not ours: shown, counted, never touched; called by lifecycle."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.order_life.evidence import Decided
from longwatch.domain.order_life.identity import key_of
from longwatch.domain.reconciliation.causes import Cause, lifted_by
from longwatch.domain.reconciliation.quarantines import OF_AN_ORDER, is_for, laid
from longwatch.domain.state import State

REF_MARK = "lw:"
ENDED_ELSEWHERE = frozenset({"Filled", "Cancelled", "ApiCancelled", "Inactive"})
LAST_ID = 2**31 - 1
"""The largest number on the wire; as an order's id it stands for none."""
ROOM = 1_000_000
"""So many ids are left for us: without them nothing could be sent or asked for."""
NEVER_BY_OTHERS = frozenset({Cause.LIQUIDATION, Cause.OURS_UNKNOWN})
"""Trades after which a person must look before this instrument is traded again."""


def used_up(state: State, event: m.OpenOrderSeen) -> Decided:
    """An open order has an id that is not below our next: once it was downloaded no lower one is taken (103).

    Whoever's it is, in whatever account of the log-in (IB's manual on order ids).
    """
    if event.order_id <= LAST_ID - ROOM:
        yield m.IdsReserved(first=event.order_id + 1, count=0, epoch=state.epoch)
    elif event.order_id < LAST_ID:
        text = (
            f"client {event.client_id} has an open order with the id {event.order_id}, above which hardly any is left: "
            "the gateway refuses every order of ours (103) until it is cancelled and that program counts from lower ids"
        )
        yield m.RaiseAlert(key="no_order_ids", text=text, severity="critical")


def foreign(state: State, event: m.OpenOrderSeen) -> Decided:
    """Message 5 of somebody else's order."""
    key = key_of(event.perm_id, event.client_id, event.order_id, event.con_id, event.nth)
    nameless = state.foreign_orders.get(key_of(0, event.client_id, event.order_id, event.con_id, event.nth))
    known = state.foreign_orders.get(key) or nameless
    filled = known.filled if known is not None else Decimal(0)
    # What message 3 told of as filled stays so: message 5 has the whole quantity at each reading.
    remaining = Decimal(0) if event.status in ENDED_ELSEWHERE else max(event.quantity - filled, Decimal(0))
    price = max((one for one in (event.limit_price, event.stop_price) if one is not None), default=None)
    if nameless is not None and nameless.perm_id != key:
        yield replace(nameless, remaining=Decimal(0), status="named")
    elif (known is None and not remaining) or (
        known is not None and (known.remaining, known.price, known.order_id) == (remaining, price, event.order_id)
    ):
        return
    yield m.ForeignOrderSet(
        perm_id=key,
        con_id=event.con_id,
        symbol=event.symbol,
        side=event.side,
        remaining=remaining,
        status=event.status,
        price=price,
        filled=filled,
        client_id=event.client_id,
        order_id=event.order_id,
    )
    if known is None and event.ref.startswith(REF_MARK):
        yield from _of_lost_journal(state, event, remaining)


def _of_lost_journal(state: State, event: m.OpenOrderSeen, remaining: Decimal) -> Decided:
    """What a lost journal has left at work may trade any day: a stop of ours beside it would sell the same twice."""
    cause = Cause.OURS_UNKNOWN
    if is_for(state, event.con_id, {cause}):
        return
    what = f"order {event.ref}, {event.side.value} {remaining} {event.order_type}, permId {event.perm_id}"
    text = f"{event.symbol}: {cause.value}: {what}, {OF_AN_ORDER}"
    held = m.QuarantineSet(con_id=event.con_id, symbol=event.symbol, reason=text, tech=event.tech, cause=cause)
    yield laid(state, held)
    told = f"{text}: cancel it in TWS; no new orders in it until then: {lifted_by(cause, event.symbol)}"
    yield m.RaiseAlert(key=cause.name.lower(), text=told, severity="critical")


def foreign_status(state: State, event: m.OrderStatusSeen) -> Decided:
    """Message 3 of somebody else's order."""
    known = state.foreign_orders.get(key_of(event.perm_id, event.client_id, event.order_id))
    if known is None:
        return
    remaining = Decimal(0) if event.status in ENDED_ELSEWHERE else event.remaining
    if remaining != known.remaining or event.filled != known.filled:
        yield replace(known, remaining=remaining, status=event.status, filled=event.filled)


def outside_trade(state: State, event: m.ExecutionSeen, change: Decimal, *, is_revised: bool) -> Decided:
    """A trade by others moves what is not ours of the account; before the first comparison it is in it already."""
    if state.compared is None or not change:
        return
    held, cause = state.outside.get(event.con_id, (event.symbol, Decimal(0)))[1], _cause_of(state, event)
    yield m.OutsideSet(
        con_id=event.con_id,
        symbol=event.symbol,
        quantity=held + change,
        reason=f"execution {event.exec_id} by somebody else",
        cause=Cause.CORRECTION if is_revised else cause,
    )
    if cause in NEVER_BY_OTHERS and not is_for(state, event.con_id, {cause}):
        text = f"{event.symbol}: {cause.value}: execution {event.exec_id} of {change}, order {event.ref or 'nameless'}"
        held_back = m.QuarantineSet(con_id=event.con_id, symbol=event.symbol, reason=text, tech=event.tech, cause=cause)
        # By its position it may be held back already, which would end as soon as this explains it.
        yield laid(state, held_back)
        told = f"{text}; no new orders in it until: {lifted_by(cause, event.symbol)}"
        yield m.RaiseAlert(key=cause.name.lower(), text=told, severity="critical")


def _cause_of(state: State, event: m.ExecutionSeen) -> Cause:
    """Who made a trade that is not this journal's, by the marks its execution bears."""
    if event.is_liquidation:
        return Cause.LIQUIDATION
    if event.ref.startswith(REF_MARK) or (event.client_id == state.client_id and event.order_id > 0):
        return Cause.OURS_UNKNOWN
    return Cause.OTHER_CLIENT if event.client_id else Cause.MANUAL_TRADE
