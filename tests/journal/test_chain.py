"""The hash chain: what was done to a journal behind the daemon's back is found, by the number of the record."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from longwatch.errors import JournalError, UsageError
from longwatch.journal.chain import Anchor, first_link, link
from longwatch.journal.reading import last_anchor, read_records, verify
from longwatch.journal.records import Record
from tests.journal.made import JOURNAL_ID, a_day, by_hand, journal_at, write


def anchor_at(path: Path, sequence: int) -> Anchor:
    with closing(sqlite3.connect(path)) as plain:
        return Anchor(*plain.execute("SELECT sequence, chain FROM record WHERE sequence = ?", (sequence,)).fetchone())


def chain_anew(path: Path) -> None:
    """What a careful forger does: every hash is made to follow again."""
    with closing(sqlite3.connect(path)) as hand:
        before = first_link(JOURNAL_ID)
        rows = hand.execute("SELECT sequence, cause, kind, schema, payload FROM record ORDER BY sequence").fetchall()
        for sequence, cause, kind, schema, payload in rows:
            before = link(before, Record(sequence=sequence, cause=cause, kind=kind, schema=schema, payload=payload))
            hand.execute("UPDATE record SET chain = ? WHERE sequence = ?", (before, sequence))
        hand.commit()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "j.sqlite", a_day())
    return tmp_path / "j.sqlite"


def test_the_chain_is_what_its_docstring_says(path: Path) -> None:
    """SHA-256 over the hash before and the canonical form, from the hash of the journal's id on."""
    before = hashlib.sha256(f"longwatch journal {JOURNAL_ID}\n".encode()).digest()
    for r in a_day():
        head = f"{r.sequence} {r.cause} {r.kind} {r.schema} {len(r.payload)}\n".encode()
        before = hashlib.sha256(before + head + r.payload).digest()
    assert last_anchor(path) == Anchor(len(a_day()), before)
    with journal_at(path) as journal:
        assert journal.anchor == Anchor(len(a_day()), before)


def test_the_chain_does_not_depend_on_how_records_were_batched(path: Path, tmp_path: Path) -> None:
    """One record a transaction or all in one, and going on after a restart."""
    other = tmp_path / "other.sqlite"
    write(other, a_day()[:7], batch=1)
    write(other, a_day()[7:], batch=1000)
    assert last_anchor(other) == last_anchor(path)


SWAP = (
    "UPDATE record SET sequence = -1 WHERE sequence = 100",
    "UPDATE record SET sequence = 100 WHERE sequence = 101",
    "UPDATE record SET sequence = 101 WHERE sequence = -1",
)
SHIFT = (
    "UPDATE record SET sequence = -sequence WHERE sequence >= 100",
    "UPDATE record SET sequence = 1 - sequence WHERE sequence < 0",
    "INSERT INTO record SELECT 100, cause, kind, schema, payload, chain FROM record WHERE sequence = 50",
)
CLOSE_UP = (
    "DELETE FROM record WHERE sequence = 100",
    "UPDATE record SET sequence = -sequence WHERE sequence > 100",
    "UPDATE record SET sequence = -1 - sequence WHERE sequence < 0",
)
FORGERIES: dict[str, tuple[tuple[str, ...], str]] = {
    "altered": (("UPDATE record SET payload = CAST('{}' AS BLOB) WHERE sequence = 100",), "record 100 is not the one"),
    "another kind": (("UPDATE record SET kind = 'EventKept' WHERE sequence = 100",), "record 100 is not the one"),
    "another cause": (("UPDATE record SET cause = 1 + (cause = 1) WHERE sequence = 100",), "record 100 is not the one"),
    "removed": (("DELETE FROM record WHERE sequence = 100",), "record 100 is missing before 101"),
    "removed and closed up": (CLOSE_UP, "record 100 "),
    "inserted": (SHIFT, "record 100 is not the one"),
    "reordered": (SWAP, "record 100 "),
    "hash and all": (
        ("UPDATE record SET payload = x'00', chain = zeroblob(32) WHERE sequence = 100",),
        "record 100 is not the one",
    ),
    "no hash": (("UPDATE record SET chain = NULL WHERE sequence = 100",), "record 100 is not the one"),
    "emptied": (("UPDATE record SET payload = NULL WHERE sequence = 100",), "record 100 holds a cell of a wrong type"),
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
def test_the_first_bad_record_is_named_and_nothing_is_traded_on_it(path: Path, forgery) -> None:
    """Altered, removed, inserted, reordered: `verify` and the reading at start both stop at that record."""
    statements, says = forgery
    by_hand(path, *statements)
    assert says in verify(path)[0]
    with pytest.raises(JournalError, match="record 100"):
        list(read_records(path))


def test_any_one_bit_changed_anywhere_is_found(path: Path) -> None:
    """In two hundred seeded places: named by the record's number each time."""
    draw = Random("1|bits")
    for _ in range(200):
        record = a_day()[draw.randrange(len(a_day()))]
        payload = bytearray(record.payload)
        payload[draw.randrange(len(payload))] ^= 1 << draw.randrange(8)
        by_hand(path, f"UPDATE record SET payload = x'{payload.hex()}' WHERE sequence = {record.sequence}")
        (flaw,) = verify(path)
        assert f"record {record.sequence} is not the one that was written there" in flaw
        by_hand(path, f"UPDATE record SET payload = x'{record.payload.hex()}' WHERE sequence = {record.sequence}")
    assert verify(path) == ()


def test_a_chain_written_anew_is_betrayed_by_an_anchor_alone(path: Path) -> None:
    """Between the last anchor that holds and the first that doesn't."""
    anchors = [anchor_at(path, sequence) for sequence in (50, 100, 150)]
    assert verify(path, anchors) == ()
    by_hand(path, "UPDATE record SET payload = CAST('{}' AS BLOB) WHERE sequence = 120")
    chain_anew(path)
    assert verify(path) == ()
    (flaw,) = verify(path, anchors)
    assert "record 150 has not the hash of the anchor: it, or one after record 100" in flaw


def test_a_tail_cut_off_below_an_anchor_is_found(path: Path) -> None:
    """A shorter journal is a good one to itself, but not to who kept the anchor."""
    anchor = last_anchor(path)
    by_hand(path, "DELETE FROM record WHERE sequence > 180")
    assert verify(path) == ()
    (flaw,) = verify(path, [anchor])
    assert f"it ends with record 180 and the anchor is of record {anchor.sequence}" in flaw


def test_the_anchor_of_another_journal_does_not_hold(path: Path, tmp_path: Path) -> None:
    """Two journals with the same records have other hashes: the id stands before the first."""
    other = tmp_path / "other.sqlite"
    write(other, a_day())
    by_hand(other, "UPDATE meta SET value = 'ffff' WHERE key = 'journal_id'")
    assert "record 1 is not the one" in verify(other)[0]
    chain = Anchor(0, first_link("ffff"))
    assert "not the journal the anchor" in verify(path, [chain])[0]
    assert verify(path, [Anchor(0, first_link(JOURNAL_ID))]) == ()


def test_an_anchor_is_read_as_it_is_printed() -> None:
    """And anything else is refused with what it should look like."""
    anchor = Anchor(17, bytes(range(32)))
    assert Anchor.read(f" {anchor}\n") == anchor
    for wrong in ("", "17", "17:ab", f"x:{anchor.hash.hex()}", f"-1:{anchor.hash.hex()}"):
        with pytest.raises(UsageError, match="is no anchor"):
            Anchor.read(wrong)


def test_a_failed_write_leaves_the_chain_where_it_was(path: Path) -> None:
    """The next record follows the last that is durable, not one that was lost."""
    last = a_day()[-1]
    following = replace(last, sequence=last.sequence + 1)
    with journal_at(path) as journal, closing(sqlite3.connect(path, isolation_level=None)) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="locked"):
            journal._store.write([[following]])
        stranger.execute("ROLLBACK")
        journal._store.write([[following]])
        assert journal.verify() == ()
        assert journal.anchor == last_anchor(path)
