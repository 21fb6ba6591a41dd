"""The checks of what a trade is judged by and priced at, each a row of the table of limits; joined by table.py."""

from __future__ import annotations

from decimal import Decimal

from longwatch.domain.instruments import Side
from longwatch.domain.messages import Verb
from longwatch.domain.orders import OrderType
from longwatch.domain.quotes import LIVE
from longwatch.domain.risk.caps import displayed
from longwatch.domain.risk.limits import ENTRIES, Does, Limit, Setting
from longwatch.domain.risk.proposal import Proposal, Refusal
from longwatch.domain.state import State

ZERO = Decimal(0)
CHECKS = "tests/daemon/test_checks.py::"


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


def check_quote(state: State, proposal: Proposal) -> Refusal | None:
    """A two-sided quote exists, and its sides have not crossed; a flatten at the market needs none."""
    quote = proposal.quote
    if _needs_no_price(state, proposal):
        return None
    if quote is not None and quote.bid is not None and quote.ask is not None:
        if quote.bid <= quote.ask:
            return None
        text = f"{proposal.instrument.symbol}: the bid {quote.bid} is above the ask {quote.ask}"
        return Refusal(check="quote", observed=f"{quote.bid} over {quote.ask}", limit="bid up to ask", text=text)
    text = f"{proposal.instrument.symbol}: there is no bid and ask"
    return Refusal(check="quote", observed="none", limit="bid and ask", text=text)


def check_quote_age(state: State, proposal: Proposal) -> Refusal | None:
    """The quote is fresh; a flatten at the market needs none."""
    if _needs_no_price(state, proposal):
        return None
    age = proposal.quote.age_seconds(proposal.tech) if proposal.quote else None
    limit = state.settings.max_quote_age_seconds
    if age is not None and age <= limit:
        return None
    seen = "never" if age is None else f"{age:.1f} s"
    text = f"{proposal.instrument.symbol}: the quote is {seen} old, over {limit:g} s"
    return Refusal(check="quote_age", observed=seen, limit=f"{limit:g} s", text=text)


def _needs_no_price(state: State, proposal: Proposal) -> bool:
    return state.is_on(Verb.FLATTEN) and proposal.order_type is OrderType.MARKET


def check_quote_type(state: State, proposal: Proposal) -> Refusal | None:
    """The quote is live: delayed data are an explicit opt-in."""
    kind = proposal.quote.market_data_type if proposal.quote else 1
    if kind == LIVE or (state.settings.allow_delayed_data and state.mode != "live"):
        return None
    text = f"{proposal.instrument.symbol}: market data type {kind} is not live"
    return Refusal(check="quote_type", observed=str(kind), limit="1 (live)", text=text)


def check_price_band(state: State, proposal: Proposal) -> Refusal | None:
    """What may be paid is near the price the trade was sized at: no trade on a price that can't be right."""
    quote = proposal.quote
    far = None if quote is None else (quote.ask if proposal.side is Side.BUY else quote.bid)
    price = close = proposal.price
    farthest = ZERO
    for seen in (quote.mid if quote else None, far, proposal.limit_price, proposal.stop_price):
        if seen is not None and (away := abs(seen - close)) > farthest:
            price, farthest = seen, away
    off, limit = abs(price / close - 1), state.settings.price_band_fraction
    if off <= limit:
        return None
    text = f"{proposal.instrument.symbol}: {price} is {off:.1%} away from the close {close}, over {limit:.1%}"
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


def check_liquidity(state: State, proposal: Proposal) -> Refusal | None:
    """What the limits on liquidity rest on is known: an unknown volume is no large one."""
    settings, symbol = state.settings, proposal.instrument.symbol
    judged = state.judged.get(symbol)
    if settings.max_volume_fraction is not None and (judged is None or not judged.average_volume):
        text = f"{symbol}: its average daily volume is not known, and risk.max_volume_fraction limits a session to it"
        return Refusal(check="liquidity", observed="no volume", limit="an average daily volume", text=text)
    if settings.max_displayed_fraction is not None and not displayed(proposal):
        text = f"{symbol}: the quote displays no size, and risk.max_displayed_fraction limits an order to it"
        return Refusal(check="liquidity", observed="no size", limit="a displayed size", text=text)
    return None


def check_min_order_size(state: State, proposal: Proposal) -> Refusal | None:
    """Worth sending, in shares; an order that closes a position is let through."""
    limit = state.settings.min_order_size
    if proposal.quantity >= limit or proposal.closes:
        return None
    text = f"{proposal.instrument.symbol}: {proposal.quantity} shares are under {limit}"
    return Refusal(check="min_order_size", observed=str(proposal.quantity), limit=str(limit), text=text)


def check_contract_min_size(state: State, proposal: Proposal) -> Refusal | None:
    """As many shares as the broker takes at least, whatever they are for: it would refuse a smaller exit too (388)."""
    size, limit = proposal.quantity + proposal.filled, proposal.instrument.min_size
    if size >= limit:
        return None
    symbol = proposal.instrument.symbol
    text = f"{symbol}: {size} shares are under {limit}, the fewest that the broker takes in an order"
    return Refusal(check="contract_min_size", observed=str(size), limit=str(limit), text=text)


def check_min_order_value(state: State, proposal: Proposal) -> Refusal | None:
    """Worth sending, in money; an order that closes a position is let through."""
    limit = state.settings.min_order_value
    if proposal.value >= limit or proposal.closes:
        return None
    text = f"{proposal.instrument.symbol}: {proposal.value:.2f} is under {limit}"
    return Refusal(check="min_order_value", observed=f"{proposal.value:.2f}", limit=str(limit), text=text)


ROWS = (
    Limit(
        name="data",
        does=Does.REFUSES,
        unit="flaws",
        text="The bars are without a flaw; a flatten does not rest on bars.",
        test=f"{CHECKS}test_bars_found_flawed_after_the_decision_stop_their_symbol",
        settings=(Setting("data.stale_sessions", "1"),),
        check=check_data,
    ),
    Limit(
        name="quote",
        does=Does.REFUSES,
        unit="bid and ask",
        text="There is a quote with both sides, the bid not above the ask; a flatten by `MKT` needs none.",
        test=f"{CHECKS}test_without_bid_and_ask_nothing_is_sent",
        check=check_quote,
    ),
    Limit(
        name="quote_age",
        does=Does.REFUSES,
        unit="seconds",
        text="The quote is fresh; a flatten by `MKT` needs none.",
        test=f"{CHECKS}test_a_setting_refuses_the_trade[quote_age]",
        settings=(Setting("risk.max_quote_age_seconds", "30"),),
        check=check_quote_age,
    ),
    Limit(
        name="quote_type",
        does=Does.REFUSES,
        unit="market data type",
        text="The quote is live; delayed data are an explicit choice, in paper alone.",
        test=f"{CHECKS}test_delayed_quotes_are_traded_on_when_paper_asks_for_them",
        settings=(Setting("ib.market_data_type", "1", "restart"),),
        check=check_quote_type,
    ),
    Limit(
        name="price_band",
        does=Does.REFUSES,
        unit="of the sizing price",
        text="What may be paid, and the quote, lie near the price the trade was sized at.",
        test=f"{CHECKS}test_a_market_far_from_the_close_is_not_traded_in",
        settings=(Setting("risk.price_band_fraction", "0.10"),),
        check=check_price_band,
    ),
    Limit(
        name="stop_side",
        does=Does.REFUSES,
        unit="price",
        text="A stop lies beyond the market, or it would be triggered at once.",
        test="tests/daemon/test_modify.py::test_a_stop_is_not_moved_to_where_it_would_be_triggered_at_once",
        settings=(Setting("execution.stop_offset_bps", "50"),),
        binds=ENTRIES,
        check=check_stop_side,
    ),
    Limit(
        name="liquidity",
        does=Does.REFUSES,
        unit="shares",
        text="What the limits on liquidity are a part of is known: the average daily volume, the displayed size.",
        test=f"{CHECKS}test_without_a_known_volume_nothing_is_bought",
        settings=(Setting("risk.max_volume_fraction", "0.01"), Setting("risk.max_displayed_fraction", "null")),
        binds=ENTRIES,
        check=check_liquidity,
    ),
    Limit(
        name="min_order_size",
        does=Does.REFUSES,
        unit="shares",
        text="The smallest order; one that closes a position may be smaller.",
        test=f"{CHECKS}test_a_setting_refuses_the_trade[min_order_size]",
        settings=(Setting("execution.min_order_size", "1"),),
        check=check_min_order_size,
    ),
    Limit(
        name="contract_min_size",
        does=Does.REFUSES,
        unit="shares",
        text="The smallest order that the broker takes of the contract, closing or not; a target for fewer is none.",
        test=f"{CHECKS}test_fewer_shares_than_the_broker_takes_are_not_ordered",
        check=check_contract_min_size,
        always=True,
    ),
    Limit(
        name="min_order_value",
        does=Does.REFUSES,
        unit="base currency",
        text="The smallest order; one that closes a position may be smaller.",
        test=f"{CHECKS}test_a_setting_refuses_the_trade[min_order_value]",
        settings=(Setting("execution.min_order_value", "0"),),
        check=check_min_order_value,
    ),
)
