"""`longwatch limits` of a whole daemon, running and stopped: what is seen at worst, and the room that is left."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from longwatch.domain import messages as m
from longwatch.ops.limits import limits_text, of_journal
from tests.daemon.bench import Scene, on_bench, plan

FORTY = {"strategies": [plan({"AAPL": 0.4, "IBM": 0.4})]}


def seen(found: dict[str, Any], name: str) -> dict[str, dict[str, Any]]:
    """What one limit sees, by subject."""
    (row,) = [row for row in found["limits"] if row["name"] == name]
    return {reading["subject"]: reading for reading in row["readings"]}


def test_limits_of_a_running_daemon_and_of_its_journal_agree(tmp_path: Path) -> None:
    """Two names at 40 % each of a gross limit of 90 %: both ways say so, name what is nearest, and leave the rest."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        await scene.until(lambda: not scene.state.live, what="the end of every order")
        found = (await scene.ask("limits"))["data"]
        value = sum(abs(scene.held(symbol)) * dict(scene.state.equity.prices)[symbol] for symbol in ("AAPL", "IBM"))
        gross = seen(found, "max_gross_exposure")[""]
        assert Decimal(gross["observed"]) == round(value / scene.state.equity.equity, 6)
        assert gross["limit"] == "0.9" and Decimal(gross["room"]) == Decimal("0.9") - Decimal(gross["observed"])
        assert seen(found, "max_weight").keys() == {"AAPL", "IBM"}
        assert Decimal(seen(found, "max_group_weight")["all"]["observed"]) == Decimal(gross["observed"])
        assert found["nearest"][0]["name"] == "max_group_weight", found["nearest"]
        assert not any(one["is_past"] for row in found["limits"] for one in row["readings"])
        [weight] = [row for row in found["limits"] if row["name"] == "max_weight"]
        assert weight["settings"] == [
            {"path": "trading.risk.max_weight", "value": "0.5", "default": "0.15", "reload": "live"}
        ]
        await scene.stop()
        stopped = of_journal(scene.bench.journal)
        for name in ("max_gross_exposure", "max_weight", "max_group_weight", "max_position_size"):
            assert seen(stopped, name) == seen(found, name)
        assert "as of record" in stopped["note"]
        text = limits_text(stopped)
        assert "nearest to its limit: " in text and "max_group_weight all 9" in text and "note: as of record" in text

    groups = [{"name": "all", "symbols": ["AAPL", "IBM"], "max_weight": 0.85}]
    risk = {"max_gross_exposure": 0.9, "max_net_exposure": 0.9, "groups": groups}
    on_bench(story, tmp_path, FORTY | {"risk": risk})


def test_what_the_market_has_carried_past_a_limit_is_told_so(tmp_path: Path) -> None:
    """The limit is tightened below what is held: no room but less than none, and the text says it."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        assert (await scene.reload(FORTY | {"risk": {"max_weight": 0.2}}))["ok"]
        await scene.until(lambda: scene.state.settings.max_weight == Decimal("0.2"), what="the reload")
        found = (await scene.ask("limits"))["data"]
        told = seen(found, "max_weight")["AAPL"]
        assert told["is_past"] and Decimal(told["room"]) < 0 and Decimal(told["used"]) > Decimal("1.5")
        assert "PAST IT" in limits_text(found)
        assert scene.facts(m.OrderIntended)

    on_bench(story, tmp_path, FORTY)
