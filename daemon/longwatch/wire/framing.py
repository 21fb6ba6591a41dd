"""Frames of the TWS socket and the opening handshake; used by both ends of a connection.

A frame is a 4-byte big-endian length and that many bytes; inside, every field ends with a NUL. The handshake is the
raw bytes `API` and NUL, one frame `vMIN..MAX` with optional connect options, and the server's frame of version and
time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct

from longwatch.errors import ProtocolError

FRAME_LIMIT = 0xFFFFFF
"""Most bytes of a payload; IB's own clients stop at the same length."""

LOWEST_SERVER_VERSION = 157
HIGHEST_SERVER_VERSION = 178

_HEADER = 4
_LENGTH = Struct(">I").unpack_from
_MAGIC = b"API\0"
_HELLO_LIMIT = 4096
_VERSIONS = re.compile(r"v(\d{1,6})(?:\.\.(\d{1,6}))?(?: (.*))?", re.DOTALL | re.ASCII)


class Frames:
    """Splits a byte stream into payloads, at a cost linear in the bytes fed whatever the chunks are."""

    __slots__ = ("_broken", "_limit", "_needed", "_pending")

    def __init__(self, limit: int = FRAME_LIMIT) -> None:
        self._limit = limit
        self._pending = bytearray()
        self._needed = _HEADER
        self._broken: str | None = None

    @property
    def waiting(self) -> int:
        """Bytes held back until the rest of their frame comes."""
        return len(self._pending)

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads completed by `data`, in order.

        Raises ProtocolError on a length of zero or above the limit; frames complete before it are returned first, and
        the error is raised by the next call. Nothing after it can be trusted: close the connection.
        """
        if self._broken is not None:
            raise ProtocolError(self._broken)
        if self._pending:
            self._pending += data
            if len(self._pending) < self._needed:
                return []
            data = bytes(self._pending)
        payloads, used, self._broken = self._cut(data)
        self._pending = bytearray(data[used:])
        if self._broken is None or payloads:
            return payloads
        raise ProtocolError(self._broken)

    def _cut(self, data: bytes) -> tuple[list[bytes], int, str | None]:
        """The payloads, the bytes they took, and what is wrong with the frame after them."""
        payloads: list[bytes] = []
        at, size = 0, len(data)
        self._needed = _HEADER
        while size - at >= _HEADER:
            start = at + _HEADER
            length = _LENGTH(data, at)[0]
            if not 0 < length <= self._limit:
                return payloads, at, f"a frame announces {length} bytes, not 1 to {self._limit}: close the connection"
            end = start + length
            if end > size:
                self._needed = _HEADER + length
                break
            payloads.append(data[start:end])
            at = end
        return payloads, at, None


def split(payload: bytes) -> list[str]:
    """The fields of a payload; bytes that are not UTF-8 are shown as backslash escapes, as client libraries do."""
    fields = payload.decode("utf-8", "backslashreplace").split("\0")
    if not fields[-1]:
        fields.pop()
    return fields


def frame(fields: Iterable[str]) -> bytes:
    """One frame holding `fields`, each ended by a NUL. A NUL inside a field would make two of it: give none."""
    return frame_text("\0".join(fields) + "\0")


def frame_text(text: str) -> bytes:
    """One frame holding text whose fields are already ended by NULs."""
    return frame_payload(text.encode("utf-8", "backslashreplace"))


def frame_payload(payload: bytes) -> bytes:
    """One frame holding a payload."""
    return len(payload).to_bytes(_HEADER, "big") + payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """What a client offers in its first frame: the server versions it understands, and its connect options."""

    lowest: int
    highest: int
    options: str


def take_hello(received: bytes) -> tuple[Hello, bytes] | None:
    """The client's opening and the bytes after it, or None while it is not complete.

    Raises ProtocolError when the bytes are not an API client's, for instance a web browser's.
    """
    if not _MAGIC.startswith(received[: len(_MAGIC)]):
        raise ProtocolError(f"the client began with {received[:8]!r}, not with an API greeting: close the connection")
    start = len(_MAGIC) + _HEADER
    if len(received) < start:
        return None
    length = int.from_bytes(received[len(_MAGIC) : start], "big")
    if length > _HELLO_LIMIT:
        raise ProtocolError(f"the client's greeting announces {length} bytes: close the connection")
    if len(received) < start + length:
        return None
    return parse_hello(received[start : start + length]), received[start + length :]


def parse_hello(payload: bytes) -> Hello:
    """Reads `v157..176` or `v176`, with connect options after a blank; a closing NUL is accepted.

    Raises ProtocolError when the text is not that.
    """
    text = payload.decode("utf-8", "backslashreplace").rstrip("\0")
    match = _VERSIONS.fullmatch(text)
    if match is None:
        raise ProtocolError(f"the client offers versions as {text[:40]!r}, not as vMIN..MAX: close the connection")
    lowest, highest, options = match.groups()
    return Hello(lowest=int(lowest), highest=int(highest or lowest), options=options or "")


def hello(lowest: int, highest: int, options: str = "") -> bytes:
    """The bytes a client opens a connection with."""
    text = f"v{lowest}..{highest}" + (f" {options}" if options else "")
    return _MAGIC + frame_text(text)


def negotiate(server_highest: int, client_lowest: int, client_highest: int) -> int:
    """The highest server version both sides know.

    Raises ProtocolError when there is none at or above 157: the connection is closed, as a real gateway does.
    """
    version = min(server_highest, client_highest)
    if version < max(LOWEST_SERVER_VERSION, client_lowest):
        raise ProtocolError(
            f"the client speaks server versions {client_lowest} to {client_highest}, "
            f"this server {LOWEST_SERVER_VERSION} to {server_highest}: use another client library"
        )
    return version


def greeting(server_version: int, connect_time: str) -> bytes:
    """The server's answer to a greeting; `connect_time` as in `20240325 14:30:18 Greenwich Mean Time`."""
    return frame((str(server_version), connect_time))
