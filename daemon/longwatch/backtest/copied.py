"""What another run's journal says its orders filled at, so that a backtest can fill alike; used by engine.py."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

from longwatch.broker.exchange import FixedCommission, MockExchange
from longwatch.broker.matching import Moment, Resting
from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument
from longwatch.domain.orders import Order
from longwatch.domain.quotes import Quote
from longwatch.domain.sessions import Session
from longwatch.errors import DataError
from longwatch.journal.codec import decode
from longwatch.journal.reading import read_records
from longwatch.journal.records import Record

ZERO = Decimal(0)
_KINDS = frozenset({"RebalanceDue", "FillBooked", "CommissionBooked", "InstrumentKnown", "SessionsKnown"})


@dataclass(slots=True, kw_only=True)
class Filled:
    """All of one symbol's fills in one session: shares traded, money they came to, and commission."""

    quantity: Decimal = ZERO
    value: Decimal = ZERO
    commission: Decimal = ZERO

    @property
    def price(self) -> Decimal:
        """The average price."""
        return self.value / self.quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedCommission(FixedCommission):
    """A commission that is known already."""

    amount: Decimal

    def of(self, quantity: Decimal, price: Decimal) -> Decimal:
        return self.amount


@dataclass(slots=True, kw_only=True)
class Copied:
    """The fills and quotes of another run, by session."""

    instruments: dict[str, Instrument] = field(default_factory=dict)
    rebalances: dict[date, list[m.RebalanceDue]] = field(default_factory=dict)
    fills: dict[tuple[date, str], Filled] = field(default_factory=dict)

    def rebalance(self, session: date, number: int) -> m.RebalanceDue | None:
        """The `number`th decision of a session (from 0), or its last when there were fewer."""
        taken = self.rebalances.get(session, [])
        return taken[min(number, len(taken) - 1)] if taken else None


class CopyingExchange(MockExchange):
    """Fills as another run did: so many shares of a symbol in a session, at its price and commission.

    An order for more fills in part and rests to the session's end; one in a symbol not traded then fills at the quote.
    """

    def __init__(self, copied: Copied, *, cash: Decimal, account: str, client_id: int) -> None:
        super().__init__(
            cash=cash,
            account=account,
            client_id=client_id,
            replayed={key: filled.price for key, filled in copied.fills.items()},
        )
        self._left = {key: filled.quantity for key, filled in copied.fills.items()}
        self._commissions = {key: filled.commission for key, filled in copied.fills.items()}

    def fill(
        self, order: Order, quote: Quote | None, now: Moment, instrument: Instrument | None = None
    ) -> list[m.Event]:
        """As in MockExchange, but never more than the other run still has."""
        key = (now.session, order.symbol)
        left = self._left.get(key)
        if left is None:
            self.commission = FixedCommission()
            return super().fill(order, quote, now, instrument)
        part = min(left, order.quantity)
        self._left[key] = left - part
        self.commission = CopiedCommission(amount=self._commissions.pop(key, ZERO))
        if part == order.quantity:
            return super().fill(order, quote, now, instrument)
        said = super().fill(replace(order, quantity=part), quote, now, instrument) if part else []
        known = instrument or Instrument(con_id=order.con_id, symbol=order.symbol)
        self.resting[order.order_id or 0] = Resting(order=order, instrument=known)
        told = [event for event in said if getattr(event, "status", "") != "Filled"]
        shown = [replace(one, quantity=order.quantity) if isinstance(one, m.OpenOrderSeen) else one for one in told]
        return shown or self._only_shown(order, now)

    def _only_shown(self, order: Order, now: Moment) -> list[m.Event]:
        return [*self._shown(self.resting[order.order_id or 0], "Submitted", now)]


def copy_from(path: Path) -> Copied:
    """What the journal at `path` holds. Raises JournalError when it can't be read, DataError when nothing filled."""
    copied = _copied(read_records(path))
    if not copied.fills:
        raise DataError(f"{path}: no order was filled in this journal; name another with --fills-from")
    return copied


def _copied(records: Iterable[Record]) -> Copied:
    copied = Copied()
    sessions: list[Session] = []
    fills: dict[str, m.FillBooked] = {}
    charged: dict[str, Decimal] = {}
    for record in records:
        if record.kind not in _KINDS:
            continue
        message = decode(record)
        match message:
            case m.SessionsKnown():
                sessions = _joined(sessions, message.sessions)
            case m.InstrumentKnown():
                copied.instruments[message.instrument.symbol] = message.instrument
            case m.RebalanceDue(session=Session() as session):
                copied.rebalances.setdefault(session.date, []).append(message)
            case m.FillBooked(intent=int()):
                former = fills.pop(message.replaces or "", None)
                if former is not None and message.quantity and message.exec_id not in charged:
                    charged[message.exec_id] = charged.get(former.exec_id, ZERO)
                fills[message.exec_id] = message
            case m.CommissionBooked():
                charged[message.exec_id] = message.commission
            case _:
                continue
    for fill in fills.values():
        if fill.quantity:
            key = (_session_of(sessions, fill.executed_at), fill.symbol)
            filled = copied.fills.setdefault(key, Filled())
            filled.quantity += fill.quantity
            filled.value += fill.quantity * fill.price
            filled.commission += charged.get(fill.exec_id, ZERO)
    return copied


def _joined(known: Sequence[Session], more: Sequence[Session]) -> list[Session]:
    every = {session.date: session for session in (*known, *more)}
    return [every[day] for day in sorted(every)]


def _session_of(sessions: Sequence[Session], at: datetime) -> date:
    place = bisect_right(sessions, at, key=lambda session: session.open_at) - 1
    return sessions[place].date if place >= 0 else at.date()
