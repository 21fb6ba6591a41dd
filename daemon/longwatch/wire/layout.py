"""The rows a message table is made of, with the versions each is on the wire for; read by the codec.

    Field      one value under a name           Repeat     a count, then that many groups of rows → list of dicts
    Literal    a constant, the version number   Each       a count, then that many single values  → list
    When       rows present if a value says so  Pairs      a count, then (tag, value) twos       → tuple of pairs
    Switch     rows chosen by a value           Maybe      a 0/1 flag, then rows if 1            → dict or None

`since` is the first server version with the row, `until` the first without it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import groupby
from typing import Any

from longwatch.wire.fields import ID, INFINITE, TEXT, Kind

ALWAYS = 0
NEVER_ENDS = 1 << 30


class _Required:
    __slots__ = ()

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = _Required()
"""The default of a field a writer must give."""


@dataclass(frozen=True, slots=True)
class Field:
    """One value. A writer that leaves it out gets `default`; None, given or by default, is written as `unset`."""

    name: str
    kind: Kind
    default: Any = field(default=REQUIRED, kw_only=True)
    unset: str | None = field(default=None, kw_only=True)
    since: int = field(default=ALWAYS, kw_only=True)
    until: int = field(default=NEVER_ENDS, kw_only=True)

    @property
    def blank(self) -> str:
        """The text of an unset value."""
        return self.kind.blank if self.unset is None else self.unset

    @property
    def default_text(self) -> str | None:
        """What is written when the value is left out; None when it must not be."""
        if self.default is REQUIRED:
            return None
        return self.blank if self.default is None else self.kind.show(self.default)


def may(
    name: str,
    kind: Kind = TEXT,
    default: Any = None,
    *,
    unset: str | None = None,
    since: int = ALWAYS,
    until: int = NEVER_ENDS,
) -> Field:
    """A field a writer may leave out."""
    return Field(name, kind, default=default, unset=unset, since=since, until=until)


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant: the message's own version number. Readers skip it, as IB's clients do."""

    text: str
    since: int = field(default=ALWAYS, kw_only=True)
    until: int = field(default=NEVER_ENDS, kw_only=True)


@dataclass(frozen=True, slots=True)
class When:
    """Rows present when the value named (read before, or given) passes `test`; their values stand beside it."""

    name: str
    test: Callable[[Any], bool]
    rows: Rows
    since: int = field(default=ALWAYS, kw_only=True)
    until: int = field(default=NEVER_ENDS, kw_only=True)


@dataclass(frozen=True, slots=True)
class Switch:
    """Rows chosen by the value named; a value without a case is not the protocol's."""

    name: str
    cases: Mapping[int, Rows]
    since: int = field(default=ALWAYS, kw_only=True)
    until: int = field(default=NEVER_ENDS, kw_only=True)


@dataclass(frozen=True, slots=True)
class Repeat:
    """A count and that many groups: a list of dicts."""

    name: str
    rows: Rows
    since: int = field(default=ALWAYS, kw_only=True)
    until: int = field(default=NEVER_ENDS, kw_only=True)


@dataclass(frozen=True, slots=True)
class Each:
    """A count and that many values of one kind: a list."""

    name: str
    kind: Kind
    since: int = field(default=ALWAYS, kw_only=True)
    until: int = field(default=NEVER_ENDS, kw_only=True)


@dataclass(frozen=True, slots=True)
class Pairs:
    """A count and that many (tag, value) twos: a tuple of pairs."""

    name: str
    since: int = field(default=ALWAYS, kw_only=True)
    until: int = field(default=NEVER_ENDS, kw_only=True)


@dataclass(frozen=True, slots=True)
class Maybe:
    """A flag, 0 or 1, and the rows if it is 1: a dict or None."""

    name: str
    rows: Rows
    since: int = field(default=ALWAYS, kw_only=True)
    until: int = field(default=NEVER_ENDS, kw_only=True)


Row = Field | Literal | When | Switch | Repeat | Each | Pairs | Maybe
Rows = tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """One message type: its id, its name, its rows after the id, and the first server version that has it."""

    id: int
    name: str
    rows: Rows
    since: int = field(default=ALWAYS, kw_only=True)


REQ_ID = Field("reqId", ID)
"""The request's own number, first after the version in most messages."""


def present(rows: Rows, server_version: int) -> Rows:
    """The rows on the wire at a server version."""
    return tuple(row for row in rows if row.since <= server_version < row.until)


def runs(rows: Rows) -> Iterable[Rows]:
    """Neighbouring plain rows together, every other row alone."""
    for plain, group in groupby(rows, key=lambda row: isinstance(row, Field | Literal)):
        run = tuple(group)
        yield from (run,) if plain else ((row,) for row in run)


def names(rows: Rows) -> Iterator[str]:
    """Every name a writer of these rows may give, over all versions; names inside groups are the group's own."""
    for row in rows:
        match row:
            case Literal():
                pass
            case When():
                yield from names(row.rows)
            case Switch():
                for case in row.cases.values():
                    yield from names(case)
            case _:
                yield row.name


def default_of(rows: Rows, name: str) -> Any:
    """What a writer means by leaving `name` out; None when it has no default of its own."""
    for row in rows:
        match row:
            case Field() if row.name == name:
                return None if row.default is REQUIRED else row.default
            case When():
                if (found := default_of(row.rows, name)) is not None:
                    return found
            case _:
                pass
    return None


def label(name: str) -> str:
    """A field's name as a real gateway writes it in error 320: `reqId` is `Client Req Id`."""
    if name == "reqId":
        return "Client Req Id"
    words = re.findall(r"[A-Z]{2,}(?![a-z])|[A-Z]?[a-z0-9]+|[A-Z]", name)
    return " ".join(word[:1].upper() + word[1:] for word in words)


def is_set(value: Any) -> bool:
    """Neither unset, empty nor zero."""
    return bool(value)


def is_positive(value: Any) -> bool:
    """A number above zero."""
    return value is not None and value != "" and Decimal(str(value)) > 0


def is_infinite(value: Any) -> bool:
    """The number infinity, in any of its types."""
    return value is not None and value != "" and value == INFINITE


def is_one_of(*texts: str) -> Callable[[Any], bool]:
    """The test of being one of `texts`."""
    return frozenset(texts).__contains__
