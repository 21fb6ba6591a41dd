"""The state as it was after any record: the fold from the nearest checkpoint; used by `longwatch state` and `why`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from longwatch.domain.state import State
from longwatch.errors import JournalError, UsageError
from longwatch.journal.checkpoints import no_collections, read_checkpoints
from longwatch.journal.codec import FACTS, fold
from longwatch.journal.finding import finding
from longwatch.journal.records import Record

LAST_COUNTS = frozenset({"AccountValued", "BackendMoved", "ClockChecked", "LinkMoved"})
"""Each of these replaces what the one before it set, and no other fact looks at that: all but the last are passed over.

A comparison of the book is none of them, as it looks at the differences that the one before it found; nor is a reading
that failed, which the next comparison clears.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The state after record `sequence`; `began_at` is the checkpoint it was folded from, 0 without one."""

    state: State
    sequence: int
    began_at: int


def state_at(path: Path, sequence: int | None = None) -> Moment:
    """The state after a record, the journal's last one if none is named.

    Raises UsageError for a record that there is not, JournalError for one that can't be read.
    """
    with finding(path) as finder, no_collections():
        last = finder.last if sequence is None else sequence
        if not 0 <= last <= finder.last:
            raise UsageError(f"{path} has no record {last}: it ends with record {finder.last}")
        state, began_at = _nearest(path, last)
        facts = (entry.record for entry in finder.between(began_at + 1, last, tuple(FACTS)))
        fold(state, what_counts(facts))
        return Moment(state=state, sequence=last, began_at=began_at)


def what_counts(facts: Iterable[Record]) -> Iterator[Record]:
    """The facts without those that a later one replaces whole."""
    lasting: dict[str, Record] = {}
    for record in facts:
        if record.kind in LAST_COUNTS:
            lasting[record.kind] = record
        else:
            yield record
    yield from sorted(lasting.values(), key=lambda record: record.sequence)


def _nearest(path: Path, last: int) -> tuple[State, int]:
    for checkpoint in read_checkpoints(path, last):
        try:
            return checkpoint.state(), checkpoint.sequence
        except JournalError:
            continue  # of another version, or damaged: the records say the same
    return State(), 0
