"""A made-up market, open round the clock, in which every symbol trades; used where real history is not the point."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from random import Random

from longwatch.gateway.market.hours import RoundTheClock
from longwatch.gateway.market.market import Instrument, Market, Source
from longwatch.gateway.market.path import DayBar

LETTERS = " ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789."
FIRST_CON_ID = 100_000_000
LONGEST_SYMBOL = 5
DAILY_MOVE = 0.015
PULL_HOME = 0.02
"""Share of the distance to its base that a price goes back each day, so that years of it stay tradable."""


class Synthetic(Source):
    """Seeded daily bars of one symbol from `first` on, for ever."""

    def __init__(self, instrument: Instrument, seed: int, first: date) -> None:
        self._instrument = instrument
        self._first = first
        self._random = Random(f"{seed}|{instrument.symbol}|days")
        self._base = math.log(self._random.uniform(20.0, 200.0))
        self._level = self._base
        self._days: list[DayBar] = []

    @property
    def instrument(self) -> Instrument:
        return self._instrument

    def on(self, day: date) -> DayBar | None:
        place = (day - self._first).days
        if place < 0:
            return None
        self._grow(place + 1)
        return self._days[place]

    def before(self, day: date) -> Sequence[DayBar]:
        count = max((day - self._first).days, 0)
        self._grow(count)
        return self._days[:count]

    def _grow(self, count: int) -> None:
        while len(self._days) < count:
            self._days.append(self._next())

    def _next(self) -> DayBar:
        first = math.exp(self._level)
        self._level += PULL_HOME * (self._base - self._level) + self._random.gauss(0.0, DAILY_MOVE)
        last = math.exp(self._level)
        high = max(first, last) * (1 + abs(self._random.gauss(0.0, DAILY_MOVE / 2)))
        low = min(first, last) * (1 - abs(self._random.gauss(0.0, DAILY_MOVE / 2)))
        day = self._first + timedelta(days=len(self._days))
        opened = datetime(day.year, day.month, day.day, tzinfo=UTC)
        return DayBar(
            date=day,
            open_at=opened,
            close_at=opened + timedelta(days=1),
            open=round(first, 2),
            high=round(high, 2),
            low=round(low, 2),
            close=round(last, 2),
            volume=float(self._random.randrange(1_000_000, 20_000_000, 100)),
        )


def synthetic_market(
    *, seed: int, first: date, path_points: int = 288, spread_bps: float = 2.0, also: Iterable[Source] = ()
) -> Market:
    """A market of made-up stocks, open at all hours from `first` on; a symbol is listed when it is first asked for.

    `also` are listed from the beginning.
    """

    def unlisted(symbol: str, con_id: int) -> Source | None:
        name = symbol or symbol_of(con_id)
        number = con_id_of(name)
        if number is None:
            return None
        instrument = Instrument(
            con_id=number,
            symbol=name,
            long_name=f"{name} SYNTHETIC",
            zone="UTC",
            industry=("Made-up", "Synthetic", "Shares"),
            isin=isin_of(number),
        )
        return Synthetic(instrument, seed, first)

    return Market(also, RoundTheClock(), seed=seed, path_points=path_points, spread_bps=spread_bps, unlisted=unlisted)


def con_id_of(symbol: str) -> int | None:
    """The contract number of a made-up symbol, or None when it is not one: up to five capitals, digits or dots."""
    if not 0 < len(symbol) <= LONGEST_SYMBOL or not symbol[0].isalpha() or any(c not in LETTERS[1:] for c in symbol):
        return None
    number = 0
    for letter in symbol:
        number = number * len(LETTERS) + LETTERS.index(letter)
    return FIRST_CON_ID + number


def isin_of(con_id: int) -> str:
    """A number as ISO 6166 writes them, of no country, with its check digit."""
    body = f"XX{con_id % 10**9:09}"
    digits = "".join(str(int(letter, 36)) for letter in body)
    summed = sum(sum(divmod(int(one) * (2 - place % 2), 10)) for place, one in enumerate(reversed(digits)))
    return body + str(-summed % 10)


def symbol_of(con_id: int) -> str:
    """The symbol of a contract number, so that a restarted market knows its contracts; empty when it has none."""
    number = con_id - FIRST_CON_ID
    symbol = ""
    while number > 0:
        number, place = divmod(number, len(LETTERS))
        symbol = LETTERS[place] + symbol
    return symbol if con_id_of(symbol) == con_id else ""
