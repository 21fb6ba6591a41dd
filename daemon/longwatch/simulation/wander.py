"""A strategy that changes its mind all the time, repeatably; simulated runs trade by it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from random import Random
from typing import Any

from longwatch.strategies.base import Bars, Context, Needs, Parameters, Strategy

LOOKBACK = 5


class WanderParameters(Parameters):
    """From session `calm_from` on the weights stay as they are then; `held` symbols are named at a time."""

    universe: tuple[str, ...]
    seed: str
    held: int
    calm_from: date


class Wander(Strategy):
    """Names some symbols of its universe, with uneven weights, anew at each turn; a function of seed and turn."""

    Parameters = WanderParameters
    parameters: WanderParameters

    def needs(self) -> Needs:
        return Needs(universe=self.parameters.universe, lookback=LOOKBACK)

    def target_weights(self, bars: Bars, context: Context) -> tuple[Mapping[str, float], Mapping[str, Any]]:
        chosen, turn = self.parameters, int(context.memory.get("turn", 0))
        is_calm = context.session >= chosen.calm_from
        random = Random(f"{chosen.seed}|{'calm' if is_calm else turn}")
        named = random.sample(sorted(chosen.universe), chosen.held)
        raw = {symbol: random.uniform(0.2, 1.0) for symbol in named}
        whole = sum(raw.values())
        return {symbol: weight / whole for symbol, weight in raw.items()}, {"turn": turn + 1}
