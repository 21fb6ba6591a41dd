"""What orders at work are expected to cost in commission, set aside from the cash of a cash account; asked by means.

The broker's own figure where a what-if has told one, else the schedule of the settings. Its cap, a part of the trade's
value, is left out: for shares of pennies too much is set aside.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from longwatch.domain.orders import Order
from longwatch.domain.settings import TradeSettings
from longwatch.domain.state import Fill, State

ZERO = Decimal(0)


def expected(settings: TradeSettings, shares: Decimal) -> Decimal:
    """The commission of an order for so many shares, in the currency traded in; nothing for none."""
    return max(settings.commission_per_share * shares, settings.commission_minimum) if shares else ZERO


def set_aside(state: State, unread: Iterable[Fill]) -> Decimal:
    """The commissions of every live order, ours or not, and of fills that no reading shows yet.

    A live order counts whole until it has ended, sales too: their commission leaves the cash before the proceeds come.
    """
    settings, total = state.settings, ZERO
    rate, least = settings.commission_per_share, settings.commission_minimum
    for work in state.at_work.values():
        total += work.told
        for shares in work.untold:
            total += max(rate * shares, least)
    total += sum([expected(settings, order.remaining) for order in state.foreign_orders.values()], ZERO)
    traded: dict[int | str, Decimal] = {}
    for fill in unread:
        order = state.orders.get(fill.intent) if fill.intent is not None else None
        if order is None or not order.is_live:
            whose = fill.exec_id if fill.intent is None else fill.intent
            traded[whose] = traded.get(whose, ZERO) + abs(fill.quantity)
    return total + sum([expected(settings, shares) for shares in traded.values()], ZERO)


def shares_for(settings: TradeSettings, money: Decimal, price: Decimal, told: Decimal | None = None) -> Decimal:
    """The most shares that money buys at a price, with the commission of their order: as told, or by the schedule."""
    if told is not None:
        return (money - told) / price
    return min((money - settings.commission_minimum) / price, money / (price + settings.commission_per_share))


def of(settings: TradeSettings, order: Order) -> Decimal:
    """What an order costs in all: as its what-if told, or by the schedule."""
    return expected(settings, order.at_most) if order.commission_told is None else order.commission_told
