"""A stop that is good stays: beside an exit of unknown outcome, after a bust, and for the next holding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from longwatch.config.schema import Settings, StrategySettings
from longwatch.config.trade import trade_settings
from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.domain.orders import OrderState, Purpose
from longwatch.domain.settings import StopRule
from longwatch.domain.state import State, evolve, fingerprint
from tests.domain.test_protection import FIXED, changes, confirmed, ended, holding, sent, works
from tests.domain.world import ACCOUNT, CLIENT, SETTINGS, YESTERDAY, World, alerts, execution, judged, of_kind, perm_id

D = Decimal


def test_a_stop_stays_as_it_is_beside_an_exit_of_unknown_outcome() -> None:
    """They are of one group: what the exit fills, the broker takes from the stop; it is no reason to cancel it."""
    world, stop = holding()
    (sale,) = [one for one in world.trade(AAA="0") if one.purpose is Purpose.REDUCE]
    world.acknowledge(sale.intent)
    world.hear(m.LinkLost, reason="reset by peer")
    world.open_orders.discard(perm_id(sale.intent))
    world.wait(5)
    world.connect()
    shown = world.open_order(stop.intent, "PreSubmitted")
    steps = [shown, *world.reconcile(3)]
    assert world.order(sale.intent).state is OrderState.UNKNOWN
    for step in steps:
        assert stop.intent not in [one.intent for one in of_kind(step.effects, m.CancelOrder)]
        assert changes(step) == []
    assert not world.order(stop.intent).cancel_asked


def test_a_fill_of_a_working_stop_that_is_taken_back_is_covered_again() -> None:
    """At the broker the busted shares are not open again: the stop has to be for so many more."""
    world, stop = holding()
    world.fill(stop.intent, 120, "94.90", exec_id="0005.01")
    world.status(stop.intent, "Submitted", 120)
    world.moved("AAA")
    world.executions.remove("0005.01")
    world.positions[1] += 120
    steps = world.reconcile(2)
    assert world.state.held(1) == 200
    steps = [*steps, *world.reconcile(1)]
    (step,) = [step for step in steps if changes(step)]
    assert changes(step)[0].change.quantity == D(320)
    confirmed(world, step)
    world.reconcile(1)
    row = world.state.unprotected.get(1)
    assert row is None or not row.unprotected
    assert changes(world.steps[-1][1]) == []


def doubted() -> tuple[World, int, int]:
    """200 AAA behind a stop, of which the account shows 150 in one reading; an order for BBB has just been handed over.

    With that order's intent and the stop's.
    """
    world, stop = holding()
    world.positions[1] = D(150)
    world.reconcile()
    intent = world.one(AAA="0.2", BBB="0.1")
    world.handed(intent)
    world.wait(SETTINGS.acknowledge_seconds + 1)
    return world, intent, stop.intent


ANSWERS: dict[str, Callable[[World, int], Step]] = {
    "is not there": lambda world, intent: world.hear(
        m.OrderErrorSeen, order_id=world.order(intent).order_id, code=10147, text="not found", verdict="not found"
    ),
    "is there": lambda world, intent: world.open_order(intent),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_stop_too_large_is_made_smaller_once_the_gateway_has_answered_for_another_order(answer: str) -> None:
    """The reading that quarantines finds the gateway silent on BBB: nothing leaves; its word on that opens the gate.

    The next reading may be half a minute off, and the stop would sell more than is held until then (seed 119, 20 days).
    """
    world, intent, stop = doubted()
    world.hear(m.TimeReached)
    assert world.order(intent).state is OrderState.UNKNOWN
    assert changes(world.snapshot()) == [] and set(world.state.quarantines) == {1}
    (change,) = changes(ANSWERS[answer](world, intent))
    assert (change.intent, change.change.quantity) == (stop, D(150))


def test_a_stop_too_large_is_made_smaller_once_the_clocks_agree() -> None:
    """Nothing left while they did not; what opens the gate is no reading and no word on the stop."""
    world, intent, stop = doubted()
    world.acknowledge(intent)
    world.hear(m.ClockSeen, skew_seconds=60.0)
    assert changes(world.snapshot()) == [] and set(world.state.quarantines) == {1}
    (change,) = changes(world.hear(m.ClockSeen, skew_seconds=0.1))
    assert (change.intent, change.change.quantity) == (stop, D(150))


def test_a_refused_stop_is_not_placed_again_by_its_refusal() -> None:
    """Nothing but a reading does, or time: the gate was open all the while."""
    world = World.ready(FIXED)
    intent = world.one(AAA="0.2")
    world.acknowledge(intent)
    (stop,) = sent(world.fill(intent, 200))
    world.handed(stop.intent)
    row = {"order_id": world.order(stop.intent).order_id, "code": 201, "text": "rejected", "verdict": "rejected"}
    assert sent(world.hear(m.OrderErrorSeen, **row)) == []


def test_a_persons_cancel_of_a_stop_is_about_that_holding_alone() -> None:
    """What is bought again in the same session, after all was sold, has its stop."""
    world, stop = holding()
    world.hear(m.ControlRequested, command="cancel", argument=str(stop.intent), by="uid 1000")
    ended(world, stop.intent)
    (sale,) = [one for one in world.trade(AAA="0") if one.purpose is Purpose.REDUCE]
    world.finish(sale.intent)
    world.moved("AAA")
    (entry,) = [one for one in world.trade(AAA="0.2") if one.purpose is Purpose.ENTRY]
    world.acknowledge(entry.intent)
    steps = [world.fill(entry.intent, int(entry.quantity))]
    world.end(entry.intent)
    steps += [world.status(entry.intent, "Filled"), world.moved("AAA"), *world.reconcile(2)]
    (again,) = [order for step in steps for order in sent(step)]
    assert again.quantity == entry.quantity
    works(world, again.intent)


OF_ITS_STRATEGY = replace(SETTINGS, stops_of_strategies=(("trend", StopRule(fraction=D("0.05"))),))


def test_a_holding_that_its_strategy_does_not_name_any_more_keeps_its_stop() -> None:
    """It is held no less than before; once no strategy has a rule the stop goes, and says why."""
    world, stop = holding(OF_ITS_STRATEGY)
    world.targets(BBB="0.1")
    world.reconcile(2)
    assert world.state.held(1) == 200
    assert not world.order(stop.intent).cancel_asked and world.state.stop_levels[1].level == stop.stop_price
    again = ended(world, stop.intent)
    assert [order.stop_price for step in (again, world.snapshot()) for order in sent(step)] == [stop.stop_price]
    world, stop = holding(OF_ITS_STRATEGY)
    world.hear(m.ConfigLoaded, settings=SETTINGS, sha256="2")
    assert world.order(stop.intent).cancel_reason == "no rule asks for a stop any more"


def test_the_rule_of_a_disabled_strategy_holds_for_what_it_has_bought() -> None:
    """Disabling sells nothing, so it takes no stop away either."""
    own = StrategySettings.model_validate(
        {"name": "trend", "path": "s.py:S", "allocation": "0.5", "enabled": False, "stop": {"fraction": "0.05"}}
    )
    ((name, rule),) = trade_settings(Settings(strategies=(own,)), ()).stops_of_strategies
    assert (name, rule.fraction) == ("trend", D("0.05"))


@pytest.mark.parametrize(
    "shown",
    [{"order_type": "TRAIL", "stop_price": D(5)}, {"order_type": "LMT", "limit_price": D(110), "stop_price": None}],
)
def test_a_stop_that_somebody_has_made_an_order_of_another_type_protects_nothing(shown: dict[str, Any]) -> None:
    """The amount a TRAIL trails by is no level; whose order it is now is told once, and it is left alone."""
    world, stop = holding()
    steps = []
    for _ in range(4):
        steps += [world.open_order(stop.intent, "PreSubmitted", **shown), *world.reconcile(1)]
    assert [key for step in steps for key in alerts(step)].count("order_changed_elsewhere") == 1
    assert all(changes(step) == [] and sent(step) == [] for step in steps)
    assert world.state.stop_levels[1].level == stop.stop_price
    assert world.state.unprotected[1].unprotected == D(200)
    assert "unprotected" in [key for step in steps for key in alerts(step)]
    world.open_order(stop.intent, "PreSubmitted", order_type="STP", limit_price=None, stop_price=D(90))
    assert world.state.stop_levels[1].level == D(90)


@pytest.mark.parametrize("quantity", [200, 150])
def test_a_stop_shown_without_its_price_is_behind_the_price_it_had(quantity: int) -> None:
    """A gateway may leave the figure unset: the order is there all the same, and looked after (seed 174, 20 days)."""
    world, stop = holding()
    shown = world.open_order(stop.intent, "PreSubmitted", stop_price=None, quantity=D(quantity))
    assert world.order(stop.intent).terms == (D(quantity), None, stop.stop_price)
    assert ("order_changed_elsewhere" in alerts(shown)) is (quantity != 200)
    row = world.state.unprotected.get(1)
    assert (row.unprotected if row else D(0)) == 200 - quantity
    if quantity == 200:
        (entry,) = [one for one in world.trade(AAA="0.4") if one.purpose is Purpose.ENTRY]
        world.acknowledge(entry.intent)
        shown = world.fill(entry.intent, 100)
    (asked,) = changes(shown)
    assert asked.change.terms == (world.state.held(1), None, world.state.stop_levels[1].level)


@pytest.mark.parametrize(("shown", "is_in_force"), [(300, True), (200, False)])
def test_new_terms_shown_without_their_price_are_known_by_their_quantity(shown: int, is_in_force: bool) -> None:
    """What has the quantity asked for has the price asked for; the former quantity says nothing, as it does whole."""
    world, stop = holding()
    (entry,) = [one for one in world.trade(AAA="0.4") if one.purpose is Purpose.ENTRY]
    world.acknowledge(entry.intent)
    (asked,) = changes(world.fill(entry.intent, 100, "110"))
    assert asked.change.stop_price != stop.stop_price
    world.hear(m.OrderHanded, intent=stop.intent, change=asked.change.number)
    step = world.open_order(stop.intent, "PreSubmitted", stop_price=None, quantity=D(shown))
    order = world.order(stop.intent)
    assert order.terms == (asked.change.terms if is_in_force else stop.terms)
    assert (order.change is None) is is_in_force and alerts(step) == []


@pytest.mark.parametrize("is_there", [False, True])
def test_a_fill_told_only_after_a_reading_that_should_show_it_has_its_stop_once_a_reading_does(is_there: bool) -> None:
    """Told after minutes of silence it may have been taken back meanwhile: a stop would sell what is not held."""
    world = World.ready(FIXED)
    intent = world.one(AAA="0.2")
    world.acknowledge(intent)
    executed = world.now
    world.wait(120)
    world.snapshot()
    world.wait(30)
    late = replace(execution(world.order(intent), world.now, "0007.01", 200, "100"), executed_at=executed)
    step = world.take(late)
    assert sent(step) == []
    assert [one.reason for one in of_kind(step.effects, m.RequestSnapshot)]
    assert world.state.unprotected[1].unprotected == D(200)
    if is_there:
        world.executions.append("0007.01")
        world.positions[1] = D(200)
    stops = sent(world.snapshot())
    assert [one.quantity for one in stops] == ([D(200)] if is_there else [])


def test_a_fill_told_at_once_needs_no_reading_for_its_stop() -> None:
    """Nor does a late one that the account has shown since."""
    world = World.ready(FIXED)
    intent = world.one(AAA="0.2")
    world.acknowledge(intent)
    executed = world.now
    world.wait(120)
    world.snapshot()
    assert len(sent(world.fill(intent, 50))) == 1
    world = World.ready(FIXED)
    intent = world.one(AAA="0.2")
    world.acknowledge(intent)
    world.wait(120)
    world.snapshot()
    world.positions[1] = D(200)
    world.moved("AAA")
    late = replace(execution(world.order(intent), world.now, "0007.01", 200, "100"), executed_at=executed)
    assert [one.quantity for one in sent(world.take(late))] == [D(200)]


def test_what_lost_its_stop_while_a_connection_was_read_is_looked_at_once_that_is_ready() -> None:
    """Told in the download that an exit of the group has sold: it ends before its fill's time is over (seed 115)."""
    world, stop = holding()
    (sale,) = [one for one in world.trade(AAA="0.1") if one.purpose is Purpose.REDUCE]
    world.acknowledge(sale.intent)
    world.hear(m.LinkLost, reason="reset by peer")
    world.hear(m.LinkOpening, attempt=1)
    world.hear(m.LinkUp, client_id=CLIENT, next_order_id=world.next_order_id(), accounts=(ACCOUNT,), server_version=176)
    world.hear(m.FarmSeen, farm="usfarm", up=True)
    world.fill(sale.intent, 80)
    world.open_order(stop.intent, "PreSubmitted", quantity=D(100))
    world.open_order(sale.intent, "Submitted")
    world.snapshot(reason="sync")
    assert world.state.link is m.Link.READY and world.state.unprotected[1].unprotected == D(20)
    world.wait(3)
    world.end(sale.intent)
    assert changes(world.status(sale.intent, "Cancelled", 80)) == []
    due = world.state.unprotected[1].look_at
    assert due is not None
    world.wait((due - world.now).total_seconds())
    step = world.hear(m.TimeReached)
    assert [one.change.quantity for one in changes(step)] == [D(120)]


def test_what_a_person_says_of_a_difference_is_followed_by_a_reading_and_that_by_the_whole_stop() -> None:
    """Until a comparison has found nothing any more, the shares that differed are in doubt (seed 115)."""
    world, stop = holding()
    world.positions[1] += 30
    world.reconcile(2)
    world.hear(m.ControlRequested, command="unquarantine", argument="AAA", by="uid 1000")
    world.reconcile(1)
    world.positions[1] -= 10
    (smaller,) = [step for step in world.reconcile(2) if changes(step)]
    assert changes(smaller)[0].change.quantity == D(190)
    confirmed(world, smaller)
    step = world.hear(m.ControlRequested, command="unquarantine", argument="AAA", by="uid 1000")
    assert world.state.outside[1] == ("AAA", D(20)) and not world.state.quarantines
    assert changes(step) == [] and of_kind(step.effects, m.RequestSnapshot)
    (step,) = world.reconcile(1)
    assert [one.change.quantity for one in changes(step)] == [D(200)]
    assert stop.intent == changes(step)[0].intent


def test_a_history_that_could_not_be_had_leaves_the_stop_where_it_is_also_after_a_restart() -> None:
    """The ratchet would keep for good what stood in for the average true range for one day."""
    world, stop = holding(replace(SETTINGS, stop=StopRule(fraction=D("0.05"), atr_multiple=D(3))))
    world.reconcile()
    assert world.state.stop_levels[1].level == D(94)
    failed = (
        replace(judged("AAA"), bars=0, close=None, last_session=None, atr=None, flaws=("no history within 30 s",)),
    )
    steps = [world.hear(m.DataRefreshed, run_id="refresh@3", session=YESTERDAY.date, judged=failed)]
    world.state = folded(world)
    steps += [world.hear(m.DataRefreshed, run_id="refresh@3", session=YESTERDAY.date, judged=failed)]
    steps += [*world.reconcile(2), world.fetched()]
    assert [one for step in steps for one in changes(step)] == []
    assert world.state.stop_levels[1].level == world.order(stop.intent).stop_price == D(94)


def folded(world: World) -> State:
    """The state that the facts so far come to, as it is read after a restart."""
    state = State()
    for _, step in world.steps:
        for fact in step.facts:
            evolve(state, fact)
    assert fingerprint(state) == fingerprint(world.state)
    return state
