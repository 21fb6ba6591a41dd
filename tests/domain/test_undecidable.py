"""The cases in which nobody can know what became of an order: each is built, held open, and ended by a person's word.

They are those of docs/undecidable.md, with its very commands.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.orders import OrderState
from longwatch.domain.replies import objection
from longwatch.domain.risk.exposure import worst_shares
from longwatch.domain.risk.verbs import Action, Condition, forbidden_by
from tests.domain.world import ACCOUNT, CLIENT, CLOSE, World, of_kind, open_order

D = Decimal
S = OrderState
AAA = 1


@dataclass(frozen=True, slots=True)
class Case:
    """What builds it in a fresh world, why it stays open, and what a person's words make of the orders and the book."""

    build: Callable[[World], None]
    why: str
    ends: dict[int, OrderState]
    held: int


def sent(world: World, **weights: str) -> int:
    """An order handed to the transport, of which nothing is heard."""
    intent = world.one(**weights)
    world.handed(intent)
    return intent


def started_anew(world: World, *, forgets: bool = True, next_order_id: int | None = None) -> None:
    """The link is lost and comes back, to a gateway that has forgotten the day's executions."""
    world.hear(m.LinkLost, reason="closed")
    world.wait(200)
    if forgets:
        world.executions.clear()
    if next_order_id is None:
        world.connect()
        return
    up = {"client_id": CLIENT, "next_order_id": next_order_id, "accounts": (ACCOUNT,), "server_version": 176}
    world.hear(m.LinkUp, **up)
    world.hear(m.ClockSeen, skew_seconds=0.1)
    world.snapshot(reason="sync")


def answered(world: World, intent: int) -> None:
    """The cancels towards its absence come back as not found."""
    world.reconcile(2)
    order_id = world.order(intent).order_id
    world.hear(m.OrderErrorSeen, order_id=order_id, code=10147, text="not found", verdict="not found")


def _restart(world: World) -> None:
    intent = sent(world, AAA="0.1")
    started_anew(world)
    answered(world, intent)


def _traded_before(world: World) -> None:
    """A purchase of today whose execution is known: what a gateway shows of it tells whether it was started anew."""
    world.finish(world.one(BBB="0.2"), price="50")
    world.wait(5)


def _part(world: World) -> None:
    _traded_before(world)
    sent(world, AAA="0.1", BBB="0.2")
    started_anew(world)
    world.positions[AAA] = D(40)


def _either(world: World) -> None:
    _traded_before(world)
    sent(world, AAA="0.1", BBB="0.2")
    sent(world, AAA="0.2", BBB="0.2")
    started_anew(world)
    world.positions[AAA] = D(100)


def _others(world: World) -> None:
    _traded_before(world)
    intent = sent(world, AAA="0.1", BBB="0.2")
    stranger = open_order(world.order(intent), world.now, ref="", perm_id=77, order_id=0, client_id=0)
    world.take(stranger)
    world.take(open_order(world.order(intent), world.now, "Cancelled", ref="", perm_id=77, order_id=0, client_id=0))
    started_anew(world)
    world.positions[AAA] = D(100)


def _anew(world: World) -> None:
    world.finish(world.one(BBB="0.2"), price="50")
    world.wait(5)
    sent(world, AAA="0.1", BBB="0.2")
    started_anew(world, forgets=False, next_order_id=1)
    gathered = world.order(2).absence
    assert gathered is not None and gathered.asked_as is not None
    world.hear(m.OrderErrorSeen, order_id=gathered.asked_as, code=10147, text="not found", verdict="not found")


def _untold(world: World) -> None:
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    world.positions[AAA] = D(100)
    world.end(intent)
    world.status(intent, "Filled", 100)


def _window(world: World) -> None:
    sent(world, AAA="0.1")
    world.wait(11)
    world.hear(m.TimeReached)


def _apart(world: World) -> None:
    sent(world, AAA="0.1")
    world.wait(11)
    world.hear(m.TimeReached)
    world.positions[AAA] = D(7)
    world.now = CLOSE + timedelta(minutes=2)


def _vanished(world: World) -> None:
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    world.open_orders.clear()
    answered(world, intent)


CASES: dict[str, Case] = {
    "Sent in the moment in which the gateway was started anew": Case(
        _restart, "the gateway may have been restarted", {1: S.ABSENT}, 0
    ),
    "The account gained a part of what the order was for": Case(_part, "positions differ", {2: S.CANCELLED}, 40),
    "Two unknown orders, and shares that either may have bought": Case(
        _either, "positions differ", {2: S.FILLED, 3: S.CANCELLED}, 100
    ),
    "Somebody else was at work in the instrument": Case(_others, "positions differ", {2: S.FILLED}, 100),
    "The gateway's order ids have begun again": Case(
        _anew, "its order id names nothing at this gateway any more", {2: S.ABSENT}, 0
    ),
    "It has ended, and nobody tells its executions": Case(_untold, "Filled", {1: S.FILLED}, 100),
    "The gateway waits behind a window": Case(_window, "its cancel is not yet answered", {1: S.ABSENT}, 0),
    "The session is over, and the account differs for another reason": Case(
        _apart, "positions differ", {1: S.ABSENT}, 0
    ),
    "It worked, and is in no list any more": Case(
        _vanished, "the broker has had it, and tells no end of it", {1: S.CANCELLED}, 0
    ),
}


def built(case: Case) -> World:
    """The case, read again and again with nothing more to learn."""
    world = World.ready()
    case.build(world)
    world.reconcile(8)
    return world


def sections(root: Path) -> dict[str, str]:
    """The page's cases: title -> text."""
    parts = re.split(r"^## \d+\. (.+)$", (root / "docs" / "undecidable.md").read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def commands_in(text: str) -> list[str]:
    return re.findall(r"^ *(longwatch resolve .+)$", text, flags=re.MULTILINE)


def argument_of(command: str) -> tuple[str, str]:
    """What `longwatch resolve` sends to the daemon for a command line, and its reason."""
    _, _, order, *rest = shlex.split(command)
    options = dict(zip(rest[::2], rest[1::2], strict=True))
    words = (order, options["--as"], options.get("--quantity", "-"), options.get("--price", "-"))
    return " ".join(words).removesuffix(" -").removesuffix(" -"), options["--reason"]


def test_the_page_has_each_case_and_no_other(root: Path) -> None:
    """Each with at least one command that ends it."""
    assert list(sections(root)) == list(CASES)
    assert all(commands_in(text) for text in sections(root).values())


@pytest.mark.parametrize("title", CASES)
def test_nothing_but_a_person_ends_the_case_and_the_order_counts_meanwhile(title: str) -> None:
    """Read eight times over: still open, for the reason told, at worst all its shares, and no entry beside it."""
    case = CASES[title]
    world = built(case)
    for intent in case.ends:
        order = world.order(intent)
        assert order.is_live and order.text.startswith(case.why), order.text
        assert order.state is S.UNKNOWN or order.ending is not None
        assert worst_shares(world.state, AAA, Side.BUY) >= order.quantity
    held = forbidden_by(world.state, AAA, Action.ENTRY, ready=True)
    assert held in (Condition.UNKNOWN, Condition.QUARANTINED)


@pytest.mark.parametrize("title", CASES)
def test_the_pages_commands_end_the_case(title: str, root: Path) -> None:
    """As typed: the orders have ended, the book holds what the person said, and who and why is in the journal."""
    case = CASES[title]
    world = built(case)
    said = 0
    for command in commands_in(sections(root)[title]):
        argument, reason = argument_of(command)
        fields = {"command": "resolve", "argument": argument, "by": "uid 1000", "reason": reason}
        event = m.ControlRequested(at=world.now, tech=world.now, **fields)
        assert objection(world.state, event) is None, command
        said += len(of_kind(world.take(event).facts, m.OrderResolved))
    assert said == len(case.ends)
    assert {intent: world.order(intent).state for intent in case.ends} == case.ends
    assert world.state.held(AAA) == case.held
    world.reconcile(3)
    assert {intent: world.order(intent).state for intent in case.ends} == case.ends
    differs = title.startswith("The session is over")
    assert (AAA in world.state.quarantines) is differs


@pytest.mark.parametrize("title", [*list(CASES)[:1], *list(CASES)[4:5], *list(CASES)[8:]])
def test_a_day_order_of_which_nothing_is_shown_ends_with_its_session_if_nobody_says_anything(title: str) -> None:
    """The page says so: positions agree a minute after the close."""
    world = built(CASES[title])
    world.now = CLOSE + timedelta(minutes=2)
    world.snapshot()
    assert [world.order(intent).state for intent in CASES[title].ends] == [S.EXPIRED]


@pytest.mark.parametrize(
    "title", ["It has ended, and nobody tells its executions", "It worked, and is in no list any more"]
)
def test_an_order_that_the_broker_has_shown_can_not_be_said_to_be_absent(title: str) -> None:
    """Cases 6 and 9: it was there; what may be said is how it ended."""
    world = built(CASES[title])
    event = m.ControlRequested(at=world.now, tech=world.now, command="resolve", argument="1 absent", reason="a guess")
    assert "was seen at the broker" in str(objection(world.state, event))
    assert world.take(event).facts == ()
