"""The table of what each kind of evidence makes of each state of an order; read by evidence, drawn in docs/orders.md.

Every cell is written: it names the state that follows, or the alert that such evidence raises because it can't be true
of such an order. A table with a cell missing does not import.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from longwatch.domain.orders import Evidence, OrderState


class Impossible(StrEnum):
    """The alerts of evidence that can't be true of an order: keys of RaiseAlert."""

    HEARD_OF_UNSENT = "heard_of_unsent"
    WITHHELD_YET_SHOWN = "withheld_yet_shown"
    OWN_WORD_OUT_OF_TURN = "own_word_out_of_turn"
    PROOF_OUT_OF_TURN = "proof_out_of_turn"
    END_CONTRADICTED = "end_contradicted"
    LISTED_THOUGH_FILLED = "listed_though_filled"


_S, _E, _I = OrderState, Evidence, Impossible

MEANT: dict[Impossible, tuple[str, str]] = {
    _I.HEARD_OF_UNSENT: (
        "the broker speaks of an order that never left this process",
        "look for a second daemon or an older copy of this journal; `longwatch halt` until it is found",
    ),
    _I.WITHHELD_YET_SHOWN: (
        "our transport says that the order never left, yet the broker has shown it",
        "compare `longwatch orders` with the broker's; the broker's word stands, and this is a fault of ours to report",
    ),
    _I.OWN_WORD_OUT_OF_TURN: (
        "our own transport, clock or question speaks of an order whose turn is not, or no more, theirs",
        "nothing at the broker; it is a fault of ours to report, with the journal's record",
    ),
    _I.PROOF_OUT_OF_TURN: (
        "absence or a fill was proven of an order whose outcome was not unknown",
        "nothing at the broker; it is a fault of ours to report, with the journal's record",
    ),
    _I.END_CONTRADICTED: (
        "the broker has told two ends of one order that exclude each other",
        "compare with the broker's statement; the first end and every execution stand",
    ),
    _I.LISTED_THOUGH_FILLED: (
        "the broker lists an order as open all of whose shares are in the book",
        "look at the order in TWS; if it works there, cancel it by hand: it could fill twice",
    ),
}
"""What each alert would mean, and what a person should do."""

CRITICAL = frozenset({_I.HEARD_OF_UNSENT, _I.WITHHELD_YET_SHOWN, _I.LISTED_THOUGH_FILLED})
"""Those that may mean an order nobody counts; the others are warnings."""

Cell = OrderState | Impossible

# What leads on from each state, and why not where it does not:
# - the broker has shown what WORKING, FILLED, CANCELLED, EXPIRED, REJECTED and INFERRED are: they were not withheld;
# - absence and inference are asked about UNKNOWN only;
# - a question, what an order would bind of margin, is put before that is sent, and its answer is of INTENDED only;
# - a fill may be heard after the end of an order (a cancel and a fill cross), and corrects the state. So does a whole
#   download, asked for after the word of its end, that lists it as open; a single late acknowledgement does not;
# - UNSENT, ABSENT, INFERRED and REJECTED were concluded without a fill or a cancel: when the broker speaks of such an
#   order, or our transport says after all that its bytes left, it is live again, and an alert says so.
TRANSITIONS: dict[OrderState, dict[Evidence, Cell]] = {
    _S.INTENDED: {
        _E.HANDED: _I.OWN_WORD_OUT_OF_TURN,
        _E.WITHHELD: _S.UNSENT,
        _E.ACKNOWLEDGED: _I.HEARD_OF_UNSENT,
        _E.LISTED: _I.HEARD_OF_UNSENT,
        _E.PART_FILLED: _I.HEARD_OF_UNSENT,
        _E.ALL_FILLED: _I.HEARD_OF_UNSENT,
        _E.CANCELLED: _I.HEARD_OF_UNSENT,
        _E.REJECTED: _I.HEARD_OF_UNSENT,
        _E.EXPIRED: _I.HEARD_OF_UNSENT,
        _E.QUESTION_REJECTED: _S.UNSENT,
        _E.SILENCE: _I.OWN_WORD_OUT_OF_TURN,
        _E.LINK_LOST: _I.OWN_WORD_OUT_OF_TURN,
        _E.PROVEN_ABSENT: _I.PROOF_OUT_OF_TURN,
        _E.INFERRED: _I.PROOF_OUT_OF_TURN,
    },
    _S.REFUSED: {
        _E.HANDED: _I.OWN_WORD_OUT_OF_TURN,
        _E.WITHHELD: _I.OWN_WORD_OUT_OF_TURN,
        _E.ACKNOWLEDGED: _I.HEARD_OF_UNSENT,
        _E.LISTED: _I.HEARD_OF_UNSENT,
        _E.PART_FILLED: _I.HEARD_OF_UNSENT,
        _E.ALL_FILLED: _I.HEARD_OF_UNSENT,
        _E.CANCELLED: _I.HEARD_OF_UNSENT,
        _E.REJECTED: _I.HEARD_OF_UNSENT,
        _E.EXPIRED: _I.HEARD_OF_UNSENT,
        _E.QUESTION_REJECTED: _I.OWN_WORD_OUT_OF_TURN,
        _E.SILENCE: _I.OWN_WORD_OUT_OF_TURN,
        _E.LINK_LOST: _I.OWN_WORD_OUT_OF_TURN,
        _E.PROVEN_ABSENT: _I.PROOF_OUT_OF_TURN,
        _E.INFERRED: _I.PROOF_OUT_OF_TURN,
    },
    _S.SENDING: {
        _E.HANDED: _S.SENDING,
        _E.WITHHELD: _S.UNSENT,
        _E.ACKNOWLEDGED: _S.WORKING,
        _E.LISTED: _S.WORKING,
        _E.PART_FILLED: _S.WORKING,
        _E.ALL_FILLED: _S.FILLED,
        _E.CANCELLED: _S.CANCELLED,
        _E.REJECTED: _S.REJECTED,
        _E.EXPIRED: _S.EXPIRED,
        _E.QUESTION_REJECTED: _I.OWN_WORD_OUT_OF_TURN,
        _E.SILENCE: _S.UNKNOWN,
        _E.LINK_LOST: _S.UNKNOWN,
        _E.PROVEN_ABSENT: _I.PROOF_OUT_OF_TURN,
        _E.INFERRED: _I.PROOF_OUT_OF_TURN,
    },
    _S.UNSENT: {
        _E.HANDED: _S.UNKNOWN,
        _E.WITHHELD: _S.UNSENT,
        _E.ACKNOWLEDGED: _S.WORKING,
        _E.LISTED: _S.WORKING,
        _E.PART_FILLED: _S.WORKING,
        _E.ALL_FILLED: _S.FILLED,
        _E.CANCELLED: _S.CANCELLED,
        _E.REJECTED: _S.REJECTED,
        _E.EXPIRED: _S.EXPIRED,
        _E.QUESTION_REJECTED: _I.OWN_WORD_OUT_OF_TURN,
        _E.SILENCE: _I.OWN_WORD_OUT_OF_TURN,
        _E.LINK_LOST: _I.OWN_WORD_OUT_OF_TURN,
        _E.PROVEN_ABSENT: _I.PROOF_OUT_OF_TURN,
        _E.INFERRED: _I.PROOF_OUT_OF_TURN,
    },
    _S.WORKING: {
        _E.HANDED: _S.WORKING,
        _E.WITHHELD: _I.WITHHELD_YET_SHOWN,
        _E.ACKNOWLEDGED: _S.WORKING,
        _E.LISTED: _S.WORKING,
        _E.PART_FILLED: _S.WORKING,
        _E.ALL_FILLED: _S.FILLED,
        _E.CANCELLED: _S.CANCELLED,
        _E.REJECTED: _S.REJECTED,
        _E.EXPIRED: _S.EXPIRED,
        _E.QUESTION_REJECTED: _I.OWN_WORD_OUT_OF_TURN,
        _E.SILENCE: _S.UNKNOWN,
        _E.LINK_LOST: _S.WORKING,
        _E.PROVEN_ABSENT: _I.PROOF_OUT_OF_TURN,
        _E.INFERRED: _I.PROOF_OUT_OF_TURN,
    },
    _S.UNKNOWN: {
        _E.HANDED: _S.UNKNOWN,
        _E.WITHHELD: _S.UNSENT,
        _E.ACKNOWLEDGED: _S.WORKING,
        _E.LISTED: _S.WORKING,
        _E.PART_FILLED: _S.WORKING,
        _E.ALL_FILLED: _S.FILLED,
        _E.CANCELLED: _S.CANCELLED,
        _E.REJECTED: _S.REJECTED,
        _E.EXPIRED: _S.EXPIRED,
        _E.QUESTION_REJECTED: _I.OWN_WORD_OUT_OF_TURN,
        _E.SILENCE: _S.UNKNOWN,
        _E.LINK_LOST: _S.UNKNOWN,
        _E.PROVEN_ABSENT: _S.ABSENT,
        _E.INFERRED: _S.INFERRED,
    },
    _S.FILLED: {
        _E.HANDED: _I.OWN_WORD_OUT_OF_TURN,
        _E.WITHHELD: _I.WITHHELD_YET_SHOWN,
        _E.ACKNOWLEDGED: _S.FILLED,
        _E.LISTED: _I.LISTED_THOUGH_FILLED,
        _E.PART_FILLED: _S.FILLED,
        _E.ALL_FILLED: _S.FILLED,
        _E.CANCELLED: _I.END_CONTRADICTED,
        _E.REJECTED: _I.END_CONTRADICTED,
        _E.EXPIRED: _I.END_CONTRADICTED,
        _E.QUESTION_REJECTED: _I.OWN_WORD_OUT_OF_TURN,
        _E.SILENCE: _I.OWN_WORD_OUT_OF_TURN,
        _E.LINK_LOST: _I.OWN_WORD_OUT_OF_TURN,
        _E.PROVEN_ABSENT: _I.PROOF_OUT_OF_TURN,
        _E.INFERRED: _I.PROOF_OUT_OF_TURN,
    },
    _S.CANCELLED: {
        _E.HANDED: _I.OWN_WORD_OUT_OF_TURN,
        _E.WITHHELD: _I.WITHHELD_YET_SHOWN,
        _E.ACKNOWLEDGED: _S.CANCELLED,
        _E.LISTED: _S.WORKING,
        _E.PART_FILLED: _S.CANCELLED,
        _E.ALL_FILLED: _S.FILLED,
        _E.CANCELLED: _S.CANCELLED,
        _E.REJECTED: _I.END_CONTRADICTED,
        _E.EXPIRED: _S.CANCELLED,
        _E.QUESTION_REJECTED: _I.OWN_WORD_OUT_OF_TURN,
        _E.SILENCE: _I.OWN_WORD_OUT_OF_TURN,
        _E.LINK_LOST: _I.OWN_WORD_OUT_OF_TURN,
        _E.PROVEN_ABSENT: _I.PROOF_OUT_OF_TURN,
        _E.INFERRED: _I.PROOF_OUT_OF_TURN,
    },
    _S.REJECTED: {
        _E.HANDED: _I.OWN_WORD_OUT_OF_TURN,
        _E.WITHHELD: _I.WITHHELD_YET_SHOWN,
        _E.ACKNOWLEDGED: _S.WORKING,
        _E.LISTED: _S.WORKING,
        _E.PART_FILLED: _S.WORKING,
        _E.ALL_FILLED: _S.FILLED,
        _E.CANCELLED: _S.REJECTED,
        _E.REJECTED: _S.REJECTED,
        _E.EXPIRED: _S.REJECTED,
        _E.QUESTION_REJECTED: _I.OWN_WORD_OUT_OF_TURN,
        _E.SILENCE: _I.OWN_WORD_OUT_OF_TURN,
        _E.LINK_LOST: _I.OWN_WORD_OUT_OF_TURN,
        _E.PROVEN_ABSENT: _I.PROOF_OUT_OF_TURN,
        _E.INFERRED: _I.PROOF_OUT_OF_TURN,
    },
    _S.EXPIRED: {
        _E.HANDED: _I.OWN_WORD_OUT_OF_TURN,
        _E.WITHHELD: _I.WITHHELD_YET_SHOWN,
        _E.ACKNOWLEDGED: _S.EXPIRED,
        _E.LISTED: _S.WORKING,
        _E.PART_FILLED: _S.EXPIRED,
        _E.ALL_FILLED: _S.FILLED,
        _E.CANCELLED: _S.EXPIRED,
        _E.REJECTED: _I.END_CONTRADICTED,
        _E.EXPIRED: _S.EXPIRED,
        _E.QUESTION_REJECTED: _I.OWN_WORD_OUT_OF_TURN,
        _E.SILENCE: _I.OWN_WORD_OUT_OF_TURN,
        _E.LINK_LOST: _I.OWN_WORD_OUT_OF_TURN,
        _E.PROVEN_ABSENT: _I.PROOF_OUT_OF_TURN,
        _E.INFERRED: _I.PROOF_OUT_OF_TURN,
    },
    _S.ABSENT: {
        _E.HANDED: _S.UNKNOWN,
        _E.WITHHELD: _S.UNSENT,
        _E.ACKNOWLEDGED: _S.WORKING,
        _E.LISTED: _S.WORKING,
        _E.PART_FILLED: _S.WORKING,
        _E.ALL_FILLED: _S.FILLED,
        _E.CANCELLED: _S.CANCELLED,
        _E.REJECTED: _S.REJECTED,
        _E.EXPIRED: _S.EXPIRED,
        _E.QUESTION_REJECTED: _I.OWN_WORD_OUT_OF_TURN,
        _E.SILENCE: _I.OWN_WORD_OUT_OF_TURN,
        _E.LINK_LOST: _I.OWN_WORD_OUT_OF_TURN,
        _E.PROVEN_ABSENT: _I.PROOF_OUT_OF_TURN,
        _E.INFERRED: _I.PROOF_OUT_OF_TURN,
    },
    _S.INFERRED: {
        _E.HANDED: _I.OWN_WORD_OUT_OF_TURN,
        _E.WITHHELD: _I.WITHHELD_YET_SHOWN,
        _E.ACKNOWLEDGED: _S.WORKING,
        _E.LISTED: _S.WORKING,
        _E.PART_FILLED: _S.WORKING,
        _E.ALL_FILLED: _S.FILLED,
        _E.CANCELLED: _S.CANCELLED,
        _E.REJECTED: _S.REJECTED,
        _E.EXPIRED: _S.EXPIRED,
        _E.QUESTION_REJECTED: _I.OWN_WORD_OUT_OF_TURN,
        _E.SILENCE: _I.OWN_WORD_OUT_OF_TURN,
        _E.LINK_LOST: _I.OWN_WORD_OUT_OF_TURN,
        _E.PROVEN_ABSENT: _I.PROOF_OUT_OF_TURN,
        _E.INFERRED: _I.PROOF_OUT_OF_TURN,
    },
}


def next_state(state: OrderState, evidence: Evidence) -> Cell:
    """Where `evidence` leads from `state`; an Impossible when it can't be true of such an order: never a move."""
    return TRANSITIONS[state][evidence]


def missing_cells(table: Mapping[OrderState, Mapping[Evidence, Cell]]) -> list[str]:
    """The cells that a table leaves out, by name."""
    return [f"{state.value} x {evidence.value}" for state in _S for evidence in _E if evidence not in table[state]]


if _left_out := missing_cells(TRANSITIONS):
    raise LookupError(f"the table of an order's life has no cell for {', '.join(_left_out)}")
