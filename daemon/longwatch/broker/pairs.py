"""What one write takes along: an order, and with an entry the stop that leaves with it; used by live."""

from __future__ import annotations

from longwatch.domain import messages as m
from longwatch.domain.orders import Order
from longwatch.ports import OrderGate


def orders_of(effect: m.SubmitOrder | m.ModifyOrder) -> tuple[Order, ...]:
    """The orders that leave in one write, or not at all."""
    stop = effect.attached if isinstance(effect, m.SubmitOrder) else None
    return (effect.order,) if stop is None else (effect.order, stop)


def gate_of_all(gate: OrderGate, orders: tuple[Order, ...]) -> str | None:
    """Each is asked once; what withholds one withholds all."""
    reasons = [gate(order.intent) for order in orders]
    return next((reason for reason in reasons if reason is not None), None)
