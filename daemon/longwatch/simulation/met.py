"""Which commits meet a point of an order's way, by the facts in them; asked by the cutter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from longwatch.simulation.cuts import Point


def concerns(point: Point, facts: Sequence[tuple[str, Mapping[str, Any]]]) -> bool:
    """Whether a commit is an occurrence of a point of an order's way."""
    return any(CONCERNED[point](kind, body) for kind, body in facts)


def _is_intended(kind: str, body: Mapping[str, Any]) -> bool:
    return kind == "OrderIntended"


def _is_handed(kind: str, body: Mapping[str, Any]) -> bool:
    return kind == "OrderMoved" and body["state"] == "sending"


def _is_acknowledged(kind: str, body: Mapping[str, Any]) -> bool:
    return kind == "OrderMoved" and body["evidence"] == "acknowledged by the broker"


def _is_filled(kind: str, body: Mapping[str, Any]) -> bool:
    return kind == "FillBooked" and body["intent"] is not None


CONCERNED: Mapping[Point, Callable[[str, Mapping[str, Any]], bool]] = {
    Point.INTENDED: _is_intended,
    Point.SENDING: _is_handed,
    Point.ACKNOWLEDGED: _is_acknowledged,
    Point.FILLED: _is_filled,
}
