"""What an instrument has lost in a session: from which value, at which prices, and when a hold follows."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.levels import Level
from longwatch.domain.order_life.evidence import Decided
from longwatch.domain.risk.instrument_losses import instruments_valued
from longwatch.domain.state import evolve
from tests.domain.test_holds import limited
from tests.domain.world import MONDAY, World, of_kind

D = Decimal


def bought(limit: str = "0.01", shares: int = 100) -> World:
    """100 AAA at 100, of an equity of 100,000: a point is a thousandth of it."""
    world = World.ready(limited(daily_loss=None, instrument_daily_loss=D(limit)))
    intent = world.one(AAA=str(D(shares) / 1000))
    world.acknowledge(intent)
    world.fill(intent, shares)
    return world


def valued(world: World, price: str) -> list[m.HoldSet]:
    def take(facts: Decided) -> list[object]:
        found = []
        for one in facts:
            if isinstance(one, m.EquityMarked | m.HoldSet):
                evolve(world.state, one)
            found.append(one)
        return found

    return of_kind(take(instruments_valued(world.state, {"AAA": D(price)}, world.now)), m.HoldSet)


def test_a_loss_at_the_limit_holds_the_instrument_and_one_below_it_does_not() -> None:
    world = bought()
    assert valued(world, "90.01") == []
    (hold,) = valued(world, "90")
    assert (hold.level, hold.name, hold.con_id, hold.observed) == (Level.INSTRUMENT, "AAA", 1, D("0.01"))
    assert valued(world, "80") == []


def test_what_a_sale_has_realized_counts_at_once() -> None:
    """By its own fill: no rebalance is waited for."""
    world = bought()
    (sale,) = world.trade(AAA="0")
    world.acknowledge(sale.intent)
    step = world.fill(sale.intent, 100, "90")
    assert [hold.rule for hold in of_kind(step.facts, m.HoldSet)] == ["instrument_daily_loss"]


def test_the_next_session_begins_where_the_last_one_was_valued() -> None:
    """The loss of the day before is no loss of this one, the gap since its close is."""
    world = bought()
    assert valued(world, "91") == []
    world.now = MONDAY.open_at
    assert valued(world, "82") == []
    assert [hold.observed for hold in valued(world, "81")] == [D("0.01")]


def test_a_holding_of_before_the_limit_starts_at_what_it_is_worth() -> None:
    """An old loss sets nothing; without a limit nothing is noted."""
    world = World.ready(limited(daily_loss=None))
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    world.fill(intent, 100)
    assert valued(world, "50") == [] and (Level.INSTRUMENT, "AAA") not in world.state.marks
    world.state.settings = replace(
        world.state.settings, holds=replace(world.state.settings.holds, instrument_daily_loss=D("0.01"))
    )
    assert valued(world, "50") == []
    assert len(valued(world, "40")) == 1


def test_resumed_it_is_measured_anew() -> None:
    world = bought()
    assert len(valued(world, "90")) == 1
    world.hear(m.ControlRequested, command="resume", argument="AAA", by="uid 1000", reason="seen")
    assert valued(world, "90") == [] and valued(world, "81") == []
    assert len(valued(world, "80")) == 1
