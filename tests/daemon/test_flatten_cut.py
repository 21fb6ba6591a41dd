"""A flatten cut down at each of its commits in turn: the next daemon goes on, and the gateway's books end flat."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from longwatch.domain.messages import Verb
from longwatch.domain.orders import OrderType
from longwatch.journal.records import Record
from longwatch.journal.sqlite import InlineJournal
from longwatch.simulation.mortal import MortalStore, Side
from tests.daemon.bench import HOUR, SYMBOLS, Scene, plan
from tests.scenarios.witness import Witness, scenario

LEAST_COMMITS = 15
BY_HAND = Decimal(100)
"""Shares of AAPL that are the owner's."""


class Axe:
    """Ends the daemon at one of its commits, on one side of it, as SIGKILL would."""

    def __init__(self, scene: Scene, side: Side) -> None:
        self._scene = scene
        self._side = side
        self._left: int | None = None
        self._store: MortalStore | None = None
        self.fallen = asyncio.Event()
        scene.bench.journal_of = self._journal

    def arm(self, skip: int) -> None:
        self._left = skip
        self.fallen.clear()

    def disarm(self) -> None:
        self._left = None

    def _journal(self, *given: Any, **options: Any) -> InlineJournal:
        return InlineJournal.open(*given, **options, store_of=self._store_of)

    def _store_of(self, *given: Any) -> MortalStore:
        self._store = MortalStore(*given, executioner=self)
        return self._store

    def committing(self, records: Sequence[Record]) -> Side | None:
        if self._left is None or not records:
            return None
        self._left -= 1
        return self._side if self._left < 0 else None

    def part(self) -> float:
        return 0.5

    def execute(self) -> None:
        assert self._store is not None
        self.disarm()
        self._store.sever()
        for link in self._scene.bench.network.links:
            link.client.abort()
        self.fallen.set()


def lowest(witness: Witness, symbol: str) -> Decimal:
    """The fewest shares that the account ever held, by the executions in the gateway's books."""
    held = least = Decimal(0)
    for entry in witness.entries("execution"):
        if entry["symbol"] == symbol:
            held += Decimal(entry["quantity"]) * (1 if entry["side"] == "BOT" else -1)
            least = min(least, held)
    return least


def is_flat(scene: Scene) -> bool:
    return not scene.state.live and not any(scene.held(symbol) for symbol in SYMBOLS)


async def invested(scene: Scene) -> None:
    """Both bought, and each protected by its stop at the broker."""
    await scene.ask("resume", "all")
    await scene.until(lambda: not scene.failing(), seconds=HOUR, what="readiness")
    await scene.run_job("rebalance")

    def protected() -> bool:
        live = list(scene.state.live_orders())
        known = {order.symbol for order in live if order.order_type is OrderType.STOP and order.perm_ids}
        return known == {"AAPL", "IBM"} and len(live) == len(known)

    await scene.until(protected, seconds=HOUR, what="the stops")


async def again(scene: Scene) -> None:
    """The process is gone; the next one begins."""
    assert scene.task is not None
    scene.task.cancel()
    with contextlib.suppress(BaseException):
        await scene.task
    scene.task = None
    await asyncio.sleep(1)
    runs = scene.state.runs
    scene.start()
    await scene.until(lambda: scene.state.runs > runs, what="the next daemon")


@pytest.mark.parametrize(("side", "pace"), [(Side.AFTER, 1), (Side.TORN, 3)], ids=["durable", "torn"])
def test_a_flatten_cut_at_each_of_its_commits_ends_flat(side: Side, pace: int, tmp_path: Path) -> None:
    """Ours is closed, what is the owner's stays, nothing is sent twice, and no position is ever turned round.

    Torn halfway, each third commit is enough: what it was about is then undone, as if it had not been.
    """
    cuts = 0

    async def story(scene: Scene, witness: Witness) -> None:
        nonlocal cuts
        axe = Axe(scene, side)
        await scene.till(14, 31)
        scene.gateway.trade_by_hand("AAPL", "BUY", BY_HAND)
        await asyncio.sleep(10)
        scene.start()
        await scene.until(lambda: scene.state.equity and not scene.failing(), what="readiness")
        is_cut = True
        while is_cut:
            await invested(scene)
            axe.arm(pace * cuts)
            asked = asyncio.create_task(scene.ask("flatten", reason="enough"))
            over = asyncio.create_task(_flat_or_fallen(scene, axe))
            await over
            asked.cancel()
            is_cut = axe.fallen.is_set()
            axe.disarm()
            if is_cut:
                cuts += 1
                await again(scene)
                if not scene.state.is_on(Verb.FLATTEN):
                    await scene.ask("flatten", reason="said again: it had not been written down")
                await scene.until(lambda: is_flat(scene), seconds=2 * HOUR, what=f"a flat book after cut {cuts}")
            assert (scene.truly_held("AAPL"), scene.truly_held("IBM")) == (BY_HAND, 0), cuts
            assert not witness.live(), cuts
            assert not scene.state.quarantines, cuts
        assert lowest(witness, "AAPL") >= 0 and lowest(witness, "IBM") >= 0
        refs = [entry["order_ref"] for entry in witness.taken()]
        assert len(refs) == len(set(refs))

    trading = {
        "strategies": [plan({"AAPL": 0.005, "IBM": 0.005})],
        "stops": {"fraction": 0.08},
        "holds": {"daily_loss": None},
        "schedule": {"reconcile": "every 2 min during the session", "rebalance": "20 minutes before the close"},
    }
    scenario(story, tmp_path, trading)
    assert cuts * pace >= LEAST_COMMITS


async def _flat_or_fallen(scene: Scene, axe: Axe) -> None:
    while not axe.fallen.is_set() and not (scene.state.is_on(Verb.FLATTEN) and is_flat(scene)):
        await asyncio.sleep(0.5)
