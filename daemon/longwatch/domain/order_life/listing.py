"""How far back the gateway's list of executions reaches, which begins anew at its midnight; for busts and reconcile.

Nothing tells for sure in which zone that midnight is: the greeting names the machine's, the login may have another. But
midnights of all zones fall on quarters of an hour, so no list begins within one.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from longwatch.domain import messages as m
from longwatch.domain.state import State

QUARTER = timedelta(minutes=15)
CLOCKS = timedelta(minutes=1)
"""By how much the clocks of exchange, gateway and this machine may differ."""
UNREVISED = "01"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def reaches_back_to(state: State, at: datetime, event: m.SnapshotSeen) -> bool:
    """Whether no midnight, of whatever zone, can have taken from the list what was executed at that time.

    None can where the list shows an execution as old, or one of the same quarter of an hour, or that quarter lasts on.
    A revision proves nothing: it may have been told after a midnight, with the time of what it corrects.
    """
    listed = {name for name in event.exec_ids or () if name.rpartition(".")[2] == UNREVISED}
    shown = (fill.executed_at for fill in state.fills.values() if fill.exec_id in listed)
    oldest = min(shown, default=event.at)
    return oldest <= at or is_one_quarter(at, min(oldest, event.at))


def is_one_quarter(early: datetime, late: datetime) -> bool:
    """Whether no quarter of an hour has begun between two times, by any of the clocks."""
    latest = late + CLOCKS
    return latest - (latest - EPOCH) % QUARTER <= early
