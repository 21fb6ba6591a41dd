"""Brackets and groups of which one cancels another: frames as recorded, and a small oracle for whatever is sent."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longwatch.gateway.app import Gateway
from longwatch.gateway.conduct import Conduct
from longwatch.gateway.market.market import Market, Replay
from tests.gateway.made import AAPL, JANUARY_3, PRICES, PlainClient, bar_of, on_a_gateway, until

CLOSE = JANUARY_3 + timedelta(hours=6, minutes=30)
NIGHT = JANUARY_3 + timedelta(hours=10)
NEXT_OPEN = JANUARY_3 + timedelta(days=1)
A_MINUTE = timedelta(minutes=1)

FAR, LOW, HIGH = Decimal("50.00"), Decimal("84.00"), Decimal("86.40")


def bracket(client: PlainClient, *, entry: str = "LMT", price: Decimal = FAR, size: int = 100, **other: Any) -> None:
    """A buy with id 1, its take-profit 2 and its stop 3; only the last one is to be transmitted."""
    limit = {"lmtPrice": price} if entry == "LMT" else {}
    client.order(1, "BUY", size, entry, transmit=False, **limit, **other)
    client.order(2, "SELL", size, "LMT", lmtPrice=HIGH, parentId=1, transmit=False, tif="GTC")
    client.order(3, "SELL", size, "STP", auxPrice=LOW, parentId=1, tif="GTC")


def why(client: PlainClient, order_id: int) -> list[tuple[str, str]]:
    return [(one["status"], one["whyHeld"]) for one in client.replies("orderStatus") if one["orderId"] == order_id]


def filled(client: PlainClient) -> dict[int, Decimal]:
    done: dict[int, Decimal] = defaultdict(Decimal)
    for one in client.replies("execDetails"):
        done[one["orderId"]] += one["shares"]
    return dict(done)


def heard_ids(client: PlainClient) -> list[tuple[str, int]]:
    """Openings and statuses in the order they came, one line for each run of equal ones."""
    lines: list[tuple[str, int]] = []
    for _, reply in client.heard:
        if reply.name in {"openOrder", "orderStatus"}:
            line = (reply.values["status"], reply.values["orderId"])
            if not lines or lines[-1] != line:
                lines.append(line)
    return lines


# ── brackets ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_bracket_is_silent_until_its_last_child_and_then_shown_in_order() -> None:
    """Permanent ids follow one another; children name parent, its group and type 3, and say what holds them."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100, "LMT", lmtPrice=FAR, transmit=False)
        client.order(2, "SELL", 100, "LMT", lmtPrice=HIGH, parentId=1, transmit=False)
        await asyncio.sleep(5)
        assert client.replies("openOrder", "orderStatus") == []
        client.order(3, "SELL", 100, "STP", auxPrice=LOW, parentId=1)
        await asyncio.sleep(5)
        shown = {one["orderId"]: one for one in reversed(client.replies("openOrder"))}
        first = shown[1]["permId"]
        assert [shown[n]["permId"] for n in (1, 2, 3)] == [first, first + 1, first + 2]
        assert [(shown[n]["ocaGroup"], shown[n]["ocaType"]) for n in (1, 2, 3)] == [("", 3), *[(str(first), 3)] * 2]
        assert [one["parentId"] for one in client.replies("orderStatus") if one["orderId"] == 2] == [1, 1]
        assert client.story(1) == ["5 PreSubmitted", "3 PreSubmitted", "5 Submitted", "3 Submitted"]
        assert why(client, 2) == [("PreSubmitted", "child")] * 2
        assert why(client, 3) == [("PreSubmitted", "child,trigger")] * 2
        assert heard_ids(client)[:3] == [("PreSubmitted", n) for n in (1, 2, 3)]

    on_a_gateway(scenario)


def test_children_work_once_their_parent_has_filled() -> None:
    """Parent Filled; then the limit is Submitted and the stop PreSubmitted, held by its trigger alone."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        bracket(client, entry="MKT")
        await asyncio.sleep(2)
        assert "3 Filled" in client.story(1)
        assert why(client, 2)[-1] == ("Submitted", "")
        assert why(client, 3)[-1] == ("PreSubmitted", "trigger")
        lines = heard_ids(client)
        assert lines.index(("Filled", 1)) < lines.index(("Submitted", 2))

    on_a_gateway(scenario)


@pytest.mark.parametrize(("low", "winner", "loser"), [(LOW, 3, 2), (Decimal("80.00"), 2, 3)])
def test_when_one_child_fills_the_other_ends(low: Decimal, winner: int, loser: int) -> None:
    """The other child is Cancelled with 202, and the position is flat."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        bracket(client, entry="MKT")
        await asyncio.sleep(2)
        if low != LOW:
            client.order(3, "SELL", 100, "STP", auxPrice=low, parentId=1, tif="GTC")
        await until(gateway, CLOSE - A_MINUTE)
        assert filled(client) == {1: 100, winner: 100}
        assert client.story(loser)[-2:] == ["3 Cancelled", "4 202"]
        assert gateway.ledger.accounts["DU123456"].holdings[AAPL.con_id].quantity == 0

    on_a_gateway(scenario)


def test_a_child_that_fills_in_parts_leaves_its_sibling_the_rest() -> None:
    """Reduced, not cancelled: after each execution the stop's size is what the take-profit has left."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 3_000, transmit=False)
        client.order(2, "SELL", 3_000, "LMT", lmtPrice=Decimal("83.00"), parentId=1, transmit=False)
        client.order(3, "SELL", 3_000, "STP", auxPrice=Decimal("70.00"), parentId=1)
        await until(gateway, CLOSE - A_MINUTE)
        fills = [one for one in client.replies("execDetails") if one["orderId"] == 2]
        assert len(fills) > 1
        sizes = [one["totalQuantity"] for one in client.replies("openOrder") if one["orderId"] == 3]
        assert [3_000 - one["cumQty"] for one in fills[:-1]] == [size for size in dict.fromkeys(sizes) if size < 3_000]
        assert filled(client) == {1: 3_000, 2: 3_000}
        assert client.story(3)[-2:] == ["3 Cancelled", "4 202"]

    on_a_gateway(scenario, market=thin_market(60_000))


def test_cancelling_the_parent_ends_its_children_after_it_in_order_of_ids() -> None:
    """Parent PendingCancel, Cancelled, 202; then for each child Cancelled and 202."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        bracket(client)
        await asyncio.sleep(2)
        client.forget()
        client.ask("cancelOrder", orderId=1, manualOrderCancelTime="")
        await asyncio.sleep(2)
        assert client.story(1) == ["5 PendingCancel", "3 PendingCancel", "3 Cancelled", "4 202"]
        assert client.story(2) == client.story(3) == ["3 Cancelled", "4 202"]
        assert heard_ids(client) == [("PendingCancel", 1), *(("Cancelled", n) for n in (1, 2, 3))]
        ends = [one["reqId"] for one in client.replies("error")]
        assert ends == [1, 2, 3]

    on_a_gateway(scenario)


def test_a_parent_that_ends_with_a_part_filled_leaves_its_children_that_part() -> None:
    """The stop protects what was bought, and no more."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        bracket(client, entry="LMT", price=Decimal("86.30"), size=9_000)
        await asyncio.sleep(2)
        bought = filled(client)[1]
        assert 0 < bought < 9_000
        client.ask("cancelOrder", orderId=1, manualOrderCancelTime="")
        await asyncio.sleep(2)
        bought = filled(client)[1]
        assert why(client, 2)[-1] == ("Submitted", "")
        assert why(client, 3)[-1] == ("PreSubmitted", "trigger")
        sizes = {one["orderId"]: one["totalQuantity"] for one in client.replies("openOrder")}
        assert sizes[2] == sizes[3] == bought

    on_a_gateway(scenario, at=JANUARY_3 + 2 * A_MINUTE)


def test_children_of_a_rejected_parent_end_with_it() -> None:
    """A parent beyond the margin is Inactive; its children never work."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        bracket(client, entry="MKT", size=60_000)
        await asyncio.sleep(2)
        assert client.story(1) == ["3 Inactive", "4 201"]
        assert client.story(2) == client.story(3) == ["3 Cancelled", "4 202"]

    on_a_gateway(scenario)


def test_a_child_needs_a_parent_that_is_there() -> None:
    """321 with the cause of 135 for an unknown, a cancelled or (unless switched) a filled parent; the id stays free."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(5, "SELL", 100, "LMT", lmtPrice=HIGH, parentId=4)
        client.order(5, "BUY", 100)
        await asyncio.sleep(2)
        client.order(6, "SELL", 100, "LMT", lmtPrice=HIGH, parentId=5)
        await asyncio.sleep(2)
        errors = [(one["reqId"], one["errorCode"]) for one in client.replies("error") if one["reqId"] > 0]
        late = gateway.config.conduct.takes_late_children
        assert errors == ([(5, 321)] if late else [(5, 321), (6, 321)])
        assert client.replies("error")[4]["errorString"].endswith("cause - Can't find order with id =4")
        assert why(client, 6)[-1:] == ([("Submitted", "")] if late else [])

    for conduct in (Conduct(), Conduct(takes_late_children=True)):
        on_a_gateway(scenario, conduct=conduct)


def test_a_child_of_a_live_parent_is_taken_and_waits() -> None:
    """Sent on its own after its parent, it is held as a child, and goes with it."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100, "LMT", lmtPrice=FAR)
        await asyncio.sleep(2)
        client.order(2, "SELL", 100, "LMT", lmtPrice=HIGH, parentId=1)
        await asyncio.sleep(2)
        assert why(client, 2) == [("PreSubmitted", "child")] * 2
        await until(gateway, CLOSE + timedelta(seconds=1))
        assert client.story(1)[-2:] == client.story(2)[-2:] == ["3 Cancelled", "4 202"]
        assert filled(client) == {}

    on_a_gateway(scenario)


def test_what_is_not_transmitted_can_be_cancelled_and_takes_its_children_along() -> None:
    """202 for the parent; a child transmitted later finds no parent."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100, transmit=False)
        client.order(2, "SELL", 100, "LMT", lmtPrice=HIGH, parentId=1, transmit=False)
        client.ask("cancelOrder", orderId=1, manualOrderCancelTime="")
        client.order(3, "SELL", 100, "STP", auxPrice=LOW, parentId=1)
        await asyncio.sleep(2)
        assert [(one["reqId"], one["errorCode"]) for one in client.replies("error") if one["reqId"] > 0] == [
            (1, 202),
            (3, 321),
        ]
        assert client.replies("openOrder") == []

    on_a_gateway(scenario)


def test_a_global_cancel_ends_a_bracket_and_says_so_once() -> None:
    """One Cancelled and one 202 for each order, and no word of cancels that came too late."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        bracket(client)
        pair(client, 1, low="50.00", first=4)
        await asyncio.sleep(2)
        client.ask("reqGlobalCancel")
        await asyncio.sleep(3)
        for order_id in range(1, 6):
            assert client.story(order_id).count("3 Cancelled") == 1
            assert client.story(order_id)[-1] == "4 202"
        assert client.codes() == [202] * 5

    on_a_gateway(scenario)


def test_children_need_no_margin_of_their_own_and_a_group_that_of_its_largest() -> None:
    """A bracket for half of the equity, and ten orders of one group, fit where each on its own would not beside."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        bracket(client, size=15_000)
        await asyncio.sleep(2)
        assert client.story(3)[-1] == "3 PreSubmitted"
        for order_id in range(4, 14):
            client.order(order_id, "BUY", 5_000, "LMT", lmtPrice=FAR, ocaGroup="ten", ocaType=1)
        await asyncio.sleep(2)
        assert client.codes() == []
        client.order(14, "BUY", 5_000, "LMT", lmtPrice=FAR)
        await asyncio.sleep(2)
        assert client.codes() == [201]

    on_a_gateway(scenario)


def test_a_child_that_the_account_can_not_carry_is_rejected_once_its_turn_comes() -> None:
    """A child that is to sell a hundred times what its parent buys: Inactive and 201, and its parent's fill stands."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100, transmit=False)
        client.order(2, "SELL", 1_000_000, "LMT", lmtPrice=FAR, parentId=1)
        await asyncio.sleep(2)
        assert filled(client) == {1: 100}
        assert client.story(2)[-2:] == ["3 Inactive", "4 201"]
        assert not list(gateway.desk.exchange.book.live())

    on_a_gateway(scenario)


def test_a_childs_child_waits_for_the_child_whoever_is_transmitted_last() -> None:
    """Three levels sent with the last: the second waits for the first and the third for the second."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100, transmit=False)
        client.order(2, "SELL", 100, "LMT", lmtPrice=Decimal("87.00"), parentId=1, transmit=False)
        client.order(3, "BUY", 100, "LMT", lmtPrice=Decimal("90.00"), parentId=2)
        await asyncio.sleep(2)
        assert filled(client) == {1: 100}
        assert why(client, 2)[-1] == ("Submitted", "") and why(client, 3)[-1] == ("PreSubmitted", "child")
        client.ask("cancelOrder", orderId=2, manualOrderCancelTime="")
        await asyncio.sleep(2)
        assert client.story(3)[-2:] == ["3 Cancelled", "4 202"]
        assert filled(client) == {1: 100}

    on_a_gateway(scenario)


def test_no_order_is_its_own_ancestor_and_none_is_sent_without_its_parent() -> None:
    """321 for a circle, and for a child's child whose first ancestor has ended meanwhile; nothing works."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100, transmit=False)
        client.order(2, "SELL", 100, "LMT", lmtPrice=HIGH, parentId=1, transmit=False)
        client.order(1, "BUY", 100, parentId=2)
        client.order(1, "BUY", 100, parentId=1)
        client.order(5, "BUY", 100, "LMT", lmtPrice=FAR)
        await asyncio.sleep(2)
        client.order(6, "SELL", 100, "LMT", lmtPrice=HIGH, parentId=5, transmit=False)
        client.ask("cancelOrder", orderId=5, manualOrderCancelTime="")
        await asyncio.sleep(2)
        client.order(7, "SELL", 100, parentId=6)
        await asyncio.sleep(2)
        assert client.codes() == [321, 321, 202, 321]
        assert not list(gateway.desk.exchange.book.live()) and filled(client) == {}

    on_a_gateway(scenario)


def test_children_still_work_after_a_restart_once_their_parent_has_filled(tmp_path: Path) -> None:
    """What was released stays released."""
    path = tmp_path / "books.jsonl"

    async def first(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        bracket(client, entry="MKT")
        await asyncio.sleep(2)

    async def second(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.ask("reqOpenOrders")
        await asyncio.sleep(1)
        assert why(client, 3) == [("PreSubmitted", "trigger")]
        await until(gateway, NEXT_OPEN + timedelta(hours=6))
        assert filled(client) == {3: 100}

    on_a_gateway(first, ledger_path=path)
    on_a_gateway(second, ledger_path=path, at=NIGHT)


def test_a_bracket_survives_a_restart_and_what_was_not_transmitted_does_not(tmp_path: Path) -> None:
    """GTC parent and children keep ids, group and hold; the children still wait for the parent."""
    path = tmp_path / "books.jsonl"
    shown: list[list[tuple[Any, ...]]] = []

    async def tell(client: PlainClient) -> None:
        client.forget()
        client.ask("reqOpenOrders")
        await asyncio.sleep(0.1)
        names = ("orderId", "permId", "parentId", "ocaGroup", "ocaType", "status")
        shown.append([tuple(one[name] for name in names) for one in client.replies("openOrder")])
        assert why(client, 3)[-1] == ("PreSubmitted", "child,trigger")

    async def first(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        bracket(client, price=Decimal("83.90"), tif="GTC")
        client.order(7, "BUY", 100, transmit=False)
        await asyncio.sleep(2)
        await tell(client)

    async def second(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        await tell(client)
        await until(gateway, NEXT_OPEN + timedelta(hours=6))
        assert filled(client) == {1: 100, 3: 100}
        assert client.story(2)[-2:] == ["3 Cancelled", "4 202"]

    on_a_gateway(first, ledger_path=path)
    on_a_gateway(second, ledger_path=path, at=NIGHT)
    before, after = shown
    assert [one[:5] for one in before] == [one[:5] for one in after]
    assert len(before) == 3


# ── one cancels another ─────────────────────────────────────────────────────────────────────────────────────────────


def pair(client: PlainClient, oca_type: int, *, low: str = "85.00", first: int = 1) -> None:
    """Two buys of one group: at a limit below the market, and by a stop above it."""
    links = {"ocaGroup": "pair", "ocaType": oca_type}
    client.order(first, "BUY", 100, "LMT", lmtPrice=Decimal(low), **links)
    client.order(first + 1, "BUY", 100, "STP", auxPrice=Decimal("95.00"), **links)


@pytest.mark.parametrize("oca_type", [1, 2, 3])
def test_a_whole_fill_ends_the_rest_of_the_group(oca_type: int) -> None:
    """Of any type: the sibling is Cancelled with 202, after the fill was told."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        pair(client, oca_type)
        await until(gateway, CLOSE - A_MINUTE)
        assert filled(client) == {1: 100}
        assert client.story(2)[-2:] == ["3 Cancelled", "4 202"]
        lines = heard_ids(client)
        assert lines.index(("Filled", 1)) < lines.index(("Cancelled", 2))

    on_a_gateway(scenario)


@pytest.mark.parametrize(("oca_type", "ends"), [(1, True), (2, False), (3, False)])
def test_a_partial_fill_ends_the_others_of_type_1_and_reduces_those_of_2_and_3(oca_type: int, ends: bool) -> None:
    """Type 1 cancels at the first share; the others keep what the filling order has left."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 8_000, "LMT", lmtPrice=Decimal("95.00"), ocaGroup="g", ocaType=oca_type)
        client.order(2, "BUY", 8_000, "LMT", lmtPrice=FAR, ocaGroup="g", ocaType=oca_type)
        await asyncio.sleep(2)
        part = filled(client)[1]
        assert 0 < part < 8_000
        last = [one for one in client.replies("openOrder", "orderStatus") if one["orderId"] == 2][-1]
        assert (last["status"], last["remaining"]) == (("Cancelled", 8_000) if ends else ("Submitted", 8_000 - part))
        assert (client.story(2)[-1] == "4 202") is ends

    on_a_gateway(scenario)


def test_other_sizes_are_reduced_in_proportion() -> None:
    """A quarter of one order filled takes a quarter of another, rounded so that the group never trades more."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        quote = gateway.desk.market.quote(AAPL, gateway.desk.now())
        client.order(1, "BUY", 4 * quote.ask_size, "LMT", lmtPrice=Decimal("95.00"), ocaGroup="g", ocaType=3)
        client.order(2, "BUY", 333, "LMT", lmtPrice=FAR, ocaGroup="g", ocaType=3)
        await asyncio.sleep(2)
        assert [one["totalQuantity"] for one in client.replies("openOrder") if one["orderId"] == 2][-1] == 249

    on_a_gateway(scenario)


@pytest.mark.parametrize("oca_type", [2, 3])
def test_a_group_with_block_has_one_order_at_the_market_at_a_time(oca_type: int) -> None:
    """Two orders that could both trade at one point: with block the second waits for the next, without it does not."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        links = {"ocaGroup": "g", "ocaType": oca_type}
        client.order(1, "BUY", 6_000, "LMT", lmtPrice=Decimal("95.00"), **links)
        client.order(2, "SELL", 6_000, "LMT", lmtPrice=Decimal("70.00"), **links)
        await until(gateway, CLOSE - A_MINUTE)
        at_points: dict[str, set[int]] = defaultdict(set)
        for one in client.replies("execDetails"):
            at_points[one["time"][:14]].add(one["orderId"])
        assert sum(filled(client).values()) == 6_000
        assert any(len(ids) == 2 for ids in at_points.values()) is (oca_type == 3)

    on_a_gateway(scenario)


@pytest.mark.parametrize("cancels", [True, False])
def test_cancelling_one_of_type_1_by_hand_cancels_the_others_first(cancels: bool) -> None:
    """As recorded: the sibling PendingCancel, Cancelled, 202; then the one asked for. The switch leaves the sibling."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        pair(client, 1, low="50.00")
        await asyncio.sleep(2)
        client.forget()
        client.ask("cancelOrder", orderId=1, manualOrderCancelTime="")
        await asyncio.sleep(2)
        if cancels:
            assert heard_ids(client) == [("PendingCancel", 2), ("Cancelled", 2), ("Cancelled", 1)]
            assert [one["reqId"] for one in client.replies("error")] == [2, 1]
        else:
            assert heard_ids(client) == [("PendingCancel", 1), ("Cancelled", 1)]

    on_a_gateway(scenario, conduct=Conduct(cancels_oca_siblings=cancels))


def test_cancelling_one_of_another_type_leaves_the_others() -> None:
    """Types 2 and 3 know fills only."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        pair(client, 3, low="50.00")
        await asyncio.sleep(2)
        client.ask("cancelOrder", orderId=1, manualOrderCancelTime="")
        await asyncio.sleep(2)
        assert client.story(1)[-1] == "4 202"
        assert client.story(2)[-1] == "3 PreSubmitted"

    on_a_gateway(scenario)


@pytest.mark.parametrize("oca_type", [1, 2, 3])
def test_a_group_that_has_filled_takes_no_more_orders(oca_type: int) -> None:
    """201 for one that comes too late: the group would trade twice."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100, ocaGroup="done", ocaType=oca_type)
        await asyncio.sleep(2)
        client.order(2, "BUY", 100, ocaGroup="done", ocaType=oca_type)
        await asyncio.sleep(2)
        assert client.story(2) == ["3 Inactive", "4 201"]
        assert filled(client) == {1: 100}

    on_a_gateway(scenario)


def test_a_group_survives_a_restart(tmp_path: Path) -> None:
    """One fills after it, and the other still ends."""
    path = tmp_path / "books.jsonl"

    async def first(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        for order_id, price in ((1, "81.95"), (2, "50.00")):
            terms = {"lmtPrice": Decimal(price), "ocaGroup": "g", "ocaType": 2, "tif": "GTC"}
            client.order(order_id, "BUY", 100, "LMT", **terms)
        await asyncio.sleep(2)

    async def second(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        await until(gateway, JANUARY_3 + timedelta(days=2, hours=1))
        assert filled(client) == {1: 100}
        assert client.story(2)[-2:] == ["3 Cancelled", "4 202"]

    on_a_gateway(first, ledger_path=path)
    on_a_gateway(second, ledger_path=path, at=NIGHT)


def test_a_modification_does_not_give_back_what_the_group_took() -> None:
    """Sent before its sibling's fill and applied after it, it may not make the group trade more than its size."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        links = {"ocaGroup": "g", "ocaType": 3}
        client.order(1, "BUY", 4_000, "LMT", lmtPrice=Decimal("95.00"), **links)
        client.order(2, "BUY", 4_000, "LMT", lmtPrice=FAR, **links)
        await until(gateway, JANUARY_3 + timedelta(minutes=15) - timedelta(seconds=0.3))
        size = 4_000 - filled(client)[1]
        client.order(2, "BUY", float(size), "LMT", lmtPrice=Decimal("95.00"), **links)
        await asyncio.sleep(2)
        assert 4_000 - size < filled(client)[1] < 4_000
        client.ask("cancelOrder", orderId=1, manualOrderCancelTime="")
        await until(gateway, CLOSE - A_MINUTE)
        assert sum(filled(client).values()) == 4_000
        assert filled(client)[2] > 0

    on_a_gateway(scenario, market=thin_market(150_000))


# ── an oracle ───────────────────────────────────────────────────────────────────────────────────────────────────────


def thin_market(volume: float, seed: int = 1) -> Market:
    """One instrument of which so many shares trade a day, and a quarter of each point's can be had."""
    return Market([Replay(AAPL, [bar_of(day, prices, volume) for day, prices in PRICES.items()])], seed=seed)


@dataclass(frozen=True, slots=True)
class Leg:
    """One order of a made-up group or bracket."""

    action: str
    kind: str
    price: int
    cancel_at: int | None


LEGS = st.builds(
    Leg,
    st.sampled_from(("BUY", "SELL")),
    st.sampled_from(("MKT", "LMT", "STP", "STP LMT", "TRAIL", "MOC", "LOC")),
    st.integers(8_000, 8_800),
    st.none() | st.integers(1, 300),
)
SIZES = st.integers(1, 60).map(lambda hundreds: hundreds * 100)


def place(client: PlainClient, order_id: int, leg: Leg, size: int, **links: Any) -> None:
    price = Decimal(leg.price) / 100
    terms: dict[str, Any] = {}
    if leg.kind in {"LMT", "STP LMT", "LOC"}:
        terms["lmtPrice"] = price
    if leg.kind in {"STP", "STP LMT"}:
        terms["auxPrice"] = price
    if leg.kind == "TRAIL":
        terms["auxPrice"] = Decimal(leg.price - 7_900) / 100
    client.order(order_id, leg.action, size, leg.kind, **terms, **links)


async def play(gateway: Gateway, client: PlainClient, legs: dict[int, Leg]) -> None:
    """Cancel what is to be cancelled, minute by minute, until the day after has ended."""
    for minute in sorted({leg.cancel_at for leg in legs.values() if leg.cancel_at is not None}):
        await until(gateway, JANUARY_3 + timedelta(minutes=5 + minute))
        for order_id, leg in legs.items():
            if leg.cancel_at == minute:
                client.ask("cancelOrder", orderId=order_id, manualOrderCancelTime="")
    await until(gateway, CLOSE + timedelta(minutes=1))


def agrees(gateway: Gateway, client: PlainClient) -> None:
    """Cash and position are what the executions and commissions that were told make of them."""
    books = gateway.ledger.accounts["DU123456"]
    signed = {"BOT": 1, "SLD": -1}
    fills = client.replies("execDetails")
    position = sum((signed[one["side"]] * one["shares"] for one in fills), Decimal(0))
    spent = sum((signed[one["side"]] * one["shares"] * one["price"] for one in fills), Decimal(0))
    paid = sum((one["commission"] for one in client.replies("commissionReport")), Decimal(0))
    holding = books.holdings.get(AAPL.con_id)
    assert (holding.quantity if holding else 0) == position
    assert abs(books.cash - (books.opening - spent - paid)) < Decimal("0.01")


def sane(client: PlainClient) -> None:
    """Each order ends once at most, trades never after that, and no more than its size as it was last told."""
    for order_id in {one["orderId"] for one in client.replies("orderStatus")}:
        told = [one for one in client.replies("orderStatus") if one["orderId"] == order_id]
        states = [one["status"] for one in told]
        ended = [state in {"Filled", "Cancelled", "Inactive"} for state in states]
        assert ended == sorted(ended)
        assert len({state for state, end in zip(states, ended, strict=True) if end}) <= 1
        assert all(one["filled"] >= 0 and one["remaining"] >= 0 for one in told)
        assert filled(client).get(order_id, 0) == max(one["filled"] for one in told)


@settings(deadline=None)
@given(legs=st.lists(LEGS, min_size=2, max_size=4), size=SIZES, oca_type=st.integers(1, 3), seed=st.integers(1, 5))
def test_no_group_ever_trades_more_than_its_size(legs: list[Leg], size: int, oca_type: int, seed: int) -> None:
    """Whatever the kinds, prices, sides and cancels: the shares filled of equal orders of a group are at most one's."""
    numbered = dict(enumerate(legs, 1))

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        for order_id, leg in numbered.items():
            place(client, order_id, leg, size, ocaGroup="g", ocaType=oca_type)
        await play(gateway, client, numbered)
        done = filled(client)
        assert sum(done.values()) <= size
        if oca_type == 1:
            assert len(done) <= 1
        if sum(done.values()) == size:
            assert all(one["status"] != "Submitted" for one in _last(client).values())
        sane(client)
        agrees(gateway, client)

    on_a_gateway(scenario, market=thin_market(500_000, seed), cash=Decimal(100_000_000))


@settings(deadline=None)
@given(parent=LEGS, children=st.lists(LEGS, min_size=1, max_size=3), size=SIZES, seed=st.integers(1, 5))
def test_no_child_ever_trades_before_or_more_than_its_parent(
    parent: Leg, children: list[Leg], size: int, seed: int
) -> None:
    """Children trade after the parent's last execution only, together no more than it did, and end with it."""
    numbered = dict(enumerate([parent, *children], 1))
    last = len(numbered)

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        for order_id, leg in numbered.items():
            links = {"parentId": 1} if order_id > 1 else {}
            place(client, order_id, leg, size, transmit=order_id == last, **links)
        await play(gateway, client, numbered)
        done = filled(client)
        bought = done.pop(1, Decimal(0))
        assert sum(done.values()) <= bought
        order = [one["orderId"] == 1 for one in client.replies("execDetails")]
        assert order == sorted(order, reverse=True)
        if not bought:
            assert all(one["status"] in {"Cancelled", "Inactive"} for one in _last(client).values())
        sane(client)
        agrees(gateway, client)

    on_a_gateway(scenario, market=thin_market(500_000, seed), cash=Decimal(100_000_000))


def _last(client: PlainClient) -> dict[int, dict[str, Any]]:
    return {one["orderId"]: one for one in client.replies("orderStatus")}
