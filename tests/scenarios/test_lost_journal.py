"""Scenario A17, continued: what a journal that is lost has left at work in the account."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from longwatch.domain import messages as m
from longwatch.domain.reconciliation.causes import Cause
from longwatch.errors import UsageError
from tests.daemon.bench import DAY, MINUTE, SYMBOLS, Scene, plan
from tests.scenarios.witness import Witness, scenario

STOPPED = {"strategies": [plan({"AAPL": 0.4}, {"AAPL": 0.4})], "stops": {"fraction": 0.05}}


async def without_its_journal(scene: Scene) -> str:
    """What is held rests behind a stop; the daemon starts again on an empty journal. The stop's reference."""
    scene.start()
    await scene.traded()
    await asyncio.sleep(5 * MINUTE)
    (stop,) = [order for order in scene.orders() if order.is_live]
    await scene.stop()
    scene.bench.journal.unlink()
    scene.steps.clear()
    scene.start()
    await scene.until(lambda: scene.state.link is m.Link.READY, what="readiness")
    await asyncio.sleep(10 * MINUTE)
    return stop.ref


def at_work(scene: Scene) -> list[tuple[str, str, Decimal]]:
    """What the gateway has open."""
    live = scene.gateway.desk.exchange.book.live()
    return [(one.ticket.order_type, one.ticket.order_ref, one.remaining) for one in live]


@pytest.mark.parametrize("adopts", ["none", "all"])
def test_A17_scenario_a_stop_of_a_lost_journal_is_never_doubled(adopts: str, tmp_path: Path) -> None:
    """Held and told at once: nothing is bought beside it, adopted or stopped, until a person has cancelled it."""

    async def story(scene: Scene, witness: Witness) -> None:
        ref = await without_its_journal(scene)
        held = scene.truly_held("AAPL")
        assert at_work(scene) == [("STP", ref, held)] and held > 0
        old_journal = ref.rpartition(":")[0]
        assert all(seen.values["orderRef"].startswith(old_journal) for seen in witness.placed())
        (row,) = scene.state.quarantines.values()
        assert row.cause is Cause.OURS_UNKNOWN and ref in row.reason
        assert any(ref in text and "cancel it in TWS" in text for text in scene.alerts())
        assert any("stay outside" in text for text in scene.alerts()) is (adopts == "all")
        with pytest.raises(UsageError, match=f"SELL {held} AAPL .* not ours, .* cancel it in TWS first"):
            await scene.ask("adopt", "AAPL")
        await scene.run_job("rebalance")
        assert (scene.held("AAPL"), scene.state.outside[SYMBOLS["AAPL"]][1]) == (0, held)
        assert at_work(scene) == [("STP", ref, held)]
        (old,) = scene.gateway.desk.exchange.book.live()
        scene.gateway.desk.exchange.cancel(old.ticket.client_id, old.ticket.order_id)
        await scene.ask("reconcile")
        await asyncio.sleep(MINUTE)
        await scene.ask("adopt", "AAPL")
        await asyncio.sleep(MINUTE)
        assert not scene.state.quarantines and scene.held("AAPL") == held
        ((kind, another, rests),) = at_work(scene)
        assert (kind, rests) == ("STP", held) and another != ref
        await scene.ask("flatten")
        await asyncio.sleep(2 * DAY)
        assert scene.truly_held("AAPL") == scene.held("AAPL") == 0 and not at_work(scene)
        assert witness.lowest("AAPL") == 0

    scenario(story, tmp_path, STOPPED | {"execution": {"adopt_existing": adopts}})
