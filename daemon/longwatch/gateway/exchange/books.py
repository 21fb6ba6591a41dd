"""One account's books: cash, holdings, what a fill or an event does to them, how the day began; kept by the ledger.

Everything is entered twice: in cash and holdings, which are shown, and in sums of what was entered, to check these by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import ROUND_DOWN, Decimal

ZERO = Decimal(0)
CENT = Decimal("0.01")
KEPT_DAYS = timedelta(days=10)
SATURDAY = 5

Ratio = tuple[int, int]
"""New shares for so many old ones."""

SETTLEMENT = ((date(2024, 5, 28), 1), (date(2017, 9, 5), 2), (date.min, 3))
"""Since when a US stock trade settles so many business days later (SEC rule 15c6-1)."""


@dataclass(slots=True, kw_only=True)
class Holding:
    """A position: shares (negative when short) and what they cost in all, with commissions, signed like the shares."""

    con_id: int
    symbol: str
    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    realised: Decimal = ZERO

    @property
    def average(self) -> Decimal:
        """Average cost of one share, 0 for a closed position."""
        return self.cost / self.quantity if self.quantity else ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change of a holding.

    A trade: `quantity` signed shares at `price` and its `fee`. A transfer `is_free`: no cash moves, `price` is the cost
    of a share. A split multiplies by `ratio`, and `quantity` shares (a fraction) were sold at `price`.
    """

    quantity: Decimal = ZERO
    price: Decimal = ZERO
    fee: Decimal = ZERO
    is_free: bool = False
    ratio: Ratio | None = None
    exec_id: str = ""

    @property
    def cash(self) -> Decimal:
        """Cash gained."""
        return ZERO if self.is_free else -self.quantity * self.price - self.fee


@dataclass(slots=True, kw_only=True)
class Tally:
    """Shares, and cash spent with fees, that all entries of one instrument come to, and the last price paid."""

    shares: Decimal = ZERO
    spent: Decimal = ZERO
    mark: Decimal = ZERO

    def count(self, step: Step) -> None:
        """Enter a step."""
        if step.ratio is not None:
            self.shares = times(self.shares, step.ratio)
            self.mark = self.mark * step.ratio[1] / step.ratio[0]
        self.shares += step.quantity
        self.spent -= step.cash
        self.mark = step.price or self.mark


@dataclass(slots=True, kw_only=True)
class Day:
    """How a day began: cash, shares and gains by contract number; `spent` is what trades have cost since."""

    date: date
    cash: Decimal
    shares: dict[int, Decimal]
    realised: dict[int, Decimal]
    spent: dict[int, Decimal] = field(default_factory=dict)

    def realised_since(self, holding: Holding) -> Decimal:
        """A holding's gains of this day."""
        return holding.realised - self.realised.get(holding.con_id, ZERO)


@dataclass(frozen=True, slots=True)
class Due:
    """A dividend for an account's shares since the instant from which they trade without it; negative of a short."""

    con_id: int
    symbol: str
    amount: Decimal
    since: datetime


@dataclass(slots=True, kw_only=True)
class Account:
    """One account. `moved` is cash that came by transfers and dividends, `brought` the cost of shares that came so.

    `dues` are dividends not paid yet, no part of cash. In a cash account (`is_cash`) nothing is lent.
    """

    opening: Decimal
    cash: Decimal
    is_cash: bool = False
    moved: Decimal = ZERO
    realised: Decimal = ZERO
    brought: dict[int, Decimal] = field(default_factory=dict)
    holdings: dict[int, Holding] = field(default_factory=dict)
    steps: dict[int, list[Step]] = field(default_factory=dict)
    tallies: dict[int, Tally] = field(default_factory=dict)
    day: Day | None = None
    dues: list[Due] = field(default_factory=list)
    _unsettled: list[tuple[date, Decimal]] = field(default_factory=list)

    def enter(self, con_id: int, symbol: str, step: Step, day: date) -> Decimal | None:
        """Let a step happen to a holding; returns the gain when it closed something by trade, else None."""
        self.day = began = self.since(day)
        holding = self.holdings.setdefault(con_id, Holding(con_id=con_id, symbol=symbol))
        self.steps.setdefault(con_id, []).append(step)
        self._count(con_id, step, began)
        self.cash += step.cash
        kept_since = day - KEPT_DAYS
        if self._unsettled and self._unsettled[0][0] <= kept_since:
            self._unsettled = [one for one in self._unsettled if one[0] > kept_since]
        self._unsettled.append((settles(day), step.cash))
        cost, before = holding.cost, holding.realised
        gain = moved_by(holding, step)
        self.realised += holding.realised - before
        if step.is_free:
            self.brought[con_id] = self.brought.get(con_id, ZERO) + holding.cost - cost
        return gain

    def retract(self, con_id: int, former: Step, latter: Step | None, day: date) -> None:
        """Put another step in the place of a former one, or nothing, as if it had always been so.

        A later split then leaves other shares, and another fraction of one is paid.
        """
        self.day = began = self.since(day)
        steps, old = self.steps[con_id], self.holdings[con_id]
        place = steps.index(former)
        steps[place : place + 1] = [latter] if latter else []
        change = (latter.cash if latter else ZERO) - former.cash
        holding, tally = Holding(con_id=con_id, symbol=old.symbol), Tally()
        brought = ZERO
        for number, entered in enumerate(steps):
            step = entered
            if step.ratio is not None:
                steps[number] = step = split_of(holding.quantity, step.ratio, step.price)
                change += step.cash - entered.cash
            cost = holding.cost
            moved_by(holding, step)
            tally.count(step)
            brought += holding.cost - cost if step.is_free else ZERO
        self.cash += change
        began.spent[con_id] = began.spent.get(con_id, ZERO) - change
        self.realised += holding.realised - old.realised
        self.brought[con_id] = brought
        self.holdings[con_id], self.tallies[con_id] = holding, tally

    def move_cash(self, amount: Decimal, day: date) -> None:
        """Cash comes or goes without a trade."""
        self.day = self.since(day)
        self.cash += amount
        self.moved += amount

    def since(self, day: date) -> Day:
        """How a day began, which is how things stand if nothing has been entered on it yet."""
        if self.day is not None and self.day.date >= day:
            return self.day
        return Day(
            date=day,
            cash=self.cash,
            shares={number: holding.quantity for number, holding in self.holdings.items()},
            realised={number: holding.realised for number, holding in self.holdings.items()},
        )

    @property
    def accrued(self) -> Decimal:
        """What dividends have still to bring."""
        return sum((due.amount for due in self.dues), ZERO)

    def settled(self, day: date) -> Decimal:
        """Cash without what sales of the last days have still to bring; purchases count at the time of trade."""
        return self.cash - sum((amount for due, amount in self._unsettled if due > day and amount > 0), ZERO)

    def worth(self, prices: Mapping[int, Decimal]) -> Decimal:
        """Cash and positions at these prices, as they are shown."""
        return self.cash + sum((one.quantity * prices[one.con_id] for one in self.holdings.values()), ZERO)

    def entered(self, prices: Mapping[int, Decimal]) -> Decimal:
        """The same, from the sums of all entries."""
        shares = sum((one.shares * prices[number] for number, one in self.tallies.items()), ZERO)
        return self.opening + self.moved - sum((one.spent for one in self.tallies.values()), ZERO) + shares

    def imbalance(self) -> str:
        """What in the books is wrong, with both figures, or an empty text; to the cent, at the last prices paid."""
        marks = {number: one.mark for number, one in self.tallies.items()}
        shown, entered = self.worth(marks), self.entered(marks)
        if abs(shown - entered) >= CENT:
            return f"cash and positions are worth {shown:.2f}, its entries come to {entered:.2f}"
        cost = self.cash + sum((holding.cost for holding in self.holdings.values()), ZERO)
        source = self.opening + self.moved + sum(self.brought.values(), ZERO) + self.realised
        if abs(cost - source) >= CENT:
            return f"cash and cost are {cost:.2f}, what came in and was gained is {source:.2f}"
        return ""

    def _count(self, con_id: int, step: Step, day: Day) -> None:
        """Enter a step into the sums, and into the day's."""
        self.tallies.setdefault(con_id, Tally()).count(step)
        if step.ratio is not None:
            day.shares[con_id] = times(day.shares.get(con_id, ZERO), step.ratio)
        value = step.quantity * step.price if step.is_free else -step.cash
        day.spent[con_id] = day.spent.get(con_id, ZERO) + value


def moved_by(holding: Holding, step: Step) -> Decimal | None:
    """Change a holding by a step; returns the gain when a trade closed something, else None.

    The cost of what is closed leaves in proportion; a trade through zero closes all and opens the rest at its own
    price, the fee shared by quantity. Shares that leave without cash take their cost along.
    """
    if step.ratio is not None:
        holding.quantity = times(holding.quantity, step.ratio)
    quantity, before = step.quantity, holding.quantity
    if not quantity:
        return None
    if before == 0 or (before > 0) == (quantity > 0):
        holding.quantity += quantity
        holding.cost += quantity * step.price + step.fee
        return None
    closed = -before if abs(quantity) > abs(before) else quantity
    released = -holding.cost if closed == -before else holding.cost * closed / before
    closing_fee = step.fee * abs(closed) / abs(quantity)
    gain = ZERO if step.is_free else -closed * step.price + released - closing_fee
    opened = quantity - closed
    holding.quantity += quantity
    holding.cost += released + opened * step.price + (step.fee - closing_fee if opened else ZERO)
    holding.realised += gain
    return None if step.is_free else gain


def split_of(quantity: Decimal, ratio: Ratio, price: Decimal) -> Step:
    """The step of a split: shares become whole, and a fraction of one is sold at `price`, the new one."""
    split = times(quantity, ratio)
    return Step(quantity=split.to_integral_value(ROUND_DOWN) - split, price=price, ratio=ratio)


def times(quantity: Decimal, ratio: Ratio) -> Decimal:
    """Shares after a split."""
    return quantity * ratio[0] / ratio[1]


def settles(day: date) -> date:
    """When a trade of this day is settled: business days, holidays not looked at."""
    left = next(days for since, days in SETTLEMENT if day >= since)
    while left:
        day += timedelta(days=1)
        left -= day.weekday() < SATURDAY
    return day
