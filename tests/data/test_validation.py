"""The judgement of bars: each flaw alone, what keeps a symbol from trading, and that sound bars pass."""

from __future__ import annotations

import math
from array import array
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.data.validation import BARS_TRADING, Flaw, FlawKind, Rules, barring, judge, newest
from longwatch.domain.bars import BarSeries
from longwatch.errors import DataError
from tests.data.conftest import FIRST, make_bars, make_sessions

CLOSES = [100.0, 101.0, 102.0, 103.0, 104.0, 105.0, 106.0, 107.0, 108.0, 109.0]
LAST = FIRST + timedelta(days=9)


def verdict(series: BarSeries, rules: Rules | None = None, *, as_of: date = LAST) -> tuple[Flaw, ...]:
    return judge(series, make_sessions(40), as_of_session=as_of, rules=rules)


def kinds(series: BarSeries, rules: Rules | None = None, *, as_of: date = LAST) -> list[tuple[FlawKind, date | None]]:
    return [(flaw.kind, flaw.at) for flaw in verdict(series, rules, as_of=as_of)]


def changed(name: str, place: int, value: float) -> BarSeries:
    """Ten sound bars with one cell changed."""
    series = make_bars(CLOSES)
    column = getattr(series, name)[:]
    column[place] = value
    return replace(series, **{name: column})


def day(offset: int) -> date:
    return FIRST + timedelta(days=offset)


def test_sound_bars_have_no_flaw() -> None:
    """The judgement is silent where nothing is wrong."""
    assert verdict(make_bars(CLOSES)) == ()


def test_the_table_of_what_bars_trading_is_total() -> None:
    """Each kind has an answer."""
    assert set(BARS_TRADING) == set(FlawKind)


def test_no_bar_at_all_is_a_flaw() -> None:
    """An empty series is not a sound one."""
    assert kinds(make_bars([])) == [(FlawKind.EMPTY, None)]


@pytest.mark.parametrize("name", ["open", "high", "low", "close", "adjusted"])
@pytest.mark.parametrize("value", [0.0, -3.0])
def test_a_price_not_above_zero_is_a_flaw(name: str, value: float) -> None:
    """In any of the five columns."""
    assert (FlawKind.NON_POSITIVE, day(4)) in kinds(changed(name, 4, value))


@pytest.mark.parametrize("name", ["open", "high", "low", "close", "adjusted", "volume"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300])
def test_a_figure_that_is_not_finite_is_a_flaw(name: str, value: float) -> None:
    """In any column, and it upsets no other check; nor is one with three hundred digits a price."""
    assert (FlawKind.NON_FINITE, day(4)) in kinds(changed(name, 4, value))


def test_a_negative_volume_is_a_flaw_and_zero_is_none() -> None:
    """One bar without trades happens."""
    assert kinds(changed("volume", 4, -1.0)) == [(FlawKind.NON_POSITIVE, day(4))]
    assert kinds(changed("volume", 4, 0.0)) == []


@pytest.mark.parametrize(("name", "value"), [("high", 103.9), ("low", 104.1), ("open", 120.0), ("open", 90.0)])
def test_a_bar_outside_its_own_range_is_a_flaw(name: str, value: float) -> None:
    """High is the highest and low the lowest of the four."""
    assert kinds(changed(name, 4, value)) == [(FlawKind.INCONSISTENT, day(4))]


def test_rounding_is_no_inconsistency() -> None:
    """A high rounded a hair below the close passes."""
    assert kinds(changed("high", 4, 104.0 - 1e-5)) == []


def test_a_hole_is_one_flaw_with_its_length() -> None:
    """Three sessions in a row without a bar are one sentence; two holes are two."""
    series = make_bars(CLOSES[:6], days=(0, 1, 5, 6, 8, 9))
    holes = verdict(series)
    assert [(flaw.kind, flaw.at) for flaw in holes] == [(FlawKind.HOLE, day(2)), (FlawKind.HOLE, day(7))]
    assert holes[0].text == (
        "XYZ 2007-01-03: 3 sessions up to 2007-01-05 have no bar; fetch or supply the missing history"
    )
    assert "this session has no bar" in holes[1].text


def test_a_bar_on_a_day_without_a_session_is_a_flaw() -> None:
    """A holiday's bar is a sign of the wrong calendar or a wrong date."""
    sessions = [each for each in make_sessions(10) if each.date != day(4)]
    flaws = judge(make_bars(CLOSES), sessions, as_of_session=LAST)
    assert [(flaw.kind, flaw.at) for flaw in flaws] == [(FlawKind.OFF_SESSION, day(4))]


def test_bars_before_the_known_sessions_are_not_compared_with_them() -> None:
    """A calendar that begins later says nothing about earlier days."""
    flaws = judge(make_bars(CLOSES), make_sessions(7, start=day(3)), as_of_session=LAST)
    assert flaws == ()


def test_a_bar_after_the_last_completed_session_is_a_flaw() -> None:
    """A partial bar is never decided on."""
    assert kinds(make_bars(CLOSES), as_of=day(8)) == [(FlawKind.UNFINISHED, day(9))]


def test_staleness_counts_sessions() -> None:
    """Two behind is stale unless two are allowed."""
    series = make_bars(CLOSES[:8])
    (flaw,) = verdict(series)
    assert (flaw.kind, flaw.at) == (FlawKind.STALE, day(7))
    assert "2 sessions behind 2007-01-10" in flaw.text
    assert verdict(series, Rules(stale_sessions=1)) != ()
    assert verdict(series, Rules(stale_sessions=2)) == ()


def test_two_bars_of_one_date_are_a_flaw() -> None:
    """Also when their stamps differ within the day."""
    series = make_bars(CLOSES)
    stamps = series.stamps[:]
    stamps[5] = stamps[4] + 3600
    assert (FlawKind.DUPLICATE, day(4)) in kinds(replace(series, stamps=stamps))


def test_bars_out_of_order_are_a_flaw() -> None:
    """Newest first is not what anyone downstream reads."""
    series = make_bars(CLOSES, days=tuple(reversed(range(10))))
    assert (FlawKind.ORDER, day(8)) in kinds(series)


def test_silence_up_to_the_newest_bar_bars_trading_and_a_past_one_does_not() -> None:
    """Five bars without volume: at the end a halt or a delisting, before it history."""
    series = make_bars(CLOSES)
    ending = replace(series, volume=array("d", [1.0] * 5 + [0.0] * 5))
    past = replace(series, volume=array("d", [1.0] * 2 + [0.0] * 5 + [1.0] * 3))
    assert kinds(ending) == [(FlawKind.DEAD, day(5))]
    assert kinds(past) == [(FlawKind.QUIET, day(2))]
    assert barring(verdict(ending))
    assert not barring(verdict(past))


def test_what_has_no_volume_by_nature_can_be_exempted() -> None:
    """An index, a currency pair."""
    index = replace(make_bars(CLOSES), volume=array("d", [0.0] * 10))
    assert kinds(index, Rules(quiet_bars=None)) == []


def test_an_unexplained_jump_bars_trading() -> None:
    """A source without adjusted prices may have left a split in."""
    halved = make_bars(CLOSES[:5] + [close / 2 for close in CLOSES[5:]])
    (flaw,) = verdict(halved)
    assert (flaw.kind, flaw.at, flaw.bars_trading) == (FlawKind.JUMP, day(5), True)
    assert flaw.text == (
        "XYZ 2007-01-06: the close changed by -49.5% in one bar; check for an unadjusted split and correct the source"
    )


def test_a_reverse_split_is_a_jump_too() -> None:
    """Upwards as downwards."""
    assert kinds(make_bars(CLOSES[:5] + [close * 10 for close in CLOSES[5:]])) == [(FlawKind.JUMP, day(5))]


def test_a_jump_the_adjusted_close_does_not_share_is_a_split() -> None:
    """A warning only: the prices are right."""
    halved = make_bars(CLOSES[:5] + [close / 2 for close in CLOSES[5:]])
    adjusted = replace(halved, adjusted=array("d", [close / 2 for close in CLOSES]))
    (flaw,) = verdict(adjusted)
    assert (flaw.kind, flaw.bars_trading) == (FlawKind.SPLIT, False)


def test_a_jump_the_adjusted_close_shares_is_a_move() -> None:
    """A warning only: the source adjusts for splits and shows it all the same."""
    fallen = make_bars(CLOSES[:5] + [close / 2 for close in CLOSES[5:]])
    adjusted = replace(fallen, adjusted=array("d", [close * 0.9 for close in fallen.close]))
    (flaw,) = verdict(adjusted)
    assert (flaw.kind, flaw.bars_trading) == (FlawKind.MOVE, False)


def test_a_source_that_adjusts_by_itself_is_believed_after_some_bars() -> None:
    """Interactive Brokers may be a few days late with a split."""
    fallen = make_bars(CLOSES[:5] + [close / 2 for close in CLOSES[5:]])
    assert kinds(fallen, Rules(source_adjusts=True, fresh_bars=5)) == [(FlawKind.JUMP, day(5))]
    assert kinds(fallen, Rules(source_adjusts=True, fresh_bars=4)) == [(FlawKind.MOVE, day(5))]


@pytest.mark.parametrize(
    ("factor", "expected"), [(0.61, []), (0.59, [FlawKind.JUMP]), (1.39, []), (1.42, [FlawKind.JUMP])]
)
def test_the_line_for_a_jump_is_drawn_at_forty_per_cent(factor: float, expected: list[FlawKind]) -> None:
    """Of the close before, either way."""
    series = make_bars([100.0] * 5 + [100.0 * factor] * 5)
    assert [kind for kind, _ in kinds(series)] == expected


def test_a_source_broken_everywhere_is_told_in_few_sentences() -> None:
    """Ten of a kind are enough, and other kinds are not crowded out."""
    closes = [-1.0] * 30
    flaws = verdict(make_bars(closes), as_of=day(31))
    count = {kind: sum(flaw.kind is kind for flaw in flaws) for kind in FlawKind}
    assert count[FlawKind.NON_POSITIVE] == 10
    assert count[FlawKind.STALE] == 1


def test_sessions_that_end_too_early_are_an_error() -> None:
    """What can't be judged is not sound."""
    with pytest.raises(DataError, match="no sessions up to 2007-01-10"):
        judge(make_bars(CLOSES), make_sessions(9), as_of_session=LAST)
    with pytest.raises(DataError):
        judge(make_bars(CLOSES), [], as_of_session=LAST)


def hourly(*stamps_after_open: int, on: int = 0) -> list[int]:
    """Stamps of bars that many seconds after the opening of a session."""
    opening = int(make_sessions(on + 1)[on].open_at.timestamp())
    return [opening + seconds for seconds in stamps_after_open]


def shorter(stamps: list[int]) -> BarSeries:
    series = make_bars([100.0] * len(stamps))
    return replace(series, bar_size="1 hour", stamps=array("q", stamps))


def test_shorter_bars_belong_to_the_session_they_start_in() -> None:
    """Several bars of one session are no duplicates, and a session without any is a hole."""
    stamps = hourly(0, 3600) + hourly(0, 3600, on=1) + hourly(0, on=3)
    flaws = judge(shorter(stamps), make_sessions(4), as_of_session=day(3))
    assert [(flaw.kind, flaw.at) for flaw in flaws] == [(FlawKind.HOLE, day(2))]


def test_a_shorter_bar_outside_the_session_is_a_flaw() -> None:
    """The closing instant does not belong to it."""
    flaws = judge(shorter(hourly(0, 6 * 3600, 6 * 3600 + 1800)), make_sessions(1), as_of_session=day(0))
    assert [flaw.kind for flaw in flaws] == [FlawKind.OFF_SESSION]


def test_the_newest_bars_end_with_the_session_asked_for() -> None:
    """Daily and shorter bars alike: nothing after `until`."""
    assert newest(make_bars(CLOSES), until=day(4), count=3, source="test").sessions() == [day(2), day(3), day(4)]
    stamps = hourly(0, 3600) + hourly(0, 3600, on=1)
    assert list(newest(shorter(stamps), until=day(0), count=9, source="test").stamps) == stamps[:2]


def test_bars_out_of_order_are_never_cut_to_size() -> None:
    """Cutting them would cut the wrong ones."""
    with pytest.raises(DataError, match="oldest first"):
        newest(make_bars(CLOSES, days=(0, 1, 2, 3, 5, 4, 6, 7, 8, 9)), until=LAST, count=3, source="test")


cells = st.floats(allow_nan=True, allow_infinity=True, width=64)


@given(
    offsets=st.lists(st.integers(0, 39), min_size=1, max_size=15),
    figures=st.lists(cells, min_size=15, max_size=15),
    as_of=st.integers(0, 39),
)
def test_whatever_the_bars_the_judgement_is_given_and_calm(
    offsets: list[int], figures: list[float], as_of: int
) -> None:
    """No input makes it raise, and every flaw names the symbol and what to do."""
    flaws = verdict(make_bars(figures[: len(offsets)], days=offsets), as_of=day(as_of))
    assert all(flaw.text.startswith("XYZ") and "\n" not in flaw.text for flaw in flaws)
    assert flaws == verdict(make_bars(figures[: len(offsets)], days=offsets), as_of=day(as_of))


@given(missing=st.sets(st.integers(1, 28), max_size=12))
def test_every_missing_session_lies_in_exactly_one_hole(missing: set[int]) -> None:
    """The holes, spelled out, are the missing sessions."""
    present = [offset for offset in range(30) if offset not in missing]
    flaws = verdict(make_bars([100.0] * len(present), days=present), Rules(most_of_a_kind=99), as_of=day(29))
    starts = {offset for offset in missing if offset - 1 not in missing}
    assert {flaw.at for flaw in flaws} == {day(offset) for offset in starts}
    assert all(flaw.kind is FlawKind.HOLE for flaw in flaws)


@given(factor=st.floats(1e-3, 1e3), place=st.integers(1, 9))
def test_adjusting_for_a_split_always_lifts_the_bar(factor: float, place: int) -> None:
    """With the right adjusted close, a split of any size is a warning at most."""
    raw = make_bars(CLOSES[:place] + [close * factor for close in CLOSES[place:]])
    adjusted = replace(raw, adjusted=array("d", [close * factor for close in CLOSES]))
    assert barring(verdict(adjusted)) == ()
