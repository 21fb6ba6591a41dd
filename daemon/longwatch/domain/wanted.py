"""What a rebalance wants, symbol by symbol, before any check: targets sized, netted with what is held and under way."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument
from longwatch.domain.sizing import Clamp, combine, delta, not_through_zero, size
from longwatch.domain.state import State

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One symbol's way from weight to trade; `trade` signed shares, `price` the sizing price."""

    instrument: Instrument
    held: Decimal
    trade: Decimal
    price: Decimal
    weight: Decimal
    clamps: tuple[Clamp, ...] = ()
    flat: bool = False


def wanted_trades(state: State, event: m.RebalanceDue) -> Iterator[Wanted]:
    """Every symbol with something to do, netted with what is held and what live orders may still do."""
    if state.is_on(m.Verb.FLATTEN):
        yield from _closing_trades(state, event)
        return
    prices = dict(state.equity.prices) if state.equity else {}
    for symbol, weight in _weights(state).items():
        instrument, price = state.instruments.get(symbol), prices.get(symbol)
        if instrument is None or price is None or price <= 0:
            continue
        yield _wanted(state, instrument, weight, price)


def untradable(state: State) -> Iterator[tuple[str, Decimal, str, str]]:
    """Symbols that are wanted or held but have no contract or no sound price: (symbol, signed shares, check, why).

    The shares are those of a position that was to go; what else is wanted of such a symbol can't be put in shares.
    """
    prices = dict(state.equity.prices) if state.equity else {}
    for symbol, weight in _weights(state).items():
        instrument, judged = state.instruments.get(symbol), state.judged.get(symbol)
        held = state.held(instrument.con_id) if instrument else ZERO
        if not weight and not held:
            continue
        if instrument is None:
            yield symbol, ZERO, "instrument", state.missing.get(symbol, "its contract is not known")
        elif prices.get(symbol, ZERO) <= 0:
            why = judged.flaws[0] if judged and judged.flaws else "it has no validated close"
            yield symbol, ZERO if weight else -held, "data", why


def _weights(state: State) -> dict[str, Decimal]:
    """Combined weights, without the symbols to be left as they are; held symbols that nobody names go to zero."""
    settings, allocations = state.settings, dict(state.settings.allocations)
    sound = [
        (name, dict(targets.weights))
        for name, targets in sorted(state.targets.items())
        if name in allocations and name not in state.faults
    ]
    silent = allocations.keys() - {name for name, _ in sound}
    combined = combine(sound, allocations, settings.cash_reserve_fraction)
    # Whatever is held may be that of a strategy which nobody could ask for its universe.
    if sound and silent <= dict(settings.universes).keys():
        for holding in state.book.values():
            if holding.quantity and holding.symbol in settings.universe:
                combined.setdefault(holding.symbol, ZERO)
    frozen = _frozen(state, silent)
    return {symbol: weight for symbol, weight in sorted(combined.items()) if symbol not in frozen}


def _frozen(state: State, silent: Set[str]) -> set[str]:
    """The symbols of strategies at fault, or without any targets yet: those they ask for and those they had named."""
    asked_for = {symbol for name, universe in state.settings.universes if name in silent for symbol in universe}
    named = {symbol for name in silent if name in state.targets for symbol, _ in state.targets[name].weights}
    return asked_for | named


def _wanted(state: State, instrument: Instrument, weight: Decimal, price: Decimal) -> Wanted:
    settings = state.settings
    target = size(
        instrument.symbol,
        weight,
        equity=equity_of(state),
        price=price,
        lot=lot_of(state, instrument),
        allow_short=settings.allow_short,
        max_weight=settings.max_weight,
        max_shares=settings.max_position_size,
    )
    held = state.held(instrument.con_id)
    trade = not_through_zero(delta(target.shares, held, _pending(state, instrument.con_id)), held)
    return Wanted(
        instrument=instrument,
        held=held,
        trade=trade,
        price=price,
        weight=weight,
        clamps=target.clamps,
        flat=target.shares == 0,
    )


def lot_of(state: State, instrument: Instrument) -> Decimal:
    """Whole lots are those of the instrument or of the settings, whichever are larger."""
    return max(instrument.lot, state.settings.lot_size)


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
            trade=-holding.quantity,
            price=price,
            weight=ZERO,
            flat=True,
        )


def equity_of(state: State) -> Decimal:
    """The capital that weights are fractions of: the account's value, capped by risk.max_capital_value."""
    equity = state.equity.equity if state.equity else ZERO
    cap = state.settings.max_capital_value
    return equity if cap is None else min(equity, cap)


def _pending(state: State, con_id: int) -> Decimal:
    return sum((order.remaining * order.side.sign for order in state.live_in(con_id)), ZERO)
