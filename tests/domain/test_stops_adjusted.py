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
from longwatch.domain.safeguards import stop_levels, stops
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
    return list(stops._adjusted(state, AAA, D(held), EVENT))


def asked_to_go(facts: list[Any]) -> dict[int, str]:
    return {fact.intent: fact.reason for fact in of_kind(facts, m.OrderCancelAsked)}


# ── what stands ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_of_several_stops_the_largest_is_kept() -> None:
    """The others go first; the one kept is given its size when they are gone."""
    state = resting(stop(1, 20), stop(2, 50), stop(3, 30), held=60)
    facts = adjusted(state)
    why = "another stop rests for these shares"
    assert asked_to_go(facts) == {1: why, 3: why}
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
    facts = adjusted(resting(stop(1, 60, side=Side.BUY), stop(2, 50)))
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
    for others in ((), (stop(2, 50),)):
        facts = adjusted(resting(stop(1, 60, **fields), *others))
        assert facts == []
    assert adjusted(resting(stop(1, 60, **fields), held=0), 0) == []


@pytest.mark.parametrize(("held", "side"), [(60, Side.SELL), (-60, Side.BUY), (1, Side.SELL), (-1, Side.BUY)])
def test_without_any_one_is_placed_on_the_side_that_closes(held: int, side: Side) -> None:
    """For all that is held, if the daemon is ready."""
    state = resting(held=held)
    ready_as(state)
    first = next(iter(stops._adjusted(state, AAA, D(held), EVENT)))
    assert isinstance(first, m.OrderIntended)
    assert (first.order.side, first.order.quantity) == (side, abs(held))


def ready_as(state: State) -> None:
    """All the certificate asks for."""
    world, _ = holding(FIXED)
    for name in ("link", "valued", "clock", "compared", "client_id", "next_id", "journal_id", "account", "mode"):
        setattr(state, name, getattr(world.state, name))
    state.settings = replace(state.settings, universe=(), account_age_seconds=1e9)
    state.compared = replace(state.compared, differences=()) if state.compared else None


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
        assert stops.ends_by_itself(state, pair[0], NOW) is not goes
        assert not stops.ends_by_itself(state, pair[1], NOW)
        assert (2 in asked_to_go(adjusted(state))) is True
        state.fills["1"] = replace(state.fills["1"], intent=9)
        assert not stops.ends_by_itself(state, pair[0], NOW)


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
    assert stops.known_held(state, 1) == found
    assert stops.known_held(state, 2) == 0


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
    assert stops.overtaken(state, mine) == why
