"""Orders and fills as the gateway's ledger file has them, those included that were taken back; read for evidence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution in the gateway's books; `quantity` signed.

    `exec_id` and `price` are the last ones after corrections, of which the newest was made at `told_at`. One that was
    taken back was so at `busted_at`.
    """

    exec_id: str
    ref: str
    account: str
    con_id: int
    quantity: Decimal
    price: Decimal
    fee: Decimal
    at: datetime
    told_at: datetime
    busted_at: datetime | None = None

    def is_gone(self, at: datetime) -> bool:
        """Whether it had been taken back by an instant."""
        return self.busted_at is not None and self.busted_at <= at


@dataclass(slots=True, kw_only=True)
class BookedOrder:
    """One order in the gateway's books; `quantity` unsigned."""

    ref: str
    perm_id: int
    order_id: int
    con_id: int
    symbol: str
    is_buy: bool
    quantity: Decimal
    at: datetime
    ended_at: datetime | None = None
    status: str = ""
    fills: list[Fill] = field(default_factory=list)
    busted: list[Fill] = field(default_factory=list)

    def is_live(self, at: datetime) -> bool:
        """Whether it could still fill at an instant."""
        return self.at <= at and (self.ended_at is None or self.ended_at > at)

    def remaining(self, at: datetime) -> Decimal:
        """What could still fill then; what was taken back is not filled again."""
        filled = (abs(fill.quantity) for fill in (*self.fills, *self.busted) if fill.at <= at)
        return self.quantity - sum(filled, ZERO)


def moment(text: str) -> datetime:
    """A time as the journal and the ledger write it."""
    return datetime.fromisoformat(text)


def books(ledger: Path) -> tuple[tuple[BookedOrder, ...], tuple[Fill, ...], tuple[Fill, ...]]:
    """Orders, fills, and fills that were taken back."""
    orders: dict[int, BookedOrder] = {}
    raw: list[dict[str, Any]] = []
    corrections: dict[str, dict[str, Any]] = {}
    fees: dict[str, Decimal] = {}
    busted: dict[str, datetime] = {}
    for line in ledger.read_text().splitlines():
        entry = json.loads(line)
        match entry["kind"]:
            case "order":
                orders[entry["perm_id"]] = _order(entry)
            case "ended":
                order = orders[entry["perm_id"]]
                order.ended_at, order.status = moment(entry["at"]), entry["status"]
            case "execution":
                raw.append(entry)
            case "commission":
                fees[entry["exec_id"]] = Decimal(entry["amount"])
            case "correction":
                corrections[entry["exec_id"].rpartition(".")[0]] = entry
            case "bust":
                busted[entry["exec_id"].rpartition(".")[0]] = moment(entry["at"])
            case _:
                continue
    fills = []
    for entry in raw:
        fill = _fill(entry, corrections, fees[entry["exec_id"]])
        fill = replace(fill, busted_at=busted.get(entry["exec_id"].rpartition(".")[0]))
        order = orders[entry["perm_id"]]
        (order.fills if fill.busted_at is None else order.busted).append(fill)
        fills.append(fill)
    there = tuple(fill for fill in fills if fill.busted_at is None)
    return tuple(orders.values()), there, tuple(fill for fill in fills if fill.busted_at is not None)


def _order(entry: Mapping[str, Any]) -> BookedOrder:
    return BookedOrder(
        ref=entry["order_ref"],
        perm_id=entry["perm_id"],
        order_id=entry["order_id"],
        con_id=entry["con_id"],
        symbol=entry["symbol"],
        is_buy=entry["action"] == "BUY",
        quantity=Decimal(entry["quantity"]),
        at=moment(entry["at"]),
    )


def _fill(entry: Mapping[str, Any], corrections: Mapping[str, Mapping[str, Any]], fee: Decimal) -> Fill:
    sign = 1 if entry["side"] == "BOT" else -1
    newest = corrections.get(entry["exec_id"].rpartition(".")[0], entry)
    return Fill(
        exec_id=newest["exec_id"],
        ref=entry["order_ref"],
        account=entry["account"],
        con_id=entry["con_id"],
        quantity=sign * Decimal(entry["quantity"]),
        price=Decimal(newest["price"]),
        fee=fee,
        at=moment(entry["at"]),
        told_at=moment(newest["at"]),
    )
