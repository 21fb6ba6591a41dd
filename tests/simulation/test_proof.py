"""What makes `make proof` fail, and what it writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from longwatch.simulation import simulate
from longwatch.simulation.phases import PHASES
from longwatch.simulation.plan import SCOPES
from tests.simulation import proof

FULL = ("--seeds", "200", "--days", "20")


def run_of(seed: int, **changed: Any) -> dict[str, Any]:
    """A run as `--json` prints it, in which every fault met every phase."""
    names = ("orders_sent", "fills", "connections", "faults_played", "fills_untellable")
    met = {fault: dict.fromkeys(PHASES, 1) for fault in SCOPES}
    return {"broken": [], "phases": met, "replay": f"--seed {seed}", **dict.fromkeys(names, 3), **changed}


def ending(monkeypatch: pytest.MonkeyPatch, page: Path, arguments: tuple[str, ...], runs: list[dict[str, Any]]) -> Any:
    """What the process ends with when the runs came to this."""
    monkeypatch.setattr(proof, "outcomes_of", lambda levels, seeds, days, workers, kept: {"all": runs})
    with pytest.raises(SystemExit) as ended:
        proof.main(arguments, page)
    return ended.value.code


def test_a_full_run_fails_by_name_where_a_fault_never_met_a_phase(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One empty cell of the table over all runs is enough, and it is told; the page is written all the same."""
    runs = [run_of(seed) for seed in (1, 2)]
    for run in runs:
        run["phases"]["lose_fill"] |= {"queued": 0, "sent": 0}
    runs[0]["phases"]["crash"]["queued"] = 0
    page = tmp_path / "proof.md"
    assert ending(monkeypatch, page, FULL, runs) == "never met: lose_fill: queued, sent"
    assert "| `lose_fill`: a fill is told to nobody, at no time | 0 | 0 | 2 | 2 | 2 |" in page.read_text()


def test_fewer_runs_are_not_asked_for_every_phase(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Twenty seeds may miss a cell; a full run with every cell filled passes."""
    run = run_of(1)
    run["phases"]["lose_fill"]["queued"] = 0
    assert ending(monkeypatch, tmp_path / "proof.md", ("--seeds", "20"), [run]) is None
    assert ending(monkeypatch, tmp_path / "proof.md", FULL, [run_of(1)]) is None


def test_a_broken_run_fails_with_its_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """However few runs there were."""
    broken = run_of(7, broken=[{"invariant": "at target", "at": "", "text": ""}])
    page = tmp_path / "proof.md"
    assert ending(monkeypatch, page, ("--seeds", "1"), [broken]) == "broken: --seed 7"
    assert "- `--seed 7`: at target" in page.read_text()


def test_a_run_that_comes_to_no_end_is_broken_and_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one row among the others, with what was raised and the command that does it again."""
    monkeypatch.setattr(simulate, "scenery", lambda *given, **other: 1 / 0)
    run = proof.outcome_of(proof.Asked(seed=7, days=2, faults="none"))
    assert run["broken"] == [{"invariant": "run", "at": "", "text": "ZeroDivisionError: division by zero"}]
    monkeypatch.undo()
    held = proof.outcome_of(proof.Asked(seed=2, days=2, faults="none"))
    assert run.keys() == held.keys() and run["phases"].keys() == held["phases"].keys()
    outcomes = {"none": [run, held]}
    assert proof.failures(outcomes, range(1, 3), 2) == [f"broken: {run['replay']}"]
    assert f"- `{run['replay']}`: run" in "\n".join(proof._page(outcomes, range(1, 3), 2))


def test_a_proof_broken_off_goes_on_with_the_runs_it_has_and_not_with_those_of_other_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What a run of this code came to is not done again; one of changed code is."""
    file = tmp_path / "runs.jsonl"
    done = {**run_of(1), "seed": 1, "days": 1, "faults": "none", "orders_sent": 77}
    proof.Kept(file).add(done)
    assert proof.outcomes_of(["none"], range(1, 2), 1, 1, proof.Kept(file)) == {"none": [done]}
    monkeypatch.setattr(proof, "code_digest", lambda: "other code")
    (again,) = proof.outcomes_of(["none"], range(1, 2), 1, 1, proof.Kept(file))["none"]
    assert again["seed"] == 1
    assert again["orders_sent"] != 77
    assert proof.Kept(file).find(proof.Asked(seed=1, days=1, faults="none")) == again
