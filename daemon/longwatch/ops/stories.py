"""The story of an order for the pages, told from the journal beside the loop, one at a time; opened by doors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from longwatch.domain.state import State
from longwatch.errors import UsageError
from longwatch.explain.why import why
from longwatch.ops.why_text import why_text
from longwatch.ports import Workers

TELL_SECONDS = 25.0
LATEST = 50


def latest_orders(state: State) -> Iterator[tuple[int, str]]:
    """Number and one line of each of the last orders, the newest first."""
    for intent in sorted(state.orders, reverse=True)[:LATEST]:
        order = state.orders[intent]
        yield intent, f"{order.side.value} {order.quantity} {order.symbol}, {order.purpose.value}: {order.state.value}"


class Stories:
    """Tells stories from the journal at `path`; its workers are to be those for what may take long."""

    def __init__(self, path: Path, workers: Workers) -> None:
        self._path = path
        self._workers = workers
        self._is_telling = False

    async def tell(self, name: str) -> str:
        """What `longwatch why` prints. Raises UsageError for a name nobody bears, and while another story is told.

        Raises TimeoutError when it takes too long, and JournalError when the journal can't be read.
        """
        if self._is_telling:
            raise UsageError("another order is being told: ask again in a moment")
        self._is_telling = True
        return await self._workers.run(lambda: self._told(name), deadline_seconds=TELL_SECONDS)

    def _told(self, name: str) -> str:
        try:
            return why_text(why(self._path, name))
        finally:
            self._is_telling = False
