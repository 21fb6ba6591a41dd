"""The caps that make an order smaller, each a row of the table of limits; joined by table.py.

Every limit is held at worst (exposure.py), this trade included. What is held counts at the sizing price, an order at
the worst price it may be paid; values are in the base currency.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from longwatch.domain.instruments import Side
from longwatch.domain.orders import Purpose
from longwatch.domain.risk.exposure import (
    con_ids_of,
    gross_and_net,
    surely_there,
    worst_shares,
    worst_sides,
    worst_value,
)
from longwatch.domain.risk.limits import ENTRIES, Does, Limit, Setting
from longwatch.domain.risk.oca import at_most, joined
from longwatch.domain.risk.proposal import Cap, Proposal
from longwatch.domain.state import State
from longwatch.quick import changed

ZERO = Decimal(0)
DAY = timedelta(days=1)
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
    return _of_capital(proposal, worst, state.settings.max_weight)


def with_exposure(state: State, proposal: Proposal) -> Proposal:
    """The proposal with what its caps on exposure are judged by, worked out once for all of them."""
    prices = dict(state.equity.prices) if state.equity else {}
    prices.setdefault(proposal.instrument.symbol, proposal.price)
    ups, downs = worst_sides(state, prices)
    groups = tuple(_groups(state, proposal.instrument.symbol, ups, downs)) if state.settings.groups else ()
    return changed(proposal, exposure=gross_and_net(ups, downs), groups=groups)


def _groups(
    state: State, symbol: str, ups: Mapping[int, Decimal], downs: Mapping[int, Decimal]
) -> Iterator[tuple[str, Decimal, Decimal]]:
    """Each group with `symbol` in it, the weight it is capped at, and its value at worst, each instrument's apart."""
    for name, symbols, limit in state.settings.groups:
        if symbol in symbols:
            yield name, limit, group_value(state, symbols, ups, downs)


def group_value(
    state: State, symbols: Collection[str], ups: Mapping[int, Decimal], downs: Mapping[int, Decimal]
) -> Decimal:
    """What the instruments of a group come to at worst, without their signs; `ups` and `downs` of `worst_sides`."""
    total = ZERO
    for con_id in sorted(con_ids_of(state, symbols)):
        if con_id in ups:
            up, down = ups[con_id], -downs[con_id]
            total += up if up > down else down
    return total


def _of_capital(proposal: Proposal, now: Decimal, limit: Decimal) -> Cap:
    """What a part of the capital leaves room for, where `now` is taken without this trade."""
    price, equity = proposal.worst_price, proposal.equity
    return Cap(allowed=(limit * equity - now) / price, observed=(now + proposal.quantity * price) / equity, limit=limit)


def _exposure(state: State, proposal: Proposal) -> tuple[Decimal, Decimal]:
    return proposal.exposure or with_exposure(state, proposal).exposure or (ZERO, ZERO)


def cap_gross_exposure(state: State, proposal: Proposal) -> Cap | None:
    """Sum of all positions' absolute values at worst, as a fraction of equity."""
    return _of_capital(proposal, _exposure(state, proposal)[0], state.settings.max_gross_exposure)


def cap_net_exposure(state: State, proposal: Proposal) -> Cap | None:
    """Absolute sum of all positions' values at worst, as a fraction of equity; it never is above the gross one."""
    limit = state.settings.max_net_exposure
    if limit >= state.settings.max_gross_exposure:
        return None
    return _of_capital(proposal, _exposure(state, proposal)[1], limit)


def cap_group_weight(state: State, proposal: Proposal) -> Cap | None:
    """Sum of the absolute values at worst of the instruments of a group; of several groups the one with least room."""
    least: Cap | None = None
    for _, limit, now in proposal.groups:
        cap = _of_capital(proposal, now, limit)
        if least is None or cap.allowed < least.allowed:
            least = cap
    return least


def cap_volume_fraction(state: State, proposal: Proposal) -> Cap | None:
    """Shares ordered and traded of an instrument in this session, as a part of its average daily volume."""
    limit, judged = state.settings.max_volume_fraction, state.judged.get(proposal.instrument.symbol)
    if limit is None or judged is None or not judged.average_volume:
        return None
    since = proposal.session.open_at if proposal.session else proposal.at - DAY
    used = ordered_since(state, proposal.instrument.con_id, since)
    volume = judged.average_volume
    return Cap(allowed=limit * volume - used, observed=(used + proposal.quantity) / volume, limit=limit)


def ordered_since(state: State, con_id: int, since: datetime) -> Decimal:
    """Shares that the orders made since then have traded, or may still trade; of what rests, those heard of."""
    total = ZERO
    for intent in reversed(state.made_in.get(con_id, ())):
        order = state.orders[intent]
        if order.created_at < since:
            break
        total += order.filled if order.rests else order.filled + order.remaining
    return total


def cap_displayed_fraction(state: State, proposal: Proposal) -> Cap | None:
    """Shares on one side of an instrument, as a part of those displayed on the far side of the quote."""
    limit, size = state.settings.max_displayed_fraction, displayed(proposal)
    if limit is None or not size:
        return None
    con_id = proposal.instrument.con_id
    used = sum([order.remaining for order in state.live_in(con_id) if order.side is proposal.side], ZERO)
    return Cap(allowed=limit * size - used, observed=(used + proposal.quantity) / size, limit=limit)


def displayed(proposal: Proposal) -> Decimal | None:
    """The size on the side of the quote that the trade would take; None where none is known."""
    quote = proposal.quote
    return None if quote is None else (quote.ask_size if proposal.side is Side.BUY else quote.bid_size)


def cap_reversal(state: State, proposal: Proposal) -> Cap | None:
    """A reducing order, with every live order on its side, turns neither our position round nor the account's.

    The stop whose OCA group it enters is none of these: what one of them fills is taken from the other.
    """
    if proposal.purpose is not Purpose.REDUCE:
        return None
    held, con_id = surely_there(state, proposal.instrument.con_id), proposal.instrument.con_id
    stop = joined(state, con_id, proposal.side)
    same_side = at_most(state, (o for o in state.live_in(con_id) if o.side is proposal.side and o is not stop))
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
        at_the_write=True,
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
        at_the_write=True,
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
        at_the_write=True,
    ),
    Limit(
        name="max_volume_fraction",
        does=Does.CAPS,
        unit="of the average daily volume",
        text="The most of an instrument that one session's entries may trade; orders of that session count together.",
        test=f"{CLAMPS}[max_volume_fraction]",
        settings=(Setting("risk.max_volume_fraction", "0.01"),),
        binds=ENTRIES,
        cap=cap_volume_fraction,
    ),
    Limit(
        name="max_displayed_fraction",
        does=Does.CAPS,
        unit="of the displayed size",
        text="The most of what is displayed on the far side of the quote that entries on one side may take.",
        test=f"{CLAMPS}[max_displayed_fraction]",
        settings=(Setting("risk.max_displayed_fraction", "null"),),
        binds=ENTRIES,
        cap=cap_displayed_fraction,
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
        at_the_write=True,
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
        at_the_write=True,
    ),
    Limit(
        name="max_group_weight",
        does=Does.CAPS,
        unit="of the capital",
        text="The largest share of the capital in the instruments of one group together, at worst.",
        test=f"{CLAMPS}[max_group_weight]",
        settings=(Setting("risk.groups", "[]"),),
        binds=ENTRIES,
        cap=cap_group_weight,
        at_the_write=True,
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
        at_the_write=True,
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
        at_the_write=True,
    ),
)
