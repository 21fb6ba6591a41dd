"""A fill that is to be corrected may change before: another correction, or the exchange takes it back."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from longwatch.gateway.app import Gateway
from longwatch.gateway.events import Event
from tests.gateway.made import PlainClient, on_a_gateway

BUST = Event(kind="bust", symbol="AAPL")
CORRECTION = Event(kind="correction", symbol="AAPL", price=Decimal(80))


@pytest.mark.parametrize(
    ("fault", "event", "prices"),
    [
        ("correct_fills", BUST, []),
        ("correct_fills", CORRECTION, ["80.01"]),
        ("bust_fills", BUST, []),
        ("bust_fills", CORRECTION, []),
    ],
)
def test_a_correction_that_comes_late_is_of_what_the_fill_has_become(
    fault: str, event: Event, prices: list[str]
) -> None:
    """A corrected fill is corrected once more, or taken back; a busted one stays away; nothing fails."""

    async def scenario(gateway: Gateway) -> None:
        failures: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        setattr(gateway.faults, fault, 1)
        client = await PlainClient.connect()
        client.order(1, "BUY", 100)
        await asyncio.sleep(2)
        assert len(gateway.ledger.executions) == 1
        gateway.events.happen(event)
        await asyncio.sleep(10)
        assert [one.price for one in gateway.ledger.executions] == [Decimal(price) for price in prices]
        gateway.ledger.check("DU123456")
        assert failures == []

    on_a_gateway(scenario)
