"""What the running process knows besides the state: filled in by the app, read by status, health and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version

from longwatch.clock import Clock
from longwatch.domain.quotes import Quote
from longwatch.ops.alerts import AlertBoard


@dataclass(frozen=True, slots=True, kw_only=True)
class NextRun:
    """When a job runs next, in market time."""

    job: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reload:
    """How a reading of the configuration ended, at technical time `at`; `text` is the first mistake, or the changes."""

    ok: bool
    at: datetime
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Where the journal stands: the last durable sequence number, and the error that keeps it from being written."""

    sequence: int = 0
    records: int = 0
    error: str = ""
    at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class RuntimeView:
    """The process now. The app assigns new values; nobody else does. Times are technical unless said otherwise."""

    clock: Clock
    version: str = ""
    started_at: datetime | None = None
    starting: str = ""
    """What is still done before this process is at work; until then the state is that of the process before it."""
    turned_at: datetime | None = None
    """When the engine's loop last came round."""
    lag_seconds: float = 0.0
    inbox: int = 0
    queues: Mapping[str, int] = field(default_factory=dict)
    """Messages waiting in the budget, by priority."""
    running: tuple[str, ...] = ()
    """Jobs under way."""
    next_runs: tuple[NextRun, ...] = ()
    loaded: Reload | None = None
    """The last reading that was taken over; `reload` may be a later one that was not."""
    reload: Reload | None = None
    commit: Commit = field(default_factory=Commit)
    anchor: tuple[int, str] | None = None
    """The journal's anchor last told: sequence and hash."""
    quotes: tuple[Quote, ...] = ()
    http_address: str = ""
    gateway_address: str = ""
    warnings: tuple[str, ...] = ()
    """What the configuration's reader thought worth saying."""
    alerts: AlertBoard | None = None


def version_text() -> str:
    """The installed version."""
    try:
        return version("longwatch")
    except PackageNotFoundError:
        return "not installed"
