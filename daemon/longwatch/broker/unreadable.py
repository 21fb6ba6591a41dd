"""What can be told of a message that could not be decoded: whom it was for, and what of it is kept; used by live."""

from __future__ import annotations

REQUEST_ID_AT = {10: (1, 2), 17: (1,), 52: (2,), 55: (2,), 63: (2,), 64: (2,)}
"""Message id -> where its request id may stand, by server version."""

CON_ID_AT = {5: 2, 7: 2, 11: 3, 61: 3, 101: 1}
LONGEST_ID = 10
MOST_FIELDS, LONGEST_TEXT = 400, 400
"""Of a message that can't be read more is not journalled; a sound openOrder has about 170 fields."""


def request_ids_of(message_id: int, fields: tuple[str, ...]) -> list[int]:
    """The ids that may be those of the request it answers."""
    found = (_number_at(fields, at) for at in REQUEST_ID_AT.get(message_id, ()))
    return [request_id for request_id in found if request_id is not None]


def con_id_of(message_id: int, fields: tuple[str, ...]) -> int | None:
    """The contract it is about, where that can be told."""
    return _number_at(fields, CON_ID_AT.get(message_id, len(fields)))


def kept(fields: tuple[str, ...]) -> tuple[str, ...]:
    """As much of a message as the journal is to keep."""
    return tuple(text[:LONGEST_TEXT] for text in fields[:MOST_FIELDS])


def _number_at(fields: tuple[str, ...], at: int) -> int | None:
    text = fields[at] if at < len(fields) else ""
    return int(text) if text.isdecimal() and len(text) <= LONGEST_ID else None
