"""The bench of these tests: a whole daemon on real history, in virtual time, with its gateway in the test's hands."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from longwatch.app import Daemon
from longwatch.broker.ib import installed
from longwatch.config.load import load
from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.domain.orders import Order
from longwatch.domain.state import State
from longwatch.gateway.app import Gateway
from longwatch.gateway.conduct import Conduct, Latencies
from longwatch.gateway.market.market import Instrument, Market, Replay
from longwatch.ops import health
from longwatch.ops.status import status_of
from longwatch.simulation.bench import Bench
from longwatch.simulation.loop import JumpLoop, run
from longwatch.simulation.replay import opening, replayed_market

STRATEGIES = Path(__file__).with_name("strategies.py")
ACCOUNT = "DU123456"
SYMBOLS = {"AAPL": 265598, "MSFT": 272093, "IBM": 8314, "GOOG": 208813720}
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0

T = TypeVar("T")
F = TypeVar("F")

BASE: dict[str, Any] = {
    "mode": "paper",
    "data_provider": "ib",
    "executor": "ib_paper",
    "initial_capital": 1_000_000,
    "ib": {"port": 4002, "client_library": installed(), "heartbeat_seconds": 3600, "account_age_seconds": 90_000},
    "data": {"history_bars": 10, "volume_sessions": 5},
    "clock": {"source": "gateway"},
    "execution": {"paper_account": ACCOUNT, "limit_offset_bps": 100, "max_position_size": 1_000_000},
    "schedule": {"reconcile": "every 15 min during the session"},
    "sizing": {"cash_reserve_fraction": 0, "no_trade_band_weight": 0},
    "risk": {"max_weight": 0.5, "max_order_value": 1_000_000, "max_order_shares": 1_000_000},
    "ops": {"http_port": 0, "watchdog": False},
}


def plan(*weights: Mapping[str, float], name: str = "plan", **other: Any) -> dict[str, Any]:
    """A strategy that decides on these weights, one after the other."""
    return {"name": name, "path": f"{STRATEGIES}:Plan", "parameters": {"plan": list(weights)}, **other}


def faulty(symbol: str, way: str, **other: Any) -> dict[str, Any]:
    """A strategy that goes wrong."""
    parameters = {"symbol": symbol, "way": way, **other}
    return {"name": "faulty", "path": f"{STRATEGIES}:Faulty", "parameters": parameters, "allocation": 0.5}


def write_config(folder: Path, changes: Mapping[str, Any]) -> Path:
    """The configuration of these tests with some settings changed; JSON is read as YAML is."""
    path = folder / "trading.json"
    settings = merged(BASE, {"data": {"cache_dir": str(folder / "cache")}}, changes)
    path.write_text(json.dumps({"trading": settings}))
    return path


def merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings laid one over the other."""
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            known = result.get(key)
            both = isinstance(known, dict) and isinstance(value, Mapping)
            result[key] = merged(known, value) if both else value
    return result


class Scene:
    """A bench with at most one daemon running on it, and everything it has concluded so far."""

    def __init__(self, bench: Bench, config: Path) -> None:
        self.bench = bench
        self.config = config
        self.steps: list[tuple[m.Event, Step]] = []
        self.daemon: Daemon
        self.task: asyncio.Task[None] | None = None
        self._changed: asyncio.Future[None] = bench.loop.create_future()

    @property
    def gateway(self) -> Gateway:
        return self.bench.gateway

    @property
    def state(self) -> State:
        return self.daemon.state

    # ── the daemon ──────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Start a daemon on the journal."""
        self.daemon = self.bench.daemon(self._heard, serves_http=False)
        self.task = asyncio.create_task(self.bench.run(self.daemon), name="daemon")

    async def stop(self) -> None:
        """Drain it."""
        if self.task is not None:
            self.daemon.stop()
            async with asyncio.timeout(HOUR):
                await self.task
            self.task = None

    async def kill(self) -> None:
        """End it as SIGKILL would: its sockets are reset, nobody is told anything, the journal stays as it was."""
        assert self.task is not None
        for link in self.bench.network.links:
            link.reset()
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        self.task = None

    def _heard(self, event: m.Event, what: Step) -> None:
        self.steps.append((event, what))
        if not self._changed.done():
            self._changed.set_result(None)

    async def until(self, holds: Callable[[], T], *, seconds: float = 2 * DAY, what: str = "it") -> T:
        """Wait until something holds, looked at after everything the daemon hears."""
        assert self.task is not None
        try:
            async with asyncio.timeout(seconds):
                while not (found := holds()):
                    self._changed = self.bench.loop.create_future()
                    await asyncio.wait({self._changed, self.task}, return_when=asyncio.FIRST_COMPLETED)
                    if self.task.done():
                        self.task.result()
                        raise AssertionError(f"the daemon ended before {what} happened")
        except TimeoutError:
            raise AssertionError(f"{what} did not happen by {self.bench.clock.market()}; {self.told()}") from None
        return found

    async def till(self, hour: int, minute: int = 0, second: float = 0.0) -> None:
        """Let market time come to the next such UTC time of day (New York's winter: open 14:30, close 21:00)."""
        now = self.bench.clock.market()
        at = now.replace(hour=hour, minute=minute, second=0, microsecond=0) + timedelta(seconds=second)
        at += timedelta(days=1) if at <= now else timedelta(0)
        await asyncio.sleep((at - now).total_seconds())

    async def settled(self) -> None:
        """Wait until everything heard has been decided, committed and performed."""
        await asyncio.sleep(0.01)
        await self.until(lambda: self.daemon.engine.is_idle, seconds=MINUTE, what="rest")

    async def ask(self, command: str, argument: str = "", reason: str = "a test") -> dict[str, Any]:
        """A person's command, as the control socket gives it to the daemon."""
        return await self.daemon.answers.answer(command, argument, reason, "uid 1000")

    async def reload(self, changes: Mapping[str, Any], *, loosen: bool = True) -> dict[str, Any]:
        """Change the file and reload it."""
        write_config(self.bench.folder, changes)
        return await self.daemon.reload(loosen=loosen)

    async def run_job(self, job: str) -> m.JobNoted:
        """Run a job now, once a run under way has ended, and wait for its end."""
        await self.until(lambda: job not in self.daemon.runner.running(), what=f"the end of the {job} before")
        await self.settled()
        before = len(self.facts(m.JobNoted))
        self.daemon.runner.run_now(job, "a test")

        def ended() -> list[m.JobNoted]:
            noted = self.facts(m.JobNoted)[before:]
            return [fact for fact in noted if fact.job == job and fact.outcome != "started"]

        return (await self.until(ended, what=f"the end of {job}"))[0]

    async def traded(self, decisions: int = 1) -> None:
        """Wait for so many rebalances in all, and until no order is live."""
        await self.until(lambda: len(self.facts(m.RebalanceDecided)) >= decisions, what=f"rebalance {decisions}")
        await self.until(
            lambda: all(order.rests for order in self.state.live_orders()),
            what="the end of every order but what rests",
        )

    # ── what has come of it ─────────────────────────────────────────────────────────────────────────────────────────

    def facts(self, kind: type[F]) -> list[F]:
        return [fact for _, what in self.steps for fact in what.facts if isinstance(fact, kind)]

    def events(self, kind: type[F]) -> list[F]:
        return [event for event, _ in self.steps if isinstance(event, kind)]

    def refused(self) -> dict[str, str]:
        """The check that refused each symbol last."""
        return {fact.symbol: fact.check for fact in self.facts(m.TradeRefused)}

    def clamped(self) -> set[tuple[str, str]]:
        return {(fact.symbol, fact.check) for fact in self.facts(m.TradeClamped)}

    def orders(self) -> list[Order]:
        return list(self.state.orders.values())

    def held(self, symbol: str) -> Decimal:
        """The book's shares."""
        return self.state.held(SYMBOLS[symbol])

    def truly_held(self, symbol: str) -> Decimal:
        """The shares in the gateway's own books."""
        holding = self.gateway.ledger.accounts[ACCOUNT].holdings.get(SYMBOLS[symbol])
        return holding.quantity if holding else Decimal(0)

    def reasons(self) -> list[str]:
        """What /readyz says."""
        return health.readyz(self.state, self.daemon.watch.view())

    def failing(self) -> set[str]:
        """The names of the readiness checks that give a reason."""
        found = health.readiness_of(self.state, self.daemon.watch.view())
        return {name for name, reason in found.items() if reason is not None}

    def status(self) -> dict[str, Any]:
        """What /status says."""
        return status_of(self.state, self.daemon.watch.view())

    def alerts(self) -> list[str]:
        return [alert.text for alert in self.daemon.alerts.latest(1000)]

    def told(self) -> str:
        return f"ready: {self.reasons()}; alerts: {self.alerts()[:5]}; refused: {self.refused()}"


def on_bench(
    story: Callable[[Scene], Awaitable[T]],
    folder: Path,
    trading: Mapping[str, Any] | None = None,
    *,
    market: Market | None = None,
    start: date | None = None,
    delayed_data: bool = False,
    conduct: Conduct | None = None,
    latencies: Latencies | None = None,
    hard_to_borrow: frozenset[str] = frozenset(),
    gateway: Mapping[str, Any] | None = None,
) -> T:
    """Play a story on a bench of its own; it begins an hour before the first open, with the daemon not yet started."""
    loop = JumpLoop()

    async def main() -> T:
        changes = merged({"strategies": [plan({"AAPL": 0.4, "IBM": 0.4})]}, trading or {})
        config = write_config(folder, changes)
        bench = Bench(
            loaded=load(config, {}),
            market=market or recorded_market(),
            market_starts=opening(start),
            folder=folder,
            loop=loop,
            config_path=config,
            delayed_data=delayed_data,
            conduct=conduct or Conduct(),
            latencies=latencies or Latencies(),
            hard_to_borrow=hard_to_borrow,
            gateway_changes=gateway or {},
        )
        scene = Scene(bench, config)
        try:
            return await story(scene)
        finally:
            await scene.stop()
            await bench.close()

    return run(main(), loop=loop)


@cache
def recorded_market() -> Market:
    """The demo's market: a function of seed and time, so every test may share one."""
    return replayed_market(seed=1)


def market_of(symbols: Sequence[str]) -> Market:
    """A market of as many shares as a test wants, each with IBM's bars and a path of its own."""
    recorded = recorded_market()
    ibm = recorded.find("IBM")
    assert ibm is not None
    bars = recorded.completed(ibm, datetime(2013, 1, 1, tzinfo=UTC))
    listed = [Instrument(con_id=9000 + number, symbol=symbol) for number, symbol in enumerate(symbols)]
    return Market([Replay(instrument, bars) for instrument in listed], recorded.hours, seed=1)
