"""Every record about one order, found by any of its names; the ground of `longwatch why`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import cast

from longwatch.domain import messages as m
from longwatch.domain.order_life.identity import own_number
from longwatch.domain.orders import Order, whole_number
from longwatch.domain.state import State, evolve
from longwatch.errors import UsageError
from longwatch.journal.codec import FACTS, decode
from longwatch.journal.finding import Finder, finding, time_of
from longwatch.journal.reading import Entry

MESSAGES = (
    "OpenOrderSeen",
    "OrderStatusSeen",
    "ExecutionSeen",
    "CommissionSeen",
    "CompletedOrderSeen",
    "OrderErrorSeen",
    "OrderHanded",
    "OrderWithheld",
)
"""Events about one order; others that moved it are found as causes of its facts."""
LATE = timedelta(days=1)
"""What is told again of an order so long after its last fact is looked for, and no further."""


@dataclass(frozen=True, slots=True)
class Told:
    """A record and the event or fact in it; None where it is in an archive that is not there."""

    sequence: int
    cause: int
    kind: str
    what: m.Event | m.Fact | None

    @classmethod
    def of(cls, entry: Entry) -> Told:
        """As it stands in the journal. Raises JournalError when it can't be read."""
        record = entry.record
        return cls(record.sequence, record.cause, record.kind, None if entry.is_away else decode(record))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """One order: `order` as all of its facts leave it, `intended` as it was decided.

    `facts` are those about it, `heard` the events about it (`about` are their records) and the others that its facts
    follow from, each in order; `decided` is the event it was decided on. `also`: what else the name asked for could be.
    """

    order: Order
    intended: Order
    facts: tuple[Told, ...]
    heard: tuple[Told, ...]
    about: frozenset[int]
    decided: Told
    fills: State
    also: str = ""

    @property
    def intended_at(self) -> int:
        """The record that holds the decision to send it."""
        return self.facts[0].sequence


@contextmanager
def asked(path: Path, name: str) -> Iterator[tuple[Finder, Gathered]]:
    """The order of this name, with the journal still open. Raises UsageError when there is none."""
    with finding(path) as finder:
        intent, also = intent_named(finder, name)
        if intent is None:
            raise UsageError(
                f"{path} has no order {name}; name it by its number or reference as `longwatch orders` shows it, by a "
                "permId, an order id, or an execId"
            )
        yield finder, gathered(finder, intent, also)


def intent_named(finder: Finder, name: str) -> tuple[int | None, str]:
    """The number of the order meant, and what else the name could mean.

    A number is first that of an order, then a permId, then the broker's order id; `permId:`, `orderId:` and `execId:`
    before it say which.
    """
    prefix, colon, rest = name.partition(":")
    if colon and prefix.lower() in _BY_PREFIX:
        return _BY_PREFIX[prefix.lower()](finder, rest), ""
    ref = State(journal_id=finder.form.identity.journal_id)
    number = own_number(ref, name) if name.startswith("lw:") else whole_number(name.removeprefix("#"))
    if number is None:
        return _by_execution(finder, name), ""
    found = [(what, intent) for what, look in _BY_NUMBER if (intent := look(finder, str(number))) is not None]
    if name.startswith(("lw:", "#")):
        found = [one for one in found if one[0] == "order"][:1]
    also = "; ".join(f"{number} is also the {what} of #{intent}" for what, intent in found[1:] if intent != found[0][1])
    return (found[0][1], also) if found else (None, "")


def gathered(finder: Finder, intent: int, also: str = "") -> Gathered:
    """All there is about an order that is known to be in the journal."""
    facts = tuple(Told.of(entry) for entry in finder.of_intent(intent) if entry.record.kind in FACTS)
    intended = next(cast(m.OrderIntended, one.what) for one in facts if one.kind == "OrderIntended").order
    heard = {one.sequence: one for one in _messages(finder, facts, _folded(facts).orders[intent])}
    about = frozenset(heard)
    facts = tuple(sorted((*facts, *_early_charges(finder, facts, heard)), key=lambda one: one.sequence))
    for entry in finder.numbered(one.cause for one in facts if one.cause not in heard):
        heard[entry.record.sequence] = Told.of(entry)
    first, own = facts[0].cause, _folded(facts)
    return Gathered(
        order=own.orders[intent],
        intended=intended,
        facts=facts,
        heard=tuple(heard[sequence] for sequence in sorted(heard) if sequence != first or sequence in about),
        about=about,
        decided=heard[first],
        fills=own,
        also=also,
    )


def _folded(facts: Iterable[Told]) -> State:
    """The part of the state that an order's own facts make."""
    own = State()
    for one in facts:
        evolve(own, cast(m.Fact, one.what))
    return own


def _early_charges(finder: Finder, facts: Iterable[Told], heard: Mapping[int, Told]) -> Iterator[Told]:
    """Commissions that were told before their execution: nobody knew yet whose they are, and so they name no order."""
    known = {one.sequence for one in facts}
    for one in heard.values():
        if one.kind == "CommissionSeen":
            for entry in finder.between(one.sequence + 1, one.sequence + 1, ("CommissionBooked",)):
                if entry.record.sequence not in known:
                    yield Told.of(entry)


def _messages(finder: Finder, facts: tuple[Told, ...], order: Order) -> Iterator[Told]:
    """Broker's and transport's messages about the order, whether they moved it or not."""
    executions = {one.what.exec_id for one in facts if isinstance(one.what, m.FillBooked)}
    names = _names(order, executions)
    last = _until(finder, facts[-1])
    is_its_id = _validity(finder, facts, last)
    for entry in finder.between(facts[0].cause or facts[0].sequence, last, MESSAGES):
        payload = entry.record.payload
        if any(name in payload for name in names):
            one = Told.of(entry)
            if _concerns(one, order, executions, named_by_id=is_its_id(one.sequence)):
                yield one


def _until(finder: Finder, last: Told) -> int:
    """The end of what is looked through: some time after the event that the last fact follows from."""
    event = finder.at(last.cause or last.sequence)
    at = time_of(event) if event is not None else None
    return finder.last if at is None else max(finder.since(at + LATE) - 1, last.sequence)


def _validity(finder: Finder, facts: tuple[Told, ...], last: int) -> Callable[[int], bool]:
    """Whether at a record the broker's order id names this order: not once ids began anew, until it is seen again."""
    named = [(one.sequence, True) for one in facts if getattr(one.what, "order_id", 0)]
    anew = [
        (entry.record.sequence, False)
        for entry in finder.between(facts[0].sequence, last, ("IdsReserved",))
        if cast(m.IdsReserved, decode(entry.record)).anew
    ]
    turns = sorted((*named, *anew))

    def is_its_id(sequence: int) -> bool:
        return next((is_named for turn, is_named in reversed(turns) if turn <= sequence), False)

    return is_its_id


def _names(order: Order, executions: Set[str]) -> tuple[bytes, ...]:
    """What a payload about the order has in it."""
    names = [f'"ref":"{order.ref}"', f'"intent":{order.intent},', f'"order_id":{order.order_id},']
    names += [f'"perm_id":{perm_id},' for perm_id in order.perm_ids]
    names += [f'"exec_id":"{exec_id}"' for exec_id in executions]
    return tuple(name.encode() for name in names)


def _concerns(one: Told, order: Order, executions: Set[str], *, named_by_id: bool) -> bool:
    """Whether a message is about this order and no other: by permId first, then reference, then order id."""
    match one.what:
        case m.OrderHanded(intent=number) | m.OrderWithheld(intent=number):
            return number == order.intent
        case m.CommissionSeen(exec_id=exec_id):
            return exec_id in executions
        case m.OrderErrorSeen(order_id=order_id):
            return named_by_id and order_id == order.order_id
        case m.CompletedOrderSeen(perm_id=perm_id, ref=ref):
            return perm_id in order.perm_ids if perm_id and order.perm_ids else ref == order.ref
        case m.OpenOrderSeen() | m.OrderStatusSeen() | m.ExecutionSeen():
            row = one.what
            if row.perm_id and order.perm_ids:
                return row.perm_id in order.perm_ids
            ref = getattr(row, "ref", "")
            if ref:
                return ref == order.ref
            return named_by_id and (row.client_id, row.order_id) == (order.client_id, order.order_id)
        case _:
            return False


# ── names ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _by_intent(finder: Finder, text: str) -> int | None:
    number = whole_number(text)
    if number is None:
        return None
    return number if any(entry.record.kind == "OrderIntended" for entry in finder.of_intent(number)) else None


def _by_perm_id(finder: Finder, text: str) -> int | None:
    for entry in finder.holding("OrderIdentified", f'"perm_id":{text},'):
        return cast(m.OrderIdentified, decode(entry.record)).intent
    return None


def _by_order_id(finder: Finder, text: str) -> int | None:
    for kind in ("OrderSending", "OrderIdentified"):
        for entry in finder.holding(kind, f'"order_id":{text}'):
            fact = cast(m.OrderSending | m.OrderIdentified, decode(entry.record))
            if str(fact.order_id) == text:
                return fact.intent
    return None


def _by_execution(finder: Finder, text: str) -> int | None:
    for entry in finder.holding("FillBooked", f'"exec_id":"{text}"') if text else ():
        return cast(m.FillBooked, decode(entry.record)).intent
    return None


_BY_NUMBER: tuple[tuple[str, Callable[[Finder, str], int | None]], ...] = (
    ("order", _by_intent),
    ("permId", _by_perm_id),
    ("order id", _by_order_id),
)
_BY_PREFIX: dict[str, Callable[[Finder, str], int | None]] = {
    "permid": _by_perm_id,
    "orderid": _by_order_id,
    "execid": _by_execution,
}
