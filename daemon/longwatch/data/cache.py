"""Completed bars kept on disk, a parquet file for each symbol and bar size; the refresh job calls it inside a worker.

Everything here blocks, and pyarrow takes half a second to import: never on the event loop. A file is written beside
its place, synced and renamed, so a crash leaves the old one or the new one. One process writes a symbol at a time.
"""

from __future__ import annotations

import math
import os
from array import array
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import count, pairwise
from pathlib import Path
from statistics import median
from typing import Any, TypeVar
from urllib.parse import quote

from longwatch.domain.bars import BarSeries
from longwatch.errors import DataError

PRICES = ("open", "high", "low", "close", "adjusted")
FIGURES = (*PRICES, "volume")
STAMP = "stamp"
Cells = TypeVar("Cells", "array[int]", "array[float]")
# Relative: two prices nearer than this are one price written with other digits.
SAME_PRICE = 1e-9
CENT, FEWEST_REBASED, LEAST_REBASED = 0.01, 3, 0.01


class MergeKind(StrEnum):
    """What became of the bars that were cached."""

    CREATED = "created"  # none were cached
    UNCHANGED = "unchanged"  # nothing new was fetched
    EXTENDED = "extended"  # bars were added, or volumes corrected
    REBASED = "rebased"  # a price differs: what was cached is superseded
    DETACHED = "detached"  # no bar in common, so nothing proves one base: what was cached is superseded


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """The outcome of a merge: `series` is cached now.

    `added` counts bars not cached before, `corrected` bars whose volume alone changed. REBASED and DETACHED come with
    the stamps whose prices differ (`changed`) and the file the old bars were put in (`superseded`); then only what was
    fetched is cached, and a caller who needs more fetches the whole history anew. `ratio` is old price for new, where
    it is one for all bars in common, as after a split.
    """

    kind: MergeKind
    series: BarSeries
    added: int = 0
    corrected: int = 0
    changed: tuple[int, ...] = ()
    superseded: Path | None = None
    ratio: float | None = None


class Cache:
    """The bars below one directory; blocking."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        # The bars of each file as it was when it was last read or written here: they need not be decoded again.
        self._known: dict[Path, tuple[bytes, BarSeries]] = {}

    def merge(self, fetched: BarSeries) -> Merge:
        """Join completed bars to those cached, atomically, and say what came of it.

        Only bars of one base are joined: at least one bar in common, and no price that differs where both have a bar
        (Interactive Brokers rebases a whole history after a split). Otherwise the old file is put aside and `fetched`
        alone is cached. Raises DataError when `fetched` is empty, not oldest first or not finite, when the cached file
        is corrupt (it is set aside, so the next merge starts anew), or when the disk refuses.
        """
        if not len(fetched) or not _is_rising(fetched.stamps) or not _is_finite(fetched):
            what = "bars to be cached are none, not oldest first, or not finite"
            raise DataError(f"{fetched.symbol}: {what}; correct their source")
        found = joined(self.read(fetched.symbol, fetched.bar_size), fetched)
        if found.kind is MergeKind.UNCHANGED:
            return found
        return self._write(found)

    def read(self, symbol: str, bar_size: str) -> BarSeries | None:
        """The cached bars, None when there are none. Raises DataError for a corrupt file, which is first set aside."""
        path = self.path(symbol, bar_size)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DataError(f"{path}: can't be read ({error.strerror}); check its permissions") from error
        known = self._known.get(path)
        if known is None or known[0] != content:
            known = self._known[path] = (content, _decoded(path, content, symbol, bar_size))
        return known[1]

    def path(self, symbol: str, bar_size: str) -> Path:
        """The file of one symbol and bar size; letters that are unsafe in a file's name are escaped."""
        return self._directory / f"{quote(symbol, safe=' ')}@{quote(bar_size.replace(' ', '-'), safe='')}.parquet"

    def _write(self, merge: Merge) -> Merge:
        path = self.path(merge.series.symbol, merge.series.bar_size)
        content = _encoded(merge.series)
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            superseded = _kept_aside(path) if merge.kind in (MergeKind.REBASED, MergeKind.DETACHED) else None
            _replace(path, content)
            self._known[path] = (content, merge.series)
        except OSError as error:
            raise DataError(f"{path}: can't be written ({error.strerror}); free or mend the disk") from error
        return replace(merge, superseded=superseded)


def joined(cached: BarSeries | None, fetched: BarSeries) -> Merge:
    """What merging `fetched` into `cached` gives, pure; both oldest first, of one symbol and bar size."""
    if cached is None or not len(cached):
        return Merge(kind=MergeKind.CREATED, series=fetched, added=len(fetched))
    places = {stamp: place for place, stamp in enumerate(cached.stamps)}
    common = [(places[stamp], place) for place, stamp in enumerate(fetched.stamps) if stamp in places]
    added = len(fetched) - len(common)
    if not common:
        return Merge(kind=MergeKind.DETACHED, series=fetched, added=added)
    changed = tuple(fetched.stamps[new] for old, new in common if not _same_prices(cached, old, fetched, new))
    if changed:
        ratio = _ratio(cached, fetched, common)
        return Merge(kind=MergeKind.REBASED, series=fetched, added=added, changed=changed, ratio=ratio)
    corrected = sum(cached.volume[old] != fetched.volume[new] for old, new in common)
    if not added and not corrected:
        return Merge(kind=MergeKind.UNCHANGED, series=cached)
    return Merge(kind=MergeKind.EXTENDED, series=_union(cached, fetched), added=added, corrected=corrected)


def _ratio(cached: BarSeries, fetched: BarSeries, common: list[tuple[int, int]]) -> float | None:
    """The one ratio of old closes to new ones; None where they are too few, or don't agree to a cent's rounding."""
    pairs = [(cached.close[old], fetched.close[new]) for old, new in common]
    if len(pairs) < FEWEST_REBASED or not all(new > 0 for _, new in pairs):
        return None
    ratio = median(old / new for old, new in pairs)
    is_one = all(abs(old - new * ratio) <= CENT * (1 + ratio) for old, new in pairs)
    return ratio if is_one and abs(ratio - 1) > LEAST_REBASED else None


def _same_prices(cached: BarSeries, old: int, fetched: BarSeries, new: int) -> bool:
    pairs = ((getattr(cached, name)[old], getattr(fetched, name)[new]) for name in PRICES)
    return all(math.isclose(before, after, rel_tol=SAME_PRICE) for before, after in pairs)


def _union(cached: BarSeries, fetched: BarSeries) -> BarSeries:
    """All bars of both, the fetched one where both have it."""
    source = {stamp: (cached, place) for place, stamp in enumerate(cached.stamps)}
    source |= {stamp: (fetched, place) for place, stamp in enumerate(fetched.stamps)}
    rows = [source[stamp] for stamp in sorted(source)]
    columns = {name: array("d", [getattr(series, name)[place] for series, place in rows]) for name in FIGURES}
    stamps = array("q", sorted(source))
    return BarSeries(symbol=cached.symbol, bar_size=cached.bar_size, stamps=stamps, **columns)


def _encoded(series: BarSeries) -> bytes:
    import pyarrow
    from pyarrow import parquet

    columns = {name: _arrow(getattr(series, name)) for name in FIGURES}
    table = pyarrow.table(
        {STAMP: _arrow(series.stamps), **columns}, metadata={"symbol": series.symbol, "bar_size": series.bar_size}
    )
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(table, sink, compression="zstd", write_page_checksum=True)
    return bytes(sink.getvalue())


def _arrow(column: array[int] | array[float]) -> Any:
    """The column without a copy; pyarrow's own conversion goes cell by cell."""
    import pyarrow

    kind = pyarrow.int64() if column.typecode == "q" else pyarrow.float64()
    return pyarrow.Array.from_buffers(kind, len(column), [None, pyarrow.py_buffer(column)])


def _decoded(path: Path, content: bytes, symbol: str, bar_size: str) -> BarSeries:
    import pyarrow
    from pyarrow import parquet

    try:
        # parquet.read_table would do as well, by way of pyarrow.dataset, which takes longer than the file.
        with parquet.ParquetFile(pyarrow.BufferReader(content), page_checksum_verification=True) as file:
            return _series(file.read(), symbol, bar_size)
    except (pyarrow.ArrowException, OSError, KeyError, ValueError) as error:
        aside = _moved_aside(path)
        reason = str(error).strip("'\"").partition("\n")[0]
        what = f"the cached file is corrupt ({reason}) and was moved to {aside.name}"
        raise DataError(f"{path}: {what}; fetch the history anew") from error


def _series(table: Any, symbol: str, bar_size: str) -> BarSeries:
    """The bars in a pyarrow table. Raises KeyError or ValueError when it holds something else."""
    named = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    if (named.get("symbol"), named.get("bar_size")) != (symbol, bar_size):
        raise ValueError(f"it holds {named.get('symbol')} {named.get('bar_size')}")
    kinds = {name: str(table.schema.field(name).type) for name in (STAMP, *FIGURES)}
    if kinds != {STAMP: "int64", **dict.fromkeys(FIGURES, "double")}:
        raise ValueError(f"its columns are {kinds}")
    columns = {name: _column(table, name, array("d")) for name in FIGURES}
    stamps = _column(table, STAMP, array("q"))
    if not _is_rising(stamps):
        raise ValueError("its bars are not oldest first")
    return BarSeries(symbol=symbol, bar_size=bar_size, stamps=stamps, **columns)


def _column(table: Any, name: str, into: Cells) -> Cells:
    """A column's cells, taken from its buffers: pyarrow's own ways to arrays import pandas."""
    values = table.column(name)
    if values.null_count:
        raise ValueError(f"its column {name} has gaps")
    for chunk in filter(len, values.chunks):
        start = chunk.offset * into.itemsize
        into.frombytes(memoryview(chunk.buffers()[1])[start : start + len(chunk) * into.itemsize])
    return into


def _is_finite(series: BarSeries) -> bool:
    return all(all(map(math.isfinite, getattr(series, name))) for name in FIGURES)


def _is_rising(stamps: array[int]) -> bool:
    return all(before < after for before, after in pairwise(stamps))


def _moved_aside(path: Path) -> Path:
    """Where a corrupt file went: the first free name, as each may be looked at. Raises DataError when it can't go."""
    aside = next(each for number in count(1) if not (each := Path(f"{path}.corrupt-{number}")).exists())
    try:
        path.rename(aside)
    except OSError as error:
        raise DataError(f"{path}: is corrupt and can't be moved ({error.strerror}); move it by hand") from error
    return aside


def _kept_aside(path: Path) -> Path:
    """A copy of what is about to be superseded; of each file only the latest is kept."""
    aside = Path(f"{path}.superseded")
    _replace(aside, path.read_bytes())
    return aside


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that a crash at any instant leaves the old one or the new one, whole."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
