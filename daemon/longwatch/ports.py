"""What the engine needs from the outside, as protocols; live, demo and backtest differ only in who implements them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from random import Random
from typing import Protocol, TypeVar

from longwatch.clock import Clock
from longwatch.config.schema import Settings
from longwatch.domain.bars import BarSeries
from longwatch.domain.messages import BeginSync, CancelOrder, Event, ModifyOrder, RequestWhatIf, SubmitOrder
from longwatch.domain.quotes import Quote
from longwatch.domain.sessions import Session
from longwatch.domain.state import State

Result = TypeVar("Result")

Sink = Callable[[Event], None]
"""Where a port puts what it hears: the inbox. Never blocks."""

OrderGate = Callable[[int], str | None]
"""Asked with an intent at the moment its bytes would be written: None lets it pass, a reason withholds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerNeeds:
    """What a broker is made with: where it puts what it hears, whom it asks before an order's bytes, its universe."""

    settings: Settings
    state: State
    account: str
    universe: tuple[str, ...]
    sink: Sink
    gate: OrderGate
    clock: Clock
    random: Random


class Broker(Protocol):
    """One connection to a broker. Every answer comes back through the sink as an event; no method waits for one."""

    async def run(self) -> None:
        """Keep the connection until cancelled: the one connection loop there is."""
        ...

    def begin_sync(self, effect: BeginSync) -> None:
        """Take these request ids and download the account: a SnapshotSeen follows, whole or with its failures."""
        ...

    def submit(self, effect: SubmitOrder) -> None:
        """Queue an order for writing: OrderHanded or OrderWithheld follows."""
        ...

    def what_if(self, effect: RequestWhatIf) -> None:
        """Ask what an order would bind of margin: WhatIfSeen, OrderErrorSeen or OrderWithheld may follow."""
        ...

    def modify(self, effect: ModifyOrder) -> None:
        """Queue an order anew, under its id: OrderHanded or OrderWithheld follows, with the modification's number."""
        ...

    def cancel(self, effect: CancelOrder) -> None:
        """Queue a cancel, ahead of everything else."""
        ...

    def request_snapshot(self, reason: str) -> None:
        """Download the account once more; coalesced with one under way."""
        ...

    def drop(self, reason: str) -> None:
        """End this connection; `run` makes another."""
        ...

    def watch(self, symbols: Sequence[str]) -> None:
        """Hold market data for these symbols and no others, over every reconnect; unknown contracts are asked for."""
        ...

    def quotes(self) -> tuple[Quote, ...]:
        """The quote board: the latest quote of each watched symbol, conflated."""
        ...

    async def bars(self, symbol: str, bar_size: str, until: date, count: int) -> BarSeries:
        """History of one symbol. Raises DataError with the broker's reason, LinkError without a link or an answer."""
        ...

    async def close(self) -> None:
        """End the connection for good."""
        ...


class Calendar(Protocol):
    """The sessions of one exchange."""

    def sessions(self, start: date, end: date) -> list[Session]:
        """Sessions with dates from `start` to `end`, both included. Raises DataError outside the calendar's range."""
        ...


class Provider(Protocol):
    """A source of bars."""

    name: str

    async def bars(self, symbol: str, *, bar_size: str, until: date, count: int) -> BarSeries:
        """The last `count` bars of completed sessions up to `until`. Raises DataError with the reason."""
        ...


class Workers(Protocol):
    """Where work goes that would hold the loop up: a thread or process in production, inline in simulation."""

    def run(self, work: Callable[[], Result], *, deadline_seconds: float) -> Awaitable[Result]:
        """Do `work` elsewhere. Raises TimeoutError past the deadline."""
        ...

    def apart(self) -> Workers:
        """Workers for what may hang for ever: nothing else waits behind it, nor does the end of the process."""
        ...


def money(value: Decimal) -> Decimal:
    """A value in the base currency to the cent, half to even."""
    return value.quantize(Decimal("0.01"))
