"""The journal of production on SQLite: one thread writes, in groups, and the loop never waits; opened by production."""

from __future__ import annotations

import asyncio
import enum
import logging
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from queue import Empty, SimpleQueue

from longwatch.domain.state import State
from longwatch.errors import JournalError
from longwatch.journal import checkpoints
from longwatch.journal.archive import last_before
from longwatch.journal.layout import Identity
from longwatch.journal.records import Record, Settled
from longwatch.journal.sqlite import SqliteJournal
from longwatch.journal.store import Store

MAX_WAITING = 1024
"""Batches that may wait for the disk; one more, and the disk counts as failed."""
LOOK_SECONDS = 10.0
"""A journal that nobody writes to is looked at so often: its file may have been moved or deleted."""

_GROUP_BATCHES = 256
_SYNC_LOG_COMMITS = 500
_BREATH_SECONDS = 0.001

_LOG = logging.getLogger("longwatch.journal")


class _Wish(enum.Enum):
    WRITE = enum.auto()
    WORK = enum.auto()
    REOPEN = enum.auto()
    CLOSE = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """`done` is told on `loop`; None: nobody waits for it. `work` is done between two commits."""

    wish: _Wish
    batch: Sequence[Record] = ()
    work: Callable[[Store], None] | None = None
    done: asyncio.Future[None] | None = None
    loop: asyncio.AbstractEventLoop | None = None


@dataclass(slots=True)
class _Attempt:
    """The steps of one checkpoint: after one that failed the others are left out."""

    has_failed: bool = False

    def do(self, work: Callable[[Store], None], store: Store) -> None:
        if not self.has_failed:
            self.has_failed = True
            work(store)
            self.has_failed = False


class ThreadedJournal(SqliteJournal):
    """One writer thread; all batches waiting when it is free share one transaction, and so one sync of the disk."""

    def __init__(self, store: Store, identity: Identity) -> None:
        super().__init__(store, identity)
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._waiting = 0
        self._commits = 0
        self._commits_kept = 0
        self._write_failure: str | None = None
        self._failed: Callable[[str], None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._encoder: threading.Thread | None = None
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

    def watch(self, failed: Callable[[str], None]) -> None:
        """Call `failed`, on the running loop, with what was found wrong while nothing was written."""
        self._failed, self._loop = failed, asyncio.get_running_loop()

    def append(self, batch: Sequence[Record]) -> Awaitable[None]:
        """Hand the batch to the writer at once; called on the loop, which is told when the batch is durable."""
        reason = self._refusal(batch)
        if reason is None and self._waiting >= MAX_WAITING:
            reason = self._failure = f"{self.path}: {self._waiting} batches wait for the disk; look at the disk"
        if reason is not None:
            return Settled(reason)
        self._accepted += len(batch)
        return self._ask(_Wish.WRITE, batch=tuple(batch))

    def checkpoint(self, sequence: int, state: State, least: int | None = None) -> None:
        """Have a thread encode the state as it is now, if a checkpoint is due; it is written between commits."""
        if (self._encoder is None or not self._encoder.is_alive()) and self._is_due(sequence, least):
            now = checkpoints.snapshot(state)
            self._encoder = threading.Thread(
                target=self._encode, args=(sequence, now), name="longwatch-checkpoint", daemon=True
            )
            self._encoder.start()

    async def archive(self, before: datetime) -> int:
        """Move events of before this market time beside the journal; how many records that was about."""
        done = [0]
        up_to = await asyncio.to_thread(last_before, self.path, before)
        await self._ask(_Wish.WORK, work=lambda store: done.append(store.archive_some(self.journal_id, 0)))
        first = done[-1]
        while done[-1] < up_to:
            await self._ask(_Wish.WORK, work=lambda store: done.append(store.archive_some(self.journal_id, up_to)))
        return done[-1] - first

    async def reopen(self) -> int:
        """Try the storage again after a failure and answer the last durable sequence."""
        await self._ask(_Wish.REOPEN)
        return self.last_sequence

    async def close(self) -> None:
        """Write what was accepted, close the file, give up its lock, and end the threads."""
        if self._encoder is not None:
            await asyncio.to_thread(self._encoder.join)
        if self._thread.is_alive():
            await self._ask(_Wish.CLOSE)
            self._thread.join()

    def _ask(
        self, wish: _Wish, *, batch: Sequence[Record] = (), work: Callable[[Store], None] | None = None
    ) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiting += 1
        self._jobs.put(_Job(wish=wish, batch=batch, work=work, done=done, loop=loop))
        return done

    def _encode(self, sequence: int, state: State) -> None:
        """The checkpoint's thread: hand the writer one part after the other, and let the loop run in between."""
        attempt = _Attempt()
        for work in checkpoints.storing(sequence, state, partial(threading.Event().wait, _BREATH_SECONDS)):
            self._jobs.put(_Job(wish=_Wish.WORK, work=partial(attempt.do, work)))

    def _run(self) -> None:
        """The writer thread: take what waits, write it, tell the loop; until told to close."""
        job: _Job | None = None
        while job is None or job.wish is not _Wish.CLOSE:
            try:
                job = self._next(self._jobs.get(timeout=LOOK_SECONDS))
            except Empty:
                self._look()
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
            if job.work is not None:
                job.work(self._store)
            elif job.wish is _Wish.REOPEN:
                self._accepted = self._store.reopen()
                self._failure = self._write_failure = None
            else:
                self._failure = self._failure or f"{self.path}: the journal is closed"
                self._store.close()
        except JournalError as error:
            # Checkpoints and archiving may be done another time: the records are what must be written.
            reason = str(error) if job.work is not None else self._fail(error)
        if reason is not None and job.done is None:
            _LOG.warning("no checkpoint was made: %s", reason)
        self._tell([job], reason)

    def _look(self) -> None:
        """Nobody wrote for a while: see that what is written next would still be found."""
        if self._failure is not None:
            return
        try:
            self._store.look()
        except JournalError as error:
            reason = self._fail(error)
            if self._loop is not None and self._failed is not None:
                with suppress(RuntimeError):  # The loop was closed while we looked.
                    self._loop.call_soon_threadsafe(self._failed, reason)

    def _tidy(self) -> None:
        if self._failure is None and self._commits - self._commits_kept >= _SYNC_LOG_COMMITS:
            self._commits_kept = self._commits
            try:
                self._store.sync_log()
            except JournalError as error:
                self._fail(error)

    def _fail(self, error: JournalError) -> str:
        self._failure = self._write_failure = str(error)
        return self._failure

    def _tell(self, jobs: Sequence[_Job], reason: str | None) -> None:
        loop = jobs[0].loop
        if loop is not None:
            # Without a loop nobody is left to be told, and the records are on the disk.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._settle, jobs, reason)

    def _settle(self, jobs: Sequence[_Job], reason: str | None) -> None:
        self._waiting -= len(jobs)
        for job in jobs:
            if job.done is None or job.done.done():
                continue
            if reason is None:
                job.done.set_result(None)
            else:
                job.done.set_exception(JournalError(reason))
