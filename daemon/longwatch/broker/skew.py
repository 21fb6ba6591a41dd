"""The gateway's clock against ours, from the answers to heartbeats; part of live.IbBroker."""

from __future__ import annotations

from datetime import datetime

NEWS_SECONDS = 0.5
TELL_SECONDS = 3600.0


class ClockCheck:
    """Most heartbeats bring no news of the clock: a change is told, else no more than one a `tell_seconds`."""

    def __init__(self, tell_seconds: float) -> None:
        self._tell_seconds = tell_seconds
        self._asked_at: datetime | None = None
        self._told: float | None = None
        self._tell_at = 0.0

    def asked(self, market: datetime) -> None:
        """The question has been written, at this market time."""
        self._asked_at = market

    def answered(self, epoch_seconds: int, market: datetime, loop_seconds: float) -> float | None:
        """The skew in seconds when it is worth telling, else None."""
        if self._asked_at is None:
            return None
        skew = skew_seconds(epoch_seconds, self._asked_at.timestamp(), market.timestamp())
        self._asked_at = None
        if self._told is not None and loop_seconds < self._tell_at and abs(skew - self._told) < NEWS_SECONDS:
            return None
        self._told, self._tell_at = skew, loop_seconds + self._tell_seconds
        return skew

    def forget(self) -> None:
        """The connection is gone; the next one tells its skew at once."""
        self._asked_at = self._told = None


def skew_seconds(epoch_seconds: int, asked: float, heard: float) -> float:
    """The gateway's clock less ours: the least that explains its answer, which is cut to whole seconds and took time.

    `asked` and `heard` are our market time in epoch seconds at the question and at the answer.
    """
    if epoch_seconds > heard:
        return epoch_seconds - heard
    return min(0.0, epoch_seconds + 1 - asked)
