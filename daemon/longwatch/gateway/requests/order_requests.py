"""Requests about orders and executions: place, cancel, and the downloads of both; part of the table in requests."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from functools import partial
from typing import Any

from longwatch.gateway import wording
from longwatch.gateway.exchange.book import BY_HAND
from longwatch.gateway.exchange.ledger import Execution
from longwatch.gateway.exchange.orders import Order, Ticket, cause
from longwatch.gateway.market.market import Instrument
from longwatch.gateway.requests.contract_requests import NOT_FOUND, ambiguous, matching
from longwatch.gateway.session import Session

Values = dict[str, Any]

UNSUPPORTED_FLAGS = {
    "eTradeOnly": (2168, "The 'EtradeOnly' order attribute is not supported."),
    "firmQuoteOnly": (2169, "The 'FirmQuoteOnly' order attribute is not supported."),
    "nbboPriceCap": (2170, "The 'NbboPriceCap' order attribute is not supported."),
}
"""Attributes that old clients set by default: cleared with a warning, and the order goes on."""

NO_ACCOUNT = "You must specify an account."

SIDES = {"BUY": True, "BOT": True, "SELL": False, "SLD": False}


def place_order(session: Session, values: Values) -> None:
    """Hand an order to the exchange, once contract and account are clear."""
    desk, order_id = session.desk, values["orderId"] or 0
    if _is_lost(session):
        return
    found = matching(desk.market, values, desk.now())
    account = values["account"] or (desk.config.accounts[0] if len(desk.config.accounts) == 1 else "")
    if len(found) != 1:
        session.error(200, ambiguous(values) if found else NOT_FOUND, order_id)
    elif account not in desk.config.accounts:
        _refuse_account(session, account, order_id)
    else:
        ticket = _ticket(session.client_id, order_id, account, found[0], values)
        for flag, (code, text) in UNSUPPORTED_FLAGS.items():
            if values[flag]:
                session.error(code, text, order_id)
        if desk.faults.backend_down and not desk.config.conduct.keeps_orders:
            session.error(10328, "Connection lost, order data could not be resolved.", order_id)
        else:
            desk.when_connected(lambda: desk.exchange.place(ticket))


def _refuse_account(session: Session, account: str, order_id: int) -> None:
    """An order must name one of several accounts, and one that is here."""
    if account:
        session.error(321, cause(f"Invalid account code '{account}'."), order_id)
    elif session.desk.config.conduct.account_cause:
        session.error(321, cause(NO_ACCOUNT), order_id)
    else:
        session.error(435, NO_ACCOUNT, order_id)


def _is_lost(session: Session) -> bool:
    """Whether a fault swallows this order; one may cut the connection by which it came."""
    faults = session.desk.faults
    if faults.takes_one("lose_orders"):
        return True
    cut = faults.takes_cut()
    if cut:
        session.abort()
    return cut == "unread"


def cancel_order(session: Session, values: Values) -> None:
    desk, client_id = session.desk, session.client_id
    desk.when_connected(lambda: desk.exchange.cancel(client_id, values["orderId"] or 0))


def global_cancel(session: Session, _: Values) -> None:
    session.desk.when_connected(session.desk.exchange.cancel_all)


def open_orders(session: Session, _: Values) -> None:
    """A client's own orders; client 0 gets those typed by hand too, and they are bound to it."""
    if session.client_id == BY_HAND:
        session.desk.exchange.bind_by_hand()
    send_orders(session, session.desk.exchange.shown_live(session.client_id))
    session.send("openOrderEnd")


def all_open_orders(session: Session, _: Values) -> None:
    """Those of all clients; a client's own new ids must be above theirs from then on, as IB's manual has it."""
    orders = list(session.desk.exchange.shown_live())
    for order in orders:
        session.desk.exchange.book.show(session.client_id, order.ticket.shown_id)
    send_orders(session, orders)
    session.send("openOrderEnd")


def auto_open_orders(session: Session, values: Values) -> None:
    """Only client 0 may have orders typed by hand bound to it as they come."""
    if session.client_id != BY_HAND:
        text = "Only API connections with clientId set to 0 can set the auto bind orders property."
        session.error(327, text)
    else:
        session.desk.exchange.bind_by_hand(from_now_on=bool(values["autoBind"]))


def completed_orders(session: Session, values: Values) -> None:
    """The day's ended orders of all clients."""
    desk = session.desk
    today = desk.today()
    for order in desk.exchange.book.ended():
        is_manual = order.ticket.is_by_hand
        if order.ended_at is not None and order.ended_at >= today and not (values["apiOnly"] and is_manual):
            made_of = wording.completed_of(order)
            session.send_row("completedOrder", order.perm_id, made_of, partial(wording.completed_order, order))
    session.send("completedOrdersEnd")


def executions(session: Session, values: Values) -> None:
    """The day's fills that pass the filter: all execDetails, then all commissionReports if told, then the end."""
    desk, req_id = session.desk, values["reqId"]
    manual_id = wording.UNSET_ID if desk.config.conduct.manual_id_unset else 0
    listed = ((fill, desk.market.find(fill.symbol, fill.con_id)) for fill in desk.executions_today())
    found = [
        (fill, instrument)
        for fill, instrument in listed
        if instrument is not None and _passes(fill, instrument, values, desk.config.zone)
    ]
    for fill, instrument in found:
        row = partial(wording.exec_details, fill, instrument, session.server_version, manual_id=manual_id)
        session.send_row("execDetails", fill.exec_id, (fill, instrument), row, reqId=req_id)
    for fill, _ in found if desk.config.conduct.replays_commissions else []:
        commission = desk.ledger.commissions[fill.exec_id]
        row = partial(wording.commission_report, commission)
        session.send_row("commissionReport", fill.exec_id, (commission,), row)
    session.send("execDetailsEnd", {"reqId": req_id})


def send_orders(session: Session, orders: Iterable[Order]) -> None:
    """Each order with its status."""
    for order in orders:
        session.send("openOrder", wording.open_order(order))
        session.send("orderStatus", wording.order_status(order))


def _ticket(client_id: int, order_id: int, account: str, instrument: Instrument, values: Values) -> Ticket:
    quantity: Decimal = values["totalQuantity"] or Decimal(0)
    return Ticket(
        order_id=order_id,
        client_id=client_id,
        account=account,
        instrument=instrument,
        action=values["action"],
        quantity=quantity.to_integral_value() if quantity == quantity.to_integral_value() else quantity,
        order_type=values["orderType"],
        limit=values["lmtPrice"],
        stop=values["auxPrice"],
        trail_stop=values["trailStopPrice"],
        trail_percent=values["trailingPercent"],
        tif=values["tif"],
        outside_rth=values["outsideRth"],
        order_ref=values["orderRef"],
        transmit=values["transmit"],
        what_if=values["whatIf"],
        parent_id=values["parentId"] or 0,
        oca_group=values["ocaGroup"],
        oca_type=values["ocaType"] or 0,
        exchange=values["exchange"] or "SMART",
    )


def _passes(fill: Execution, instrument: Instrument, values: Values, zone: str) -> bool:
    """Whether a fill is asked for; an empty filter field asks for all."""
    since = wording.instant_of(values["time"], zone) if values["time"] else None
    side = SIDES.get(values["side"].upper())
    return (
        values["clientId"] in {None, 0, fill.client_id}
        and values["acctCode"] in {"", fill.account}
        and values["symbol"] in {"", fill.symbol}
        and values["secType"] in {"", instrument.sec_type}
        and values["exchange"] in {"", "SMART", instrument.primary_exchange}
        and (since is None or fill.at >= since)
        and side in {None, fill.is_buy}
    )


ANSWERS = {
    "placeOrder": place_order,
    "cancelOrder": cancel_order,
    "reqGlobalCancel": global_cancel,
    "reqOpenOrders": open_orders,
    "reqAllOpenOrders": all_open_orders,
    "reqAutoOpenOrders": auto_open_orders,
    "reqCompletedOrders": completed_orders,
    "reqExecutions": executions,
}
