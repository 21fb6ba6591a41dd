"""What strategies and instruments lose while a session is open; called by decide and by the reconciliation.

At each reconciliation they are looked at, at the quotes as they then stand. A loss counts once two looks in a row show
it, as the account's does: one quote may be wrong. Of what is held without a quote that could be traded on, nothing is
concluded: an instrument is passed over, a strategy where it holds any such. A look is noted only where it changes
something: where the first shows a loss at its limit, where the next one does or does not, and where an instrument had
nothing to measure a loss from. So a strategy's best is that of its other valuings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.levels import Level
from longwatch.domain.quotes import LIVE, Quote
from longwatch.domain.risk import instrument_losses, strategy_losses
from longwatch.domain.risk.held_at import RULE
from longwatch.domain.risk.holds import Followed, judge, reaches
from longwatch.domain.state import State

LOSS = RULE[instrument_losses.LOSS]
WATCHED = (RULE["strategy_daily_loss"], RULE["strategy_drawdown"], LOSS)


def looked(state: State, event: m.HoldingsQuoted) -> Followed:
    """What follows from one look; nothing where no session is open, or no such limit is set."""
    is_watched = any(getattr(state.settings.holds, rule.limit) is not None for rule in WATCHED)
    if is_watched and any(session.is_open(event.at) for session in state.sessions):
        prices = fresh_prices(state, event.quotes, event.tech)
        yield from _strategies(state, prices, event.at)
        yield from _instruments(state, prices, event.at)


def fresh_prices(state: State, quotes: Iterable[Quote], tech: datetime) -> dict[str, Decimal]:
    """Symbol -> the mid of a quote that could be traded on: both sides, not crossed, fresh, of a type that is taken."""
    takes_delayed = state.settings.allow_delayed_data and state.mode != "live"
    prices = {}
    for quote in quotes:
        age, mid = quote.age_seconds(tech), quote.mid
        if age is None or age > state.settings.max_quote_age_seconds or mid is None:
            continue
        is_taken = quote.market_data_type == LIVE or takes_delayed
        if is_taken and quote.bid is not None and quote.ask is not None and 0 < quote.bid <= quote.ask:
            prices[quote.symbol] = mid
    return prices


def _strategies(state: State, prices: Mapping[str, Decimal], at: datetime) -> Followed:
    for name, allocation in state.settings.allocations:
        if not _is_priced(state, name, prices):
            continue
        mark, known = strategy_losses.marked(state, name, prices, at), state.marks.get((Level.STRATEGY, name))
        if mark is None:
            continue
        lost = list(strategy_losses.lost_by(state, mark, allocation))
        former = [] if known is None or known.session != mark.session else [known]
        before = [one for was in former for one in strategy_losses.lost_by(state, was, allocation)]
        was_shown = {rule.name for rule, loss in before if reaches(state, rule, name, loss)}
        is_shown = {rule.name for rule, loss in lost if reaches(state, rule, name, loss)}
        if was_shown or is_shown:
            yield mark
        for rule, loss in lost:
            if rule.name in was_shown:
                yield from judge(state, rule, name, loss, at)


def _is_priced(state: State, strategy: str, prices: Mapping[str, Decimal]) -> bool:
    """Whether there is a price for all that a strategy holds, and it is known what of that is held."""
    held = [part for (name, _), part in state.parts.items() if name == strategy and part.quantity]
    books = [state.book.get(part.con_id) for part in held]
    return all(
        book is not None and part.symbol in prices and instrument_losses.is_certain(state, book)
        for part, book in zip(held, books, strict=True)
    )


def _instruments(state: State, prices: Mapping[str, Decimal], at: datetime) -> Followed:
    days = instrument_losses.last_days(state, at)
    for holding in list(state.book.values()):
        name = holding.symbol
        if name not in prices or not instrument_losses.is_certain(state, holding):
            continue
        mark = instrument_losses.marked(state, holding, prices[name], at, days)
        known = state.marks.get((Level.INSTRUMENT, name))
        former = [] if known is None or known.session != mark.session else [known]
        before = [loss for was in former for loss in instrument_losses.lost_by(state, was)]
        was_shown = any(reaches(state, LOSS, name, loss) for loss in before)
        lost = list(instrument_losses.lost_by(state, mark))
        is_shown = any(reaches(state, LOSS, name, loss) for loss in lost)
        begins = bool(holding.quantity) and (known is None or known.session not in days)
        if was_shown or is_shown or begins:
            yield mark
        for loss in lost if was_shown else ():
            yield from judge(state, LOSS, name, loss, at, holding.con_id)
