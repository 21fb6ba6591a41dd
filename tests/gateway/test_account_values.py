"""Account values, subscriptions to several accounts, and gains: what a plain client got, against the ledger's books."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from longwatch.gateway.app import Gateway
from longwatch.gateway.conduct import Conduct
from tests.gateway.made import AAPL, IBM, JANUARY_3, PRICES, PlainClient, on_a_gateway, until

ACCOUNT = "DU123456"
TWO = ("DU1", "DU2")
NEXT_DAY = JANUARY_3 + timedelta(days=1, hours=1)
EVERY_TAG = "NetLiquidation,TotalCashValue,SettledCash,PreviousDayEquityWithLoanValue,AccruedDividend"


def values_of(client: PlainClient) -> dict[tuple[str, str], str]:
    """The newest value of each key and currency."""
    return {(one["key"], one["currency"]): one["value"] for one in client.replies("updateAccountValue")}


async def after_two_fills(gateway: Gateway) -> PlainClient:
    """A client with 100 AAPL and 50 IBM sold short, and all account values."""
    client = await PlainClient.connect()
    client.order(1, "BUY", 100)
    client.order(2, "SELL", 50, symbol="IBM")
    await asyncio.sleep(2)
    client.forget()
    client.ask("reqAccountUpdates", subscribe=True, acctCode=ACCOUNT)
    await asyncio.sleep(0.1)
    return client


def test_keys_are_in_alphabetical_order_with_the_base_currency_first() -> None:
    """Per key BASE, then the currency; -C and -S after their key; those without money have no currency."""

    async def scenario(gateway: Gateway) -> None:
        client = await after_two_fills(gateway)
        keys = [(one["key"], one["currency"]) for one in client.replies("updateAccountValue")]
        names = [key for key, _ in keys]
        assert names == sorted(names)
        assert len(keys) == len(set(keys)) > 80
        assert [currency for key, currency in keys if key == "CashBalance"] == ["BASE", "USD"]
        assert [key for key in names if key.startswith("NetLiquidation")] == [
            *("NetLiquidation", "NetLiquidation-C", "NetLiquidation-S"),
            *["NetLiquidationByCurrency"] * 2,
        ]
        assert ("AccountReady", "") in keys

    on_a_gateway(scenario)


def test_margins_and_funds_belong_together() -> None:
    """Funds are equity less initial, liquidity less maintenance margin; power, cushion and gains follow from them."""

    async def scenario(gateway: Gateway) -> None:
        client = await after_two_fills(gateway)
        shown = values_of(client)
        books = gateway.ledger.accounts[ACCOUNT]
        prices = {
            number: gateway.desk.market.quote(instrument, gateway.desk.now()).last or Decimal(0)
            for number, instrument in ((AAPL.con_id, AAPL), (IBM.con_id, IBM))
        }

        def usd(key: str) -> Decimal:
            return Decimal(shown[key, "USD"])

        gross = 100 * prices[AAPL.con_id] + 50 * prices[IBM.con_id]
        assert usd("NetLiquidation") == round(books.worth(prices), 2) == usd("EquityWithLoanValue")
        assert usd("NetLiquidation") == usd("NetLiquidation-S") == usd("NetLiquidationByCurrency")
        assert usd("GrossPositionValue") == round(gross, 2)
        assert (usd("InitMarginReq"), usd("MaintMarginReq")) == (round(gross / 2, 2), round(gross / 4, 2))
        assert abs(usd("AvailableFunds") - (usd("EquityWithLoanValue") - usd("InitMarginReq"))) <= Decimal("0.01")
        assert abs(usd("ExcessLiquidity") - (usd("EquityWithLoanValue") - usd("MaintMarginReq"))) <= Decimal("0.01")
        assert abs(usd("BuyingPower") - 4 * usd("AvailableFunds")) <= Decimal("0.04")
        assert abs(Decimal(shown["Cushion", ""]) - usd("ExcessLiquidity") / usd("NetLiquidation")) < Decimal("0.00001")
        assert usd("TotalCashValue") == round(books.cash, 2)
        assert abs(usd("StockMarketValue") + usd("TotalCashValue") - usd("NetLiquidation")) <= Decimal("0.01")

    on_a_gateway(scenario)


def test_a_new_day_counts_gains_and_equity_from_the_last_close() -> None:
    """Yesterday's gains are gone, proceeds settle in three days, equity of the day before is at its close."""

    async def scenario(gateway: Gateway) -> None:
        client = await after_two_fills(gateway)
        client.order(3, "BUY", 50, symbol="IBM")
        await asyncio.sleep(2)
        assert Decimal(values_of(client)["RealizedPnL", "USD"]) == round(gateway.ledger.accounts[ACCOUNT].realised, 2)
        await until(gateway, NEXT_DAY)
        client.forget()
        client.ask("reqAccountSummary", reqId=5, group="All", tags=EVERY_TAG)
        client.ask("reqAccountUpdates", subscribe=True, acctCode=ACCOUNT)
        await asyncio.sleep(0.1)
        assert Decimal(values_of(client)["RealizedPnL", "USD"]) == 0
        summary = {one["tag"]: Decimal(one["value"]) for one in client.replies("accountSummary")}
        cash = gateway.ledger.accounts[ACCOUNT].cash
        close = Decimal(str(PRICES[date(2007, 1, 3)][3]))
        assert summary["PreviousDayEquityWithLoanValue"] == round(cash + 100 * close, 2)
        sold = next(one for one in gateway.ledger.executions if not one.is_buy)
        fee = gateway.ledger.commissions[sold.exec_id].amount
        proceeds = sold.quantity * sold.price - fee
        assert summary["TotalCashValue"] == round(cash, 2)
        assert summary["SettledCash"] == round(cash - proceeds, 2)

    on_a_gateway(scenario)


@pytest.mark.parametrize("switch", [True, False])
def test_an_account_is_not_ready_while_the_broker_is_away(switch: bool) -> None:
    """AccountReady false with the loss and true again after it; at gateways that do not say so nothing."""

    async def scenario(gateway: Gateway) -> None:
        client = await after_two_fills(gateway)
        client.forget()
        gateway.desk.lose_backend()
        await asyncio.sleep(1)
        gateway.desk.restore_backend()
        await asyncio.sleep(1)
        told = [one["value"] for one in client.replies("updateAccountValue") if one["key"] == "AccountReady"]
        assert told == (["false", "true"] if switch else [])

    on_a_gateway(scenario, conduct=Conduct(reset_unready=switch))


def test_one_account_at_a_time_is_followed_and_another_takes_its_place() -> None:
    """2100 as the first is dropped; its fills are no longer told; an unknown account is 321."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        for account in ("DU1", "DU2", "DU9"):
            client.ask("reqAccountUpdates", subscribe=True, acctCode=account)
        await asyncio.sleep(0.1)
        assert client.codes() == [2100, 321]
        assert [one["account"] for one in client.replies("accountDownloadEnd")] == ["DU1", "DU2"]
        client.forget()
        client.order(1, "BUY", 10, account="DU1")
        await asyncio.sleep(2)
        assert client.replies("updateAccountValue", "updatePortfolio") == []

    on_a_gateway(scenario, accounts=TWO)


def test_a_summary_is_of_all_accounts_and_is_followed_until_it_is_cancelled() -> None:
    """Group All, each account's rows together; afterwards what changed; an unknown group is 321."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.ask("reqAccountSummary", reqId=1, group="All", tags="NetLiquidation,AccountType,NoSuchTag")
        client.ask("reqAccountSummary", reqId=2, group="Friends", tags="NetLiquidation")
        await asyncio.sleep(0.1)
        rows = [(one["account"], one["tag"]) for one in client.replies("accountSummary")]
        assert rows == [(account, tag) for account in TWO for tag in ("AccountType", "NetLiquidation")]
        assert client.codes() == [321]
        client.forget()
        client.order(1, "BUY", 1000, account="DU2")
        await asyncio.sleep(2)
        changed = {(one["account"], one["tag"]) for one in client.replies("accountSummary")}
        assert changed == {("DU2", "NetLiquidation")}
        client.ask("cancelAccountSummary", reqId=1)
        client.forget()
        client.order(2, "BUY", 1000, account="DU2")
        await asyncio.sleep(2)
        assert client.replies("accountSummary") == []

    on_a_gateway(scenario, accounts=TWO)


def test_multi_requests_are_of_one_account_or_all_and_followed() -> None:
    """71 and 73 with their ends; changes until cancelled; a light one has the ledger's rows; a model has none."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 10, account="DU2")
        await asyncio.sleep(2)
        client.forget()
        client.ask("reqPositionsMulti", reqId=1, account="DU2", modelCode="")
        client.ask("reqAccountUpdatesMulti", reqId=2, account="", modelCode="", ledgerAndNLV=False)
        client.ask("reqAccountUpdatesMulti", reqId=3, account="DU1", modelCode="", ledgerAndNLV=True)
        client.ask("reqPositionsMulti", reqId=4, account="DU2", modelCode="Growth")
        await asyncio.sleep(0.1)
        assert [(one["reqId"], one["position"]) for one in client.replies("positionMulti")] == [(1, 10)]
        assert [one["reqId"] for one in client.replies("positionMultiEnd")] == [1, 4]
        rows = client.replies("accountUpdateMulti")
        assert [one["account"] for one in rows if one["reqId"] == 2 and one["key"] == "AccountCode"] == list(TWO)
        light = {one["key"] for one in rows if one["reqId"] == 3}
        assert {"NetLiquidation", "CashBalance", "ExchangeRate"} <= light
        assert "InitMarginReq" not in light
        client.forget()
        client.order(2, "BUY", 10, account="DU2")
        await asyncio.sleep(2)
        assert [(one["reqId"], one["position"]) for one in client.replies("positionMulti")] == [(1, 20)]
        changed = client.replies("accountUpdateMulti")
        assert {(one["reqId"], one["account"]) for one in changed} == {(2, "DU2")}
        for name, req_id in (("cancelPositionsMulti", 1), ("cancelAccountUpdatesMulti", 2)):
            client.ask(name, reqId=req_id)
        client.forget()
        client.order(3, "BUY", 10, account="DU2")
        await asyncio.sleep(2)
        assert client.replies("positionMulti", "accountUpdateMulti") == []

    on_a_gateway(scenario, accounts=TWO)


@pytest.mark.parametrize("name", ["reqPositionsMulti", "reqAccountUpdatesMulti"])
def test_an_unknown_account_is_an_error_and_not_an_empty_answer(name: str) -> None:
    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.forget()
        client.ask(name, reqId=1, account="DU9", modelCode="")
        await asyncio.sleep(0.1)
        assert client.names() == ["error"]
        assert [(one["reqId"], one["errorCode"]) for one in client.replies("error")] == [(1, 321)]

    on_a_gateway(scenario, accounts=TWO)


# ── gains ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def with_gains(gateway: Gateway) -> PlainClient:
    """A client that follows its account's gains, and those of AAPL and of IBM."""
    client = await PlainClient.connect()
    client.ask("reqPnL", reqId=1, account=ACCOUNT, modelCode="")
    client.ask("reqPnLSingle", reqId=2, account=ACCOUNT, modelCode="", conId=AAPL.con_id)
    client.ask("reqPnLSingle", reqId=3, account=ACCOUNT, modelCode="", conId=IBM.con_id)
    await asyncio.sleep(0.1)
    return client


def test_gains_are_told_at_once_and_as_they_change_at_most_once_a_second() -> None:
    """Zero, and unset for what was never held; after a fill what the books say; nothing while nothing changes."""

    async def scenario(gateway: Gateway) -> None:
        client = await with_gains(gateway)
        nothing = {"dailyPnL": None, "unrealizedPnL": None, "realizedPnL": None, "value": None, "position": 0}
        assert client.replies("pnl") == [{"reqId": 1, "dailyPnL": 0, "unrealizedPnL": 0, "realizedPnL": 0}]
        assert client.replies("pnlSingle") == [{"reqId": req_id, **nothing} for req_id in (2, 3)]
        client.forget()
        for number in range(1, 9):
            client.order(number, "BUY", 100)
        await asyncio.sleep(10)
        times = [at for at, reply in client.heard if reply.name == "pnl"]
        assert len(times) > 1
        assert all(later - earlier >= 0.999 for earlier, later in pairwise(times))
        holding = gateway.ledger.accounts[ACCOUNT].holdings[AAPL.con_id]
        price = gateway.desk.market.quote(AAPL, gateway.desk.now()).last
        assert price is not None
        unrealised = float(holding.quantity * price - holding.cost)
        (account, single) = client.replies("pnl")[-1], client.replies("pnlSingle")[-1]
        assert account == {"reqId": 1, "dailyPnL": unrealised, "unrealizedPnL": unrealised, "realizedPnL": 0}
        assert (single["position"], single["value"]) == (800, float(800 * price))
        client.forget()
        await asyncio.sleep(60)
        assert client.replies("pnl", "pnlSingle") == []

    on_a_gateway(scenario)


def test_the_days_gain_counts_from_the_last_close_and_has_trades_in_it() -> None:
    """A share held overnight gains from the close; what was sold today gains to its price, less commission."""

    async def scenario(gateway: Gateway) -> None:
        client = await with_gains(gateway)
        client.order(1, "BUY", 100)
        await until(gateway, NEXT_DAY)
        client.order(2, "SELL", 40)
        await asyncio.sleep(3)
        close = Decimal(str(PRICES[date(2007, 1, 3)][3]))
        sold = gateway.ledger.executions[-1]
        fee = gateway.ledger.commissions[sold.exec_id].amount
        price = gateway.desk.market.quote(AAPL, gateway.desk.now()).last
        assert price is not None
        newest = [one for one in client.replies("pnlSingle") if one["reqId"] == 2][-1]
        assert newest["dailyPnL"] == 60 * (price - close) + 40 * (sold.price - close) - fee
        assert newest["realizedPnL"] == gateway.ledger.commissions[sold.exec_id].realised
        assert client.replies("pnl")[-1]["dailyPnL"] == newest["dailyPnL"]

    on_a_gateway(scenario)


async def unknown_account(client: PlainClient) -> None:
    client.ask("reqPnL", reqId=7, account="DU9", modelCode="")
    client.ask("reqPnLSingle", reqId=8, account="", modelCode="", conId=1)


async def number_in_use(client: PlainClient) -> None:
    client.ask("reqPnL", reqId=1, account=ACCOUNT, modelCode="")
    client.ask("reqPnLSingle", reqId=2, account=ACCOUNT, modelCode="", conId=1)


async def never_asked_for(client: PlainClient) -> None:
    client.ask("cancelPnL", reqId=7)
    client.ask("cancelPnLSingle", reqId=8)


async def of_the_other_kind(client: PlainClient) -> None:
    client.ask("cancelPnL", reqId=2)
    client.ask("cancelPnLSingle", reqId=1)


@pytest.mark.parametrize(
    ("act", "errors"),
    [
        (unknown_account, [(7, 10183), (8, 10184)]),
        (number_in_use, [(1, 10183), (2, 10184)]),
        (never_asked_for, [(7, 10185), (8, 10186)]),
        (of_the_other_kind, [(2, 10185), (1, 10186)]),
    ],
)
def test_gains_that_can_not_be_followed_or_are_not(
    act: Callable[[PlainClient], Awaitable[None]], errors: list[tuple[int, int]]
) -> None:
    """10183 and 10184 for what can't be followed, 10185 and 10186 for what is not."""

    async def scenario(gateway: Gateway) -> None:
        client = await with_gains(gateway)
        client.forget()
        await act(client)
        await asyncio.sleep(0.1)
        assert client.names() == ["error", "error"]
        assert [(one["reqId"], one["errorCode"]) for one in client.replies("error")] == errors

    on_a_gateway(scenario)


def test_gains_end_with_their_cancel() -> None:
    async def scenario(gateway: Gateway) -> None:
        client = await with_gains(gateway)
        client.ask("cancelPnL", reqId=1)
        for req_id in (2, 3):
            client.ask("cancelPnLSingle", reqId=req_id)
        client.forget()
        client.order(1, "BUY", 100)
        await asyncio.sleep(3)
        assert client.replies("pnl", "pnlSingle") == []
        assert client.codes() == []

    on_a_gateway(scenario)


def test_figures_that_are_not_set_cross_the_wire_as_the_greatest_double() -> None:
    """The bytes of an instrument never held: 1.7976931348623157E308, as Java writes it; gains are unrounded."""

    async def scenario(gateway: Gateway) -> None:
        client = await with_gains(gateway)
        raw: dict[bytes, list[bytes]] = {}
        for payload in client.raw:
            raw.setdefault(payload.split(b"\0")[0], []).append(payload)
        unset = b"1.7976931348623157E308"
        assert raw[b"95"][0] == b"\0".join((b"95", b"2", b"0", unset, unset, unset, unset, b""))
        client.order(1, "BUY", 333)
        await asyncio.sleep(3)
        newest = [one for one in client.raw if one.startswith(b"94\0")][-1].split(b"\0")[2]
        holding = gateway.ledger.accounts[ACCOUNT].holdings[AAPL.con_id]
        price = gateway.desk.market.quote(AAPL, gateway.desk.now()).last
        assert price is not None
        gain = holding.quantity * price - holding.cost
        assert Decimal(newest.decode()) == gain != round(gain, 2)

    on_a_gateway(scenario)
