"""Quotes and history: kept up over reconnects and outages, conflated, and never older or other than they say."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.broker.board import QuoteBoard
from longwatch.broker.history import duration_of, end_of
from longwatch.domain import messages as m
from longwatch.domain.quotes import Quote
from longwatch.errors import DataError, LinkError
from longwatch.gateway.app import Gateway
from tests.broker.bench import START, Bench, Script, Scripted, an_empty_account, with_gateway, with_script

CON_IDS = {"AAPL": 1, "MSFT": 2, "IBM": 3}


def details(gateway: Scripted, values: dict[str, object]) -> None:
    if values["symbol"] not in CON_IDS:
        gateway.say("error", reqId=values["reqId"], errorCode=200, errorString="No security definition has been found")
        return
    gateway.say(
        "contractDetails",
        reqId=values["reqId"],
        symbol=values["symbol"],
        secType="STK",
        exchange="SMART",
        currency="USD",
        conId=CON_IDS[str(values["symbol"])],
        minTick=Decimal("0.01"),
        primaryExchange="NASDAQ",
        timeZoneId="US/Eastern",
    )
    gateway.say("contractDetailsEnd", reqId=values["reqId"])


def two_stocks() -> Script:
    script = an_empty_account()
    script.answers["reqContractDetails"] = details
    return script


def lines(script: Script) -> list[tuple[str, object]]:
    """What was asked about market data, in order."""
    return [
        (name, values.get("symbol", values["reqId"]))
        for name, values in script.requests
        if name in ("reqMktData", "cancelMktData")
    ]


def line_id(script: Script, symbol: str) -> object:
    return [values["reqId"] for name, values in script.requests if name == "reqMktData" and values["symbol"] == symbol][
        -1
    ]


# ── subscriptions ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_watched_is_subscribed_and_nothing_else() -> None:
    """Symbols come and go with `watch`; the type of data is asked for once, before the first."""

    async def work(bench: Bench, script: Script) -> None:
        bench.broker.watch(["AAPL"])
        await bench.synced()
        await asyncio.sleep(1)
        assert lines(script) == [("reqMktData", "AAPL")]
        assert script.names().index("reqMarketDataType") < script.names().index("reqMktData")
        aapl = line_id(script, "AAPL")
        bench.broker.watch(["MSFT", "UNKNOWN"])
        await asyncio.sleep(1)
        assert lines(script)[1:] == [("cancelMktData", aapl), ("reqMktData", "MSFT")]
        assert [quote.symbol for quote in bench.broker.quotes()] == ["MSFT"]

    with_script(work, two_stocks())


def test_what_is_watched_beside_the_universe_is_asked_for_and_then_subscribed() -> None:
    """As adopted shares are: before the account is read it waits for that, later it is asked for at once."""

    async def work(bench: Bench, script: Script) -> None:
        bench.broker.watch(["AAPL", "IBM"])
        await bench.synced()
        await asyncio.sleep(1)
        assert lines(script) == [("reqMktData", "AAPL"), ("reqMktData", "IBM")]
        bench.broker.watch(["AAPL", "IBM", "UNKNOWN"])
        bench.broker.watch(["AAPL", "IBM", "UNKNOWN", "OTHER"])
        await asyncio.sleep(1)
        assert lines(script)[2:] == []
        asked = [values["symbol"] for name, values in script.requests if name == "reqContractDetails"]
        assert sorted(map(str, asked)) == ["AAPL", "IBM", "MSFT", "OTHER", "UNKNOWN"]
        seen = bench.inbox.of(m.InstrumentsSeen)[-1]
        assert [symbol for symbol, _ in seen.missing] == ["OTHER", "UNKNOWN"]

    with_script(work, two_stocks())


def test_subscriptions_are_made_again_after_a_reconnect() -> None:
    """A new connection carries the same subscriptions, and old quotes are not shown as new (B27)."""

    async def work(bench: Bench, gateway: Gateway) -> None:
        bench.broker.watch(["AAPL", "MSFT"])
        await bench.synced()
        await asyncio.sleep(310)
        first = bench.broker.quotes()
        assert all(quote.bid is not None for quote in first)
        bench.broker.drop("test")
        await bench.inbox.until(m.LinkLost)
        assert bench.broker.quotes() == tuple(Quote(con_id=one.con_id, symbol=one.symbol) for one in first)
        await bench.up()
        await asyncio.sleep(310)
        second = bench.broker.quotes()
        assert all(
            new.at is not None and old.at is not None and new.at > old.at
            for old, new in zip(first, second, strict=True)
        )

    with_gateway(work)


@pytest.mark.parametrize(("code", "again"), [(1101, True), (1102, False)])
def test_data_lost_is_asked_for_again_and_data_kept_is_not(code: int, again: bool) -> None:
    """1101 means subscribe anew, 1102 means do nothing (B31)."""

    async def work(bench: Bench, script: Script) -> None:
        bench.broker.watch(["AAPL", "MSFT"])
        await bench.synced()
        await asyncio.sleep(1)
        gateway = script.connections[0]
        gateway.say("error", reqId=-1, errorCode=1100, errorString="Connectivity has been lost.")
        gateway.say("error", reqId=-1, errorCode=code, errorString="restored")
        await asyncio.sleep(1)
        assert [(each.up, each.data_kept) for each in bench.inbox.of(m.BackendSeen)] == [
            (False, True),
            (True, not again),
        ]
        assert len(lines(script)) == (4 if again else 2)

    with_script(work, two_stocks())


def test_lines_that_stay_silent_after_a_farm_came_back_are_renewed() -> None:
    """A blip of three seconds (2103, 2104) may kill a subscription without a word: it is asked for again (B28)."""

    async def work(bench: Bench, script: Script) -> None:
        bench.broker.watch(["AAPL", "MSFT"])
        await bench.synced()
        await asyncio.sleep(1)
        gateway, dead, alive = script.connections[0], line_id(script, "AAPL"), line_id(script, "MSFT")
        gateway.say("error", reqId=-1, errorCode=2103, errorString="Market data farm connection is broken:usfarm")
        await asyncio.sleep(3)
        gateway.say("error", reqId=-1, errorCode=2104, errorString="Market data farm connection is OK:usfarm")
        await asyncio.sleep(3)
        gateway.say("tickPrice", reqId=alive, tickType=1, price=Decimal("10.01"), size=Decimal(5), attrMask=0)
        await asyncio.sleep(10)
        assert lines(script)[2:] == [("cancelMktData", dead), ("reqMktData", "AAPL")]
        assert [(each.farm, each.up) for each in bench.inbox.of(m.FarmSeen)] == [("usfarm", False), ("usfarm", True)]

    with_script(work, two_stocks())


def test_a_refused_line_is_told_and_tried_again() -> None:
    """A competing session (10197) is told by name, and asked for again at a bounded rate (B33)."""
    script = two_stocks()

    def refuse(gateway: Scripted, values: dict[str, object]) -> None:
        gateway.say(
            "error", reqId=values["reqId"], errorCode=10197, errorString="No market data during competing live session"
        )

    script.answers["reqMktData"] = refuse

    async def work(bench: Bench, script: Script) -> None:
        bench.broker.watch(["AAPL"])
        await bench.synced()
        await asyncio.sleep(301)
        notices = bench.inbox.of(m.NoticeSeen)
        assert {(each.code, each.request) for each in notices} == {(10197, "market data of AAPL")}
        assert len(lines(script)) == len(notices) == 6

    with_script(work, script, line_retry_seconds=60.0)


def test_a_warning_leaves_the_line_open() -> None:
    """10167 announces delayed data: the line goes on, and its ticks say that they are delayed (B34)."""

    async def work(bench: Bench, script: Script) -> None:
        bench.broker.watch(["AAPL"])
        await bench.synced()
        await asyncio.sleep(1)
        gateway, line = script.connections[0], line_id(script, "AAPL")
        gateway.say("error", reqId=line, errorCode=10167, errorString="Displaying delayed market data.")
        gateway.say("tickPrice", reqId=line, tickType=66, price=Decimal("10.01"), size=Decimal(5), attrMask=0)
        await asyncio.sleep(1)
        (quote,) = bench.broker.quotes()
        assert (quote.bid, quote.market_data_type) == (Decimal("10.01"), 3)
        assert lines(script) == [("reqMktData", "AAPL")]

    with_script(work, two_stocks())


def test_a_spoilt_tick_is_told_once_and_stops_nothing() -> None:
    """Ticks come by the thousand: a hundred spoilt ones are one event, and good ones go on."""

    async def work(bench: Bench, script: Script) -> None:
        bench.broker.watch(["AAPL"])
        await bench.synced()
        await asyncio.sleep(1)
        gateway, line = script.connections[0], line_id(script, "AAPL")
        for text in ("nan", "inf", "many") * 30:
            gateway.raw("1", "6", str(line), "1", text, "5", "0")
        gateway.say("tickPrice", reqId=line, tickType=2, price=Decimal("10.03"), size=Decimal(5), attrMask=0)
        await asyncio.sleep(1)
        assert len(bench.inbox.of(m.MessageUndecodable)) == 1
        assert [(quote.bid, quote.ask) for quote in bench.broker.quotes()] == [(None, Decimal("10.03"))]

    with_script(work, two_stocks())


# ── the board ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Seconds:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def board_with(*ticks: tuple[str, int, float, float | None]) -> Quote:
    board = QuoteBoard(Seconds())
    board.open(1, 265598, "AAPL")
    for kind, tick_type, value, size in ticks:
        if kind == "price":
            board.price(1, tick_type, value, size)
        else:
            board.size(1, tick_type, value)
    (quote,) = board.quotes(START)
    return quote


def test_a_quote_is_made_of_the_latest_ticks() -> None:
    """Each side keeps its newest price and size; prices are exact decimals."""
    quote = board_with(
        ("price", 1, 10.01, 300.0), ("price", 2, 10.03, 200.0), ("size", 0, 500.0, None), ("price", 4, 10.02, 1.0)
    )
    assert (quote.bid, quote.ask, quote.last) == (Decimal("10.01"), Decimal("10.03"), Decimal("10.02"))
    assert (quote.bid_size, quote.ask_size) == (Decimal(500), Decimal(200))


@pytest.mark.parametrize("nothing", [-1.0, 0.0])
def test_no_bid_is_absent_and_not_minus_one(nothing: float) -> None:
    """A closed market's -1 with size 0 means there is none."""
    quote = board_with(("price", 1, 10.01, 300.0), ("price", 1, nothing, 0.0))
    assert (quote.bid, quote.bid_size) == (None, None)


def test_the_age_is_that_of_the_last_tick_that_matters() -> None:
    """High, low, volume and close are no news of the quote."""
    seconds = Seconds()
    board = QuoteBoard(seconds)
    board.open(1, 265598, "AAPL")
    board.price(1, 1, 10.0, 1.0)
    seconds.now = 30.0
    board.price(1, 6, 11.0, 0.0)
    board.size(1, 8, 1e6)
    board.price(1, 9, 10.0, 0.0)
    (quote,) = board.quotes(START)
    assert quote.at == START - timedelta(seconds=30)


def test_an_unchanged_quote_keeps_its_instant() -> None:
    """Asked twice at different times, a quote that has not moved is the same value."""
    seconds = Seconds()
    board = QuoteBoard(seconds)
    board.open(1, 265598, "AAPL")
    board.price(1, 1, 10.0, 1.0)
    first = board.quotes(START)
    seconds.now = 7.3
    assert board.quotes(START + timedelta(seconds=7.3)) == first


def test_the_type_is_what_the_gateway_says_last() -> None:
    """Message 58 switches the type back when live data return."""
    board = QuoteBoard(Seconds())
    board.open(1, 265598, "AAPL")
    board.price(1, 66, 10.0, 1.0)
    assert board.quotes(START)[0].market_data_type == 3
    board.kind(1, 1)
    assert board.quotes(START)[0].market_data_type == 1


def test_ticks_of_an_ended_line_are_ignored() -> None:
    """What is still under way after a cancel changes nothing."""
    board = QuoteBoard(Seconds())
    board.open(1, 265598, "AAPL")
    board.close(1)
    board.price(1, 1, 10.0, 1.0)
    board.size(1, 0, 1.0)
    board.kind(1, 3)
    assert board.quotes(START) == ()


# ── history ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_history_is_what_the_gateway_has() -> None:
    """The last bars up to the session asked for, oldest first, one a day, nothing later."""

    async def work(bench: Bench, gateway: Gateway) -> None:
        await bench.synced()
        bars = await bench.broker.bars("AAPL", "1 day", date(2024, 2, 20), 30)
        assert (len(bars), bars.last_session(), bars.symbol, bars.bar_size) == (30, date(2024, 2, 20), "AAPL", "1 day")
        assert bars.sessions() == [date(2024, 1, 22) + timedelta(days=each) for each in range(30)]
        assert all(low <= close <= high for low, close, high in zip(bars.low, bars.close, bars.high, strict=True))
        assert bars.adjusted == bars.close

    with_gateway(work)


def test_a_refusal_is_a_data_error_in_the_brokers_words() -> None:
    """162 names the symbol, the reason and the code."""
    script = two_stocks()
    script.answers["reqHistoricalData"] = lambda gateway, values: gateway.say(
        "error", reqId=values["reqId"], errorCode=162, errorString="HMDS query returned no data: AAPL@SMART Trades"
    )

    async def work(bench: Bench, script: Script) -> None:
        await bench.synced()
        with pytest.raises(DataError) as error:
            await bench.broker.bars("AAPL", "1 day", date(2024, 3, 1), 10)
        text = "AAPL: the broker gives no history: HMDS query returned no data: AAPL@SMART Trades (162)"
        assert str(error.value) == text

    with_script(work, script)


@pytest.mark.parametrize("text", ["9" * 18, "20240230", "00010101", "99991231 23:59:59 US/Hawaii", "", "x"])
def test_a_bar_whose_date_is_none_is_a_data_error(text: str) -> None:
    """Of this symbol alone: whoever asked for others is not disturbed."""
    script = two_stocks()
    bar = {"date": text, **dict.fromkeys(("open", "high", "low", "close"), 100)}
    script.answers["reqHistoricalData"] = lambda gateway, values: gateway.say(
        "historicalData", reqId=values["reqId"], start="", end="", bars=[bar]
    )

    async def work(bench: Bench, script: Script) -> None:
        await bench.synced()
        with pytest.raises(DataError, match="AAPL: the broker's history has a date that is none"):
            await bench.broker.bars("AAPL", "1 day", date(2024, 3, 1), 10)

    with_script(work, script)


def test_an_answer_that_never_comes_is_a_link_error_and_cancelled() -> None:
    """The deadline counts from the write; the gateway is told that nobody waits any more (C48)."""

    async def work(bench: Bench, script: Script) -> None:
        await bench.synced()
        with pytest.raises(LinkError, match="AAPL: no history: no answer within 20 s"):
            await bench.broker.bars("AAPL", "1 day", date(2024, 3, 1), 10)
        await asyncio.sleep(1)
        asked = dict(script.requests)
        assert asked["cancelHistoricalData"]["reqId"] == asked["reqHistoricalData"]["reqId"]

    with_script(work, two_stocks(), history_seconds=20.0)


def test_a_spoilt_answer_is_a_data_error() -> None:
    """A bar that can't be decoded fails its own request at once, and is kept raw."""
    script = two_stocks()
    script.answers["reqHistoricalData"] = lambda gateway, values: gateway.raw(
        "17", str(values["reqId"]), "", "", "1", "20240301", "1", "2", "x", "1.5", "100", "1.5", "3"
    )

    async def work(bench: Bench, script: Script) -> None:
        await bench.synced()
        with pytest.raises(DataError, match="AAPL: the broker gives no history: its answer could not be decoded"):
            await bench.broker.bars("AAPL", "1 day", date(2024, 3, 1), 10)
        assert [each.message_id for each in bench.inbox.of(m.MessageUndecodable)] == [17]

    with_script(work, script)


def test_a_lost_link_ends_every_wait() -> None:
    """Whoever waits for history when the link goes is told so at once, also those still queued."""

    async def work(bench: Bench, script: Script) -> None:
        await bench.synced()
        asked = [
            asyncio.create_task(bench.broker.bars("AAPL", "1 day", date(2024, 3, 1), 10), name=f"bars {each}")
            for each in range(100)
        ]
        await asyncio.sleep(0.5)
        bench.broker.drop("the cable was cut")
        answers = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 1.0)
        assert {type(answer) for answer in answers} == {LinkError}
        assert str(answers[0]) == "AAPL: no history: the cable was cut"

    with_script(work, two_stocks())


def test_a_caller_that_gives_up_costs_nothing_more() -> None:
    """A request cancelled while it is queued is never sent."""

    async def work(bench: Bench, script: Script) -> None:
        await bench.synced()
        asked = [
            asyncio.create_task(bench.broker.bars("AAPL", "1 day", date(2024, 3, 1), 10), name=f"bars {each}")
            for each in range(40)
        ]
        await asyncio.sleep(0.01)
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        await asyncio.sleep(10)
        assert script.names().count("reqHistoricalData") < 5
        assert bench.broker.counters()["queued_history"] == 0

    with_script(work, two_stocks())


def test_no_link_and_no_contract_are_different_answers() -> None:
    """Without a link it is a LinkError, worth another try; an unknown symbol is a DataError."""

    async def work(bench: Bench, script: Script) -> None:
        with pytest.raises(LinkError, match="there is no link"):
            await bench.broker.bars("AAPL", "1 day", date(2024, 3, 1), 10)
        await bench.synced()
        with pytest.raises(DataError, match="XYZ: its contract is not known"):
            await bench.broker.bars("XYZ", "1 day", date(2024, 3, 1), 10)

    with_script(work, two_stocks())


@given(count=st.integers(1, 10_000))
def test_a_duration_holds_the_bars_asked_for(count: int) -> None:
    """Days are counted so that weekends fit; what is more than 365 days is asked in years, as IB demands."""
    number, unit = duration_of("1 day", count).split()
    sessions = int(number) * 5 / 7 if unit == "D" else int(number) * 250
    assert sessions >= count
    assert unit == "Y" or int(number) <= 365


@pytest.mark.parametrize(
    ("bar_size", "count", "duration"), [("5 mins", 42, "7 D"), ("1 hour", 1000, "2 Y"), ("30 secs", 10, "7 D")]
)
def test_a_duration_of_short_bars_is_counted_in_half_days(bar_size: str, count: int, duration: str) -> None:
    """Even if every session were a half day, the bars asked for would be there."""
    assert duration_of(bar_size, count) == duration


def test_a_bar_size_that_ib_does_not_have_is_named() -> None:
    """A slip in a setting is told in one sentence, and nothing is sent."""

    async def work(bench: Bench, script: Script) -> None:
        await bench.synced()
        with pytest.raises(DataError, match="AAPL: the bar size '1 fortnight' is none of IB's"):
            await bench.broker.bars("AAPL", "1 fortnight", date(2024, 3, 1), 10)
        assert "reqHistoricalData" not in script.names()

    with_script(work, two_stocks())


def test_the_end_of_a_past_day_is_named_in_utc() -> None:
    """A finished day ends at its last second, today is IB's empty "now"."""
    assert end_of(date(2024, 3, 1), date(2024, 3, 4)) == "20240301-23:59:59"
    assert end_of(date(2024, 3, 4), date(2024, 3, 4)) == ""
