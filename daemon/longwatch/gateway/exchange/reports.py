"""What the exchange tells about orders, as values; made by the exchange, turned into messages by the desk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal

from longwatch.gateway.exchange.ledger import Commission, Execution
from longwatch.gateway.exchange.orders import Order, Ticket


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderShown:
    """An openOrder message is due."""

    order: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusShown:
    """An orderStatus message is due."""

    order: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class FillShown:
    """An execDetails message is due."""

    order: Order
    execution: Execution


@dataclass(frozen=True, slots=True, kw_only=True)
class CommissionShown:
    """A commissionReport message is due, and the holding's new size and cost."""

    order: Order
    execution: Execution
    commission: Commission


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderNotice:
    """An error message about an order is due to the client that asked."""

    client_id: int
    order_id: int
    code: int
    text: str
    perm_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundShown:
    """An orderBound message is due: client 0 has been given an order typed by hand."""

    order: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewShown:
    """The margins and the cost an order would have, for a what-if."""

    ticket: Ticket
    margin_before: Decimal
    margin_after: Decimal
    equity: Decimal
    commission: Decimal

    def times(self, rate: Decimal) -> PreviewShown:
        """The same in another currency, as accounts of another base currency are told it."""
        before, after = self.margin_before * rate, self.margin_after * rate
        return replace(
            self,
            margin_before=before,
            margin_after=after,
            equity=self.equity * rate,
            commission=self.commission * rate,
        )


Report = OrderShown | StatusShown | FillShown | CommissionShown | OrderNotice | BoundShown | PreviewShown


class Teller:
    """Passes reports on; those told within `later` follow at its end, and never when that fails."""

    def __init__(self, report: Callable[[Report], None]) -> None:
        self._report = report
        self._kept: list[Report] | None = None

    def __call__(self, report: Report) -> None:
        if self._kept is None:
            self._report(report)
        else:
            self._kept.append(report)

    @contextmanager
    def later(self) -> Iterator[None]:
        """Keep what is told in here until the end: nobody hears of what is not yet in the books."""
        if self._kept is not None:
            yield
            return
        kept: list[Report] = []
        self._kept = kept
        try:
            yield
        finally:
            self._kept = None
        for report in kept:
            self._report(report)
