"""The ledger's file: executions and commissions as JSON lines, and what a crash left at its end; used by the ledger."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from io import FileIO
from pathlib import Path
from typing import Any

from longwatch.errors import JournalError
from longwatch.quick import quick

Entry = dict[str, Any]

FIRST = b'{"kind":"opening",'
"""How the first line of every ledger begins."""
TOGETHER = "together"
"""In the first of several entries that were written at once: how many they are."""


@quick
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


class EntryFile:
    """A ledger's file, held by one gateway alone and written at its end.

    Raises JournalError when it can't be opened or read, is another gateway's, or is no ledger; a file that is no ledger
    is left as it is.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _opened(path)
        try:
            self.entries, length = _whole(path)
            if length < path.stat().st_size:
                os.truncate(path, length)
        except (OSError, JournalError) as error:
            self._file.close()
            raise error if isinstance(error, JournalError) else _unusable(path, error) from error

    def write(self, entries: Sequence[Entry]) -> None:
        """Write entries that belong together at once: a crash leaves all of them or none. Raises JournalError."""
        if len(entries) > 1:
            entries = [{**entries[0], TOGETHER: len(entries)}, *entries[1:]]
        lines = "".join(json.dumps(entry, separators=(",", ":")) + "\n" for entry in entries).encode()
        try:
            written = self._file.write(lines)
        except OSError as error:
            raise _unusable(self._path, error) from error
        if written != len(lines):
            raise _unusable(self._path, "no space left")

    def close(self) -> None:
        self._file.close()


@contextmanager
def taking_up(what: str) -> Iterator[None]:
    """Turn what an entry of a file raises that can't have been written so into one sentence, a JournalError."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, StopIteration) as error:
        raise JournalError(f"{what} can't be taken up ({error!r}); restore the file.") from error


def read(path: Path) -> list[Entry]:
    """The entries of a ledger file, which is left as it is, without what a crash left at its end.

    That is half a line, or lines that belong together and are not all there. Raises JournalError when it is no ledger.
    """
    try:
        return _whole(path)[0] if path.exists() else []
    except OSError as error:
        raise _unusable(path, error) from error


def _opened(path: Path) -> FileIO:
    if path.exists() and not path.is_file():
        raise _unusable(path, "it is no file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab", buffering=0)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise JournalError(
            f"The gateway's ledger {path} is in use by another gateway; stop that one, or name another file."
        ) from error
    return file


def _whole(path: Path) -> tuple[list[Entry], int]:
    """The entries of a file that are all there, and how many bytes they are."""
    if not path.is_file():
        raise _unusable(path, "it is no file")
    lines = path.read_bytes().splitlines(keepends=True)
    torn = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
    begins = lines[0] if lines else torn
    if not (begins.startswith(FIRST) or FIRST.startswith(begins)):
        raise JournalError(f"{path} is no ledger of a gateway; name another file, this one is left as it is.")
    entries = [_entry_of(line, number, path) for number, line in enumerate(lines, 1)]
    kept = _complete(entries)
    return entries[:kept], sum(len(line) for line in lines[:kept])


def _complete(entries: Sequence[Entry]) -> int:
    """How many entries are whole: the last ones may belong together and not be all there."""
    place = 0
    while place < len(entries):
        together = entries[place].get(TOGETHER, 2 if entries[place]["kind"] == "execution" else 1)
        if place + together > len(entries):
            break
        place += together
    return place


def _entry_of(line: bytes, number: int, path: Path) -> Entry:
    try:
        entry: Entry = json.loads(line)
        is_entry = isinstance(entry["kind"], str) and datetime.fromisoformat(entry["at"]).tzinfo is not None
        is_entry = is_entry and type(entry.get(TOGETHER, 1)) is int and entry.get(TOGETHER, 1) > 0
    except (ValueError, LookupError, TypeError):
        is_entry = False
    if not is_entry:
        raise JournalError(f"Line {number} of the gateway's ledger {path} can't be read; restore the file.")
    return entry


def _unusable(path: Path, why: object) -> JournalError:
    return JournalError(f"The gateway's ledger {path} can't be used ({why}); name a writable file on a disk with room.")
