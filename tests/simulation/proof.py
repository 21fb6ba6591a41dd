"""Runs many seeds and writes what came of them into docs/proof.md: `python -m tests.simulation.proof --seeds 200`."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from longwatch.simulation.phases import PHASES
from longwatch.simulation.plan import SCOPES
from longwatch.simulation.simulate import Asked, as_json, simulated
from tests.conftest import ROOT

HEAD = """# Proof

What `make proof` last came to. Each run is a whole daemon, built as in production, against the simulated gateway on a
virtual clock: nights with their resets and restarts, faults drawn from the seed, crashes of the daemon, commands by a
person. At its end the invariants (daemon/longwatch/simulation/invariants.py) are looked for in the gateway's ledger,
the frames that crossed the wire and the journal. The last day of each run is without trouble: by its end every order's
outcome must be known and holdings be at target. Any run is done again by the command `longwatch simulate` with its
seed, days and level.
"""


def main() -> None:
    """Run, write, and fail when an invariant was broken."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--days", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--levels", default="none,some,all")
    asked = parser.parse_args()
    seeds = range(asked.first, asked.first + asked.seeds)
    outcomes: dict[str, list[dict[str, Any]]] = {}
    with ProcessPoolExecutor(asked.workers) as pool:
        for level in asked.levels.split(","):
            wanted = [Asked(seed=seed, days=asked.days, faults=level) for seed in seeds]
            outcomes[level] = list(pool.map(outcome_of, wanted))
            print(level, *_row(level, outcomes[level], asked.days), flush=True)
    (ROOT / "docs" / "proof.md").write_text("\n".join(_page(outcomes, seeds, asked.days)) + "\n")
    broken = [run for runs in outcomes.values() for run in runs if run["broken"]]
    raise SystemExit("\n".join(f"broken: {run['replay']}" for run in broken) or None)


def outcome_of(asked: Asked) -> dict[str, Any]:
    """One run's object, as `--json` prints it; the guard against stray clocks is on."""
    return as_json(simulated(asked))


def _page(outcomes: dict[str, list[dict[str, Any]]], seeds: range, days: int) -> Iterator[str]:
    yield HEAD
    yield f"Seeds {seeds.start} to {seeds.stop - 1}, {days} trading days each.\n"
    yield "| faults | runs | trading days | orders | fills | connections | faults played | fills forgotten | broken |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for level, runs in outcomes.items():
        yield "| " + " | ".join(_row(level, runs, days)) + " |"
    yield "\n*Fills forgotten*: executions that no message could tell any more, because the gateway was started anew"
    yield "before it was asked, or never told them at all; the daemon concludes them from the position, or quarantines."
    yield from _broken(outcomes)
    yield "\n## Faults by the phase of orders they met\n"
    yield "Orders that were in a phase of their life while a fault was on, or at its instant, over all runs.\n"
    table: Counter[tuple[str, str]] = Counter()
    for runs in outcomes.values():
        for run in runs:
            for fault, row in run["phases"].items():
                table.update({(fault, phase): count for phase, count in row.items()})
    yield "| fault | " + " | ".join(PHASES) + " |"
    yield "|---" * (len(PHASES) + 1) + "|"
    for fault, scope in SCOPES.items():
        yield f"| `{fault}`: {scope.text} | " + " | ".join(f"{table[fault, phase]:,}" for phase in PHASES) + " |"


def _row(level: str, runs: list[dict[str, Any]], days: int) -> list[str]:
    names = ("orders_sent", "fills", "connections", "faults_played", "fills_untellable")
    figures = [sum(run[name] for run in runs) for name in names]
    broken = sum(1 for run in runs if run["broken"])
    return [level, *(f"{figure:,}" for figure in (len(runs), days * len(runs), *figures, broken))]


def _broken(outcomes: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    runs = [run for runs in outcomes.values() for run in runs if run["broken"]]
    if runs:
        yield "\n## Broken\n"
    for run in runs:
        names = sorted({one["invariant"] for one in run["broken"]})
        yield f"- `{run['replay']}`: {', '.join(names)}"


if __name__ == "__main__":
    main()
