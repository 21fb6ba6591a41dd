"""New terms of a working order: what may be asked for, what counts until the broker has spoken, and what it says."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from longwatch.broker import codes
from longwatch.domain import messages as m
from longwatch.domain.decide import gate, next_deadline
from longwatch.domain.instruments import Side
from longwatch.domain.order_life.modification import asked
from longwatch.domain.orders import OrderState, OrderType
from longwatch.domain.replies import objection, outcome
from longwatch.domain.risk.exposure import worst_shares, worst_values
from longwatch.domain.risk.readiness import reasons
from longwatch.domain.state import put_order
from tests.domain.world import (
    ACCOUNT,
    CLIENT,
    CON_IDS,
    PRICES,
    SETTINGS,
    World,
    alerts,
    completed,
    of_kind,
    open_order,
    perm_id,
)

D = Decimal
S = OrderState


def working(weight: str = "0.1", **settings: object) -> World:
    """Order 1, BUY 100 AAA, acknowledged."""
    world = World.ready(replace(SETTINGS, **settings))
    assert world.one(AAA=weight) == 1
    world.acknowledge(1)
    return world


def asking(world: World, words: str, reason: str = "the market moved") -> m.ControlRequested:
    return m.ControlRequested(
        at=world.now,
        tech=world.now,
        command="modify",
        argument=words,
        by="uid 1000",
        reason=reason,
        quotes=world.quotes(),
    )


def ask(world: World, words: str):
    """A person's word, a second later; what came of it."""
    world.wait(1)
    return world.take(asking(world, words))


def handed(world: World, number: int = 1) -> None:
    """The gate lets the bytes pass, and they leave."""
    assert gate(world.state, 1, world.now) is None
    world.hear(m.OrderHanded, intent=1, change=number)


def shown(world: World, quantity: int, limit: str, **fields: object):
    row = {"quantity": D(quantity), "limit_price": D(limit)} | fields
    return world.take(open_order(world.order(1), world.now, **row))


def refused(world: World, code: int = 104, verdict: str = "unchanged"):
    row = {"order_id": world.order(1).order_id, "code": code, "text": "as it says", "verdict": verdict}
    return world.hear(m.OrderErrorSeen, **row)


def overdue(world: World):
    """The next deadline passes."""
    world.now = max(next_deadline(world.state) or world.now, world.now)
    return world.hear(m.TimeReached)


def answers(world: World, intent: int = 1, verdict: str = "not found"):
    """The gateway's answer to the question put behind a modification."""
    change = world.order(intent).change
    assert change is not None
    number = change.asked_as or 0
    return world.hear(m.OrderErrorSeen, order_id=number, code=10147, text="is not found", verdict=verdict)


def listened(world: World, intent: int = 1) -> None:
    """As if the gateway had answered the question at once."""
    order = world.order(intent)
    assert order.change is not None
    put_order(world.state, replace(order, change=replace(order.change, answered_at=order.change.asked_at)))


def test_the_new_terms_are_a_fact_before_an_effect_asks_for_them_under_the_orders_own_id() -> None:
    """One message, with the same id and reference; the price is rounded to the tick, never beyond what was asked."""
    world = working()
    before = world.order(1)
    step = ask(world, "1 120 99.999 -")
    (fact,) = of_kind(step.facts, m.OrderChangeAsked)
    (effect,) = of_kind(step.effects, m.ModifyOrder)
    assert (fact.change.quantity, fact.change.limit_price) == (120, D("99.99"))
    assert (effect.order.order_id, effect.order.ref) == (before.order_id, before.ref)
    assert (effect.order.quantity, effect.order.limit_price, effect.order.changed) == (120, D("99.99"), 1)
    assert world.order(1).terms == before.terms
    assert not of_kind(step.effects, m.SubmitOrder) and world.state.next_intent == 2


def test_both_terms_count_until_the_broker_has_shown_one() -> None:
    """The larger quantity at the dearer price: after the fact, after the write, over a lost link and a restart."""
    world = working()
    ask(world, "1 150 - -")
    dear, price = world.order(1).limit_price, dict(PRICES)

    def worst() -> tuple[Decimal, Decimal]:
        return worst_shares(world.state, 1, Side.BUY), worst_values(world.state, price)[0]

    both = (D(150), 150 * max(dear or D(0), price["AAA"]))
    assert worst() == both
    handed(world)
    assert worst() == both
    world.hear(m.LinkLost, reason="reset by peer")
    world.start()
    world.connect()
    assert worst() == both
    shown(world, 150, str(dear))
    assert world.order(1).quantity == 150 and world.order(1).change is None
    assert worst() == both
    ask(world, "1 60 - -")
    handed(world, 2)
    assert worst() == both
    shown(world, 60, str(dear))
    assert worst()[0] == 60


def test_a_cheaper_price_does_not_count_before_it_is_in_force() -> None:
    """Until then the dearer one may still be paid."""
    world = working()
    former = world.order(1).limit_price or D(0)
    ask(world, f"1 - {former + 1} -")
    assert world.order(1).worst_price == former + 1
    handed(world)
    shown(world, 100, str(former + 1))
    ask(world, f"1 - {former - 1} -")
    assert world.order(1).worst_price == former + 1
    handed(world, 2)
    shown(world, 100, str(former - 1))
    assert world.order(1).worst_price == max(former - 1, world.order(1).limit_price or D(0))


@pytest.mark.parametrize(("code", "verdict"), [(104, "unchanged"), (110, "unchanged"), (10148, "too late")])
def test_a_refusal_leaves_the_order_as_it_was(code: int, verdict: str) -> None:
    """Where the code says so; `too late` says nothing of the terms, so the orders are read."""
    world = working()
    former = world.order(1).terms
    ask(world, "1 150 - -")
    handed(world)
    step = refused(world, code, verdict)
    assert world.order(1).state is S.WORKING
    assert world.order(1).terms == former
    if verdict == "unchanged":
        assert world.order(1).change is None and alerts(step) == ["modification_refused"]
    else:
        assert world.order(1).change is not None and of_kind(step.effects, m.RequestSnapshot)


@pytest.mark.parametrize("verdict", ["unclear", "notice"])
def test_a_code_that_does_not_say_which_terms_are_in_force_settles_nothing(verdict: str) -> None:
    """An unclear one has the orders read."""
    world = working()
    ask(world, "1 150 - -")
    handed(world)
    step = refused(world, 99_999, verdict)
    assert world.order(1).change is not None and world.order(1).remaining == 150
    assert bool(of_kind(step.effects, m.RequestSnapshot)) == (verdict == "unclear")


@pytest.mark.parametrize("meanwhile", ["link lost", "restart", "cancel asked for"])
@pytest.mark.parametrize("code", [201, 110, 321])
def test_a_rejection_while_new_terms_are_under_way_ends_nothing(code: int, meanwhile: str) -> None:
    """On a later connection, or after a cancel, it is told as of a new order; the order may live: a reading decides."""
    world = working()
    ask(world, "1 150 - -")
    handed(world)
    if meanwhile == "cancel asked for":
        world.hear(m.ControlRequested, command="cancel", argument="1", by="uid 1000")
    else:
        if meanwhile == "restart":
            world.start()
        world.hear(m.LinkLost, reason="reset by peer")
        world.open_orders = {perm_id(1)}
        world.connect()
    step = refused(world, code, codes.row_of(code, codes.CODES).said(codes.Asked.NEW)["verdict"])
    assert world.order(1).state is S.WORKING and worst_shares(world.state, 1, Side.BUY) == 150
    assert alerts(step) == ["unclear_code"] and of_kind(step.effects, m.RequestSnapshot)
    if meanwhile != "cancel asked for":
        assert world.trade(AAA="0.1") == []
    world.completed, world.open_orders = {perm_id(1)}, set()
    world.take(completed(world.order(1), world.now, "Inactive", 0))
    assert world.order(1).state is S.REJECTED and worst_shares(world.state, 1, Side.BUY) == 0


def test_a_rejection_after_terms_were_given_up_has_the_orders_read_and_after_a_modification_it_ends_the_order() -> None:
    """Given up by a listing alone, the answer may still come; terms that were shown in force have had theirs."""
    world = working()
    ask(world, "1 150 - -")
    handed(world)
    refused(world)
    step = refused(world, 201, "rejected")
    assert world.order(1).state is S.WORKING and of_kind(step.effects, m.RequestSnapshot)
    ask(world, "1 150 - -")
    handed(world, 2)
    shown(world, 150, str(world.order(1).limit_price))
    refused(world, 201, "rejected")
    assert world.order(1).state is S.REJECTED


def test_silence_is_told_once_and_only_a_whole_download_long_after_an_answer_ends_the_waiting() -> None:
    """Rows of a download that began too early, or with the backend down, prove nothing."""
    world = working()
    former = world.order(1).terms
    ask(world, "1 150 - -")
    handed(world)
    step = overdue(world)
    assert alerts(step) == ["modification_unacknowledged"] and of_kind(step.effects, m.RequestSnapshot)
    assert of_kind(answers(world).effects, m.RequestSnapshot)
    world.open_order(1, quantity=D(100))
    world.snapshot()
    assert world.order(1).change is not None
    assert alerts(overdue(world)) == []
    world.hear(m.BackendSeen, up=False)
    world.open_order(1)
    world.snapshot()
    assert world.order(1).change is not None
    world.hear(m.BackendSeen, up=True)
    world.wait(61)
    world.open_order(1)
    step = world.snapshot()
    assert world.order(1).change is None and world.order(1).terms == former
    assert "modification_refused" in alerts(step)


def test_A10_a_modification_behind_a_window_counts_and_keeps_the_gate_shut_until_the_gateway_answers() -> None:
    """Downloads are answered meanwhile, and list the former terms: they prove nothing, however many there are.

    The question is a cancel of a number that no order has or gets, put again at a pace, also on later connections.
    """
    world = working()
    ask(world, "1 150 - -")
    handed(world)
    (question,) = of_kind(overdue(world).effects, m.CancelOrder)
    change = world.order(1).change
    assert change is not None and (question.intent, question.order_id) == (1, change.asked_as)
    assert question.order_id != world.order(1).order_id and question.order_id < world.state.next_id
    shut = "orders: lw:k7q2:1 (AAA) was modified, without an answer; is a window open in the gateway?"
    for _ in range(5):
        assert of_kind(overdue(world).effects, m.CancelOrder) == [question]
        world.open_order(1)
        world.snapshot()
        assert reasons(world.state, world.now) == (shut,)
        assert worst_shares(world.state, 1, Side.BUY) == 150
        assert world.trade(AAA="0.1", BBB="0.1") == []
    world.start()
    world.hear(m.LinkLost, reason="reset by peer")
    world.open_orders = {perm_id(1)}
    world.connect()
    assert shut in reasons(world.state, world.now)
    answers(world, verdict="unclear")
    assert shut in reasons(world.state, world.now)
    answers(world)
    assert reasons(world.state, world.now) == () and world.order(1).remaining == 150
    assert (
        alerts(world.hear(m.OrderErrorSeen, order_id=question.order_id, code=10147, verdict="not found", text="")) == []
    )
    assert of_kind(overdue(world).effects, m.CancelOrder) == []
    shown(world, 150, str(world.order(1).limit_price))
    assert world.order(1).change is None and world.order(1).quantity == 150


def test_A10_ids_that_begin_again_have_the_question_put_under_another_number() -> None:
    """The former number may be somebody's by now; until the answer the gate stays shut."""
    world = working()
    ask(world, "1 150 - -")
    handed(world)
    overdue(world)
    first = world.order(1).change
    world.hear(m.LinkLost, reason="reset by peer")
    world.hear(m.LinkUp, client_id=CLIENT, next_order_id=1, accounts=(ACCOUNT,), server_version=176)
    world.hear(m.ClockSeen, skew_seconds=0.1)
    world.open_orders = {perm_id(1)}
    world.snapshot(reason="sync")
    assert world.state.silent == {1: None}
    (question,) = of_kind(overdue(world).effects, m.CancelOrder)
    assert first is not None and first.asked_as is not None and question.order_id > first.asked_as
    answers(world)
    assert not world.state.silent


def test_new_terms_shown_after_they_were_given_up_are_taken_over_and_told() -> None:
    """Whatever was concluded, the broker's word is what counts."""
    world = working()
    step = shown(world, 150, "100.21")
    assert world.order(1).terms == (150, D("100.21"), None)
    assert alerts(step) == ["order_changed_elsewhere"]
    assert alerts(shown(world, 150, "100.21")) == []


def test_a_price_that_is_not_shown_though_its_type_has_one_is_not_taken_for_gone() -> None:
    """The stop of seed 174 was shown without its price, and guarded nothing from then on; a market order has none."""
    world = working()
    former = world.order(1)
    step = world.take(open_order(former, world.now, limit_price=None))
    assert world.order(1).terms == former.terms and alerts(step) == []
    stop = replace(former, order_type=OrderType.STOP, limit_price=None, stop_price=D(90))
    put_order(world.state, stop)
    step = world.take(open_order(stop, world.now, stop_price=None))
    assert world.order(1).terms == stop.terms and alerts(step) == []
    world.take(open_order(stop, world.now, stop_price=None, quantity=D(60)))
    assert world.order(1).terms == (60, None, D(90))
    world.take(open_order(world.order(1), world.now, stop_price=None, order_type="MKT"))
    assert world.order(1).terms == (60, None, None)


def test_what_was_never_written_leaves_the_order_as_it_was() -> None:
    """The gate is asked at the write: a lost link, a halt, a cancel or an end since then withholds the bytes."""
    world = working()
    former = world.order(1).terms
    ask(world, "1 150 - -")
    world.hear(m.ControlRequested, command="pause", by="uid 1000")
    assert gate(world.state, 1, world.now) == "paused"
    world.hear(m.OrderWithheld, intent=1, reason="paused", change=1)
    assert (world.order(1).terms, world.order(1).change, world.order(1).state) == (former, None, S.WORKING)
    world.hear(m.ControlRequested, command="resume", by="uid 1000")
    ask(world, "1 150 - -")
    world.hear(m.ControlRequested, command="cancel", argument="1", by="uid 1000")
    assert "is being cancelled" in (gate(world.state, 1, world.now) or "")


def test_a_fill_beyond_the_former_quantity_proves_the_new_one() -> None:
    """Heard before any word on the terms; it is not an overfill, and the order ends at the new quantity."""
    world = working()
    ask(world, "1 150 - -")
    handed(world)
    assert alerts(world.fill(1, 100)) == []
    assert world.order(1).state is S.WORKING and world.order(1).remaining == 50
    assert alerts(world.fill(1, 50)) == []
    assert (world.order(1).quantity, world.order(1).state) == (150, S.FILLED)


def test_a_smaller_order_ends_when_the_broker_says_that_it_has_filled() -> None:
    """Though it is less than the former quantity, and the order was never shown smaller."""
    world = working()
    ask(world, "1 60 - -")
    handed(world)
    world.fill(1, 60)
    assert world.order(1).state is S.WORKING
    world.status(1, "Filled", 60)
    assert world.order(1).state is S.FILLED and world.order(1).remaining == 0


def test_a_larger_order_cancelled_at_its_former_quantity_is_cancelled() -> None:
    """It is not filled: nobody has said that the modification was refused."""
    world = working()
    ask(world, "1 150 - -")
    handed(world)
    world.fill(1, 100)
    world.status(1, "Cancelled", 100)
    assert world.order(1).state is S.CANCELLED


def test_a_restart_takes_a_modification_for_sent() -> None:
    """It may have left before the process ended, so it is neither sent again nor taken for withheld."""
    world = working()
    ask(world, "1 150 - -")
    world.start()
    step = world.connect()
    assert world.order(1).change is not None and world.order(1).change.handed
    effects = [effect for _, step in world.steps[-8:] for effect in step.effects]
    assert not of_kind(effects, m.ModifyOrder) and not of_kind(step.effects, m.ModifyOrder)


REFUSED = {
    "7 50 - -": "no order is called 7",
    "AAA 50 - -": "no order is called AAA",
    "1": "modify needs an order",
    "1 - - -": "modify needs an order",
    "1 100 - -": "has these terms already",
    "1 0 - -": "must be numbers above zero",
    "1 many - -": "must be numbers above zero",
    "1 1e3 - -": "must be numbers above zero",
    "1 50.5 - -": "lots of 1",
    "1 - - 99": "is LMT: it has no stop price",
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_can_not_be_asked_is_refused_with_why(words: str) -> None:
    """One sentence; nothing is concluded and nothing sent."""
    world = working()
    assert REFUSED[words] in (objection(world.state, asking(world, words)) or "")
    step = ask(world, words)
    assert (step.facts, step.effects) == ((), ())


@pytest.mark.parametrize("state", [one for one in S if one is not S.WORKING])
def test_only_a_working_order_is_modified(state: OrderState) -> None:
    """Of any other the broker may know nothing, and the message would be a new order."""
    world = working()
    world.state.orders[1] = replace(world.order(1), state=state)
    why = objection(world.state, asking(world, "1 50 - -"))
    assert f"order lw:k7q2:1 is {state.value}: only a working order" in (why or "")
    assert ask(world, "1 50 - -").effects == ()


def lost(world: World) -> None:
    world.hear(m.LinkLost, reason="reset by peer")


def cancelled(world: World) -> None:
    world.hear(m.ControlRequested, command="cancel", argument="1", by="uid 1000")


def said_to_have_ended(world: World) -> None:
    world.status(1, "Filled", 100)


def changing(world: World) -> None:
    ask(world, "1 90 - -")


def another_client(world: World) -> None:
    world.state.client_id = 2


def twice(world: World) -> None:
    world.open_order(1, perm_id=perm_id(1) + 500)


def filled(world: World) -> None:
    world.fill(1, 50)


@pytest.mark.parametrize(
    ("happened", "why"),
    [
        (lost, "not ready: link"),
        (cancelled, "is being cancelled"),
        (said_to_have_ended, "is filled by the broker's word"),
        (changing, "the broker has not answered yet"),
        (another_client, "as one order of client 2"),
        (twice, "is being cancelled"),
        (filled, "has filled 50 already"),
    ],
)
def test_a_modification_is_asked_for_only_where_it_can_not_become_a_second_order(happened, why: str) -> None:
    """A ready link, our own client id, one permId, no cancel and no other modification on its way, and shares left."""
    world = working()
    happened(world)
    assert why in (objection(world.state, asking(world, "1 50 - -")) or "")
    assert of_kind(ask(world, "1 50 - -").effects, m.ModifyOrder) == []


@pytest.mark.parametrize(
    ("words", "check", "settings"),
    [
        ("1 500 - -", "max_weight", {}),
        ("1 200 - -", "max_order_shares", {"max_order_shares": D(150)}),
        ("1 200 - -", "max_order_value", {"max_order_value": D(15_000)}),
        ("1 200 - -", "max_position_size", {"max_position_size": D(150)}),
        ("1 300 - -", "max_gross_exposure", {"max_gross_exposure": D("0.2")}),
        ("1 - 130 -", "price_band", {}),
        ("1 100 110 -", "max_order_value", {"max_order_value": D(10_500)}),
        ("1 120 - -", "order_rate", {"max_orders_per_minute": 1}),
    ],
)
def test_new_terms_are_judged_as_a_new_order_in_the_old_ones_place(words: str, check: str, settings) -> None:
    """By the same limits, at the worst of what they may come to; refused by name, as a fact."""
    world = working(**settings)
    step = ask(world, words)
    (fact,) = of_kind(step.facts, m.TradeRefused)
    assert (fact.check, fact.intent, of_kind(step.effects, m.ModifyOrder)) == (check, 1, [])
    done, text = outcome(world.state, asking(world, words))
    assert not done and f"refused by {check}" in text


def test_what_the_order_may_fill_already_leaves_no_less_room_than_it_has() -> None:
    """Judged in its place, not beside it: 390 of 400 that the weight allows."""
    world = working()
    step = ask(world, "1 390 - -")
    assert of_kind(step.effects, m.ModifyOrder), step.facts


def test_less_of_an_order_passes_limits_that_were_tightened_since() -> None:
    """Terms no larger and no dearer than those in force add nothing."""
    world = working()
    world.hear(m.ConfigLoaded, settings=replace(world.settings, max_order_shares=D(10)), sha256="tighter")
    assert of_kind(ask(world, "1 90 - -").effects, m.ModifyOrder)


@pytest.mark.parametrize(("words", "is_sent"), [("1 90 99.00 -", True), ("1 90 - -", True), ("1 - 100.30 -", False)])
def test_only_terms_that_stand_back_from_the_market_need_no_fresh_quote(words: str, is_sent: bool) -> None:
    """A buy for fewer shares, or for less: nothing is paid that was not to be paid."""
    world = working()
    event = replace(asking(world, words), quotes=world.quotes(age_seconds=100))
    step = world.take(event)
    assert bool(of_kind(step.effects, m.ModifyOrder)) == is_sent
    assert is_sent or of_kind(step.facts, m.TradeRefused)[0].check == "quote_age"


def test_a_reducing_order_is_never_made_a_reversal() -> None:
    """More than what is held is refused."""
    world = World.ready(replace(SETTINGS, adopt_existing=True), AAA=100)
    intent = world.one(AAA="0.05")
    world.acknowledge(intent)
    assert world.order(intent).side is Side.SELL
    (fact,) = of_kind(ask(world, f"{intent} 101 - -").facts, m.TradeRefused)
    assert fact.check == "reversal"
    assert of_kind(ask(world, f"{intent} 100 - -").effects, m.ModifyOrder)


@pytest.mark.parametrize("verb", ["pause", "halt"])
def test_verbs_hold_a_modification_of_an_entry_back(verb: str) -> None:
    """A halt has asked for its end as well."""
    world = working()
    world.hear(m.ControlRequested, command=verb, by="uid 1000")
    assert of_kind(ask(world, "1 50 - -").effects, m.ModifyOrder) == []


def test_A02_a_second_permid_after_a_modification_in_an_outage_is_found() -> None:
    """The gateway made a new order of it: both count, as large as they may be, and both are cancelled."""
    world = working()
    ask(world, "1 150 - -")
    handed(world)
    world.hear(m.LinkLost, reason="reset by peer")
    world.connect()
    step = shown(world, 150, "100.21", perm_id=perm_id(1) + 500)
    assert "two_orders_one_intent" in alerts(step)
    assert [world.order(intent).remaining for intent in (1, 2)] == [150, 150]
    assert worst_shares(world.state, CON_IDS["AAA"], Side.BUY) == 300
    assert {effect.intent for effect in of_kind(step.effects, m.CancelOrder)} >= {1}


@pytest.mark.parametrize("words", ["{} 5 6 7 8", "", "{} 9" + "9" * 5000, "9" * 5000 + " 5"])
def test_more_words_or_digits_than_an_order_has_are_refused(words: str) -> None:
    """Each in one sentence: nothing is dropped, and nothing is read as another field."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    assert isinstance(asked(world.state, words.format(intent), world.now), str)


def test_a_price_below_one_step_is_no_price() -> None:
    """It would be rounded to nothing, and nothing means the market's price to the broker."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    why = asked(world.state, f"{intent} - 0.001 -", world.now)
    assert isinstance(why, str) and "less than one of them is no price" in why
