"""What a backtest shows of the bars on each day: what a refresh would have, and nothing later."""

from __future__ import annotations

from array import array
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.backtest.history import History, exact, split_adjusted
from longwatch.data import demo
from longwatch.data.statistics import Figures, Windows, measure
from longwatch.data.validation import Rules, barring, judge
from longwatch.domain.bars import BarSeries
from longwatch.engine.jobs.refresh import price_of
from tests.backtest.made import CALENDAR, days, flat

BARS = 40
COUNT = 12
SHORT = Windows(half_life=2, atr=3, volume=4)
SESSIONS = CALENDAR.sessions(date(2006, 12, 1), date(2007, 6, 30))
FLAWS = ("low", "jump", "silent", "hole", "infinite")


def flawed(places: dict[int, str]) -> BarSeries:
    """Forty bars with flaws of these kinds at these places."""
    series = flat("AAA", [100.0 + place % 3 for place in range(BARS)])
    columns = {
        name: array("d", getattr(series, name)) for name in ("open", "high", "low", "close", "volume", "adjusted")
    }
    stamps = array("q", series.stamps)
    for place in sorted(places, reverse=True):
        match places[place]:
            case "low":
                columns["low"][place] = 200.0
            case "jump":
                for name in ("open", "high", "low", "close", "adjusted"):
                    for later in range(place, len(stamps)):
                        columns[name][later] *= 2.0
            case "silent":
                for near in range(max(0, place - 5), place + 1):
                    columns["volume"][near] = 0.0
            case "infinite":
                columns["close"][place] = float("inf")
            case _:
                for column in columns.values():
                    del column[place]
                del stamps[place]
    return replace(series, stamps=stamps, **columns)  # type: ignore[arg-type]


@given(st.dictionaries(st.integers(2, BARS - 3), st.sampled_from(FLAWS), max_size=3))
def test_every_days_verdict_is_that_of_judging_that_days_bars(places: dict[int, str]) -> None:
    """What is found sound as a whole is not judged again, and that never changes a verdict."""
    series = flawed(places)
    history = History(series, SESSIONS, count=COUNT, rules=Rules(), windows=SHORT)
    for day in days()[:BARS]:
        window = history.window(day, COUNT)
        found = judge(window, [s for s in SESSIONS if s.date <= day], as_of_session=day, rules=Rules())
        row = history.judged(day)
        assert row.flaws == tuple(flaw.text for flaw in barring(found))
        assert row.warnings == tuple(flaw.text for flaw in found if not flaw.bars_trading)
        assert (row.bars, row.last_session) == (len(window), window.last_session())
        assert (row.close is None) == bool(row.flaws)
        figures = Figures() if row.flaws else measure(window, SHORT)
        assert (row.volatility, row.atr, row.average_volume) == (
            figures.volatility,
            figures.atr,
            figures.average_volume,
        )


def test_a_window_ends_with_its_session() -> None:
    """A later bar is never in it, and it is as long as asked or as there is."""
    series = flat("AAA", [float(price) for price in range(1, 11)])
    history = History(series, SESSIONS, count=COUNT, rules=Rules(), windows=Windows())
    assert list(history.window(days()[3], 3).close) == [2.0, 3.0, 4.0]
    assert list(history.window(days()[1], 3).close) == [1.0, 2.0]
    assert len(history.window(days()[0] - timedelta(days=1), 3)) == 0


def test_before_its_first_bar_a_symbol_is_flawed() -> None:
    """It can't be traded before it existed."""
    history = History(flat("AAA", [1.0] * 5, first=days()[10]), SESSIONS, count=COUNT, rules=Rules(), windows=Windows())
    assert history.judged(days()[9]).flaws == (f"AAA: there is no bar up to {days()[9]}",)
    assert history.judged(days()[10]).flaws == ()


@pytest.mark.parametrize("symbol", demo.symbols())
def test_split_adjusted_prices_move_as_the_adjusted_close_does(symbol: str) -> None:
    """Apple's and Microsoft's splits leave no jump, and days without one are untouched from the last split on."""
    series = split_adjusted(demo.load(symbol))
    for place in range(1, len(series)):
        moved = series.close[place] / series.close[place - 1]
        told = series.adjusted[place] / series.adjusted[place - 1]
        assert abs(moved / told - 1) < 0.12, series.sessions()[place]
    assert series.close[-1] == demo.load(symbol).close[-1]


def test_money_in_a_position_is_the_same_before_and_after_its_split() -> None:
    """Price times volume of the day before is what was traded."""
    raw, adjusted = demo.load("AAPL"), split_adjusted(demo.load("AAPL"))
    place = raw.sessions().index(date(2005, 2, 25))
    assert adjusted.close[place] == raw.close[place] / 2
    assert adjusted.volume[place] == raw.volume[place] * 2


@given(st.one_of(st.floats(1e-6, 1e7), st.integers(1, 10**9).map(lambda ticks: ticks / 10_000)))
def test_an_exact_price_is_the_daemons_own_to_the_last_digit(price: float) -> None:
    """The quick way gives the same Decimal, exponent and all, so that a journal's text is the same."""
    assert str(exact(price)) == str(price_of(price))
