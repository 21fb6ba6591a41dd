"""The market history shipped in the package, read by the demo, the backtest's examples and the tests; see NOTICE.md.

Daily bars of four shares, raw as traded and with an adjusted close, and of the S&P 500 index as a benchmark. The
directory is one a CsvProvider can be pointed at.
"""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path

from longwatch.data.csv import read_symbol
from longwatch.domain.bars import BarSeries
from longwatch.errors import DataError

DIRECTORY = Path(__file__).resolve().parent
BENCHMARK = "SPX"
FIRST_SESSION = date(2007, 1, 3)  # from here to LAST_SESSION no raw price has a split inside
LAST_SESSION = date(2013, 3, 1)
_SYMBOLS = ("AAPL", "GOOG", "IBM", "MSFT")


@cache
def load(symbol: str) -> BarSeries:
    """All bars of one of `symbols()` or of BENCHMARK; read once, so not to be changed. Raises DataError for others."""
    if symbol not in (*_SYMBOLS, BENCHMARK):
        raise DataError(f"the demo has no data of {symbol}; it has {', '.join((*_SYMBOLS, BENCHMARK))}")
    return read_symbol(DIRECTORY, symbol)


def symbols() -> tuple[str, ...]:
    """The shares that can be traded in the demo; the benchmark is none."""
    return _SYMBOLS
