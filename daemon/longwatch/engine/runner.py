"""Starts jobs when they are due or asked for, one run of each at a time, each in a named task with a deadline.

Those that need the gateway wait for it, and those worth it are tried again, both up to their latest start.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from longwatch.domain import messages as m
from longwatch.domain.order_life.evidence import FLATTEN, SELLS_ENDED
from longwatch.domain.sessions import Session
from longwatch.engine.desk import Desk, Run
from longwatch.engine.schedule import DueRun, Job, NotRun, Reason, Scheduler, run_id
from longwatch.errors import LongwatchError

Work = Callable[[Desk, Run], Awaitable[str]]

CALM = frozenset({"reconcile"})
"""Jobs so frequent that only their failures are journalled."""
LINKED = frozenset({"refresh", "signals"})
"""Jobs that wait for the link."""
AFTER = {"signals": frozenset({"refresh"}), "rebalance": frozenset({"signals"})}
"""Jobs that by the schedule come after others: they let these end."""
TRIED_AGAIN = frozenset({"refresh"})
"""Jobs of which a run that failed is tried again."""

LONGEST_SLEEP_SECONDS = 3600.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 60.0, 900.0
CALENDAR_LEFT = timedelta(days=20)

_LOG = logging.getLogger("longwatch.jobs")


class JobRunner:
    """Owner of the schedule. `narrate` is told (job, outcome, text) of every run's end, journalled or not."""

    def __init__(
        self,
        desk: Desk,
        jobs: tuple[Job, ...],
        work: Mapping[str, Work],
        narrate: Callable[[str, str, str], None],
    ) -> None:
        self.crashed = 0
        self._desk = desk
        self._work = work
        self._narrate = narrate
        self._waiting: set[str] = set()
        self._hurries: dict[str, asyncio.Future[None]] = {}
        self._latest = {job.name: job for job in jobs}
        self._again: dict[str, str] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        now = desk.clock.market()
        behind = max((job.latest_start for job in jobs), default=timedelta(0))
        self._fresh = not desk.state.jobs
        self._sessions: tuple[Session, ...] = ()
        self._scheduler = Scheduler(jobs, desk.sessions_around(now.date()), now - behind)
        self._draining = False

    async def run(self) -> None:
        """Start what is due until cancelled; running jobs are cancelled with it."""
        try:
            while True:
                self._start_due()
                self._wake.clear()
                try:
                    async with asyncio.timeout(self._sleep_seconds()):
                        await self._wake.wait()
                except TimeoutError:
                    continue
        finally:
            for task in list(self._running.values()):
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    def run_now(self, job: str, reason: str) -> None:
        """Run a job beside its schedule; while it runs already, once more right after.

        A run that waits for other jobs does not keep anybody from closing everything: it goes ahead at once.
        """
        if job in self._running:
            self._again[job] = reason
            hurried = self._hurries.get(job)
            if reason == FLATTEN and hurried is not None and not hurried.done():
                hurried.set_result(None)
            return
        now = self._desk.clock.market()
        if self._draining or job not in self._latest:
            return
        spec = self._latest[job]
        run = Run(job=job, run_id=run_id(job, now), due_at=now, valid_until=now + spec.latest_start, reason=reason)
        self._scheduler.started(run.run_id)
        self._start(run, spec.deadline_seconds)

    def drain(self) -> None:
        """Start nothing more."""
        self._draining = True

    def agenda(self) -> tuple[tuple[str, datetime], ...]:
        """The next run of every job, soonest first, market time."""
        return tuple((name, due.at) for name, due in self._scheduler.agenda())

    def running(self) -> tuple[str, ...]:
        """Names of the jobs that run now."""
        return tuple(sorted(self._running))

    def is_ending(self) -> bool:
        """Whether a job runs whose end is worth waiting for: a rebalance may wait long, and without a link all do."""
        linked = self._desk.state.link is m.Link.READY
        return linked and any(job != "rebalance" and job not in self._waiting for job in self._running)

    def _start_due(self) -> None:
        now = self._desk.clock.market()
        self._extend_calendar(now)
        for due in self._scheduler.due(now):
            if self._draining or due.run_id in self._desk.state.jobs_done:
                self._scheduler.finished(due.run_id)
                continue
            self._start(_run_of(due), due.deadline_seconds)
        for not_run in self._scheduler.take_not_run():
            if not self._fresh:
                self._report(not_run)
        self._fresh = False

    def _extend_calendar(self, now: datetime) -> None:
        """Keep the sessions known to the state reaching well ahead."""
        known = self._sessions
        if known and known[0].open_at <= now and known[-1].close_at - now > CALENDAR_LEFT:
            return
        sessions = self._sessions = tuple(self._desk.sessions_around(now.date()))
        self._scheduler.set_sessions(sessions)
        self._desk.engine.inbox.put(m.CalendarLoaded(at=now, tech=self._desk.clock.technical(), sessions=sessions))

    def _report(self, not_run: NotRun) -> None:
        outcome = "missed" if not_run.reason is Reason.MISSED else "skipped"
        self._note(not_run.job, run_id(not_run.job, not_run.last_due_at), outcome, not_run.reason.value)

    def _start(self, run: Run, deadline_seconds: float) -> None:
        if run.job not in CALM:
            self._put(run.job, run.run_id, "started", run.reason, run.valid_until)
        task = asyncio.get_running_loop().create_task(self._guard(run, deadline_seconds), name=f"job-{run.job}")
        self._running[run.job] = task

    async def _guard(self, run: Run, deadline_seconds: float) -> None:
        """Wait for what the run needs, and try until it is done or too late; its end is told, however it comes."""
        outcome, text, pause = "failed", "cancelled", FIRST_PAUSE_SECONDS
        try:
            while True:
                await self._its_turn(run)
                outcome, text = await self._attempt(run, deadline_seconds)
                if outcome == "finished" or run.job not in TRIED_AGAIN or not self._has_time(run, pause):
                    return
                if run.attempt == 1:
                    self._note(run.job, run.run_id, outcome, f"{text}; it is tried again", run.valid_until)
                await self._pause(run.job, pause)
                run, pause = replace(run, attempt=run.attempt + 1), min(2 * pause, LONGEST_PAUSE_SECONDS)
        finally:
            self._ended(run, outcome, text)

    async def _its_turn(self, run: Run) -> None:
        """Until the jobs before it have ended and there is a link, at the longest until the run's latest start.

        Closing everything, and what follows from orders that have ended, wait for no other job.
        """
        self._waiting.add(run.job)
        try:
            if run.reason not in (FLATTEN, SELLS_ENDED):
                await self._let_end(run, {self._running[job] for job in AFTER.get(run.job, ()) if job in self._running})
            if run.job in LINKED:
                await self._desk.engine.wait_until(lambda state: state.link is m.Link.READY, self._left(run))
        finally:
            self._waiting.discard(run.job)

    async def _let_end(self, run: Run, before: set[asyncio.Task[None]]) -> None:
        hurried = self._hurries[run.job] = asyncio.get_running_loop().create_future()
        try:
            while before and not hurried.done() and (left := self._left(run)):
                await asyncio.wait({*before, hurried}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                before = {task for task in before if not task.done()}
        finally:
            del self._hurries[run.job]

    def _left(self, run: Run) -> float:
        return max(self._desk.clock.seconds_until(run.valid_until), 0.0)

    def _has_time(self, run: Run, seconds: float) -> bool:
        """Whether the run may go on after a pause.

        Market time that a gateway sets may step back by years: a run of a day that has not come holds nobody up.
        """
        window = self._desk.clock.seconds_until(self._desk.clock.market() + self._latest[run.job].latest_start)
        return seconds < self._left(run) <= window

    async def _pause(self, job: str, seconds: float) -> None:
        self._waiting.add(job)
        try:
            await asyncio.sleep(seconds)
        finally:
            self._waiting.discard(job)

    async def _attempt(self, run: Run, deadline_seconds: float) -> tuple[str, str]:
        """The edge of every job: whatever happens inside ends here, counted."""
        try:
            async with asyncio.timeout(deadline_seconds):
                return "finished", await self._work[run.job](self._desk, run)
        except TimeoutError:
            return "failed", f"not done within its deadline of {deadline_seconds:g} s"
        except LongwatchError as error:
            return "failed", str(error)
        except Exception as error:  # noqa: BLE001 - firewall "task": a job may raise anything
            self.crashed += 1
            _LOG.exception("job %s failed", run.run_id)
            return "failed", f"{type(error).__name__}: {error}"

    def _ended(self, run: Run, outcome: str, text: str) -> None:
        self._running.pop(run.job, None)
        self._scheduler.finished(run.run_id)
        self._note(run.job, run.run_id, outcome, text, run.valid_until)
        self._wake.set()
        if run.job in self._again:
            self.run_now(run.job, self._again.pop(run.job))

    def _note(self, job: str, name: str, outcome: str, text: str, valid_until: datetime | None = None) -> None:
        if job not in CALM or outcome == "failed":
            self._put(job, name, outcome, text, valid_until)
        self._narrate(job, outcome, text)

    def _put(self, job: str, name: str, outcome: str, text: str, valid_until: datetime | None) -> None:
        at, tech = self._desk.clock.market(), self._desk.clock.technical()
        self._desk.engine.inbox.put(
            m.JobSeen(at=at, tech=tech, job=job, run_id=name, outcome=outcome, text=text, valid_until=valid_until)
        )

    def _sleep_seconds(self) -> float:
        due = self._scheduler.next_at(self._desk.clock.market())
        if due is None:
            return LONGEST_SLEEP_SECONDS
        return min(max(self._desk.clock.seconds_until(due), 0.0), LONGEST_SLEEP_SECONDS)


def _run_of(due: DueRun) -> Run:
    return Run(job=due.job, run_id=due.run_id, due_at=due.due_at, valid_until=due.valid_until)
