"""A million intents of an adversary, judged one by one, and what came of it written into docs/proof.md.

`python -m tests.domain.proof_limits --intents 1000000`. It ends with the first order that could at worst have passed a
limit, by the seed of its slice; and when fewer were accepted, or came close, than a proof asks for.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path

from tests.domain.adversary import slice_of
from tests.domain.limit_judge import NEAR, Tally
from tests.proof_page import PAGE, write_part

FULL, LEAST_ACCEPTED, LEAST_NEAR = 1_000_000, 0.2, 1_000
SLICES_A_BATCH = 20


def main(arguments: Sequence[str] | None = None, page: Path = PAGE) -> None:
    """Run until there are enough intents, write, and exit with what was broken or missing, line by line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--intents", type=int, default=FULL)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args(arguments)
    tally, slices, broken = judged_until(asked.first, asked.intents, asked.workers)
    write_part(page, "limits", "\n".join(section(tally, slices, broken)))
    raise SystemExit("\n".join([*broken, *lacking(tally, is_full=asked.intents >= FULL)]) or None)


def judged_until(first: int, intents: int, workers: int) -> tuple[Tally, int, list[str]]:
    """Slices from the seed `first` on, until there are so many intents; how many there were, and what was broken."""
    tally, seed, broken = Tally(), first, []
    pending: set[Future[tuple[Tally, list[str]]]] = set()
    with ProcessPoolExecutor(workers) as pool:
        while tally.intents < intents or pending:
            while tally.intents < intents and len(pending) < workers:
                pending.add(pool.submit(batch, seed))
                seed += SLICES_A_BATCH
            ready, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in ready:
                found, wrong = future.result()
                tally.add(found)
                broken += wrong
            print(f"seed {seed}: {tally.intents:,} intents, {tally.accepted:,} accepted", *broken, flush=True)
    return tally, seed - first, broken


def batch(first: int) -> tuple[Tally, list[str]]:
    """Some slices, each up to its end or to the first order beyond a limit."""
    tally, broken = Tally(), []
    for seed in range(first, first + SLICES_A_BATCH):
        try:
            slice_of(f"adversary|{seed}", tally)
        except AssertionError as wrong:
            broken.append(f"slice {seed}: {str(wrong).splitlines()[0]}")
    return tally, broken


def section(tally: Tally, slices: int, broken: Sequence[str]) -> Iterator[str]:
    """The part of the page."""
    yield "## Orders at the limits\n"
    yield f"{slices:,} worlds in which a strategy wants too much, each with an account and limits of its own;"
    yield f"{tally.intents:,} intents in {tally.acts:,} acts of broker, strangers, a person and the market."
    yield f"{tally.accepted:,} were sent ({tally.accepted / max(tally.intents, 1):.1%})."
    yield "Each was judged when it was decided on and again when its bytes left,"
    yield f"{tally.judged:,} times in all, by every way in which the live orders may fill;"
    yield f"{len(broken) or 'none'} could at worst have passed a limit. So many ended within 1 % of one:\n"
    yield "| limit | orders within 1 % | closest |"
    yield "|---|---|---|"
    for name, used in sorted(tally.used.items()):
        yield f"| {name} | {tally.near[name]:,} | {used:.4%} |"
    yield from (f"\n- {line}" for line in broken)


def lacking(tally: Tally, *, is_full: bool) -> Iterator[str]:
    """What a proof asks for and this one has not: enough sent, and enough of it close to a limit."""
    if tally.accepted < LEAST_ACCEPTED * tally.intents:
        yield f"{tally.accepted:,} of {tally.intents:,} intents were sent, under {LEAST_ACCEPTED:.0%}"
    if is_full and sum(tally.near.values()) < LEAST_NEAR:
        yield f"{sum(tally.near.values()):,} orders ended within {1 - NEAR:.0%} of a limit, under {LEAST_NEAR:,}"


if __name__ == "__main__":
    main()
