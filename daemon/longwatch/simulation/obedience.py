"""The promise that orders are held back as people, quarantines and unknown outcomes say; see invariants.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from longwatch.simulation.booked import PROTECTIVE
from longwatch.simulation.evidence import Evidence, Found, Row
from longwatch.simulation.knowable import SAME_MOMENT
from longwatch.simulation.tap import Seen

NO_ORDER = {"halt": "a halt"}
NO_ENTRY = {"pause": "a pause", "flatten": "a flatten"}
EVERYTHING = frozenset({"", "all"})
"""What `resume` is said of where it lifts what people have held back, and not the breakers of one symbol."""


def obeys_people_and_quarantines(evidence: Evidence) -> Found:
    """What is held back is not written: by a person until `resume`, in a quarantined contract, beside an unknown.

    Nothing is written while halted or in a quarantined contract, but what protects; what adds to a position neither
    while paused or flattening nor beside another order of unknown outcome in its contract.
    """
    # What was said at the very moment an order was written need not have been heard.
    kinds = ("ControlRequested", "QuarantineSet", "QuarantineLifted", "HoldSet", "HoldLifted", "OrderMoved")
    rows = list(evidence.facts(*kinds))
    before, now = _Held(rows, evidence), _Held(rows, evidence)
    for seen in evidence.placed:
        known = set(now.by(seen.at).against(seen, evidence))
        for reason in before.by(seen.at - SAME_MOMENT).against(seen, evidence):
            if reason in known:
                yield seen.at, f"order {seen.values['orderRef']} ({seen.values['symbol']}) was written {reason}"


class _Held:
    """Goes through what the journal says is held back, as far as is asked."""

    def __init__(self, rows: list[Row], evidence: Evidence) -> None:
        self._rows = iter(rows)
        self._pending = next(self._rows, None)
        self._intents = evidence.intents
        self._said: set[str] = set()
        self._quarantined: set[int] = set()
        self._unknown: dict[str, int] = {}
        self._limits: dict[tuple[str, str, str], Mapping[str, Any]] = {}

    def by(self, at: datetime) -> _Held:
        """What held by `at`, which never goes back."""
        while self._pending is not None and self._pending.at <= at:
            self._take(self._pending)
            self._pending = next(self._rows, None)
        return self

    def against(self, seen: Seen, evidence: Evidence) -> Iterator[str]:
        """Why an order should not be written."""
        con_id = seen.values["conId"]
        protects, adds = seen.values["orderType"] in PROTECTIVE, _adds(evidence, seen)
        yield from (f"during {NO_ORDER[said]}" for said in sorted(self._said & NO_ORDER.keys()) if not protects)
        yield from (f"as an entry during {NO_ENTRY[said]}" for said in sorted(self._said & NO_ENTRY.keys()) if adds)
        # Under a halt, and in a quarantine, nothing is closed, so a flatten leaves the stops where they are.
        closes = "flatten" in self._said and "halt" not in self._said and con_id not in self._quarantined
        if protects and closes:
            yield "as a stop during a flatten"
        for hold in self._limits.values():
            about = hold["level"] == "account" or (hold["level"] == "instrument" and hold["con_id"] == con_id)
            if about and adds:
                yield f"as an entry under the limit {hold['rule']}"
            elif about and hold["grade"] == "halted" and not protects and "flatten" not in self._said:
                yield f"while the limit {hold['rule']} halts"
        if con_id in self._quarantined and not protects:
            yield "in a quarantined contract"
        others = sorted(ref for ref, where in self._unknown.items() if where == con_id)
        yield from (f"beside {ref}, which is unknown" for ref in others if adds and ref != seen.values["orderRef"])

    def _take(self, row: Row) -> None:
        match row.kind:
            case "ControlRequested":
                self._command(row.body["command"], row.body["argument"])
            case "QuarantineSet":
                self._quarantined.add(row.body["con_id"])
            case "HoldSet":
                self._limits[_hold_of(row.body)] = row.body
            case "HoldLifted":
                self._limits.pop(_hold_of(row.body), None)
            case "QuarantineLifted":
                self._quarantined.discard(row.body["con_id"])
            case _:
                self._moved(row.body)

    def _command(self, command: str, argument: str) -> None:
        if command in NO_ORDER or command in NO_ENTRY:
            self._said.add(command)
        elif command == "resume" and argument in EVERYTHING:
            self._said.clear()

    def _moved(self, body: Mapping[str, int | str]) -> None:
        order = self._intents[int(body["intent"])]
        if body["state"] == "unknown":
            self._unknown[order["ref"]] = order["con_id"]
        else:
            self._unknown.pop(order["ref"], None)


def _hold_of(body: Mapping[str, Any]) -> tuple[str, str, str]:
    return body["level"], body["name"], body["rule"]


def is_held_by_a_limit(evidence: Evidence) -> bool:
    """Whether a limit on what has happened holds orders back at the end of the run: it is then not at its targets."""
    held: set[tuple[str, str, str]] = set()
    for row in evidence.facts("HoldSet", "HoldLifted"):
        (held.add if row.kind == "HoldSet" else held.discard)(_hold_of(row.body))
    return bool(held)


def _adds(evidence: Evidence, seen: Seen) -> bool:
    """Whether an order adds to what the account holds."""
    is_long = evidence.position(seen.values["conId"], seen.at) >= 0
    return bool((seen.values["action"] == "BUY") == is_long)
