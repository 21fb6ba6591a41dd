"""The board of what a person should know: the last alerts, repeats held back; fed by perform, shown by status."""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from longwatch.clock import Clock
from longwatch.domain.messages import RaiseAlert

_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR, "critical": logging.CRITICAL}
_REMEMBERED = 1000
TOLD_AGAIN = (timedelta(minutes=5), timedelta(hours=1), timedelta(days=1))
"""After which times an alert that goes on is told again; from then on once a day."""
GOES_ON = timedelta(hours=1)
"""One that was not raised for so long is a new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something told; `at` and `last_at` are market times, `repeats` counts the same again since `at`."""

    key: str
    text: str
    severity: str
    at: datetime
    last_at: datetime
    repeats: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """When (technical time) an alert was last told, and last raised; how often it was told in a row."""

    at: datetime
    raised_at: datetime
    times: int

    def is_held_back(self, now: datetime) -> bool:
        """Whether it is too early to tell it again; one that had ceased is held back for the first step only."""
        goes_on = now - self.raised_at < GOES_ON
        step = TOLD_AGAIN[min(self.times, len(TOLD_AGAIN)) - 1] if goes_on else TOLD_AGAIN[0]
        return now - self.at < step


def tell_log(alert: Alert) -> None:
    """The notifier that is always there: one log line."""
    logging.getLogger("longwatch.alert").log(_LEVELS.get(alert.severity, logging.WARNING), "%s", alert.text)


class AlertBoard:
    """Keeps the last `keep` alerts and tells each by TOLD_AGAIN (technical time), however often it is raised.

    Two alerts are the same when key and text agree: a quarantine of one instrument never hides that of another.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        keep: int = 50,
        tell: Callable[[Alert], None] = tell_log,
    ) -> None:
        self._clock = clock
        self._tell = tell
        self._board: deque[Alert] = deque(maxlen=keep)
        self._told: OrderedDict[tuple[str, str], _Told] = OrderedDict()
        self.counts: Counter[str] = Counter()

    def raise_alert(self, effect: RaiseAlert) -> bool:
        """Count the alert and put it on the board; True when it was told, False when it was a repeat held back."""
        self.counts[effect.key] += 1
        now = self._clock.technical()
        former = self._told.get((effect.key, effect.text))
        if former is not None and former.is_held_back(now):
            self._told[effect.key, effect.text] = replace(former, raised_at=now)
            self._repeat(effect)
            return False
        times = former.times + 1 if former is not None and now - former.raised_at < GOES_ON else 1
        self._remember(effect, _Told(at=now, raised_at=now, times=times))
        market = self._clock.market()
        alert = Alert(key=effect.key, text=effect.text, severity=effect.severity, at=market, last_at=market)
        self._board.append(alert)
        self._tell(alert)
        return True

    def latest(self, count: int = 20) -> tuple[Alert, ...]:
        """The last alerts, newest first."""
        return tuple(reversed(self._board))[:count]

    def _repeat(self, effect: RaiseAlert) -> None:
        for place in range(len(self._board) - 1, -1, -1):
            alert = self._board[place]
            if (alert.key, alert.text) == (effect.key, effect.text):
                self._board[place] = replace(alert, repeats=alert.repeats + 1, last_at=self._clock.market())
                return

    def _remember(self, effect: RaiseAlert, told: _Told) -> None:
        self._told[effect.key, effect.text] = told
        self._told.move_to_end((effect.key, effect.text))
        while len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
