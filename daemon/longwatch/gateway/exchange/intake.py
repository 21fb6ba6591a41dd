"""A new order's way from its arrival to the market: screened, acknowledged or rejected; used by the exchange."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from longwatch.gateway.exchange import groups
from longwatch.gateway.exchange.book import BY_HAND, order_facts
from longwatch.gateway.exchange.floor import CANCELLED_BY_SYSTEM, NO_TIME
from longwatch.gateway.exchange.ledger import ZERO
from longwatch.gateway.exchange.margin import lack
from longwatch.gateway.exchange.orders import (
    AT_ONCE,
    AT_THE_CLOSE,
    AT_THE_OPEN,
    ONE_FILL_CANCELS,
    Order,
    Status,
    Ticket,
)
from longwatch.gateway.exchange.reports import BoundShown
from longwatch.gateway.exchange.rules import Refusal, amended
from longwatch.gateway.exchange.venue import Venue

REJECTED = 201
LAST_FOR_THE_CLOSE = timedelta(minutes=10)
LAST_FOR_THE_OPEN = timedelta(minutes=2)
"""How long before an auction its orders are taken: for the New York Stock Exchange and Nasdaq, roughly."""


class Intake:
    """Takes new orders. Shares of the symbols in `hard_to_borrow` can't be sold short until they are located."""

    def __init__(self, venue: Venue, hard_to_borrow: set[str], forbidden: Mapping[str, tuple[int, str]]) -> None:
        self._venue = venue
        self._forbidden = forbidden
        self._hard_to_borrow = hard_to_borrow
        self.binds_at_once = False
        """Whether client 0 has asked for orders typed by hand as they come."""

    def take(self, tickets: Sequence[Ticket]) -> None:
        """Take a ticket, or a parent's with its children's, which follow it with the next permanent ids."""
        with self._venue.ledger.together():
            orders = [self._add(ticket) for ticket in tickets]
        self._venue.later_all(orders, self._venue.latencies.reject, self._screen, orders)

    def refusal_of(self, ticket: Ticket) -> Refusal | None:
        """Why an account may not trade this at all, where that is said at once; 201 comes with the screening."""
        code, text = self._forbidden.get(ticket.instrument.symbol, (REJECTED, ""))
        is_at_once = code != REJECTED or (text and ticket.what_if)
        return Refusal(code=code, text=text) if is_at_once else None

    def is_hard_to_borrow(self, symbol: str) -> bool:
        """Whether shares of a symbol have still to be found."""
        return symbol in self._hard_to_borrow

    def locate(self, symbol: str) -> None:
        """Shares to be sold short have been found: the orders that waited for them go on."""
        self._hard_to_borrow.discard(symbol)
        for order in self._venue.book.live():
            if order.is_unlocated and order.ticket.instrument.symbol == symbol:
                order.is_unlocated = False
                self._venue.floor.submit(order)
                self._venue.later(order, NO_TIME, self._venue.floor.arrive)

    def bind(self, order: Order) -> None:
        """Give client 0 an order typed by hand, unless it has it."""
        venue = self._venue
        if not order.ticket.is_unbound:
            return
        order_id = venue.book.highest(BY_HAND) + 1 if venue.conduct.binds_positive else order.ticket.order_id
        venue.book.bind(order, order_id)
        venue.ledger.note("bound", venue.timeline.now(), perm_id=order.perm_id, order_id=order_id)
        venue.report(BoundShown(order=order))

    def resume(self) -> None:
        """Orders of a reloaded ledger work on; those whose session has closed, or parent ended, meanwhile end now.

        Those that nobody had looked at are looked at now.
        """
        now, floor = self._venue.timeline.now(), self._venue.floor
        self._finish()
        families: dict[int, list[Order]] = {}
        for order in self._venue.book.live():
            if not order.is_accepted:
                families.setdefault(order.parent_perm_id or order.perm_id, []).append(order)
                continue
            floor.set_expiry(order, order.asked_at or order.placed_at)
            order.is_unlocated = self._is_unlocated(order)
            if order.expires_at is not None and order.expires_at <= now:
                floor.cancel(order, CANCELLED_BY_SYSTEM)
            elif self._is_open(order.ticket, now):
                floor.submit(order)
        for order in list(self._venue.book.ended()):
            floor.orphan(order)
        for family in families.values():
            self._venue.later_all(family, self._venue.latencies.reject, self._screen, family)
        self._venue.pulse.wake()

    def _finish(self) -> None:
        """End what a crash has left half done: orders that have traded all they wanted, and the others of a group."""
        book, floor = self._venue.book, self._venue.floor
        for order in book.live():
            if order.remaining <= 0:
                floor.end(order, Status.FILLED, f"Filled Size: {order.filled}")
        traded_at = {one.perm_id: one.at for one in self._venue.ledger.executions}
        for order in [*book.ended(), *book.live()]:
            is_decided = order.status is Status.FILLED or order.ticket.oca_rule == ONE_FILL_CANCELS
            if is_decided and order.perm_id in traded_at:
                for sibling in groups.siblings_of(book, order):
                    # A group's name may be used again later.
                    if sibling.placed_at <= traded_at[order.perm_id]:
                        floor.cancel(sibling, CANCELLED_BY_SYSTEM)

    def _add(self, asked: Ticket) -> Order:
        venue = self._venue
        ticket, warnings = amended(asked, venue.conduct)
        for warning in warnings:
            venue.tell(ticket.client_id, ticket.order_id, warning.code, warning.text)
        parent = venue.book.get(ticket.client_id, ticket.parent_id) if ticket.parent_id else None
        order = venue.book.add(groups.as_child(ticket, parent) if parent else ticket, venue.timeline.now())
        if parent is not None:
            parent.has_children = True
            order.parent_perm_id, order.is_child_held = parent.perm_id, parent.is_live
        venue.ledger.note("order", order.placed_at, **order_facts(order))
        return order

    def _screen(self, orders: Sequence[Order]) -> None:
        """Reject what the account or the exchange can't carry; the others go on to the exchange."""
        for order in orders:
            reason = self._rejection(order) if order.is_live else ""
            if reason:
                self._venue.floor.reject(order, reason, self._venue.latencies.reject_reason)
            order.is_accepted = order.is_live
        with self._venue.ledger.together():
            for order in orders:
                if order.is_accepted:
                    self._venue.ledger.note("accepted", self._venue.timeline.now(), perm_id=order.perm_id)
        latencies = self._venue.latencies
        rest = self._venue.vary(orders[0], "acknowledge", latencies.acknowledge) - latencies.reject
        self._venue.later_all(orders, max(rest, 0.0), self._acknowledge, orders)

    def _rejection(self, order: Order) -> str:
        venue, ticket, now = self._venue, order.ticket, self._venue.timeline.now()
        if self._is_late(ticket, now):
            return "Exchange is closed."
        if ticket.instrument.symbol in self._forbidden:
            return self._forbidden[ticket.instrument.symbol][1].removeprefix("Order rejected - reason:")
        if groups.is_spent(venue.book, ticket):
            return "OCA group is already filled."
        if order.is_child_held:
            return ""
        others, account = list(venue.orders_of(ticket.account)), venue.ledger.accounts[ticket.account]
        return lack(account, others, ticket, venue.market, now, day=venue.ledger.day_of(now))

    def _is_late(self, ticket: Ticket, now: datetime) -> bool:
        """Whether the auction that an order is for takes no more orders."""
        hours = self._venue.market.hours_of(ticket.instrument)
        session, following = hours.at(now), hours.following(now)
        if ticket.tif == AT_THE_OPEN:
            return session is not None or (following is not None and following.open_at - now < LAST_FOR_THE_OPEN)
        is_for_the_close = ticket.order_type in AT_THE_CLOSE
        return is_for_the_close and session is not None and session.close_at - now < LAST_FOR_THE_CLOSE

    def _acknowledge(self, orders: Sequence[Order]) -> None:
        for order in orders:
            if order.is_live:
                self._acknowledge_one(order)
        self._venue.pulse.wake()

    def _acknowledge_one(self, order: Order) -> None:
        venue, floor = self._venue, self._venue.floor
        now, ticket = venue.timeline.now(), order.ticket
        order.is_acknowledged = True
        if self.binds_at_once:
            self.bind(order)
        floor.set_expiry(order, now)
        is_open = self._is_open(ticket, now)
        if not is_open and ticket.tif != AT_THE_OPEN:
            self._warn_closed(order, now)
        order.is_unlocated = self._is_unlocated(order)
        if order.is_unlocated:
            floor.tell(order, 404, "Order held while securities are located.")
        floor.follow_price(order, venue.market.quote(ticket.instrument, now).last)
        is_now_or_never = is_open and ticket.tif in AT_ONCE and not order.why_held
        if is_now_or_never and not floor.can_trade(order):
            floor.end_at_once(order)
            return
        is_quiet = venue.conduct.fills_without_status and is_open and ticket.order_type == "MKT"
        if not is_quiet or order.why_held:
            floor.show(order)
        if order.why_held:
            floor.show(order)
        elif is_open and ticket.order_type == "LMT":
            venue.later(order, NO_TIME, floor.submit)
        if is_open and not order.is_waiting:
            venue.later(order, venue.fill_delay(order), floor.arrive)

    def _is_unlocated(self, order: Order) -> bool:
        """Whether an order would sell short what can't be borrowed."""
        ticket = order.ticket
        if ticket.is_buy or ticket.instrument.symbol not in self._hard_to_borrow:
            return False
        holding = self._venue.ledger.accounts[ticket.account].holdings.get(ticket.instrument.con_id)
        sold = (
            one.remaining
            for one in self._venue.orders_of(ticket.account)
            if one is not order and one.ticket.instrument == ticket.instrument and not one.ticket.is_buy
        )
        return (holding.quantity if holding else ZERO) - sum(sold, ZERO) < order.remaining

    def _is_open(self, ticket: Ticket, now: datetime) -> bool:
        return self._venue.market.hours_of(ticket.instrument).at(now) is not None

    def _warn_closed(self, order: Order, now: datetime) -> None:
        ticket = order.ticket
        following = self._venue.market.hours_of(ticket.instrument).following(now)
        zone = ticket.instrument.zone
        when = f"{following.open_at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S} {zone}" if following else "later"
        text = (
            f"Order Message:\n{ticket.action} {ticket.quantity} {ticket.instrument.symbol} "
            f"{ticket.instrument.primary_exchange}.{ticket.instrument.trading_class}\n"
            f"Warning: your order will not be placed at the exchange until {when}"
        )
        self._venue.floor.tell(order, 399, text)
