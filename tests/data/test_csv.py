"""Bars from CSV files: what is read, and the one sentence each malformed file gives."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path

import pytest

from longwatch.data.csv import CsvProvider, read_file
from longwatch.errors import DataError

HEADER = "date,open,high,low,close,volume"
GOOD = "2007-01-03,10,12,9,11,1000"
NEXT = "2007-01-04,11,13,10,12,2000"
LAST = "2007-01-05,12,14,11,13,3000"


def write(directory: Path, *lines: str, name: str = "XYZ.csv") -> Path:
    path = directory / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_columns_may_come_in_any_case_and_order_with_others_between(tmp_path: Path) -> None:
    """Columns are found by name."""
    path = write(tmp_path, "Volume,Close,Low,High,Open,Sector,Date", "1000,11,9,12,10,tech,2007-01-03")
    series = read_file(path, "XYZ")
    assert (series.open[0], series.high[0], series.low[0], series.close[0], series.volume[0]) == (10, 12, 9, 11, 1000)
    assert series.sessions() == [date(2007, 1, 3)]


@pytest.mark.parametrize("name", ["adjusted", "adj_close", "Adj Close", "ADJUSTED_CLOSE"])
def test_the_adjusted_close_goes_by_several_names(tmp_path: Path, name: str) -> None:
    """Exports spell it differently."""
    assert list(read_file(write(tmp_path, f"{HEADER},{name}", f"{GOOD},5.5"), "XYZ").adjusted) == [5.5]


def test_without_an_adjusted_close_the_close_stands_in(tmp_path: Path) -> None:
    """A provider that has none repeats the close."""
    series = read_file(write(tmp_path, HEADER, GOOD, NEXT), "XYZ")
    assert series.adjusted == series.close
    assert series.adjusted is not series.close


def test_blank_lines_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    """A spreadsheet's export is a CSV too."""
    path = tmp_path / "XYZ.csv"
    path.write_bytes(b"\xef\xbb\xbf" + f"{HEADER}\r\n{GOOD}\r\n\r\n{NEXT}\r\n".encode())
    assert len(read_file(path, "XYZ")) == 2


MALFORMED = {
    "empty file": ([], "XYZ.csv: is empty"),
    "blank first line": (["", GOOD], "XYZ.csv: is empty"),
    "header only": ([HEADER], "XYZ.csv: has a header but no bar"),
    "missing column": (
        ["date,open,high,low,close", "2007-01-03,1,1,1,1"],
        "XYZ.csv:1: the header has no column 'volume'",
    ),
    "no header": ([GOOD, NEXT], "XYZ.csv:1: the header has no column 'date'"),
    "column twice": ([HEADER + ",close", GOOD + ",11"], "XYZ.csv:1: the header names 'close' 2 times"),
    "two adjusted": ([HEADER + ",adjusted,adj_close", GOOD + ",1,1"], "XYZ.csv:1: the header names 'adjusted' 2 times"),
    "short row": ([HEADER, GOOD, "2007-01-04,11"], "XYZ.csv:3: 2 cells where the header has 6"),
    "long row": ([HEADER, GOOD + ",7"], "XYZ.csv:2: 7 cells where the header has 6"),
    "unparsable cell": ([HEADER, GOOD, "2007-01-04,11,13,1O,12,2000"], "XYZ.csv:3: low '1O' is not a number"),
    "empty cell": ([HEADER, "2007-01-03,10,12,9,,1000"], "XYZ.csv:2: close '' is not a number"),
    "nan": ([HEADER, "2007-01-03,10,nan,9,11,1000"], "XYZ.csv:2: high 'nan' is not a finite number"),
    "infinity": ([HEADER, "2007-01-03,10,12,9,11,inf"], "XYZ.csv:2: volume 'inf' is not a finite number"),
    "underscore": ([HEADER, "2007-01-03,1_0,12,9,11,1000"], "XYZ.csv:2: open '1_0' is not a finite number"),
    "negative price": ([HEADER, GOOD, "", "2007-01-04,11,13,-10,12,2000"], "XYZ.csv:4: low '-10' is not above zero"),
    "zero price": ([HEADER, "2007-01-03,0,12,9,11,1000"], "XYZ.csv:2: open '0' is not above zero"),
    "negative volume": ([HEADER, "2007-01-03,10,12,9,11,-1"], "XYZ.csv:2: volume '-1' is below zero"),
    "bad date": ([HEADER, "03/01/2007,10,12,9,11,1000"], "XYZ.csv:2: date '03/01/2007' is not a date like 2007-01-31"),
    "no such day": ([HEADER, "2007-02-30,10,12,9,11,1000"], "XYZ.csv:2: date '2007-02-30' is not a date"),
    "duplicate date": ([HEADER, GOOD, NEXT, NEXT], "XYZ.csv:4: date 2007-01-04 is repeated"),
    "newest first": ([HEADER, NEXT, GOOD], "XYZ.csv:3: date 2007-01-03 comes after 2007-01-04"),
    "broken quote": ([HEADER, '2007-01-03,"10,12,9,11,1000'], "XYZ.csv:2: not CSV"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_file_is_one_sentence_with_file_and_line(tmp_path: Path, case: str) -> None:
    """Each says where, what, and after a semicolon what to do."""
    lines, expected = MALFORMED[case]
    path = tmp_path / "XYZ.csv"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_file(path, "XYZ")
    assert str(caught.value).startswith(f"{tmp_path}/{expected}")
    assert ";" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00d", b"date\x00"])
def test_bytes_that_are_no_text_are_one_sentence(tmp_path: Path, content: bytes) -> None:
    """A binary file under the right name is refused, not guessed at."""
    path = tmp_path / "XYZ.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"XYZ\.csv"):
        read_file(path, "XYZ")


@pytest.mark.parametrize("cut", [0, 5, 30, -4])
def test_a_truncated_archive_is_one_sentence(tmp_path: Path, cut: int) -> None:
    """A download that broke off is not a shorter history."""
    path = tmp_path / "XYZ.csv.gz"
    path.write_bytes(gzip.compress(f"{HEADER}\n{GOOD}\n{NEXT}\n".encode())[:cut])
    with pytest.raises(DataError, match=r"XYZ\.csv\.gz"):
        read_file(path, "XYZ")


def test_zero_volume_is_a_number_like_another(tmp_path: Path) -> None:
    """An index has none; whether that is suspicious is for validation to say."""
    assert read_file(write(tmp_path, HEADER, "2007-01-03,10,12,9,11,0"), "XYZ").volume[0] == 0


async def test_the_provider_gives_the_newest_bars_up_to_a_session(tmp_path: Path, workers) -> None:
    """A bar after the last completed session is partial, and dropped."""
    write(tmp_path, HEADER, GOOD, NEXT, LAST)
    provider = CsvProvider(tmp_path, workers=workers, deadline_seconds=7.0)
    series = await provider.bars("XYZ", bar_size="1 day", until=date(2007, 1, 4), count=1)
    assert series.sessions() == [date(2007, 1, 4)]
    assert (await provider.bars("XYZ", bar_size="1 day", until=date(2008, 1, 1), count=99)).sessions() == [
        date(2007, 1, 3),
        date(2007, 1, 4),
        date(2007, 1, 5),
    ]
    assert workers.deadlines == [7.0, 7.0]


async def test_history_that_begins_later_is_an_error_and_not_an_empty_series(tmp_path: Path, workers) -> None:
    """No data is never an empty answer."""
    write(tmp_path, HEADER, GOOD)
    provider = CsvProvider(tmp_path, workers=workers, deadline_seconds=1.0)
    with pytest.raises(DataError, match="no bar up to 2006-12-29, its bars begin on 2007-01-03"):
        await provider.bars("XYZ", bar_size="1 day", until=date(2006, 12, 29), count=5)


async def test_a_flawed_file_fails_its_own_symbol_only(tmp_path: Path, workers) -> None:
    """The others are read on."""
    write(tmp_path, HEADER, "rubbish", name="BAD.csv")
    write(tmp_path, HEADER, GOOD, name="FINE.csv")
    provider = CsvProvider(tmp_path, workers=workers, deadline_seconds=1.0)
    with pytest.raises(DataError, match=r"BAD\.csv:2"):
        await provider.bars("BAD", bar_size="1 day", until=date(2007, 1, 3), count=5)
    assert len(await provider.bars("FINE", bar_size="1 day", until=date(2007, 1, 3), count=5)) == 1


async def test_a_missing_file_names_itself(tmp_path: Path, workers) -> None:
    """The sentence says which file to supply."""
    provider = CsvProvider(tmp_path, workers=workers, deadline_seconds=1.0)
    with pytest.raises(DataError, match=r"NONE\.csv does not exist; supply it or take NONE out"):
        await provider.bars("NONE", bar_size="1 day", until=date(2007, 1, 3), count=5)


@pytest.mark.parametrize("symbol", ["../XYZ", "a/b", "", "..", ".hidden", "a\0b", "a\\b"])
async def test_a_symbol_never_leaves_the_directory(tmp_path: Path, workers, symbol: str) -> None:
    """A symbol is a name, not a path."""
    (tmp_path / "in").mkdir()
    write(tmp_path, HEADER, GOOD)
    provider = CsvProvider(tmp_path / "in", workers=workers, deadline_seconds=1.0)
    with pytest.raises(DataError, match="can't be a file's name"):
        await provider.bars(symbol, bar_size="1 day", until=date(2007, 1, 3), count=5)


async def test_a_file_that_is_a_directory_is_one_sentence(tmp_path: Path, workers) -> None:
    """The system's own reason is passed on."""
    (tmp_path / "XYZ.csv").mkdir()
    provider = CsvProvider(tmp_path, workers=workers, deadline_seconds=1.0)
    with pytest.raises(DataError, match=r"XYZ\.csv: can't be read \(Is a directory\)"):
        await provider.bars("XYZ", bar_size="1 day", until=date(2007, 1, 3), count=5)


async def test_only_daily_bars_are_in_files(tmp_path: Path, workers) -> None:
    """Another bar size is refused before a file is opened."""
    provider = CsvProvider(tmp_path, workers=workers, deadline_seconds=1.0)
    with pytest.raises(DataError, match="daily bars, not '1 hour'"):
        await provider.bars("XYZ", bar_size="1 hour", until=date(2007, 1, 3), count=5)


async def test_a_read_past_its_deadline_is_an_error(tmp_path: Path, late_workers) -> None:
    """A hanging disk does not become an empty series."""
    provider = CsvProvider(tmp_path, workers=late_workers, deadline_seconds=2.5)
    with pytest.raises(DataError, match=r"took over 2\.5 s"):
        await provider.bars("XYZ", bar_size="1 day", until=date(2007, 1, 3), count=5)
