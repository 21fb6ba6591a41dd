"""A gateway that talks nonsense at times: the daemon lives on, and what it does not understand it does not act upon."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from longwatch.domain import messages as m
from tests.daemon.bench import DAY, SYMBOLS, Scene, on_bench, plan
from tests.gateway.junk import Nonsense

DAYS = 40 if os.environ.get("HYPOTHESIS_PROFILE") == "proof" else 4


@pytest.mark.parametrize("seed", range(2))
def test_a_daemon_lives_through_nonsense(
    seed: int, tmp_path: Path, caplog: pytest.LogCaptureFixture, counted: Callable[[str, int], None]
) -> None:
    """Nothing is raised anywhere; afterwards each instrument agrees with the gateway's books, or is quarantined."""
    nonsense = Nonsense(f"daemon|{seed}", share=0.02)
    raised: list[dict[str, Any]] = []

    async def story(scene: Scene) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
        network, settings = scene.bench.network, scene.bench.loaded.settings.ib
        network.stop_listening(settings.host, settings.port)
        network.listen(settings.host, settings.port, lambda: nonsense.session(scene.gateway.desk))
        scene.start()
        nonsense.is_on = True
        await asyncio.sleep(DAYS * DAY)
        nonsense.is_on = False
        await asyncio.sleep(2 * DAY)
        assert scene.events(m.MessageUndecodable)
        assert scene.daemon.engine.undigested == 0
        assert scene.task is not None and not scene.task.done()
        assert scene.state.link is m.Link.READY
        apart = {symbol for symbol in SYMBOLS if scene.held(symbol) != scene.truly_held(symbol)}
        assert apart <= {symbol for symbol in SYMBOLS if SYMBOLS[symbol] in scene.state.quarantines}

    weights = [{"AAPL": 0.4 - day % 2 * 0.2, "IBM": 0.2 + day % 2 * 0.2} for day in range(DAYS + 2)]
    with caplog.at_level(logging.ERROR, logger="asyncio"):
        on_bench(story, tmp_path, {"strategies": [plan(*weights)]})
    assert raised == []
    assert [record for record in caplog.records if record.exc_info] == []
    counted("messages of nonsense to a whole daemon", nonsense.spoilt)
    assert nonsense.spoilt > 10
