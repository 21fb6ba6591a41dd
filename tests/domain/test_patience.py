"""How long orders work, what becomes of their rest, and that no interleaving of fills and cancels buys too much."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.domain import messages as m
from longwatch.domain.decide import gate, next_deadline
from longwatch.domain.instruments import Side
from longwatch.domain.order_life.patience import AT_CLOSE, REST, TIMED_OUT
from longwatch.domain.orders import Order, OrderState, OrderType
from longwatch.domain.risk.exposure import worst_values
from longwatch.domain.settings import TradeSettings
from tests.domain.world import (
    CLOSE,
    EQUITY,
    MONDAY,
    PRICES,
    SETTINGS,
    World,
    alerts,
    execution,
    of_kind,
    open_order,
    order_status,
    perm_id,
)

D = Decimal
PATIENT = replace(SETTINGS, working_seconds=30.0, replacements=2, max_orders_per_minute=1_000)


def reasons(step) -> list[str]:
    return [effect.reason for effect in of_kind(step.effects, m.RunJob)]


def working(settings: TradeSettings = PATIENT) -> tuple[World, int]:
    world = World.ready(settings)
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    return world, intent


def time_is_up(world: World):
    """The deadline in the state comes."""
    due = next_deadline(world.state)
    assert due is not None
    world.now = max(due, world.now)
    return world.hear(m.TimeReached)


def cancelled(world: World, intent: int, filled: int = 0):
    world.end(intent)
    return world.status(intent, "Cancelled", filled)


def test_an_order_is_cancelled_when_its_time_is_up_and_not_before() -> None:
    """The deadline is data in the state; one cancel, and no further deadline for it."""
    world, intent = working()
    due = next_deadline(world.state)
    assert due == world.order(intent).sent_at + timedelta(seconds=30)  # type: ignore[operator]
    world.wait(29)
    assert world.hear(m.TimeReached).effects == ()
    step = time_is_up(world)
    assert [effect.intent for effect in of_kind(step.effects, m.CancelOrder)] == [intent]
    assert world.order(intent).cancel_reason == TIMED_OUT
    assert next_deadline(world.state) is None and world.hear(m.TimeReached).effects == ()


def test_the_rest_is_sent_as_a_child_only_after_the_evidence_of_the_cancel() -> None:
    """A decision while the cancel is out orders nothing; after the broker's word the child is for what is left."""
    world, intent = working()
    world.fill(intent, 40)
    time_is_up(world)
    assert of_kind(world.rebalance().effects, m.SubmitOrder) == []
    assert reasons(cancelled(world, intent, 40)) == [REST]
    (child,) = [effect.order for effect in of_kind(world.rebalance().effects, m.SubmitOrder)]
    assert (child.quantity, child.replaces, child.replacement) == (60, intent, 1)


def test_a_child_is_sized_by_fills_that_came_after_the_cancel_was_asked_for() -> None:
    """Cancelled after 70, of which the last 30 are heard late: the child waits for them and is for 30."""
    world, intent = working()
    world.fill(intent, 40)
    time_is_up(world)
    assert reasons(cancelled(world, intent, 70)) == []
    assert of_kind(world.rebalance().effects, m.SubmitOrder) == []
    assert reasons(world.fill(intent, 30)) == [REST]
    (child,) = [effect.order for effect in of_kind(world.rebalance().effects, m.SubmitOrder)]
    assert child.quantity == 30


def test_a_family_has_so_many_children_and_then_rests_until_the_next_session() -> None:
    """Two replacements; then an alert, and nothing before Monday."""
    world, intent = working()
    for child in (1, 2):
        time_is_up(world)
        assert reasons(cancelled(world, intent)) == [REST]
        (order,) = [effect.order for effect in of_kind(world.rebalance().effects, m.SubmitOrder)]
        assert (order.replaces, order.replacement) == (intent, child)
        intent = order.intent
        world.acknowledge(intent)
    time_is_up(world)
    step = cancelled(world, intent)
    assert (reasons(step), alerts(step)) == ([], ["order_unfilled"])
    assert of_kind(world.rebalance().effects, m.SubmitOrder) == []
    world.now = MONDAY.open_at + timedelta(minutes=5)
    world.snapshot()
    (order,) = [effect.order for effect in of_kind(world.rebalance(session=MONDAY).effects, m.SubmitOrder)]
    assert (order.replaces, order.replacement) == (None, 0)


def test_a_child_whose_job_was_lost_is_found_again_in_the_state() -> None:
    """With a reading of the account, once the last decision has rested."""
    world, intent = working()
    time_is_up(world)
    cancelled(world, intent)
    world.wait(1)
    assert reasons(world.snapshot()) == []
    world.wait(121)
    assert of_kind(world.snapshot().effects, m.RunJob) == [m.RunJob(job="rebalance", reason=REST)]


def test_a_persons_cancel_is_not_followed_by_a_child() -> None:
    """Also when the order's time was up already."""
    world, intent = working()
    time_is_up(world)
    world.hear(m.ControlRequested, command="cancel", argument="AAA", by="uid 1000")
    assert reasons(cancelled(world, intent)) == []
    assert of_kind(world.rebalance().effects, m.SubmitOrder) == []


def test_without_the_setting_orders_work_for_the_day() -> None:
    """As before."""
    world, _ = working(SETTINGS)
    assert next_deadline(world.state) is None


# ── the close ───────────────────────────────────────────────────────────────────────────────────────────────────────


def at_the_close(policy: str) -> tuple[World, int]:
    world, intent = working(replace(SETTINGS, at_close=policy))
    world.now = CLOSE - timedelta(minutes=15, seconds=1)
    return world, intent


def test_what_still_works_before_the_close_is_left_to_expire() -> None:
    """Unless the settings say otherwise."""
    world, _ = at_the_close("leave")
    world.wait(5)
    assert of_kind(world.snapshot().effects, m.CancelOrder) == []


def test_what_still_works_before_the_close_is_cancelled() -> None:
    """From so many minutes before, with the reading of the account; the rest is left for the next session."""
    world, intent = at_the_close("cancel")
    early = world.now - timedelta(minutes=1)
    assert of_kind(world.snapshot(at=early).effects, m.CancelOrder) == []
    world.wait(2)
    assert [effect.intent for effect in of_kind(world.snapshot().effects, m.CancelOrder)] == [intent]
    assert world.order(intent).cancel_reason == AT_CLOSE
    assert alerts(cancelled(world, intent)) == ["order_unfilled"]
    assert of_kind(world.rebalance().effects, m.SubmitOrder) == []


def test_what_still_works_before_the_close_goes_into_its_auction() -> None:
    """Cancelled, and once that is evidence the rest is a market order at the close, for the day; it is left alone."""
    world, intent = at_the_close("moc")
    world.fill(intent, 40)
    world.wait(2)
    world.snapshot()
    assert reasons(cancelled(world, intent, 40)) == [REST]
    (child,) = [effect.order for effect in of_kind(world.rebalance().effects, m.SubmitOrder)]
    assert (child.order_type, child.limit_price, child.tif) == (OrderType.AT_CLOSE, None, "DAY")
    assert (child.quantity, child.replaces) == (60, intent)
    world.acknowledge(child.intent)
    world.wait(30)
    assert of_kind(world.snapshot().effects, m.CancelOrder) == []


FLATTEN_NOW = [
    (replace(SETTINGS, at_close="moc"), timedelta(minutes=14)),
    (replace(SETTINGS, at_close="moc"), timedelta(minutes=8)),
    (replace(SETTINGS, order_type="MOC"), timedelta(hours=5)),
    (replace(SETTINGS, order_type="LOC", tif="GTC"), timedelta(minutes=8)),
    (replace(SETTINGS, limit_from="mid", limit_offset_bps=D(0)), timedelta(hours=5)),
]


@pytest.mark.parametrize(("settings", "before"), FLATTEN_NOW)
def test_a_flatten_sends_what_can_fill_now(settings: TradeSettings, before: timedelta) -> None:
    """Whatever type is set, at any time of the day: a limit through the bid; the close does not cancel it."""
    world = held_shortly_before_the_close(settings, before)
    world.hear(m.ControlRequested, command="flatten", by="uid 1000", reason="emergency")
    (order,) = [effect.order for effect in of_kind(world.rebalance().effects, m.SubmitOrder)]
    assert (order.side, order.quantity, order.order_type) == (Side.SELL, 100, OrderType.LIMIT)
    assert order.limit_price <= world.prices["AAA"] - D("0.01") and order.tif == "DAY"
    world.acknowledge(order.intent)
    assert of_kind(world.snapshot().effects, m.CancelOrder) == []


@pytest.mark.parametrize("settings", [replace(SETTINGS, at_close="moc"), replace(SETTINGS, order_type="MOC")])
def test_after_its_cut_off_nothing_is_sent_into_the_closing_auction(settings: TradeSettings) -> None:
    """The exchange would refuse it (201); a limit that can fill now is sent, and is not cancelled for the auction."""
    for minutes, kind in ((11, OrderType.AT_CLOSE), (10, OrderType.LIMIT), (1, OrderType.LIMIT)):
        world = held_shortly_before_the_close(settings, timedelta(minutes=minutes))
        (order,) = world.trade(AAA="0")
        assert (order.order_type, order.tif) == (kind, "DAY")
        world.acknowledge(order.intent)
        assert of_kind(world.snapshot().effects, m.CancelOrder) == []


def held_shortly_before_the_close(settings: TradeSettings, before: timedelta) -> World:
    """100 AAA bought, everything known anew at so long before the close, and then these settings."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    world.finish(intent)
    world.settings, world.now = settings, CLOSE - before
    world.hear(m.ConfigLoaded, settings=settings, sha256="c0ffee")
    world.snapshot()
    world.hear(m.ClockSeen, skew_seconds=0.1)
    return world


# ── prices and types ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_limit_lies_beyond_the_far_side_or_beyond_the_mid() -> None:
    """On the grid, never giving more than was asked for."""
    for start, limit in (("far", D("100.21")), ("mid", D("100.20"))):
        world = World.ready(replace(SETTINGS, limit_from=start))
        (order,) = world.trade(AAA="0.1")
        assert (order.order_type, order.limit_price) == (OrderType.LIMIT, limit)


def test_auction_orders_are_for_the_day_whatever_the_setting() -> None:
    """IB takes them no other way (113)."""
    for kind, limit in (("MOC", None), ("LOC", D("100.21"))):
        world = World.ready(replace(SETTINGS, order_type=kind, tif="GTC"))
        (order,) = world.trade(AAA="0.1")
        assert (order.order_type.value, order.limit_price, order.tif) == (kind, limit, "DAY")


# ── any interleaving ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Race(World):
    """A broker that fills and cancels when it likes, and whose messages come late and in another order.

    `truth` is intent -> [shares filled, has ended]; `said` are messages on their way.
    """

    truth: dict[int, list[object]] = field(default_factory=dict)
    said: list[m.Event] = field(default_factory=list)
    queue: list[Order] = field(default_factory=list)
    cancels: list[int] = field(default_factory=list)
    looks: int = 0

    def take(self, event: m.Event):
        step = World.take(self, event)
        self.queue += [effect.order for effect in of_kind(step.effects, m.SubmitOrder)]
        self.cancels += [effect.intent for effect in of_kind(step.effects, m.CancelOrder)]
        self.looks += any(effect.job == "rebalance" for effect in of_kind(step.effects, m.RunJob))
        return step

    def folded(self, fact: m.Fact) -> None:
        live = [order for order in self.state.live_orders() if order.con_id == 1]
        assert len(live) <= 1, [order.ref for order in live]
        assert self.state.held(1) <= 100

    def filled(self) -> int:
        return sum(int(str(row[0])) for row in self.truth.values())

    def at_worst(self) -> int:
        """Shares bought, and those that orders alive at the broker or on their way may still buy."""
        alive = [intent for intent, (_, ended) in self.truth.items() if not ended]
        left = sum(int(self.order(intent).quantity) - int(str(self.truth[intent][0])) for intent in alive)
        return self.filled() + left + sum(int(order.quantity) for order in self.queue)

    def do(self, name: str, number: int) -> None:
        self.wait(1 + number % 9)
        getattr(self, f"_{name}")(number)
        assert self.at_worst() <= 100

    def _write(self, number: int) -> None:
        for order in self.queue[:1]:
            self.queue.remove(order)
            reason = gate(self.state, order.intent, self.now)
            if reason is not None:
                self.hear(m.OrderWithheld, intent=order.intent, reason=reason)
                return
            self.handed(order.intent)
            self.truth[order.intent] = [0, False]
            self.said.append(open_order(order, self.now))

    def _fill(self, number: int) -> None:
        alive = [intent for intent, (_, ended) in self.truth.items() if not ended]
        for intent in alive[:1]:
            order, row = self.order(intent), self.truth[intent]
            left = int(order.quantity) - int(str(row[0]))
            quantity = left if number % 7 == 0 else max(1, left // 3)
            row[0] = int(str(row[0])) + quantity
            row[1] = row[0] == order.quantity
            self.executions.append(f"{len(self.executions):04x}.01")
            self.positions[1] = self.positions.get(1, D(0)) + quantity
            self.said.append(execution(order, self.now, self.executions[-1], quantity, "100"))
            self.said.append(order_status(order, self.now, "Filled" if row[1] else "Submitted", D(str(row[0]))))

    def _cancel(self, number: int) -> None:
        if self.cancels:
            intent = self.cancels.pop(0)
            row = self.truth.get(intent)
            if row is not None and not row[1]:
                row[1] = True
                self.said.append(order_status(self.order(intent), self.now, "Cancelled", D(str(row[0]))))

    def _hear(self, number: int) -> None:
        if self.said:
            event = self.said.pop(number % min(3, len(self.said)))
            self.take(replace(event, at=self.now, tech=self.now))

    def _time(self, number: int) -> None:
        due = next_deadline(self.state)
        if due is not None:
            self.now = max(self.now, due)
            self.hear(m.TimeReached)

    def _look(self, number: int) -> None:
        """The job that was asked for, or a decision of its own accord."""
        self.looks = 0
        self.rebalance()

    def _read(self, number: int) -> None:
        """A whole reading, what was said before it heard first."""
        while self.said:
            self._hear(0)
        self.open_orders = {perm_id(intent) for intent, (_, ended) in self.truth.items() if not ended}
        self.completed = {perm_id(intent) for intent, (_, ended) in self.truth.items() if ended}
        self.snapshot()


ACTS = ("write", "fill", "cancel", "hear", "hear", "time", "look", "read")


@given(st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 60)), max_size=60))
def test_no_interleaving_of_fills_and_cancels_buys_more_than_was_wanted_or_has_two_orders_at_once(acts) -> None:
    """At every fact one live order at most, at every moment no more than 100 at worst at the broker itself; and what is
    held in the end is what was bought."""
    race = Race.ready(replace(PATIENT, replacements=50))
    race.targets(AAA="0.1")
    race.rebalance()
    for name, number in acts:
        race.do(name, number)
    race._read(0)
    assert race.state.held(1) == race.filled() <= 100
    assert all(order.side is Side.BUY for order in race.state.orders.values())
    family = {order.intent: order.replaces for order in race.state.orders.values()}
    for child, parent in family.items():
        assert parent is None or (parent < child and race.order(parent).state is not OrderState.WORKING)


def test_an_impatient_daemon_fills_in_the_end() -> None:
    """Time-outs again and again, a part filled each time: the whole is bought, by one order after the other."""
    race = Race.ready(replace(PATIENT, replacements=50))
    race.targets(AAA="0.1")
    race.rebalance()
    for _ in range(30):
        for name in ("write", "hear", "fill", "hear", "hear", "time", "cancel", "hear", "read", "look"):
            race.do(name, 1)
    assert race.state.held(1) == 100
    assert len(race.state.orders) > 3


@pytest.mark.parametrize(
    ("gross", "sent", "waiting"), [("1", {"AAA"}, 0), ("1.5", {"AAA", "BBB"}, 0), ("2", {"AAA", "BBB"}, 0)]
)
def test_buys_go_into_the_same_auction_as_sells_as_far_as_the_limits_hold_should_no_sale_fill(
    gross: str, sent: set[str], waiting: int
) -> None:
    """All of AAA for as much of BBB: with room for both sides all of it, with some room some of it, else none."""
    room = {"max_gross_exposure": D(gross), "max_net_exposure": D(gross), "max_weight": D(1)}
    world = World.ready(replace(SETTINGS, order_type="MOC", adopt_existing=True, **room), AAA=1000)
    orders = {order.symbol: order for order in world.trade(AAA="0", BBB="0.99")}
    assert set(orders) == sent and all(order.order_type is OrderType.AT_CLOSE for order in orders.values())
    assert world.state.rebalance is not None and world.state.rebalance.waiting == waiting
    assert worst_values(world.state, dict(PRICES))[0] <= D(gross) * EQUITY
    if gross == "2":
        assert orders["BBB"].quantity == 1980
