"""What an account has in money at the broker, whatever the daemon has heard: cash, what has settled, and bound margin.

Every change bears its time, so that the figures can be told as they were some seconds ago, as a broker does. What the
daemon can't know, because nobody told it, is remembered until a reading of the figures shows it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Money:
    """What may be spent by now, all cash, and what positions bind of margin."""

    settled: Decimal = ZERO
    cash: Decimal = ZERO
    bound: Decimal = ZERO

    def plus(self, other: Money, sign: int = 1) -> Money:
        """Both together; with `sign` -1 this without the other."""
        return Money(
            self.settled + sign * other.settled, self.cash + sign * other.cash, self.bound + sign * other.bound
        )


@dataclass(slots=True)
class Ledger:
    """The money of one account, trade by trade. `fraction`: the part of its price that a share bought or short binds.

    What is sold brings cash that settles only when somebody says so. A position binds what its shares did when they
    were traded, each as much as the others.
    """

    now: Money
    fraction: Decimal
    changes: list[tuple[datetime, Money]] = field(default_factory=list)
    untold: list[tuple[datetime, Money]] = field(default_factory=list)
    shares: dict[int, Decimal] = field(default_factory=dict)
    binds: dict[int, Decimal] = field(default_factory=dict)

    def trade(
        self, at: datetime, con_id: int, signed: Decimal, price: Decimal, charge: Decimal = ZERO, *, told: bool = True
    ) -> None:
        """Signed shares were traded, and a commission charged."""
        value = signed * price
        settled = -value - charge if signed > 0 else -charge
        self.change(at, Money(settled, -value - charge, self._bound_by(con_id, signed, price)), told=told)

    def take_back(self, at: datetime, con_id: int, signed: Decimal, price: Decimal, *, told: bool) -> None:
        """A trade of signed shares was none: its money comes back, or goes; its commission stays."""
        value = signed * price
        settled = value if signed > 0 else ZERO
        self.change(at, Money(settled, value, self._bound_by(con_id, -signed, price)), told=told)

    def settle(self, at: datetime, amount: Decimal) -> None:
        """So much may be spent from now on, where it is less; cash is paid in as far as none is there to settle."""
        more = max(amount - self.now.settled, ZERO)
        self.change(at, Money(more, max(self.now.settled + more - self.now.cash, ZERO)))

    def change(self, at: datetime, by: Money, *, told: bool = True) -> None:
        """Anything else that changes the account."""
        self.now = self.now.plus(by)
        self.changes.append((at, by))
        if not told:
            self.untold.append((at, by))

    def as_of(self, at: datetime) -> Money:
        """The account as it was."""
        found = self.now
        for when, by in reversed(self.changes):
            if when <= at:
                break
            found = found.plus(by, -1)
        return found

    def read(self, as_of: datetime) -> None:
        """The daemon has heard figures as they were then."""
        self.untold = [(when, by) for when, by in self.untold if when > as_of]

    def knowable(self) -> Money:
        """The account but for what nobody has told."""
        found = self.now
        for _, by in self.untold:
            found = found.plus(by, -1)
        return found

    def _bound_by(self, con_id: int, signed: Decimal, price: Decimal) -> Decimal:
        """What a trade binds of margin more than before; less, where it closes."""
        held, former = self.shares.get(con_id, ZERO), self.binds.get(con_id, ZERO)
        closed = min(abs(held), abs(signed)) if held * signed < 0 else ZERO
        kept = former * (abs(held) - closed) / abs(held) if held else ZERO
        bound = kept + self.fraction * (abs(signed) - closed) * price
        self.shares[con_id], self.binds[con_id] = held + signed, bound
        return bound - former
