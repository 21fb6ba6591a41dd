"""Looks on: tells log, metrics and status what the engine and the jobs do; made by the app for pages and control."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from longwatch.clock import Clock
from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.domain.state import State
from longwatch.engine.loop import Engine
from longwatch.engine.runner import JobRunner
from longwatch.journal.records import Journal
from longwatch.ops.alerts import AlertBoard
from longwatch.ops.narrate import Narrator
from longwatch.ops.runtime import Commit, NextRun, RuntimeView
from longwatch.ops.systemd import Notifier, watchdog_seconds
from longwatch.ports import Broker

if TYPE_CHECKING:
    from longwatch.ops.metrics import Metrics

LAG_SECONDS = 0.5
TELLS_AGENDA = "signals"
"""After this job, once a day, the log says what runs next, and the journal's anchor."""

_JOURNAL = logging.getLogger("longwatch.journal")
_JOBS = logging.getLogger("longwatch.jobs")


@dataclass(slots=True, kw_only=True)
class Watch:
    """One daemon seen from outside its flow; nothing here changes what is decided.

    `engine`, `runner` and `broker` are set as they come to be. Without `measures_lag` (in virtual time, where the loop
    is never late) it counts as turning whenever somebody looks.
    """

    state: State
    clock: Clock
    journal: Journal
    runtime: RuntimeView
    alerts: AlertBoard
    narrator: Narrator
    on_step: Callable[[m.Event, Step], None]
    measures_lag: bool
    metrics: Metrics | None = None
    engine: Engine | None = None
    runner: JobRunner | None = None
    broker: Broker | None = None

    def observe(self, event: m.Event, what: Step) -> None:
        """An event has been decided on, and what came of it is durable."""
        if isinstance(event, m.DaemonStarted):
            self.runtime.starting = ""
        self.narrator.log(event, self.state)
        for fact in what.facts:
            self.narrator.log(fact, self.state)
            if isinstance(fact, m.JobNoted) and fact.job == TELLS_AGENDA and fact.outcome != "started":
                self.narrator.agenda(self._agenda())
                self._tell_anchor()
        if self.metrics is not None:
            self.metrics.heard(event)
            for fact in what.facts:
                self.metrics.concluded(fact)
        self.on_step(event, what)

    def committed(self, records: int, seconds: float) -> None:
        """So many records became durable in so many seconds."""
        self.runtime.turned_at = self.clock.technical()
        if self.metrics is not None:
            self.metrics.committed(records, seconds)

    def job_ended(self, job: str, outcome: str, text: str) -> None:
        """A run of a job ended: what it did is told by its facts, and its failure by one of them."""
        _JOBS.debug("%s %s: %s", job, outcome, text)

    def raise_alert(self, effect: m.RaiseAlert) -> None:
        """Put an alert on the board."""
        self.alerts.raise_alert(effect)

    def failed(self, firewall: str) -> None:
        """Count what a firewall stopped."""
        if self.metrics is not None:
            self.metrics.failed(firewall)

    async def scrape(self) -> tuple[bytes, str]:
        """The metrics page and its content type."""
        self.view()
        return (b"", "text/plain") if self.metrics is None else await self.metrics.render()

    def view(self) -> RuntimeView:
        """The process as it is now, for whoever asks."""
        runtime = self.runtime
        if not self.measures_lag:
            runtime.turned_at = self.clock.technical()
        runtime.alerts = self.alerts
        if self.engine is not None:
            runtime.inbox = len(self.engine.inbox)
            error = self.engine.journal_failure or ""
            runtime.commit = Commit(sequence=self.journal.last_sequence, error=error, at=runtime.turned_at)
        if self.runner is not None:
            runtime.running = self.runner.running()
            runtime.next_runs = self._agenda()
        if self.broker is not None:
            runtime.quotes = self.broker.quotes()
        return runtime

    def _tell_anchor(self) -> None:
        """Say where the journal's hash chain stands: a copy kept elsewhere proves later that nothing was changed."""
        anchor = self.journal.anchor
        self.runtime.anchor = anchor.sequence, anchor.hash.hex()
        _JOURNAL.info("anchor %s", anchor)

    def _agenda(self) -> tuple[NextRun, ...]:
        runs = self.runner.agenda() if self.runner is not None else ()
        return tuple(NextRun(job=job, at=at) for job, at in runs)

    async def measure_lag(self, notifier: Notifier, environ: Mapping[str, str], *, feeds_watchdog: bool) -> None:
        """Measure by how much the loop comes late, and feed systemd's watchdog from it, until cancelled."""
        if not self.measures_lag:
            return
        period = watchdog_seconds(environ) if feeds_watchdog else None
        every = min(LAG_SECONDS, period / 3) if period else LAG_SECONDS
        self.runtime.turned_at = self.clock.technical()
        while True:
            before = self.clock.monotonic()
            await asyncio.sleep(every)
            self.runtime.lag_seconds = max(self.clock.monotonic() - before - every, 0.0)
            self.runtime.turned_at = self.clock.technical()
            if self.metrics is not None:
                self.metrics.lagged(self.runtime.lag_seconds)
            if period is not None:
                notifier.watchdog()
