"""All that can be told of a journal's health: chain, anchors, every record read and folded, checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from longwatch.domain.state import State, fingerprint
from longwatch.errors import JournalError
from longwatch.journal.chain import Anchor
from longwatch.journal.checkpoints import Checkpoint, code_version, read_checkpoints
from longwatch.journal.codec import decode, fold
from longwatch.journal.layout import BEFORE_CHAIN, Form, archive_of, form_of, reading
from longwatch.journal.reading import (
    PROGRESS_RECORDS,
    anchor_in,
    archived_away,
    read_records,
    verify,
)

Progress = Callable[[str, int, int], None]
"""Told (what is done, done, of all) now and then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`flaws` name what is wrong, the first bad record first; `notes` what could not be looked at, and why."""

    form: Form
    anchor: Anchor | None
    records: int
    checkpoints: tuple[int, ...]
    flaws: tuple[str, ...]
    notes: tuple[str, ...]


def examine(path: Path, anchors: Iterable[Anchor], progress: Progress = lambda what, done, of: None) -> Report:
    """Verify a journal, beside a running daemon or without one. Raises JournalError when it can't be opened at all."""
    with reading(path) as connection:
        form = form_of(connection, path)
        anchor = None if form.layout == BEFORE_CHAIN else anchor_in(connection, form)
        records = connection.execute("SELECT count(*) FROM record").fetchone()[0]
    kept = tuple(read_checkpoints(path))
    flaws = verify(path, anchors, lambda done, of: progress("hashes", done, of))
    notes = list(_notes(path, form))
    if flaws:
        notes.append("records were not folded, since not all of them are what was written")
    else:
        flaws = _folded(path, kept, notes, lambda done: progress("fold", done, records))
    return Report(
        form=form,
        anchor=anchor,
        records=records,
        checkpoints=tuple(checkpoint.sequence for checkpoint in kept),
        flaws=flaws,
        notes=tuple(notes),
    )


def _notes(path: Path, form: Form) -> Iterable[str]:
    if form.layout == BEFORE_CHAIN:
        yield "there is no hash chain yet: the journal gets one when a daemon of this version opens it"
    elif form.archived_to and (away := archived_away(path)):
        yield (
            f"{away} events up to record {form.archived_to} were not looked at: they are in an archive, and there is "
            f"none at {archive_of(path)}"
        )


def _folded(
    path: Path, kept: Iterable[Checkpoint], notes: list[str], progress: Callable[[int], None]
) -> tuple[str, ...]:
    """Read and fold everything; a checkpoint must be the fold up to where it stands."""
    state, flaws = State(), []
    waiting = {checkpoint.sequence: checkpoint for checkpoint in kept}
    try:
        for record in read_records(path):
            for sequence in [sequence for sequence in waiting if sequence < record.sequence]:
                flaws += _flaw_of(waiting.pop(sequence), state, notes)
            decode(record)
            fold(state, (record,))
            if not record.sequence % PROGRESS_RECORDS:
                progress(record.sequence)
    except JournalError as error:
        return (*flaws, str(error))
    for checkpoint in waiting.values():
        flaws += _flaw_of(checkpoint, state, notes)
    return tuple(flaws)


def _flaw_of(checkpoint: Checkpoint, state: State, notes: list[str]) -> list[str]:
    if checkpoint.code != code_version():
        notes.append(f"the checkpoint at record {checkpoint.sequence} is of another version and will not be used")
        return []
    try:
        if fingerprint(checkpoint.state()) == fingerprint(state):
            return []
    except JournalError as error:
        return [f"{error}; it will not be used"]
    return [
        f"the checkpoint at record {checkpoint.sequence} is not the fold of the records up to there; stop the daemon, "
        f"keep a backup, and report this fault"
    ]
