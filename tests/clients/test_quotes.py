"""Quotes of every kind, field by field: frozen, delayed, delayed and frozen, and of a share that is halted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache

import pytest

from longwatch.clock import SteppedClock
from longwatch.data.calendar import ExchangeCalendar
from longwatch.gateway.app import Gateway
from longwatch.gateway.desk import GatewayConfig
from longwatch.gateway.market.generator import Climate, shares
from longwatch.gateway.market.hours import ListedHours
from longwatch.gateway.market.market import Instrument, Market, Quote
from tests.clients.environments import python_of
from tests.clients.expected import Said, error
from tests.clients.tape import defaults_of, differences, phases_of
from tests.clients.test_clients import CLIENT_ID, CLIENTS, DRIVERS, SPEED, Client, ran

FIRST, LAST = date(2019, 1, 2), date(2020, 1, 6)
CLOSED = datetime(2020, 1, 4, 12, 0, tzinfo=UTC)
"""A Saturday."""
DELAY = timedelta(minutes=15)
POINTS = 78
"""One every five minutes: prices stand still while a client is there."""

LIVE = {"bid": 1, "ask": 2, "last": 4, "bid_size": 0, "ask_size": 3, "last_size": 5, "high": 6, "low": 7}
LIVE |= {"volume": 8, "close": 9, "open": 14, "last_time": 45, "halted": 49}
LATE = {"bid": 66, "ask": 67, "last": 68, "bid_size": 69, "ask_size": 70, "last_size": 71, "high": 72, "low": 73}
LATE |= {"volume": 74, "close": 75, "open": 76, "last_time": 88, "halted": 90}
"""The numbers of ticks, live and delayed, as IB's manual lists them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One gateway: when it is visited, what kind of quotes is asked for and shown, and what it is subscribed to."""

    at: datetime
    asked: int
    shown: int
    delayed: bool = False


@cache
def market() -> Market:
    """A share in bad weather, which is halted now and then, over real sessions."""
    hours = ListedHours(ExchangeCalendar("XNYS").sessions(FIRST, LAST + timedelta(days=3)))
    climate = Climate(splits=0.0, dividends=0, regimes=("crash",))
    return Market(shares(("ABC",), hours, seed=3, first=FIRST, climate=climate), hours, seed=3, path_points=POINTS)


def share() -> Instrument:
    found = market().find("ABC")
    assert found is not None
    return found


def instants() -> Iterator[tuple[datetime, Quote]]:
    """A minute after each point of the last months."""
    for session in ExchangeCalendar("XNYS").sessions(date(2019, 10, 1), LAST):
        for point in market().points(session, session.close_at):
            at = point + timedelta(minutes=1)
            if session.open_at + 2 * DELAY < at < session.close_at - DELAY:
                yield at, market().quote(share(), at)


@cache
def visits() -> dict[str, Visit]:
    halted = next(at for at, quote in instants() if quote.is_halted)
    trading = next(at for at, quote in instants() if quote.bid and market().quote(share(), at - DELAY).bid)
    return {
        "halted": Visit(at=halted, asked=1, shown=1),
        "frozen": Visit(at=CLOSED, asked=2, shown=2),
        "frozen while open": Visit(at=trading, asked=2, shown=1),
        "delayed": Visit(at=trading, asked=3, shown=3, delayed=True),
        "delayed and frozen": Visit(at=CLOSED, asked=4, shown=4, delayed=True),
    }


@pytest.mark.parametrize("client", CLIENTS, ids=lambda one: f"{one}-of-{one.offered}")
async def test_a_client_decodes_quotes_of_every_kind(client: Client) -> None:
    """Kind (58), parameters, prices, sizes, times and the halt, by the tick numbers of live and delayed quotes."""
    python = await asyncio.to_thread(python_of, client.library)
    gateways = {name: gateway_at(visit, client) for name, visit in visits().items()}
    ports = {name: await gateway.start() for name, gateway in gateways.items()}
    script, *options = client.driver
    asked = ",".join(f"{port}:{name}:{visits()[name].asked}" for name, port in ports.items())
    try:
        command = (str(DRIVERS / script), *options, "127.0.0.1", "quotes", str(CLIENT_ID), asked)
        heard = json.loads(await ran(python, *command))
    finally:
        for gateway in gateways.values():
            await gateway.close()
    phases, defaults = phases_of(heard["events"]), defaults_of(heard["defaults"])
    found: list[str] = []
    for name, visit in visits().items():
        found += [f"{name} {place}" for place in differences(list(burst(visit, client)), phases[name], defaults)]
        if visit.delayed:
            text = "Requested market data is not subscribed. Delayed market data is not enabled."
            assert phases[f"{name} refused"] == [error(119, 10168, text)]
    assert "\n".join(found) == ""


def gateway_at(visit: Visit, client: Client) -> Gateway:
    clock = SteppedClock(asyncio.get_running_loop().time, market_start=visit.at, speed=SPEED)
    config = GatewayConfig(speed=SPEED, zone="UTC", server_version=client.offered, delayed_data=visit.delayed)
    return Gateway(config, market(), clock)


def burst(visit: Visit, client: Client) -> Iterator[Said]:
    """The opening of a stream, off the market as it was then, or a quarter of an hour before."""
    ticks, at = (LATE, visit.at - DELAY) if visit.delayed else (LIVE, visit.at)
    quote = (market().frozen if visit.asked in {2, 4} else market().quote)(share(), at)
    lot = 1 if client.spoken >= 159 else 100
    sizes = {name: getattr(quote, name) // lot for name in ("last_size", "volume", "bid_size", "ask_size")}
    if visit.delayed:
        yield error(120, 10167, "Requested market data is not subscribed. Displaying delayed market data.")
    yield "marketDataType", (120, visit.shown)
    yield "tickReqParams", (120, share().min_tick, "9c0001", 4)
    assert quote.last is not None and quote.last_at is not None
    yield "tickString", (120, ticks["last_time"], str(int(quote.last_at.timestamp())))
    yield "tickPrice", (120, ticks["last"], quote.last, sizes["last_size"])
    yield "tickSize", (120, ticks["last_size"], sizes["last_size"])
    yield "tickSize", (120, ticks["volume"], sizes["volume"])
    for name in ("high", "low", "close", "open"):
        if getattr(quote, name) is not None:
            yield "tickPrice", (120, ticks[name], getattr(quote, name), 0)
    for side in ("bid", "ask"):
        price = getattr(quote, side)
        yield "tickPrice", (120, ticks[side], -1 if price is None else price, sizes[f"{side}_size"])
        yield "tickSize", (120, ticks[f"{side}_size"], sizes[f"{side}_size"])
    if quote.is_halted:
        yield "tickGeneric", (120, ticks["halted"], 1)
