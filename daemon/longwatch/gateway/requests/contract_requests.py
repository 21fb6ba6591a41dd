"""Requests about contracts: their descriptions, symbols and price grids; part of the table in requests."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from longwatch.gateway import wording
from longwatch.gateway.market.hours import hours_text
from longwatch.gateway.market.instruments import RULES, Instrument, least_size
from longwatch.gateway.market.market import Market
from longwatch.gateway.session import Session

Values = dict[str, Any]

NOT_FOUND = "No security definition has been found for the request"
ORDER_TYPES = "ACTIVETIM,DAY,FOK,GTC,IOC,LMT,LOC,MKT,MOC,STP,STPLMT,WHATIF"
SAMPLES = 16
DETAILS_SECONDS = 0.05
GROUPS = {"STK": 1, "OPT": 2}
"""Aggregation groups as recorded; what is not here has the largest int."""

NO_GROUP = 2147483647


def contract_details(session: Session, values: Values) -> None:
    """The description of each instrument that fits, by expiry, then the end; none is an error without an end."""
    found = matching(session.desk.market, values, session.desk.now())
    if found:
        session.desk.timeline.after(DETAILS_SECONDS, _send_details, session, values["reqId"], found)
    else:
        session.desk.timeline.after(DETAILS_SECONDS, session.error, 200, NOT_FOUND, values["reqId"])


def matching_symbols(session: Session, values: Values) -> None:
    """Instruments whose symbol begins with the pattern, or whose name holds it; one for all expiries of a future."""
    pattern, market = values["pattern"].upper(), session.desk.market
    market.find(pattern)
    found: dict[tuple[str, str, str], Instrument] = {}
    for one in market.instruments():
        if one.symbol.startswith(pattern) or pattern in one.long_name.upper():
            found.setdefault((one.symbol, one.sec_type, one.currency), one)
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
        for instrument in found.values()
    ]
    session.send("symbolSamples", {"reqId": values["reqId"], "contracts": rows[:SAMPLES]})


def market_rule(session: Session, values: Values) -> None:
    """The price grid of a rule; of one that is not known it is empty."""
    number = values["marketRuleId"]
    rows = [{"lowEdge": edge, "increment": increment} for edge, increment in RULES.get(number, ())]
    session.send("marketRule", {"marketRuleId": number, "increments": rows})


def matching(market: Market, values: Values, at: datetime) -> list[Instrument]:
    """Every instrument listed at an instant that fits all that a request says of it, by expiry.

    What the request leaves open fits. Expired ones are only for who asks for them.
    """
    con_id, symbol, local = values["conId"] or 0, values["symbol"], values["localSymbol"]
    if con_id or values["secType"] in {"", "STK", "IND"}:
        known = market.find(symbol or local, con_id)
        candidates = iter([known] if known is not None else [])
    else:
        candidates = iter(market.instruments())
    named = (one for one in candidates if con_id == one.con_id or symbol or local)
    found = [one for one in named if _fits(one, values) and _is_listed(market, one, values, at)]
    return sorted(found, key=lambda one: (one.last_trade_date, one.con_id))


def _is_listed(market: Market, one: Instrument, values: Values, at: datetime) -> bool:
    today = at.astimezone(ZoneInfo(one.zone)).date()
    if one.listed is not None and one.listed > today:
        return False
    last = market.hours_of(one).on(one.expiry) if one.expiry is not None else None
    return last is None or at < last.close_at or bool(values.get("includeExpired"))


def ambiguous(values: Values) -> str:
    """What is said of a request that several instruments fit."""
    return f"The contract description specified for {values['symbol'] or values['localSymbol']} is ambiguous."


def _fits(instrument: Instrument, values: Values) -> bool:
    return all(not wanted or wanted in shown for wanted, shown in _compared(instrument, values))


def _compared(one: Instrument, values: Values) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What a request says beside what the instrument answers to; of a date a month is enough."""
    date = one.last_trade_date
    yield values["symbol"], (one.symbol,)
    yield values["localSymbol"], (one.name,)
    yield values["secType"], (one.sec_type,)
    yield values["currency"], (one.currency,)
    yield values["lastTradeDateOrContractMonth"], (date, date[:6])
    yield values["multiplier"], (one.multiplier,)
    yield values["tradingClass"], (one.trading_class,)


def _send_details(session: Session, req_id: int, found: list[Instrument]) -> None:
    for instrument in found:
        session.send("contractDetails", {"reqId": req_id, **_details(session, instrument)})
    session.send("contractDetailsEnd", {"reqId": req_id})


def _details(session: Session, one: Instrument) -> Values:
    market, now = session.desk.market, session.desk.now()
    hours = market.hours_of(one)
    exchanges = list(dict.fromkeys((one.exchange, one.primary_exchange)))
    industry, category, subcategory = one.industry
    least = least_size(one, takes_fractions=session.desk.config.conduct.takes_fractions)
    return {
        "symbol": one.symbol,
        "secType": one.sec_type,
        "lastTradeDateOrContractMonth": _last_trade_date(market, one),
        "exchange": one.exchange,
        "currency": one.currency,
        "localSymbol": one.name,
        "marketName": one.trading_class,
        "tradingClass": one.trading_class,
        "conId": one.con_id,
        "minTick": one.min_tick,
        "multiplier": one.multiplier,
        "orderTypes": ORDER_TYPES,
        "validExchanges": ",".join(exchanges),
        "longName": one.long_name,
        "primaryExchange": one.primary_exchange if one.sec_type in {"STK", "IND"} else "",
        "contractMonth": one.last_trade_date[:6],
        "industry": industry,
        "category": category,
        "subcategory": subcategory,
        "secIdList": (("ISIN", one.isin),) if one.isin else (),
        "timeZoneId": one.zone,
        "tradingHours": hours_text(hours, now, one.zone),
        "liquidHours": hours_text(getattr(hours, "liquid", None) or hours, now, one.zone),
        "aggGroup": GROUPS.get(one.sec_type, NO_GROUP),
        "underSymbol": one.symbol if one.sec_type == "FUT" else "",
        "underSecType": "IND" if one.sec_type == "FUT" else "",
        "marketRuleIds": ",".join(str(one.rule) for _ in exchanges),
        "realExpirationDate": one.last_trade_date,
        "stockType": one.stock_type if one.sec_type == "STK" else "",
        "minSize": least,
        "sizeIncrement": min(least, Decimal(1)),
    }


def _last_trade_date(market: Market, one: Instrument) -> str:
    """When a future stops trading: `20230714 22:00:00 Europe/Prague`; empty for what does not."""
    last = market.hours_of(one).on(one.expiry) if one.expiry is not None else None
    return wording.zoned(last.close_at, one.zone) if last is not None else one.last_trade_date


ANSWERS = {
    "reqContractDetails": contract_details,
    "reqMatchingSymbols": matching_symbols,
    "reqMarketRule": market_rule,
}
