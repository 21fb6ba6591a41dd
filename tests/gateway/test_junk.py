"""Mutated and random messages by the thousand never crash the gateway, nor disturb a client that behaves."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any, cast

import pytest

from longwatch.gateway.app import Gateway
from longwatch.gateway.police import Limits
from longwatch.gateway.session import Session
from longwatch.wire.framing import Frames, hello, split
from longwatch.wire.replies import Reply, decode_reply
from longwatch.wire.requests import encode_request
from tests.conftest import ROOT
from tests.gateway.junk import Spoiler, recorded_requests
from tests.gateway.made import HOST, JANUARY_3, PORT, PlainClient, on_a_gateway, small_market, stock

MESSAGES = 100_000 if os.environ.get("HYPOTHESIS_PROFILE") == "proof" else 5_000
VERSIONS = (157, 166, 176, 177, 178)
RECORDED = {version: recorded_requests(ROOT.parent / "shared" / "recorded", version) for version in VERSIONS}

STARTS = (*(1,) * 15, 2, 3, 60, 0)
"""How often a connection starts."""
WILD_IDS = (None, -1, -1, -2, -3, -(2**31), 2**31 - 2)

A_ROUND = 100
"""Messages between two looks at the client that behaves."""
ROUND_SECONDS = 3.0
ANSWER_SECONDS = 2.0
"""By when, in the gateway's time, everything is answered: orders take 0.9 s, histories 0.6 s."""
CPU_SECONDS = 1.5
"""What a round may cost of the processor's time: nobody's message holds up the others."""
MEGABYTES = 48
MINE = "DU999999"
LIFE = ["5 PreSubmitted", "3 PreSubmitted", "11 1", "5 Filled", "3 Filled", "5 Filled", "3 Filled", "59"]


class Junker(asyncio.Protocol):
    """The end of a connection that sends junk; what it is sent must be readable all the same."""

    def __init__(self, server_version: int) -> None:
        self.transport: asyncio.Transport | None = None
        self.is_lost = False
        self.count = 0
        self._version = server_version
        self._frames = Frames()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True

    def data_received(self, data: bytes) -> None:
        for payload in self._frames.feed(data):
            self.count += 1
            if self.count > 1:
                assert isinstance(decode_reply(split(payload), self._version), Reply), payload
            elif payload.startswith(b"1"):
                self._version = int(split(payload)[0])

    def write(self, data: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)


@dataclass
class Crowd:
    """Connections that send junk, a few at a time; `sent` counts messages."""

    luck: Random
    sent: int = 0
    answered: int = 0
    lingering: list[Junker] = field(default_factory=list)

    async def send(self, count: int) -> None:
        """So many messages, over as many connections as that takes."""
        goal = self.sent + count
        while self.sent < goal:
            await self._visit(goal)

    async def _visit(self, goal: int) -> None:
        luck, version = self.luck, self.luck.choice(VERSIONS)
        spoiler = Spoiler(luck, version, RECORDED[version], self.sent + 1)
        loop = asyncio.get_running_loop()
        _, junker = await loop.create_connection(lambda: Junker(version), HOST, PORT)
        if luck.random() < 0.1:
            self.sent += 1
            await self._dribble(junker, spoiler.greeting())
        else:
            junker.write(hello(157, version))
            for _ in range(luck.choice(STARTS)):
                client_id = luck.choice(WILD_IDS) if luck.random() < 0.1 else luck.randrange(2, 60)
                start = {"clientId": client_id, "optionalCapabilities": ""}
                junker.write(encode_request("startApi", start, version))
            for _ in range(min(luck.randrange(1, 60), goal - self.sent)):
                self.sent += 1
                await self._dribble(junker, spoiler.frame())
                if junker.is_lost:
                    break
        await asyncio.sleep(luck.choice((0.0, 0.02, 0.3)))
        self.answered += junker.count
        self._leave(junker)

    async def _dribble(self, junker: Junker, data: bytes) -> None:
        """Whole, in two pieces, or byte by byte."""
        luck = self.luck
        match luck.randrange(12):
            case 0 if len(data) < 300:
                for place in range(len(data)):
                    junker.write(data[place : place + 1])
                    await asyncio.sleep(0)
            case 1:
                cut = luck.randrange(len(data) + 1)
                junker.write(data[:cut])
                await asyncio.sleep(luck.choice((0.0, 0.001)))
                junker.write(data[cut:])
            case _:
                junker.write(data)

    def _leave(self, junker: Junker) -> None:
        """Close, cut, or stay for a while without another word."""
        assert junker.transport is not None
        match self.luck.randrange(4):
            case 0:
                junker.transport.abort()
            case 1 if not junker.is_lost:
                self.lingering.append(junker)
            case _:
                junker.transport.close()
        while len(self.lingering) > 5:
            self._close(self.lingering.pop(0))

    def close(self) -> None:
        while self.lingering:
            self._close(self.lingering.pop())

    @staticmethod
    def _close(junker: Junker) -> None:
        assert junker.transport is not None
        junker.transport.close()


class Regular:
    """The client that behaves: it trades IBM in an account of its own, and watches it."""

    def __init__(self, client: PlainClient) -> None:
        self.client = client
        self.order_id = 0
        self.asked_at = 0.0
        self.expected: dict[str, Any] = {}

    async def begin(self) -> None:
        self.client.ask("reqMktData", reqId=1, **stock("IBM"))
        self.client.ask("reqAccountUpdates", subscribe=True, acctCode=MINE)
        await asyncio.sleep(1)
        self.client.forget()

    def ask(self) -> None:
        """One question of each kind, and an order."""
        client, self.order_id = self.client, self.order_id + 1
        client.forget()
        self.asked_at = asyncio.get_running_loop().time()
        order = {**stock("IBM"), "account": MINE, "tif": "DAY"}
        client.order(self.order_id, "BUY" if self.order_id % 2 else "SELL", 1, "MKT", **order)
        client.ask("reqCurrentTime")
        client.ask("reqContractDetails", reqId=11, **stock("IBM"))
        history = {"barSize": "1 day", "duration": "2 D", "whatToShow": "TRADES", "formatDate": 1, "useRTH": True}
        client.ask("reqHistoricalData", reqId=12, **stock("IBM"), **history, endDateTime="20070104-00:00:00")
        client.ask("reqAccountSummary", reqId=13, tags="NetLiquidation")
        client.ask("cancelAccountSummary", reqId=13)

    def check(self) -> None:
        """All of it was answered, completely, in time, and nothing else came."""
        client = self.client
        assert not client.is_lost
        story = [line.split("@")[0] for line in client.story(self.order_id)]
        assert story == LIFE, story
        assert len(client.replies("currentTime")) == 1
        assert [row["symbol"] for row in client.replies("contractDetails")] == ["IBM"]
        assert client.names().count("contractDetailsEnd") == 1
        assert {row["account"] for row in client.replies("accountSummary")} == {MINE, "DU123456"}
        (bars,) = client.replies("historicalData")
        assert self.expected.setdefault("bars", bars["bars"]) == bars["bars"] and len(bars["bars"]) == 1
        assert client.codes() == []
        late = [reply.name for at, reply in client.heard if at - self.asked_at > ANSWER_SECONDS]
        assert set(late) <= {"tickPrice", "tickSize", "tickString", "updateAccountValue", "updateAccountTime"}, late

    def quotes(self) -> int:
        return sum(1 for reply in self.client.replies("tickPrice") if reply["tickType"] in {1, 2})


WORDS = {
    "a field without a value": b"67\x001\x00\x00",
    "a zone that is a folder": b"7\x003\x005\x000\x00\x0020070104 10:00:00 America\x00\x00\x00\x00\x00",
    "a time before the calendar": b"7\x003\x005\x000\x00\x0000010101 00:00:00 Japan\x00\x00\x00\x00\x00",
    "a time after the calendar": b"7\x003\x005\x000\x00\x0099991231 23:59:59 US/Hawaii\x00\x00\x00\x00\x00",
}


@pytest.mark.parametrize("payload", WORDS.values(), ids=WORDS.keys())
def test_a_request_that_makes_no_sense_leaves_the_connection_working(payload: bytes) -> None:
    """Nothing is raised, and the next question is answered; there is a fill for filters of time to be put to."""

    async def scenario(gateway: Gateway) -> None:
        raised: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
        client = await PlainClient.connect()
        client.order(1, "BUY", 1)
        await asyncio.sleep(2)
        client.write(len(payload).to_bytes(4, "big") + payload)
        client.ask("reqCurrentTime")
        await asyncio.sleep(1)
        assert raised == [] and not client.is_lost and len(client.replies("currentTime")) == 1

    on_a_gateway(scenario)


def test_a_price_beyond_counting_is_off_the_grid() -> None:
    """A limit of 1 and 300 zeros is refused as no multiple of the tick, and so is one between two ticks."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 1, "LMT", lmtPrice=Decimal("1e300"))
        client.order(2, "BUY", 1, "LMT", lmtPrice=Decimal("86.005"))
        await asyncio.sleep(1)
        assert [client.story(number) for number in (1, 2)] == [["4 110"], ["4 110"]]

    on_a_gateway(scenario)


def test_the_largest_number_is_no_order_id() -> None:
    """It means unset; the one after it could not be given to anybody."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(2**31 - 1, "BUY", 1)
        client.order(2**31 - 2, "BUY", 1)
        await asyncio.sleep(2)
        assert client.story(2**31 - 1) == ["4 10149"] and client.story(2**31 - 2)[-1] == "59"
        client.ask("reqIds", numIds=1)
        await asyncio.sleep(0.1)
        assert client.replies("nextValidId")[-1] == {"orderId": 2**31 - 1}

    on_a_gateway(scenario)


def test_a_history_that_reaches_back_before_the_calendar_begins_with_the_first_bar() -> None:
    """99999 years are as many as there are bars."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        asked = {"barSize": "1 day", "duration": "99999 Y", "whatToShow": "TRADES", "formatDate": 1, "useRTH": True}
        client.ask("reqHistoricalData", reqId=1, **stock(), **asked, endDateTime="")
        await asyncio.sleep(1)
        assert [len(values["bars"]) for values in client.replies("historicalData")] == [2]

    on_a_gateway(scenario, at=JANUARY_3 + timedelta(days=1, minutes=5))


def test_what_follows_in_the_same_segment_as_a_refusal_is_not_heard() -> None:
    """A client turned away with 326 gets that one message, whatever else it had already sent."""

    async def scenario(gateway: Gateway) -> None:
        raised: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
        await PlainClient.connect(1)
        second = await PlainClient.connect(1, start=False)
        start = encode_request("startApi", {"clientId": 1, "optionalCapabilities": ""}, 176)
        second.write(start + start + encode_request("reqCurrentTime", {}, 176))
        await asyncio.sleep(1)
        assert second.names() == ["error"] and second.is_lost and raised == []

    on_a_gateway(scenario)


@pytest.mark.parametrize("pacing", [None, Limits()], ids=["unpaced", "paced as served"])
def test_junk_by_the_thousand_disturbs_nobody(
    caplog: pytest.LogCaptureFixture, pacing: Limits | None, counted: Callable[[str, int], None]
) -> None:
    """No exception, no log line, no slow round, no growth; another client's orders and answers stay complete."""
    messages = MESSAGES // (5 if pacing else 1)
    raised: list[dict[str, Any]] = []

    async def scenario(gateway: Gateway) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: raised.append(context))
        # Gateways of tests before this one may not have been let go of yet.
        before = sum(1 for one in gc.get_objects() if type(one) is Session)
        regular = Regular(await PlainClient.connect(1))
        await regular.begin()
        crowd, quotes, sizes = Crowd(Random("junk|1")), 0, []
        for _ in range(messages // A_ROUND):
            started = time.process_time()
            regular.ask()
            until = loop.time() + ROUND_SECONDS
            await crowd.send(A_ROUND)
            spent = time.process_time() - started
            await asyncio.sleep(max(until - loop.time(), 0))
            assert raised == []
            regular.check()
            quotes += regular.quotes()
            assert spent < CPU_SECONDS
            sizes.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        counted(f"messages of junk to the gateway, {'paced' if pacing else 'unpaced'}", crowd.sent)
        assert crowd.sent >= messages and crowd.answered > messages / 2
        assert quotes > messages // A_ROUND / 20
        assert sizes[-1] - sizes[len(sizes) // 5] < MEGABYTES * 1024
        crowd.close()
        await asyncio.sleep(5)
        gc.collect()
        assert list(gateway.desk.clients) == [1] and len(gateway.desk.connections) == 1
        assert sum(1 for one in gc.get_objects() if type(one) is Session) < before + 10

    with caplog.at_level(logging.WARNING):
        accounts = ("DU123456", MINE)
        market = small_market(path_points=780)
        at = JANUARY_3 + timedelta(days=1, minutes=5)
        on_a_gateway(scenario, at=at, market=market, accounts=accounts, server_version=178, pacing=pacing)
    assert raised == [] and caplog.records == []
