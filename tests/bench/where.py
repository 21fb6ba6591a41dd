"""Where the time of a simulated run goes, by samples of its stack: `python -m tests.bench.where [none|some|all]`.

The profiling timer ticks in CPU time, so who else is busy doesn't count. A sample belongs to the innermost function of
ours; a library's or asyncio's time is thus its caller's.
"""

from __future__ import annotations

import logging
import signal
import sys
from collections import Counter
from types import FrameType

from longwatch.simulation.simulate import Asked, simulated
from tests.bench.bench_simulation import SEED, SYMBOLS

DAYS = 40
TICK_SECONDS = 0.004
PARTS = {
    "simulation/loop": "the loop: its rounds, timers and tasks",
    "simulation/strays": "the loop: its rounds, timers and tasks",
    "simulation/lane": "the network in memory",
    "simulation/transport": "the network in memory",
    "simulation": "listening in, reading and judging the run",
    "gateway": "the gateway: market, matching, books, answers",
    "wire": "wire: framing, writing and reading, both sides",
    "broker": "the adapter: decoding with the library, translating, sending",
    "engine/jobs": "jobs: refresh, signals, rebalance",
    "strategies": "jobs: refresh, signals, rebalance",
    "data": "bars: cache in parquet, sessions, validation",
    "domain/bars": "bars: cache in parquet, sessions, validation",
    "engine": "engine and rules: decide, fold, perform",
    "domain": "engine and rules: decide, fold, perform",
    "journal": "the journal: encoding, hash chain, SQLite",
    "ops": "telling: alerts, narration, gauges",
    "clock": "reading the virtual clock",
}


def main() -> None:
    """Print the parts by share."""
    logging.disable(logging.CRITICAL)
    level = sys.argv[1] if len(sys.argv) > 1 else "none"
    simulated(Asked(seed=SEED, days=1, made_up=SYMBOLS))
    found: Counter[str] = Counter()
    signal.signal(signal.SIGPROF, lambda number, frame: found.update([part_of(frame)]))
    signal.setitimer(signal.ITIMER_PROF, TICK_SECONDS, TICK_SECONDS)
    simulated(Asked(seed=SEED, days=DAYS, faults=level, made_up=SYMBOLS))  # type: ignore[arg-type]
    signal.setitimer(signal.ITIMER_PROF, 0)
    for part, count in found.most_common():
        print(f"| {part} | {100 * count / found.total():.0f} % |")


def part_of(frame: FrameType | None) -> str:
    """The part of the innermost function of ours."""
    while frame is not None:
        _, ours, path = frame.f_code.co_filename.rpartition("/longwatch/")
        if ours:
            module = path.removesuffix(".py")
            return next((part for prefix, part in PARTS.items() if module.startswith(prefix)), "the rest")
        frame = frame.f_back
    return "the rest"


if __name__ == "__main__":
    main()
