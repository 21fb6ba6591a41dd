"""Cross-sectional momentum with inverse-volatility weights: the built-in strategy, named in the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
import pydantic

from longwatch.strategies.base import Bars, Context, Needs, Parameters, Strategy


class MomentumParameters(Parameters):
    """The settings of `Momentum`; lookback, skip and volatility window count sessions."""

    universe: tuple[str, ...] = ("AAPL", "GOOG", "IBM", "MSFT")
    lookback: int = pydantic.Field(252, ge=2, description="The return is measured from this many sessions ago")
    skip: int = pydantic.Field(21, ge=0, description="to this many sessions ago.")
    top: int = pydantic.Field(3, ge=1, description="How many symbols are held.")
    volatility_window: int = pydantic.Field(63, ge=2, description="Daily returns the volatility is measured on.")
    positive_only: bool = pydantic.Field(True, description="Hold only what has risen; the rest stays in cash.")
    max_weight: float | None = pydantic.Field(None, gt=0, le=1, description="A cap; what it cuts stays in cash.")
    hold: Literal["session", "month"] = pydantic.Field("session", description="How long chosen weights are kept.")

    @pydantic.model_validator(mode="after")
    def _skip_lies_inside(self) -> Self:
        if self.skip >= self.lookback:
            raise ValueError("skip must be below lookback")
        return self


class Momentum(Strategy):
    """Holds the strongest past performers, each in inverse proportion to its volatility.

    With P the adjusted close and t the session decided on:

        momentum   m = P[t - skip] / P[t - lookback] - 1
        volatility s = sample standard deviation of P[u] / P[u-1] - 1 over the last `volatility_window` sessions
        weight     w = (1 / s) / sum of 1 / s over the held

    Held are the `top` symbols by m, ties by name, and with `positive_only` of these only those with m > 0. The rank on
    past returns is Jegadeesh and Titman, "Returns to Buying Winners and Selling Losers: Implications for Stock Market
    Efficiency", Journal of Finance 48 (1993), 65-91; the skipped month keeps short-term reversal out.

    A symbol is skipped when it has too few bars, no bar of the session, a price that is not positive and finite, or no
    volatility at all. With `hold: month` weights are chosen at the first session decided on in a calendar month and
    returned unchanged until the next; they are this strategy's memory.
    """

    Parameters = MomentumParameters
    parameters: MomentumParameters

    def needs(self) -> Needs:
        """The universe's daily bars, one more than the longer of the two windows."""
        return Needs(universe=self.parameters.universe, lookback=self._bars())

    def target_weights(self, bars: Bars, context: Context) -> tuple[Mapping[str, float], Mapping[str, Any]]:
        """Weights by the formula above; memory only with `hold: month`."""
        if self.parameters.hold == "session":
            return self._chosen(bars, context), {}
        month = f"{context.session:%Y-%m}"
        kept = context.memory.get("weights", {})
        if context.memory.get("month") == month and set(kept) <= set(self.parameters.universe):
            return kept, context.memory
        weights = self._chosen(bars, context)
        return weights, {"month": month, "weights": weights}

    def _chosen(self, bars: Bars, context: Context) -> dict[str, float]:
        scores: dict[str, tuple[float, float]] = {}
        for symbol in self.parameters.universe:
            score = self._score(symbol, bars, context)
            if score is not None:
                scores[symbol] = score
        ranked = sorted(scores, key=lambda symbol: (-scores[symbol][0], symbol))[: self.parameters.top]
        held = [symbol for symbol in ranked if scores[symbol][0] > 0 or not self.parameters.positive_only]
        inverse = {symbol: 1.0 / scores[symbol][1] for symbol in held}
        whole, cap = sum(inverse.values()), self.parameters.max_weight or 1.0
        return {symbol: min(part / whole, cap) for symbol, part in inverse.items()}

    def _score(self, symbol: str, bars: Bars, context: Context) -> tuple[float, float] | None:
        """Momentum and volatility, both as fractions, the second a day's; None when the symbol is to be skipped."""
        if symbol not in bars or bars[symbol].last_session() != context.session:
            return None
        prices = bars.column(symbol, "adjusted")[-self._bars() :]
        if len(prices) < self._bars() or not (np.isfinite(prices).all() and (prices > 0).all()):
            return None
        momentum = prices[-1 - self.parameters.skip] / prices[-1 - self.parameters.lookback] - 1.0
        recent = prices[-1 - self.parameters.volatility_window :]
        volatility = np.std(recent[1:] / recent[:-1] - 1.0, ddof=1)
        return (float(momentum), float(volatility)) if volatility > 0 else None

    def _bars(self) -> int:
        return max(self.parameters.lookback, self.parameters.volatility_window) + 1
