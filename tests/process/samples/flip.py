"""Trades for ever: by turns it wants one pair of four made-up stocks and the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from longwatch.strategies.base import Bars, Context, Needs, Parameters, Strategy

PAIRS = (("AAA", "BBB"), ("CCC", "DDD"))


class FlipParameters(Parameters):
    """`weight` of each of the pair: at 0.02 an order fills at once, at 0.08 many fill in parts."""

    weight: float = 0.02


class Flip(Strategy):
    """Counts its turns in its memory."""

    Parameters = FlipParameters
    parameters: FlipParameters

    def needs(self) -> Needs:
        """Two bars of each of the four."""
        return Needs(universe=tuple(symbol for pair in PAIRS for symbol in pair), lookback=2)

    def target_weights(self, bars: Bars, context: Context) -> tuple[Mapping[str, float], Mapping[str, Any]]:
        """The pair whose turn it is, in equal parts."""
        turn = int(context.memory.get("turn", 0))
        return dict.fromkeys(PAIRS[turn % len(PAIRS)], self.parameters.weight), {"turn": turn + 1}
