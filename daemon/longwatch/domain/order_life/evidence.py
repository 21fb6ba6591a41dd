"""Evidence about one order: where it leads by the table of transitions.py, and when the order has ended.

Used by lifecycle and reconcile.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.order_life.breaker import held_by
from longwatch.domain.order_life.closing import by_hand, closable
from longwatch.domain.order_life.transitions import CRITICAL, MEANT, Impossible, next_state
from longwatch.domain.orders import TERMINAL, Evidence, Order, OrderState, Purpose
from longwatch.domain.risk.exposure import heard_lately, still_there
from longwatch.domain.risk.oca import has_traded
from longwatch.domain.risk.verbs import Action, forbidden_by
from longwatch.domain.sessions import EXCHANGE_ZONE, Session
from longwatch.domain.state import State

Decided = Iterator[m.Fact | m.Effect]

FLATTEN = "flatten"
LATE_END = time(20)
SELLS_ENDED = "sells and cancels have ended"
LOOK_AGAIN = timedelta(minutes=2)
"""A flatten whose last decision is no older than this is not asked for anew."""

TAKEN_FOR_GONE = frozenset({OrderState.UNSENT, OrderState.REJECTED, OrderState.ABSENT, OrderState.INFERRED})
"""Ends concluded without a fill or a cancel: when the broker speaks of such an order again, a person must know."""

EVIDENCE_OF_END = {
    OrderState.FILLED: Evidence.ALL_FILLED,
    OrderState.CANCELLED: Evidence.CANCELLED,
    OrderState.EXPIRED: Evidence.EXPIRED,
    OrderState.REJECTED: Evidence.REJECTED,
}


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
    if isinstance(target, Impossible):
        yield _impossible(order, evidence, target, text)
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
    gone_before = order.state in TAKEN_FOR_GONE and target is not OrderState.UNSENT
    revived = target is not order.state and (gone_before or evidence is Evidence.LISTED)
    if (target, deadline, known, moved.ending) == (order.state, order.deadline, order.reported, order.ending) and (
        evidence is not Evidence.HANDED
    ):
        return
    yield moved
    if revived:
        yield m.RaiseAlert(
            key="order_revived",
            text=f"{order.side.value} {order.quantity} {order.symbol} ({order.ref}) was {order.state.value}, yet it is "
            f"told to be {evidence.value}; it counts as {target.value}",
            severity="critical",
        )
    if target in TERMINAL:
        yield from _after_the_end(state, state.orders[order.intent])


def _impossible(order: Order, evidence: Evidence, alert: Impossible, text: str) -> m.RaiseAlert:
    meaning, what_to_do = MEANT[alert]
    said = f"{evidence.value} ({text})" if text else evidence.value
    return m.RaiseAlert(
        key=alert.value,
        text=f"order {order.ref} is {order.state.value}, yet it is told to be {said}: {meaning}; {what_to_do}",
        severity="critical" if alert in CRITICAL else "warning",
    )


def _after_the_end(state: State, order: Order) -> Decided:
    """What waits for orders to end: the buys put off until sells are done, and the closing orders of a flatten.

    A rejection of an order whose run has filled nothing is followed by nothing: the next one would be rejected as well.
    """
    if order.was_rejected and not _has_filled(state, order.run_id):
        return
    if may_close_more(state, None):
        yield m.RunJob(job="rebalance", reason=FLATTEN)
        return
    if state.is_on(m.Verb.FLATTEN) and (left := by_hand(state, order.con_id)) is not None:
        yield left
    if may_go_on(state):
        yield m.RunJob(job="rebalance", reason=SELLS_ENDED)


def left_undone(state: State, at: datetime) -> Decided:
    """What was asked for and got lost with a process or a link, found in the state again while the exchange is open.

    What can't be closed, or was rejected in this session, is not asked for with every reconciliation.
    """
    session = next((one for one in state.sessions if one.is_open(at)), None)
    decided_at = state.rebalance.at if state.rebalance else None
    if state.is_on(m.Verb.FLATTEN):
        may_trade = session is not None or not state.settings.trading_hours_only
        if may_trade and rested(state, at) and _may_be_closed(state, session, at):
            yield m.RunJob(job="rebalance", reason=FLATTEN)
        return
    goes_on = may_go_on(state) or (rested(state, at) and has_room(state))
    if goes_on and session is not None and decided_at is not None and session.is_open(decided_at):
        yield m.RunJob(job="rebalance", reason=SELLS_ENDED)


def rested(state: State, at: datetime) -> bool:
    """Whether the last decision is long enough ago to ask for one again."""
    return state.rebalance is None or state.rebalance.at is None or at - state.rebalance.at > LOOK_AGAIN


def _may_be_closed(state: State, session: Session | None, at: datetime) -> bool:
    """Whether some open position without an order may be closed by one."""
    known = {instrument.con_id for instrument in state.instruments.values()}
    tried = {order.con_id for order in state.live_orders()} | _rejected_in(state, session)
    left = [con_id for con_id in state.book if _can_be_closed(state, con_id) and con_id in known - tried]
    left = [con_id for con_id in left if held_by(state, con_id, Purpose.REDUCE, at) is None]
    return any(forbidden_by(state, con_id, Action.REDUCE, ready=True) is None for con_id in left)


def _rejected_in(state: State, session: Session | None) -> set[int]:
    """The instruments in which a closing order of this session was rejected: the next one would be as well.

    Not so where it was for a fraction of a share, which the next one leaves.
    """
    found = set()
    for order in reversed(state.orders.values()):
        if session is None or order.created_at < session.open_at:
            break
        is_whole = order.quantity == order.quantity.to_integral_value()
        if order.state is OrderState.REJECTED and order.purpose is Purpose.REDUCE and is_whole:
            found.add(order.con_id)
    return found


def may_go_on(state: State) -> bool:
    """Whether trades were put off until sells and cancels have ended, these have, and the account shows what they did.

    While the account tells of other shares than the book, the room that was made for buys may not be there. An order
    that nobody may ever settle keeps the trades of its own instrument waiting, and no others.
    """
    waiting = state.rebalance is not None and state.rebalance.waiting > 0
    found = state.compared.differences if state.compared is not None else ()
    if any(row.con_id not in state.quarantines for row in found):
        return False
    under_way = (order for order in state.live_orders() if order.ending is None and not is_stuck(state, order))
    return waiting and not any(
        (order.side is Side.SELL and not order.rests) or order.cancel_asked for order in under_way
    )


def is_stuck(state: State, order: Order) -> bool:
    """Whether an order is unknown in a quarantined instrument: while positions differ only a person may settle it."""
    return order.state is OrderState.UNKNOWN and order.con_id in state.quarantines


def has_room(state: State) -> bool:
    """Whether a sell has filled since trades were put off: one that lives on must not hold them up until the close."""
    decided_at = state.rebalance.at if state.rebalance and state.rebalance.waiting else None
    if decided_at is None:
        return False
    ours = (fill for fill in heard_lately(state) if fill.intent is not None)
    return any(fill.quantity < 0 and fill.executed_at > decided_at for fill in ours)


def may_close_more(state: State, at: datetime | None) -> bool:
    """Whether a flatten may close: some position has neither an order under way nor a breaker open at `at` (ever)."""
    if not state.is_on(m.Verb.FLATTEN) or state.is_on(m.Verb.HALT):
        return False
    ordered = {order.con_id for order in state.live_orders()}
    left = (con_id for con_id in state.book if _can_be_closed(state, con_id) and con_id not in ordered)
    return any(held_by(state, con_id, Purpose.REDUCE, at) is None for con_id in left)


def _can_be_closed(state: State, con_id: int) -> bool:
    """Whether anything is there that an order can be for: neither a fraction nor so few that the broker refuses it."""
    known = next((one for one in state.instruments.values() if one.con_id == con_id), None)
    shares = still_there(state, con_id)
    return bool(shares if known is None else closable(state, known, shares))


def _has_filled(state: State, run_id: str) -> bool:
    return any(order.filled for order in state.orders.values() if order.run_id == run_id)


def ended(state: State, order: Order, ending: OrderState, filled: Decimal, text: str, tech: datetime) -> Decided:
    """The broker says the order has ended after `filled` shares: so it is once the book holds as many, not before.

    One that has filled has filled in full, whatever figure comes with the word, unless its group may have made it
    smaller without our hearing of it: then the figure is its quantity.
    """
    evidence = EVIDENCE_OF_END[ending]
    if ending is OrderState.FILLED and not (filled and has_traded(state, order)):
        filled = max(filled, order.at_least)
    if order.told >= filled:
        final = evidence if order.told < order.at_most else Evidence.ALL_FILLED
        yield from advance(state, order, final, text=text, reported=filled)
        return
    if order.ending is ending and order.reported >= filled:
        return  # no news: its fills were asked for, and every reconciliation asks again
    due = tech + timedelta(seconds=state.settings.acknowledge_seconds)
    yield from advance(state, order, Evidence.PART_FILLED, text=text, deadline=due, reported=filled, ending=ending)


def ending_at(state: State, order: Order, at: datetime) -> OrderState:
    """A cancel that nobody asked for at or after the close of a DAY order's session is its expiry.

    One that was told before the close is told again after it while its fills are awaited, and stays a cancel.
    """
    over_at = over_from(state, order)
    if order.ending is OrderState.CANCELLED:
        return order.ending
    expired = order.tif == "DAY" and not order.cancel_asked and over_at is not None and at >= over_at
    return OrderState.EXPIRED if expired else OrderState.CANCELLED


def session_of(state: State, order: Order) -> Session | None:
    """The session a DAY order lives in: the first that closes after it was made, late trading included if it may."""
    return next((session for session in state.sessions if end_of(session, order) > order.created_at), None)


def over_from(state: State, order: Order) -> datetime | None:
    """When a DAY order can fill no more; None beyond the calendar."""
    session = session_of(state, order)
    return None if session is None else end_of(session, order)


def end_of(session: Session, order: Order) -> datetime:
    """When an order can fill no more in a session.

    Outside regular hours US stocks trade until 20:00 in New York (IB's extended hours), after a half day at most.
    """
    if not order.outside_rth:
        return session.close_at
    late = datetime.combine(session.date, LATE_END, tzinfo=EXCHANGE_ZONE).astimezone(UTC)
    return max(session.close_at, late)
