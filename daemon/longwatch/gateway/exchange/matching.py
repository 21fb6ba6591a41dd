"""At what price and in what size an order trades at one point of the path or in an auction; used by the floor."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

from longwatch.gateway.exchange.ledger import ZERO
from longwatch.gateway.exchange.orders import TRAILING, Order, Ticket
from longwatch.gateway.market.instruments import increment_at
from longwatch.gateway.market.market import Auction, Quote

HUNDRED = Decimal(100)
LIMITED = frozenset({"LMT", "STP LMT"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """A quantity at a price."""

    quantity: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """The shares to be had on the side an order takes, at one `place`: a point of the path, or an auction."""

    place: Hashable
    shares: Decimal


class Liquidity:
    """The shares offered at each place, less what orders have already taken there."""

    def __init__(self) -> None:
        self._taken: dict[tuple[int, bool], tuple[Hashable, Decimal]] = {}

    def left(self, order: Order, offer: Offer) -> Decimal:
        """Shares still to be had."""
        place, taken = self._taken.get(_side(order), (None, ZERO))
        return offer.shares - taken if place == offer.place else offer.shares

    def take(self, order: Order, offer: Offer, quantity: Decimal) -> None:
        """Note that an order took shares."""
        taken = offer.shares - self.left(order, offer) + quantity
        self._taken[_side(order)] = (offer.place, taken)


def offered(order: Order, quote: Quote, volume_share: Decimal) -> Offer:
    """What a point offers: the displayed size, and never more than a share of the volume traded at it."""
    displayed = Decimal(quote.ask_size if order.ticket.is_buy else quote.bid_size)
    return Offer(place=(quote.day, quote.place), shares=min(displayed, _share(quote.traded, volume_share)))


def offered_at(auction: Auction, place: Hashable, volume_share: Decimal) -> Offer:
    """What an auction offers: a share of its volume."""
    return Offer(place=place, shares=_share(auction.volume, volume_share))


def triggers(order: Order, quote: Quote) -> bool:
    """Whether the last price has reached the order's stop."""
    stop = order.stop
    if quote.last is None or stop is None or quote.bid is None:
        return False
    return quote.last >= stop if order.ticket.is_buy else quote.last <= stop


def trail(order: Order, last: Decimal) -> Decimal | None:
    """Where a trailing order's stop stands at this last price: it comes nearer and never goes back."""
    if order.ticket.order_type not in TRAILING:
        return None
    stop, former = stop_behind(order.ticket, last), order.trailed
    if former is None:
        return stop
    return min(stop, former) if order.ticket.is_buy else max(stop, former)


def stop_behind(ticket: Ticket, last: Decimal) -> Decimal:
    """The stop that trails this last price by the ticket's amount or percentage, on the tick grid."""
    distance = ticket.stop or last * (ticket.trail_percent or ZERO) / HUNDRED
    price = last + distance if ticket.is_buy else last - distance
    tick = increment_at(ticket.instrument, price)
    return max((price / tick).to_integral_value(ROUND_HALF_EVEN), Decimal(1)) * tick


def price_of(order: Order, quote: Quote) -> Decimal | None:
    """At what price the order would trade at this quote, or None.

    Whoever comes to a price takes the quote. Whoever waited at a limit when the market crossed it gets the limit.
    """
    ticket = order.ticket
    market = quote.ask if ticket.is_buy else quote.bid
    if market is None or ticket.is_for_auction:
        return None
    limit = ticket.limit if ticket.order_type in LIMITED else None
    if limit is None:
        return market
    if not within(limit, market, is_buy=ticket.is_buy):
        return None
    return limit if order.is_resting else market


def within(limit: Decimal, price: Decimal, *, is_buy: bool) -> bool:
    """Whether a price is as good as the limit."""
    return price <= limit if is_buy else price >= limit


def _share(volume: int, share: Decimal) -> Decimal:
    return (Decimal(volume) * share).to_integral_value(ROUND_FLOOR)


def _side(order: Order) -> tuple[int, bool]:
    return order.ticket.instrument.con_id, order.ticket.is_buy
