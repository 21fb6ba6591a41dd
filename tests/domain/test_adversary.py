"""No order leaves that could at worst pass a limit, whatever a strategy wants and whatever happens to its orders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import settings

from longwatch.domain.risk import table as risk
from longwatch.domain.risk.proposal import Cap
from tests.domain import adversary
from tests.domain.adversary import slice_of
from tests.domain.limit_judge import Tally
from tests.domain.proof_limits import LEAST_ACCEPTED, lacking, section

IS_PROOF = settings().max_examples > 1_000
SLICES = 1_000 if IS_PROOF else 45
FOUND = (8, 9, 22, 41, 74, 84, 1138, 2053)
"""Slices that found an order beyond a limit, as the acts then were."""


def test_an_adversary_gets_no_order_past_a_limit() -> None:
    """Thousands of intents, a fifth of them sent, many to the last share of a limit; every limit is come close to."""
    tally = Tally()
    for seed in (*FOUND, *range(100_000, 100_000 + SLICES)):
        slice_of(f"adversary|{seed}", tally)
    print(*section(tally, SLICES, ()), sep="\n")
    assert tally.accepted >= LEAST_ACCEPTED * tally.intents > 200 * SLICES * LEAST_ACCEPTED
    assert list(lacking(tally, is_full=IS_PROOF)) == []
    assert {name for name, used in tally.used.items() if used >= Decimal("0.99")} == tally.used.keys()


@pytest.mark.parametrize(
    "name", ["max_weight", "max_gross_exposure", "max_net_exposure", "max_group_weight", "reversal"]
)
def test_the_judge_sees_a_limit_that_is_not_held(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one cap of the table two per cent too wide, the judge finds an order beyond that very limit."""
    monkeypatch.setattr(adversary, "ACTS_OF_A_SLICE", 150)
    for table in ("CAPS", "AT_THE_WRITE"):
        for purpose, rows in getattr(risk, table).items():
            wider = tuple((one, _wider(rule) if one == name else rule) for one, rule in rows)
            monkeypatch.setitem(getattr(risk, table), purpose, wider)
    with pytest.raises(AssertionError, match=name):
        for seed in range(200):
            slice_of(f"adversary|{seed}", Tally())


def _wider(rule: Callable[..., Cap | None]) -> Callable[..., Cap | None]:
    def wide(*asked: object) -> Cap | None:
        cap = rule(*asked)
        return None if cap is None else replace(cap, allowed=cap.allowed + max(cap.limit, Decimal(10)) / 50 + 2)

    return wide
