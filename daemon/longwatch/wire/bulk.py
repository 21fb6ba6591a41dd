"""Reads long messages column by column instead of row by row; for the adapter's histories."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from longwatch.wire.fields import UnreadableField
from longwatch.wire.layout import label


@dataclass(frozen=True, slots=True, kw_only=True)
class BarColumns:
    """The bars of one historicalData message as columns, oldest first; prices and volumes are doubles."""

    req_id: int
    start: str
    end: str
    dates: list[str]
    open: array[float]
    high: array[float]
    low: array[float]
    close: array[float]
    volume: array[float]
    wap: array[float]
    count: array[float]


_BARS_AT = 5
_BAR_WIDTH = 8


def bar_columns(fields: Sequence[str]) -> BarColumns:
    """Reads historicalData (below server version 196) column by column, for histories too long to build row by row.

    Raises UnreadableField when the count and the fields disagree or a value is not a number.
    """
    try:
        count = int(fields[4])
        body = fields[_BARS_AT:]
        if len(body) != count * _BAR_WIDTH:
            raise ValueError(count)
        columns = [array("d", map(float, body[i::_BAR_WIDTH])) for i in range(1, _BAR_WIDTH)]
        req_id, start, end = int(fields[1]), fields[2], fields[3]
    except (ValueError, IndexError):
        raise _bar_fault(fields) from None
    prices = dict(zip(_BAR_NUMBERS, columns, strict=True))
    return BarColumns(req_id=req_id, start=start, end=end, dates=list(body[::_BAR_WIDTH]), **prices)


_BAR_NUMBERS = ("open", "high", "low", "close", "volume", "wap", "count")


def _bar_fault(fields: Sequence[str]) -> UnreadableField:
    for i, text in enumerate(fields[_BARS_AT:]):
        column = i % _BAR_WIDTH
        try:
            if column:
                float(text)
        except ValueError:
            return UnreadableField(label(_BAR_NUMBERS[column - 1]), text)
    return UnreadableField("Bars", fields[4] if len(fields) > 4 else "")
