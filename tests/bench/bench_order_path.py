"""P1: from a tick written by the server to the order received by it; the peer is ib_insync with a commit between."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.bench.daemon import running
from tests.bench.figures import quantile, start, tell

RUNS = 3
TICKS = 70
GAP_SECONDS = 0.026

PEER = "ib_insync + SQLite WAL FULL commit"


def main() -> None:
    """Alternate ours and the peer's, each in a process of its own, and tell both quantiles."""
    ours, theirs = [], []
    for _ in range(RUNS):
        ours.append(measured("ours"))
        theirs.append(measured("peer"))
    for name, share, goal in (
        ("P1 tick to order, p50", 0.5, "≤ 1.2 × peer"),
        ("P1 tick to order, p99", 0.99, ""),
    ):
        tell(
            name,
            [quantile(run, share) for run in ours],
            "µs",
            peer=PEER,
            peer_runs=[quantile(run, share) for run in theirs],
            goal=goal,
        )
    median = quantile([value for run in ours for value in run], 0.5)
    worst = [quantile(run, 0.999) / median for run in ours]
    tell("P1 tick to order, p99.9 by own p50", worst, "×", goal="≤ 6", note=f"{TICKS} ticks a run: the slowest")


def measured(side: str) -> list[float]:
    """Microseconds of each tick of one run."""
    with start("-m", "tests.bench.bare_server") as server, start("-m", "tests.bench.bench_order_path", side) as client:
        assert server.stdin and server.stdout and client.stdin and client.stdout
        client.stdin.write(server.stdout.readline())
        client.stdin.flush()
        ready = client.stdout.readline()
        if ready.strip() != "ready":
            raise SystemExit(f"the client said {ready!r}")
        server.stdin.write(f"ticks {TICKS} {GAP_SECONDS}\n")
        server.stdin.flush()
        values: list[float] = json.loads(server.stdout.readline())
        client.stdin.close()
        client.wait(timeout=20)
        server.stdin.write("quit\n")
        server.stdin.close()
        return values


async def ours(port: int, folder: Path) -> None:
    """The daemon's own path: translate, decide, durable, gate, send."""
    async with running(port, folder) as bench:
        bench.broker.on_bid = bench.rebalance
        await _until_closed()


async def peer(port: int, folder: Path) -> None:
    """What a plain program does: a handler of the ticker's event commits a row, then places the order."""
    import ib_insync

    ib = ib_insync.IB()
    await ib.connectAsync("127.0.0.1", port, clientId=1, account="DU123456")
    contract = ib_insync.Stock("AAPL", "SMART", "USD", conId=265598)
    rows = sqlite3.connect(folder / "peer.sqlite", isolation_level=None)
    rows.execute("PRAGMA journal_mode = WAL").fetchall()
    rows.execute("PRAGMA synchronous = FULL")
    rows.execute("CREATE TABLE intent(number INTEGER PRIMARY KEY, what TEXT)")
    ticker = ib.reqMktData(contract)

    def on_tick(ticker: ib_insync.Ticker) -> None:
        side = "SELL" if ib.trades() and ib.trades()[-1].order.action == "BUY" else "BUY"
        order = ib_insync.LimitOrder(side, 100, 100.0, account="DU123456", tif="DAY", orderRef="peer")
        rows.execute("INSERT INTO intent(what) VALUES (?)", (f"{side} {order.totalQuantity} {ticker.bid}",))
        ib.placeOrder(contract, order)

    await asyncio.sleep(0.3)
    ticker.updateEvent += on_tick
    await _until_closed()
    ib.disconnect()


async def _until_closed() -> None:
    """Say ready, and wait until the standard input is closed."""
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)


SIDES: dict[str, Callable[[int, Path], Awaitable[None]]] = {"ours": ours, "peer": peer}

if __name__ == "__main__":
    if len(sys.argv) > 1:
        logging.disable(logging.CRITICAL)
        with tempfile.TemporaryDirectory() as place:
            asyncio.run(SIDES[sys.argv[1]](int(sys.stdin.readline()), Path(place)))  # type: ignore[arg-type]
    else:
        main()
