"""The journal's promises: durable in order, one sync for many, nothing lost silently, nobody else's file."""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.errors import JournalError
from longwatch.journal.layout import read_identity
from longwatch.journal.reading import read_records
from longwatch.journal.records import Journal, Record, digest
from longwatch.journal.sqlite import InlineJournal
from longwatch.journal.threaded import MAX_WAITING, ThreadedJournal

J = TypeVar("J", InlineJournal, ThreadedJournal)
KINDS: tuple[type[InlineJournal | ThreadedJournal], ...] = (InlineJournal, ThreadedJournal)


def record(sequence: int, payload: bytes = b"{}", kind: str = "OrderIntended") -> Record:
    return Record(sequence=sequence, cause=max(0, sequence - 1), kind=kind, schema=1, payload=payload)


def records(first: int, count: int) -> list[Record]:
    return [record(n, f"payload {n}".encode()) for n in range(first, first + count)]


def opened(kind: type[J], path: Path, **other: str) -> J:
    return kind.open(path, **{"account": "DU1", "mode": "paper", "fresh_id": "a1b2"} | other)  # type: ignore[arg-type]


@contextmanager
def locked_by_stranger(path: Path) -> Iterator[None]:
    """A write failure that is SQLite's own: another program holds the write lock."""
    with closing(sqlite3.connect(path, isolation_level=None)) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        yield
        stranger.execute("ROLLBACK")


@pytest.mark.parametrize("kind", KINDS)
async def test_what_was_appended_is_read_back_in_order_by_the_next_process(kind, tmp_path: Path) -> None:
    """Records survive closing, with every column as it was, and the sequence goes on where it stood."""
    journal = opened(kind, tmp_path / "j.sqlite")
    await journal.append(records(1, 3))
    await journal.append(records(4, 2))
    assert journal.last_sequence == 5
    await journal.close()
    again = opened(kind, tmp_path / "j.sqlite", fresh_id="ffff")
    assert again.last_sequence == 5
    assert again.journal_id == "a1b2"
    assert list(again.read()) == records(1, 5)
    assert list(again.read(4)) == records(4, 2)
    await again.append(records(6, 1))
    assert again.verify() == ()
    await again.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_journal_is_what_the_protocol_asks(kind, tmp_path: Path) -> None:
    """Both implementations can stand where a Journal is wanted."""
    journal: Journal = opened(kind, tmp_path / "j.sqlite")
    await journal.append([])
    assert journal.failure is None and journal.last_sequence == 0
    await journal.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_record_out_of_order_is_refused_and_the_right_one_still_taken(kind, tmp_path: Path) -> None:
    """A gap or a repeat never reaches the file."""
    journal = opened(kind, tmp_path / "j.sqlite")
    await journal.append(records(1, 2))
    for wrong in ([record(4)], [record(2)], [record(3), record(5)]):
        with pytest.raises(JournalError, match="can't follow"):
            await journal.append(wrong)
    await journal.append([record(3)])
    assert [r.sequence for r in journal.read()] == [1, 2, 3]
    await journal.close()


async def test_batches_waiting_together_share_one_commit(tmp_path: Path) -> None:
    """Thirty-two intents appended in one turn of the loop cost at most two transactions."""
    journal = opened(ThreadedJournal, tmp_path / "j.sqlite")
    with locked_by_stranger(journal.path):
        first = asyncio.ensure_future(journal.append([record(1)]))
        rest = [asyncio.ensure_future(journal.append([record(n)])) for n in range(2, 34)]
    await asyncio.gather(first, *rest)
    assert journal.last_sequence == 33
    assert journal.commits <= 2
    await journal.close()


async def test_the_loop_goes_on_while_the_writer_waits_for_the_disk(tmp_path: Path) -> None:
    """A disk that stalls for half a second doesn't hold the loop for a twentieth of that."""
    journal = opened(ThreadedJournal, tmp_path / "j.sqlite")
    worst, before = 0.0, time.perf_counter()
    with locked_by_stranger(journal.path):
        pending = asyncio.ensure_future(journal.append([record(1)]))
        while not pending.done():
            await asyncio.sleep(0.001)
            worst, before = max(worst, time.perf_counter() - before), time.perf_counter()
    assert isinstance(pending.exception(), JournalError)
    assert worst < 0.1
    await journal.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_after_a_failed_write_nothing_is_accepted_until_reopened(kind, tmp_path: Path) -> None:
    """The failure is told on the awaitable and by `failure`; reopening answers where to go on, and then it goes on."""
    journal = opened(kind, tmp_path / "j.sqlite")
    await journal.append(records(1, 2))
    with locked_by_stranger(journal.path), pytest.raises(JournalError, match=r"can't be written.*locked"):
        await journal.append([record(3)])
    assert journal.failure is not None and "locked" in journal.failure
    with pytest.raises(JournalError, match="locked"):
        await journal.append([record(3)])
    assert await journal.reopen() == 2
    assert journal.failure is None
    await journal.append([record(3)])
    assert [r.sequence for r in journal.read()] == [1, 2, 3]
    await journal.close()


async def test_every_batch_waiting_behind_a_failed_one_fails_too(tmp_path: Path) -> None:
    """No batch is written after one that wasn't: that would be a hole."""
    journal = opened(ThreadedJournal, tmp_path / "j.sqlite")
    with locked_by_stranger(journal.path):
        waiting = [asyncio.ensure_future(journal.append([record(n)])) for n in range(1, 400)]
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(outcome, JournalError) for outcome in outcomes)
    assert await journal.reopen() == 0
    await journal.close()


async def test_more_batches_than_may_wait_are_refused_and_the_accepted_ones_still_written(tmp_path: Path) -> None:
    """The queue is bounded: the batch above the limit is refused aloud, those below it reach the disk."""
    journal = opened(ThreadedJournal, tmp_path / "j.sqlite")
    with locked_by_stranger(journal.path):
        waiting = [asyncio.ensure_future(journal.append([record(n)])) for n in range(1, MAX_WAITING + 1)]
        with pytest.raises(JournalError, match="wait for the disk"):
            await journal.append([record(MAX_WAITING + 1)])
    await asyncio.gather(*waiting)
    assert journal.last_sequence == MAX_WAITING
    assert await journal.reopen() == MAX_WAITING
    await journal.append([record(MAX_WAITING + 1)])
    await journal.close()


async def test_closing_writes_what_was_accepted_and_ends_the_thread(tmp_path: Path) -> None:
    """An orderly end loses nothing, leaves no thread, and a later append is refused."""
    journal = opened(ThreadedJournal, tmp_path / "j.sqlite")
    pending = asyncio.ensure_future(journal.append(records(1, 10)))
    await journal.close()
    await pending
    assert not [thread for thread in threading.enumerate() if thread.name == "longwatch-journal"]
    with pytest.raises(JournalError, match="closed"):
        await journal.append([record(11)])
    await journal.close()
    assert [r.sequence for r in read_records(tmp_path / "j.sqlite")] == list(range(1, 11))


async def test_a_caller_who_stops_waiting_takes_nothing_back(tmp_path: Path) -> None:
    """Cancelling the wait for a commit doesn't undo the commit, and disturbs no other batch."""
    journal = opened(ThreadedJournal, tmp_path / "j.sqlite")
    with locked_by_stranger(journal.path):
        given_up = asyncio.ensure_future(journal.append([record(1)]))
        other = asyncio.ensure_future(journal.append([record(2)]))
        await asyncio.sleep(0)
        given_up.cancel()
    await other
    assert journal.last_sequence == 2
    await journal.close()


@pytest.mark.parametrize("other", [{"account": "DU2"}, {"account": "U9", "mode": "live"}])
async def test_the_journal_of_another_account_or_mode_is_refused_by_name(other: dict[str, str], tmp_path: Path) -> None:
    """A paper journal is never opened in live, and the refusal leaves no lock behind."""
    path = tmp_path / "j.sqlite"
    await opened(InlineJournal, path).close()
    with pytest.raises(JournalError, match="account DU1 in mode paper") as refusal:
        opened(InlineJournal, path, **other)
    assert "\n" not in str(refusal.value)
    await opened(InlineJournal, path).close()


async def test_a_second_daemon_is_refused_with_the_holder_s_pid(tmp_path: Path) -> None:
    """One journal, one process: the sentence names who holds it."""
    journal = opened(InlineJournal, tmp_path / "j.sqlite")
    with pytest.raises(JournalError, match=f"in use by process {os.getpid()};"):
        opened(ThreadedJournal, tmp_path / "j.sqlite")
    await journal.append([record(1)])
    await journal.close()


async def test_a_running_journal_can_be_read_without_its_lock(tmp_path: Path) -> None:
    """`why` and `orders` read beside the daemon, and see the durable records."""
    journal = opened(ThreadedJournal, tmp_path / "j.sqlite")
    await journal.append(records(1, 2))
    assert list(read_records(journal.path)) == records(1, 2)
    assert read_identity(journal.path).account == "DU1"
    await journal.close()


async def test_folder_and_file_are_the_owner_s_alone(tmp_path: Path) -> None:
    """A missing folder is made 0700; journal and lock are 0600 whatever the umask."""
    before = os.umask(0)
    try:
        journal = opened(InlineJournal, tmp_path / "deep" / "er" / "j.sqlite")
        await journal.append([record(1)])
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "deep" / "er").stat().st_mode) == 0o700
    for entry in (tmp_path / "deep" / "er").iterdir():
        assert stat.S_IMODE(entry.stat().st_mode) == 0o600, entry
    await journal.close()


async def test_the_file_is_in_wal_mode_and_the_columns_are_as_specified(tmp_path: Path) -> None:
    """The form of the file is a promise: other programs may read it."""
    journal = opened(InlineJournal, tmp_path / "j.sqlite")
    await journal.append([record(1)])
    with closing(sqlite3.connect(journal.path)) as plain:
        assert plain.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        columns = [(row[1], row[2], row[5]) for row in plain.execute("PRAGMA table_info(record)")]
    assert columns == [
        ("sequence", "INTEGER", 1),
        ("cause", "INTEGER", 0),
        ("kind", "TEXT", 0),
        ("schema", "INTEGER", 0),
        ("payload", "BLOB", 0),
        ("chain", "BLOB", 0),
    ]
    await journal.close()


async def _filled(path: Path, count: int = 400) -> None:
    journal = opened(InlineJournal, path)
    await journal.append(records(1, count))
    await journal.close()


def _overwritten(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xff" * 4096)


def _truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _emptied(path: Path) -> None:
    os.truncate(path, 0)


def _text(path: Path) -> None:
    path.write_text("to be or not to be\n" * 500)


@pytest.mark.parametrize("damage", [_overwritten, _truncated, _emptied, _text])
async def test_a_damaged_file_is_told_in_one_sentence_and_never_taken_for_a_new_one(damage, tmp_path: Path) -> None:
    """Opening and reading to the end fails, with one line that names the file; `verify` says the same."""
    path = tmp_path / "j.sqlite"
    await _filled(path)
    damage(path)
    with pytest.raises(JournalError) as told:
        journal = opened(InlineJournal, path)
        try:
            assert len(list(journal.read())) == 400
        finally:
            await journal.close()
    assert str(path) in str(told.value) and "\n" not in str(told.value)


async def test_verify_names_gaps_and_cells_of_a_wrong_type(tmp_path: Path) -> None:
    """What a hand with an SQL prompt can spoil is found, and reading stops at the hole."""
    path = tmp_path / "j.sqlite"
    await _filled(path, 9)
    with closing(sqlite3.connect(path)) as hand:
        hand.execute("DELETE FROM record WHERE sequence = 4")
        hand.execute("UPDATE record SET payload = 'text' WHERE sequence = 6")
        hand.execute("UPDATE record SET cause = 8 WHERE sequence = 8")
        hand.commit()
    journal = opened(InlineJournal, path)
    found = journal.verify()
    assert [text.split(": ", 1)[1].split(";")[0] for text in found] == [
        "record 4 is missing before 5",
        "record 6 holds a cell of a wrong type",
        "record 8 names 8 as its cause",
    ]
    with pytest.raises(JournalError, match="record 4 is missing"):
        list(journal.read())
    await journal.close()


async def test_a_write_ahead_log_without_its_journal_is_not_started_afresh(tmp_path: Path) -> None:
    """A lost main file is a loss to be told, not a fresh start."""
    (tmp_path / "j.sqlite-wal").write_bytes(b"left over")
    with pytest.raises(JournalError, match="is missing but"):
        opened(InlineJournal, tmp_path / "j.sqlite")


async def test_the_digest_is_of_the_records_not_of_the_pages(tmp_path: Path) -> None:
    """Batching, journal kind and page history leave the digest alone; the canonical form is the documented one."""
    one, many = opened(InlineJournal, tmp_path / "1.sqlite"), opened(ThreadedJournal, tmp_path / "2.sqlite")
    await one.append(records(1, 50))
    for n in range(1, 51):
        await many.append(records(n, 1))
    assert one.sha256() == many.sha256()
    plain = b"".join(
        f"{r.sequence} {r.cause} {r.kind} {r.schema} {len(r.payload)}\n".encode() + r.payload for r in records(1, 50)
    )
    assert one.sha256() == hashlib.sha256(plain).hexdigest()
    await one.close()
    await many.close()


@given(st.lists(st.tuples(st.text("abc", min_size=1), st.integers(1, 3), st.binary(max_size=8)), min_size=1), st.data())
def test_changing_any_record_changes_the_digest(cells: list[tuple[str, int, bytes]], data: st.DataObject) -> None:
    """Moving a byte from one cell to its neighbour, or anything else, is another journal."""
    rows = [Record(sequence=n, cause=0, kind=k, schema=s, payload=p) for n, (k, s, p) in enumerate(cells, 1)]
    place = data.draw(st.integers(0, len(rows) - 1))
    old = rows[place]
    new = Record(sequence=old.sequence, cause=0, kind=old.kind, schema=old.schema, payload=old.payload + b"\n")
    assert digest(rows) != digest([*rows[:place], new, *rows[place + 1 :]])
    assert digest(rows) != digest(rows[:-1])


WRITER = """
import asyncio, sys
from longwatch.journal.records import Record
from longwatch.journal.threaded import ThreadedJournal

async def main():
    journal = ThreadedJournal.open(sys.argv[1], account="DU1", mode="paper", fresh_id="a1b2")
    sequence = 0
    while True:
        batch = [Record(sequence=sequence + n, cause=0, kind="K", schema=1, payload=b"x" * 200) for n in (1, 2, 3)]
        await journal.append(batch)
        sequence += 3
        print(sequence, flush=True)

asyncio.run(main())
"""


def test_a_killed_writer_leaves_every_acknowledged_batch_whole(tmp_path: Path) -> None:
    """After SIGKILL in mid-stream the file opens, holds whole batches only, and all that were acknowledged."""
    path = tmp_path / "j.sqlite"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(100)]
        writer.kill()
        told += [int(line) for line in writer.stdout.read().split("\n")[:-1]]
    kept = [r.sequence for r in read_records(path)]
    assert kept == list(range(1, len(kept) + 1))
    assert len(kept) >= told[-1]
    assert len(kept) % 3 == 0


def test_a_full_disk_is_one_sentence_and_what_was_acknowledged_stays(tmp_path: Path) -> None:
    """With room for 300 kB the writer ends with a JournalError; every acknowledged record is there."""
    path = tmp_path / "j.sqlite"
    writer = subprocess.run(
        [sys.executable, "-c", WRITER, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)),
    )
    last_line = writer.stderr.strip().splitlines()[-1]
    assert last_line.startswith(f"longwatch.errors.JournalError: {path}: the journal can't be written")
    acknowledged = int(writer.stdout.split()[-1])
    assert acknowledged > 30
    assert len(list(read_records(path))) >= acknowledged


async def test_a_year_of_records_reads_at_more_than_fifty_thousand_a_second(tmp_path: Path) -> None:
    """Reading is quick enough to start from; the bound is far below what an idle machine does, for busy ones."""
    journal = opened(InlineJournal, tmp_path / "j.sqlite", synchronous="OFF")
    await journal.append([record(n, b"x" * 120) for n in range(1, 50_001)])
    started = time.process_time()
    assert sum(1 for _ in journal.read()) == 50_000
    assert time.process_time() - started < 1.0
    await journal.close()
