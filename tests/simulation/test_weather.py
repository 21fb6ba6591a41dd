"""A whole simulated run in generated weather: gaps and halts leave the daemon's promises as they are."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from longwatch.errors import UsageError
from longwatch.gateway.market.market import Market
from longwatch.simulation.scenery import MADE_UP, USUALLY, scenery
from longwatch.simulation.simulate import Asked, simulate, simulated, verdict

SEED, DAYS = 2, 3


def test_every_invariant_holds_in_storms_with_faults() -> None:
    """Halted shares, gaps and crashes beside everything else that goes wrong."""
    outcome = simulated(Asked(seed=SEED, days=DAYS, faults="all", weather="storms", guards=False))
    assert not outcome.broken, verdict(outcome)
    assert outcome.counts["orders_booked"] > 10
    assert outcome.asked.replay.endswith("--weather storms")


def test_weather_sets_the_market_and_its_last_session_is_calm(tmp_path: Path) -> None:
    """Storms have halts before the last session and no splits; the other kind has those too; none in the last."""
    found: dict[str, set[str]] = {}
    for weather in ("storms", "all"):
        kinds = found[weather] = set()
        for seed in range(6):
            scene = scenery(seed, 20, tmp_path, weather)
            for session in scene.sessions:
                kinds |= happened(scene.market, session.date, session.open_at, session.close_at)
            last = scene.sessions[-1]
            assert happened(scene.market, last.date, last.open_at, last.close_at) == set()
    assert found == {"storms": {"halt"}, "all": {"halt", "split", "dividend"}}


def happened(market: Market, day: date, opened: datetime, closed: datetime) -> set[str]:
    """What befell the shares on a day."""
    kinds = {"split" if one.ratio != 1 else "dividend" for one in market.actions(day)}
    for symbol in MADE_UP[:USUALLY]:
        share = market.find(symbol)
        assert share is not None
        middle = [opened + (closed - opened) * part / 13 for part in range(1, 13)]
        kinds |= {"halt" for at in middle if market.quote(share, at - timedelta(seconds=1)).is_halted}
    return kinds


def test_weather_that_there_is_not_is_told() -> None:
    """One sentence with the kinds there are."""
    with pytest.raises(UsageError, match="--weather hail: write one of storms, all"):
        simulate(weather="hail")


def test_splits_of_held_shares_are_proven_and_every_invariant_holds_with_faults() -> None:
    """Position, cost, history and sizing price move together, orders and targets go on, beside everything else."""
    outcome = simulated(Asked(seed=5, days=5, faults="all", weather="all", guards=False))
    assert not outcome.broken, verdict(outcome)
    evidence = outcome.evidence
    booked = {(row.body["con_id"], row.body["new"], row.body["old"]) for row in evidence.facts("SplitBooked")}
    happened_to = {one.con_id for one in evidence.events if one.event.kind == "split"}
    assert booked and {con_id for con_id, _, _ in booked} <= happened_to


def test_no_order_leaves_at_a_price_of_before_a_split() -> None:
    """Between a split of held shares and its proof nothing is written in them; from then on limits are the new ones."""
    outcome = simulated(Asked(seed=4, days=5, faults="none", weather="all", guards=False))
    evidence = outcome.evidence
    splits = [one for one in evidence.events if one.event.kind == "split"]
    assert splits
    for one in splits:
        proven = next(row.at for row in evidence.facts("SplitBooked") if row.body["con_id"] == one.con_id)
        orders = [seen for seen in evidence.placed if seen.values["conId"] == one.con_id and seen.at >= one.at]
        assert all(seen.at >= proven for seen in orders)
        limits = [Decimal(seen.values["lmtPrice"]) for seen in orders if seen.values["orderType"] == "LMT"]
        fills = [fill.price for fill in evidence.fills if fill.con_id == one.con_id and fill.at >= one.at]
        assert all(abs(limit / price - 1) < Decimal("0.4") for limit in limits[:1] for price in fills[:1])
