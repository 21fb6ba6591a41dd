"""Splits and dividends as the market lists them, applied to all accounts before a session opens; run by the desk."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from longwatch.gateway.events import Event
from longwatch.gateway.exchange.books import CENT, ZERO, Due
from longwatch.gateway.market.actions import Action
from longwatch.gateway.market.hours import TradingDay
from longwatch.gateway.market.market import Instrument

if TYPE_CHECKING:
    from longwatch.gateway.desk import Desk

BEFORE_THE_OPEN = timedelta(milliseconds=1)
"""Accounts have been changed when the first trade at the new price can happen."""
PAID_AFTER = timedelta(days=14)
"""A dividend becomes cash so long after its shares trade without it."""
FINEST = 10_000
PRICE_DIGITS = 4

TookEffect = Callable[[Event, Instrument | None], None]
"""Hears of what an action did to one account, with its terms: a split, a dividend a share, or the payment of one."""


class Corporate:
    """Looks at each open while there are positions or orders that may be concerned, and pays what has accrued."""

    def __init__(self, desk: Desk, took_effect: TookEffect) -> None:
        self._desk = desk
        self._took_effect = took_effect
        self._is_waiting = True
        self._looked_at: datetime | None = None

    def resume(self) -> None:
        """Begin, with what a reloaded ledger has accrued and not paid."""
        self._is_waiting = False
        for account, books in self._desk.ledger.accounts.items():
            for due in books.dues:
                self._pay_later(account, due)
        self.watch()

    def watch(self) -> None:
        """Make sure that the next open is looked at, if anybody may need it."""
        desk = self._desk
        if self._is_waiting or not desk.market.may_act() or not self._is_needed():
            return
        session = desk.market.hours.following(max(desk.now(), self._looked_at or desk.now()))
        if session is not None:
            self._is_waiting = True
            desk.timeline.at(session.open_at - BEFORE_THE_OPEN, self._open, session)

    def _is_needed(self) -> bool:
        desk = self._desk
        held = any(one.quantity for books in desk.ledger.accounts.values() for one in books.holdings.values())
        return held or any(True for _ in desk.exchange.book.live())

    def _open(self, session: TradingDay) -> None:
        self._is_waiting, self._looked_at = False, session.open_at
        # Dividends first: they are for the shares of before a split.
        for action in sorted(self._desk.market.actions(session.date), key=lambda one: not one.dividend):
            instrument = self._desk.market.find("", action.con_id)
            if instrument is not None:
                self._apply(action, instrument, session.open_at - BEFORE_THE_OPEN)
        self.watch()

    def _apply(self, action: Action, instrument: Instrument, before: datetime) -> None:
        for account in self._desk.ledger.accounts:
            held = self._desk.books(account).holdings.get(action.con_id)
            if held is None or not held.quantity:
                continue
            if action.dividend and not self._is_done("accrual", account, action):
                self._accrue(account, instrument, held.quantity, action)
            if action.ratio != 1 and not self._is_done("split", account, action):
                self._split(account, instrument, action, before)
        if action.ratio != 1:
            self._desk.exchange.lapse("", instrument.symbol)

    def _is_done(self, kind: str, account: str, action: Action) -> bool:
        """Whether a reloaded ledger had it already: market time may go on before the same open."""
        key, acted = (kind, account, action.con_id, action.date.isoformat()), self._desk.ledger.acted
        if not acted[key]:
            return False
        acted[key] -= 1
        return True

    def _split(self, account: str, instrument: Instrument, action: Action, before: datetime) -> None:
        """The price is the last one before the open, also where the machine is late."""
        desk, ratio = self._desk, Fraction(action.ratio).limit_denominator(FINEST)
        last = desk.market.quote(instrument, before).last or ZERO
        price = round(last * ratio.denominator / ratio.numerator, PRICE_DIGITS)
        text = f"{ratio.numerator}/{ratio.denominator}"
        desk.ledger.split(account, instrument.con_id, instrument.symbol, text, price, desk.now(), action.date)
        self._took_effect(
            Event(kind="split", account=account, symbol=instrument.symbol, ratio=text, price=price), instrument
        )

    def _accrue(self, account: str, instrument: Instrument, shares: Decimal, action: Action) -> None:
        desk, a_share = self._desk, action.dividend
        amount = (shares * a_share).quantize(CENT)
        desk.ledger.accrue(account, instrument.con_id, instrument.symbol, amount, desk.now(), action.date)
        self._took_effect(Event(kind="dividend", account=account, symbol=instrument.symbol, amount=a_share), instrument)
        self._pay_later(account, desk.books(account).dues[-1])

    def _pay_later(self, account: str, due: Due) -> None:
        self._desk.timeline.at(due.since + PAID_AFTER, self._pay, account, due)

    def _pay(self, account: str, due: Due) -> None:
        self._desk.ledger.pay(account, due.con_id, due.symbol, due.amount, self._desk.now())
        self._took_effect(Event(kind="payment", account=account, symbol=due.symbol, amount=due.amount), None)
