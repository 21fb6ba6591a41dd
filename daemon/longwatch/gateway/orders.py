"""Orders as the simulated exchange keeps them, what refuses one, and what a fill costs; used by the exchange."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from longwatch.gateway.ledger import ZERO
from longwatch.gateway.market import Instrument


class Status(StrEnum):
    """The order states that travel on the wire."""

    PRE_SUBMITTED = "PreSubmitted"
    SUBMITTED = "Submitted"
    PENDING_CANCEL = "PendingCancel"
    FILLED = "Filled"
    CANCELLED = "Cancelled"
    INACTIVE = "Inactive"


ENDED = frozenset({Status.FILLED, Status.CANCELLED, Status.INACTIVE})
ORDER_TYPES = frozenset({"MKT", "LMT", "STP", "STP LMT", "MOC", "LOC"})
WITH_LIMIT = frozenset({"LMT", "STP LMT", "LOC"})
WITH_STOP = frozenset({"STP", "STP LMT"})
AT_THE_CLOSE = frozenset({"MOC", "LOC"})
AT_ONCE = frozenset({"IOC", "FOK"})
TIMES_IN_FORCE = frozenset({"DAY", "GTC"}) | AT_ONCE
HIGHEST_PRICE = Decimal(10) ** 12
"""Beyond it a price is no price, and its ticks are more than can be counted."""

PER_SHARE = Decimal("0.005")
LEAST_PER_ORDER = Decimal("1.00")
MOST_OF_VALUE = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """An order as a client asked for it; prices are None when not given."""

    order_id: int
    client_id: int
    account: str
    instrument: Instrument
    action: str
    quantity: Decimal
    order_type: str
    limit: Decimal | None = None
    stop: Decimal | None = None
    tif: str = "DAY"
    outside_rth: bool = False
    order_ref: str = ""
    transmit: bool = True
    what_if: bool = False
    parent_id: int = 0
    oca_group: str = ""
    exchange: str = "SMART"
    is_bound: bool = False

    @property
    def is_unbound(self) -> bool:
        """Whether it was typed by hand, and no client calls it by an id."""
        return self.order_id <= 0 and not self.is_bound

    @property
    def is_by_hand(self) -> bool:
        """Whether it was typed into the gateway's own window."""
        return self.order_id <= 0 or self.is_bound

    @property
    def shown_id(self) -> int:
        """The order id that clients see."""
        return 0 if self.is_unbound else self.order_id

    @property
    def is_buy(self) -> bool:
        return self.action == "BUY"


@dataclass(slots=True, kw_only=True)
class Order:
    """One order's life at the exchange; `spent` is the sum of quantity times price over its fills."""

    perm_id: int
    ticket: Ticket
    placed_at: datetime
    status: Status = Status.PRE_SUBMITTED
    filled: Decimal = ZERO
    spent: Decimal = ZERO
    last_price: Decimal = ZERO
    commission: Decimal = ZERO
    revision: int = 0
    busy_until: datetime | None = None
    expires_at: datetime | None = None
    ended_at: datetime | None = None
    is_accepted: bool = False
    is_acknowledged: bool = False
    is_cancelling: bool = False
    is_triggered: bool = False
    is_resting: bool = False
    is_settled: bool = False
    is_noticed: bool = False
    ack_lost: bool | None = None
    ending: str = ""

    @property
    def remaining(self) -> Decimal:
        return self.ticket.quantity - self.filled

    @property
    def average(self) -> Decimal:
        """Average price of the fills so far, 0 before the first."""
        return self.spent / self.filled if self.filled else ZERO

    @property
    def is_live(self) -> bool:
        return self.status not in ENDED

    @property
    def awaits_trigger(self) -> bool:
        return self.ticket.order_type in WITH_STOP and not self.is_triggered

    @property
    def why_held(self) -> str:
        return "trigger" if self.awaits_trigger and self.is_live else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why an order is not accepted: the error's code and text."""

    code: int
    text: str


def refusal_of(ticket: Ticket) -> Refusal | None:
    """The first rule a ticket breaks, or None."""
    for rule in RULES:
        refusal = rule(ticket)
        if refusal is not None:
            return refusal
    return None


def commission_so_far(quantity: Decimal, value: Decimal) -> Decimal:
    """What an order has cost after `quantity` shares worth `value`, in US dollars.

    Interactive Brokers' published fixed schedule for US stocks: 0.005 a share, at least 1.00 an order, at most one per
    cent of the trade's value, which wins over the least.
    """
    return min(max(PER_SHARE * quantity, LEAST_PER_ORDER), MOST_OF_VALUE * value)


def cause(text: str) -> str:
    """A validation error's words around its cause; the letters are a class of the gateway's build and mean nothing."""
    return f"Error validating request.-'bF' : cause - {text}"


def _action(ticket: Ticket) -> Refusal | None:
    if ticket.action in {"BUY", "SELL"}:
        return None
    return Refusal(code=321, text=cause(f"Invalid action: {ticket.action}"))


def _size(ticket: Ticket) -> Refusal | None:
    if ticket.quantity == 0:
        return Refusal(code=434, text="The order size cannot be zero.")
    if ticket.quantity < 0:
        return Refusal(code=321, text=cause("The order size cannot be negative."))
    if ticket.quantity != ticket.quantity.to_integral_value():
        text = "Fractional-sized order cannot be placed via API. Please use desktop version to place this order."
        return Refusal(code=10243, text=text)
    return None


def _order_type(ticket: Ticket) -> Refusal | None:
    if ticket.order_type in ORDER_TYPES:
        return None
    return Refusal(code=387, text="Unsupported order type for this exchange and security type.")


def _time_in_force(ticket: Ticket) -> Refusal | None:
    if ticket.tif not in TIMES_IN_FORCE:
        return Refusal(code=10052, text="Invalid time in force")
    if ticket.order_type in AT_THE_CLOSE and ticket.tif != "DAY":
        return Refusal(code=113, text="MOC and LOC orders must have a time-in-force of DAY.")
    return None


def _prices(ticket: Ticket) -> Refusal | None:
    needed = [("limit", ticket.limit, WITH_LIMIT), ("stop", ticket.stop, WITH_STOP)]
    for name, price, types in needed:
        if ticket.order_type not in types:
            continue
        if price is None or price <= 0:
            return Refusal(code=321, text=cause(f"A {name} price is needed for a {ticket.order_type} order."))
        if price > HIGHEST_PRICE or price % ticket.instrument.min_tick:
            text = "The price does not conform to the minimum price variation for this contract."
            return Refusal(code=110, text=text)
    return None


def _links(ticket: Ticket) -> Refusal | None:
    if ticket.parent_id or ticket.oca_group:
        return Refusal(code=321, text=cause("Linked orders (parent, OCA) are not available at this gateway."))
    if ticket.what_if and not ticket.transmit:
        return Refusal(code=413, text="A what-if order must be sent with the transmit flag set.")
    return None


def _tradable(ticket: Ticket) -> Refusal | None:
    if ticket.instrument.is_tradable:
        return None
    return Refusal(code=201, text="Order rejected - reason:No Trading Permission")


RULES: tuple[Callable[[Ticket], Refusal | None], ...] = (
    _tradable,
    _action,
    _size,
    _order_type,
    _time_in_force,
    _prices,
    _links,
)
"""Asked in this order for a new order and for a modification."""
