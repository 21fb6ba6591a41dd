"""When things happen in the simulated gateway: market instants on one loop timer; used by every part that waits."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from longwatch.clock import Clock

EARLY = timedelta(microseconds=100)
"""A timer may fire this much early by rounding of floats; it then still counts as due."""

SLICE_SECONDS = 0.01
"""When more is due than there is time for, clients are heard and answered this often in between."""


class Appointment:
    """One action at one market instant; `cancel` makes it never happen."""

    __slots__ = ("_action", "_arguments", "instant")

    def __init__(self, instant: datetime, action: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self.instant = instant
        self._action: Callable[..., None] | None = action
        self._arguments = arguments

    def cancel(self) -> None:
        self._action = None
        self._arguments = ()

    @property
    def is_cancelled(self) -> bool:
        return self._action is None

    def keep(self) -> None:
        """Do what was agreed, unless it was cancelled."""
        action, self._action = self._action, None
        if action is not None:
            action(*self._arguments)


class Timeline:
    """Runs actions at market instants, in their order; equal instants run in the order they were asked for.

    `speed` is market seconds per loop second and must be the clock's. Only the earliest instant holds a loop timer, so
    a night or a weekend costs nothing.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock, speed: float = 1.0) -> None:
        self._loop = loop
        self._clock = clock
        self._speed = speed
        self._queue: list[tuple[datetime, int, Appointment]] = []
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None
        self._reached = clock.market()
        self._running = False

    def now(self) -> datetime:
        """Market time, never before an instant whose action has run."""
        self._reached = max(self._reached, self._clock.market())
        return self._reached

    def at(self, instant: datetime, action: Callable[..., None], *arguments: Any) -> Appointment:
        """Run `action(*arguments)` at a market instant; at once (but not within this call) when it has passed."""
        appointment = Appointment(instant, action, arguments)
        self._count += 1
        heapq.heappush(self._queue, (instant, self._count, appointment))
        if not self._running and self._queue[0][2] is appointment:
            self._arm()
        return appointment

    def after(self, seconds: float, action: Callable[..., None], *arguments: Any) -> Appointment:
        """Run `action(*arguments)` in so many market seconds."""
        return self.at(self.now() + timedelta(seconds=seconds), action, *arguments)

    def close(self) -> None:
        """Forget every appointment."""
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._queue and self._queue[0][2].is_cancelled:
            heapq.heappop(self._queue)
        if self._queue:
            wait = (self._queue[0][0] - self.now()).total_seconds() / self._speed
            self._timer = self._loop.call_later(max(wait, 0.0), self._run)

    def _run(self) -> None:
        self._timer = None
        self._running = True
        until = self._loop.time() + SLICE_SECONDS
        try:
            while self._queue and self._queue[0][0] <= self.now() + EARLY and self._loop.time() < until:
                instant, _, appointment = heapq.heappop(self._queue)
                self._reached = max(self._reached, instant)
                appointment.keep()
        finally:
            self._running = False
            self._arm()
