"""Reads a gateway's ledger from the file alone, without the code that wrote it, to compare the daemon with."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

OURS = "lw:"


@dataclass(slots=True)
class Books:
    """One account: cash, shares by symbol, orders by permanent id, and executions by id with what each cost."""

    opening: Decimal = Decimal(0)
    cash: Decimal = Decimal(0)
    shares: dict[str, Decimal] = field(default_factory=dict)
    orders: dict[int, dict[str, Any]] = field(default_factory=dict)
    executions: dict[str, dict[str, Any]] = field(default_factory=dict)
    commissions: dict[str, Decimal] = field(default_factory=dict)

    @property
    def held(self) -> dict[str, Decimal]:
        """Positions that are not nothing."""
        return {symbol: shares for symbol, shares in self.shares.items() if shares}

    @property
    def refs(self) -> list[str]:
        """The reference of every order of ours, as often as it was taken."""
        found = (str(order["order_ref"]) for order in self.orders.values())
        return [ref for ref in found if ref.startswith(OURS)]


def read_books(path: Path, account: str) -> Books:
    """The books of one account; a last line that is still being written is left out."""
    books = Books()
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n"):
            _enter(books, json.loads(line), account)
    return books


def _enter(books: Books, entry: dict[str, Any], account: str) -> None:
    mine = entry.get("account") == account
    match entry["kind"]:
        case "opening" if mine:
            books.opening = books.cash = Decimal(entry["cash"])
        case "order" if mine:
            books.orders[entry["perm_id"]] = entry
        case "execution" if mine:
            signed = Decimal(entry["quantity"]) * (1 if entry["side"] == "BOT" else -1)
            books.executions[entry["exec_id"]] = entry
            books.shares[entry["symbol"]] = books.shares.get(entry["symbol"], Decimal(0)) + signed
            books.cash -= signed * Decimal(entry["price"])
        case "commission" if mine:
            books.commissions[entry["exec_id"]] = Decimal(entry["amount"])
            books.cash -= Decimal(entry["amount"])
        case "ended" if entry["perm_id"] in books.orders:
            books.orders[entry["perm_id"]]["ended"] = entry["status"]
        case _:
            pass
