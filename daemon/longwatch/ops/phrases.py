"""Orders, quantities and shares of a whole as a person reads them; used by the narrator."""

from __future__ import annotations

from decimal import Decimal

from longwatch.domain.orders import Order
from longwatch.domain.state import State

_LARGE = Decimal(10) ** 18


def order_text(order: Order) -> str:
    """An order in one breath: `BUY 120 AAPL LMT 12.05 DAY (entry, #7)`."""
    prices = "".join(f" {number(price)}" for price in (order.limit_price, order.stop_price) if price is not None)
    what = f"{order.side.value} {number(order.quantity)} {order.symbol} {order.order_type.value}{prices} {order.tif}"
    return f"{what} ({order.purpose.value}, #{order.intent})"


def number(value: Decimal) -> str:
    """A quantity or price for reading: thousands apart, at most six places, no trailing zeros, but cents whole."""
    text = f"{value.quantize(Decimal('1.000000')):,f}" if abs(value) < _LARGE else f"{value:,.0f}"
    whole, _, places = text.partition(".")
    places = places.rstrip("0")
    return whole if not places else f"{whole}.{places:0<2}"


def percent(weight: Decimal) -> str:
    """A fraction as a percentage to one place."""
    return f"{weight * 100:.1f} %"


def counted(count: int, noun: str) -> str:
    """`1 order`, `2 orders`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def symbol_of(state: State, con_id: int | None) -> str:
    """The symbol of a contract id, or the id itself where no contract is known."""
    names = (name for name, instrument in state.instruments.items() if instrument.con_id == con_id)
    return next(names, f"contract {con_id}")
