"""Every pre-trade check and cap refuses or clamps once in a whole-daemon run, by its own name."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from longwatch.domain import messages as m
from longwatch.domain.orders import OrderState
from longwatch.gateway.market.market import Market, Replay
from tests.daemon.bench import ACCOUNT, MINUTE, SYMBOLS, Scene, on_bench, plan, recorded_market


async def _first_rebalance(scene: Scene) -> None:
    scene.start()
    await scene.until(lambda: scene.facts(m.RebalanceDecided), what="the first rebalance")


CLAMPS: dict[str, dict[str, Any]] = {
    "max_order_shares": {"risk": {"max_order_shares": 100}},
    "max_order_value": {"risk": {"max_order_value": 10_000}},
    "max_position_size": {"execution": {"max_position_size": 500}},
    "max_weight": {"risk": {"max_weight": 0.1}},
    "max_gross_exposure": {"risk": {"max_gross_exposure": 0.5, "max_net_exposure": 0.5}},
    "max_net_exposure": {"risk": {"max_net_exposure": 0.5}},
    "max_group_weight": {"risk": {"groups": [{"name": "all", "symbols": ["AAPL", "IBM"], "max_weight": 0.5}]}},
    "max_volume_fraction": {"risk": {"max_volume_fraction": 0.0001}},
    "max_displayed_fraction": {"risk": {"max_displayed_fraction": 0.5}},
    "long_only": {"strategies": [plan({"AAPL": -0.2, "IBM": 0.4})]},
}


@pytest.mark.parametrize("check", CLAMPS)
def test_a_limit_makes_the_trade_smaller(check: str, tmp_path: Path) -> None:
    """Each limit clamps by its own name, and what is left is sent."""

    async def story(scene: Scene) -> None:
        await _first_rebalance(scene)
        assert check in {name for _, name in scene.clamped()}
        assert scene.orders()

    on_bench(story, tmp_path, CLAMPS[check])


REFUSALS: dict[str, dict[str, Any]] = {
    "min_order_size": {"execution": {"min_order_size": 100_000}},
    "min_order_value": {"execution": {"min_order_value": 500_000}},
    "order_rate": {"risk": {"max_orders_per_minute": 1}},
    "quote_age": {"risk": {"max_quote_age_seconds": 0.001}, "schedule": {"quote_warmup_seconds": 5}},
}


@pytest.mark.parametrize("check", REFUSALS)
def test_a_setting_refuses_the_trade(check: str, tmp_path: Path) -> None:
    """Too small, too many, on too old a quote: refused by name, with the numbers."""

    async def story(scene: Scene) -> None:
        await _first_rebalance(scene)
        refusal = scene.facts(m.TradeRefused)[0]
        assert refusal.check == check
        assert refusal.observed and refusal.limit and refusal.text
        assert scene.state.counts[f"refused:{check}"] >= 1

    on_bench(story, tmp_path, REFUSALS[check])


def test_fewer_shares_than_the_broker_takes_are_not_ordered(tmp_path: Path) -> None:
    """contract_min_size: a target for fewer is none, an exit that would leave fewer goes whole, the rest is refused.

    The gateway has refused nothing: no order left that it would not take.
    """
    least = Decimal(2_000)

    async def story(scene: Scene) -> None:
        await _first_rebalance(scene)
        assert scene.state.instruments["AAPL"].min_size == least
        (clamp,) = [fact for fact in scene.facts(m.TradeClamped) if fact.check == "contract_min_size"]
        assert (clamp.symbol, clamp.allowed, clamp.limit) == ("AAPL", 0, least)
        assert 0 < clamp.wanted == clamp.observed < least
        await scene.traded()
        bought = scene.held("IBM")
        assert bought >= least
        await scene.traded(2)
        assert scene.refused() == {"IBM": "contract_min_size"}
        assert scene.held("IBM") == bought
        await scene.traded(3)
        assert scene.held("IBM") == scene.truly_held("IBM") == 0
        assert [order.state for order in scene.orders()] == [OrderState.FILLED] * 2

    weights: list[dict[str, float]] = [{"AAPL": 0.1, "IBM": 0.4}, {"IBM": 0.38}, {"IBM": 0.05}]
    market = market_with(AAPL=least, IBM=least)
    on_bench(story, tmp_path, {"strategies": [plan(*weights)]}, market=market)


def market_with(**least: Decimal) -> Market:
    """Shares of the recorded market, where an order has to be for so many."""
    recorded, sources = recorded_market(), []
    for symbol, size in least.items():
        instrument = recorded.find(symbol)
        assert instrument is not None
        bars = recorded.completed(instrument, datetime(2013, 1, 1, tzinfo=UTC))
        sources.append(Replay(replace(instrument, min_size=size), bars))
    return Market(sources, recorded.hours, seed=1)


def test_before_the_open_nothing_is_sent(tmp_path: Path) -> None:
    """trading_hours: a rebalance asked for an hour too early is refused."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.until(lambda: scene.state.equity, what="the first signals")
        await scene.run_job("rebalance")
        assert scene.refused() == {"AAPL": "trading_hours", "IBM": "trading_hours"}
        await scene.traded(decisions=2)
        assert {order.state for order in scene.orders()} == {OrderState.FILLED}

    on_bench(story, tmp_path)


def test_without_bid_and_ask_nothing_is_sent(tmp_path: Path) -> None:
    """quote: ticks that never come leave nothing to trade on, however long the session has run."""

    async def story(scene: Scene) -> None:
        scene.gateway.faults.withhold = {"tick", "tickPrice"}
        await _first_rebalance(scene)
        assert scene.refused() == {"AAPL": "quote", "IBM": "quote"}
        assert not scene.orders()

    on_bench(story, tmp_path)


def test_without_a_known_volume_nothing_is_bought(tmp_path: Path) -> None:
    """liquidity: seven bars, as of a young listing, have no average volume of ten sessions; ten have, and it trades."""

    def young(name: str, values: dict[str, Any]) -> bool:
        if name == "historicalData":
            values["bars"] = values["bars"][-7:]
        return True

    async def story(scene: Scene) -> None:
        scene.gateway.faults.own_messages = young
        await _first_rebalance(scene)
        assert scene.refused() == {"AAPL": "liquidity", "IBM": "liquidity"}
        scene.gateway.faults.clear()
        await scene.run_job("refresh")
        await scene.run_job("rebalance")
        assert len(scene.orders()) == 2

    on_bench(story, tmp_path, {"data": {"volume_sessions": 10}})


def test_delayed_quotes_are_traded_on_when_paper_asks_for_them(tmp_path: Path) -> None:
    """The opt-in: market_data_type 3 on a gateway without subscriptions trades, in paper."""

    async def story(scene: Scene) -> None:
        await _first_rebalance(scene)
        await asyncio.sleep(20 * MINUTE)
        assert scene.orders() or set(scene.refused().values()) == {"quote"}
        await scene.run_job("rebalance")
        assert scene.orders()

    on_bench(story, tmp_path, {"ib": {"market_data_type": 3}}, delayed_data=True)


def test_a_market_far_from_the_close_is_not_traded_in(tmp_path: Path) -> None:
    """price_band: bars at half their price, sound in themselves, are no base for an order at today's quote."""

    def halved(name: str, values: dict[str, Any]) -> bool:
        if name == "historicalData":
            for bar in values["bars"]:
                for price in ("open", "high", "low", "close"):
                    bar[price] = bar[price] / 2
        return True

    async def story(scene: Scene) -> None:
        scene.gateway.faults.own_messages = halved
        await _first_rebalance(scene)
        assert scene.refused() == {"AAPL": "price_band", "IBM": "price_band"}

    on_bench(story, tmp_path)


def test_bars_found_flawed_after_the_decision_stop_their_symbol(tmp_path: Path) -> None:
    """data: a later refresh finds AAPL's bars broken; what was decided on them is not sent, IBM is."""

    def broken(name: str, values: dict[str, Any]) -> bool:
        if name == "historicalData" and values["bars"][-1]["close"] < 90:
            values["bars"][-1]["low"] = values["bars"][-1]["high"] + 1
        return True

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.until(lambda: scene.state.equity, what="the first signals")
        scene.gateway.faults.own_messages = broken
        await scene.run_job("refresh")
        await scene.traded()
        assert scene.refused() == {"AAPL": "data"}
        assert {order.symbol for order in scene.orders()} == {"IBM"}
        assert any("AAPL is not traded" in text for text in scene.alerts())

    on_bench(story, tmp_path)


def test_one_decision_never_orders_twice(tmp_path: Path) -> None:
    """duplicate: the same run judged again, after its orders were cancelled, orders nothing a second time."""

    async def story(scene: Scene) -> None:
        scene.gateway.faults.withhold = {"execDetails"}
        await _first_rebalance(scene)
        await scene.ask("cancel", "all")
        scene.gateway.faults.withhold = set()
        await scene.until(lambda: not scene.state.live, what="the cancels")
        await scene.ask("resume", "all")  # what a person cancels is held back by the breaker, unless they say so
        due = scene.events(m.RebalanceDue)[-1]
        clock = scene.bench.clock
        quotes = scene.daemon.broker.quotes()
        scene.daemon.inbox.put(replace(due, at=clock.market(), tech=clock.technical(), quotes=quotes))
        await scene.until(lambda: len(scene.facts(m.RebalanceDecided)) > 1, what="the second judgement")
        assert set(scene.refused().values()) == {"duplicate"}
        assert len(scene.orders()) == 2

    on_bench(story, tmp_path, {"strategies": [plan({"AAPL": 0.45, "IBM": 0.45})], "execution": {"limit_offset_bps": 0}})


def test_an_account_that_contradicts_the_mode_is_refused_by_the_check_too(tmp_path: Path) -> None:
    """account: configuration and link refuse it first; should both be passed by, no order leaves all the same."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.until(lambda: scene.state.equity, what="the first signals")
        now, tech = scene.bench.clock.market(), scene.bench.clock.technical()
        scene.daemon.inbox.put(replace(scene.events(m.DaemonStarted)[0], mode="live", at=now, tech=tech))
        scene.daemon.inbox.put(m.RebalanceDue(at=now, tech=tech, run_id="planted", session=None, quotes=()))
        await scene.until(lambda: scene.facts(m.RebalanceDecided), what="the decision")
        assert scene.refused() == {"AAPL": "account", "IBM": "account"}

    on_bench(story, tmp_path)


def test_a_sale_under_way_and_another_never_add_up_to_a_reversal(tmp_path: Path) -> None:
    """reversal: half a position is on its way out when the target turns short: only the rest may be sold."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        await scene.until(lambda: scene.state.live, what="the second day's sale")
        await scene.until(lambda: scene.orders()[-1].filled, what="its first fill")
        sale, held = scene.orders()[-1], scene.held("AAPL")
        await scene.run_job("signals")
        await scene.run_job("rebalance")
        assert ("AAPL", "reversal") in scene.clamped()
        assert sum(order.remaining for order in scene.state.live_orders()) <= held
        assert scene.orders()[-1].quantity == held - sale.remaining
        await scene.until(lambda: not scene.state.live, what="the end of both sales")
        assert scene.held("AAPL") == scene.truly_held("AAPL") == 0

    three = plan({"AAPL": 0.45}, {"AAPL": 0.1}, {"AAPL": -0.2})
    on_bench(story, tmp_path, {"strategies": [three], "risk": {"allow_short": True}})


@pytest.mark.parametrize("verb", ["pause", "halt"])
def test_a_verb_refuses_entries_until_resumed(verb: str, tmp_path: Path) -> None:
    """pause and halt: every buy is refused by the verb's name; resume lets the next decision trade."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.until(lambda: scene.state.equity, what="the first signals")
        assert (await scene.ask(verb, reason="lunch"))["ok"]
        await scene.until(lambda: scene.facts(m.RebalanceDecided), what="the first rebalance")
        assert scene.refused() == {"AAPL": verb, "IBM": verb}
        await scene.ask("resume")
        await scene.run_job("rebalance")
        assert len(scene.orders()) == 2

    on_bench(story, tmp_path)


def test_the_gate_that_shuts_while_quotes_are_awaited_refuses(tmp_path: Path) -> None:
    """not_ready: the farm breaks between the check before the rebalance and the decision itself."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.till(14, 35, 0.5)
        scene.gateway.desk.break_farm()
        await scene.until(lambda: scene.facts(m.RebalanceDecided), what="the first rebalance")
        assert scene.refused() == {"AAPL": "not_ready", "IBM": "not_ready"}
        assert any("the order gate is shut: farms: usfarm broken" in text for text in scene.alerts())
        scene.gateway.desk.mend_farm()
        await scene.run_job("rebalance")
        assert len(scene.orders()) == 2

    on_bench(story, tmp_path)


def test_an_order_of_unknown_outcome_blocks_more_of_the_same(tmp_path: Path) -> None:
    """unknown: no word but that its cancel comes too late; a raised target adds no second order to it."""
    half, whole = ({"strategies": [plan({"AAPL": 0.4}, allocation=share)]} for share in (0.5, 1))

    async def story(scene: Scene) -> None:
        scene.gateway.faults.withhold = {"openOrder", "orderStatus", "execDetails", "completedOrder", "position"}
        await _first_rebalance(scene)
        await scene.until(lambda: scene.orders()[0].state is OrderState.UNKNOWN, what="an unknown order")
        assert (await scene.reload(whole))["ok"]
        await scene.run_job("rebalance")
        assert scene.refused() == {"AAPL": "unknown"}
        scene.gateway.faults.withhold = set()
        await scene.until(lambda: not scene.state.live, what="the evidence")
        assert scene.held("AAPL") == scene.truly_held("AAPL") == scene.orders()[0].filled
        await scene.run_job("rebalance")
        assert len(scene.orders()) == 2

    on_bench(story, tmp_path, half)


def test_a_quarantined_instrument_is_neither_bought_nor_sold(tmp_path: Path) -> None:
    """quarantined: somebody else's trade makes book and account differ; the others trade on, a person lifts it."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        scene.gateway.faults.lose_fills = 1
        scene.gateway.trade_by_hand("IBM", "BUY", Decimal(100))
        await scene.until(lambda: scene.state.quarantines, what="the quarantine")
        odd = next(fact.symbol for fact in scene.facts(m.QuarantineSet))
        await scene.until(lambda: len(scene.facts(m.RebalanceDecided)) > 1, what="the next day's rebalance")
        assert scene.refused()[odd] == "quarantined"
        assert any(odd in text and "no new orders in it" in text for text in scene.alerts())
        await scene.ask("unquarantine", odd)
        assert not scene.state.quarantines

    on_bench(story, tmp_path, {"strategies": [plan({"AAPL": 0.1, "IBM": 0.1}, {"AAPL": 0.3, "IBM": 0.3})]})


def test_shares_of_others_without_a_price_refuse_entries(tmp_path: Path) -> None:
    """others_priced: shares came in at no cost, in a symbol without bars; at a known cost all trade."""

    async def story(scene: Scene) -> None:
        now = scene.gateway.desk.now()
        scene.gateway.ledger.transfer(ACCOUNT, SYMBOLS["GOOG"], "GOOG", Decimal(500), Decimal(0), now)
        await _first_rebalance(scene)
        assert scene.refused() == {"AAPL": "others_priced"}
        (refused,) = scene.facts(m.TradeRefused)
        assert "GOOG, 500 shares that are not ours, has no known price" in refused.text
        assert scene.orders() == []

    on_bench(story, tmp_path, {"strategies": [plan({"AAPL": 0.1})]})

    async def priced(scene: Scene) -> None:
        now = scene.gateway.desk.now()
        scene.gateway.ledger.transfer(ACCOUNT, SYMBOLS["GOOG"], "GOOG", Decimal(500), Decimal(450), now)
        scene.start()
        await scene.traded()
        assert scene.refused() == {}

    (tmp_path / "priced").mkdir()
    on_bench(priced, tmp_path / "priced", {"strategies": [plan({"AAPL": 0.1})]})
