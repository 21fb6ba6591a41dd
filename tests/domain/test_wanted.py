"""Which symbols a rebalance leaves as they are, because a strategy that may want them has not spoken."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.settings import TradeSettings
from tests.domain.world import SETTINGS, YESTERDAY, World

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
