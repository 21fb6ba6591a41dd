"""What a rebalance wants, symbol by symbol, before any check: targets sized, netted with what is held and under way.

Each symbol's way from weights to trade is a fact of its own, `TargetSized`, with every figure that it went by.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from math import lcm

from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument, to_lot
from longwatch.domain.order_life.breaker import in_lots_to_close
from longwatch.domain.order_life.closing import closable
from longwatch.domain.portfolio.parts import equity_of
from longwatch.domain.portfolio.sizing import Clamp, Target, edges, not_through_zero, size, to_edge
from longwatch.domain.portfolio.targets import Weighed, caps_of, parts_of
from longwatch.domain.portfolio.weights import over
from longwatch.domain.state import State
from longwatch.quick import quick

ZERO = Decimal(0)
ASKED_FOR = {"data": "sound bars", "instrument": "a known contract", "size": "the figures its method sizes by"}


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One symbol's way from weight to trade; `trade` signed shares, `price` the sizing price.

    `low` and `high` are the edges of the buffer, `pending` what live orders may still do. `target` is None where a
    flatten closes.
    """

    instrument: Instrument
    held: Decimal
    trade: Decimal
    price: Decimal
    clamps: tuple[Clamp, ...] = ()
    flat: bool = False
    target: Target | None = None
    low: Decimal = ZERO
    high: Decimal = ZERO
    pending: Decimal = ZERO


def wanted_trades(state: State, event: m.RebalanceDue, found: Weighed) -> list[Wanted]:
    """Every symbol with something to do, netted with what is held and what live orders may still do."""
    if state.is_on(m.Verb.FLATTEN):
        return list(_closing_trades(state, event))
    prices = dict(state.equity.prices) if state.equity else {}
    wanted: list[Wanted] = []
    for symbol, weight in found.weights.items():
        instrument, price = state.instruments.get(symbol), prices.get(symbol, ZERO)
        if instrument is None or price <= 0 or not (weight or state.live or state.held(instrument.con_id)):
            continue
        wanted.append(_wanted(state, instrument, found, symbol, price))
    return _within_caps(state, wanted) if state.settings.buffer_fraction else wanted


def sized(state: State, run_id: str, found: Weighed, wanted: Wanted) -> Iterator[m.TargetSized]:
    """How a symbol came to its trade; nothing in a flatten, which has no target."""
    target = wanted.target
    if target is None or state.equity is None:
        return
    symbol = wanted.instrument.symbol
    yield m.TargetSized(
        run_id=run_id,
        con_id=wanted.instrument.con_id,
        symbol=symbol,
        session=state.equity.session,
        parts=parts_of(state, found, symbol),
        weight=found.weights[symbol],
        capped=target.weight,
        equity=equity_of(state),
        price=wanted.price,
        lot=lot_of(state, wanted.instrument),
        shares=target.shares,
        low=wanted.low,
        high=wanted.high,
        held=wanted.held,
        pending=wanted.pending,
        trade=wanted.trade,
    )


def not_sized(state: State, run_id: str, found: Weighed) -> Iterator[m.TradeRefused]:
    """A symbol with flawed bars, without a contract or a size, is neither bought nor sold, and says so."""
    if state.is_on(m.Verb.FLATTEN):
        return
    for symbol, shares, check, why in untradable(state, found):
        text = why if why.startswith(symbol) else f"{symbol}: {why}"
        limit = ASKED_FOR[check]
        yield m.TradeRefused(
            run_id=run_id, symbol=symbol, check=check, wanted=shares, observed=why, limit=limit, text=text
        )


def untradable(state: State, found: Weighed) -> Iterator[tuple[str, Decimal, str, str]]:
    """Symbols that are wanted or held but have no contract, no sound price or no size: (symbol, shares, check, why).

    The shares, signed, are those of a position that was to go; what else is wanted of such a symbol can't be put in
    shares.
    """
    prices = dict(state.equity.prices) if state.equity else {}
    named = dict.fromkeys(found.lacking, True) | {symbol: bool(weight) for symbol, weight in found.weights.items()}
    for symbol, is_wanted in sorted(named.items()):
        instrument, judged = state.instruments.get(symbol), state.judged.get(symbol)
        held = state.held(instrument.con_id) if instrument else ZERO
        if not is_wanted and not held:
            continue
        if instrument is None:
            yield symbol, ZERO, "instrument", state.missing.get(symbol, "its contract is not known")
        elif prices.get(symbol, ZERO) <= 0:
            why = judged.flaws[0] if judged and judged.flaws else "it has no validated close"
            yield symbol, ZERO if is_wanted else -held, "data", why
        elif symbol in found.lacking:
            yield symbol, ZERO, "size", found.lacking[symbol]


def _wanted(state: State, instrument: Instrument, found: Weighed, symbol: str, price: Decimal) -> Wanted:
    settings, lot = state.settings, lot_of(state, instrument)
    target = size(
        symbol,
        found.capped[symbol],
        found.cuts.get(symbol, ()),
        equity=equity_of(state),
        price=price,
        lot=lot,
        max_weight=settings.max_weight,
        max_shares=settings.max_position_size,
        min_size=instrument.min_size,
    )
    held, pending = state.held(instrument.con_id), _pending(state, instrument.con_id)
    low, high = edges(target, settings.buffer_fraction)
    flat = target.shares == 0
    return Wanted(
        instrument=instrument,
        held=held,
        trade=_trade(state, instrument, low, high, held, pending),
        price=price,
        clamps=target.clamps,
        flat=flat,
        target=target,
        low=low,
        high=high,
        pending=pending,
    )


def _trade(
    state: State, instrument: Instrument, low: Decimal, high: Decimal, held: Decimal, pending: Decimal
) -> Decimal:
    """The trade to the buffer's nearer edge in whole lots; to nothing, all that can be closed: fractions too."""
    trade = not_through_zero(to_edge(low, high, held + pending), held)
    return to_lot(trade, lot_of(state, instrument)) if low or high else in_lots_to_close(state, instrument, trade)


def _within_caps(state: State, wanted: list[Wanted]) -> list[Wanted]:
    """Where positions left within their buffers pass a cap together, those above their targets go down to them."""
    values = {one.instrument.symbol: (one.held + one.pending + one.trade) * one.price for one in wanted}
    beyond = set(over(values, caps_of(state.settings), equity_of(state)))
    return [_without_buffer(state, one) if one.instrument.symbol in beyond else one for one in wanted]


def _without_buffer(state: State, one: Wanted) -> Wanted:
    """The same with a buffer that ends at the target, away from zero."""
    shares = one.target.shares if one.target else ZERO
    low, high = (max(one.low, shares), one.high) if shares < 0 else (one.low, min(one.high, shares))
    return replace(one, low=low, high=high, trade=_trade(state, one.instrument, low, high, one.held, one.pending))


def lot_of(state: State, instrument: Instrument) -> Decimal:
    """Whole lots are whole multiples both of the instrument's and of the settings'."""
    larger, smaller = max(instrument.lot, state.settings.lot_size), min(instrument.lot, state.settings.lot_size)
    return larger if not larger % smaller else _common(larger, smaller)


def _common(one: Decimal, other: Decimal) -> Decimal:
    """The least common multiple."""
    (a, b), (c, d) = Fraction(one).as_integer_ratio(), Fraction(other).as_integer_ratio()
    return Decimal(lcm(a * d, c * b)) / (b * d)


def _closing_trades(state: State, event: m.RebalanceDue) -> Iterator[Wanted]:
    quotes = {quote.con_id: quote for quote in event.quotes}
    known = {instrument.con_id: instrument for instrument in state.instruments.values()}
    for con_id, holding in sorted(state.book.items()):
        quote = quotes.get(con_id)
        if not holding.quantity or con_id not in known or state.live_in(con_id):
            continue
        price = (quote.mid if quote else None) or holding.average_cost
        yield Wanted(
            instrument=known[con_id],
            held=holding.quantity,
            trade=-closable(state, known[con_id], holding.quantity),
            price=price,
            flat=True,
        )


def _pending(state: State, con_id: int) -> Decimal:
    """Signed shares that live orders may still trade; a protective stop and a take-profit are meant not to."""
    trades = (order for order in state.live_in(con_id) if not order.rests)
    return sum((order.remaining * order.side.sign for order in trades), ZERO)
