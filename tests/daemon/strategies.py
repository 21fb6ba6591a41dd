"""Strategies for whole-daemon tests: loaded from this file by the daemon under test, as anybody's would be."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from longwatch.strategies.base import Bars, Context, Needs, Parameters, Strategy


class Plan(Strategy):
    """The first decision takes the first weights of `plan`, the second the second, and so on; the last stays."""

    class Parameters(Parameters):
        plan: list[dict[str, float]]

    def needs(self) -> Needs:
        named = {symbol for weights in self.parameters.plan for symbol in weights}
        return Needs(universe=tuple(sorted(named)), lookback=5)

    def target_weights(self, bars: Bars, context: Context) -> tuple[Mapping[str, float], Mapping[str, Any]]:
        plan, turn = self.parameters.plan, int(context.memory.get("turn", 0))
        return plan[min(turn, len(plan) - 1)], {"turn": turn + 1}


class Faulty(Strategy):
    """Wants its share of one symbol, and until `mended` goes wrong in one way instead."""

    class Parameters(Parameters):
        symbol: str
        way: str
        mended: date = date(9999, 1, 1)

    def needs(self) -> Needs:
        return Needs(universe=(self.parameters.symbol,), lookback=5)

    def target_weights(self, bars: Bars, context: Context) -> tuple[Mapping[str, float], Mapping[str, Any]]:
        symbol = self.parameters.symbol
        if context.session >= self.parameters.mended:
            return {symbol: 0.3}, {}
        match self.parameters.way:
            case "raises":
                raise ZeroDivisionError("the data had a surprise")
            case "nan":
                return {symbol: float("nan")}, {}
            case "unknown symbol":
                return {"ZZZZ": 0.3}, {}
            case _:
                return {symbol: 1.7}, {}
