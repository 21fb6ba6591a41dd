"""Where a take-profit lies, when it is sent or moved and why it goes: shorts, rules of a symbol, what is frozen."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.domain.instruments import Instrument, Side
from longwatch.domain.levels import Grade
from longwatch.domain.levels import Level as Level_
from longwatch.domain.order_life.breaker import NO_DAY_TRADE, told
from longwatch.domain.orders import OrderState, OrderType, Purpose
from longwatch.domain.positions import Holding
from longwatch.domain.reconciliation.causes import Cause
from longwatch.domain.safeguards import profits as rules
from longwatch.domain.safeguards.profits import Level, level
from longwatch.domain.settings import StopRule
from longwatch.domain.state import State
from tests.domain.test_means import small
from tests.domain.test_protection import SETTINGS, ended, holding, sent, works
from tests.domain.test_take_profit import PAIR, cancelled, pair, profits
from tests.domain.world import ACCOUNT, CLOSE, MONDAY, OPEN, World, alerts, judged, of_kind

D = Decimal
AAA = Instrument(con_id=1, symbol="AAA")
TENTH = StopRule(fraction=D("0.05"), profit_fraction=D("0.1"))


def held_at(paid: str, quantity: int = 200, **settings: object) -> State:
    state = State(settings=replace(SETTINGS, **({"stop": TENTH} | settings)))  # type: ignore[arg-type]
    state.book[1] = Holding(con_id=1, symbol="AAA", quantity=D(quantity), average_cost=D(paid))
    return state


# ── where it lies ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("held", "found"),
    [
        (1, Level(D("11.01"), "paid 10.004 plus 0.1 of it")),
        (-1, Level(D("9.00"), "paid 10.004 less 0.1 of it")),
    ],
)
def test_it_lies_beyond_what_was_paid_and_away_from_the_market(held: int, found: Level) -> None:
    """A single share long is sold above, one short bought back below, each on the grid at the dearer side."""
    assert level(held_at("10.004", held), AAA, D(held)) == found


def test_the_nearest_of_several_rules_counts_and_a_symbols_own_before_all() -> None:
    """One of those that strategies have, as long as they ask for it; the symbol's alone, where it has one."""
    other = StopRule(fraction=D("0.05"), profit_fraction=D("0.2"))
    own = (("AAA", other), ("BBB", TENTH))
    assert level(held_at("100", stops_of_symbols=own), AAA, D(1)) == Level(D(120), "paid 100 plus 0.2 of it")
    far = StopRule(fraction=D("0.05"), profit_fraction=D("0.1"), profit_atr_multiple=D(9))
    state = held_at("100", stop=far)
    assert level(state, AAA, D(1)) == Level(D(110), "paid 100 plus 0.1 of it")
    state.judged["AAA"] = judged("AAA")
    assert level(state, AAA, D(1)) == Level(D(118), "paid 100 plus 9 average true ranges of 2")


@pytest.mark.parametrize("paid", ["0", "-1"])
def test_of_what_was_paid_nothing_for_there_is_no_profit_to_measure(paid: str) -> None:
    """Nor without a holding, nor without a rule; a cent is something."""
    assert level(held_at(paid), AAA, D(1)) is None
    assert level(State(settings=replace(SETTINGS, stop=TENTH)), AAA, D(1)) is None
    assert level(held_at("100", stop=StopRule(fraction=D("0.05"))), AAA, D(1)) is None
    assert level(held_at("100", stop=None), AAA, D(1)) is None
    assert level(held_at("0.50"), AAA, D(1)) == Level(D("0.55"), "paid 0.50 plus 0.1 of it")
    assert level(held_at("0.01", -1, stop=replace(TENTH, profit_fraction=D(2))), AAA, D(-1)) == Level(
        D("0.01"), "paid 0.01 less 2 of it"
    )


def test_a_rule_for_one_is_looked_for_wherever_a_rule_may_stand() -> None:
    """The symbols', the strategies', the general one; a stop alone is none."""
    plain = StopRule(fraction=D("0.05"))
    for settings, found in (
        ({"stop": None}, False),
        ({"stop": plain, "stops_of_symbols": (("AAA", plain),)}, False),
        ({"stop": TENTH}, True),
        ({"stop": None, "stops_of_symbols": (("AAA", plain), ("BBB", TENTH))}, True),
        ({"stop": plain, "stops_of_strategies": (("trend", TENTH),)}, True),
    ):
        assert rules._any_rule(State(settings=replace(SETTINGS, **settings))) is found  # type: ignore[arg-type]


# ── placed ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_short_is_bought_back_below() -> None:
    """In the group of its stop above, as an order of its own kind, whole."""
    world = World.ready(replace(PAIR, allow_short=True, check_shortable=False))
    intent = world.one(AAA="-0.2")
    world.acknowledge(intent)
    world.fill(intent, 200)
    (stop,) = [one for one in world.state.live_orders() if one.purpose is Purpose.STOP]
    world.end(intent)
    world.status(intent, "Filled")
    works(world, stop.intent)
    world.moved("AAA")
    step = world.snapshot()
    (profit,) = profits(step)
    assert (stop.side, stop.stop_price, profit.side, profit.limit_price) == (Side.BUY, D(105), Side.BUY, D(90))
    assert (profit.quantity, profit.oca_group, profit.order_type) == (D(200), stop.oca_group, OrderType.LIMIT)
    assert (profit.run_id, profit.account, profit.mode, profit.tif) == ("profit:AAA", ACCOUNT, "paper", "GTC")
    assert [effect.instrument for effect in of_kind(step.effects, m.SubmitOrder)] == [world.state.instruments["AAA"]]


@pytest.mark.parametrize(
    ("at", "places"),
    [
        (OPEN, True),
        (OPEN - timedelta(seconds=1), False),
        (OPEN + timedelta(seconds=30), True),
        (CLOSE - rules.LAST_MINUTE - timedelta(seconds=1), True),
        (CLOSE - rules.LAST_MINUTE, False),
        (CLOSE - timedelta(seconds=1), False),
        (CLOSE, False),
    ],
)
def test_it_is_sent_within_a_session_but_for_its_last_minute(at: object, places: bool) -> None:
    """What does not protect is not to reach an exchange that has closed meanwhile."""
    world, _ = holding(PAIR)
    world.state.sessions = tuple(one for one in world.state.sessions)
    # On the next session: an account that was read later than now is not fresh.
    world.now = at + timedelta(days=3, seconds=-1)  # type: ignore[operator]
    assert bool(profits(world.snapshot())) is places


@pytest.mark.parametrize(
    ("con_id", "cause", "places"),
    [
        (1, Cause.OURS_UNKNOWN, False),
        (1, Cause.UNEXPLAINED, False),
        (2, Cause.OURS_UNKNOWN, True),
        (2, Cause.UNEXPLAINED, True),
    ],
)
def test_it_is_not_sent_where_a_stop_or_an_exit_may_not_be(con_id: int, cause: Cause, places: bool) -> None:
    """In this very instrument: another's quarantine is no matter of it, and a pause lets it leave."""
    world, _ = holding(PAIR)
    world.state.quarantines[con_id] = m.QuarantineSet(
        con_id=con_id, symbol="?", reason="found", cause=cause, tech=world.now
    )
    world.state.verbs[m.Verb.PAUSE] = m.VerbSet(verb=m.Verb.PAUSE, on=True, by="", reason="")
    assert bool(profits(world.snapshot())) is places


# ── moved ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def changed(world: World, intent: int, held: int, price: str) -> tuple[list[object], str | None]:
    """What is asked for so that it is for `held` shares at `price`, or why it has to be cancelled instead."""
    event = m.TimeReached(at=world.now, tech=world.now)
    wanted = Level(D(price), "so it is")
    asking = rules._changed(world.state, world.order(intent), AAA, D(held), wanted, event)
    found: list[object] = []
    while True:
        try:
            found.append(next(asking))
        except StopIteration as end:
            return found, end.value


@pytest.mark.parametrize(
    ("held", "price", "terms", "reason"),
    [
        (200, "110.05", None, None),  # not worth a word to the broker
        (200, "109.89", (200, "109.89"), "200 at 109.89 (so it is)"),  # a thousandth is
        (150, "110.05", (150, "110"), "150 at 110.00 (so many are held)"),
        (150, "108", (150, "108"), "150 at 108 (so it is)"),
    ],
)
def test_it_is_given_other_terms_where_they_differ_by_enough(
    held: int, price: str, terms: tuple[int, str] | None, reason: str | None
) -> None:
    """A price by a thousandth of it, shares by any number; each alone, or both at once."""
    world, _, profit = pair()
    found, why = changed(world, profit.intent, held, price)
    assert why is None
    change = [one.change for one in of_kind(found, m.OrderChangeAsked)]
    assert [(one.quantity, one.limit_price, one.stop_price, one.reason) for one in change] == (
        [(D(terms[0]), D(terms[1]), None, reason)] if terms else []
    )
    assert [one.instrument for one in of_kind(found, m.ModifyOrder)] == [AAA] * len(change)


@pytest.mark.parametrize(
    ("con_id", "grade", "is_asked"), [(1, "halted", False), (2, "halted", True), (1, "reducing", True)]
)
def test_where_no_exit_may_leave_it_is_not_moved_and_goes_if_it_is_for_too_many(
    con_id: int, grade: str, is_asked: bool
) -> None:
    """By a hold on this very instrument; one that lets exits leave lets it be moved."""
    world, _, profit = pair()
    world.state.holds[(Level_.INSTRUMENT, "?", "order_slippage")] = m.HoldSet(
        level=Level_.INSTRUMENT,
        name="?",
        rule="order_slippage",
        grade=Grade(grade),
        observed=D(2),
        limit=D(1),
        since=world.now,
        con_id=con_id,
    )
    found, why = changed(world, profit.intent, 200, "108")
    assert (bool(found), why) == (is_asked, None)
    found, why = changed(world, profit.intent, 150, "108")
    assert (bool(found), why) == (is_asked, None if is_asked else "150 at 108 (so it is)")


def test_once_its_group_has_traded_it_is_not_moved_but_goes() -> None:
    """What the stop has sold the broker takes from it: its size there is not known for sure."""
    world, stop, profit = pair()
    world.fill(stop.intent, 50, "94.90")
    assert changed(world, profit.intent, 150, "108") == ([], None)  # the broker is still at it
    world.wait(60)
    assert changed(world, profit.intent, 150, "108") == ([], "150 at 108 (so it is)")


# ── gone ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def reason_of(world: World, intent: int) -> str:
    return world.order(intent).cancel_reason


def test_it_goes_with_the_rule_that_asked_for_it() -> None:
    """A stop alone is wanted now, or none at all by any rule."""
    for stop in (StopRule(fraction=D("0.05")), None):
        world, _, profit = pair()
        world.hear(m.ConfigLoaded, settings=replace(PAIR, stop=stop), sha256="without")
        world.wait(60)
        world.snapshot()
        assert reason_of(world, profit.intent) == "no rule asks for a take-profit any more"


def test_it_says_why_it_goes() -> None:
    """Its stop, or another order: nothing rests beside a trade."""
    world, stop, profit = pair()
    ended(world, stop.intent)
    assert reason_of(world, profit.intent) == "its stop is gone"
    world, _, profit = pair()
    (entry,) = world.trade(AAA="0.3")
    world.handed(entry.intent)
    world.open_order(entry.intent)
    assert reason_of(world, profit.intent) == "another order works in it"


@pytest.mark.parametrize("held", [0, -1])
def test_it_goes_when_nothing_is_held_that_it_could_sell(held: int) -> None:
    """Nothing, or the other way round."""
    world, _, profit = pair()
    world.state.book[1] = replace(world.state.book[1], quantity=D(held))
    event = m.TimeReached(at=world.now, tech=world.now)
    why = rules._why_not_any_more(world.state, profit, D(abs(held)), Level(D(110), ""), event)
    assert why == "nothing is held any more"


def test_nothing_of_it_is_touched_while_its_instrument_is_frozen() -> None:
    """Prices, or orders of ours, are not what we know them to be; another's quarantine freezes nothing here."""
    for con_id, cause, touched in ((1, Cause.OURS_UNKNOWN, False), (2, Cause.OURS_UNKNOWN, True)):
        world, _, profit = pair()
        world.state.quarantines[con_id] = m.QuarantineSet(
            con_id=con_id, symbol="?", reason="found", cause=cause, tech=world.now
        )
        world.hear(m.ConfigLoaded, settings=replace(PAIR, stop=StopRule(fraction=D("0.05"))), sha256="without")
        world.wait(60)
        world.snapshot()
        assert world.order(profit.intent).cancel_asked is touched


def test_it_is_asked_to_go_once() -> None:
    """However often the rule is looked at while its cancel is on its way; one the broker has ended is not asked."""
    world, _, profit = pair()
    step = world.hear(m.ConfigLoaded, settings=replace(PAIR, stop=StopRule(fraction=D("0.05"))), sha256="without")
    asked = cancelled(step)
    for _ in range(3):
        world.wait(60)
        asked += of_kind(world.snapshot().facts, m.OrderCancelAsked)
    assert asked == [profit.intent]
    assert world.order(profit.intent).state is OrderState.WORKING


# ── day trades ──────────────────────────────────────────────────────────────────────────────────────────────────────


def left(world: World, days: int | None) -> Step:
    """A reading of the account says how many day trades are left."""
    world.wait(10)
    world.figures = small(days)
    return world.snapshot()


def waiting(world: World) -> list[m.BreakerSet]:
    return [row for row in world.state.breakers.values() if row.reason == NO_DAY_TRADE]


def test_without_a_day_trade_left_it_waits_for_the_next_day_and_says_so_once() -> None:
    """The stop is there all along; in the next session the first reading places it."""
    world, stop = holding(PAIR)
    step = left(world, 0)
    assert profits(step) == [] and cancelled(step) == []
    assert "profit_waits" in alerts(step)
    (row,) = waiting(world)
    assert (row.con_id, row.symbol, row.purpose, row.until, row.trips) == (1, "AAA", Purpose.PROFIT, CLOSE, 0)
    assert told(row) == (
        "AAA: no day trade is left for what was opened today, no profit before 2007-01-05 21:00Z, or as soon as one is"
    )
    again = left(world, 0)
    assert (profits(again), alerts(again), of_kind(again.facts, m.BreakerSet)) == ([], [], [])
    assert world.order(stop.intent).is_live
    world.now = MONDAY.open_at
    step = left(world, 0)
    (profit,) = profits(step)
    assert (profit.quantity, profit.oca_group) == (D(200), stop.oca_group)
    assert waiting(world) == []


@pytest.mark.parametrize("days", [1, None])
def test_it_is_placed_as_soon_as_a_day_trade_is_left(days: int | None) -> None:
    """By the reading that says so, or that there is no limit any more."""
    world, _ = holding(PAIR)
    assert profits(left(world, 0)) == []
    assert len(profits(left(world, days))) == 1
    assert waiting(world) == []


def test_by_the_setting_it_goes_without_a_day_trade() -> None:
    """As an exit does."""
    world, _ = holding(replace(PAIR, day_trade_exits=True))
    assert len(profits(left(world, 0))) == 1


def test_one_that_rests_is_withdrawn_once_no_day_trade_is_left() -> None:
    """Its fill would be one; the stop stays. Once it has begun to sell, the day trade is made."""
    world, stop, profit = pair()
    step = left(world, 0)
    assert cancelled(step) == [profit.intent] and world.order(stop.intent).is_live
    assert "no day trade" not in world.order(profit.intent).cancel_reason
    assert "it was opened today, and 0 day trades are left" in world.order(profit.intent).cancel_reason
    world, stop, profit = pair()
    world.fill(profit.intent, 80, "110")
    world.open_order(stop.intent, "PreSubmitted", quantity=D(120))
    assert cancelled(left(world, 0)) == []


def test_of_what_was_held_before_today_it_rests_without_a_day_trade() -> None:
    """Only what was opened today is kept."""
    world, _, profit = pair()
    world.now = MONDAY.open_at
    assert cancelled(left(world, 0)) == []
    assert world.order(profit.intent).is_live


def test_of_two_that_rest_for_one_day_trade_the_older_stays() -> None:
    """Either may fill first: each that was there before is taken to have used one up."""
    world, _, profit = pair()
    other = world.one(BBB="0.2", AAA="0.2")
    world.acknowledge(other)
    (stop,) = sent(world.fill(other, 400, "50"))
    world.end(other)
    world.status(other, "Filled")
    works(world, stop.intent)
    world.moved("BBB")
    assert profits(left(world, 1)) == [] and world.order(profit.intent).is_live
    assert [row.symbol for row in waiting(world)] == ["BBB"]
    assert [one.symbol for one in profits(left(world, 2))] == ["BBB"]
    (second,) = [one for one in world.state.live_in(2) if one.purpose is Purpose.PROFIT]
    works(world, second.intent)
    assert cancelled(left(world, 1)) == [second.intent]


def test_what_waited_for_a_day_trade_waits_no_more_once_nothing_is_held() -> None:
    """The next holding is another."""
    world, stop = holding(PAIR)
    left(world, 0)
    assert waiting(world)
    world.fill(stop.intent, 200, "95")
    assert waiting(world) == []
