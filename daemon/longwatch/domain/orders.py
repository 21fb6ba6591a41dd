"""An order, the states of its life, and the kinds of evidence that move it; the table of both is transitions.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from longwatch.domain.instruments import Side

ZERO = Decimal(0)


class OrderState(StrEnum):
    """Where an order's life stands (the drawing is in docs/design.md)."""

    INTENDED = "intended"
    REFUSED = "refused"
    SENDING = "sending"
    UNSENT = "unsent"
    WORKING = "working"
    UNKNOWN = "unknown"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    ABSENT = "absent"
    INFERRED = "inferred"


TERMINAL = frozenset(
    {
        OrderState.REFUSED,
        OrderState.UNSENT,
        OrderState.FILLED,
        OrderState.CANCELLED,
        OrderState.REJECTED,
        OrderState.EXPIRED,
        OrderState.ABSENT,
        OrderState.INFERRED,
    }
)


class OrderType(StrEnum):
    """The order types the daemon sends, by IB's names."""

    MARKET = "MKT"
    LIMIT = "LMT"
    STOP = "STP"
    AT_CLOSE = "MOC"
    LIMIT_AT_CLOSE = "LOC"


class Purpose(StrEnum):
    """What an order does to the position; the verb matrix is read by it."""

    ENTRY = "entry"
    REDUCE = "reduce"
    STOP = "stop"


class Evidence(StrEnum):
    """What the broker, or our own transport, has shown about an order."""

    HANDED = "handed to the transport"
    WITHHELD = "never handed to the transport"
    ACKNOWLEDGED = "acknowledged by the broker"
    LISTED = "listed as open by a whole download"
    PART_FILLED = "partly filled"
    ALL_FILLED = "filled in full"
    CANCELLED = "cancelled by the broker"
    REJECTED = "rejected by the broker"
    EXPIRED = "expired at the session's end"
    SILENCE = "no acknowledgement by the deadline"
    LINK_LOST = "the link was lost before an acknowledgement"
    PROVEN_ABSENT = "proven absent"
    INFERRED = "inferred from the position"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """The part of an order that belongs to one strategy, in signed shares."""

    strategy: str
    quantity: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """What has been gathered towards proving that an unknown order never reached the broker (technical times)."""

    since: datetime
    rounds: int = 0
    first_round_at: datetime | None = None
    last_round_at: datetime | None = None
    cancel_not_found: bool = False
    broken: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One intent and all that is known of it.

    `intent` counts within the journal and `ref` is `lw:<journal id>:<intent>`; quantities are shares, prices in the
    instrument's currency; `evidence` moved it to its state and `proof` is the kind of event that
    showed it; `deadline` is the technical time by which something must have been heard, `moved_at` that of
    the last evidence. `filled` are shares booked from executions, `reported` what the broker's status says is filled;
    an order that the broker says has ended is `ending` until the executions have caught up. A child is the rest of the
    intent that it `replaces`, the `replacement`th of its family. A twin is a second order that the broker holds for
    the intent `twin_of`, under the same `ref`; it was never sent.
    """

    intent: int
    ref: str
    run_id: str
    con_id: int
    symbol: str
    side: Side
    quantity: Decimal
    order_type: OrderType
    limit_price: Decimal | None
    stop_price: Decimal | None
    tif: str
    account: str
    mode: str
    purpose: Purpose
    outside_rth: bool = False
    decision_price: Decimal
    allocations: tuple[Allocation, ...] = ()
    created_at: datetime
    state: OrderState = OrderState.INTENDED
    evidence: str = ""
    proof: str = ""
    text: str = ""
    order_id: int | None = None
    client_id: int | None = None
    epoch: int | None = None
    perm_ids: tuple[int, ...] = ()
    handed: bool = False
    sent_at: datetime | None = None
    deadline: datetime | None = None
    moved_at: datetime | None = None
    cancel_asked: bool = False
    cancel_reason: str = ""
    replaces: int | None = None
    replacement: int = 0
    twin_of: int | None = None
    filled: Decimal = ZERO
    reported: Decimal = ZERO
    ending: OrderState | None = None
    average_price: Decimal = ZERO
    commission: Decimal = ZERO
    absence: Absence | None = field(default=None)

    @property
    def is_live(self) -> bool:
        """Whether the order may still fill: it counts as exposure."""
        return self.state not in TERMINAL

    @property
    def remaining(self) -> Decimal:
        """Shares that may still fill."""
        if self.state in TERMINAL or self.filled >= self.quantity:
            return ZERO
        return self.quantity - self.filled
