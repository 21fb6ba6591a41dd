"""A network in memory: asyncio transports joined by lanes instead of TCP; JumpLoop makes its connections here.

What one end writes reaches the other end's protocol by a timer of the loop, so bytes take virtual time and a seed
decides their jitter. Faults are set on an address (a door) or on a link, found in `MemoryNetwork.links` or handed to
`on_link` the moment it is made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from errno import EADDRINUSE, ECONNREFUSED
from random import Random
from typing import Any, assert_never, cast

from longwatch.simulation.lane import Lane, Mark, reset_error

ProtocolFactory = Callable[[], asyncio.Protocol]

HIGH_WATER_BYTES = 64 * 1024  # asyncio's default
FIRST_CLIENT_PORT = 50_000


class Door(Enum):
    """What an address does with a new connection."""

    OPEN = "open"
    REFUSING = "refusing"
    SILENT = "silent"  # as when packets are dropped: the caller waits until its own deadline


class MemoryNetwork:
    """Addresses in memory. One that was ever listened on or claimed stays in memory, and refuses without a listener.

    Latency and jitter are seconds one way; jitter is uniform from 0 and never changes the order of bytes.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        latency_seconds: float = 0.0,
        jitter_seconds: float = 0.0,
        random: Random | None = None,
    ) -> None:
        if jitter_seconds and random is None:
            raise ValueError("jitter needs a seeded Random, or no run could be repeated")
        self._loop = loop
        self._latency_seconds = latency_seconds
        self._jitter_seconds = jitter_seconds
        self._random = random
        self._listeners: dict[tuple[str, int], ProtocolFactory | None] = {}
        self._doors: dict[tuple[str, int], Door] = {}
        self._next_port = FIRST_CLIENT_PORT
        self.links: list[MemoryLink] = []
        self.on_link: Callable[[MemoryLink], None] | None = None

    def listen(self, host: str, port: int, factory: ProtocolFactory) -> None:
        """Serve `host:port`: each connection gets a protocol from `factory`. Raises OSError when already served."""
        if self._listeners.get((host, port)) is not None:
            raise OSError(EADDRINUSE, f"{host}:{port} is already served in memory")
        self._listeners[host, port] = factory

    def stop_listening(self, host: str, port: int) -> None:
        """Refuse new connections to `host:port`; those made live on."""
        self._listeners[host, port] = None

    def claim(self, host: str, port: int) -> None:
        """Keep `host:port` in memory before anything listens there."""
        self._listeners.setdefault((host, port), None)

    def owns(self, host: str, port: int) -> bool:
        """Whether connections to `host:port` are made in memory."""
        return (host, port) in self._listeners

    def set_door(self, host: str, port: int, door: Door) -> None:
        """Let `host:port` accept, refuse or ignore new connections from now on."""
        self.claim(host, port)
        self._doors[host, port] = door

    async def connect(self, factory: ProtocolFactory, host: str, port: int) -> tuple[MemoryTransport, asyncio.Protocol]:
        """Connect to a listener; takes a round trip. Raises ConnectionRefusedError; a silent door never answers."""
        await asyncio.sleep(2 * self._latency_seconds)
        listener = self._listeners.get((host, port))
        match self._doors.get((host, port), Door.OPEN):
            case Door.SILENT:
                await self._loop.create_future()
            case Door.OPEN if listener is not None:
                link = self._link(listener(), factory(), host, port)
                return link.client, link.client.protocol
            case Door.OPEN | Door.REFUSING:
                pass
            case door:
                assert_never(door)
        raise ConnectionRefusedError(ECONNREFUSED, f"Connect call failed ({host!r}, {port})")

    def _link(self, server: asyncio.Protocol, client: asyncio.Protocol, host: str, port: int) -> MemoryLink:
        near, far = ("127.0.0.1", self._next_port), (host, port)
        self._next_port += 1
        up, down = (Lane(self._loop, self._delay) for _ in range(2))
        link = MemoryLink(
            client=MemoryTransport(self._loop, client, out=up, incoming=down, sockname=near, peername=far),
            server=MemoryTransport(self._loop, server, out=down, incoming=up, sockname=far, peername=near),
            to_server=up,
            to_client=down,
        )
        up.join(link.client, link.server)
        down.join(link.server, link.client)
        self.links = [known for known in self.links if not known.is_over()]
        self.links.append(link)
        if self.on_link is not None:
            self.on_link(link)
        self._loop.call_soon(server.connection_made, link.server)
        client.connection_made(link.client)
        return link

    def _delay(self) -> float:
        if self._random is None or not self._jitter_seconds:
            return self._latency_seconds
        return self._latency_seconds + self._random.uniform(0.0, self._jitter_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryLink:
    """One connection: its two transports, the lane of bytes in each direction, and faults of both together."""

    client: MemoryTransport
    server: MemoryTransport
    to_server: Lane
    to_client: Lane

    def silence(self) -> None:
        """Make it half-open: from now on nothing arrives on either side, no end and no reset either."""
        self.to_server.silence()
        self.to_client.silence()

    def stall(self, seconds: float) -> None:
        """Let nothing written from now on arrive sooner than `seconds` from now, as after retransmissions."""
        self.to_server.stall(seconds)
        self.to_client.stall(seconds)

    def reset(self) -> None:
        """Tear it down now: bytes on their way are lost, both ends are told ConnectionResetError."""
        self.silence()
        self.client.lose(reset_error())
        self.server.lose(reset_error())

    def is_over(self) -> bool:
        """Whether both ends are closed."""
        return self.client.is_closing() and self.server.is_closing()


class MemoryTransport(asyncio.Transport):
    """One end of a link; behaves as asyncio's socket transport does, with no socket behind it."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: asyncio.Protocol,
        *,
        out: Lane,
        incoming: Lane,
        sockname: tuple[str, int],
        peername: tuple[str, int],
    ) -> None:
        super().__init__({"sockname": sockname, "peername": peername})
        self._loop = loop
        self._out = out
        self._incoming = incoming
        self._reading = True
        self._closing = False
        self._eof_sent = False
        self._writing_paused = False
        self._limits = (HIGH_WATER_BYTES // 4, HIGH_WATER_BYTES)
        self.protocol = protocol

    # What the lanes call.

    def accepts(self) -> bool:
        """Whether what arrived may be handed over now; a closed end takes everything, to discard it."""
        return self._reading or self._closing

    def receive(self, data: bytes) -> None:
        """Hand arrived bytes to the protocol; bytes for a closed end are answered by a reset, as TCP does."""
        if self._closing:
            self._out.send(Mark.RESET)
            return
        taken = False
        try:
            self.protocol.data_received(data)
            taken = True
        finally:
            if not taken:  # asyncio's socket transport closes too when a protocol raises
                self.abort()

    def end(self) -> None:
        """The other end has written its last; close too unless the protocol wants to go on writing."""
        if not self._closing and not self.protocol.eof_received():
            self.close()

    def lose(self, error: Exception | None) -> None:
        """End this side now and tell the protocol soon."""
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self.protocol.connection_lost, error)

    def written(self) -> None:
        """The other end has taken bytes: let the protocol write again when few enough are waiting."""
        if self._writing_paused and self._out.bytes_waiting <= self._limits[0]:
            self._writing_paused = False
            self.protocol.resume_writing()

    # What asyncio's transports offer.

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if self._eof_sent:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._closing or not data:
            return
        self._out.send(bytes(data))
        if not self._writing_paused and self._out.bytes_waiting > self._limits[1]:
            self._writing_paused = True
            self.protocol.pause_writing()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if not self._closing and not self._eof_sent:
            self._eof_sent = True
            self._out.send(Mark.EOF)

    def close(self) -> None:
        self.write_eof()
        self.lose(None)

    def abort(self) -> None:
        if not self._closing:
            self._out.send(Mark.RESET)
            self.lose(None)

    def is_closing(self) -> bool:
        return self._closing

    def is_reading(self) -> bool:
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._incoming.arm()

    def get_write_buffer_size(self) -> int:
        return self._out.bytes_waiting

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._limits

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        top = high if high is not None else HIGH_WATER_BYTES if low is None else 4 * low
        bottom = low if low is not None else top // 4
        if not top >= bottom >= 0:
            raise ValueError(f"high ({top}) must be at least low ({bottom}), which must be 0 or more")
        self._limits = (bottom, top)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = cast(asyncio.Protocol, protocol)
