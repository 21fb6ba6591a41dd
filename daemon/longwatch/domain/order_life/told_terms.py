"""What a row of an open order says of its terms; called by lifecycle before modification.shown."""

from __future__ import annotations

from dataclasses import replace

from longwatch.domain import messages as m
from longwatch.domain.orders import LIMITED, STOPPED, Change, Order, Purpose


def as_told(order: Order, event: m.OpenOrderSeen) -> m.OpenOrderSeen:
    """The row with the prices that it says the order has.

    A price that the order's type needs, and that the broker has left unset, says nothing: it is the one in force, or
    the one asked for where the rest of the row is. A stop that somebody has made an order of another type has no stop
    price, whatever is shown as one.
    """
    if event.order_type not in ("", order.order_type.value):
        return replace(event, stop_price=None) if order.purpose is Purpose.STOP else event
    lacks_limit = event.limit_price is None and order.order_type in LIMITED
    lacks_stop = event.stop_price is None and order.order_type in STOPPED
    if not (lacks_limit or lacks_stop):
        return event
    every: tuple[Order | Change, ...] = (order,) if order.change is None else (order, order.change)
    told = [
        replace(
            event,
            limit_price=terms.limit_price if lacks_limit else event.limit_price,
            stop_price=terms.stop_price if lacks_stop else event.stop_price,
        )
        for terms in every
    ]
    fitting = (row for row, one in zip(told, every, strict=True) if _terms(row) == one.terms)
    return next(fitting, told[0])


def _terms(event: m.OpenOrderSeen) -> tuple[object, ...]:
    return event.quantity, event.limit_price, event.stop_price
