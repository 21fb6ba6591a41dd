"""Holdings and the arithmetic of fills: quantity and average cost after each; read by the state's fold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

BILLIONTH = Decimal("1E-9")
LAST_DIGITS = Decimal("1E-15")
"""Far below any part of a share that there is, far above what lost digits come to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Our part of a position: signed shares, average cost per share, and profit realised so far, before commission."""

    con_id: int
    symbol: str
    quantity: Decimal = Decimal(0)
    average_cost: Decimal = Decimal(0)
    realized: Decimal = Decimal(0)


def after_fill(holding: Holding, signed: Decimal, price: Decimal) -> Holding:
    """The holding after `signed` shares traded at `price`.

    Adding averages the cost; reducing realises the difference to it; crossing zero does both.
    """
    held, total = holding.quantity, settled(holding.quantity + signed)
    if held == 0 or (held > 0) == (signed > 0):
        cost = (holding.average_cost * abs(held) + price * abs(signed)) / abs(total) if total else Decimal(0)
        return replace(holding, quantity=total, average_cost=cost)
    closed = min(abs(signed), abs(held))
    gain = (price - holding.average_cost) * closed * (1 if held > 0 else -1)
    crossed = (total > 0) == (signed > 0)
    return replace(
        holding,
        quantity=total,
        average_cost=(price if crossed else holding.average_cost) if total else Decimal(0),
        realized=holding.realized + gain,
    )


def settled(shares: Decimal) -> Decimal:
    """Without what was lost in the last digits when shares were divided in a split: three times a third is one."""
    nearest = shares.quantize(BILLIONTH)
    if shares == nearest or abs(shares - nearest) >= LAST_DIGITS:
        return shares
    return nearest.normalize() if nearest % 1 else nearest.to_integral_value()
