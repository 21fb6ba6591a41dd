"""What the live orders of an instrument may come to at worst: the index that the state's fold keeps for the limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from longwatch.domain.instruments import Side
from longwatch.domain.orders import Order, Purpose
from longwatch.quick import quick

ZERO = Decimal(0)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class AtWork:
    """The live orders of one instrument, oldest first, and what all on a side come to; of an OCA group the largest.

    `buys` and `sells` are shares; of a stop that waits for its entry those that it may trade beyond that. At the most
    that a share of each order may cost, from `least` to `most`, they are worth `buys_cost` and `sells_cost`;
    `entries_cost` is what entries come to, whatever their side and group, and `purchases_cost` what every buy does. Of
    their commissions those that the broker has told are `told` together; of the other orders the shares are `untold`.
    """

    intents: tuple[int, ...]
    buys: Decimal
    sells: Decimal
    buys_cost: Decimal
    sells_cost: Decimal
    entries_cost: Decimal
    purchases_cost: Decimal
    told: Decimal
    untold: tuple[Decimal, ...]
    least: Decimal
    most: Decimal


def comes_to_the_same(former: Order, order: Order) -> bool:
    """Whether nothing that `at_work` reads has been touched between two versions of a live order."""
    return (
        former.filled is order.filled
        and former.taken_back is order.taken_back
        and former.reported is order.reported
        and former.quantity is order.quantity
        and former.change is order.change
        and former.limit_price is order.limit_price
        and former.stop_price is order.stop_price
        and former.decision_price is order.decision_price
        and former.oca_group is order.oca_group
        and former.twin_of is order.twin_of
        and former.purpose is order.purpose
        and former.side is order.side
        and former.commission_told is order.commission_told
    )


def at_work(orders: Sequence[Order]) -> AtWork:
    """Live orders of one instrument, told as one; there is at least one of them."""
    buys = sells = buys_cost = sells_cost = entries_cost = purchases_cost = told = ZERO
    prices: list[Decimal] = []
    untold: list[Decimal] = []
    intents: list[int] = []
    largest: dict[str, tuple[Decimal, Decimal]] = {}
    for order in orders:
        shares, price = order.remaining, order.worst_price
        if order.side is Side.BUY:
            purchases_cost += shares * price
        if order.commission_told is None:
            untold.append(order.at_most)
        else:
            told += order.commission_told
        if order.attached_to is not None and order.twin_of is None:
            shares = _beyond_its_entry(order, orders)
        cost = shares * price
        intents.append(order.intent)
        prices.append(price)
        if order.purpose is Purpose.ENTRY:
            entries_cost += cost
        if order.oca_group and (group := order.group):
            counted, paid = largest.get(group, (ZERO, ZERO))
            largest[group] = max(shares, counted), max(cost, paid)
            shares, cost = max(shares - counted, ZERO), max(cost - paid, ZERO)
        if order.side is Side.BUY:
            buys, buys_cost = buys + shares, buys_cost + cost
        else:
            sells, sells_cost = sells + shares, sells_cost + cost
    return AtWork(
        intents=tuple(intents),
        buys=buys,
        sells=sells,
        buys_cost=buys_cost,
        sells_cost=sells_cost,
        entries_cost=entries_cost,
        purchases_cost=purchases_cost,
        told=told,
        untold=tuple(untold),
        least=min(prices),
        most=max(prices),
    )


def _beyond_its_entry(stop: Order, orders: Sequence[Order]) -> Decimal:
    """A stop that left with its entry can trade only what that has filled: as attached.may_trade says, of live ones."""
    entry = next((one.surely_left for one in orders if one.intent == stop.attached_to), ZERO)
    return max(stop.remaining - entry, ZERO)
