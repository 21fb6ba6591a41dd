"""The promise that an order is taken for ended on evidence only, by what had arrived on the wire; see invariants.py."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from longwatch.simulation.booked import BookedOrder
from longwatch.simulation.evidence import END_MARKS, RESTARTS, Evidence, Found, Row

REJECTIONS = frozenset({103, 110, 200, 201, 203, 321, 387, 434, 10243})
NOT_FOUND = 10147
ANSWERS = frozenset({NOT_FOUND, 161, 202, 10148}) | REJECTIONS
"""Codes by which a gateway shows that it takes orders and cancels: behind a window it says none of them."""
OPEN = frozenset({"PreSubmitted", "Submitted", "PendingCancel"})
PROVING_DOWNLOADS = 2
"""Whole downloads without an order that prove, with other things, that it is absent or has expired."""
LONG_UNLISTED = 5
"""So many prove it of a stop, which would be listed were it there, where its cancel can't be asked for.

The gateway must have answered another cancel since: what waits behind a window is in no list.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order as it was intended, and what the gateway's books have of it."""

    ref: str
    intent: int
    con_id: int
    tif: str
    created_at: datetime
    booked: BookedOrder | None


def ends_by_evidence(evidence: Evidence) -> Found:
    """An order is taken for ended only on the broker's word, on proof or on a person's, and it truly has ended then.

    A person's word need not be true. What each end asks for is in ASKED.
    """
    heard, people = _Heard(evidence), _resolved(evidence)
    for row in evidence.facts("OrderMoved"):
        state = row.body["state"]
        if state not in ASKED:
            continue
        order = _order(evidence, row)
        said = people.get((order.intent, state))
        if said is not None and said <= row.at:
            continue
        missing = ASKED[state](evidence, heard, order, row.at)
        if missing:
            yield row.at, f"order {order.ref} is taken for {state}, and {missing}"
        elif order.booked is not None and order.booked.is_live(row.at):
            yield row.at, f"order {order.ref} is taken for {state}, and still works"


def _order(evidence: Evidence, row: Row) -> Order:
    intended = evidence.intents[row.body["intent"]]
    return Order(
        ref=intended["ref"],
        intent=intended["intent"],
        con_id=intended["con_id"],
        tif=intended["tif"],
        created_at=datetime.fromisoformat(intended["created_at"]),
        booked=evidence.by_ref.get(intended["ref"]),
    )


def _resolved(evidence: Evidence) -> Mapping[tuple[int, str], datetime]:
    """What people have said became of orders: (intent, end) -> when first."""
    said: dict[tuple[int, str], datetime] = {}
    for row in evidence.facts("ControlRequested"):
        if row.body["command"] == "resolve":
            name, outcome, *_ = row.body["argument"].split()
            said.setdefault((int(name.rpartition(":")[2]), outcome), row.at)
    return said


# ── what each end asks for ──────────────────────────────────────────────────────────────────────────────────────────


def _unsent(evidence: Evidence, heard: _Heard, order: Order, at: datetime) -> str:
    return "was written" if order.ref in heard.written else ""


def _said(state: str, evidence: Evidence, heard: _Heard, order: Order, at: datetime) -> str:
    return "" if heard.was_told(order.ref, state, at) else "nobody had said so"


def _filled(evidence: Evidence, heard: _Heard, order: Order, at: datetime) -> str:
    """Its executions, or where the gateway has forgotten some, its position."""
    said = heard.was_told(order.ref, "filled", at)
    return "" if said or order.ref in heard.forgotten else "its executions did not come to that"


def _absent(evidence: Evidence, heard: _Heard, order: Order, at: datetime) -> str:
    if order.booked is not None and not (order.booked.protects and not order.booked.is_live(at)):
        return "is in the gateway's books"
    written = heard.written.get(order.ref)
    if written is None:
        return ""  # its record was durable, and the daemon killed before the bytes left
    if heard.downloads(written, at) < PROVING_DOWNLOADS:
        return f"fewer than {PROVING_DOWNLOADS} whole downloads had shown nothing of it"
    if order.tif == "GTC" and heard.downloads(written, at) >= LONG_UNLISTED and heard.has_answered(written, at):
        return ""  # its number may name nothing at a gateway that counts anew
    return "" if heard.was_told(order.ref, "not found", at) else "its cancel was not answered with 'not found'"


def _expired(evidence: Evidence, heard: _Heard, order: Order, at: datetime) -> str:
    """The broker's word; or for a DAY order its session's end, and downloads without it, the last since then.

    One that filled, and had that taken back, rests no more either: its session is the one in which it filled.
    """
    if heard.was_told(order.ref, "expired", at):
        return ""
    busted = order.booked.busted if order.booked is not None and order.booked.status == "Filled" else []
    gone = [fill for fill in busted if fill.is_gone(at)]
    last = max([order.created_at, *(fill.at for fill in gone)])
    session = next((one for one in evidence.scene.sessions if one.close_at > last), None)
    if (order.tif != "DAY" and not gone) or session is None or at <= session.close_at:
        return "nobody had said so, nor was its session over"
    shown = heard.last_open.get(order.ref, order.created_at)
    if heard.downloads(shown, at) < PROVING_DOWNLOADS or not heard.downloads(max(shown, session.close_at), at):
        return f"fewer than {PROVING_DOWNLOADS} whole downloads, or none since its session, had shown nothing of it"
    written = heard.written.get(order.ref)
    if order.booked is None and written is not None and not heard.has_answered(written, at):
        return "the gateway had answered nothing since it was sent"
    return ""


def _inferred(evidence: Evidence, heard: _Heard, order: Order, at: datetime) -> str:
    """A gateway started anew since it was written, and asked since then, has forgotten a fill of it."""
    written = heard.written.get(order.ref)
    if written is None:
        return "was never written"
    ends = (one.ended for one in evidence.played if one.incident.fault in RESTARTS and one.ended is not None)
    restarted = [end for end in ends if written <= end <= at]
    if not any(heard.downloads(end, at) for end in restarted):
        return "no gateway started anew had been asked"
    return "" if order.ref in heard.forgotten else "no fill of it was forgotten"


Asked = Callable[[Evidence, "_Heard", Order, datetime], str]

ASKED: Mapping[str, Asked] = {
    "refused": _unsent,
    "unsent": _unsent,
    "filled": _filled,
    "cancelled": partial(_said, "cancelled"),
    "rejected": partial(_said, "rejected"),
    "expired": _expired,
    "absent": _absent,
    "inferred": _inferred,
}
"""End -> what is missing for it at an instant, "" when nothing is."""


# ── what was heard ──────────────────────────────────────────────────────────────────────────────────────────────────


def _wanted(evidence: Evidence) -> dict[str, Decimal]:
    """By reference: the least that an order was for, which its group and its modifications have changed."""
    wanted = {order["ref"]: Decimal(order["quantity"]) for order in evidence.intents.values()}
    for row in evidence.facts("OrderTermsSet"):
        ref = evidence.intents[row.body["intent"]]["ref"]
        wanted[ref] = min(wanted[ref], Decimal(row.body["quantity"]))
    return wanted


class _Heard:
    """Everything that bears on the ends of orders, by reference."""

    def __init__(self, evidence: Evidence) -> None:
        self.written = {seen.values["orderRef"]: seen.at for seen in evidence.placed}
        self.forgotten = {fill.ref for fill in evidence.untellable}
        self.last_open: dict[str, datetime] = {}
        self._told: dict[str, dict[str, datetime]] = defaultdict(dict)
        self._answers: list[datetime] = []
        self._marks: dict[str, list[datetime]] = {name: [] for name in END_MARKS}
        self._wanted = _wanted(evidence)
        self._filled: dict[str, dict[str, Decimal]] = defaultdict(dict)
        self._by_id = {seen.values["orderId"]: seen.values["orderRef"] for seen in evidence.placed}
        self._by_perm = {order.perm_id: order.ref for order in evidence.orders}
        for seen in evidence.heard:
            self._take(seen.name, seen.values, seen.at)

    def was_told(self, ref: str, end: str, at: datetime) -> bool:
        """Whether any message had said this by `at`."""
        said = self._told.get(ref, {}).get(end)
        return said is not None and said <= at

    def has_answered(self, since: datetime, at: datetime) -> bool:
        """Whether the gateway had said anything about orders or cancels between two instants."""
        return bisect_right(self._answers, at) > bisect_right(self._answers, since)

    def downloads(self, since: datetime, at: datetime) -> int:
        """Whole downloads of the account that were told between two instants."""
        return min(bisect_right(ends, at) - bisect_right(ends, since) for ends in self._marks.values())

    def _take(self, name: str, values: Mapping[str, Any], at: datetime) -> None:
        if name == "error" and values["errorCode"] in ANSWERS:
            self._answers.append(at)
        match name:
            case "execDetails":
                self._execution(values, at)
            case "orderStatus":
                ref = self._by_perm.get(values["permId"], "") or self._by_id.get(values["orderId"], "")
                self._status(ref, str(values["status"]), at)
            case "completedOrder":
                self._status(str(values["orderRef"]), str(values["status"]), at)
            case "error" if values["errorCode"] in REJECTIONS:
                self._say(self._by_id.get(values["reqId"], ""), "rejected", at)
            case "error" if values["errorCode"] == NOT_FOUND:
                self._say(self._by_id.get(values["reqId"], ""), "not found", at)
            case mark if mark in END_MARKS:
                self._marks[mark].append(at)
            case _:
                pass

    def _execution(self, values: Mapping[str, Any], at: datetime) -> None:
        ref = str(values["orderRef"])
        self._filled[ref][str(values["execId"]).rpartition(".")[0]] = Decimal(str(values["shares"]))
        if ref in self._wanted and sum(self._filled[ref].values()) >= self._wanted[ref]:
            self._say(ref, "filled", at)

    def _status(self, ref: str, status: str, at: datetime) -> None:
        if status in OPEN:
            self.last_open[ref] = at
        for end in {"Cancelled": ("cancelled", "expired"), "Inactive": ("rejected",)}.get(status, ()):
            self._say(ref, end, at)

    def _say(self, ref: str, end: str, at: datetime) -> None:
        self._told[ref].setdefault(end, at)
