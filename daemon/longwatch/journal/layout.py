"""The form of a journal's SQLite file: tables, identity, lock, making a new one, opening; used by store and reading."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from longwatch.errors import JournalError

LAYOUT = "2"
BEFORE_CHAIN = "1"
"""The layout without hash chain and checkpoints: it is read as it is, and brought to today's by the next daemon."""

APPLICATION_ID = 0x4C574A31
"""The number in the SQLite header that marks the file as a journal of ours ("LWJ1")."""

RECORD_TABLE = (
    "CREATE TABLE record("
    "sequence INTEGER PRIMARY KEY, cause INTEGER, kind TEXT, schema INTEGER, payload BLOB, chain BLOB)"
)
CHECKPOINT_TABLES = (
    "CREATE TABLE checkpoint(sequence INTEGER PRIMARY KEY, code TEXT, parts INTEGER, seal BLOB)",
    "CREATE TABLE checkpoint_part(sequence INTEGER, part INTEGER, bytes BLOB, PRIMARY KEY(sequence, part))",
)
META_TABLE = "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL)"

# No text of a payload can look like this: inside a text each quotation mark has a backslash before it.
NAMES_INTENT = "instr(payload, CAST('\"intent\":' AS BLOB)) > 0"
INTENT = "CAST(CAST(substr(payload, instr(payload, CAST('\"intent\":' AS BLOB)) + 9, 18) AS TEXT) AS INTEGER)"

SOUGHT = (
    "CommissionBooked",
    "ConfigApplied",
    "DataJudged",
    "EquitySet",
    "FillBooked",
    "IdsReserved",
    "OrderIdentified",
    "OrderIntended",
    "OrderSending",
    "RebalanceDecided",
    "RunOpened",
    "TargetsSet",
)
"""Facts of these kinds are found at once, wherever they are; none of them comes all the time."""

INDEXES = (
    f"CREATE INDEX IF NOT EXISTS record_by_intent ON record({INTENT}) WHERE {NAMES_INTENT}",
    "CREATE INDEX IF NOT EXISTS record_by_kind ON record(kind) WHERE "
    + " OR ".join(f"kind = '{kind}'" for kind in SOUGHT),
)

ARCHIVED_TO = "archived_to"
"""Key in `meta`: up to this sequence events have been moved to the archive."""

# The lock keeps other daemons out, so a busy database is a stray program: it is given this long to finish.
_BUSY_SECONDS = 0.5

Synchronous = Literal["FULL", "OFF"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whose journal it is: random id, the broker's account, and the mode it trades in."""

    journal_id: str
    account: str
    mode: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What the file says of itself; `archived_to` is 0 while nothing was moved to an archive."""

    identity: Identity
    layout: str
    archived_to: int


def archive_of(path: Path) -> Path:
    """Where a journal's old events lie."""
    return path.with_name(f"{path.name}-archive")


def read_identity(path: Path) -> Identity:
    """Whose journal the file is, with or without a daemon running on it; JournalError when it is none of ours."""
    with reading(path) as connection:
        return form_of(connection, path).identity


def form_of(connection: sqlite3.Connection, path: Path) -> Form:
    """What an open file says of itself; JournalError when it is no journal, or of a layout that isn't known."""
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise JournalError(f"{path} is not a Longwatch journal; give another trading.journal.path")
    meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    missing = [key for key in ("layout", "journal_id", "account", "mode") if not isinstance(meta.get(key), str)]
    if missing:
        raise JournalError(
            f"{path}: the journal does not say its {' and '.join(missing)}, so it is damaged; restore it from a copy"
        )
    if meta["layout"] not in (LAYOUT, BEFORE_CHAIN):
        raise JournalError(
            f"{path} is a journal of layout {meta['layout']}, and this version reads layout {LAYOUT}; "
            f"run the version that wrote it"
        )
    archived_to = meta.get(ARCHIVED_TO, "0")
    if not archived_to.isdigit():
        raise JournalError(f"{path}: {archived_to!r} is no sequence archived up to; restore the journal from a copy")
    identity = Identity(journal_id=meta["journal_id"], account=meta["account"], mode=meta["mode"])
    return Form(identity=identity, layout=meta["layout"], archived_to=int(archived_to))


def lock(path: Path) -> int:
    """Hold `path`.lock until the process ends; the file stays, since removing it would let two holders in."""
    held = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(held, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(held)
        raise JournalError(
            f"{path} is in use by process {holder}; stop that one, or give this one another trading.journal.path"
        ) from None
    os.ftruncate(held, 0)
    os.pwrite(held, f"{os.getpid()}\n".encode(), 0)
    return held


def create(path: Path, identity: Identity) -> None:
    """Make the journal beside its place and rename it there: an empty or half-made file is never a new journal."""
    if Path(f"{path}-wal").exists():
        raise JournalError(f"{path} is missing but {path}-wal is there; restore both, or move the second away")
    new = Path(f"{path}.new")
    with told(path, "made"):
        new.unlink(missing_ok=True)
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(sqlite3.connect(new, isolation_level=None)) as connection:
            connection.execute("BEGIN")
            for statement in (META_TABLE, RECORD_TABLE, *CHECKPOINT_TABLES, *INDEXES):
                connection.execute(statement)
            meta = {"layout": LAYOUT} | asdict(identity)
            connection.executemany("INSERT INTO meta(key, value) VALUES (?, ?)", meta.items())
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("COMMIT")
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
        os.replace(new, path)
        sync_directory(path.parent)


def sync_directory(folder: Path) -> None:
    """Make a renaming in this folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def connect(path: Path, synchronous: Synchronous) -> sqlite3.Connection:
    """A connection that writes."""
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode=rw",
        uri=True,
        isolation_level=None,
        timeout=_BUSY_SECONDS,
        check_same_thread=False,
    )
    connection.execute("PRAGMA journal_mode = WAL").fetchall()
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    # A checkpoint inside a commit would make that commit ten times as long: the writer makes them when it is idle.
    connection.execute("PRAGMA wal_autocheckpoint = 8000").fetchall()
    return connection


@contextmanager
def reading(path: Path, *, with_archive: bool = False) -> Iterator[sqlite3.Connection]:
    """A connection that only reads, all of it from one moment; the archive, if it is there, is attached as `archive`.

    Needs no lock: a running daemon's journal is read as it stood when reading began. Raises JournalError.
    """
    if path.is_dir():
        raise JournalError(f"{path} is a directory, not a journal; give the path of the journal's file")
    with (
        told(path, "read"),
        closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None)) as connection,
    ):
        if with_archive and archive_of(path).exists():
            connection.execute("ATTACH ? AS archive", (f"file:{quote(str(archive_of(path)))}?mode=ro",))
        connection.execute("BEGIN")
        yield connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All that is written within, or nothing of it, whatever is raised; what the failure was is not hidden."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


@contextmanager
def told(path: Path, doing: str) -> Iterator[None]:
    """Turn the storage's errors into one sentence about the journal."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise JournalError(
            f"{path}: the journal can't be {doing} ({error}); look at the disk, and restore a damaged file from a copy"
        ) from error
