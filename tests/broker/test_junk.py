"""A gateway that talks nonsense at times never ends the broker, and never spoils what it says of the account after."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.errors import LongwatchError
from longwatch.gateway.app import Gateway
from tests.broker.bench import ACCOUNT, HOST, PORT, Bench, with_gateway
from tests.broker.bench import order as order_of
from tests.gateway.junk import Nonsense

ROUNDS = 1000 if os.environ.get("HYPOTHESIS_PROFILE") == "proof" else 300


def test_nonsense_ends_nothing_and_leaves_nothing(
    caplog: pytest.LogCaptureFixture, counted: Callable[[str, int], None]
) -> None:
    """While it lasts nothing is raised and the link is found again each time; afterwards the account is read whole."""
    nonsense, raised = Nonsense("nonsense|1", share=0.2), []

    async def work(bench: Bench, gateway: Gateway) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
        bench.network.stop_listening(HOST, PORT)
        bench.network.listen(HOST, PORT, lambda: nonsense.session(gateway.desk))
        await bench.synced()
        (instruments,) = (one.instruments for one in bench.inbox.of(m.InstrumentsSeen))
        keeper = asyncio.create_task(_keep_synced(bench))
        nonsense.is_on = True
        for number in range(ROUNDS):
            bench.broker.submit(
                order_of(number + 1, order_id=5 + number, quantity=Decimal(1), instrument=instruments[0])
            )
            bench.broker.request_snapshot("junk")
            bench.broker.watch(("AAPL", "MSFT"))
            await _history(bench)
            await asyncio.sleep(20)
        nonsense.is_on = False
        await asyncio.sleep(300)
        seen = len(bench.inbox.of(m.SnapshotSeen))
        bench.broker.request_snapshot("quiet")
        snapshot = await bench.inbox.until(m.SnapshotSeen, seen + 1)
        assert not keeper.done()
        keeper.cancel()
        assert snapshot.failures == ()
        held = gateway.ledger.accounts[ACCOUNT]
        assert snapshot.positions is not None and snapshot.cash == round(held.cash, 2)
        assert {row.con_id: row.quantity for row in snapshot.positions} == {
            number: holding.quantity for number, holding in held.holdings.items()
        }
        series = await bench.broker.bars("AAPL", "1 day", date(2024, 3, 1), 10)
        assert len(series) == 10

    with caplog.at_level(logging.ERROR):
        with_gateway(work)
    assert raised == []
    assert caplog.records == []
    counted("messages of nonsense to the broker's side", nonsense.spoilt)
    assert nonsense.spoilt > ROUNDS


async def _keep_synced(bench: Bench) -> None:
    """Start the sync of each new connection, as the engine does."""
    while True:
        await asyncio.sleep(1)
        if len(bench.inbox.of(m.LinkUp)) > bench.epoch:
            await bench.up()


async def _history(bench: Bench) -> None:
    """Bars, or one of our errors that says why not; never another, never for ever."""
    try:
        async with asyncio.timeout(600):
            await bench.broker.bars("AAPL", "1 day", date(2024, 3, 1), 10)
    except LongwatchError:
        pass
