"""A question that the broker rejects counts like a rejected order: by the breaker, in the row, in the order rate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.domain.levels import HoldLimits
from longwatch.domain.orders import Evidence, OrderState
from longwatch.domain.risk.permits import sent_lately
from longwatch.domain.state import fingerprint
from longwatch.journal.codec import encode, recover
from tests.domain.test_what_if import ASKS, answer, asking, late, refused
from tests.domain.world import START, World, alerts, of_kind

D = Decimal
OFF = HoldLimits(daily_loss=None, rejections=None)
ROW = replace(ASKS, holds=replace(OFF, rejections=3))


def asked_of(step: Step) -> list[str]:
    return [one.order.symbol for one in of_kind(step.effects, m.RequestWhatIf)]


def questions(world: World, **weights: str) -> list[m.RequestWhatIf]:
    world.wait(1)
    world.targets(**weights)
    return of_kind(world.rebalance().effects, m.RequestWhatIf)


def rejects(world: World, asked: m.RequestWhatIf, code: int = 201, verdict: str = "rejected") -> Step:
    row = {"order_id": asked.order.order_id, "code": code, "text": "no", "verdict": verdict}
    return world.hear(m.OrderErrorSeen, **row, meaning=verdict)


def held(world: World) -> set[tuple[str, str]]:
    return {(hold.rule, hold.grade.value) for hold in world.state.holds.values()}


def test_questions_rejected_in_a_row_halt_the_account() -> None:
    """Whatever the instrument; a person's word begins the row anew."""
    world = World.ready(replace(ROW, breaker_strikes=9))
    for number, symbol in enumerate(("AAA", "BBB", "CCC"), 1):
        (asked,) = questions(world, **{symbol: "0.1"})
        step = rejects(world, asked)
        order = world.order(asked.order.intent)
        assert (order.state, order.evidence) == (OrderState.UNSENT, Evidence.QUESTION_REJECTED.value)
        assert held(world) == ({("rejections", "halted")} if number == 3 else set())
        assert ("hold" in alerts(step)) is (number == 3)
    assert questions(world, AAA="0.1") == []
    world.hear(m.ControlRequested, command="resume", by="uid 1000")
    (asked,) = questions(world, AAA="0.1")
    rejects(world, asked)
    assert held(world) == set()


def test_rejected_orders_and_questions_are_one_row_and_what_the_broker_takes_ends_it() -> None:
    """An order that lives between them; an answer of figures is none."""
    world = World.ready(replace(ROW, breaker_strikes=9))
    for _ in range(2):
        (asked,) = questions(world, AAA="0.1")
        rejects(world, asked)
    (asked,) = questions(world, BBB="0.1")
    answer(world, asked)
    world.finish(asked.order.intent)
    (asked,) = questions(world, AAA="0.1", BBB="0.1")
    rejects(world, asked)
    assert held(world) == set()
    (asked,) = questions(world, AAA="0.1", BBB="0.1")
    answer(world, asked)
    world.handed(asked.order.intent)
    order_id = world.order(asked.order.intent).order_id
    world.hear(m.OrderErrorSeen, order_id=order_id, code=201, text="no", verdict="rejected")
    assert held(world) == set()
    (asked,) = questions(world, AAA="0.1", BBB="0.1")
    rejects(world, asked)
    assert held(world) == {("rejections", "halted")}


def test_the_breaker_of_its_instrument_opens() -> None:
    """By the code of the refusal, as rejected orders do; nothing more is asked of it until its wait is over."""
    world = World.ready(replace(ASKS, holds=OFF))
    for number in range(1, 4):
        (asked,) = questions(world, AAA="0.1")
        step = rejects(world, asked)
        assert ("breaker" if number == 3 else "order_rejected") in alerts(step)
        assert of_kind(step.effects, m.RunJob) == []
    (row,) = world.state.breakers.values()
    assert (row.reason, len(row.strikes), row.trips) == ("rejected (201)", 3, 1)
    world.wait(1)
    world.targets(AAA="0.1")
    step = world.rebalance()
    assert (asked_of(step), [check for check, *_ in refused(step)]) == ([], ["breaker"])
    world.targets(BBB="0.1")
    assert asked_of(world.rebalance()) == ["BBB"]


def unanswered(world: World, asked: m.RequestWhatIf) -> Step:
    return late(world)


def withheld(world: World, asked: m.RequestWhatIf) -> Step:
    return world.hear(m.OrderWithheld, intent=asked.order.intent, reason="no link")


def too_much(world: World, asked: m.RequestWhatIf) -> Step:
    return answer(world, asked, initial_margin=D(100_001))


def taken_back(world: World, asked: m.RequestWhatIf) -> Step:
    return world.hear(m.ControlRequested, command="cancel", argument="AAA", by="uid 1000")


def unclear(world: World, asked: m.RequestWhatIf) -> Step:
    step = rejects(world, asked, code=399, verdict="notice")
    assert world.order(asked.order.intent).state is OrderState.INTENDED
    late(world)
    return step


@pytest.mark.parametrize("ends", [unanswered, withheld, too_much, unclear])
def test_what_is_no_rejection_by_the_brokers_word_counts_for_none(
    ends: Callable[[World, m.RequestWhatIf], Step],
) -> None:
    """A time-out, a question that never left, figures that our own check refuses, another code."""
    world = World.ready(replace(ROW, holds=replace(OFF, rejections=1), breaker_strikes=1))
    for _ in range(3):
        (asked,) = questions(world, AAA="0.1")
        ends(world, asked)
        order = world.order(asked.order.intent)
        assert (order.state, order.evidence) == (OrderState.UNSENT, Evidence.WITHHELD.value)
    assert (held(world), world.state.breakers, world.state.sends) == (set(), {}, ())


def test_a_question_taken_back_by_what_another_ones_rejection_sets_is_not_rejected() -> None:
    """The halt withdraws it within the same event."""
    world = World.ready(replace(ROW, holds=replace(OFF, rejections=1)))
    first, second = questions(world, AAA="0.1", BBB="0.1")
    rejects(world, first)
    assert held(world) == {("rejections", "halted")}
    order = world.order(second.order.intent)
    assert (order.state, order.evidence) == (OrderState.UNSENT, Evidence.WITHHELD.value)
    assert [row.symbol for row in world.state.breakers.values()] == ["AAA"]


def test_a_rejected_question_counts_for_a_minute_in_the_order_rate() -> None:
    """From when it was asked; one that is answered counts once, as its order."""
    world = World.ready(replace(ASKS, holds=OFF, max_orders_per_minute=2, breaker_strikes=9))
    first, second = questions(world, AAA="0.1", BBB="0.1")
    asked_at = world.now
    world.wait(3)
    rejects(world, first)
    answer(world, second)
    assert sent_lately(world.state, world.now) == 2
    world.targets(AAA="0.1", BBB="0.1")
    assert refused(world.rebalance()) == [("order_rate", "2", "2")]
    assert sent_lately(world.state, asked_at + timedelta(seconds=59)) == 2
    assert sent_lately(world.state, asked_at + timedelta(seconds=60)) == 1
    world.wait(57)
    assert asked_of(world.rebalance()) == ["AAA"]


def test_it_is_known_again_from_the_journal() -> None:
    """Two before a restart and one after it are three; breaker and rate are the same as they were."""
    world = World.ready(replace(ROW, breaker_strikes=9))
    for symbol in ("AAA", "BBB"):
        (asked,) = questions(world, **{symbol: "0.1"})
        rejects(world, asked)
    facts = [fact for _, step in world.steps for fact in step.facts]
    again = recover([encode(number, number, fact) for number, fact in enumerate(facts, 1)])
    assert fingerprint(again) == fingerprint(world.state)
    world.state = again
    assert len(again.breakers) == 2 and sent_lately(again, world.now) == 2
    world.start()
    world.connect()
    world.wait(90)
    world.snapshot()
    (asked,) = questions(world, CCC="0.1")
    rejects(world, asked)
    assert held(world) == {("rejections", "halted")} and world.now > START


def test_refused_by_permission_it_is_quarantined_as_before() -> None:
    """And counted once, in the row and by the breaker."""
    world, asked = asking()
    step = rejects(world, asked, code=460)
    assert {"margin", "order_rejected", "not_permitted"} <= set(alerts(step))
    assert 1 in world.state.quarantines and len(world.state.breakers) == 1
