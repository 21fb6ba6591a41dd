"""Rows that several messages have in common: contracts, combo legs, order conditions; used by the message tables."""

from __future__ import annotations

from longwatch.wire.fields import BOOL, DECIMAL, DOUBLE, IMAX, INT, TEXT
from longwatch.wire.layout import Each, Field, Maybe, Pairs, Repeat, Rows, Switch, When, is_one_of, is_set, may

CON_ID = may("conId", INT, 0)

_EXPIRY_TO_MULTIPLIER: Rows = (
    may("lastTradeDateOrContractMonth"),
    may("strike", DOUBLE, 0),
    may("right"),
    may("multiplier"),
)

_SYMBOL_TO_MULTIPLIER: Rows = (may("symbol"), may("secType"), *_EXPIRY_TO_MULTIPLIER)

CONTRACT_12: Rows = (
    CON_ID,
    *_SYMBOL_TO_MULTIPLIER,
    may("exchange"),
    may("primaryExchange"),
    may("currency"),
    may("localSymbol"),
    may("tradingClass"),
)
"""A contract as requests send it."""

CONTRACT_11: Rows = tuple(row for row in CONTRACT_12 if row != may("primaryExchange"))
"""The same without the primary exchange: exercise requests, executions, positions."""

ORDER_CONTRACT: Rows = (
    CON_ID,
    may("symbol"),
    may("secType"),
    may("lastTradeDateOrContractMonth"),
    may("strike", DECIMAL, 0),
    may("right", TEXT, "?"),
    may("multiplier"),
    may("exchange"),
    may("currency"),
    may("localSymbol"),
    may("tradingClass"),
)
"""A contract as open and completed orders show it: strike `0` and right `?` for what has none."""

QUOTE_LEGS = When(
    "secType",
    is_one_of("BAG"),
    (Repeat("comboLegs", (Field("conId", INT), may("ratio", INT, 1), may("action"), may("exchange"))),),
)
"""Legs of a combination in data requests."""

ORDER_LEGS: Rows = (
    Repeat(
        "comboLegs",
        (
            Field("conId", INT),
            may("ratio", INT, 1),
            may("action"),
            may("exchange"),
            may("openClose", INT, 0),
            may("shortSaleSlot", INT, 0),
            may("designatedLocation"),
            may("exemptCode", INT, -1),
        ),
    ),
    Each("orderComboLegPrices", DOUBLE),
    Pairs("smartComboRoutingParams"),
)
"""Legs of a combination order, their prices, and routing parameters."""

DELTA_NEUTRAL = Maybe(
    "deltaNeutralContract",
    (Field("conId", INT), may("delta", DOUBLE, 0), may("price", DOUBLE, 0)),
)

SCALE_DETAILS: Rows = (
    may("scalePriceAdjustValue", DOUBLE),
    may("scalePriceAdjustInterval", INT),
    may("scaleProfitOffset", DOUBLE),
    may("scaleAutoReset", BOOL, False),
    may("scaleInitPosition", INT),
    may("scaleInitFillQty", INT),
    may("scaleRandomPercent", BOOL, False),
)

HEDGE = When("hedgeType", is_set, (may("hedgeParam"),))

ALGO_PARAMS = When("algoStrategy", is_set, (Pairs("algoParams"),))

PEG_BENCH = When(
    "orderType",
    is_one_of("PEG BENCH", "PEGBENCH"),
    (
        may("referenceContractId", INT, 0),
        may("isPeggedChangeAmountDecrease", BOOL, False),
        may("peggedChangeAmount", DOUBLE, 0),
        may("referenceChangeAmount", DOUBLE, 0),
        may("referenceExchangeId"),
    ),
)

_CONJUNCTION = may("conjunction", TEXT, "a")
_MORE = may("isMore", BOOL, True)
_CON_ID_AT: Rows = (Field("conId", INT), Field("exchange", TEXT))

CONDITIONS: Rows = (
    Repeat(
        "conditions",
        (
            Field("condType", INT),
            Switch(
                "condType",
                {
                    1: (_CONJUNCTION, _MORE, Field("price", DECIMAL), *_CON_ID_AT, may("triggerMethod", INT, 0)),
                    3: (_CONJUNCTION, _MORE, Field("time", TEXT)),
                    4: (_CONJUNCTION, _MORE, Field("percent", INT)),
                    5: (_CONJUNCTION, Field("secType", TEXT), Field("exchange", TEXT), Field("symbol", TEXT)),
                    6: (_CONJUNCTION, _MORE, Field("volume", INT), *_CON_ID_AT),
                    7: (_CONJUNCTION, _MORE, Field("changePercent", DECIMAL), *_CON_ID_AT),
                },
            ),
        ),
    ),
    When("conditions", is_set, (may("conditionsIgnoreRth", BOOL, False), may("conditionsCancelOrder", BOOL, False))),
)
"""What an order waits for: 1 price, 3 time, 4 margin cushion, 5 an execution, 6 volume, 7 percent change."""

SCALE_SIZES: Rows = (
    may("scaleInitLevelSize", INT, unset=IMAX),
    may("scaleSubsLevelSize", INT, unset=IMAX),
    may("scalePriceIncrement", DOUBLE),
)

PEG_AMOUNTS: Rows = (
    may("minTradeQty", INT, since=170),
    may("minCompeteSize", INT, since=170),
    may("competeAgainstBestOffset", DOUBLE, since=170),
    may("midOffsetAtWhole", DOUBLE, since=170),
    may("midOffsetAtHalf", DOUBLE, since=170),
)
