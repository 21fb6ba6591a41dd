"""Modifications that the broker passes over in silence: both terms count until it is known which are in force.

Called by decide, reconcile and questions. What waits behind a window of the gateway is not answered, while downloads
are, and list the former terms. So the gateway is asked, behind the modification, under a number that no order has: that
it answers says that the modification waits there no more. Until then no order leaves, and only a whole download begun
long after the answer that lists the former terms still tells that the modification came to nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from longwatch.domain import messages as m
from longwatch.domain.order_life.modification import terms_set
from longwatch.domain.order_life.verdicts import Verdict
from longwatch.domain.orders import Change, Order, OrderState, told_as
from longwatch.domain.state import State

Followed = Iterator[m.Fact | m.Effect]


def changes_overdue(state: State, tech: datetime) -> Followed:
    """Silence: a person is told once, the gateway is asked whether it listens, and the orders are read."""
    for order in list(state.live_orders()):
        change = order.change
        if change is None or change.deadline is None or change.deadline > tech:
            continue
        if change.asked_as is None:
            text = (
                f"the modification of order {order.ref} was not answered in time; both terms count until it is; "
                "is a window open in the gateway that waits for a person? No orders until it answers"
            )
            yield m.RaiseAlert(key="modification_unacknowledged", text=text)
        if state.link is not m.Link.READY:
            # Without a link nothing can be learned; the next one begins with a download, and regular ones follow.
            yield m.OrderChangeAwaited(intent=order.intent, handed=True, deadline=None)
            continue
        pace = timedelta(seconds=max(state.settings.absence_round_seconds, 1.0))
        quiet = timedelta(seconds=state.settings.absence_quiet_seconds)
        settles_at = (change.answered_at or change.asked_at) + quiet
        yield from _asked(state, order, change, settles_at if tech < settles_at else tech + pace)
        yield m.RequestSnapshot(reason=f"the modification of order {order.ref} is not answered")


def _asked(state: State, order: Order, change: Change, deadline: datetime) -> Followed:
    """The gateway is asked behind the modification whether it listens, unless it has said so."""
    if change.answered_at is not None:
        yield m.OrderChangeAwaited(intent=order.intent, handed=True, deadline=deadline)
        return
    number = change.asked_as or state.next_id
    yield m.OrderChangeAwaited(intent=order.intent, handed=True, deadline=deadline, asked_as=number)
    yield m.CancelOrder(intent=order.intent, order_id=number)


def answered(state: State, event: m.OrderErrorSeen) -> Followed:
    """The gateway's answer to such a question; none of an order's, and nothing where it was not asked."""
    for order in [state.orders[intent] for intent in state.silent]:
        if order.change is None or order.change.asked_as != event.order_id or event.verdict != Verdict.NOT_FOUND:
            continue
        due = event.tech + timedelta(seconds=state.settings.absence_quiet_seconds)
        yield m.OrderChangeAwaited(intent=order.intent, handed=True, deadline=due, answered_at=event.tech)
        yield m.RequestSnapshot(reason=f"the gateway answers; which terms of order {order.ref} are in force?")


def changes_orphaned(state: State) -> Followed:
    """The process ended with a modification under way: nobody can say whether its bytes left."""
    for order in list(state.live_orders()):
        if order.change is not None and not order.change.handed:
            yield m.OrderChangeAwaited(intent=order.intent, handed=True, deadline=order.change.deadline)


def listed(state: State, event: m.SnapshotSeen) -> Followed:
    """A whole download, asked for long after the gateway answered and with all links up, lists the former terms.

    Had it shown the new ones, they would be in force by now: rows are told before their download's end.
    """
    quiet = timedelta(seconds=state.settings.absence_quiet_seconds)
    # A deadline that went with a link: this reading may have come too early to say anything.
    for order in [one for one in state.live_orders() if one.change and one.change.handed and not one.change.deadline]:
        if order.change is not None:
            yield from _asked(state, order, order.change, event.tech + quiet)
    if not state.backend_up or state.backend_since is None or event.tech - state.backend_since < quiet:
        return
    listed_ids = set(event.open_perm_ids or ())
    for order in list(state.live_orders()):
        change = order.change
        if change is None or change.answered_at is None or not listed_ids.intersection(order.perm_ids):
            continue
        if order.state is OrderState.WORKING and event.started_tech >= change.answered_at + quiet:
            yield terms_set(order, order.terms, "the former terms are still listed")
            text = f"order {order.ref} stays {told_as(order.terms)}: its modification came to nothing"
            yield m.RaiseAlert(key="modification_refused", text=text)
