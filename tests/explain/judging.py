"""Judges every order's story: by the gateway's ledger, by a fold of the whole journal, and by its own arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from longwatch.domain import messages as m
from longwatch.domain.decide import step
from longwatch.domain.instruments import to_lot
from longwatch.domain.order_life.identity import intent_of
from longwatch.domain.order_life.inference import PREFIX, RESOLVED, VOID
from longwatch.domain.orders import Order
from longwatch.domain.state import State, evolve
from longwatch.explain.again import differences
from longwatch.explain.gathered import MESSAGES, gathered
from longwatch.explain.why import origin_of, story
from longwatch.journal.checkpoints import snapshot
from longwatch.journal.codec import decode, is_fact_record
from longwatch.journal.finding import Finder, finding
from longwatch.simulation.booked import BookedOrder, Fill, books

SECTIONS = (
    *("order", "decided", "bars", "signals", "quote", "stop", "target", "clamps", "checks", "profit", "sent"),
    *("changes", "moves", "messages", "fills", "cost", "outcome", "family", "records"),
)
ABOUT_ONE = frozenset(MESSAGES) - {"OrderHanded", "OrderWithheld"}
"""Messages of the broker about one order; who is meant is found by the names they bear."""


@dataclass(slots=True)
class Whole:
    """A journal read once from end to end, apart from how `why` reads it.

    `before` is the state before each event that an order was decided on, `messages` those that name each order.
    """

    state: State = field(default_factory=State)
    before: dict[int, State] = field(default_factory=dict)
    decided: dict[int, int] = field(default_factory=dict)
    rows: list[tuple[int, int, int | None]] = field(default_factory=list)
    messages: dict[int, set[int]] = field(default_factory=dict)
    otherwise: list[str] = field(default_factory=list)


def read_whole(finder: Finder) -> Whole:
    """Fold everything; each decision on an order is made again on the way."""
    whole = Whole()
    booked = finder.between(1, finder.last, ("FillBooked",))
    fills = [cast(m.FillBooked, decode(entry.record)) for entry in booked]
    whose = {fill.exec_id: fill.intent for fill in fills if fill.intent is not None}
    event: tuple[int, m.Event] | None = None
    facts: list[m.Fact] = []
    before = State()
    for entry in finder.between(1, finder.last):
        what = decode(entry.record)
        if not is_fact_record(entry.record):
            _close(whole, event, facts, before, whose)
            event, facts, before = (entry.record.sequence, cast(m.Event, what)), [], snapshot(whole.state)
            continue
        fact = cast(m.Fact, what)
        facts.append(fact)
        evolve(whole.state, fact)
    _close(whole, event, facts, before, whose)
    for sequence, perm_id, intent in whole.rows:
        # A row may come before the daemon knows its permId; looking back one does.
        named = whole.state.by_perm_id.get(perm_id, intent)
        if named is not None:
            whole.messages.setdefault(named, set()).add(sequence)
    return whole


def _close(
    whole: Whole, event: tuple[int, m.Event] | None, facts: list[m.Fact], before: State, whose: dict[str, int]
) -> None:
    """Once all facts of an event are folded: whom it is about, and whether they follow from it."""
    if event is None:
        return
    sequence, what = event
    whole.rows.append((sequence, getattr(what, "perm_id", 0), _intent(whole.state, what, whose)))
    intended = [fact.order.intent for fact in facts if isinstance(fact, m.OrderIntended)]
    if intended:
        whole.before[sequence] = before
        whole.decided |= dict.fromkeys(intended, sequence)
        found = differences(facts, step(snapshot(before), what).facts)
        whole.otherwise += [f"record {sequence} decided again: {one}" for one in found]


def _intent(state: State, event: m.Event, whose: dict[str, int]) -> int | None:
    match event:
        case m.OrderErrorSeen(order_id=order_id):
            return state.by_order_id.get((state.client_id, order_id))
        case m.CommissionSeen(exec_id=exec_id):
            return whose.get(exec_id)
        case m.CompletedOrderSeen(perm_id=perm_id, ref=ref):
            return intent_of(state, perm_id=perm_id, ref=ref)
        case m.OpenOrderSeen() | m.ExecutionSeen() | m.OrderStatusSeen():
            ref = getattr(event, "ref", "")
            return intent_of(state, ref=ref, perm_id=event.perm_id, client_id=event.client_id, order_id=event.order_id)
        case _:
            return None


def untrue(journal: Path, ledger: Path) -> Iterator[str]:
    """A sentence for each thing that a story does not tell, or tells otherwise than it was; `told` of how many."""
    orders, kept, busted = books(ledger)
    known = {fill.exec_id: fill for fill in (*kept, *busted)}
    by_perm_id = {order.perm_id: order for order in orders}
    with finding(journal) as finder:
        whole = read_whole(finder)
        yield from whole.otherwise
        for intent, order in whole.state.orders.items():
            one = gathered(finder, intent)
            origin = origin_of(finder, one)
            told = story(finder, one, origin.decided, snapshot(whole.before[origin.decided.sequence]))
            for what in (
                *_of_the_fold(told, order, whole),
                *_of_the_ledger(told, by_perm_id, known),
                *_of_the_arithmetic(told),
            ):
                yield f"#{intent}: {what}"


def _of_the_fold(told: dict[str, Any], order: Order, whole: Whole) -> Iterator[str]:
    """Against the state that all of the journal folds to."""
    cost, outcome, names = told["cost"], told["outcome"], told["order"]
    if missing := [name for name in SECTIONS if name not in told]:
        yield f"no {', '.join(missing)}"
    if (outcome["state"], outcome["evidence"] or "") != (order.state.value, order.evidence):
        yield f"is told as {outcome['state']} by {outcome['evidence']}, is {order.state} by {order.evidence}"
    if (Decimal(cost["filled"]), Decimal(cost["commission"])) != (order.filled, order.commission):
        yield f"{cost['filled']} filled for {cost['commission']} are told, {order.filled} for {order.commission} it is"
    if order.filled and abs(Decimal(cost["average_price"]) - order.average_price) > Decimal("0.0000005"):
        yield f"an average of {cost['average_price']} is told, {order.average_price} it is"
    if tuple(names["perm_ids"]) != order.perm_ids or names["order_id"] != order.order_id:
        yield f"its names are told as {names['perm_ids']} and {names['order_id']}"
    heard = {row["record"] for row in told["messages"] if row["about"] and row["kind"] in ABOUT_ONE}
    if heard != (named := whole.messages.get(order.intent, set())):
        yield f"messages {sorted(named - heard)} are not told, {sorted(heard - named)} are not about it"
    if not all(row["text"] for row in told["messages"]):
        yield "a message is told without words"
    if not order.twin_of and told["decided"]["record"] != whole.decided[order.intent]:
        yield f"was decided on by {whole.decided[order.intent]}, not by {told['decided']['record']}"


def _of_the_ledger(told: dict[str, Any], orders: dict[int, BookedOrder], known: dict[str, Fill]) -> Iterator[str]:
    """Against what the gateway has in its books: orders, executions, prices, fees."""
    names = told["order"]
    for perm_id in names["perm_ids"]:
        booked = orders.get(perm_id)
        if booked is None:
            yield f"permId {perm_id} is not in the ledger"
        elif (booked.symbol, "BUY" if booked.is_buy else "SELL") != (names["symbol"], names["side"]):
            yield f"permId {perm_id} is {booked.symbol} in the ledger"
    for row in told["fills"]:
        if not row["counts"] or row["exec_id"].startswith((PREFIX, RESOLVED, VOID)):
            continue  # what an execution's loss was made good with has the journal's name, and no price of the broker's
        fill = known.get(row["exec_id"])
        if fill is None:
            yield f"execution {row['exec_id']} is not in the ledger"
        elif (abs(fill.quantity), fill.price) != (Decimal(row["quantity"]), Decimal(row["price"])):
            yield f"execution {row['exec_id']}: {fill.quantity} at {fill.price} in the ledger, told as {row}"
        elif row["commission"] is not None and Decimal(row["commission"]) != fill.fee:
            yield f"execution {row['exec_id']} cost {fill.fee}, told as {row['commission']}"


def _of_the_arithmetic(told: dict[str, Any]) -> Iterator[str]:
    """The way from weights to the order's shares, done anew from what is told alone."""
    if told["decided"]["kind"] != "RebalanceDue":
        if not told["decided"]["text"]:
            yield "it is not told why there is no target"
        return
    target, clamps = told["target"], told["clamps"]
    if not (told["bars"] and target and told["checks"] and told["signals"]):
        yield f"a ground is missing: {[name for name in ('bars', 'target', 'checks', 'signals') if not told[name]]}"
        return
    wanted = Decimal(target["trade"])
    caps = [row for row in told["checks"] if row["left"] is not None]
    quantity = Decimal(caps[-1]["left"]) if caps else abs(wanted)
    if quantity != Decimal(told["order"]["quantity"]) and told["family"]["twin_of"] is None:
        yield f"{quantity} come of {wanted} by {caps}, {told['order']['quantity']} were ordered"
    if target["equity"] is not None:
        yield from _of_the_target(told, target, clamps)
    refused = [row for row in told["checks"] if not row["passed"] and row["left"] is None]
    if refused:
        yield f"it was ordered though {refused} refused"


def _of_the_target(told: dict[str, Any], target: dict[str, Any], clamps: list[dict[str, Any]]) -> Iterator[str]:
    """From the strategies' weights to the trade."""
    weights = {one["strategy"]: one["weights"].get(told["order"]["symbol"]) for one in told["signals"]}
    for part in target["parts"]:
        if Decimal(weights[part["strategy"]] or 0) != Decimal(part["weight"]):
            yield f"{part['strategy']} wanted {weights[part['strategy']]}, its part is of {part['weight']}"
        if Decimal(part["scaled"]) * Decimal(part["leverage"]) * Decimal(part["capital"]) != Decimal(part["sized"]):
            yield f"the figures of {part} do not come to its size"
    if sum((Decimal(part["sized"]) for part in target["parts"]), Decimal(0)) != Decimal(target["weight"]):
        yield f"the parts do not come to the weight {target['weight']}"
    if not clamps:
        shares = to_lot(
            Decimal(target["capped"]) * Decimal(target["equity"]) / Decimal(target["price"]), Decimal(target["lot"])
        )
        if shares != Decimal(target["shares"]):
            yield f"{shares} shares come of the weight, told are {target['shares']}"
    if target["low"] == target["high"]:
        held, way, trade = (Decimal(target[name]) for name in ("held", "under_way", "trade"))
        goes_to_zero = trade == -held
        if held + way + trade != Decimal(target["shares"]) and not goes_to_zero:
            yield f"{held} held, {way} under way and {trade} do not come to {target['shares']}"
