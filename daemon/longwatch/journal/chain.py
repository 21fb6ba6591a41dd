"""The hash chain over a journal's records: one changed byte changes every hash after it; kept by store.py.

The hash of a record is SHA-256 over the hash before it and the record in canonical form; before the first stands the
hash of the journal's id. Who keeps an anchor, a sequence and its hash, somewhere else can tell later that nothing up
to there was altered, taken out, put in or cut off, even by somebody who wrote the whole chain anew.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from longwatch.errors import UsageError
from longwatch.journal.records import Record


@dataclass(frozen=True, slots=True)
class Anchor:
    """A record's sequence and its hash; sequence 0 stands for the empty journal."""

    sequence: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.sequence}:{self.hash.hex() or '(no hash yet)'}"

    @classmethod
    def read(cls, text: str) -> Self:
        """An anchor as it is printed. Raises UsageError for anything else."""
        found = re.fullmatch(r"(\d{1,18}):([0-9a-fA-F]{64})", text.strip())
        if found is None:
            raise UsageError(f"{text!r} is no anchor; write it as `longwatch journal anchor` prints it: SEQUENCE:HASH")
        return cls(int(found[1]), bytes.fromhex(found[2]))


def first_link(journal_id: str) -> bytes:
    """What stands before the first record."""
    return sha256(f"longwatch journal {journal_id}\n".encode()).digest()


def link(before: bytes, record: Record) -> bytes:
    """The hash of a record that follows the one whose hash is `before`."""
    return link_of(before, record.sequence, record.cause, record.kind, record.schema, record.payload)


def link_of(before: bytes, sequence: int, cause: int, kind: str, schema: int, payload: bytes) -> bytes:
    """The same from the record's cells: a line `sequence cause kind schema length` stands before the payload."""
    return sha256(before + f"{sequence} {cause} {kind} {schema} {len(payload)}\n".encode() + payload).digest()
