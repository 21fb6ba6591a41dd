"""Worlds that write what the drawn runs of cuts hardly ever do, and are cut at just those commits; used by proof_cuts.

A drawn run has nobody who says anything, no limit on losses, and a broker who ends nothing. Here one of these is not
so, again and again all day long; the rest is as the seed draws it, and everything is judged as there.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.gateway.events import Event
from longwatch.simulation import cutter, scenery, simulate
from longwatch.simulation.bench import Bench, OnStep
from longwatch.simulation.booked import moment
from longwatch.simulation.crashes import Account, account_of
from longwatch.simulation.cut_judge import judge_cuts
from longwatch.simulation.cuts import ALL, COMMITS, REST_SECONDS, Cut
from longwatch.simulation.evidence import Evidence, Row
from longwatch.simulation.invariants import Broken
from longwatch.simulation.knowable import SAME_MOMENT
from longwatch.simulation.life import Life
from longwatch.simulation.simulate import Asked

Moment = tuple[datetime, str, str]
"""When somebody says something, the command, and its argument."""
NEVER = timedelta(days=1)
"""No other kind of record will do for a cut: what does not come is given up."""
BREAKERS_HOLD = "breakers hold"
FIRST_TRADES = timedelta(minutes=4)
"""From a run's begin on: nothing is held before, so that there is nothing to lapse or to lose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What is not as in a drawn run, and the `kinds` of record whose commits are cut, one kind after the other.

    `settings` take the place of drawn ones, group by group; a protected one has stops where the seed draws none. Every
    `every` the next of `words` is said, as soon as an order waits to be written, or `event` happens to the account.
    Half of that time later a person says `resume all`.
    """

    why: str
    kinds: tuple[str, ...]
    settings: Mapping[str, Mapping[str, Any]]
    every: timedelta = timedelta(minutes=3)
    words: tuple[tuple[str, str], ...] = ()
    event: str = ""
    is_protected: bool = False


STOPS = {"fraction": 0.04}
SELDOM = {"trigger": "every 10 min during the session", "latest_start_minutes": 1.5}
WORLDS: Mapping[str, World] = {
    "lapses": World(
        why="what rests at the broker lapses; a person lifts what holds its instrument back",
        kinds=("BreakerSet", "BreakerLifted"),
        settings={},
        is_protected=True,
        event="expiry",
    ),
    "losses": World(
        why="limits on losses of instruments and strategies, so near that they are passed; a person lifts them",
        kinds=("HoldingsQuoted", "HoldSet", "HoldLifted"),
        settings={
            "holds": {"instrument_daily_loss": 0.00002, "strategy_daily_loss": 0.0002},
            # Each rebalance values what is held, and leaves the next looks nothing to note.
            "schedule": {
                "rebalance": SELDOM | {"deadline_seconds": 110.0},
                "signals": SELDOM | {"deadline_seconds": 60.0},
                "reconcile": "every 1 min during the session",
            },
        },
    ),
    "words": World(
        why="a person cancels all orders, or halts, while some wait to be written; and lets everything go on",
        kinds=("OrderWithheld", "BreakerSet", "VerbSet"),
        settings={"ib": {"messages_per_second": 5}},
        words=(("cancel", "all"), ("halt", "")),
    ),
}


class Spoken(Life):
    """A life in which a person says things at their moments, and again to a daemon that died before it wrote them down.

    All but `resume` is said when an order waits to be written: it is not sent then.
    """

    def __init__(self, bench: Bench, on_step: OnStep, said: Sequence[Moment]) -> None:
        super().__init__(bench, on_step)
        self._due: list[tuple[str, str]] = []
        for at, command, argument in said:
            do = self._says_now if command == "resume" else self._says_at_a_queue
            bench.gateway.desk.timeline.at(at, do, command, argument)

    def _says_now(self, command: str, argument: str) -> None:
        self._due.clear()
        self._unheard.append((command, argument))
        self._put(command, argument)

    def _says_at_a_queue(self, command: str, argument: str) -> None:
        self._due.append((command, argument))

    def _heard(self, event: m.Event, what: Step) -> None:
        super()._heard(event, what)
        if self._due and self._daemon is not None and self._daemon.broker.counters()["queued_order"]:
            self._says_now(*self._due.pop())


def run_of(name: str, seed: int, crash_points: str = ALL) -> Account:
    """One run of a world of WORLDS, cut at the commits of its kinds again and again, or up to the cut `POINT:N`."""
    world = WORLDS[name]
    with ExitStack() as patches:
        change = partial(changed, scenery._brisk, world)
        patches.enter_context(patch.object(scenery, "_brisk", change))
        begins, until = hours(seed)
        said, events = moments(world, begins, until)
        patches.enter_context(patch.object(simulate, "Life", partial(Spoken, said=said)))
        patches.enter_context(patch.object(simulate, "cuts_of", partial(cuts_of, world.kinds)))
        patches.enter_context(patch.object(simulate, "judge_cuts", judge_with_breakers))
        for patience in ("PATIENCE", "PATIENCE_FOR_A_KIND", "PATIENCE_AT_ONCE"):
            patches.enter_context(patch.object(cutter, patience, NEVER))
        asked = Asked(seed=seed, days=1, faults="none", crash_points=crash_points, events=tuple(events))
        account = account_of(asked)
    account.broken = [{**one, "replay": replay(name, one["replay"])} for one in account.broken]
    return account


def judge_with_breakers(evidence: Evidence) -> Iterator[Broken]:
    """What is judged of any cuts; and no order leaves which a breaker holds back, over every restart.

    One that is lifted, or set, at the very moment an order leaves need not have been heard of.
    """
    yield from judge_cuts(evidence)
    rows = list(evidence.facts("BreakerSet", "BreakerLifted"))
    for seen in evidence.placed:
        order = evidence.intents[int(seen.values["orderRef"].rpartition(":")[2])]
        for reason in _held_back(rows, order, seen.at - SAME_MOMENT) & _held_back(rows, order, seen.at):
            text = f"{order['purpose']} order {order['ref']} ({order['symbol']}) was written while held back: {reason}"
            yield Broken(invariant=BREAKERS_HOLD, at=seen.at, text=text)


def _held_back(rows: Sequence[Row], order: Mapping[str, Any], at: datetime) -> set[str]:
    """The reasons of the breakers that hold an order back at an instant; one that has opened holds entries too."""
    on = {}
    for row in rows:
        if row.at <= at and row.body["con_id"] == order["con_id"]:
            on[row.body["purpose"], row.body["reason"]] = row
    held = (row.body for row in on.values() if row.kind == "BreakerSet" and row.body["until"] is not None)
    return {
        body["reason"]
        for body in held
        if moment(body["until"]) > at
        and (body["purpose"] == order["purpose"] != "stop" or (body["trips"] and order["purpose"] == "entry"))
    }


def cuts_of(kinds: Sequence[str], seed: int, asked: str) -> Iterator[Cut]:
    """Cuts of the commits with each kind in turn, on each side; all of a run, or up to and with the one asked for."""
    random = Random(f"{seed}|aimed")
    numbers = {point: itertools.count(1) for point in COMMITS}
    sides, kinds = random.sample(COMMITS, len(COMMITS)), random.sample(kinds, len(kinds))
    for turn in itertools.count():
        kind, point = kinds[turn % len(kinds)], sides[sum(divmod(turn, len(kinds))) % len(sides)]
        cut = Cut(
            point=point,
            number=next(numbers[point]),
            wait=round(random.uniform(*REST_SECONDS), 3),
            rests=True,
            skip=0,
            down=round(random.uniform(0.05, 10.0), 3),
            way=random.random(),
            part=random.random(),
            kind=kind,
        )
        yield cut
        if cut.name == asked:
            return


def moments(world: World, begins: datetime, until: datetime) -> tuple[list[Moment], list[tuple[datetime, Event]]]:
    """What is said and what happens in a world, in order of time."""
    said: list[Moment] = []
    events: list[tuple[datetime, Event]] = []
    at, words = begins + FIRST_TRADES, itertools.cycle(world.words)
    while at + world.every < until:
        if world.event:
            events.append((at, Event(kind=world.event)))
        if world.words:
            said.append((at, *next(words)))
        said.append((at + world.every / 2, "resume", "all"))
        at += world.every
    return said, events


def hours(seed: int) -> tuple[datetime, datetime]:
    """From when to when a seed's run is cut down."""
    with TemporaryDirectory() as folder:
        scene = scenery.scenery(seed, 1, Path(folder), made_up=scenery.BRISK_SHARES, is_brisk=True)
    return scene.begins, scene.calm_from


def changed(draw: Any, world: World, seed: int, settings: dict[str, Any]) -> dict[str, Any]:
    """A brisk run's settings, with a world's in their place."""
    drawn = draw(seed, settings)
    stops = {"stops": drawn["stops"] or STOPS} if world.is_protected else {}
    return drawn | stops | {group: drawn.get(group, {}) | dict(values) for group, values in world.settings.items()}


def replay(name: str, told: str) -> str:
    """The one command that does a broken run again, by what `longwatch simulate` would be told."""
    words = told.split()
    seed, points = (words[words.index(option) + 1] for option in ("--seed", "--crash-points"))
    return f'python -c \'from tests.simulation.aimed import *; print(run_of("{name}", {seed}, "{points}"))\''
