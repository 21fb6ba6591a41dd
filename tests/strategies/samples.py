"""Series and strategies for the tests of this folder."""

from __future__ import annotations

import random
from array import array
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from longwatch.domain.bars import BarSeries, session_of, stamp_of
from longwatch.strategies.base import Context
from longwatch.strategies.worker import Code, Request

FIRST = date(2007, 1, 3)


def series(symbol: str, prices: list[float], first: date = FIRST) -> BarSeries:
    """Daily bars with these closes, one for each day from `first`."""
    column = array("d", prices)
    days = array("q", (stamp_of(first + timedelta(days=n)) for n in range(len(prices))))
    return BarSeries(
        symbol=symbol,
        bar_size="1 day",
        stamps=days,
        open=column,
        high=column,
        low=column,
        close=column,
        volume=array("d", [1000.0] * len(prices)),
        adjusted=column,
    )


def walk(symbol: str, seed: int, count: int = 300, drift: float = 0.0) -> BarSeries:
    """A seeded random walk."""
    chance = random.Random(seed)
    prices = [100.0]
    while len(prices) < count:
        prices.append(prices[-1] * (1 + drift + chance.gauss(0, 0.01)))
    return series(symbol, prices)


def context(of: BarSeries, **other: Any) -> Context:
    """A decision on the last session of a series."""
    session = session_of(of.stamps[-1])
    now = datetime(session.year, session.month, session.day, 22, tzinfo=UTC)
    return Context(session=session, now=now, **other)


HEAD = """
import os, time, sys
from longwatch.strategies.base import Needs, Parameters, Strategy

class Sample(Strategy):
    class Parameters(Parameters):
        share: float = 0.5

    def needs(self):
        return Needs(universe=("AAPL", "IBM"), lookback=2)

    def target_weights(self, bars, context):
"""


def written(folder: Path, body: str, name: str = "sample.py") -> Code:
    """A strategy file whose `target_weights` has this body, and the code that refers to it."""
    lines = "\n".join(f"        {line}" for line in body.strip().splitlines())
    (folder / name).write_text(HEAD + lines + "\n")
    return Code(name="sample", reference=f"{folder / name}:Sample")


def request(code: Code, **other: Any) -> Request:
    """A decision on two short series."""
    both = {symbol: walk(symbol, seed, 5) for seed, symbol in enumerate(("AAPL", "IBM"))}
    weights = {"AAPL": Decimal("0.25")}
    return Request(code=code, series=both, context=context(both["AAPL"], **({"weights": weights} | other)))
