"""What one connection tells its owner, in our own words; spoken by translate.py and line.py, heard by live.IbBroker."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from longwatch.broker.contracts import DetailsRow
from longwatch.domain.messages import Event, PositionRow
from longwatch.wire.bulk import BarColumns


class Part(StrEnum):
    """The five downloads that make a snapshot; the names are those of SnapshotSeen.failures."""

    POSITIONS = "positions"
    OPEN_ORDERS = "open orders"
    COMPLETED_ORDERS = "completed orders"
    EXECUTIONS = "executions"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """The API handshake is complete: what the gateway said of itself and of us."""

    server_version: int
    next_order_id: int
    accounts: tuple[str, ...]


class Heard(Protocol):
    """The owner of a connection. Called from the loop, message by message, in the order of the wire."""

    def greeted(self, greeting: Greeting) -> None:
        """Accounts and nextValidId have come: requests may be sent."""
        ...

    def event(self, event: Event) -> None:
        """A message that is an event just as it is."""
        ...

    def position(self, account: str, row: PositionRow) -> None:
        """Message 61."""
        ...

    def part_ended(self, part: Part, request_id: int | None) -> None:
        """The end mark of a download."""
        ...

    def account_value(
        self, request_id: int, account: str, tag: str, value: Decimal | str | None, currency: str
    ) -> None:
        """Message 63; a text for tags that are words, and `currency` empty where it has none."""
        ...

    def trading_type(self, request_id: int, account: str, value: str) -> None:
        """Message 73 with the key TradingType-S: what the account may trade, and whether on margin."""
        ...

    def details(self, request_id: int, row: DetailsRow) -> None:
        """Message 10."""
        ...

    def details_ended(self, request_id: int) -> None:
        """Message 52."""
        ...

    def history(self, request_id: int, columns: BarColumns) -> None:
        """Message 17."""
        ...

    def market_data_type(self, request_id: int, kind: int) -> None:
        """Message 58."""
        ...

    def tick_price(self, request_id: int, tick_type: int, price: float, size: float | None) -> None:
        """Message 1."""
        ...

    def tick_size(self, request_id: int, tick_type: int, size: float) -> None:
        """Message 2, and 45, whose value is no size but of a tick type of its own."""
        ...

    def conflated(self, count: int) -> None:
        """So many ticks came that a newer one of the same kind took the place of."""
        ...

    def server_time(self, epoch_seconds: int) -> None:
        """Message 49."""
        ...

    def error(self, about: int, code: int, text: str) -> None:
        """Message 4; `about` is a request's id, an order's id, or -1."""
        ...

    def undecodable(self, message_id: int, fields: tuple[str, ...], reason: str) -> None:
        """A message that could not be decoded; none of it was told otherwise."""
        ...
