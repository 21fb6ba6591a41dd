"""What was under way when the process or the link went: taken up again, and nothing done twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

from longwatch.domain import messages as m
from longwatch.domain.messages import Link
from tests.daemon.bench import MINUTE, Scene, on_bench, plan

TICKS = {"tick", "tickPrice", "tickSize"}


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


def test_a_flatten_goes_on_after_a_restart(tmp_path: Path) -> None:
    """Asked for, and the process ends before the closing orders: the next one closes everything within the session."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        await asyncio.sleep(10 * MINUTE)
        scene.gateway.faults.withhold = set(TICKS)
        assert (await scene.ask("flatten"))["ok"]
        await scene.stop()
        assert len(scene.orders()) == 2, "a closing order left before the end of the process"
        scene.gateway.faults.withhold = set()
        scene.start()
        await scene.till(20, 55)
        assert (scene.truly_held("AAPL"), scene.truly_held("IBM")) == (0, 0)
        assert len(scene.orders()) == 4

    on_bench(story, tmp_path)


def test_a_flatten_goes_on_after_an_outage_longer_than_its_job_may_take(tmp_path: Path) -> None:
    """Asked for without a link, its job ends at its deadline: closed all the same once there is a link."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        await scene.gateway.refuse_connections()
        for connection in list(scene.gateway.desk.connections):
            connection.abort()
        await scene.until(lambda: scene.state.link is not Link.READY, what="the outage")
        await scene.ask("flatten")
        await scene.until(lambda: scene.state.jobs["rebalance"].outcome == "failed", what="the job's deadline")
        await scene.gateway.accept_connections()
        await scene.until(lambda: scene.state.link is Link.READY, what="the link")
        await asyncio.sleep(45 * MINUTE)
        assert (scene.truly_held("AAPL"), scene.truly_held("IBM")) == (0, 0)

    on_bench(story, tmp_path)


def test_a_flatten_asked_for_in_the_night_closes_at_the_next_open(tmp_path: Path) -> None:
    """While the exchange is closed it is tried once; the first reconciliation of the session takes it up."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        await scene.till(23, 0)
        await scene.ask("flatten")
        await scene.till(14, 29)
        assert set(scene.refused().values()) == {"trading_hours"}
        nightly = len(scene.facts(m.RebalanceDecided))
        assert nightly == 2
        await scene.till(14, 34)
        assert len(scene.facts(m.RebalanceDecided)) > nightly
        await scene.till(15, 0)
        assert (scene.truly_held("AAPL"), scene.truly_held("IBM")) == (0, 0)

    on_bench(story, tmp_path)


def test_a_flatten_called_off_while_it_waits_trades_nothing(tmp_path: Path) -> None:
    """Its job finds nothing more to close, and does not rebalance instead."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        await asyncio.sleep(10 * MINUTE)
        scene.gateway.faults.withhold = set(TICKS)
        await scene.ask("flatten")
        await scene.settled()
        await scene.ask("resume")
        scene.gateway.faults.withhold = set()
        await scene.until(lambda: scene.state.jobs["rebalance"].outcome == "finished", what="the end of the job")
        assert scene.state.jobs["rebalance"].text == "nothing is left to close"
        assert len(scene.facts(m.RebalanceDecided)) == 1

    on_bench(story, tmp_path)


def test_buys_put_off_for_sells_are_made_after_a_restart(tmp_path: Path) -> None:
    """The sells end while the process drains, so that nothing follows them: the next one buys, in that session."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.until(lambda: len(scene.facts(m.RebalanceDecided)) == 2, what="the second day")
        assert scene.facts(m.RebalanceDecided)[-1].waiting == 2
        scene.daemon.runner.drain()
        await scene.until(lambda: not scene.state.live, what="the end of the sells")
        await scene.stop()
        assert (scene.held("AAPL"), scene.held("GOOG")) == (0, 0)
        scene.start()
        await asyncio.sleep(60 * MINUTE)
        assert scene.held("GOOG") > 0 and scene.held("MSFT") > 0

    days = plan({"AAPL": 0.5, "IBM": 0.5}, {"GOOG": 0.5, "MSFT": 0.5})
    on_bench(story, tmp_path, {"strategies": [days]})
