"""The kill switch by its three ways in, the command, the file and HTTP with a token: one effect, whichever is used."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import SecretStr

from longwatch.domain import messages as m
from longwatch.domain.messages import Verb
from longwatch.domain.orders import OrderState
from longwatch.errors import JournalError
from longwatch.journal.codec import recover
from longwatch.journal.reading import read_records
from longwatch.ops.http import Commands, HttpServer, Pages
from tests.daemon.bench import MINUTE, SYMBOLS, Scene, market_of, plan
from tests.scenarios.witness import Witness, scenario

TOKEN = "swordfish"
WAYS = {"command": "uid 1000", "file": "file ", "http": "http "}
"""Each way, and how the journal says that it was used."""


async def said(scene: Scene, way: str, command: str, argument: str = "") -> None:
    """Say one command by one of the ways."""
    match way:
        case "command":
            assert (await scene.ask(command, argument, reason="enough"))["ok"]
        case "file":
            assert command == "halt"
            (scene.bench.folder / "HALT").write_text("enough\n")
            await asyncio.sleep(2)
        case _:
            request = {"command": command, "argument": argument, "reason": "enough"}
            assert await posted(scene, json.dumps(request), f"Bearer {TOKEN}") == 200


async def posted(scene: Scene, body: str, authorization: str) -> int:
    """The status of a POST to the daemon's own HTTP server, over the network in memory."""
    nothing = lambda: ()  # noqa: E731
    pages = Pages(livez=nothing, readyz=nothing, status=dict, metrics=_no_metrics)
    commands = Commands(answer=scene.daemon.answers.answer, token=SecretStr(TOKEN))
    server = HttpServer(pages, port=0, commands=commands)
    await server.start()
    network = scene.bench.network
    witness, network.on_link = network.on_link, None
    try:
        network.listen("daemon", 80, server._connection)
        reader, writer = await asyncio.open_connection("daemon", 80)
        head = f"POST /control HTTP/1.1\r\nHost: daemon\r\nAuthorization: {authorization}\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        line = await reader.readline()
        await reader.read()
        writer.close()
        return int(line.split()[1])
    finally:
        network.on_link = witness
        network.stop_listening("daemon", 80)
        await server.close()


async def _no_metrics() -> tuple[bytes, str]:
    return b"", "text/plain"


@pytest.mark.parametrize("way", WAYS)
def test_the_kill_switch_stops_what_waits_cancels_what_works_and_outlives_the_process(way: str, tmp_path: Path) -> None:
    """At a message a second some of eight orders work and the rest wait: none leaves any more, those are cancelled."""
    symbols = [f"T{number:02d}" for number in range(8)]

    async def story(scene: Scene, witness: Witness) -> None:
        scene.start()
        await scene.until(lambda: len(witness.taken()) >= 3, what="orders at the broker")
        waiting = [order.intent for order in scene.orders() if not order.handed]
        assert len(waiting) >= 3
        await said(scene, way, "halt")
        handed = {order.intent for order in scene.orders() if order.handed}
        await scene.until(lambda: not scene.state.live, seconds=10 * MINUTE, what="the end of every order")
        assert not witness.live() and len(witness.placed()) == len(handed) < 8
        assert {scene.state.orders[intent].state for intent in waiting} >= {OrderState.UNSENT}
        assert {scene.state.orders[intent].state for intent in handed} == {OrderState.CANCELLED}
        (verb,) = scene.facts(m.VerbSet)
        assert (verb.verb, verb.reason) == (Verb.HALT, "enough") and verb.by.startswith(WAYS[way])
        await scene.kill()
        scene.start()
        assert scene.state.is_on(Verb.HALT)
        known = lambda: scene.state.runs == 2 and scene.failing() == {"nothing_is_halted"}  # noqa: E731
        await scene.until(known, what="readiness but for the halt")
        await scene.run_job("rebalance")
        assert len(witness.placed()) == len(handed) and set(scene.refused().values()) == {"halt"}
        if way == "file":
            await asyncio.sleep(2)
            with pytest.raises(Exception, match="take it away"):
                await scene.ask("resume")
            (tmp_path / "HALT").unlink()
            await asyncio.sleep(2)
        await scene.ask("resume")
        await scene.run_job("rebalance")
        await scene.until(lambda: len(witness.placed()) > len(handed), what="an order once it is resumed")

    trading = {
        "strategies": [plan(dict.fromkeys(symbols, 0.05))],
        "ib": {"messages_per_second": 1},
        "execution": {"order_type": "MOC"},
        "ops": {"halt_file": str(tmp_path / "HALT")},
    }
    scenario(story, tmp_path, trading, market=market_of(symbols))


@pytest.mark.parametrize("way", WAYS)
def test_the_kill_switch_works_while_the_journal_cannot_be_written(way: str, tmp_path: Path) -> None:
    """Its file is gone: what works is cancelled all the same, the caller hears that it is not kept, and then it is."""

    async def story(scene: Scene, witness: Witness) -> None:
        scene.start()
        await scene.until(lambda: len(witness.taken()) == 2, what="the orders at the broker")
        await asyncio.sleep(5)
        known = len(scene.facts(m.VerbSet))
        away = scene.bench.journal.rename(scene.bench.folder / "away")
        if way == "command":
            with pytest.raises(JournalError, match="is not in the journal"):
                await scene.ask("halt", reason="enough")
        elif way == "file":
            (tmp_path / "HALT").write_text("enough\n")
        else:
            assert await posted(scene, json.dumps({"command": "halt", "reason": "enough"}), f"Bearer {TOKEN}") == 503
        await asyncio.sleep(MINUTE)
        assert scene.daemon.engine.journal_failure and not witness.live() and not scene.bench.journal.exists()
        away.rename(scene.bench.journal)
        await scene.until(lambda: scene.daemon.engine.journal_failure is None, what="the journal")
        await scene.kill()
        (verb,) = recover(read_records(scene.bench.journal)).verbs.values()
        assert (known, verb.verb, verb.reason) == (0, Verb.HALT, "enough") and verb.by.startswith(WAYS[way])
        scene.start()
        await scene.until(lambda: scene.state.runs == 2, what="the next daemon")
        assert scene.state.is_on(Verb.HALT)

    trading = {"execution": {"order_type": "MOC"}, "ops": {"halt_file": str(tmp_path / "HALT")}}
    scenario(story, tmp_path, trading)


@pytest.mark.parametrize("way", ["command", "http"])
def test_flatten_by_either_way_closes_with_the_type_it_names(way: str, tmp_path: Path) -> None:
    """At the market, by the word that was said with it; and the gateway's books end flat of what is ours."""

    async def story(scene: Scene, witness: Witness) -> None:
        await scene.till(14, 31)
        scene.gateway.trade_by_hand("AAPL", "BUY", Decimal(100))
        await asyncio.sleep(10)
        scene.start()
        await scene.traded()
        await said(scene, way, "flatten", "MKT")
        await scene.until(lambda: not any(scene.held(symbol) for symbol in SYMBOLS), what="a flat book")
        await scene.until(lambda: not scene.state.live, what="the end of every order")
        closing = [seen.values["orderType"] for seen in witness.placed() if seen.values["action"] == "SELL"]
        assert closing == ["MKT", "MKT"]
        assert (scene.truly_held("AAPL"), scene.truly_held("IBM")) == (100, 0) and not witness.live()

    scenario(story, tmp_path)


def test_a_token_that_is_not_right_does_nothing(tmp_path: Path) -> None:
    """None, a wrong one, or the right one said wrongly."""

    async def story(scene: Scene, witness: Witness) -> None:
        scene.start()
        await scene.until(lambda: scene.state.equity, what="the first signals")
        body = json.dumps({"command": "halt"})
        for shown in ("", "Bearer ", "Bearer sword", f"Basic {TOKEN}x", f"bearer {TOKEN}"):
            assert await posted(scene, body, shown) == 401, shown
        assert not scene.state.verbs
        assert await posted(scene, json.dumps({"command": "sell"}), f"Bearer {TOKEN}") == 400
        assert not scene.state.verbs

    scenario(story, tmp_path)
