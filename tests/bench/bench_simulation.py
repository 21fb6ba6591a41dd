"""P13: trading days a second of the whole daemon in simulation, 20 symbols rebalanced daily, calm and in trouble."""

from __future__ import annotations

import logging
import subprocess
import sys
from time import process_time

from tests.bench.figures import ENVIRONMENT, ROOT, tell

SEED = 2
DAYS = 10
SYMBOLS = 20
RUNS = 3
LEVELS = {"none": ("calm", "≥ 30"), "all": ("all faults", "≥ 15")}
"""What is measured -> its name, and the goal."""


def main() -> None:
    """Each level in a process of its own, on one core; what counts is the CPU time of `simulated`, judging included."""
    for level, (name, goal) in LEVELS.items():
        runs = [float(line) for line in _child(level).splitlines()]
        tell(
            f"P13 whole-daemon simulation, {name}",
            [DAYS / seconds for seconds in runs[1:]],
            "days/s",
            goal=goal,
            note=f"seed {SEED}, {DAYS} days, {SYMBOLS} symbols, rebalanced daily, guarded and judged; CPU seconds",
        )
        if level == "none":
            tell("P13 start of the simulation", runs[:1], "s", note="CPU seconds of imports and a first day, left out")


def _child(level: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "tests.bench.bench_simulation", level],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


def measured(level: str) -> None:
    """Print the seconds of everything up to the end of a first day, then those of each run."""
    logging.disable(logging.CRITICAL)
    from longwatch.simulation.simulate import Asked, simulated

    simulated(Asked(seed=SEED, days=1, faults="none", made_up=SYMBOLS))
    print(process_time())
    for _ in range(RUNS):
        began = process_time()
        simulated(Asked(seed=SEED, days=DAYS, faults=level, made_up=SYMBOLS))  # type: ignore[arg-type]
        print(process_time() - began)


if __name__ == "__main__":
    measured(sys.argv[1]) if len(sys.argv) > 1 else main()
