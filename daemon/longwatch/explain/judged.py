"""A decision made once more up to one order: what was wanted, and what every row of the table of limits saw of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import cast

from longwatch.domain import messages as m
from longwatch.domain.decide import decide
from longwatch.domain.instruments import Side
from longwatch.domain.messages import Verb
from longwatch.domain.orders import Purpose
from longwatch.domain.portfolio.rebalance import proposal_of
from longwatch.domain.portfolio.targets import weighed
from longwatch.domain.portfolio.wanted import Wanted, sized, wanted_trades
from longwatch.domain.risk.caps import with_exposure
from longwatch.domain.risk.limits import Limit
from longwatch.domain.risk.permits import sent_lately
from longwatch.domain.risk.proposal import Proposal
from longwatch.domain.risk.table import LIMITS
from longwatch.domain.state import State, evolve, is_fact

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a row of the table made of a trade; `observed` and `limit` are None where a row that passed tells none.

    `quantity` is what a cap left of it, None where it took nothing away.
    """

    name: str
    unit: str
    passed: bool
    observed: str | None = None
    limit: str | None = None
    text: str = ""
    quantity: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One symbol of a decision: what was wanted of it and the verdicts on that, in the order they were asked for.

    `target` is how it came to be wanted; None in a flatten.
    """

    wanted: Wanted
    target: m.TargetSized | None
    proposal: Proposal
    verdicts: tuple[Verdict, ...]


def judged(state: State, event: m.RebalanceDue, symbol: str) -> Judged | None:
    """What a recorded decision saw of a symbol; None where it wanted no trade of it. Changes `state`, that before it.

    The state is brought to where the symbol's turn came: what the symbols before it had added counts.
    """
    found = weighed(state)
    wanted = next((one for one in wanted_trades(state, event, found) if one.instrument.symbol == symbol), None)
    if wanted is None or not wanted.trade:
        return None
    target = next(sized(state, event.run_id, found, wanted), None)
    allowed: dict[str, m.TradeClamped] = {}
    for item in decide(state, event):
        if isinstance(item, m.OrderIntended) and item.order.symbol == symbol:
            break
        if isinstance(item, m.TradeRefused) and item.symbol == symbol:
            break
        if isinstance(item, m.TradeClamped) and item.symbol == symbol:
            allowed[item.check] = item
        if is_fact(item):
            evolve(state, cast(m.Fact, item))
    quote = next((one for one in event.quotes if one.symbol == symbol), None)
    proposal = proposal_of(state, event, wanted, quote)
    return Judged(wanted=wanted, target=target, proposal=proposal, verdicts=tuple(verdicts(state, proposal, allowed)))


def verdicts(state: State, proposal: Proposal, clamped: dict[str, m.TradeClamped]) -> Iterator[Verdict]:
    """Every row that binds such a trade, the refusing ones up to the first that refused; `clamped` as it was recorded.

    A cap is asked of what those before it left.
    """
    for row in LIMITS:
        if row.check is None or proposal.purpose not in row.binds:
            continue
        verdict = _check(state, proposal, row)
        yield verdict
        if not verdict.passed:
            return
    if proposal.purpose is Purpose.ENTRY:
        proposal = with_exposure(state, proposal)
    for row in LIMITS:
        if row.cap is None or proposal.purpose not in row.binds:
            continue
        cap = row.cap(state, proposal)
        if cap is None:
            continue
        took = clamped.get(row.name) if proposal.quantity > cap.allowed else None
        left = None if took is None else abs(took.allowed)
        yield Verdict(
            name=row.name,
            unit=row.unit,
            passed=proposal.quantity <= cap.allowed,
            observed=f"{cap.observed:f}",
            limit=f"{cap.limit:f}",
            quantity=left,
        )
        if left is not None:
            proposal = replace(proposal, quantity=left, closes=False)


def _check(state: State, proposal: Proposal, row: Limit) -> Verdict:
    assert row.check is not None
    refusal = row.check(state, proposal)
    if refusal is not None:
        return Verdict(
            name=row.name,
            unit=row.unit,
            passed=False,
            observed=refusal.observed,
            limit=refusal.limit,
            text=refusal.text,
        )
    observe = OBSERVED.get(row.name)
    observed, limit = (None, None) if observe is None else observe(state, proposal)
    return Verdict(name=row.name, unit=row.unit, passed=True, observed=observed, limit=limit)


# ── what a check that passed had seen ───────────────────────────────────────────────────────────────────────────────

Seen = tuple[str | None, str | None]


def _account(state: State, proposal: Proposal) -> Seen:
    return state.account, state.mode


def _verbs(state: State, proposal: Proposal) -> Seen:
    return ", ".join(
        verb.value for verb in sorted(state.verbs)
    ) or "none on, ready", f"{proposal.purpose.value} allowed"


def _hours(state: State, proposal: Proposal) -> Seen:
    if proposal.session is None:
        return None, None
    opened, closes = proposal.session.open_at, proposal.session.close_at
    return f"{proposal.at:%H:%M:%S}Z", f"{opened:%H:%M}Z to {closes:%H:%M}Z"


def _rate(state: State, proposal: Proposal) -> Seen:
    return str(sent_lately(state, proposal.tech)), str(state.settings.max_orders_per_minute)


def _data(state: State, proposal: Proposal) -> Seen:
    row = state.judged.get(proposal.instrument.symbol)
    if state.is_on(Verb.FLATTEN) or row is None:
        return None, None
    return f"{row.bars} bars up to {row.last_session}, no flaw", "no flaw"


def _quote(state: State, proposal: Proposal) -> Seen:
    quote = proposal.quote
    return (None, None) if quote is None else (f"{quote.bid} / {quote.ask}", "bid and ask")


def _quote_age(state: State, proposal: Proposal) -> Seen:
    age = proposal.quote.age_seconds(proposal.tech) if proposal.quote else None
    return None if age is None else f"{age:.1f}", f"{state.settings.max_quote_age_seconds:g}"


def _quote_type(state: State, proposal: Proposal) -> Seen:
    limit = "any" if state.settings.allow_delayed_data else "1"
    return str(proposal.quote.market_data_type) if proposal.quote else None, limit


def _band(state: State, proposal: Proposal) -> Seen:
    quote = proposal.quote
    far = None if quote is None else (quote.ask if proposal.side is Side.BUY else quote.bid)
    seen = (quote.mid if quote else None, far, proposal.limit_price, proposal.stop_price)
    off = [abs(price / proposal.price - 1) for price in seen if price is not None]
    return f"{max(off):.4f}" if off else None, f"{state.settings.price_band_fraction:f}"


def _stop_side(state: State, proposal: Proposal) -> Seen:
    return (None, None) if proposal.stop_price is None else (f"{proposal.stop_price:f}", "beyond the market")


def _size(state: State, proposal: Proposal) -> Seen:
    return f"{proposal.quantity:f}", f"{state.settings.min_order_size:f}"


def _contract_size(state: State, proposal: Proposal) -> Seen:
    return f"{proposal.quantity + proposal.filled:f}", f"{proposal.instrument.min_size:f}"


def _value(state: State, proposal: Proposal) -> Seen:
    return f"{proposal.value:.2f}", f"{state.settings.min_order_value:f}"


OBSERVED: dict[str, Callable[[State, Proposal], Seen]] = {
    "account": _account,
    "verbs": _verbs,
    "trading_hours": _hours,
    "order_rate": _rate,
    "data": _data,
    "quote": _quote,
    "quote_age": _quote_age,
    "quote_type": _quote_type,
    "price_band": _band,
    "stop_side": _stop_side,
    "min_order_size": _size,
    "contract_min_size": _contract_size,
    "min_order_value": _value,
}
"""(observed, limit) of a check that passed, by the name of its row; of others it is told that they passed."""
