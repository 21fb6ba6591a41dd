"""Judges the story of every order of faulty days, seed after seed, and writes what came of it into docs/proof.md.

`python -m tests.explain.proof_why --seeds 20`. Every order is judged by judging.py: by the gateway's ledger, by a fold
of the whole journal, by the arithmetic of what is told, and by deciding again.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from longwatch.journal.codec import decode
from longwatch.journal.finding import finding
from longwatch.simulation.simulate import Asked, simulated
from tests.explain.judging import untrue
from tests.proof_page import PAGE, write_part

FULL_SEEDS, FULL_DAYS = 20, 20


def main(arguments: Sequence[str] | None = None, page: Path = PAGE) -> None:
    """Run, judge, write, and exit with what a story did not tell, or told otherwise than it was."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=FULL_SEEDS)
    parser.add_argument("--step", type=int, default=1, help="take every so many-th seed; odd ones trade all day long")
    parser.add_argument("--days", type=int, default=FULL_DAYS)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args(arguments)
    seeds = range(asked.first, asked.first + asked.seeds * asked.step, asked.step)
    counts, wrong = Counter[str](), list[str]()
    with ProcessPoolExecutor(asked.workers) as pool:
        for seed, (found, untold) in zip(seeds, pool.map(partial(judged, asked.days), seeds), strict=True):
            counts.update(found)
            wrong += [f"seed {seed}, {asked.days} days: {line}" for line in untold]
            print(f"seed {seed}: {found['orders']} orders, {len(untold)} untrue", flush=True)
    write_part(page, "why", section(seeds, asked.days, counts, len(wrong)))
    raise SystemExit("\n".join(wrong) or None)


def judged(days: int, seed: int) -> tuple[Counter[str], list[str]]:
    """How many orders of which purpose a seed had, and what was untrue of their stories."""
    with TemporaryDirectory() as place:
        folder = Path(place) / "run"
        simulated(Asked(seed=seed, days=days, faults="all", keep=folder))
        journal = folder / "journal.sqlite"
        with finding(journal) as finder:
            orders = [decode(one.record).order for one in finder.between(1, finder.last, ("OrderIntended",))]
        counts = Counter(orders=len(orders), twins=sum(one.twin_of is not None for one in orders))
        counts.update(f"purpose {one.purpose.value}" for one in orders)
        return counts, list(untrue(journal, folder / "ledger.jsonl"))


def section(seeds: range, days: int, counts: Counter[str], wrong: int) -> str:
    """The part of the page."""
    purposes = ", ".join(
        f"{count:,} {name.removeprefix('purpose ')}" for name, count in sorted(counts.items()) if name.startswith("p")
    )
    which = f"{seeds.start} to {seeds[-1]}" + (f", one in {seeds.step}" if seeds.step > 1 else "")
    runs = f"{len(seeds)} runs of {days} days with all faults (seeds {which})"
    lines = (
        "## Why",
        "",
        f"The story that `longwatch why` tells of every order in {runs}:",
        f"{counts['orders']:,} orders ({purposes}; {counts['twins']:,} of them twins), whole and true by the gateway's",
        "ledger, by a fold of the whole journal and by the arithmetic of what is told, and decided again to the same",
        f"facts. Things told otherwise than they were, or not at all: **{wrong}**.",
    )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
