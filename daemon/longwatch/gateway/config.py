"""How a simulated gateway is set up; given by tests, the simulation and the command line, read by the desk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from longwatch.errors import UsageError
from longwatch.gateway.conduct import Conduct, Latencies
from longwatch.gateway.exchange.exchange import VOLUME_SHARE
from longwatch.gateway.police import Limits
from longwatch.wire.framing import HIGHEST_SERVER_VERSION, LOWEST_SERVER_VERSION

MISREAD_VERSION = 158
"""At this version the libraries ib_insync and ib_async look for an order's fields in the wrong places."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    """How the gateway is set up.

    `server_version` is the highest it speaks. `accounts` start with `cash`, but for those in `cash_of`. `speed` is
    market seconds per second and must be the clock's. With `ledger_path` the books are kept in a file and taken up
    again. `delayed_data` sends quotes of fifteen minutes ago, and only to clients that asked for delayed data. Account
    values that prices have changed are sent at a point of the path, `account_refresh_seconds` after the last time at
    the earliest. An order gets at most `volume_share` of what is traded at a point; the symbols in `hard_to_borrow`
    can't be sold short at once. Orders in the symbols of `forbidden` are refused with that code
    and text. `cash_accounts` lend nothing, the others are margin accounts. Accounts are kept in
    `currency`; with a `base_currency` they are shown in that, one of `currency` being worth `base_rate` of it.
    `unsubscribed` is the code sent where live quotes are not subscribed: 10168, 354 or
    10089, as builds differ.
    Without `pacing` nobody minds how much is asked. Raises UsageError for a server version it can't speak.
    """

    server_version: int = 176
    accounts: tuple[str, ...] = ("DU123456",)
    cash: Decimal = Decimal(1_000_000)
    cash_of: Mapping[str, Decimal] = field(default_factory=dict)
    currency: str = "USD"
    zone: str = "US/Eastern"
    speed: float = 1.0
    seed: int = 0
    ledger_path: Path | None = None
    latencies: Latencies = field(default_factory=Latencies)
    conduct: Conduct = field(default_factory=Conduct)
    delayed_data: bool = False
    account_refresh_seconds: float = 180.0
    market_data_lines: int = 100
    volume_share: Decimal = VOLUME_SHARE
    hard_to_borrow: frozenset[str] = frozenset()
    cash_accounts: frozenset[str] = frozenset()
    forbidden: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    base_currency: str = ""
    base_rate: Decimal = Decimal(1)
    unsubscribed: int = 10168
    pacing: Limits | None = None

    def __post_init__(self) -> None:
        asked, lowest, highest = self.server_version, LOWEST_SERVER_VERSION, HIGHEST_SERVER_VERSION
        if not lowest <= asked <= highest or asked == MISREAD_VERSION:
            raise UsageError(
                f"The gateway can't speak server version {asked}; choose {lowest} to {highest}, "
                f"but not {MISREAD_VERSION}, which client libraries misread."
            )
