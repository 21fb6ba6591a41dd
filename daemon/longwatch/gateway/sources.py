"""Where prices come from: recorded days here, made-up ones in synthetic and generator; read by the market."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from functools import cached_property
from random import Random

from longwatch.gateway.actions import Action
from longwatch.gateway.hours import Hours
from longwatch.gateway.instruments import Instrument
from longwatch.gateway.path import DayBar, DayPath, trace

Halt = tuple[datetime, datetime]
"""From one instant up to, and not with, another."""


class Source(ABC):
    """One instrument's sessions."""

    @property
    @abstractmethod
    def instrument(self) -> Instrument: ...

    @abstractmethod
    def on(self, day: date) -> DayBar | None:
        """The bar of a session, or None when the instrument did not trade."""

    @abstractmethod
    def before(self, day: date) -> Sequence[DayBar]:
        """All bars of sessions before `day`, oldest first."""

    @property
    def hours(self) -> Hours | None:
        """The instrument's own sessions, or None when they are the market's."""
        return None

    def actions(self, until: date) -> Sequence[Action]:
        """Splits and dividends up to and with a date, oldest first."""
        return ()

    @property
    def may_act(self) -> bool:
        """Whether there can ever be such."""
        return type(self).actions is not Source.actions

    def halts(self, day: date) -> Sequence[Halt]:
        """When the instrument does not trade within a session."""
        return ()

    def path(self, day: date, points: int, random: Random) -> DayPath | None:
        """The way of the price through a session in so many points, or None when it did not trade."""
        bar = self.on(day)
        if bar is None:
            return None
        return trace(bar, points, -self.instrument.min_tick.as_tuple().exponent, random, self.halts(day))  # type: ignore[operator]


class Replay(Source):
    """Recorded daily bars of one instrument, oldest first, unadjusted: `actions` are its splits and dividends."""

    def __init__(self, instrument: Instrument, days: Iterable[DayBar], actions: Iterable[Action] = ()) -> None:
        self._instrument = instrument
        self._days = sorted(days, key=lambda bar: bar.date)
        self._dates = [bar.date for bar in self._days]
        self._actions = sorted(actions, key=lambda action: action.date)

    @property
    def instrument(self) -> Instrument:
        return self._instrument

    @cached_property
    def _by_date(self) -> dict[date, DayBar]:
        return dict(zip(self._dates, self._days, strict=True))

    @property
    def days(self) -> Sequence[DayBar]:
        return self._days

    def on(self, day: date) -> DayBar | None:
        return self._by_date.get(day)

    def before(self, day: date) -> Sequence[DayBar]:
        return self._days[: bisect_right(self._dates, day) - (1 if day in self._by_date else 0)]

    @property
    def may_act(self) -> bool:
        return bool(self._actions)

    def actions(self, until: date) -> Sequence[Action]:
        return self._actions[: bisect_right(self._actions, until, key=lambda action: action.date)]
