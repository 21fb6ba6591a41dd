"""An order, the states of its life, and the kinds of evidence that move it; the table of both is transitions.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from longwatch.domain.instruments import Side
from longwatch.quick import quick

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
    STOP_LIMIT = "STP LMT"
    AT_CLOSE = "MOC"
    LIMIT_AT_CLOSE = "LOC"


LIMITED = frozenset({OrderType.LIMIT, OrderType.LIMIT_AT_CLOSE, OrderType.STOP_LIMIT})
"""These have a limit price."""
STOPPED = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})
"""These wait until the market has come to their stop price."""
AUCTIONS = frozenset({OrderType.AT_CLOSE, OrderType.LIMIT_AT_CLOSE})
"""These wait for the close by themselves."""


class Purpose(StrEnum):
    """What an order does to the position; the verb matrix is read by it."""

    ENTRY = "entry"
    REDUCE = "reduce"
    STOP = "stop"
    PROFIT = "profit"


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
    QUESTION_REJECTED = "rejected by the broker as a question, and never sent"
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
    """What has been gathered towards proving that an unknown order never reached the broker (technical times).

    `rounds` are all there have been and set the pace of the next; those from `first_round_at` on are proof. Once the
    gateway has `spoken_of` the order, if only to say that its cancel comes too late, it is not silent about it.
    `cancel_sent`: a cancel went out, to hear whether the gateway knows the order. Where its own number names nothing,
    the gateway was `asked_as` another number, that of no order, and has `answered`: nothing waits behind a window.
    """

    since: datetime
    rounds: int = 0
    first_round_at: datetime | None = None
    last_round_at: datetime | None = None
    cancel_not_found: bool = False
    spoken_of: bool = False
    broken: str = ""
    cancel_sent: bool = False
    asked_as: int | None = None
    answered: bool = False

    @property
    def is_answered(self) -> bool:
        """Whether the gateway, asked what became of the order, has said anything: it waits behind no window there."""
        return self.cancel_not_found or self.spoken_of or self.answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """New terms asked of the broker for a working order, the `number`th time; unanswered by `deadline` (technical).

    Where they were passed over in silence the gateway was `asked_as` a number that no order has (0: another is needed)
    whether it listens. It did `answered_at` (technical): nothing that was sent before waits behind a window.
    """

    number: int
    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    asked_at: datetime
    reason: str = ""
    handed: bool = False
    deadline: datetime | None = None
    asked_as: int | None = None
    answered_at: datetime | None = None

    @property
    def terms(self) -> tuple[Decimal, Decimal | None, Decimal | None]:
        """Quantity, limit and stop price."""
        return self.quantity, self.limit_price, self.stop_price

    @property
    def is_silent(self) -> bool:
        """Whether neither it nor the question put behind it has been answered: it may wait behind a window."""
        return self.asked_as is not None and self.answered_at is None


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One intent and all that is known of it.

    `intent` counts within the journal and `ref` is `lw:<journal id>:<intent>`; quantities are shares, prices in the
    instrument's currency; `evidence` moved it to its state and `proof` is the kind of event that
    showed it; `deadline` is the technical time by which something must have been heard, `moved_at` that of
    the last evidence. `filled` are shares booked from executions, `reported` what the broker's status says is filled,
    `taken_back` shares whose execution was heard and undone, which a status goes on counting;
    an order that the broker says has ended is `ending` until the executions have caught up. A child is the rest of the
    intent that it `replaces`, the `replacement`th of its family. A twin is a second order that the broker holds for
    the intent `twin_of`, under the same `ref`; it was never sent. One that was `probed` got a cancel from us that only
    asked whether the broker knows it. What one order of an `oca_group` fills, the broker takes from the others; a twin
    is counted as if it were in none. A stop that left with its entry is `attached_to` that intent, and the broker knows
    the entry by `parent_id`, its order id: until the entry has ended it waits there. While a `change` is under way
    either terms may be in force, and both count; `changed` is how often a modification was asked for,
    and `vain` the last one that came to nothing. `commission_told` is what its what-if said of it.
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
    probed: bool = False
    replaces: int | None = None
    replacement: int = 0
    oca_group: str = ""
    attached_to: int | None = None
    parent_id: int = 0
    twin_of: int | None = None
    filled: Decimal = ZERO
    reported: Decimal = ZERO
    taken_back: Decimal = ZERO
    ending: OrderState | None = None
    average_price: Decimal = ZERO
    commission: Decimal = ZERO
    absence: Absence | None = field(default=None)
    change: Change | None = None
    changed: int = 0
    changed_at: datetime | None = None
    vain: Change | None = None
    commission_told: Decimal | None = None

    @property
    def is_live(self) -> bool:
        """Whether the order may still fill: it counts as exposure."""
        return self.state not in TERMINAL

    @property
    def rests(self) -> bool:
        """Whether it stands by a holding and is not meant to trade now: a protective stop, or its take-profit."""
        return self.purpose is Purpose.STOP or self.purpose is Purpose.PROFIT

    @property
    def told(self) -> Decimal:
        """Shares that executions have told of, whatever became of them: to be held against the broker's status."""
        return self.filled + self.taken_back

    @property
    def remaining(self) -> Decimal:
        """Shares that may still fill, at most."""
        most = self.quantity if self.change is None else self.at_most
        return most - self.filled if most > self.filled and self.state not in TERMINAL else ZERO

    @property
    def surely_left(self) -> Decimal:
        """Shares that it may fill by either terms; what was filled and taken back is not open again at the broker.

        Nor is what its status says is filled, though no execution ever tells of it.
        """
        return max(self.at_least - max(self.told, self.reported), ZERO) if self.is_live else ZERO

    @property
    def at_most(self) -> Decimal:
        """The largest quantity that may be in force."""
        return self.quantity if self.change is None else max(self.quantity, self.change.quantity)

    @property
    def at_least(self) -> Decimal:
        """The smallest quantity that may be in force."""
        return self.quantity if self.change is None else min(self.quantity, self.change.quantity)

    @property
    def terms(self) -> tuple[Decimal, Decimal | None, Decimal | None]:
        """Quantity, limit and stop price."""
        return self.quantity, self.limit_price, self.stop_price

    @property
    def was_rejected(self) -> bool:
        """Whether the broker has refused it: the order itself, or the question what it would bind, asked before it."""
        asked_in_vain = self.state is OrderState.UNSENT and self.evidence == Evidence.QUESTION_REJECTED.value
        return asked_in_vain or self.state is OrderState.REJECTED

    @property
    def group(self) -> str:
        """The OCA group it counts in; a second order at the broker for one intent is never trusted to be in one."""
        return "" if self.twin_of is not None else self.oca_group

    @property
    def worst_price(self) -> Decimal:
        """The most a share may come to: its limit, or its stop or the market it was decided at; of either terms."""
        price = self.limit_price or max(self.stop_price or ZERO, self.decision_price)
        if self.change is None:
            return price
        return max(price, self.change.limit_price or self.change.stop_price or ZERO)


def told_as(terms: tuple[Decimal, Decimal | None, Decimal | None]) -> str:
    """Terms as a person reads them."""
    quantity, limit, stop = terms
    return f"{quantity}" + (f" limit {limit}" if limit else "") + (f" stop {stop}" if stop else "")


MOST_DIGITS = 18
"""Of a number of ours: no journal will ever count further, and Python refuses to read thousands."""


def whole_number(text: str) -> int | None:
    """A number as we write one, in ASCII digits; None for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS else None
