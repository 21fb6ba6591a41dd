"""Cash accounts, day trades and another base currency: what the gateway tells and takes, heard by a plain client."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest

from longwatch.gateway.app import Gateway
from tests.gateway.made import JANUARY_3, PlainClient, on_a_gateway, until

ACCOUNT = "DU123456"
CASH = frozenset({ACCOUNT})
TAGS = "TotalCashValue,SettledCash,AvailableFunds,BuyingPower,InitMarginReq,DayTradesRemaining,$LEDGER:ALL"


async def summary(client: PlainClient) -> dict[tuple[str, str], str]:
    """What a summary says now, by tag and currency."""
    client.forget()
    client.ask("reqAccountSummary", reqId=77, group="All", tags=TAGS)
    await asyncio.sleep(0.1)
    client.ask("cancelAccountSummary", reqId=77)
    return {(one["tag"], one["currency"]): one["value"] for one in client.replies("accountSummary")}


def test_a_cash_account_spends_what_has_settled_and_no_more() -> None:
    """Buying power is settled cash less live purchases; the proceeds of a sale buy nothing before they settle."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        await client.round_trip()
        client.order(3, "BUY", 10, "LMT", lmtPrice=1)
        await asyncio.sleep(2)
        shown = await summary(client)
        books = gateway.ledger.accounts[ACCOUNT]
        assert Decimal(shown["TotalCashValue", "USD"]) == round(books.cash, 2)
        settled = Decimal(shown["SettledCash", "USD"])
        assert settled < Decimal(shown["TotalCashValue", "USD"]) - 5000
        assert Decimal(shown["AvailableFunds", "USD"]) == Decimal(shown["BuyingPower", "USD"]) == settled - 10
        assert shown["DayTradesRemaining", ""] == "-1"
        client.order(4, "BUY", 60)
        await asyncio.sleep(2)
        assert "4 201" in client.story(4)
        assert "SETTLED CASH" in next(one["errorString"] for one in client.replies("error") if one["errorCode"] == 201)
        await until(gateway, JANUARY_3 + timedelta(days=6, minutes=10))
        assert Decimal((await summary(client))["SettledCash", "USD"]) == round(books.cash, 2)

    on_a_gateway(scenario, cash=Decimal(10_000), cash_accounts=CASH)


def test_a_cash_account_sells_nothing_that_it_has_not() -> None:
    """One share more than is held is refused, counting what is already on its way out."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 50)
        await asyncio.sleep(2)
        client.order(2, "SELL", 30, "LMT", lmtPrice=500)
        await asyncio.sleep(2)
        client.order(3, "SELL", 21)
        client.order(4, "SELL", 20, "LMT", lmtPrice=500)
        await asyncio.sleep(2)
        assert "4 201" in client.story(3)
        assert "4 201" not in client.story(4)

    on_a_gateway(scenario, cash_accounts=CASH)


@pytest.mark.parametrize(("cash", "first", "last"), [(20_000, "3", "1"), (60_000, "-1", "-1")])
def test_day_trades_are_counted_in_small_margin_accounts(cash: int, first: str, last: str) -> None:
    """Two round trips in a day leave one of three; adding to one counts once; from 25,000 on there is no limit."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        assert (await summary(client))["DayTradesRemaining", ""] == first
        for number, side in enumerate(("BUY", "BUY", "SELL", "SELL", "BUY", "SELL"), 1):
            client.order(number, side, 10)
            await asyncio.sleep(2)
        assert (await summary(client))["DayTradesRemaining", ""] == last

    on_a_gateway(scenario, cash=Decimal(cash))


def test_what_was_held_overnight_makes_no_day_trade() -> None:
    """Bought on one day and sold on the next: none is used up; bought again and sold that day: one."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 10)
        await until(gateway, JANUARY_3 + timedelta(days=1, minutes=10))
        client.order(2, "SELL", 10)
        await asyncio.sleep(2)
        assert (await summary(client))["DayTradesRemaining", ""] == "3"
        client.order(3, "BUY", 10)
        await asyncio.sleep(2)
        assert (await summary(client))["DayTradesRemaining", ""] == "3"
        client.order(4, "SELL", 10)
        await asyncio.sleep(2)
        assert (await summary(client))["DayTradesRemaining", ""] == "2"

    on_a_gateway(scenario, cash=Decimal(20_000))


def test_an_account_kept_in_euro_tells_its_values_so_and_the_rate() -> None:
    """Money of the account in its base currency; cash by currency with the exchange rate of each."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        shown = await summary(client)
        assert shown["TotalCashValue", "EUR"] == "90000.00"
        assert shown["ExchangeRate", "USD"] == "0.9"
        assert shown["ExchangeRate", "EUR"] == "1.00"
        assert (shown["CashBalance", "USD"], shown["CashBalance", "BASE"]) == ("100000.00", "90000.00")
        assert shown["CashBalance", "EUR"] == "0.00"

    on_a_gateway(scenario, cash=Decimal(100_000), base_currency="EUR", base_rate=Decimal("0.9"))
