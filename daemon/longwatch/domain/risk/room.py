"""What each limit sees now at worst, and how much room it leaves; read by `longwatch limits`.

Limits that are about one order or its quote see nothing between orders: they have no reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from longwatch.domain.instruments import Side
from longwatch.domain.levels import Level
from longwatch.domain.portfolio.parts import equity_of
from longwatch.domain.risk.caps import group_value, ordered_since
from longwatch.domain.risk.exposure import gross_and_net, worst_shares, worst_sides
from longwatch.domain.risk.limits import Reading, ReadRule
from longwatch.domain.risk.means import liquidity_bound, settled_and_spent
from longwatch.domain.risk.permits import sent_lately
from longwatch.domain.risk.table import LIMITS
from longwatch.domain.state import State

ZERO, ONE = Decimal(0), Decimal(1)


def readings(state: State, tech: datetime) -> Iterator[tuple[str, Reading]]:
    """Every limit's name with each thing it sees now, in the table's order; `tech` is the technical time of now."""
    for row in LIMITS:
        for reading in READS.get(row.name, _nothing)(state, tech):
            yield row.name, reading


def room(reading: Reading) -> Decimal:
    """How far what is observed may still go, in the limit's unit; below zero where it is past the limit."""
    return reading.observed - reading.limit if reading.floor else reading.limit - reading.observed


def used(reading: Reading) -> Decimal | None:
    """The part of the limit that is used up, 1 at the limit; None of a floor and of a limit of 0."""
    return None if reading.floor or reading.limit <= 0 else reading.observed / reading.limit


def _nothing(state: State, tech: datetime) -> Iterable[Reading]:
    return ()


# ── orders ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def order_shares(state: State, tech: datetime) -> Iterator[Reading]:
    """Each instrument's largest live order."""
    limit = state.settings.max_order_shares
    largest: dict[str, Decimal] = {}
    for order in state.live_orders() if limit is not None else ():
        largest[order.symbol] = max(order.at_most, largest.get(order.symbol, ZERO))
    yield from (Reading(observed=size, limit=limit or ZERO, subject=symbol) for symbol, size in largest.items())


def order_value(state: State, tech: datetime) -> Iterator[Reading]:
    """Each instrument's dearest live order."""
    limit = state.settings.max_order_value
    dearest: dict[str, Decimal] = {}
    for order in state.live_orders() if limit is not None else ():
        dearest[order.symbol] = max(order.at_most * order.worst_price, dearest.get(order.symbol, ZERO))
    yield from (Reading(observed=value, limit=limit or ZERO, subject=symbol) for symbol, value in dearest.items())


def order_rate(state: State, tech: datetime) -> Iterator[Reading]:
    """Orders and modifications sent within the last minute."""
    yield Reading(observed=Decimal(sent_lately(state, tech)), limit=Decimal(state.settings.max_orders_per_minute))


def volume_fraction(state: State, tech: datetime) -> Iterator[Reading]:
    """Each instrument's orders of this session, as a part of its average daily volume."""
    limit, at = state.settings.max_volume_fraction, state.valued.at if state.valued else None
    opened = max((one.open_at for one in state.sessions if at is not None and one.open_at <= at), default=None)
    if limit is None or opened is None:
        return
    for con_id, symbol in sorted(_symbols(state).items(), key=lambda item: item[1]):
        judged, traded = state.judged.get(symbol), ordered_since(state, con_id, opened)
        if traded and judged is not None and judged.average_volume:
            yield Reading(observed=traded / judged.average_volume, limit=limit, subject=symbol)


# ── positions ───────────────────────────────────────────────────────────────────────────────────────────────────────


def position_size(state: State, tech: datetime) -> Iterator[Reading]:
    """Each instrument's shares at worst, on the larger side."""
    for con_id, symbol in sorted(_symbols(state).items(), key=lambda item: item[1]):
        shares = max(abs(worst_shares(state, con_id, side)) for side in Side)
        if shares:
            yield Reading(observed=shares, limit=state.settings.max_position_size, subject=symbol)


def weight(state: State, tech: datetime) -> Iterator[Reading]:
    """Each instrument's value at worst, as a part of the capital."""
    equity, names = equity_of(state), _symbols(state)
    ups, downs = worst_sides(state, _prices(state))
    for con_id in sorted(ups, key=lambda one: names.get(one, "")) if equity > 0 else ():
        value = max(ups[con_id], -downs[con_id])
        if value:
            subject = names.get(con_id, str(con_id))
            yield Reading(observed=value / equity, limit=state.settings.max_weight, subject=subject)


def group_weight(state: State, tech: datetime) -> Iterator[Reading]:
    """Each group's value at worst, as a part of the capital."""
    equity = equity_of(state)
    ups, downs = worst_sides(state, _prices(state))
    for name, symbols, limit in state.settings.groups if equity > 0 else ():
        yield Reading(observed=group_value(state, symbols, ups, downs) / equity, limit=limit, subject=name)


def gross_exposure(state: State, tech: datetime) -> Iterator[Reading]:
    """All positions at worst without their signs, as a part of the capital."""
    equity = equity_of(state)
    if equity > 0:
        gross, _ = gross_and_net(*worst_sides(state, _prices(state)))
        yield Reading(observed=gross / equity, limit=state.settings.max_gross_exposure)


def net_exposure(state: State, tech: datetime) -> Iterator[Reading]:
    """All positions at worst with their signs, as a part of the capital."""
    equity = equity_of(state)
    if equity > 0:
        _, net = gross_and_net(*worst_sides(state, _prices(state)))
        yield Reading(observed=net / equity, limit=state.settings.max_net_exposure)


def _prices(state: State) -> dict[str, Decimal]:
    return dict(state.equity.prices) if state.equity else {}


def _symbols(state: State) -> dict[int, str]:
    """The instruments that are held or ordered, by anybody, with what they are called."""
    found = {order.con_id: order.symbol for order in state.live_orders()}
    found |= {order.con_id: order.symbol for order in state.foreign_orders.values()}
    found |= {con_id: symbol for con_id, (symbol, _) in (state.account_positions | state.outside).items()}
    found |= {con_id: holding.symbol for con_id, holding in state.book.items() if holding.quantity}
    return found | {one.con_id: symbol for symbol, one in state.instruments.items() if symbol in state.judged}


# ── account ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def settled_cash(state: State, tech: datetime) -> Iterator[Reading]:
    """What every live purchase may cost, of a cash account's settled cash."""
    if (found := settled_and_spent(state)) is not None:
        cash, spent = found
        yield Reading(observed=spent, limit=cash)


def excess_liquidity(state: State, tech: datetime) -> Iterator[Reading]:
    """The margin that every live entry may bind, of a margin account's excess liquidity above its floor."""
    if (found := liquidity_bound(state)) is not None:
        limit, bound = found
        yield Reading(observed=bound, limit=limit)


def day_trades(state: State, tech: datetime) -> Iterator[Reading]:
    """Day trades that are left; none, and what was opened today is kept."""
    figures = state.valued.figures if state.valued else None
    if figures is not None and figures.day_trades_remaining is not None and figures.day_trades_remaining >= 0:
        yield Reading(observed=Decimal(figures.day_trades_remaining), limit=ZERO, floor=True)


def account_age(state: State, tech: datetime) -> Iterator[Reading]:
    """Seconds since the account was last compared."""
    if state.compared is not None:
        yield _age(tech - state.compared.tech, state.settings.account_age_seconds)


def clock_skew(state: State, tech: datetime) -> Iterator[Reading]:
    """Seconds between the gateway's clock and ours."""
    if state.clock is not None:
        yield _age(timedelta(seconds=abs(state.clock.skew_seconds)), state.settings.clock_skew_seconds)


def _age(age: timedelta, limit: float) -> Reading:
    return Reading(observed=Decimal(f"{age.total_seconds():.1f}"), limit=Decimal(str(limit)))


# ── what has happened ───────────────────────────────────────────────────────────────────────────────────────────────


def rejections_of_a_kind(state: State, tech: datetime) -> Iterator[Reading]:
    """Rejections or cancels of one kind, by instrument, within the window."""
    for row in state.breakers.values():
        strikes = Decimal(len(row.strikes))
        yield Reading(observed=strikes, limit=Decimal(state.settings.breaker_strikes), subject=row.symbol)


def _losses(level: Level, setting: str, of: str) -> ReadRule:
    """What was lost since the session's start, or since the highest value: of these, or of a strategy's capital."""

    def read(state: State, tech: datetime) -> Iterator[Reading]:
        limit: Decimal | None = getattr(state.settings.holds, setting)
        shares = dict(state.settings.allocations)
        for (at, name), mark in sorted(state.marks.items()):
            since: Decimal = getattr(mark, of)
            part = shares.get(name, ZERO) if level is Level.STRATEGY else Decimal(1)
            base = since if level is Level.ACCOUNT else part * equity_of(state)
            if at is level and limit is not None and base > 0:
                lost = max((since - mark.value) / base, ZERO)
                yield Reading(observed=lost, limit=limit, subject="" if level is Level.ACCOUNT else name)

    return read


READS: Mapping[str, ReadRule] = {
    "account_is_fresh": account_age,
    "clock_is_right": clock_skew,
    "breaker": rejections_of_a_kind,
    "order_rate": order_rate,
    "day_trades": day_trades,
    "settled_cash": settled_cash,
    "excess_liquidity": excess_liquidity,
    "max_order_shares": order_shares,
    "max_order_value": order_value,
    "max_volume_fraction": volume_fraction,
    "max_position_size": position_size,
    "max_weight": weight,
    "max_group_weight": group_weight,
    "max_gross_exposure": gross_exposure,
    "max_net_exposure": net_exposure,
    "daily_loss": _losses(Level.ACCOUNT, "daily_loss", "start"),
    "drawdown": _losses(Level.ACCOUNT, "drawdown", "peak"),
    "strategy_daily_loss": _losses(Level.STRATEGY, "strategy_daily_loss", "start"),
    "strategy_drawdown": _losses(Level.STRATEGY, "strategy_drawdown", "peak"),
    "instrument_daily_loss": _losses(Level.INSTRUMENT, "instrument_daily_loss", "start"),
}
