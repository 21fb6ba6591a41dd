"""An order whose outcome is unknown becomes absent or inferred by the rules of docs/design.md, and in no other way.

The oracle reads the events of a walk, not the daemon's state: what it demands of each proof is written here anew.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest

import longwatch.domain
from longwatch.domain import messages as m
from longwatch.domain.orders import Evidence, OrderState
from tests.domain.play import Play, long_play, played
from tests.domain.world import CLIENT, World, completed, perm_id

D = Decimal
S = OrderState
QUIET = timedelta(seconds=60)
APART = timedelta(seconds=30)
MINUTE = timedelta(minutes=1)
NEW_YORK = ZoneInfo("America/New_York")
SETTLED = (S.ABSENT, S.INFERRED)
WALKS = 4000 if os.environ.get("HYPOTHESIS_PROFILE") == "proof" else 250


# ── the oracle ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class History:
    """What had been heard before one event, read off the walk."""

    world: World
    until: int

    def heard(self, *kinds: type) -> list[m.Event]:
        return [event for event, _ in self.world.steps[: self.until] if isinstance(event, kinds)]

    @property
    def now(self) -> datetime:
        return self.world.steps[self.until][0].tech

    def up_since(self) -> datetime | None:
        """When the newest of link, backend and farms came up; None while one is down."""
        since: dict[str, datetime | None] = {}
        for event in self.heard(m.LinkUp, m.LinkLost, m.DaemonStarted, m.BackendSeen, m.FarmSeen):
            match event:
                case m.LinkUp():
                    since |= {"link": event.tech, "backend": event.tech}
                case m.LinkLost() | m.DaemonStarted():
                    since = {"link": None}
                case m.BackendSeen(up=up) if not up or since.get("backend") is None:
                    since["backend"] = event.tech if up else None
                case m.FarmSeen(farm=farm, up=up) if not up or since.get(farm) is None:
                    since[farm] = event.tech if up else None
        times = list(since.values())
        return None if None in times else max(time for time in times if time is not None)

    def sent_at(self, intent: int) -> datetime:
        facts = (fact for _, step in self.world.steps for fact in step.facts)
        return next(one.sent_at for one in facts if isinstance(one, m.OrderSending) and one.intent == intent)

    def whole_rounds(self, since: datetime) -> list[m.SnapshotSeen]:
        """Downloads without a failed part that began after `since`, the newest last."""
        rounds = [event for event, _ in self.world.steps[: self.until + 1] if isinstance(event, m.SnapshotSeen)]
        return [one for one in rounds if not one.failures and one.positions is not None and one.started_tech >= since]

    def shown_at(self, intent: int) -> datetime | None:
        """When a message last was about the order itself: what had been gathered by then proves nothing."""
        names = (perm_id(intent), *self.world.order(intent).perm_ids)
        rows = self.heard(m.OpenOrderSeen, m.OrderStatusSeen, m.ExecutionSeen, m.CompletedOrderSeen)
        times = [row.tech for row in rows if row.perm_id in names]  # type: ignore[union-attr]
        order_id = self.world.order(intent).order_id
        codes = [one for one in self.heard(m.OrderErrorSeen) if one.order_id == order_id]  # type: ignore[union-attr]
        # "Cannot be cancelled, state: Filled" is of an order that was there, and so is any code but "not found".
        return max(times + [one.tech for one in codes if one.code != 10147], default=None)  # type: ignore[union-attr]

    def not_found(self, intent: int, since: datetime) -> bool:
        order_id = self.world.order(intent).order_id
        told = self.heard(m.OrderErrorSeen)
        return any(one.tech >= since and (one.order_id, one.code) == (order_id, 10147) for one in told)  # type: ignore[union-attr]


def unproven(world: World, number: int, intent: int) -> str | None:
    """Which proof of absence is missing at the event that made the order absent; None when all are there."""
    history = History(world, number)
    event = world.steps[number][0]
    if not isinstance(event, m.SnapshotSeen):
        return f"a {type(event).__name__} is no download"
    since, up = unknown_since(world, number, intent), history.up_since()
    since = max(since, history.shown_at(intent) or since)
    if up is None or history.now - up < QUIET:
        return "link, backend and farms up for a minute"
    rounds = history.whole_rounds(since)
    if len(rounds) < 2 or rounds[-1].started_tech - rounds[0].tech < timedelta(0):
        return "two whole rounds"
    if rounds[-1].started_tech - rounds[0].started_tech < APART:
        return "thirty seconds between them"
    if not history.not_found(intent, since):
        return "a cancel answered 10147"
    order = world.order(intent)
    if world.positions.get(order.con_id, D(0)) != sum_of_fills(world, number, order.con_id):
        return "positions equal"
    if order.created_at.astimezone(NEW_YORK).date() != event.at.astimezone(NEW_YORK).date():
        return "no midnight"
    lost = [one for one in history.heard(m.LinkUp) if one.tech > history.sent_at(intent)]
    before = [row.exec_id for row in history.heard(m.ExecutionSeen) if row.tech < history.sent_at(intent)]  # type: ignore[union-attr]
    if set(before) & set(event.exec_ids or ()):
        return None
    if lost:
        return "no restart of the gateway"
    shown = [row for row in history.heard(m.ExecutionSeen) if row.exec_id in (event.exec_ids or ())]  # type: ignore[union-attr]
    oldest = min([event.at, *(row.executed_at for row in shown)])  # type: ignore[union-attr]
    return "no midnight anywhere" if midnight_between(order.created_at, oldest) else None


def midnight_between(sent: datetime, shown: datetime) -> bool:
    """Whether some zone's day began after one time, and until the other: zones are quarters of an hour apart."""
    return any((sent + minutes * MINUTE).minute % 15 == 0 for minutes in range(1, (shown - sent) // MINUTE + 1))


def unknown_since(world: World, number: int, intent: int) -> datetime:
    """When the order last became unknown before an event."""
    since = world.steps[0][0].tech
    state = None
    for event, step in world.steps[:number]:
        for fact in step.facts:
            if isinstance(fact, m.OrderMoved) and fact.intent == intent:
                since = event.tech if fact.state is S.UNKNOWN and state is not S.UNKNOWN else since
                state = fact.state
    return since


def sum_of_fills(world: World, number: int, con_id: int) -> Decimal:
    """The account's position by the executions heard, and what was there at first."""
    rows = {e.exec_id: e for e in History(world, number).heard(m.ExecutionSeen) if e.con_id == con_id}  # type: ignore[union-attr]
    first = next(e for e, _ in world.steps if isinstance(e, m.SnapshotSeen) and e.positions is not None)
    held = sum((row.quantity for row in first.positions or () if row.con_id == con_id), D(0))
    return held + sum((row.quantity * row.side.sign for row in rows.values()), D(0))  # type: ignore[union-attr]


def settled(world: World) -> list[tuple[int, int, OrderState, str]]:
    """Each move to absent or inferred: at which event, of which order, and by what evidence."""
    found = []
    for number, (_, step) in enumerate(world.steps):
        for fact in step.facts:
            if isinstance(fact, m.OrderMoved) and fact.state in SETTLED:
                found.append((number, fact.intent, fact.state, fact.evidence.value))
    return found


# ── walks of an unknown order ───────────────────────────────────────────────────────────────────────────────────────

Act = Callable[[World, int, Random], object]


def _reads(world: World, intent: int, random: Random) -> None:
    world.wait(random.choice((1, 12, 31, 31, 65)))
    world.snapshot()


def _fails_to_read(world: World, intent: int, random: Random) -> None:
    world.wait(31)
    world.snapshot(positions=None, failures=(("positions", "no end mark within 30 s"),))


def _answers(world: World, intent: int, random: Random) -> None:
    code, verdict = random.choice(((10147, "not found"), (10147, "not found"), (10148, "too late"), (11999, "unclear")))
    order_id = world.order(intent).order_id
    world.hear(m.OrderErrorSeen, order_id=order_id, code=code, text="told", verdict=verdict)


def _waits(world: World, intent: int, random: Random) -> None:
    world.wait(random.choice((5, 30, 70)))
    world.hear(m.TimeReached)


def _flaps(world: World, intent: int, random: Random) -> None:
    farm = random.random() < 0.5
    for up in (False, True) if random.random() < 0.7 else (False,):
        world.hear(m.FarmSeen, farm="usfarm", up=up) if farm else world.hear(m.BackendSeen, up=up)


def _comes_back(world: World, intent: int, random: Random) -> None:
    world.hear(m.FarmSeen, farm="usfarm", up=True)
    world.hear(m.BackendSeen, up=True)


def _reconnects(world: World, intent: int, random: Random) -> None:
    world.hear(m.LinkLost, reason="reset by peer")
    world.wait(2)
    if random.random() < 0.5:
        world.executions.clear()
    world.connect()


def _moves_the_account(world: World, intent: int, random: Random) -> None:
    world.positions[1] = D(random.choice((0, 0, 100, 40)))


def _shows(world: World, intent: int, random: Random) -> None:
    world.open_order(intent, "Inactive")


def _restarts(world: World, intent: int, random: Random) -> None:
    world.start()
    world.connect()


ACTS: tuple[Act, ...] = (
    *(_reads, _reads, _reads, _reads, _answers, _answers, _waits, _comes_back),
    *(_fails_to_read, _flaps, _reconnects, _moves_the_account, _shows, _restarts),
)


def walk(seed: int) -> tuple[World, int]:
    """An order of 100 AAA of which nothing was heard, and forty acts of the world round it."""
    random = Random(f"{seed}|unknown")
    world = World.ready()
    if random.random() < 0.6:
        world.finish(world.one(BBB="0.1"), price="50")
        world.wait(5)
    (intent,) = (order.intent for order in world.trade(AAA="0.1", BBB="0.1") if order.symbol == "AAA")
    world.handed(intent)
    world.wait(11)
    world.hear(m.TimeReached)
    for _ in range(40):
        if world.order(intent).state in SETTLED:
            break
        # Most walks are calm: with everything going wrong at once nothing would ever be proven.
        act = random.choice(ACTS[:8] if seed % 2 and random.random() < 0.9 else ACTS)
        act(world, intent, random)
    return world, intent


@cache
def walks() -> tuple[tuple[World, int], ...]:
    return tuple(walk(seed) for seed in range(WALKS))


def test_an_unknown_order_is_absent_only_when_every_proof_is_there(counted: Callable[[str, int], None]) -> None:
    """Each time that a walk came out absent, the events alone prove it."""
    absent = 0
    for seed, (world, _) in enumerate(walks()):
        for number, intent, state, evidence in settled(world):
            if state is S.ABSENT:
                absent += 1
                assert evidence == Evidence.PROVEN_ABSENT.value
                assert unproven(world, number, intent) is None, seed
    counted("walks of an unknown order", WALKS)
    counted("walks of an unknown order that came out absent, proven", absent)
    assert absent > WALKS // 8


def test_an_unknown_order_is_inferred_only_from_a_standing_difference_over_a_restart(
    counted: Callable[[str, int], None],
) -> None:
    """All it was for stands in two downloads of a later connection that no longer shows the executions of before."""
    inferred = 0
    for seed, (world, intent) in enumerate(walks()):
        for number, _, state, evidence in settled(world):
            if state is not S.INFERRED:
                continue
            inferred += 1
            history, event = History(world, number), world.steps[number][0]
            assert evidence == Evidence.INFERRED.value and isinstance(event, m.SnapshotSeen), seed
            since = history.sent_at(intent)
            assert [one for one in history.heard(m.LinkUp) if one.tech > since], seed
            before = [row.exec_id for row in history.heard(m.ExecutionSeen) if row.tech < since]  # type: ignore[union-attr]
            assert before and not set(before) & set(event.exec_ids or ()), seed
            standing = [one for one in history.whole_rounds(since) if _held(one, 1) == world.order(intent).quantity]
            assert len(standing) >= 2 and standing[-1] is event, seed
    counted("walks of an unknown order that came out inferred, proven", inferred)
    assert inferred > WALKS // 80


def _held(event: m.SnapshotSeen, con_id: int) -> Decimal:
    return sum((row.quantity for row in event.positions or () if row.con_id == con_id), D(0))


@pytest.mark.parametrize("seed", range(40))
def test_in_no_play_does_a_live_order_of_the_broker_become_absent(seed: int) -> None:
    """A hundred acts of a broker that loses messages, links and processes: what it holds or filled is not absent."""
    play = played(long_play(seed), Play())
    absent = {intent for _, intent, state, _ in settled(play) if state is S.ABSENT}
    for intent in absent:
        one = play.book.get(intent)
        assert one is None or (one.ended and not one.filled), intent


@pytest.mark.parametrize(
    ("code", "verdict"), [(10148, "too late"), (202, "cancelled"), (399, "notice"), (11999, "unclear")]
)
def test_a_code_that_speaks_of_the_order_voids_what_was_gathered_towards_its_absence(code: int, verdict: str) -> None:
    """It "can't be cancelled, state: Filled", was cancelled, or is held: it was there, a 10147 of before is void."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.handed(intent)
    world.wait(11)
    world.hear(m.TimeReached)
    order_id = world.order(intent).order_id
    world.reconcile(2)
    world.hear(m.OrderErrorSeen, order_id=order_id, code=10147, text="not found", verdict="not found")
    world.hear(m.OrderErrorSeen, order_id=order_id, code=code, text="told", verdict=verdict)
    world.reconcile()
    assert world.order(intent).state is S.UNKNOWN


# ── the code ────────────────────────────────────────────────────────────────────────────────────────────────────────

USED_BY = {
    "PROVEN_ABSENT": {"reconcile.py", "resolution.py"},
    "INFERRED": {"inference.py"},
}
"""The rules of absence and a person's word; the rule of inference. transitions.py only says where they lead."""


@pytest.mark.parametrize("name", USED_BY)
def test_only_the_rules_and_a_person_give_the_evidence_that_settles_without_the_broker(name: str) -> None:
    """No other module of the domain names it, but the table of where it leads."""
    folder = Path(longwatch.domain.__file__).parent
    users = set()
    for module in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Attribute) and node.attr == name and getattr(node.value, "id", "") == "Evidence":
                users.add(module.name)
    assert users == USED_BY[name]


def test_a_completed_row_or_a_resolution_is_what_else_ends_an_unknown_order() -> None:
    """Both name the order: here its row of the completed orders."""
    world, intent = World.ready(), 1
    world.handed(world.one(AAA="0.1"))
    world.wait(11)
    world.hear(m.TimeReached)
    world.take(completed(world.order(intent), world.now, "Cancelled", 0))
    assert (world.order(intent).state, world.order(intent).client_id) == (S.CANCELLED, CLIENT)
