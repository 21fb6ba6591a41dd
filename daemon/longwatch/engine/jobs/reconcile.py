"""Reconciliation: asks the broker for the account, waits until it has been compared with the book, looks at losses."""

from __future__ import annotations

from longwatch.domain.messages import HoldingsQuoted, Link
from longwatch.domain.risk.session_losses import looked
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
    _look_at_losses(desk)
    found = len(compared.differences)
    return f"{compared.positions} positions and {compared.orders} orders compared, {found} differences"


def _look_at_losses(desk: Desk) -> None:
    """What is held, at its quotes of now; told to the engine only where something follows from them."""
    held = {holding.symbol for holding in desk.state.book.values()}
    quotes = tuple(quote for quote in desk.broker.quotes() if quote.symbol in held)
    event = HoldingsQuoted(at=desk.clock.market(), tech=desk.clock.technical(), quotes=quotes)
    if next(looked(desk.state, event), None) is not None:
        desk.engine.inbox.put(event)
