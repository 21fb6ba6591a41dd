"""A history that is rebased before the account moves: levels, orders and losses wait until both are of one scale."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

import pytest

from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.domain.instruments import Side
from longwatch.domain.levels import Level
from longwatch.domain.orders import Order, Purpose
from longwatch.domain.reconciliation import splits
from longwatch.domain.reconciliation.causes import Cause
from longwatch.domain.settings import StopRule, TradeSettings
from longwatch.journal.codec import decode, encode
from tests.domain.test_protection import TRAILING, changes, holding, sent
from tests.domain.test_session_losses import holding as held_by_two
from tests.domain.test_take_profit import PAIR
from tests.domain.world import CLOSE, CON_IDS, DAY, MONDAY, OPEN, SETTINGS, World, alerts, judged, of_kind, perm_id

BY_ATR = replace(SETTINGS, stop=StopRule(fraction=D("0.05"), atr_multiple=D(3)))
FELL = replace(SETTINGS, holds=replace(SETTINGS.holds, strategy_drawdown=D("0.05"), instrument_daily_loss=D("0.05")))
MORNING = OPEN + timedelta(days=3)


def refreshed(world: World, scale: D = D(1), rebased: D | None = None) -> Step:
    """Bars of today in which AAA closed at 100, in so many times these prices."""
    rows = [replace(judged(symbol), last_session=DAY) for symbol in CON_IDS]
    rows[0] = replace(rows[0], close=100 * scale, atr=2 * scale, rebased=rebased)
    return world.hear(m.DataRefreshed, run_id="refresh@3", session=DAY, judged=tuple(rows))


def overnight(settings: TradeSettings) -> tuple[World, Order]:
    """200 AAA bought at 100 with a stop, the session over, its bars in; the next morning before the open."""
    world, stop = holding(settings)
    world.costs[1] = D(100)
    world.reconcile()
    world.now = CLOSE + timedelta(minutes=15)
    world.snapshot()
    refreshed(world)
    world.now = MORNING - timedelta(hours=1)
    world.snapshot()
    world.hear(m.ClockSeen, skew_seconds=0.1)
    return world, world.order(stop.intent)


def moves(world: World, stop: Order, new: int, old: int) -> list[Step]:
    """The account's shares follow: the broker ends the stop; then readings in the open session."""
    world.now = MORNING - timedelta(minutes=30)
    world.end(stop.intent)
    steps = [world.status(stop.intent, "Cancelled")]
    world.positions[1], world.costs[1] = D(200) * new / old, D(100) * old / new
    world.prices["AAA"] = D(100) * old / new
    steps.append(world.moved("AAA"))
    world.now = MORNING + timedelta(minutes=1)
    return [*steps, *world.reconcile(4)]


def causes(world: World) -> list[Cause]:
    return [held.cause for held in world.state.quarantines.values()]


@pytest.mark.parametrize("settings", [TRAILING, BY_ATR], ids=["trailing", "by the range"])
@pytest.mark.parametrize(("new", "old"), [(2, 1), (1, 10), (3, 2)])
def test_a_level_is_divided_once_though_the_history_comes_first(new: int, old: int, settings: TradeSettings) -> None:
    """Nothing moves while prices are of other shares; then the level of before counts in new shares."""
    world, stop = overnight(settings)
    before = world.state.stop_levels[1].level
    assert before is not None
    times = D(new) / old
    steps = [refreshed(world, 1 / times, times), refreshed(world, 1 / times), world.snapshot()]
    assert causes(world) == [Cause.REBASED] and alerts(steps[0]) == ["split_awaited"]
    for step in steps:
        assert not changes(step) and not of_kind(step.facts, m.StopLevelSet)
    steps = moves(world, stop, new, old)
    (placed,) = [order for step in steps for order in sent(step)]
    assert (placed.quantity, placed.stop_price) == (200 * times, (before / times).quantize(D("0.01"), "ROUND_FLOOR"))
    assert not world.state.quarantines and world.state.book[1].quantity == 200 * times


def test_a_short_one_is_not_bought_back_by_new_prices() -> None:
    """Its trailing stop would come down upon the market of the old shares."""
    world = World.ready(replace(TRAILING, allow_short=True, check_shortable=False))
    intent = world.one(AAA="-0.2")
    world.finish(intent)
    world.costs[1] = D(100)
    world.moved("AAA")
    world.reconcile()
    assert world.state.stop_levels[1].level == 105
    world.now = CLOSE + timedelta(minutes=15)
    world.snapshot()
    refreshed(world)
    step = refreshed(world, D("0.5"), D(2))
    assert world.state.stop_levels[1].level == 105 and not of_kind(step.facts, m.OrderChangeAsked)


def test_no_order_is_sized_at_prices_of_other_shares() -> None:
    """Half the price is not half the weight: it would be bought again; the others trade on."""
    world, _ = overnight(TRAILING)
    refreshed(world, D("0.5"), D(2))
    world.prices["AAA"] = D(50)
    world.now = MORNING + timedelta(minutes=1)
    world.snapshot()
    world.targets(AAA="0.2", BBB="0.1")
    step = world.rebalance(session=MONDAY)
    assert [effect.order.symbol for effect in of_kind(step.effects, m.SubmitOrder)] == ["BBB"]


def held_before_the_open() -> World:
    """200 AAA bought at 100, an hour before Monday's session, under limits on what a strategy and AAA may lose."""
    world = World.ready(FELL)
    world.finish(world.one(AAA="0.2"))
    world.costs[1] = D(100)
    world.moved("AAA")
    world.reconcile()
    world.now = MORNING - timedelta(hours=1)
    world.snapshot()
    return world


def test_old_shares_at_new_prices_are_no_loss() -> None:
    """Neither the strategy nor the instrument is held for a half that is not lost; what is lost then counts after."""
    world = held_before_the_open()
    world.prices["AAA"] = D(50)
    refreshed(world, D("0.5"), D(2))
    world.targets(AAA="0.2")
    assert not world.state.holds
    world.positions[1], world.costs[1] = D(400), D(50)
    world.moved("AAA")
    world.targets(AAA="0.2")
    assert not world.state.holds
    world.now = MORNING + timedelta(minutes=2)
    world.reconcile(2)
    assert world.state.book[1].quantity == 400
    world.targets(AAA="0.2")
    assert not world.state.holds
    world.prices["AAA"] = D(30)
    world.targets(AAA="0.2")
    assert {(level, rule) for level, _, rule in world.state.holds} == {
        (Level.STRATEGY, "strategy_drawdown"),
        (Level.INSTRUMENT, "instrument_daily_loss"),
    }


@pytest.mark.parametrize(("symbol", "other"), [("AAA", "BBB"), ("BBB", "AAA")])
def test_new_shares_at_new_prices_are_no_loss_of_the_strategy_that_holds_them(symbol: str, other: str) -> None:
    """As the account tells them, and no history yet; what the other strategy loses meanwhile counts."""
    world = held_by_two(strategy_drawdown=D("0.05"))
    world.costs |= {1: D(100), 2: D(50)}
    world.reconcile()
    world.split(symbol, 2, 1, rebased=False)
    owners = {"AAA": "left", "BBB": "right"}
    assert [held.cause for held in world.state.quarantines.values()] == [Cause.SPLIT]
    world.prices[other] *= D("0.8")
    world.targets(owners[other], **{other: "0.4"})
    assert set(world.state.holds) == {(Level.STRATEGY, owners[other], "strategy_drawdown")}


def test_a_history_rebased_back_ends_it() -> None:
    """A source's mistake; another ratio is none."""
    world, _ = overnight(TRAILING)
    refreshed(world, D("0.5"), D(2))
    refreshed(world, D("0.1"), D(5))
    assert causes(world) == [Cause.REBASED]
    world, _ = overnight(TRAILING)
    refreshed(world, D("0.5"), D(2))
    (end,) = of_kind(refreshed(world, D(1), D("0.5")).facts, m.QuarantineLifted)
    assert end.reason == "its history is what it was"
    assert not world.state.quarantines


@pytest.mark.parametrize(("back", "left"), [("0.505", []), ("0.495", []), ("0.506", [Cause.REBASED])])
def test_it_need_not_come_back_to_the_cent(back: str, left: list[Cause]) -> None:
    """Adjusted prices are rounded: it may be off by a hundredth."""
    world, _ = overnight(TRAILING)
    refreshed(world, D("0.5"), D(2))
    refreshed(world, D(1), D(back))
    assert causes(world) == left


def test_it_comes_back_by_steps_as_well() -> None:
    """By 2, by 5 upon that, and by a tenth."""
    world, _ = overnight(TRAILING)
    refreshed(world, D("0.5"), D(2))
    refreshed(world, D("0.1"), D(5))
    refreshed(world, D(1), D("0.1"))
    assert not world.state.quarantines


@pytest.mark.parametrize(("first", "then"), [("2", "1.002"), ("2.05", "0.98"), ("3", "0.66667")])
def test_a_split_is_proven_by_all_that_its_history_was_rebased_by(first: str, then: str) -> None:
    """A dividend, or the source's correction, comes while the account's shares are awaited."""
    world, stop = overnight(TRAILING)
    before = world.state.stop_levels[1].level
    assert before is not None
    refreshed(world, 1 / D(first), D(first))
    refreshed(world, 1 / D(first) / D(then), D(then))
    (placed,) = [order for step in moves(world, stop, 2, 1) for order in sent(step)]
    assert (placed.quantity, placed.stop_price) == (400, (before / 2).quantize(D("0.01"), "ROUND_FLOOR"))
    assert not world.state.quarantines and world.state.book[1].quantity == 400


def test_a_dividend_while_a_split_is_awaited_is_no_loss_of_half() -> None:
    """Prices are those of the shares to come still."""
    world = held_before_the_open()
    for scale, rebased in ((D("0.5"), D(2)), (D("0.499"), D("1.002"))):
        world.prices["AAA"] = 100 * scale
        refreshed(world, scale, rebased)
        world.targets(AAA="0.2")
        assert not world.state.holds


def test_a_history_under_another_name_is_not_what_it_was() -> None:
    """The instrument was renamed meanwhile: nothing is known of what that history was before."""
    world, _ = overnight(TRAILING)
    refreshed(world, D("0.5"), D(2))
    world.state.book[1] = replace(world.state.book[1], symbol="AAB")
    row = replace(judged("AAA"), symbol="AAB", last_session=DAY, rebased=D("0.5"))
    world.hear(m.DataRefreshed, run_id="refresh@4", session=DAY, judged=(row,))
    assert causes(world) == [Cause.REBASED]


def test_what_is_told_of_a_history_ahead_says_what_would_end_it() -> None:
    """By its name, so that the command can be copied; and why an order at work was cancelled."""
    world, _ = overnight(TRAILING)
    world.now = MORNING + timedelta(minutes=1)
    world.snapshot()
    world.hear(m.ClockSeen, skew_seconds=0.1)
    world.targets(AAA="0.4")
    (entry,) = sent(world.rebalance(session=MONDAY), Purpose.ENTRY)
    world.acknowledge(entry.intent)
    step = refreshed(world, D("0.5"), D(2))
    (alert,) = of_kind(step.effects, m.RaiseAlert)
    assert alert.text == (
        "AAA: its history was rebased by 2 as by a split, which the account does not show yet; no new orders in it, "
        "and its stop stays, until: the split that the history shows, once the account shows it too; where none comes, "
        "`longwatch unquarantine AAA`"
    )
    assert [one.reason for one in of_kind(step.facts, m.OrderCancelAsked)] == ["sized before a split"]


def test_of_several_holdings_that_one_waits_whose_history_was_rebased() -> None:
    """The others, before it and after it, trade on."""
    world = World.ready()
    for order in world.trade(AAA="0.1", BBB="0.1", CCC="0.1"):
        world.finish(order.intent, str(world.prices[order.symbol]))
    world.reconcile()
    world.prices["BBB"] = D(25)
    world.fetched(BBB=D(2))
    assert {con_id: held.cause for con_id, held in world.state.quarantines.items()} == {CON_IDS["BBB"]: Cause.REBASED}
    world.prices |= {"BBB": D(50), "CCC": D(10)}
    world.fetched(BBB=D("0.5"), CCC=D(2))
    assert {con_id: held.cause for con_id, held in world.state.quarantines.items()} == {CON_IDS["CCC"]: Cause.REBASED}


def test_the_account_says_by_what_a_split_was_and_its_history_lays_nothing_beside() -> None:
    """Shares have doubled, the history is rebased by 3: one split is suspected, not two."""
    world, _ = overnight(TRAILING)
    world.positions[1], world.costs[1] = D(400), D(50)
    world.moved("AAA")
    step = refreshed(world, 1 / D(3), D(3))
    assert alerts(step) == [] and causes(world) == [Cause.SPLIT]
    assert world.state.quarantines[1].beneath is None


def test_shares_that_follow_their_history_are_told_to() -> None:
    """Whoever reads why it is quarantined need not look for the history."""
    world, _ = overnight(TRAILING)
    refreshed(world, D("0.5"), D(2))
    world.positions[1], world.costs[1] = D(400), D(50)
    world.moved("AAA")
    held = world.state.quarantines[1]
    assert held.reason == (
        "position: 200 shares became 400 at as many times less cost, a split of 2/1 it seems; as its history has shown"
    )


def stopped_out(world: World, stop: Order) -> list[m.QuarantineLifted]:
    """All that is held goes in the morning; then a reading: which quarantines end with it."""
    world.now = MORNING + timedelta(minutes=1)
    world.fill(stop.intent, 200, "94")
    world.end(stop.intent)
    world.status(stop.intent, "Filled")
    return [fact for step in world.reconcile() for fact in of_kind(step.facts, m.QuarantineLifted)]


def test_what_is_closed_waits_for_nothing() -> None:
    """The stop was triggered before the split came."""
    world, stop = overnight(TRAILING)
    refreshed(world, D("0.5"), D(2))
    assert [fact.reason for fact in stopped_out(world, stop)] == ["nothing is held of it any more"]
    assert not world.state.quarantines


def test_what_is_closed_beside_a_difference_waits_for_that_alone() -> None:
    """Seven shares that nobody knows of are there still: they are another matter than the history."""
    world, stop = overnight(TRAILING)
    refreshed(world, D("0.1"), D(10))
    world.positions[1] = D(207)
    world.moved("AAA")
    world.reconcile(3)
    (before,) = world.state.quarantines.values()
    assert before.beneath is not None and before.beneath.cause is Cause.REBASED
    stopped_out(world, stop)
    (held,) = world.state.quarantines.values()
    assert held == replace(before, beneath=None)


def test_a_history_rebased_back_leaves_a_difference() -> None:
    """Each ends for a reason of its own."""
    world, _ = overnight(TRAILING)
    refreshed(world, D("0.1"), D(10))
    world.positions[1] = D(207)
    world.moved("AAA")
    world.reconcile(3)
    (before,) = world.state.quarantines.values()
    refreshed(world, D(1), D("0.1"))
    (held,) = world.state.quarantines.values()
    assert held == replace(before, beneath=None)


def test_where_no_split_comes_a_person_says_so() -> None:
    """Then nothing of it is left."""
    world, _ = overnight(TRAILING)
    refreshed(world, D("0.5"), D(2))
    world.reconcile(3)
    assert causes(world) == [Cause.REBASED]
    world.hear(m.ControlRequested, command="unquarantine", argument="AAA", by="uid 1000", reason="none is coming")
    assert not world.state.quarantines


@pytest.mark.parametrize("word", ["adopt", "unquarantine"])
def test_who_says_what_a_split_was_says_it_of_its_history(word: str) -> None:
    """History by 3, shares by 2: proven by nobody, settled by a person, and not asked for again."""
    world, stop = overnight(TRAILING)
    refreshed(world, 1 / D(3), D(3))
    moves(world, stop, 2, 1)
    assert causes(world) == [Cause.SPLIT]
    world.hear(m.ControlRequested, command=word, argument="AAA", by="uid 1000", reason="the statement")
    assert not world.state.quarantines


@pytest.mark.parametrize(
    ("new", "old", "rebased", "found"),
    [
        (2, 1, "2", []),
        (2, 1, "2.02", []),
        (2, 1, "2.03", [Cause.REBASED]),
        (3, 2, "1.5", []),
        (1, 10, "0.1", []),
    ],
)
def test_a_history_that_follows_what_a_person_has_settled_is_not_ahead(
    new: int, old: int, rebased: str, found: list[Cause]
) -> None:
    """The new shares were adopted before the history came; but for one of another ratio."""
    world = World.ready()
    world.finish(world.one(AAA="0.2"))
    world.costs[1] = D(100)
    world.moved("AAA")
    world.reconcile()
    world.split("AAA", new, old, rebased=False)
    world.hear(m.ControlRequested, command="adopt", argument="AAA", by="uid 1000", reason="the statement")
    world.reconcile()
    world.fetched(AAA=D(rebased))
    assert causes(world) == found


def test_a_second_split_of_the_same_ratio_is_awaited_too() -> None:
    """The first one's shares are what the account has moved by last."""
    world, stop = overnight(TRAILING)
    refreshed(world, D("0.5"), D(2))
    moves(world, stop, 2, 1)
    assert not world.state.quarantines
    refreshed(world, D("0.25"), D(2))
    assert causes(world) == [Cause.REBASED]


@pytest.mark.parametrize(("paid", "found"), [("100", [Cause.REBASED]), ("50", [])])
def test_what_was_bought_since_the_history_before_tells_the_scale(paid: str, found: list[Cause]) -> None:
    """Shares bought at the prices of now are new ones: there is nothing to wait for."""
    world = World.ready()
    world.finish(world.one(AAA="0.2"), paid)
    world.costs[1] = D(paid)
    world.moved("AAA")
    world.reconcile()
    refreshed(world, D("0.5"), D(2))
    assert causes(world) == found


def test_what_was_bought_before_the_last_history_tells_no_scale() -> None:
    """Bought at 50, risen to 100, and split: its shares are those of before, whatever they cost once."""
    for after_close, found in ((0, [Cause.REBASED]), (1, [])):
        world = World.ready()
        world.prices["AAA"] = D(50)
        intent = world.one(AAA="0.1")
        world.acknowledge(intent)
        world.now = CLOSE + timedelta(seconds=after_close)
        world.fill(intent, 200, "50")
        world.end(intent)
        world.status(intent, "Filled")
        world.costs[1] = D(50)
        world.moved("AAA")
        refreshed(world)
        refreshed(world, D("0.5"), D(2))
        assert causes(world) == found, after_close


def test_what_was_bought_of_others_tells_no_scale() -> None:
    """BBB at 50 this morning says nothing of AAA, which was bought before the close at 100."""
    world, _ = overnight(TRAILING)
    world.now = MORNING + timedelta(minutes=1)
    world.snapshot()
    world.hear(m.ClockSeen, skew_seconds=0.1)
    world.targets(AAA="0.2", BBB="0.1")
    (order,) = sent(world.rebalance(session=MONDAY), Purpose.ENTRY)
    world.finish(order.intent, "50")
    refreshed(world, D("0.5"), D(2))
    assert causes(world) == [Cause.REBASED]


def test_what_was_never_bought_here_may_be_of_shares_of_before() -> None:
    """Adopted at the first start: there is no price of ours to tell by."""
    world = World.ready(replace(SETTINGS, adopt_existing=True), AAA=100)
    assert not world.state.fills
    world.fetched(AAA=D(2))
    assert causes(world) == [Cause.REBASED]


def test_a_history_older_than_the_calendar_tells_no_scale() -> None:
    """The daemon was off for weeks: whether we bought since that session's close is not known, so it waits."""
    world = World.ready()
    world.finish(world.one(AAA="0.2"), "50")
    world.costs[1] = D(50)
    world.moved("AAA")
    world.reconcile()
    world.hear(m.DataRefreshed, run_id="refresh@2", session=DAY - timedelta(days=40), judged=(judged("AAA"),))
    refreshed(world, D("0.5"), D(2))
    assert causes(world) == [Cause.REBASED]


@pytest.mark.parametrize(("rebased", "found"), [("1.045", [Cause.REBASED]), ("1.0449", [])])
def test_the_smallest_split_is_larger_than_the_largest_dividend(rebased: str, found: list[Cause]) -> None:
    """The bound lies between 21 shares for 20 and what a source reckons in for those."""
    world, _ = overnight(TRAILING)
    refreshed(world, 1 / D(rebased), D(rebased))
    assert causes(world) == found


@pytest.mark.parametrize("rebased", ["1.04", "0.96"])
def test_a_dividend_is_no_split(rebased: str) -> None:
    """Where a source reckons them in."""
    world, _ = overnight(TRAILING)
    refreshed(world, 1 / D(rebased), D(rebased))
    assert not world.state.quarantines


def test_a_difference_beside_it_is_told_and_leaves_it() -> None:
    """Somebody else's shares come, unheard, and go: the history is ahead still, and the stop stays."""
    world, _ = overnight(TRAILING)
    refreshed(world, D("0.1"), D(10))
    world.positions[1] = D(207)
    told = [key for step in [world.moved("AAA"), *world.reconcile(3)] for key in alerts(step)]
    assert "unexplained_difference" in told
    held = world.state.quarantines[1]
    assert held.cause is not Cause.REBASED and held.beneath is not None and held.beneath.cause is Cause.REBASED
    assert decode(encode(1, 1, held)) == held
    assert not changes(refreshed(world, D("0.1")))
    world.positions[1] = D(200)
    world.reconcile(2)
    assert causes(world) == [Cause.REBASED] and world.state.quarantines[1].beneath is None


# ── where no split comes ────────────────────────────────────────────────────────────────────────────────────────────

APART = D("1.06")
"""As by a dividend that a source reckons in: it may stand until a person speaks."""


def ahead(settings: TradeSettings = TRAILING) -> tuple[World, Order]:
    """The next session is open, and the history of AAA has been rebased."""
    world, stop = overnight(settings)
    refreshed(world, 1 / APART, APART)
    world.now = MORNING + timedelta(minutes=1)
    world.snapshot()
    world.hear(m.ClockSeen, skew_seconds=0.1)
    assert causes(world) == [Cause.REBASED]
    return world, stop


def test_a_flatten_closes_it() -> None:
    """Its stop was cancelled for that: how many shares are held is in no doubt. A difference is another matter."""
    world, stop = ahead()
    world.hear(m.ControlRequested, command="flatten", argument="all", by="uid 1000", reason="enough")
    world.end(stop.intent)
    steps = [world.status(stop.intent, "Cancelled"), *world.reconcile(), world.rebalance(session=MONDAY)]
    (order,) = [order for step in steps for order in sent(step, Purpose.REDUCE)]
    assert (order.symbol, order.quantity) == ("AAA", 200)


def test_a_flatten_closes_nothing_where_the_shares_differ_too() -> None:
    """How many there are is in doubt then."""
    world, stop = ahead()
    world.positions[1] = D(207)
    world.moved("AAA")
    world.reconcile(3)
    assert world.state.quarantines[1].beneath is not None
    step = world.hear(m.ControlRequested, command="flatten", argument="all", by="uid 1000", reason="enough")
    steps = [step, *world.reconcile(), world.rebalance(session=MONDAY)]
    assert not [order for step in steps for order in sent(step, Purpose.REDUCE)]
    assert world.order(stop.intent).is_live and not world.order(stop.intent).cancel_asked


def test_its_take_profit_goes() -> None:
    """It lies at a price of the shares of before; and comes back once prices are of those held."""
    world, stop = overnight(PAIR)
    (profit,) = [one for one in world.state.live_orders() if one.purpose is Purpose.PROFIT]
    world.handed(profit.intent)
    world.open_orders.add(perm_id(profit.intent))
    world.now = MORNING + timedelta(minutes=1)
    world.open_order(profit.intent)
    steps = [refreshed(world, 1 / APART, APART), *world.reconcile()]
    assert [one.intent for step in steps for one in of_kind(step.effects, m.CancelOrder)] == [profit.intent]
    world.end(profit.intent)
    steps = [world.status(profit.intent, "Cancelled"), *world.reconcile(2)]
    assert not [order for step in steps for order in sent(step, Purpose.PROFIT)]
    world.hear(m.ControlRequested, command="unquarantine", argument="AAA", by="uid 1000", reason="none is coming")
    assert [order for step in world.reconcile(2) for order in sent(step, Purpose.PROFIT)]
    assert world.order(stop.intent).is_live


def test_a_stop_is_made_smaller_with_what_is_held_at_its_own_price() -> None:
    """Somebody sells 150 of 200: with 200 at the broker a fall would turn the position round."""
    world, stop = ahead()
    world.executions.append("f1.01")
    world.positions[1] -= 150
    steps = [world.stranger("AAA", 150, "f1.01", Side.SELL), world.moved("AAA"), *world.reconcile(3)]
    asked = [one.change for step in steps for one in changes(step)]
    assert [(one.quantity, one.stop_price) for one in asked] == [(50, stop.stop_price)]


def test_an_entry_at_work_ends() -> None:
    """It was sized at old prices."""
    world, _ = overnight(TRAILING)
    world.now = MORNING + timedelta(minutes=1)
    world.snapshot()
    world.hear(m.ClockSeen, skew_seconds=0.1)
    world.targets(AAA="0.4")
    (entry,) = sent(world.rebalance(session=MONDAY), Purpose.ENTRY)
    world.acknowledge(entry.intent)
    step = refreshed(world, 1 / APART, APART)
    assert [effect.intent for effect in of_kind(step.effects, m.CancelOrder)] == [entry.intent]


def test_what_the_others_of_its_strategy_lose_counts() -> None:
    """And of its own shares what they are worth in prices of before."""
    world = World.ready(replace(FELL, stop=None))
    for order in world.trade(AAA="0.1", BBB="0.3"):
        world.finish(order.intent, str(world.prices[order.symbol]))
    world.costs |= {1: D(100), 2: D(50)}
    world.moved("AAA")
    world.moved("BBB")
    world.reconcile()
    world.now = CLOSE + timedelta(minutes=15)
    world.snapshot()
    refreshed(world)
    refreshed(world, 1 / APART, APART)
    world.now = MORNING + timedelta(minutes=1)
    world.snapshot()
    world.prices["AAA"] = 100 / APART
    world.targets(AAA="0.1", BBB="0.3")
    assert causes(world) == [Cause.REBASED] and not world.state.holds
    world.prices["BBB"] = D(25)
    world.targets(AAA="0.1", BBB="0.3")
    assert (Level.STRATEGY, "trend", "strategy_drawdown") in world.state.holds


@pytest.mark.parametrize(
    ("told", "of_before"), [("50", "100"), ("52", "104"), ("97", "97"), ("120", "120"), ("0", "0"), ("0.9", "1.8")]
)
def test_a_price_is_told_in_shares_of_the_book(told: str, of_before: str) -> None:
    """A close of 50 by a history rebased by 2; quotes may be of either."""
    world, _ = overnight(TRAILING)
    refreshed(world, D("0.5"), D(2))
    assert splits.in_shares_of_the_book(world.state, "AAA", D(told)) == D(of_before)
    assert splits.in_shares_of_the_book(world.state, "ZZZ", D(told)) == D(told)
    assert splits.in_shares_of_the_book(world.state, "BBB", D(told)) == D(told), "its history is what it was"
