"""The simulated exchange as clients meet it: orders in, answers after measured delays; driven by requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal

from longwatch.gateway.conduct import Conduct, Latencies
from longwatch.gateway.exchange.book import BY_HAND, OrderBook
from longwatch.gateway.exchange.changes import TOO_LATE_TO_MODIFY, Changes
from longwatch.gateway.exchange.floor import CANCELLED_BY_SYSTEM, Floor
from longwatch.gateway.exchange.groups import Untransmitted
from longwatch.gateway.exchange.intake import Intake
from longwatch.gateway.exchange.ledger import ZERO, Execution, Ledger
from longwatch.gateway.exchange.margin import Standing, initial_with, spoken_for, standing
from longwatch.gateway.exchange.orders import Order, Status, Ticket, cause, commission_so_far
from longwatch.gateway.exchange.pulse import Pulse
from longwatch.gateway.exchange.reports import FillShown, PreviewShown, Report, StatusShown
from longwatch.gateway.exchange.rules import BAD_TICK, Refusal, refusal_of
from longwatch.gateway.exchange.venue import Venue
from longwatch.gateway.market.market import Market
from longwatch.gateway.timeline import Timeline

VOLUME_SHARE = Decimal("0.25")
LARGEST_ID = 2_147_483_647


class Exchange:
    """Orders of all accounts. Everything it tells goes to `report`, in the order in which it happens.

    `volume_share` is the most an order gets of the volume at a point or in an auction. The symbols in `hard_to_borrow`
    can't be sold short until `locate` is called; those in `forbidden` are refused with a code and a text.
    """

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
        volume_share: Decimal = VOLUME_SHARE,
        hard_to_borrow: Iterable[str] = (),
        forbidden: Mapping[str, tuple[int, str]] | None = None,
    ) -> None:
        self.book = OrderBook(seed, timeline.now())
        self.conduct = conduct or Conduct()
        floor = Floor(market, ledger, self.book, timeline, report, self.conduct, volume_share)
        self._venue = Venue(
            market=market,
            ledger=ledger,
            book=self.book,
            floor=floor,
            timeline=timeline,
            pulse=pulse,
            report=report,
            conduct=self.conduct,
            latencies=latencies or Latencies(),
            seed=seed,
        )
        self._intake = Intake(self._venue, set(hard_to_borrow), forbidden or {})
        self._changes = Changes(self._venue)
        self._held = Untransmitted()
        pulse.follow(floor.beat, floor.is_needed)
        self.book.restore(ledger, market)
        self.restarted()
        self._intake.resume()

    def place(self, ticket: Ticket) -> None:
        """Take a new order, a modification of a live one, or a what-if; the answer is a report.

        A modification that is not to be transmitted does nothing: the message that is says the whole order again.
        """
        key = (ticket.client_id, ticket.order_id)
        order = self.book.get(*key)
        refusal = _refusal_of_id(ticket, order, 0 if key in self._held else self.book.taken(ticket.client_id))
        refusal = refusal or refusal_of(ticket, self.conduct) or self._refusal_of_parent(ticket)
        refusal = refusal or self._intake.refusal_of(ticket)
        if refusal is not None:
            self._refuse(ticket, refusal, is_new=order is None)
        elif ticket.what_if:
            self._venue.timeline.after(self._venue.latencies.preview, self._preview, ticket)
        elif order is not None:
            if ticket.transmit:
                self._changes.modify(order, ticket)
        elif not ticket.transmit:
            self._held.hold(ticket)
            self.book.use(*key)
        else:
            self._intake.take(self._held.family_of(ticket))

    def place_by_hand(self, ticket: Ticket) -> None:
        """Take an order typed into the gateway's own window; it has no order id until client 0 binds it."""
        self._intake.take([replace(ticket, order_id=self.book.next_by_hand(), client_id=BY_HAND)])

    def bind_by_hand(self, *, from_now_on: bool | None = None) -> None:
        """Give client 0 the live orders typed by hand: each gets an order id, told by a report.

        With `from_now_on` those that come later are given to it too, or no more, and those that are there are not.
        """
        if from_now_on is not None:
            self._intake.binds_at_once = from_now_on
            return
        for order in self.shown_live(BY_HAND):
            self._intake.bind(order)

    def cancel(self, client_id: int, order_id: int) -> None:
        """Cancel one of a client's own orders; the answer is a report."""
        order = self.book.get(client_id, order_id) or self._foreign(order_id)
        if self._held.drop((client_id, order_id)):
            self._venue.tell(client_id, order_id, 202, "Order Canceled - reason:")
        elif order is None:
            self._venue.tell(client_id, order_id, 10147, f"OrderId {order_id} that needs to be cancelled is not found.")
        elif order.is_cancelling or not order.is_live:
            self._changes.too_late(order, client_id)
        else:
            self._changes.cancel(order, client_id)

    def cancel_all(self) -> None:
        """Cancel every live order of every client."""
        for order in self.book.live():
            if not order.is_cancelling:
                self._changes.begin_cancel(order)

    def locate(self, symbol: str) -> None:
        """Shares of a symbol to be sold short have been found: the orders held for them go on."""
        self._intake.locate(symbol)

    def is_hard_to_borrow(self, symbol: str) -> bool:
        """Whether shares of a symbol must be found before they can be sold short."""
        return self._intake.is_hard_to_borrow(symbol)

    def lapse(self, account: str, symbol: str) -> None:
        """The broker ends orders good till cancelled: those of an account and a symbol, of all where one is empty."""
        for order in self.book.live():
            ticket = order.ticket
            is_meant = account in {"", ticket.account} and symbol in {"", ticket.instrument.symbol}
            if is_meant and ticket.tif == "GTC":
                self._venue.floor.cancel(order, CANCELLED_BY_SYSTEM)

    def bust(self, order: Order, execution: Execution) -> None:
        """The exchange takes a fill back; where gateways tell that, the answer is a report of its empty successor."""
        gone = self._venue.ledger.bust(execution, self._venue.timeline.now())
        if self.conduct.bust_revised:
            self._venue.report(FillShown(order=order, execution=gone))

    def correct(self, order: Order, execution: Execution, price: Decimal | None = None) -> None:
        """The exchange changes a fill's price, to one a tick worse unless told; the answer is a report of it."""
        tick = order.ticket.instrument.min_tick
        price = price or execution.price + (tick if execution.is_buy else -tick)
        corrected = self._venue.ledger.correct(execution, price, self._venue.timeline.now())
        order.spent += execution.quantity * (price - execution.price)
        self._venue.report(FillShown(order=order, execution=corrected))

    def shown_live(self, client_id: int | None = None) -> Iterator[Order]:
        """Live orders that have been acknowledged, of one client or of all."""
        orders = (order for order in self.book.live() if order.is_acknowledged)
        return (order for order in orders if client_id is None or order.ticket.client_id == client_id)

    def standing(self, account: str) -> Standing:
        """Where an account stands now."""
        return self._venue.standing(account)

    def ordered(self, account: str) -> Decimal:
        """What an account's live purchases would cost."""
        return spoken_for(self._venue.orders_of(account), self._venue.market, self._venue.timeline.now())

    def forget_client(self, client_id: int) -> None:
        """A client has left: orders it has not transmitted are gone."""
        self._intake.binds_at_once = self._intake.binds_at_once and client_id != BY_HAND
        self._held.drop_client(client_id)

    def restarted(self) -> None:
        """The gateway is started anew: what was not transmitted is gone, and order ids may begin again."""
        self._held.drop_client()
        if self.conduct.ids_restart:
            self.book.restart_ids()

    def _preview(self, ticket: Ticket) -> None:
        now = self._venue.timeline.now()
        account, orders = self._venue.ledger.accounts[ticket.account], list(self._venue.orders_of(ticket.account))
        before = standing(account, orders, self._venue.market, now)
        others = [order for order in orders if order is not self.book.get(ticket.client_id, ticket.order_id)]
        price = ticket.limit or self._venue.market.quote(ticket.instrument, now).last or ZERO
        shown = PreviewShown(
            ticket=ticket,
            margin_before=before.initial,
            margin_after=initial_with(account, others, ticket, self._venue.market, now),
            equity=before.equity,
            commission=commission_so_far(ticket.quantity, ticket.quantity * price),
        )
        self._venue.report(shown)

    def _refusal_of_parent(self, ticket: Ticket) -> Refusal | None:
        """Why a child can't be attached to its parent, or None."""
        top = self._held.top_of(ticket)
        if self.book.get(ticket.client_id, ticket.order_id) or (top is not None and not top.parent_id):
            return None
        parent = self.book.get(ticket.client_id, top.parent_id) if top is not None else None
        is_filled = parent is not None and parent.status is Status.FILLED
        if parent is not None and (parent.is_live or (is_filled and self.conduct.takes_late_children)):
            return None
        return Refusal(code=321, text=cause(f"Can't find order with id ={(top or ticket).parent_id}"))

    def _refuse(self, ticket: Ticket, refusal: Refusal, *, is_new: bool) -> None:
        self._venue.tell(ticket.client_id, ticket.order_id, refusal.code, refusal.text)
        if is_new and refusal.code == BAD_TICK and self.conduct.status_with_refusal:
            order = Order(perm_id=0, ticket=ticket, placed_at=self._venue.timeline.now(), status=Status.INACTIVE)
            self._venue.report(StatusShown(order=order))

    def _foreign(self, order_id: int) -> Order | None:
        if not self.conduct.foreign_cancel or order_id <= 0:
            return None
        return next((order for order in self.book.live() if order.ticket.order_id == order_id), None)


def _refusal_of_id(ticket: Ticket, order: Order | None, highest: int) -> Refusal | None:
    """Why an order id can't be taken, or None; an id in use by a live order means its modification."""
    if order is None and not 0 < ticket.order_id < LARGEST_ID:
        return Refusal(code=10149, text=f"Invalid order id: {ticket.order_id}")
    if order is not None and (order.is_cancelling or not order.is_live):
        return Refusal(code=104, text=TOO_LATE_TO_MODIFY)
    if order is None and ticket.order_id <= highest:
        return Refusal(code=103, text="Duplicate order id")
    return None
