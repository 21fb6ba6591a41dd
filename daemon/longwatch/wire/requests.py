"""Messages from a client to the gateway, one table row a field; read by the simulated gateway, written by test clients.

Ids, names and order of fields are those of IB's client libraries. A message without a Literal carries no version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from longwatch.errors import ProtocolError
from longwatch.wire.codec import Codec
from longwatch.wire.fields import BOOL, CHOICE, DECIMAL, DOUBLE, ID, INT, TAGS, TEXT, UnreadableField
from longwatch.wire.layout import (
    REQ_ID,
    Field,
    Literal,
    Message,
    Row,
    Rows,
    When,
    is_infinite,
    is_one_of,
    is_positive,
    is_set,
    may,
)
from longwatch.wire.shared import (
    ALGO_PARAMS,
    CONDITIONS,
    CONTRACT_11,
    CONTRACT_12,
    DELTA_NEUTRAL,
    HEDGE,
    ORDER_LEGS,
    PEG_BENCH,
    QUOTE_LEGS,
    SCALE_DETAILS,
)
from longwatch.wire.writing import Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request read: its values by IB's names; `rest` holds fields after the last one known."""

    id: int
    name: str
    values: dict[str, Any]
    rest: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownRequest:
    """A message whose id this server version has no table for."""

    id: int
    fields: tuple[str, ...]


def decode_request(fields: Sequence[str], server_version: int) -> Request | UnknownRequest:
    """A client's message. Raises UnreadableField when a field can't be read, the id included."""
    message = _message_of(fields)
    if message is None or server_version < message.since:
        return UnknownRequest(id=int(fields[0]), fields=tuple(fields[1:]))
    values, rest = request_codec(message.name, server_version).decode(fields)
    return Request(id=message.id, name=message.name, values=values, rest=tuple(rest))


def encode_request(name: str, values: Values, server_version: int) -> bytes:
    """The framed request. Raises ProtocolError naming what is missing, unknown or not of its kind."""
    return request_codec(name, server_version).encode(values)


@cache
def request_codec(name: str, server_version: int) -> Codec:
    """The codec of a request. Raises ProtocolError when there is none at this version."""
    message = REQUESTS_BY_NAME.get(name)
    if message is None:
        raise ProtocolError(f"no request is called {name!r}: see the table of requests")
    return Codec(message, server_version)


def _message_of(fields: Sequence[str]) -> Message | None:
    text = fields[0] if fields else ""
    try:
        return REQUESTS_BY_ID.get(int(text))
    except ValueError:
        raise UnreadableField("Message Id", text) from None


def _version(number: int) -> Literal:
    return Literal(str(number))


def _cancel(number: int, name: str) -> Message:
    """A message that names a request, after version 1."""
    return Message(number, name, (_version(1), REQ_ID))


_V1 = _version(1)
_ORDER_ID = Field("orderId", ID)
_INCLUDE_EXPIRED = may("includeExpired", BOOL, False)
_ACCOUNT_MODEL: Rows = (may("account"), may("modelCode"))
_WHAT: Row = may("whatToShow", TEXT, "TRADES")
_USE_RTH: Row = may("useRTH", BOOL, True)
_OPTIONS_COUNT = may("optionsCount", INT, 0)


def _options(name: str) -> Field:
    return may(name, TAGS, ())


# Unset adjusted-order prices come as the largest double or empty, other unset numbers empty: both are None when read.
PLACE_ORDER: Rows = (
    _ORDER_ID,
    *CONTRACT_12,
    may("secIdType"),
    may("secId"),
    may("action"),
    may("totalQuantity", DECIMAL),
    may("orderType"),
    may("lmtPrice", DECIMAL),
    may("auxPrice", DECIMAL),
    may("tif"),
    may("ocaGroup"),
    may("account"),
    may("openClose"),
    may("origin", INT, 0),
    may("orderRef"),
    may("transmit", BOOL, True),
    may("parentId", INT, 0),
    may("blockOrder", BOOL, False),
    may("sweepToFill", BOOL, False),
    may("displaySize", INT, 0),
    may("triggerMethod", INT, 0),
    may("outsideRth", BOOL, False),
    may("hidden", BOOL, False),
    When("secType", is_one_of("BAG"), ORDER_LEGS),
    may("sharesAllocation"),
    may("discretionaryAmt", DOUBLE, 0),
    may("goodAfterTime"),
    may("goodTillDate"),
    may("faGroup"),
    may("faMethod"),
    may("faPercentage"),
    may("faProfile", until=177),
    may("modelCode"),
    may("shortSaleSlot", INT, 0),
    may("designatedLocation"),
    may("exemptCode", INT, -1),
    may("ocaType", INT, 0),
    may("rule80A"),
    may("settlingFirm"),
    may("allOrNone", BOOL, False),
    may("minQty", INT),
    may("percentOffset", DOUBLE),
    may("eTradeOnly", BOOL, False),
    may("firmQuoteOnly", BOOL, False),
    may("nbboPriceCap", DOUBLE),
    may("auctionStrategy", INT, 0),
    may("startingPrice", DOUBLE),
    may("stockRefPrice", DOUBLE),
    may("delta", DOUBLE),
    may("stockRangeLower", DOUBLE),
    may("stockRangeUpper", DOUBLE),
    may("overridePercentageConstraints", BOOL, False),
    may("volatility", DOUBLE),
    may("volatilityType", INT),
    may("deltaNeutralOrderType"),
    may("deltaNeutralAuxPrice", DOUBLE),
    When(
        "deltaNeutralOrderType",
        is_set,
        (
            may("deltaNeutralConId", INT, 0),
            may("deltaNeutralSettlingFirm"),
            may("deltaNeutralClearingAccount"),
            may("deltaNeutralClearingIntent"),
            may("deltaNeutralOpenClose"),
            may("deltaNeutralShortSale", BOOL, False),
            may("deltaNeutralShortSaleSlot", INT, 0),
            may("deltaNeutralDesignatedLocation"),
        ),
    ),
    may("continuousUpdate", BOOL, False),
    may("referencePriceType", INT),
    may("trailStopPrice", DOUBLE),
    may("trailingPercent", DOUBLE),
    may("scaleInitLevelSize", INT),
    may("scaleSubsLevelSize", INT),
    may("scalePriceIncrement", DOUBLE),
    When("scalePriceIncrement", is_positive, SCALE_DETAILS),
    may("scaleTable"),
    may("activeStartTime"),
    may("activeStopTime"),
    may("hedgeType"),
    HEDGE,
    may("optOutSmartRouting", BOOL, False),
    may("clearingAccount"),
    may("clearingIntent"),
    may("notHeld", BOOL, False),
    DELTA_NEUTRAL,
    may("algoStrategy"),
    ALGO_PARAMS,
    may("algoId"),
    may("whatIf", BOOL, False),
    _options("orderMiscOptions"),
    may("solicited", BOOL, False),
    may("randomizeSize", BOOL, False),
    may("randomizePrice", BOOL, False),
    PEG_BENCH,
    *CONDITIONS,
    may("adjustedOrderType"),
    may("triggerPrice", DOUBLE),
    may("lmtPriceOffset", DOUBLE),
    may("adjustedStopPrice", DOUBLE),
    may("adjustedStopLimitPrice", DOUBLE),
    may("adjustedTrailingAmount", DOUBLE),
    may("adjustableTrailingUnit", INT, 0),
    may("extOperator"),
    may("softDollarName"),
    may("softDollarVal"),
    may("cashQty", DECIMAL),
    may("mifid2DecisionMaker"),
    may("mifid2DecisionAlgo"),
    may("mifid2ExecutionTrader"),
    may("mifid2ExecutionAlgo"),
    may("dontUseAutoPriceForHedge", BOOL, False),
    may("isOmsContainer", BOOL, False),
    may("discretionaryUpToLimitPrice", BOOL, False),
    may("usePriceMgmtAlgo", CHOICE),
    may("duration", INT, since=158),
    may("postToAts", INT, since=160),
    may("autoCancelParent", BOOL, False, since=162),
    may("advancedErrorOverride", since=166),
    may("manualOrderTime", since=169),
    When("exchange", is_one_of("IBKRATS"), (may("minTradeQty", INT),), since=170),
    When(
        "orderType",
        is_one_of("PEG BEST", "PEGBEST"),
        (
            may("minCompeteSize", INT),
            may("competeAgainstBestOffset", DOUBLE),
            When(
                "competeAgainstBestOffset",
                is_infinite,
                (may("midOffsetAtWhole", DOUBLE), may("midOffsetAtHalf", DOUBLE)),
            ),
        ),
        since=170,
    ),
    When(
        "orderType",
        is_one_of("PEG MID", "PEGMID"),
        (may("midOffsetAtWhole", DOUBLE), may("midOffsetAtHalf", DOUBLE)),
        since=170,
    ),
)

SCANNER: Rows = (
    REQ_ID,
    may("numberOfRows", INT, -1),
    may("instrument"),
    may("locationCode"),
    may("scanCode"),
    may("abovePrice", DOUBLE),
    may("belowPrice", DOUBLE),
    may("aboveVolume", INT),
    may("marketCapAbove", DOUBLE),
    may("marketCapBelow", DOUBLE),
    may("moodyRatingAbove"),
    may("moodyRatingBelow"),
    may("spRatingAbove"),
    may("spRatingBelow"),
    may("maturityDateAbove"),
    may("maturityDateBelow"),
    may("couponRateAbove", DOUBLE),
    may("couponRateBelow", DOUBLE),
    may("excludeConvertible", BOOL, False),
    may("averageOptionVolumeAbove", INT),
    may("scannerSettingPairs"),
    may("stockTypeFilter"),
    _options("filterOptions"),
    _options("subscriptionOptions"),
)

REQUESTS: tuple[Message, ...] = (
    Message(
        1,
        "reqMktData",
        (
            _version(11),
            REQ_ID,
            *CONTRACT_12,
            QUOTE_LEGS,
            DELTA_NEUTRAL,
            may("genericTickList"),
            may("snapshot", BOOL, False),
            may("regulatorySnapshot", BOOL, False),
            _options("mktDataOptions"),
        ),
    ),
    Message(2, "cancelMktData", (_version(2), REQ_ID)),
    Message(3, "placeOrder", PLACE_ORDER),
    Message(4, "cancelOrder", (_V1, _ORDER_ID, may("manualOrderCancelTime", since=169))),
    Message(5, "reqOpenOrders", (_V1,)),
    Message(6, "reqAccountUpdates", (_version(2), may("subscribe", BOOL, True), may("acctCode"))),
    Message(
        7,
        "reqExecutions",
        (
            _version(3),
            REQ_ID,
            may("clientId", INT, 0),
            may("acctCode"),
            may("time"),
            may("symbol"),
            may("secType"),
            may("exchange"),
            may("side"),
        ),
    ),
    Message(8, "reqIds", (_V1, may("numIds", INT, 1))),
    Message(
        9,
        "reqContractDetails",
        (
            _version(8),
            REQ_ID,
            *CONTRACT_12,
            _INCLUDE_EXPIRED,
            may("secIdType"),
            may("secId"),
            may("issuerId", since=176),
        ),
    ),
    Message(
        10,
        "reqMktDepth",
        (
            _version(5),
            REQ_ID,
            *CONTRACT_12,
            may("numRows", INT, 5),
            may("isSmartDepth", BOOL, False),
            _options("mktDepthOptions"),
        ),
    ),
    Message(11, "cancelMktDepth", (_V1, REQ_ID, may("isSmartDepth", BOOL, False))),
    Message(12, "reqNewsBulletins", (_V1, may("allMsgs", BOOL, True))),
    Message(13, "cancelNewsBulletins", (_V1,)),
    Message(14, "setServerLogLevel", (_V1, Field("logLevel", INT))),
    Message(15, "reqAutoOpenOrders", (_V1, may("autoBind", BOOL, True))),
    Message(16, "reqAllOpenOrders", (_V1,)),
    Message(17, "reqManagedAccts", (_V1,)),
    Message(18, "requestFA", (_V1, Field("faDataType", INT))),
    Message(19, "replaceFA", (_V1, Field("faDataType", INT), may("xml"), may("reqId", INT, since=157))),
    Message(
        20,
        "reqHistoricalData",
        (
            REQ_ID,
            *CONTRACT_12,
            _INCLUDE_EXPIRED,
            may("endDateTime"),
            Field("barSize", TEXT),
            Field("duration", TEXT),
            _USE_RTH,
            _WHAT,
            may("formatDate", INT, 1),
            QUOTE_LEGS,
            may("keepUpToDate", BOOL, False),
            _options("chartOptions"),
        ),
    ),
    Message(
        21,
        "exerciseOptions",
        (
            _version(2),
            REQ_ID,
            *CONTRACT_11,
            Field("exerciseAction", INT),
            Field("exerciseQuantity", INT),
            may("account"),
            may("override", INT, 0),
        ),
    ),
    Message(22, "reqScannerSubscription", SCANNER),
    _cancel(23, "cancelScannerSubscription"),
    Message(24, "reqScannerParameters", (_V1,)),
    _cancel(25, "cancelHistoricalData"),
    Message(49, "reqCurrentTime", (_V1,)),
    Message(
        50,
        "reqRealTimeBars",
        (_version(3), REQ_ID, *CONTRACT_12, may("barSize", INT, 5), _WHAT, _USE_RTH, _options("realTimeBarsOptions")),
    ),
    _cancel(51, "cancelRealTimeBars"),
    Message(
        52,
        "reqFundamentalData",
        (
            _version(2),
            REQ_ID,
            may("conId", INT, 0),
            may("symbol"),
            may("secType"),
            may("exchange"),
            may("primaryExchange"),
            may("currency"),
            may("localSymbol"),
            may("reportType"),
            _OPTIONS_COUNT,
            _options("fundamentalDataOptions"),
        ),
    ),
    _cancel(53, "cancelFundamentalData"),
    Message(
        54,
        "calculateImpliedVolatility",
        (
            _version(3),
            REQ_ID,
            *CONTRACT_12,
            Field("optionPrice", DOUBLE),
            Field("underPrice", DOUBLE),
            _OPTIONS_COUNT,
            _options("implVolOptions"),
        ),
    ),
    Message(
        55,
        "calculateOptionPrice",
        (
            _version(3),
            REQ_ID,
            *CONTRACT_12,
            Field("volatility", DOUBLE),
            Field("underPrice", DOUBLE),
            _OPTIONS_COUNT,
            _options("optPrcOptions"),
        ),
    ),
    _cancel(56, "cancelCalculateImpliedVolatility"),
    _cancel(57, "cancelCalculateOptionPrice"),
    Message(58, "reqGlobalCancel", (_V1,)),
    Message(59, "reqMarketDataType", (_V1, Field("marketDataType", INT))),
    Message(61, "reqPositions", (_V1,)),
    Message(62, "reqAccountSummary", (_V1, REQ_ID, may("group", TEXT, "All"), may("tags"))),
    _cancel(63, "cancelAccountSummary"),
    Message(64, "cancelPositions", (_V1,)),
    Message(65, "verifyRequest", (_V1, may("apiName"), may("apiVersion"))),
    Message(66, "verifyMessage", (_V1, may("apiData"))),
    _cancel(67, "queryDisplayGroups"),
    Message(68, "subscribeToGroupEvents", (_V1, REQ_ID, Field("groupId", INT))),
    Message(69, "updateDisplayGroup", (_V1, REQ_ID, may("contractInfo"))),
    _cancel(70, "unsubscribeFromGroupEvents"),
    Message(71, "startApi", (_version(2), Field("clientId", ID), may("optionalCapabilities"))),
    Message(72, "verifyAndAuthRequest", (_V1, may("apiName"), may("apiVersion"), may("opaqueIsvKey"))),
    Message(73, "verifyAndAuthMessage", (_V1, may("apiData"), may("xyzResponse"))),
    Message(74, "reqPositionsMulti", (_V1, REQ_ID, *_ACCOUNT_MODEL)),
    _cancel(75, "cancelPositionsMulti"),
    Message(76, "reqAccountUpdatesMulti", (_V1, REQ_ID, *_ACCOUNT_MODEL, may("ledgerAndNLV", BOOL, False))),
    _cancel(77, "cancelAccountUpdatesMulti"),
    Message(
        78,
        "reqSecDefOptParams",
        (
            REQ_ID,
            may("underlyingSymbol"),
            may("futFopExchange"),
            may("underlyingSecType"),
            may("underlyingConId", INT, 0),
        ),
    ),
    Message(79, "reqSoftDollarTiers", (REQ_ID,)),
    Message(80, "reqFamilyCodes", ()),
    Message(81, "reqMatchingSymbols", (REQ_ID, may("pattern"))),
    Message(82, "reqMktDepthExchanges", ()),
    Message(83, "reqSmartComponents", (REQ_ID, may("bboExchange"))),
    Message(84, "reqNewsArticle", (REQ_ID, may("providerCode"), may("articleId"), _options("newsArticleOptions"))),
    Message(85, "reqNewsProviders", ()),
    Message(
        86,
        "reqHistoricalNews",
        (
            REQ_ID,
            may("conId", INT, 0),
            may("providerCodes"),
            may("startDateTime"),
            may("endDateTime"),
            may("totalResults", INT, 10),
            _options("historicalNewsOptions"),
        ),
    ),
    Message(
        87,
        "reqHeadTimeStamp",
        (REQ_ID, *CONTRACT_12, _INCLUDE_EXPIRED, _USE_RTH, _WHAT, may("formatDate", INT, 1)),
    ),
    Message(88, "reqHistogramData", (REQ_ID, *CONTRACT_12, _INCLUDE_EXPIRED, _USE_RTH, may("timePeriod"))),
    Message(89, "cancelHistogramData", (REQ_ID,)),
    Message(90, "cancelHeadTimeStamp", (REQ_ID,)),
    Message(91, "reqMarketRule", (Field("marketRuleId", ID),)),
    Message(92, "reqPnL", (REQ_ID, *_ACCOUNT_MODEL)),
    Message(93, "cancelPnL", (REQ_ID,)),
    Message(94, "reqPnLSingle", (REQ_ID, *_ACCOUNT_MODEL, may("conId", INT, 0))),
    Message(95, "cancelPnLSingle", (REQ_ID,)),
    Message(
        96,
        "reqHistoricalTicks",
        (
            REQ_ID,
            *CONTRACT_12,
            _INCLUDE_EXPIRED,
            may("startDateTime"),
            may("endDateTime"),
            may("numberOfTicks", INT, 1000),
            _WHAT,
            _USE_RTH,
            may("ignoreSize", BOOL, False),
            _options("miscOptions"),
        ),
    ),
    Message(
        97,
        "reqTickByTickData",
        (
            REQ_ID,
            *CONTRACT_12,
            may("tickType", TEXT, "Last"),
            may("numberOfTicks", INT, 0),
            may("ignoreSize", BOOL, False),
        ),
    ),
    Message(98, "cancelTickByTickData", (REQ_ID,)),
    Message(99, "reqCompletedOrders", (may("apiOnly", BOOL, False),)),
    Message(100, "reqWshMetaData", (REQ_ID,), since=161),
    Message(101, "cancelWshMetaData", (REQ_ID,), since=161),
    Message(
        102,
        "reqWshEventData",
        (
            REQ_ID,
            may("conId", INT),
            may("filter", since=171),
            may("fillWatchlist", BOOL, False, since=171),
            may("fillPortfolio", BOOL, False, since=171),
            may("fillCompetitors", BOOL, False, since=171),
            may("startDate", since=173),
            may("endDate", since=173),
            may("totalLimit", INT, since=173),
        ),
        since=161,
    ),
    Message(103, "cancelWshEventData", (REQ_ID,), since=161),
    Message(104, "reqUserInfo", (REQ_ID,), since=167),
)

REQUESTS_BY_ID = {message.id: message for message in REQUESTS}
REQUESTS_BY_NAME = {message.name: message for message in REQUESTS}
