"""Rebalance: waits for an open gate and fresh quotes within its latest start, then asks for a decision on them all."""

from __future__ import annotations

import asyncio

from longwatch.domain import messages as m
from longwatch.domain.order_life.evidence import FLATTEN, SELLS_ENDED, has_room, may_close_more, may_go_on
from longwatch.domain.order_life.patience import REST, is_left
from longwatch.domain.risk.readiness import is_ready, reasons
from longwatch.engine.desk import Desk, Run
from longwatch.errors import LongwatchError

LOOK_SECONDS = 1.0


async def rebalance(desk: Desk, run: Run) -> str:
    """One decision on every target. Raises LongwatchError when the gate stays shut until the run is no longer valid."""
    if (why := _is_moot(desk, run)) is not None:
        return why
    await _ready(desk, run)
    await _fresh_quotes(desk)
    if (why := _is_moot(desk, run)) is not None:
        return why
    at, tech = desk.clock.market(), desk.clock.technical()
    desk.engine.inbox.put(
        m.RebalanceDue(at=at, tech=tech, run_id=run.run_id, session=desk.current(), quotes=desk.broker.quotes())
    )
    decided = await desk.engine.wait_until(lambda state: _came(desk, run), desk.snapshot_deadline_seconds)
    made = desk.state.rebalance
    if not decided or made is None:
        raise LongwatchError("no decision came of the rebalance; look at the log for an event that was not digested")
    return (
        f"{made.intended} orders, {made.clamped} clamped, {made.refused} refused, {made.waiting} to be looked at again"
    )


def _is_moot(desk: Desk, run: Run) -> str | None:
    """Why what the run was asked for is no longer to be done; also asked once it has waited."""
    if run.reason == FLATTEN and not may_close_more(desk.state, desk.clock.market()):
        return "nothing is left to close"
    if run.reason == SELLS_ENDED and desk.current() is None:
        return "the session is over"
    if run.reason == SELLS_ENDED and not (may_go_on(desk.state) or has_room(desk.state)):
        return "nothing waits any more"
    if run.reason == REST and not is_left(desk.state, desk.clock.market()):
        return "nothing is left of orders whose time was up"
    return None


def _came(desk: Desk, run: Run) -> bool:
    made = desk.state.rebalance
    return made is not None and made.run_id == run.run_id


async def _ready(desk: Desk, run: Run) -> None:
    while not is_ready(desk.state, desk.clock.technical()):
        if desk.clock.market() >= run.valid_until:
            why = "; ".join(reasons(desk.state, desk.clock.technical()))
            raise LongwatchError(f"the order gate stayed shut until the latest start: {why}")
        await asyncio.sleep(LOOK_SECONDS)


async def _fresh_quotes(desk: Desk) -> None:
    """Ask anew for quotes that have stood still, and give them a moment; whoever has none then is refused by a check.

    Ticks come when something changes: an old quote may be a quiet market or a dead subscription. A new one starts with
    the quote as it stands, and tells which.
    """
    if _all_fresh(desk):
        return
    symbols = tuple(sorted(desk.state.instruments))
    desk.broker.watch(())
    desk.broker.watch(symbols)
    loop = asyncio.get_running_loop()
    until = loop.time() + desk.quote_warmup_seconds
    while not _all_fresh(desk) and loop.time() < until:  # noqa: ASYNC110 - quotes are conflated and tell no one
        await asyncio.sleep(LOOK_SECONDS)


def _all_fresh(desk: Desk) -> bool:
    now, limit = desk.clock.technical(), desk.state.settings.max_quote_age_seconds
    quoted = {quote.symbol: quote for quote in desk.broker.quotes()}
    for symbol in desk.state.instruments:
        quote = quoted.get(symbol)
        age = quote.age_seconds(now) if quote else None
        if quote is None or quote.bid is None or quote.ask is None or age is None or age > limit:
            return False
    return True
