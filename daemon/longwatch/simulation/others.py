"""The promises about what is not the daemon's: seen, counted, and never touched; see invariants.py."""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime
from decimal import Decimal

from longwatch.simulation.booked import ZERO
from longwatch.simulation.evidence import Evidence, Found

IN_TWO_DOWNLOADS = 2
ANY_ORDER = "reqGlobalCancel"


def others_are_left_alone(evidence: Evidence) -> Found:
    """Only orders of the journal's own are written or cancelled, and never all there are."""
    ids = {row.body["order_id"] for row in evidence.facts("OrderSending")}
    # Whether a gateway answers at all is asked by the cancel of a number that nothing was ever sent under.
    ids |= {row.body["absence"].get("asked_as") for row in evidence.facts("AbsenceNoted")}
    ids |= {row.body.get("asked_as") for row in evidence.facts("OrderChangeAwaited")}
    for seen in evidence.written:
        if seen.name == ANY_ORDER:
            yield seen.at, "every order of the account was cancelled"
        elif seen.name in ("cancelOrder", "placeOrder") and seen.values["orderId"] not in ids:
            yield seen.at, f"{seen.name} was written for order {seen.values['orderId']}, which is not the journal's"


def others_are_counted(evidence: Evidence) -> Found:
    """An order of theirs that downloads could show is noted; at the end their shares are what is held outside.

    Where the gateway has forgotten a fill of ours nobody can tell whose shares they are: that is held back.
    """
    ends = [seen.at for seen in evidence.frames("openOrderEnd")]
    noted = {row.body["perm_id"] for row in evidence.facts("ForeignOrderSet")}
    for order in evidence.others.orders:
        last = order.ended_at or evidence.scene.ends
        if order.perm_id not in noted and bisect_right(ends, last) - bisect_right(ends, order.at) > IN_TWO_DOWNLOADS:
            yield last, f"{order.quantity} {order.symbol} of somebody else were never noted"
    at = evidence.scene.ends
    held, apart = _outside(evidence, at), evidence.quarantined(at)
    undecided = apart & {fill.con_id for fill in evidence.untellable}
    touched = {fill.con_id for fill in evidence.others.fills} | {one.con_id for one in evidence.events}
    for con_id in sorted(touched | held.keys()):
        theirs, noted_as = evidence.told.held(con_id, at), held.get(con_id, ZERO)
        if theirs != noted_as and con_id not in evidence.adopted | undecided:
            is_held_back = ", and is quarantined" if con_id in apart else ""
            yield at, f"contract {con_id}: {theirs} shares are of others, {noted_as} are noted{is_held_back}"


def _outside(evidence: Evidence, at: datetime) -> dict[int, Decimal]:
    """What the journal says is in the account and not ours."""
    found: dict[int, Decimal] = {}
    for row in evidence.facts("OutsideSet", "SplitBooked"):
        if row.at <= at:
            found[row.body["con_id"]] = Decimal(row.body["quantity" if row.kind == "OutsideSet" else "outside"])
    return {con_id: shares for con_id, shares in found.items() if shares}
