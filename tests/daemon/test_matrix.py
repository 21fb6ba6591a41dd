"""The verb matrix in a whole daemon, cell by cell: each condition against each action, by the gateway's books."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Awaitable, Callable
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from longwatch.domain.orders import OrderState, OrderType
from longwatch.domain.risk.verbs import ALLOWED, Action, Condition
from longwatch.errors import UsageError
from longwatch.gateway.events import Event
from tests.daemon.bench import HOUR, MINUTE, SYMBOLS, Scene, merged, plan
from tests.scenarios.witness import Witness, scenario

HELD = {"AAPL": 0.3, "GOOG": 0.2}
RESTING = HELD | {"MSFT": 0.1}
WANTED = RESTING | {"AAPL": 0.1, "IBM": 0.2}
LOST = RESTING | {"AAPL": 0.25, "IBM": 0.05}
"""What is held, with what rests until the auction, what is then wanted, and what is lost on its way to that."""

BASE: dict[str, Any] = {
    "schedule": {"rebalance": {"trigger": "5 minutes after the open", "latest_start_minutes": 1.0}},
    "execution": {"absence_round_seconds": 3600.0},
    "sizing": {"no_trade_band_weight": 0.01},
    "stops": {"instruments": {"GOOG": {"fraction": 0.08}}},
}
AUCTION = merged(BASE, {"execution": {"order_type": "MOC"}})
STOPS = merged(AUCTION, {"stops": {"instruments": {"GOOG": {"fraction": 0.05}, "AAPL": {"fraction": 0.08}}}})
LOSS = {"holds": {"daily_loss": 0.0000001, "daily_loss_sets": "reducing"}}


async def _said(scene: Scene, command: str) -> dict[str, Any]:
    assert (await scene.ask(command))["ok"]
    return {}


async def _lost_money(scene: Scene) -> dict[str, Any]:
    """Commissions alone are more than the limit; two readings show it."""
    await scene.reload(merged(AUCTION, LOSS, strategies_of(Condition.REDUCING)))
    for _ in range(2):
        await scene.ask("reconcile")
    assert [hold.rule for hold in scene.state.holds.values()] == ["daily_loss"]
    return LOSS


async def _doubt(scene: Scene) -> dict[str, Any]:
    """A share more of each than anybody explains."""
    for symbol in ("AAPL", "GOOG", "IBM"):
        scene.gateway.events.happen(Event(kind="transfer", symbol=symbol, quantity=Decimal(1), price=Decimal(90)))
    for _ in range(3):
        await scene.ask("reconcile")
        await asyncio.sleep(15)
    assert {SYMBOLS[symbol] for symbol in ("AAPL", "GOOG", "IBM")} == scene.state.quarantines.keys()
    return {}


async def _farm(scene: Scene) -> dict[str, Any]:
    scene.gateway.desk.break_farm("usfarm")
    await scene.until(lambda: scene.failing() == {"farms_are_up"}, what="the broken farm")
    return {}


async def _lost_orders(scene: Scene) -> dict[str, Any]:
    """Both the sale of AAPL and the purchase of IBM went nowhere, and their cancels were answered so."""
    for symbol in ("AAPL", "IBM"):
        assert [o.state for o in scene.state.live_in(SYMBOLS[symbol])] == [OrderState.UNKNOWN]
    await scene.until(lambda: not scene.failing(), seconds=HOUR, what="the answers to the cancels")
    return {}


SET: dict[Condition, Callable[[Scene], Awaitable[dict[str, Any]]]] = {
    Condition.PAUSE: lambda scene: _said(scene, "pause"),
    Condition.REDUCING: _lost_money,
    Condition.HALT: lambda scene: _said(scene, "halt"),
    Condition.FLATTEN: lambda scene: _said(scene, "flatten"),
    Condition.QUARANTINED: _doubt,
    Condition.NOT_READY: _farm,
    Condition.UNKNOWN: _lost_orders,
}


def strategies_of(condition: Condition | None) -> dict[str, Any]:
    before = LOST if condition is Condition.UNKNOWN else RESTING
    return {"strategies": [plan(HELD, before, WANTED)]}


@cache
def let_through(condition: Condition | None) -> dict[str, bool]:
    """What the gateway's books show to have come through while the condition held; None: while nothing did."""
    found: dict[str, bool] = {}

    async def story(scene: Scene, witness: Witness) -> None:
        scene.start()
        await scene.till(15)
        assert {order.order_type for order in scene.state.live_orders()} == {OrderType.STOP}
        await scene.reload(merged(AUCTION, strategies_of(condition)))
        await scene.run_job("signals")
        scene.gateway.faults.lose_orders = 2 if condition is Condition.UNKNOWN else 0
        await scene.run_job("rebalance")
        await scene.until(lambda: witness.live("MSFT"), what="the order that rests")
        await asyncio.sleep(MINUTE)
        await scene.run_job("signals")
        assert [entry["order_type"] for entry in witness.live("GOOG")] == ["STP"]
        before = {kind: len(witness.entries(kind)) for kind in ("order", "modified", "ended")}
        resting = witness.live("MSFT")[0]["perm_id"]
        more = await SET[condition](scene) if condition is not None else {}
        await scene.reload(merged(STOPS, strategies_of(condition), more))
        await asyncio.sleep(5)
        await scene.run_job("rebalance")
        await asyncio.sleep(30)
        with contextlib.suppress(UsageError):
            await scene.ask("cancel", "MSFT")
        await asyncio.sleep(MINUTE)
        found.update(_come(witness, before, resting))

    with tempfile.TemporaryDirectory() as folder:
        scenario(story, Path(folder), BASE | strategies_of(condition))
    return found


def _come(witness: Witness, before: dict[str, int], resting: int) -> dict[str, bool]:
    """Of the lines since then: an entry, a reduction, a new stop, a stop on new terms, the end of what rested."""
    since = {kind: witness.entries(kind)[count:] for kind, count in before.items()}
    stops = {entry["perm_id"] for entry in witness.entries("order") if entry["order_type"] == "STP"}
    orders = [(entry["symbol"], entry["action"], entry["order_type"] == "STP") for entry in since["order"]]
    return {
        "entry": ("IBM", "BUY", False) in orders,
        "reduce": ("AAPL", "SELL", False) in orders,
        "stop": ("AAPL", "SELL", True) in orders,
        "stop on new terms": any(entry["perm_id"] in stops for entry in since["modified"]),
        "cancel": any(entry["perm_id"] == resting for entry in since["ended"]),
    }


CELLS = {
    "entry": Action.ENTRY,
    "reduce": Action.REDUCE,
    "stop": Action.STOP,
    "stop on new terms": Action.STOP,
    "cancel": Action.CANCEL,
}


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("condition", Condition)
def test_a_whole_daemon_lets_through_what_the_matrix_says(condition: Condition, cell: str) -> None:
    """Both what passes and what does not, by the gateway's own ledger."""
    assert let_through(condition)[cell] == (CELLS[cell] in ALLOWED[condition])


def test_while_nothing_holds_it_back_all_of_it_comes_through() -> None:
    """Otherwise the cells that let nothing through would show nothing."""
    assert let_through(None) == dict.fromkeys(CELLS, True)
