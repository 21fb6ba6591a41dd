"""What in a simulated run's account is not the daemon's, and when the daemon could know of it; read by evidence."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING

from longwatch.gateway.events import Happened
from longwatch.simulation.booked import ZERO, BookedOrder, Fill

if TYPE_CHECKING:
    from longwatch.simulation.evidence import Evidence

A_MOMENT = timedelta(milliseconds=5)
"""What arrived no earlier than this before an order was written, the daemon need not have known."""
A_SECOND_LOOK = timedelta(seconds=10)
"""How long a difference between book and account must stand to count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """What is in the account's books and not the daemon's."""

    orders: tuple[BookedOrder, ...] = ()
    fills: tuple[Fill, ...] = ()
    busted: tuple[Fill, ...] = ()


class Told:
    """Looks it up in one run's evidence; `at` are market times."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence

    def known(self, con_id: int, at: datetime) -> Decimal:
        """The least shares of others that the daemon must reckon with: by executions heard, and by two comparisons."""
        known = [quantity for quantity, heard_at in self._came.get(con_id, ()) if heard_at <= at - A_MOMENT]
        return max(min(sum(known, ZERO), self.held(con_id, at)), ZERO)

    def buying(self, con_id: int, at: datetime) -> Decimal:
        """What purchases of others may still bring, of orders that a download or their own message has shown."""
        live = (one for one in self._evidence.others.orders if one.con_id == con_id and one.is_buy and one.is_live(at))
        known = (one for one in live if self._shown_from.get(one.perm_id, at) <= at - A_MOMENT)
        return sum((one.remaining(at) for one in known), ZERO)

    @cached_property
    def _shown_from(self) -> dict[int, datetime]:
        """permId -> when the status of an order was first told, as each download of open orders does."""
        found: dict[int, datetime] = {}
        for seen in self._evidence.frames("orderStatus"):
            found.setdefault(int(seen.values["permId"]), seen.at)
        return found

    def held(self, con_id: int, at: datetime) -> Decimal:
        """The account's shares that are not the daemon's, by fills, transfers and assignments."""
        fills = (fill.quantity for fill in self._evidence.others.fills if fill.con_id == con_id and fill.at <= at)
        came = (
            one.event.quantity for one in self._evidence.events if brings(one) and one.con_id == con_id and one.at <= at
        )
        return sum((*fills, *came), ZERO)

    @cached_property
    def _came(self) -> dict[int, list[tuple[Decimal, datetime]]]:
        """By contract: shares of others, and when each was heard of first; what never was is not among them."""
        heard: dict[str, datetime] = {}
        for seen in self._evidence.frames("execDetails"):
            heard.setdefault(str(seen.values["execId"]).rpartition(".")[0], seen.at)
        found: dict[int, list[tuple[Decimal, datetime]]] = defaultdict(list)
        for fill in self._evidence.others.fills:
            if (heard_at := heard.get(fill.exec_id.rpartition(".")[0])) is not None:
                found[fill.con_id].append((fill.quantity, heard_at))
        for one in filter(brings, self._evidence.events):
            if (known_at := self._evidence.compared_twice(one.at)) is not None:
                found[one.con_id].append((one.event.quantity, known_at))
        return dict(found)


def brings(one: Happened) -> bool:
    """Whether it brings shares, or takes them, without a fill."""
    return one.event.kind in ("transfer", "assignment")
