"""The trading floor: live orders meet the market's path here, fill, expire and end; run by exchange and pulse."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from longwatch.gateway.conduct import Conduct
from longwatch.gateway.exchange import groups
from longwatch.gateway.exchange.book import OrderBook, terms
from longwatch.gateway.exchange.ledger import Ledger
from longwatch.gateway.exchange.margin import lack
from longwatch.gateway.exchange.matching import (
    Liquidity,
    Offer,
    Trade,
    offered,
    offered_at,
    price_of,
    trail,
    triggers,
    within,
)
from longwatch.gateway.exchange.orders import AT_ONCE, AT_THE_CLOSE, AT_THE_OPEN, Order, Status, commission_so_far
from longwatch.gateway.exchange.reports import (
    CommissionShown,
    FillShown,
    OrderNotice,
    OrderShown,
    Report,
    StatusShown,
    Teller,
)
from longwatch.gateway.market.market import Auction, Market, Quote
from longwatch.gateway.timeline import Timeline

NO_TIME = 0.003
"""Messages that belong together arrive within this many seconds of each other."""

CANCELLED_BY_TRADER = "Cancelled by Trader"
CANCELLED_BY_SYSTEM = "Cancelled by System:\n"


class Floor:
    """Matches orders of the book. Everything it tells goes to `report`, in the order in which it happens.

    No order gets more than `volume_share` of what is traded at a point of the path or in an auction.
    """

    def __init__(
        self,
        market: Market,
        ledger: Ledger,
        book: OrderBook,
        timeline: Timeline,
        report: Callable[[Report], None],
        conduct: Conduct,
        volume_share: Decimal,
    ) -> None:
        self._market = market
        self._ledger = ledger
        self._book = book
        self._timeline = timeline
        self._report = Teller(report)
        self._conduct = conduct
        self._volume_share = volume_share
        self._liquidity = Liquidity()
        self._traders: tuple[Hashable, dict[tuple[str, str], list[int]]] = (None, {})

    def is_needed(self) -> bool:
        """Whether any order waits for the market to move."""
        return any(order.is_acknowledged for order in self._book.live())

    def beat(self, instant: datetime) -> None:
        """The market has moved: every order follows, the oldest first."""
        self._book.forget_ended(instant)
        for order in self._book.live():
            if order.is_acknowledged and order.is_live:
                self._follow(order, instant)

    def arrive(self, order: Order) -> None:
        """An order, new or changed, meets the market: it trades what it can at the quote."""
        if order.is_live and not order.is_waiting:
            order.is_resting = False
            self._meet(order, self._market.quote(order.ticket.instrument, self._timeline.now()))

    def can_trade(self, order: Order) -> bool:
        """Whether an order would trade something at the quote of this moment, and all of it if it must."""
        quote = self._market.quote(order.ticket.instrument, self._timeline.now())
        return not order.awaits_trigger and self._trade_at(order, quote) is not None

    def submit(self, order: Order) -> None:
        """The order works at the exchange, unless it waits there for its parent, its trigger or an auction."""
        waits = order.is_waiting or order.awaits_trigger or order.ticket.is_for_auction
        if order.status is Status.PRE_SUBMITTED and not waits:
            order.status = Status.SUBMITTED
            self.show(order)

    def cancel(self, order: Order, ending: str) -> None:
        """End an order unfilled: status first, then the confirmation, then the same for its children."""
        with self._report.later(), self._ledger.together():
            self.end(order, Status.CANCELLED, ending)
            self._report(StatusShown(order=order))
            self.tell(order, 202, "Order Canceled - reason:")
            self.orphan(order)

    def end(self, order: Order, status: Status, ending: str) -> None:
        """Note that an order has ended, and how."""
        order.status, order.ending, order.ended_at = status, ending, self._timeline.now()
        self._note("ended", order, status=status.value, ending=ending)

    def end_at_once(self, order: Order) -> None:
        """End an order that had to trade now or never, as was recorded: neither gets a confirmation."""
        if order.ticket.tif == "IOC":
            order.status = Status.PENDING_CANCEL
            self.show(order)
            self.end(order, Status.CANCELLED, CANCELLED_BY_SYSTEM)
            self._report(StatusShown(order=order))
        else:
            self.end(order, Status.INACTIVE, CANCELLED_BY_SYSTEM)
            self.show(order)
        self.orphan(order)

    def reject(self, order: Order, reason: str, wait: float = NO_TIME) -> None:
        """End an order that can't be carried, told by status and, after a wait, the reason, or the other way round."""
        text = f"Order rejected - reason:{reason}"
        self.end(order, Status.INACTIVE, CANCELLED_BY_SYSTEM)
        if self._conduct.reason_first:
            self.tell(order, 201, text)
            self.show(order)
        else:
            self._report(StatusShown(order=order))
            self._timeline.after(wait, self.tell, order, 201, text)
        self.orphan(order)

    def orphan(self, order: Order) -> None:
        """The children of an order that has ended go on, for the part it filled, or end with it."""
        for child in groups.children_of(self._book, order):
            if not child.is_child_held:
                continue
            if order.filled:
                self._shrink(child, child.ticket.quantity if order.status is Status.FILLED else order.filled)
                self.release(child)
            else:
                self.cancel(child, CANCELLED_BY_SYSTEM)

    def release(self, child: Order) -> None:
        """A child waits for its parent no longer: it works, if the account can carry it, a moment later."""
        at, ticket = self._timeline.now(), replace(child.ticket, quantity=child.remaining)
        account, orders = self._ledger.accounts[ticket.account], list(self._book.binding(ticket.account))
        reason = lack(account, orders, ticket, self._market, at, day=self._ledger.day_of(at))
        child.is_child_held = False
        if child.is_accepted and reason:
            self.reject(child, reason)
            return
        self._note("released", child)
        if child.is_cancelling or not child.is_acknowledged:
            return
        if not (child.is_waiting or child.awaits_trigger or child.ticket.is_for_auction):
            child.status = Status.SUBMITTED
        self.show(child)
        self._timeline.after(NO_TIME, self.arrive, child)

    def set_expiry(self, order: Order, at: datetime) -> None:
        """An order for the open ends with the next one, a GTC order never, any other with the session."""
        hours = self._market.hours_of(order.ticket.instrument)
        following = hours.following(at)
        session = hours.at(at) or following
        if order.ticket.tif == AT_THE_OPEN:
            order.expires_at = following.open_at if following else None
        else:
            order.expires_at = session.close_at if session and order.ticket.tif != "GTC" else None

    def show(self, order: Order) -> None:
        """Tell an order and its status."""
        order.is_told = True
        self._report(OrderShown(order=order))
        self._report(StatusShown(order=order))

    def tell(self, order: Order, code: int, text: str) -> None:
        """Send an order's client a notice about it, and the client that cancelled it if that is another."""
        ticket = order.ticket
        for client_id in dict.fromkeys((ticket.client_id, order.cancelled_by)):
            if client_id is not None:
                notice = OrderNotice(
                    client_id=client_id, order_id=ticket.shown_id, code=code, text=text, perm_id=order.perm_id
                )
                self._report(notice)

    def follow_price(self, order: Order, last: Decimal | None) -> None:
        """A trailing stop follows the last price, once it may work at all."""
        stop = None if last is None or order.is_waiting or order.is_triggered else trail(order, last)
        if stop is not None and stop != order.trailed:
            order.trailed = stop
            self._note("trailed", order, stop=str(stop))

    def _follow(self, order: Order, instant: datetime) -> None:
        if order.expires_at is not None and instant >= order.expires_at:
            self._auction(order, instant)
            if order.is_live:
                self.cancel(order, CANCELLED_BY_SYSTEM)
            return
        if order.is_waiting:
            return
        quote = self._market.quote(order.ticket.instrument, instant)
        if quote.bid is None:
            order.is_resting = False
        else:
            self._meet(order, quote)

    def _meet(self, order: Order, quote: Quote) -> None:
        """Trigger and trade at one quote; what must trade at once or not at all ends here."""
        if quote.bid is None:
            return
        if order.awaits_trigger and triggers(order, quote):
            order.is_triggered = True
            self._note("triggered", order)
        if order.awaits_trigger:
            self.follow_price(order, quote.last)
            return
        if order.ticket.order_type != "MKT" or order.is_resting:
            self.submit(order)
        self._match(order, quote)
        if order.is_live and order.ticket.tif in AT_ONCE:
            self.end_at_once(order)
        elif order.is_live:
            self.submit(order)

    def _match(self, order: Order, quote: Quote) -> None:
        trade = self._trade_at(order, quote)
        order.is_resting = trade is None
        if trade is not None:
            self._trade(order, trade, offered(order, quote, self._volume_share))

    def _trade_at(self, order: Order, quote: Quote) -> Trade | None:
        price = price_of(order, quote)
        if price is None:
            return None
        offer = offered(order, quote, self._volume_share)
        quantity = min(order.remaining, self._liquidity.left(order, offer))
        is_too_little = quantity <= 0 or (order.ticket.tif == "FOK" and quantity < order.remaining)
        if is_too_little or groups.is_blocked(order, self._traders_at(order, offer.place)):
            return None
        return Trade(quantity=quantity, price=price)

    def _auction(self, order: Order, instant: datetime) -> None:
        """Fill an order for an auction at the auction's price, as far as its volume goes."""
        auction = self._auction_for(order, instant)
        if auction is None or order.is_waiting:
            return
        ticket, offer = order.ticket, offered_at(auction, instant, self._volume_share)
        if ticket.limit is not None and not within(ticket.limit, auction.price, is_buy=ticket.is_buy):
            return
        quantity = min(order.remaining, self._liquidity.left(order, offer))
        if quantity > 0 and not groups.is_blocked(order, self._traders_at(order, offer.place)):
            self._trade(order, Trade(quantity=quantity, price=auction.price), offer)

    def _auction_for(self, order: Order, instant: datetime) -> Auction | None:
        if order.ticket.tif == AT_THE_OPEN:
            return self._market.opening(order.ticket.instrument, instant)
        if order.ticket.order_type in AT_THE_CLOSE:
            return self._market.closing(order.ticket.instrument, instant)
        return None

    def _traders_at(self, order: Order, place: Hashable) -> list[int]:
        """The permanent ids of a group's orders that have traded at a place."""
        if self._traders[0] != place:
            self._traders = (place, {})
        ticket = order.ticket
        return self._traders[1].setdefault((ticket.account, ticket.oca_group), []) if ticket.oca_group else []

    def _trade(self, order: Order, trade: Trade, offer: Offer) -> None:
        """Take what is offered, book it, and let the orders that belong together follow: in the books all at once."""
        self._liquidity.take(order, offer, trade.quantity)
        self._traders_at(order, offer.place).append(order.perm_id)
        with self._report.later(), self._ledger.together():
            self._fill(order, trade)
            self._follow_fill(order, trade)

    def _follow_fill(self, order: Order, trade: Trade) -> None:
        for sibling in groups.siblings_of(self._book, order):
            left = groups.left_of(sibling, order, trade.quantity)
            if left <= 0:
                self.cancel(sibling, CANCELLED_BY_SYSTEM)
            else:
                self._shrink(sibling, sibling.filled + left)
                self._show_acknowledged(sibling)
        if not order.is_live:
            self.orphan(order)

    def _shrink(self, order: Order, quantity: Decimal) -> None:
        """Make an order smaller, as its group or its parent wants it."""
        if quantity < order.ticket.quantity:
            order.shrunk += order.ticket.quantity - quantity
            order.ticket = replace(order.ticket, quantity=quantity)
            order.revision += 1
            self._note("modified", order, **terms(order.ticket))

    def _show_acknowledged(self, order: Order) -> None:
        if order.is_acknowledged:
            self.show(order)

    def _fill(self, order: Order, trade: Trade) -> None:
        """Book a trade, then tell it: execution, status, and a moment later the commission."""
        order.filled += trade.quantity
        order.spent += trade.quantity * trade.price
        order.last_price = trade.price
        cost = commission_so_far(order.filled, order.spent) - order.commission
        order.commission += cost
        execution = self._book.execution(order, trade.quantity, trade.price, self._timeline.now())
        commission = self._ledger.book(execution, cost, order.ticket.instrument.currency)
        if order.remaining == 0:
            self.end(order, Status.FILLED, f"Filled Size: {order.filled}")
        elif not order.is_cancelling:
            order.status = Status.SUBMITTED
        self._tell_fill(FillShown(order=order, execution=execution))
        shown = CommissionShown(order=order, execution=execution, commission=commission)
        self._timeline.after(NO_TIME * 0.6, self._settle, shown)

    def _tell_fill(self, fill: FillShown) -> None:
        order = fill.order
        if self._is_quiet(order):
            self._report(fill)
        elif self._conduct.status_before_fill:
            self._report(StatusShown(order=order))
            self._report(fill)
        elif order.is_live:
            self._report(fill)
            self._report(StatusShown(order=order))
        else:
            self._report(fill)
            self.show(order)

    def _is_quiet(self, order: Order) -> bool:
        """Whether an order that filled at once is told by its execution alone."""
        return self._conduct.fills_without_status and not order.is_live and not order.is_told

    def _settle(self, shown: CommissionShown) -> None:
        shown.order.is_settled = shown.order.status is Status.FILLED
        if shown.order.is_settled and not self._is_quiet(shown.order):
            self.show(shown.order)
        self._report(shown)

    def _note(self, kind: str, order: Order, **facts: object) -> None:
        self._ledger.note(kind, self._timeline.now(), perm_id=order.perm_id, **facts)
