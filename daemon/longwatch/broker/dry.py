"""A dry run: data, quotes and clock of a real gateway, orders and account of a mock exchange; executor `mock` in paper.

The real account is read, so that the link is proven as in production, and nothing of it reaches the engine; no order is
ever written to the gateway.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date

from longwatch.broker.exchange import NO_MARGIN, MockExchange
from longwatch.broker.matching import Moment
from longwatch.broker.mock import EXCHANGE_ZONE
from longwatch.clock import Clock
from longwatch.domain import messages as m
from longwatch.domain.bars import BarSeries
from longwatch.domain.quotes import Quote
from longwatch.domain.sessions import Session
from longwatch.ports import Broker, OrderGate, Sink

OF_THE_REAL_ACCOUNT = (
    m.OpenOrderSeen,
    m.OrderStatusSeen,
    m.ExecutionSeen,
    m.CommissionSeen,
    m.CompletedOrderSeen,
    m.PositionSeen,
)
"""What a real account tells and a dry run keeps to itself."""


class DryRunBroker:
    """The port Broker. `connect` makes the real one with the sink it is given; `sessions` are the exchange's."""

    def __init__(
        self,
        exchange: MockExchange,
        connect: Callable[[Sink], Broker],
        *,
        sink: Sink,
        gate: OrderGate,
        clock: Clock,
        sessions: Callable[[], Sequence[Session]] = tuple,
    ) -> None:
        self._exchange = exchange
        self._sessions = sessions
        self._sink = sink
        self._gate = gate
        self._clock = clock
        self._real_account = ""
        self._broker = connect(self._heard)

    async def run(self) -> None:
        await self._broker.run()

    def begin_sync(self, effect: m.BeginSync) -> None:
        self._broker.begin_sync(replace(effect, account=self._real_account))

    def submit(self, effect: m.SubmitOrder) -> None:
        intent, now = effect.order.intent, self._now()
        reason = self._gate(intent)
        if reason is not None:
            self._sink(m.OrderWithheld(at=now.at, tech=now.tech, intent=intent, reason=reason))
            return
        self._sink(m.OrderHanded(at=now.at, tech=now.tech, intent=intent))
        self._tell(self._exchange.fill(effect.order, self._quote_of(effect.order.con_id), now, effect.instrument))

    def what_if(self, effect: m.RequestWhatIf) -> None:
        now = self._now()
        self._sink(m.OrderWithheld(at=now.at, tech=now.tech, intent=effect.order.intent, reason=NO_MARGIN))

    def modify(self, effect: m.ModifyOrder) -> None:
        intent, change, now = effect.order.intent, effect.order.changed, self._now()
        reason = self._gate(intent)
        if reason is not None:
            self._sink(m.OrderWithheld(at=now.at, tech=now.tech, intent=intent, change=change, reason=reason))
            return
        self._sink(m.OrderHanded(at=now.at, tech=now.tech, intent=intent, change=change))
        self._tell(self._exchange.modify(effect.order, self._quote_of(effect.order.con_id), now))

    def cancel(self, effect: m.CancelOrder) -> None:
        self._tell(self._exchange.cancel(effect.order_id, self._now()))

    def request_snapshot(self, reason: str) -> None:
        self._broker.request_snapshot(reason)

    def drop(self, reason: str) -> None:
        self._broker.drop(reason)

    def watch(self, symbols: Sequence[str]) -> None:
        self._broker.watch(symbols)

    def quotes(self) -> tuple[Quote, ...]:
        return self._broker.quotes()

    async def bars(self, symbol: str, bar_size: str, until: date, count: int) -> BarSeries:
        return await self._broker.bars(symbol, bar_size, until, count)

    async def close(self) -> None:
        await self._broker.close()

    def _quote_of(self, con_id: int) -> Quote | None:
        return next((quote for quote in self.quotes() if quote.con_id == con_id), None)

    def _heard(self, event: m.Event) -> None:
        """Pass on what is not of the real account; its readings become readings of the mock one."""
        match event:
            case m.LinkUp(accounts=accounts):
                self._real_account = accounts[0] if accounts else ""
                self._sink(replace(event, accounts=(self._exchange.account,)))
            case m.SnapshotSeen(failures=(), reason=reason):
                self._settle()
                self._sink(self._exchange.snapshot(reason, self._now()))
            case m.SnapshotSeen():
                failed = self._exchange.snapshot(event.reason, self._now())
                self._sink(replace(failed, failures=event.failures, net_liquidation=None, cash=None))
            case _ if not isinstance(event, OF_THE_REAL_ACCOUNT):
                self._sink(event)
            case _:
                pass

    def _settle(self) -> None:
        """Let resting orders meet the quotes as they stand, and end those of a former session.

        An auction is held at the first look after its close, at the price that the quotes then stand at.
        """
        now = self._now()
        if any(one.close_at <= now.at and one.date == now.session for one in self._sessions()):
            last = {quote.con_id: quote.last or quote.mid for quote in self.quotes()}
            prices = {con_id: price for con_id, price in last.items() if price is not None}
            self._tell(self._exchange.auction(prices, now))
        for order_id, one in list(self._exchange.resting.items()):
            made = one.order.created_at.astimezone(EXCHANGE_ZONE).date()
            if one.order.tif == "DAY" and made < now.session:
                self._tell(self._exchange.cancel(order_id, now))
        self._tell(self._exchange.match(self.quotes(), now))

    def _now(self) -> Moment:
        at = self._clock.market()
        return Moment(at=at, tech=self._clock.technical(), session=at.astimezone(EXCHANGE_ZONE).date())

    def _tell(self, events: Sequence[m.Event]) -> None:
        for event in events:
            self._sink(event)
