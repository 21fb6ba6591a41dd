"""A fill that the exchange takes back: the book follows where the gateway shows it, and a person decides where not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from longwatch.domain.orders import OrderState
from longwatch.gateway.conduct import Conduct
from longwatch.gateway.events import Event
from tests.daemon.bench import HOUR, SYMBOLS, Scene, on_bench


@pytest.mark.parametrize("revised", [False, True])
def test_A15_the_book_follows_a_bust(revised: bool, tmp_path: Path) -> None:
    """Told by a revision of no shares, or by nothing but position and executions: within an hour, and bought again."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        held, paid = scene.held("AAPL"), scene.state.valued
        scene.gateway.events.happen(Event(kind="bust", symbol="AAPL"))
        assert scene.truly_held("AAPL") < held and paid is not None
        await asyncio.sleep(HOUR)
        assert scene.held("AAPL") == scene.truly_held("AAPL") < held
        assert not scene.state.quarantines and scene.reasons() == []
        assert {order.state for order in scene.orders()} == {OrderState.FILLED}
        await scene.run_job("rebalance")
        await scene.until(lambda: not scene.state.live, what="the end of every order")
        assert scene.held("AAPL") == scene.truly_held("AAPL") >= held

    on_bench(story, tmp_path, conduct=Conduct(bust_revised=revised))


def test_A15_where_the_gateway_has_forgotten_the_day_a_person_decides(tmp_path: Path) -> None:
    """Started anew it shows no executions at all: quarantined; `adopt` says that the account is right."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        held = scene.held("AAPL")
        scene.gateway.events.happen(Event(kind="bust", symbol="AAPL"))
        await scene.gateway.refuse_connections()
        scene.gateway.desk.restarted()
        await scene.gateway.accept_connections()
        await asyncio.sleep(HOUR)
        assert scene.held("AAPL") == held and set(scene.state.quarantines) == {SYMBOLS["AAPL"]}
        answer = await scene.ask("adopt", "AAPL")
        assert answer["ok"]
        await asyncio.sleep(HOUR)
        assert scene.held("AAPL") == scene.truly_held("AAPL") < held
        assert not scene.state.quarantines and scene.reasons() == []

    on_bench(story, tmp_path)
