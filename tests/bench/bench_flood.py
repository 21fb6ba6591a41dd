"""P5: floods of ticks to the quote board, whatever the pieces they come in; beside ib_insync and ib_async."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from longwatch.broker.contracts import Wanted
from longwatch.broker.line import Line
from longwatch.broker.live import IbBroker
from longwatch.broker.settings import LinkSettings
from longwatch.clock import SystemClock
from longwatch.wire.framing import greeting
from longwatch.wire.replies import encode_reply, quick
from tests.bench.figures import child, tell
from tests.bench.peers import FIRST_LINE, VERSION
from tests.clients.environments import daemon_python

RUNS = 3
TICKS = 100_000
LINES = 20
SMALL, CHUNKS = 1_500, (1_500, 65_536, 1_500_000)
"""Bytes: what a segment holds, what a read of a socket gives, what stands there after a stall."""


def main() -> None:
    """Alternate ours and the peers', each in a process of its own."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "ticks")
        path.write_bytes(tick_messages())
        for chunk in CHUNKS:
            _beside("ib_insync", Path(sys.executable), path, chunk, "≥ 2 × peer")
        _beside("ib_async", daemon_python(), path, SMALL, "")


def _beside(name: str, python: Path, path: Path, chunk: int, goal: str) -> None:
    mine, its = [], []
    numbers = (str(path), str(chunk), str(LINES))
    for _ in range(RUNS):
        mine.append(TICKS / child("-m", "tests.bench.bench_flood", *numbers)["seconds"])
        its.append(TICKS / child("tests/bench/peers.py", name, "flood", *numbers, python=python)["seconds"])
    note = "CPU; ours to the quote board, the peer to its ticker's event"
    title = f"P5 ticks in pieces of {chunk:,} bytes, by {name}'s"
    tell(title, mine, "ticks/s", peer=name, peer_runs=its, goal=goal, note=note)


def tick_messages() -> bytes:
    """Prices and sizes of both sides, by turns over all lines."""
    luck, price, size = random.Random("ticks"), quick("tickPrice", VERSION), quick("tickSize", VERSION)
    frames = []
    for number in range(TICKS // 2):
        line, side = FIRST_LINE + number % LINES, luck.randrange(2)
        cents = Decimal(luck.randrange(9_000, 11_000)) / 100
        frames.append(price(line, 1 + side, cents, luck.randrange(900), 1))
        frames.append(size(line, 3 * side, luck.randrange(900)))
    return b"".join(frames)


def ours_flood(data: bytes, chunk: int, lines: int) -> dict[str, float]:
    """To the quote board, through the connection's own reader; each quote is looked at once in a while."""
    broker, line = _ready(lines)
    pieces = [data[at : at + chunk] for at in range(0, len(data), chunk)]
    began = time.process_time()
    for piece in pieces:
        line.data_received(piece)
    spent = time.process_time() - began
    assert broker.counters()["ticks"] == TICKS
    return {"seconds": spent}


class NoSocket(asyncio.Transport):
    """Takes what is written."""

    def write(self, data: Any) -> None:
        return None

    def is_closing(self) -> bool:
        return False


def _ready(lines: int) -> tuple[IbBroker, Line]:
    """A broker as after its handshake, without a socket, its lines open."""
    settings = LinkSettings(universe=(Wanted(symbol="AAPL"),))
    gate, clock = (lambda intent: None), SystemClock()
    broker = IbBroker(settings, sink=lambda event: None, gate=gate, clock=clock, random=random.Random(1))
    line = broker.opening(1)
    line.connection_made(NoSocket())
    line.data_received(greeting(VERSION, "x"))
    welcome = ("managedAccounts", {"accountsList": "DU123456"}), ("nextValidId", {"orderId": 1})
    line.data_received(b"".join(encode_reply(name, values, VERSION) for name, values in welcome))
    for number in range(lines):
        broker._board.open(FIRST_LINE + number, number + 1, f"S{number}")
    return broker, line


async def ours(path: str, *numbers: str) -> None:
    """Our side, as a process of its own."""
    logging.disable(logging.CRITICAL)
    print(json.dumps(ours_flood(Path(path).read_bytes(), *map(int, numbers))))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(ours(*sys.argv[1:]))
    else:
        main()
