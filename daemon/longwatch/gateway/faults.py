"""Trouble on demand: what the simulated gateway does wrong, set by tests, the simulation and the command line.

Every fault is a plain attribute or a method of one `Faults` value; without any set the gateway behaves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from longwatch.wire.fields import MAX

UNREADABLE = "not-a-number"
LIVE = -1
"""The request id of an execution that is told as it happens."""

Counted = Literal["lose_orders", "lose_acknowledgements", "lose_commissions", "correct_fills", "bust_fills", "only_202"]

UNSET_FIGURES: Mapping[str, Mapping[str, str]] = {
    "position": {"avgCost": MAX},
    "openOrder": {"auxPrice": MAX, "trailStopPrice": MAX},
    "orderStatus": {"avgFillPrice": MAX, "lastFillPrice": MAX, "mktCapPrice": MAX},
    "execDetails": {"avgPrice": MAX},
    "commissionReport": {"commission": MAX, "realizedPNL": MAX},
    "accountSummary": {"value": MAX},
}
"""By reply, the figures that real gateways have been seen to leave unset, and what is sent for them then."""


@dataclass(slots=True, kw_only=True)
class Faults:
    """The switches. Seconds are the machine's, not the market's: they are measured against a client's deadlines.

    `refuse`: connections are refused. `silent`: they are accepted and never answered. `drop_after`: each new connection
    is cut after so many bytes, in the middle of a message if it falls so. `hold_orders_seconds`: an order works at the
    exchange but its client hears of it only so much later. `withhold`: names of replies never sent, end messages or
    others; `tick` stands for all quotes. `spoil`: by reply name, how many of the next ones carry a field that can't be
    read. `half_open`: nothing is read and nothing sent, and connections stay. `lose_fills`: so many of the next fills
    are told to nobody, at no time. `own_messages`: decides by name and values whether a reply is sent, and may change
    the values.

    `lose_orders`: so many of the next orders never reach the books, and nothing is said. `lose_acknowledgements`: of so
    many of the next orders nothing is told until they fill or end. `cut_at_order`: the connection is cut as the next
    order arrives, `unread` or already `taken`. `dialog`: orders and cancels wait, unacknowledged, behind a window that
    a person must close. `duplicate`: what is said of orders is said twice. `reorder_seconds`: each message about an
    order comes up to so much later, on its own. `status_first`: orderStatus goes before its openOrder. `notices`: codes
    and texts sent about every order once it is acknowledged, while it lives. `lose_commissions`: so many of the next
    are never told by themselves. `commission_seconds`: they come so much later. `correct_fills`: so many of the next
    fills are replaced, some seconds later, by a revision at another price. `bust_fills`: so many are taken back some
    seconds later. `farms_down`: what is asked of these farms is not answered; see Desk.break_farm. `id_taken`: every
    client id is in use (326). `competing_session`: market data go to somebody else (10197). `delayed_only`: there are
    delayed quotes and no others. `clock_skew_seconds`: the gateway's clock is so much ahead.

    `greeting_seconds`: the server version comes so much late. `low_ids`: nextValidId is 1, whatever was used.
    `missing`: by reply name, how many of the next rows of downloads are left out; of executions, never a live one:
    `left_out` says which of which request.
    `unset`: by reply name, in how many of the next ones the figures of UNSET_FIGURES are sentinels. `no_prices`: bid
    and ask are -1 in every quote. `execution_seconds`: executions come so much later, after the status that tells of
    them. `only_202`: so many of the next cancels are told by their code alone.

    `struck` is told the switch's name each time that one of so many, or one that waits for its moment, takes effect.
    """

    refuse: bool = False
    silent: bool = False
    half_open: bool = False
    drop_after: int | None = None
    hold_orders_seconds: float = 0.0
    withhold: set[str] = field(default_factory=set)
    spoil: dict[str, int] = field(default_factory=dict)
    lose_fills: int = 0
    lost_fills: set[str] = field(default_factory=set)
    lost_commissions: set[str] = field(default_factory=set)
    backend_down: bool = False
    lose_orders: int = 0
    lose_acknowledgements: int = 0
    cut_at_order: Literal["", "unread", "taken"] = ""
    dialog: bool = False
    duplicate: bool = False
    reorder_seconds: float = 0.0
    status_first: bool = False
    notices: tuple[tuple[int, str], ...] = ()
    lose_commissions: int = 0
    commission_seconds: float = 0.0
    correct_fills: int = 0
    bust_fills: int = 0
    farms_down: set[str] = field(default_factory=set)
    id_taken: bool = False
    competing_session: bool = False
    delayed_only: bool = False
    clock_skew_seconds: float = 0.0
    greeting_seconds: float = 0.0
    low_ids: bool = False
    missing: dict[str, int] = field(default_factory=dict)
    left_out: set[tuple[str, int]] = field(default_factory=set)
    unset: dict[str, int] = field(default_factory=dict)
    no_prices: bool = False
    execution_seconds: float = 0.0
    only_202: int = 0
    own_messages: Callable[[str, dict[str, object]], bool] | None = None
    struck: Callable[[str], None] = lambda switch: None

    def leaves_alone(self, name: str) -> bool:
        """Whether replies of this name go out as they are, whatever they say."""
        return not (
            self.half_open
            or self.own_messages
            or name in self.withhold
            or self.missing.get(name)
            or self.spoil.get(name)
            or self.unset.get(name)
        )

    def lets_pass(self, name: str, values: dict[str, object]) -> bool:
        """Whether a reply is sent at all."""
        if self.half_open or name in self.withhold:
            return False
        if name in self.missing and values.get("reqId") != LIVE and self._counts_down("missing", name):
            self._leave_out(values)
            return False
        return self.own_messages is None or self.own_messages(name, values)

    def _leave_out(self, values: dict[str, object]) -> None:
        match values:
            case {"execId": str(exec_id), "reqId": int(req_id)}:
                self.left_out.add((exec_id, req_id))

    def spoils(self, name: str, values: dict[str, Any]) -> bool:
        """Whether this reply is to be made unreadable; counts down. A row of a download is as good as left out then."""
        is_spoiled = self._counts_down("spoil", name)
        if is_spoiled:
            self._leave_out(values)
        return is_spoiled

    def figures(self, name: str, values: dict[str, Any]) -> dict[str, Any]:
        """The values of a reply, some of them unset when that is due; counts down."""
        return {**values, **UNSET_FIGURES[name]} if self._counts_down("unset", name) else values

    def takes_one(self, count: Counted) -> bool:
        """Whether one of so many is due; counts down."""
        left: int = getattr(self, count)
        if left > 0:
            setattr(self, count, left - 1)
            self.struck(count)
        return left > 0

    def takes_cut(self) -> Literal["", "unread", "taken"]:
        """Whether the connection ends with this order, and before or after the order was taken; once."""
        cut, self.cut_at_order = self.cut_at_order, ""
        if cut:
            self.struck("cut_at_order")
        return cut

    def loses(self, exec_id: str) -> bool:
        """Whether nobody is to hear of this fill; the first question about a new fill decides."""
        if exec_id not in self.lost_fills and self.lose_fills > 0:
            self.lose_fills -= 1
            self.lost_fills.add(exec_id)
            self.struck("lose_fills")
        return exec_id in self.lost_fills

    def clear(self) -> None:
        """Behave again; fills already lost stay lost, and what was left out stays so."""
        clean = Faults(
            lost_fills=self.lost_fills,
            lost_commissions=self.lost_commissions,
            left_out=self.left_out,
            backend_down=self.backend_down,
            farms_down=self.farms_down,
            struck=self.struck,
        )
        for name in self.__slots__:
            setattr(self, name, getattr(clean, name))

    def _counts_down(self, switch: Literal["spoil", "missing", "unset"], name: str) -> bool:
        counts: dict[str, int] = getattr(self, switch)
        left = counts.get(name, 0)
        if left > 0:
            counts[name] = left - 1
            self.struck(switch)
        return left > 0
