"""A trade about to become an order, and what a limit or a check says of it; made by rebalance, judged by risk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from longwatch.domain.instruments import Instrument, Side
from longwatch.domain.orders import OrderType, Purpose
from longwatch.domain.quotes import Quote
from longwatch.domain.sessions import Session
from longwatch.quick import quick

ZERO = Decimal(0)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A trade about to become an order, with all it is judged by.

    `quantity` unsigned shares, `filled` those that the order it changes has had already, `price` the sizing price,
    `exposure` gross and net at worst without this trade, `groups` the name of each group it belongs to, the weight that
    is capped at, and the group's value at worst without it.
    """

    run_id: str
    instrument: Instrument
    side: Side
    quantity: Decimal
    purpose: Purpose
    price: Decimal
    equity: Decimal
    order_type: OrderType
    limit_price: Decimal | None
    stop_price: Decimal | None = None
    quote: Quote | None
    session: Session | None
    at: datetime
    tech: datetime
    closes: bool
    exposure: tuple[Decimal, Decimal] | None = None
    groups: tuple[tuple[str, Decimal, Decimal], ...] = ()
    filled: Decimal = ZERO
    commission: Decimal | None = None

    @property
    def worst_price(self) -> Decimal:
        """The most a share may be paid, or be worth when sold: the limit, or else quote and stop; or the close."""
        worst = self.limit_price
        if not worst:
            quoted = self.quote.ask if self.quote else None
            worst = max(quoted or self.price, self.stop_price or ZERO)
        return worst if worst > self.price else self.price

    @property
    def value(self) -> Decimal:
        """What the order is worth at the worst price it may be paid."""
        return self.quantity * self.worst_price


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """The most shares a limit leaves room for; `observed` and `limit` in the limit's unit."""

    allowed: Decimal
    observed: Decimal
    limit: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a trade must not be made: which check, what it saw, what it asks for."""

    check: str
    observed: str
    limit: str
    text: str
