"""Trouble with gateway, strategies and data: one clear sentence, the gate shut where it must be, the rest lives on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from longwatch.domain import messages as m
from longwatch.domain.messages import Link
from longwatch.domain.orders import OrderState
from longwatch.simulation.transport import Door
from tests.daemon.bench import MINUTE, SYMBOLS, Scene, faulty, on_bench, plan

HOST, PORT = "127.0.0.1", 4002


def absent(scene: Scene) -> None:
    """Nobody listens there."""
    scene.bench.network.stop_listening(HOST, PORT)


def unreachable(scene: Scene) -> None:
    """Packets to it are dropped."""
    scene.bench.network.set_door(HOST, PORT, Door.SILENT)


def refusing(scene: Scene) -> None:
    """It is there and lets nobody in."""
    scene.gateway.faults.refuse = True


def silent(scene: Scene) -> None:
    """It takes the connection and never says a word."""
    scene.gateway.faults.silent = True


def dying_in_the_greeting(scene: Scene) -> None:
    """It goes in the middle of its first message."""
    scene.gateway.faults.drop_after = 3


def dying_in_the_downloads(scene: Scene) -> None:
    """It goes in the middle of a message of the first downloads."""
    scene.gateway.faults.drop_after = 700


def mend(scene: Scene) -> None:
    scene.gateway.faults.clear()
    scene.bench.network.set_door(HOST, PORT, Door.OPEN)
    scene.bench.network.stop_listening(HOST, PORT)
    scene.bench.network.listen(HOST, PORT, scene.gateway.protocol_factory)


GATEWAYS: dict[Callable[[Scene], None], str] = {
    absent: "the gateway at 127.0.0.1:4002 refuses connections: is it running, and is its API port open?",
    unreachable: "the gateway at 127.0.0.1:4002 takes no connection within 10 s",
    refusing: "the gateway at 127.0.0.1:4002 refuses connections: is it running, and is its API port open?",
    silent: "the gateway at 127.0.0.1:4002 took the connection but stays silent",
    dying_in_the_greeting: "the gateway at 127.0.0.1:4002 closed the connection",
    dying_in_the_downloads: "the gateway at 127.0.0.1:4002 closed the connection",
}


@pytest.mark.parametrize("trouble", GATEWAYS, ids=lambda trouble: trouble.__name__)
def test_a_gateway_in_trouble_at_the_start_is_named_and_waited_for(
    trouble: Callable[[Scene], None], tmp_path: Path
) -> None:
    """Ten minutes of it: the reason stands in /status, nothing is traded; once mended the first session trades."""

    async def story(scene: Scene) -> None:
        trouble(scene)
        scene.start()
        await asyncio.sleep(10 * MINUTE)
        status = scene.status()
        assert status["link"]["state"] in ("disconnected", "connecting")
        assert status["link"]["reason"].startswith(GATEWAYS[trouble])
        assert any(reason.startswith("link: ") for reason in status["reasons"])
        assert any(text.startswith("no link to the gateway") and GATEWAYS[trouble] in text for text in scene.alerts())
        attempts = len(scene.events(m.LinkOpening))
        assert 8 <= attempts <= 80
        mend(scene)
        await scene.run_job("signals")
        await scene.traded()
        assert {order.state for order in scene.orders()} == {OrderState.FILLED}

    on_bench(story, tmp_path)


@pytest.mark.parametrize("trouble", GATEWAYS, ids=lambda trouble: trouble.__name__)
def test_what_is_known_outlives_a_gateway_in_trouble(trouble: Callable[[Scene], None], tmp_path: Path) -> None:
    """It goes after a day of trading: book, orders and targets stay as they were, the gate is shut until it is back."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        before = [scene.held(symbol) for symbol in SYMBOLS]
        trouble(scene)
        for session in list(scene.gateway.desk.connections):
            session.abort()
        await asyncio.sleep(5 * MINUTE)
        assert scene.state.link is not Link.READY
        assert [scene.held(symbol) for symbol in SYMBOLS] == before
        assert len(scene.orders()) == 2 and scene.state.targets and scene.state.equity
        mend(scene)
        await scene.until(lambda: scene.state.link is Link.READY, what="the link")
        await scene.settled()
        assert scene.reasons() == []
        assert scene.state.compared is not None and scene.state.compared.differences == ()
        assert scene.state.compared.positions == 2

    on_bench(story, tmp_path)


FAULTS = {
    "raises": "ZeroDivisionError: the data had a surprise",
    "nan": "the weight of GOOG is NaN",
    "unknown symbol": "'ZZZZ', which is not in the strategy's universe",
    "too heavy": "absolute weights sum to 1.7",
}


@pytest.mark.parametrize("way", FAULTS)
def test_a_strategy_that_goes_wrong_stops_only_itself(way: str, tmp_path: Path) -> None:
    """Its fault is one sentence in alerts and /status; the other trades; mended, it trades the next day."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        assert {order.symbol for order in scene.orders()} == {"AAPL"}
        fault = scene.status()["strategy_faults"]["faulty"]["reason"]
        assert FAULTS[way] in fault
        assert any(text.startswith("strategy faulty: ") and FAULTS[way] in text for text in scene.alerts())
        await scene.traded(decisions=2)
        assert "GOOG" in {order.symbol for order in scene.orders()}
        assert scene.status()["strategy_faults"] == {}

    both = [plan({"AAPL": 0.4}, allocation=0.5), faulty("GOOG", way, mended="2007-01-03")]
    on_bench(story, tmp_path, {"strategies": both})


def test_a_strategy_that_cannot_be_loaded_is_named_and_the_other_trades(tmp_path: Path) -> None:
    """No such file: a fault like any other."""
    missing = {"name": "gone", "path": "no/such/file.py:Thing", "allocation": 0.5}

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        assert "there is no file" in scene.status()["strategy_faults"]["gone"]["reason"]
        assert {order.symbol for order in scene.orders()} == {"AAPL"}

    on_bench(story, tmp_path, {"strategies": [plan({"AAPL": 0.4}, allocation=0.5), missing]})


def test_a_strategy_that_goes_wrong_at_once_leaves_what_was_adopted_for_it_alone(tmp_path: Path) -> None:
    """It never named a weight, yet asks for GOOG: the holding taken over at the first start is not sold."""

    async def story(scene: Scene) -> None:
        await scene.till(14, 31)
        scene.gateway.trade_by_hand("GOOG", "BUY", Decimal(100))
        await asyncio.sleep(10)
        scene.start()
        await scene.traded()
        assert "faulty" in scene.status()["strategy_faults"]
        assert scene.held("GOOG") == scene.truly_held("GOOG") == 100
        assert {order.symbol for order in scene.orders()} == {"AAPL"}

    both = [plan({"AAPL": 0.4}, allocation=0.5), faulty("GOOG", "raises")]
    on_bench(story, tmp_path, {"strategies": both, "execution": {"adopt_existing": "all"}})


def test_a_strategy_that_goes_wrong_later_leaves_what_it_holds_alone(tmp_path: Path) -> None:
    """Its former targets are kept and not traded on: nothing of its is bought or sold until it is right again."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        held = scene.held("AAPL")
        (scene.bench.folder / "moody.py").write_text("raise RuntimeError('moody')\n")
        await scene.traded(decisions=3)
        assert "moody" in scene.status()["strategy_faults"]
        assert scene.held("AAPL") == held
        assert [order.symbol for order in scene.orders()].count("AAPL") == 1
        assert scene.held("IBM") == 0

    (tmp_path / "moody.py").write_text(
        "from longwatch.strategies.base import Needs, Strategy\n\n"
        "class Moody(Strategy):\n"
        "    def needs(self):\n"
        "        return Needs(universe=('AAPL',), lookback=2)\n\n"
        "    def target_weights(self, bars, context):\n"
        "        return {'AAPL': 0.5}, {}\n"
    )
    moody = {"name": "moody", "path": "moody.py:Moody", "allocation": 0.5}
    on_bench(story, tmp_path, {"strategies": [moody, plan({"IBM": 0.4}, {"IBM": 0.0}, allocation=0.5)]})


def holed(bars: list[dict[str, Any]]) -> None:
    del bars[-4]


def negative(bars: list[dict[str, Any]]) -> None:
    bars[-4]["low"] = Decimal("-1.5")


def doubled(bars: list[dict[str, Any]]) -> None:
    bars.insert(-4, dict(bars[-4]))


def empty(bars: list[dict[str, Any]]) -> None:
    del bars[:]


FLAWS: dict[Callable[[list[dict[str, Any]]], None], str] = {
    holed: "no bar",
    negative: "-1.5",
    doubled: "not one for each time",
    empty: "no bar",
}


@pytest.mark.parametrize("flaw", FLAWS, ids=lambda flaw: flaw.__name__)
def test_a_symbol_with_flawed_bars_stays_out_and_the_others_trade(
    flaw: Callable[[list[dict[str, Any]]], None], tmp_path: Path
) -> None:
    """A hole, a negative price, a day twice, no bar at all: the flaw is named with its symbol, the next day is well."""

    def spoil(name: str, values: dict[str, Any]) -> bool:
        if name == "historicalData" and values["bars"][-1]["close"] > 400:  # GOOG alone stood so high in 2007
            flaw(values["bars"])
        return True

    async def story(scene: Scene) -> None:
        scene.gateway.faults.own_messages = spoil
        scene.start()
        await scene.traded()
        assert {order.symbol for order in scene.orders()} == {"AAPL"}
        row = scene.status()["data"]["symbols"]["GOOG"]
        assert FLAWS[flaw] in row["flaws"][0]
        assert any(text.startswith("GOOG is not traded: ") and FLAWS[flaw] in text for text in scene.alerts())
        scene.gateway.faults.clear()
        await scene.traded(decisions=2)
        assert scene.held("GOOG") > 0

    on_bench(story, tmp_path, {"strategies": [plan({"AAPL": 0.4, "GOOG": 0.4})]})
