"""P3: a long history, from the bytes of its message to a DataFrame; beside ib_insync and ib_async."""

from __future__ import annotations

import json
import random
import resource
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from longwatch.broker.history import series_of
from longwatch.wire.bulk import read_bars
from longwatch.wire.replies import encode_reply
from tests.bench.figures import child, tell
from tests.bench.peers import VERSION
from tests.clients.environments import daemon_python

RUNS = 3
BARS = 100_000
ZONE = "US/Eastern"


def main() -> None:
    """Alternate ours and the peers', each in a process of its own, which has imported what it needs."""
    peers = {"ib_insync": Path(sys.executable), "ib_async": daemon_python()}
    with tempfile.TemporaryDirectory() as place:
        # Each asks for dates in a form of its own: ours for epoch seconds, the others by default for text.
        ours, theirs = Path(place, "ours"), Path(place, "theirs")
        ours.write_bytes(history_message(as_epoch=True))
        theirs.write_bytes(history_message(as_epoch=False))
        runs: dict[str, list[dict[str, float]]] = {"ours": [], **{name: [] for name in peers}}
        for _ in range(RUNS):
            runs["ours"].append(child("-m", "tests.bench.bench_history", str(ours)))
            for name, python in peers.items():
                runs[name].append(child("tests/bench/peers.py", name, "history", str(theirs), python=python))
    for name, goal in (("ib_insync", "≤ 1/20 of peer"), ("ib_async", "")):
        mine, its = ([1000 * one["seconds"] for one in runs[side]] for side in ("ours", name))
        title = f"P3 {BARS:,} bars to a DataFrame, by {name}'s"
        tell(title, mine, "ms", peer=name, peer_runs=its, goal=goal, note="CPU")
    mine, its = ([one["mib"] for one in runs[side]] for side in ("ours", "ib_insync"))
    note = "peak above what stood before the message came"
    tell("P3 peak memory of that", mine, "MiB", peer="ib_insync", peer_runs=its, goal="≤ 0.35 × peer", note=note)


def history_message(*, as_epoch: bool) -> bytes:
    """Bars of a minute, all round the clock."""
    luck, at, bars = random.Random("bars"), datetime(2023, 1, 3, tzinfo=UTC), []
    for _ in range(BARS):
        price = Decimal(luck.randrange(9_000, 11_000)) / 100
        shown = str(int(at.timestamp())) if as_epoch else f"{at:%Y%m%d %H:%M:%S} {ZONE}"
        prices = {"open": price, "high": price + 1, "low": price - 1, "close": price}
        traded = {"volume": luck.randrange(9_999), "wap": price + Decimal("0.013"), "count": luck.randrange(99)}
        bars.append({"date": shown, **prices, **traded})
        at += timedelta(minutes=1)
    return encode_reply("historicalData", {"reqId": 1, "start": "x", "end": "y", "bars": bars}, VERSION)[4:]


def ours_history(payload: bytes) -> dict[str, float]:
    """As a strategy gets it: read, put into a series, and shown as a frame of its five columns."""
    import numpy as np
    import pandas as pd

    pd.DataFrame({"close": [1.0]}, index=pd.DatetimeIndex(np.zeros(1, dtype="datetime64[s]"), tz="UTC"))
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1024
    began = time.process_time()
    columns = read_bars(payload)
    series = series_of("AAPL", "1 min", columns, until=date(2024, 1, 1), count=BARS, zone=ZONE)
    names = ("open", "high", "low", "close", "volume")
    index = pd.DatetimeIndex(np.frombuffer(series.stamps, dtype="datetime64[s]"), tz="UTC")
    columns_of = {name: np.frombuffer(getattr(series, name)) for name in names}
    frame = pd.DataFrame(columns_of, index=index, copy=False)
    spent = time.process_time() - began
    assert len(frame) == BARS and frame["close"].iloc[0] == columns.close[0]
    return {"seconds": spent, "mib": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(ours_history(Path(sys.argv[1]).read_bytes())))
    else:
        main()
