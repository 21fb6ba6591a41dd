"""The simulation's journal: other transactions than the inline one, and the same journal."""

from __future__ import annotations

from pathlib import Path

import pytest

from longwatch.errors import JournalError
from longwatch.journal.reading import read_records
from longwatch.journal.records import Record
from longwatch.journal.sqlite import InlineJournal
from longwatch.simulation.gathering import AT_ONCE, GatheringJournal
from longwatch.simulation.loop import run


def opened(kind: type[InlineJournal], path: Path) -> InlineJournal:
    return kind.open(path, account="DU123456", mode="paper", fresh_id="k7q2", synchronous="OFF")


def some(count: int, after: int = 0) -> list[Record]:
    return [
        Record(sequence=number, cause=0, kind="TimeReached", schema=1, payload=b'{"n":%d}' % number)
        for number in range(after + 1, after + count + 1)
    ]


def test_it_is_the_same_journal(tmp_path: Path) -> None:
    """Batches of all sizes, a batch without records and one refused leave the inline journal's records and anchor."""

    async def written(kind: type[InlineJournal]) -> tuple[str, str, list[str]]:
        path = tmp_path / f"{kind.__name__}.sqlite"
        journal = opened(kind, path)
        refusals = []
        for batch in (some(3), [], some(AT_ONCE, 3), some(1, 9), some(2, AT_ONCE + 3)):
            try:
                await journal.append(batch)
            except JournalError as error:
                refusals.append(str(error).removeprefix(str(path)))
        anchor = str(journal.anchor)
        await journal.close()
        return anchor, journal.sha256(), refusals

    inline, gathered = run(written(InlineJournal)), run(written(GatheringJournal))
    assert gathered == inline
    assert inline[0].startswith(f"{AT_ONCE + 5}:") and len(inline[2]) == 1


def test_whoever_reads_finds_all_that_was_taken(tmp_path: Path) -> None:
    """Through the journal at once, in the file after its end; a second daemon goes on where the first one ended."""

    async def main() -> None:
        journal = opened(GatheringJournal, tmp_path / "j.sqlite")
        await journal.append(some(5))
        assert journal.last_sequence == 5
        assert list(journal.read(2)) == some(5)[1:]
        assert journal.verify() == ()
        await journal.append(some(2, 5))
        await journal.close()
        assert list(read_records(tmp_path / "j.sqlite")) == some(7)
        with pytest.raises(JournalError):
            await journal.append(some(1, 7))
        second = opened(GatheringJournal, tmp_path / "j.sqlite")
        assert second.last_sequence == 7
        await second.append(some(1, 7))
        await second.close()

    run(main())
    assert list(read_records(tmp_path / "j.sqlite")) == some(8)
