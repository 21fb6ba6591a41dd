"""One step of the stops of a holding, fact by fact: which is kept, which goes and why, and when nothing is done yet."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument, Side
from longwatch.domain.order_life import breaker
from longwatch.domain.orders import Order, OrderState, Purpose
from longwatch.domain.reconciliation.causes import Cause
from longwatch.domain.safeguards import at_write, pauses, stop_levels, stops
from longwatch.domain.safeguards.shares import known_held
from longwatch.domain.settings import StopRule
from longwatch.domain.state import Fill, State
from tests.domain.test_exposure import order, state_of
from tests.domain.test_oca import state_of as grouped
from tests.domain.test_protection import FIXED, changes, holding, sent
from tests.domain.test_unprotected import stop
from tests.domain.world import SESSIONS, SETTINGS, START, of_kind

D = Decimal
AAA = Instrument(con_id=1, symbol="AAA")
NOW = START + timedelta(hours=1)
EVENT = m.TimeReached(at=NOW, tech=NOW)


def resting(*orders: Order, held: int = 60, **settings: Any) -> State:
    """60 AAA, a stop wanted at 95 and nothing else in the way of one."""
    state = grouped(*orders, held=held, account=held)
    state.instruments = {"BBB": Instrument(con_id=2, symbol="BBB"), "AAA": AAA}
    state.sessions = SESSIONS
    state.settings = replace(FIXED, **settings)
    state.stop_levels[1] = m.StopLevelSet(
        con_id=1, symbol="AAA", level=D(95), is_long=held > 0, opened_at=START, at=START, because="5 % below 100"
    )
    return state


def adjusted(state: State, held: int = 60) -> list[Any]:
    """What is done in a daemon that is ready, up to an order that is intended."""
    ready_as(state)
    found: list[Any] = []
    for item in stops._adjusted(state, AAA, D(held), EVENT):
        found.append(item)
        if isinstance(item, m.OrderIntended):
            break
    return found


def asked_to_go(facts: list[Any]) -> dict[int, str]:
    return {fact.intent: fact.reason for fact in of_kind(facts, m.OrderCancelAsked)}


# ── what stands ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_of_several_stops_the_largest_is_kept() -> None:
    """The others go first; the one kept is given its size when they are gone."""
    state = resting(working(1, 20), working(2, 50, oca_group="h"), working(3, 30, oca_group="i"))
    facts = adjusted(state)
    why = "another stop rests for these shares"
    assert asked_to_go(facts) == {1: why, 3: why}
    assert changes_of(facts) == [] and of_kind(facts, m.OrderIntended) == []


def test_of_two_stops_the_kept_one_is_not_changed_before_the_other_is_gone() -> None:
    """Beside it, it would be for what is left of the holding."""
    facts = adjusted(resting(working(1, 20), working(2, 50, oca_group="h")))
    assert asked_to_go(facts) == {1: "another stop rests for these shares"}
    assert changes_of(facts) == [] and of_kind(facts, m.OrderIntended) == []


def changes_of(facts: list[Any]) -> list[m.OrderChangeAsked]:
    return of_kind(facts, m.OrderChangeAsked)


@pytest.mark.parametrize(("side", "held"), [(Side.BUY, 60), (Side.SELL, -60), (Side.BUY, 1), (Side.SELL, -1)])
def test_a_stop_on_the_wrong_side_goes_and_nothing_is_placed_beside_it(side: Side, held: int) -> None:
    """It would add to what is held."""
    facts = adjusted(resting(stop(1, 60, side=side), held=held), held)
    assert asked_to_go(facts) == {1: "it is of no use to what the account shows to be held"}
    assert of_kind(facts, m.OrderIntended) == []


def test_where_one_is_of_no_use_and_one_is_each_has_its_reason() -> None:
    """And the one that is of use is left as it is for now, also where its size is wrong."""
    facts = adjusted(resting(working(1, 60, side=Side.BUY), working(2, 50, oca_group="h")))
    assert asked_to_go(facts) == {1: "it is of no use to what the account shows to be held"}
    assert changes_of(facts) == []


def test_without_a_holding_or_a_rule_every_stop_goes() -> None:
    """By the reason that there is."""
    assert asked_to_go(adjusted(resting(stop(), held=0), 0)) == {1: "nothing is held any more"}
    state = resting(stop(), stop=None)
    del state.stop_levels[1]
    assert asked_to_go(adjusted(state, 0)) == {1: "no rule asks for a stop any more"}


@pytest.mark.parametrize("fields", [{"cancel_asked": True}, {"ending": OrderState.CANCELLED}])
def test_one_that_is_going_is_waited_for_and_not_asked_again(fields: dict[str, Any]) -> None:
    """Alone, or beside one that stands and is too small."""
    for others in ((), (working(2, 50, oca_group="h"),)):
        assert adjusted(resting(working(1, 60, **fields), *others)) == []
    # Without it each of these would be a step.
    assert [type(one) for one in adjusted(resting())] == [m.OrderIntended]
    assert changes_of(adjusted(resting(working(2, 50, oca_group="h"))))
    assert adjusted(resting(stop(1, 60, **fields), held=0), 0) == []


@pytest.mark.parametrize(("held", "side"), [(60, Side.SELL), (-60, Side.BUY), (1, Side.SELL), (-1, Side.BUY)])
def test_without_any_one_is_placed_on_the_side_that_closes(held: int, side: Side) -> None:
    """For all that is held, if the daemon is ready."""
    (intended,) = of_kind(adjusted(resting(held=held), held), m.OrderIntended)
    assert (intended.order.side, intended.order.quantity) == (side, abs(held))


def ready_as(state: State) -> None:
    """All the certificate asks for."""
    world, _ = holding(FIXED)
    for name in ("link", "valued", "clock", "compared", "client_id", "next_id", "journal_id", "account", "mode"):
        setattr(state, name, getattr(world.state, name))
    state.settings = replace(state.settings, universe=(), account_age_seconds=1e9)
    state.compared = replace(state.compared, differences=()) if state.compared else None
    state.by_order_id = {(1, one.order_id): number for number, one in state.orders.items() if one.order_id is not None}


def test_one_that_the_broker_is_ending_by_itself_is_not_asked_to_go() -> None:
    """Another of its group has traded within the time of an answer; before that it would have been told."""
    pair = (stop(1, 60, oca_group="g"), stop(2, 50, oca_group="g", filled=D(10)))
    limit = timedelta(seconds=SETTINGS.acknowledge_seconds)
    for late, goes in ((timedelta(0), True), (timedelta(microseconds=1), False)):
        state = resting(*pair)
        at = NOW - limit + late
        state.fills["1"] = Fill(
            exec_id="1", intent=2, con_id=1, symbol="AAA", quantity=D(-10), price=D(95), executed_at=at, tech=at
        )
        assert pauses.ends_by_itself(state, pair[0], NOW) is not goes
        assert not pauses.ends_by_itself(state, pair[1], NOW)
        assert (2 in asked_to_go(adjusted(state))) is True
        state.fills["1"] = replace(state.fills["1"], intent=9)
        assert not pauses.ends_by_itself(state, pair[0], NOW)


# ── what it is about ────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_instrument_is_looked_at_that_is_held_or_has_a_stop_a_level_or_a_lack_of_one() -> None:
    """Each by itself; an order that is no stop is none of these."""
    state = State()
    assert stops._concerned(state) == []
    state = state_of(stop(1, con_id=5), order(2, con_id=6), held=10)
    state.stop_levels[4] = replace(resting().stop_levels[1], con_id=4)
    state.unprotected[3] = m.ProtectionSet(
        con_id=3, symbol="CCC", unprotected=D(1), price=D(1), since=NOW, at=NOW, accrued=D(0)
    )
    assert stops._concerned(state) == [1, 3, 4, 5]


@pytest.mark.parametrize(
    ("held", "account", "outside", "quarantined", "found"),
    [
        (60, 60, 0, True, 60),
        (60, 50, 0, True, 50),
        (60, 50, 20, True, 30),
        (60, -5, 0, True, 0),
        (-60, -50, 0, True, -50),
        (-60, 5, 0, True, 0),
        (60, 50, 0, False, 60),  # it does not stand yet
    ],
)
def test_what_is_known_to_be_held_is_never_more_than_the_account_shows_where_that_is_in_doubt(
    held: int, account: int, outside: int, quarantined: bool, found: int
) -> None:
    """Less what is not ours of it; fills and positions arrive seconds apart."""
    state = state_of(held=held, outside=outside, account=account)
    if quarantined:
        state.quarantines[1] = m.QuarantineSet(con_id=1, symbol="AAA", reason="differs", tech=NOW)
    assert known_held(state, 1) == found
    assert known_held(state, 2) == 0


def test_the_level_of_what_is_sold_is_gone_at_that_instant() -> None:
    """And what held back another stop in it."""
    state = resting(held=0)
    row = m.BreakerSet(
        con_id=1, symbol="AAA", purpose=Purpose.STOP, reason=breaker.BY_A_PERSON, strikes=(), trips=0, until=NOW
    )
    state.breakers[(1, Purpose.STOP, row.reason)] = row
    facts = list(stops._acted(state, 1, EVENT))
    assert of_kind(facts, m.StopLevelSet) == [
        stop_levels.gone(state.stop_levels[1], NOW, "nothing is held any more"),
    ]
    assert facts == [*breaker.lapsed(state, 1), *of_kind(facts, m.StopLevelSet)]


def test_a_level_that_no_rule_asks_for_any_more_is_gone_though_all_is_held() -> None:
    """By a symbol's own rule it stays."""
    state = resting(stop=None)
    state.stop_levels[1] = replace(state.stop_levels[1], level=None)
    (fact,) = of_kind(list(stops._acted(state, 1, EVENT)), m.StopLevelSet)
    assert (fact.level, fact.because) == (None, "no rule asks for a stop any more")
    own = resting(stop=None, stops_of_symbols=(("AAA", StopRule(fraction=D("0.05"))),))
    facts = of_kind(list(stops._acted(own, 1, EVENT)), m.StopLevelSet)
    assert all(fact.level is not None for fact in facts)


@pytest.mark.parametrize(
    ("cause", "con_id", "acts"), [(Cause.SPLIT, 1, False), (Cause.UNEXPLAINED, 1, True), (Cause.SPLIT, 2, True)]
)
def test_stops_stay_as_they_are_while_prices_or_orders_are_in_doubt(cause: Cause, con_id: int, acts: bool) -> None:
    """Of that very instrument."""
    state = resting(stop(), held=0)
    state.quarantines[con_id] = m.QuarantineSet(con_id=con_id, symbol="?", reason="?", cause=cause, tech=NOW)
    assert bool(list(stops._acted(state, 1, EVENT))) is acts


def test_an_instrument_that_is_not_known_has_no_stops() -> None:
    """It has no tick and no lot."""
    state = resting(stop(), held=0)
    state.instruments = {}
    assert stops.instrument_called(state, 1) is None
    assert list(stops._acted(state, 1, EVENT)) == []


# ── after a fill, and at the write ──────────────────────────────────────────────────────────────────────────────────


def test_a_triggered_stop_is_told_once_a_session() -> None:
    """The words have its price and its fill; what is left of it is not touched."""
    world, rests = holding(FIXED)
    step = world.fill(rests.intent, 50, "94.90")
    (alert,) = [one for one in of_kind(step.effects, m.RaiseAlert) if one.key == "stopped_out"]
    assert alert.text == "AAA: its stop at 95.00 was triggered, 50 at 94.90 so far"
    again = world.fill(rests.intent, 50, "94.80")
    assert [one for one in of_kind(again.effects, m.RaiseAlert) if one.key == "stopped_out"] == []
    assert sent(again) == [] and changes(again) == []


@pytest.mark.parametrize(
    ("fields", "group", "why"),
    [
        ({"purpose": Purpose.STOP, "quantity": D(61)}, (), "less is held than it would sell"),
        ({"purpose": Purpose.STOP, "quantity": D(60)}, (), None),
        ({"purpose": Purpose.REDUCE, "quantity": D(61)}, (), None),
        ({"purpose": Purpose.REDUCE}, ({"filled": D(1)},), "the stop of these shares has been triggered"),
        ({"purpose": Purpose.REDUCE}, ({"reported": D(1)},), "the stop of these shares has been triggered"),
        ({"purpose": Purpose.ENTRY}, ({"filled": D(1)},), None),
        ({"purpose": Purpose.PROFIT}, ({},), None),
        ({"purpose": Purpose.PROFIT}, ({"filled": D(1)},), "the stop of these shares has been triggered"),
        ({"purpose": Purpose.PROFIT}, (), "the stop it belongs to is gone, or about to be"),
        ({"purpose": Purpose.PROFIT}, ({"cancel_asked": True},), "the stop it belongs to is gone, or about to be"),
        (
            {"purpose": Purpose.PROFIT},
            ({"state": OrderState.CANCELLED},),
            "the stop it belongs to is gone, or about to be",
        ),
    ],
)
def test_an_order_is_overtaken_by_what_its_stop_has_done_meanwhile(
    fields: dict[str, Any], group: tuple[dict[str, Any], ...], why: str | None
) -> None:
    """It would sell, or buy back, more than is held."""
    mine = replace(stop(9, 60, oca_group="g"), **fields)
    rest = [stop(number, 60, oca_group="g", **one) for number, one in enumerate(group, 1)]
    state = grouped(mine, *rest)
    assert at_write.overtaken(state, mine) == why


# ── a stop that works ───────────────────────────────────────────────────────────────────────────────────────────────


def working(intent: int = 1, quantity: int = 60, **fields: Any) -> Order:
    """As the broker has it, known by one number."""
    known = {"perm_ids": (9000 + intent,), "order_id": 4 + intent, "client_id": 1, "handed": True, "epoch": 1}
    return stop(intent, quantity, **(known | {"oca_group": "g"} | fields))


def terms(*orders: Order, held: int = 60, **fields: Any) -> list[Any]:
    """What is asked for of the first of these orders, in a daemon that is ready."""
    state = resting(*orders, held=held)
    ready_as(state)
    state.epoch = 1
    for name, value in fields.items():
        setattr(state, name, value)
    event = m.TimeReached(at=NOW, tech=state.compared.tech if state.compared else NOW)
    return list(stops._changed(state, orders[0], AAA, D(abs(held)), event))


def sells(intent: int, quantity: int, **fields: Any) -> Order:
    """An exit at work beside the stop's group, or in it."""
    return order(intent, quantity, Side.SELL, **({"purpose": Purpose.REDUCE} | fields))


@pytest.mark.parametrize(
    ("rest", "quantity"),
    [
        ((), 60),
        ((sells(2, 20),), 40),
        ((sells(2, 20), sells(3, 10)), 30),
        ((sells(2, 20, con_id=2),), 60),  # another instrument's
        ((order(2, 20),), 60),  # a purchase
        ((sells(2, 20, oca_group="g"),), 60),  # what it fills the broker takes from the stop
        ((sells(2, 20, oca_group="h"),), 40),
        ((sells(2, 20, oca_group="g", reported=D(5)),), 55),  # that it has already
    ],
)
def test_a_stop_is_for_what_no_other_order_of_ours_can_sell(rest: tuple[Order, ...], quantity: int) -> None:
    """It is given its size by modification, with the reason; where it has it nothing is asked."""
    facts = terms(working(), *rest)
    if quantity == 60:
        assert facts == []
        return
    (asked,) = changes_of(facts)
    assert (asked.intent, asked.change.quantity, asked.change.stop_price) == (1, D(quantity), D(95))
    assert asked.change.reason == f"{quantity} behind 95 (5 % below 100)"
    assert [one.instrument for one in of_kind(facts, m.ModifyOrder)] == [AAA]


@pytest.mark.parametrize(("least", "places"), [(60, True), (61, False)])
def test_no_stop_is_placed_for_fewer_shares_than_the_broker_takes(least: int, places: bool) -> None:
    """60 held: it would be refused; what is unprotected is told."""
    state = resting()
    ready_as(state)
    few = replace(AAA, min_size=D(least))
    assert any(isinstance(one, m.OrderIntended) for one in stops._placed(state, few, D(60), EVENT)) is places


def test_a_stop_that_would_be_for_fewer_shares_than_the_broker_takes_goes() -> None:
    """It can't be made smaller, and as it is it would turn the position round."""
    order = working()
    state = resting(order, held=20)
    ready_as(state)
    state.epoch = 1
    found = list(stops._changed(state, order, replace(AAA, min_size=D(25)), D(20), EVENT))
    assert asked_to_go(found) == {1: "the broker takes no order for fewer than 25 shares"}
    found = list(stops._changed(state, order, replace(AAA, min_size=D(20)), D(20), EVENT))
    assert [one.change.quantity for one in changes_of(found)] == [D(20)]


def test_a_stop_goes_when_other_orders_sell_all_that_is_held() -> None:
    """What it has filled itself is not open again."""
    for first, rest in ((working(), sells(2, 60)), (working(filled=D(10)), sells(2, 60))):
        facts = terms(first, rest)
        assert asked_to_go(facts) == {1: "other orders sell all that is held"}
        assert [one.intent for one in of_kind(facts, m.CancelOrder)] == [1]


@pytest.mark.parametrize(
    "fields",
    [
        {"stop_levels": {}},
        {"stop_levels": {1: replace(resting().stop_levels[1], level=None)}},
        {"backend_up": False},
        {"verbs": {m.Verb.FLATTEN: m.VerbSet(verb=m.Verb.FLATTEN, on=True, by="", reason="")}},
    ],
)
def test_a_stop_is_left_as_it_is_without_a_level_or_while_it_can_not_be_changed(fields: dict[str, Any]) -> None:
    """Nobody knows where it is to lie, or it could not be told."""
    assert terms(working(quantity=50), **fields) == []


@pytest.mark.parametrize("verb", [m.Verb.PAUSE, m.Verb.HALT])
def test_a_stop_is_changed_under_what_lets_stops_leave(verb: m.Verb) -> None:
    """A pause and a halt protect what is held."""
    facts = terms(working(quantity=50), verbs={verb: m.VerbSet(verb=verb, on=True, by="", reason="")})
    assert [one.change.quantity for one in changes_of(facts)] == [D(60)]


def test_a_fill_told_by_the_status_alone_is_waited_for() -> None:
    """What it has sold is not known yet."""
    assert terms(working(quantity=50, reported=D(5))) == []


# ── a new one ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fields", "ended"),
    [
        ({"state": OrderState.CANCELLED}, True),
        ({"state": OrderState.EXPIRED}, True),
        ({"state": OrderState.ABSENT, "perm_ids": (9001,)}, True),
        ({"state": OrderState.ABSENT, "perm_ids": ()}, False),  # it was never there
        ({"state": OrderState.REJECTED}, False),
        ({"state": OrderState.CANCELLED, "cancel_asked": True}, False),
        ({"state": OrderState.CANCELLED, "probed": True, "sent_at": NOW, "moved_at": NOW}, False),
        ({"state": OrderState.CANCELLED, "probed": True, "sent_at": NOW, "moved_at": NOW + stops.A_PROBE}, True),
        ({"state": OrderState.CANCELLED, "probed": True}, True),
    ],
)
def test_a_stop_was_ended_by_the_broker_if_nobody_of_us_asked_for_it(fields: dict[str, Any], ended: bool) -> None:
    """One that was only probed for ended by that, if it ended within the hour."""
    last = stop(1, 60, **fields)
    assert stops._was_ended(grouped(last), last) is ended


@pytest.mark.parametrize(
    ("began", "took", "moved", "is_read"),
    [
        (START, 5, START, True),  # begun at the very instant it ended
        (START, 5, START + timedelta(seconds=1), False),
        (START, 5, None, False),
        (SESSIONS[1].open_at, 5, START - timedelta(hours=3), True),
        (SESSIONS[1].open_at - timedelta(seconds=1), 5, START - timedelta(hours=3), False),
        (SESSIONS[1].close_at - timedelta(seconds=1), 5, START, True),
    ],
)
def test_a_reading_shows_what_became_of_a_stop_if_it_began_after_its_end_in_a_session(
    began: Any, took: int, moved: Any, is_read: bool
) -> None:
    """However long it took."""
    end = began + timedelta(seconds=took)
    event = m.SnapshotSeen(
        at=end,
        tech=end,
        started_tech=began,
        reason="",
        positions=(),
        open_perm_ids=(),
        completed_perm_ids=(),
        exec_ids=(),
        net_liquidation=None,
        cash=None,
    )
    last = stop(1, 60, moved_at=moved, state=OrderState.CANCELLED)
    assert stops.is_read_since(State(sessions=SESSIONS), last, event) is is_read
    assert not stops.is_read_since(State(sessions=SESSIONS), last, m.TimeReached(at=end, tech=end))


@pytest.mark.parametrize(("con_id", "is_reading", "asks"), [(1, False, True), (1, True, False), (2, False, False)])
def test_a_fill_that_a_reading_should_have_shown_asks_for_another_one(
    con_id: int, is_reading: bool, asks: bool
) -> None:
    """In this very instrument, and not because of the reading itself; until then there is no stop for it."""
    state = resting(held=0)
    ready_as(state)
    assert state.compared is not None and state.compared.at is not None
    state.fills = {
        "1": Fill(
            exec_id="1",
            intent=1,
            con_id=con_id,
            symbol="?",
            quantity=D(60),
            price=D(100),
            executed_at=state.compared.at - timedelta(hours=1),
            tech=state.compared.tech + timedelta(seconds=1),
        )
    }
    world, _ = holding(FIXED)
    event = next(one for one, _ in reversed(world.steps) if isinstance(one, m.SnapshotSeen)) if is_reading else EVENT
    facts = list(stops._placed(state, AAA, D(60), event))
    reason = "a fill of AAA was told after the account was read"
    assert facts == ([m.RequestSnapshot(reason=reason)] if asks else [])


def test_a_take_profit_that_trades_is_told_by_its_own_words() -> None:
    """And a fill of somebody else's by none."""
    state = resting(stop(1, 60, purpose=Purpose.PROFIT, limit_price=D(110), stop_price=None))
    fact = m.FillBooked(
        exec_id="1",
        intent=1,
        con_id=1,
        symbol="AAA",
        side=Side.SELL,
        quantity=D(20),
        price=D("110.01"),
        executed_at=NOW,
        tech=NOW,
    )
    (alert,) = of_kind(list(stops.after_fill(state, fact, EVENT)), m.RaiseAlert)
    assert (alert.key, alert.text) == ("profit_taken", "AAA: profit taken at 110, 20 at 110.01 so far")
    assert list(stops.after_fill(state, replace(fact, intent=None), EVENT)) == []
    assert list(stops.after_fill(state, replace(fact, quantity=D(0)), EVENT)) == []


def test_what_is_unprotected_is_metered_by_the_name_of_what_is_held() -> None:
    """The contract's, or else the book's; without a rule nothing of it lacks a stop."""
    own = (("AAA", StopRule(fraction=D("0.05"))),)
    for instruments, symbols, lacks in (
        ({"AAA": AAA}, own, 60),
        ({}, own, 60),
        ({"AAA": AAA}, (), 0),
    ):
        state = resting(held=60, stop=None, stops_of_symbols=symbols)
        state.instruments, state.stop_levels = instruments, {}
        facts = of_kind(list(stops._metered(state, 1, EVENT)), m.ProtectionSet)
        assert [(fact.symbol, fact.unprotected) for fact in facts] == ([("AAA", D(lacks))] if lacks else [])
    state = resting(held=0)
    state.instruments, state.book, state.stop_levels = {}, {}, {}
    assert of_kind(list(stops._metered(state, 1, EVENT)), m.ProtectionSet) == []
