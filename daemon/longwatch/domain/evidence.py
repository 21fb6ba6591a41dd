"""Evidence about one order: whose it is, where it moves it by the table in orders.py, when it has ended; used by lifecycle
and reconcile."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.orders import TERMINAL, Evidence, Order, OrderState, next_state
from longwatch.domain.sessions import Session
from longwatch.domain.state import State

Decided = Iterator[m.Fact | m.Effect]

_EVIDENCE_OF_END = {
    OrderState.FILLED: Evidence.ALL_FILLED,
    OrderState.CANCELLED: Evidence.CANCELLED,
    OrderState.EXPIRED: Evidence.EXPIRED,
    OrderState.REJECTED: Evidence.REJECTED,
}


def intent_of(state: State, *, ref: str, perm_id: int, client_id: int, order_id: int) -> int | None:
    """The intent a broker's row belongs to: by orderRef, then permId, then (client id, order id); None is not ours."""
    prefix = f"lw:{state.journal_id}:"
    if ref.startswith(prefix) and ref[len(prefix) :].isdecimal():
        intent = int(ref[len(prefix) :])
        return intent if intent in state.orders else None
    if perm_id and perm_id in state.by_perm_id:
        return state.by_perm_id[perm_id]
    if ref or order_id <= 0:
        return None
    return state.by_order_id.get((client_id, order_id))


def advance(
    state: State,
    order: Order,
    evidence: Evidence,
    *,
    text: str = "",
    deadline: datetime | None = None,
    reported: Decimal | None = None,
    ending: OrderState | None = None,
) -> Decided:
    """Move an order by one piece of evidence; evidence that can't be true of its state is an alert, never a move."""
    target = next_state(order.state, evidence)
    if target is None:
        yield m.RaiseAlert(
            key="impossible_evidence",
            text=f"order {order.ref} is {order.state.value}, yet the broker says: {evidence.value} ({text})",
        )
        return
    known = max(order.reported, reported or Decimal(0))
    moved = m.OrderMoved(
        intent=order.intent,
        state=target,
        evidence=evidence,
        text=text,
        deadline=None if target in TERMINAL else deadline,
        reported=known,
        ending=None if target in TERMINAL else (ending or order.ending),
    )
    revived = order.state in TERMINAL and target not in TERMINAL
    if (target, deadline, known, moved.ending) == (order.state, order.deadline, order.reported, order.ending) and (
        evidence is not Evidence.HANDED
    ):
        return
    yield moved
    if revived:
        yield m.RaiseAlert(
            key="order_revived", text=f"order {order.ref} was {order.state.value} but lives at the broker"
        )
    if target in TERMINAL:
        yield from _after_the_end(state)


def _after_the_end(state: State) -> Decided:
    """What waits for orders to end: the buys put off until sells are done, and the closing orders of a flatten."""
    waiting = state.rebalance is not None and state.rebalance.waiting > 0
    under_way = any(order.side is Side.SELL or order.cancel_asked for order in state.live_orders())
    flattening = state.is_on(m.Verb.FLATTEN) and any(holding.quantity for holding in state.book.values())
    if flattening and not state.live:
        yield m.RunJob(job="rebalance", reason="flatten")
    elif waiting and not under_way:
        yield m.RunJob(job="rebalance", reason="sells and cancels have ended")


def identify(state: State, order: Order, perm_id: int) -> Decided:
    """Note a permId the order was not known by; a second live one is two broker orders for one intent."""
    if not perm_id or perm_id in order.perm_ids:
        return
    yield m.OrderIdentified(intent=order.intent, perm_id=perm_id)
    if order.perm_ids:
        yield m.RaiseAlert(
            key="two_orders_one_intent",
            text=f"order {order.ref} is known under permIds {', '.join(map(str, (*order.perm_ids, perm_id)))}",
            severity="critical",
        )


def ended(state: State, order: Order, ending: OrderState, filled: Decimal, text: str, tech: datetime) -> Decided:
    """The broker says the order has ended after `filled` shares: so it is once the book holds as many, not before."""
    evidence = _EVIDENCE_OF_END[ending]
    if order.filled >= filled:
        final = evidence if order.filled < order.quantity else Evidence.ALL_FILLED
        yield from advance(state, order, final, text=text, reported=filled)
        return
    due = tech + timedelta(seconds=state.settings.acknowledge_seconds)
    yield from advance(state, order, Evidence.PART_FILLED, text=text, deadline=due, reported=filled, ending=ending)


def _ending_at(state: State, order: Order, at: datetime) -> OrderState:
    """A cancel that nobody asked for at or after the close of a DAY order's session is its expiry."""
    session = session_of(state, order)
    expired = order.tif == "DAY" and not order.cancel_asked and session is not None and at >= session.close_at
    return OrderState.EXPIRED if expired else OrderState.CANCELLED


def session_of(state: State, order: Order) -> Session | None:
    """The session a DAY order lives in: the first that closes after it was made."""
    return next((session for session in state.sessions if session.close_at > order.created_at), None)


