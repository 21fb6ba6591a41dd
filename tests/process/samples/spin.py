"""Never answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from longwatch.strategies.base import Bars, Context, Needs, Strategy


class Spin(Strategy):
    """Asks for one stock, and then computes for ever."""

    def needs(self) -> Needs:
        """One bar of a stock that nobody else wants."""
        return Needs(universe=("ZZZ",), lookback=1)

    def target_weights(self, bars: Bars, context: Context) -> tuple[Mapping[str, float], Mapping[str, Any]]:
        """The loop that the host has to end."""
        while True:
            pass
