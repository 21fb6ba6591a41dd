"""What an account may still buy: a margin account, simplified; asked by the exchange and account replies.

Initial margin is half of the worst position each instrument could reach (Regulation T, 12 CFR 220.12), at last prices.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from longwatch.gateway.ledger import ZERO, Account
from longwatch.gateway.market import Market
from longwatch.gateway.orders import Order, Ticket

INITIAL_RATE = Decimal("0.5")
MAINTENANCE_RATE = Decimal("0.25")


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
        initial=INITIAL_RATE * _worst(account, _pending(orders), market, at),
        maintenance=MAINTENANCE_RATE * gross,
    )


def initial_with(account: Account, orders: Iterable[Order], ticket: Ticket, market: Market, at: datetime) -> Decimal:
    """The initial margin if `ticket` were working too."""
    return INITIAL_RATE * _worst(account, _pending(orders, ticket), market, at)


def lack(
    account: Account,
    orders: Sequence[Order],
    ticket: Ticket,
    market: Market,
    at: datetime,
    *,
    instead_of: Order | None = None,
) -> str:
    """Why the account can't carry another ticket, or one in the place of an order; empty where it can.

    What binds no more than is bound already is always carried.
    """
    before = standing(account, orders, market, at)
    others = [order for order in orders if order is not instead_of]
    needed, currency = initial_with(account, others, ticket, market, at), ticket.instrument.currency
    if needed <= max(before.equity, before.initial):
        return ""
    return (
        "YOUR ORDER IS NOT ACCEPTED. IN ORDER TO OBTAIN THE DESIRED POSITION YOUR EQUITY WITH LOAN VALUE "
        f"[{before.equity:.2f} {currency}] MUST EXCEED THE INITIAL MARGIN [{needed:.2f} {currency}]"
    )


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
