"""A source of prices to which splits and dividends are added by script; put before another source by the market."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from math import prod
from random import Random

from longwatch.gateway.market.actions import Action
from longwatch.gateway.market.hours import Hours
from longwatch.gateway.market.instruments import Instrument
from longwatch.gateway.market.path import DayBar, DayPath
from longwatch.gateway.market.sources import Halt, Source


class Scripted(Source):
    """Prices after a scripted split are the inner source's divided by its ratio; a scripted dividend moves no price."""

    def __init__(self, inner: Source) -> None:
        self._inner = inner
        self._actions: list[Action] = []

    def add(self, action: Action) -> None:
        """An action of a session to come."""
        self._actions.append(action)
        self._actions.sort(key=lambda one: one.date)

    @property
    def instrument(self) -> Instrument:
        return self._inner.instrument

    @property
    def hours(self) -> Hours | None:
        return self._inner.hours

    def halts(self, day: date) -> Sequence[Halt]:
        return self._inner.halts(day)

    def actions(self, until: date) -> Sequence[Action]:
        both = [*self._inner.actions(until), *(action for action in self._actions if action.date <= until)]
        return sorted(both, key=lambda action: action.date)

    def on(self, day: date) -> DayBar | None:
        bar = self._inner.on(day)
        return None if bar is None else _split(bar, self._ratio(day))

    def before(self, day: date) -> Sequence[DayBar]:
        past = self._inner.before(day)
        if not any(action.date < day for action in self._actions):
            return past
        return [_split(bar, self._ratio(bar.date)) for bar in past]

    def path(self, day: date, points: int, random: Random) -> DayPath | None:
        path, ratio = self._inner.path(day, points, random), self._ratio(day)
        if path is None or ratio == 1:
            return path
        return replace(
            path,
            bar=_split(path.bar, ratio),
            prices=_over(path.prices, ratio),
            highs=_over(path.highs, ratio),
            lows=_over(path.lows, ratio),
            bid_sizes=_by(path.bid_sizes, ratio),
            ask_sizes=_by(path.ask_sizes, ratio),
            volumes=_by(path.volumes, ratio),
            last_sizes=_by(path.last_sizes, ratio),
        )

    def _ratio(self, day: date) -> float:
        """Shares of a day that one of the inner source's has become."""
        return prod(float(action.ratio) for action in self._actions if action.date <= day)


def _over(prices: tuple[float, ...], ratio: float) -> tuple[float, ...]:
    return tuple(price / ratio for price in prices)


def _by(sizes: tuple[int, ...], ratio: float) -> tuple[int, ...]:
    return tuple(int(size * ratio) for size in sizes)


def _split(bar: DayBar, ratio: float) -> DayBar:
    if ratio == 1:
        return bar
    prices = {name: getattr(bar, name) / ratio for name in ("open", "high", "low", "close")}
    return replace(bar, **prices, volume=bar.volume * ratio)
