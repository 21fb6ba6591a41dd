"""The trading floor: live orders meet the market's path here, fill, expire and end; run by exchange and pulse."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from longwatch.gateway.book import OrderBook
from longwatch.gateway.ledger import Execution, Ledger
from longwatch.gateway.market import Market, Quote, money
from longwatch.gateway.matching import Liquidity, Trade, trade_of, triggers, within
from longwatch.gateway.orders import AT_ONCE, AT_THE_CLOSE, Order, Status, commission_so_far
from longwatch.gateway.reports import CommissionShown, FillShown, OrderNotice, OrderShown, Report, StatusShown
from longwatch.gateway.timeline import Timeline

NO_TIME = 0.003
"""Messages that belong together arrive within this many seconds of each other."""

CANCELLED_BY_TRADER = "Cancelled by Trader"
CANCELLED_BY_SYSTEM = "Cancelled by System:\n"


class Floor:
    """Matches orders of the book. Everything it tells goes to `report`, in the order in which it happens."""

    def __init__(
        self, market: Market, ledger: Ledger, book: OrderBook, timeline: Timeline, report: Callable[[Report], None]
    ) -> None:
        self._market = market
        self._ledger = ledger
        self._book = book
        self._timeline = timeline
        self._report = report
        self._liquidity = Liquidity()

    def is_needed(self) -> bool:
        """Whether any order waits for the market to move."""
        return any(order.is_acknowledged for order in self._book.live())

    def beat(self, instant: datetime) -> None:
        """The market has moved: every order follows, the oldest first."""
        self._book.forget_ended(instant)
        for order in self._book.live():
            if order.is_acknowledged:
                self._follow(order, instant)

    def arrive(self, order: Order) -> None:
        """An order, new or changed, meets the market: it trades what it can at the quote."""
        if order.is_live:
            order.is_resting = False
            self._meet(order, self._market.quote(order.ticket.instrument, self._timeline.now()))

    def submit(self, order: Order) -> None:
        """The order works at the exchange, unless it waits there for its trigger or for the close."""
        waits = order.awaits_trigger or order.ticket.order_type in AT_THE_CLOSE
        if order.status is Status.PRE_SUBMITTED and not waits:
            order.status = Status.SUBMITTED
            self.show(order)

    def cancel(self, order: Order, ending: str) -> None:
        """End an order unfilled: status first, then the confirmation."""
        self.end(order, Status.CANCELLED, ending)
        self._report(StatusShown(order=order))
        self.tell(order, 202, "Order Canceled - reason:")

    def end(self, order: Order, status: Status, ending: str) -> None:
        """Note that an order has ended, and how."""
        order.status, order.ending, order.ended_at = status, ending, self._timeline.now()
        self._note("ended", order, status=status.value, ending=ending)

    def set_expiry(self, order: Order, at: datetime) -> None:
        """An order that is not good till cancelled ends with the session running at `at`, or else the next one."""
        session = self._market.hours.at(at) or self._market.hours.following(at)
        order.expires_at = session.close_at if session and order.ticket.tif != "GTC" else None

    def show(self, order: Order) -> None:
        """Tell an order and its status."""
        self._report(OrderShown(order=order))
        self._report(StatusShown(order=order))

    def tell(self, order: Order, code: int, text: str) -> None:
        """Send an order's client a notice about it."""
        ticket = order.ticket
        notice = OrderNotice(
            client_id=ticket.client_id, order_id=ticket.shown_id, code=code, text=text, perm_id=order.perm_id
        )
        self._report(notice)

    def _follow(self, order: Order, instant: datetime) -> None:
        if order.expires_at is not None and instant >= order.expires_at:
            self._close_auction(order, instant)
            if order.is_live:
                self.cancel(order, CANCELLED_BY_SYSTEM)
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
            return
        if order.ticket.order_type != "MKT" or order.is_resting:
            self.submit(order)
        self._match(order, quote)
        if order.is_live and order.ticket.tif in AT_ONCE:
            self._end_at_once(order)
        elif order.is_live:
            self.submit(order)

    def _match(self, order: Order, quote: Quote) -> None:
        trade = trade_of(order, quote, self._liquidity)
        if trade is None or (order.ticket.tif == "FOK" and trade.quantity < order.remaining):
            order.is_resting = True
            return
        order.is_resting = False
        self._liquidity.take(order, quote, trade.quantity)
        self._fill(order, trade)

    def _end_at_once(self, order: Order) -> None:
        if order.ticket.tif == "IOC":
            self.cancel(order, CANCELLED_BY_SYSTEM)
        else:
            self.end(order, Status.INACTIVE, CANCELLED_BY_SYSTEM)
            self.show(order)

    def _close_auction(self, order: Order, instant: datetime) -> None:
        """Fill an order for the close at the closing price."""
        past = self._market.completed(order.ticket.instrument, instant)
        if order.ticket.order_type not in AT_THE_CLOSE or not past or past[-1].close_at != instant:
            return
        price, limit = money(past[-1].close), order.ticket.limit
        if order.ticket.order_type == "MOC" or (limit and within(limit, price, is_buy=order.ticket.is_buy)):
            self._fill(order, Trade(quantity=order.remaining, price=price))

    def _fill(self, order: Order, trade: Trade) -> None:
        """Book a trade, then tell it: execution, status, and a moment later the commission."""
        order.filled += trade.quantity
        order.spent += trade.quantity * trade.price
        order.last_price = trade.price
        cost = commission_so_far(order.filled, order.spent) - order.commission
        order.commission += cost
        execution = self._execution(order, trade)
        commission = self._ledger.book(execution, cost, order.ticket.instrument.currency)
        if order.remaining == 0:
            self.end(order, Status.FILLED, f"Filled Size: {order.filled}")
        elif not order.is_cancelling:
            order.status = Status.SUBMITTED
        self._report(FillShown(order=order, execution=execution))
        if order.is_live:
            self._report(StatusShown(order=order))
        else:
            self.show(order)
        shown = CommissionShown(order=order, execution=execution, commission=commission)
        self._timeline.after(NO_TIME * 0.6, self._settle, shown)

    def _execution(self, order: Order, trade: Trade) -> Execution:
        ticket = order.ticket
        return Execution(
            exec_id=self._book.next_exec_id(),
            perm_id=order.perm_id,
            order_id=ticket.shown_id,
            client_id=ticket.client_id,
            account=ticket.account,
            con_id=ticket.instrument.con_id,
            symbol=ticket.instrument.symbol,
            is_buy=ticket.is_buy,
            quantity=trade.quantity,
            price=trade.price,
            total=order.filled,
            average=order.average,
            at=self._timeline.now(),
            order_ref=ticket.order_ref,
        )

    def _settle(self, shown: CommissionShown) -> None:
        shown.order.is_settled = not shown.order.is_live
        if shown.order.is_settled:
            self.show(shown.order)
        self._report(shown)

    def _note(self, kind: str, order: Order, **facts: str) -> None:
        self._ledger.note(kind, self._timeline.now(), perm_id=order.perm_id, **facts)
