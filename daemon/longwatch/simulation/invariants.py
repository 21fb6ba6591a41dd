"""The promises, looked for in what a run left behind and nowhere else; each broken one is named with time and detail.

Written apart from the daemon: what it believed is only what it wrote into its journal, what was true is what the
gateway's books say, and what it could know is what had arrived on the wire.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from longwatch.simulation.audit import books_agree
from longwatch.simulation.booked import PROTECTIVE, ZERO, at_most, moment
from longwatch.simulation.endings import ends_by_evidence
from longwatch.simulation.evidence import Evidence, Found, Row
from longwatch.simulation.knowable import ready_when_sending
from longwatch.simulation.liveness import at_target, enough_orders, no_unknown_remains
from longwatch.simulation.obedience import obeys_people_and_quarantines
from longwatch.simulation.others import others_are_counted, others_are_left_alone
from longwatch.simulation.protection import (
    never_short,
    protected_in_time,
    stops_are_for_what_is_held,
    stops_go_with_the_position,
)
from longwatch.simulation.shares import sizing_prices
from longwatch.simulation.tap import Seen

QUIET = timedelta(hours=1)
"""After so long without trouble book and account must agree."""
SLACK = timedelta(seconds=2)
CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """One promise not kept."""

    invariant: str
    at: datetime
    text: str

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S.%f} {self.invariant}: {self.text}"


def judge(evidence: Evidence) -> Iterator[Broken]:
    """Every promise that was not kept, promise by promise."""
    for name, look in INVARIANTS.items():
        for at, text in look(evidence):
            yield Broken(invariant=name, at=at, text=text)


# ── one order for one intent ────────────────────────────────────────────────────────────────────────────────────────


def one_order_an_intent(evidence: Evidence) -> Found:
    """Every intent, reference and order id is written once, after its record, and is in the gateway's books once."""
    durable = {row.body["intent"]: row.at for row in evidence.facts("OrderSending")}
    refs: Counter[str] = Counter()
    intents: Counter[int] = Counter()
    ids: Counter[int] = Counter()
    for seen in evidence.placed:
        ref, order_id = seen.values["orderRef"], seen.values["orderId"]
        refs[ref] += 1
        ids[order_id] += 1
        if refs[ref] > 1 or ids[order_id] > 1:
            yield seen.at, f"order {ref} (id {order_id}) was written again"
        intent = _intent_of(ref)
        intents[intent] += 1
        if intents[intent] > 1 and refs[ref] == 1:
            yield seen.at, f"intent {intent} was written again, as {ref} (id {order_id})"
        if intent not in durable or durable[intent] > seen.at:
            yield seen.at, f"order {ref} was written before its record"
    for ref, count in Counter(order.ref for order in evidence.orders if order.ref).items():
        if count > 1:
            yield evidence.by_ref[ref].at, f"{count} orders are called {ref}"


# ── positions ───────────────────────────────────────────────────────────────────────────────────────────────────────


def quiet_positions(evidence: Evidence) -> Found:
    """An hour after trouble the journal's fills are the gateway's, to the cent.

    Where the gateway has forgotten one, the shares are the same, or the instrument is quarantined; where a person has
    had to say that the account is right, the shares are.
    """
    for at in _quiet_points(evidence):
        true, book = evidence.truly(at), evidence.booked(at)
        hidden = {fill.con_id for fill in evidence.untellable}
        for con_id in sorted(true.keys() | book.keys()):
            ours, theirs = book.get(con_id, (ZERO, ZERO)), true.get(con_id, (ZERO, ZERO))
            if (
                not _is_same(ours, theirs)
                and not (con_id in hidden and (ours[0] == theirs[0] or con_id in evidence.quarantined(at)))
                and not (con_id in evidence.adopted and ours[0] == theirs[0])
            ):
                yield at, f"contract {con_id}: the book has (shares, paid) {ours}, the account {theirs}"


def _is_same(ours: tuple[Decimal, Decimal], theirs: tuple[Decimal, Decimal]) -> bool:
    """Shares to the last one, money to the cent: a third of a price has no end."""
    return ours[0] == theirs[0] and abs(ours[1] - theirs[1]) < CENT


def every_fill_is_heard(evidence: Evidence) -> Found:
    """A fill that the gateway would have told is asked for before the gateway forgets it."""
    untellable = {fill.exec_id for fill in evidence.untellable}
    for fill in evidence.unheard:
        if fill.exec_id not in untellable:
            yield fill.at, f"fill {fill.exec_id} of {fill.ref} was never asked for"


def _quiet_points(evidence: Evidence) -> Iterator[datetime]:
    for session in evidence.scene.sessions:
        for at in (session.open_at - timedelta(minutes=5), session.close_at + timedelta(minutes=90)):
            if at > evidence.scene.begins and evidence.is_quiet(at, QUIET):
                yield at


# ── limits ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def limits_at_worst(evidence: Evidence) -> Found:
    """With every order on its side filled and none on the other, no order written could pass a limit."""
    valued = list(evidence.facts("EquitySet"))
    for place, seen in enumerate(evidence.placed):
        values = seen.values
        is_buy, quantity = values["action"] == "BUY", Decimal(values["totalQuantity"])
        worst = _worst(evidence, place)
        if not is_buy and worst < 0:
            yield seen.at, f"selling {quantity} {values['symbol']} could end at {worst} shares"
        sized = next((row for row in reversed(valued) if row.at <= seen.at), None)
        if sized is not None:
            yield from _passed(evidence, seen, worst, is_buy, quantity, sized)


def _passed(evidence: Evidence, seen: Seen, worst: Decimal, is_buy: bool, quantity: Decimal, sized: Row) -> Found:
    settings, symbol = evidence.scene.settings, seen.values["symbol"]
    risk, equity = settings["risk"], Decimal(sized.body["equity"])
    price = sizing_prices(evidence, sized, seen.at).get(symbol, ZERO)
    most, worth = Decimal(str(risk["max_order_shares"])), Decimal(str(risk["max_order_value"]))
    if (quantity > most or quantity * price > worth) and seen.values["orderType"] not in PROTECTIVE:
        yield seen.at, f"{quantity} {symbol} are too large an order"
    if not is_buy:
        return
    if worst > Decimal(str(settings["execution"]["max_position_size"])):
        yield seen.at, f"{symbol} could come to {worst} shares"
    if worst * price > Decimal(str(risk["max_weight"])) * equity:
        yield seen.at, f"{symbol} could come to {worst * price / equity:.4f} of equity"
    gross = _gross(evidence, seen.at, sized) + quantity * price
    if gross > Decimal(str(risk["max_gross_exposure"])) * equity:
        yield seen.at, f"buying {quantity} {symbol} could bring exposure to {gross / equity:.4f} of equity"


def _worst(evidence: Evidence, place: int) -> Decimal:
    """The shares should this order and every other one on its side fill, and none on the other side.

    For a buy the account's, as far as what others do is known; for a sale the daemon's own, and what had filled in its
    OCA group counts once something had told of it: a group that has filled whole takes no more orders.
    """
    seen = evidence.placed[place]
    con_id, is_buy = seen.values["conId"], seen.values["action"] == "BUY"
    sign = 1 if is_buy else -1
    room = evidence.room_taken(con_id, seen.at, is_buy=is_buy)
    if is_buy:
        # What others hold takes up the limits, and is nothing to be sold.
        room += evidence.told.known(con_id, seen.at) + evidence.told.buying(con_id, seen.at)
    amounts = [(seen.values["ocaGroup"], Decimal(seen.values["totalQuantity"]) - _behind(evidence, place))]
    if not is_buy and (group := seen.values["ocaGroup"]):
        sold = list(evidence.in_flight.sales(con_id, group, seen.at))
        unheard = sum((shares for _, shares in sold), ZERO)
        left = max((order.may_trade(seen.at) for order, _ in sold if order.is_live(seen.at)), default=ZERO)
        room, amounts = room + unheard, [*amounts, (group, unheard + left)]
    for order in evidence.live(seen.at):
        if order.con_id == con_id and order.is_buy == is_buy and order.ref != seen.values["orderRef"]:
            amounts.append((order.oca_group, order.may_trade(seen.at)))
    for booked in evidence.on_their_way(place):
        if booked.con_id == con_id and booked.is_buy == is_buy:
            behind = booked.parent.quantity if booked.parent is not None else ZERO
            amounts.append((booked.oca_group, max(booked.quantity - behind, ZERO)))
    return room + sign * at_most(amounts)


def _behind(evidence: Evidence, place: int) -> Decimal:
    """What the parent of a child has to fill before it: the two were written one after the other."""
    seen, before = evidence.placed[place], evidence.placed[place - 1] if place else None
    if not seen.values["parentId"] or before is None or before.values["orderId"] != seen.values["parentId"]:
        return ZERO
    return min(Decimal(before.values["totalQuantity"]), Decimal(seen.values["totalQuantity"]))


def _gross(evidence: Evidence, at: datetime, sized: Row) -> Decimal:
    """What is held, and what is bought and booked so far, at the sizing prices."""
    prices = sizing_prices(evidence, sized, at)
    total = ZERO
    for con_id, symbol in evidence.symbols.items():
        shares = evidence.room_taken(con_id, at, is_buy=True) + evidence.told.known(con_id, at)
        total += (shares + evidence.told.buying(con_id, at)) * prices.get(symbol, ZERO)
    for order in evidence.live(at):
        if order.is_buy:
            total += order.remaining(at) * prices.get(order.symbol, ZERO)
    return total


# ── deadlines ───────────────────────────────────────────────────────────────────────────────────────────────────────


def settled_by_its_deadline(evidence: Evidence) -> Found:
    """By the deadline in its record an order sent is acknowledged, ended, or known as unknown.

    A daemon that was dead then has the time until it lives again.
    """
    dead = _deaths(evidence)
    due: dict[int, Row] = {}
    deadline: dict[int, datetime] = {}
    last = evidence.rows[-1]
    for row in evidence.facts("OrderSending", "OrderMoved"):
        intent = row.body["intent"]
        if intent in due and row.tech > deadline[intent] + SLACK:
            yield row.at, f"intent {intent} was looked at {row.tech - deadline[intent]} after its deadline"
        if row.kind == "OrderSending" or row.body["state"] == "sending":
            by = moment(row.body["deadline"])
            last_chance = row.at + (by - row.tech) + SLACK
            lived = [row.tech + (up - row.at) for down, up in dead if down <= last_chance <= up + SLACK]
            due[intent], deadline[intent] = row, max([by, *lived])
        else:
            due.pop(intent, None)
    for intent, row in due.items():
        if last.tech > deadline[intent] + SLACK:
            yield row.at, f"intent {intent} was never looked at again"


def _deaths(evidence: Evidence) -> list[tuple[datetime, datetime]]:
    """When no daemon lived; one that was killed again before it had time to look at anything did not."""
    found: list[tuple[datetime, datetime]] = []
    for one in sorted(evidence.played, key=lambda played: played.began):
        if one.incident.fault == "crash":
            ended = one.ended or evidence.scene.ends
            is_next = not found or one.began > found[-1][1] + SLACK
            found.append((one.began, ended) if is_next else (found.pop()[0], ended))
    return found


def nothing_undigested(evidence: Evidence) -> Found:
    """No event was too much for the daemon: what it keeps raw are messages that can't be read."""
    for row in evidence.facts("EventKept"):
        if not row.body["kind"].startswith("message "):
            yield row.at, f"{row.body['kind']} was not digested: {row.body['reason']}"


INVARIANTS: Mapping[str, Callable[[Evidence], Found]] = {
    "one order an intent": one_order_an_intent,
    "quiet positions": quiet_positions,
    "every fill is heard": every_fill_is_heard,
    "limits at worst": limits_at_worst,
    "ready when sending": ready_when_sending,
    "obeys people and quarantines": obeys_people_and_quarantines,
    "ends by evidence": ends_by_evidence,
    "settled by its deadline": settled_by_its_deadline,
    "nothing undigested": nothing_undigested,
    "no unknown remains": no_unknown_remains,
    "enough orders": enough_orders,
    "at target": at_target,
    "books agree": books_agree,
    "stops are for what is held": stops_are_for_what_is_held,
    "never short": never_short,
    "stops go with the position": stops_go_with_the_position,
    "protected in time": protected_in_time,
    "others are left alone": others_are_left_alone,
    "others are counted": others_are_counted,
}


def _intent_of(ref: str) -> int:
    return int(ref.rpartition(":")[2])
