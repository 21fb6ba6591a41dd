"""Checkpoints: the same state as a fold of everything, or none at all."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import tempfile
import threading
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longwatch.domain.state import State, fingerprint
from longwatch.errors import JournalError
from longwatch.journal import checkpoints
from longwatch.journal.checkpoints import decoded, encoded, recovered, snapshot
from longwatch.journal.store import CHECKPOINTS_KEPT
from longwatch.journal.threaded import ThreadedJournal
from tests.domain.play import A_DAY, played, plays
from tests.journal.made import (
    ACCOUNT,
    JOURNAL_ID,
    MODE,
    a_day,
    by_hand,
    checkpoint,
    folded,
    in_order,
    journal_at,
    store_at,
    write,
)


def test_a_state_comes_back_from_a_checkpoint_to_the_last_field_and_in_its_order() -> None:
    """Of a day in which everything happens."""
    state = folded(a_day())
    again = decoded(encoded(state))
    assert fingerprint(again) == fingerprint(state)
    assert in_order(again) == in_order(state)
    for name in State.__slots__:
        assert getattr(again, name) == getattr(state, name), name


@settings(max_examples=60)
@given(plays, st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_checkpoint_anywhere_in_any_prefix_gives_the_state_of_the_fold(acts, cut: int, place: int) -> None:
    """Whatever was heard, wherever it was cut, wherever the checkpoint stands: equal fingerprint, equal order."""
    records = played(acts).records
    prefix = records[: 1 + cut % len(records)] if records else []
    if not prefix:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "j.sqlite"
        write(path, prefix)
        kept = prefix[: 1 + place % len(prefix)]
        checkpoint(path, kept)
        with journal_at(path) as journal:
            found = recovered(journal)
    whole = folded(prefix)
    assert found.began_at == kept[-1].sequence and found.passed_over == ()
    assert fingerprint(found.state) == fingerprint(whole)
    assert in_order(found.state) == in_order(whole)


DAMAGES = {
    "a byte of a part": "UPDATE checkpoint_part SET bytes = zeroblob(length(bytes)) WHERE sequence = 200",
    "a part": "DELETE FROM checkpoint_part WHERE sequence = 200",
    "a cell's type": "UPDATE checkpoint_part SET bytes = 'text' WHERE sequence = 200",
    "the seal": "UPDATE checkpoint SET seal = zeroblob(32) WHERE sequence = 200",
    "no seal": "UPDATE checkpoint SET seal = NULL WHERE sequence = 200",
    "another code": "UPDATE checkpoint SET code = 'older' WHERE sequence = 200",
    "another place": "UPDATE checkpoint SET sequence = 201 WHERE sequence = 200",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_checkpoint_that_is_not_what_was_written_is_passed_over(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The one before it serves, and without one the fold of everything; the log says so."""
    path = tmp_path / "j.sqlite"
    write(path, a_day())
    whole = fingerprint(folded(a_day()))
    for before in (100, 0):
        if before:
            checkpoint(path, a_day()[:before])
        checkpoint(path, a_day()[:200])
        by_hand(path, damage, *(() if before else ("DELETE FROM checkpoint WHERE sequence = 100",)))
        with journal_at(path) as journal, caplog.at_level(logging.WARNING, "longwatch.journal"):
            found = recovered(journal)
        assert (found.began_at, len(found.passed_over)) == (before, 1)
        assert fingerprint(found.state) == whole
        assert caplog.messages[-1].endswith("it was passed over")
        by_hand(path, "DELETE FROM checkpoint", "DELETE FROM checkpoint_part")


def test_a_checkpoint_by_other_code_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules that changed fold the records anew: an old journal means what they say."""
    path = tmp_path / "j.sqlite"
    write(path, a_day())
    checkpoint(path, a_day()[:200])
    monkeypatch.setattr(checkpoints, "code_version", lambda: "the next")
    with journal_at(path) as journal:
        found = recovered(journal)
    assert found.began_at == 0
    assert "folded by another version of the code" in found.passed_over[0]
    assert fingerprint(found.state) == fingerprint(folded(a_day()))


def test_a_checkpoint_of_other_records_is_not_used(tmp_path: Path) -> None:
    """Records altered before it, with the chain written anew: its seal does not follow, and the fold is of what is."""
    path, other = tmp_path / "j.sqlite", tmp_path / "other.sqlite"
    write(path, a_day())
    checkpoint(path, a_day()[:200])
    write(other, a_day()[:150])
    with closing(sqlite3.connect(other)) as hand:
        chain = hand.execute("SELECT chain FROM record WHERE sequence = 150").fetchone()[0]
    by_hand(path, f"UPDATE record SET chain = x'{chain.hex()}' WHERE sequence = 200")
    with journal_at(path) as journal:
        (kept,) = journal.checkpoints()
        with pytest.raises(JournalError, match="not what was written"):
            kept.state()


def test_a_process_killed_before_the_seal_leaves_no_checkpoint_and_the_next_one_tidies_up(tmp_path: Path) -> None:
    """Parts without a seal count for nothing, and are gone once another checkpoint is whole."""
    path = tmp_path / "j.sqlite"
    write(path, a_day())
    with store_at(path) as store:
        *parts, _ = checkpoints.storing(200, folded(a_day()[:200]))
        for work in parts:
            work(store)
    with journal_at(path) as journal:
        assert list(journal.checkpoints()) == []
        assert recovered(journal).began_at == 0
    checkpoint(path, a_day()[:220])
    with closing(sqlite3.connect(path)) as plain:
        assert plain.execute("SELECT DISTINCT sequence FROM checkpoint_part").fetchall() == [(220,)]


def test_no_checkpoint_is_sealed_at_a_record_that_is_not_written_or_without_its_parts(tmp_path: Path) -> None:
    """A state that ran ahead of the disk must not outlive what the disk lost."""
    path = tmp_path / "j.sqlite"
    write(path, a_day()[:50])
    with store_at(path) as store:
        *parts, seal = checkpoints.storing(60, folded(a_day()[:60]))
        for work in parts:
            work(store)
        with pytest.raises(JournalError, match="record 60 or a part"):
            seal(store)
        *_, seal = checkpoints.storing(50, folded(a_day()[:50]))
        with pytest.raises(JournalError, match="record 50 or a part"):
            seal(store)
    with journal_at(path) as journal:
        assert list(journal.checkpoints()) == []


def test_only_the_last_checkpoints_are_kept(tmp_path: Path) -> None:
    """The newest first; the others' parts go with them."""
    path = tmp_path / "j.sqlite"
    write(path, a_day())
    for sequence in (50, 100, 150, 200):
        checkpoint(path, a_day()[:sequence])
    with journal_at(path) as journal:
        assert [kept.sequence for kept in journal.checkpoints()] == [200, 150]
    assert CHECKPOINTS_KEPT == 2


def test_a_snapshot_stays_what_it_was() -> None:
    """The state goes on while another thread encodes it: nothing it held is changed in place."""
    play = played(A_DAY[: len(A_DAY) // 2])
    then = snapshot(play.state)
    before = fingerprint(then)
    for act in A_DAY[len(A_DAY) // 2 :]:
        play.act(*act)
    assert fingerprint(then) == before != fingerprint(play.state)


async def test_the_journal_makes_checkpoints_by_itself_and_while_it_writes_on(tmp_path: Path) -> None:
    """Every so many records, by a thread of its own; what is appended meanwhile is written, and all is durable."""
    path = tmp_path / "j.sqlite"
    journal = ThreadedJournal.open(path, account=ACCOUNT, mode=MODE, fresh_id=JOURNAL_ID, synchronous="OFF")
    journal.checkpoint_records = 100
    state = State()
    for first in range(0, len(a_day()), 10):
        batch = a_day()[first : first + 10]
        written = journal.append(batch)
        checkpoints.fold(state, batch)
        journal.checkpoint(batch[-1].sequence, state)
        await written
    assert journal._encoder is not None
    await asyncio.to_thread(journal._encoder.join)
    journal.checkpoint(batch[-1].sequence, state, least=1)
    await journal.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("longwatch-")]
    with journal_at(path) as again:
        found = recovered(again)
        assert len(list(again.checkpoints())) == CHECKPOINTS_KEPT
    assert found.began_at == len(a_day()) and found.passed_over == ()
    assert fingerprint(found.state) == fingerprint(state)


async def test_a_checkpoint_that_can_not_be_written_harms_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is given up with a line in the log; the records go on."""
    path = tmp_path / "j.sqlite"
    journal = ThreadedJournal.open(path, account=ACCOUNT, mode=MODE, fresh_id=JOURNAL_ID, synchronous="OFF")
    await journal.append(a_day()[:100])
    by_hand(path, "ALTER TABLE checkpoint_part RENAME TO gone")
    caplog.set_level(logging.WARNING, "longwatch.journal")
    journal.checkpoint(100, folded(a_day()[:100]), least=1)
    while not caplog.messages:
        await asyncio.sleep(0.01)
    assert journal._encoder is not None
    await asyncio.to_thread(journal._encoder.join)  # while one is being made no other is begun
    assert "no checkpoint was made" in caplog.messages[0]
    assert journal.failure is None
    for first in range(100, 140, 10):
        await journal.append(a_day()[first : first + 10])
        journal.checkpoint(first + 10, folded(a_day()[: first + 10]), least=40)
    assert journal._encoder is not None
    await asyncio.to_thread(journal._encoder.join)
    await journal.append(a_day()[140:150])
    await journal.close()
    assert len(caplog.messages) == 2, "it is tried again only when as much has come as before"
    assert journal.last_sequence == 150
