"""What the daemon never makes up: shares in the account that may be somebody else's."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

from longwatch.domain.orders import OrderState
from tests.daemon.bench import MINUTE, SYMBOLS, Scene, on_bench, plan


def _hides_the_owners_executions(name: str, values: dict[str, object]) -> bool:
    """As a client that is not the master sees it."""
    return name != "execDetails" or str(values["orderRef"]).startswith("lw:")


def test_shares_bought_by_hand_are_not_the_fill_of_an_order_that_was_lost(tmp_path: Path) -> None:
    """An order goes with its connection; the owner buys 30 of it, untold: book empty, quarantined, order unknown."""

    async def story(scene: Scene) -> None:
        scene.gateway.faults.own_messages = _hides_the_owners_executions
        scene.start()
        await scene.till(14, 34, 50)
        scene.gateway.faults.cut_at_order = "unread"
        await scene.until(lambda: any(o.state is OrderState.UNKNOWN for o in scene.orders()), what="an unknown order")
        scene.gateway.faults.cut_at_order = ""
        await scene.until(lambda: not scene.reasons(), what="readiness")
        scene.gateway.trade_by_hand("AAPL", "BUY", Decimal(30))
        await asyncio.sleep(20 * MINUTE)
        for _ in range(2):
            await scene.ask("reconcile")
            await asyncio.sleep(MINUTE)
        (order,) = scene.orders()
        assert (order.state, order.filled) == (OrderState.UNKNOWN, 0)
        assert (scene.held("AAPL"), scene.truly_held("AAPL")) == (0, 30)
        assert list(scene.state.quarantines) == [SYMBOLS["AAPL"]]

    on_bench(story, tmp_path, {"strategies": [plan({"AAPL": 0.4})]})
