"""Scenario A10 for stops: one behind a window, of before order ids began again, is never doubled, nor given up."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from longwatch.domain import messages as m
from longwatch.domain.messages import Link
from longwatch.domain.orders import OrderState, Purpose
from longwatch.gateway.exchange.orders import Order as Resting
from tests.daemon.bench import HOUR, MINUTE, Scene, on_bench, plan

HELD = {"strategies": [plan({"IBM": 0.4})], "stops": {"fraction": 0.5}}


def resting(scene: Scene) -> list[Resting]:
    """The stops in the gateway's own books."""
    return [one for one in scene.gateway.desk.exchange.book.live() if one.ticket.order_type == "STP"]


def stops(scene: Scene) -> list[OrderState]:
    """What the daemon makes of its stops, oldest first."""
    return [one.state for one in scene.orders() if one.purpose is Purpose.STOP]


def covered(scene: Scene) -> bool:
    """Whether one stop rests at the broker for all that is truly held, and the daemon knows it."""
    (held,) = {one.remaining for one in resting(scene)} or {Decimal(0)}
    return held == scene.truly_held("IBM") > 0 and stops(scene)[-1:] == [OrderState.WORKING]


async def unanswered(scene: Scene, *, fault: str, asks: bool) -> None:
    """The entry fills, and the stop that follows it waits behind a window, or never arrives; then the link is lost.

    Where the daemon still `asks` what became of it, that cancel follows the stop to wherever it is.
    """
    desk = scene.gateway.desk
    scene.start()
    await scene.until(lambda: [*desk.exchange.book.live()], what="the entry at the broker")
    desk.faults.dialog, desk.faults.lose_orders = fault == "window", int(fault == "lost")
    sent = OrderState.UNKNOWN if asks else OrderState.SENDING
    await scene.until(lambda: stops(scene) == [sent] and _is_handed(scene), what="the stop on its way")
    await asyncio.sleep(1)
    assert stops(scene) == [sent]
    desk.faults.low_ids = True
    await again(scene, "cut")


def _is_handed(scene: Scene) -> bool:
    return all(one.handed for one in scene.orders())


async def again(scene: Scene, meanwhile: str) -> None:
    """The link is lost, and order ids begin again once it is back."""
    epoch = scene.state.epoch
    if meanwhile == "killed":
        await scene.kill()
        scene.start()
    else:
        for connection in list(scene.gateway.desk.connections):
            connection.abort()
    await scene.until(lambda: scene.state.epoch > epoch and scene.state.link is Link.READY, what="the link")


@pytest.mark.parametrize("meanwhile", ["cut", "killed"])
@pytest.mark.parametrize("asks", [True, False])
def test_A10_scenario_a_stop_behind_a_dialog_is_not_doubled(asks: bool, meanwhile: str, tmp_path: Path) -> None:
    """No list shows it, its number names nothing any more: still nothing is sent beside it until the window closes.

    Until then the holding is told to be bare, and no order of another instrument follows it into the window.
    """

    async def story(scene: Scene) -> None:
        await unanswered(scene, fault="window", asks=asks)
        for _ in range(3):
            await asyncio.sleep(15 * MINUTE)
            assert stops(scene) == [OrderState.UNKNOWN]
            assert any(reason.startswith("orders: ") for reason in scene.reasons()), scene.reasons()
            await again(scene, meanwhile)
        told = [one.text for _, what in scene.steps for one in what.effects if isinstance(one, m.RaiseAlert)]
        assert any("have had no stop at the broker" in text for text in told)
        assert not any("on order id" in text for text in told), told
        scene.gateway.desk.close_dialog()
        for _ in range(3 * int(MINUTE)):
            await asyncio.sleep(1)
            assert len(resting(scene)) <= 1
        assert covered(scene) and scene.reasons() == []
        assert stops(scene) == ([OrderState.CANCELLED, OrderState.WORKING] if asks else [OrderState.WORKING])
        await asyncio.sleep(2 * HOUR)
        assert covered(scene) and len(resting(scene)) == 1

    on_bench(story, tmp_path, HELD)


@pytest.mark.parametrize("fault", ["lost", "window"])
def test_A10_scenario_a_stop_that_is_truly_gone_is_placed_again(fault: str, tmp_path: Path) -> None:
    """On its way, or with a gateway that is started anew: that one answers a question, and no list shows the stop."""

    async def story(scene: Scene) -> None:
        await unanswered(scene, fault=fault, asks=False)
        if fault == "window":
            await asyncio.sleep(2 * HOUR)
            await scene.gateway.refuse_connections()
            scene.gateway.desk.restarted()
            await scene.gateway.accept_connections()
            await scene.until(lambda: scene.state.link is Link.READY, what="the link")
        await asyncio.sleep(4 * MINUTE)
        assert stops(scene) == [OrderState.ABSENT, OrderState.WORKING], scene.orders()
        assert covered(scene) and len(resting(scene)) == 1
        (gone,) = [one for one in scene.orders() if one.state is OrderState.ABSENT]
        assert "no cancel reaches it" in gone.text and "the gateway may have been restarted" in gone.text

    on_bench(story, tmp_path, HELD)
