"""What happens to the daemon in a simulated run: its deaths, and what a person says to it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from longwatch.simulation.plan import Incident
from longwatch.simulation.scenery import scenery
from longwatch.simulation.simulate import Asked, simulated

SEED, DAYS = 2, 2


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
