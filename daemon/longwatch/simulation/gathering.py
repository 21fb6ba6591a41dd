"""The journal of a simulated run: many batches go into one transaction of the file; made by simulate's bench.

A simulated crash ends the daemon and not the process, so what was taken is never lost, and whoever reads the file
through the journal, or opens it after `close`, finds everything. Records, their order and their hashes are the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Sequence
from datetime import datetime

from longwatch.journal.chain import Anchor
from longwatch.journal.checkpoints import Checkpoint
from longwatch.journal.layout import Identity
from longwatch.journal.records import Record, Settled
from longwatch.journal.sqlite import InlineJournal
from longwatch.journal.store import Store

AT_ONCE = 500
"""So many records wait at most."""


class GatheringJournal(InlineJournal):
    """Raises JournalError from whatever call brought it to a write that failed: there is no journal to go on with."""

    def __init__(self, store: Store, identity: Identity) -> None:
        super().__init__(store, identity)
        self._gathered: list[Record] = []

    @property
    def last_sequence(self) -> int:
        return self._accepted

    @property
    def anchor(self) -> Anchor:
        self._write()
        return super().anchor

    def append(self, batch: Sequence[Record]) -> Awaitable[None]:
        """Take the batch; it is as durable as anything in a simulated process."""
        reason = self._refusal(batch)
        if reason is None:
            self._gathered += batch
            self._accepted += len(batch)
            if len(self._gathered) >= AT_ONCE:
                self._write()
        return Settled(reason)

    def checkpoints(self) -> Iterator[Checkpoint]:
        self._write()
        return super().checkpoints()

    def read(self, from_sequence: int = 1, *, only_facts: bool = False) -> Iterator[Record]:
        self._write()
        return super().read(from_sequence, only_facts=only_facts)

    def verify(self) -> tuple[str, ...]:
        self._write()
        return super().verify()

    async def archive(self, before: datetime) -> int:
        self._write()
        return await super().archive(before)

    async def reopen(self) -> int:
        self._write()
        return await super().reopen()

    async def close(self) -> None:
        self._write()
        await super().close()

    def _is_due(self, sequence: int, least: int | None) -> bool:
        is_due = super()._is_due(sequence, least)
        if is_due:
            self._write()
        return is_due

    def _write(self) -> None:
        gathered, self._gathered = self._gathered, []
        self._store.write([gathered])
