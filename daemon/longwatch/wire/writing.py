"""Turns table rows into steps that append a message's texts to a list; compiled by the codec."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, assert_never

from longwatch.errors import ProtocolError
from longwatch.wire.fields import TEXT
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
    default_of,
    present,
    runs,
)

Values = Mapping[str, Any]
Write = Callable[[Values, list[str]], None]

_LEFT_OUT = object()
_UNSHOWN = (TypeError, ValueError, ArithmeticError, AttributeError)


def writer(rows: Rows, server_version: int, *before: Literal, outer: Rows = ()) -> Write:
    """The step that writes `before` and the rows of a server version; `outer` are rows whose values stand beside.

    The step raises ProtocolError naming the field that is missing or can't hold what it was given.
    """
    visible = outer + rows
    steps = [_write_step(run, server_version, visible) for run in runs(before + present(rows, server_version))]
    if len(steps) == 1:
        return steps[0]

    def write(values: Values, out: list[str]) -> None:
        for step in steps:
            step(values, out)

    return write


def _write_step(run: Rows, server_version: int, visible: Rows) -> Write:
    match run[0]:
        case Field() | Literal():
            return _write_plain(run)
        case When() as row:
            return _write_when(row, server_version, visible)
        case Switch() as row:
            return _write_switch(row, server_version, visible)
        case Repeat() as row:
            return _write_repeat(row, server_version)
        case Each() as row:
            return _write_each(row)
        case Pairs() as row:
            return _write_pairs(row)
        case Maybe() as row:
            return _write_maybe(row, server_version)
        case _ as row:
            assert_never(row)


def _write_plain(run: Rows) -> Write:
    plan = tuple(_plan(row) for row in run if isinstance(row, Field | Literal))
    named = frozenset(name for name, *_ in plan if name)
    defaults = [default for *_, default in plan if default is not None]
    may_be_left_out = len(defaults) == len(plan)

    def write(values: Values, out: list[str]) -> None:
        # Of an order's fields most are left out.
        if may_be_left_out and named.isdisjoint(values):
            out += defaults
            return
        get, append = values.get, out.append
        for name, show, blank, default in plan:
            value = get(name, _LEFT_OUT)
            if value is _LEFT_OUT:
                if default is None:
                    raise ProtocolError(f"the field {name} must be given")
                append(default)
            elif value is None:
                append(blank)
            else:
                try:
                    append(show(value))
                except _UNSHOWN as error:
                    raise _refusal(name, value, error) from error

    return write


def _refusal(name: str, value: object, error: Exception) -> ProtocolError:
    return ProtocolError(f"the field {name} can't hold {value!r}: {error}")


def _shown(name: str, show: Callable[[Any], str], value: Any) -> str:
    try:
        return show(value)
    except _UNSHOWN as error:
        raise _refusal(name, value, error) from error


def _plan(row: Field | Literal) -> tuple[str, Callable[[Any], str], str, str | None]:
    match row:
        case Field():
            return row.name, row.kind.show, row.blank, row.default_text
        case Literal():
            return "", str, row.text, row.text
        case _:
            assert_never(row)


def _write_when(row: When, server_version: int, visible: Rows) -> Write:
    inner = writer(row.rows, server_version, outer=visible)
    name, test, default = row.name, row.test, default_of(visible, row.name)

    def write(values: Values, out: list[str]) -> None:
        if test(values.get(name, default)):
            inner(values, out)

    return write


def _write_switch(row: Switch, server_version: int, visible: Rows) -> Write:
    cases = {value: writer(rows, server_version, outer=visible) for value, rows in row.cases.items()}
    name = row.name

    def write(values: Values, out: list[str]) -> None:
        inner = cases.get(values.get(name, _LEFT_OUT))
        if inner is None:
            raise ProtocolError(f"the field {name} must be one of {sorted(cases)}, not {values.get(name)!r}")
        inner(values, out)

    return write


def _write_repeat(row: Repeat, server_version: int) -> Write:
    inner = writer(row.rows, server_version)
    name = row.name

    def write(values: Values, out: list[str]) -> None:
        groups = values.get(name) or ()
        out.append(str(len(groups)))
        for group in groups:
            inner(group, out)

    return write


def _write_each(row: Each) -> Write:
    name, show, blank = row.name, row.kind.show, row.kind.blank

    def write(values: Values, out: list[str]) -> None:
        items = values.get(name) or ()
        out.append(str(len(items)))
        out.extend(blank if item is None else _shown(name, show, item) for item in items)

    return write


def _write_pairs(row: Pairs) -> Write:
    name = row.name

    def write(values: Values, out: list[str]) -> None:
        pairs = values.get(name) or ()
        out.append(str(len(pairs)))
        for tag, value in pairs:
            out += (_shown(name, TEXT.show, tag), _shown(name, TEXT.show, value))

    return write


def _write_maybe(row: Maybe, server_version: int) -> Write:
    inner = writer(row.rows, server_version)
    name = row.name

    def write(values: Values, out: list[str]) -> None:
        group = values.get(name)
        out.append("0" if group is None else "1")
        if group is not None:
            inner(group, out)

    return write
