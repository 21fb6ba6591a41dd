"""One direction of a connection in memory: bytes on their way, with latency, order and faults; used by transport.py."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from enum import Enum
from errno import ECONNRESET
from typing import Protocol

READ_BYTES = 256 * 1024  # what asyncio's socket transport reads at once


class Mark(Enum):
    """What travels besides bytes."""

    EOF = "end of file"
    RESET = "reset"


class End(Protocol):
    """What a lane asks of the transports it joins."""

    def accepts(self) -> bool:
        """Whether what arrived may be handed over now."""
        ...

    def receive(self, data: bytes) -> None:
        """Take arrived bytes."""
        ...

    def end(self) -> None:
        """The other end has written its last."""
        ...

    def lose(self, error: Exception | None) -> None:
        """The connection is over."""
        ...

    def written(self) -> None:
        """Bytes of this end have been taken by the other."""
        ...


class Lane:
    """What was written at one end, each piece with the instant it arrives at the other.

    `chunk_bytes` hands over in pieces of that size, 1 for a message split at every byte. `bytes_written` counts what
    was let through, `bytes_waiting` what the receiver has not taken yet. `on_written` sees every piece as it is
    written, also what is lost then; `on_arrived` what the receiver takes.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, delay: Callable[[], float]) -> None:
        self._loop = loop
        self._delay = delay
        self._queue: deque[tuple[float, bytes | Mark]] = deque()
        self._armed = False
        self._last_due = 0.0
        self._silent = False
        self._cut_at: int | None = None
        self.chunk_bytes: int | None = None
        self.on_written: Callable[[bytes], None] | None = None
        self.on_arrived: Callable[[bytes], None] | None = None
        self.bytes_written = 0
        self.bytes_waiting = 0

    def join(self, sender: End, receiver: End) -> None:
        """Say between which ends this lane runs; once, before anything is sent."""
        self._sender = sender
        self._receiver = receiver

    def send(self, item: bytes | Mark) -> None:
        """Put a piece on its way; a lane that is silent loses it, one that is cut breaks the connection."""
        if self.on_written is not None and isinstance(item, bytes):
            self.on_written(item)
        if self._silent:
            return
        if self._cut_at is None or not isinstance(item, bytes) or self.bytes_written + len(item) < self._cut_at:
            self._put(item)
            return
        self._put(item[: self._cut_at - self.bytes_written])
        self._put(Mark.RESET)
        self._silent = True
        self._sender.lose(reset_error())

    def silence(self) -> None:
        """Lose everything on its way and everything to come, without a word."""
        self._silent = True
        self._queue.clear()
        self.bytes_waiting = 0

    def stall(self, seconds: float) -> None:
        """Let nothing sent from now on arrive sooner than `seconds` from now."""
        self._last_due = max(self._last_due, self._loop.time() + seconds)

    def cut_after(self, count: int) -> None:
        """Let `count` more bytes through, then reset the connection: a peer dying in mid-message."""
        self._cut_at = self.bytes_written + count

    def arm(self) -> None:
        """Make sure a delivery is scheduled while there is something to deliver."""
        if self._armed or not self._queue:
            return
        self._armed = True
        due = self._queue[0][0]
        if due <= self._loop.time():
            self._loop.call_soon(self._arrive)
        else:
            self._loop.call_at(due, self._arrive)

    def _put(self, item: bytes | Mark) -> None:
        if isinstance(item, bytes):
            self.bytes_written += len(item)
            self.bytes_waiting += len(item)
        self._last_due = max(self._last_due, self._loop.time() + self._delay())
        self._queue.append((self._last_due, item))
        self.arm()

    def _arrive(self) -> None:
        self._armed = False
        # A loop may call a timer early by its clock's resolution; that is no reason to wait another round.
        now = self._loop.time() + 1e-6
        while self._queue and self._queue[0][0] <= now and self._receiver.accepts():
            _, item = self._queue.popleft()
            match item:
                case Mark.EOF:
                    self._receiver.end()
                case Mark.RESET:
                    self._receiver.lose(reset_error())
                case _:
                    self._deliver(item + self._more(now, READ_BYTES - len(item)))
        self._sender.written()
        if self._receiver.accepts():
            self.arm()

    def _more(self, now: float, room: int) -> bytes:
        """What else has arrived by `now`: TCP hands over bytes, not writes."""
        parts: list[bytes] = []
        while self._queue and self._queue[0][0] <= now:
            item = self._queue[0][1]
            if not isinstance(item, bytes) or len(item) > room:
                break
            parts.append(item)
            room -= len(item)
            self._queue.popleft()
        return b"".join(parts)

    def _deliver(self, data: bytes) -> None:
        size = self.chunk_bytes or READ_BYTES
        for start in range(0, len(data), size):
            if not self._receiver.accepts():
                self._queue.appendleft((0.0, data[start:]))
                return
            piece = data[start : start + size]
            self.bytes_waiting = max(0, self.bytes_waiting - len(piece))
            if self.on_arrived is not None:
                self.on_arrived(piece)
            self._receiver.receive(piece)


def reset_error() -> ConnectionResetError:
    """What a protocol is told when its connection was torn down."""
    return ConnectionResetError(ECONNRESET, "Connection reset by peer")
