"""The halt file: what is read of it, when it halts, and what is said when it can't be looked for."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from longwatch.domain import messages as m
from longwatch.engine.workers import InlineWorkers, ThreadWorkers
from longwatch.errors import JournalError
from longwatch.ops import halt_file
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


def test_a_fifo_halts_and_holds_nobody_up(tmp_path: Path) -> None:
    """To open one waits for whoever writes into it; there it is, and that halts."""
    path = tmp_path / "HALT"
    os.mkfifo(path)
    assert first_line(path) == ""
    asked, alerts = played(path, [lambda: None])
    assert [one[0] for one in asked] == ["halt", "is there"] and alerts == []


def test_a_file_that_may_not_be_read_halts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there. Root may read everything, so it is the opening that is refused, and not the file's mode."""
    path = tmp_path / "HALT"
    path.write_text("enough")
    refused = []

    def refuses(name: str, flags: int) -> int:
        refused.append(name)
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuses)
        assert first_line(path) == ""
    assert [Path(name) for name in refused] == [path]
    assert first_line(path) == "enough"


async def test_a_look_that_hangs_is_the_only_one_and_other_work_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it is time to look: one thread waits, the others work; once it ends it is looked for again."""
    looks, goes_on = [], threading.Event()

    def hangs(path: Path) -> str | None:
        looks.append(path)
        goes_on.wait(20)
        return "enough"

    monkeypatch.setattr(halt_file, "first_line", hangs)
    monkeypatch.setattr(halt_file, "DEADLINE_SECONDS", 0.02)
    monkeypatch.setattr(halt_file, "LOOK_SECONDS", 0.01)
    alerts: list[m.RaiseAlert] = []
    halted = asyncio.Event()

    async def answer(*asked: str) -> dict[str, Any]:
        halted.set()
        return {"ok": True}

    workers = ThreadWorkers()
    file = HaltFile(path=tmp_path / "HALT", workers=workers.apart(), answer=answer, alert=alerts.append)
    watching = asyncio.create_task(file.watch())
    async with asyncio.timeout(10):
        while len(alerts) < 5:
            await asyncio.sleep(0.01)
        assert len(looks) == 1
        assert await workers.run(lambda: 1, deadline_seconds=5) == 1
        monkeypatch.setattr(halt_file, "DEADLINE_SECONDS", 5.0)
        goes_on.set()
        await halted.wait()
    watching.cancel()
    workers.close()


def test_what_hangs_apart_does_not_hold_the_end_of_the_process_up() -> None:
    """Its thread dies with the process, and what it raises is raised where it was asked for."""
    script = """
import asyncio, time
from longwatch.engine.workers import ThreadWorkers
async def main():
    workers = ThreadWorkers().apart()
    for work in (lambda: 1 / 0, lambda: time.sleep(60)):
        try:
            await workers.run(work, deadline_seconds=0.2)
        except (ZeroDivisionError, TimeoutError) as error:
            print(type(error).__name__)
asyncio.run(main())
"""
    ran = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=30)
    assert (ran.returncode, ran.stdout.split(), ran.stderr) == (0, ["ZeroDivisionError", "TimeoutError"], "")
