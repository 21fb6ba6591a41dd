"""What is held behind no stop: when it is noted, what it comes to, when it is looked at again and a person is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.orders import Change, Order, OrderState, OrderType, Purpose
from longwatch.domain.positions import Holding
from longwatch.domain.safeguards.protection import due_at, is_due, metered, protected, surplus_noted
from longwatch.domain.state import State, evolve, put_order
from tests.domain.world import CLOSE, OPEN, SESSIONS, SETTINGS, START, judged

D = Decimal
NOW = START + timedelta(hours=1)
SECOND, TICK = timedelta(seconds=1), timedelta(microseconds=1)
SOON = timedelta(seconds=SETTINGS.acknowledge_seconds + 1)
ALERT = timedelta(seconds=SETTINGS.unprotected_alert_seconds)


def state_of(*stops: Order) -> State:
    """Ready, in an open session; 100 AAA of ours at 90, which last closed at 100."""
    state = State()
    state.settings, state.sessions, state.link = SETTINGS, SESSIONS, m.Link.READY
    state.book[1] = Holding(con_id=1, symbol="AAA", quantity=D(100), average_cost=D(90))
    state.judged["AAA"] = judged("AAA")
    for one in stops:
        put_order(state, one)
    return state


def stop(intent: int = 1, quantity: int = 60, **fields: object) -> Order:
    order = Order(
        intent=intent,
        ref=f"lw:k7q2:{intent}",
        run_id="stop:AAA",
        con_id=1,
        symbol="AAA",
        side=Side.SELL,
        quantity=D(quantity),
        order_type=OrderType.STOP,
        limit_price=None,
        stop_price=D(95),
        tif="GTC",
        account="DU123456",
        mode="paper",
        purpose=Purpose.STOP,
        decision_price=D(95),
        created_at=START,
        state=OrderState.WORKING,
    )
    return replace(order, **fields)  # type: ignore[arg-type]


def noted(**fields: object) -> m.ProtectionSet:
    """100 AAA without a stop since now, looked at again soon."""
    row = m.ProtectionSet(
        con_id=1,
        symbol="AAA",
        unprotected=D(100),
        price=D(100),
        since=NOW,
        at=NOW,
        accrued=D(0),
        look_at=NOW + SOON,
    )
    return replace(row, **fields)  # type: ignore[arg-type]


def asked(
    state: State, wanted: int = 100, *, at: datetime = NOW, tech: datetime = NOW, status: bool = False
) -> list[object]:
    event: m.Event = m.TimeReached(at=at, tech=tech)
    if status:
        event = m.OrderStatusSeen(
            at=at,
            tech=tech,
            order_id=1,
            client_id=1,
            perm_id=1,
            status="Submitted",
            filled=D(0),
            remaining=D(60),
            average_price=D(0),
        )
    return list(metered(state, 1, "AAA", D(wanted), event))


@pytest.mark.parametrize(
    ("fields", "shares"),
    [
        ({}, 60),
        ({"state": OrderState.SENDING}, 0),
        ({"state": OrderState.UNKNOWN}, 0),
        ({"ending": OrderState.CANCELLED}, 0),
        ({"purpose": Purpose.REDUCE}, 0),
        ({"filled": D(20)}, 40),
        ({"reported": D(25), "filled": D(20)}, 35),
        ({"filled": D(20), "taken_back": D(10)}, 30),
        ({"reported": D(70)}, 0),
        ({"change": Change(number=1, quantity=D(50), limit_price=None, stop_price=D(95), asked_at=START)}, 50),
        ({"change": Change(number=1, quantity=D(80), limit_price=None, stop_price=D(95), asked_at=START)}, 60),
        ({"con_id": 2}, 0),
    ],
)
def test_protected_is_what_a_stop_is_known_to_have_left_at_the_broker(fields: dict[str, object], shares: int) -> None:
    """Under either of its terms, whatever executions or the status tell of; the rest of the wish is not."""
    state = state_of(stop(**fields))
    assert protected(state, 1) == shares
    (found,) = asked(state)
    assert found == noted(unprotected=D(100 - shares))
    assert protected(state_of(stop(**fields), stop(2, 30)), 1) == shares + 30


def test_what_is_protected_in_full_is_no_news_but_where_something_was_missing() -> None:
    state = state_of(stop(quantity=100))
    assert asked(state) == asked(state, 90) == []
    state.unprotected[1] = noted()
    assert asked(state, 90) == [noted(unprotected=D(0), look_at=None)]
    state.unprotected[1] = noted(unprotected=D(0), look_at=None)
    assert asked(state) == []


def test_the_same_again_is_no_news_before_it_is_looked_at() -> None:
    """At that very instant it is, and then again after half a minute; less often with time."""
    state = state_of()
    state.unprotected[1] = noted()
    assert asked(state) == asked(state, tech=NOW + SOON - TICK) == []
    due = NOW + SOON
    assert asked(state, tech=due) == [noted(look_at=due + timedelta(seconds=30))]
    state.unprotected[1] = noted(told=True, look_at=NOW + 400 * SECOND)
    assert asked(state, tech=NOW + 400 * SECOND) == [noted(told=True, look_at=NOW + 500 * SECOND)]


def test_what_was_to_be_looked_at_no_more_is_soon_once_that_is_of_use_again() -> None:
    """The link is back, or the exchange has opened: nothing else need be heard of these shares."""
    state = state_of()
    state.unprotected[1] = noted(look_at=None)
    assert asked(state) == [noted()]
    state.link = m.Link.SYNCING
    state.unprotected[1] = noted(told=True, look_at=None)
    assert asked(state) == []


def test_other_shares_are_news_at_once_and_looked_at_when_the_former_were_or_sooner() -> None:
    state = state_of(stop())
    state.unprotected[1] = noted(look_at=NOW + SECOND)
    assert asked(state) == [noted(unprotected=D(40), look_at=NOW + SECOND)]
    state.unprotected[1] = noted(look_at=NOW + SOON)
    assert asked(state) == [noted(unprotected=D(40))]
    state.unprotected[1] = noted(look_at=NOW + 2 * SOON)
    assert asked(state) == [noted(unprotected=D(40))]


def test_a_status_makes_it_looked_at_sooner_where_that_was_to_be_late() -> None:
    """An order has moved."""
    state = state_of()
    state.unprotected[1] = noted(look_at=NOW + SOON + TICK)
    assert asked(state) == []
    assert asked(state, status=True) == [noted()]
    state.unprotected[1] = noted(look_at=NOW + SOON)
    assert asked(state, status=True) == []


@pytest.mark.parametrize("link", list(m.Link))
def test_it_is_looked_at_again_while_the_link_is_ready_and_the_exchange_open(link: m.Link) -> None:
    """Without a link only for a person to be told in time; and of a night again as the exchange opens."""
    state = state_of()
    state.link = link
    assert asked(state) == [noted(look_at=NOW + (SOON if link is m.Link.READY else ALERT))]
    opens = NOW + (SESSIONS[2].open_at - CLOSE) if link is m.Link.READY else None
    assert asked(state, at=CLOSE) == [noted(at=CLOSE, look_at=opens)]
    assert asked(state, at=SESSIONS[-1].close_at) == [noted(at=SESSIONS[-1].close_at, look_at=None)]


def test_a_person_is_told_once_it_has_lasted_and_the_exchange_is_open() -> None:
    """At the very instant, once, with what it is worth; not of what is protected by then."""
    since = NOW - ALERT
    row = noted(since=since, at=NOW, look_at=NOW + TICK)
    state = state_of()
    state.unprotected[1] = row
    text = f"100 AAA, worth 10000.00, have had no stop at the broker for {ALERT.total_seconds():.0f} s"
    alert = m.RaiseAlert(key="unprotected", text=text, severity="critical")
    assert asked(state) == [replace(row, told=True), alert]
    for quiet in (replace(row, told=True), replace(row, since=since + TICK)):
        state.unprotected[1] = quiet
        assert asked(state) == []
    state.unprotected[1] = row
    assert asked(state, at=CLOSE) == []
    state = state_of(stop(quantity=100))
    state.unprotected[1] = row
    assert asked(state) == [replace(row, unprotected=D(0), look_at=None)]


def test_it_accrues_in_money_and_seconds_of_open_market() -> None:
    """Of the former shares at their former price; nights count nothing."""
    for former, at, seconds in (
        (NOW, NOW + 10 * SECOND, "10"),
        (OPEN - 5 * SECOND, OPEN + SECOND / 2, "0.5"),
        (CLOSE - 2 * SECOND, CLOSE + 9 * SECOND, "2"),
        (CLOSE - 2 * SECOND, SESSIONS[2].open_at + 3 * SECOND, "5"),
        (CLOSE, CLOSE + SECOND, "0"),
    ):
        state = state_of(stop())
        state.unprotected[1] = noted(unprotected=D(70), price=D(80), at=former)
        (found,) = asked(state, at=at)
        assert found.accrued == 70 * 80 * D(seconds)  # type: ignore[attr-defined]


def test_a_share_is_worth_its_last_close_else_what_was_paid() -> None:
    for close, cost, price in ((D(100), D(90), 100), (None, D(90), 90), (None, None, 0)):
        state = state_of()
        state.judged["AAA"] = replace(judged("AAA"), close=close)
        if cost is None:
            state.book.clear()
            state.judged.clear()
        (found,) = asked(state)
        assert found.price == price  # type: ignore[attr-defined]


def test_what_is_unprotected_is_due_when_the_first_of_it_is_looked_at() -> None:
    state = state_of()
    assert due_at(state) is None
    state.unprotected = {1: noted(look_at=None)}
    assert due_at(state) is None
    state.unprotected = {1: noted(look_at=NOW), 2: noted(look_at=None), 3: noted(look_at=NOW - TICK)}
    assert due_at(state) == NOW - TICK
    state.surpluses = {1: too_many(look_at=None), 2: too_many(look_at=NOW - 2 * TICK)}
    assert due_at(state) == NOW - 2 * TICK


# ── more than is held ───────────────────────────────────────────────────────────────────────────────────────────────


def too_many(**fields: object) -> m.SurplusSet:
    """20 AAA more behind a stop than are held since now, looked at again soon."""
    row = m.SurplusSet(con_id=1, symbol="AAA", shares=D(20), since=NOW, look_at=NOW + SOON)
    return replace(row, **fields)  # type: ignore[arg-type]


def surplus(state: State, wanted: int = 40, *, tech: datetime = NOW) -> list[m.SurplusSet]:
    found = list(surplus_noted(state, 1, "AAA", D(wanted), m.TimeReached(at=tech, tech=tech)))
    for fact in found:
        evolve(state, fact)
    return found


def test_a_surplus_is_noted_as_it_begins_as_it_changes_and_as_it_ends() -> None:
    """Of orders that may fill whatever became of them; it is neither without a stop nor anybody's alert."""
    state = state_of(stop(state=OrderState.UNKNOWN))
    assert surplus(state, 60) == surplus(state, 61) == []
    assert surplus(state) == [too_many()] and state.surpluses == {1: too_many()}
    assert surplus(state) == []
    (moved,) = surplus(state, 39, tech=NOW + 5 * SECOND)
    assert moved == too_many(shares=D(21))
    assert surplus(state, 60, tech=NOW + 6 * SECOND) == [too_many(shares=D(0), look_at=None)]
    assert state.surpluses == {} and state.unprotected == {}
    (again,) = surplus(state, tech=NOW + 7 * SECOND)
    assert again.since == NOW + 7 * SECOND


def test_a_surplus_that_stays_is_looked_at_less_and_less_often() -> None:
    """So that what nothing can be done about fills no journal."""
    state = state_of(stop())
    (first,) = surplus(state)
    looks = [first.look_at]
    while looks[-1] is not None and looks[-1] < NOW + timedelta(hours=2):
        assert is_due(state, 1, looks[-1]) and not is_due(state, 1, looks[-1] - TICK)
        (row,) = surplus(state, tech=looks[-1])
        looks.append(row.look_at)
    assert looks[0] == NOW + SOON and len(looks) < 25
    assert not is_due(state, 2, NOW + timedelta(hours=3))


def test_what_is_without_a_stop_is_due_by_its_own_row() -> None:
    state = state_of()
    state.unprotected[1] = noted()
    assert is_due(state, 1, NOW + SOON) and not is_due(state, 1, NOW + SOON - TICK)
    state.unprotected[1] = noted(look_at=None)
    assert not is_due(state, 1, NOW + SOON)
