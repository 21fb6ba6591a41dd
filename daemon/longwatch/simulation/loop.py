"""An event loop whose time jumps to the next timer when nothing is left to do; under the demo and every simulation.

Three rules keep a run repeatable. Time stands still while callbacks run, however long they take on the machine. A jump
lands one microsecond past the timer, always the same instant, whatever real sockets did meanwhile. Timers due at the
same instant run in the order they were made.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import selectors
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from contextvars import Context
from math import isfinite
from types import CodeType
from typing import Any, TypeVar, TypeVarTuple, Unpack

from longwatch.clock import real_monotonic
from longwatch.errors import LongwatchError
from longwatch.simulation.transport import MemoryNetwork

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

SECONDS_PER_DAY = 86_400.0
# A caller that re-arms at exactly `time() + interval` until "more than interval" has passed would spin for ever on a
# clock that lands on its timers exactly; ib_insync's throttle does that.
OVERSHOOT_SECONDS = 1e-6
# Real sockets and signals are looked at this often while virtual time runs at full speed.
GLANCE_SECONDS = 0.001
ROUNDS_A_GLANCE = 16
# epoll rounds up to a millisecond: shorter waits are saved up, or many close timers would slow a paced run.
SHORTEST_WAIT_SECONDS = 0.002
# What a suspended machine overslept is not made good by a burst afterwards.
MOST_AHEAD_SECONDS = 0.05


class Deadlock(LongwatchError):
    """Raised when a virtual loop is idle, nothing is scheduled, and no socket or held work can wake it."""

    exit_code = 70


def run(main: Coroutine[Any, Any, T], *, loop: JumpLoop | None = None) -> T:
    """Run `main` to its end on `loop` (a new one at full speed when None), as `asyncio.run` does, and close the loop.

    The loop is the thread's current one meanwhile, since ib_insync and eventkit ask for that. Raises what `main`
    raises, and Deadlock.
    """
    chosen = loop or JumpLoop()
    asyncio.set_event_loop(chosen)
    try:
        with asyncio.Runner(loop_factory=lambda: chosen) as runner:
            return runner.run(main)
    finally:
        asyncio.set_event_loop(None)


class JumpLoop(asyncio.SelectorEventLoop):
    """An asyncio loop in virtual time, which starts at 0 s; real sockets, signals and executors work on it too.

    `pace_seconds_per_day` is how many real seconds an idle virtual day takes, 0 for none. `network` is where
    connections to hosts in memory are made. `hold_limit_seconds` (real) ends a hold that is never released.
    """

    def __init__(self, *, pace_seconds_per_day: float = 0.0, hold_limit_seconds: float = 60.0) -> None:
        self._virtual = _VirtualSelector(self._next_timer, self._deadlock)
        super().__init__(self._virtual)
        # The machine's own resolution would let timers fire early, by an amount that differs between machines.
        self._clock_resolution = 1e-9
        self._hold_limit_seconds = hold_limit_seconds
        self._timer_order = itertools.count()
        self.network: MemoryNetwork | None = None
        self.set_pace(pace_seconds_per_day)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual.now

    def set_pace(self, seconds_per_day: float) -> None:
        """Let an idle virtual day take this many real seconds from now on; 0 is as fast as it goes."""
        if not (isfinite(seconds_per_day) and seconds_per_day >= 0):
            raise ValueError(f"the pace is {seconds_per_day}; it must be 0 or more real seconds a day")
        self._virtual.pace = seconds_per_day / SECONDS_PER_DAY

    @contextmanager
    def hold(self, name: str = "work", *, limit_seconds: float | None = None) -> Iterator[None]:
        """Stop virtual time while real work (a thread, a process) is on its way and will wake the loop.

        After `limit_seconds` real seconds the hold lapses and time jumps on, so that a deadline set for the work comes.
        """
        token = self._virtual.hold(name, self._hold_limit_seconds if limit_seconds is None else limit_seconds)
        try:
            yield
        finally:
            self._virtual.release(token)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """As in asyncio, and of two timers due at the same instant the one made first runs first."""
        self._check_closed()
        timer = _OrderedTimer(when, callback, args, self, context)
        timer.key = (when, next(self._timer_order))
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True
        return timer

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """As in asyncio, with virtual time held until the work is done."""
        future = super().run_in_executor(executor, func, *args)
        token = self._virtual.hold(getattr(func, "__qualname__", "executor"), self._hold_limit_seconds)
        future.add_done_callback(lambda _: self._virtual.release(token))
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """As in asyncio; its thread is real work, so a virtual time-out is no use and is left out."""
        with self.hold("executor shutdown"):
            await super().shutdown_default_executor()

    async def create_connection(  # type: ignore[override]  # asyncio's own is a pair of overloads over twenty options
        self,
        protocol_factory: Callable[[], asyncio.Protocol],
        host: str | None = None,
        port: int | None = None,
        **options: Any,
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """Connect in memory where `network` owns the address, else as asyncio does."""
        if self.network is not None and host is not None and port is not None and self.network.owns(host, port):
            return await self.network.connect(protocol_factory, host, port)
        return await super().create_connection(protocol_factory, host, port, **options)  # type: ignore[arg-type]

    def _next_timer(self) -> float | None:
        scheduled = self._scheduled
        return scheduled[0].key[0] if scheduled else None

    def _deadlock(self, lapsed: list[str]) -> Deadlock:
        waiting = sorted(_where(task) for task in asyncio.all_tasks(self))
        held = f"; holds that lapsed: {', '.join(lapsed)}" if lapsed else ""
        return Deadlock(
            f"The virtual loop is idle at {self.time():.6f} s with nothing scheduled, so nothing can happen any more; "
            f"waiting: {', '.join(waiting) or 'no task'}{held}."
        )

    # Attributes of asyncio's BaseEventLoop (3.11 to 3.14) that its type stubs leave out.
    _scheduled: list[_OrderedTimer]
    _check_closed: Callable[[], None]


class _OrderedTimer(asyncio.TimerHandle):
    """A timer that compares by (instant, order of making)."""

    __slots__ = ("key",)
    key: tuple[float, int]
    _scheduled: bool

    def __lt__(self, other: object) -> bool:
        return self.key < other.key  # type: ignore[attr-defined,no-any-return]  # only ever compared in the loop's heap


class _VirtualSelector(selectors.BaseSelector):
    """Owns virtual time: what asyncio would sleep through, it jumps over, or waits for at the pace set."""

    def __init__(self, next_timer: Callable[[], float | None], deadlock: Callable[[list[str]], Deadlock]) -> None:
        self.now = 0.0
        self.pace = 0.0  # real seconds a virtual second
        self._next_timer = next_timer
        self._deadlock = deadlock
        self._real = selectors.DefaultSelector()
        self._holds: dict[int, tuple[str, float]] = {}
        self._hold_tokens = itertools.count()
        self._glance_at = 0.0
        self._rounds = 0
        self._ahead = 0.0  # real seconds waited that virtual time has not used yet; negative when waits are owed

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Called once a round of the loop; `timeout` is 0 or less when callbacks are ready, None without timers."""
        if timeout is not None and timeout <= 0:
            return self._glance()
        held = self._held_seconds()
        if held > 0:
            return self._real.select(held)
        when = self._next_timer()
        if when is None:
            return self._wait_for_sockets()
        if self.pace:
            return self._wait_at_pace(when)
        events = self._glance()
        if not events:
            self.now = when + OVERSHOOT_SECONDS
        return events

    def _glance(self) -> list[tuple[selectors.SelectorKey, int]]:
        # Reading the clock costs as much as a round of the loop.
        self._rounds += 1
        if self._rounds % ROUNDS_A_GLANCE:
            return []
        at = real_monotonic()
        if at < self._glance_at:
            return []
        self._glance_at = at + GLANCE_SECONDS
        return self._real.select(0)

    def _wait_at_pace(self, when: float) -> list[tuple[selectors.SelectorKey, int]]:
        needed = (when - self.now) * self.pace
        wait = needed - self._ahead
        if wait < SHORTEST_WAIT_SECONDS:
            events = self._glance()
            if events:
                return events
        else:
            began = real_monotonic()
            events = self._real.select(min(wait, SECONDS_PER_DAY))
            self._ahead += real_monotonic() - began
            if self._ahead < needed:
                self._use_part(when)
                return events
        self._ahead = min(self._ahead - needed, MOST_AHEAD_SECONDS)
        self.now = when + OVERSHOOT_SECONDS
        return events

    def _use_part(self, when: float) -> None:
        # A socket woke us early: only the part really waited has passed.
        part = max(0.0, self._ahead)
        self.now = min(when, self.now + part / self.pace)
        self._ahead -= part

    def _wait_for_sockets(self) -> list[tuple[selectors.SelectorKey, int]]:
        if len(self._real.get_map()) > 1:  # one is the loop's own wake-up pipe
            return self._real.select(None)
        events = self._real.select(0)
        if not events:
            raise self._deadlock([name for name, _ in self._holds.values()])
        return events

    def hold(self, name: str, limit_seconds: float) -> int:
        """Stop jumping for at most `limit_seconds` real seconds; returns the token to release."""
        token = next(self._hold_tokens)
        self._holds[token] = (name, real_monotonic() + limit_seconds)
        return token

    def release(self, token: int) -> None:
        """End a hold."""
        self._holds.pop(token, None)

    def _held_seconds(self) -> float:
        if not self._holds:
            return 0.0
        return max(until for _, until in self._holds.values()) - real_monotonic()

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def close(self) -> None:
        self._real.close()

    def get_map(self) -> Any:
        return self._real.get_map()


def _where(task: asyncio.Task[Any]) -> str:
    """A task's name and the innermost line it waits at."""
    waits: Any = task.get_coro()
    place = "not started"
    while waits is not None:
        frame = getattr(waits, "cr_frame", None) or getattr(waits, "gi_frame", None) or getattr(waits, "ag_frame", None)
        if frame is None:
            break
        place = _place(frame.f_code, frame.f_lineno)
        waits = getattr(waits, "cr_await", None) or getattr(waits, "gi_yieldfrom", None)
    return f"{task.get_name()} ({place})"


def _place(code: CodeType, line: int) -> str:
    return f"{code.co_filename.rpartition('/')[2]}:{line} in {code.co_qualname}"
