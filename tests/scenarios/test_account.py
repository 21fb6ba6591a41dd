"""Scenarios A16 to A19, A21 and A26: the account as the broker tells it, wrongly, partly, or changed by others."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from longwatch.domain import messages as m
from longwatch.domain.orders import OrderState
from longwatch.domain.reconciliation.causes import Cause
from longwatch.gateway.events import Event
from longwatch.gateway.exchange.orders import Ticket
from longwatch.gateway.faults import UNSET_FIGURES
from longwatch.journal.codec import FACTS
from longwatch.journal.reading import read_records
from tests.daemon.bench import ACCOUNT, HOUR, MINUTE, SYMBOLS, Scene, plan
from tests.scenarios.witness import Witness, scenario, states

BAD_ROWS = {
    "position": "positions",
    "openOrder": "open orders",
    "execDetails": "executions",
    "completedOrder": "completed orders",
}
END_MARKS = {
    "positionEnd": "positions",
    "openOrderEnd": "open orders",
    "completedOrdersEnd": "completed orders",
    "execDetailsEnd": "executions",
    "accountSummaryEnd": "account",
}


@pytest.mark.parametrize("row", BAD_ROWS)
def test_A16_scenario_a_row_that_cannot_be_read_keeps_the_gate_shut(row: str, tmp_path: Path) -> None:
    """A failed row fails its download: not an empty account, but an unread one, and the part is named."""

    async def story(scene: Scene, witness: Witness) -> None:
        await scene.till(14, 31)
        scene.gateway.trade_by_hand("MSFT", "BUY", Decimal(100))
        scene.gateway.trade_by_hand("MSFT", "BUY", Decimal(10), limit=Decimal(1))
        await asyncio.sleep(10)
        scene.gateway.faults.spoil = {row: 1}
        scene.start()
        await asyncio.sleep(5)
        assert scene.state.compared is None
        assert any("the last download failed" in r and BAD_ROWS[row] in r for r in scene.reasons()), scene.reasons()
        assert any("the account could not be read" in t and BAD_ROWS[row] in t for t in scene.alerts())
        assert scene.status()["link"]["sync"]["state"] == "failed"
        assert scene.state.counts["kept"] == 1
        await scene.ask("reconcile")
        await scene.until(lambda: scene.reasons() == [], what="readiness")

    scenario(story, tmp_path)


@pytest.mark.parametrize("mark", END_MARKS)
def test_A16_scenario_a_download_without_an_end_is_not_an_empty_one(mark: str, tmp_path: Path) -> None:
    """Past its deadline it has failed: what was known is kept, and nothing is sent until a whole one has come."""

    async def story(scene: Scene, witness: Witness) -> None:
        def unfinished(name: str, values: dict[str, Any]) -> bool:
            return name not in (mark, mark.removesuffix("End"))

        scene.start()
        await scene.traded()
        await asyncio.sleep(MINUTE)
        held = scene.held("AAPL")
        await scene.run_job("signals")
        scene.gateway.faults.own_messages = unfinished
        await scene.ask("reconcile")
        await asyncio.sleep(31)
        assert any(f"{END_MARKS[mark]}: no end mark within 30 s" in reason for reason in scene.reasons())
        assert scene.held("AAPL") == held == scene.truly_held("AAPL")
        scene.daemon.runner.run_now("rebalance", "a test")
        await asyncio.sleep(5 * MINUTE)
        assert len(witness.placed()) == 2 and not scene.state.quarantines
        scene.gateway.faults.clear()
        await scene.ask("reconcile")
        await scene.until(lambda: scene.reasons() == [], what="readiness")
        await scene.run_job("rebalance")
        await scene.until(lambda: not scene.state.live, what="the end of every order")
        assert len(witness.placed()) == 3
        witness.agree()

    growing = plan({"AAPL": 0.05, "IBM": 0.05}, {"AAPL": 0.1, "IBM": 0.05})
    scenario(story, tmp_path, {"strategies": [growing]})


def test_A16_scenario_an_empty_account_is_one_that_ended(tmp_path: Path) -> None:
    """A whole download without the rows we hold is what it says: a difference, and its instruments held."""

    async def story(scene: Scene, witness: Witness) -> None:
        scene.start()
        await scene.traded()
        await asyncio.sleep(MINUTE)
        held = scene.held("AAPL")
        scene.gateway.faults.withhold = {"position"}
        await scene.ask("reconcile")
        await scene.until(lambda: len(scene.state.quarantines) == 2, seconds=HOUR, what="the quarantines")
        assert scene.held("AAPL") == held and scene.state.snapshot_failed is None
        await scene.run_job("rebalance")
        assert len(witness.placed()) == 2
        scene.gateway.faults.withhold = set()
        await scene.ask("reconcile")
        await scene.until(lambda: not scene.state.quarantines, what="the end of the quarantines")
        witness.agree()

    scenario(story, tmp_path, {"strategies": [plan({"AAPL": 0.05, "IBM": 0.05})]})


CHANGES = {
    "liquidation": Event(kind="liquidation", symbol="IBM"),
    "assignment": Event(kind="assignment", symbol="IBM", quantity=Decimal(-514), price=Decimal(97)),
    "exercise": Event(kind="assignment", symbol="IBM", quantity=Decimal(100), price=Decimal(97)),
    "transfer": Event(kind="transfer", symbol="IBM", quantity=Decimal(-514), price=Decimal(97)),
}


CAUSES = {
    "liquidation": Cause.LIQUIDATION,
    "assignment": Cause.ASSIGNMENT,
    "exercise": Cause.ASSIGNMENT,
    "transfer": Cause.TRANSFER,
}


@pytest.mark.parametrize("what", CHANGES)
def test_A17_scenario_the_broker_changes_a_position(what: str, tmp_path: Path) -> None:
    """Closed, taken or delivered by the broker: seen and told, and no order is sent against it, today or tomorrow."""

    async def story(scene: Scene, witness: Witness) -> None:
        scene.start()
        await scene.traded()
        await asyncio.sleep(10 * MINUTE)
        assert scene.truly_held("IBM") == 514
        scene.gateway.events.happen(CHANGES[what])
        await asyncio.sleep(HOUR)
        true = scene.truly_held("IBM")
        assert true == {"exercise": 614}.get(what, 0)
        seen = scene.state.outside.get(SYMBOLS["IBM"], ("", Decimal(0)))[1]
        assert scene.held("IBM") + seen == true or SYMBOLS["IBM"] in scene.state.quarantines
        row = next(row for row in scene.status()["positions"] if row["symbol"] == "IBM")
        assert row["account"] == str(true) and (row["outside"] != "0" or row["quarantined"])
        quarantine = scene.state.quarantines.get(SYMBOLS["IBM"])
        assert quarantine is not None and quarantine.cause is CAUSES[what]
        await scene.run_job("rebalance")
        await scene.traded(decisions=3)
        await asyncio.sleep(HOUR)
        assert scene.truly_held("IBM") == true and len(witness.placed("IBM")) == 1
        assert len(witness.placed("AAPL")) == 2

    daily = plan({"AAPL": 0.05, "IBM": 0.05}, {"AAPL": 0.1, "IBM": 0.05})
    scenario(story, tmp_path, {"strategies": [daily], "sizing": {"no_trade_band_weight": 0.02}})


def test_A17_scenario_a_liquidation_is_told_minutes_after_its_position(tmp_path: Path) -> None:
    """Held back as a difference by then, which the execution explains: a person is told what it was, and decides."""
    late: list[str] = []

    async def story(scene: Scene, witness: Witness) -> None:
        scene.gateway.faults.own_messages = lambda name, values: not (late and values.get("liquidation"))
        scene.start()
        await scene.traded()
        await asyncio.sleep(10 * MINUTE)
        late.append("the execution")
        scene.gateway.events.happen(CHANGES["liquidation"])
        for _ in range(4):
            await scene.ask("reconcile")
            await asyncio.sleep(MINUTE)
        (held,) = scene.state.quarantines.values()
        assert held.reason.startswith("position") and (scene.truly_held("IBM"), scene.held("IBM")) == (0, 514)
        late.clear()
        for _ in range(3):
            await scene.ask("reconcile")
            await asyncio.sleep(MINUTE)
        now = scene.state.quarantines.get(SYMBOLS["IBM"])
        assert now is not None and (now.cause, now.beneath) == (Cause.LIQUIDATION, None)
        assert len([text for text in scene.alerts() if "IBM: liquidation" in text and "no new orders" in text]) == 1
        await scene.traded(decisions=3)
        await asyncio.sleep(HOUR)
        assert scene.truly_held("IBM") == 0 and len(witness.placed("IBM")) == 1
        assert len(witness.placed("AAPL")) == 2

    daily = plan({"AAPL": 0.05, "IBM": 0.05}, {"AAPL": 0.1, "IBM": 0.1})
    scenario(story, tmp_path, {"strategies": [daily], "sizing": {"no_trade_band_weight": 0.02}})


def test_A18_scenario_the_instrument_in_doubt_is_held_and_the_rest_trades_on(tmp_path: Path) -> None:
    """A fill that nobody ever tells: found by comparing, its instrument alone is quarantined, visible and told."""

    def hides_what_has_filled(name: str, values: dict[str, Any]) -> bool:
        if name == "completedOrder" and values["symbol"] == "AAPL":
            return False
        return not (name == "orderStatus" and values["filled"] and values["permId"] in lost)

    lost: set[int] = set()

    async def story(scene: Scene, witness: Witness) -> None:
        gateway = scene.gateway
        gateway.faults.struck = lambda switch: lost.update(order.perm_id for order in gateway.desk.exchange.book.live())
        gateway.faults.lose_fills = 1
        gateway.faults.own_messages = hides_what_has_filled
        scene.start()
        await scene.until(lambda: scene.state.quarantines, seconds=3 * HOUR, what="the quarantine")
        (held,) = scene.state.quarantines.values()
        assert any(held.symbol in text and "no new orders in it" in text for text in scene.alerts())
        assert [row["symbol"] for row in scene.status()["quarantines"]] == [held.symbol]
        await scene.until(
            lambda: not scene.state.quarantines or len(scene.facts(m.RebalanceDecided)) >= 2, what="day 2"
        )
        await asyncio.sleep(HOUR)
        assert scene.refused().get(held.symbol) == "quarantined"
        assert len(witness.placed(held.symbol)) == 1
        assert scene.held("MSFT") == scene.truly_held("MSFT") > 0

    daily = plan({"AAPL": 0.05, "IBM": 0.05}, {"AAPL": 0.1, "IBM": 0.1, "MSFT": 0.1})
    scenario(story, tmp_path, {"strategies": [daily]})


@pytest.mark.parametrize("order_ref", ["somebody else's", ""])
def test_A19_scenario_orders_of_strangers_are_counted_and_never_touched(order_ref: str, tmp_path: Path) -> None:
    """By hand and by another client, one even under our order id: shown, exposure, and left alone by every verb.

    A program that gives its orders no reference is known by its client id alone.
    """

    async def story(scene: Scene, witness: Witness) -> None:
        exchange = scene.gateway.desk.exchange
        await scene.till(14, 31)
        scene.gateway.trade_by_hand("AAPL", "BUY", Decimal(4000), limit=Decimal(40))
        exchange.place(ticket(scene, order_id=2001, symbol="IBM", order_ref=order_ref))
        await asyncio.sleep(5)
        scene.start()
        await scene.until(lambda: scene.facts(m.RebalanceDecided), what="the rebalance")
        number = witness.placed("IBM")[0].values["orderId"]
        assert number in (2002, 2003)
        exchange.place(ticket(scene, order_id=number, symbol="IBM", order_ref=order_ref))
        await asyncio.sleep(5 * MINUTE)
        await scene.ask("reconcile")
        await scene.settled()
        await asyncio.sleep(MINUTE)
        shown = {(row["symbol"], row["remaining"]) for row in scene.status()["foreign_orders"]}
        assert shown == {("AAPL", "4000"), ("IBM", "700")}
        limit = scene.state.settings.max_position_size
        assert only_quantity(witness, "AAPL") == limit - 4000
        ours = {seen.values["orderId"] for seen in witness.placed()}
        await scene.ask("cancel", "all") if scene.state.live else None
        await scene.ask("halt")
        await scene.ask("resume")
        await scene.ask("flatten")
        await scene.until(lambda: not any(row.quantity for row in scene.state.book.values()), what="flat")
        await scene.till(20, 50)
        strangers = [order for order in exchange.book.live() if not order.ticket.order_ref.startswith("lw:")]
        assert len(strangers) == 3 and not any(order.is_cancelling for order in strangers)
        assert set(witness.cancels()) <= ours | {seen.values["orderId"] for seen in witness.placed()}
        assert not scene.state.quarantines
        witness.agree()

    trading = {"strategies": [plan({"AAPL": 0.45, "IBM": 0.05})], "execution": {"max_position_size": 5000}}
    scenario(story, tmp_path, trading)


def only_quantity(witness: Witness, symbol: str) -> Decimal:
    """What the one order of a symbol asked for."""
    (seen,) = witness.placed(symbol)
    quantity: Decimal = seen.values["totalQuantity"]
    return quantity


def ticket(
    scene: Scene, *, order_id: int, symbol: str, order_ref: str, client_id: int = 77, shares: int = 700
) -> Ticket:
    """A buy far below the market by another client of the API."""
    instrument = scene.gateway.desk.market.find(symbol)
    assert instrument is not None
    return Ticket(
        order_id=order_id,
        client_id=client_id,
        account=ACCOUNT,
        instrument=instrument,
        action="BUY",
        quantity=Decimal(shares),
        order_type="LMT",
        limit=Decimal(20),
        order_ref=order_ref,
    )


def test_A21_scenario_a_difference_that_never_goes_is_no_loop(tmp_path: Path) -> None:
    """Shares that no message explains: a few readings, then quarantine and alert; no order, no reading without end."""

    def hides_what_has_filled(name: str, values: dict[str, Any]) -> bool:
        return name != "completedOrder" and not (name == "orderStatus" and values["filled"])

    async def story(scene: Scene, witness: Witness) -> None:
        scene.gateway.faults.lose_fills = 1
        scene.gateway.faults.own_messages = hides_what_has_filled
        scene.start()
        await scene.until(lambda: scene.state.quarantines, seconds=3 * HOUR, what="the quarantine")
        assert len(witness.heard("positionEnd")) < 8
        (held,) = scene.state.quarantines.values()
        assert "is not the account's" in held.reason
        assert any(f"{held.symbol}: position: book" in text for text in scene.alerts())
        (order,) = scene.state.live_orders()
        assert order.symbol == held.symbol and order.remaining > 0
        before, sent = len(witness.heard("positionEnd")), len(witness.placed())
        await asyncio.sleep(2 * HOUR)
        rounds = 2 * HOUR / scene.state.settings.absence_round_seconds
        assert 8 <= len(witness.heard("positionEnd")) - before < rounds / 2
        assert len(witness.placed()) == sent and len(scene.facts(m.QuarantineSet)) == 1

    scenario(story, tmp_path)


def test_A21_scenario_a_difference_that_never_stands_still(tmp_path: Path) -> None:
    """A share comes every few seconds, and no two readings agree: quarantined all the same, after so many of them."""

    async def story(scene: Scene, witness: Witness) -> None:
        scene.start()
        await scene.traded()
        await asyncio.sleep(10 * MINUTE)
        before = len(witness.heard("positionEnd"))
        share = Event(kind="transfer", symbol="IBM", quantity=Decimal(1), price=Decimal(97))
        for _ in range(360):
            scene.gateway.events.happen(share)
            await asyncio.sleep(5)
            if scene.state.quarantines:
                break
        assert [row.symbol for row in scene.state.quarantines.values()] == ["IBM"]
        assert len(witness.heard("positionEnd")) - before < 60
        assert any("IBM" in text and "no new orders in it" in text for text in scene.alerts())
        assert len(witness.placed()) == 2

    scenario(story, tmp_path, {"strategies": [plan({"AAPL": 0.05, "IBM": 0.05})]})


@pytest.mark.parametrize("part", UNSET_FIGURES)
def test_A26_scenario_sentinels_are_absent(part: str, tmp_path: Path) -> None:
    """1.797e308 in every figure that gateways leave unset: no fact has it, the book is as if it were not there."""

    async def story(scene: Scene, witness: Witness) -> None:
        struck: list[str] = []
        scene.gateway.faults.unset, scene.gateway.faults.struck = {part: 100_000}, struck.append
        scene.start()
        await asyncio.sleep(HOUR + 10 * MINUTE)
        await scene.ask("reconcile")
        await asyncio.sleep(MINUTE)
        assert set(struck) == {"unset"}
        if part == "accountSummary":
            assert any("failed (account: the broker gave no NetLiquidation" in reason for reason in scene.reasons())
            assert not witness.placed()
            return
        assert set(states(scene).values()) == {OrderState.FILLED}
        witness.agree()
        for holding in scene.state.book.values():
            assert holding.average_cost < 1000
        for record in read_records(scene.bench.journal):
            assert record.kind not in FACTS or not (b"E+308" in record.payload or b"1.797" in record.payload), record
        if part == "commissionReport":
            assert all(order.commission == 0 for order in scene.orders())

    scenario(story, tmp_path, {"strategies": [plan({"AAPL": 0.05, "IBM": 0.05})]})
