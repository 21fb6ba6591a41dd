"""What each strategy has lost since the session's start and since its best, held against its limits; called by decide.

At the closes, at the quotes of a rebalance, and while a session is open (session_losses.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.levels import Level
from longwatch.domain.portfolio.parts import equity_of, gain_of, part_of
from longwatch.domain.reconciliation import splits
from longwatch.domain.reconciliation.causes import Cause
from longwatch.domain.reconciliation.quarantines import is_for
from longwatch.domain.risk.held_at import RULE, Rule
from longwatch.domain.risk.holds import Followed, day_of, judge_anew
from longwatch.domain.state import State

ZERO = Decimal(0)


def strategies_valued(state: State, prices: Mapping[str, Decimal], at: datetime) -> Followed:
    """Every strategy of the settings that has made or lost something.

    Where shares have moved as by a split nothing is concluded until that is booked, which takes minutes. Where only a
    history is ahead of the account its prices are those of before: that may stand for days, as may that a symbol is
    another contract's now, whose prices tell nothing of ours: it counts at its cost.
    """
    split = {con_id for con_id in state.quarantines if is_for(state, con_id, {Cause.SPLIT})}
    ahead = {held.symbol for con_id, held in state.quarantines.items() if is_for(state, con_id, {Cause.REBASED})}
    known = dict(prices) | {
        one: splits.in_shares_of_the_book(state, one, price) for one, price in prices.items() if one in ahead
    }
    for held in (one for con_id, one in state.quarantines.items() if is_for(state, con_id, {Cause.CONTRACT})):
        known.pop(held.symbol, None)
    for name, allocation in state.settings.allocations:
        if any(part_of(state, name, con_id) for con_id in split):
            continue
        mark = marked(state, name, known, at)
        if mark is None:
            continue
        yield mark
        for rule, lost in lost_by(state, mark, allocation):
            yield from judge_anew(state, rule, name, lost, at)


def marked(state: State, name: str, prices: Mapping[str, Decimal], at: datetime) -> m.EquityMarked | None:
    """What a strategy's losses are measured from, with its value at these prices; None while there is nothing of it."""
    value, session = gain_of(state, name, prices), day_of(state, at)
    known = state.marks.get((Level.STRATEGY, name))
    if known is None and not value:
        return None
    start, peak = (ZERO, ZERO) if known is None else (known.start, known.peak)
    if known is not None and known.session != session:
        start = known.value
    return m.EquityMarked(
        level=Level.STRATEGY, name=name, session=session, start=start, peak=max(peak, value), value=value, at=at
    )


def lost_by(state: State, mark: m.EquityMarked, allocation: Decimal) -> Iterator[tuple[Rule, Decimal]]:
    """What a mark shows to be lost by each rule, as a fraction of the strategy's capital; nothing without capital."""
    capital = allocation * equity_of(state)
    if capital > 0:
        yield RULE["strategy_daily_loss"], (mark.start - mark.value) / capital
        yield RULE["strategy_drawdown"], (mark.peak - mark.value) / capital
