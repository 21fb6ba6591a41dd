"""Makes the market data shipped in the package: demo bars and the New York calendar; run by hand.

    python deploy/make_demo_data.py            write the files
    python deploy/make_demo_data.py --check    say which files would change, and exit 1 if any would

Needs bokeh_sampledata 2026.1, arch 8.0.0 and exchange_calendars. The sources are checked by SHA-256, and neither a time
nor the machine's name goes into an archive, so the same sources give the same bytes.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import importlib.util
import struct
import sys
import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "daemon" / "longwatch" / "data"
STOCKS = ("AAPL", "GOOG", "IBM", "MSFT")
BARS_HEADER = ("date", "open", "high", "low", "close", "volume", "adjusted")
SESSIONS_HEADER = ("date", "open_minute", "close_minute")
CALENDAR_START = date(1999, 1, 1)
CALENDAR_END = date(2030, 12, 31)

# Content hashes of the files as their packages carry them, after decompression.
SOURCES = {
    ("bokeh_sampledata", "_data/stocks.csv.gz"): "e73fe05d106b7da1abe8f947264c514afd02cef5c9db4864b9437c84d6bd6069",
    ("arch", "data/sp500/sp500.csv.gz"): "1c4d0aeed8db9284de8ad71e4063c97f645ad6dd13507f8e305338e96c396ba7",
}


def main(arguments: list[str]) -> int:
    """Write every file, or with --check compare it; the exit code."""
    check = arguments == ["--check"]
    changed = [name for name, content in files() if not _settled(DATA / name, content, write=not check)]
    for name in changed:
        print(f"{name}: {'differs from what the sources give' if check else 'written'}")
    return 1 if check and changed else 0


def files() -> Iterator[tuple[str, bytes]]:
    """Each shipped file's path below the data package, and its bytes."""
    for symbol in STOCKS:
        yield f"demo/{symbol}.csv.gz", archive(table(BARS_HEADER, stock_rows(symbol)))
    yield "demo/SPX.csv.gz", archive(table(BARS_HEADER, index_rows()))
    yield "xnys.csv.gz", archive(table(SESSIONS_HEADER, session_rows()))


def stock_rows(symbol: str) -> Iterator[tuple[str, ...]]:
    """One stock's daily rows: prices and volume as the source writes them, the adjusted close at six decimals."""
    for row in _source("bokeh_sampledata", "_data/stocks.csv.gz"):
        if row["Ticker"] == symbol:
            adjusted = str(Decimal(row["Adj Close"]).quantize(Decimal("0.000001")))
            yield (row["Date"], row["Open"], row["High"], row["Low"], row["Close"], row["Volume"], adjusted)


def index_rows() -> Iterator[tuple[str, ...]]:
    """The S&P 500 index' daily rows; only the dates are written anew, as ISO 8601."""
    for row in _source("arch", "data/sp500/sp500.csv.gz"):
        month, day, year = (int(part) for part in row["Date"].split("/"))
        session = date(year, month, day).isoformat()
        yield (session, row["Open"], row["High"], row["Low"], row["Close"], row["Volume"], row["Adj Close"])


def session_rows() -> Iterator[tuple[str, ...]]:
    """The New York Stock Exchange's sessions: date, opening and closing minute of that date's day in UTC."""
    import exchange_calendars

    calendar = exchange_calendars.get_calendar("XNYS", start=CALENDAR_START, end=CALENDAR_END)
    for label, opening, closing in zip(calendar.sessions, calendar.opens, calendar.closes, strict=True):
        yield (label.date().isoformat(), str(_minute(opening, label)), str(_minute(closing, label)))


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> bytes:
    """Rows as CSV text with line feeds."""
    return "".join(",".join(cells) + "\n" for cells in (header, *rows)).encode("ascii")


def archive(content: bytes) -> bytes:
    """`content` as one gzip member (RFC 1952) without time or name, and with the unknown-system mark.

    Python's own gzip writes a mark that differs between its versions.
    """
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = deflate.compress(content) + deflate.flush()
    return b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff" + body + struct.pack("<II", zlib.crc32(content), len(content))


def _source(package: str, name: str) -> Iterator[dict[str, str]]:
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise SystemExit(f"{package} is not installed; install the test extra first")
    content = gzip.decompress((Path(found.submodule_search_locations[0]) / name).read_bytes())
    if hashlib.sha256(content).hexdigest() != SOURCES[package, name]:
        raise SystemExit(f"{package}/{name} is not the version these data were made from; see NOTICE.md")
    yield from csv.DictReader(content.decode("ascii").splitlines())


def _minute(at: datetime, label: datetime) -> int:
    midnight = datetime(label.year, label.month, label.day, tzinfo=UTC)
    return int((at.timestamp() - midnight.timestamp()) // 60)


def _settled(path: Path, content: bytes, *, write: bool) -> bool:
    if path.exists() and path.read_bytes() == content:
        return True
    if write:
        path.write_bytes(content)
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
