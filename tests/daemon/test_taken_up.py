"""What was under way when the process or the link went: taken up again, and nothing done twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

from longwatch.domain import messages as m
from tests.daemon.bench import MINUTE, Scene, on_bench


def test_a_finished_run_is_not_run_again_although_another_came_later(tmp_path: Path) -> None:
    """Rebalanced by schedule and once more by hand; a restart within the schedule's latest start decides nothing."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        await scene.run_job("rebalance")
        before = [fact.run_id for fact in scene.facts(m.RebalanceDecided)]
        assert len(before) == 2
        await scene.stop()
        scene.start()
        await asyncio.sleep(5 * MINUTE)
        assert scene.reasons() == []
        assert [fact.run_id for fact in scene.facts(m.RebalanceDecided)] == before

    on_bench(story, tmp_path)
