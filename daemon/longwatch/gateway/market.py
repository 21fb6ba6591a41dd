"""The simulated market: instruments, their quotes at any instant, and what is known of the past; read by all parts.

Everything here is a function of (seed, symbol, date) and the instant asked about: who asks, and in what order, changes
nothing, and nothing after the instant is ever told.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_FLOOR, Decimal
from functools import cached_property
from random import Random
from typing import Protocol

from longwatch.gateway.hours import Hours, ListedHours, TradingDay
from longwatch.gateway.path import CLOSING_POINT, FEWEST_POINTS, DayBar, DayPath, instant_of, place_of, trace

BASIS_POINTS = Decimal(10_000)
PATHS_KEPT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A listed instrument as the exchange describes it."""

    con_id: int
    symbol: str
    long_name: str = ""
    sec_type: str = "STK"
    currency: str = "USD"
    exchange: str = "SMART"
    primary_exchange: str = "NASDAQ"
    trading_class: str = "NMS"
    min_tick: Decimal = Decimal("0.01")
    zone: str = "US/Eastern"
    is_tradable: bool = True


class Source(Protocol):
    """Where an instrument's daily bars come from."""

    @property
    def instrument(self) -> Instrument: ...

    def on(self, day: date) -> DayBar | None:
        """The bar of a session, or None when the instrument did not trade."""
        ...

    def before(self, day: date) -> Sequence[DayBar]:
        """All bars of sessions before `day`, oldest first."""
        ...


class Replay:
    """Recorded daily bars of one instrument, oldest first."""

    def __init__(self, instrument: Instrument, days: Iterable[DayBar]) -> None:
        self._instrument = instrument
        self._days = sorted(days, key=lambda bar: bar.date)
        self._dates = [bar.date for bar in self._days]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What is known of an instrument at one instant; None means there is none. `place` numbers the path's points.

    `bid` and `ask` are None when the exchange is closed. `close` is the previous session's; `open`, `high`, `low` and
    `volume` are the running or newest session's so far, `traded` the volume of this point alone.
    """

    place: int
    day: date | None
    bid: Decimal | None = None
    ask: Decimal | None = None
    bid_size: int = 0
    ask_size: int = 0
    last: Decimal | None = None
    last_size: int = 0
    last_at: datetime | None = None
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    close: Decimal | None = None
    volume: int = 0
    traded: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Auction:
    """What an opening or closing auction came to: one price, and the shares that changed hands at it."""

    price: Decimal
    volume: int


Moment = tuple[TradingDay | None, int]


class Market:
    """All instruments on one exchange calendar.

    `path_points` prices a session, spread evenly from the open, and then the close. `spread_bps` is the whole spread in
    basis points, never less than one tick. `unlisted` makes a source for a symbol or contract number nobody listed, or
    returns None. Without `hours` the sessions are those of the recorded bars.
    """

    def __init__(
        self,
        sources: Iterable[Source],
        hours: Hours | None = None,
        *,
        seed: int = 0,
        path_points: int = 26,
        spread_bps: float = 2.0,
        unlisted: Callable[[str, int], Source | None] | None = None,
    ) -> None:
        self._sources: dict[int, Source] = {}
        self._by_symbol: dict[str, Source] = {}
        self._paths: dict[int, dict[date, DayPath]] = {}
        self._closes: dict[int, tuple[date, Decimal | None]] = {}
        self._quotes: dict[int, tuple[Moment, Quote]] = {}
        self._moment: tuple[datetime, Moment] | None = None
        self._seed = seed
        self._points = max(path_points, FEWEST_POINTS)
        self._spread = Decimal(str(spread_bps))
        self._unlisted = unlisted
        for source in sources:
            self._list(source)
        self.hours: Hours = hours or ListedHours(
            bar for source in self._sources.values() if isinstance(source, Replay) for bar in source.days
        )

    def quote(self, instrument: Instrument, at: datetime) -> Quote:
        """Everything an observer may know of an instrument at an instant."""
        moment = self._moment_of(at)
        kept = self._quotes.get(instrument.con_id)
        if kept is not None and kept[0] == moment:
            return kept[1]
        session, place = moment
        if session is None or place < 0:
            quote = self._closed_quote(instrument, at)
        else:
            quote = self._open_quote(instrument, session, place)
        self._quotes[instrument.con_id] = (moment, quote)
        return quote

    def find(self, symbol: str, con_id: int = 0) -> Instrument | None:
        """The instrument with this contract number, or else this symbol; None when there is none or they disagree."""
        source = self._sources.get(con_id) if con_id else self._by_symbol.get(symbol)
        if source is None and self._unlisted is not None:
            source = self._unlisted(symbol, con_id)
            if source is not None:
                self._list(source)
        if source is None or (con_id and source.instrument.con_id != con_id):
            return None
        return source.instrument

    def instruments(self) -> list[Instrument]:
        """Every instrument known so far, by symbol."""
        return [self._by_symbol[symbol].instrument for symbol in sorted(self._by_symbol)]

    def completed(self, instrument: Instrument, at: datetime) -> Sequence[DayBar]:
        """The bars of sessions that have closed at `at`, oldest first."""
        session = self.hours.at(at)
        following = session or self.hours.following(at)
        return self._sources[instrument.con_id].before(following.date if following else date.max)

    def path(self, instrument: Instrument, day: date) -> DayPath | None:
        """The whole path of one session, for readers that cut it off at an instant themselves."""
        mine = self._paths.setdefault(instrument.con_id, {})
        path = mine.get(day)
        if path is None:
            bar = self._sources[instrument.con_id].on(day)
            if bar is None:
                return None
            random = Random(f"{self._seed}|{instrument.symbol}|{day.isoformat()}")
            path = trace(bar, self._points, -instrument.min_tick.as_tuple().exponent, random)  # type: ignore[operator]
            if len(mine) >= PATHS_KEPT:
                del mine[next(iter(mine))]
            mine[day] = path
        return path

    def opening(self, instrument: Instrument, at: datetime) -> Auction | None:
        """The auction that opens a session at this very instant, or None."""
        session = self.hours.at(at)
        path = self.path(instrument, session.date) if session and session.open_at == at else None
        return Auction(price=money(path.bar.open), volume=path.volumes[0]) if path else None

    def closing(self, instrument: Instrument, at: datetime) -> Auction | None:
        """The auction that closes a session at this very instant, or None; the last point's volume is its own."""
        past = self.completed(instrument, at)
        path = self.path(instrument, past[-1].date) if past and past[-1].close_at == at else None
        return Auction(price=money(path.bar.close), volume=path.volumes[-1] - path.volumes[-2]) if path else None

    def points(self, session: TradingDay, until: datetime) -> list[datetime]:
        """The instants of a session's points up to and with `until`."""
        newest = place_of(session.open_at, session.close_at, self._points, until)
        return [instant_of(session.open_at, session.close_at, self._points, place) for place in range(newest + 1)]

    def next_instant(self, at: datetime) -> datetime | None:
        """The first instant after `at` at which quotes change: a point, a close or an open."""
        session = self.hours.at(at)
        if session is None:
            following = self.hours.following(at)
            return following.open_at if following else None
        if at >= session.close_at - CLOSING_POINT:
            return session.close_at
        place = place_of(session.open_at, session.close_at, self._points, at)
        return instant_of(session.open_at, session.close_at, self._points, place + 1)

    def _list(self, source: Source) -> None:
        self._sources[source.instrument.con_id] = source
        self._by_symbol[source.instrument.symbol] = source

    def _moment_of(self, at: datetime) -> Moment:
        """The session and point at an instant, or the next session and -1 while closed; many ask about one instant."""
        if self._moment is not None and self._moment[0] == at:
            return self._moment[1]
        session = self.hours.at(at)
        if session is None:
            moment: Moment = (self.hours.following(at), -1)
        else:
            moment = (session, place_of(session.open_at, session.close_at, self._points, at))
        self._moment = (at, moment)
        return moment

    def _close_before(self, instrument: Instrument, day: date) -> Decimal | None:
        kept = self._closes.get(instrument.con_id)
        if kept is None or kept[0] != day:
            past = self._sources[instrument.con_id].before(day)
            kept = self._closes[instrument.con_id] = (day, money(past[-1].close) if past else None)
        return kept[1]

    def _closed_quote(self, instrument: Instrument, at: datetime) -> Quote:
        past = self.completed(instrument, at)
        if not past:
            return Quote(place=-1, day=None)
        bar, previous = past[-1], past[-2] if len(past) > 1 else None
        return Quote(
            place=-1,
            day=None,
            last=money(bar.close),
            last_size=0,
            last_at=bar.close_at - CLOSING_POINT,
            open=money(bar.open),
            high=money(bar.high),
            low=money(bar.low),
            close=money(previous.close) if previous else None,
            volume=int(bar.volume),
        )

    def _open_quote(self, instrument: Instrument, session: TradingDay, place: int) -> Quote:
        path = self.path(instrument, session.date)
        close = self._close_before(instrument, session.date)
        if path is None:
            return Quote(place=place, day=session.date, last=close, close=close)
        bid, ask = self._spread_round(path.prices[place], instrument.min_tick)
        return Quote(
            place=place,
            day=session.date,
            bid=bid,
            ask=ask,
            bid_size=path.bid_sizes[place],
            ask_size=path.ask_sizes[place],
            last=money(path.prices[place]),
            last_size=path.last_sizes[place],
            last_at=instant_of(session.open_at, session.close_at, self._points, place),
            open=money(path.prices[0]),
            high=money(path.highs[place]),
            low=money(path.lows[place]),
            close=close,
            volume=path.volumes[place],
            traded=path.volumes[place] - (path.volumes[place - 1] if place else 0),
        )

    def _spread_round(self, price: float, tick: Decimal) -> tuple[Decimal, Decimal]:
        """Bid and ask on the tick grid, the price inside or on the edge of them; the bid is at least one tick."""
        middle = money(price)
        ticks = max(1, int((middle * self._spread / BASIS_POINTS / tick).to_integral_value()))
        low = ((middle - tick * ticks / 2) / tick).to_integral_value(ROUND_FLOOR)
        bid = max(low, Decimal(1)) * tick
        return bid, bid + tick * ticks


def money(price: float) -> Decimal:
    """A float price as an exact decimal, at four places: finer than any tick here, coarser than a float's noise."""
    return Decimal(f"{price:.4f}").normalize() + Decimal("0.00")
