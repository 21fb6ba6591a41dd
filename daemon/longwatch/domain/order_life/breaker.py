"""What the broker, or a person, ends is not sent again and again: a breaker per instrument, purpose and reason.

Called by decide with what has become of orders, by commands, and by the checks of risk. Two rules, in market time: an
order cancelled by anybody but us holds its instrument until the session ends, so that the next session's decision is
the first to want it anew; and what was rejected or cancelled so many times within a window opens a breaker, whose wait
doubles with every further time. One order may try when the wait is over; its fill, or a person's word, ends it all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument, to_lot
from longwatch.domain.orders import Order, OrderState, Purpose
from longwatch.domain.risk.attached import ends_with_its_entry
from longwatch.domain.risk.oca import is_spent, others
from longwatch.domain.state import State

Followed = Iterator[m.Fact | m.Effect]

CANCELLED = "cancelled at the broker"
BY_A_PERSON = "cancelled by a person"
MODIFIED = "its quantity changed by a person"
PROBED = "cancelled by our question whether the broker has it"
NO_DAY_TRADE = "no day trade is left for what was opened today"
NEXT_DECISION = "the next decision sends what is then wanted"
LONGEST_WAIT = timedelta(days=7)
LONGEST_PAUSE = timedelta(minutes=15)
NO_FRACTIONS = ("rejected (10243)", "rejected (10318)")
"""A fraction of a share is refused, of all orders by the API, or of such an order."""


def after_move(state: State, fact: m.OrderMoved, former: OrderState, event: m.Event) -> Followed:
    """What follows from the end of an order: nothing when we asked for it, or when its session is over."""
    order = state.orders[fact.intent]
    if fact.state is former or isinstance(event, m.ControlRequested):
        return
    if fact.state is OrderState.CANCELLED and any(map(is_spent, others(state, order))):
        return  # with its OCA group
    if fact.state is OrderState.CANCELLED and ends_with_its_entry(state, order):
        return
    if order.was_rejected:
        code = f" ({event.code})" if isinstance(event, m.OrderErrorSeen) else ""
        severity = event.severity if isinstance(event, m.OrderErrorSeen) else "warning"
        yield from _struck(state, order, f"rejected{code}", event.at, until=None, severity=severity)
    elif fact.state is OrderState.CANCELLED and order.probed and not order.cancel_asked:
        text = f"{_what(order, PROBED)}; {NEXT_DECISION}"
        yield m.RaiseAlert(key="order_cancelled", text=text)
    elif fact.state is OrderState.CANCELLED and not order.cancel_asked:
        yield from _struck(state, order, CANCELLED, event.at, until=_session_end(state, event.at))


def after_fill(state: State, fact: m.FillBooked) -> Followed:
    """A fill of an order made since the last time shows that the instrument can be traded again."""
    order = state.orders.get(fact.intent) if fact.intent is not None else None
    for row in list(state.breakers.values()) if order else ():
        if order and _is_about(row, order) and row.strikes and order.created_at > row.strikes[-1]:
            yield lifted(row, "it has filled")


def hold(state: State, orders: Iterable[Order], reason: str, at: datetime) -> Followed:
    """None like these before the next session's decision."""
    until = _session_end(state, at)
    for order in orders:
        former = state.breakers.get((order.con_id, order.purpose, reason))
        if until is not None and (former is None or former.until != until):
            yield _row(order, reason, strikes=(), trips=0, until=until)


def is_held_back(state: State, con_id: int, purpose: Purpose, at: datetime) -> bool:
    """A person has cancelled what rests for this session, or the broker keeps refusing it: then less and less often."""
    return held_back_until(state, con_id, purpose, at) is not None


def held_back_until(state: State, con_id: int, purpose: Purpose, at: datetime) -> datetime | None:
    """The market time from which `is_held_back` holds no more; None where it does not hold."""
    ends = []
    for row in state.breakers.values():
        if (row.con_id, row.purpose) != (con_id, purpose):
            continue
        if row.reason == BY_A_PERSON and row.until is not None:
            ends.append(row.until)
        if len(row.strikes) > 1 or (row.strikes and row.reason != CANCELLED):
            pause = timedelta(seconds=10) * (1 << min(len(row.strikes) + 3 * row.trips, 10))
            ends.append(row.strikes[-1] + min(pause, LONGEST_PAUSE))
    return max((end for end in ends if end > at), default=None)


def lapsed(state: State, con_id: int) -> Followed:
    """What a person cancelled beside a holding, or waits, was about that holding: the next one is protected again."""
    for row in list(state.breakers.values()):
        is_about = row.con_id == con_id and row.reason in (BY_A_PERSON, NO_DAY_TRADE)
        if is_about and row.purpose in (Purpose.STOP, Purpose.PROFIT):
            yield lifted(row, "nothing is held any more")


def in_lots_to_close(state: State, instrument: Instrument, shares: Decimal) -> Decimal:
    """What of a holding an order can close: all of it, or whole lots once the broker has refused a fraction of one."""
    refused = any(
        (instrument.con_id, purpose, reason) in state.breakers for purpose in Purpose for reason in NO_FRACTIONS
    )
    return to_lot(shares, instrument.lot) if refused else shares


def lifted(row: m.BreakerSet, because: str) -> m.BreakerLifted:
    """The end of one breaker."""
    return m.BreakerLifted(
        con_id=row.con_id, symbol=row.symbol, purpose=row.purpose, reason=row.reason, because=because
    )


def held_by(state: State, con_id: int, purpose: Purpose, at: datetime | None) -> m.BreakerSet | None:
    """The breaker that forbids an order now, or None; a protective stop is never held. Without `at`: at any time.

    What can't be reduced, or protected, must not be added to either. A flatten is a person's later word than a cancel:
    only a breaker that has opened binds it.
    """
    for row in state.breakers.values():
        if row.con_id != con_id or row.until is None or (at is not None and row.until <= at):
            continue
        closes = row.purpose is Purpose.REDUCE or row.purpose is Purpose.STOP
        same = row.purpose is purpose or (purpose is Purpose.ENTRY and row.trips > 0 and closes)
        if same and (row.trips or not state.is_on(m.Verb.FLATTEN)):
            return row
    return None


def leave(state: State, order: Order, at: datetime) -> Followed:
    """What a person leaves of an order, or adds, is what they want: no decision of this session orders the rest."""
    both = (replace(order, purpose=purpose) for purpose in (Purpose.ENTRY, Purpose.REDUCE))
    yield from hold(state, both, MODIFIED, at)


def left_as_it_is(state: State, con_id: int, at: datetime) -> m.BreakerSet | None:
    """Whether a person has given an order of this session its quantity: it is not cancelled for what is wanted now."""
    rows = (row for row in state.breakers.values() if row.con_id == con_id and row.reason == MODIFIED)
    flattens = state.is_on(m.Verb.FLATTEN)
    return None if flattens else next((row for row in rows if row.until is not None and row.until > at), None)


def told(row: m.BreakerSet) -> str:
    """What is held back, why, until when, and the word that lifts it."""
    often = f" {len(row.strikes)} times" if row.trips else ""
    until = f"no {row.purpose.value} before {row.until:%Y-%m-%d %H:%M}Z" if row.until else "counted"
    if row.reason == NO_DAY_TRADE:
        return f"{row.symbol}: {row.reason}, {until}, or as soon as one is"
    return f"{row.symbol}: {row.reason}{often}, {until}; `longwatch resume {row.symbol}` allows it at once"


def _struck(
    state: State, order: Order, reason: str, at: datetime, *, until: datetime | None, severity: str = "warning"
) -> Followed:
    """Count one end, open the breaker when there have been too many, and tell a person what comes next."""
    settings = state.settings
    window = timedelta(minutes=settings.breaker_window_minutes)
    former = state.breakers.get((order.con_id, order.purpose, reason))
    before = former.strikes if former else ()
    strikes = (*(one for one in before if at - one <= window), at)[-max(settings.breaker_strikes, 1) :]
    opened = former.trips if former and not _is_over(former, at, window) else 0
    trips = opened + 1 if opened or len(strikes) >= settings.breaker_strikes else 0
    if trips:
        again = at + _wait(settings.breaker_wait_minutes, trips)
        until = again if until is None or state.is_on(m.Verb.FLATTEN) else max(again, until)
    yield _row(order, reason, strikes=strikes, trips=trips, until=until)
    key = "breaker" if trips else "order_cancelled" if reason == CANCELLED else "order_rejected"
    text = f"{_what(order, reason)}{_next(state, order, len(strikes), until, trips)}"
    yield m.RaiseAlert(key=key, text=text, severity=severity)


def _what(order: Order, reason: str) -> str:
    """Quantity and reason."""
    left = f" after {order.filled} filled" if order.filled else ""
    why = f": {order.text}" if order.text and order.text not in reason else ""
    return f"{order.side.value} {order.quantity} {order.symbol} ({order.ref}) {reason}{left}{why}"


def _next(state: State, order: Order, times: int, until: datetime | None, trips: int) -> str:
    """And what comes of it."""
    again = f"`longwatch resume {order.symbol}` allows it at once"
    if trips and until is not None:
        count = f"{times} times" if trips == 1 else "again"
        return f", {count}: no {order.purpose.value} in it before {until:%Y-%m-%d %H:%M}Z; {again}"
    if state.is_on(m.Verb.FLATTEN):
        at_once = order.state is OrderState.CANCELLED
        return "; the flatten tries again" + ("" if at_once else " in the next session, or when told again")
    if until is None:
        return f"; {NEXT_DECISION}"
    return f"; not sent again before the next session's decision; {again}"


def _wait(first_minutes: float, trips: int) -> timedelta:
    return min(timedelta(minutes=first_minutes) * (1 << min(trips - 1, 20)), LONGEST_WAIT)


def _is_over(row: m.BreakerSet, at: datetime, window: timedelta) -> bool:
    """Whether a breaker has been passed for so long that what comes now is a new beginning."""
    return row.until is None or row.until + window < at


def _is_about(row: m.BreakerSet, order: Order) -> bool:
    return (row.con_id, row.purpose) == (order.con_id, order.purpose)


def _session_end(state: State, at: datetime) -> datetime | None:
    """The close of the session that is open; between sessions there is nothing to wait for."""
    return next((session.close_at for session in state.sessions if session.is_open(at)), None)


def _row(
    order: Order, reason: str, *, strikes: tuple[datetime, ...], trips: int, until: datetime | None
) -> m.BreakerSet:
    return m.BreakerSet(
        con_id=order.con_id,
        symbol=order.symbol,
        purpose=order.purpose,
        reason=reason,
        strikes=strikes,
        trips=trips,
        until=until,
    )
