"""Quarantines that lie one upon another: what is about shares or prices does not hide what was there before it.

A state has one quarantine an instrument, with those beneath it. When the uppermost ends, the next one is told again.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from functools import reduce

from longwatch.domain import messages as m
from longwatch.domain.reconciliation.causes import Cause, lifted_by
from longwatch.domain.state import State
from longwatch.quick import changed

Followed = Iterator[m.Fact | m.Effect]

POSITION = "position"
"""What the reason of a quarantine begins with that ends by itself when book and account agree."""
UNREADABLE = "an unreadable message"
UNDIGESTED = "an undigested event"
"""What the reason of a quarantine begins with for an event that nothing was concluded of."""
OF_AN_ORDER = "works at the broker"
"""What the reason of a quarantine ends with for an order at work that nothing has come of yet."""
FROZEN = frozenset({Cause.SPLIT})
"""Quarantines under which what rests stays as it is: shares are not what we know them to be."""
ONLY_LESS = frozenset({Cause.OURS_UNKNOWN})
"""Those under which only what rests for more than is held is touched: orders of ours may work that we don't know."""


def layers(state: State, con_id: int) -> list[m.QuarantineSet]:
    """The quarantines of an instrument, the uppermost first."""
    found, held = [], state.quarantines.get(con_id)
    while held is not None:
        found.append(held)
        held = held.beneath
    return found


def is_for(state: State, con_id: int, causes: Set[Cause]) -> bool:
    """Whether an instrument is quarantined for one of these causes, be it beneath another."""
    return any(held.cause in causes for held in layers(state, con_id))


def is_alone(state: State, con_id: int, cause: Cause) -> bool:
    """Whether an instrument is quarantined for this cause and for no other."""
    there = layers(state, con_id)
    return bool(there) and all(held.cause is cause for held in there)


def tells_of_shares(held: m.QuarantineSet) -> bool:
    """Whether a quarantine is about the shares there are, so that a person who looked into it knows of a difference."""
    is_of_words = held.reason == UNREADABLE or held.reason.startswith(UNDIGESTED) or held.reason.endswith(OF_AN_ORDER)
    return held.cause not in {Cause.NOT_PERMITTED, Cause.REBASED, Cause.CONTRACT} and not is_of_words


def lets_adopt(held: m.QuarantineSet) -> bool:
    """Whether a person may take a difference as ours: an unreadable message may have been all that told of it."""
    return held.reason == UNREADABLE or tells_of_shares(held)


def ended_by(held: m.QuarantineSet) -> str:
    """What would end a quarantine, as a person reads it: book and account agreeing ends only what is about shares."""
    if held.reason == UNREADABLE:
        return f"a whole download of the account that can be read; or else `longwatch unquarantine {held.symbol}`"
    if held.cause is Cause.UNEXPLAINED and not held.reason.startswith(POSITION):
        return f"`longwatch unquarantine {held.symbol}`, once it is looked into"
    return lifted_by(held.cause, held.symbol)


def laid(state: State, fact: m.QuarantineSet) -> m.QuarantineSet:
    """A quarantine with those there are: uppermost what is about shares and ends by itself, of which one is enough."""
    there = [held for held in layers(state, fact.con_id) if not _is_replaced(held, fact)]
    uppermost, *beneath = sorted([fact, *there], key=lambda held: not held.reason.startswith(POSITION))
    return changed(uppermost, beneath=_stacked(beneath))


def _is_replaced(held: m.QuarantineSet, by: m.QuarantineSet) -> bool:
    return held.reason.startswith(POSITION) and by.reason.startswith(POSITION)


def for_undigested(state: State, fact: m.QuarantineSet) -> m.QuarantineSet | None:
    """One for an event that nothing was concluded of, with those there are; None where one such is there already."""
    if any(held.reason.startswith(UNDIGESTED) for held in layers(state, fact.con_id)):
        return None
    return laid(state, fact)


def lifted(state: State, con_id: int, reason: str, *, of: Cause | None = None) -> Followed:
    """The end of the uppermost quarantine, or of that `of` a cause; those that are left are told again."""
    there = layers(state, con_id)
    ended = next((held for held in there if of is None or held.cause is of), None)
    if ended is None:
        return
    yield m.QuarantineLifted(con_id=con_id, reason=reason)
    left = _stacked([held for held in there if held is not ended])
    if left is not None:
        yield left


def _stacked(layers: list[m.QuarantineSet]) -> m.QuarantineSet | None:
    """Quarantines one upon another, the first uppermost."""
    none: m.QuarantineSet | None = None
    return reduce(lambda beneath, held: changed(held, beneath=beneath), reversed(layers), none)
