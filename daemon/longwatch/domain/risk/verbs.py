"""The verb matrix: what each condition still lets through; asked before an order is intended and again at the write.

A condition holds for the account (a verb, a hold, not being ready), for one instrument (a hold, a quarantine, an
unknown order), or for a strategy. A strategy's hold is about its part of an order: see `parts.forbidden_part`.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from longwatch.domain.levels import Grade, Level
from longwatch.domain.messages import HoldSet, Verb
from longwatch.domain.orders import Allocation, Purpose
from longwatch.domain.portfolio.parts import forbidden_part
from longwatch.domain.reconciliation.causes import Cause
from longwatch.domain.reconciliation.quarantines import is_alone
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

_GRADES = {Grade.REDUCING: _C.REDUCING, Grade.HALTED: _C.HALT}

ACTIONS = {
    Purpose.ENTRY: _A.ENTRY,
    Purpose.REDUCE: _A.REDUCE,
    Purpose.STOP: _A.STOP,
    # It closes, and protects nothing.
    Purpose.PROFIT: _A.REDUCE,
}


def conditions(state: State, con_id: int, *, ready: bool, besides: int | None = None) -> Iterator[Condition]:
    """The conditions that hold for one instrument; `besides` is an intent not to be held against itself."""
    for verb in state.verbs:
        # Where a flatten closes nothing it may not keep the stops away either.
        if verb is not Verb.FLATTEN or is_flattened(state, con_id):
            yield _VERBS[verb]
    for hold in holds_on(state, con_id):
        # A person's word to close everything is not kept from it by a limit.
        yield Condition.REDUCING if state.is_on(Verb.FLATTEN) else _GRADES[hold.grade]
    if con_id in state.quarantines and not is_flattened(state, con_id):
        yield Condition.QUARANTINED
    if not ready:
        yield Condition.NOT_READY
    unknown = [intent for intent in state.unknown if state.orders[intent].con_id == con_id]
    if unknown and unknown != [besides]:
        yield Condition.UNKNOWN


def is_flattened(state: State, con_id: int) -> bool:
    """Whether a flatten is on that closes what is held of an instrument: a halt and a quarantine keep it from that.

    Of a history that is ahead only prices are in doubt: by how many shares it is closed is not. No order can be for a
    contract that is not known.
    """
    if not state.is_on(Verb.FLATTEN) or state.is_on(Verb.HALT):
        return False
    if all(known.con_id != con_id for known in state.instruments.values()):
        return False
    return con_id not in state.quarantines or is_alone(state, con_id, Cause.REBASED)


def forbidden_by(
    state: State, con_id: int, action: Action, *, ready: bool, besides: int | None = None
) -> Condition | None:
    """The first condition that forbids `action` in this instrument, or None."""
    held = conditions(state, con_id, ready=ready, besides=besides)
    return next((condition for condition in held if action not in ALLOWED[condition]), None)


def holds_on(state: State, con_id: int) -> Iterator[HoldSet]:
    """The limits' holds on an instrument: its own, and the account's."""
    for hold in state.holds.values():
        if hold.level is Level.ACCOUNT or (hold.level is Level.INSTRUMENT and hold.con_id == con_id):
            yield hold


def because(state: State, con_id: int, held_by: Condition) -> str:
    """Which limit is behind a condition; nothing where a person is, or nobody."""
    if any(_VERBS[verb] is held_by for verb in state.verbs):
        return ""
    rules = sorted({hold.rule for hold in holds_on(state, con_id) if _GRADES[hold.grade] is held_by})
    return f" ({', '.join(rules)} limit)" if rules else ""


def is_halted(state: State) -> bool:
    """Whether nothing but protection may leave for the account as a whole."""
    held = any(hold.level is Level.ACCOUNT and hold.grade is Grade.HALTED for hold in state.holds.values())
    return state.is_on(Verb.HALT) or (held and not state.is_on(Verb.FLATTEN))


def forbidden_for(
    state: State, con_id: int, action: Action, parts: tuple[Allocation, ...], *, besides: int | None = None
) -> str | None:
    """Why a strategy's hold forbids an order with these parts; a protective stop and a cancel it never does.

    One that is of no strategy, as a take-profit, sells of each one's part.
    """
    if not state.holds or action in (Action.STOP, Action.CANCEL):
        return None
    return forbidden_part(state, con_id, parts, besides=besides)
