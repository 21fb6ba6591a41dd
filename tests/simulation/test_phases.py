"""Which orders a fault met, and in which phase of their life."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from pathlib import Path

from longwatch.simulation.phases import PHASES, empty_cells
from longwatch.simulation.plan import SCOPES, Incident
from longwatch.simulation.scenery import scenery
from longwatch.simulation.simulate import Asked, Outcome, simulated

SEED, DAYS = 2, 2


@cache
def run() -> Outcome:
    """The first day a fill is lost and an order's phases are met; another fault waits for what never comes."""
    opened = scenery(SEED, DAYS, Path("unused")).sessions[0].open_at
    script = (
        Incident(at=opened, fault="lose_fill"),
        Incident(at=opened, fault="status_first", after="order", seconds=0.2),
        Incident(at=opened + timedelta(hours=6), fault="lose_order", count=3),
    )
    return simulated(Asked(seed=SEED, days=DAYS, script=script, guards=False))


def test_a_fault_that_waits_for_its_moment_is_on_until_then() -> None:
    """The fill that was lost is known by its instant; orders up to there met the fault, whatever came later did not."""
    outcome = run()
    [lost] = [fill for fill in outcome.evidence.fills if fill.exec_id in outcome.evidence.lost_fills]
    played = {one.incident.fault: one for one in outcome.evidence.played}
    assert played["lose_fill"].struck == (lost.at,)
    met = outcome.table["lose_fill"]
    assert met["queued"] and met["sent"] and met["acknowledged"] and not met["cancel pending"]


def test_a_fault_that_never_struck_met_nothing() -> None:
    """It was set, and trading was over for the day."""
    outcome = run()
    assert not next(one for one in outcome.evidence.played if one.incident.fault == "lose_order").struck
    assert set(outcome.table["lose_order"].values()) == {0}


def test_a_fault_with_a_length_meets_what_lives_meanwhile() -> None:
    """Two tenths of a second after the first order none is acknowledged yet."""
    met = run().table["status_first"]
    assert met["sent"] and not met["acknowledged"]


def test_empty_cells_are_named() -> None:
    """By fault, with every phase it missed."""
    table = {"cut": dict.fromkeys(PHASES, 1), "halt": {**dict.fromkeys(PHASES, 1), "sent": 0, "queued": 0}}
    assert empty_cells(table) == ["halt: queued, sent"]
    assert len(empty_cells({fault: {} for fault in SCOPES})) == len(SCOPES)
