"""A quote and what may be concluded from its age and type; filled by the broker, judged by risk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from longwatch.quick import quick

LIVE = 1
"""IB's market data type of quotes that are neither delayed nor frozen."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The best bid and offer of one instrument.

    Prices are in its currency, sizes in shares; None is "the broker gave none". `at` is the technical time of the last
    tick heard, `market_data_type` IB's: 1 live, 2 frozen, 3 delayed, 4 delayed-frozen. So many shares at least are
    `shortable`, can be borrowed.
    """

    con_id: int
    symbol: str
    bid: Decimal | None = None
    ask: Decimal | None = None
    last: Decimal | None = None
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None
    market_data_type: int = 1
    at: datetime | None = None
    shortable: Decimal | None = None

    @property
    def mid(self) -> Decimal | None:
        """Half-way between bid and ask, else the last trade, else None."""
        if self.bid is not None and self.ask is not None:
            return (self.bid + self.ask) / 2
        return self.last

    def age_seconds(self, now: datetime) -> float | None:
        """Seconds since the last tick, or None when none was ever heard."""
        return None if self.at is None else (now - self.at).total_seconds()


Quotes = Callable[[], Sequence[Quote]]
"""The quotes of now, looked up only where they are needed."""


def no_quotes() -> Sequence[Quote]:
    """Where nobody has any."""
    return ()
