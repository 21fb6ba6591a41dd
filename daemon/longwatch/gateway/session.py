"""One client's connection to the simulated gateway: handshake, frames in, frames out; made for each connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

from longwatch.errors import ProtocolError
from longwatch.gateway.exchange.orders import LETTERS
from longwatch.gateway.faults import UNREADABLE
from longwatch.gateway.streams.following import Follows
from longwatch.gateway.streams.rows import MadeOf, renumbered
from longwatch.wire.fields import UnreadableField
from longwatch.wire.framing import Frames, frame, greeting, negotiate, split, take_hello
from longwatch.wire.replies import encode_reply
from longwatch.wire.requests import Request, UnknownRequest, decode_request

if TYPE_CHECKING:
    from longwatch.gateway.desk import Desk
    from longwatch.gateway.market.market import Instrument
    from longwatch.gateway.streams.live_bars import FiveSeconds, Query
    from longwatch.gateway.streams.quotes import Stream
    from longwatch.gateway.streams.tapes import Tape

BUFFER_LIMIT = 32 * 1024 * 1024
"""A client that leaves so many bytes unread is cut off."""

SPOILED_FIELDS = {"position": 15, "openOrder": 14, "completedOrder": 13, "execDetails": 19, "historicalData": 6}
"""The field made unreadable in each message, counted from 0; in others the last one."""


class Session(asyncio.Protocol):
    """A client from its first byte to its last. It has a `client_id` once it `is_started`, by startApi."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.client_id = -1
        self.is_started = False
        self.server_version = 0
        self.is_open = False
        self.follows = Follows()
        self.streams: dict[int, Stream] = {}
        self.bars: dict[int, FiveSeconds] = {}
        self.queries: dict[int, Query] = {}
        self.tapes: dict[int, Tape] = {}
        self.market_data_type = 1
        self._frames = Frames()
        self._opening: bytes | None = b""
        self._unread: bytes | None = None
        self._transport: asyncio.Transport | None = None
        self._outbox: list[bytes] = []
        self._left: int | None = None

    def followed(self) -> Iterator[Instrument]:
        """What it follows the bars of."""
        yield from (stream.instrument for stream in self.bars.values())
        yield from (query.instrument for query in self.queries.values() if query.is_live)

    def send(self, name: str, values: dict[str, Any] | None = None) -> None:
        """Send one reply."""
        packet = self.pack(name, values or {})
        if packet is not None:
            self.write(packet)

    def pack(self, name: str, values: dict[str, Any]) -> bytes | None:
        """The frame of a reply as this client reads it, or None when a fault keeps it back."""
        faults = self.desk.faults
        if not faults.lets_pass(name, values):
            return None
        if name == "error":
            values = {**values, "errorString": values["errorString"].replace(LETTERS, self.desk.letters, 1)}
        packet = encode_reply(name, faults.figures(name, values), self.server_version)
        return _spoiled(name, packet) if faults.spoils(name, values) else packet

    def send_row(
        self, name: str, of: object, made_of: MadeOf, values: Callable[[], dict[str, Any]], **number: int
    ) -> None:
        """Send a row of a download that tells of something, as it was sent before if what it is made of is the same.

        `number` is its `reqId`, in a message that has one as its first field; `values` are all others.
        """
        if not self.desk.faults.leaves_alone(name):
            self.send(name, values() | number)
            return
        packet = self.desk.rows.frame(name, self.server_version, of, made_of, lambda: values() | number)
        self.write(renumbered(packet, number["reqId"]) if number else packet)

    def write(self, packet: bytes) -> None:
        """Send a finished frame; frames of one turn of the loop travel together."""
        if not self.is_open or self.desk.faults.half_open:
            return
        if not self._outbox:
            self.desk.loop.call_soon(self._flush)
        self._outbox.append(packet)

    def error(self, code: int, text: str, req_id: int = -1) -> None:
        """Send an error or a notice."""
        self.send("error", {"reqId": req_id, "errorCode": code, "errorString": text})

    def close(self) -> None:
        """Send what is waiting, then close the connection; what has come but was not read yet is not heard any more."""
        self._flush()
        self.is_open = False
        if self._transport is not None:
            self._transport.close()

    def cut_after(self, count: int) -> None:
        """Let so many more bytes out, then end the connection, in mid-message if it falls so."""
        self._left = count

    def abort(self) -> None:
        """Cut the connection at once."""
        self.is_open = False
        self._outbox.clear()
        if self._transport is not None:
            self._transport.abort()

    # -- asyncio.Protocol ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True
        self._left = self.desk.faults.drop_after
        self.desk.joined(self)
        if self.desk.faults.refuse:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self._transport = None
        self._outbox.clear()
        self.desk.left(self)

    def data_received(self, data: bytes) -> None:
        if not self.is_open or self.desk.faults.silent or self.desk.faults.half_open:
            return
        try:
            rest = self._open(data) if self._opening is not None else data
            if self._unread is not None:
                self._unread += rest
                return
            payloads = self._frames.feed(rest) if rest else []
        except ProtocolError:
            # Whoever is at the other end does not speak the protocol; a real gateway closes without a word.
            self.abort()
            return
        for payload in payloads:
            if self.is_open:
                self.desk.police.hear(self, payload, self._receive)

    # -- parts ---------------------------------------------------------------------------------------------------

    def _open(self, data: bytes) -> bytes:
        """Take part in the handshake; returns what follows it."""
        received = (self._opening or b"") + data
        opening = take_hello(received)
        if opening is None:
            self._opening = received
            return b""
        hello, rest = opening
        self.server_version = negotiate(self.desk.config.server_version, hello.lowest, hello.highest)
        self._opening = None
        if self.desk.faults.greeting_seconds:
            self._unread = b""
            self.desk.loop.call_later(self.desk.faults.greeting_seconds, self._greet)
        else:
            self._greet()
        return rest

    def _greet(self) -> None:
        """Tell the version; what came too early for it is read now."""
        self.write(greeting(self.server_version, self.desk.connect_time()))
        unread, self._unread = self._unread, None
        if unread:
            self.data_received(unread)

    def _receive(self, payload: bytes) -> None:
        try:
            request = decode_request(split(payload), self.server_version)
        except UnreadableField as error:
            self.error(320, f"Error reading request. {error}")
            if self.desk.config.conduct.closes_on_unreadable:
                self.close()
            return
        match request:
            case Request():
                self.desk.answer(self, request.name, request.values)
            case UnknownRequest():
                self.error(320, f"Error reading request. Unknown message id {request.id}.")

    def _flush(self) -> None:
        if not self._outbox or self._transport is None or self._transport.is_closing():
            return
        data = b"".join(self._outbox)
        self._outbox.clear()
        if self._left is not None:
            data, self._left = data[: self._left], self._left - len(data)
        self._transport.write(data)
        if self._left is not None and self._left <= 0:
            # Closing gives the bytes already written time to leave; the message they belong to stays cut short.
            self.is_open = False
            self._transport.close()
        elif self._transport.get_write_buffer_size() > BUFFER_LIMIT:
            self.abort()


def _spoiled(name: str, packet: bytes) -> bytes:
    """The same message with one number that is none."""
    fields = split(packet[4:])
    place = min(SPOILED_FIELDS.get(name, len(fields) - 1), len(fields) - 1)
    fields[place] = UNREADABLE
    return frame(fields)
