"""The folded state beside the records, so that a long journal opens quickly; made by the journals, read by recovery.

A checkpoint is worth a fold and no more: it is believed only when it is whole, was sealed with the hash of the record
it stands at, and was folded by the code that now runs. Any other is passed over, down to the fold of everything.
"""

from __future__ import annotations

import copy
import gc
import hashlib
import logging
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

import msgspec

import longwatch.domain
from longwatch.domain.state import State
from longwatch.errors import JournalError
from longwatch.journal import codec
from longwatch.journal.codec import fold
from longwatch.journal.layout import BEFORE_CHAIN, form_of, reading
from longwatch.journal.records import Journal

if TYPE_CHECKING:
    from longwatch.journal.store import Store

RECORDS = 20_000
"""A checkpoint is made when so many records have come since the last: folding them takes a fraction of a second."""
LEAST_RECORDS = 1_000
"""At an orderly end, fewer than this are not worth one."""

_SLICE, _PART_BYTES = 50, 1 << 20
_LOG = logging.getLogger("longwatch.journal")
_ENCODER = msgspec.msgpack.Encoder(decimal_format="string")
_Slices = list[tuple[str, msgspec.Raw]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A state as it was stored: `parts` fold up to and with record `sequence`; `code` names the fold that made it."""

    sequence: int
    code: str
    parts: tuple[bytes, ...]
    seal: bytes
    hash: bytes
    """Of the record at `sequence`."""

    def state(self) -> State:
        """The state it holds. Raises JournalError when it is not to be believed."""
        if self.code != code_version():
            raise JournalError(f"the checkpoint at record {self.sequence} was folded by another version of the code")
        if sealed(self.hash, self.code, digest_of(self.parts)) != self.seal:
            raise JournalError(f"the checkpoint at record {self.sequence} is not what was written")
        try:
            return decoded(self.parts)
        except (msgspec.MsgspecError, zlib.error, KeyError) as error:
            raise JournalError(f"the checkpoint at record {self.sequence} can't be read: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """The state a journal stands for; `began_at` is the checkpoint's sequence, 0 without one."""

    state: State
    began_at: int
    passed_over: tuple[str, ...]


def recovered(journal: Journal) -> Recovered:
    """The newest checkpoint that can be believed with the records after it folded in, or else the fold of everything.

    Raises JournalError for a record that can't be read, or that contradicts those before it.
    """
    passed_over: list[str] = []
    code_version()  # of the code that runs now, whatever is installed under it later
    began_at, state = 0, State()
    with no_collections():
        for checkpoint in journal.checkpoints():
            try:
                began_at, state = checkpoint.sequence, checkpoint.state()
                break
            except JournalError as error:
                began_at = 0
                passed_over.append(str(error))
        fold(state, journal.read(began_at + 1, only_facts=True))
    for reason in passed_over:
        _LOG.warning("%s; it was passed over", reason)
    return Recovered(state=state, began_at=began_at, passed_over=tuple(passed_over))


def snapshot(state: State) -> State:
    """The state as it is now, for another thread to read: what it holds is frozen, so its dictionaries are copied."""
    now = copy.copy(state)
    for spec in fields(State):
        value = getattr(now, spec.name)
        if isinstance(value, dict):
            setattr(now, spec.name, value.copy())
    return now


def storing(
    sequence: int, state: State, breathe: Callable[[], object] = lambda: None
) -> Iterator[Callable[[Store], None]]:
    """What is to be done with the store, step by step, to make a checkpoint of the state folded up to `sequence`."""
    digest, count = hashlib.sha256(), 0
    for count, part in enumerate(encoded(state, breathe), 1):
        digest.update(part)
        yield partial(_put, sequence, count, part)
    whole, code = digest.digest(), code_version()
    yield lambda store: store.finish_checkpoint(sequence, code, count, whole)


def _put(sequence: int, number: int, part: bytes, store: Store) -> None:
    store.put_part(sequence, number, part)


def encoded(state: State, breathe: Callable[[], object] = lambda: None) -> Iterator[bytes]:
    """The state in compressed parts; `breathe` is called after each piece of a millisecond or less."""
    slices: _Slices = []
    size = 0
    for name, values in _sliced(state):
        raw = msgspec.Raw(_ENCODER.encode(values))
        slices.append((name, raw))
        size += len(memoryview(raw))
        breathe()
        if size >= _PART_BYTES:
            yield zlib.compress(_ENCODER.encode(slices), 1)
            slices, size = [], 0
    yield zlib.compress(_ENCODER.encode(slices), 1)


def decoded(parts: Iterable[bytes]) -> State:
    """The state again, each dictionary in the order it had. Raises MsgspecError, zlib.error or KeyError."""
    state = State()
    decoders = _decoders()
    for part in parts:
        for name, raw in msgspec.msgpack.decode(zlib.decompress(part), type=_Slices):
            value = decoders[name].decode(raw)
            if name in _dictionaries():
                getattr(state, name).update(value)
            else:
                setattr(state, name, value)
    return state


def digest_of(parts: Iterable[bytes]) -> bytes:
    """SHA-256 over the parts."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part)
    return whole.digest()


def sealed(record_hash: bytes, code: str, digest: bytes) -> bytes:
    """What makes a checkpoint this journal's: the hash of the record it stands at, the code, and its own bytes."""
    return hashlib.sha256(record_hash + f" {code} ".encode() + digest).digest()


def read_checkpoints(path: Path, up_to: int | None = None) -> Iterator[Checkpoint]:
    """Whole checkpoints, the newest first, none that stands above `up_to`; each is read when it is asked for.

    Of those that another version of the code made only the newest two are told, for what they are.
    """
    with reading(path) as connection:
        if form_of(connection, path).layout == BEFORE_CHAIN:
            return
        rows = connection.execute(
            "SELECT c.sequence, c.code, c.parts, c.seal, r.chain FROM checkpoint c JOIN record r USING(sequence) "
            "WHERE c.sequence <= ? AND (c.code = ? OR c.sequence IN "
            "(SELECT sequence FROM checkpoint ORDER BY sequence DESC LIMIT 2)) ORDER BY c.sequence DESC",
            (2**63 - 1 if up_to is None else up_to, code_version()),
        ).fetchall()
        for sequence, code, count, seal, chain in rows:
            found = connection.execute(
                "SELECT bytes FROM checkpoint_part WHERE sequence = ? ORDER BY part", (sequence,)
            ).fetchall()
            parts = tuple(row[0] if type(row[0]) is bytes else b"" for row in found)
            if len(parts) != count:
                parts = ()
            yield Checkpoint(
                sequence=sequence,
                code=str(code),
                parts=parts,
                seal=seal if type(seal) is bytes else b"",
                hash=chain if type(chain) is bytes else b"",
            )


@cache
def code_version() -> str:
    """Names the fold: any change in the rules of the domain, or in how records are read, makes it another one."""
    whole = hashlib.sha256()
    folder = Path(longwatch.domain.__file__ or "").parent
    for source in (*sorted(folder.rglob("*.py")), Path(codec.__file__), Path(__file__)):
        whole.update(f"{source.name} ".encode() + source.read_bytes())
    return whole.hexdigest()[:32]


def _sliced(state: State) -> Iterator[tuple[str, Any]]:
    """Every field; of a dictionary its items, some hundred at a time."""
    for spec in fields(State):
        value = getattr(state, spec.name)
        if not isinstance(value, dict):
            yield spec.name, value
            continue
        items = iter(value.items())
        while some := list(islice(items, _SLICE)):
            yield spec.name, some


@cache
def _decoders() -> dict[str, msgspec.msgpack.Decoder[Any]]:
    hints = get_type_hints(State)
    return {
        name: msgspec.msgpack.Decoder(
            list[tuple[get_args(hint)]] if name in _dictionaries() else hint  # type: ignore[misc]
        )
        for name, hint in hints.items()
        if name in {spec.name for spec in fields(State)}
    }


@cache
def _dictionaries() -> frozenset[str]:
    return frozenset(name for name, hint in get_type_hints(State).items() if get_origin(hint) is dict)


@contextmanager
def no_collections() -> Iterator[None]:
    """Everything made here lives as long as the daemon: collections in between would only look at it again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
