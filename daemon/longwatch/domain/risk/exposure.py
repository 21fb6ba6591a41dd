"""What the account could come to hold at worst, and what that is worth; called by risk.

At worst every live order of one side (working, sending or unknown) fills and none of the other; of orders of one OCA
group only the largest (oca.py). Positions and orders that are not ours count too. Where book and account were found to
differ, and nobody knows why yet, the worse counts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from decimal import Decimal
from itertools import takewhile

from longwatch.domain.instruments import Side
from longwatch.domain.messages import ForeignOrderSet
from longwatch.domain.orders import Order
from longwatch.domain.risk.oca import at_most, group_of, summed
from longwatch.domain.state import State

ZERO = Decimal(0)
SHOWN_WITHIN = timedelta(seconds=60)
"""Positions follow fills within seconds: by then one that the broker's status has told of is in the account's."""


def worst_shares(state: State, con_id: int, side: Side) -> Decimal:
    """Signed shares of the account should every live order on `side`, ours or not, fill and none on the other side."""
    total, orders = _told(state, con_id), (state.orders[intent] for intent in state.live)
    total += at_most(order for order in orders if order.con_id == con_id and order.side is side) * side.sign
    for foreign in state.foreign_orders.values():
        if foreign.con_id == con_id and foreign.side is side:
            total += foreign.remaining * side.sign
    return total + _unexplained(state, con_id, side)


def _told(state: State, con_id: int) -> Decimal:
    """Signed shares: the book's, and what is not ours."""
    told = state.held(con_id)
    return told + state.outside[con_id][1] if con_id in state.outside else told


def _unexplained(state: State, con_id: int, side: Side) -> Decimal:
    """Signed shares on a side that the account shows beyond the book, and no order that is counted stands for.

    What the broker had told to be filled well before the account was read is in its figure: counted with its order.
    """
    doubted = abs(_doubted(state, con_id, side))
    if not doubted or state.compared is None:
        return doubted * side.sign
    before = state.compared.tech - SHOWN_WITHIN
    told = (o for o in state.live_in(con_id) if o.side is side and o.moved_at is not None and o.moved_at <= before)
    shown = sum((min(max(order.reported - order.told, ZERO), order.remaining) for order in told), ZERO)
    return max(doubted - shown, ZERO) * side.sign


def _doubted(state: State, con_id: int, side: Side) -> Decimal:
    """Signed shares on a side that the account shows beyond the book, while it is in doubt who is right.

    Also where it may be the unheard fill of a live order of ours: it may be somebody else's trade as well, and the
    order may fill yet. A fill heard since the account was read may be in its figure or not: the difference found then
    counts, or that of now, whichever is larger. One heard only after a reading that should have shown it is in doubt.
    """
    compared = state.compared.differences if state.compared is not None else ()
    found = next((row.missing for row in compared if row.con_id == con_id), None)
    if found is None and con_id not in state.quarantines and not is_told_late(state, con_id):
        return ZERO
    now = state.account_positions.get(con_id, ("", ZERO))[1] - _told(state, con_id)
    return max(now * side.sign, (found or ZERO) * side.sign, ZERO) * side.sign


def is_told_late(state: State, con_id: int) -> bool:
    """Whether a fill was heard after a reading of the account that was late enough to show it: was it taken back?"""
    compared = state.compared
    if compared is None or compared.at is None or not state.fills:
        return False
    since, before = compared.tech, compared.at - SHOWN_WITHIN
    later = takewhile(lambda fill: fill.tech > since, reversed(state.fills.values()))
    return any(fill.con_id == con_id and fill.executed_at < before for fill in later)


def still_there(state: State, con_id: int) -> Decimal:
    """Unsigned shares of ours that the account still has: what others have traded away can't be closed once more."""
    book, outside = state.held(con_id), state.outside.get(con_id, ("", ZERO))[1]
    return max(min(abs(book), (book + outside) * (1 if book > 0 else -1)), ZERO)


def surely_there(state: State, con_id: int) -> Decimal:
    """Unsigned shares of ours that the account still has at worst: not those that its last reading did not show."""
    closing = Side.SELL if state.held(con_id) > 0 else Side.BUY
    return max(still_there(state, con_id) - abs(_doubted(state, con_id, closing)), ZERO)


def worst_value(state: State, con_id: int, side: Side, price: Decimal) -> Decimal:
    """Signed value of `worst_shares`: what is held at `price`, each live order at the worst it may be paid."""
    value = _told(state, con_id) * price
    ours = (order for order in state.live_in(con_id) if order.side is side)
    value += summed((group_of(order), order.remaining * paid_at_worst(order, price)) for order in ours) * side.sign
    for foreign in state.foreign_orders.values():
        if foreign.con_id == con_id and foreign.side is side:
            value += foreign.remaining * side.sign * paid_at_worst(foreign, price)
    return value + _unexplained(state, con_id, side) * price


def paid_at_worst(order: Order | ForeignOrderSet, price: Decimal) -> Decimal:
    """The price an order counts at: its limit, stop or the market it was decided at, where that is above `price`."""
    if isinstance(order, ForeignOrderSet):
        return price if order.price is None else max(price, order.price)
    return max(price, order.worst_price)


def worst_values(state: State, prices: Mapping[str, Decimal]) -> tuple[Decimal, Decimal]:
    """Gross and net exposure at worst, over every instrument held or ordered: the larger side of each, apart.

    What `prices` does not name counts at the price it was last bought, ordered or closed at.
    """
    return gross_and_net(*worst_sides(state, prices))


def gross_and_net(ups: Mapping[int, Decimal], downs: Mapping[int, Decimal]) -> tuple[Decimal, Decimal]:
    """Gross and net exposure of `worst_sides`."""
    gross = ZERO
    for con_id, up in ups.items():
        down = -downs[con_id]
        gross += up if up > down else down
    return gross, max(sum(ups.values(), ZERO), -sum(downs.values(), ZERO))


def worst_sides(state: State, prices: Mapping[str, Decimal]) -> tuple[dict[int, Decimal], dict[int, Decimal]]:
    """Instrument -> its signed value should all buys, or all sells, be filled: `worst_value` of all, in one pass."""
    at: dict[int, Decimal] = {}

    def price(con_id: int, symbol: str) -> Decimal:
        if con_id not in at:
            known = prices.get(symbol)
            at[con_id] = last_known_price(state, con_id, symbol) if known is None else known
        return at[con_id]

    ups = {
        con_id: holding.quantity * price(con_id, holding.symbol)
        for con_id, holding in state.book.items()
        if holding.quantity
    }
    for con_id, (symbol, quantity) in state.outside.items():
        ups[con_id] = ups.get(con_id, ZERO) + quantity * price(con_id, symbol)
    downs = dict(ups)
    counted: dict[str, Decimal] = {}
    for intent in state.live:
        order = state.orders[intent]
        con_id, worst = order.con_id, order.worst_price
        close = at[con_id] if con_id in at else price(con_id, order.symbol)
        value = order.remaining * (worst if worst > close else close)
        if order.oca_group and (group := group_of(order)):
            # Of a group only what is more than its largest so far; its orders are of one instrument and side.
            value, counted[group] = max(value - counted.get(group, ZERO), ZERO), max(value, counted.get(group, ZERO))
        _add(ups, downs, con_id, order.side, value)
    for foreign in state.foreign_orders.values():
        value = foreign.remaining * paid_at_worst(foreign, price(foreign.con_id, foreign.symbol))
        _add(ups, downs, foreign.con_id, foreign.side, value)
    doubts = {con_id: held.symbol for con_id, held in state.quarantines.items()}
    if state.compared is not None:
        doubts |= {row.con_id: row.symbol for row in state.compared.differences}
    for con_id, symbol in doubts.items():
        for side, values in ((Side.BUY, ups), (Side.SELL, downs)):
            more = _unexplained(state, con_id, side) * price(con_id, symbol)
            values[con_id] = values.get(con_id, ZERO) + more
    return ups, downs


def _add(ups: dict[int, Decimal], downs: dict[int, Decimal], con_id: int, side: Side, value: Decimal) -> None:
    if con_id not in ups:
        ups[con_id] = downs[con_id] = ZERO
    if side is Side.BUY:
        ups[con_id] += value
    else:
        downs[con_id] -= value


def con_ids_of(state: State, symbols: Collection[str]) -> set[int]:
    """The instruments that bear one of these symbols, wherever they were heard of."""
    found = {state.instruments[symbol].con_id for symbol in symbols if symbol in state.instruments}
    found.update(con_id for con_id, holding in state.book.items() if holding.symbol in symbols)
    found.update(con_id for con_id, (symbol, _) in state.outside.items() if symbol in symbols)
    found.update(order.con_id for order in state.foreign_orders.values() if order.symbol in symbols)
    return found


def last_known_price(state: State, con_id: int, symbol: str) -> Decimal:
    """For want of a sizing price: the last close, the decision price of a live order, the cost of what is held.

    Of what is not ours the account's cost.
    """
    judged, holding = state.judged.get(symbol), state.book.get(con_id)
    if judged is not None and judged.close is not None:
        return judged.close
    ordered = next((order.decision_price for order in state.live_in(con_id)), None)
    return ordered or (holding.average_cost if holding else ZERO) or state.account_costs.get(con_id, ZERO)
