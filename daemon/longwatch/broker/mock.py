"""A broker without a gateway: the port Broker over a MockExchange, the executor `mock`; made by app.py."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from longwatch.broker.exchange import NO_MARGIN, MockExchange
from longwatch.broker.matching import Moment
from longwatch.clock import Clock
from longwatch.domain import messages as m
from longwatch.domain.bars import BarSeries
from longwatch.domain.instruments import Instrument
from longwatch.domain.quotes import Quote
from longwatch.errors import DataError
from longwatch.ports import OrderGate, Sink

Prices = Callable[[str], Decimal | None]
"""The price a symbol trades at now, or None while it has none: a last close, or whatever the caller has."""

EXCHANGE_ZONE = ZoneInfo("America/New_York")


class MockBroker:
    """Its link is up at once and stays so. Orders fill at `prices`, asked every `match_seconds` while one rests."""

    def __init__(
        self,
        exchange: MockExchange,
        symbols: Sequence[str],
        *,
        prices: Prices,
        sink: Sink,
        gate: OrderGate,
        clock: Clock,
        match_seconds: float = 1.0,
    ) -> None:
        self.exchange = exchange
        self._instruments = {symbol: mock_instrument(symbol) for symbol in symbols}
        self._prices = prices
        self._sink = sink
        self._gate = gate
        self._clock = clock
        self._match_seconds = match_seconds
        self._watched: tuple[str, ...] = ()
        self._stirred = asyncio.Event()
        self._is_closed = False

    async def run(self) -> None:
        """Greet, then match what rests until closed or cancelled."""
        self._emit(m.LinkOpening, attempt=1)
        self._emit(
            m.LinkUp,
            client_id=self.exchange.client_id,
            next_order_id=1,
            accounts=(self.exchange.account,),
            server_version=0,
        )
        self._emit(m.ClockSeen, skew_seconds=0.0)
        while not self._is_closed:
            if self.exchange.resting:
                await asyncio.sleep(self._match_seconds)
                self._match()
            else:
                self._stirred.clear()
                await self._stirred.wait()

    def begin_sync(self, effect: m.BeginSync) -> None:
        self._sink(self.exchange.snapshot("sync", self._now()))
        self._emit(m.InstrumentsSeen, instruments=tuple(self._instruments.values()))

    def submit(self, effect: m.SubmitOrder) -> None:
        intent = effect.order.intent
        reason = "the mock broker is closed" if self._is_closed else self._gate(intent)
        if reason is not None:
            self._emit(m.OrderWithheld, intent=intent, reason=reason)
            return
        self._emit(m.OrderHanded, intent=intent)
        self._tell(self.exchange.fill(effect.order, self._quote(effect.instrument), self._now(), effect.instrument))
        self._stirred.set()

    def what_if(self, effect: m.RequestWhatIf) -> None:
        self._emit(m.OrderWithheld, intent=effect.order.intent, reason=NO_MARGIN)

    def modify(self, effect: m.ModifyOrder) -> None:
        intent, change = effect.order.intent, effect.order.changed
        reason = "the mock broker is closed" if self._is_closed else self._gate(intent)
        if reason is not None:
            self._emit(m.OrderWithheld, intent=intent, change=change, reason=reason)
            return
        self._emit(m.OrderHanded, intent=intent, change=change)
        self._tell(self.exchange.modify(effect.order, self._quote(effect.instrument), self._now()))

    def cancel(self, effect: m.CancelOrder) -> None:
        self._tell(self.exchange.cancel(effect.order_id, self._now()))

    def request_snapshot(self, reason: str) -> None:
        self._sink(self.exchange.snapshot(reason, self._now()))

    def drop(self, reason: str) -> None:
        """There is no connection to end."""

    def watch(self, symbols: Sequence[str]) -> None:
        self._watched = tuple(symbols)

    def quotes(self) -> tuple[Quote, ...]:
        known = (self._instruments[symbol] for symbol in self._watched if symbol in self._instruments)
        return tuple(self._quote(one) or Quote(con_id=one.con_id, symbol=one.symbol) for one in known)

    async def bars(self, symbol: str, bar_size: str, until: date, count: int) -> BarSeries:
        raise DataError(
            f"{symbol}: the mock executor has no history; choose the data provider csv, or run on a gateway"
        )

    async def close(self) -> None:
        self._is_closed = True
        self._stirred.set()

    def _match(self) -> None:
        now = self._now()
        for order_id, one in list(self.exchange.resting.items()):
            if one.order.tif == "DAY" and self._session(one.order.created_at) < now.session:
                self._tell(self.exchange.cancel(order_id, now))
        resting = {one.instrument.con_id: one.instrument for one in self.exchange.resting.values()}
        quotes = [quote for one in resting.values() if (quote := self._quote(one)) is not None]
        self._tell(self.exchange.match(quotes, now))

    def _quote(self, instrument: Instrument) -> Quote | None:
        price = self._prices(instrument.symbol)
        if price is None:
            return None
        return Quote(
            con_id=instrument.con_id,
            symbol=instrument.symbol,
            bid=price,
            ask=price,
            last=price,
            at=self._clock.technical(),
        )

    def _now(self) -> Moment:
        at = self._clock.market()
        return Moment(at=at, tech=self._clock.technical(), session=self._session(at))

    def _tell(self, events: Sequence[m.Event]) -> None:
        for event in events:
            self._sink(event)

    def _emit(self, kind: Callable[..., m.Event], **fields: object) -> None:
        self._sink(kind(at=self._clock.market(), tech=self._clock.technical(), **fields))

    @staticmethod
    def _session(at: datetime) -> date:
        return at.astimezone(EXCHANGE_ZONE).date()


def mock_instrument(symbol: str) -> Instrument:
    """An instrument for a symbol nobody was asked about; its con_id is made of the symbol, the same in every run."""
    return Instrument(con_id=1 + zlib.crc32(symbol.encode()) % (2**31 - 2), symbol=symbol)
