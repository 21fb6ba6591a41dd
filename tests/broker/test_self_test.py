"""Problems found before the open (D55): at the simulated gateway, by the questions `longwatch check --connect` asks."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from longwatch.broker.contracts import Wanted
from longwatch.broker.live import IbBroker
from longwatch.clock import SteppedClock
from longwatch.domain.state import State
from longwatch.engine.self_test import Deadlines, self_test
from longwatch.gateway.app import Gateway, GatewayConfig
from longwatch.gateway.market.synthetic import synthetic_market
from longwatch.simulation.loop import JumpLoop, run
from longwatch.simulation.transport import MemoryNetwork
from tests.broker.bench import ACCOUNT, HOST, PORT, START, settings

UNIVERSE = ("AAPL", "MSFT")


def problems(
    *,
    universe: tuple[str, ...] = UNIVERSE,
    mode: str = "paper",
    delayed: bool = False,
    is_there: bool = True,
    **gateway: Any,
):
    """What a self-test says of such a gateway, and that nothing was placed there."""

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, JumpLoop)
        clock = SteppedClock(loop.time, market_start=START)
        network = loop.network = MemoryNetwork(loop, latency_seconds=0.001)
        network.claim(HOST, PORT)
        faults = gateway.pop("faults", {})
        config = GatewayConfig(**{"accounts": (ACCOUNT,), "cash": Decimal(1_000_000), **gateway})
        served = Gateway(config, synthetic_market(seed=1, first=START.date().replace(year=2023)), clock)
        for name, value in faults.items():
            setattr(served.faults, name, value)
        if is_there:
            network.listen(HOST, PORT, served.protocol_factory)

        def connect(sink):
            wanted = tuple(Wanted(symbol=symbol) for symbol in universe)
            link = settings(universe=wanted, market_data_type=3 if delayed else 1)
            return IbBroker(link, sink=sink, gate=lambda intent: "never", clock=clock, random=Random(1))

        state = State(account=ACCOUNT, mode=mode, client_id=7)
        try:
            found = await self_test(connect, state, clock, universe, takes_delayed=delayed, deadlines=Deadlines())
            assert not served.ledger.orders and not served.ledger.executions
            return found
        finally:
            await served.close()

    return run(main())


def test_a_gateway_that_is_well_has_no_problem() -> None:
    """And nothing was placed at it."""
    assert problems() == []


@pytest.mark.parametrize("code", [201, 460])
def test_a_missing_permission_is_found_without_an_order(code: int) -> None:
    """By name, with the broker's words; the other symbol is well."""
    text = "Order rejected - reason:No Trading Permission"
    assert problems(forbidden={"MSFT": (code, text)}) == [f"MSFT: {text} ({code})"]


def test_a_symbol_without_a_contract_is_found() -> None:
    """It is not asked about any further."""
    (problem,) = problems(universe=("AAPL", "NOSUCH"))
    assert problem.startswith("NOSUCH: ")


def test_quotes_that_are_not_subscribed_are_found() -> None:
    """The code of the refusal stands in it; by the choice of delayed data there is no problem."""
    found = problems(delayed_data=True)
    assert any("AAPL" in line and "10168" in line for line in found) and len(found) == 4
    assert [line for line in problems(delayed_data=True, delayed=True) if "10167" not in line] == []


@pytest.mark.parametrize(
    ("mode", "accounts", "said"),
    [
        ("paper", ("DU999999",), f"the gateway serves DU999999, not {ACCOUNT}"),
        ("live", (ACCOUNT,), f"account {ACCOUNT} contradicts mode live"),
    ],
)
def test_a_wrong_log_in_is_found_and_nothing_more_is_asked(mode: str, accounts: tuple[str, ...], said: str) -> None:
    """As the daemon would say it."""
    assert problems(mode=mode, accounts=accounts) == [said]


def test_a_gateway_that_never_answers_a_what_if_is_found() -> None:
    """Within its deadline, symbol by symbol."""
    hangs = {"own_messages": lambda name, values: not (name == "openOrder" and values["whatIf"])}
    assert problems(faults=hangs) == [f"{symbol}: no answer to a what-if within 15 s" for symbol in UNIVERSE]


def test_with_nobody_at_the_port_that_is_the_one_problem() -> None:
    """Said at once, and not after a deadline's length."""
    (problem,) = problems(is_there=False)
    assert problem.startswith("no connection: the gateway at ") and "refuses connections" in problem
