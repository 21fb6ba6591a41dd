"""The metrics: what a scrape says, that Prometheus can read it, and that it lets the loop go on."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

from prometheus_client.parser import text_string_to_metric_families

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.quotes import Quote
from longwatch.domain.state import State
from longwatch.ops.metrics import Metrics
from longwatch.ops.runtime import Commit, Reload, RuntimeView
from tests.ops.made import AAPL, NOW, HandClock, fill, ready_state, runtime_of, traded_state

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def scrape(metrics: Metrics) -> Samples:
    body, content_type = await metrics.render()
    assert content_type.startswith("text/plain")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((f"longwatch_{name}", frozenset(labels.items())))


def of(state: State, runtime: RuntimeView | None = None) -> Metrics:
    return Metrics(lambda: state, runtime or runtime_of(HandClock()))


async def test_a_scrape_is_read_by_prometheus_own_parser() -> None:
    """Every sample is ours by name, none is a `_created`, and every family has a help text."""
    body, _ = await of(traded_state()).render()
    families = list(text_string_to_metric_families(body.decode()))
    assert len(families) > 40
    assert all(family.name.startswith("longwatch_") and family.documentation for family in families)
    assert not [family.name for family in families if family.name.endswith("_created")]


async def test_the_state_is_read_at_the_scrape() -> None:
    """Gauges and the journal's counters follow the state, with no feeding."""
    samples = await scrape(of(traded_state()))
    assert value(samples, "link_state", state="ready") == 1
    assert value(samples, "link_state", state="syncing") == 0
    assert value(samples, "orders_total", state="intended") == 2
    assert value(samples, "orders_total", state="filled") == 1
    assert value(samples, "clamps_total", check="max_weight") == 1
    assert value(samples, "refusals_total", check="min_order_value") == 1
    assert value(samples, "live_orders", state="working") == 1
    assert value(samples, "quarantined_instruments") == 1
    assert value(samples, "verb_on", verb="pause") == 1
    assert value(samples, "equity") == 1_000_000
    assert value(samples, "position_shares", symbol="AAPL") == 1751
    # At the quote's middle, 85.70, not at the close it was sized by.
    assert value(samples, "exposure", kind="gross") == 1751 * 85.70
    assert value(samples, "ready") == 1


async def test_the_process_is_read_at_the_scrape() -> None:
    """Queues, quote ages, next runs, reloads and the journal's place come from the runtime."""
    clock = HandClock()
    runtime = runtime_of(clock)
    metrics = of(ready_state(), runtime)
    clock.pass_seconds(3)
    runtime.reload = Reload(ok=False, at=NOW + timedelta(seconds=1), text="line 3")
    runtime.commit = Commit(sequence=43, error="disk full")
    samples = await scrape(metrics)
    assert value(samples, "budget_queue_length", priority="history") == 7
    assert value(samples, "quote_age_seconds", symbol="AAPL") == 5
    assert value(samples, "quotes_silent") == 1
    assert value(samples, "config_last_reload_successful") == 0
    assert value(samples, "config_last_reload_success_timestamp_seconds") == NOW.timestamp()
    assert value(samples, "journal_sequence") == 43
    assert value(samples, "journal_writable") == 0
    assert value(samples, "readiness", check="journal_is_writable") == 0
    assert value(samples, "readiness", check="link_is_up") == 1


async def test_the_anchor_last_told_is_there_to_be_kept_elsewhere() -> None:
    """Its hash as the label, its sequence as the value; none before the first."""
    runtime = runtime_of(HandClock())
    assert not [key for key in await scrape(of(traded_state(), runtime)) if "anchor" in key[0]]
    runtime.anchor = 4711, "ab" * 32
    assert value(await scrape(of(traded_state(), runtime)), "journal_anchor", hash="ab" * 32) == 4711


async def test_what_is_not_known_has_no_sample() -> None:
    """Unknown is not zero: before the account is read there is no equity, and no quote age before a tick."""
    samples = await scrape(of(State()))
    assert value(samples, "equity") is None
    assert value(samples, "clock_skew_seconds") is None
    assert value(samples, "reconciliation_timestamp_seconds") is None
    assert value(samples, "quote_age_seconds", symbol="MSFT") is None


async def test_events_and_facts_are_counted() -> None:
    """Kinds of events, fills by side, differences, moves of the link, failures of downloads."""
    metrics = of(ready_state())
    metrics.heard(m.BackendSeen(at=NOW, tech=NOW, up=True))
    metrics.heard(m.BackendSeen(at=NOW, tech=NOW, up=False))
    metrics.concluded(fill("01", 1, AAPL, "AAPL", Side.SELL, 5, "85"))
    metrics.concluded(fill("02", None, AAPL, "AAPL", Side.SELL, 5, "85"))
    metrics.concluded(m.LinkMoved(link=m.Link.SYNCING, reason="", tech=NOW))
    metrics.concluded(m.SnapshotFailed(failures=(("positions", "late"), ("orders", "late")), tech=NOW))
    off = m.Difference(con_id=AAPL, symbol="AAPL", book=Decimal(1), outside=Decimal(0), account=Decimal(2))
    metrics.concluded(m.BookCompared(reason="start", positions=1, orders=0, differences=(off,), activity=1, tech=NOW))
    samples = await scrape(metrics)
    assert value(samples, "events_total", kind="backend_seen") == 2
    assert value(samples, "fills_total", side="sell") == 1
    assert value(samples, "fills_total", side="other") == 1
    assert value(samples, "link_transitions_total", state="syncing") == 1
    assert value(samples, "snapshot_failures_total", part="orders") == 1
    assert value(samples, "reconciliations_total") == 1
    assert value(samples, "reconciliation_differences_total") == 1


async def test_a_rebate_lowers_the_commissions() -> None:
    """IB pays for some fills: the sum is a gauge, and a negative commission is no error."""
    metrics = of(ready_state())
    for amount in ("1.25", "-0.25"):
        metrics.concluded(m.CommissionBooked(exec_id="1", intent=1, commission=Decimal(amount), currency="USD"))
    assert value(await scrape(metrics), "commissions", currency="USD") == 1.0


async def test_the_first_connection_is_no_reconnect() -> None:
    """Only connections after the first count as reconnects."""
    metrics = of(ready_state())
    up = m.LinkUp(at=NOW, tech=NOW, client_id=1, next_order_id=1, accounts=("DU123456",), server_version=176)
    metrics.heard(up)
    assert value(await scrape(metrics), "reconnects_total") == 0
    metrics.heard(up)
    assert value(await scrape(metrics), "reconnects_total") == 1


async def test_jobs_are_counted_and_timed() -> None:
    """A job's duration runs from its start to its end; one skipped has none."""
    metrics = of(ready_state())
    for seconds, outcome in ((0, "started"), (4, "finished"), (9, "skipped")):
        tech = NOW + timedelta(seconds=seconds)
        metrics.heard(m.JobSeen(at=tech, tech=tech, job="refresh", run_id="refresh@1", outcome=outcome))
    samples = await scrape(metrics)
    assert value(samples, "jobs_total", job="refresh", outcome="skipped") == 1
    assert value(samples, "job_duration_seconds_sum", job="refresh") == 4
    assert value(samples, "job_duration_seconds_count", job="refresh") == 1


async def test_commits_lag_and_firewalls_are_counted() -> None:
    """Firewalls are there at zero from the start, so that an increase can be seen."""
    metrics = of(ready_state())
    metrics.committed(32, 0.0002)
    metrics.lagged(0.003)
    metrics.failed("control")
    samples = await scrape(metrics)
    assert value(samples, "journal_commits_total") == 1
    assert value(samples, "journal_records_total") == 32
    assert value(samples, "journal_commit_seconds_bucket", le="0.00025") == 1
    assert value(samples, "loop_lag_seconds_bucket", le="0.0025") == 0
    assert value(samples, "loop_lag_seconds_bucket", le="0.005") == 1
    assert value(samples, "firewall_failures_total", firewall="control") == 1
    assert value(samples, "firewall_failures_total", firewall="task") == 0


async def test_two_daemons_share_no_registry() -> None:
    """Metrics of one daemon say nothing of another in the same process."""
    first, second = of(ready_state()), of(ready_state())
    first.failed("task")
    assert value(await scrape(second), "firewall_failures_total", firewall="task") == 0


async def test_a_scrape_lets_the_loop_turn_between_families() -> None:
    """Another task runs at least once for each family while a large scrape is under way."""
    runtime = runtime_of(HandClock())
    runtime.quotes = tuple(Quote(con_id=n, symbol=f"S{n}", at=NOW) for n in range(500))
    turns = 0

    async def turning() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(turning(), name="turning")
    body, _ = await of(ready_state(), runtime).render()
    other.cancel()
    assert turns >= len(list(text_string_to_metric_families(body.decode())))
