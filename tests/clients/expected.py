"""What a client should have heard, phase by phase, read off the gateway's model and not off its messages.

Nothing here uses the gateway's wording or the message tables: names are those of IB's own client, values come from
orders, books, market and account. Constants are what recordings of real gateways show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from longwatch.gateway.app import Gateway
from longwatch.gateway.exchange.ledger import Commission, Execution, Holding
from longwatch.gateway.exchange.orders import Order, Ticket, letters_of
from longwatch.gateway.exchange.reports import (
    CommissionShown,
    FillShown,
    OrderNotice,
    OrderShown,
    PreviewShown,
    Report,
    StatusShown,
)
from longwatch.gateway.market.bars import PastBar, Prices
from longwatch.gateway.market.history import DAILY, STEPS, Span, daily_bars, head_of, short_bars, span_of
from longwatch.gateway.market.market import Instrument, Quote
from longwatch.gateway.streams.account_values import AccountValue, account_values

ACCOUNT = "DU123456"
ZONES_SINCE, SHARES_SINCE, SCHEDULE_SINCE = 174, 175, 165
SIZES_SINCE, ISSUERS_SINCE = 164, 176

Said = tuple[str, tuple[Any, ...]]
"""A callback's name and its arguments; objects as the attributes that matter."""

ORDER_CONSTANTS = {"origin": 0, "shortSaleSlot": 0, "exemptCode": -1, "clearingIntent": "IB"}
OPEN_CONSTANTS = {**ORDER_CONSTANTS, "openClose": ""}


@dataclass(frozen=True, slots=True)
class Within:
    """A time between the two ends of the run, in whichever form a library shows it."""

    first: datetime
    last: datetime


@dataclass(slots=True)
class Model:
    """One gateway after a client's visit. `told` is what its exchange reported, in order, each as it was then."""

    gateway: Gateway
    told: list[Report]
    version: int
    client_id: int
    began: datetime

    @property
    def abc(self) -> Instrument:
        instrument = self.gateway.desk.market.find("ABC")
        assert instrument is not None
        return instrument

    @property
    def now(self) -> datetime:
        return self.gateway.desk.now()

    @property
    def quote(self) -> Quote:
        return self.gateway.desk.market.quote(self.abc, self.now)

    @property
    def any_time(self) -> Within:
        return Within(self.began.replace(microsecond=0), self.now)


def expected(model: Model) -> dict[str, list[Said]]:
    """Every phase and what is heard in it, live messages of orders apart."""
    return {
        **general(model),
        **listings(model),
        **history(model),
        **growing(model),
        **quotes(model),
        **downloads(model),
        **account(model),
    }


# ── who, when, what ─────────────────────────────────────────────────────────────────────────────────────────────────


def general(model: Model) -> dict[str, list[Said]]:
    instrument = model.abc
    notices = [
        (2104, "Market data farm connection is OK:cashfarm"),
        (2104, "Market data farm connection is OK:usfarm"),
        (2106, "HMDS data farm connection is OK:ushmds"),
        (2158, "Sec-def data farm connection is OK:secdefnj"),
    ]
    accounts, first = ("managedAccounts", (ACCOUNT,)), ("nextValidId", (1,))
    sample = {"contract": {"conId": instrument.con_id, "symbol": "ABC", "secType": "STK", "currency": "USD"}}
    sample["contract"]["primaryExchange"] = instrument.primary_exchange
    if model.version >= ISSUERS_SINCE:
        sample["contract"]["description"] = instrument.long_name
    return {
        "opening": [accounts, first, *(error(-1, code, text) for code, text in notices)],
        "time": [("currentTime", (model.any_time,))],
        "ids": [first],
        "accounts": [accounts],
        "details": [("contractDetails", (101, details(model))), ("contractDetailsEnd", (101,))],
        "unknown": [error(102, 200, "No security definition has been found for the request")],
        "samples": [("symbolSamples", (103, [{**sample, "derivativeSecTypes": []}]))],
        "rule": [("marketRule", (26, [{"lowEdge": 0, "increment": instrument.min_tick}]))],
        "families": [("familyCodes", ([{"accountID": ACCOUNT, "familyCodeStr": ""}],))],
        "tiers": [("softDollarTiers", (104, []))],
        "providers": [("newsProviders", ([],))],
        "depth": [("mktDepthExchanges", ([],))],
        "smart": [("smartComponents", (105, []))],
        "options": [("securityDefinitionOptionParameterEnd", (106,))],
        "no step": [error(114, 162, "Historical Market Data Service error message:invalid step: 7 mins")],
        "no tickers": [error(999, 300, "Can't find EId with tickerId:999")],
        "no number": [error(998, 366, "No historical data query found for ticker id:998")],
    }


def details(model: Model) -> dict[str, Any]:
    instrument = model.abc
    return {
        "contract": {
            **contract_of(instrument, "SMART"),
            "primaryExchange": instrument.primary_exchange,
            "strike": 0,
            "right": "",
            "multiplier": "",
        },
        "marketName": instrument.trading_class,
        "minTick": instrument.min_tick,
        "priceMagnifier": 1,
        "underConId": 0,
        "longName": instrument.long_name,
        "timeZoneId": instrument.zone,
        "validExchanges": "SMART,NASDAQ",
        "marketRuleIds": "26,26",
        "aggGroup": 1,
        "stockType": "COMMON",
        "industry": "Made-up",
        "category": "Synthetic",
        "subcategory": "Shares",
        "secIdList": [{"tag": "ISIN", "value": instrument.isin}],
        "orderTypes": ORDER_TYPES,
        "tradingHours": daily(6, "0000", "0000"),
        "liquidHours": daily(6, "0000", "0000"),
        **sizes(model),
    }


ORDER_TYPES = "ACTIVETIM,DAY,FOK,GTC,IOC,LMT,LOC,MKT,MOC,STP,STPLMT,WHATIF"


def sizes(model: Model) -> dict[str, Any]:
    steps = {"minSize": 1, "sizeIncrement": 1, "suggestedSizeIncrement": 100}
    return steps if model.version >= SIZES_SINCE else {}


def daily(first: int, opens: str, closes: str) -> str:
    """Seven days of January, open from one day's hour to the next one's."""
    return ";".join(f"202001{day:02}:{opens}-202001{day + 1:02}:{closes}" for day in range(first, first + 7))


CURRENCY_WEEK = (
    "20200105:1715-20200106:1700;20200106:1715-20200107:1700;20200107:1715-20200108:1700;"
    "20200108:1715-20200109:1700;20200109:1715-20200110:1700;20200110:CLOSED;20200111:CLOSED"
)
LIQUID_WEEK = (
    "20200106:0830-20200106:1600;20200107:0830-20200107:1600;20200108:0830-20200108:1600;"
    "20200109:0830-20200109:1600;20200110:0830-20200110:1600;20200111:CLOSED;20200112:CLOSED"
)
WEEK = (
    "20200105:1700-20200106:1600;20200106:1700-20200107:1600;20200107:1700-20200108:1600;"
    "20200108:1700-20200109:1600;20200109:1700-20200110:1600;20200110:CLOSED;20200111:CLOSED"
)
"""The futures' sessions of that week, by Chicago's clock; the first one opened on Sunday evening."""


def listings(model: Model) -> dict[str, list[Said]]:
    """Instruments that are no shares, and a price grid with bands."""

    def said(number: int, *names: str, **terms: Any) -> list[Said]:
        rows = [listed(model, name, **terms) for name in names]
        return [*(("contractDetails", (number, row)) for row in rows), ("contractDetailsEnd", (number,))]

    york, round_the_clock = {"timeZoneId": "US/Eastern"}, daily(5, "1900", "1900")
    fund = {**york, "stockType": "ETF", "minTick": Decimal("0.01"), "validExchanges": "SMART,ARCA", "aggGroup": 1}
    fund |= {"tradingHours": round_the_clock, "liquidHours": round_the_clock, "marketRuleIds": "26,26"}
    euro = {**york, "minTick": 0.00005, "marketRuleIds": "59", "validExchanges": "IDEALPRO", "stockType": ""}
    euro |= {"tradingHours": CURRENCY_WEEK, "liquidHours": CURRENCY_WEEK}
    future = {"minTick": 0.25, "marketRuleIds": "57", "timeZoneId": "US/Central", "tradingHours": WEEK}
    future |= {"lastTradeTime": "16:00:00", "underSymbol": "IDX", "validExchanges": "CME", "underSecType": "IND"}
    future |= {"marketName": "IDX", "liquidHours": LIQUID_WEEK}
    bands = [(0, Decimal("0.0001")), (1, Decimal("0.01")), (1000, Decimal("0.05"))]
    return {
        "fund": said(150, "FUND", **fund),
        "euro": said(151, "EUR.USD", **euro),
        "chain": said(152, "IDXH0", "IDXM0", "IDXU0", "IDXZ0", "IDXH1", **future),
        "future": said(153, "IDXM0", **future),
        "bands": [("marketRule", (85, [{"lowEdge": edge, "increment": step} for edge, step in bands]))],
    }


def listed(model: Model, name: str, **terms: Any) -> dict[str, Any]:
    """The description of an instrument by its local name."""
    instrument = model.gateway.desk.market.find(name)
    assert instrument is not None
    contract = {**contract_of(instrument, instrument.exchange), "localSymbol": name}
    contract |= {"lastTradeDateOrContractMonth": instrument.last_trade_date, "multiplier": instrument.multiplier}
    contract |= {"primaryExchange": instrument.primary_exchange if instrument.sec_type == "STK" else "", "strike": 0}
    ends = {"contractMonth": instrument.last_trade_date[:6], "realExpirationDate": instrument.last_trade_date}
    usual = {"longName": instrument.long_name, "marketName": name, "aggGroup": None, "orderTypes": ORDER_TYPES}
    return {"contract": contract, **usual, **ends, **sizes(model), **terms}


def growing(model: Model) -> dict[str, list[Said]]:
    """Between two points nothing is traded: bars of five seconds repeat the last price, and a growing one stands."""
    last = model.quote.last
    *_, newest = bars = past(model, "1 D", "15 mins")
    market, shown = model.gateway.desk.market, text_of_bar(model)
    bids = short_bars(market, model.abc, Span(sessions=1), STEPS["1 hour"], model.now, what=Prices.BID)
    cancelled = "Historical Market Data Service error message:API historical data query cancelled: 161"
    days = [model.now.date() - timedelta(days=1), model.now.date()]
    sessions = [(f"{day:%Y%m%d}-00:00:00", f"{day + timedelta(days=1):%Y%m%d}-00:00:00") for day in days]
    rows = [
        {"startDateTime": opened, "endDateTime": closed, "refDate": f"{day:%Y%m%d}"}
        for day, (opened, closed) in zip(days, sessions, strict=True)
    ]
    schedule: Said = ("historicalSchedule", (163, sessions[0][0], sessions[-1][1], "UTC", rows))
    if model.version < SCHEDULE_SINCE:
        refusal = f"Error validating request.-{letters_of(0)} : cause - Source price SCHEDULE not supported"
        schedule = error(163, 321, refusal)
    return {
        "five seconds": [("realtimeBar", (160, model.any_time, last, last, last, last, 0, last, 0))],
        "growing": [
            *(("historicalData", (161, bar_of(bar, shown, model.version))) for bar in bars),
            ("historicalDataEnd", (161, ..., model.any_time)),
            ("historicalDataUpdate", (161, bar_of(newest, shown, model.version))),
        ],
        "grown": [error(161, 162, cancelled)],
        "bids": [
            *(("historicalData", (162, bar_of(bar, shown, model.version))) for bar in bids),
            ("historicalDataEnd", (162, ..., model.any_time)),
        ],
        "schedule": [schedule],
        **past_ticks(model),
    }


def past_ticks(model: Model) -> dict[str, list[Said]]:
    """The three newest points before half a minute past noon: as trades, as bids and asks, as middles."""
    market, noon = model.gateway.desk.market, model.began.replace(minute=0, second=0)
    session = market.hours.on(noon.date())
    assert session is not None
    points = [at for at in market.points(session, noon + timedelta(seconds=30))][-3:]
    quotes = [(Within(at, at), market.quote(model.abc, at)) for at in points]
    traded = {
        "tickAttribLast": {"pastLimit": False, "unreported": False},
        "specialConditions": "",
        "exchange": "ISLAND",
    }
    trades = [{"time": at, "price": one.last, "size": one.last_size, **traded} for at, one in quotes]
    calm = {"tickAttribBidAsk": {"bidPastLow": False, "askPastHigh": False}}
    sides = [
        {"time": at, "priceBid": one.bid, "priceAsk": one.ask, "sizeBid": one.bid_size, "sizeAsk": one.ask_size, **calm}
        for at, one in quotes
    ]
    middles = [{"time": at, "price": (one.bid + one.ask) / 2, "size": 0} for at, one in quotes if one.bid and one.ask]
    return {
        "trades": [("historicalTicksLast", (164, trades, True))],
        "sides": [("historicalTicksBidAsk", (165, sides, True))],
        "middles": [("historicalTicks", (166, middles, True))],
    }


def history(model: Model) -> dict[str, list[Said]]:
    head = head_of(model.gateway.desk.market, model.abc, model.now)
    assert head is not None
    asked = {
        "daily": (111, "5 D", "1 day", text_of_bar(model)),
        "short": (112, "1 D", "15 mins", text_of_bar(model)),
        "epochs": (113, "1 D", "15 mins", lambda bar: str(int(bar.start.timestamp()))),
    }
    phases: dict[str, list[Said]] = {"head": [("headTimestamp", (110, f"{head:%Y%m%d-%H:%M:%S}"))]}
    for name, (number, duration, size, shown) in asked.items():
        bars = [("historicalData", (number, bar_of(bar, shown, model.version))) for bar in past(model, duration, size)]
        phases[name] = [*bars, ("historicalDataEnd", (number, ..., model.any_time))]
    return phases


def past(model: Model, duration: str, size: str) -> list[PastBar]:
    span, market = span_of(duration), model.gateway.desk.market
    assert span is not None
    if size in DAILY:
        return daily_bars(market, model.abc, span, model.now)
    return short_bars(market, model.abc, span, STEPS[size], model.now)


def text_of_bar(model: Model) -> Callable[[PastBar], str]:
    """A bar's date as shown: two blanks and no zone before 174, one blank and the zone's name since."""

    def shown(bar: PastBar) -> str:
        if not isinstance(bar.start, datetime):
            return f"{bar.start:%Y%m%d}"
        if model.version < ZONES_SINCE:
            return f"{bar.start:%Y%m%d  %H:%M:%S}"
        return f"{bar.start:%Y%m%d %H:%M:%S} UTC"

    return shown


def bar_of(bar: PastBar, shown: Callable[[PastBar], str], version: int) -> dict[str, Any]:
    return {
        "date": shown(bar),
        "open": bar.open,
        "high": bar.high,
        "low": bar.low,
        "close": bar.close,
        "volume": bar.volume if version >= SHARES_SINCE else bar.volume // 100,
        "wap": bar.average,
        "barCount": bar.trades,
    }


def quotes(model: Model) -> dict[str, list[Said]]:
    return {"stream": burst(model, 120), "snapshot": [*burst(model, 121), ("tickSnapshotEnd", (121,))]}


def burst(model: Model, number: int) -> list[Said]:
    """The opening of a stream: type, parameters, the last trade, the day's prices, bid and ask."""
    quote = model.quote
    assert quote.last_at is not None
    lot = 1 if model.version >= 159 else 100
    sizes = {name: getattr(quote, name) // lot for name in ("last_size", "volume", "bid_size", "ask_size")}
    prices = [(6, quote.high), (7, quote.low), (9, quote.close), (14, quote.open)]
    return [
        ("marketDataType", (number, 1)),
        ("tickReqParams", (number, model.abc.min_tick, "9c0001", 4)),
        ("tickString", (number, 45, str(int(quote.last_at.timestamp())))),
        ("tickPrice", (number, 4, quote.last, sizes["last_size"])),
        ("tickSize", (number, 5, sizes["last_size"])),
        ("tickSize", (number, 8, sizes["volume"])),
        *(("tickPrice", (number, tick, price, 0)) for tick, price in prices),
        ("tickPrice", (number, 1, quote.bid, sizes["bid_size"])),
        ("tickSize", (number, 0, sizes["bid_size"])),
        ("tickPrice", (number, 2, quote.ask, sizes["ask_size"])),
        ("tickSize", (number, 3, sizes["ask_size"])),
    ]


# ── orders ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def live(model: Model) -> list[Said]:
    """Everything the exchange reported of this client's orders, as messages, in order."""
    return [said for report in model.told for said in reported(report, model)]


def reported(report: Report, model: Model) -> Iterator[Said]:
    match report:
        case OrderShown(order=order):
            yield open_order(order)
        case StatusShown(order=order):
            yield order_status(order)
        case FillShown(execution=execution):
            yield exec_details(execution, model, -1)
        case CommissionShown(commission=commission):
            yield commission_report(commission)
        case OrderNotice(order_id=order_id, code=code, text=text):
            yield error(order_id, code, text)
        case PreviewShown():
            yield preview(report)


def open_order(order: Order) -> Said:
    ticket = order.ticket
    state: dict[str, Any] = {"status": order.status.value, "commission": None}
    if order.is_settled:
        state |= {"commission": order.commission, "commissionCurrency": "USD"}
    shown = {**terms(ticket), **OPEN_CONSTANTS, "orderId": ticket.order_id, "clientId": ticket.client_id}
    shown |= {"permId": order.perm_id, "totalQuantity": ticket.quantity, "whatIf": False}
    shown |= {"trailStopPrice": stop_shown(order), "outsideRth": ticket.outside_rth, "parentId": ticket.parent_id}
    return "openOrder", (ticket.order_id, open_contract(ticket), shown, state)


def stop_shown(order: Order) -> Decimal | None:
    """What real gateways show a second time: the stop where it stands now, or one above a plain limit."""
    ticket = order.ticket
    if ticket.order_type == "TRAIL":
        return order.trailed
    return ticket.limit + 1 if ticket.order_type == "LMT" and ticket.limit is not None else ticket.stop


def terms(ticket: Ticket) -> dict[str, Any]:
    return {
        "action": ticket.action,
        "orderType": ticket.order_type,
        "lmtPrice": ticket.limit or 0,
        "auxPrice": ticket.stop or 0,
        "tif": ticket.tif,
        "account": ticket.account,
        "orderRef": ticket.order_ref,
        "ocaGroup": ticket.oca_group,
        "ocaType": ticket.oca_type or 3,
        "trailingPercent": ticket.trail_percent,
    }


def open_contract(ticket: Ticket) -> dict[str, Any]:
    return {**contract_of(ticket.instrument, "SMART"), "strike": 0, "right": "?"}


def order_status(order: Order) -> Said:
    average = order.spent / order.filled if order.filled else Decimal(0)
    ids = (order.perm_id, order.ticket.parent_id, order.last_price, order.ticket.client_id)
    filled = (order.filled, order.ticket.quantity - order.filled)
    shown = (order.status.value, *filled, round(average, 8), *ids, why_held(order), 0)
    return "orderStatus", (order.ticket.order_id, *shown)


def why_held(order: Order) -> str:
    """What keeps an order from the market until it works or has ended: its parent, then its trigger."""
    if order.status.value not in {"PreSubmitted", "PendingCancel"} or order.is_triggered:
        return ""
    waits = "child" if order.is_child_held else ""
    triggered_by_price = {"STP", "STP LMT", "TRAIL"}
    return ",".join(one for one in (waits, "trigger" if order.ticket.order_type in triggered_by_price else "") if one)


KEPT_OF_INITIAL = Decimal("0.5")
"""Regulation T: half of a purchase at first, a quarter to keep it."""


def preview(report: PreviewShown) -> Said:
    before, after, equity = report.margin_before, report.margin_after, report.equity
    margins = {
        "initMarginBefore": before,
        "initMarginChange": after - before,
        "initMarginAfter": after,
        "maintMarginBefore": before * KEPT_OF_INITIAL,
        "maintMarginChange": (after - before) * KEPT_OF_INITIAL,
        "maintMarginAfter": after * KEPT_OF_INITIAL,
        "equityWithLoanChange": -report.commission,
        "equityWithLoanBefore": equity,
        "equityWithLoanAfter": equity - report.commission,
    }
    state = {name: float(value) for name, value in margins.items()}
    order = {**terms(report.ticket), **OPEN_CONSTANTS, "orderId": report.ticket.order_id}
    order |= {"clientId": report.ticket.client_id, "totalQuantity": report.ticket.quantity, "whatIf": True}
    shown = {**state, "status": "PreSubmitted", "commission": report.commission, "commissionCurrency": "USD"}
    return "openOrder", (report.ticket.order_id, open_contract(report.ticket), order, shown)


def exec_details(execution: Execution, model: Model, number: int) -> Said:
    fill = {
        "execId": execution.exec_id,
        "time": Within(execution.at.replace(microsecond=0), execution.at),
        "acctNumber": execution.account,
        "exchange": "NASDAQ",
        "side": "BOT" if execution.is_buy else "SLD",
        "shares": execution.quantity,
        "price": execution.price,
        "permId": execution.perm_id,
        "clientId": execution.client_id,
        "orderId": execution.order_id,
        "liquidation": 0,
        "cumQty": execution.total,
        "avgPrice": round(execution.average, 8),
        "orderRef": execution.order_ref,
        "lastLiquidity": 2,
    }
    return "execDetails", (number, {**contract_of(model.abc, "SMART"), "strike": 0, "right": ""}, fill)


def commission_report(commission: Commission) -> Said:
    report = {
        "execId": commission.exec_id,
        "commission": commission.amount,
        "currency": commission.currency,
        "realizedPNL": commission.realised,
        "yield_": None,
    }
    return "commissionReport", (report,)


def downloads(model: Model) -> dict[str, list[Said]]:
    """Open orders, executions and completed orders, asked for."""
    mine = orders_of(model)
    open_then = [last_shown(model, order.perm_id, at="PreSubmitted Submitted") for order in mine[1:3]]
    rows = [said for order in open_then for said in (open_order(order), order_status(order))]
    ledger = model.gateway.ledger
    fills = [fill for fill in ledger.executions if fill.client_id == model.client_id]
    executions = [exec_details(fill, model, 130) for fill in fills]
    commissions = [commission_report(ledger.commissions[fill.exec_id]) for fill in fills]
    ended = [order for order in mine if order.ended_at is not None]
    return {
        "open": [*rows, ("openOrderEnd", ())],
        "all open": [*rows, ("openOrderEnd", ())],
        "executions": [*executions, *commissions, ("execDetailsEnd", (130,))],
        "completed": [*(completed(order) for order in ended), ("completedOrdersEnd", ())],
    }


def orders_of(model: Model) -> list[Order]:
    """This client's orders as they stand now, in the order they were placed."""
    book = model.gateway.desk.exchange.book
    every = [*book.live(), *book.ended()]
    return sorted((one for one in every if one.ticket.client_id == model.client_id), key=lambda one: one.perm_id)


def last_shown(model: Model, perm_id: int, at: str) -> Order:
    """An order as it was when last reported in one of these states."""
    shown = [one.order for one in model.told if isinstance(one, OrderShown) and one.order.perm_id == perm_id]
    return [order for order in shown if order.status.value in at.split()][-1]


def completed(order: Order) -> Said:
    ticket, filled = order.ticket, order.status.value == "Filled"
    shown = {**terms(ticket), **ORDER_CONSTANTS, "permId": order.perm_id, "filledQuantity": order.filled}
    shown |= {"totalQuantity": 0 if filled else ticket.quantity, "outsideRth": ticket.outside_rth}
    shown |= {"parentPermId": order.parent_perm_id or None, "trailStopPrice": stop_shown(order)}
    status = "Filled" if filled else "Cancelled"
    assert order.ended_at is not None
    ended = Within(order.ended_at.replace(microsecond=0), order.ended_at)
    state = {"status": status, "completedStatus": order.ending, "completedTime": ended}
    return "completedOrder", (open_contract(ticket), shown, state)


# ── the account ─────────────────────────────────────────────────────────────────────────────────────────────────────


def account(model: Model) -> dict[str, list[Said]]:
    values = account_values(model.gateway.desk.statement(ACCOUNT))
    holdings = list(model.gateway.ledger.accounts[ACCOUNT].holdings.values())
    held = [
        (ACCOUNT, {**contract_of(model.abc, "NASDAQ"), "strike": 0}, one.quantity, average(one)) for one in holdings
    ]
    minute = Within(model.began - timedelta(seconds=60), model.now)
    time = ("updateAccountTime", (minute,))
    updates = [("updateAccountValue", (one.key, one.value, one.currency, ACCOUNT)) for one in values]
    multi = [("accountUpdateMulti", (133, ACCOUNT, "", one.key, one.value, one.currency)) for one in values]
    portfolio = [said for one in holdings for said in (portfolio_row(model, one), time)]
    return {
        "positions": [*(("position", row) for row in held), ("positionEnd", ())],
        "positions multi": [
            *(("positionMulti", (131, row[0], "", *row[1:])) for row in held),
            ("positionMultiEnd", (131,)),
        ],
        "summary": [*summary(values), ("accountSummaryEnd", (132,))],
        "updates": [*updates, *portfolio, time, ("accountDownloadEnd", (ACCOUNT,))],
        "updates multi": [*multi, ("accountUpdateMultiEnd", (133,))],
    }


def summary(values: Sequence[AccountValue]) -> Iterator[Said]:
    by_key = {one.key: one for one in values}
    for tag in ("AccountType", "Cushion", "BuyingPower", "NetLiquidation", "TotalCashValue"):
        yield "accountSummary", (132, ACCOUNT, tag, by_key[tag].value, by_key[tag].currency)


def portfolio_row(model: Model, holding: Holding) -> Said:
    price = model.quote.last
    assert price is not None
    value = holding.quantity * price
    contract = {**contract_of(model.abc, ""), "primaryExchange": "NASDAQ", "right": "0", "strike": 0}
    figures = (price, round(value, 2), round(average(holding), 7), round(value - holding.cost, 2))
    return "updatePortfolio", (contract, holding.quantity, *figures, round(holding.realised, 2), ACCOUNT)


def average(holding: Holding) -> Decimal:
    return holding.cost / holding.quantity


def contract_of(instrument: Instrument, exchange: str) -> dict[str, Any]:
    return {
        "conId": instrument.con_id,
        "symbol": instrument.symbol,
        "secType": instrument.sec_type,
        "exchange": exchange,
        "currency": instrument.currency,
        "localSymbol": instrument.symbol,
        "tradingClass": instrument.trading_class,
    }


def error(number: int, code: int, text: str) -> Said:
    return "error", (number, code, text)
