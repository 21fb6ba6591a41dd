"""Every kind of order by the frames a plain client got: auctions, trailing stops, holds, ids and warnings."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from longwatch.gateway.app import Gateway
from longwatch.gateway.conduct import Conduct
from longwatch.gateway.market.hours import Hours, RoundTheClock
from longwatch.gateway.market.market import Instrument, Market, Replay
from longwatch.gateway.market.synthetic import Synthetic
from tests.gateway.made import AAPL, IBM, JANUARY_3, PRICES, PlainClient, bar_of, on_a_gateway, small_market, until

CLOSE = JANUARY_3 + timedelta(hours=6, minutes=30)
NIGHT = JANUARY_3 + timedelta(hours=10)
NEXT_OPEN = JANUARY_3 + timedelta(days=1)
A_MINUTE = timedelta(minutes=1)


def thin_market(volume: float = 27_000) -> Market:
    """As the small one, with so few shares a day that a quarter of a point's volume is less than what is shown."""
    days = [bar_of(day, prices, volume) for day, prices in PRICES.items()]
    return Market([Replay(one, days) for one in (AAPL, IBM)], seed=1)


def fills_of(client: PlainClient, order_id: int) -> list[dict[str, Any]]:
    return [one for one in client.replies("execDetails") if one["orderId"] == order_id]


def statuses(client: PlainClient, order_id: int) -> list[tuple[str, str]]:
    return [(one["status"], one["whyHeld"]) for one in client.replies("orderStatus") if one["orderId"] == order_id]


def auction_of(gateway: Gateway, at: datetime, *, opening: bool, of: Instrument = AAPL) -> Any:
    market = gateway.desk.market
    return market.opening(of, at) if opening else market.closing(of, at)


# ── auctions ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_orders_for_the_open_get_the_opening_price_or_are_cancelled() -> None:
    """MKT and LMT with OPG wait PreSubmitted through the night; a limit worse than the auction ends with 202."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 300, tif="OPG")
        client.order(2, "BUY", 300, "LMT", tif="OPG", lmtPrice=Decimal("84.05"))
        client.order(3, "BUY", 300, "LMT", tif="OPG", lmtPrice=Decimal("84.04"))
        await until(gateway, NEXT_OPEN - A_MINUTE)
        for order_id in (1, 2, 3):
            assert client.story(order_id) == ["5 PreSubmitted", "3 PreSubmitted"]
        await until(gateway, NEXT_OPEN + timedelta(seconds=1))
        auction = auction_of(gateway, NEXT_OPEN, opening=True)
        assert auction.price == Decimal("84.05")
        for order_id in (1, 2):
            assert [(one["price"], one["shares"]) for one in fills_of(client, order_id)] == [(auction.price, 300)]
        assert client.story(3)[2:] == ["3 Cancelled", "4 202"]

    on_a_gateway(scenario, at=NIGHT)


@pytest.mark.parametrize(("kind", "opening"), [("MOC", False), ("MKT", True)])
def test_an_auction_gives_no_more_than_a_share_of_its_volume(kind: str, opening: bool) -> None:
    """The first order takes the quarter of what the auction traded, the second gets nothing; the rest is cancelled."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        at = NEXT_OPEN if opening else CLOSE
        for order_id in (1, 2):
            client.order(order_id, "BUY", 2_000, kind, tif="OPG" if opening else "DAY")
        await until(gateway, at + timedelta(seconds=1))
        auction = auction_of(gateway, at, opening=opening)
        (fill,) = client.replies("execDetails")
        assert 0 < auction.volume // 4 < 2_000
        assert (fill["orderId"], fill["shares"], fill["price"]) == (1, auction.volume // 4, auction.price)
        assert client.story(1)[-3:] == ["3 Cancelled", "4 202", "59"]
        last = [one for one in client.replies("orderStatus") if one["orderId"] == 1][-1]
        assert (last["filled"], last["remaining"]) == (fill["shares"], 2_000 - fill["shares"])
        assert client.story(2)[-2:] == ["3 Cancelled", "4 202"]

    on_a_gateway(scenario, at=NIGHT if opening else JANUARY_3 + 5 * A_MINUTE, market=thin_market())


LATE = [
    ("MOC", "DAY", CLOSE - 9 * A_MINUTE),
    ("MKT", "OPG", NEXT_OPEN - A_MINUTE),
    ("MKT", "OPG", NEXT_OPEN + A_MINUTE),
]


@pytest.mark.parametrize(("kind", "tif", "at"), LATE)
def test_an_order_too_late_for_its_auction_is_rejected(kind: str, tif: str, at: datetime) -> None:
    """201 `Exchange is closed.` with Inactive; a moment earlier it would have been taken."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100, kind, tif=tif)
        await asyncio.sleep(2)
        assert client.story(1) == ["3 Inactive", "4 201"]
        assert client.replies("error")[-1]["errorString"] == "Order rejected - reason:Exchange is closed."

    on_a_gateway(scenario, at=at)


def test_an_order_for_the_open_that_misses_it_while_the_gateway_is_down_is_cancelled(tmp_path: Path) -> None:
    """Taken up again in mid-session it has no auction left, and never trades."""
    path = tmp_path / "books.jsonl"

    async def first(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100, tif="OPG")
        await asyncio.sleep(2)
        assert client.story(1)[-1] == "3 PreSubmitted"

    async def second(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.ask("reqOpenOrders")
        client.ask("reqCompletedOrders", apiOnly=False)
        await asyncio.sleep(1)
        assert client.replies("openOrder", "execDetails") == []
        (ended,) = client.replies("completedOrder")
        assert (ended["tif"], ended["status"]) == ("OPG", "Cancelled")

    on_a_gateway(first, ledger_path=path, at=NIGHT)
    on_a_gateway(second, ledger_path=path, at=NEXT_OPEN + 5 * A_MINUTE)


def test_a_point_gives_no_more_than_a_share_of_the_volume_traded_there() -> None:
    """Where few shares trade, executions are smaller than what is displayed; none is at another point's price."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 1_500)
        await until(gateway, CLOSE - A_MINUTE)
        fills = fills_of(client, 1)
        assert len(fills) > 3
        assert sum(one["shares"] for one in fills) == 1_500
        path = gateway.desk.market.path(AAPL, JANUARY_3.date())
        assert path is not None
        shares = [now - before for before, now in zip((0, *path.volumes), path.volumes, strict=False)]
        assert [one["shares"] for one in fills[:-1]] == [share // 4 for share in shares[: len(fills) - 1]]

    on_a_gateway(scenario, market=thin_market())


class AroundTheClock(Synthetic):
    """A made-up share with sessions of its own, which never end."""

    @property
    def hours(self) -> Hours:
        return RoundTheClock()


def test_an_order_lives_by_the_sessions_of_its_instrument() -> None:
    """At night one order waits for the open, and one in an instrument that trades at all hours fills."""
    days = [bar_of(day, prices) for day, prices in PRICES.items()]
    other = AroundTheClock(Instrument(con_id=77, symbol="ALWAYS"), seed=1, first=date(2006, 12, 1))
    market = Market([Replay(AAPL, days), other], seed=1)

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100)
        client.order(2, "BUY", 100, symbol="ALWAYS")
        client.order(3, "BUY", 100, "LMT", lmtPrice=Decimal("0.01"), symbol="ALWAYS")
        await asyncio.sleep(2)
        assert client.story(1) == ["4 399", "5 PreSubmitted", "3 PreSubmitted"]
        assert "3 Filled" in client.story(2)
        await until(gateway, datetime(2007, 1, 4, 0, 0, 1, tzinfo=UTC))
        assert client.story(3)[-2:] == ["3 Cancelled", "4 202"]
        assert client.story(1)[-1] == "3 PreSubmitted"

    on_a_gateway(scenario, at=JANUARY_3 + timedelta(hours=8), market=market)


# ── trailing stops ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_trailing_stop_follows_the_best_price_and_never_goes_back() -> None:
    """It stands the amount below the highest last price so far, and triggers at the first point at or below it."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "SELL", 100, "TRAIL", auxPrice=Decimal("1.00"), tif="GTC")
        market = gateway.desk.market
        opened = market.quote(AAPL, gateway.desk.now()).last
        assert opened is not None
        best, sold = opened, None
        for at in market.points(market.hours.at(JANUARY_3), CLOSE)[1:]:  # type: ignore[arg-type]
            await until(gateway, at + timedelta(seconds=1))
            last = market.quote(AAPL, at).last
            assert last is not None
            if last <= best - 1:
                sold = market.quote(AAPL, at)
                break
            best = max(best, last)
            client.forget()
            client.ask("reqOpenOrders")
            await asyncio.sleep(0.1)
            (shown,) = client.replies("openOrder")
            assert (shown["trailStopPrice"], shown["auxPrice"]) == (best - 1, 1)
        assert sold is not None
        (fill,) = client.replies("execDetails")
        assert fill["price"] == sold.bid

    on_a_gateway(scenario)


def test_a_trailing_stop_rests_for_its_trigger_and_shows_its_terms() -> None:
    """PreSubmitted with whyHeld trigger, twice; the first stop is the one given; a percentage shows as one."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "SELL", 100, "TRAIL", trailingPercent=Decimal("50"), trailStopPrice=Decimal("43.21"))
        client.order(2, "BUY", 100, "TRAIL", trailingPercent=Decimal("50"))
        await asyncio.sleep(2)
        assert client.story(1) == ["5 PreSubmitted", "3 PreSubmitted"] * 2
        assert statuses(client, 1) == [("PreSubmitted", "trigger")] * 2
        sell, buy = (next(one for one in client.replies("openOrder") if one["orderId"] == n) for n in (1, 2))
        last = gateway.desk.market.quote(AAPL, gateway.desk.now()).last
        assert last is not None
        assert (sell["trailStopPrice"], sell["trailingPercent"], sell["auxPrice"]) == (Decimal("43.21"), 50, 0)
        assert abs(buy["trailStopPrice"] - last * Decimal("1.5")) <= Decimal("0.005")

    on_a_gateway(scenario, at=JANUARY_3 + timedelta(minutes=20))


def test_a_trailing_stop_stands_where_it_stood_after_a_restart(tmp_path: Path) -> None:
    """The best price before the restart still counts."""
    path = tmp_path / "books.jsonl"
    stood: list[Decimal] = []

    async def stop_of(client: PlainClient) -> Decimal:
        client.forget()
        client.ask("reqOpenOrders")
        await asyncio.sleep(0.1)
        (shown,) = client.replies("openOrder")
        return Decimal(shown["trailStopPrice"])

    async def first(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100, "TRAIL", auxPrice=Decimal("9.00"), tif="GTC")
        await asyncio.sleep(1)
        stood.append(await stop_of(client))
        await until(gateway, CLOSE - A_MINUTE)
        stood.append(await stop_of(client))

    async def second(gateway: Gateway) -> None:
        assert await stop_of(await PlainClient.connect()) == stood[1]

    on_a_gateway(first, ledger_path=path)
    assert stood[1] < stood[0]
    on_a_gateway(second, ledger_path=path, at=NIGHT)


def test_a_trailing_stop_may_be_moved() -> None:
    """A new amount starts from the price of that moment, even if that is further away; its type can't be changed."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "SELL", 100, "TRAIL", auxPrice=Decimal("5.00"))
        await asyncio.sleep(2)
        client.order(1, "SELL", 100, "TRAIL", auxPrice=Decimal("8.00"))
        await asyncio.sleep(2)
        shown = client.replies("openOrder")[-1]
        last = gateway.desk.market.quote(AAPL, gateway.desk.now()).last
        assert last is not None
        assert (shown["auxPrice"], shown["trailStopPrice"]) == (8, last - 8)
        client.order(1, "SELL", 100, "STP", auxPrice=Decimal("70.00"))
        await asyncio.sleep(2)
        assert client.codes() == [329]

    on_a_gateway(scenario)


def test_a_stop_limit_triggers_and_waits_at_its_limit() -> None:
    """Triggered at 84 it becomes Submitted, and sells at 85.90 or better only."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "SELL", 100, "STP LMT", auxPrice=Decimal("84.00"), lmtPrice=Decimal("85.90"), tif="GTC")
        await until(gateway, CLOSE - A_MINUTE)
        assert statuses(client, 1)[:2] == [("PreSubmitted", "trigger")] * 2
        assert statuses(client, 1)[-1] == ("Submitted", "")
        assert client.replies("execDetails") == []
        await until(gateway, NEXT_OPEN + timedelta(hours=6))
        (fill,) = client.replies("execDetails")
        assert fill["price"] >= Decimal("85.90")

    on_a_gateway(scenario, at=JANUARY_3 + timedelta(hours=4, minutes=20))


# ── ids, warnings and holds ─────────────────────────────────────────────────────────────────────────────────────────


def test_an_id_that_is_absurdly_high_is_warned_of_and_works() -> None:
    """2146 comes first, the order goes on."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(2_100_000_000, "BUY", 100)
        await asyncio.sleep(2)
        story = client.story(2_100_000_000)
        assert story[0] == "4 2146"
        assert "3 Filled" in story

    on_a_gateway(scenario)


@pytest.mark.parametrize("change", [{"order_type": "MKT"}, {"order_type": "MOC"}])
def test_the_wish_to_trade_outside_regular_hours_is_ignored_where_it_means_nothing(change: dict[str, Any]) -> None:
    """2109 comes first; the order goes on without the attribute."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100, outsideRth=True, **change)
        await asyncio.sleep(2)
        assert client.story(1)[0] == "4 2109"
        assert client.story(1)[1] == "5 PreSubmitted"
        assert client.replies("openOrder")[0]["outsideRth"] is False

    on_a_gateway(scenario)


def test_a_limit_for_all_hours_keeps_its_wish_and_waits_for_the_session() -> None:
    """There is no trade outside the session here: 399, then the order waits with its attribute."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100, "LMT", lmtPrice=Decimal("95.00"), outsideRth=True)
        await asyncio.sleep(2)
        assert client.story(1) == ["4 399", "5 PreSubmitted", "3 PreSubmitted"]
        assert client.replies("openOrder")[0]["outsideRth"] is True
        await until(gateway, NEXT_OPEN + timedelta(seconds=1))
        assert len(client.replies("execDetails")) == 1

    on_a_gateway(scenario, at=NIGHT)


def test_a_short_sale_waits_until_shares_are_located() -> None:
    """404, PreSubmitted with whyHeld locate; no trade before, a trade after; selling what is held is no short sale."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        await client.round_trip()
        assert "3 Filled" in client.story(2)
        client.order(3, "SELL", 50)
        await asyncio.sleep(2)
        assert client.story(3) == ["4 404", *["5 PreSubmitted", "3 PreSubmitted"] * 2]
        assert statuses(client, 3)[-1] == ("PreSubmitted", "locate")
        await until(gateway, gateway.desk.now() + timedelta(hours=1))
        assert fills_of(client, 3) == []
        gateway.desk.exchange.locate("AAPL")
        await asyncio.sleep(1)
        assert client.story(3)[-1] == "59"
        assert statuses(client, 3)[-1] == ("Filled", "")

    on_a_gateway(scenario, hard_to_borrow=frozenset({"AAPL"}))


def test_an_order_without_an_account_is_refused_where_there_are_several() -> None:
    """435; with the switch it is a cause of 321."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100)
        await asyncio.sleep(2)
        assert client.codes() == [321 if gateway.config.conduct.account_cause else 435]

    for conduct in (Conduct(), Conduct(account_cause=True)):
        on_a_gateway(scenario, accounts=("DU1", "DU2"), conduct=conduct)


def test_attributes_that_old_clients_set_by_themselves_are_cleared_with_a_warning() -> None:
    """2168, 2169 and 2170 before the acknowledgement, and the order shows neither."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100, eTradeOnly=True, firmQuoteOnly=True, nbboPriceCap=Decimal("1.5"))
        await asyncio.sleep(2)
        assert client.story(1)[:4] == ["4 2168", "4 2169", "4 2170", "5 PreSubmitted"]
        shown = client.replies("openOrder")[0]
        assert (shown["eTradeOnly"], shown["firmQuoteOnly"]) == (False, False)
        assert "3 Filled" in client.story(1)

    on_a_gateway(scenario)


CHANGES = [
    (329, {"order_type": "STP", "auxPrice": Decimal("50.00")}),
    (10326, {"ocaGroup": "other"}),
    (10327, {"ocaType": 1}),
    (10341, {"parentId": 1}),
    (110, {"lmtPrice": Decimal("50.001")}),
    (105, {"action": "SELL"}),
]


@pytest.mark.parametrize(("code", "change"), CHANGES, ids=[str(code) for code, _ in CHANGES])
def test_what_a_modification_may_not_change(code: int, change: dict[str, Any]) -> None:
    """One error each, and the order works on as it was."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        terms: dict[str, Any] = {"action": "BUY", "quantity": 100, "order_type": "LMT", "lmtPrice": Decimal("50.00")}
        client.order(1, **terms)
        client.order(2, **terms, ocaGroup="group", ocaType=2)
        await asyncio.sleep(2)
        client.order(2, **{**terms, "ocaGroup": "group", "ocaType": 2} | change)
        await asyncio.sleep(2)
        assert client.codes() == [code]
        client.forget()
        client.ask("reqOpenOrders")
        await asyncio.sleep(1)
        shown = client.replies("openOrder")[-1]
        assert (shown["action"], shown["orderType"], shown["lmtPrice"]) == ("BUY", "LMT", 50)
        assert (shown["ocaGroup"], shown["ocaType"], shown["parentId"]) == ("group", 2, 0)

    on_a_gateway(scenario)


def test_a_limit_may_become_a_market_order() -> None:
    """As recorded: the same id with type MKT, shown, then filled."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100, "LMT", lmtPrice=Decimal("50.00"))
        await asyncio.sleep(2)
        client.order(1, "BUY", 100, "MKT")
        await asyncio.sleep(2)
        assert client.replies("openOrder")[-1]["orderType"] == "MKT"
        assert "3 Filled" in client.story(1)

    on_a_gateway(scenario)


def test_partial_fills_are_told_one_by_one() -> None:
    """11 with growing cumQty, 3 Submitted with filled and remaining, 59; the last one Filled; other execution ids."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 5_500, "LMT", lmtPrice=Decimal("95.00"))
        await until(gateway, CLOSE - A_MINUTE)
        fills = fills_of(client, 1)
        assert len(fills) > 1
        total = Decimal(0)
        seen = [one for one in client.replies("orderStatus") if one["filled"]]
        for fill in fills:
            total += fill["shares"]
            assert fill["cumQty"] == total
            (shown, *_) = [one for one in seen if one["filled"] == total]
            assert shown["status"] == ("Filled" if total == 5_500 else "Submitted")
            assert (shown["remaining"], shown["lastFillPrice"]) == (5_500 - total, fill["price"])
        assert len({one["execId"] for one in client.replies("commissionReport")}) == len(fills)
        story = client.story(1)
        for place, line in enumerate(story):
            if line.startswith("11") and line != f"11 {fills[-1]['shares']}@{fills[-1]['price']}":
                assert story[place + 1 : place + 3] == ["3 Submitted", "59"]

    on_a_gateway(scenario, market=small_market(3))
