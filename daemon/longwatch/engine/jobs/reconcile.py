"""Reconciliation: asks the broker for the account and waits until it has been compared with the book."""

from __future__ import annotations

from longwatch.domain.messages import Link
from longwatch.engine.desk import Desk, Run
from longwatch.errors import LongwatchError


async def reconcile(desk: Desk, run: Run) -> str:
    """One comparison. Raises LongwatchError when the account could not be read in time."""
    if desk.state.link is not Link.READY:
        return "no link; the account is read when it is back"
    former = desk.state.compared
    desk.broker.request_snapshot(run.reason or run.job.replace("_", " "))
    came = await desk.engine.wait_until(lambda state: state.compared is not former, desk.snapshot_deadline_seconds)
    compared = desk.state.compared
    if not came or compared is None:
        raise LongwatchError("the account could not be read in time; the order gate shuts when the last reading is old")
    found = len(compared.differences)
    return f"{compared.positions} positions and {compared.orders} orders compared, {found} differences"
