"""How long an order may work, and what becomes of what it has not filled; called by decide and rebalance.

An order whose time is up, or whose session is about to end, is cancelled. Only the broker's word that it has ended lets
its rest be sent again, as a child: an order of its own, sized anew by what is held by then, at a fresh price. So there
are never two live orders for one wish.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.order_life.breaker import hold
from longwatch.domain.order_life.identity import cancels
from longwatch.domain.orders import AUCTIONS, STOPPED, Order, OrderState
from longwatch.domain.sessions import Session
from longwatch.domain.state import State

Followed = Iterator[m.Fact | m.Effect]

REST = "the rest of orders whose time was up"
TIMED_OUT = "not filled in time"
AT_CLOSE = "not filled before the close"
AUCTION_CUT_OFF = timedelta(minutes=10, seconds=30)
"""So long before the close an auction takes no more orders: from 15:50 in New York, and an order needs a moment."""


def due_at(state: State, order: Order) -> datetime | None:
    """The technical time at which a working order's time is up; None where it has no such time, or a cancel is out."""
    seconds = state.settings.working_seconds
    waits = order.order_type in AUCTIONS or order.rests
    if seconds is None or order.sent_at is None or order.cancel_asked or waits:
        return None
    return order.sent_at + timedelta(seconds=seconds) if order.state is OrderState.WORKING else None


def overdue(state: State, tech: datetime) -> Followed:
    """Cancel what has worked for long enough."""
    for order in list(state.live_orders()):
        due = due_at(state, order)
        if due is not None and due <= tech:
            yield from _cancel(state, order, TIMED_OUT)


def near_close(state: State, at: datetime) -> Followed:
    """Cancel DAY orders that still work so shortly before their session ends; asked with every account reading.

    Not those of a flatten, which has nothing better to send; nor for an auction that would not take the rest any more.
    """
    session = closing_session(state, at)
    if session is None or state.settings.at_close == "leave" or state.is_on(m.Verb.FLATTEN):
        return
    if state.settings.at_close == "moc" and is_past_cut_off(state, at):
        return
    for order in list(state.live_orders()):
        waits = order.order_type in AUCTIONS or order.tif != "DAY" or order.rests
        if order.state is OrderState.WORKING and not order.cancel_asked and not waits:
            yield from _cancel(state, order, AT_CLOSE)


def closing_session(state: State, at: datetime) -> Session | None:
    """The open session, when it is about to end."""
    return _ending_within(state, at, timedelta(minutes=state.settings.at_close_minutes))


def is_past_cut_off(state: State, at: datetime) -> bool:
    """Whether the open session's closing auction takes no more orders."""
    return _ending_within(state, at, AUCTION_CUT_OFF) is not None


def _ending_within(state: State, at: datetime, lead: timedelta) -> Session | None:
    return next((one for one in state.sessions if one.is_open(at) and at >= one.close_at - lead), None)


def after_move(state: State, fact: m.OrderMoved, former: OrderState, event: m.Event) -> Followed:
    """The broker has ended what we cancelled for its time: its rest is looked at again, or left for this session."""
    order = state.orders[fact.intent]
    ended = fact.state is OrderState.CANCELLED and fact.state is not former and order.filled < order.quantity
    if not ended or order.cancel_reason not in (TIMED_OUT, AT_CLOSE) or state.is_on(m.Verb.FLATTEN):
        return
    if may_be_replaced(state, order):
        yield m.RunJob(job="rebalance", reason=REST)
        return
    left = order.quantity - order.filled
    yield from hold(state, [order], order.cancel_reason, event.at)
    text = f"{left} of {order.side.value} {order.quantity} {order.symbol} ({order.ref}) {order.cancel_reason}"
    yield m.RaiseAlert(key="order_unfilled", text=f"{text}; not sent again before the next session's decision")


def may_be_replaced(state: State, order: Order) -> bool:
    """Whether the rest of an order that we cancelled for its time is to be sent as a child."""
    if order.cancel_reason == AT_CLOSE:
        # What waits for a price that has not come is not wanted at any other.
        return state.settings.at_close == "moc" and order.order_type not in STOPPED
    return order.cancel_reason == TIMED_OUT and order.replacement < state.settings.replacements


def parent_of(state: State, con_id: int, side: Side, session: Session | None) -> Order | None:
    """The order whose place a new one takes: the session's last in this instrument, when cancelled for its time."""
    for order in reversed(state.orders.values()):
        if session is None or order.created_at < session.open_at:
            return None
        if order.con_id == con_id and not order.rests:
            timed = order.cancel_reason in (TIMED_OUT, AT_CLOSE) and order.state is OrderState.CANCELLED
            return order if timed and order.side is side else None
    return None


def is_left(state: State, at: datetime) -> bool:
    """Whether the rest of some order of the open session waits for its child."""
    session = next((one for one in state.sessions if one.is_open(at)), None)
    if session is None or (state.settings.working_seconds is None and state.settings.at_close != "moc"):
        return False
    seen: set[int] = set()
    for order in reversed(state.orders.values()):
        if order.created_at < session.open_at:
            return False
        if order.rests:
            continue
        if order.con_id not in seen and order.state is OrderState.CANCELLED and may_be_replaced(state, order):
            return True
        seen.add(order.con_id)
    return False


def _cancel(state: State, order: Order, reason: str) -> Followed:
    yield m.OrderCancelAsked(intent=order.intent, reason=reason)
    yield from cancels(state, order)
