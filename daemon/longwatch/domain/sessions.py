"""Trading sessions of an exchange as plain values; made by the calendar, read by scheduling and risk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

EXCHANGE_ZONE = ZoneInfo("America/New_York")


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One trading session: its date at the exchange, and its opening and closing instants, aware, in UTC."""

    date: date
    open_at: datetime
    close_at: datetime

    def is_open(self, at: datetime) -> bool:
        """Whether `at` lies in the session; the closing instant does not."""
        return self.open_at <= at < self.close_at
