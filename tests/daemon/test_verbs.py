"""What a person's words do to a whole daemon with orders under way."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.messages import Verb
from longwatch.domain.orders import OrderState
from tests.daemon.bench import HOUR, MINUTE, SYMBOLS, Scene, market_of, on_bench, plan

FOUR = plan({"AAPL": 0.24, "GOOG": 0.24, "IBM": 0.24, "MSFT": 0.24})


def placed(scene: Scene) -> int:
    """Orders that reached the gateway, by its own books."""
    return sum(1 for line in scene.bench.ledger.read_text().splitlines() if '"kind":"order"' in line)


def test_halt_withholds_the_orders_that_wait_in_the_budget(tmp_path: Path) -> None:
    """At one message a second five of twelve orders leave at once and the rest wait: none leaves after the halt."""
    symbols = [f"T{number:02d}" for number in range(12)]

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.until(lambda: scene.events(m.OrderHanded), what="the first order's bytes")
        await asyncio.sleep(1.5)
        waiting = [order.intent for order in scene.orders() if not order.handed]
        assert 3 <= len(waiting) <= 8
        await scene.ask("halt", reason="enough")
        await asyncio.sleep(60)
        assert {scene.state.orders[intent].state for intent in waiting} == {OrderState.UNSENT}
        assert placed(scene) == 12 - len(waiting)
        assert "verb: halted by uid 1000 (enough)" in scene.reasons()
        assert [fact.check for fact in scene.facts(m.TradeRefused)] == ["gate"] * len(waiting)
        await scene.until(lambda: len(scene.facts(m.RebalanceDecided)) == 2, what="the next day's rebalance")
        assert placed(scene) == 12 - len(waiting)
        assert {fact.check for fact in scene.facts(m.TradeRefused)} == {"gate", "halt"}

    twelve = plan(dict.fromkeys(symbols, 0.05))
    trading = {"strategies": [twelve], "ib": {"messages_per_second": 1}}
    on_bench(story, tmp_path, trading, market=market_of(symbols))


def test_halt_outlives_the_process(tmp_path: Path) -> None:
    """The next daemon on the journal is halted from its first moment, and trades once resumed."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.until(lambda: scene.state.equity, what="the first signals")
        await scene.ask("halt", reason="enough")
        await scene.stop()
        scene.steps.clear()
        scene.start()
        assert scene.state.is_on(Verb.HALT)
        await scene.until(lambda: scene.facts(m.RebalanceDecided), what="the rebalance")
        assert set(scene.refused().values()) == {"halt"} and placed(scene) == 0
        await scene.ask("resume")
        await scene.run_job("rebalance")
        assert len(scene.orders()) == 2
        assert scene.reasons() == []

    on_bench(story, tmp_path)


def test_flatten_ends_with_the_gateways_books_flat(tmp_path: Path) -> None:
    """Orders under way are cancelled, what is ours is sold; nothing is bought again until resumed."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.until(lambda: any(order.filled for order in scene.orders()), what="the first fill")
        assert any(order.is_live for order in scene.orders())
        await scene.ask("flatten", reason="enough")
        flat = lambda: not scene.state.live and not any(scene.held(symbol) for symbol in SYMBOLS)  # noqa: E731
        await scene.until(flat, seconds=6 * HOUR, what="a flat book")
        assert [scene.truly_held(symbol) for symbol in SYMBOLS] == [0, 0, 0, 0]
        bought = placed(scene)
        await scene.until(lambda: scene.events(m.RebalanceDue)[-1].at.day == 4, what="the next day's rebalance")
        await scene.settled()
        assert placed(scene) == bought and not scene.state.live
        await scene.ask("resume")
        await scene.run_job("rebalance")
        await scene.until(lambda: not scene.state.live, what="the end of the new orders")
        assert all(scene.truly_held(symbol) > 0 for symbol in SYMBOLS)

    on_bench(story, tmp_path, {"strategies": [FOUR]})


def test_flatten_waits_for_no_job(tmp_path: Path) -> None:
    """A rebalance lets the signals of its time end first, which a silent gateway delays; who closes all does not."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        await scene.till(14, 29)
        scene.gateway.faults.withhold.add("historicalData")
        scene.daemon.desk.history.clear()
        await scene.till(14, 35, 30)
        assert {"signals", "rebalance"} <= set(scene.daemon.runner.running())
        assert len(scene.facts(m.RebalanceDecided)) == 1
        await scene.ask("flatten", reason="enough")
        await asyncio.sleep(MINUTE)
        assert "signals" in scene.daemon.runner.running()
        assert {order.symbol for order in scene.orders() if order.side is Side.SELL} == {"AAPL", "IBM"}

    on_bench(story, tmp_path, {"schedule": {"signals": "4 minutes after the open"}})


def test_flatten_leaves_what_is_not_ours(tmp_path: Path) -> None:
    """The owner's own hundred shares of the same name stay."""

    async def story(scene: Scene) -> None:
        await scene.till(14, 31)
        scene.gateway.trade_by_hand("AAPL", "BUY", Decimal(100))
        await asyncio.sleep(10)
        scene.start()
        await scene.traded()
        assert scene.held("AAPL") > 0
        await scene.ask("flatten")
        await scene.until(lambda: not scene.held("AAPL") and not scene.held("IBM"), what="a flat book")
        assert scene.truly_held("AAPL") == 100 and scene.truly_held("IBM") == 0
        assert not scene.state.quarantines

    on_bench(story, tmp_path)


def test_pause_lets_reductions_through_and_resume_the_rest(tmp_path: Path) -> None:
    """Less of one, more of another: while paused only the sale is made."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        before = {symbol: scene.held(symbol) for symbol in ("AAPL", "IBM")}
        await scene.ask("pause", reason="lunch")
        await scene.traded(decisions=2)
        assert scene.held("AAPL") < before["AAPL"] and scene.held("IBM") == before["IBM"]
        assert scene.refused() == {"IBM": "pause"}
        assert scene.reasons() == []
        await scene.ask("resume")
        await scene.run_job("rebalance")
        await scene.until(lambda: not scene.state.live, what="the end of the purchase")
        assert scene.held("IBM") > before["IBM"]

    on_bench(story, tmp_path, {"strategies": [plan({"AAPL": 0.4, "IBM": 0.1}, {"AAPL": 0.1, "IBM": 0.4})]})


def test_cancel_ends_one_order_and_no_other(tmp_path: Path) -> None:
    """By its number; the rest go on."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.until(lambda: len(scene.orders()) == 4, what="the orders")
        await scene.ask("cancel", str(scene.orders()[0].intent))
        await scene.until(lambda: not scene.state.live, what="the end of every order")
        assert scene.orders()[0].state in (OrderState.CANCELLED, OrderState.UNSENT)
        assert {order.state for order in scene.orders()[1:]} == {OrderState.FILLED}

    on_bench(story, tmp_path, {"strategies": [FOUR]})
