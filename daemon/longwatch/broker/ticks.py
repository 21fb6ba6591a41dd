"""The ticks of one piece of the byte stream: of each line and kind only the newest is read; used by line.py.

A flood is met by leaving out what nobody would see: within one piece no quote is looked at, so the last price of a line
stands for those before it. Nothing overtakes anything else: other messages wait until the ticks before them are told.
"""

from __future__ import annotations

from longwatch.broker.heard import Heard
from longwatch.wire.framing import split

STARTS = frozenset((b"1\0", b"2\0"))
"""How tickPrice and tickSize begin."""

PRICE_PARTS, SIZE_PARTS = 5, 3
"""What comes after request id and tick type, and the end of the last field: price, size, attributes; size."""

MOST_HEADS = 4096
UNREADABLE = (ValueError, TypeError)


class Ticks:
    """Takes messages 1 and 2 as bytes and tells them, conflated, to the connection's owner."""

    __slots__ = ("_heads", "_heard", "_newest", "_taken")

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        # everything up to the tick type -> what follows, the newest last
        self._newest: dict[bytes, list[bytes]] = {}
        self._heads: dict[bytes, tuple[int, int]] = {}
        self._taken = 0

    def take(self, payload: bytes) -> None:
        """Keep a message until the ticks are told, in the place of an older one of its line and kind."""
        parts = payload.rsplit(b"\0", 4 if payload[0] == 49 else 2)
        head = parts[0]
        newest = self._newest
        newest.pop(head, None)
        newest[head] = parts
        self._taken += 1

    def tell(self) -> None:
        """Tell what was taken, in the order of the wire."""
        if not self._taken:
            return
        newest, taken, self._newest, self._taken = self._newest, self._taken, {}, 0
        for head, parts in newest.items():
            try:
                request_id, tick_type = self._heads.get(head) or self._known(head)
                if len(parts) == PRICE_PARTS and head[0] == 49:
                    _, price, size, _, rest = parts
                    if price:
                        self._heard.tick_price(request_id, tick_type, _finite(price), _finite(size) if size else None)
                else:
                    _, size, rest = parts
                    self._heard.tick_size(request_id, tick_type, _finite(size or b"0"))
                if rest:
                    raise ValueError("its last field has no end")
            except UNREADABLE as error:
                fields = tuple(split(b"\0".join(parts)))
                self._heard.undecodable(head[0] - 48, fields, f"{type(error).__name__}: {error}"[:200])
        if taken > len(newest):
            self._heard.conflated(taken - len(newest))

    def _known(self, head: bytes) -> tuple[int, int]:
        _, _, request_id, tick_type = head.split(b"\0")
        if len(self._heads) >= MOST_HEADS:
            self._heads.clear()
        found = self._heads[head] = (int(request_id), int(tick_type))
        return found


def _finite(text: bytes) -> float:
    value = float(text)
    if value - value != 0:
        raise ValueError(f"{text.decode()!r} is not a finite number")
    return value
