"""One connection to the gateway, from first byte to last: socket, framing, handshake, dispatch; made by live.IbBroker.

A line is used once. What it hears goes to its owner message by message; how it ended is in `lost`, as one sentence.
"""

from __future__ import annotations

import asyncio
from typing import cast

from longwatch.broker.heard import Greeting, Heard
from longwatch.broker.ib import UNDECODABLE, Library, Reader, Writer, load
from longwatch.broker.settings import LinkSettings
from longwatch.broker.ticks import STARTS, Ticks
from longwatch.broker.translate import Translator
from longwatch.clock import Clock
from longwatch.errors import LinkError, ProtocolError
from longwatch.wire.framing import Frames, hello, split

GREETING_FIELDS = 2
HISTORY = b"17\0"
LAST_FIRST_ID = 2_000_000_000
"""Ids end at 2,147,483,646; any client's order with a high id pushes the next one up for good."""

CLOSE_SECONDS = 1.0


class Line(asyncio.Protocol):
    """One connection. `writer` exists once `open` has returned; `heard_at` is loop seconds of the last bytes."""

    writer: Writer

    def __init__(self, settings: LinkSettings, heard: Heard, clock: Clock) -> None:
        self._settings = settings
        self._heard = heard
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._library: Library = load(settings.library)
        self._translator = Translator(heard, clock, settings.gateway_zone)
        self._frames = Frames()
        self._ticks = Ticks(heard)
        self._reader: Reader | None = None
        self._transport: asyncio.Transport | None = None
        self._ready = False
        self._settled = asyncio.Event()
        self._down = asyncio.Event()
        self._version = 0
        self._address = f"{settings.host}:{settings.port}"
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self.heard_at = self._loop.time()
        self.messages = 0

    async def open(self) -> None:
        """Connect and complete the handshake. Raises LinkError with the reason, each step having its own deadline."""
        await self._connect()
        self._send(hello(self._library.lowest_version, self._library.highest_version))
        try:
            async with asyncio.timeout(self._settings.handshake_seconds):
                await self._settled.wait()
        except TimeoutError:
            raise LinkError(self._silence()) from None
        if self.lost.done():
            raise LinkError(self.lost.result())

    def write(self, data: bytes) -> bool:
        """Give bytes to the transport; False when the connection is ending and nothing was given."""
        if self.lost.done() or self._transport is None or self._transport.is_closing():
            return False
        self._transport.write(data)
        return True

    def end(self, reason: str) -> None:
        """End the connection now, because of `reason`; what was given to the transport may still be on its way."""
        self._lose(reason)
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        """End the connection in order: what was given to the transport is sent first."""
        self._lose("the connection was closed by us")
        if self._transport is None:
            return
        self._transport.close()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._down.wait()
        except TimeoutError:
            self._transport.abort()

    # ── asyncio.Protocol ────────────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.lost.done():
            return
        self.heard_at = self._loop.time()
        try:
            payloads = self._frames.feed(data)
        except ProtocolError as error:
            self.end(f"what answers at {self._address} does not speak the TWS protocol: {error}")
            return
        ticks, self.messages = self._ticks, self.messages + len(payloads)
        for payload in payloads:
            if payload[:2] in STARTS and self._reader is not None:
                ticks.take(payload)
                continue
            ticks.tell()
            if self.lost.done():
                return
            self._message(payload)
        ticks.tell()

    def connection_lost(self, exc: Exception | None) -> None:
        self._down.set()
        self._lose(self._closed(exc))

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _message(self, payload: bytes) -> None:
        if self._reader is None:
            self._greeting(split(payload))
            return
        try:
            if payload.startswith(HISTORY):
                self._reader.history(payload)
            elif not self._reader.repeats(payload):
                fields = split(payload)
                self._reader.read(_integer(fields[0]), fields, payload)
        except UNDECODABLE as error:
            fields, reason = split(payload), f"{type(error).__name__}: {error}"[:200]
            self._heard.undecodable(_integer(fields[0]) if fields else -1, tuple(fields), reason)
        if not self._ready:
            self._shake()

    def _greeting(self, fields: list[str]) -> None:
        version = _integer(fields[0]) if len(fields) == GREETING_FIELDS else -1
        lowest, highest = self._library.lowest_version, self._library.highest_version
        if version < 0:
            self.end(f"what answers at {self._address} does not speak the TWS protocol: it greets with {fields[:3]}")
        elif not lowest <= version <= highest:
            self.end(f"the gateway at {self._address} speaks server version {version}, we {lowest} to {highest}")
        else:
            self._version = version
            self._reader = Reader(self._library, self._translator, self._heard, version)
            self.writer = Writer(self._library, self._settings.client_id, version)
            self._send(self.writer.start())

    def _shake(self) -> None:
        """The handshake ends when both nextValidId and the accounts are in; notices may come between them."""
        next_order_id, accounts = self._translator.next_order_id, self._translator.accounts
        if next_order_id is None or not accounts or self.lost.done():
            return
        if next_order_id > LAST_FIRST_ID:
            self.end(
                f"the gateway at {self._address} gives {next_order_id} as the next order id, which leaves no room for "
                "more: reset the API order ids in the gateway's settings"
            )
            return
        self._ready = True
        self._settled.set()
        self._heard.greeted(Greeting(server_version=self._version, next_order_id=next_order_id, accounts=accounts))

    # ── the socket ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(self._settings.connect_seconds):
                await self._loop.create_connection(lambda: self, self._settings.host, self._settings.port)
        except ConnectionRefusedError:
            raise LinkError(
                f"the gateway at {self._address} refuses connections: is it running, and is its API port open?"
            ) from None
        except TimeoutError:
            raise LinkError(
                f"the gateway at {self._address} takes no connection within {self._settings.connect_seconds:g} s"
            ) from None
        except OSError as error:
            raise LinkError(f"the gateway at {self._address} can't be reached: {error.strerror or error}") from error

    def _lose(self, reason: str) -> None:
        if not self.lost.done():
            self.lost.set_result(reason)
        self._settled.set()

    def _send(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _silence(self) -> str:
        waited = f"within {self._settings.handshake_seconds:g} s"
        if self._reader is None:
            return f"the gateway at {self._address} took the connection but stays silent: no server version {waited}"
        absent = [
            name
            for name, heard in (
                ("nextValidId", self._translator.next_order_id),
                ("accounts", self._translator.accounts),
            )
            if not heard
        ]
        return f"the gateway at {self._address} did not complete the handshake: no {' and no '.join(absent)} {waited}"

    def _closed(self, exc: Exception | None) -> str:
        how = "reset" if exc is not None else "closed"
        if self._frames.waiting:
            return f"the gateway at {self._address} {how} the connection in the middle of a message"
        if self._reader is None:
            return (
                f"the gateway at {self._address} {how} the connection before the handshake: "
                "is this machine among its trusted addresses?"
            )
        if not self._ready:
            return f"the gateway at {self._address} {how} the connection during the handshake"
        return f"the gateway at {self._address} {how} the connection"


def _integer(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else -1
