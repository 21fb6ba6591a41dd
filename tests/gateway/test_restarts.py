"""A gateway that ended at any instant goes on from its ledger as if it had not: orders, fills, splits and dividends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from longwatch.errors import JournalError
from longwatch.gateway.app import Gateway
from longwatch.gateway.events import Event
from longwatch.gateway.exchange.ledger import newest_entry_at
from longwatch.gateway.exchange.orders import Status
from tests.gateway.made import IBM, JANUARY_3, PlainClient, on_a_gateway, small_market, until

ACCOUNT = "DU123456"
A_DAY = timedelta(days=1)


def held(gateway: Gateway) -> dict[str, Decimal]:
    return {one.symbol: one.quantity for one in gateway.ledger.accounts[ACCOUNT].holdings.values() if one.quantity}


def shown(gateway: Gateway) -> dict[int, tuple[str, Decimal]]:
    """Status and filled shares of every order of client 1 by its id."""
    orders = [*gateway.desk.exchange.book.live(), *gateway.desk.exchange.book.ended()]
    return {one.ticket.order_id: (one.status.value, one.filled) for one in orders if one.ticket.client_id == 1}


def cut_after(path: Path, kind: str, *, alone: bool = False) -> None:
    """Leave what stands up to the last entry of a kind; `alone` without the mark of how many belong together."""
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    last = max(number for number, entry in enumerate(entries) if entry["kind"] == kind)
    kept = [{name: value for name, value in one.items() if not alone or name != "together"} for one in entries]
    path.write_text("".join(json.dumps(one, separators=(",", ":")) + "\n" for one in kept[: last + 1]))


def group_of_two(client: PlainClient) -> None:
    """A target that is reached at once and a stop that is not: one cancels the other."""
    client.order(2, "SELL", 100, "LMT", lmtPrice=81, ocaGroup="g", ocaType=1, tif="GTC")
    client.order(3, "SELL", 100, "STP", auxPrice=80, ocaGroup="g", ocaType=1, tif="GTC")


def bracket(client: PlainClient) -> None:
    client.order(2, "BUY", 100, "LMT", lmtPrice=90, transmit=False)
    client.order(3, "SELL", 100, "STP", auxPrice=80, parentId=2, tif="GTC")


@pytest.mark.parametrize(("place", "stop"), [(group_of_two, "Cancelled"), (bracket, "PreSubmitted")])
@pytest.mark.parametrize("is_old", [True, False])
def test_a_crash_after_a_fill_leaves_nothing_half_done(
    tmp_path: Path, place: Callable[[PlainClient], None], stop: str, is_old: bool
) -> None:
    """The order has filled and its group or children have followed; or, where that is not all there, it fills anew."""
    path = tmp_path / "books.jsonl"

    async def first(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100)
        await asyncio.sleep(3)
        place(client)
        await asyncio.sleep(5)
        assert shown(gateway)[3][0] == stop

    async def second(gateway: Gateway) -> None:
        if is_old:
            assert shown(gateway)[2] == ("Filled", 100) and shown(gateway)[3][0] == stop
        else:
            assert len(gateway.ledger.executions) == 1 and shown(gateway)[2][0] != "Filled"
        await asyncio.sleep(1200)
        assert shown(gateway)[2] == ("Filled", 100) and shown(gateway)[3][0] == stop
        order = gateway.desk.exchange.book.get(1, 3)
        assert order is not None and not order.is_child_held
        await until(gateway, JANUARY_3 + timedelta(days=2, hours=6))
        assert held(gateway) == ({} if place is group_of_two else {"AAPL": 100})

    on_a_gateway(first, ledger_path=path)
    cut_after(path, "commission", alone=is_old)
    on_a_gateway(second, ledger_path=path, at=JANUARY_3 + timedelta(minutes=6))


def test_a_family_is_in_the_ledger_whole_or_not_at_all(tmp_path: Path) -> None:
    """A parent alone would be a position without its stop."""
    path = tmp_path / "books.jsonl"

    async def first(gateway: Gateway) -> None:
        bracket(await PlainClient.connect())
        await asyncio.sleep(0.01)

    async def second(gateway: Gateway) -> None:
        assert shown(gateway) == {}

    on_a_gateway(first, ledger_path=path)
    path.write_bytes(path.read_bytes()[:-40])
    on_a_gateway(second, ledger_path=path)


def test_nobody_hears_of_a_fill_that_is_not_in_the_file(tmp_path: Path) -> None:
    """When the first message of a fill leaves, its lines and those of its group are written."""
    path = tmp_path / "books.jsonl"
    seen: list[list[str]] = []

    async def first(gateway: Gateway) -> None:
        carry = gateway.desk.courier.carry

        def watched(report: Any) -> None:
            if type(report).__name__ == "FillShown":
                seen.append([json.loads(line)["kind"] for line in path.read_text().splitlines()][-3:])
            carry(report)

        gateway.desk.courier.carry = watched  # type: ignore[method-assign]
        client = await PlainClient.connect()
        group_of_two(client)
        await asyncio.sleep(5)

    on_a_gateway(first, ledger_path=path)
    assert seen and seen[0] == ["commission", "ended", "ended"]


@pytest.mark.parametrize(
    ("order", "reason"), [({"quantity": 1_000_000}, "MARGIN"), ({"quantity": 10, "order_type": "MOC"}, "closed")]
)
def test_an_order_that_nobody_had_looked_at_is_looked_at_after_the_restart(
    tmp_path: Path, order: dict[str, Any], reason: str
) -> None:
    """Margin and the auction's hours are checked then; what passes is acknowledged and works."""
    path = tmp_path / "books.jsonl"
    at = JANUARY_3 + timedelta(hours=6, minutes=25)

    async def first(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", **order)
        client.order(2, "BUY", 10, "LMT", lmtPrice=50)
        await asyncio.sleep(0.01)

    async def second(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        await asyncio.sleep(5)
        assert shown(gateway) == {1: ("Inactive", 0), 2: ("Submitted", 0)}
        (told,) = [one for one in client.replies("error") if one["errorCode"] == 201]
        assert reason in told["errorString"] and told["reqId"] == 1

    async def third(gateway: Gateway) -> None:
        assert shown(gateway) == {1: ("Inactive", 0), 2: ("Submitted", 0)}

    on_a_gateway(first, ledger_path=path, at=at)
    on_a_gateway(second, ledger_path=path, at=at)
    on_a_gateway(third, ledger_path=path, at=at + timedelta(seconds=10))


def test_a_fill_taken_back_counts_for_its_order_before_and_after_a_restart(tmp_path: Path) -> None:
    """The shares leave the books, and the order does not trade them again."""
    path = tmp_path / "books.jsonl"
    config: dict[str, Any] = {"ledger_path": path, "cash": Decimal(10_000_000), "volume_share": Decimal("0.001")}
    seen: dict[str, Any] = {}

    async def first(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100)
        client.order(2, "BUY", 10_000, "LMT", lmtPrice=200, tif="GTC")
        await asyncio.sleep(3)
        for _ in range(2):
            gateway.events.happen(Event(kind="bust", symbol="AAPL"))
        seen["orders"], seen["held"] = shown(gateway), held(gateway)
        assert seen["orders"][1] == ("Filled", 100) and seen["orders"][2][1] > 0 and seen["held"] == {}

    async def second(gateway: Gateway) -> None:
        assert (shown(gateway), held(gateway)) == (seen["orders"], seen["held"])

    on_a_gateway(first, **config)
    on_a_gateway(second, **config, at=JANUARY_3 + timedelta(minutes=6))


def test_a_modified_order_is_after_a_restart_what_it_was_before(tmp_path: Path) -> None:
    """Good for the day since yesterday's GTC, with its new reference, it works until today's close."""
    path = tmp_path / "books.jsonl"

    async def first(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 10, "LMT", lmtPrice=50, tif="GTC", orderRef="a")
        await asyncio.sleep(86_400)
        client.order(1, "BUY", 10, "LMT", lmtPrice=50, tif="DAY", orderRef="b", outsideRth=True)
        await asyncio.sleep(5)

    async def second(gateway: Gateway) -> None:
        order = gateway.desk.exchange.book.get(1, 1)
        assert order is not None and order.status is Status.SUBMITTED
        assert (order.ticket.order_ref, order.ticket.outside_rth) == ("b", True)
        assert order.expires_at == JANUARY_3 + A_DAY + timedelta(hours=6, minutes=30)

    on_a_gateway(first, ledger_path=path)
    on_a_gateway(second, ledger_path=path, at=JANUARY_3 + A_DAY + timedelta(minutes=6))


def test_a_position_that_the_market_does_not_list_stops_the_start(tmp_path: Path) -> None:
    """It could be neither shown nor priced; a closed one is no matter."""
    path = tmp_path / "books.jsonl"

    async def transfer(gateway: Gateway) -> None:
        shares = -sum(held(gateway).values()) or Decimal(100)
        gateway.events.happen(Event(kind="transfer", symbol="IBM", quantity=shares, price=Decimal(50)))

    async def nothing(gateway: Gateway) -> None:
        assert held(gateway) == {}

    def other() -> Any:
        market = small_market()
        return type(market)([source for number, source in market._sources.items() if number != IBM.con_id])

    on_a_gateway(transfer, ledger_path=path)
    with pytest.raises(JournalError, match="holds IBM, which this market does not list"):
        on_a_gateway(nothing, ledger_path=path, market=other())
    on_a_gateway(transfer, ledger_path=path)
    on_a_gateway(nothing, ledger_path=path, market=other())


def test_a_bust_before_a_split_leaves_whole_shares(tmp_path: Path) -> None:
    """The fraction that was paid for is as if the fill had never been; the file gives the same books."""
    path = tmp_path / "books.jsonl"

    async def first(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        for order_id, shares in ((1, 100), (2, 1)):
            client.order(order_id, "BUY", shares)
            await asyncio.sleep(3)
        gateway.events.happen(Event(kind="split", symbol="AAPL", ratio="1/2"))
        await until(gateway, JANUARY_3 + A_DAY + timedelta(minutes=5))
        assert held(gateway) == {"AAPL": 50}
        gateway.events.happen(Event(kind="bust", symbol="AAPL"))
        assert held(gateway) == {"AAPL": 50}
        gateway.events.happen(Event(kind="bust", symbol="AAPL"))
        assert held(gateway) == {} and gateway.ledger.accounts[ACCOUNT].cash == 1_000_000

    async def second(gateway: Gateway) -> None:
        assert held(gateway) == {} and gateway.ledger.accounts[ACCOUNT].cash == 1_000_000

    on_a_gateway(first, ledger_path=path)
    on_a_gateway(second, ledger_path=path, at=JANUARY_3 + A_DAY + timedelta(minutes=6))


@pytest.mark.parametrize("happens", [{"kind": "split", "ratio": "2/1"}, {"kind": "dividend", "amount": Decimal(1)}])
def test_a_split_or_dividend_happens_once_however_often_the_gateway_starts(
    tmp_path: Path, happens: dict[str, Any]
) -> None:
    """Also where it was the last entry, and market time goes on just before the open at which it happened."""
    path = tmp_path / "books.jsonl"

    async def first(gateway: Gateway) -> None:
        gateway.events.happen(Event(kind="transfer", symbol="AAPL", quantity=Decimal(100), price=Decimal(50)))
        gateway.events.happen(Event(symbol="AAPL", **happens))
        await until(gateway, JANUARY_3 + A_DAY - timedelta(microseconds=500))
        assert changed(gateway) == once

    async def again(gateway: Gateway) -> None:
        await asyncio.sleep(2)
        assert changed(gateway) == once

    def changed(gateway: Gateway) -> tuple[Decimal, Decimal]:
        return held(gateway)["AAPL"], gateway.ledger.accounts[ACCOUNT].accrued

    once = (Decimal(200), Decimal(0)) if happens["kind"] == "split" else (Decimal(100), Decimal(100))
    on_a_gateway(first, ledger_path=path)
    for _ in range(2):
        newest = newest_entry_at(path)
        assert newest is not None and JANUARY_3 + A_DAY - timedelta(seconds=1) < newest < JANUARY_3 + A_DAY
        on_a_gateway(again, ledger_path=path, at=newest)
