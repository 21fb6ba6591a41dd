"""The simulated market: instruments, their quotes at any instant, and what is known of the past; read by all parts.

Everything here is a function of (seed, symbol, date) and the instant asked about: who asks, and in what order, changes
nothing, and nothing after the instant is ever told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from itertools import pairwise
from random import Random

from longwatch.gateway.market.actions import UNCHANGED, Action, Adjustment, adjustment
from longwatch.gateway.market.hours import Hours, ListedHours, TradingDay
from longwatch.gateway.market.instruments import Instrument, increment_at
from longwatch.gateway.market.path import CLOSING_POINT, FEWEST_POINTS, DayBar, DayPath, instant_of, place_of
from longwatch.gateway.market.prices import Auction, Quote, money
from longwatch.gateway.market.scripted import Scripted
from longwatch.gateway.market.sources import Replay, Source

__all__ = ["Auction", "Instrument", "Market", "Quote", "Replay", "Source", "money"]

BASIS_POINTS = Decimal(10_000)
PATHS_KEPT = 4
SPREADS_KEPT = 100_000


Moment = tuple[TradingDay | None, int]


class Market:
    """All instruments of one exchange.

    `path_points` prices a session, spread evenly from the open, and then the close; or with `point_every`, one each so
    long. `spread_bps` is the whole spread in basis points, never less than one tick. `unlisted` makes a source for a
    symbol or contract number nobody listed, or returns None. Without `hours` the sessions are those of the recorded
    bars; a source may have hours of its own.
    """

    def __init__(
        self,
        sources: Iterable[Source],
        hours: Hours | None = None,
        *,
        seed: int = 0,
        path_points: int = 26,
        point_every: timedelta | None = None,
        spread_bps: float = 2.0,
        unlisted: Callable[[str, int], Source | None] | None = None,
    ) -> None:
        self._sources: dict[int, Source] = {}
        self._by_name: dict[str, Source] = {}
        self._paths: dict[int, dict[date, DayPath]] = {}
        self._closes: dict[int, tuple[date, Decimal | None]] = {}
        self._quotes: dict[int, tuple[Moment, Quote]] = {}
        self._moments: dict[Hours, tuple[datetime, Moment]] = {}
        self._spreads: dict[tuple[int, float], tuple[Decimal, Decimal]] = {}
        self._instant: tuple[TradingDay, int, datetime] | None = None
        self._seed = seed
        self._points = max(path_points, FEWEST_POINTS)
        self._point_every = point_every
        self._spread = Decimal(str(spread_bps))
        self._unlisted = unlisted
        listed = list(sources)
        self.hours: Hours = hours or ListedHours(
            bar for source in listed if isinstance(source, Replay) for bar in source.days
        )
        self._all_hours = [self.hours]
        for source in listed:
            self._list(source)

    def quote(self, instrument: Instrument, at: datetime) -> Quote:
        """Everything an observer may know of an instrument at an instant."""
        moment = self._moment_of(self._sources[instrument.con_id].hours or self.hours, at)
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

    def frozen(self, instrument: Instrument, at: datetime) -> Quote:
        """The quote, or while the exchange is closed the one that stood last before it closed."""
        past = self.completed(instrument, at)
        if self.hours_of(instrument).at(at) is not None or not past:
            return self.quote(instrument, at)
        return self.quote(instrument, past[-1].close_at - CLOSING_POINT)

    def find(self, symbol: str, con_id: int = 0) -> Instrument | None:
        """The instrument with this contract number, or else this name; None when there is none or they disagree."""
        source = self._sources.get(con_id) if con_id else self._by_name.get(symbol)
        if source is None and self._unlisted is not None:
            source = self._unlisted(symbol, con_id)
            if source is not None:
                self._list(source)
        if source is None or (con_id and source.instrument.con_id != con_id):
            return None
        return source.instrument

    def instruments(self) -> list[Instrument]:
        """Every instrument known so far, by name."""
        return [self._by_name[name].instrument for name in sorted(self._by_name)]

    def hours_of(self, instrument: Instrument) -> Hours:
        """The sessions of an instrument: its own, or the market's."""
        return self._sources[instrument.con_id].hours or self.hours

    def completed(self, instrument: Instrument, at: datetime) -> Sequence[DayBar]:
        """The bars of sessions that have closed at `at`, oldest first."""
        session = self._session_from(instrument, at)
        return self._sources[instrument.con_id].before(session.date if session else date.max)

    def path(self, instrument: Instrument, day: date) -> DayPath | None:
        """The whole path of one session, for readers that cut it off at an instant themselves."""
        mine = self._paths.setdefault(instrument.con_id, {})
        path = mine.get(day)
        if path is None:
            source = self._sources[instrument.con_id]
            session = (source.hours or self.hours).on(day)
            random = Random(f"{self._seed}|{instrument.name}|{day.isoformat()}")
            path = source.path(day, self._points_in(session), random) if session is not None else None
            if path is None:
                return None
            if len(mine) >= PATHS_KEPT:
                del mine[next(iter(mine))]
            mine[day] = path
        return path

    def opening(self, instrument: Instrument, at: datetime) -> Auction | None:
        """The auction that opens a session at this very instant, or None."""
        session = self.hours_of(instrument).at(at)
        path = self.path(instrument, session.date) if session and session.open_at == at else None
        return Auction(price=money(path.bar.open), volume=path.volumes[0]) if path else None

    def closing(self, instrument: Instrument, at: datetime) -> Auction | None:
        """The auction that closes a session at this very instant, or None; the last point's volume is its own."""
        past = self.completed(instrument, at)
        path = self.path(instrument, past[-1].date) if past and past[-1].close_at == at else None
        return Auction(price=money(path.bar.close), volume=path.volumes[-1] - path.volumes[-2]) if path else None

    def points(self, session: TradingDay, until: datetime) -> list[datetime]:
        """The instants of a session's points up to and with `until`."""
        places = range(self.place(session, until) + 1)
        return [instant_of(session.open_at, session.close_at, self._points_in(session), place) for place in places]

    def place(self, session: TradingDay, at: datetime) -> int:
        """The number of the newest point of a session at an instant, counted from 0; -1 before its open."""
        return place_of(session.open_at, session.close_at, self._points_in(session), at)

    def next_instant(self, at: datetime) -> datetime | None:
        """The first instant after `at` at which quotes change: a point, a close or an open."""
        instants = [one for hours in self._all_hours if (one := self._next_instant(hours, at)) is not None]
        return min(instants, default=None)

    def actions(self, day: date) -> list[Action]:
        """The splits and dividends of a session: they have happened when it opens."""
        sources = self._sources.values()
        return [action for source in sources for action in source.actions(day) if action.date == day]

    def may_act(self) -> bool:
        """Whether any instrument can ever have a split or a dividend."""
        return any(source.may_act for source in self._sources.values())

    def script(self, action: Action) -> None:
        """Let a split or a dividend happen that its source does not know of, at the open of a session to come."""
        source = self._sources[action.con_id]
        if not isinstance(source, Scripted):
            source = Scripted(source)
            self._list(source)
        source.add(action)
        for kept in (self._paths, self._quotes, self._closes):
            kept.pop(action.con_id, None)

    def adjusted(self, instrument: Instrument, day: date, at: datetime, dividends: bool) -> Adjustment:
        """What prices and shares of a past session are multiplied by to be like those of `at`."""
        source = self._sources[instrument.con_id]
        session = self._session_from(instrument, at)
        if session is None:
            known = source.actions(date.max)
        else:
            known = source.actions(session.date if session.open_at <= at else session.date - timedelta(days=1))
        if not known or known[-1].date <= day:
            return UNCHANGED
        later = [action for action in known if action.date > day]
        return adjustment([(one, source.before(one.date)[-1].close) for one in later], day, dividends=dividends)

    def spread_round(self, price: float, instrument: Instrument) -> tuple[Decimal, Decimal]:
        """Bid and ask on the price grid, the price inside or on the edge of them; the bid is at least one tick."""
        key = (instrument.con_id, price)
        known = self._spreads.get(key)
        if known is None:
            if len(self._spreads) >= SPREADS_KEPT:
                self._spreads.clear()
            known = self._spreads[key] = self._spread_of(price, instrument)
        return known

    def _spread_of(self, price: float, instrument: Instrument) -> tuple[Decimal, Decimal]:
        middle = money(price)
        tick = increment_at(instrument, middle)
        ticks = max(1, int((middle * self._spread / BASIS_POINTS / tick).to_integral_value()))
        low = ((middle - tick * ticks / 2) / tick).to_integral_value(ROUND_FLOOR)
        bid = max(low, Decimal(1)) * tick
        return bid, bid + tick * ticks

    def average(self, instrument: Instrument, quote: Quote) -> Decimal | None:
        """The price of the shares traded so far in the quote's session, on average; None when there are none."""
        path = self.path(instrument, quote.day) if quote.day is not None else None
        if path is None or not quote.volume:
            return quote.last
        shares = [path.volumes[0], *(later - earlier for earlier, later in pairwise(path.volumes[: quote.place + 1]))]
        spent = sum(price * part for price, part in zip(path.prices, shares, strict=False))
        return money(spent / quote.volume)

    def _instant_of(self, session: TradingDay, place: int) -> datetime:
        """When a point of a session happens; all instruments come to one point together, and get one object."""
        kept = self._instant
        if kept is None or kept[0] is not session or kept[1] != place:
            at = instant_of(session.open_at, session.close_at, self._points_in(session), place)
            kept = self._instant = (session, place, at)
        return kept[2]

    def _list(self, source: Source) -> None:
        self._sources[source.instrument.con_id] = source
        self._by_name[source.instrument.name] = source
        if source.hours is not None and source.hours not in self._all_hours:
            self._all_hours.append(source.hours)

    def _points_in(self, session: TradingDay) -> int:
        if self._point_every is None:
            return self._points
        return max((session.close_at - session.open_at) // self._point_every, FEWEST_POINTS)

    def _session_from(self, instrument: Instrument, at: datetime) -> TradingDay | None:
        """The session running at an instant, or else the next one."""
        hours = self.hours_of(instrument)
        return hours.at(at) or hours.following(at)

    def _next_instant(self, hours: Hours, at: datetime) -> datetime | None:
        session = hours.at(at)
        if session is None:
            following = hours.following(at)
            return following.open_at if following else None
        if at >= session.close_at - CLOSING_POINT:
            return session.close_at
        return instant_of(session.open_at, session.close_at, self._points_in(session), self.place(session, at) + 1)

    def _moment_of(self, hours: Hours, at: datetime) -> Moment:
        """The session and point at an instant, or the next session and -1 while closed; many ask about one instant."""
        kept = self._moments.get(hours)
        if kept is not None and kept[0] == at:
            return kept[1]
        session = hours.at(at)
        moment: Moment = (hours.following(at), -1) if session is None else (session, self.place(session, at))
        self._moments[hours] = (at, moment)
        return moment

    def _close_before(self, instrument: Instrument, day: date) -> Decimal | None:
        """The close of the session before `day`, as of a split on that day."""
        kept = self._closes.get(instrument.con_id)
        if kept is None or kept[0] != day:
            source = self._sources[instrument.con_id]
            past, close = source.before(day), None
            if past:
                close = money(past[-1].close)
                for action in source.actions(day):
                    close = close / action.ratio if action.date == day else close
            kept = self._closes[instrument.con_id] = (day, money(float(close)) if past and close else None)
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
        price = path.prices[place]
        is_halted = place in path.halted
        traded = path.traded(place) if is_halted else place
        bid, ask = (None, None) if is_halted else self.spread_round(price, instrument)
        # By position, in the order of the fields: a flood of quotes is made of these.
        return Quote(
            place,
            session.date,
            bid,
            ask,
            0 if is_halted else path.bid_sizes[place],
            0 if is_halted else path.ask_sizes[place],
            money(price),
            path.last_sizes[traded],
            self._instant_of(session, traded),
            money(path.prices[0]),
            money(path.highs[place]),
            money(path.lows[place]),
            close,
            path.volumes[place],
            path.volumes[place] - (path.volumes[place - 1] if place else 0),
            is_halted,
        )
