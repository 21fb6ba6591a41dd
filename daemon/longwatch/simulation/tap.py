"""Listens in on every connection in memory and keeps the frames that matter, with their times; read by invariants.

What the daemon wrote is taken as it is written, even where it is lost then; what it heard, as it arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from longwatch.quick import quick
from longwatch.simulation.transport import MemoryLink, MemoryNetwork
from longwatch.wire.fields import UnreadableField
from longwatch.wire.framing import Frames, split, take_hello
from longwatch.wire.replies import Reply, UnknownReply, decode_reply
from longwatch.wire.requests import Request, decode_request

HEARD = frozenset(b"%d\0" % number for number in (3, 4, 9, 11, 49, 53, 55, 59, 61, 62, 64, 101, 102))
"""Message ids worth keeping of what the gateway says: not quotes, bars and contracts, which come by the thousand."""
WRITTEN = frozenset(b"%d\0" % number for number in (3, 4, 7, 58))
SERVER_VERSION = 176
EXECUTION, EXECUTION_OF_0 = b"11\0", b"11\x000"


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One message: when (market time), on which connection (counted from 0), its name and values."""

    at: datetime
    link: int
    name: str
    values: dict[str, Any]


_Kept = tuple[datetime, int, bytes]


class Tap:
    """Made before anything connects. `heard` and `written` decode what was kept; what can't be read is left out."""

    def __init__(self, network: MemoryNetwork, now: Callable[[], datetime]) -> None:
        self._now = now
        self._heard: list[_Kept] = []
        self._written: list[_Kept] = []
        self.opened: list[datetime] = []
        network.on_link = self._joined

    def heard(self) -> Iterator[Seen]:
        """What arrived at the daemon, in order."""
        # Each reading of the account repeats the rows of the one before.
        known: dict[bytes, Reply | UnknownReply | None] = {}
        for at, link, payload in self._heard:
            # Of an execution only the request's number is another each time.
            row = EXECUTION_OF_0 + payload[payload.index(b"\0", 3) :] if payload.startswith(EXECUTION) else payload
            if row not in known:
                known[row] = _read(row)
            reply = known[row]
            if isinstance(reply, Reply):
                values = reply.values if row is payload else reply.values | {"reqId": _request_of(payload)}
                yield Seen(at=at, link=link, name=reply.name, values=values)

    def written(self) -> Iterator[Seen]:
        """What the daemon gave to its transport, in order."""
        for at, link, payload in self._written:
            request = decode_request(split(payload), SERVER_VERSION)
            if isinstance(request, Request):
                yield Seen(at=at, link=link, name=request.name, values=request.values)

    def _joined(self, link: MemoryLink) -> None:
        number = len(self.opened)
        self.opened.append(self._now())
        link.to_client.on_arrived = Stream(partial(self._keep, self._heard, HEARD, number), greets=False)
        link.to_server.on_written = Stream(partial(self._keep, self._written, WRITTEN, number), greets=True)

    def _keep(self, kept: list[_Kept], wanted: frozenset[bytes], link: int, payloads: list[bytes]) -> None:
        found = [payload for payload in payloads if payload[: payload.index(b"\0") + 1] in wanted]
        if found:
            at = self._now()
            kept += [(at, link, payload) for payload in found]


def is_question(seen: Seen) -> bool:
    """Whether it only asks, or answers, what an order would bind of margin: nothing is placed by it."""
    return seen.name in ("placeOrder", "openOrder") and bool(seen.values["whatIf"])


def _request_of(payload: bytes) -> int:
    return int(payload.split(b"\0", 2)[1])


def _read(payload: bytes) -> Reply | UnknownReply | None:
    try:
        return decode_reply(split(payload), SERVER_VERSION)
    except UnreadableField:
        return None


class Stream:
    """One direction's bytes cut into payloads, its greeting left out."""

    def __init__(self, keep: Callable[[list[bytes]], None], *, greets: bool) -> None:
        self._keep = keep
        self._frames = Frames()
        self._hello: bytes | None = b"" if greets else None

    def __call__(self, data: bytes) -> None:
        if self._hello is not None:
            opening = take_hello(self._hello + data)
            if opening is None:
                self._hello += data
                return
            self._hello, data = None, opening[1]
        if data:
            self._keep(self._frames.feed(data))
