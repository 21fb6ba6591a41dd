"""Account downloads: whole, or failed with a reason; empty and failed are never confused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.orders import OrderType
from longwatch.gateway.app import Gateway
from tests.broker.bench import (
    ACCOUNT,
    Bench,
    Script,
    Scripted,
    an_empty_account,
    order,
    with_gateway,
    with_script,
)

PARTS = {
    "positions": "positions",
    "open orders": "open_perm_ids",
    "completed orders": "completed_perm_ids",
    "executions": "exec_ids",
    "account": "net_liquidation",
}
REQUESTS = {
    "positions": "reqPositions",
    "open orders": "reqAllOpenOrders",
    "completed orders": "reqCompletedOrders",
    "executions": "reqExecutions",
    "account": "reqAccountSummary",
}
UNNUMBERED = ["positions", "open orders", "completed orders"]


def say(name: str, **values: object) -> Callable[[Scripted], None]:
    return lambda gateway: gateway.say(name, **values)


def position(con_id: int = 1, quantity: str = "10", account: str = ACCOUNT) -> dict[str, object]:
    return {
        "account": account,
        "conId": con_id,
        "symbol": "AAPL",
        "secType": "STK",
        "currency": "USD",
        "position": Decimal(quantity),
        "avgCost": Decimal("99.5"),
    }


def snapshot_of(script: Script, **changed: object) -> m.SnapshotSeen:
    async def work(bench: Bench, script: Script) -> m.SnapshotSeen:
        await bench.up()
        return await bench.inbox.until(m.SnapshotSeen)

    return with_script(work, script, **changed)


def test_an_empty_account_is_a_whole_snapshot() -> None:
    """Nothing there is an answer: every part is empty, none has failed."""
    snapshot = snapshot_of(an_empty_account())
    assert snapshot.failures == ()
    assert (snapshot.positions, snapshot.open_perm_ids, snapshot.completed_perm_ids, snapshot.exec_ids) == ((),) * 4
    assert (snapshot.net_liquidation, snapshot.cash) == (Decimal("1000"), Decimal("1000"))


def test_a_snapshot_lists_what_the_gateway_holds() -> None:
    """After a fill and a resting order the snapshot shows both, and the rows came before it as events."""

    async def work(bench: Bench, gateway: Gateway) -> None:
        await bench.synced()
        aapl = bench.inbox.of(m.InstrumentsSeen)[0].instruments[0]
        bench.broker.submit(order(1, order_id=90_000, instrument=aapl))
        limit = {"order_type": OrderType.LIMIT, "limit_price": Decimal("1.00"), "tif": "GTC"}
        bench.broker.submit(order(2, order_id=90_001, instrument=aapl, **limit))
        await bench.inbox.until(m.CommissionSeen)
        await bench.inbox.until(m.OpenOrderSeen, 4)
        bench.broker.request_snapshot("test")
        snapshot = await bench.inbox.until(m.SnapshotSeen, 2)
        assert snapshot.reason == "test"
        assert [(row.symbol, row.quantity) for row in snapshot.positions or ()] == [("AAPL", Decimal(100))]
        filled = bench.inbox.of(m.ExecutionSeen)[0]
        resting = next(each for each in bench.inbox.of(m.OpenOrderSeen) if each.order_id == 90_001)
        assert snapshot.exec_ids == (filled.exec_id,)
        assert snapshot.open_perm_ids == (resting.perm_id,)
        assert snapshot.completed_perm_ids == (filled.perm_id,)
        assert snapshot.cash == gateway.ledger.accounts[ACCOUNT].cash
        before = bench.inbox.events.index(snapshot)
        assert any(isinstance(each, m.CompletedOrderSeen) for each in bench.inbox.events[:before])

    with_gateway(work)


@pytest.mark.parametrize("part", PARTS)
def test_a_missing_end_mark_fails_its_part_at_the_deadline(part: str) -> None:
    """What never ends is None with the reason, the other parts are whole (C38)."""
    script = an_empty_account()
    if part == "account":
        script.answers["reqAccountSummary"] = lambda gateway, values: None
    else:
        del script.answers[REQUESTS[part]]
    snapshot = snapshot_of(script, download_seconds=5.0)
    assert snapshot.failures == ((part, "no end mark within 5 s"),)
    assert getattr(snapshot, PARTS[part]) is None
    assert all(getattr(snapshot, field) is not None for other, field in PARTS.items() if other != part)


@pytest.mark.parametrize("part", PARTS)
def test_a_download_without_an_id_that_times_out_ends_the_connection(part: str) -> None:
    """A late end mark would close the next request early: the connection is dropped. One with an id may stay."""
    script = an_empty_account()
    del script.answers[REQUESTS[part]]

    async def work(bench: Bench, script: Script) -> list[m.LinkLost]:
        await bench.up()
        await bench.inbox.until(m.SnapshotSeen)
        await asyncio.sleep(0.1)
        return bench.inbox.of(m.LinkLost)

    losses = with_script(work, script, download_seconds=5.0)
    expected = [f"the gateway did not end its download of {part} within 5 s"] if part in UNNUMBERED else []
    assert [each.reason for each in losses] == expected


SPOILT = {
    "positions": ("61", "3", ACCOUNT, "4711", "AAPL", "STK", "", "0", "", "", "", "USD", "", "", "many", "1"),
    "open orders": ("5", "1", "4711", "AAPL"),
    "completed orders": ("101", "4711", "AAPL", "STK"),
    "executions": ("11", "-1", "3", "4711", "AAPL", "STK"),
    "account": ("63", "1", "{id}", ACCOUNT, "NetLiquidation", "plenty", "USD"),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_row_that_cannot_be_decoded_fails_its_part_and_is_kept_raw(part: str) -> None:
    """One spoilt row: the part is None, never a shorter list; the row is told with its contract (C39)."""
    script = an_empty_account()
    whole = script.answers[REQUESTS[part]]

    def spoilt(gateway: Scripted, values: dict[str, object]) -> None:
        gateway.raw(*(text.replace("{id}", str(values.get("reqId"))) for text in SPOILT[part]))
        whole(gateway, values)

    script.answers[REQUESTS[part]] = spoilt

    async def work(bench: Bench, script: Script) -> tuple[m.SnapshotSeen, list[m.MessageUndecodable]]:
        await bench.up()
        return await bench.inbox.until(m.SnapshotSeen), bench.inbox.of(m.MessageUndecodable)

    snapshot, undecodable = with_script(work, script)
    assert [each[0] for each in snapshot.failures] == [part]
    assert "a row could not be decoded" in snapshot.failures[0][1]
    assert getattr(snapshot, PARTS[part]) is None
    assert [each.message_id for each in undecodable] == [int(SPOILT[part][0])]
    assert undecodable[0].con_id == (None if part == "account" else 4711)
    assert undecodable[0].raw[0] == SPOILT[part][0]


@pytest.mark.parametrize("part", ["executions", "account"])
def test_an_error_fails_the_download_it_answers_at_once(part: str) -> None:
    """An error with the request's id ends that part with the gateway's words."""
    script = an_empty_account()
    script.answers[REQUESTS[part]] = lambda gateway, values: gateway.say(
        "error", reqId=values["reqId"], errorCode=322, errorString="Error processing request"
    )
    snapshot = snapshot_of(script)
    assert snapshot.failures == ((part, "Error processing request (322)"),)


def test_an_error_without_an_id_is_quoted_when_a_download_times_out() -> None:
    """A read-only API answers a download without id by an error about nothing: the failure repeats it."""
    script = an_empty_account()
    script.answers["reqCompletedOrders"] = lambda gateway, values: gateway.say(
        "error", reqId=-1, errorCode=321, errorString="The API interface is currently in Read-Only mode."
    )
    snapshot = snapshot_of(script, download_seconds=5.0)
    reason = "no end mark within 5 s; the gateway said: The API interface is currently in Read-Only mode. (321)"
    assert snapshot.failures == (("completed orders", reason),)


def test_a_figure_that_is_missing_fails_the_account() -> None:
    """An account summary that ends without its figures is no account of zero."""
    script = an_empty_account()
    script.answers["reqAccountSummary"] = lambda gateway, values: gateway.say(
        "accountSummaryEnd", reqId=values["reqId"]
    )
    snapshot = snapshot_of(script)
    assert snapshot.failures == (
        ("account", f"the broker gave no NetLiquidation and no TotalCashValue for account {ACCOUNT}"),
    )
    assert (snapshot.net_liquidation, snapshot.cash) == (None, None)


def test_rows_of_another_account_are_left_out() -> None:
    """With several accounts behind one login, only ours is compared."""
    script = an_empty_account()

    def positions(gateway: Scripted, values: dict[str, object]) -> None:
        gateway.say("position", **position(1, "10"))
        gateway.say("position", **position(2, "99", account="DU999"))
        gateway.say("positionEnd")

    script.answers["reqPositions"] = positions
    rows = snapshot_of(script).positions
    found = [(row.con_id, row.quantity, row.average_cost, row.sec_type) for row in rows or ()]
    assert found == [(1, Decimal(10), Decimal("99.5"), "STK")]


def test_a_position_outside_a_download_is_news() -> None:
    """Message 61 belongs to the download while one runs, and is an event after it."""

    async def work(bench: Bench, script: Script) -> None:
        await bench.synced()
        assert bench.inbox.of(m.PositionSeen) == []
        script.connections[0].say("position", **position(1, "-0.5"))
        seen = await bench.inbox.until(m.PositionSeen)
        assert (seen.account, seen.con_id, seen.quantity, seen.sec_type) == (ACCOUNT, 1, Decimal("-0.5"), "STK")

    with_script(work, an_empty_account())


def test_requests_during_a_round_are_joined_with_it() -> None:
    """One of a kind in flight: ten wishes for a snapshot make one download, a later one another."""

    async def work(bench: Bench, script: Script) -> None:
        await bench.up()
        for _ in range(10):
            bench.broker.request_snapshot("again")
        await bench.inbox.until(m.SnapshotSeen)
        assert script.names().count("reqPositions") == 1
        bench.broker.request_snapshot("later")
        assert (await bench.inbox.until(m.SnapshotSeen, 2)).reason == "later"
        assert [script.names().count(name) for name in REQUESTS.values()] == [2] * 5

    with_script(work, an_empty_account())


def test_account_summaries_are_cancelled() -> None:
    """Only two summaries may be open at a time: each is cancelled when it has ended."""

    async def work(bench: Bench, script: Script) -> None:
        await bench.synced()
        for count in range(2, 6):
            bench.broker.request_snapshot("again")
            await bench.inbox.until(m.SnapshotSeen, count)
        await asyncio.sleep(1.0)
        asked = [values["reqId"] for name, values in script.requests if name == "reqAccountSummary"]
        ended = [values["reqId"] for name, values in script.requests if name == "cancelAccountSummary"]
        assert asked == ended
        assert len(set(asked)) == 5

    with_script(work, an_empty_account())


def test_request_ids_stay_in_their_block() -> None:
    """Every id used lies in the block that the engine reserved, however many requests are made."""

    async def work(bench: Bench, script: Script) -> None:
        await bench.inbox.until(m.LinkUp)
        bench.broker.begin_sync(m.BeginSync(epoch=1, first_request_id=500, count=6, account=ACCOUNT))
        for count in range(1, 12):
            await bench.inbox.until(m.SnapshotSeen, count)
            bench.broker.request_snapshot("again")
        used = {values["reqId"] for _, values in script.requests if "reqId" in values}
        assert used <= set(range(500, 506))

    with_script(work, an_empty_account())


def test_nothing_is_asked_before_the_engine_has_given_ids() -> None:
    """Between the handshake and the sync only the heartbeat goes out, and a snapshot is not begun."""

    async def work(bench: Bench, script: Script) -> None:
        await bench.inbox.until(m.LinkUp)
        bench.broker.request_snapshot("early")
        await asyncio.sleep(5.0)
        assert script.names() == ["startApi", "reqCurrentTime"]

    with_script(work, an_empty_account())


def test_a_link_lost_in_the_middle_of_a_round_begins_afresh() -> None:
    """The next connection downloads everything again; the broken round gives no snapshot."""
    script = an_empty_account()
    whole = script.answers["reqPositions"]
    script.answers["reqPositions"] = lambda gateway, values: gateway.transport.abort()

    async def work(bench: Bench, script: Script) -> None:
        await bench.up()
        await bench.inbox.until(m.LinkLost)
        assert bench.inbox.of(m.SnapshotSeen) == []
        script.answers["reqPositions"] = whole
        await bench.up()
        assert (await bench.inbox.until(m.SnapshotSeen)).failures == ()

    with_script(work, script)


def test_contracts_are_asked_for_once() -> None:
    """What is known stays known over a reconnect."""

    async def work(bench: Bench, gateway: Gateway) -> None:
        await bench.synced()
        seen = bench.inbox.of(m.InstrumentsSeen)[0]
        assert [one.symbol for one in seen.instruments] == ["AAPL", "MSFT"]
        bench.broker.drop("test")
        await bench.up()
        await bench.inbox.until(m.SnapshotSeen, 2)
        await asyncio.sleep(10)
        assert len(bench.inbox.of(m.InstrumentsSeen)) == 1

    with_gateway(work)


def test_a_symbol_nobody_knows_is_missing_with_the_reason() -> None:
    """200 is told in the gateway's words; an answer that never comes is told as that."""
    script = an_empty_account()
    refuse = script.answers["reqContractDetails"]

    def details(gateway: Scripted, values: dict[str, object]) -> None:
        if values["symbol"] == "AAPL":
            refuse(gateway, values)

    script.answers["reqContractDetails"] = details

    async def work(bench: Bench, script: Script) -> m.InstrumentsSeen:
        await bench.up()
        return await bench.inbox.until(m.InstrumentsSeen)

    seen = with_script(work, script, details_seconds=8.0)
    assert seen.instruments == ()
    assert seen.missing == (
        ("AAPL", "No security definition has been found (200)"),
        ("MSFT", "no contract details within 8 s"),
    )


def test_a_missing_symbol_is_asked_for_again_on_the_next_connection() -> None:
    """What failed once may come: only the missing symbol is asked for, and found."""

    async def work(bench: Bench, gateway: Gateway) -> None:
        gateway.faults.spoil["contractDetails"] = 1
        await bench.up()
        await bench.inbox.until(m.InstrumentsSeen)
        bench.broker.drop("test")
        await bench.up()
        again = await bench.inbox.until(m.InstrumentsSeen, 2)
        assert ([one.symbol for one in again.instruments], again.missing) == (["AAPL"], ())

    with_gateway(work)


def test_a_missing_symbol_is_asked_for_again_on_the_same_connection() -> None:
    """A gateway in trouble at the start must not cost the symbol as long as the link holds (seed 37, 8 days, all)."""

    async def work(bench: Bench, gateway: Gateway) -> None:
        gateway.faults.spoil["contractDetails"] = 1
        await bench.up()
        again = await bench.inbox.until(m.InstrumentsSeen, 2)
        assert ([one.symbol for one in again.instruments], again.missing) == (["AAPL"], ())
        await asyncio.sleep(7200)
        assert len(bench.inbox.of(m.InstrumentsSeen)) == 2
        assert not bench.inbox.of(m.LinkLost)

    with_gateway(work)


def test_a_symbol_nobody_knows_is_asked_for_less_and_less_often() -> None:
    """Some ten times in the first eight hours."""

    async def work(bench: Bench, script: Script) -> None:
        await bench.up()
        await asyncio.sleep(8 * 3600)
        assert 2 * 8 <= script.names().count("reqContractDetails") <= 2 * 14

    with_script(work, an_empty_account())


def test_a_spoilt_contract_is_missing_and_the_others_live() -> None:
    """A contract that can't be decoded takes only its own symbol out of the universe."""

    async def work(bench: Bench, gateway: Gateway) -> m.InstrumentsSeen:
        gateway.faults.spoil["contractDetails"] = 1
        await bench.up()
        return await bench.inbox.until(m.InstrumentsSeen)

    seen = with_gateway(work)
    assert [one.symbol for one in seen.instruments] == ["MSFT"]
    assert [symbol for symbol, _ in seen.missing] == ["AAPL"]
    assert "could not be decoded" in seen.missing[0][1]


def summary_of(*rows: tuple[str, str, str]) -> Script:
    """An empty account whose summary says these tags, values and currencies."""

    def answer(gateway: Scripted, values: dict[str, object]) -> None:
        for tag, value, currency in rows:
            gateway.say(
                "accountSummary", reqId=values["reqId"], account=ACCOUNT, tag=tag, value=value, currency=currency
            )
        gateway.say("accountSummaryEnd", reqId=values["reqId"])

    script = an_empty_account()
    script.answers["reqAccountSummary"] = answer
    return script


def test_a_snapshot_carries_what_the_account_allows() -> None:
    """Settled cash, power, liquidity, margins, day trades, cash by currency: as the simulated gateway tells them."""

    async def work(bench: Bench, gateway: Gateway) -> m.SnapshotSeen:
        await bench.synced()
        bench.broker.request_snapshot("test")
        return await bench.inbox.until(m.SnapshotSeen, 2)

    figures = with_gateway(work).figures
    million = Decimal(1_000_000)
    assert figures is not None
    assert (figures.account_type, figures.trading_type) == ("INDIVIDUAL", "STKMRGN")
    assert (figures.settled_cash, figures.excess_liquidity, figures.buying_power) == (million, million, 4 * million)
    assert (figures.initial_margin, figures.maintenance_margin) == (0, 0)
    assert (figures.day_trades_remaining, figures.day_trades_told) == (None, True)
    assert [(one.currency, one.cash, one.rate) for one in figures.balances] == [("USD", million, 1)]


def test_the_kind_of_account_is_asked_for_once_a_connection() -> None:
    """One request and one cancel of its stream, whatever number of readings; no answer leaves it open."""

    async def work(bench: Bench, script: Script) -> list[m.SnapshotSeen]:
        await bench.up()
        await bench.inbox.until(m.SnapshotSeen)
        bench.broker.request_snapshot("test")
        await bench.inbox.until(m.SnapshotSeen, 2)
        await asyncio.sleep(1)
        return bench.inbox.of(m.SnapshotSeen)

    def kind(gateway: Scripted, values: dict[str, object]) -> None:
        row = {"account": ACCOUNT, "modelCode": "", "currency": ""}
        gateway.say("accountUpdateMulti", reqId=values["reqId"], **row, key="TradingType-S", value="STKCASH")
        gateway.say("accountUpdateMultiEnd", reqId=values["reqId"])

    silent, script = an_empty_account(), an_empty_account()
    script.answers["reqAccountUpdatesMulti"] = kind
    told = with_script(work, script)
    assert told[-1].figures is not None and told[-1].figures.trading_type == "STKCASH"
    assert [script.names().count(f"{what}AccountUpdatesMulti") for what in ("req", "cancel")] == [1, 1]
    assert all(one.figures is not None and not one.figures.trading_type for one in with_script(work, silent))
    assert [silent.names().count(f"{what}AccountUpdatesMulti") for what in ("req", "cancel")] == [1, 0]


EURO = (("NetLiquidation", "9000.00", "EUR"), ("TotalCashValue", "4500.00", "EUR"), ("SettledCash", "900", "EUR"))


def test_an_account_in_another_currency_counts_at_its_exchange_rate() -> None:
    """Its money is told in the currency traded in, with the rate by which it was changed."""
    rate = (("DayTradesRemaining", "2", ""), ("ExchangeRate", "0.90", "USD"), ("ExchangeRate", "1.00", "EUR"))
    snapshot = snapshot_of(summary_of(*EURO, *rate))
    assert snapshot.failures == ()
    assert (snapshot.net_liquidation, snapshot.cash) == (Decimal(10_000), Decimal(5000))
    assert snapshot.figures is not None
    assert (snapshot.figures.base_currency, snapshot.figures.rate) == ("EUR", Decimal("0.90"))
    assert (snapshot.figures.settled_cash, snapshot.figures.day_trades_remaining) == (1000, 2)


@pytest.mark.parametrize("rate", ["", "0"])
def test_without_an_exchange_rate_an_account_in_another_currency_is_not_read(rate: str) -> None:
    """Refused by name: what is missing stands in the reason."""
    rows = ((("ExchangeRate", rate, "USD"),) if rate else ()) + EURO
    snapshot = snapshot_of(summary_of(*rows))
    assert snapshot.net_liquidation is None and snapshot.figures is None
    assert snapshot.failures[0][1].startswith(
        "its NetLiquidation is in EUR; trading.currency says USD, and the broker gave no exchange rate of USD"
    )


def test_orders_that_nothing_tells_apart_are_counted_as_a_download_shows_them() -> None:
    """Two typed by hand in one instrument, before either has a permId: each is one, again in the next download."""
    script = an_empty_account()

    def answer(gateway: Scripted, values: dict[str, object]) -> None:
        ids = {"orderId": 0, "clientId": 0, "permId": 0}
        told = ids | {"conId": 4711, "secType": "STK", "action": "BUY", "orderType": "MKT", "status": "PendingSubmit"}
        for symbol, account in (("AAPL", ACCOUNT), ("AAPL", ACCOUNT), ("AAPL", "DU999999")):
            gateway.say("openOrder", **told, symbol=symbol, account=account, totalQuantity=Decimal(300))
        gateway.say("openOrderEnd")

    script.answers["reqAllOpenOrders"] = answer

    async def work(bench: Bench, script: Script) -> None:
        await bench.synced()
        for times in (1, 2):
            snapshot = await bench.inbox.until(m.SnapshotSeen, times)
            rows = bench.inbox.of(m.OpenOrderSeen)[-3:]
            assert [(row.account, row.nth) for row in rows] == [(ACCOUNT, 0), (ACCOUNT, 1), ("DU999999", 0)]
            assert len(set(snapshot.open_perm_ids or ())) == 2 and 0 not in (snapshot.open_perm_ids or ())
            bench.broker.request_snapshot("test")

    with_script(work, script)
