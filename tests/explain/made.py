"""Journals of whole runs, made once each for the tests of this part."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from longwatch.journal.chain import first_link, link_of
from longwatch.journal.finding import finding
from longwatch.journal.layout import connect, read_identity
from longwatch.simulation.demo import DemoOptions, play
from longwatch.simulation.loop import JumpLoop, run
from longwatch.simulation.simulate import Asked, simulated


@cache
def ran(seed: int, days: int, faults: str) -> Path:
    """The folder of a simulated run, with its journal and ledger; left alone by whoever reads it."""
    folder = Path(mkdtemp(prefix="longwatch-why-")) / "run"
    outcome = simulated(Asked(seed=seed, days=days, faults=faults, keep=folder))  # type: ignore[arg-type]
    assert not outcome.broken
    return folder


@cache
def demo(days: int) -> Path:
    """The folder of a demo's first days, with limit orders of which some are clamped."""
    folder = Path(mkdtemp(prefix="longwatch-why-"))
    loop = JumpLoop(pace_seconds_per_day=0.0)
    asked = DemoOptions(days=days, pace_seconds=0.0, http_port=0, as_json=True, keep=folder)
    run(play(asked, folder, loop), loop=loop)
    return folder


def journal_of(folder: Path, tmp_path: Path) -> Path:
    """A copy of a run's journal, to do anything to."""
    for file in folder.glob("journal.sqlite*"):
        shutil.copy(file, tmp_path / file.name)
    return tmp_path / "journal.sqlite"


def orders_in(path: Path) -> int:
    """How many orders a journal has."""
    with finding(path) as finder:
        return sum(1 for _ in finder.between(1, finder.last, ("OrderIntended",)))


@contextmanager
def written(path: Path) -> Iterator[Any]:
    """The file as somebody with an SQL prompt has it."""
    hand = connect(path, "OFF")
    try:
        yield hand
    finally:
        hand.close()


def forged(path: Path, sequence: int, payload: bytes) -> None:
    """Write another payload in a record's place, and every hash from there on anew, as a careful forger would."""
    chain = first_link(read_identity(path).journal_id)
    with written(path) as hand:
        hand.execute("UPDATE record SET payload = ? WHERE sequence = ?", (payload, sequence))
        rows = hand.execute("SELECT sequence, cause, kind, schema, payload FROM record ORDER BY sequence").fetchall()
        for number, cause, kind, schema, content in rows:
            chain = link_of(chain, number, cause, kind, schema, content)
            hand.execute("UPDATE record SET chain = ? WHERE sequence = ?", (chain, number))
