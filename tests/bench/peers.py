"""ib_insync or ib_async fed the bytes of a server, in a process of its own: what a bench compares us with.

`python tests/bench/peers.py LIBRARY history FILE` and `… flood FILE CHUNK LINES` print one line of JSON. It imports
nothing of the project, since the environment of ib_async does not hold it.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import resource
import sys
import time
from pathlib import Path
from typing import Any

VERSION = 176
FIRST_LINE = 100


def history(library: Any, payload: bytes) -> dict[str, float]:
    """One historicalData message to a DataFrame: CPU seconds, and MiB above what stood before."""
    ib = _ready(library)
    bars = library.BarDataList()
    bars.reqId = 1
    ib.wrapper.startReq(1, container=bars)
    library.util.df([library.BarData(date="20240101")])
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1024
    began = time.process_time()
    fields = payload.decode(errors="backslashreplace").split("\0")[:-1]
    ib.client.decoder.interpret(fields)
    frame = library.util.df(bars)
    spent = time.process_time() - began
    assert len(frame) == len(bars) > 0
    return {"seconds": spent, "mib": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024}


def flood(library: Any, data: bytes, chunk: int, lines: int) -> dict[str, float]:
    """Ticks in pieces of the stream to a handler of each ticker's event: CPU seconds."""
    ib = _ready(library)
    heard = 0

    def on_update(ticker: Any) -> None:
        nonlocal heard
        heard += 1

    for line in range(lines):
        contract = library.Stock(f"S{line}", "SMART", "USD", conId=line + 1)
        ib.wrapper.startTicker(FIRST_LINE + line, contract, "mktData").updateEvent += on_update
    pieces = [data[at : at + chunk] for at in range(0, len(data), chunk)]
    began = time.process_time()
    for piece in pieces:
        ib.client._onSocketHasData(piece)
    spent = time.process_time() - began
    assert heard > 0
    return {"seconds": spent}


def _ready(library: Any) -> Any:
    """The library's façade as after its handshake, without a socket."""
    ib = library.IB()
    ib.client._serverVersion = ib.client.decoder.serverVersion = VERSION
    ib.client.connState = ib.client.CONNECTED
    ib.client._apiReady = True
    return ib


async def main(name: str, what: str, path: str, *numbers: str) -> None:
    logging.disable(logging.CRITICAL)
    asyncio.set_event_loop(asyncio.get_running_loop())
    library, data = importlib.import_module(name), Path(path).read_bytes()
    work = {"history": history, "flood": flood}[what]
    print(json.dumps(work(library, data, *map(int, numbers))))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
