"""Each fault of a plan, shown by the frames that a plain client got while it was on."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from longwatch.gateway.app import Gateway
from longwatch.simulation.plan import FAULTS, Incident
from longwatch.simulation.trouble import ACTS, Played, Trouble
from longwatch.wire.framing import Frames
from longwatch.wire.replies import REPLIES
from tests.gateway.made import PlainClient, on_a_gateway, stock

PART_OF = {message.id: message.name for message in REPLIES}

Scenario = Callable[[Gateway, PlainClient], Awaitable[None]]


def play(scenario: Scenario, fault: str, **values: object) -> list[Played]:
    """Let a fault happen one second from now to a gateway with one client, who goes on with the scenario."""
    played: list[Played] = []

    async def main(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.forget()
        incident = Incident(at=gateway.desk.now() + timedelta(seconds=1), fault=fault, **values)  # type: ignore[arg-type]
        trouble = Trouble(gateway, iter([incident]))
        await asyncio.sleep(1.001)
        await scenario(gateway, client)
        played.extend(trouble.played)

    on_a_gateway(main)
    return played


def test_every_fault_of_a_plan_has_an_act() -> None:
    """The table of what can be written and the table of what is done name the same faults."""
    assert ACTS.keys() == FAULTS.keys()


def test_every_fault_and_every_part_of_one_is_shown_by_frames() -> None:
    """Each is named, fault and part together, by a test of this file that is more than a table."""
    named = [
        {one.value for one in ast.walk(test) if isinstance(one, ast.Constant) and isinstance(one.value, str)}
        for test in ast.parse(Path(__file__).read_text()).body
        if isinstance(test, ast.FunctionDef) and test.name.startswith("test_")
    ]
    wanted = [{fault, *([part] if part else [])} for fault, one in FAULTS.items() for part in one.parts or ("",)]
    assert [one for one in wanted if not any(one <= words for words in named)] == []


@pytest.mark.parametrize("fault", ["refuse", "restart", "login_wait"])
def test_a_gateway_that_is_away_cuts_and_refuses_until_it_is_back(fault: str) -> None:
    """The connection is reset, new ones are refused, and after the time given they are taken."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        await asyncio.sleep(0.1)
        assert client.is_lost
        with pytest.raises(ConnectionRefusedError):
            await PlainClient.connect()
        await asyncio.sleep(130)
        assert (await PlainClient.connect()).replies("nextValidId")

    (played,) = play(scenario, fault, seconds=120.0)
    assert played.ended is not None
    assert abs(played.ended - played.began - timedelta(seconds=120)) < timedelta(milliseconds=1)


def test_a_restarted_gateway_has_forgotten_executions_but_not_ids_or_orders() -> None:
    """nextValidId goes on, the resting order is there, the position too; reqExecutions shows nothing."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        await asyncio.sleep(130)
        again = await PlainClient.connect()
        assert again.replies("nextValidId") == [{"orderId": 3}]
        for request in ("reqOpenOrders", "reqPositions"):
            again.ask(request)
        again.ask("reqExecutions", reqId=1)
        await asyncio.sleep(0.1)
        assert [one["orderId"] for one in again.replies("openOrder")] == [2]
        assert [one["position"] for one in again.replies("position")] == [100]
        assert again.replies("execDetails") == []

    async def main(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100)
        client.order(2, "BUY", 100, "LMT", lmtPrice=Decimal("50.00"))
        await asyncio.sleep(2)
        Trouble(gateway, iter([Incident(at=gateway.desk.now(), fault="restart", seconds=120.0)]))
        await scenario(gateway, client)

    on_a_gateway(main)


def test_silence_meets_who_connects_then() -> None:
    """The old connection is cut; the new one is taken and never answered; later all is well."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        await asyncio.sleep(0.1)
        assert client.is_lost
        silent = await PlainClient.connect()
        await asyncio.sleep(30)
        assert silent.received == b""
        await asyncio.sleep(31)
        assert silent.is_lost
        assert (await PlainClient.connect()).replies("nextValidId")

    play(scenario, "silent", seconds=60.0)


def test_a_cut_connection_ends_in_mid_message() -> None:
    """Nine more bytes come of an answer that has more."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        before = len(client.received)
        client.ask("reqCurrentTime")
        await asyncio.sleep(0.1)
        assert client.is_lost
        assert len(client.received) - before == 9

    play(scenario, "cut", count=9)


def test_a_half_open_connection_is_reset_when_it_could_be_heard_again() -> None:
    """Nothing passes; what was lost meanwhile TCP would never lose, so the connection does not live on."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        client.ask("reqCurrentTime")
        await asyncio.sleep(20)
        assert client.heard == [] and not client.is_lost
        await asyncio.sleep(15)
        assert client.is_lost

    play(scenario, "half_open", seconds=30.0)


def test_what_is_said_of_orders_comes_late() -> None:
    """The first word of an order comes seven seconds after it would."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        sent = asyncio.get_running_loop().time()
        client.order(1, "BUY", 100)
        await asyncio.sleep(20)
        assert client.heard[0][0] - sent == pytest.approx(7.558, abs=0.05)
        assert client.story(1)[-1] == "59"

    play(scenario, "delay", seconds=60.0, by=7.0)


def test_what_is_said_of_orders_is_said_twice() -> None:
    """Every message comes as a pair; the execution has one id."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        client.order(1, "BUY", 100)
        await asyncio.sleep(2)
        story = client.story(1)
        assert story[::2] == story[1::2] and len(story) > 8
        assert len({one["execId"] for one in client.replies("execDetails")}) == 1
        assert len(gateway.ledger.executions) == 1

    play(scenario, "duplicate", seconds=60.0)


def test_messages_about_orders_overtake_each_other() -> None:
    """The same messages as ever, in another order."""
    stories: list[list[str]] = []

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        client.order(1, "BUY", 100)
        await asyncio.sleep(10)
        stories.append(client.story(1))

    play(scenario, "reorder", seconds=60.0, by=4.0)
    play(scenario, "clock_skew", seconds=60.0)
    mixed, usual = stories
    assert mixed != usual and sorted(mixed) == sorted(usual)


def test_a_lost_acknowledgement_leaves_an_order_unheard_of_until_it_fills() -> None:
    """A resting order: nothing. A filled one: its execution and what follows. The next order is acknowledged again."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        client.order(1, "BUY", 100, "LMT", lmtPrice=Decimal("50.00"))
        client.order(2, "BUY", 100)
        client.order(3, "BUY", 100, "LMT", lmtPrice=Decimal("50.00"))
        await asyncio.sleep(5)
        assert client.story(1) == []
        assert client.story(2)[0].startswith("11 ") and client.story(2)[-1] == "59"
        assert client.story(3)[0] == "5 PreSubmitted"

    play(scenario, "lose_acknowledgement", count=2)


def test_a_lost_order_is_in_no_book() -> None:
    """Nothing is said, no download shows it, its cancel is answered 10147."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        client.order(1, "BUY", 100)
        await asyncio.sleep(5)
        client.ask("reqOpenOrders")
        client.ask("reqCompletedOrders", apiOnly=False)
        client.ask("cancelOrder", orderId=1)
        await asyncio.sleep(1)
        assert client.names() == ["openOrderEnd", "completedOrdersEnd", "error"]
        assert client.codes() == [10147]
        assert not gateway.ledger.executions

    play(scenario, "lose_order", count=1)


@pytest.mark.parametrize(("part", "orders"), [("unread", 0), ("taken", 1)])
def test_a_connection_that_ends_as_an_order_arrives(part: str, orders: int) -> None:
    """The client can't tell which: the order was lost with the connection, or it was not."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        client.order(1, "BUY", 100)
        await asyncio.sleep(5)
        assert client.is_lost and client.heard == []
        assert len(gateway.ledger.executions) == orders

    play(scenario, "cut_at_order", part=part)


def test_orders_and_cancels_wait_behind_a_dialog() -> None:
    """Not a word while the window is open; then the order goes, and so does its cancel."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        client.order(1, "BUY", 100, "LMT", lmtPrice=Decimal("50.00"))
        client.ask("cancelOrder", orderId=1)
        await asyncio.sleep(50)
        assert client.heard == []
        await asyncio.sleep(15)
        assert client.story(1)[-2:] == ["3 Cancelled", "4 202"]

    play(scenario, "dialog", seconds=60.0)


@pytest.mark.parametrize(
    ("part", "down", "code"), [("kept", [1100], 1102), ("lost", [1100], 1101), ("login", [1100, 2110], 1102)]
)
def test_the_backend_goes_and_comes(part: str, down: list[int], code: int) -> None:
    """1100, 2110 when the log-in server is lost too, and every farm broken; then the farms, and 1102 or 1101."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        await asyncio.sleep(45)
        told = [one["errorCode"] for one in client.replies("error")]
        assert told == [*down, 2103, 2103, 2105, 2157, 2104, 2104, 2106, 2158, code]

    play(scenario, "backend", seconds=30.0, part=part)


@pytest.mark.parametrize(("part", "code"), [("kept", 1102), ("lost", 1101)])
def test_a_nightly_reset_says_1100_again_and_again_on_an_open_socket(part: str, code: int) -> None:
    """And 1102 or 1101 at its end."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        await asyncio.sleep(121)
        assert client.codes() == [1100] * 5 + [code]
        assert not client.is_lost

    play(scenario, "nightly_reset", seconds=120.0, part=part)


HISTORY = {"barSize": "1 min", "duration": "600 S", "whatToShow": "TRADES", **stock()}
TICKS = {"numberOfTicks": 5, "whatToShow": "TRADES", **stock()}


@pytest.mark.parametrize(
    ("part", "codes", "silenced"),
    [
        ("usfarm", (2103, 2104), set()),
        ("cashfarm", (2103, 2104), set()),
        ("ushmds", (2105, 2106), {"historicalData", "historicalTicksLast"}),
        ("secdefnj", (2157, 2158), {"contractDetails", "symbolSamples"}),
    ],
)
def test_a_farm_goes_and_comes(part: str, codes: tuple[int, int], silenced: set[str]) -> None:
    """It is told broken, then connected; what it serves is unanswered in between, all else is answered."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        for wait in (30, 10):
            client.ask("reqHistoricalData", reqId=1, **HISTORY)
            client.ask("reqHistoricalTicks", reqId=2, startDateTime="20070103-14:30:00", **TICKS)
            client.ask("reqContractDetails", reqId=3, **stock())
            client.ask("reqMatchingSymbols", reqId=4, pattern="AA")
            await asyncio.sleep(wait)
        replies = {"historicalData": 2, "historicalTicksLast": 2, "contractDetails": 2, "symbolSamples": 2}
        assert {name: client.names().count(name) for name in replies} == replies | dict.fromkeys(silenced, 1)
        told = [(one["errorCode"], one["errorString"].rpartition(":")[2]) for one in client.replies("error")]
        assert told == [(codes[0], part), (codes[1], part)]

    play(scenario, "farm", seconds=20.0, part=part)


def test_a_history_that_is_under_way_when_its_farm_breaks_never_comes() -> None:
    """It was asked for before; the farm had not answered yet."""

    async def main(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.ask("reqHistoricalData", reqId=1, **HISTORY)
        Trouble(gateway, iter([Incident(at=gateway.desk.now(), fault="farm", seconds=5.0, part="ushmds")]))
        await asyncio.sleep(30)
        assert not client.replies("historicalData")

    on_a_gateway(main)


def test_a_fill_that_is_told_to_nobody() -> None:
    """It is in the books, and no message has it; the next one is told."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        client.order(1, "BUY", 100)
        await asyncio.sleep(2)
        client.ask("reqExecutions", reqId=1)
        client.order(2, "BUY", 100)
        await asyncio.sleep(2)
        assert client.story(1) == ["5 PreSubmitted", "3 PreSubmitted"] and client.story(2)[-1] == "59"
        assert len(gateway.ledger.executions) == 2 and len(client.replies("execDetails")) == 1

    (played,) = play(scenario, "lose_fill", count=1)
    assert len(played.struck) == 1


def test_a_fill_is_taken_back() -> None:
    """Told as ever, then the position is as before it, and the executions have it no more; the next fill stays."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        client.ask("reqPositions")
        client.order(1, "BUY", 100)
        await asyncio.sleep(2)
        assert client.story(1)[-1] == "59" and client.replies("position")[-1]["position"] == 100
        await asyncio.sleep(8)
        assert client.replies("position")[-1]["position"] == 0
        client.order(2, "BUY", 30)
        await asyncio.sleep(10)
        client.forget()
        client.ask("reqExecutions", reqId=1)
        await asyncio.sleep(1)
        assert [one["shares"] for one in client.replies("execDetails")] == [30]
        gateway.ledger.check("DU123456")

    (played,) = play(scenario, "bust", count=1)
    assert len(played.struck) == 1


def test_a_client_id_in_use_is_turned_away() -> None:
    """326 and the end, until the id is free."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        await asyncio.sleep(0.1)
        turned_away = await PlainClient.connect()
        assert turned_away.codes() == [326] and turned_away.is_lost
        await asyncio.sleep(30)
        assert (await PlainClient.connect()).replies("nextValidId")

    play(scenario, "id_taken", seconds=30.0)


def test_a_competing_session_takes_market_data_away() -> None:
    """10197 on a stream, on a new request, 162 on history; later all of them are answered."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        client.ask("reqMktData", reqId=2, **stock())
        client.ask("reqHistoricalData", reqId=3, barSize="1 day", duration="1 D", whatToShow="TRADES", **stock())
        await asyncio.sleep(3)
        assert [(one["reqId"], one["errorCode"]) for one in client.replies("error")] == [(2, 10197), (3, 162)]
        await asyncio.sleep(60)
        client.ask("reqMktData", reqId=4, **stock())
        await asyncio.sleep(1)
        assert client.replies("tickPrice")

    play(scenario, "competing_session", seconds=60.0)


def test_a_running_stream_is_ended_by_a_competing_session() -> None:
    """The client is told by the request's id, and no quote follows."""

    async def main(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.ask("reqMktData", reqId=1, **stock())
        await asyncio.sleep(1)
        client.forget()
        Trouble(gateway, iter([Incident(at=gateway.desk.now(), fault="competing_session", seconds=3600.0)]))
        await asyncio.sleep(3000)
        assert [(one["reqId"], one["errorCode"]) for one in client.replies("error")] == [(1, 10197)]
        assert not client.replies("tickPrice")

    on_a_gateway(main)


def test_delayed_data_and_no_others() -> None:
    """10168 for live quotes; who asks for delayed ones gets them."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        client.ask("reqMktData", reqId=1, **stock())
        client.ask("reqMarketDataType", marketDataType=3)
        client.ask("reqMktData", reqId=2, **stock())
        await asyncio.sleep(1)
        assert [(one["reqId"], one["errorCode"]) for one in client.replies("error")] == [(1, 10168), (2, 10167)]
        assert {one["reqId"]: one["marketDataType"] for one in client.replies("marketDataType")} == {2: 3}

    play(scenario, "delayed_only", seconds=60.0)


@pytest.mark.parametrize(
    ("part", "request_name", "asked"),
    [
        ("positionEnd", "reqPositions", {}),
        ("openOrderEnd", "reqAllOpenOrders", {}),
        ("completedOrdersEnd", "reqCompletedOrders", {}),
        ("execDetailsEnd", "reqExecutions", {"reqId": 1}),
        ("accountSummaryEnd", "reqAccountSummary", {"reqId": 1, "tags": "NetLiquidation"}),
    ],
)
def test_a_download_without_end(part: str, request_name: str, asked: dict[str, object]) -> None:
    """The rows come, the end mark does not until the fault is over."""
    row = part.removesuffix("End").replace("completedOrders", "completedOrder")

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        client.order(1, "BUY", 1)
        client.order(2, "BUY", 1, "LMT", lmtPrice=Decimal("50.00"))
        await asyncio.sleep(5)
        found = []
        for wait in (60, 1):
            client.forget()
            client.ask(request_name, **asked)
            await asyncio.sleep(1)
            found.append((bool(client.replies(row)), client.names().count(part)))
            if part == "accountSummaryEnd":
                client.ask("cancelAccountSummary", reqId=1)
            await asyncio.sleep(wait)
        assert found == [(True, 0), (True, 1)]

    play(scenario, "endless_download", seconds=60.0, part=part)


@pytest.mark.parametrize(
    ("part", "request_name", "asked"),
    [
        ("orderStatus", "reqAllOpenOrders", {}),
        ("openOrder", "reqAllOpenOrders", {}),
        ("position", "reqPositions", {}),
        ("completedOrder", "reqCompletedOrders", {}),
        ("execDetails", "reqExecutions", {"reqId": 1}),
        ("accountSummary", "reqAccountSummary", {"reqId": 1, "tags": "NetLiquidation"}),
        ("historicalData", "reqHistoricalData", {"reqId": 1, **HISTORY}),
    ],
)
def test_a_row_with_rubbish_in_it(part: str, request_name: str, asked: dict[str, object]) -> None:
    """The next row has no number where one belongs, in that message alone; the one after it is sound."""

    async def main(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 1)
        client.order(2, "BUY", 1, "LMT", lmtPrice=Decimal("50.00"))
        await asyncio.sleep(2)
        Trouble(gateway, iter([Incident(at=gateway.desk.now(), fault="unreadable_row", count=1, part=part)]))
        await asyncio.sleep(0.1)
        got: list[bytes] = []
        client.data_received = got.append  # type: ignore[method-assign]
        spoiled = []
        for _ in range(2):
            got.clear()
            client.ask(request_name, **asked)
            await asyncio.sleep(2)
            payloads = Frames().feed(b"".join(got))
            spoiled.append([PART_OF[int(one.split(b"\0")[0])] for one in payloads if b"not-a-number" in one])
            if part == "accountSummary":
                client.ask("cancelAccountSummary", reqId=1)
        assert spoiled == [[part], []]

    on_a_gateway(main)


def test_a_commission_that_is_not_told() -> None:
    """The first fill's never comes by itself, only with the executions; the second one's does."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        client.order(1, "BUY", 100)
        client.order(2, "BUY", 100)
        await asyncio.sleep(3)
        assert ("59" in client.story(1), "59" in client.story(2)) == (False, True)
        client.ask("reqExecutions", reqId=1)
        await asyncio.sleep(1)
        assert len({one["execId"] for one in client.replies("commissionReport")}) == 2

    play(scenario, "lose_commission", count=1)


def test_a_commission_that_comes_late() -> None:
    """A minute after its fill."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        client.order(1, "BUY", 100)
        await asyncio.sleep(30)
        assert "59" not in client.story(1)
        await asyncio.sleep(40)
        assert client.story(1)[-1] == "59"

    play(scenario, "late_commission", seconds=10.0, by=60.0)


def test_a_fill_is_corrected() -> None:
    """A second execution with the next revision in its id, a cent worse; books and downloads know it alone."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        client.order(1, "BUY", 100)
        await asyncio.sleep(10)
        first, second = client.replies("execDetails")
        assert (first["execId"][-2:], second["execId"][-2:]) == ("01", "02")
        assert first["execId"][:-2] == second["execId"][:-2]
        assert Decimal(str(second["price"])) - Decimal(str(first["price"])) == Decimal("0.01")
        client.forget()
        client.ask("reqExecutions", reqId=1)
        await asyncio.sleep(1)
        assert [one["execId"] for one in client.replies("execDetails")] == [second["execId"]]
        gateway.ledger.check("DU123456")

    play(scenario, "correct_fill", count=1)


def test_the_status_comes_before_its_order() -> None:
    """3 goes before 5, all along."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        client.order(1, "BUY", 100, "LMT", lmtPrice=Decimal("50.00"))
        await asyncio.sleep(2)
        assert client.story(1) == ["3 PreSubmitted", "5 PreSubmitted", "3 Submitted", "5 Submitted"]

    play(scenario, "status_first", seconds=60.0)


@pytest.mark.parametrize(("part", "code"), [("10349", 10349), ("unknown", 19999)])
def test_a_notice_about_a_live_order(part: str, code: int) -> None:
    """Once, after the acknowledgement, and the order lives on."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        client.order(1, "BUY", 100, "LMT", lmtPrice=Decimal("50.00"))
        await asyncio.sleep(2)
        assert client.story(1) == ["5 PreSubmitted", "3 PreSubmitted", f"4 {code}", "5 Submitted", "3 Submitted"]

    play(scenario, "notice", seconds=60.0, part=part)


def test_the_gateways_clock_is_ahead() -> None:
    """By what is said, for as long."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        for wait in (10, 60):
            client.ask("reqCurrentTime")
            await asyncio.sleep(wait)
        client.ask("reqCurrentTime")
        await asyncio.sleep(1)
        now = gateway.desk.now().timestamp()
        ahead = [round(one["time"] - now) for one in client.replies("currentTime")]
        assert ahead[0] - ahead[2] == pytest.approx(40 - 70, abs=2)

    play(scenario, "clock_skew", seconds=30.0, by=40.0)


def test_a_fault_that_waits_for_an_order_comes_with_it() -> None:
    """Armed at its instant, it begins so many seconds after the next order and not before."""
    begun: list[float] = []

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(100)
        assert not gateway.faults.duplicate
        client.order(1, "BUY", 100)
        begun.append(loop.time() + 0.3)
        await asyncio.sleep(0.31)
        assert gateway.faults.duplicate

    (played,) = play(scenario, "duplicate", seconds=60.0, after="order", wait=0.3)
    assert played.incident.wait == 0.3


def test_from_the_quiet_instant_on_nothing_is_wrong() -> None:
    """What lasts is ended, what waits for an order never comes."""

    async def main(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        now = gateway.desk.now()
        incidents = [
            Incident(at=now + timedelta(seconds=1), fault="backend", seconds=3600.0),
            Incident(at=now + timedelta(seconds=2), fault="cut", after="order", count=1),
            Incident(at=now + timedelta(seconds=90), fault="refuse", seconds=60.0),
        ]
        trouble = Trouble(gateway, iter(incidents), until=now + timedelta(seconds=60))
        await asyncio.sleep(61)
        assert client.codes() == [1100, 1102]
        client.order(1, "BUY", 100)
        await asyncio.sleep(100)
        assert client.story(1)[-1] == "59" and not client.is_lost
        assert [one.incident.fault for one in trouble.played] == ["backend"]

    on_a_gateway(main)


def test_a_server_version_that_comes_late() -> None:
    """Nothing for twenty seconds, then the handshake goes on as ever."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        await asyncio.sleep(0.1)
        assert client.is_lost
        slow = await PlainClient.connect()
        await asyncio.sleep(19)
        assert slow.received == b""
        await asyncio.sleep(2)
        assert slow.replies("nextValidId")

    play(scenario, "slow_greeting", seconds=60.0, by=20.0)


@pytest.mark.parametrize(("part", "other"), [("nextValidId", "managedAccounts"), ("managedAccounts", "nextValidId")])
def test_half_of_the_welcome_is_missing(part: str, other: str) -> None:
    """9 or 15 does not come, the other one does; who connects later hears both."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        await asyncio.sleep(0.1)
        again = await PlainClient.connect()
        await asyncio.sleep(10)
        assert not again.replies(part) and again.replies(other)
        again.close()
        await asyncio.sleep(60)
        assert (await PlainClient.connect()).replies(part)

    play(scenario, "no_welcome", seconds=60.0, part=part)


def test_a_next_order_id_lower_than_one_used() -> None:
    """It is 1 again; an order under a used id is refused with 103; later the true one is told."""

    async def main(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(7, "BUY", 1)
        await asyncio.sleep(2)
        Trouble(gateway, iter([Incident(at=gateway.desk.now(), fault="low_next_id", seconds=60.0)]))
        await asyncio.sleep(1)
        again = await PlainClient.connect()
        assert again.replies("nextValidId") == [{"orderId": 1}]
        again.order(1, "BUY", 1)
        await asyncio.sleep(2)
        assert again.story(1) == ["4 103"]
        await asyncio.sleep(60)
        again.forget()
        again.ask("reqIds", numIds=1)
        await asyncio.sleep(0.1)
        assert again.replies("nextValidId") == [{"orderId": 8}]

    on_a_gateway(main)


@pytest.mark.parametrize(
    ("part", "request_name"),
    [
        ("position", "reqPositions"),
        ("openOrder", "reqOpenOrders"),
        ("execDetails", "reqExecutions"),
        ("completedOrder", "reqCompletedOrders"),
    ],
)
def test_a_download_that_lacks_a_row(part: str, request_name: str) -> None:
    """One row less than there is, with its end mark; the next download is whole."""

    async def main(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 1)
        client.order(2, "BUY", 1, "LMT", lmtPrice=Decimal("50.00"))
        await asyncio.sleep(2)
        Trouble(gateway, iter([Incident(at=gateway.desk.now(), fault="missing_row", count=1, part=part)]))
        await asyncio.sleep(0.1)
        found = []
        for _ in range(2):
            client.forget()
            client.ask(request_name, **({"reqId": 1} if part == "execDetails" else {}))
            await asyncio.sleep(0.1)
            found.append(len(client.replies(part)))
            assert any(name.endswith("End") for name in client.names())
        assert found == [0, 1]

    on_a_gateway(main)


def test_a_live_execution_is_no_row_of_a_download() -> None:
    """A row is missing from the next download, not from what is told as it happens."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        client.order(1, "BUY", 1)
        await asyncio.sleep(2)
        assert len(client.replies("execDetails")) == 1

    play(scenario, "missing_row", count=1, part="execDetails")


@pytest.mark.parametrize(
    ("part", "name", "figure"),
    [
        ("position", "position", "avgCost"),
        ("openOrder", "openOrder", "auxPrice"),
        ("orderStatus", "orderStatus", "avgFillPrice"),
        ("execDetails", "execDetails", "avgPrice"),
        ("commissionReport", "commissionReport", "commission"),
        ("accountSummary", "accountSummary", "value"),
    ],
)
def test_figures_that_are_sentinels(part: str, name: str, figure: str) -> None:
    """The largest double stands where a figure belongs, once; the next message has its figure again."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        client.order(1, "BUY", 1)
        client.order(2, "BUY", 1)
        await asyncio.sleep(2)
        client.ask("reqPositions")
        client.ask("reqPositions")
        client.ask("reqAccountSummary", reqId=1, tags="NetLiquidation,TotalCashValue")
        await asyncio.sleep(1)
        sentinel = b"1.7976931348623157E308"
        payloads = [
            raw
            for raw, (_, reply) in zip(client.raw[-len(client.heard) :], client.heard, strict=True)
            if reply.name == name
        ]
        marked = [sentinel in payload for payload in payloads]
        assert len(payloads) > 1 and marked[0]
        values = client.replies(name)
        assert values[0][figure] in {None, sentinel.decode()} and values[-1][figure] not in {None, sentinel.decode()}

    play(scenario, "unset_figures", count=1, part=part)


def test_quotes_without_prices() -> None:
    """Bid and ask are -1 with no size; afterwards they come again."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        client.ask("reqMktData", reqId=1, **stock())
        await asyncio.sleep(1)
        sides = [(one["tickType"], one["price"], one["size"]) for one in client.replies("tickPrice")]
        assert [one for one in sides if one[0] in (1, 2)] == [(1, -1, 0), (2, -1, 0)]
        client.forget()
        await asyncio.sleep(1800)
        assert {one["tickType"] for one in client.replies("tickPrice") if one["price"] > 0} >= {1, 2}

    play(scenario, "no_prices", seconds=60.0)


def test_an_execution_that_comes_after_its_status() -> None:
    """3 Filled is heard first, and 11 half a minute later, once."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        client.order(1, "BUY", 100)
        await asyncio.sleep(60)
        story = [line.split("@")[0] for line in client.story(1)]
        assert story.index("3 Filled") < story.index("11 100") and story.count("11 100") == 1

    play(scenario, "late_execution", seconds=10.0, by=30.0)


def test_a_cancel_that_is_told_by_its_code_alone() -> None:
    """202 comes, a status does not; the next cancel is told by both."""

    async def scenario(gateway: Gateway, client: PlainClient) -> None:
        for number in (1, 2):
            client.order(number, "BUY", 1, "LMT", lmtPrice=Decimal("50.00"))
        await asyncio.sleep(2)
        client.forget()
        for number in (1, 2):
            client.ask("cancelOrder", orderId=number)
            await asyncio.sleep(2)
        assert client.story(1)[-1] == "4 202" and "3 Cancelled" not in client.story(1)
        assert client.story(2)[-2:] == ["3 Cancelled", "4 202"]

    play(scenario, "only_202", count=1)
