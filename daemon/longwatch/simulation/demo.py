"""`longwatch demo`: the whole daemon in paper mode against the embedded gateway, on one jump-when-idle loop.

What is replaced stands in bench.py. The daemon's bytes go through the real client code to the gateway, over a network
in memory; HTTP, and the port that other IB clients may use, are on real sockets.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from longwatch.app import Daemon
from longwatch.broker.ib import installed
from longwatch.clock import SteppedClock
from longwatch.config.load import Loaded, demo_path, load
from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.ops import logs
from longwatch.ops.process import obey_signals
from longwatch.simulation.bench import Bench
from longwatch.simulation.keeping import folder_of
from longwatch.simulation.loop import JumpLoop, run
from longwatch.simulation.replay import closing, opening, replayed_market
from longwatch.simulation.summary import Tally, summary_of, summary_text

AFTER_THE_CLOSE = timedelta(hours=1)

_LOG = logging.getLogger("longwatch.demo")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What `longwatch demo` was asked for; `keep` is where journal and ledger stay, a temporary place without."""

    days: int | None = None
    pace_seconds: float = 10.0
    port: int | None = None
    http_port: int = 9464
    as_json: bool = False
    seed: int = 1
    keep: Path | None = None
    start: date | None = None
    config: Path | None = None


def demo(**options: Any) -> int:
    """Run the demo to its end; the exit code is 0 when it ended as asked, also by Ctrl-C."""
    asked = DemoOptions(**options)
    with folder_of(asked.keep, "demo") as folder:
        loop = JumpLoop(pace_seconds_per_day=asked.pace_seconds)
        summary = run(play(asked, folder, loop), loop=loop)
    print(json.dumps(summary) if asked.as_json else summary_text(summary))
    return 0


async def play(asked: DemoOptions, folder: Path, loop: JumpLoop) -> dict[str, Any]:
    """One demo on `loop`, with its files in `folder`; the summary it ends with."""
    begins = opening(asked.start)
    bench = Bench(
        loaded=_loaded(asked, folder),
        market=replayed_market(seed=asked.seed),
        market_starts=begins,
        folder=folder,
        loop=loop,
        seed=asked.seed,
        synchronous="FULL",
        config_path=asked.config or demo_path(),
    )
    logs.setup(bench.clock, style="console", stream=sys.stderr if asked.as_json else sys.stdout)
    tally = Tally()

    def heard(event: m.Event, what: Step) -> None:
        tally.heard(event, what)
        if isinstance(event, m.DaemonStarted):
            address = daemon.runtime.http_address
            _LOG.info("look at %s/status and %s/metrics", address, address)

    daemon = bench.daemon(heard)
    tally.watch(daemon.state)
    obey_signals(daemon)
    ending = asyncio.create_task(_end(daemon, bench.clock, _until(asked, begins)), name="demo-end")
    try:
        await _introduce(asked, bench)
        await bench.run(daemon)
    finally:
        ending.cancel()
        await bench.close()
    _LOG.info("drained")
    return summary_of(daemon.state, tally, bench.journal)


async def _introduce(asked: DemoOptions, bench: Bench) -> None:
    begins = bench.clock.market()
    _LOG.info("a simulated IB gateway replays recorded prices from %s on, at the dates they had", begins.date())
    _LOG.info("the daemon talks to it as to IB's own: bars, quotes, orders and fills pass over IB's wire protocol")
    if asked.port is not None:
        port = await bench.gateway.start("127.0.0.1", asked.port)
        _LOG.info("other IB clients may connect to 127.0.0.1:%d", port)


async def _end(daemon: Daemon, clock: SteppedClock, until: datetime | None) -> None:
    if until is not None:
        await asyncio.sleep(max(clock.seconds_until(until), 0.0))
        daemon.stop()


def _until(asked: DemoOptions, begins: datetime) -> datetime | None:
    return closing(begins, asked.days) + AFTER_THE_CLOSE if asked.days else None


def _loaded(asked: DemoOptions, folder: Path) -> Loaded:
    loaded = load(asked.config or demo_path(), {})
    settings = loaded.settings
    changed = settings.model_copy(
        update={
            "ib": settings.ib.model_copy(update={"client_library": installed()}),
            "data": settings.data.model_copy(update={"cache_dir": folder / "cache"}),
            "ops": settings.ops.model_copy(update={"http_port": asked.http_port}),
        }
    )
    return replace(loaded, settings=changed)
