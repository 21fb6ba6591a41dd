"""What each instrument has made or lost since the session's start, held against its limit; called by decide.

As strategies are, instruments are valued at the closes and at the quotes of a rebalance; and, where one trades, at what
was paid for it, so that a stop-out counts at once. A holding that was there before the limit starts at what it is then
worth; after the close it is valued once more, so that the opening gap is part of the next session.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.levels import Level
from longwatch.domain.portfolio.parts import equity_of
from longwatch.domain.positions import Holding
from longwatch.domain.risk.held_at import RULE
from longwatch.domain.risk.holds import Followed, day_of, judge
from longwatch.domain.state import State

LOSS = "instrument_daily_loss"


def instruments_valued(state: State, prices: Mapping[str, Decimal], at: datetime) -> Followed:
    """Every instrument of the book that has a price."""
    for holding in list(state.book.values()) if state.settings.holds.instrument_daily_loss is not None else ():
        if holding.symbol in prices:
            yield from _valued(state, holding, prices[holding.symbol], at)


def after_fill(state: State, fact: m.FillBooked, at: datetime) -> Followed:
    """The instrument that has just traded."""
    holding = state.book.get(fact.con_id)
    if holding is not None and fact.quantity and state.settings.holds.instrument_daily_loss is not None:
        yield from _valued(state, holding, fact.price, at)


def _valued(state: State, holding: Holding, price: Decimal, at: datetime) -> Followed:
    value = holding.realized + holding.quantity * (price - holding.average_cost)
    session, known = day_of(state, at), state.marks.get((Level.INSTRUMENT, holding.symbol))
    start = value if known is None else known.value if known.session != session else known.start
    if known is None or (known.session, known.value) != (session, value):
        yield m.EquityMarked(
            level=Level.INSTRUMENT,
            name=holding.symbol,
            session=session,
            start=start,
            peak=max(start, value),
            value=value,
            at=at,
        )
    equity = equity_of(state)
    if equity > 0:
        yield from judge(state, RULE[LOSS], holding.symbol, (start - value) / equity, at, holding.con_id)
