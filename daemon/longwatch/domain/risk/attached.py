"""Stops that left with their entry: until that has ended they wait at the broker; read by exposure, oca and safeguards.

Such a stop can fill only what its entry has filled before. So at worst it sells, or buys back, what it has left beyond
what the entry has left: nothing, as long as both are of one size.
"""

from __future__ import annotations

from decimal import Decimal

from longwatch.domain.orders import Order, OrderState
from longwatch.domain.state import State

ZERO = Decimal(0)


def entry_of(state: State, order: Order) -> Order | None:
    """The entry a stop left with; None for any other order, and for the broker's second order for one intent."""
    if order.attached_to is None or order.twin_of is not None:
        return None
    return state.orders.get(order.attached_to)


def waits(state: State, order: Order) -> bool:
    """Whether a stop can't trade yet: its entry may still fill."""
    entry = entry_of(state, order)
    return entry is not None and entry.is_live


def may_trade(state: State, order: Order) -> Decimal:
    """Shares that an order may still fill, at most, beyond what its entry must have filled before."""
    entry = entry_of(state, order)
    return order.remaining if entry is None else max(order.remaining - entry.surely_left, ZERO)


def ends_with_its_entry(state: State, order: Order) -> bool:
    """Whether the broker would end a stop by itself: its entry has not filled, and does so no more or not yet in full.

    Such an end says nothing about the holding: nobody has taken its stop away.
    """
    entry = entry_of(state, order)
    return entry is not None and entry.state is not OrderState.FILLED and not (entry.told and not entry.is_live)


def has_stop(state: State, entry: Order) -> bool:
    """Whether a stop waits for this entry."""
    return any(one.attached_to == entry.intent and waits(state, one) for one in state.live_in(entry.con_id))
