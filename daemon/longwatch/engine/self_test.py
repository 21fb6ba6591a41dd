"""What would go wrong with the first orders, found before the open by asking the gateway: `longwatch check --connect`.

Account, contracts, quotes and, by a what-if of one share, permissions and whether the gateway takes orders at all.
Nothing is ever placed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

from longwatch.clock import Clock
from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument, Side
from longwatch.domain.order_life.links import REQUEST_IDS, wrong_account
from longwatch.domain.order_life.verdicts import Verdict
from longwatch.domain.orders import Order, OrderType, Purpose
from longwatch.domain.quotes import LIVE, Quote
from longwatch.domain.state import State
from longwatch.ports import Broker, Sink

LOOK_SECONDS = 0.25

E = TypeVar("E", bound=m.Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """How long each step may take, in seconds."""

    link: float = 15.0
    account: float = 40.0
    contracts: float = 40.0
    quotes: float = 10.0
    margin: float = 15.0


@dataclass(slots=True)
class _Ear:
    """Keeps what the broker says."""

    heard: list[m.Event] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, event: m.Event) -> None:
        self.heard.append(event)
        self.news.set()

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.heard if isinstance(event, kind)]

    async def until(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Wait until something holds; False after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                while not holds():
                    self.news.clear()
                    await self.news.wait()
        except TimeoutError:
            return False
        return True


async def self_test(
    connect: Callable[[Sink], Broker],
    state: State,
    clock: Clock,
    universe: Sequence[str],
    *,
    takes_delayed: bool,
    deadlines: Deadlines,
) -> list[str]:
    """Every problem found, a sentence each; none means that nothing was found. `state` has account, mode and client."""
    ear = _Ear()
    async with _running(connect, ear) as broker:
        await ear.until(lambda: bool(ear.of(m.LinkUp) or ear.of(m.LinkLost)), deadlines.link)
        if not ear.of(m.LinkUp):
            lost = ear.of(m.LinkLost)
            return [f"no connection: {lost[-1].reason if lost else f'no answer within {deadlines.link:g} s'}"]
        up = ear.of(m.LinkUp)[0]
        if (wrong := wrong_account(state, up)) is not None:
            return [wrong]
        broker.begin_sync(
            m.BeginSync(epoch=1, first_request_id=up.next_order_id, count=REQUEST_IDS, account=state.account)
        )
        if not await ear.until(lambda: bool(ear.of(m.SnapshotSeen)), deadlines.account):
            return [f"the account was not read within {deadlines.account:g} s"]
        found = [f"{part}: {why}" for part, why in ear.of(m.SnapshotSeen)[0].failures]
        if not await ear.until(lambda: bool(ear.of(m.InstrumentsSeen)), deadlines.contracts):
            return [*found, f"the contracts did not come within {deadlines.contracts:g} s"]
        known = ear.of(m.InstrumentsSeen)[0]
        found += [f"{symbol}: {reason}" for symbol, reason in known.missing]
        broker.watch(universe)
        await _ticked(broker, deadlines.quotes)
        found += _of_quotes(broker.quotes(), ear, takes_delayed=takes_delayed)
        return [*found, *await _of_margin(broker, ear, state, clock, known.instruments, up, deadlines.margin)]


@asynccontextmanager
async def _running(connect: Callable[[Sink], Broker], ear: _Ear) -> AsyncIterator[Broker]:
    """A broker that runs meanwhile, and is closed whatever becomes of it."""
    broker = connect(ear)
    running = asyncio.create_task(broker.run(), name="self-test")
    try:
        yield broker
    finally:
        await broker.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _ticked(broker: Broker, seconds: float) -> None:
    """Wait until every quote has been heard of, or for so many seconds."""
    for _ in range(int(seconds / LOOK_SECONDS)):
        await asyncio.sleep(LOOK_SECONDS)
        if all(quote.at is not None for quote in broker.quotes()):
            return


def _of_quotes(quotes: Sequence[Quote], ear: _Ear, *, takes_delayed: bool) -> list[str]:
    said = [f"{notice.request}: {notice.text} ({notice.code})" for notice in ear.of(m.NoticeSeen) if notice.request]
    silent = [f"{quote.symbol}: no quote came; is the exchange closed?" for quote in quotes if quote.at is None]
    late = [
        f"{quote.symbol}: market data type {quote.market_data_type} is not live"
        for quote in quotes
        if quote.at is not None and quote.market_data_type != LIVE and not takes_delayed
    ]
    return [*said, *silent, *late]


async def _of_margin(
    broker: Broker,
    ear: _Ear,
    state: State,
    clock: Clock,
    instruments: Sequence[Instrument],
    up: m.LinkUp,
    seconds: float,
) -> list[str]:
    """A what-if of one share of each: what refuses the question would refuse the order."""
    first = up.next_order_id + REQUEST_IDS
    asked = {first + number: instrument for number, instrument in enumerate(instruments)}
    for order_id, instrument in asked.items():
        order = _one_share(state, clock, instrument, order_id)
        broker.what_if(m.RequestWhatIf(order=order, instrument=instrument))

    def refused() -> dict[int, str]:
        errors = (error for error in ear.of(m.OrderErrorSeen) if error.verdict == Verdict.REJECTED)
        return {error.order_id: f"{error.text} ({error.code})" for error in errors}

    def answered() -> set[int]:
        return {seen.order_id for seen in ear.of(m.WhatIfSeen)} | refused().keys()

    await ear.until(lambda: answered() >= asked.keys(), seconds)
    silent = {order_id: f"no answer to a what-if within {seconds:g} s" for order_id in asked.keys() - answered()}
    return [f"{asked[order_id].symbol}: {why}" for order_id, why in sorted((refused() | silent).items())]


def _one_share(state: State, clock: Clock, instrument: Instrument, order_id: int) -> Order:
    return Order(
        intent=order_id,
        ref="",
        run_id="self-test",
        con_id=instrument.con_id,
        symbol=instrument.symbol,
        side=Side.BUY,
        quantity=max(instrument.lot, Decimal(1)),
        order_type=OrderType.MARKET,
        limit_price=None,
        stop_price=None,
        tif="DAY",
        account=state.account,
        mode=state.mode,
        purpose=Purpose.ENTRY,
        decision_price=Decimal(0),
        created_at=clock.market(),
        order_id=order_id,
    )
