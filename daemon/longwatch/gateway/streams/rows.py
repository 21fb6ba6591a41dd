"""Rows of downloads as they were last sent: readings of an account ask for most of them again; used by sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from longwatch.wire.framing import frame_payload
from longwatch.wire.replies import encode_reply

Values = dict[str, Any]
MadeOf = tuple[object, ...]
MOST = 20_000


class Rows:
    """Frames by message, server version and what the row is of; each is good for as long as it would be the same."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int, object], tuple[MadeOf, bytes]] = {}

    def frame(self, name: str, server_version: int, of: object, made_of: MadeOf, values: Callable[[], Values]) -> bytes:
        """The frame of the row that is `of` something; `values` is asked unless all it is made of is the same."""
        key = (name, server_version, of)
        kept = self._kept.get(key)
        if kept is None or kept[0] != made_of:
            if len(self._kept) >= MOST:
                self._kept.clear()
            kept = self._kept[key] = made_of, encode_reply(name, values(), server_version)
        return kept[1]


def renumbered(frame: bytes, req_id: int) -> bytes:
    """The frame of a message whose first field is the request's number, with another one."""
    start = frame.index(b"\0", 4) + 1
    return frame_payload(frame[4:start] + b"%d" % req_id + frame[frame.index(b"\0", start) :])
