"""The beat at which the simulated market moves: path points, opens and closes; run by the desk."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from longwatch.gateway.market.market import Market
from longwatch.gateway.timeline import Appointment, Timeline


class Pulse:
    """Calls its followers, in the order they joined, at each instant at which quotes change.

    A follower is two functions: what to do at an instant, and whether it still needs the next one. When nobody does, no
    timer runs; `wake` starts the beat again.
    """

    def __init__(self, timeline: Timeline, market: Market) -> None:
        self._timeline = timeline
        self._market = market
        self._followers: list[tuple[Callable[[datetime], None], Callable[[], bool]]] = []
        self._next: Appointment | None = None

    def follow(self, action: Callable[[datetime], None], needed: Callable[[], bool]) -> None:
        self._followers.append((action, needed))

    def wake(self) -> None:
        """Make sure the next instant is waited for, if anyone needs it."""
        if self._next is None and any(needed() for _, needed in self._followers):
            instant = self._market.next_instant(self._timeline.now())
            if instant is not None:
                self._next = self._timeline.at(instant, self._beat, instant)

    def _beat(self, instant: datetime) -> None:
        self._next = None
        for action, _ in self._followers:
            action(instant)
        self.wake()
