"""What an exchange lists: instruments, and the price grids (market rules) they are quoted on; used by all parts."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

Grid = tuple[tuple[Decimal, Decimal], ...]
"""Bands of prices: the lowest price of each, from 0 up, and the increment from there on."""


def _grid(*bands: tuple[str, str]) -> Grid:
    return tuple((Decimal(edge), Decimal(increment)) for edge, increment in bands)


CENTS, QUARTERS, HALF_PIPS, HALF_SENS, BANDED = 26, 57, 59, 60, 85

RULES: Mapping[int, Grid] = {
    CENTS: _grid(("0", "0.01")),
    QUARTERS: _grid(("0", "0.25")),
    HALF_PIPS: _grid(("0", "0.00005")),
    HALF_SENS: _grid(("0", "0.005")),
    BANDED: _grid(("0", "0.0001"), ("1", "0.01"), ("1000", "0.05")),
}
"""Every market rule here. 26 is as recorded; the numbers of the others are this exchange's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A listed instrument as the exchange describes it.

    `min_tick` is the smallest increment of its `rule`. A future is `listed` up to its `expiry`, and its `multiplier` is
    the money of one point. `local_symbol` is what the exchange calls it when that is not its symbol; with several
    instruments of one symbol it tells them apart. `is_tradable` is False for what has prices and takes no orders.
    `min_size` is the fewest shares that an order may be for; where the gateway takes fractions, one of 1 means none.
    `industry` is the broker's industry, category and subcategory of a share.
    """

    con_id: int
    symbol: str
    long_name: str = ""
    sec_type: str = "STK"
    currency: str = "USD"
    exchange: str = "SMART"
    primary_exchange: str = "NASDAQ"
    trading_class: str = "NMS"
    min_tick: Decimal = Decimal("0.01")
    min_size: Decimal = Decimal(1)
    zone: str = "US/Eastern"
    is_tradable: bool = True
    local_symbol: str = ""
    multiplier: str = ""
    listed: date | None = None
    expiry: date | None = None
    rule: int = CENTS
    stock_type: str = "COMMON"
    industry: tuple[str, str, str] = ("", "", "")
    isin: str = ""

    @property
    def name(self) -> str:
        """What tells it from all others: its local symbol, or else its symbol."""
        return self.local_symbol or self.symbol

    @property
    def last_trade_date(self) -> str:
        """The day of its expiry as `yyyymmdd`, empty when it has none."""
        return f"{self.expiry:%Y%m%d}" if self.expiry else ""


LEAST_FRACTION = Decimal("0.0001")


def least_size(instrument: Instrument, *, takes_fractions: bool) -> Decimal:
    """The fewest shares that an order may be for: as the description says, and as orders are judged."""
    return LEAST_FRACTION if takes_fractions and instrument.min_size == 1 else instrument.min_size


def on_grid(instrument: Instrument, price: float) -> float:
    """A price rounded to the instrument's grid, one increment at least."""
    increment = increment_at(instrument, Decimal(price))
    ticks = max(round(price / float(increment)), 1)
    return float(ticks * increment)


def increment_at(instrument: Instrument, price: Decimal) -> Decimal:
    """The increment of prices in the band of `price`."""
    bands = RULES.get(instrument.rule)
    if bands is None or len(bands) == 1:
        return instrument.min_tick
    return bands[max(bisect_right(bands, price, key=lambda band: band[0]) - 1, 0)][1]
