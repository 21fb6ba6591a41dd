"""What is asked of orders that are already there: modifications and cancels, and their races; used by the exchange."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from longwatch.gateway.exchange import groups
from longwatch.gateway.exchange.book import terms
from longwatch.gateway.exchange.floor import CANCELLED_BY_TRADER
from longwatch.gateway.exchange.margin import lack
from longwatch.gateway.exchange.matching import stop_behind
from longwatch.gateway.exchange.orders import ONE_FILL_CANCELS, TRAILING, Order, Status, Ticket
from longwatch.gateway.exchange.rules import amended, refusal_of_change
from longwatch.gateway.exchange.venue import Venue

TOO_LATE_TO_MODIFY = "Cannot modify a filled order."


class Changes:
    """Modifies and cancels live orders of a venue."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def modify(self, order: Order, asked: Ticket) -> None:
        """Change a live order, a while later; the answer is a report, or the refusal at once."""
        ticket, warnings = amended(asked, self._venue.conduct)
        refusal = refusal_of_change(order, ticket)
        for one in [refusal] if refusal else warnings:
            self._venue.floor.tell(order, one.code, one.text)
        if refusal is None:
            wait = self._venue.vary(order, "modify", self._venue.latencies.acknowledge)
            self._venue.later(order, wait, self._apply, ticket, order.shrunk)

    def cancel(self, order: Order, client_id: int) -> None:
        """Cancel a live order for a client; the others of its group may end with it, and then before it."""
        order.cancelled_by = client_id
        is_shared = order.ticket.oca_rule == ONE_FILL_CANCELS and self._venue.conduct.cancels_oca_siblings
        siblings = groups.siblings_of(self._venue.book, order) if is_shared else []
        for sibling in siblings:
            if not sibling.is_cancelling:
                self.begin_cancel(sibling)
        self.begin_cancel(order, after=siblings)

    def begin_cancel(self, order: Order, after: list[Order] | None = None) -> None:
        """Cancel one order, shown as on its way unless it follows others of its group."""
        venue = self._venue
        order.is_cancelling = True
        wait = venue.vary(order, "cancel", venue.latencies.cancel)
        if venue.conduct.shows_pending_cancel and not after:
            venue.later(order, wait / 2, self._show_cancelling)
        venue.later_all([order, *(after or ())], wait, self._finish_cancel, order)

    def too_late(self, order: Order, client_id: int) -> None:
        """Tell a client that an order can't be cancelled any more."""
        order_id = order.ticket.shown_id
        state = Status.PENDING_CANCEL if order.is_live else order.status
        text = f"OrderId {order_id} that needs to be cancelled cannot be cancelled, state: {state}."
        self._venue.tell(client_id, order_id, 10148, text)

    def _apply(self, order: Order, asked: Ticket, shrunk: Decimal) -> None:
        """A modification has reached the exchange, never before the order itself.

        What the order's group took from it since the client asked is taken from the size it asked for too.
        """
        venue = self._venue
        ticket = replace(asked, quantity=asked.quantity - (order.shrunk - shrunk))
        if order.is_cancelling or not order.is_live or ticket.quantity <= order.filled:
            venue.floor.tell(order, 104, TOO_LATE_TO_MODIFY)
            return
        if not order.is_acknowledged:
            venue.later(order, venue.latencies.reject, self._apply, asked, shrunk)
            return
        reason = self._lack(order, _changed(order.ticket, ticket))
        if reason:
            venue.floor.tell(order, 201, f"Order rejected - reason:{reason}")
            return
        self._trail_anew(order, ticket)
        order.ticket = _changed(order.ticket, ticket)
        order.revision += 1
        now = venue.timeline.now()
        venue.ledger.note("modified", now, perm_id=order.perm_id, **terms(order.ticket))
        venue.floor.set_expiry(order, now)
        venue.floor.show(order)
        if order.why_held:
            venue.floor.show(order)
        venue.floor.arrive(order)
        venue.pulse.wake()

    def _lack(self, order: Order, ticket: Ticket) -> str:
        """Why the account can't carry what an order is to become, or nothing; a child's turn comes with its release."""
        if order.is_child_held:
            return ""
        venue, account = self._venue, ticket.account
        left, orders = replace(ticket, quantity=ticket.quantity - order.filled), list(venue.orders_of(account))
        now = venue.timeline.now()
        books, day = venue.ledger.accounts[account], venue.ledger.day_of(now)
        return lack(books, orders, left, venue.market, now, day=day, instead_of=order)

    def _trail_anew(self, order: Order, ticket: Ticket) -> None:
        """A trailing stop that is given another price, amount or percentage starts there."""
        old = order.ticket
        former = (old.trail_stop, old.stop, old.trail_percent)
        if ticket.order_type not in TRAILING or former == (ticket.trail_stop, ticket.stop, ticket.trail_percent):
            return
        last = self._venue.market.quote(ticket.instrument, self._venue.timeline.now()).last
        stop = ticket.trail_stop if ticket.trail_stop != old.trail_stop else None
        stop = stop or (stop_behind(ticket, last) if last is not None else order.trailed)
        order.trailed = stop
        self._venue.ledger.note("trailed", self._venue.timeline.now(), perm_id=order.perm_id, stop=str(stop))

    def _show_cancelling(self, order: Order) -> None:
        if order.is_live and order.is_acknowledged:
            order.status = Status.PENDING_CANCEL
            self._venue.floor.show(order)

    def _finish_cancel(self, order: Order) -> None:
        if order.is_live:
            self._venue.floor.cancel(order, CANCELLED_BY_TRADER)
        elif order.cancelled_by is not None:
            self.too_late(order, order.cancelled_by)


def _changed(old: Ticket, new: Ticket) -> Ticket:
    """The old ticket with what a modification may change."""
    return replace(
        old,
        quantity=new.quantity,
        order_type=new.order_type,
        limit=new.limit,
        stop=new.stop,
        trail_stop=new.trail_stop,
        trail_percent=new.trail_percent,
        tif=new.tif,
        outside_rth=new.outside_rth,
        order_ref=new.order_ref,
    )
