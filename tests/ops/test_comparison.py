"""What `longwatch reconcile` says of each quarantine: what would end it, and nothing that would not."""

from __future__ import annotations

import pytest

from longwatch.domain import messages as m
from longwatch.domain.reconciliation.causes import Cause, lifted_by
from longwatch.domain.reconciliation.quarantines import POSITION, UNDIGESTED, UNREADABLE, laid
from longwatch.domain.state import State, evolve
from longwatch.ops.comparison import comparison_of
from longwatch.ops.tables import comparison_text
from tests.domain.world import OPEN

A_WORD = "`longwatch unquarantine AAA`, once it is looked into"


def quarantine(reason: str, cause: Cause = Cause.UNEXPLAINED) -> m.QuarantineSet:
    return m.QuarantineSet(con_id=1, symbol="AAA", reason=reason, tech=OPEN, cause=cause)


@pytest.mark.parametrize(
    ("held", "ends"),
    [
        (quarantine(f"{POSITION}: book 1 + outside 0 is not the account's 2"), lifted_by(Cause.UNEXPLAINED, "AAA")),
        (quarantine(f"{POSITION}: as above", Cause.TRANSFER), lifted_by(Cause.TRANSFER, "AAA")),
        (quarantine("AAA: liquidation", Cause.LIQUIDATION), lifted_by(Cause.LIQUIDATION, "AAA")),
        (quarantine("AAA: two orders at the broker for one intent"), A_WORD),
        (quarantine("order lw:k7q2:1 was resolved as absent"), A_WORD),
        (quarantine(f"{UNDIGESTED}: no such key"), A_WORD),
        (
            quarantine(UNREADABLE),
            "a whole download of the account that can be read; or else `longwatch unquarantine AAA`",
        ),
    ],
)
def test_each_quarantine_names_what_ends_it(held: m.QuarantineSet, ends: str) -> None:
    """Book and account agreeing, and `adopt`, only where it is about shares."""
    state = State()
    evolve(state, held)
    found = comparison_of(state, OPEN, OPEN)
    (row,) = found["instruments"]
    assert (row["quarantine"], row["lifted_by"], row["beneath"]) == (held.reason, ends, [])
    assert f"AAA: {held.reason}\n  lifted by: {ends}" in comparison_text(found)


def test_quarantines_beneath_another_are_shown_with_what_ends_each() -> None:
    """From the uppermost down; `adopt` of the difference leaves the other."""
    state = State()
    told = [quarantine("two orders"), quarantine(f"{POSITION}: 1 is not 2")]
    told.append(quarantine("liquidation", Cause.LIQUIDATION))
    for fact in told:
        evolve(state, laid(state, fact))
    text = comparison_text(comparison_of(state, OPEN, OPEN))
    shown = [f"AAA: {told[1].reason}", f"AAA: {told[2].reason}", f"AAA: {told[0].reason}"]
    assert [line for line in text.splitlines() if line.startswith("AAA: ")] == shown
    assert text.endswith(f"  lifted by: {A_WORD}")
