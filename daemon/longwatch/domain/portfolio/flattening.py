"""What is particular to closing everything: which orders, and what a person must know; for rebalance and reconcile."""

from __future__ import annotations

from datetime import datetime, timedelta

from longwatch.domain import messages as m
from longwatch.domain.order_life.breaker import in_lots_to_close
from longwatch.domain.order_life.evidence import Decided
from longwatch.domain.orders import OrderType, Purpose
from longwatch.domain.state import State


def order_type(state: State) -> OrderType | None:
    """What a flatten closes with: the type that was named, or the settings'; None while there is no flatten."""
    verb = state.verbs.get(m.Verb.FLATTEN)
    return None if verb is None else OrderType(verb.choice or state.settings.flatten_order_type)


def left_open(state: State) -> Decided:
    """A flatten can't close what it has no contract for, nor a fraction the broker refuses: a person must know."""
    known = {instrument.con_id: instrument for instrument in state.instruments.values()}
    for con_id, holding in sorted(state.book.items()) if state.is_on(m.Verb.FLATTEN) else ():
        left, why = holding.quantity, "its contract is not known"
        if con_id in known:
            left -= in_lots_to_close(state, known[con_id], left)
            why = "the broker takes no order for a fraction"
        if left:
            text = f"{left} {holding.symbol} stay: {why}; close them by hand"
            yield m.RaiseAlert(key="not_flattened", text=text, severity="critical")


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
