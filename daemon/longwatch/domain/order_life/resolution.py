"""A person's evidence about an order whose outcome nobody else can tell; called by commands, and by decide before all.

What is said is a fact with who said it and why, and moves the order and the book as the broker's own word would. Should
the broker contradict it later, it is taken back: its fill is void, the order is unknown again and judged by what the
broker says, its instrument is quarantined and a person is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.order_life.evidence import advance
from longwatch.domain.order_life.identity import intent_of, intent_told
from longwatch.domain.order_life.inference import RESOLVED, VOID, made_up
from longwatch.domain.order_life.verdicts import Verdict, meant_by
from longwatch.domain.orders import Evidence, Order, OrderState, whole_number
from longwatch.domain.quotes import Quote
from longwatch.domain.reconciliation.busts import give_up
from longwatch.domain.reconciliation.quarantines import laid
from longwatch.domain.state import State

Followed = Iterator[m.Fact | m.Effect]

ZERO = Decimal(0)

OUTCOMES: dict[str, Evidence] = {
    "filled": Evidence.ALL_FILLED,
    "cancelled": Evidence.CANCELLED,
    "rejected": Evidence.REJECTED,
    "absent": Evidence.PROVEN_ABSENT,
}
UNFILLED = "unfilled"
"""Said of an order that works on: what its status tells of, and no execution, never filled."""
FORM = "an order, filled, cancelled, rejected, absent or unfilled, and where shares had filled their quantity and price"

FIGURE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")
"""Quantities and prices as statements print them: plain ASCII digits, no exponent."""
FAR_OFF = 2
"""A fill at more than so many times the dearest price known, or less than one such part of the cheapest, is a slip."""
SURE = "sure"
"""Said behind such a price by who has looked again."""

AT_WORK = frozenset({"PreSubmitted", "Submitted", "PendingCancel"})
ENDED_AS = {"Filled": "filled", "Cancelled": "cancelled", "ApiCancelled": "cancelled", "Inactive": "rejected"}
SAME_END = {"cancelled": {"cancelled", "rejected"}, "rejected": {"cancelled", "rejected"}, "filled": {"filled"}}
"""What a person said -> the ends by which the broker does not contradict it: no share more in either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A person's word on an order: `quantity` shares filled that no execution told of, at `price`."""

    order: Order
    outcome: str
    quantity: Decimal
    price: Decimal


def said(state: State, argument: str, quotes: Iterable[Quote] = ()) -> Said | str:
    """What a person says, as `7 cancelled 40 85.20` (`-`: not given); or one sentence with what is wrong with it.

    A price that is far from all that are known, those of `quotes` too, is taken with `sure` behind it.
    """
    words = argument.split()
    is_sure = len(words) == 5 and words[-1] == SURE
    words = words[:4] if is_sure else words
    if not 2 <= len(words) <= 4 or words[1] not in (*OUTCOMES, UNFILLED):
        return f"resolve needs {FORM}; it was given {argument!r}"
    order = order_called(state, words[0])
    if order is None:
        return f"no order is called {words[0]}; `longwatch orders` lists them by number and reference"
    if not _is_open_to_it(order):
        return f"order {order.ref} is {order.state.value}: only an order whose outcome is unknown can be resolved"
    if _works_on(order) or words[1] == UNFILLED:
        return _unfilled(order, words)
    figures = _figures(words[2:])
    if isinstance(figures, str):
        return figures
    quantity, price = figures
    return (
        _objection(order, words[1], quantity, price)
        or _no_lots(state, order, quantity)
        or (None if is_sure else _slip(state, order, price, quotes))
        or Said(
            order=order,
            outcome=words[1],
            quantity=order.remaining if words[1] == "filled" and quantity is None else quantity or ZERO,
            price=price or ZERO,
        )
    )


def _is_open_to_it(order: Order) -> bool:
    """Whether nobody else can tell: the outcome is unknown, or shares are told that no execution tells of."""
    return order.state is OrderState.UNKNOWN or (order.is_live and order.reported > order.told)


def _works_on(order: Order) -> bool:
    return order.state is OrderState.WORKING and order.ending is None


def _unfilled(order: Order, words: list[str]) -> Said | str:
    """Of an order that works on nothing else can be said, and of no other order that."""
    untold = order.reported - order.told
    if not _works_on(order):
        return f"order {order.ref} does not work on: say filled, cancelled, rejected or absent, not {UNFILLED}"
    if words[1] != UNFILLED:
        return f"order {order.ref} works on: say {UNFILLED} if {untold} that it is told to have filled never were"
    if set(words[2:]) - {"-"}:
        return f"all {untold} that no execution tells of are {UNFILLED}: leave quantity and price away"
    return Said(order=order, outcome=UNFILLED, quantity=ZERO, price=ZERO)


def order_called(state: State, name: str) -> Order | None:
    """The order of this number or reference."""
    number = whole_number(name.rpartition(":")[2])
    order = state.orders.get(number) if number is not None else None
    return order if order is not None and name in (str(order.intent), order.ref) else None


def _figures(words: list[str]) -> tuple[Decimal | None, Decimal | None] | str:
    if not all(word == "-" or FIGURE.fullmatch(word) for word in words):
        return f"quantity and price must be numbers like 40 and 85.20, not {' '.join(words)}"
    values = [None if word == "-" else Decimal(word) for word in words]
    if 0 in values:
        return f"quantity and price must be above zero, not {' '.join(words)}"
    quantity, price = (*values, None, None)[:2]
    return quantity, price


def _objection(order: Order, outcome: str, quantity: Decimal | None, price: Decimal | None) -> str | None:
    """Why these figures can't be said of this order."""
    left = order.remaining
    seen = f"order {order.ref} was seen at the broker: it can be filled, cancelled or rejected, not absent"
    if outcome == "absent" and order.state is not OrderState.UNKNOWN:
        return seen
    if outcome in ("rejected", "absent"):
        if quantity or price:
            return f"an order that is {outcome} has filled nothing: leave quantity and price away"
        if order.filled:
            return f"order {order.ref} has filled {order.filled}: it can be filled or cancelled, not {outcome}"
        return seen if outcome == "absent" and order.perm_ids else None
    if outcome == "filled" and quantity is None and order.change is not None:
        return f"which quantity of order {order.ref} is in force is not known: add --quantity with what had filled"
    if outcome == "filled" and quantity not in (None, *(one - order.filled for one in (order.at_least, order.at_most))):
        return f"order {order.ref} has {left} left, not {quantity}: for a part say `cancelled` with what had filled"
    if quantity is not None and quantity >= left and outcome == "cancelled":
        return f"order {order.ref} has {left} left: {quantity} are all of it, say `filled`"
    if (outcome == "filled" or quantity) and price is None:
        return "a fill needs its price: add --price with the average price of the broker's statement"
    if price is not None and outcome == "cancelled" and quantity is None:
        return "a price without a quantity says nothing: add --quantity with what had filled"
    return None


def _no_lots(state: State, order: Order, quantity: Decimal | None) -> str | None:
    """Why so many shares can't be an execution's in this instrument."""
    instrument = state.instruments.get(order.symbol)
    if quantity is not None and instrument is not None and quantity != order.remaining and quantity % instrument.lot:
        return f"{order.symbol} trades in lots of {instrument.lot}: {quantity} is not a number of them"
    return None


def _slip(state: State, order: Order, price: Decimal | None, quotes: Iterable[Quote]) -> str | None:
    """Why a price looks like that of something else: over a gap or a split it may be any between then and now."""
    decided = order.decision_price
    latest = _latest(state, order, quotes) or decided
    low, high = min(decided, latest) / FAR_OFF, max(decided, latest) * FAR_OFF
    if price is None or low <= price <= high:
        return None
    known = f"decided at {decided}" + (f", last known at {latest}" if latest != decided else "")
    return (
        f"{price} can't be the price of order {order.ref}, {known}: look at the statement again; where it says just "
        "that, add --sure"
    )


def _latest(state: State, order: Order, quotes: Iterable[Quote]) -> Decimal | None:
    """The price of a share as it is now: by the quote, else the last close, which a booked split has restated."""
    quote = next((one for one in quotes if one.con_id == order.con_id), None)
    return (quote.mid if quote else None) or dict(state.equity.prices if state.equity else ()).get(order.symbol)


def resolve(state: State, event: m.ControlRequested) -> Followed:
    """The facts of a person's word; nothing when it can't be said of the order any more."""
    word = said(state, event.argument, event.quotes)
    if isinstance(word, str):
        return
    order = word.order
    yield m.OrderResolved(
        intent=order.intent,
        outcome=word.outcome,
        quantity=word.quantity,
        price=word.price,
        by=event.by,
        reason=event.reason,
    )
    if word.outcome == UNFILLED:
        yield from give_up(state, order, f"{event.by}: {event.reason}", event.at, event.tech)
        yield m.RequestSnapshot(reason=f"order {order.ref} was resolved")
        return
    if word.quantity:
        yield made_up(state, order, RESOLVED, word.quantity, word.price, event.at, event.tech)
    text = f"resolved as {word.outcome} by {event.by}: {event.reason}"
    yield from advance(state, state.orders[order.intent], OUTCOMES[word.outcome], text=text)
    yield m.RequestSnapshot(reason=f"order {order.ref} was resolved")


# ── what the broker says later ──────────────────────────────────────────────────────────────────────────────────────


def reviewed(state: State, event: m.Event) -> Followed:
    """Asked before an event about orders is decided on: a word that it contradicts is taken back."""
    intent = _intent(state, event)
    fact = state.resolved.get(intent) if intent is not None else None
    if intent is None or fact is None:
        return
    order = state.orders[intent]
    says = _contradiction(state, order, fact, event)
    if says is None:
        return
    for fill in [one for one in state.fills.values() if _is_said(one.exec_id, intent)]:
        void = made_up(state, order, VOID, ZERO, fill.price, event.at, event.tech)
        yield replace(void, replaces=fill.exec_id, recounted=True)
    yield m.ResolutionContradicted(intent=intent, says=says)
    text = f"order {order.ref} was resolved as {fact.outcome} by {fact.by}, yet the broker says: {says}"
    yield laid(state, m.QuarantineSet(con_id=order.con_id, symbol=order.symbol, reason=text, tech=event.tech))
    yield m.RaiseAlert(
        key="resolution_contradicted",
        text=f"{text}; {order.symbol} is quarantined: compare with the broker's statement, then unquarantine it",
        severity="critical",
    )


def _intent(state: State, event: m.Event) -> int | None:
    match event:
        case m.OpenOrderSeen() | m.ExecutionSeen() | m.CompletedOrderSeen() if event.account in ("", state.account):
            return intent_told(state, event)
        case m.OrderStatusSeen(perm_id=perm_id, order_id=order_id):
            return intent_of(state, perm_id=perm_id, client_id=event.client_id, order_id=order_id)
        case m.OrderErrorSeen():
            return state.by_order_id.get((state.client_id, event.order_id))
        case _:
            return None


def _contradiction(state: State, order: Order, fact: m.OrderResolved, event: m.Event) -> str | None:
    """What the broker says that can't be so if the person was right, or None.

    An order that works on may go any way; what it has filled after all is booked as if nothing had been said.
    """
    if fact.outcome == UNFILLED:
        return None
    match event:
        case m.ExecutionSeen():
            return _more_filled(state, order, event)
        case m.OpenOrderSeen() if event.perm_id and event.status in AT_WORK:
            return f"it works ({event.status})"
        case m.OrderStatusSeen() if event.perm_id and event.status in AT_WORK:
            return f"it works ({event.status})"
        case m.OrderStatusSeen() | m.CompletedOrderSeen() if event.status in ENDED_AS:
            return _other_end(order, fact, ENDED_AS[event.status], event.filled)
        case m.OrderErrorSeen() if meant_by(order, Verdict(event.verdict)) is Verdict.REJECTED:
            return _other_end(order, fact, "rejected", order.filled)
        case _:
            return None


def _more_filled(state: State, order: Order, event: m.ExecutionSeen) -> str | None:
    """An execution that what was said to have filled by then has no room for; a correction of one heard is none."""
    stem = event.exec_id.rpartition(".")[0]
    if event.exec_id in state.fills or any(known.startswith(f"{stem}.") for known in state.fills if stem):
        return None
    meant = (fill for fill in state.fills.values() if _is_said(fill.exec_id, order.intent))
    room = sum((abs(fill.quantity) for fill in meant if event.executed_at <= fill.executed_at), ZERO)
    return None if event.quantity <= room else f"{event.quantity} filled by {event.exec_id}"


def _other_end(order: Order, fact: m.OrderResolved, end: str, filled: Decimal) -> str | None:
    """A status may go on counting shares that were corrected away, or not: either is what the book knows of."""
    known = (order.filled, order.told)
    agrees = end in SAME_END.get(fact.outcome, ()) and (end == "filled" or filled in known)
    return None if agrees else f"it is {end} after {filled} filled"


def _is_said(exec_id: str, intent: int) -> bool:
    return exec_id.startswith(f"{RESOLVED}{intent}.")
