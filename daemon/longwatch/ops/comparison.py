"""The comparison of book and account, instrument by instrument, as plain JSON values; for `longwatch reconcile`."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from longwatch.domain.messages import Difference
from longwatch.domain.reconciliation.breaks import differences
from longwatch.domain.reconciliation.quarantines import ended_by, layers
from longwatch.domain.state import State
from longwatch.explain.plain import iso
from longwatch.ops.status import foreign_orders_of, positions_of

Json = dict[str, Any]


def is_answered(state: State, asked_tech: datetime) -> bool:
    """Whether the account was read since, well or badly."""
    compared, failed = state.compared, state.snapshot_failed
    return (compared is not None and compared.tech > asked_tech) or (failed is not None and failed.tech > asked_tech)


def comparison_of(state: State, tech: datetime, asked_tech: datetime) -> Json:
    """The comparison as it stands at technical time `tech`; `fresh`: the account was read since it was asked for."""
    compared, failed = state.compared, state.snapshot_failed
    failures = [{"part": part, "reason": reason} for part, reason in failed.failures] if failed else []
    return {
        "at": iso(compared.tech) if compared else None,
        "age_seconds": (tech - compared.tech).total_seconds() if compared else None,
        "fresh": compared is not None and compared.tech > asked_tech,
        "failures": failures,
        "link": state.link.value,
        "instruments": sorted(_rows(state, tech), key=lambda row: (not row["class"], row["symbol"])),
        "foreign_orders": foreign_orders_of(state),
    }


def _rows(state: State, tech: datetime) -> list[Json]:
    """Every instrument that anybody holds, differs in, or that is held back."""
    known = {row.con_id: row for row in state.compared.differences} if state.compared else {}
    apart = {row.con_id: known.get(row.con_id, row) for row in differences(state)}
    held = {row["con_id"]: row for row in positions_of(state)}
    symbols = {con_id: row["symbol"] for con_id, row in held.items()}
    symbols |= {con_id: row.symbol for con_id, row in apart.items()}
    symbols |= {con_id: row.symbol for con_id, row in state.quarantines.items()}
    return [_row(state, con_id, symbol, apart.get(con_id), tech) for con_id, symbol in symbols.items()]


def _row(state: State, con_id: int, symbol: str, apart: Difference | None, tech: datetime) -> Json:
    nothing = ("", Decimal(0))
    book, outside = state.held(con_id), state.outside.get(con_id, nothing)[1]
    account, there = state.account_positions.get(con_id, nothing)[1], layers(state, con_id)
    held = there[0] if there else None
    cause = held.cause if held else apart.cause if apart else None
    return {
        "symbol": symbol,
        "con_id": con_id,
        "book": f"{book:f}",
        "outside": f"{outside:f}",
        "account": f"{account:f}",
        "difference": f"{account - book - outside:f}",
        "since": iso(apart.first or apart.since) if apart else None,
        "class": cause.value if cause else None,
        "quarantine": held.reason if held else None,
        "quarantined_seconds": (tech - held.tech).total_seconds() if held else None,
        "lifted_by": ended_by(held) if held else None,
        "beneath": [{"quarantine": one.reason, "lifted_by": ended_by(one)} for one in there[1:]],
    }
