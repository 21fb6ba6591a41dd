"""Orders, executions and contracts in the words of the wire: values for reply messages; used by requests and reports.

Which constants real gateways fill in stands in the message tables; here is only what an order or instrument decides.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from longwatch.gateway.exchange.ledger import Commission, Execution, Holding
from longwatch.gateway.exchange.orders import Order, Status, Ticket
from longwatch.gateway.exchange.reports import PreviewShown
from longwatch.gateway.market.market import Instrument
from longwatch.gateway.streams.pnl import Pnl

Values = dict[str, Any]

ZONES_IN_TIMES = 174
SHARES_IN_HISTORY = 175
SHARES_IN_QUOTES = 159
MAINTENANCE_SHARE = Decimal("0.5")
"""Maintenance margin is half of the initial one here."""

HAND_MARK = "0"
"""What recorded orders typed by hand show as rule80A."""
UNSET_ID = 2_147_483_647
FIRST_YEAR = 1900

_TIME = re.compile(r"(\d{8})[ -]+(\d\d:\d\d:\d\d)(?: +(\S+))?", re.ASCII)


def open_order(order: Order) -> Values:
    """An openOrder message's values; the commission shows in the last copy only."""
    ticket = order.ticket
    return {
        **_ordered(ticket),
        "orderId": ticket.shown_id,
        "totalQuantity": ticket.quantity,
        "clientId": ticket.client_id,
        "permId": order.perm_id,
        "outsideRth": ticket.outside_rth,
        "rule80A": HAND_MARK if ticket.is_by_hand else "",
        "sharesAllocation": f"{order.perm_id}.{order.revision}/{ticket.account}/100",
        "parentId": ticket.parent_id,
        "status": order.status.value,
        "stopPrice": _shown_stop(order),
        "trailStopPrice": order.trailed,
        "minCompeteSize": 100,
        "competeAgainstBestOffset": 0.02,
        "commission": order.commission if order.is_settled else None,
        "commissionCurrency": ticket.instrument.currency if order.is_settled else "",
    }


def order_status(order: Order) -> Values:
    """An orderStatus message's values."""
    return {
        "orderId": order.ticket.shown_id,
        "status": order.status.value,
        "filled": order.filled,
        "remaining": order.remaining,
        "avgFillPrice": rounded(order.average),
        "permId": order.perm_id,
        "parentId": order.ticket.parent_id,
        "lastFillPrice": order.last_price,
        "clientId": order.ticket.client_id,
        "whyHeld": order.why_held,
    }


def completed_order(order: Order) -> Values:
    """A completedOrder message's values; a filled order shows its size as filled only."""
    ticket = order.ticket
    filled = order.status is Status.FILLED
    ended_at = order.ended_at or order.placed_at
    return {
        **_ordered(ticket),
        "totalQuantity": 0 if filled else ticket.quantity,
        "permId": order.perm_id,
        "outsideRth": ticket.outside_rth,
        "rule80A": HAND_MARK if ticket.is_by_hand else "",
        "status": "Filled" if filled else "Cancelled",
        "stopPrice": _shown_stop(order),
        "trailStopPrice": order.trailed,
        "parentPermId": order.parent_perm_id or None,
        "filledQuantity": order.filled,
        "completedTime": zoned(ended_at, ticket.instrument.zone),
        "completedStatus": order.ending,
    }


def completed_of(order: Order) -> tuple[object, ...]:
    """What the message of an ended order is made of."""
    return order.ticket, order.status, order.trailed, order.filled, order.ended_at, order.ending, order.parent_perm_id


def preview(shown: PreviewShown, next_perm_id: int = 0) -> Values:
    """An openOrder message's values for a what-if."""
    ticket = shown.ticket
    change = shown.margin_after - shown.margin_before
    before, after = shown.margin_before, shown.margin_after
    return {
        **_ordered(ticket),
        "orderId": ticket.order_id,
        "totalQuantity": ticket.quantity,
        "clientId": ticket.client_id,
        "permId": next_perm_id,
        "whatIf": True,
        "status": Status.PRE_SUBMITTED.value,
        "initMarginBefore": before,
        "maintMarginBefore": before * MAINTENANCE_SHARE,
        "equityWithLoanBefore": shown.equity,
        "initMarginChange": change,
        "maintMarginChange": change * MAINTENANCE_SHARE,
        "equityWithLoanChange": -shown.commission,
        "initMarginAfter": after,
        "maintMarginAfter": after * MAINTENANCE_SHARE,
        "equityWithLoanAfter": shown.equity - shown.commission,
        "commission": shown.commission,
        "commissionCurrency": ticket.instrument.currency,
    }


def exec_details(
    execution: Execution, instrument: Instrument, server_version: int, req_id: int = -1, manual_id: int = 0
) -> Values:
    """An execDetails message's values; `req_id` -1 marks a live one. Without an order id it shows `manual_id`."""
    return {
        "reqId": req_id,
        "orderId": execution.order_id or manual_id,
        **_contract(instrument, exchange="SMART"),
        "execId": execution.exec_id,
        "time": moment(execution.at, instrument.zone, server_version),
        "acctNumber": execution.account,
        "executionExchange": instrument.primary_exchange,
        "side": "BOT" if execution.is_buy else "SLD",
        "shares": execution.quantity,
        "price": execution.price,
        "permId": execution.perm_id,
        "clientId": execution.client_id,
        "liquidation": int(execution.is_liquidation),
        "cumQty": execution.total,
        "avgPrice": rounded(execution.average),
        "orderRef": execution.order_ref,
    }


def order_bound(order: Order) -> Values:
    """An orderBound message's values."""
    ticket = order.ticket
    return {"orderId": order.perm_id, "apiClientId": ticket.client_id, "apiOrderId": ticket.order_id}


def commission_report(commission: Commission) -> Values:
    """A commissionReport message's values; an opening fill has no realised profit."""
    return {
        "execId": commission.exec_id,
        "commission": commission.amount,
        "currency": commission.currency,
        "realizedPNL": commission.realised,
    }


def position(holding: Holding, instrument: Instrument, account: str) -> Values:
    """A position message's values."""
    return {
        "account": account,
        **_contract(instrument, exchange=instrument.primary_exchange),
        "position": holding.quantity,
        "avgCost": holding.average,
    }


def portfolio(holding: Holding, instrument: Instrument, account: str, price: Decimal, realised: Decimal) -> Values:
    """An updatePortfolio message's values at a market price; `realised` is today's gain."""
    contract = _contract(instrument, exchange="")
    del contract["exchange"]
    value = holding.quantity * price
    return {
        **contract,
        "strike": 0,
        "primaryExchange": instrument.primary_exchange,
        "position": holding.quantity,
        "marketPrice": price,
        "marketValue": round(value, 2),
        "averageCost": round(holding.average, 7),
        "unrealizedPNL": round(value - holding.cost, 2),
        "realizedPNL": round(realised, 2),
        "account": account,
    }


def pnl(req_id: int, gains: Pnl) -> Values:
    """A pnl message's values, not rounded but to a double."""
    return {
        "reqId": req_id,
        "dailyPnL": _double(gains.daily),
        "unrealizedPnL": _double(gains.unrealised),
        "realizedPnL": _double(gains.realised),
    }


def pnl_single(req_id: int, gains: Pnl) -> Values:
    """A pnlSingle message's values."""
    return {**pnl(req_id, gains), "position": gains.position, "value": _double(gains.value)}


def _double(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)


def moment(at: datetime, zone: str, server_version: int) -> str:
    """A time as messages carry it: `20231115 09:20:44 GB-Eire`, without the zone and with two blanks before 174."""
    if server_version >= ZONES_IN_TIMES:
        return zoned(at, zone)
    return f"{at.astimezone(ZoneInfo(zone)):%Y%m%d  %H:%M:%S}"


def zoned(at: datetime, zone: str) -> str:
    """A time with its zone's name: `20231115 09:20:44 GB-Eire`."""
    return f"{at.astimezone(ZoneInfo(zone)):%Y%m%d %H:%M:%S} {zone}"


def local_dash(at: datetime, zone: str) -> str:
    """A time in a zone that is named elsewhere: `20260312-09:30:00`."""
    return f"{at.astimezone(ZoneInfo(zone)):%Y%m%d-%H:%M:%S}"


def instant_of(text: str, zone: str) -> datetime | None:
    """A time of a request, in any of its three forms, in UTC; None when it is none of them, or long before any market.

    `yyyymmdd-hh:mm:ss` is UTC; with a blank it is in the zone named after it, or else in `zone`.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        return None
    day, time, named = match.groups()
    try:
        local = ZoneInfo(named or ("UTC" if "-" in text else zone))
        at = datetime.strptime(f"{day} {time}", "%Y%m%d %H:%M:%S").replace(tzinfo=local).astimezone(UTC)
    except (ValueError, OverflowError, OSError, ZoneInfoNotFoundError):
        return None
    return at if at.year >= FIRST_YEAR else None


def has_zone(text: str) -> bool:
    """Whether a time of a request says its zone."""
    match = _TIME.fullmatch(text.strip())
    return match is None or bool(match.group(3)) or "-" in text


def rounded(price: Decimal) -> Decimal:
    """An average price with the digits a double would carry, not more."""
    return round(price, 8).normalize() + Decimal("0.00")


def _contract(instrument: Instrument, exchange: str) -> Values:
    return {
        "conId": instrument.con_id,
        "symbol": instrument.symbol,
        "secType": instrument.sec_type,
        "exchange": exchange,
        "currency": instrument.currency,
        "localSymbol": instrument.name,
        "tradingClass": instrument.trading_class,
    }


def _ordered(ticket: Ticket) -> Values:
    return {
        **_contract(ticket.instrument, ticket.exchange),
        "action": ticket.action,
        "orderType": ticket.order_type,
        "lmtPrice": ticket.limit or 0,
        "auxPrice": ticket.stop or 0,
        "tif": ticket.tif,
        "ocaGroup": ticket.oca_group,
        "ocaType": ticket.oca_rule,
        "trailingPercent": ticket.trail_percent,
        "account": ticket.account,
        "orderRef": ticket.order_ref,
    }


def _shown_stop(order: Order) -> Decimal | None:
    """The field that repeats a stop price; for a plain limit real gateways show the limit plus one there."""
    ticket = order.ticket
    if ticket.order_type == "LMT" and ticket.limit is not None:
        return ticket.limit + 1
    return order.stop
