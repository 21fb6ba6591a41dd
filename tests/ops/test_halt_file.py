"""The halt file: what is read of it, when it halts, and what is said when it can't be looked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from longwatch.domain import messages as m
from longwatch.engine.workers import InlineWorkers
from longwatch.errors import JournalError
from longwatch.ops.halt_file import LOOK_SECONDS, MOST_WORDS, HaltFile, first_line
from longwatch.simulation.loop import JumpLoop, run

Result = TypeVar("Result")


def played(path: Path, acts: list[Callable[[], Any]], workers: Any = None, fails: bool = False) -> tuple[Any, ...]:
    """Acts a few looks apart, with a watch on the file: what was asked for, and the alerts."""
    asked: list[tuple[str, ...]] = []
    alerts: list[m.RaiseAlert] = []

    async def answer(command: str, argument: str, reason: str, by: str) -> dict[str, Any]:
        asked.append((command, argument, reason, by))
        if fails:
            raise JournalError("halt is not in the journal")
        return {"ok": True}

    async def main() -> None:
        file = HaltFile(path=path, workers=workers or InlineWorkers(), answer=answer, alert=alerts.append)
        watching = asyncio.create_task(file.watch())
        for act in acts:
            await asyncio.sleep(3 * LOOK_SECONDS)
            act()
            asked.append(("is there",) if file.is_there else ("is not there",))
        await asyncio.sleep(3 * LOOK_SECONDS)
        watching.cancel()

    run(main(), loop=JumpLoop())
    return asked, alerts


def test_it_halts_once_when_it_appears_and_again_when_it_comes_back(tmp_path: Path) -> None:
    """Its first line is the reason; that it goes away asks for nothing."""
    path = tmp_path / "HALT"
    acts = [lambda: path.write_text("wrong prices\nmore\n"), lambda: None, path.unlink, path.touch]
    asked, alerts = played(path, acts)
    by = f"file {path}"
    assert asked == [
        ("is not there",),
        ("halt", "", "wrong prices", by),
        ("is there",),
        ("is there",),
        ("is not there",),
        ("halt", "", "", by),
    ]
    assert alerts == []


def test_it_halts_at_the_start_and_a_journal_that_fails_ends_no_watch(tmp_path: Path) -> None:
    """Whoever left it there meant it; and after a refusal the file is looked for as before."""
    path = tmp_path / "HALT"
    path.touch()
    asked, _ = played(path, [path.unlink, path.touch], fails=True)
    assert [one[0] for one in asked] == ["halt", "is there", "is not there", "halt"]


@pytest.mark.parametrize("error", [TimeoutError(), OSError("the file system is gone")])
def test_a_file_that_cannot_be_looked_for_is_told(error: Exception, tmp_path: Path) -> None:
    """It is not taken for absent in silence, nor for there; and it is looked for again."""

    class Hanging:
        looks = 0

        async def run(self, work: Callable[[], Result], *, deadline_seconds: float) -> Result:
            self.looks += 1
            if self.looks < 4:
                raise error
            return work()

    path = tmp_path / "HALT"
    path.touch()
    asked, alerts = played(path, [lambda: None, lambda: None], workers=Hanging())
    assert {alert.key for alert in alerts} == {"halt_file"} and len(alerts) == 3
    assert alerts[0].severity == "critical"
    assert [one[0] for one in asked] == ["is not there", "halt", "is there"]


def test_what_is_read_of_it(tmp_path: Path) -> None:
    """A line of text, however long and whatever its bytes; what can't be read is there all the same."""
    path = tmp_path / "HALT"
    assert first_line(path) is None
    path.write_bytes(b"\xff broken \n second")
    assert first_line(path) == "\N{REPLACEMENT CHARACTER} broken"
    path.write_text("a" * 10_000)
    assert first_line(path) == "a" * MOST_WORDS
    path.unlink()
    path.mkdir()
    assert first_line(path) == ""
    (tmp_path / "no folder").touch()
    with pytest.raises(OSError, match="Not a directory"):
        first_line(tmp_path / "no folder" / "HALT")
