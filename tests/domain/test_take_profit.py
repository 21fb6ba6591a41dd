"""Take-profits: beside a stop that rests, in its group, for its shares; never without it, and never beside a trade."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.decide import Step, gate
from longwatch.domain.instruments import Side
from longwatch.domain.order_life import modification
from longwatch.domain.orders import Change, Order, OrderState, OrderType, Purpose
from longwatch.domain.risk.exposure import worst_shares
from longwatch.domain.risk.verbs import ALLOWED, Action, Condition
from longwatch.domain.safeguards.stops import PROFIT_TAKEN
from longwatch.domain.settings import StopRule, TradeSettings
from longwatch.domain.state import put_order
from tests.domain.test_protection import SETTINGS, changes, confirmed, ended, holding, sent, works
from tests.domain.test_verbs import HOLD
from tests.domain.world import CLOSE, World, alerts, completed, judged, of_kind, perm_id

D = Decimal
PAIR = replace(SETTINGS, stop=StopRule(fraction=D("0.05"), profit_fraction=D("0.10")))


def profits(step: Step) -> list[Order]:
    return sent(step, Purpose.PROFIT)


def cancelled(step: Step) -> list[int]:
    return [one.intent for one in of_kind(step.effects, m.CancelOrder)]


def pair(settings: TradeSettings = PAIR) -> tuple[World, Order, Order]:
    """200 AAA held at 100, the stop at 95 and, after a reading of the account, the take-profit at 110, both working."""
    world, stop = holding(settings)
    (profit,) = profits(world.snapshot())
    world.handed(profit.intent)
    world.open_orders.add(perm_id(profit.intent))
    world.open_order(profit.intent)
    return world, stop, world.order(profit.intent)


def test_it_rests_in_the_group_of_the_stop_for_the_same_shares() -> None:
    """A limit, good till cancelled, and the two count once."""
    world, stop, profit = pair()
    assert (profit.order_type, profit.side, profit.tif) == (OrderType.LIMIT, Side.SELL, "GTC")
    assert (profit.quantity, profit.limit_price, profit.oca_group) == (D(200), D("110.00"), stop.oca_group)
    assert worst_shares(world.state, 1, Side.SELL) == 0
    assert world.state.unprotected == {}
    assert profits(world.snapshot()) == [] and cancelled(world.snapshot()) == []


def test_it_never_leaves_before_its_stop_is_known_to_work() -> None:
    """Nor beside the entry that still fills."""
    world = World.ready(PAIR)
    intent = world.one(AAA="0.2")
    world.acknowledge(intent)
    (stop,) = sent(world.fill(intent, 200))
    world.end(intent)
    world.status(intent, "Filled")
    world.moved("AAA")
    assert profits(world.snapshot()) == []
    works(world, stop.intent)
    assert len([one for one in world.state.live_orders() if one.purpose is Purpose.PROFIT]) == 1


def test_beside_an_entry_that_still_works_there_is_none() -> None:
    """The stop has to grow with it, and could not beside the take-profit."""
    world, _ = holding(PAIR, filled=120)
    assert profits(world.snapshot()) == []


def test_without_a_rule_for_it_there_is_none() -> None:
    """A stop alone."""
    world, _ = holding(replace(SETTINGS, stop=StopRule(fraction=D("0.05"))))
    assert profits(world.snapshot()) == []


def test_what_it_fills_the_broker_takes_from_the_stop() -> None:
    """Both go on for the rest; nobody is to buy back in this session what was sold."""
    world, stop, profit = pair()
    step = world.fill(profit.intent, 80, "110")
    assert "profit_taken" in alerts(step)
    assert (1, Purpose.ENTRY, PROFIT_TAKEN) in world.state.breakers
    step = world.open_order(stop.intent, "PreSubmitted", quantity=D(120))
    assert alerts(step) == [] and cancelled(step) == []
    assert (world.order(stop.intent).remaining, world.order(profit.intent).remaining) == (D(120), D(120))
    assert worst_shares(world.state, 1, Side.SELL) == 0
    world.wait(60)
    world.moved("AAA")
    assert cancelled(world.snapshot()) == []
    assert [one for one in world.trade(AAA="0.2") if one.purpose is Purpose.ENTRY] == []


def test_filled_in_full_it_ends_with_its_stop_and_nothing_is_left() -> None:
    """The end of the stop is no cancel by somebody."""
    world, stop, profit = pair()
    world.fill(profit.intent, 200, "110")
    world.end(profit.intent)
    world.status(profit.intent, "Filled")
    step = ended(world, stop.intent)
    assert alerts(step) == []
    assert list(world.state.live_orders()) == []
    assert world.state.stop_levels == {}


def test_the_stop_that_triggers_takes_it_away() -> None:
    """The broker ends it; nothing is sent beside."""
    world, stop, profit = pair()
    step = world.fill(stop.intent, 200, "94.90")
    assert cancelled(step) == []
    step = ended(world, profit.intent)
    assert world.order(profit.intent).state is OrderState.CANCELLED
    assert (1, Purpose.PROFIT, "cancelled at the broker") not in world.state.breakers
    assert of_kind(step.effects, m.SubmitOrder) == []


def test_one_that_has_had_a_fill_taken_back_makes_room_for_the_stop_to_grow() -> None:
    """At the broker neither is for those shares any more, and beside a take-profit no stop is made larger."""
    near = StopRule(fraction=D("0.05"), profit_fraction=D("0.002"))
    world, stop, profit = pair(replace(PAIR, stop=near))
    world.fill(profit.intent, 80, "100.20", exec_id="0005.01")
    world.status(profit.intent, "Submitted", 80)
    world.open_order(stop.intent, "PreSubmitted", quantity=D(120))
    world.moved("AAA")
    world.executions.remove("0005.01")
    world.positions[1] += 80
    world.reconcile(3)
    assert (world.state.held(1), world.state.unprotected[1].unprotected) == (D(200), D(80))
    assert (
        world.order(profit.intent).cancel_reason == "it is for 120 shares, and 200 are held: the stop has to grow first"
    )
    (step,) = [step for step in (ended(world, profit.intent), *world.reconcile(2)) if changes(step)]
    assert changes(step)[0].change.quantity == D(200)
    confirmed(world, step)
    world.snapshot()
    row = world.state.unprotected.get(1)
    assert row is None or not row.unprotected


def test_what_is_bought_again_while_the_pair_is_being_evened_out_has_its_stop_without_a_reading() -> None:
    """The broker was still making it smaller when the entry filled: it goes as soon as that time is over."""
    world, stop, profit = pair(replace(PAIR, reenter_after_stop=True))
    world.fill(stop.intent, 120, "94.90")
    world.status(stop.intent, "Submitted", 120)
    world.open_order(profit.intent, quantity=D(80))
    world.moved("AAA")
    world.wait(1)
    (entry,) = [one for one in world.trade(AAA="0.2") if one.purpose is Purpose.ENTRY]
    world.acknowledge(entry.intent)
    world.finish(entry.intent)
    world.moved("AAA")
    (step,) = [step for _, step in world.steps if changes(step)]
    confirmed(world, step)
    assert not world.order(profit.intent).cancel_asked
    due = world.state.unprotected[1].look_at
    assert due is not None
    world.now = due
    assert cancelled(world.hear(m.TimeReached)) == [profit.intent]
    (change,) = changes(ended(world, profit.intent))
    assert change.change.quantity == 120 + world.state.held(1)


def test_an_exit_waits_until_it_is_gone_and_it_comes_back_only_after_a_reading() -> None:
    """Else the two would chase one another."""
    world, stop, profit = pair()
    world.targets(AAA="0.1")
    step = world.rebalance()
    assert sent(step, Purpose.REDUCE) == [] and cancelled(step) == [profit.intent]
    step = ended(world, profit.intent)
    assert profits(step) == [] and of_kind(step.effects, m.RunJob)
    (sale,) = sent(world.rebalance(), Purpose.REDUCE)
    assert sale.oca_group == stop.oca_group
    world.acknowledge(sale.intent)
    assert profits(world.snapshot()) == []
    world.fill(sale.intent, int(sale.quantity))
    world.end(sale.intent)
    world.status(sale.intent, "Filled")
    (again,) = sent(ended(world, stop.intent))
    works(world, again.intent)
    world.moved("AAA")
    (late,) = [one for one in world.state.live_orders() if one.purpose is Purpose.PROFIT] or profits(world.snapshot())
    assert (late.quantity, late.oca_group) == (200 - sale.quantity, again.oca_group)


def test_it_makes_room_for_an_entry() -> None:
    """The entry does not wait; the take-profit goes as soon as that is known to work."""
    world, _, profit = pair()
    (entry,) = world.trade(AAA="0.3")
    world.handed(entry.intent)
    assert cancelled(world.open_order(entry.intent)) == [profit.intent]


def test_it_goes_when_its_stop_does() -> None:
    """It never rests alone."""
    world, stop, profit = pair()
    assert profit.intent in cancelled(ended(world, stop.intent))


@pytest.mark.parametrize(("command", "stays"), [("pause", True), ("halt", False), ("flatten", False)])
def test_the_verbs(command: str, stays: bool) -> None:
    """It trades, and protects nothing: a halt ends it, a pause does not."""
    world, stop, profit = pair()
    step = world.hear(m.ControlRequested, command=command, by="uid 1000")
    assert (profit.intent in cancelled(step)) is not stays
    assert (stop.intent in cancelled(step)) is (command == "flatten")
    if not stays:
        ended(world, profit.intent)
        world.wait(60)
        assert profits(world.snapshot()) == []


NEARER = replace(PAIR, stop=StopRule(fraction=D("0.05"), profit_fraction=D("0.08")))


def modified(step: Step) -> list[Order]:
    return [one.order for one in of_kind(step.effects, m.ModifyOrder)]


def test_it_moves_by_modification_and_is_there_all_the_while() -> None:
    """The same order in the same group at the other price, asked for once; the reason says of what it is made."""
    world, stop, profit = pair()
    step = world.hear(m.ConfigLoaded, settings=NEARER, sha256="b")
    assert cancelled(step) == []
    (new,) = modified(step)
    assert (new.intent, new.quantity, new.limit_price) == (profit.intent, D(200), D("108.00"))
    assert new.oca_group == stop.oca_group
    (asked,) = of_kind(step.facts, m.OrderChangeAsked)
    assert asked.change.reason == "200 at 108.00 (paid 100 plus 0.08 of it)"
    world.hear(m.OrderHanded, intent=profit.intent, change=1)
    assert modified(world.snapshot()) == []
    world.open_order(profit.intent, limit_price=D("108.00"))
    world.wait(60)
    step = world.snapshot()
    assert (modified(step), cancelled(step), alerts(step)) == ([], [], [])
    assert world.order(profit.intent).limit_price == D("108.00")


def test_moved_by_hand_after_our_modification_it_stays_there() -> None:
    """Also where that is our former price."""
    world, _, profit = pair()
    world.hear(m.ConfigLoaded, settings=NEARER, sha256="b")
    world.hear(m.OrderHanded, intent=profit.intent, change=1)
    world.open_order(profit.intent, limit_price=D("108.00"))
    world.open_order(profit.intent, limit_price=D("110.00"))
    world.wait(60)
    step = world.snapshot()
    assert (modified(step), cancelled(step)) == ([], [])
    assert world.order(profit.intent).limit_price == D("110.00")


def test_for_fewer_shares_it_is_modified_once_its_stop_was() -> None:
    """A purchase was taken back: the stop first, one modification at a time."""
    world, stop, profit = pair()
    world.hear(m.ControlRequested, command="adopt", argument="AAA", by="uid 1000")
    world.state.book[1] = replace(world.state.book[1], quantity=D(150))
    world.moved("AAA")
    step = world.snapshot()
    assert [one.intent for one in modified(step)] == [stop.intent]
    world.hear(m.OrderHanded, intent=stop.intent, change=1)
    step = world.open_order(stop.intent, "PreSubmitted", quantity=D(150))
    assert [(one.intent, one.quantity) for one in modified(step)] == [(profit.intent, D(150))]
    assert cancelled(step) == []


def test_for_more_shares_it_makes_room_for_its_stop() -> None:
    """What it fills beside a stop on its way to more shares would be taken from the smaller one."""
    world, _, profit = pair()
    world.state.book[1] = replace(world.state.book[1], quantity=D(300))
    world.moved("AAA")
    step = world.snapshot()
    assert cancelled(step) == [profit.intent]
    assert modified(step) == []


def test_while_not_ready_another_price_waits_and_more_than_is_held_is_cancelled() -> None:
    """A modification needs a link that is whole; an order too large does not wait for one."""
    world, _, profit = pair()
    world.hear(m.ClockSeen, skew_seconds=75.0)
    step = world.hear(m.ConfigLoaded, settings=NEARER, sha256="b")
    assert (modified(step), cancelled(step)) == ([], [])
    world.state.book[1] = replace(world.state.book[1], quantity=D(150))
    world.moved("AAA")
    assert cancelled(world.snapshot()) == [profit.intent]


def test_a_modification_that_waits_to_be_written_is_withheld_when_the_stop_has_traded() -> None:
    """With its old quantity it would sell what the stop has sold already."""
    world, stop, profit = pair()
    world.hear(m.ConfigLoaded, settings=NEARER, sha256="b")
    assert gate(world.state, profit.intent, world.now) is None
    world.fill(stop.intent, 50, "94.90")
    assert gate(world.state, profit.intent, world.now) is not None


def test_whoever_moves_it_at_the_broker_has_the_last_word() -> None:
    """It is not moved back."""
    world, _, profit = pair()
    world.open_order(profit.intent, limit_price=D("120.00"))
    world.wait(60)
    step = world.snapshot()
    assert cancelled(step) == []
    assert world.order(profit.intent).limit_price == D("120.00")


def test_a_persons_cancel_of_it_holds_for_the_session_and_leaves_the_stop_alone() -> None:
    """Its breaker is its own."""
    world, stop, profit = pair()
    world.hear(m.ControlRequested, command="cancel", argument=str(profit.intent), by="uid 1000")
    ended(world, profit.intent)
    world.wait(60)
    assert profits(world.snapshot()) == []
    assert not world.order(stop.intent).cancel_asked
    world.hear(m.ControlRequested, command="resume", argument="AAA", by="uid 1000")
    world.wait(60)
    assert len(profits(world.snapshot())) == 1


def test_one_that_waits_to_be_written_is_withheld_when_its_stop_has_traded() -> None:
    """Asked again at the write."""
    world, stop = holding(PAIR)
    (profit,) = profits(world.snapshot())
    assert gate(world.state, profit.intent, world.now) is None
    world.fill(stop.intent, 50, "94.90")
    assert gate(world.state, profit.intent, world.now) is not None


@pytest.mark.parametrize(
    ("rule", "atr", "level"),
    [
        (StopRule(fraction=D("0.05"), profit_fraction=D("0.1"), profit_atr_multiple=D(3)), D("1.5"), D("104.50")),
        (StopRule(fraction=D("0.05"), profit_fraction=D("0.1"), profit_atr_multiple=D(3)), None, D("110.00")),
        (StopRule(amount=D(2), profit_fraction=D("0.10004")), D("1.5"), D("110.01")),
    ],
)
def test_where_it_lies(rule: StopRule, atr: Decimal | None, level: Decimal) -> None:
    """So many average true ranges, or a fraction while none is known; on the grid, away from the market."""
    world, _ = holding(replace(SETTINGS, stop=rule))
    row = replace(judged("AAA"), atr=atr)
    (profit,) = profits(world.hear(m.DataRefreshed, run_id="refresh@2", session=row.last_session, judged=(row,)))
    assert profit.limit_price == level


def test_new_terms_of_it_are_not_written_once_the_stop_has_traded() -> None:
    """It would buy, or sell, more than is left: its group ends it."""
    world, stop, profit = pair()
    asked = Change(number=1, quantity=D(200), limit_price=D(112), stop_price=None, asked_at=world.now)
    put_order(world.state, replace(profit, change=asked, changed=1))
    assert modification.gate(world.state, world.order(profit.intent), world.now) is None
    put_order(world.state, replace(world.order(stop.intent), reported=D(1)))
    why = modification.gate(world.state, world.order(profit.intent), world.now)
    assert why == "the stop of these shares has been triggered"


@pytest.mark.parametrize("condition", [one for one in Condition if one is not Condition.UNKNOWN])
def test_at_the_write_it_is_bound_by_what_binds_an_order_that_closes(condition: Condition) -> None:
    """It protects nothing: where no exit may leave it waits, and it is not sent while a stop may not be."""
    world, _ = holding(PAIR)
    (profit,) = profits(world.snapshot())
    HOLD[condition](world)
    world.state.orders[profit.intent] = replace(world.order(profit.intent), cancel_asked=False)
    reason = gate(world.state, profit.intent, world.now)
    if Action.REDUCE in ALLOWED[condition] and condition is not Condition.FLATTEN:
        assert reason is None
    else:
        assert reason is not None


def test_a_split_ends_it_and_it_comes_back_at_the_price_of_the_new_shares() -> None:
    """Twice the shares at half of what was paid: never an order at the old price for the new ones."""
    world, stop, profit = pair()
    world.split("AAA", 2, 1)
    assert world.order(profit.intent).cancel_reason == "sized before a split"
    ended(world, profit.intent)
    ended(world, stop.intent)
    world.wait(60)
    world.snapshot()
    (again,) = [one for one in world.state.live_orders() if one.purpose is Purpose.STOP]
    works(world, again.intent)
    world.wait(60)
    world.snapshot()
    (late,) = [one for one in world.state.live_orders() if one.purpose is Purpose.PROFIT]
    assert (late.quantity, late.limit_price, late.oca_group) == (D(400), D("55.00"), again.oca_group)


REFUSED = {"code": 201, "text": "price too far", "verdict": "unchanged"}


@pytest.mark.parametrize(
    ("which", "rule"),
    [
        (Purpose.PROFIT, StopRule(fraction=D("0.05"), profit_fraction=D("0.20"))),
        (Purpose.STOP, StopRule(fraction=D("0.03"), profit_fraction=D("0.10"))),
    ],
)
def test_a_refused_modification_is_asked_for_again_at_a_reading_or_later_but_not_at_every_telling(
    which: Purpose, rule: StopRule
) -> None:
    """Neither counts towards the rate of orders, which it would use up."""
    world, stop, profit = pair()
    intent = stop.intent if which is Purpose.STOP else profit.intent
    sends = world.state.sends

    def refused() -> None:
        change = world.order(intent).change
        assert change is not None
        world.hear(m.OrderHanded, intent=intent, change=change.number)
        world.hear(m.OrderErrorSeen, order_id=world.order(intent).order_id, **REFUSED)

    assert changes(world.hear(m.ConfigLoaded, settings=replace(PAIR, stop=rule), sha256="x"))
    refused()
    for _ in range(5):
        world.wait(1)
        assert not changes(world.open_order(intent)) and not changes(world.status(intent, "Submitted"))
    assert changes(world.snapshot())
    refused()
    assert not changes(world.open_order(intent))
    world.wait(31)
    assert changes(world.open_order(intent))
    assert world.state.sends == sends


@pytest.mark.parametrize(
    ("status", "sold", "end"), [("Cancelled", 190, OrderState.CANCELLED), ("Filled", 200, OrderState.EXPIRED)]
)
def test_one_that_was_told_to_have_sold_what_no_execution_tells_of_ends_once_its_session_is_over(
    status: str, sold: int, end: OrderState
) -> None:
    """Good till cancelled, it has no session of its own: it ended in none that is open now (seeds 116 and 184).

    It would stay for ever else, and nothing could be sent beside it.
    """
    world, stop, profit = pair()
    world.hear(m.ControlRequested, command="flatten", argument="", by="uid 1000")
    world.open_orders.discard(perm_id(profit.intent))
    world.completed.add(perm_id(profit.intent))
    world.take(replace(completed(profit, world.now, status, sold), at=world.now, tech=world.now))
    ended(world, stop.intent)
    world.reconcile(3)
    assert world.order(profit.intent).ending in (OrderState.CANCELLED, OrderState.FILLED)
    assert world.order(profit.intent).is_live, "its executions may still be told"
    world.wait((CLOSE - world.now).total_seconds() + 30)
    world.snapshot()
    assert world.order(profit.intent).is_live
    world.wait(40)
    step = world.snapshot()
    assert world.order(profit.intent).state is end
    assert "fill_taken_back" in alerts(step)
    assert world.state.held(1) == 200
