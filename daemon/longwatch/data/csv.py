"""Daily bars from a directory of CSV files, without pandas; made by the factory, and the demo reads its files here."""

from __future__ import annotations

import csv
import gzip
import io
import math
import zlib
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

from longwatch.data.validation import newest
from longwatch.domain.bars import BarSeries, session_of, stamp_of
from longwatch.errors import DataError
from longwatch.ports import Workers

BAR_SIZE = "1 day"
ENDINGS = (".csv", ".csv.gz")
COLUMNS = ("date", "open", "high", "low", "close", "volume")
ADJUSTED_NAMES = ("adjusted", "adj_close", "adj close", "adjusted_close", "adjusted close")


class CsvProvider:
    """Bars from `SYMBOL.csv` or `SYMBOL.csv.gz` in one directory; a flawed file fails its own symbol only."""

    name = "csv"

    def __init__(self, directory: Path, *, workers: Workers, deadline_seconds: float) -> None:
        self._directory = directory
        self._workers = workers
        self._deadline_seconds = deadline_seconds

    async def bars(self, symbol: str, *, bar_size: str, until: date, count: int) -> BarSeries:
        """As the port Provider promises; fewer than `count` when the file has fewer, never none.

        Raises DataError naming file, line, what is wrong and what to do.
        """
        if bar_size != BAR_SIZE:
            raise DataError(f"{symbol}: CSV files hold daily bars, not '{bar_size}'; set the bar size to '{BAR_SIZE}'")
        work = partial(read_symbol, self._directory, symbol)
        try:
            series = await self._workers.run(work, deadline_seconds=self._deadline_seconds)
        except TimeoutError:
            waited = f"{self._deadline_seconds:g} s"
            raise DataError(f"{symbol}: reading {self._directory} took over {waited}; check the disk") from None
        return newest(series, until=until, count=count, source=str(self._directory))


def read_symbol(directory: Path, symbol: str) -> BarSeries:
    """The bars of `symbol` in `directory`; blocking. Raises DataError when there is no such file or it is malformed."""
    if not symbol or symbol.startswith(".") or any(mark in symbol for mark in "/\\\0"):
        raise DataError(f"{symbol!r} can't be a file's name; correct the symbol")
    for ending in ENDINGS:
        path = directory / f"{symbol}{ending}"
        if path.exists():
            return read_file(path, symbol)
    raise DataError(f"{directory / symbol}.csv does not exist; supply it or take {symbol} out of the universe")


def read_file(path: Path, symbol: str) -> BarSeries:
    """The bars in one file, oldest first; blocking.

    The header may be in any case and order, further columns are ignored, and without one of ADJUSTED_NAMES `adjusted`
    repeats `close`. Raises DataError `file:line: what; what to do` for the first row that is not a bar: a wrong number
    of cells, a cell that is no date or number, a price not above zero, a date repeated or out of order.
    """
    table = _table(path)
    stamps = array("q", _stamps(table))
    values = {name: _numbers(table, name) for name in table.places if name != "date"}
    values.setdefault("adjusted", values["close"][:])
    return BarSeries(symbol=symbol, bar_size=BAR_SIZE, stamps=stamps, **values)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """A file's cells: the place of each column we read, and each row with its line, blank lines left out."""

    path: Path
    places: Mapping[str, int]
    lines: Sequence[int]
    rows: Sequence[Sequence[str]]

    def column(self, name: str) -> list[str]:
        place = self.places[name]
        return [row[place] for row in self.rows]

    def first_fault(self, name: str, fault: Callable[[str], str | None]) -> DataError:
        """The error for the first cell of column `name` that `fault` finds wrong."""
        found = ((line, cell, fault(cell)) for line, cell in zip(self.lines, self.column(name), strict=True))
        line, cell, text = next(each for each in found if each[2])
        return DataError(f"{self.path}:{line}: {name} '{cell}' {text}; correct or remove the row")


def _table(path: Path) -> _Table:
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        header = next(reader, [])
        places = _places(path, header)
        numbered = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: not CSV ({error}); write the file anew") from error
    for line, row in numbered:
        if len(row) != len(header):
            cells = f"{len(row)} cells where the header has {len(header)}"
            raise DataError(f"{path}:{line}: {cells}; correct or remove the row")
    if not numbered:
        raise DataError(f"{path}: has a header but no bar; supply the history")
    return _Table(path=path, places=places, lines=[line for line, _ in numbered], rows=[row for _, row in numbered])


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        return (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8-sig")
    except (UnicodeDecodeError, zlib.error, gzip.BadGzipFile, EOFError) as error:
        raise DataError(f"{path}: can't be decoded ({error}); write it anew as UTF-8 text") from error
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error.strerror}); check the path and its permissions") from error


def _places(path: Path, header: Sequence[str]) -> dict[str, int]:
    names = [_canonical(cell) for cell in header]
    if not any(names):
        raise DataError(f"{path}: is empty; supply a header {','.join(COLUMNS)} and the bars")
    wanted = (*COLUMNS, "adjusted") if "adjusted" in names else COLUMNS
    for name in wanted:
        if (found := names.count(name)) != 1:
            what = f"the header names '{name}' {found} times" if found else f"the header has no column '{name}'"
            raise DataError(f"{path}:1: {what}; the columns are {','.join(COLUMNS)} and, if known, adjusted")
    return {name: names.index(name) for name in wanted}


def _canonical(cell: str) -> str:
    name = cell.strip().lower()
    return "adjusted" if name in ADJUSTED_NAMES else name


def _stamps(table: _Table) -> list[int]:
    cells = table.column("date")
    try:
        stamps = [stamp_of(date.fromisoformat(cell)) for cell in cells]
    except ValueError:
        raise table.first_fault("date", _date_fault) from None
    for line, before, stamp in zip(table.lines[1:], stamps, stamps[1:], strict=False):
        if stamp <= before:
            what = "is repeated" if stamp == before else f"comes after {session_of(before)}"
            advice = "keep one bar a session, oldest first"
            raise DataError(f"{table.path}:{line}: date {session_of(stamp)} {what}; {advice}")
    return stamps


def _numbers(table: _Table, name: str) -> array[float]:
    cells = table.column(name)
    fault = _volume_fault if name == "volume" else _price_fault
    try:
        numbers = array("d", map(float, cells))
    except ValueError:
        raise table.first_fault(name, fault) from None
    floor = -math.ulp(0.0) if name == "volume" else 0.0
    if "_" in "".join(cells) or not _all_within(numbers, floor):
        raise table.first_fault(name, fault)
    return numbers


def _all_within(numbers: Iterable[float], floor: float) -> bool:
    return all(floor < number < math.inf for number in numbers)


def _date_fault(cell: str) -> str | None:
    try:
        date.fromisoformat(cell)
    except ValueError:
        return "is not a date like 2007-01-31"
    return None


def _price_fault(cell: str) -> str | None:
    return _number_fault(cell) or (None if float(cell) > 0 else "is not above zero")


def _volume_fault(cell: str) -> str | None:
    return _number_fault(cell) or (None if float(cell) >= 0 else "is below zero")


def _number_fault(cell: str) -> str | None:
    """Python reads `1_000` as a number; a file that says so more likely means something else."""
    try:
        return None if math.isfinite(float(cell)) and "_" not in cell else "is not a finite number"
    except ValueError:
        return "is not a number"
