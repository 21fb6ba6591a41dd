"""Where real gateways differ: both values of each switch by the frames a plain client got."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import fields, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from longwatch.errors import UsageError
from longwatch.gateway.app import Gateway
from longwatch.gateway.conduct import SWITCHES, Conduct, conducted, switched
from longwatch.gateway.exchange.orders import Ticket
from longwatch.gateway.exchange.rules import refusal_of
from longwatch.gateway.market.instruments import Instrument, least_size
from longwatch.wire.framing import frame
from tests.gateway.made import FARMS, JANUARY_3, PlainClient, on_a_gateway, stock

FAR = Decimal("50.00")
NIGHT = JANUARY_3 + timedelta(hours=10)
A_MINUTE = timedelta(minutes=1)

Scenario = Callable[[PlainClient], Awaitable[object]]


def under(conduct: Conduct, scenario: Scenario) -> object:
    """What a scenario comes to with one client at a gateway of this conduct."""
    found: list[object] = []

    async def main(gateway: Gateway) -> None:
        found.append(await scenario(await PlainClient.connect()))

    on_a_gateway(main, conduct=conduct)
    return found[0]


def both(name: str, scenario: Scenario) -> tuple[object, object]:
    """What it comes to at the usual value, and at the other one."""
    return under(Conduct(), scenario), under(switched(name), scenario)


def test_every_switch_is_told_of_and_can_be_switched() -> None:
    """The table of the page has a line for each field of Conduct, and nothing else."""
    assert list(SWITCHES) == [one.name for one in fields(Conduct)]
    for name in SWITCHES:
        assert switched(name, master=7) != Conduct()


def test_a_cancel_is_shown_on_its_way_or_only_when_done() -> None:
    """PendingCancel before Cancelled, or Cancelled alone."""

    async def scenario(client: PlainClient) -> list[str]:
        client.order(1, "BUY", 100, "LMT", lmtPrice=FAR)
        await asyncio.sleep(2)
        client.forget()
        client.ask("cancelOrder", orderId=1, manualOrderCancelTime="")
        await asyncio.sleep(2)
        return client.story(1)

    end = ["3 Cancelled", "4 202"]
    assert both("shows_pending_cancel", scenario) == (["5 PendingCancel", "3 PendingCancel", *end], end)


def test_a_fill_is_told_before_or_after_the_status() -> None:
    """11 then 5 and 3, or 3 then 11; the commission follows both."""

    async def scenario(client: PlainClient) -> list[str]:
        client.order(1, "BUY", 100)
        await asyncio.sleep(2)
        return [line.split("@")[0] for line in client.story(1)[2:]]

    last = ["5 Filled", "3 Filled", "59"]
    usual, other = both("status_before_fill", scenario)
    assert usual == ["11 100", "5 Filled", "3 Filled", *last]
    assert other == ["3 Filled", "11 100", *last]


def test_a_market_order_that_fills_at_once_may_have_no_status() -> None:
    """11 and 59 alone; one that fills in parts, or rests, is told as ever."""

    async def scenario(client: PlainClient) -> tuple[list[str], bool]:
        client.order(1, "BUY", 100)
        client.order(2, "BUY", 9_000)
        client.order(3, "BUY", 100, "LMT", lmtPrice=FAR)
        await asyncio.sleep(2)
        assert client.story(3) == ["5 PreSubmitted", "3 PreSubmitted", "5 Submitted", "3 Submitted"]
        return [line.split("@")[0] for line in client.story(1)], "3 Submitted" in client.story(2)

    usual, other = both("fills_without_status", scenario)
    last = ["5 Filled", "3 Filled"]
    assert usual == (["5 PreSubmitted", "3 PreSubmitted", "11 100", *last, *last, "59"], True)
    assert other == (["11 100", "59"], True)


def test_a_new_order_refused_for_its_price_has_a_status_or_none() -> None:
    """110 alone, or with Inactive; the id stays free in both cases."""

    async def scenario(client: PlainClient) -> list[str]:
        client.order(1, "BUY", 100, "LMT", lmtPrice=Decimal("50.001"))
        await asyncio.sleep(2)
        told = client.story(1)
        client.order(1, "BUY", 100)
        await asyncio.sleep(2)
        assert client.story(1)[-1] == "59"
        return told

    assert both("status_with_refusal", scenario) == (["4 110"], ["4 110", "3 Inactive"])


def test_a_modification_refused_for_its_price_has_no_status_either_way() -> None:
    """The old order lives."""

    async def scenario(client: PlainClient) -> list[str]:
        client.order(1, "BUY", 100, "LMT", lmtPrice=FAR)
        await asyncio.sleep(2)
        client.order(1, "BUY", 100, "LMT", lmtPrice=Decimal("50.001"))
        await asyncio.sleep(2)
        return client.story(1)[-2:]

    assert both("status_with_refusal", scenario) == (["3 Submitted", "4 110"],) * 2


def test_open_orders_are_sent_to_who_connects_or_only_to_who_asks() -> None:
    """With the switch 5 and 3 of the client's own orders follow the farms, without an end."""

    async def scenario(client: PlainClient) -> list[str]:
        client.order(1, "BUY", 100, "LMT", lmtPrice=FAR)
        await asyncio.sleep(2)
        client.close()
        await asyncio.sleep(1)
        other, again = await PlainClient.connect(2), await PlainClient.connect(1)
        await asyncio.sleep(1)
        assert other.story(1) == []
        assert again.replies("openOrderEnd") == []
        return again.story(1)

    assert both("sends_open_orders", scenario) == ([], ["5 Submitted", "3 Submitted"])


def test_a_download_of_executions_repeats_commissions_or_not() -> None:
    """11, 59 and 55, or 11 and 55."""

    async def scenario(client: PlainClient) -> list[str]:
        client.order(1, "BUY", 100)
        await asyncio.sleep(2)
        client.forget()
        client.ask("reqExecutions", reqId=9)
        await asyncio.sleep(1)
        return client.names()

    usual, other = both("replays_commissions", scenario)
    assert usual == ["execDetails", "commissionReport", "execDetailsEnd"]
    assert other == ["execDetails", "execDetailsEnd"]


def test_a_size_of_zero_has_a_code_of_its_own_or_is_a_cause() -> None:
    """434 or 321; no order either way."""

    async def scenario(client: PlainClient) -> list[str]:
        client.order(1, "BUY", 0)
        await asyncio.sleep(1)
        return client.story(1)

    assert both("size_cause", scenario) == (["4 434"], ["4 321"])


def test_a_preset_says_that_it_set_the_time_in_force() -> None:
    """Without one the order is a DAY order either way; 10349 comes first and the order lives."""

    async def scenario(client: PlainClient) -> tuple[list[str], str]:
        client.order(1, "BUY", 100, "LMT", lmtPrice=FAR, tif="")
        client.order(2, "BUY", 100, "LMT", lmtPrice=FAR, tif="GTC")
        await asyncio.sleep(2)
        assert client.story(2)[0] == "5 PreSubmitted"
        return client.story(1), next(one["tif"] for one in client.replies("openOrder") if one["orderId"] == 1)

    told = ["5 PreSubmitted", "3 PreSubmitted", "5 Submitted", "3 Submitted"]
    assert both("preset_tif", scenario) == ((told, "DAY"), (["4 10349", *told], "DAY"))


@pytest.mark.parametrize(
    ("quantity", "kind", "tif", "code"),
    [(0.5, "MKT", "DAY", 0), (0.5, "MKT", "GTC", 10318), (0.5, "MOC", "DAY", 10318), (0.00001, "MKT", "DAY", 388)],
)
def test_fractions_are_refused_or_depend_on_the_order(quantity: float, kind: str, tif: str, code: int) -> None:
    """10243 for all; with the permission half a share fills, and what may not be cut has other codes."""

    async def scenario(client: PlainClient) -> list[int]:
        client.order(1, "BUY", quantity, kind, tif=tif)
        await asyncio.sleep(2)
        if not client.codes():
            assert [one["shares"] for one in client.replies("execDetails")] == [Decimal(str(quantity))]
        return client.codes()

    assert both("takes_fractions", scenario) == ([10243], [code] if code else [])


@pytest.mark.parametrize(
    ("conduct", "least"), [(Conduct(), Decimal(1)), (Conduct(takes_fractions=True), Decimal("0.0001"))]
)
def test_the_description_says_how_few_shares_an_order_may_be_for(conduct: Conduct, least: Decimal) -> None:
    """What it says is what orders are judged by; an instrument of 25 at least is so at either."""
    aapl = Instrument(con_id=265598, symbol="AAPL")
    assert least_size(aapl, takes_fractions=conduct.takes_fractions) == least
    few = replace(aapl, min_size=Decimal(25))

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.ask("reqContractDetails", reqId=1, **stock())
        await asyncio.sleep(1)
        (told,) = client.replies("contractDetails")
        assert (told["minSize"], told["sizeIncrement"], told["suggestedSizeIncrement"]) == (least, least, 100)

    on_a_gateway(scenario, conduct=conduct)
    for quantity, text in ((24, "Order size 24 is smaller than the minimum required size of 25."), (25, None)):
        ticket = Ticket(
            order_id=1,
            client_id=1,
            account="DU123456",
            instrument=few,
            action="SELL",
            quantity=Decimal(quantity),
            order_type="MKT",
        )
        refusal = refusal_of(ticket, conduct)
        assert (refusal.text if refusal else None) == text
        assert refusal is None or refusal.code == 388


def test_another_clients_order_is_unknown_or_can_be_cancelled() -> None:
    """10147; with the switch both clients hear of the end, each under its own id, as was recorded."""

    async def scenario(client: PlainClient) -> tuple[list[int], list[tuple[str, int]], list[str]]:
        client.order(1, "BUY", 100, "LMT", lmtPrice=FAR, tif="GTC")
        await asyncio.sleep(2)
        client.forget()
        other = await PlainClient.connect(2)
        other.ask("cancelOrder", orderId=1, manualOrderCancelTime="")
        await asyncio.sleep(2)
        heard = [(one["status"], one["clientId"]) for one in other.replies("orderStatus")]
        return other.codes(), heard, client.story(1)

    usual, other = both("foreign_cancel", scenario)
    assert usual == ([10147], [], [])
    told = ["5 PendingCancel", "3 PendingCancel", "3 Cancelled", "4 202"]
    assert other == ([202], [("PendingCancel", 2), ("Cancelled", 2)], told)


def test_the_cancel_of_no_query_has_a_code_of_its_own_or_is_a_cause() -> None:
    """366, or 322 around it."""

    async def scenario(client: PlainClient) -> list[tuple[int, int, bool]]:
        client.ask("cancelHistoricalData", reqId=9)
        await asyncio.sleep(1)
        ending = "No historical data query found for ticker id:9"
        errors = [one for one in client.replies("error") if one["errorCode"] not in FARMS]
        return [(one["errorCode"], one["reqId"], one["errorString"].endswith(ending)) for one in errors]

    assert both("cancel_cause", scenario) == ([(366, 9, True)], [(322, 9, True)])


@pytest.mark.parametrize(("keeps", "story"), [(True, "59"), (False, "4 10328")])
def test_an_order_sent_while_the_broker_is_away_is_kept_or_refused(keeps: bool, story: str) -> None:
    """Told at once where it is refused, and it is nowhere afterwards."""

    async def main(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        gateway.desk.lose_backend()
        client.order(1, "BUY", 1)
        await asyncio.sleep(1)
        assert client.story(1) == ([] if keeps else ["4 10328"])
        gateway.desk.restore_backend()
        await asyncio.sleep(2)
        assert client.story(1)[-1] == story and len(gateway.ledger.executions) == int(keeps)

    on_a_gateway(main, conduct=Conduct(keeps_orders=keeps))


def test_what_can_not_be_read_leaves_the_connection_or_ends_it() -> None:
    """320 either way."""

    async def scenario(client: PlainClient) -> tuple[list[int], bool]:
        client.write(frame(("62", "1", "AAPL", "All", "NetLiquidation")))
        await asyncio.sleep(1)
        return client.codes(), client.is_lost

    assert both("closes_on_unreadable", scenario) == (([320], False), ([320], True))


def test_switches_are_named_on_the_command_line() -> None:
    """Those named have their other value; what there is not gets one sentence with those there are."""
    assert conducted(()) == Conduct()
    assert conducted(("preset_tif", "master_client_id=7")) == Conduct(preset_tif=True, master_client_id=7)
    for wrong in ("preset", "master_client_id", "preset_tif=1", ""):
        with pytest.raises(UsageError, match=f"--conduct {wrong}: .* there are reason_first, .*bars_survive$"):
            conducted((wrong,))


def test_the_letters_in_errors_are_another_gateways_others() -> None:
    """They come from the seed, and the code's words around them stay."""
    found = set()

    async def main(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.ask("reqMarketDataType", marketDataType=9)
        await asyncio.sleep(1)
        (error,) = [one for one in client.replies("error") if one["errorCode"] == 321]
        said = re.fullmatch(r"Error validating request\.-'(b[A-Z])' : cause - .*", error["errorString"])
        assert said is not None
        found.add(said[1])

    for seed in range(8):
        on_a_gateway(main, seed=seed)
    assert len(found) > 2


def test_a_switched_gateway_takes_up_its_ledger(tmp_path: Path) -> None:
    """Every switch at its other value at once: a GTC order and its fill survive a restart."""
    path = tmp_path / "books.jsonl"
    conduct = Conduct(**{name: getattr(switched(name, master=5), name) for name in SWITCHES})

    async def first(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100, tif="")
        client.order(2, "BUY", 100, "LMT", lmtPrice=FAR, tif="GTC")
        await asyncio.sleep(2)
        assert client.story(1)[0] == "4 10349"

    async def second(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        await asyncio.sleep(1)
        assert client.story(2) == ["5 Submitted", "3 Submitted"]
        assert client.replies("nextValidId")[0]["orderId"] == 3

    on_a_gateway(first, ledger_path=path, conduct=conduct)
    on_a_gateway(second, ledger_path=path, conduct=conduct, at=JANUARY_3 + 30 * A_MINUTE)
