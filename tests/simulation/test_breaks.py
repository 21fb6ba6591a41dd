"""A slice of the breaks and races of `make proof`, and that a wrong cure and an unseen break would be found."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal as D
from types import SimpleNamespace

import pytest

from longwatch.domain import messages as m
from longwatch.domain.order_life.evidence import Decided
from longwatch.domain.reconciliation import breaks as domain
from longwatch.domain.reconciliation.causes import Cause
from longwatch.domain.reconciliation.others import NEVER_BY_OTHERS
from longwatch.domain.state import State
from tests.simulation.breaks import CURED, HELD, KINDS, Case, Scene, Told, cases_of, failures


def test_no_break_is_cured_wrongly_and_none_goes_unseen() -> None:
    """Each kind of break, in an account that trades on; splits are cured before the day's first orders have filled."""
    cases = cases_of(1, 1, "breaks", periods=8)
    assert failures(cases, []) == []
    assert len(cases) >= 50 and {case.kind for case in cases} == set(KINDS)
    assert {case.concluded for case in cases if case.kind in ("manual trade", "other client", "correction")} == {CURED}
    by_nobody = [kind for kind, cause in KINDS.items() if cause in NEVER_BY_OTHERS]
    assert {case.concluded for case in cases if case.kind in ("transfer", "assignment", *by_nobody)} == {HELD}
    assert CURED in {case.concluded for case in cases if case.kind == "split"}


def test_races_in_flight_are_no_breaks() -> None:
    """Late, doubled, reordered and lost messages, cut connections, cancels that cross fills."""
    cases = cases_of(1, 1, "races", periods=8)
    assert failures([], cases) == []
    assert len(cases) >= 50
    assert sum(1 for case in cases if case.concluded == HELD) <= len(cases) // 20


def test_a_cure_by_nothing_is_found_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that takes every difference for somebody else's trade."""

    def believed(state: State, row: m.Difference, tech: object) -> Decided:
        left = row.outside + row.missing
        why, cause = "it will be so", Cause.MANUAL_TRADE
        yield m.OutsideSet(con_id=row.con_id, symbol=row.symbol, quantity=left, reason=why, cause=cause)

    monkeypatch.setattr(domain, "_break", believed)
    found = failures(cases_of(1, 1, "breaks", periods=2), [])
    assert any("bug of ours" in text and "truly" in text for text in found)


def test_a_break_that_nobody_sees_is_found() -> None:
    """Nothing concluded is a failure of a break, and right for a race; a race that is held back needs a reason."""
    at = datetime(2007, 1, 25, 15, 0, tzinfo=UTC)
    unseen = Case(kind="transfer", con_id=1, symbol="SIMA", at=at)
    assert failures([unseen], []) == [str(unseen)] and failures([], [unseen]) == []
    let_go = Case(kind="liquidation told late", con_id=1, symbol="SIMA", at=at, concluded=CURED)
    assert failures([let_go], []) == [str(let_go)]
    held = Case(kind="duplicate", con_id=1, symbol="SIMA", at=at, concluded=HELD)
    assert failures([], [held]) == [str(held)] and failures([held], []) == []


def test_few_false_quarantines_are_excused_by_their_reason_and_a_full_proof_has_enough_of_each_kind() -> None:
    at = datetime(2007, 1, 25, 15, 0, tzinfo=UTC)
    quiet = [Case(kind="duplicate", con_id=1, symbol="SIMA", at=at)] * 48
    late = [Case(kind="late execution", con_id=1, symbol="SIMA", at=at, concluded=HELD)]
    assert failures([], quiet + late * 2) == []
    assert failures([], quiet + late * 3) == ["3 false quarantines are excused, at most 2 may be"]
    enough = [Case(kind=kind, con_id=1, symbol="SIMA", at=at, concluded=HELD) for kind in KINDS for _ in range(40)]
    assert failures(enough, [], is_full=True) == []
    assert failures(enough[1:], [], is_full=True) == ["too few breaks: manual trade: 39 of 40"]


@pytest.mark.parametrize(
    ("done", "concluded", "is_wrong"), [(("transfer",), HELD, True), (("transfer", "lost fill"), CURED, False)]
)
def test_a_wrong_cure_counts_under_a_quarantine_too(done: tuple[str, ...], concluded: str, is_wrong: bool) -> None:
    """Where one thing only was done; where there were two, the first was cured, and the second is what is held back."""
    at = datetime(2007, 1, 25, 15, 0, tzinfo=UTC)
    cured = m.OutsideSet(con_id=1, symbol="SIMA", quantity=D(3), reason="bought", cause=Cause.TRANSFER)
    held = SimpleNamespace(cause=Cause.UNEXPLAINED, beneath=None)
    state = SimpleNamespace(quarantines={1: held}, held=lambda con_id: D(9))
    cases = [Case(kind=kind, con_id=1, symbol="SIMA", at=at) for kind in done]
    scene = Scene.__new__(Scene)
    scene.told, scene.cases = {1: [Told(at=at, fact=cured)]}, cases
    scene.daemon = SimpleNamespace(state=state)  # type: ignore[assignment]
    scene.is_true, scene.ours = lambda con_id: False, lambda con_id: D(6)  # type: ignore[method-assign]
    scene.judge(cases[0])
    assert (cases[0].concluded, bool(cases[0].wrong)) == (concluded, is_wrong)
