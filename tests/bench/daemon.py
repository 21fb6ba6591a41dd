"""Our side of the wire benches: adapter, inbox, rule book, journal on the disk, gate, budget; no jobs and no pages."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from longwatch.broker.contracts import Wanted
from longwatch.broker.live import IbBroker
from longwatch.broker.settings import LinkSettings
from longwatch.clock import SystemClock
from longwatch.data.calendar import AlwaysOpen
from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.domain.risk.readiness import reasons
from longwatch.domain.settings import TradeSettings
from longwatch.engine.inbox import Inbox
from longwatch.engine.loop import Engine
from longwatch.engine.perform import Performer
from longwatch.journal.codec import recover
from longwatch.journal.threaded import ThreadedJournal

ACCOUNT = "DU123456"
SYMBOL = "AAPL"
SETTINGS = TradeSettings(
    universe=(SYMBOL,),
    allocations=(("bench", Decimal(1)),),
    max_weight=Decimal(1),
    max_position_size=Decimal(1_000_000),
    max_orders_per_minute=1_000_000,
    acknowledge_seconds=600.0,
)


class TickingBroker(IbBroker):
    """The adapter, telling of each bid it hears once it is on the quote board."""

    on_bid: Callable[[], None] | None = None

    def tick_price(self, request_id: int, tick_type: int, price: float, size: float | None) -> None:
        super().tick_price(request_id, tick_type, price, size)
        if tick_type == 1 and self.on_bid is not None:
            self.on_bid()


class Bench:
    """A daemon on a real socket and a real disk that decides on orders when `on_bid` is set to `rebalance`."""

    def __init__(self, port: int, folder: Path) -> None:
        self.clock = SystemClock()
        self.inbox = Inbox()
        self.journal = ThreadedJournal.open(folder / "p.sqlite", account=ACCOUNT, mode="paper", fresh_id="bench")
        self.engine = Engine(
            state=recover(self.journal.read()),
            journal=self.journal,
            inbox=self.inbox,
            clock=self.clock,
            perform=self._perform,
            observe=self._observe,
        )
        self.broker = TickingBroker(
            LinkSettings(port=port, universe=(Wanted(symbol=SYMBOL),)),
            sink=self.inbox.put,
            gate=self.engine.may_send,
            clock=self.clock,
            random=random.Random(1),
        )
        self.broker.watch((SYMBOL,))
        self.performer = Performer(broker=self.broker, run_job=lambda effect: None, alert=lambda effect: None)
        self.today = datetime.now(UTC).date()
        self.sessions = tuple(AlwaysOpen().sessions(self.today - timedelta(days=2), self.today + timedelta(days=2)))
        self.runs = 0
        self.filled = 0

    def announce(self) -> None:
        """What the daemon tells its rules at its start."""
        at = self.clock.market()
        for event in (
            m.DaemonStarted(
                at=at, tech=at, journal_id="bench", account=ACCOUNT, mode="paper", client_id=1, version="bench"
            ),
            m.ConfigLoaded(at=at, tech=at, settings=SETTINGS, sha256="bench"),
            m.CalendarLoaded(at=at, tech=at, sessions=self.sessions),
        ):
            self.inbox.put(event)

    async def ready(self) -> None:
        """Announce ourselves and wait for the whole certificate and a two-sided quote."""
        self.announce()
        at, state = self.clock.market(), self.engine.state
        async with asyncio.timeout(20):
            while reasons(state, self.clock.technical()) or not any(q.ask is not None for q in self.broker.quotes()):
                await asyncio.sleep(0.01)
        row = m.SeriesJudged(symbol=SYMBOL, bars=1, last_session=self._yesterday, close=Decimal(100))
        self._put(m.DataRefreshed(at=at, tech=at, run_id="r", session=self._yesterday, judged=(row,)))
        self.aim()

    def rebalance(self) -> None:
        """Decide on orders now, on the quotes as they are."""
        self.runs += 1
        at = self.clock.market()
        session = next(session for session in self.sessions if session.is_open(at))
        self._put(
            m.RebalanceDue(
                at=at, tech=at, run_id=f"rebalance-{self.runs}", session=session, quotes=self.broker.quotes()
            )
        )

    def aim(self) -> None:
        """Set the other one of two targets, so that the next decision is an order."""
        at = self.clock.market()
        weight = Decimal("0.2") if self.filled % 2 else Decimal("0.1")
        self._put(
            m.TargetsComputed(
                at=at, tech=at, run_id="s", strategy="bench", session=self._yesterday, weights=((SYMBOL, weight),),
                memory="{}", source_sha256="", seconds=0.0,
            )
        )  # fmt: skip
        prices = ((SYMBOL, Decimal(100)),)
        self._put(m.SignalsEnded(at=at, tech=at, run_id="s", session=self._yesterday, prices=prices))

    @property
    def _yesterday(self) -> date:
        return self.today - timedelta(days=1)

    def _put(self, event: m.Event) -> None:
        self.inbox.put(event)

    def _perform(self, effect: m.Effect) -> None:
        self.performer(effect)

    def _observe(self, event: m.Event, what: Step) -> None:
        if any(isinstance(fact, m.FillBooked) for fact in what.facts):
            self.filled += 1
            self.aim()


@asynccontextmanager
async def running(port: int, folder: Path) -> AsyncIterator[Bench]:
    """A bench daemon that is ready, and is closed at the end."""
    async with working(port, folder) as bench:
        await bench.ready()
        yield bench


@asynccontextmanager
async def working(port: int, folder: Path) -> AsyncIterator[Bench]:
    """A bench daemon that connects, not yet announced, and is closed at the end."""
    bench = Bench(port, folder)
    tasks = [
        asyncio.create_task(bench.engine.run(), name="engine"),
        asyncio.create_task(bench.broker.run(), name="link"),
    ]
    try:
        yield bench
    finally:
        await bench.broker.close()
        while not bench.engine.is_idle:
            await asyncio.sleep(0.005)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await bench.journal.close()
