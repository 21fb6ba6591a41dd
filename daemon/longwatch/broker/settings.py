"""What the connection to the gateway is made with: addresses, deadlines, rates; filled by the composition root."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from longwatch.broker.codes import CODES, Code
from longwatch.broker.contracts import Wanted
from longwatch.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """Deadlines and ages are technical seconds; rates are messages a second (IB allows 50).

    `market_data_type` is asked for as IB numbers it (1 live, 3 delayed), `generic_ticks` with every quote (236: shares
    to borrow); `gateway_zone` is the zone of times that name none; `codes` are the meanings of the gateway's codes.
    Raises ConfigError for client id 0, which would rebind the owner's manual orders.
    """

    host: str = "127.0.0.1"
    port: int = 4002
    client_id: int = 1
    universe: tuple[Wanted, ...] = ()
    market_data_type: int = 1
    currency: str = "USD"
    generic_ticks: str = ""
    library: str = "ib_insync"
    gateway_zone: str = "America/New_York"
    connect_seconds: float = 10.0
    handshake_seconds: float = 10.0
    heartbeat_seconds: float = 15.0
    heartbeat_timeout_seconds: float = 10.0
    clock_check_seconds: float = 60.0
    download_seconds: float = 30.0
    details_seconds: float = 30.0
    history_seconds: float = 60.0
    stable_seconds: float = 60.0
    backoff_floor_seconds: float = 0.25
    backoff_first_seconds: float = 1.0
    backoff_longest_seconds: float = 60.0
    line_check_seconds: float = 10.0
    line_retry_seconds: float = 60.0
    messages_per_second: float = 40.0
    hurried_burst: int = 4
    open_histories: int = 45
    codes: Mapping[int, Code] = field(default_factory=lambda: CODES)

    def __post_init__(self) -> None:
        if self.client_id <= 0:
            raise ConfigError(
                f"client id {self.client_id} would take over the owner's manual orders: "
                "set trading.ib.client_id to 1 or more"
            )
