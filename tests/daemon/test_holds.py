"""Limits on what has happened, met by a whole daemon on real history: what is held then, and what ends it."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from longwatch.domain import messages as m
from longwatch.domain.orders import OrderState, Purpose
from tests.daemon.bench import DAY, HOUR, MINUTE, SYMBOLS, Scene, market_of, on_bench, plan

HALF = [plan({"AAPL": 0.4}, {"AAPL": 0.4}, name="trend", allocation=0.5)]
"""AAPL falls by 3 % on the first day after the open, 3 January 2007, and rises on the second."""


def held(scene: Scene) -> set[tuple[str, str, str]]:
    return {(hold.name, hold.rule, hold.grade.value) for hold in scene.state.holds.values()}


async def set_by(scene: Scene, rule: str) -> m.HoldSet:
    found = await scene.until(
        lambda: [fact for fact in scene.facts(m.HoldSet) if fact.rule == rule], what=f"the hold of {rule}"
    )
    return found[0]


def test_a_loss_of_the_day_holds_the_account_until_the_next_session(tmp_path: Path) -> None:
    """More is wanted: refused by the limit's name that day, and bought once the next session has begun."""

    async def story(scene: Scene) -> None:
        scene.start()
        hold = await set_by(scene, "daily_loss")
        first = scene.held("AAPL")
        assert first > 0 and hold.observed >= Decimal("0.004")
        await scene.reload({"strategies": [HALF[0] | {"allocation": 1}], "holds": {"daily_loss": 0.004}})
        await scene.run_job("rebalance")
        assert scene.refused() == {"AAPL": "reducing"} and scene.held("AAPL") == first
        assert any("account: daily_loss" in text for text in scene.alerts())
        assert scene.status()["holds"][0]["text"] in scene.alerts()
        (lifted,) = await scene.until(lambda: scene.facts(m.HoldLifted), what="its end")
        assert lifted.because == "the next session has begun" and lifted.at.hour == 14
        await scene.until(lambda: scene.held("AAPL") > first, seconds=HOUR, what="the purchase")
        assert scene.truly_held("AAPL") == scene.held("AAPL")

    on_bench(story, tmp_path, {"strategies": HALF, "holds": {"daily_loss": 0.004}})


def test_a_drawdown_halts_until_a_person_resumes_and_outlives_a_restart(tmp_path: Path) -> None:
    """Nothing leaves, not even what reduces, by the next daemon neither; and its resume is in the journal."""

    async def story(scene: Scene) -> None:
        scene.start()
        await set_by(scene, "drawdown")
        await scene.kill()
        scene.start()
        assert held(scene) == {("DU123456", "drawdown", "halted")}
        placed = len(scene.orders())
        await scene.until(lambda: len(scene.facts(m.RebalanceDecided)) >= 2, what="the next day's rebalance")
        assert scene.refused()["AAPL"] == "halt" and len(scene.orders()) == placed
        assert scene.reasons()[0].startswith("limit: account: drawdown")
        reply = await scene.ask("resume", reason="looked at")
        assert reply["ok"] and held(scene) == set()
        assert scene.facts(m.HoldLifted)[-1].because == "uid 1000: looked at"
        await scene.run_job("rebalance")
        assert len(scene.orders()) == placed + 1
        await asyncio.sleep(HOUR)
        assert not any(hold.since > scene.facts(m.HoldLifted)[-1].at for hold in scene.state.holds.values())

    shrinking = plan({"AAPL": 0.4}, {"AAPL": 0.1})
    on_bench(story, tmp_path, {"strategies": [shrinking], "holds": {"daily_loss": None, "drawdown": 0.004}})


@pytest.mark.parametrize("rule", ["strategy_daily_loss", "strategy_drawdown"])
def test_a_strategy_that_loses_is_held_and_the_other_trades_on(rule: str, tmp_path: Path) -> None:
    """The first one's AAPL is 3 % down at the close: of what both want more of, the other gets its own part."""
    loser = plan({"AAPL": 0.4, "IBM": 0}, {"AAPL": 0.6, "IBM": 0.4}, name="loser", allocation=0.5)
    other = plan({"AAPL": 0, "IBM": 0.1}, {"AAPL": 0.2, "IBM": 0.4}, name="other", allocation=0.5)
    sets = {"holds": {"daily_loss": None, rule: 0.008, f"{rule}_sets": "reducing"}}

    async def story(scene: Scene) -> None:
        scene.start()
        hold = await set_by(scene, rule)
        assert held(scene) == {("loser", rule, "reducing")}
        first = scene.held("AAPL")
        await scene.until(lambda: scene.facts(m.RebalanceDecided)[-1].at > hold.since, what="the next day's decision")
        await scene.until(lambda: not scene.state.live, what="the end of its orders")
        assert held(scene) == {("loser", rule, "reducing")}
        later = [order for order in scene.orders() if order.created_at > hold.since]

        assert {order.symbol for order in later} == {"AAPL", "IBM"}
        assert {part.strategy for order in later for part in order.allocations} == {"other"}
        parts = {name: quantity.quantity for (name, con_id), quantity in scene.state.parts.items() if con_id == 265598}
        assert parts == {"loser": first, "other": scene.held("AAPL") - first}
        assert scene.truly_held("AAPL") == scene.held("AAPL") > first
        reply = await scene.ask("resume", "loser")
        assert reply["ok"] and held(scene) == set()
        await scene.run_job("rebalance")
        await scene.until(lambda: not scene.state.live, what="its purchase")
        assert scene.state.parts[("loser", SYMBOLS["AAPL"])].quantity > first

    on_bench(story, tmp_path, {"strategies": [loser, other], "risk": {"max_weight": 1}} | sets)


def test_an_instrument_that_loses_is_held_and_the_others_trade_on(tmp_path: Path) -> None:
    """AAPL is 3 % down at the close: nothing is added to it, IBM is bought; a person lifts it by the symbol."""
    wants = plan({"AAPL": 0.3, "IBM": 0.1}, {"AAPL": 0.5, "IBM": 0.4})

    async def story(scene: Scene) -> None:
        scene.start()
        hold = await set_by(scene, "instrument_daily_loss")
        assert held(scene) == {("AAPL", "instrument_daily_loss", "reducing")}
        first = {symbol: scene.held(symbol) for symbol in ("AAPL", "IBM")}
        await scene.until(lambda: scene.facts(m.RebalanceDecided)[-1].at > hold.since, what="the next day's decision")
        await scene.until(lambda: not scene.state.live, what="the end of its orders")
        assert scene.truly_held("AAPL") == scene.held("AAPL") == first["AAPL"]
        assert scene.held("IBM") > first["IBM"]
        reply = await scene.ask("resume", "symbol:AAPL")
        assert reply["ok"] and held(scene) == set()
        await scene.run_job("rebalance")
        await scene.until(lambda: not scene.state.live, what="its purchase")
        assert scene.held("AAPL") > first["AAPL"]

    sets = {"holds": {"daily_loss": None, "instrument_daily_loss": 0.006}, "risk": {"max_weight": 1}}
    on_bench(story, tmp_path, {"strategies": [wants]} | sets)


@pytest.mark.parametrize(
    ("rule", "limit", "name"), [("instrument_daily_loss", 0.006, "AAPL"), ("strategy_daily_loss", 0.012, "trend")]
)
def test_a_loss_is_held_while_the_session_is_open(rule: str, limit: float, name: str, tmp_path: Path) -> None:
    """Hours after the last fill and before the close, by what two reconciliations saw; hardly anything is noted."""

    async def story(scene: Scene) -> None:
        scene.start()
        hold = await set_by(scene, rule)
        assert held(scene) == {(name, rule, "reducing")}
        last_fill = max(fill.executed_at for fill in scene.facts(m.FillBooked))
        session = next(one for one in scene.state.sessions if one.is_open(last_fill))
        assert session.is_open(hold.since) and (hold.since - last_fill).total_seconds() > 60
        assert scene.events(m.SignalsEnded)[-1].at < last_fill
        assert 2 <= len(scene.events(m.HoldingsQuoted)) < 20
        assert any(rule in text for text in scene.alerts())

    on_bench(story, tmp_path, {"strategies": HALF, "holds": {"daily_loss": None, rule: limit}})


def test_rejections_in_a_row_halt_the_account(tmp_path: Path) -> None:
    """Three in three symbols: what still waits is withdrawn, and nothing more is sent before a person resumes."""
    symbols = [f"T{number:02d}" for number in range(5)]

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.until(lambda: len([o for o in scene.orders() if o.state is OrderState.WORKING]) == 5, what="them")
        (session,) = scene.gateway.desk.connections
        for order in scene.orders()[:3]:
            session.error(201, "Order rejected - reason:", order.order_id or 0)
        await set_by(scene, "rejections")
        await asyncio.sleep(MINUTE)
        assert held(scene) == {("DU123456", "rejections", "halted")}
        assert [order.state for order in scene.orders()[3:]] == [OrderState.CANCELLED] * 2
        await scene.run_job("rebalance")
        assert set(scene.refused().values()) == {"halt"} and len(scene.orders()) == 5
        await scene.ask("resume", "all")
        await scene.run_job("rebalance")
        assert len(scene.orders()) > 5

    strategies = [plan(dict.fromkeys(symbols, 0.05))]
    trading = RESTING | {"strategies": strategies, "holds": {"rejections": 3}}
    on_bench(story, tmp_path, trading, market=market_of(symbols))


def test_what_if_questions_rejected_in_a_row_halt_the_account_as_well(tmp_path: Path) -> None:
    """Two, a restart, and a third: the fourth is withdrawn unsent, nothing more is asked, and no order was sent."""
    symbols = [f"T{number:02d}" for number in range(4)]

    def hangs(name: str, values: dict[str, Any]) -> bool:
        return not (name == "openOrder" and values["whatIf"])

    def rejects(scene: Scene, questions: int) -> None:
        (session,) = scene.gateway.desk.connections
        for asked in list(scene.state.what_ifs.values())[:questions]:
            session.error(201, "Order rejected - reason:", asked.order_id)

    async def story(scene: Scene) -> None:
        scene.gateway.faults.own_messages = hangs
        scene.start()
        await scene.until(lambda: len(scene.state.what_ifs) == 4, what="the questions")
        rejects(scene, 2)
        await scene.until(lambda: len(scene.state.what_ifs) == 2, what="their end")
        assert held(scene) == set()
        await scene.kill()
        scene.start()
        await scene.until(lambda: not scene.state.what_ifs and not scene.failing(), what="readiness")
        await asyncio.sleep(MINUTE)
        await scene.run_job("rebalance")
        await scene.until(lambda: scene.state.what_ifs, what="what is asked again")
        rejects(scene, 1)
        await set_by(scene, "rejections")
        assert held(scene) == {("DU123456", "rejections", "halted")} and not scene.state.what_ifs
        asked = len(scene.orders())
        await asyncio.sleep(MINUTE)
        await scene.run_job("rebalance")
        assert len(scene.orders()) == asked and {order.state for order in scene.orders()} == {OrderState.UNSENT}
        assert len([order for order in scene.orders() if order.was_rejected]) == 3

    trading = {
        "strategies": [plan(dict.fromkeys(symbols, 0.05))],
        "holds": {"rejections": 3},
        "account_limits": {"what_if": True, "what_if_seconds": 60},
    }
    on_bench(story, tmp_path, trading, market=market_of(symbols))


RESTING: dict[str, Any] = {"execution": {"order_type": "MOC"}}


@pytest.mark.parametrize("rule", ["order_slippage", "session_slippage", "strategy_slippage"])
def test_slippage_holds_what_it_is_about(rule: str, tmp_path: Path) -> None:
    """A purchase at the ask has slipped by half the spread: no more of its instrument, its strategy, or of anything.

    What reduces goes on, and the next session may buy again.
    """
    name, check = {
        "order_slippage": ("AAPL", "reducing"),
        "session_slippage": ("DU123456", "reducing"),
        "strategy_slippage": ("plan", ""),
    }[rule]

    async def story(scene: Scene) -> None:
        scene.start()
        hold = await set_by(scene, rule)
        assert (hold.name, hold.grade.value) == (name, "reducing") and hold.until is not None
        await scene.until(lambda: not scene.state.live, what="the end of the order")
        placed, first = len(scene.orders()), scene.held("AAPL")
        twice = [plan({"AAPL": 0.1}, allocation=1)]
        await scene.reload({"strategies": twice, "holds": {f"{rule}_bps": 0.01}})
        await scene.run_job("rebalance")
        assert len(scene.orders()) == placed and scene.refused() == ({"AAPL": check} if check else {})
        less = [plan({"AAPL": 0.1}, allocation=0.1)]
        await scene.reload({"strategies": less, "holds": {f"{rule}_bps": 0.01}})
        await scene.run_job("rebalance")
        assert scene.orders()[-1].purpose is Purpose.REDUCE
        await scene.until(lambda: 0 < scene.held("AAPL") < first, seconds=HOUR, what="the sale")
        await scene.reload({"strategies": twice, "holds": {f"{rule}_bps": 0.01}})
        await scene.until(lambda: scene.held("AAPL") > first, seconds=2 * DAY, what="the next day's purchase")

    trading = {"strategies": [plan({"AAPL": 0.1}, allocation=0.5)], "holds": {f"{rule}_bps": 0.01}}
    on_bench(story, tmp_path, trading)
