"""What the account could come to hold at worst, and what that is worth; called by risk.

At worst every live order of one side (working, sending or unknown) fills and none of the other; of orders of one OCA
group only the largest (oca.py), of a stop that waits for its entry only what it may sell beyond that (attached.py).
Positions and orders that are not ours count too. Where book and account were found to differ, and nobody knows why yet,
the worse counts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import takewhile

from longwatch.domain.instruments import Side
from longwatch.domain.messages import ForeignOrderSet
from longwatch.domain.orders import Order
from longwatch.domain.risk.attached import may_trade
from longwatch.domain.risk.oca import summed
from longwatch.domain.state import Fill, State
from longwatch.domain.working import AtWork

ZERO = Decimal(0)
SHOWN_WITHIN = timedelta(seconds=60)
"""Positions follow fills within seconds: by then one that the broker's status has told of is in the account's."""
LATELY = timedelta(days=2)
"""Of technical time, in which market time never runs slower: longer than any day at the exchange, 25 hours at most."""


def worst_shares(state: State, con_id: int, side: Side) -> Decimal:
    """Signed shares of the account should every live order on `side`, ours or not, fill and none on the other side."""
    total, work = _told(state, con_id), state.at_work.get(con_id)
    if work is not None:
        total += work.buys if side is Side.BUY else -work.sells
    for foreign in state.foreign_orders.values():
        if foreign.con_id == con_id and foreign.side is side:
            total += foreign.remaining * side.sign
    return total + _unexplained(state, con_id, side)


def _told(state: State, con_id: int) -> Decimal:
    """Signed shares: the book's, and what is not ours."""
    holding = state.book.get(con_id)
    told = holding.quantity if holding is not None else ZERO
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
    found = next((row.missing for row in compared if row.con_id == con_id), None) if compared else None
    if found is None and con_id not in state.quarantines and not is_told_late(state, con_id):
        return ZERO
    now = state.account_positions.get(con_id, ("", ZERO))[1] - _told(state, con_id)
    return max(now * side.sign, (found or ZERO) * side.sign, ZERO) * side.sign


def in_doubt(state: State) -> dict[int, str]:
    """Instrument -> symbol of all where account and book may differ, and nobody knows which of them is right."""
    doubts = {con_id: held.symbol for con_id, held in state.quarantines.items()} if state.quarantines else {}
    if state.compared is not None and state.compared.differences:
        doubts |= {row.con_id: row.symbol for row in state.compared.differences}
    late = _told_late(state)
    return doubts | {fill.con_id: fill.symbol for fill in late} if late else doubts


def is_told_late(state: State, con_id: int) -> bool:
    """Whether a fill was heard after a reading of the account that was late enough to show it: was it taken back?"""
    late = _told_late(state)
    return bool(late) and any(fill.con_id == con_id for fill in late)


def _told_late(state: State) -> Sequence[Fill]:
    """Fills heard since the account was read, made well before; asked several times at every check."""
    compared = state.compared
    if compared is None or compared.at is None or not state.fills:
        return ()
    since, before = compared.tech, compared.at - SHOWN_WITHIN
    if next(reversed(state.fills.values())).tech <= since:
        return ()
    heard = takewhile(lambda one: one.tech > since, reversed(state.fills.values()))
    return [fill for fill in heard if fill.executed_at < before]


def heard_lately(state: State) -> Iterator[Fill]:
    """Fills heard within two days of the last one, latest first: all that were made today, or in this session.

    In the order they were heard in, which is not that of their making: a correction, or a row told late, is of before.
    """
    last = next(reversed(state.fills.values()), None)
    if last is not None:
        yield from takewhile(lambda one: one.tech >= last.tech - LATELY, reversed(state.fills.values()))


def unexplained(state: State, con_id: int) -> Decimal:
    """Unsigned shares that count as exposure for the doubt alone, on the larger side."""
    return max(abs(_unexplained(state, con_id, side)) for side in Side)


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
    value, work = _told(state, con_id) * price, state.at_work.get(con_id)
    if work is not None:
        buys, sells = _worth(state, work, price)
        value += buys if side is Side.BUY else -sells
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
    ups: dict[int, Decimal] = {}
    downs: dict[int, Decimal] = {}
    at_work = state.at_work
    for con_id, holding in state.book.items():
        work, quantity = at_work.get(con_id), holding.quantity
        if work is None and not quantity:
            continue
        price = prices.get(holding.symbol)
        if price is None:
            price = last_known_price(state, con_id, holding.symbol)
        value = quantity * price
        if work is None:
            ups[con_id] = downs[con_id] = value
        elif price <= work.least:  # as _worth says: a call less for every instrument at every check
            ups[con_id], downs[con_id] = value + work.buys_cost, value - work.sells_cost
        elif price >= work.most:
            ups[con_id], downs[con_id] = value + work.buys * price, value - work.sells * price
        else:
            buys, sells = _worth(state, work, price)
            ups[con_id], downs[con_id] = value + buys, value - sells
    for con_id, work in at_work.items():
        if con_id not in ups:
            buys, sells = _worth(state, work, price_of(state, prices, con_id, state.orders[work.intents[0]].symbol))
            ups[con_id], downs[con_id] = buys, -sells
    for con_id, (symbol, quantity) in state.outside.items():
        value = quantity * price_of(state, prices, con_id, symbol)
        ups[con_id], downs[con_id] = ups.get(con_id, ZERO) + value, downs.get(con_id, ZERO) + value
    for foreign in state.foreign_orders.values():
        value = foreign.remaining * paid_at_worst(foreign, price_of(state, prices, foreign.con_id, foreign.symbol))
        _add(ups, downs, foreign.con_id, foreign.side, value)
    for con_id, symbol in in_doubt(state).items():
        for side, values in ((Side.BUY, ups), (Side.SELL, downs)):
            more = _unexplained(state, con_id, side) * price_of(state, prices, con_id, symbol)
            values[con_id] = values.get(con_id, ZERO) + more
    return ups, downs


def _worth(state: State, work: AtWork, price: Decimal) -> tuple[Decimal, Decimal]:
    """What an instrument's live buys, and its sells, come to, each share at `price` or the worst it may cost."""
    if price <= work.least:
        return work.buys_cost, work.sells_cost
    if price >= work.most:
        return work.buys * price, work.sells * price
    buys, sells = (
        summed((order.group, may_trade(state, order) * paid_at_worst(order, price)) for order in orders)
        for orders in _by_side(state.orders[intent] for intent in work.intents)
    )
    return buys, sells


def _by_side(orders: Iterable[Order]) -> tuple[list[Order], list[Order]]:
    buys: list[Order] = []
    sells: list[Order] = []
    for order in orders:
        (buys if order.side is Side.BUY else sells).append(order)
    return buys, sells


def price_of(state: State, prices: Mapping[str, Decimal], con_id: int, symbol: str) -> Decimal:
    """The sizing price, or for want of one the last known."""
    known = prices.get(symbol)
    return last_known_price(state, con_id, symbol) if known is None else known


def _add(ups: dict[int, Decimal], downs: dict[int, Decimal], con_id: int, side: Side, value: Decimal) -> None:
    if con_id not in ups:
        ups[con_id] = downs[con_id] = ZERO
    if side is Side.BUY:
        ups[con_id] += value
    else:
        downs[con_id] -= value


def con_ids_of(state: State, symbols: Collection[str]) -> set[int]:
    """The instruments that bear one of these symbols, wherever they were heard of."""
    symbols, known = frozenset(symbols), state.instruments
    found = {con_id for con_id, holding in state.book.items() if holding.symbol in symbols}
    found.update([known[symbol].con_id for symbol in symbols if symbol in known])
    found.update([con_id for con_id, (symbol, _) in state.outside.items() if symbol in symbols])
    found.update([order.con_id for order in state.foreign_orders.values() if order.symbol in symbols])
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
