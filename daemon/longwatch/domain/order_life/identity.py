"""Which intent a broker's row is about: orderRef, permId, (client id, order id) and execId; asked by lifecycle.

An intent is one order of ours. The broker may call it by several names, and may even hold two orders for it:

    intent ─ orderRef ─┬─ permId ─┬─ execId, execId.02 …
                       │          └─ (client id, order id), while the gateway's ids have not begun again
                       └─ permId: a second order at the broker, kept as a twin with a number of its own

A permId and an execution are one account's for ever, so they are believed before anything else. An order id is only a
number that a gateway counts up: once it has begun again, what it named before it names no more.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.orders import Evidence, Order, OrderState, whole_number
from longwatch.domain.reconciliation.causes import Cause, lifted_by
from longwatch.domain.reconciliation.quarantines import is_for, laid, layers
from longwatch.domain.state import State

Followed = Iterator[m.Fact | m.Effect]
Told = m.OpenOrderSeen | m.ExecutionSeen | m.CompletedOrderSeen
Row = Told | m.OrderStatusSeen

TWO_ORDERS = "two orders at the broker for one intent"


def intent_of(
    state: State,
    *,
    ref: str = "",
    perm_id: int = 0,
    client_id: int = 0,
    order_id: int = 0,
    con_id: int = 0,
    side: Side | None = None,
    replaces: str | None = None,
) -> int | None:
    """The intent a broker's row belongs to, by the surest of its names; None is not ours.

    An orderRef may be on a copy of our order, and an order id on another program's: where the row tells contract
    (`con_id`) and side, they must be the intent's. `replaces` is the booked execution that an execution corrects.
    """
    if perm_id and perm_id in state.by_perm_id:
        return state.by_perm_id[perm_id]
    number = own_number(state, ref)
    if number is not None:
        return number if number in state.orders and _fits(state.orders[number], con_id, side) else None
    if replaces is not None and replaces in state.fills:
        return state.fills[replaces].intent
    if ref or order_id <= 0 or perm_id in state.foreign_orders:
        return None
    named = state.by_order_id.get((client_id, order_id))
    if named is None or _was_never_there(state, state.orders[named]):
        return None
    order = state.orders[named]
    return named if _fits(order, con_id, side) and not _traded_otherwise(state, perm_id, order) else None


def intent_told(state: State, row: Told, replaces: str | None = None) -> int | None:
    """As `intent_of`, of a row that tells contract and side."""
    client_id, order_id = (0, 0) if isinstance(row, m.CompletedOrderSeen) else (row.client_id, row.order_id)
    return intent_of(
        state,
        ref=row.ref,
        perm_id=row.perm_id,
        client_id=client_id,
        order_id=order_id,
        con_id=row.con_id,
        side=row.side,
        replaces=replaces,
    )


def _fits(order: Order, con_id: int, side: Side | None) -> bool:
    """Whether contract and side, where a row tells them, are the order's."""
    return con_id in (0, order.con_id) and side in (None, order.side)


def _traded_otherwise(state: State, perm_id: int, order: Order) -> bool:
    """Whether executions under this permId, claimed by nobody, were of another contract or side than the order."""
    fills = (state.fills[name] for name in state.unclaimed.get(perm_id, ()) if name in state.fills)
    return any(fill.con_id != order.con_id or fill.quantity * order.side.sign < 0 for fill in fills)


def _was_never_there(state: State, order: Order) -> bool:
    """Whether the broker never had it, so that another program under our client id may have been given its number.

    While the connection that it was sent on lasts there is no other program. Should the broker have it after all, the
    row that shows it bears its orderRef.
    """
    was_absent = order.state is OrderState.ABSENT and order.epoch != state.epoch
    return was_absent or (order.state is OrderState.UNSENT and not order.handed)


def own_number(state: State, ref: str) -> int | None:
    """The number in an orderRef of this journal's, None in any other: only as we write it ourselves."""
    prefix = f"lw:{state.journal_id}:"
    number = whole_number(ref.removeprefix(prefix))
    return number if number is not None and ref == f"{prefix}{number}" else None


def key_of(perm_id: int, client_id: int, order_id: int, con_id: int = 0, nth: int = 0) -> int:
    """What an order of somebody else is known by: its permId, and below zero what stands for one that has none yet.

    That is its client and order id, and its instrument where the order id is 0 as well, with which of several in that
    instrument it is (such orders are typed by hand, under client id 0); 0 when nothing names it.
    """
    if perm_id:
        return perm_id
    if order_id:
        return -(abs(client_id) << 33 | abs(order_id) << 1 | 1)
    return -((abs(client_id) + nth) << 33 | con_id << 1) if con_id else 0


def disowned(state: State, event: Told) -> Followed:
    """A row bears this journal's name and is of no order in it: its instrument waits until a person has looked.

    With a number that the journal has not given, an older copy of it was restored, and what was decided since is lost:
    the number is never given again. With one that it has given, of another contract or side, an order was copied.
    """
    number = own_number(state, event.ref)
    if number is None:
        return
    if number in state.orders:
        yield from _copied(state, event, state.orders[number])
        return
    if number >= state.next_intent:
        yield m.IntentsTaken(up_to=number, reason=f"{event.ref} was seen at the broker")
    cause = Cause.OURS_UNKNOWN
    if not is_for(state, event.con_id, {cause}):
        text = f"{event.symbol}: {event.ref} bears this journal's name but is not in it; was an older copy restored?"
        held = m.QuarantineSet(con_id=event.con_id, symbol=event.symbol, reason=text, tech=event.tech, cause=cause)
        yield laid(state, held)
        yield m.RaiseAlert(key="ours_but_unknown", text=text, severity="critical")


def _copied(state: State, event: Told, order: Order) -> Followed:
    """A row bears the orderRef of an order of ours, and is of another contract or side: it counts as somebody else's.

    What is told again is no news: of an open order once, and what became of it its executions tell.
    """
    if isinstance(event, m.CompletedOrderSeen) or event.perm_id in state.foreign_orders:
        return
    if _fits(order, event.con_id, event.side) or is_for(state, event.con_id, {Cause.OURS_UNKNOWN}):
        return
    text = (
        f"{event.symbol}: {event.ref} is our {order.side.value} {order.symbol}, yet permId {event.perm_id}, "
        f"{event.side.value} {event.symbol}, bears that name: was it copied by hand? It counts as "
        "somebody else's"
    )
    held = m.QuarantineSet(
        con_id=event.con_id, symbol=event.symbol, reason=text, tech=event.tech, cause=Cause.OURS_UNKNOWN
    )
    yield laid(state, held)
    told = f"{text}; no new orders in it until: {lifted_by(Cause.OURS_UNKNOWN, event.symbol)}"
    yield m.RaiseAlert(key="ours_but_unknown", text=told, severity="critical")


def instrument_of(state: State, event: m.Event) -> tuple[int, str] | None:
    """The instrument (con_id, symbol) an event is about, asked of one that was not digested; None: not one alone."""
    match event:
        case m.OrderStatusSeen():
            intent = intent_of(state, perm_id=event.perm_id, client_id=event.client_id, order_id=event.order_id)
        case m.OrderErrorSeen():
            intent = state.by_order_id.get((state.client_id, event.order_id))
        case m.OrderHanded() | m.OrderWithheld():
            intent = event.intent
        case m.CommissionSeen():
            fill = state.fills.get(event.exec_id)
            return (fill.con_id, fill.symbol) if fill else None
        case _:
            con_id = getattr(event, "con_id", None)
            return None if con_id is None else (con_id, getattr(event, "symbol", str(con_id)))
    order = state.orders.get(intent) if intent is not None else None
    return (order.con_id, order.symbol) if order else None


def identify(state: State, intent: int, row: Row) -> Generator[m.Fact | m.Effect, None, int]:
    """Note by what names the broker calls an order of ours; returns the intent of the one the row is about.

    A permId beside the one an intent is known by is a second order at the broker: its twin, which is made here.
    """
    order, perm_id = state.orders[intent], row.perm_id
    client_id, order_id = _address(row)
    if perm_id and order.perm_ids and perm_id not in order.perm_ids:
        twin = _twin_of(state, order, row)
        yield m.OrderIntended(order=twin)
        yield m.OrderIdentified(intent=twin.intent, perm_id=perm_id, client_id=client_id, order_id=order_id)
        yield from _both_cancelled(state, order, twin, row.tech)
        return twin.intent
    is_new_name = order_id > 0 and (order.order_id is None or (client_id, order_id) not in state.by_order_id)
    if perm_id and (perm_id not in order.perm_ids or is_new_name):
        yield m.OrderIdentified(intent=intent, perm_id=perm_id, client_id=client_id, order_id=order_id)
    return intent


def _address(row: Row) -> tuple[int, int]:
    """The (client id, order id) under which the gateway holds the order now; executions tell what it was."""
    return (row.client_id, row.order_id) if isinstance(row, m.OpenOrderSeen | m.OrderStatusSeen) else (0, 0)


def _twin_of(state: State, order: Order, row: Row) -> Order:
    """The broker's second order as one of ours, as large as it may be."""
    client_id, order_id = _address(row)
    return replace(
        order,
        intent=state.next_intent,
        twin_of=order.intent,
        quantity=max(_quantity_of(row), order.at_most),
        state=OrderState.WORKING,
        evidence=Evidence.ACKNOWLEDGED.value,
        proof=type(row).__name__,
        text=TWO_ORDERS,
        created_at=row.at,
        order_id=order_id or None,
        client_id=client_id,
        epoch=state.epoch,
        perm_ids=(),
        handed=True,
        deadline=None,
        moved_at=row.tech,
        cancel_asked=False,
        cancel_reason="",
        probed=False,
        replaces=None,
        replacement=0,
        filled=Decimal(0),
        reported=Decimal(0),
        taken_back=Decimal(0),
        ending=None,
        average_price=Decimal(0),
        commission=Decimal(0),
        absence=None,
        change=None,
        changed=0,
        changed_at=None,
        vain=None,
    )


def _quantity_of(row: Row) -> Decimal:
    match row:
        case m.OpenOrderSeen():
            return row.quantity
        case m.OrderStatusSeen():
            return row.filled + row.remaining
        case m.ExecutionSeen():
            return max(row.cumulative, row.quantity)
        case m.CompletedOrderSeen():
            return row.filled


def _both_cancelled(state: State, order: Order, twin: Order, tech: datetime) -> Followed:
    """Neither is trusted: both count, both are cancelled, and a person decides when the instrument trades again."""
    text = f"{order.symbol}: {TWO_ORDERS}: {order.ref} is permId {order.perm_ids[0]} and {_name_of(state, twin)}"
    if not any(TWO_ORDERS in held.reason for held in layers(state, order.con_id)):
        yield laid(state, m.QuarantineSet(con_id=order.con_id, symbol=order.symbol, reason=text, tech=tech))
    yield m.RaiseAlert(key="two_orders_one_intent", text=text, severity="critical")
    for one in (state.orders[order.intent], state.orders[twin.intent]):
        if one.is_live:
            if not one.cancel_asked:
                yield m.OrderCancelAsked(intent=one.intent, reason=TWO_ORDERS)
            yield from cancels(state, one)


def _name_of(state: State, twin: Order) -> str:
    twin = state.orders[twin.intent]
    name = f"#{twin.intent}, permId {twin.perm_ids[0]}"
    if is_reachable(state, twin):
        return f"{name}; both are cancelled"
    return f"{name} of client {twin.client_id}, which this daemon can't cancel: cancel it by hand in TWS"


# ── order ids ───────────────────────────────────────────────────────────────────────────────────────────────────────


def ids_began_again(state: State, event: m.LinkUp) -> bool:
    """Whether the gateway's next order id is one it has already seen of ours: it counts anew, or is another gateway."""
    seen = [
        order_id
        for (client_id, order_id), intent in state.by_order_id.items()
        if client_id == event.client_id and state.orders[intent].perm_ids
    ]
    return event.next_order_id <= max(seen, default=0)


def is_reachable(state: State, order: Order) -> bool:
    """Whether the order's id names it at this gateway, for this client: a cancel by it can hit no other order."""
    return out_of_reach(state, order) is None


def out_of_reach(state: State, order: Order) -> str | None:
    """Why no cancel by the order's id may go out, or None."""
    named = state.by_order_id.get((order.client_id or 0, order.order_id or 0))
    if order.client_id != state.client_id or named is None or state.orders[named].ref != order.ref:
        return "its order id names nothing at this gateway any more"
    if any(_may_be_hit(other, order) for other in state.foreign_orders.values()):
        return "its order id is that of somebody else's open order at this gateway"
    return None


def _may_be_hit(other: m.ForeignOrderSet, order: Order) -> bool:
    """Whether a cancel by our order's id may end somebody else's instead.

    Another client's has its ids for itself; but gateways have been seen to cancel it where we have no such order.
    """
    return other.order_id == order.order_id and (other.client_id == order.client_id or not order.perm_ids)


def cancels(state: State, order: Order) -> Followed:
    """The cancel that reaches the order at the broker; nothing where none does."""
    if order.order_id is not None and is_reachable(state, order):
        yield m.CancelOrder(intent=order.intent, order_id=order.order_id)
