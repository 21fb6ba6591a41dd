"""The market and the account of a backtest: quotes from daily bars, fills by a MockExchange; used by engine.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from longwatch.backtest.copied import Copied
from longwatch.backtest.history import History
from longwatch.backtest.timeline import Timeline, nearest_price
from longwatch.broker.exchange import MockExchange
from longwatch.broker.matching import Moment, Range
from longwatch.broker.mock import mock_instrument
from longwatch.domain import messages as m
from longwatch.domain.orders import Order
from longwatch.domain.quotes import Quote
from longwatch.domain.sessions import Session
from longwatch.ports import money

ZERO = Decimal(0)
PRICES = ("open", "high", "low", "close")
OPENING = timedelta(minutes=30)
"""An order sent by then has the session before it; of one sent later it is not known what came before it."""


class Market:
    """One account on an exchange that trades at each session's open or close, whichever is nearer."""

    def __init__(
        self,
        universe: Sequence[str],
        history: Mapping[str, History],
        timeline: Timeline,
        exchange: MockExchange,
        copied: Copied,
    ) -> None:
        self.instruments = {symbol: copied.instruments.get(symbol) or mock_instrument(symbol) for symbol in universe}
        self.exchange = exchange
        self._history = history
        self._timeline = timeline
        self._copied = copied
        self._met: set[int] = set()

    def submit(self, effect: m.SubmitOrder, at: datetime) -> list[m.Event]:
        """Give an order to the exchange."""
        order = effect.order
        return self.exchange.fill(order, self.quote(order.symbol, at), self.moment(at), effect.instrument)

    def modify(self, order: Order, at: datetime) -> list[m.Event]:
        """Give a resting order new terms."""
        return self.exchange.modify(order, self.quote(order.symbol, at), self.moment(at))

    def cancel(self, order_id: int, at: datetime) -> list[m.Event]:
        """Ask for the end of an order."""
        return self.exchange.cancel(order_id, self.moment(at))

    def account(self, reason: str, at: datetime) -> m.SnapshotSeen:
        """The account as a broker shows it: money to the cent."""
        seen = self.exchange.snapshot(reason, self.moment(at))
        return replace(seen, net_liquidation=money(self.exchange.equity()), cash=money(self.exchange.cash))

    def quotes(self, at: datetime, turn: int) -> tuple[Quote, ...]:
        """What the quote board would hold at a session's decision, the `turn`th (from 0); none when closed."""
        session = self._timeline.open_at(at)
        if session is None:
            return ()
        taken = self._copied.rebalance(session.date, turn)
        if taken is not None:
            return tuple(replace(quote, at=at) for quote in taken.quotes)
        found = (self._quote(symbol, session, at) for symbol in self.instruments)
        return tuple(quote for quote in found if quote is not None)

    def quote(self, symbol: str, at: datetime) -> Quote | None:
        """A quote without a spread; None when closed or without a bar."""
        session = self._timeline.open_at(at)
        return None if session is None else self._quote(symbol, session, at)

    def _quote(self, symbol: str, session: Session, at: datetime) -> Quote | None:
        price = self._price(symbol, session, nearest_price(session, at))
        if price is None:
            return None
        con_id = self.instruments[symbol].con_id
        return Quote(con_id=con_id, symbol=symbol, bid=price, ask=price, last=price, at=at)

    def trade_through(self, session: Session, at: datetime) -> list[m.Event]:
        """What rests since the open, or from before it, meets the session's range, once; a copied run trades as copied.

        What was sent later meets the close alone, when that has come: when the high and the low were is not known.
        """
        if self._copied.fills:
            return []
        is_over = at >= session.close_at
        return self.exchange.trade_through(lambda order: self._seen_by(order, session, is_over), self.moment(at))

    def _seen_by(self, order: Order, session: Session, is_over: bool) -> Range | None:
        open_, high, low, close = (self._price(order.symbol, session, name) for name in PRICES)
        if open_ is None or high is None or low is None or close is None or order.intent in self._met:
            return None
        is_late = order.created_at > session.open_at + OPENING
        if is_late and not is_over:
            return None
        self._met.add(order.intent)
        return Range(open=close, high=close, low=close) if is_late else Range(open=open_, high=high, low=low)

    def end(self, session: Session) -> list[m.Event]:
        """The session ends: its range is met, its auction held, DAY orders that rest expire; positions have a price."""
        at = session.close_at
        events = self.trade_through(session, at)
        closes = {one.con_id: self._price(symbol, session, "close") for symbol, one in self.instruments.items()}
        events += self.exchange.auction(
            {con_id: price for con_id, price in closes.items() if price is not None}, self.moment(at)
        )
        self._met.clear()
        events += self.exchange.end_session(self.moment(at))
        for con_id, held in self.exchange.positions.items():
            price = self._price(held.symbol, session, "close")
            if price is not None:
                self.exchange.marks[con_id] = price
        # A broker shows executions and completed orders of the day only.
        self.exchange.completed_perm_ids.clear()
        self.exchange.exec_ids.clear()
        return events

    def exposure(self) -> Decimal:
        """The sum of the positions' absolute values, at their last prices."""
        held = self.exchange.positions.items()
        return sum((abs(one.quantity) * self.exchange.marks[con_id] for con_id, one in held), ZERO)

    def moment(self, at: datetime) -> Moment:
        """When something happens at the exchange; out of hours it counts to the day."""
        session = self._timeline.open_at(at)
        return Moment(at=at, tech=at, session=session.date if session else at.date())

    def _price(self, symbol: str, session: Session, column: str) -> Decimal | None:
        history = self._history.get(symbol)
        return None if history is None else history.price(session.date, column)
