"""The composition root: the daemon is built, started, drained and stopped here; called by production, demo and tests.

`build` makes the whole daemon from settings and ports. What simulation replaces stands in `Ports`, and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from longwatch.clock import Clock
from longwatch.config.load import Loaded
from longwatch.config.schema import Settings
from longwatch.config.trade import account_of, trade_settings
from longwatch.data.cache import Cache
from longwatch.data.factory import provider, windows_of
from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.domain.misnamed import held_symbols
from longwatch.domain.state import State
from longwatch.engine.desk import Desk, StrategyTask
from longwatch.engine.inbox import Inbox
from longwatch.engine.jobs import WORK, jobs_of
from longwatch.engine.loop import Engine
from longwatch.engine.perform import Performer
from longwatch.engine.runner import JobRunner
from longwatch.engine.strategies import strategy_tasks, universe_of, universes_of
from longwatch.engine.upkeep import keep_up
from longwatch.journal.checkpoints import LEAST_RECORDS, recovered
from longwatch.journal.records import Journal
from longwatch.ops.alerts import AlertBoard
from longwatch.ops.answers import Answers
from longwatch.ops.doors import Doors
from longwatch.ops.narrate import Narrator
from longwatch.ops.process import unless_stopped
from longwatch.ops.runtime import Reload, RuntimeView, version_text
from longwatch.ops.systemd import Notifier
from longwatch.ops.watch import Watch
from longwatch.ports import Broker, BrokerNeeds, Calendar, Workers
from longwatch.strategies.host import Host

DRAIN_SECONDS = 15.0

_LOG = logging.getLogger("longwatch.app")


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
    watch: Watch = field(init=False)
    answers: Answers = field(init=False)
    broker: Broker = field(init=False)
    runner: JobRunner = field(init=False)
    desk: Desk = field(init=False)
    _performer: Performer = field(init=False)
    _stop: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _doors: Doors = field(init=False)

    def __post_init__(self) -> None:
        self.watch = self._watching()
        self.engine = self.watch.engine = Engine(
            state=self.state,
            journal=self.ports.journal,
            inbox=self.inbox,
            clock=self.ports.clock,
            perform=self._perform,
            observe=self.watch.observe,
            committed=self.watch.committed,
        )
        self.answers = self._answering()
        self._doors = Doors(
            ops=self.settings.ops,
            watch=self.watch,
            answers=self.answers,
            workers=self.ports.workers,
            journal=self.ports.journal.path,
        )

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.answers.loaded.settings

    async def run(self) -> None:
        """The daemon's whole life: serve, say READY, find out what strategies need, work, drain."""
        await self._doors.open(http=self.serves_http, control=self.serves_control)
        self.notifier.ready("journal folded; connecting")
        try:
            async with asyncio.TaskGroup() as group:
                # Strategies may load for long, and systemd's watchdog wants to be fed meanwhile.
                lag = self.watch.measure_lag(self.notifier, self.environ, feeds_watchdog=self.settings.ops.watchdog)
                looking = group.create_task(lag, name="lag")
                tasks = await unless_stopped(self._stop, self._tasks())
                if tasks is not None:
                    await self._work(tasks)
                looking.cancel()
        finally:
            await self._close()

    def stop(self) -> None:
        """Begin to drain; `run` returns when that is done."""
        self.notifier.stopping("draining")
        self._stop.set()

    async def reload(self, *, loosen: bool = False, by: str = "SIGHUP") -> dict[str, Any]:
        """Read the configuration again, whole or not at all. Raises UsageError without a file."""
        return await self.answers.reload(loosen=loosen, by=by)

    async def _work(self, tasks: tuple[StrategyTask, ...]) -> None:
        self._assemble(tasks)
        self._announce(tasks)
        upkeep = keep_up(self.ports.journal, self.state, self.ports.clock, lambda: self.settings.journal)
        async with asyncio.TaskGroup() as group:
            working = [
                group.create_task(self.engine.run(), name="engine"),
                group.create_task(self.broker.run(), name="link"),
                group.create_task(self.runner.run(), name="jobs"),
                group.create_task(upkeep, name="upkeep"),
            ]
            if self._doors.halt_file is not None:
                working.append(group.create_task(self._doors.halt_file.watch(), name="halt-file"))
            if self.state.equity is None:
                self.runner.run_now("signals", "first start")
            await self._stop.wait()
            await self._drain()
            for task in working:
                task.cancel()

    async def _drain(self) -> None:
        """Start nothing more, let what is under way reach the journal; working orders stay with the broker."""
        self.runner.drain()
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                # Inbox, journal and jobs share no event that could be awaited instead.
                while not self.engine.is_idle or self.runner.is_ending():  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        except TimeoutError:
            _LOG.warning("not everything under way ended within %g s; it is taken up at the next start", DRAIN_SECONDS)
        self.engine.checkpoint(LEAST_RECORDS)

    # ── set-up ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _tasks(self) -> tuple[StrategyTask, ...]:
        folder = self.config_path.resolve().parent if self.config_path else None
        return await strategy_tasks(self.settings, self.ports.host, folder, self._strategy_failed)

    def _strategy_failed(self, name: str, reason: str) -> None:
        at, tech = self.ports.clock.market(), self.ports.clock.technical()
        failed = m.StrategyFailed(at=at, tech=tech, run_id="start", strategy=name, session=at.date(), reason=reason)
        self.inbox.put(failed)

    def _assemble(self, tasks: tuple[StrategyTask, ...]) -> None:
        settings, ports = self.settings, self.ports
        universe = tuple(sorted({*universe_of(tasks), *held_symbols(self.state)}))
        self.broker = ports.broker(
            BrokerNeeds(
                settings=settings,
                state=self.state,
                account=self.account,
                universe=universe,
                sink=self.inbox.put,
                gate=lambda intent: self.engine.may_send(intent, self.broker.quotes),
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
            windows=windows_of(settings.data),
            source_adjusts=settings.data_provider == "ib",
            refresh_deadline_seconds=settings.data.refresh_deadline_seconds,
            quote_warmup_seconds=settings.schedule.quote_warmup_seconds,
            snapshot_deadline_seconds=settings.ib.account_sync_timeout_seconds * 2,
        )
        self.runner = JobRunner(self.desk, jobs_of(settings), WORK, self.watch.job_ended)
        self.watch.broker, self.watch.runner = self.broker, self.runner
        self._performer = Performer(broker=self.broker, run_job=self._run_job, alert=self.watch.raise_alert)

    def _perform(self, effect: m.Effect) -> None:
        self._performer(effect)

    def _run_job(self, effect: m.RunJob) -> None:
        self.runner.run_now(effect.job, effect.reason)

    def _watching(self) -> Watch:
        return Watch(
            state=self.state,
            clock=self.ports.clock,
            journal=self.ports.journal,
            runtime=self.runtime,
            alerts=self.alerts,
            narrator=self.narrator,
            on_step=self.on_step,
            measures_lag=self.ports.watches_lag,
        )

    def _answering(self) -> Answers:
        return Answers(
            loaded=self.loaded,
            config_path=self.config_path,
            environ=self.environ,
            clock=self.ports.clock,
            workers=self.ports.workers,
            engine=self.engine,
            watch=self.watch,
            notifier=self.notifier,
            stop=self.stop,
        )

    def _announce(self, tasks: tuple[StrategyTask, ...]) -> None:
        """The first events of every run: who we are, what is configured, when the exchange is open."""
        clock, journal = self.ports.clock, self.ports.journal
        at, tech = clock.market(), clock.technical()
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
                settings=trade_settings(self.settings, universe_of(tasks), universes_of(tasks)),
                sha256=self.answers.loaded.source_text_sha256,
            ),
            m.CalendarLoaded(at=at, tech=tech, sessions=tuple(self.desk.sessions_around(at.date()))),
        )
        for event in first:
            self.inbox.put(event)

    async def _close(self) -> None:
        await self._doors.close()
        if hasattr(self, "broker"):
            await self.broker.close()
        await self.ports.host.close()
        await self.ports.journal.close()


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
    runtime.warnings, runtime.starting = loaded.warnings, "the strategies are loading"
    return Daemon(
        loaded=loaded,
        config_path=config_path,
        environ=environ,
        ports=ports,
        account=account_of(loaded.settings),
        state=recovered(ports.journal).state,
        inbox=Inbox(),
        runtime=runtime,
        alerts=alerts,
        narrator=Narrator(),
        notifier=Notifier(environ, clock),
        serves_http=serves_http,
        serves_control=serves_control,
        on_step=on_step,
    )
