"""Brings an older journal file to today's layout, in one transaction; called by store.py when a daemon opens it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from longwatch.errors import JournalError
from longwatch.journal.chain import first_link, link_of
from longwatch.journal.layout import BEFORE_CHAIN, CHECKPOINT_TABLES, LAYOUT, Form, transaction

_AT_ONCE = 5_000
_SELECT = "SELECT sequence, cause, kind, schema, payload FROM record WHERE sequence > ? ORDER BY sequence LIMIT ?"


def upgrade(connection: sqlite3.Connection, form: Form, path: Path) -> bool:
    """Give a journal of the layout before it a hash chain and room for checkpoints; whether that was needed.

    Raises JournalError, and changes nothing, when a record is missing or can't be read.
    """
    if form.layout != BEFORE_CHAIN:
        return False
    with transaction(connection):
        connection.execute("ALTER TABLE record ADD COLUMN chain BLOB")
        for statement in CHECKPOINT_TABLES:
            connection.execute(statement)
        for links in _links(connection, form.identity.journal_id, path):
            connection.executemany("UPDATE record SET chain = ? WHERE sequence = ?", links)
        connection.execute("UPDATE meta SET value = ? WHERE key = 'layout'", (LAYOUT,))
    return True


def _links(connection: sqlite3.Connection, journal_id: str, path: Path) -> Iterator[list[tuple[bytes, int]]]:
    before, last = first_link(journal_id), 0
    while rows := connection.execute(_SELECT, (last, _AT_ONCE)).fetchall():
        links = []
        for sequence, cause, kind, schema, payload in rows:
            if sequence != last + 1 or (type(cause), type(kind), type(payload)) != (int, str, bytes):
                raise JournalError(
                    f"{path}: record {last + 1} is missing or can't be read, so the journal is not brought to layout "
                    f"{LAYOUT}; restore it from a copy"
                )
            last, before = sequence, link_of(before, sequence, cause, kind, schema, payload)
            links.append((before, sequence))
        yield links
