"""What a broker's code says of an order, and what follows from that in each state of the order; read by lifecycle.

The verdicts are those of broker/codes.py, or of a person's own file of codes. The table has no default row.
"""

from __future__ import annotations

from enum import StrEnum

from longwatch.domain.orders import Order, OrderState


class Verdict(StrEnum):
    """What a code says of an order; the words of OrderErrorSeen.verdict."""

    NOTICE = "notice"
    UNCHANGED = "unchanged"
    REJECTED = "rejected"
    REJECTED_IF_NEW = "rejected if new"
    CANCELLED = "cancelled"
    NOT_FOUND = "not found"
    TOO_LATE = "too late"
    UNCLEAR = "unclear"


class Action(StrEnum):
    """What the daemon does about a code on an order."""

    NOTHING = "kept in the journal"
    END = "the order has ended, rejected"
    KEEP = "its modification is refused, the order goes on as it was"
    ASK = "the account is read: its orders tell what became of this one"
    GATHER = "noted towards the proof that the order is absent"
    TELL = "a person is told, the order stays as it is"


_S, _A = OrderState, Action

GONE_UNSEEN = (_S.UNSENT, _S.ABSENT, _S.INFERRED)
"""Ends that the broker had no part in: when it speaks of such an order, a person must know."""
ENDED = (_S.FILLED, _S.CANCELLED, _S.EXPIRED)
UNKNOWN_TO_IT = (_S.INTENDED, _S.REFUSED)
"""The broker was never sent these: no code can be about them."""


def _row(*, live: Action, unknown: Action, unseen: Action, ended: Action, rejected: Action) -> dict[OrderState, Action]:
    return {
        _S.SENDING: live,
        _S.WORKING: live,
        _S.UNKNOWN: unknown,
        _S.REJECTED: rejected,
        **dict.fromkeys(GONE_UNSEEN, unseen),
        **dict.fromkeys(ENDED, ended),
        **dict.fromkeys(UNKNOWN_TO_IT, _A.TELL),
    }


_NOTHING = _row(live=_A.NOTHING, unknown=_A.NOTHING, unseen=_A.NOTHING, ended=_A.NOTHING, rejected=_A.NOTHING)
# The answer to a cancel is no evidence of the end itself: the orders are read, where this one is thought alive.
_ASK = _NOTHING | {_S.SENDING: _A.ASK, _S.WORKING: _A.ASK, _S.UNKNOWN: _A.ASK}
_REJECTED = _row(live=_A.END, unknown=_A.END, unseen=_A.TELL, ended=_A.TELL, rejected=_A.NOTHING)

WHAT_FOLLOWS: dict[Verdict, dict[OrderState, Action]] = {
    Verdict.NOTICE: _NOTHING,
    Verdict.UNCHANGED: _NOTHING | {_S.SENDING: _A.KEEP, _S.WORKING: _A.KEEP, _S.UNKNOWN: _A.KEEP},
    Verdict.REJECTED: _REJECTED,
    Verdict.REJECTED_IF_NEW: _REJECTED,
    Verdict.CANCELLED: _ASK,
    Verdict.NOT_FOUND: _ASK | {_S.UNKNOWN: _A.GATHER},
    Verdict.TOO_LATE: _ASK,
    Verdict.UNCLEAR: dict.fromkeys(OrderState, _A.TELL),
}


def meant_by(order: Order, verdict: Verdict) -> Verdict:
    """What a verdict says of an order as it is known: a rejection may be of it, of its new terms, or of neither.

    It may be of terms under way, or of the last ones where these were given up without being shown in force. What was
    asked for last does not tell: the answer may come on a later connection, or after a cancel has gone out too. One
    that never got a permId was not accepted before either, so after its cancel it can still be told to be rejected.
    """
    if verdict is Verdict.REJECTED_IF_NEW:
        return Verdict.NOTICE if order.perm_ids else Verdict.REJECTED
    given_up = order.vain is not None and order.vain.number == order.changed
    is_of_either = order.is_live and (order.change is not None or given_up)
    return Verdict.UNCLEAR if verdict is Verdict.REJECTED and is_of_either else verdict
