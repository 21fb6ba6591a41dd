"""Scenarios A01 to A05, A08, A11 to A15: wrong, doubled and misread orders, each against a whole daemon."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.orders import Order, OrderState
from longwatch.domain.risk.exposure import worst_shares
from longwatch.gateway.conduct import Latencies
from longwatch.simulation.bench import LATENCY_SECONDS
from tests.daemon.bench import HOUR, MINUTE, SYMBOLS, Scene, plan
from tests.scenarios.witness import RESTING, Veil, Witness, only, scenario, states

NOTICES = {
    "10349": (10349, "Order TIF was set to DAY based on order preset."),
    "unknown": (19999, "A code that is in no list."),
    "404": (404, "Order held while securities are located."),
}


@pytest.mark.parametrize("code", NOTICES)
def test_A01_scenario_a_notice_is_no_cancellation(code: str, tmp_path: Path) -> None:
    """Every order is sent a notice while it works: it stays the one live order, and fills once."""

    async def story(scene: Scene, witness: Witness) -> None:
        scene.gateway.faults.notices = (NOTICES[code],)
        scene.start()
        await scene.until(lambda: len(scene.events(m.OrderErrorSeen)) == 2, what="the notices")
        for _ in range(3):
            await scene.run_job("rebalance")
            assert [entry["symbol"] for entry in witness.live()] == ["AAPL", "IBM"]
        assert states(scene) == {"AAPL": OrderState.WORKING, "IBM": OrderState.WORKING}
        await scene.till(21, 10)
        assert [seen.values["symbol"] for seen in witness.placed()] == ["AAPL", "IBM"]
        for order in scene.orders():
            assert scene.truly_held(order.symbol) == order.quantity
        witness.agree()

    scenario(story, tmp_path, {"execution": RESTING})


def test_A02_scenario_two_orders_at_the_broker_for_one_intent(tmp_path: Path) -> None:
    """A second permId under one orderRef: found, both count, both are cancelled, a person is waited for."""

    async def story(scene: Scene, witness: Witness) -> None:
        scene.start()
        await scene.till(15)
        order = only(scene.orders(), "IBM")
        place_beside(scene, order)
        await scene.until(scene.alerts, what="the alert")
        assert any("two orders at the broker for one intent" in text for text in scene.alerts())
        await asyncio.sleep(10)
        assert [entry["symbol"] for entry in witness.live()] == ["AAPL", "IBM", "IBM"]
        assert worst_shares(scene.state, SYMBOLS["IBM"], Side.BUY) == 2 * order.quantity
        await scene.run_job("signals")
        await scene.run_job("rebalance")
        assert scene.refused().get("IBM") == "quarantined"
        await scene.until(lambda: not scene.state.live_in(SYMBOLS["IBM"]), what="the cancels")
        assert not witness.live("IBM") and len(witness.live("AAPL")) == 1
        assert set(witness.cancels()) == {entry["order_id"] for entry in witness.taken("IBM")}
        await scene.till(22)
        assert scene.truly_held("IBM") == 0 and scene.truly_held("AAPL") > 0
        assert len(witness.placed("IBM")) == 1
        witness.agree()

    both = plan({"AAPL": 0.2, "IBM": 0.2}, {"AAPL": 0.2, "IBM": 0.48})
    scenario(story, tmp_path, {"execution": RESTING, "strategies": [both]}, latencies=Latencies(cancel=HOUR))


def place_beside(scene: Scene, order: Order) -> None:
    """The broker's own second order, under the same reference: what a modification in an outage has been seen to do."""
    exchange = scene.gateway.desk.exchange
    (first,) = [one.ticket for one in exchange.book.live() if one.ticket.order_ref == order.ref]
    exchange.place(replace(first, order_id=first.order_id + 500))


@pytest.mark.parametrize("way", ["told while down", "lost while down"])
def test_A03_scenario_fills_while_the_backend_is_down(way: str, tmp_path: Path) -> None:
    """Fills under 1100 are booked once each, heard then or never; nothing is sent before the account is read again."""

    async def story(scene: Scene, witness: Witness) -> None:
        gateway, is_told = scene.gateway, way == "told while down"
        scene.start()
        await scene.until(lambda: set(states(scene).values()) == {OrderState.WORKING}, what="the orders")
        if is_told:
            gateway.desk.announce(1100, "Connectivity between IB and Trader Workstation has been lost.")
        else:
            gateway.desk.lose_backend()
        await asyncio.sleep(MINUTE)
        assert witness.filled("AAPL") and witness.filled("IBM") and not scene.state.backend_up
        assert bool(scene.state.fills) is is_told
        await scene.run_job("signals")
        scene.daemon.runner.run_now("rebalance", "a test")
        await asyncio.sleep(2 * MINUTE)
        assert len(witness.placed()) == 2
        restored = scene.bench.clock.market()
        if is_told:
            gateway.desk.announce(1102, "Connectivity has been restored - data maintained.")
        else:
            gateway.desk.courier.forget()
            gateway.desk.restore_backend()
        # Once the notice is on its way, what the account says takes its time: the gate must not open in between.
        await asyncio.sleep(LATENCY_SECONDS / 2)
        scene.bench.network.links[-1].to_client.stall(15.0)
        await scene.until(lambda: len(witness.placed()) > 2, what="trading")
        for end in ("execDetailsEnd", "positionEnd"):
            read = [seen.at for seen in witness.heard(end) if seen.at > restored]
            assert read and read[0] < witness.placed()[2].at and read[0] - restored < timedelta(seconds=30)
        await scene.until(lambda: not scene.state.live, what="the end of every order")
        witness.agree()
        witness.never_twice()

    both = plan({"AAPL": 0.3, "IBM": 0.3}, {"AAPL": 0.4, "IBM": 0.4})
    patient = {"strategies": [both], "risk": {"max_quote_age_seconds": 3600}}
    scenario(story, tmp_path, patient, latencies=Latencies(fill_least=5.0, fill_most=6.0))


def test_A04_scenario_silence_is_no_rejection(tmp_path: Path) -> None:
    """An order is told of by nobody and fills: unknown until an execution says so, and nothing beside it meanwhile.

    Its instrument alone is held once another connection has shown that the gateway talks about everything else.
    """

    async def story(scene: Scene, witness: Witness) -> None:
        Veil(scene, "IBM")
        scene.start()
        await scene.until(lambda: states(scene).get("IBM") is OrderState.UNKNOWN, what="the deadline")
        assert scene.truly_held("IBM") == only(scene.orders(), "IBM").quantity
        assert any("IBM" in text and "not acknowledged" in text for text in scene.alerts())
        await asyncio.sleep(10 * MINUTE)
        assert states(scene)["IBM"] is OrderState.UNKNOWN
        for connection in list(scene.gateway.desk.connections):
            connection.abort()
        await asyncio.sleep(2 * MINUTE)
        await scene.run_job("signals")
        await scene.run_job("rebalance")
        assert scene.refused().get("IBM") == "unknown"
        assert len(witness.placed("AAPL")) == 2
        assert states(scene)["IBM"] is OrderState.UNKNOWN
        assert len(witness.placed("IBM")) == 1
        scene.gateway.faults.clear()
        await scene.until(lambda: not scene.state.live, what="the outcome")
        assert states(scene)["IBM"] is OrderState.FILLED
        witness.agree()
        await scene.run_job("rebalance")
        assert len(witness.placed("IBM")) == 2

    both = plan({"AAPL": 0.05, "IBM": 0.05}, {"AAPL": 0.1, "IBM": 0.1})
    scenario(story, tmp_path, {"strategies": [both]})


NAMELESS: dict[str, dict[str, Any]] = {
    "by orderRef": {"orderId": 0, "clientId": 0, "permId": 0},
    "by permId": {"orderId": 0, "clientId": 0, "orderRef": ""},
    "by client and order id": {"permId": 0, "orderRef": ""},
}


FILLS = [
    *((way, early) for way in NAMELESS for early in (False, True) if (way, early) != ("by permId", True)),
]
"""By a permId alone, before anybody has told whose it is, nothing can be known: that is the last case left out."""


@pytest.mark.parametrize(("way", "early"), FILLS)
def test_A05_scenario_a_fill_under_other_ids(way: str, early: bool, tmp_path: Path) -> None:
    """An execution that bears only one of the order's names is that order's, also when it is the first thing heard."""

    def renamed(name: str, values: dict[str, Any]) -> bool:
        if name == "execDetails":
            values |= NAMELESS[way]
        return True

    async def story(scene: Scene, witness: Witness) -> None:
        scene.gateway.faults.own_messages = renamed
        if early:
            scene.gateway.faults.reorder_seconds = 3.0
        scene.start()
        await scene.traded()
        await asyncio.sleep(MINUTE)
        assert {fill.intent for fill in scene.state.fills.values()} == {order.intent for order in scene.orders()}
        assert set(states(scene).values()) == {OrderState.FILLED}
        assert not scene.state.outside or not any(shares for _, shares in scene.state.outside.values())
        witness.agree()

    scenario(story, tmp_path)


def test_A05_scenario_a_correction_that_bears_only_its_execution_id(tmp_path: Path) -> None:
    """`.02` after `.01` without reference, permId or order id: it is the order's whose execution it corrects."""

    def renamed(name: str, values: dict[str, Any]) -> bool:
        if name == "execDetails" and values["execId"].endswith(".02"):
            values |= {"orderId": 0, "clientId": 0, "permId": 0, "orderRef": ""}
        return True

    async def story(scene: Scene, witness: Witness) -> None:
        scene.gateway.faults.own_messages = renamed
        scene.gateway.faults.correct_fills = 1
        scene.start()
        await scene.traded()
        await asyncio.sleep(MINUTE)
        assert any(exec_id.endswith(".02") for exec_id in scene.state.fills)
        assert {fill.intent for fill in scene.state.fills.values()} == {order.intent for order in scene.orders()}
        witness.agree()
        assert not scene.state.quarantines

    scenario(story, tmp_path)


async def lost_acknowledgement(scene: Scene) -> None:
    scene.gateway.faults.lose_acknowledgements = 2


async def lost_on_the_way(scene: Scene) -> None:
    scene.gateway.faults.lose_orders = 1


async def cut_before_it_is_read(scene: Scene) -> None:
    scene.gateway.faults.cut_at_order = "unread"


async def cut_once_it_is_taken(scene: Scene) -> None:
    scene.gateway.faults.cut_at_order = "taken"


def killed_as_it_arrives(scene: Scene) -> Any:
    """The process ends the moment the gateway has its first order."""
    arrived = asyncio.Event()
    scene.gateway.desk.listeners.append(lambda name: arrived.set() if name == "placeOrder" else None)

    async def kill() -> None:
        await arrived.wait()
        scene.gateway.desk.listeners.clear()
        await scene.kill()
        await asyncio.sleep(5)
        scene.start()

    return kill()


RETRIES = {
    "the acknowledgement is lost": lost_acknowledgement,
    "the order is lost": lost_on_the_way,
    "the socket goes before it is read": cut_before_it_is_read,
    "the socket goes once it is taken": cut_once_it_is_taken,
    "the process is killed": killed_as_it_arrives,
}


@pytest.mark.parametrize("way", RETRIES)
def test_A08_scenario_nothing_is_sent_twice(way: str, tmp_path: Path) -> None:
    """Acknowledgement, socket or process goes: each intent crosses the wire at most once, one order at most lives."""

    async def story(scene: Scene, witness: Witness) -> None:
        trouble = asyncio.ensure_future(RETRIES[way](scene))
        scene.start()
        await scene.till(14, 36)
        assert trouble.done()
        for _ in range(3):
            await asyncio.sleep(3 * MINUTE)
            await scene.run_job("rebalance")
            for symbol in ("AAPL", "IBM"):
                assert len(witness.live(symbol)) <= 1
        await scene.till(22)
        witness.never_twice()
        for symbol in ("AAPL", "IBM"):
            assert scene.truly_held(symbol) <= max(order.quantity for order in scene.orders() if order.symbol == symbol)
        witness.agree()
        assert not scene.state.live

    scenario(story, tmp_path)
