"""What became of the orders that cuts of the daemon met, by what a run left behind; read by simulate and crashes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import zip_longest

from longwatch.simulation.booked import ZERO, BookedOrder
from longwatch.simulation.cuts import Point, Struck
from longwatch.simulation.evidence import TERMINAL, Evidence
from longwatch.simulation.invariants import Broken

REST = timedelta(seconds=75)
"""Undisturbed for so long after its start, the daemon has come to rest: what it met when it was cut is settled."""
ON_ITS_WAY = timedelta(seconds=5)
"""What happened at the gateway so shortly before need not be in the book yet."""
AT_REST = "at rest after a cut"


@dataclass(slots=True, kw_only=True)
class Tally:
    """What came of the cuts of one point.

    `rested` were followed by rest and judged there before the next cut. `orders` are those that were in the records or
    bytes cut, each once a cut: `settled` have ended and are booked as the gateway has it, `undecidable` are in
    instruments where the gateway has forgotten a fill, `lost` are neither, or in nobody's journal; `duplicates` were
    written or booked twice. Undecidable are also orders from before the day's first fill, of which only the
    session's end can tell that they never arrived.
    """

    cuts: int = 0
    restarts: int = 0
    rested: int = 0
    orders: int = 0
    duplicates: int = 0
    lost: int = 0
    settled: int = 0
    undecidable: int = 0

    def __iadd__(self, other: Tally) -> Tally:
        for one in fields(Tally):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))
        return self


COLUMNS = tuple(one.name for one in fields(Tally))


def tallies(evidence: Evidence) -> dict[str, Tally]:
    """Point -> what came of its cuts in a run."""
    table = {str(point): Tally() for point in Point}
    ends = _Ends(evidence)
    for struck, next_armed in _followed(evidence):
        tally = table[struck.cut.point]
        tally.cuts += 1
        tally.restarts += struck.up is not None
        tally.rested += _rests(struck, next_armed)
        for intent in struck.intents:
            tally += ends.of(intent, struck.at)
    return table


def judge_cuts(evidence: Evidence) -> Iterator[Broken]:
    """Wherever a cut was followed by rest: what was under way then is settled, and the book is the account's."""
    for struck, until in _followed(evidence):
        if _rests(struck, until):
            unlike, lost = _unlike(evidence, until), _cancels_lost(evidence, struck)
            for text in (*_unsettled(evidence, struck, until), *unlike, *lost):
                yield Broken(invariant=AT_REST, at=until, text=f"{struck.cut.name}: {text}")


def kinds_cut(evidence: Evidence) -> Counter[str]:
    """Kind of record -> in how many of the commits that were cut it stood."""
    return Counter(kind for struck in evidence.cuts for kind in set(struck.kinds))


def _followed(evidence: Evidence) -> Iterator[tuple[Struck, datetime]]:
    """Each cut, and when the daemon was next disturbed; after the first fault it never is not."""
    faults = [one.began for one in evidence.played if one.incident.fault != "crash"]
    for struck, until in _cut_again(evidence):
        yield struck, min([until, *faults])


def _cut_again(evidence: Evidence) -> Iterator[tuple[Struck, datetime]]:
    """Each cut, and when the next one was armed, or came."""
    for struck, after in zip_longest(evidence.cuts, evidence.cuts[1:]):
        yield struck, evidence.scene.ends if after is None else after.armed if after.cut.rests else after.at


def _rests(struck: Struck, until: datetime) -> bool:
    return struck.up is not None and until - struck.up >= REST


def _unsettled(evidence: Evidence, struck: Struck, at: datetime) -> Iterator[str]:
    """Orders made before a cut of which it is not known at an instant what they are."""
    state = {row.body["intent"]: row.body["state"] for row in evidence.facts("OrderMoved") if row.at <= at}
    for row in evidence.facts("OrderIntended"):
        order = row.body["order"]
        if row.at > struck.at:
            return
        reached = state.get(order["intent"], "sending")
        if reached in TERMINAL or order["symbol"] in evidence.undecidable:
            continue
        booked = evidence.by_ref.get(order["ref"])
        if booked is None and reached == "unknown" and _was_before_any_fill(evidence, order["intent"]):
            continue
        if reached != "working" or booked is None or not booked.is_live(at - ON_ITS_WAY):
            yield f"order {order['ref']} ({order['symbol']}) is {reached} at {at:%H:%M:%S}"


def _was_before_any_fill(evidence: Evidence, intent: int) -> bool:
    """Whether nothing that had been heard when an order was sent tells a gateway that was started anew since.

    That its outcome is unknown until its session ends is the first case of docs/undecidable.md.
    """
    sent = next((row.at for row in evidence.facts("OrderSending") if row.body["intent"] == intent), None)
    return sent is not None and not any(row.at < sent for row in evidence.facts("FillBooked"))


def _cancels_lost(evidence: Evidence, struck: Struck) -> Iterator[str]:
    """Cancels asked for before a cut that the next daemon, once it had read the account, did not send again."""
    up = struck.up or struck.at
    read = next((row.at for row in evidence.facts("SnapshotSeen") if row.at > up), None)
    if read is None:
        return
    asked = {row.body["intent"] for row in evidence.facts("OrderCancelAsked") if row.at <= struck.at}
    sent = {seen.values["orderId"] for seen in evidence.written if seen.name == "cancelOrder" and seen.at > struck.at}
    for order in evidence.by_ref.values():
        if _intent_of(order.ref) in asked and order.is_live(read + ON_ITS_WAY) and order.order_id not in sent:
            yield f"order {order.ref} ({order.symbol}) works, and its cancel was not sent again"


def _unlike(evidence: Evidence, at: datetime) -> Iterator[str]:
    """Contracts in which the book is not what the account has."""
    book = evidence.booked(at)
    forgotten = {fill.con_id for fill in evidence.untellable}
    for con_id in sorted({order.con_id for order in evidence.orders} - forgotten):
        ours, _ = book.get(con_id, (ZERO, ZERO))
        theirs = {evidence.position(con_id, at), evidence.position(con_id, at - ON_ITS_WAY)}
        if ours not in theirs:
            yield f"contract {con_id}: the book has {ours}, the account {max(theirs)} at {at:%H:%M:%S}"


class _Ends:
    """How every order of a run ended, by intent."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._made = {row.body["order"]["intent"]: row.at for row in evidence.facts("OrderIntended")}
        self._state = {row.body["intent"]: str(row.body["state"]) for row in evidence.facts("OrderMoved")}
        self._written = Counter(_intent_of(seen.values["orderRef"]) for seen in evidence.placed)
        self._held = Counter(_intent_of(order.ref) for order in evidence.orders if order.ref)
        self._booked: Mapping[int, BookedOrder] = {_intent_of(ref): order for ref, order in evidence.by_ref.items()}
        told: dict[str, tuple[int, Decimal]] = {}
        for row in evidence.facts("FillBooked"):
            if row.body["intent"] is not None:
                told.pop(row.body["replaces"], None)
                told[row.body["exec_id"]] = row.body["intent"], Decimal(row.body["quantity"])
        self._filled: dict[int, Decimal] = {}
        for intent, quantity in told.values():
            self._filled[intent] = self._filled.get(intent, ZERO) + quantity

    def of(self, intent: int, cut_at: datetime) -> Tally:
        """What became of an order that a cut met; one that was not durable then never was, and its number is free."""
        made, booked = self._made.get(intent), self._booked.get(intent)
        is_known = made is not None and made <= cut_at
        if not is_known and (booked is None or booked.at > cut_at):
            return Tally()
        tally = Tally(orders=1, duplicates=int(max(self._written[intent], self._held[intent]) > 1))
        has_ended = self._state.get(intent, "") in TERMINAL
        shares = sum((abs(fill.quantity) for fill in booked.fills), ZERO) if booked is not None else ZERO
        is_booked = shares == self._filled.get(intent, ZERO)
        if is_known and has_ended and is_booked:
            tally.settled = 1
        elif booked is not None and booked.symbol in self._evidence.undecidable:
            tally.undecidable = 1
        else:
            tally.lost = 1
        return tally


def _intent_of(ref: str) -> int:
    return int(ref.rpartition(":")[2])
