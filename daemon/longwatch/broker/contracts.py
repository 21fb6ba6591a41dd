"""What to ask the broker for, and the one contract among its answers; pure, called by live.IbBroker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from zoneinfo import ZoneInfoNotFoundError

from longwatch.broker.figures import zone_of
from longwatch.domain.instruments import Instrument

WHOLE_UNITS = frozenset({"STK", "FUT", "OPT", "FOP", "BAG"})
"""Kinds of contract that can't be traded in fractions through the API, whatever increment the broker names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One symbol of the universe as it is asked for; `primary_exchange` tells namesakes apart."""

    symbol: str
    sec_type: str = "STK"
    exchange: str = "SMART"
    currency: str = "USD"
    primary_exchange: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetailsRow:
    """Message 10, as far as it is used; `zone` in the broker's words."""

    con_id: int
    symbol: str
    sec_type: str
    currency: str
    exchange: str
    primary_exchange: str
    tick: Decimal | None
    min_size: Decimal | None
    size_increment: Decimal | None
    multiplier: Decimal | None
    zone: str


def chosen(wanted: Wanted, rows: Sequence[DetailsRow]) -> Instrument | str:
    """The one instrument that answers `wanted`, or the reason why there is none."""
    fitting = [row for row in rows if _fits(wanted, row)]
    if not fitting:
        return f"the broker knows no {wanted.sec_type} {wanted.symbol} in {wanted.currency}"
    if len({row.con_id for row in fitting}) > 1:
        places = ", ".join(sorted({row.primary_exchange or row.exchange for row in fitting}))
        return f"{wanted.symbol} is ambiguous ({places}): name its primary exchange"
    return _instrument(wanted, fitting[0])


def _fits(wanted: Wanted, row: DetailsRow) -> bool:
    return (
        row.con_id > 0
        and (row.symbol, row.sec_type, row.currency) == (wanted.symbol, wanted.sec_type, wanted.currency)
        and wanted.primary_exchange in ("", row.primary_exchange)
    )


def _instrument(wanted: Wanted, row: DetailsRow) -> Instrument | str:
    if row.tick is None or row.tick <= 0:
        return f"the broker gave no price increment for {wanted.symbol}"
    try:
        zone = zone_of(row.zone).key if row.zone else "America/New_York"
    except (ZoneInfoNotFoundError, ValueError):
        return f"the broker gave {wanted.symbol} the unknown time zone {row.zone!r}"
    return Instrument(
        con_id=row.con_id,
        symbol=wanted.symbol,
        sec_type=row.sec_type,
        currency=row.currency,
        exchange=wanted.exchange,
        primary_exchange=row.primary_exchange,
        tick=row.tick,
        lot=_lot(row),
        min_size=row.min_size or Decimal(0),
        multiplier=row.multiplier or Decimal(1),
        zone=zone,
    )


def _lot(row: DetailsRow) -> Decimal:
    increment = row.size_increment or Decimal(1)
    return max(increment, Decimal(1)) if row.sec_type in WHOLE_UNITS else increment
