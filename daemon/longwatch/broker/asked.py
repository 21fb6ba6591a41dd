"""What was last asked of the broker about each order on this connection, for what an error on it means; kept by live.

A modification counts until it is answered: the order shown with the new terms, or a refusal. What comes soon after that
may still be about it, for a gateway may show the new terms before it is told that they are rejected.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from longwatch.broker.codes import Asked, Code
from longwatch.domain import messages as m
from longwatch.domain.order_life.verdicts import Verdict
from longwatch.domain.orders import Order

ANSWERED_FOR = 60.0
"""Seconds for which a code may still be about a modification that was answered; rejections are told within one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """A modification that was sent, as the `order` it asks for; `answered_at` is the loop's time, in seconds."""

    order: Order
    answered_at: float | None = None

    def is_shown_by(self, event: m.OpenOrderSeen) -> bool:
        """Whether a row has these terms; a price that it leaves unset says nothing."""
        is_limited_so = event.limit_price in (None, self.order.limit_price)
        is_stopped_so = event.stop_price in (None, self.order.stop_price)
        return event.quantity == self.order.quantity and is_limited_so and is_stopped_so


class LastAsked:
    """By order id of our own client; an order that is not in it was asked for and no more. `time` is the loop's."""

    def __init__(self, client_id: int, time: Callable[[], float]) -> None:
        self._client_id = client_id
        self._time = time
        self._cancelled: set[int] = set()
        self._changes: dict[int, _Change] = {}

    def cancelled(self, order_id: int) -> None:
        """A cancel has left."""
        self._cancelled.add(order_id)

    def written(self, effect: m.SubmitOrder | m.ModifyOrder) -> None:
        """An order, or its modification, has left."""
        order = effect.order
        if isinstance(effect, m.ModifyOrder) and order.order_id is not None:
            self._cancelled.discard(order.order_id)
            self._changes[order.order_id] = _Change(order=order)

    def heard(self, event: m.Event) -> None:
        """The broker shows an order: with the terms that were asked for, that is the answer."""
        if isinstance(event, m.OpenOrderSeen) and event.client_id == self._client_id:
            change = self._changes.get(event.order_id)
            if change is not None and change.is_shown_by(event):
                self._answered(event.order_id)

    def said(self, order_id: int, row: Code) -> dict[str, str]:
        """What a code on this order says, as OrderErrorSeen tells it; it may be the answer to a modification."""
        said = row.said(self._of(order_id))
        if said["verdict"] == Verdict.UNCHANGED:
            self._answered(order_id)
        return said

    def clear(self) -> None:
        """The connection has ended."""
        self._cancelled.clear()
        self._changes.clear()

    def _of(self, order_id: int) -> Asked:
        if order_id in self._cancelled:
            return Asked.CANCEL
        change = self._changes.get(order_id)
        if change is None or (change.answered_at is not None and self._time() - change.answered_at >= ANSWERED_FOR):
            return Asked.NEW
        return Asked.MODIFY

    def _answered(self, order_id: int) -> None:
        change = self._changes.get(order_id)
        if change is not None and change.answered_at is None:
            self._changes[order_id] = replace(change, answered_at=self._time())
