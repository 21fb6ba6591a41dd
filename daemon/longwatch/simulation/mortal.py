"""A journal's file as a killed process leaves it: nothing tidied up, and a commit cut in the middle of its bytes.

Made by the cutter in place of journal.store.Store, of which everything else is as it is.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import quote

from longwatch.journal.layout import Synchronous
from longwatch.journal.records import Record
from longwatch.journal.store import Store

LOG_HEADER, FRAME_HEADER = 32, 24
"""Bytes of SQLite's write-ahead log before its first frame, and of a frame before its page; sqlite.org/fileformat2."""
PAGE_SIZE_AT, SALTS_AT, FRAME_SALTS_AT, SALTS = 8, 16, 8, 8
TIDY_COMMITS = 200
"""The log is moved into the file so often, as production does when it is idle: at its 8,000th frame SQLite would do it
inside a commit, which then has no torn half."""

Result = TypeVar("Result")


class Killed(BaseException):
    """Raised where the daemon's process ends; nothing of it catches this."""


class Side(StrEnum):
    """On which side of a commit the daemon dies."""

    BEFORE = "not begun"
    TORN = "torn"
    AFTER = "durable"


class Executioner(Protocol):
    """Who says which commit is the last; the cutter."""

    def committing(self, records: Sequence[Record]) -> Side | None:
        """Asked at each commit (without records: of a checkpoint or the archive): the side to die on, or None."""
        ...

    def part(self) -> float:
        """How much of a torn commit's bytes is written, in [0, 1)."""
        ...

    def execute(self) -> None:
        """The daemon dies now, at the commit asked about; `sever` is called before this returns."""
        ...


class MortalStore(Store):
    """As its base until `sever`; then nothing is written any more, and `close` leaves the files as they lie."""

    def __init__(self, path: Path, lock_held: int, synchronous: Synchronous, *, executioner: Executioner) -> None:
        super().__init__(path, lock_held, synchronous)
        self._executioner = executioner
        self._is_dead = False
        self._torn_to: int | None = None
        self._commits = 0

    def sever(self) -> None:
        """The process is dead."""
        self._is_dead = True

    def write(self, batches: Sequence[Sequence[Record]]) -> None:
        write = super().write
        records = [record for batch in batches for record in batch]
        if records:
            self._commit(records, lambda: write(batches))

    def put_part(self, sequence: int, part: int, content: bytes) -> None:
        put_part = super().put_part
        self._commit((), lambda: put_part(sequence, part, content))

    def finish_checkpoint(self, sequence: int, code: str, parts: int, digest: bytes) -> None:
        finish = super().finish_checkpoint
        self._commit((), lambda: finish(sequence, code, parts, digest))

    def archive_some(self, journal_id: str, up_to: int) -> int:
        archive_some = super().archive_some
        return self._commit((), lambda: archive_some(journal_id, up_to))

    def close(self) -> None:
        if not self._is_dead:
            super().close()
            return
        # The last connection that can write would move the log into the file; one that only reads can't.
        with closing(sqlite3.connect(f"file:{quote(str(self.path))}?mode=ro", uri=True)) as reader:
            reader.execute("SELECT count(*) FROM meta").fetchone()
            super().close()
        if self._torn_to is not None:
            os.truncate(self._wal, self._torn_to)

    def _commit(self, records: Sequence[Record], write: Callable[[], Result]) -> Result:
        if self._is_dead:
            raise Killed
        side = self._executioner.committing(records)
        if side is Side.BEFORE:
            self._die()
        former, began = log_end(self._wal) if side is Side.TORN else (b"", 0)
        result = write()
        if side is Side.TORN:
            salts, ended = log_end(self._wal)
            # What was written may be the first of a new log, or nothing: what lay there before is not torn.
            first = began if salts == former else LOG_HEADER
            self._torn_to = first + int((ended - first) * self._executioner.part())
        if side is not None:
            self._die()
        self._commits += 1
        if not self._commits % TIDY_COMMITS:
            self.sync_log()
        return result

    def _die(self) -> None:
        self._executioner.execute()
        raise Killed


def log_end(path: str) -> tuple[bytes, int]:
    """The salts of a write-ahead log, and its bytes up to the end of its last frame: behind it lies an earlier log."""
    try:
        with open(path, "rb") as log:
            header = log.read(LOG_HEADER)
            frame = FRAME_HEADER + int.from_bytes(header[PAGE_SIZE_AT : PAGE_SIZE_AT + 4], "big")
            salts, end = header[SALTS_AT : SALTS_AT + SALTS], LOG_HEADER
            while salts and log.read(FRAME_HEADER)[FRAME_SALTS_AT : FRAME_SALTS_AT + SALTS] == salts:
                end += frame
                log.seek(end)
            return salts, end
    except FileNotFoundError:
        return b"", LOG_HEADER
