"""Where and when a daemon is cut down: its crash points, and the cuts a seed draws; played by cutter."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from random import Random

from longwatch.domain.orders import whole_number
from longwatch.errors import UsageError
from longwatch.journal.codec import EVENTS, FACTS


class Point(StrEnum):
    """An instant of the daemon's life at which it is killed; what each is stands in POINTS."""

    BEFORE_COMMIT = "before-commit"
    TORN_COMMIT = "torn-commit"
    AFTER_COMMIT = "after-commit"
    INTENDED = "intended"
    QUEUED = "queued"
    SENDING = "sending"
    HALF_WRITTEN = "half-written"
    ACKNOWLEDGED = "acknowledged"
    FILLED = "filled"
    CANCEL_SENT = "cancel-sent"


POINTS = {
    Point.BEFORE_COMMIT: "any journal commit: decided, and nothing of it written",
    Point.TORN_COMMIT: "any journal commit: written in part, the last of it missing",
    Point.AFTER_COMMIT: "any journal commit: durable, and none of its effects performed",
    Point.INTENDED: "the commit of a new order, not done or done",
    Point.QUEUED: "an order that had to wait for its turn to be written, as that comes",
    Point.SENDING: "an order's bytes are with the transport, and that is not in the journal, or just so",
    Point.HALF_WRITTEN: "a part of an order's bytes is with the transport",
    Point.ACKNOWLEDGED: "an acknowledgement has arrived, or is being written down",
    Point.FILLED: "a fill has arrived, or is being written down",
    Point.CANCEL_SENT: "a cancel's bytes are with the transport, or a part of them",
}
COMMITS = (Point.BEFORE_COMMIT, Point.TORN_COMMIT, Point.AFTER_COMMIT)
IN_AN_ORDERS_WAY = tuple(point for point in Point if point not in COMMITS)

ALL = "all"
MOST_SKIPPED = {
    **dict.fromkeys(COMMITS, 40),
    Point.INTENDED: 1,
    Point.QUEUED: 2,
    Point.SENDING: 3,
    Point.HALF_WRITTEN: 3,
    Point.ACKNOWLEDGED: 3,
    Point.FILLED: 4,
    Point.CANCEL_SENT: 2,
}
"""Occurrences that are let pass before the cut, at most."""
MOST_SKIPPED_AT_ONCE, MOST_SKIPPED_OF_A_KIND = 8, 2
"""The same for a cut that is armed with the daemon's start, and for one that waits for a kind of record."""
REST_SECONDS = (80.0, 125.0)
"""From a start to the next cut, where the daemon is to come to rest in between."""
HASTE_SECONDS = (0.0, 40.0)
"""And where it is cut again while it recovers, as often as not from its first commit on."""
HASTE_SHARE, AT_ONCE_SHARE = 0.25, 0.5
DOWN_SECONDS = ((0.05, 3.0), (3.0, 90.0))
"""How long the daemon stays dead: seldom long."""
LONG_SHARE = 0.2
FIRST_TRADES_SECONDS, UNTRADED_SHARE = 150.0, 0.2
"""After the cuts of the very start the daemon trades so long as a rule: what is under way before a day's first fill can
be settled by the session's end alone, and nothing is traded beside it."""
KIND_SHARE = 0.75
"""Of the cuts of commits: how many wait for one with a certain kind of record; any will do for the others."""

FIRST_KINDS = ("ConfigApplied", "InstrumentKnown", "SessionsKnown")
"""Kinds of record that are written once, when a journal is new: the first cuts of a seed are for these."""
STARTING_KINDS = (
    "AbsenceNoted",
    "BackendMoved",
    "CalendarLoaded",
    "ClockChecked",
    "ClockSeen",
    "CompletedOrderSeen",
    "ConfigLoaded",
    "DaemonStarted",
    "DataJudged",
    "DataRefreshed",
    "FarmMoved",
    "FarmSeen",
    "IdsReserved",
    "InstrumentsSeen",
    "LinkMoved",
    "LinkOpening",
    "LinkUp",
    "OrderErrorSeen",
    "RunOpened",
)
"""Kinds that are written in a daemon's first minute, and seldom later."""
PEOPLE = "a person says it, and in these runs nobody says anything"
STRANGERS = "somebody else trades in the account, and in these runs nobody does"
TROUBLE = "the way to the broker is in trouble, and in these runs only the daemon is"
STRATEGIES = "a strategy fails or wants what can't be had, and theirs do not"
MARKETS = "shares are split, and in these runs none are"
LOSSES = "a limit on losses is passed, or money comes and goes, and in these runs neither is so"
MARGIN = "an entry's margin is asked for first, as every fifth seed does"
DELAYED = "quotes are delayed, and in these runs they are live"
DOUBT = "the account shows what nothing known explains, and after a kill it does not"
SELDOM_KINDS: Mapping[str, str] = {
    **dict.fromkeys(("BreakerLifted", "ControlRequested", "VerbSet"), PEOPLE),
    **dict.fromkeys(("OrderResolved", "ResolutionContradicted"), PEOPLE),
    **dict.fromkeys(("ForeignOrderSet", "HoldingAdopted", "IntentsTaken", "OutsideSet"), STRANGERS),
    **dict.fromkeys(("BackendSeen", "EventKept", "LinkLost", "MessageUndecodable", "NoticeSeen"), TROUBLE),
    **dict.fromkeys(("OrderWithheld", "SnapshotFailed"), TROUBLE),
    **dict.fromkeys(("FlowBooked", "HoldLifted", "HoldSet"), LOSSES),
    **dict.fromkeys(("InstrumentMissing", "StrategyFailed", "StrategyFaulted", "TradeClamped"), STRATEGIES),
    **dict.fromkeys(("QuarantineLifted", "QuarantineSet"), DOUBT),
    **dict.fromkeys(("MarginTold", "WhatIfAsked", "WhatIfSeen"), MARGIN),
    "DelayedDataUsed": DELAYED,
    "SplitBooked": MARKETS,
}
"""Kinds that a run in which nothing is wrong but the cuts does not meet, and when they are written."""
TRADING_KINDS = tuple(sorted((EVENTS.keys() | FACTS.keys()) - {*FIRST_KINDS, *STARTING_KINDS, *SELDOM_KINDS}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """One cut to come: at `point`, once `skip` occurrences have passed, armed `wait` seconds after the last start,
    or after one that was given up.

    `number` counts the cuts of its point within the seed, from 1. `part`, in [0, 1), chooses among the ways the point
    can be cut, and where in half-written bytes. `rests` is whether the daemon is to come to rest before. `kind` is
    the kind of record that a commit must have to be an occurrence, "" where any is one.
    """

    point: Point
    number: int
    wait: float
    rests: bool
    skip: int
    down: float = 0.0
    way: float = 0.0
    part: float = 0.0
    kind: str = ""

    @property
    def name(self) -> str:
        """As `--crash-points` takes it."""
        return f"{self.point}:{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Struck:
    """A cut that came: when (market time), the way it was made, and the intents it was about.

    `armed` is from when on it could come, `up` when the next daemon was started. `kinds` are the records of a commit.
    """

    cut: Cut
    armed: datetime
    at: datetime
    way: str
    intents: tuple[int, ...]
    kinds: tuple[str, ...] = ()
    up: datetime | None = None


def drawn_cuts(seed: int) -> Iterator[Cut]:
    """Without end: every point as often as every other, in an order, at occurrences and in ways drawn from the seed.

    Those that are commits come a second time each, armed with the daemon's start; the first cuts of all are such.
    """
    random = Random(f"{seed}|cuts")
    numbers = {point: itertools.count(1) for point in Point}
    first, starting, trading = (_deck(random, kinds) for kinds in (FIRST_KINDS, STARTING_KINDS, TRADING_KINDS))
    for point in random.sample(COMMITS, len(COMMITS)):
        yield _cut_at_start(random, point, next(numbers[point]), next(first))
    trades_first = random.random() >= UNTRADED_SHARE
    while True:
        round_ = [*((point, False) for point in Point), *((point, True) for point in COMMITS)]
        random.shuffle(round_)
        for point, is_at_start in round_:
            number = next(numbers[point])
            if is_at_start and not trades_first:
                yield _cut_at_start(random, point, number, next(starting))
                continue
            cut = _cut(random, point, number, next(trading) if point in COMMITS else "")
            if trades_first:
                cut = replace(cut, wait=cut.wait + FIRST_TRADES_SECONDS, rests=True)
            trades_first = False
            yield cut


def _deck(random: Random, kinds: Sequence[str]) -> Iterator[str]:
    """Without end: all of them in some order, and again in another."""
    while True:
        yield from random.sample(kinds, len(kinds))


def _cut(random: Random, point: Point, number: int, kind: str) -> Cut:
    rests = random.random() >= HASTE_SHARE
    wait = _wait(random, rests=rests)
    kind = kind if random.random() < KIND_SHARE else ""
    most = MOST_SKIPPED_OF_A_KIND if kind else MOST_SKIPPED[point]
    if not wait:
        most = min(most, MOST_SKIPPED_AT_ONCE)
    skip = random.randint(0, most)
    return _drawn(random, Cut(point=point, number=number, wait=wait, rests=rests, skip=skip, kind=kind))


def _cut_at_start(random: Random, point: Point, number: int, kind: str) -> Cut:
    """Armed before the daemon's first commit, and due at that of a kind, or at one of the first."""
    kind = kind if random.random() < KIND_SHARE else ""
    skip = 0 if kind else random.randint(0, MOST_SKIPPED_AT_ONCE)
    return _drawn(random, Cut(point=point, number=number, wait=0.0, rests=False, skip=skip, kind=kind))


def _drawn(random: Random, cut: Cut) -> Cut:
    down = round(random.uniform(*DOWN_SECONDS[random.random() < LONG_SHARE]), 3)
    return replace(cut, down=down, way=random.random(), part=random.random())


def _wait(random: Random, *, rests: bool) -> float:
    at_once = not rests and random.random() < AT_ONCE_SHARE
    return 0.0 if at_once else round(random.uniform(*(REST_SECONDS if rests else HASTE_SECONDS)), 3)


def cuts_of(seed: int, asked: str) -> Iterator[Cut]:
    """The cuts of a seed: all of them, or those up to and with the one named `POINT:N`. Raises UsageError."""
    if asked == ALL:
        return drawn_cuts(seed)
    point, _, number = asked.partition(":")
    if point not in list(Point) or not whole_number(number):
        raise UsageError(
            f"--crash-points {asked or repr(asked)}: write all, or POINT:N with a point of {', '.join(Point)}"
        )
    return _up_to(drawn_cuts(seed), asked)


def _up_to(cuts: Iterator[Cut], name: str) -> Iterator[Cut]:
    for cut in cuts:
        yield cut
        if cut.name == name:
            return
