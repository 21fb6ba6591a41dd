"""A whole simulated run in generated weather: gaps and halts leave the daemon's promises as they are."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from longwatch.errors import UsageError
from longwatch.gateway.market import Market
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
