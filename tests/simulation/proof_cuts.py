"""Cuts the daemon down at its crash points, seed after seed, and writes what came of it into docs/proof.md.

`python -m tests.simulation.proof_cuts --cuts 10000`. A full proof, of FULL_CUTS cuts, fails too when a point has fewer
than FULL_EACH of them, or a kind of journal record, of those a run meets, stood in fewer than FULL_EACH_KIND.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from longwatch.gateway.events import Event
from longwatch.journal.codec import EVENTS, FACTS
from longwatch.simulation import simulate
from longwatch.simulation.crashes import Account, account_of, is_broken, told
from longwatch.simulation.cut_judge import COLUMNS, Tally
from longwatch.simulation.cuts import COMMITS, SELDOM_KINDS, Cut, Point
from longwatch.simulation.scenery import BRISK_SHARES, scenery
from longwatch.simulation.simulate import Asked
from tests.proof_page import PAGE, write_part
from tests.simulation.proof import code_digest

FULL_CUTS, FULL_EACH, FULL_EACH_KIND = 10_000, 500, 10
WITH_STOPS, BREAKER = (5, 15, 20, 25), "BreakerSet"
"""Seeds whose runs have protective stops; and the kind of record that notes what the broker has ended."""
A_MOMENT_BEFORE = timedelta(seconds=30)
KINDS = sorted((EVENTS.keys() | FACTS.keys()) - SELDOM_KINDS.keys())


def main(arguments: Sequence[str] | None = None, page: Path = PAGE) -> None:
    """Run until there are enough cuts, write, and exit with what was broken or missing, line by line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--cuts", type=int, default=FULL_CUTS)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kept", type=Path, help="a file of runs done, so that a proof broken off goes on from there")
    asked = parser.parse_args(arguments)
    whole = account_until(asked.first, asked.cuts, asked.workers, asked.kept)
    if asked.cuts >= FULL_CUTS:
        whole.add(at_lapses())
    write_part(page, "cuts", "\n".join(section(whole)))
    raise SystemExit("\n".join(failures(whole, is_full=asked.cuts >= FULL_CUTS)) or None)


def account_until(first: int, cuts: int, workers: int, kept: Path | None) -> Account:
    """Runs of the seeds from `first` on, until there are so many cuts; says how far it is after each."""
    whole, seed = Account(), first
    done = kept_runs(kept)
    pending: dict[Future[dict[str, Any]], int] = {}
    with ProcessPoolExecutor(workers) as pool:
        while lacks(whole, cuts) or pending:
            while lacks(whole, cuts) and len(pending) < workers:
                if seed in done:
                    whole.add(account_from(done[seed]))
                else:
                    pending[pool.submit(run, seed)] = seed
                seed += 1
            ready, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in ready:
                number, found = pending.pop(future), future.result()
                keep(kept, number, found)
                whole.add(account_from(found))
                print(f"seed {number}: {whole.cuts:,} cuts", *found["broken"], flush=True)
    return whole


def lacks(whole: Account, cuts: int) -> bool:
    """Whether there are to be more cuts; of a full proof also of the point that has fewest, up to twice as many."""
    fewest = min(tally.cuts for tally in whole.table.values())
    return whole.cuts < cuts or (cuts >= FULL_CUTS and fewest < FULL_EACH and whole.cuts < 2 * cuts)


def run(seed: int) -> dict[str, Any]:
    """One seed's run, as `--json` prints it."""
    return told(account_of(Asked(seed=seed, days=1, faults="none", crash_points="all")))


def at_lapses() -> Account:
    """Cuts at the commits that note a breaker, which no other run meets: the broker lets what rests at it lapse."""
    whole = Account()
    for seed in WITH_STOPS:
        for point in COMMITS:
            whole.add(at_a_lapse(seed, point))
            print(f"seed {seed}, {point} of a breaker: {whole.cut_kinds[BREAKER]} cuts", flush=True)
    return whole


def at_a_lapse(seed: int, point: Point, after: timedelta = timedelta(minutes=30)) -> Account:
    """A run in which what rests at the broker lapses once, so long after its begin, and whose only cut is then."""
    with tempfile.TemporaryDirectory() as folder:
        begins = scenery(seed, 1, Path(folder), made_up=BRISK_SHARES, is_brisk=True).begins
    armed = (after - A_MOMENT_BEFORE).total_seconds()
    only = Cut(point=point, number=1, wait=armed, rests=False, skip=0, down=1.0, way=0.9, part=0.5, kind=BREAKER)
    asked = Asked(
        seed=seed, days=1, faults="none", crash_points="all", events=((begins + after, Event(kind="expiry")),)
    )
    with patch.object(simulate, "cuts_of", lambda *_: iter((only,))):
        account = account_of(asked)
    again = f"python -c 'from tests.simulation.proof_cuts import *; print(at_a_lapse({seed}, Point(\"{point}\")))'"
    account.broken = [{**one, "replay": again} for one in account.broken]
    return account


def account_from(run: dict[str, Any]) -> Account:
    """The account of a run as `--json` printed it."""
    return Account(
        table={point: Tally(**row) for point, row in run["points"].items()},
        broken=list(run["broken"]),
        kinds={*run["kinds_cut"], *run["kinds_not_cut"]},
        cut_kinds=Counter(run["kinds_cut"]),
        runs=run["runs"],
    )


def kept_runs(path: Path | None) -> dict[int, dict[str, Any]]:
    """Seed -> its run with the code as it is now."""
    lines = path.read_text().splitlines() if path is not None and path.exists() else []
    code = code_digest()
    return {entry["seed"]: entry["run"] for line in lines if (entry := json.loads(line))["code"] == code}


def keep(path: Path | None, seed: int, run: dict[str, Any]) -> None:
    if path is not None:
        with path.open("a") as file:
            file.write(json.dumps({"code": code_digest(), "seed": seed, "run": run}) + "\n")


def failures(whole: Account, *, is_full: bool) -> list[str]:
    """Each broken promise with its command; of a full proof also each point and kind of record with too few cuts."""
    found = [f"broken: {one['invariant']}: {one['replay']}" for one in whole.broken]
    if is_broken(whole) and not found:
        found = ["broken: an order was duplicated or lost"]
    few = {point: whole.table[point].cuts for point in Point}
    found += [f"too few cuts: {point}: {cuts} of {FULL_EACH}" for point, cuts in few.items() if cuts < FULL_EACH]
    few_kinds = {kind: whole.cut_kinds[kind] for kind in sorted({*KINDS, *whole.kinds})}
    found += [
        f"too few cuts of commits with a {kind}: {cuts} of {FULL_EACH_KIND}"
        for kind, cuts in few_kinds.items()
        if cuts < (FULL_EACH_KIND if kind in KINDS else 1)
    ]
    return found if is_full else [line for line in found if line.startswith("broken")]


def section(whole: Account) -> Iterator[str]:
    """The part of the page."""
    yield "## Cut down at its crash points\n"
    yield "The daemon killed at one instant and started again from its journal, the gateway living on: where, how,"
    yield "and what is judged stands in [crashes.md](crashes.md). *Rested* are cuts after which the daemon was judged"
    yield "at rest before the next; the others came while it recovered. *Orders* stood in what was cut.\n"
    yield f"{whole.cuts:,} cuts in {whole.runs} runs (`longwatch simulate --crash-points all --seed N`).\n"
    yield "| point | " + " | ".join(COLUMNS) + " |"
    yield "|---" * (len(COLUMNS) + 1) + "|"
    for point, tally in whole.table.items():
        yield f"| `{point}` | " + " | ".join(f"{getattr(tally, name):,}" for name in COLUMNS) + " |"
    yield from kinds_of(whole)
    if whole.broken:
        yield "\nBroken:\n"
    for one in whole.broken:
        yield f"- {one['invariant']}: `{one['replay']}`"


def kinds_of(whole: Account) -> Iterator[str]:
    """How often each kind of journal record stood in a commit that was cut, the seldom first."""
    cut, seen = len(whole.cut_kinds), len(whole.kinds)
    yield f"\nCommits with {cut} of the {seen} kinds of record that were written at all have been cut, each so often:\n"
    often = sorted(whole.kinds, key=lambda kind: (whole.cut_kinds[kind], kind))
    yield ", ".join(f"`{kind}` {whole.cut_kinds[kind]:,}" for kind in often) + "."


if __name__ == "__main__":
    main()
