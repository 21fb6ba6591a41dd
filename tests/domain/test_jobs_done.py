"""Which runs of the jobs are done, as the state remembers it."""

from __future__ import annotations

from datetime import timedelta

from longwatch.domain import messages as m
from tests.domain.world import START, World

VALID_UNTIL = START + timedelta(hours=1)


def noted(world: World, run_id: str, outcome: str, valid_until: object = VALID_UNTIL) -> None:
    job = run_id.partition("@")[0]
    world.hear(m.JobSeen, job=job, run_id=run_id, outcome=outcome, valid_until=valid_until)


def test_a_finished_run_stays_done_after_later_runs_of_its_job() -> None:
    """The next run of the job, finished, failed or only begun, takes nothing away."""
    world = World()
    noted(world, "rebalance@1", "started")
    noted(world, "rebalance@1", "finished")
    noted(world, "rebalance@2", "started")
    noted(world, "rebalance@2", "failed")
    assert world.state.jobs_done == {"rebalance@1": VALID_UNTIL}


def test_a_run_noted_by_an_older_version_is_done_too() -> None:
    """It told the end of validity only with the start."""
    world = World()
    noted(world, "rebalance@1", "started")
    noted(world, "rebalance@1", "finished", None)
    assert world.state.jobs_done == {"rebalance@1": VALID_UNTIL}


def test_done_runs_are_forgotten_a_day_after_they_could_have_run_again() -> None:
    """A year of jobs does not pile up."""
    world = World()
    noted(world, "rebalance@1", "finished")
    world.wait(25 * 3600)
    noted(world, "signals@2", "started")
    assert world.state.jobs_done
    world.wait(2)
    noted(world, "signals@2", "finished", world.now)
    assert list(world.state.jobs_done) == ["signals@2"]
