"""The journal in a whole daemon's life: a checkpoint at its end, an anchor a day, old events in the archive."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from longwatch import app
from longwatch.domain.state import fingerprint
from longwatch.journal.chain import Anchor
from longwatch.journal.checkpoints import Recovered, read_checkpoints, recovered
from longwatch.journal.codec import recover
from longwatch.journal.layout import archive_of
from longwatch.journal.reading import last_anchor, read_entries, read_records, verify
from longwatch.journal.records import Journal
from tests.daemon.bench import DAY, Scene, on_bench


def test_an_orderly_end_leaves_a_checkpoint_and_the_next_daemon_begins_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it begins with is what the records say; a short run, which folds in no time, leaves none."""
    began: list[int] = []

    def noted(journal: Journal) -> Recovered:
        found = recovered(journal)
        assert fingerprint(found.state) == fingerprint(recover(journal.read()))
        began.append(found.began_at)
        return found

    monkeypatch.setattr(app, "recovered", noted)

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        await scene.stop()
        assert list(read_checkpoints(scene.bench.journal)) == []
        monkeypatch.setattr(app, "LEAST_RECORDS", 10)
        scene.start()
        await asyncio.sleep(60)
        await scene.stop()
        last = last_anchor(scene.bench.journal).sequence
        assert [kept.sequence for kept in read_checkpoints(scene.bench.journal)] == [last]
        scene.start()
        await asyncio.sleep(60)
        assert began == [0, 0, last]

    on_bench(story, tmp_path)


def test_the_anchor_is_logged_once_a_day_and_old_events_move_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Every anchor told still holds at the end, over the archive and all; facts and the state are untouched."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        with caplog.at_level(logging.INFO, "longwatch.journal"):
            await scene.till(23)
            for _ in range(4):
                await asyncio.sleep(DAY)
        told = [record.args for record in caplog.records if record.msg == "anchor %s"]
        anchors = [args[0] for args in told if args and isinstance(args[0], Anchor)]
        assert 3 <= len(anchors) <= 6
        assert scene.daemon.runtime.anchor == (anchors[-1].sequence, anchors[-1].hash.hex())
        path = scene.bench.journal
        assert archive_of(path).exists()
        away = [entry for entry in read_entries(path) if entry.record.sequence not in _left(path)]
        assert away and {entry.record.cause for entry in away} == {0}
        assert verify(path, anchors) == ()
        assert fingerprint(recover(read_records(path))) == fingerprint(scene.daemon.state)

    on_bench(story, tmp_path, {"journal": {"archive_after_days": 1}})


def _left(path: Path) -> set[int]:
    return {record.sequence for record in read_records(path)}
