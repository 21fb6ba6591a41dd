"""Ticks conflated over one piece of the byte stream: what a line shows is what it would show message by message."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from longwatch.broker.board import QuoteBoard
from longwatch.broker.ticks import Ticks
from longwatch.wire.replies import encode_reply, quick
from tests.broker.bench import START, Bench, Script, an_empty_account, with_script

PRICE, SIZE = quick("tickPrice", 176), quick("tickSize", 176)
LINES = (5, 6)

ticks = st.lists(
    st.one_of(
        st.builds(
            lambda line, kind, cents, size: PRICE(line, kind, Decimal(cents) / 100, size, 0)[4:],
            st.sampled_from(LINES),
            st.sampled_from((1, 2, 4, 66, 67)),
            st.integers(-100, 500),
            st.integers(0, 9),
        ),
        st.builds(
            lambda line, kind, size: SIZE(line, kind, size)[4:],
            st.sampled_from(LINES),
            st.sampled_from((0, 3, 5, 69, 70)),
            st.integers(0, 9),
        ),
    ),
    max_size=40,
)


class Listener(QuoteBoard):
    """A board in the place of a connection's owner."""

    def __init__(self) -> None:
        super().__init__(lambda: 0.0)
        self.left_out = 0
        self.unreadable: list[tuple[str, ...]] = []
        for line in LINES:
            self.open(line, line, f"S{line}")

    tick_price = QuoteBoard.price
    tick_size = QuoteBoard.size

    def conflated(self, count: int) -> None:
        self.left_out += count

    def undecodable(self, message_id: int, fields: tuple[str, ...], reason: str) -> None:
        assert str(message_id) == fields[0] and reason
        self.unreadable.append(fields)


def heard(payloads: list[bytes], piece: int) -> Listener:
    """A board that hears these messages, so many in a piece."""
    board = Listener()
    taker = Ticks(board)  # type: ignore[arg-type]
    for at in range(0, len(payloads), piece):
        for payload in payloads[at : at + piece]:
            taker.take(payload)
        taker.tell()
    return board


@given(ticks, st.integers(1, 40))
def test_no_quote_depends_on_how_the_bytes_came(payloads: list[bytes], piece: int) -> None:
    """Prices, sizes and the kind of data are those of one message after the other; every tick is counted."""
    alone, together = heard(payloads, 1), heard(payloads, piece)
    assert together.quotes(START) == alone.quotes(START)
    assert together.ticks + together.left_out == alone.ticks == len(payloads)


def test_a_tick_that_can_not_be_read_is_told_with_its_fields() -> None:
    """Each newest one: too long, too short, not a number, not finite, cut off; sound ones beside it are heard."""
    sound = PRICE(5, 1, Decimal("9.99"), 3, 0)[4:]
    spoilt = [
        b"1\x006\x006\x001\x00nan\x003\x000\x00",
        b"1\x006\x006\x002\x00x\x003\x000\x00",
        b"1\x006\x00six\x004\x009\x003\x000\x00",
        b"1\x006\x006\x0066\x009\x003\x000",
        b"1\x00",
        b"2\x006\x006\x000\x00inf\x00",
        b"2\x006\x006\x000\x003\x003\x00",
        b"2\x00",
    ]
    board = heard([*spoilt, sound], 100)
    assert len(board.unreadable) == len(spoilt)
    bids = {quote.symbol: (quote.bid, quote.ask) for quote in board.quotes(START)}
    assert bids == {"S5": (Decimal("9.99"), None), "S6": (None, None)}


def test_nothing_overtakes_the_ticks_before_it() -> None:
    """A notice between two ticks of a line is heard between them, though all three come in one piece."""
    told: list[str] = []

    async def work(bench: Bench, script: Script) -> None:
        await bench.synced()
        broker = bench.broker
        broker.tick_price = lambda *arguments: told.append(f"tick {arguments[2]}")  # type: ignore[method-assign]
        broker.error = lambda *arguments: told.append("notice")  # type: ignore[method-assign]
        ticks = [PRICE(5, 1, Decimal(price), 1, 0) for price in (1, 2, 3)]
        notice = encode_reply("error", {"reqId": -1, "errorCode": 2104, "errorString": "all is well"}, 176)
        script.connections[0].transport.write(ticks[0] + ticks[1] + notice + ticks[2])
        await asyncio.sleep(1)

    with_script(work, an_empty_account())
    assert told == ["tick 2.0", "notice", "tick 3.0"]
