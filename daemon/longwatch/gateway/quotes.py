"""Streams of quotes to clients: an opening burst in the recorded order, then what changed; fed by the pulse."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from longwatch.gateway.market import Instrument, Market, Quote
from longwatch.gateway.wording import SHARES_IN_QUOTES
from longwatch.wire.replies import quick

if TYPE_CHECKING:
    from longwatch.gateway.session import Session

LIVE, FROZEN, DELAYED = 1, 2, 3
LOT = 100
NO_PRICE = Decimal(-1)
CAN_AUTO_EXECUTE = 1
DELAY = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class TickNumbers:
    """The tick types of one kind of stream."""

    bid: int
    ask: int
    last: int
    bid_size: int
    ask_size: int
    last_size: int
    high: int
    low: int
    volume: int
    close: int
    open: int
    last_time: int


LIVE_TICKS = TickNumbers(
    bid=1, ask=2, last=4, bid_size=0, ask_size=3, last_size=5, high=6, low=7, volume=8, close=9, open=14, last_time=45
)
DELAYED_TICKS = TickNumbers(
    bid=66,
    ask=67,
    last=68,
    bid_size=69,
    ask_size=70,
    last_size=71,
    high=72,
    low=73,
    volume=74,
    close=75,
    open=76,
    last_time=88,
)


class Stream:
    """One client's subscription to one instrument; remembers what was sent, so that only changes travel."""

    def __init__(self, session: Session, req_id: int, instrument: Instrument, *, delayed: bool = False) -> None:
        self.session = session
        self.req_id = req_id
        self.instrument = instrument
        self._delay = DELAY if delayed else timedelta()
        self._kind = DELAYED if delayed else LIVE
        self._ticks = DELAYED_TICKS if delayed else LIVE_TICKS
        self._sent: Quote | None = None
        version = session.server_version
        self._price = quick("tickPrice", version)
        self._size = quick("tickSize", version)
        self._text = quick("tickString", version)
        self._lot = 1 if version >= SHARES_IN_QUOTES else LOT

    def start(self, market: Market, at: datetime) -> None:
        """Send the opening burst: type, parameters, last trade, day figures, then bid and ask."""
        ticks, quote = self._ticks, self._quote(market, at)
        exchange = {"minTick": self.instrument.min_tick, "bboExchange": "9c0001", "snapshotPermissions": 4}
        self.session.send("marketDataType", {"reqId": self.req_id, "marketDataType": self._kind})
        self.session.send("tickReqParams", {"reqId": self.req_id, **exchange})
        if quote.last is not None:
            self._send_last(quote)
        for number, price in self._day_prices(quote):
            self._send_price(number, price, 0)
        self._send_side(ticks.bid, ticks.bid_size, quote.bid, quote.bid_size)
        self._send_side(ticks.ask, ticks.ask_size, quote.ask, quote.ask_size)
        self._sent = quote

    def follow(self, market: Market, at: datetime) -> None:
        """Send what has changed since the last time."""
        quote, sent, ticks = self._quote(market, at), self._sent, self._ticks
        if quote is sent or sent is None:
            return
        self._sent = quote
        if quote.last is not None and (quote.last, quote.last_at) != (sent.last, sent.last_at):
            self._send_last(quote)
        before = dict(self._day_prices(sent))
        for number, price in self._day_prices(quote):
            if before.get(number) != price:
                self._send_price(number, price, 0)
        self._send_change(ticks.bid, ticks.bid_size, (quote.bid, quote.bid_size), (sent.bid, sent.bid_size))
        self._send_change(ticks.ask, ticks.ask_size, (quote.ask, quote.ask_size), (sent.ask, sent.ask_size))

    def _quote(self, market: Market, at: datetime) -> Quote:
        return market.quote(self.instrument, at - self._delay)

    def _day_prices(self, quote: Quote) -> list[tuple[int, Decimal]]:
        ticks = self._ticks
        day = (ticks.high, quote.high), (ticks.low, quote.low), (ticks.close, quote.close), (ticks.open, quote.open)
        return [(number, price) for number, price in day if price is not None]

    def _send_last(self, quote: Quote) -> None:
        if quote.last_at is not None:
            self._write(self._text(self.req_id, self._ticks.last_time, str(int(quote.last_at.timestamp()))))
        self._send_price(self._ticks.last, quote.last, quote.last_size)
        self._send_size(self._ticks.last_size, quote.last_size)
        self._send_size(self._ticks.volume, quote.volume)

    def _send_side(self, price_tick: int, size_tick: int, price: Decimal | None, size: int) -> None:
        self._send_price(price_tick, price, size)
        self._send_size(size_tick, size)

    def _send_change(
        self, price_tick: int, size_tick: int, now: tuple[Decimal | None, int], before: tuple[Decimal | None, int]
    ) -> None:
        if now[0] != before[0]:
            self._send_side(price_tick, size_tick, *now)
        elif now[1] != before[1]:
            self._send_size(size_tick, now[1])

    def _send_price(self, tick: int, price: Decimal | None, size: int) -> None:
        mask = CAN_AUTO_EXECUTE if tick in {self._ticks.bid, self._ticks.ask} and price is not None else 0
        shown = NO_PRICE if price is None else price
        self._write(self._price(self.req_id, tick, shown, size // self._lot, mask))

    def _send_size(self, tick: int, size: int) -> None:
        self._write(self._size(self.req_id, tick, size // self._lot))

    def _write(self, packet: bytes) -> None:
        faults = self.session.desk.faults
        if not faults.withhold or "tick" not in faults.withhold:
            self.session.write(packet)
