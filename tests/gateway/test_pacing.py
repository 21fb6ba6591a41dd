"""The pacing police: what is too much is counted, slowed down, refused or cut off, frame by frame."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.gateway.app import Gateway
from longwatch.gateway.police import Limits, Rule
from tests.gateway.made import AAPL, PlainClient, on_a_gateway, stock

SHORT = {"barSize": "30 secs", "duration": "600 S", **stock()}


def rules(gateway: Gateway) -> list[Rule]:
    return [one.rule for one in gateway.desk.police.violations]


def test_messages_beyond_the_rate_wait_for_their_turn_in_their_order() -> None:
    """The default of real gateways: fifty now, fifty a second later; nothing is lost, and the client is warned."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        await asyncio.sleep(2)
        client.forget()
        for number in range(120):
            client.ask("reqContractDetails", reqId=number, **{**stock(), "symbol": "NONE"})
        client.ask("reqCurrentTime")
        await asyncio.sleep(0.5)
        told = [one["reqId"] for one in client.replies("error") if one["errorCode"] == 200]
        assert told == list(range(50))
        warnings = [one["errorString"] for one in client.replies("error") if one["errorCode"] == 0]
        assert warnings == ["Warning: Approaching max rate of 50 messages per second (44)"]
        await asyncio.sleep(1)
        assert len([one for one in client.replies("error") if one["errorCode"] == 200]) == 100
        await asyncio.sleep(1)
        told = [one["reqId"] for one in client.replies("error") if one["errorCode"] == 200]
        assert told == list(range(120)) and client.names()[-1] == "error"
        assert "currentTime" in client.names()
        assert rules(gateway) == [Rule.RATE]

    on_a_gateway(scenario, pacing=Limits())


def test_or_they_are_refused_and_the_third_second_of_it_ends_the_connection() -> None:
    """Error 100 counts what came and how often; other clients notice nothing."""

    async def scenario(gateway: Gateway) -> None:
        client, other = await PlainClient.connect(1), await PlainClient.connect(2)
        for burst in range(3):
            await asyncio.sleep(2)
            assert not client.is_lost
            for _ in range(53):
                client.ask("reqCurrentTime")
            await asyncio.sleep(0.5)
            texts = [one["errorString"] for one in client.replies("error") if one["errorCode"] == 100]
            assert texts[-1].startswith("Max rate of messages per second has been exceeded:max=50 rec=5")
            assert texts[-1].endswith(f"({burst + 1})")
        assert client.is_lost
        assert len(client.replies("currentTime")) == 150
        other.ask("reqCurrentTime")
        await asyncio.sleep(0.5)
        assert not other.is_lost and other.names()[-1] == "currentTime"

    on_a_gateway(scenario, pacing=Limits(rejects=True))


@given(st.lists(st.floats(0.0, 0.3), min_size=1, max_size=200))
def test_never_more_than_the_rate_is_let_in_within_any_second(pauses: list[float]) -> None:
    """However a client times its messages, all are answered, in order, and no second answers more than five."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        for number, pause in enumerate(pauses):
            client.ask("cancelMktData", reqId=number)
            await asyncio.sleep(pause)
        await asyncio.sleep(len(pauses) / 5 + 2)
        answers = [(at, reply.values["reqId"]) for at, reply in client.heard if reply.values.get("errorCode") == 300]
        assert [number for _, number in answers] == list(range(len(pauses)))
        times = [at for at, _ in answers]
        assert all(later - earlier > 0.999 for earlier, later in zip(times, times[5:], strict=False))

    on_a_gateway(scenario, pacing=Limits(messages_a_second=5))


def refused(client: PlainClient) -> list[int]:
    """Numbers of the requests that broke a rule."""
    return [one["reqId"] for one in client.replies("error") if "pacing violation" in one["errorString"]]


def test_the_same_request_again_within_fifteen_seconds_is_a_violation() -> None:
    """162 with the text of real gateways; after fifteen seconds it is answered; longer bars are free."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.ask("reqHistoricalData", reqId=1, **SHORT)
        await asyncio.sleep(14)
        client.ask("reqHistoricalData", reqId=2, **SHORT)
        await asyncio.sleep(2)
        client.ask("reqHistoricalData", reqId=3, **SHORT)
        for number in (4, 5):
            client.ask("reqHistoricalData", reqId=number, **{**SHORT, "barSize": "1 min"})
        await asyncio.sleep(2)
        assert refused(client) == [2] and client.codes() == [162]
        text = "Historical Market Data Service error message:Historical data request pacing violation"
        assert client.replies("error")[-1]["errorString"] == text
        assert rules(gateway) == [Rule.IDENTICAL]
        assert [one["reqId"] for one in client.replies("historicalData")] == [1, 3, 4, 5]

    on_a_gateway(scenario, pacing=Limits())


def test_the_sixth_for_one_contract_and_kind_within_two_seconds_is_a_violation() -> None:
    """Other contracts and other kinds of price are counted apart."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        for number in range(6):
            client.ask("reqHistoricalData", reqId=number, **{**SHORT, "duration": f"{600 + number} S"})
            client.ask(
                "reqHistoricalData", reqId=10 + number, **{**SHORT, **stock("IBM"), "duration": f"{number + 60} S"}
            )
        await asyncio.sleep(3)
        assert sorted(refused(client)) == [5, 15]
        assert set(rules(gateway)) == {Rule.SIMILAR}

    on_a_gateway(scenario, pacing=Limits())


@pytest.mark.parametrize(("what", "allowed"), [("TRADES", 60), ("BID_ASK", 30)])
def test_sixty_requests_in_ten_minutes_over_all_clients_and_bid_with_ask_counts_twice(what: str, allowed: int) -> None:
    """The next one is a violation, whoever asks; ten minutes after the first there is room again."""

    async def scenario(gateway: Gateway) -> None:
        clients = [await PlainClient.connect(1), await PlainClient.connect(2)]
        for number in range(allowed):
            wanted = {**SHORT, "duration": f"{number + 60} S", "whatToShow": what}
            clients[number % 2].ask("reqHistoricalData", reqId=number, **wanted)
            await asyncio.sleep(5)
        clients[1].ask("reqRealTimeBars", reqId=900, **stock())
        clients[0].ask("reqHistoricalData", reqId=901, **{**SHORT, "duration": "9 S", "whatToShow": what})
        await asyncio.sleep(2)
        assert refused(clients[1]) == [900] and refused(clients[0]) == [901]
        assert clients[1].replies("error")[-1]["errorCode"] == 420
        assert rules(gateway) == [Rule.MANY, Rule.MANY]
        await asyncio.sleep(605 - allowed * 5)
        clients[0].ask("reqHistoricalData", reqId=902, **{**SHORT, "duration": "9 S", "whatToShow": what})
        await asyncio.sleep(2)
        assert clients[0].replies("historicalData")[-1]["reqId"] == 902

    on_a_gateway(scenario, pacing=Limits())


def test_who_goes_on_breaking_the_rules_of_history_is_disconnected() -> None:
    """After so many violations the connection ends, and the client may come back."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        for number in range(4):
            client.ask("reqHistoricalData", reqId=number, **SHORT)
            await asyncio.sleep(1)
        assert client.is_lost
        again = await PlainClient.connect()
        assert not again.is_lost and len(gateway.desk.police.violations) == 3

    on_a_gateway(scenario, pacing=Limits(history_strikes=3))


def test_one_contract_is_one_in_whatever_words_it_is_asked_for() -> None:
    """Its number, its primary exchange, small letters: the same request again is the same request again."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        words: list[dict[str, Any]] = [{}, {"conId": AAPL.con_id}, {"primaryExchange": "NASDAQ"}, {"exchange": ""}]
        for number, more in enumerate(words):
            client.ask("reqHistoricalData", reqId=number, **{**SHORT, **more})
        await asyncio.sleep(3)
        assert refused(client) == [1, 2, 3] and set(rules(gateway)) == {Rule.IDENTICAL}

    on_a_gateway(scenario, pacing=Limits())


def test_breaches_of_ten_minutes_ago_are_forgiven() -> None:
    """One now and then never comes to what ends a connection."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        for number in range(5):
            for again in range(2):
                client.ask("reqHistoricalData", reqId=2 * number + again, **SHORT)
            await asyncio.sleep(400)
        assert len(gateway.desk.police.violations) == 5 and not client.is_lost

    on_a_gateway(scenario, pacing=Limits(history_strikes=3))


def test_to_leave_and_come_back_begins_no_new_second() -> None:
    """What the client sent before it left counts until a second has passed; another client's does not."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect(1)
        await asyncio.sleep(2)
        for _ in range(45):
            client.ask("reqCurrentTime")
        await asyncio.sleep(0.1)
        client.close()
        await asyncio.sleep(0.1)
        again, other = await PlainClient.connect(1), await PlainClient.connect(2)
        for one in (again, other):
            for _ in range(30):
                one.ask("reqCurrentTime")
        await asyncio.sleep(0.3)
        assert len(again.replies("currentTime")) < 10 and len(other.replies("currentTime")) == 30
        await asyncio.sleep(2)
        assert len(again.replies("currentTime")) == 30 and rules(gateway) == [Rule.RATE]

    on_a_gateway(scenario, pacing=Limits())


def test_without_limits_nobody_is_watched() -> None:
    """What is asked in a moment is answered in a moment."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        for number in range(200):
            client.ask("cancelMktData", reqId=number)
            if number < 20:
                client.ask("reqHistoricalData", reqId=number, **SHORT)
        await asyncio.sleep(0.5)
        assert len([code for code in client.codes() if code == 300]) == 200
        await asyncio.sleep(0.5)
        assert len(client.replies("historicalData")) == 20 and rules(gateway) == []

    on_a_gateway(scenario)


def test_a_client_that_leaves_takes_its_waiting_messages_along() -> None:
    """Nothing of its queue is done after it has gone."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        order: dict[str, Any] = {"lmtPrice": 1}
        for _ in range(60):
            client.ask("reqCurrentTime")
        client.order(1, "BUY", 1, "LMT", **order)
        await asyncio.sleep(0.2)
        client.close()
        await asyncio.sleep(5)
        assert list(gateway.desk.exchange.book.live()) == []

    on_a_gateway(scenario, pacing=Limits())
