"""Journals to look at: a played day in a file, in batches as the loop would have written it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from itertools import islice
from pathlib import Path

from longwatch.domain.state import State
from longwatch.journal.checkpoints import storing
from longwatch.journal.codec import fold
from longwatch.journal.layout import Synchronous
from longwatch.journal.records import Record
from longwatch.journal.sqlite import InlineJournal
from longwatch.journal.store import Store, open_store
from tests.domain.play import A_DAY, played

ACCOUNT, MODE, JOURNAL_ID = "DU1", "paper", "a1b2"


@cache
def a_day() -> tuple[Record, ...]:
    """A day with every kind of fact in it."""
    return tuple(played(A_DAY).records)


def folded(records: Iterable[Record]) -> State:
    state = State()
    fold(state, records)
    return state


def in_order(state: State) -> dict[str, list[object]]:
    """The keys of each dictionary as they follow each other: what is decided may depend on it."""
    return {name: list(value) for name in State.__slots__ if isinstance(value := getattr(state, name), dict)}


@contextmanager
def store_at(path: Path, synchronous: Synchronous = "OFF") -> Iterator[Store]:
    store, _ = open_store(path, account=ACCOUNT, mode=MODE, fresh_id=JOURNAL_ID, synchronous=synchronous)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def journal_at(path: Path) -> Iterator[InlineJournal]:
    """A journal that is closed without a loop."""
    journal = InlineJournal.open(path, account=ACCOUNT, mode=MODE, fresh_id=JOURNAL_ID, synchronous="OFF")
    try:
        yield journal
    finally:
        journal._store.close()


def write(path: Path, records: Iterable[Record], batch: int = 16) -> None:
    """Append records to the journal at `path`, making it when there is none."""
    left = iter(records)
    with store_at(path) as store:
        while some := list(islice(left, batch)):
            store.write([some])


def checkpoint(path: Path, records: Iterable[Record]) -> None:
    """Store the fold of the first records as a checkpoint."""
    kept = list(records)
    with store_at(path) as store:
        for work in storing(kept[-1].sequence if kept else 0, folded(kept)):
            work(store)


def by_hand(path: Path, *statements: str) -> None:
    """What somebody with an SQL prompt does to the file."""
    with closing(sqlite3.connect(path)) as hand:
        for statement in statements:
            hand.execute(statement)
        hand.commit()
