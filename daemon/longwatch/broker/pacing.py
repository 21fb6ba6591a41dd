"""IB's rules for historical requests, as windows over what was written; asked by the budget before each such write.

The rules are those of IB's manual for bars of 30 seconds or less: no more than 60 requests in 10 minutes, no identical
request within 15 seconds, fewer than 6 for one contract in 2 seconds. Longer bars are free of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

SMALL_BARS = frozenset({"1 secs", "5 secs", "10 secs", "15 secs", "30 secs"})

WINDOW_SECONDS = 600.0
WINDOW_REQUESTS = 60
IDENTICAL_SECONDS = 15.0
CONTRACT_SECONDS = 2.0
CONTRACT_REQUESTS = 5
# The rules are measured where the request arrives: a request that was held up on its way must not close a gap.
MARGIN_SECONDS = 0.25
NEVER_HELD = float("-inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What the rules look at: the whole request, its contract with exchange and data type, and its weight."""

    request: Hashable
    contract: Hashable
    weight: int = 1


def pace_of(request: tuple[Hashable, ...], contract: Hashable, bar_size: str, what: str) -> Pace | None:
    """The pace of a historical request, or None when the rules leave it alone; BID_ASK counts twice."""
    if bar_size not in SMALL_BARS:
        return None
    return Pace(request=request, contract=(contract, what), weight=2 if what == "BID_ASK" else 1)


class HistoryPacer:
    """Remembers what was written within the windows. Times are seconds of one clock that never goes back."""

    def __init__(self) -> None:
        self._window: deque[tuple[float, int]] = deque()
        self._requests: dict[Hashable, float] = {}
        self._contracts: dict[Hashable, deque[float]] = {}

    def wait_seconds(self, pace: Pace, now: float) -> float:
        """Seconds until this request may be written; 0 when it may be now."""
        free = max(self._window_free(pace.weight), self._identical_free(pace), self._contract_free(pace))
        return max(0.0, free - now)

    def sent(self, pace: Pace, now: float) -> None:
        """The request has been written."""
        self._forget(now)
        self._window.append((now, pace.weight))
        self._requests[pace.request] = now
        self._contracts.setdefault(pace.contract, deque(maxlen=CONTRACT_REQUESTS)).append(now)

    def spent(self, now: float) -> tuple[tuple[float, int], ...]:
        """What the 10-minute window still holds, as (age in seconds, weight), to be kept over a restart."""
        return tuple((now - at, weight) for at, weight in self._window)

    def restore(self, spent: Iterable[tuple[float, int]], now: float) -> None:
        """Take over what an earlier process spent; ages in seconds."""
        self._window.extend(sorted((now - age, weight) for age, weight in spent))
        self._forget(now)

    def _window_free(self, weight: int) -> float:
        over = sum(each for _, each in self._window) + weight - WINDOW_REQUESTS
        free = NEVER_HELD
        for at, each in self._window:
            if over <= 0:
                break
            over -= each
            free = at + WINDOW_SECONDS + MARGIN_SECONDS
        return free

    def _identical_free(self, pace: Pace) -> float:
        last = self._requests.get(pace.request)
        return NEVER_HELD if last is None else last + IDENTICAL_SECONDS + MARGIN_SECONDS

    def _contract_free(self, pace: Pace) -> float:
        times = self._contracts.get(pace.contract)
        if times is None or len(times) < CONTRACT_REQUESTS:
            return NEVER_HELD
        return times[0] + CONTRACT_SECONDS + MARGIN_SECONDS

    def _forget(self, now: float) -> None:
        while self._window and self._window[0][0] + WINDOW_SECONDS + MARGIN_SECONDS <= now:
            self._window.popleft()
        if len(self._requests) > 4 * WINDOW_REQUESTS:
            self._requests = {key: at for key, at in self._requests.items() if at + IDENTICAL_SECONDS + 1 > now}
            self._contracts = {key: at for key, at in self._contracts.items() if at[-1] + CONTRACT_SECONDS + 1 > now}
