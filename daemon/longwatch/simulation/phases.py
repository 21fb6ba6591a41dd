"""How often each fault met an order in each phase of its life, counted from a run's journal; in simulate's JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal

from longwatch.simulation.evidence import TERMINAL, Evidence, Row
from longwatch.simulation.plan import SCOPES
from longwatch.simulation.trouble import STRIKES

PHASES = ("queued", "sent", "acknowledged", "partly filled", "cancel pending")


def phases(evidence: Evidence) -> dict[str, dict[str, int]]:
    """Fault -> phase -> orders that were in it while the fault was on, or at its instant."""
    table = no_phases()
    spans = list(_spans(evidence))
    for fault, since, until in _faults(evidence):
        for phase, began, over in spans:
            if began <= until and over >= since:
                table[fault][phase] += 1
    return table


def no_phases() -> dict[str, dict[str, int]]:
    """The table of a run in which no fault met an order."""
    return {fault: dict.fromkeys(PHASES, 0) for fault in SCOPES}


def empty_cells(table: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Faults that never met an order in some phase, as `lose_fill: queued, sent`."""
    missed = {fault: [phase for phase in PHASES if not row.get(phase)] for fault, row in table.items()}
    return [f"{fault}: {', '.join(names)}" for fault, names in missed.items() if names]


def _faults(evidence: Evidence) -> Iterator[tuple[str, datetime, datetime]]:
    """When each fault was on; one that waits for its moment is on until that has come, and counts only if it came."""
    for one in evidence.played:
        fault = one.incident.fault
        if fault not in STRIKES.values():
            yield fault, one.began, one.ended or evidence.scene.ends
        elif one.struck:
            yield fault, one.began, one.struck[-1]


def _spans(evidence: Evidence) -> Iterator[tuple[str, datetime, datetime]]:
    """Each order's phases, with beginning and end."""
    lives: dict[int, list[tuple[str, datetime]]] = defaultdict(list)
    filled: dict[int, Decimal] = defaultdict(Decimal)
    cancelled: set[int] = set()
    for row in evidence.facts("OrderSending", "OrderMoved", "FillBooked", "OrderCancelAsked"):
        intent = row.body["intent"]
        if intent is None:
            continue
        if row.kind == "FillBooked":
            filled[intent] += Decimal(row.body["quantity"])
        elif row.kind == "OrderCancelAsked":
            cancelled.add(intent)
        phase = _phase(row, bool(filled[intent]), intent in cancelled, lives[intent])
        if phase is not None:
            lives[intent].append((phase, row.at))
    for life in lives.values():
        for (phase, began), (_, over) in zip(life, [*life[1:], ("", evidence.scene.ends)], strict=True):
            if phase:
                yield phase, began, over


def _phase(row: Row, is_filled: bool, is_cancelled: bool, life: list[tuple[str, datetime]]) -> str | None:
    """The phase that begins with a row, an empty text at the end of the order, None when nothing changes."""
    state = row.body.get("state", "")
    if state in TERMINAL:
        return ""
    if life and not life[-1][0]:
        return None
    if is_cancelled:
        return "cancel pending"
    if is_filled:
        return "partly filled"
    match row.kind:
        case "OrderSending":
            return "queued"
        case "OrderMoved" if state == "sending":
            return "sent"
        case "OrderMoved" if state == "working":
            return "acknowledged"
        case _:
            return None
