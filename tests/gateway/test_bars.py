"""Bars in real time, bars that grow, quotes of four kinds, history of every kind: frame by frame, against the path."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.clock import SteppedClock
from longwatch.gateway.app import Gateway
from longwatch.gateway.conduct import Conduct
from longwatch.gateway.market.actions import Action
from longwatch.gateway.market.bars import MOMENT, PastBar, Prices, bar_at, cut
from longwatch.gateway.market.history import SIZES, Span, bars_of, daily_bars
from longwatch.gateway.market.market import Market, Replay
from longwatch.gateway.timeline import Timeline
from tests.gateway.made import AAPL, JANUARY_3, PRICES, PlainClient, bar_of, on_a_gateway, small_market, stock, until

FIVE = timedelta(seconds=5)
CLOSE = JANUARY_3 + timedelta(hours=6, minutes=30)
BUSY = 4680
"""Points in a session: one each five seconds."""


def busy_market() -> Market:
    return small_market(path_points=BUSY)


def test_bars_of_five_seconds_come_at_their_end_with_their_start_and_the_path_between() -> None:
    """Each holds exactly the points of its five seconds, and the first comes within five seconds."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        asked = gateway.desk.now()
        client.ask("reqRealTimeBars", reqId=7, **stock())
        await asyncio.sleep(21)
        bars = client.replies("realtimeBar")
        assert len(bars) == 4
        first = datetime.fromtimestamp(bars[0]["time"], UTC)
        assert asked - FIVE < first <= asked
        path = gateway.desk.market.path(AAPL, first.date())
        assert path is not None
        for place, bar in enumerate(bars):
            start = first + FIVE * place
            assert bar["time"] == int(start.timestamp()) and start.second % 5 == 0
            point = int((start - JANUARY_3) / FIVE)
            assert float(bar["open"]) == float(bar["close"]) == path.prices[point]
            assert bar["volume"] == path.volumes[point] - path.volumes[point - 1]

    on_a_gateway(scenario, market=busy_market())


def test_a_quiet_bar_repeats_the_last_price_without_shares_and_none_comes_while_closed() -> None:
    """Between two points nothing is traded; the last bar of a session comes at its close, the next after the open."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        await until(gateway, CLOSE - timedelta(seconds=11))
        client.ask("reqRealTimeBars", reqId=7, **stock())
        await until(gateway, JANUARY_3 + timedelta(days=1, seconds=6))
        bars = client.replies("realtimeBar")
        starts = [datetime.fromtimestamp(bar["time"], UTC) for bar in bars]
        assert starts[-2:] == [CLOSE - FIVE, JANUARY_3 + timedelta(days=1)]
        quiet, last = bars[-3], bars[-2]
        assert (quiet["volume"], quiet["count"], quiet["open"]) == (0, 0, quiet["close"])
        assert float(last["close"]) == PRICES[JANUARY_3.date()][3] and last["volume"] > 0

    on_a_gateway(scenario)


def test_bars_in_real_time_end_when_cancelled_and_an_unknown_one_is_300() -> None:
    """After the cancel nothing more; a second cancel is told so; numbers and lines are checked as for quotes."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.ask("reqRealTimeBars", reqId=7, **stock())
        client.ask("reqRealTimeBars", reqId=7, **stock())
        client.ask("reqRealTimeBars", reqId=8, **stock("IBM"))
        client.ask("reqRealTimeBars", reqId=9, **{**stock(), "symbol": "NONE"})
        await asyncio.sleep(6)
        assert client.codes() == [102, 101, 200]
        client.ask("cancelRealTimeBars", reqId=7)
        client.ask("cancelRealTimeBars", reqId=7)
        client.forget()
        await asyncio.sleep(20)
        assert client.names() == ["error"] and client.codes() == [300]

    on_a_gateway(scenario, market_data_lines=1)


@pytest.mark.parametrize(
    ("fault", "reason"), [("competing_session", "Trading TWS session"), ("delayed_only", "No mark")]
)
def test_bars_in_real_time_that_can_not_be_had_are_420(fault: str, reason: str) -> None:
    """Another session has the data, or they are not subscribed."""

    async def scenario(gateway: Gateway) -> None:
        setattr(gateway.faults, fault, True)
        client = await PlainClient.connect()
        client.ask("reqRealTimeBars", reqId=7, **stock())
        await asyncio.sleep(6)
        assert client.codes() == [420]
        assert client.replies("error")[-1]["errorString"].startswith(f"Invalid Real-time Query:{reason}")

    on_a_gateway(scenario)


def test_history_kept_up_to_date_grows_its_newest_bar_until_cancelled() -> None:
    """17, then 90 every five seconds for the bar that is open; put together they are the history asked for later."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        wanted = {"barSize": "1 min", "duration": "300 S", **stock()}
        client.ask("reqHistoricalData", reqId=3, keepUpToDate=True, **wanted)
        await asyncio.sleep(180)
        names = [name for name in client.names() if name.startswith("historical")]
        assert names[0] == "historicalData" and set(names[1:]) == {"historicalDataUpdate"}
        assert len(names) == 37
        (answer,) = client.replies("historicalData")
        shown = {bar["date"]: bar for bar in answer["bars"]}
        shown |= {bar["date"]: bar for bar in client.replies("historicalDataUpdate")}
        client.ask("reqHistoricalData", reqId=4, **wanted)
        await asyncio.sleep(1)
        later = {bar["date"]: bar for bar in client.replies("historicalData")[-1]["bars"]}
        finished = sorted(shown)[1:-1]
        assert len(finished) == 5
        for when in finished[-3:]:
            for name in ("open", "high", "low", "close", "volume", "wap", "count"):
                assert shown[when][name] == later[when][name], (when, name)
        client.ask("cancelHistoricalData", reqId=3)
        client.forget()
        await asyncio.sleep(20)
        assert client.codes() == [162]
        assert client.replies("error")[0]["errorString"].endswith("API historical data query cancelled: 3")
        client.ask("cancelHistoricalData", reqId=3)
        await asyncio.sleep(1)
        assert client.codes()[-1] == 366

    on_a_gateway(scenario, market=busy_market())


def test_a_query_cancelled_before_its_answer_has_none() -> None:
    """162 with the number, and no bars."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.ask("reqHistoricalData", reqId=3, barSize="1 day", duration="2 D", **stock())
        client.ask("cancelHistoricalData", reqId=3)
        client.ask("reqHistoricalData", reqId=3, barSize="1 min", duration="60 S", **stock())
        await asyncio.sleep(2)
        assert client.codes() == [162]
        (answer,) = client.replies("historicalData")
        assert answer["bars"][-1]["date"] == "20070103 09:35:00 US/Eastern"

    on_a_gateway(scenario)


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({"keepUpToDate": True, "endDateTime": "20070104-00:00:00"}, 321, "End date not supported with live updates"),
        ({"keepUpToDate": True, "whatToShow": "ADJUSTED_LAST"}, 321, "Source price ADJUSTED_LAST not supported"),
        ({"whatToShow": "ADJUSTED_LAST", "endDateTime": "20070104-00:00:00"}, 321, "not supported with adjusted last"),
    ],
)
def test_what_history_does_not_do_is_told_at_once(change: dict[str, Any], code: int, text: str) -> None:
    """A validation error, and the number is free again."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        wanted = {"barSize": "1 day", "duration": "2 D", **stock()}
        client.ask("reqHistoricalData", reqId=3, **wanted, **change)
        await asyncio.sleep(0.05)
        assert client.codes() == [code] and text in client.replies("error")[-1]["errorString"]
        client.ask("reqHistoricalData", reqId=3, **wanted)
        client.ask("reqHistoricalData", reqId=3, **wanted)
        await asyncio.sleep(1)
        assert client.codes() == [code, 322] and len(client.replies("historicalData")) == 1

    on_a_gateway(scenario)


def test_fifty_requests_for_history_may_be_open_and_no_more() -> None:
    """The one after is 322; those kept up to date count."""

    async def scenario(gateway: Gateway) -> None:
        client, other = await PlainClient.connect(1), await PlainClient.connect(2)
        for number in range(30):
            client.ask(
                "reqHistoricalData", reqId=number, barSize="1 hour", duration="1 D", keepUpToDate=True, **stock()
            )
        await asyncio.sleep(2)
        for number in range(21):
            other.ask("reqHistoricalData", reqId=number, barSize="1 hour", duration="1 D", **stock())
        await asyncio.sleep(2)
        assert client.codes() == [] and other.codes() == [322]
        assert other.replies("error")[-1]["reqId"] == 20
        assert "Only 50 simultaneous API historical data requests" in other.replies("error")[-1]["errorString"]

    on_a_gateway(scenario)


def test_a_lost_backend_leaves_growing_bars_or_ends_them_as_it_is_set() -> None:
    """By default they go on after 1102; the other way they end with 10182; after 1101 they are gone in silence."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.ask("reqHistoricalData", reqId=3, barSize="1 min", duration="60 S", keepUpToDate=True, **stock())
        client.ask("reqRealTimeBars", reqId=7, **stock())
        await asyncio.sleep(10)
        gateway.desk.lose_backend()
        await asyncio.sleep(1)
        client.forget()
        await asyncio.sleep(20)
        assert client.heard == []
        gateway.desk.restore_backend()
        await asyncio.sleep(11)
        survives = gateway.config.conduct.bars_survive
        assert ("realtimeBar" in client.names()) is survives
        assert ("historicalDataUpdate" in client.names()) is survives
        gateway.desk.lose_backend()
        gateway.desk.restore_backend(data_lost=True)
        await asyncio.sleep(1)
        client.forget()
        await asyncio.sleep(11)
        assert client.heard == []

    async def ends(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.ask("reqHistoricalData", reqId=3, barSize="1 min", duration="60 S", keepUpToDate=True, **stock())
        await asyncio.sleep(10)
        gateway.desk.lose_backend()
        await asyncio.sleep(1)
        assert [(one["reqId"], one["errorCode"]) for one in client.replies("error")][-1] == (3, 10182)

    on_a_gateway(scenario)
    on_a_gateway(scenario, conduct=Conduct(bars_survive=False))
    on_a_gateway(ends, conduct=Conduct(bars_survive=False))


# ── history, against the path ───────────────────────────────────────────────────────────────────────────────────────


@given(
    st.sampled_from(["30 secs", "1 min", "3 mins", "15 mins", "1 hour", "4 hours"]),
    st.integers(60, 23_300),
    st.integers(4, 800),
    st.sampled_from(list(Prices)),
)
def test_bars_partition_the_path_whatever_their_size(size: str, second: int, points: int, what: Prices) -> None:
    """No gap and no overlap; together they have the session's shares, highest and lowest price so far."""
    market = small_market(path_points=points)
    at = JANUARY_3 + timedelta(seconds=second)
    bars = bars_of(market, AAPL, size, Span(sessions=1), at, what=what)
    starts = [bar.start for bar in bars]
    assert starts == sorted(set(starts), key=str) and starts[0] == JANUARY_3
    (whole,) = daily_bars(market, AAPL, Span(sessions=1), at, what=what)
    if what is not Prices.BID_ASK:
        assert (bars[0].open, bars[-1].close) == (whole.open, whole.close)
    assert (max(bar.high for bar in bars), min(bar.low for bar in bars)) == (whole.high, whole.low)
    if what.is_traded:
        assert sum(bar.volume for bar in bars) == whole.volume == market.quote(AAPL, at).volume
    else:
        assert {bar.volume for bar in bars} == {-1}


def test_hours_begin_on_the_hour_and_at_the_open() -> None:
    """As recorded: 9:30, 10:00, 11:00 and so on, seven a day; four hours begin at noon."""
    market = small_market(path_points=78)

    def starts(size: str) -> list[str]:
        bars = bars_of(market, AAPL, size, Span(sessions=1), CLOSE + timedelta(hours=1))
        return [f"{bar.start.hour - 5}:{bar.start.minute:02}" for bar in bars if isinstance(bar.start, datetime)]

    assert starts("1 hour") == ["9:30", "10:00", "11:00", "12:00", "13:00", "14:00", "15:00"]
    assert starts("4 hours") == ["9:30", "12:00"]
    assert starts("2 hours") == ["9:30", "10:00", "12:00", "14:00"]


@given(st.sampled_from(sorted(SIZES)), st.integers(0, 5 * 86_400), st.sampled_from(list(Prices)))
def test_no_bar_knows_more_than_the_quotes_so_far(size: str, second: int, what: Prices) -> None:
    """The newest bar's close is the newest quote, whatever the size, the kind and the instant."""
    market = small_market()
    at = JANUARY_3 + timedelta(seconds=second)
    bars = bars_of(
        market, AAPL, size, Span(length=timedelta(hours=1) if "sec" in size else timedelta(days=9)), at, what=what
    )
    if not bars:
        return
    quote = market.frozen(AAPL, at)
    assert quote.bid is not None and quote.ask is not None
    shown = {Prices.BID: quote.bid, Prices.ASK: quote.ask, Prices.MIDPOINT: (quote.bid + quote.ask) / 2}
    if what is not Prices.BID_ASK:
        assert bars[-1].close == shown.get(what, quote.last)


def test_weeks_and_months_join_days() -> None:
    """Three sessions of one week and one of the next are two bars, dated by their last sessions; one month."""
    market, at = small_market(), JANUARY_3 + timedelta(days=6)
    weeks = bars_of(market, AAPL, "1 week", Span(length=timedelta(days=30)), at)
    assert [bar.start for bar in weeks] == [date(2007, 1, 5), date(2007, 1, 8)]
    first = weeks[0]
    assert (first.open, first.high) == (Decimal("86.29"), Decimal("86.58"))
    assert (first.low, first.close) == (Decimal("76.00"), Decimal("78.25"))
    (month,) = bars_of(market, AAPL, "1 month", Span(length=timedelta(days=30)), at)
    assert (month.open, month.close, month.volume) == (Decimal("86.29"), Decimal("78.00"), 120_000_000)


def split_market() -> Market:
    """AAPL splits two for one before the open of the third session and pays a dollar before the fourth."""
    days = [bar_of(day, prices) for day, prices in PRICES.items()]
    actions = [
        Action(date=date(2007, 1, 5), con_id=AAPL.con_id, ratio=Decimal(2)),
        Action(date=date(2007, 1, 8), con_id=AAPL.con_id, dividend=Decimal(1)),
    ]
    return Market([Replay(AAPL, days, actions)], seed=1)


def test_history_is_as_of_the_newest_split_and_knows_none_before_it_happens() -> None:
    """Before the open of its session a split is unknown; then older prices are halved and shares doubled."""
    market = split_market()

    def first(at: datetime, what: Prices = Prices.TRADES) -> PastBar:
        return bars_of(market, AAPL, "1 day", Span(sessions=9), at, what=what)[0]

    before = first(datetime(2007, 1, 5, 14, 29, tzinfo=UTC))
    after = first(datetime(2007, 1, 5, 14, 31, tzinfo=UTC))
    assert (before.close, before.volume) == (Decimal("83.80"), 30_000_000)
    assert (after.close, after.volume) == (Decimal("41.90"), 60_000_000)
    monday = datetime(2007, 1, 8, 15, tzinfo=UTC)
    assert first(monday) == after
    assert first(monday, Prices.ADJUSTED_LAST).close == Decimal(f"{41.90 * (1 - 1 / 78.25):.6f}").normalize()
    assert market.quote(AAPL, datetime(2007, 1, 5, 15, tzinfo=UTC)).close == Decimal("42.83")
    assert [one.ratio for one in market.actions(date(2007, 1, 5))] == [Decimal(2)]
    assert market.actions(date(2007, 1, 4)) == []


def test_a_bar_is_the_same_asked_alone_or_with_others() -> None:
    """The bar that is open at an instant equals the last one of the session cut up to it."""
    market, session = small_market(path_points=390), small_market().hours.on(JANUARY_3.date())
    assert session is not None
    for minutes in (1, 7, 44, 61, 200, 389):
        at = JANUARY_3 + timedelta(minutes=minutes) - MOMENT
        for step in (timedelta(minutes=1), timedelta(minutes=5), timedelta(hours=1)):
            alone = bar_at(market, AAPL, session, step, at, Prices.TRADES)
            assert alone == cut(market, AAPL, session, step, at, what=Prices.TRADES)[-1]


def test_a_schedule_lists_sessions_in_the_exchanges_zone() -> None:
    """Message 106: openings, closings, dates of as many sessions as asked for; only for bars of a day."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        wanted = {"duration": "2 D", "whatToShow": "SCHEDULE", **stock()}
        client.ask("reqHistoricalData", reqId=3, barSize="1 day", **wanted)
        client.ask("reqHistoricalData", reqId=4, barSize="1 hour", **wanted)
        await asyncio.sleep(1)
        (answer,) = client.replies("historicalSchedule")
        assert (answer["timeZone"], answer["startDateTime"]) == ("US/Eastern", "20070104-09:30:00")
        assert [row["refDate"] for row in answer["sessions"]] == ["20070104", "20070105"]
        assert client.codes() == [162]

    on_a_gateway(scenario, at=datetime(2007, 1, 5, 20, tzinfo=UTC))


# ── quotes ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_frozen_quotes_keep_bid_and_ask_after_the_close_and_say_which_they_are() -> None:
    """Type 2: 58 says 1 while the exchange is open and 2 when it is not; bid and ask stay those before the close."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.ask("reqMarketDataType", marketDataType=2)
        client.ask("reqMktData", reqId=1, **stock())
        await until(gateway, CLOSE + timedelta(minutes=1))
        prices = {one["tickType"]: one["price"] for one in client.replies("tickPrice")}
        last = gateway.desk.market.quote(AAPL, CLOSE - timedelta(seconds=1))
        assert (prices[1], prices[2]) == (last.bid, last.ask)
        client.ask("reqMktData", reqId=2, snapshot=True, **stock())
        await until(gateway, JANUARY_3 + timedelta(days=1, minutes=1))
        kinds = [(one["reqId"], one["marketDataType"]) for one in client.replies("marketDataType")]
        assert kinds == [(1, 1), (1, 2), (2, 2), (1, 1)]
        client.ask("reqMarketDataType", marketDataType=9)
        await asyncio.sleep(1)
        assert client.codes() == [321]

    on_a_gateway(scenario)


@pytest.mark.parametrize("code", [10168, 354, 10089])
def test_unsubscribed_quotes_are_refused_as_the_build_does(code: int) -> None:
    """Three builds, three codes; none sends a tick."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.ask("reqMktData", reqId=1, **stock())
        await asyncio.sleep(1)
        assert client.codes() == [code] and client.names()[-1] == "error"

    on_a_gateway(scenario, delayed_data=True, unsubscribed=code)


def test_generic_ticks_that_are_known_are_taken_and_others_are_321() -> None:
    """233 brings each trade with the day so far, 232 the mark price; a wrong number refuses the request."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.ask("reqMktData", reqId=1, genericTickList="233,232,236", **stock())
        client.ask("reqMktData", reqId=2, genericTickList="999", **stock())
        client.ask("reqMktData", reqId=3, genericTickList="233", snapshot=True, **stock())
        await asyncio.sleep(16 * 60)
        assert client.codes() == [321, 414]
        assert "Incorrect generic tick list of 999." in client.replies("error")[-2]["errorString"]
        trades = [one["value"].split(";") for one in client.replies("tickString") if one["tickType"] == 48]
        quote = gateway.desk.market.quote(AAPL, gateway.desk.now())
        assert (Decimal(trades[-1][0]), int(trades[-1][3])) == (quote.last, quote.volume)
        path = gateway.desk.market.path(AAPL, JANUARY_3.date())
        assert path is not None and trades[-1][5] == "true"
        assert min(path.prices[:2]) <= float(trades[-1][4]) <= max(path.prices[:2])
        assert [one["price"] for one in client.replies("tickPrice") if one["tickType"] == 37][-1] == quote.last

    on_a_gateway(scenario)


def test_two_streams_of_one_instrument_hear_the_same_whatever_their_numbers() -> None:
    """What is encoded once is each client's own: the numbers differ, also in length, and the ticks do not."""

    async def scenario(gateway: Gateway) -> None:
        clients = [await PlainClient.connect(1), await PlainClient.connect(2, server_version=178)]
        numbers = (1, 1234567, 44)
        for client in clients:
            for number in numbers:
                client.ask("reqMktData", reqId=number, **stock())
        await asyncio.sleep(2 * 3600)
        heard: list[list[Any]] = []
        for client in clients:
            for number in numbers:
                ticks = client.replies("tickPrice", "tickSize", "tickString")
                heard.append([{**one, "reqId": 0} for one in ticks if one["reqId"] == number])
        assert len(heard[0]) > 60
        assert all(one == heard[0] for one in heard)

    on_a_gateway(scenario)


@pytest.mark.parametrize("number", [1, 44, 1234567])
def test_ticks_made_in_one_piece_are_those_made_one_by_one(number: int) -> None:
    """A stream with a generic tick, which is always told one by one, hears the same bytes and its own ticks besides."""

    async def scenario(gateway: Gateway) -> None:
        plain, other = await PlainClient.connect(1), await PlainClient.connect(2)
        plain.ask("reqMktData", reqId=number, **stock())
        other.ask("reqMktData", reqId=number, genericTickList="233", **stock())
        await until(gateway, JANUARY_3 + timedelta(days=2, hours=1))
        marked = f"\x006\x00{number}\x0048\x00".encode()
        ticks = [raw for raw in other.raw if raw[:3] in (b"1\x006", b"2\x006") or raw[:4] == b"46\x006"]
        assert len(ticks) > 1000
        assert [raw for raw in plain.raw if raw in set(ticks)] == [raw for raw in ticks if marked not in raw]

    on_a_gateway(scenario, market=small_market(path_points=200))


class _TiredLoop:
    """A loop on which every look at the clock takes a millisecond."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waiting: list[Any] = []

    def time(self) -> float:
        self.now += 0.001
        return self.now

    def call_later(self, seconds: float, action: Any) -> Any:
        self.waiting.append(action)
        return SimpleNamespace(cancel=lambda: self.waiting.remove(action))


def test_a_market_that_is_behind_lets_others_in() -> None:
    """When a thousand things are due at once, the loop has its turn every hundredth of a second; none is left out."""
    loop = _TiredLoop()
    timeline = Timeline(cast(Any, loop), SteppedClock(lambda: 0.0, market_start=JANUARY_3))
    done: list[int] = []
    for number in range(1000):
        timeline.at(JANUARY_3 - timedelta(seconds=1), done.append, number)
    turns = 0
    while loop.waiting:
        before = len(done)
        loop.waiting.pop()()
        assert 0 < len(done) - before <= 10
        turns += 1
    assert done == list(range(1000)) and turns >= 100
