"""What the parts of the simulated exchange share, and how long things take there; made by the exchange."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from longwatch.gateway.conduct import Conduct, Latencies
from longwatch.gateway.exchange.book import OrderBook
from longwatch.gateway.exchange.floor import NO_TIME, Floor
from longwatch.gateway.exchange.ledger import Ledger
from longwatch.gateway.exchange.margin import Standing, standing
from longwatch.gateway.exchange.orders import Order
from longwatch.gateway.exchange.pulse import Pulse
from longwatch.gateway.exchange.reports import OrderNotice, Report
from longwatch.gateway.market.market import Market
from longwatch.gateway.timeline import Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """One exchange's market, books and habits."""

    market: Market
    ledger: Ledger
    book: OrderBook
    floor: Floor
    timeline: Timeline
    pulse: Pulse
    report: Callable[[Report], None]
    conduct: Conduct
    latencies: Latencies
    seed: int

    def tell(self, client_id: int, order_id: int, code: int, text: str) -> None:
        """Send a client a notice about an order id."""
        self.report(OrderNotice(client_id=client_id, order_id=order_id, code=code, text=text))

    def orders_of(self, account: str) -> Iterator[Order]:
        """The orders that bind an account's margin: accepted and not ended."""
        return self.book.binding(account)

    def standing(self, account: str) -> Standing:
        """Where an account stands now."""
        return standing(self.ledger.accounts[account], self.orders_of(account), self.market, self.timeline.now())

    def later(self, order: Order, seconds: float, action: Callable[..., None], *arguments: object) -> None:
        """Do something to an order after a while, but never before what was agreed for it earlier."""
        self.later_all([order], seconds, action, order, *arguments)

    def later_all(
        self, orders: Iterable[Order], seconds: float, action: Callable[..., None], *arguments: object
    ) -> None:
        """Do something that concerns several orders after a while, and after what was agreed for each."""
        instant = self.timeline.now() + timedelta(seconds=seconds)
        for order in orders:
            instant = max(instant, order.busy_until or instant)
        for order in orders:
            order.busy_until = instant
        self.timeline.at(instant, action, *arguments)

    def vary(self, order: Order, what: str, seconds: float) -> float:
        """A latency of this order, which is the same in every run of the seed."""
        random = Random(f"{self.seed}|{what}|{order.perm_id}|{order.revision}")
        return seconds * (1 + random.uniform(-1, 1) * self.latencies.jitter)

    def fill_delay(self, order: Order) -> float:
        """Seconds from the acknowledgement to the first trade."""
        random = Random(f"{self.seed}|fill|{order.perm_id}")
        wanted = random.uniform(self.latencies.fill_least, self.latencies.fill_most)
        passed = (self.timeline.now() - order.placed_at).total_seconds()
        return max(wanted - passed, NO_TIME)
