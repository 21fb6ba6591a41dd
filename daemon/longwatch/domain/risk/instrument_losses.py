"""What each instrument has made or lost since the session's start, held against its limit; called by decide.

As strategies are, instruments are valued at the closes and at the quotes of a rebalance; and, where one trades, at what
was paid for it, if that is news: as fresh as a quote must be, and newer than what it was last valued at. What is closed
has no price any more, so that a stop-out counts at once, however late it is heard of. They are valued without a limit
too: one that is set in the midst of a session finds what is lost since its start. After the close each is valued once
more, so that the opening gap is part of the next session.

What is forgotten: what was lost in sessions in which nothing was valued (the daemon did not run, say), which are more
than the last one back; what adopted shares made or lost before the price at which ours were last valued (where none
were held, before the last close). While an instrument is quarantined, or account and book differ, it is not valued:
what is lost meanwhile counts as soon as they agree, in that session or the next one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from heapq import nlargest
from itertools import takewhile

from longwatch.domain import messages as m
from longwatch.domain.levels import Level
from longwatch.domain.order_life.inference import MADE_UP
from longwatch.domain.portfolio.parts import equity_of
from longwatch.domain.positions import Holding
from longwatch.domain.risk.exposure import last_known_price
from longwatch.domain.risk.held_at import RULE
from longwatch.domain.risk.holds import Followed, judge_anew
from longwatch.domain.state import State
from longwatch.quick import changed

ZERO = Decimal(0)
LOSS = "instrument_daily_loss"


def instruments_valued(state: State, prices: Mapping[str, Decimal], at: datetime) -> Followed:
    """Every instrument of the book that has a price, and of which it is known what is held."""
    days = last_days(state, at)
    for holding in list(state.book.values()):
        if holding.symbol in prices and is_certain(state, holding):
            yield from _valued(state, holding, prices[holding.symbol], at, days, at)


def after_fill(state: State, fact: m.FillBooked, at: datetime) -> Followed:
    """The instrument that has just traded: what is realized at once, what is held where the price is one of now."""
    holding, days = state.book.get(fact.con_id), last_days(state, at)
    if holding is None or not fact.quantity or fact.exec_id.startswith(MADE_UP) or not is_certain(state, holding):
        return
    if _is_news(state, fact, at, days[0]):
        yield from _valued(state, holding, fact.price, at, days, fact.executed_at)
    elif not holding.quantity:
        yield from _valued(state, holding, fact.price, at, days, at)


def _is_news(state: State, fact: m.FillBooked, at: datetime, session: date | None) -> bool:
    """Whether a fill tells a price of now: one that is corrected, or heard late, tells one of before."""
    if at - fact.executed_at > timedelta(seconds=state.settings.max_quote_age_seconds):
        return False
    opened = next((one.open_at for one in state.sessions if one.date == session), fact.executed_at)
    known = state.marks.get((Level.INSTRUMENT, fact.symbol))
    return fact.executed_at >= max(opened, known.at if known is not None else opened)


def at_adoption(state: State, fact: m.HoldingAdopted, at: datetime) -> tuple[m.EquityMarked, ...]:
    """What follows from an adoption that is about to be booked: what its shares made or lost before is not ours."""
    known, holding = state.marks.get((Level.INSTRUMENT, fact.symbol)), state.book.get(fact.con_id)
    if known is None or holding is None:
        return ()
    if holding.quantity:
        price = holding.average_cost + (known.value - holding.realized) / holding.quantity
    else:
        price = last_known_price(state, fact.con_id, fact.symbol) or fact.average_cost
        session = last_days(state, at)[0]
        if known.session != session:
            known = changed(known, session=session, start=known.value, peak=known.value)
    old = fact.quantity * (price - fact.average_cost)
    return (changed(known, start=known.start + old, peak=known.peak + old, value=known.value + old, at=at),)


def last_days(state: State, at: datetime) -> list[date | None]:
    """The session that opened last, and the one before it: of another one no mark counts."""
    return [*nlargest(2, (one.date for one in state.sessions if one.open_at <= at))] or [None]


def is_certain(state: State, holding: Holding) -> bool:
    """Whether the account agrees with the book, but for fills heard since they were compared.

    After a split that is not booked yet, the price is of other shares than the book's.
    """
    con_id = holding.con_id
    if con_id in state.quarantines:
        return False
    told, outside = (held.get(con_id, ("", ZERO))[1] for held in (state.account_positions, state.outside))
    missing = told - outside - holding.quantity
    if not missing:
        return True
    since = state.compared.tech if state.compared is not None else None
    later = takewhile(lambda fill: since is None or fill.tech >= since, reversed(state.fills.values()))
    traded = [fill.quantity for fill in later if fill.con_id == con_id]
    bought, sold = (sum((max(one * sign, ZERO) for one in traded), ZERO) for sign in (1, -1))
    return -bought <= missing <= sold


def _valued(
    state: State, holding: Holding, price: Decimal, at: datetime, days: Sequence[date | None], paid_at: datetime
) -> Followed:
    """At a price of `paid_at`, heard `at`."""
    mark, known = marked(state, holding, price, paid_at, days), state.marks.get((Level.INSTRUMENT, holding.symbol))
    # What nothing is held of, and has lost nothing since its start, is worth the same in every session.
    is_at_rest = not holding.quantity and known is not None and known.start == known.value == mark.value
    if not is_at_rest and (known is None or (known.session, known.value) != (mark.session, mark.value)):
        yield mark
    for lost in lost_by(state, mark):
        yield from judge_anew(state, RULE[LOSS], holding.symbol, lost, at, holding.con_id)


def marked(state: State, holding: Holding, price: Decimal, at: datetime, days: Sequence[date | None]) -> m.EquityMarked:
    """What an instrument's losses are measured from, with its value at a price; `days` are those of `last_days`."""
    value, session = holding.realized + holding.quantity * (price - holding.average_cost), days[0]
    known = state.marks.get((Level.INSTRUMENT, holding.symbol))
    if known is not None and known.session not in days:
        known = None
    start = value if known is None else known.value if known.session != session else known.start
    return m.EquityMarked(
        level=Level.INSTRUMENT,
        name=holding.symbol,
        session=session,
        start=start,
        peak=max(start, value),
        value=value,
        at=at,
    )


def lost_by(state: State, mark: m.EquityMarked) -> Iterator[Decimal]:
    """What a mark shows to be lost, as a fraction of the account's equity; nothing without equity."""
    equity = equity_of(state)
    if equity > 0:
        yield (mark.start - mark.value) / equity
