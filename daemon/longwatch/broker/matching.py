"""When an order that rests at the mock exchange trades, and at what; used by exchange.MockExchange."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from longwatch.domain.instruments import Instrument, Side
from longwatch.domain.orders import STOPPED, Order

BASIS_POINT = Decimal("0.0001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When something happens at the exchange: market time, technical time, and the date of the session it counts to."""

    at: datetime
    tech: datetime
    session: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """What a share traded at while an order rested: first, highest and lowest price."""

    open: Decimal
    high: Decimal
    low: Decimal


@dataclass(slots=True, kw_only=True)
class Resting:
    """An order that waits for its price."""

    order: Order
    instrument: Instrument
    triggered: bool = False


def waits(resting: Resting) -> bool:
    """Whether a stop has not been triggered yet."""
    return resting.order.order_type in STOPPED and not resting.triggered


def traded_at(resting: Resting, seen: Range) -> Decimal | None:
    """The price an order has had in this range, or None; a stop that was touched stays triggered."""
    order, sign = resting.order, resting.order.side.sign
    stop, limit = order.stop_price, order.limit_price
    best, worst = (seen.low, seen.high) if order.side is Side.BUY else (seen.high, seen.low)
    first = seen.open
    if waits(resting):
        if stop is None or (worst - stop) * sign < 0:
            return None
        resting.triggered = True
        if (stop - seen.open) * sign > 0:
            # Touched on the way: what the market did before that is no price for it.
            return stop if limit is None or (limit - stop) * sign >= 0 else None
    if limit is None or (limit - first) * sign >= 0:
        return first
    return limit if (limit - best) * sign > 0 else None


def allows(order: Order, price: Decimal) -> bool:
    """Whether the order's limit, if it has one, lets it trade at a price."""
    return order.limit_price is None or (price - order.limit_price) * order.side.sign <= 0


def against(price: Decimal, tick: Decimal, side: Side) -> Decimal:
    """A price on the grid, rounded against us."""
    rounding = ROUND_CEILING if side is Side.BUY else ROUND_FLOOR
    return (price / tick).to_integral_value(rounding=rounding) * tick
