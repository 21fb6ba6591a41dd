"""Where and when a daemon is cut down: its crash points, and the cuts a seed draws; played by cutter."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from random import Random

from longwatch.domain.orders import whole_number
from longwatch.errors import UsageError


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
    **dict.fromkeys(COMMITS, 60),
    Point.INTENDED: 1,
    Point.QUEUED: 2,
    Point.SENDING: 3,
    Point.HALF_WRITTEN: 3,
    Point.ACKNOWLEDGED: 3,
    Point.FILLED: 4,
    Point.CANCEL_SENT: 2,
}
"""Occurrences that are let pass before the cut, at most."""
REST_SECONDS = (80.0, 125.0)
"""From a start to the next cut, where the daemon is to come to rest in between."""
HASTE_SECONDS = (0.0, 40.0)
"""And where it is cut again while it recovers, as often as not from its first commit on."""
HASTE_SHARE, AT_ONCE_SHARE = 0.35, 0.5
DOWN_SECONDS = ((0.05, 3.0), (3.0, 90.0))
"""How long the daemon stays dead: seldom long."""
LONG_SHARE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """One cut to come: at `point`, once `skip` occurrences have passed, armed `wait` seconds after the last start,
    or after one that was given up.

    `number` counts the cuts of its point within the seed, from 1. `part`, in [0, 1), chooses among the ways the point
    can be cut, and where in half-written bytes. `rests` is whether the daemon is to come to rest before.
    """

    point: Point
    number: int
    wait: float
    rests: bool
    skip: int
    down: float
    way: float
    part: float

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
    """Without end: every point as often as every other, in an order, at occurrences and in ways drawn from the seed."""
    random = Random(f"{seed}|cuts")
    numbers = {point: itertools.count(1) for point in Point}
    while True:
        round_ = list(Point)
        random.shuffle(round_)
        for point in round_:
            rests = random.random() >= HASTE_SHARE
            yield Cut(
                point=point,
                number=next(numbers[point]),
                wait=_wait(random, rests=rests),
                rests=rests,
                skip=random.randint(0, MOST_SKIPPED[point]),
                down=round(random.uniform(*DOWN_SECONDS[random.random() < LONG_SHARE]), 3),
                way=random.random(),
                part=random.random(),
            )


def _wait(random: Random, *, rests: bool) -> float:
    at_once = not rests and random.random() < AT_ONCE_SHARE
    return 0.0 if at_once else round(random.uniform(*(REST_SECONDS if rests else HASTE_SECONDS)), 3)


def cuts_of(seed: int, asked: str) -> Iterator[Cut]:
    """The cuts of a seed: all of them, or those up to and with the one named `POINT:N`. Raises UsageError."""
    if asked == ALL:
        return drawn_cuts(seed)
    point, _, number = asked.partition(":")
    if point not in list(Point) or not whole_number(number):
        raise UsageError(f"--crash-points {asked}: write all, or POINT:N with a point of {', '.join(Point)}")
    return _up_to(drawn_cuts(seed), asked)


def _up_to(cuts: Iterator[Cut], name: str) -> Iterator[Cut]:
    for cut in cuts:
        yield cut
        if cut.name == name:
            return
