"""What follows from an event: `decide` yields facts and effects, `step` folds the facts as they come; the engine's only rule book.

`decide` is pure: it reads the state and the event, nothing else. It is a generator so that what it yields next is judged by
what it has just concluded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from longwatch.domain import lifecycle, reconcile
from longwatch.domain import messages as m
from longwatch.domain.lifecycle import Decided
from longwatch.domain.orders import Evidence, Order
from longwatch.domain.readiness import is_ready, reasons
from longwatch.domain.rebalance import rebalance
from longwatch.domain.state import State, evolve, is_fact
from longwatch.domain.verbs import ACTIONS, forbidden_by

REQUEST_IDS = 2_000
"""Ids set aside for requests at each connection; an order's id is never among them."""

GATE_ALERT = "the order gate is shut"


@dataclass(frozen=True, slots=True)
class Step:
    """What one event came to."""

    facts: tuple[m.Fact, ...]
    effects: tuple[m.Effect, ...]


def step(state: State, event: m.Event) -> Step:
    """Decide on one event and fold its facts into the state."""
    facts: list[m.Fact] = []
    effects: list[m.Effect] = []
    for item in decide(state, event):
        if is_fact(item):
            fact = cast(m.Fact, item)
            evolve(state, fact)
            facts.append(fact)
        else:
            effects.append(cast(m.Effect, item))
    return Step(tuple(facts), tuple(effects))


def decide(state: State, event: m.Event) -> Decided:
    """The facts and effects that follow from an event, in order."""
    return DECIDERS[type(event)](state, event)


def next_deadline(state: State) -> datetime | None:
    """The earliest technical time at which silence itself means something."""
    due = [order.deadline for order in state.live_orders() if order.deadline is not None]
    if not state.backend_up and state.backend_since is not None:
        due.append(state.backend_since + timedelta(seconds=state.settings.backend_alert_seconds))
    return min(due) if due else None


def gate(state: State, intent: int, tech: datetime) -> str | None:
    """Asked when the bytes of an order are about to be written: None lets them pass, a reason withholds them."""
    order = state.orders.get(intent)
    if order is None or not order.is_live:
        return "the order is not live"
    if order.cancel_asked:
        return "its cancel was asked for"
    why = reasons(state, tech)
    held_by = forbidden_by(state, order.con_id, ACTIONS[order.purpose], ready=not why, besides=intent)
    if held_by is None:
        return None
    return held_by.value + (f": {why[0]}" if why else "")


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
    for farm in list(state.farms):
        yield m.FarmMoved(farm=farm, up=True, tech=event.tech)
    yield from lifecycle.orphaned(
        state, event.tech, Evidence.LINK_LOST, "the daemon was restarted before an answer", only_handed=False
    )


def _config_loaded(state: State, event: m.ConfigLoaded) -> Decided:
    if event.sha256 != state.settings_sha256 or event.settings != state.settings:
        yield m.ConfigApplied(settings=event.settings, sha256=event.sha256, changed=event.changed, by=event.by)


def _calendar_loaded(state: State, event: m.CalendarLoaded) -> Decided:
    if event.sessions != state.sessions:
        yield m.SessionsKnown(sessions=event.sessions)


def _link_opening(state: State, event: m.LinkOpening) -> Decided:
    if state.link is not m.Link.CONNECTING:
        yield m.LinkMoved(link=m.Link.CONNECTING, reason=state.link_reason, tech=event.tech)


def _link_up(state: State, event: m.LinkUp) -> Decided:
    wrong = _wrong_account(state, event)
    if wrong is not None:
        yield m.LinkMoved(link=m.Link.CONNECTING, reason=wrong, tech=event.tech)
        yield m.RaiseAlert(key="wrong_account", text=wrong, severity="critical")
        yield m.DropLink(reason=wrong)
        return
    first = max(state.next_id, event.next_order_id)
    yield m.IdsReserved(first=first, count=REQUEST_IDS, epoch=state.epoch + 1)
    yield m.BackendMoved(up=True, tech=event.tech)
    yield m.LinkMoved(link=m.Link.SYNCING, reason="", tech=event.tech)
    yield m.BeginSync(epoch=state.epoch, first_request_id=first, count=REQUEST_IDS, account=state.account)


def _wrong_account(state: State, event: m.LinkUp) -> str | None:
    if state.account not in event.accounts:
        return f"the gateway serves {', '.join(event.accounts) or 'no account'}, not {state.account}"
    paper = state.account.startswith("D")
    if state.mode in ("paper", "live") and paper != (state.mode == "paper"):
        return f"account {state.account} contradicts mode {state.mode}"
    return None


def _link_lost(state: State, event: m.LinkLost) -> Decided:
    yield m.LinkMoved(link=m.Link.DISCONNECTED, reason=event.reason, tech=event.tech)
    yield from lifecycle.orphaned(state, event.tech, Evidence.LINK_LOST, event.reason, only_handed=True)


def _backend_seen(state: State, event: m.BackendSeen) -> Decided:
    if event.up != state.backend_up:
        yield m.BackendMoved(up=event.up, tech=event.tech)
        yield m.RaiseAlert(key="backend", text=f"the gateway's link to IB is {'back' if event.up else 'down'}")
        if event.up:
            yield m.RequestSnapshot(reason="the backend is back")


def _farm_seen(state: State, event: m.FarmSeen) -> Decided:
    known = state.farms.get(event.farm)
    if known is None or known.up != event.up:
        yield m.FarmMoved(farm=event.farm, up=event.up, tech=event.tech)


def _clock_seen(state: State, event: m.ClockSeen) -> Decided:
    yield m.ClockChecked(skew_seconds=event.skew_seconds, tech=event.tech)
    if abs(event.skew_seconds) > state.settings.clock_skew_seconds:
        yield m.RaiseAlert(key="clock_skew", text=f"the gateway's clock is {event.skew_seconds:+.1f} s off ours")


def _instruments_seen(state: State, event: m.InstrumentsSeen) -> Decided:
    for instrument in event.instruments:
        if state.instruments.get(instrument.symbol) != instrument:
            yield m.InstrumentKnown(instrument=instrument)
    for symbol, reason in event.missing:
        if state.missing.get(symbol) != reason:
            yield m.InstrumentMissing(symbol=symbol, reason=reason)
            yield m.RaiseAlert(key="no_contract", text=f"{symbol} can't be traded: {reason}")


def _message_undecodable(state: State, event: m.MessageUndecodable) -> Decided:
    yield m.EventKept(kind=f"message {event.message_id}", reason=event.reason, con_id=event.con_id)
    yield m.RaiseAlert(key="undecodable", text=f"a message {event.message_id} could not be read: {event.reason}")
    if event.con_id is not None and event.con_id not in state.quarantines:
        symbol = next((i.symbol for i in state.instruments.values() if i.con_id == event.con_id), str(event.con_id))
        yield m.QuarantineSet(con_id=event.con_id, symbol=symbol, reason="an unreadable message", tech=event.tech)


def _data_refreshed(state: State, event: m.DataRefreshed) -> Decided:
    yield m.DataJudged(session=event.session, judged=event.judged)
    for row in event.judged:
        if row.flaws:
            yield m.RaiseAlert(key="flawed_data", text=f"{row.symbol} is not traded: {row.flaws[0]}")


def _targets_computed(state: State, event: m.TargetsComputed) -> Decided:
    yield m.TargetsSet(
        run_id=event.run_id,
        strategy=event.strategy,
        session=event.session,
        weights=event.weights,
        memory=event.memory,
    )


def _strategy_failed(state: State, event: m.StrategyFailed) -> Decided:
    yield m.StrategyFaulted(strategy=event.strategy, session=event.session, reason=event.reason)
    yield m.RaiseAlert(key="strategy_failed", text=f"strategy {event.strategy}: {event.reason}")


def _signals_ended(state: State, event: m.SignalsEnded) -> Decided:
    if state.valued is None:
        yield m.RaiseAlert(key="no_equity", text="signals are in, but the account's value is not known")
        return
    yield m.EquitySet(session=event.session, equity=state.valued.net_liquidation, prices=event.prices)


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


def _time_reached(state: State, event: m.TimeReached) -> Decided:
    yield from lifecycle.overdue(state, event.tech)
    if state.backend_up or state.backend_since is None:
        return
    down = (event.tech - state.backend_since).total_seconds()
    if down >= state.settings.backend_alert_seconds:
        yield m.BackendMoved(up=False, tech=event.tech)
        text = f"the gateway has had no link to IB for {down:.0f} s"
        yield m.RaiseAlert(key="backend_down", text=text, severity="critical")


def _control_requested(state: State, event: m.ControlRequested) -> Decided:
    match event.command:
        case "pause":
            yield from _verb(state, event, m.Verb.PAUSE)
        case "halt":
            yield from _verb(state, event, m.Verb.HALT)
            yield from _cancel(state, list(state.live_orders()), "halt")
        case "flatten":
            yield from _verb(state, event, m.Verb.FLATTEN)
            yield from _cancel(state, list(state.live_orders()), "flatten")
            if not state.live:
                yield m.RunJob(job="rebalance", reason="flatten")
        case "resume":
            for verb in list(state.verbs):
                yield m.VerbSet(verb=verb, on=False, by=event.by, reason=event.reason)
        case "cancel":
            chosen = [o for o in state.live_orders() if event.argument in ("all", str(o.intent), o.ref)]
            yield from _cancel(state, chosen, "asked for by a person")
        case "adopt":
            yield from _adopt(state, event)
        case "unquarantine":
            for con_id, held in list(state.quarantines.items()):
                if event.argument in (held.symbol, str(con_id)):
                    yield m.QuarantineLifted(con_id=con_id, reason=f"{event.by}: {event.reason}")
        case "reconcile":
            yield m.RequestSnapshot(reason="asked for by a person")


def _verb(state: State, event: m.ControlRequested, verb: m.Verb) -> Decided:
    if not state.is_on(verb):
        yield m.VerbSet(verb=verb, on=True, by=event.by, reason=event.reason)


def _cancel(state: State, orders: list[Order], reason: str) -> Decided:
    """Ask for the end of orders; one not yet sent is stopped by the gate, which sees the same mark."""
    for order in orders:
        yield m.OrderCancelAsked(intent=order.intent, reason=reason)
        if order.order_id is not None:
            yield m.CancelOrder(intent=order.intent, order_id=order.order_id)


def _adopt(state: State, event: m.ControlRequested) -> Decided:
    for con_id, (symbol, quantity) in list(state.outside.items()):
        if event.argument in (symbol, "all"):
            yield m.OutsideSet(con_id=con_id, symbol=symbol, quantity=quantity - quantity, reason="adopted")
            yield m.HoldingAdopted(
                con_id=con_id,
                symbol=symbol,
                quantity=quantity,
                average_cost=dict(state.equity.prices).get(symbol, quantity - quantity)
                if state.equity
                else quantity - quantity,
                reason=f"{event.by}: {event.reason}",
            )


def _notice(state: State, event: m.NoticeSeen) -> Decided:
    yield from ()


def _rebalance_due(state: State, event: m.RebalanceDue) -> Decided:
    if not is_ready(state, event.tech):
        yield m.RaiseAlert(key="gate_shut", text=f"{GATE_ALERT}: {'; '.join(reasons(state, event.tech))}")
    yield from rebalance(state, event)


DECIDERS = cast(
    dict[type, Callable[[State, Any], Decided]],
    {
        m.DaemonStarted: _daemon_started,
        m.ConfigLoaded: _config_loaded,
        m.CalendarLoaded: _calendar_loaded,
        m.LinkOpening: _link_opening,
        m.LinkUp: _link_up,
        m.LinkLost: _link_lost,
        m.BackendSeen: _backend_seen,
        m.FarmSeen: _farm_seen,
        m.ClockSeen: _clock_seen,
        m.InstrumentsSeen: _instruments_seen,
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
        m.NoticeSeen: _notice,
        m.MessageUndecodable: _message_undecodable,
        m.DataRefreshed: _data_refreshed,
        m.TargetsComputed: _targets_computed,
        m.StrategyFailed: _strategy_failed,
        m.SignalsEnded: _signals_ended,
        m.RebalanceDue: _rebalance_due,
        m.JobSeen: _job_seen,
        m.TimeReached: _time_reached,
        m.ControlRequested: _control_requested,
    },
)
