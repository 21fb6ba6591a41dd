"""The pre-trade checks: a table of caps that make a trade smaller, one of checks that refuse it; called by rebalance.

Every limit is held at worst (exposure.py), this trade included. What is held counts at the sizing price, an order at
the worst price it may be paid; values are in the base currency.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from longwatch.domain.breaker import held_by, told
from longwatch.domain.exposure import still_there, worst_shares, worst_value, worst_values
from longwatch.domain.instruments import Side
from longwatch.domain.messages import Verb
from longwatch.domain.orders import Purpose
from longwatch.domain.proposal import Cap, Proposal, Refusal
from longwatch.domain.readiness import is_ready
from longwatch.domain.state import State
from longwatch.domain.verbs import ACTIONS, forbidden_by

ZERO = Decimal(0)
RUN_LASTS = timedelta(days=7)
"""No run of a job may start later after it was due than this, the longest that the configuration takes."""


CapRule = Callable[[State, Proposal], Cap | None]
CheckRule = Callable[[State, Proposal], Refusal | None]


def first_refusal(state: State, proposal: Proposal) -> Refusal | None:
    """The first check of the table that refuses, or None."""
    return next((refusal for check in CHECKS if (refusal := check(state, proposal)) is not None), None)


# ── caps ────────────────────────────────────────────────────────────────────────────────────────────────────────────


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


ORDER_CAPS: tuple[tuple[str, CapRule], ...] = (
    ("reversal", cap_reversal),
    ("long_only", cap_long_only),
    ("max_order_shares", cap_order_shares),
    ("max_order_value", cap_order_value),
)
ENTRY_CAPS: tuple[tuple[str, CapRule], ...] = (
    ("max_position_size", cap_position_size),
    ("max_weight", cap_weight),
    ("max_gross_exposure", cap_gross_exposure),
    ("max_net_exposure", cap_net_exposure),
)
WAITS_FOR_SELLS = frozenset({"max_gross_exposure", "max_net_exposure"})


def caps_of(proposal: Proposal) -> tuple[tuple[str, CapRule], ...]:
    """The caps that bind a trade: those on exposure bind only what adds to it."""
    return ORDER_CAPS + ENTRY_CAPS if proposal.purpose is Purpose.ENTRY else ORDER_CAPS


# ── checks ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def check_data(state: State, proposal: Proposal) -> Refusal | None:
    """Bars without a flaw: a flawed symbol is neither bought nor sold. A flatten does not rest on bars."""
    if state.is_on(Verb.FLATTEN):
        return None
    symbol = proposal.instrument.symbol
    judged = state.judged.get(symbol)
    if judged is None:
        return Refusal(check="data", observed="no bars", limit="sound bars", text=f"{symbol} has no validated bars")
    if judged.flaws:
        return Refusal(check="data", observed=judged.flaws[0], limit="sound bars", text=f"{symbol}: {judged.flaws[0]}")
    return None


def check_verbs(state: State, proposal: Proposal) -> Refusal | None:
    """The verb matrix, with the readiness certificate as one of its conditions."""
    action = ACTIONS[proposal.purpose]
    ready = is_ready(state, proposal.tech)
    held_by = forbidden_by(state, proposal.instrument.con_id, action, ready=ready)
    if held_by is None:
        return None
    return Refusal(
        check=held_by.name.lower(),
        observed=held_by.value,
        limit=f"{action.value} allowed",
        text=f"{proposal.instrument.symbol}: no {action.value} while {held_by.value}",
    )


def check_breaker(state: State, proposal: Proposal) -> Refusal | None:
    """Nothing that the broker keeps ending, or that a person has cancelled in this session."""
    row = held_by(state, proposal.instrument.con_id, proposal.purpose, proposal.at)
    if row is None:
        return None
    return Refusal(check="breaker", observed=row.reason, limit=str(row.until), text=told(row))


def check_trading_hours(state: State, proposal: Proposal) -> Refusal | None:
    """Inside a session of the exchange."""
    if not state.settings.trading_hours_only:
        return None
    if proposal.session is not None and proposal.session.is_open(proposal.at):
        return None
    return Refusal(
        check="trading_hours",
        observed=proposal.at.isoformat(),
        limit="an open session",
        text=f"{proposal.instrument.symbol}: the exchange is closed",
    )


def check_quote(state: State, proposal: Proposal) -> Refusal | None:
    """A two-sided quote exists."""
    quote = proposal.quote
    if quote is not None and quote.bid is not None and quote.ask is not None:
        return None
    text = f"{proposal.instrument.symbol}: there is no bid and ask"
    return Refusal(check="quote", observed="none", limit="bid and ask", text=text)


def check_quote_age(state: State, proposal: Proposal) -> Refusal | None:
    """The quote is fresh."""
    age = proposal.quote.age_seconds(proposal.tech) if proposal.quote else None
    limit = state.settings.max_quote_age_seconds
    if age is not None and age <= limit:
        return None
    seen = "never" if age is None else f"{age:.1f} s"
    text = f"{proposal.instrument.symbol}: the quote is {seen} old, over {limit:g} s"
    return Refusal(check="quote_age", observed=seen, limit=f"{limit:g} s", text=text)


def check_quote_type(state: State, proposal: Proposal) -> Refusal | None:
    """The quote is live: delayed data are an explicit opt-in."""
    kind = proposal.quote.market_data_type if proposal.quote else 1
    if kind == 1 or state.settings.allow_delayed_data:
        return None
    text = f"{proposal.instrument.symbol}: market data type {kind} is not live"
    return Refusal(check="quote_type", observed=str(kind), limit="1 (live)", text=text)


def check_price_band(state: State, proposal: Proposal) -> Refusal | None:
    """What may be paid is near the price the trade was sized at: no trade on a price that can't be right."""
    quote = proposal.quote
    far = None if quote is None else (quote.ask if proposal.side is Side.BUY else quote.bid)
    seen = (quote.mid if quote else None, far, proposal.limit_price, proposal.stop_price)
    prices = [price for price in seen if price is not None]
    if not prices:
        return None
    price = max(prices, key=lambda one: abs(one / proposal.price - 1))
    off, limit = abs(price / proposal.price - 1), state.settings.price_band_fraction
    if off <= limit:
        return None
    text = f"{proposal.instrument.symbol}: {price} is {off:.1%} away from the close {proposal.price}, over {limit:.1%}"
    return Refusal(check="price_band", observed=f"{off:.4f}", limit=str(limit), text=text)


def check_stop_side(state: State, proposal: Proposal) -> Refusal | None:
    """A stop lies beyond the market, a buy's above the ask, a sell's below the bid: else it is triggered at once."""
    stop, quote = proposal.stop_price, proposal.quote
    far = None if quote is None else (quote.ask if proposal.side is Side.BUY else quote.bid)
    if stop is None or far is None or (stop - far) * proposal.side.sign > 0:
        return None
    limit = f"above {far}" if proposal.side is Side.BUY else f"below {far}"
    text = f"{proposal.instrument.symbol}: the stop {stop} is not {limit}"
    return Refusal(check="stop_side", observed=str(stop), limit=limit, text=text)


def check_min_order_size(state: State, proposal: Proposal) -> Refusal | None:
    """Worth sending, in shares; an order that closes a position is let through."""
    limit = state.settings.min_order_size
    if proposal.quantity >= limit or proposal.closes:
        return None
    text = f"{proposal.instrument.symbol}: {proposal.quantity} shares are under {limit}"
    return Refusal(check="min_order_size", observed=str(proposal.quantity), limit=str(limit), text=text)


def check_min_order_value(state: State, proposal: Proposal) -> Refusal | None:
    """Worth sending, in money; an order that closes a position is let through."""
    limit = state.settings.min_order_value
    if proposal.value >= limit or proposal.closes:
        return None
    text = f"{proposal.instrument.symbol}: {proposal.value:.2f} is under {limit}"
    return Refusal(check="min_order_value", observed=f"{proposal.value:.2f}", limit=str(limit), text=text)


def check_order_rate(state: State, proposal: Proposal) -> Refusal | None:
    """Orders of the last minute; a loop gone wrong ends here."""
    since, count = proposal.tech - timedelta(seconds=60), 0
    for order in reversed(state.orders.values()):
        if order.sent_at is not None and order.sent_at <= since:
            break
        count += order.sent_at is not None
    limit = state.settings.max_orders_per_minute
    if count < limit:
        return None
    text = f"{proposal.instrument.symbol}: {count} orders in the last minute, the limit is {limit}"
    return Refusal(check="order_rate", observed=str(count), limit=str(limit), text=text)


def check_duplicate(state: State, proposal: Proposal) -> Refusal | None:
    """One order an instrument and decision, also where other decisions came between."""
    for order in reversed(state.orders.values()):
        if order.created_at < proposal.at - RUN_LASTS:
            break
        if order.run_id == proposal.run_id and order.con_id == proposal.instrument.con_id:
            text = f"{proposal.instrument.symbol}: {proposal.run_id} already has order {order.ref}"
            return Refusal(check="duplicate", observed=order.ref, limit="one order a decision", text=text)
    return None


def check_account(state: State, proposal: Proposal) -> Refusal | None:
    """The account contradicts the mode: a paper account's id begins with D."""
    paper = state.account.startswith("D")
    if state.mode not in ("paper", "live") or paper == (state.mode == "paper"):
        return None
    text = f"account {state.account} does not belong in mode {state.mode}"
    return Refusal(check="account", observed=state.account, limit=state.mode, text=text)


CHECKS: tuple[CheckRule, ...] = (
    check_account,
    check_verbs,
    check_breaker,
    check_data,
    check_trading_hours,
    check_quote,
    check_quote_age,
    check_quote_type,
    check_price_band,
    check_stop_side,
    check_min_order_size,
    check_min_order_value,
    check_order_rate,
    check_duplicate,
)
