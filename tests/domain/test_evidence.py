"""What a single piece of evidence does to one order: the fact's every field, what follows its end, and when nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.order_life.evidence import (
    FLATTEN,
    LOOK_AGAIN,
    SELLS_ENDED,
    advance,
    ended,
    ending_at,
    has_room,
    left_undone,
    may_close_more,
    may_go_on,
    over_from,
    rested,
    session_of,
)
from longwatch.domain.orders import Evidence, Order, OrderState, Purpose
from longwatch.domain.sessions import Session
from longwatch.domain.state import Fill, put_order
from tests.domain.world import CLOSE, CON_IDS, MONDAY, SESSION, World, of_kind

D = Decimal
S, E = OrderState, Evidence


def working(filled: int = 0, **changed: object) -> tuple[World, Order]:
    """100 AAA at work, so many of them filled."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    if filled:
        world.fill(intent, filled)
    put_order(world.state, replace(world.order(intent), **changed))  # type: ignore[arg-type]
    return world, world.order(intent)


def moves(items) -> list[m.OrderMoved]:
    return of_kind(items, m.OrderMoved)


# ── advance ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_move_says_all_that_the_evidence_said() -> None:
    """State, evidence, words, deadline, what is reported and how it is ending."""
    world, order = working()
    due = world.now + timedelta(seconds=9)
    (moved,) = moves(
        advance(world.state, order, E.PART_FILLED, text="Filled", deadline=due, reported=D(40), ending=S.FILLED)
    )
    assert (moved.intent, moved.state, moved.evidence, moved.text) == (1, S.WORKING, E.PART_FILLED, "Filled")
    assert (moved.deadline, moved.reported, moved.ending) == (due, D(40), S.FILLED)


def test_an_end_leaves_no_deadline_and_nothing_to_come() -> None:
    """Whatever was waited for before."""
    world, order = working(ending=S.CANCELLED, reported=D(40))
    later = world.now + timedelta(seconds=9)
    moved = moves(advance(world.state, order, E.CANCELLED, deadline=later, ending=S.CANCELLED))[0]
    assert (moved.state, moved.deadline, moved.ending, moved.reported) == (S.CANCELLED, None, None, D(40))


def test_what_is_reported_never_shrinks_and_an_ending_is_kept() -> None:
    """A late status tells of less than an earlier one."""
    world, order = working(ending=S.CANCELLED, reported=D(40), deadline=None)
    due = world.now + timedelta(seconds=9)
    (moved,) = moves(advance(world.state, order, E.PART_FILLED, deadline=due, reported=D(10)))
    assert (moved.reported, moved.ending) == (D(40), S.CANCELLED)


@pytest.mark.parametrize("news", ["state", "deadline", "reported", "ending", "nothing", "handed"])
def test_a_move_is_told_only_when_something_is_new(news: str) -> None:
    """Evidence that says what is known already is no fact; a hand-over always is one."""
    world, order = working()
    fields = {
        "deadline": {"deadline": world.now},
        "reported": {"reported": D(1)},
        "ending": {"ending": S.CANCELLED},
    }.get(news, {})
    evidence = {"state": E.SILENCE, "handed": E.HANDED}.get(news, E.PART_FILLED)
    found = moves(advance(world.state, order, evidence, **fields))  # type: ignore[arg-type]
    assert len(found) == (0 if news == "nothing" else 1)


def test_an_impossible_word_without_a_text_has_no_brackets() -> None:
    """The alert ends the sentence where there is nothing more to say."""
    world, order = working()
    (told,) = advance(world.state, order, E.WITHHELD)
    assert isinstance(told, m.RaiseAlert) and "never handed to the transport: our transport" in told.text


# ── ended ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def said_to_end(world: World, order: Order, ending: OrderState, filled: int) -> list[m.OrderMoved]:
    return moves(list(ended(world.state, order, ending, D(filled), "the broker's words", world.now)))


@pytest.mark.parametrize("ending", [S.CANCELLED, S.EXPIRED, S.REJECTED])
def test_an_end_after_what_the_book_has_is_one_at_once_in_the_brokers_words(ending: OrderState) -> None:
    """Its text and what it reported are kept."""
    world, order = working(40)
    (moved,) = said_to_end(world, order, ending, 40)
    assert (moved.state, moved.text, moved.reported) == (ending, "the broker's words", D(40))


def test_a_cancel_of_an_order_that_has_filled_in_full_is_its_fill() -> None:
    """All hundred are in the book before the word comes."""
    world, order = working(100, state=S.WORKING)
    (moved,) = said_to_end(world, order, S.CANCELLED, 100)
    assert (moved.state, moved.evidence) == (S.FILLED, E.ALL_FILLED)


def test_an_end_after_more_than_the_book_has_is_waited_for() -> None:
    """With its words, until the time for an answer has passed; told again it is no news, told of more it is."""
    world, order = working(40)
    (moved,) = said_to_end(world, order, S.CANCELLED, 60)
    assert (moved.state, moved.ending, moved.reported, moved.text) == (
        S.WORKING,
        S.CANCELLED,
        D(60),
        "the broker's words",
    )
    assert moved.deadline == world.now + timedelta(seconds=world.settings.acknowledge_seconds)
    waiting = replace(order, ending=S.CANCELLED, reported=D(60))
    put_order(world.state, waiting)
    assert said_to_end(world, waiting, S.CANCELLED, 60) == said_to_end(world, waiting, S.CANCELLED, 50) == []
    (more,) = said_to_end(world, waiting, S.CANCELLED, 70)
    assert more.reported == D(70)
    (other,) = said_to_end(world, waiting, S.EXPIRED, 60)
    assert other.ending is S.EXPIRED


@pytest.mark.parametrize("told", [0, 30, 100])
def test_one_that_has_filled_has_filled_in_full_whatever_figure_comes_with_it(told: int) -> None:
    """Completed orders tell a total of nothing."""
    world, order = working(40)
    (moved,) = said_to_end(world, order, S.FILLED, told)
    assert (moved.state, moved.ending, moved.reported) == (S.WORKING, S.FILLED, D(100))


# ── when it ends, and what follows ──────────────────────────────────────────────────────────────────────────────────


def test_a_cancel_nobody_asked_for_is_the_expiry_from_the_close_on_and_not_before() -> None:
    """At the close itself it has expired; one that was asked for, or is good till cancelled, has been cancelled."""
    world, order = working()
    assert ending_at(world.state, order, CLOSE) is S.EXPIRED
    assert ending_at(world.state, order, CLOSE - timedelta(microseconds=1)) is S.CANCELLED
    assert ending_at(world.state, replace(order, cancel_asked=True), CLOSE) is S.CANCELLED
    assert ending_at(world.state, replace(order, tif="GTC"), CLOSE) is S.CANCELLED
    world.state.sessions = ()
    assert ending_at(world.state, order, CLOSE) is S.CANCELLED


@pytest.mark.parametrize(
    ("day", "close", "over"),
    [
        (date(2007, 1, 5), datetime(2007, 1, 5, 21, tzinfo=UTC), datetime(2007, 1, 6, 1, tzinfo=UTC)),
        (date(2007, 7, 5), datetime(2007, 7, 5, 20, tzinfo=UTC), datetime(2007, 7, 6, 0, tzinfo=UTC)),
        (date(2007, 11, 23), datetime(2007, 11, 23, 18, tzinfo=UTC), datetime(2007, 11, 24, 1, tzinfo=UTC)),
        (date(2007, 1, 5), datetime(2007, 1, 6, 2, tzinfo=UTC), datetime(2007, 1, 6, 2, tzinfo=UTC)),
    ],
    ids=["winter", "summer", "half day", "a later close"],
)
def test_an_order_for_extended_hours_lives_until_eight_in_the_evening_in_new_york(
    day: date, close: datetime, over: datetime
) -> None:
    """A cancel that nobody asked for is no expiry before; one for regular hours alone has ended at the close."""
    world, order = working()
    world.state.sessions = (Session(date=day, open_at=close - timedelta(hours=6), close_at=close),)
    made_at = close - timedelta(hours=5)
    late, regular = (replace(order, created_at=made_at, outside_rth=outside) for outside in (True, False))
    assert (over_from(world.state, late), over_from(world.state, regular)) == (over, close)
    assert ending_at(world.state, late, over - timedelta(seconds=1)) is S.CANCELLED
    assert ending_at(world.state, late, over) is ending_at(world.state, regular, close) is S.EXPIRED


def test_an_order_lives_in_the_first_session_that_closes_after_it_was_made() -> None:
    """One made at the very close belongs to the next; beyond the sessions known there is none."""
    world, order = working()
    assert session_of(world.state, order) == SESSION
    assert session_of(world.state, replace(order, created_at=CLOSE)) == MONDAY
    assert session_of(world.state, replace(order, created_at=MONDAY.close_at)) is None


def jobs(items) -> list[tuple[str, str]]:
    return [(effect.job, effect.reason) for effect in of_kind(items, m.RunJob)]


def test_what_waited_for_a_sell_goes_on_by_a_rebalance_when_it_ends() -> None:
    """Not when it was rejected and its run has filled nothing: the next one would be rejected as well."""
    world, order = working()
    decided = world.state.rebalance
    assert decided is not None
    world.state.rebalance = replace(decided, waiting=1)
    for evidence, filled, follows in ((E.CANCELLED, 0, True), (E.REJECTED, 0, False), (E.REJECTED, 40, True)):
        put_order(world.state, replace(order, state=S.WORKING, filled=D(filled)))
        done = []
        for item in advance(world.state, world.order(1), evidence):
            if isinstance(item, m.OrderMoved):
                put_order(world.state, replace(world.order(1), state=item.state))
            done.append(item)
        assert jobs(done) == ([("rebalance", SELLS_ENDED)] if follows else []), (evidence, filled)


def test_a_flatten_goes_on_while_some_position_has_no_order() -> None:
    """It must be on, something must be held, and an order under way in that instrument is waited for."""
    world = World.ready()
    world.finish(world.one(AAA="0.1"))
    assert not may_close_more(world.state, world.now)
    world.hear(m.ControlRequested, command="flatten", by="uid 1000")
    assert may_close_more(world.state, world.now) and may_close_more(world.state, None)
    world.rebalance()
    (closing,) = world.state.live_orders()
    assert not may_close_more(world.state, world.now)
    world.acknowledge(closing.intent)
    world.status(closing.intent, "Cancelled", 0)
    assert jobs(world.steps[-1][1].effects) == [("rebalance", FLATTEN)]
    assert may_close_more(world.state, world.now)
    world.hear(m.ControlRequested, command="halt", by="uid 1000")
    assert not may_close_more(world.state, world.now), "a halt closes nothing"
    world.state.verbs.pop(m.Verb.HALT)
    assert may_close_more(world.state, world.now)
    world.state.book.clear()
    assert not may_close_more(world.state, world.now)


def test_a_flatten_is_not_asked_for_while_a_breaker_holds_what_is_left() -> None:
    """By the time given: once the breaker's is over, it may go on; without a time, only what is never held counts."""
    world = World.ready()
    world.finish(world.one(AAA="0.1"))
    world.hear(m.ControlRequested, command="flatten", by="uid 1000")
    until = world.now + timedelta(hours=1)
    world.state.breakers[(1, Purpose.REDUCE, "201")] = m.BreakerSet(
        con_id=1, symbol="AAA", purpose=Purpose.REDUCE, reason="201", strikes=(world.now,), trips=1, until=until
    )
    assert not may_close_more(world.state, world.now) and not may_close_more(world.state, None)
    assert may_close_more(world.state, until + timedelta(seconds=1))


def test_a_fill_told_of_a_cancelled_order_beyond_what_is_booked_leaves_it_cancelled_and_noted() -> None:
    """Its execution will come, or the account will tell; what waits for ends is looked at again."""
    world, order = working(40)
    world.status(order.intent, "Cancelled", 40)
    (moved,) = said_to_end(world, world.order(1), S.FILLED, 100)
    assert (moved.state, moved.reported, moved.ending) == (S.CANCELLED, D(100), None)


@pytest.mark.parametrize(("before_the_open", "asked"), [(timedelta(0), False), (timedelta(microseconds=1), True)])
def test_a_close_that_was_rejected_in_this_session_is_not_asked_for_again(
    before_the_open: timedelta, asked: bool
) -> None:
    """From the open on; what an earlier session rejected is tried anew."""
    world = World.ready()
    world.finish(world.one(AAA="0.1"))
    world.hear(m.ControlRequested, command="flatten", by="uid 1000")
    closing = replace(
        world.order(1),
        intent=2,
        side=Side.SELL,
        purpose=Purpose.REDUCE,
        state=S.REJECTED,
        created_at=SESSION.open_at - before_the_open,
    )
    put_order(world.state, closing)
    world.wait(300)
    assert jobs(left_undone(world.state, world.now)) == ([("rebalance", FLATTEN)] if asked else [])


@pytest.mark.parametrize("changed", [{"purpose": Purpose.ENTRY, "state": S.REJECTED}, {"state": S.CANCELLED}])
def test_a_flatten_is_asked_for_again_where_no_close_was_rejected(changed: dict[str, object]) -> None:
    """That an entry was rejected, or a close cancelled, tells nothing of the next close."""
    world = ended_world()
    world.hear(m.ControlRequested, command="flatten", by="uid 1000")
    former = replace(world.order(1), intent=2, side=Side.SELL, purpose=Purpose.REDUCE, created_at=world.now)
    put_order(world.state, replace(former, **changed))  # type: ignore[arg-type]
    world.wait(300)
    assert jobs(left_undone(world.state, world.now)) == [("rebalance", FLATTEN)]


def test_trades_put_off_are_asked_for_again_by_a_rebalance_once_nothing_is_under_way() -> None:
    """What got lost with a process is found in the state while the exchange is open."""
    world = World.ready()
    world.finish(world.one(AAA="0.1"))
    decided = world.state.rebalance
    assert decided is not None
    world.state.rebalance = replace(decided, waiting=1)
    assert jobs(left_undone(world.state, world.now)) == [("rebalance", SELLS_ENDED)]


def test_a_decision_is_asked_for_again_after_more_than_two_minutes() -> None:
    """Not at the very instant."""
    world = World.ready()
    world.one(AAA="0.1")
    decided = world.state.rebalance
    assert decided is not None and decided.at is not None
    assert not rested(world.state, decided.at + LOOK_AGAIN)
    assert rested(world.state, decided.at + LOOK_AGAIN + timedelta(microseconds=1))


def put_off(world: World, **differences: bool) -> World:
    """Trades wait for what has ended by now; book and account differ in these, held back or not."""
    decided = world.state.rebalance
    assert decided is not None and world.state.compared is not None
    world.state.rebalance = replace(decided, waiting=1, at=world.now)
    rows = [
        m.Difference(con_id=CON_IDS[symbol], symbol=symbol, book=D(0), outside=D(0), account=D(5))
        for symbol in differences
    ]
    world.state.compared = replace(world.state.compared, differences=tuple(rows))
    for symbol, is_held_back in differences.items():
        if is_held_back:
            held = m.QuarantineSet(con_id=CON_IDS[symbol], symbol=symbol, reason="position", tech=world.now)
            world.state.quarantines[CON_IDS[symbol]] = held
    return world


def ended_world() -> World:
    """Decided, filled, and nothing under way."""
    world = World.ready()
    world.finish(world.one(AAA="0.1"))
    return world


def test_what_was_put_off_goes_on_unless_the_account_shows_what_the_book_has_not() -> None:
    """One difference is enough, but for those in quarantine: no order goes there."""
    assert may_go_on(put_off(ended_world()).state)
    assert may_go_on(put_off(ended_world(), AAA=True).state)
    assert not may_go_on(put_off(ended_world(), AAA=False).state)
    assert not may_go_on(put_off(ended_world(), AAA=True, BBB=False).state)
    world = put_off(ended_world())
    world.state.compared = None
    assert may_go_on(world.state)
    assert world.state.rebalance is not None
    world.state.rebalance = replace(world.state.rebalance, waiting=0)
    assert not may_go_on(world.state)


@pytest.mark.parametrize(
    ("changed", "goes_on"),
    [
        ({}, True),
        ({"side": Side.SELL}, False),
        ({"side": Side.SELL, "purpose": Purpose.STOP}, True),
        ({"cancel_asked": True}, False),
        ({"side": Side.SELL, "ending": S.CANCELLED}, True),
        ({"cancel_asked": True, "ending": S.CANCELLED}, True),
        ({"cancel_asked": True, "purpose": Purpose.STOP}, False),
    ],
)
def test_sells_and_cancels_under_way_are_waited_for(changed: dict[str, object], goes_on: bool) -> None:
    """Not a stop, which may rest for months, nor what the broker has said to have ended."""
    world, _ = working(**changed)
    assert may_go_on(put_off(world).state) is goes_on


@pytest.mark.parametrize(
    ("changed", "quarantined", "goes_on"),
    [
        ({"state": S.UNKNOWN, "cancel_asked": True, "purpose": Purpose.STOP}, True, True),
        ({"state": S.UNKNOWN, "side": Side.SELL}, True, True),
        ({"state": S.UNKNOWN, "cancel_asked": True}, False, False),  # proof may still end it
        ({"cancel_asked": True}, True, False),  # it works, so its end will be told
    ],
)
def test_what_only_a_person_may_settle_keeps_no_other_instrument_waiting(
    changed: dict[str, object], quarantined: bool, goes_on: bool
) -> None:
    """Seed 137: a stop stayed unknown in quarantine after its cancel, and nothing that was put off went on any more."""
    world, _ = working(**changed)
    assert may_go_on(put_off(world, **({"AAA": True} if quarantined else {})).state) is goes_on


def with_a_fill(world: World, quantity: int, later: timedelta, intent: int | None = 1) -> World:
    """Trades were put off, and an execution was made so much later."""
    put_off(world)
    assert world.state.rebalance is not None and world.state.rebalance.at is not None
    at = world.state.rebalance.at + later
    name, quantities = f"{len(world.state.fills)}.01", {"quantity": D(quantity), "price": D(100)}
    fill = Fill(exec_id=name, intent=intent, con_id=1, symbol="AAA", executed_at=at, tech=at, **quantities)
    world.state.fills[name] = fill
    return world


@pytest.mark.parametrize(
    ("quantity", "seconds", "intent", "is_room"),
    [(-1, 1, 1, True), (-1, 0, 1, False), (-1, -1, 1, False), (1, 1, 1, False), (0, 1, 1, False), (-1, 1, None, False)],
)
def test_a_sell_of_ours_that_fills_after_the_decision_makes_room(
    quantity: int, seconds: int, intent: int | None, is_room: bool
) -> None:
    """By a fill, not by a purchase, nor by what others sold, nor by what had filled before."""
    world = with_a_fill(ended_world(), quantity, timedelta(seconds=seconds), intent)
    assert has_room(world.state) is is_room


def test_a_correction_heard_since_of_what_filled_before_hides_no_sell() -> None:
    """What was heard last need not have been made last."""
    world = with_a_fill(ended_world(), -1, timedelta(seconds=1))
    assert has_room(with_a_fill(world, -1, timedelta(seconds=-1)).state)


def test_where_nothing_was_put_off_there_is_no_room_to_look_for() -> None:
    """Nor where nothing was decided at all."""
    world = with_a_fill(ended_world(), -1, timedelta(seconds=1))
    decided = world.state.rebalance
    assert decided is not None and has_room(world.state)
    for none in (replace(decided, waiting=0), replace(decided, at=None), None):
        world.state.rebalance = none
        assert not has_room(world.state)


def test_room_is_looked_for_again_only_two_minutes_after_a_decision() -> None:
    """While a sell is still under way; without one, at once."""
    world, _ = working(side=Side.SELL)
    with_a_fill(world, -1, timedelta(seconds=1))
    world.wait(120)
    assert jobs(left_undone(world.state, world.now)) == []
    world.wait(1)
    assert jobs(left_undone(world.state, world.now)) == [("rebalance", SELLS_ENDED)]
    world.state.fills.clear()
    assert jobs(left_undone(world.state, world.now)) == []


def test_a_flatten_is_asked_for_again_when_a_breakers_time_is_over() -> None:
    """By the time it is looked at."""
    world = ended_world()
    world.hear(m.ControlRequested, command="flatten", by="uid 1000")
    world.wait(300)
    until = world.now + timedelta(hours=1)
    world.state.breakers[(1, Purpose.REDUCE, "201")] = m.BreakerSet(
        con_id=1, symbol="AAA", purpose=Purpose.REDUCE, reason="201", strikes=(world.now,), trips=1, until=until
    )
    assert jobs(left_undone(world.state, world.now)) == []
    assert jobs(left_undone(world.state, until + timedelta(seconds=1))) == [("rebalance", FLATTEN)]


def test_an_order_that_lives_although_its_end_was_concluded_is_told_at_once() -> None:
    """Whatever it was taken for; the sentence says both."""
    world, order = working(state=S.ABSENT)
    (alert,) = of_kind(advance(world.state, order, E.ACKNOWLEDGED), m.RaiseAlert)
    text = "BUY 100 AAA (lw:k7q2:1) was absent, yet it is told to be acknowledged by the broker; it counts as working"
    assert alert == m.RaiseAlert(key="order_revived", text=text, severity="critical")
