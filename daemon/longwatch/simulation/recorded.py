"""Reads a folder of recorded bars, of days or parts of them, as the simulated market; for `longwatch gateway`."""

from __future__ import annotations

import csv
import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from longwatch.data.calendar import ExchangeCalendar
from longwatch.errors import DataError
from longwatch.gateway.market.hours import ListedHours, TradingDay
from longwatch.gateway.market.market import Instrument, Market, Replay, Source
from longwatch.gateway.market.path import DayBar
from longwatch.gateway.market.sources import POINTS_A_BAR, ShortBar, ShortReplay

NAMES = ("time", "open", "high", "low", "close", "volume")
FIRST_CON_ID = 700_000_001
SHORTEST, LONGEST = timedelta(seconds=20), timedelta(hours=1)
AFTERWARDS = timedelta(days=30)
"""Sessions are known so far beyond the last bar, for orders that wait for the next one."""

YEARS = range(1970, 2200)
LEAST_PRICE, MOST_PRICE = 0.000001, 1_000_000_000
MOST_VOLUME = 1_000_000_000_000

_DAY_FORM = len("2007-01-03")


@dataclass(frozen=True, slots=True)
class _Row:
    """One line: the instant a bar starts, or only its date."""

    at: datetime | date
    open: float
    high: float
    low: float
    close: float
    volume: float


def recorded_market(folder: Path, *, seed: int, symbols: Sequence[str] = (), path_points: int = 26) -> Market:
    """The market of all `SYMBOL.csv` of a folder, or of those named, on New York's sessions.

    A file begins with `time,open,high,low,close,volume`. A time is a date, or an instant with its zone
    (`2024-03-04T14:30:00Z`); bars within sessions must all be of one length, 20 s to 1 hour. Prices are as they stood
    then. Raises DataError: which file, which line, what to write.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}; name one of files like AAPL.csv")
    for symbol in symbols:
        if symbol != Path(symbol).name:
            raise DataError(f"{symbol!r} is no symbol in {folder}; name one as AAPL, whose file is AAPL.csv there")
    paths = [folder / f"{symbol}.csv" for symbol in symbols] or sorted(folder.glob("*.csv"))
    if not paths:
        raise DataError(f"{folder} holds no bars; put files like AAPL.csv there, each with a line {','.join(NAMES)}")
    rows = {path.stem: _rows(path) for path in paths}
    days = [_date(row.at) for table in rows.values() for row in table]
    calendar = ExchangeCalendar("XNYS").sessions(min(days), max(days) + AFTERWARDS)
    sessions = [
        TradingDay(date=one.date, open_at=one.open_at.astimezone(UTC), close_at=one.close_at.astimezone(UTC))
        for one in calendar
    ]
    step = _step(folder, rows)
    if not any(_is_in(row, sessions) for table in rows.values() for row in table):
        raise DataError(f"{folder}: no bar is within a session of New York's; look at the days and zones of the times")
    sources = [
        _source(Instrument(con_id=FIRST_CON_ID + place, symbol=symbol, long_name=symbol), table, sessions, step)
        for place, (symbol, table) in enumerate(sorted(rows.items()))
    ]
    every = step / POINTS_A_BAR if step is not None else None
    return Market(sources, ListedHours(sessions), seed=seed, path_points=path_points, point_every=every)


def first_open(market: Market) -> datetime:
    """When the earliest bar of a market begins."""
    heads = (market.completed(one, datetime.max.replace(tzinfo=UTC)) for one in market.instruments())
    return min(past[0].open_at for past in heads if past)


def _source(
    instrument: Instrument, table: Sequence[_Row], sessions: Sequence[TradingDay], step: timedelta | None
) -> Source:
    if step is None:
        by_date = {session.date: session for session in sessions}
        return Replay(instrument, [_day(row, by_date[_date(row.at)]) for row in table if _date(row.at) in by_date])
    return ShortReplay(instrument, _by_session(table, sessions), step)


def _by_session(table: Sequence[_Row], sessions: Sequence[TradingDay]) -> Mapping[TradingDay, Sequence[ShortBar]]:
    """The bars within sessions; those outside are left out."""
    opens = [session.open_at for session in sessions]
    found: dict[TradingDay, list[ShortBar]] = {}
    for row in table:
        assert isinstance(row.at, datetime)
        place = bisect_right(opens, row.at) - 1
        if place >= 0 and row.at < sessions[place].close_at:
            bar = ShortBar(start=row.at, open=row.open, high=row.high, low=row.low, close=row.close, volume=row.volume)
            found.setdefault(sessions[place], []).append(bar)
    return found


def _is_in(row: _Row, sessions: Sequence[TradingDay]) -> bool:
    """Whether a bar is of a session: its day, or begins in it."""
    if isinstance(row.at, datetime):
        place = bisect_right(sessions, row.at, key=lambda session: session.open_at) - 1
        return place >= 0 and row.at < sessions[place].close_at
    place = bisect_right(sessions, row.at, key=lambda session: session.date) - 1
    return place >= 0 and sessions[place].date == row.at


def _day(row: _Row, session: TradingDay) -> DayBar:
    return DayBar(
        date=session.date,
        open_at=session.open_at,
        close_at=session.close_at,
        open=row.open,
        high=row.high,
        low=row.low,
        close=row.close,
        volume=row.volume,
    )


def _step(folder: Path, rows: Mapping[str, Sequence[_Row]]) -> timedelta | None:
    """The length of bars within sessions, the same in all files; None when they are of days."""
    kinds = {isinstance(row.at, datetime) for table in rows.values() for row in table}
    if kinds == {False}:
        return None
    if len(kinds) > 1:
        raise DataError(f"{folder}: some bars are of days and some of parts of them; keep them in two folders")
    starts = [[row.at for row in table if isinstance(row.at, datetime)] for table in rows.values()]
    gaps = [later - earlier for times in starts for earlier, later in pairwise(times)]
    step = min(gaps, default=LONGEST)
    if not SHORTEST <= step <= LONGEST or any(gap % step for gap in gaps):
        raise DataError(f"{folder}: bars must all be of one length, 20 seconds to 1 hour; the shortest here is {step}")
    return step


def _rows(path: Path) -> list[_Row]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(_read(csv.reader(file), path))
    except OSError as error:
        raise DataError(f"{path} can't be read ({error.strerror}); name a folder of files like AAPL.csv") from None
    except csv.Error as error:
        raise DataError(f"{path} is no table of bars ({error}); write a line {','.join(NAMES)} for each") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is not text in UTF-8; save it as UTF-8") from None
    if not rows:
        raise DataError(f"{path} holds no bars; remove it, or write a line for each bar")
    return rows


def _read(lines: Iterator[list[str]], path: Path) -> Iterator[_Row]:
    head = next(lines, [])
    if tuple(name.strip().lower() for name in head) != NAMES:
        raise DataError(f"{path}:1: begins with {','.join(head)!r}; begin with {','.join(NAMES)}")
    before: datetime | date | None = None
    for number, line in enumerate(lines, start=2):
        if not line:
            continue
        row = _row(line, f"{path}:{number}")
        if before is not None and (type(row.at) is not type(before) or row.at <= before):
            raise DataError(f"{path}:{number}: {line[0]} does not follow {before}; sort the bars, oldest first")
        before = row.at
        yield row


def _row(line: list[str], where: str) -> _Row:
    try:
        text, opening, high, low, close, volume = line
        figures = [float(one) for one in (opening, high, low, close, volume)]
        at = date.fromisoformat(text) if len(text) == _DAY_FORM else datetime.fromisoformat(text)
    except ValueError:
        raise DataError(f"{where}: {','.join(line)!r} is no bar; write {','.join(NAMES)}, prices as numbers") from None
    if at.year not in YEARS:
        raise DataError(f"{where}: no bar is of {text}; write a day from 1970 on")
    if isinstance(at, datetime):
        if at.tzinfo is None:
            raise DataError(f"{where}: the time {text} has no zone; write {text}Z for UTC")
        at = at.astimezone(UTC)
    bar = _Row(at, *figures)
    is_sound = all(map(math.isfinite, figures)) and 0 < bar.low <= min(bar.open, bar.close) and bar.volume >= 0
    if not is_sound or max(bar.open, bar.close) > bar.high:
        raise DataError(
            f"{where}: no bar can have these prices; low is the lowest of them, high the highest, all above 0"
        )
    if bar.low < LEAST_PRICE or bar.high > MOST_PRICE or bar.volume > MOST_VOLUME:
        raise DataError(
            f"{where}: prices must be {LEAST_PRICE:f} to {MOST_PRICE:,}, the volume {MOST_VOLUME:,} at most"
        )
    return bar


def _date(at: datetime | date) -> date:
    return at.date() if isinstance(at, datetime) else at
