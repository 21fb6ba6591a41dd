"""What makes `make proof` fail, and what it writes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from longwatch.simulation import simulate
from longwatch.simulation.crashes import Account, told
from longwatch.simulation.cut_judge import Tally
from longwatch.simulation.cuts import Point
from longwatch.simulation.phases import PHASES
from longwatch.simulation.plan import SCOPES
from tests.process import proof_kills
from tests.simulation import proof, proof_cuts

FULL = ("--seeds", "200", "--days", "20")


def run_of(seed: int, **changed: Any) -> dict[str, Any]:
    """A run as `--json` prints it, in which every fault met every phase."""
    names = ("orders_sent", "fills", "connections", "faults_played", "fills_untellable")
    met = {fault: dict.fromkeys(PHASES, 1) for fault in SCOPES}
    return {"broken": [], "phases": met, "replay": f"--seed {seed}", **dict.fromkeys(names, 3), **changed}


def ending(monkeypatch: pytest.MonkeyPatch, page: Path, arguments: tuple[str, ...], runs: list[dict[str, Any]]) -> Any:
    """What the process ends with when the runs came to this."""
    monkeypatch.setattr(proof, "outcomes_of", lambda levels, days, workers, kept: {"all": runs})
    with pytest.raises(SystemExit) as ended:
        proof.main(arguments, page)
    return ended.value.code


def test_a_full_run_fails_by_name_where_a_fault_never_met_a_phase(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One empty cell of the table over all runs is enough, and it is told; the page is written all the same."""
    runs = [run_of(seed) for seed in range(proof.FULL_SEEDS)]
    for run in runs[2:]:
        run["phases"] = {fault: dict.fromkeys(PHASES, 0) for fault in SCOPES}
    for run in runs[:2]:
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
    assert ending(monkeypatch, tmp_path / "proof.md", FULL, [run_of(1)] * proof.FULL_SEEDS) is None


def test_each_level_has_as_many_seeds_as_it_says() -> None:
    wanted = {"none": range(3, 23), "some": range(3, 203)}
    assert proof.seeds_of("none=20,some", 3, None) == wanted
    assert proof.seeds_of("none=20,some", 3, 4) == dict.fromkeys(wanted, range(3, 7))
    assert len(proof.seeds_of(proof.FULL, 1, None)["all"]) == proof.FULL_SEEDS


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
    assert proof.failures(outcomes, 2) == [f"broken: {run['replay']}"]
    assert f"- `{run['replay']}`: run" in "\n".join(proof._page(outcomes, 1, 2))


def test_a_proof_broken_off_goes_on_with_the_runs_it_has_and_not_with_those_of_other_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What a run of this code came to is not done again; one of changed code is."""
    file = tmp_path / "runs.jsonl"
    done = {**run_of(1), "seed": 1, "days": 1, "faults": "none", "orders_sent": 77}
    proof.Kept(file).add(done)
    assert proof.outcomes_of({"none": range(1, 2)}, 1, 1, proof.Kept(file)) == {"none": [done]}
    monkeypatch.setattr(proof, "code_digest", lambda: "other code")
    (again,) = proof.outcomes_of({"none": range(1, 2)}, 1, 1, proof.Kept(file))["none"]
    assert again["seed"] == 1
    assert again["orders_sent"] != 77
    assert proof.Kept(file).find(proof.Asked(seed=1, days=1, faults="none")) == again


# ── cuts ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def account_with(cuts: int, **changed: Any) -> Account:
    """So many cuts of every point."""
    table = {str(point): Tally(cuts=cuts, restarts=cuts, orders=cuts, settled=cuts) for point in Point}
    kinds = {kind: max(cuts, proof_cuts.FULL_EACH_KIND) for kind in proof_cuts.KINDS}
    return Account(**{"table": table, "kinds": set(kinds), "cut_kinds": Counter(kinds), **changed})


def ending_cuts(monkeypatch: pytest.MonkeyPatch, page: Path, account: Account, cuts: int = 10_000) -> Any:
    monkeypatch.setattr(proof_cuts, "account_until", lambda first, cuts, workers, kept: account)
    monkeypatch.setattr(proof_cuts, "aimed_accounts", lambda seeds, workers: {})
    with pytest.raises(SystemExit) as ended:
        proof_cuts.main(("--cuts", str(cuts)), page)
    return ended.value.code


def test_a_full_proof_of_cuts_fails_by_name_where_a_point_has_too_few(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each point has 500; a smaller proof, of fewer cuts, is not asked for them."""
    page, account = tmp_path / "proof.md", account_with(500)
    assert ending_cuts(monkeypatch, page, account) is None
    account.table["queued"].cuts = 499
    assert ending_cuts(monkeypatch, page, account) == "too few cuts: queued: 499 of 500"
    assert ending_cuts(monkeypatch, page, account, cuts=4_999) is None


def test_a_full_proof_of_cuts_fails_by_name_where_a_kind_of_record_has_too_few(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each kind that a run meets has its share; one that it does not is asked for only once it was written."""
    page, account = tmp_path / "proof.md", account_with(500)
    account.cut_kinds["FillBooked"] = 9
    assert ending_cuts(monkeypatch, page, account) == "too few cuts of commits with a FillBooked: 9 of 10"
    assert ending_cuts(monkeypatch, page, account, cuts=4_999) is None
    account.cut_kinds["FillBooked"], account.cut_kinds["OrderWithheld"] = 10, 9
    assert ending_cuts(monkeypatch, page, account) == "too few cuts of commits with a OrderWithheld: 9 of 10"
    assert "- too few cuts of commits with a OrderWithheld: 9 of 10\n" in page.read_text()
    account.cut_kinds["OrderWithheld"] = 10
    account.kinds.add("LinkLost")
    assert ending_cuts(monkeypatch, page, account) == "too few cuts of commits with a LinkLost: 0 of 10"


@pytest.mark.parametrize(
    ("words", "seeds"),
    [(("--cuts", "10000"), proof_cuts.AIMED_SEEDS), (("--cuts", "9"), 0), (("--cuts", "9", "--aimed", "1"), 1)],
)
def test_a_full_proof_of_cuts_has_the_worlds_aimed_at_seldom_kinds_and_a_smaller_one_those_it_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: tuple[str, ...], seeds: int
) -> None:
    """Their cuts are in the table of points, and told of apart."""
    page, asked = tmp_path / "proof.md", []

    def aimed_accounts(seeds: int, workers: int) -> dict[str, Account]:
        asked.append(seeds)
        return {"words": account_with(7, cut_kinds=Counter(OrderWithheld=6, BreakerSet=4, VerbSet=5))} if seeds else {}

    monkeypatch.setattr(proof_cuts, "account_until", lambda first, cuts, workers, kept: account_with(500))
    monkeypatch.setattr(proof_cuts, "aimed_accounts", aimed_accounts)
    with pytest.raises(SystemExit) as ended:
        proof_cuts.main(words, page)
    assert (asked, ended.value.code) == ([seeds], None)
    part = page.read_text()
    assert f"| `filled` | {507 if seeds else 500} |" in part
    assert ("| 0 | 70 | `OrderWithheld` 6, `BreakerSet` 4, `VerbSet` 5 |" in part) == bool(seeds)


def test_a_lost_order_or_a_broken_promise_fails_the_proof_of_cuts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page, account = tmp_path / "proof.md", account_with(500)
    account.table["sending"].lost = 1
    assert ending_cuts(monkeypatch, page, account, cuts=1) == "broken: an order was duplicated or lost"
    broken = [{"invariant": "quiet positions", "at": "", "text": "", "replay": "--crash-points filled:3"}]
    account = account_with(500, broken=broken)
    assert ending_cuts(monkeypatch, page, account, cuts=1) == "broken: quiet positions: --crash-points filled:3"
    assert "- quiet positions: `--crash-points filled:3`" in page.read_text()


def test_the_table_of_cuts_is_a_part_of_the_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It stays where it is when the seeds are run anew; the kinds of record in the commits cut are counted."""
    page = tmp_path / "proof.md"
    account = account_with(7, kinds={"FillBooked", "TimeReached"}, cut_kinds=Counter(FillBooked=7))
    ending_cuts(monkeypatch, page, account)
    part = page.read_text()
    assert "| `filled` | 7 | 7 | 0 | 7 | 0 | 0 | 7 | 0 |" in part
    assert "1 of the 2 kinds of record" in part and "`TimeReached` 0, `FillBooked` 7." in part
    ending(monkeypatch, page, ("--seeds", "1"), [run_of(1)])
    assert page.read_text().startswith(part)


def test_a_proof_of_cuts_broken_off_goes_on_with_the_runs_it_has(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What a seed came to with this code is taken from the file; it says the same as the run did."""
    file, account = tmp_path / "cuts.jsonl", account_with(7)
    proof_cuts.keep(file, 3, told(account))
    found = proof_cuts.account_until(3, 70, 1, file)
    assert told(found) == told(account)
    monkeypatch.setattr(proof_cuts, "code_digest", lambda: "other code")
    assert proof_cuts.kept_runs(file) == {}


# ── kills ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_full_proof_of_kills_fails_by_name_where_they_met_a_phase_too_seldom() -> None:
    """Fewer kills are not asked for it; every phase on the page has its floor."""
    met = dict(proof_kills.FLOORS)
    assert proof_kills.FLOORS.keys() == proof_kills.MET.keys()
    assert proof_kills.failures(proof_kills.KILLS, met) == []
    met["queued"] -= 1
    few = met["queued"]
    assert proof_kills.failures(proof_kills.KILLS, met) == [f"too few kills met queued: {few} of {few + 1}"]
    assert proof_kills.failures(proof_kills.KILLS - 1, {}) == []
