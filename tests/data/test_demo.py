"""The shipped history and calendar: exactly these bytes, made from exactly those sources."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from longwatch.data import demo
from longwatch.data.calendar import ExchangeCalendar
from longwatch.data.validation import FlawKind, barring, judge
from longwatch.errors import DataError

SHIPPED = {
    "demo/AAPL.csv.gz": "7e81b7a12796ba8fe157745cfa8b1a0297437fa8c0a02aa4583a1ab82b8b1a99",
    "demo/GOOG.csv.gz": "430b4a50ee4d2233576b9a2efd3f425ae1ad5b56cd79f848898c50a1fbaf9298",
    "demo/IBM.csv.gz": "6ea32eea2e48f386f57cc801327ade7b8f3a0ca073e2fc714cac02cf041eab41",
    "demo/MSFT.csv.gz": "1f6a475fefbe3b89868e50bd232d2c0dd51b44f5ecf9c0ea9b9e06ba7f3dfdb3",
    "demo/SPX.csv.gz": "186a5c199b7800ecb51536ac52d526655e0c5ab9764a2d257f26ee7b0e150c05",
    "xnys.csv.gz": "bec1430625b30a7baadb9072e7df267f67a22cc8fcbded31f34b6a47949f090d",
}
COUNTS = {
    "AAPL": (3270, date(2000, 3, 1), date(2013, 3, 1)),
    "GOOG": (2148, date(2004, 8, 19), date(2013, 3, 1)),
    "IBM": (3270, date(2000, 3, 1), date(2013, 3, 1)),
    "MSFT": (3270, date(2000, 3, 1), date(2013, 3, 1)),
    "SPX": (5031, date(1999, 1, 4), date(2018, 12, 31)),
}


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_files_are_byte_for_byte_these(name: str) -> None:
    """Results quoted anywhere rest on these bytes."""
    content = (demo.DIRECTORY.parent / name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == SHIPPED[name]


def test_the_script_makes_the_same_bytes_again(root: Path) -> None:
    """Whoever doubts the data can make them."""
    script = root / "deploy" / "make_demo_data.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("symbol", COUNTS)
def test_each_symbol_has_its_rows_and_days(symbol: str) -> None:
    """Counts and ends are those of the sources."""
    series = demo.load(symbol)
    assert (len(series), series.sessions()[0], series.last_session()) == COUNTS[symbol]


def test_first_apple_bar_is_the_sources() -> None:
    """Raw prices as traded, the adjusted close beside them."""
    series = demo.load("AAPL")
    first = (series.open[0], series.high[0], series.low[0], series.close[0], series.volume[0], series.adjusted[0])
    assert first == (118.56, 132.06, 118.5, 130.31, 9616100, 4.186663)


@pytest.mark.parametrize("symbol", COUNTS)
def test_the_history_is_sound_by_our_own_judgement(symbol: str) -> None:
    """No hole, no bar on a holiday, and every jump is vouched for."""
    series = demo.load(symbol)
    first, last = series.sessions()[0], series.sessions()[-1]
    assert barring(judge(series, ExchangeCalendar().sessions(first, last), as_of_session=last)) == ()


def test_the_splits_inside_are_those_of_the_notice() -> None:
    """Raw prices halve where the adjusted ones do not, and never in the demo's years."""
    calendar = ExchangeCalendar()
    splits = {
        (symbol, flaw.at)
        for symbol in demo.symbols()
        for flaw in judge(
            demo.load(symbol),
            calendar.sessions(demo.load(symbol).sessions()[0], demo.LAST_SESSION),
            as_of_session=demo.LAST_SESSION,
        )
        if flaw.kind is FlawKind.SPLIT
    }
    assert splits == {("AAPL", date(2000, 6, 21)), ("AAPL", date(2005, 2, 28)), ("MSFT", date(2003, 2, 18))}
    notice = (demo.DIRECTORY / "NOTICE.md").read_text(encoding="utf-8")
    assert all(str(at) in notice for _, at in splits)
    assert all(at < demo.FIRST_SESSION for _, at in splits if at)


def test_the_notice_names_every_file_with_its_licence() -> None:
    """Source and licence travel with the data."""
    notice = (demo.DIRECTORY / "NOTICE.md").read_text(encoding="utf-8")
    assert all(path.name in notice for path in demo.DIRECTORY.glob("*.csv.gz"))
    for phrase in ("bokeh_sampledata 2026.1", "Copyright (c) Bokeh Contributors", "arch 8.0.0", "Kevin Sheppard"):
        assert phrase in notice


def test_an_unknown_symbol_is_told_what_there_is() -> None:
    """The sentence lists the symbols."""
    with pytest.raises(DataError, match="no data of TSLA; it has AAPL, GOOG, IBM, MSFT, SPX"):
        demo.load("TSLA")


def test_reading_the_demo_imports_no_pandas() -> None:
    """The daemon's start stays fast."""
    code = (
        "import sys; from longwatch.data import demo, calendar, cache, factory, validation;"
        "demo.load('AAPL'); calendar.ExchangeCalendar();"
        "print([name for name in ('pandas', 'numpy', 'pyarrow', 'exchange_calendars') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
