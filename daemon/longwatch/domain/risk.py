"""The table of limits, joined, and what is asked of a trade by it; called by rebalance and modification."""

from __future__ import annotations

from longwatch.domain import caps, certificate, permits, pricing
from longwatch.domain.limits import CapRule, CheckRule, Limit
from longwatch.domain.orders import Purpose
from longwatch.domain.proposal import Proposal, Refusal
from longwatch.domain.state import State

LIMITS: tuple[Limit, ...] = (*certificate.ROWS, *permits.ROWS, *pricing.ROWS, *caps.ROWS)
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
WAITS_FOR_SELLS = frozenset(row.name for row in LIMITS if row.waits_for_sells)
WHOLE = frozenset(row.name for row in LIMITS if row.whole)
"""Caps on an order as a whole; the others are about what it may still fill."""
