"""Bars as they grow: every five seconds of an open session to whoever follows them; made by the desk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from longwatch.gateway.market.bars import MOMENT, PastBar, Prices, bar_at, cut
from longwatch.gateway.market.history import STEPS, Span, bars_of, shown, shown_start
from longwatch.gateway.market.hours import TradingDay
from longwatch.gateway.market.market import Instrument, Market
from longwatch.gateway.timeline import Appointment, Timeline

if TYPE_CHECKING:
    from longwatch.gateway.session import Session

BEAT = timedelta(seconds=5)
LONGEST_BAR = Span(length=timedelta(days=31))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True, kw_only=True, eq=False)
class Query:
    """A request for history until it is answered, and as long as its newest bar is kept up to date (`is_live`)."""

    instrument: Instrument
    size: str
    what: Prices
    as_epoch: bool
    is_live: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FiveSeconds:
    """A stream of bars of five seconds."""

    instrument: Instrument
    what: Prices


class LiveBars:
    """Sends the bars that sessions follow. Only while someone follows and a session is open does a timer run."""

    def __init__(
        self,
        timeline: Timeline,
        market: Market,
        everyone: Callable[[], Iterator[Session]],
        is_cut_off: Callable[[], bool],
    ) -> None:
        self._timeline = timeline
        self._market = market
        self._everyone = everyone
        self._is_cut_off = is_cut_off
        self._next: Appointment | None = None

    def wake(self) -> None:
        """Make sure the next five seconds are waited for, if anyone follows."""
        if self._next is None:
            instant = min(self._instants(self._timeline.now()), default=None)
            if instant is not None:
                self._next = self._timeline.at(instant, self._beat, instant)

    def _instants(self, now: datetime) -> Iterator[datetime]:
        """The ends of the next five seconds of each kind of session that is followed."""
        followed = {self._market.hours_of(one) for session in self._everyone() for one in session.followed()}
        for hours in followed:
            begins = now if hours.at(now) is not None else getattr(hours.following(now), "open_at", None)
            if begins is not None:
                yield EPOCH + ((begins - EPOCH) // BEAT + 1) * BEAT

    def _beat(self, instant: datetime) -> None:
        self._next = None
        if not self._is_cut_off():
            for session in self._everyone():
                for req_id, stream in list(session.bars.items()):
                    self._send_five_seconds(session, req_id, stream, instant)
                for req_id, query in list(session.queries.items()):
                    if query.is_live:
                        self._send_growing(session, req_id, query, instant)
        self.wake()

    def _send_five_seconds(self, session: Session, req_id: int, stream: FiveSeconds, instant: datetime) -> None:
        start, instrument = instant - BEAT, stream.instrument
        day = self._market.hours_of(instrument).at(start)
        if day is None:
            return
        for bar in cut(self._market, instrument, day, BEAT, instant - MOMENT, what=stream.what, since=start):
            values = {**shown(bar, session.server_version), "time": int(start.timestamp())}
            session.send("realtimeBar", {"reqId": req_id, **values})

    def _send_growing(self, session: Session, req_id: int, query: Query, instant: datetime) -> None:
        newest = instant - MOMENT
        day = self._market.hours_of(query.instrument).at(newest)
        bar = self._newest(query, day, newest) if day is not None else None
        if bar is not None:
            values = shown(bar, session.server_version)
            date = shown_start(bar, query.instrument.zone, session.server_version, as_epoch=query.as_epoch)
            session.send("historicalDataUpdate", {"reqId": req_id, "date": date, **values})

    def _newest(self, query: Query, day: TradingDay, at: datetime) -> PastBar | None:
        step = STEPS.get(query.size)
        if step is not None:
            return bar_at(self._market, query.instrument, day, step, at, query.what)
        bars = bars_of(self._market, query.instrument, query.size, LONGEST_BAR, at, what=query.what)
        return bars[-1] if bars else None
