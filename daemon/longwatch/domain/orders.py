"""An order, the states of its life, and the table of what each kind of evidence makes of each state; read by decide."""

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


_S = OrderState
_E = Evidence

_FROM_BROKER = {
    _E.ACKNOWLEDGED: _S.WORKING,
    _E.LISTED: _S.WORKING,
    _E.PART_FILLED: _S.WORKING,
    _E.ALL_FILLED: _S.FILLED,
    _E.CANCELLED: _S.CANCELLED,
    _E.REJECTED: _S.REJECTED,
    _E.EXPIRED: _S.EXPIRED,
}

TRANSITIONS: dict[OrderState, dict[Evidence, OrderState]] = {
    _S.INTENDED: {_E.WITHHELD: _S.UNSENT},
    _S.SENDING: {
        **_FROM_BROKER,
        _E.HANDED: _S.SENDING,
        _E.WITHHELD: _S.UNSENT,
        _E.SILENCE: _S.UNKNOWN,
        _E.LINK_LOST: _S.UNKNOWN,
    },
    _S.WORKING: {
        **_FROM_BROKER,
        _E.HANDED: _S.WORKING,
        _E.SILENCE: _S.UNKNOWN,
        _E.LINK_LOST: _S.WORKING,
    },
    _S.UNKNOWN: {
        **_FROM_BROKER,
        _E.HANDED: _S.UNKNOWN,
        _E.SILENCE: _S.UNKNOWN,
        _E.LINK_LOST: _S.UNKNOWN,
        _E.WITHHELD: _S.UNSENT,
        _E.PROVEN_ABSENT: _S.ABSENT,
        _E.INFERRED: _S.INFERRED,
    },
    # A fill may still be heard after the end of an order (a cancel and a fill cross): it corrects the state. So does a
    # whole download, asked for after the word of its end, that lists it as open; a single late message does not.
    _S.CANCELLED: {
        _E.LISTED: _S.WORKING,
        _E.ALL_FILLED: _S.FILLED,
        _E.PART_FILLED: _S.CANCELLED,
        _E.CANCELLED: _S.CANCELLED,
        _E.EXPIRED: _S.CANCELLED,
    },
    _S.EXPIRED: {
        _E.LISTED: _S.WORKING,
        _E.ALL_FILLED: _S.FILLED,
        _E.PART_FILLED: _S.EXPIRED,
        _E.EXPIRED: _S.EXPIRED,
        _E.CANCELLED: _S.EXPIRED,
    },
    # The broker has spoken for an order thought gone: it is live again, and an alert says so.
    _S.ABSENT: {**_FROM_BROKER, _E.WITHHELD: _S.UNSENT},
    _S.INFERRED: dict(_FROM_BROKER),
    _S.UNSENT: dict(_FROM_BROKER),
    _S.REJECTED: {
        _E.REJECTED: _S.REJECTED,
        _E.CANCELLED: _S.REJECTED,
        _E.EXPIRED: _S.REJECTED,
        _E.ACKNOWLEDGED: _S.WORKING,
        _E.LISTED: _S.WORKING,
        _E.PART_FILLED: _S.WORKING,
        _E.ALL_FILLED: _S.FILLED,
    },
    _S.FILLED: {_E.ALL_FILLED: _S.FILLED, _E.PART_FILLED: _S.FILLED},
    _S.REFUSED: {},
}


def next_state(state: OrderState, evidence: Evidence) -> OrderState | None:
    """Where `evidence` leads from `state`, or None when it can't be true of such an order: an alert, never a move."""
    return TRANSITIONS[state].get(evidence)


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
    instrument's currency; `deadline` is the technical time by which something must have been heard, `moved_at` that of
    the last evidence. `filled` are shares booked from executions, `reported` what the broker's status says is filled;
    an order that the broker says has ended is `ending` until the executions have caught up. A child is the rest of the
    intent that it `replaces`, the `replacement`th of its family.
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
