"""Copies of a journal, made while a daemon writes it: a backup that opens like the original, and lines of JSON."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import msgspec

from longwatch.errors import JournalError, UsageError
from longwatch.journal.chain import Anchor
from longwatch.journal.layout import archive_of, form_of, reading, sync_directory, told
from longwatch.journal.reading import PROGRESS_RECORDS, Entry, anchor_in, read_entries, verify

Progress = Callable[[str, int, int], None]

_PAGES_AT_ONCE = 4_096


def backup(path: Path, to: Path, progress: Progress = lambda what, done, of: None) -> tuple[Anchor, tuple[Path, ...]]:
    """Copy a journal, and its archive if there is one, as they stand at one moment; the copy's anchor and files.

    The copy gets its name once it has been verified. Raises JournalError, and UsageError when a file is in the way.
    """
    with reading(path) as connection:
        form_of(connection, path)
    copies = [(path, to)]
    if archive_of(path).exists():
        # Events only ever move from the journal to the archive: the journal's moment must not be the later one.
        copies.append((archive_of(path), archive_of(to)))
    for _, copy in copies:
        must_be_new(copy)
    with told(to, "copied"), beside(to) as folder:
        for source, copy in copies:
            _copy(source, folder / copy.name, progress)
        journal = folder / to.name
        with reading(journal) as connection:
            anchor = anchor_in(connection, form_of(connection, journal))
        if flaws := verify(journal, progress=lambda done, of: progress("verify", done, of)):
            flaw = flaws[0].replace(str(journal), str(path))
            raise JournalError(f"the copy is not kept, since the journal is not as it should be: {flaw}")
        for _, copy in reversed(copies):
            os.replace(folder / copy.name, copy)
        sync_directory(to.parent)
    return anchor, tuple(copy for _, copy in copies)


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A folder of our own on the same disk as `path`, for what has not earned its name yet; removed with all in it."""
    with TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as name:
        yield Path(name)


def must_be_new(path: Path) -> None:
    """Raises UsageError when there is something at `path`, or no folder to put it in."""
    if path.exists():
        raise UsageError(f"{path} is already there and is not written over; give another name, or move it away")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}; make it, or give another name")


def _copy(source: Path, copy: Path, progress: Progress) -> None:
    os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with reading(source) as connection:
        # The first read fixes the moment; without it SQLite would begin again with each commit of the daemon.
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        with told(copy, "copied"), closing(sqlite3.connect(copy)) as target:
            connection.backup(
                target,
                pages=_PAGES_AT_ONCE,
                progress=lambda status, remaining, total: progress("copy", total - remaining, total),
            )
        descriptor = os.open(copy, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def export(path: Path, to: BinaryIO, progress: Progress = lambda what, done, of: None) -> int:
    """Write every record, archived ones too, as a line of JSON; how many. They are not judged: see `verify`."""
    with reading(path) as connection:
        last = anchor_in(connection, form_of(connection, path)).sequence
    count = 0
    for count, entry in enumerate(read_entries(path, last=last), 1):
        to.write(line_of(entry))
        if not count % PROGRESS_RECORDS:
            progress("export", count, last)
    return count


def line_of(entry: Entry) -> bytes:
    """One record as a line of JSON; `payload` is null, and `bytes` says them in hex, when they are no JSON."""
    record = entry.record
    row = {
        "sequence": record.sequence,
        "cause": record.cause,
        "kind": record.kind,
        "schema": record.schema,
        "hash": entry.hash.hex(),
    }
    if entry.is_away:
        more: dict[str, object] = {"payload": None, "archived": True}
    else:
        try:
            more = {"payload": msgspec.json.decode(record.payload, type=msgspec.Raw)}
        except msgspec.MsgspecError:
            more = {"payload": None, "bytes": record.payload.hex()}
    return msgspec.json.encode(row | more) + b"\n"
