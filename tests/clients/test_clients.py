"""Clients nobody here wrote, unmodified, over real TCP: what each decodes is what the exchange model holds."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from longwatch.clock import SteppedClock
from longwatch.gateway.app import Gateway
from longwatch.gateway.desk import GatewayConfig
from longwatch.gateway.exchange.courier import Courier
from longwatch.gateway.exchange.reports import Report
from longwatch.gateway.market.hours import RoundTheClock
from longwatch.gateway.market.listings import extras
from longwatch.gateway.market.synthetic import synthetic_market
from tests.clients.environments import python_of
from tests.clients.expected import Model, Said, expected, live
from tests.clients.tape import defaults_of, differences, phases_of

DRIVERS = Path(__file__).with_name("drivers")
NOON = datetime(2020, 1, 6, 12, 2, tzinfo=UTC)
"""Two minutes after a point of the market's path: prices stand still while a client is there."""

POINTS = 96
"""One every quarter of an hour."""

SPEED = 10.0
CLIENT_ID = 7
SESSION_SECONDS = 60
LIVE_PHASES = (
    *("bought", "resting", "modified", "stop", "what if", "half", "huge", "cancelled", "no order", "sold"),
    *("bracket", "entered", "left", "left too", "either", "neither", "reduced", "trailing", "trailed", "trailed too"),
    *("closing", "not closing", "partly", "the rest"),
)


@dataclass(frozen=True, slots=True)
class Client:
    """A library, the highest version the gateway speaks to it, and the version both end up with."""

    library: str
    driver: tuple[str, ...]
    offered: int
    spoken: int

    def __str__(self) -> str:
        return f"{self.library}-{self.spoken}"


CLIENTS = (
    Client("ib_insync", ("insync.py", "ib_insync"), 176, 176),
    Client("ib_insync", ("insync.py", "ib_insync"), 178, 176),
    Client("ib_insync", ("insync.py", "ib_insync"), 157, 157),
    Client("ib_async", ("insync.py", "ib_async"), 176, 176),
    Client("ib_async", ("insync.py", "ib_async"), 178, 178),
    Client("ibapi", ("official.py",), 176, 157),
    Client("ibapi_stable", ("official.py",), 176, 176),
    Client("ibapi_stable", ("official.py",), 177, 177),
    Client("ibapi_stable", ("official.py",), 178, 178),
)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Report]:
    """What the exchange reports, each order as it stood at that moment."""
    reports: list[Report] = []
    carry = Courier.carry

    def noted(courier: Courier, report: Report) -> None:
        order = getattr(report, "order", None)
        reports.append(report if order is None else replace(report, order=replace(order)))
        carry(courier, report)

    monkeypatch.setattr(Courier, "carry", noted)
    return reports


@pytest.mark.parametrize("client", CLIENTS, ids=lambda one: f"{one}-of-{one.offered}")
async def test_a_client_decodes_what_the_exchange_holds(
    client: Client, told: list[Report], counted: Callable[[str, int], None]
) -> None:
    """Accounts, contracts, history, quotes, orders, fills, positions, values: every field and the order of all."""
    python = await asyncio.to_thread(python_of, client.library)
    loop = asyncio.get_running_loop()
    clock = SteppedClock(loop.time, market_start=NOON, speed=SPEED)
    also = extras(RoundTheClock(), seed=1, first=date(2019, 12, 1))
    market = synthetic_market(seed=1, first=date(2019, 12, 1), path_points=POINTS, also=also)
    gateway = Gateway(GatewayConfig(speed=SPEED, zone="UTC", server_version=client.offered), market, clock)
    port = await gateway.start()
    try:
        heard = await visit(python, client, port)
        own = [one for one in told if _client_of(one) == CLIENT_ID]
        model = Model(gateway=gateway, told=own, version=client.spoken, client_id=CLIENT_ID, began=NOON)
        assert heard["server_version"] == client.spoken
        counted(f"callbacks of {client} of {client.offered} offered", len(heard["events"]))
        assert "\n".join(compared(model, heard)) == ""
        if "facade" in heard:
            look_through_the_facade(heard["facade"], gateway)
    finally:
        await gateway.close()


async def test_the_program_of_the_readme_trades(root: Path) -> None:
    """The lines for ib_insync's users run as they stand, but for the port, and end with a fill."""
    (program,) = re.findall(r"^```py\n(.*?)^```$", (root / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    python = await asyncio.to_thread(python_of, "ib_insync")
    clock = SteppedClock(asyncio.get_running_loop().time, market_start=NOON, speed=60.0)
    gateway = Gateway(GatewayConfig(speed=60.0), synthetic_market(seed=1, first=date(2019, 12, 1)), clock)
    port = await gateway.start()
    try:
        printed = await ran(python, "-c", program.replace("4002", str(port)))
        assert printed.startswith("Filled ")
        assert [one.quantity for one in gateway.ledger.accounts["DU123456"].holdings.values()] == [100]
    finally:
        await gateway.close()


async def visit(python: Path, client: Client, port: int) -> dict[str, Any]:
    """Run a client's driver from its connection to its end; what it printed."""
    script, *options = client.driver
    printed = await ran(python, str(DRIVERS / script), *options, "127.0.0.1", str(port), str(CLIENT_ID))
    heard: dict[str, Any] = json.loads(printed)
    return heard


async def ran(python: Path, *arguments: str) -> str:
    """What a program prints that ends well and complains of nothing."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(str(python), *arguments, stdout=pipe, stderr=pipe)
    async with asyncio.timeout(SESSION_SECONDS):
        printed, complaints = await process.communicate()
    assert process.returncode == 0, complaints.decode()[-2000:]
    assert "Traceback" not in complaints.decode()
    return printed.decode()


def up_to(name: str) -> Callable[[list[Said]], list[Said]]:
    """What is heard up to the first message of a kind that comes again and again."""
    return lambda said: said[: [heard for heard, _ in said].index(name) + 1]


def without(name: str) -> Callable[[list[Said]], list[Said]]:
    """What is heard but for messages that were still on their way."""
    return lambda said: [one for one in said if one[0] != name]


KEPT = {
    "five seconds": up_to("realtimeBar"),
    "growing": up_to("historicalDataUpdate"),
    "grown": without("historicalDataUpdate"),
}
"""How often a bar comes depends on how fast the client is: what of these phases is compared."""


def compared(model: Model, heard: dict[str, Any]) -> list[str]:
    """Every field that is not the model's, a line each; messages of live orders are one phase over all."""
    phases, defaults = phases_of(heard["events"]), defaults_of(heard["defaults"])
    actions = [said for phase in LIVE_PHASES for said in phases.pop(phase)]
    wanted = expected(model)
    assert phases.keys() == wanted.keys()
    phases |= {phase: keep(phases[phase]) for phase, keep in KEPT.items()}
    found = {phase: differences(wanted[phase], said, defaults) for phase, said in phases.items()}
    found["live"] = differences(live(model), actions, defaults)
    return [f"{phase} {place}" for phase, places in found.items() for place in places]


def look_through_the_facade(seen: dict[str, Any], gateway: Gateway) -> None:
    """What the library's own façade made of it agrees with the books."""
    books = gateway.ledger.accounts["DU123456"]
    (holding,) = books.holdings.values()
    assert seen["accounts"] == ["DU123456"]
    assert seen["trade"]["log"] == ["PendingSubmit", "PreSubmitted", "Submitted", "PendingCancel", "Cancelled"]
    assert [one["orderRef"] for one in seen["open"]].count("lw:facade:1") == 1
    (position,), (item,) = seen["positions"], seen["portfolio"]
    assert (position["position"], position["avgCost"]) == (float(holding.quantity), float(holding.average))
    assert (item["position"], item["averageCost"]) == (float(holding.quantity), float(round(holding.average, 7)))
    values = {one["tag"]: one["value"] for one in seen["values"] if one["currency"] == "USD"}
    assert values["TotalCashValue"] == f"{books.cash:.2f}"
    assert values.items() >= {(one["tag"], one["value"]) for one in seen["summary"] if one["tag"] == "NetLiquidation"}
    fills = [one.exec_id for one in gateway.ledger.executions]
    assert [one["execution"]["execId"] for one in seen["fills"]] == fills
    assert len(seen["bars"]) == 5
    assert 0 < seen["ticker"]["bid"] < seen["ticker"]["ask"]
    assert seen["preview"]["initMarginChange"] not in ("", None)


def _client_of(report: Report) -> int:
    match report:
        case object(client_id=client_id):
            return client_id
        case object(order=order):
            return int(order.ticket.client_id)
        case object(ticket=ticket):
            return int(ticket.client_id)
    raise AssertionError(report)
