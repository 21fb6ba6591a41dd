"""Event plans in YAML: what they say, what is wrong with them by line, and that they happen to a gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from longwatch.data.calendar import ExchangeCalendar
from longwatch.errors import ConfigError, UsageError
from longwatch.gateway.app import Gateway
from longwatch.gateway.events import EVENTS, Event
from longwatch.simulation.event_plan import in_time, load_events, read_events
from longwatch.simulation.serve import GatewayOptions, _accounts
from tests.gateway.made import AAPL, JANUARY_3, on_a_gateway

PLAN = """
events:
  - when: 2007-01-03T15:00:00Z
    event: transfer
    symbol: AAPL
    quantity: 100
    price: 80.25
  - {when: 2007-01-03T14:50:00Z, event: cash, account: DU123456, amount: "-0.10"}
  - {when: 90 minutes after the open, event: trade, symbol: AAPL, quantity: -10}
  - {when: 2007-01-04T12:00:00Z, event: split, symbol: AAPL, ratio: 3/1}
"""


def with_gateway(check: Callable[[Gateway], Any]) -> Any:
    found: dict[str, Any] = {}

    async def scenario(gateway: Gateway) -> None:
        found["it"] = check(gateway)

    on_a_gateway(scenario)
    return found["it"]


def test_a_plan_is_read_in_order_of_time_with_its_numbers_exact() -> None:
    """Instants and triggers are merged; what is past is left out; a price is the decimal that is written."""
    planned = with_gateway(lambda gateway: read_events(PLAN, "plan.yaml", gateway.events))
    sessions = ExchangeCalendar("XNYS").sessions(JANUARY_3.date(), JANUARY_3.date() + timedelta(days=1))
    stream = in_time(planned, datetime(2007, 1, 3, 14, 55, tzinfo=UTC), sessions)
    assert [(f"{at:%d %H:%M}", event.kind) for at, event in stream] == [
        ("03 15:00", "transfer"),
        ("03 16:00", "trade"),
        ("04 12:00", "split"),
        ("04 16:00", "trade"),
    ]
    transfer = Event(kind="transfer", symbol="AAPL", quantity=Decimal(100), price=Decimal("80.25"))
    assert planned[0].event == transfer
    assert planned[1].event.amount == Decimal("-0.10")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("{when: 2007-01-03T15:00:00Z, event: gift}", "'gift' is not known"),
        ("{when: 2007-01-03T15:00:00Z, event: cash}", "cash needs `amount`"),
        ("{when: 2007-01-03T15:00:00Z, event: cash, amount: lots}", "`amount` is 'lots'; it must be a number"),
        ("{when: 2007-01-03T15:00:00Z, event: cash, amount: 1_000}", "`amount` is '1_000'; it must be a number"),
        ("{when: 2007-01-03T15:00:00Z, event: cash, amount: 1e30}", "`amount` is 1e+30; it must be a number"),
        ("{when: 2007-01-03T15:00:00Z, event: cash, amount: '٣'}", "`amount` is '٣'; it must be a number"),
        ("{when: 9999-12-31T23:59:59-14:00, event: cash, amount: 1}", "write a year from 1970 to 2199"),
        ("{when: 2007-01-03T15:00:00Z, event: cash, amount: 1, price: 2}", "cash knows no `price`"),
        ("{when: 2007-01-03T15:00:00, event: cash, amount: 1}", "has no zone"),
        ("{event: cash, amount: 1}", "`when` is missing"),
        ("{when: 2007-01-03T15:00:00Z, event: cash, amount: 1, account: DU9}", "there is no account DU9"),
        ("{when: 2007-01-03T15:00:00Z, event: split, symbol: NONE, ratio: 2/1}", "there is no instrument NONE"),
        ("{when: 2007-01-03T15:00:00Z, event: split, symbol: AAPL, ratio: two}", "write 2/1, or 1/10"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(entry: str, words: str) -> None:
    """File, line, what is wrong, what to write."""
    text = f"events:\n  - {{when: 2007-01-03T15:00:00Z, event: cash, amount: 1}}\n  - {entry}\n"
    with pytest.raises(ConfigError, match=r"plan\.yaml:3: ") as error:
        with_gateway(lambda gateway: read_events(text, "plan.yaml", gateway.events))
    assert words in str(error.value)


@pytest.mark.parametrize("text", ["faults: []", "events: 3", "[]"])
def test_a_file_that_is_no_event_plan_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"plan\.yaml: an event plan is a list below `events:`"):
        with_gateway(lambda gateway: load_events(path, gateway.events))


def test_a_plan_happens_to_a_gateway_and_what_can_not_is_told() -> None:
    """Each at its instant; one that can't happen then says so and holds up none after it."""
    text = PLAN + "  - {when: 2007-01-03T14:45:00Z, event: bust, symbol: AAPL}\n"
    failed: list[str] = []

    async def scenario(gateway: Gateway) -> None:
        planned = read_events(text, "plan.yaml", gateway.events)
        sessions = ExchangeCalendar("XNYS").sessions(JANUARY_3.date(), JANUARY_3.date())
        gateway.events.play(in_time(planned, gateway.desk.now(), sessions), failed.append)
        await asyncio.sleep(24 * 3600)
        books = gateway.ledger.accounts["DU123456"]
        assert books.holdings[AAPL.con_id].quantity == 270
        assert [one.event.kind for one in gateway.events.happened] == ["cash", "transfer", "split"]

    on_a_gateway(scenario)
    assert failed == [
        "event bust did not happen: there is no fill of AAPL of the last days to be changed; let it trade before"
    ]


def test_each_kind_of_event_can_be_written() -> None:
    """With what it needs, and nothing else."""
    terms = {"symbol": "AAPL", "quantity": "1", "price": "2", "amount": "3", "ratio": "2/1"}
    lines = [
        ", ".join([f"when: 2007-01-03T15:00:00Z, event: {name}", *(f"{need}: {terms[need]}" for need in kind.needs)])
        for name, kind in EVENTS.items()
    ]
    text = "events:\n" + "".join(f"  - {{{line}}}\n" for line in lines)
    planned = with_gateway(lambda gateway: read_events(text, "plan.yaml", gateway.events))
    assert [one.event.kind for one in planned] == list(EVENTS)


def test_accounts_of_the_command_line_may_have_cash_of_their_own() -> None:
    """`DU1=50000.50,DU2`; what is no number is refused."""
    asked = GatewayOptions(accounts=("DU1=50000.50", "DU2"))
    assert _accounts(asked) == {"DU1": Decimal("50000.50"), "DU2": None}
    with pytest.raises(UsageError, match="the cash of DU1 must be a number"):
        _accounts(GatewayOptions(accounts=("DU1=much",)))
    with pytest.raises(UsageError, match="DU1 is there twice"):
        _accounts(GatewayOptions(accounts=("DU1=5", "DU1")))
    with pytest.raises(UsageError, match="names none"):
        _accounts(GatewayOptions(accounts=()))
    for text in ("=5", "D U", "DU1=\u0665", "DU1=", "DU1=1" + "0" * 30):
        with pytest.raises(UsageError, match="--accounts "):
            _accounts(GatewayOptions(accounts=(text,)))
