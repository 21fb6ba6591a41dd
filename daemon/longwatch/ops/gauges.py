"""What the metrics read from the state and the process at each scrape: a table of families; used by metrics.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Literal

from longwatch.domain.messages import Link, Verb
from longwatch.domain.orders import OrderState
from longwatch.domain.state import State
from longwatch.ops import health
from longwatch.ops.runtime import RuntimeView

Value = float | int | Decimal
Sample = tuple[tuple[str, ...], Value]
Read = Callable[[State, RuntimeView], Iterable[Sample]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A metric's name (without `_total`), what it says, its labels, and how to read its samples."""

    name: str
    text: str
    labels: tuple[str, ...]
    read: Read
    kind: Literal["gauge", "counter"] = "gauge"


FAMILIES: list[Family] = []


def _family(name: str, text: str, *labels: str, kind: Literal["gauge", "counter"] = "gauge") -> Callable[[Read], Read]:
    def enter(read: Read) -> Read:
        FAMILIES.append(Family(name=f"longwatch_{name}", text=text, labels=labels, read=read, kind=kind))
        return read

    return enter


def _one(value: Value | None) -> tuple[Sample, ...]:
    """A sample without labels, or none at all for what is not known: unknown is not zero."""
    return () if value is None else (((), value),)


def _stamp(at: datetime | None) -> float | None:
    return at.timestamp() if at else None


@_family("info", "The daemon.", "version", "mode", "journal")
def _info(state: State, runtime: RuntimeView) -> Iterable[Sample]:
    yield (runtime.version, state.mode, state.journal_id), 1


@_family("start_timestamp_seconds", "When the process started.")
def _start(state: State, runtime: RuntimeView) -> Iterable[Sample]:
    return _one(_stamp(runtime.started_at))


@_family("market_timestamp_seconds", "The market's time.")
def _market(state: State, runtime: RuntimeView) -> Iterable[Sample]:
    return _one(_stamp(runtime.clock.market()))


@_family("link_state", "1 for the state the connection is in.", "state")
def _link_state(state: State, runtime: RuntimeView) -> Iterator[Sample]:
    for link in Link:
        yield (link.value,), link is state.link


@_family("link_up", "Each link: socket, api, backend, sync.", "link")
def _link_up(state: State, runtime: RuntimeView) -> Iterator[Sample]:
    connected = state.link in (Link.SYNCING, Link.READY)
    yield ("socket",), connected
    yield ("api",), connected
    yield ("backend",), connected and state.backend_up
    yield ("sync",), state.link is Link.READY and state.snapshot_failed is None


@_family("link_since_timestamp_seconds", "When the connection came into its state.")
def _link_since(state: State, runtime: RuntimeView) -> Iterable[Sample]:
    return _one(_stamp(state.link_since))


@_family("farm_up", "Each data farm the gateway has named.", "farm")
def _farm_up(state: State, runtime: RuntimeView) -> Iterator[Sample]:
    for name, farm in sorted(state.farms.items()):
        yield (name,), farm.up


@_family("clock_skew_seconds", "The gateway's clock less ours.")
def _clock_skew(state: State, runtime: RuntimeView) -> Iterable[Sample]:
    return _one(state.clock.skew_seconds if state.clock else None)


@_family("ready", "1 when the daemon may trade.")
def _ready(state: State, runtime: RuntimeView) -> Iterable[Sample]:
    return _one(not health.readyz(state, runtime))


@_family("readiness", "Each readiness check: 1 when it has nothing against trading.", "check")
def _readiness(state: State, runtime: RuntimeView) -> Iterator[Sample]:
    for name, reason in health.readiness_of(state, runtime).items():
        yield (name,), reason is None


@_family("verb_on", "1 while a verb holds orders back.", "verb")
def _verb_on(state: State, runtime: RuntimeView) -> Iterator[Sample]:
    for verb in Verb:
        yield (verb.value,), verb in state.verbs


@_family("hold_on", "1 while a limit on losses, rejections or slippage holds orders back.", "level", "name", "rule")
def _hold_on(state: State, runtime: RuntimeView) -> Iterator[Sample]:
    for hold in state.holds.values():
        yield (hold.level.value, hold.name, hold.rule), 1


@_family("quarantined_instruments", "Instruments in quarantine.")
def _quarantined(state: State, runtime: RuntimeView) -> Iterable[Sample]:
    return _one(len(state.quarantines))


@_family("open_breakers", "Instruments in which what was rejected or cancelled is not sent again for now.")
def _breakers(state: State, runtime: RuntimeView) -> Iterable[Sample]:
    now = runtime.clock.market()
    return _one(len({row.con_id for row in state.breakers.values() if row.until is not None and row.until > now}))


@_family("unprotected_notional", "Worth of what is to have a stop at the broker and has none known to work.")
def _unprotected(state: State, runtime: RuntimeView) -> Iterable[Sample]:
    return _one(sum(row.unprotected * row.price for row in state.unprotected.values()))


@_family("unprotected_notional_seconds", "The same times seconds of open market, as counted so far.", kind="counter")
def _unprotected_seconds(state: State, runtime: RuntimeView) -> Iterable[Sample]:
    return _one(state.unprotected_seconds)


@_family("live_orders", "Orders that may still fill, by state.", "state")
def _live_orders(state: State, runtime: RuntimeView) -> Iterator[Sample]:
    counts = Counter(order.state for order in state.live_orders())
    for name in (OrderState.INTENDED, OrderState.SENDING, OrderState.WORKING, OrderState.UNKNOWN):
        yield (name.value,), counts[name]


@_family("orders", "Moves of orders into a state, over the journal's life.", "state", kind="counter")
def _orders(state: State, runtime: RuntimeView) -> Iterator[Sample]:
    yield (OrderState.INTENDED.value,), state.next_intent - 1
    yield from _counted(state, "order:")


@_family("clamps", "Trades made smaller, by check, over the journal's life.", "check", kind="counter")
def _clamps(state: State, runtime: RuntimeView) -> Iterable[Sample]:
    return _counted(state, "clamped:")


@_family("refusals", "Trades refused, by check, over the journal's life.", "check", kind="counter")
def _refusals(state: State, runtime: RuntimeView) -> Iterable[Sample]:
    return _counted(state, "refused:")


@_family("events_kept", "Events kept raw because they could not be digested.", kind="counter")
def _kept(state: State, runtime: RuntimeView) -> Iterable[Sample]:
    return _one(state.counts.get("kept", 0))


def _counted(state: State, prefix: str) -> Iterator[Sample]:
    for name, count in sorted(state.counts.items()):
        if name.startswith(prefix):
            yield (name.removeprefix(prefix),), count


@_family("equity", "The account's net liquidation value.")
def _equity(state: State, runtime: RuntimeView) -> Iterable[Sample]:
    return _one(state.valued.net_liquidation if state.valued else None)


@_family("cash", "The account's cash.")
def _cash(state: State, runtime: RuntimeView) -> Iterable[Sample]:
    return _one(state.valued.cash if state.valued else None)


@_family("exposure", "Our positions' value, gross and net, at quotes or else the closes sized by.", "kind")
def _exposure(state: State, runtime: RuntimeView) -> Iterator[Sample]:
    prices = dict(state.equity.prices) if state.equity else {}
    prices |= {quote.symbol: mid for quote in runtime.quotes if (mid := quote.mid) is not None}
    values = [
        holding.quantity * prices.get(holding.symbol, holding.average_cost)
        for holding in state.book.values()
        if holding.quantity
    ]
    yield ("gross",), sum(map(abs, values), Decimal(0))
    yield ("net",), sum(values, Decimal(0))


@_family("position_shares", "Our signed shares.", "symbol")
def _position_shares(state: State, runtime: RuntimeView) -> Iterator[Sample]:
    for holding in state.book.values():
        yield (holding.symbol,), holding.quantity


@_family("quote_age_seconds", "Time since the last tick of each watched symbol that ever ticked.", "symbol")
def _quote_age(state: State, runtime: RuntimeView) -> Iterator[Sample]:
    now = runtime.clock.technical()
    for quote in runtime.quotes:
        age = quote.age_seconds(now)
        if age is not None:
            yield (quote.symbol,), age


@_family("quotes_silent", "Watched symbols that never ticked.")
def _quotes_silent(state: State, runtime: RuntimeView) -> Iterable[Sample]:
    return _one(sum(quote.at is None for quote in runtime.quotes))


@_family("data_flawed_symbols", "Symbols whose bars are not fit to trade on.")
def _flawed(state: State, runtime: RuntimeView) -> Iterable[Sample]:
    return _one(sum(bool(row.flaws) for row in state.judged.values()))


@_family("data_session_timestamp_seconds", "Midnight UTC of the session the data are judged up to.")
def _data_session(state: State, runtime: RuntimeView) -> Iterable[Sample]:
    day = state.judged_session
    return _one(_stamp(datetime.combine(day, time(), UTC)) if day else None)


@_family("instruments_missing", "Symbols of the universe that the broker does not know.")
def _missing(state: State, runtime: RuntimeView) -> Iterable[Sample]:
    return _one(len(state.missing))


@_family("strategy_faulted", "1 while a strategy has no usable targets.", "strategy")
def _faulted(state: State, runtime: RuntimeView) -> Iterator[Sample]:
    for name in sorted({*state.targets, *state.faults}):
        yield (name,), name in state.faults


@_family("reconciliation_timestamp_seconds", "When book and account were last compared.")
def _compared_at(state: State, runtime: RuntimeView) -> Iterable[Sample]:
    return _one(_stamp(state.compared.tech if state.compared else None))


@_family("reconciliation_compared", "Sizes of the sets last compared.", "kind")
def _compared(state: State, runtime: RuntimeView) -> Iterator[Sample]:
    if state.compared is not None:
        yield ("positions",), state.compared.positions
        yield ("orders",), state.compared.orders
        yield ("differences",), len(state.compared.differences)


@_family("job_next_run_timestamp_seconds", "When each job runs next, in market time.", "job")
def _next_run(state: State, runtime: RuntimeView) -> Iterator[Sample]:
    for run in runtime.next_runs:
        yield (run.job,), run.at.timestamp()


@_family("journal_sequence", "The last durable sequence number.")
def _sequence(state: State, runtime: RuntimeView) -> Iterable[Sample]:
    return _one(runtime.commit.sequence)


@_family("journal_writable", "1 while the journal can be written.")
def _writable(state: State, runtime: RuntimeView) -> Iterable[Sample]:
    return _one(not runtime.commit.error)


@_family("journal_anchor", "The record that the journal's last told anchor is of, by its hash.", "hash")
def _anchor(state: State, runtime: RuntimeView) -> Iterator[Sample]:
    if runtime.anchor is not None:
        sequence, digest = runtime.anchor
        yield (digest,), sequence


@_family("config_last_reload_successful", "1 when the last reading of the configuration was taken over.")
def _reload_ok(state: State, runtime: RuntimeView) -> Iterable[Sample]:
    return _one(runtime.reload.ok if runtime.reload else None)


@_family("config_last_reload_success_timestamp_seconds", "When a configuration was last taken over.")
def _reload_at(state: State, runtime: RuntimeView) -> Iterable[Sample]:
    return _one(_stamp(runtime.loaded.at if runtime.loaded else None))


@_family("budget_queue_length", "Messages waiting for the gateway, by priority.", "priority")
def _queues(state: State, runtime: RuntimeView) -> Iterator[Sample]:
    for priority, length in runtime.queues.items():
        yield (priority,), length


@_family("inbox_length", "Events waiting to be decided.")
def _inbox(state: State, runtime: RuntimeView) -> Iterable[Sample]:
    return _one(runtime.inbox)


@_family("alerts", "Alerts raised since the start, repeats included.", "key", kind="counter")
def _alerts(state: State, runtime: RuntimeView) -> Iterator[Sample]:
    if runtime.alerts is not None:
        for key, count in sorted(runtime.alerts.counts.items()):
            yield (key,), count
