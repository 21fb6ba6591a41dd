"""Messages from the gateway to a client, one table row a field; written by the simulated gateway, read by the adapter.

A default in a row is the constant that real gateways send, so a writer gives only what matters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from longwatch.errors import ProtocolError
from longwatch.wire.codec import Codec
from longwatch.wire.fields import BOOL, DECIMAL, DOUBLE, ID, IMAX, INT, LONG, MAX, TEXT, UnreadableField
from longwatch.wire.framing import HIGHEST_SERVER_VERSION
from longwatch.wire.layout import REQ_ID, Each, Field, Literal, Message, Pairs, Repeat, Rows, Switch, may
from longwatch.wire.order_replies import COMPLETED_ORDER, OPEN_ORDER
from longwatch.wire.shared import CON_ID, CONTRACT_11
from longwatch.wire.writing import Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A reply read: its values by IB's names; `rest` holds fields after the last one known."""

    id: int
    name: str
    values: dict[str, Any]
    rest: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownReply:
    """A message whose id this server version has no table for."""

    id: int
    fields: tuple[str, ...]


def encode_reply(name: str, values: Values, server_version: int) -> bytes:
    """The framed reply. Raises ProtocolError naming what is missing, unknown or not of its kind."""
    return reply_codec(name, server_version).encode(values)


def decode_reply(fields: Sequence[str], server_version: int) -> Reply | UnknownReply:
    """A gateway's message. Raises UnreadableField when a field can't be read, the id included."""
    text = fields[0] if fields else ""
    try:
        message = REPLIES_BY_ID.get(int(text))
    except ValueError:
        raise UnreadableField("Message Id", text) from None
    if message is None or server_version < message.since:
        return UnknownReply(id=int(text), fields=tuple(fields[1:]))
    values, rest = reply_codec(message.name, server_version).decode(fields)
    return Reply(id=message.id, name=message.name, values=values, rest=tuple(rest))


@cache
def quick(name: str, server_version: int) -> Callable[..., bytes]:
    """A fast writer of a reply of plain fields, its values by position in the table's order, the version left out.

    quick("tickPrice", 176)(reqId, tickType, price, size, attrMask) is the framed message.
    """
    return reply_codec(name, server_version).quick()


@cache
def for_any_request(name: str) -> Callable[..., bytes]:
    """The same with the request's number left open, for a message alike at all versions: it can go to many clients.

    for_any_request("tickSize")(4, tickType, size).replace(OPEN_NUMBER, b"1001") is the framed message.
    """
    return reply_codec(name, HIGHEST_SERVER_VERSION).quick(for_any=True)


@cache
def reply_codec(name: str, server_version: int) -> Codec:
    """The codec of a reply. Raises ProtocolError when there is none at this version."""
    message = REPLIES_BY_NAME.get(name)
    if message is None:
        raise ProtocolError(f"no reply is called {name!r}: see the table of replies")
    return Codec(message, server_version)


def _version(number: int) -> Literal:
    return Literal(str(number))


_V1, _V6 = _version(1), _version(6)
_TICK: Rows = (_V6, REQ_ID, Field("tickType", INT))


def _end(number: int, name: str) -> Message:
    """The end of one request's answers."""
    return Message(number, name, (_V1, REQ_ID))


# In 10 and 18 the version field and the market data size multiplier ended with 164, which brought the sizes.
_MD_SIZE_MULTIPLIER = may("mdSizeMultiplier", INT, 100, until=164)
_SIZES: Rows = (
    may("minSize", DECIMAL, 1, since=164),
    may("sizeIncrement", DECIMAL, 1, since=164),
)

CONTRACT_DETAILS: Rows = (
    Literal("8", until=164),
    REQ_ID,
    may("symbol"),
    may("secType"),
    may("lastTradeDateOrContractMonth"),
    may("strike", DECIMAL, 0),
    may("right"),
    may("exchange"),
    may("currency"),
    may("localSymbol"),
    may("marketName"),
    may("tradingClass"),
    Field("conId", INT),
    may("minTick", DECIMAL, "0.01"),
    _MD_SIZE_MULTIPLIER,
    may("multiplier"),
    may("orderTypes"),
    may("validExchanges"),
    may("priceMagnifier", INT, 1),
    may("underConId", INT, 0),
    may("longName"),
    may("primaryExchange"),
    may("contractMonth"),
    may("industry"),
    may("category"),
    may("subcategory"),
    may("timeZoneId"),
    may("tradingHours"),
    may("liquidHours"),
    may("evRule"),
    may("evMultiplier"),
    Pairs("secIdList"),
    may("aggGroup", INT, 1, unset=IMAX),
    may("underSymbol"),
    may("underSecType"),
    may("marketRuleIds"),
    may("realExpirationDate"),
    may("stockType"),
    *_SIZES,
    may("suggestedSizeIncrement", DECIMAL, 100, since=163),
)

BOND_CONTRACT_DETAILS: Rows = (
    Literal("6", until=164),
    REQ_ID,
    may("symbol"),
    may("secType", TEXT, "BOND"),
    may("cusip"),
    may("coupon", DECIMAL, 0),
    may("maturity"),
    may("issueDate"),
    may("ratings"),
    may("bondType"),
    may("couponType"),
    may("convertible", BOOL, False),
    may("callable", BOOL, False),
    may("putable", BOOL, False),
    may("descAppend"),
    may("exchange"),
    may("currency"),
    may("marketName"),
    may("tradingClass"),
    Field("conId", INT),
    may("minTick", DECIMAL, "0.01"),
    _MD_SIZE_MULTIPLIER,
    may("orderTypes"),
    may("validExchanges"),
    may("nextOptionDate"),
    may("nextOptionType"),
    may("nextOptionPartial", BOOL, False),
    may("notes"),
    may("longName"),
    may("evRule"),
    may("evMultiplier"),
    Pairs("secIdList"),
    may("aggGroup", INT, 1, unset=IMAX),
    may("marketRuleIds"),
    *_SIZES,
    may("suggestedSizeIncrement", DECIMAL, 1, since=164),
)

EXEC_DETAILS: Rows = (
    may("reqId", ID, -1),
    Field("orderId", INT),
    *CONTRACT_11,
    Field("execId", TEXT),
    Field("time", TEXT),
    may("acctNumber"),
    may("executionExchange"),
    Field("side", TEXT),
    Field("shares", DECIMAL),
    Field("price", DECIMAL),
    may("permId", INT, 0),
    may("clientId", INT, 0),
    may("liquidation", INT, 0),
    may("cumQty", DECIMAL, 0),
    may("avgPrice", DECIMAL, 0),
    may("orderRef"),
    may("evRule"),
    may("evMultiplier", DOUBLE),
    may("modelCode"),
    may("lastLiquidity", INT, 2),
    may("pendingPriceRevision", BOOL, False, since=178),
)

_HELD: Rows = (Field("position", DECIMAL), may("avgCost", DOUBLE, 0))

UPDATE_PORTFOLIO: Rows = (
    _version(8),
    CON_ID,
    may("symbol"),
    may("secType"),
    may("lastTradeDateOrContractMonth"),
    may("strike", DECIMAL, 0),
    may("right", TEXT, "0"),
    may("multiplier"),
    may("primaryExchange"),
    may("currency"),
    may("localSymbol"),
    may("tradingClass"),
    Field("position", DECIMAL),
    may("marketPrice", DECIMAL, 0),
    may("marketValue", DECIMAL, 0),
    may("averageCost", DECIMAL, 0),
    may("unrealizedPNL", DECIMAL, 0),
    may("realizedPNL", DECIMAL, 0),
    Field("account", TEXT),
)

SCANNER_ROW: Rows = (
    Field("rank", INT),
    CON_ID,
    may("symbol"),
    may("secType"),
    may("lastTradeDateOrContractMonth"),
    may("strike", DECIMAL, 0),
    may("right"),
    may("exchange"),
    may("currency"),
    may("localSymbol"),
    may("marketName"),
    may("tradingClass"),
    may("distance"),
    may("benchmark"),
    may("projection"),
    may("legs"),
)

BAR: Rows = (
    Field("date", TEXT),
    Field("open", DECIMAL),
    Field("high", DECIMAL),
    Field("low", DECIMAL),
    Field("close", DECIMAL),
    may("volume", DECIMAL, -1),
    may("wap", DECIMAL, -1),
    may("count", INT, -1),
)

_LAST_TICK: Rows = (
    Field("price", DECIMAL),
    Field("size", DECIMAL),
    may("attrMask", INT, 0),
    may("exchange"),
    may("specialConditions"),
)

REPLIES: tuple[Message, ...] = (
    Message(1, "tickPrice", (*_TICK, Field("price", DECIMAL), may("size", DECIMAL, 0), may("attrMask", INT, 0))),
    Message(2, "tickSize", (*_TICK, Field("size", DECIMAL))),
    Message(
        3,
        "orderStatus",
        (
            Field("orderId", INT),
            Field("status", TEXT),
            Field("filled", DECIMAL),
            Field("remaining", DECIMAL),
            may("avgFillPrice", DECIMAL, 0),
            may("permId", INT, 0),
            may("parentId", INT, 0),
            may("lastFillPrice", DECIMAL, 0),
            may("clientId", INT, 0),
            may("whyHeld"),
            may("mktCapPrice", DECIMAL, 0),
        ),
    ),
    Message(
        4,
        "error",
        (
            _version(2),
            may("reqId", ID, -1),
            Field("errorCode", INT),
            Field("errorString", TEXT),
            may("advancedOrderRejectJson", since=166),
        ),
    ),
    Message(5, "openOrder", OPEN_ORDER),
    Message(
        6,
        "updateAccountValue",
        (_version(2), Field("key", TEXT), may("value"), may("currency"), Field("account", TEXT)),
    ),
    Message(7, "updatePortfolio", UPDATE_PORTFOLIO),
    Message(8, "updateAccountTime", (_V1, Field("time", TEXT))),
    Message(9, "nextValidId", (_V1, Field("orderId", ID))),
    Message(10, "contractDetails", CONTRACT_DETAILS),
    Message(11, "execDetails", EXEC_DETAILS),
    Message(
        12,
        "updateMktDepth",
        (
            _V1,
            REQ_ID,
            Field("position", INT),
            Field("operation", INT),
            Field("side", INT),
            Field("price", DECIMAL),
            Field("size", DECIMAL),
        ),
    ),
    Message(
        13,
        "updateMktDepthL2",
        (
            _V1,
            REQ_ID,
            Field("position", INT),
            may("marketMaker"),
            Field("operation", INT),
            Field("side", INT),
            Field("price", DECIMAL),
            Field("size", DECIMAL),
            may("isSmartDepth", BOOL, False),
        ),
    ),
    Message(
        14,
        "updateNewsBulletin",
        (_V1, Field("msgId", INT), Field("msgType", INT), may("message"), may("origExchange")),
    ),
    Message(15, "managedAccounts", (_V1, Field("accountsList", TEXT))),
    Message(16, "receiveFA", (_V1, Field("faDataType", INT), may("xml"))),
    Message(17, "historicalData", (REQ_ID, may("start"), may("end"), Repeat("bars", BAR))),
    Message(18, "bondContractDetails", BOND_CONTRACT_DETAILS),
    Message(19, "scannerParameters", (_V1, may("xml"))),
    Message(20, "scannerData", (_version(3), REQ_ID, Repeat("rows", SCANNER_ROW))),
    Message(
        21,
        "tickOptionComputation",
        (
            REQ_ID,
            Field("tickType", INT),
            may("tickAttrib", INT, 0),
            may("impliedVol", DECIMAL, -1),
            may("delta", DECIMAL, -2),
            may("optPrice", DECIMAL, -1),
            may("pvDividend", DECIMAL, -1),
            may("gamma", DECIMAL, -2),
            may("vega", DECIMAL, -2),
            may("theta", DECIMAL, -2),
            may("undPrice", DECIMAL, -1),
        ),
    ),
    Message(45, "tickGeneric", (*_TICK, Field("value", DOUBLE))),
    Message(46, "tickString", (*_TICK, Field("value", TEXT))),
    Message(49, "currentTime", (_V1, Field("time", LONG))),
    Message(
        50,
        "realtimeBar",
        (
            _version(3),
            REQ_ID,
            Field("time", LONG),
            Field("open", DECIMAL),
            Field("high", DECIMAL),
            Field("low", DECIMAL),
            Field("close", DECIMAL),
            may("volume", DECIMAL, -1),
            may("wap", DECIMAL, -1),
            may("count", INT, -1),
        ),
    ),
    Message(51, "fundamentalData", (_V1, REQ_ID, may("data"))),
    _end(52, "contractDetailsEnd"),
    Message(53, "openOrderEnd", (_V1,)),
    Message(54, "accountDownloadEnd", (_V1, Field("account", TEXT))),
    _end(55, "execDetailsEnd"),
    Message(
        56,
        "deltaNeutralValidation",
        (_V1, REQ_ID, Field("conId", INT), may("delta", DOUBLE, 0), may("price", DOUBLE, 0)),
    ),
    _end(57, "tickSnapshotEnd"),
    Message(58, "marketDataType", (_V1, REQ_ID, Field("marketDataType", INT))),
    Message(
        59,
        "commissionReport",
        (
            _V1,
            Field("execId", TEXT),
            Field("commission", DOUBLE),
            Field("currency", TEXT),
            may("realizedPNL", DOUBLE, unset=MAX),
            may("yield", DOUBLE, unset=MAX),
            may("yieldRedemptionDate"),
        ),
    ),
    Message(61, "position", (_version(3), Field("account", TEXT), *CONTRACT_11, *_HELD)),
    Message(62, "positionEnd", (_V1,)),
    Message(
        63,
        "accountSummary",
        (_V1, REQ_ID, Field("account", TEXT), Field("tag", TEXT), may("value"), may("currency")),
    ),
    _end(64, "accountSummaryEnd"),
    Message(67, "displayGroupList", (_V1, REQ_ID, may("groups"))),
    Message(68, "displayGroupUpdated", (_V1, REQ_ID, may("contractInfo"))),
    Message(71, "positionMulti", (_V1, REQ_ID, Field("account", TEXT), *CONTRACT_11, *_HELD, may("modelCode"))),
    _end(72, "positionMultiEnd"),
    Message(
        73,
        "accountUpdateMulti",
        (_V1, REQ_ID, Field("account", TEXT), may("modelCode"), Field("key", TEXT), may("value"), may("currency")),
    ),
    _end(74, "accountUpdateMultiEnd"),
    Message(
        75,
        "securityDefinitionOptionParameter",
        (
            REQ_ID,
            may("exchange"),
            may("underlyingConId", INT, 0),
            may("tradingClass"),
            may("multiplier"),
            Each("expirations", TEXT),
            Each("strikes", DOUBLE),
        ),
    ),
    Message(76, "securityDefinitionOptionParameterEnd", (REQ_ID,)),
    Message(
        77,
        "softDollarTiers",
        (REQ_ID, Repeat("tiers", (Field("name", TEXT), may("value"), may("displayName")))),
    ),
    Message(78, "familyCodes", (Repeat("codes", (Field("account", TEXT), may("familyCode"))),)),
    Message(
        79,
        "symbolSamples",
        (
            REQ_ID,
            Repeat(
                "contracts",
                (
                    Field("conId", INT),
                    may("symbol"),
                    may("secType"),
                    may("primaryExchange"),
                    may("currency"),
                    Each("derivativeSecTypes", TEXT),
                    may("description", since=176),
                    may("issuerId", since=176),
                ),
            ),
        ),
    ),
    Message(
        80,
        "mktDepthExchanges",
        (
            Repeat(
                "exchanges",
                (
                    Field("exchange", TEXT),
                    may("secType"),
                    may("listingExch"),
                    may("serviceDataType"),
                    may("aggGroup", INT, unset=IMAX),
                ),
            ),
        ),
    ),
    Message(
        81,
        "tickReqParams",
        (REQ_ID, may("minTick", DECIMAL, "0.01"), may("bboExchange"), may("snapshotPermissions", INT, 4)),
    ),
    Message(
        82,
        "smartComponents",
        (REQ_ID, Repeat("components", (Field("bitNumber", INT), may("exchange"), may("exchangeLetter")))),
    ),
    Message(83, "newsArticle", (REQ_ID, Field("articleType", INT), may("articleText"))),
    Message(
        84,
        "tickNews",
        (
            REQ_ID,
            Field("timeStamp", LONG),
            may("providerCode"),
            may("articleId"),
            may("headline"),
            may("extraData"),
        ),
    ),
    Message(85, "newsProviders", (Repeat("providers", (Field("code", TEXT), may("name"))),)),
    Message(
        86,
        "historicalNews",
        (REQ_ID, Field("time", TEXT), may("providerCode"), may("articleId"), may("headline")),
    ),
    Message(87, "historicalNewsEnd", (REQ_ID, may("hasMore", BOOL, False))),
    Message(88, "headTimestamp", (REQ_ID, Field("headTimestamp", TEXT))),
    Message(
        89,
        "histogramData",
        (REQ_ID, Repeat("items", (Field("price", DECIMAL), Field("size", DECIMAL)))),
    ),
    Message(
        90,
        "historicalDataUpdate",
        (
            REQ_ID,
            may("count", INT, -1),
            Field("date", TEXT),
            Field("open", DECIMAL),
            Field("close", DECIMAL),
            Field("high", DECIMAL),
            Field("low", DECIMAL),
            may("wap", DECIMAL, -1),
            may("volume", DECIMAL, -1),
        ),
    ),
    Message(91, "rerouteMktDataReq", (REQ_ID, Field("conId", INT), may("exchange"))),
    Message(92, "rerouteMktDepthReq", (REQ_ID, Field("conId", INT), may("exchange"))),
    Message(
        93,
        "marketRule",
        (
            Field("marketRuleId", INT),
            Repeat("increments", (Field("lowEdge", DECIMAL), Field("increment", DECIMAL))),
        ),
    ),
    Message(
        94,
        "pnl",
        (
            REQ_ID,
            may("dailyPnL", DOUBLE, unset=MAX),
            may("unrealizedPnL", DOUBLE, unset=MAX),
            may("realizedPnL", DOUBLE, unset=MAX),
        ),
    ),
    Message(
        95,
        "pnlSingle",
        (
            REQ_ID,
            Field("position", DECIMAL),
            may("dailyPnL", DOUBLE, unset=MAX),
            may("unrealizedPnL", DOUBLE, unset=MAX),
            may("realizedPnL", DOUBLE, unset=MAX),
            may("value", DOUBLE, unset=MAX),
        ),
    ),
    Message(
        96,
        "historicalTicks",
        (
            REQ_ID,
            Repeat(
                "ticks",
                (Field("time", LONG), may("unused", INT, 0), Field("price", DECIMAL), may("size", DECIMAL, 0)),
            ),
            may("done", BOOL, True),
        ),
    ),
    Message(
        97,
        "historicalTicksBidAsk",
        (
            REQ_ID,
            Repeat(
                "ticks",
                (
                    Field("time", LONG),
                    may("attrMask", INT, 0),
                    Field("priceBid", DECIMAL),
                    Field("priceAsk", DECIMAL),
                    may("sizeBid", DECIMAL, 0),
                    may("sizeAsk", DECIMAL, 0),
                ),
            ),
            may("done", BOOL, True),
        ),
    ),
    Message(
        98,
        "historicalTicksLast",
        (
            REQ_ID,
            Repeat(
                "ticks",
                (
                    Field("time", LONG),
                    may("attrMask", INT, 0),
                    Field("price", DECIMAL),
                    may("size", DECIMAL, 0),
                    may("exchange"),
                    may("specialConditions"),
                ),
            ),
            may("done", BOOL, True),
        ),
    ),
    Message(
        99,
        "tickByTick",
        (
            REQ_ID,
            Field("tickType", INT),
            Field("time", LONG),
            Switch(
                "tickType",
                {
                    1: _LAST_TICK,
                    2: _LAST_TICK,
                    3: (
                        Field("bidPrice", DECIMAL),
                        Field("askPrice", DECIMAL),
                        Field("bidSize", DECIMAL),
                        Field("askSize", DECIMAL),
                        may("attrMask", INT, 0),
                    ),
                    4: (Field("midPoint", DECIMAL),),
                },
            ),
        ),
    ),
    Message(100, "orderBound", (Field("orderId", LONG), Field("apiClientId", INT), Field("apiOrderId", INT))),
    Message(101, "completedOrder", COMPLETED_ORDER),
    Message(102, "completedOrdersEnd", ()),
    Message(103, "replaceFAEnd", (REQ_ID, may("text")), since=157),
    Message(104, "wshMetaData", (REQ_ID, may("dataJson")), since=161),
    Message(105, "wshEventData", (REQ_ID, may("dataJson")), since=161),
    Message(
        106,
        "historicalSchedule",
        (
            REQ_ID,
            Field("startDateTime", TEXT),
            Field("endDateTime", TEXT),
            Field("timeZone", TEXT),
            Repeat(
                "sessions",
                (Field("startDateTime", TEXT), Field("endDateTime", TEXT), Field("refDate", TEXT)),
            ),
        ),
        since=165,
    ),
    Message(107, "userInfo", (REQ_ID, may("whiteBrandingId")), since=167),
)

REPLIES_BY_ID = {message.id: message for message in REPLIES}
REPLIES_BY_NAME = {message.name: message for message in REPLIES}
