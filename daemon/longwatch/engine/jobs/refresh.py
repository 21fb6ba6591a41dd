"""Data refresh: bars of every symbol fetched, cached and judged; what is flawed is named and kept from being traded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from longwatch.data.statistics import Figures, measure
from longwatch.data.validation import Flaw, Rules, barring, judge
from longwatch.domain import messages as m
from longwatch.domain.bars import BarSeries
from longwatch.domain.sessions import Session
from longwatch.engine.desk import Desk, Run
from longwatch.errors import DataError, LongwatchError

AT_ONCE = 8
CENT_OF_A_CENT = Decimal("0.0001")


async def refresh(desk: Desk, run: Run) -> str:
    """Fetch, cache and judge every symbol as of the last completed session; again only what a former attempt lacks.

    Raises DataError when there is no such session, and when a symbol's bars could not be had.
    """
    session, rows = await refreshed(desk, run)
    lacking = [row for row in rows if not row.bars and row.symbol not in desk.state.missing]
    if lacking:
        first = f"{lacking[0].symbol}: {'; '.join(lacking[0].flaws)}"
        raise DataError(f"no bars of {len(lacking)} of {len(rows)} symbols up to {session}; {first}")
    bars, sound = sum(row.bars for row in rows), sum(1 for row in rows if not row.flaws)
    return f"{bars} bars of {len(rows)} symbols up to {session}, {sound} sound, from {desk.provider.name}"


async def refreshed(desk: Desk, run: Run) -> tuple[date, Sequence[m.SeriesJudged]]:
    """The same for a job that goes on with what there is: the session, and each symbol's verdict."""
    await desk.connected()
    session = desk.last_completed()
    if session is None:
        raise DataError("the calendar knows no completed session; set trading.calendar to one that covers today")
    turns = asyncio.Semaphore(AT_ONCE)
    rows = await asyncio.gather(
        *(_one(desk, run, session.date, symbol, size, count, turns) for symbol, size, count in desk.symbols())
    )
    now = desk.clock
    desk.engine.inbox.put(
        m.DataRefreshed(
            at=now.market(), tech=now.technical(), run_id=run.run_id, session=session.date, judged=tuple(rows)
        )
    )
    return session.date, rows


async def _one(
    desk: Desk, run: Run, session: date, symbol: str, bar_size: str, count: int, turns: asyncio.Semaphore
) -> m.SeriesJudged:
    """One symbol's bars and verdict; a failure is a flaw of this symbol alone."""
    known = desk.state.judged.get(symbol)
    is_had = desk.state.judged_session == session and (symbol, bar_size) in desk.history
    if run.attempt > 1 and is_had and known is not None and not known.flaws:
        return replace(known, rebased=None)
    desk.history.pop((symbol, bar_size), None)
    try:
        async with turns:
            series = await _bars(desk, session, symbol, bar_size, count)
        flaws, notes, ratio, found = await _judged(desk, series, session)
    except LongwatchError as error:
        why = str(error).removeprefix(f"{symbol}: ")
        return m.SeriesJudged(symbol=symbol, bars=0, last_session=None, close=None, flaws=(why,))
    if not flaws:
        desk.history[(symbol, bar_size)] = series
    return m.SeriesJudged(
        symbol=symbol,
        bars=len(series),
        last_session=series.last_session(),
        close=price_of(series.close[-1]) if not flaws else None,
        flaws=tuple(flaw.text for flaw in flaws),
        warnings=notes,
        rebased=None if ratio is None else price_of(ratio),
        volatility=found.volatility,
        atr=found.atr,
        average_volume=found.average_volume,
    )


async def _bars(desk: Desk, session: date, symbol: str, bar_size: str, count: int) -> BarSeries:
    """The provider's bars, or the cached ones where it fails and they reach up to `session` all the same."""
    try:
        return await desk.provider.bars(symbol, bar_size=bar_size, until=session, count=count)
    except LongwatchError:
        cache = desk.cache
        if cache is None:
            raise
        kept = await desk.workers.run(
            lambda: cache.read(symbol, bar_size), deadline_seconds=desk.refresh_deadline_seconds
        )
        if kept is None or kept.last_session() != session:
            raise
        return kept.between(max(0, len(kept) - count), len(kept))


def price_of(close: float) -> Decimal:
    """A bar's close as an exact price, to a hundredth of a cent, half to even."""
    return Decimal(repr(close)).quantize(CENT_OF_A_CENT).normalize() + 0


async def _judged(
    desk: Desk, series: BarSeries, session: date
) -> tuple[tuple[Flaw, ...], tuple[str, ...], float | None, Figures]:
    first = series.sessions()[0] if len(series) else session
    sessions = desk.calendar.sessions(first - timedelta(days=7), session)
    rules = Rules(stale_sessions=desk.state.settings.stale_sessions, source_adjusts=desk.source_adjusts)
    found, ratio, figures = await desk.workers.run(
        lambda: _judge_and_cache(desk, series, sessions, session, rules),
        deadline_seconds=desk.refresh_deadline_seconds,
    )
    return barring(found), tuple(flaw.text for flaw in found if not flaw.bars_trading), ratio, figures


def _judge_and_cache(
    desk: Desk, series: BarSeries, sessions: Sequence[Session], session: date, rules: Rules
) -> tuple[tuple[Flaw, ...], float | None, Figures]:
    """What is wrong with the bars, the ratio by which what was cached of them is rebased, and their figures."""
    found = judge(series, sessions, as_of_session=session, rules=rules)
    if barring(found):
        return found, None, Figures()
    ratio = desk.cache.merge(series).ratio if desk.cache is not None else None
    return found, ratio, measure(series, desk.windows)
