"""Market data kept running for the watched instruments, over reconnects and broken farms; part of live.IbBroker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from longwatch.broker.board import QuoteBoard
from longwatch.broker.ids import Owner
from longwatch.broker.settings import LinkSettings
from longwatch.domain.instruments import Instrument
from longwatch.domain.quotes import Quote
from longwatch.errors import LinkError


class Subscriber(Protocol):
    """What sends the requests; live.IbBroker is one."""

    def subscribe(self, owner: Owner, instrument: Instrument) -> int:
        """Ask for market data; returns the request id. Raises LinkError when there is none left."""
        ...

    def unsubscribe(self, request_id: int, *, tell: bool) -> None:
        """Give the request id back, and tell the gateway unless it has ended the subscription itself."""
        ...

    def complain(self, name: str, code: int, text: str) -> None:
        """A subscription was refused or ended by an error."""
        ...


class MarketData:
    """One subscription a watched symbol. What was refused, or fell silent with a farm, is asked for again later."""

    def __init__(
        self, settings: LinkSettings, subscriber: Subscriber, instruments: dict[str, Instrument], board: QuoteBoard
    ) -> None:
        self._settings = settings
        self._subscriber = subscriber
        self._instruments = instruments
        self._board = board
        self._loop = asyncio.get_running_loop()
        self._watched: tuple[str, ...] = ()
        # symbol -> request id of its running subscription
        self._open: dict[str, int] = {}
        self._running = False
        self._retry: asyncio.TimerHandle | None = None
        self._check: asyncio.TimerHandle | None = None

    def watch(self, symbols: Iterable[str]) -> None:
        """Hold these symbols and no others."""
        self._watched = tuple(dict.fromkeys(symbols))
        for symbol in [symbol for symbol in self._open if symbol not in self._watched]:
            self._end(symbol, tell=True)
        self._fill()

    def start(self) -> None:
        """The account is synced on this connection: subscribe."""
        self._running = True
        self._fill()

    def stop(self) -> None:
        """The connection is gone, and every subscription with it."""
        self._running = False
        self._open.clear()
        self._board.clear()
        for timer in (self._retry, self._check):
            if timer is not None:
                timer.cancel()
        self._retry = self._check = None

    def restart(self) -> None:
        """The gateway has lost every subscription (1101): ask again."""
        for symbol in list(self._open):
            self._end(symbol, tell=False)
        self._fill()

    def farm_is_back(self) -> None:
        """A broken farm works again: subscriptions that stay silent will be asked for again."""
        if self._running and self._check is None:
            silent_since = self._loop.time()
            self._check = self._loop.call_later(self._settings.line_check_seconds, self._renew, silent_since)

    def quotes(self, tech: datetime) -> tuple[Quote, ...]:
        """The quote of each watched symbol that is a known instrument; empty where nothing is subscribed."""
        held = {quote.symbol: quote for quote in self._board.quotes(tech)}
        known = (self._instruments[symbol] for symbol in self._watched if symbol in self._instruments)
        return tuple(held.get(one.symbol) or Quote(con_id=one.con_id, symbol=one.symbol) for one in known)

    def _fill(self) -> None:
        """Subscribe to what is watched, known and not yet subscribed."""
        if not self._running:
            return
        for symbol in self._watched:
            instrument = self._instruments.get(symbol)
            if symbol in self._open or instrument is None:
                continue
            try:
                request_id = self._subscriber.subscribe(self._owner(symbol), instrument)
            except LinkError:
                self._try_later()
                return
            self._open[symbol] = request_id
            self._board.open(request_id, instrument.con_id, symbol)

    def _owner(self, symbol: str) -> Owner:
        def refused(code: int, text: str) -> None:
            self._subscriber.complain(f"market data of {symbol}", code, text)
            self._end(symbol, tell=False)
            self._try_later()

        return Owner(name=f"market data of {symbol}", failed=refused)

    def _end(self, symbol: str, *, tell: bool) -> None:
        request_id = self._open.pop(symbol, None)
        if request_id is not None:
            self._board.close(request_id)
            self._subscriber.unsubscribe(request_id, tell=tell)

    def _try_later(self) -> None:
        if self._running and self._retry is None:
            self._retry = self._loop.call_later(self._settings.line_retry_seconds, self._again)

    def _again(self) -> None:
        self._retry = None
        self._fill()

    def _renew(self, silent_since: float) -> None:
        self._check = None
        for symbol, request_id in list(self._open.items()):
            ticked = self._board.ticked(request_id)
            if ticked is None or ticked < silent_since:
                self._end(symbol, tell=True)
        self._fill()
