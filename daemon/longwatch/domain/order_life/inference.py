"""Fills that the broker no longer tells, concluded from what it still shows; called by reconcile, undone by lifecycle.

A gateway started anew has forgotten the day's executions. Where one order of an earlier connection explains a standing
difference to the share, and nobody else has been seen at work in that instrument, the difference is its fill. The price
is pending, at the order's limit or its decision, until the execution itself is heard and takes its place. What a
gateway that was never started anew does not show is not made up: that difference quarantines.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.order_life.evidence import EVIDENCE_OF_END, Decided, advance
from longwatch.domain.order_life.listing import is_one_quarter
from longwatch.domain.orders import Evidence, Order, OrderState
from longwatch.domain.sessions import EXCHANGE_ZONE
from longwatch.domain.state import Fill, State
from longwatch.quick import changed

PREFIX, RESOLVED, VOID, GIVEN_UP = "inferred:", "resolved:", "void:", "untold:"
"""The names of executions nobody told: concluded from the position, said by a person, said and taken back; and of what
a status told of, and is waited for no more."""
MADE_UP = (PREFIX, RESOLVED, VOID, GIVEN_UP)


def infer(state: State, row: m.Difference, event: m.SnapshotSeen) -> Decided:
    """The one fill that explains a standing difference; nothing where something else might."""
    missing = row.account - row.book - row.outside
    unheard = [order for order in state.live_in(row.con_id) if _is_unheard(order)]
    if len(unheard) != 1 or _others_at_work(state, unheard[0]):
        return
    (order,) = unheard
    part = _unheard_part(order)
    if part * order.side.sign != missing or not _has_forgotten(state, order, event):
        return
    yield from _book(state, order, part, event.at, event.tech)
    yield from _settled(state, state.orders[order.intent], part)


def may_have_filled(order: Order, missing: Decimal) -> bool:
    """Whether fills of a live order that no execution told of could come to so many signed shares."""
    most = order.reported - order.filled if order.reported > order.filled else order.remaining
    return missing * order.side.sign > 0 and abs(missing) <= most


def same_gateway(state: State, order: Order, event: m.SnapshotSeen) -> bool:
    """A restart clears the day's executions: one booked before the send and still shown proves that there was none."""
    shown = set(event.exec_ids or ())
    return any(fill.exec_id in shown for fill in _booked_before(state, order))


def _is_unheard(order: Order) -> bool:
    """Whether executions of the order may be missing: its outcome is unknown, or its status tells of more."""
    return order.state is OrderState.UNKNOWN or order.reported > order.told


def _unheard_part(order: Order) -> Decimal:
    """The shares it must have filled to explain anything: all that was left, or just what the broker reported."""
    return (order.at_most if order.state is OrderState.UNKNOWN else order.reported) - order.told


def _has_forgotten(state: State, order: Order, event: m.SnapshotSeen) -> bool:
    """Whether a gateway started anew since the order's connection may have forgotten its executions.

    Where the broker's status tells of the shares, it is enough that nothing disproves a restart. An unknown order, of
    which nobody has spoken, needs the proof: our executions of today from before the send, shown no more. They prove
    nothing where a midnight may lie between them and the order: the list would still show what that filled.
    """
    if order.epoch == state.epoch or same_gateway(state, order, event):
        return False
    if order.state is not OrderState.UNKNOWN:
        return True
    today = event.at.astimezone(EXCHANGE_ZONE).date()
    ours = (fill for fill in _booked_before(state, order) if fill.intent is not None)
    todays = (fill for fill in ours if fill.executed_at.astimezone(EXCHANGE_ZONE).date() == today)
    return any(is_one_quarter(fill.executed_at, order.created_at) for fill in todays)


def _booked_before(state: State, order: Order) -> list[Fill]:
    """Executions heard, of whomever, before the order was sent."""
    sent_at = order.sent_at
    if sent_at is None:
        return []
    return [fill for fill in state.fills.values() if fill.tech < sent_at and not fill.exec_id.startswith(MADE_UP)]


def _others_at_work(state: State, order: Order) -> bool:
    """Whether somebody else had an order or an execution in the order's instrument since it was made."""
    if state.foreign_seen.get(order.con_id, 0) > order.intent:
        return True
    if any(foreign.con_id == order.con_id for foreign in state.foreign_orders.values()):
        return True
    since = order.sent_at
    theirs = (fill for fill in state.fills.values() if fill.intent is None and fill.con_id == order.con_id)
    return any(since is None or fill.tech >= since for fill in theirs)


def replaced_by(state: State, intent: int | None, executed_at: datetime) -> Fill | None:
    """The inferred or resolved fill that an execution heard after all was part of; None for one made since then."""
    if intent is None:
        return None
    found = (state.fills[name] for name in called(state, f"{PREFIX}{intent}.", f"{RESOLVED}{intent}."))
    return next((fill for fill in found if executed_at <= fill.executed_at), None)


def called(state: State, *prefixes: str) -> list[str]:
    """The fills whose names begin so, of which there are mostly none: all names are looked at as one text first."""
    names = "\n".join(state.fills)
    return [name for name in state.fills if name.startswith(prefixes)] if any(one in names for one in prefixes) else []


def rest_of(state: State, former: Fill, event: m.ExecutionSeen) -> Decided:
    """What is left of such a fill when one of the executions it stood for has taken its place, next to that one."""
    left = abs(former.quantity) - event.quantity
    if left <= 0 or former.intent is None:
        return
    order = state.orders[former.intent]
    is_said = former.exec_id.startswith(RESOLVED)
    prefix, price = (RESOLVED, former.price) if is_said else (PREFIX, _pending_price(order))
    rest = made_up(state, order, prefix, left, price, former.executed_at, event.tech)
    yield changed(rest, after=event.exec_id)
    if not is_said:
        yield _unheard(order, left)


def made_up(
    state: State, order: Order, prefix: str, quantity: Decimal, price: Decimal, at: datetime, tech: datetime
) -> m.FillBooked:
    """A fill that no execution told of, under a name of its own."""
    booked = sum(1 for exec_id in state.fills if exec_id.startswith(f"{prefix}{order.intent}."))
    heard = sum(1 for fill in state.fills.values() if fill.intent == order.intent)
    return m.FillBooked(
        exec_id=f"{prefix}{order.intent}.{booked + heard + 1}",
        intent=order.intent,
        con_id=order.con_id,
        symbol=order.symbol,
        side=order.side,
        quantity=quantity,
        price=price,
        executed_at=at,
        tech=tech,
    )


def _book(state: State, order: Order, quantity: Decimal, at: datetime, tech: datetime) -> Decided:
    yield made_up(state, order, PREFIX, quantity, _pending_price(order), at, tech)
    yield _unheard(order, quantity)


def _unheard(order: Order, quantity: Decimal) -> m.RaiseAlert:
    return m.RaiseAlert(
        key="inferred_fill",
        text=(
            f"{order.side.value} {quantity} {order.symbol} ({order.ref}) filled by the account's position; "
            "no execution was heard, so its price is the decision's: see the broker's statement"
        ),
    )


def _pending_price(order: Order) -> Decimal:
    return order.limit_price or order.decision_price


def _settled(state: State, order: Order, part: Decimal) -> Decided:
    """The order goes where its fills, and the broker's word on its end, lead."""
    text = f"the account shows {part} that no execution told of; their price is pending at {_pending_price(order)}"
    if order.state is OrderState.UNKNOWN:
        yield from advance(state, order, Evidence.INFERRED, text=text)
    elif order.told >= order.at_most:
        yield from advance(state, order, Evidence.ALL_FILLED, text=text, reported=order.told)
    elif order.ending is not None:
        yield from advance(state, order, EVIDENCE_OF_END[order.ending], text=text)
    else:
        yield from advance(state, order, Evidence.PART_FILLED, text=text)
