"""The breaker: what is rejected, cancelled or refused to us again and again is not sent again and again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.levels import HoldLimits
from longwatch.domain.order_life.breaker import BY_A_PERSON, CANCELLED, LONGEST_WAIT
from longwatch.domain.orders import OrderState, Purpose
from longwatch.journal.codec import recover
from tests.domain.play import Play, played
from tests.domain.world import CLOSE, MONDAY, SETTINGS, START, World, alerts, of_kind

D = Decimal
INTRADAY = replace(SETTINGS, max_orders_per_minute=1_000)


def rejected(world: World, intent: int, code: int = 201) -> list[str]:
    """The broker's rejection of an order just handed; the keys of the alerts it raised."""
    world.handed(intent)
    order_id = world.order(intent).order_id
    return alerts(world.hear(m.OrderErrorSeen, order_id=order_id, code=code, text="no permission", verdict="rejected"))


def cancelled(world: World, intent: int) -> list[str]:
    """A cancel that nobody of ours asked for."""
    world.acknowledge(intent)
    world.end(intent)
    return alerts(world.status(intent, "Cancelled", 0))


def wants(world: World, **weights: str) -> list[int]:
    world.wait(60)
    world.snapshot()
    return [order.intent for order in world.trade(**weights)]


def refusals(world: World) -> dict[str, str]:
    """Symbol -> the check that refused it last."""
    return {
        fact.symbol: fact.check for _, step in world.steps for fact in step.facts if isinstance(fact, m.TradeRefused)
    }


def said(world: World, command: str, argument: str = "") -> None:
    world.hear(m.ControlRequested, command=command, argument=argument, by="uid 1000", reason="as agreed")


def rejected_thrice() -> World:
    world = World.ready(INTRADAY)
    for _ in range(3):
        (intent,) = wants(world, AAA="0.1")
        rejected(world, intent)
    return world


def test_A23_the_third_rejection_opens_the_breaker_and_nothing_more_is_sent() -> None:
    """Same instrument, same code: the fourth is refused by name; the alert has quantity, reason and the next action."""
    world = World.ready(INTRADAY)
    heard = []
    for _ in range(3):
        (intent,) = wants(world, AAA="0.1")
        heard.append(rejected(world, intent))
    assert heard == [["order_rejected"], ["order_rejected"], ["breaker"]]
    assert wants(world, AAA="0.1") == []
    assert refusals(world) == {"AAA": "breaker"}

    told = [e.text for _, step in world.steps for e in of_kind(step.effects, m.RaiseAlert) if e.key == "breaker"]
    assert "BUY 100 AAA" in told[0] and "no permission" in told[0] and "3 times" in told[0]
    assert "`longwatch resume AAA`" in told[0]


def test_A23_another_instrument_and_another_code_are_not_held_against_it() -> None:
    """Two of one code and one of another open nothing; BBB trades while AAA is held."""
    world = World.ready(INTRADAY)
    for code in (201, 110, 201):
        (intent,) = wants(world, AAA="0.1")
        rejected(world, intent, code)
    assert len(wants(world, AAA="0.1")) == 1
    held = rejected_thrice()
    assert [held.order(intent).symbol for intent in wants(held, AAA="0.1", BBB="0.1")] == ["BBB"]


def test_A23_the_wait_doubles_with_every_further_time() -> None:
    """One order may try when it is over; rejected again, it waits twice as long, and never longer than a week."""
    world = rejected_thrice()
    endless = replace(INTRADAY, trading_hours_only=False, stale_sessions=9, holds=HoldLimits(rejections=None))
    waits = []
    for _ in range(12):
        (row,) = world.state.breakers.values()
        assert row.until is not None
        waits.append(row.until - row.strikes[-1])
        assert wants(world, AAA="0.1") == []
        world.now = row.until
        world.hear(m.ConfigLoaded, settings=endless, sha256="0ff")
        (intent,) = wants(world, AAA="0.1")
        world.now = row.until + timedelta(minutes=1)
        rejected(world, intent)
    hours = [wait / timedelta(hours=1) for wait in waits]
    assert hours == [min(2**n, LONGEST_WAIT / timedelta(hours=1)) for n in range(12)]


def test_A23_a_fill_ends_it() -> None:
    """The order that may try fills: nothing is counted any more."""
    world = rejected_thrice()
    world.wait(3_600)
    world.snapshot()
    (intent,) = wants(world, AAA="0.1")
    world.finish(intent)
    assert world.state.breakers == {}


def test_A23_a_late_fill_of_an_order_from_before_ends_nothing() -> None:
    """It says nothing of what the broker takes now."""
    world = World.ready(INTRADAY)
    (first,) = wants(world, AAA="0.1")
    world.acknowledge(first)
    for _ in range(3):
        (intent,) = wants(world, AAA="0.3")
        rejected(world, intent)
    world.fill(first, 100)
    assert [row.trips for row in world.state.breakers.values()] == [1]


def test_A23_strikes_further_apart_than_the_window_do_not_add_up() -> None:
    """Two today and one after the window open nothing."""
    world = World.ready(replace(INTRADAY, breaker_window_minutes=30))
    for seconds in (0, 0, 1_900):
        world.wait(seconds)
        world.snapshot()
        (intent,) = wants(world, AAA="0.1")
        rejected(world, intent)
    assert [row.trips for row in world.state.breakers.values()] == [0]


def test_A23_a_persons_word_ends_it() -> None:
    """`resume AAA`, and no other symbol; the verbs are left alone by it."""
    world = rejected_thrice()
    said(world, "pause")
    said(world, "resume", "BBB")
    assert len(world.state.breakers) == 1
    said(world, "resume", "AAA")
    assert world.state.breakers == {} and world.state.is_on(m.Verb.PAUSE)
    said(world, "resume", "all")
    assert not world.state.verbs
    assert len(wants(world, AAA="0.1")) == 1


def test_A23_the_breaker_outlives_the_process() -> None:
    """It is a fact: the fold of the journal holds it."""
    play = Play(settings=INTRADAY)
    played([], play)
    for _ in range(3):
        (intent,) = wants(play, AAA="0.1")
        rejected(play, intent)
    play.state = recover(play.records)
    play.queue.clear()
    assert wants(play, AAA="0.1") == []


@pytest.mark.parametrize(("purpose", "blocked"), [("entry", {"entry"}), ("reduce", {"entry", "reduce"})])
def test_A23_what_can_not_be_bought_can_be_sold_and_what_can_not_be_sold_is_not_added_to(
    purpose: str, blocked: set[str]
) -> None:
    """A breaker of entries lets reductions pass; one of reductions holds entries too."""
    world = World.ready(INTRADAY)
    world.finish(world.one(AAA="0.2"))
    weight = {"entry": "0.3", "reduce": "0.1"}
    for _ in range(3):
        (intent,) = wants(world, AAA=weight[purpose])
        rejected(world, intent)
    assert {other for other in weight if not wants(world, AAA=weight[other])} == blocked


# ── cancels that were not ours ──────────────────────────────────────────────────────────────────────────────────────


def test_A23_an_order_cancelled_at_the_broker_is_not_sent_again_in_its_session() -> None:
    """The next look leaves it; the next session's decision sends it anew."""
    world = World.ready()
    assert cancelled(world, world.one(AAA="0.1")) == ["order_cancelled"]
    assert wants(world, AAA="0.1") == []
    assert refusals(world) == {"AAA": "breaker"}
    (row,) = world.state.breakers.values()
    assert (row.reason, row.trips, row.until) == (CANCELLED, 0, CLOSE)
    world.now = MONDAY.open_at + timedelta(minutes=5)
    world.snapshot()
    assert of_kind(world.rebalance(session=MONDAY).effects, m.SubmitOrder)


def test_A23_what_a_person_cancels_by_command_is_not_sent_again_in_its_session() -> None:
    """`cancel all`: the next look leaves what was cancelled; a person's `resume AAA` allows it."""
    world = World.ready()
    for order in world.trade(AAA="0.1", BBB="0.1"):
        world.acknowledge(order.intent)
    said(world, "cancel", "all")
    for intent in (1, 2):
        world.end(intent)
        world.status(intent, "Cancelled", 0)
    assert {row.reason for row in world.state.breakers.values()} == {BY_A_PERSON}
    assert wants(world, AAA="0.1", BBB="0.1") == []
    said(world, "resume", "AAA")
    assert [world.order(intent).symbol for intent in wants(world, AAA="0.1", BBB="0.1")] == ["AAA"]


def test_a_cancel_of_our_own_and_an_expiry_hold_nothing() -> None:
    """The target turned, or the session ended: the next decision is free."""
    world = World.ready()
    first = world.one(AAA="0.1")
    world.acknowledge(first)
    world.trade(AAA="0")
    world.targets(AAA="0.1")
    held = World.ready()
    held.finish(held.one(AAA="0.2"))
    more = held.one(AAA="0.3")
    held.acknowledge(more)
    held.trade(AAA="0")
    assert held.order(more).cancel_asked
    held.end(more)
    held.status(more, "Cancelled", 0)
    assert held.state.breakers == {}
    late = World.ready()
    late.acknowledge(late.one(AAA="0.1"))
    late.now = CLOSE
    late.status(1, "Cancelled", 0)
    assert late.order(1).state is OrderState.EXPIRED and late.state.breakers == {}


# ── a flatten that the broker keeps refusing ────────────────────────────────────────────────────────────────────────


def flattening() -> World:
    world = World.ready(INTRADAY)
    world.finish(world.one(AAA="0.1"))
    said(world, "flatten")
    return world


def closing(world: World) -> int | None:
    """The closing order of a decision, or None."""
    made = of_kind(world.rebalance().effects, m.SubmitOrder)
    return made[0].order.intent if made else None


def test_A21_a_closing_order_that_is_cancelled_again_and_again_is_tried_a_bounded_number_of_times() -> None:
    """Each cancel asks for the next try, as a flatten is a person's word; the third opens the breaker and is told."""
    world = flattening()
    tries, heard = 0, []
    while (intent := closing(world)) is not None and tries < 20:
        tries += 1
        world.acknowledge(intent)
        world.end(intent)
        step = world.status(intent, "Cancelled", 0)
        heard.append(([e.reason for e in of_kind(step.effects, m.RunJob)], alerts(step)))
    again = (["flatten"], ["order_cancelled"])
    assert heard == [again, again, ([], ["breaker"])]
    world.wait(121)
    assert of_kind(world.snapshot().effects, m.RunJob) == []
    world.wait(3_600)
    assert [e.reason for e in of_kind(world.snapshot().effects, m.RunJob)] == ["flatten"]
    assert closing(world) is not None


def test_a_persons_resume_of_the_symbol_lets_a_flatten_go_on_at_once() -> None:
    """The breaker is lifted and the flatten asked for again."""
    world = flattening()
    for _ in range(3):
        intent = closing(world)
        assert intent is not None
        world.acknowledge(intent)
        world.end(intent)
        world.status(intent, "Cancelled", 0)
    step = world.hear(m.ControlRequested, command="resume", argument="AAA", by="uid 1000")
    assert [e.reason for e in of_kind(step.effects, m.RunJob)] == ["flatten"]
    assert world.state.is_on(m.Verb.FLATTEN)


def test_a_flatten_is_a_later_word_than_a_cancel() -> None:
    """The sell that a person cancelled is held for the session, but not from a flatten."""
    world = World.ready()
    world.finish(world.one(AAA="0.2"))
    less = world.one(AAA="0.1")
    world.acknowledge(less)
    said(world, "cancel", "AAA")
    world.end(less)
    world.status(less, "Cancelled", 0)
    assert wants(world, AAA="0.1") == []
    said(world, "flatten")
    assert closing(world) is not None


def test_a_protective_stop_is_never_held() -> None:
    """The breaker is about what the daemon wants, not about what protects it."""
    from longwatch.domain.order_life.breaker import held_by

    world = rejected_thrice()
    assert held_by(world.state, 1, Purpose.ENTRY, world.now) is not None
    assert held_by(world.state, 1, Purpose.STOP, world.now) is None


def test_the_breakers_times_are_market_times() -> None:
    """Technical time, which the demo keeps years apart, has no part in it."""
    world = World.ready(INTRADAY)
    (intent,) = wants(world, AAA="0.1")
    world.handed(intent)
    elsewhere = datetime(2000, 1, 1, tzinfo=START.tzinfo)
    world.hear(
        m.OrderErrorSeen,
        order_id=world.order(intent).order_id,
        code=201,
        text="no",
        verdict="rejected",
        tech=elsewhere,
    )
    assert [row.strikes for row in world.state.breakers.values()] == [(world.now,)]


def test_a_cancel_that_only_asked_whether_the_broker_has_the_order_holds_nothing() -> None:
    """It was there after all, and is gone by our own doing: told, and the next decision may order anew."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.handed(intent)
    world.wait(11)
    world.hear(m.TimeReached)
    steps = world.reconcile(rounds=3)
    assert sum(len(of_kind(step.effects, m.CancelOrder)) for step in steps)
    order = world.order(intent)
    assert order.probed and not order.cancel_asked
    world.open_order(intent, "PendingCancel")
    step = world.status(intent, "Cancelled")
    assert world.order(intent).state is OrderState.CANCELLED and not world.state.breakers
    (told,) = [effect.text for effect in of_kind(step.effects, m.RaiseAlert) if effect.key == "order_cancelled"]
    assert "our question" in told
    world.wait(1)
    world.snapshot()
    assert len(world.trade(AAA="0.1")) == 1


@pytest.mark.parametrize(("quantity", "then"), [("60", "0.1"), ("60", "0.05"), ("140", "0.1")])
def test_the_quantity_a_person_gives_an_order_is_left_as_it_is_for_the_session(quantity: str, then: str) -> None:
    """The rest is not ordered anew, the order is not withdrawn for a smaller target, nor its surplus sold."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    world.wait(1)
    argument = f"{intent} {quantity} - -"
    world.hear(m.ControlRequested, command="modify", argument=argument, by="uid 1000", quotes=world.quotes())
    world.hear(m.OrderHanded, intent=intent, change=1)
    world.open_order(intent, quantity=D(quantity))
    assert world.order(intent).quantity == D(quantity)
    for _ in range(2):
        step = world.trade(AAA=then) or world.steps[-1][1]
        (refused,) = of_kind(step.facts, m.TradeRefused)  # type: ignore[union-attr]
        assert refused.check == "breaker" and "changed by a person" in refused.text
        assert not world.order(intent).cancel_asked
        world.wait(1)
    world.fill(intent, int(quantity))
    world.end(intent)
    assert world.trade(AAA=then) == []
    # A further word on the same order was not held back by the first, and resume ends it.
    world.hear(m.ControlRequested, command="resume", argument="AAA", by="uid 1000")
    assert len(world.trade(AAA="0.3")) == 1


def test_a_price_that_a_person_changes_holds_nothing() -> None:
    """Only a quantity says how much is wanted."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    world.hear(m.ControlRequested, command="modify", argument=f"{intent} - 99 -", by="uid 1000", quotes=world.quotes())
    assert world.order(intent).change is not None and not world.state.breakers


def test_a_person_may_change_a_quantity_again_and_flatten_ends_it_all() -> None:
    """Their own first word does not bind them."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    for number, quantity in enumerate(("60", "80"), 1):
        world.wait(1)
        argument = f"{intent} {quantity} - -"
        world.hear(m.ControlRequested, command="modify", argument=argument, by="uid 1000", quotes=world.quotes())
        world.hear(m.OrderHanded, intent=intent, change=number)
        world.open_order(intent, quantity=D(quantity))
        assert world.order(intent).quantity == D(quantity)
    world.hear(m.ControlRequested, command="flatten", by="uid 1000")
    assert world.order(intent).cancel_asked


@pytest.mark.parametrize("severity", ["warning", "critical"])
def test_a_rejection_is_told_as_severely_as_its_code_says(severity: str) -> None:
    """A missing permission ends every further order the same way; a bad price does not."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.handed(intent)
    row = {"order_id": world.order(intent).order_id, "code": 460, "text": "no", "verdict": "rejected"}
    step = world.hear(m.OrderErrorSeen, severity=severity, **row)
    (told,) = [effect for effect in of_kind(step.effects, m.RaiseAlert) if effect.key == "order_rejected"]
    assert told.severity == severity
