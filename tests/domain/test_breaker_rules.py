"""The breaker's rules one by one, on rows made for them: what each counts, holds, lifts, and says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument
from longwatch.domain.order_life import breaker
from longwatch.domain.order_life.breaker import BY_A_PERSON, CANCELLED, LONGEST_WAIT, MODIFIED, NEXT_DECISION, PROBED
from longwatch.domain.orders import Evidence, Order, OrderState, Purpose
from longwatch.domain.state import State, evolve, is_fact, put_order
from tests.domain.test_breaker import INTRADAY, cancelled, rejected, said, wants
from tests.domain.test_unprotected import stop
from tests.domain.world import CLOSE, OPEN, SESSIONS, SETTINGS, START, World, of_kind

D = Decimal
S = OrderState
E, R = Purpose.ENTRY, Purpose.REDUCE
STRUCK = replace(SETTINGS, breaker_strikes=3, breaker_window_minutes=60.0, breaker_wait_minutes=10.0)
AGAIN = "`longwatch resume AAA` allows it at once"


def entry(intent: int = 1, **fields: Any) -> Order:
    """BUY 60 AAA."""
    made = {"purpose": E, "created_at": START, "state": S.REJECTED, "order_id": 7} | fields
    return replace(stop(intent, 60), **made)


def row(**fields: Any) -> m.BreakerSet:
    """Three strikes, the last of them at START, and open for ten minutes."""
    strikes = tuple(START - timedelta(minutes=back) for back in (2, 1, 0))
    plain = {"con_id": 1, "symbol": "AAA", "purpose": E, "reason": "rejected (201)", "strikes": strikes, "trips": 1}
    return m.BreakerSet(**(plain | {"until": START + timedelta(minutes=10)} | fields))


def state_of(*rows: m.BreakerSet, orders: tuple[Order, ...] = (), verb: m.Verb | None = None, **limits: Any) -> State:
    state = State()
    state.sessions, state.settings = SESSIONS, replace(STRUCK, **limits)
    state.breakers = {(one.con_id, one.purpose, one.reason): one for one in rows}
    state.verbs = frozenset({verb}) if verb is not None else frozenset()
    for one in orders:
        put_order(state, one)
    return state


def applied(state: State, items: Iterator[m.Fact | m.Effect]) -> list[m.Fact | m.Effect]:
    """What is yielded, each fact folded before the next is asked for."""
    found = []
    for item in items:
        if is_fact(item):
            evolve(state, item)  # type: ignore[arg-type]
        found.append(item)
    return found


# ── what is held ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fields", "purpose", "at", "holds"),
    [
        ({}, E, START, True),
        ({}, E, START + timedelta(minutes=10), False),
        ({}, E, None, True),
        ({}, R, START, False),
        ({"con_id": 2}, E, START, False),
        ({"until": None}, E, START, False),
        ({"until": None}, E, None, False),
        ({"purpose": R}, R, START, True),
        ({"purpose": R}, E, START, True),
        ({"purpose": Purpose.STOP}, E, START, True),
        ({"purpose": Purpose.STOP}, R, START, False),
        ({"purpose": Purpose.PROFIT}, E, START, False),
        ({"purpose": R, "trips": 0}, E, START, False),
        ({"purpose": E, "trips": 0}, E, START, True),
    ],
)
def test_a_breaker_holds_its_own_kind_and_an_open_one_of_what_closes_holds_entries_too(
    fields: dict[str, Any], purpose: Purpose, at: datetime | None, holds: bool
) -> None:
    """What can't be reduced, or protected, must not be added to; without an instant it is asked for at any time."""
    one = row(**fields)
    other = row(con_id=2)
    assert breaker.held_by(state_of(other, one), 1, purpose, at) == (one if holds else None)


@pytest.mark.parametrize(("trips", "holds"), [(0, False), (1, True)])
def test_a_flatten_is_bound_only_by_a_breaker_that_has_opened(trips: int, holds: bool) -> None:
    state = state_of(row(purpose=R, trips=trips), verb=m.Verb.FLATTEN)
    assert (breaker.held_by(state, 1, R, START) is not None) == holds


@pytest.mark.parametrize(
    ("fields", "after", "is_held"),
    [
        ({"reason": BY_A_PERSON, "strikes": (), "trips": 0}, timedelta(minutes=9), True),
        ({"reason": BY_A_PERSON, "strikes": (), "trips": 0}, timedelta(minutes=10), False),
        ({"reason": BY_A_PERSON, "strikes": (), "trips": 0, "until": None}, timedelta(0), False),
        ({"strikes": (), "trips": 0}, timedelta(0), False),
        ({"strikes": (START,), "trips": 0}, timedelta(seconds=19), True),
        ({"strikes": (START,), "trips": 0}, timedelta(seconds=20), False),
        ({"strikes": (START, START), "trips": 0}, timedelta(seconds=39), True),
        ({"strikes": (START, START), "trips": 0}, timedelta(seconds=40), False),
        ({"strikes": (START,), "trips": 1}, timedelta(seconds=159), True),
        ({"strikes": (START,), "trips": 1}, timedelta(seconds=160), False),
        ({"strikes": (START,), "trips": 9}, timedelta(minutes=15) - timedelta(seconds=1), True),
        ({"strikes": (START,), "trips": 9}, timedelta(minutes=15), False),
        ({"reason": CANCELLED, "strikes": (START,), "trips": 0}, timedelta(0), False),
        ({"reason": CANCELLED, "strikes": (START, START), "trips": 0}, timedelta(seconds=39), True),
        ({"con_id": 2}, timedelta(0), False),
        ({"purpose": R}, timedelta(0), False),
    ],
)
def test_what_rests_is_placed_again_at_a_pace_that_slows_to_a_quarter_of_an_hour(
    fields: dict[str, Any], after: timedelta, is_held: bool
) -> None:
    """A first cancel at the broker is followed at once; a person's cancel binds for its session."""
    one = row(**({"purpose": Purpose.STOP} | fields))
    state = state_of(row(purpose=Purpose.PROFIT), one)
    assert breaker.is_held_back(state, 1, Purpose.STOP, START + after) == is_held


@pytest.mark.parametrize(
    ("fields", "at", "is_left"),
    [
        ({}, START, True),
        ({"until": None}, START, False),
        ({}, START + timedelta(minutes=10), False),
        ({"con_id": 2}, START, False),
        ({"reason": CANCELLED}, START, False),
    ],
)
def test_a_quantity_that_a_person_gave_is_left_for_the_session_but_not_from_a_flatten(
    fields: dict[str, Any], at: datetime, is_left: bool
) -> None:
    one = row(**({"reason": MODIFIED, "strikes": (), "trips": 0} | fields))
    assert breaker.left_as_it_is(state_of(one), 1, at) == (one if is_left else None)
    assert breaker.left_as_it_is(state_of(one, verb=m.Verb.FLATTEN), 1, at) is None


def test_orders_are_held_once_until_the_sessions_close_and_between_sessions_not_at_all() -> None:
    state = state_of()
    both = [entry(1), entry(2, con_id=2, symbol="BBB", purpose=R)]
    rows = applied(state, breaker.hold(state, both, "why", START))
    held = {"reason": "why", "strikes": (), "trips": 0, "until": CLOSE}
    assert rows == [row(**held), row(**held, con_id=2, symbol="BBB", purpose=R)]
    assert applied(state, breaker.hold(state, both, "why", START + timedelta(hours=1))) == []
    assert applied(state, breaker.hold(state, both, "why", START + timedelta(days=3))) != []
    assert applied(state, breaker.hold(state, both, "why", OPEN - timedelta(hours=1))) == []


@pytest.mark.parametrize("purpose", list(Purpose))
@pytest.mark.parametrize("reason", ["rejected (10243)", "rejected (10318)", "rejected (201)"])
def test_whole_lots_are_closed_once_a_fraction_was_refused(purpose: Purpose, reason: str) -> None:
    """Of that instrument, by an order of whatever purpose."""
    state = state_of(row(reason=reason, purpose=purpose))
    known = Instrument(con_id=1, symbol="AAA", lot=D(10))
    is_refused = reason != "rejected (201)"
    assert breaker.in_lots_to_close(state, known, D("127.5")) == (D(120) if is_refused else D("127.5"))
    assert breaker.in_lots_to_close(state, replace(known, con_id=2), D("127.5")) == D("127.5")


# ── what is lifted ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_fill_lifts_what_was_counted_against_orders_made_before() -> None:
    """Of its instrument and purpose; not by a fill of an order from before the last strike, nor a session's hold."""
    rows = (row(), row(reason="rejected (202)"), row(purpose=R), row(con_id=2), row(reason="held", strikes=()))
    order = entry(state=S.WORKING, created_at=START + timedelta(seconds=1))
    state = state_of(*rows, orders=(order, replace(order, intent=2, created_at=START)))
    fact = m.FillBooked(
        **{"exec_id": "1.01", "intent": 1, "con_id": 1, "symbol": "AAA", "side": order.side, "quantity": D(1)},
        **{"price": D(1), "executed_at": START, "tech": START, "replaces": None},
    )
    assert list(breaker.after_fill(state, replace(fact, intent=2))) == []
    assert list(breaker.after_fill(state, replace(fact, intent=None))) == []
    assert list(breaker.after_fill(state, replace(fact, intent=9))) == []
    assert applied(state, breaker.after_fill(state, fact)) == [
        m.BreakerLifted(con_id=1, symbol="AAA", purpose=E, reason=reason, because="it has filled")
        for reason in ("rejected (201)", "rejected (202)")
    ]
    assert len(state.breakers) == 3


def test_what_a_person_cancelled_beside_a_holding_is_forgotten_with_it() -> None:
    """Its stop and its take-profit; not an entry, nor what the broker refused."""
    rows = [row(reason=BY_A_PERSON, purpose=one) for one in Purpose]
    state = state_of(*rows, row(purpose=Purpose.STOP), row(con_id=2, reason=BY_A_PERSON, purpose=Purpose.STOP))
    found = applied(state, breaker.lapsed(state, 1))
    assert [(one.con_id, one.purpose, one.because) for one in of_kind(found, m.BreakerLifted)] == [
        (1, Purpose.STOP, "nothing is held any more"),
        (1, Purpose.PROFIT, "nothing is held any more"),
    ]


# ── what is counted ─────────────────────────────────────────────────────────────────────────────────────────────────


def moved(state: State, order: Order, to: OrderState, at: datetime = START, **error: Any) -> list[m.Fact | m.Effect]:
    """The broker's word has moved an order that worked; with `error` it came as that code."""
    put_order(state, replace(order, state=to))
    told = {"evidence": Evidence.CANCELLED, "text": "", "deadline": None, "reported": D(0), "ending": None}
    fact = m.OrderMoved(intent=order.intent, state=to, **told)  # type: ignore[arg-type]
    event: m.Event = m.TimeReached(at=at, tech=at)
    if error:
        event = m.OrderErrorSeen(**{"at": at, "tech": at, "order_id": 7, "text": "no", "verdict": "rejected"} | error)
    return applied(state, breaker.after_move(state, fact, S.WORKING, event))


def test_a_rejection_is_counted_with_its_code_and_told() -> None:
    """With what had filled, and the order's own word where that says more."""
    state = state_of()
    order = entry(filled=D(20), text="201 no permission")
    found = moved(state, order, S.REJECTED, code=201, severity="critical")
    assert found[0] == row(strikes=(START,), trips=0, until=None)
    assert found[1] == m.RaiseAlert(
        key="order_rejected",
        text=f"SELL 60 AAA ({order.ref}) rejected (201) after 20 filled: 201 no permission; {NEXT_DECISION}",
        severity="critical",
    )
    found = moved(state_of(), entry(text="rejected"), S.REJECTED)
    assert found[1] == m.RaiseAlert(
        key="order_rejected", text=f"SELL 60 AAA ({order.ref}) rejected; {NEXT_DECISION}", severity="warning"
    )


def test_a_cancel_at_the_broker_holds_the_instrument_until_the_session_ends() -> None:
    state = state_of()
    order = entry()
    found = moved(state, order, S.CANCELLED)
    assert found[0] == row(reason=CANCELLED, strikes=(START,), trips=0, until=CLOSE)
    text = f"SELL 60 AAA ({order.ref}) {CANCELLED}; not sent again before the next session's decision; {AGAIN}"
    assert found[1] == m.RaiseAlert(key="order_cancelled", text=text, severity="warning")
    found = moved(state_of(), order, S.CANCELLED, OPEN - timedelta(hours=1))
    assert found[0].until is None  # type: ignore[union-attr]
    assert f"{CANCELLED}; {NEXT_DECISION}" in found[1].text  # type: ignore[union-attr]


def test_a_cancel_by_our_own_question_holds_nothing_and_is_told() -> None:
    order = entry(probed=True)
    assert moved(state_of(), order, S.CANCELLED) == [
        m.RaiseAlert(key="order_cancelled", text=f"SELL 60 AAA ({order.ref}) {PROBED}; {NEXT_DECISION}")
    ]


@pytest.mark.parametrize(
    ("order", "to"),
    [
        (entry(cancel_asked=True), S.CANCELLED),
        (entry(cancel_asked=True, probed=True), S.CANCELLED),
        (entry(), S.EXPIRED),
        (entry(), S.FILLED),
        (entry(), S.WORKING),
    ],
)
def test_what_we_asked_for_or_a_session_ended_is_not_counted(order: Order, to: OrderState) -> None:
    assert moved(state_of(), order, to) == []


def test_an_order_that_its_group_has_ended_is_not_counted() -> None:
    """The stop has filled: the exit beside it was cancelled by the broker, as it was asked to."""
    state = state_of(orders=(replace(stop(2), oca_group="g", state=S.FILLED),))
    state.oca_groups["g"] = (1, 2)
    assert moved(state, entry(oca_group="g"), S.CANCELLED) == []
    assert moved(state, entry(oca_group="g"), S.REJECTED) != []


@pytest.mark.parametrize(
    ("strikes", "kept", "trips"),
    [((), 1, 0), ((10,), 2, 0), ((20, 10), 3, 1), ((60, 10), 3, 1), ((61, 10), 2, 0), ((30, 20, 10), 3, 1)],
)
def test_so_many_within_the_window_open_it(strikes: tuple[int, ...], kept: int, trips: int) -> None:
    """Three within an hour; older ones are forgotten, and of more only so many are kept."""
    before = tuple(START - timedelta(minutes=back) for back in strikes)
    state = state_of(*([row(strikes=before, trips=0, until=None)] if before else []))
    (found, alert) = moved(state, entry(), S.REJECTED, code=201)
    assert isinstance(found, m.BreakerSet) and isinstance(alert, m.RaiseAlert)
    assert (len(found.strikes), found.strikes[-1], found.trips) == (kept, START, trips)
    assert found.until == (START + timedelta(minutes=10) if trips else None)
    assert alert.key == ("breaker" if trips else "order_rejected")
    if trips:
        assert alert.text.endswith(f", 3 times: no entry in it before 2007-01-05 14:45Z; {AGAIN}")


@pytest.mark.parametrize(("limit", "kept"), [(1, 1), (2, 2), (5, 2)])
def test_no_more_strikes_are_kept_than_open_it(limit: int, kept: int) -> None:
    """With a limit of one the first opens it, and none before it is remembered."""
    state = state_of(row(strikes=(START - timedelta(minutes=1),), trips=0, until=None), breaker_strikes=limit)
    found = moved(state, entry(), S.REJECTED, code=201)[0]
    assert isinstance(found, m.BreakerSet)
    assert (len(found.strikes), found.strikes[-1], found.trips) == (kept, START, int(limit <= 2))


@pytest.mark.parametrize(
    ("trips", "ago", "now_trips", "minutes"),
    [(1, 0, 2, 20), (2, 0, 3, 40), (1, 60, 2, 20), (1, 61, 0, None), (30, 0, 31, None)],
)
def test_each_further_time_doubles_the_wait_until_it_was_passed_for_a_whole_window(
    trips: int, ago: int, now_trips: int, minutes: int | None
) -> None:
    """Up to a week; what comes a window after its end is a new beginning."""
    state = state_of(row(strikes=(START - timedelta(hours=9),), trips=trips, until=START - timedelta(minutes=ago)))
    (found, alert) = moved(state, entry(), S.REJECTED, code=201)
    assert isinstance(found, m.BreakerSet) and isinstance(alert, m.RaiseAlert)
    wait = LONGEST_WAIT if trips == 30 else timedelta(minutes=minutes) if minutes else None
    assert (found.trips, found.until) == (now_trips, START + wait if wait else None)
    assert (", again: no entry in it before" in alert.text) == (now_trips > 1)


def test_a_breaker_by_cancels_lasts_at_least_for_the_session_but_for_a_flatten() -> None:
    """Which tries again when the wait is over."""
    strikes = (START, START)
    for verb, until in ((None, CLOSE), (m.Verb.FLATTEN, START + timedelta(minutes=10))):
        state = state_of(row(reason=CANCELLED, strikes=strikes, trips=0, until=CLOSE), verb=verb)
        assert moved(state, entry(), S.CANCELLED)[0].until == until  # type: ignore[union-attr]
    state = state_of(row(reason=CANCELLED, strikes=strikes, trips=0, until=CLOSE), breaker_wait_minutes=1_000.0)
    assert moved(state, entry(), S.CANCELLED)[0].until == START + timedelta(minutes=1_000)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("to", "says"),
    [(S.CANCELLED, "; the flatten tries again"), (S.REJECTED, "in the next session, or when told again")],
)
def test_during_a_flatten_an_end_says_when_it_is_tried_again(to: OrderState, says: str) -> None:
    found = moved(state_of(verb=m.Verb.FLATTEN), entry(purpose=R), to)
    assert found[1].text.endswith(says)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, f"AAA: rejected (201) 3 times, no entry before 2007-01-05 14:45Z; {AGAIN}"),
        ({"trips": 0}, f"AAA: rejected (201), no entry before 2007-01-05 14:45Z; {AGAIN}"),
        ({"trips": 0, "until": None}, f"AAA: rejected (201), counted; {AGAIN}"),
    ],
)
def test_a_breaker_is_told_with_its_end_and_the_word_that_lifts_it(fields: dict[str, Any], says: str) -> None:
    assert breaker.told(row(**fields)) == says


def test_a_persons_word_on_an_order_is_no_strike() -> None:
    """Said to have been rejected: nobody has refused anything now."""
    world = World.ready(INTRADAY)
    (intent,) = wants(world, AAA="0.1")
    world.handed(intent)
    world.wait(11)
    world.hear(m.TimeReached)
    said(world, "resolve", f"{intent} rejected")
    assert world.order(intent).state is S.REJECTED and not world.state.breakers


def test_two_cancels_at_the_broker_and_one_rejection_are_counted_apart() -> None:
    world = World.ready(INTRADAY)
    (first,) = wants(world, AAA="0.1")
    rejected(world, first)
    (second,) = wants(world, AAA="0.1")
    cancelled(world, second)
    assert {row.reason: len(row.strikes) for row in world.state.breakers.values()} == {
        "rejected (201)": 1,
        CANCELLED: 1,
    }
