"""What a part of the broker needs to ask the gateway something: the present connection, its ids, budget and sink."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from longwatch.broker.budget import Budget, Frame, Priority
from longwatch.broker.ib import Writer
from longwatch.broker.ids import Owner, RequestIds
from longwatch.broker.line import Line
from longwatch.broker.pacing import HistoryPacer
from longwatch.broker.settings import LinkSettings
from longwatch.clock import Clock
from longwatch.errors import LinkError
from longwatch.ports import Sink

NO_LINK = "there is no link to the gateway"


class Channel:
    """Open between a greeting and the end of its connection; request ids come with the sync."""

    def __init__(self, settings: LinkSettings, sink: Sink, clock: Clock) -> None:
        self.settings = settings
        self.sink = sink
        self.clock = clock
        self.loop = asyncio.get_running_loop()
        self.pacer = HistoryPacer()
        self.budget = Budget(
            rate=settings.messages_per_second,
            hurried_burst=settings.hurried_burst,
            loop=self.loop,
            pacer=self.pacer,
        )
        self.ids: RequestIds | None = None
        self._line: Line | None = None

    @property
    def is_open(self) -> bool:
        """Whether requests can be sent."""
        return self._line is not None

    @property
    def writer(self) -> Writer:
        """Encodes for the present connection. Raises LinkError when there is none."""
        if self._line is None:
            raise LinkError(NO_LINK)
        return self._line.writer

    def open(self, line: Line) -> None:
        """A connection has been greeted."""
        self._line = line
        self.budget.open(line.write)

    def close(self, reason: str) -> None:
        """The connection is gone: what is queued is withheld, ids are void."""
        self._line = None
        self.ids = None
        self.budget.close(reason)

    def emit(self, kind: Callable[..., Any], **fields: object) -> None:
        """Put an event into the inbox, stamped now."""
        self.sink(kind(at=self.clock.market(), tech=self.clock.technical(), **fields))

    def send(self, priority: Priority, data: bytes) -> None:
        """Queue a plain request."""
        self.budget.put(Frame(priority=priority, data=data))

    def take(self, owner: Owner) -> int:
        """A request id. Raises LinkError before the sync has brought ids, or when all are in use."""
        if self.ids is None:
            raise LinkError("the link to the gateway is not synced yet" if self.is_open else NO_LINK)
        return self.ids.take(owner)

    def give_back(self, request_id: int) -> None:
        """A request is over; an id of an earlier connection is ignored."""
        if self.ids is not None:
            self.ids.give_back(request_id)
