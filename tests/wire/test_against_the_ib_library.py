"""Facts about agreement with the unmodified IB library, ib_insync or ib_async, from both sides of the wire."""

from __future__ import annotations

import importlib
import logging
import random
from datetime import UTC
from decimal import Decimal
from operator import attrgetter
from types import SimpleNamespace
from typing import Any

import pytest

from longwatch.broker.ib import installed
from longwatch.wire.framing import split
from longwatch.wire.replies import REPLIES, encode_reply
from longwatch.wire.requests import REQUESTS, Request, decode_request
from tests.wire.invented import invent

VERSIONS = (157, 163, 164, 166, 169, 170, 173, 176, *((177, 178) if installed() == "ib_async" else ()))
"""Versions the library offers; 158 is left out, for it reads `duration` only from 159 on."""

WHOLE = frozenset(("coupon", "evMultiplier", "yieldRedemptionDate"))
"""Fields the library takes for whole numbers."""

STOCK = {
    "conId": 265598, "symbol": "AAPL", "secType": "STK", "exchange": "SMART", "currency": "USD",
    "localSymbol": "AAPL", "tradingClass": "NMS",
}  # fmt: skip
ORDER = {
    **STOCK, "action": "BUY", "totalQuantity": 100, "orderType": "LMT", "lmtPrice": Decimal("150.25"),
    "account": "DU1234567", "permId": 600745656, "orderRef": "lw:a:1", "status": "Submitted",
}  # fmt: skip


def library(module: str = "") -> Any:
    """The installed IB library, or a module of it; imported late, as it binds itself to the running loop."""
    return importlib.import_module(f"{installed()}.{module}" if module else installed())


class Heard:
    """Stands where the library's wrapper stands and notes every callback."""

    defaultTimezone = UTC

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.ib = SimpleNamespace(TimezoneTWS="US/Eastern")

    def __getattr__(self, name: str) -> Any:
        return lambda *values: self.calls.append((name, values))


def hear(framed: bytes, server_version: int) -> list[tuple[str, tuple[Any, ...]]]:
    """What the library's decoder makes of a framed message."""
    Decoder = library("decoder").Decoder

    heard = Heard()
    Decoder(heard, server_version).interpret(split(framed[4:]))
    return heard.calls


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_library_decodes_every_reply_without_complaint(
    version: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever values a reply carries, its own decoder finds as many fields as it expects and calls back."""
    caplog.set_level(logging.ERROR)
    for message in REPLIES:
        if message.since <= version:
            for seed in range(6):
                values = sensible(invent(message.rows, version, random.Random(seed)))
                framed = encode_reply(message.name, values, version)
                calls = hear(framed, version)
                assert caplog.records == [], (message.name, seed)
                assert calls, (message.name, seed)


def sensible(values: dict[str, Any]) -> dict[str, Any]:
    """Values a gateway would send: numbers given, texts that are times where the library reads times."""
    filled = {name: _sensible(name, value) for name, value in values.items()}
    if filled.keys() == {"price", "size"}:
        filled["size"] = 5
    if "execId" in filled and "side" in filled:
        filled["time"] = "20231115 09:20:44 GB-Eire"
    return filled


def _sensible(name: str, value: Any) -> Any:
    match value:
        case None if name != "deltaNeutralContract":
            return 1
        case Decimal() if name in WHOLE:
            return Decimal(5)
        case Decimal() if not value.is_finite():
            return Decimal("0.02")
        case str() if name in WHOLE:
            return "0"
        case str():
            return value.replace("\\", "/")
        case [dict(), *_]:
            return [sensible(group) for group in value]
        case list():
            return [_sensible(name, item) for item in value]
        case _:
            return value


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_library_reads_our_order_as_we_meant_it(version: int) -> None:
    """Contract, order and state arrive at the right attributes."""
    ((name, (order_id, contract, order, state)),) = hear(
        encode_reply("openOrder", {"orderId": 5, **ORDER}, version), version
    )
    assert (name, order_id, contract.conId, contract.localSymbol) == ("openOrder", 5, 265598, "AAPL")
    assert (order.action, order.totalQuantity, order.lmtPrice, order.orderRef) == ("BUY", 100.0, 150.25, "lw:a:1")
    assert (order.permId, order.tif, order.clearingIntent, state.status) == (600745656, "DAY", "IB", "Submitted")
    assert (order.adjustedOrderType, order.dontUseAutoPriceForHedge, order.usePriceMgmtAlgo) == ("None", True, False)


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_library_reads_our_completed_order_as_we_meant_it(version: int) -> None:
    """The size of a filled order is in filledQuantity, its end in the state."""
    values = {
        **ORDER,
        "totalQuantity": 0,
        "filledQuantity": 100,
        "status": "Filled",
        "completedStatus": "Filled Size: 100",
    }
    ((name, (contract, order, state)),) = hear(encode_reply("completedOrder", values, version), version)
    assert (name, contract.symbol, order.filledQuantity, order.permId) == ("completedOrder", "AAPL", 100.0, 600745656)
    assert (state.status, state.completedStatus) == ("Filled", "Filled Size: 100")


async def test_the_library_reads_our_execution_and_commission() -> None:
    """Shares, price, time and the unset result of an opening trade."""
    execution = {
        "orderId": 5, **STOCK, "execId": "0000e0d5.67fe667b.01.01", "time": "20231115 09:20:44 US/Eastern",
        "side": "BOT", "shares": 100, "price": Decimal("201.94"), "cumQty": 100,
        "acctNumber": "DU1234567", "executionExchange": "IEX",
    }  # fmt: skip
    ((_, (req_id, contract, found)),) = hear(encode_reply("execDetails", execution, 176), 176)
    assert (req_id, contract.exchange, found.exchange, found.shares, found.price) == (-1, "SMART", "IEX", 100.0, 201.94)
    assert found.time.isoformat() == "2023-11-15T14:20:44+00:00"
    report = {"execId": "0000e0d5.67fe667b.01.01", "commission": Decimal("1.0"), "currency": "USD"}
    ((_, (commission,)),) = hear(encode_reply("commissionReport", report, 176), 176)
    assert (commission.commission, commission.realizedPNL) == (1.0, 1.7976931348623157e308)


async def test_the_library_reads_our_history_ticks_and_details() -> None:
    """Bars, prices and the contract's terms arrive as numbers."""
    bar = {"date": "20240102", "open": "187.15", "high": "188.44", "low": "183.88", "close": "185.64", "volume": 824887}
    history = hear(encode_reply("historicalData", {"reqId": 7, "bars": [bar, bar]}, 176), 176)
    assert [name for name, _ in history] == ["historicalData", "historicalData", "historicalDataEnd"]
    assert (history[0][1][1].close, history[0][1][1].barCount) == (185.64, -1)
    tick = {"reqId": 1, "tickType": 1, "price": Decimal("255.45"), "size": 200}
    assert hear(encode_reply("tickPrice", tick, 176), 176) == [("priceSizeTick", (1, 1, 255.45, 200.0))]
    details = {
        "reqId": 3,
        **STOCK,
        "minTick": "0.01",
        "longName": "APPLE INC",
        "secIdList": (("ISIN", "US0378331005"),),
    }
    ((_, (_, found)),) = hear(encode_reply("contractDetails", details, 164), 164)
    assert (found.contract.conId, found.minTick, found.longName, found.suggestedSizeIncrement) == (
        265598,
        0.01,
        "APPLE INC",
        100.0,
    )


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_request_of_the_library_is_read_to_its_last_field(version: int) -> None:
    """Its client's own methods, called with plain, combination and conditional orders, leave nothing unread."""
    Client = library("client").Client

    class Sender(Client):  # type: ignore[misc]
        def isConnected(self) -> bool:
            return True

        def sendMsg(self, msg: str) -> None:
            sent.append(split(msg.encode()))

    sent: list[list[str]] = []
    sender = Sender(Heard())
    sender._serverVersion = version
    speak(sender)
    names = set()
    for fields in sent:
        read = decode_request(fields, version)
        if isinstance(read, Request):
            assert read.rest == (), read.name
            names.add(read.name)
    assert names == {message.name for message in REQUESTS if message.since <= version}


def speak(client: Any) -> None:
    """Calls every request method of the library's client."""
    Contract, ExecutionFilter, ScannerSubscription, Stock, TagValue = attrgetter(
        "Contract", "ExecutionFilter", "ScannerSubscription", "Stock", "TagValue"
    )(library())

    stock, combo = Stock("AAPL", "SMART", "USD", conId=265598), combination()
    options = [TagValue("a", "1"), TagValue("b", "2")]
    for contract in (stock, combo):
        client.reqMktData(1, contract, "233", False, False, options)
        client.reqHistoricalData(1, contract, "", "1 D", "1 day", "TRADES", True, 1, False, options)
    for contract, order in orders(stock, combo):
        client.placeOrder(1, contract, order)
    for name in (
        "OpenOrders",
        "AllOpenOrders",
        "ManagedAccts",
        "CurrentTime",
        "GlobalCancel",
        "Positions",
        "ScannerParameters",
    ):
        getattr(client, f"req{name}")()
    for name in ("FamilyCodes", "MktDepthExchanges", "NewsProviders"):
        getattr(client, f"req{name}")()
    client.startApi()
    client.cancelPositions()
    client.cancelNewsBulletins()
    for name in (
        "MktData", "Order", "ScannerSubscription", "HistoricalData", "RealTimeBars", "FundamentalData",
        "CalculateImpliedVolatility", "CalculateOptionPrice", "AccountSummary", "PositionsMulti", "AccountUpdatesMulti",
        "HistogramData", "HeadTimeStamp", "PnL", "PnLSingle", "TickByTickData", "WshMetaData", "WshEventData",
    ):  # fmt: skip
        getattr(client, f"cancel{name}")(1)
    client.cancelMktDepth(1, True)
    client.reqAccountUpdates(True, "DU1234567")
    client.reqExecutions(1, ExecutionFilter(clientId=3, acctCode="DU1234567", time="20240101 10:00:00", side="BUY"))
    client.reqIds(1)
    client.reqContractDetails(
        1, Contract(symbol="AAPL", secType="STK", exchange="SMART", currency="USD", includeExpired=True)
    )
    client.reqMktDepth(1, stock, 5, True, options)
    client.reqNewsBulletins(True)
    client.setServerLogLevel(3)
    client.reqAutoOpenOrders(True)
    client.requestFA(1)
    client.replaceFA(1, 1, "<xml/>")
    client.exerciseOptions(1, stock, 1, 5, "DU1234567", 0)
    client.reqScannerSubscription(1, ScannerSubscription(numberOfRows=10, abovePrice=5.0), options, options)
    client.reqRealTimeBars(1, stock, 5, "TRADES", True, options)
    client.reqFundamentalData(1, stock, "ReportSnapshot", options)
    client.calculateImpliedVolatility(1, stock, 5.5, 100.0, options)
    client.calculateOptionPrice(1, stock, 0.25, 100.0, options)
    speak_further(client, stock, options)


def speak_further(client: Any, stock: Any, options: list[Any]) -> None:
    """The rest of the methods."""
    WshEventData = library().WshEventData

    client.reqMarketDataType(3)
    client.reqAccountSummary(1, "All", "NetLiquidation")
    client.verifyRequest("a", "1")
    client.verifyMessage("a")
    client.queryDisplayGroups(1)
    client.subscribeToGroupEvents(1, 2)
    client.updateDisplayGroup(1, "none")
    client.unsubscribeFromGroupEvents(1)
    client.verifyAndAuthRequest("a", "1", "key")
    client.verifyAndAuthMessage("a", "x")
    client.reqPositionsMulti(1, "DU1234567", "")
    client.reqAccountUpdatesMulti(1, "DU1234567", "", True)
    client.reqSecDefOptParams(1, "AAPL", "", "STK", 265598)
    client.reqSoftDollarTiers(1)
    client.reqMatchingSymbols(1, "AA")
    client.reqSmartComponents(1, "9c0001")
    client.reqNewsArticle(1, "BRFG", "x", options)
    client.reqHistoricalNews(1, 265598, "BRFG", "", "", 5, options)
    client.reqHeadTimeStamp(1, stock, "TRADES", True, 1)
    client.reqHistogramData(1, stock, True, "3 days")
    client.reqMarketRule(26)
    client.reqPnL(1, "DU1234567", "")
    client.reqPnLSingle(1, "DU1234567", "", 265598)
    client.reqHistoricalTicks(1, stock, "", "20240101 10:00:00", 5, "TRADES", True, False, options)
    client.reqTickByTickData(1, stock, "Last", 0, False)
    client.reqCompletedOrders(False)
    client.reqWshMetaData(1)
    client.reqWshEventData(1, WshEventData(conId=265598))
    client.reqUserInfo(1)


def combination() -> Any:
    """A two-legged combination of the library's."""
    ComboLeg, Contract = attrgetter("ComboLeg", "Contract")(library())

    legs = [
        ComboLeg(conId=1, ratio=1, action="BUY", exchange="SMART"),
        ComboLeg(conId=2, ratio=1, action="SELL", exchange="SMART"),
    ]
    return Contract(secType="BAG", symbol="SPY", exchange="SMART", currency="USD", comboLegs=legs)


def orders(stock: Any, combo: Any) -> list[tuple[Any, Any]]:
    """Orders that open each conditional part of placeOrder."""
    Contract, LimitOrder, MarketOrder, Order, OrderComboLeg, StopOrder, TagValue = attrgetter(
        "Contract", "LimitOrder", "MarketOrder", "Order", "OrderComboLeg", "StopOrder", "TagValue"
    )(library())
    DeltaNeutralContract = library("contract").DeltaNeutralContract
    ExecutionCondition, MarginCondition, PercentChangeCondition, PriceCondition, TimeCondition, VolumeCondition = (
        attrgetter(
            "ExecutionCondition",
            "MarginCondition",
            "PercentChangeCondition",
            "PriceCondition",
            "TimeCondition",
            "VolumeCondition",
        )(library("order"))
    )

    conditions = [
        PriceCondition(price=5.0, conId=1, exch="SMART"),
        TimeCondition(time="20240101 10:00:00"), MarginCondition(percent=30),
        ExecutionCondition(secType="STK", exch="SMART", symbol="IBM"), VolumeCondition(volume=5, conId=1, exch="SMART"),
        PercentChangeCondition(changePercent=1.5, conId=1, exch="SMART"),
    ]  # fmt: skip
    params = [TagValue("adaptivePriority", "Urgent")]
    hedged = Contract.create(**{**stock.dict(), "deltaNeutralContract": DeltaNeutralContract(1, 0.5, 10.0)})
    return [
        (stock, LimitOrder("BUY", 100, 150.25, account="DU1234567", tif="DAY", outsideRth=False)),
        (stock, StopOrder("SELL", 100, 140.0, conditions=conditions, conditionsIgnoreRth=True)),
        (combo, MarketOrder("BUY", 1, orderComboLegs=[OrderComboLeg(1.5)], smartComboRoutingParams=params)),
        (hedged, LimitOrder("BUY", 1, 5.0, hedgeType="D", hedgeParam="5", deltaNeutralOrderType="LMT")),
        (stock, LimitOrder("BUY", 1, 5.0, algoStrategy="Adaptive", algoParams=params, scalePriceIncrement=0.1)),
        (stock, Order(action="BUY", orderType="PEG BENCH", totalQuantity=1, referenceContractId=5)),
        (stock, Order(action="BUY", orderType="PEG BEST", totalQuantity=1, competeAgainstBestOffset=float("inf"))),
        (stock, Order(action="BUY", orderType="PEG MID", totalQuantity=1, midOffsetAtWhole=0.1)),
        (type(stock)("A", "IBKRATS", "USD"), Order(action="BUY", orderType="LMT", totalQuantity=1, minTradeQty=5)),
    ]
