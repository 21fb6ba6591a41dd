"""The simulated broker's books: exact cash, positions, executions and commissions per account; kept by the exchange.

With a path every entry is one JSON line, written as it is made, so that a gateway started again with the same file goes
on where the last one stopped, and anybody can recompute cash and positions from the file alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from longwatch.errors import JournalError
from longwatch.gateway.exchange.books import ZERO, Account, Due, Holding, Ratio, Step, split_of
from longwatch.gateway.exchange.entries import (
    Commission,
    Entry,
    EntryFile,
    Execution,
    commission_entry,
    commission_of,
    execution_entry,
    execution_of,
    read,
    taking_up,
)

__all__ = ["ZERO", "Account", "Commission", "Entry", "Execution", "Holding", "Ledger", "newest_entry_at", "ratio_of"]


class Ledger:
    """Books of all accounts. `opening` is each account's first cash; a reloaded file's own opening cash wins.

    `zone` is the broker's: an account's days begin at midnight there. Whatever is entered is checked: JournalError says
    by how much the books are out, or why the file can't be written, and nothing can be entered any more.
    """

    def __init__(
        self, opening: dict[str, Decimal], path: Path | None = None, *, at: datetime, zone: str = "US/Eastern"
    ) -> None:
        self.accounts: dict[str, Account] = {}
        self.executions: list[Execution] = []
        self.commissions: dict[str, Commission] = {}
        self._busted: list[tuple[Execution, Decimal]] = []
        self.orders: list[Entry] = []
        """Order entries read from the file, in its order, for the exchange to take up again."""
        self.acted: Counter[tuple[str, str, int, str]] = Counter()
        """The file's splits and accruals, by kind, account, contract number and the session before which they were."""
        self.fault = ""
        """How the books are out, or why nothing can be written; empty while all is right."""
        self._zone = ZoneInfo(zone)
        self._file: EntryFile | None = None
        self._together: list[Entry] | None = None
        self._unpaid: Execution | None = None
        if path is not None:
            self._file = EntryFile(path)
            self._take_up(self._file.entries, path)
        for account, cash in opening.items():
            if account not in self.accounts:
                self._enter({"kind": "opening", "at": at.isoformat(), "account": account, "cash": str(cash)})

    # -- fills ---------------------------------------------------------------------------------------------------

    def book(self, execution: Execution, commission: Decimal, currency: str) -> Commission:
        """Enter a fill and its commission; raises JournalError when the books don't balance afterwards."""
        realised = self._fill(execution, commission)
        report = Commission(exec_id=execution.exec_id, amount=commission, currency=currency, realised=realised)
        self.commissions[execution.exec_id] = report
        self._write(execution_entry(execution), commission_entry(report, execution))
        self.check(execution.account)
        return report

    def correct(self, execution: Execution, price: Decimal, at: datetime) -> Execution:
        """Give a booked fill another price: its successor has the next revision in its id, and its commission."""
        corrected = self._correct(execution, price, at)
        entry = {"kind": "correction", "at": at.isoformat(), "exec_id": corrected.exec_id}
        self._write({**entry, "account": execution.account, "replaces": execution.exec_id, "price": str(price)})
        self.check(execution.account)
        return corrected

    def bust(self, execution: Execution, at: datetime) -> Execution:
        """Take a fill back with its commission, as if it had never been; returns its revision, of no shares."""
        self._enter({"kind": "bust", "at": at.isoformat(), "account": execution.account, "exec_id": execution.exec_id})
        return replace(execution, exec_id=_revised(execution.exec_id), quantity=ZERO, at=at)

    def revision_of(self, execution: Execution) -> Execution | None:
        """What a fill is after its corrections; None when it has been taken back."""
        stem = execution.exec_id.rpartition(".")[0]
        return next((one for one in reversed(self.executions) if one.exec_id.rpartition(".")[0] == stem), None)

    def fills(self) -> list[tuple[Execution, Decimal]]:
        """Every fill there has been and its commission, by number, with those that were taken back."""
        booked = [(one, self.commissions[one.exec_id].amount) for one in self.executions]
        return sorted([*booked, *self._busted], key=lambda fill: fill[0].exec_id)

    def busted(self) -> list[Execution]:
        """Fills that were taken back, as they were."""
        return [execution for execution, _ in self._busted]

    # -- events --------------------------------------------------------------------------------------------------

    def transfer(self, account: str, con_id: int, symbol: str, quantity: Decimal, cost: Decimal, at: datetime) -> None:
        """Shares come (or go, when negative) without cash; `cost` is what one cost where it came from."""
        self._shares("transfer", account, con_id, symbol, at, quantity=str(quantity), price=str(cost))

    def assign(self, account: str, con_id: int, symbol: str, quantity: Decimal, strike: Decimal, at: datetime) -> None:
        """Shares come (or go) at a strike, and cash goes (or comes), without order or commission."""
        self._shares("assignment", account, con_id, symbol, at, quantity=str(quantity), price=str(strike))

    def split(
        self, account: str, con_id: int, symbol: str, ratio: str, price: Decimal, at: datetime, session: date
    ) -> None:
        """`ratio` is new shares for old ones, as `2/1`; a fraction of a share is paid at `price`, the new one's."""
        facts = {"ratio": ratio, "price": str(price), "session": session.isoformat()}
        self._shares("split", account, con_id, symbol, at, **facts)

    def move_cash(self, account: str, amount: Decimal, at: datetime) -> None:
        """Cash comes in (or goes out, when negative)."""
        self._enter({"kind": "cash", "at": at.isoformat(), "account": account, "amount": str(amount)})

    def accrue(self, account: str, con_id: int, symbol: str, amount: Decimal, at: datetime, session: date) -> None:
        """A dividend is due: `amount` belongs to the account (or is owed, when negative) and is no cash yet."""
        self._shares("accrual", account, con_id, symbol, at, amount=str(amount), session=session.isoformat())

    def pay(self, account: str, con_id: int, symbol: str, amount: Decimal, at: datetime) -> None:
        """The oldest dividend of this contract and amount becomes cash."""
        self._shares("dividend", account, con_id, symbol, at, amount=str(amount))

    def note(self, kind: str, at: datetime, **facts: Any) -> None:
        """Enter something about an order: created, modified or ended."""
        self._write({"kind": kind, "at": at.isoformat(), **facts})

    @contextmanager
    def together(self) -> Iterator[None]:
        """Write what is entered in here at once, at the end: a crash leaves all of it or nothing."""
        if self._together is not None:
            yield
            return
        self._together = []
        try:
            yield
        finally:
            entries, self._together = self._together, None
            self._write(*entries)

    # -- books ---------------------------------------------------------------------------------------------------

    def check(self, account: str) -> None:
        """Raise JournalError unless cash, positions and cost are what all entries come to, to the cent."""
        imbalance = self.accounts[account].imbalance()
        if imbalance:
            self.fault = f"The ledger of {account} does not balance: {imbalance}; no more is booked, mend the gateway."
        if self.fault:
            raise JournalError(self.fault)

    def day_of(self, at: datetime) -> date:
        """The broker's date at an instant."""
        return at.astimezone(self._zone).date()

    def close(self) -> None:
        """Close the file; books can still be read."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _shares(self, kind: str, account: str, con_id: int, symbol: str, at: datetime, **facts: str) -> None:
        entry = {"kind": kind, "at": at.isoformat(), "account": account, "con_id": con_id, "symbol": symbol}
        self._enter({**entry, **facts})

    def _enter(self, entry: Entry) -> None:
        self._take(entry)
        self._write(entry)
        self.check(entry["account"])

    def _fill(self, execution: Execution, commission: Decimal) -> Decimal | None:
        self.executions.append(execution)
        books, step = self.accounts[execution.account], _step(execution, commission)
        return books.enter(execution.con_id, execution.symbol, step, self.day_of(execution.at))

    def _correct(self, execution: Execution, price: Decimal, at: datetime) -> Execution:
        """The difference in price changes cash, and the cost of what is held or else the gain made."""
        corrected = replace(execution, exec_id=_revised(execution.exec_id), price=price)
        self.executions[self.executions.index(execution)] = corrected
        former = self.commissions[execution.exec_id]
        self.commissions[corrected.exec_id] = replace(former, exec_id=corrected.exec_id)
        steps = _step(execution, former.amount), _step(corrected, former.amount)
        self.accounts[execution.account].retract(execution.con_id, *steps, self.day_of(at))
        return corrected

    def _bust(self, exec_id: str, at: datetime) -> None:
        execution = next(one for one in reversed(self.executions) if one.exec_id == exec_id)
        self.executions.remove(execution)
        commission = self.commissions.pop(exec_id).amount
        self._busted.append((execution, commission))
        step = _step(execution, commission)
        self.accounts[execution.account].retract(execution.con_id, step, None, self.day_of(at))

    def _write(self, *entries: Entry) -> None:
        """Raises JournalError when the file can't be written; nothing is entered any more then."""
        if self.fault:
            raise JournalError(self.fault)
        if self._together is not None:
            self._together.extend(entries)
        elif self._file is not None and entries:
            try:
                self._file.write(entries)
            except JournalError as error:
                self.fault = str(error)
                raise

    def _take_up(self, entries: Sequence[Entry], path: Path) -> None:
        """Let all entries of a file be so. Raises JournalError for one that can't be, and for books out of balance."""
        try:
            for number, entry in enumerate(entries, 1):
                with taking_up(f"Line {number} of the gateway's ledger {path}"):
                    self._take(entry)
                    if entry["kind"] in {"split", "accrual"}:
                        day = self.day_of(datetime.fromisoformat(entry["at"])).isoformat()
                        self.acted[entry["kind"], entry["account"], entry["con_id"], entry.get("session", day)] += 1
            with taking_up(f"An amount of the gateway's ledger {path}"):
                for account in self.accounts:
                    self.check(account)
        except JournalError:
            self.close()
            raise

    def _take(self, entry: Entry) -> None:
        """Let an entry be so: one made now, or one of the file."""
        match entry["kind"]:
            case "opening":
                cash = Decimal(entry["cash"])
                self.accounts[entry["account"]] = Account(opening=cash, cash=cash)
            case "execution":
                self._unpaid = execution_of(entry)
            case "commission" if self._unpaid is not None:
                report = commission_of(entry)
                self._fill(self._unpaid, report.amount)
                self.commissions[report.exec_id] = report
            case "correction":
                former = next(one for one in reversed(self.executions) if one.exec_id == entry["replaces"])
                self._correct(former, Decimal(entry["price"]), datetime.fromisoformat(entry["at"]))
            case "bust":
                self._bust(entry["exec_id"], datetime.fromisoformat(entry["at"]))
            case "transfer" | "assignment" | "split" | "cash" | "accrual" | "dividend":
                self._event(entry)
            case _:
                self.orders.append(entry)

    def _event(self, entry: Entry) -> None:
        books, day = self.accounts[entry["account"]], self.day_of(datetime.fromisoformat(entry["at"]))
        amount = Decimal(entry.get("amount", 0))
        quantity, price = Decimal(entry.get("quantity", 0)), Decimal(entry.get("price", 0))
        match entry["kind"]:
            case "cash":
                books.move_cash(amount, day)
            case "accrual":
                books.dues.append(Due(entry["con_id"], entry["symbol"], amount, datetime.fromisoformat(entry["at"])))
            case "dividend":
                paid = (entry["con_id"], amount)
                books.dues.remove(next(due for due in books.dues if (due.con_id, due.amount) == paid))
                books.move_cash(amount, day)
            case "split":
                held = books.holdings[entry["con_id"]].quantity
                step = split_of(held, ratio_of(entry["ratio"]), price)
                books.enter(entry["con_id"], entry["symbol"], step, day)
            case kind:
                step = Step(quantity=quantity, price=price, is_free=kind == "transfer")
                books.enter(entry["con_id"], entry["symbol"], step, day)


def ratio_of(text: str) -> Ratio:
    """New shares and old ones, from `2/1`."""
    new, _, old = text.partition("/")
    return int(new), int(old or 1)


def newest_entry_at(path: Path) -> datetime | None:
    """The market time of a ledger file's last entry, where a restarted gateway's clock goes on; None without one."""
    entries = read(path)
    return datetime.fromisoformat(entries[-1]["at"]) if entries else None


def _step(execution: Execution, commission: Decimal) -> Step:
    return Step(quantity=execution.signed, price=execution.price, fee=commission, exec_id=execution.exec_id)


def _revised(exec_id: str) -> str:
    stem, _, revision = exec_id.rpartition(".")
    return f"{stem}.{int(revision) + 1:02d}"
