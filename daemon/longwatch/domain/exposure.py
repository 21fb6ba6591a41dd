"""What the account could come to hold at worst, and what that is worth; called by risk.

At worst every live order of one side (working, sending or unknown) fills and none of the other. Positions and orders
that are not ours count too.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from longwatch.domain.instruments import Side
from longwatch.domain.messages import ForeignOrderSet
from longwatch.domain.orders import Order
from longwatch.domain.state import State

ZERO = Decimal(0)


def worst_shares(state: State, con_id: int, side: Side) -> Decimal:
    """Signed shares of the account should every live order on `side`, ours or not, fill and none on the other side."""
    total = state.held(con_id) + state.outside.get(con_id, ("", ZERO))[1]
    for order in state.live_in(con_id):
        if order.side is side:
            total += order.remaining * side.sign
    for foreign in state.foreign_orders.values():
        if foreign.con_id == con_id and foreign.side is side:
            total += foreign.remaining * side.sign
    return total


def worst_values(state: State, prices: Mapping[str, Decimal]) -> tuple[Decimal, Decimal]:
    """Gross and net exposure at worst, over every instrument held or ordered: the larger side of each, apart.

    What `prices` does not name counts at the price it was last bought, ordered or closed at.
    """
    gross, high, low = ZERO, ZERO, ZERO
    for con_id, (symbol, up, down) in _worst_of_all(state).items():
        price = prices.get(symbol)
        if price is None:
            price = _last_known_price(state, con_id, symbol)
        most, least = up * price, down * price
        gross += max(abs(most), abs(least))
        high, low = high + most, low + least
    return gross, max(high, -low)


def _worst_of_all(state: State) -> dict[int, tuple[str, Decimal, Decimal]]:
    """Instrument -> symbol, and its signed shares should all buys, or all sells, be filled, in one pass."""
    worst: dict[int, tuple[str, Decimal, Decimal]] = {}
    for con_id, holding in state.book.items():
        if holding.quantity:
            worst[con_id] = (holding.symbol, holding.quantity, holding.quantity)
    for con_id, (symbol, quantity) in state.outside.items():
        _, up, down = worst.get(con_id, (symbol, ZERO, ZERO))
        worst[con_id] = (symbol, up + quantity, down + quantity)
    orders: tuple[Order | ForeignOrderSet, ...] = (*state.live_orders(), *state.foreign_orders.values())
    for order in orders:
        _, up, down = worst.get(order.con_id, (order.symbol, ZERO, ZERO))
        if order.side is Side.BUY:
            up += order.remaining
        else:
            down -= order.remaining
        worst[order.con_id] = (order.symbol, up, down)
    return worst


def _last_known_price(state: State, con_id: int, symbol: str) -> Decimal:
    """For want of a sizing price: the last close, the decision price of a live order, the cost of what is held."""
    judged, holding = state.judged.get(symbol), state.book.get(con_id)
    if judged is not None and judged.close is not None:
        return judged.close
    ordered = next((order.decision_price for order in state.live_in(con_id)), None)
    return ordered or (holding.average_cost if holding else ZERO)
