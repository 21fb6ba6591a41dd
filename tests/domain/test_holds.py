"""Limits on what has happened: what sets each hold, what it then holds back, and what ends it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from longwatch.domain import messages as m
from longwatch.domain.decide import gate
from longwatch.domain.levels import Grade, HoldLimits, Level
from longwatch.domain.orders import OrderState, Purpose
from longwatch.domain.portfolio.parts import gain_of, part_of
from longwatch.domain.risk.held_at import RULES
from longwatch.domain.risk.verbs import Condition
from longwatch.domain.state import evolve, fingerprint
from tests.domain.world import CLOSE, EQUITY, MONDAY, OPEN, SETTINGS, World, alerts, of_kind

D = Decimal
OFF = HoldLimits(daily_loss=None, rejections=None)
TWO = replace(SETTINGS, allocations=(("left", D("0.5")), ("right", D("0.5"))), max_weight=D(1), holds=OFF)


def limited(settings: Any = SETTINGS, **limits: Any) -> Any:
    return replace(settings, holds=replace(OFF, **limits))


def read(world: World, equity: object, cash: object = None, *, rounds: int = 1) -> list[m.HoldSet]:
    """So many readings of the account that show this equity; the holds that came of them."""
    found = []
    for _ in range(rounds):
        world.wait(31)
        more = {} if cash is None else {"cash": D(str(cash))}
        found += of_kind(world.snapshot(net_liquidation=D(str(equity)), **more).facts, m.HoldSet)
    return found


def held(world: World) -> set[tuple[str, str, str]]:
    return {(hold.name, hold.rule, hold.grade.value) for hold in world.state.holds.values()}


def test_every_limit_and_grade_is_a_field_of_the_settings() -> None:
    """The table names what there is, with the settings' own defaults."""
    limits = HoldLimits()
    for rule in RULES:
        found = getattr(limits, rule.limit)
        assert ("null" if found is None else str(found)) == rule.default
        assert getattr(limits, f"{rule.name}_sets") is rule.sets


# ── the account ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_loss_counts_once_two_readings_show_it() -> None:
    """One may be a slip of the account's figures; at the limit, not only beyond it."""
    world = World.ready(limited(daily_loss=D("0.05")))
    assert read(world, 95_000) == []
    (hold,) = read(world, 95_000)
    assert (hold.level, hold.rule, hold.grade) == (Level.ACCOUNT, "daily_loss", Grade.REDUCING)
    assert (hold.observed, hold.limit) == (D("0.05"), D("0.05"))
    assert hold.until == MONDAY.open_at
    assert read(world, 94_000, rounds=3) == []


def test_a_single_wrong_figure_sets_nothing_and_makes_no_peak() -> None:
    """Neither down nor up, and a loss just under the limit neither."""
    world = World.ready(limited(daily_loss=D("0.05"), drawdown=D("0.05")))
    assert read(world, 50_000) == read(world, 100_000) == []
    assert read(world, 900_000) == read(world, 100_000) == []
    assert read(world, 95_001, rounds=3) == []
    assert world.state.marks[(Level.ACCOUNT, "DU123456")].peak == EQUITY


def test_the_peak_is_the_highest_that_two_readings_show_and_outlives_the_session() -> None:
    """From 120,000 down to 96,000 is a fifth; the day's loss starts anew meanwhile."""
    world = World.ready(limited(drawdown=D("0.2"), daily_loss=D("0.5")))
    assert read(world, 120_000, rounds=2) == []
    world.now = MONDAY.open_at + timedelta(minutes=1)
    world.snapshot(net_liquidation=D(97_000))
    (hold,) = read(world, 96_000, rounds=2)
    assert (hold.rule, hold.grade, hold.until) == ("drawdown", Grade.HALTED, None)


def test_the_opening_gap_belongs_to_the_session_that_opens() -> None:
    """Its start is the last reading before it."""
    world = World.ready(limited(daily_loss=D("0.04")))
    read(world, 98_000, rounds=2)
    world.now = CLOSE + timedelta(hours=1)
    read(world, 98_000, rounds=2)
    world.now = MONDAY.open_at + timedelta(seconds=20)
    (hold,) = read(world, 94_000, rounds=2)
    assert world.state.marks[(Level.ACCOUNT, "DU123456")].start == 98_000
    assert hold.observed == D(4_000) / 98_000


def test_the_first_reading_after_a_long_silence_starts_the_session() -> None:
    """A daemon that slept for days does not call what happened meanwhile a loss of today."""
    world = World.ready(limited(daily_loss=D("0.04")))
    assert world.state.compared is not None
    world.state.compared = replace(world.state.compared, at=OPEN - timedelta(days=9))
    world.now = MONDAY.open_at + timedelta(minutes=1)
    assert read(world, 90_000, rounds=2) == []
    assert world.state.marks[(Level.ACCOUNT, "DU123456")].start == 90_000


def test_money_that_comes_or_goes_is_neither_gain_nor_loss() -> None:
    """A withdrawal sets nothing; a deposit hides no loss: 110,000 with 20,000 of new money is a tenth lost."""
    world = World.ready(limited(daily_loss=D("0.05"), drawdown=D("0.05")))
    step = world.snapshot(net_liquidation=D(70_000), cash=D(70_000))
    assert [fact.amount for fact in of_kind(step.facts, m.FlowBooked)] == [-30_000]
    assert alerts(step) == ["cash_flow"]
    assert read(world, 70_000, 70_000, rounds=2) == []
    world = World.ready(limited(drawdown=D("0.05")))
    assert read(world, 120_000, 120_000, rounds=2) == []
    (hold,) = read(world, 113_900, 120_000, rounds=2)
    assert hold.observed == D(6_100) / 120_000


def test_a_deposit_in_the_midst_of_a_loss_does_not_cure_it() -> None:
    """A tenth was lost before twenty thousand came in, and is a tenth after it: the peak grows by two ninths."""
    world = World.ready(limited(drawdown=D("0.12")))
    assert read(world, 90_000, 100_000, rounds=2) == []
    assert read(world, 110_000, 120_000, rounds=2) == []
    peak = world.state.marks[(Level.ACCOUNT, "DU123456")].peak
    assert peak == D(100_000) * 110_000 / 90_000
    (hold,) = read(world, 105_000, 120_000, rounds=2)
    assert hold.observed == (peak - 105_000) / peak


def test_cash_that_pays_for_shares_is_no_flow() -> None:
    """Whether their execution has been heard, or the cash is told later than they are."""
    world = World.ready(limited(daily_loss=D("0.05")))
    world.finish(world.one(AAA="0.2"))
    for cash in (100_000, 98_000, 80_000, 80_000):
        assert read(world, 100_000, cash) == []
    assert not [fact for _, step in world.steps for fact in of_kind(step.facts, m.FlowBooked)]
    # Without an execution: shares came, the book differs, and nobody knows what the cash was for.
    world.positions[2] = D(100)
    read(world, 100_000, 75_000, rounds=3)
    assert not [fact for _, step in world.steps for fact in of_kind(step.facts, m.FlowBooked)]


def test_a_person_s_word_on_a_flow_moves_what_is_measured_from() -> None:
    """What came in beside a trade is not seen, and may be said."""
    world = World.ready(limited(daily_loss=D("0.05")))
    world.hear(m.ControlRequested, command="flow", argument="-10000", by="uid 1000", reason="rent")
    mark = world.state.marks[(Level.ACCOUNT, "DU123456")]
    assert (mark.start, mark.peak) == (90_000, 90_000)
    assert read(world, 90_000, rounds=3) == []


def test_rejections_in_a_row_halt_and_an_order_that_lives_ends_the_row() -> None:
    """Whatever the symbol; those of before a person's resume count no more."""
    world = World.ready(limited(rejections=3))

    def rejected(symbol: str) -> bool:
        (order,) = world.trade(**{"CCC": "0.1" if world.state.held(3) else "0", symbol: "0.1"})
        world.handed(order.intent)
        world.hear(m.OrderErrorSeen, order_id=order.order_id, code=201, text="no", verdict="rejected")
        world.wait(1)
        return bool(world.state.holds)

    assert not rejected("AAA") and not rejected("BBB")
    world.finish(world.one(CCC="0.1"))
    world.wait(1)
    assert not rejected("AAA") and not rejected("BBB") and rejected("AAA")
    assert held(world) == {("DU123456", "rejections", "halted")}
    world.hear(m.ControlRequested, command="resume", by="uid 1000")
    assert not world.state.holds
    world.hear(m.ControlRequested, command="resume", argument="all", by="uid 1000")
    assert not rejected("BBB")


# ── what a hold does ────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_works_against_a_hold_is_cancelled_and_what_reduces_goes_on() -> None:
    """An entry at work is asked to end; the sale beside it is not, unless nothing may leave."""
    for sets, ended in ((Grade.REDUCING, {Purpose.ENTRY}), (Grade.HALTED, {Purpose.ENTRY, Purpose.REDUCE})):
        world = World.ready(limited(daily_loss=D("0.05"), daily_loss_sets=sets))
        world.wait(1)
        world.finish(world.one(AAA="0.2"))
        for order in world.trade(AAA="0.1", BBB="0.1"):
            world.acknowledge(order.intent)
        assert {order.purpose for order in world.state.live_orders()} == {Purpose.ENTRY, Purpose.REDUCE}
        read(world, 90_000, 80_000, rounds=2)
        assert held(world) == {("DU123456", "daily_loss", sets.value)}
        assert {order.purpose for order in world.state.live_orders() if order.cancel_asked} == ended


def test_an_instrument_s_hold_is_about_that_instrument() -> None:
    """AAA slipped by two per cent: no more of it, while BBB is bought."""
    world = World.ready(limited(order_slippage_bps=D(100)))
    world.finish(world.one(AAA="0.1"), price="102")
    assert held(world) == {("AAA", "order_slippage", "reducing")}
    made = world.trade(AAA="0.2", BBB="0.1")
    assert [order.symbol for order in made] == ["BBB"]
    (refused,) = of_kind(world.steps[-1][1].facts, m.TradeRefused)
    assert (refused.check, refused.symbol) == ("reducing", "AAA")
    assert "order_slippage limit" in refused.text
    assert [order.symbol for order in world.trade(AAA="0.05", BBB="0.1")] == ["AAA"]


def test_slippage_is_weighed_by_value_and_a_gain_makes_up_for_a_loss() -> None:
    """100 bp on 20,000 and 20 bp won on 20,000 are 40 bp of the session."""
    world = World.ready(limited(session_slippage_bps=D(40)))
    first, second = world.trade(AAA="0.2", BBB="0.2")
    world.finish(second.intent, price="49.9")
    world.finish(first.intent, price="101")
    (hold,) = world.state.holds.values()
    assert (hold.level, hold.observed) == (Level.ACCOUNT, D(40))
    assert hold.until == MONDAY.open_at


def test_sales_slip_downwards_and_stops_not_at_all() -> None:
    """Sold for less than decided is slippage as well; a protective stop is decided at no price."""
    world = World.ready(limited(order_slippage_bps=D(100)))
    world.finish(world.one(AAA="0.2"))
    intent = world.one(AAA="0.1")
    world.state.orders[intent] = replace(world.order(intent), purpose=Purpose.STOP)
    world.finish(intent, price="90")
    assert not world.state.holds
    world.finish(world.one(AAA="0.05"), price="98")
    assert held(world) == {("AAA", "order_slippage", "reducing")}


def test_the_gate_withholds_what_waits_when_a_hold_is_set() -> None:
    """Decided before, written after: it stays."""
    world = World.ready(limited(daily_loss=D("0.05")))
    intent = world.one(AAA="0.1")
    assert gate(world.state, intent, world.now) is None
    read(world, 90_000, rounds=2)
    world.state.orders[intent] = replace(world.order(intent), cancel_asked=False, state=OrderState.SENDING)
    assert gate(world.state, intent, world.now) == f"{Condition.REDUCING.value} (daily_loss limit)"


def test_a_hold_of_a_session_ends_with_the_next_and_one_of_the_evening_after_that() -> None:
    """By the rule; and only where the settings say so."""
    world = World.ready(limited(daily_loss=D("0.05")))
    read(world, 90_000, rounds=2)
    world.now = MONDAY.open_at - timedelta(seconds=1)
    world.hear(m.TimeReached)
    assert world.state.holds
    world.now = MONDAY.open_at
    (lifted,) = of_kind(world.hear(m.TimeReached).facts, m.HoldLifted)
    assert lifted.because == "the next session has begun" and not world.state.holds
    evening = World.ready(limited(daily_loss=D("0.05")))
    evening.now = CLOSE + timedelta(hours=1)
    (hold,) = read(evening, 90_000, rounds=2)
    assert hold.until is None  # no session is known after the coming one
    kept = World.ready(limited(daily_loss=D("0.05"), until="resumed"))
    (hold,) = read(kept, 90_000, rounds=2)
    assert hold.until is None


def test_resume_begins_the_measure_anew() -> None:
    """The loss that was looked at is not held against the account again; a further one is."""
    world = World.ready(limited(daily_loss=D("0.05"), drawdown=D("0.10"), daily_loss_sets=Grade.HALTED))
    read(world, 89_000, rounds=2)
    assert {rule for _, rule, _ in held(world)} == {"daily_loss", "drawdown"}
    world.hear(m.ControlRequested, command="resume", by="uid 1000", reason="seen")
    assert not world.state.holds
    assert read(world, 89_000, rounds=3) == []
    assert {hold.rule for hold in read(world, 84_500, rounds=2)} == {"daily_loss"}


def test_a_flatten_is_not_kept_from_closing_by_a_limit() -> None:
    """A hold that halts lets a person's flatten close; a person's own halt does not."""
    world = World.ready(limited(drawdown=D("0.05")))
    world.wait(1)
    world.finish(world.one(AAA="0.2"))
    read(world, 90_000, 80_000, rounds=3)
    assert held(world) == {("DU123456", "drawdown", "halted")}
    assert world.trade(AAA="0") == []
    world.hear(m.ControlRequested, command="flatten", by="uid 1000")
    (closing,) = of_kind(world.rebalance().effects, m.SubmitOrder)
    assert closing.order.purpose is Purpose.REDUCE
    assert gate(world.state, closing.order.intent, world.now) is None


def test_a_hold_outlives_the_process() -> None:
    """It is folded from the journal like anything else."""
    world = World.ready(limited(daily_loss=D("0.05")))
    read(world, 90_000, rounds=2)
    again = World(settings=world.settings)
    for _, step in world.steps:
        for fact in step.facts:
            evolve(again.state, fact)
    assert fingerprint(again.state) == fingerprint(world.state)
    assert again.state.holds == world.state.holds


# ── strategies ──────────────────────────────────────────────────────────────────────────────────────────────────────


def two(**limits: Any) -> World:
    """Two strategies of half the capital each that both hold AAA: 100 shares the left one's, 200 the right one's."""
    world = World.ready(limited(TWO, **limits))
    aim(world, left={"AAA": "0.2"}, right={"AAA": "0.4"})
    (order,) = ordered(world)
    world.finish(order.intent)
    assert (part_of(world.state, "left", 1), part_of(world.state, "right", 1)) == (100, 200)
    return world


def aim(world: World, **strategies: dict[str, str]) -> None:
    for name, weights in strategies.items():
        world.targets(name, **weights)


def ordered(world: World) -> list[Any]:
    world.wait(1)
    world.snapshot(cash=D(70_000))
    return [effect.order for effect in of_kind(world.rebalance().effects, m.SubmitOrder)]


def hold_back(world: World, strategy: str, grade: Grade) -> None:
    hold = m.HoldSet(
        level=Level.STRATEGY,
        name=strategy,
        rule="strategy_drawdown",
        grade=grade,
        observed=D("0.3"),
        limit=D("0.2"),
        since=world.now,
    )
    world.state.holds[(hold.level, hold.name, hold.rule)] = hold


def test_an_order_is_for_the_strategies_that_want_it() -> None:
    """One that is where it wants to be has no part in it."""
    world = two()
    aim(world, left={"AAA": "0.2"}, right={"AAA": "0.6"})
    (order,) = ordered(world)
    assert {part.strategy: part.quantity for part in order.allocations} == {"right": 100}


@pytest.mark.parametrize(
    ("left", "right", "sold"),
    [
        ("0.6", "0.4", 0),  # it wants more, and may not have it
        ("0.6", "0.6", -100),  # bought: what the other wants
        ("0.1", "0.4", 50),  # it wants less: sold
        ("0", "0.4", 100),
        ("0.6", "0", 200),  # the other leaves: its own part stays
        ("-0.2", "0.4", 100),  # not through zero
    ],
)
def test_a_reducing_strategy_s_part_of_the_net_target_only_shrinks(left: str, right: str, sold: int) -> None:
    """Beside another in one symbol: what that one wants is traded, what this one wants is within its hundred shares."""
    world = two()
    hold_back(world, "left", Grade.REDUCING)
    aim(world, left={"AAA": left}, right={"AAA": right})
    made = ordered(world)
    assert sum(order.quantity * -order.side.sign for order in made) == sold
    for order in made:
        world.finish(order.intent)
    assert 0 <= part_of(world.state, "left", 1) <= 100


def test_a_halted_strategy_s_part_stays_as_it_is() -> None:
    """Whatever it wants, and also when it names the symbol no more; the other trades on."""
    for left in ({"AAA": "0.6"}, {"AAA": "0"}, {}):
        world = two()
        hold_back(world, "left", Grade.HALTED)
        aim(world, left=left, right={"AAA": "0"})
        (order,) = ordered(world)
        assert (order.side.sign, order.quantity) == (-1, 200)
        world.finish(order.intent)
        assert (part_of(world.state, "left", 1), part_of(world.state, "right", 1)) == (100, 0)
        assert ordered(world) == []


def test_the_gate_withholds_an_order_for_a_strategy_held_meanwhile() -> None:
    """Its part would grow; what shrinks it leaves, unless it is halted. What is another's leaves."""
    world = two()
    aim(world, left={"AAA": "0.4"}, right={"AAA": "0.4"})
    (more,) = ordered(world)
    hold_back(world, "left", Grade.REDUCING)
    assert gate(world.state, more.intent, world.now) == "strategy left is reducing only"
    del world.state.holds[(Level.STRATEGY, "left", "strategy_drawdown")]
    assert gate(world.state, more.intent, world.now) is None
    hold_back(world, "right", Grade.HALTED)
    assert gate(world.state, more.intent, world.now) is None
    less = two()
    aim(less, left={"AAA": "0.1"}, right={"AAA": "0.4"})
    (sale,) = ordered(less)
    hold_back(less, "left", Grade.REDUCING)
    assert gate(less.state, sale.intent, less.now) is None
    hold_back(less, "left", Grade.HALTED)
    assert gate(less.state, sale.intent, less.now) == "strategy left is halted"


def test_what_one_sells_and_the_other_buys_changes_hands_without_an_order() -> None:
    """At the sizing price: what each has made stays its own."""
    world = two()
    world.prices["AAA"] = D(110)
    aim(world, left={}, right={"AAA": "0.66"})
    assert ordered(world) == []
    (moved,) = [fact for _, step in world.steps for fact in of_kind(step.facts, m.PartsCrossed)]
    assert (dict(moved.moves), moved.price) == ({"left": -100, "right": 100}, 110)
    assert (part_of(world.state, "left", 1), part_of(world.state, "right", 1)) == (0, 300)
    prices = {"AAA": D(120)}
    gained = [gain_of(world.state, name, prices) for name in ("left", "right")]
    assert [round(one, 6) for one in gained] == [1_000, 5_000]


def test_what_the_parts_have_made_is_what_the_book_has_made() -> None:
    """Together, commissions and a sale included."""
    world = two()
    aim(world, left={"AAA": "0.1"}, right={"AAA": "0.2"})
    (order,) = ordered(world)
    world.acknowledge(order.intent)
    world.fill(order.intent, 50, "104", "sale.01")
    world.hear(m.CommissionSeen, exec_id="sale.01", commission=D(3), currency="USD")
    world.fill(order.intent, 100, "105")
    holding = world.state.book[1]
    prices = {"AAA": D(111)}
    whole = holding.realized + holding.quantity * (111 - holding.average_cost) - 3
    parts = sum(gain_of(world.state, name, prices) for name in ("left", "right"))
    assert abs(parts - whole) < D("0.0001")


@pytest.mark.parametrize("rule", ["strategy_daily_loss", "strategy_drawdown"])
def test_a_strategy_is_held_by_what_its_own_part_has_lost(rule: str) -> None:
    """The closes are a tenth lower: 2,000 lost by the right one are 4 % of its half, the left one's 1,000 are 2 %."""
    world = two(**{rule: D("0.04"), f"{rule}_sets": Grade.REDUCING})
    world.prices["AAA"] = D(90)
    world.now = CLOSE + timedelta(minutes=45)
    aim(world, left={"AAA": "0.2"}, right={"AAA": "0.4"})
    assert held(world) == {("right", rule, "reducing")}
    (hold,) = world.state.holds.values()
    assert (hold.observed, hold.until) == (D("0.04"), None)
    world.hear(m.ControlRequested, command="resume", argument="right", by="uid 1000")
    aim(world, left={"AAA": "0.2"}, right={"AAA": "0.4"})
    assert not world.state.holds


def test_a_strategy_s_slippage_is_that_of_its_orders() -> None:
    """BBB was the right one's alone."""
    world = World.ready(limited(TWO, strategy_slippage_bps=D(100)))
    aim(world, left={"AAA": "0.2"}, right={"BBB": "0.2"})
    first, second = ordered(world)
    world.finish(first.intent, price="100")
    world.finish(second.intent, price="51")
    assert held(world) == {("right", "strategy_slippage", "reducing")}


def test_a_split_splits_each_part() -> None:
    """Shares and costs: what each has made is as before."""
    world = two()
    before = [gain_of(world.state, name, {"AAA": D(110)}) for name in ("left", "right")]
    world.costs = {1: D(100)}
    world.reconcile()
    world.split("AAA", 2, 1)
    world.snapshot()
    assert (part_of(world.state, "left", 1), part_of(world.state, "right", 1)) == (200, 400)
    assert [gain_of(world.state, name, {"AAA": D(55)}) for name in ("left", "right")] == before


def test_what_a_protective_stop_sells_comes_off_each_part_by_its_size() -> None:
    """Nobody asked for it: a third of the shares are the left one's, and so are a third of the sold."""
    world = two()
    aim(world, left={"AAA": "0.1"}, right={"AAA": "0.4"})
    (order,) = ordered(world)
    world.state.orders[order.intent] = replace(
        world.order(order.intent), purpose=Purpose.STOP, allocations=(), quantity=D(150)
    )
    world.acknowledge(order.intent)
    world.fill(order.intent, 150, "95")
    assert (part_of(world.state, "left", 1), part_of(world.state, "right", 1)) == (50, 100)
    assert world.state.held(1) == 150
