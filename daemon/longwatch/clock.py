"""The only module that reads the wall clock; everything else is handed a Clock.

Market time is the exchange's: bars, sessions, journal, decisions. Technical time is the machine's: deadlines, watchdog,
metric ages, logs. In production they agree; in the demo and in simulation market time starts where the data start.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What the daemon knows of time."""

    def market(self) -> datetime:
        """The exchange's time, aware, in UTC."""
        ...

    def technical(self) -> datetime:
        """The machine's time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back, from an arbitrary start."""
        ...

    def seconds_until(self, market: datetime) -> float:
        """How many seconds of the event loop pass until this market time; negative when it is past."""
        ...


class SystemClock:
    """The machine's clock, for both kinds of time; technical time goes on when the clock is set back, as NTP may do.

    What happened would else lie ahead of now for as long as the clock went back: an old reading of the account would be
    fresh, and a new one older than the link it came by. Market time follows the clock: the exchange's is the true one.
    """

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._ahead = -math.inf

    def market(self) -> datetime:
        return datetime.now(UTC)

    def technical(self) -> datetime:
        # The wall first: a pause between the two readings must not count as the clock having been set forward.
        wall, steady = self._wall(), time.monotonic()
        self._ahead = max(self._ahead, wall - steady)
        return datetime.fromtimestamp(steady + self._ahead, UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def seconds_until(self, market: datetime) -> float:
        return (market - self.market()).total_seconds()


class SteppedClock:
    """Market time counted from `market_start` at `speed` market seconds a second of `seconds()`.

    With an event loop's own `time` as `seconds` this is the clock of a virtual run; with `time.monotonic` it follows a
    simulated gateway that replays the past. `technical` counts the same seconds from `technical_start`, unscaled.
    """

    def __init__(
        self,
        seconds: Callable[[], float],
        *,
        market_start: datetime,
        technical_start: datetime | None = None,
        speed: float = 1.0,
    ) -> None:
        self._seconds = seconds
        self._zero = seconds()
        self._market_start = market_start
        self._technical_start = technical_start or market_start
        self._speed = speed
        self._read: tuple[float, datetime] | None = None
        self._read_technical: tuple[float, datetime] | None = None

    def shift(self, seconds: float) -> None:
        """Set market time forward (or back) by so many market seconds: the clock it follows has been read again."""
        self._market_start += timedelta(seconds=seconds)
        self._read = None

    def market(self) -> datetime:
        # A virtual loop's time stands still while a callback runs, which may ask many times.
        seconds = self._seconds()
        if self._read is None or self._read[0] != seconds:
            self._read = seconds, self._market_start + timedelta(seconds=(seconds - self._zero) * self._speed)
        return self._read[1]

    def technical(self) -> datetime:
        seconds = self._seconds()
        if self._read_technical is None or self._read_technical[0] != seconds:
            self._read_technical = seconds, self._technical_start + timedelta(seconds=seconds - self._zero)
        return self._read_technical[1]

    def monotonic(self) -> float:
        return self._seconds()

    def seconds_until(self, market: datetime) -> float:
        return (market - self.market()).total_seconds() / self._speed


def real_monotonic() -> float:
    """Seconds of the machine that never go back, for pacing a virtual run and for measuring."""
    return time.monotonic()


def cpu_clock() -> float:
    """Seconds with the best resolution the machine has, for measuring durations only."""
    return time.perf_counter()
