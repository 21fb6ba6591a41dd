"""What the jobs work with: the engine's state, the ports, and the strategies with what they need; built by app.py."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from longwatch.clock import Clock
from longwatch.data.cache import Cache
from longwatch.data.statistics import Windows
from longwatch.domain.bars import BarSeries
from longwatch.domain.messages import Link
from longwatch.domain.sessions import Session
from longwatch.domain.state import State
from longwatch.engine.loop import Engine
from longwatch.ports import Broker, Calendar, Provider, Workers
from longwatch.strategies.base import Needs
from longwatch.strategies.host import Host
from longwatch.strategies.worker import Code

CALENDAR_BEHIND = timedelta(days=14)
CALENDAR_AHEAD = timedelta(days=45)


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyTask:
    """One enabled strategy: its code, what it asks for, and how long it may take."""

    name: str
    code: Code
    needs: Needs
    deadline_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a job: deterministic id, due instant and end of validity, both market time; `attempt` from 1."""

    job: str
    run_id: str
    due_at: datetime
    valid_until: datetime
    reason: str = ""
    attempt: int = 1


@dataclass(slots=True, kw_only=True)
class Desk:
    """Everything a job may use. `history` holds the newest judged bars by (symbol, bar size)."""

    engine: Engine
    broker: Broker
    provider: Provider
    cache: Cache | None
    workers: Workers
    host: Host
    calendar: Calendar
    clock: Clock
    strategies: tuple[StrategyTask, ...]
    history_bars: int
    windows: Windows
    source_adjusts: bool
    refresh_deadline_seconds: float
    quote_warmup_seconds: float
    snapshot_deadline_seconds: float
    history: dict[tuple[str, str], BarSeries] = field(default_factory=dict)

    @property
    def state(self) -> State:
        """The engine's state."""
        return self.engine.state

    async def connected(self) -> None:
        """Wait until the account is read and every symbol is a known contract or known to be none; not for ever."""

        def is_known(state: State) -> bool:
            told = state.instruments.keys() | state.missing.keys()
            return state.link is Link.READY and told.issuperset(state.settings.universe)

        await self.engine.wait_until(is_known, self.snapshot_deadline_seconds)

    def symbols(self) -> tuple[tuple[str, str, int], ...]:
        """Every (symbol, bar size, bars needed) of every strategy, once each, in order."""
        wanted: dict[tuple[str, str], int] = {}
        for task in self.strategies:
            for symbol in task.needs.universe:
                key = (symbol, task.needs.bar_size)
                wanted[key] = max(wanted.get(key, self.history_bars), task.needs.lookback + 1)
        return tuple((symbol, size, count) for (symbol, size), count in sorted(wanted.items()))

    def sessions_around(self, day: date) -> list[Session]:
        """Sessions from a fortnight before `day` to six weeks after it."""
        return self.calendar.sessions(day - CALENDAR_BEHIND, day + CALENDAR_AHEAD)

    def last_completed(self) -> Session | None:
        """The newest session that has ended, by the state's own sessions."""
        now = self.clock.market()
        return newest_ended(self.state.sessions, now)

    def current(self) -> Session | None:
        """The session that is open now, or None."""
        now = self.clock.market()
        return next((session for session in self.state.sessions if session.is_open(now)), None)


def newest_ended(sessions: Iterable[Session], now: datetime) -> Session | None:
    """The last session whose close is not after `now`."""
    ended = [session for session in sessions if session.close_at <= now]
    return ended[-1] if ended else None
