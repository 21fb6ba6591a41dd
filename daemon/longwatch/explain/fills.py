"""Executions that were booked, with what they cost, as plain JSON values; printed by `longwatch fills`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import cast

from longwatch.domain import messages as m
from longwatch.domain.orders import Order
from longwatch.explain.course import slippage
from longwatch.explain.plain import Json, iso, plain
from longwatch.journal.codec import decode
from longwatch.journal.finding import Finder, finding

CLOCKS = timedelta(minutes=10)
"""So far the gateway's clock may be ahead of ours: an execution is told before the time it bears."""
EARLIEST = datetime.min.replace(tzinfo=UTC) + CLOCKS
"""No time lies CLOCKS before an earlier one."""


def fills(
    path: Path, *, since: datetime | None = None, until: datetime | None = None, symbol: str = "", last: int = 0
) -> list[Json]:
    """Executions in the order of the journal, `since` and before `until` by their execution's time; the `last` of them.

    One that was corrected or taken back is there, marked, beside what replaced it.
    """
    with finding(path) as finder:
        first = 1 if since is None or since < EARLIEST else finder.since(since - CLOCKS)
        rows = [row for row in _booked(finder, first) if _is_wanted(row, since, until, symbol)]
        rows = rows[-last:] if last else rows
        told = _Told(finder)
        return [told.row(fact, sequence) for sequence, fact in rows]


Row = tuple[int, m.FillBooked]


def _booked(finder: Finder, first: int) -> Iterator[Row]:
    for entry in finder.between(first, finder.last, ("FillBooked",)):
        yield entry.record.sequence, cast(m.FillBooked, decode(entry.record))


def _is_wanted(row: Row, since: datetime | None, until: datetime | None, symbol: str) -> bool:
    fact = row[1]
    is_in = (since is None or fact.executed_at >= since) and (until is None or fact.executed_at < until)
    return is_in and symbol in ("", fact.symbol)


class _Told:
    """Looks up what a fill's own fact does not say, each order once."""

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._orders: dict[int, tuple[Order, dict[str, m.CommissionBooked], dict[str, str]]] = {}

    def row(self, fact: m.FillBooked, sequence: int) -> Json:
        order, charges, replaced = self._of(fact.intent) if fact.intent is not None else (None, {}, {})
        charge = charges.get(fact.exec_id)
        price = order.decision_price if order else Decimal(0)
        return {
            "executed_at": iso(fact.executed_at),
            "symbol": fact.symbol,
            "side": fact.side.value,
            "quantity": plain(fact.quantity),
            "price": plain(fact.price),
            "commission": plain(charge.commission) if charge else None,
            "currency": charge.currency if charge else None,
            **slippage(price, fact.price, fact.quantity, fact.side.sign),
            "intent": fact.intent,
            "exec_id": fact.exec_id,
            "replaces": fact.replaces,
            "replaced_by": replaced.get(fact.exec_id),
            "taken_back": plain(fact.taken_back) if fact.taken_back else None,
            "record": sequence,
        }

    def _of(self, intent: int) -> tuple[Order, dict[str, m.CommissionBooked], dict[str, str]]:
        if intent not in self._orders:
            facts = [decode(entry.record) for entry in self._finder.of_intent(intent)]
            order = next(fact.order for fact in facts if isinstance(fact, m.OrderIntended))
            charges = {fact.exec_id: fact for fact in facts if isinstance(fact, m.CommissionBooked)}
            booked = [fact for fact in facts if isinstance(fact, m.FillBooked)]
            self._orders[intent] = order, charges, {fact.replaces: fact.exec_id for fact in booked if fact.replaces}
        return self._orders[intent]
