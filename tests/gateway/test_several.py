"""Several accounts under one log-in, several clients at one gateway, and orders that a person typed in by hand."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from longwatch.gateway.app import Gateway
from longwatch.gateway.conduct import Conduct
from longwatch.gateway.requests.requests import CLIENTS_AT_ONCE
from tests.gateway.made import JANUARY_3, PlainClient, on_a_gateway, stock

TWO = ("DU1", "DU2")


# ── accounts ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_accounts_keep_their_own_books() -> None:
    """The comma list names both; a named order moves only its account; each began with its own cash."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        assert client.replies("managedAccounts") == [{"accountsList": "DU1,DU2"}]
        client.order(2, "BUY", 100, account="DU2")
        await asyncio.sleep(2)
        client.ask("reqPositions")
        await asyncio.sleep(0.1)
        assert [(one["account"], one["position"]) for one in client.replies("position")] == [("DU2", 100)]
        assert gateway.ledger.accounts["DU1"].cash == 1_000_000
        assert 0 < 250_000 - gateway.ledger.accounts["DU2"].cash < 10_000

    on_a_gateway(scenario, accounts=TWO, cash_of={"DU2": Decimal(250_000)})


@pytest.mark.parametrize(("conduct", "code"), [(Conduct(), 435), (Conduct(account_cause=True), 321)])
def test_an_order_must_name_one_of_several_accounts(conduct: Conduct, code: int) -> None:
    """None: 435, or the cause of a 321 at newer gateways; an unknown one is 321 everywhere; nothing is placed."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100)
        client.order(2, "BUY", 100, account="DU9")
        await asyncio.sleep(2)
        errors = [(one["reqId"], one["errorCode"]) for one in client.replies("error") if one["reqId"] > 0]
        assert errors == [(1, code), (2, 321)]
        assert gateway.ledger.executions == []

    on_a_gateway(scenario, accounts=TWO, conduct=conduct)


def test_a_what_if_is_of_the_account_named() -> None:
    """The small account's margin is its own, and so is the equity."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        for order_id, account in enumerate(TWO, 1):
            client.order(order_id, "BUY", 100, account=account, whatIf=True)
        await asyncio.sleep(1)
        assert [float(one["equityWithLoanBefore"]) for one in client.replies("openOrder")] == [1_000_000, 20_000]

    on_a_gateway(scenario, accounts=TWO, cash_of={"DU2": Decimal(20_000)})


def test_executions_can_be_asked_for_by_account() -> None:
    """The account filter leaves the other account's fill out; an empty one asks for both."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100, account="DU1")
        client.order(2, "SELL", 50, account="DU2")
        await asyncio.sleep(2)
        client.forget()
        client.ask("reqExecutions", reqId=7, acctCode="DU2")
        client.ask("reqExecutions", reqId=8)
        await asyncio.sleep(0.1)
        found = [(one["reqId"], one["acctNumber"]) for one in client.replies("execDetails")]
        assert found == [(7, "DU2"), (8, "DU1"), (8, "DU2")]

    on_a_gateway(scenario, accounts=TWO)


# ── clients ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_thirty_two_clients_are_served_at_once_and_no_more() -> None:
    """The next one is closed without a word, and comes in when another has left."""

    async def scenario(gateway: Gateway) -> None:
        clients = [await PlainClient.connect(number) for number in range(CLIENTS_AT_ONCE)]
        assert all(client.replies("nextValidId") for client in clients)
        over = await PlainClient.connect(99)
        assert over.is_lost
        assert over.heard == []
        clients[0].close()
        await asyncio.sleep(0.1)
        assert (await PlainClient.connect(99)).replies("nextValidId")

    on_a_gateway(scenario)


def test_order_ids_are_counted_for_each_client_and_equal_ones_do_not_meet() -> None:
    """Two clients use id 1 at the same time; perm ids tell them apart; each hears its own only."""

    async def scenario(gateway: Gateway) -> None:
        first, second = await PlainClient.connect(1), await PlainClient.connect(2)
        first.order(1, "BUY", 10, "LMT", lmtPrice=20)
        second.order(1, "BUY", 20, "LMT", lmtPrice=30)
        second.order(2, "BUY", 20, "LMT", lmtPrice=30)
        await asyncio.sleep(2)
        assert {one["lmtPrice"] for one in first.replies("openOrder")} == {20}
        assert len({one["permId"] for one in [*first.replies("openOrder"), *second.replies("openOrder")]}) == 3
        for client, following in ((first, 2), (second, 3)):
            client.forget()
            client.ask("reqIds", numIds=1)
            await asyncio.sleep(0.1)
            assert client.replies("nextValidId") == [{"orderId": following}]

    on_a_gateway(scenario)


@pytest.mark.parametrize("restarts", [False, True])
def test_order_ids_after_a_restart_grow_or_begin_again(restarts: bool) -> None:
    """By the switch: above what was used, or from 1 but above live orders; a used id is then a new order's."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 10, "LMT", lmtPrice=20, tif="GTC")
        client.order(2, "BUY", 10)
        await asyncio.sleep(2)
        client.close()
        gateway.desk.restarted()
        again = await PlainClient.connect()
        assert again.replies("nextValidId") == [{"orderId": 2 if restarts else 3}]
        again.order(2, "BUY", 5)
        await asyncio.sleep(2)
        assert (again.codes() == []) == restarts
        again.forget()
        again.ask("reqCompletedOrders", apiOnly=False)
        await asyncio.sleep(0.1)
        assert len(again.replies("completedOrder")) == (2 if restarts else 1)

    on_a_gateway(scenario, conduct=Conduct(ids_restart=restarts))


@pytest.mark.parametrize("master", [None, 9])
def test_a_master_client_hears_what_is_said_of_everybodys_orders(master: int | None) -> None:
    """Order, status, execution and commission, but not the errors; without the switch nothing."""

    async def scenario(gateway: Gateway) -> None:
        trader, listener = await PlainClient.connect(1), await PlainClient.connect(9)
        listener.forget()
        trader.order(1, "BUY", 100)
        trader.order(2, "BUY", 0)
        await asyncio.sleep(2)
        assert trader.codes() == [434]
        heard = set(listener.names())
        expected = {"openOrder", "orderStatus", "execDetails", "commissionReport"}
        assert heard == (expected if master else set())
        assert listener.replies("execDetails") == (trader.replies("execDetails") if master else [])

    on_a_gateway(scenario, conduct=Conduct(master_client_id=master))


# ── typed in by hand ────────────────────────────────────────────────────────────────────────────────────────────────


def resting_by_hand(gateway: Gateway) -> None:
    gateway.trade_by_hand("AAPL", "BUY", Decimal(40), limit=Decimal("20.00"))


def test_an_order_typed_by_hand_has_no_id_and_can_not_be_touched() -> None:
    """Others see it among all open orders: id 0, client 0, marked; no id of it cancels it, a global cancel does."""

    async def scenario(gateway: Gateway) -> None:
        other = await PlainClient.connect(5)
        resting_by_hand(gateway)
        await asyncio.sleep(1)
        other.ask("reqAllOpenOrders")
        other.ask("reqOpenOrders")
        await asyncio.sleep(0.1)
        (order,) = other.replies("openOrder")
        assert (order["orderId"], order["clientId"], order["rule80A"]) == (0, 0, "0")
        owner = await PlainClient.connect(0)
        for order_id in (0, -1):
            owner.ask("cancelOrder", orderId=order_id, manualOrderCancelTime="")
        await asyncio.sleep(1)
        assert [one["errorCode"] for one in owner.replies("error") if one["errorCode"] > 9999] == [10147, 10147]
        other.ask("reqGlobalCancel")
        await asyncio.sleep(1)
        assert list(gateway.desk.exchange.book.live()) == []

    on_a_gateway(scenario)


@pytest.mark.parametrize(("positive", "order_id"), [(False, -1), (True, 1)])
def test_client_zero_binds_what_is_open_and_may_change_it(positive: bool, order_id: int) -> None:
    """100 with perm id and order id, then the order under that id; it can be modified and cancelled by it."""

    async def scenario(gateway: Gateway) -> None:
        owner = await PlainClient.connect(0)
        resting_by_hand(gateway)
        await asyncio.sleep(1)
        owner.forget()
        owner.ask("reqOpenOrders")
        await asyncio.sleep(0.1)
        assert owner.names() == ["orderBound", "openOrder", "orderStatus", "openOrderEnd"]
        (bound,), (order,) = owner.replies("orderBound"), owner.replies("openOrder")
        assert bound == {"orderId": order["permId"], "apiClientId": 0, "apiOrderId": order_id}
        assert order["orderId"] == order_id
        owner.order(order_id, "BUY", 40, "LMT", lmtPrice=21)
        await asyncio.sleep(1)
        assert owner.replies("openOrder")[-1]["lmtPrice"] == 21
        owner.ask("cancelOrder", orderId=order_id, manualOrderCancelTime="")
        await asyncio.sleep(1)
        assert owner.story(order_id)[-2:] == ["3 Cancelled", "4 202"]

    on_a_gateway(scenario, conduct=Conduct(binds_positive=positive))


def test_orders_typed_by_hand_are_bound_as_they_come_when_client_zero_asks() -> None:
    """Bound before they are shown; other clients are refused with 327; not any more after client 0 has left."""

    async def scenario(gateway: Gateway) -> None:
        owner, other = await PlainClient.connect(0), await PlainClient.connect(5)
        other.ask("reqAutoOpenOrders", autoBind=True)
        owner.ask("reqAutoOpenOrders", autoBind=True)
        await asyncio.sleep(0.1)
        assert other.codes() == [327]
        owner.forget()
        resting_by_hand(gateway)
        await asyncio.sleep(1)
        gateway.trade_by_hand("IBM", "BUY", Decimal(10))
        await asyncio.sleep(2)
        assert owner.names()[:2] == ["orderBound", "openOrder"]
        assert [one["apiOrderId"] for one in owner.replies("orderBound")] == [-1, -2]
        assert [one["orderId"] for one in owner.replies("execDetails")] == [-2]
        owner.close()
        await asyncio.sleep(0.1)
        resting_by_hand(gateway)
        await asyncio.sleep(1)
        assert [one.ticket.is_bound for one in gateway.desk.exchange.book.live()] == [True, False]

    on_a_gateway(scenario)


@pytest.mark.parametrize(("unset", "shown"), [(False, 0), (True, None)])
def test_an_execution_of_an_order_typed_by_hand_has_no_order_id(unset: bool, shown: int | None) -> None:
    """0, or by the switch 2147483647, which reads as none; completed orders for the API leave it out."""

    async def scenario(gateway: Gateway) -> None:
        owner = await PlainClient.connect(0)
        gateway.trade_by_hand("AAPL", "BUY", Decimal(40))
        await asyncio.sleep(2)
        owner.ask("reqExecutions", reqId=3)
        for api_only in (True, False):
            owner.ask("reqCompletedOrders", apiOnly=api_only)
        await asyncio.sleep(0.1)
        assert [(one["reqId"], one["orderId"]) for one in owner.replies("execDetails")] == [(-1, shown), (3, shown)]
        assert [one["rule80A"] for one in owner.replies("completedOrder")] == ["0"]

    on_a_gateway(scenario, conduct=Conduct(manual_id_unset=unset))


def test_a_bound_order_is_bound_in_a_gateway_with_the_same_ledger(tmp_path: Path) -> None:
    """Its id and perm id are those of before, and the next one typed in gets another number."""
    seen: dict[str, Any] = {}
    config = {"ledger_path": tmp_path / "books.jsonl"}

    async def before(gateway: Gateway) -> None:
        owner = await PlainClient.connect(0)
        owner.ask("reqAutoOpenOrders", autoBind=True)
        owner.ask("placeOrder", orderId=5, action="BUY", totalQuantity=1, orderType="LMT", lmtPrice=9, **stock())
        gateway.trade_by_hand("AAPL", "BUY", Decimal(40), limit=Decimal("20.00"))
        await asyncio.sleep(1)
        (seen["bound"],) = owner.replies("orderBound")

    async def after(gateway: Gateway) -> None:
        owner = await PlainClient.connect(0)
        resting_by_hand(gateway)
        await asyncio.sleep(1)
        owner.forget()
        owner.ask("reqOpenOrders")
        await asyncio.sleep(0.1)
        former = [one for one in owner.replies("openOrder") if one["permId"] == seen["bound"]["orderId"]]
        assert [one["orderId"] for one in former] == [seen["bound"]["apiOrderId"]] == [-1]
        assert [one["apiOrderId"] for one in owner.replies("orderBound")] == [-2]

    on_a_gateway(before, **config)
    on_a_gateway(after, at=JANUARY_3 + timedelta(minutes=6), **config)
