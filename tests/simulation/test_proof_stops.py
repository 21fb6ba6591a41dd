"""That the proof of protective stops takes seeds in their order, counts days, and fails with what was broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation import proof_stops
from tests.simulation.proof_stops import Day, Run

DAY = Day(bare=2e6, held=1e8, longest=7.0)


def test_seeds_run_in_their_order_until_there_are_days_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Seeds without stops give no days; what was broken is told, on the page and by the exit."""

    def runs_of(wanted: int, workers: int) -> list[Run]:
        assert (wanted, workers) == (4, 1)
        return [
            Run(seed=1, days=(DAY, DAY), broken=()),
            Run(seed=2, days=(), broken=()),
            Run(seed=3, days=(DAY, DAY), broken=("seed 3: protected in time: SIMA",)),
        ]

    monkeypatch.setattr(proof_stops, "runs_of", runs_of)
    page = tmp_path / "proof.md"
    page.write_text("<!-- part stops -->\n<!-- end of stops -->\n")
    with pytest.raises(SystemExit, match="seed 3: protected in time: SIMA"):
        proof_stops.main(["--days", "4", "--workers", "1"], page)
    assert "4 days of 2 seeds" in page.read_text() and "| 2.00 |" in page.read_text()


def test_a_seed_comes_with_its_days_of_open_market_behind_no_stop() -> None:
    runs = list(proof_stops.runs_of(2, 1))
    assert [run.seed for run in runs] == list(range(1, len(runs) + 1))
    assert [len(run.days) for run in runs if run.days] == [2]
    assert all(day.held > day.bare >= 0 and day.longest < 23_401 for run in runs for day in run.days)
    assert [text for run in runs for text in run.broken] == []
