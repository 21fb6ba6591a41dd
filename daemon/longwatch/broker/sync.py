"""One round of account downloads: what has come, what is missing, what failed; a pure record kept by live.IbBroker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from longwatch.broker.heard import Part
from longwatch.broker.summary import Summary
from longwatch.domain.messages import PositionRow, SnapshotSeen

UNNUMBERED = frozenset({Part.POSITIONS, Part.OPEN_ORDERS, Part.COMPLETED_ORDERS})
"""Downloads whose rows and end mark carry no request id: after a time-out a late end mark would close the next one."""

GONE = frozenset({"Filled", "Cancelled", "ApiCancelled"})

PART_OF_MESSAGE = {
    5: Part.OPEN_ORDERS,
    3: Part.OPEN_ORDERS,
    53: Part.OPEN_ORDERS,
    11: Part.EXECUTIONS,
    55: Part.EXECUTIONS,
    59: Part.EXECUTIONS,
    61: Part.POSITIONS,
    62: Part.POSITIONS,
    63: Part.ACCOUNT,
    64: Part.ACCOUNT,
    101: Part.COMPLETED_ORDERS,
    102: Part.COMPLETED_ORDERS,
}
"""Message id -> the download that a row of it belongs to while one runs."""


class Round:
    """Rows are kept for the given account only; a part that failed once stays failed, whatever still comes."""

    def __init__(self, *, reason: str, account: str, currency: str, started_tech: datetime) -> None:
        self.reason = reason
        self.account = account
        self._summary = Summary(currency)
        self._started_tech = started_tech
        self.waiting: set[Part] = set(Part)
        self._failures: dict[Part, str] = {}
        # con_id -> row; permId -> None, kept in the order of the wire
        self._positions: dict[int, PositionRow] = {}
        self._open: dict[int, None] = {}
        self._nameless: Counter[tuple[str, int, int]] = Counter()
        self._completed: dict[int, None] = {}
        self._executions: dict[str, None] = {}

    @property
    def is_over(self) -> bool:
        """Whether every part has ended, well or badly."""
        return not self.waiting

    def is_waiting(self, part: Part) -> bool:
        """Whether the end mark of `part` is still to come."""
        return part in self.waiting

    def position(self, account: str, row: PositionRow) -> None:
        """A row of the position download."""
        if account == self.account:
            self._positions[row.con_id] = row

    def open_order(self, account: str, perm_id: int, status: str) -> None:
        """An order as message 5 shows it; one that has ended is not open."""
        if account not in ("", self.account) or not perm_id:
            return
        if status in GONE:
            self._open.pop(perm_id, None)
        elif self.is_waiting(Part.OPEN_ORDERS):
            self._open[perm_id] = None

    def place_of(self, account: str, client_id: int, con_id: int) -> int:
        """How many orders without an id, of this client in this instrument, the download has shown before this one."""
        if not self.is_waiting(Part.OPEN_ORDERS):
            return 0
        place = self._nameless[account, client_id, con_id]
        self._nameless[account, client_id, con_id] += 1
        return place

    def order_status(self, perm_id: int, status: str) -> None:
        """Message 3 during the round: an order may end before the round does."""
        if status in GONE:
            self._open.pop(perm_id, None)

    def completed(self, account: str, perm_id: int) -> None:
        """A completed order."""
        if account in ("", self.account):
            self._completed[perm_id] = None

    def execution(self, account: str, exec_id: str) -> None:
        """An execution, from the download or live."""
        if account == self.account:
            self._executions[exec_id] = None

    def value(self, account: str, tag: str, value: Decimal | str | None, currency: str) -> None:
        """A row of the account summary."""
        if account == self.account:
            self._summary.row(tag, value, currency)

    def end(self, part: Part) -> None:
        """The end mark of `part` came."""
        self.waiting.discard(part)
        if part is Part.ACCOUNT and part not in self._failures:
            lacks = self._summary.lacks()
            if lacks:
                self.fail(part, f"{lacks} for account {self.account}")

    def fail(self, part: Part, reason: str) -> None:
        """A row of `part` could not be used; its end mark is still waited for."""
        self._failures.setdefault(part, reason)

    def give_up(self, part: Part, reason: str) -> None:
        """`part` failed and nothing more will come of it."""
        self.fail(part, reason)
        self.waiting.discard(part)

    def snapshot(self, *, at: datetime, tech: datetime, trading_type: str = "") -> SnapshotSeen:
        """What the round amounts to; a failed part is None, never empty."""
        is_valued = Part.ACCOUNT not in self._failures
        return SnapshotSeen(
            at=at,
            tech=tech,
            reason=self.reason,
            positions=None if Part.POSITIONS in self._failures else tuple(self._positions.values()),
            open_perm_ids=self._ids(Part.OPEN_ORDERS, self._open),
            completed_perm_ids=self._ids(Part.COMPLETED_ORDERS, self._completed),
            exec_ids=None if Part.EXECUTIONS in self._failures else tuple(self._executions),
            net_liquidation=self._summary.figure("NetLiquidation") if is_valued else None,
            cash=self._summary.figure("TotalCashValue") if is_valued else None,
            started_tech=self._started_tech,
            failures=tuple((part.value, self._failures[part]) for part in Part if part in self._failures),
            figures=self._summary.figures(trading_type, self._started_tech) if is_valued else None,
        )

    def _ids(self, part: Part, ids: Iterable[int]) -> tuple[int, ...] | None:
        return None if part in self._failures else tuple(ids)
