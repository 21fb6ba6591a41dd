"""The simulated broker's books: exact cash, positions, executions and commissions per account; kept by the exchange.

With a path every entry is one JSON line, flushed as it is made, so that a gateway started again with the same file goes
on where the last one stopped, and anybody can recompute cash and positions from the file alone.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

from longwatch.errors import JournalError

CENT = Decimal("0.01")
ZERO = Decimal(0)

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One fill: `quantity` shares at `price`; `total` and `average` are the order's after it."""

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


@dataclass(slots=True, kw_only=True)
class Holding:
    """A position: shares (negative when short) and what they cost in all, with commissions, signed like the shares."""

    con_id: int
    symbol: str
    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    realised: Decimal = ZERO

    @property
    def average(self) -> Decimal:
        """Average cost of one share, 0 for a closed position."""
        return self.cost / self.quantity if self.quantity else ZERO


@dataclass(slots=True, kw_only=True)
class Account:
    """One account's cash and holdings by contract number; `traded` and `paid` are there to check the cash against."""

    opening: Decimal
    cash: Decimal
    traded: Decimal = ZERO
    paid: Decimal = ZERO
    realised: Decimal = ZERO
    holdings: dict[int, Holding] = field(default_factory=dict)


class Ledger:
    """Books of all accounts. `opening` is each account's first cash; a reloaded file's own opening cash wins."""

    def __init__(self, opening: dict[str, Decimal], path: Path | None = None, *, at: datetime) -> None:
        self.accounts: dict[str, Account] = {}
        self.executions: list[Execution] = []
        self.commissions: dict[str, Commission] = {}
        self.orders: list[Entry] = []
        """Order entries read from the file, in its order, for the exchange to take up again."""
        self._file: TextIO | None = None
        self._unpaid: Execution | None = None
        if path is not None:
            for entry in _read(path):
                self._take(entry)
            self._file = _open(path)
        for account, cash in opening.items():
            if account not in self.accounts:
                self._open_account(account, cash, at)

    def book(self, execution: Execution, commission: Decimal, currency: str) -> Commission:
        """Enter a fill and its commission; raises JournalError when the books don't balance afterwards."""
        realised = self._apply(execution, commission)
        report = Commission(exec_id=execution.exec_id, amount=commission, currency=currency, realised=realised)
        self.commissions[execution.exec_id] = report
        self._write(_execution_entry(execution), _commission_entry(report, execution))
        self.check(execution.account)
        return report

    def correct(self, execution: Execution, price: Decimal, at: datetime) -> Execution:
        """Give a booked fill another price: its successor has the next revision in its id, and its commission."""
        corrected = self._replace(execution, price)
        replaced, made = execution.exec_id, corrected.exec_id
        entry = {"kind": "correction", "at": at.isoformat(), "exec_id": made, "replaces": replaced}
        self._write({**entry, "price": str(price)})
        self.check(execution.account)
        return corrected

    def note(self, kind: str, at: datetime, **facts: Any) -> None:
        """Enter something about an order: created, modified or ended."""
        self._write({"kind": kind, "at": at.isoformat(), **facts})

    def check(self, account: str) -> None:
        """Raise JournalError unless cash and holdings agree with the fills, to the cent."""
        books = self.accounts[account]
        if books.cash != books.opening - books.traded - books.paid:
            raise JournalError(f"The ledger of {account} lost cash: {books.cash} is not what its fills leave.")
        cost = sum((holding.cost for holding in books.holdings.values()), ZERO)
        if abs(books.cash + cost - books.opening - books.realised) >= CENT:
            raise JournalError(f"The ledger of {account} does not balance: cash and cost are not opening and gains.")

    def close(self) -> None:
        """Close the file; books can still be read."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _apply(self, execution: Execution, commission: Decimal) -> Decimal | None:
        books = self.accounts[execution.account]
        holding = books.holdings.setdefault(execution.con_id, Holding(con_id=execution.con_id, symbol=execution.symbol))
        value = execution.signed * execution.price
        books.cash -= value + commission
        books.traded += value
        books.paid += commission
        self.executions.append(execution)
        realised = _move(holding, execution, commission)
        books.realised += realised or ZERO
        return realised

    def _replace(self, execution: Execution, price: Decimal) -> Execution:
        """The difference in price changes cash, and the cost of what is held or else the gain made."""
        corrected = replace(execution, exec_id=_revised(execution.exec_id), price=price)
        self.executions[self.executions.index(execution)] = corrected
        self.commissions[corrected.exec_id] = replace(
            self.commissions[execution.exec_id], exec_id=corrected.exec_id
        )
        books = self.accounts[execution.account]
        holding, change = books.holdings[execution.con_id], execution.signed * (price - execution.price)
        books.cash -= change
        books.traded += change
        if holding.quantity:
            holding.cost += change
        else:
            holding.realised -= change
            books.realised -= change
        return corrected

    def _open_account(self, account: str, cash: Decimal, at: datetime) -> None:
        self.accounts[account] = Account(opening=cash, cash=cash)
        self._write({"kind": "opening", "at": at.isoformat(), "account": account, "cash": str(cash)})

    def _write(self, *entries: Entry) -> None:
        if self._file is not None:
            self._file.write("".join(json.dumps(entry, separators=(",", ":")) + "\n" for entry in entries))
            self._file.flush()

    def _take(self, entry: Entry) -> None:
        match entry["kind"]:
            case "opening":
                cash = Decimal(entry["cash"])
                self.accounts[entry["account"]] = Account(opening=cash, cash=cash)
            case "execution":
                self._unpaid = _execution_of(entry)
            case "commission" if self._unpaid is not None:
                report = _commission_of(entry)
                self._apply(self._unpaid, report.amount)
                self.commissions[report.exec_id] = report
            case "correction":
                former = next(one for one in reversed(self.executions) if one.exec_id == entry["replaces"])
                self._replace(former, Decimal(entry["price"]))
            case _:
                self.orders.append(entry)


def newest_entry_at(path: Path) -> datetime | None:
    """The market time of a ledger file's last entry, where a restarted gateway's clock goes on; None without one."""
    entries = _read(path)
    return datetime.fromisoformat(entries[-1]["at"]) if entries else None


def _move(holding: Holding, execution: Execution, commission: Decimal) -> Decimal | None:
    """Change a holding by a fill; returns the gain when it closed something, else None.

    The cost of what is closed leaves in proportion; a fill through zero closes all and opens the rest at its own price,
    the commission shared by quantity.
    """
    quantity, before = execution.signed, holding.quantity
    if before == 0 or (before > 0) == (quantity > 0):
        holding.quantity += quantity
        holding.cost += quantity * execution.price + commission
        return None
    closed = -before if abs(quantity) > abs(before) else quantity
    released = -holding.cost if closed == -before else holding.cost * closed / before
    closing_commission = commission * abs(closed) / abs(quantity)
    realised = -closed * execution.price + released - closing_commission
    opened = quantity - closed
    holding.quantity += quantity
    holding.cost += released + opened * execution.price + (commission - closing_commission if opened else ZERO)
    holding.realised += realised
    return realised


def _revised(exec_id: str) -> str:
    stem, _, revision = exec_id.rpartition(".")
    return f"{stem}.{int(revision) + 1:02d}"


def _execution_entry(execution: Execution) -> Entry:
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
    }


def _execution_of(entry: Entry) -> Execution:
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
    )


def _commission_entry(report: Commission, execution: Execution) -> Entry:
    return {
        "kind": "commission",
        "at": execution.at.isoformat(),
        "exec_id": report.exec_id,
        "account": execution.account,
        "amount": str(report.amount),
        "currency": report.currency,
        "realised": None if report.realised is None else str(report.realised),
    }


def _commission_of(entry: Entry) -> Commission:
    realised = entry["realised"]
    return Commission(
        exec_id=entry["exec_id"],
        amount=Decimal(entry["amount"]),
        currency=entry["currency"],
        realised=None if realised is None else Decimal(realised),
    )


def _open(path: Path) -> TextIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a", encoding="utf-8")
    except OSError as error:
        raise JournalError(f"The gateway's ledger {path} can't be opened ({error}); name a writable file.") from error


def _read(path: Path) -> list[Entry]:
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
