"""The one budget of outgoing messages: every request waits here for its turn; filled by the parts of live.IbBroker.

One token model after the generic cell rate algorithm: data leave evenly spaced at the rate; orders and cancels may run
ahead of it by a small allowance, which the following frames pay back, so that an order never waits on an idle link and
the rate over a second is kept all the same.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from longwatch.broker.pacing import HistoryPacer, Pace
from longwatch.quick import quick

# Timers may fire a hair early, and virtual clocks land a hair late.
SLACK_SECONDS = 1e-6


class Priority(IntEnum):
    """Who goes first; within one, first in, first out."""

    CANCEL = 0
    ORDER = 1
    ACCOUNT = 2
    DATA = 3
    HISTORY = 4


HURRIED = frozenset({Priority.CANCEL, Priority.ORDER})


def _nothing() -> None:
    return None


def _nothing_said(reason: str) -> None:
    return None


def _always() -> str | None:
    return None


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What is written at once: one message, or as many as `messages` says.

    `gate` is asked at the moment of writing and withholds it by a reason; `written` follows the write; `withheld` is
    told why the frame never left. `key` is what `withdraw` finds it by.
    """

    priority: Priority
    data: bytes
    gate: Callable[[], str | None] = _always
    written: Callable[[], None] = _nothing
    withheld: Callable[[str], None] = _nothing_said
    pace: Pace | None = None
    key: int | None = None
    messages: int = 1


class Budget:
    """Queues frames by priority and writes them at no more than `rate` a second.

    `hurried_burst` is how many orders and cancels may run ahead of the even spacing. `write`, given to `open`, returns
    whether the bytes were given to the transport.
    """

    def __init__(
        self, *, rate: float, hurried_burst: int, loop: asyncio.AbstractEventLoop, pacer: HistoryPacer
    ) -> None:
        self._interval = 1.0 / rate
        self._ahead = hurried_burst * self._interval
        self._loop = loop
        self._pacer = pacer
        self._queues: dict[Priority, deque[Frame]] = {priority: deque() for priority in Priority}
        self._write: Callable[[bytes], bool] | None = None
        self._free_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._pumping = False
        self.written = 0

    def put(self, frame: Frame) -> None:
        """Queue a frame, and write it at once when its turn is now. Without a link it is withheld."""
        if self._write is None:
            frame.withheld("there is no link to the gateway")
            return
        self._queues[frame.priority].append(frame)
        self._pump()

    def open(self, write: Callable[[bytes], bool]) -> None:
        """A link is up: frames go to `write` from here on."""
        self._write = write

    def close(self, reason: str) -> None:
        """The link is gone: everything queued is withheld, proven unsent."""
        self._write = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for queue in self._queues.values():
            while queue:
                queue.popleft().withheld(reason)

    def withdraw(self, key: int, reason: str) -> bool:
        """Take a queued order back; False when it is not queued, or no longer."""
        queue = self._queues[Priority.ORDER]
        for at, frame in enumerate(queue):
            if frame.key == key:
                del queue[at]
                frame.withheld(reason)
                return True
        return False

    def queued(self) -> dict[Priority, int]:
        """How many frames wait, by priority."""
        return {priority: len(queue) for priority, queue in self._queues.items()}

    def _pump(self) -> None:
        # A frame's callbacks may queue more: the loop below sees them.
        if self._pumping:
            return
        self._pumping = True
        try:
            wait = self._drain()
        finally:
            self._pumping = False
        self._arm(wait)

    def _drain(self) -> float | None:
        """Write what may leave now; seconds until more may, or None when nothing waits."""
        while self._write is not None:
            now = self._loop.time()
            frame, wait = self._next(now)
            if frame is None:
                return wait
            self._send(frame, self._write, now)
        return None

    def _next(self, now: float) -> tuple[Frame | None, float | None]:
        for priority, queue in self._queues.items():
            if not queue:
                continue
            # Of several messages the last one has to be in time too.
            due = self._free_at + (queue[0].messages - 1) * self._interval
            due -= self._ahead if priority in HURRIED else 0.0
            if now + SLACK_SECONDS < due:
                return None, due - now
            if priority is not Priority.HISTORY:
                return queue.popleft(), None
            return self._paced(queue, now)
        return None, None

    def _paced(self, queue: deque[Frame], now: float) -> tuple[Frame | None, float | None]:
        """The first frame of the queue that IB's rules let go now, or the time until one may."""
        shortest = float("inf")
        for at, frame in enumerate(queue):
            wait = 0.0 if frame.pace is None else self._pacer.wait_seconds(frame.pace, now)
            if wait <= SLACK_SECONDS:
                del queue[at]
                return frame, None
            shortest = min(shortest, wait)
        return None, shortest

    def _send(self, frame: Frame, write: Callable[[bytes], bool], now: float) -> None:
        reason = frame.gate()
        if reason is not None:
            frame.withheld(reason)
            return
        if not write(frame.data):
            frame.withheld("the link to the gateway is closing")
            return
        self._free_at = max(self._free_at, now) + frame.messages * self._interval
        self.written += frame.messages
        if frame.pace is not None:
            self._pacer.sent(frame.pace, now)
        frame.written()

    def _arm(self, wait: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if wait is not None and self._write is not None:
            self._timer = self._loop.call_later(wait, self._due)

    def _due(self) -> None:
        self._timer = None
        self._pump()
