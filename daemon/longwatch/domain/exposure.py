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
    total, orders = state.held(con_id), state.orders
    if con_id in state.outside:
        total += state.outside[con_id][1]
    for intent in state.live:
        order = orders[intent]
        if order.con_id == con_id and order.side is side:
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
    symbols, ups, downs = _sides(state)
    for con_id, symbol in symbols.items():
        price = prices.get(symbol)
        if price is None:
            price = _last_known_price(state, con_id, symbol)
        up, down = ups[con_id] * price, downs[con_id] * price
        gross += max(up, -down)
        high += up
        low += down
    return gross, max(high, -low)


def _sides(state: State) -> tuple[dict[int, str], dict[int, Decimal], dict[int, Decimal]]:
    """Instrument -> symbol, and its signed shares should all buys, or all sells, be filled: `worst_shares` of all."""
    symbols = {con_id: holding.symbol for con_id, holding in state.book.items() if holding.quantity}
    ups = {con_id: state.book[con_id].quantity for con_id in symbols}
    for con_id, (symbol, quantity) in state.outside.items():
        symbols[con_id] = symbol
        ups[con_id] = ups.get(con_id, ZERO) + quantity
    downs = dict(ups)
    orders: list[Order | ForeignOrderSet] = [state.orders[intent] for intent in state.live]
    orders.extend(state.foreign_orders.values())
    for order in orders:
        con_id = order.con_id
        if con_id not in symbols:
            symbols[con_id], ups[con_id], downs[con_id] = order.symbol, ZERO, ZERO
        if order.side is Side.BUY:
            ups[con_id] += order.remaining
        else:
            downs[con_id] -= order.remaining
    return symbols, ups, downs


def _last_known_price(state: State, con_id: int, symbol: str) -> Decimal:
    """For want of a sizing price: the last close, the decision price of a live order, the cost of what is held."""
    judged, holding = state.judged.get(symbol), state.book.get(con_id)
    if judged is not None and judged.close is not None:
        return judged.close
    ordered = next((order.decision_price for order in state.live_in(con_id)), None)
    return ordered or (holding.average_cost if holding else ZERO)
