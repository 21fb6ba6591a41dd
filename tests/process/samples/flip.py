"""Trades for ever: by turns it wants some made-up stocks and others, two of each as a rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from longwatch.strategies.base import Bars, Context, Needs, Parameters, Strategy

SIDES = (("AAA", "BBB", "EEE", "FFF", "III", "JJJ"), ("CCC", "DDD", "GGG", "HHH", "KKK", "LLL"))


class FlipParameters(Parameters):
    """`weight` of each stock wanted: at 0.02 an order fills at once, at 0.08 many fill in parts; `many` are wanted."""

    weight: float = 0.02
    many: int = 2


class Flip(Strategy):
    """Counts its turns in its memory."""

    Parameters = FlipParameters
    parameters: FlipParameters

    def needs(self) -> Needs:
        """Two bars of each of them."""
        return Needs(universe=tuple(symbol for side in SIDES for symbol in side[: self.parameters.many]), lookback=2)

    def target_weights(self, bars: Bars, context: Context) -> tuple[Mapping[str, float], Mapping[str, Any]]:
        """Those whose turn it is, in equal parts."""
        turn = int(context.memory.get("turn", 0))
        wanted = SIDES[turn % len(SIDES)][: self.parameters.many]
        return dict.fromkeys(wanted, self.parameters.weight), {"turn": turn + 1}
