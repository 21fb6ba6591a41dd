"""The scheduled jobs, one a module, each a coroutine of (desk, run) that answers with one line; named here."""

from __future__ import annotations

from datetime import timedelta

from longwatch.config.schema import JobSettings, Settings
from longwatch.domain.triggers import parse_trigger
from longwatch.engine.jobs.rebalance import rebalance
from longwatch.engine.jobs.reconcile import reconcile
from longwatch.engine.jobs.refresh import refresh
from longwatch.engine.jobs.signals import signals
from longwatch.engine.schedule import Job

WORK = {"refresh": refresh, "signals": signals, "rebalance": rebalance, "reconcile": reconcile, "end_of_day": reconcile}


def jobs_of(settings: Settings) -> tuple[Job, ...]:
    """The configuration's schedule. Raises ConfigError for a trigger that can't be read."""
    return tuple(_job(name, getattr(settings.schedule, name)) for name in WORK)


def _job(name: str, settings: JobSettings) -> Job:
    return Job(
        name=name,
        trigger=parse_trigger(settings.trigger),
        deadline_seconds=settings.deadline_seconds,
        latest_start=timedelta(minutes=settings.latest_start_minutes),
    )
