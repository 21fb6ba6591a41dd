"""A dry run: data and quotes of a real gateway, orders and account of a mock exchange; nothing goes to the account."""

from __future__ import annotations

from pathlib import Path

from longwatch.domain import messages as m
from longwatch.domain.orders import OrderState, OrderType
from tests.daemon.bench import HOUR, Scene, on_bench, plan

DRY = {"executor": "mock", "strategies": [plan({"IBM": 0.3, "AAPL": 0.2})]}


def told(scene: Scene, kind: type) -> list[m.Event]:
    return [event for event, _ in scene.steps if isinstance(event, kind)]


def test_a_dry_run_fills_in_the_journal_and_sends_nothing(tmp_path: Path) -> None:
    """It holds what it traded, at the gateway's quotes; the gateway's own books never saw an order."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        assert scene.held("IBM") > 0 and scene.held("AAPL") > 0
        assert scene.gateway.ledger.executions == []
        assert scene.reasons() == [] and not scene.state.quarantines

    on_bench(story, tmp_path, DRY)


def test_the_mock_account_lives_in_the_journal(tmp_path: Path) -> None:
    """After a restart it holds the same shares and the same cash, and they agree with the book."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        former = scene.state.compared
        await scene.ask("reconcile")
        await scene.until(lambda: scene.state.compared is not former, what="a comparison")
        held, valued = scene.held("IBM"), scene.state.valued
        await scene.stop()
        scene.start()
        await scene.until(lambda: scene.state.compared is not None and scene.state.runs == 2, what="the second start")
        await scene.until(lambda: scene.reasons() == [], what="readiness")
        assert scene.held("IBM") == held
        assert valued is not None and scene.state.valued is not None
        assert scene.state.valued.cash == valued.cash
        assert not scene.state.quarantines

    on_bench(story, tmp_path, DRY)


def test_a_failed_reading_of_the_real_account_tells_nothing_of_it(tmp_path: Path) -> None:
    """The gate shuts, as it would in production; cash and value stay those of the mock account."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.until(lambda: scene.state.compared, what="the first comparison")
        scene.gateway.faults.spoil["position"] = 1
        scene.gateway.faults.withhold.add("positionEnd")
        await scene.ask("reconcile")
        await scene.until(lambda: scene.state.snapshot_failed, what="a failed reading", seconds=HOUR)
        failed = [event for event in told(scene, m.SnapshotSeen) if event.failures]
        assert failed
        assert {(event.net_liquidation, event.cash) for event in failed} == {(None, None)}
        assert any("account" in reason for reason in scene.reasons())

    on_bench(story, tmp_path, DRY)


def test_a_dry_run_holds_the_closing_auction(tmp_path: Path) -> None:
    """What is for the close waits for it, however the quotes move, and fills at the price they then stand at."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.until(lambda: len(scene.orders()) == 2, what="the orders")
        await scene.till(20, 55)
        assert [order.state for order in scene.orders()] == [OrderState.WORKING] * 2
        await scene.till(21, 20)
        assert [order.state for order in scene.orders()] == [OrderState.FILLED] * 2
        assert {order.order_type for order in scene.orders()} == {OrderType.AT_CLOSE}
        assert all(fill.executed_at.hour == 21 for fill in scene.state.fills.values())
        assert scene.held("IBM") > 0 and scene.gateway.ledger.executions == []

    on_bench(story, tmp_path, DRY | {"execution": {"order_type": "MOC"}})
