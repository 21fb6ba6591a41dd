"""The waiting times for which a stop or a take-profit is left as it is, and when each runs out; for protection.

What waits for a time to pass is called by nothing else than the next look at its instrument: so every such time has its
row here, and the look falls on the earliest of them. What waits for a message needs none, that is an event itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import takewhile

from longwatch.domain import messages as m
from longwatch.domain.order_life.breaker import held_back_until
from longwatch.domain.order_life.submission import ASK_AGAIN_AFTER
from longwatch.domain.orders import Order, Purpose
from longwatch.domain.risk.attached import waits
from longwatch.domain.risk.oca import others
from longwatch.domain.safeguards.attached import PATIENCE
from longwatch.domain.state import State


def next_end(state: State, con_id: int, since: datetime, event: m.Event) -> datetime | None:
    """The earliest technical time after an event at which a wait runs out; without a stop are its shares `since`."""
    ends = (end for pause in PAUSES for end in pause(state, con_id, since, event))
    return min((end for end in ends if end > event.tech), default=None)


def ends_by_itself(state: State, order: Order, tech: datetime) -> bool:
    """Whether the broker is ending, or shrinking, an order because another order of its group has just filled."""
    return _settles_at(state, order, tech) is not None


def _settles_at(state: State, order: Order, tech: datetime) -> datetime | None:
    """When the broker must have told what the last fill of its group has made of an order; None when it has.

    A fill that was taken back makes nothing of it: what that had made, its own settling told.
    """
    group = {one.intent for one in others(state, order) if one.told}
    wait = timedelta(seconds=state.settings.acknowledge_seconds)
    just_now = takewhile(lambda fill: fill.tech > tech - wait, reversed(state.fills.values())) if group else ()
    return next((fill.tech + wait for fill in just_now if fill.quantity and fill.intent in group), None)


def _groups_settle(state: State, con_id: int, since: datetime, event: m.Event) -> Iterator[datetime]:
    for order in state.live_in(con_id):
        end = _settles_at(state, order, event.tech) if order.rests else None
        if end is not None:
            yield end


def _terms_are_asked_for_again(state: State, con_id: int, since: datetime, event: m.Event) -> Iterator[datetime]:
    for order in state.live_in(con_id):
        if order.rests and order.vain is not None:
            yield order.vain.asked_at + ASK_AGAIN_AFTER


def _an_entry_is_not_waited_for(state: State, con_id: int, since: datetime, event: m.Event) -> Iterator[datetime]:
    if any(waits(state, order) and not order.cancel_asked for order in state.live_in(con_id)):
        yield since + PATIENCE


def _a_breaker_lets_through(state: State, con_id: int, since: datetime, event: m.Event) -> Iterator[datetime]:
    until = held_back_until(state, con_id, Purpose.STOP, event.at)
    if until is not None:
        yield event.tech + (until - event.at)


def _a_person_is_told(state: State, con_id: int, since: datetime, event: m.Event) -> Iterator[datetime]:
    row = state.unprotected.get(con_id)
    if row is None or not row.told:
        yield since + timedelta(seconds=state.settings.unprotected_alert_seconds)


PAUSES = (
    _groups_settle,
    _terms_are_asked_for_again,
    _an_entry_is_not_waited_for,
    _a_breaker_lets_through,
    _a_person_is_told,
)
