"""Values of the domain as plain JSON: decimals as texts, times as ISO 8601 in UTC; used by what is told."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

Json = dict[str, Any]


def iso(at: datetime | date | None) -> str | None:
    """A time as ISO 8601 with `Z`, a date as it is."""
    return None if at is None else at.isoformat().replace("+00:00", "Z")


def plain(value: Decimal | None) -> str | None:
    """A number in plain digits."""
    return None if value is None else format(value, "f")


def rounded(value: Decimal, places: str) -> str:
    """A computed figure, half to even."""
    return f"{value.quantize(Decimal(places)):f}"
