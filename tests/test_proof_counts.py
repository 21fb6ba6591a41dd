"""What a suite counted stands on the page of the proof beside what others did, and a failure is not counted as held."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.proof_counts import NAME, Counts


def report(what: str, number: int, outcome: str = "passed") -> Any:
    return SimpleNamespace(when="call", user_properties=[(NAME, (what, number))], passed=outcome == "passed")


def test_a_run_over_some_suites_writes_their_rows_and_leaves_the_others(tmp_path: Path) -> None:
    page, session = tmp_path / "proof.md", SimpleNamespace(config=SimpleNamespace())
    first, second = Counts(page), Counts(page)
    for one in (report("walks", 4000), report("messages", 700), report("messages", 300)):
        first.pytest_runtest_logreport(one)
    first.pytest_sessionfinish(session)  # type: ignore[arg-type]
    for one in (report("messages", 900), report("messages", 100, "failed")):
        second.pytest_runtest_logreport(one)
    second.pytest_sessionfinish(session)  # type: ignore[arg-type]
    cells = [line.split(" | ")[:3] for line in page.read_text().splitlines() if line.startswith("| ")]
    assert cells == [["|", "counted", "failed"], ["| walks", "4,000", "0"], ["| messages", "900", "1"]]


def test_a_worker_writes_nothing(tmp_path: Path) -> None:
    """Where the reports of several processes come together, one writes."""
    counts = Counts(tmp_path / "proof.md")
    counts.pytest_runtest_logreport(report("walks", 4000))
    counts.pytest_sessionfinish(SimpleNamespace(config=SimpleNamespace(workerinput={})))  # type: ignore[arg-type]
    assert not counts.page.exists()
