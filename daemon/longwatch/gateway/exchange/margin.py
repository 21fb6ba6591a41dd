"""What an account may still buy, simplified; asked by the exchange and account replies.

Initial margin is half of the worst position each instrument could reach (Regulation T, 12 CFR 220.12), at last prices.
A cash account pays in full, with settled cash, and sells nothing that it has not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from longwatch.gateway.exchange.ledger import ZERO, Account
from longwatch.gateway.exchange.orders import Order, Ticket
from longwatch.gateway.market.market import Market

INITIAL_RATE = Decimal("0.5")
MAINTENANCE_RATE = Decimal("0.25")
PAID_IN_FULL = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An account's equity, the value of its positions, and the margin they and its working orders bind."""

    equity: Decimal
    gross: Decimal
    value: Decimal
    initial: Decimal
    maintenance: Decimal


def standing(account: Account, orders: Iterable[Order], market: Market, at: datetime) -> Standing:
    """Where an account stands at last prices, its live orders counted at their worst."""
    values = {number: holding.quantity * _price(market, number, at) for number, holding in account.holdings.items()}
    equity = account.cash + sum(values.values(), ZERO)
    gross = sum((abs(value) for value in values.values()), ZERO)
    return Standing(
        equity=equity,
        gross=gross,
        value=sum(values.values(), ZERO),
        initial=_initial_rate(account) * _worst(account, _pending(orders), market, at),
        maintenance=(PAID_IN_FULL if account.is_cash else MAINTENANCE_RATE) * gross,
    )


def initial_with(account: Account, orders: Iterable[Order], ticket: Ticket, market: Market, at: datetime) -> Decimal:
    """The initial margin if `ticket` were working too."""
    return _initial_rate(account) * _worst(account, _pending(orders, ticket), market, at)


def lack(
    account: Account,
    orders: Sequence[Order],
    ticket: Ticket,
    market: Market,
    at: datetime,
    *,
    day: date,
    instead_of: Order | None = None,
) -> str:
    """Why the account can't carry another ticket, or one in the place of an order; empty where it can.

    `day` is the broker's today. What binds no more than is bound already is always carried.
    """
    before = standing(account, orders, market, at)
    others = [order for order in orders if order is not instead_of]
    if account.is_cash:
        return _lack_of_cash(account, others, ticket, market, at, account.settled(day))
    needed, currency = initial_with(account, others, ticket, market, at), ticket.instrument.currency
    if needed <= max(before.equity, before.initial):
        return ""
    return (
        "YOUR ORDER IS NOT ACCEPTED. IN ORDER TO OBTAIN THE DESIRED POSITION YOUR EQUITY WITH LOAN VALUE "
        f"[{before.equity:.2f} {currency}] MUST EXCEED THE INITIAL MARGIN [{needed:.2f} {currency}]"
    )


def _initial_rate(account: Account) -> Decimal:
    return PAID_IN_FULL if account.is_cash else INITIAL_RATE


def _lack_of_cash(
    account: Account, orders: Sequence[Order], ticket: Ticket, market: Market, at: datetime, settled: Decimal
) -> str:
    """Why a cash account can't carry a ticket: it would sell what it has not, or spend more than has settled."""
    number, currency = ticket.instrument.con_id, ticket.instrument.currency
    pending = _pending(orders, ticket)
    holding = account.holdings.get(number)
    held = holding.quantity if holding else ZERO
    if ticket.action == "SELL":
        is_short = pending[number, False] > held
        return "YOUR ORDER IS NOT ACCEPTED. SHORT SALES ARE NOT ALLOWED IN A CASH ACCOUNT." if is_short else ""
    needed = spoken_for(orders, market, at) + ticket.quantity * _paid(ticket, market, at)
    if needed <= settled:
        return ""
    return (
        "YOUR ORDER IS NOT ACCEPTED. IN ORDER TO OBTAIN THE DESIRED POSITION YOUR SETTLED CASH "
        f"[{settled:.2f} {currency}] MUST EXCEED THE COST [{needed:.2f} {currency}]"
    )


def spoken_for(orders: Iterable[Order], market: Market, at: datetime) -> Decimal:
    """What the live purchases would cost."""
    buys = (order for order in orders if order.ticket.action == "BUY" and not order.is_child_held)
    return sum((order.remaining * _paid(order.ticket, market, at) for order in buys), ZERO)


def _paid(ticket: Ticket, market: Market, at: datetime) -> Decimal:
    return ticket.limit or ticket.stop or _price(market, ticket.instrument.con_id, at)


def _pending(orders: Iterable[Order], another: Ticket | None = None) -> dict[tuple[int, bool], Decimal]:
    """Shares that may still be traded: of a group of orders no more than its largest, of held children nothing."""
    working = [(order.ticket, order.remaining) for order in orders if not order.is_child_held]
    if another is not None:
        working.append((another, another.quantity))
    pending: dict[tuple[int, bool], Decimal] = {}
    groups: dict[tuple[int, bool, str], Decimal] = {}
    for ticket, quantity in working:
        side = (ticket.instrument.con_id, ticket.action == "BUY")
        if ticket.oca_group:
            group = (*side, ticket.oca_group)
            groups[group] = max(groups.get(group, ZERO), quantity)
        else:
            pending[side] = pending.get(side, ZERO) + quantity
    for (con_id, is_buy, _), quantity in groups.items():
        pending[con_id, is_buy] = pending.get((con_id, is_buy), ZERO) + quantity
    return pending


def _worst(account: Account, pending: dict[tuple[int, bool], Decimal], market: Market, at: datetime) -> Decimal:
    """The greatest value all positions together could reach, each side of each instrument apart."""
    total = ZERO
    for number in sorted({number for number, _ in pending} | set(account.holdings)):
        holding = account.holdings.get(number)
        quantity = holding.quantity if holding else ZERO
        bought = abs(quantity + pending.get((number, True), ZERO))
        sold = abs(quantity - pending.get((number, False), ZERO))
        total += max(bought, sold) * _price(market, number, at)
    return total


def _price(market: Market, con_id: int, at: datetime) -> Decimal:
    instrument = market.find("", con_id)
    last = market.quote(instrument, at).last if instrument is not None else None
    return last or ZERO
