"""Whose time is up, by the clock and at the close; whose place a new order takes, and whose rest is still wanted."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.order_life.patience import (
    AT_CLOSE,
    REST,
    TIMED_OUT,
    after_move,
    closing_session,
    due_at,
    is_left,
    is_past_cut_off,
    may_be_replaced,
    parent_of,
)
from longwatch.domain.orders import Evidence, Order, OrderState, OrderType, Purpose
from longwatch.domain.state import State, put_order
from tests.domain.test_patience import PATIENT, cancelled, time_is_up, working
from tests.domain.world import CLOSE, OPEN, SESSION, SESSIONS, SETTINGS, START, World, of_kind

D = Decimal
S = OrderState
DAY = replace(SETTINGS, at_close="cancel", at_close_minutes=15.0)
BEFORE = CLOSE - timedelta(minutes=15)


def made(intent: int = 1, **fields: object) -> Order:
    """BUY 100 AAA of this session, sent and working."""
    world, first = working()
    return replace(world.order(first), **({"intent": intent, "ref": f"lw:k7q2:{intent}"} | fields))  # type: ignore[arg-type]


def gone(intent: int = 1, **fields: object) -> Order:
    """One that was cancelled for its time."""
    return made(intent, **({"state": S.CANCELLED, "cancel_asked": True, "cancel_reason": TIMED_OUT} | fields))


def state_of(*orders: Order, **settings: object) -> State:
    state = State()
    state.sessions, state.settings = SESSIONS, replace(PATIENT, **settings)  # type: ignore[arg-type]
    for one in orders:
        put_order(state, one)
    return state


# ── whose time is up ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fields", "is_due"),
    [
        ({}, True),
        ({"order_type": OrderType.AT_CLOSE}, False),
        ({"order_type": OrderType.LIMIT_AT_CLOSE}, False),
        ({"purpose": Purpose.STOP}, False),
        ({"purpose": Purpose.PROFIT}, False),
        ({"purpose": Purpose.REDUCE}, True),
        ({"cancel_asked": True}, False),
        ({"sent_at": None}, False),
        ({"state": S.UNKNOWN}, False),
        ({"state": S.SENDING}, False),
    ],
)
def test_an_order_that_works_and_waits_for_nothing_has_its_time(fields: dict[str, object], is_due: bool) -> None:
    """Auctions and what rests by a holding wait; what is unknown is not ended by a clock."""
    order = made(**fields)
    due = due_at(state_of(order), order)
    assert due == (order.sent_at + timedelta(seconds=30) if is_due and order.sent_at else None)
    assert due_at(state_of(order, working_seconds=None), order) is None


def test_every_order_whose_time_is_up_is_cancelled_also_behind_one_that_may_stay() -> None:
    """One fact with the reason and one cancel for each."""
    world = World.ready(PATIENT)
    for weights in ({"AAA": "0.1"}, {"AAA": "0.1", "BBB": "0.1"}, {"AAA": "0.1", "BBB": "0.1", "CCC": "0.1"}):
        world.acknowledge(world.one(**weights))
    world.state.orders[1] = replace(world.order(1), order_type=OrderType.AT_CLOSE)
    step = time_is_up(world)
    asked = [(one.intent, one.reason) for one in of_kind(step.facts, m.OrderCancelAsked)]
    assert asked == [(2, TIMED_OUT), (3, TIMED_OUT)]
    assert [one.intent for one in of_kind(step.effects, m.CancelOrder)] == [2, 3]


# ── at the close ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("at", "closes", "is_late"),
    [
        (BEFORE - timedelta(seconds=1), False, False),
        (BEFORE, True, False),
        (CLOSE - timedelta(minutes=10, seconds=31), True, False),
        (CLOSE - timedelta(minutes=10, seconds=30), True, True),
        (CLOSE - timedelta(seconds=1), True, True),
        (CLOSE, False, False),
        (OPEN - timedelta(seconds=1), False, False),
    ],
)
def test_a_session_is_about_to_end_and_its_auction_shut_from_an_instant_on(
    at: datetime, closes: bool, is_late: bool
) -> None:
    """So many minutes before, and ten and a half: at the instant itself, and only while it is open."""
    state = state_of(at_close_minutes=15.0)
    assert closing_session(state, at) == (SESSION if closes else None)
    assert is_past_cut_off(state, at) == is_late


NEAR_CLOSE: dict[str, tuple[dict[str, object], bool]] = {
    "a working order": ({}, True),
    "for an auction": ({"order_type": OrderType.LIMIT_AT_CLOSE}, False),
    "good till cancelled": ({"tif": "GTC"}, False),
    "a stop": ({"purpose": Purpose.STOP}, False),
    "being cancelled": ({"cancel_asked": True, "cancel_reason": "by a person"}, False),
    "unknown": ({"state": S.UNKNOWN}, False),
}


@pytest.mark.parametrize("kind", NEAR_CLOSE)
def test_day_orders_that_still_work_are_cancelled_before_the_close(kind: str) -> None:
    """With the first reading of the account so late; the others of the day as well."""
    world = World.ready(DAY)
    world.acknowledge(world.one(AAA="0.1"))
    world.acknowledge(world.one(AAA="0.1", BBB="0.1"))
    fields, is_cancelled = NEAR_CLOSE[kind]
    world.state.orders[1] = replace(world.order(1), **fields)  # type: ignore[arg-type]
    world.now = BEFORE - timedelta(seconds=1)
    step = world.snapshot()
    asked = [(one.intent, one.reason) for one in of_kind(step.facts, m.OrderCancelAsked)]
    assert asked == [*([(1, AT_CLOSE)] if is_cancelled else []), (2, AT_CLOSE)]


@pytest.mark.parametrize(
    ("at_close", "verb", "at", "is_cancelled"),
    [
        ("cancel", "", BEFORE, True),
        ("cancel", "", CLOSE - timedelta(minutes=5), True),
        ("moc", "", BEFORE, True),
        ("moc", "", CLOSE - timedelta(minutes=5), False),
        ("leave", "", BEFORE, False),
        ("cancel", "flatten", BEFORE, False),
        ("cancel", "", BEFORE - timedelta(seconds=2), False),
    ],
)
def test_the_setting_says_what_becomes_of_orders_before_the_close(
    at_close: str, verb: str, at: datetime, is_cancelled: bool
) -> None:
    """An auction that is shut would not take the rest; a flatten has nothing better to send."""
    world = World.ready(replace(DAY, at_close=at_close))
    world.acknowledge(world.one(AAA="0.1"))
    if verb:
        world.state.verbs = frozenset({m.Verb(verb)})
    world.now = at - timedelta(seconds=1)
    facts = world.snapshot().facts
    assert [one.reason for one in of_kind(facts, m.OrderCancelAsked)] == ([AT_CLOSE] if is_cancelled else [])


# ── what follows from the broker's word ─────────────────────────────────────────────────────────────────────────────


def test_the_rest_of_one_that_may_be_replaced_is_asked_for_once() -> None:
    """By a decision, which sizes it anew; another end than a cancel asks for nothing."""
    world, intent = working()
    time_is_up(world)
    step = cancelled(world, intent, 0)
    assert of_kind(step.effects, m.RunJob) == [m.RunJob(job="rebalance", reason=REST)]
    assert of_kind(cancelled(world, intent, 0).effects, m.RunJob) == []
    other, intent = working()
    time_is_up(other)
    other.fill(intent, 100)
    assert REST not in [one.reason for one in of_kind(other.steps[-1][1].effects, m.RunJob)]


def test_what_is_left_for_the_next_session_is_held_and_told_with_its_shares() -> None:
    world, intent = working(replace(PATIENT, replacements=0))
    world.fill(intent, 30)
    time_is_up(world)
    step = cancelled(world, intent, 30)
    (alert,) = of_kind(step.effects, m.RaiseAlert)
    assert (alert.key, alert.text) == (
        "order_unfilled",
        "70 of BUY 100 AAA (lw:k7q2:1) not filled in time; not sent again before the next session's decision",
    )
    (row,) = of_kind(step.facts, m.BreakerSet)
    assert (row.con_id, row.purpose, row.reason, row.until) == (1, Purpose.ENTRY, TIMED_OUT, CLOSE)
    assert not of_kind(step.effects, m.RunJob)


@pytest.mark.parametrize("reason", ["by a person", ""])
def test_what_was_cancelled_for_another_reason_has_no_rest(reason: str) -> None:
    world, intent = working()
    world.state.orders[intent] = replace(world.order(intent), cancel_asked=True, cancel_reason=reason)
    step = cancelled(world, intent, 0)
    assert not of_kind(step.facts, m.BreakerSet) and not of_kind(step.effects, m.RunJob)


@pytest.mark.parametrize(
    ("order", "verb", "follows"),
    [
        (gone(), None, True),
        (gone(), m.Verb.PAUSE, True),
        (gone(), m.Verb.FLATTEN, False),
        (gone(state=S.EXPIRED), None, False),
        (gone(state=S.REJECTED), None, False),
        (gone(filled=D(99)), None, True),
    ],
)
def test_a_rest_follows_a_cancel_alone_and_none_is_sent_during_a_flatten(
    order: Order, verb: m.Verb | None, follows: bool
) -> None:
    """A flatten decides by itself what is left to close."""
    state = state_of(order)
    state.verbs = frozenset({verb} if verb is not None else set())
    told = {"evidence": Evidence.CANCELLED, "text": "", "deadline": None, "reported": D(0), "ending": None}
    fact = m.OrderMoved(intent=1, state=order.state, **told)  # type: ignore[arg-type]
    found = list(after_move(state, fact, S.WORKING, m.TimeReached(at=START, tech=START)))
    assert found == ([m.RunJob(job="rebalance", reason=REST)] if follows else [])


@pytest.mark.parametrize(
    ("fields", "at_close", "may"),
    [
        ({"cancel_reason": TIMED_OUT, "replacement": 1}, "leave", True),
        ({"cancel_reason": TIMED_OUT, "replacement": 2}, "leave", False),
        ({"cancel_reason": "by a person"}, "moc", False),
        ({"cancel_reason": AT_CLOSE, "replacement": 2}, "moc", True),
        ({"cancel_reason": AT_CLOSE}, "cancel", False),
        ({"cancel_reason": AT_CLOSE, "order_type": OrderType.STOP}, "moc", False),
        ({"cancel_reason": AT_CLOSE, "order_type": OrderType.STOP_LIMIT}, "moc", False),
    ],
)
def test_a_rest_is_sent_as_a_child_so_often_or_into_the_auction(
    fields: dict[str, object], at_close: str, may: bool
) -> None:
    """Two replacements are allowed; a stop that was not triggered is wanted at no other price."""
    assert may_be_replaced(state_of(at_close=at_close), gone(**fields)) == may


# ── whose place a new one takes ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("orders", "parent"),
    [
        ([gone(1)], 1),
        ([gone(1, cancel_reason=AT_CLOSE)], 1),
        ([gone(1), gone(2)], 2),
        ([gone(1), gone(2, con_id=2, symbol="BBB")], 1),
        ([gone(1), gone(2, purpose=Purpose.STOP)], 1),
        ([gone(1), made(2, state=S.FILLED)], None),
        ([gone(1), gone(2, cancel_reason="by a person")], None),
        ([gone(1, state=S.EXPIRED)], None),
        ([gone(1, side=Side.SELL)], None),
        ([gone(1, created_at=OPEN)], 1),
        ([gone(1, created_at=OPEN - timedelta(hours=1))], None),
        ([gone(1, created_at=OPEN - timedelta(hours=1)), made(2, con_id=2, symbol="BBB")], None),
        ([], None),
    ],
)
def test_a_child_takes_the_place_of_the_sessions_last_order_in_its_instrument(
    orders: list[Order], parent: int | None
) -> None:
    """Where that was cancelled for its time, on the same side; what rests by a holding is nobody's parent."""
    state = state_of(*orders)
    found = parent_of(state, 1, Side.BUY, SESSION)
    assert (found.intent if found is not None else None) == parent
    assert parent_of(state, 1, Side.BUY, None) is None


@pytest.mark.parametrize(
    ("orders", "settings", "at", "left"),
    [
        ([gone(1)], {}, START, True),
        ([gone(1), made(2, state=S.FILLED)], {}, START, False),
        ([gone(1), made(2, state=S.FILLED, con_id=2)], {}, START, True),
        ([gone(1), gone(2, purpose=Purpose.STOP)], {}, START, True),
        ([gone(1, state=S.EXPIRED)], {}, START, False),
        ([gone(1, replacement=2)], {}, START, False),
        ([gone(1, created_at=OPEN - timedelta(hours=1))], {}, START, False),
        ([gone(1, created_at=OPEN)], {}, START, True),
        ([gone(1)], {"working_seconds": None}, START, False),
        ([gone(1)], {"working_seconds": None, "at_close": "moc"}, START, True),
        ([gone(1)], {}, CLOSE + timedelta(hours=1), False),
        ([], {}, START, False),
    ],
)
def test_a_rest_waits_for_its_child_while_its_session_is_open_and_nothing_came_after_it(
    orders: list[Order], settings: dict[str, object], at: datetime, left: bool
) -> None:
    """In its own instrument; found again in the state when the job for it was lost."""
    assert is_left(state_of(*orders, **settings), at) == left
