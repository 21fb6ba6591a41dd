"""What single messages, silence and our own transport do to an order: the cases that are easy to get wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.decide import gate, next_deadline
from longwatch.domain.instruments import Side
from longwatch.domain.order_life.identity import key_of
from longwatch.domain.orders import OrderState
from longwatch.domain.risk.exposure import worst_shares
from tests.domain.world import (
    ACCOUNT,
    CON_IDS,
    SETTINGS,
    World,
    alerts,
    commission,
    completed,
    execution,
    of_kind,
    open_order,
    order_status,
    perm_id,
)

D = Decimal
S = OrderState


def sent(settings=SETTINGS) -> tuple[World, int]:
    """A world with one order of 100 AAA handed to the transport."""
    world = World.ready(settings)
    intent = world.one(AAA="0.1")
    world.handed(intent)
    return world, intent


# ── at most once ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_order_that_waited_past_its_deadline_must_not_leave_any_more() -> None:
    """Unknown by its deadline, it could be proven absent while its bytes still wait: the gate holds them back."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    assert gate(world.state, intent, world.now) is None
    world.wait(21)
    world.hear(m.TimeReached)
    assert world.order(intent).state is S.UNKNOWN
    assert gate(world.state, intent, world.now) == "the order is unknown"


def test_an_unknown_order_that_was_never_handed_is_proven_unsent() -> None:
    """The transport's own word ends it: nothing to look for at the broker."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.wait(21)
    world.hear(m.TimeReached)
    step = world.hear(m.OrderWithheld, intent=intent, reason="the order is unknown")
    assert world.order(intent).state is S.UNSENT
    assert [fact.check for fact in of_kind(step.facts, m.TradeRefused)] == ["gate"]


def test_bytes_written_as_the_deadline_passed_are_known_to_have_left() -> None:
    """The hand-over is noted although the order is unknown by then, and the acknowledgement settles it."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.wait(21)
    world.hear(m.TimeReached)
    world.handed(intent)
    assert (world.order(intent).state, world.order(intent).handed) == (S.UNKNOWN, True)
    world.open_order(intent)
    assert world.order(intent).state is S.WORKING


def test_silence_makes_an_order_unknown_and_asks_the_broker() -> None:
    """No acknowledgement by the deadline: an alert, a snapshot, and the order still counts."""
    world, intent = sent()
    assert next_deadline(world.state) == world.now + timedelta(seconds=10)
    world.wait(10)
    step = world.hear(m.TimeReached)
    assert world.order(intent).state is S.UNKNOWN
    assert intent in world.state.live
    assert alerts(step) == ["order_unacknowledged"]
    assert of_kind(step.effects, m.RequestSnapshot)


@pytest.mark.parametrize("handed, expected", [(True, S.UNKNOWN), (False, S.SENDING)])
def test_a_lost_link_makes_unknown_only_what_had_left(handed: bool, expected: OrderState) -> None:
    """What still waited for its turn is told of by the budget, as withheld."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    if handed:
        world.handed(intent)
    world.hear(m.LinkLost, reason="reset by peer")
    assert world.order(intent).state is expected


def test_a_restart_makes_everything_that_was_being_sent_unknown_and_submits_nothing() -> None:
    """After a crash nobody knows whether the bytes left; what works at the broker goes on."""
    world = World.ready()
    working = world.one(AAA="0.1")
    world.acknowledge(working)
    (sending,) = (order.intent for order in world.trade(AAA="0.1", BBB="0.1"))
    world.start()
    assert world.order(sending).state is S.UNKNOWN
    assert world.order(working).state is S.WORKING
    step = world.connect()
    assert of_kind(step.effects, m.SubmitOrder) == []


# ── evidence only ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "code, verdict", [(10349, "unclear"), (399, "notice"), (202, "cancelled"), (10148, "too late")]
)
def test_an_error_that_is_no_verdict_never_ends_an_order(code: int, verdict: str) -> None:
    """A notice, an unlisted code, the announcement of a cancel: the order works on until its status says otherwise."""
    world, intent = sent()
    world.open_order(intent)
    world.hear(m.OrderErrorSeen, order_id=world.order(intent).order_id, code=code, text="", verdict=verdict)
    assert world.order(intent).state is S.WORKING


def test_an_error_about_an_order_id_we_do_not_know_is_told() -> None:
    """It is no order of this journal."""
    world = World.ready()
    step = world.hear(m.OrderErrorSeen, order_id=31_337, code=201, text="no", verdict="rejected")
    assert alerts(step) == ["error_on_unknown_order"]


def test_filled_without_executions_waits_for_them() -> None:
    """The status alone changes no position: a deadline stands until the executions have caught up."""
    world, intent = sent()
    world.status(intent, "Filled", 100)
    order = world.order(intent)
    assert (order.state, order.filled, order.reported, order.ending) == (S.WORKING, 0, 100, S.FILLED)
    assert world.state.held(1) == 0
    world.wait(10)
    step = world.hear(m.TimeReached)
    assert of_kind(step.effects, m.RequestSnapshot)
    world.fill(intent, 100)
    assert world.order(intent).state is S.FILLED


def test_filled_with_a_figure_of_zero_is_still_filled_in_full() -> None:
    """A completed order often comes without its quantity: filled means all of it, so the executions are waited for."""
    world, intent = sent()
    world.take(completed(world.order(intent), world.now, "Filled", 0))
    assert (world.order(intent).state, world.order(intent).reported) == (S.WORKING, 100)


def test_a_cancel_is_an_expiry_after_the_close_when_nobody_asked() -> None:
    """A DAY order that the exchange ends at the close has expired; before it, it was cancelled."""
    world, intent = sent()
    world.open_order(intent)
    world.now = world.state.sessions[1].close_at
    world.status(intent, "Cancelled")
    assert world.order(intent).state is S.EXPIRED


def test_an_order_taken_for_absent_that_fills_is_booked_and_a_person_hears_of_it() -> None:
    """The book follows the broker even when we had a proof."""
    world, intent = sent()
    world.state.orders[intent] = replace(world.order(intent), state=S.ABSENT)
    world.state.live.clear()
    step = world.fill(intent, 100)
    assert world.order(intent).state is S.FILLED
    assert world.state.held(1) == 100
    assert "order_revived" in alerts(step)


def test_an_absent_order_in_the_completed_orders_gets_its_true_end() -> None:
    """The download of completed orders is evidence for what was concluded without it."""
    world, intent = sent()
    world.state.orders[intent] = replace(world.order(intent), state=S.ABSENT)
    world.take(completed(world.order(intent), world.now, "Cancelled", 0))
    assert world.order(intent).state is S.CANCELLED


# ── executions and commissions ──────────────────────────────────────────────────────────────────────────────────────


def test_a_correction_replaces_what_it_corrects() -> None:
    """`.02` after `.01`, whichever comes first, is one fill at the corrected price with one commission."""
    world, intent = sent()
    world.fill(intent, 100, "100", exec_id="0001.01")
    world.take(commission("0001.01", world.now, "1.00"))
    world.fill(intent, 100, "101", exec_id="0001.02")
    assert (world.order(intent).filled, world.order(intent).average_price) == (100, 101)
    assert world.order(intent).commission == D("1.00")
    world.take(commission("0001.02", world.now, "1.10"))
    assert world.order(intent).commission == D("1.10")
    world.fill(intent, 100, "100", exec_id="0001.01")
    assert (world.order(intent).filled, world.order(intent).average_price) == (100, 101)
    assert world.state.commissions == {"0001.02": D("1.10")}


def test_executions_that_only_look_alike_are_not_corrections() -> None:
    """A revision has two digits: `E.1` and `E.2` are two fills."""
    world, intent = sent()
    world.fill(intent, 40, exec_id="E.1")
    world.fill(intent, 60, exec_id="E.2")
    assert world.order(intent).filled == 100


def test_a_commission_may_come_before_its_execution_and_twice() -> None:
    """It is charged once, when the execution is booked."""
    world, intent = sent()
    world.take(commission("0001.01", world.now))
    world.fill(intent, 100, exec_id="0001.01")
    world.take(commission("0001.01", world.now))
    assert world.order(intent).commission == D("1.25")


def test_a_strangers_trade_moves_what_is_not_ours_and_a_correction_only_by_its_difference() -> None:
    """The owner's 30 shares, corrected to 20: book and orders untouched, 20 outside."""
    world = World.ready()
    world.stranger("AAA", 30, "0009.01")
    assert world.state.outside == {1: ("AAA", D(30))}
    world.stranger("AAA", 20, "0009.02")
    assert world.state.outside == {1: ("AAA", D(20))}
    world.stranger("AAA", 20, "0010.01", Side.SELL)
    assert world.state.outside == {}
    assert world.state.book == {}


def test_more_filled_than_asked_for_is_a_critical_alert_and_booked() -> None:
    """The broker's executions are the truth, also when they should not be."""
    world, intent = sent()
    world.fill(intent, 100, exec_id="0001.01")
    step = world.fill(intent, 50, exec_id="0002.01")
    assert "overfilled" in alerts(step)
    assert world.state.held(1) == 150


def test_a_foreign_order_is_exposure_until_it_ends_and_is_never_touched() -> None:
    """A manual order is shown with what remains of it."""
    world = World.ready()
    order = world.order(world.one(AAA="0.1"))
    row = open_order(order, world.now, order_id=0, client_id=0, perm_id=77, ref="", con_id=2, symbol="BBB")
    step = world.take(row)
    assert world.state.foreign_orders[77].remaining == 100
    assert step.effects == ()
    world.take(replace(row, status="Cancelled"))
    assert world.state.foreign_orders == {}


def test_foreign_orders_without_a_perm_id_are_counted_apart_until_it_is_told() -> None:
    """Two by hand in different instruments and one of another client: each is exposure, through a reading too."""
    world = World.ready()
    order = world.order(world.one(AAA="0.1"))
    row = open_order(order, world.now, order_id=0, client_id=0, perm_id=0, ref="", quantity=D(500))
    rows = [row, replace(row, con_id=2, symbol="BBB"), replace(row, con_id=3, symbol="CCC", client_id=7, order_id=4)]
    for one in rows:
        world.take(one)
    assert [worst_shares(world.state, con_id, Side.BUY) for con_id in (1, 2, 3)] == [600, 500, 500]
    world.open_orders.update(key_of(0, one.client_id, one.order_id, one.con_id) for one in rows)
    world.snapshot()
    assert [worst_shares(world.state, con_id, Side.BUY) for con_id in (1, 2, 3)] == [600, 500, 500]
    told = order_status(order, world.now, "Submitted", D(100))
    world.take(replace(told, client_id=7, order_id=4, perm_id=0, remaining=D(400)))
    world.take(replace(rows[2], perm_id=77))
    assert (worst_shares(world.state, 3, Side.BUY), len(world.state.foreign_orders)) == (400, 3)
    world.open_orders.clear()
    world.snapshot()
    assert world.state.foreign_orders == {}


def test_foreign_orders_that_nothing_tells_apart_all_count() -> None:
    """Two by hand in one instrument: both are exposure, shown again they are no more, and one that ends is one less."""
    world = World.ready()
    order = world.order(world.one(AAA="0.1"))
    row = open_order(order, world.now, order_id=0, client_id=0, perm_id=0, ref="", quantity=D(500))
    rows = [row, replace(row, nth=1), replace(row, nth=2, quantity=D(70))]
    for one in (*rows, *rows):
        world.take(one)
    assert worst_shares(world.state, 1, Side.BUY) == 100 + 500 + 500 + 70
    world.open_orders.update(key_of(0, 0, 0, one.con_id, one.nth) for one in rows[:2])
    world.snapshot()
    assert worst_shares(world.state, 1, Side.BUY) == 100 + 500 + 500


def test_what_a_foreign_order_has_filled_is_not_forgotten_when_it_is_shown_again() -> None:
    """Message 5 has the whole quantity at each reading: no news, and more only when the order was made larger."""
    world = World.ready()
    order = world.order(world.one(AAA="0.1"))
    row = open_order(order, world.now, order_id=0, client_id=0, perm_id=77, ref="", quantity=D(500))
    world.take(row)
    told = order_status(order, world.now, "Submitted", D(400))
    world.take(replace(told, order_id=0, client_id=0, perm_id=77, remaining=D(100)))
    assert world.take(row).facts == ()
    assert world.state.foreign_orders[77].remaining == 100
    world.take(replace(row, quantity=D(600)))
    assert world.state.foreign_orders[77].remaining == 200


def test_an_order_that_bears_our_name_but_is_not_in_the_journal_is_a_critical_alert() -> None:
    """An older copy of the journal was restored: the order is exposure, and a person must know."""
    world = World.ready()
    order = world.order(world.one(AAA="0.1"))
    step = world.take(open_order(order, world.now, ref="lw:k7q2:99", perm_id=77, order_id=98))
    assert alerts(step) == ["ours_but_unknown"]
    assert 77 in world.state.foreign_orders


# ── after the end ───────────────────────────────────────────────────────────────────────────────────────────────────


def jobs(step) -> list[str]:
    return [effect.reason for effect in step.effects if isinstance(effect, m.RunJob)]


def test_buys_that_wait_for_sells_are_looked_at_again_once_these_have_filled() -> None:
    """Gross exposure has no room until the sell is done."""
    world = World.ready(replace(SETTINGS, max_gross_exposure=D("0.4")))
    world.finish(world.one(AAA="0.4"))
    (sell,) = world.trade(AAA="0", BBB="0.4")
    assert (sell.side, world.state.rebalance.waiting) == (Side.SELL, 1)
    world.acknowledge(sell.intent)
    assert len(jobs(world.fill(sell.intent, 400))) == 1


def test_a_rejected_sell_of_a_run_without_a_fill_is_not_tried_again_at_once() -> None:
    """Or a read-only gateway and a rebalance would chase each other for ever."""
    world = World.ready(replace(SETTINGS, max_gross_exposure=D("0.4")))
    world.finish(world.one(AAA="0.4"))
    (sell,) = world.trade(AAA="0", BBB="0.4")
    world.handed(sell.intent)
    step = world.hear(m.OrderErrorSeen, order_id=sell.order_id, code=201, text="read-only", verdict="rejected")
    assert world.order(sell.intent).state is S.REJECTED
    assert jobs(step) == []


def test_rows_of_another_account_or_symbol_change_nothing_of_ours() -> None:
    """A position told for another account is not this daemon's."""
    world = World.ready()
    step = world.hear(m.PositionSeen, account="DU999", con_id=CON_IDS["AAA"], symbol="AAA", quantity=D(5))
    assert step.facts == ()
    world.hear(m.PositionSeen, account=ACCOUNT, con_id=CON_IDS["AAA"], symbol="AAA", quantity=D(5))
    assert world.state.account_positions == {1: ("AAA", D(5))}


def test_a_row_of_ours_that_the_journal_does_not_know_quarantines_and_its_number_is_never_given_again() -> None:
    """An older copy of the journal was restored: what it has forgotten is not traded again under the same name."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    order = world.order(intent)
    forgotten = replace(order, ref=f"lw:{world.state.journal_id}:7")
    step = world.take(execution(forgotten, world.now, "0009.01", 100, "100"))
    assert 1 in world.state.quarantines
    assert alerts(step) == ["ours_but_unknown"]
    assert world.state.next_intent == 8
    assert world.trade(AAA="0.3") == []
    assert [one.intent for one in world.trade(BBB="0.1")] == [8]


def test_a_cancel_answered_before_the_order_was_there_is_sent_again() -> None:
    """The broker shows the order only after 10147: it is wanted gone, so the cancel goes out once more."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.handed(intent)
    world.hear(m.ControlRequested, command="halt", by="uid 1000")
    world.hear(
        m.OrderErrorSeen, order_id=world.order(intent).order_id, code=10147, text="not found", verdict="not found"
    )
    shown = world.open_order(intent)
    assert [effect.intent for effect in of_kind(shown.effects, m.CancelOrder)] == [intent]


def test_a_cancel_never_answered_is_sent_again_with_the_regular_reading() -> None:
    """Not with the readings that answers ask for: those would chase each other."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.handed(intent)
    world.acknowledge(intent)
    world.hear(m.ControlRequested, command="cancel", argument="all", by="uid 1000")
    world.wait(31)
    other = world.snapshot(open_perm_ids=(perm_id(intent),), reason="an answer is overdue")
    assert of_kind(other.effects, m.CancelOrder) == []
    world.wait(31)
    regular = world.snapshot(open_perm_ids=(perm_id(intent),), reason="reconcile")
    assert [effect.intent for effect in of_kind(regular.effects, m.CancelOrder)] == [intent]


def test_what_another_account_of_the_same_log_in_does_is_no_matter_of_ours() -> None:
    """Its trades move nothing that is not ours of this account, and its orders are no exposure."""
    world = World.ready()
    order = world.order(world.one(AAA="0.1"))
    world.take(replace(execution(order, world.now, "0009.01", 100, "100"), account="DU999999", ref="", perm_id=55))
    world.take(open_order(order, world.now, account="DU999999", ref="", perm_id=56, order_id=0, client_id=0))
    assert (world.state.outside, world.state.foreign_orders, world.state.fills) == ({}, {}, {})
