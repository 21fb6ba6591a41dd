"""The caps that make an order smaller, each a row of the table of limits; joined by risk.

Every limit is held at worst (exposure.py), this trade included. What is held counts at the sizing price, an order at
the worst price it may be paid; values are in the base currency.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from longwatch.domain.exposure import still_there, worst_shares, worst_value, worst_values
from longwatch.domain.instruments import Side
from longwatch.domain.limits import ENTRIES, Does, Limit, Setting
from longwatch.domain.orders import Purpose
from longwatch.domain.proposal import Cap, Proposal
from longwatch.domain.state import State

ZERO = Decimal(0)
CLAMPS = "tests/daemon/test_checks.py::test_a_limit_makes_the_trade_smaller"


def cap_order_shares(state: State, proposal: Proposal) -> Cap | None:
    """Shares of one order."""
    limit = state.settings.max_order_shares
    return None if limit is None else Cap(allowed=limit, observed=proposal.quantity, limit=limit)


def cap_order_value(state: State, proposal: Proposal) -> Cap | None:
    """Value of one order."""
    limit = state.settings.max_order_value
    return None if limit is None else Cap(allowed=limit / proposal.worst_price, observed=proposal.value, limit=limit)


def cap_position_size(state: State, proposal: Proposal) -> Cap | None:
    """Shares of one position at worst."""
    limit = state.settings.max_position_size
    worst = worst_shares(state, proposal.instrument.con_id, proposal.side) * proposal.side.sign
    return Cap(allowed=limit - worst, observed=worst + proposal.quantity, limit=limit)


def cap_weight(state: State, proposal: Proposal) -> Cap | None:
    """Weight of one position at worst, as a fraction of equity."""
    worst = worst_value(state, proposal.instrument.con_id, proposal.side, proposal.price) * proposal.side.sign
    limit = state.settings.max_weight
    room = (limit * proposal.equity - worst) / proposal.worst_price
    return Cap(allowed=room, observed=(worst + proposal.value) / proposal.equity, limit=limit)


def with_exposure(state: State, proposal: Proposal) -> Proposal:
    """The proposal with what its caps on exposure are judged by, worked out once for all of them."""
    prices = dict(state.equity.prices) if state.equity else {}
    prices.setdefault(proposal.instrument.symbol, proposal.price)
    return replace(proposal, exposure=worst_values(state, prices))


def _room(state: State, proposal: Proposal, *, net: bool) -> Cap:
    gross_now, net_now = proposal.exposure or with_exposure(state, proposal).exposure or (ZERO, ZERO)
    now = net_now if net else gross_now
    limit = state.settings.max_net_exposure if net else state.settings.max_gross_exposure
    room = (limit * proposal.equity - now) / proposal.worst_price
    return Cap(allowed=room, observed=(now + proposal.value) / proposal.equity, limit=limit)


def cap_gross_exposure(state: State, proposal: Proposal) -> Cap | None:
    """Sum of all positions' absolute values at worst, as a fraction of equity."""
    return _room(state, proposal, net=False)


def cap_net_exposure(state: State, proposal: Proposal) -> Cap | None:
    """Absolute sum of all positions' values at worst, as a fraction of equity; it never is above the gross one."""
    if state.settings.max_net_exposure >= state.settings.max_gross_exposure:
        return None
    return _room(state, proposal, net=True)


def cap_reversal(state: State, proposal: Proposal) -> Cap | None:
    """A reducing order, with every live order on its side, turns neither our position round nor the account's."""
    if proposal.purpose is not Purpose.REDUCE:
        return None
    held, con_id = still_there(state, proposal.instrument.con_id), proposal.instrument.con_id
    same_side = sum((o.remaining for o in state.live_in(con_id) if o.side is proposal.side), ZERO)
    return Cap(allowed=held - same_side, observed=same_side + proposal.quantity, limit=held)


def cap_long_only(state: State, proposal: Proposal) -> Cap | None:
    """Without leave to sell short, nothing is sold that is not held."""
    if state.settings.allow_short or proposal.side is Side.BUY or proposal.purpose is not Purpose.ENTRY:
        return None
    return Cap(allowed=ZERO, observed=-proposal.quantity, limit=ZERO)


ROWS = (
    Limit(
        name="reversal",
        does=Does.CAPS,
        unit="shares",
        text="What reduces a position, with every live order on its side, turns neither ours round nor the account's.",
        test="tests/daemon/test_checks.py::test_a_sale_under_way_and_another_never_add_up_to_a_reversal",
        binds=frozenset({Purpose.REDUCE}),
        cap=cap_reversal,
    ),
    Limit(
        name="long_only",
        does=Does.CAPS,
        unit="shares",
        text="Unless short positions are allowed, nothing is sold that is not held.",
        test=f"{CLAMPS}[long_only]",
        settings=(Setting("risk.allow_short", "false"),),
        binds=ENTRIES,
        cap=cap_long_only,
    ),
    Limit(
        name="max_order_shares",
        does=Does.CAPS,
        unit="shares",
        text="The largest order.",
        test=f"{CLAMPS}[max_order_shares]",
        settings=(Setting("risk.max_order_shares", "10000"),),
        cap=cap_order_shares,
        whole=True,
    ),
    Limit(
        name="max_order_value",
        does=Does.CAPS,
        unit="base currency",
        text="The largest order, at the worst price it may be paid.",
        test=f"{CLAMPS}[max_order_value]",
        settings=(Setting("risk.max_order_value", "100000"),),
        cap=cap_order_value,
        whole=True,
    ),
    Limit(
        name="max_position_size",
        does=Does.CAPS,
        unit="shares",
        text="The largest position at worst: what is held, with every live order on one side filled.",
        test=f"{CLAMPS}[max_position_size]",
        settings=(Setting("execution.max_position_size", "10000"),),
        binds=ENTRIES,
        cap=cap_position_size,
    ),
    Limit(
        name="max_weight",
        does=Does.CAPS,
        unit="of the capital",
        text="The largest share of the capital in one instrument at worst.",
        test=f"{CLAMPS}[max_weight]",
        settings=(Setting("risk.max_weight", "0.15"),),
        binds=ENTRIES,
        cap=cap_weight,
    ),
    Limit(
        name="max_gross_exposure",
        does=Does.CAPS,
        unit="of the capital",
        text="The largest sum of all positions without their signs, at worst.",
        test=f"{CLAMPS}[max_gross_exposure]",
        settings=(Setting("risk.max_gross_exposure", "1.0"),),
        binds=ENTRIES,
        cap=cap_gross_exposure,
        waits_for_sells=True,
    ),
    Limit(
        name="max_net_exposure",
        does=Does.CAPS,
        unit="of the capital",
        text="The largest sum of all positions with their signs, at worst; it never is above the one without them.",
        test=f"{CLAMPS}[max_net_exposure]",
        settings=(Setting("risk.max_net_exposure", "1.0"),),
        binds=ENTRIES,
        cap=cap_net_exposure,
        waits_for_sells=True,
    ),
)
