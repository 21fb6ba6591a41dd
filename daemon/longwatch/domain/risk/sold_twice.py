"""Orders of others that may sell the shares that an exit of ours sells: a person is told, and ours is sent."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.orders import Purpose
from longwatch.domain.risk.proposal import Proposal
from longwatch.domain.state import State

ZERO = Decimal(0)


def told(state: State, proposal: Proposal) -> Iterator[m.RaiseAlert]:
    """What a person must know of an exit that would, with a sale of somebody else's, leave the account short.

    It is not kept back: an order that rests far from the market, for as long as it likes, would keep every exit there.
    Of their orders the largest counts, for of a bracket's one alone fills.
    """
    con_id, symbol = proposal.instrument.con_id, proposal.instrument.symbol
    if proposal.purpose is not Purpose.REDUCE or proposal.side is not Side.SELL:
        return
    theirs = [one for one in state.foreign_orders.values() if one.con_id == con_id and one.side is Side.SELL]
    there = max(state.held(con_id) + state.outside.get(con_id, ("", ZERO))[1], ZERO)
    if not theirs or max(order.remaining for order in theirs) + proposal.quantity <= there:
        return
    whose = ", ".join(f"SELL {order.remaining} (permId {order.perm_id})" for order in theirs)
    yield m.RaiseAlert(
        key="sold_twice",
        text=f"{symbol}: {whose}, not ours, beside our SELL {proposal.quantity}: the account holds {there}, and would "
        "be short if all of it fills; cancel theirs in TWS",
        severity="critical",
    )
