"""Made-up markets with weather: calm, volatile and crashing times, gaps, splits, dividends, halts; from a seed.

Each session of a share is drawn after the one before it, so nothing of a later one is in what was drawn so far.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from random import Random

from longwatch.gateway.market.actions import Action
from longwatch.gateway.market.hours import Hours, TradingDay
from longwatch.gateway.market.instruments import Instrument, on_grid
from longwatch.gateway.market.path import DayBar
from longwatch.gateway.market.sources import Halt, Source

SESSIONS_A_YEAR = 252
PULL_HOME = 0.005
"""Share of the distance to its base that a price goes back each session, so that years of it stay tradable."""

SPLIT_ABOVE, JOIN_BELOW = 400.0, 4.0
RATIOS = (2, 3, 4)
JOINED = Decimal("0.1")
EARLIEST_HALT, SHORTEST_HALT = timedelta(minutes=10), timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Regime:
    """One kind of weather: moves of a session and overnight as shares of the price, and how long it lasts.

    `move` and `gap` are standard deviations, `drift` a mean; `range` is how far high and low go beyond open and close,
    in moves; `stays` is the chance that the next session has the same weather, `halts` how many halts a year.
    """

    move: float
    drift: float
    gap: float
    range: float
    stays: float
    halts: float


REGIMES: Mapping[str, Regime] = {
    "calm": Regime(move=0.010, drift=0.0006, gap=0.003, range=0.4, stays=0.985, halts=0.2),
    "volatile": Regime(move=0.025, drift=-0.0003, gap=0.012, range=0.6, stays=0.95, halts=3.0),
    "crash": Regime(move=0.045, drift=-0.03, gap=0.03, range=0.8, stays=0.75, halts=40.0),
}
NEXT = {"calm": ("volatile",), "volatile": ("calm", "calm", "crash"), "crash": ("volatile",)}
"""What follows a kind of weather when it ends, each as likely as the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Climate:
    """What may happen in a made-up market; events are per share and year, and none where the number is 0.

    From `calm_from` on nothing happens any more, and the weather is the first regime's.
    """

    splits: float = 0.2
    dividends: int = 4
    halts: bool = True
    regimes: tuple[str, ...] = tuple(REGIMES)
    calm_from: date | None = None

    def is_over(self, day: date) -> bool:
        """Whether a session is one of the calm ones at the end."""
        return self.calm_from is not None and day >= self.calm_from


STILL = Climate(splits=0.0, dividends=0, halts=False, regimes=("calm",))
"""No event ever, and always calm."""


class Weather:
    """The regime of each session, the same for all shares of a market, from the first session on."""

    def __init__(self, seed: int, regimes: Sequence[str]) -> None:
        self._random = Random(f"{seed}|weather")
        self._allowed = tuple(regimes)
        self._names = [self._allowed[0]]

    def on(self, number: int) -> Regime:
        """The weather of a session by its number from the first."""
        return REGIMES[self.name_on(number)]

    def name_on(self, number: int) -> str:
        while len(self._names) <= number:
            now = self._names[-1]
            following = [name for name in NEXT[now] if name in self._allowed]
            stays = not following or self._random.random() < REGIMES[now].stays
            self._names.append(now if stays else self._random.choice(following))
        return self._names[number]


@dataclass(slots=True)
class _Drawn:
    """What has been drawn so far."""

    days: list[DayBar] = field(default_factory=list)
    dates: list[date] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    halts: dict[date, Halt] = field(default_factory=dict)


class Generated(Source):
    """One share's sessions by the exchange's hours from `first` on. `like` names what its moves are drawn from.

    What has the same `like` moves alike, `scale` times as high. It trades from its listing to its expiry.
    """

    def __init__(
        self,
        instrument: Instrument,
        hours: Hours,
        weather: Weather,
        *,
        seed: int,
        first: date,
        climate: Climate = STILL,
        like: str = "",
        base: float | None = None,
        scale: float = 1.0,
        own_hours: bool = False,
    ) -> None:
        self._instrument = instrument
        self._hours = hours
        self._owns_hours = own_hours
        self._weather = weather
        self._climate = climate
        self._random = Random(f"{seed}|{like or instrument.name}|sessions")
        price = self._random.uniform(20.0, 200.0)
        self._base = self._level = math.log(base or price)
        self._scale = scale
        self._listed = instrument.listed or first
        self._next = hours.on(first) or hours.following(datetime.combine(first, time(), UTC))
        self._drawn = _Drawn()

    @property
    def instrument(self) -> Instrument:
        return self._instrument

    @property
    def hours(self) -> Hours | None:
        return self._hours if self._owns_hours else None

    def on(self, day: date) -> DayBar | None:
        self._draw(day)
        place = bisect_left(self._drawn.dates, day)
        if day < self._listed:
            return None
        found = place < len(self._drawn.dates) and self._drawn.dates[place] == day
        return self._drawn.days[place] if found else None

    def before(self, day: date) -> Sequence[DayBar]:
        self._draw(day - timedelta(days=1))
        dates = self._drawn.dates
        return self._drawn.days[bisect_left(dates, self._listed) : bisect_left(dates, day)]

    def actions(self, until: date) -> Sequence[Action]:
        self._draw(until)
        return self._drawn.actions[: bisect_right(self._drawn.actions, until, key=lambda action: action.date)]

    def halts(self, day: date) -> Sequence[Halt]:
        self._draw(day)
        halt = self._drawn.halts.get(day)
        return (halt,) if halt else ()

    def _draw(self, until: date) -> None:
        last = self._instrument.expiry
        while self._next is not None and self._next.date <= until and (last is None or self._next.date <= last):
            session = self._next
            self._draw_session(session)
            self._next = self._hours.following(session.open_at)

    def _draw_session(self, session: TradingDay) -> None:
        random, drawn = self._random, self._drawn
        regime = self._weather.on(len(drawn.days))
        if self._climate.is_over(session.date):
            regime = REGIMES[self._climate.regimes[0]]
        self._act(session)
        self._level += random.gauss(0.0, regime.gap)
        first = self._level
        self._level += PULL_HOME * (self._base - self._level) + random.gauss(regime.drift, regime.move)
        beyond = regime.move * regime.range
        high = max(first, self._level) + abs(random.gauss(0.0, beyond))
        low = min(first, self._level) - abs(random.gauss(0.0, beyond))
        volume = random.randrange(500_000, 5_000_000, 100) * (1 + regime.move * 20)
        self._halt(session, regime)
        prices = [self._rounded(math.exp(level)) for level in (first, high, low, self._level)]
        drawn.dates.append(session.date)
        drawn.days.append(
            DayBar(
                date=session.date,
                open_at=session.open_at,
                close_at=session.close_at,
                open=prices[0],
                high=prices[1],
                low=prices[2],
                close=prices[3],
                volume=float(int(volume)),
            )
        )

    def _rounded(self, price: float) -> float:
        return on_grid(self._instrument, price * self._scale)

    def _act(self, session: TradingDay) -> None:
        """A split or a dividend before the open, at most one of them; the first session has neither."""
        climate, count, price = self._climate, len(self._drawn.days), math.exp(self._level)
        if not count or climate.is_over(session.date):
            return
        draw, ratio = self._random.random(), Decimal(self._random.choice(RATIOS))
        if climate.splits and (draw < climate.splits / SESSIONS_A_YEAR or price > SPLIT_ABOVE):
            self._note(Action(date=session.date, con_id=self._instrument.con_id, ratio=ratio))
            self._shift(math.log(float(ratio)))
        elif climate.splits and price < JOIN_BELOW:
            self._note(Action(date=session.date, con_id=self._instrument.con_id, ratio=JOINED))
            self._shift(math.log(float(JOINED)))
        elif climate.dividends and count % (SESSIONS_A_YEAR // climate.dividends) == self._pay_day:
            dividend = Decimal(f"{price * 0.006:.2f}")
            if dividend > 0:
                self._note(Action(date=session.date, con_id=self._instrument.con_id, dividend=dividend))
                self._level = math.log(max(price - float(dividend), 0.01))

    @property
    def _pay_day(self) -> int:
        """Which session of each quarter pays: shares differ."""
        return self._instrument.con_id % (SESSIONS_A_YEAR // self._climate.dividends)

    def _note(self, action: Action) -> None:
        self._drawn.actions.append(action)

    def _shift(self, by: float) -> None:
        self._level -= by
        self._base -= by

    def _halt(self, session: TradingDay, regime: Regime) -> None:
        """Perhaps a halt: it begins some minutes after the open and ends before the last ones."""
        draw, begins, lasts = self._random.random(), self._random.random(), self._random.random()
        if not self._climate.halts or self._climate.is_over(session.date) or draw >= regime.halts / SESSIONS_A_YEAR:
            return
        room = session.close_at - session.open_at - 3 * EARLIEST_HALT
        start = session.open_at + EARLIEST_HALT + room * begins * 0.8
        longest = session.close_at - EARLIEST_HALT - start
        self._drawn.halts[session.date] = (start, start + SHORTEST_HALT + (longest - SHORTEST_HALT) * lasts**3)


def shares(
    symbols: Iterable[str], hours: Hours, *, seed: int, first: date, climate: Climate, first_con_id: int = 900_000_001
) -> list[Source]:
    """A made-up share for each symbol, in one weather."""
    weather = Weather(seed, climate.regimes)
    return [
        Generated(
            Instrument(con_id=first_con_id + place, symbol=symbol, long_name=f"{symbol} INC"),
            hours,
            weather,
            seed=seed,
            first=first,
            climate=climate,
        )
        for place, symbol in enumerate(symbols)
    ]


@cache
def third_friday(year: int, month: int) -> date:
    """When quarterly futures expire."""
    first = date(year, month, 1)
    return first + timedelta(days=(4 - first.weekday()) % 7 + 14)
