"""A25: position, price, history and cache after a split; each in a market of its own, which remembers the split."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from longwatch.domain import messages as m
from longwatch.gateway.events import Event
from longwatch.simulation.replay import replayed_market
from tests.daemon.bench import HOUR, MINUTE, Scene, plan
from tests.scenarios.witness import Witness, scenario

PLANNED = {"strategies": [plan({"AAPL": 0.05, "IBM": 0.05})]}


def sizing_price(scene: Scene) -> Decimal:
    """What the next decision on IBM is sized at."""
    assert scene.state.equity is not None
    return dict(scene.state.equity.prices)["IBM"]


@pytest.mark.parametrize(("ratio", "times"), [("2/1", Decimal(2)), ("1/2", Decimal("0.5"))])
def test_A25_scenario_a_split_moves_everything_together(ratio: str, times: Decimal, tmp_path: Path) -> None:
    """Book, cost, sizing price and kept bars at once, on three proofs; no order is sized at the former price."""

    async def story(scene: Scene, witness: Witness) -> None:
        scene.start()
        await scene.traded()
        held, cost = scene.held("IBM"), scene.state.book[8314].average_cost
        scene.gateway.events.happen(Event(kind="split", symbol="IBM", ratio=ratio))
        await scene.till(14, 29)
        sized = sizing_price(scene)
        await scene.until(lambda: scene.facts(m.SplitBooked), what="the split")
        assert abs(sizing_price(scene) * times / sized - 1) < Decimal("0.001")
        sent = len(witness.placed())
        whole = (held * times) // 1
        assert scene.held("IBM") == scene.truly_held("IBM") == whole
        assert abs(scene.state.book[8314].average_cost * times / cost - 1) < Decimal("0.001")
        assert "history rebased by" in scene.facts(m.SplitBooked)[0].proof
        await scene.traded(2)
        await asyncio.sleep(HOUR)
        later = [seen for seen in witness.placed()[sent:] if seen.values["symbol"] == "IBM"]
        assert all(Decimal(seen.values["totalQuantity"]) < whole / 5 for seen in later)
        assert not scene.state.quarantines
        assert scene.held("IBM") == scene.truly_held("IBM")

    scenario(story, tmp_path, PLANNED, market=replayed_market(seed=1))


def test_A25_scenario_between_a_split_and_its_proof_nothing_is_sent(tmp_path: Path) -> None:
    """The history can't be had: held back until a person says what it is, the others trade on."""

    async def story(scene: Scene, witness: Witness) -> None:
        scene.start()
        await scene.traded()
        held = scene.held("IBM")
        scene.gateway.events.happen(Event(kind="split", symbol="IBM", ratio="3/1"))
        await scene.till(14, 29)
        scene.gateway.faults.own_messages = lambda name, values: name != "historicalData"
        await scene.until(lambda: scene.state.quarantines, what="the quarantine")
        sent = len(witness.placed())
        await asyncio.sleep(20 * MINUTE)
        assert [one.cause.value for one in scene.state.quarantines.values()] == ["split"]
        assert scene.held("IBM") == held and scene.truly_held("IBM") == 3 * held
        assert not [seen for seen in witness.placed()[sent:] if seen.values["symbol"] == "IBM"]
        await scene.ask("adopt", "IBM")
        assert scene.held("IBM") == 3 * held and not scene.state.quarantines

    scenario(story, tmp_path, PLANNED, market=replayed_market(seed=1))


def test_A25_scenario_a_stop_is_divided_by_the_split(tmp_path: Path) -> None:
    """The broker ends it; until the split is proven none rests at the old price, then one for all at the new one."""

    async def story(scene: Scene, witness: Witness) -> None:
        scene.start()
        await scene.traded()
        await asyncio.sleep(MINUTE)
        level = scene.state.stop_levels[8314].level
        assert level is not None
        scene.gateway.events.happen(Event(kind="split", symbol="IBM", ratio="2/1"))
        held, before = scene.held("IBM"), len(witness.placed())
        await scene.until(lambda: scene.facts(m.SplitBooked), what="the split")
        await scene.until(lambda: not scene.state.unprotected, what="the stop")
        later = witness.placed()[before:]
        new = [one for one in later if one.values["orderType"] == "STP" and one.values["symbol"] == "IBM"]
        assert new and all(Decimal(str(one.values["auxPrice"])) < level * Decimal("0.6") for one in new)
        (resting,) = [
            one
            for one in scene.gateway.desk.exchange.book.live()
            if one.ticket.order_type == "STP" and one.ticket.instrument.symbol == "IBM"
        ]
        assert resting.remaining == scene.truly_held("IBM") == 2 * held

    scenario(story, tmp_path, PLANNED | {"stops": {"fraction": 0.2}}, market=replayed_market(seed=1))
