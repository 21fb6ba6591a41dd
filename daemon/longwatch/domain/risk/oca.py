"""OCA groups: what one order fills is taken from the others at the broker, so they count once; read by exposure, caps.

Of a group are the protective stop of a holding, which has given it its name, and at most one exit. Both were sent with
IB's OCA type 2, which never has two of a group at the exchange at a time.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from longwatch.domain.instruments import Side
from longwatch.domain.orders import Order, OrderState, Purpose
from longwatch.domain.risk.attached import entry_of, may_trade, waits
from longwatch.domain.state import State

ZERO = Decimal(0)


def group_of(order: Order) -> str:
    """The group an order counts in; a second order at the broker for one intent is never trusted to be in one."""
    return order.group


def at_most(state: State, orders: Iterable[Order]) -> Decimal:
    """Shares that orders of one side may still fill: of each group only the largest counts."""
    return summed((group_of(order), may_trade(state, order)) for order in orders)


def summed(amounts: Iterable[tuple[str, Decimal]]) -> Decimal:
    """The sum of amounts, each with its group; of a group only the largest counts."""
    total = ZERO
    groups: dict[str, Decimal] = {}
    for group, amount in amounts:
        if not group:
            total += amount
        elif amount > groups.get(group, ZERO):
            groups[group] = amount
    return total + sum(groups.values(), ZERO)


def joined(state: State, con_id: int, side: Side) -> Order | None:
    """The stop whose group an exit on this side enters; None where there is none, or it is not to be relied on."""
    found = [order for order in state.live_in(con_id) if order.purpose is Purpose.STOP and order.side is side]
    return found[0] if len(found) == 1 and is_intact(state, found[0]) else None


def is_intact(state: State, stop: Order) -> bool:
    """Whether a stop waits untouched: nothing of it has filled, nobody ends or changes it, nor has its group ended."""
    if _is_less_there(state, stop.con_id) or waits(state, stop):
        return False  # the stop may have traded, and nobody has told of it; or it may not trade yet
    is_ending = stop.cancel_asked or stop.ending is not None or stop.change is not None
    is_touched = is_ending or stop.filled or stop.reported
    return bool(group_of(stop)) and not is_touched and not any(map(is_spent, others(state, stop)))


def _is_less_there(state: State, con_id: int) -> bool:
    """Whether the account was last told to have fewer shares of ours than the book."""
    book, account = state.held(con_id), state.account_positions.get(con_id, ("", ZERO))[1]
    ours = account - state.outside.get(con_id, ("", ZERO))[1]
    return (ours - book) * (1 if book > 0 else -1) < 0


def is_spent(order: Order) -> bool:
    """Whether an order has filled in full, or is told to have: the broker ends its group."""
    is_filled = OrderState.FILLED in (order.state, order.ending)
    return is_filled or max(order.told, order.reported) >= order.at_least


def others(state: State, order: Order) -> list[Order]:
    """The other orders of an order's group, also those that have ended."""
    if not group_of(order):
        return []
    members = (state.orders[intent] for intent in state.oca_groups.get(order.oca_group, ()))
    return [one for one in members if one.intent != order.intent]


def has_traded(state: State, order: Order) -> bool:
    """Whether another order of its group has filled: the broker may have made this one smaller, or ended it."""
    return any(one.told or one.reported for one in others(state, order))


def shrinks_it(state: State, order: Order) -> str:
    """What the broker has made an order smaller for, by itself; empty where nothing has."""
    entry = entry_of(state, order)
    if entry is not None and entry.state is not OrderState.FILLED and entry.told:
        return "its entry has ended with a part filled"
    return "another order of its group has traded" if group_of(order) and has_traded(state, order) else ""


def may_be_filled(order: Order) -> Decimal:
    """Shares of a live order that may have filled without an execution heard: all, while its outcome is unknown."""
    if order.state is OrderState.UNKNOWN:
        return order.remaining
    return min(max(order.reported - order.told, ZERO), order.remaining)
