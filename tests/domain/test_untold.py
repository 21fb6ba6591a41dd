"""A stop that works on though its status tells of shares that no execution does: these are given up in the end."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.domain.order_life import resolution
from longwatch.domain.orders import Order, OrderState, Purpose
from longwatch.domain.reconciliation.busts import give_up
from longwatch.domain.safeguards.protection import protected
from tests.domain.test_protection import changes, confirmed, ended, holding, sent
from tests.domain.world import CLOSE, MONDAY, OPEN, World, alerts, execution, of_kind

D = Decimal


def untold() -> tuple[World, Order]:
    """A stop for 200 of AAA whose status tells of 50, which no execution and no position shows."""
    world, stop = holding()
    world.costs[1] = D(100)
    world.reconcile()
    world.status(stop.intent, "Submitted", 50)
    world.reconcile(3)
    return world, world.order(stop.intent)


def until(world: World, at: object) -> list[Step]:
    """Readings at a time of the market, as ready as can be."""
    world.now = at  # type: ignore[assignment]
    first = world.snapshot()
    return [first, world.hear(m.ClockSeen, skew_seconds=0.1), *world.reconcile(3)]


def resolve(world: World, argument: str) -> Step:
    return world.hear(m.ControlRequested, command="resolve", argument=argument, by="uid 1000", reason="the statement")


def test_while_the_session_lasts_an_execution_may_still_come() -> None:
    """Nothing is changed, and nothing sent beside it."""
    world, stop = untold()
    assert (stop.reported, stop.told, stop.change) == (50, 0, None)
    world.targets(AAA="0")
    step = world.rebalance()
    assert [one.check for one in of_kind(step.facts, m.TradeRefused)] == ["opposite_order"]
    assert not of_kind(step.effects, m.CancelOrder)


def test_after_the_session_the_part_is_given_up_and_the_stop_gets_its_size() -> None:
    """Once, and a person is told: the broker goes on counting it, so the new quantity does too."""
    world, stop = untold()
    steps = until(world, CLOSE + timedelta(minutes=5))
    assert [key for one in steps for key in alerts(one)].count("fill_taken_back") == 1
    order = world.order(stop.intent)
    assert (order.state, order.filled, order.taken_back, order.reported) == (OrderState.WORKING, 0, 50, 50)
    assert world.state.held(1) == 200
    (asked,) = [row for _, one in world.steps for row in changes(one)][-1:]
    assert asked.change.quantity == 250
    (step,) = [one for _, one in world.steps if asked in one.facts]
    confirmed(world, step)
    assert protected(world.state, 1) == 200
    assert 1 not in world.state.unprotected


@pytest.mark.parametrize(
    ("at", "is_given_up"),
    [
        (CLOSE - timedelta(seconds=30), False),
        (CLOSE + timedelta(seconds=60), False),
        (CLOSE + timedelta(seconds=61), True),
        (MONDAY.open_at - timedelta(seconds=1), True),
        (MONDAY.open_at, False),
    ],
    ids=["before the close", "a minute after it", "later", "before the open", "at the open"],
)
def test_what_rests_waits_for_executions_while_a_session_is_open_and_a_minute_longer(
    at: datetime, is_given_up: bool
) -> None:
    """They may come until then, in any session there is."""
    world, stop = untold()
    world.now = at - timedelta(seconds=1)
    assert ("fill_taken_back" in alerts(world.snapshot())) is is_given_up
    assert world.order(stop.intent).taken_back == (50 if is_given_up else 0)


@pytest.mark.parametrize("told", [0, 20])
def test_what_is_given_up_is_told_with_all_that_a_person_has_to_look_for(told: int) -> None:
    """Of which order how much, of what was told; what executions have told of is not given up."""
    world, stop = holding()
    world.costs[1] = D(100)
    world.reconcile()
    if told:
        world.fill(stop.intent, told, "95")
    world.status(stop.intent, "Submitted", 50)
    world.reconcile(3)
    steps = until(world, CLOSE + timedelta(minutes=5))
    (alert,) = [one for step in steps for one in of_kind(step.effects, m.RaiseAlert) if one.key == "fill_taken_back"]
    assert alert.severity == "critical"
    assert alert.text == (
        f"SELL 200 AAA ({stop.ref}) works on, told to have filled 50, of which {50 - told} are taken as never filled: "
        "neither the day's executions nor the account show them; see the broker's statement"
    )
    order = world.order(stop.intent)
    assert (order.filled, order.taken_back, world.state.held(1)) == (told, 50 - told, 200 - told)


@pytest.mark.parametrize(("is_stop", "price"), [(True, "95.00"), (False, "100.20")])
def test_what_is_given_up_is_noted_at_the_price_that_it_would_have_had(is_stop: bool, price: str) -> None:
    """That of the stop, or of the decision where there is none."""
    world, stop = holding()
    order = stop if is_stop else world.order(1)
    assert (order.stop_price is None) != is_stop
    why, untold_ = "so it was found", replace(order, decision_price=D("100.20"), reported=order.told + 5)
    noted, alert = give_up(world.state, untold_, why, world.now, world.now)
    assert isinstance(noted, m.FillBooked) and isinstance(alert, m.RaiseAlert)
    assert (noted.price, noted.quantity, noted.taken_back) == (D(price), 0, 5)


def test_the_exit_then_has_the_stop_cancelled_first_and_leaves_once_that_has_ended() -> None:
    """Never beside it: of a stop that was told to have traded nobody knows what it does. The next one it may join."""
    world, stop = untold()
    resolve(world, f"{stop.intent} unfilled")
    world.targets(AAA="0")
    step = world.rebalance()
    assert [one.intent for one in of_kind(step.effects, m.CancelOrder)] == [stop.intent]
    assert not sent(step, Purpose.REDUCE)
    (next_one,) = sent(ended(world, stop.intent))
    world.handed(next_one.intent)
    world.acknowledge(next_one.intent)
    world.reconcile()
    (exit_,) = sent(world.rebalance(), Purpose.REDUCE)
    assert (exit_.quantity, exit_.oca_group) == (200, next_one.oca_group)
    assert {one.intent for one in world.state.live_orders()} == {next_one.intent, exit_.intent}


@pytest.mark.parametrize("parts", [(50,), (20, 30)], ids=str)
def test_an_execution_that_comes_after_all_is_booked_and_counts_once(parts: tuple[int, ...]) -> None:
    """Its shares leave the book, and the stop becomes as large as what is left."""
    world, stop = untold()
    until(world, CLOSE + timedelta(minutes=5))
    made_at = OPEN + timedelta(minutes=1)
    for number, part in enumerate(parts):
        late = execution(world.order(stop.intent), world.now, f"late.{number}.01", part, "95")
        world.take(m.ExecutionSeen(**{**_fields(late), "executed_at": made_at}))
    order = world.order(stop.intent)
    assert (order.filled, order.taken_back, order.told, order.reported) == (50, 0, 50, 50)
    assert world.state.held(1) == 150


@pytest.mark.parametrize(("later", "taken_back"), [(timedelta(0), 0), (timedelta(microseconds=1), 50)])
def test_an_execution_of_the_very_instant_may_be_what_was_given_up(later: timedelta, taken_back: int) -> None:
    """Later than that instant it is another one."""
    world, stop = untold()
    resolve(world, f"{stop.intent} unfilled")
    late = execution(world.order(stop.intent), world.now, "late.1.01", 50, "95")
    world.take(replace(late, executed_at=world.now + later))
    assert world.order(stop.intent).taken_back == taken_back and world.state.held(1) == 150


def test_an_execution_made_after_that_is_another_one() -> None:
    """What was given up stays so."""
    world, stop = untold()
    until(world, CLOSE + timedelta(minutes=5))
    world.fill(stop.intent, 30, "95")
    order = world.order(stop.intent)
    assert (order.filled, order.taken_back, order.told) == (30, 50, 80)


def test_nothing_is_given_up_where_the_account_shows_it() -> None:
    """The execution is due: a difference is looked into as any."""
    world, stop = untold()
    world.positions[1] = D(150)
    until(world, CLOSE + timedelta(minutes=5))
    assert world.order(stop.intent).taken_back == 0


def test_a_person_may_say_so_sooner() -> None:
    """In the session: the part never filled; the order works on, and whatever it does contradicts nobody."""
    world, stop = untold()
    step = resolve(world, f"{stop.intent} unfilled")
    said = {"by": "uid 1000", "reason": "the statement"}
    assert of_kind(step.facts, m.OrderResolved) == [
        m.OrderResolved(intent=stop.intent, outcome="unfilled", quantity=D(0), price=D(0), **said)
    ]
    (alert,) = (one for one in of_kind(step.effects, m.RaiseAlert) if one.key == "fill_taken_back")
    assert alert.text.endswith("of which 50 are taken as never filled: uid 1000: the statement")
    (asked,) = of_kind(step.effects, m.RequestSnapshot)
    assert asked.reason == f"order {stop.ref} was resolved"
    assert world.order(stop.intent).taken_back == 50
    steps = world.reconcile(2)
    assert [row.change.quantity for one in (step, *steps) for row in changes(one)] == [250]
    world.status(stop.intent, "Submitted", 50)
    ended(world, stop.intent)
    assert world.order(stop.intent).state is OrderState.CANCELLED
    assert not world.state.quarantines


def test_what_executions_have_told_of_is_not_said_to_be_unfilled() -> None:
    """Of 50 that the status tells of, 20 were heard."""
    world, stop = holding()
    world.fill(stop.intent, 20, "95")
    world.status(stop.intent, "Submitted", 50)
    assert "say unfilled if 30 that" in str(resolution.said(world.state, f"{stop.intent} cancelled"))


def test_what_can_be_said_of_an_order_that_works_on() -> None:
    """Only that, without figures, and of no other order."""
    world, stop = untold()
    said = resolution.said
    for outcome in ("filled", "cancelled", "rejected", "absent"):
        assert "works on: say unfilled if 50" in str(said(world.state, f"{stop.intent} {outcome}"))
    for figures in ("50 95", "50", "- 95"):
        assert "leave quantity and price away" in str(said(world.state, f"{stop.intent} unfilled {figures}"))
    assert not isinstance(said(world.state, f"{stop.intent} unfilled - -"), str)
    resolve(world, f"{stop.intent} unfilled")
    assert "only an order whose outcome is unknown" in str(said(world.state, f"{stop.intent} unfilled"))
    world.status(stop.intent, "Inactive")
    assert "does not work on" in str(said(world.state, f"{stop.intent} unfilled"))


def _fields(event: m.ExecutionSeen) -> dict[str, object]:
    return {name: getattr(event, name) for name in event.__dataclass_fields__}
