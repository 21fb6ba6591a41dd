"""Scenarios A19: names of our orders on orders of somebody else's."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from longwatch.domain import messages as m
from longwatch.domain.orders import OrderState
from longwatch.domain.reconciliation.causes import Cause
from longwatch.engine import loop
from longwatch.gateway.conduct import Conduct
from longwatch.gateway.market.market import Instrument, Replay
from longwatch.simulation.replay import replayed_market
from tests.daemon.bench import DAY, HOUR, MINUTE, SYMBOLS, Scene, plan
from tests.scenarios.test_account import ticket
from tests.scenarios.witness import Witness, scenario


def test_A19_scenario_another_program_is_given_the_number_of_an_order_that_never_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its order in another contract is not ours: not booked as ours, and no verb cancels it."""

    async def story(scene: Scene, witness: Witness) -> None:
        exchange = scene.gateway.desk.exchange
        scene.start()
        await scene.traded(1)
        monkeypatch.setattr(loop, "gate", lambda *_, **__: "shut by the test")
        await scene.until(lambda: [o for o in scene.orders() if o.state is OrderState.UNSENT], what="withheld orders")
        await scene.stop()
        monkeypatch.undo()
        unsent = [order for order in scene.orders() if order.state is OrderState.UNSENT]
        numbers = sorted(order.order_id or 0 for order in unsent)
        assert exchange.book.highest(1) + 1 == numbers[0]
        exchange.place(ticket(scene, order_id=numbers[0], symbol="IBM", order_ref="", client_id=1))
        bought = ticket(scene, order_id=numbers[1], symbol="IBM", order_ref="", client_id=1)
        exchange.place(replace(bought, order_type="MKT", limit=None, quantity=Decimal(9)))
        await asyncio.sleep(MINUTE)
        scene.start()
        await scene.until(lambda: scene.state.link is m.Link.READY, what="readiness")
        await asyncio.sleep(HOUR)
        await scene.ask("halt")
        await asyncio.sleep(HOUR)
        for order in unsent:
            after = scene.state.orders[order.intent]
            assert (after.state, after.filled, after.perm_ids) == (OrderState.UNSENT, 0, ())
        assert scene.state.outside[SYMBOLS["IBM"]] == ("IBM", Decimal(9))
        assert scene.state.quarantines[SYMBOLS["IBM"]].cause is Cause.OURS_UNKNOWN
        (left,) = exchange.book.live()
        assert (left.ticket.order_id, left.is_cancelling) == (numbers[0], False)
        witness.agree()

    trading = {"strategies": [plan({"AAPL": 0.4}, {"AAPL": 0.3, "MSFT": 0.2, "GOOG": 0.1})]}
    scenario(story, tmp_path, trading)


def test_A19_scenario_a_copy_of_our_order_in_another_contract_is_not_ours(tmp_path: Path) -> None:
    """Copied by hand, our reference with it: no second order of ours, and a person is told."""

    async def story(scene: Scene, _: Witness) -> None:
        exchange = scene.gateway.desk.exchange
        scene.start()
        await scene.traded(1)
        (order,) = scene.orders()
        copy = ticket(scene, order_id=1, symbol="IBM", order_ref=order.ref)
        exchange.place(replace(copy, order_type="MKT", limit=None, quantity=Decimal(5)))
        await asyncio.sleep(MINUTE)
        await scene.ask("reconcile")
        await scene.settled()
        assert [(one.intent, one.filled) for one in scene.orders()] == [(order.intent, order.filled)]
        assert scene.state.quarantines[SYMBOLS["IBM"]].cause is Cause.OURS_UNKNOWN
        assert not [one for one in scene.facts(m.OrderIntended) if one.order.twin_of is not None]
        assert any(f"{order.ref} is our BUY AAPL, yet" in text for text in scene.alerts())
        assert scene.state.outside[SYMBOLS["IBM"]] == ("IBM", Decimal(5))
        assert scene.held("AAPL") == scene.truly_held("AAPL") == order.quantity

    scenario(story, tmp_path, {"strategies": [plan({"AAPL": 0.4})]})


def test_A19_scenario_no_cancel_asks_about_a_number_that_another_clients_order_bears(tmp_path: Path) -> None:
    """At a gateway where any client cancels, asking whether our lost order is there would end the other's."""

    async def story(scene: Scene, witness: Witness) -> None:
        exchange = scene.gateway.desk.exchange
        scene.start()
        await scene.till(14, 31)
        numbers = range(scene.state.next_id, scene.state.next_id + 4)
        for number in numbers:
            exchange.place(ticket(scene, order_id=number, symbol="IBM", order_ref=""))
        scene.gateway.desk.faults.lose_orders = 1
        await scene.until(lambda: "unknown" in [one.state.value for one in scene.orders()], what="a lost order")
        await asyncio.sleep(HOUR)
        (order,) = scene.orders()
        assert order.order_id in numbers and order.state is not OrderState.ABSENT
        assert order.order_id not in witness.cancels() and witness.cancels()
        assert sorted(one.ticket.order_id for one in exchange.book.live()) == list(numbers)
        assert not any(one.is_cancelling for one in exchange.book.live())

    trading = {"strategies": [plan({"AAPL": 0.4})]}
    scenario(story, tmp_path, trading, conduct=Conduct(foreign_cancel=True))


def test_A19_scenario_a_symbol_that_became_another_contracts_is_not_bought_a_second_time(tmp_path: Path) -> None:
    """The former contract is held with its stop; nothing is traded under the symbol, and a flatten leaves the stop."""
    market = replayed_market(seed=1)

    async def story(scene: Scene, witness: Witness) -> None:
        scene.start()
        await scene.traded(1)
        await asyncio.sleep(5 * MINUTE)
        await scene.stop()
        old, listed = SYMBOLS["IBM"], market.find("IBM")
        assert listed is not None
        bars = market.completed(listed, datetime.max.replace(tzinfo=UTC))
        market._list(Replay(Instrument(con_id=9001, symbol="IBM"), bars))
        held = scene.truly_held("IBM")
        scene.start()
        await scene.until(lambda: scene.state.link is m.Link.READY, what="readiness")
        await asyncio.sleep(DAY)
        assert scene.state.instruments["IBM"].con_id == old
        assert scene.state.quarantines[old].cause is Cause.CONTRACT
        assert any("IBM is contract 9001 at the broker now, while contract 8314 is held" in t for t in scene.alerts())
        await scene.ask("flatten")
        await asyncio.sleep(MINUTE)
        (stop,) = scene.gateway.desk.exchange.book.live()
        assert (stop.ticket.instrument.con_id, stop.ticket.order_type, stop.remaining) == (old, "STP", held)
        assert {con_id: row.quantity for con_id, row in scene.state.book.items()} == {old: held}
        assert {seen.values["orderId"] for seen in witness.placed("IBM")} == {2001, stop.ticket.order_id}

    trading = {"strategies": [plan({"IBM": 0.4}, {"IBM": 0.4})], "stops": {"fraction": 0.5}}
    scenario(story, tmp_path, trading, market=market)
