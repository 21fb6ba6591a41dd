"""No order leaves that could at worst pass a limit, whatever a strategy wants and whatever happens to its orders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import settings

from longwatch.domain.order_life import submission
from longwatch.domain.orders import Order
from longwatch.domain.risk import commissions, means
from longwatch.domain.risk import table as risk
from longwatch.domain.risk.proposal import Cap
from longwatch.domain.safeguards import attached, profits
from tests.domain import adversary
from tests.domain.adversary import slice_of
from tests.domain.limit_judge import Tally
from tests.domain.proof_limits import LEAST_ACCEPTED, lacking, section

IS_PROOF = settings().max_examples > 1_000
SLICES = 1_000 if IS_PROOF else 45
FOUND = (8, 9, 22, 41, 74, 84, 718, 1138, 1242, 1681, 2053, 3083)
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
    ("name", "first"),
    [
        ("max_weight", 0),
        ("max_gross_exposure", 17),
        ("max_net_exposure", 104),
        ("max_group_weight", 0),
        ("reversal", 0),
        ("settled_cash", 11),
        ("excess_liquidity", 1),
        ("shortable", 5),
        ("cash_short", 24),
    ],
)
def test_the_judge_sees_a_limit_that_is_not_held(name: str, first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one cap of the table two per cent too wide, the judge finds an order beyond that very limit."""
    for table in ("CAPS", "AT_THE_WRITE"):
        for purpose, rows in getattr(risk, table).items():
            wider = tuple((one, _wider(rule) if one == name else rule) for one, rule in rows)
            monkeypatch.setitem(getattr(risk, table), purpose, wider)
    _is_found(name, first, monkeypatch)


@pytest.mark.parametrize(("name", "first"), [("settled_cash", 44), ("excess_liquidity", 69), ("shortable", 29)])
def test_the_judge_sees_what_is_not_asked_at_the_write(name: str, first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked only as orders are decided on, what has happened by the time they leave passes the limit."""
    for purpose, rows in risk.AT_THE_WRITE.items():
        monkeypatch.setitem(risk.AT_THE_WRITE, purpose, tuple(row for row in rows if row[0] != name))
    _is_found(name, first, monkeypatch)


BEHIND_THE_CAPS: dict[str, tuple[str, int, object, str, Any]] = {
    "no commission is set aside": ("settled_cash", 26, commissions, "set_aside", lambda *asked: Decimal(0)),
    "fills that the figures do not show": (
        "settled_cash|excess_liquidity",
        26,
        means,
        "unread_fills",
        lambda *asked: iter(()),
    ),
    "other people's purchases": ("settled_cash|excess_liquidity", 1, means, "_foreign", lambda *asked: Decimal(0)),
    "word of how many can be borrowed": ("shortable", 1, means, "_asks_for_shares", lambda *asked: False),
    "live short sales": ("shortable", 29, means, "_selling", lambda *asked: Decimal(0)),
    "a stop larger than its entry": (
        "stop of its entry",
        3,
        submission,
        "attached",
        SimpleNamespace(
            level_with=attached.level_with,
            stop_order=lambda *asked: replace(attached.stop_order(*asked), quantity=asked[3] + 1),
        ),
    ),
    "a take-profit in no group": (
        "reversal of take-profits",
        0,
        profits,
        "Order",
        lambda **terms: Order(**(terms | {"oca_group": ""})),
    ),
}
"""What is done wrong, the limits that the judge finds passed, from which slice on, and the function that does it."""


@pytest.mark.parametrize("wrong", BEHIND_THE_CAPS)
def test_the_judge_sees_what_a_limit_leaves_out(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Means, commissions, attached stops and take-profits, each without what it is there for."""
    name, first, module, function, other = BEHIND_THE_CAPS[wrong]
    monkeypatch.setattr(module, function, other)
    _is_found(name, first, monkeypatch)


def _is_found(name: str, first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """`first` is a slice that showed it as the acts then were: a search from there on is short."""
    monkeypatch.setattr(adversary, "ACTS_OF_A_SLICE", 150)
    with pytest.raises(AssertionError, match=name):
        for seed in range(first, first + 200):
            slice_of(f"adversary|{seed}", Tally())


def _wider(rule: Callable[..., Cap | None]) -> Callable[..., Cap | None]:
    def wide(*asked: object) -> Cap | None:
        cap = rule(*asked)
        return None if cap is None else replace(cap, allowed=cap.allowed + max(cap.limit, Decimal(10)) / 50 + 2)

    return wide
