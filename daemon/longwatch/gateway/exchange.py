"""The simulated exchange as clients meet it: orders in, answers after measured delays; driven by requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from zoneinfo import ZoneInfo

from longwatch.gateway.book import BY_HAND, OrderBook, order_facts, terms
from longwatch.gateway.conduct import Conduct, Latencies
from longwatch.gateway.floor import CANCELLED_BY_SYSTEM, CANCELLED_BY_TRADER, NO_TIME, Floor
from longwatch.gateway.ledger import ZERO, Execution, Ledger
from longwatch.gateway.margin import Standing, initial_with, standing
from longwatch.gateway.market import Market
from longwatch.gateway.orders import Order, Refusal, Status, Ticket, commission_so_far, refusal_of
from longwatch.gateway.pulse import Pulse
from longwatch.gateway.reports import BoundShown, FillShown, OrderNotice, PreviewShown, Report, StatusShown
from longwatch.gateway.timeline import Timeline

TOO_LATE_TO_MODIFY = "Cannot modify a filled order."


class Exchange:
    """Orders of all accounts. Everything it tells goes to `report`, in the order in which it happens."""

    def __init__(
        self,
        market: Market,
        ledger: Ledger,
        timeline: Timeline,
        pulse: Pulse,
        report: Callable[[Report], None],
        *,
        seed: int = 0,
        latencies: Latencies | None = None,
        conduct: Conduct | None = None,
    ) -> None:
        self.book = OrderBook(seed, timeline.now())
        self._market = market
        self._ledger = ledger
        self._floor = Floor(market, ledger, self.book, timeline, report)
        self._timeline = timeline
        self._pulse = pulse
        self._report = report
        self._seed = seed
        self._latencies = latencies or Latencies()
        self._conduct = conduct or Conduct()
        self._held: dict[tuple[int, int], Ticket] = {}
        pulse.follow(self._floor.beat, self._floor.is_needed)
        self.binds_at_once = False
        """Whether client 0 has asked for orders typed by hand as they come."""
        self.book.restore(ledger, market)
        self.restarted()
        self._resume()

    def place(self, ticket: Ticket) -> None:
        """Take a new order, a modification of a live one, or a what-if; the answer is a report."""
        key = (ticket.client_id, ticket.order_id)
        order = self.book.get(*key)
        refusal = _refusal_of_id(ticket, order, 0 if key in self._held else self.book.highest(ticket.client_id))
        refusal = refusal or refusal_of(ticket)
        if refusal is not None:
            self._tell(ticket.client_id, ticket.order_id, refusal.code, refusal.text)
        elif order is not None:
            self._modify(order, ticket)
        elif ticket.what_if:
            self._timeline.after(self._latencies.preview, self._preview, ticket)
        elif not ticket.transmit:
            self._held[key] = ticket
            self.book.use(*key)
        else:
            self._held.pop(key, None)
            self._take(ticket)

    def place_by_hand(self, ticket: Ticket) -> None:
        """Take an order typed into the gateway's own window; it has no order id until client 0 binds it."""
        self._take(replace(ticket, order_id=self.book.next_by_hand(), client_id=BY_HAND))

    def bind_by_hand(self) -> None:
        """Give client 0 the live orders typed by hand: each gets an order id, told by a report."""
        for order in self.shown_live(BY_HAND):
            self._bind(order)

    def cancel(self, client_id: int, order_id: int) -> None:
        """Cancel one of a client's own orders; the answer is a report."""
        order = self.book.get(client_id, order_id) or self._foreign(order_id)
        if self._held.pop((client_id, order_id), None) is not None:
            self._tell(client_id, order_id, 202, "Order Canceled - reason:")
        elif order is None:
            self._tell(client_id, order_id, 10147, f"OrderId {order_id} that needs to be cancelled is not found.")
        elif order.is_cancelling or not order.is_live:
            self._too_late(order, client_id)
        else:
            self._begin_cancel(order)

    def cancel_all(self) -> None:
        """Cancel every live order of every client."""
        for order in self.book.live():
            if not order.is_cancelling:
                self._begin_cancel(order)

    def correct(self, order: Order, execution: Execution) -> None:
        """The exchange takes a fill's price back for one a tick worse; the answer is a report of the successor."""
        tick = order.ticket.instrument.min_tick
        price = execution.price + (tick if execution.is_buy else -tick)
        corrected = self._ledger.correct(execution, price, self._timeline.now())
        order.spent += execution.quantity * (price - execution.price)
        self._report(FillShown(order=order, execution=corrected))

    def shown_live(self, client_id: int | None = None) -> Iterator[Order]:
        """Live orders that have been acknowledged, of one client or of all."""
        orders = (order for order in self.book.live() if order.is_acknowledged)
        return (order for order in orders if client_id is None or order.ticket.client_id == client_id)

    def standing(self, account: str) -> Standing:
        """Where an account stands now."""
        return standing(self._ledger.accounts[account], self._orders_of(account), self._market, self._timeline.now())

    def restarted(self) -> None:
        """The gateway has been started anew; where it counts order ids by the session, they begin again."""
        if self._conduct.ids_restart:
            self.book.restart_ids()

    def forget_client(self, client_id: int) -> None:
        """A client has left: orders it has not transmitted are gone."""
        self.binds_at_once = self.binds_at_once and client_id != BY_HAND
        for key in [key for key in self._held if key[0] == client_id]:
            del self._held[key]

    # -- a new order ---------------------------------------------------------------------------------------------

    def _take(self, ticket: Ticket) -> None:
        order = self.book.add(ticket, self._timeline.now())
        self._ledger.note("order", order.placed_at, **order_facts(order))
        self._later(order, self._latencies.reject, self._screen)

    def _screen(self, order: Order) -> None:
        """Reject what the account can't carry; otherwise the order goes on to the exchange."""
        if not order.is_live:
            return
        ticket, now = order.ticket, self._timeline.now()
        others = list(self._orders_of(ticket.account))
        account = self._ledger.accounts[ticket.account]
        before = standing(account, others, self._market, now)
        needed = initial_with(account, others, ticket, self._market, now)
        if needed > before.equity and needed > before.initial:
            self._reject(order, before.equity, needed)
        else:
            order.is_accepted = True
            rest = self._vary(order, "acknowledge", self._latencies.acknowledge) - self._latencies.reject
            self._later(order, max(rest, 0.0), self._acknowledge)

    def _reject(self, order: Order, equity: Decimal, needed: Decimal) -> None:
        currency = order.ticket.instrument.currency
        text = (
            "Order rejected - reason:YOUR ORDER IS NOT ACCEPTED. IN ORDER TO OBTAIN THE DESIRED POSITION YOUR EQUITY "
            f"WITH LOAN VALUE [{equity:.2f} {currency}] MUST EXCEED THE INITIAL MARGIN [{needed:.2f} {currency}]"
        )
        self._floor.end(order, Status.INACTIVE, CANCELLED_BY_SYSTEM)
        if self._conduct.reason_first:
            self._floor.tell(order, 201, text)
            self._floor.show(order)
        else:
            self._report(StatusShown(order=order))
            self._timeline.after(self._latencies.reject_reason, self._floor.tell, order, 201, text)

    def _acknowledge(self, order: Order) -> None:
        if not order.is_live:
            return
        order.is_acknowledged = True
        if self.binds_at_once:
            self._bind(order)
        now = self._timeline.now()
        self._floor.set_expiry(order, now)
        is_open = self._market.hours.at(now) is not None
        if not is_open:
            self._warn_closed(order, now)
        self._floor.show(order)
        if order.why_held:
            self._floor.show(order)
        elif is_open and order.ticket.order_type == "LMT":
            self._later(order, NO_TIME, self._floor.submit)
        if is_open:
            self._later(order, self._fill_delay(order), self._floor.arrive)
        self._pulse.wake()

    def _warn_closed(self, order: Order, now: datetime) -> None:
        following, ticket = self._market.hours.following(now), order.ticket
        zone = ticket.instrument.zone
        when = f"{following.open_at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S} {zone}" if following else "later"
        text = (
            f"Order Message:\n{ticket.action} {ticket.quantity} {ticket.instrument.symbol} "
            f"{ticket.instrument.primary_exchange}.{ticket.instrument.trading_class}\n"
            f"Warning: your order will not be placed at the exchange until {when}"
        )
        self._floor.tell(order, 399, text)

    def _preview(self, ticket: Ticket) -> None:
        now = self._timeline.now()
        account, others = self._ledger.accounts[ticket.account], list(self._orders_of(ticket.account))
        before = standing(account, others, self._market, now)
        price = ticket.limit or self._market.quote(ticket.instrument, now).last or ZERO
        shown = PreviewShown(
            ticket=ticket,
            margin_before=before.initial,
            margin_after=initial_with(account, others, ticket, self._market, now),
            equity=before.equity,
            commission=commission_so_far(ticket.quantity, ticket.quantity * price),
        )
        self._report(shown)

    def _bind(self, order: Order) -> None:
        if not order.ticket.is_unbound:
            return
        order_id = self.book.highest(BY_HAND) + 1 if self._conduct.binds_positive else order.ticket.order_id
        self.book.bind(order, order_id)
        self._ledger.note("bound", self._timeline.now(), perm_id=order.perm_id, order_id=order_id)
        self._report(BoundShown(order=order))

    # -- changes -------------------------------------------------------------------------------------------------

    def _modify(self, order: Order, ticket: Ticket) -> None:
        old = order.ticket
        is_other = (ticket.instrument, ticket.action, ticket.account) != (old.instrument, old.action, old.account)
        if is_other or ticket.quantity <= order.filled:
            self._floor.tell(order, 105, "Order being modified does not match original order")
        else:
            self._later(order, self._vary(order, "modify", self._latencies.acknowledge), self._apply, ticket)

    def _apply(self, order: Order, ticket: Ticket) -> None:
        """A modification has reached the exchange, never before the order itself."""
        if order.is_cancelling or not order.is_live or ticket.quantity <= order.filled:
            self._floor.tell(order, 104, TOO_LATE_TO_MODIFY)
            return
        if not order.is_acknowledged:
            self._later(order, self._latencies.reject, self._apply, ticket)
            return
        order.ticket = _changed(order.ticket, ticket)
        order.revision += 1
        self._ledger.note("modified", self._timeline.now(), perm_id=order.perm_id, **terms(ticket))
        self._floor.set_expiry(order, self._timeline.now())
        self._floor.show(order)
        self._floor.arrive(order)
        self._pulse.wake()

    def _begin_cancel(self, order: Order) -> None:
        order.is_cancelling = True
        wait = self._vary(order, "cancel", self._latencies.cancel)
        self._later(order, wait / 2, self._show_cancelling)
        self._later(order, wait, self._finish_cancel)

    def _show_cancelling(self, order: Order) -> None:
        if order.is_live and order.is_acknowledged:
            order.status = Status.PENDING_CANCEL
            self._floor.show(order)

    def _finish_cancel(self, order: Order) -> None:
        if order.is_live:
            self._floor.cancel(order, CANCELLED_BY_TRADER)
        else:
            self._too_late(order, order.ticket.client_id)

    def _too_late(self, order: Order, client_id: int) -> None:
        order_id = order.ticket.shown_id
        state = Status.PENDING_CANCEL if order.is_live else order.status
        text = f"OrderId {order_id} that needs to be cancelled cannot be cancelled, state: {state}."
        self._tell(client_id, order_id, 10148, text)

    def _foreign(self, order_id: int) -> Order | None:
        if not self._conduct.foreign_cancel:
            return None
        return next((order for order in self.book.live() if order.ticket.order_id == order_id), None)

    # -- small things --------------------------------------------------------------------------------------------

    def _resume(self) -> None:
        """Orders of a reloaded ledger work on; those whose session has closed meanwhile end now."""
        now = self._timeline.now()
        for order in self.book.live():
            self._floor.set_expiry(order, order.placed_at)
            if order.expires_at is not None and order.expires_at <= now:
                self._floor.end(order, Status.CANCELLED, CANCELLED_BY_SYSTEM)
        self._pulse.wake()

    def _orders_of(self, account: str) -> Iterator[Order]:
        """The orders that bind an account's margin: accepted and not ended."""
        return (order for order in self.book.live() if order.is_accepted and order.ticket.account == account)

    def _tell(self, client_id: int, order_id: int, code: int, text: str) -> None:
        self._report(OrderNotice(client_id=client_id, order_id=order_id, code=code, text=text))

    def _later(self, order: Order, seconds: float, action: Callable[..., None], *arguments: object) -> None:
        """Do something to an order after a while, but never before what was agreed for it earlier."""
        instant = self._timeline.now() + timedelta(seconds=seconds)
        order.busy_until = max(instant, order.busy_until or instant)
        self._timeline.at(order.busy_until, action, order, *arguments)

    def _vary(self, order: Order, what: str, seconds: float) -> float:
        random = Random(f"{self._seed}|{what}|{order.perm_id}|{order.revision}")
        return seconds * (1 + random.uniform(-1, 1) * self._latencies.jitter)

    def _fill_delay(self, order: Order) -> float:
        """Seconds from the acknowledgement to the first trade."""
        random = Random(f"{self._seed}|fill|{order.perm_id}")
        wanted = random.uniform(self._latencies.fill_least, self._latencies.fill_most)
        passed = (self._timeline.now() - order.placed_at).total_seconds()
        return max(wanted - passed, NO_TIME)


def _refusal_of_id(ticket: Ticket, order: Order | None, highest: int) -> Refusal | None:
    """Why an order id can't be taken, or None; an id in use by a live order means its modification."""
    if order is None and ticket.order_id <= 0:
        return Refusal(code=10149, text=f"Invalid order id: {ticket.order_id}")
    if order is not None and (order.is_cancelling or not order.is_live):
        return Refusal(code=104, text=TOO_LATE_TO_MODIFY)
    if order is None and ticket.order_id <= highest:
        return Refusal(code=103, text="Duplicate order id")
    return None


def _changed(old: Ticket, new: Ticket) -> Ticket:
    """The old ticket with what a modification may change."""
    return replace(
        old,
        quantity=new.quantity,
        order_type=new.order_type,
        limit=new.limit,
        stop=new.stop,
        tif=new.tif,
        outside_rth=new.outside_rth,
        order_ref=new.order_ref,
    )
