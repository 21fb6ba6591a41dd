"""Reads a journal's records beside whoever writes it, and finds what is wrong with them; used by journals and tools."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longwatch.errors import JournalError
from longwatch.journal.chain import Anchor, first_link, link_of
from longwatch.journal.codec import EVENTS
from longwatch.journal.layout import BEFORE_CHAIN, Form, form_of, reading
from longwatch.journal.records import Record

Progress = Callable[[int, int], None]
"""Told (done, of all) now and then during long work."""

PROGRESS_RECORDS = 10_000

Row = tuple[Any, Any, Any, Any, Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A record and its hash; `is_away` when its payload is neither here nor in an archive beside the journal."""

    record: Record
    hash: bytes
    is_away: bool = False


def read_records(path: Path, from_sequence: int = 1, *, only_facts: bool = False) -> Iterator[Record]:
    """The durable records from `from_sequence` on, streamed, without the events that were moved to the archive.

    With `only_facts` no event is given out, but each is looked at like the rest.
    Raises JournalError at a gap, at a broken link of the chain, and at what can't be read.
    """
    expected = max(1, from_sequence)
    with reading(path) as connection:
        form = form_of(connection, path)
        before = _link_before(connection, form, expected)
        left_out = EVENTS if only_facts else {}
        for sequence, cause, kind, schema, payload, chain in _cursor(connection, form, expected):
            if sequence != expected:
                raise JournalError(_broken(path, expected, sequence))
            expected += 1
            if type(payload) is not bytes:
                if not _is_archived(kind, payload, sequence, form):
                    raise JournalError(_broken(path, sequence, sequence))
                before = chain
                continue
            if before is not None and link_of(before, sequence, cause, kind, schema, payload) != chain:
                raise JournalError(_altered(path, sequence))
            before = chain
            if kind in left_out:
                continue
            yield Record(sequence=sequence, cause=cause, kind=kind, schema=schema, payload=payload)


def read_entries(path: Path, first: int = 1, last: int | None = None) -> Iterator[Entry]:
    """Records with their hashes from `first` to `last`, archived ones too; for a person to look at, and so unjudged."""
    with reading(path, with_archive=True) as connection:
        form = form_of(connection, path)
        for row in _cursor(connection, form, max(1, first)):
            if last is not None and row[0] > last:
                return
            yield entry_of(row, form)


def last_entries(path: Path, count: int, kinds: Sequence[str] = ()) -> list[Entry]:
    """The last `count` records, in order; of these kinds only, if any are given."""
    with reading(path, with_archive=True) as connection:
        form = form_of(connection, path)
        where = f"WHERE r.kind IN ({','.join('?' * len(kinds))})" if kinds else ""
        query = f"{select(connection, form)} {where} ORDER BY r.sequence DESC LIMIT ?"
        return [entry_of(row, form) for row in connection.execute(query, (*kinds, count))][::-1]


def entry_of(row: Row, form: Form) -> Entry:
    """A row of `select` as an entry."""
    sequence, cause, kind, schema, payload, chain = row
    record = Record(
        sequence=sequence, cause=cause, kind=kind, schema=schema, payload=payload if type(payload) is bytes else b""
    )
    return Entry(record=record, hash=chain or b"", is_away=_is_archived(kind, payload, sequence, form))


def last_anchor(path: Path) -> Anchor:
    """The last durable record's sequence and hash. JournalError when the journal has no hashes yet."""
    with reading(path) as connection:
        form = form_of(connection, path)
        if form.layout == BEFORE_CHAIN:
            raise JournalError(f"{path} has no hash chain yet: it gets one when a daemon of this version opens it")
        return anchor_in(connection, form)


def anchor_in(connection: sqlite3.Connection, form: Form) -> Anchor:
    """The last record's sequence and hash, or what stands before the first; no hash where there is no chain yet."""
    chain = "x''" if form.layout == BEFORE_CHAIN else "chain"
    row = connection.execute(f"SELECT sequence, {chain} FROM record ORDER BY sequence DESC LIMIT 1").fetchone()
    return Anchor(*row) if row else Anchor(0, first_link(form.identity.journal_id))


def verify(path: Path, anchors: Iterable[Anchor] = (), progress: Progress = lambda done, of: None) -> tuple[str, ...]:
    """One sentence for each thing wrong with the file, the first bad record first; empty when nothing is.

    Looked at are pages, gaps, cells of a wrong type, causes that lie ahead, the hash chain, and anchors kept elsewhere.
    """
    try:
        with reading(path, with_archive=True) as connection:
            pages = [row[0] for row in connection.execute("PRAGMA main.quick_check(20)")]
            form = form_of(connection, path)
            found = [f"{path}: {text}" for text in pages if text != "ok"]
            return (*found, *_Flaws(path, form, tuple(anchors)).among(connection, progress))
    except JournalError as error:
        return (str(error),)


def archived_away(path: Path) -> int:
    """How many events are in an archive that is not beside the journal: their bytes can't be verified here."""
    with reading(path, with_archive=True) as connection:
        rows = _cursor(connection, form_of(connection, path), 1)
        return sum(payload is None for _, _, _, _, payload, _ in rows)


class _Flaws:
    """One reading of all records."""

    def __init__(self, path: Path, form: Form, anchors: tuple[Anchor, ...]) -> None:
        self._path, self._form = path, form
        self._anchors = {anchor.sequence: anchor for anchor in anchors}

    def among(self, connection: sqlite3.Connection, progress: Progress) -> Iterator[str]:
        """What is wrong, in order of sequence."""
        total = connection.execute("SELECT count(*) FROM record").fetchone()[0]
        before: bytes | None = None if self._form.layout == BEFORE_CHAIN else first_link(self._form.identity.journal_id)
        expected, good = 1, 0
        if 0 in self._anchors and before not in (None, self._anchors[0].hash):
            yield f"{self._path}: this is not the journal the anchor {self._anchors[0]} was taken of; look at its id"
        for done, row in enumerate(_cursor(connection, self._form, -(2**63))):
            if not done % PROGRESS_RECORDS:
                progress(done, total)
            sequence, chain = row[0], row[5]
            if sequence != expected:
                yield _broken(self._path, expected, sequence)
                before = None
            flaw = self._of_cells(row) or self._of_link(row, before)
            if flaw:
                yield flaw
            anchor = self._anchors.get(sequence)
            if anchor is not None and chain != anchor.hash and not flaw:
                yield self._not_as_anchored(anchor, good)
            good = sequence if anchor is not None and chain == anchor.hash else good
            expected, before = sequence + 1, chain if type(chain) is bytes else None
        progress(total, total)
        for anchor in self._anchors.values():
            if anchor.sequence >= expected:
                yield (
                    f"{self._path}: it ends with record {expected - 1} and the anchor is of record {anchor.sequence}: "
                    f"its end was cut off, or this is an older copy"
                )

    def _of_cells(self, row: Row) -> str | None:
        sequence, cause, kind, schema, payload, _ = row
        if _is_archived(kind, payload, sequence, self._form):
            return None
        if (type(cause), type(kind), type(schema), type(payload)) != (int, str, int, bytes):
            return f"{self._path}: record {sequence} holds a cell of a wrong type; restore the journal from a copy"
        if not 0 <= cause < sequence:
            return f"{self._path}: record {sequence} names {cause} as its cause; restore the journal from a copy"
        return None

    def _of_link(self, row: Row, before: bytes | None) -> str | None:
        sequence, cause, kind, schema, payload, chain = row
        if before is None or payload is None or self._form.layout == BEFORE_CHAIN:
            return None
        if link_of(before, sequence, cause, kind, schema, payload) != chain:
            return _altered(self._path, sequence)
        return None

    def _not_as_anchored(self, anchor: Anchor, good: int) -> str:
        since = f"after record {good}, where an anchor still holds" if good else "before it"
        return (
            f"{self._path}: record {anchor.sequence} has not the hash of the anchor: it, or one {since}, was altered, "
            f"taken out or put in, and the chain written anew; restore the journal from a copy"
        )


def _cursor(connection: sqlite3.Connection, form: Form, first: int) -> sqlite3.Cursor:
    return connection.execute(f"{select(connection, form)} WHERE r.sequence >= ? ORDER BY r.sequence", (first,))


def select(connection: sqlite3.Connection, form: Form) -> str:
    """All cells of `record r`; payloads from the archive too where it is attached."""
    has_archive = any(name == "archive" for _, name, _ in connection.execute("PRAGMA database_list"))
    payload = "coalesce(r.payload, a.payload)" if has_archive else "r.payload"
    chain = "NULL" if form.layout == BEFORE_CHAIN else "r.chain"
    join = " LEFT JOIN archive.record a ON a.sequence = r.sequence" if has_archive else ""
    return f"SELECT r.sequence, r.cause, r.kind, r.schema, {payload}, {chain} FROM main.record r{join}"


def _link_before(connection: sqlite3.Connection, form: Form, sequence: int) -> bytes | None:
    """The hash a record must follow; None where there are no hashes yet, or no record before."""
    if form.layout == BEFORE_CHAIN:
        return None
    if sequence == 1:
        return first_link(form.identity.journal_id)
    row = connection.execute("SELECT chain FROM record WHERE sequence = ?", (sequence - 1,)).fetchone()
    return row[0] if row and type(row[0]) is bytes else None


def _is_archived(kind: object, payload: object, sequence: int, form: Form) -> bool:
    """Only events are ever moved away: a fact without its payload is damage."""
    return payload is None and sequence <= form.archived_to and kind in EVENTS


def _broken(path: Path, expected: int, found: int) -> str:
    what = f"record {found} is unreadable" if found == expected else f"record {expected} is missing before {found}"
    return f"{path}: {what}; restore the journal from a copy, nothing is traded on a broken one"


def _altered(path: Path, sequence: int) -> str:
    return (
        f"{path}: record {sequence} is not the one that was written there (its hash does not follow): altered, put in, "
        f"or out of its place; restore the journal from a copy, nothing is traded on a broken one"
    )
