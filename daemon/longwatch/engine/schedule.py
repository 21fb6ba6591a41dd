"""Which job runs when: a state machine without a clock that the engine's loop asks at each deadline.

It holds three promises: runs of one job never overlap, a run that comes late (the machine slept, the daemon was down)
starts only up to its latest start, and every run that does not happen is reported once, with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum

from longwatch.domain.sessions import Session
from longwatch.domain.triggers import INSTANT, Due, Trigger, last_run, next_run


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What runs by the schedule: a run may take `deadline_seconds` and start up to `latest_start` after it is due."""

    name: str
    trigger: Trigger
    deadline_seconds: float
    latest_start: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class DueRun:
    """One run to start now. After a crash it may be started again under the same id, until `valid_until`."""

    job: str
    run_id: str
    due_at: datetime
    session: date | None
    valid_until: datetime
    deadline_seconds: float


SET_BACK = timedelta(minutes=1)
"""A clock that shows so much less than before was wrong then; by less, it is only being kept right."""


class Reason(Enum):
    """Why runs did not happen."""

    MISSED = "its latest start had passed, or a later run took its place"
    OVERLAPPED = "the run before it was still going"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRun:
    """The runs of one job due from `first_due_at` to `last_due_at`, that will never happen."""

    job: str
    reason: Reason
    first_due_at: datetime
    last_due_at: datetime


class Scheduler:
    """The jobs, what was last due of each, and which are running.

    `after` is the instant (UTC) up to which an earlier process has dealt with the schedule; what was due later, also
    while no process ran, is looked at by the first `due`. `sessions` are in order of time.
    """

    def __init__(self, jobs: Sequence[Job], sessions: Sequence[Session], after: datetime) -> None:
        self._jobs = {job.name: job for job in jobs}
        if len(self._jobs) != len(jobs):
            raise ValueError("two jobs have the same name")
        self._sessions = sessions
        self._done_until = dict.fromkeys(self._jobs, after)
        self._asked_at = after
        self._running: dict[str, str] = {}
        self._not_run: list[NotRun] = []

    def due(self, now: datetime) -> list[DueRun]:
        """The runs to start at `now`, in order of their due times; each occupies its job until `finished`.

        Of several runs of one job that have become due only the last is started. When the clock has been set back, the
        schedule goes on from where it now stands, and not from where it stood by mistake.
        """
        if now < self._asked_at - SET_BACK:
            self._done_until = {name: min(done, now) for name, done in self._done_until.items()}
        self._asked_at = now
        runs = [run for job in self._jobs.values() if (run := self._due_of(job, now)) is not None]
        for run in runs:
            self._running[run.job] = run.run_id
        return sorted(runs, key=lambda run: run.due_at)

    def next_at(self, now: datetime) -> datetime | None:
        """When `due` is to be asked next, `now` at the earliest; None when the sessions known hold no further run."""
        agenda = self.agenda()
        return max(agenda[0][1].at, now) if agenda else None

    def agenda(self) -> list[tuple[str, Due]]:
        """The next run of every job, soonest first."""
        following = [
            (name, due)
            for name, job in self._jobs.items()
            if (due := next_run(job.trigger, self._done_until[name], self._sessions)) is not None
        ]
        return sorted(following, key=lambda entry: entry[1].at)

    def started(self, run_id: str) -> None:
        """A run is going that this scheduler did not start: one taken up again after a crash.

        Raises ValueError when its job is unknown.
        """
        name = run_id.rpartition("@")[0]
        if name not in self._jobs:
            raise ValueError(f"the run {run_id} belongs to no job of the schedule")
        self._running[name] = run_id

    def finished(self, run_id: str) -> None:
        """A run has ended, however; the end of a run that no longer occupies its job changes nothing."""
        name = run_id.rpartition("@")[0]
        if self._running.get(name) == run_id:
            del self._running[name]

    def take_not_run(self) -> list[NotRun]:
        """What has been found not to run since the last call; each run is in one report only."""
        taken, self._not_run = self._not_run, []
        return taken

    def set_sessions(self, sessions: Sequence[Session]) -> None:
        """Go on with a longer or corrected calendar; what was dealt with is not looked at again."""
        self._sessions = sessions

    def _due_of(self, job: Job, now: datetime) -> DueRun | None:
        first = next_run(job.trigger, self._done_until[job.name], self._sessions)
        if first is None or first.at > now:
            return None
        last = last_run(job.trigger, now, self._sessions) or first
        self._done_until[job.name] = last.at
        if job.name in self._running:
            self._report(job, Reason.OVERLAPPED, first, last)
            return None
        if now > last.at + job.latest_start:
            self._report(job, Reason.MISSED, first, last)
            return None
        if first.at < last.at:
            self._report(job, Reason.MISSED, first, last_run(job.trigger, last.at - INSTANT, self._sessions) or first)
        return DueRun(
            job=job.name,
            run_id=run_id(job.name, last.at),
            due_at=last.at,
            session=last.session,
            valid_until=last.at + job.latest_start,
            deadline_seconds=job.deadline_seconds,
        )

    def _report(self, job: Job, reason: Reason, first: Due, last: Due) -> None:
        self._not_run.append(NotRun(job=job.name, reason=reason, first_due_at=first.at, last_due_at=last.at))


def run_id(job: str, due_at: datetime) -> str:
    """The name of one run, the same in every process: `rebalance@2007-11-23T14:35:00+00:00`."""
    return f"{job}@{due_at.isoformat()}"
