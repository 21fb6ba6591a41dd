"""Which symbols a rebalance leaves as they are, because a strategy that may want them has not spoken."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.portfolio.targets import weighed
from longwatch.domain.portfolio.wanted import sized, untradable, wanted_trades
from longwatch.domain.settings import TradeSettings
from tests.domain.world import PRICES, SETTINGS, YESTERDAY, World, judged, of_kind

D = Decimal
TREND = ("trend", ("AAA", "CCC"))
OTHER = ("other", ("BBB",))
BOTH = replace(SETTINGS, allocations=(("other", D("0.5")), ("trend", D("0.5"))), universes=(TREND, OTHER))
UNLOADED = replace(BOTH, universes=(TREND,))


def holding(settings: TradeSettings) -> World:
    """A world that was given 100 of each symbol to call its own."""
    world = World.ready(replace(settings, adopt_existing=True), AAA=100, BBB=100, CCC=100)
    assert [world.state.held(con_id) for con_id in (1, 2, 3)] == [100, 100, 100]
    return world


def fail(world: World, strategy: str = "other") -> None:
    world.hear(m.StrategyFailed, run_id="signals@1", strategy=strategy, session=YESTERDAY.date, reason="no idea")


def traded(world: World, **weights: str) -> set[str]:
    return {order.symbol for order in world.trade(**weights)}


def test_a_strategy_that_fails_at_its_first_run_leaves_its_whole_universe_alone() -> None:
    """It never named BBB, yet asks for it; what the other asks for and does not want goes."""
    world = holding(BOTH)
    fail(world)
    assert traded(world, AAA="0.4", CCC="0") == {"AAA", "CCC"}


def test_a_strategy_without_targets_leaves_its_whole_universe_alone() -> None:
    """It has not failed: it has not been asked yet."""
    assert traded(holding(BOTH), AAA="0.4", CCC="0") == {"AAA", "CCC"}


def test_a_symbol_that_both_ask_for_is_left_alone_while_one_is_at_fault() -> None:
    """Half a target is no target."""
    world = holding(replace(BOTH, universes=(TREND, ("other", ("BBB", "CCC")))))
    fail(world)
    assert traded(world, AAA="0.4", CCC="0") == {"AAA"}


def test_a_strategy_whose_universe_is_unknown_leaves_alone_what_nobody_names() -> None:
    """It could not be loaded; whose BBB is can't be told. What the other names is traded."""
    world = holding(UNLOADED)
    fail(world)
    assert traded(world, AAA="0.4", CCC="0") == {"AAA", "CCC"}


def test_a_symbol_nobody_asks_for_any_more_goes_once_all_have_spoken() -> None:
    """With every strategy heard, BBB is wanted by none of them."""
    world = holding(replace(BOTH, universes=(TREND, ("other", ("CCC",)))))
    world.targets("other", CCC="0.2")
    assert traded(world, AAA="0.4") == {"AAA", "BBB", "CCC"}


@pytest.mark.parametrize("universes", [BOTH.universes, UNLOADED.universes])
def test_earlier_targets_of_a_strategy_at_fault_are_left_alone_too(universes: object) -> None:
    """Also where it asks for something else by now, or can't be loaded any more."""
    world = holding(replace(BOTH, universes=universes))  # type: ignore[arg-type]
    world.targets("other", CCC="0.2")
    fail(world)
    assert traded(world, AAA="0.4") == {"AAA"}


def test_a_disabled_strategy_holds_nothing_back() -> None:
    """Without an allocation it has no say, at fault or not."""
    world = holding(replace(BOTH, allocations=(("trend", D(1)),)))
    fail(world)
    assert traded(world, AAA="0.2", CCC="0") == {"AAA", "BBB", "CCC"}


# ── what can't be put in shares ─────────────────────────────────────────────────────────────────────────────────────


def refusals(world: World, **weights: str) -> list[m.TradeRefused]:
    """Of a rebalance to these weights."""
    world.targets(**weights)
    return of_kind(world.rebalance().facts, m.TradeRefused)


def flawed(world: World, symbol: str, *flaws: str) -> None:
    """A refresh that found flaws in one symbol's bars, or just no close."""
    rows = [judged(one) for one in PRICES if one != symbol]
    rows.append(replace(judged(symbol, *flaws), close=None))
    world.hear(m.DataRefreshed, run_id="refresh@2", session=YESTERDAY.date, judged=tuple(rows))
    del world.prices[symbol]


def test_a_symbol_without_a_contract_is_refused_with_the_brokers_reason() -> None:
    """Or with ours, where it has not been asked for yet; one that weighs nothing is not spoken of."""
    world = World.ready(SETTINGS)
    world.hear(m.InstrumentsSeen, instruments=(), missing=(("GONE", "the broker knows no STK GONE in USD"),))
    assert refusals(world, AAA="0", GONE="0.1", NEW="0.1", ZERO="0") == [
        m.TradeRefused(
            run_id="rebalance@1",
            symbol="GONE",
            check="instrument",
            wanted=D(0),
            observed="the broker knows no STK GONE in USD",
            limit="a known contract",
            text="GONE: the broker knows no STK GONE in USD",
        ),
        m.TradeRefused(
            run_id="rebalance@1",
            symbol="NEW",
            check="instrument",
            wanted=D(0),
            observed="its contract is not known",
            limit="a known contract",
            text="NEW: its contract is not known",
        ),
    ]


def test_a_holding_with_flawed_bars_is_neither_bought_nor_sold() -> None:
    """What was to go is told in shares, with the flaw in its own words; what is to be bought has none."""
    world = holding(replace(SETTINGS, universes=(("trend", tuple(PRICES)),)))
    flawed(world, "BBB", "BBB 2007-01-04: a hole")
    (gone,) = refusals(world, AAA="0.1", BBB="0", CCC="0.02")
    assert (gone.symbol, gone.check, gone.wanted, gone.limit) == ("BBB", "data", -100, "sound bars")
    assert gone.observed == gone.text == "BBB 2007-01-04: a hole"
    (bought,) = refusals(world, AAA="0.1", BBB="0.3", CCC="0.02")
    assert (bought.symbol, bought.wanted) == ("BBB", 0)


def test_a_symbol_without_a_close_says_so() -> None:
    """Without a flaw to name, and without any verdict."""
    world = World.ready(SETTINGS)
    flawed(world, "AAA")
    (refused,) = refusals(world, AAA="0.1")
    assert (refused.observed, refused.text) == ("it has no validated close", "AAA: it has no validated close")
    del world.state.judged["AAA"]
    assert [one.observed for one in refusals(world, AAA="0.1")] == ["it has no validated close"]


def test_a_cheap_share_is_as_good_as_a_dear_one() -> None:
    """Half a dollar is a price."""
    world = World.ready(SETTINGS)
    world.prices["AAA"] = D("0.5")
    rows = [replace(judged("AAA"), close=D("0.5")), judged("BBB"), judged("CCC")]
    world.hear(m.DataRefreshed, run_id="refresh@2", session=YESTERDAY.date, judged=tuple(rows))
    (order,) = world.trade(AAA="0.01")
    assert order.quantity == 2000
    assert of_kind(world.steps[-1][1].facts, m.TradeRefused) == []


def test_without_equity_nothing_is_wanted_and_nothing_refused() -> None:
    """Before the first valuation there are no prices to reckon by."""
    world = World.ready(SETTINGS)
    assert world.state.equity is None
    found = weighed(world.state)
    event = m.RebalanceDue(at=world.now, tech=world.now, run_id="r", session=None, quotes=())
    assert wanted_trades(world.state, event, found) == []
    assert list(untradable(world.state, found)) == []


def test_a_flatten_asks_for_no_bars_and_closes_what_has_no_order() -> None:
    """Flawed bars hold nothing back, and neither does a lacking size; at the quote, or else at the cost."""
    world = holding(replace(SETTINGS, universes=(("trend", tuple(PRICES)),)))
    flawed(world, "BBB", "BBB 2007-01-04: a hole")
    world.targets(AAA="0.1", BBB="0.1", CCC="0.02")
    world.hear(m.ControlRequested, command="flatten", by="person", reason="test", quotes=world.quotes())
    event = m.RebalanceDue(at=world.now, tech=world.now, run_id="r", session=None, quotes=world.quotes())
    wanted = wanted_trades(world.state, event, weighed(world.state))
    assert [(one.instrument.symbol, one.held, one.trade, one.price, one.flat) for one in wanted] == [
        ("AAA", 100, -100, 100, True),
        ("BBB", 100, -100, 90, True),
        ("CCC", 100, -100, 20, True),
    ]
    assert [list(sized(world.state, "r", weighed(world.state), one)) for one in wanted] == [[], [], []]
    step = world.rebalance()
    assert [fact for fact in of_kind(step.facts, m.TradeRefused) if fact.check == "data"] == []
    ordered = {order.symbol for order in world.state.live_orders()}
    again = wanted_trades(world.state, event, weighed(world.state))
    assert {one.instrument.symbol for one in again} == {"AAA", "BBB", "CCC"} - ordered


def test_a_flatten_passes_over_what_it_can_not_or_need_not_order() -> None:
    """A contract that is not known, an order under way, nothing left: and goes on to what comes after."""
    world = holding(SETTINGS)
    known = replace(world.state.book[1], symbol="GONE")
    world.state.book = {0: replace(known, quantity=D(5)), **world.state.book, 1: replace(known, quantity=D(0))}
    world.hear(m.ControlRequested, command="flatten", by="person", reason="test", quotes=world.quotes())
    event = m.RebalanceDue(at=world.now, tech=world.now, run_id="r", session=None, quotes=world.quotes())

    def left() -> list[str]:
        return [one.instrument.symbol for one in wanted_trades(world.state, event, weighed(world.state))]

    assert left() == ["BBB", "CCC"]
    world.rebalance()
    assert len(list(world.state.live_orders())) == 2
    first = next(world.state.live_orders())
    world.handed(first.intent)
    world.hear(m.OrderErrorSeen, order_id=first.order_id, code=201, text="no", verdict="rejected")
    assert left() == ["BBB"]
