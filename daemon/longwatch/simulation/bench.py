"""A whole daemon beside its simulated gateway, over a network in memory; the demo and tests of the whole use it.

The daemon is built by `app.build`. Replaced are clock, journal (written inline), workers and strategy host (inline),
the calendar and the broker's randomness; nothing else differs from production.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from longwatch.app import Daemon, Ports, build
from longwatch.brokers import broker_for
from longwatch.clock import SteppedClock
from longwatch.config.load import Loaded
from longwatch.config.trade import account_of
from longwatch.data.calendar import ExchangeCalendar
from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.engine.workers import InlineWorkers
from longwatch.gateway.app import Gateway
from longwatch.gateway.conduct import Conduct, Latencies
from longwatch.gateway.desk import GatewayConfig
from longwatch.gateway.market.market import Market
from longwatch.gateway.police import Limits
from longwatch.journal.layout import Synchronous
from longwatch.journal.sqlite import InlineJournal
from longwatch.simulation.clockguard import virtual_clocks
from longwatch.simulation.loop import JumpLoop
from longwatch.simulation.transport import MemoryNetwork
from longwatch.strategies.host import InlineHost

LATENCY_SECONDS = 0.0005
TECHNICAL_START = datetime(2000, 1, 1, tzinfo=UTC)
"""Far from the market's time on purpose: whatever mixes the two clocks shows at once."""

OnStep = Callable[[m.Event, Step], None]


@dataclass(slots=True, kw_only=True)
class Bench:
    """One gateway and the daemons that run against it, one after the other, with their files in `folder`.

    Make it inside the running loop. `market_starts` is market time; `opening_cash` is the simulated account's, in the
    base currency. `journal` and `ledger` are files; `synchronous` is SQLite's, FULL as in production or OFF for speed,
    `journal_of` opens the journal. `gateway_changes` are settings of the gateway's own. `ports_of` has the last word on
    the ports, for who watches a daemon through them.
    """

    loaded: Loaded
    market: Market
    market_starts: datetime
    folder: Path
    loop: JumpLoop
    seed: int = 1
    config_path: Path | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    delayed_data: bool = False
    pacing: Limits | None = None
    synchronous: Synchronous = "OFF"
    journal_of: Callable[..., InlineJournal] = InlineJournal.open
    conduct: Conduct = field(default_factory=Conduct)
    latencies: Latencies = field(default_factory=Latencies)
    hard_to_borrow: frozenset[str] = frozenset()
    gateway_changes: Mapping[str, Any] = field(default_factory=dict)
    ports_of: Callable[[Ports], Ports] = lambda ports: ports
    clock: SteppedClock = field(init=False)
    network: MemoryNetwork = field(init=False)
    gateway: Gateway = field(init=False)
    _runs: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        settings = self.loaded.settings
        self.clock = SteppedClock(self.loop.time, market_start=self.market_starts, technical_start=TECHNICAL_START)
        self.network = self.loop.network = MemoryNetwork(self.loop, latency_seconds=LATENCY_SECONDS)
        config = GatewayConfig(
            accounts=(account_of(settings),),
            cash=settings.initial_capital,
            seed=self.seed,
            ledger_path=self.ledger,
            delayed_data=self.delayed_data,
            pacing=self.pacing,
            conduct=self.conduct,
            latencies=self.latencies,
            hard_to_borrow=self.hard_to_borrow,
        )
        config = replace(config, **self.gateway_changes)
        self.gateway = Gateway(config, self.market, self.clock)
        self.network.listen(settings.ib.host, settings.ib.port, self.gateway.protocol_factory)

    @property
    def journal(self) -> Path:
        """The daemon's journal."""
        return self.folder / "journal.sqlite"

    @property
    def ledger(self) -> Path:
        """The gateway's own books."""
        return self.folder / "ledger.jsonl"

    def daemon(self, on_step: OnStep, *, serves_http: bool = True) -> Daemon:
        """The next daemon on this journal, its state folded. Raises JournalError while another holds the file."""
        self._runs += 1
        seeded = Random(f"{self.seed}|daemon|{self._runs}")
        return build(
            self.loaded,
            self.ports_of(self._ports(seeded)),
            config_path=self.config_path,
            environ=self.environ,
            serves_http=serves_http,
            serves_control=False,
            on_step=on_step,
        )

    async def run(self, daemon: Daemon) -> None:
        """The daemon's whole life."""
        with virtual_clocks(self.clock, Random(f"{self.seed}|libraries|{self._runs}")):
            await daemon.run()

    async def close(self) -> None:
        """End the gateway."""
        await self.gateway.close()

    def _ports(self, seeded: Random) -> Ports:
        settings = self.loaded.settings
        journal = self.journal_of(
            self.journal,
            account=account_of(settings),
            mode=settings.mode,
            fresh_id=f"{seeded.getrandbits(64):016x}",
            synchronous=self.synchronous,
        )
        return Ports(
            clock=self.clock,
            journal=journal,
            workers=InlineWorkers(),
            host=InlineHost(),
            calendar=ExchangeCalendar("XNYS"),
            broker=broker_for,
            random=seeded,
            watches_lag=False,
        )
