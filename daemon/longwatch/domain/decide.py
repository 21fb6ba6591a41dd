"""What follows from an event: `decide` yields facts and effects, `follow` folds the facts as they come.

The engine's only rule book, and the backtest's.

`decide` is pure: it reads the state and the event, nothing else. It is a generator so that what it yields next is
judged by what it has just concluded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from longwatch.domain import commands
from longwatch.domain import messages as m
from longwatch.domain.misnamed import held_symbols, renamed
from longwatch.domain.order_life import breaker, claims, lifecycle, links, modification, outage, patience, resolution
from longwatch.domain.order_life.evidence import Decided
from longwatch.domain.order_life.unanswered import changes_orphaned, changes_overdue
from longwatch.domain.orders import Evidence, OrderState
from longwatch.domain.portfolio.rebalance import rebalance
from longwatch.domain.quotes import Quotes, no_quotes
from longwatch.domain.reconciliation import contracts, reconcile, splits
from longwatch.domain.reconciliation.quarantines import UNREADABLE
from longwatch.domain.risk import holds, instrument_losses, what_if
from longwatch.domain.risk.readiness import gateway_answers, is_ready, reasons
from longwatch.domain.risk.session_losses import fresh_prices, looked
from longwatch.domain.risk.strategy_losses import strategies_valued
from longwatch.domain.risk.table import passed_by_now
from longwatch.domain.risk.verbs import ACTIONS, Condition, because, forbidden_by, forbidden_for
from longwatch.domain.safeguards import at_write, attached, profits, protection, stops
from longwatch.domain.state import State, evolve, is_fact
from longwatch.quick import changed

READ_AGAIN = timedelta(seconds=30)
READ_SELDOM = timedelta(minutes=5)
SELDOMER = 4
"""A reading that keeps failing is repeated after a fourth of the time it has failed for, between these two."""
"""After this long an account download that failed is asked for once more: its job may be far, and no order leaves."""
READ_WHILE = frozenset({m.Link.SYNCING, m.Link.READY})

COMPETING = 10197
"""No market data during a competing live session."""

GATE_ALERT = "the order gate is shut"


@dataclass(frozen=True, slots=True)
class Step:
    """What one event came to."""

    facts: tuple[m.Fact, ...]
    effects: tuple[m.Effect, ...]


NOTHING = Step((), ())


def step(state: State, event: m.Event) -> Step:
    """Decide on one event and fold its facts into the state."""
    facts: list[m.Fact] = []
    effects: list[m.Effect] = []
    follow(state, event, facts, effects)
    return Step(tuple(facts), tuple(effects))


def follow(state: State, event: m.Event, facts: list[m.Fact], effects: list[m.Effect]) -> None:
    """As `step`, into the lists given: what was folded before an exception is in them, and in the state."""
    for item in decide(state, event):
        if is_fact(item):
            fact = cast(m.Fact, item)
            evolve(state, fact)
            facts.append(fact)
        else:
            effects.append(cast(m.Effect, item))


def knows(state: State, event: m.Event) -> bool:
    """Whether `decide` would yield nothing, seen at a glance: an account's downloads tell most of their rows again."""
    return isinstance(event, m.RETOLD) and not state.resolved and lifecycle.is_known(state, event)


def decide(state: State, event: m.Event) -> Decided:
    """The facts and effects that follow from an event, in order; each end of an order, and each fill, has its own."""
    if state.resolved:
        yield from resolution.reviewed(state, event)
    if state.holds:
        yield from holds.lapsed(state, event.at)
    was_silent = gateway_answers(state, event.tech) is not None
    for item in DECIDERS[type(event)](state, event):
        yield from _followed(state, item, event)
    yield from stops.protect(state, event, opens=was_silent and gateway_answers(state, event.tech) is None)
    yield from profits.beside(state, event)


def _followed(state: State, item: m.Fact | m.Effect, event: m.Event) -> Decided:
    """One fact or effect, and what comes of every such fact."""
    match item:
        case m.OrderMoved():
            former = state.orders[item.intent].state
            moved = changed(item, tech=event.tech, proof=type(event).__name__)
            yield moved
            yield from breaker.after_move(state, moved, former, event)
            yield from patience.after_move(state, moved, former, event)
            for more in holds.after_move(state, moved, former, event):
                yield from _followed(state, more, event)
            yield from attached.after_move(state, moved)
        case m.FillBooked():
            yield item
            yield from breaker.after_fill(state, item)
            yield from stops.after_fill(state, item, event)
            for more in instrument_losses.after_fill(state, item, event.at):
                yield from _followed(state, more, event)
        case m.HoldingAdopted():
            marked = instrument_losses.at_adoption(state, item, event.at)
            yield item
            yield from marked
            if item.symbol not in state.settings.universe:
                yield m.Watch(symbols=tuple(sorted({*state.settings.universe, *held_symbols(state)})))
        case m.OrderTermsSet():
            before = state.orders[item.intent]
            yield item
            yield from stops.after_terms(state, item, before, event)
        case m.OrderIdentified():
            yield item
            for more in claims.identified(state, item, event):
                yield from _followed(state, more, event)
        case m.OrderCancelAsked():
            yield item
            for more in what_if.cancelled(state, item):
                yield from _followed(state, more, event)
        case _:
            yield item


def next_deadline(state: State) -> datetime | None:
    """The earliest technical time at which silence itself means something."""
    due = [order.deadline for order in state.live_orders() if order.deadline is not None]
    due += [up for order in state.live_orders() if (up := patience.due_at(state, order)) is not None]
    due += [order.change.deadline for order in state.live_orders() if order.change and order.change.deadline]
    if state.link in READ_WHILE and state.snapshot_failed is not None:
        due.append(_read_again_at(state.snapshot_failed))
    others = (outage.due_at(state), what_if.due_at(state), protection.due_at(state))
    due += [at for at in others if at is not None]
    return min(due) if due else None


def gate(state: State, intent: int, tech: datetime, quotes: Quotes = no_quotes) -> str | None:
    """Asked when the bytes of an order are about to be written: None lets them pass, a reason withholds them.

    The `quotes` of now tell how many shares can be borrowed.
    """
    order = state.orders.get(intent)
    if order is None:
        return "the order is not known"
    if order.change is not None:
        return modification.gate(state, order, tech) or at_write.outgrown(state, order)
    if order.state is not OrderState.SENDING:
        # One that waited past its deadline is unknown by now, and may be proven absent: it must not leave any more.
        return f"the order is {order.state.value}"
    if order.cancel_asked:
        return "its cancel was asked for"
    why = reasons(state, tech)
    held_by = forbidden_by(state, order.con_id, ACTIONS[order.purpose], ready=not why, besides=intent)
    if held_by is Condition.NOT_READY:
        return f"{held_by.value}: {why[0]}"
    if held_by is not None:
        return f"{held_by.value}{because(state, order.con_id, held_by)}"
    held = forbidden_for(state, order.con_id, ACTIONS[order.purpose], order.allocations, besides=intent)
    return held or at_write.overtaken(state, order) or passed_by_now(state, order, quotes)


def _daemon_started(state: State, event: m.DaemonStarted) -> Decided:
    yield m.RunOpened(
        journal_id=event.journal_id,
        account=event.account,
        mode=event.mode,
        client_id=event.client_id,
        version=event.version,
        at=event.at,
    )
    yield m.LinkMoved(link=m.Link.DISCONNECTED, reason="starting", tech=event.tech)
    yield m.BackendMoved(up=True, tech=event.tech)
    for farm in list(state.farms.values()):
        yield m.FarmMoved(farm=farm.farm, up=True, tech=event.tech, history=farm.history)
    yield from lifecycle.orphaned(
        state, event.tech, Evidence.LINK_LOST, "the daemon was restarted before an answer", only_handed=False
    )
    yield from changes_orphaned(state)


def _config_loaded(state: State, event: m.ConfigLoaded) -> Decided:
    if event.sha256 != state.settings_sha256 or event.settings != state.settings:
        yield m.ConfigApplied(settings=event.settings, sha256=event.sha256, changed=event.changed, by=event.by)
        yield from renamed(state, event.settings)


def _calendar_loaded(state: State, event: m.CalendarLoaded) -> Decided:
    if event.sessions != state.sessions:
        yield m.SessionsKnown(sessions=event.sessions)


def _message_undecodable(state: State, event: m.MessageUndecodable) -> Decided:
    yield m.EventKept(kind=f"message {event.message_id}", reason=event.reason, con_id=event.con_id)
    yield m.RaiseAlert(key="undecodable", text=f"a message {event.message_id} could not be read: {event.reason}")
    if event.con_id is not None and event.con_id not in state.quarantines:
        symbol = next((i.symbol for i in state.instruments.values() if i.con_id == event.con_id), str(event.con_id))
        yield m.QuarantineSet(con_id=event.con_id, symbol=symbol, reason=UNREADABLE, tech=event.tech)


def _data_refreshed(state: State, event: m.DataRefreshed) -> Decided:
    yield from splits.rebased(state, event)
    for row in event.judged:
        if row.flaws:
            yield m.RaiseAlert(key="flawed_data", text=f"{row.symbol} is not traded: {row.flaws[0]}")
    if splits.is_awaited(state, event.judged):
        yield m.RequestSnapshot(reason="a history was rebased as by a split")


def _targets_computed(state: State, event: m.TargetsComputed) -> Decided:
    yield m.TargetsSet(
        run_id=event.run_id, strategy=event.strategy, session=event.session, weights=event.weights, memory=event.memory
    )


def _strategy_failed(state: State, event: m.StrategyFailed) -> Decided:
    yield m.StrategyFaulted(strategy=event.strategy, session=event.session, reason=event.reason)
    yield m.RaiseAlert(key="strategy_failed", text=f"strategy {event.strategy}: {event.reason}")


def _signals_ended(state: State, event: m.SignalsEnded) -> Decided:
    if state.valued is None:
        yield m.RaiseAlert(key="no_equity", text="signals are in, but the account's value is not known")
        return
    yield m.EquitySet(session=event.session, equity=state.valued.net_liquidation, prices=event.prices)
    yield from strategies_valued(state, dict(event.prices), event.at)
    yield from instrument_losses.instruments_valued(state, dict(event.prices), event.at)


def _job_seen(state: State, event: m.JobSeen) -> Decided:
    yield m.JobNoted(
        job=event.job,
        run_id=event.run_id,
        outcome=event.outcome,
        text=event.text,
        at=event.at,
        valid_until=event.valid_until,
    )
    if event.outcome in ("failed", "missed", "skipped"):
        yield m.RaiseAlert(key=f"job_{event.outcome}", text=f"job {event.run_id} {event.outcome}: {event.text}")
    yield from outage.log_in_ahead(state, event)


def _time_reached(state: State, event: m.TimeReached) -> Decided:
    yield from lifecycle.overdue(state, event.tech)
    yield from what_if.overdue(state, event.tech)
    yield from changes_overdue(state, event.tech)
    yield from patience.overdue(state, event.tech)
    failed = state.snapshot_failed
    if state.link in READ_WHILE and failed is not None and _read_again_at(failed) <= event.tech:
        yield m.SnapshotFailed(failures=failed.failures, tech=event.tech, since=reconcile.failing_since(state))
        yield m.RequestSnapshot(reason="the last download failed")
    yield from outage.told(state, event)


def _read_again_at(failed: m.SnapshotFailed) -> datetime:
    lasts = failed.tech - (failed.since or failed.tech)
    return failed.tech + min(max(READ_AGAIN, lasts / SELDOMER), READ_SELDOM)


def _notice(state: State, event: m.NoticeSeen) -> Decided:
    if event.code == COMPETING:
        text = (
            "another session of this user holds the market data, so no quotes come and nothing is traded "
            f"({event.text}, {event.code}): log it out, or give the daemon a user of its own"
        )
        yield m.RaiseAlert(key="competing_session", text=text)


def _rebalance_due(state: State, event: m.RebalanceDue) -> Decided:
    if not is_ready(state, event.tech):
        yield m.RaiseAlert(key="gate_shut", text=f"{GATE_ALERT}: {'; '.join(reasons(state, event.tech))}")
    prices = dict(state.equity.prices) if state.equity else {}
    now = prices | fresh_prices(state, event.quotes, event.tech)
    yield from strategies_valued(state, now, event.at)
    yield from instrument_losses.instruments_valued(state, now, event.at)
    yield from rebalance(state, event)


DECIDERS = cast(
    dict[type, Callable[[State, Any], Decided]],
    {
        m.DaemonStarted: _daemon_started,
        m.ConfigLoaded: _config_loaded,
        m.CalendarLoaded: _calendar_loaded,
        m.LinkOpening: links.opening,
        m.LinkUp: links.up,
        m.LinkLost: links.lost,
        m.BackendSeen: links.backend,
        m.FarmSeen: links.farm,
        m.ClockSeen: links.clock,
        m.InstrumentsSeen: contracts.seen,
        m.OpenOrderSeen: lifecycle.open_order,
        m.OrderStatusSeen: lifecycle.order_status,
        m.ExecutionSeen: lifecycle.execution,
        m.CommissionSeen: lifecycle.commission,
        m.CompletedOrderSeen: lifecycle.completed_order,
        m.PositionSeen: reconcile.position_seen,
        m.SnapshotSeen: reconcile.reconcile,
        m.OrderHanded: lifecycle.handed,
        m.OrderWithheld: lifecycle.withheld,
        m.OrderErrorSeen: lifecycle.order_error,
        m.WhatIfSeen: what_if.answered,
        m.NoticeSeen: _notice,
        m.MessageUndecodable: _message_undecodable,
        m.DataRefreshed: _data_refreshed,
        m.TargetsComputed: _targets_computed,
        m.StrategyFailed: _strategy_failed,
        m.SignalsEnded: _signals_ended,
        m.RebalanceDue: _rebalance_due,
        m.HoldingsQuoted: looked,
        m.JobSeen: _job_seen,
        m.TimeReached: _time_reached,
        m.ControlRequested: commands.obey,
    },
)
