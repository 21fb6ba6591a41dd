"""From targets to trades in a whole rebalance: each method, what is told of it, buffers, lots and fractions."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.domain.instruments import Instrument, Side
from longwatch.domain.levels import Grade, Level
from longwatch.domain.order_life.evidence import may_close_more
from longwatch.domain.portfolio.sizing import Part
from longwatch.domain.settings import SizingRules, StopRule, TradeSettings
from longwatch.domain.state import evolve
from tests.domain.world import CON_IDS, EQUITY, PRICES, SETTINGS, YESTERDAY, World, alerts, judged, of_kind

D = Decimal
UNTIED = replace(SETTINGS, max_weight=D(1))


def by(method: str, settings: TradeSettings = UNTIED, **rules: Any) -> TradeSettings:
    return replace(settings, sizing=SizingRules(method=method, **rules))


def told(world: World, **weights: str) -> dict[str, m.TargetSized]:
    """What a rebalance tells of each symbol."""
    world.targets(**weights)
    return {fact.symbol: fact for fact in of_kind(world.rebalance().facts, m.TargetSized)}


def orders(world: World) -> dict[str, Decimal]:
    """Signed shares of the orders of the last rebalance."""
    sent = of_kind(world.steps[-1][1].effects, m.SubmitOrder)
    return {effect.order.symbol: effect.order.quantity * effect.order.side.sign for effect in sent}


def holding(settings: TradeSettings, **quantities: Any) -> World:
    """A world that was given so many shares to call its own."""
    return World.ready(replace(settings, adopt_existing=True), **quantities)


def with_lot(world: World, **lots: str) -> World:
    """The broker names other increments."""
    known = tuple(Instrument(con_id=CON_IDS[symbol], symbol=symbol, lot=D(lot)) for symbol, lot in lots.items())
    world.hear(m.InstrumentsSeen, instruments=known)
    return world


def test_every_figure_of_a_target_is_told() -> None:
    """Half of 10 % at 25 % volatility is a fifth of 98 % of the capital: 196 shares of 100."""
    world = World.ready(replace(by("volatility"), cash_reserve_fraction=D("0.02")))
    found = told(world, AAA="0.5")
    assert found == {
        "AAA": m.TargetSized(
            run_id="rebalance@1",
            con_id=1,
            symbol="AAA",
            session=YESTERDAY.date,
            parts=(
                Part(
                    strategy="trend",
                    method="volatility",
                    weight=D("0.5"),
                    scaled=D("0.2"),
                    leverage=D(1),
                    capital=D("0.98"),
                    sized=D("0.196"),
                    volatility=D("0.25"),
                ),
            ),
            weight=D("0.196"),
            capped=D("0.196"),
            equity=EQUITY,
            price=D(100),
            lot=D(1),
            shares=D(196),
            low=D(196),
            high=D(196),
            held=D(0),
            pending=D(0),
            trade=D(196),
        )
    }
    assert orders(world) == {"AAA": 196}


def test_a_floor_is_told_as_the_volatility_that_was_used() -> None:
    """What was measured is in the verdict on the bars; what was reckoned with is here."""
    (part,) = told(World.ready(by("volatility", volatility_floor=D("0.5"))), AAA="0.5")["AAA"].parts
    assert (part.volatility, part.scaled) == (D("0.5"), D("0.1"))


def test_risk_is_taken_at_so_many_ranges_where_no_stop_has_a_rule() -> None:
    """The average true range is 2, three of them 6: 1 % of 100,000 over 6 is 166 shares."""
    world = World.ready(by("risk", risk_fraction=D("0.01")))
    (part,) = told(world, AAA="0.1")["AAA"].parts
    assert (part.stop_distance, part.scaled, part.volatility) == (D(6), D("0.166666"), None)
    assert orders(world) == {"AAA": 166}


def test_risk_is_taken_at_the_protective_stop_where_there_is_one() -> None:
    """8 % of 100 is 8 away: 1 % of 100,000 over 8 is 125 shares; of several the tightest counts."""
    settings = replace(by("risk", risk_fraction=D("0.01")), stop=StopRule(fraction=D("0.08")))
    assert told(World.ready(settings), AAA="0.1")["AAA"].shares == 125
    rules = (("trend", StopRule(fraction=D("0.08"))), ("other", StopRule(fraction=D("0.04"))))
    tight = replace(settings, stops_of_strategies=rules, universes=(("trend", ("AAA",)), ("other", ("AAA",))))
    (part,) = told(World.ready(tight), AAA="0.1")["AAA"].parts
    assert part.stop_distance == 4


def test_a_portfolio_is_scaled_by_what_all_of_it_moves() -> None:
    """Two quarters at 25 % each and no correlation are 8.84 % together; 10 % is 1.131370 times that."""
    world = World.ready(by("portfolio", correlation=D(0), max_leverage=D(2)))
    found = told(world, AAA="0.25", BBB="0.25")
    assert {symbol: fact.weight for symbol, fact in found.items()} == {"AAA": D("0.282842"), "BBB": D("0.282842")}
    assert orders(world) == {"AAA": 282, "BBB": 565}


def test_each_strategy_goes_by_its_own_method() -> None:
    """Half of the capital by weights, half by volatility; the parts add up to the target."""
    settings = replace(
        UNTIED,
        allocations=(("plain", D("0.5")), ("trend", D("0.5"))),
        sizing_of=(("trend", SizingRules(method="volatility", target_volatility=D("0.05"))),),
    )
    world = World.ready(settings)
    world.targets("plain", AAA="0.3")
    fact = told(world, AAA="0.5", BBB="0.2")["AAA"]
    assert [(part.strategy, part.method, part.sized) for part in fact.parts] == [
        ("plain", "weights", D("0.15")),
        ("trend", "volatility", D("0.05")),
    ]
    assert fact.weight == D("0.2")
    assert orders(world) == {"AAA": 200, "BBB": 40}


def test_leverage_is_told_with_the_part_it_has_cut() -> None:
    """0.5 x 0.5 / 0.25 is 1, with another like it 2: both are halved to a leverage of 1."""
    world = World.ready(by("volatility", target_volatility=D("0.5")))
    fact = told(world, AAA="0.5", BBB="0.5")["AAA"]
    assert [(part.scaled, part.leverage, part.sized) for part in fact.parts] == [(D(1), D("0.5"), D("0.5"))]


@pytest.mark.parametrize(
    ("method", "lacks"), [("volatility", "volatility"), ("portfolio", "volatility"), ("risk", "atr")]
)
def test_what_has_no_size_is_left_as_it_is_and_says_so(method: str, lacks: str) -> None:
    """Neither bought nor sold: half a figure is no figure. What weighs nothing needs none, and goes."""
    world = holding(by(method), AAA=100, BBB=100)
    rows = [replace(judged(symbol), **{lacks: None}) for symbol in CON_IDS]
    world.hear(m.DataRefreshed, run_id="refresh@2", session=YESTERDAY.date, judged=tuple(rows))
    world.targets(AAA="0.3", BBB="0")
    step = world.rebalance()
    (refused,) = of_kind(step.facts, m.TradeRefused)
    assert (refused.symbol, refused.check, refused.wanted) == ("AAA", "size", 0)
    assert refused.limit == "the figures its method sizes by"
    assert "AAA" in refused.text
    assert "to be sized by" in refused.text
    assert orders(world) == {"BBB": -100}


def test_a_symbol_that_one_strategy_has_no_size_for_is_left_alone_by_all() -> None:
    """The other's part of it can't be told from the whole."""
    settings = replace(
        UNTIED,
        allocations=(("plain", D("0.5")), ("trend", D("0.5"))),
        sizing_of=(("trend", SizingRules(method="volatility")),),
    )
    world = World.ready(settings)
    rows = [replace(judged(symbol), volatility=None if symbol == "AAA" else D("0.25")) for symbol in CON_IDS]
    world.hear(m.DataRefreshed, run_id="refresh@2", session=YESTERDAY.date, judged=tuple(rows))
    world.targets("plain", AAA="0.3", BBB="0.3")
    told(world, AAA="0.5")
    assert orders(world) == {"BBB": 300}


def test_a_symbol_without_a_close_has_no_stop_to_be_sized_by() -> None:
    """Its bars are flawed: that is why it is not traded, and the others are."""
    settings = replace(by("risk"), stop=StopRule(fraction=D("0.08")))
    world = World.ready(settings)
    rows = [judged("AAA"), replace(judged("BBB", "BBB: a hole"), close=None, atr=None)]
    world.hear(m.DataRefreshed, run_id="refresh@2", session=YESTERDAY.date, judged=tuple(rows))
    del world.prices["BBB"]
    world.targets(AAA="0.1", BBB="0.1")
    step = world.rebalance()
    assert [(fact.symbol, fact.check) for fact in of_kind(step.facts, m.TradeRefused)] == [("BBB", "data")]
    assert orders(world) == {"AAA": 62}


def test_what_is_held_of_no_universe_is_left_alone() -> None:
    """Nobody asks for it any more, and nobody has said that it is to go."""
    world = holding(replace(SETTINGS, universe=("AAA", "BBB")), AAA=100, BBB=100, CCC=100)
    told(world, AAA="0.1")
    assert orders(world) == {"BBB": -100}


def test_what_nobody_names_goes_where_the_only_silent_strategy_has_a_universe_of_its_own() -> None:
    """Its symbols are known, and this is none of them."""
    settings = replace(
        SETTINGS, allocations=(("other", D("0.5")), ("trend", D("0.5"))), universes=(("other", ("BBB",)),)
    )
    world = holding(settings, AAA=50, BBB=100, CCC=100)
    told(world, AAA="0.1")
    assert orders(world) == {"CCC": -100}


def test_a_strategy_that_is_halted_has_its_holding_as_its_part_though_it_names_it_no_more() -> None:
    """Nothing of its weights came of a method: what it has is what it keeps, and the other's part is added to it."""
    settings = replace(UNTIED, allocations=(("left", D("0.5")), ("right", D("0.5"))))
    world = World.ready(settings)
    world.targets("right", CCC="0")
    world.targets("left", BBB="0.2")
    (order,) = [effect.order for effect in of_kind(world.rebalance().effects, m.SubmitOrder)]
    world.finish(order.intent)
    world.snapshot()
    facts = {"level": Level.STRATEGY, "name": "left", "rule": "drawdown", "grade": Grade.HALTED}
    evolve(world.state, m.HoldSet(**facts, observed=D(1), limit=D(0), since=world.now))
    world.targets("left", AAA="0.2")
    world.targets("right", BBB="0.2")
    found = {fact.symbol: fact for fact in of_kind(world.rebalance().facts, m.TargetSized)}
    left, right = found["BBB"].parts
    assert (left.strategy, left.weight, left.scaled, round(left.sized, 6)) == ("left", 0, 0, D("0.1"))
    assert (right.strategy, right.weight, right.sized) == ("right", D("0.2"), D("0.1"))
    assert (found["BBB"].shares, found["BBB"].trade) == (400, 200)
    assert "AAA" not in found


def test_a_group_shares_its_cap_and_each_clamp_has_its_numbers() -> None:
    """0.3 and 0.3 under 0.3 together: half of each is bought, not all of the first."""
    world = World.ready(replace(SETTINGS, groups=(("g", ("AAA", "BBB"), D("0.3")),)))
    world.targets(AAA="0.3", BBB="0.3", CCC="0.1")
    clamps = of_kind(world.rebalance().facts, m.TradeClamped)
    sized_first = [(c.symbol, c.check, c.wanted, c.allowed, c.observed, c.limit) for c in clamps][:1]
    assert sized_first == [("AAA", "max_group_weight", 300, 150, D("0.6"), D("0.3"))]
    assert {symbol: round(shares, -1) for symbol, shares in orders(world).items()} == {
        "AAA": 150,
        "BBB": 300,
        "CCC": 500,
    }


def test_exposure_is_shared_out_by_weight_not_by_the_order_of_symbols() -> None:
    """Four fifths of what was wanted for a cap of four fifths: of every symbol."""
    world = World.ready(replace(SETTINGS, max_gross_exposure=D("0.8"), max_net_exposure=D("0.8")))
    found = told(world, AAA="0.4", BBB="0.3", CCC="0.3")
    assert {symbol: fact.capped for symbol, fact in found.items()} == {
        "AAA": D("0.32"),
        "BBB": D("0.24"),
        "CCC": D("0.24"),
    }
    assert {symbol: fact.weight for symbol, fact in found.items()} == {
        "AAA": D("0.4"),
        "BBB": D("0.3"),
        "CCC": D("0.3"),
    }


# ── buffers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("held", "trade"),
    [(100, 0), (90, 0), (110, 0), (89, 1), (50, 40), (111, -1), (150, -40)],
)
def test_a_trade_leads_to_the_edge_of_the_buffer(held: int, trade: int) -> None:
    """A tenth about a target of 100: from 90 to 110 nothing is traded, from beyond no further than there."""
    world = holding(replace(SETTINGS, buffer_fraction=D("0.1")), AAA=held)
    found = told(world, AAA="0.1")
    assert orders(world) == ({"AAA": trade} if trade else {})
    assert [(fact.low, fact.high, fact.trade) for fact in found.values()] == ([(90, 110, trade)] if trade else [])


def test_what_is_to_go_goes_without_a_buffer() -> None:
    """All of it."""
    world = holding(replace(SETTINGS, buffer_fraction=D("0.5")), AAA=3)
    told(world, AAA="0")
    assert orders(world) == {"AAA": -3}


def test_a_buffer_ends_at_the_cap() -> None:
    """Of 300 shares 10 % more would be 330, but the cap is 310: what is above goes."""
    world = holding(replace(SETTINGS, buffer_fraction=D("0.1"), max_weight=D("0.31")), AAA=325)
    assert told(world, AAA="0.3")["AAA"].high == 310
    assert orders(world) == {"AAA": -15}


def test_a_target_that_was_cut_has_no_buffer_above_it() -> None:
    """The cap is where it lies."""
    world = holding(replace(SETTINGS, buffer_fraction=D("0.1")), AAA=410)
    assert (told(world, AAA="0.5")["AAA"].low, orders(world)) == (360, {"AAA": -10})


def test_what_may_still_be_bought_counts_as_there() -> None:
    """Fifty held and forty on their way are ninety: within the buffer."""
    world = holding(replace(SETTINGS, buffer_fraction=D("0.1")), AAA=50)
    world.trade(AAA="0.1")
    assert orders(world) == {"AAA": 40}
    told(world, AAA="0.1")
    assert orders(world) == {}


def test_positions_within_their_buffers_do_not_pass_a_cap_together() -> None:
    """Each 8 % above its target is within its buffer, both are 324 against a cap of 310: both go to their targets."""
    settings = replace(SETTINGS, buffer_fraction=D("0.1"), groups=(("g", ("AAA", "BBB"), D("0.31")),))
    world = holding(settings, AAA=162, BBB=324, CCC=540)
    told(world, AAA="0.15", BBB="0.15", CCC="0.1")
    assert orders(world) == {"AAA": -12, "BBB": -24}
    below = holding(settings, AAA=162, BBB=270, CCC=540)
    told(below, AAA="0.15", BBB="0.15", CCC="0.1")
    assert orders(below) == {}


def test_who_is_below_its_target_is_not_sold_for_a_cap() -> None:
    """What lies above goes down to the target; what lies below to its lower edge, as far as there is room."""
    settings = replace(SETTINGS, buffer_fraction=D("0.1"), groups=(("g", ("AAA", "BBB"), D("0.3")),))
    world = holding(settings, AAA=219, BBB=100)
    found = told(world, AAA="0.2", BBB="0.1")
    assert orders(world) == {"AAA": -19, "BBB": 61}
    assert (found["AAA"].high, found["BBB"].low) == (200, 180)


def test_short_positions_within_their_buffers_do_not_pass_a_cap_together_either() -> None:
    """The same with the signs turned."""
    settings = replace(SETTINGS, buffer_fraction=D("0.1"), groups=(("g", ("AAA", "BBB"), D("0.31")),), allow_short=True)
    world = holding(settings, AAA=-162, BBB=-324)
    found = told(world, AAA="-0.15", BBB="-0.15")
    assert orders(world) == {"AAA": 12, "BBB": 24}
    assert [(fact.low, fact.high) for fact in found.values()] == [(-150, -135), (-300, -270)]


def test_what_is_under_way_counts_towards_a_cap_shared() -> None:
    """150 held and 12 on their way are 162: with 324 of the other that is beyond the cap, as if all were held."""
    plain = replace(SETTINGS, groups=(("g", ("AAA", "BBB"), D("0.5")),))
    world = holding(plain, AAA=150, BBB=324)
    told(world, AAA="0.162", BBB="0.162")
    assert orders(world) == {"AAA": 12}
    tight = replace(plain, buffer_fraction=D("0.1"), groups=(("g", ("AAA", "BBB"), D("0.31")),), adopt_existing=True)
    world.hear(m.ConfigLoaded, settings=tight, sha256="f00d", by="reload")
    found = told(world, AAA="0.15", BBB="0.15")
    assert {symbol: (fact.pending, fact.trade) for symbol, fact in found.items()} == {"AAA": (12, -12), "BBB": (0, -24)}


def test_a_target_across_zero_is_reached_by_way_of_zero() -> None:
    """A hundred held and a hundred short wanted: a hundred are sold now, and the rest is decided when they are gone."""
    world = holding(replace(SETTINGS, allow_short=True), AAA=100)
    fact = told(world, AAA="-0.1")["AAA"]
    assert (fact.shares, fact.trade) == (-100, -100)
    assert orders(world) == {"AAA": -100}


def test_a_band_keeps_small_trades_back_but_for_what_is_to_go() -> None:
    """Worth less than 1 % of the capital, nothing is traded; what is not wanted any more goes all the same."""
    band = replace(SETTINGS, no_trade_band_weight=D("0.01"))
    world = holding(band, AAA=9, BBB=3, CCC=3)
    told(world, AAA="0", BBB="0.0005", CCC="0.001")
    assert orders(world) == {"AAA": -9}


def test_a_buffer_as_wide_as_the_target_still_trades_whole_lots() -> None:
    """Its lower edge is nothing, its upper twice the target: of 50.5 shares above it 50 go."""
    world = holding(replace(SETTINGS, buffer_fraction=D(1)), AAA=D("250.5"))
    fact = told(world, AAA="0.1")["AAA"]
    assert (fact.low, fact.high, fact.trade) == (0, 200, -50)


# ── lots and fractions (A24) ────────────────────────────────────────────────────────────────────────────────────────


def test_A24_of_a_fractional_holding_whole_shares_are_traded_until_all_goes() -> None:
    """57.68 shares to a target of 30 are 27 sold, not 27.68 and not 28; to nothing they are 57.68, and never 58."""
    world = holding(SETTINGS, AAA=D("57.68"))
    assert world.state.held(1) == D("57.68")
    assert told(world, AAA="0.03")["AAA"].trade == -27
    assert orders(world) == {"AAA": -27}
    gone = holding(SETTINGS, AAA=D("57.68"))
    told(gone, AAA="0")
    assert orders(gone) == {"AAA": D("-57.68")}


def refuse_fraction(world: World, code: int) -> None:
    """The broker says that it takes none."""
    (intent,) = world.state.live
    world.handed(intent)
    order_id = world.order(intent).order_id
    world.hear(m.OrderErrorSeen, order_id=order_id, code=code, text="no fractions", verdict="rejected")
    assert not world.state.live
    world.wait(60)


@pytest.mark.parametrize("code", [10243, 10318])
def test_A24_where_the_broker_refuses_a_fraction_the_whole_shares_go(code: int) -> None:
    """57 of 57.68; what is left is tried once more by itself, and then left in peace."""
    world = holding(SETTINGS, AAA=D("57.68"))
    told(world, AAA="0")
    refuse_fraction(world, code)
    told(world, AAA="0")
    assert orders(world) == {"AAA": -57}
    (intent,) = world.state.live
    world.finish(intent)
    world.snapshot()
    assert world.state.held(1) == D("0.68")
    told(world, AAA="0")
    assert orders(world) == {"AAA": D("-0.68")}
    refuse_fraction(world, code)
    told(world, AAA="0")
    assert orders(world) == {}


def test_A24_another_refusal_says_nothing_of_fractions() -> None:
    """A symbol halted for a moment is still closed whole."""
    world = holding(SETTINGS, AAA=D("57.68"))
    told(world, AAA="0")
    refuse_fraction(world, 201)
    told(world, AAA="0")
    assert orders(world) == {"AAA": D("-57.68")}


def test_A24_targets_are_whole_multiples_of_the_increment() -> None:
    """A third of the capital at 100 is 333.3333 shares where 0.0001 can be traded and is asked for."""
    world = with_lot(World.ready(replace(SETTINGS, lot_size=D("0.0001"))), AAA="0.0001", BBB="0.5", CCC="1")
    told(world, AAA="0.333333", BBB="0.333333", CCC="0.1")
    assert orders(world) == {"AAA": D("333.333"), "BBB": D("666.5"), "CCC": D(500)}


@pytest.mark.parametrize(
    ("instrument", "settings", "lot"),
    [
        ("1", "1", "1"),
        ("1", "10", "10"),
        ("100", "1", "100"),
        ("1", "1.5", "3"),
        ("0.0001", "1", "1"),
        ("4", "6", "12"),
    ],
)
def test_a_lot_is_a_multiple_of_the_brokers_and_of_ours(instrument: str, settings: str, lot: str) -> None:
    """The smallest there is of both."""
    world = with_lot(World.ready(replace(SETTINGS, lot_size=D(settings))), CCC=instrument)
    assert told(world, CCC="0.3")["CCC"].lot == D(lot)


def test_A24_a_flatten_closes_what_the_broker_takes_and_tells_of_the_rest() -> None:
    """57.68, or 57 once the fraction was refused; once nothing more can be ordered nothing is tried, and it is told."""
    world = holding(SETTINGS, AAA=D("57.68"))
    world.hear(m.ControlRequested, command="flatten", by="person", reason="test", quotes=world.quotes())
    step = world.rebalance(run_id="flatten@1")
    assert orders(world) == {"AAA": D("-57.68")}
    assert "not_flattened" not in alerts(step)
    refuse_fraction(world, 10243)
    assert may_close_more(world.state, None)
    step = world.rebalance(run_id="flatten@2")
    assert orders(world) == {"AAA": -57}
    assert "not_flattened" in alerts(step)
    (intent,) = world.state.live
    world.finish(intent)
    world.snapshot()
    assert world.state.held(1) == D("0.68")
    world.rebalance(run_id="flatten@3")
    refuse_fraction(world, 10243)
    assert not may_close_more(world.state, None)
    assert of_kind(world.rebalance(run_id="flatten@4").effects, m.SubmitOrder) == []


def at_least(world: World, least: str) -> None:
    """The broker takes no order in AAA for fewer shares."""
    world.hear(m.InstrumentsSeen, instruments=(Instrument(con_id=1, symbol="AAA", min_size=D(least)),))


def stays(step: Step) -> list[str]:
    """What a flatten has told to be left to a person."""
    return [one.text for one in of_kind(step.effects, m.RaiseAlert) if one.key == "not_flattened"]


def flatten(world: World) -> Step:
    return world.hear(m.ControlRequested, command="flatten", by="person", reason="test", quotes=world.quotes())


FEWER = "60 AAA stay: the broker takes no order for fewer than 100 shares; close them by hand"


def test_a_flatten_leaves_a_rest_for_which_the_broker_takes_no_order() -> None:
    """It is told when it comes to be, once: no reading asks for another decision, and none tells it again."""
    world = holding(SETTINGS, AAA=160)
    at_least(world, "100")
    flatten(world)
    assert orders_of(world.rebalance()) == [-160]
    (intent,) = world.state.live
    world.acknowledge(intent)
    world.fill(intent, 100)
    world.end(intent)
    step = world.status(intent, "Cancelled", 100)
    assert (world.state.held(1), stays(step), of_kind(step.effects, m.RunJob)) == (60, [FEWER], [])
    world.wait(300)
    for found in world.reconcile(3, seconds=180):
        assert (stays(found), of_kind(found.effects, m.RunJob)) == ([], [])
    step = world.rebalance()
    assert (orders_of(step), stays(step), of_kind(step.facts, m.TradeRefused)) == ([], [FEWER], [])


@pytest.mark.parametrize(("least", "told_at_once"), [("60", []), ("60.01", [FEWER.replace("100", "60.01")])])
def test_a_flatten_of_no_more_than_that_tells_it_at_once(least: str, told_at_once: list[str]) -> None:
    """No decision is asked for that could send nothing; as many as the broker takes are closed."""
    world = holding(SETTINGS, AAA=60)
    at_least(world, least)
    step = flatten(world)
    assert stays(step) == told_at_once
    assert may_close_more(world.state, None) == (not told_at_once) == bool(of_kind(step.effects, m.RunJob))
    assert orders_of(world.rebalance()) == ([] if told_at_once else [-60])


def orders_of(step: Step) -> list[Decimal]:
    sent = of_kind(step.effects, m.SubmitOrder)
    return [effect.order.quantity * effect.order.side.sign for effect in sent]


# ── of the whole ────────────────────────────────────────────────────────────────────────────────────────────────────

shares = st.integers(0, 400)
thousandths = st.integers(0, 330).map(lambda n: str(D(n) / 1000))
some_settings = st.builds(
    replace,
    st.just(SETTINGS),
    buffer_fraction=st.sampled_from([D(0), D("0.1"), D("0.5")]),
    lot_size=st.sampled_from([D(1), D(10)]),
    no_trade_band_weight=st.sampled_from([D(0), D("0.01")]),
    max_weight=st.sampled_from([D("0.1"), D("0.4")]),
    sizing=st.builds(SizingRules, method=st.sampled_from(["weights", "volatility", "portfolio", "risk"])),
    groups=st.sampled_from([(), (("g", ("AAA", "CCC"), D("0.2")),)]),
    max_gross_exposure=st.sampled_from([D("0.5"), D(1)]),
)


@given(some_settings, st.tuples(shares, shares, shares), st.tuples(thousandths, thousandths, thousandths))
def test_of_any_rebalance(settings: TradeSettings, held: tuple[int, ...], weights: tuple[str, ...]) -> None:
    """Sells go before buys; lots are whole but to close; no sign flips; no target above a cap; buffers are kept to."""
    world = holding(settings, **dict(zip(CON_IDS, held, strict=True)))
    found = told(world, **dict(zip(CON_IDS, weights, strict=True)))
    sent = [effect.order for effect in of_kind(world.steps[-1][1].effects, m.SubmitOrder)]
    sides = [order.side for order in sent]
    assert sides == sorted(sides, key=lambda side: side is Side.BUY)
    before = dict(zip(CON_IDS, held, strict=True))
    for order in sent:
        fact, signed = found[order.symbol], order.quantity * order.side.sign
        assert 0 < order.quantity <= abs(fact.trade)
        assert signed * fact.trade > 0
        assert order.quantity % settings.lot_size == 0 or signed == -before[order.symbol]
        assert before[order.symbol] + signed >= 0
        assert (
            fact.low <= before[order.symbol] + fact.trade <= fact.high
            or not fact.low <= before[order.symbol] <= fact.high
        )
    for symbol, fact in found.items():
        assert fact.weight == sum((part.sized for part in fact.parts), D(0))
        assert fact.shares * PRICES[symbol] <= fact.capped * EQUITY
        assert fact.capped <= min(fact.weight, settings.max_weight)
        assert fact.low <= fact.shares <= fact.high
        assert fact.high * PRICES[symbol] <= max(settings.max_weight * EQUITY, fact.shares * PRICES[symbol])
    for _, symbols, limit in settings.groups:
        assert sum(found[s].capped for s in symbols if s in found) <= limit
    assert sum((fact.capped for fact in found.values()), D(0)) <= settings.max_gross_exposure
