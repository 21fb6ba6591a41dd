"""Journals of older layouts: read as they are, and brought forward in one transaction or not at all."""

from __future__ import annotations

import gzip
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from longwatch.errors import JournalError
from longwatch.journal import upgrade
from longwatch.journal.checkpoints import recovered
from longwatch.journal.codec import recover
from longwatch.journal.reading import last_anchor, read_entries, read_records, verify
from tests.domain.golden import FOLDER, meaning, records_in
from tests.journal.made import by_hand, checkpoint, journal_at, write

LAYOUT_1 = Path(__file__).parent / "golden" / "layout_1.sqlite.gz"
"""Made by the last version without a hash chain, of golden edition 3."""
RECORDS = FOLDER / "journal_3.txt"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "j.sqlite"
    with gzip.open(LAYOUT_1) as packed, path.open("wb") as file:
        shutil.copyfileobj(packed, file)
    return path


def layout_of(path: Path) -> str:
    with closing(sqlite3.connect(path)) as plain:
        return str(plain.execute("SELECT value FROM meta WHERE key = 'layout'").fetchone()[0])


def test_an_old_journal_is_read_beside_a_daemon_as_it_is(old: Path) -> None:
    """Commands only look: they find every record, and say what there is not yet."""
    assert list(read_records(old)) == list(records_in(RECORDS))
    assert [entry.record for entry in read_entries(old)] == list(records_in(RECORDS))
    assert verify(old) == ()
    with pytest.raises(JournalError, match="has no hash chain yet"):
        last_anchor(old)
    assert layout_of(old) == "1"


def test_a_daemon_brings_it_forward_and_it_means_the_same(old: Path, tmp_path: Path) -> None:
    """The same records and state, now with the chain that a new journal of them has; then it is written on."""
    with journal_at(old) as journal:
        assert list(journal.read()) == list(records_in(RECORDS))
        told = json.loads(RECORDS.with_suffix(".json").read_text())["meaning"]
        assert json.loads(json.dumps(meaning(recovered(journal).state))) == told
    assert layout_of(old) == "2"
    new = tmp_path / "new.sqlite"
    write(new, records_in(RECORDS))
    assert last_anchor(old) == last_anchor(new)
    assert verify(old) == ()
    checkpoint(old, records_in(RECORDS))
    with journal_at(old) as journal:
        assert recovered(journal).began_at == journal.last_sequence


@pytest.mark.parametrize("path", sorted(FOLDER.glob("journal_*.txt")), ids=lambda path: path.stem)
def test_every_golden_journal_means_the_same_out_of_a_file_with_a_checkpoint(path: Path, tmp_path: Path) -> None:
    """However the records were written at the time: chained, half of them in a checkpoint."""
    records = list(records_in(path))
    write(tmp_path / "j.sqlite", records)
    checkpoint(tmp_path / "j.sqlite", records[: len(records) // 2])
    with journal_at(tmp_path / "j.sqlite") as journal:
        assert meaning(recovered(journal).state) == meaning(recover(records))


def test_a_damaged_old_journal_is_left_as_it_was(old: Path) -> None:
    """No chain is laid over a hole: the sentence names the record, and nothing of the file has changed."""
    by_hand(old, "DELETE FROM record WHERE sequence = 77")
    with pytest.raises(JournalError, match="record 77 is missing or can't be read"), journal_at(old):
        pass
    assert layout_of(old) == "1"
    assert next(iter(verify(old))).split(": ")[1].startswith("record 77 is missing before 78")


def test_an_upgrade_that_is_cut_short_is_made_again(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed anywhere in it: the transaction never was."""
    monkeypatch.setattr(upgrade, "_AT_ONCE", 50)
    real = upgrade.link_of

    def cut(before: bytes, sequence: int, *cells: object) -> bytes:
        if sequence == 120:
            raise OSError("the power went")
        return real(before, sequence, *cells)  # type: ignore[arg-type]

    with monkeypatch.context() as broken:
        broken.setattr(upgrade, "link_of", cut)
        with pytest.raises(JournalError, match="the power went"), journal_at(old):
            pass
    assert layout_of(old) == "1" and verify(old) == ()
    with journal_at(old) as journal:
        assert journal.verify() == ()
    assert layout_of(old) == "2"


def test_a_layout_of_the_future_is_refused_by_name(old: Path) -> None:
    """Rather than read with half of what it means."""
    by_hand(old, "UPDATE meta SET value = '3' WHERE key = 'layout'")
    with pytest.raises(JournalError, match="of layout 3, and this version reads layout 2"), journal_at(old):
        pass


@pytest.mark.parametrize("key", ["layout", "journal_id", "account", "mode"])
def test_a_journal_that_does_not_say_whose_it_is_is_one_sentence(key: str, old: Path) -> None:
    """A missing row is damage, told like any other."""
    by_hand(old, f"DELETE FROM meta WHERE key = '{key}'")
    says = f"does not say its {key}, so it is damaged; restore it"
    with pytest.raises(JournalError, match=says) as told, journal_at(old):
        pass
    assert "\n" not in str(told.value)
