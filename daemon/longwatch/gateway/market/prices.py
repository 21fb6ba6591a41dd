"""Prices as the market tells them: quotes, auctions, exact decimals; read by all parts through market."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple


class Quote(NamedTuple):
    """What is known of an instrument at one instant; None means there is none. `place` numbers the path's points.

    `bid` and `ask` are None when the exchange is closed and while the instrument is halted. `close` is the previous
    session's; `open`, `high`, `low` and `volume` are the running or newest session's so far, `traded` the volume of
    this point alone.
    """

    place: int
    day: date | None
    bid: Decimal | None = None
    ask: Decimal | None = None
    bid_size: int = 0
    ask_size: int = 0
    last: Decimal | None = None
    last_size: int = 0
    last_at: datetime | None = None
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    close: Decimal | None = None
    volume: int = 0
    traded: int = 0
    is_halted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Auction:
    """What an opening or closing auction came to: one price, and the shares that changed hands at it."""

    price: Decimal
    volume: int


@lru_cache(maxsize=65_536)
def money(price: float) -> Decimal:
    """A float price as an exact decimal, at six places: finer than any tick here, coarser than a float's noise."""
    return Decimal(f"{price:.6f}").normalize() + Decimal("0.00")
