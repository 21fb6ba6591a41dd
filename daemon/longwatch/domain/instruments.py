"""What can be traded, and the grids its prices and quantities lie on; made by the broker's contract look-up."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Decimal
from enum import StrEnum


class Side(StrEnum):
    """The direction of an order or a fill."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        """The other one."""
        return Side.SELL if self is Side.BUY else Side.BUY


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A contract as the broker knows it; `tick` in its currency, `lot` in shares, `zone` an IANA name.

    `min_size`: the broker takes no order for fewer shares, whatever the order is for; 0 where it has told none.
    """

    con_id: int
    symbol: str
    sec_type: str = "STK"
    currency: str = "USD"
    exchange: str = "SMART"
    primary_exchange: str = ""
    tick: Decimal = Decimal("0.01")
    lot: Decimal = Decimal(1)
    min_size: Decimal = Decimal(0)
    multiplier: Decimal = Decimal(1)
    zone: str = "America/New_York"


def to_tick(price: Decimal, tick: Decimal, side: Side) -> Decimal:
    """A limit price on the tick grid, a buy rounded down and a sell up: it never gives more than was asked for."""
    rounding = ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
    return (price / tick).to_integral_value(rounding=rounding) * tick


def beyond_tick(price: Decimal, tick: Decimal, side: Side) -> Decimal:
    """A stop price on the tick grid, a buy rounded up and a sell down: it is never triggered before what was asked."""
    rounding = ROUND_CEILING if side is Side.BUY else ROUND_FLOOR
    return (price / tick).to_integral_value(rounding=rounding) * tick


def to_lot(quantity: Decimal, lot: Decimal) -> Decimal:
    """A quantity of shares rounded towards zero to whole lots."""
    return (quantity / lot).to_integral_value(rounding=ROUND_DOWN) * lot


def to_order(quantity: Decimal, instrument: Instrument) -> Decimal:
    """Whole lots of an instrument, rounded towards zero; nothing where the broker takes no order for so few."""
    whole = to_lot(quantity, instrument.lot)
    return whole if abs(whole) >= instrument.min_size else Decimal(0)
