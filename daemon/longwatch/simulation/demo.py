"""`longwatch demo`: the whole daemon in paper mode against the embedded gateway, on one jump-when-idle loop.

The daemon is built by `app.build`; replaced are clock, journal (written inline), workers and strategy host (inline) and
the calendar. Its bytes go through the real client code to the gateway, over a network in memory. HTTP is on real sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from longwatch.app import Daemon, Ports, account_of, build, handle_signals
from longwatch.brokers import ib_broker
from longwatch.clock import SteppedClock
from longwatch.config.load import Loaded, demo_path, load
from longwatch.data.calendar import ExchangeCalendar
from longwatch.engine.workers import InlineWorkers
from longwatch.gateway.app import Gateway
from longwatch.gateway.desk import GatewayConfig
from longwatch.journal.sqlite import InlineJournal
from longwatch.ops import logs
from longwatch.simulation.clockguard import virtual_clocks
from longwatch.simulation.loop import JumpLoop, run
from longwatch.simulation.replay import closing, opening, replayed_market
from longwatch.simulation.summary import Tally, summary_of, summary_text
from longwatch.simulation.transport import MemoryNetwork
from longwatch.strategies.host import InlineHost

AFTER_THE_CLOSE = timedelta(hours=1)
LATENCY_SECONDS = 0.0005
TECHNICAL_START = datetime(2000, 1, 1, tzinfo=UTC)
"""Far from the market's time on purpose: whatever mixes the two clocks shows at once."""

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
    with _folder(asked.keep) as folder:
        loop = JumpLoop(pace_seconds_per_day=asked.pace_seconds)
        loop.network = MemoryNetwork(loop, latency_seconds=LATENCY_SECONDS)
        summary = run(play(asked, folder, loop), loop=loop)
    print(json.dumps(summary) if asked.as_json else summary_text(summary))
    return 0


async def play(asked: DemoOptions, folder: Path, loop: JumpLoop) -> dict[str, Any]:
    """One demo on `loop`, with its files in `folder`; the summary it ends with."""
    begins = opening(asked.start)
    clock = SteppedClock(loop.time, market_start=begins, technical_start=TECHNICAL_START)
    logs.setup(clock, style="console", stream=sys.stderr if asked.as_json else sys.stdout)
    loaded = _loaded(asked, folder)
    settings = loaded.settings
    account = account_of(settings)
    market = replayed_market(seed=asked.seed)
    gateway = Gateway(
        GatewayConfig(
            accounts=(account,), cash=settings.initial_capital, seed=asked.seed, ledger_path=folder / "ledger.jsonl"
        ),
        market,
        clock,
    )
    assert loop.network is not None
    loop.network.listen(settings.ib.host, settings.ib.port, gateway.protocol_factory)
    _LOG.info("the market is %s's own time; prices are recorded ones, nothing is date-shifted", begins.date())
    if asked.port is not None:
        port = await gateway.start("127.0.0.1", asked.port)
        _LOG.info("other IB clients may connect to 127.0.0.1:%d", port)
    tally = Tally()
    daemon = build(
        loaded,
        _ports(asked, folder, clock, account, settings.mode),
        config_path=asked.config or demo_path(),
        environ={},
        serves_control=False,
        on_step=tally.heard,
    )
    tally.watch(daemon.state)
    handle_signals(daemon)
    until = closing(begins, asked.days) + AFTER_THE_CLOSE if asked.days else None
    timer = asyncio.create_task(_end(daemon, clock, until), name="demo-end")
    try:
        with virtual_clocks(clock, Random(f"{asked.seed}|libraries")):
            await daemon.run()
    finally:
        timer.cancel()
        await gateway.close()
    _LOG.info("drained")
    return summary_of(daemon.state, tally, folder / "journal.sqlite")


async def _end(daemon: Daemon, clock: SteppedClock, until: datetime | None) -> None:
    await asyncio.sleep(0)
    _LOG.info("pages at %s/status and %s/metrics", daemon.runtime.http_address, daemon.runtime.http_address)
    if until is not None:
        await asyncio.sleep(max(clock.seconds_until(until), 0.0))
        daemon.stop()


def _loaded(asked: DemoOptions, folder: Path) -> Loaded:
    loaded = load(asked.config or demo_path(), {})
    settings = loaded.settings
    changed = settings.model_copy(
        update={
            "data": settings.data.model_copy(update={"cache_dir": folder / "cache"}),
            "ops": settings.ops.model_copy(update={"http_port": asked.http_port}),
        }
    )
    return replace(loaded, settings=changed)


def _ports(asked: DemoOptions, folder: Path, clock: SteppedClock, account: str, mode: str) -> Ports:
    seeded = Random(f"{asked.seed}|daemon")
    journal = InlineJournal.open(
        folder / "journal.sqlite",
        account=account,
        mode=mode,
        fresh_id=f"{seeded.getrandbits(64):016x}",
        synchronous="OFF",
    )
    return Ports(
        clock=clock,
        journal=journal,
        workers=InlineWorkers(),
        host=InlineHost(),
        calendar=ExchangeCalendar("XNYS"),
        broker=ib_broker,
        random=seeded,
        watches_lag=False,
    )


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
    else:
        with tempfile.TemporaryDirectory(prefix="longwatch-demo-") as name:
            yield Path(name)
