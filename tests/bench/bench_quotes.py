"""How many quotes a second the gateway streams to a client that only counts, against a bare socket's prepared bytes.

A quote is one tick message. The gateway is a process of its own, as `longwatch gateway` is; each point of each
instrument is made, compared and encoded when it comes. Its figures are by CPU second of its process, the bare socket's
by the clock: that is what the counting client can take.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

from longwatch.clock import SteppedClock, real_monotonic
from longwatch.gateway.app import Gateway
from longwatch.gateway.desk import GatewayConfig
from longwatch.gateway.synthetic import synthetic_market
from longwatch.wire.framing import hello
from longwatch.wire.requests import encode_request
from tests.bench.figures import ENVIRONMENT, TICK_SECONDS, tell

VERSION = 176
LINES = 100
BEATS = 80
"""Points of the market in a second: so few that a busy machine leaves none out, as CPU seconds are counted anyhow."""

SPEED = BEATS * 86_400 / 288
RUNS = 3
SECONDS, WARM_SECONDS = 4.0, 1.0
PREPARED = 4_000_000
CHUNK = 1 << 18


def main() -> None:
    """Runs in turn: the gateway, then the bytes it sent from a bare socket."""
    if len(sys.argv) > 1:
        serve() if sys.argv[1] == "serve" else send(Path(sys.argv[2]))
        return
    ours, floor, watched = [], [], []
    with tempfile.TemporaryDirectory() as place:
        prepared = Path(place) / "quotes"
        for _ in range(RUNS):
            ours.append(rate("serve", 1, keep=prepared))
            watched.append(rate("serve", 5))
            floor.append(rate("send", 1, argument=str(prepared)))
    goal, peer = "≥ 300,000 quotes/s", "a bare socket sending the same bytes"
    tell(
        "quotes to a client that counts",
        ours,
        "quotes/s",
        peer=peer,
        peer_runs=floor,
        goal=goal,
        note=f"CPU seconds; {LINES} instruments, {BEATS} points of the market a second",
    )
    tell("the same to five clients", watched, "quotes/s", goal=goal, note="CPU seconds; each tick is encoded once")


def rate(what: str, clients: int, *, argument: str = "", keep: Path | None = None) -> float:
    """Quotes over all clients by the gateway's CPU second, or by the second of a bare socket."""
    command = [sys.executable, "-m", "tests.bench.bench_quotes", what, *([argument] if argument else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as child:
        assert child.stdout is not None
        port = int(child.stdout.readline())
        try:
            sockets = {connected(port, number): b"" for number in range(clients)}
            counted(sockets, WARM_SECONDS, None)
            before = cpu_seconds(child.pid)
            found = counted(sockets, SECONDS, keep)
            return found / (cpu_seconds(child.pid) - before if what == "serve" else SECONDS)
        finally:
            child.kill()


def cpu_seconds(pid: int) -> float:
    """What a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_SECONDS


def connected(port: int, number: int) -> socket.socket:
    """A client that has asked for all lines."""
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(hello(VERSION, VERSION))
    client.sendall(encode_request("startApi", {"clientId": number, "optionalCapabilities": ""}, VERSION))
    for line in range(LINES):
        contract = {"symbol": f"S{line:03}", "secType": "STK", "exchange": "SMART", "currency": "USD"}
        client.sendall(encode_request("reqMktData", {"reqId": 1000 + line, **contract}, VERSION))
    return client


def counted(rests: dict[socket.socket, bytes], seconds: float, keep: Path | None) -> int:
    """The frames that come within so many seconds; `keep` gets the first of them, `rests` holds what is not whole."""
    count, until = 0, time.perf_counter() + seconds
    kept: list[bytes] = []
    while time.perf_counter() < until:
        for client, rest in rests.items():
            data = rest + client.recv(CHUNK)
            place, found = whole_frames(data)
            count += found
            rests[client] = data[place:]
            if keep is not None and sum(map(len, kept)) < PREPARED:
                kept.append(data[:place])
    if keep is not None:
        keep.write_bytes(b"".join(kept))
    return count


def whole_frames(data: bytes) -> tuple[int, int]:
    """Where the last whole frame ends, and how many there are."""
    place = count = 0
    while place + 4 <= len(data):
        end = place + 4 + int.from_bytes(data[place : place + 4], "big")
        if end > len(data):
            break
        place, count = end, count + 1
    return place, count


def serve() -> None:
    """A gateway whose market time runs ahead of what anybody can send."""

    async def run() -> None:
        clock = SteppedClock(real_monotonic, market_start=datetime(2020, 1, 6, 12, 2, tzinfo=UTC), speed=SPEED)
        config = GatewayConfig(speed=SPEED, market_data_lines=10 * LINES)
        gateway = Gateway(config, synthetic_market(seed=1, first=date(2019, 12, 1)), clock)
        print(await gateway.start(), flush=True)
        await asyncio.Event().wait()

    asyncio.run(run())


def send(path: Path) -> None:
    """A server that takes no notice of what it is asked, and sends the prepared bytes again and again."""
    prepared = path.read_bytes()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        with closing(listener.accept()[0]) as client:
            while True:
                client.sendall(prepared)


if __name__ == "__main__":
    main()
