"""One codec over any message table, compiled once for each message and server version; used by requests and replies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import call
from typing import Any

from longwatch.errors import ProtocolError
from longwatch.wire.framing import HIGHEST_SERVER_VERSION, LOWEST_SERVER_VERSION, frame_text
from longwatch.wire.layout import Field, Literal, Message, names, present
from longwatch.wire.reading import reader
from longwatch.wire.writing import Values, writer

OPEN_NUMBER = b"\x01"
"""Stands for a number still to be written. No field holds it, and no length of a frame so short does."""

LONGEST_OPEN = 255


class Codec:
    """Writes and reads one message type at one server version."""

    __slots__ = ("_known", "_read", "_write", "fields", "message", "server_version")

    def __init__(self, message: Message, server_version: int) -> None:
        if not LOWEST_SERVER_VERSION <= server_version <= HIGHEST_SERVER_VERSION:
            raise ProtocolError(
                f"server version {server_version} is not spoken: "
                f"use {LOWEST_SERVER_VERSION} to {HIGHEST_SERVER_VERSION}"
            )
        if server_version < message.since:
            raise ProtocolError(f"{message.name} begins at server version {message.since}, not {server_version}")
        self.message = message
        self.server_version = server_version
        self.fields = present(message.rows, server_version)
        self._known = frozenset(names(message.rows))
        self._write = writer(message.rows, server_version, Literal(str(message.id)))
        self._read = reader(message.rows, server_version)

    def encode(self, values: Values) -> bytes:
        """The framed message. Raises ProtocolError naming the field that is missing, unknown or not of its kind."""
        out: list[str] = []
        self._write(values, out)
        if not values.keys() <= self._known:
            strange = sorted(values.keys() - self._known)
            raise ProtocolError(f"{self.message.name} has no field {', '.join(strange)}")
        out.append("")
        return frame_text("\0".join(out))

    def decode(self, fields: Sequence[str]) -> tuple[dict[str, Any], Sequence[str]]:
        """The values, and the fields after the last one known. Raises UnreadableField naming field and text."""
        values: dict[str, Any] = {}
        end = self._read(fields, 1, values)
        return values, fields[end:]

    def quick(self, *, for_any: bool = False) -> Callable[..., bytes]:
        """A writer of a message of plain fields that takes its values by position, in the table's order.

        With `for_any` the first value is only how many digits the first field will have: it is written OPEN_NUMBER, and
        the frame is one when that is replaced. For quotes: it checks nothing twice. Raises ProtocolError when the
        message is not of plain fields; the writer raises TypeError or ValueError for a value that is not of its field's
        kind.
        """
        rows = self.fields
        plain = [row for row in rows if isinstance(row, Field)]
        if any(not isinstance(row, Field | Literal) for row in rows):
            raise ProtocolError(f"{self.message.name} has conditional or repeated fields: use encode")
        texts = (row.text if isinstance(row, Literal) else "%s" for row in rows)
        template = "\0".join((str(self.message.id), *texts)) + "\0"
        shows = tuple(row.kind.show for row in plain)
        if for_any:
            return _for_any(template, shows)
        width = len(shows)

        def write(*values: Any) -> bytes:
            if len(values) != width:
                raise TypeError(f"{width} values are written, {len(values)} were given")
            payload = (template % tuple(map(call, shows, values))).encode("utf-8", "backslashreplace")
            return len(payload).to_bytes(4, "big") + payload

        return write

    def open_text(self, **constants: Any) -> str:
        """The payload of a message of plain fields as text: its first field OPEN_NUMBER, these constants, else `%s`.

        A frame of it is the length of the text when all is filled in, as four bytes, and the text.
        """
        texts = [str(self.message.id)]
        number = OPEN_NUMBER.decode()
        for row in self.fields:
            match row:
                case Literal():
                    texts.append(row.text)
                case Field() if number:
                    texts.append(number)
                    number = ""
                case Field():
                    texts.append(row.kind.show(constants[row.name]) if row.name in constants else "%s")
                case _:
                    raise ProtocolError(f"{self.message.name} has conditional or repeated fields: use encode")
        return "\0".join(texts) + "\0"


def _for_any(template: str, shows: tuple[Callable[[Any], str], ...]) -> Callable[..., bytes]:
    """A quick writer that leaves the first field open."""
    begun = template.replace("%s", OPEN_NUMBER.decode(), 1)
    rest = shows[1:]
    width = len(rest)

    def write(digits: int, *values: Any) -> bytes:
        if len(values) != width:
            raise TypeError(f"{width} values are written, {len(values)} were given")
        payload = (begun % tuple(map(call, rest, values))).encode("ascii")
        length = len(payload) + digits - 1
        if length > LONGEST_OPEN:
            raise ValueError(f"a frame with an open number holds at most {LONGEST_OPEN} bytes, not {length}")
        return length.to_bytes(4, "big") + payload

    return write
