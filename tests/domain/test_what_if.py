"""An entry whose margin is asked for first: what each answer, and no answer, makes of it; nothing leaves before."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.domain import messages as m
from longwatch.domain.decide import Step, next_deadline
from longwatch.domain.instruments import Side
from longwatch.domain.orders import OrderState
from tests.domain.world import MARGIN_ACCOUNT, SETTINGS, World, of_kind

D = Decimal
ASKS = replace(SETTINGS, what_if=True, what_if_seconds=5.0)
ESTIMATES = replace(ASKS, what_if_fallback="estimate")
ENOUGH = {"initial_margin": D(10_000), "maintenance_margin": D(5_000), "equity": D(100_000)}


def asking(settings=ASKS, **weights: str) -> tuple[World, m.RequestWhatIf]:
    """A world with one entry on whose margin the broker's word is awaited."""
    world = World.ready(settings)
    world.targets(**(weights or {"AAA": "0.2"}))
    step = world.rebalance()
    (asked,) = of_kind(step.effects, m.RequestWhatIf)
    assert of_kind(step.effects, m.SubmitOrder) == []
    assert world.order(asked.order.intent).state is OrderState.INTENDED
    return world, asked


def answer(world: World, asked: m.RequestWhatIf, **changed: Any) -> Step:
    told = {"order_id": asked.order.order_id, "client_id": 1, **ENOUGH, **changed}
    return world.hear(m.WhatIfSeen, **told)


def sent(step: Step) -> list[int]:
    return [effect.order.intent for effect in of_kind(step.effects, m.SubmitOrder)]


def refused(step: Step) -> list[tuple[str, str, str]]:
    return [(fact.check, fact.observed, fact.limit) for fact in of_kind(step.facts, m.TradeRefused)]


def test_a_good_answer_sends_the_order_under_an_id_of_its_own() -> None:
    """The question's id is used up; the answer is a fact with its figures; a second answer sends nothing."""
    world, asked = asking()
    step = answer(world, asked)
    intent = asked.order.intent
    assert sent(step) == [intent]
    assert of_kind(step.facts, m.MarginTold) == [
        m.MarginTold(
            intent=intent, initial_margin=D(10_000), maintenance_margin=D(5_000), equity=D(100_000), is_estimate=False
        )
    ]
    assert world.order(intent).order_id == (asked.order.order_id or 0) + 1
    assert world.state.what_ifs == {}
    assert answer(world, asked) == Step((), ())


@pytest.mark.parametrize(
    ("figures", "observed", "limit"),
    [
        ({"initial_margin": D(100_001)}, "100001.00", "100000.00"),
        ({"maintenance_margin": D(95_001)}, "4999.00", "5000.00"),
    ],
)
def test_too_much_margin_refuses_the_order_with_its_figures(
    figures: dict[str, Decimal], observed: str, limit: str
) -> None:
    """Initial margin above the equity, or less excess liquidity than the floor: it is proven unsent."""
    world, asked = asking(replace(ASKS, min_excess_liquidity=D(5_000)))
    step = answer(world, asked, **figures)
    assert (sent(step), refused(step)) == ([], [("what_if", observed, limit)])
    assert world.order(asked.order.intent).state is OrderState.UNSENT
    assert world.state.what_ifs == {} and not world.state.live


def test_exactly_enough_is_enough() -> None:
    """Equal to equity and to the floor is let through."""
    world, asked = asking(replace(ASKS, min_excess_liquidity=D(5_000)))
    assert sent(answer(world, asked, initial_margin=D(100_000), maintenance_margin=D(95_000)))


def test_figures_of_another_base_currency_are_converted() -> None:
    """9,000 euro of equity are 10,000 dollars at 0.9, which the floor is compared with."""
    world = World.ready(replace(ASKS, min_excess_liquidity=D(9_500)))
    world.figures = replace(MARGIN_ACCOUNT, base_currency="EUR", rate=D("0.9"))
    world.wait(10)
    world.snapshot()
    world.targets(AAA="0.1")
    (asked,) = of_kind(world.rebalance().effects, m.RequestWhatIf)
    step = answer(world, asked, initial_margin=D(900), maintenance_margin=D(0), equity=D(9_000))
    assert sent(step) == [asked.order.intent]


def test_a_rejection_of_the_question_refuses_the_order() -> None:
    """201 on the question's id: the order was never sent, and nobody speaks of an unknown order."""
    world, asked = asking()
    text = "Order rejected - reason:No Trading Permission"
    step = world.hear(
        m.OrderErrorSeen, order_id=asked.order.order_id, code=201, text=text, verdict="rejected", meaning="rejected"
    )
    assert refused(step)[0][0] == "what_if"
    assert world.order(asked.order.intent).state is OrderState.UNSENT
    assert [row.reason for row in world.state.quarantines.values()] == [f"not permitted to this account: {text} (201)"]
    assert "error_on_unknown_order" not in {alert.key for alert in of_kind(step.effects, m.RaiseAlert)}


@pytest.mark.parametrize("verdict", ["notice", "unclear"])
def test_another_word_about_the_question_leaves_it_open(verdict: str) -> None:
    """10349 may come in the answer's place: the deadline decides."""
    world, asked = asking()
    step = world.hear(m.OrderErrorSeen, order_id=asked.order.order_id, code=10349, text="TIF", verdict=verdict)
    assert step.facts == ()
    assert next_deadline(world.state) == world.state.what_ifs[asked.order.intent].deadline
    assert sent(answer(world, asked)) == [asked.order.intent]


@pytest.mark.parametrize("figure", ["initial_margin", "maintenance_margin", "equity"])
def test_an_answer_without_a_figure_is_none(figure: str) -> None:
    """A sentinel at the edge is "not told" here: the fallback decides."""
    world, asked = asking()
    step = answer(world, asked, **{figure: None})
    assert (sent(step), len(refused(step))) == ([], 1)


def late(world: World) -> Step:
    due = next_deadline(world.state)
    assert due is not None
    world.now = due
    return world.hear(m.TimeReached)


def test_no_answer_in_time_refuses_the_order() -> None:
    """The defined fallback, and an answer that comes too late sends nothing."""
    world, asked = asking()
    step = late(world)
    assert refused(step) == [("what_if", "no answer within 5 s", "an answer")]
    assert world.order(asked.order.intent).state is OrderState.UNSENT
    assert answer(world, asked) == Step((), ())


def test_no_answer_in_time_is_estimated_where_the_setting_says_so() -> None:
    """Half of its value against the excess liquidity of the last reading; a person is told."""
    world, asked = asking(ESTIMATES)
    step = late(world)
    assert sent(step) == [asked.order.intent]
    (told,) = of_kind(step.facts, m.MarginTold)
    assert (told.is_estimate, told.initial_margin) == (True, asked.order.quantity * asked.order.worst_price / 2)
    assert "margin_estimated" in {alert.key for alert in of_kind(step.effects, m.RaiseAlert)}


@pytest.mark.parametrize(("excess", "sends"), [(D("10021"), True), (D("10020"), False), (None, False)])
def test_an_estimate_without_room_refuses(excess: Decimal | None, sends: bool) -> None:
    """200 shares at 100.21 are taken to bind 10,021; what is not known leaves no room."""
    world, asked = asking(ESTIMATES)
    world.figures = replace(MARGIN_ACCOUNT, excess_liquidity=excess)
    world.snapshot()
    assert bool(sent(late(world))) is sends
    state = world.order(asked.order.intent).state
    assert state is (OrderState.SENDING if sends else OrderState.UNSENT)


def test_an_estimate_counts_every_entry_that_waits() -> None:
    """Two questions unanswered, room for one: the first goes, the second does not."""
    world = World.ready(ESTIMATES)
    world.targets(AAA="0.2", BBB="0.2")
    assert len(of_kind(world.rebalance().effects, m.RequestWhatIf)) == 2
    world.figures = replace(MARGIN_ACCOUNT, excess_liquidity=D(11_000))
    world.snapshot()
    step = late(world)
    assert len(sent(step)) == 1 and len(refused(step)) == 1


def test_two_questions_at_once_do_not_share_the_same_room() -> None:
    """Each alone would fit: the second counts the first, which the broker did not know of when it was asked."""
    world = World.ready(ASKS)
    world.targets(AAA="0.2", BBB="0.2")
    first, second = of_kind(world.rebalance().effects, m.RequestWhatIf)
    told = {"initial_margin": D(60_000), "equity": D(65_000)}
    assert sent(answer(world, first, **told)) == [first.order.intent]
    step = answer(world, second, **told)
    assert refused(step) == [
        ("what_if", f"{60_000 + first.order.quantity * first.order.worst_price / 2:.2f}", "65000.00")
    ]
    world.finish(first.order.intent)
    world.wait(10)
    (again,) = of_kind(world.rebalance().effects, m.RequestWhatIf)
    assert sent(answer(world, again, **told)) == [again.order.intent]


def test_what_reduces_asks_nobody() -> None:
    """It frees margin, and must not wait."""
    world, asked = asking()
    (order,) = of_kind(answer(world, asked).effects, m.SubmitOrder)
    world.finish(order.order.intent)
    world.targets(AAA="0")
    step = world.rebalance()
    assert of_kind(step.effects, m.RequestWhatIf) == []
    assert [effect.order.side for effect in of_kind(step.effects, m.SubmitOrder)] == [Side.SELL]


@pytest.mark.parametrize("what", ["restart", "lost link", "withheld", "cancel", "halt", "flatten"])
def test_an_order_between_the_question_and_its_answer_is_never_sent_after(what: str) -> None:
    """A crash, a lost link, a question that never left, a person's word: unsent; the answer comes too late for it."""
    world, asked = asking()
    match what:
        case "restart":
            world.start()
        case "lost link":
            world.hear(m.LinkLost, reason="reset")
        case "withheld":
            world.hear(m.OrderWithheld, intent=asked.order.intent, reason="no link")
        case "cancel":
            world.hear(m.ControlRequested, command="cancel", argument="AAA", by="uid 1000")
        case verb:
            world.hear(m.ControlRequested, command=verb, by="uid 1000")
    assert world.order(asked.order.intent).state is OrderState.UNSENT
    assert world.state.what_ifs == {}
    if what in ("restart", "lost link"):
        world.connect()
    assert sent(answer(world, asked)) == []
    assert not world.state.live


def test_a_target_that_turns_takes_the_order_back_before_it_is_sent() -> None:
    """The other way round is decided on once this one has gone."""
    world, asked = asking(replace(ASKS, allow_short=True, check_shortable=False))
    world.targets(AAA="-0.1")
    step = world.rebalance()
    assert world.order(asked.order.intent).state is OrderState.UNSENT
    assert of_kind(step.effects, m.CancelOrder) == []
    (other,) = of_kind(world.rebalance().effects, m.RequestWhatIf)
    assert other.order.side is Side.SELL


def test_an_order_that_waits_counts_as_exposure() -> None:
    """A second decision meanwhile does not add what the first has asked for."""
    world, _ = asking()
    world.targets(AAA="0.2")
    step = world.rebalance()
    assert of_kind(step.effects, m.RequestWhatIf) == []


@given(st.lists(st.sampled_from(["ask", "good", "bad", "late", "restart", "lose", "cancel", "again"]), max_size=14))
def test_ids_are_never_used_twice_and_nothing_leaves_unasked(acts: list[str]) -> None:
    """Whatever comes between question and answer: one id each, and an entry leaves only by an answer of its own."""
    world, used = World.ready(ASKS), []
    questions: list[m.RequestWhatIf] = []
    for number, act in enumerate(acts):
        world.wait(1)
        before = dict(world.state.what_ifs)
        match act:
            case "ask":
                world.targets(AAA=str(D(number % 4) / 10), BBB=str(D(number % 3) / 10))
                step = world.rebalance()
            case "good" | "bad" if questions:
                step = answer(world, questions[-1], initial_margin=D(1 if act == "good" else 10**9))
            case "again" if questions:
                step = answer(world, questions[0])
            case "late" if next_deadline(world.state) is not None:
                step = late(world)
            case "restart":
                world.start()
                step = world.connect()
            case "lose":
                world.hear(m.LinkLost, reason="reset")
                step = world.connect()
            case "cancel":
                step = world.hear(m.ControlRequested, command="cancel", argument="all", by="uid 1000")
            case _:
                continue
        questions += of_kind(step.effects, m.RequestWhatIf)
        used += [effect.order.order_id for effect in of_kind(step.effects, m.RequestWhatIf)]
        for effect in of_kind(step.effects, m.SubmitOrder):
            used.append(effect.order.order_id)
            assert (act in ("good", "again") and effect.order.intent in before) or effect.order.side is Side.SELL
    assert len(used) == len(set(used))
    assert set(world.state.what_ifs) == {o.intent for o in world.state.live_orders() if o.state is OrderState.INTENDED}
