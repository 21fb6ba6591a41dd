"""One line for each simulated hour in which something happened; used by simulate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.simulation.trouble import Played

HOUR = timedelta(hours=1)


class Progress:
    """Counts orders, fills and faults; says a line when an hour with any of them is over."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._hour: datetime | None = None
        self._counts: Counter[str] = Counter()
        self._faults: list[str] = []

    def heard(self, event: m.Event, what: Step) -> None:
        """Take in one event and what came of it."""
        self._reach(event.at)
        for fact in what.facts:
            match fact:
                case m.OrderSending():
                    self._counts["orders"] += 1
                case m.FillBooked(intent=int()):
                    self._counts["fills"] += 1
                case m.OrderMoved(state=state) if state.value in ("unknown", "absent", "rejected", "expired"):
                    self._counts[state.value] += 1
                case m.QuarantineSet():
                    self._counts["quarantined"] += 1
                case _:
                    pass

    def played(self, one: Played) -> None:
        """A fault has begun or ended."""
        self._reach(one.began if one.ended is None else one.ended)
        if one.ended is None or one.ended == one.began:
            incident = one.incident
            self._faults.append(f"{incident.fault}{f' {incident.seconds:.0f} s' if incident.seconds else ''}")

    def close(self) -> None:
        """Say the last hour."""
        if self._hour is not None and (self._counts or self._faults):
            told = [f"{name} {count}" for name, count in self._counts.items()]
            faults = [f"faults: {', '.join(self._faults)}"] if self._faults else []
            self._say(f"{self._hour:%Y-%m-%d %H}h  {'; '.join([*told, *faults])}")
        self._counts.clear()
        self._faults.clear()

    def _reach(self, at: datetime) -> None:
        if self._hour is None or not self._hour <= at < self._hour + HOUR:
            self.close()
            self._hour = at.replace(minute=0, second=0, microsecond=0)
