"""Orders of others that may sell the shares that an exit of ours would; asked by the cap on reversals and rebalance."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.orders import Purpose
from longwatch.domain.risk.proposal import Proposal
from longwatch.domain.state import State

ZERO = Decimal(0)


def left_by_others(state: State, con_id: int, side: Side) -> Decimal | None:
    """Shares of the account, whoever's, that the open sales of others leave to sell; None where there are none.

    What others buy, beside our buying back, leaves nobody short. A flatten is a person's word, and the last one there
    is: it closes what is ours beside them.
    """
    theirs = sum((order.remaining for order in _sales(state, con_id)), ZERO) if side is Side.SELL else ZERO
    if not theirs or state.is_on(m.Verb.FLATTEN):
        return None
    return max(_there(state, con_id) - theirs, ZERO)


def told(state: State, proposal: Proposal) -> Iterator[m.RaiseAlert]:
    """What a person must know of an exit that would, with the sales of others, leave the account short."""
    con_id, symbol = proposal.instrument.con_id, proposal.instrument.symbol
    is_exit = proposal.purpose is Purpose.REDUCE and proposal.side is Side.SELL
    theirs, there = _sales(state, con_id) if is_exit else [], _there(state, con_id)
    if not theirs or sum((order.remaining for order in theirs), proposal.quantity) <= there:
        return
    whose = ", ".join(f"SELL {order.remaining} (permId {order.perm_id})" for order in theirs)
    does = "is sent all the same" if state.is_on(m.Verb.FLATTEN) else "waits, or is made smaller"
    yield m.RaiseAlert(
        key="sold_twice",
        text=f"{symbol}: {whose}, not ours, and our SELL {proposal.quantity} are more than the {there} that "
        f"the account holds: ours {does}; cancel theirs in TWS",
        severity="critical",
    )


def _sales(state: State, con_id: int) -> list[m.ForeignOrderSet]:
    return [order for order in state.foreign_orders.values() if order.con_id == con_id and order.side is Side.SELL]


def _there(state: State, con_id: int) -> Decimal:
    return max(state.held(con_id) + state.outside.get(con_id, ("", ZERO))[1], ZERO)
