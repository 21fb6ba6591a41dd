"""Paths, quotes and history: they keep within the bar, and tell nothing before it happens."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.gateway.market.history import Span, daily_bars, short_bars, span_of
from longwatch.gateway.market.hours import hours_text
from longwatch.gateway.market.market import Market, Replay, money
from longwatch.gateway.market.path import DayBar, instant_of, place_of, trace
from longwatch.gateway.market.synthetic import con_id_of, symbol_of, synthetic_market
from tests.gateway.made import AAPL, JANUARY_3, PRICES, bar_of, small_market

PRICE = st.integers(100, 50_000).map(lambda cents: cents / 100)
POINTS = st.integers(1, 60)
FIRST = date(2007, 1, 3)


@st.composite
def bars(draw: st.DrawFn) -> DayBar:
    """Any sound bar, flat ones too."""
    first, last, one, other = (draw(PRICE) for _ in range(4))
    spread = sorted((first, last, one, other))
    return bar_of(FIRST, (first, spread[3], spread[0], last), volume=draw(st.integers(0, 10**9)))


@given(bars(), POINTS, st.integers())
def test_a_path_visits_open_high_low_and_close_and_never_leaves_the_bar(bar: DayBar, points: int, seed: int) -> None:
    """Whatever the bar and the seed, the path begins and ends as the bar does and touches both its edges."""
    path = trace(bar, points, 2, Random(seed))
    assert (path.prices[0], path.prices[-1]) == (bar.open, bar.close)
    assert (max(path.prices), min(path.prices)) == (bar.high, bar.low)
    assert path.volumes[-1] == int(bar.volume)
    assert list(path.volumes) == sorted(path.volumes)


@given(bars(), POINTS, st.integers(0, 10**6), st.integers(0, 23_399))
def test_nothing_is_known_of_a_session_but_the_path_so_far(bar: DayBar, points: int, seed: int, second: int) -> None:
    """High, low, last, volume and the partial daily bar are those of the points already passed, at any instant."""
    market = Market([Replay(AAPL, [bar])], seed=seed, path_points=points)
    at = bar.open_at + timedelta(seconds=second)
    path = market.path(AAPL, FIRST)
    assert path is not None
    gone = path.prices[: place_of(bar.open_at, bar.close_at, points, at) + 1]
    quote = market.quote(AAPL, at)
    assert (quote.open, quote.last) == (money(gone[0]), money(gone[-1]))
    assert (quote.high, quote.low) == (money(max(gone)), money(min(gone)))
    (partial,) = daily_bars(market, AAPL, Span(sessions=5), at)
    assert (partial.open, partial.high) == (quote.open, quote.high)
    assert (partial.low, partial.close, partial.volume) == (quote.low, quote.last, quote.volume)
    short = short_bars(market, AAPL, Span(sessions=1), timedelta(minutes=5), at)
    assert max(one.high for one in short) == quote.high
    assert sum(one.volume for one in short) == quote.volume


@given(st.lists(st.integers(0, 4 * 86_400), min_size=1, max_size=20))
def test_quotes_do_not_depend_on_who_asks_or_when(seconds: list[int]) -> None:
    """The same instant gives the same quote, in any order of asking and on any copy of the market."""
    asked = small_market()
    for second in seconds:
        at = JANUARY_3 + timedelta(seconds=second)
        assert asked.quote(AAPL, at) == small_market().quote(AAPL, at)


@given(PRICE, st.integers(0, 100), st.integers())
def test_bid_and_ask_stand_round_the_price_on_the_tick_grid(price: float, bps: int, seed: int) -> None:
    """The spread is at least a tick, both sides are whole ticks, and the price is never outside them by a tick."""
    bar = bar_of(FIRST, (price, price, price, price))
    market = Market([Replay(AAPL, [bar])], seed=seed, spread_bps=bps)
    quote = market.quote(AAPL, bar.open_at)
    assert quote.bid is not None and quote.ask is not None and quote.last is not None
    assert quote.ask - quote.bid >= AAPL.min_tick
    assert quote.bid % AAPL.min_tick == quote.ask % AAPL.min_tick == 0
    assert quote.bid - AAPL.min_tick <= quote.last <= quote.ask + AAPL.min_tick


@given(st.integers(1_000, 86_400), st.integers(4, 400), st.integers(0, 400))
def test_a_point_happens_at_its_own_instant(seconds: int, points: int, place: int) -> None:
    """At a point's instant it is the newest one, and a microsecond before it is not."""
    opened = JANUARY_3
    closed = opened + timedelta(seconds=seconds)
    place = min(place, points)
    at = instant_of(opened, closed, points, place)
    if at < closed - timedelta(seconds=1) or place == points:
        assert place_of(opened, closed, points, at) == place
        assert place_of(opened, closed, points, at - timedelta(microseconds=1)) == place - 1


def test_outside_sessions_there_is_a_last_price_but_no_bid_or_ask() -> None:
    """Overnight the newest session's figures stand; the close shown is the session's before."""
    market = small_market()
    quote = market.quote(AAPL, JANUARY_3 + timedelta(days=1, hours=10))
    assert (quote.bid, quote.ask, quote.bid_size) == (None, None, 0)
    assert (quote.last, quote.high, quote.close) == (Decimal("85.66"), Decimal("85.95"), Decimal("83.80"))


def test_a_symbol_that_did_not_trade_on_a_session_has_no_quote_there() -> None:
    """A missing bar is a halted day, not the day before once more."""
    days = [bar_of(day, prices) for day, prices in PRICES.items()]
    market = Market([Replay(AAPL, days), Replay(small_market().instruments()[1], days[:1])])
    quote = market.quote(market.instruments()[1], days[1].open_at)
    assert (quote.bid, quote.high, quote.close) == (None, None, Decimal("83.80"))


def test_the_next_instant_walks_over_points_closes_and_nights() -> None:
    """From an open: 26 points, the closing point, the close, and the next session's open."""
    market, at = small_market(), JANUARY_3
    walked = [at]
    while at < JANUARY_3 + timedelta(days=1):
        following = market.next_instant(at)
        assert following is not None and following > at
        at = following
        walked.append(at)
    assert len(walked) == 26 + 1 + 1 + 1
    assert walked[-2:] == [JANUARY_3 + timedelta(hours=6, minutes=30), JANUARY_3 + timedelta(days=1)]


@pytest.mark.parametrize(("text", "span"), [("30 D", Span(sessions=30)), ("2 W", Span(length=timedelta(weeks=2)))])
def test_a_duration_in_days_counts_sessions(text: str, span: Span) -> None:
    """Days are sessions, longer units are stretches of the calendar."""
    assert span_of(text) == span


@pytest.mark.parametrize("text", ["", "0 D", "5", "D", "5 Q", "1e3 D"])
def test_a_duration_that_is_none_is_told_apart(text: str) -> None:
    """What is not a duration gives None, not a default."""
    assert span_of(text) is None


def test_contract_hours_show_sessions_and_closed_days_in_the_exchange_zone() -> None:
    """A week from today, each day one segment."""
    text = hours_text(small_market().hours, JANUARY_3, "US/Eastern")
    segments = text.split(";")
    assert segments[0] == "20070103:0930-20070103:1600"
    assert segments[3] == "20070106:CLOSED"
    assert len(segments) == 7


@given(st.text(alphabet="ABCXYZ019.", min_size=1, max_size=5).filter(lambda text: text[0].isalpha()))
def test_a_made_up_symbol_and_its_number_find_each_other(symbol: str) -> None:
    """A restarted synthetic market knows its contracts by number alone."""
    number = con_id_of(symbol)
    assert number is not None
    assert symbol_of(number) == symbol
    market = synthetic_market(seed=3, first=FIRST)
    found = market.find("", number)
    assert found is not None and found.symbol == symbol


def test_a_synthetic_market_is_open_at_all_hours_and_its_days_join() -> None:
    """Every symbol trades through midnight and weekends, each day opening where the last closed."""
    market = synthetic_market(seed=3, first=FIRST)
    instrument = market.find("ZZZ")
    assert instrument is not None
    for hours in range(0, 24 * 9, 7):
        assert market.quote(instrument, JANUARY_3 + timedelta(hours=hours)).bid is not None
    past = market.completed(instrument, JANUARY_3 + timedelta(days=9))
    assert all(one.close == other.open for one, other in pairwise(past))
    assert market.find("no such") is None
