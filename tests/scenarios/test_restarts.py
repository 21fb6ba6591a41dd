"""Scenarios A06, A07, A09, A10 and A20: daemon and gateway end and begin again, and orders wait behind a window."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from longwatch.domain.messages import Link
from longwatch.domain.orders import OrderState
from longwatch.gateway.conduct import Conduct
from longwatch.journal.reading import read_records
from tests.daemon.bench import HOUR, MINUTE, Scene, plan
from tests.scenarios.test_account import ticket
from tests.scenarios.test_endings import without_money
from tests.scenarios.witness import RESTING, Witness, only, scenario, states

RESTARTS = 100
WHAT_MATTERS = frozenset(
    {
        *("OrderIntended", "OrderSending", "OrderIdentified", "OrderCancelAsked", "FillBooked", "CommissionBooked"),
        *("AccountPositionSet", "OutsideSet", "HoldingAdopted", "ForeignOrderSet", "QuarantineSet", "BreakerSet"),
        *("RebalanceDecided", "TradeRefused", "TargetsSet"),
    }
)
"""Facts on orders, fills and positions: a restart has none of them to add."""


async def again(scene: Scene, *, killed: bool) -> None:
    """End the daemon, one way or the other, and wait until the next one is ready."""
    epoch = scene.state.epoch
    await (scene.kill() if killed else scene.stop())
    scene.start()
    await later(scene, epoch)
    await scene.settled()


async def later(scene: Scene, epoch: int) -> None:
    """Wait for a link later than connection number `epoch`."""
    await scene.until(lambda: scene.state.epoch > epoch and scene.state.link is Link.READY, what="the link")


def test_A06_scenario_a_hundred_restarts(tmp_path: Path) -> None:
    """Fifty while orders work and fifty on what they came to, every other one by SIGKILL: nothing is added or lost."""

    async def story(scene: Scene, witness: Witness) -> None:
        def books() -> tuple[object, ...]:
            records = [one for one in read_records(scene.bench.journal) if one.kind in WHAT_MATTERS]
            state = scene.state
            told = (state.orders, state.fills, state.book, state.account_positions, state.outside)
            return [(one.kind, one.payload) for one in records], told, scene.bench.ledger.read_text()

        scene.start()
        for moment in ((15, 0), (21, 30)):
            await scene.till(*moment)
            before = books()
            for number in range(RESTARTS // 2):
                await again(scene, killed=bool(number % 2))
                if number % 10 == 0:
                    assert books() == before
            assert books() == before
            witness.agree()
        assert scene.state.runs == 1 + RESTARTS
        assert len(witness.placed()) == 2 and set(states(scene).values()) == {OrderState.FILLED}

    scenario(story, tmp_path, {"execution": RESTING})


@pytest.mark.parametrize("what", ["cancelled", "modified", "withdrawn"])
def test_A07_scenario_orders_of_the_last_run_can_be_managed(what: str, tmp_path: Path) -> None:
    """After SIGKILL every working order is known by its ids, can be cancelled and modified, and follows new targets."""

    async def story(scene: Scene, witness: Witness) -> None:
        scene.start()
        await scene.till(15)
        working = {order.ref: (order.order_id, order.perm_ids) for order in scene.orders()}
        await again(scene, killed=True)
        assert {order.ref: (order.order_id, order.perm_ids) for order in scene.state.live_orders()} == working
        assert set(states(scene).values()) == {OrderState.WORKING}
        if what == "cancelled":
            await scene.ask("cancel", "all")
            await scene.until(lambda: not scene.state.live, what="the cancels")
            assert not witness.live() and len(witness.placed()) == 2
        elif what == "modified":
            await scene.ask("modify", "2 1000 - -")
            await scene.until(lambda: scene.state.orders[2].quantity == 1000, what="the broker's word")
            assert [entry["quantity"] for entry in witness.entries("modified")] == ["1000"]
            await scene.till(22)
            assert scene.truly_held("IBM") == 1000
        else:
            await scene.run_job("signals")
            await scene.run_job("rebalance")
            await scene.until(lambda: scene.state.orders[2].state is OrderState.CANCELLED, what="the cancel")
            await asyncio.sleep(MINUTE)
            assert {entry["symbol"] for entry in witness.live()} == {"AAPL"}
            assert len(witness.live()) == 1 and len(witness.cancels()) == 1
        ours = {order_id for order_id, _ in working.values()}
        assert set(witness.cancels()) <= ours
        assert {seen.values["orderId"] for seen in witness.placed()} == ours
        await scene.till(22)
        witness.agree()

    turning = plan({"AAPL": 0.3, "IBM": 0.3}, {"AAPL": 0.3, "IBM": 0.0})
    scenario(story, tmp_path, {"execution": RESTING, "strategies": [turning]})


@pytest.mark.parametrize("part", ["unread", "taken"])
def test_A09_scenario_an_order_in_the_second_of_the_gateways_restart(part: str, tmp_path: Path) -> None:
    """The gateway ends as the order arrives and comes back without a memory: unknown, and nothing in its place.

    Its end comes from the broker: the session is over and positions agree, or the position shows what it filled.
    """

    async def story(scene: Scene, witness: Witness) -> None:
        gateway = scene.gateway
        gateway.faults.cut_at_order = part  # type: ignore[assignment]
        scene.start()
        await scene.until(lambda: scene.state.link is not Link.READY and scene.orders(), what="the end of the gateway")
        await gateway.refuse_connections()
        await asyncio.sleep(3 * MINUTE)
        assert states(scene)["IBM"] is OrderState.UNKNOWN
        gateway.desk.restarted()
        await gateway.accept_connections()
        await scene.until(lambda: scene.state.link is Link.READY, what="the link")
        for _ in range(10):
            await scene.run_job("rebalance")
            await asyncio.sleep(5 * MINUTE)
            if only(scene.orders(), "IBM").is_live:
                assert len(witness.placed("IBM")) == 1
        assert scene.truly_held("IBM") in (0, only(scene.orders(), "IBM").quantity)
        if part == "unread":
            assert states(scene)["IBM"] is OrderState.UNKNOWN and scene.truly_held("IBM") == 0
            await scene.till(22)
            assert only(scene.orders(), "IBM").state is OrderState.EXPIRED
            await scene.till(16)
            assert scene.truly_held("IBM") == scene.held("IBM") > 0
        else:
            order = only(scene.orders(), "IBM")
            assert order.state in (OrderState.FILLED, OrderState.INFERRED)
            assert order.filled == scene.held("IBM") == scene.truly_held("IBM") > 0
        witness.never_twice()
        assert len(witness.placed("IBM")) == (2 if part == "unread" else 1)

    scenario(story, tmp_path, {"strategies": [plan({"IBM": 0.05})]})


def test_A10_scenario_orders_held_behind_a_dialog(tmp_path: Path) -> None:
    """Not a word on the first orders: an alert within the configured seconds, none in the account until they end.

    Nor after a lost link and a restart of the daemon, while the window is open.
    """

    async def story(scene: Scene, witness: Witness) -> None:
        scene.gateway.faults.dialog = True
        scene.start()
        await scene.until(lambda: len(witness.placed()) == 2, what="the orders")
        sent = scene.bench.clock.market()
        await scene.until(scene.alerts, what="the alert")
        waited = (scene.bench.clock.market() - sent).total_seconds()
        assert waited <= scene.state.settings.acknowledge_seconds + 1
        assert any("is a window open" in text for text in scene.alerts()), scene.alerts()
        await scene.run_job("signals")
        for _ in range(4):
            scene.daemon.runner.run_now("rebalance", "a test")
            await asyncio.sleep(11 * MINUTE)
            assert len(witness.placed()) == 2
            assert any(reason.startswith("orders: ") for reason in scene.reasons()), scene.reasons()
        for meanwhile in ("cut", "restart"):
            epoch = scene.state.epoch
            if meanwhile == "cut":
                for connection in list(scene.gateway.desk.connections):
                    connection.abort()
            else:
                await scene.kill()
                scene.start()
            await later(scene, epoch)
            await asyncio.sleep(3 * MINUTE)
            scene.daemon.runner.run_now("rebalance", "a test")
            await asyncio.sleep(2 * MINUTE)
            assert [reason for reason in scene.reasons() if reason.startswith("orders: ")], meanwhile
            assert len(witness.placed()) == 2, meanwhile
        assert not scene.gateway.ledger.executions and not witness.taken()
        scene.gateway.desk.close_dialog()
        await scene.until(lambda: not scene.state.live, what="the outcome of both")
        await scene.until(lambda: scene.reasons() == [], what="readiness")
        await scene.run_job("rebalance")
        assert len(witness.placed("GOOG")) == 1
        await asyncio.sleep(MINUTE)
        witness.never_twice()
        witness.agree()

    both = plan({"AAPL": 0.05, "IBM": 0.05}, {"AAPL": 0.05, "IBM": 0.05, "GOOG": 0.05})
    scenario(story, tmp_path, {"strategies": [both]})


def test_A10_scenario_a_dialog_that_stays_open_over_night(tmp_path: Path) -> None:
    """Orders for the day wait behind it past their session, and would be the next one's: they are not taken for ended.

    Nothing follows them on the next day; once the window is closed our cancels of them come right behind.
    """

    async def story(scene: Scene, witness: Witness) -> None:
        scene.gateway.faults.dialog = True
        scene.start()
        await scene.until(lambda: len(witness.placed()) == 2, what="the orders")
        await scene.till(21, 10)
        assert set(states(scene).values()) == {OrderState.UNKNOWN}
        await scene.till(16)
        assert len(witness.placed()) == 2 and set(states(scene).values()) == {OrderState.UNKNOWN}
        assert [reason for reason in scene.reasons() if reason.startswith("orders: ")]
        scene.gateway.desk.close_dialog()
        await scene.until(lambda: not scene.state.live, what="the outcome of both")
        await scene.until(lambda: scene.reasons() == [], what="readiness")
        await scene.till(22)
        witness.never_twice()
        witness.agree()

    scenario(story, tmp_path, {"strategies": [plan({"AAPL": 0.05, "IBM": 0.05})]})


def test_A10_scenario_one_lost_order_is_no_dialog(tmp_path: Path) -> None:
    """The gateway answers the cancel of an order it never saw: others are sent again, that instrument waits."""

    async def story(scene: Scene, witness: Witness) -> None:
        scene.gateway.faults.lose_orders = 1
        scene.start()
        await scene.until(lambda: states(scene).get("AAPL") is OrderState.UNKNOWN, what="the deadline")
        await scene.until(lambda: 10147 in witness.codes(), what="the answer to the cancel")
        await scene.run_job("signals")
        await scene.run_job("rebalance")
        assert len(witness.placed("GOOG")) == 1 and len(witness.placed("AAPL")) == 1
        lost = next(order for order in scene.orders() if order.symbol == "AAPL")
        await scene.until(
            lambda: scene.state.orders[lost.intent].state is not OrderState.UNKNOWN, seconds=2 * HOUR, what="the proofs"
        )
        assert scene.state.orders[lost.intent].state is OrderState.ABSENT and not scene.truly_held("AAPL")
        await scene.run_job("rebalance")
        await scene.until(lambda: scene.held("AAPL"), seconds=HOUR, what="the order that is then decided on")
        assert len(witness.placed("AAPL")) == 2 and scene.truly_held("AAPL") == scene.held("AAPL")

    both = plan({"AAPL": 0.05, "IBM": 0.05}, {"AAPL": 0.05, "IBM": 0.05, "GOOG": 0.05})
    scenario(story, tmp_path, {"strategies": [both], "execution": {"absence_round_seconds": 600.0}})


@pytest.mark.parametrize("way", ["nextValidId is 1", "ids begin again"])
def test_A20_scenario_order_ids_grow(way: str, tmp_path: Path) -> None:
    """Rejected orders, restarts of daemon and gateway: no id is used twice, no 103 is heard, every order arrives.

    Orders of other programs with high ids, one under our client id, were there before: ours go on above them.
    """

    async def story(scene: Scene, witness: Witness) -> None:
        gateway = scene.gateway
        gateway.faults.low_ids = way == "nextValidId is 1"
        await scene.till(14, 29)
        client_id = scene.bench.loaded.settings.ib.client_id
        before = ticket(scene, order_id=20_000, symbol="GOOG", order_ref="", client_id=client_id, shares=1)
        gateway.desk.exchange.place(before)
        others = ticket(scene, order_id=1_700_000_000, symbol="GOOG", order_ref="", shares=1)
        gateway.desk.exchange.place(others)
        scene.start()
        await scene.till(14, 32)
        await without_money(scene)
        await scene.until(lambda: states(scene).get("IBM") is OrderState.REJECTED, what="the rejection")
        await again(scene, killed=True)
        await scene.run_job("rebalance")
        await asyncio.sleep(MINUTE)
        await gateway.refuse_connections()
        gateway.desk.restarted()
        await gateway.accept_connections()
        await scene.until(lambda: scene.state.link is Link.READY, what="the link")
        await again(scene, killed=False)
        await scene.run_job("rebalance")
        await asyncio.sleep(MINUTE)
        ids = [seen.values["orderId"] for seen in witness.placed()]
        assert len(ids) == 3 and all(one < other for one, other in pairwise(ids)), ids
        assert 103 not in witness.codes()
        assert [entry["order_id"] for entry in witness.taken()] == ids
        assert min(ids) > others.order_id

    scenario(
        story, tmp_path, {"strategies": [plan({"IBM": 0.4})]}, conduct=Conduct(ids_restart=way == "ids begin again")
    )
