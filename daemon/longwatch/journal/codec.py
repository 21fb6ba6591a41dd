"""Events and facts as journal records and back; used by the engine's loop, recovery, `why` and the CLI.

The payload is JSON with keys in the order of the fields: it can be read by eye and is the same in every process.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast, get_args

import msgspec

from longwatch.domain import messages as m
from longwatch.domain.state import State, evolve
from longwatch.errors import JournalError
from longwatch.journal.records import Record

SCHEMA = 1
"""The version of every payload's form; a change of a message's fields gets the next number and an upgrade here."""

EVENTS: dict[str, type] = {kind.__name__: kind for kind in get_args(m.Event)}
FACTS: dict[str, type] = {kind.__name__: kind for kind in get_args(m.Fact)}

_ENCODER = msgspec.json.Encoder(decimal_format="string")
_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {}


def encode(sequence: int, cause: int, message: m.Event | m.Fact) -> Record:
    """One event (cause 0) or one fact (cause: the sequence of its event) as a record.

    Raises JournalError for a message with text or values that can't be written.
    """
    kind = type(message).__name__
    try:
        payload = _ENCODER.encode(message)
    except (UnicodeEncodeError, TypeError) as error:
        raise JournalError(f"a {kind} can't be written as journal record {sequence}: {error}") from error
    return Record(sequence=sequence, cause=cause, kind=kind, schema=SCHEMA, payload=payload)


def decode(record: Record) -> m.Event | m.Fact:
    """The event or fact a record holds. Raises JournalError for a kind, schema or payload that can't be read."""
    decoder = _DECODERS.get(record.kind)
    if decoder is None or record.schema > SCHEMA:
        decoder = _decoder_of(record)
    try:
        return decoder.decode(record.payload)  # type: ignore[no-any-return]
    except ValueError as error:
        raise JournalError(f"journal record {record.sequence} ({record.kind}) can't be read: {error}") from error


def _decoder_of(record: Record) -> msgspec.json.Decoder[Any]:
    kind = EVENTS.get(record.kind) or FACTS.get(record.kind)
    if kind is None or record.schema > SCHEMA:
        raise JournalError(
            f"journal record {record.sequence} is a {record.kind} of schema {record.schema}, which this version "
            "does not know; run the version that wrote it, or a newer one"
        )
    decoder = _DECODERS[record.kind] = msgspec.json.Decoder(kind)
    return decoder


def is_fact_record(record: Record) -> bool:
    """Whether a record is folded: facts are, events are kept for replay and `why`."""
    return record.kind in FACTS


def facts_of(records: Iterable[Record]) -> Iterator[m.Fact]:
    """The facts among records, in order. Raises JournalError as `decode` does, also for a kind that is no event's."""
    for record in records:
        if record.kind not in EVENTS:
            yield cast(m.Fact, decode(record))


def recover(records: Iterable[Record]) -> State:
    """The state a journal stands for: a fold of its facts from nothing. Raises JournalError as `fold` does."""
    state = State()
    fold(state, records)
    return state


def fold(state: State, records: Iterable[Record]) -> None:
    """Fold the facts among records into the state.

    Raises JournalError for a record that can't be read, or that contradicts those before it.
    """
    for record in records:
        if record.kind in EVENTS:
            continue
        fact = cast(m.Fact, decode(record))
        try:
            evolve(state, fact)
        except (LookupError, ArithmeticError) as error:
            raise JournalError(
                f"journal record {record.sequence} ({record.kind}) contradicts those before it ({error!r}); "
                "the journal is damaged: restore a copy of it"
            ) from error
