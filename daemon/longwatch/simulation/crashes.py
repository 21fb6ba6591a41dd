"""`longwatch simulate --crash-points`: the daemon is cut down again and again, and every cut is accounted for.

A seed's run of much trading has a few dozen cuts; with `cuts` the seeds that follow are run until there are so many.
"""

from __future__ import annotations

import json
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from longwatch.errors import UsageError
from longwatch.simulation.cut_judge import COLUMNS, Tally, kinds_cut, tallies
from longwatch.simulation.cuts import ALL, Point, Struck, cuts_of
from longwatch.simulation.simulate import Aborted, Asked, Outcome, attempted, check
from longwatch.simulation.simulate import simulate as simulate_faults

USUAL_DAYS = 5
MOST_TRIED = 4
"""Cuts that are tried as the one a broken run can be told by; each costs a run."""


@dataclass(slots=True, kw_only=True)
class Account:
    """What the cuts of one run, or of several, came to.

    `kinds` are those of journal records that were written, `cut_kinds` in how many of the commits cut each one stood.
    """

    table: dict[str, Tally] = field(default_factory=lambda: {str(point): Tally() for point in Point})
    broken: list[dict[str, str]] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)
    cut_kinds: Counter[str] = field(default_factory=Counter)
    names: set[str] = field(default_factory=set)
    runs: int = 0

    @property
    def cuts(self) -> int:
        """All of them."""
        return sum(tally.cuts for tally in self.table.values())

    def add(self, other: Account) -> None:
        """Take in the account of further runs."""
        for point, tally in other.table.items():
            self.table[point] += tally
        self.broken += other.broken
        self.kinds |= other.kinds
        self.cut_kinds += other.cut_kinds
        self.names |= other.names
        self.runs += other.runs


def simulate(
    *,
    days: int | None = None,
    faults: str | None = None,
    crash_points: str | None = None,
    cuts: int = 0,
    **options: Any,
) -> int:
    """What the command was asked for, with cuts or without. Raises UsageError where words do not go together."""
    if crash_points is None:
        if cuts or days == 1:
            raise UsageError("--cuts and --days 1 go with --crash-points; leave them out, or add that")
        return simulate_faults(days=days or USUAL_DAYS, faults=faults or "some", **options)
    if cuts and (options["keep"] is not None or crash_points != ALL):
        raise UsageError("--cuts runs several seeds with all cuts; leave --keep and POINT:N out, or --cuts")
    cuts_of(options["seed"], crash_points)
    chosen = Asked(**options | {"days": days or 1, "faults": faults or "none", "crash_points": crash_points})
    check(chosen)
    return cut_down(asked=chosen, cuts=cuts, as_json=chosen.as_json)


def cut_down(*, asked: Asked, cuts: int = 0, as_json: bool = False) -> int:
    """Run `asked.seed`, and with `cuts` the following seeds too, until there are so many.

    The exit code is 1 when an order was duplicated or lost, or any invariant broken, else 0. Raises UsageError for a
    point there is not.
    """
    cuts_of(asked.seed, asked.crash_points)
    whole, say = Account(), (lambda line: None) if as_json else print
    seed = asked.seed
    while not whole.runs or whole.cuts < cuts:
        whole.add(account_of(replace(asked, seed=seed), say))
        say(f"seed {seed}: {whole.cuts} cuts, {len(whole.broken)} broken")
        seed += 1
    print(json.dumps(told(whole)) if as_json else "\n".join(lines(whole, asked)))
    if asked.crash_points not in {ALL, *whole.names}:
        raise UsageError(f"seed {asked.seed} has no cut {asked.crash_points}: it ran to its end without it")
    return 1 if is_broken(whole) else 0


def account_of(asked: Asked, say: Callable[[str], object] = lambda line: None) -> Account:
    """One run, and where it is broken the cut that shows it again."""
    names: set[str] = set()

    def told_cut(struck: Struck) -> None:
        names.add(struck.cut.name)
        say(_line(struck))

    outcome = attempted(asked, told_cut=told_cut)
    if isinstance(outcome, Aborted):
        traceback.print_exception(outcome.error)
        broken = [{"invariant": "run", "at": "", "text": outcome.text, "replay": asked.replay}]
        return Account(broken=broken, runs=1)
    cut = kinds_cut(outcome.evidence)
    account = Account(
        table=tallies(outcome.evidence),
        kinds={row.kind for row in outcome.evidence.rows} | cut.keys(),
        cut_kinds=cut,
        names=names,
        runs=1,
    )
    if outcome.broken:
        replay = _narrowed(asked, outcome).replay
        account.broken = [
            {"invariant": one.invariant, "at": one.at.isoformat(), "text": one.text, "replay": replay}
            for one in outcome.broken
        ]
    return account


def is_broken(account: Account) -> bool:
    """Whether anything was broken, duplicated or lost."""
    return bool(account.broken) or any(tally.duplicates or tally.lost for tally in account.table.values())


def told(account: Account) -> dict[str, Any]:
    """The object that `--json` prints."""
    return {
        "verdict": "broken" if is_broken(account) else "held",
        "runs": account.runs,
        "cuts": account.cuts,
        "points": {point: asdict(tally) for point, tally in account.table.items()},
        "kinds_cut": dict(sorted(account.cut_kinds.items())),
        "kinds_not_cut": sorted(account.kinds - account.cut_kinds.keys()),
        "broken": account.broken,
    }


def lines(account: Account, asked: Asked) -> Iterable[str]:
    """The same for a person: the table, what was broken, and how to see it again."""
    yield ""
    yield f"{'point':<15}" + "".join(f"{name:>12}" for name in COLUMNS)
    for point, tally in account.table.items():
        yield f"{point:<15}" + "".join(f"{getattr(tally, name):>12,}" for name in COLUMNS)
    seen, cut = len(account.kinds), len(account.cut_kinds)
    yield f"{account.cuts:,} cuts in {account.runs} runs; commits with {cut} of {seen} kinds of record were cut"
    for one in account.broken:
        yield f"broken: {one['at']} {one['invariant']}: {one['text']}\nagain: {one['replay']}"
    yield "broken" if is_broken(account) else "every invariant held: no order twice, none lost"
    yield f"again: {asked.replay}"


def _line(struck: Struck) -> str:
    orders = f", orders {', '.join(map(str, struck.intents))}" if struck.intents else ""
    return f"{struck.at:%Y-%m-%d %H:%M:%S}  cut {struck.cut.name} ({struck.way}){orders}"


def _narrowed(asked: Asked, outcome: Outcome) -> Asked:
    """The run with the cuts after the guilty one left out, if it is broken then too; else the run as it was."""
    if asked.crash_points != ALL or not outcome.evidence.cuts:
        return asked
    first = min(one.at for one in outcome.broken)
    cuts = outcome.evidence.cuts
    last_before = max((place for place, struck in enumerate(cuts) if struck.at <= first), default=0)
    for struck in cuts[last_before : last_before + MOST_TRIED]:
        tried = replace(asked, crash_points=struck.cut.name)
        again = attempted(tried)
        if isinstance(again, Aborted) or again.broken:
            return tried
    return asked
