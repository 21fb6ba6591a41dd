"""Who follows positions, account values and gains, and what each is told when they change; one for each desk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from longwatch.gateway import wording
from longwatch.gateway.exchange.books import ZERO
from longwatch.gateway.streams.account_values import AccountValue, account_values, ledger_values, summary_values
from longwatch.gateway.streams.pnl import Pnl, pnl_of, pnl_single

if TYPE_CHECKING:
    from longwatch.gateway.desk import Desk
    from longwatch.gateway.session import Session

ACCOUNT_SECONDS = 0.25
"""Account values follow a fill this much later, so that fills of one moment are one refresh."""
PNL_SECONDS = 1.0
"""Gains are told at most so often."""

Shown = dict[tuple[str, ...], object]
"""What a client was told last, so that it is only told what has changed."""


@dataclass(slots=True, kw_only=True)
class Values:
    """A subscription to values of accounts: by tags (a summary), or all of them, or when `is_light` the ledger's."""

    accounts: tuple[str, ...]
    tags: str | None = None
    model: str = ""
    is_light: bool = False
    shown: Shown = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Gains:
    """A subscription to the gains of an account, or of one position in it."""

    account: str
    con_id: int | None = None
    told: Pnl | None = None


@dataclass(slots=True)
class Follows:
    """What one client follows; by request id where it may be several."""

    positions: bool = False
    account: str = ""
    shown: Shown = field(default_factory=dict)
    positions_of: dict[int, str] = field(default_factory=dict)
    updates: dict[int, Values] = field(default_factory=dict)
    summaries: dict[int, Values] = field(default_factory=dict)
    gains: dict[int, Gains] = field(default_factory=dict)

    @property
    def needs_prices(self) -> bool:
        """Whether the market's moves matter to it."""
        return bool(self.account or self.updates or self.summaries or self.gains)


class Following:
    """Tells clients of changes. Values follow a change of a position soon, and prices every `refresh_seconds`."""

    def __init__(self, desk: Desk, refresh_seconds: float) -> None:
        self._desk = desk
        self._every = timedelta(seconds=refresh_seconds)
        self._refreshed_at = desk.now()
        self._stale: set[str] = set()
        self._gains_due: datetime | None = None
        self._gains_told = desk.now() - self._every

    def is_needed(self) -> bool:
        """Whether anybody follows what prices change."""
        return any(session.follows.needs_prices for session in self._desk.everyone())

    def beat(self, instant: datetime) -> None:
        """The market has moved."""
        self.stir()
        if instant - self._refreshed_at >= self._every:
            self._refreshed_at = instant
            self.refresh(self._desk.config.accounts)

    def moved(self, account: str, con_id: int) -> None:
        """A position has changed: it is told at once, values a moment later."""
        holding = self._desk.books(account).holdings[con_id]
        instrument = self._desk.market.find(holding.symbol, con_id)
        for session in self._desk.everyone():
            if instrument is None:
                continue
            row = wording.position(holding, instrument, account)
            if session.follows.positions:
                session.send("position", row)
            for req_id, name in session.follows.positions_of.items():
                if name == account:
                    session.send("positionMulti", {**row, "reqId": req_id, "modelCode": ""})
        self.changed(account)

    def changed(self, account: str) -> None:
        """Something in an account has changed; its values are told a moment later."""
        self.stir()
        if account not in self._stale:
            self._stale.add(account)
            self._desk.timeline.after(ACCOUNT_SECONDS, self._refresh_stale, account)

    def refresh(self, accounts: Iterable[str]) -> None:
        """Send everybody what has changed in these accounts."""
        for session in self._desk.everyone():
            follows = session.follows
            if follows.account and follows.account in accounts:
                self.send_account(session)
            for req_id, values in follows.updates.items():
                self.send_values(session, req_id, values, "accountUpdateMulti")
            for req_id, values in follows.summaries.items():
                self.send_values(session, req_id, values, "accountSummary")

    def tell_readiness(self) -> None:
        """Send everybody who follows an account whether its values can be relied on."""
        for session in self._desk.everyone():
            if session.follows.account:
                rows = account_values(self._desk.statement(session.follows.account))
                self._send_rows(session, (row for row in rows if row.key == "AccountReady"))

    def send_account(self, session: Session) -> None:
        """Send a client what has changed in the account it follows, and the time."""
        desk, account, shown = self._desk, session.follows.account, session.follows.shown
        self._send_rows(session, account_values(desk.statement(account)))
        time, day = {"time": self.account_time()}, desk.books(account).since(desk.today().date())
        for holding, instrument in desk.holdings(account):
            price = desk.market.quote(instrument, desk.now()).last or ZERO
            values = wording.portfolio(holding, instrument, account, price, day.realised_since(holding))
            if shown.get(("", instrument.symbol)) != values:
                shown["", instrument.symbol] = values
                session.send("updatePortfolio", values)
                session.send("updateAccountTime", time)
        session.send("updateAccountTime", time)

    def send_values(self, session: Session, req_id: int, values: Values, name: str) -> None:
        """Send what has changed of a summary (63) or of multi updates (73)."""
        label = "tag" if name == "accountSummary" else "key"
        model = {} if name == "accountSummary" else {"modelCode": values.model}
        for account in values.accounts:
            for row in self._rows(account, values):
                if values.shown.get((account, row.key, row.currency)) != row.value:
                    values.shown[account, row.key, row.currency] = row.value
                    reply = {"reqId": req_id, "account": account, label: row.key, **model}
                    session.send(name, {**reply, "value": row.value, "currency": row.currency})

    def account_time(self) -> str:
        """The time as message 8 shows it."""
        return f"{self._desk.now().astimezone(ZoneInfo(self._desk.config.zone)):%H:%M}"

    # -- gains ---------------------------------------------------------------------------------------------------

    def stir(self) -> None:
        """Gains may have changed: they are told now, or when a second has passed since the last time."""
        if self._gains_due is None and any(session.follows.gains for session in self._desk.everyone()):
            now = self._desk.now()
            self._gains_due = max(now, self._gains_told + timedelta(seconds=PNL_SECONDS))
            self._desk.timeline.at(self._gains_due, self._tell_gains)

    def send_gains(self, session: Session, req_id: int) -> None:
        """Send a client the gains it follows, unless they are what it was told last."""
        wanted = session.follows.gains[req_id]
        found = self._gains_of(wanted)
        if found == wanted.told:
            return
        wanted.told = found
        if wanted.con_id is None:
            session.send("pnl", wording.pnl(req_id, found))
        else:
            session.send("pnlSingle", wording.pnl_single(req_id, found))

    def _tell_gains(self) -> None:
        self._gains_due, self._gains_told = None, self._desk.now()
        if self._desk.faults.backend_down:
            return
        for session in self._desk.everyone():
            for req_id in list(session.follows.gains):
                self.send_gains(session, req_id)

    def _gains_of(self, wanted: Gains) -> Pnl:
        desk = self._desk
        books, today = desk.books(wanted.account), desk.today().date()
        if wanted.con_id is None:
            return pnl_of(books, desk.market, desk.now(), today)
        return pnl_single(books, wanted.con_id, desk.market, desk.now(), today)

    # -- parts ---------------------------------------------------------------------------------------------------

    def _refresh_stale(self, account: str) -> None:
        """One refresh for all fills of a moment."""
        self._stale.discard(account)
        self.refresh((account,))

    def _rows(self, account: str, values: Values) -> list[AccountValue]:
        statement = self._desk.statement(account)
        if values.tags is not None:
            return summary_values(statement, values.tags)
        return ledger_values(statement) if values.is_light else account_values(statement)

    def _send_rows(self, session: Session, rows: Iterable[AccountValue]) -> None:
        account, shown = session.follows.account, session.follows.shown
        for row in rows:
            if shown.get((row.key, row.currency)) != row.value:
                shown[row.key, row.currency] = row.value
                values = {"key": row.key, "value": row.value, "currency": row.currency, "account": account}
                session.send("updateAccountValue", values)
