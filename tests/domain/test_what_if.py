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
from longwatch.domain.risk import what_if
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


def test_entries_that_wait_for_an_answer_count_in_the_order_rate() -> None:
    """They leave as soon as the broker has answered: of three asked at once, a minute that allows two has two."""
    world = World.ready(replace(ASKS, max_orders_per_minute=2))
    world.targets(AAA="0.1", BBB="0.1", CCC="0.1")
    step = world.rebalance()
    first, second = of_kind(step.effects, m.RequestWhatIf)
    assert refused(step) == [("order_rate", "2", "2")]
    assert [sent(answer(world, one)) for one in (first, second)] == [[first.order.intent], [second.order.intent]]
    world.wait(61)
    third = of_kind(world.rebalance().effects, m.RequestWhatIf)
    assert [one.order.symbol for one in third] == ["CCC"]


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


# ── word by word ────────────────────────────────────────────────────────────────────────────────────────────────────


def assert_refused(world: World, step: Step, observed: str, limit: str, why: str) -> None:
    """The trade's refusal, the alert and the order's end tell the same story."""
    order = world.order(1)
    text = f"{order.side.value} {order.quantity} {order.symbol} was not sent: {why}"
    refusal = m.TradeRefused(
        run_id=order.run_id,
        symbol=order.symbol,
        check="what_if",
        wanted=order.quantity * order.side.sign,
        observed=observed,
        limit=limit,
        text=text,
        intent=1,
    )
    assert of_kind(step.facts, m.TradeRefused) == [refusal]
    assert m.RaiseAlert(key="margin", text=text) in step.effects
    (ended,) = of_kind(step.facts, m.OrderMoved)
    assert (ended.state, ended.text) == (OrderState.UNSENT, why)


@pytest.mark.parametrize("weight", ["0.2", "-0.2"])
@pytest.mark.parametrize(
    ("figures", "observed", "limit", "why"),
    [
        ({"initial_margin": D(100_001)}, "100001.00", "100000.00", "its initial margin would pass the equity"),
        (
            {"maintenance_margin": D(95_001)},
            "4999.00",
            "5000.00",
            "the excess liquidity it leaves is under the least",
        ),
        (
            {"equity": None},
            "the broker's answer has no figures",
            "an answer",
            "the broker's answer has no figures to what it would bind of margin",
        ),
    ],
)
def test_a_refusal_by_margin_is_told_in_one_sentence(
    weight: str, figures: dict[str, Decimal | None], observed: str, limit: str, why: str
) -> None:
    """What was to be bought or sold short, and what there was against it."""
    world, asked = asking(
        replace(ASKS, min_excess_liquidity=D(5_000), allow_short=True, check_shortable=False), AAA=weight
    )
    assert_refused(world, answer(world, asked, **figures), observed, limit, why)


def test_a_rejected_question_and_one_that_is_not_answered_are_told_in_one_sentence() -> None:
    """By the code of the broker, and by the deadline."""
    world, asked = asking()
    row = {"order_id": asked.order.order_id, "code": 201, "text": "No Trading Permission", "verdict": "rejected"}
    step = world.hear(m.OrderErrorSeen, **row, meaning="rejected")
    assert_refused(world, step, "201", "no rejection", "No Trading Permission (201)")
    world, _ = asking()
    why = "no answer within 5 s"
    assert_refused(world, late(world), why, "an answer", f"{why} to what it would bind of margin")


def test_an_answer_for_another_client_is_nobodys_and_one_for_none_is_ours() -> None:
    """Ids are counted by each client; a gateway that names no client means the one it speaks to."""
    world, asked = asking()
    assert answer(world, asked, client_id=9) == Step((), ())
    assert sent(answer(world, asked, client_id=0)) == [asked.order.intent]


def test_an_order_waits_no_more_once_its_answer_is_there() -> None:
    """It leaves at the answer's instant, for the contract that was asked about; nothing is due by then but its word."""
    world, asked = asking()
    world.wait(1)
    step = answer(world, asked)
    (left,) = of_kind(step.effects, m.SubmitOrder)
    assert (left.order.sent_at, left.instrument) == (world.now, world.state.instruments["AAA"])
    assert what_if.due_at(world.state) is None


def test_what_was_sent_since_the_question_counts_beside_it_and_what_was_sent_before_does_not() -> None:
    """The broker's answer has what it knew of: entries sent later, or first in the same decision, are estimated."""
    world = World.ready(replace(ASKS, min_excess_liquidity=D(20_000)))
    world.targets(AAA="0.2", BBB="0.2")
    first, second = of_kind(world.rebalance().effects, m.RequestWhatIf)
    world.wait(1)
    answer(world, first)
    beside = first.order.quantity * first.order.worst_price / 2
    told = {"initial_margin": D(30_000), "maintenance_margin": D(65_000), "equity": D(95_000)}
    step = answer(world, second, **told)
    assert of_kind(step.facts, m.MarginTold) == [
        m.MarginTold(intent=second.order.intent, is_estimate=False, beside=beside, **told)
    ]
    assert refused(step) == [("what_if", f"{30_000 - beside:.2f}", "20000.00")]
    world.wait(1)
    world.targets(AAA="0.2", BBB="0.2")
    (third,) = of_kind(world.rebalance().effects, m.RequestWhatIf)
    step = answer(world, third, **told)
    assert [fact.beside for fact in of_kind(step.facts, m.MarginTold)] == [0]
    assert sent(step) == [third.order.intent]


def test_an_exit_at_work_binds_nothing_beside_a_question() -> None:
    """It frees margin: it was sent after the question, and counts no share of it."""
    world, asked = asking()
    (entry,) = of_kind(answer(world, asked).effects, m.SubmitOrder)
    world.finish(entry.order.intent)
    world.wait(10)
    world.snapshot()
    world.targets(AAA="0.1", BBB="0.2")
    step = world.rebalance()
    (question,) = of_kind(step.effects, m.RequestWhatIf)
    assert [effect.order.side for effect in of_kind(step.effects, m.SubmitOrder)] == [Side.SELL]
    (told,) = of_kind(answer(world, question).facts, m.MarginTold)
    assert told.beside == 0


@pytest.mark.parametrize("figure", [None, "equity"])
def test_an_estimate_is_told_with_its_figures(figure: str | None) -> None:
    """Whether no answer came or one without figures: the order's own margin, that of all entries, what there is."""
    world, asked = asking(replace(ESTIMATES, min_excess_liquidity=D(70_000)))
    world.wait(1)
    step = answer(world, asked, **{figure: None}) if figure else late(world)
    order = asked.order
    own = order.quantity * order.worst_price / 2
    assert of_kind(step.facts, m.MarginTold) == [
        m.MarginTold(
            intent=order.intent, initial_margin=own, maintenance_margin=own, equity=D(30_000), is_estimate=True
        )
    ]
    why = "the broker's answer has no figures" if figure else "no answer within 5 s"
    text = f"AAA: {why} to what it would bind of margin; sent by an estimate of 0.5 of its value"
    assert m.RaiseAlert(key="margin_estimated", text=text) in step.effects
    assert [effect.order.sent_at for effect in of_kind(step.effects, m.SubmitOrder)] == [world.now]


@pytest.mark.parametrize("excess", [D(80_000), None])
def test_an_estimate_that_refuses_says_why(excess: Decimal | None) -> None:
    """10,000 are above the floor, 10,021 are wanted; or nobody knows what there is."""
    world, _ = asking(replace(ESTIMATES, min_excess_liquidity=D(70_000)))
    world.figures = replace(MARGIN_ACCOUNT, excess_liquidity=excess)
    world.snapshot()
    why = "no answer within 5 s"
    if excess is None:
        reason = f"{why}, and no excess liquidity is known to estimate by"
        assert_refused(world, late(world), why, "an answer", reason)
    else:
        reason = f"{why}, and its estimated margin has no room"
        assert_refused(world, late(world), "10021.00", "10000.00", reason)


def test_a_fill_heard_since_the_account_was_read_binds_in_an_estimate_too() -> None:
    """The first entry has filled at 100, and the account's figures are of before: half of 20,000 beside its own."""
    world, asked = asking(ESTIMATES)
    answer(world, asked)
    world.finish(asked.order.intent)
    world.targets(AAA="0.2", BBB="0.1")
    world.rebalance()
    (told,) = of_kind(late(world).facts, m.MarginTold)
    assert told.maintenance_margin == told.initial_margin + 10_000


def test_an_order_whose_contract_is_gone_by_the_answer_is_not_sent() -> None:
    """The definitions were read again meanwhile, without it."""
    world, asked = asking()
    del world.state.instruments["AAA"]
    step = answer(world, asked)
    assert_refused(world, step, "no contract", "a known contract", "its contract is not known any more")


def test_a_cancel_before_the_answer_gives_its_own_reason() -> None:
    """The order's end says who wanted it."""
    world, asked = asking()
    step = world.hear(m.ControlRequested, command="cancel", argument="AAA", by="uid 1000", reason="not today")
    (why,) = [fact.reason for fact in of_kind(step.facts, m.OrderCancelAsked)]
    (ended,) = of_kind(step.facts, m.OrderMoved)
    assert (ended.intent, ended.state, ended.text) == (asked.order.intent, OrderState.UNSENT, why)
    assert why == "asked for by a person"


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
