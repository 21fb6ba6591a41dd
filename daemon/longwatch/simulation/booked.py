"""Orders and fills as the gateway's ledger file has them, those included that were taken back; read for evidence."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

ZERO = Decimal(0)
PROTECTIVE = frozenset({"STP", "STP LMT", "TRAIL"})
"""Order types of what rests to close a position; a simulated run enters by no such order."""


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
    """One order in the gateway's books; `quantity` unsigned, `sizes` what it was changed to since, and when."""

    ref: str
    perm_id: int
    order_id: int
    con_id: int
    symbol: str
    is_buy: bool
    quantity: Decimal
    at: datetime
    order_type: str = ""
    oca_group: str = ""
    parent: BookedOrder | None = None
    sizes: list[tuple[datetime, Decimal]] = field(default_factory=list)
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
        return self.size(at) - sum(filled, ZERO)

    def waits(self, at: datetime) -> bool:
        """Whether it is kept from the market then: its parent may still fill."""
        return self.parent is not None and self.parent.is_live(at)

    def may_trade(self, at: datetime) -> Decimal:
        """What could still fill then beyond what its parent has to fill before."""
        behind = self.parent.remaining(at) if self.parent is not None and self.parent.is_live(at) else ZERO
        return max(self.remaining(at) - behind, ZERO)

    def size(self, at: datetime) -> Decimal:
        """What it was for then: its group, and who placed it, may have changed that."""
        return next((size for since, size in reversed(self.sizes) if since <= at), self.quantity)

    @property
    def protects(self) -> bool:
        """Whether it is a stop."""
        return self.order_type in PROTECTIVE


def at_most(amounts: Iterable[tuple[str, Decimal]]) -> Decimal:
    """What orders may still fill, as (OCA group, shares): a fill of one is taken from the others of its group."""
    largest: dict[tuple[str, int], Decimal] = {}
    for place, (group, shares) in enumerate(amounts):
        key = (group, 0 if group else place)
        largest[key] = max(largest.get(key, ZERO), shares)
    return sum(largest.values(), ZERO)


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
                orders[entry["perm_id"]] = replace(_order(entry), parent=orders.get(entry["parent_perm_id"]))
            case "modified":
                orders[entry["perm_id"]].sizes.append((moment(entry["at"]), Decimal(entry["quantity"])))
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
        order_type=entry["order_type"],
        oca_group=entry["oca_group"],
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
