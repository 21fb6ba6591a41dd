"""New terms for a working order: when they may be asked for, and which are in force until the broker has said so.

Called by commands, lifecycle, reconcile and decide. A modification is the same order sent again under its own id, so it
is asked for only while the broker is known to hold that order under that id: on a ready link, of a working order of
ours. From the fact on that it is asked for, and until the broker's word, both terms count: the larger quantity, the
dearer price. That word is the order shown with its terms, a refusal, a fill beyond the former quantity, or a whole
download long afterwards that lists the former terms. Nothing is ever asked for a second time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument, beyond_tick, to_tick
from longwatch.domain.order_life import breaker
from longwatch.domain.order_life.identity import is_reachable
from longwatch.domain.order_life.resolution import FIGURE, order_called
from longwatch.domain.order_life.submission import Terms, asking
from longwatch.domain.orders import LIMITED, STOPPED, Order, OrderState, Purpose, told_as
from longwatch.domain.portfolio.parts import equity_of
from longwatch.domain.portfolio.wanted import lot_of
from longwatch.domain.quotes import Quote
from longwatch.domain.risk.attached import has_stop
from longwatch.domain.risk.caps import with_exposure
from longwatch.domain.risk.oca import has_traded, shrinks_it
from longwatch.domain.risk.proposal import Proposal, Refusal
from longwatch.domain.risk.readiness import reasons
from longwatch.domain.risk.table import ALWAYS, CHECKS, WHOLE, caps_of, passed_by_now
from longwatch.domain.risk.verbs import ACTIONS, forbidden_by
from longwatch.domain.state import State

Followed = Iterator[m.Fact | m.Effect]
ZERO, MOST_WORDS = Decimal(0), 4
BY_SOMEBODY = "set by somebody else"
FORM = "an order, and at least one of its new quantity, limit price and stop price"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person wants of a working order: the whole new terms."""

    order: Order
    instrument: Instrument
    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None


# ── asked for ───────────────────────────────────────────────────────────────────────────────────────────────────────


def asked(state: State, argument: str, tech: datetime) -> Asked | str:
    """What is asked as `7 100 85.20 -` (quantity, limit, stop; `-`: as it is), or one sentence why it can't be."""
    words = argument.split()
    if not 1 <= len(words) <= MOST_WORDS:
        return f"modify needs {FORM}, each a single word"
    words = [*words, "-", "-", "-"][:MOST_WORDS]
    order = order_called(state, words[0])
    if order is None:
        return f"no order is called {words[0]}; `longwatch orders` lists them by number and reference"
    if order.rests:
        return f"order {order.ref} is the protective {order.purpose} of {order.symbol}: the settings of stops place it"
    why_not = not_modifiable(state, order, tech)
    if why_not is not None:
        return why_not
    instrument = state.instruments.get(order.symbol)
    if instrument is None:
        return f"the contract of {order.symbol} is not known: cancel the order instead"
    if not all(word == "-" or (FIGURE.fullmatch(word) and Decimal(word)) for word in words[1:]):
        return f"quantity and prices must be numbers above zero like 40 and 85.20, not {' '.join(words[1:])}"
    return _new_terms(state, order, instrument, *(None if word == "-" else Decimal(word) for word in words[1:]))


def not_modifiable(state: State, order: Order, tech: datetime) -> str | None:
    """Why no terms of this order can be changed now, whatever they are."""
    if order.state is not OrderState.WORKING or order.ending is not None:
        said = order.state.value if order.ending is None else f"{order.ending.value} by the broker's word"
        return f"order {order.ref} is {said}: only a working order can be modified"
    if order.cancel_asked:
        return f"order {order.ref} is being cancelled ({order.cancel_reason}): it can't be modified any more"
    if order.change is not None:
        return f"order {order.ref} has a modification that the broker has not answered yet: wait for its word"
    if not is_reachable(state, order) or len(order.perm_ids) != 1:
        return f"order {order.ref} is not known to the broker as one order of client {state.client_id}: cancel it"
    why = reasons(state, tech)
    return f"order {order.ref} can't be modified while not ready: {why[0]}" if why else None


def _new_terms(
    state: State,
    order: Order,
    instrument: Instrument,
    quantity: Decimal | None,
    limit: Decimal | None,
    stop: Decimal | None,
) -> Asked | str:
    if (quantity, limit, stop) == (None, None, None):
        return f"modify needs {FORM}"
    for price, kinds, what in ((limit, LIMITED, "limit"), (stop, STOPPED, "stop")):
        if price is not None and order.order_type not in kinds:
            return f"order {order.ref} is {order.order_type.value}: it has no {what} price"
    lot = lot_of(state, instrument)
    if quantity is not None and quantity % lot:
        return f"{order.symbol} is traded in lots of {lot}: {quantity} is not a number of them"
    if quantity is not None and quantity <= order.filled:
        return f"order {order.ref} has filled {order.filled} already: to have no more of it, cancel it"
    if quantity not in (None, order.quantity) and has_stop(state, order):
        return f"order {order.ref} left with a stop for its {order.quantity} shares: cancel it to have another quantity"
    new = Asked(
        order=order,
        instrument=instrument,
        quantity=quantity or order.quantity,
        limit_price=order.limit_price if limit is None else to_tick(limit, instrument.tick, order.side),
        stop_price=order.stop_price if stop is None else beyond_tick(stop, instrument.tick, order.side),
    )
    if ZERO in (new.limit_price, new.stop_price):
        return f"{order.symbol} is priced in steps of {instrument.tick}: less than one of them is no price"
    if (new.quantity, new.limit_price, new.stop_price) == order.terms:
        return f"order {order.ref} has these terms already"
    return new


def obey(state: State, event: m.ControlRequested) -> Followed:
    """A person's modification: asked of the broker, or refused by the check that would refuse such an order."""
    new = asked(state, event.argument, event.tech)
    if isinstance(new, str):
        return
    refusal, order = objection(state, new, event), new.order
    if refusal is not None:
        yield m.TradeRefused(
            run_id=_run(order),
            symbol=order.symbol,
            check=refusal.check,
            wanted=(new.quantity - order.filled) * order.side.sign,
            observed=refusal.observed,
            limit=refusal.limit,
            text=refusal.text,
            intent=order.intent,
        )
        return
    terms = (new.quantity, new.limit_price, new.stop_price)
    yield from asking(state, order, new.instrument, terms, f"{event.by}: {event.reason}", event.tech)
    if new.quantity != order.quantity:
        yield from breaker.leave(state, order, event.at)


def _run(order: Order) -> str:
    """The decision a modification is, for the checks: its own."""
    return f"modify:{order.intent}:{order.changed + 1}"


# ── risk ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def objection(state: State, new: Asked, event: m.ControlRequested) -> Refusal | None:
    """The pre-trade checks asked of the new terms as of a new order in the old one's place.

    Terms that stand back from the market need neither a fresh quote nor sound bars; those no larger and no dearer than
    what is in force pass the caps, which that has passed.
    """
    quote = next((one for one in event.quotes if one.con_id == new.order.con_id), None)
    breakers = {key: row for key, row in state.breakers.items() if row.reason != breaker.MODIFIED}
    besides = replace(state.besides(new.order), breakers=breakers)
    proposal = _proposal(state, new, quote, event)
    order = new.order
    checks = (ALWAYS if _stands_back(new) else CHECKS)[order.purpose]
    refusal = next((found for check in checks if (found := check(besides, proposal)) is not None), None)
    if refusal is not None or (new.quantity <= order.quantity and proposal.worst_price <= order.worst_price):
        return refusal
    if order.purpose is Purpose.ENTRY:
        proposal = with_exposure(besides, proposal)
    for check, rule in caps_of(proposal):
        judged = replace(proposal, quantity=new.quantity) if check in WHOLE else proposal
        cap = rule(besides, judged)
        if cap is not None and judged.quantity > cap.allowed:
            text = f"order {order.ref}: {check} {cap.observed:.4f} would pass the limit {cap.limit}"
            return Refusal(check=check, observed=f"{cap.observed:.4f}", limit=str(cap.limit), text=text)
    return None


def _stands_back(new: Asked) -> bool:
    """No more shares, and at no price that is easier to have for the other side."""
    order = new.order
    nearer = ((new.limit_price or ZERO) - (order.limit_price or ZERO)) * order.side.sign > 0
    return new.quantity <= order.quantity and new.stop_price == order.stop_price and not nearer


def _proposal(state: State, new: Asked, quote: Quote | None, event: m.ControlRequested) -> Proposal:
    order, prices = new.order, dict(state.equity.prices) if state.equity else {}
    price = prices.get(order.symbol) or (quote.mid if quote else None) or order.decision_price
    left = new.quantity - order.filled
    return Proposal(
        run_id=_run(order),
        instrument=new.instrument,
        side=order.side,
        quantity=left,
        filled=order.filled,
        purpose=order.purpose,
        price=price,
        equity=equity_of(state) or left * price,
        order_type=order.order_type,
        limit_price=new.limit_price,
        stop_price=new.stop_price,
        quote=quote,
        session=next((one for one in state.sessions if one.is_open(event.at)), None),
        at=event.at,
        tech=event.tech,
        closes=False,
    )


# ── on its way ──────────────────────────────────────────────────────────────────────────────────────────────────────


def gate(state: State, order: Order, tech: datetime) -> str | None:
    """Asked when the bytes of a modification are about to be written: None lets them pass, a reason withholds them."""
    if order.change is None or order.change.handed:
        return "no modification waits to be sent"
    why_not = not_modifiable(state, replace(order, change=None), tech)
    if why_not is not None:
        return why_not
    held_by = forbidden_by(state, order.con_id, ACTIONS[order.purpose], ready=True, besides=order.intent)
    if held_by is not None:
        return held_by.value
    if order.purpose is Purpose.PROFIT and has_traded(state, order):
        return "the stop of these shares has been triggered"
    former = replace(order, change=None)
    grows = order.at_most > former.at_most or order.worst_price > former.worst_price
    return passed_by_now(state, order) if grows else None


def handed(state: State, event: m.OrderHanded) -> Followed:
    """The bytes are with the transport: from here on only the broker can say which terms are in force."""
    if _is_of(state, event):
        due = event.tech + timedelta(seconds=state.settings.acknowledge_seconds)
        yield m.OrderChangeAwaited(intent=event.intent, handed=True, deadline=due)


def withheld(state: State, event: m.OrderWithheld) -> Followed:
    """The bytes never left: the order goes on as it was."""
    if _is_of(state, event):
        order = state.orders[event.intent]
        yield terms_set(order, order.terms, f"the modification was not sent: {event.reason}")
        text = f"order {order.ref} was not modified: {event.reason}"
        yield m.RaiseAlert(key="modification_withheld", text=text)


def _is_of(state: State, event: m.OrderHanded | m.OrderWithheld) -> bool:
    change = state.orders[event.intent].change
    return change is not None and change.number == event.change


# ── what the broker says ────────────────────────────────────────────────────────────────────────────────────────────


def shown(state: State, order: Order, event: m.OpenOrderSeen) -> Followed:
    """The order as the broker holds it: the terms it shows are in force, also where somebody else has set them.

    A twin counts as large as it may be, whatever is shown: it is cancelled. For untold prices see told_terms.
    """
    seen, change = (event.quantity, event.limit_price, event.stop_price), order.change
    if not order.is_live or order.twin_of is not None or (seen == order.terms and change is None):
        return
    if change is not None and seen == change.terms:
        yield terms_set(order, seen, "shown so by the broker")
    elif event.quantity < order.at_most and (taken_by := shrinks_it(state, order)):
        # The broker has taken from it; shown larger than before, or at the new price, it was modified as well.
        is_new = change is not None and (event.quantity > order.quantity or seen[1:] != order.terms[1:])
        yield replace(terms_set(order, seen, taken_by), change=None if is_new else change)
    elif seen != order.terms:
        yield replace(terms_set(order, seen, BY_SOMEBODY), change=change)
        yield m.RaiseAlert(
            key="order_changed_elsewhere",
            text=f"order {order.ref} was {told_as(order.terms)}; the broker shows it {told_as(seen)}, which nobody "
            "here has asked for; it counts so",
        )


def refused(order: Order, text: str) -> Followed:
    """The broker has refused the modification: the order goes on as it was."""
    if order.change is not None and order.change.handed:
        yield terms_set(order, order.terms, f"the modification is refused: {text}")
        told = f"order {order.ref} stays {told_as(order.terms)}, not modified: {text}"
        yield m.RaiseAlert(key="modification_refused", text=told)


def filled(order: Order) -> Followed:
    """More has filled than the former quantity: the new terms are in force."""
    if order.change is not None and order.quantity < order.filled <= order.change.quantity:
        yield terms_set(order, order.change.terms, "filled beyond the former quantity")


def terms_set(order: Order, terms: Terms, text: str) -> m.OrderTermsSet:
    """These terms are in force and nothing is under way any more, as `text` knows."""
    quantity, limit, price = terms
    return m.OrderTermsSet(intent=order.intent, quantity=quantity, limit_price=limit, stop_price=price, text=text)
