"""The journal's SQLite file: lock, identity, transactions, reading; used by the journals of sqlite.py and the CLI."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from longwatch.errors import JournalError
from longwatch.journal.records import Record

LAYOUT = "1"
APPLICATION_ID = 0x4C574A31
"""The number in the SQLite header that marks the file as a journal of ours ("LWJ1")."""

_TABLES = (
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE record(sequence INTEGER PRIMARY KEY, cause INTEGER, kind TEXT, schema INTEGER, payload BLOB)",
)
_INSERT = "INSERT INTO record(sequence, cause, kind, schema, payload) VALUES (?, ?, ?, ?, ?)"
_SELECT = "SELECT sequence, cause, kind, schema, payload FROM record WHERE sequence >= ? ORDER BY sequence"
# The lock keeps other daemons out, so a busy database is a stray program: it is given this long to finish.
_BUSY_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whose journal it is: random id, the broker's account, and the mode it trades in."""

    journal_id: str
    account: str
    mode: str


Synchronous = Literal["FULL", "OFF"]


class Store:
    """One open journal file with its lock; every call is made by one thread at a time."""

    def __init__(self, path: Path, lock: int, synchronous: Synchronous) -> None:
        self.path = path
        self.last_sequence = 0
        self._lock = lock
        self._synchronous = synchronous
        self._connection: sqlite3.Connection | None = None

    def write(self, batches: Sequence[Sequence[Record]]) -> None:
        """Make all records durable in one transaction; JournalError, and none of them counted, when that fails."""
        rows = [(r.sequence, r.cause, r.kind, r.schema, r.payload) for batch in batches for r in batch]
        if not rows:
            return
        with _told(self.path, "written"):
            connection = self._connected()
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(_INSERT, rows)
                connection.execute("COMMIT")
            except sqlite3.Error:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
        self.last_sequence = rows[-1][0]

    def reopen(self) -> int:
        """Connect anew and answer the last durable sequence."""
        self._disconnect()
        with _told(self.path, "opened"):
            self._connection = _connect(self.path, self._synchronous)
            self.last_sequence = _last_sequence(self._connection)
        return self.last_sequence

    def checkpoint(self) -> None:
        """Move the write-ahead log into the file as far as nobody reads it."""
        with _told(self.path, "written"):
            self._connected().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def close(self) -> None:
        """Close the file and give up the lock; harmless when repeated."""
        try:
            self._disconnect()
        finally:
            lock, self._lock = self._lock, -1
            if lock >= 0:
                os.close(lock)

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            raise sqlite3.OperationalError("the journal is closed")
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with _told(self.path, "closed"):
                connection.close()


def open_store(
    path: Path, *, account: str, mode: str, fresh_id: str, synchronous: Synchronous = "FULL"
) -> tuple[Store, Identity]:
    """Lock and open the journal at `path`; when there is none, make one with the id `fresh_id` for account and mode.

    Raises JournalError when another process holds it, when it belongs to another account or mode, or can't be read.
    """
    with _told(path, "opened"):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = _lock(path)
    store = Store(path, lock, synchronous)
    try:
        if not path.exists():
            _create(path, Identity(journal_id=fresh_id, account=account, mode=mode))
        identity = read_identity(path)
        _must_be_ours(path, identity, account, mode)
        store.reopen()
    except JournalError:
        store.close()
        raise
    return store, identity


def read_identity(path: Path) -> Identity:
    """Whose journal the file is, with or without a daemon running on it; JournalError when it is none of ours."""
    with _reading(path) as connection:
        if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise JournalError(f"{path} is not a Longwatch journal; give another trading.journal.path")
        meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    if meta.get("layout") != LAYOUT:
        raise JournalError(
            f"{path} is a journal of layout {meta.get('layout')}, and this version reads layout {LAYOUT}; "
            f"run the version that wrote it"
        )
    return Identity(journal_id=meta["journal_id"], account=meta["account"], mode=meta["mode"])


def read_records(path: Path, from_sequence: int = 1) -> Iterator[Record]:
    """The durable records from `from_sequence` on, streamed; JournalError at a gap or at what can't be read.

    Needs no lock: a running daemon's journal is read as it stood when reading began.
    """
    expected = max(1, from_sequence)
    with _reading(path) as connection:
        for sequence, cause, kind, schema, payload in connection.execute(_SELECT, (expected,)):
            if sequence != expected or type(payload) is not bytes:
                raise JournalError(_broken(path, expected, sequence))
            expected += 1
            yield Record(sequence=sequence, cause=cause, kind=kind, schema=schema, payload=payload)


def verify(path: Path) -> tuple[str, ...]:
    """One sentence for each thing wrong with the file: pages, gaps, cells of a wrong type, causes that lie ahead."""
    try:
        with _reading(path) as connection:
            pages = [row[0] for row in connection.execute("PRAGMA quick_check(20)")]
            found = [f"{path}: {text}" for text in pages if text != "ok"]
            return (*found, *_flaws(path, connection.execute(_SELECT, (-(2**63),))))
    except JournalError as error:
        return (str(error),)


def _flaws(path: Path, rows: sqlite3.Cursor) -> Iterator[str]:
    expected = 1
    for sequence, cause, kind, schema, payload in rows:
        if sequence != expected:
            yield _broken(path, expected, sequence)
        types = (type(cause), type(kind), type(schema), type(payload))
        if types != (int, str, int, bytes):
            yield f"{path}: record {sequence} holds a cell of a wrong type; restore the journal from a copy"
        elif not 0 <= cause < sequence:
            yield f"{path}: record {sequence} names {cause} as its cause; restore the journal from a copy"
        expected = sequence + 1


def _broken(path: Path, expected: int, found: int) -> str:
    what = f"record {found} is unreadable" if found == expected else f"record {expected} is missing before {found}"
    return f"{path}: {what}; restore the journal from a copy, nothing is traded on a broken one"


def _lock(path: Path) -> int:
    """Hold `path`.lock until the process ends; the file stays, since removing it would let two holders in."""
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        raise JournalError(
            f"{path} is in use by process {holder}; stop that one, or give this one another trading.journal.path"
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _create(path: Path, identity: Identity) -> None:
    """Make the journal beside its place and rename it there: an empty or half-made file is never a new journal."""
    if Path(f"{path}-wal").exists():
        raise JournalError(f"{path} is missing but {path}-wal is there; restore both, or move the second away")
    new = Path(f"{path}.new")
    with _told(path, "made"):
        new.unlink(missing_ok=True)
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(sqlite3.connect(new, isolation_level=None)) as connection:
            connection.execute("BEGIN")
            for statement in _TABLES:
                connection.execute(statement)
            meta = {"layout": LAYOUT} | asdict(identity)
            connection.executemany("INSERT INTO meta(key, value) VALUES (?, ?)", meta.items())
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("COMMIT")
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
        os.replace(new, path)
        _sync_directory(path.parent)


def _sync_directory(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _connect(path: Path, synchronous: Synchronous) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode=rw",
        uri=True,
        isolation_level=None,
        timeout=_BUSY_SECONDS,
        check_same_thread=False,
    )
    connection.execute("PRAGMA journal_mode = WAL").fetchall()
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    # A checkpoint inside a commit would make that commit ten times as long: the writer makes them when it is idle.
    connection.execute("PRAGMA wal_autocheckpoint = 8000").fetchall()
    return connection


def _last_sequence(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT coalesce(max(sequence), 0) FROM record").fetchone()[0])


def _must_be_ours(path: Path, identity: Identity, account: str, mode: str) -> None:
    if (identity.account, identity.mode) != (account, mode):
        raise JournalError(
            f"{path} is the journal of account {identity.account} in mode {identity.mode}, not of {account} in mode "
            f"{mode}; give another trading.journal.path"
        )


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    with (
        _told(path, "read"),
        closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None)) as connection,
    ):
        yield connection


@contextmanager
def _told(path: Path, doing: str) -> Iterator[None]:
    """Turn the storage's errors into one sentence about the journal."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise JournalError(
            f"{path}: the journal can't be {doing} ({error}); look at the disk, and restore a damaged file from a copy"
        ) from error
