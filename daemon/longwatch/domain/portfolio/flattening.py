"""What is particular to closing everything: which orders, and what a person must know; for rebalance and reconcile."""

from __future__ import annotations

from datetime import datetime, timedelta

from longwatch.domain import messages as m
from longwatch.domain.order_life.closing import by_hand
from longwatch.domain.order_life.evidence import Decided
from longwatch.domain.orders import OrderType, Purpose
from longwatch.domain.state import State


def order_type(state: State) -> OrderType | None:
    """What a flatten closes with: the type that was named, or the settings'; None while there is no flatten."""
    verb = state.verbs.get(m.Verb.FLATTEN)
    return None if verb is None else OrderType(verb.choice or state.settings.flatten_order_type)


def left_open(state: State) -> Decided:
    """What a flatten can't close, in each instrument."""
    for con_id in sorted(state.book) if state.is_on(m.Verb.FLATTEN) else ():
        if (left := by_hand(state, con_id)) is not None:
            yield left


def unanswered(state: State, tech: datetime) -> Decided:
    """What a flatten does not close because the broker has not yet said that a stop of it is gone."""
    verb = state.verbs.get(m.Verb.FLATTEN)
    if verb is None or verb.tech is None or state.is_on(m.Verb.HALT):
        return
    if tech < verb.tech + timedelta(seconds=state.settings.acknowledge_seconds):
        return
    for order in state.live_orders():
        if order.purpose is Purpose.STOP and order.cancel_asked and state.held(order.con_id):
            text = (
                f"{state.held(order.con_id)} {order.symbol} stay for now: the broker has not answered the cancel of "
                f"the stop {order.ref}; cancel it in TWS, or close them by hand"
            )
            yield m.RaiseAlert(key="not_flattened", text=text, severity="critical")


def not_closed(state: State, refused: m.TradeRefused) -> Decided:
    """A closing order of a flatten that a check refused: a person must know which shares stay, and why."""
    if state.is_on(m.Verb.FLATTEN):
        text = f"{-refused.wanted} {refused.symbol} stay for now: {refused.text}; tried again while the flatten is on"
        yield m.RaiseAlert(key="not_flattened", text=text, severity="critical")
