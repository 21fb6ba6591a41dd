"""What is sent to whoever once asked for it: quotes at every point, bars every five seconds; run by the desk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from longwatch.gateway.market.market import Market
from longwatch.gateway.streams import tapes
from longwatch.gateway.streams.live_bars import LiveBars
from longwatch.gateway.streams.quotes import Ticker
from longwatch.gateway.timeline import Timeline

if TYPE_CHECKING:
    from longwatch.gateway.session import Session

TAPE_ENDED = "Failed to request tick-by-tick data."


class Feeds:
    """The streams of all clients, at most `lines` at a time.

    With `bars_survive` bars that grow outlive a lost broker; else they end with error 10182.
    """

    def __init__(
        self,
        timeline: Timeline,
        market: Market,
        everyone: Callable[[], Iterator[Session]],
        is_cut_off: Callable[[], bool],
        *,
        lines: int,
        bars_survive: bool,
    ) -> None:
        self.bars = LiveBars(timeline, market, everyone, is_cut_off)
        self._market = market
        self._ticker = Ticker(market)
        self._everyone = everyone
        self._lines = lines
        self._bars_survive = bars_survive

    def beat(self, instant: datetime) -> None:
        """Bring every stream of quotes up to an instant."""
        for session in self._everyone():
            for stream in list(session.streams.values()):
                self._ticker.follow(stream, instant)
            if session.tapes:
                tapes.follow(session, self._market, instant)

    def left(self) -> int:
        """How many more streams of quotes or bars there may be."""
        return self._lines - sum(len(one.streams) + len(one.bars) for one in self._everyone())

    def lose(self) -> None:
        """The broker can't be reached: what does not outlive that ends, bars of five seconds without a word."""
        if self._bars_survive:
            return
        for session in self._everyone():
            session.bars.clear()
            for req_id in [req_id for req_id, query in session.queries.items() if query.is_live]:
                del session.queries[req_id]
                session.error(10182, "Failed to request live updates (disconnected).", req_id)

    def forget(self) -> None:
        """All subscriptions are gone, and nobody is told."""
        for session in self._everyone():
            session.streams.clear()
            session.bars.clear()
            session.queries.clear()
            session.tapes.clear()

    def end_quotes(self, code: int, text: str) -> None:
        """End every stream of quotes with an error, and those of single ticks with their own."""
        for session in self._everyone():
            for req_id in list(session.streams):
                session.error(code, text, req_id)
            for req_id in session.tapes:
                session.error(10189, TAPE_ENDED, req_id)
            session.streams.clear()
            session.tapes.clear()
