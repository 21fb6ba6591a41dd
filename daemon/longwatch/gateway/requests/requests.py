"""What the gateway does with each request: one table from the request's name to its function; called by the desk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from longwatch.gateway.exchange.orders import cause
from longwatch.gateway.requests import (
    account_requests,
    bar_requests,
    contract_requests,
    order_requests,
    quote_requests,
    tick_requests,
)
from longwatch.gateway.session import Session

Values = dict[str, Any]
Answer = Callable[[Session, Values], None]

CLIENTS_AT_ONCE = 32
"""One more is let in no further than its greeting."""

LOG_LEVELS = range(1, 6)


def answer(session: Session, name: str, values: Values) -> None:
    """Answer one request. Before startApi nothing else is heard, as with a real gateway."""
    if name == "startApi":
        start_api(session, values)
    elif session.is_started and session.desk.reaches(name):
        ANSWERS.get(name, NOT_AVAILABLE)(session, values)


def start_api(session: Session, values: Values) -> None:
    """Let a client in, once: accounts, next order id, the farms; or turn it away when its id is negative or taken."""
    desk, client_id = session.desk, values["clientId"] or 0
    if session.is_started:
        return
    if client_id < 0:
        session.error(321, cause(f"Invalid client id {client_id}."))
        session.close()
        return
    if len(desk.clients) >= CLIENTS_AT_ONCE:
        session.close()
        return
    if desk.faults.id_taken or client_id in desk.clients:
        text = "Unable to connect as the client id is already in use. Retry with a unique client id."
        session.error(326, text)
        session.close()
        return
    session.client_id, session.is_started = client_id, True
    desk.clients[client_id] = session
    managed_accounts(session, values)
    next_id(session, values)
    desk.announce_farms(session.error)
    if desk.config.conduct.sends_open_orders:
        order_requests.send_orders(session, desk.exchange.shown_live(client_id))


def managed_accounts(session: Session, _: Values) -> None:
    session.send("managedAccounts", {"accountsList": ",".join(session.desk.config.accounts)})


def next_id(session: Session, _: Values) -> None:
    highest = 0 if session.desk.faults.low_ids else session.desk.exchange.book.highest(session.client_id)
    session.send("nextValidId", {"orderId": highest + 1})


def current_time(session: Session, _: Values) -> None:
    now = session.desk.now().timestamp() + session.desk.faults.clock_skew_seconds
    session.send("currentTime", {"time": int(now)})


def log_level(session: Session, values: Values) -> None:
    if values["logLevel"] not in LOG_LEVELS:
        session.error(319, "Invalid log level")


def nothing(session: Session, values: Values) -> None:
    """A request that a real gateway takes without a word."""


def family_codes(session: Session, _: Values) -> None:
    codes = [{"account": account, "familyCode": ""} for account in session.desk.config.accounts]
    session.send("familyCodes", {"codes": codes})


@dataclass(frozen=True, slots=True)
class Empty:
    """The answer of a request that has nothing to show: its end message, or the message itself without rows."""

    reply: str

    def __call__(self, session: Session, values: Values) -> None:
        req_id = values.get("reqId")
        session.send(self.reply, {} if req_id is None else {"reqId": req_id})


@dataclass(frozen=True, slots=True)
class Refused:
    """The answer of a request that always fails, with the code a real gateway uses for it."""

    code: int
    text: str

    def __call__(self, session: Session, values: Values) -> None:
        req_id = values.get("reqId")
        session.error(self.code, self.text, -1 if req_id is None else req_id)


NOT_AVAILABLE = Refused(321, cause("This request is not available at this gateway."))
"""What is answered to every request without an entry of its own."""

ANSWERS: dict[str, Answer] = {
    "reqIds": next_id,
    "reqManagedAccts": managed_accounts,
    "reqCurrentTime": current_time,
    "setServerLogLevel": log_level,
    "reqFamilyCodes": family_codes,
    **order_requests.ANSWERS,
    **account_requests.ANSWERS,
    **contract_requests.ANSWERS,
    **quote_requests.ANSWERS,
    **bar_requests.ANSWERS,
    **tick_requests.ANSWERS,
    "reqSoftDollarTiers": Empty("softDollarTiers"),
    "reqUserInfo": Empty("userInfo"),
    "reqNewsProviders": Empty("newsProviders"),
    "reqMktDepthExchanges": Empty("mktDepthExchanges"),
    "reqSmartComponents": Empty("smartComponents"),
    "reqHistoricalNews": Empty("historicalNewsEnd"),
    "reqSecDefOptParams": Empty("securityDefinitionOptionParameterEnd"),
    "queryDisplayGroups": Empty("displayGroupList"),
    "reqFundamentalData": Refused(430, "The fundamentals data for the security specified is not available."),
    "reqNewsBulletins": nothing,
    "cancelNewsBulletins": nothing,
    "verifyRequest": nothing,
    "verifyMessage": nothing,
    "verifyAndAuthRequest": nothing,
    "verifyAndAuthMessage": nothing,
    "subscribeToGroupEvents": nothing,
    "unsubscribeFromGroupEvents": nothing,
    "updateDisplayGroup": nothing,
    "cancelHeadTimeStamp": nothing,
    "cancelHistogramData": nothing,
    "cancelFundamentalData": nothing,
    "cancelMktDepth": nothing,
}
