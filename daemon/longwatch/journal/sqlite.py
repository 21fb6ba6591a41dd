"""What journals on SQLite share, and the one that writes at once, in the caller's thread; used by the simulation."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Self

from longwatch.domain.state import State
from longwatch.errors import JournalError
from longwatch.journal import checkpoints, reading
from longwatch.journal.archive import last_before
from longwatch.journal.chain import Anchor
from longwatch.journal.checkpoints import Checkpoint
from longwatch.journal.layout import Identity, Synchronous
from longwatch.journal.records import Record, Settled, digest
from longwatch.journal.store import Store, open_store

_LOG = logging.getLogger("longwatch.journal")


class SqliteJournal:
    """What both journals share: identity, reading, and the order in which records are accepted."""

    def __init__(self, store: Store, identity: Identity) -> None:
        self._store = store
        self.identity = identity
        self.checkpoint_records = checkpoints.RECORDS
        self._accepted = store.last_sequence
        self._tried = 0
        self._failure: str | None = None

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        account: str,
        mode: str,
        fresh_id: str,
        synchronous: Synchronous = "FULL",
        store_of: Callable[[Path, int, Synchronous], Store] = Store,
    ) -> Self:
        """Open the journal at `path`, making it with the id `fresh_id` when there is none; see `store.open_store`."""
        whose = {"account": account, "mode": mode, "fresh_id": fresh_id}
        return cls(*open_store(Path(path), **whose, synchronous=synchronous, store_of=store_of))

    @property
    def path(self) -> Path:
        """The journal's file."""
        return self._store.path

    @property
    def journal_id(self) -> str:
        """Random hex, fixed when the journal was made."""
        return self.identity.journal_id

    @property
    def last_sequence(self) -> int:
        """The sequence of the last durable record; 0 when there is none."""
        return self._store.last_sequence

    @property
    def failure(self) -> str | None:
        """Why nothing more is accepted, or None while the journal is well."""
        return self._failure

    @property
    def anchor(self) -> Anchor:
        """The last durable record's sequence and hash."""
        return self._store.anchor

    def watch(self, failed: Callable[[str], None]) -> None:
        """Call `failed`, on the running loop, with what was found wrong while nothing was written."""

    def checkpoints(self) -> Iterator[Checkpoint]:
        """What is stored of them, the newest first."""
        return checkpoints.read_checkpoints(self.path)

    def read(self, from_sequence: int = 1, *, only_facts: bool = False) -> Iterator[Record]:
        """The durable records in order, streamed; JournalError at a gap, a broken link, or what can't be read.

        Events that were moved to the archive are left out; with `only_facts` all events are.
        """
        return reading.read_records(self.path, from_sequence, only_facts=only_facts)

    def sha256(self) -> str:
        """Hex digest of all durable records in canonical form; of the records, not of SQLite's pages."""
        return digest(self.read())

    def verify(self) -> tuple[str, ...]:
        """One sentence for each thing wrong with the stored records; empty when nothing is."""
        return reading.verify(self.path)

    def _is_due(self, sequence: int, least: int | None) -> bool:
        """Whether enough has come since the last checkpoint was made or tried, and the journal can take one."""
        since = max(self._store.checkpointed, self._tried)
        if self._failure is not None or sequence - since < (self.checkpoint_records if least is None else least):
            return False
        self._tried = sequence
        return True

    def _refusal(self, batch: Sequence[Record]) -> str | None:
        if self._failure is not None:
            return self._failure
        for expected, record in enumerate(batch, self._accepted + 1):
            if record.sequence != expected:
                return f"{self.path}: record {record.sequence} can't follow {expected - 1}; report this fault"
        return None


class InlineJournal(SqliteJournal):
    """Writes when it is told to, in the caller's thread: one seed gives one journal."""

    def append(self, batch: Sequence[Record]) -> Awaitable[None]:
        """Write the batch in one transaction before returning; the awaitable tells how that went."""
        reason = self._refusal(batch)
        if reason is None:
            try:
                self._store.write([batch])
            except JournalError as error:
                reason = self._failure = str(error)
            else:
                self._accepted = self._store.last_sequence
        return Settled(reason)

    def checkpoint(self, sequence: int, state: State, least: int | None = None) -> None:
        """Store the state as folded up to record `sequence`, at once, if a checkpoint is due."""
        if self._is_due(sequence, least):
            try:
                for work in checkpoints.storing(sequence, state):
                    work(self._store)
            except JournalError as error:
                _LOG.warning("no checkpoint was made: %s", error)

    async def archive(self, before: datetime) -> int:
        """Move events of before this market time beside the journal; how many records that was about."""
        up_to = last_before(self.path, before)
        first = done = self._store.archive_some(self.journal_id, 0)
        while done < up_to:
            done = self._store.archive_some(self.journal_id, up_to)
        return done - first

    async def reopen(self) -> int:
        """Try the storage again after a failure and answer the last durable sequence."""
        self._accepted = self._store.reopen()
        self._failure = None
        return self._accepted

    async def close(self) -> None:
        """Close the file and give up its lock."""
        self._failure = self._failure or f"{self.path}: the journal is closed"
        self._store.close()
