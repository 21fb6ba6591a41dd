"""Everything that is not an order: handshake, ids, accounts, contracts, history, quotes; frame by frame."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from longwatch.gateway.app import Gateway
from longwatch.wire.framing import hello, split
from tests.gateway.made import JANUARY_3, PRICES, PlainClient, on_a_gateway, stock, until

CLOSE = JANUARY_3 + timedelta(hours=6, minutes=30)
NIGHT = JANUARY_3 + timedelta(hours=10)


def test_a_client_hears_accounts_then_its_next_id_then_the_farms() -> None:
    """The recorded opening: 15, 9, 2104 twice, 2106, 2158, and nothing else unasked."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        assert client.names() == ["managedAccounts", "nextValidId", *["error"] * 4]
        assert [one["errorCode"] for one in client.replies("error")] == [2104, 2104, 2106, 2158]
        assert client.replies("nextValidId") == [{"orderId": 1}]

    on_a_gateway(scenario)


def test_nothing_is_said_or_heard_before_start_api() -> None:
    """A client that has only shaken hands gets no answer to a request."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect(start=False)
        client.ask("reqPositions")
        await asyncio.sleep(5)
        assert client.heard == []

    on_a_gateway(scenario)


@pytest.mark.parametrize(
    ("low", "high", "version"), [(100, 226, b"176"), (157, 157, b"157"), (100, 178, b"176"), (176, 176, b"176")]
)
def test_the_highest_common_version_is_spoken(low: int, high: int, version: bytes) -> None:
    """The gateway answers the lower of its own and the client's highest."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect(start=False)
        client.close()
        _, fresh = await asyncio.get_running_loop().create_connection(PlainClient, "gateway", 4002)
        fresh.write(hello(low, high))
        await asyncio.sleep(0.1)
        assert fresh.received[4:7] == version

    on_a_gateway(scenario)


@pytest.mark.parametrize("opening", [b"GET / HTTP/1.1\r\n\r\n", hello(100, 151), b"API\0\xff\xff\xff\xff"])
def test_who_does_not_speak_the_protocol_is_cut_off(opening: bytes) -> None:
    """A web browser, a client that is too old, and rubbish are closed without a word."""

    async def scenario(gateway: Gateway) -> None:
        _, fresh = await asyncio.get_running_loop().create_connection(PlainClient, "gateway", 4002)
        fresh.write(opening)
        await asyncio.sleep(0.1)
        assert fresh.is_lost
        assert fresh.received == b""
        other = await PlainClient.connect()
        assert other.replies("nextValidId")

    on_a_gateway(scenario)


def test_a_client_id_in_use_is_turned_away_and_free_again_later() -> None:
    """326 and the connection closes; the first client stays; once it has left, its id can be used."""

    async def scenario(gateway: Gateway) -> None:
        first = await PlainClient.connect(7)
        second = await PlainClient.connect(7)
        await asyncio.sleep(0.1)
        assert second.codes() == [326]
        assert second.is_lost and not first.is_lost
        first.close()
        await asyncio.sleep(0.1)
        third = await PlainClient.connect(7)
        assert third.replies("nextValidId")

    on_a_gateway(scenario)


def test_a_connection_starts_once_and_under_no_negative_id() -> None:
    """A negative id is refused and closed; a second start is not heard; who stays out takes nobody's place."""

    async def scenario(gateway: Gateway) -> None:
        for client_id in (-1, -2, -(2**31)):
            refused = await PlainClient.connect(client_id)
            await asyncio.sleep(0.1)
            assert refused.codes() == [321] and refused.is_lost
        client = await PlainClient.connect(7)
        for client_id in (*range(-40, 40), 7):
            client.ask("startApi", clientId=client_id, optionalCapabilities="")
        await asyncio.sleep(0.1)
        assert list(gateway.desk.clients) == [7] and client.names().count("nextValidId") == 1
        client.close()
        await asyncio.sleep(0.1)
        assert gateway.desk.clients == {}
        assert (await PlainClient.connect(8)).replies("nextValidId")

    on_a_gateway(scenario)


@pytest.mark.parametrize("req_id", [0, 5])
def test_a_refusal_names_its_request_even_when_that_is_zero(req_id: int) -> None:
    """Zero is an id as any other."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.ask("reqFundamentalData", reqId=req_id, reportType="ReportSnapshot", **stock())
        await asyncio.sleep(0.1)
        assert client.replies("error")[-1]["reqId"] == req_id

    on_a_gateway(scenario)


def test_a_field_that_can_not_be_read_is_named_and_the_connection_stays() -> None:
    """320 with id -1 names the field and its text, as a real gateway does."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        payload = b"62\x001\x00AAPL\x00All\x00NetLiquidation\x00"
        client.write(len(payload).to_bytes(4, "big") + payload)
        client.ask("reqCurrentTime")
        await asyncio.sleep(0.1)
        assert client.replies("error")[-1] == {
            "reqId": -1,
            "errorCode": 320,
            "errorString": "Error reading request. Unable to parse field: 'Client Req Id' for input string: 'AAPL'",
            "advancedOrderRejectJson": "",
        }
        assert client.replies("currentTime")

    on_a_gateway(scenario)


def test_the_time_is_the_markets() -> None:
    """reqCurrentTime gives the exchange's time, which here lies in 2007."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.ask("reqCurrentTime")
        await asyncio.sleep(0.1)
        (told,) = client.replies("currentTime")
        at = datetime.fromtimestamp(told["time"], UTC)
        assert abs(at - gateway.desk.now()) < timedelta(seconds=2)

    on_a_gateway(scenario)


def test_contract_details_describe_and_end_and_unknown_ones_are_an_error() -> None:
    """10 then 52; an unknown symbol, or a number and symbol that disagree in kind, is 200 without an end."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.forget()
        client.ask("reqContractDetails", reqId=1, **stock())
        client.ask("reqContractDetails", reqId=2, conId=8314)
        client.ask("reqContractDetails", reqId=3, symbol="NOPE", secType="STK")
        client.ask("reqContractDetails", reqId=4, symbol="AAPL", secType="OPT")
        await asyncio.sleep(1)
        assert [(one["reqId"], one["symbol"], one["conId"]) for one in client.replies("contractDetails")] == [
            (1, "AAPL", 265598),
            (2, "IBM", 8314),
        ]
        assert [one["reqId"] for one in client.replies("contractDetailsEnd")] == [1, 2]
        assert [(one["reqId"], one["errorCode"]) for one in client.replies("error")] == [(3, 200), (4, 200)]

    on_a_gateway(scenario)


def test_daily_history_is_the_recorded_bars_and_never_the_future() -> None:
    """Completed sessions come whole, the running one as far as its path has gone, later ones not at all."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        await until(gateway, JANUARY_3 + timedelta(days=1, hours=1))
        client.ask("reqHistoricalData", reqId=1, barSize="1 day", duration="1 Y", **stock())
        client.ask(
            "reqHistoricalData", reqId=2, barSize="1 day", duration="1 D", endDateTime="20070103-23:00:00", **stock()
        )
        client.ask(
            "reqHistoricalData", reqId=3, barSize="1 day", duration="1 D", endDateTime="20990101-00:00:00", **stock()
        )
        await asyncio.sleep(2)
        one, past, future = sorted(client.replies("historicalData"), key=lambda reply: reply["reqId"])
        whole, running = one["bars"]
        assert _prices(whole) == tuple(PRICES[JANUARY_3.date()])
        assert whole["date"] == "20070103"
        quote = gateway.desk.market.quote(gateway.desk.market.instruments()[0], JANUARY_3 + timedelta(days=1, hours=1))
        assert (running["date"], running["high"], running["close"]) == ("20070104", quote.high, quote.last)
        assert [bar["date"] for bar in past["bars"]] == ["20070103"]
        assert [bar["date"] for bar in future["bars"]] == ["20070104"]

    on_a_gateway(scenario)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"whatToShow": "AGGTRADES"}, "HMDS query returned no data: AAPL@SMART Aggtrades"),
        ({"barSize": "7 mins"}, "invalid step: 7 mins"),
        ({"barSize": "1 secs"}, "Time length exceed max."),
        ({"duration": "7 parsecs"}, "invalid duration: 7 parsecs"),
        ({"endDateTime": "yesterday"}, "invalid end time: yesterday"),
        ({"endDateTime": "20060101-00:00:00"}, "HMDS query returned no data: AAPL@SMART Trades"),
    ],
)
def test_history_that_can_not_be_given_is_162_with_the_reason(change: dict[str, Any], text: str) -> None:
    """Never an empty list of bars: an error."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        wanted = {"barSize": "1 day", "duration": "5 D", **stock(), **change}
        client.ask("reqHistoricalData", reqId=1, **wanted)
        await asyncio.sleep(2)
        error = client.replies("error")[-1]
        assert (error["reqId"], error["errorCode"]) == (1, 162)
        assert error["errorString"] == f"Historical Market Data Service error message:{text}"
        assert client.replies("historicalData") == []

    on_a_gateway(scenario)


def test_an_end_time_without_a_zone_is_warned_about_and_answered() -> None:
    """2174, then the bars."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        wanted = {"barSize": "1 day", "duration": "5 D", "endDateTime": "20070103 23:59:59"}
        client.ask("reqHistoricalData", reqId=1, **wanted, **stock())
        await asyncio.sleep(2)
        assert client.codes() == [2174]
        assert client.replies("historicalData")

    on_a_gateway(scenario)


def test_a_stream_begins_as_recorded_and_then_sends_only_changes() -> None:
    """58 · 81 · 45 4 5 8 · 6 7 9 14 · 1 0 · 2 3; at the next point a price comes with its size."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        await until(gateway, JANUARY_3 + timedelta(days=1, minutes=1))
        client.forget()
        client.ask("reqMktData", reqId=1, **stock())
        await asyncio.sleep(1)
        assert client.names()[:2] == ["marketDataType", "tickReqParams"]
        ticks = [values["tickType"] for values in client.replies("tickPrice", "tickSize", "tickString")]
        assert ticks == [45, 4, 5, 8, 6, 7, 9, 14, 1, 0, 2, 3]
        client.forget()
        await asyncio.sleep(60)
        assert client.heard == []
        await asyncio.sleep(15 * 60)
        quote = gateway.desk.market.quote(gateway.desk.market.instruments()[0], gateway.desk.now())
        shown = {one["tickType"]: one["price"] for one in client.replies("tickPrice")}
        assert (shown[1], shown[2], shown[4]) == (quote.bid, quote.ask, quote.last)
        assert 9 not in shown and 14 not in shown
        client.ask("cancelMktData", reqId=1)
        await asyncio.sleep(1)
        client.forget()
        await asyncio.sleep(3600)
        assert client.heard == []

    on_a_gateway(scenario)


def test_bid_and_ask_go_at_the_close_and_come_back_at_the_open() -> None:
    """-1 with size 0 overnight, also for a snapshot, which waits eleven seconds for what does not come."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.ask("reqMktData", reqId=1, **stock())
        await until(gateway, CLOSE + timedelta(seconds=1))
        assert [(one["price"], one["size"]) for one in client.replies("tickPrice")[-2:]] == [(-1, 0), (-1, 0)]
        client.forget()
        client.ask("reqMktData", reqId=2, snapshot=True, **stock())
        await asyncio.sleep(10)
        assert "tickSnapshotEnd" not in client.names()
        await asyncio.sleep(1.1)
        assert client.names()[-1] == "tickSnapshotEnd"
        assert [one["price"] for one in client.replies("tickPrice") if one["tickType"] in {1, 2}] == [-1, -1]
        client.forget()
        await until(gateway, JANUARY_3 + timedelta(days=1, seconds=1))
        bids = [one["price"] for one in client.replies("tickPrice") if one["tickType"] == 1]
        assert bids and all(price > 0 for price in bids)

    on_a_gateway(scenario)


def test_delayed_quotes_are_a_quarter_of_an_hour_old_and_only_on_request() -> None:
    """10168 without asking for type 3; then 10167, and ticks 66 and on, from the point before."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        await until(gateway, JANUARY_3 + timedelta(minutes=31))
        client.ask("reqMktData", reqId=1, **stock())
        client.ask("reqMarketDataType", marketDataType=3)
        client.ask("reqMktData", reqId=2, **stock())
        await asyncio.sleep(1)
        assert client.codes() == [10168, 10167]
        assert client.replies("marketDataType") == [{"reqId": 2, "marketDataType": 3}]
        shown = {one["tickType"]: one["price"] for one in client.replies("tickPrice")}
        past = gateway.desk.market.quote(gateway.desk.market.instruments()[0], JANUARY_3 + timedelta(minutes=16))
        assert (shown[66], shown[67]) == (past.bid, past.ask)

    on_a_gateway(scenario, delayed_data=True)


def test_market_data_has_its_limits() -> None:
    """A ticker id in use is 322, an unknown one 300, and lines end at their number with 101."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.ask("reqMktData", reqId=1, **stock())
        client.ask("reqMktData", reqId=1, **stock("IBM"))
        client.ask("reqMktData", reqId=2, **stock("IBM"))
        client.ask("reqMktData", reqId=3, **stock("IBM"))
        client.ask("cancelMktData", reqId=9)
        client.ask("reqMktData", reqId=4, **stock("NOPE"))
        await asyncio.sleep(1)
        assert client.codes() == [322, 101, 300, 200]

    on_a_gateway(scenario, market_data_lines=2)


def test_an_account_download_lists_values_positions_time_and_end_then_only_changes() -> None:
    """6 by key with BASE first, 7 with 8, 8, 54; after a fill only what moved, and the amounts are the ledger's."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100)
        await asyncio.sleep(2)
        client.forget()
        client.ask("reqAccountUpdates", subscribe=True, acctCode="DU123456")
        await asyncio.sleep(0.1)
        names = client.names()
        values = names.count("updateAccountValue")
        assert names == [
            *["updateAccountValue"] * values,
            "updatePortfolio",
            *["updateAccountTime"] * 2,
            "accountDownloadEnd",
        ]
        keys = [one["key"] for one in client.replies("updateAccountValue")]
        assert keys == sorted(keys)
        cash = {(one["key"], one["currency"]): one["value"] for one in client.replies("updateAccountValue")}
        assert Decimal(cash["TotalCashBalance", "USD"]) == round(gateway.ledger.accounts["DU123456"].cash, 2)
        client.forget()
        client.order(2, "BUY", 50)
        await asyncio.sleep(2)
        changed = {one["key"] for one in client.replies("updateAccountValue")}
        assert {"TotalCashValue", "NetLiquidation", "InitMarginReq"} <= changed
        assert "AccountType" not in changed
        assert client.replies("updatePortfolio")[-1]["position"] == 150

    on_a_gateway(scenario)


def test_a_summary_has_the_tags_asked_for_and_a_third_is_refused() -> None:
    """Tags without currency first, then by name; two at a time."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        for req_id in (1, 2, 3):
            client.ask("reqAccountSummary", reqId=req_id, group="All", tags="NetLiquidation,AccountType,BuyingPower")
        client.ask("cancelAccountSummary", reqId=1)
        client.ask("reqAccountSummary", reqId=4, group="All", tags="NetLiquidation")
        await asyncio.sleep(0.1)
        rows = [(one["reqId"], one["tag"], one["value"]) for one in client.replies("accountSummary")]
        assert rows[:3] == [
            (1, "AccountType", "INDIVIDUAL"),
            (1, "BuyingPower", "4000000.00"),
            (1, "NetLiquidation", "1000000.00"),
        ]
        assert [one["reqId"] for one in client.replies("accountSummaryEnd")] == [1, 2, 4]
        assert [(one["reqId"], one["errorCode"]) for one in client.replies("error") if one["reqId"] > 0] == [(3, 322)]

    on_a_gateway(scenario)


def test_positions_are_listed_and_then_followed() -> None:
    """61 then 62; a fill brings a new 61; a position closed today is listed with 0."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.ask("reqPositions")
        await asyncio.sleep(0.1)
        assert client.names()[-1] == "positionEnd"
        client.order(1, "BUY", 100)
        await asyncio.sleep(2)
        assert client.replies("position")[-1]["position"] == 100
        client.order(2, "SELL", 100)
        await asyncio.sleep(2)
        client.forget()
        client.ask("reqPositions")
        await asyncio.sleep(0.1)
        assert [(one["position"], one["avgCost"]) for one in client.replies("position")] == [(0, 0)]
        await until(gateway, JANUARY_3 + timedelta(days=1))
        client.forget()
        client.ask("reqPositions")
        await asyncio.sleep(0.1)
        assert client.replies("position") == []

    on_a_gateway(scenario)


def test_open_orders_are_ones_own_and_all_open_orders_are_everybodys() -> None:
    """Own ones by reqOpenOrders, all by reqAllOpenOrders, each 5 then 3, then 53; only client 0 may bind."""

    async def scenario(gateway: Gateway) -> None:
        one, other = await PlainClient.connect(1), await PlainClient.connect(2)
        one.order(1, "BUY", 100, "LMT", lmtPrice=Decimal("50.00"))
        other.order(1, "BUY", 100, "LMT", lmtPrice=Decimal("51.00"))
        await asyncio.sleep(2)
        assert {values["clientId"] for values in one.replies("openOrder")} == {1}
        one.forget()
        one.ask("reqOpenOrders")
        await asyncio.sleep(0.1)
        assert one.names() == ["openOrder", "orderStatus", "openOrderEnd"]
        one.forget()
        one.ask("reqAllOpenOrders")
        one.ask("reqAutoOpenOrders", autoBind=True)
        await asyncio.sleep(0.1)
        assert one.names() == ["openOrder", "orderStatus"] * 2 + ["openOrderEnd", "error"]
        assert [values["clientId"] for values in one.replies("openOrder")] == [1, 2]
        assert one.codes() == [327]

    on_a_gateway(scenario)


def test_new_orders_need_ids_above_those_of_all_open_orders_once_these_were_downloaded() -> None:
    """Not before; the next valid id stays the client's own; a modification of one's own order keeps its id."""

    async def scenario(gateway: Gateway) -> None:
        one, other = await PlainClient.connect(1), await PlainClient.connect(2)
        other.order(70, "BUY", 100, "LMT", lmtPrice=Decimal("51.00"))
        await asyncio.sleep(2)
        one.order(5, "BUY", 100, "LMT", lmtPrice=Decimal("50.00"))
        one.ask("reqOpenOrders")
        one.order(6, "BUY", 100, "LMT", lmtPrice=Decimal("50.00"))
        await asyncio.sleep(2)
        assert one.codes() == []
        one.ask("reqAllOpenOrders")
        one.order(70, "BUY", 100, "LMT", lmtPrice=Decimal("50.00"))
        await asyncio.sleep(2)
        assert one.codes() == [103]
        one.order(5, "BUY", 100, "LMT", lmtPrice=Decimal("49.00"))
        one.order(71, "BUY", 100, "LMT", lmtPrice=Decimal("50.00"))
        await asyncio.sleep(2)
        assert one.codes() == [103]
        assert sorted(order.ticket.order_id for order in gateway.desk.exchange.book.live()) == [5, 6, 70, 71]
        other.order(71, "BUY", 100, "LMT", lmtPrice=Decimal("50.00"))
        one.forget()
        one.ask("reqIds")
        await asyncio.sleep(2)
        assert other.codes() == []
        assert [values["orderId"] for values in one.replies("nextValidId")] == [72]

    on_a_gateway(scenario)


def test_executions_are_the_days_filtered_with_their_commissions_after_them() -> None:
    """All 11s, all 59s, then 55; by client, symbol, side and time; yesterday's are gone."""

    async def scenario(gateway: Gateway) -> None:
        one, other = await PlainClient.connect(1), await PlainClient.connect(2)
        one.order(1, "BUY", 100)
        other.order(1, "BUY", 100, symbol="IBM")
        await asyncio.sleep(2)
        one.forget()
        one.ask("reqExecutions", reqId=5)
        await asyncio.sleep(0.1)
        assert one.names() == ["execDetails"] * 2 + ["commissionReport"] * 2 + ["execDetailsEnd"]
        assert {values["reqId"] for values in one.replies("execDetails")} == {5}
        for change, count in [
            ({"clientId": 2}, 1),
            ({"symbol": "AAPL"}, 1),
            ({"side": "SELL"}, 0),
            ({"acctCode": "DU123456"}, 2),
            ({"secType": "STK"}, 2),
            ({"secType": "FUT"}, 0),
            ({"exchange": "NYSE"}, 1),
            ({"exchange": "SMART"}, 2),
            ({"exchange": "ARCA"}, 0),
            ({"time": "20070103-14:35:00"}, 2),
            ({"time": "20070103-20:00:00"}, 0),
        ]:
            one.forget()
            one.ask("reqExecutions", reqId=6, **change)
            await asyncio.sleep(0.1)
            assert one.names() == ["execDetails"] * count + ["commissionReport"] * count + ["execDetailsEnd"], change
        await until(gateway, JANUARY_3 + timedelta(days=1))
        one.forget()
        one.ask("reqExecutions", reqId=7)
        await asyncio.sleep(0.1)
        assert one.names() == ["execDetailsEnd"]

    on_a_gateway(scenario)


def test_completed_orders_are_the_days_ended_ones() -> None:
    """Filled ones show their size as filled only; a rejected one shows as cancelled."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100)
        client.order(2, "BUY", 100, "LMT", lmtPrice=Decimal("50.00"))
        client.order(3, "BUY", 90_000)
        await asyncio.sleep(2)
        client.ask("cancelOrder", orderId=2, manualOrderCancelTime="")
        await asyncio.sleep(2)
        client.forget()
        client.ask("reqCompletedOrders", apiOnly=False)
        await asyncio.sleep(0.1)
        shown = [
            (o["status"], o["totalQuantity"], o["filledQuantity"], o["completedStatus"])
            for o in client.replies("completedOrder")
        ]
        assert shown == [
            ("Filled", 0, 100, "Filled Size: 100"),
            ("Cancelled", 100, 0, "Cancelled by Trader"),
            ("Cancelled", 90_000, 0, "Cancelled by System:\n"),
        ]
        assert client.names()[-1] == "completedOrdersEnd"

    on_a_gateway(scenario)


@pytest.mark.parametrize("version", [157, 163, 166, 170, 176, 177, 178])
def test_a_day_of_trading_reads_at_every_server_version(version: int) -> None:
    """Every frame of a busy session decodes by the table of its version with nothing left over."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect(server_version=version)
        client.ask("reqMktData", reqId=1, **stock())
        client.ask("reqContractDetails", reqId=2, **stock())
        client.ask("reqHistoricalData", reqId=3, barSize="15 mins", duration="1 D", **stock())
        client.ask("reqAccountUpdates", subscribe=True, acctCode="")
        client.order(1, "BUY", 5_000)
        client.order(2, "SELL", 100, "STP", auxPrice=Decimal("83.00"))
        await until(gateway, CLOSE + timedelta(seconds=1))
        client.ask("reqCompletedOrders", apiOnly=False)
        client.ask("reqExecutions", reqId=4)
        await asyncio.sleep(1)
        assert all(reply.rest == () for _, reply in client.heard)
        assert {"execDetails", "completedOrder", "historicalData", "tickPrice"} <= set(client.names())
        assert all(len(split(payload)) > 0 for payload in client.raw)

    on_a_gateway(scenario, server_version=version)


def _prices(bar: dict[str, Any]) -> tuple[float, ...]:
    return tuple(float(bar[name]) for name in ("open", "high", "low", "close"))
