"""Reads a gateway's ledger file and nothing else: cash and positions, recomputed from its lines. Imports no Longwatch.

The file has one JSON object a line. `opening` sets an account's first cash; an `execution` moves `quantity` shares of
`symbol` (`BOT` in, `SLD` out) at `price`; a `commission` of `amount` belongs to an execution by `exec_id`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any


@dataclass
class Books:
    """What one account holds after every line of the file."""

    cash: Decimal = Decimal(0)
    positions: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    bought: set[str] = field(default_factory=set)
    sold: set[str] = field(default_factory=set)
    executions: list[str] = field(default_factory=list)
    unpaid: set[str] = field(default_factory=set)


def read(path: Path) -> dict[str, Books]:
    """Every account's books."""
    accounts: dict[str, Books] = defaultdict(Books)
    for line in path.read_text().splitlines():
        entry: dict[str, Any] = json.loads(line)
        books = accounts[entry["account"]] if "account" in entry else Books()
        match entry["kind"]:
            case "opening":
                books.cash += Decimal(entry["cash"])
            case "execution":
                is_purchase = entry["side"] == "BOT"
                shares = Decimal(entry["quantity"]) * (1 if is_purchase else -1)
                books.cash -= shares * Decimal(entry["price"])
                books.positions[entry["symbol"]] += shares
                (books.bought if is_purchase else books.sold).add(entry["symbol"])
                books.executions.append(entry["exec_id"])
                books.unpaid.add(entry["exec_id"])
            case "commission":
                books.cash -= Decimal(entry["amount"])
                books.unpaid.discard(entry["exec_id"])
    return dict(accounts)


def differences(summary: dict[str, Any], path: Path, account: str) -> list[str]:
    """Where a demo's summary and the ledger file disagree; empty when they agree to the last digit."""
    books = read(path)[account]
    held = {symbol: str(quantity) for symbol, quantity in sorted(books.positions.items()) if quantity}
    found = []
    if summary["positions"] != held:
        found.append(f"positions: the daemon says {summary['positions']}, the ledger {held}")
    if Decimal(summary["cash"]) != books.cash:
        found.append(f"cash: the daemon says {summary['cash']}, the ledger {books.cash}")
    if summary["fills"] != len(books.executions):
        found.append(f"fills: the daemon says {summary['fills']}, the ledger {len(books.executions)}")
    return found
