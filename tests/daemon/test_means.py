"""What the account allows, in a whole daemon: each limit broken by the gateway's own figures, and mended."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.orders import OrderState
from longwatch.domain.quotes import Quote
from longwatch.domain.state import State
from longwatch.simulation.tap import Tap
from tests.daemon.bench import ACCOUNT, HOUR, MINUTE, Scene, on_bench, plan

CASH = {"cash_accounts": frozenset({ACCOUNT})}
READS = {"schedule": {"reconcile": "every 1 min during the session"}, "ib": {"account_age_seconds": 90_000}}


async def first_rebalance(scene: Scene) -> None:
    scene.start()
    await scene.until(lambda: scene.facts(m.RebalanceDecided), what="the first rebalance")


async def decided_again(scene: Scene, weights: str = "signals") -> None:
    """The plan's next weights, decided on the same day."""
    await scene.run_job(weights)
    await scene.run_job("rebalance")


def allows(state: State) -> Any:
    assert state.valued is not None and state.valued.figures is not None
    return state.valued.figures


def test_a_cash_account_buys_with_settled_cash_only(tmp_path: Path) -> None:
    """settled_cash: the proceeds of the day's sale buy nothing until they settle; the gateway rejects no order."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        await decided_again(scene)
        await scene.until(lambda: not scene.state.live, what="the sale")
        await scene.ask("reconcile")
        await asyncio.sleep(MINUTE)
        await scene.run_job("rebalance")
        assert allows(scene.state).settled_cash < scene.state.valued.cash - 300_000  # type: ignore[union-attr]
        assert scene.refused()["IBM"] == "settled_cash" or ("IBM", "settled_cash") in scene.clamped()
        assert not [order for order in scene.orders() if order.state is OrderState.REJECTED]
        spent = sum(order.filled * order.average_price for order in scene.orders() if order.side is Side.BUY)
        assert spent <= 1_000_000
        assert (await scene.reload(strategies | {"account_limits": {"spend_unsettled": True}}))["ok"]
        await scene.run_job("rebalance")
        await scene.until(lambda: not scene.state.live, what="what the gateway says of it")
        assert [order.text for order in scene.orders() if order.state is OrderState.REJECTED], "it knows better"

    strategies = {
        "strategies": [plan({"AAPL": 0.5, "GOOG": 0.45}, {"IBM": 0.5, "GOOG": 0.45})],
        "risk": {"max_weight": 0.5, "max_order_value": 1_000_000, "max_order_shares": 1_000_000},
    }
    on_bench(story, tmp_path, strategies, gateway=CASH)


def test_a_cash_account_sells_nothing_short(tmp_path: Path) -> None:
    """cash_short: though shorts are allowed and shares are there; in a margin account the same order goes."""

    async def refused(scene: Scene) -> None:
        await first_rebalance(scene)
        assert scene.refused() == {"AAPL": "cash_short"}
        assert allows(scene.state).trading_type == "STKCASH"
        assert not scene.orders()

    async def sent(scene: Scene) -> None:
        await first_rebalance(scene)
        assert [order.side for order in scene.orders()] == [Side.SELL]

    short = {"strategies": [plan({"AAPL": -0.2})], "risk": {"allow_short": True}}
    on_bench(refused, tmp_path, short, gateway=CASH)
    (tmp_path / "margin").mkdir()
    on_bench(sent, tmp_path / "margin", short)


def test_without_a_day_trade_left_what_was_bought_today_is_kept(tmp_path: Path) -> None:
    """day_trades: three round trips by hand use them up; the exit is refused until the next day, or by the setting."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        assert allows(scene.state).day_trades_remaining == 3
        for _ in range(3):
            scene.gateway.trade_by_hand("GOOG", "BUY", Decimal(1))
            scene.gateway.trade_by_hand("GOOG", "SELL", Decimal(1))
        await scene.ask("reconcile")
        await scene.until(lambda: allows(scene.state).day_trades_remaining == 0, what="the word of the account")
        await decided_again(scene)
        assert scene.refused() == {"AAPL": "day_trades"}
        assert scene.held("AAPL") == scene.truly_held("AAPL") > 0
        assert (await scene.reload(small | {"account_limits": {"day_trade_exits": True}}))["ok"]
        await scene.run_job("rebalance")
        await scene.until(lambda: not scene.state.live, what="the exit")
        assert scene.held("AAPL") == scene.truly_held("AAPL") == 0

    small: dict[str, Any] = {"initial_capital": 20_000, "strategies": [plan({"AAPL": 0.4}, {"AAPL": 0.0})]}
    on_bench(story, tmp_path, small)


def test_the_next_day_sells_what_no_day_trade_was_left_for(tmp_path: Path) -> None:
    """Held overnight it makes no day trade any more."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        for _ in range(3):
            scene.gateway.trade_by_hand("GOOG", "BUY", Decimal(1))
            scene.gateway.trade_by_hand("GOOG", "SELL", Decimal(1))
        await scene.traded(decisions=2)
        assert allows(scene.state).day_trades_remaining == 0
        assert scene.refused() == {}
        assert scene.held("AAPL") == scene.truly_held("AAPL") == 0

    small: dict[str, Any] = {"initial_capital": 20_000, "strategies": [plan({"AAPL": 0.4}, {"AAPL": 0.0})]}
    on_bench(story, tmp_path, small)


def test_a_take_profit_goes_when_no_day_trade_is_left_and_is_back_the_next_day(tmp_path: Path) -> None:
    """day_trades: the stop rests on in the gateway's books, alone until the first reading of the next session."""

    async def story(scene: Scene) -> None:
        def resting() -> set[str]:
            return {one.ticket.order_type for one in scene.gateway.desk.exchange.book.live()}

        scene.start()
        await scene.traded()
        await scene.until(lambda: resting() == {"STP", "LMT"}, seconds=HOUR, what="the pair")
        for side in ("BUY", "SELL") * 3:
            scene.gateway.trade_by_hand("GOOG", side, Decimal(1))
            await asyncio.sleep(2)
        await scene.until(lambda: allows(scene.state).day_trades_remaining == 0, seconds=HOUR, what="its word")
        await scene.until(lambda: resting() == {"STP"}, seconds=HOUR, what="the end of the take-profit")
        await scene.until(lambda: any("take-profit waits" in one for one in scene.alerts()), seconds=HOUR, what="why")
        today = scene.bench.clock.market().date()
        await scene.until(lambda: resting() == {"STP", "LMT"}, seconds=24 * HOUR, what="the next take-profit")
        assert scene.bench.clock.market().date() > today
        assert allows(scene.state).day_trades_remaining == 0
        assert scene.held("AAPL") == scene.truly_held("AAPL") > 0

    small: dict[str, Any] = {"initial_capital": 20_000, "strategies": [plan({"AAPL": 0.4})]}
    on_bench(story, tmp_path, small | READS | {"stops": {"fraction": 0.5, "take_profit": {"fraction": 0.5}}})


def test_an_old_exchange_rate_refuses_entries(tmp_path: Path) -> None:
    """exchange_rate: an account kept in euro trades dollars at a fresh rate; at an old one it does not."""

    async def fresh(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        assert (allows(scene.state).base_currency, allows(scene.state).rate) == ("EUR", Decimal("0.8"))
        assert scene.state.equity is not None and scene.state.equity.equity == 1_000_000
        assert {order.state for order in scene.orders()} == {OrderState.FILLED}

    async def old(scene: Scene) -> None:
        await first_rebalance(scene)
        assert scene.refused() == {"AAPL": "exchange_rate", "IBM": "exchange_rate"}

    euro = {"base_currency": "EUR", "base_rate": Decimal("0.8")}
    on_bench(fresh, tmp_path, gateway=euro)
    (tmp_path / "old").mkdir()
    on_bench(old, tmp_path / "old", {"account_limits": {"max_rate_age_seconds": 60}}, gateway=euro)


@pytest.mark.parametrize("figure", ["SettledCash", "ExcessLiquidity"])
def test_a_figure_that_is_not_told_refuses_entries(figure: str, tmp_path: Path) -> None:
    """means_known: the one that binds this kind of account; the other is no matter."""

    def untold(name: str, values: dict[str, Any]) -> bool:
        return name != "accountSummary" or values["tag"] != figure

    async def story(scene: Scene) -> None:
        scene.gateway.faults.own_messages = untold
        await first_rebalance(scene)
        assert scene.refused() == ({"AAPL": "means_known", "IBM": "means_known"} if figure in BINDS else {})

    for kind, gateway in (("cash", CASH), ("margin", {})):
        BINDS = {"cash": "SettledCash", "margin": "ExcessLiquidity"}[kind]
        (tmp_path / kind).mkdir()
        on_bench(story, tmp_path / kind, gateway=gateway)


def test_the_floor_of_excess_liquidity_makes_entries_smaller(tmp_path: Path) -> None:
    """excess_liquidity: with 700,000 to be kept of a million, entries of 600,000 may bind half of that."""

    async def story(scene: Scene) -> None:
        await first_rebalance(scene)
        assert ("IBM", "excess_liquidity") in scene.clamped()
        assert 590_000 < sum(order.quantity * order.worst_price for order in scene.orders()) <= 600_000

    on_bench(story, tmp_path, {"account_limits": {"min_excess_liquidity": 700_000}})


def test_what_can_not_be_borrowed_is_not_sold_short(tmp_path: Path) -> None:
    """shortable: AAPL is hard to borrow until shares are found, IBM is not; no order waits at the broker for it."""

    async def story(scene: Scene) -> None:
        await first_rebalance(scene)
        assert scene.refused() == {"AAPL": "shortable"}
        assert [order.symbol for order in scene.orders()] == ["IBM"]
        scene.gateway.desk.exchange.locate("AAPL")
        await scene.until(lambda: not scene.state.live, what="the short sale")
        await asyncio.sleep(MINUTE)
        await scene.run_job("rebalance")
        assert [order.symbol for order in scene.orders()] == ["IBM", "AAPL"]

    short = {"strategies": [plan({"AAPL": -0.2, "IBM": -0.2})], "risk": {"allow_short": True}}
    on_bench(story, tmp_path, short, hard_to_borrow=frozenset({"AAPL"}))


def test_what_is_lent_to_others_while_a_short_sale_waits_stops_it_at_the_write(tmp_path: Path) -> None:
    """shortable: asked again by the quotes of then, when its bytes are about to leave; nothing reaches the gateway."""

    async def story(scene: Scene) -> None:
        tap = Tap(scene.bench.network, scene.bench.clock.market)
        scene.start()
        await scene.until(lambda: scene.state.equity, what="the first signals")
        broker, quotes = scene.daemon.broker, scene.daemon.broker.quotes

        def lent_out() -> tuple[Quote, ...]:
            """None are left from the moment on in which the daemon has decided."""
            left = {"shortable": Decimal(0)} if scene.state.orders else {}
            return tuple(replace(quote, **left) for quote in quotes())

        with patch.object(broker, "quotes", lent_out):
            await scene.until(lambda: scene.facts(m.OrderIntended), what="the short sale")
            await scene.until(lambda: not scene.state.live, what="its end")
        (order,) = scene.orders()
        assert order.state is OrderState.UNSENT and "shortable" in order.text
        assert placed(scene, tap) == []

    short = {"strategies": [plan({"AAPL": -0.2})], "risk": {"allow_short": True}}
    on_bench(story, tmp_path, short)


def test_without_word_of_shares_to_borrow_nothing_is_sold_short(tmp_path: Path) -> None:
    """shortable_known: allowed by a reload, it was not asked for at the start; the refusal says so."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.until(lambda: scene.state.equity, what="the first signals")
        assert (await scene.reload(short | {"risk": {"allow_short": True}}))["ok"]
        await scene.until(lambda: scene.facts(m.RebalanceDecided), what="the first rebalance")
        assert scene.refused() == {"AAPL": "shortable_known"}
        assert "from the start of the daemon on" in scene.facts(m.TradeRefused)[-1].text
        assert not scene.orders()

    short: dict[str, Any] = {"strategies": [plan({"AAPL": -0.2})]}
    on_bench(story, tmp_path, short)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (201, "Order rejected - reason:No Trading Permission"),
        (201, "Order rejected - reason:The product's Key Information Document (KID) is not available in your language"),
        (203, "The security AAPL is not available or allowed for this account"),
        (460, "No trading permissions"),
    ],
)
def test_what_the_account_may_not_trade_is_held_until_a_person_lifts_it(code: int, text: str, tmp_path: Path) -> None:
    """The reason stands in the quarantine; the next day asks for nothing; lifted, it is tried again. IBM trades on."""

    forbidden = {"AAPL": (code, text)}

    async def story(scene: Scene) -> None:
        await first_rebalance(scene)
        await scene.until(lambda: scene.state.quarantines, what="the quarantine")
        (held,) = scene.facts(m.QuarantineSet)
        assert held.symbol == "AAPL" and text in held.reason and str(code) in held.reason
        assert any("AAPL" in one and "once the account may trade it" in one for one in scene.alerts())
        await scene.traded(decisions=2)
        assert scene.refused()["AAPL"] == "quarantined"
        assert scene.held("IBM") == scene.truly_held("IBM") > 0
        await scene.ask("unquarantine", "AAPL")
        await scene.ask("resume", "AAPL")
        forbidden.clear()
        await scene.run_job("rebalance")
        await scene.until(lambda: scene.held("AAPL"), what="a fill of what may be traded now")

    on_bench(story, tmp_path, {"strategies": [plan({"AAPL": 0.4, "IBM": 0.1})]}, gateway={"forbidden": forbidden})


def test_delayed_data_that_were_traded_on_are_a_fact(tmp_path: Path) -> None:
    """Paper's choice is journalled with each order it was used for; live refuses it though the settings allow it."""

    async def story(scene: Scene) -> None:
        await first_rebalance(scene)
        await scene.till(15, 0)
        await scene.run_job("rebalance")
        used = scene.facts(m.DelayedDataUsed)
        assert {fact.intent for fact in used} == {order.intent for order in scene.orders()} != set()
        assert {fact.market_data_type for fact in used} == {3}
        assert scene.state.counts["delayed_data:AAPL"] == 1

    on_bench(story, tmp_path, {"ib": {"market_data_type": 3}}, delayed_data=True)


# ── what-if ─────────────────────────────────────────────────────────────────────────────────────────────────────────

ASKS: dict[str, Any] = {"account_limits": {"what_if": True}}


def placed(scene: Scene, tap: Tap) -> list[bool]:
    """The placeOrder frames the daemon wrote, each as whether it was a question only."""
    return [bool(seen.values["whatIf"]) for seen in tap.written() if seen.name == "placeOrder"]


def test_an_entry_leaves_after_the_brokers_word_on_its_margin(tmp_path: Path) -> None:
    """Two questions and their answers first, then two orders; the figures are facts; exits ask nobody."""

    async def story(scene: Scene) -> None:
        tap = Tap(scene.bench.network, scene.bench.clock.market)
        scene.start()
        await scene.traded()
        assert placed(scene, tap) == [True, True, False, False]
        assert {order.state for order in scene.orders()} == {OrderState.FILLED}
        told = scene.facts(m.MarginTold)
        assert [fact.is_estimate for fact in told] == [False, False]
        assert all(0 < fact.initial_margin < fact.equity <= 1_000_000 for fact in told)
        assert (
            len({order.order_id for order in scene.orders()} | {row.order_id for row in scene.facts(m.WhatIfAsked)})
            == 4
        )
        await scene.traded(decisions=2)
        assert placed(scene, tap)[4:] == [False, False]
        for symbol in ("AAPL", "IBM"):
            assert scene.held(symbol) == scene.truly_held(symbol) == 0

    away = {"strategies": [plan({"AAPL": 0.4, "IBM": 0.4}, {"AAPL": 0.0, "IBM": 0.0})]}
    on_bench(story, tmp_path, ASKS | away)


def test_an_entry_that_would_bind_too_much_is_refused_by_the_brokers_own_word(tmp_path: Path) -> None:
    """what_if: shares bought by hand bind most of the margin; by our figures two entries fit, by the gateway's one."""

    async def story(scene: Scene) -> None:
        tap = Tap(scene.bench.network, scene.bench.clock.market)
        scene.start()
        await scene.till(14, 31)
        scene.gateway.trade_by_hand("GOOG", "BUY", Decimal(2900))
        await scene.until(lambda: scene.facts(m.RebalanceDecided), what="the first rebalance")
        await scene.until(lambda: not scene.state.live, what="the answers")
        assert scene.refused() == {"IBM": "what_if"}
        assert any("its initial margin would pass the equity" in one for one in scene.alerts())
        assert placed(scene, tap) == [True, True, False]
        assert scene.held("IBM") == scene.truly_held("IBM") == 0 < scene.held("AAPL")

    high = {
        "account_limits": {"what_if": True},
        "risk": {"max_gross_exposure": 4, "max_net_exposure": 4, "max_order_value": 9_000_000},
    }
    on_bench(story, tmp_path, high)


@pytest.mark.parametrize("fallback", ["refuse", "estimate"])
def test_a_question_that_hangs_ends_at_its_deadline_as_the_setting_says(fallback: str, tmp_path: Path) -> None:
    """D54: the gateway never answers a what-if; the order is refused, or sent by an estimate, after five seconds."""

    def hangs(name: str, values: dict[str, Any]) -> bool:
        return not (name == "openOrder" and values["whatIf"])

    async def story(scene: Scene) -> None:
        scene.gateway.faults.own_messages = hangs
        await first_rebalance(scene)
        began = scene.bench.clock.technical()
        await scene.until(lambda: not scene.state.what_ifs, what="the deadline")
        assert 4.9 < (scene.bench.clock.technical() - began).total_seconds() < 5.5
        await scene.until(lambda: not scene.state.live, what="the end of every order")
        ends = {order.state for order in scene.orders()}
        assert ends == ({OrderState.FILLED} if fallback == "estimate" else {OrderState.UNSENT})
        assert scene.held("AAPL") == scene.truly_held("AAPL")
        assert {fact.is_estimate for fact in scene.facts(m.MarginTold)} == ({True} if fallback == "estimate" else set())

    on_bench(story, tmp_path, {"account_limits": {"what_if": True, "what_if_fallback": fallback}})


@pytest.mark.parametrize("cut", ["question written", "answer heard"])
def test_a_daemon_killed_between_question_and_answer_never_sends_that_order(cut: str, tmp_path: Path) -> None:
    """After the restart it is unsent, whatever the gateway still says; the next decision asks anew and trades once."""

    async def story(scene: Scene) -> None:
        tap = Tap(scene.bench.network, scene.bench.clock.market)
        scene.start()
        await scene.until(lambda: scene.state.what_ifs, what="a question")
        if cut == "question written":
            await scene.until(lambda: True in placed(scene, tap), what="its bytes")
        else:
            await asyncio.sleep(0.3495)
        await scene.kill()
        first = [order.intent for order in scene.orders()]
        scene.start()
        await scene.until(
            lambda: {scene.state.orders[intent].state for intent in first} == {OrderState.UNSENT}, what="their end"
        )
        await scene.until(lambda: not scene.failing(), what="readiness")
        assert placed(scene, tap).count(False) == 0
        await asyncio.sleep(MINUTE)
        await scene.run_job("rebalance")
        await scene.until(lambda: scene.orders() and not scene.state.live, what="the end of every order")
        for symbol in ("AAPL", "IBM"):
            assert scene.held(symbol) == scene.truly_held(symbol) > 0
        assert placed(scene, tap).count(False) == 2

    on_bench(story, tmp_path, ASKS)
