"""Requests about contracts, quotes and history; part of the table in requests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Any

from longwatch.gateway import history, wording
from longwatch.gateway.hours import hours_text
from longwatch.gateway.market import Instrument
from longwatch.gateway.quotes import Stream
from longwatch.gateway.session import Session

Values = dict[str, Any]

NOT_FOUND = "No security definition has been found for the request"
NOT_SUBSCRIBED = "Requested market data is not subscribed. Delayed market data is not enabled."
COMPETING = "No market data during competing live session"
HISTORY_FAILED = "Historical Market Data Service error message:"
ORDER_TYPES = "ACTIVETIM,DAY,FOK,GTC,IOC,LMT,LOC,MKT,MOC,STP,STPLMT,WHATIF"
NAMES_OF_PRICES = {"MIDPOINT": "Midpoint", "BID": "Bid", "ASK": "Ask", "BID_ASK": "Bid_Ask"}
AS_EPOCH = 2
SAMPLES = 16
LOT = 100
RULE_OF_CENTS = 26
DETAILS_SECONDS = 0.05
HISTORY_SECONDS = (0.1, 0.6)
NO_ZONE = (
    "Warning: You submitted request with date-time attributes without explicit time zone. Please switch to use "
    "yyyymmdd-hh:mm:ss in UTC or use instrument time zone, like US/Eastern. Implied time zone functionality will be "
    "removed in the next API release"
)


def contract_details(session: Session, values: Values) -> None:
    """The description of an instrument, then the end; an unknown one is an error without an end."""
    instrument = _instrument(session, values)
    if instrument is None:
        _soon(session, DETAILS_SECONDS, lambda: session.error(200, NOT_FOUND, values["reqId"]))
    else:
        found = instrument
        _soon(session, DETAILS_SECONDS, lambda: _send_details(session, values["reqId"], found))


def matching_symbols(session: Session, values: Values) -> None:
    """Instruments whose symbol begins with the pattern, or whose name holds it."""
    pattern = values["pattern"].upper()
    session.desk.market.find(pattern)
    rows = [
        {
            "conId": instrument.con_id,
            "symbol": instrument.symbol,
            "secType": instrument.sec_type,
            "primaryExchange": instrument.primary_exchange,
            "currency": instrument.currency,
            "derivativeSecTypes": [],
            "description": instrument.long_name,
            "issuerId": "",
        }
        for instrument in session.desk.market.instruments()
        if instrument.symbol.startswith(pattern) or pattern in instrument.long_name.upper()
    ]
    session.send("symbolSamples", {"reqId": values["reqId"], "contracts": rows[:SAMPLES]})


def market_rule(session: Session, values: Values) -> None:
    """The price grid of a rule: cents, the only one here."""
    number = values["marketRuleId"]
    rule = {"lowEdge": 0, "increment": Decimal("0.01")}
    session.send("marketRule", {"marketRuleId": number, "increments": [rule] if number == RULE_OF_CENTS else []})


def market_data(session: Session, values: Values) -> None:
    """Start a stream of quotes, or send one snapshot of them."""
    desk, req_id = session.desk, values["reqId"]
    instrument = _instrument(session, values)
    if req_id in session.streams:
        session.error(322, "Error processing request.-'bW' : cause - Duplicate ticker id", req_id)
    elif instrument is None:
        session.error(200, NOT_FOUND, req_id)
    elif sum(len(other.streams) for other in desk.everyone()) >= desk.config.market_data_lines:
        session.error(101, "Max number of tickers has been reached", req_id)
    elif desk.faults.competing_session:
        session.error(10197, COMPETING, req_id)
    elif desk.is_delayed and session.market_data_type not in {3, 4}:
        session.error(10168, NOT_SUBSCRIBED, req_id)
    elif not desk.faults.backend_down:
        _start_stream(session, values, instrument)


def cancel_market_data(session: Session, values: Values) -> None:
    if session.streams.pop(values["reqId"], None) is None:
        session.error(300, f"Can't find EId with tickerId:{values['reqId']}", values["reqId"])


def market_data_type(session: Session, values: Values) -> None:
    session.market_data_type = values["marketDataType"]


def head_time_stamp(session: Session, values: Values) -> None:
    """When an instrument's history begins."""
    desk, req_id = session.desk, values["reqId"]
    instrument = _instrument(session, values)
    head = history.head_of(desk.market, instrument, desk.now()) if instrument else None
    if instrument is None:
        session.error(200, NOT_FOUND, req_id)
    elif head is None:
        session.error(162, f"{HISTORY_FAILED}{_no_data(instrument, values['whatToShow'])}", req_id)
    else:
        shown = str(int(head.timestamp())) if values["formatDate"] == AS_EPOCH else f"{head:%Y%m%d-%H:%M:%S}"
        session.send("headTimestamp", {"reqId": req_id, "headTimestamp": shown})


def historical_data(session: Session, values: Values) -> None:
    """Bars up to a time, at most now; a wrong or empty request is an error instead."""
    desk, req_id = session.desk, values["reqId"]
    instrument = _instrument(session, values)
    if values["endDateTime"] and not wording.has_zone(values["endDateTime"]):
        session.error(2174, NO_ZONE, req_id)
    if instrument is None:
        session.error(200, NOT_FOUND, req_id)
        return
    fault = _fault_of(values, instrument)
    random = Random(f"{desk.config.seed}|history|{instrument.symbol}|{desk.now().isoformat()}")
    found = instrument

    def send() -> None:
        if desk.faults.backend_down:
            return
        if desk.faults.competing_session:
            session.error(162, f"{HISTORY_FAILED}Trading TWS session is connected from a different IP address", req_id)
        elif fault:
            session.error(162, f"{HISTORY_FAILED}{fault}", req_id)
        else:
            _send_history(session, values, found)

    _soon(session, random.uniform(*HISTORY_SECONDS), send)


def cancel_historical_data(session: Session, values: Values) -> None:
    """Nothing is kept up to date here, so there is never a query to cancel."""
    req_id = values["reqId"]
    session.error(366, f"No historical data query found for ticker id:{req_id}", req_id)


def _send_details(session: Session, req_id: int, instrument: Instrument) -> None:
    hours = hours_text(session.desk.market.hours, session.desk.now(), instrument.zone)
    session.send(
        "contractDetails",
        {
            "reqId": req_id,
            "symbol": instrument.symbol,
            "secType": instrument.sec_type,
            "exchange": instrument.exchange,
            "currency": instrument.currency,
            "localSymbol": instrument.symbol,
            "marketName": instrument.trading_class,
            "tradingClass": instrument.trading_class,
            "conId": instrument.con_id,
            "minTick": instrument.min_tick,
            "orderTypes": ORDER_TYPES,
            "validExchanges": f"{instrument.exchange},{instrument.primary_exchange}",
            "longName": instrument.long_name,
            "primaryExchange": instrument.primary_exchange,
            "timeZoneId": instrument.zone,
            "tradingHours": hours,
            "liquidHours": hours,
            "marketRuleIds": f"{RULE_OF_CENTS},{RULE_OF_CENTS}",
            "stockType": "COMMON" if instrument.sec_type == "STK" else "",
        },
    )
    session.send("contractDetailsEnd", {"reqId": req_id})


def _start_stream(session: Session, values: Values, instrument: Instrument) -> None:
    desk, req_id = session.desk, values["reqId"]
    stream = Stream(session, req_id, instrument, delayed=desk.is_delayed)
    stream.start(desk.market, desk.now())
    if values["snapshot"]:
        session.send("tickSnapshotEnd", {"reqId": req_id})
    else:
        session.streams[req_id] = stream
        desk.pulse.wake()


def _send_history(session: Session, values: Values, instrument: Instrument) -> None:
    desk, req_id, now = session.desk, values["reqId"], session.desk.now()
    asked = wording.instant_of(values["endDateTime"], instrument.zone) if values["endDateTime"] else None
    end, span = min(asked or now, now), history.span_of(values["duration"])
    if span is None:
        return
    if values["barSize"] in history.DAILY:
        bars = history.daily_bars(desk.market, instrument, span, end)
    else:
        bars = history.short_bars(desk.market, instrument, span, history.STEPS[values["barSize"]], end)
    if not bars:
        session.error(162, f"{HISTORY_FAILED}{_no_data(instrument, values['whatToShow'])}", req_id)
        return
    rows = [_row(bar, instrument, values, session.server_version) for bar in bars]
    start = _start_of(bars[0], end)
    window = [wording.moment(at, instrument.zone, session.server_version) for at in (start, end)]
    session.send("historicalData", {"reqId": req_id, "start": window[0], "end": window[1], "bars": rows})


def _row(bar: history.PastBar, instrument: Instrument, values: Values, server_version: int) -> Values:
    lot = 1 if server_version >= wording.SHARES_IN_HISTORY else LOT
    return {
        "date": history.shown_start(bar, instrument.zone, server_version, as_epoch=values["formatDate"] == AS_EPOCH),
        "open": bar.open,
        "high": bar.high,
        "low": bar.low,
        "close": bar.close,
        "volume": bar.volume // lot,
        "wap": bar.average,
        "count": bar.trades,
    }


def _start_of(bar: history.PastBar, end: datetime) -> datetime:
    match bar.start:
        case datetime() as start:
            return start
        case day:
            return datetime.combine(day, end.timetz())


def _fault_of(values: Values, instrument: Instrument) -> str:
    """Why a history request can't be answered, or an empty text."""
    if values["keepUpToDate"]:
        return "Bars that are kept up to date are not available at this gateway"
    if values["endDateTime"] and wording.instant_of(values["endDateTime"], instrument.zone) is None:
        return f"invalid end time: {values['endDateTime']}"
    if values["barSize"] not in history.DAILY and values["barSize"] not in history.STEPS:
        return f"invalid step: {values['barSize']}"
    if history.span_of(values["duration"]) is None:
        return f"invalid duration: {values['duration']}"
    if values["whatToShow"] != "TRADES":
        return _no_data(instrument, values["whatToShow"])
    return ""


def _no_data(instrument: Instrument, what: str) -> str:
    shown = NAMES_OF_PRICES.get(what, what.capitalize())
    return f"HMDS query returned no data: {instrument.symbol}@{instrument.exchange} {shown}"


def _instrument(session: Session, values: Values) -> Instrument | None:
    instrument = session.desk.market.find(values["symbol"] or values["localSymbol"], values["conId"] or 0)
    if instrument is None or values["secType"] not in {"", instrument.sec_type}:
        return None
    return instrument if values["currency"] in {"", instrument.currency} else None


def _soon(session: Session, seconds: float, action: Callable[[], None]) -> None:
    session.desk.timeline.after(seconds, action)


ANSWERS = {
    "reqContractDetails": contract_details,
    "reqMatchingSymbols": matching_symbols,
    "reqMarketRule": market_rule,
    "reqMktData": market_data,
    "cancelMktData": cancel_market_data,
    "reqMarketDataType": market_data_type,
    "reqHeadTimeStamp": head_time_stamp,
    "reqHistoricalData": historical_data,
    "cancelHistoricalData": cancel_historical_data,
}
