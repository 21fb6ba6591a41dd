"""Where prices come from: recorded days here, made-up ones in synthetic and generator; read by the market."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property, partial
from random import Random

from longwatch.gateway.market.actions import Action
from longwatch.gateway.market.hours import Hours, TradingDay
from longwatch.gateway.market.instruments import CENTS, Instrument, on_grid
from longwatch.gateway.market.path import DayBar, DayPath, along, trace

DECIMALS = {CENTS: 2}
"""Decimals of prices on grids of powers of ten, where rounding to a number of them is enough."""

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
        grid = DECIMALS.get(self.instrument.rule) or partial(on_grid, self.instrument)
        return trace(bar, points, grid, random, self.halts(day))


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortBar:
    """One bar within a session: when it starts, prices, shares traded."""

    start: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float


POINTS_A_BAR = 4
"""A recorded bar is replayed as so many points: open, high and low in the order of its direction, close."""


class ShortReplay(Replay):
    """Recorded bars of `step` within sessions; between them, where none is recorded, the price stands.

    The market must have POINTS_A_BAR points in each `step`. Before the first bar of a session the last close stands.
    """

    def __init__(
        self,
        instrument: Instrument,
        bars: Mapping[TradingDay, Sequence[ShortBar]],
        step: timedelta,
        actions: Iterable[Action] = (),
    ) -> None:
        self._bars = {session.date: (session, list(short)) for session, short in bars.items() if short}
        self._step = step
        days: list[DayBar] = []
        for _, (session, short) in sorted(self._bars.items()):
            days.append(_day_of(session, short, days[-1].close if days else short[0].open))
        super().__init__(instrument, days, actions)

    def path(self, day: date, points: int, random: Random) -> DayPath | None:
        bar = self.on(day)
        if bar is None:
            return None
        session, short = self._bars[day]
        by_place = {(one.start - session.open_at) // self._step: one for one in short}
        prices, shares = [bar.open], [0]
        for place in range(-(-points // POINTS_A_BAR)):
            one = by_place.get(place)
            prices.extend(_turns(one) if one else [prices[-1]] * POINTS_A_BAR)
            shares.extend(_quarters(int(one.volume)) if one else [0] * POINTS_A_BAR)
        # The close of the last bar belongs to the closing point alone, and so does what comes too late for a point.
        prices, late = prices[1 : points + 1], shares[points + 1 :]
        shares = shares[1 : points + 1]
        last = shares.pop() + sum(late)
        return along(bar, [*prices[:-1], prices[-2], bar.close], [*shares, 0, last], random)


def _day_of(session: TradingDay, bars: Sequence[ShortBar], before: float) -> DayBar:
    """The day of these bars; one that does not trade at the open opens at the price before it."""
    opening = bars[0].open if bars[0].start == session.open_at else before
    return DayBar(
        date=session.date,
        open_at=session.open_at,
        close_at=session.close_at,
        open=opening,
        high=max(opening, *(bar.high for bar in bars)),
        low=min(opening, *(bar.low for bar in bars)),
        close=bars[-1].close,
        volume=float(sum(int(bar.volume) for bar in bars)),
    )


def _turns(bar: ShortBar) -> list[float]:
    """A rising bar goes down first, a falling one up."""
    turns = [bar.low, bar.high] if bar.close >= bar.open else [bar.high, bar.low]
    return [bar.open, *turns, bar.close]


def _quarters(shares: int) -> list[int]:
    part = shares // POINTS_A_BAR
    return [part, part, part, shares - 3 * part]
