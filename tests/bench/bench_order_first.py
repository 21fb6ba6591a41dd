"""P2: how long an order waits before it leaves while 500 requests for history are queued, ours and ib_insync's."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import tempfile
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from time import perf_counter

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.orders import Order, OrderType, Purpose
from tests.bench.daemon import ACCOUNT, SYMBOL, running
from tests.bench.figures import quantile, start, tell

QUEUED = 500
ORDERS = 20
RUNS = 3
SPACING_SECONDS = 0.11


def main() -> None:
    """Ours with many orders a run, at every phase of the pacing; the peer once, since it takes long."""
    runs = [served(ours) for _ in range(RUNS)]
    (theirs,) = served(peer)
    tell("P2 order behind 500 requests, p50", [quantile(run, 0.5) for run in runs], "ms")
    tell(
        "P2 order behind 500 requests, worst",
        [max(run) for run in runs],
        "ms",
        peer="ib_insync",
        peer_runs=[theirs],
        goal="p99 ≤ 20 ms and ≤ peer / 500",
        note=f"worst of {ORDERS} orders a run; the peer, first in and first out, was run once",
    )


class Arrivals:
    """The orders that came to the server, by its own word."""

    def __init__(self, server: subprocess.Popen[str]) -> None:
        self._server = server

    async def next(self, send: Callable[[], object]) -> float:
        """Milliseconds from `send` to the order's arrival; both processes read the same clock."""
        assert self._server.stdin and self._server.stdout
        self._server.stdin.write("order\n")
        self._server.stdin.flush()
        await asyncio.sleep(SPACING_SECONDS)
        began = perf_counter()
        send()
        line = await asyncio.to_thread(self._server.stdout.readline)
        return (float(json.loads(line)) - began) * 1e3


Run = Callable[[int, Path, Arrivals], Awaitable[list[float]]]


def served(side: Run) -> list[float]:
    """One run of one side against a server process of its own."""
    with start("-m", "tests.bench.bare_server") as server, tempfile.TemporaryDirectory() as place:
        assert server.stdin and server.stdout
        port = int(server.stdout.readline())
        waits = asyncio.run(side(port, Path(place), Arrivals(server)))
        server.stdin.write("quit\n")
        server.stdin.close()
    return waits


async def ours(port: int, folder: Path, arrivals: Arrivals) -> list[float]:
    """Orders given to the adapter while 500 histories wait in the budget."""
    async with running(port, folder) as bench:
        instrument = bench.engine.state.instruments[SYMBOL]
        asked = [
            asyncio.ensure_future(bench.broker.bars(SYMBOL, "1 day", bench.today - timedelta(days=1 + number), 10))
            for number in range(QUEUED)
        ]
        await asyncio.sleep(0)
        bench.broker._gate = lambda intent: None  # the orders below are not the engine's own
        orders = [_order(bench.clock.market(), 10_000 + number) for number in range(ORDERS)]
        effects = [m.SubmitOrder(order=order, instrument=instrument) for order in orders]
        waits = [await arrivals.next(lambda effect=effect: bench.broker.submit(effect)) for effect in effects]
        unsent = sum(not one.done() for one in asked)
        assert unsent > QUEUED / 2, f"only {unsent} requests were still queued at the end"
        for one in asked:
            one.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    return waits


async def peer(port: int, folder: Path, arrivals: Arrivals) -> list[float]:
    """The same order by ib_insync's façade and its throttle of 45 messages a second."""
    import ib_insync

    ib = ib_insync.IB()
    await ib.connectAsync("127.0.0.1", port, clientId=1, account=ACCOUNT)
    contract = ib_insync.Stock(SYMBOL, "SMART", "USD", conId=265598)
    asked: list[asyncio.Future[object]] = []

    def queue_and_order() -> None:
        requests = (ib.reqHistoricalDataAsync(contract, "", "10 D", "1 day", "TRADES", True) for _ in range(QUEUED))
        asked.extend(map(asyncio.ensure_future, requests))
        asyncio.get_running_loop().call_soon(lambda: ib.placeOrder(contract, ib_insync.LimitOrder("BUY", 100, 100.0)))

    waits = [await arrivals.next(queue_and_order)]
    ib.disconnect()
    for one in asked:
        one.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    return waits


def _order(at: datetime, number: int) -> Order:
    return Order(
        intent=number, ref=f"lw:bench:{number}", run_id="bench", con_id=265598, symbol=SYMBOL, side=Side.BUY,
        quantity=Decimal(100), order_type=OrderType.LIMIT, limit_price=Decimal(100), stop_price=None, tif="DAY",
        account=ACCOUNT, mode="paper", purpose=Purpose.ENTRY, decision_price=Decimal(100), created_at=at,
        order_id=number,
    )  # fmt: skip


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    main()
