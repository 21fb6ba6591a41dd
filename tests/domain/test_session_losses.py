"""Losses looked at while a session is open: from which quotes, what is noted, and when a hold follows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.domain.levels import Level
from longwatch.domain.quotes import Quote
from longwatch.domain.risk.session_losses import looked
from longwatch.domain.sessions import Session
from tests.domain.test_holds import TWO, limited
from tests.domain.world import CLOSE, MONDAY, World, alerts, of_kind

D = Decimal
LIMITS = {"instrument_daily_loss": D("0.01"), "strategy_daily_loss": D("0.04"), "strategy_drawdown": D("0.05")}


def holding(**limits: Any) -> World:
    """`left` holds 200 AAA at 100, `right` 400 BBB at 50; each strategy's capital is 50,000, the equity 100,000."""
    world = World.ready(limited(TWO, daily_loss=None, **limits))
    world.targets("left", AAA="0.4")
    world.targets("right", BBB="0.4")
    world.rebalance()
    for intent in (1, 2):
        world.finish(intent, "100" if world.order(intent).symbol == "AAA" else "50")
    world.wait(60)
    world.snapshot()
    assert world.state.holds == {} and (world.state.held(1), world.state.held(2)) == (200, 400)
    return world


def look(world: World, **prices: str) -> Step:
    """A look at quotes about these prices, a second old."""
    world.wait(30)
    world.prices |= {symbol: D(price) for symbol, price in prices.items()}
    return world.hear(m.HoldingsQuoted, quotes=world.quotes())


def holds(step: Step) -> list[tuple[str, str]]:
    return [(hold.rule, hold.name) for hold in of_kind(step.facts, m.HoldSet)]


@pytest.mark.parametrize(
    ("rule", "name", "below", "reached"),
    [
        ("instrument_daily_loss", "AAA", "95.01", "95"),
        ("strategy_daily_loss", "left", "90.01", "90"),
        ("strategy_drawdown", "left", "87.51", "87.50"),
    ],
)
def test_a_loss_at_the_limit_holds_once_two_looks_show_it(rule: str, name: str, below: str, reached: str) -> None:
    """At noon, without a fill: a thousand of the equity, a twentieth of the strategy's capital."""
    world = holding(**{rule: LIMITS[rule]})
    world.wait(7200)
    assert [look(world, AAA=below).facts for _ in range(3)] == [(), (), ()]
    assert holds(look(world, AAA=reached)) == []
    step = look(world, AAA=reached)
    assert holds(step) == [(rule, name)]
    (hold,) = of_kind(step.facts, m.HoldSet)
    assert hold.observed == hold.limit and hold.since == world.now
    assert hold.con_id == (1 if name == "AAA" else None)
    assert [mark.at for mark in of_kind(step.facts, m.EquityMarked)] == [world.now]
    assert [look(world, AAA=price).facts for price in (reached, "50", "100")] == [(), (), ()]


@pytest.mark.parametrize("rule", LIMITS)
def test_one_wrong_quote_holds_nothing_and_is_noted_to_have_been_one(rule: str) -> None:
    """Two facts, and the next slip begins anew; without a loss at the limit a look leaves none."""
    world = holding(**{rule: LIMITS[rule]})
    for _ in range(3):
        first, second, third = (look(world, AAA=price) for price in ("10", "100", "100"))
        assert [[type(fact) for fact in step.facts] for step in (first, second, third)] == [
            [m.EquityMarked],
            [m.EquityMarked],
            [],
        ]
    assert world.state.holds == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"at": None},
        {"bid": None},
        {"ask": None, "last": D(10)},
        {"bid": D("10.01"), "ask": D(10)},
        {"bid": D(0), "ask": D(20)},
        {"market_data_type": 3},
        {"market_data_type": 2},
    ],
)
def test_what_could_not_be_traded_on_tells_no_loss(fields: dict[str, Any]) -> None:
    """Neither of the instrument nor of the strategy that holds it; the other one is looked at all the same."""
    world = holding(**LIMITS)

    def bad() -> Step:
        world.wait(30)
        world.prices |= {"AAA": D(10), "BBB": D(40)}
        quotes = [replace(one, **fields) if one.symbol == "AAA" else one for one in world.quotes()]
        return world.hear(m.HoldingsQuoted, quotes=tuple(quotes))

    assert holds(bad()) == []
    assert {name for _, name in holds(bad())} == {"BBB", "right"}
    assert {name for _, name in world.state.marks} == {"AAA", "BBB", "right", world.state.account}
    assert world.state.marks[(Level.INSTRUMENT, "AAA")].value == 0


@pytest.mark.parametrize(("age", "holds_set"), [(30.0, 2), (30.1, 0)])
def test_a_quote_counts_while_it_is_as_fresh_as_one_must_be_to_trade(age: float, holds_set: int) -> None:
    """risk.max_quote_age_seconds; a missing quote is no loss either."""
    world = holding(instrument_daily_loss=D("0.01"), strategy_daily_loss=D("0.04"))
    world.prices["AAA"] = D(80)
    for _ in range(2):
        world.wait(30)
        step = world.hear(m.HoldingsQuoted, quotes=world.quotes(age_seconds=age))
    assert len(holds(step)) == holds_set
    assert world.hear(m.HoldingsQuoted, quotes=()).facts == ()


@pytest.mark.parametrize(("mode", "counts"), [("paper", True), ("live", False)])
def test_delayed_quotes_count_where_they_may_be_traded_on(mode: str, counts: bool) -> None:
    """By the setting, and never with an account of real money."""
    world = holding(**LIMITS)
    world.state.mode = mode
    world.hear(m.ConfigLoaded, settings=replace(world.state.settings, allow_delayed_data=True), sha256="delayed")
    world.prices["AAA"] = D(80)
    for _ in range(2):
        world.wait(30)
        quotes = tuple(replace(one, market_data_type=3) for one in world.quotes())
        step = world.hear(m.HoldingsQuoted, quotes=quotes)
    assert (("instrument_daily_loss", "AAA") in holds(step)) is counts


def test_what_falls_below_a_dollar_is_lost_all_the_same() -> None:
    world = holding(**LIMITS)
    look(world, AAA="0.50")
    assert ("instrument_daily_loss", "AAA") in holds(look(world, AAA="0.50"))


def test_a_strategy_that_has_nothing_hides_none_after_it() -> None:
    """`left` has never held anything, and `right` loses."""
    world = World.ready(limited(TWO, daily_loss=None, strategy_daily_loss=D("0.04")))
    world.targets("left")
    world.targets("right", BBB="0.4")
    (order,) = [one.order for one in of_kind(world.rebalance().effects, m.SubmitOrder)]
    world.finish(order.intent, "50")
    world.wait(60)
    world.snapshot()
    look(world, BBB="40")
    assert holds(look(world, BBB="40")) == [("strategy_daily_loss", "right")]


def test_nothing_is_looked_at_while_no_session_is_open_or_no_such_limit_is_set() -> None:
    world = holding(**LIMITS)
    world.now = CLOSE
    assert [look(world, AAA="10").facts for _ in range(3)] == [(), (), ()]
    world = holding()
    assert [look(world, AAA="10").facts for _ in range(3)] == [(), (), ()]


def test_the_opening_gap_is_seen_before_the_next_decision() -> None:
    """A session starts at the last valuing of the one before."""
    world = holding(instrument_daily_loss=D("0.01"))
    assert look(world, AAA="96").facts == ()
    world.now = CLOSE + timedelta(minutes=45)
    world.hear(m.SignalsEnded, run_id="signals@2", session=MONDAY.date, prices=(("AAA", D(96)), ("BBB", D(50))))
    world.now = MONDAY.open_at
    assert holds(look(world, AAA="91.01")) == holds(look(world, AAA="91.01")) == []
    assert holds(look(world, AAA="91")) == []
    assert holds(look(world, AAA="91")) == [("instrument_daily_loss", "AAA")]


def test_an_instrument_without_anything_to_measure_from_is_first_marked() -> None:
    """Once: what it then loses counts."""
    world = holding(instrument_daily_loss=D("0.01"))
    del world.state.marks[(Level.INSTRUMENT, "AAA")]
    step = look(world, AAA="90")
    assert [(fact.name, fact.start) for fact in step.facts] == [("AAA", D(-2000))]  # type: ignore[union-attr]
    assert look(world, AAA="86").facts == ()
    assert holds(look(world, AAA="85")) == []
    assert holds(look(world, AAA="85")) == [("instrument_daily_loss", "AAA")]


def test_what_is_held_no_more_is_not_marked_anew() -> None:
    """Whatever its last mark is of: nothing can be lost of it, and the journal does not grow by it."""
    world = holding(instrument_daily_loss=D("0.01"))
    world.targets("left", AAA="0")
    (sale,) = [one.order for one in of_kind(world.rebalance().effects, m.SubmitOrder)]
    world.finish(sale.intent)
    world.wait(60)
    world.snapshot()
    mark = world.state.marks[(Level.INSTRUMENT, "AAA")]
    world.state.marks[(Level.INSTRUMENT, "AAA")] = replace(
        mark, session=mark.session and mark.session.replace(year=2006)
    )
    assert world.state.held(1) == 0
    assert look(world, AAA="50").facts == ()


@pytest.mark.parametrize("known", [False, True])
def test_what_is_held_must_be_known(known: bool) -> None:
    """While the account shows other shares, neither the instrument nor the strategy is looked at."""
    world = holding(**LIMITS)
    if not known:
        world.positions[1] += 7
        world.moved("AAA")
    steps = [look(world, AAA="50") for _ in range(2)]
    assert bool(holds(steps[1])) == known and bool(steps[0].facts) == known


def test_resumed_a_loss_is_measured_anew() -> None:
    world = holding(instrument_daily_loss=D("0.01"))
    for _ in range(2):
        step = look(world, AAA="95")
    assert holds(step) == [("instrument_daily_loss", "AAA")]
    world.hear(m.ControlRequested, command="resume", argument="AAA", by="uid 1000", reason="seen")
    assert [look(world, AAA="90.01").facts for _ in range(3)] == [(), (), ()]
    assert (holds(look(world, AAA="90")), holds(look(world, AAA="90"))) == ([], [("instrument_daily_loss", "AAA")])


@pytest.mark.parametrize("at_the_close", ["90", "96"])
def test_a_hold_of_the_day_is_about_the_next_morning_where_the_loss_still_stands_at_the_close(
    at_the_close: str,
) -> None:
    """As one set in the evening; where it does not, it ends with the next open."""
    world = holding(instrument_daily_loss=D("0.01"), strategy_daily_loss=D("0.04"))
    day = timedelta(days=1)
    tuesday = Session(date=MONDAY.date + day, open_at=MONDAY.open_at + day, close_at=MONDAY.close_at + day)
    world.hear(m.CalendarLoaded, sessions=(*world.state.sessions, tuesday))
    assert holds(look(world, AAA="90")) == []
    set_now = of_kind(look(world, AAA="90").facts, m.HoldSet)
    assert [hold.until for hold in set_now] == [MONDAY.open_at] * 2
    for after, news in ((45, at_the_close == "90"), (50, False)):
        world.now = CLOSE + timedelta(minutes=after)
        prices = (("AAA", D(at_the_close)), ("BBB", D(50)))
        step = world.hear(m.SignalsEnded, run_id="signals@2", session=MONDAY.date, prices=prices)
        assert alerts(step) == ["hold", "hold"] * news
    lasting = [hold.until for hold in world.state.holds.values()]
    assert lasting == [tuesday.open_at if at_the_close == "90" else MONDAY.open_at] * 2
    assert [hold.since for hold in world.state.holds.values()] == [hold.since for hold in set_now]


def test_a_rebalance_values_at_the_closes_what_has_no_fresh_quote() -> None:
    """An old quote sets no hold there either, a fresh one does."""
    world = holding(instrument_daily_loss=D("0.01"))
    low = tuple(replace(one, bid=D("79.99"), ask=D("80.01")) for one in world.quotes(age_seconds=31))
    assert holds(world.rebalance(quotes=low)) == []
    low = tuple(replace(one, at=world.now) for one in low if one.symbol == "AAA")
    assert holds(world.rebalance(quotes=low)) == [("instrument_daily_loss", "AAA")]


def test_a_look_reads_and_changes_nothing_by_itself() -> None:
    """The reconciliation asks it first whether there is anything to tell."""
    world = holding(**LIMITS)
    quote = Quote(con_id=1, symbol="AAA", bid=D(50), ask=D(50), at=world.now)
    event = m.HoldingsQuoted(at=world.now, tech=world.now, quotes=(quote,))
    before = dict(world.state.marks)
    assert next(looked(world.state, event), None) is not None
    assert world.state.marks == before
