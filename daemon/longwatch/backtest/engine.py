"""A backtest: the daemon's own decisions, strategies, sizing, risk and orders over history, without loop and gateway.

Called by backtest/command.py and by benches. The events are those that a broker and the jobs give the daemon, in their
order; jobs are due when the configuration's schedule says. What differs from a live run is told in docs/backtest.md.
"""

from __future__ import annotations

import heapq
import json
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import assert_never

from longwatch.backtest.copied import Copied
from longwatch.backtest.inputs import Strategy, exchange_of, histories_of, strategies_of, universe_of
from longwatch.backtest.market import Market
from longwatch.backtest.result import Day, Result
from longwatch.backtest.timeline import LEFT, Timeline
from longwatch.broker.exchange import NO_MARGIN, MockExchange
from longwatch.config.schema import Settings
from longwatch.config.trade import trade_settings
from longwatch.domain import messages as m
from longwatch.domain.bars import BarSeries
from longwatch.domain.decide import Step, gate, next_deadline, step
from longwatch.domain.sessions import Session
from longwatch.domain.state import State
from longwatch.engine.schedule import run_id
from longwatch.errors import ConfigError, StrategyError
from longwatch.ports import Calendar
from longwatch.strategies.base import Context
from longwatch.strategies.worker import Request, compute, parameters_text

ZERO = Decimal(0)
AGAIN = timedelta(seconds=1)
MOST_TURNS = 8
"""Decisions in one session: the first, and those asked for when sells have ended."""

Observe = Callable[[m.Event, Step], None]
Due = tuple[datetime, int, Callable[[], None]]


def run(
    settings: Settings,
    series: Mapping[str, BarSeries],
    calendar: Calendar,
    *,
    start: date,
    end: date,
    fills_from: Copied | None = None,
    folder: Path | None = None,
    slippage_bps: Decimal = ZERO,
    observe: Observe = lambda event, what: None,
) -> Result:
    """Trade the sessions from `start` to `end`, both included, on what was known before the first of them.

    `folder` is what strategies' relative paths count from; `slippage_bps` moves fills against us; `observe` is told of
    every event and what came of it, as a journal would be. Raises ConfigError, DataError, StrategyError.
    """
    strategies = strategies_of(settings, folder)
    copied = fills_from or Copied()
    exchange = exchange_of(settings, copied, slippage_bps)
    timeline = Timeline(calendar, series.values(), start, end)
    return _Run(settings, series, timeline, strategies, exchange, copied, observe).play()


class _Run:
    """One run: a state, an exchange, and the clock hands that the schedule moves."""

    def __init__(
        self,
        settings: Settings,
        series: Mapping[str, BarSeries],
        timeline: Timeline,
        strategies: Sequence[Strategy],
        exchange: MockExchange,
        copied: Copied,
        observe: Observe,
    ) -> None:
        self._settings = settings
        self._timeline = timeline
        self._strategies = strategies
        self._observe = observe
        self._universe = universe_of(strategies)
        self._history = histories_of(settings, series, timeline, strategies)
        self._market = Market(self._universe, self._history, timeline, exchange, copied)
        self._state = State()
        self._days: list[Day] = []
        self._alerts: Counter[str] = Counter()
        self._traded = ZERO
        self._again = False
        self._now = timeline.begins_at
        self._seen: tuple[Session, ...] = ()

    def play(self) -> Result:
        """The whole run."""
        self._start()
        self._signals()
        for at, _, job in self._agenda():
            self._pass_to(at)
            job()
        self._snapshot("the run has ended")
        return Result(
            days=tuple(self._days), initial=self._settings.initial_capital, state=self._state, alerts=dict(self._alerts)
        )

    def _agenda(self) -> Iterator[Due]:
        """Every job of the run in order of time; a session's close comes before a job due at the same instant."""
        jobs = {"refresh": self._refresh, "signals": self._signals, "rebalance": self._rebalance}
        traded, before = self._timeline.traded, timedelta(minutes=self._settings.execution.at_close_minutes)
        closes = ((session.close_at, 0, partial(self._close, session)) for session in traded)
        lasts = ((session.close_at - before, 0, partial(self._near_close, session)) for session in traded)
        due = (self._due(name, rank, job) for rank, (name, job) in enumerate(jobs.items(), 1))
        ends = (closes, lasts) if self._settings.execution.at_close != "leave" else (closes,)
        return heapq.merge(*ends, *due, key=lambda entry: entry[:2])

    def _due(self, name: str, rank: int, job: Callable[[], None]) -> Iterator[Due]:
        return ((at, rank, job) for at in self._timeline.due(name, self._settings))

    # ── what happens when ───────────────────────────────────────────────────────────────────────────────────────────

    def _start(self) -> None:
        """The first events of every run, and a link that is up at once."""
        at, settings = self._now, self._settings
        account = self._market.exchange.account
        universes = tuple((strategy.name, strategy.loaded.needs.universe) for strategy in self._strategies)
        chosen = replace(trade_settings(settings, self._universe, universes), mode="backtest", attached_stops=False)
        self._hear(
            m.DaemonStarted(
                at=at,
                tech=at,
                journal_id="backtest",
                account=account,
                mode="backtest",
                client_id=settings.ib.client_id,
                version="backtest",
            )
        )
        self._hear(m.ConfigLoaded(at=at, tech=at, settings=chosen, sha256="backtest"))
        self._know_sessions()
        self._hear(m.LinkOpening(at=at, tech=at, attempt=1))
        self._hear(
            m.LinkUp(
                at=at,
                tech=at,
                client_id=settings.ib.client_id,
                next_order_id=1,
                accounts=(account,),
                server_version=0,
            )
        )
        self._hear(m.ClockSeen(at=at, tech=at, skew_seconds=0.0))

    def _refresh(self) -> None:
        session = self._timeline.ended_by(self._now)
        judged = tuple(self._judged(symbol, session.date) for symbol in self._universe)
        self._hear(
            m.DataRefreshed(
                at=self._now, tech=self._now, run_id=self._run_id("refresh"), session=session.date, judged=judged
            )
        )

    def _signals(self) -> None:
        session = self._timeline.ended_by(self._now)
        if self._state.judged_session != session.date:
            self._refresh()
        for strategy in self._strategies:
            self._hear(self._targets(strategy, session.date))
        self._snapshot("signals")
        prices = tuple(sorted((row.symbol, row.close) for row in self._state.judged.values() if row.close is not None))
        run = self._run_id("signals")
        self._hear(m.SignalsEnded(at=self._now, tech=self._now, run_id=run, session=session.date, prices=prices))

    def _targets(self, strategy: Strategy, session: date) -> m.Event:
        at, run = self._now, self._run_id("signals")
        try:
            weights, memory = compute(strategy.loaded, self._request(strategy, session))
        except StrategyError as error:
            return m.StrategyFailed(
                at=at, tech=at, run_id=run, strategy=strategy.name, session=session, reason=str(error)
            )
        return m.TargetsComputed(
            at=at,
            tech=at,
            run_id=run,
            strategy=strategy.name,
            session=session,
            weights=tuple(sorted(weights.items())),
            memory=json.dumps(memory, sort_keys=True, separators=(",", ":")),
            source_sha256=strategy.loaded.source_hash,
            seconds=0.0,
            parameters=parameters_text(strategy.code),
        )

    def _request(self, strategy: Strategy, session: date) -> Request:
        needs, former = strategy.loaded.needs, self._state.targets.get(strategy.name)
        series = {
            symbol: self._history[symbol].window(session, needs.lookback)
            for symbol in needs.universe
            if symbol in self._history and not self._state.judged[symbol].flaws
        }
        context = Context(
            session=session,
            now=self._now,
            memory=json.loads(former.memory) if former else {},
            weights=dict(former.weights) if former else {},
        )
        return Request(code=strategy.code, series=series, context=context)

    def _pass_to(self, at: datetime) -> None:
        """Time passes: the deadlines in the state come, and what they ask for is done."""
        while (due := next_deadline(self._state)) is not None and due < at:
            self._now = max(due, self._now)
            self._again = False
            self._hear(m.TimeReached(at=self._now, tech=self._now))
            if self._again:
                self._rebalance()
        self._now = at

    def _near_close(self, session: Session) -> None:
        """The rest of the session's orders is cancelled, or goes into its auction."""
        for event in self._market.trade_through(session, self._now):
            self._hear(event)
        self._again = False
        self._snapshot("near the close")
        if self._again:
            self._rebalance()

    def _rebalance(self) -> None:
        """One decision, and another whenever sells have made room, as the daemon's job runner gives it."""
        session = self._timeline.open_at(self._now)
        run = self._run_id("rebalance")
        for turn in range(MOST_TURNS):
            self._snapshot("scheduled")
            self._again = False
            self._hear(
                m.RebalanceDue(
                    at=self._now,
                    tech=self._now,
                    run_id=run,
                    session=session,
                    quotes=self._market.quotes(self._now, turn),
                )
            )
            if not self._again:
                return
            self._now += AGAIN
            run = self._run_id("rebalance")

    def _close(self, session: Session) -> None:
        """The session ends: what rests expires, positions are valued at the close, and the day is noted."""
        for event in self._market.end(session):
            self._hear(event)
        traded, self._traded = self._traded, ZERO
        equity, exposure = self._market.exchange.equity(), self._market.exposure()
        self._days.append(Day(session=session.date, equity=equity, exposure=exposure, traded=traded))
        self._know_sessions()

    # ── the one flow, without a loop ────────────────────────────────────────────────────────────────────────────────

    def _hear(self, event: m.Event) -> None:
        """Decide on an event, act on what follows, and hear what that brings, first in, first out."""
        waiting = deque([event])
        while waiting:
            heard = waiting.popleft()
            if isinstance(heard, m.ExecutionSeen):
                self._traded += heard.quantity * heard.price
            what = step(self._state, heard)
            self._observe(heard, what)
            for effect in what.effects:
                waiting.extend(self._act(effect))

    def _act(self, effect: m.Effect) -> Sequence[m.Event]:
        match effect:
            case m.SubmitOrder():
                return self._submit(effect)
            case m.ModifyOrder():
                return self._modify(effect)
            case m.RequestWhatIf(order=order):
                return (m.OrderWithheld(at=self._now, tech=self._now, intent=order.intent, reason=NO_MARGIN),)
            case m.CancelOrder(order_id=order_id):
                return self._market.cancel(order_id, self._now)
            case m.BeginSync():
                known = tuple(self._market.instruments.values())
                return (
                    self._market.account("sync", self._now),
                    m.InstrumentsSeen(at=self._now, tech=self._now, instruments=known),
                )
            case m.RequestSnapshot(reason=reason, after_seconds=0):
                return (self._market.account(reason, self._now),)
            case m.Watch():
                return ()  # Nothing is held that no strategy has bought.
            case m.RequestSnapshot():
                return ()  # Here no message is late, so a second look shows nothing else.
            case m.DropLink(reason=reason):
                raise ConfigError(f"the account can't be traded: {reason}")
            case m.RunJob(job=job):
                self._again = self._again or job == "rebalance"
                return ()
            case m.RaiseAlert(key=key):
                self._alerts[key] += 1
                return ()
            case _:
                assert_never(effect)

    def _submit(self, effect: m.SubmitOrder) -> Sequence[m.Event]:
        """The order gate is asked once more at the write, as on a socket; then the exchange answers."""
        intent, at = effect.order.intent, self._now
        reason = gate(self._state, intent, at)
        if reason is not None:
            return (m.OrderWithheld(at=at, tech=at, intent=intent, reason=reason),)
        return (m.OrderHanded(at=at, tech=at, intent=intent), *self._market.submit(effect, at))

    def _modify(self, effect: m.ModifyOrder) -> Sequence[m.Event]:
        intent, change, at = effect.order.intent, effect.order.changed, self._now
        reason = gate(self._state, intent, at)
        if reason is not None:
            return (m.OrderWithheld(at=at, tech=at, intent=intent, change=change, reason=reason),)
        handed = m.OrderHanded(at=at, tech=at, intent=intent, change=change)
        return (handed, *self._market.modify(effect.order, at))

    def _snapshot(self, reason: str) -> None:
        self._hear(self._market.account(reason, self._now))

    def _judged(self, symbol: str, session: date) -> m.SeriesJudged:
        history = self._history.get(symbol)
        if history is not None:
            return history.judged(session)
        reason = f"{symbol}: there are no bars"
        return m.SeriesJudged(symbol=symbol, bars=0, last_session=None, close=None, flaws=(reason,))

    def _run_id(self, job: str) -> str:
        return run_id(job, self._now)

    def _know_sessions(self) -> None:
        """Keep the sessions known to the state reaching well ahead, as the daemon's job runner does."""
        if self._seen and self._seen[-1].close_at - self._now > LEFT:
            return
        seen = self._timeline.seen_from(self._now)
        if seen != self._seen:
            self._seen = seen
            self._hear(m.CalendarLoaded(at=self._now, tech=self._now, sessions=seen))
