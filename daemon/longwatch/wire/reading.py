"""Turns table rows into steps that take values from a message's fields; compiled by the codec.

A step gets the fields and the position it begins at, adds what it reads to the values, and returns the next position.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import call
from typing import Any, assert_never

from longwatch.wire.fields import BOOL, INT, Kind, UnreadableField
from longwatch.wire.layout import (
    Each,
    Field,
    Literal,
    Maybe,
    Pairs,
    Repeat,
    Rows,
    Switch,
    When,
    label,
    present,
    runs,
)

Read = Callable[[Sequence[str], int, dict[str, Any]], int]

_UNPARSED = (ValueError, ArithmeticError)


def reader(rows: Rows, server_version: int) -> Read:
    """The step that reads the rows of a server version. It raises UnreadableField naming field and text."""
    steps = [_read_step(run, server_version) for run in runs(present(rows, server_version))]
    if len(steps) == 1:
        return steps[0]

    def read(fields: Sequence[str], at: int, values: dict[str, Any]) -> int:
        for step in steps:
            at = step(fields, at, values)
        return at

    return read


def _read_step(run: Rows, server_version: int) -> Read:
    match run[0]:
        case Field() | Literal():
            return _read_plain(run)
        case When() as row:
            return _read_when(row, server_version)
        case Switch() as row:
            return _read_switch(row, server_version)
        case Repeat() as row:
            return _read_repeat(row, server_version)
        case Each() as row:
            return _read_each(row)
        case Pairs() as row:
            return _read_pairs(row)
        case Maybe() as row:
            return _read_maybe(row, server_version)
        case _ as row:
            assert_never(row)


def _read_plain(run: Rows) -> Read:
    lead = sum(1 for row in run if isinstance(row, Literal))
    plain = [row for row in run if isinstance(row, Field)]
    keys = tuple(row.name for row in plain)
    parsers = tuple(row.kind.parse for row in plain)
    width = len(plain)

    def read(fields: Sequence[str], at: int, values: dict[str, Any]) -> int:
        start = at + lead
        texts = fields[start : start + width]
        try:
            values.update(zip(keys, map(call, parsers, texts), strict=True))
        except _UNPARSED:
            raise _blame(keys, parsers, texts) from None
        return start + width

    return read


def _blame(keys: Sequence[str], parsers: Sequence[Callable[[str], Any]], texts: Sequence[str]) -> UnreadableField:
    """The first field of a run that can't be parsed or is not there."""
    for key, parse, text in zip(keys, parsers, texts, strict=False):
        try:
            parse(text)
        except _UNPARSED:
            return UnreadableField(label(key), text)
    return UnreadableField(label(keys[len(texts)]), "")


def _read_one(kind: Kind, name: str, fields: Sequence[str], at: int) -> Any:
    text = fields[at] if at < len(fields) else ""
    try:
        if at >= len(fields):
            raise ValueError(name)
        return kind.parse(text)
    except _UNPARSED:
        raise UnreadableField(label(name), text) from None


def _read_count(name: str, fields: Sequence[str], at: int, width: int = 1) -> int:
    """A count of groups of `width` fields or more; one that what is left can't hold is refused, not tried."""
    count: int = _read_one(INT, name, fields, at) or 0
    if not 0 <= count * width < len(fields) - at:
        raise UnreadableField(label(name), fields[at])
    return count


def _read_when(row: When, server_version: int) -> Read:
    inner = reader(row.rows, server_version)
    name, test = row.name, row.test

    def read(fields: Sequence[str], at: int, values: dict[str, Any]) -> int:
        return inner(fields, at, values) if test(values.get(name)) else at

    return read


def _read_switch(row: Switch, server_version: int) -> Read:
    cases = {value: reader(rows, server_version) for value, rows in row.cases.items()}
    name = row.name

    def read(fields: Sequence[str], at: int, values: dict[str, Any]) -> int:
        inner = cases.get(values[name])
        if inner is None:
            raise UnreadableField(label(name), fields[at - 1])
        return inner(fields, at, values)

    return read


def _read_repeat(row: Repeat, server_version: int) -> Read:
    inner = reader(row.rows, server_version)
    name = row.name
    width = sum(1 for inside in present(row.rows, server_version) if isinstance(inside, Field))

    def read(fields: Sequence[str], at: int, values: dict[str, Any]) -> int:
        count = _read_count(name, fields, at, width)
        at += 1
        groups: list[dict[str, Any]] = []
        for _ in range(count):
            group: dict[str, Any] = {}
            at = inner(fields, at, group)
            groups.append(group)
        values[name] = groups
        return at

    return read


def _read_each(row: Each) -> Read:
    name, kind = row.name, row.kind

    def read(fields: Sequence[str], at: int, values: dict[str, Any]) -> int:
        end = at + 1 + _read_count(name, fields, at)
        values[name] = [_read_one(kind, name, fields, i) for i in range(at + 1, end)]
        return end

    return read


def _read_pairs(row: Pairs) -> Read:
    name = row.name

    def read(fields: Sequence[str], at: int, values: dict[str, Any]) -> int:
        end = at + 1 + 2 * _read_count(name, fields, at, 2)
        values[name] = tuple(zip(fields[at + 1 : end : 2], fields[at + 2 : end : 2], strict=True))
        return end

    return read


def _read_maybe(row: Maybe, server_version: int) -> Read:
    inner = reader(row.rows, server_version)
    name = row.name

    def read(fields: Sequence[str], at: int, values: dict[str, Any]) -> int:
        flag = _read_one(BOOL, name, fields, at)
        values[name] = None
        if not flag:
            return at + 1
        group: dict[str, Any] = {}
        at = inner(fields, at + 1, group)
        values[name] = group
        return at

    return read
