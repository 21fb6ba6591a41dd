"""What happens to orders, frame by frame, in virtual time: sequences and delays are those recorded of real gateways."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from longwatch.errors import JournalError
from longwatch.gateway.app import Gateway
from longwatch.gateway.conduct import Conduct
from longwatch.gateway.exchange.ledger import newest_entry_at
from longwatch.gateway.market.market import Market
from longwatch.gateway.wording import instant_of
from tests.gateway.made import IBM, JANUARY_3, PlainClient, on_a_gateway, small_market, stock, until

CLOSE = JANUARY_3 + timedelta(hours=6, minutes=30)
NIGHT = JANUARY_3 + timedelta(hours=10)
NEXT_OPEN = JANUARY_3 + timedelta(days=1)


def first_heard(client: PlainClient, name: str, **wanted: Any) -> float:
    """When the first such reply came."""
    for at, reply in client.heard:
        if reply.name == name and all(reply.values[key] == value for key, value in wanted.items()):
            return at
    raise AssertionError(f"no {name} with {wanted} among {client.names()}")


def test_a_market_order_is_acknowledged_filled_and_paid_in_the_recorded_order_and_time() -> None:
    """5 3 · 11 · 5 3 Filled · 5 3 with the commission · 59, filled after 555 to 903 ms, all within 3 ms of the fill."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.forget()
        sent_at = asyncio.get_running_loop().time()
        client.order(1, "BUY", 100)
        await asyncio.sleep(2)
        assert client.story(1) == [
            "5 PreSubmitted",
            "3 PreSubmitted",
            f"11 100@{_ask(gateway)}",
            "5 Filled",
            "3 Filled",
            "5 Filled",
            "3 Filled",
            "59",
        ]
        filled_at = first_heard(client, "execDetails")
        assert 0.5 < first_heard(client, "openOrder") - sent_at < 0.6
        assert 0.555 <= filled_at - sent_at <= 0.904
        assert first_heard(client, "commissionReport") - filled_at <= 0.003
        (report,) = client.replies("commissionReport")
        assert (report["commission"], report["realizedPNL"]) == (1, None)
        first, _, last = (one["commission"] for one in client.replies("openOrder"))
        assert (first, last) == (None, 1)

    on_a_gateway(scenario)


def test_a_resting_limit_is_cancelled_as_recorded() -> None:
    """PreSubmitted, Submitted, PendingCancel, Cancelled, then 202 last; the confirmation takes 559 ms."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100, "LMT", lmtPrice=Decimal("50.00"))
        await asyncio.sleep(2)
        asked_at = asyncio.get_running_loop().time()
        client.ask("cancelOrder", orderId=1, manualOrderCancelTime="")
        await asyncio.sleep(2)
        assert client.story(1) == [
            "5 PreSubmitted",
            "3 PreSubmitted",
            "5 Submitted",
            "3 Submitted",
            "5 PendingCancel",
            "3 PendingCancel",
            "3 Cancelled",
            "4 202",
        ]
        assert 0.53 < first_heard(client, "orderStatus", status="Cancelled") - asked_at < 0.59

    on_a_gateway(scenario)


def test_an_order_larger_than_what_is_shown_fills_over_several_points() -> None:
    """Each point gives at most its displayed size; executions add up, cost one commission, stay at quotes."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 9_000)
        await until(gateway, CLOSE)
        fills = client.replies("execDetails")
        assert len(fills) > 2
        assert sum(one["shares"] for one in fills) == fills[-1]["cumQty"] == 9_000
        assert len({one["execId"] for one in fills}) == len(fills)
        market = gateway.desk.market
        for one in fills:
            at = _time(one["time"])
            assert one["shares"] <= market.quote(_aapl(market), at).ask_size
            assert one["price"] == market.quote(_aapl(market), at).ask
        assert sum(one["commission"] for one in client.replies("commissionReport")) == Decimal("45.00")
        statuses = [(one["status"], one["remaining"]) for one in client.replies("orderStatus")]
        assert ("Submitted", 9_000 - fills[0]["shares"]) in statuses
        assert statuses[-1] == ("Filled", 0)

    on_a_gateway(scenario)


def test_two_orders_share_what_one_point_shows() -> None:
    """What the first order took at a point, the second can't have there."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        size = gateway.desk.market.quote(_aapl(gateway.desk.market), gateway.desk.now()).ask_size
        client.order(1, "BUY", size)
        client.order(2, "BUY", 100)
        await asyncio.sleep(2)
        assert [one["orderId"] for one in client.replies("execDetails")] == [1]

    on_a_gateway(scenario)


def test_a_resting_limit_gets_its_price_when_the_market_comes_through() -> None:
    """A buyer who waits at 83.00 buys at 83.00, and not before a point's ask is there."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100, "LMT", lmtPrice=Decimal("83.00"))
        await until(gateway, CLOSE - timedelta(minutes=1))
        (fill,) = client.replies("execDetails")
        assert fill["price"] == Decimal("83.00")
        market, at = gateway.desk.market, _time(fill["time"])
        before = market.quote(_aapl(market), at - timedelta(minutes=15))
        now = market.quote(_aapl(market), at)
        assert before.ask is not None and now.ask is not None
        assert before.ask > Decimal("83.00") >= now.ask

    on_a_gateway(scenario)


def test_a_stop_waits_for_the_last_price_and_then_trades_at_the_market() -> None:
    """PreSubmitted with whyHeld trigger, twice; triggered at a point at or below 84; filled at that point's bid."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "SELL", 100, "STP", auxPrice=Decimal("84.00"))
        await asyncio.sleep(2)
        assert client.story(1) == ["5 PreSubmitted", "3 PreSubmitted"] * 2
        assert client.replies("orderStatus")[0]["whyHeld"] == "trigger"
        await until(gateway, CLOSE)
        story = client.story(1)[4:]
        assert story[:2] == ["5 Submitted", "3 Submitted"]
        (fill,) = client.replies("execDetails")
        market, at = gateway.desk.market, _time(fill["time"])
        quote = market.quote(_aapl(market), at)
        assert quote.last is not None and quote.last <= Decimal("84.00")
        assert fill["price"] == quote.bid

    on_a_gateway(scenario)


def test_an_order_outside_the_session_is_warned_waits_and_takes_the_open() -> None:
    """399 comes before 5 and 3; at the next open the order trades at the opening quote."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100)
        await asyncio.sleep(5)
        assert client.story(1) == ["4 399", "5 PreSubmitted", "3 PreSubmitted"]
        assert "until 2007-01-04 09:30:00 US/Eastern" in client.replies("error")[-1]["errorString"]
        await until(gateway, NEXT_OPEN + timedelta(seconds=1))
        (fill,) = client.replies("execDetails")
        assert fill["price"] == gateway.desk.market.quote(_aapl(gateway.desk.market), NEXT_OPEN).ask

    on_a_gateway(scenario, at=NIGHT)


def test_a_day_order_ends_with_its_session_and_a_gtc_order_lives_on() -> None:
    """At the close the DAY order is cancelled with 202; the GTC one fills two sessions later, in the gap below it."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100, "LMT", lmtPrice=Decimal("81.00"))
        client.order(2, "BUY", 100, "LMT", lmtPrice=Decimal("81.00"), tif="GTC")
        await until(gateway, CLOSE + timedelta(seconds=1))
        assert client.story(1)[-2:] == ["3 Cancelled", "4 202"]
        assert client.story(2)[-1] == "3 Submitted"
        await until(gateway, JANUARY_3 + timedelta(days=2, seconds=1))
        (fill,) = client.replies("execDetails")
        quote = gateway.desk.market.quote(_aapl(gateway.desk.market), JANUARY_3 + timedelta(days=2))
        assert (fill["orderId"], fill["price"]) == (2, quote.ask)
        assert quote.ask is not None and quote.ask < Decimal("81.00")

    on_a_gateway(scenario)


def test_orders_for_the_close_get_the_closing_price_and_nothing_before() -> None:
    """MOC waits PreSubmitted all day; LOC with a worse limit than the close is cancelled."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 5_000, "MOC")
        client.order(2, "BUY", 100, "LOC", lmtPrice=Decimal("83.00"))
        await until(gateway, CLOSE - timedelta(seconds=1))
        assert client.replies("execDetails") == []
        await until(gateway, CLOSE + timedelta(seconds=1))
        (fill,) = client.replies("execDetails")
        assert (fill["orderId"], fill["price"], fill["shares"]) == (1, Decimal("83.80"), 5_000)
        assert client.story(2) == ["5 PreSubmitted", "3 PreSubmitted", "3 Cancelled", "4 202"]

    on_a_gateway(scenario)


NEVER = {"IOC": ["5 PendingCancel", "3 PendingCancel", "3 Cancelled"], "FOK": ["5 Inactive", "3 Inactive"]}


@pytest.mark.parametrize("tif", NEVER)
def test_an_order_for_now_or_never_ends_at_once(tif: str) -> None:
    """What can't trade on arrival is cancelled (IOC) or inactive (FOK), as recorded: the acknowledgement is the end."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100, "LMT", lmtPrice=Decimal("50.00"), tif=tif)
        await asyncio.sleep(2)
        assert client.story(1) == NEVER[tif]

    on_a_gateway(scenario)


REFUSED: list[tuple[int, dict[str, Any]]] = [
    (10149, {"order_id": 0}),
    (200, {"symbol": "NOPE"}),
    (321, {"account": "DU999"}),
    (321, {"action": "HOLD"}),
    (434, {"quantity": 0}),
    (10243, {"quantity": 0.5}),
    (387, {"order_type": "TRAIL LIMIT"}),
    (321, {"order_type": "FEELINGS"}),
    (321, {"order_type": "TRAIL"}),
    (321, {"order_type": "TRAIL", "auxPrice": Decimal(1), "trailingPercent": Decimal(1)}),
    (110, {"order_type": "TRAIL", "auxPrice": Decimal("0.005")}),
    (110, {"order_type": "TRAIL", "auxPrice": Decimal(1), "trailStopPrice": Decimal("80.001")}),
    (321, {"order_type": "TRAIL", "auxPrice": Decimal(1), "trailStopPrice": Decimal(0)}),
    (321, {"order_type": "TRAIL", "auxPrice": Decimal(1), "trailStopPrice": Decimal(-80)}),
    (321, {"ocaType": 4}),
    (10052, {"tif": "GTD"}),
    (113, {"order_type": "MOC", "tif": "GTC"}),
    (113, {"order_type": "LOC", "tif": "OPG", "lmtPrice": Decimal(80)}),
    (111, {"order_type": "STP", "tif": "OPG", "auxPrice": Decimal(80)}),
    (110, {"order_type": "LMT", "lmtPrice": Decimal("50.005")}),
    (110, {"order_type": "STP", "auxPrice": Decimal("50.001")}),
    (321, {"order_type": "LMT"}),
    (321, {"parentId": 7}),
    (413, {"whatIf": True, "transmit": False}),
]


@pytest.mark.parametrize(("code", "change"), REFUSED, ids=[f"{code}-{'-'.join(change)}" for code, change in REFUSED])
def test_a_wrong_order_is_refused_with_its_code_and_nothing_else(code: int, change: dict[str, Any]) -> None:
    """One error, no openOrder and no status, and the id stays free."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        wanted = {"order_id": 5, "action": "BUY", "quantity": 100, "order_type": "MKT", **change}
        client.order(**wanted)
        await asyncio.sleep(2)
        assert client.codes() == [code]
        assert client.replies("openOrder", "orderStatus") == []
        client.order(5, "BUY", 1)
        await asyncio.sleep(2)
        assert "3 Filled" in client.story(5)

    on_a_gateway(scenario)


def test_an_index_can_be_asked_about_but_not_traded() -> None:
    """An instrument that is not tradable is refused by 201."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100, symbol="SPX", secType="IND")
        await asyncio.sleep(2)
        assert client.codes() == [201]

    on_a_gateway(scenario)


def test_order_ids_only_grow_per_client_and_are_never_reused() -> None:
    """103 below the highest, 104 for an ended order, and another client may use the same number."""

    async def scenario(gateway: Gateway) -> None:
        one, other = await PlainClient.connect(1), await PlainClient.connect(2)
        one.order(10, "BUY", 1)
        await asyncio.sleep(2)
        one.order(9, "BUY", 1)
        one.order(10, "BUY", 1)
        other.order(10, "BUY", 1)
        await asyncio.sleep(2)
        assert [(e["reqId"], e["errorCode"]) for e in one.replies("error") if e["reqId"] > 0] == [(9, 103), (10, 104)]
        assert "3 Filled" in other.story(10)
        perm_ids = {s["permId"] for s in (*one.replies("orderStatus"), *other.replies("orderStatus"))}
        assert len(perm_ids) == 2
        one.ask("reqIds", numIds=1)
        await asyncio.sleep(1)
        assert one.replies("nextValidId")[-1]["orderId"] == 11

    on_a_gateway(scenario)


def test_a_modification_keeps_the_order_and_raises_its_revision() -> None:
    """Same permanent id, sharesAllocation counts up; priced through the market it fills at the market."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100, "LMT", lmtPrice=Decimal("50.00"))
        await asyncio.sleep(2)
        client.order(1, "BUY", 120, "LMT", lmtPrice=Decimal("51.00"))
        await asyncio.sleep(2)
        shown = client.replies("openOrder")
        assert (shown[-1]["totalQuantity"], shown[-1]["lmtPrice"]) == (120, 51)
        assert shown[-1]["permId"] == shown[0]["permId"]
        assert shown[0]["sharesAllocation"].split("/")[0].endswith(".0")
        assert shown[-1]["sharesAllocation"].split("/")[0].endswith(".1")
        client.order(1, "BUY", 120, "LMT", lmtPrice=Decimal("99.00"))
        await asyncio.sleep(2)
        (fill,) = client.replies("execDetails")
        assert fill["price"] == _ask(gateway)

    on_a_gateway(scenario)


def test_a_wrong_modification_leaves_the_order_as_it_was() -> None:
    """110 for the price, 105 for another side; the old order works on."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100, "LMT", lmtPrice=Decimal("50.00"))
        await asyncio.sleep(2)
        client.order(1, "BUY", 100, "LMT", lmtPrice=Decimal("50.001"))
        client.order(1, "SELL", 100, "LMT", lmtPrice=Decimal("50.00"))
        await asyncio.sleep(2)
        assert client.codes() == [110, 105]
        client.forget()
        client.ask("reqOpenOrders")
        await asyncio.sleep(1)
        assert [(o["action"], o["lmtPrice"], o["status"]) for o in client.replies("openOrder")] == [
            ("BUY", 50, "Submitted")
        ]

    on_a_gateway(scenario)


def test_cancelling_what_is_gone_foreign_or_never_was() -> None:
    """10148 with the state for ended and cancelling orders, 10147 for unknown ids and other clients' orders."""

    async def scenario(gateway: Gateway) -> None:
        client, other = await PlainClient.connect(1), await PlainClient.connect(2)
        client.order(1, "BUY", 100)
        client.order(2, "BUY", 100, "LMT", lmtPrice=Decimal("50.00"))
        await asyncio.sleep(2)
        client.forget()
        for order_id in (1, 2, 2, 77):
            client.ask("cancelOrder", orderId=order_id, manualOrderCancelTime="")
        other.ask("cancelOrder", orderId=2, manualOrderCancelTime="")
        await asyncio.sleep(2)
        errors = [(e["reqId"], e["errorCode"], e["errorString"].split("state: ")[-1]) for e in client.replies("error")]
        assert errors[0] == (1, 10148, "Filled.")
        assert errors[1] == (2, 10148, "PendingCancel.")
        assert errors[2][:2] == (77, 10147)
        assert errors[3][:2] == (2, 202)
        assert other.codes() == [10147]

    on_a_gateway(scenario)


def test_a_cancel_that_comes_before_the_acknowledgement_still_ends_the_order() -> None:
    """An order cancelled in the moment it was sent ends Cancelled, once, and never trades."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100)
        client.ask("cancelOrder", orderId=1, manualOrderCancelTime="")
        await asyncio.sleep(5)
        story = client.story(1)
        assert story.count("3 Cancelled") == 1
        assert story[-1] == "4 202"
        assert client.replies("execDetails") == []

    on_a_gateway(scenario)


def test_a_global_cancel_ends_the_orders_of_all_clients() -> None:
    """Both clients hear of their own order's end."""

    async def scenario(gateway: Gateway) -> None:
        one, other = await PlainClient.connect(1), await PlainClient.connect(2)
        for client in (one, other):
            client.order(1, "BUY", 100, "LMT", lmtPrice=Decimal("50.00"), tif="GTC")
        await asyncio.sleep(2)
        one.ask("reqGlobalCancel")
        await asyncio.sleep(2)
        assert one.story(1)[-2:] == other.story(1)[-2:] == ["3 Cancelled", "4 202"]

    on_a_gateway(scenario)


@pytest.mark.parametrize("reason_first", [False, True])
def test_an_order_beyond_the_margin_is_rejected_in_either_recorded_order(reason_first: bool) -> None:
    """Inactive and 201 after 350 ms; new gateways send the status first, old ones the reason."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 30_000)
        await asyncio.sleep(2)
        wanted = ["4 201", "5 Inactive", "3 Inactive"] if reason_first else ["3 Inactive", "4 201"]
        assert client.story(1) == wanted
        assert "EQUITY WITH LOAN VALUE [1000000.00 USD]" in client.replies("error")[-1]["errorString"]

    on_a_gateway(scenario, conduct=Conduct(reason_first=reason_first))


def test_working_orders_count_against_the_margin_and_reducing_ones_never_do() -> None:
    """A second order that alone would fit is rejected beside the first; selling what is held always goes."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 2_000)
        await until(gateway, CLOSE - timedelta(hours=1))
        client.order(2, "BUY", 20_000, "LMT", lmtPrice=Decimal("50.00"))
        await asyncio.sleep(2)
        client.order(3, "BUY", 10_000, "LMT", lmtPrice=Decimal("50.00"))
        client.order(4, "SELL", 2_000)
        await asyncio.sleep(2)
        assert client.story(2)[-1] == "3 Submitted"
        assert client.story(3)[0] == "3 Inactive"
        assert any(line.startswith("11") for line in client.story(4))

    on_a_gateway(scenario)


def test_a_modification_beyond_the_margin_is_refused_and_the_order_works_on() -> None:
    """201 for a hundredfold size; the same order smaller, or at another price, is taken."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 20_000, "LMT", lmtPrice=Decimal("50.00"))
        await asyncio.sleep(2)
        client.order(1, "BUY", 2_000_000, "LMT", lmtPrice=Decimal("90.00"))
        await asyncio.sleep(2)
        assert client.codes() == [201] and client.replies("execDetails") == []
        assert "EQUITY WITH LOAN VALUE [1000000.00 USD]" in client.replies("error")[-1]["errorString"]
        client.order(1, "BUY", 10_000, "LMT", lmtPrice=Decimal("51.00"))
        client.forget()
        await asyncio.sleep(2)
        assert [(one["totalQuantity"], one["lmtPrice"]) for one in client.replies("openOrder")] == [(10_000, 51)]

    on_a_gateway(scenario)


@pytest.mark.parametrize("flags", [{"whatIf": True}, {"transmit": False}])
def test_only_what_is_meant_and_transmitted_changes_a_live_order(flags: dict[str, bool]) -> None:
    """A what-if on its id shows margins as if it were the other, and the order is as it was."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 10, "LMT", lmtPrice=Decimal("50.00"))
        await asyncio.sleep(2)
        client.forget()
        client.order(1, "BUY", 30, "LMT", lmtPrice=Decimal("99.00"), **flags)
        await asyncio.sleep(2)
        shown = client.replies("openOrder")
        last = gateway.desk.market.quote(_aapl(gateway.desk.market), gateway.desk.now()).last
        assert last is not None
        margins = [(True, 15 * last)] if "whatIf" in flags else []
        assert [(one["whatIf"], one["initMarginAfter"]) for one in shown] == margins
        client.forget()
        client.ask("reqOpenOrders")
        await asyncio.sleep(1)
        (order,) = client.replies("openOrder")
        assert (order["totalQuantity"], order["lmtPrice"], order["status"]) == (10, 50, "Submitted")
        assert gateway.ledger.executions == [] and client.codes() == []

    on_a_gateway(scenario)


def test_an_untransmitted_order_waits_in_the_session_and_dies_with_it() -> None:
    """Nothing is heard until the same id comes with transmit; after a disconnect it is gone but its id used."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100, transmit=False)
        client.order(2, "BUY", 100, transmit=False)
        await asyncio.sleep(2)
        assert client.replies("openOrder", "orderStatus") == []
        client.order(1, "BUY", 100)
        await asyncio.sleep(2)
        assert "3 Filled" in client.story(1)
        client.close()
        await asyncio.sleep(1)
        again = await PlainClient.connect()
        again.order(2, "BUY", 100)
        await asyncio.sleep(2)
        assert again.codes() == [103]

    on_a_gateway(scenario)


def test_a_what_if_shows_margins_and_places_nothing() -> None:
    """One openOrder with whatIf and numbers; the id stays free and the account untouched."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 1_000, whatIf=True)
        await asyncio.sleep(2)
        (shown,) = client.replies("openOrder")
        quote = gateway.desk.market.quote(_aapl(gateway.desk.market), gateway.desk.now())
        assert quote.last is not None
        assert shown["whatIf"]
        assert shown["initMarginChange"] == 500 * quote.last
        assert shown["commission"] == 5
        assert client.replies("orderStatus") == []
        assert gateway.ledger.executions == []

    on_a_gateway(scenario)


def test_the_same_requests_at_the_same_times_give_the_same_bytes() -> None:
    """Two runs of one seed are equal byte for byte; another seed differs."""
    received: list[bytes] = []

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.ask("reqMktData", reqId=5, **stock())
        client.order(1, "BUY", 7_000)
        client.order(2, "SELL", 50, "STP", auxPrice=Decimal("83.00"))
        client.ask("reqHistoricalData", reqId=6, barSize="1 day", duration="3 D", **stock())
        await until(gateway, CLOSE)
        received.append(client.received)

    for seed in (7, 7, 8):
        on_a_gateway(scenario, seed=seed, market=small_market(seed))
    assert received[0] == received[1] != received[2]


def test_a_gateway_started_again_with_its_ledger_goes_on(tmp_path: Path) -> None:
    """Cash, positions, GTC orders and counters return; a DAY order whose session closed meanwhile does not."""
    path = tmp_path / "books.jsonl"
    seen: dict[str, Any] = {}

    async def first(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 300)
        client.order(2, "SELL", 300, "STP", auxPrice=Decimal("60.00"), tif="GTC", orderRef="lw:1")
        client.order(3, "BUY", 100, "LMT", lmtPrice=Decimal("50.00"))
        await asyncio.sleep(2)
        seen["cash"] = gateway.ledger.accounts["DU123456"].cash
        seen["perm"] = {one["orderId"]: one["permId"] for one in client.replies("orderStatus")}
        seen["exec"] = client.replies("execDetails")[-1]["execId"]

    async def second(gateway: Gateway) -> None:
        assert gateway.ledger.accounts["DU123456"].cash == seen["cash"]
        client = await PlainClient.connect()
        assert client.replies("nextValidId")[-1]["orderId"] == 4
        client.ask("reqOpenOrders")
        client.ask("reqPositions")
        await asyncio.sleep(1)
        (shown,) = client.replies("openOrder")
        assert (shown["orderId"], shown["permId"], shown["orderRef"]) == (2, seen["perm"][2], "lw:1")
        (held,) = client.replies("position")
        assert held["position"] == 300
        client.order(1, "SELL", 300)
        client.order(4, "SELL", 300)
        await asyncio.sleep(2)
        assert client.codes() == [104]
        (fill,) = client.replies("execDetails")
        assert fill["execId"] > seen["exec"]
        assert fill["permId"] > max(seen["perm"].values())

    on_a_gateway(first, ledger_path=path)
    newest = newest_entry_at(path)
    assert newest is not None and JANUARY_3 < newest < NEXT_OPEN
    on_a_gateway(second, ledger_path=path, at=NEXT_OPEN + timedelta(minutes=5))


def test_a_ledger_of_another_market_is_refused(tmp_path: Path) -> None:
    """An order in an instrument that is not listed stops the start with one sentence."""
    path = tmp_path / "books.jsonl"

    async def first(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 300, "LMT", lmtPrice=Decimal("50.00"), tif="GTC", symbol="IBM")
        await asyncio.sleep(2)

    async def never(gateway: Gateway) -> None:
        raise AssertionError("it started")

    on_a_gateway(first, ledger_path=path)
    other = Market([source for number, source in small_market()._sources.items() if number != IBM.con_id])
    with pytest.raises(JournalError, match="IBM"):
        on_a_gateway(never, ledger_path=path, market=other)


def test_nothing_is_scheduled_when_nobody_needs_it() -> None:
    """Without subscribers and orders no timer runs; a resting order keeps exactly one."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        await asyncio.sleep(1)
        timeline = gateway.desk.timeline
        assert timeline._queue == []
        client.order(1, "BUY", 100, "LMT", lmtPrice=Decimal("50.00"), tif="GTC")
        await until(gateway, CLOSE + timedelta(hours=1))
        assert [entry[0] for entry in timeline._queue] == [NEXT_OPEN]
        client.ask("cancelOrder", orderId=1, manualOrderCancelTime="")
        await until(gateway, NEXT_OPEN + timedelta(seconds=1))
        assert timeline._queue == []

    on_a_gateway(scenario)


def test_an_order_typed_by_hand_moves_the_account_and_belongs_to_client_zero() -> None:
    """Order id 0 in executions; only client 0 hears of it, others see the position move."""

    async def scenario(gateway: Gateway) -> None:
        owner, other = await PlainClient.connect(0), await PlainClient.connect(5)
        other.ask("reqPositions")
        await asyncio.sleep(1)
        gateway.trade_by_hand("AAPL", "BUY", Decimal(40))
        await asyncio.sleep(2)
        assert [one["orderId"] for one in owner.replies("execDetails")] == [0]
        assert other.replies("execDetails", "openOrder") == []
        assert other.replies("position")[-1]["position"] == 40
        other.ask("reqExecutions", reqId=9)
        await asyncio.sleep(1)
        (fill,) = other.replies("execDetails")
        assert (fill["orderId"], fill["clientId"], fill["reqId"]) == (0, 0, 9)

    on_a_gateway(scenario)


def _aapl(market: Market) -> Any:
    return market.find("AAPL")


def _ask(gateway: Gateway) -> Decimal:
    ask = gateway.desk.market.quote(_aapl(gateway.desk.market), gateway.desk.now()).ask
    assert ask is not None
    return ask


def _time(text: str) -> datetime:
    at = instant_of(text, "UTC")
    assert at is not None
    return at + timedelta(milliseconds=999)
