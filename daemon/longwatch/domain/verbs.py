"""The verb matrix: what each condition still lets through; asked before an order is intended and again at the write."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from longwatch.domain.messages import Verb
from longwatch.domain.orders import OrderState, Purpose
from longwatch.domain.state import State


class Condition(StrEnum):
    """Something that holds orders back."""

    PAUSE = "paused"
    REDUCING = "reducing only"
    HALT = "halted"
    FLATTEN = "flattening"
    QUARANTINED = "quarantined"
    NOT_READY = "not ready"
    UNKNOWN = "an order with an unknown outcome"


class Action(StrEnum):
    """What one may want to do."""

    ENTRY = "entry"
    REDUCE = "reduce"
    STOP = "stop"
    CANCEL = "cancel"


_C = Condition
_A = Action

ALLOWED: dict[Condition, frozenset[Action]] = {
    _C.PAUSE: frozenset({_A.REDUCE, _A.STOP, _A.CANCEL}),
    _C.REDUCING: frozenset({_A.REDUCE, _A.STOP, _A.CANCEL}),
    _C.HALT: frozenset({_A.STOP, _A.CANCEL}),
    _C.FLATTEN: frozenset({_A.REDUCE, _A.CANCEL}),
    _C.QUARANTINED: frozenset({_A.STOP, _A.CANCEL}),
    _C.NOT_READY: frozenset({_A.CANCEL}),
    _C.UNKNOWN: frozenset({_A.REDUCE, _A.STOP, _A.CANCEL}),
}

_VERBS = {
    Verb.PAUSE: _C.PAUSE,
    Verb.REDUCING: _C.REDUCING,
    Verb.HALT: _C.HALT,
    Verb.FLATTEN: _C.FLATTEN,
}

ACTIONS = {Purpose.ENTRY: _A.ENTRY, Purpose.REDUCE: _A.REDUCE, Purpose.STOP: _A.STOP}


def conditions(state: State, con_id: int, *, ready: bool, besides: int | None = None) -> Iterator[Condition]:
    """The conditions that hold for one instrument; `besides` is an intent not to be held against itself."""
    for verb in state.verbs:
        yield _VERBS[verb]
    if con_id in state.quarantines:
        yield Condition.QUARANTINED
    if not ready:
        yield Condition.NOT_READY
    if any(order.state is OrderState.UNKNOWN and order.intent != besides for order in state.live_in(con_id)):
        yield Condition.UNKNOWN


def forbidden_by(
    state: State, con_id: int, action: Action, *, ready: bool, besides: int | None = None
) -> Condition | None:
    """The first condition that forbids `action` in this instrument, or None."""
    held = conditions(state, con_id, ready=ready, besides=besides)
    return next((condition for condition in held if action not in ALLOWED[condition]), None)
