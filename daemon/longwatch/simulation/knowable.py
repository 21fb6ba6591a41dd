"""Two promises about what the daemon could know when it acted, by what had arrived on the wire; see invariants.py."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from longwatch.simulation.evidence import TERMINAL, BookedOrder, Evidence, Found, Row
from longwatch.simulation.tap import Seen

SAME_MOMENT = timedelta(milliseconds=5)
"""What arrived no earlier than this before an order was written, the daemon need not have known."""
SKEW_SECONDS = 7.0
"""The daemon's limit, 5 s, and what the answer's whole seconds and its way leave open."""
END_MARKS = frozenset({"positionEnd", "openOrderEnd", "completedOrdersEnd", "execDetailsEnd", "accountSummaryEnd"})
REJECTIONS = frozenset({103, 110, 200, 201, 203, 321, 387, 434, 10243})


def ready_when_sending(evidence: Evidence) -> Found:
    """An order is written in a session, on a connection whose account was read whole, with backend, farms and clock."""
    before, now = _Hearing(evidence), _Hearing(evidence)
    for seen in evidence.placed:
        # Of the same moment it may have heard the good news, and need not have heard the bad.
        known = set(now.by(seen.at).against(seen.link))
        for reason in before.by(seen.at - SAME_MOMENT).against(seen.link):
            if reason in known:
                yield seen.at, f"order {seen.values['orderRef']} was written although {reason}"
        if not any(session.open_at <= seen.at < session.close_at for session in evidence.scene.sessions):
            yield seen.at, f"order {seen.values['orderRef']} was written while the exchange was closed"


class _Hearing:
    """Goes through what was heard, as far as is asked."""

    def __init__(self, evidence: Evidence) -> None:
        self._frames = iter(evidence.heard)
        self._pending = next(self._frames, None)
        self._known = _Known()

    def by(self, at: datetime) -> _Known:
        """What had been heard by `at`, which never goes back."""
        while self._pending is not None and self._pending.at <= at:
            self._known.take(self._pending)
            self._pending = next(self._frames, None)
        return self._known


class _Known:
    """What had been heard by some instant."""

    def __init__(self) -> None:
        self.link = -1
        self.marks: set[str] = set()
        self.backend_down = False
        self.broken_farms: set[str] = set()
        self.skew = 0.0

    def take(self, seen: Seen) -> None:
        if seen.link != self.link:
            self.link, self.marks, self.backend_down = seen.link, set(), False
        match seen.name:
            case "error":
                self._code(seen.values["errorCode"], str(seen.values["errorString"]).rpartition(":")[2])
            case "currentTime":
                self.skew = seen.values["time"] - seen.at.timestamp()
            case name if name in END_MARKS:
                self.marks.add(name)
            case _:
                pass

    def against(self, link: int) -> Iterator[str]:
        """Why no order should leave on a connection."""
        if link != self.link or self.marks != END_MARKS:
            yield f"its connection lacked {', '.join(sorted(END_MARKS - self.marks)) or 'everything'}"
        if self.backend_down:
            yield "the backend was down"
        if self.broken_farms:
            yield f"{', '.join(sorted(self.broken_farms))} was broken"
        if abs(self.skew) > SKEW_SECONDS:
            yield f"the clocks were {self.skew:.0f} s apart"

    def _code(self, code: int, farm: str) -> None:
        match code:
            case 1100:
                self.backend_down = True
            case 1101 | 1102:
                self.backend_down = False
            case 2103 | 2105 | 2157:
                self.broken_farms.add(farm)
            case 2104 | 2106 | 2158:
                self.broken_farms.discard(farm)
            case _:
                pass


def ends_by_evidence(evidence: Evidence) -> Found:
    """An order is taken for ended only on the broker's word or on proof, and it truly has ended then."""
    told = _told(evidence)
    written = {seen.values["orderRef"] for seen in evidence.placed}
    forgotten = {fill.ref for fill in evidence.untellable}
    for row in evidence.facts("OrderMoved"):
        state, order = row.body["state"], evidence.intents[row.body["intent"]]
        if state not in TERMINAL:
            continue
        ref, booked = order["ref"], evidence.by_ref.get(order["ref"])
        said = told[ref].get(state)
        if state in ("unsent", "refused"):
            if ref in written:
                yield row.at, f"order {ref} was written, yet is taken for {state}"
        elif state == "absent":
            if booked is not None:
                yield row.at, f"order {ref} is in the gateway's books, yet was proven absent"
        elif (said is not None and said <= row.at) or state in ("expired", "inferred") or ref in forgotten:
            yield from _not_over(row, ref, state, booked)
        else:
            yield row.at, f"order {ref} is taken for {state}, and nobody had said so"


def _not_over(row: Row, ref: str, state: str, booked: BookedOrder | None) -> Found:
    if booked is not None and booked.is_live(row.at):
        yield row.at, f"order {ref} is taken for {state}, and still works"


def _told(evidence: Evidence) -> Mapping[str, dict[str, datetime]]:
    """Reference -> end -> when it was first said, by any message that says it."""
    told: dict[str, dict[str, datetime]] = defaultdict(dict)
    by_id = {(seen.values["orderId"]): seen.values["orderRef"] for seen in evidence.placed}
    by_perm = {order.perm_id: order.ref for order in evidence.orders}
    wanted = {order["ref"]: Decimal(order["quantity"]) for order in evidence.intents.values()}
    filled: dict[str, dict[str, Decimal]] = defaultdict(dict)
    for seen in evidence.heard:
        values = seen.values
        match seen.name:
            case "execDetails":
                ref = values["orderRef"]
                filled[ref][values["execId"].rpartition(".")[0]] = Decimal(values["shares"])
                if ref in wanted and sum(filled[ref].values()) >= wanted[ref]:
                    told[ref].setdefault("filled", seen.at)
            case "orderStatus":
                ref = by_perm.get(values["permId"], "") or by_id.get(values["orderId"], "")
                _say(told[ref], values["status"], seen.at)
            case "completedOrder":
                _say(told[values["orderRef"]], values["status"], seen.at)
            case "error" if values["errorCode"] in REJECTIONS:
                told[by_id.get(values["reqId"], "")].setdefault("rejected", seen.at)
            case _:
                continue
    return told


def _say(told: dict[str, datetime], status: str, at: datetime) -> None:
    for state in {"Cancelled": ("cancelled", "expired"), "Inactive": ("rejected",)}.get(status, ()):
        told.setdefault(state, at)
