"""What terms of a scripted event no market and no account can have; asked by events before anything happens."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from longwatch.gateway.conduct import Conduct
from longwatch.gateway.exchange.orders import HIGHEST_PRICE
from longwatch.gateway.market.instruments import Instrument, increment_at

if TYPE_CHECKING:
    from longwatch.gateway.events import Event

MOST_SHARES = Decimal(1_000_000_000)
MOST_CASH = Decimal(1_000_000_000_000_000)
CENT = Decimal("0.01")
MOVES_SHARES = frozenset({"transfer", "assignment", "liquidation", "trade"})


def wrong_terms(event: Event, instrument: Instrument | None, conduct: Conduct) -> str:
    """Which of an event's terms can't be, and what can, or an empty text. `instrument` is its own, if it names one."""
    return (
        _of_quantity(event, conduct)
        or _of_price(event)
        or _of_amount(event)
        or (_of_instrument(event, instrument) if instrument is not None else "")
    )


def _of_quantity(event: Event, conduct: Conduct) -> str:
    if not event.quantity.is_finite() or abs(event.quantity) > MOST_SHARES:
        return f"{event.kind} of {event.quantity} shares is too many; write {MOST_SHARES:,} at most"
    if event.quantity % 1 and not conduct.takes_fractions:
        return f"{event.kind} of {event.quantity} shares is no whole number, and this gateway has no fractions of one"
    return ""


def _of_price(event: Event) -> str:
    if not event.price.is_finite() or not 0 <= event.price <= HIGHEST_PRICE:
        return f"{event.kind} at {event.price} can't be; write a price above 0, at most {HIGHEST_PRICE:,}"
    return ""


def _of_amount(event: Event) -> str:
    amount = event.amount
    if event.kind == "dividend" and not (amount.is_finite() and 0 < amount <= HIGHEST_PRICE):
        return f"a dividend of {amount} a share can't be; write an amount above 0, at most {HIGHEST_PRICE:,}"
    if event.kind == "cash" and not (amount.is_finite() and abs(amount) <= MOST_CASH and not amount % CENT):
        return f"cash of {amount} can't be moved; write whole cents, {MOST_CASH:,} at most"
    return ""


def _of_instrument(event: Event, instrument: Instrument) -> str:
    if event.kind in MOVES_SHARES and not instrument.is_tradable:
        return f"{instrument.name} has prices and can't be held or traded; name an instrument that is"
    if event.kind == "trade" and event.price % increment_at(instrument, event.price):
        return f"a trade at {event.price} can't be; {instrument.name} moves by {increment_at(instrument, event.price)}"
    return ""
