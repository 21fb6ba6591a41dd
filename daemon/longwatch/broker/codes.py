"""What each of the broker's codes means for the connection, for an order and for a request; asked by live.IbBroker.

Only a code whose meaning is known ends an order. A code that is not in the table, or one that two builds of the gateway
use differently, is `unclear`: the order goes on until other evidence settles it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from longwatch.config.codes import NamedCode
from longwatch.domain.order_life.verdicts import Verdict


class Kind(StrEnum):
    """What sort of message a code is."""

    SYSTEM = "system notice"
    WARNING = "warning: what was asked goes on"
    REQUEST_FAILS = "the request fails"
    ORDER_ENDS = "the order is not accepted, or has ended"
    CONFIRMATION = "confirmation"
    SESSION_ENDS = "the session ends"


class Asked(StrEnum):
    """What was last asked of the broker about an order, which decides what an error on its id means."""

    NEW = "new"
    MODIFY = "modify"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """One row: `new`, `modify` and `cancel` are the verdicts on an order after each of the three requests.

    `severity` is that of the alert: of a rejection, whatever it is, or where domain/order_life/verdicts.py asks for
    one; there `info` raises none.
    """

    code: int
    meaning: str
    kind: Kind
    new: Verdict
    modify: Verdict
    cancel: Verdict
    severity: str = "warning"

    def after(self, asked: Asked) -> Verdict:
        """What the code says of an order that was last asked `asked`."""
        return {Asked.NEW: self.new, Asked.MODIFY: self.modify, Asked.CANCEL: self.cancel}[asked]

    def said(self, asked: Asked) -> dict[str, str]:
        """The same as OrderErrorSeen tells it, with meaning and severity."""
        return {"verdict": self.after(asked).value, "meaning": self.meaning, "severity": self.severity}

    @property
    def fails_request(self) -> bool:
        """Whether a request that is not an order is over when it is answered so."""
        return self.kind in (Kind.REQUEST_FAILS, Kind.ORDER_ENDS, Kind.SESSION_ENDS)


def row_of(code: int, codes: Mapping[int, Code]) -> Code:
    """The row of a code; one that is not listed is unclear on every order, and fails a request lest anybody wait."""
    return codes.get(code) or _rows(Kind.REQUEST_FAILS, _UNCLEAR, ((code, UNLISTED),))[0]


def with_named(named: Iterable[NamedCode]) -> dict[int, Code]:
    """The table with the rows of a person's file in place of, or beside, its own."""
    return CODES | {row.code: _of_person(row) for row in named}


def _of_person(row: NamedCode) -> Code:
    """A row that is new here fails a request as an unlisted code does: what it means for orders was said, no more."""
    known = CODES.get(row.code)
    return Code(
        code=row.code,
        meaning=row.meaning,
        kind=known.kind if known else Kind.REQUEST_FAILS,
        new=row.verdict,
        modify=row.after_modify,
        cancel=row.after_cancel,
        severity=row.severity,
    )


def farm_of(text: str) -> str:
    """The farm's name in a text such as `Market data farm connection is OK:usfarm` or `… upon demand.usfarm`."""
    return text.rstrip(". ").replace("demand.", "demand:").rpartition(":")[2].strip()


def _rows(kind: Kind, verdicts: tuple[Verdict, Verdict, Verdict], rows: Iterable[tuple[int, str]]) -> list[Code]:
    new, modify, cancel = verdicts
    return [
        Code(
            code=code,
            meaning=meaning,
            kind=kind,
            new=new,
            modify=modify,
            cancel=cancel,
            severity="critical" if code in CRITICAL else SEVERITY[kind],
        )
        for code, meaning in rows
    ]


SEVERITY = {
    Kind.SYSTEM: "info",
    Kind.WARNING: "info",
    Kind.REQUEST_FAILS: "warning",
    Kind.ORDER_ENDS: "warning",
    Kind.CONFIRMATION: "info",
    Kind.SESSION_ENDS: "critical",
}
"""Of the alert that a code on an order raises, where it raises one, but for the codes of CRITICAL."""

CRITICAL = frozenset(
    {
        100,  # whether the order was dropped nobody says
        103,  # somebody else sends under our client id, or the ids have gone back
        135,  # the gateway does not know an order that we think is there
        203,
        321,  # as a rule the API is read-only: no order will be taken
        435,
        460,
        2137,  # what was to close would open the other side
        10328,  # the gateway itself does not know what became of the order
    }
)
"""A person must look now: the order's fate is open, or every further order will end the same way."""


UNLISTED = "a code that is not listed"

_V = Verdict
_LIVES = (_V.NOTICE, _V.NOTICE, _V.NOTICE)
_UNCLEAR = (_V.UNCLEAR, _V.UNCLEAR, _V.UNCLEAR)
# A refused modification leaves the order that was there. After a cancel, none of which is refused so, it may still be
# the answer to an order that was not acknowledged before.
_REFUSED = (_V.REJECTED, _V.UNCHANGED, _V.REJECTED_IF_NEW)
_NOT_CHANGED = (_V.NOTICE, _V.UNCHANGED, _V.NOTICE)

TABLE: tuple[Code, ...] = (
    *_rows(
        Kind.SYSTEM,
        _LIVES,
        (
            (0, "approaching the maximum rate of messages"),
            (1100, "the gateway has lost its link to IB"),
            (1101, "the gateway's link to IB is back; subscriptions are gone"),
            (1102, "the gateway's link to IB is back; subscriptions live on"),
            (2100, "unsubscribed from account data by another request"),
            (2103, "a market data farm is broken"),
            (2104, "a market data farm is connected"),
            (2105, "a historical data farm is broken"),
            (2106, "a historical data farm is connected"),
            (2107, "a historical data farm sleeps until needed"),
            (2108, "a market data farm sleeps until needed"),
            (2110, "the gateway has lost its link to the login server"),
            (2119, "a market data farm is connecting"),
            (2157, "a security definition farm is broken"),
            (2158, "a security definition farm is connected"),
            (2159, "a security definition farm sleeps until needed"),
            (2160, "a security definition farm is connecting"),
        ),
    ),
    *_rows(
        Kind.WARNING,
        _LIVES,
        (
            (136, "this order can't be cancelled"),
            (165, "the historical data service retrieved nothing"),
            (300, "no market data line of that id"),
            (310, "market depth not found"),
            (316, "market depth was halted"),
            (317, "market depth was reset"),
            (319, "no such log level"),
            (327, "only client id 0 may bind manual orders"),
            (365, "no scanner subscription of that id"),
            (366, "no historical data query of that id"),
            (399, "a remark on the order, such as waiting for the open"),
            (404, "held while shares to borrow are located"),
            (492, "scanner results are not precise without a subscription"),
            (2101, "another client is subscribed to another account"),
            (2109, "outside-hours attribute ignored; the order goes on"),
            (2146, "the order id is very high"),
            (2152, "market depth needs more permissions"),
            (2168, "the eTradeOnly attribute was cleared"),
            (2169, "the firmQuoteOnly attribute was cleared"),
            (2170, "the nbboPriceCap attribute was cleared"),
            (2174, "a time was given without a zone"),
            (10089, "this market data needs a subscription; delayed data may follow"),
            (10090, "part of this market data is not subscribed"),
            (10091, "part of this market data needs a subscription for the API"),
            (10167, "market data is not subscribed; delayed data follow"),
            (10185, "no profit and loss subscription to cancel"),
            (10186, "no profit and loss subscription of one position to cancel"),
            (10349, "the time in force was set to DAY by a preset; the order lives"),
        ),
    ),
    *_rows(
        Kind.WARNING,
        _NOT_CHANGED,
        (
            (104, "a filled order can't be modified"),
            (105, "the modification does not match the original order"),
            (329, "an order's type can't be changed"),
            (2102, "the order is still being processed"),
            (10326, "an OCA group can't be revised"),
            (10327, "an OCA type can't be revised"),
            (10341, "an order's parent can't be changed"),
        ),
    ),
    # Too many messages: whether this one was dropped or only delayed is a setting of the gateway.
    *_rows(Kind.WARNING, _UNCLEAR, ((100, "the maximum rate of messages was exceeded"),)),
    *_rows(
        Kind.WARNING,
        (_V.NOTICE, _V.NOTICE, _V.TOO_LATE),
        ((161, "the order is in no state that can be cancelled"),),
    ),
    *_rows(
        Kind.WARNING,
        (_V.NOT_FOUND, _V.NOT_FOUND, _V.NOT_FOUND),
        ((10147, "the order to be cancelled is not found"),),
    ),
    *_rows(
        Kind.WARNING,
        (_V.TOO_LATE, _V.TOO_LATE, _V.TOO_LATE),
        ((10148, "the order to be cancelled has ended"),),
    ),
    *_rows(
        Kind.CONFIRMATION,
        (_V.CANCELLED, _V.CANCELLED, _V.CANCELLED),
        ((202, "the order was cancelled"),),
    ),
    *_rows(
        Kind.ORDER_ENDS,
        _REFUSED,
        (
            (103, "the order id was used before"),
            (106, "an order id can't be transmitted"),
            (107, "an incomplete order can't be transmitted"),
            (109, "the price is outside the percentage allowed"),
            (110, "the price is not on the contract's grid"),
            (111, "the time in force does not go with the order type"),
            (113, "an order at the close must be DAY"),
            (160, "the size is zero"),
            (163, "the price violates the percentage constraint"),
            (200, "no such contract, or an ambiguous one"),
            (203, "the security is not available to this account"),
            (303, "no such action"),
            (337, "a time of the order is malformed"),
            (382, "the price violates the ticks constraint"),
            (383, "the size violates the size constraint"),
            (387, "the order type is not supported here"),
            (388, "the size is below the smallest allowed"),
            (403, "the stop price is not valid"),
            (411, "the outside-hours flag is not valid"),
            (412, "the contract can't be traded"),
            (413, "a what-if order must be transmitted"),
            (434, "the order size is zero"),
            (435, "an account must be given"),
            (436, "an allocation must be given"),
            (460, "no permission to trade this"),
            (10006, "the parent order is missing"),
            (10051, "no such order type"),
            (10052, "no such time in force"),
            (10243, "fractional orders can't come by the API"),
            (10268, "the eTradeOnly attribute is not supported"),
            (10269, "the firmQuoteOnly attribute is not supported"),
            (10270, "the nbboPriceCap attribute is not supported"),
            (10289, "a cash quantity is needed"),
            (10314, "a time of the order is malformed"),
            (10318, "fractional quantities are not supported"),
        ),
    ),
    # A cancel may be refused in the same words.
    *_rows(
        Kind.ORDER_ENDS,
        (_V.REJECTED, _V.UNCHANGED, _V.UNCLEAR),
        (
            (116, "the exchange is dead"),
            (321, "the request is not valid, or the API is read-only"),
            (10149, "the order id is not valid"),
        ),
    ),
    # After a modification it is not said which of the two orders was rejected.
    *_rows(
        Kind.ORDER_ENDS,
        (_V.REJECTED, _V.UNCLEAR, _V.REJECTED),
        ((201, "the order was rejected"),),
    ),
    *_rows(
        Kind.ORDER_ENDS,
        (_V.REJECTED, _V.UNCLEAR, _V.UNCLEAR),
        ((135, "no order of that id"),),
    ),
    # A status follows, or the source is weak: other evidence decides.
    *_rows(
        Kind.ORDER_ENDS,
        _UNCLEAR,
        (
            (2137, "the closing order is larger than the position"),
            (10311, "direct routing is held back by a precaution"),
            (10328, "the connection was lost and the order could not be resolved"),
        ),
    ),
    *_rows(
        Kind.REQUEST_FAILS,
        _UNCLEAR,
        (
            (101, "too many market data lines"),
            (102, "the request id is in use"),
            (162, "the historical data service answers with an error"),
            (166, "the contract has expired"),
            (309, "too many market depth requests"),
            (320, "the gateway could not read the request"),
            (322, "the gateway could not process the request"),
            (323, "server error"),
            (324, "DDE only"),
            (354, "market data is not subscribed"),
            (381, "DDE only"),
            (384, "DDE only"),
            (385, "the scanner's request id is in use"),
            (386, "the history request's id is in use"),
            (414, "a snapshot can't have generic ticks"),
            (420, "the real-time query is not valid"),
            (421, "deprecated"),
            (430, "fundamental data are not available"),
            (478, "the contract's fields contradict its contract id"),
            (10168, "market data is not subscribed, and delayed data is not enabled"),
            (10177, "live updates of combos are not supported"),
            (10178, "live updates can't have an end date"),
            (10179, "live updates of this price are not supported"),
            (10180, "the contract has expired"),
            (10181, "no listener for live updates"),
            (10182, "live updates were disconnected"),
            (10183, "profit and loss could not be requested"),
            (10184, "profit and loss of one position could not be requested"),
            (10187, "no permission for historical ticks"),
            (10189, "tick-by-tick data could not be requested"),
            (10190, "too many tick-by-tick requests"),
            (10197, "another session holds the market data"),
            (10225, "the subscription was ended by a bust; ask again"),
        ),
    ),
    *_rows(
        Kind.SESSION_ENDS,
        _UNCLEAR,
        (
            (326, "the client id is in use by another connection"),
            (1300, "the gateway moves to another port"),
        ),
    ),
)

CODES: dict[int, Code] = {row.code: row for row in TABLE}

BACKEND: dict[int, tuple[bool, bool]] = {
    1100: (False, True),
    2110: (False, True),
    1101: (True, False),
    1102: (True, True),
}
"""Code -> (is the gateway's link to IB up, do market data subscriptions live on)."""

FARMS: dict[int, bool] = {
    2103: False,
    2104: True,
    2105: False,
    2106: True,
    2107: True,
    2108: True,
    2157: False,
    2158: True,
    2159: True,
}
"""Code -> is the farm usable: one that sleeps until needed is."""
HISTORY_FARMS = frozenset({2105, 2106, 2107})
"""The codes of farms that historical data come from, and nothing else."""
