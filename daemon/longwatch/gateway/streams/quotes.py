"""Streams of quotes to clients: an opening burst in the recorded order, then what changed; fed by the pulse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from longwatch.gateway.market.market import Instrument, Market, Quote
from longwatch.gateway.streams.generic_ticks import MARK, TO_BORROW, VOLUME
from longwatch.gateway.wording import SHARES_IN_QUOTES
from longwatch.wire.codec import OPEN_NUMBER
from longwatch.wire.fields import show_decimal
from longwatch.wire.framing import HIGHEST_SERVER_VERSION
from longwatch.wire.replies import for_any_request, reply_codec

if TYPE_CHECKING:
    from longwatch.gateway.session import Session

LIVE, FROZEN, DELAYED, DELAYED_FROZEN = 1, 2, 3, 4
LOT = 100
NO_PRICE = Decimal(-1)
CAN_AUTO_EXECUTE = 1
DELAY = timedelta(minutes=15)
MARK_TICK, VOLUME_TICK = 37, 48
LEVEL_TICK, SHARES_TICK = 46, 89
EASY, HARD = (3.0, 10_000_000), (1.0, 0)
"""Level and shares of what can be borrowed at once, and of what must be found first."""
NONE: frozenset[str] = frozenset()

PRICE, SIZE, TEXT, GENERIC = map(for_any_request, ("tickPrice", "tickSize", "tickString", "tickGeneric"))
"""The writers of ticks, which are alike at all server versions."""


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
    halted: int


LIVE_TICKS = TickNumbers(
    bid=1,
    ask=2,
    last=4,
    bid_size=0,
    ask_size=3,
    last_size=5,
    high=6,
    low=7,
    volume=8,
    close=9,
    open=14,
    last_time=45,
    halted=49,
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
    halted=90,
)


class Move:
    """A trade that moves bid and ask, as one text of eight ticks to be filled in at once, their request's number open.

    The ticks are those that `Stream.changes` makes, in its order; a flood of quotes consists of these.
    """

    def __init__(self, ticks: TickNumbers, digits: int) -> None:
        texts = [
            _open("tickString", tickType=ticks.last_time),
            _open("tickPrice", tickType=ticks.last, attrMask=0),
            _open("tickSize", tickType=ticks.last_size),
            _open("tickSize", tickType=ticks.volume),
            _open("tickPrice", tickType=ticks.bid, attrMask=CAN_AUTO_EXECUTE),
            _open("tickSize", tickType=ticks.bid_size),
            _open("tickPrice", tickType=ticks.ask, attrMask=CAN_AUTO_EXECUTE),
            _open("tickSize", tickType=ticks.ask_size),
        ]
        self._text = "".join(f"\0\0\0%c{text}" for text in texts)
        self._bases = tuple(len(text.replace("%s", "")) - 1 + digits for text in texts)
        self._at: datetime | None = None
        self._time = ""

    def encode(self, quote: Quote, lot: int) -> bytes:
        """The frames; of the quote everything must be there."""
        if quote.last_at is not self._at and quote.last_at is not None:
            self._at, self._time = quote.last_at, str(int(quote.last_at.timestamp()))
        time, (last, bid, ask) = self._time, map(show_decimal, (quote.last, quote.bid, quote.ask))  # type: ignore[arg-type]
        last_size, volume = str(quote.last_size // lot), str(quote.volume // lot)
        bid_size, ask_size = str(quote.bid_size // lot), str(quote.ask_size // lot)
        timed, traded, sized, summed, bidden, bid_sized, asked, ask_sized = self._bases
        last_length, bid_length, ask_length = len(last_size), len(bid_size), len(ask_size)
        filled = self._text % (
            timed + len(time),
            time,
            traded + len(last) + last_length,
            last,
            last_size,
            sized + last_length,
            last_size,
            summed + len(volume),
            volume,
            bidden + len(bid) + bid_length,
            bid,
            bid_size,
            bid_sized + bid_length,
            bid_size,
            asked + len(ask) + ask_length,
            ask,
            ask_size,
            ask_sized + ask_length,
            ask_size,
        )
        return filled.encode("latin-1")


def _open(name: str, **constants: int) -> str:
    return reply_codec(name, HIGHEST_SERVER_VERSION).open_text(**constants)


class Ticker:
    """Sends every stream what has changed. What several streams are told alike is encoded once."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._moves: dict[tuple[int, int], Move] = {}
        self._encoded: dict[tuple[int, int, int, int], tuple[Quote, Quote, bytes]] = {}

    def follow(self, stream: Stream, at: datetime) -> None:
        """Bring a stream up to an instant."""
        quote, sent = stream.quote(self._market, at), stream.sent
        if stream.may_switch:
            stream.switch(self._market, at)
        if quote is sent or sent is None:
            return
        if stream.generic:
            stream.write(stream.changes(sent, quote))
        else:
            width = len(stream.number)
            key = (stream.instrument.con_id, stream.ticks.bid, stream.lot, width)
            kept = self._encoded.get(key)
            if kept is None or kept[0] is not sent or kept[1] is not quote:
                kept = self._encoded[key] = (sent, quote, self._encode(stream, sent, quote))
            stream.send(kept[2])
        stream.sent = quote

    def _encode(self, stream: Stream, sent: Quote, quote: Quote) -> bytes:
        """What is different between two quotes: in one piece when a trade has moved bid and ask, as it mostly does."""
        is_usual = (
            quote.bid != sent.bid
            and quote.ask != sent.ask
            and quote.high == sent.high
            and quote.low == sent.low
            and quote.close == sent.close
            and quote.open == sent.open
            and quote.last_at != sent.last_at
            and quote.is_halted == sent.is_halted
            and None not in (quote.bid, quote.ask, quote.last, quote.last_at)
        )
        if not is_usual:
            return b"".join(stream.changes(sent, quote))
        key = (stream.ticks.bid, len(stream.number))
        move = self._moves.get(key)
        if move is None:
            move = self._moves[key] = Move(stream.ticks, len(stream.number))
        return move.encode(quote, stream.lot)


class Stream:
    """One client's subscription to one instrument; `sent` is what it was told last.

    `wanted` is the kind of quotes the client prefers; `generic` are the numbers of the generic ticks it asked for.
    """

    def __init__(
        self, session: Session, req_id: int, instrument: Instrument, wanted: int = LIVE, generic: frozenset[str] = NONE
    ) -> None:
        self.session = session
        self.req_id = req_id
        self.number = str(req_id).encode()
        self.instrument = instrument
        self.generic = generic & (MARK | VOLUME | TO_BORROW)
        self.ticks = DELAYED_TICKS if wanted in {DELAYED, DELAYED_FROZEN} else LIVE_TICKS
        self.lot = 1 if session.server_version >= SHARES_IN_QUOTES else LOT
        self.sent: Quote | None = None
        self.may_switch = wanted in {FROZEN, DELAYED_FROZEN}
        """Whether the kind of its quotes changes as the exchange opens and closes."""
        self._wanted = wanted
        self._delay = DELAY if self.ticks is DELAYED_TICKS else timedelta()
        self._kind = 0
        self._to_borrow: tuple[float, int] | None = None

    def start(self, market: Market, at: datetime) -> bool:
        """Send the opening burst: kind, parameters, last trade, day figures, bid and ask; whether all was there."""
        ticks, quote = self.ticks, self.quote(market, at)
        self.switch(market, at)
        exchange = {"minTick": self.instrument.min_tick, "bboExchange": "9c0001", "snapshotPermissions": 4}
        self.session.send("tickReqParams", {"reqId": self.req_id, **exchange})
        if quote.last is not None:
            self.write(self._last(quote))
        for number, price in self._day_prices(quote):
            self.write([self._price(number, price, 0)])
        self.write(self._side(ticks.bid, ticks.bid_size, quote.bid, quote.bid_size))
        self.write(self._side(ticks.ask, ticks.ask_size, quote.ask, quote.ask_size))
        if quote.is_halted:
            self.write([self._halt(quote)])
        self.write(self._generic(None, quote))
        self.sent = quote
        return None not in (quote.bid, quote.ask, quote.last, quote.close)

    def quote(self, market: Market, at: datetime) -> Quote:
        """What the stream shows at an instant."""
        look = market.frozen if self.may_switch else market.quote
        found = look(self.instrument, at - self._delay if self._delay else at)
        if self.session.desk.faults.no_prices:
            return found._replace(bid=None, ask=None, bid_size=0, ask_size=0)
        return found

    def switch(self, market: Market, at: datetime) -> None:
        """Tell the kind of quotes that follow, when it is another: frozen ones are live while the exchange is open."""
        kind = self._wanted
        if self.may_switch and market.hours_of(self.instrument).at(at - self._delay) is not None:
            kind -= 1
        if kind != self._kind:
            self._kind = kind
            self.session.send("marketDataType", {"reqId": self.req_id, "marketDataType": kind})

    def changes(self, sent: Quote, quote: Quote) -> Iterator[bytes]:
        """The frames of what is different between two quotes, the stream's number left open."""
        ticks = self.ticks
        if quote.last is not None and (quote.last, quote.last_at) != (sent.last, sent.last_at):
            yield from self._last(quote)
        if (quote.high, quote.low, quote.open, quote.close) != (sent.high, sent.low, sent.open, sent.close):
            before = dict(self._day_prices(sent))
            for number, price in self._day_prices(quote):
                if before.get(number) != price:
                    yield self._price(number, price, 0)
        if quote.is_halted != sent.is_halted:
            yield self._halt(quote)
        if quote.bid != sent.bid:
            yield from self._side(ticks.bid, ticks.bid_size, quote.bid, quote.bid_size)
        elif quote.bid_size != sent.bid_size:
            yield self._size(ticks.bid_size, quote.bid_size)
        if quote.ask != sent.ask:
            yield from self._side(ticks.ask, ticks.ask_size, quote.ask, quote.ask_size)
        elif quote.ask_size != sent.ask_size:
            yield self._size(ticks.ask_size, quote.ask_size)
        if self.generic:
            yield from self._generic(sent, quote)

    def write(self, frames: Iterable[bytes]) -> None:
        """Send frames with the stream's own number."""
        self.send(b"".join(frames))

    def send(self, data: bytes) -> None:
        """The same for frames joined already."""
        faults = self.session.desk.faults
        if data and not (faults.withhold and "tick" in faults.withhold):
            self.session.write(data.replace(OPEN_NUMBER, self.number))

    def _day_prices(self, quote: Quote) -> list[tuple[int, Decimal]]:
        ticks = self.ticks
        day = (ticks.high, quote.high), (ticks.low, quote.low), (ticks.close, quote.close), (ticks.open, quote.open)
        return [(number, price) for number, price in day if price is not None]

    def _last(self, quote: Quote) -> Iterator[bytes]:
        if quote.last_at is not None:
            yield TEXT(len(self.number), self.ticks.last_time, str(int(quote.last_at.timestamp())))
        yield self._price(self.ticks.last, quote.last, quote.last_size)
        yield self._size(self.ticks.last_size, quote.last_size)
        yield self._size(self.ticks.volume, quote.volume)

    def _side(self, price_tick: int, size_tick: int, price: Decimal | None, size: int) -> Iterator[bytes]:
        yield self._price(price_tick, price, size)
        yield self._size(size_tick, size)

    def _price(self, tick: int, price: Decimal | None, size: int) -> bytes:
        mask = CAN_AUTO_EXECUTE if tick in {self.ticks.bid, self.ticks.ask} and price is not None else 0
        return PRICE(len(self.number), tick, NO_PRICE if price is None else price, size // self.lot, mask)

    def _size(self, tick: int, size: int) -> bytes:
        return SIZE(len(self.number), tick, size // self.lot)

    def _halt(self, quote: Quote) -> bytes:
        return GENERIC(len(self.number), self.ticks.halted, float(quote.is_halted))

    def _generic(self, sent: Quote | None, quote: Quote) -> Iterator[bytes]:
        """The generic ticks asked for: shares to borrow, the mark price, and each trade with the day so far."""
        if self.generic & TO_BORROW:
            is_hard = self.session.desk.exchange.is_hard_to_borrow(self.instrument.symbol)
            found = HARD if is_hard else EASY
            if found != self._to_borrow:
                self._to_borrow = found
                yield GENERIC(len(self.number), LEVEL_TICK, found[0])
                yield self._size(SHARES_TICK, found[1])
        if quote.last is None or (sent is not None and (sent.last, sent.last_at) == (quote.last, quote.last_at)):
            return
        if self.generic & MARK:
            yield self._price(MARK_TICK, quote.last, 0)
        if self.generic & VOLUME and quote.last_at is not None:
            millis = int(quote.last_at.timestamp() * 1000)
            average = self.session.desk.market.average(self.instrument, quote)
            sizes = f"{quote.last_size // self.lot};{millis};{quote.volume // self.lot}"
            yield TEXT(len(self.number), VOLUME_TICK, f"{quote.last};{sizes};{average};true")
