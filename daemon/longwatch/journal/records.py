"""What a journal is made of and promises; written by the engine's loop, read by recovery, replay and `why`."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from longwatch.errors import JournalError
from longwatch.quick import quick

if TYPE_CHECKING:
    from pathlib import Path

    from longwatch.domain.state import State
    from longwatch.journal.chain import Anchor
    from longwatch.journal.checkpoints import Checkpoint


class Journal(Protocol):
    """An append-only sequence of records that is durable before anything it causes leaves the process."""

    @property
    def journal_id(self) -> str:
        """Random hex, fixed when the journal was made; part of every order's reference."""
        ...

    @property
    def path(self) -> Path:
        """Its file, for whoever reads beside it."""
        ...

    @property
    def last_sequence(self) -> int:
        """The sequence of the last durable record; 0 when there is none."""
        ...

    @property
    def failure(self) -> str | None:
        """Why nothing more is accepted, or None while the journal is well."""
        ...

    def append(self, batch: Sequence[Record]) -> Awaitable[None]:
        """Take the next records at once, in call order; the awaitable ends when they are durable.

        Sequences go on from the last accepted one without a gap. The awaitable raises JournalError when the batch was
        refused or not written; after a failed write every batch is refused until `reopen` succeeds.
        """
        ...

    def read(self, from_sequence: int = 1, *, only_facts: bool = False) -> Iterator[Record]:
        """The durable records in order, streamed; JournalError at a gap, a broken link, or what can't be read.

        Events that were moved to the archive are left out; with `only_facts` all events are.
        """
        ...

    def sha256(self) -> str:
        """Hex digest of all durable records in canonical form."""
        ...

    def verify(self) -> tuple[str, ...]:
        """One sentence for each thing wrong with the stored records; empty when nothing is."""
        ...

    @property
    def anchor(self) -> Anchor:
        """The last durable record's sequence and hash."""
        ...

    def watch(self, failed: Callable[[str], None]) -> None:
        """Call `failed`, on the running loop, with what was found wrong while nothing was written."""
        ...

    def checkpoint(self, sequence: int, state: State, least: int | None = None) -> None:
        """Store the state as folded up to record `sequence`, in the background, once that record is durable.

        Nothing happens unless so many records (`least`; its own measure by default) have come since the last one. A
        checkpoint that can't be written is given up with a line in the log: the records say the same.
        """
        ...

    def checkpoints(self) -> Iterator[Checkpoint]:
        """What is stored of them, the newest first."""
        ...

    async def archive(self, before: datetime) -> int:
        """Move events of before this market time beside the journal; how many. JournalError when that fails."""
        ...

    async def reopen(self) -> int:
        """Try the storage again after a failure and answer the last durable sequence; JournalError when it still fails.

        A batch whose write failed may be durable all the same (an error after the bytes were down): append again only
        what lies above the answered sequence.
        """
        ...

    async def close(self) -> None:
        """Write what was accepted, then give up the storage and its lock."""
        ...


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One event or fact.

    `sequence` counts from 1 without gaps, `cause` is what it follows from (0: nothing), `schema` the version of the
    payload's form for this `kind`.
    """

    sequence: int
    cause: int
    kind: str
    schema: int
    payload: bytes


class Settled(Awaitable[None]):
    """An awaitable that has already ended, well or with a reason; it needs no loop."""

    def __init__(self, reason: str | None) -> None:
        self._reason = reason

    def __await__(self) -> Generator[None, None, None]:
        if self._reason is not None:
            raise JournalError(self._reason)
        yield from ()


def digest(records: Iterable[Record]) -> str:
    """SHA-256 (hex) of records in canonical form: a line `sequence cause kind schema length`, then the payload."""
    whole = hashlib.sha256()
    for record in records:
        head = f"{record.sequence} {record.cause} {record.kind} {record.schema} {len(record.payload)}\n"
        whole.update(head.encode())
        whole.update(record.payload)
    return whole.hexdigest()
