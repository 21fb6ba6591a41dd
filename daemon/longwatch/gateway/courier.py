"""Carries the exchange's reports to the client whose order it is, through faults that hold, lose, repeat or mix."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any, assert_never

from longwatch.gateway import wording
from longwatch.gateway.faults import Faults
from longwatch.gateway.ledger import Execution
from longwatch.gateway.orders import Order
from longwatch.gateway.reports import (
    CommissionShown,
    FillShown,
    OrderNotice,
    OrderShown,
    PreviewShown,
    Report,
    StatusShown,
)

if TYPE_CHECKING:
    from longwatch.gateway.session import Session

Say = Callable[[], None]


class Courier:
    """Brings reports to sessions by client id; who has left hears nothing.

    `moved` is told of every booked fill, `correct` of one that is to be corrected.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        faults: Faults,
        clients: dict[int, Session],
        moved: Callable[[Execution], None],
        correct: Callable[[Order, Execution], None],
        random: Random,
    ) -> None:
        self._loop = loop
        self._faults = faults
        self._clients = clients
        self._moved = moved
        self._correct = correct
        self._random = random
        self._held: deque[Say] = deque()
        self._held_until = 0.0
        self._unsaid: list[Say] = []
        self._muted: set[int] = set()
        self._openings: dict[int, dict[str, Any]] = {}

    def carry(self, report: Report) -> None:
        """Turn a report into its message now, and say it when the faults let it through."""
        match report:
            case OrderShown(order=order):
                self._show(order, wording.open_order(order))
            case StatusShown(order=order):
                self._status(order)
            case FillShown(order=order, execution=execution):
                self._mute(order.perm_id, is_lost=self._faults.loses(execution.exec_id))
                self._fill(order, execution)
            case CommissionShown(order=order, execution=execution):
                self._commission(report)
                self._when_allowed(lambda: self._moved(execution))
            case OrderNotice(client_id=client_id, order_id=order_id, code=code, text=text, perm_id=perm_id):
                values = {"reqId": max(order_id, 0), "errorCode": code, "errorString": text}
                self._order(client_id, perm_id, "error", values)
            case PreviewShown(ticket=ticket):
                self._order(ticket.client_id, 0, "openOrder", wording.preview(report))
            case _:
                assert_never(report)

    def catch_up(self) -> None:
        """The backend is back: say what it kept back."""
        waiting, self._unsaid = self._unsaid, []
        for say in waiting:
            say()

    def forget(self) -> None:
        """The gateway is started anew: what it had not said yet is never said."""
        self._held.clear()
        self._unsaid.clear()
        self._openings.clear()

    def _show(self, order: Order, values: dict[str, Any]) -> None:
        if self._is_unacknowledged(order):
            return
        if self._faults.status_first:
            self._openings[order.perm_id] = values
        else:
            self._order(order.ticket.client_id, order.perm_id, "openOrder", values)

    def _status(self, order: Order) -> None:
        client_id, perm_id = order.ticket.client_id, order.perm_id
        if self._is_unacknowledged(order):
            return
        self._order(client_id, perm_id, "orderStatus", wording.order_status(order))
        opening = self._openings.pop(perm_id, None)
        if opening is not None:
            self._order(client_id, perm_id, "openOrder", opening)
        if order.is_live and not order.is_noticed:
            order.is_noticed = True
            for code, text in self._faults.notices:
                values = {"reqId": max(order.ticket.order_id, 0), "errorCode": code, "errorString": text}
                self._order(client_id, perm_id, "error", values)

    def _is_unacknowledged(self, order: Order) -> bool:
        """Whether this order's acknowledgement is lost, and this would be it."""
        if order.ack_lost is None:
            order.ack_lost = not order.filled and self._faults.takes_one("lose_acknowledgements")
        return order.ack_lost and order.is_live and not order.filled

    def _mute(self, perm_id: int, *, is_lost: bool) -> None:
        """From a lost fill to the next one that is heard, nothing of the order is said."""
        (self._muted.add if is_lost else self._muted.discard)(perm_id)

    def _fill(self, order: Order, execution: Execution) -> None:
        client_id, instrument = order.ticket.client_id, order.ticket.instrument

        def say() -> None:
            session = self._clients.get(client_id)
            if session is not None:
                session.send("execDetails", wording.exec_details(execution, instrument, session.server_version))

        if order.perm_id in self._muted:
            return
        self._when_allowed(say)
        if self._faults.takes_one("correct_fills"):
            self._correct(order, execution)

    def _commission(self, report: CommissionShown) -> None:
        if self._faults.takes_one("lose_commissions"):
            return
        order, values = report.order, wording.commission_report(report.commission)
        arguments = (order.ticket.client_id, order.perm_id, "commissionReport", values)
        if self._faults.commission_seconds:
            self._loop.call_later(self._faults.commission_seconds, self._order, *arguments)
        else:
            self._order(*arguments)

    def _order(self, client_id: int, perm_id: int, name: str, values: dict[str, Any]) -> None:
        def say() -> None:
            session = self._clients.get(client_id)
            if session is not None:
                session.send(name, values)

        if perm_id not in self._muted:
            self._when_allowed(say)

    def _when_allowed(self, say: Say) -> None:
        """Say it now, or when a held order or a lost backend lets it through; out of order only where asked to."""
        faults = self._faults
        if faults.duplicate:
            say = _twice(say)
        if faults.backend_down:
            self._unsaid.append(say)
        elif faults.reorder_seconds > 0:
            self._loop.call_later(self._random.uniform(0.0, faults.reorder_seconds), say)
        elif faults.hold_orders_seconds > 0 or self._held:
            self._held.append(say)
            self._held_until = max(self._held_until, self._loop.time() + faults.hold_orders_seconds)
            self._loop.call_at(self._held_until, self._say_held)
        else:
            say()

    def _say_held(self) -> None:
        if self._held:
            self._held.popleft()()


def _twice(say: Say) -> Say:
    def again() -> None:
        say()
        say()

    return again
