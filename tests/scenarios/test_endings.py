"""Scenarios A11 to A15 and A22 to A24: cancels, corrections, rejections and fractions, each against a whole daemon."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from longwatch.domain import messages as m
from longwatch.domain.orders import OrderState
from longwatch.domain.reconciliation.causes import Cause
from longwatch.gateway.conduct import Conduct, Latencies
from longwatch.gateway.events import Event
from longwatch.gateway.faults import LIVE
from longwatch.ops.tables import orders_text, status_text
from tests.daemon.bench import DAY, HOUR, MINUTE, SYMBOLS, Scene, plan
from tests.scenarios.witness import RESTING, Witness, moves, only, scenario, states

TOO_LATE = {
    104: "Cannot modify a filled order.",
    10147: "OrderId {id} that needs to be cancelled is not found.",
    10148: "OrderId {id} that needs to be cancelled cannot be cancelled, state: Filled.",
}


@pytest.mark.parametrize("code", TOO_LATE)
def test_A11_scenario_a_cancel_of_a_filled_order(code: int, tmp_path: Path) -> None:
    """The fill is on its way as the cancel leaves: one cancel, the fill is booked, and nothing goes round and round."""

    def answered(name: str, values: dict[str, Any]) -> bool:
        if name == "error" and values["errorCode"] in TOO_LATE:
            values |= {"errorCode": code, "errorString": TOO_LATE[code].format(id=values["reqId"])}
        is_of_the_fill = values.get("status") == "Filled" or (name == "execDetails" and values["reqId"] == LIVE)
        return not (is_of_the_fill and name != "completedOrder")

    async def story(scene: Scene, witness: Witness) -> None:
        scene.gateway.faults.own_messages = answered
        scene.start()
        await scene.until(lambda: states(scene).get("IBM") is OrderState.WORKING, what="the order")
        await asyncio.sleep(5)
        assert witness.filled("IBM") == only(scene.orders(), "IBM").quantity
        assert states(scene)["IBM"] is OrderState.WORKING
        await scene.ask("cancel", "IBM")
        await asyncio.sleep(HOUR)
        order = only(scene.orders(), "IBM")
        assert code in witness.codes()
        assert witness.cancels() == [order.order_id]
        assert (order.state, order.filled) == (OrderState.FILLED, order.quantity)
        assert moves(scene, "IBM") == {OrderState.SENDING, OrderState.WORKING, OrderState.FILLED}
        assert len(scene.events(m.SnapshotSeen)) < 12
        assert len(witness.placed()) == 1
        witness.agree()

    scenario(
        story,
        tmp_path,
        {"strategies": [plan({"IBM": 0.05})]},
        latencies=Latencies(fill_least=2.0, fill_most=2.5),
    )


def test_A11_scenario_a_cancel_that_takes_hours_is_asked_for_at_the_pace_of_readings(tmp_path: Path) -> None:
    """Each further one is answered "too late", which asks for a reading: that one doesn't send the next cancel."""

    async def story(scene: Scene, witness: Witness) -> None:
        scene.start()
        await scene.till(15)
        order = only(scene.orders(), "IBM")
        await scene.ask("cancel", "IBM")
        await scene.until(lambda: 10148 in witness.codes(), seconds=HOUR, what="the answer to the second cancel")
        await asyncio.sleep(MINUTE)
        assert len(witness.cancels()) == 2
        await asyncio.sleep(2 * HOUR)
        assert states(scene)["IBM"] is OrderState.WORKING
        assert set(witness.cancels()) == {order.order_id}
        readings = [event for event in scene.events(m.SnapshotSeen) if event.reason == "reconcile"]
        assert 8 <= len(witness.cancels()) - 1 <= len(readings)
        await scene.until(lambda: states(scene)["IBM"] is OrderState.CANCELLED, what="its end")
        witness.agree()

    slow = Latencies(cancel=3 * HOUR)
    scenario(story, tmp_path, {"strategies": [plan({"IBM": 0.05})], "execution": RESTING}, latencies=slow)


def test_A12_scenario_a_cancel_acknowledged_hours_later(tmp_path: Path) -> None:
    """PendingCancel from one day into the next: the order counts as exposure until the broker says that it is gone."""

    async def story(scene: Scene, witness: Witness) -> None:
        def pending(name: str, values: dict[str, Any]) -> bool:
            if values.get("status") == "PreSubmitted" and any(o.is_cancelling for o in book.live()):
                values["status"] = "PendingCancel"
            return True

        book = scene.gateway.desk.exchange.book
        scene.gateway.faults.own_messages = pending
        scene.start()
        await scene.until(lambda: states(scene).get("AAPL") is OrderState.WORKING, what="the resting sale")
        await scene.till(14, 45)
        await scene.run_job("signals")
        for _ in range(6):
            await scene.run_job("rebalance")
            await asyncio.sleep(HOUR)
            assert states(scene) == {"AAPL": OrderState.WORKING}
            assert scene.refused() == {"AAPL": "opposite_order", "GOOG": "max_gross_exposure"}
        assert witness.heard("orderStatus")[-1].values["status"] == "PendingCancel"
        order = only(scene.orders(), "AAPL")
        assert set(witness.cancels()) == {order.order_id} and len(witness.placed()) == 1
        await scene.until(lambda: not scene.state.orders[order.intent].is_live, what="the broker's word")
        (end,) = witness.entries("ended")
        assert scene.state.orders[order.intent].state is OrderState.CANCELLED
        assert scene.bench.clock.market() - order.created_at > timedelta(hours=20)
        assert scene.bench.clock.market() - datetime.fromisoformat(end["at"]) < timedelta(seconds=10)
        await scene.until(lambda: scene.held("GOOG"), what="the trade that had waited for it")
        await scene.until(lambda: not scene.state.live, what="the end of every order")
        assert scene.truly_held("AAPL") == 0
        witness.never_twice()
        witness.agree()

    trading = {
        "strategies": [plan({"AAPL": -0.4}, {"GOOG": 0.4})],
        "execution": {"tif": "GTC"},
        "risk": {"allow_short": True, "max_gross_exposure": 0.5, "max_net_exposure": 0.5},
        "account_limits": {"check_shortable": False},
    }
    slow = Latencies(cancel=20 * HOUR)
    scenario(story, tmp_path, trading, latencies=slow, hard_to_borrow=frozenset({"AAPL"}))


def test_A13_scenario_held_while_shares_are_located(tmp_path: Path) -> None:
    """404 on a short sale: it stays working, nothing is sent beside it, and it fills once the shares are found."""

    async def story(scene: Scene, witness: Witness) -> None:
        scene.start()
        await scene.until(lambda: 404 in witness.codes(), what="404")
        for _ in range(3):
            await scene.run_job("rebalance")
            await asyncio.sleep(10 * MINUTE)
        assert states(scene) == {"IBM": OrderState.WORKING}
        assert len(witness.placed()) == 1 and not witness.cancels()
        scene.gateway.desk.exchange.locate("IBM")
        await scene.until(lambda: not scene.state.live, what="the fill")
        assert moves(scene, "IBM") == {OrderState.SENDING, OrderState.WORKING, OrderState.FILLED}
        assert scene.truly_held("IBM") == -only(scene.orders(), "IBM").quantity
        witness.agree()

    short = {"strategies": [plan({"IBM": -0.05})], "risk": {"allow_short": True}}
    short["account_limits"] = {"check_shortable": False}
    scenario(story, tmp_path, short, hard_to_borrow=frozenset({"IBM"}))


def test_A14_scenario_no_exit_is_left_over_after_a_flatten(tmp_path: Path) -> None:
    """A flatten in the middle of partly filled buys and sells: all closed, no order left that could open anything.

    Exits at work, stops and the flatten's own never add up to a reversal, and none of them outlives it.
    """

    async def story(scene: Scene, witness: Witness) -> None:
        scene.start()
        await scene.traded()
        await scene.run_job("signals")
        scene.daemon.runner.run_now("rebalance", "a test")
        await scene.until(
            lambda: any(o.filled and o.is_live and o.symbol == "IBM" for o in scene.orders()), what="a part of the exit"
        )
        entry = next(o for o in scene.orders() if o.symbol == "AAPL" and o.is_live)
        assert entry.side.value == "BUY"
        await scene.ask("flatten")
        await scene.until(lambda: not any(holding.quantity for holding in scene.state.book.values()), what="flat")
        await scene.settled()
        assert entry.order_id in witness.cancels()
        assert (scene.truly_held("AAPL"), scene.truly_held("IBM")) == (0, 0)
        assert not witness.live() and not list(scene.gateway.desk.exchange.book.live())
        for symbol in ("AAPL", "IBM"):
            assert witness.lowest(symbol) >= 0
        await asyncio.sleep(DAY)
        assert (scene.truly_held("AAPL"), scene.truly_held("IBM")) == (0, 0)
        witness.agree()

    both = plan({"AAPL": 0.1, "IBM": 0.4}, {"AAPL": 0.45, "IBM": 0.0})
    scenario(story, tmp_path, {"strategies": [both]})


def stops_in(scene: Scene, symbol: str) -> list[Any]:
    """The stops that rest at the gateway."""
    live = scene.gateway.desk.exchange.book.live()
    return [one for one in live if one.ticket.order_type == "STP" and one.ticket.instrument.symbol == symbol]


def test_A14_scenario_a_stop_rests_for_what_has_filled_and_is_gone_with_it(tmp_path: Path) -> None:
    """From the first fill on, never for more than is held; the exit shares its group; nothing is left of either."""

    async def story(scene: Scene, witness: Witness) -> None:
        scene.start()
        seen: list[Decimal] = []
        for _ in range(2):
            await scene.until(
                lambda: stops_in(scene, "IBM") and scene.truly_held("IBM") not in seen, what="a stop for more"
            )
            (stop,) = stops_in(scene, "IBM")
            assert stop.remaining <= scene.truly_held("IBM")
            seen.append(scene.truly_held("IBM"))
            await asyncio.sleep(MINUTE)
        await scene.traded()
        await asyncio.sleep(MINUTE)
        (stop,) = stops_in(scene, "IBM")
        assert stop.remaining == scene.truly_held("IBM") > 0
        await scene.until(lambda: any(o.purpose.value == "reduce" for o in scene.orders()), what="the exit")
        exit_ = next(o for o in scene.orders() if o.purpose.value == "reduce")
        assert exit_.oca_group == stop.ticket.oca_group != ""
        await scene.until(lambda: not scene.truly_held("IBM"), what="the end of the position")
        await asyncio.sleep(MINUTE)
        assert stops_in(scene, "IBM") == [] and not scene.state.live
        assert witness.lowest("IBM") >= 0
        witness.agree()

    both = plan({"IBM": 0.4}, {"IBM": 0.0})
    scenario(story, tmp_path, {"strategies": [both], "stops": {"fraction": 0.2}})


@pytest.mark.parametrize("way", ["corrected", "busted"])
def test_A15_scenario_a_correction_is_no_further_fill(way: str, tmp_path: Path) -> None:
    """`.02` takes the place of `.01`: position, price and cash follow it, also where it has no shares left."""

    async def story(scene: Scene, witness: Witness) -> None:
        setattr(scene.gateway.faults, "correct_fills" if way == "corrected" else "bust_fills", 2)
        scene.start()
        await scene.traded()
        await asyncio.sleep(MINUTE)
        revised = [seen for seen in witness.heard("execDetails") if seen.values["execId"].endswith(".02")]
        assert len({seen.values["execId"] for seen in revised}) == 2
        witness.agree()
        true = {fill.exec_id: fill for fill in scene.gateway.ledger.executions}
        for exec_id, fill in scene.state.fills.items():
            assert exec_id not in true or (fill.price, abs(fill.quantity)) == (
                true[exec_id].price,
                true[exec_id].quantity,
            )
        await scene.ask("reconcile")
        await asyncio.sleep(HOUR)
        assert not scene.state.quarantines and scene.reasons() == []

    scenario(story, tmp_path, {"strategies": [plan({"AAPL": 0.05, "IBM": 0.05})]}, conduct=Conduct(bust_revised=True))


@pytest.mark.parametrize("revised", [False, True])
def test_A15_scenario_the_book_follows_a_bust(revised: bool, tmp_path: Path) -> None:
    """Told by a revision of no shares, or by nothing but position and executions: within an hour, and bought again."""

    async def story(scene: Scene, witness: Witness) -> None:
        scene.start()
        await scene.traded()
        held, paid = scene.held("AAPL"), scene.state.valued
        scene.gateway.events.happen(Event(kind="bust", symbol="AAPL"))
        assert scene.truly_held("AAPL") < held and paid is not None
        await asyncio.sleep(HOUR)
        assert scene.held("AAPL") == scene.truly_held("AAPL") < held
        assert not scene.state.quarantines and scene.reasons() == []
        assert {order.state for order in scene.orders()} == {OrderState.FILLED}
        await scene.run_job("rebalance")
        await scene.until(lambda: not scene.state.live, what="the end of every order")
        assert scene.held("AAPL") == scene.truly_held("AAPL") >= held

    scenario(story, tmp_path, conduct=Conduct(bust_revised=revised))


def test_A15_scenario_a_bust_that_nobody_tells(tmp_path: Path) -> None:
    """Started anew the gateway shows no executions at all: quarantined; `adopt` says that the account is right."""

    async def story(scene: Scene, witness: Witness) -> None:
        scene.start()
        await scene.traded()
        held = scene.held("AAPL")
        scene.gateway.events.happen(Event(kind="bust", symbol="AAPL"))
        await scene.gateway.refuse_connections()
        scene.gateway.desk.restarted()
        await scene.gateway.accept_connections()
        await asyncio.sleep(HOUR)
        assert scene.held("AAPL") == held and set(scene.state.quarantines) == {SYMBOLS["AAPL"]}
        assert any("AAPL: position: book" in text for text in scene.alerts())
        await scene.run_job("rebalance")
        assert len(witness.placed("AAPL")) == 1
        answer = await scene.ask("adopt", "AAPL")
        assert answer["ok"]
        await asyncio.sleep(HOUR)
        assert scene.held("AAPL") == scene.truly_held("AAPL") < held
        assert not scene.state.quarantines and scene.reasons() == []

    scenario(story, tmp_path)


def test_A15_scenario_shares_called_away_after_the_gateways_midnight_are_no_bust(tmp_path: Path) -> None:
    """Set up in Hong Kong, its list of the day begins anew at eleven in New York: its silence takes no fill back."""

    async def story(scene: Scene, witness: Witness) -> None:
        scene.start()
        await scene.traded()
        held = scene.held("AAPL")
        await scene.till(16, 5)
        assert not scene.gateway.desk.executions_today()
        called = Event(kind="assignment", symbol="AAPL", quantity=-held, price=Decimal(80))
        scene.gateway.events.happen(called)
        await asyncio.sleep(HOUR)
        assert scene.held("AAPL") == held and scene.truly_held("AAPL") == 0
        assert set(scene.state.quarantines) == {SYMBOLS["AAPL"]}
        await scene.run_job("rebalance")
        assert len(witness.placed("AAPL")) == 1

    scenario(story, tmp_path, gateway={"zone": "Asia/Hong_Kong"})


async def without_money(scene: Scene) -> None:
    """The account is emptied in the night, after the orders were sized: the broker's margin check refuses them."""
    scene.gateway.events.happen(Event(kind="cash", amount=Decimal(-999_000)))


def test_A22_scenario_a_rejected_order_is_explained(tmp_path: Path) -> None:
    """Quantity, reason and what comes next are in the alert, in `status` and in `orders`."""

    async def story(scene: Scene, witness: Witness) -> None:
        scene.start()
        await scene.till(14, 32)
        await without_money(scene)
        await scene.until(lambda: states(scene).get("IBM") is OrderState.REJECTED, what="the rejection")
        assert 201 in witness.codes() and not witness.live()
        order, reason = only(scene.orders(), "IBM"), "Order rejected - reason:"
        (told,) = [text for text in scene.alerts() if order.ref in text]
        for text in (
            told,
            next(row for row in orders_text((await scene.ask("orders"))["data"]).splitlines() if "IBM" in row),
        ):
            assert str(order.quantity) in text and reason in text, text
            assert "the next decision sends what is then wanted" in text, text
        alert = next(row["text"] for row in scene.status()["alerts"] if order.ref in row["text"])
        assert alert == told and told in status_text(scene.status())

    scenario(story, tmp_path, {"strategies": [plan({"IBM": 0.4})]})


def test_A22_scenario_a_rejection_that_comes_behind_our_own_cancel(tmp_path: Path) -> None:
    """Order and cancel waited behind one window: told, with its reason, and not sent again for want of a permission."""

    def refused(name: str, values: dict[str, Any]) -> bool:
        if name == "error" and values["errorCode"] == 201:
            values |= {"errorCode": 203, "errorString": "The security is not available or allowed for this account"}
        return name not in ("openOrder", "orderStatus", "completedOrder")

    async def story(scene: Scene, witness: Witness) -> None:
        scene.gateway.faults.own_messages = refused
        scene.gateway.faults.dialog = True
        scene.start()
        await scene.till(14, 32)
        await without_money(scene)
        await scene.until(lambda: states(scene).get("IBM") is OrderState.UNKNOWN, what="silence")
        await scene.until(witness.cancels, what="the question whether the gateway has it")
        assert not witness.codes().count(203)
        scene.gateway.desk.close_dialog()
        await scene.until(lambda: states(scene)["IBM"] is not OrderState.UNKNOWN, what="the outcome")
        assert next(code for code in witness.codes() if code in (203, 10147, 10148)) == 203
        order = only(scene.orders(), "IBM")
        assert (order.state, order.text.split()[0]) == (OrderState.REJECTED, "203")
        told = [text for text in scene.alerts() if "not available or allowed for this account" in text]
        assert len(told) == 2 and any(order.ref in text for text in told)
        (row,) = scene.state.breakers.values()
        assert (row.reason, len(row.strikes)) == ("rejected (203)", 1)
        await scene.until(lambda: scene.reasons() == [], what="readiness")
        await scene.run_job("rebalance")
        await asyncio.sleep(HOUR)
        assert len(witness.placed("IBM")) == 1 and not witness.live("IBM")
        assert [held.cause for held in scene.state.quarantines.values()] == [Cause.NOT_PERMITTED]

    scenario(story, tmp_path, {"strategies": [plan({"IBM": 0.4})]})


def test_A23_scenario_the_breaker_ends_a_row_of_rejections(tmp_path: Path) -> None:
    """Three rejections for one reason: no fourth order, an alert, and after the wait a single one may try."""

    async def story(scene: Scene, witness: Witness) -> None:
        scene.start()
        await scene.till(14, 32)
        await without_money(scene)
        await scene.until(lambda: states(scene).get("IBM") is OrderState.REJECTED, what="the rejection")
        for _ in range(6):
            await scene.run_job("rebalance")
            await asyncio.sleep(MINUTE)
        assert len(witness.placed("IBM")) == 3
        assert scene.refused().get("IBM") == "breaker"
        assert any("3 times: no entry in it before" in text for text in scene.alerts())
        await asyncio.sleep(HOUR)
        for _ in range(4):
            await scene.run_job("rebalance")
            await asyncio.sleep(MINUTE)
        assert len(witness.placed("IBM")) == 4

    scenario(story, tmp_path, {"strategies": [plan({"IBM": 0.4})]})


def test_A23_scenario_what_the_broker_cancels_is_not_sent_again(tmp_path: Path) -> None:
    """Cancelled at the broker day after day: one order a session, from the third on none for longer, each time told."""

    async def story(scene: Scene, witness: Witness) -> None:
        desk = scene.gateway.desk

        def cancel_what_works() -> None:
            for order in desk.exchange.book.live():
                desk.exchange._venue.floor.cancel(order, "Cancelled by System:\n")

        desk.listeners.append(
            lambda name: desk.timeline.after(2.0, cancel_what_works) if name == "placeOrder" else None
        )
        scene.start()
        for day in range(1, 6):
            await scene.till(14, 36)
            for _ in range(3):
                await scene.run_job("rebalance")
                await asyncio.sleep(20 * MINUTE)
            sent = {seen.at.date() for seen in witness.placed()}
            assert len(witness.placed()) == len(sent) <= day
            if day == 3:
                assert any("3 times: no entry in it before" in text for text in scene.alerts())
        assert scene.truly_held("IBM") == 0

    scenario(story, tmp_path, {"strategies": [plan({"IBM": 0.4})], "execution": RESTING})


def test_A24_scenario_fractional_shares_stay_exact(tmp_path: Path) -> None:
    """57.68 shares are adopted as 57.68 and sold as 57.68: no short of 0.32, nothing left."""

    async def story(scene: Scene, witness: Witness) -> None:
        await scene.till(14, 31)
        scene.gateway.events.happen(
            Event(kind="transfer", symbol="GOOG", quantity=Decimal("57.68"), price=Decimal(460))
        )
        await asyncio.sleep(10)
        scene.start()
        await scene.until(lambda: scene.state.compared, what="the first comparison")
        assert scene.held("GOOG") == scene.truly_held("GOOG") == Decimal("57.68")
        assert next(row["account"] for row in scene.status()["positions"]) == "57.68"
        await scene.until(lambda: scene.facts(m.RebalanceDecided), what="the rebalance")
        await scene.until(lambda: not scene.state.live, what="the sale")
        assert [seen.values["totalQuantity"] for seen in witness.placed()] == [Decimal("57.68")]
        assert scene.truly_held("GOOG") == scene.held("GOOG") == 0

    trading = {"strategies": [plan({"GOOG": 0.0})], "execution": {"adopt_existing": "all"}}
    scenario(story, tmp_path, trading, conduct=Conduct(takes_fractions=True))
