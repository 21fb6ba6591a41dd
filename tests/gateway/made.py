"""A small market, a gateway on a virtual loop and a client that shows every frame; used by the gateway's tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

from longwatch.clock import SteppedClock
from longwatch.gateway.app import Gateway
from longwatch.gateway.desk import GatewayConfig
from longwatch.gateway.market.market import Instrument, Market, Replay
from longwatch.gateway.market.path import DayBar
from longwatch.simulation.loop import JumpLoop, run
from longwatch.simulation.transport import MemoryNetwork
from longwatch.wire.framing import Frames, hello, split
from longwatch.wire.replies import Reply, decode_reply
from longwatch.wire.requests import encode_request

AAPL = Instrument(con_id=265598, symbol="AAPL", long_name="APPLE INC")
IBM = Instrument(con_id=8314, symbol="IBM", long_name="IBM CORP", primary_exchange="NYSE")
SPX = Instrument(con_id=416904, symbol="SPX", long_name="S&P 500", sec_type="IND", is_tradable=False)

HOST, PORT = "gateway", 4002
JANUARY_3 = datetime(2007, 1, 3, 14, 30, tzinfo=UTC)
"""The open of the first session: 9:30 in New York."""

# date, open, high, low, close: a rise, a gap down, a quiet day.
PRICES = {
    date(2007, 1, 3): (86.29, 86.58, 81.90, 83.80),
    date(2007, 1, 4): (84.05, 85.95, 83.82, 85.66),
    date(2007, 1, 5): (80.00, 80.50, 76.00, 78.25),
    date(2007, 1, 8): (78.25, 79.00, 77.50, 78.00),
}


def bar_of(day: date, prices: tuple[float, float, float, float], volume: float = 30_000_000) -> DayBar:
    opened = datetime(day.year, day.month, day.day, 14, 30, tzinfo=UTC)
    opening, high, low, close = prices
    return DayBar(
        date=day,
        open_at=opened,
        close_at=opened + timedelta(hours=6, minutes=30),
        open=opening,
        high=high,
        low=low,
        close=close,
        volume=volume,
    )


def small_market(seed: int = 1, path_points: int = 26) -> Market:
    """Three instruments over four sessions."""
    days = [bar_of(day, prices) for day, prices in PRICES.items()]
    return Market([Replay(one, days) for one in (AAPL, IBM, SPX)], seed=seed, path_points=path_points)


def stock(symbol: str = "AAPL") -> dict[str, Any]:
    return {"symbol": symbol, "secType": "STK", "exchange": "SMART", "currency": "USD"}


class PlainClient(asyncio.Protocol):
    """A client that decodes every frame and understands none: `heard` is what came, with its time."""

    def __init__(self, server_version: int = 176) -> None:
        self.heard: list[tuple[float, Reply]] = []
        self.raw: list[bytes] = []
        self.received = b""
        self.is_lost = False
        self.server_version = server_version
        self._frames = Frames()
        self._greeted = False
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def connect(cls, client_id: int = 1, *, start: bool = True, server_version: int = 176) -> PlainClient:
        """A client on the memory network, started unless told otherwise."""
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(lambda: cls(server_version), HOST, PORT)
        client.write(hello(157, server_version))
        if start:
            client.ask("startApi", clientId=client_id, optionalCapabilities="")
        await asyncio.sleep(0.01)
        return client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True

    def data_received(self, data: bytes) -> None:
        self.received += data
        for payload in self._frames.feed(data):
            if not self._greeted:
                self._greeted = True
                continue
            self.raw.append(payload)
            reply = decode_reply(split(payload), self.server_version)
            assert isinstance(reply, Reply)
            self.heard.append((asyncio.get_running_loop().time(), reply))

    def write(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()

    def ask(self, request: str, **values: Any) -> None:
        self.write(encode_request(request, values, self.server_version))

    def order(self, order_id: int, action: str, quantity: float, order_type: str = "MKT", **values: Any) -> None:
        """Place an AAPL order."""
        defaults = {**stock(), "action": action, "totalQuantity": Decimal(str(quantity)), "orderType": order_type}
        self.ask("placeOrder", orderId=order_id, **{**defaults, "tif": "DAY", **values})

    async def round_trip(self, quantity: float = 100) -> None:
        """Buy at the market under order id 1, and sell the same under 2."""
        for order_id, action in ((1, "BUY"), (2, "SELL")):
            self.order(order_id, action, quantity)
            await asyncio.sleep(2)

    def replies(self, *names: str) -> list[dict[str, Any]]:
        return [reply.values for _, reply in self.heard if reply.name in names]

    def names(self) -> list[str]:
        return [reply.name for _, reply in self.heard]

    def codes(self) -> list[int]:
        return [values["errorCode"] for values in self.replies("error") if values["errorCode"] not in FARMS]

    def story(self, order_id: int) -> list[str]:
        """What was heard of one order, in short: `5 Submitted`, `3 Submitted`, `11 100@86.30`, `59`, `4 202`."""
        mine = {one["execId"] for one in self.replies("execDetails") if one["orderId"] == order_id}
        lines = []
        for _, reply in self.heard:
            values = reply.values
            match reply.name:
                case "openOrder" if values["orderId"] == order_id:
                    lines.append(f"5 {values['status']}")
                case "orderStatus" if values["orderId"] == order_id:
                    lines.append(f"3 {values['status']}")
                case "execDetails" if values["orderId"] == order_id:
                    lines.append(f"11 {values['shares']}@{values['price']}")
                case "error" if values["reqId"] == order_id:
                    lines.append(f"4 {values['errorCode']}")
                case "commissionReport" if values["execId"] in mine:
                    lines.append("59")
        return lines

    def forget(self) -> None:
        self.heard.clear()


FARMS = {2103, 2104, 2105, 2106, 2108, 2157, 2158}


def on_a_gateway(
    scenario: Callable[[Gateway], Awaitable[None]],
    *,
    at: datetime = JANUARY_3 + timedelta(minutes=5),
    market: Market | None = None,
    **config: Any,
) -> None:
    """Run a scenario in virtual time, with a gateway on a memory network whose market stands at `at`."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, JumpLoop)
        loop.network = MemoryNetwork(loop)
        clock = SteppedClock(loop.time, market_start=at, speed=config.get("speed", 1.0))
        gateway = Gateway(GatewayConfig(**config), market or small_market(), clock)
        loop.network.listen(HOST, PORT, gateway.protocol_factory)
        try:
            await scenario(gateway)
        finally:
            await gateway.close()

    run(main())


async def until(gateway: Gateway, at: datetime) -> None:
    """Wait until a market instant."""
    wait = (at - gateway.desk.now()).total_seconds() / gateway.config.speed
    await asyncio.sleep(max(wait, 0) + 0.001)
