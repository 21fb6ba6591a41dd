"""The way a price takes inside one daily bar: open first, close last, high and low between; used by the market."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from itertools import accumulate, pairwise
from random import Random
from typing import TypeVar

FEWEST_POINTS = 4
CLOSING_POINT = timedelta(seconds=1)
"""The last point comes this long before the close, and is the closing price."""

Number = TypeVar("Number", int, float)

NOWHERE: frozenset[int] = frozenset()

LOT = 100
MOST_LOTS_SHOWN, MOST_LOTS_TRADED = 40, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class DayBar:
    """One instrument's session: date, opening and closing instants (UTC), unadjusted prices, shares traded."""

    date: date
    open_at: datetime
    close_at: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPath:
    """The points of one session: price, shares shown at bid and ask, and shares traded so far at each."""

    bar: DayBar
    prices: tuple[float, ...]
    bid_sizes: tuple[int, ...]
    ask_sizes: tuple[int, ...]
    volumes: tuple[int, ...]
    last_sizes: tuple[int, ...]
    highs: tuple[float, ...]
    lows: tuple[float, ...]
    halted: frozenset[int] = NOWHERE

    def traded(self, place: int) -> int:
        """The newest point up to `place` at which it traded."""
        while place in self.halted:
            place -= 1
        return place


def trace(
    bar: DayBar,
    points: int,
    grid: int | Callable[[float], float],
    random: Random,
    halts: Sequence[tuple[datetime, datetime]] = (),
) -> DayPath:
    """The path of a bar: `points` prices spread evenly from the open, then the close; all within low and high.

    `grid` rounds a price, or is the number of its decimals. While it is halted the price stands and no share is traded;
    the points that are left take the whole way.
    """
    last = max(points, FEWEST_POINTS)
    halted = _halted(bar, last, halts)
    free = last - len(halted)
    prices = _spread(_prices(bar, free, grid, random), halted)
    shares = _spread(tuple(_shares(bar.volume, free + 1, random)), halted, 0)
    return along(bar, prices, shares, random, halted)


def along(
    bar: DayBar, prices: Sequence[float], shares: Sequence[int], random: Random, halted: frozenset[int] = NOWHERE
) -> DayPath:
    """The path of these prices and shares traded, one of each a point; the sizes shown are drawn."""
    count = len(prices)
    bid_sizes, ask_sizes = _sizes(count, random), _sizes(count, random)
    draws = _below(MOST_LOTS_TRADED, count, random)
    return DayPath(
        bar=bar,
        prices=tuple(prices),
        bid_sizes=bid_sizes,
        ask_sizes=ask_sizes,
        volumes=tuple(accumulate(shares)),
        last_sizes=tuple([min(LOT * (draw + 1), share) or 1 for draw, share in zip(draws, shares, strict=True)]),
        highs=tuple(accumulate(prices, max)),
        lows=tuple(accumulate(prices, min)),
        halted=halted,
    )


def _halted(bar: DayBar, last: int, halts: Sequence[tuple[datetime, datetime]]) -> frozenset[int]:
    """The points within halts; never the opening and the closing one, and enough are left for the bar's four prices."""
    places = (place for place in range(1, last) for begins, ends in halts if begins <= _at(bar, last, place) < ends)
    return frozenset(sorted(set(places))[: last - FEWEST_POINTS])


def _at(bar: DayBar, last: int, place: int) -> datetime:
    return instant_of(bar.open_at, bar.close_at, last, place)


def _spread(values: tuple[Number, ...], halted: frozenset[int], filler: Number | None = None) -> tuple[Number, ...]:
    """Values of the points that trade, with the one before, or a filler, at those that do not."""
    if not halted:
        return values
    spread: list[Number] = []
    left = iter(values)
    for place in range(len(values) + len(halted)):
        if place not in halted:
            spread.append(next(left))
        else:
            spread.append(spread[-1] if filler is None else filler)
    return tuple(spread)


def place_of(bar_open: datetime, bar_close: datetime, points: int, at: datetime) -> int:
    """The number of the newest point at `at`, counted from 0; -1 before the open."""
    last = max(points, FEWEST_POINTS)
    if at < bar_open:
        return -1
    if at >= bar_close - CLOSING_POINT:
        return last
    return min(int((at - bar_open) / ((bar_close - bar_open) / last)), last - 1)


def instant_of(bar_open: datetime, bar_close: datetime, points: int, place: int) -> datetime:
    """When point number `place` of a session happens."""
    last = max(points, FEWEST_POINTS)
    if place >= last:
        return bar_close - CLOSING_POINT
    return bar_open + place * ((bar_close - bar_open) / last)


def _prices(bar: DayBar, last: int, grid: int | Callable[[float], float], random: Random) -> tuple[float, ...]:
    high_at, low_at = random.sample(range(1, last), 2)
    anchors = sorted([(0, bar.open), (high_at, bar.high), (low_at, bar.low), (last, bar.close)])
    prices = [bar.open]
    for (start, first), (end, second) in pairwise(anchors):
        prices.extend(_bridge(first, second, end - start, bar, grid, random))
    return tuple(prices)


def _bridge(
    first: float, second: float, steps: int, bar: DayBar, grid: int | Callable[[float], float], random: Random
) -> list[float]:
    """Prices after `first` up to and with `second`, wandering between but never outside the bar."""
    low, high, draw = bar.low, bar.high, random.gauss
    wander, way = (high - low) / 4, second - first
    on_grid = partial(round, ndigits=grid) if isinstance(grid, int) else grid
    prices = []
    for step in range(1, steps):
        share = step / steps
        price = on_grid(first + way * share + draw(0.0, wander) * (share * (1 - share)) ** 0.5)
        prices.append(low if price < low else high if price > high else price)
    prices.append(second)
    return prices


def _sizes(count: int, random: Random) -> tuple[int, ...]:
    return tuple([LOT * (draw + 1) for draw in _below(MOST_LOTS_SHOWN, count, random)])


def _below(limit: int, count: int, random: Random) -> list[int]:
    """So many whole numbers from 0 up to, and not with, a limit: those that `random.randrange` draws, in less time."""
    bits, draw = limit.bit_length(), random.getrandbits
    numbers: list[int] = []
    while len(numbers) < count:
        numbers += [number for _ in range(count - len(numbers)) if (number := draw(bits)) < limit]
    return numbers


def _shares(volume: float, count: int, random: Random) -> list[int]:
    """The day's volume cut into seeded parts, one a point."""
    draw = random.random
    weights = [0.5 + draw() for _ in range(count)]
    whole = sum(weights)
    parts = [int(volume * weight / whole) for weight in weights]
    parts[-1] += max(0, int(volume) - sum(parts))
    return parts
