"""openOrder and completedOrder, the two long replies, with the constants real gateways put in them; used by replies."""

from __future__ import annotations

from longwatch.wire.fields import BOOL, DECIMAL, DOUBLE, IMAX, INT, LMAX, LONG, MAX, TEXT
from longwatch.wire.layout import Field, Rows, When, is_positive, is_set, may
from longwatch.wire.shared import (
    ALGO_PARAMS,
    CONDITIONS,
    DELTA_NEUTRAL,
    HEDGE,
    ORDER_CONTRACT,
    ORDER_LEGS,
    PEG_AMOUNTS,
    PEG_BENCH,
    SCALE_DETAILS,
    SCALE_SIZES,
)

_FA_GROUP: Rows = (may("faGroup"), may("faMethod"), may("faPercentage"), may("faProfile", until=177), may("modelCode"))

_ORDER_HEAD: Rows = (
    Field("action", TEXT),
    Field("totalQuantity", DECIMAL),
    Field("orderType", TEXT),
    may("lmtPrice", DOUBLE, 0),
    may("auxPrice", DOUBLE, 0),
    may("tif", TEXT, "DAY"),
    may("ocaGroup"),
    may("account"),
    may("openClose"),
    may("origin", INT, 0),
    may("orderRef"),
)

_REFERENCE_PRICES: Rows = (
    may("startingPrice", DOUBLE),
    may("stockRefPrice", DOUBLE),
    may("delta", DOUBLE),
    may("stockRangeLower", DOUBLE),
    may("stockRangeUpper", DOUBLE),
    may("displaySize", INT, unset=IMAX),
)

_VOLATILITY: Rows = (
    may("volatility", DOUBLE),
    may("volatilityType", INT, 0),
    may("deltaNeutralOrderType", TEXT, "None"),
    may("deltaNeutralAuxPrice", DOUBLE),
)

_TRAIL: Rows = (
    may("continuousUpdate", BOOL, False),
    may("referencePriceType", INT, 0),
    may("trailStopPrice", DOUBLE),
    may("trailingPercent", DOUBLE),
)

_SCALE: Rows = (*SCALE_SIZES, When("scalePriceIncrement", is_positive, SCALE_DETAILS), may("hedgeType"), HEDGE)

_CLEARING: Rows = (
    may("clearingAccount"),
    may("clearingIntent", TEXT, "IB"),
    may("notHeld", BOOL, False),
    DELTA_NEUTRAL,
    may("algoStrategy"),
    ALGO_PARAMS,
    may("solicited", BOOL, False),
)

# `stopPrice` is what client libraries read into trailStopPrice a second time: for a plain limit order the limit + 1.00.
_STOP = may("stopPrice", DOUBLE, unset=MAX)
_LIMIT_OFFSET = may("lmtPriceOffset", DOUBLE, unset=MAX)

_MARGINS: Rows = tuple(
    may(f"{what}{when}", DOUBLE, unset=MAX)
    for when in ("Before", "Change", "After")
    for what in ("initMargin", "maintMargin", "equityWithLoan")
)

OPEN_ORDER: Rows = (
    Field("orderId", INT),
    *ORDER_CONTRACT,
    *_ORDER_HEAD,
    may("clientId", INT, 0),
    may("permId", INT, 0),
    may("outsideRth", BOOL, False),
    may("hidden", BOOL, False),
    may("discretionaryAmt", DECIMAL, 0),
    may("goodAfterTime"),
    may("sharesAllocation"),
    *_FA_GROUP,
    may("goodTillDate"),
    may("rule80A"),
    may("percentOffset", DOUBLE),
    may("settlingFirm"),
    may("shortSaleSlot", INT, 0),
    may("designatedLocation"),
    may("exemptCode", INT, -1),
    may("auctionStrategy", INT, 0),
    *_REFERENCE_PRICES,
    may("blockOrder", BOOL, False),
    may("sweepToFill", BOOL, False),
    may("allOrNone", BOOL, False),
    may("minQty", INT),
    may("ocaType", INT, 3),
    may("eTradeOnly", BOOL, False),
    may("firmQuoteOnly", BOOL, False),
    may("nbboPriceCap", DOUBLE),
    may("parentId", INT, 0),
    may("triggerMethod", INT, 0),
    *_VOLATILITY,
    When(
        "deltaNeutralOrderType",
        is_set,
        (
            may("deltaNeutralConId", INT, 0),
            may("deltaNeutralSettlingFirm"),
            may("deltaNeutralClearingAccount"),
            may("deltaNeutralClearingIntent"),
            may("deltaNeutralOpenClose", TEXT, "?"),
            may("deltaNeutralShortSale", BOOL, False),
            may("deltaNeutralShortSaleSlot", INT, 0),
            may("deltaNeutralDesignatedLocation"),
        ),
    ),
    *_TRAIL,
    may("basisPoints", DOUBLE),
    may("basisPointsType", INT),
    may("comboLegsDescrip"),
    *ORDER_LEGS,
    *_SCALE,
    may("optOutSmartRouting", BOOL, False),
    *_CLEARING,
    may("whatIf", BOOL, False),
    Field("status", TEXT),
    *_MARGINS,
    may("commission", DOUBLE),
    may("minCommission", DOUBLE),
    may("maxCommission", DOUBLE),
    may("commissionCurrency"),
    may("warningText"),
    may("randomizeSize", BOOL, False),
    may("randomizePrice", BOOL, False),
    PEG_BENCH,
    *CONDITIONS,
    may("adjustedOrderType", TEXT, "None"),
    may("triggerPrice", DOUBLE, unset=MAX),
    _STOP,
    _LIMIT_OFFSET,
    may("adjustedStopPrice", DOUBLE, unset=MAX),
    may("adjustedStopLimitPrice", DOUBLE, unset=MAX),
    may("adjustedTrailingAmount", DOUBLE, unset=MAX),
    may("adjustableTrailingUnit", INT, 0),
    may("softDollarName"),
    may("softDollarVal"),
    may("softDollarDisplayName"),
    may("cashQty", DECIMAL, 0),
    may("dontUseAutoPriceForHedge", BOOL, True),
    may("isOmsContainer", BOOL, False),
    may("discretionaryUpToLimitPrice", BOOL, False),
    may("usePriceMgmtAlgo", BOOL, False),
    may("duration", INT, since=158),
    may("postToAts", INT, since=160),
    may("autoCancelParent", BOOL, False, since=162),
    *PEG_AMOUNTS,
)
"""An open order: contract, order and state. Stocks on SMART show minCompeteSize 100, competeAgainstBestOffset 0.02."""

COMPLETED_ORDER: Rows = (
    *ORDER_CONTRACT,
    *_ORDER_HEAD,
    may("permId", INT, 0),
    may("outsideRth", BOOL, False),
    may("hidden", BOOL, False),
    may("discretionaryAmt", DECIMAL, 0),
    may("goodAfterTime"),
    *_FA_GROUP,
    may("goodTillDate"),
    may("rule80A"),
    may("percentOffset", DOUBLE),
    may("settlingFirm"),
    may("shortSaleSlot", INT, 0),
    may("designatedLocation"),
    may("exemptCode", INT, -1),
    *_REFERENCE_PRICES,
    may("sweepToFill", BOOL, False),
    may("allOrNone", BOOL, False),
    may("minQty", INT),
    may("ocaType", INT, 3),
    may("triggerMethod", INT, 0),
    *_VOLATILITY,
    When(
        "deltaNeutralOrderType",
        is_set,
        (
            may("deltaNeutralConId", INT, 0),
            may("deltaNeutralShortSale", BOOL, False),
            may("deltaNeutralShortSaleSlot", INT, 0),
            may("deltaNeutralDesignatedLocation"),
        ),
    ),
    *_TRAIL,
    may("comboLegsDescrip"),
    *ORDER_LEGS,
    *_SCALE,
    *_CLEARING,
    Field("status", TEXT),
    may("randomizeSize", BOOL, False),
    may("randomizePrice", BOOL, False),
    PEG_BENCH,
    *CONDITIONS,
    _STOP,
    _LIMIT_OFFSET,
    may("cashQty", DECIMAL, 0),
    may("dontUseAutoPriceForHedge", BOOL, True),
    may("isOmsContainer", BOOL, False),
    may("autoCancelDate"),
    may("filledQuantity", DECIMAL, 0),
    may("refFuturesConId", INT, unset=IMAX),
    may("autoCancelParent", BOOL, False),
    may("shareholder", TEXT, "Not an insider or substantial shareholder"),
    may("imbalanceOnly", BOOL, False),
    may("routeMarketableToBbo", BOOL, False),
    may("parentPermId", LONG, unset=LMAX),
    may("completedTime"),
    may("completedStatus"),
    *PEG_AMOUNTS,
)
"""An order that ended: filled orders show totalQuantity 0 and the size in filledQuantity."""
