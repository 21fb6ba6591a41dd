"""A recorded decision made again from the journal, and held against the facts that were recorded; `why --recompute`.

Everything is folded from the first record on, no checkpoint is believed, and each record's hash is looked at: what was
altered is named, whether it changes the outcome or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, cast

from longwatch.domain import messages as m
from longwatch.domain.decide import step
from longwatch.domain.state import State, canonical
from longwatch.errors import JournalError
from longwatch.explain.gathered import asked
from longwatch.explain.grounds import NOT_THERE, came_of
from longwatch.explain.plain import Json
from longwatch.journal.chain import first_link, link
from longwatch.journal.checkpoints import no_collections
from longwatch.journal.codec import fold, is_fact_record
from longwatch.journal.finding import Finder
from longwatch.journal.layout import BEFORE_CHAIN
from longwatch.journal.records import Record

MOST_NAMED = 20
"""Altered records that are named; after so many the journal is to be restored, not explained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A field of a fact that follows otherwise than it was recorded; `field` is empty where the whole fact is."""

    fact: str
    field: str
    recorded: str | None
    follows: str | None


def recompute(path: Path, name: str) -> Json:
    """Decide again on the event that an order was decided on: whether its facts follow, and what is named otherwise.

    Raises UsageError when there is no such order, JournalError when the event is not there to decide on.
    """
    with asked(path, name) as (finder, one):
        event = cast(m.Event | None, one.decided.what)
        if event is None:
            raise JournalError(f"{path}: {NOT_THERE}; put {path.name}-archive back beside it")
        recorded = [cast(m.Fact, told.what) for told in came_of(finder, one.decided.sequence)]
        state, altered = State(), list[Record]()
        with no_collections():
            fold(state, _folded(finder, one.decided.sequence + len(recorded), one.decided.sequence, altered))
        found = differences(recorded, step(state, event).facts)
        return {
            "intent": one.order.intent,
            "decided": {"record": one.decided.sequence, "kind": one.decided.kind, "facts": len(recorded)},
            "same": not found and not altered,
            "altered": [{"record": record.sequence, "kind": record.kind} for record in altered],
            "differences": [
                {"fact": each.fact, "field": each.field or None, "recorded": each.recorded, "follows": each.follows}
                for each in found
            ],
        }


def _folded(finder: Finder, last: int, decided: int, altered: list[Record]) -> Iterator[Record]:
    """The facts before a decision; every record up to `last` whose hash does not follow is put into `altered`."""
    before = first_link(finder.form.identity.journal_id)
    for entry in finder.between(1, last):
        record = entry.record
        if not entry.is_away and finder.form.layout != BEFORE_CHAIN and link(before, record) != entry.hash:
            altered.append(record)
            if len(altered) >= MOST_NAMED:
                return
        before = entry.hash
        if record.sequence < decided and is_fact_record(record):
            yield record


# ── facts against facts ─────────────────────────────────────────────────────────────────────────────────────────────


def differences(recorded: Sequence[m.Fact], follows: Sequence[m.Fact]) -> list[Difference]:
    """What is otherwise, fact by fact; those of one kind about one thing are held against each other in their order."""
    left, right = _named(recorded), _named(follows)
    found: list[Difference] = []
    for name in (*left, *(name for name in right if name not in left)):
        if name not in right:
            found.append(Difference(fact=name, field="", recorded=_short(left[name]), follows=None))
        elif name not in left:
            found.append(Difference(fact=name, field="", recorded=None, follows=_short(right[name])))
        else:
            found += _fields(name, "", left[name], right[name])
    return found


def _named(facts: Iterable[m.Fact]) -> dict[str, m.Fact]:
    """Each fact by its kind and what it is about: `OrderIntended GOOG`, `TradeClamped IBM max_weight`."""
    named: dict[str, m.Fact] = {}
    for fact in facts:
        order = getattr(fact, "order", None)
        about = [
            getattr(order or fact, "symbol", None) or _number(fact),
            getattr(fact, "check", None),
            getattr(fact, "strategy", None),
        ]
        name = " ".join([type(fact).__name__, *(str(part) for part in about if part)])
        count = sum(1 for known in named if known == name or known.startswith(f"{name} ("))
        named[f"{name} ({count + 1})" if count else name] = fact
    return named


def _number(fact: m.Fact) -> str | None:
    intent = getattr(fact, "intent", None)
    return None if intent is None else f"#{intent}"


def _fields(name: str, field: str, recorded: Any, follows: Any) -> Iterator[Difference]:
    if is_dataclass(recorded) and type(recorded) is type(follows):
        for spec in fields(recorded):
            inner = f"{field}.{spec.name}" if field else spec.name
            yield from _fields(name, inner, getattr(recorded, spec.name), getattr(follows, spec.name))
    elif recorded != follows:
        inner = field.removeprefix("order.")
        yield Difference(fact=name, field=inner, recorded=_short(recorded), follows=_short(follows))


def _short(value: Any) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    text = canonical(value) if is_dataclass(value) or isinstance(value, tuple) else str(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
