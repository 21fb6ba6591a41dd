"""The table of limits, joined, and what is asked of a trade by it; called by rebalance, modification and decide."""

from __future__ import annotations

from longwatch.domain.instruments import Instrument, Side
from longwatch.domain.orders import Order, Purpose
from longwatch.domain.portfolio import targets
from longwatch.domain.portfolio.parts import equity_of
from longwatch.domain.quotes import Quotes, no_quotes
from longwatch.domain.risk import caps, certificate, commissions, day_trades, held_at, means, permits, pricing
from longwatch.domain.risk.caps import with_exposure
from longwatch.domain.risk.limits import CapRule, CheckRule, Limit
from longwatch.domain.risk.proposal import Cap, Proposal, Refusal
from longwatch.domain.state import State

LIMITS: tuple[Limit, ...] = (
    *certificate.ROWS,
    *permits.ROWS,
    *pricing.ROWS,
    *means.ROWS,
    *day_trades.ROWS,
    *caps.ROWS,
    *targets.ROWS,
    *held_at.ROWS,
)
"""Every limit there is; checks and caps are asked in this order."""


def first_refusal(state: State, proposal: Proposal) -> Refusal | None:
    """The first check of the table that refuses, or None."""
    for check in CHECKS[proposal.purpose]:
        if (refusal := check(state, proposal)) is not None:
            return refusal
    return None


def caps_of(proposal: Proposal) -> tuple[tuple[str, CapRule], ...]:
    """The caps that bind a trade, by name: those on exposure bind only what adds to it."""
    return CAPS[proposal.purpose]


def passed_by_now(state: State, order: Order, quotes: Quotes = no_quotes) -> str | None:
    """The limit that an order about to leave would pass, though it did not when it was intended: else None.

    What others have traded or ordered since counts, what was told of its commission, and settings that were tightened;
    by the `quotes` of now, how many shares can be borrowed.
    """
    found = limit_passed(state, order, quotes)
    return None if found is None else f"{found[0]} {found[1].observed:.4f} would pass the limit {found[1].limit} by now"


def limit_passed(state: State, order: Order, quotes: Quotes = no_quotes) -> tuple[str, Cap] | None:
    """The same, as the limit's name and what it sees."""
    prices = dict(state.equity.prices) if state.equity else {}
    price = prices.get(order.symbol, order.decision_price)
    is_short = order.side is Side.SELL and order.purpose is Purpose.ENTRY
    proposal = Proposal(
        run_id=order.run_id,
        instrument=Instrument(con_id=order.con_id, symbol=order.symbol),
        side=order.side,
        quantity=order.remaining,
        purpose=order.purpose,
        price=price,
        equity=equity_of(state) or order.remaining * price,
        order_type=order.order_type,
        limit_price=order.worst_price,
        quote=next((one for one in quotes() if one.con_id == order.con_id), None) if is_short else None,
        session=None,
        at=order.created_at,
        tech=order.created_at,
        closes=False,
        commission=commissions.of(state.settings, order),
    )
    besides = state.besides(order)
    if order.purpose is Purpose.ENTRY:
        proposal = with_exposure(besides, proposal)
    for name, rule in AT_THE_WRITE[order.purpose]:
        cap = rule(besides, proposal)
        if cap is not None and proposal.quantity > cap.allowed:
            return name, cap
    return None


def _checks(*, always: bool) -> dict[Purpose, tuple[CheckRule, ...]]:
    rows = [row for row in LIMITS if row.check is not None and (row.always or not always)]
    return {purpose: tuple(row.check for row in rows if row.check and purpose in row.binds) for purpose in Purpose}


CHECKS = _checks(always=False)
ALWAYS = _checks(always=True)
"""Of a modification that stands back from the market only these are asked."""
CAPS: dict[Purpose, tuple[tuple[str, CapRule], ...]] = {
    purpose: tuple((row.name, row.cap) for row in LIMITS if row.cap is not None and purpose in row.binds)
    for purpose in Purpose
}
AT_THE_WRITE = {
    purpose: tuple((row.name, row.cap) for row in LIMITS if row.cap and row.at_the_write and purpose in row.binds)
    for purpose in Purpose
}
WAITS_FOR_SELLS = frozenset(row.name for row in LIMITS if row.waits_for_sells)
WHOLE = frozenset(row.name for row in LIMITS if row.whole)
"""Caps on an order as a whole; the others are about what it may still fill."""
