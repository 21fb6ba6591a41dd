"""Runs that repeat, and a slice of the seeds that `make proof` runs more of."""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import subprocess
import sys
import threading
import time
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from longwatch.errors import JournalError
from longwatch.gateway.exchange import books
from longwatch.gateway.police import Limits
from longwatch.simulation import wander
from longwatch.simulation.lane import Lane
from longwatch.simulation.phases import PHASES
from longwatch.simulation.plan import SCOPES
from longwatch.simulation.simulate import Asked, Outcome, as_json, simulate, simulated, verdict
from longwatch.simulation.strays import StrayCall

LEVELS = {"all": (*range(1, 5), 6, 8, 10, 12, 14, 22, 24, 26), "some": (15, 16, 18, 28), "none": (20, 21)}
"""Of odd seeds, which trade all day long and take up to four times as long, a few."""
DAYS = 10
SLICE = [(seed, level) for level, seeds in LEVELS.items() for seed in seeds]
ONCE_BROKEN = [(51, 8), (70, 8), (16, 6)]
"""Seeds and days, with all faults, that once broke "quiet positions" and "at target"."""

PROCESS_SECONDS = 120


def run(seed: int, faults: str = "all", **other: Any) -> Outcome:
    return simulated(Asked(**{"seed": seed, "days": 3, "faults": faults} | other))


@pytest.mark.parametrize(("seed", "faults"), SLICE)
def test_every_invariant_holds_through_nights_and_faults(seed: int, faults: str) -> None:
    """Ten days of each seed; a broken one is told with the command that shows it again."""
    outcome = run(seed, faults, days=DAYS)
    assert not outcome.broken, verdict(outcome)
    assert outcome.counts["faults_played"] >= {"all": 3, "some": 1, "none": 0}[faults] * DAYS
    assert outcome.counts["pacing_violations"] == 0


@pytest.mark.parametrize(("seed", "days"), ONCE_BROKEN)
def test_what_was_broken_once_holds(seed: int, days: int) -> None:
    """By every invariant there is now."""
    outcome = run(seed, days=days)
    assert not outcome.broken, verdict(outcome)


def test_the_pacing_of_a_simulated_run_is_watched() -> None:
    """At a small part of a real gateway's rate the same daemon is found out, and still keeps every invariant."""
    slow = run(3, pacing=Limits(messages_a_second=4))
    assert slow.counts["pacing_violations"] > 0
    assert not slow.broken, verdict(slow)


def test_one_seed_one_journal() -> None:
    """The same seed gives the same journal to the byte, faults, crashes and all; another one gives another."""
    first, again, other = (run(seed).journal_sha256 for seed in (4, 4, 10))
    assert first == again != other


def test_one_seed_is_one_run_in_every_process(root: Path) -> None:
    """Faults, counts and the journal's hash are the same whatever the process and its hash seed."""
    command = "from longwatch.cli import main; main()"
    asked = ["simulate", "--seed", "4", "--days", "2", "--faults", "all", "--json"]
    told = []
    for hashing in ("0", "77"):
        done = subprocess.run(
            [sys.executable, "-c", command, *asked],
            env={**os.environ, "PYTHONPATH": str(root / "daemon"), "PYTHONHASHSEED": hashing},
            capture_output=True,
            text=True,
            timeout=PROCESS_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        told.append(json.loads(done.stdout))
    once, again = told
    assert once == again
    assert once["faults_played"] > 0 and re.fullmatch("[0-9a-f]{64}", once["journal_sha256"])


@pytest.mark.parametrize(
    ("beginning", "field"),
    [
        pytest.param(rb"63\0.*\0NetLiquidation\0", 5, id="a figure of the account's value"),
        pytest.param(rb"11\0", 19, id="a figure of a fill's price"),
        pytest.param(rb"61\0", 15, id="a figure of a position's cost"),
    ],
)
def test_one_byte_from_the_gateway_changes_the_journal(
    monkeypatch: pytest.MonkeyPatch, beginning: bytes, field: int
) -> None:
    """One figure of one message that the daemon acts on, changed on its way, makes another run."""
    before = run(2, "none").journal_sha256
    altered: list[tuple[bytes, bytes]] = []
    deliver = Lane._deliver

    def one_byte_off(lane: Lane, data: bytes) -> None:
        other = data
        if lane.on_arrived is not None and not altered:
            other = with_a_figure_changed(data, beginning, field)
            altered.extend([(data, other)] if other != data else [])
        deliver(lane, other)

    monkeypatch.setattr(Lane, "_deliver", one_byte_off)
    assert run(2, "none").journal_sha256 != before
    [(told, heard)] = altered
    assert sum(one != other for one, other in zip(told, heard, strict=True)) == 1


def with_a_figure_changed(data: bytes, beginning: bytes, field: int) -> bytes:
    """The same with the last figure in a field of the first message of a kind raised by one, or from nine to eight."""
    start = 0
    while start + 4 < len(data):
        end = start + 4 + int.from_bytes(data[start : start + 4], "big")
        fields = data[start + 4 : end].split(b"\0")
        last = start + 4 + len(b"\0".join(fields[: field + 1])) - 1
        if re.match(beginning, data[start + 4 : end]) and data[last : last + 1].isdigit():
            figure = int(chr(data[last]))
            return data[:last] + b"%d" % (figure - 1 if figure == 9 else figure + 1) + data[last + 1 :]
        start = end
    return data


@pytest.mark.parametrize(
    ("call", "named"),
    [
        ("time.time()", "time.time"),
        ("threading.Thread(target=int).start()", "threading.Thread.start"),
        ("random.random()", "random.random"),
        ("secrets.token_bytes(4)", "os.urandom"),
        ("uuid.uuid4()", "os.urandom"),
    ],
)
def test_a_stray_call_fails_the_run_by_name(monkeypatch: pytest.MonkeyPatch, call: str, named: str) -> None:
    """Code of ours that reads a clock, draws unseeded randomness or starts a thread is named, with its module."""
    modules = {module.__name__: module for module in (time, threading, random, secrets, uuid)}
    ours: dict[str, Any] = {"__name__": wander.__name__, **modules}
    exec(f"def stray():\n    {call}\n", ours)
    target_weights = wander.Wander.target_weights

    def decided(self: Any, bars: Any, context: Any) -> Any:
        ours["stray"]()
        return target_weights(self, bars, context)

    monkeypatch.setattr(wander.Wander, "target_weights", decided)
    with pytest.raises(StrayCall, match=rf"{re.escape(named)} in stray \(longwatch\.simulation\.wander:2\)"):
        run(2, "none", days=2, guards=True)


def test_a_run_says_what_came_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    """A line an hour, then the verdict, the counts, the journal's hash and the command that does it again."""
    assert simulate(seed=2, days=2, faults="some", guards=False) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.match(r"\d{4}-\d\d-\d\d \d\dh  ", lines[0])
    assert lines[-3].startswith("every invariant held; orders sent ")
    assert lines[-1] == "again: longwatch simulate --seed 2 --days 2 --faults some"


def test_a_broken_invariant_is_told_and_is_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 1; each broken promise has its time, and the last line is the command that shows it again."""
    monkeypatch.setattr(wander.Wander, "target_weights", lambda self, bars, context: ({}, {}))
    assert simulate(seed=2, days=2, faults="none") == 1
    lines = capsys.readouterr().out.splitlines()
    assert re.match(r"broken: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ enough orders: 0 orders in 2 days", lines[0])
    assert "times an invariant was broken" in lines[-3]
    assert lines[-1] == "again: longwatch simulate --seed 2 --days 2 --faults none"


def test_the_json_counts_faults_by_an_orders_phase() -> None:
    """Every fault has a row, every phase a column."""
    told = as_json(run(1, "some", days=2))
    assert told["verdict"] == "held" and told["broken"] == []
    assert told["phases"].keys() == SCOPES.keys()
    assert all(tuple(row) == PHASES for row in told["phases"].values())
    assert told["replay"] == "longwatch simulate --seed 1 --days 2 --faults some"
    assert Decimal(told["orders_sent"]) > 0


def test_a_run_whose_gateway_does_not_balance_its_books_fails_with_both_figures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A share too many, planted in the gateway, ends in an error, told with the command that shows it again."""
    right = books.moved_by

    def wrong(holding: books.Holding, step: books.Step) -> Decimal | None:
        holding.quantity += 1
        return right(holding, step)

    monkeypatch.setattr(books, "moved_by", wrong)
    assert simulate(seed=2, days=2, faults="none") == 1
    *_, told, again = capsys.readouterr().out.splitlines()
    assert told.startswith("broken: run: JournalError: ")
    assert again == "again: longwatch simulate --seed 2 --days 2 --faults none"
    with pytest.raises(JournalError, match=r"does not balance: cash and positions are worth \d+\.\d\d, its entries"):
        simulated(Asked(seed=2, days=2, faults="none", guards=False))
