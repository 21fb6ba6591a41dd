"""The archive: old events leave the journal and are not lost, facts stay, and the chain goes on over both."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from longwatch.clock import SteppedClock
from longwatch.config.schema import JournalSettings
from longwatch.domain.state import State, fingerprint
from longwatch.engine.upkeep import EVERY_SECONDS, FIRST_SECONDS, keep_up, needed_since
from longwatch.errors import JournalError
from longwatch.journal import archive
from longwatch.journal.checkpoints import recovered
from longwatch.journal.codec import EVENTS, decode
from longwatch.journal.layout import archive_of
from longwatch.journal.reading import archived_away, last_anchor, read_entries, read_records, verify
from longwatch.journal.sqlite import InlineJournal
from longwatch.journal.threaded import ThreadedJournal
from longwatch.simulation.loop import run
from tests.domain.world import World
from tests.journal.made import ACCOUNT, JOURNAL_ID, MODE, a_day, by_hand, checkpoint, folded, journal_at, write

FAR = datetime(2100, 1, 1, tzinfo=UTC)
TIMES = {r.sequence: decode(r).at for r in a_day() if r.kind in EVENTS}  # type: ignore[union-attr]
MIDDLE = sorted(TIMES.values())[len(TIMES) // 2]
CUT = min(sequence for sequence, at in TIMES.items() if at >= MIDDLE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "j.sqlite", a_day())
    return tmp_path / "j.sqlite"


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "AT_ONCE", 17)


async def moved(path: Path, before: datetime) -> int:
    journal = InlineJournal.open(path, account=ACCOUNT, mode=MODE, fresh_id=JOURNAL_ID)
    try:
        return await journal.archive(before)
    finally:
        await journal.close()


async def test_events_before_the_time_move_and_nothing_else_does(path: Path) -> None:
    """What is left is every fact, and every event from that time on; the two files together are the whole."""
    assert await moved(path, MIDDLE) == CUT - 1
    left = [r for r in a_day() if r.kind not in EVENTS or r.sequence >= CUT]
    assert list(read_records(path)) == left
    assert [entry.record for entry in read_entries(path)] == list(a_day())
    with closing(sqlite3.connect(archive_of(path))) as plain:
        kept = plain.execute("SELECT sequence FROM record ORDER BY sequence").fetchall()
    assert [row[0] for row in kept] == [r.sequence for r in a_day() if r.kind in EVENTS and r.sequence < CUT]
    assert await moved(path, MIDDLE) == 0


async def test_the_state_the_anchor_and_the_checkpoints_are_as_before(path: Path) -> None:
    """With a checkpoint and without one; and the journal is written on."""
    anchor = last_anchor(path)
    checkpoint(path, a_day()[:100])
    await moved(path, FAR)
    assert last_anchor(path) == anchor
    for began_at in (100, 0):
        with journal_at(path) as journal:
            found = recovered(journal)
        assert (found.began_at, found.passed_over) == (began_at, ())
        assert fingerprint(found.state) == fingerprint(folded(a_day()))
        by_hand(path, "DELETE FROM checkpoint")
    last = a_day()[-1]
    write(path, [replace(last, sequence=last.sequence + 1)])
    assert verify(path, [anchor]) == ()


async def test_the_chain_is_verified_over_the_archive_and_over_its_absence(path: Path) -> None:
    """Events elsewhere can't be looked at, but every fact still is, and an altered event in the archive is named."""
    await moved(path, FAR)
    assert verify(path) == () and archived_away(path) == 0
    target = next(r for r in a_day() if r.kind in EVENTS and r.sequence > 50)
    by_hand(archive_of(path), f"UPDATE record SET payload = x'00' WHERE sequence = {target.sequence}")
    assert f"record {target.sequence} is not the one" in verify(path)[0]
    archive_of(path).rename(path.with_name("elsewhere"))
    assert verify(path) == ()
    assert archived_away(path) == sum(r.kind in EVENTS for r in a_day())
    assert sum(entry.is_away for entry in read_entries(path)) == archived_away(path)
    fact = next(r for r in a_day() if r.kind not in EVENTS and r.sequence > 50)
    by_hand(path, f"UPDATE record SET payload = x'00' WHERE sequence = {fact.sequence}")
    assert f"record {fact.sequence} is not the one" in verify(path)[0]


async def test_a_fact_without_its_payload_is_damage_and_not_archived(path: Path) -> None:
    """Facts never move: what looks like a moved one is not passed over."""
    await moved(path, FAR)
    fact = next(r for r in a_day() if r.kind not in EVENTS and r.sequence > 50)
    by_hand(path, f"UPDATE record SET payload = NULL WHERE sequence = {fact.sequence}")
    with pytest.raises(JournalError, match=f"record {fact.sequence} is unreadable"):
        list(read_records(path))
    assert f"record {fact.sequence} holds a cell of a wrong type" in verify(path)[0]


@pytest.mark.parametrize("step", range(4))
async def test_a_process_killed_between_archiving_and_taking_out_does_it_again(
    step: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In any step, after the copy or in the middle of taking out: nothing is missing, and the next run completes it."""
    real, calls = archive._take_out, 0

    def killed(connection: sqlite3.Connection, rows: list[archive.Row], first: int, last: int) -> None:
        nonlocal calls
        calls += 1
        if calls > step:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("DELETE FROM record WHERE sequence > ? AND sequence <= ?", (first, last))
            raise OSError("killed")
        real(connection, rows, first, last)

    with monkeypatch.context() as kill:
        kill.setattr(archive, "_take_out", killed)
        with pytest.raises(JournalError, match="killed"):
            await moved(path, FAR)
    assert [entry.record for entry in read_entries(path)] == list(a_day())
    assert verify(path) == ()
    await moved(path, FAR)
    assert [entry.record for entry in read_entries(path)] == list(a_day())
    assert verify(path) == ()
    assert fingerprint(folded(read_records(path))) == fingerprint(folded(a_day()))


async def test_events_that_can_not_be_read_back_from_the_archive_stay(path: Path, tmp_path: Path) -> None:
    """The archive of another journal in its place: refused by name, and nothing is taken out."""
    other = tmp_path / "other.sqlite"
    write(other, [replace(r, payload=r.payload + b" ") for r in a_day()])
    await moved(other, FAR)
    archive_of(other).rename(archive_of(path))
    with pytest.raises(JournalError, match="does not hold records 1 to 17 as this journal has them"):
        await moved(path, FAR)
    assert list(read_records(path)) == list(a_day())


async def test_the_room_left_is_used_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without rewriting the file: pages that events have left take what comes next."""
    monkeypatch.setattr(archive, "AT_ONCE", 1000)
    last, event = a_day()[-1].sequence, next(r for r in a_day() if r.kind in EVENTS)
    fact = a_day()[event.sequence]
    many = [replace((event, event, fact)[n % 3], sequence=last + n) for n in range(1, 20_001)]
    write(path, many, batch=1000)
    size = path.stat().st_size
    await moved(path, FAR)
    following = [replace(r, sequence=r.sequence + 20_000) for r in many[:8_000]]
    write(path, following, batch=1000)
    assert path.stat().st_size == size
    assert verify(path) == ()


async def test_archive_and_folder_are_the_owner_s_alone(path: Path) -> None:
    """As the journal is."""
    await moved(path, FAR)
    assert stat.S_IMODE(archive_of(path).stat().st_mode) == 0o600


async def test_the_thread_archives_between_commits(path: Path) -> None:
    """What is appended while events move is written like ever."""
    journal = ThreadedJournal.open(path, account=ACCOUNT, mode=MODE, fresh_id=JOURNAL_ID)
    last = a_day()[-1]
    written = [journal.append([replace(last, sequence=last.sequence + n)]) for n in range(1, 50)]
    assert await journal.archive(MIDDLE) == CUT - 1
    for one in written:
        await one
    assert journal.verify() == ()
    await journal.close()
    assert verify(path) == ()


class Asked:
    """A journal that is only asked to archive."""

    failure: str | None = None

    def __init__(self) -> None:
        self.asked: list[datetime] = []
        self.broken = False

    async def archive(self, before: datetime) -> int:
        self.asked.append(before)
        if self.broken:
            raise JournalError("no space")
        return 5


def test_upkeep_asks_now_and_then_for_what_is_older_than_the_setting() -> None:
    """By the settings then in force; null asks for nothing, and a failure is no end of it."""

    async def upkeep() -> None:
        start = datetime(2026, 1, 1, tzinfo=UTC)
        clock = SteppedClock(asyncio.get_running_loop().time, market_start=start)
        journal, settings = Asked(), JournalSettings()
        task = asyncio.create_task(keep_up(journal, State(), clock, lambda: settings))  # type: ignore[arg-type]
        await asyncio.sleep(FIRST_SECONDS + 1)
        assert [(start - at).days for at in journal.asked] == [399]
        settings, journal.broken = JournalSettings(archive_after_days=30), True
        await asyncio.sleep(EVERY_SECONDS)
        settings, journal.broken = JournalSettings(archive_after_days=None), False
        await asyncio.sleep(EVERY_SECONDS)
        settings = JournalSettings(archive_after_days=30)
        await asyncio.sleep(EVERY_SECONDS)
        assert [(start - at).days for at in journal.asked] == [399, 29, 29]
        task.cancel()

    run(upkeep())


def test_what_a_live_order_is_to_be_explained_by_stays() -> None:
    """As long as an order rests at the broker, the days before its making are not old."""
    world = World.ready()
    world.targets(AAA="0.1")
    now = world.now + timedelta(days=900)
    assert needed_since(world.state, now) == now
    world.rebalance()
    (order,) = world.state.live_orders()
    assert needed_since(world.state, now) == order.created_at < now
