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


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something told; `at` and `last_at` are market times, `repeats` counts the same again since `at`."""

    key: str
    text: str
    severity: str
    at: datetime
    last_at: datetime
    repeats: int = 0


def tell_log(alert: Alert) -> None:
    """The notifier that is always there: one log line."""
    logging.getLogger("longwatch.alert").log(_LEVELS.get(alert.severity, logging.WARNING), "%s", alert.text)


class AlertBoard:
    """Keeps the last `keep` alerts and tells each once in `quiet` of technical time, however often it is raised.

    Two alerts are the same when key and text agree: a quarantine of one instrument never hides that of another.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        keep: int = 50,
        quiet: timedelta = timedelta(minutes=5),
        tell: Callable[[Alert], None] = tell_log,
    ) -> None:
        self._clock = clock
        self._quiet = quiet
        self._tell = tell
        self._board: deque[Alert] = deque(maxlen=keep)
        self._told: OrderedDict[tuple[str, str], datetime] = OrderedDict()
        self.counts: Counter[str] = Counter()

    def raise_alert(self, effect: RaiseAlert) -> bool:
        """Count the alert and put it on the board; True when it was told, False when it was a repeat held back."""
        self.counts[effect.key] += 1
        now = self._clock.technical()
        told_at = self._told.get((effect.key, effect.text))
        if told_at is not None and now - told_at < self._quiet:
            self._repeat(effect)
            return False
        self._remember(effect, now)
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

    def _remember(self, effect: RaiseAlert, now: datetime) -> None:
        self._told[effect.key, effect.text] = now
        self._told.move_to_end((effect.key, effect.text))
        while len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
