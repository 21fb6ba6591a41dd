"""An unmodified ib_insync client over real loopback TCP: what a newcomer with any IB program would see."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import pytest

from longwatch.clock import SteppedClock
from longwatch.gateway.app import Gateway
from longwatch.gateway.desk import GatewayConfig
from longwatch.gateway.market.synthetic import synthetic_market

SPEED = 100.0
NOON = datetime(2020, 1, 6, 12, tzinfo=UTC)
ROUND_TRIP = 0.1
"""Seconds, ten market seconds: time enough for any order to be answered."""


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    loop = asyncio.get_running_loop()
    asyncio.set_event_loop(loop)
    clock = SteppedClock(loop.time, market_start=NOON, speed=SPEED)
    market = synthetic_market(seed=1, first=date(2019, 1, 1))
    made = Gateway(GatewayConfig(speed=SPEED, zone="UTC"), market, clock)
    await made.start()
    yield made
    await made.close()


async def connected(gateway: Gateway, client_id: int, timeout: float = 4) -> Any:
    import ib_insync

    ib = ib_insync.IB()
    ib.RaiseRequestErrors = True
    await ib.connectAsync("127.0.0.1", gateway.port, clientId=client_id, timeout=timeout)
    return ib


async def test_it_connects_trades_and_a_second_client_sees_the_same(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    """Connect, qualify, history, quotes, MKT, LMT, STP, cancel; a second client agrees with it."""
    import ib_insync as ibi

    caplog.set_level(logging.ERROR)
    ib = await connected(gateway, 7)
    assert ib.client.serverVersion() == 176
    assert ib.managedAccounts() == ["DU123456"]
    (contract,) = await ib.qualifyContractsAsync(ibi.Stock("ABC", "SMART", "USD"))
    bars = await ib.reqHistoricalDataAsync(contract, "", "10 D", "1 day", "TRADES", True)
    assert len(bars) == 10
    assert all(bar.low <= bar.open <= bar.high and bar.low <= bar.close <= bar.high for bar in bars)
    ticker = ib.reqMktData(contract)
    await asyncio.sleep(ROUND_TRIP)
    assert 0 < ticker.bid < ticker.ask
    bought = ib.placeOrder(contract, ibi.MarketOrder("BUY", 100))
    resting = ib.placeOrder(contract, ibi.LimitOrder("BUY", 50, round(ticker.bid / 2, 2), tif="GTC", orderRef="lw:x:1"))
    stop = ib.placeOrder(contract, ibi.StopOrder("SELL", 100, round(ticker.bid / 2, 2), tif="GTC"))
    await asyncio.sleep(ROUND_TRIP)
    assert bought.orderStatus.status == "Filled"
    assert bought.fills[0].commissionReport.commission == 1.0
    assert resting.orderStatus.status == "Submitted"
    assert (stop.orderStatus.status, stop.orderStatus.whyHeld) == ("PreSubmitted", "trigger")
    assert [position.position for position in ib.positions()] == [100]
    async with asyncio.timeout(4):
        while not ib.portfolio():
            await asyncio.sleep(ROUND_TRIP / 10)
    assert ib.portfolio()[0].position == 100
    other = await connected(gateway, 8)
    orders = await other.reqAllOpenOrdersAsync()
    assert {trade.order.permId for trade in orders} == {resting.order.permId, stop.order.permId}
    assert "lw:x:1" in {trade.order.orderRef for trade in orders}
    assert [fill.execution.execId for fill in other.fills()] == [fill.execution.execId for fill in ib.fills()]
    assert other.positions() == ib.positions()
    ib.cancelOrder(resting.order)
    await asyncio.sleep(ROUND_TRIP)
    assert resting.orderStatus.status == "Cancelled"
    assert [one.orderStatus.status for one in await other.reqCompletedOrdersAsync(False)] == ["Filled", "Cancelled"]
    assert {value.tag for value in await other.accountSummaryAsync()} >= {"NetLiquidation", "BuyingPower"}
    ib.disconnect()
    other.disconnect()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_it_finds_its_orders_again_after_reconnecting(gateway: Gateway) -> None:
    """A GTC order keeps ids and reference over the client's death, and is cancelled by the next connection."""
    import ib_insync as ibi

    ib = await connected(gateway, 3)
    (contract,) = await ib.qualifyContractsAsync(ibi.Stock("QQ", "SMART", "USD"))
    trade = ib.placeOrder(contract, ibi.LimitOrder("BUY", 10, 1.0, tif="GTC", orderRef="lw:y:2"))
    await asyncio.sleep(ROUND_TRIP)
    ib.disconnect()
    again = await connected(gateway, 3)
    (found,) = again.openTrades()
    assert (found.order.orderId, found.order.permId) == (trade.order.orderId, trade.order.permId)
    assert found.order.orderRef == "lw:y:2"
    assert again.client.getReqId() > trade.order.orderId
    again.cancelOrder(found.order)
    await asyncio.sleep(ROUND_TRIP)
    assert found.orderStatus.status == "Cancelled"
    again.disconnect()


async def test_unknown_contracts_and_a_taken_id_fail_as_the_library_expects(gateway: Gateway) -> None:
    """200 becomes a RequestError; a client id in use ends the connection."""
    from ib_insync import Stock
    from ib_insync.wrapper import RequestError

    ib = await connected(gateway, 3)
    with pytest.raises(RequestError):
        await ib.reqContractDetailsAsync(Stock("NOT A SYMBOL", "SMART", "USD"))
    with pytest.raises((ConnectionError, asyncio.TimeoutError)):
        await connected(gateway, 3, timeout=0.3)
    assert ib.isConnected()
    ib.disconnect()


async def test_a_refused_port_opens_again_at_the_same_number(gateway: Gateway) -> None:
    """While refusing, TCP itself says no."""
    port = gateway.port
    await gateway.refuse_connections()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    await gateway.accept_connections()
    assert gateway.port == port
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    await writer.wait_closed()
