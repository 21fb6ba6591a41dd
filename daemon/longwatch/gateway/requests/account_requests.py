"""Requests about positions, account values and gains; part of the table in requests."""

from __future__ import annotations

from typing import Any

from longwatch.gateway import wording
from longwatch.gateway.exchange.orders import cause, processing
from longwatch.gateway.session import Session
from longwatch.gateway.streams.following import Gains
from longwatch.gateway.streams.following import Values as Wanted

Values = dict[str, Any]

SUMMARIES_AT_ONCE = 2
ALL_ACCOUNTS = ("", "All")


def positions(session: Session, _: Values) -> None:
    """All positions of all accounts, then every change as it happens."""
    session.follows.positions = True
    for account in session.desk.config.accounts:
        for holding, instrument in session.desk.holdings(account):
            session.send("position", wording.position(holding, instrument, account))
    session.send("positionEnd")


def cancel_positions(session: Session, _: Values) -> None:
    session.follows.positions = False


def positions_multi(session: Session, values: Values) -> None:
    """The positions of one account, then its changes. Of a model there are none: no account here has one."""
    req_id, account = values["reqId"], _account_of(session, values["account"])
    if not account:
        _unknown(session, values["account"], req_id)
        return
    if not values["modelCode"]:
        session.follows.positions_of[req_id] = account
        for holding, instrument in session.desk.holdings(account):
            row = wording.position(holding, instrument, account)
            session.send("positionMulti", {**row, "reqId": req_id, "modelCode": ""})
    session.send("positionMultiEnd", {"reqId": req_id})


def cancel_positions_multi(session: Session, values: Values) -> None:
    session.follows.positions_of.pop(values["reqId"], None)


def account_updates(session: Session, values: Values) -> None:
    """Follow one account, or stop: values, positions, the time, then the end; afterwards what changes."""
    follows = session.follows
    if not values["subscribe"]:
        follows.account = ""
        return
    account = _account_of(session, values["acctCode"])
    if not account:
        _unknown(session, values["acctCode"], -1)
        return
    if follows.account not in {"", account}:
        text = "New account data requested from TWS. API client has been unsubscribed from account data."
        session.error(2100, text)
    follows.account = account
    follows.shown.clear()
    session.desk.following.send_account(session)
    session.send("accountDownloadEnd", {"account": account})
    session.desk.pulse.wake()


def account_updates_multi(session: Session, values: Values) -> None:
    """The values of one account or of all, then what changes; `ledgerAndNLV` asks for those kept per currency."""
    req_id, asked = values["reqId"], values["account"]
    if asked not in {*ALL_ACCOUNTS, *session.desk.config.accounts}:
        _unknown(session, asked, req_id)
        return
    accounts = session.desk.config.accounts if asked in ALL_ACCOUNTS else (asked,)
    if not values["modelCode"]:
        wanted = Wanted(accounts=accounts, is_light=bool(values["ledgerAndNLV"]))
        session.follows.updates[req_id] = wanted
        session.desk.following.send_values(session, req_id, wanted, "accountUpdateMulti")
        session.desk.pulse.wake()
    session.send("accountUpdateMultiEnd", {"reqId": req_id})


def cancel_account_updates_multi(session: Session, values: Values) -> None:
    session.follows.updates.pop(values["reqId"], None)


def account_summary(session: Session, values: Values) -> None:
    """The values of the tags asked for, of all accounts, then what changes; at most two such requests at a time."""
    req_id, summaries, group = values["reqId"], session.follows.summaries, values["group"]
    if req_id not in summaries and len(summaries) >= SUMMARIES_AT_ONCE:
        limit = "Maximum number of account summary requests exceeded; desubscribe to previous request first"
        session.error(322, processing(limit), req_id)
        return
    if group not in ALL_ACCOUNTS:
        session.error(321, cause(f"Invalid group name '{group}'."), req_id)
        return
    summaries[req_id] = wanted = Wanted(accounts=session.desk.config.accounts, tags=values["tags"])
    session.desk.following.send_values(session, req_id, wanted, "accountSummary")
    session.send("accountSummaryEnd", {"reqId": req_id})
    session.desk.pulse.wake()


def cancel_account_summary(session: Session, values: Values) -> None:
    session.follows.summaries.pop(values["reqId"], None)


def pnl(session: Session, values: Values) -> None:
    """The gains of an account, now and once a second while they change."""
    _follow_gains(session, values, Gains(account=values["account"]), (10183, "Failed to request PNL"))


def pnl_single(session: Session, values: Values) -> None:
    """The gains of one position, now and once a second while they change."""
    wanted = Gains(account=values["account"], con_id=values["conId"] or 0)
    _follow_gains(session, values, wanted, (10184, "Failed to request PNL single"))


def cancel_pnl(session: Session, values: Values) -> None:
    _forget_gains(session, values["reqId"], (10185, "Failed to cancel PNL (not subscribed)"), single=False)


def cancel_pnl_single(session: Session, values: Values) -> None:
    _forget_gains(session, values["reqId"], (10186, "Failed to cancel PNL single (not subscribed)"), single=True)


def _follow_gains(session: Session, values: Values, wanted: Gains, failed: tuple[int, str]) -> None:
    req_id, desk = values["reqId"], session.desk
    if wanted.account not in desk.config.accounts or values["modelCode"] or req_id in session.follows.gains:
        session.error(*failed, req_id)
        return
    session.follows.gains[req_id] = wanted
    desk.following.send_gains(session, req_id)
    desk.pulse.wake()


def _forget_gains(session: Session, req_id: int, failed: tuple[int, str], *, single: bool) -> None:
    wanted = session.follows.gains.get(req_id)
    if wanted is None or (wanted.con_id is not None) != single:
        session.error(*failed, req_id)
    else:
        del session.follows.gains[req_id]


def _account_of(session: Session, asked: str) -> str:
    """The account meant; an empty name means the only one. Empty when there is none such."""
    accounts = session.desk.config.accounts
    if not asked and len(accounts) == 1:
        return accounts[0]
    return asked if asked in accounts else ""


def _unknown(session: Session, account: str, req_id: int) -> None:
    session.error(321, cause(f"Invalid account code '{account}'."), req_id)


ANSWERS = {
    "reqPositions": positions,
    "cancelPositions": cancel_positions,
    "reqPositionsMulti": positions_multi,
    "cancelPositionsMulti": cancel_positions_multi,
    "reqAccountUpdates": account_updates,
    "reqAccountUpdatesMulti": account_updates_multi,
    "cancelAccountUpdatesMulti": cancel_account_updates_multi,
    "reqAccountSummary": account_summary,
    "cancelAccountSummary": cancel_account_summary,
    "reqPnL": pnl,
    "cancelPnL": cancel_pnl,
    "reqPnLSingle": pnl_single,
    "cancelPnLSingle": cancel_pnl_single,
}
