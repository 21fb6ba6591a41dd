"""Requests about positions and account values; part of the table in requests."""

from __future__ import annotations

from typing import Any

from longwatch.gateway import wording
from longwatch.gateway.account_values import account_values, summary_values
from longwatch.gateway.orders import cause
from longwatch.gateway.session import Session

Values = dict[str, Any]

SUMMARIES_AT_ONCE = 2


def positions(session: Session, _: Values) -> None:
    """All positions of all accounts, then every change as it happens."""
    session.wants_positions = True
    for account in session.desk.config.accounts:
        for holding, instrument in session.desk.holdings(account):
            session.send("position", wording.position(holding, instrument, account))
    session.send("positionEnd")


def cancel_positions(session: Session, _: Values) -> None:
    session.wants_positions = False


def positions_multi(session: Session, values: Values) -> None:
    """The positions of one account, once."""
    req_id, account = values["reqId"], _account_of(session, values["account"])
    for holding, instrument in session.desk.holdings(account) if account else []:
        row = wording.position(holding, instrument, account)
        session.send("positionMulti", {**row, "reqId": req_id, "modelCode": ""})
    session.send("positionMultiEnd", {"reqId": req_id})


def account_updates(session: Session, values: Values) -> None:
    """Follow one account, or stop: values, positions, the time, then the end; afterwards what changes."""
    if not values["subscribe"]:
        session.account_updates = ""
        return
    account = _account_of(session, values["acctCode"])
    if not account:
        session.error(321, cause(f"Invalid account code '{values['acctCode']}'."))
        return
    if session.account_updates not in {"", account}:
        text = "New account data requested from TWS. API client has been unsubscribed from account data."
        session.error(2100, text)
    session.account_updates = account
    session.account_shown.clear()
    session.desk.refresh_account(session)
    session.send("accountDownloadEnd", {"account": account})
    session.desk.pulse.wake()


def account_updates_multi(session: Session, values: Values) -> None:
    """The values of one account or of all, once."""
    req_id, model = values["reqId"], values["modelCode"]
    wanted = [values["account"]] if values["account"] else list(session.desk.config.accounts)
    for account in wanted:
        for row in account_values(session.desk.statement(account)) if account in session.desk.config.accounts else []:
            reply = {"reqId": req_id, "account": account, "modelCode": model}
            session.send("accountUpdateMulti", {**reply, "key": row.key, "value": row.value, "currency": row.currency})
    session.send("accountUpdateMultiEnd", {"reqId": req_id})


def account_summary(session: Session, values: Values) -> None:
    """The values of the tags asked for, of all accounts; at most two such requests at a time."""
    req_id = values["reqId"]
    if req_id not in session.summaries and len(session.summaries) >= SUMMARIES_AT_ONCE:
        limit = "Maximum number of account summary requests exceeded; desubscribe to previous request first"
        session.error(322, f"Error processing request.-'bY' : cause - {limit}", req_id)
        return
    session.summaries[req_id] = values["tags"]
    for account in session.desk.config.accounts:
        for row in summary_values(session.desk.statement(account), values["tags"]):
            reply = {"reqId": req_id, "account": account, "tag": row.key, "value": row.value, "currency": row.currency}
            session.send("accountSummary", reply)
    session.send("accountSummaryEnd", {"reqId": req_id})


def cancel_account_summary(session: Session, values: Values) -> None:
    session.summaries.pop(values["reqId"], None)


def nothing(session: Session, _: Values) -> None:
    """What was asked for once needs no cancelling."""


def _account_of(session: Session, asked: str) -> str:
    """The account meant; an empty name means the only one. Empty when there is none such."""
    accounts = session.desk.config.accounts
    if not asked and len(accounts) == 1:
        return accounts[0]
    return asked if asked in accounts else ""


ANSWERS = {
    "reqPositions": positions,
    "cancelPositions": cancel_positions,
    "reqPositionsMulti": positions_multi,
    "cancelPositionsMulti": nothing,
    "reqAccountUpdates": account_updates,
    "reqAccountUpdatesMulti": account_updates_multi,
    "cancelAccountUpdatesMulti": nothing,
    "reqAccountSummary": account_summary,
    "cancelAccountSummary": cancel_account_summary,
}
