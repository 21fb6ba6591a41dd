"""Why book and account differ, in a closed set of names, and what ends the quarantine each leads to; read all over."""

from __future__ import annotations

from enum import StrEnum


class Cause(StrEnum):
    """What a difference between our book and the account comes from, as far as it can be told."""

    LATE_FILL = "late fill"
    MANUAL_TRADE = "manual trade"
    OTHER_CLIENT = "other client"
    OURS_UNKNOWN = "ours but unknown to this journal"
    SPLIT = "split"
    REBASED = "rebased history"
    ASSIGNMENT = "assignment or exercise"
    LIQUIDATION = "liquidation"
    TRANSFER = "transfer"
    CORRECTION = "correction"
    CONTRACT = "another contract under the symbol"
    NOT_PERMITTED = "not permitted to this account"
    UNEXPLAINED = "unexplained"


_BY_A_PERSON = "`longwatch adopt {0}` takes the difference as ours, `longwatch unquarantine {0}` leaves it outside"
_OR_ELSE = f"book and account agreeing again; or else {_BY_A_PERSON}"

LIFTED_BY: dict[Cause, str] = {
    Cause.LATE_FILL: "the execution of our order being heard, `longwatch resolve` of that order, or book and account "
    f"agreeing again; once that order has ended without it {_BY_A_PERSON}",
    Cause.MANUAL_TRADE: f"the execution being heard, {_OR_ELSE}",
    Cause.OTHER_CLIENT: f"the execution being heard, {_OR_ELSE}",
    Cause.OURS_UNKNOWN: _BY_A_PERSON,
    Cause.SPLIT: f"the rebased history, which proves the split, or {_OR_ELSE}",
    Cause.REBASED: "the split that the history shows, once the account shows it too; where none comes, "
    "`longwatch unquarantine {0}`",
    Cause.ASSIGNMENT: _OR_ELSE,
    Cause.LIQUIDATION: _BY_A_PERSON,
    Cause.TRANSFER: _OR_ELSE,
    Cause.CORRECTION: _OR_ELSE,
    Cause.CONTRACT: "the former contract is closed in TWS, its stop cancelled there too, and taken out of the book by "
    "`longwatch adopt {0}`, and the daemon was started again",
    Cause.NOT_PERMITTED: "`longwatch unquarantine {0}`, once the account may trade it",
    Cause.UNEXPLAINED: _OR_ELSE,
}


def lifted_by(cause: Cause, symbol: str) -> str:
    """What would end a quarantine of this cause, as a person reads it."""
    return LIFTED_BY[cause].format(symbol)
