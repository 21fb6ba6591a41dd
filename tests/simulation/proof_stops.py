"""How much was held behind no stop: `python -m tests.simulation.proof_stops`, a part of docs/proof.md.

Judged from the gateway's books: shares held, less those for which a stop rests, times their last fill's price, times
seconds of open market, day by day, in seeded runs of two days with all faults. Only seeds with stops count.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import count, islice, pairwise
from pathlib import Path
from statistics import quantiles

from longwatch.simulation.evidence import Evidence
from longwatch.simulation.protection import has_stops, holes
from longwatch.simulation.simulate import Aborted, Asked, attempted
from tests.proof_page import PAGE, write_part

DAYS, A_RUN = 200, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One session: notional times seconds behind no stop, and what was held, both in base currency times seconds."""

    bare: float
    held: float
    longest: float


def days_of(evidence: Evidence) -> Iterator[Day]:
    """Each session of a run."""
    found = list(holes(evidence))
    for session in evidence.scene.sessions:
        mine = [one for one in found if session.open_at <= one.began < session.close_at]
        spans: dict[int, list[tuple[datetime, datetime]]] = {}
        for one in mine:
            own = spans.setdefault(one.con_id, [])
            if own and own[-1][1] == one.began:
                own[-1] = own[-1][0], one.ended
            else:
                own.append((one.began, one.ended))
        longest = max(((end - began).total_seconds() for own in spans.values() for began, end in own), default=0.0)
        held = _held(evidence, session.open_at, session.close_at)
        yield Day(bare=sum(one.notional_seconds for one in mine), held=held, longest=longest)


def _held(evidence: Evidence, opened: datetime, closed: datetime) -> float:
    """Value of what was held, from fill to fill, times seconds."""
    total = 0.0
    for con_id in evidence.symbols:
        fills = sorted((fill for fill in evidence.fills if fill.con_id == con_id), key=lambda fill: fill.at)
        points = [opened, *(fill.at for fill in fills if opened < fill.at < closed), closed]
        for began, ended in pairwise(points):
            price = next((fill.price for fill in reversed(fills) if fill.at <= began), None)
            if price is not None:
                shares = max(evidence.position(con_id, began), type(price)(0))
                total += float(shares * price) * (ended - began).total_seconds()
    return total


def page_of(days: Iterable[Day], seeds: int, broken: list[str]) -> str:
    """The part of the page."""
    every = list(days)
    bare, longest = [one.bare for one in every], [one.longest for one in every]
    share = [one.bare / one.held for one in every if one.held]
    rows = (
        ("notional-seconds a day, in millions", [one / 1e6 for one in bare], "{:,.2f}"),
        ("as a part of what was held", share, "{:.3%}"),
        ("longest hole of the day, seconds", longest, "{:,.0f}"),
    )
    lines = [
        "## Held behind no stop",
        "",
        f"{len(every)} days of {seeds} seeds with stops and all faults, of a million each; by `python -m "
        "tests.simulation.proof_stops`, from the gateway's books. Holes are as the account had them: an outage, a halt "
        "of the gateway, a person's cancel of all orders and an exit's own shares are in these figures too.",
        "",
        "| | median | 75 % | 90 % | 99 % | most |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, values, form in rows:
        cuts = quantiles(values, n=100, method="inclusive")
        lines.append(
            f"| {name} | " + " | ".join(form.format(cuts[at]) for at in (49, 74, 89, 98)) + f" | "
            f"{form.format(max(values))} |"
        )
    lines += ["", "Every invariant held." if not broken else "Broken: " + "; ".join(broken)]
    return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One seed's days, none where it has no stops, and what was broken."""

    seed: int
    days: tuple[Day, ...]
    broken: tuple[str, ...]


def run_of(seed: int) -> Run:
    """A_RUN days with all faults."""
    outcome = attempted(Asked(seed=seed, days=A_RUN, faults="all"))
    if isinstance(outcome, Aborted):
        return Run(seed=seed, days=(), broken=(f"seed {seed}: {outcome.text}",))
    if not has_stops(outcome.evidence):
        return Run(seed=seed, days=(), broken=())
    broken = tuple(f"seed {seed}: {one}" for one in outcome.broken)
    return Run(seed=seed, days=tuple(days_of(outcome.evidence)), broken=broken)


def runs_of(wanted: int, workers: int) -> Iterator[Run]:
    """Seeds from 1 on, in their order, until there are as many days as wanted."""
    seeds, days = count(1), 0
    with ProcessPoolExecutor(workers) as pool:
        while days < wanted:
            for run in pool.map(run_of, islice(seeds, 2 * workers)):
                if days < wanted:
                    days += len(run.days)
                    yield run


def main(arguments: Sequence[str] | None = None, page: Path = PAGE) -> None:
    """Run, write, and exit with what was broken, line by line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args(arguments)
    runs: list[Run] = []
    for run in runs_of(asked.days, asked.workers):
        runs.append(run)
        print(f"seed {run.seed}: {len(run.days)} days, {len(run.broken)} broken", flush=True)
    broken = [text for run in runs for text in run.broken]
    days = [day for run in runs for day in run.days]
    write_part(page, "stops", page_of(days, sum(1 for run in runs if run.days), broken))
    raise SystemExit("\n".join(broken) or None)


if __name__ == "__main__":
    main()
