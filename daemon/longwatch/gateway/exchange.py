"""The simulated exchange: takes orders, matches them with the path, and reports; driven by requests and the pulse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from zoneinfo import ZoneInfo

from longwatch.gateway.book import OrderBook, order_facts, terms
from longwatch.gateway.ledger import Execution, Ledger
from longwatch.gateway.margin import Standing, initial_with, standing
from longwatch.gateway.market import Market, Quote, money
from longwatch.gateway.matching import Liquidity, Trade, trade_of, triggers, within
from longwatch.gateway.orders import AT_THE_CLOSE, Order, Status, Ticket, commission_so_far, refusal_of
from longwatch.gateway.pulse import Pulse
from longwatch.gateway.reports import (
    CommissionShown,
    FillShown,
    OrderNotice,
    OrderShown,
    PreviewShown,
    Report,
    StatusShown,
)
from longwatch.gateway.timeline import Timeline

NO_TIME = 0.003
"""Messages that belong together arrive within this many seconds of each other."""

CANCELLED_BY_TRADER = "Cancelled by Trader"
CANCELLED_BY_SYSTEM = "Cancelled by System:\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Latencies:
    """Market seconds from a request's arrival to the gateway's answer, as measured at a paper account.

    A market order is filled between `fill_least` and `fill_most`; other answers vary by the share `jitter`.
    """

    acknowledge: float = 0.558
    reject: float = 0.350
    reject_reason: float = 0.050
    cancel: float = 0.559
    fill_least: float = 0.555
    fill_most: float = 0.903
    preview: float = 0.350
    jitter: float = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """Ways in which real gateways differ; the defaults are what was recorded last.

    `reason_first`: error 201 comes before the Inactive status, as older gateways do. `foreign_cancel`: any client may
    cancel any client's order. `forget_executions`: a restarted gateway no longer lists the day's executions.
    """

    reason_first: bool = False
    foreign_cancel: bool = False
    forget_executions: bool = False


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
        self.market = market
        self.ledger = ledger
        self.book = OrderBook(seed, timeline.now())
        self._timeline = timeline
        self._pulse = pulse
        self._report = report
        self._seed = seed
        self._latencies = latencies or Latencies()
        self._conduct = conduct or Conduct()
        self._liquidity = Liquidity()
        self._held: dict[tuple[int, int], Ticket] = {}
        pulse.follow(self._beat, self._is_needed)
        self.book.restore(ledger, market)
        self._resume()

    def place(self, ticket: Ticket) -> None:
        """Take a new order, a modification of a live one, or a what-if; the answer is a report."""
        order = self.book.get(ticket.client_id, ticket.order_id)
        was_held = self._held.pop((ticket.client_id, ticket.order_id), None) is not None
        refusal = refusal_of(ticket)
        if ticket.order_id <= 0:
            self._notice(ticket, 10149, f"Invalid order id: {ticket.order_id}")
        elif order is None and not was_held and ticket.order_id <= self.book.highest(ticket.client_id):
            self._notice(ticket, 103, "Duplicate order id")
        elif order is not None and (order.is_cancelling or not order.is_live):
            self._notice(ticket, 104, "Cannot modify a filled order.")
        elif refusal is not None:
            self._notice(ticket, refusal.code, refusal.text)
        elif order is not None:
            self._modify(order, ticket)
        elif ticket.what_if:
            self._timeline.after(self._latencies.preview, self._preview, ticket)
        elif not ticket.transmit:
            self._held[ticket.client_id, ticket.order_id] = ticket
            self.book.use(ticket.client_id, ticket.order_id)
        else:
            self._take(ticket)

    def place_by_hand(self, ticket: Ticket) -> None:
        """Take an order typed into the gateway's own window; its order id is negative and shown to nobody."""
        self._take(ticket)

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

    def shown_live(self, client_id: int | None = None) -> Iterator[Order]:
        """Live orders that have been acknowledged, of one client or of all."""
        orders = (order for order in self.book.live() if order.is_acknowledged)
        return (order for order in orders if client_id is None or order.ticket.client_id == client_id)

    def standing(self, account: str) -> Standing:
        """Where an account stands now."""
        return standing(self.ledger.accounts[account], self._orders_of(account), self.market, self._timeline.now())

    def close(self) -> None:
        """Close the ledger."""
        self.ledger.close()

    # -- a new order ---------------------------------------------------------------------------------------------

    def _take(self, ticket: Ticket) -> None:
        now = self._timeline.now()
        order = self.book.add(ticket, now)
        self._note("order", order, **order_facts(order))
        self._later(order, self._latencies.reject, self._screen)

    def _screen(self, order: Order) -> None:
        """Reject what the account can't carry; otherwise the order goes on to the exchange."""
        ticket = order.ticket
        others = [other for other in self._orders_of(ticket.account) if other is not order]
        account, now = self.ledger.accounts[ticket.account], self._timeline.now()
        equity = standing(account, others, self.market, now)
        needed = initial_with(account, others, ticket, self.market, now)
        if needed > equity.equity and needed > equity.initial:
            self._reject(order, equity.equity, needed)
            return
        rest = self._vary(order, "acknowledge", self._latencies.acknowledge) - self._latencies.reject
        self._later(order, max(rest, 0.0), self._acknowledge)

    def _reject(self, order: Order, equity: Decimal, needed: Decimal) -> None:
        currency = order.ticket.instrument.currency
        text = (
            "Order rejected - reason:YOUR ORDER IS NOT ACCEPTED. IN ORDER TO OBTAIN THE DESIRED POSITION YOUR EQUITY "
            f"WITH LOAN VALUE [{equity:.2f} {currency}] MUST EXCEED THE INITIAL MARGIN [{needed:.2f} {currency}]"
        )
        self._end(order, Status.INACTIVE, CANCELLED_BY_SYSTEM)
        if self._conduct.reason_first:
            self._order_notice(order, 201, text)
            self._show(order)
        else:
            self._report(StatusShown(order=order))
            self._timeline.after(self._latencies.reject_reason, self._order_notice, order, 201, text)

    def _acknowledge(self, order: Order) -> None:
        order.is_acknowledged = True
        now = self._timeline.now()
        self._set_expiry(order, now)
        session = self.market.hours.at(now)
        if session is None:
            self._warn_closed(order, now)
        self._show(order)
        if order.why_held or order.ticket.order_type in AT_THE_CLOSE:
            self._show(order)
        elif session is not None and order.ticket.order_type == "LMT":
            self._later(order, NO_TIME, self._submit)
        if session is not None:
            self._later(order, self._fill_delay(order), self._arrive)
        self._pulse.wake()

    def _arrive(self, order: Order) -> None:
        """The order is at the exchange: it trades what it can at once."""
        if not order.is_live:
            return
        order.is_resting = False
        self._match(order, self.market.quote(order.ticket.instrument, self._timeline.now()))
        if order.is_live and order.ticket.tif in {"IOC", "FOK"}:
            self._finish_cancel(order, CANCELLED_BY_SYSTEM)
        elif order.is_live and order.status is Status.PRE_SUBMITTED and not _is_held_back(order):
            self._submit(order)

    def _submit(self, order: Order) -> None:
        if order.status is Status.PRE_SUBMITTED:
            order.status = Status.SUBMITTED
            self._show(order)

    def _warn_closed(self, order: Order, now: datetime) -> None:
        following = self.market.hours.following(now)
        ticket = order.ticket
        when = "further notice"
        if following is not None:
            zone = ticket.instrument.zone
            when = f"{following.open_at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S} {zone}"
        text = (
            f"Order Message:\n{ticket.action} {ticket.quantity} {ticket.instrument.symbol} "
            f"{ticket.instrument.primary_exchange}.{ticket.instrument.trading_class}\n"
            f"Warning: your order will not be placed at the exchange until {when}"
        )
        self._order_notice(order, 399, text)

    def _preview(self, ticket: Ticket) -> None:
        now = self._timeline.now()
        account, others = self.ledger.accounts[ticket.account], list(self._orders_of(ticket.account))
        before = standing(account, others, self.market, now)
        price = ticket.limit or self.market.quote(ticket.instrument, now).last or Decimal(0)
        self._report(
            PreviewShown(
                ticket=ticket,
                margin_before=before.initial,
                margin_after=initial_with(account, others, ticket, self.market, now),
                equity=before.equity,
                commission=commission_so_far(ticket.quantity, ticket.quantity * price),
            )
        )

    # -- changes -------------------------------------------------------------------------------------------------

    def _modify(self, order: Order, ticket: Ticket) -> None:
        old = order.ticket
        is_other = (ticket.instrument, ticket.action, ticket.account) != (old.instrument, old.action, old.account)
        if is_other or ticket.quantity <= order.filled:
            self._notice(ticket, 105, "Order being modified does not match original order")
        else:
            self._later(order, self._vary(order, "modify", self._latencies.acknowledge), self._apply, ticket)

    def _apply(self, order: Order, ticket: Ticket) -> None:
        """A modification has reached the exchange."""
        if order.is_cancelling or not order.is_live:
            self._order_notice(order, 104, "Cannot modify a filled order.")
            return
        order.ticket = _changed(order.ticket, ticket)
        order.revision += 1
        self._note("modified", order, perm_id=order.perm_id, **terms(ticket))
        self._set_expiry(order, self._timeline.now())
        self._show(order)
        order.is_resting = False
        self._match(order, self.market.quote(order.ticket.instrument, self._timeline.now()))
        self._pulse.wake()

    def _begin_cancel(self, order: Order) -> None:
        order.is_cancelling = True
        wait = self._vary(order, "cancel", self._latencies.cancel)
        self._later(order, wait / 2, self._show_cancelling)
        self._later(order, wait / 2, self._finish_cancel, CANCELLED_BY_TRADER)

    def _show_cancelling(self, order: Order) -> None:
        if order.is_live and order.is_acknowledged:
            order.status = Status.PENDING_CANCEL
            self._show(order)

    def _finish_cancel(self, order: Order, ending: str) -> None:
        if not order.is_live:
            self._too_late(order, order.ticket.client_id)
            return
        self._end(order, Status.CANCELLED, ending)
        self._report(StatusShown(order=order))
        self._order_notice(order, 202, "Order Canceled - reason:")

    def _too_late(self, order: Order, client_id: int) -> None:
        order_id = order.ticket.order_id
        state = Status.PENDING_CANCEL if order.is_live else order.status
        text = f"OrderId {order_id} that needs to be cancelled cannot be cancelled, state: {state}."
        self._tell(client_id, order_id, 10148, text)

    def _foreign(self, order_id: int) -> Order | None:
        if not self._conduct.foreign_cancel:
            return None
        return next((order for order in self.book.live() if order.ticket.order_id == order_id), None)

    # -- the market moves ----------------------------------------------------------------------------------------

    def _is_needed(self) -> bool:
        return any(order.is_acknowledged for order in self.book.live())

    def _beat(self, instant: datetime) -> None:
        self.book.forget_ended(instant)
        for order in self.book.live():
            if order.is_acknowledged:
                self._follow(order, instant)

    def _follow(self, order: Order, instant: datetime) -> None:
        if order.expires_at is not None and instant >= order.expires_at:
            self._close_auction(order, instant)
            if order.is_live:
                self._finish_cancel(order, CANCELLED_BY_SYSTEM)
            return
        quote = self.market.quote(order.ticket.instrument, instant)
        if quote.bid is None:
            order.is_resting = False
            return
        if not order.is_cancelling and not _is_held_back(order):
            self._submit(order)
        self._match(order, quote)

    def _match(self, order: Order, quote: Quote) -> None:
        if order.awaits_trigger and triggers(order, quote):
            order.is_triggered = True
            self._note("triggered", order, perm_id=order.perm_id)
            if not order.is_cancelling:
                order.status = Status.SUBMITTED
            self._show(order)
        if order.awaits_trigger or quote.bid is None:
            return
        trade = trade_of(order, quote, self._liquidity)
        if trade is None or (order.ticket.tif == "FOK" and trade.quantity < order.remaining):
            order.is_resting = True
            return
        order.is_resting = False
        self._liquidity.take(order, quote, trade.quantity)
        self._fill(order, trade)

    def _close_auction(self, order: Order, instant: datetime) -> None:
        """Fill an order for the close at the closing price."""
        past = self.market.completed(order.ticket.instrument, instant)
        if order.ticket.order_type not in AT_THE_CLOSE or not past or past[-1].close_at != instant:
            return
        price, limit = money(past[-1].close), order.ticket.limit
        if order.ticket.order_type == "MOC" or (limit and within(limit, price, is_buy=order.ticket.is_buy)):
            self._fill(order, Trade(quantity=order.remaining, price=price))

    def _fill(self, order: Order, trade: Trade) -> None:
        now, ticket = self._timeline.now(), order.ticket
        order.filled += trade.quantity
        order.spent += trade.quantity * trade.price
        order.last_price = trade.price
        cost = commission_so_far(order.filled, order.spent) - order.commission
        order.commission += cost
        execution = Execution(
            exec_id=self.book.next_exec_id(),
            perm_id=order.perm_id,
            order_id=ticket.order_id,
            client_id=ticket.client_id,
            account=ticket.account,
            con_id=ticket.instrument.con_id,
            symbol=ticket.instrument.symbol,
            is_buy=ticket.is_buy,
            quantity=trade.quantity,
            price=trade.price,
            total=order.filled,
            average=order.average,
            at=now,
            order_ref=ticket.order_ref,
        )
        commission = self.ledger.book(execution, cost, ticket.instrument.currency)
        if order.remaining == 0:
            self._end(order, Status.FILLED, f"Filled Size: {order.filled}")
        elif not order.is_cancelling:
            order.status = Status.SUBMITTED
        self._report(FillShown(order=order, execution=execution))
        if not order.is_live:
            self._report(OrderShown(order=order))
        self._report(StatusShown(order=order))
        shown = CommissionShown(order=order, execution=execution, commission=commission)
        self._timeline.after(NO_TIME * 0.6, self._settle, shown)

    def _settle(self, shown: CommissionShown) -> None:
        if not shown.order.is_live:
            self._show(shown.order)
        self._report(shown)

    # -- small things --------------------------------------------------------------------------------------------

    def _resume(self) -> None:
        """Orders of a reloaded ledger work on; those whose session has closed meanwhile end now."""
        now = self._timeline.now()
        for order in self.book.live():
            self._set_expiry(order, order.placed_at)
            if order.expires_at is not None and order.expires_at <= now:
                self._end(order, Status.CANCELLED, CANCELLED_BY_SYSTEM)
        self._pulse.wake()

    def _set_expiry(self, order: Order, at: datetime) -> None:
        session = self.market.hours.at(at) or self.market.hours.following(at)
        order.expires_at = session.close_at if session and order.ticket.tif != "GTC" else None

    def _orders_of(self, account: str) -> Iterator[Order]:
        return (order for order in self.book.live() if order.ticket.account == account)

    def _end(self, order: Order, status: Status, ending: str) -> None:
        order.status, order.ending, order.ended_at = status, ending, self._timeline.now()
        self._note("ended", order, perm_id=order.perm_id, status=status.value, ending=ending)

    def _note(self, kind: str, order: Order, **facts: object) -> None:
        at = order.placed_at if kind == "order" else self._timeline.now()
        self.ledger.note(kind, at, **facts)

    def _show(self, order: Order) -> None:
        self._report(OrderShown(order=order))
        self._report(StatusShown(order=order))

    def _notice(self, ticket: Ticket, code: int, text: str) -> None:
        self._tell(ticket.client_id, ticket.order_id, code, text)

    def _order_notice(self, order: Order, code: int, text: str) -> None:
        ticket = order.ticket
        notice = OrderNotice(
            client_id=ticket.client_id, order_id=ticket.order_id, code=code, text=text, perm_id=order.perm_id
        )
        self._report(notice)

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


def _is_held_back(order: Order) -> bool:
    """Whether an order stays PreSubmitted in an open market: it waits for its trigger or for the close."""
    return order.awaits_trigger or order.ticket.order_type in AT_THE_CLOSE


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
