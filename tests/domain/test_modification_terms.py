"""A modification judged and told in full: each price and size it is asked by, and what its refusal or its end says."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from longwatch.domain import messages as m
from longwatch.domain.decide import Step, gate, next_deadline
from longwatch.domain.instruments import Side
from longwatch.domain.order_life import breaker, modification
from longwatch.domain.orders import Change, OrderState, Purpose
from longwatch.domain.replies import objection
from longwatch.domain.risk.readiness import reasons
from longwatch.domain.state import put_order
from tests.domain.test_modification import ask, asking, handed, listened, refused, shown, working
from tests.domain.test_oca import CHANGE, exit_, member
from tests.domain.test_oca import state_of as group_of
from tests.domain.world import CLOSE, DAY, EQUITY, SETTINGS, START, World, alerts, of_kind, open_order, perm_id

D = Decimal
S = OrderState
WAITING = {"order_type": "STP", "stop_offset_bps": D(50)}
"""An entry that waits for 100.52 to be paid."""


def changed(step: Step) -> m.OrderChangeAsked | None:
    found = of_kind(step.facts, m.OrderChangeAsked)
    return found[0] if found else None


def refusal(step: Step) -> m.TradeRefused:
    (fact,) = of_kind(step.facts, m.TradeRefused)
    assert not of_kind(step.effects, m.ModifyOrder)
    return fact


def selling() -> tuple[World, int]:
    """SELL 50 of 100 AAA, acknowledged."""
    world = World.ready(replace(SETTINGS, adopt_existing=True), AAA=100)
    intent = world.one(AAA="0.05")
    world.acknowledge(intent)
    assert world.order(intent).purpose is Purpose.REDUCE
    return world, intent


# ── asked for ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_stop_price_is_rounded_so_that_the_order_waits_for_no_less_than_was_asked() -> None:
    """Upwards for a buy. What is not named stays as it is."""
    world = working(**WAITING)
    assert world.order(1).terms == (100, None, D("100.52"))
    fact = changed(ask(world, "1 - - 101.003"))
    assert fact is not None and fact.change.terms == (100, None, D("101.01"))
    other = working(**WAITING)
    fact = changed(ask(other, "1 90 - -"))
    assert fact is not None and fact.change.terms == (90, None, D("100.52"))


def test_a_dearer_stop_is_judged_at_what_it_may_cost() -> None:
    """100 shares behind 110 are more than 10,500."""
    world = working(**WAITING, max_order_value=D(10_500))
    assert refusal(ask(world, "1 - - 110")).check == "max_order_value"
    assert changed(ask(world, "1 - - 104"))


FORM = "an order, and at least one of its new quantity, limit price and stop price"


@pytest.mark.parametrize(
    ("words", "settings", "why"),
    [
        ("1", {}, f"modify needs {FORM}"),
        ("", {}, f"modify needs {FORM}, each a single word"),
        ("1 - 99 -", WAITING, "order lw:k7q2:1 is STP: it has no limit price"),
        ("1 x y 0", {}, "quantity and prices must be numbers above zero like 40 and 85.20, not x y 0"),
    ],
)
def test_what_can_not_be_asked_is_told_word_by_word(words: str, settings: dict[str, Any], why: str) -> None:
    world = working(**settings)
    assert objection(world.state, asking(world, words)) == why


def test_the_fact_says_who_asked_and_why_and_the_effect_names_the_instrument() -> None:
    """For the journal, and for the bytes."""
    world = working()
    step = ask(world, "1 120 - -")
    fact = changed(step)
    assert fact is not None and fact.change.reason == "uid 1000: the market moved"
    (effect,) = of_kind(step.effects, m.ModifyOrder)
    assert effect.instrument == world.state.instruments["AAA"]


def test_a_persons_quantity_holds_the_instrument_for_the_session_and_a_price_does_not() -> None:
    """What they leave, or add, is what they want: no decision of the session orders the rest, or takes it back."""
    world = working()
    ask(world, "1 - 99.50 -")
    assert not world.state.breakers
    ask_again = working()
    ask(ask_again, "1 60 - -")
    assert set(ask_again.state.breakers) == {
        (1, purpose, breaker.MODIFIED) for purpose in (Purpose.ENTRY, Purpose.REDUCE)
    }


# ── judged ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_refusal_is_a_fact_with_what_was_seen_and_what_is_allowed() -> None:
    """Of what is still to be traded: 40 of 100 have filled. Each asking is a decision of its own."""
    world = working(max_order_value=D(15_000))
    world.fill(1, 40)
    fact = refusal(ask(world, "1 200 - -"))
    assert (fact.run_id, fact.symbol, fact.check, fact.wanted) == ("modify:1:1", "AAA", "max_order_value", 160)
    assert (fact.observed, fact.limit, fact.intent) == ("20042.0000", "15000", 1)
    assert fact.text == "order lw:k7q2:1: max_order_value 20042.0000 would pass the limit 15000"
    assert changed(ask(world, "1 110 - -"))
    handed(world)
    shown(world, 110, "100.21")
    assert refusal(ask(world, "1 200 - -")).run_id == "modify:1:2"


def test_a_refused_sale_is_told_as_one() -> None:
    world, intent = selling()
    fact = refusal(ask(world, f"{intent} 101 - -"))
    assert (fact.check, fact.wanted, fact.run_id) == ("reversal", -101, f"modify:{intent}:1")


@pytest.mark.parametrize(
    ("limits", "is_sent"),
    [
        ({"max_order_shares": D(160)}, True),
        ({"max_order_shares": D(159)}, False),
        ({"max_position_size": D(160)}, True),
        ({"max_position_size": D(159)}, False),
    ],
)
def test_an_order_is_judged_whole_and_a_position_by_what_it_may_become(limits: dict[str, Any], is_sent: bool) -> None:
    """40 of 100 have filled, and 160 are asked for: an order of 160, and 160 held in the end."""
    world = working()
    world.fill(1, 40)
    world.hear(m.ConfigLoaded, settings=replace(world.settings, **limits), sha256="tighter")
    assert bool(changed(ask(world, "1 160 - -"))) == is_sent


@pytest.mark.parametrize("words", ["1 90 - -", "1 - 99.50 -", "1 90 99.50 -"])
def test_no_more_shares_at_no_higher_price_pass_limits_that_were_tightened(words: str) -> None:
    """What is in force has passed them, and this is no more; at a fresh quote or without one."""
    world = working()
    world.hear(m.ConfigLoaded, settings=replace(world.settings, max_order_shares=D(10)), sha256="tighter")
    assert changed(world.take(replace(asking(world, words), quotes=world.quotes(age_seconds=100))))


@pytest.mark.parametrize(("limit", "is_sent"), [("100.10", True), ("99.50", False)])
def test_a_sale_stands_back_when_it_asks_for_more(limit: str, is_sent: bool) -> None:
    """Nearer to the market is cheaper for whoever buys, and needs a fresh quote."""
    world, intent = selling()
    step = world.take(replace(asking(world, f"{intent} - {limit} -"), quotes=world.quotes(age_seconds=100)))
    assert bool(changed(step)) == is_sent


@pytest.mark.parametrize("is_marked", [True, False])
def test_shares_are_worth_what_the_last_reading_says_or_else_the_quote(is_marked: bool) -> None:
    """At 109 they pass a limit that they would keep at the order's own price."""
    world = working(max_order_value=D(11_500))
    ask_for = asking(world, "1 110 - -")
    if is_marked:
        world.state.equity = m.EquitySet(session=DAY, equity=EQUITY, prices=(("AAA", D(109)), ("BBB", D(1))))
    else:
        world.state.equity = m.EquitySet(session=DAY, equity=EQUITY, prices=())
        ask_for = replace(
            ask_for, quotes=tuple(replace(one, bid=D("108.99"), ask=D("109.01")) for one in ask_for.quotes)
        )
    assert refusal(world.take(ask_for)).check == "max_order_value"


# ── at the write ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_only_a_modification_that_waits_to_be_sent_passes_the_gate() -> None:
    """Each once: what was handed over is at the broker."""
    world = working()
    assert modification.gate(world.state, world.order(1), world.now) == "no modification waits to be sent"
    ask(world, "1 120 - -")
    handed(world)
    assert gate(world.state, 1, world.now) == "no modification waits to be sent"


def test_the_gate_asks_for_the_conditions_of_the_instrument_and_of_what_the_order_does() -> None:
    """A quarantine of its instrument, an unknown order in it; a pause holds no sale back."""
    world = working()
    ask(world, "1 120 - -")
    other = world.one(BBB="0.1")
    world.acknowledge(other)
    assert gate(world.state, 1, world.now) is None
    put_order(world.state, replace(world.order(other), con_id=1, state=S.UNKNOWN))
    assert gate(world.state, 1, world.now) == "an order with an unknown outcome"
    sale, intent = selling()
    ask(sale, f"{intent} 60 - -")
    sale.hear(m.ControlRequested, command="pause", by="uid 1000")
    assert gate(sale.state, intent, sale.now) is None
    sale.state.quarantines[2] = m.QuarantineSet(con_id=2, symbol="BBB", reason="?", tech=sale.now)
    assert gate(sale.state, intent, sale.now) is None
    sale.state.quarantines[1] = m.QuarantineSet(con_id=1, symbol="AAA", reason="?", tech=sale.now)
    assert gate(sale.state, intent, sale.now) == "quarantined"


@pytest.mark.parametrize(
    ("words", "passes"), [("1 120 - -", False), ("1 - 105 -", False), ("1 90 - -", True), ("1 - 99 -", True)]
)
def test_limits_that_were_tightened_before_the_write_withhold_what_grows(words: str, passes: bool) -> None:
    """More shares, or dearer ones; the rest of it is in force already."""
    world = working()
    ask(world, words)
    world.hear(m.ConfigLoaded, settings=replace(world.settings, max_order_value=D(5_000)), sha256="tighter")
    why = gate(world.state, 1, world.now)
    assert why is None if passes else "max_order_value" in str(why) and "by now" in str(why)


def test_an_answer_is_awaited_from_the_write_on() -> None:
    """For as long as an acknowledgement may take."""
    world = working()
    ask(world, "1 120 - -")
    world.wait(3)
    handed(world)
    assert next_deadline(world.state) == world.now + timedelta(seconds=world.settings.acknowledge_seconds)


def test_what_was_not_sent_is_told_with_the_reason() -> None:
    world = working()
    ask(world, "1 120 - -")
    step = world.hear(m.OrderWithheld, intent=1, reason="no link", change=1)
    (fact,) = of_kind(step.facts, m.OrderTermsSet)
    assert fact.text == "the modification was not sent: no link"
    (alert,) = of_kind(step.effects, m.RaiseAlert)
    assert (alert.key, alert.text) == (
        "modification_withheld",
        "order lw:k7q2:1 was not modified: no link",
    )


def test_word_of_another_modification_says_nothing_of_this_one() -> None:
    """The first was withheld, the second is on its way; of an order without one there is nothing to say."""
    world = working()
    ask(world, "1 120 - -")
    assert world.hear(m.OrderWithheld, intent=1, reason="no link", change=7).facts == ()
    assert world.order(1).change is not None and not world.order(1).change.handed
    assert world.hear(m.OrderHanded, intent=1, change=7).facts == ()
    other = working()
    assert other.hear(m.OrderHanded, intent=1, change=1).facts == ()
    other.start()
    assert other.order(1).change is None


# ── what the broker says ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_refusal_by_the_broker_is_told_with_the_terms_that_stay() -> None:
    world = working(**WAITING)
    ask(world, "1 120 - 101")
    handed(world)
    step = refused(world)
    (alert,) = of_kind(step.effects, m.RaiseAlert)
    assert alert.text == "order lw:k7q2:1 stays 100 stop 100.52, not modified: 104 as it says"
    (fact,) = of_kind(step.facts, m.OrderTermsSet)
    assert fact.text == "the modification is refused: 104 as it says"


def test_terms_that_somebody_else_has_set_are_told_with_the_former_ones() -> None:
    world = working()
    step = shown(world, 150, "100.22")
    (alert,) = of_kind(step.effects, m.RaiseAlert)
    was = "order lw:k7q2:1 was 100 limit 100.21; the broker shows it 150 limit 100.22"
    assert alert.text == f"{was}, which nobody here has asked for; it counts so"
    (fact,) = of_kind(step.facts, m.OrderTermsSet)
    assert fact.text == modification.BY_SOMEBODY


def test_a_refusal_before_the_bytes_left_is_about_something_else() -> None:
    """A code by the order's id may be about the order itself."""
    world = working()
    ask(world, "1 150 - -")
    assert "modification_refused" not in alerts(refused(world)) and world.order(1).change is not None


def test_terms_shown_that_are_neither_the_former_nor_the_asked_are_in_force_and_the_question_stays_open() -> None:
    world = working()
    ask(world, "1 150 - -")
    handed(world)
    step = shown(world, 130, "100.21")
    assert alerts(step) == ["order_changed_elsewhere"]
    assert world.order(1).quantity == 130 and world.order(1).change is not None
    assert world.order(1).remaining == 150


def test_what_is_shown_of_an_order_that_is_over_changes_nothing() -> None:
    """A late row of an order that has filled."""
    world = working()
    world.fill(1, 100)
    world.end(1)
    world.status(1, "Filled")
    row = world.order(1)
    shown(world, 150, "100.21", perm_id=perm_id(1))
    assert world.order(1) == row


def test_a_download_is_proof_only_when_it_lists_the_order_and_began_long_after_the_asking() -> None:
    """An order that it does not list may have ended: its own word is awaited."""
    world = working()
    ask(world, "1 150 - -")
    handed(world)
    listened(world)
    world.open_orders.clear()
    world.wait(61)
    world.snapshot(open_perm_ids=(777,))
    assert world.order(1).change is not None or world.order(1).state is not S.WORKING
    early = working()
    ask(early, "1 150 - -")
    handed(early)
    listened(early)
    early.wait(61)
    early.snapshot(started_tech=early.now - timedelta(seconds=30))
    assert early.order(1).change is not None
    step = early.snapshot()
    (alert,) = [one for one in of_kind(step.effects, m.RaiseAlert) if one.key == "modification_refused"]
    assert alert.text == "order lw:k7q2:1 stays 100 limit 100.21: its modification came to nothing"
    (fact,) = of_kind(step.facts, m.OrderTermsSet)
    assert fact.text == "the former terms are still listed" and early.order(1).side is Side.BUY


# ── silence ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_silence_about_a_change_is_told_with_what_it_means_and_looked_for_at_a_pace() -> None:
    """Of every order, also where the one before it has no change; first at the quiet time's end, then by rounds."""
    world = World.ready()
    world.acknowledge(world.one(AAA="0.1"))
    world.acknowledge(world.one(AAA="0.1", BBB="0.1"))
    ask(world, "2 150 - -")
    asked_at = world.now
    world.hear(m.OrderHanded, intent=2, change=1)
    world.wait(10)
    step = world.hear(m.TimeReached)
    (alert,) = of_kind(step.effects, m.RaiseAlert)
    told = "the modification of order lw:k7q2:2 was not answered in time; both terms count until it is; "
    told += "is a window open in the gateway that waits for a person? No orders until it answers"
    assert (alert.key, alert.text) == ("modification_unacknowledged", told)
    asked = m.RequestSnapshot(reason="the modification of order lw:k7q2:2 is not answered")
    assert of_kind(step.effects, m.RequestSnapshot) == [asked]
    quiet = timedelta(seconds=world.settings.absence_quiet_seconds)
    change = world.order(2).change
    assert change is not None and change.handed and change.deadline == asked_at + quiet
    world.now = asked_at + quiet
    step = world.hear(m.TimeReached)
    assert of_kind(step.effects, m.RequestSnapshot) == [asked] and not of_kind(step.effects, m.RaiseAlert)
    change = world.order(2).change
    assert change is not None
    assert change.deadline == world.now + timedelta(seconds=world.settings.absence_round_seconds)


def test_without_a_link_nothing_is_looked_for_and_the_next_reading_sets_the_time_anew() -> None:
    """It may have begun too early to prove anything."""
    world = working()
    ask(world, "1 150 - -")
    handed(world)
    world.hear(m.LinkLost, reason="reset by peer")
    world.wait(10)
    step = world.hear(m.TimeReached)
    assert not of_kind(step.effects, m.RequestSnapshot)
    change = world.order(1).change
    assert change is not None and change.deadline is None
    world.wait(10)
    assert world.hear(m.TimeReached).facts == ()
    world.connect()
    change = world.order(1).change
    assert change is not None
    assert change.deadline == world.now + timedelta(seconds=world.settings.absence_quiet_seconds)


def test_a_restart_awaits_the_answer_until_the_time_it_was_awaited_before() -> None:
    """Whether its bytes left nobody can say; one that was handed over is awaited as it was."""
    world = working()
    ask(world, "1 150 - -")
    before = world.order(1).change
    world.wait(2)
    world.start()
    assert before is not None and world.order(1).change == replace(before, handed=True)
    other = World.ready()
    other.acknowledge(other.one(AAA="0.1"))
    other.start()
    assert other.order(1).change is None


# ── in a group ──────────────────────────────────────────────────────────────────────────────────────────────────────

GROWN = replace(CHANGE, quantity=D(80), stop_price=D(96))
"""A stop of 60 at 95 is asked to be one of 80 at 96."""
SHRUNK = "another order of its group has traded"


@pytest.mark.parametrize(
    ("fields", "sold", "shown_as", "text", "is_answered"),
    [
        ({}, 20, (40, 95), SHRUNK, True),
        ({}, 0, (40, 95), modification.BY_SOMEBODY, True),
        ({"oca_group": ""}, 20, (40, 95), modification.BY_SOMEBODY, True),
        ({}, 20, (61, 95), modification.BY_SOMEBODY, True),
        ({}, 20, (60, 94), modification.BY_SOMEBODY, True),
        ({"change": GROWN}, 20, (80, 96), "shown so by the broker", True),
        ({"change": GROWN}, 20, (70, 95), SHRUNK, True),
        ({"change": GROWN}, 20, (50, 96), SHRUNK, True),
        ({"change": GROWN}, 20, (50, 95), SHRUNK, False),
        ({"change": GROWN}, 20, (60, 95), SHRUNK, False),
        ({"change": GROWN}, 0, (50, 95), modification.BY_SOMEBODY, False),
    ],
)
def test_what_its_group_took_from_an_order_nobody_has_changed(
    fields: dict[str, Any], sold: int, shown_as: tuple[int, int], text: str, is_answered: bool
) -> None:
    """Shown larger than before, or at the new price, it was modified as well; else the answer is still awaited."""
    state = group_of(member(1, **fields), exit_(2, filled=D(sold)))
    order = state.orders[1]
    event = open_order(order, START, quantity=D(shown_as[0]), stop_price=D(shown_as[1]))
    fact, *alerts_ = modification.shown(state, order, event)
    assert isinstance(fact, m.OrderTermsSet)
    assert (fact.text, fact.quantity, fact.stop_price) == (text, *shown_as)
    assert fact.change == (None if is_answered else GROWN)
    assert bool(alerts_) == (text == modification.BY_SOMEBODY)


def test_what_is_shown_of_a_twin_or_as_it_is_known_says_nothing() -> None:
    """A twin counts as large as it may be; an unanswered change is answered by the terms it asked for, or others."""
    for fields, terms in (({"twin_of": 9}, (40, 95)), ({}, (60, 95)), ({"state": S.FILLED}, (40, 95))):
        state = group_of(member(1, **fields), exit_(2, filled=D(20)))
        event = open_order(state.orders[1], START, quantity=D(terms[0]), stop_price=D(terms[1]))
        assert list(modification.shown(state, state.orders[1], event)) == []
    state = group_of(member(1, change=GROWN), exit_(2))
    event = open_order(state.orders[1], START, quantity=D(60), stop_price=D(95))
    assert list(modification.shown(state, state.orders[1], event)) == []


# ── a download, or a fill, that says which terms are in force ───────────────────────────────────────────────────────


@pytest.mark.parametrize(("filled", "is_proof"), [(99, False), (100, False), (101, True), (150, True)])
def test_only_a_fill_beyond_the_former_quantity_proves_the_new_one(filled: int, is_proof: bool) -> None:
    """At the former quantity itself either may be in force."""
    world = working()
    ask(world, "1 150 - -")
    handed(world)
    step = world.fill(1, filled)
    found = of_kind(step.facts, m.OrderTermsSet)
    assert [(one.quantity, one.text) for one in found] == (
        [(150, "filled beyond the former quantity")] if is_proof else []
    )


def listing(world: World, *perm_ids: int, after: float = 60, **fields: Any) -> Step:
    """A download of so many seconds after the modification was asked for."""
    change = next(one.change for one in world.state.orders.values() if one.change is not None)
    assert change is not None
    world.now = change.asked_at + timedelta(seconds=after)
    told = {"open_perm_ids": perm_ids, "started_tech": world.now}
    world.wait(-1)
    return world.snapshot(**(told | fields))


def test_a_download_is_believed_from_the_quiet_times_end_and_with_the_backend_up_as_long() -> None:
    """From the instant itself; one that began a second earlier, or with the backend back for less, proves nothing."""
    for after, since, is_proof in ((60, 60, True), (59, 60, False), (60, 59, False), (60, None, False)):
        world = working()
        ask(world, "1 150 - -")
        handed(world)
        listened(world)
        change = world.order(1).change
        assert change is not None
        world.state.backend_since = None if since is None else change.asked_at + timedelta(seconds=after - since)
        step = listing(world, perm_id(1), after=after)
        assert (world.order(1).change is None) == is_proof == ("modification_refused" in alerts(step)), (after, since)
    world = working()
    ask(world, "1 150 - -")
    handed(world)
    listened(world)
    world.state.backend_up = False
    listing(world, perm_id(1))
    assert world.order(1).change is not None


def test_each_order_is_looked_up_in_a_download_by_itself() -> None:
    """One is not listed, one was never handed over: the third's came to nothing all the same."""
    world = World.ready()
    wanted: dict[str, str] = {}
    for number, (symbol, quantity) in enumerate({"AAA": 150, "BBB": 250, "CCC": 550}.items(), 1):
        wanted[symbol] = "0.1"
        world.acknowledge(world.one(**wanted))
        assert changed(ask(world, f"{number} {quantity} - -"))
    for number in (1, 3):
        world.hear(m.OrderHanded, intent=number, change=1)
        listened(world, number)
    step = listing(world, perm_id(2), perm_id(3), after=90)
    assert [one.intent for one in of_kind(step.facts, m.OrderTermsSet)] == [3]
    assert world.order(1).change is not None and world.order(2).change is not None


def test_a_download_sets_the_time_anew_of_a_change_that_was_handed_over_and_has_none() -> None:
    """Its deadline went with a link."""
    world = working()
    ask(world, "1 150 - -")
    handed(world)
    change = world.order(1).change
    assert change is not None
    world.state.orders[1] = replace(world.order(1), change=replace(change, deadline=None))
    step = listing(world, 777, after=30)
    quiet = timedelta(seconds=world.settings.absence_quiet_seconds)
    due, number = world.now + quiet, of_kind(step.effects, m.CancelOrder)[0].order_id
    assert number != world.order(1).order_id
    assert m.OrderChangeAwaited(intent=1, handed=True, deadline=due, asked_as=number) in step.facts


def test_terms_shown_as_asked_are_in_force_and_told_so_in_the_journal() -> None:
    world = working(**WAITING)
    ask(world, "1 120 - 101")
    handed(world)
    step = world.open_order(1, quantity=D(120), stop_price=D(101))
    assert of_kind(step.facts, m.OrderTermsSet) == [
        m.OrderTermsSet(intent=1, quantity=D(120), limit_price=None, stop_price=D(101), text="shown so by the broker")
    ]
    assert world.order(1).terms == (120, None, D(101)) and not of_kind(step.effects, m.RaiseAlert)


@pytest.mark.parametrize("is_marked", [True, False])
def test_without_a_quote_of_its_instrument_nothing_nearer_to_the_market_is_asked(is_marked: bool) -> None:
    """Also before any equity is known; what stands back is asked all the same."""
    world = working()
    if not is_marked:
        world.state.equity = None
    others = tuple(one for one in world.quotes() if one.symbol != "AAA")
    for quotes in (others, ()):
        fact = refusal(world.take(replace(asking(world, "1 - 100.30 -"), quotes=quotes)))
        assert fact.check == "quote"
    assert changed(world.take(replace(asking(world, "1 90 99 -"), quotes=())))


def test_after_the_session_nothing_nearer_to_the_market_is_asked() -> None:
    """No exchange is open that could take it."""
    world = working()
    world.now = CLOSE + timedelta(minutes=1)
    world.hear(m.ClockSeen, skew_seconds=0.1)
    world.snapshot(reason="scheduled")
    event = replace(asking(world, "1 - 100.30 -"), quotes=world.quotes())
    assert objection(world.state, event) is None
    assert refusal(world.take(event)).check == "trading_hours"


def test_an_order_that_is_too_small_stays_so_however_it_is_enlarged() -> None:
    """The least an order must come to was raised since: 110 shares are less than 20,000, and close nothing."""
    world = working()
    world.hear(m.ConfigLoaded, settings=replace(world.settings, min_order_value=D(20_000)), sha256="larger")
    assert refusal(ask(world, "1 110 - -")).check == "min_order_value"


@pytest.mark.parametrize(("kind", "is_sent"), [("MKT", True), ("LMT", False)])
def test_a_market_order_of_a_flatten_may_be_enlarged_again_without_a_quote(kind: str, is_sent: bool) -> None:
    """It takes whatever price there is; a limit has to be judged by one."""
    world = World.ready(replace(SETTINGS, adopt_existing=True, flatten_order_type=kind), AAA=100)
    world.hear(m.ControlRequested, command="flatten", by="uid 1000")
    (intent,) = [one.order.intent for one in of_kind(world.rebalance().effects, m.SubmitOrder)]
    world.acknowledge(intent)
    assert changed(ask(world, f"{intent} 60 - -"))
    world.hear(m.OrderHanded, intent=intent, change=1)
    world.open_order(intent, quantity=D(60))
    step = world.take(replace(asking(world, f"{intent} 100 - -"), quotes=()))
    assert (changed(step) is not None) == is_sent
    assert is_sent or refusal(step).check == "quote"


# ── no answer at all ────────────────────────────────────────────────────────────────────────────────────────────────


def two_unanswered(**settings: Any) -> World:
    """Orders 1 and 2 were modified within a second, the bytes left, and the broker says nothing."""
    world = World.ready(replace(SETTINGS, **settings))
    for intent in (world.one(AAA="0.1"), world.one(AAA="0.1", BBB="0.1")):
        world.acknowledge(intent)
    for words in ("1 150 - -", "2 250 - -"):
        assert changed(ask(world, words))
    for intent in (1, 2):
        world.hear(m.OrderHanded, intent=intent, change=1)
    return world


def change_of(world: World, intent: int) -> Change:
    change = world.order(intent).change
    assert change is not None
    return change


def test_of_each_modification_that_is_not_answered_a_person_is_told_though_the_link_is_lost() -> None:
    """Of the second as of the first, and at once: without a link neither can be asked about."""
    world = two_unanswered()
    world.hear(m.LinkLost, reason="reset by peer")
    world.wait(15)
    told = of_kind(world.hear(m.TimeReached).effects, m.RaiseAlert)
    assert [one.key for one in told] == ["modification_unacknowledged"] * 2
    assert ["lw:k7q2:1" in told[0].text, "lw:k7q2:2" in told[1].text] == [True, True]
    assert (change_of(world, 1).deadline, change_of(world, 2).deadline) == (None, None)


@pytest.mark.parametrize("seconds", [10.0, 59.0, 60.0, 90.0])
def test_silence_is_told_once_however_long_an_answer_is_waited_for(seconds: float) -> None:
    """Also where it is waited for as long as silence must last to prove anything, or longer."""
    world = working(acknowledge_seconds=seconds)
    ask(world, "1 150 - -")
    handed(world)
    told = []
    for _ in range(4):
        world.now = max(next_deadline(world.state) or world.now, world.now)
        told += alerts(world.hear(m.TimeReached))
    assert told == ["modification_unacknowledged"]


def test_each_question_is_answered_under_its_own_number() -> None:
    """An answer opens the gate for its own order alone, also when it is told a second time."""
    world = two_unanswered()
    world.wait(15)
    asked = [one.order_id for one in of_kind(world.hear(m.TimeReached).effects, m.CancelOrder)]
    assert len(set(asked)) == 2 and [change_of(world, intent).asked_as for intent in (1, 2)] == asked
    before = change_of(world, 2)
    world.wait(5)
    step = world.hear(m.OrderErrorSeen, order_id=asked[1], code=10147, text="is not found", verdict="not found")
    quiet = timedelta(seconds=world.settings.absence_quiet_seconds)
    assert change_of(world, 2) == replace(before, answered_at=world.now, deadline=world.now + quiet)
    (reading,) = of_kind(step.effects, m.RequestSnapshot)
    assert "lw:k7q2:2" in reading.reason
    for _ in range(2):
        assert [reason.split(" was modified")[0] for reason in reasons(world.state, world.now)] == [
            "orders: lw:k7q2:1 (AAA)"
        ]
        world.hear(m.OrderErrorSeen, order_id=asked[1], code=10147, text="is not found", verdict="not found")


@pytest.mark.parametrize(("seconds", "pace"), [(30.0, 30), (2.0, 2), (0.1, 1)])
def test_after_the_answer_the_orders_are_read_at_a_pace_until_their_terms_are_known(seconds: float, pace: int) -> None:
    """First when the quiet time is over, then again and again, a second apart at least; nothing is sent anew."""
    world = working(absence_round_seconds=seconds)
    ask(world, "1 150 - -")
    handed(world)
    world.now = next_deadline(world.state) or world.now
    world.hear(m.TimeReached)
    world.hear(m.OrderErrorSeen, order_id=change_of(world, 1).asked_as, code=10147, text="", verdict="not found")
    due = world.now + timedelta(seconds=60)
    for _ in range(3):
        assert next_deadline(world.state) == change_of(world, 1).deadline == due
        assert gate(world.state, 1, world.now) == "no modification waits to be sent"
        world.now = due
        step = world.hear(m.TimeReached)
        assert [type(effect) for effect in step.effects] == [m.RequestSnapshot]
        due += timedelta(seconds=pace)


@pytest.mark.parametrize(("filled", "quantity", "is_asked"), [(0, 45, False), (0, 50, True), (60, 90, True)])
def test_the_fewest_that_the_broker_takes_are_of_the_whole_order(filled: int, quantity: int, is_asked: bool) -> None:
    """It holds an order of 90 of which 60 have filled, though 30 alone would be too few."""
    world = working()
    world.state.instruments["AAA"] = replace(world.state.instruments["AAA"], min_size=D(50))
    if filled:
        world.fill(1, filled)
    step = ask(world, f"1 {quantity} - -")
    assert bool(of_kind(step.facts, m.OrderChangeAsked)) is is_asked
    assert [one.check for one in of_kind(step.facts, m.TradeRefused)] == ([] if is_asked else ["contract_min_size"])
