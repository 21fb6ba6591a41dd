"""Moves old events out of the journal into a file beside it, some at a time; called by the journals' writers.

Facts stay for ever: they are what is folded, and they hold every identity (order references, ids, executions). Events
are for reading. Of a moved one its sequence, kind and hash stay, so the chain goes on over it. Nothing is taken out
before it has been read back from the archive, and a move that was cut short is simply made again.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from longwatch.errors import JournalError
from longwatch.journal.codec import EVENTS
from longwatch.journal.layout import (
    ARCHIVED_TO,
    META_TABLE,
    archive_of,
    form_of,
    reading,
    sync_directory,
    told,
    transaction,
)

AT_ONCE = 1_000
"""Records looked at in one step: commits waiting meanwhile wait for some milliseconds."""
APPLICATION_ID = 0x4C574131
"""The number in the SQLite header that marks the file as an archive of ours ("LWA1")."""

_TABLE = (
    "CREATE TABLE record(sequence INTEGER PRIMARY KEY, cause INTEGER, kind TEXT, schema INTEGER, payload BLOB NOT NULL)"
)
_COLUMNS = "sequence, cause, kind, schema, payload"
_WITHIN = "FROM record WHERE sequence > ? AND sequence <= ? ORDER BY sequence"

Row = tuple[Any, ...]


class _Timed(msgspec.Struct):
    at: datetime


_TIME = msgspec.json.Decoder(_Timed)


def last_before(path: Path, before: datetime) -> int:
    """The sequence up to which all events that are still in the journal are older than this market time."""
    with reading(path) as connection:
        low = form_of(connection, path).archived_to
        high = connection.execute("SELECT coalesce(max(sequence), 0) FROM record").fetchone()[0] + 1
        while high - low > 1:
            middle = (low + high) // 2
            row = connection.execute(
                "SELECT payload FROM record WHERE sequence > ? AND sequence <= ? AND cause = 0 "
                "ORDER BY sequence DESC LIMIT 1",
                (low, middle),
            ).fetchone()
            if row is None or _is_before(row[0], before):
                low = middle
            else:
                high = middle
        return int(low)


def _is_before(payload: object, before: datetime) -> bool:
    try:
        return isinstance(payload, bytes) and _TIME.decode(payload).at < before
    except msgspec.MsgspecError:
        return False


def move_some(connection: sqlite3.Connection, path: Path, journal_id: str, up_to: int) -> int:
    """Move the next events that are not above `up_to`; the sequence now archived up to. JournalError when it fails.

    `connection` writes the journal; what is moved goes first to the archive, durably, and is read back from there.
    """
    with told(path, "archived"):
        first = form_of(connection, path).archived_to
        last = min(first + AT_ONCE, up_to)
        if last <= first:
            return first
        rows = connection.execute(f"SELECT {_COLUMNS}, chain {_WITHIN}", (first, last)).fetchall()
        events = [row[:5] for row in rows if row[2] in EVENTS and row[4] is not None]
        _put(archive_of(path), journal_id, events)
        _must_hold(archive_of(path), events, first, last)
        _take_out(connection, rows, first, last)
        return last


def _put(archive: Path, journal_id: str, events: list[Row]) -> None:
    is_new = not archive.exists()
    if is_new:
        os.close(os.open(archive, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with closing(sqlite3.connect(archive, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            connection.execute(META_TABLE)
            connection.execute(_TABLE)
            connection.execute("INSERT INTO meta(key, value) VALUES ('journal_id', ?)", (journal_id,))
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.executemany(f"INSERT OR IGNORE INTO record({_COLUMNS}) VALUES (?, ?, ?, ?, ?)", events)
        connection.execute("COMMIT")
    if is_new:
        sync_directory(archive.parent)


def _must_hold(archive: Path, events: list[Row], first: int, last: int) -> None:
    """Read back what was put there: another journal's archive, or other bytes, keep the events where they are."""
    with closing(sqlite3.connect(f"file:{quote(str(archive))}?mode=ro", uri=True)) as connection:
        kept = connection.execute(f"SELECT {_COLUMNS} {_WITHIN}", (first, last)).fetchall()
    if kept != events:
        raise JournalError(
            f"{archive} does not hold records {first + 1} to {last} as this journal has them, so nothing is taken out; "
            f"it may be another journal's archive: move it away"
        )


def _take_out(connection: sqlite3.Connection, rows: list[Row], first: int, last: int) -> None:
    """Leave of each event its place in the chain. Rows are laid anew, so that the pages they left can be used again."""
    left = [(*row[:4], None if row[2] in EVENTS else row[4], row[5]) for row in rows]
    with transaction(connection):
        connection.execute("DELETE FROM record WHERE sequence > ? AND sequence <= ?", (first, last))
        connection.executemany(f"INSERT INTO record({_COLUMNS}, chain) VALUES (?, ?, ?, ?, ?, ?)", left)
        connection.execute("INSERT OR REPLACE INTO meta(key, value) VALUES (?, ?)", (ARCHIVED_TO, str(last)))
