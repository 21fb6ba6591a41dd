"""Finds records by order, by kind and by time without reading all of them; used by `longwatch why` and its like.

SQLite keeps two small indexes over the payloads by itself: of every record that names an intent, and of the kinds that
are looked for. A journal without them, which no daemon of this version has opened yet, is searched from end to end.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from longwatch.journal.layout import INTENT, NAMES_INTENT, Form, form_of, reading
from longwatch.journal.reading import Entry, entry_of, select


class _Timed(msgspec.Struct):
    at: datetime


_TIME = msgspec.json.Decoder(_Timed)


@dataclass(frozen=True, slots=True)
class Finder:
    """One moment of a journal, to be searched; see `finding`."""

    connection: sqlite3.Connection
    form: Form
    last: int
    """The sequence of the last record."""
    select: str

    def between(
        self, first: int, last: int, kinds: Sequence[str] = (), *, newest_first: bool = False, limit: int = -1
    ) -> Iterator[Entry]:
        """Records from `first` to `last`, of these kinds only if any are given."""
        where, values = "r.sequence BETWEEN ? AND ?", [first, last]
        if len(kinds) == 1:
            where = f"r.kind = {_quoted(kinds[0])} AND {where}"
        elif kinds:
            where += f" AND r.kind IN ({', '.join(map(_quoted, kinds))})"
        order = " DESC" if newest_first else ""
        query = f"{self.select} WHERE {where} ORDER BY r.sequence{order} LIMIT ?"
        return (entry_of(row, self.form) for row in self.connection.execute(query, (*values, limit)))

    def at(self, sequence: int) -> Entry | None:
        """One record, None where there is none of this sequence."""
        return next(self.between(sequence, sequence), None)

    def numbered(self, sequences: Iterable[int]) -> list[Entry]:
        """The records of these sequences, in order."""
        wanted = sorted(set(sequences))
        places = ", ".join(map(str, wanted))
        rows = self.connection.execute(f"{self.select} WHERE r.sequence IN ({places}) ORDER BY r.sequence")
        return [entry_of(row, self.form) for row in rows]

    def before(self, sequence: int, kind: str) -> Entry | None:
        """The last record of a kind before a sequence."""
        return next(self.between(1, sequence - 1, (kind,), newest_first=True, limit=1), None)

    def of_intent(self, intent: int) -> list[Entry]:
        """Every fact about an order of this number, in order, and of events those that name it by that number."""
        query = f"SELECT sequence FROM main.record WHERE {NAMES_INTENT} AND {INTENT} = ? ORDER BY sequence"
        found = self.connection.execute(query, (intent,)).fetchall()
        return self.numbered(sequence for (sequence,) in found)

    def holding(self, kind: str, text: str, last: int | None = None, first: int = 1) -> Iterator[Entry]:
        """Records of a kind from `first` to `last` whose payload contains `text`, the newest first."""
        query = (
            f"{self.select} WHERE r.kind = {_quoted(kind)} AND r.sequence BETWEEN ? AND ? "
            "AND instr(r.payload, CAST(? AS BLOB)) > 0 ORDER BY r.sequence DESC"
        )
        rows = self.connection.execute(query, (first, self.last if last is None else last, text))
        return (entry_of(row, self.form) for row in rows)

    def since(self, at: datetime, *, inclusive: bool = True) -> int:
        """The first record of market time `at` or later (later alone unless `inclusive`); one past the last if none is.

        Events are in the order of their time; a fact belongs to the event that it follows from.
        """
        low, high = 0, self.last + 1
        while high - low > 1:
            middle = (low + high) // 2
            event = self._event_at_or_before(middle, low)
            if event is None or event < at or (event == at and not inclusive):
                low = middle
            else:
                high = middle
        return high

    def _event_at_or_before(self, sequence: int, above: int) -> datetime | None:
        query = (
            f"{self.select} WHERE r.sequence > ? AND r.sequence <= ? AND r.cause = 0 ORDER BY r.sequence DESC LIMIT 1"
        )
        for row in self.connection.execute(query, (above, sequence)):
            return time_of(entry_of(row, self.form))
        return None


@contextmanager
def finding(path: Path) -> Iterator[Finder]:
    """A journal to be searched as it stood when this was called. Raises JournalError when it can't be read."""
    with reading(path, with_archive=True) as connection:
        form = form_of(connection, path)
        last = connection.execute("SELECT coalesce(max(sequence), 0) FROM main.record").fetchone()[0]
        yield Finder(connection, form, last, select(connection, form))


def time_of(entry: Entry) -> datetime | None:
    """The market time of an event's record; None of one that has none, or is away."""
    try:
        return _TIME.decode(entry.record.payload).at
    except msgspec.MsgspecError:
        return None


def _quoted(kind: str) -> str:
    """A literal, since a partial index is used for no other; kinds are names of our classes."""
    if not kind.isidentifier():
        raise ValueError(f"{kind!r} is no kind")
    return f"'{kind}'"
