"""Scenarios B27 to B37: data, links and answers that stop, come late or are something else."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from longwatch.domain import messages as m
from longwatch.domain.messages import Link
from longwatch.domain.orders import OrderState
from longwatch.gateway.requests.quote_requests import COMPETING
from tests.daemon.bench import HOUR, MINUTE, Scene, plan
from tests.scenarios.test_endings import without_money
from tests.scenarios.witness import RESTING, Witness, moves, only, scenario, states

GROWING = plan({"AAPL": 0.05, "IBM": 0.05}, {"AAPL": 0.1, "IBM": 0.1})
TICKS = {"tick", "tickPrice", "tickSize"}


def asked_for(scene: Scene) -> list[str]:
    """Every request that comes to the gateway from now on, by name."""
    names: list[str] = []
    scene.gateway.desk.listeners.append(names.append)
    return names


async def wanting_more(scene: Scene) -> None:
    """The first targets are bought, and the second ones computed: a rebalance would trade."""
    scene.start()
    await scene.traded()
    await scene.run_job("signals")
    await asyncio.sleep(MINUTE)


def test_B27_scenario_quotes_are_asked_for_after_each_reconnect_and_old_ones_are_not_traded_on(tmp_path: Path) -> None:
    """Ten disconnects, ten subscriptions of each symbol; a subscription that then stays silent stops trading alone."""

    async def story(scene: Scene, witness: Witness) -> None:
        await wanting_more(scene)
        names = asked_for(scene)
        for number in range(1, 11):
            for session in list(scene.gateway.desk.connections):
                session.abort()
            await scene.until(lambda: scene.state.link is not Link.READY, what="the end of the link")
            await scene.until(lambda: scene.state.link is Link.READY, what="the link")
            await asyncio.sleep(MINUTE)
            assert names.count("reqMktData") == 2 * number
        scene.gateway.faults.withhold = TICKS
        await asyncio.sleep(2 * MINUTE)
        await scene.run_job("rebalance")
        assert set(scene.refused().values()) <= {"quote", "quote_age"} and len(scene.refused()) == 2
        assert len(witness.placed()) == 2
        scene.gateway.faults.withhold = set()
        await scene.run_job("rebalance")
        assert len(witness.placed()) == 4

    scenario(story, tmp_path, {"strategies": [GROWING]})


def test_B28_scenario_a_farm_gone_for_three_seconds(tmp_path: Path) -> None:
    """2103, then 2104: the gate shuts and opens, the connection stays, and the next minute trades on fresh quotes."""

    async def story(scene: Scene, witness: Witness) -> None:
        await wanting_more(scene)
        scene.gateway.desk.break_farm("usfarm")
        await asyncio.sleep(3)
        assert scene.reasons() == ["farms: usfarm broken"]
        scene.gateway.desk.mend_farm("usfarm")
        await asyncio.sleep(MINUTE)
        assert scene.reasons() == []
        await scene.run_job("rebalance")
        assert len(witness.placed()) == 4
        assert scene.state.epoch == 1

    scenario(story, tmp_path, {"strategies": [GROWING]})


def test_B29_scenario_a_backend_that_stays_away_is_told_in_time(tmp_path: Path) -> None:
    """1100 without an end, from the night on: an alert after the configured minutes, and again within the hour."""

    async def story(scene: Scene, witness: Witness) -> None:
        scene.start()
        await scene.traded()
        await scene.till(4, 45)
        gone = scene.bench.clock.market()
        scene.gateway.desk.lose_backend()

        def told() -> list[str]:
            return [text for text in scene.alerts() if "has had no link to IB" in text]

        await scene.until(told, seconds=HOUR, what="the alert")
        assert (scene.bench.clock.market() - gone).total_seconds() < 10 * MINUTE + 5
        raised = [what for _, what in scene.steps if any(_is_down(effect) for effect in what.effects)]
        await asyncio.sleep(HOUR)
        more = [what for _, what in scene.steps if any(_is_down(effect) for effect in what.effects)]
        assert len(raised) == 1 and len(more) == 2
        assert any(reason.startswith("backend: ") for reason in scene.reasons())

    scenario(story, tmp_path, {"ib": {"backend_alert_minutes": 10}})


def _is_down(effect: m.Effect) -> bool:
    return isinstance(effect, m.RaiseAlert) and effect.key == "backend_down" and effect.severity == "critical"


def test_B30_scenario_data_that_pause_after_the_nightly_reset(tmp_path: Path) -> None:
    """1102 says that data go on, and none come: they are asked for anew, and nothing is traded until they are there."""

    async def story(scene: Scene, witness: Witness) -> None:
        await wanting_more(scene)
        scene.gateway.desk.lose_backend()
        await asyncio.sleep(10 * MINUTE)
        scene.gateway.faults.withhold = TICKS
        scene.gateway.desk.restore_backend(data_lost=False)
        names = asked_for(scene)
        await scene.until(lambda: not scene.reasons(), what="an open gate")
        await asyncio.sleep(2 * MINUTE)
        assert names.count("reqMktData") == 2
        await scene.run_job("rebalance")
        assert scene.refused() == {"AAPL": "quote", "IBM": "quote"}
        assert len(witness.placed()) == 2
        scene.gateway.faults.withhold = set()
        await scene.run_job("rebalance")
        assert len(witness.placed()) == 4

    scenario(story, tmp_path, {"strategies": [GROWING]})


@pytest.mark.parametrize("lost", [True, False], ids=["1101", "1102"])
def test_B31_scenario_subscriptions_are_renewed_on_1101_alone(lost: bool, tmp_path: Path) -> None:
    """Data lost: every symbol is asked for again, and trades; data kept: nothing is."""

    async def story(scene: Scene, witness: Witness) -> None:
        await wanting_more(scene)
        names = asked_for(scene)
        scene.gateway.desk.lose_backend()
        await asyncio.sleep(5)
        scene.gateway.desk.restore_backend(data_lost=lost)
        await asyncio.sleep(1)
        assert names.count("reqMktData") == (2 if lost else 0)
        await asyncio.sleep(MINUTE)
        await scene.run_job("rebalance")
        assert len(witness.placed()) == 4

    scenario(story, tmp_path, {"strategies": [GROWING]})


def test_B32_scenario_a_socket_that_dies_without_a_word(tmp_path: Path) -> None:
    """Half-open: the heartbeat finds it within its two settings, and the link is made anew."""

    async def story(scene: Scene, witness: Witness) -> None:
        scene.start()
        await scene.till(14, 50)
        died = scene.bench.clock.market()
        scene.gateway.faults.half_open = True
        await scene.until(lambda: scene.state.link is not Link.READY, seconds=HOUR, what="the end of the link")
        assert (scene.bench.clock.market() - died).total_seconds() <= 30 + 10 + 1
        assert any("half-open" in text for text in scene.alerts()), (scene.alerts(), scene.state.link_reason)
        scene.gateway.faults.half_open = False
        await scene.until(lambda: scene.state.link is Link.READY, seconds=HOUR, what="the link")
        assert scene.state.epoch == 2

    beats = {"heartbeat_seconds": 30, "heartbeat_timeout_seconds": 10}
    scenario(story, tmp_path, {"ib": beats})


def test_B33_scenario_another_session_holds_the_market_data(tmp_path: Path) -> None:
    """10197 ends every quote: a person is told once, no old one is traded on, they are asked for until they come."""

    async def story(scene: Scene, witness: Witness) -> None:
        await wanting_more(scene)
        scene.gateway.faults.competing_session = True
        scene.gateway.desk.feeds.end_quotes(10197, COMPETING)
        await asyncio.sleep(MINUTE)
        heard = [event for event, _ in scene.steps if isinstance(event, m.NoticeSeen) and event.code == 10197]
        assert {event.request for event in heard} == {"market data of AAPL", "market data of IBM"}
        assert len([text for text in scene.alerts() if "holds the market data" in text and "10197" in text]) == 1
        await scene.run_job("rebalance")
        assert scene.refused() == {"AAPL": "quote", "IBM": "quote"}
        assert len(witness.placed()) == 2
        scene.gateway.faults.competing_session = False
        await asyncio.sleep(2 * MINUTE)
        await scene.run_job("rebalance")
        assert len(witness.placed()) == 4

    scenario(story, tmp_path, {"strategies": [GROWING]})


@pytest.mark.parametrize("kind", [2, 3, 4])
def test_B34_scenario_data_that_are_not_live_are_not_taken_for_live(kind: int, tmp_path: Path) -> None:
    """Live data were asked for, and what comes says that it is frozen or delayed: nothing is traded on it."""

    def not_live(name: str, values: dict[str, Any]) -> bool:
        if name == "marketDataType":
            values["marketDataType"] = kind
        return True

    async def story(scene: Scene, witness: Witness) -> None:
        scene.gateway.faults.own_messages = not_live
        scene.start()
        await scene.until(lambda: scene.facts(m.RebalanceDecided), what="the rebalance")
        assert scene.refused() == {"AAPL": "quote_type", "IBM": "quote_type"}
        assert not witness.placed()

    scenario(story, tmp_path)


def test_B35_scenario_orders_are_followed_over_a_reconnect(tmp_path: Path) -> None:
    """What the library knew ends with its connection: orders work on, fill, and are cancelled as before it."""

    async def story(scene: Scene, witness: Witness) -> None:
        scene.start()
        await scene.till(15)
        before = {order.ref: (order.state, order.order_id, order.perm_ids) for order in scene.orders()}
        assert {state for state, _, _ in before.values()} == {OrderState.WORKING}
        for session in list(scene.gateway.desk.connections):
            session.abort()
        await scene.until(lambda: scene.state.link is not Link.READY, what="the end of the link")
        await scene.until(lambda: scene.state.link is Link.READY, what="the link")
        await scene.settled()
        assert {order.ref: (order.state, order.order_id, order.perm_ids) for order in scene.orders()} == before
        await scene.ask("cancel", "IBM")
        await scene.till(22)
        assert states(scene) == {"AAPL": OrderState.FILLED, "IBM": OrderState.CANCELLED}
        assert scene.truly_held("AAPL") == only(scene.orders(), "AAPL").quantity and not scene.truly_held("IBM")
        witness.agree()
        witness.never_twice()

    scenario(story, tmp_path, {"execution": RESTING, "strategies": [plan({"AAPL": 0.3, "IBM": 0.3})]})


@pytest.mark.parametrize("replayed", [True, False], ids=["late", "never"])
def test_B36_scenario_a_commission_late_or_never(replayed: bool, tmp_path: Path) -> None:
    """The fill is booked at once; its commission when it comes, and shown as none as long as it does not."""

    async def story(scene: Scene, witness: Witness) -> None:
        scene.gateway.faults.lose_commissions = 1000
        scene.start()
        await scene.traded()
        assert {order.filled for order in scene.orders()} == {order.quantity for order in scene.orders()}
        assert {order.commission for order in scene.orders()} == {0}
        witness.agree()
        if not replayed:
            scene.gateway.faults.withhold = {"commissionReport"}
        await scene.ask("reconcile")
        await asyncio.sleep(MINUTE)
        known = [order.commission > 0 for order in scene.orders()]
        assert known == [replayed] * 2

    scenario(story, tmp_path, {"strategies": [plan({"AAPL": 0.05, "IBM": 0.05})]})


def test_B37_scenario_a_rejection_without_a_status(tmp_path: Path) -> None:
    """201 alone, no Inactive: the code ends the order, with its reason."""

    def without_status(name: str, values: dict[str, Any]) -> bool:
        return name not in ("openOrder", "orderStatus")

    async def story(scene: Scene, witness: Witness) -> None:
        scene.gateway.faults.own_messages = without_status
        scene.start()
        await scene.till(14, 32)
        await without_money(scene)
        await scene.until(lambda: states(scene).get("IBM") is OrderState.REJECTED, seconds=3 * HOUR, what="the end")
        assert moves(scene, "IBM") == {OrderState.SENDING, OrderState.REJECTED}
        assert only(scene.orders(), "IBM").text.startswith("201 ")

    scenario(story, tmp_path, {"strategies": [plan({"IBM": 0.4})]})
