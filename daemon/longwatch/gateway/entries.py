"""The ledger's file: executions and commissions as JSON lines, and what a crash left at its end; used by the ledger."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

from longwatch.errors import JournalError

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One fill: `quantity` shares at `price`; `total` and `average` are the order's after it.

    `is_liquidation`: the broker traded, not the account's owner.
    """

    exec_id: str
    perm_id: int
    order_id: int
    client_id: int
    account: str
    con_id: int
    symbol: str
    is_buy: bool
    quantity: Decimal
    price: Decimal
    total: Decimal
    average: Decimal
    at: datetime
    order_ref: str = ""
    is_liquidation: bool = False

    @property
    def signed(self) -> Decimal:
        """Shares gained; negative when sold."""
        return self.quantity if self.is_buy else -self.quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Commission:
    """What one execution cost, and what it earned when it closed something (`realised`, net of both commissions)."""

    exec_id: str
    amount: Decimal
    currency: str
    realised: Decimal | None


def execution_entry(execution: Execution) -> Entry:
    """A fill's line."""
    return {
        "kind": "execution",
        "at": execution.at.isoformat(),
        "exec_id": execution.exec_id,
        "perm_id": execution.perm_id,
        "order_id": execution.order_id,
        "client_id": execution.client_id,
        "account": execution.account,
        "con_id": execution.con_id,
        "symbol": execution.symbol,
        "side": "BOT" if execution.is_buy else "SLD",
        "quantity": str(execution.quantity),
        "price": str(execution.price),
        "total": str(execution.total),
        "average": str(execution.average),
        "order_ref": execution.order_ref,
        **({"liquidation": True} if execution.is_liquidation else {}),
    }


def execution_of(entry: Entry) -> Execution:
    """The fill of a line."""
    return Execution(
        exec_id=entry["exec_id"],
        perm_id=entry["perm_id"],
        order_id=entry["order_id"],
        client_id=entry["client_id"],
        account=entry["account"],
        con_id=entry["con_id"],
        symbol=entry["symbol"],
        is_buy=entry["side"] == "BOT",
        quantity=Decimal(entry["quantity"]),
        price=Decimal(entry["price"]),
        total=Decimal(entry["total"]),
        average=Decimal(entry["average"]),
        at=datetime.fromisoformat(entry["at"]),
        order_ref=entry["order_ref"],
        is_liquidation=entry.get("liquidation", False),
    )


def commission_entry(report: Commission, execution: Execution) -> Entry:
    """A commission's line."""
    return {
        "kind": "commission",
        "at": execution.at.isoformat(),
        "exec_id": report.exec_id,
        "account": execution.account,
        "amount": str(report.amount),
        "currency": report.currency,
        "realised": None if report.realised is None else str(report.realised),
    }


def commission_of(entry: Entry) -> Commission:
    """The commission of a line."""
    realised = entry["realised"]
    return Commission(
        exec_id=entry["exec_id"],
        amount=Decimal(entry["amount"]),
        currency=entry["currency"],
        realised=None if realised is None else Decimal(realised),
    )


def opened(path: Path) -> TextIO:
    """The file, to write at its end. Raises JournalError when it can't be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a", encoding="utf-8")
    except OSError as error:
        raise JournalError(f"The gateway's ledger {path} can't be opened ({error}); name a writable file.") from error


def read(path: Path) -> list[Entry]:
    """The entries of a ledger file. What a crash left at its end, half a line or half a fill, is cut off."""
    if not path.exists():
        return []
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    if lines and not lines[-1].endswith(b"\n"):
        lines.pop()
    entries = [_entry_of(line, number, path) for number, line in enumerate(lines, 1)]
    if entries and entries[-1]["kind"] == "execution":
        entries.pop()
        lines.pop()
    length = sum(len(line) for line in lines)
    if length < len(whole):
        os.truncate(path, length)
    return entries


def _entry_of(line: bytes, number: int, path: Path) -> Entry:
    try:
        entry: Entry = json.loads(line)
    except ValueError as error:
        raise JournalError(f"Line {number} of the gateway's ledger {path} can't be read; restore the file.") from error
    return entry
