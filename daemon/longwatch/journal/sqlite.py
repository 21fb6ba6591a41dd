"""The journal on SQLite, written at once (simulation) or by one thread in groups (production); opened by app.py."""

from __future__ import annotations

import asyncio
import enum
import threading
from collections.abc import Awaitable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Self

from longwatch.errors import JournalError
from longwatch.journal import store as storage
from longwatch.journal.records import Record, digest
from longwatch.journal.store import Identity, Store, Synchronous, open_store

MAX_WAITING = 1024
"""Batches that may wait for the disk; one more, and the disk counts as failed."""

_GROUP_BATCHES = 256
_CHECKPOINT_COMMITS = 500


class _SqliteJournal:
    """What both journals share: identity, reading, and the order in which records are accepted."""

    def __init__(self, store: Store, identity: Identity) -> None:
        self._store = store
        self.identity = identity
        self._accepted = store.last_sequence
        self._failure: str | None = None

    @classmethod
    def open(
        cls, path: Path | str, *, account: str, mode: str, fresh_id: str, synchronous: Synchronous = "FULL"
    ) -> Self:
        """Open the journal at `path`, making it with the id `fresh_id` when there is none; see `store.open_store`."""
        return cls(*open_store(Path(path), account=account, mode=mode, fresh_id=fresh_id, synchronous=synchronous))

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

    def read(self, from_sequence: int = 1) -> Iterator[Record]:
        """The durable records in order, streamed; JournalError at a gap or at what can't be read."""
        return storage.read_records(self.path, from_sequence)

    def sha256(self) -> str:
        """Hex digest of all durable records in canonical form; of the records, not of SQLite's pages."""
        return digest(self.read())

    def verify(self) -> tuple[str, ...]:
        """One sentence for each thing wrong with the stored records; empty when nothing is."""
        return storage.verify(self.path)

    def _refusal(self, batch: Sequence[Record]) -> str | None:
        if self._failure is not None:
            return self._failure
        for expected, record in enumerate(batch, self._accepted + 1):
            if record.sequence != expected:
                return f"{self.path}: record {record.sequence} can't follow {expected - 1}; report this fault"
        return None


class InlineJournal(_SqliteJournal):
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
        return _Settled(reason)

    async def reopen(self) -> int:
        """Try the storage again after a failure and answer the last durable sequence."""
        self._accepted = self._store.reopen()
        self._failure = None
        return self._accepted

    async def close(self) -> None:
        """Close the file and give up its lock."""
        self._failure = self._failure or f"{self.path}: the journal is closed"
        self._store.close()


class _Settled(Awaitable[None]):
    """An awaitable that has already ended, well or with a reason; it needs no loop."""

    def __init__(self, reason: str | None) -> None:
        self._reason = reason

    def __await__(self) -> Generator[None, None, None]:
        if self._reason is not None:
            raise JournalError(self._reason)
        yield from ()


class _Wish(enum.Enum):
    WRITE = enum.auto()
    REOPEN = enum.auto()
    CLOSE = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    wish: _Wish
    batch: Sequence[Record]
    done: asyncio.Future[None]
    loop: asyncio.AbstractEventLoop


class ThreadedJournal(_SqliteJournal):
    """One writer thread; all batches waiting when it is free share one transaction, and so one sync of the disk."""

    def __init__(self, store: Store, identity: Identity) -> None:
        super().__init__(store, identity)
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._waiting = 0
        self._commits = 0
        self._commits_kept = 0
        self._write_failure: str | None = None
        self._thread = threading.Thread(target=self._run, name="longwatch-journal", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Batches accepted and not yet durable."""
        return self._waiting

    @property
    def commits(self) -> int:
        """Transactions committed since the journal was opened."""
        return self._commits

    def append(self, batch: Sequence[Record]) -> Awaitable[None]:
        """Hand the batch to the writer at once; called on the loop, which is told when the batch is durable."""
        reason = self._refusal(batch)
        if reason is None and self._waiting >= MAX_WAITING:
            reason = self._failure = f"{self.path}: {self._waiting} batches wait for the disk; look at the disk"
        if reason is not None:
            return _Settled(reason)
        self._accepted += len(batch)
        return self._ask(_Wish.WRITE, tuple(batch))

    async def reopen(self) -> int:
        """Try the storage again after a failure and answer the last durable sequence."""
        await self._ask(_Wish.REOPEN)
        return self.last_sequence

    async def close(self) -> None:
        """Write what was accepted, close the file, give up its lock, and end the thread."""
        if self._thread.is_alive():
            await self._ask(_Wish.CLOSE)
            self._thread.join()

    def _ask(self, wish: _Wish, batch: Sequence[Record] = ()) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        job = _Job(wish=wish, batch=batch, done=loop.create_future(), loop=loop)
        self._waiting += 1
        self._jobs.put(job)
        return job.done

    def _run(self) -> None:
        """The writer thread: take what waits, write it, tell the loop; until told to close."""
        job: _Job | None = None
        while job is None or job.wish is not _Wish.CLOSE:
            job = self._next(self._jobs.get())
            if self._jobs.empty():
                self._tidy()

    def _next(self, job: _Job) -> _Job:
        """Write `job` and the batches waiting behind it, then do the first thing among them that is not a write."""
        group: list[_Job] = []
        while job.wish is _Wish.WRITE:
            group.append(job)
            if len(group) == _GROUP_BATCHES:
                break
            try:
                job = self._jobs.get_nowait()
            except Empty:
                break
        if group:
            self._write(group)
        if job.wish is not _Wish.WRITE:
            self._obey(job)
        return job

    def _write(self, group: Sequence[_Job]) -> None:
        # A disk that is only slow makes appends be refused, but what was accepted before that is still written.
        if self._write_failure is None:
            try:
                self._store.write([job.batch for job in group])
                self._commits += 1
            except JournalError as error:
                self._fail(error)
        self._tell(group, self._write_failure)

    def _obey(self, job: _Job) -> None:
        reason: str | None = None
        try:
            if job.wish is _Wish.REOPEN:
                self._accepted = self._store.reopen()
                self._failure = self._write_failure = None
            else:
                self._failure = self._failure or f"{self.path}: the journal is closed"
                self._store.close()
        except JournalError as error:
            reason = self._fail(error)
        self._tell([job], reason)

    def _tidy(self) -> None:
        if self._failure is None and self._commits - self._commits_kept >= _CHECKPOINT_COMMITS:
            self._commits_kept = self._commits
            try:
                self._store.checkpoint()
            except JournalError as error:
                self._fail(error)

    def _fail(self, error: JournalError) -> str:
        self._failure = self._write_failure = str(error)
        return self._failure

    def _tell(self, jobs: Sequence[_Job], reason: str | None) -> None:
        try:
            jobs[0].loop.call_soon_threadsafe(self._settle, jobs, reason)
        except RuntimeError:
            # The loop was closed while we wrote: nobody is left to be told, and the records are on the disk.
            return

    def _settle(self, jobs: Sequence[_Job], reason: str | None) -> None:
        self._waiting -= len(jobs)
        for job in jobs:
            if job.done.done():
                continue
            if reason is None:
                job.done.set_result(None)
            else:
                job.done.set_exception(JournalError(reason))
