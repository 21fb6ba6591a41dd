"""How many quotes a second the gateway streams to a client that only counts, against a bare socket's prepared bytes.

A quote is one tick message. The gateway is a process of its own, as `longwatch gateway` is; each point of each
instrument is made, compared and encoded when it comes. Paced, the market moves so slowly that no point need be left
out, and what counts is the second of its CPU. Flooded, the market moves faster than the gateway can tell: it serves as
many as it gets CPU for, by the clock beside the client and whatever else runs, and pays for the points left out as
well. The bare socket's figure is by the clock: what the counting client can take.
"""

from __future__ import annotations

import asyncio
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

from longwatch.clock import SteppedClock, real_monotonic
from longwatch.gateway.app import Gateway
from longwatch.gateway.desk import GatewayConfig
from longwatch.gateway.market.synthetic import synthetic_market
from longwatch.wire.framing import hello
from longwatch.wire.requests import encode_request
from tests.bench.figures import ENVIRONMENT, TICK_SECONDS, tell

VERSION = 176
LINES = 100
PACED, FLOODED = 80, 500
"""Points of the market in a second, each up to eight quotes of each instrument."""

POINTS_A_DAY = 288
RUNS = 3
SECONDS, WARM_SECONDS = 3.0, 1.0
PREPARED = 4_000_000
CHUNK = 1 << 18


def main() -> None:
    """Runs in turn: the gateway, then the bytes it sent from a bare socket."""
    if len(sys.argv) > 1:
        serve(int(sys.argv[2])) if sys.argv[1] == "serve" else send(Path(sys.argv[2]))
        return
    served: dict[tuple[int, int], list[Rate]] = {(beats, to): [] for beats in (PACED, FLOODED) for to in (1, 5)}
    floor: list[float] = []
    with tempfile.TemporaryDirectory() as place:
        prepared = Path(place) / "quotes"
        for _ in range(RUNS):
            for (beats, to), runs in served.items():
                runs.append(rate("serve", str(beats), to, keep=prepared))
            floor.append(rate("send", str(prepared), 1).by_clock)
    for (beats, to), runs in served.items():
        show(beats, to, runs, floor)


def show(beats: int, to: int, runs: Sequence[Rate], floor: Sequence[float]) -> None:
    """By CPU second, and for a flood by the clock too, with the share of a core it got."""
    name = f"quotes to {to} client{'s' if to > 1 else ''}"
    note = f"{LINES} instruments, {beats} points of the market a second"
    if beats == PACED:
        cpu, goal = [one.by_cpu for one in runs], "≥ 300,000 quotes/s"
        tell(f"{name}, paced, by CPU second", cpu, "quotes/s", goal=goal, note=f"{note}, few enough to leave none out")
        return
    tell(f"{name}, flooded, by CPU second", [one.by_cpu for one in runs], "quotes/s", note=note)
    share = statistics.median(one.by_clock / one.by_cpu for one in runs)
    clock, peer = [one.by_clock for one in runs], "a bare socket sending the same bytes"
    note = f"it got {share:.0%} of a core"
    tell(f"{name}, flooded, by the clock", clock, "quotes/s", peer=peer, peer_runs=floor, note=note)


class Rate(NamedTuple):
    """Quotes over all clients: by CPU second of the serving process, and by second of the clock."""

    by_cpu: float
    by_clock: float


def rate(what: str, argument: str, clients: int, *, keep: Path | None = None) -> Rate:
    """What a server of its own process serves to so many clients."""
    command = [sys.executable, "-m", "tests.bench.bench_quotes", what, argument]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as child:
        assert child.stdout is not None
        port = int(child.stdout.readline())
        try:
            sockets = {connected(port, number): b"" for number in range(clients)}
            counted(sockets, WARM_SECONDS, None)
            before, began = cpu_seconds(child.pid), time.perf_counter()
            found = counted(sockets, SECONDS, keep)
            return Rate(found / (cpu_seconds(child.pid) - before), found / (time.perf_counter() - began))
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


def serve(beats: int) -> None:
    """A gateway whose market moves so many times a second."""
    speed = beats * 86_400 / POINTS_A_DAY

    async def run() -> None:
        clock = SteppedClock(real_monotonic, market_start=datetime(2020, 1, 6, 12, 2, tzinfo=UTC), speed=speed)
        config = GatewayConfig(speed=speed, market_data_lines=10 * LINES)
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
