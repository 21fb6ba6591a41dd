"""Strategies for the tests of this folder; named in configurations as `strategies.py:Class`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from longwatch.strategies.base import Bars, Context, Needs, Parameters, Strategy


class HalfParameters(Parameters):
    """What is held, and on which session the code breaks."""

    symbol: str = "AAA"
    weight: float = 0.5
    breaks_on: str = ""


class Half(Strategy):
    """Half of the capital in one symbol, always."""

    Parameters = HalfParameters
    parameters: HalfParameters

    def needs(self) -> Needs:
        return Needs(universe=(self.parameters.symbol,), lookback=2)

    def target_weights(self, bars: Bars, context: Context) -> tuple[Mapping[str, float], Mapping[str, Any]]:
        if context.session.isoformat() == self.parameters.breaks_on:
            raise ValueError("broken on purpose")
        return {self.parameters.symbol: self.parameters.weight}, {"seen": context.session.isoformat()}
