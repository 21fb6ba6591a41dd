"""Signal generation: each strategy, in its own process, turns judged bars into weights; then the capital is set."""

from __future__ import annotations

import asyncio
import json
from datetime import date
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.bars import BarSeries
from longwatch.engine.desk import Desk, Run, StrategyTask
from longwatch.engine.jobs.refresh import refreshed
from longwatch.errors import DataError, LongwatchError, StrategyError
from longwatch.strategies.base import Context
from longwatch.strategies.worker import Request, parameters_text


async def signals(desk: Desk, run: Run) -> str:
    """Ask every strategy, then value the account. Raises DataError when the bars are not of the last session."""
    await desk.connected()
    session = desk.last_completed()
    if session is None:
        raise DataError("the calendar knows no completed session; set trading.calendar to one that covers today")
    if desk.state.judged_session != session.date or not desk.history:
        await refreshed(desk, run)
    enabled = dict(desk.state.settings.allocations)
    chosen = [task for task in desk.strategies if task.name in enabled]
    outcomes = await asyncio.gather(*(_ask(desk, run, task, session.date) for task in chosen))
    await _value(desk, run, session.date)
    return ", ".join(outcomes) or "no strategy is enabled"


async def _ask(desk: Desk, run: Run, task: StrategyTask, session: date) -> str:
    """One strategy's turn; whatever goes wrong is that strategy's own."""
    at, tech = desk.clock.market(), desk.clock.technical()
    try:
        result = await desk.host.run(_request(desk, task, session), deadline_seconds=task.deadline_seconds)
    except StrategyError as error:
        failed = m.StrategyFailed(
            at=at, tech=tech, run_id=run.run_id, strategy=task.name, session=session, reason=str(error)
        )
        desk.engine.inbox.put(failed)
        return f"{task.name} failed"
    weights = tuple(sorted(result.weights.items()))
    desk.engine.inbox.put(
        m.TargetsComputed(
            at=desk.clock.market(),
            tech=desk.clock.technical(),
            run_id=run.run_id,
            strategy=task.name,
            session=session,
            weights=weights,
            memory=result.memory_text,
            source_sha256=result.source_hash,
            seconds=result.seconds,
            parameters=parameters_text(task.code),
        )
    )
    return f"{task.name} named {sum(1 for _, weight in weights if weight)} symbols"


def _request(desk: Desk, task: StrategyTask, session: date) -> Request:
    series: dict[str, BarSeries] = {}
    for symbol in task.needs.universe:
        found = desk.history.get((symbol, task.needs.bar_size))
        if found is not None:
            series[symbol] = found.between(max(0, len(found) - task.needs.lookback), len(found))
    former = desk.state.targets.get(task.name)
    context = Context(
        session=session,
        now=desk.clock.market(),
        memory=json.loads(former.memory) if former else {},
        weights=dict(former.weights) if former else {},
    )
    return Request(code=task.code, series=series, context=context)


async def _value(desk: Desk, run: Run, session: date) -> None:
    """Read the account once more, so that sizing starts from its value at the close."""
    former = desk.state.compared
    desk.broker.request_snapshot("signals")
    fresh = await desk.engine.wait_until(lambda state: state.compared is not former, desk.snapshot_deadline_seconds)
    if not fresh:
        raise LongwatchError("the account could not be read after the signals; targets stay unsized until the next run")
    prices: tuple[tuple[str, Decimal], ...] = tuple(
        (row.symbol, row.close) for row in desk.state.judged.values() if row.close is not None
    )
    at, tech = desk.clock.market(), desk.clock.technical()
    ended = m.SignalsEnded(at=at, tech=tech, run_id=run.run_id, session=session, prices=tuple(sorted(prices)))
    desk.engine.inbox.put(ended)
