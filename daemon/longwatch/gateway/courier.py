"""Carries the exchange's reports to the client whose order it is, in order, through faults that hold or lose them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, assert_never

from longwatch.gateway import wording
from longwatch.gateway.faults import Faults
from longwatch.gateway.ledger import Execution
from longwatch.gateway.market import Instrument
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
    """Brings reports to sessions by client id; who has left hears nothing. `moved` is told of every booked fill."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        faults: Faults,
        clients: dict[int, Session],
        moved: Callable[[Execution], None],
    ) -> None:
        self._loop = loop
        self._faults = faults
        self._clients = clients
        self._moved = moved
        self._held: deque[Say] = deque()
        self._held_until = 0.0
        self._unsaid: list[Say] = []
        self._muted: set[int] = set()

    def carry(self, report: Report) -> None:
        """Turn a report into its message now, and say it when the faults let it through."""
        match report:
            case OrderShown(order=order):
                self._order(order.ticket.client_id, order.perm_id, "openOrder", wording.open_order(order))
            case StatusShown(order=order):
                self._order(order.ticket.client_id, order.perm_id, "orderStatus", wording.order_status(order))
            case FillShown(order=order, execution=execution):
                self._mute(order.perm_id, is_lost=self._faults.loses(execution.exec_id))
                self._fill(order.ticket.client_id, order.perm_id, execution, order.ticket.instrument)
            case CommissionShown(order=order, execution=execution, commission=commission):
                values = wording.commission_report(commission)
                self._order(order.ticket.client_id, order.perm_id, "commissionReport", values)
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

    def _mute(self, perm_id: int, *, is_lost: bool) -> None:
        """From a lost fill to the next one that is heard, nothing of the order is said."""
        (self._muted.add if is_lost else self._muted.discard)(perm_id)

    def _order(self, client_id: int, perm_id: int, name: str, values: dict[str, Any]) -> None:
        def say() -> None:
            session = self._clients.get(client_id)
            if session is not None:
                session.send(name, values)

        if perm_id not in self._muted:
            self._when_allowed(say)

    def _fill(self, client_id: int, perm_id: int, execution: Execution, instrument: Instrument) -> None:
        def say() -> None:
            session = self._clients.get(client_id)
            if session is not None:
                session.send("execDetails", wording.exec_details(execution, instrument, session.server_version))

        if perm_id not in self._muted:
            self._when_allowed(say)

    def _when_allowed(self, say: Say) -> None:
        """Say it now, or when a held order or a lost backend lets it through; never out of order."""
        if self._faults.backend_down:
            self._unsaid.append(say)
        elif self._faults.hold_orders_seconds > 0 or self._held:
            self._held.append(say)
            self._held_until = max(self._held_until, self._loop.time() + self._faults.hold_orders_seconds)
            self._loop.call_at(self._held_until, self._say_held)
        else:
            say()

    def _say_held(self) -> None:
        if self._held:
            self._held.popleft()()
