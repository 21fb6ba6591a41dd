"""The bench of these tests: a broker on a virtual loop, in memory, against the simulated gateway or a scripted one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from random import Random
from typing import TypeVar

from longwatch.broker.contracts import Wanted
from longwatch.broker.ib import installed
from longwatch.broker.live import IbBroker
from longwatch.broker.settings import LinkSettings
from longwatch.clock import SteppedClock
from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument, Side
from longwatch.domain.orders import Order, OrderState, OrderType, Purpose
from longwatch.gateway.app import Gateway
from longwatch.gateway.desk import GatewayConfig
from longwatch.gateway.market.synthetic import synthetic_market
from longwatch.simulation.loop import JumpLoop, run
from longwatch.simulation.transport import MemoryNetwork
from longwatch.wire.framing import Frames, greeting, split, take_hello
from longwatch.wire.replies import encode_reply
from longwatch.wire.requests import decode_request

HOST, PORT, ACCOUNT = "gateway", 4002, "DU123456"
START = datetime(2024, 3, 4, 15, 0, tzinfo=UTC)
VERSION = 176
T = TypeVar("T")
E = TypeVar("E", bound=m.Event)


@dataclass
class Inbox:
    """What the broker puts where the engine would take it."""

    events: list[m.Event] = field(default_factory=list)

    def __call__(self, event: m.Event) -> None:
        self.events.append(event)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, kind: type[E], count: int = 1, seconds: float = 300.0) -> E:
        """The `count`th event of a kind."""
        async with asyncio.timeout(seconds):
            while len(self.of(kind)) < count:
                await asyncio.sleep(0.01)
        return self.of(kind)[count - 1]


@dataclass
class Bench:
    """One broker with its inbox; `shut` is the reason of a shut gate."""

    broker: IbBroker
    inbox: Inbox
    clock: SteppedClock
    network: MemoryNetwork
    shut: str | None = None
    epoch: int = 0

    async def up(self) -> m.LinkUp:
        """Wait for the next connection and start its sync, as the engine does."""
        self.epoch += 1
        up = await self.inbox.until(m.LinkUp, self.epoch)
        first = up.next_order_id + 10_000 * self.epoch
        self.broker.begin_sync(m.BeginSync(epoch=self.epoch, first_request_id=first, count=1000, account=ACCOUNT))
        return up

    async def synced(self) -> m.SnapshotSeen:
        await self.up()
        snapshot = await self.inbox.until(m.SnapshotSeen)
        await self.inbox.until(m.InstrumentsSeen)
        return snapshot


def settings(**changed: object) -> LinkSettings:
    return LinkSettings(
        **{  # type: ignore[arg-type]
            "host": HOST,
            "port": PORT,
            "client_id": 7,
            "library": installed(),
            "universe": (Wanted(symbol="AAPL"), Wanted(symbol="MSFT")),
            **changed,
        }
    )


def on_bench(work: Callable[[Bench], Awaitable[T]], **changed: object) -> T:
    """Run `work` beside a broker; nothing listens yet."""

    async def main() -> T:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, JumpLoop)
        clock = SteppedClock(loop.time, market_start=START)
        network = loop.network = MemoryNetwork(loop, latency_seconds=0.001)
        network.claim(HOST, PORT)
        inbox = Inbox()
        broker = IbBroker(
            settings(**changed), sink=inbox, gate=lambda intent: bench.shut, clock=clock, random=Random(1)
        )
        bench = Bench(broker=broker, inbox=inbox, clock=clock, network=network)
        running = asyncio.create_task(broker.run(), name="link")
        try:
            return await work(bench)
        finally:
            await broker.close()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    return run(main())


def with_gateway(work: Callable[[Bench, Gateway], Awaitable[T]], **changed: object) -> T:
    """Run `work` beside a broker and the simulated gateway."""

    async def main(bench: Bench) -> T:
        market = synthetic_market(seed=1, first=date(2023, 1, 1))
        gateway = Gateway(GatewayConfig(accounts=(ACCOUNT,), cash=Decimal(1_000_000)), market, bench.clock)
        bench.network.listen(HOST, PORT, gateway.protocol_factory)
        try:
            return await work(bench, gateway)
        finally:
            await gateway.close()

    return on_bench(main, **changed)


class Scripted(asyncio.Protocol):
    """A gateway that does what a test says: `answers` maps a request's name to what is sent back."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.transport: asyncio.Transport
        self.buffer = b""
        self.frames: Frames | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.script.connections.append(self)
        if self.script.hang_up:
            transport.close()

    def data_received(self, data: bytes) -> None:
        if self.frames is None:
            self.buffer += data
            taken = take_hello(self.buffer)
            if taken is None or not self.script.greets:
                return
            self.frames, data = Frames(), taken[1]
            self.transport.write(greeting(self.script.version, "20240304 15:00:00 GMT"))
        for payload in self.frames.feed(data):
            fields = split(payload)
            request = decode_request(fields, VERSION)
            self.script.requests.append((request.name, dict(request.values)))
            answer = self.script.answers.get(request.name)
            if answer is not None:
                answer(self, dict(request.values))

    def say(self, name: str, **values: object) -> None:
        self.transport.write(encode_reply(name, values, VERSION))

    def raw(self, *fields: str) -> None:
        text = "".join(f"{one}\0" for one in fields).encode()
        self.transport.write(len(text).to_bytes(4, "big") + text)


Answer = Callable[[Scripted, dict[str, object]], None]


@dataclass
class Script:
    """What a scripted gateway does; requests are kept by name in the order they came."""

    version: int = VERSION
    greets: bool = True
    hang_up: bool = False
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    connections: list[Scripted] = field(default_factory=list)

    def names(self) -> list[str]:
        return [name for name, _ in self.requests]


def welcome(gateway: Scripted, values: dict[str, object]) -> None:
    gateway.say("managedAccounts", accountsList=ACCOUNT)
    gateway.say("nextValidId", orderId=5)


def an_empty_account() -> Script:
    """A gateway with one account, nothing in it, two stocks to trade."""

    def summary(gateway: Scripted, values: dict[str, object]) -> None:
        for tag in ("NetLiquidation", "TotalCashValue", "AvailableFunds"):
            gateway.say(
                "accountSummary", reqId=values["reqId"], account=ACCOUNT, tag=tag, value="1000.00", currency="USD"
            )
        gateway.say("accountSummaryEnd", reqId=values["reqId"])

    return Script(
        answers={
            "startApi": welcome,
            "reqCurrentTime": lambda gateway, values: gateway.say("currentTime", time=int(START.timestamp())),
            "reqPositions": lambda gateway, values: gateway.say("positionEnd"),
            "reqAllOpenOrders": lambda gateway, values: gateway.say("openOrderEnd"),
            "reqCompletedOrders": lambda gateway, values: gateway.say("completedOrdersEnd"),
            "reqExecutions": lambda gateway, values: gateway.say("execDetailsEnd", reqId=values["reqId"]),
            "reqAccountSummary": summary,
            "reqContractDetails": lambda gateway, values: gateway.say(
                "error", reqId=values["reqId"], errorCode=200, errorString="No security definition has been found"
            ),
        }
    )


def with_script(work: Callable[[Bench, Script], Awaitable[T]], script: Script, **changed: object) -> T:
    """Run `work` beside a broker and a scripted gateway."""

    async def main(bench: Bench) -> T:
        bench.network.listen(HOST, PORT, lambda: Scripted(script))
        return await work(bench, script)

    return on_bench(main, **changed)


AAPL = Instrument(con_id=265598, symbol="AAPL", primary_exchange="NASDAQ")


def order(intent: int = 1, *, order_id: int = 100, instrument: Instrument = AAPL, **changed: object) -> m.SubmitOrder:
    """An order ready to be sent: 100 AAPL at the market, unless changed."""
    fields: dict[str, object] = {
        "intent": intent,
        "ref": f"lw:test:{intent}",
        "run_id": "run",
        "con_id": instrument.con_id,
        "symbol": instrument.symbol,
        "side": Side.BUY,
        "quantity": Decimal(100),
        "order_type": OrderType.MARKET,
        "limit_price": None,
        "stop_price": None,
        "tif": "DAY",
        "account": ACCOUNT,
        "mode": "paper",
        "purpose": Purpose.ENTRY,
        "decision_price": Decimal(150),
        "created_at": START,
        "state": OrderState.SENDING,
        "order_id": order_id,
    }
    return m.SubmitOrder(order=Order(**{**fields, **changed}), instrument=instrument)  # type: ignore[arg-type]
