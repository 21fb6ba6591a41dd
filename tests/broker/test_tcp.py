"""The same broker over real TCP on the loopback, on asyncio's own loop."""

from __future__ import annotations

import asyncio
from datetime import date
from decimal import Decimal
from random import Random

import pytest

from longwatch.broker.live import IbBroker
from longwatch.clock import SystemClock
from longwatch.domain import messages as m
from longwatch.gateway.app import Gateway
from longwatch.gateway.desk import GatewayConfig
from longwatch.gateway.market.synthetic import synthetic_market
from tests.broker.bench import ACCOUNT, Inbox, order, settings


@pytest.mark.parametrize("version", [157, 176, 177, 178])
async def test_connect_sync_trade_and_close_over_tcp(version: int) -> None:
    """Handshake, downloads, contracts, an order to its fill, an orderly end; the gateway's books agree."""
    clock, inbox = SystemClock(), Inbox()
    market = synthetic_market(seed=1, first=date(2024, 1, 1))
    gateway = Gateway(GatewayConfig(accounts=(ACCOUNT,), server_version=version), market, clock)
    port = await gateway.start("127.0.0.1", 0)
    broker = IbBroker(
        settings(host="127.0.0.1", port=port), sink=inbox, gate=lambda intent: None, clock=clock, random=Random(1)
    )
    running = asyncio.create_task(broker.run(), name="link")
    up = await inbox.until(m.LinkUp, seconds=10)
    assert up.accounts == (ACCOUNT,)
    broker.begin_sync(m.BeginSync(epoch=1, first_request_id=1000, count=100, account=ACCOUNT))
    snapshot = await inbox.until(m.SnapshotSeen, seconds=10)
    assert snapshot.failures == ()
    aapl = (await inbox.until(m.InstrumentsSeen, seconds=10)).instruments[0]
    broker.submit(order(1, order_id=5000, instrument=aapl, quantity=Decimal(10)))
    seen = await inbox.until(m.PositionSeen, seconds=10)
    assert seen.quantity == gateway.ledger.accounts[ACCOUNT].holdings[aapl.con_id].quantity == 10
    await broker.close()
    await asyncio.wait_for(running, 5)
    assert inbox.of(m.LinkLost)[-1].reason == "the connection was closed by us"
    await gateway.close()


async def test_a_closed_port_refuses() -> None:
    """On a real machine too, nobody listening is told as that."""
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    inbox = Inbox()
    broker = IbBroker(
        settings(host="127.0.0.1", port=port),
        sink=inbox,
        gate=lambda intent: None,
        clock=SystemClock(),
        random=Random(1),
    )
    running = asyncio.create_task(broker.run(), name="link")
    lost = await inbox.until(m.LinkLost, seconds=10)
    await broker.close()
    await asyncio.wait_for(running, 5)
    assert lost.reason.startswith(f"the gateway at 127.0.0.1:{port} refuses connections")
