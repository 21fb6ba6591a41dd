"""The markets that `longwatch gateway` can serve: recorded, made up, or always open; made for serve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from longwatch.data.calendar import AlwaysOpen, ExchangeCalendar
from longwatch.domain.sessions import Session
from longwatch.errors import UsageError
from longwatch.gateway.market.generator import Climate, shares
from longwatch.gateway.market.hours import ListedHours
from longwatch.gateway.market.listings import extras
from longwatch.gateway.market.market import Market
from longwatch.gateway.market.synthetic import synthetic_market
from longwatch.simulation.recorded import first_open, recorded_market
from longwatch.simulation.replay import BEFORE_THE_OPEN, LAST_DAY, opening, replayed_market

MADE_UP = ("ALFA", "BRAV", "CHAR", "DELT", "ECHO", "FOXT", "GOLF", "HOTL")
START = date(2020, 1, 2)
HISTORY = timedelta(days=1000)
LAST_MADE_UP = date(2030, 12, 31)
YEARS = (date(1990, 1, 1), date(2099, 12, 31))
"""Where a market that never closes may begin."""
PLANNED = timedelta(days=366)
"""How far ahead a fault plan's triggers are looked for where the market never closes."""

MINUTES = 390
"""Points of a made-up session: one a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A market, the market time at which it begins, and the sessions that a fault plan's triggers count from."""

    market: Market
    begins: datetime
    sessions: Sequence[Session]


def recorded(seed: int, symbols: Sequence[str], start: date | None) -> Served:
    """The history in the package. Raises UsageError for a symbol it has none of, or a start outside."""
    begins = opening(start)
    sessions = ExchangeCalendar("XNYS").sessions(begins.date(), LAST_DAY)
    return Served(market=replayed_market(seed=seed, symbols=symbols), begins=begins, sessions=sessions)


def from_folder(folder: Path, seed: int, symbols: Sequence[str], start: date | None) -> Served:
    """A folder of recorded bars. Raises DataError for one that can't be read, UsageError for a start after its end."""
    market = recorded_market(folder, seed=seed, symbols=symbols)
    first = market.hours.at(first_open(market))
    assert first is not None
    wanted = first if start is None else market.hours.following(datetime.combine(start, time(), UTC))
    if wanted is None:
        raise UsageError(f"the bars in {folder} end before {start}; begin with --start {first.date} or a later day")
    begins = wanted.open_at - BEFORE_THE_OPEN
    sessions = ExchangeCalendar("XNYS").sessions(begins.date(), begins.date() + PLANNED)
    return Served(market=market, begins=begins, sessions=sessions)


def generated(seed: int, symbols: Sequence[str], start: date | None, climate: Climate | None = None) -> Served:
    """Made-up shares with all weather and events, a fund, currencies and futures. Raises UsageError for the start."""
    begin = start or START
    if not date(2002, 1, 2) <= begin < LAST_MADE_UP:
        raise UsageError(f"the made-up market runs from 2002-01-02 to {LAST_MADE_UP}; {begin} is outside")
    first, weather = begin - HISTORY, climate or Climate()
    calendar = ExchangeCalendar("XNYS")
    hours = ListedHours(calendar.sessions(first, LAST_MADE_UP))
    listed = shares(symbols or MADE_UP, hours, seed=seed, first=first, climate=weather)
    sources = [*listed, *extras(hours, seed=seed, first=first, climate=weather)]
    sessions = calendar.sessions(begin, min(begin + PLANNED, LAST_MADE_UP))
    market = Market(sources, hours, seed=seed, path_points=MINUTES)
    return Served(market=market, begins=sessions[0].open_at.astimezone(UTC) - BEFORE_THE_OPEN, sessions=sessions)


def always_open(seed: int, symbols: Sequence[str], start: date | None) -> Served:
    """Any symbol trades at all hours. Raises UsageError when some are named, and for a start outside."""
    if symbols:
        raise UsageError("--symbols and --around-the-clock exclude each other: any symbol trades round the clock")
    if not YEARS[0] <= (start or START) <= YEARS[1]:
        raise UsageError(f"--start {start}: the market that never closes runs from {YEARS[0]} to {YEARS[1]}")
    begins = datetime.combine(start or START, time(1), UTC)
    market = synthetic_market(seed=seed, first=(start or START) - HISTORY)
    sessions = AlwaysOpen().sessions(begins.date(), begins.date() + PLANNED)
    return Served(market=market, begins=begins, sessions=sessions)
