"""Trouble with the disk: what is known is never lost, and what can't be kept is told."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from longwatch.domain.state import fingerprint
from longwatch.errors import JournalError
from longwatch.journal import threaded
from longwatch.journal.checkpoints import recovered, storing
from longwatch.journal.reading import read_records, verify
from longwatch.journal.sqlite import InlineJournal
from longwatch.journal.threaded import ThreadedJournal
from tests.journal.made import ACCOUNT, JOURNAL_ID, MODE, a_day, folded, journal_at, store_at, write


def copied_while_open(path: Path, to: Path) -> None:
    """What a power cut leaves: the file and its write-ahead log as they lie on the disk."""
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", f"{to}{suffix}")


@pytest.fixture
def cut_off(tmp_path: Path) -> Path:
    """A journal with everything still in its write-ahead log: a day in small batches, and two checkpoints."""
    path, copy = tmp_path / "j.sqlite", tmp_path / "copy" / "j.sqlite"
    copy.parent.mkdir()
    with store_at(path, "FULL") as store:
        for first in range(0, len(a_day()), 7):
            store.write([a_day()[first : first + 7]])
            if first in (70, 161):
                for work in storing(first + 7, folded(a_day()[: first + 7])):
                    work(store)
        copied_while_open(path, copy)
    return copy


def test_a_write_ahead_log_cut_anywhere_opens_with_a_prefix(cut_off: Path, tmp_path: Path) -> None:
    """At 240 seeded places, some with garbage behind the cut: whole batches, the state of their fold, and no error.

    More of the log is never less known, and the whole of it is the whole day.
    """
    whole, draw = Path(f"{cut_off}-wal").read_bytes(), Random("1|cuts")
    kept = []
    for cut in sorted(draw.randrange(len(whole) + 1) for _ in range(240)):
        path = tmp_path / f"cut-{cut}" / "j.sqlite"
        path.parent.mkdir(exist_ok=True)
        shutil.copy(cut_off, path)
        garbage = draw.randbytes(draw.choice((0, 0, 100, 5000)))
        Path(f"{path}-wal").write_bytes(whole[:cut] + garbage)
        with journal_at(path) as journal:
            count = journal.last_sequence
            assert count % 7 == 0 or count == len(a_day())
            assert list(journal.read()) == list(a_day()[:count])
            found = recovered(journal)
            assert found.passed_over == ()
            assert found.began_at in (0, 77, 168)
            assert fingerprint(found.state) == fingerprint(folded(a_day()[:count]))
            assert journal.verify() == ()
        kept.append(count)
        shutil.rmtree(path.parent)
    assert kept == sorted(kept)
    assert len(set(kept)) > 20


def test_an_uncut_log_is_the_whole_day(cut_off: Path) -> None:
    """The copy beside the running writer holds all that was durable, checkpoints too."""
    with journal_at(cut_off) as journal:
        assert list(journal.read()) == list(a_day())
        assert recovered(journal).began_at == 168


def test_what_has_reached_the_file_survives_any_cut_of_the_log_that_followed(tmp_path: Path) -> None:
    """After SQLite has moved the log into the file and begun it again: at 60 places, never less than was moved."""
    path, copy = tmp_path / "j.sqlite", tmp_path / "copy.sqlite"
    with store_at(path, "FULL") as store:
        store.write([a_day()[:100]])
        store.sync_log()
        store.write([a_day()[100:110]])
        frames = Path(f"{path}-wal").stat().st_size
        for first in range(110, 200, 10):
            store.write([a_day()[first : first + 10]])
        copied_while_open(path, copy)
    whole, draw = Path(f"{copy}-wal").read_bytes(), Random("2|cuts")
    for _ in range(60):
        cut = draw.randrange(len(whole))
        again = tmp_path / "again.sqlite"
        shutil.copy(copy, again)
        Path(f"{again}-shm").unlink(missing_ok=True)
        Path(f"{again}-wal").write_bytes(whole[:cut])
        with journal_at(again) as journal:
            assert journal.last_sequence >= 100
            assert list(journal.read()) == list(a_day()[: journal.last_sequence])
    assert frames <= len(whole)


@pytest.fixture
async def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadedJournal]:
    monkeypatch.setattr(threaded, "LOOK_SECONDS", 0.05)
    journal = ThreadedJournal.open(tmp_path / "j.sqlite", account=ACCOUNT, mode=MODE, fresh_id=JOURNAL_ID)
    await journal.append(a_day()[:50])
    yield journal
    await journal.close()


def _deleted(path: Path) -> None:
    path.unlink()


def _moved(path: Path) -> None:
    path.rename(path.with_name("away.sqlite"))


def _replaced(path: Path) -> None:
    shutil.copy(path, path.with_name("copy"))
    os.replace(path.with_name("copy"), path)


@pytest.mark.parametrize("loss", [_deleted, _moved, _replaced])
async def test_a_file_that_goes_away_is_told_though_nothing_is_written(loss, journal: ThreadedJournal) -> None:
    """The engine hears of it by itself, nothing more is accepted, and no other file is taken for the journal."""
    told = asyncio.get_running_loop().create_future()
    journal.watch(told.set_result)
    loss(journal.path)
    reason = await asyncio.wait_for(told, 10)
    assert f"{journal.path}: the journal's file was moved, deleted or replaced while the daemon runs" in reason
    assert journal.failure == reason
    with pytest.raises(JournalError, match="moved, deleted or replaced"):
        await journal.append(a_day()[50:60])
    with pytest.raises(JournalError, match="put it back where it was"):
        await journal.reopen()


@pytest.mark.parametrize("kind", [InlineJournal, ThreadedJournal])
async def test_nothing_is_written_into_a_file_that_is_not_there_any_more(kind, tmp_path: Path) -> None:
    """The very next batch is refused, and accepted once the file is back: none is lost."""
    path = tmp_path / "j.sqlite"
    journal = kind.open(path, account=ACCOUNT, mode=MODE, fresh_id=JOURNAL_ID)
    await journal.append(a_day()[:50])
    _moved(path)
    with pytest.raises(JournalError, match="moved, deleted or replaced"):
        await journal.append(a_day()[50:60])
    path.with_name("away.sqlite").rename(path)
    assert await journal.reopen() == 50
    await journal.append(a_day()[50:60])
    assert list(journal.read()) == list(a_day()[:60])
    await journal.close()
    assert verify(path) == ()


async def test_a_deleted_write_ahead_log_is_told_and_what_was_in_it_is_saved(journal: ThreadedJournal) -> None:
    """A clean-up script took it: soon no batch is accepted, and reopening puts all of it into the file."""
    told = asyncio.get_running_loop().create_future()
    journal.watch(told.set_result)
    Path(f"{journal.path}-wal").unlink()
    await asyncio.wait_for(told, 10)
    with pytest.raises(JournalError, match="-wal: the journal's file was moved, deleted or replaced"):
        await journal.append(a_day()[50:60])
    assert await journal.reopen() == 50
    await journal.append(a_day()[50:60])
    assert list(read_records(journal.path)) == list(a_day()[:60])


def test_a_deleted_write_ahead_log_is_noticed_by_a_writer_that_never_rests(tmp_path: Path) -> None:
    """Within so many commits; reopening saves what went into the log without a name."""
    path = tmp_path / "j.sqlite"
    with store_at(path) as store:
        store.write([a_day()[:1]])
        Path(f"{path}-wal").unlink()
        with pytest.raises(JournalError, match="-wal: the journal's file was moved, deleted or replaced"):
            for record in a_day()[1:]:
                store.write([[record]])
        assert store.last_sequence < 64
        store.reopen()
        store.write([a_day()[store.last_sequence :]])
    assert list(read_records(path)) == list(a_day())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for 400 kB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", place]
    if os.geteuid() or subprocess.run(mount, check=False).returncode:
        pytest.skip("mounting a file system needs root; the limit of test_sqlite's writer shows the same")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.parametrize("kind", [InlineJournal, ThreadedJournal])
async def test_a_full_disk_refuses_loses_nothing_and_goes_on_when_there_is_room(kind, small_disk: Path) -> None:
    """A real one: the batch that finds no room is refused whole, and written again once a file was deleted."""
    path, filler = small_disk / "j.sqlite", small_disk / "filler"
    journal = kind.open(path, account=ACCOUNT, mode=MODE, fresh_id=JOURNAL_ID)
    await journal.append(a_day()[:50])
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(1024))
    with pytest.raises(JournalError, match="can't be written"):
        await journal.append(a_day()[50:])
    assert journal.failure is not None
    with closing(sqlite3.connect(path)) as plain:
        assert plain.execute("SELECT max(sequence) FROM record").fetchone() == (50,)
    filler.unlink()
    assert await journal.reopen() == 50
    await journal.append(a_day()[50:])
    journal.checkpoint(len(a_day()), folded(a_day()), least=1)
    await journal.close()
    with journal_at(path) as again:
        assert list(again.read()) == list(a_day())
        assert recovered(again).began_at == len(a_day())


async def test_a_checkpoint_without_room_leaves_the_records_alone(small_disk: Path) -> None:
    """It is left out; what was durable stays so."""
    path = small_disk / "j.sqlite"
    write(path, a_day()[:50])
    with store_at(path) as store:
        with pytest.raises(JournalError, match="can't be written"):
            store.put_part(50, 1, bytes(500_000))
        store.write([a_day()[50:60]])
    assert verify(path) == ()
