"""Orders as the simulated exchange keeps them, and what a fill costs; used by all of the exchange."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from random import Random
from string import ascii_uppercase

from longwatch.gateway.exchange.ledger import ZERO
from longwatch.gateway.market.market import Instrument
from longwatch.quick import quick


class Status(StrEnum):
    """The order states that travel on the wire."""

    PRE_SUBMITTED = "PreSubmitted"
    SUBMITTED = "Submitted"
    PENDING_CANCEL = "PendingCancel"
    FILLED = "Filled"
    CANCELLED = "Cancelled"
    INACTIVE = "Inactive"


ENDED = frozenset({Status.FILLED, Status.CANCELLED, Status.INACTIVE})
WITH_LIMIT = frozenset({"LMT", "STP LMT", "LOC"})
TRAILING = frozenset({"TRAIL"})
WITH_STOP = frozenset({"STP", "STP LMT"}) | TRAILING
AT_THE_CLOSE = frozenset({"MOC", "LOC"})
AT_THE_OPEN = "OPG"
"""The time in force that makes a market or limit order one for the opening auction."""

AT_ONCE = frozenset({"IOC", "FOK"})
HIGHEST_PRICE = Decimal(10) ** 12
"""Beyond it a price is no price, and its ticks are more than can be counted."""

ONE_FILL_CANCELS, REDUCES_WITH_BLOCK, REDUCES = 1, 2, 3
"""OCA types: any fill cancels the others; a fill makes the others smaller; the same, and they may trade beside it."""

PER_SHARE = Decimal("0.005")
LEAST_PER_ORDER = Decimal("1.00")
MOST_OF_VALUE = Decimal("0.01")


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """An order as a client asked for it; prices are None when not given.

    `stop` of a trailing order is the amount it trails by; `trail_percent` says the same in hundredths of the price.
    """

    order_id: int
    client_id: int
    account: str
    instrument: Instrument
    action: str
    quantity: Decimal
    order_type: str
    limit: Decimal | None = None
    stop: Decimal | None = None
    trail_stop: Decimal | None = None
    trail_percent: Decimal | None = None
    tif: str = "DAY"
    outside_rth: bool = False
    order_ref: str = ""
    transmit: bool = True
    what_if: bool = False
    parent_id: int = 0
    oca_group: str = ""
    oca_type: int = 0
    exchange: str = "SMART"
    is_bound: bool = False
    is_liquidation: bool = False

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

    @property
    def oca_rule(self) -> int:
        """The OCA type that holds for it: real gateways take 3 when none is named."""
        return self.oca_type or REDUCES

    @property
    def is_for_auction(self) -> bool:
        return self.order_type in AT_THE_CLOSE or self.tif == AT_THE_OPEN


@dataclass(slots=True, kw_only=True)
class Order:
    """One order's life at the exchange; `spent` is the sum of quantity times price over its fills.

    `trailed` is where the stop of a trailing order stands. `is_child_held`: it waits for its parent to fill.
    `is_unlocated`: it waits for shares to be found that can be sold short. `cancelled_by` is the client that asked
    for this one by its id. `is_told`: openOrder and orderStatus have gone out.
    `shrunk` is what its group or its parent took from its size. `asked_at`: when it was last placed or modified.
    """

    perm_id: int
    ticket: Ticket
    placed_at: datetime
    asked_at: datetime | None = None
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
    is_told: bool = False
    is_child_held: bool = False
    is_unlocated: bool = False
    has_children: bool = False
    parent_perm_id: int = 0
    trailed: Decimal | None = None
    cancelled_by: int | None = None
    shrunk: Decimal = ZERO
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
    def stop(self) -> Decimal | None:
        """The price that triggers it now; None without one."""
        return self.trailed if self.ticket.order_type in TRAILING else self.ticket.stop

    @property
    def is_waiting(self) -> bool:
        """Whether it is kept from the market, whatever the price."""
        return self.is_child_held or self.is_unlocated

    @property
    def why_held(self) -> str:
        reasons = {"child": self.is_child_held, "trigger": self.awaits_trigger, "locate": self.is_unlocated}
        return ",".join(reason for reason, holds in reasons.items() if holds) if self.is_live else ""


def commission_so_far(quantity: Decimal, value: Decimal) -> Decimal:
    """What an order has cost after `quantity` shares worth `value`, in US dollars.

    Interactive Brokers' published fixed schedule for US stocks: 0.005 a share, at least 1.00 an order, at most one per
    cent of the trade's value, which wins over the least.
    """
    return min(max(PER_SHARE * quantity, LEAST_PER_ORDER), MOST_OF_VALUE * value)


LETTERS = "'XX'"
"""Stands for a class of the gateway's build, whose name means nothing and is another one in each."""


def letters_of(seed: int) -> str:
    """A name for LETTERS, one to a gateway."""
    random = Random(f"{seed}|letters")
    return f"'b{random.choice(ascii_uppercase)}'"


def cause(text: str) -> str:
    """A validation error's words around its cause; a session puts its gateway's letters for LETTERS."""
    return f"Error validating request.-{LETTERS} : cause - {text}"


def processing(text: str) -> str:
    """The same of an error in processing."""
    return f"Error processing request.-{LETTERS} : cause - {text}"
