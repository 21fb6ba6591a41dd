"""What an entry would bind of margin, asked of the broker before it is sent; called by decide and lifecycle.

Until the answer the order is intended and nothing has left: a lost link, a restart or a cancel leave it unsent. No
answer by the deadline leads where the settings say: it is refused, or its margin is estimated.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.order_life.evidence import Decided, advance
from longwatch.domain.order_life.submission import sending
from longwatch.domain.order_life.verdicts import Verdict
from longwatch.domain.orders import Evidence, Order, OrderState, Purpose
from longwatch.domain.risk import permissions
from longwatch.domain.risk.means import figures_of, margin_bound
from longwatch.domain.risk.table import limit_passed
from longwatch.domain.state import State

WHAT_IF = "what_if"


def answered(state: State, event: m.WhatIfSeen) -> Decided:
    """The broker has said what the order would bind: it goes, or it is refused with the figures."""
    order = asked_as(state, event.order_id) if event.client_id in (0, state.client_id) else None
    if order is None:
        return
    initial, maintenance, equity = (
        _in_our_currency(state, figure) for figure in (event.initial_margin, event.maintenance_margin, event.equity)
    )
    if initial is None or maintenance is None or equity is None:
        yield from _fall_back(state, order, event.tech, "the broker's answer has no figures")
        return
    beside = _beside(state, order)
    yield m.MarginTold(
        intent=order.intent,
        initial_margin=initial,
        maintenance_margin=maintenance,
        equity=equity,
        is_estimate=False,
        beside=beside,
        commission=event.commission,
    )
    floor, bound, left = state.settings.min_excess_liquidity, initial + beside, equity - maintenance - beside
    if bound > equity:
        yield from _refused(state, order, f"{bound:.2f}", f"{equity:.2f}", "its initial margin would pass the equity")
    elif left < floor:
        yield from _refused(
            state, order, f"{left:.2f}", f"{floor:.2f}", "the excess liquidity it leaves is under the least"
        )
    else:
        yield from _sent(state, order, event.tech)


def error(state: State, order: Order, event: m.OrderErrorSeen) -> Decided:
    """An error about the question: a rejection is the answer, anything else leaves it open until the deadline.

    It counts as the order's own would: by the breaker, in the row of rejections, and in the rate of orders.
    """
    if event.verdict == Verdict.REJECTED:
        why = f"{event.text} ({event.code})"
        yield from _refused(state, order, f"{event.code}", "no rejection", why, Evidence.QUESTION_REJECTED)
        yield from permissions.refused(state, order, event)


def overdue(state: State, tech: datetime) -> Decided:
    """Questions nobody has answered in time."""
    for asked in list(state.what_ifs.values()):
        if asked.deadline <= tech:
            seconds = f"{state.settings.what_if_seconds:g} s"
            yield from _fall_back(state, state.orders[asked.intent], tech, f"no answer within {seconds}")


def due_at(state: State) -> datetime | None:
    """The technical time by which the earliest question must be answered."""
    return min((asked.deadline for asked in state.what_ifs.values()), default=None)


def cancelled(state: State, fact: m.OrderCancelAsked) -> Decided:
    """A cancel of an order that waits for its answer: it is not sent, and that is all."""
    order = state.orders[fact.intent]
    if order.state is OrderState.INTENDED:
        yield from advance(state, order, Evidence.WITHHELD, text=fact.reason)


def asked_as(state: State, order_id: int) -> Order | None:
    """The order whose margin was asked for under this id, while the answer is awaited."""
    found = next((asked.intent for asked in state.what_ifs.values() if asked.order_id == order_id), None)
    return None if found is None else state.orders[found]


def _beside(state: State, order: Order) -> Decimal:
    """What entries are taken to bind that the broker did not know of when it was asked: sent since, or about to be."""
    asked_at = state.what_ifs[order.intent].asked_at
    others = (
        one.remaining * one.worst_price
        for one in state.live_orders()
        if one.purpose is Purpose.ENTRY and one.intent != order.intent
        if (one.intent < order.intent if one.sent_at is None else one.sent_at >= asked_at)
    )
    return state.settings.margin_fraction * sum(others, Decimal(0))


def _fall_back(state: State, order: Order, tech: datetime, why: str) -> Decided:
    figures, fraction = figures_of(state), state.settings.margin_fraction
    if state.settings.what_if_fallback != "estimate":
        yield from _refused(state, order, why, "an answer", f"{why} to what it would bind of margin")
        return
    if figures is None or figures.excess_liquidity is None:
        yield from _refused(state, order, why, "an answer", f"{why}, and no excess liquidity is known to estimate by")
        return
    bound, equity = margin_bound(state, figures), figures.excess_liquidity - state.settings.min_excess_liquidity
    yield m.MarginTold(
        intent=order.intent,
        initial_margin=fraction * order.remaining * order.worst_price,
        maintenance_margin=bound,
        equity=equity,
        is_estimate=True,
    )
    if bound > equity:
        yield from _refused(
            state, order, f"{bound:.2f}", f"{equity:.2f}", f"{why}, and its estimated margin has no room"
        )
        return
    text = f"{order.symbol}: {why} to what it would bind of margin; sent by an estimate of {fraction} of its value"
    yield m.RaiseAlert(key="margin_estimated", text=text)
    yield from _sent(state, order, tech)


def _sent(state: State, order: Order, tech: datetime) -> Decided:
    """It goes, unless it would pass a limit by now: the answer took time, and told of its commission."""
    instrument = state.instruments.get(order.symbol)
    if instrument is None:
        yield from _refused(state, order, "no contract", "a known contract", "its contract is not known any more")
        return
    found = limit_passed(state, state.orders[order.intent])
    if found is not None:
        name, cap = found
        observed, limit = f"{cap.observed:.2f}", f"{cap.limit:.2f}"
        yield from _refused(state, order, observed, limit, f"{name} {observed} would pass the limit {limit} by now")
        return
    yield from sending(state, order.intent, instrument, tech)


def _refused(
    state: State, order: Order, observed: str, limit: str, why: str, evidence: Evidence = Evidence.WITHHELD
) -> Decided:
    text = f"{order.side.value} {order.quantity} {order.symbol} was not sent: {why}"
    yield m.TradeRefused(
        run_id=order.run_id,
        symbol=order.symbol,
        check=WHAT_IF,
        wanted=order.quantity * order.side.sign,
        observed=observed,
        limit=limit,
        text=text,
        intent=order.intent,
    )
    yield m.RaiseAlert(key="margin", text=text)
    yield from advance(state, order, evidence, text=why)


def _in_our_currency(state: State, amount: Decimal | None) -> Decimal | None:
    """The broker answers in the account's base currency."""
    figures = figures_of(state)
    return amount if amount is None or figures is None else amount / figures.rate
