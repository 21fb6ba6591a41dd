"""Cuts the daemon down at its crash points, seed after seed, and writes what came of it into docs/proof.md.

`python -m tests.simulation.proof_cuts --cuts 10000`. A full proof, of FULL_CUTS cuts, fails too when a point has fewer
than FULL_EACH of them, or a kind of journal record, of those a run meets, stood in fewer than FULL_EACH_KIND. What the
drawn runs hardly ever write, those of aimed.py do.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, as_completed, wait
from pathlib import Path
from typing import Any

from longwatch.journal.codec import EVENTS, FACTS
from longwatch.simulation.crashes import Account, account_of, is_broken, told
from longwatch.simulation.cut_judge import COLUMNS, Tally
from longwatch.simulation.cuts import SELDOM_KINDS, Point
from longwatch.simulation.simulate import Asked
from tests.proof_page import PAGE, write_part
from tests.simulation.aimed import WORLDS, run_of
from tests.simulation.proof import code_digest

FULL_CUTS, FULL_EACH, FULL_EACH_KIND = 10_000, 500, 10
AIMED_SEEDS = 4
"""Of each world of aimed.py, in a full proof: twice as many cuts of its kinds as are asked for, and more."""
AIMED_KINDS = {kind for world in WORLDS.values() for kind in world.kinds}
KINDS = sorted((EVENTS.keys() | FACTS.keys()) - SELDOM_KINDS.keys() | AIMED_KINDS)


def main(arguments: Sequence[str] | None = None, page: Path = PAGE) -> None:
    """Run until there are enough cuts, write, and exit with what was broken or missing, line by line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--cuts", type=int, default=FULL_CUTS)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--aimed", type=int, help="seeds of each world of aimed.py; 0 unless the proof is full")
    parser.add_argument("--kept", type=Path, help="a file of runs done, so that a proof broken off goes on from there")
    asked = parser.parse_args(arguments)
    is_full = asked.cuts >= FULL_CUTS
    whole = account_until(asked.first, asked.cuts, asked.workers, asked.kept)
    aimed = aimed_accounts(AIMED_SEEDS if asked.aimed is None and is_full else asked.aimed or 0, asked.workers)
    for account in aimed.values():
        whole.add(account)
    failed = failures(whole, is_full=is_full)
    write_part(page, "cuts", "\n".join(section(whole, aimed, failed)))
    raise SystemExit("\n".join(failed) or None)


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


def aimed_accounts(seeds: int, workers: int) -> dict[str, Account]:
    """World of WORLDS -> what came of its runs of the first so many seeds; says how far it is after each run."""
    found = {name: Account() for name in WORLDS} if seeds else {}
    with ProcessPoolExecutor(workers) as pool:
        runs = {pool.submit(run_of, name, seed): (name, seed) for seed in range(1, seeds + 1) for name in WORLDS}
        for future in as_completed(runs):
            (name, seed), account = runs[future], future.result()
            found[name].add(account)
            met = ", ".join(f"{kind} {found[name].cut_kinds[kind]}" for kind in WORLDS[name].kinds)
            print(f"{name} of seed {seed}: {found[name].cuts} cuts, {met}", *account.broken, flush=True)
    return found


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


def section(whole: Account, aimed: Mapping[str, Account], failed: Sequence[str]) -> Iterator[str]:
    """The part of the page; `failed` is what the command ends with, broken promises apart."""
    yield "## Cut down at its crash points\n"
    yield "The daemon killed at one instant and started again from its journal, the gateway living on: where, how,"
    yield "and what is judged stands in [crashes.md](crashes.md). *Rested* are cuts after which the daemon was judged"
    yield "at rest before the next; the others came while it recovered. *Orders* stood in what was cut.\n"
    yield f"{whole.cuts:,} cuts in {whole.runs} runs (`longwatch simulate --crash-points all --seed N`).\n"
    yield "| point | " + " | ".join(COLUMNS) + " |"
    yield "|---" * (len(COLUMNS) + 1) + "|"
    for point, tally in whole.table.items():
        yield f"| `{point}` | " + " | ".join(f"{getattr(tally, name):,}" for name in COLUMNS) + " |"
    yield from worlds_of(aimed)
    yield from kinds_of(whole)
    few = [line for line in failed if not line.startswith("broken")]
    if few:
        yield "\nThe proof failed, with what is missing:\n"
    yield from (f"- {line}" for line in few)
    if whole.broken:
        yield "\nBroken:\n"
    for one in whole.broken:
        yield f"- {one['invariant']}: `{one['replay']}`"


def worlds_of(aimed: Mapping[str, Account]) -> Iterator[str]:
    """What the runs came to that are in the table too, and are made to write what the others hardly do."""
    if not aimed:
        return
    yield "\nAmong these are runs made to write what the others hardly ever do, and cut at just those commits"
    yield "(`tests/simulation/aimed.py`):\n"
    yield "| what is not as in the others | runs | cuts | of commits with |"
    yield "|---|---|---|---|"
    for name, account in aimed.items():
        kinds = ", ".join(f"`{kind}` {account.cut_kinds[kind]}" for kind in WORLDS[name].kinds)
        yield f"| {WORLDS[name].why} | {account.runs} | {account.cuts} | {kinds} |"


def kinds_of(whole: Account) -> Iterator[str]:
    """How often each kind of journal record stood in a commit that was cut, the seldom first."""
    cut, seen = len(whole.cut_kinds), len(whole.kinds)
    yield f"\nCommits with {cut} of the {seen} kinds of record that were written at all have been cut, each so often:\n"
    often = sorted(whole.kinds, key=lambda kind: (whole.cut_kinds[kind], kind))
    yield ", ".join(f"`{kind}` {whole.cut_kinds[kind]:,}" for kind in often) + "."


if __name__ == "__main__":
    main()
