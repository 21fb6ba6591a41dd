"""The one place where everything heard waits to be decided on; ports and jobs put, the loop takes."""

from __future__ import annotations

import asyncio
from collections import deque

from longwatch.domain.messages import Event

HIGH_WATER = 50_000
"""Events waiting beyond which the daemon counts as overwhelmed: readiness says so, nothing is dropped."""


class Inbox:
    """A queue of events in the order heard; `put` never blocks and nothing is ever dropped."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._some = asyncio.Event()

    def __len__(self) -> int:
        return len(self._events)

    def put(self, event: Event) -> None:
        """Add an event; called on the loop."""
        self._events.append(event)
        self._some.set()

    async def take(self, most: int) -> list[Event]:
        """The next events, at least one and at most `most`, once there are any."""
        await self._some.wait()
        batch = [self._events.popleft() for _ in range(min(most, len(self._events)))]
        if not self._events:
            self._some.clear()
        return batch
