"""The cache: nothing is mixed that does not belong together, nothing is lost, nothing is half written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from array import array
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.data import demo
from longwatch.data.cache import FIGURES, Cache, MergeKind, joined
from longwatch.domain.bars import BarSeries, stamp_of
from longwatch.errors import DataError
from tests.data.conftest import FIRST, make_bars

CLOSES = [100.0 + place for place in range(30)]
WHOLE = make_bars(CLOSES)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def scaled(series: BarSeries, factor: float) -> BarSeries:
    """The same bars on another base, as after a split."""
    prices = {name: array("d", [value * factor for value in getattr(series, name)]) for name in FIGURES}
    return replace(series, **prices)


def stored(cache: Cache, symbol: str) -> BarSeries | None:
    """What is in the file, read by somebody who knows nothing of it."""
    return Cache(cache.path(symbol, "1 day").parent).read(symbol, "1 day")


def test_what_was_merged_is_read_back_exactly(cache: Cache) -> None:
    """Every column, to the last bit, for real bars."""
    series = demo.load("AAPL")
    merge = cache.merge(series)
    assert (merge.kind, merge.added) == (MergeKind.CREATED, 3270)
    assert stored(cache, "AAPL") == series


def test_nothing_cached_is_none(cache: Cache) -> None:
    """Not an empty series, and no error: a newcomer's cache is no fault."""
    assert stored(cache, "XYZ") is None


def test_new_bars_are_appended(cache: Cache) -> None:
    """A refresh that overlaps adds what is new."""
    cache.merge(WHOLE.between(0, 20))
    merge = cache.merge(WHOLE.between(15, 30))
    assert (merge.kind, merge.added, merge.corrected, merge.changed) == (MergeKind.EXTENDED, 10, 0, ())
    assert merge.series == WHOLE == stored(cache, "XYZ")


def test_the_same_again_writes_nothing(cache: Cache) -> None:
    """A refresh at a weekend leaves the file alone."""
    cache.merge(WHOLE)
    before = cache.path("XYZ", "1 day").stat()
    assert cache.merge(WHOLE.between(5, 30)).kind is MergeKind.UNCHANGED
    after = cache.path("XYZ", "1 day").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_hole_is_filled_by_a_later_fetch(cache: Cache) -> None:
    """Whichever of the two has the bar."""
    cache.merge(make_bars([100.0, 101.0, 104.0], days=(0, 1, 4)))
    merge = cache.merge(make_bars([101.0, 102.0, 103.0], days=(1, 2, 3)))
    assert merge.series == make_bars([100.0, 101.0, 102.0, 103.0, 104.0])
    assert merge.added == 2


def test_a_corrected_volume_is_taken_over(cache: Cache) -> None:
    """Volumes settle after the close; that is no change of base."""
    cache.merge(WHOLE)
    volume = WHOLE.volume[:]
    volume[-1] = 1234.0
    merge = cache.merge(replace(WHOLE, volume=volume))
    assert (merge.kind, merge.added, merge.corrected) == (MergeKind.EXTENDED, 0, 1)
    assert stored(cache, "XYZ") == replace(WHOLE, volume=volume)


def test_a_split_is_reported_and_never_mixed(cache: Cache) -> None:
    """The rebased bars stand alone, the old ones are put aside, and the stamps that differ are named."""
    cache.merge(WHOLE.between(0, 20))
    fetched = scaled(WHOLE.between(15, 30), 0.5)
    merge = cache.merge(fetched)
    assert (merge.kind, merge.added) == (MergeKind.REBASED, 10)
    assert merge.changed == tuple(WHOLE.stamps[15:20])
    assert stored(cache, "XYZ") == fetched == merge.series
    assert merge.superseded is not None
    merge.superseded.replace(cache.path("XYZ", "1 day"))
    assert stored(cache, "XYZ") == WHOLE.between(0, 20)


def test_a_dividend_in_the_adjusted_close_alone_is_a_change_of_base(cache: Cache) -> None:
    """Adjusted prices of two bases side by side would show a return that never was."""
    cache.merge(WHOLE)
    merge = cache.merge(replace(WHOLE, adjusted=array("d", [close * 0.99 for close in CLOSES])))
    assert merge.kind is MergeKind.REBASED
    assert len(merge.changed) == 30


def test_bars_without_one_in_common_are_not_joined(cache: Cache) -> None:
    """Nothing proves that no split lies between."""
    cache.merge(WHOLE.between(0, 10))
    merge = cache.merge(WHOLE.between(10, 20))
    assert (merge.kind, merge.added) == (MergeKind.DETACHED, 10)
    assert stored(cache, "XYZ") == WHOLE.between(10, 20)
    assert merge.superseded is not None
    assert merge.superseded.exists()


def test_symbols_and_bar_sizes_have_files_of_their_own(cache: Cache) -> None:
    """Also those whose letters are unsafe in a file's name."""
    names = ["XYZ", "BRK B", "BRK.B", "../XYZ", "A/B", "A%2FB", "€UR", ".."]
    for place, name in enumerate(names):
        cache.merge(replace(make_bars([1.0 + place]), symbol=name))
        cache.merge(replace(make_bars([50.0 + place]), symbol=name, bar_size="1 hour"))
    for place, name in enumerate(names):
        daily, hourly = cache.read(name, "1 day"), cache.read(name, "1 hour")
        assert daily is not None
        assert hourly is not None
        assert (daily.close[0], hourly.close[0]) == (1.0 + place, 50.0 + place)
        assert cache.path(name, "1 day").parent == cache.path("XYZ", "1 day").parent


@pytest.mark.parametrize(
    "series",
    [
        make_bars([]),
        make_bars([1.0, 2.0], days=(1, 0)),
        make_bars([1.0, 2.0], days=(1, 1)),
        make_bars([1.0, float("nan")]),
        make_bars([1.0, float("inf")]),
    ],
)
def test_bars_that_are_no_series_are_refused(cache: Cache, series: BarSeries) -> None:
    """And what was cached stays."""
    cache.merge(WHOLE)
    with pytest.raises(DataError, match="XYZ: bars to be cached"):
        cache.merge(series)
    assert stored(cache, "XYZ") == WHOLE


@pytest.mark.parametrize("content", [b"", b"rubbish", b"PAR1" + b"\0" * 50 + b"PAR1"])
def test_a_corrupt_file_is_one_sentence_and_set_aside(cache: Cache, content: bytes) -> None:
    """It is kept for a look, the next one gets a name of its own, and then the cache works again."""
    cache.merge(WHOLE)
    path = cache.path("XYZ", "1 day")
    for number in (1, 2):
        path.write_bytes(content)
        with pytest.raises(DataError, match=f"corrupt .* was moved to .*corrupt-{number}; fetch") as caught:
            cache.read("XYZ", "1 day")
        assert "\n" not in str(caught.value)
        assert Path(f"{path}.corrupt-{number}").read_bytes() == content
    assert stored(cache, "XYZ") is None
    assert cache.merge(WHOLE).kind is MergeKind.CREATED


def test_what_another_process_wrote_is_read(cache: Cache) -> None:
    """The bars of a file are decoded once; when the file is another one, so are they."""
    cache.merge(WHOLE.between(0, 20))
    assert cache.read("XYZ", "1 day") is cache.read("XYZ", "1 day")
    Cache(cache.path("XYZ", "1 day").parent).merge(WHOLE)
    assert cache.read("XYZ", "1 day") == WHOLE


def test_reading_loads_no_pandas(cache: Cache) -> None:
    """A daemon that starts late refreshes at once, and would wait half a second for nothing."""
    cache.merge(WHOLE)
    folder = str(cache.path("XYZ", "1 day").parent)
    script = (
        "import sys\nfrom pathlib import Path\nfrom longwatch.data.cache import Cache\n"
        f"print(len(Cache(Path({folder!r})).read('XYZ', '1 day')), 'pandas' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(WHOLE)), "False"]


def test_a_merge_never_overwrites_a_corrupt_file(cache: Cache) -> None:
    """The first merge after the damage says so; the next starts anew."""
    cache.merge(WHOLE)
    cache.path("XYZ", "1 day").write_bytes(b"rubbish")
    with pytest.raises(DataError, match="corrupt"):
        cache.merge(WHOLE)
    assert cache.merge(WHOLE).kind is MergeKind.CREATED


def test_another_symbols_file_is_not_taken_for_ours(cache: Cache) -> None:
    """A file copied under another name is found out."""
    cache.merge(WHOLE)
    cache.path("ABC", "1 day").write_bytes(cache.path("XYZ", "1 day").read_bytes())
    with pytest.raises(DataError, match="it holds XYZ 1 day"):
        stored(cache, "ABC")


def test_any_single_damaged_byte_is_found_or_harmless(cache: Cache) -> None:
    """Checksums: wrong prices never come out of a damaged file."""
    cache.merge(WHOLE)
    path = cache.path("XYZ", "1 day")
    content = path.read_bytes()
    found = 0
    for place in range(0, len(content), 5):
        damaged = bytearray(content)
        damaged[place] ^= 0x55
        path.write_bytes(damaged)
        try:
            assert stored(cache, "XYZ") == WHOLE
        except DataError:
            found += 1
    assert found > 100


def test_a_disk_that_refuses_is_one_sentence(tmp_path: Path) -> None:
    """Here a file stands where the directory should be."""
    (tmp_path / "cache").write_text("in the way", encoding="utf-8")
    with pytest.raises(DataError, match=r"can't be (read|written) \(Not a directory\)"):
        Cache(tmp_path / "cache").merge(WHOLE)


def test_a_writer_killed_at_any_moment_leaves_a_whole_file(cache: Cache, tmp_path: Path) -> None:
    """SIGKILL while a process rewrites the file without pause: old or new, never between."""
    cache.merge(WHOLE)
    code = (
        "import sys; from dataclasses import replace; from array import array; from pathlib import Path\n"
        "from longwatch.data.cache import Cache\n"
        f"cache = Cache(Path({str(tmp_path / 'cache')!r})); whole = cache.read('XYZ', '1 day'); number = 0\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    number += 1; cache.merge(replace(whole, volume=array('d', [float(number)] * len(whole))))\n"
    )
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            _wait_for_writes(cache.path("XYZ", "1 day"), 5)
            os.kill(writer.pid, signal.SIGKILL)
        series = stored(cache, "XYZ")
        assert series is not None
        assert series.close == WHOLE.close
        assert len(set(series.volume)) == 1


def _wait_for_writes(path: Path, count: int) -> None:
    """Until the file has been replaced so often: each replacement is a new inode or a new time."""
    seen: set[tuple[int, int]] = set()
    while len(seen) <= count:
        status = path.stat()
        seen.add((status.st_ino, status.st_mtime_ns))


@given(first=st.integers(0, 29), length=st.integers(1, 30), second=st.integers(0, 29), other=st.integers(1, 30))
def test_two_windows_on_one_history_join_to_their_union(first: int, length: int, second: int, other: int) -> None:
    """In either order, when they share a bar; else they are not joined."""
    one, two = WHOLE.between(first, first + length), WHOLE.between(second, second + other)
    merge = joined(one, two)
    union = sorted({*one.stamps, *two.stamps})
    if not set(one.stamps) & set(two.stamps):
        assert (merge.kind, merge.series) == (MergeKind.DETACHED, two)
        return
    assert list(merge.series.stamps) == union
    assert merge.added == len(union) - len(one)
    assert merge.series == joined(two, one).series
    assert joined(merge.series, two).kind is MergeKind.UNCHANGED
    assert all(merge.series.close[place] == _close_at(stamp) for place, stamp in enumerate(union))


def _close_at(stamp: int) -> float:
    return CLOSES[(stamp - stamp_of(FIRST)) // 86_400]


@given(first=st.integers(0, 19), second=st.integers(0, 19), factor=st.floats(0.01, 100.0))
def test_two_bases_are_never_in_one_series(first: int, second: int, factor: float) -> None:
    """Whatever the overlap and the factor, the outcome has one base: all bars fetched, or all as they were."""
    one, two = WHOLE.between(first, first + 11), scaled(WHOLE.between(second, second + 11), factor)
    merge = joined(one, two)
    ratios = {
        round(close / _close_at(stamp) / factor, 6)
        for stamp, close in zip(merge.series.stamps, merge.series.close, strict=True)
    }
    assert ratios == {1.0}
    assert bool(merge.changed) == (merge.kind is MergeKind.REBASED)
