"""What the daemon knew to be in order when it wrote an order, by what had arrived on the wire; see invariants.py."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from longwatch.simulation.booked import PROTECTIVE
from longwatch.simulation.evidence import END_MARKS, Evidence, Found
from longwatch.simulation.tap import Seen

SAME_MOMENT = timedelta(milliseconds=5)
"""What arrived no earlier than this before an order was written, the daemon need not have known."""
SKEW_SECONDS, MAY_BE_APART = 7.0, 4.0
"""The daemon's limit, 5 s, and what the answer's whole seconds and its way leave open, to either side."""


def ready_when_sending(evidence: Evidence) -> Found:
    """What does not protect is written in a session, any order on a connection read whole, all being up."""
    before, now = _Hearing(evidence), _Hearing(evidence)
    for seen in evidence.placed:
        # Of the same moment it may have heard the good news, and need not have heard the bad.
        known = set(now.by(seen.at).against(seen.link))
        for reason in before.by(seen.at - SAME_MOMENT).against(seen.link):
            if reason in known:
                yield seen.at, f"order {seen.values['orderRef']} was written although {reason}"
        is_open = any(session.open_at <= seen.at < session.close_at for session in evidence.scene.sessions)
        if not is_open and seen.values["orderType"] not in PROTECTIVE:
            yield seen.at, f"order {seen.values['orderRef']} was written while the exchange was closed"


def is_shut(evidence: Evidence, at: datetime) -> bool:
    """Whether the daemon had heard of a reason by then why no order should leave, and of no end of it."""
    known = _Hearing(evidence).by(at)
    return any(True for _ in known.against(known.link, apart=MAY_BE_APART))


class _Hearing:
    """Goes through what was heard, as far as is asked."""

    def __init__(self, evidence: Evidence) -> None:
        self._frames = iter(evidence.heard)
        self._pending = next(self._frames, None)
        self._known = _Known()

    def by(self, at: datetime) -> _Known:
        """What had been heard by `at`, which never goes back."""
        while self._pending is not None and self._pending.at <= at:
            self._known.take(self._pending)
            self._pending = next(self._frames, None)
        return self._known


class _Known:
    """What had been heard by some instant."""

    def __init__(self) -> None:
        self.link = -1
        self.marks: set[str] = set()
        self.backend_down = False
        self.broken_farms: set[str] = set()
        self.skew = 0.0

    def take(self, seen: Seen) -> None:
        if seen.link != self.link:
            self.link, self.marks, self.backend_down = seen.link, set(), False
        match seen.name:
            case "error":
                self._code(seen.values["errorCode"], str(seen.values["errorString"]).rpartition(":")[2])
            case "currentTime":
                self.skew = seen.values["time"] - seen.at.timestamp()
            case name if name in END_MARKS:
                self.marks.add(name)
            case _:
                pass

    def against(self, link: int, apart: float = SKEW_SECONDS) -> Iterator[str]:
        """Why no order should leave on a connection, with clocks too far apart at so many seconds."""
        if link != self.link or self.marks != END_MARKS:
            yield f"its connection lacked {', '.join(sorted(END_MARKS - self.marks)) or 'everything'}"
        if self.backend_down:
            yield "the backend was down"
        if self.broken_farms:
            yield f"{', '.join(sorted(self.broken_farms))} was broken"
        if abs(self.skew) > apart:
            yield f"the clocks were {self.skew:.0f} s apart"

    def _code(self, code: int, farm: str) -> None:
        match code:
            case 1100:
                self.backend_down = True
            case 1101 | 1102:
                self.backend_down = False
            case 2103 | 2157:
                self.broken_farms.add(farm)
            case 2104 | 2158:
                self.broken_farms.discard(farm)
            case _:
                pass
