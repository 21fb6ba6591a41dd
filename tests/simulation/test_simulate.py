"""Runs that repeat, and a slice of the seeds that `make proof` runs more of."""

from __future__ import annotations

import re
import time
import types
from decimal import Decimal
from typing import Any

import pytest

from longwatch.errors import JournalError
from longwatch.gateway import books, wording
from longwatch.gateway.police import Limits
from longwatch.simulation import wander
from longwatch.simulation.phases import PHASES
from longwatch.simulation.plan import SCOPES
from longwatch.simulation.simulate import Asked, Outcome, as_json, simulate, simulated, verdict
from longwatch.simulation.strays import StrayCall

SLICE = range(1, 9)
DAYS = 4


def run(seed: int, faults: str = "all", **other: Any) -> Outcome:
    return simulated(Asked(**{"seed": seed, "days": 3, "faults": faults, "guards": False} | other))


@pytest.mark.parametrize("seed", SLICE)
def test_every_invariant_holds_through_nights_and_all_faults(seed: int) -> None:
    """Four days of each seed; a broken one is told with the command that shows it again."""
    outcome = run(seed, days=DAYS)
    assert not outcome.broken, verdict(outcome)
    assert outcome.counts["faults_played"] > 3 * DAYS
    assert outcome.counts["pacing_violations"] == 0


def test_the_pacing_of_a_simulated_run_is_watched() -> None:
    """At a small part of a real gateway's rate the same daemon is found out, and still keeps every invariant."""
    slow = run(3, pacing=Limits(messages_a_second=4))
    assert slow.counts["pacing_violations"] > 0
    assert not slow.broken, verdict(slow)


def test_one_seed_one_journal() -> None:
    """The same seed gives the same journal to the byte, faults, crashes and all; another one gives another."""
    first, again, other = (run(seed).journal_sha256 for seed in (4, 4, 10))
    assert first == again != other


def test_one_byte_of_the_gateway_changes_the_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cent more of equity in one kind of answer is another run."""
    before = run(2, "none").journal_sha256
    status = wording.order_status

    def other(order: Any) -> dict[str, Any]:
        return {**status(order), "whyHeld": "x"}

    monkeypatch.setattr(wording, "order_status", other)
    assert run(2, "none").journal_sha256 != before


def test_a_stray_clock_fails_the_run_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code of ours that reads the machine's clock is named, with its module."""
    target_weights = wander.Wander.target_weights

    def stray(self: Any, bars: Any, context: Any) -> Any:
        time.time()
        return target_weights(self, bars, context)

    ours = types.FunctionType(
        stray.__code__, {"__name__": wander.__name__, "time": time}, "stray", None, _cells(target_weights)
    )
    monkeypatch.setattr(wander.Wander, "target_weights", ours)
    with pytest.raises(StrayCall, match=r"time\.time in .*stray \(longwatch\.simulation\.wander"):
        run(2, "none", guards=True)


def clock() -> None:
    """Stands for what the stray function calls."""


def _cells(value: object) -> tuple[types.CellType, ...]:
    return (types.CellType(value),)


def test_a_run_says_what_came_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    """A line an hour, then the verdict, the counts, the journal's hash and the command that does it again."""
    assert simulate(seed=2, days=2, faults="some", guards=False) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.match(r"\d{4}-\d\d-\d\d \d\dh  ", lines[0])
    assert lines[-3].startswith("every invariant held; orders sent ")
    assert lines[-1] == "again: longwatch simulate --seed 2 --days 2 --faults some"


def test_the_json_counts_faults_by_an_orders_phase() -> None:
    """Every fault has a row, every phase a column."""
    told = as_json(run(1, "some", days=2))
    assert told["verdict"] == "held" and told["broken"] == []
    assert told["phases"].keys() == SCOPES.keys()
    assert all(tuple(row) == PHASES for row in told["phases"].values())
    assert told["replay"] == "longwatch simulate --seed 1 --days 2 --faults some"
    assert Decimal(told["orders_sent"]) > 0


def test_a_run_whose_gateway_does_not_balance_its_books_fails_with_both_figures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A share too many, planted in the gateway, ends in an error and not in a verdict."""
    right = books.moved_by

    def wrong(holding: books.Holding, step: books.Step) -> Decimal | None:
        holding.quantity += 1
        return right(holding, step)

    monkeypatch.setattr(books, "moved_by", wrong)
    with pytest.raises(JournalError, match=r"does not balance: cash and positions are worth \d+\.\d\d, its entries"):
        simulated(Asked(seed=2, days=2, faults="none", guards=False))
