"""Carries the exchange's reports to the client whose order it is, through faults that hold, lose, repeat or mix."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any, assert_never

from longwatch.gateway import wording
from longwatch.gateway.conduct import Conduct
from longwatch.gateway.exchange.ledger import Execution
from longwatch.gateway.exchange.orders import Order, Status
from longwatch.gateway.exchange.reports import (
    BoundShown,
    CommissionShown,
    FillShown,
    OrderNotice,
    OrderShown,
    PreviewShown,
    Report,
    StatusShown,
)
from longwatch.gateway.faults import Faults

if TYPE_CHECKING:
    from longwatch.gateway.session import Session

HEARD_BY_MASTER = frozenset({"openOrder", "orderStatus", "commissionReport"})
"""What is said of an order to its client, and to the master client too; executions go a way of their own."""

Say = Callable[[], None]


class Courier:
    """Brings reports to sessions by client id; who has left hears nothing.

    `moved` is told of every booked fill, `correct` of one that is to be corrected, `bust` of one to be taken
    back. The client `master` hears of every
    client's orders.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        faults: Faults,
        clients: dict[int, Session],
        moved: Callable[[Execution], None],
        correct: Callable[[Order, Execution], None],
        bust: Callable[[Order, Execution], None],
        random: Random,
        *,
        conduct: Conduct,
    ) -> None:
        self._loop = loop
        self._faults = faults
        self._clients = clients
        self._moved = moved
        self._correct = correct
        self._bust = bust
        self._random = random
        self._master = conduct.master_client_id
        self._manual_id = wording.UNSET_ID if conduct.manual_id_unset else 0
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
                values = {"reqId": order_id, "errorCode": code, "errorString": text}
                self._order(client_id, perm_id, "error", values)
            case BoundShown(order=order):
                self._order(order.ticket.client_id, order.perm_id, "orderBound", wording.order_bound(order))
            case PreviewShown(ticket=ticket):
                self._order(ticket.client_id, 0, "openOrder", wording.preview(report))
            case _:
                assert_never(report)

    def tell(self, say: Say) -> None:
        """Say something that follows from no order, when the faults let it through."""
        self._when_allowed(say)

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
        is_untold = order.status is Status.CANCELLED and self._faults.takes_one("only_202")
        if self._is_unacknowledged(order) or is_untold:
            return
        values = wording.order_status(order)
        self._order(client_id, perm_id, "orderStatus", values)
        if order.cancelled_by not in {None, client_id, self._master}:
            self._order(order.cancelled_by, perm_id, "orderStatus", {**values, "clientId": order.cancelled_by})
        opening = self._openings.pop(perm_id, None)
        if opening is not None:
            self._order(client_id, perm_id, "openOrder", opening)
        if order.is_live and not order.is_noticed:
            order.is_noticed = True
            for code, text in self._faults.notices:
                values = {"reqId": order.ticket.shown_id, "errorCode": code, "errorString": text}
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
            for session in self._hearers(client_id):
                version = session.server_version
                values = wording.exec_details(execution, instrument, version, manual_id=self._manual_id)
                session.send("execDetails", values)

        if order.perm_id in self._muted:
            return
        if self._faults.execution_seconds:
            self._loop.call_later(self._faults.execution_seconds, self._when_allowed, say)
        else:
            self._when_allowed(say)
        if self._faults.takes_one("correct_fills"):
            self._correct(order, execution)
        elif self._faults.takes_one("bust_fills"):
            self._bust(order, execution)

    def _commission(self, report: CommissionShown) -> None:
        if self._faults.takes_one("lose_commissions"):
            self._faults.lost_commissions.add(report.execution.exec_id)
            return
        order, values = report.order, wording.commission_report(report.commission)
        arguments = (order.ticket.client_id, order.perm_id, "commissionReport", values)
        if self._faults.commission_seconds:
            self._loop.call_later(self._faults.commission_seconds, self._order, *arguments)
        else:
            self._order(*arguments)

    def _order(self, client_id: int | None, perm_id: int, name: str, values: dict[str, Any]) -> None:
        def say() -> None:
            for session in self._hearers(client_id, alone=name not in HEARD_BY_MASTER):
                session.send(name, values)

        if perm_id not in self._muted:
            self._when_allowed(say)

    def _hearers(self, client_id: int | None, *, alone: bool = False) -> list[Session]:
        """The client whose order it is, and the one that hears of all orders; without who is not there."""
        numbers = dict.fromkeys((client_id, client_id if alone else self._master))
        return [self._clients[number] for number in numbers if number is not None and number in self._clients]

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
