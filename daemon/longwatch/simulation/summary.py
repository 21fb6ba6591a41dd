"""What a run came to, computed from the daemon's own facts: the object `longwatch demo --json` prints."""

from __future__ import annotations

from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.domain.instruments import Side
from longwatch.domain.risk.exposure import worst_shares, worst_value, worst_values
from longwatch.domain.state import State
from longwatch.journal.reading import read_records
from longwatch.journal.records import digest

ZERO = Decimal(0)


class Tally:
    """Counts what the state does not keep: days, decisions, standing differences, limits passed at worst."""

    def __init__(self) -> None:
        self.days: set[date] = set()
        self.decisions = 0
        self.refused = 0
        self.clamped = 0
        self.differences = 0
        self.breaches = 0
        self.fills = 0
        self.opening_cash: Decimal | None = None
        self.flows = ZERO
        self._commissions: dict[str, Decimal] = {}
        self._state: State | None = None

    def watch(self, state: State) -> None:
        """The state to look at when limits are checked."""
        self._state = state

    def heard(self, event: m.Event, what: Step) -> None:
        """Take in one event and what came of it."""
        if isinstance(event, m.RebalanceDue) and event.session is not None:
            self.days.add(event.session.date)
        for fact in what.facts:
            self._count(fact)

    def _count(self, fact: m.Fact) -> None:
        match fact:
            case m.RebalanceDecided():
                self.decisions += 1
            case m.TradeRefused():
                self.refused += 1
            case m.TradeClamped():
                self.clamped += 1
            case m.QuarantineSet(reason=reason) if reason.startswith("position"):
                self.differences += 1
            case m.AccountValued(cash=cash) if self.opening_cash is None:
                self.opening_cash = cash
            case m.FillBooked(intent=int()):
                self.fills += 1
                self.flows -= fact.quantity * fact.price * fact.side.sign
            case m.CommissionBooked(intent=int()):
                self.flows -= fact.commission - self._commissions.get(fact.exec_id, ZERO)
                self._commissions[fact.exec_id] = fact.commission
            case m.OrderSending(intent=intent):
                self.breaches += self._breaches(intent)
            case _:
                pass

    def _breaches(self, intent: int) -> int:
        """Limits that the order, with everything else, could at worst pass; a fault of ours when not 0."""
        state = self._state
        if state is None or state.equity is None:
            return 0
        order, settings, equity = state.orders[intent], state.settings, state.equity.equity
        prices = dict(state.equity.prices)
        worst = abs(worst_shares(state, order.con_id, order.side))
        value = abs(worst_value(state, order.con_id, order.side, prices.get(order.symbol, ZERO)))
        gross, _ = worst_values(state, prices)
        adds = order.side is Side.BUY
        return sum(
            (
                adds and worst > settings.max_position_size,
                adds and value > settings.max_weight * equity,
                adds and gross > settings.max_gross_exposure * equity,
            )
        )


def summary_of(state: State, tally: Tally, journal: Path) -> dict[str, Any]:
    """The summary: money in the base currency as text, positions in shares by symbol, orders counted by outcome."""
    orders = Counter(order.state.value for order in state.orders.values())
    orders.update(refused=tally.refused, clamped=tally.clamped)
    positions = {holding.symbol: str(holding.quantity) for holding in state.book.values() if holding.quantity}
    cash = (tally.opening_cash or ZERO) + tally.flows
    return {
        "days": len(tally.days),
        "decisions": tally.decisions,
        "orders": dict(sorted(orders.items())),
        "fills": tally.fills,
        "positions": dict(sorted(positions.items())),
        "cash": str(cash.normalize() + 0),
        "equity": str(state.valued.net_liquidation) if state.valued else None,
        "reconciliation_differences": tally.differences,
        "limit_breaches": tally.breaches,
        "journal_sha256": digest(read_records(journal)),
    }


def summary_text(summary: dict[str, Any]) -> str:
    """The same for a person, one line each."""
    return "\n".join(f"{name.replace('_', ' '):<28}{_shown(value)}" for name, value in summary.items())


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {inner}" for key, inner in value.items()) or "none"
    return str(value)
