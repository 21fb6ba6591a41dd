"""Each message about an order, our transport's word and the passing of time, one by one: every fact, every field."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.order_life.lifecycle import (
    commission,
    completed_order,
    execution,
    handed,
    is_known,
    open_order,
    order_error,
    order_status,
    orphaned,
    overdue,
    withheld,
)
from longwatch.domain.orders import Absence, Change, Evidence, Order, OrderState
from longwatch.domain.state import put_order
from tests.domain import world as told
from tests.domain.world import ACCOUNT, CLIENT, CLOSE, World, of_kind, perm_id

D = Decimal
S, E = OrderState, Evidence
SECOND = timedelta(seconds=1)
STEM = "00018.45a1"


def ordered(**fields: object) -> tuple[World, Order]:
    """One order of 100 AAA that is at work, but for what is changed of it; the clock has gone on since."""
    world = World.ready()
    world.acknowledge(world.one(AAA="0.1"))
    world.wait(5)
    put_order(world.state, replace(world.order(1), **fields))  # type: ignore[arg-type]
    return world, world.order(1)


def sent(**fields: object) -> tuple[World, Order]:
    """One that is with the transport, and of which nothing was heard."""
    world = World.ready()
    world.handed(world.one(AAA="0.1"))
    world.wait(5)
    put_order(world.state, replace(world.order(1), **fields))  # type: ignore[arg-type]
    return world, world.order(1)


def moved(found: object) -> tuple[object, ...]:
    (one,) = of_kind(found, m.OrderMoved)  # type: ignore[arg-type]
    return one.state, one.evidence, one.text, one.deadline, one.reported, one.ending


def due(world: World) -> object:
    return world.now + timedelta(seconds=world.settings.acknowledge_seconds)


# ── openOrder and orderStatus ───────────────────────────────────────────────────────────────────────────────────────


def test_an_order_shown_as_open_is_acknowledged_whatever_account_the_row_leaves_out() -> None:
    """In the gateway's words; another account's is none of ours."""
    for status in ("PreSubmitted", "Submitted", "PendingCancel"):
        world, order = sent()
        for account in (ACCOUNT, ""):
            row = told.open_order(order, world.now, status, account=account)
            found = list(open_order(world.state, row))
            assert moved(found) == (S.WORKING, E.ACKNOWLEDGED, status, None, D(0), None)
        assert list(open_order(world.state, replace(row, account="DU999999"))) == []


def test_a_row_is_known_by_any_name_of_the_order() -> None:
    """Its ref, its permId, or the client's order id."""
    world, order = ordered(absence=Absence(since=told.START), state=S.UNKNOWN)
    row = told.open_order(order, world.now)
    for names in ({"ref": "", "order_id": 0}, {"perm_id": 0, "ref": ""}, {"perm_id": 0, "order_id": 0}):
        assert of_kind(open_order(world.state, replace(row, **names)), m.ForeignOrderSet) == []  # type: ignore[arg-type]
    stranger = replace(row, ref="", perm_id=77, order_id=77)
    assert of_kind(open_order(world.state, stranger), m.ForeignOrderSet)
    elsewhere = replace(row, ref="", perm_id=77, client_id=9)
    assert of_kind(open_order(world.state, elsewhere), m.ForeignOrderSet)


@pytest.mark.parametrize("fields", [{"status": "Inactive"}, {"status": "PendingSubmit"}, {"perm_id": 0}], ids=str)
def test_an_unknown_order_that_is_shown_at_all_is_not_absent(fields: dict[str, object]) -> None:
    """What was gathered is void, from now on; how often it was looked for goes on setting the pace."""
    before = told.START
    gathered = Absence(
        since=before, rounds=3, first_round_at=before, last_round_at=before, cancel_not_found=True, broken="told"
    )
    world, order = sent(state=S.UNKNOWN, absence=gathered)
    row = told.open_order(order, world.now, **({"status": "Submitted"} | fields))
    void = replace(gathered, since=world.now, first_round_at=None, cancel_not_found=False, spoken_of=True)
    noted = m.AbsenceNoted(intent=1, absence=void)
    assert of_kind(open_order(world.state, row), m.AbsenceNoted) == [noted]
    put_order(world.state, replace(order, absence=None))
    fresh = m.AbsenceNoted(intent=1, absence=Absence(since=world.now, spoken_of=True))
    assert of_kind(open_order(world.state, row), m.AbsenceNoted) == [fresh]


def test_an_order_that_is_ending_is_not_acknowledged_and_a_working_one_keeps_what_it_waits_for() -> None:
    world, order = ordered(ending=S.CANCELLED, reported=D(40))
    assert of_kind(open_order(world.state, told.open_order(order, world.now)), m.OrderMoved) == []
    world, order = ordered(deadline=told.CLOSE)
    assert of_kind(open_order(world.state, told.open_order(order, world.now)), m.OrderMoved) == []


@pytest.mark.parametrize(("state", "asked", "again"), [(S.SENDING, True, True), (S.SENDING, False, False)])
def test_a_cancel_asked_for_before_the_broker_had_the_order_goes_out_again(
    state: OrderState, asked: bool, again: bool
) -> None:
    world, order = sent(state=state, cancel_asked=asked)
    step = world.take(told.open_order(order, world.now))
    assert of_kind(step.effects, m.CancelOrder) == (
        [m.CancelOrder(intent=1, order_id=order.order_id or 0)] if again else []
    )
    assert of_kind(world.take(told.open_order(order, world.now)).effects, m.CancelOrder) == []


def status(world: World, order: Order, word: str, filled: int = 0, **fields: object) -> list[object]:
    row = replace(told.order_status(order, world.now, word, D(filled)), **fields)  # type: ignore[arg-type]
    return list(order_status(world.state, row))


def test_each_word_of_a_status_leads_where_it_says() -> None:
    """In its own words, and by the figure that comes with it."""
    world, order = ordered()
    assert moved(status(world, order, "Cancelled")) == (S.CANCELLED, E.CANCELLED, "Cancelled", None, D(0), None)
    assert moved(status(world, order, "ApiCancelled"))[2] == "ApiCancelled"
    waits = (S.WORKING, E.PART_FILLED, "Cancelled", due(world), D(40), S.CANCELLED)
    assert moved(status(world, order, "Cancelled", 40)) == waits
    filled = (S.WORKING, E.PART_FILLED, "Filled", due(world), D(100), S.FILLED)
    assert moved(status(world, order, "Filled", 100)) == filled
    late = replace(told.order_status(order, CLOSE, "Cancelled", D(0)), tech=world.now)
    assert moved(order_status(world.state, late))[:2] == (S.EXPIRED, E.EXPIRED)
    assert status(world, order, "Inactive") == status(world, order, "Submitted", perm_id=0) == []
    fresh, young = sent()
    acknowledged = (S.WORKING, E.ACKNOWLEDGED, "PreSubmitted", None, D(0), None)
    assert moved(status(fresh, young, "PreSubmitted")) == acknowledged


@pytest.mark.parametrize(
    ("fields", "filled", "waits"),
    [
        ({}, 40, True),
        ({"filled": D(40)}, 40, False),
        ({"filled": D(40)}, 41, True),
        ({"reported": D(40)}, 40, False),
        ({"reported": D(40)}, 41, True),
        ({"filled": D(30), "taken_back": D(10)}, 40, False),
        ({"state": S.REJECTED, "filled": D(0)}, 0, False),
    ],
)
def test_a_status_that_counts_more_than_was_told_is_waited_for(
    fields: dict[str, object], filled: int, waits: bool
) -> None:
    """Its executions are due in the time of an answer."""
    world, order = ordered(**fields)
    found = status(world, order, "Submitted", filled)
    expected = (S.WORKING, E.PART_FILLED, "", due(world), D(filled), None)
    late = [one for one in of_kind(found, m.OrderMoved) if one.evidence is E.PART_FILLED]
    assert bool(late) is waits
    if waits:
        assert moved(late) == expected


def test_a_status_of_an_order_that_has_ended_awaits_nothing() -> None:
    world, order = ordered(state=S.FILLED, filled=D(100))
    assert [one for one in of_kind(status(world, order, "Submitted", 101), m.OrderMoved)] == []


# ── executions and commissions ──────────────────────────────────────────────────────────────────────────────────────


def test_an_execution_is_booked_with_all_that_it_says() -> None:
    world, order = ordered()
    row = replace(told.execution(order, world.now, f"{STEM}.01", 40, "99.50"), executed_at=world.now - SECOND)
    (booked,) = execution(world.state, row)
    assert booked == m.FillBooked(
        exec_id=f"{STEM}.01",
        intent=1,
        con_id=1,
        symbol="AAA",
        side=Side.BUY,
        quantity=D(40),
        price=D("99.50"),
        executed_at=world.now - SECOND,
        tech=world.now,
        perm_id=perm_id(1),
    )
    assert of_kind(execution(world.state, replace(row, account="")), m.FillBooked) == [booked]
    assert list(execution(world.state, replace(row, account="DU999999"))) == []


@pytest.mark.parametrize("revision", [2, 5, 9, 10])
def test_a_revision_replaces_the_newest_before_it_and_an_older_one_is_no_news(revision: int) -> None:
    """Revisions may be left out; the shares that it takes back are counted, those that it gives back too."""
    world, order = ordered()
    world.fill(1, 60, exec_id=f"{STEM}.01")
    row = told.execution(order, world.now, f"{STEM}.{revision:02d}", 45, "99")
    booked = next(iter(execution(world.state, row)))
    assert isinstance(booked, m.FillBooked)
    assert (booked.replaces, booked.taken_back) == (f"{STEM}.01", D(15))
    world.take(row)
    assert world.order(1).told == 60
    for older in {1, revision - 1}:
        again = told.execution(order, world.now, f"{STEM}.{older:02d}", 60, "99")
        assert list(execution(world.state, again)) == []
    more = told.execution(order, world.now, f"{STEM}.{revision + 1:02d}", 80, "99")
    booked = next(iter(execution(world.state, more)))
    assert isinstance(booked, m.FillBooked)
    assert (booked.replaces, booked.taken_back) == (f"{STEM}.{revision:02d}", D(-15))


@pytest.mark.parametrize("name", [f"{STEM}.1", f"{STEM}.001", f"{STEM}.x1", STEM])
def test_a_name_that_does_not_end_in_two_digits_is_no_revision(name: str) -> None:
    world, order = ordered()
    world.fill(1, 30, exec_id=f"{STEM}.01")
    booked = next(iter(execution(world.state, told.execution(order, world.now, name, 20, "99"))))
    assert isinstance(booked, m.FillBooked) and booked.replaces is None


def test_what_an_execution_leaves_of_an_order() -> None:
    """At work with what is still due, ended by the word that came before, or filled in full."""
    world, _ = ordered(deadline=told.CLOSE, reported=D(60), text="told")
    step = world.fill(1, 40, exec_id="1.01")
    assert of_kind(step.facts, m.OrderMoved) == []
    step = world.fill(1, 20, exec_id="2.01")
    assert moved(step.facts) == (S.WORKING, E.PART_FILLED, "", None, D(60), None)
    step = world.fill(1, 40, exec_id="3.01")
    assert moved(step.facts) == (S.FILLED, E.ALL_FILLED, "", None, D(100), None)
    world, _ = ordered(ending=S.CANCELLED, reported=D(60), text="told")
    world.fill(1, 40, exec_id="1.01")
    step = world.fill(1, 20, exec_id="2.01")
    assert moved(step.facts) == (S.CANCELLED, E.CANCELLED, "told", None, D(60), None)


def test_an_order_filled_beyond_what_it_asked_for_is_told_at_once() -> None:
    """By how much; one that is filled exactly is not."""
    world, order = ordered()
    assert of_kind(world.fill(1, 100, exec_id="1.01").effects, m.RaiseAlert) == []
    step = world.fill(1, 1, exec_id="2.01")
    (alert,) = of_kind(step.effects, m.RaiseAlert)
    text = f"order {order.ref} asked for 100 and filled 101"
    assert alert == m.RaiseAlert(key="overfilled", text=text, severity="critical")


@pytest.mark.parametrize("state", [S.CANCELLED, S.EXPIRED])
def test_a_late_fill_of_an_order_that_has_ended_leaves_its_end(state: OrderState) -> None:
    world, _ = ordered(state=state)
    step = world.fill(1, 40, exec_id="1.01")
    assert of_kind(step.facts, m.OrderMoved) == [] and world.order(1).filled == 40


def test_a_commission_is_booked_once_with_its_currency_and_order() -> None:
    """For an execution not heard of it is kept under its id; another figure is news."""
    world, _ = ordered()
    world.fill(1, 40, exec_id="1.01")
    paid = told.commission("1.01", world.now)
    booked = m.CommissionBooked(exec_id="1.01", intent=1, commission=D("1.25"), currency="USD")
    assert list(commission(world.state, paid)) == [booked]
    assert list(commission(world.state, replace(paid, exec_id="9.01"))) == [
        replace(booked, exec_id="9.01", intent=None)
    ]
    world.take(paid)
    assert list(commission(world.state, paid)) == []
    assert len(list(commission(world.state, replace(paid, commission=D("1.26"))))) == 1


def test_what_is_known_can_change_nothing() -> None:
    """An execution that is booked, a commission of the same figure, a row of an order that has ended; nothing else."""
    world, order = ordered()
    world.fill(1, 40, exec_id="1.01")
    world.take(told.commission("1.01", world.now))
    fill, paid = told.execution(order, world.now, "1.01", 40, "100"), told.commission("1.01", world.now)
    row = told.completed(order, world.now, "Cancelled", 40)
    assert is_known(world.state, fill) and not is_known(world.state, replace(fill, exec_id="1.02"))
    assert is_known(world.state, paid) and not is_known(world.state, replace(paid, commission=D(9)))
    assert not is_known(world.state, replace(paid, exec_id="1.02"))
    for state in S:
        put_order(world.state, replace(world.order(1), state=state))
        has_ended = state in (S.FILLED, S.CANCELLED, S.REJECTED, S.EXPIRED)
        for names in ({}, {"ref": ""}, {"perm_id": 0}):
            assert is_known(world.state, replace(row, **names)) is has_ended, (state, names)  # type: ignore[arg-type]
    assert not is_known(world.state, replace(row, ref="", perm_id=77))
    put_order(world.state, replace(world.order(1), state=S.FILLED))
    assert not is_known(world.state, replace(row, ref="lw:k7q2:9", perm_id=77))


# ── completed orders and errors ─────────────────────────────────────────────────────────────────────────────────────


def last_word(world: World, order: Order, word: str, filled: int = 0, **fields: object) -> list[object]:
    row = replace(told.completed(order, world.now, word, filled), text="why", **fields)  # type: ignore[arg-type]
    return list(completed_order(world.state, row))


def test_each_word_of_a_completed_order_leads_where_it_says() -> None:
    """With the text that came; by ref or permId; of this account or of none named."""
    world, order = ordered()
    assert moved(last_word(world, order, "Cancelled")) == (S.CANCELLED, E.CANCELLED, "why", None, D(0), None)
    assert moved(last_word(world, order, "ApiCancelled", account=""))[0] is S.CANCELLED
    assert moved(last_word(world, order, "Inactive")) == (S.REJECTED, E.REJECTED, "why", None, D(0), None)
    waits = (S.WORKING, E.PART_FILLED, "why", due(world), D(40))
    assert moved(last_word(world, order, "Cancelled", 40)) == (*waits, S.CANCELLED)
    assert moved(last_word(world, order, "Inactive", 40)) == (*waits, S.REJECTED)
    assert moved(last_word(world, order, "Filled", 0)) == (*waits[:4], D(100), S.FILLED)
    assert moved(last_word(world, order, "Cancelled", ref=""))[0] is S.CANCELLED
    row = replace(told.completed(order, CLOSE, "Cancelled", 0), tech=world.now)
    assert moved(completed_order(world.state, row))[0] is S.EXPIRED
    assert last_word(world, order, "Submitted") == last_word(world, order, "Cancelled", account="DU999999") == []
    assert last_word(world, order, "Cancelled", ref="", perm_id=77) == []


@pytest.mark.parametrize("state", [S.FILLED, S.CANCELLED, S.REJECTED, S.EXPIRED])
def test_a_completed_row_of_an_order_that_has_ended_is_no_news(state: OrderState) -> None:
    world, order = ordered(state=state)
    for word in ("Filled", "Cancelled", "Inactive"):
        assert of_kind(last_word(world, order, word, 40), m.OrderMoved) == []


def test_a_completed_row_of_a_lost_copy_is_disowned() -> None:
    world, order = ordered()
    found = last_word(world, order, "Filled", 40, ref="lw:k7q2:9", perm_id=77)
    assert [type(one) for one in found] == [m.IntentsTaken, m.QuarantineSet, m.RaiseAlert]


def error(world: World, order: Order, verdict: str, **fields: object) -> list[object]:
    row = m.OrderErrorSeen(
        at=world.now, tech=world.now, order_id=order.order_id or 0, code=321, text="the words", verdict=verdict
    )
    return list(order_error(world.state, replace(row, **fields)))  # type: ignore[arg-type]


def test_an_error_on_a_number_nobody_has_is_told_with_its_words() -> None:
    world, order = ordered()
    text = "321 on order id 77: the words"
    assert error(world, order, "rejected", order_id=77) == [m.RaiseAlert(key="error_on_unknown_order", text=text)]
    world.state.client_id = CLIENT + 1
    assert [type(one) for one in error(world, order, "rejected")] == [m.RaiseAlert]


def test_a_rejection_ends_the_order_in_the_words_of_the_code_once_its_fills_are_told() -> None:
    world, order = ordered()
    assert moved(error(world, order, "rejected")) == (S.REJECTED, E.REJECTED, "321 the words", None, D(0), None)
    world, order = ordered(reported=D(40))
    waits = (S.WORKING, E.PART_FILLED, "321 the words", due(world), D(40), S.REJECTED)
    assert moved(error(world, order, "rejected")) == waits


def test_an_unclear_code_is_told_with_its_meaning_where_there_is_one() -> None:
    """At its severity; one that is only information is not."""
    world, order = ordered()
    text = f"order {order.ref} stays working: 321 the words"
    for severity in ("warning", "critical"):
        (alert,) = of_kind(error(world, order, "unclear", severity=severity), m.RaiseAlert)
        assert alert == m.RaiseAlert(key="unclear_code", text=text, severity=severity)
    (alert,) = of_kind(error(world, order, "unclear", severity="warning", meaning="it is late"), m.RaiseAlert)
    assert alert.text == f"{text} (it is late)"
    assert of_kind(error(world, order, "unclear", severity="info"), m.RaiseAlert) == []


def test_a_code_on_an_order_the_broker_was_never_sent_is_told_however_harmless_it_is() -> None:
    """As a warning at least."""
    for state in (S.INTENDED, S.REFUSED):
        for severity, told_as in (("info", "warning"), ("critical", "critical")):
            world, order = sent(state=state)
            (alert,) = of_kind(error(world, order, "unclear", severity=severity), m.RaiseAlert)
            assert (alert.key, alert.severity) == ("unclear_code", told_as)


def test_a_change_that_is_refused_is_told_in_the_words_of_the_code() -> None:
    """Of the order that goes on as it was."""
    change = Change(number=1, quantity=D(50), limit_price=None, stop_price=None, asked_at=told.START, handed=True)
    world, order = ordered(change=change)
    terms, alert = error(world, order, "unchanged")
    assert (type(terms), terms.text) == (m.OrderTermsSet, "the modification is refused: 321 the words")  # type: ignore[attr-defined]
    assert alert.key == "modification_refused"  # type: ignore[attr-defined]


def test_a_cancel_not_found_counts_towards_an_absence_that_is_gathered_and_asks_where_none_is() -> None:
    world, order = sent(state=S.UNKNOWN, absence=Absence(since=told.START, rounds=2))
    gathered = Absence(since=told.START, rounds=2, cancel_not_found=True)
    assert error(world, order, "not found") == [m.AbsenceNoted(intent=1, absence=gathered)]
    put_order(world.state, replace(order, absence=None))
    asked = m.RequestSnapshot(reason=f"order {order.ref}: 321 the words")
    assert error(world, order, "not found") == [asked]


def test_a_word_on_an_order_voids_its_absence_and_asks_for_the_account() -> None:
    world, order = sent(state=S.UNKNOWN, absence=Absence(since=told.START, rounds=2, cancel_not_found=True))
    void = m.AbsenceNoted(intent=1, absence=Absence(since=world.now, rounds=2, spoken_of=True))
    asked = m.RequestSnapshot(reason=f"order {order.ref}: 321 the words")
    assert error(world, order, "too late") == [void, asked]


def test_an_unclear_word_on_an_order_whose_change_is_under_way_asks_which_terms_are_in_force() -> None:
    change = Change(number=1, quantity=D(50), limit_price=None, stop_price=None, asked_at=told.START)
    world, order = ordered(change=change)
    asked = m.RequestSnapshot(reason=f"which terms of order {order.ref} are in force: 321 the words")
    assert error(world, order, "unclear", severity="info") == [asked]
    assert asked not in error(world, order, "notice", severity="info")
    put_order(world.state, replace(order, change=None))
    assert error(world, order, "unclear", severity="info") == []


# ── our transport, the link and the clock ───────────────────────────────────────────────────────────────────────────


def hand_over(world: World) -> tuple[object, ...]:
    return moved(handed(world.state, m.OrderHanded(at=world.now, tech=world.now, intent=1)))


def test_from_the_hand_over_on_an_answer_is_due_but_one_that_was_spoken_of_keeps_its_own() -> None:
    world, order = sent(handed=False, text="told", deadline=told.CLOSE)
    assert hand_over(world) == (S.SENDING, E.HANDED, "", due(world), D(0), None)
    for state in (S.UNKNOWN, S.WORKING):
        put_order(world.state, replace(order, state=state, text="told", deadline=told.CLOSE))
        assert hand_over(world) == (state, E.HANDED, "told", told.CLOSE, D(0), None)


def hold_back(world: World) -> list[object]:
    return list(withheld(world.state, m.OrderWithheld(at=world.now, tech=world.now, intent=1, reason="the gate")))


@pytest.mark.parametrize("side", list(Side))
def test_bytes_that_never_left_are_a_refusal_of_the_trade_by_the_gate(side: Side) -> None:
    world = World.ready()
    world.one(AAA="0.1")
    order = replace(world.order(1), side=side)
    put_order(world.state, order)
    refused, unsent = hold_back(world)
    assert refused == m.TradeRefused(
        run_id=order.run_id,
        symbol="AAA",
        check="gate",
        wanted=D(100) * side.sign,
        observed="the gate",
        limit="an open gate",
        text=f"{side.value} 100 AAA was not sent: the gate",
        intent=1,
    )
    assert moved([unsent]) == (S.UNSENT, E.WITHHELD, "the gate", None, D(0), None)
    put_order(world.state, replace(order, state=S.UNSENT))
    assert of_kind(hold_back(world), m.TradeRefused) == []
    put_order(world.state, replace(order, state=S.WORKING))
    assert [type(one) for one in hold_back(world)] == [m.RaiseAlert]


@pytest.mark.parametrize(
    ("only_handed", "is_handed", "follows"), [(True, False, 0), (True, True, 1), (False, False, 1)]
)
def test_what_was_being_sent_when_the_link_went_is_unknown_from_then_on(
    only_handed: bool, is_handed: bool, follows: int
) -> None:
    """What waited for its turn only where the process went; what was only intended has never left."""
    world, order = sent(handed=is_handed)

    def lost() -> list[object]:
        return list(orphaned(world.state, world.now, E.LINK_LOST, "cut", only_handed=only_handed))

    assert len(lost()) == follows
    if follows:
        assert moved(lost()) == (S.UNKNOWN, E.LINK_LOST, "cut", world.now, D(0), None)
    put_order(world.state, replace(order, state=S.INTENDED))
    assert moved(lost()) == (S.UNSENT, E.WITHHELD, "cut", None, D(0), None)
    put_order(world.state, replace(order, state=S.WORKING))
    assert lost() == []


def late(world: World) -> list[object]:
    return list(overdue(world.state, world.now))


ASKED = m.RequestSnapshot(reason="an answer is overdue")


def test_an_order_not_acknowledged_in_time_is_unknown_and_a_person_is_asked_to_look() -> None:
    """At the very instant, not before; it is looked at again by and by, and the account is read."""
    world, order = sent()
    for seconds, expected in ((30.0, 30), (0.25, 1)):
        world.state.settings = replace(world.settings, absence_round_seconds=seconds)
        put_order(world.state, replace(order, deadline=world.now))
        unknown, alert, asked = late(world)
        again = world.now + timedelta(seconds=expected)
        assert moved([unknown]) == (S.UNKNOWN, E.SILENCE, "no acknowledgement", again, D(0), None)
        assert alert == m.RaiseAlert(
            key="order_unacknowledged",
            text=f"BUY 100 AAA ({order.ref}) was not acknowledged in time; is a window open in the gateway that waits "
            "for a person? No orders until it answers",
        )
        assert asked == ASKED
    for deadline in (None, world.now + timedelta(microseconds=1)):
        put_order(world.state, replace(order, deadline=deadline))
        assert late(world) == []


@pytest.mark.parametrize("link", [m.Link.READY, m.Link.SYNCING, m.Link.DISCONNECTED])
def test_an_unknown_order_is_looked_for_again_while_there_is_a_link(link: m.Link) -> None:
    """Without one nothing can be learned: the next begins with a download."""
    world, _ = sent(state=S.UNKNOWN, text="told", deadline=told.START)
    world.state.link = link
    found = late(world)
    again = world.now + timedelta(seconds=world.settings.absence_round_seconds)
    is_ready = link is m.Link.READY
    assert moved(found) == (S.UNKNOWN, E.SILENCE, "told", again if is_ready else None, D(0), None)
    assert found[1:] == ([ASKED] if is_ready else [])


def test_fills_that_were_due_are_asked_for_once() -> None:
    """The text stays; one order that is late is enough, whatever others wait for."""
    world, _ = ordered(reported=D(40), text="told", deadline=told.START)
    put_order(world.state, replace(world.order(1), intent=2, deadline=None))
    assert moved(late(world)) == (S.WORKING, E.PART_FILLED, "told", None, D(40), None)
    assert late(world)[1:] == [ASKED]
    put_order(world.state, replace(world.order(1), intent=3, deadline=told.START))
    assert [type(one) for one in late(world)] == [m.OrderMoved, m.OrderMoved, m.RequestSnapshot]


# ── by which names, and whose ───────────────────────────────────────────────────────────────────────────────────────


def test_a_status_is_of_the_order_that_its_perm_id_or_its_number_names() -> None:
    """One without a permId, or of another word, acknowledges nothing."""
    world, order = ordered()
    assert moved(status(world, order, "Cancelled", order_id=0))[0] is S.CANCELLED
    assert moved(status(world, order, "Cancelled", perm_id=0))[0] is S.CANCELLED
    assert status(world, order, "Cancelled", perm_id=0, client_id=9) == []
    fresh, young = sent()
    assert of_kind(status(fresh, young, "Inactive"), m.OrderMoved) == []
    assert of_kind(status(fresh, young, "Submitted", perm_id=0), m.OrderMoved) == []


def test_a_status_of_somebody_elses_order_is_theirs() -> None:
    world, order = ordered()
    theirs = m.ForeignOrderSet(perm_id=77, con_id=2, symbol="BBB", side=Side.SELL, remaining=D(50), status="Submitted")
    world.state.foreign_orders[77] = theirs
    found = status(world, order, "Submitted", 70, perm_id=77, order_id=77)
    assert found == [replace(theirs, remaining=D(30), filled=D(70))]


@pytest.mark.parametrize(
    "names", [{"ref": "", "perm_id": 0}, {"ref": "", "order_id": 0}, {"perm_id": 0, "order_id": 0}]
)
def test_an_execution_is_of_the_order_that_any_of_its_names_names(names: dict[str, object]) -> None:
    world, order = ordered()
    row = replace(told.execution(order, world.now, "1.01", 40, "99"), **names)  # type: ignore[arg-type]
    (booked,) = of_kind(execution(world.state, row), m.FillBooked)
    assert booked.intent == 1
    (booked,) = of_kind(execution(world.state, replace(row, ref="", perm_id=0, client_id=9)), m.FillBooked)
    assert booked.intent is None


def test_somebody_elses_execution_and_its_revision_move_what_is_outside() -> None:
    """By its shares, and then by their difference, as a correction; nothing of it was taken back from an order."""
    world, _ = ordered()
    step = world.stranger("BBB", 30, "0009.01", Side.SELL)
    (booked,) = of_kind(step.facts, m.FillBooked)
    (outside,) = of_kind(step.facts, m.OutsideSet)
    assert (booked.intent, booked.taken_back, outside.quantity, outside.cause) == (None, 0, -30, "manual trade")
    step = world.stranger("BBB", 20, "0009.02", Side.SELL)
    (booked,) = of_kind(step.facts, m.FillBooked)
    (outside,) = of_kind(step.facts, m.OutsideSet)
    assert (booked.replaces, booked.taken_back, outside.quantity) == ("0009.01", 0, -20)
    assert outside.cause == "correction"


def test_a_revision_replaces_what_it_revises_and_not_what_was_inferred_of_the_order() -> None:
    world, order = ordered()
    world.fill(1, 40, exec_id=f"{STEM}.01")
    inferred = replace(world.state.fills[f"{STEM}.01"], exec_id="inferred:1.1", executed_at=CLOSE)
    world.state.fills["inferred:1.1"] = inferred
    (booked,) = of_kind(execution(world.state, told.execution(order, world.now, f"{STEM}.02", 30, "99")), m.FillBooked)
    assert (booked.replaces, booked.taken_back) == (f"{STEM}.01", 10)
    found = execution(world.state, told.execution(order, world.now, "00019.01", 30, "99"))
    booked, rest, *_ = of_kind(found, m.FillBooked)
    assert (booked.replaces, booked.taken_back) == ("inferred:1.1", 0)
    assert (rest.exec_id[:9], rest.quantity, rest.tech) == ("inferred:", 10, world.now)


def test_a_revision_without_a_name_is_of_the_order_whose_execution_it_revises() -> None:
    world, order = ordered()
    world.fill(1, 40, exec_id=f"{STEM}.01")
    row = replace(told.execution(order, world.now, f"{STEM}.02", 30, "99"), ref="", perm_id=0, order_id=0, client_id=0)
    (booked,) = of_kind(execution(world.state, row), m.FillBooked)
    assert (booked.intent, booked.replaces, booked.taken_back) == (1, f"{STEM}.01", 10)
