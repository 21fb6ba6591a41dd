"""The request ids lent to this connection, and who waits under each; kept by live.IbBroker.

An error carries only an id: what lies in the block is a request of ours, anything else above zero is an order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from longwatch.errors import LinkError


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who waits for the answer to a request: `failed` is told code and text when an error ends it."""

    name: str
    failed: Callable[[int, str], None]


class RequestIds:
    """Ids from `first` up to `first + count`, lent in turn so that one just given back is not used again at once."""

    def __init__(self, first: int, count: int) -> None:
        self._first = first
        self._count = count
        self._next = first
        self._owners: dict[int, Owner] = {}

    def __contains__(self, request_id: int) -> bool:
        return self._first <= request_id < self._first + self._count

    def take(self, owner: Owner) -> int:
        """An id that nobody uses. Raises LinkError when all of them are in use."""
        if len(self._owners) >= self._count:
            raise LinkError(f"all {self._count} request ids of this connection are in use: ask for less at a time")
        while self._next in self._owners:
            self._step()
        taken = self._next
        self._owners[taken] = owner
        self._step()
        return taken

    def give_back(self, request_id: int) -> None:
        """The request is over."""
        self._owners.pop(request_id, None)

    def owner(self, request_id: int) -> Owner | None:
        """Who waits under this id, if anybody does."""
        return self._owners.get(request_id)

    def in_use(self) -> dict[int, Owner]:
        """Every id lent, with its owner."""
        return dict(self._owners)

    def _step(self) -> None:
        self._next += 1
        if self._next >= self._first + self._count:
            self._next = self._first
