"""Event plans: what is done to a simulated gateway's accounts and when, by hand in YAML; read by `longwatch gateway`.

An event plan is a list below `events:`. `when` is an instant or a trigger as in a fault plan; `event` is one of EVENTS,
and `account`, `symbol`, `quantity`, `price`, `amount` and `ratio` are its terms.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from longwatch.domain.sessions import Session
from longwatch.domain.triggers import Trigger, next_run
from longwatch.errors import ConfigError
from longwatch.gateway.events import EVENTS, Event, Events
from longwatch.simulation.plan import Kind, listed, text_of, when_of

EVENT_PLAN = Kind(what="an event plan is a list below `events:`, each entry with `when` and `event`", key="events")
NUMBERS = ("quantity", "price", "amount")
PLAIN = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,12})?")
WORDS = ("account", "symbol", "ratio")


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """An event and when: at one instant, or whenever `trigger` is due."""

    event: Event
    at: datetime | None = None
    trigger: Trigger | None = None

    def happens(self, after: datetime, sessions: Sequence[Session]) -> Iterator[tuple[datetime, Event]]:
        """When it happens, later than `after`, in order of time."""
        if self.trigger is None:
            if self.at is not None and self.at > after:
                yield self.at, self.event
            return
        while (due := next_run(self.trigger, after, sessions)) is not None:
            after = due.at
            yield after, self.event


def load_events(path: Path, events: Events) -> tuple[Planned, ...]:
    """Read an event plan for a gateway. Raises ConfigError with the file, the line, what is wrong, what to write."""
    return read_events(text_of(path, "event plan"), str(path), events)


def read_events(text: str, name: str, events: Events) -> tuple[Planned, ...]:
    """The same for a text; `name` stands before the line numbers."""
    return tuple(listed(text, name, EVENT_PLAN, lambda given: _planned(given, events)))


def in_time(
    planned: Sequence[Planned], after: datetime, sessions: Sequence[Session]
) -> Iterator[tuple[datetime, Event]]:
    """Everything later than `after` in order of time, made as it is asked for; `sessions` are those to come."""
    streams = (one.happens(after, sessions) for one in planned)
    return heapq.merge(*streams, key=lambda due: due[0])


def _planned(given: object, events: Events) -> Planned:
    if not isinstance(given, dict):
        raise ConfigError("an entry has names and values, as `when: 2007-01-04T15:00:00Z` and `event: transfer`")
    kind = str(given.get("event"))
    if kind not in EVENTS:
        raise ConfigError(f"the event {kind!r} is not known; there are {', '.join(EVENTS)}")
    allowed = ("when", "event", *EVENTS[kind].needs, *EVENTS[kind].may)
    unknown = [name for name in given if name not in allowed]
    if unknown:
        raise ConfigError(f"{kind} knows no `{unknown[0]}`; it knows {', '.join(allowed)}")
    trigger, at = when_of(given.get("when"))
    terms: dict[str, Any] = {name: str(given[name]) for name in WORDS if name in given}
    terms |= {name: _number(name, given[name]) for name in NUMBERS if name in given}
    event = Event(kind=kind, **terms)
    objection = events.objection(event)
    if objection:
        raise ConfigError(objection)
    return Planned(event=event, at=at, trigger=trigger)


def _number(name: str, value: Any) -> Decimal:
    """A number exactly as it is written, or as a text in quotes."""
    if isinstance(value, bool) or not PLAIN.fullmatch(str(value)):
        raise ConfigError(f"`{name}` is {value!r}; it must be a number, written plainly as -12.50")
    return Decimal(str(value))
