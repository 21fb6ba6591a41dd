"""The composition root: the daemon is built, started, drained and stopped here; called by the CLI, the demo and simulation.

`build` makes the whole daemon from settings and ports. What simulation replaces stands in `Ports`, and nothing else does.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from random import Random
from typing import Any

from longwatch.clock import Clock
from longwatch.config.load import Loaded
from longwatch.config.reload import Accepted, Refused, prepare
from longwatch.config.schema import JobSettings, Settings
from longwatch.config.trade import trade_settings
from longwatch.data.cache import Cache
from longwatch.data.factory import provider
from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.domain.state import State
from longwatch.domain.triggers import parse_trigger
from longwatch.engine.desk import Desk, StrategyTask
from longwatch.engine.inbox import Inbox
from longwatch.engine.jobs.rebalance import rebalance
from longwatch.engine.jobs.reconcile import reconcile
from longwatch.engine.jobs.refresh import refresh
from longwatch.engine.jobs.signals import signals
from longwatch.engine.loop import Engine
from longwatch.engine.perform import Performer
from longwatch.engine.runner import JobRunner
from longwatch.engine.schedule import Job
from longwatch.errors import ConfigError, LongwatchError, StrategyError, UsageError
from longwatch.journal.codec import recover
from longwatch.journal.records import Journal
from longwatch.ops import health
from longwatch.ops.alerts import AlertBoard
from longwatch.ops.control import ControlServer
from longwatch.ops.narrate import Narrator
from longwatch.ops.runtime import Commit, NextRun, Reload, RuntimeView
from longwatch.ops.status import READINGS, reply_of, status_of
from longwatch.ops.systemd import Notifier, watchdog_seconds
from longwatch.ports import Broker, Calendar, OrderGate, Sink, Workers
from longwatch.strategies.host import Host
from longwatch.strategies.worker import Code

NEEDS_SECONDS = 30.0
DRAIN_SECONDS = 15.0
LAG_SECONDS = 0.5
TELLS_AGENDA = "signals"
"""After this job, once a day, the log says what runs next."""
WORK = {"refresh": refresh, "signals": signals, "rebalance": rebalance, "reconcile": reconcile}

_LOG = logging.getLogger("longwatch.app")


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerNeeds:
    """What a broker is made with: where it puts what it hears, whom it asks before an order's bytes, and its universe."""

    settings: Settings
    state: State
    account: str
    universe: tuple[str, ...]
    sink: Sink
    gate: OrderGate
    clock: Clock
    random: Random


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What differs between production, demo and simulation; everything else of the daemon is the same."""

    clock: Clock
    journal: Journal
    workers: Workers
    host: Host
    calendar: Calendar
    broker: Callable[[BrokerNeeds], Broker]
    random: Random
    watches_lag: bool = True


@dataclass(slots=True)
class Daemon:
    """One daemon on one event loop. `run` works until `stop` is called, then drains."""

    loaded: Loaded
    config_path: Path | None
    environ: Mapping[str, str]
    ports: Ports
    account: str
    state: State
    inbox: Inbox
    runtime: RuntimeView
    alerts: AlertBoard
    narrator: Narrator
    notifier: Notifier
    serves_http: bool
    serves_control: bool
    on_step: Callable[[m.Event, Step], None]
    engine: Engine = field(init=False)
    broker: Broker = field(init=False)
    runner: JobRunner = field(init=False)
    desk: Desk = field(init=False)
    metrics: Any = field(init=False, default=None)
    _performer: Performer = field(init=False)
    _stop: asyncio.Event = field(init=False)
    _http: Any = field(init=False, default=None)
    _control: ControlServer | None = field(init=False, default=None)
    _reloading: bool = field(init=False, default=False)

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.loaded.settings

    async def run(self) -> None:
        """The daemon's whole life: serve, say READY, find out what strategies need, work, drain."""
        self._stop = asyncio.Event()
        self.engine = Engine(
            state=self.state,
            journal=self.ports.journal,
            inbox=self.inbox,
            clock=self.ports.clock,
            perform=lambda effect: self._performer(effect),
            observe=self._observe,
            committed=self._committed,
        )
        await self._serve()
        self.notifier.ready("journal folded; connecting")
        try:
            await self._work(await self._strategies())
        finally:
            self.notifier.stopping("draining")
            await self._close()

    def stop(self) -> None:
        """Begin to drain; `run` returns when that is done."""
        self._stop.set()

    async def _work(self, tasks: tuple[StrategyTask, ...]) -> None:
        self._assemble(tasks)
        self._announce(tasks)
        async with asyncio.TaskGroup() as group:
            working = [
                group.create_task(self.engine.run(), name="engine"),
                group.create_task(self.broker.run(), name="link"),
                group.create_task(self.runner.run(), name="jobs"),
            ]
            if self.state.equity is None:
                self.runner.run_now("signals", "first start")
            if self.ports.watches_lag:
                working.append(group.create_task(self._watch_loop(), name="lag"))
            await self._stop.wait()
            await self._drain()
            for task in working:
                task.cancel()

    async def _drain(self) -> None:
        """Start nothing more, let what is under way reach the journal; working orders stay with the broker."""
        self.runner.drain()
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while not self.engine.is_idle or any(job != "rebalance" for job in self.runner.running()):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            _LOG.warning("not everything under way ended within %g s; it is taken up at the next start", DRAIN_SECONDS)

    # ── set-up ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _strategies(self) -> tuple[StrategyTask, ...]:
        """What each enabled strategy needs; one that can't be loaded is at fault, the others go on."""
        enabled = [strategy for strategy in self.settings.strategies if strategy.enabled]
        folder = self.config_path.resolve().parent if self.config_path else None
        tasks = []
        for strategy in enabled:
            code = Code(name=strategy.name, reference=strategy.path, parameters=strategy.parameters, folder=folder)
            try:
                needs, _ = await self.ports.host.needs(code, deadline_seconds=NEEDS_SECONDS)
            except StrategyError as error:
                self._strategy_failed(strategy.name, str(error))
                continue
            tasks.append(
                StrategyTask(name=strategy.name, code=code, needs=needs, deadline_seconds=strategy.deadline_seconds)
            )
        return tuple(tasks)

    def _strategy_failed(self, name: str, reason: str) -> None:
        at, tech = self.ports.clock.market(), self.ports.clock.technical()
        failed = m.StrategyFailed(at=at, tech=tech, run_id="start", strategy=name, session=at.date(), reason=reason)
        self.inbox.put(failed)

    def _assemble(self, tasks: tuple[StrategyTask, ...]) -> None:
        settings, ports = self.settings, self.ports
        universe = tuple(sorted({symbol for task in tasks for symbol in task.needs.universe}))
        self.broker = ports.broker(
            BrokerNeeds(
                settings=settings,
                state=self.state,
                account=self.account,
                universe=universe,
                sink=self.inbox.put,
                gate=self.engine.may_send,
                clock=ports.clock,
                random=ports.random,
            )
        )
        self.broker.watch(universe)
        source = provider(
            settings.data_provider,
            deadline_seconds=settings.data.refresh_deadline_seconds,
            csv_dir=settings.data.csv_dir,
            workers=ports.workers,
            history=self.broker.bars,
            random=ports.random,
        )
        self.desk = Desk(
            engine=self.engine,
            broker=self.broker,
            provider=source,
            cache=Cache(settings.data.cache_dir) if settings.data_provider == "ib" else None,
            workers=ports.workers,
            host=ports.host,
            calendar=ports.calendar,
            clock=ports.clock,
            strategies=tasks,
            history_bars=settings.data.history_bars,
            stale_sessions=settings.data.stale_sessions,
            source_adjusts=settings.data_provider == "ib",
            refresh_deadline_seconds=settings.data.refresh_deadline_seconds,
            quote_warmup_seconds=settings.schedule.quote_warmup_seconds,
            snapshot_deadline_seconds=settings.ib.account_sync_timeout_seconds * 2,
        )
        self.runner = JobRunner(self.desk, jobs_of(settings), WORK, self._job_ended)
        self._performer = Performer(broker=self.broker, run_job=self._run_job, alert=self._alert)

    def _announce(self, tasks: tuple[StrategyTask, ...]) -> None:
        """The first events of every run: who we are, what is configured, when the exchange is open."""
        clock, journal = self.ports.clock, self.ports.journal
        at, tech = clock.market(), clock.technical()
        universe = tuple(sorted({symbol for task in tasks for symbol in task.needs.universe}))
        first: tuple[m.Event, ...] = (
            m.DaemonStarted(
                at=at,
                tech=tech,
                journal_id=journal.journal_id,
                account=self.account,
                mode=self.settings.mode,
                client_id=self.settings.ib.client_id,
                version=version_text(),
            ),
            m.ConfigLoaded(
                at=at,
                tech=tech,
                settings=trade_settings(self.settings, universe),
                sha256=self.loaded.source_text_sha256,
            ),
            m.CalendarLoaded(at=at, tech=tech, sessions=tuple(self.desk.sessions_around(at.date()))),
        )
        for event in first:
            self.inbox.put(event)

    async def _serve(self) -> None:
        if self.serves_http:
            from longwatch.ops.http import HttpServer, Pages
            from longwatch.ops.metrics import Metrics

            self.metrics = Metrics(lambda: self.state, self.runtime)
            pages = Pages(
                livez=lambda: health.livez(self.state, self._view()),
                readyz=lambda: health.readyz(self.state, self._view()),
                status=lambda: status_of(self.state, self._view()),
                metrics=self._render,
            )
            ops = self.settings.ops
            self._http = HttpServer(pages, host=ops.http_host, port=ops.http_port, failed=self.metrics.failed)
            self.runtime.http_address = await self._http.start()
        if self.serves_control:
            self._control = ControlServer(self.settings.ops.control_socket, self._answer, failed=self._failed)
            await self._control.start()

    async def _close(self) -> None:
        if self._control is not None:
            await self._control.close()
        if self._http is not None:
            await self._http.close()
        if hasattr(self, "broker"):
            await self.broker.close()
        await self.ports.host.close()
        await self.ports.journal.close()

    # ── what the engine and the jobs tell ───────────────────────────────────────────────────────────────────────

    def _observe(self, event: m.Event, what: Step) -> None:
        self.narrator.log(event, self.state)
        for fact in what.facts:
            self.narrator.log(fact, self.state)
            if isinstance(fact, m.JobNoted) and fact.job == TELLS_AGENDA and fact.outcome != "started":
                self.narrator.agenda(self._agenda())
        if self.metrics is not None:
            self.metrics.heard(event)
            for fact in what.facts:
                self.metrics.concluded(fact)
        self.on_step(event, what)

    def _committed(self, records: int, seconds: float) -> None:
        self.runtime.turned_at = self.ports.clock.technical()
        if self.metrics is not None:
            self.metrics.committed(records, seconds)

    def _job_ended(self, job: str, outcome: str, text: str) -> None:
        """What a job did is told by its facts, and its failure by one of them."""
        logging.getLogger("longwatch.jobs").debug("%s %s: %s", job, outcome, text)

    def _agenda(self) -> tuple[NextRun, ...]:
        return tuple(NextRun(job=job, at=at) for job, at in self.runner.agenda())

    def _run_job(self, effect: m.RunJob) -> None:
        self.runner.run_now(effect.job, effect.reason)

    def _alert(self, effect: m.RaiseAlert) -> None:
        self.alerts.raise_alert(effect)

    def _failed(self, firewall: str) -> None:
        if self.metrics is not None:
            self.metrics.failed(firewall)

    async def _render(self) -> tuple[bytes, str]:
        self._view()
        rendered: tuple[bytes, str] = await self.metrics.render()
        return rendered

    def _view(self) -> RuntimeView:
        """The runtime's view, brought up to date for whoever asks."""
        runtime, journal, clock = self.runtime, self.ports.journal, self.ports.clock
        if not self.ports.watches_lag:
            runtime.turned_at = clock.technical()
        runtime.inbox = len(self.inbox)
        runtime.alerts = self.alerts
        runtime.commit = Commit(
            sequence=journal.last_sequence, error=self.engine.journal_failure or "", at=runtime.turned_at
        )
        if hasattr(self, "runner"):
            runtime.running = self.runner.running()
            runtime.next_runs = self._agenda()
            runtime.quotes = self.broker.quotes()
        return runtime

    async def _watch_loop(self) -> None:
        """Measure by how much the loop comes late, and feed systemd's watchdog from it."""
        period = watchdog_seconds(self.environ) if self.settings.ops.watchdog else None
        every = min(LAG_SECONDS, period / 3) if period else LAG_SECONDS
        clock = self.ports.clock
        while True:
            before = clock.monotonic()
            await asyncio.sleep(every)
            self.runtime.lag_seconds = max(clock.monotonic() - before - every, 0.0)
            self.runtime.turned_at = clock.technical()
            if self.metrics is not None:
                self.metrics.lagged(self.runtime.lag_seconds)
            if period is not None:
                self.notifier.watchdog()

    # ── what people ask ─────────────────────────────────────────────────────────────────────────────────────────

    async def _answer(self, command: str, argument: str, reason: str, by: str) -> dict[str, Any]:
        """One command of the control socket. Raises LongwatchError with the reason of a refusal."""
        if command in READINGS:
            return reply_of(command, self.state, self._view())
        if command == "reload":
            return await self.reload(loosen=argument == "loosen", by=by)
        if command == "drain":
            self.stop()
            return {"ok": True, "text": "draining: nothing new is started, working orders stay with the broker"}
        at, tech = self.ports.clock.market(), self.ports.clock.technical()
        sequence = self.ports.journal.last_sequence
        self.inbox.put(m.ControlRequested(at=at, tech=tech, command=command, argument=argument, by=by, reason=reason))
        await self.engine.wait_until(lambda _: self.ports.journal.last_sequence > sequence, DRAIN_SECONDS)
        return {"ok": True, "text": f"{command}: done and journalled"}

    async def reload(self, *, loosen: bool = False, by: str = "SIGHUP") -> dict[str, Any]:
        """Read the file again; all of it is taken over, or none of it and every reason told. Raises UsageError without one."""
        if self.config_path is None:
            raise UsageError("this daemon was started without a configuration file; start it with `longwatch run FILE`")
        path = self.config_path
        self.notifier.reloading()
        outcome = await self.ports.workers.run(
            lambda: prepare(
                path,
                self.environ,
                self.settings,
                in_session=self.desk.current() is not None,
                allow_loosening=loosen,
            ),
            deadline_seconds=DRAIN_SECONDS,
        )
        tech = self.ports.clock.technical()
        reply = self._refuse(outcome, tech) if isinstance(outcome, Refused) else self._accept(outcome, by)
        self.notifier.ready("running")
        return reply

    def _refuse(self, outcome: Refused, tech: Any) -> dict[str, Any]:
        self.runtime.reload = Reload(ok=False, at=tech, text=outcome.reasons[0])
        text = "\n".join(outcome.reasons)
        self._alert(m.RaiseAlert(key="reload_refused", text=f"the old configuration runs on: {outcome.reasons[0]}"))
        return {"ok": False, "text": f"the old configuration runs on:\n{text}", "exit_code": ConfigError.exit_code}

    def _accept(self, outcome: Accepted, by: str) -> dict[str, Any]:
        changes = tuple(str(change) for change in outcome.diff.live)
        self.loaded = Loaded(
            settings=outcome.settings, warnings=outcome.warnings, source_text_sha256=outcome.source_text_sha256
        )
        at, tech = self.ports.clock.market(), self.ports.clock.technical()
        self.inbox.put(
            m.ConfigLoaded(
                at=at,
                tech=tech,
                settings=trade_settings(outcome.settings, self.state.settings.universe),
                sha256=outcome.source_text_sha256,
                changed=changes,
                by=by,
            )
        )
        text = "; ".join(changes) or "nothing has changed"
        self.runtime.reload = self.runtime.loaded = Reload(ok=True, at=tech, text=text)
        return {"ok": True, "text": text}


def build(
    loaded: Loaded,
    ports: Ports,
    *,
    config_path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    serves_http: bool = True,
    serves_control: bool = True,
    on_step: Callable[[m.Event, Step], None] = lambda event, what: None,
) -> Daemon:
    """The whole daemon, its state folded from the journal. Raises JournalError when that can't be read."""
    clock = ports.clock
    environ = os.environ if environ is None else environ
    alerts = AlertBoard(clock)
    read = Reload(ok=True, at=clock.technical(), text="read at the start")
    runtime = RuntimeView(clock=clock, version=version_text(), started_at=clock.technical(), loaded=read, reload=read)
    runtime.warnings = loaded.warnings
    return Daemon(
        loaded=loaded,
        config_path=config_path,
        environ=environ,
        ports=ports,
        account=account_of(loaded.settings),
        state=recover(ports.journal.read()),
        inbox=Inbox(),
        runtime=runtime,
        alerts=alerts,
        narrator=Narrator(),
        notifier=Notifier(environ, clock),
        serves_http=serves_http,
        serves_control=serves_control,
        on_step=on_step,
    )


def account_of(settings: Settings) -> str:
    """The account traded; a run without a broker has one of its own name."""
    return settings.account or ("D-MOCK" if settings.mode == "paper" else "MOCK")


def jobs_of(settings: Settings) -> tuple[Job, ...]:
    """The schedule of the configuration. Raises ConfigError for a trigger that can't be read."""
    return tuple(_job(name, getattr(settings.schedule, name)) for name in WORK)


def _job(name: str, settings: JobSettings) -> Job:
    return Job(
        name=name,
        trigger=parse_trigger(settings.trigger),
        deadline_seconds=settings.deadline_seconds,
        latest_start=timedelta(minutes=settings.latest_start_minutes),
    )


def version_text() -> str:
    """The installed version."""
    try:
        return version("longwatch")
    except PackageNotFoundError:
        return "not installed"


def handle_signals(daemon: Daemon) -> None:
    """SIGTERM and SIGINT drain, SIGHUP reloads."""
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[Any]] = set()

    def reload() -> None:
        if not reloads:
            task = loop.create_task(_reload(daemon), name="reload")
            reloads.add(task)
            task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGTERM, daemon.stop)
    loop.add_signal_handler(signal.SIGINT, daemon.stop)
    loop.add_signal_handler(signal.SIGHUP, reload)


async def _reload(daemon: Daemon) -> None:
    try:
        reply = await daemon.reload()
    except (LongwatchError, TimeoutError) as error:
        _LOG.error("reload: %s", error)
    else:
        _LOG.log(logging.INFO if reply["ok"] else logging.ERROR, "reload: %s", reply["text"])
