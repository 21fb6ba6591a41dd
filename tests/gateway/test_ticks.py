"""Single ticks: past ones and each as it happens, against the path."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from longwatch.gateway.app import Gateway
from tests.gateway.made import AAPL, JANUARY_3, PlainClient, on_a_gateway, stock

QUARTER = timedelta(minutes=15)
"""Between two points of the path."""


def test_each_trade_quote_and_middle_comes_at_its_point() -> None:
    """One tick a point, with the values of the market's quote there; nothing after the cancel."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        for number, kind in enumerate(("Last", "AllLast", "BidAsk", "MidPoint"), 1):
            client.ask("reqTickByTickData", reqId=number, tickType=kind, **stock())
        client.ask("reqTickByTickData", reqId=9, tickType="Last", **stock())
        client.ask("reqTickByTickData", reqId=8, tickType="Other", **stock())
        await asyncio.sleep(3600)
        ticks = client.replies("tickByTick")
        points = [JANUARY_3 + QUARTER * place for place in range(1, 5)]
        quotes = [gateway.desk.market.quote(AAPL, at) for at in points]
        for number in (1, 2):
            mine = [one for one in ticks if one["reqId"] == number]
            assert [(one["tickType"], one["price"], one["size"]) for one in mine] == [
                (number, quote.last, quote.last_size) for quote in quotes
            ]
            assert [one["time"] for one in mine] == [int(at.timestamp()) for at in points]
        sides = [one for one in ticks if one["reqId"] == 3]
        assert [(one["bidPrice"], one["askPrice"], one["bidSize"], one["askSize"]) for one in sides] == [
            (quote.bid, quote.ask, quote.bid_size, quote.ask_size) for quote in quotes
        ]
        middles = [one["midPoint"] for one in ticks if one["reqId"] == 4]
        assert middles == [(quote.bid + quote.ask) / 2 for quote in quotes if quote.bid and quote.ask]
        assert [(one["reqId"], one["errorCode"]) for one in client.replies("error")][-2:] == [(9, 10190), (8, 321)]
        for number in (1, 2, 3, 4, 4):
            client.ask("cancelTickByTickData", reqId=number)
        client.forget()
        await asyncio.sleep(3600)
        assert client.names() == ["error"] and client.codes() == [300]

    on_a_gateway(scenario, market_data_lines=80)


@pytest.mark.parametrize("kind", ["TRADES", "BID_ASK", "MIDPOINT"])
def test_past_ticks_are_the_paths_points_forwards_and_backwards(kind: str) -> None:
    """So many after a start, or before an end, oldest first, over nights; never one that has not happened."""
    names = {"TRADES": "historicalTicksLast", "BID_ASK": "historicalTicksBidAsk", "MIDPOINT": "historicalTicks"}

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        wanted: dict[str, Any] = {"whatToShow": kind, "numberOfTicks": 40, **stock()}
        client.ask("reqHistoricalTicks", reqId=1, startDateTime="20070103-15:00:00", **wanted)
        client.ask("reqHistoricalTicks", reqId=2, endDateTime="20070104-15:00:00", **wanted)
        client.ask("reqHistoricalTicks", reqId=3, startDateTime="20070104-15:10:00", **wanted)
        await asyncio.sleep(1)
        forth, back, newest = (one["ticks"] for one in client.replies(names[kind]))
        assert len(forth) == 29 and len(back) == 29 and len(newest) == 1
        assert forth[0]["time"] == int(datetime(2007, 1, 3, 15, tzinfo=UTC).timestamp())
        now = int(gateway.desk.now().timestamp())
        for ticks in (forth, back, newest):
            times = [one["time"] for one in ticks]
            assert times == sorted(times) and times[-1] <= now
            for one in ticks:
                quote = gateway.desk.market.quote(AAPL, datetime.fromtimestamp(one["time"], UTC))
                if kind == "TRADES":
                    assert (one["price"], one["size"]) == (quote.last, quote.last_size)
                elif kind == "BID_ASK":
                    assert (one["priceBid"], one["priceAsk"]) == (quote.bid, quote.ask)

    on_a_gateway(scenario, at=JANUARY_3 + timedelta(days=1, minutes=46))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, 321),
        ({"startDateTime": "20070103-15:00:00", "numberOfTicks": 1001}, 321),
        ({"startDateTime": "20070103-15:00:00", "whatToShow": "NEWS"}, 321),
        ({"startDateTime": "20070103-15:00:00", "endDateTime": "20070103-14:59:59"}, 162),
        ({"startDateTime": "20070103 15:00:00", "endDateTime": "20070103-14:59:59"}, 2174),
    ],
)
def test_past_ticks_that_make_no_sense_are_told(change: dict[str, Any], code: int) -> None:
    """Neither end, too many, of what is not, or in the wrong order; a time without a zone is warned of."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.ask("reqHistoricalTicks", reqId=1, **stock(), **change)
        await asyncio.sleep(1)
        assert client.codes()[0] == code and not client.replies("historicalTicksLast")

    on_a_gateway(scenario)


def test_without_permission_there_are_no_single_ticks() -> None:
    """10187 and 10189 where only delayed data are subscribed; a stream ends when another session takes the data."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.ask("reqTickByTickData", reqId=1, tickType="Last", **stock())
        await asyncio.sleep(1)
        gateway.faults.delayed_only = True
        gateway.desk.feeds.end_quotes(10168, "no data")
        client.ask("reqTickByTickData", reqId=2, tickType="Last", **stock())
        client.ask("reqHistoricalTicks", reqId=3, startDateTime="20070103-15:00:00", **stock())
        await asyncio.sleep(3600)
        told = [(one["reqId"], one["errorCode"]) for one in client.replies("error")][-3:]
        assert told == [(1, 10189), (2, 10189), (3, 10187)]
        assert client.replies("tickByTick") == []

    on_a_gateway(scenario)
