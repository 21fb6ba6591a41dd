"""What differences look like that nothing proves: told to a person, with no other consequence; called by breaks.

Differences that come up together share one figure: the cash that moved with them. An explanation gives each a cause,
and fits when these together would have moved just that cash.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal
from itertools import product
from math import gcd, prod

from longwatch.domain import messages as m
from longwatch.domain.order_life.inference import may_have_filled
from longwatch.domain.reconciliation.causes import Cause
from longwatch.domain.state import State

ZERO, CENT = Decimal(0), Decimal("0.01")
STRIKES_A_UNIT = 2
"""Strikes of options are whole or half units of the currency, and no commission comes on top of them."""
DELIVERED = 100
"""Shares that a contract usually delivers. Where several share the cash, other numbers would fit too much."""
MOST_EXPLANATIONS = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One cause of one difference: the `cash` it would have moved, give or take `slack`; an assignment has a strike."""

    cause: Cause
    missing: Decimal
    cash: Decimal = ZERO
    slack: Decimal = ZERO


def likely_causes(state: State, rows: Sequence[m.Difference], cash: Decimal | None) -> tuple[m.Difference, ...]:
    """Differences that came up together, each with what most speaks for; where more than one does, with all of these.

    `cash` is what moved meanwhile beyond what executions told explain, None where that is not known.
    """
    by_orders = {row.con_id: cause for row in rows if (cause := _by_orders(state, row)) is not None}
    # What a working order may have paid nobody knows, so what is left of the cash is of no use to the others.
    known = None if by_orders else cash
    moved = [row for row in rows if row.con_id not in by_orders and _has_moved(state, row)]
    possible = _possible(state, moved, known, is_alone=len(rows) == 1)
    told = []
    for row in rows:
        causes = possible.get(row.con_id, ())
        named = causes[0] if len(causes) == 1 else Cause.UNEXPLAINED
        cause = by_orders.get(row.con_id, named)
        told.append(replace(row, cause=cause, possible=causes if len(causes) > 1 else ()))
    return tuple(told)


def cash_moved(state: State, event: m.SnapshotSeen, former: m.BookCompared | None) -> Decimal | None:
    """What cash changed by since a comparison, beyond what executions and commissions told since then come to."""
    if former is None or former.cash is None or former.paid is None or event.cash is None:
        return None
    return event.cash - former.cash + state.paid - former.paid


def _by_orders(state: State, row: m.Difference) -> Cause | None:
    """What orders that may have filled unheard, or a split that is suspected, say of it."""
    held = state.quarantines.get(row.con_id)
    if held is not None and held.cause is Cause.SPLIT:
        return Cause.SPLIT
    if any(may_have_filled(order, row.missing) for order in state.live_in(row.con_id)):
        return Cause.LATE_FILL
    foreign = [order for order in state.foreign_orders.values() if order.con_id == row.con_id]
    wanted = (order.remaining * order.side.sign for order in foreign)
    if any(quantity * row.missing > 0 and abs(row.missing) <= abs(quantity) for quantity in wanted):
        return Cause.OTHER_CLIENT
    return None


def _has_moved(state: State, row: m.Difference) -> bool:
    """Whether the account's shares have changed since the last comparison: else the book has, by no cause of theirs."""
    moved, compared = state.moved.get(row.con_id), state.compared
    if compared is None or compared.at is None:
        return True
    return moved is not None and (moved.at is None or moved.at > compared.at)


def _possible(
    state: State, rows: Sequence[m.Difference], cash: Decimal | None, *, is_alone: bool
) -> dict[int, tuple[Cause, ...]]:
    """The causes of each difference in the explanations that fit with the fewest kinds of causes.

    Where cash says nothing: those that several differences could have at all, and nothing of one alone.
    """
    choices = [tuple(_parts(state, row, is_alone=is_alone)) for row in rows]
    fitting: list[tuple[Part, ...]] = []
    if cash is not None and prod(map(len, choices)) <= MOST_EXPLANATIONS:
        fitting = [parts for parts in product(*choices) if _fits(parts, cash)]
    elif not is_alone:
        return {row.con_id: _causes(parts) for row, parts in zip(rows, choices, strict=True) if len(parts) > 1}
    fewest = min((len(_causes(parts)) for parts in fitting), default=0)
    plainest = [parts for parts in fitting if len(_causes(parts)) == fewest]
    return {row.con_id: _causes([parts[place] for parts in plainest]) for place, row in enumerate(rows)}


def _causes(parts: Sequence[Part]) -> tuple[Cause, ...]:
    return tuple(dict.fromkeys(part.cause for part in parts))


def _parts(state: State, row: m.Difference, *, is_alone: bool) -> Iterator[Part]:
    """Everything a difference could come from on its own."""
    yield Part(cause=Cause.TRANSFER, missing=row.missing)
    for fill in state.fills.values():
        # A fill told before is undone, with its commission or without.
        if fill.con_id == row.con_id and fill.quantity == -row.missing:
            paid_back, charged = fill.quantity * fill.price, state.commissions.get(fill.exec_id, ZERO)
            for cash in {paid_back, paid_back + charged}:
                yield Part(cause=Cause.CORRECTION, missing=row.missing, cash=cash, slack=CENT)
    if is_alone or not row.missing % DELIVERED:
        yield Part(cause=Cause.ASSIGNMENT, missing=row.missing)


def _fits(parts: Sequence[Part], cash: Decimal) -> bool:
    """Whether all of these together would have moved this cash."""
    rest = cash - sum((part.cash for part in parts), ZERO)
    slack = sum((part.slack for part in parts), ZERO)
    assigned = [part.missing for part in parts if part.cause is Cause.ASSIGNMENT]
    if not assigned:
        return abs(rest) < CENT or abs(rest) <= slack
    return _are_strikes(assigned, rest, slack)


def _are_strikes(assigned: Sequence[Decimal], cash: Decimal, slack: Decimal) -> bool:
    """Whether shares at strikes above nothing could have moved this cash, give or take the slack."""
    if any(missing != missing.to_integral_value() for missing in assigned):
        return False
    step = Decimal(gcd(*(int(missing) for missing in assigned))) / STRIKES_A_UNIT
    paid, least = -cash, sum(assigned, ZERO) / STRIKES_A_UNIT
    nearest = ((paid - slack) / step).to_integral_value(ROUND_CEILING) * step
    if nearest > paid + slack:
        return False
    bought, sold = (missing > 0 for missing in (max(assigned), min(assigned)))
    if bought != sold:
        return True
    return paid + slack >= least if bought else paid - slack <= least
