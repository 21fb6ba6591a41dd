"""One day of a whole daemon at gateways that differ: an order rejected, a trade by hand, and a restart over it all."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from longwatch.domain.orders import OrderState
from longwatch.gateway.conduct import SWITCHES, Conduct, switched
from tests.daemon.bench import HOUR, Scene, on_bench, plan

DAEMON_CLIENT_ID = 1


async def a_day(scene: Scene) -> None:
    """Somebody's resting order binds the margin, so that ours is rejected; somebody trades; both daemons agree."""
    await scene.till(14, 31)
    scene.gateway.trade_by_hand("MSFT", "BUY", Decimal(60_000), limit=Decimal("5.00"))
    await asyncio.sleep(HOUR / 60)
    scene.start()
    await scene.traded()
    states = {order.symbol: order.state for order in scene.orders()}
    assert states == {"AAPL": OrderState.REJECTED}
    assert scene.held("AAPL") == scene.truly_held("AAPL") == 0
    scene.gateway.trade_by_hand("AAPL", "BUY", Decimal(50))
    await asyncio.sleep(HOUR)
    assert scene.held("AAPL") == 0 and scene.truly_held("AAPL") == 50
    scene.gateway.desk.exchange.cancel_all()
    await scene.run_job("rebalance")
    await scene.traded(2)
    bought = scene.held("AAPL")
    assert bought > 0 and scene.truly_held("AAPL") == bought + 50
    await scene.stop()
    scene.gateway.desk.restarted()
    scene.start()
    await scene.until(lambda: not scene.reasons(), what="readiness after the restart")
    assert scene.held("AAPL") == bought
    assert not scene.state.quarantines and not scene.state.live


@pytest.mark.parametrize("name", [None, *SWITCHES])
def test_a_day_ends_the_same_at_either_value_of_every_switch(name: str | None, tmp_path: Path) -> None:
    """Ours is rejected once and bought once, what others bought is theirs, and nothing is left open or in doubt."""
    conduct = Conduct() if name is None else switched(name, master=DAEMON_CLIENT_ID)
    on_bench(a_day, tmp_path, {"strategies": [plan({"AAPL": 0.4}, {"AAPL": 0.4})]}, conduct=conduct)
