"""P4: start-up with a large account, from no connection to ready; the peer is ib_insync's connectAsync.

Positions, open orders with their statuses, executions with their commissions, each 10,000. Ours is link, translation,
rules, journal on the disk and the comparison with the book, until nothing but a quote is missing for an order; the
peer's is what its connectAsync waits for. CPU seconds are those of the whole process, the journal's thread included; a
block is the CPU time of one callback of the loop.
"""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import sys
import tempfile
import time
from asyncio import events
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from longwatch.domain.risk.readiness import reasons
from longwatch.wire.replies import encode_reply
from longwatch.wire.requests import Request
from tests.bench.bare_server import ACCOUNT, VERSION, Replies, Server
from tests.bench.daemon import working
from tests.bench.figures import start, tell

RUNS = 3
COUNT = 10_000
PATIENCE_SECONDS = 120.0
ANOTHER_CLIENT = 7
FIRST_CONTRACT, FIRST_PERM_ID = 1_000_000, 500_000_000
SHARES, PRICE = Decimal(100), Decimal("25.50")
PEER = "ib_insync connectAsync"


def main() -> None:
    """Alternate ours and the peer's, each in a process of its own."""
    ours, theirs = [], []
    for _ in range(RUNS):
        ours.append(measured("ours"))
        theirs.append(measured("peer"))
    rows = (
        ("seconds", "ready", "s", "≤ 1/5 of peer", "CPU; ours with rules, journal and comparison"),
        ("mib", "memory", "MiB", "", "peak above what stood before the connection"),
        ("block", "longest block of the loop", "ms", "≤ 5 ms", "CPU of one callback"),
    )
    for key, what, unit, goal, note in rows:
        mine, its = ([run[key] for run in runs] for runs in (ours, theirs))
        name = f"P4 start-up with {COUNT:,} positions, orders, fills: {what}"
        tell(name, mine, unit, peer=PEER, peer_runs=its, goal=goal, note=note)


def measured(side: str) -> dict[str, float]:
    """One run of one side."""
    with start("-m", "tests.bench.bench_sync", "serve") as server:
        assert server.stdin and server.stdout
        port = server.stdout.readline()
        try:
            with start("-m", "tests.bench.bench_sync", side) as client:
                found: dict[str, float] = json.loads(client.communicate(port, timeout=2 * PATIENCE_SECONDS)[0])
        finally:
            server.communicate("quit\n")
    return found


class Large(Server):
    """A server whose account is large; executions carry the number they are asked for by."""

    def __init__(self) -> None:
        super().__init__()
        plain = {"reqPositions": positions(), "reqOpenOrders": orders(), "reqAllOpenOrders": orders()}
        self._prepared = {name: encoded(rows) for name, rows in plain.items()}

    def _answer(self, request: Request, came: float) -> None:
        if request.name == "reqExecutions":
            self._send(encoded(executions(request.values["reqId"])))
        else:
            self._send(self._prepared.get(request.name, b""))
        super()._answer(request, came)


def encoded(rows: Iterable[tuple[str, dict[str, Any]]]) -> bytes:
    return b"".join(encode_reply(name, values, VERSION) for name, values in rows)


def stock(number: int) -> dict[str, Any]:
    symbol = f"S{number:05}"
    terms = {"symbol": symbol, "localSymbol": symbol, "tradingClass": symbol, "secType": "STK", "currency": "USD"}
    return {"conId": FIRST_CONTRACT + number, "exchange": "NASDAQ", **terms}


def positions() -> Replies:
    held = {"account": ACCOUNT, "position": SHARES, "avgCost": float(PRICE)}
    return [("position", {**stock(number), **held}) for number in range(COUNT)]


def orders() -> Replies:
    """Orders of another client, each with its status."""
    rows: Replies = []
    for number in range(COUNT):
        ids = {"orderId": 1 + number, "permId": FIRST_PERM_ID + number, "clientId": ANOTHER_CLIENT}
        terms = {"action": "SELL", "totalQuantity": SHARES, "orderType": "LMT", "lmtPrice": Decimal("99.5")}
        shown = {"tif": "GTC", "account": ACCOUNT, "status": "Submitted"}
        rows.append(("openOrder", {**stock(number), **ids, **terms, **shown}))
        rows.append(("orderStatus", {**ids, "status": "Submitted", "filled": 0, "remaining": SHARES}))
    return rows


def executions(request_id: int) -> Replies:
    """What bought the positions, then the commissions."""
    at, fills, commissions = time.strftime("%Y%m%d-%H:%M:%S", time.gmtime()), [], []
    for number in range(COUNT):
        exec_id = f"00025b49.{number:08x}.01.01"
        ids = {"orderId": 100_000 + number, "permId": FIRST_PERM_ID + COUNT + number, "clientId": ANOTHER_CLIENT}
        done = {"shares": SHARES, "price": PRICE, "cumQty": SHARES, "avgPrice": PRICE, "side": "BOT"}
        where = {"reqId": request_id, "execId": exec_id, "time": at, "acctNumber": ACCOUNT, "executionExchange": "IEX"}
        fills.append(("execDetails", {**stock(number), **ids, **done, **where}))
        commissions.append(("commissionReport", {"execId": exec_id, "commission": Decimal(1), "currency": "USD"}))
    return [*fills, *commissions]


async def ours(port: int, folder: Path) -> None:
    """The daemon's own way, until its certificate is whole."""
    async with working(port, folder) as bench:
        bench.announce()
        engine, clock = bench.engine, bench.clock
        if not await engine.wait_until(lambda state: not reasons(state, clock.technical()), PATIENCE_SECONDS):
            raise SystemExit(f"not ready: {reasons(engine.state, clock.technical())}")
        METER.tell()
        assert engine.state.compared is not None and engine.state.compared.positions >= COUNT


async def peer(port: int, folder: Path) -> None:
    import ib_insync

    ib = ib_insync.IB()
    await ib.connectAsync("127.0.0.1", port, clientId=1, account=ACCOUNT, timeout=PATIENCE_SECONDS)
    METER.tell()
    assert len(ib.positions()) == len(ib.openTrades()) == len(ib.fills()) == COUNT
    ib.disconnect()


@dataclass(slots=True)
class Meter:
    """CPU seconds, KiB of memory and the longest callback of the loop, since it was started."""

    began: float = 0.0
    stood: float = 0.0
    longest: float = 0.0

    def start(self) -> None:
        run = events.Handle._run

        def timed(handle: events.Handle) -> None:
            before = time.thread_time()
            run(handle)
            self.longest = max(self.longest, time.thread_time() - before)

        events.Handle._run = timed  # type: ignore[method-assign]
        self.stood = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1024
        self.began = time.process_time()

    def tell(self) -> None:
        """Print what was counted."""
        spent, peak = time.process_time() - self.began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(
            json.dumps({"seconds": spent, "mib": (peak - self.stood) / 1024, "block": 1000 * self.longest}), flush=True
        )


METER = Meter()


async def watched(side: str, port: int, folder: Path) -> None:
    import ib_insync  # noqa: F401 - both sides have imported what they need

    METER.start()
    await SIDES[side](port, folder)


SIDES: dict[str, Callable[[int, Path], Awaitable[None]]] = {"ours": ours, "peer": peer}

if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            main()
        case ["serve"]:
            server = Large()
            print(server.port, flush=True)
            server.run()
        case [side]:
            logging.disable(logging.CRITICAL)
            with tempfile.TemporaryDirectory() as place:
                asyncio.run(watched(side, int(sys.stdin.readline()), Path(place)))
