"""Events and facts as lines a person likes to read, one each or none; printed by the demo, logged by the app.

A line is a topic and a text: `orders    BUY 120 AAPL LMT 12.05 DAY`. What happens all the time (a heartbeat's answer,
a comparison without differences every half minute) has no line. Alerts are told by the alert board, once each.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

from longwatch.domain import messages as m
from longwatch.domain.orders import OrderState
from longwatch.domain.state import State
from longwatch.ops.held_back import HELD_BACK
from longwatch.ops.lines import Line
from longwatch.ops.lines import quiet as _quiet
from longwatch.ops.lines import warning as _warning
from longwatch.ops.phrases import counted, number, order_text, percent, symbol_of
from longwatch.ops.runtime import NextRun

Thing = m.Event | m.Fact

STARTING = "starting"
"""The reason of a link that was never up, see decide."""


def line_of(thing: Thing, state: State) -> str | None:
    """The line for an event or fact, `state` being that after it; None for what is not worth one."""
    told = tell(thing, state)
    return None if told is None else str(told)


def tell(thing: Thing, state: State) -> Line | None:
    """The same with topic, text and level apart."""
    teller = TELLERS.get(type(thing))
    return None if teller is None else teller(thing, state)


class Narrator:
    """Logs what is worth it; remembers what was told last, to keep still while nothing happens."""

    def __init__(self) -> None:
        self._compared: tuple[int, tuple[m.Difference, ...]] | None = None
        self._backend_is_up = True

    def log(self, thing: Thing, state: State) -> Line | None:
        """Log the line for `thing`, if there is one, under `longwatch.<topic>`; returns it."""
        return _logged(None if self._is_routine(thing) else tell(thing, state))

    def agenda(self, runs: Sequence[NextRun]) -> Line | None:
        """Log when each job runs next; returns the line."""
        return _logged(next_runs(runs))

    def _is_routine(self, thing: Thing) -> bool:
        """A comparison that found what the last one found, with no activity between; a link to IB that was not down."""
        match thing:
            case m.BookCompared(activity=activity, differences=differences):
                former, self._compared = self._compared, (activity, differences)
                return self._compared == former
            case m.BackendMoved(up=up):
                was_up, self._backend_is_up = self._backend_is_up, up
                return up and was_up
            case _:
                return False


def _logged(line: Line | None) -> Line | None:
    if line is not None:
        logging.getLogger(f"longwatch.{line.topic}").log(line.level, "%s", line.text)
    return line


def next_runs(runs: Sequence[NextRun]) -> Line | None:
    """The next run of each job, soonest first; a date stands where it changes."""
    if not runs:
        return None
    soonest = sorted(runs, key=lambda run: (run.at, run.job))
    days = [None, *(run.at.date() for run in soonest)]
    dates = (
        f"{run.at:%Y-%m-%d} " if run.at.date() != before else "" for run, before in zip(soonest, days, strict=False)
    )
    named = (f"{run.job.replace('_', ' ')} {day}{run.at:%H:%M}Z" for run, day in zip(soonest, dates, strict=True))
    return Line(topic="next", text=", ".join(named))


def _run_opened(fact: m.RunOpened, state: State) -> Line:
    text = f"longwatch {fact.version}, {fact.mode} account {fact.account}, journal {fact.journal_id}, run {state.runs}"
    return Line(topic="start", text=text)


def _config_applied(fact: m.ConfigApplied, state: State) -> Line:
    what = ", ".join(fact.changed) if fact.changed else "read"
    return Line(topic="config", text=f"{what} (by {fact.by}, {fact.sha256[:12]})")


def _instrument_missing(fact: m.InstrumentMissing, state: State) -> Line:
    return _quiet("data", f"{fact.symbol} can't be traded: {fact.reason}")


def _link_moved(fact: m.LinkMoved, state: State) -> Line | None:
    """A loss with its reason, and readiness; the steps between are told by what happens in them."""
    match fact.link:
        case m.Link.DISCONNECTED if fact.reason != STARTING:
            return _quiet("link", f"lost: {fact.reason}")
        case m.Link.READY:
            return Line(topic="link", text="ready: the account is read and compared")
        case m.Link.CONNECTING if fact.reason == STARTING:
            return Line(topic="link", text="connecting")
        case _:
            return None


def _link_up(event: m.LinkUp, state: State) -> Line:
    accounts = ", ".join(event.accounts)
    text = f"connected as client {event.client_id}, account {accounts}, next id {event.next_order_id}"
    return Line(topic="link", text=text)


def _backend_moved(fact: m.BackendMoved, state: State) -> Line:
    if fact.up:
        return Line(topic="link", text="the gateway has its link to IB again")
    return _quiet("link", "the gateway lost its link to IB: no orders until it is back")


def _farm_moved(fact: m.FarmMoved, state: State) -> Line | None:
    return None if fact.up else _warning("link", f"data farm {fact.farm} is broken")


def _snapshot_failed(fact: m.SnapshotFailed, state: State) -> Line:
    parts = "; ".join(f"{part}: {reason}" for part, reason in fact.failures)
    return _quiet("account", f"download failed, the order gate stays shut: {parts}")


def _foreign_order_set(fact: m.ForeignOrderSet, state: State) -> Line:
    left = f"{number(fact.remaining)} left" if fact.remaining else "ended"
    return Line(topic="orders", text=f"not ours: {fact.side.value} {fact.symbol}, {left} ({fact.status})")


def _book_compared(fact: m.BookCompared, state: State) -> Line:
    sizes = f"{counted(fact.positions, 'position')} and {counted(fact.orders, 'order')}"
    found = "; ".join(
        f"{row.symbol} book {number(row.book)} + outside {number(row.outside)} against account {number(row.account)}"
        for row in fact.differences
    )
    text = f"compared {sizes} ({fact.reason}): {counted(len(fact.differences), 'difference')}"
    return _warning("reconcile", f"{text}: {found}") if found else Line(topic="reconcile", text=text)


def _data_judged(fact: m.DataJudged, state: State) -> Line:
    bars = sum(row.bars for row in fact.judged)
    text = f"refreshed: {counted(bars, 'bar')} of {counted(len(fact.judged), 'symbol')} up to {fact.session}"
    flawed = "; ".join(f"{row.symbol}: {row.flaws[0]}" for row in fact.judged if row.flaws)
    sound = Line(topic="data", text=f"{text}, all sound")
    return _warning("data", f"{text}; flawed, not traded: {flawed}") if flawed else sound


def _targets_set(fact: m.TargetsSet, state: State) -> Line:
    weights = ", ".join(f"{symbol} {percent(weight)}" for symbol, weight in fact.weights if weight) or "nothing"
    return Line(topic="signals", text=f"{fact.strategy} wants {weights} (decided on {fact.session})")


def _strategy_faulted(fact: m.StrategyFaulted, state: State) -> Line:
    return _quiet("signals", f"{fact.strategy} gave no targets, nothing is traded for it: {fact.reason}")


def _equity_set(fact: m.EquitySet, state: State) -> Line:
    return Line(topic="sizing", text=f"equity {fact.equity:,.2f} at the close of {fact.session}")


def _rebalance_decided(fact: m.RebalanceDecided, state: State) -> Line:
    came = f"{counted(fact.intended, 'order')}, {fact.clamped} clamped, {fact.refused} refused"
    waiting = f", {fact.waiting} waiting for sells to end" if fact.waiting else ""
    return Line(topic="sizing", text=f"{came}{waiting} ({fact.run_id})")


def _trade_clamped(fact: m.TradeClamped, state: State) -> Line:
    return Line(
        topic="risk",
        text=f"{fact.symbol} clamped by {fact.check}: {number(fact.wanted)} to {number(fact.allowed)} shares"
        f" ({number(fact.observed)} over {number(fact.limit)})",
    )


def _trade_refused(fact: m.TradeRefused, state: State) -> Line:
    text = f"{fact.symbol} {number(fact.wanted)} refused by {fact.check}: {fact.text}"
    return Line(topic="risk", text=f"{text} ({fact.observed} against {fact.limit})")


def _margin(fact: m.MarginTold) -> str:
    said = "by an estimate" if fact.is_estimate else "by the broker's word"
    return f"#{fact.intent} {said}: margin {number(fact.initial_margin)} of {number(fact.equity)}"


def _order_intended(fact: m.OrderIntended, state: State) -> Line:
    twin_of = fact.order.twin_of
    found = "" if twin_of is None else f", found at the broker beside #{twin_of}"
    beside = "" if fact.order.attached_to is None else f", leaves with #{fact.order.attached_to}"
    return Line(topic="orders", text=f"{order_text(fact.order)}{found}{beside}")


def _order_moved(fact: m.OrderMoved, state: State) -> Line | None:
    saying = _MOVES.get(fact.state)
    if saying is None:
        return None
    order = state.orders[fact.intent]
    why = f": {fact.text or fact.evidence.value}"
    at = f" at {order.average_price:,.4f}" if order.filled else ""
    text = (
        f"{order.side.value} {number(order.quantity)} {order.symbol} {saying}, {number(order.filled)} filled{at}{why}"
    )
    return _warning("orders", text) if fact.state in _LOUD else Line(topic="orders", text=text)


def _order_cancel_asked(fact: m.OrderCancelAsked, state: State) -> Line:
    order = state.orders[fact.intent]
    text = f"cancel {order.side.value} {number(order.quantity)} {order.symbol}: {fact.reason}"
    return Line(topic="orders", text=text)


def _order_change_asked(fact: m.OrderChangeAsked, state: State) -> Line:
    quantity, limit, stop = fact.change.terms
    wanted = replace(state.orders[fact.intent], quantity=quantity, limit_price=limit, stop_price=stop)
    return Line(topic="orders", text=f"modify to {order_text(wanted)}: {fact.change.reason}")


def _order_terms_set(fact: m.OrderTermsSet, state: State) -> Line:
    return Line(topic="orders", text=f"{order_text(state.orders[fact.intent])}: {fact.text}")


def _fill_booked(fact: m.FillBooked, state: State) -> Line:
    if (fact.replaces or fact.taken_back) and not fact.quantity:
        text = f"{fact.side.value} {number(fact.taken_back)} {fact.symbol} taken back: {fact.replaces or fact.exec_id}"
        return _warning("fills", text)
    corrects = f", corrects {fact.replaces}" if fact.replaces else ""
    text = f"{fact.side.value} {number(fact.quantity)} {fact.symbol} at {number(fact.price)}"
    return Line(topic="fills", text=f"{text}{_standing(fact, state)}{corrects}")


def _standing(fact: m.FillBooked, state: State) -> str:
    """How far the fill's order has come; nothing when one fill was all of it."""
    if fact.intent is None:
        return " (not ours)"
    order = state.orders[fact.intent]
    if order.quantity == fact.quantity:
        return ""
    return f" ({number(order.filled)} of {number(order.quantity)}, on average at {order.average_price:,.4f})"


def _commission_booked(fact: m.CommissionBooked, state: State) -> Line:
    fill = state.fills.get(fact.exec_id)
    of = f" for {fill.symbol} {number(fill.quantity)}" if fill else ""
    return _quiet("fills", f"commission {number(fact.commission)} {fact.currency}{of}")


def _job_noted(fact: m.JobNoted, state: State) -> Line | None:
    if fact.outcome not in _LOUD_JOBS:
        return None
    return _quiet("jobs", f"{fact.job} {fact.outcome}" + (f": {fact.text}" if fact.text else ""))


def _event_kept(fact: m.EventKept, state: State) -> Line:
    of = f" about {symbol_of(state, fact.con_id)}" if fact.con_id is not None else ""
    return _quiet("journal", f"{fact.kind}{of} could not be digested and is kept raw: {fact.reason}")


# What its fills have told already, FILLED, is not said twice.
_MOVES: dict[OrderState, str] = {
    OrderState.UNSENT: "never sent",
    OrderState.UNKNOWN: "unknown: counts as exposure until settled",
    OrderState.CANCELLED: "cancelled",
    OrderState.REJECTED: "rejected",
    OrderState.EXPIRED: "expired",
    OrderState.ABSENT: "proven absent",
    OrderState.INFERRED: "settled by the position",
}
_LOUD = frozenset({OrderState.UNKNOWN, OrderState.REJECTED, OrderState.ABSENT, OrderState.INFERRED})
_LOUD_JOBS = frozenset({"failed", "skipped", "missed"})

TELLERS = cast(
    "dict[type, Callable[[Any, State], Line | None]]",
    {
        m.RunOpened: _run_opened,
        m.ConfigApplied: _config_applied,
        m.InstrumentMissing: _instrument_missing,
        m.LinkMoved: _link_moved,
        m.LinkUp: _link_up,
        m.BackendMoved: _backend_moved,
        m.FarmMoved: _farm_moved,
        m.SnapshotFailed: _snapshot_failed,
        m.ForeignOrderSet: _foreign_order_set,
        m.BookCompared: _book_compared,
        m.DataJudged: _data_judged,
        m.TargetsSet: _targets_set,
        m.StrategyFaulted: _strategy_faulted,
        m.EquitySet: _equity_set,
        m.RebalanceDecided: _rebalance_decided,
        m.TradeClamped: _trade_clamped,
        m.TradeRefused: _trade_refused,
        m.OrderIntended: _order_intended,
        m.MarginTold: lambda fact, _: Line(topic="orders", text=_margin(fact)),
        m.DelayedDataUsed: lambda fact, _: Line(topic="orders", text=f"#{fact.intent} decided on delayed data"),
        m.OrderMoved: _order_moved,
        m.OrderCancelAsked: _order_cancel_asked,
        m.OrderChangeAsked: _order_change_asked,
        m.OrderTermsSet: _order_terms_set,
        m.FillBooked: _fill_booked,
        m.CommissionBooked: _commission_booked,
        m.JobNoted: _job_noted,
        m.EventKept: _event_kept,
        **HELD_BACK,
    },
)

SILENT: frozenset[type] = frozenset(
    {
        m.SessionsKnown,
        m.InstrumentKnown,
        m.WhatIfAsked,
        *(m.IdsReserved, m.IntentsTaken),
        m.ClockChecked,
        *(m.AccountValued, m.EquityMarked),
        m.SurplusSet,
        m.AccountPositionSet,
        m.TargetSized,
        m.OrderSending,
        m.OrderIdentified,
        m.OrderChangeAwaited,
        m.AbsenceNoted,
    }
)
"""Facts without a line: each has another fact beside it that has one, or comes all the time."""
