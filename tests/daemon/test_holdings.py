"""Shares the account held before, and trades by others: not ours until a person says so."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path

from longwatch.config.load import load
from longwatch.domain import messages as m
from longwatch.domain.orders import OrderType
from longwatch.gateway.events import Event
from tests.daemon.bench import HOUR, Scene, on_bench, plan, write_config


async def held_before(scene: Scene) -> None:
    """Two hundred GOOG and three hundred IBM, bought by hand on the first morning."""
    await scene.till(14, 31)
    scene.gateway.trade_by_hand("GOOG", "BUY", Decimal(200))
    scene.gateway.trade_by_hand("IBM", "BUY", Decimal(300))
    await asyncio.sleep(HOUR)
    assert (scene.truly_held("GOOG"), scene.truly_held("IBM")) == (200, 300)


def rows(scene: Scene) -> dict[str, tuple[str, str, str]]:
    return {row["symbol"]: (row["book"], row["outside"], row["account"]) for row in scene.status()["positions"]}


def test_holdings_from_before_are_not_ours(tmp_path: Path) -> None:
    """At the first start they are shown as outside: not sold though no strategy names them, no difference either."""

    async def story(scene: Scene) -> None:
        await held_before(scene)
        scene.start()
        await scene.traded()
        assert rows(scene)["GOOG"] == ("0", "200", "200")
        assert rows(scene)["IBM"][1] == "300"
        assert scene.truly_held("IBM") == scene.held("IBM") + 300
        assert scene.truly_held("GOOG") == 200
        assert scene.reasons() == [] and not scene.state.quarantines

    on_bench(story, tmp_path)


def test_adopt_makes_them_ours(tmp_path: Path) -> None:
    """Once adopted they count: what no strategy wants is sold, what one wants is bought less of."""

    async def story(scene: Scene) -> None:
        await held_before(scene)
        scene.start()
        await scene.until(lambda: scene.state.outside, what="the first comparison")
        await scene.ask("adopt", "all")
        assert rows(scene) == {"GOOG": ("200", "0", "200"), "IBM": ("300", "0", "300")}
        await scene.traded()
        assert scene.truly_held("GOOG") == scene.held("GOOG") == 0
        assert scene.truly_held("IBM") == scene.held("IBM")
        (purchase,) = [order for order in scene.orders() if order.symbol == "IBM"]
        assert purchase.quantity == scene.held("IBM") - 300

    on_bench(story, tmp_path, {"strategies": [plan({"IBM": 0.4, "GOOG": 0.0})]})


def test_shares_adopted_of_what_no_strategy_names_have_quotes_and_a_stop_at_once(tmp_path: Path) -> None:
    """No restart is waited for: the contract is asked for, its quotes come, its stop rests, a flatten closes it."""

    async def story(scene: Scene) -> None:
        await held_before(scene)
        scene.start()
        await scene.traded()
        assert "GOOG" not in scene.state.instruments
        await scene.ask("adopt", "GOOG")
        await asyncio.sleep(10)
        quotes = {quote.symbol: quote for quote in scene.daemon.broker.quotes()}
        assert quotes["GOOG"].bid is not None and quotes["GOOG"].ask is not None
        assert quotes["IBM"].bid is not None
        await asyncio.sleep(HOUR)
        (stop,) = [order for order in scene.orders() if order.symbol == "GOOG" and order.is_live]
        assert stop.rests and stop.quantity == 200
        await scene.ask("flatten")
        await scene.until(lambda: not scene.held("GOOG"), what="the end of the adopted shares")
        assert scene.truly_held("GOOG") == 0

    on_bench(story, tmp_path, {"strategies": [plan({"IBM": 0.4})], "stops": {"fraction": 0.5}})


def test_the_first_start_adopts_by_setting(tmp_path: Path) -> None:
    """execution.adopt_existing: all."""

    async def story(scene: Scene) -> None:
        await held_before(scene)
        scene.start()
        await scene.until(lambda: scene.state.compared, what="the first comparison")
        assert rows(scene) == {"GOOG": ("200", "0", "200"), "IBM": ("300", "0", "300")}

    on_bench(story, tmp_path, {"execution": {"adopt_existing": "all"}})


def test_what_others_buy_later_is_theirs(tmp_path: Path) -> None:
    """A trade by hand in mid-run moves the account, not our book, and quarantines nothing."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        ours = scene.held("AAPL")
        scene.gateway.trade_by_hand("AAPL", "SELL", Decimal(50))
        await asyncio.sleep(HOUR)
        assert scene.held("AAPL") == ours and scene.truly_held("AAPL") == ours - 50
        assert rows(scene)["AAPL"][1] == "-50"
        assert not scene.state.quarantines and scene.reasons() == []

    on_bench(story, tmp_path)


def test_others_exposure_counts_against_our_limits(tmp_path: Path) -> None:
    """With a weight limit of 5 % and the owner holding more than that, nothing of it is bought beside it."""

    async def story(scene: Scene) -> None:
        await held_before(scene)
        scene.start()
        await scene.until(lambda: scene.facts(m.RebalanceDecided), what="the rebalance")
        assert scene.refused() == {"GOOG": "max_weight"}

    on_bench(story, tmp_path, {"strategies": [plan({"GOOG": 0.05})], "risk": {"max_weight": 0.05}})


def test_trading_goes_on_after_a_restart_where_it_stood(tmp_path: Path) -> None:
    """A second daemon on the journal: same book, no second purchase, the day's fills not booked twice."""

    async def story(scene: Scene) -> None:
        await held_before(scene)
        scene.start()
        await scene.traded()
        await asyncio.sleep(HOUR)
        before = rows(scene)
        await scene.stop()
        scene.start()
        await scene.until(lambda: scene.state.epoch == 2 and scene.reasons() == [], what="readiness")
        assert rows(scene) == before
        assert scene.state.runs == 2
        orders = len(scene.orders())
        await scene.run_job("rebalance")
        assert len(scene.orders()) == orders
        assert scene.held("IBM") + 300 == scene.truly_held("IBM")

    on_bench(story, tmp_path)


def test_what_no_strategy_asks_for_any_more_is_shown_told_once_priced_and_closed_by_a_flatten(tmp_path: Path) -> None:
    """Its contract and its quotes are asked for as long as it is held, so a flatten by limit closes it."""
    both, one = ({"strategies": [plan(weights)]} for weights in ({"AAPL": 0.1, "IBM": 0.1}, {"AAPL": 0.1}))

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        assert scene.held("IBM") > 0
        for times in (1, 0):
            await scene.stop()
            scene.bench.loaded = load(write_config(scene.bench.folder, one), {})
            scene.start()
            await scene.until(lambda: "IBM" not in scene.state.settings.universe and not scene.reasons(), what="ready")
            assert len([text for text in scene.alerts() if "IBM is held, and no strategy asks" in text]) == times
        shown = {row["symbol"]: row["left_behind"] for row in scene.status()["positions"]}
        assert shown == {"AAPL": False, "IBM": True}
        held = scene.held("IBM")
        await scene.run_job("rebalance")
        assert scene.held("IBM") == scene.truly_held("IBM") == held
        await scene.ask("flatten", "LMT")
        await scene.until(lambda: not scene.state.live and not scene.truly_held("IBM"), what="the end of the position")
        assert scene.orders()[-1].order_type is OrderType.LIMIT

    on_bench(story, tmp_path, both)


def test_reconcile_reads_the_account_anew_and_shows_what_differs(tmp_path: Path) -> None:
    """Shares that nobody explains: class, age and what would lift the quarantine, as a table and as values."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        scene.gateway.events.happen(Event(kind="transfer", symbol="IBM", quantity=Decimal(30), price=Decimal(90)))
        await asyncio.sleep(HOUR)
        reply = await scene.ask("reconcile")
        found = reply["data"]
        assert reply["ok"] and found["fresh"] and found["age_seconds"] < 5
        first = found["instruments"][0]
        assert (first["symbol"], first["difference"], first["class"]) == ("IBM", "30", "transfer")
        assert first["quarantined_seconds"] > 1800 and "longwatch adopt IBM" in first["lifted_by"]
        assert json.loads(json.dumps(found)) == found
        text = reply["text"].splitlines()
        assert text[0].startswith("compared 0 s ago") and text[2].split()[0] == "IBM"
        assert any("lifted by: book and account agreeing again" in line for line in text)

    on_bench(story, tmp_path)


def test_without_a_fresh_reading_the_age_of_the_last_is_told(tmp_path: Path) -> None:
    """The gateway is away: the answer comes by its deadline, and says what it is."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        scene.gateway.faults.refuse = True
        for link in scene.bench.network.links:
            link.reset()
        await asyncio.sleep(HOUR)
        reply = await scene.ask("reconcile")
        assert not reply["data"]["fresh"] and reply["data"]["age_seconds"] > 1800
        assert (reply["ok"], reply["exit_code"]) == (False, 1)
        assert "no fresh reading came in time, the link is" in reply["text"]
        assert "AAPL" in reply["text"]

    on_bench(story, tmp_path)
