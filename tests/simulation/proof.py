"""Runs many seeds and writes what came of them into docs/proof.md: `python -m tests.simulation.proof`.

A full run, FULL_SEEDS seeds of FULL_DAYS days or more with all faults, fails too when a fault never met an order in
one of its phases.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, cast

from longwatch.simulation.nights import Level
from longwatch.simulation.phases import PHASES, empty_cells
from longwatch.simulation.plan import SCOPES
from longwatch.simulation.simulate import Asked, as_json, attempted
from tests.conftest import ROOT
from tests.proof_page import PAGE, write_part

HEAD = """## Simulated runs

Each run is a whole daemon, built as in production, against the simulated gateway on a
virtual clock: nights with their resets and restarts, faults drawn from the seed, crashes of the daemon, commands by a
person. At its end the invariants (daemon/longwatch/simulation/invariants.py) are looked for in the gateway's ledger,
the frames that crossed the wire and the journal. The last day of each run is without trouble: by its end every order's
outcome must be known and holdings be at target. Other than in production the heartbeat comes every 15 minutes, the
account's figures are stale after 25 hours and reconciliation comes every 20 to 30 minutes, for else virtual days would
go into these; orders are at the market or limits; splits and dividends have runs of their own. Two seeds of three have
protective stops, half of these take-profits, a third of these entries that leave with their stop; in every fifth seed
others trade in the account. Any run is done again by the command `longwatch simulate` with its seed, days and level.
"""


FULL_SEEDS, FULL_DAYS = 200, 20
FULL = f"none=20,some=40,all={FULL_SEEDS}"
"""What is found is found by faults: those with few, and those with none, say that all is well in fair weather too."""

Outcomes = dict[str, list[dict[str, Any]]]
"""Level of faults -> what each seed came to, as `--json` prints it."""


def main(arguments: Sequence[str] | None = None, page: Path = PAGE) -> None:
    """Run, write, and exit with what was broken or missing, line by line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seeds", type=int, help="so many of each level, whatever --levels says")
    parser.add_argument("--days", type=int, default=FULL_DAYS)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--levels", default=FULL, help="of faults, and how many seeds of each")
    parser.add_argument("--kept", type=Path, help="a file of runs done, so that a proof broken off goes on from there")
    asked = parser.parse_args(arguments)
    wanted = seeds_of(asked.levels, asked.first, asked.seeds)
    outcomes = outcomes_of(wanted, asked.days, asked.workers, Kept(asked.kept))
    write_part(page, "simulation", "\n".join(_page(outcomes, asked.first, asked.days)))
    raise SystemExit("\n".join(failures(outcomes, asked.days)) or None)


def seeds_of(levels: str, first: int, seeds: int | None) -> dict[str, range]:
    """`none=20,all` as level -> seeds from `first` on, so many as `seeds` says, or the level, or FULL_SEEDS."""
    named = (text.partition("=") for text in levels.split(","))
    return {level: range(first, first + (seeds or int(number or FULL_SEEDS))) for level, _, number in named}


class Kept:
    """Runs that were done with the code as it is now, in a file of one JSON object a line; none without a file."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._code = code_digest()
        lines = path.read_text().splitlines() if path is not None and path.exists() else []
        done = [entry["run"] for line in lines if (entry := json.loads(line))["code"] == self._code]
        self._runs = {(run["faults"], run["seed"], run["days"]): run for run in done}

    def find(self, asked: Asked) -> dict[str, Any] | None:
        return self._runs.get((asked.faults, asked.seed, asked.days))

    def add(self, run: dict[str, Any]) -> None:
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps({"code": self._code, "run": run}) + "\n")


def code_digest() -> str:
    """What every file of the package comes to: a run of other code is not this code's run."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "daemon").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(path.read_bytes())
    return digest.hexdigest()


def outcomes_of(levels: Mapping[str, range], days: int, workers: int, kept: Kept) -> Outcomes:
    """Every run there is to do, those with most faults first; says what is broken at once, and every tenth run."""
    wanted = [
        Asked(seed=seed, days=days, faults=cast("Level", level)) for level in reversed(levels) for seed in levels[level]
    ]
    done: dict[Asked, dict[str, Any]] = {asked: run for asked in wanted if (run := kept.find(asked)) is not None}
    with ProcessPoolExecutor(workers) as pool:
        pending = {pool.submit(outcome_of, asked): asked for asked in wanted if asked not in done}
        for future in as_completed(pending):
            run = done[pending[future]] = future.result()
            kept.add(run)
            if run["broken"]:
                print(f"broken: {run['replay']}: {run['broken'][0]['text'][:200]}", flush=True)
            if len(done) % 10 == 0:
                print(f"{len(done)} of {len(wanted)} runs", flush=True)
    outcomes = {level: [done[asked] for asked in wanted if asked.faults == level] for level in levels}
    for level in levels:
        print(*_row(level, outcomes[level], days), flush=True)
    return outcomes


def failures(outcomes: Outcomes, days: int) -> list[str]:
    """Each run in which an invariant was broken; of a full run, also each fault that some phase never met."""
    found = [f"broken: {run['replay']}" for runs in outcomes.values() for run in runs if run["broken"]]
    if len(outcomes.get("all", ())) >= FULL_SEEDS and days >= FULL_DAYS:
        found += [f"never met: {cells}" for cells in empty_cells(_met(outcomes))]
    return found


def outcome_of(asked: Asked) -> dict[str, Any]:
    """One run's object, as `--json` prints it, come what may; the guard against stray clocks is on."""
    return as_json(attempted(asked))


def _page(outcomes: Outcomes, first: int, days: int) -> Iterator[str]:
    yield HEAD
    yield f"Seeds from {first} on, {days} trading days each.\n"
    yield "| faults | runs | trading days | orders | fills | connections | faults played | fills forgotten | broken |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for level, runs in outcomes.items():
        yield "| " + " | ".join(_row(level, runs, days)) + " |"
    yield "\n*Fills forgotten*: executions that no message could tell any more, because the gateway was started anew"
    yield "before it was asked, or never told them at all; the daemon concludes them from the position, or quarantines."
    yield from _broken(outcomes)
    yield "\n### Faults by the phase of orders they met\n"
    yield "Orders that were in a phase of their life while a fault was on, or at its instant, over all runs. A fault"
    yield "that waits for its moment, as a fill to lose, is on until that has come, and counts only where it came.\n"
    table = _met(outcomes)
    yield "| fault | " + " | ".join(PHASES) + " |"
    yield "|---" * (len(PHASES) + 1) + "|"
    for fault, scope in SCOPES.items():
        yield f"| `{fault}`: {scope.text} | " + " | ".join(f"{table[fault][phase]:,}" for phase in PHASES) + " |"


def _met(outcomes: Outcomes) -> dict[str, dict[str, int]]:
    """Fault -> phase -> orders, over all runs."""
    tables = [run["phases"] for runs in outcomes.values() for run in runs]
    return {fault: {phase: sum(table[fault][phase] for table in tables) for phase in PHASES} for fault in SCOPES}


def _row(level: str, runs: list[dict[str, Any]], days: int) -> list[str]:
    names = ("orders_sent", "fills", "connections", "faults_played", "fills_untellable")
    figures = [sum(run[name] for run in runs) for name in names]
    broken = sum(1 for run in runs if run["broken"])
    return [level, *(f"{figure:,}" for figure in (len(runs), days * len(runs), *figures, broken))]


def _broken(outcomes: Outcomes) -> Iterator[str]:
    runs = [run for runs in outcomes.values() for run in runs if run["broken"]]
    if runs:
        yield "\n### Broken\n"
    for run in runs:
        names = sorted({one["invariant"] for one in run["broken"]})
        yield f"- `{run['replay']}`: {', '.join(names)}"


if __name__ == "__main__":
    main()
