"""Names in the settings that nobody bears, or two things at once, and what a person has to say then."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.levels import Grade, Level
from longwatch.domain.orders import Purpose
from longwatch.domain.replies import objection
from longwatch.domain.settings import StopRule
from longwatch.domain.state import evolve
from tests.domain.world import SETTINGS, World, alerts, of_kind

D = Decimal
RULE = StopRule(fraction=D("0.05"))


def told(world: World, **fields: object) -> list[str]:
    settings = replace(world.settings, **fields)  # type: ignore[arg-type]
    step = world.hear(m.ConfigLoaded, settings=settings, sha256=str(fields))
    return [one.text for one in of_kind(step.effects, m.RaiseAlert) if one.key == "misnamed"]


def test_a_rule_for_a_symbol_that_nobody_knows_is_told() -> None:
    """Where it stands and the symbol; a held one that no strategy asks for any more is right."""
    world = World.ready(AAA=100)
    assert told(world, stops_of_symbols=(("AAA", RULE),), groups=(("tech", ("AAA", "BBB"), D("0.2")),)) == []
    (stop,) = told(world, stops_of_symbols=(("AAB", RULE),))
    assert stop.startswith("stops.instruments names AAB, which no strategy asks for")
    (group,) = told(world, groups=(("tech", ("AAA", "BBC"), D("0.2")),))
    assert group.startswith("risk.groups: tech names BBC")
    assert told(world, universe=("BBB", "CCC"), stops_of_symbols=(("AAA", RULE),)) == []
    assert told(world, universe=(), stops_of_symbols=(("AAB", RULE),)) == [], "no strategy could be loaded"


def test_a_strategy_called_as_an_instrument_is_told() -> None:
    """Until it is called otherwise."""
    world = World.ready(SETTINGS)
    (text,) = told(world, allocations=(("AAA", D(1)),))
    assert "`strategy:AAA` or `symbol:AAA`" in text


@pytest.mark.parametrize("kind", ["strategy", "symbol"])
def test_resume_of_a_name_that_means_two_asks_which_and_lifts_that_one(kind: str) -> None:
    """Without the kind it is refused; with it the other's hold stays."""
    world = World.ready(replace(SETTINGS, allocations=(("AAA", D(1)),)))
    for level in (Level.STRATEGY, Level.INSTRUMENT):
        hold = m.HoldSet(
            level=level,
            name="AAA",
            rule="strategy_daily_loss" if level is Level.STRATEGY else "order_slippage",
            grade=Grade.REDUCING,
            observed=D(1),
            limit=D(1),
            since=world.now,
        )
        evolve(world.state, hold)

    def why_not(argument: str) -> str | None:
        asked = m.ControlRequested(at=world.now, tech=world.now, command="resume", argument=argument, by="uid 1000")
        return objection(world.state, asked)

    refused = why_not("AAA")
    assert refused is not None and "say `resume strategy:AAA` or `resume symbol:AAA`" in refused
    assert why_not(f"{kind}:AAA") is None
    assert why_not(f"{kind}:BBB") is not None
    assert alerts(world.hear(m.ControlRequested, command="resume", argument=f"{kind}:AAA", by="uid 1000")) == []
    left = {hold.level for hold in world.state.holds.values()}
    assert left == {Level.INSTRUMENT if kind == "strategy" else Level.STRATEGY}
    assert why_not(f"{kind}:AAA") is not None


THREE = replace(SETTINGS, universe=("AAA", "BBB", "CCC"), universes=(("trend", ("AAA", "BBB", "CCC")),))
ONE = replace(THREE, universe=("AAA",), universes=(("trend", ("AAA",)),))


def test_a_purchase_of_what_no_strategy_names_any_more_is_cancelled() -> None:
    """Once, and at the broker too; not while it is not known what some strategy asks for."""
    world = World.ready(THREE)
    orders = {order.symbol: order for order in world.trade(AAA="0.2", BBB="0.2")}
    for order in orders.values():
        world.acknowledge(order.intent)
    unknown = world.hear(m.ConfigLoaded, settings=replace(ONE, universes=()), sha256="b")
    assert not of_kind(unknown.effects, m.CancelOrder)
    step = world.hear(m.ConfigLoaded, settings=ONE, sha256="c")
    bought = world.order(orders["BBB"].intent)
    assert [one.intent for one in of_kind(step.facts, m.OrderCancelAsked)] == [bought.intent]
    assert [one.order_id for one in of_kind(step.effects, m.CancelOrder)] == [bought.order_id]
    again = world.hear(m.ConfigLoaded, settings=replace(ONE, tif="GTC"), sha256="d")
    assert not of_kind(again.effects, m.CancelOrder)


def test_what_closes_such_a_holding_goes_on() -> None:
    """It was decided while a strategy still asked for it, and leaves less."""
    world = World.ready(THREE)
    world.finish(world.one(BBB="0.2"), "50")
    order = world.one(BBB="0")
    world.acknowledge(order)
    assert world.order(order).purpose is Purpose.REDUCE
    step = world.hear(m.ConfigLoaded, settings=ONE, sha256="b")
    assert not of_kind(step.effects, m.CancelOrder)
    assert alerts(step) == ["left_behind"]
