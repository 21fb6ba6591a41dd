"""Shares as a run's books have them: the gateway's fills and events, and the journal's facts; read by evidence.

A split multiplies what was there before it, and a fraction of a share is paid out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import TYPE_CHECKING, Any, Protocol

from longwatch.gateway.events import Happened

if TYPE_CHECKING:
    from longwatch.simulation.evidence import Evidence, Row

ZERO = Decimal(0)
SHARE_FACTS = ("FillBooked", "SplitBooked", "HoldingAdopted")
"""The kinds of facts that `booked_shares` adds up."""

Booked = dict[int, tuple[Decimal, Decimal]]
"""Contract -> shares, and what was paid for them."""


class Filled(Protocol):
    """A fill of the gateway's books; `quantity` signed."""

    @property
    def con_id(self) -> int: ...
    @property
    def quantity(self) -> Decimal: ...
    @property
    def price(self) -> Decimal: ...
    @property
    def at(self) -> datetime: ...


def true_shares(fills: Iterable[Filled], events: Iterable[Happened], at: datetime) -> Booked:
    """What fills and splits up to an instant come to, and what the fills cost."""
    found: Booked = {}
    for step in _steps((one for one in fills if one.at <= at), (one for one in events if one.at <= at)):
        shares, paid = found.get(step.con_id, (ZERO, ZERO))
        cost = ZERO if isinstance(step, Happened) else step.quantity * step.price
        found[step.con_id] = _after(shares, step), paid + cost
    return found


def shares_since(
    fills: Iterable[Filled], events: Iterable[Happened]
) -> dict[int, tuple[list[datetime], list[Decimal]]]:
    """By contract: the instants of its fills and splits, and the shares from each on."""
    found: dict[int, tuple[list[datetime], list[Decimal]]] = {}
    for step in _steps(fills, events):
        times, held = found.setdefault(step.con_id, ([], []))
        times.append(step.at)
        held.append(_after(held[-1] if held else ZERO, step))
    return found


def _steps(fills: Iterable[Filled], events: Iterable[Happened]) -> list[Filled | Happened]:
    """Fills and splits in their order; at one instant a split is first, as it is at the open.

    What is transferred or assigned is not the daemon's.
    """
    steps: list[Filled | Happened] = [one for one in events if one.event.kind == "split"]
    return sorted([*steps, *fills], key=lambda one: one.at)


def _after(shares: Decimal, step: Filled | Happened) -> Decimal:
    return _split(shares, step.event.ratio) if isinstance(step, Happened) else shares + step.quantity


def booked_shares(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> Booked:
    """The same for the journal's facts of ours, as (kind, payload) in order."""
    fills: dict[str, tuple[int, Decimal, Decimal]] = {}
    splits: list[Mapping[str, Any]] = []
    for number, (kind, body) in enumerate(rows):
        if kind == "SplitBooked":
            splits.append(body)
            _restate(fills, body, number)
        elif kind == "HoldingAdopted":
            paid = Decimal(body["average_cost"])
            fills[f"adopted {number}"] = (body["con_id"], Decimal(body["quantity"]), paid)
        else:
            fills.pop(body["replaces"] or "", None)
            if body["intent"] is not None:
                fills[body["exec_id"]] = _in_new_shares(body, splits)
    found: Booked = {}
    for con_id, quantity, price in fills.values():
        shares, value = found.get(con_id, (ZERO, ZERO))
        found[con_id] = shares + quantity, value + quantity * price
    return found


def sizing_prices(evidence: Evidence, sized: Row, at: datetime) -> dict[str, Decimal]:
    """What decisions of `sized` are sized at, by symbol, in the shares of an instant."""
    prices = {name: Decimal(price) for name, price in sized.body["prices"]}
    for one in evidence.events:
        if one.event.kind == "split" and sized.at < one.at <= at and one.event.symbol in prices:
            new, old = (Decimal(part) for part in one.event.ratio.split("/"))
            prices[one.event.symbol] *= old / new
    return prices


def _split(shares: Decimal, ratio: str) -> Decimal:
    new, old = (Decimal(part) for part in ratio.split("/"))
    return (shares * new / old).to_integral_value(ROUND_DOWN)


def _restate(fills: dict[str, tuple[int, Decimal, Decimal]], body: Mapping[str, Any], number: int) -> None:
    """A split's fact gives shares of ours in whole; what that leaves of the fills' product was paid out."""
    con_id, new, old = body["con_id"], body["new"], body["old"]
    for name, (where, quantity, price) in list(fills.items()):
        if where == con_id:
            fills[name] = (con_id, quantity * new / old, price * old / new)
    left = Decimal(body["book"]) - sum((quantity for where, quantity, _ in fills.values() if where == con_id), ZERO)
    if left:
        fills[f"split {number}"] = (con_id, left, ZERO)


def _in_new_shares(body: Mapping[str, Any], splits: list[Mapping[str, Any]]) -> tuple[int, Decimal, Decimal]:
    """An execution as it counts after the splits since."""
    quantity = Decimal(body["quantity"]) * (1 if body["side"] == "BUY" else -1)
    price, at = Decimal(body["price"]), datetime.fromisoformat(body["executed_at"])
    for split in splits:
        if split["con_id"] == body["con_id"] and at < datetime.fromisoformat(split["at"]):
            quantity, price = quantity * split["new"] / split["old"], price * split["old"] / split["new"]
    return body["con_id"], quantity, price
