"""Protective stops: placed with the first fill, resized, moved in favour, renewed, gone, and never beside another."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from longwatch.domain import messages as m
from longwatch.domain.decide import Step, gate, next_deadline
from longwatch.domain.instruments import Side
from longwatch.domain.orders import Order, OrderState, OrderType, Purpose
from longwatch.domain.risk.exposure import worst_shares
from longwatch.domain.safeguards.stops import STOPPED_OUT
from longwatch.domain.settings import StopRule, TradeSettings
from tests.domain.world import (
    CLOSE,
    DAY,
    SETTINGS,
    YESTERDAY,
    World,
    alerts,
    judged,
    of_kind,
    perm_id,
)

D = Decimal
FIXED = replace(SETTINGS, stop=StopRule(fraction=D("0.05")))
TRAILING = replace(SETTINGS, stop=StopRule(fraction=D("0.05"), trails=True))


def sent(step: Step, purpose: Purpose = Purpose.STOP) -> list[Order]:
    return [one.order for one in of_kind(step.effects, m.SubmitOrder) if one.order.purpose is purpose]


def changes(step: Step) -> list[m.OrderChangeAsked]:
    return of_kind(step.facts, m.OrderChangeAsked)


def holding(settings: TradeSettings = FIXED, *, price: str = "100", filled: int = 200) -> tuple[World, Order]:
    """AAA bought, `filled` of 200 at `price`, and the stop that came of it working."""
    world = World.ready(settings)
    intent = world.one(AAA="0.2")
    world.acknowledge(intent)
    (stop,) = sent(world.fill(intent, filled, price))
    if filled == 200:
        world.end(intent)
        world.status(intent, "Filled")
    works(world, stop.intent)
    world.moved("AAA")
    return world, world.order(stop.intent)


def works(world: World, intent: int) -> None:
    """As the broker shows a stop that waits."""
    world.handed(intent)
    world.open_orders.add(perm_id(intent))
    world.open_order(intent, "PreSubmitted")
    world.status(intent, "PreSubmitted")


def confirmed(world: World, step: Step) -> None:
    """A modification is handed over and shown."""
    (asked,) = changes(step)
    world.hear(m.OrderHanded, intent=asked.intent, change=asked.change.number)
    world.open_order(asked.intent, "PreSubmitted", quantity=asked.change.quantity, stop_price=asked.change.stop_price)


def ended(world: World, intent: int) -> Step:
    """The broker ends an order that nobody has asked it to."""
    world.end(intent)
    return world.status(intent, "Cancelled")


def test_the_first_fill_places_the_stop_and_the_next_ones_resize_it() -> None:
    """GTC, on the tick grid, for what is held and no more; larger by modification under its own id."""
    world = World.ready(FIXED)
    intent = world.one(AAA="0.2")
    world.acknowledge(intent)
    (stop,) = sent(world.fill(intent, 70, "100.01"))
    assert (stop.order_type, stop.side, stop.tif, stop.outside_rth) == (OrderType.STOP, Side.SELL, "GTC", False)
    assert (stop.quantity, stop.stop_price, stop.oca_group) == (D(70), D("95.00"), stop.ref)
    step = world.fill(intent, 60, "100.01")
    assert sent(step) == [] and changes(step) == [], "nothing beside a stop that nobody has acknowledged"
    step = works_step(world, stop.intent)
    (asked,) = changes(step)
    assert asked.change.terms == (D(130), None, D("95.00"))
    step = world.fill(intent, 70, "100.01")
    assert changes(step) == [], "one modification at a time"
    world.hear(m.OrderHanded, intent=stop.intent, change=1)
    step = world.open_order(stop.intent, "PreSubmitted", quantity=D(130))
    assert changes(step)[0].change.quantity == D(200)
    assert world.state.unprotected[1].unprotected == D(70)


def works_step(world: World, intent: int) -> Step:
    world.handed(intent)
    world.open_orders.add(perm_id(intent))
    return world.open_order(intent, "PreSubmitted")


@pytest.mark.parametrize("command", ["pause", "halt"])
def test_a_pause_or_a_halt_does_not_keep_a_stop_from_what_fills_meanwhile(command: str) -> None:
    """The known filled part is protected whatever else is held back."""
    world = World.ready(FIXED)
    intent = world.one(AAA="0.2")
    world.acknowledge(intent)
    world.hear(m.ControlRequested, command=command, by="uid 1000")
    (stop,) = sent(world.fill(intent, 50))
    assert stop.quantity == D(50)
    assert gate(world.state, stop.intent, world.now) is None


def test_under_quarantine_what_the_account_has_of_the_known_part_is_protected() -> None:
    """A message that can't be read makes an instrument doubtful, and its stop no less needed."""
    world = World.ready(FIXED)
    intent = world.one(AAA="0.2")
    world.acknowledge(intent)
    world.hear(m.MessageUndecodable, message_id=11, raw=("11",), reason="?", con_id=1)
    world.positions[1] = D(50)
    world.moved("AAA")
    (stop,) = sent(world.fill(intent, 50))
    assert stop.quantity == D(50)


def test_not_ready_places_nothing_and_ready_again_does() -> None:
    """A stop leaves on a whole certificate alone; the reading that makes it whole places it."""
    world = World.ready(FIXED)
    intent = world.one(AAA="0.2")
    world.acknowledge(intent)
    world.hear(m.BackendSeen, up=False)
    assert sent(world.fill(intent, 50)) == []
    world.hear(m.BackendSeen, up=True)
    (stop,) = sent(world.snapshot())
    assert stop.quantity == D(50)


@pytest.mark.parametrize("is_clock", [True, False])
def test_what_makes_ready_again_places_what_could_not_be_placed(is_clock: bool) -> None:
    """A clock that is right again, or a farm: nothing waits for the next look, which comes less and less often."""
    world = World.ready(FIXED)
    intent = world.one(AAA="0.2")
    world.acknowledge(intent)
    if is_clock:
        world.hear(m.ClockSeen, skew_seconds=60.0)
    else:
        world.hear(m.FarmSeen, farm="usfarm", up=False)
    assert sent(world.fill(intent, 50)) == []
    step = world.hear(m.ClockSeen, skew_seconds=0.0) if is_clock else world.hear(m.FarmSeen, farm="usfarm", up=True)
    (stop,) = sent(step)
    assert stop.quantity == D(50)
    assert sent(world.hear(m.ClockSeen, skew_seconds=0.0)) == [], "one on its way is enough"


def test_a_flatten_cancels_the_stop_and_closes_only_once_it_is_gone() -> None:
    """No stop under a flatten, no closing order beside one: together they could sell twice."""
    world, stop = holding()
    step = world.hear(m.ControlRequested, command="flatten", by="uid 1000")
    assert [one.intent for one in of_kind(step.effects, m.CancelOrder)] == [stop.intent]
    assert sent(world.rebalance(), Purpose.REDUCE) == []
    assert of_kind(ended(world, stop.intent).effects, m.RunJob)
    (closing,) = sent(world.rebalance(), Purpose.REDUCE)
    assert (closing.quantity, closing.oca_group) == (D(200), "")
    step = world.fill(closing.intent, 200)
    assert sent(step) == []
    assert 1 not in world.state.stop_levels


def test_an_exit_enters_the_group_of_the_stop_and_they_count_once() -> None:
    """What one fills the broker takes from the other: at worst all that is held is sold, once."""
    world, stop = holding()
    (sale,) = [one for one in world.trade(AAA="0") if one.purpose is Purpose.REDUCE]
    assert (sale.quantity, sale.oca_group) == (D(200), stop.oca_group)
    assert worst_shares(world.state, 1, Side.SELL) == 0
    world.acknowledge(sale.intent)
    world.fill(sale.intent, 80)
    step = world.open_order(stop.intent, "PreSubmitted", quantity=D(120))
    assert alerts(step) == []
    assert world.order(stop.intent).quantity == D(120)
    assert worst_shares(world.state, 1, Side.SELL) == 0


def test_after_an_exit_of_a_part_the_rest_gets_a_stop_of_its_own() -> None:
    """The broker ends the stop with the exit that has filled: a new one, in a new group, at the same level."""
    world, stop = holding()
    (sale,) = [one for one in world.trade(AAA="0.1") if one.purpose is Purpose.REDUCE]
    world.acknowledge(sale.intent)
    world.fill(sale.intent, int(sale.quantity))
    world.end(sale.intent)
    world.status(sale.intent, "Filled")
    (again,) = sent(ended(world, stop.intent))
    assert (again.quantity, again.stop_price) == (200 - sale.quantity, stop.stop_price)
    assert again.oca_group not in ("", stop.oca_group)


def test_a_stop_that_its_group_ended_is_no_cancel_at_the_broker() -> None:
    """Neither a strike, nor an alert, nor a hold."""
    world, stop = holding()
    (sale,) = [one for one in world.trade(AAA="0") if one.purpose is Purpose.REDUCE]
    world.acknowledge(sale.intent)
    world.fill(sale.intent, 200)
    step = ended(world, stop.intent)
    assert alerts(step) == [] and world.state.breakers == {}
    assert world.state.unprotected == {}


def test_while_an_exit_is_unheard_of_the_stop_beside_it_is_for_the_rest_alone() -> None:
    """The broker has ended the stop; whether the exit filled is not known: its shares are not sold a second time."""
    world, stop = holding()
    (sale,) = [one for one in world.trade(AAA="0.1") if one.purpose is Purpose.REDUCE]
    world.acknowledge(sale.intent)
    ended(world, stop.intent)
    world.wait(31)
    (again,) = sent(world.snapshot())
    assert again.quantity == 200 - sale.quantity


def test_a_second_exit_waits_for_the_first() -> None:
    """Of two in one group the first would shrink the second: it is cancelled, and one is sent for all."""
    world, _ = holding()
    (sale,) = [one for one in world.trade(AAA="0.15") if one.purpose is Purpose.REDUCE]
    world.acknowledge(sale.intent)
    world.targets(AAA="0.1")
    step = world.rebalance()
    assert sent(step, Purpose.REDUCE) == []
    assert world.order(sale.intent).cancel_asked
    assert of_kind(step.facts, m.TradeRefused)[0].check == "opposite_order"
    ended(world, sale.intent)
    (both,) = sent(world.rebalance(), Purpose.REDUCE)
    assert both.quantity > sale.quantity


def test_no_exit_enters_where_the_account_has_less_than_the_book() -> None:
    """A part of the stop may have filled and be told to nobody: the exit would sell those shares again (seed 4)."""
    world, stop = holding()
    world.positions[1] = D(60)
    world.moved("AAA")
    assert world.trade(AAA="0") == []
    assert not world.order(stop.intent).cancel_asked


def test_a_triggered_stop_lets_no_exit_beside_it() -> None:
    """It sells what is held: an exit that arrived after its first fill would sell it again."""
    world, stop = holding()
    world.fill(stop.intent, 50, "94.90")
    step = world.trade(AAA="0")
    assert step == []
    assert not world.order(stop.intent).cancel_asked


def test_an_exit_that_waits_to_be_written_is_withheld_when_the_stop_has_filled() -> None:
    """Asked again at the write."""
    world, stop = holding()
    (sale,) = [one for one in world.trade(AAA="0") if one.purpose is Purpose.REDUCE]
    assert gate(world.state, sale.intent, world.now) is None
    world.fill(stop.intent, 50, "94.90")
    assert gate(world.state, sale.intent, world.now) == "the stop of these shares has been triggered"


def test_what_an_earlier_exit_has_sold_keeps_no_later_one_back() -> None:
    """It was of the same group, and is over: the stop itself has not traded (seed 1, 3 days, every half hour)."""
    world, stop = holding()
    (first,) = [one for one in world.trade(AAA="0.15") if one.purpose is Purpose.REDUCE]
    world.acknowledge(first.intent)
    world.fill(first.intent, 10)
    ended(world, first.intent)
    world.hear(m.ControlRequested, command="resume", argument="AAA", by="uid 1000")
    world.open_order(stop.intent, "PreSubmitted", quantity=D(160))
    (second,) = [one for one in world.trade(AAA="0") if one.purpose is Purpose.REDUCE]
    assert second.oca_group == stop.oca_group
    assert gate(world.state, second.intent, world.now) is None


def test_a_stop_is_not_enlarged_by_what_an_exit_is_told_to_have_sold_unheard() -> None:
    """Its status comes before its execution: the broker has made the stop smaller, and the book is behind (seed 5)."""
    world, stop = holding()
    (sale,) = [one for one in world.trade(AAA="0") if one.purpose is Purpose.REDUCE]
    world.acknowledge(sale.intent)
    world.wait(60)
    world.status(sale.intent, "Submitted", 80)
    step = world.open_order(stop.intent, "PreSubmitted", quantity=D(120))
    assert changes(step) == []
    assert world.order(stop.intent).quantity == D(120)


def test_beside_a_live_exit_a_stop_is_not_enlarged_and_no_exit_enters_while_it_is() -> None:
    """What the exit fills meanwhile would be taken from the smaller stop alone (seed 5, 8 days)."""
    world, stop = holding()
    (sale,) = [one for one in world.trade(AAA="0.1") if one.purpose is Purpose.REDUCE]
    world.acknowledge(sale.intent)
    world.fill(sale.intent, 50)
    world.wait(60)
    assert changes(world.open_order(stop.intent, "PreSubmitted", quantity=D(100))) == []
    assert changes(world.snapshot()) == []
    step = ended(world, sale.intent)
    world.hear(m.ControlRequested, command="resume", argument="AAA", by="uid 1000")
    (asked,) = changes(step)
    assert asked.change.quantity == D(150)
    assert world.trade(AAA="0") == []
    assert world.state.rebalance is not None and world.state.rebalance.waiting
    world.hear(m.OrderHanded, intent=stop.intent, change=asked.change.number)
    step = world.open_order(stop.intent, "PreSubmitted", quantity=D(150))
    assert of_kind(step.effects, m.RunJob)


def test_beside_a_live_exit_a_stop_is_enlarged_to_what_the_exit_can_not_sell() -> None:
    """The broker takes from it in proportion, which is far more than the exit sells (seed 1, 6 days)."""
    world, stop = holding()
    (sale,) = [one for one in world.trade(AAA="0.1") if one.purpose is Purpose.REDUCE]
    world.acknowledge(sale.intent)
    world.fill(sale.intent, 80)
    world.moved("AAA")
    world.wait(60)
    (asked,) = changes(world.open_order(stop.intent, "PreSubmitted", quantity=D(40)))
    assert asked.change.quantity == 100 == 200 - sale.quantity
    assert worst_shares(world.state, 1, Side.SELL) == 20
    world.hear(m.OrderHanded, intent=stop.intent, change=asked.change.number)
    assert changes(world.open_order(stop.intent, "PreSubmitted", quantity=D(100))) == []
    assert world.state.unprotected[1].unprotected == sale.quantity - 80


def test_what_an_exit_of_the_group_works_at_raises_no_alert_until_the_exit_has_ended() -> None:
    """It is counted, and on its way out; once the exit has gone the rest has the usual time to find its stop."""
    world, stop = holding()
    (sale,) = [one for one in world.trade(AAA="0.1") if one.purpose is Purpose.REDUCE]
    world.acknowledge(sale.intent)
    world.fill(sale.intent, 80)
    world.open_order(stop.intent, "PreSubmitted", quantity=D(100))
    for _ in range(6):
        world.wait(31)
        assert "unprotected" not in alerts(world.hear(m.TimeReached))
    assert world.state.unprotected[1].unprotected == 20
    world.hear(m.ClockSeen, skew_seconds=75.0)
    assert "unprotected" not in alerts(ended(world, sale.intent))
    world.wait(31)
    assert "unprotected" not in alerts(world.hear(m.TimeReached))
    world.wait(61)
    assert "unprotected" in alerts(world.hear(m.TimeReached))


def test_a_stop_out_is_not_bought_back_in_the_same_session() -> None:
    """Entries under way are cancelled, the next decision of the session buys nothing, that of the next one may."""
    world, stop = holding()
    (more,) = [one for one in world.trade(AAA="0.3") if one.purpose is Purpose.ENTRY]
    world.acknowledge(more.intent)
    step = world.fill(stop.intent, 200, "94.90")
    assert "stopped_out" in alerts(step)
    assert world.order(more.intent).cancel_reason == STOPPED_OUT
    ended(world, more.intent)
    world.prices["AAA"] = D(95)
    assert world.trade(AAA="0.3") == []
    (row,) = [row for row in world.state.breakers.values() if row.reason == STOPPED_OUT]
    assert (row.purpose, row.until) == (Purpose.ENTRY, CLOSE)
    again = replace(world.settings, reenter_after_stop=True)
    other, its = holding(again)
    other.fill(its.intent, 200, "94.90")
    other.prices["AAA"] = D(95)
    assert other.trade(AAA="0.3") != []


def test_a_trailing_stop_follows_closes_up_and_never_down() -> None:
    """By modification, at the refresh after a close of the holding's own time; one from before counts nothing."""
    world, stop = holding(TRAILING)
    assert stop.stop_price == D("95.00")
    world.prices["AAA"] = D(120)
    step = refreshed(world, YESTERDAY.date, D(120))
    assert changes(step) == [], "yesterday's close is from before the holding"
    world.now = CLOSE + timedelta(minutes=30)
    world.snapshot()
    step = refreshed(world, DAY, D(110))
    assert changes(step)[0].change.terms == (D(200), None, D("104.50"))
    confirmed(world, step)
    step = refreshed(world, DAY, D(90))
    assert changes(step) == []
    assert world.state.stop_levels[1].level == D("104.50")


def refreshed(world: World, session: Any, close: Decimal, **fields: Any) -> Step:
    rows = [replace(judged(name), last_session=session, close=close, **fields) for name in ("AAA", "BBB", "CCC")]
    return world.hear(m.DataRefreshed, run_id="refresh@9", session=session, judged=tuple(rows))


def test_a_fixed_stop_does_not_follow_closes() -> None:
    """It lies behind what was paid."""
    world, _ = holding()
    world.now = CLOSE + timedelta(minutes=30)
    world.snapshot()
    assert changes(refreshed(world, DAY, D(150))) == []


@pytest.mark.parametrize(
    ("rule", "atr", "level"),
    [
        (StopRule(fraction=D("0.05"), atr_multiple=D(3)), D("1.5"), D("95.50")),
        (StopRule(fraction=D("0.05"), atr_multiple=D(3)), None, D("95.00")),
        (StopRule(amount=D("2.345")), D("1.5"), D("97.65")),
        (StopRule(amount=D(200)), None, D("0.01")),
    ],
)
def test_a_level_is_a_distance_behind_the_price_on_the_tick_grid_below(
    rule: StopRule, atr: Decimal | None, level: Decimal
) -> None:
    """By average true ranges, by the fraction for want of one, by an amount; never below one tick."""
    world = World.ready(replace(SETTINGS, stop=rule))
    refreshed(world, YESTERDAY.date, D(100), atr=atr)
    intent = world.one(AAA="0.2")
    world.acknowledge(intent)
    (stop,) = sent(world.fill(intent, 200))
    assert stop.stop_price == level


def test_the_rule_is_the_instruments_else_the_tightest_of_its_strategies_else_the_general_one() -> None:
    """Each is asked for only where the one before says nothing."""
    names = {"stops_of_strategies": (("trend", StopRule(fraction=D("0.1"))), ("calm", StopRule(fraction=D("0.02"))))}
    universes = (("trend", ("AAA", "BBB")), ("calm", ("AAA",)))
    by_symbol = (("CCC", StopRule(fraction=D("0.3"))),)
    settings = replace(FIXED, universes=universes, stops_of_symbols=by_symbol, **names)
    levels = {}
    for name in ("AAA", "BBB", "CCC"):
        world = World.ready(replace(settings, allocations=(("other", D(1)),)))
        world.targets("other", **{name: "0.2"})
        (order,) = sent(world.rebalance(), Purpose.ENTRY)
        world.acknowledge(order.intent)
        (stop,) = sent(world.fill(order.intent, 10))
        levels[name] = stop.stop_price
    assert levels == {"AAA": D("98.00"), "BBB": D("90.00"), "CCC": D("70.00")}


def test_buying_more_moves_the_level_up_and_never_down() -> None:
    """What was paid on average is dearer: closer. Cheaper: as it was."""
    for price, level in (("104", "96.26"), ("90", "95.00")):
        world, _ = holding()
        (more,) = world.trade(AAA="0.3")
        world.acknowledge(more.intent)
        step = world.fill(more.intent, int(more.quantity), price)
        (asked,) = changes(step)
        assert asked.change.quantity == 200 + more.quantity
        assert asked.change.stop_price == D(level).quantize(D("0.01")) or price == "104"
        assert (asked.change.stop_price > D("95.00")) == (price == "104")


def test_A25_a_split_divides_the_level_and_nothing_is_placed_at_the_old_one() -> None:
    """The broker ends the stop with the split; until the split is proven nothing rests, then twice as many at half."""
    world, stop = holding()
    world.costs[1] = D(100)
    world.reconcile()
    step = ended(world, stop.intent)
    assert sent(step) == [] and of_kind(step.effects, m.RequestSnapshot)
    world.split("AAA", 2, 1, rebased=False)
    assert all(sent(one) == [] for one in world.reconcile(3)), "a split is suspected"
    world.fetched(AAA=D(2))
    steps = world.reconcile(2)
    (again,) = [order for one in steps for order in sent(one)]
    assert (again.quantity, again.stop_price) == (D(400), D("47.50"))


def test_A25_a_stop_that_the_broker_has_adjusted_stays_as_it_is() -> None:
    """Other brokers adjust a stop: its new terms are taken over, and none of ours goes out against them."""
    world, stop = holding()
    world.costs[1] = D(100)
    world.reconcile()
    step = world.open_order(stop.intent, "PreSubmitted", quantity=D(400), stop_price=D("47.50"))
    world.split("AAA", 2, 1)
    steps = [step, *world.reconcile(2)]
    assert [one for step in steps for one in (*sent(step), *changes(step))] == []
    assert world.order(stop.intent).terms == (D(400), None, D("47.50"))
    assert world.state.stop_levels[1].level == D("47.50")


def test_a_stop_that_lapsed_is_renewed_after_a_reading_in_the_session() -> None:
    """At the level it had; not from a reading that began before it ended, nor while the exchange is closed."""
    world, stop = holding(TRAILING)
    world.wait(40)
    step = ended(world, stop.intent)
    assert sent(step) == []
    began = world.now - timedelta(seconds=5)
    assert sent(world.snapshot(started_tech=began)) == []
    (again,) = sent(world.snapshot())
    assert (again.quantity, again.stop_price) == (D(200), D("95.00"))
    other, its = holding()
    other.now = CLOSE + timedelta(minutes=10)
    ended(other, its.intent)
    assert sent(other.snapshot()) == []


def test_a_stop_the_broker_keeps_refusing_is_tried_less_and_less_often() -> None:
    """Never given up, and never in a loop."""
    world = World.ready(FIXED)
    intent = world.one(AAA="0.2")
    world.acknowledge(intent)
    (stop,) = sent(world.fill(intent, 200))
    tries = 0
    for _ in range(120):
        if stop is not None:
            tries += 1
            world.handed(stop.intent)
            row = {"code": 201, "text": "rejected", "verdict": "rejected"}
            step = world.hear(m.OrderErrorSeen, order_id=world.order(stop.intent).order_id, **row)
            assert sent(step) == []
        (stop,) = [order for one in world.reconcile() for order in sent(one)] or [None]
    assert 5 <= tries <= 12
    assert world.trade(AAA="0.3") == [], "what can't be protected is not added to"


def test_a_person_who_cancels_a_stop_is_obeyed_for_the_session() -> None:
    """And reminded that the holding has none."""
    world, stop = holding()
    world.hear(m.ControlRequested, command="cancel", argument=str(stop.intent), by="uid 1000")
    ended(world, stop.intent)
    steps = world.reconcile(4)
    assert all(sent(step) == [] for step in steps)
    assert "unprotected" in [key for step in steps for key in alerts(step)]
    assert sent(world.hear(m.ControlRequested, command="resume", argument="AAA", by="uid 1000"))


def test_a_restart_never_doubles_a_stop_that_was_on_its_way() -> None:
    """Its outcome is unknown: nothing beside it, until the broker shows it or it is proven absent."""
    world = World.ready(FIXED)
    intent = world.one(AAA="0.2")
    world.acknowledge(intent)
    (stop,) = sent(world.fill(intent, 200))
    world.handed(stop.intent)
    world.start()
    step = world.connect()
    assert sent(step) == []
    assert world.order(stop.intent).state is OrderState.UNKNOWN
    world.open_orders.add(perm_id(stop.intent))
    world.open_order(stop.intent, "PreSubmitted")
    assert all(sent(step) == [] for step in world.reconcile(3))


def test_a_stop_that_our_own_probe_has_cancelled_is_renewed_without_a_reading_in_the_session() -> None:
    """It was unknown, and there after all: no split has ended it, so nothing needs to be read first."""
    world = World.ready(FIXED)
    intent = world.one(AAA="0.2")
    world.acknowledge(intent)
    (stop,) = sent(world.fill(intent, 200))
    world.handed(stop.intent)
    world.hear(m.LinkLost, reason="reset")
    world.connect()
    world.reconcile(1)
    assert world.order(stop.intent).probed and world.order(stop.intent).state is OrderState.UNKNOWN
    world.hear(m.ClockSeen, skew_seconds=60.0)
    assert sent(ended(world, stop.intent)) == []
    (again,) = sent(world.hear(m.ClockSeen, skew_seconds=0.0))
    assert again.quantity == D(200)


def test_a_stop_that_our_own_probe_has_cancelled_hours_after_it_was_sent_is_renewed_in_the_session() -> None:
    """A split might have ended it as well: after one reading of the account, which is asked for at once."""
    world, stop = holding()
    world.wait(7_200)
    world.snapshot()
    world.open_orders.discard(perm_id(stop.intent))
    world.hear(m.LinkLost, reason="reset")
    world.connect()
    world.reconcile(1)
    assert world.order(stop.intent).probed
    step = ended(world, stop.intent)
    assert sent(step) == []
    (asked,) = of_kind(step.effects, m.RequestSnapshot)
    assert asked.reason == "the stop of AAA was ended at the broker"
    world.wait(2)
    (again,) = sent(world.snapshot())
    assert (again.quantity, again.stop_price) == (D(200), stop.stop_price)


def test_what_the_last_reading_of_the_account_did_not_show_gets_no_stop_yet() -> None:
    """A fill that is heard late may have been taken back since: a stop for it could turn the position round."""
    world, stop = holding(filled=120)
    world.hear(m.BackendSeen, up=False)
    world.fill(stop.intent - 1, 80)
    world.positions[1] = D(120)
    world.hear(m.BackendSeen, up=True)
    assert changes(world.snapshot()) == [], "no more than there is, and no less than there was"
    world.positions[1] = D(200)
    (asked,) = changes(world.snapshot())
    assert asked.change.quantity == D(200)
    world = World.ready(FIXED)
    intent = world.one(AAA="0.2")
    world.acknowledge(intent)
    world.hear(m.BackendSeen, up=False)
    world.fill(intent, 50)
    world.positions[1] = D(0)
    world.hear(m.BackendSeen, up=True)
    assert sent(world.snapshot()) == []
    world.positions[1] = D(50)
    (placed,) = sent(world.snapshot())
    assert placed.quantity == D(50)


def test_a_good_till_cancelled_stop_that_is_gone_after_a_night_is_proven_gone_and_renewed() -> None:
    """No list shows it, its cancel finds nothing, and the position is all there: nothing of it has filled."""
    world, stop = holding()
    world.hear(m.LinkLost, reason="the gateway is away")
    world.now += timedelta(days=3)
    world.open_orders.discard(perm_id(stop.intent))
    world.connect()
    steps = world.reconcile(4)
    row = {"code": 10147, "text": "not found", "verdict": "not found"}
    world.hear(m.OrderErrorSeen, order_id=world.order(stop.intent).order_id, **row)
    steps = world.reconcile(3)
    assert world.order(stop.intent).state is OrderState.ABSENT
    (again,) = [order for one in steps for order in sent(one)]
    assert again.quantity == D(200)


def test_shares_that_others_sell_take_their_stop_along() -> None:
    """The owner sells some by hand: the stop is made smaller; all of them: it is cancelled."""
    world, stop = holding()
    step = world.stranger("AAA", 50, "f0.01", Side.SELL)
    assert changes(step)[0].change.quantity == D(150)
    confirmed(world, step)
    step = world.stranger("AAA", 150, "f1.01", Side.SELL)
    assert [one.intent for one in of_kind(step.effects, m.CancelOrder)] == [stop.intent]


def test_a_modification_that_was_lost_with_the_link_is_looked_for_after_it_is_back() -> None:
    """Not only at the next regular reading, half an hour later: meanwhile the stop is too small (seed 70)."""
    world, stop = holding(filled=150)
    (entry,) = [one for one in world.state.live_orders() if one.purpose is Purpose.ENTRY]
    (asked,) = changes(world.fill(entry.intent, 50))
    world.hear(m.OrderHanded, intent=stop.intent, change=asked.change.number)
    world.hear(m.LinkLost, reason="reset by peer")
    world.wait(21)
    world.hear(m.TimeReached)
    world.connect()
    due = next_deadline(world.state)
    assert due is not None and due <= world.now + timedelta(seconds=world.settings.absence_quiet_seconds)


def test_a_stop_moved_by_hand_is_left_where_it_is() -> None:
    """The owner's word in TWS: the level follows it, and nobody moves it back."""
    world, stop = holding()
    step = world.open_order(stop.intent, "PreSubmitted", stop_price=D("80.00"))
    assert "order_changed_elsewhere" in alerts(step)
    assert all(changes(one) == [] for one in world.reconcile(3))
    assert world.state.stop_levels[1].level == D("80.00")


def test_a_stop_is_not_modified_by_command() -> None:
    """The settings say where it lies."""
    world, stop = holding()
    step = world.hear(m.ControlRequested, command="modify", argument=f"{stop.intent} - - 90", by="uid 1000")
    assert changes(step) == []


def test_without_rules_any_more_the_stop_is_cancelled() -> None:
    """A reload that takes them away takes the stops away."""
    world, stop = holding()
    step = world.hear(m.ConfigLoaded, settings=SETTINGS, sha256="2")
    assert [one.intent for one in of_kind(step.effects, m.CancelOrder)] == [stop.intent]
    ended(world, stop.intent)
    assert all(sent(one) == [] for one in world.reconcile(2))
    assert world.state.stop_levels == {}


def test_a_holding_that_was_there_before_its_rule_is_not_sold_at_once() -> None:
    """Its level lies behind the last close, where that is below what was paid."""
    world = World.ready(SETTINGS)
    intent = world.one(AAA="0.2")
    world.finish(intent, "130")
    world.snapshot()
    step = world.hear(m.ConfigLoaded, settings=FIXED, sha256="2")
    (stop,) = sent(step)
    assert stop.stop_price == D("95.00")


def test_what_is_unprotected_is_counted_in_money_and_seconds_of_open_market() -> None:
    """From the fill to the broker's word that the stop works; an alert when it lasts."""
    world = World.ready(FIXED)
    intent = world.one(AAA="0.2")
    world.acknowledge(intent)
    (stop,) = sent(world.fill(intent, 200))
    assert world.state.unprotected[1].unprotected == D(200)
    world.wait(3)
    works(world, stop.intent)
    assert world.state.unprotected == {}
    assert world.state.unprotected_seconds == D(200) * 100 * 3
    other = World.ready(FIXED)
    intent = other.one(AAA="0.2")
    other.acknowledge(intent)
    (stop,) = sent(other.fill(intent, 200))
    other.hear(m.OrderWithheld, intent=stop.intent, reason="no link")
    other.hear(m.LinkLost, reason="gone")
    other.wait(61)
    step = other.hear(m.TimeReached)
    assert alerts(step).count("unprotected") == 1
    other.wait(61)
    assert "unprotected" not in alerts(other.hear(m.TimeReached))


def test_a_short_holding_has_its_stop_above() -> None:
    """Bought back when the price rises to it."""
    world = World.ready(replace(FIXED, allow_short=True, check_shortable=False))
    intent = world.one(AAA="-0.2")
    world.acknowledge(intent)
    (stop,) = sent(world.fill(intent, 200, "100"))
    assert (stop.side, stop.stop_price, stop.quantity) == (Side.BUY, D("105.00"), D(200))


def test_a_stop_is_for_all_that_is_held_whatever_the_lots_of_entries() -> None:
    """Only the instrument's own lot binds it."""
    _, stop = holding(replace(FIXED, lot_size=D(7)), filled=100)
    assert stop.quantity == D(100)
