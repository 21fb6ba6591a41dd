"""The journal's SQLite file as its one writer has it: transactions, checkpoints, archiving; used by sqlite.py."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from longwatch.errors import JournalError
from longwatch.journal import archive
from longwatch.journal.chain import Anchor, link
from longwatch.journal.checkpoints import sealed
from longwatch.journal.layout import (
    INDEXES,
    Identity,
    Synchronous,
    connect,
    create,
    form_of,
    lock,
    read_identity,
    told,
    transaction,
)
from longwatch.journal.reading import anchor_in
from longwatch.journal.records import Record
from longwatch.journal.upgrade import upgrade

CHECKPOINTS_KEPT = 2
MILESTONE_RECORDS = 100_000
"""Of so many records one checkpoint is kept for good, so that any moment of a long journal is near one."""
_LOG = logging.getLogger("longwatch.journal")
_LOOK_WRITES = 64
"""The write-ahead log is looked for only so often, and when nothing is written: each look costs a commit some time."""

_INSERT = "INSERT INTO record(sequence, cause, kind, schema, payload, chain) VALUES (?, ?, ?, ?, ?, ?)"
_COUNT_PARTS = "SELECT count(*) FROM checkpoint_part WHERE sequence = ?"
_INSERT_PART = "INSERT OR REPLACE INTO checkpoint_part(sequence, part, bytes) VALUES (?, ?, ?)"
_INSERT_CHECKPOINT = "INSERT OR REPLACE INTO checkpoint(sequence, code, parts, seal) VALUES (?, ?, ?, ?)"

_FORGET = (
    "DELETE FROM checkpoint WHERE sequence NOT IN (SELECT sequence FROM checkpoint ORDER BY sequence DESC LIMIT ?) "
    "AND sequence NOT IN (SELECT max(sequence) FROM checkpoint WHERE code = ? GROUP BY sequence / ?)"
)

_Place = tuple[int, int] | None


class Store:
    """One open journal file with its lock; every call is made by one thread at a time."""

    def __init__(self, path: Path, lock_held: int, synchronous: Synchronous) -> None:
        self.path = path
        self.anchor = Anchor(0, b"")
        self.checkpointed = 0
        self._lock = lock_held
        self._synchronous = synchronous
        self._connection: sqlite3.Connection | None = None
        self._place: _Place = None
        self._wal_place: _Place = None
        self._file, self._wal = str(path), f"{path}-wal"
        self._writes = 0

    @property
    def last_sequence(self) -> int:
        """The sequence of the last durable record; 0 when there is none."""
        return self.anchor.sequence

    def write(self, batches: Sequence[Sequence[Record]]) -> None:
        """Make all records durable in one transaction; JournalError, and none of them counted, when that fails."""
        rows, chain = [], self.anchor.hash
        for batch in batches:
            for record in batch:
                chain = link(chain, record)
                rows.append((record.sequence, record.cause, record.kind, record.schema, record.payload, chain))
        if not rows:
            return
        self._writes += 1
        if _place_of(self._file) != self._place or not self._writes % _LOOK_WRITES:
            self.look()
        with told(self.path, "written"), transaction(self._connected()) as connection:
            connection.executemany(_INSERT, rows)
        self.anchor = Anchor(rows[-1][0], chain)

    def look(self) -> None:
        """See that the file is still the one that was opened. Raises JournalError when it was moved or replaced.

        SQLite would go on writing into a file without a name, and nobody would ever read that again.
        """
        place, wal = _place_of(self._file), _place_of(self._wal)
        self._wal_place = self._wal_place or wal
        if place == self._place and wal == self._wal_place:
            return
        lost = self._file if place != self._place else self._wal
        what = "another file lies in its place" if _place_of(lost) else "it is not there any more"
        raise JournalError(
            f"{lost}: the journal's file was moved, deleted or replaced while the daemon runs ({what}); "
            f"put it back where it was, or stop the daemon and restore a copy"
        )

    def reopen(self) -> int:
        """Connect anew and answer the last durable sequence; JournalError when the file is not the one it was."""
        if self._place is not None and _place_of(self._file) != self._place:
            self.look()
        self._disconnect()
        with told(self.path, "opened"):
            connection = self._connection = connect(self.path, self._synchronous)
            self._place = _place_of(self._file)
            form = form_of(connection, self.path)
            if upgrade(connection, form, self.path):
                form = form_of(connection, self.path)
            self.anchor = anchor_in(connection, form)
            self.checkpointed = connection.execute("SELECT coalesce(max(sequence), 0) FROM checkpoint").fetchone()[0]
            self._wal_place = _place_of(self._wal)
        return self.last_sequence

    def index(self) -> None:
        """Have SQLite keep the indexes of `longwatch why`, which a journal of an older version has not yet.

        Without them a search takes longer, and nothing else: a disk too full for them must not stop the daemon.
        """
        try:
            with transaction(self._connected()) as connection:
                for statement in INDEXES:
                    connection.execute(statement)
        except sqlite3.Error as error:
            _LOG.warning("%s: its indexes can't be made, `longwatch why` will be slow: %s", self.path, error)

    def sync_log(self) -> None:
        """Move the write-ahead log into the file as far as nobody reads it."""
        with told(self.path, "written"):
            self._connected().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def put_part(self, sequence: int, part: int, content: bytes) -> None:
        """Store one part of a checkpoint; it counts for nothing before `finish_checkpoint`."""
        with told(self.path, "written"), transaction(self._connected()) as connection:
            connection.execute(_INSERT_PART, (sequence, part, content))

    def finish_checkpoint(self, sequence: int, code: str, parts: int, digest: bytes) -> None:
        """Seal a checkpoint whose record is durable and whose parts are stored, and forget those of no more use."""
        with told(self.path, "written"), transaction(self._connected()) as connection:
            row = connection.execute("SELECT chain FROM record WHERE sequence = ?", (sequence,)).fetchone()
            stored = connection.execute(_COUNT_PARTS, (sequence,)).fetchone()
            if row is None or stored != (parts,):
                raise JournalError(f"{self.path}: record {sequence} or a part of the checkpoint there is not written")
            connection.execute(_INSERT_CHECKPOINT, (sequence, code, parts, sealed(row[0], code, digest)))
            connection.execute(_FORGET, (CHECKPOINTS_KEPT, code, MILESTONE_RECORDS))
            connection.execute("DELETE FROM checkpoint_part WHERE sequence NOT IN (SELECT sequence FROM checkpoint)")
        self.checkpointed = sequence

    def archive_some(self, journal_id: str, up_to: int) -> int:
        """Move some old events away, none above `up_to`; the sequence now archived up to."""
        return archive.move_some(self._connected(), self.path, journal_id, up_to)

    def close(self) -> None:
        """Close the file and give up the lock; harmless when repeated."""
        try:
            self._disconnect()
        finally:
            held, self._lock = self._lock, -1
            if held >= 0:
                os.close(held)

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            raise sqlite3.OperationalError("the journal is closed")
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with told(self.path, "closed"):
                connection.close()


def open_store(
    path: Path,
    *,
    account: str,
    mode: str,
    fresh_id: str,
    synchronous: Synchronous = "FULL",
    store_of: Callable[[Path, int, Synchronous], Store] = Store,
) -> tuple[Store, Identity]:
    """Lock and open the journal at `path`; when there is none, make one with the id `fresh_id` for account and mode.

    Raises JournalError when another process holds it, when it belongs to another account or mode, or can't be read.
    """
    with told(path, "opened"):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        held = lock(path)
    store = store_of(path, held, synchronous)
    try:
        if not path.exists():
            create(path, Identity(journal_id=fresh_id, account=account, mode=mode))
        identity = read_identity(path)
        _must_be_ours(path, identity, account, mode)
        store.reopen()
        store.index()
    except JournalError:
        store.close()
        raise
    return store, identity


def _must_be_ours(path: Path, identity: Identity, account: str, mode: str) -> None:
    if (identity.account, identity.mode) != (account, mode):
        raise JournalError(
            f"{path} is the journal of account {identity.account} in mode {identity.mode}, not of {account} in mode "
            f"{mode}; give another trading.journal.path"
        )


def _place_of(path: str) -> _Place:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
