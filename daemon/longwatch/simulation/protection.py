"""The promises about protective stops, judged from the gateway's books at every instant of theirs; see invariants.py.

What the daemon believed plays no part: what is held are the fills and events, what protects are the stops in the books.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from longwatch.simulation.booked import ZERO, BookedOrder, Fill, at_most
from longwatch.simulation.evidence import OURS, Evidence, Found
from longwatch.simulation.knowable import is_shut
from longwatch.simulation.told import brings
from longwatch.simulation.trouble import Played

SOON = timedelta(seconds=20)
"""Within so long after the last fill, and without trouble, all that is held has its stop."""
CALM = timedelta(minutes=2)
"""So long before and after a hole in the protection there must have been no trouble for it to count."""
HEARD_OF = timedelta(seconds=30)
"""What was taken back, or never told, is known of so long after that could be known, at the latest."""
AN_INSTANT = timedelta(microseconds=1)
QUIET = timedelta(hours=1)
A_MOMENT = timedelta(seconds=2)
"""A fill that takes longer to be told is late, and what it bought can't be protected before.

So long at most a cancel takes that waited behind a window of the gateway together with its order.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """Shares held behind no stop from one instant to the next; `fill_at` is the last fill before it."""

    con_id: int
    began: datetime
    ended: datetime
    shares: Decimal
    value: Decimal
    fill_at: datetime

    @property
    def notional_seconds(self) -> float:
        """Value times time."""
        return float(self.value) * (self.ended - self.began).total_seconds()


def stops_are_for_what_is_held(evidence: Evidence) -> Found:
    """With every other sell of ours beside them, stops never sell more than is held; of an OCA group one counts."""
    recalls = _recalls(evidence)
    for con_id, orders in _protected(evidence).items():
        for at in _instants(evidence, con_id, orders):
            sells = [one for one in orders if not one.is_buy and one.is_live(at) and not _is_recalled(recalls, one, at)]
            if not any(one.protects for one in sells):
                continue
            # A child waits for its parent, and sells no more than that has bought.
            most, held = at_most((one.oca_group, one.may_trade(at)) for one in sells), _held(evidence, con_id, at)
            if most > held and not _could_not_act(evidence, con_id, at, most):
                yield at, f"{evidence.symbols[con_id]}: stops and sells are for {most} shares, and {held} are held"


def _recalls(evidence: Evidence) -> dict[str, datetime]:
    """When the first cancel of each order was written; one that went before it under its number is another's."""
    refs: dict[int, str] = {}
    found: dict[str, datetime] = {}
    for seen in evidence.written:
        if seen.name == "placeOrder":
            refs[seen.values["orderId"]] = seen.values["orderRef"]
        elif seen.name == "cancelOrder" and (ref := refs.get(seen.values["orderId"])) is not None:
            found.setdefault(ref, seen.at)
    return found


def _is_recalled(recalls: dict[str, datetime], order: BookedOrder, at: datetime) -> bool:
    """Whether it has only just come into the books, where it waited with its cancel, which follows at once."""
    wrote = recalls.get(order.ref)
    return wrote is not None and wrote <= order.at and at < order.at + A_MOMENT


def never_short(evidence: Evidence) -> Found:
    """No sell leaves anything held short where stops rest: an exit and a stop have not both sold.

    Judged as each sell fills: a buy that is taken back after its shares were sold leaves a short that nobody sold.
    """
    for con_id, orders in _protected(evidence).items():
        for at in sorted({fill.at for one in orders if not one.is_buy for fill in one.fills}):
            if (held := _held(evidence, con_id, at)) < 0:
                yield at, f"{evidence.symbols[con_id]}: {held} shares are held"


def stops_go_with_the_position(evidence: Evidence) -> Found:
    """Once it is quiet, nothing that is gone has a stop, and what is held has one for all of it."""
    for session in evidence.scene.sessions:
        at = session.close_at + timedelta(minutes=90)
        if not evidence.is_quiet(at, QUIET):
            continue
        apart = evidence.quarantined(at)
        for con_id, orders in _protected(evidence).items():
            stops = [one for one in orders if one.protects and one.is_live(at) and not one.waits(at)]
            resting, held = sum((one.remaining(at) for one in stops), ZERO), evidence.position(con_id, at)
            if con_id not in apart and resting != held and con_id not in evidence.adopted:
                yield at, f"{evidence.symbols[con_id]}: stops for {resting} shares rest, and {held} are held"


def protected_in_time(evidence: Evidence) -> Found:
    """SOON after the last fill all that is held has its stop, while the exchange is open and nothing is wrong.

    Not while an exit works: it makes the stop of its group smaller, which is made larger only once it has ended. What
    was quarantined begins anew with the word that lifts it.
    """
    heard = _heard(evidence)
    for hole in (part for whole in holes(evidence) for part in _since_lifted(evidence, whole)):
        late = hole.ended - max(hole.fill_at, hole.began)
        at = max(hole.fill_at, hole.began) + SOON
        if late <= SOON or not _is_calm(evidence, hole.began, at):
            continue
        if hole.con_id in evidence.quarantined(at) or _is_held_back(evidence, at):
            continue
        if any(
            not one.is_buy and not one.protects and one.is_live(at) and not evidence.takes_profit(one)
            for one in evidence.orders
            if one.con_id == hole.con_id
        ):
            continue
        if not all(heard.get(one.exec_id, at) <= hole.began + A_MOMENT for one in _fills(evidence, hole)):
            continue
        if is_shut(evidence, at) or is_shut(evidence, hole.began) or _is_open(evidence, hole.con_id, at):
            continue
        if _may_have_sold(evidence, hole.con_id, at, heard) + _taken_away(evidence, hole.con_id, at) >= hole.shares:
            continue
        symbol = evidence.symbols[hole.con_id]
        yield at, f"{symbol}: {hole.shares} shares had no stop for {late.total_seconds():.1f} s"


def _heard(evidence: Evidence) -> dict[str, datetime]:
    """When each execution was first told."""
    found: dict[str, datetime] = {}
    for seen in evidence.frames("execDetails"):
        found.setdefault(seen.values["execId"], seen.at)
    return found


def _fills(evidence: Evidence, hole: Hole) -> Iterator[Fill]:
    return (fill for fill in evidence.fills if fill.con_id == hole.con_id and fill.at <= hole.began)


# ── holes ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def holes(evidence: Evidence) -> Iterator[Hole]:
    """Every time that shares rested behind no stop while the exchange was open, by contract."""
    if not has_stops(evidence):
        return
    for con_id, orders in _by_contract(evidence).items():
        yield from _holes_in(evidence, con_id, orders)


def has_stops(evidence: Evidence) -> bool:
    """Whether the run had protective stops at all."""
    return bool(evidence.scene.settings.get("stops", {}).get("fraction"))


def _holes_in(evidence: Evidence, con_id: int, orders: list[BookedOrder]) -> Iterator[Hole]:
    fills = sorted((fill.at, fill.price) for one in orders for fill in one.fills)
    if not fills:
        return
    instants = _instants(evidence, con_id, orders)
    for session in evidence.scene.sessions:
        inside = (at for at in instants if session.open_at < at < session.close_at)
        points = [session.open_at, *inside, session.close_at]
        for at, following in pairwise(points):
            missing = _missing(evidence, con_id, orders, at)
            before = [one for one in fills if one[0] <= at]
            if missing <= 0 or not before:
                continue
            fill_at, price = before[-1]
            yield Hole(con_id=con_id, began=at, ended=following, shares=missing, value=missing * price, fill_at=fill_at)


def _missing(evidence: Evidence, con_id: int, orders: list[BookedOrder], at: datetime) -> Decimal:
    """Shares without a stop; a person may have told of what was taken back before two comparisons have shown it."""
    stops = (one.remaining(at) for one in orders if one.protects and one.is_live(at) and not one.waits(at))
    return evidence.room_taken(con_id, at, is_buy=True) - sum(stops, ZERO)


# ── what is judged by ───────────────────────────────────────────────────────────────────────────────────────────────


def _by_contract(evidence: Evidence) -> dict[int, list[BookedOrder]]:
    found: dict[int, list[BookedOrder]] = defaultdict(list)
    for order in evidence.orders:
        if order.ref.startswith(OURS):
            found[order.con_id].append(order)
    return dict(found)


def _protected(evidence: Evidence) -> dict[int, list[BookedOrder]]:
    """Contracts in which there was ever a stop, with all their orders."""
    every = _by_contract(evidence)
    return {con_id: orders for con_id, orders in every.items() if any(one.protects for one in orders)}


def _instants(evidence: Evidence, con_id: int, orders: list[BookedOrder]) -> list[datetime]:
    """When anything of a contract changed in the books."""
    found = {one.at for one in orders} | {one.ended_at for one in orders if one.ended_at is not None}
    found |= {at for one in orders for at, _ in one.sizes}
    found |= {fill.at for one in orders for fill in (*one.fills, *one.busted)}
    found |= {fill.busted_at for one in orders for fill in one.busted if fill.busted_at is not None}
    found |= {at for _, at in evidence.busts_of(con_id) if at is not None}
    found |= {one.at for one in evidence.events if one.con_id == con_id}
    return sorted(found)


def _held(evidence: Evidence, con_id: int, at: datetime) -> Decimal:
    """What is held; a purchase that was taken back counts until some time after the daemon could know of it.

    A sale that was taken back does at once: those shares are held, whoever was the first to know.
    """
    busts = [known for _, known in evidence.busts_of(con_id)]
    if not busts:
        return evidence.position(con_id, at)
    lately = [one - AN_INSTANT for one in busts if one is not None and one <= at < one + HEARD_OF]
    return max(evidence.room_taken(con_id, one, is_buy=False) for one in (at, at - HEARD_OF, *lately))


def _could_not_act(evidence: Evidence, con_id: int, at: datetime, most: Decimal) -> bool:
    """Whether a stop is too large by what was taken back alone, and lately nothing could make it smaller.

    No order could leave, or what left waits behind a window of the gateway until that is closed.
    """
    lately = at - HEARD_OF
    if most > evidence.as_told(con_id, at):
        return False
    return is_shut(evidence, lately) or any(_is_window(one, lately) for one in evidence.played)


def _is_window(played: Played, at: datetime) -> bool:
    is_open = played.began <= at and (played.ended is None or at <= played.ended)
    return played.incident.fault == "dialog" and is_open


def _is_calm(evidence: Evidence, began: datetime, at: datetime) -> bool:
    for one in evidence.played:
        ended = one.ended or one.began
        if began - CALM <= ended and one.began <= at:
            return False
        if any(began - CALM <= struck <= at for struck in one.struck):
            return False
    return True


def _is_open(evidence: Evidence, con_id: int, at: datetime) -> bool:
    """Whether the outcome of a sell, or of its modification, was not known by the journal: nothing goes beside it.

    One that the books do not have any more, or never had, may still sell as far as the daemon can know.
    """
    sells = {number for number, one in evidence.intents.items() if one["con_id"] == con_id and one["side"] == "SELL"}
    awaited: set[int] = set()
    for row in evidence.facts("OrderChangeAsked", "OrderTermsSet", "OrderMoved"):
        if row.at > at or row.body["intent"] not in sells:
            continue
        is_awaited = row.kind == "OrderChangeAsked" or row.body.get("state") == "unknown"
        if is_awaited:
            awaited.add(row.body["intent"])
        elif row.kind == "OrderTermsSet" or row.body["state"] != "unknown":
            awaited.discard(row.body["intent"])
    return bool(awaited)


def _may_have_sold(evidence: Evidence, con_id: int, at: datetime, heard: dict[str, datetime]) -> Decimal:
    """Shares that sells of the session have filled, by their status, and that were taken back before they were told.

    A status goes on counting them, and until the session has ended they may be executions that are still to be told.
    """
    session = next((one for one in evidence.scene.sessions if one.open_at <= at < one.close_at), None)
    untold = (
        fill
        for fill in evidence.busted
        if fill.con_id == con_id and heard.get(fill.exec_id, at) >= at and session and session.open_at <= fill.at <= at
    )
    return sum((max(-fill.quantity, ZERO) for fill in untold), ZERO)


def _taken_away(evidence: Evidence, con_id: int, at: datetime) -> Decimal:
    """Shares that have left the account without a trade: whose they were nobody has said, nor could it be quarantined.

    That takes two comparisons, the second of which may find another book than the first.
    """
    lifted = max((one for one in _lifted(evidence, con_id) if one <= at), default=evidence.scene.begins)
    moved = (one for one in evidence.events if brings(one) and one.con_id == con_id and lifted < one.at <= at)
    known = ((one.event.quantity, evidence.compared_twice(one.at)) for one in moved)
    return max(-sum((shares for shares, by in known if by is None or at < by + HEARD_OF), ZERO), ZERO)


def _since_lifted(evidence: Evidence, hole: Hole) -> Iterator[Hole]:
    """A hole in parts, each but the first since a quarantine was lifted."""
    lifted = (at for at in _lifted(evidence, hole.con_id) if hole.began < at < hole.ended)
    for began, ended in pairwise((hole.began, *lifted, hole.ended)):
        yield replace(hole, began=began, ended=ended)


def _lifted(evidence: Evidence, con_id: int) -> list[datetime]:
    return [row.at for row in evidence.facts("QuarantineLifted") if row.body["con_id"] == con_id]


def _is_held_back(evidence: Evidence, at: datetime) -> bool:
    """Whether a person had cancelled every order in this session, or had everything closed."""
    session = next((one for one in evidence.scene.sessions if one.open_at <= at < one.close_at), None)
    if session is None:
        return True
    said = [row.body["command"] for row in evidence.facts("ControlRequested") if session.open_at <= row.at <= at]
    return "cancel" in said or "flatten" in said
