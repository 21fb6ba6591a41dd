"""Whether the gateway takes orders at all, asked under a number that no order has; for reconcile and lifecycle.

Where an order's own number names nothing any more, a cancel under it could end somebody else's order, so whether the
gateway still has it can't be asked. But orders and cancels are taken in the order they came in, and wait behind one
window: that a later cancel of nothing is answered with "not found" says that no earlier order waits there.
"""

from __future__ import annotations

from dataclasses import replace

from longwatch.domain import messages as m
from longwatch.domain.order_life import unanswered
from longwatch.domain.order_life.evidence import Decided
from longwatch.domain.order_life.verdicts import Verdict
from longwatch.domain.orders import Absence, Order
from longwatch.domain.risk import what_if
from longwatch.domain.state import State


def noted(state: State, absence: Absence) -> Absence:
    """The question among what has been gathered about an order, under one number until ids begin again."""
    return replace(absence, asked_as=absence.asked_as or state.next_id)


def put(order: Order) -> Decided:
    """Ask it."""
    if order.absence is not None and order.absence.asked_as is not None:
        yield m.CancelOrder(intent=order.intent, order_id=order.absence.asked_as)


def asked_as(state: State, order_id: int) -> Order | None:
    """The order on account of which the gateway was asked under this number."""
    asked = (order for order in state.live_orders() if order.absence and order.absence.asked_as == order_id)
    return next(asked, None)


def of_no_order(state: State, event: m.OrderErrorSeen) -> Decided:
    """A code under a number that no order has: the answer to what was asked under it, or a person is told."""
    asked, question = what_if.asked_as(state, event.order_id), asked_as(state, event.order_id)
    if asked is not None:
        yield from what_if.error(state, asked, event)
    elif question is not None:
        yield from answered(question, event)
    elif event.verdict == Verdict.NOT_FOUND and event.order_id < state.next_id:
        # A number of ours that no order has: a question, which may be answered when what it was about is settled.
        yield from unanswered.answered(state, event)
    else:
        text = f"{event.code} on order id {event.order_id}: {event.text}"
        yield m.RaiseAlert(key="error_on_unknown_order", text=text)


def answered(order: Order, event: m.OrderErrorSeen) -> Decided:
    """The answer: what waited before it is shown by now, or will be, so only readings begun since then are proof."""
    if order.absence is None or order.absence.answered or event.verdict != Verdict.NOT_FOUND:
        return
    absence = replace(order.absence, answered=True, since=event.tech, first_round_at=None)
    yield m.AbsenceNoted(intent=order.intent, absence=absence)
    yield m.RequestSnapshot(reason=f"the gateway answers; is order {order.ref} there?")
