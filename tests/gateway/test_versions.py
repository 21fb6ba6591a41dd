"""Server versions: which one is spoken, and what each changes in the bytes a client gets."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from longwatch.errors import UsageError
from longwatch.gateway.app import Gateway
from longwatch.gateway.desk import GatewayConfig
from longwatch.wire.framing import hello, split
from tests.gateway.made import JANUARY_3, PlainClient, on_a_gateway, stock

VERSIONS = (157, 176, 177, 178)

FIELDS = {
    "error": {157: 5, 176: 6, 177: 6, 178: 6},
    "contractDetails": {157: 39, 176: 40, 177: 40, 178: 40},
    "openOrder": {157: 128, 176: 136, 177: 135, 178: 135},
    "execDetails": {157: 31, 176: 31, 177: 31, 178: 32},
    "completedOrder": {157: 96, 176: 101, 177: 100, 178: 100},
    "orderStatus": dict.fromkeys(VERSIONS, 12),
    "position": dict.fromkeys(VERSIONS, 16),
}
"""Fields of a message at each version, its id included, as gateway recordings and client sources count them."""


def fields_of(client: PlainClient, name: str) -> list[str]:
    """The first message of a name, as it crossed the wire."""
    place = client.names().index(name)
    return split(client.raw[place])


@pytest.mark.parametrize("own", VERSIONS)
@pytest.mark.parametrize("offered", [(100, 226), (100, 157), (157, 176), (100, 177), (157, 178)])
def test_the_lower_of_both_highest_versions_is_spoken(own: int, offered: tuple[int, int]) -> None:
    """The greeting names it, and everything after follows it."""

    async def scenario(gateway: Gateway) -> None:
        _, client = await asyncio.get_running_loop().create_connection(PlainClient, "gateway", 4002)
        client.write(hello(*offered))
        await asyncio.sleep(0.1)
        assert client.received[4:7] == str(min(own, offered[1])).encode()

    on_a_gateway(scenario, server_version=own)


def test_a_client_that_needs_more_than_the_gateway_speaks_is_cut_off() -> None:
    """No common version, no word."""

    async def scenario(gateway: Gateway) -> None:
        _, client = await asyncio.get_running_loop().create_connection(PlainClient, "gateway", 4002)
        client.write(hello(177, 226))
        await asyncio.sleep(0.1)
        assert client.is_lost and client.received == b""

    on_a_gateway(scenario)


@pytest.mark.parametrize("version", [100, 156, 158, 179])
def test_a_version_that_can_not_be_spoken_is_refused_with_the_range(version: int) -> None:
    """158 too: client libraries read its orders wrong."""
    with pytest.raises(UsageError, match=f"speak server version {version}; choose 157 to 178, but not 158"):
        GatewayConfig(server_version=version)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_opening_is_the_same_at_every_version(version: int) -> None:
    """15, 9, then the farms; only the notices gained a field."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect(server_version=version)
        assert client.names() == ["managedAccounts", "nextValidId", *["error"] * 4]
        assert fields_of(client, "managedAccounts") == ["15", "1", "DU123456"]
        assert fields_of(client, "nextValidId") == ["9", "1", "1"]
        assert len(fields_of(client, "error")) == FIELDS["error"][version]

    on_a_gateway(scenario, server_version=version)


@pytest.mark.parametrize("version", VERSIONS)
def test_each_message_has_the_fields_of_its_version(version: int) -> None:
    """Counted on the wire, for a trade seen from every side."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect(server_version=version)
        client.ask("reqContractDetails", reqId=2, **stock())
        client.order(1, "BUY", 100)
        await asyncio.sleep(2)
        client.ask("reqCompletedOrders", apiOnly=False)
        client.ask("reqPositions")
        await asyncio.sleep(0.1)
        counted = {name: len(fields_of(client, name)) for name in FIELDS}
        assert counted == {name: counts[version] for name, counts in FIELDS.items()}

    on_a_gateway(scenario, server_version=version)


def test_times_gain_a_zone_and_volumes_become_shares() -> None:
    """Zones come with 174; before 175 a bar's volume counts lots of a hundred."""

    async def scenario(gateway: Gateway) -> None:
        old = await PlainClient.connect(1, server_version=157)
        new = await PlainClient.connect(2, server_version=176)
        for client in (old, new):
            client.order(1, "BUY", 100)
            client.ask("reqHistoricalData", reqId=3, barSize="15 mins", duration="1 D", **stock())
        await asyncio.sleep(2)
        assert re.fullmatch(r"20070103  12:30:0\d", old.replies("execDetails")[0]["time"])
        assert re.fullmatch(r"20070103 12:30:0\d US/Eastern", new.replies("execDetails")[0]["time"])
        lots, shares = ([bar["volume"] for bar in one.replies("historicalData")[0]["bars"]] for one in (old, new))
        assert min(shares) > 100_000
        assert lots == [volume // 100 for volume in shares]

    on_a_gateway(scenario, at=JANUARY_3 + timedelta(hours=3))


@pytest.mark.parametrize(("request_name", "since"), [("reqWshMetaData", 161), ("reqUserInfo", 167)])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_request_unknown_to_a_version_is_a_reading_error(version: int, request_name: str, since: int) -> None:
    """Its number means nothing there: 320 and the connection stays."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect(server_version=version)
        number = {"reqWshMetaData": b"100", "reqUserInfo": b"104"}[request_name]
        payload = number + b"\x009\x00"
        client.write(len(payload).to_bytes(4, "big") + payload)
        client.ask("reqCurrentTime")
        await asyncio.sleep(0.1)
        assert (client.codes() == [320]) is (version < since)
        assert client.names()[-1] == "currentTime"

    on_a_gateway(scenario, server_version=version)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_order_is_read_the_same_from_every_versions_bytes(version: int) -> None:
    """What the client asked for stands in the openOrder it hears: the request's own fields moved, their meaning not."""
    asked: dict[str, Any] = {"lmtPrice": Decimal("50.25"), "tif": "GTC", "orderRef": "lw:v:1", "outsideRth": True}

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect(server_version=version)
        client.order(5, "BUY", 300, "LMT", **asked)
        await asyncio.sleep(2)
        shown = client.replies("openOrder")[0]
        assert {name: shown[name] for name in asked} == asked
        assert (shown["orderId"], shown["totalQuantity"], shown["account"]) == (5, 300, "DU123456")

    on_a_gateway(scenario, server_version=version)
