"""How much was held behind no stop: `python -m tests.simulation.proof_stops [DAYS]`, a part of docs/proof.md.

Judged from the gateway's books: shares held, less those for which a stop rests, times their last fill's price, times
seconds of open market, day by day, in seeded runs of two days with all faults. Only seeds with stops count.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import quantiles

from longwatch.simulation.evidence import Evidence
from longwatch.simulation.protection import has_stops, holes
from longwatch.simulation.simulate import Aborted, Asked, attempted
from tests.proof_page import PAGE, write_part

DAYS, A_RUN = 200, 2
WRITTEN_EVERY = 20


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


def main() -> None:
    """Seeds from 1 on, until there are as many days as asked for."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else DAYS
    days: list[Day] = []
    broken: list[str] = []
    seed = seeds = 0
    while len(days) < wanted:
        seed += 1
        outcome = attempted(Asked(seed=seed, days=A_RUN, faults="all"))
        if isinstance(outcome, Aborted):
            broken.append(f"seed {seed}: {outcome.text}")
            continue
        if not has_stops(outcome.evidence):
            continue
        seeds += 1
        broken += [f"seed {seed}: {one}" for one in outcome.broken]
        days += days_of(outcome.evidence)
        print(f"seed {seed}: {len(days)} days, {len(broken)} broken", flush=True)
        if len(days) % WRITTEN_EVERY == 0:
            write_part(PAGE, "stops", page_of(days, seeds, broken))
    write_part(PAGE, "stops", page_of(days, seeds, broken))


if __name__ == "__main__":
    main()
