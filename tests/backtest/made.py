"""Small markets and configurations for the tests of this folder."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from longwatch.config.load import demo_path, load
from longwatch.config.schema import Settings, StrategySettings
from longwatch.data.calendar import ExchangeCalendar
from longwatch.domain import messages as m
from longwatch.domain.bars import BarSeries, stamp_of
from longwatch.domain.decide import Step
from longwatch.domain.state import State

CALENDAR = ExchangeCalendar()
FIRST, LAST = date(2007, 1, 3), date(2007, 3, 30)


def demo_settings(**trading: Any) -> Settings:
    """The demo's settings, some groups of them changed: `risk={"max_weight": Decimal("0.2")}`.

    A strategy of the tests trades a market of a few bars, which have an average volume from the first one on.
    """
    if "strategies" in trading:
        trading.setdefault("data", {"volume_sessions": 1})
    settings = load(demo_path(), {}).settings
    changed = {
        name: getattr(settings, name).model_copy(update=value) if isinstance(value, dict) else value
        for name, value in trading.items()
    }
    return settings.model_copy(update=changed)


def strategy(path: str, **parameters: Any) -> StrategySettings:
    """One strategy of a configuration."""
    return StrategySettings(name="tested", path=path, parameters=parameters)


def days(start: date = FIRST, end: date = LAST) -> list[date]:
    """The sessions of New York."""
    return [session.date for session in CALENDAR.sessions(start, end)]


def flat(symbol: str, prices: Sequence[float], first: date = FIRST) -> BarSeries:
    """Daily bars that open and close at these prices, one a session."""
    dates = days(first, date(2012, 12, 31))[: len(prices)]
    column = array("d", prices)
    return BarSeries(
        symbol=symbol,
        bar_size="1 day",
        stamps=array("q", map(stamp_of, dates)),
        open=column,
        high=column,
        low=column,
        close=column,
        volume=array("d", [10_000_000.0]) * len(prices),
        adjusted=column,
    )


def changed_after(series: Mapping[str, BarSeries], session: date, factor: float) -> dict[str, BarSeries]:
    """The series with every price later than `session` multiplied."""
    return {symbol: _changed(one, stamp_of(session), factor) for symbol, one in series.items()}


def _changed(one: BarSeries, last: int, factor: float) -> BarSeries:
    factors = [factor if stamp > last else 1.0 for stamp in one.stamps]
    columns = {
        name: array("d", (price * by for price, by in zip(getattr(one, name), factors, strict=True)))
        for name in ("open", "high", "low", "close", "adjusted")
    }
    return replace(one, **columns)  # type: ignore[arg-type]


def orders_of(state: State) -> list[tuple[str, str, str, Decimal, str, Decimal]]:
    """Each order as (session of its decision, symbol, side, quantity, how it ended, shares filled), in order."""
    return [
        (
            one.run_id[: len("rebalance@2007-01-03")],
            one.symbol,
            one.side.value,
            one.quantity,
            one.state.value,
            one.filled,
        )
        for one in state.orders.values()
    ]


class Heard:
    """Every event of a run and what came of it."""

    def __init__(self) -> None:
        self.events: list[m.Event] = []
        self.facts: list[m.Fact] = []

    def __call__(self, event: m.Event, what: Step) -> None:
        self.events.append(event)
        self.facts.extend(what.facts)
