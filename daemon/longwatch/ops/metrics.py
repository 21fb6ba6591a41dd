"""The metrics: counters fed by the engine, gauges read from the state at each scrape; made by the app, served by http.

Names start with `longwatch_`, units are base units, money is in the account's base currency. Counters of orders, clamps
and refusals are the journal's and survive a restart; the others count since the process started.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from longwatch.domain import messages as m
from longwatch.domain.state import State
from longwatch.ops.gauges import FAMILIES, Family
from longwatch.ops.runtime import RuntimeView

FIREWALLS = ("task", "control", "scrape", "notifier")

_LAG_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_COMMIT_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 1.0)
_JOB_BUCKETS = (0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0)
_ENDED = frozenset({"finished", "failed"})


class Metrics:
    """Everything Prometheus may read of one daemon, on a registry of its own."""

    def __init__(self, state: Callable[[], State], runtime: RuntimeView) -> None:
        self.registry = CollectorRegistry()
        self._counters = _Counters(self.registry)
        self._started: dict[str, datetime] = {}
        self._connected = False
        self.registry.register(_StateCollector(state, runtime))

    def heard(self, event: m.Event) -> None:
        """Count an event taken from the inbox."""
        self._counters.events.labels(_snake(type(event).__name__)).inc()
        reading = _OF_EVENT.get(type(event))
        if reading is not None:
            reading(self, event)

    def concluded(self, fact: m.Fact) -> None:
        """Count a fact that has been folded."""
        reading = _OF_FACT.get(type(fact))
        if reading is not None:
            reading(self, fact)

    def committed(self, records: int, seconds: float) -> None:
        """Count a commit of the journal: how many records, how long it took."""
        self._counters.commits.inc()
        self._counters.records.inc(records)
        self._counters.commit_seconds.observe(seconds)

    def lagged(self, seconds: float) -> None:
        """Note by how much a timer of the loop came late."""
        self._counters.lag.observe(seconds)

    def failed(self, firewall: str) -> None:
        """Count an exception that one of the four firewalls stopped."""
        self._counters.firewall.labels(firewall).inc()

    async def render(self) -> tuple[bytes, str]:
        """The exposition and its content type, family by family, so that no scrape holds the loop up."""
        parts = []
        for family in self.registry.collect():
            parts.append(generate_latest(_One(family)))
            await asyncio.sleep(0)
        return b"".join(parts), CONTENT_TYPE_LATEST

    def _link_up(self, event: m.LinkUp) -> None:
        if self._connected:
            self._counters.reconnects.inc()
        self._connected = True

    def _job_seen(self, event: m.JobSeen) -> None:
        self._counters.jobs.labels(event.job, event.outcome).inc()
        if event.outcome == "started":
            self._started[event.job] = event.tech
        elif event.outcome in _ENDED and (since := self._started.pop(event.job, None)) is not None:
            self._counters.job_seconds.labels(event.job).observe((event.tech - since).total_seconds())

    def _fill_booked(self, fact: m.FillBooked) -> None:
        self._counters.fills.labels("other" if fact.intent is None else fact.side.value.lower()).inc()

    def _book_compared(self, fact: m.BookCompared) -> None:
        self._counters.comparisons.inc()
        self._counters.differences.inc(len(fact.differences))

    def _link_moved(self, fact: m.LinkMoved) -> None:
        self._counters.link_transitions.labels(fact.link.value).inc()

    def _commission_booked(self, fact: m.CommissionBooked) -> None:
        self._counters.commissions.labels(fact.currency).inc(float(fact.commission))

    def _quarantine_set(self, fact: m.QuarantineSet) -> None:
        self._counters.quarantines.inc()

    def _strategy_faulted(self, fact: m.StrategyFaulted) -> None:
        self._counters.strategy_faults.labels(fact.strategy).inc()

    def _snapshot_failed(self, fact: m.SnapshotFailed) -> None:
        for part, _ in fact.failures:
            self._counters.snapshot_failures.labels(part).inc()


_OF_EVENT = cast(
    "dict[type, Callable[[Metrics, Any], None]]",
    {m.LinkUp: Metrics._link_up, m.JobSeen: Metrics._job_seen},
)

_OF_FACT = cast(
    "dict[type, Callable[[Metrics, Any], None]]",
    {
        m.FillBooked: Metrics._fill_booked,
        m.BookCompared: Metrics._book_compared,
        m.LinkMoved: Metrics._link_moved,
        m.CommissionBooked: Metrics._commission_booked,
        m.QuarantineSet: Metrics._quarantine_set,
        m.StrategyFaulted: Metrics._strategy_faulted,
        m.SnapshotFailed: Metrics._snapshot_failed,
    },
)


@dataclass(init=False, slots=True)
class _Counters:
    """The counters, gauges and histograms that the engine feeds."""

    events: Counter
    fills: Counter
    commissions: Gauge
    link_transitions: Counter
    reconnects: Counter
    comparisons: Counter
    differences: Counter
    snapshot_failures: Counter
    quarantines: Counter
    strategy_faults: Counter
    jobs: Counter
    job_seconds: Histogram
    firewall: Counter
    commits: Counter
    records: Counter
    commit_seconds: Histogram
    lag: Histogram

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"longwatch_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"longwatch_{name}", text, labels, registry=registry, buckets=buckets)

        self.events = counter("events_total", "Events taken from the inbox.", "kind")
        self.fills = counter("fills_total", "Executions booked: buy, sell, or other people's.", "side")
        # A rebate is a negative commission, so the sum may fall: a gauge.
        self.commissions = Gauge(
            "longwatch_commissions", "Commissions booked since the start.", ("currency",), registry=registry
        )
        self.link_transitions = counter("link_transitions_total", "Moves of the connection into a state.", "state")
        self.reconnects = counter("reconnects_total", "Connections made after the first.")
        self.comparisons = counter("reconciliations_total", "Account downloads compared with the book.")
        self.differences = counter("reconciliation_differences_total", "Differences found between book and account.")
        self.snapshot_failures = counter("snapshot_failures_total", "Parts of account downloads that failed.", "part")
        self.quarantines = counter("quarantines_total", "Instruments put into quarantine.")
        self.strategy_faults = counter(
            "strategy_faults_total", "Runs of a strategy without usable targets.", "strategy"
        )
        self.jobs = counter("jobs_total", "Changes of scheduled jobs.", "job", "outcome")
        self.job_seconds = histogram("job_duration_seconds", "Time from a job's start to its end.", _JOB_BUCKETS, "job")
        self.firewall = counter("firewall_failures_total", "Unforeseen exceptions stopped at a firewall.", "firewall")
        self.commits = counter("journal_commits_total", "Commits of the journal.")
        self.records = counter("journal_records_total", "Records written to the journal.")
        self.commit_seconds = histogram("journal_commit_seconds", "Time of a durable commit.", _COMMIT_BUCKETS)
        self.lag = histogram("loop_lag_seconds", "Lateness of the event loop's timers.", _LAG_BUCKETS)
        for name in FIREWALLS:
            self.firewall.labels(name)


class _StateCollector(Collector):
    """Turns the table of families into metrics, each read whole at the moment of its turn."""

    def __init__(self, state: Callable[[], State], runtime: RuntimeView) -> None:
        self._state = state
        self._runtime = runtime

    def collect(self) -> Iterator[Metric]:
        for family in FAMILIES:
            yield _metric(family, self._state(), self._runtime)

    def describe(self) -> list[Metric]:
        """The families without samples: enough for the registry to find two of one name."""
        return [Metric(family.name, family.text, family.kind) for family in FAMILIES]


def _metric(family: Family, state: State, runtime: RuntimeView) -> Metric:
    name = family.name + ("_total" if family.kind == "counter" else "")
    metric = Metric(family.name, family.text, family.kind)
    for labels, value in family.read(state, runtime):
        metric.add_sample(name, dict(zip(family.labels, labels, strict=True)), float(value))
    return metric


class _One(Collector):
    """A collector of one family that has been read."""

    def __init__(self, family: Metric) -> None:
        # The `_created` series would double every counter, to say what longwatch_start_timestamp_seconds says once.
        family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
        self._family = family

    def collect(self) -> Iterable[Metric]:
        return (self._family,)


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
