"""Orders on their way out and what comes back: the bytes, the hand-over, the errors."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.orders import OrderType, Purpose
from longwatch.gateway.app import Gateway
from tests.broker.bench import (
    AAPL,
    ACCOUNT,
    Bench,
    Script,
    Scripted,
    an_empty_account,
    on_bench,
    order,
    with_gateway,
    with_script,
)


def placed(effect: m.SubmitOrder) -> dict[str, object]:
    """The values of the placeOrder that the gateway received."""

    async def work(bench: Bench, script: Script) -> dict[str, object]:
        await bench.up()
        bench.broker.submit(effect)
        await bench.inbox.until(m.OrderHanded)
        await asyncio.sleep(0.1)
        return dict(script.requests)["placeOrder"]

    return with_script(work, an_empty_account())


def test_an_order_says_everything_outright() -> None:
    """TIF, account, reference, outside hours and price are on the wire, quantity and price digit by digit."""
    effect = order(
        7,
        order_id=321,
        side=Side.SELL,
        quantity=Decimal("100"),
        order_type=OrderType.LIMIT,
        limit_price=Decimal("150.10"),
        tif="GTC",
        outside_rth=True,
    )
    values = placed(effect)
    expected = {
        "orderId": 321,
        "conId": 265598,
        "symbol": "AAPL",
        "secType": "STK",
        "exchange": "SMART",
        "primaryExchange": "NASDAQ",
        "currency": "USD",
        "action": "SELL",
        "totalQuantity": Decimal(100),
        "orderType": "LMT",
        "lmtPrice": Decimal("150.10"),
        "tif": "GTC",
        "account": ACCOUNT,
        "orderRef": "lw:test:7",
        "outsideRth": True,
        "transmit": True,
        "whatIf": False,
    }
    assert {name: values[name] for name in expected} == expected
    assert values["auxPrice"] is None
    assert str(values["lmtPrice"]) == "150.10"


def test_a_stop_carries_its_trigger_and_no_limit() -> None:
    """The stop price goes into auxPrice."""
    values = placed(order(order_type=OrderType.STOP, stop_price=Decimal("99.95")))
    assert (values["orderType"], values["auxPrice"], values["lmtPrice"]) == ("STP", Decimal("99.95"), None)


def pair() -> m.SubmitOrder:
    """An entry with its stop."""
    stop = order(8, order_id=322, side=Side.SELL, order_type=OrderType.STOP, stop_price=Decimal(90), oca_group="lw:8")
    attached = replace(stop.order, attached_to=7, parent_id=321, purpose=Purpose.STOP)
    return replace(order(7, order_id=321), attached=attached)


def test_an_entry_and_its_stop_are_parent_and_child_in_one_write() -> None:
    """The first is not to be transmitted before the second, which names it; both are handed over, and both count."""

    async def work(bench: Bench, script: Script) -> None:
        await bench.up()
        written, arrived = bench.broker.counters()["written"], len(script.requests)
        bench.broker.submit(pair())
        assert bench.broker.counters()["written"] == written + 2
        await bench.inbox.until(m.OrderHanded)
        await asyncio.sleep(0.1)
        assert [each.intent for each in bench.inbox.of(m.OrderHanded)] == [7, 8]
        assert len(script.requests) - arrived == bench.broker.counters()["written"] - written
        sent = [values for name, values in script.requests if name == "placeOrder"]
        assert [(one["orderId"], one["parentId"], one["transmit"]) for one in sent] == [
            (321, 0, False),
            (322, 321, True),
        ]
        assert [(one["ocaGroup"], one["ocaType"]) for one in sent] == [("", 0), ("lw:8", 2)]

    with_script(work, an_empty_account())


def test_a_shut_gate_withholds_an_entry_and_its_stop() -> None:
    """Neither leaves, and of each that is told once."""

    async def work(bench: Bench, script: Script) -> None:
        await bench.up()
        bench.shut = "halted by the owner"
        bench.broker.submit(pair())
        await asyncio.sleep(0.1)
        withheld = [(each.intent, each.reason) for each in bench.inbox.of(m.OrderWithheld)]
        assert withheld == [(7, "halted by the owner"), (8, "halted by the owner")]
        assert "placeOrder" not in script.names()

    with_script(work, an_empty_account())


def test_a_fractional_or_huge_quantity_is_exact() -> None:
    """No float on the way: 57.68 shares stay 57.68 (A24), and a large round number has no exponent."""
    assert placed(order(quantity=Decimal("57.68")))["totalQuantity"] == Decimal("57.68")
    assert placed(order(quantity=Decimal("1E+6")))["totalQuantity"] == Decimal(1_000_000)


def test_a_shut_gate_withholds_an_order_that_already_waits() -> None:
    """Halt arrives while the order is in the budget: no byte of it leaves, and the reason is told."""

    async def work(bench: Bench, script: Script) -> None:
        await bench.up()
        for intent in range(10):
            bench.broker.submit(order(intent, order_id=100 + intent))
        bench.shut = "halted by the owner"
        await asyncio.sleep(1.0)
        handed = [each.intent for each in bench.inbox.of(m.OrderHanded)]
        withheld = {each.intent: each.reason for each in bench.inbox.of(m.OrderWithheld)}
        assert len(handed) + len(withheld) == 10
        assert set(withheld.values()) == {"halted by the owner"}
        assert script.names().count("placeOrder") == len(handed) > 0

    with_script(work, an_empty_account())


def test_every_order_is_handed_or_withheld_exactly_once() -> None:
    """Over a link that goes in the middle: each intent has one answer, and what was withheld never reached the wire."""

    async def work(bench: Bench, script: Script) -> None:
        await bench.up()
        for intent in range(20):
            bench.broker.submit(order(intent, order_id=100 + intent))
        await asyncio.sleep(0.1)
        bench.broker.drop("test")
        bench.broker.submit(order(20, order_id=120))
        await bench.inbox.until(m.LinkLost)
        bench.broker.submit(order(21, order_id=121))
        await asyncio.sleep(30.0)
        handed = [each.intent for each in bench.inbox.of(m.OrderHanded)]
        withheld = [each.intent for each in bench.inbox.of(m.OrderWithheld)]
        assert sorted(handed + withheld) == list(range(22))
        arrived = [values["orderId"] for name, values in script.requests if name == "placeOrder"]
        assert set(arrived) <= {100 + intent for intent in handed}

    with_script(work, an_empty_account())


def test_withheld_orders_are_told_before_the_loss_of_the_link() -> None:
    """When LinkLost is decided on, it is known which orders never left."""

    async def work(bench: Bench, script: Script) -> None:
        await bench.up()
        for intent in range(20):
            bench.broker.submit(order(intent, order_id=100 + intent))
        script.connections[0].transport.abort()
        await bench.inbox.until(m.LinkLost)
        kinds = [type(event) for event in bench.inbox.events]
        assert m.OrderWithheld in kinds
        assert max(at for at, kind in enumerate(kinds) if kind is m.OrderWithheld) < kinds.index(m.LinkLost)

    with_script(work, an_empty_account())


def test_an_order_without_a_reserved_id_never_leaves() -> None:
    """No id, no bytes: it is withheld with the reason."""

    async def work(bench: Bench, script: Script) -> None:
        await bench.up()
        bench.broker.submit(order(5, order_id=None))  # type: ignore[arg-type]
        assert [each.reason for each in bench.inbox.of(m.OrderWithheld)] == ["order lw:test:5 has no reserved order id"]

    with_script(work, an_empty_account())


def test_a_cancel_never_overtakes_its_order() -> None:
    """An order cancelled while it waits is taken back; one that is out is cancelled at the broker."""

    async def work(bench: Bench, script: Script) -> None:
        await bench.up()
        for intent in range(8):
            bench.broker.submit(order(intent, order_id=100 + intent))
        bench.broker.cancel(m.CancelOrder(intent=0, order_id=100))
        bench.broker.cancel(m.CancelOrder(intent=7, order_id=107))
        await asyncio.sleep(2.0)
        arrived = [(name, values["orderId"]) for name, values in script.requests if name.endswith("Order")]
        assert ("cancelOrder", 100) in arrived
        assert arrived.index(("placeOrder", 100)) < arrived.index(("cancelOrder", 100))
        assert not any(order_id == 107 for _, order_id in arrived)
        assert [each.intent for each in bench.inbox.of(m.OrderWithheld)] == [7]

    with_script(work, an_empty_account())


def test_an_order_goes_out_past_a_queue_of_histories() -> None:
    """On the bytes: with every history slot taken and more waiting, the order is the next frame the gateway reads."""

    async def work(bench: Bench, gateway: Gateway) -> None:
        await bench.synced()
        until = bench.clock.market().date()
        asked = [
            asyncio.create_task(bench.broker.bars("AAPL", "1 day", until, 10), name=f"bars {each}")
            for each in range(500)
        ]
        await asyncio.sleep(0.2)
        before = bench.broker.counters()["queued_history"]
        written = bench.broker.counters()["written"]
        bench.broker.submit(order(1, order_id=90_000, instrument=bench.inbox.of(m.InstrumentsSeen)[0].instruments[0]))
        assert bench.inbox.of(m.OrderHanded)
        assert bench.broker.counters()["written"] == written + 1
        assert bench.broker.counters()["queued_history"] == before > 30
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)

    with_gateway(work)


@pytest.mark.parametrize(
    ("code", "cancelled_first", "verdict"),
    [
        (201, False, "rejected"),
        (10349, False, "notice"),
        (399, False, "notice"),
        (202, True, "cancelled"),
        (10147, True, "not found"),
        (10148, True, "too late"),
        (161, True, "too late"),
        (135, False, "rejected"),
        (135, True, "unclear"),
        (321, True, "unclear"),
        (203, True, "rejected if new"),
        (77777, False, "unclear"),
    ],
)
def test_an_error_on_an_order_carries_its_verdict(code: int, cancelled_first: bool, verdict: str) -> None:
    """What an error means for an order depends on the code, and on whether a cancel was the last thing asked."""

    async def work(bench: Bench, script: Script) -> None:
        await bench.up()
        bench.broker.submit(order(1, order_id=100))
        if cancelled_first:
            await bench.inbox.until(m.OrderHanded)
            bench.broker.cancel(m.CancelOrder(intent=1, order_id=100))
        await asyncio.sleep(0.5)
        script.connections[0].say("error", reqId=100, errorCode=code, errorString="words")
        seen = await bench.inbox.until(m.OrderErrorSeen)
        assert (seen.order_id, seen.code, seen.text, seen.verdict) == (100, code, "words", verdict)

    with_script(work, an_empty_account())


def test_a_life_of_an_order_is_told_in_the_gateways_order() -> None:
    """Place, acknowledge, fill, commission, position: each event once or more, in order, exact figures (A05)."""

    async def work(bench: Bench, gateway: Gateway) -> None:
        await bench.synced()
        aapl = bench.inbox.of(m.InstrumentsSeen)[0].instruments[0]
        bench.broker.submit(order(1, order_id=90_000, instrument=aapl))
        await bench.inbox.until(m.PositionSeen)
        told = [
            type(event).__name__
            for event in bench.inbox.events
            if isinstance(event, m.OrderHanded | m.OpenOrderSeen | m.ExecutionSeen | m.CommissionSeen | m.PositionSeen)
        ]
        assert [name for at, name in enumerate(told) if told.index(name) == at] == [
            "OrderHanded",
            "OpenOrderSeen",
            "ExecutionSeen",
            "CommissionSeen",
            "PositionSeen",
        ]
        (true,) = gateway.ledger.executions
        fill = bench.inbox.of(m.ExecutionSeen)[0]
        assert (fill.exec_id, fill.price, fill.quantity, fill.ref) == (
            true.exec_id,
            true.price,
            Decimal(100),
            "lw:test:1",
        )
        assert abs((fill.executed_at - fill.at).total_seconds()) <= 1

    with_gateway(work)


def test_a_cancel_is_confirmed() -> None:
    """Status Cancelled comes first, 202 after it."""

    async def work(bench: Bench, gateway: Gateway) -> None:
        await bench.synced()
        aapl = bench.inbox.of(m.InstrumentsSeen)[0].instruments[0]
        bench.broker.submit(
            order(1, order_id=90_000, instrument=aapl, order_type=OrderType.LIMIT, limit_price=Decimal("1.00"))
        )
        await bench.inbox.until(m.OrderStatusSeen)
        bench.broker.cancel(m.CancelOrder(intent=1, order_id=90_000))
        error = await bench.inbox.until(m.OrderErrorSeen)
        statuses = [each.status for each in bench.inbox.of(m.OrderStatusSeen)]
        assert (error.code, error.verdict, statuses[-1]) == (202, "cancelled", "Cancelled")

    with_gateway(work)


def test_one_seed_gives_one_story() -> None:
    """The same broker against the same gateway hears the same events at the same instants."""

    async def work(bench: Bench, gateway: Gateway) -> list[m.Event]:
        await bench.synced()
        bench.broker.watch(["AAPL", "MSFT"])
        aapl = bench.inbox.of(m.InstrumentsSeen)[0].instruments[0]
        bench.broker.submit(order(1, order_id=90_000, instrument=aapl))
        await bench.inbox.until(m.PositionSeen)
        bench.broker.drop("test")
        await bench.up()
        await bench.inbox.until(m.SnapshotSeen, 2)
        return bench.inbox.events

    assert with_gateway(work) == with_gateway(work)


def test_the_instrument_on_the_wire_is_the_one_that_was_found() -> None:
    """An order names its contract by number: no namesake can be meant."""
    assert placed(order(instrument=AAPL))["conId"] == AAPL.con_id


# ── what-if ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_question_about_margin_places_nothing_and_is_answered_with_figures() -> None:
    """The gateway's own numbers; no order there, none handed, no open order seen."""

    async def work(bench: Bench, gateway: Gateway) -> m.WhatIfSeen:
        await bench.synced()
        aapl = bench.inbox.of(m.InstrumentsSeen)[0].instruments[0]
        placed = order(1, order_id=90_000, instrument=aapl)
        bench.broker.what_if(m.RequestWhatIf(order=placed.order, instrument=placed.instrument))
        seen = await bench.inbox.until(m.WhatIfSeen)
        await asyncio.sleep(5)
        assert not bench.inbox.of(m.OrderHanded) and not bench.inbox.of(m.OpenOrderSeen)
        assert not list(gateway.desk.exchange.book.live()) and not gateway.ledger.executions
        return seen

    seen = with_gateway(work)
    assert (seen.order_id, seen.client_id) == (90_000, 7)
    assert seen.initial_margin and seen.maintenance_margin and seen.equity
    assert 0 < seen.maintenance_margin < seen.initial_margin < seen.equity < 1_000_000


def test_an_answer_of_sentinels_has_no_figures() -> None:
    """The largest double is "not told" at the edge."""
    script = an_empty_account()

    def answer(gateway: Scripted, values: dict[str, object]) -> None:
        assert values["whatIf"] is True and values["transmit"] is True
        told = {
            name: values[name] for name in ("orderId", "conId", "symbol", "secType", "action", "orderType", "account")
        }
        gateway.say("openOrder", **told, totalQuantity=values["totalQuantity"], whatIf=True, status="PreSubmitted")

    script.answers["placeOrder"] = answer

    async def work(bench: Bench, script: Script) -> m.WhatIfSeen:
        await bench.synced()
        asked = order(1, order_id=90_000)
        bench.broker.what_if(m.RequestWhatIf(order=asked.order, instrument=asked.instrument))
        return await bench.inbox.until(m.WhatIfSeen)

    seen = with_script(work, script)
    assert (seen.initial_margin, seen.maintenance_margin, seen.equity) == (None, None, None)


def test_a_question_without_a_link_withholds_the_order() -> None:
    """It never left, and so will nothing else."""

    async def work(bench: Bench) -> m.OrderWithheld:
        asked = order(1, order_id=90_000)
        bench.broker.what_if(m.RequestWhatIf(order=asked.order, instrument=asked.instrument))
        return await bench.inbox.until(m.OrderWithheld)

    withheld = on_bench(work)
    assert (withheld.intent, withheld.change) == (1, 0)
