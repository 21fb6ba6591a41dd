"""What happens to the daemon in a simulated run: its deaths, and what a person says to it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from longwatch import app
from longwatch.domain.state import fingerprint
from longwatch.journal import checkpoints
from longwatch.journal.codec import recover
from longwatch.journal.records import Journal
from longwatch.simulation.plan import Incident
from longwatch.simulation.scenery import scenery
from longwatch.simulation.simulate import Asked, simulated

SEED, DAYS = 2, 2


def test_a_daemon_killed_again_and_again_lives_on_by_checkpoints_as_it_would_by_folding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nine deaths in the first session, also in the middle of orders: the same journal, byte for byte, either way."""
    opened = scenery(SEED, DAYS, Path("unused")).sessions[0].open_at
    script = tuple(
        Incident(at=opened + timedelta(seconds=40 * number + 7 * number % 5), fault="crash", seconds=5.0)
        for number in range(9)
    )
    began: list[int] = []

    def noted(journal: Journal) -> checkpoints.Recovered:
        found = checkpoints.recovered(journal)
        assert fingerprint(found.state) == fingerprint(recover(journal.read()))
        assert found.passed_over == ()
        began.append(found.began_at)
        return found

    def journal_sha256() -> str:
        outcome = simulated(Asked(seed=SEED, days=DAYS, script=script, guards=False))
        assert outcome.broken == ()
        return outcome.journal_sha256

    monkeypatch.setattr(app, "recovered", noted)
    by_folding = journal_sha256()
    assert set(began) == {0}
    monkeypatch.setattr(checkpoints, "RECORDS", 20)
    began.clear()
    assert journal_sha256() == by_folding
    assert len(began) >= 10 and sum(place > 0 for place in began) >= 8


def test_what_a_person_said_to_a_dead_daemon_is_said_again_when_it_lives() -> None:
    """A halt is lifted although the daemon was down at that moment: the next day it trades (seed 6, 6 days, all)."""
    opened = scenery(SEED, DAYS, Path("unused")).sessions[0].open_at
    script = (
        Incident(at=opened - timedelta(minutes=10), fault="halt", seconds=60.0),
        Incident(at=opened - timedelta(seconds=550), fault="crash", seconds=30.0),
    )
    outcome = simulated(Asked(seed=SEED, days=DAYS, script=script, guards=False))
    said = [row.body["command"] for row in outcome.evidence.facts("ControlRequested")]
    assert said == ["halt", "resume"]
    assert outcome.broken == ()
