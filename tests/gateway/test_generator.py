"""Made-up markets: weather, splits, dividends and halts are functions of the seed, sound, and unknown beforehand."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import pairwise
from random import Random
from statistics import pstdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longwatch.data.calendar import ExchangeCalendar
from longwatch.gateway.app import Gateway
from longwatch.gateway.market.bars import Prices
from longwatch.gateway.market.generator import REGIMES, STILL, Climate, Generated, Weather, shares
from longwatch.gateway.market.history import Span, bars_of
from longwatch.gateway.market.hours import ListedHours, TradingDay
from longwatch.gateway.market.instruments import on_grid
from longwatch.gateway.market.listings import CURRENCY_HOURS, FUTURES_HOURS, extras
from longwatch.gateway.market.market import Instrument, Market
from longwatch.gateway.market.path import DayBar
from longwatch.gateway.market.sources import ShortBar, ShortReplay
from longwatch.gateway.wording import instant_of
from tests.gateway.made import AAPL, PlainClient, on_a_gateway, until

FIRST, LAST = date(2018, 1, 2), date(2024, 1, 2)
SYMBOLS = ("ALFA", "BRAV", "CHAR")
WILD = Climate(splits=2.0, dividends=4)


@cache
def hours() -> ListedHours:
    return ListedHours(ExchangeCalendar("XNYS").sessions(FIRST, LAST))


def made(seed: int, climate: Climate = WILD, points: int = 39) -> Market:
    listed = shares(SYMBOLS, hours(), seed=seed, first=FIRST, climate=climate)
    return Market(listed, hours(), seed=seed, path_points=points)


def source(seed: int, climate: Climate = WILD) -> Generated:
    (one,) = shares(("ALFA",), hours(), seed=seed, first=FIRST, climate=climate)
    assert isinstance(one, Generated)
    return one


@given(st.integers(0, 10**6), st.lists(st.integers(0, 800), min_size=1, max_size=8))
def test_a_session_is_the_same_however_it_is_asked_for(seed: int, asked: list[int]) -> None:
    """Asking for later sessions first changes nothing: each follows from the seed and the ones before it alone."""
    here, there = source(seed), source(seed)
    there.before(FIRST + timedelta(days=900))
    for ahead in asked:
        day = FIRST + timedelta(days=ahead)
        assert here.on(day) == there.on(day)
        assert here.halts(day) == there.halts(day)
        assert here.actions(day) == [one for one in there.actions(day + timedelta(days=90)) if one.date <= day]


@given(st.integers(0, 10**6))
def test_bars_are_sound_and_of_real_sessions_with_half_days(seed: int) -> None:
    """High and low hold open and close, prices stand on the grid, sessions are the calendar's."""
    one = source(seed)
    days = one.before(date(2019, 1, 1))
    assert [bar.date for bar in days] == [s.date for s in ExchangeCalendar("XNYS").sessions(FIRST, date(2018, 12, 31))]
    for bar in days:
        assert 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
        assert bar.open == on_grid(one.instrument, bar.open)
    lengths = {bar.close_at - bar.open_at for bar in days}
    assert lengths == {timedelta(hours=6.5), timedelta(hours=3.5)}


def test_weather_changes_how_prices_move_and_is_the_same_for_all() -> None:
    """Storms move more than calm and crashes fall; over some years every kind comes and goes."""
    weather = Weather(4, tuple(REGIMES))
    names = [weather.name_on(number) for number in range(1500)]
    assert set(names) == set(REGIMES)
    one = source(4, Climate(splits=0.0, dividends=0))
    moves: dict[str, list[float]] = {name: [] for name in REGIMES}
    for (before, bar), name in zip(pairwise(one.before(LAST)), names[1:], strict=False):
        moves[name].append(math.log(bar.close / before.close))
    assert pstdev(moves["volatile"]) > 1.5 * pstdev(moves["calm"])
    assert sum(moves["crash"]) / len(moves["crash"]) < -0.01
    gaps = [abs(math.log(bar.open / before.close)) for before, bar in pairwise(one.before(LAST))]
    assert max(gaps) > 0.02


@settings(max_examples=10)
@given(st.integers(0, 10**6))
def test_splits_and_dividends_happen_in_the_price_and_history_reckons_them_out(seed: int) -> None:
    """A split divides the price overnight; the history asked for later has no such jump."""
    market = made(seed)
    (share, *_) = market.instruments()
    sessions = market.completed(share, datetime(2020, 1, 2, tzinfo=UTC))
    known = {bar.date: market.actions(bar.date) for bar in sessions}
    assert any(actions for actions in known.values())
    past = bars_of(market, share, "1 day", Span(sessions=600), datetime(2020, 1, 2, tzinfo=UTC))
    for (before, raw), (smooth_before, smooth) in zip(pairwise(sessions), pairwise(past), strict=False):
        ratios = [one.ratio for one in known[raw.date] if one.con_id == share.con_id and one.ratio != 1]
        jump = math.log(raw.open / before.close)
        if ratios:
            assert jump == pytest.approx(-math.log(float(ratios[0])), abs=0.25)
        assert math.log(float(smooth.open) / float(smooth_before.close)) == pytest.approx(0, abs=0.25)


def test_a_dividend_is_taken_out_of_adjusted_prices_only() -> None:
    """The older the bar the more dividends are taken out of it; TRADES know only splits."""
    market = made(3, Climate(splits=0.0, dividends=4))
    (share, *_) = market.instruments()
    at = datetime(2020, 1, 2, tzinfo=UTC)
    paid = [
        one for bar in market.completed(share, at) for one in market.actions(bar.date) if one.con_id == share.con_id
    ]
    assert len(paid) == 8 and all(one.dividend > 0 and one.ratio == 1 for one in paid)
    plain = bars_of(market, share, "1 day", Span(sessions=9999), at)
    less = bars_of(market, share, "1 day", Span(sessions=9999), at, what=Prices.ADJUSTED_LAST)
    shares_of = [round(float(one.close) / float(other.close), 4) for one, other in zip(less, plain, strict=True)]
    assert shares_of == sorted(shares_of) and 0.9 < shares_of[0] < 0.99 and shares_of[-1] == 1


def halted_market(seed: int = 2) -> tuple[Market, Instrument, tuple[datetime, datetime]]:
    """A market with the first halt of its first share that has one."""
    market = made(seed, Climate(splits=0.0, dividends=0), points=390)
    for one in shares(SYMBOLS, hours(), seed=seed, first=FIRST, climate=Climate(splits=0.0, dividends=0)):
        for bar in one.before(LAST):
            if one.halts(bar.date):
                found = market.find(one.instrument.symbol)
                assert found is not None
                return market, found, one.halts(bar.date)[0]
    raise AssertionError("no share of this seed was ever halted")


def test_while_halted_nothing_is_quoted_or_traded_and_the_day_still_ends_at_its_close() -> None:
    """No bid, no ask, the last price and volume stand; afterwards there are quotes again."""
    market, share, (begins, ends) = halted_market()
    before = market.quote(share, begins - timedelta(seconds=1))
    assert before.bid is not None and not before.is_halted
    for at in (begins + timedelta(minutes=1), begins + (ends - begins) / 2):
        quote = market.quote(share, at)
        assert quote.is_halted and (quote.bid, quote.ask, quote.bid_size) == (None, None, 0)
        assert (quote.last, quote.volume, quote.last_at) == (before.last, before.volume, before.last_at)
    after = market.quote(share, ends + timedelta(minutes=1))
    assert after.bid is not None and not after.is_halted
    path = market.path(share, begins.date())
    assert path is not None
    assert (path.prices[0], path.prices[-1]) == (path.bar.open, path.bar.close)
    assert (max(path.prices), min(path.prices)) == (path.bar.high, path.bar.low)
    assert path.volumes[-1] == int(path.bar.volume)


def test_an_order_waits_for_the_end_of_a_halt_and_clients_are_told_of_both() -> None:
    """Tick 49 says 1 and later 0, bid and ask go to -1; an order placed meanwhile fills after the resumption."""
    market, share, (begins, ends) = halted_market()

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        contract = {"symbol": share.symbol, "secType": "STK", "exchange": "SMART", "currency": "USD"}
        client.ask("reqMktData", reqId=1, **contract)
        await until(gateway, begins + timedelta(minutes=2))
        bids = [one["price"] for one in client.replies("tickPrice") if one["tickType"] == 1]
        assert bids[-1] == -1
        client.order(1, "BUY", 100, **contract)
        await until(gateway, ends - timedelta(minutes=2))
        assert client.replies("execDetails") == []
        await until(gateway, ends + timedelta(minutes=3))
        assert [one["value"] for one in client.replies("tickGeneric")] == [1, 0]
        (fill, *_) = client.replies("execDetails")
        assert fill["shares"] == 100
        filled = instant_of(fill["time"], "UTC")
        assert filled is not None and ends <= filled <= ends + timedelta(minutes=3)

    on_a_gateway(scenario, at=begins - timedelta(minutes=5), market=market)


# ── other listings ──────────────────────────────────────────────────────────────────────────────────────────────────


@cache
def listed() -> Market:
    sources = extras(hours(), seed=5, first=FIRST, climate=STILL)
    return Market(sources, hours(), seed=5, path_points=48)


AT = datetime(2018, 3, 14, 15, 2, tzinfo=UTC)
IDX = {"symbol": "IDX", "secType": "FUT", "exchange": "CME", "currency": "USD"}
EURO = {"symbol": "EUR", "secType": "CASH", "exchange": "IDEALPRO", "currency": "USD"}


def test_futures_and_currencies_trade_through_the_night_and_not_at_the_weekend() -> None:
    """Sessions open on the evening before; a quote exists at three in the morning and none on Saturday."""
    monday = FUTURES_HOURS.on(date(2018, 3, 19))
    assert monday == TradingDay(
        date=date(2018, 3, 19),
        open_at=datetime(2018, 3, 18, 22, tzinfo=UTC),
        close_at=datetime(2018, 3, 19, 21, tzinfo=UTC),
    )
    market = listed()
    euro = market.find("EUR.USD")
    assert euro is not None
    night = market.quote(euro, datetime(2018, 3, 15, 7, tzinfo=UTC))
    assert night.bid is not None and night.ask is not None and night.last is not None
    assert night.bid % Decimal("0.00005") == 0 and night.ask - night.bid >= Decimal("0.00005")
    assert market.quote(euro, datetime(2018, 3, 17, 15, tzinfo=UTC)).bid is None


@given(st.integers(0, 340 * 86_400))
def test_nightly_hours_agree_with_themselves(second: int) -> None:
    """The session running at an instant holds it; the following one opens later and is the first to."""
    at = datetime(2018, 1, 5, tzinfo=UTC) + timedelta(seconds=second)
    for known in (FUTURES_HOURS, CURRENCY_HOURS):
        session, following = known.at(at), known.following(at)
        assert following is not None and following.open_at > at
        if session is not None:
            assert session.open_at <= at < session.close_at and known.on(session.date) == session
            assert following.open_at >= session.close_at
        between = at + (following.open_at - at) / 2
        assert known.at(between) in (None, session)


def test_contract_details_of_a_chain_come_by_expiry_and_one_end() -> None:
    """A symbol alone is the whole chain; a month, a local symbol or a number is one; what is not listed is 200."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()

        async def details(**asked: object) -> list[dict[str, object]]:
            client.forget()
            client.ask("reqContractDetails", reqId=4, **asked)
            await asyncio.sleep(0.5)
            assert (
                client.names()[-1] == "contractDetailsEnd"
                if client.replies("contractDetails")
                else client.codes() == [200]
            )
            return client.replies("contractDetails")

        chain = await details(**IDX)
        names = [one["localSymbol"] for one in chain]
        assert names == ["IDXH8", "IDXM8", "IDXU8", "IDXZ8", "IDXH9"]
        (june,) = await details(**IDX, lastTradeDateOrContractMonth="201806")
        assert june["lastTradeDateOrContractMonth"] == "20180615 16:00:00 US/Central"
        assert (june["multiplier"], june["minTick"], june["contractMonth"]) == ("50", Decimal("0.25"), "201806")
        assert (june["aggGroup"], june["underSymbol"], june["realExpirationDate"]) == (None, "IDX", "20180615")
        (fund,) = await details(symbol="FUND", secType="STK", exchange="SMART", currency="USD")
        assert (fund["stockType"], fund["primaryExchange"]) == ("ETF", "ARCA")

    on_a_gateway(scenario, at=AT, market=listed())


def test_expired_futures_are_only_for_who_asks_for_them() -> None:
    """After its last session a future is gone from the chain, and back with includeExpired."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.ask("reqContractDetails", reqId=4, **IDX)
        client.ask("reqContractDetails", reqId=5, includeExpired=True, **IDX)
        await asyncio.sleep(0.5)
        heads = {one["reqId"]: one["localSymbol"] for one in reversed(client.replies("contractDetails"))}
        assert heads == {4: "IDXM8", 5: "IDXH8"}

    on_a_gateway(scenario, at=datetime(2018, 3, 16, 21, 1, tzinfo=UTC), market=listed())


def test_an_ambiguous_contract_is_200_for_everything_but_its_details() -> None:
    """Quotes, bars and orders need one contract; an order for what has prices alone is refused."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.ask("reqMktData", reqId=1, **IDX)
        client.ask("reqHistoricalData", reqId=2, barSize="1 day", duration="2 D", **IDX)
        client.ask("reqRealTimeBars", reqId=3, **IDX)
        client.order(4, "BUY", 1, **IDX)
        client.order(5, "BUY", 1, **IDX, lastTradeDateOrContractMonth="201806")
        await asyncio.sleep(1)
        told = [(one["reqId"], one["errorCode"]) for one in client.replies("error")][-5:]
        assert told[:4] == [(number, 200) for number in (1, 2, 3, 4)] and told[4] == (5, 201)
        assert "The contract description specified for IDX is ambiguous." in client.replies("error")[-5]["errorString"]

    on_a_gateway(scenario, at=AT, market=listed())


def test_rules_have_bands_and_prices_keep_to_them() -> None:
    """Below a dollar a hundredth of a cent, above a cent; quotes of all instruments stand on their own grids."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        for number in (26, 85, 9999):
            client.ask("reqMarketRule", marketRuleId=number)
        client.ask("reqMatchingSymbols", reqId=1, pattern="IDX")
        await asyncio.sleep(0.5)
        cents, banded, none = (one["increments"] for one in client.replies("marketRule"))
        assert [(one["lowEdge"], one["increment"]) for one in cents] == [(0, Decimal("0.01"))]
        assert [one["increment"] for one in banded] == [Decimal("0.0001"), Decimal("0.01"), Decimal("0.05")]
        assert none == []
        (sample,) = client.replies("symbolSamples")
        assert [(one["symbol"], one["secType"]) for one in sample["contracts"]] == [("IDX", "FUT")]

    on_a_gateway(scenario, at=AT, market=listed())
    market = listed()
    for name, grid in (("IDXM8", "0.25"), ("EUR.USD", "0.00005"), ("USD.JPY", "0.005"), ("PENNY", "0.0001")):
        one = market.find(name)
        assert one is not None
        for hour in range(24):
            quote = market.quote(one, datetime(2018, 3, 14, hour, 30, tzinfo=UTC))
            assert all(price is None or price % Decimal(grid) == 0 for price in (quote.bid, quote.ask, quote.last))


# ── recorded parts of days ──────────────────────────────────────────────────────────────────────────────────────────

OPEN = datetime(2018, 1, 3, 14, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def minutes(seed: int, missing: frozenset[int] = frozenset()) -> tuple[Market, list[ShortBar]]:
    """A session of random minutes, some of them missing, as a market."""
    random, price = Random(seed), 100.0
    bars = []
    session = hours().on(date(2018, 1, 3))
    assert session is not None
    for place in range(390):
        first, price = price, round(price + random.uniform(-0.5, 0.5), 2)
        high, low = round(max(first, price) + random.random(), 2), round(min(first, price) - random.random(), 2)
        volume = float(random.randrange(0, 5000))
        if place not in missing:
            bars.append(
                ShortBar(start=OPEN + MINUTE * place, open=first, high=high, low=low, close=price, volume=volume)
            )
    source = ShortReplay(AAPL, {session: bars}, MINUTE)
    return Market([source], hours(), seed=1, point_every=MINUTE / 4), bars


@given(st.integers(0, 10**6), st.frozensets(st.integers(1, 388), max_size=60))
def test_recorded_minutes_come_back_as_they_were(seed: int, missing: frozenset[int]) -> None:
    """The history in minutes after the session equals the recording; where nothing was recorded the price stands."""
    market, bars = minutes(seed, missing)
    made = bars_of(market, AAPL, "1 min", Span(sessions=1), OPEN + timedelta(hours=7))
    by_start = {bar.start: bar for bar in made}
    assert len(made) == 390
    for bar in bars:
        back = by_start[bar.start]
        assert (float(back.open), float(back.high), float(back.low), float(back.close)) == (
            bar.open,
            bar.high,
            bar.low,
            bar.close,
        )
        assert back.volume == int(bar.volume)
    for place in missing:
        quiet = by_start[OPEN + MINUTE * place]
        assert quiet.volume == 0 and quiet.high == quiet.low


@given(st.integers(0, 10**6), st.integers(0, 389), st.integers(0, 59))
def test_nothing_of_a_recorded_minute_is_known_before_it(seed: int, minute: int, second: int) -> None:
    """Another future of the same past gives the same quotes up to now."""
    at = OPEN + MINUTE * minute + timedelta(seconds=second)
    market, bars = minutes(seed)
    session = hours().on(date(2018, 1, 3))
    assert session is not None
    past = [bar for bar in bars if bar.start <= at]
    other = Market([ShortReplay(AAPL, {session: past}, MINUTE)], hours(), seed=1, point_every=MINUTE / 4)
    if minute < 389:
        assert market.quote(AAPL, at) == other.quote(AAPL, at)


def test_a_session_without_its_first_minutes_opens_at_the_price_before_it() -> None:
    """What has not traded yet today has yesterday's price, and no shares."""
    days = [hours().on(date(2018, 1, day)) for day in (3, 4)]
    assert days[0] is not None and days[1] is not None
    first = ShortBar(start=days[0].open_at, open=10.0, high=11.0, low=9.0, close=10.5, volume=400)
    late = ShortBar(start=days[1].open_at + 5 * MINUTE, open=12.0, high=13.0, low=12.0, close=12.5, volume=400)
    market = Market(
        [ShortReplay(AAPL, {days[0]: [first], days[1]: [late]}, MINUTE)], hours(), seed=1, point_every=MINUTE / 4
    )
    quote = market.quote(AAPL, days[1].open_at + MINUTE)
    assert (quote.last, quote.high, quote.volume) == (Decimal("10.50"), Decimal("10.50"), 0)
    later = market.quote(AAPL, days[1].open_at + 6 * MINUTE)
    assert (later.last, later.low, later.volume) == (Decimal("12.50"), Decimal("10.50"), 400)


def test_a_halt_near_the_ends_leaves_open_and_close() -> None:
    """Even a halt over the whole session leaves the four prices of its bar."""
    from longwatch.gateway.market.path import trace

    opened = OPEN
    bar = DayBar(
        date=date(2018, 1, 3),
        open_at=opened,
        close_at=opened + timedelta(hours=6.5),
        open=10.0,
        high=12.0,
        low=9.0,
        close=11.0,
        volume=1000,
    )
    path = trace(bar, 26, 2, Random(1), [(opened, opened + timedelta(hours=7))])
    assert (path.prices[0], path.prices[-1], max(path.prices), min(path.prices)) == (10.0, 11.0, 12.0, 9.0)
    assert len(path.prices) == 27 and len(path.halted) == 22
