"""What orders of an OCA group had filled and nothing had told of, when another order of it was written; for invariants.

What arrived on the wire says it: an execution, a status that counts the fill, or a position that it had made smaller.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING

from longwatch.simulation.booked import ZERO, BookedOrder, Fill
from longwatch.simulation.told import A_MOMENT

if TYPE_CHECKING:
    from longwatch.simulation.evidence import Evidence

Told = list[tuple[datetime, Decimal]]


class InFlight:
    """Looks it up in one run's evidence; `at` are market times, shares unsigned."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence

    def sales(self, con_id: int, group: str, at: datetime) -> Iterator[tuple[BookedOrder, Decimal]]:
        """The sells of a group with what each had filled, and nothing had told of a moment before an instant."""
        for order in self._groups.get((con_id, group), ()):
            if (unheard := self._unheard(order, at)) > 0:
                yield order, unheard

    def _unheard(self, order: BookedOrder, at: datetime) -> Decimal:
        by, counted, unheard = at - A_MOMENT, ZERO, ZERO
        statuses = (filled for told_at, filled in self._statuses.get(order.perm_id, ()) if told_at <= by)
        told = max(statuses, default=ZERO)
        for fill in sorted((one for one in order.fills if one.at <= at), key=lambda one: one.at):
            counted += abs(fill.quantity)
            if counted > told and not self._is_told(fill, by):
                unheard += abs(fill.quantity)
        return unheard

    def _is_told(self, fill: Fill, by: datetime) -> bool:
        """Whether its execution had arrived, or a position no larger than the one that it left."""
        heard_at = self._executions.get(_number(fill.exec_id))
        if heard_at is not None and heard_at <= by:
            return True
        left = self._evidence.position(fill.con_id, fill.at) + self._evidence.told.held(fill.con_id, fill.at)
        shown = self._positions.get(fill.con_id, ())
        return any(fill.at <= told_at <= by and position <= left for told_at, position in shown)

    @cached_property
    def _groups(self) -> dict[tuple[int, str], list[BookedOrder]]:
        found: dict[tuple[int, str], list[BookedOrder]] = defaultdict(list)
        for order in self._evidence.orders:
            if order.oca_group and not order.is_buy:
                found[order.con_id, order.oca_group].append(order)
        return dict(found)

    @cached_property
    def _executions(self) -> dict[str, datetime]:
        """An execution, whatever corrections it has had -> when it was first told."""
        found: dict[str, datetime] = {}
        for seen in self._evidence.frames("execDetails"):
            found.setdefault(_number(str(seen.values["execId"])), seen.at)
        return found

    @cached_property
    def _statuses(self) -> dict[int, Told]:
        """permId -> when how many shares were told to be filled."""
        return self._told("orderStatus", "permId", "filled")

    @cached_property
    def _positions(self) -> dict[int, Told]:
        """Contract -> when how many shares were told to be held."""
        return self._told("position", "conId", "position")

    def _told(self, name: str, key: str, value: str) -> dict[int, Told]:
        found: dict[int, Told] = defaultdict(list)
        for seen in self._evidence.frames(name):
            found[int(seen.values[key])].append((seen.at, Decimal(seen.values[value])))
        return dict(found)


def _number(exec_id: str) -> str:
    """What all corrections of one execution share."""
    return exec_id.rpartition(".")[0] or exec_id
