"""Profit and loss of an account or of one position, as messages 94 and 95 show it: unrounded; asked by followers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from longwatch.gateway.exchange.books import ZERO, Account, Holding
from longwatch.gateway.market.market import Instrument, Market, money


@dataclass(frozen=True, slots=True, kw_only=True)
class Pnl:
    """Gains in the base currency; None where nothing can be said, and a position that was never held has neither.

    `daily` counts from the last close before today, trades and their commissions in it, dividends not. `realised` is
    today's.
    """

    daily: Decimal | None
    unrealised: Decimal | None
    realised: Decimal | None
    position: Decimal = ZERO
    value: Decimal | None = None


NEVER_HELD = Pnl(daily=None, unrealised=None, realised=None)


def pnl_of(account: Account, market: Market, at: datetime, today: date) -> Pnl:
    """The gains of a whole account."""
    positions = [pnl_single(account, number, market, at, today) for number in account.holdings]
    return Pnl(
        daily=sum((one.daily or ZERO for one in positions), ZERO),
        unrealised=sum((one.unrealised or ZERO for one in positions), ZERO),
        realised=sum((one.realised or ZERO for one in positions), ZERO),
    )


def pnl_single(account: Account, con_id: int, market: Market, at: datetime, today: date) -> Pnl:
    """The gains of one position."""
    holding, instrument = account.holdings.get(con_id), market.find("", con_id)
    if holding is None or instrument is None:
        return NEVER_HELD
    price = market.quote(instrument, at).last
    realised = account.since(today).realised_since(holding)
    if price is None:
        return Pnl(daily=None, unrealised=None, realised=realised, position=holding.quantity)
    value = holding.quantity * price
    return Pnl(
        daily=_daily(account, holding, instrument, value, market, at, today),
        unrealised=value - holding.cost,
        realised=realised,
        position=holding.quantity,
        value=value,
    )


def value_before(account: Account, market: Market, at: datetime, today: date) -> Decimal:
    """Cash and positions as today began, at the last close before."""
    day = account.since(today)
    total = day.cash
    for con_id, shares in day.shares.items():
        instrument = market.find("", con_id) if shares else None
        if instrument is not None:
            total += shares * (close_before(market, instrument, today, at) or ZERO)
    return total


def close_before(market: Market, instrument: Instrument, today: date, at: datetime) -> Decimal | None:
    """The close of the last session before today, in today's shares; None when there is none."""
    past = market.completed(instrument, at)
    newest = next((bar for bar in reversed(past) if bar.date < today), None)
    if newest is None:
        return None
    return money(newest.close * market.adjusted(instrument, newest.date, at, dividends=False).price)


def _daily(
    account: Account,
    holding: Holding,
    instrument: Instrument,
    value: Decimal,
    market: Market,
    at: datetime,
    today: date,
) -> Decimal | None:
    day = account.since(today)
    began = day.shares.get(holding.con_id, ZERO)
    close = close_before(market, instrument, today, at) if began else ZERO
    if close is None:
        return None
    return value - began * close - day.spent.get(holding.con_id, ZERO)
