"""At what price and in what size an order trades at one point of the path; used by the exchange."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from longwatch.gateway.ledger import ZERO
from longwatch.gateway.market import Quote
from longwatch.gateway.orders import AT_THE_CLOSE, Order


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """A quantity at a price."""

    quantity: Decimal
    price: Decimal


class Liquidity:
    """The shares shown at each point, less what orders have already taken there."""

    def __init__(self) -> None:
        self._taken: dict[tuple[int, bool], tuple[date | None, int, Decimal]] = {}

    def left(self, order: Order, quote: Quote) -> Decimal:
        """Shares still to be had at the quote's point on the side the order takes."""
        shown = Decimal(quote.ask_size if order.ticket.is_buy else quote.bid_size)
        day, place, taken = self._taken.get(_side(order), (None, -1, ZERO))
        return shown - taken if (day, place) == (quote.day, quote.place) else shown

    def take(self, order: Order, quote: Quote, quantity: Decimal) -> None:
        """Note that an order took shares at the quote's point."""
        shown = Decimal(quote.ask_size if order.ticket.is_buy else quote.bid_size)
        taken = shown - self.left(order, quote) + quantity
        self._taken[_side(order)] = (quote.day, quote.place, taken)


def triggers(order: Order, quote: Quote) -> bool:
    """Whether the last price has reached the order's stop."""
    stop = order.ticket.stop
    if quote.last is None or stop is None or quote.bid is None:
        return False
    return quote.last >= stop if order.ticket.is_buy else quote.last <= stop


def trade_of(order: Order, quote: Quote, liquidity: Liquidity) -> Trade | None:
    """What the order trades at this quote, or None.

    Whoever comes to a price takes the quote. Whoever waited at a limit when the market crossed it gets the limit.
    """
    market = quote.ask if order.ticket.is_buy else quote.bid
    if market is None or order.ticket.order_type in AT_THE_CLOSE:
        return None
    price = market
    limit = order.ticket.limit if order.ticket.order_type in {"LMT", "STP LMT"} else None
    if limit is not None:
        if not within(limit, market, is_buy=order.ticket.is_buy):
            return None
        price = limit if order.is_resting else market
    quantity = min(order.remaining, liquidity.left(order, quote))
    return Trade(quantity=quantity, price=price) if quantity > 0 else None


def within(limit: Decimal, price: Decimal, *, is_buy: bool) -> bool:
    """Whether a price is as good as the limit."""
    return price <= limit if is_buy else price >= limit


def _side(order: Order) -> tuple[int, bool]:
    return order.ticket.instrument.con_id, order.ticket.is_buy
