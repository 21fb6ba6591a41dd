"""What is done to accounts by script: the ledger's books, its lines, and what a plain client was told of it."""

from __future__ import annotations

import asyncio
import json
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from longwatch.data.calendar import ExchangeCalendar
from longwatch.errors import UsageError
from longwatch.gateway.app import Gateway
from longwatch.gateway.conduct import Conduct
from longwatch.gateway.events import ACTS, EVENTS, Event
from longwatch.gateway.exchange.corporate import PAID_AFTER
from longwatch.gateway.market.actions import Action
from longwatch.gateway.market.generator import Climate, shares
from longwatch.gateway.market.hours import ListedHours
from longwatch.gateway.market.market import Market, Replay
from longwatch.gateway.market.scripted import Scripted
from tests.gateway.made import AAPL, JANUARY_3, PRICES, PlainClient, bar_of, on_a_gateway, stock, until

ACCOUNT = "DU123456"


def event(kind: str, **terms: Any) -> Event:
    """An event with its numbers as texts or whole numbers."""
    numbers = {name: Decimal(terms.pop(name)) for name in ("quantity", "price", "amount") if name in terms}
    return Event(kind=kind, **numbers, **terms)


async def a_holder(gateway: Gateway, shares: int = 100) -> PlainClient:
    """A client that bought AAPL, and follows positions and account."""
    client = await PlainClient.connect()
    client.order(1, "BUY", shares)
    client.ask("reqPositions")
    client.ask("reqAccountUpdates", subscribe=True, acctCode=ACCOUNT)
    await asyncio.sleep(3)
    client.forget()
    return client


def test_every_kind_of_event_has_its_act() -> None:
    """The table of events is the table of what they do."""
    assert EVENTS.keys() == ACTS.keys()


def test_shares_transferred_in_are_told_as_a_position_and_cost_no_cash() -> None:
    """61 at once, then the portfolio row with the cost they came with; no execution, no order."""

    async def scenario(gateway: Gateway) -> None:
        client, cash = await a_holder(gateway), gateway.ledger.accounts[ACCOUNT].cash
        gateway.events.happen(event("transfer", symbol="AAPL", quantity=300, price="40.00"))
        await asyncio.sleep(1)
        (position,) = client.replies("position")
        cost = gateway.ledger.accounts[ACCOUNT].holdings[AAPL.con_id].cost
        assert (position["position"], position["avgCost"]) == (400, cost / 400)
        assert client.replies("updatePortfolio")[-1]["position"] == 400
        assert not {"execDetails", "openOrder", "commissionReport"} & set(client.names())
        assert gateway.ledger.accounts[ACCOUNT].cash == cash
        gateway.events.happen(event("transfer", symbol="AAPL", quantity=-400, price=1))
        await asyncio.sleep(1)
        assert client.replies("position")[-1]["position"] == 0
        assert gateway.ledger.accounts[ACCOUNT].realised == 0

    on_a_gateway(scenario)


def test_cash_that_comes_is_told_in_the_account_values() -> None:
    """Cash and net liquidation grow by it; no gain is made, today's neither."""

    async def scenario(gateway: Gateway) -> None:
        client = await a_holder(gateway)
        client.ask("reqPnL", reqId=4, account=ACCOUNT, modelCode="")
        await asyncio.sleep(1)
        before = client.replies("pnl")[-1]
        client.forget()
        gateway.events.happen(event("cash", amount="2500.50"))
        await asyncio.sleep(2)
        told = {one["key"]: Decimal(one["value"]) for one in client.replies("updateAccountValue")}
        assert told["TotalCashValue"] == round(gateway.ledger.accounts[ACCOUNT].cash, 2)
        assert "NetLiquidation" in told
        assert client.replies("pnl") == []
        assert before["dailyPnL"] is not None

    on_a_gateway(scenario)


def test_an_assignment_moves_shares_and_cash_at_the_strike() -> None:
    """Shares are called away at 90: the position is told, the cash is theirs, no execution is."""

    async def scenario(gateway: Gateway) -> None:
        client, cash = await a_holder(gateway), gateway.ledger.accounts[ACCOUNT].cash
        gateway.events.happen(event("assignment", symbol="AAPL", quantity=-100, price=90))
        await asyncio.sleep(1)
        assert [one["position"] for one in client.replies("position")] == [0]
        assert gateway.ledger.accounts[ACCOUNT].cash == cash + 9000
        assert client.replies("execDetails") == []

    on_a_gateway(scenario)


def test_a_liquidation_is_an_order_of_nobodys_with_its_mark_on_the_execution() -> None:
    """Who did not trade sees the position go; executions asked for show flag 1, order id 0; client 0 hears it live."""

    async def scenario(gateway: Gateway) -> None:
        client, window = await a_holder(gateway), await PlainClient.connect(0)
        gateway.events.happen(event("liquidation", symbol="AAPL", quantity=60))
        await asyncio.sleep(2)
        assert client.replies("execDetails", "orderStatus") == []
        assert [one["position"] for one in client.replies("position")] == [40]
        client.ask("reqExecutions", reqId=8)
        await asyncio.sleep(0.1)
        rows = [(one["liquidation"], one["orderId"], one["shares"]) for one in client.replies("execDetails")]
        assert rows == [(0, 1, 100), (1, 0, 60)]
        assert [one["liquidation"] for one in window.replies("execDetails")] == [1]
        gateway.events.happen(event("liquidation", symbol="AAPL"))
        await asyncio.sleep(2)
        assert gateway.ledger.accounts[ACCOUNT].holdings[AAPL.con_id].quantity == 0

    on_a_gateway(scenario)


def test_orders_good_till_cancelled_lapse_and_others_stay() -> None:
    """Cancelled, then 202; of the symbol named, or all; a day order works on."""

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 10, "LMT", lmtPrice=20, tif="GTC")
        client.order(2, "BUY", 10, "LMT", lmtPrice=20)
        client.order(3, "BUY", 10, "LMT", lmtPrice=20, tif="GTC", symbol="IBM")
        await asyncio.sleep(2)
        gateway.events.happen(event("expiry", symbol="AAPL"))
        await asyncio.sleep(1)
        assert client.story(1)[-2:] == ["3 Cancelled", "4 202"]
        assert [order.ticket.order_id for order in gateway.desk.exchange.book.live()] == [2, 3]
        gateway.events.happen(event("expiry"))
        await asyncio.sleep(1)
        assert [order.ticket.order_id for order in gateway.desk.exchange.book.live()] == [2]

    on_a_gateway(scenario)


def test_a_correction_is_told_as_the_next_revision_and_moves_the_cash() -> None:
    """11 with id .02 at the new price; the position's cost follows; executions asked for show the new one only."""

    async def scenario(gateway: Gateway) -> None:
        client, cash = await a_holder(gateway), gateway.ledger.accounts[ACCOUNT].cash
        (former,) = gateway.ledger.executions
        gateway.events.happen(event("correction", symbol="AAPL", price=former.price + 1))
        await asyncio.sleep(1)
        (fill,) = client.replies("execDetails")
        assert (fill["execId"], fill["price"]) == (former.exec_id[:-2] + "02", former.price + 1)
        assert gateway.ledger.accounts[ACCOUNT].cash == cash - 100
        assert len(client.replies("position")) == 1
        client.forget()
        client.ask("reqExecutions", reqId=8)
        await asyncio.sleep(0.1)
        assert [one["price"] for one in client.replies("execDetails")] == [former.price + 1]

    on_a_gateway(scenario)


@pytest.mark.parametrize("revised", [False, True])
def test_a_fill_that_is_taken_back_is_gone(revised: bool) -> None:
    """Position and cash are as before it; the executions have it no more; by the switch a revision of no shares."""

    async def scenario(gateway: Gateway) -> None:
        client = await a_holder(gateway)
        gateway.events.happen(event("bust", symbol="AAPL"))
        await asyncio.sleep(1)
        assert [one["position"] for one in client.replies("position")] == [0]
        assert [one["shares"] for one in client.replies("execDetails")] == ([0] if revised else [])
        assert gateway.ledger.accounts[ACCOUNT].cash == 1_000_000
        client.forget()
        client.ask("reqExecutions", reqId=8)
        await asyncio.sleep(0.1)
        assert client.names() == ["execDetailsEnd"]

    on_a_gateway(scenario, conduct=Conduct(bust_revised=revised))


NEXT_OPEN = JANUARY_3 + timedelta(days=1)


def test_a_split_changes_shares_prices_and_history_and_ends_orders_good_till_cancelled() -> None:
    """Before the open: more shares at the same cost, 61, GTC orders gone; prices and old bars are of new shares."""

    async def scenario(gateway: Gateway) -> None:
        client = await a_holder(gateway, 75)
        client.order(2, "BUY", 10, "LMT", lmtPrice=20, tif="GTC")
        gateway.events.happen(event("split", symbol="AAPL", ratio="3/2"))
        await until(gateway, NEXT_OPEN - timedelta(seconds=1))
        holding = gateway.ledger.accounts[ACCOUNT].holdings[AAPL.con_id]
        cost, cash = holding.cost, gateway.ledger.accounts[ACCOUNT].cash
        assert gateway.desk.market.quote(AAPL, gateway.desk.now()).last == Decimal("83.80")
        client.forget()
        await until(gateway, NEXT_OPEN + timedelta(minutes=1))
        price = round(Decimal("83.80") * 2 / 3, 4)
        assert (holding.quantity, gateway.ledger.accounts[ACCOUNT].cash) == (112, cash + price / 2)
        assert abs(holding.cost - cost * 112 / Decimal("112.5")) < Decimal("0.01")
        assert [one["position"] for one in client.replies("position")] == [112]
        assert client.story(2) == ["3 Cancelled", "4 202"]
        quote = gateway.desk.market.quote(AAPL, gateway.desk.now())
        assert (quote.open, quote.close) == (Decimal("56.033333"), Decimal("55.866667"))
        assert quote.bid is not None
        assert quote.bid % AAPL.min_tick == 0
        client.ask("reqHistoricalData", reqId=9, barSize="1 day", duration="2 D", whatToShow="TRADES", **stock())
        await asyncio.sleep(2)
        former, _ = client.replies("historicalData")[0]["bars"]
        assert float(former["close"]) == pytest.approx(83.80 * 2 / 3, abs=0.01)

    on_a_gateway(scenario)


def test_a_dividend_is_accrued_at_the_open_and_paid_two_weeks_later() -> None:
    """For the shares of the day before; in the net liquidation value at once, in cash when it is paid."""

    async def scenario(gateway: Gateway) -> None:
        client = await a_holder(gateway)
        gateway.events.happen(event("dividend", symbol="AAPL", amount="0.31"))
        await until(gateway, NEXT_OPEN + timedelta(minutes=1))
        client.order(5, "BUY", 100)
        await asyncio.sleep(2)
        shown = {one["key"]: Decimal(one["value"]) for one in client.replies("updateAccountValue")}
        assert shown["AccruedDividend"] == 31
        assert shown["NetLiquidation"] - shown["EquityWithLoanValue"] == 31
        books = gateway.ledger.accounts[ACCOUNT]
        cash = books.cash
        await until(gateway, NEXT_OPEN + PAID_AFTER)
        assert (books.cash, books.dues) == (cash + 31, [])
        assert [one.event.kind for one in gateway.events.happened] == ["dividend", "payment"]

    on_a_gateway(scenario)


def test_a_late_machine_pays_fractions_at_the_price_before_the_open() -> None:
    """Ten seconds after the open the quote is of new shares already: the close, over the ratio, is what is paid."""

    async def scenario(gateway: Gateway) -> None:
        await a_holder(gateway, 75)
        await until(gateway, NEXT_OPEN + timedelta(seconds=10))
        session = gateway.desk.market.hours.on(date(2007, 1, 4))
        assert session is not None
        gateway.desk.market.script(Action(date=session.date, con_id=AAPL.con_id, ratio=Decimal("1.5")))
        cash = gateway.ledger.accounts[ACCOUNT].cash
        gateway.desk.corporate._open(session)
        assert gateway.ledger.accounts[ACCOUNT].cash == cash + round(Decimal("83.80") * 2 / 3, 4) / 2

    on_a_gateway(scenario)


def test_a_split_that_undoes_another_leaves_what_was_told_of_the_days_between() -> None:
    """Shares 2/3 and then 3/2: prices are those of the beginning again, but for the days between."""
    days = [bar_of(day, prices) for day, prices in PRICES.items()]
    first, second, third = sorted(PRICES)[:3]
    scripted = Scripted(Replay(AAPL, days))
    scripted.add(Action(date=second, con_id=AAPL.con_id, ratio=Decimal(2) / 3))
    scripted.add(Action(date=third, con_id=AAPL.con_id, ratio=Decimal("1.5")))
    plain = {bar.date: bar.close for bar in days}
    told = {bar.date: bar.close for bar in scripted.before(third)}
    assert {day: round(told[day] / plain[day], 6) for day in (first, second)} == {first: 1.0, second: 1.5}
    following = scripted.on(third)
    assert following is not None and round(following.close, 6) == plain[third]


def test_splits_and_dividends_of_the_market_reach_every_account() -> None:
    """What the market lists is applied like what is scripted; a short position owes the dividend."""
    days = [bar_of(day, prices) for day, prices in PRICES.items()]
    listed = Action(date=date(2007, 1, 4), con_id=AAPL.con_id, ratio=Decimal("0.1"), dividend=Decimal("0.50"))

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        client.order(1, "BUY", 100, account="DU1")
        client.order(2, "SELL", 200, account="DU2")
        await until(gateway, NEXT_OPEN + timedelta(minutes=1))
        held = {name: books.holdings[AAPL.con_id].quantity for name, books in gateway.ledger.accounts.items()}
        assert held == {"DU1": 10, "DU2": -20}
        assert {name: books.accrued for name, books in gateway.ledger.accounts.items()} == {"DU1": 50, "DU2": -100}

    on_a_gateway(scenario, accounts=("DU1", "DU2"), market=Market([Replay(AAPL, days, [listed])], seed=1))


def test_a_year_of_made_up_splits_and_dividends_leaves_the_books_balanced() -> None:
    """Shares held through them have become what the ratios say; equity never jumps by a split's factor."""
    days = ExchangeCalendar("XNYS").sessions(date(2018, 1, 2), date(2019, 12, 31))
    hours = ListedHours(days)
    weather = Climate(splits=2.0, dividends=4)
    listed = shares(("ALFA", "BRAV"), hours, seed=5, first=date(2018, 1, 2), climate=weather)
    begins = next(day for day in days if day.date >= date(2018, 6, 1)).open_at

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect()
        for order_id, symbol in enumerate(("ALFA", "BRAV"), 1):
            client.order(order_id, "BUY", 300, symbol=symbol)
        await asyncio.sleep(3600)
        equities = []
        for _ in range(250):
            await asyncio.sleep(24 * 3600)
            equities.append(gateway.desk.statement(ACCOUNT).net_liquidation)
        done = [one.event for one in gateway.events.happened]
        splits = [one for one in done if one.kind == "split"]
        assert len(splits) > 1
        assert {"dividend", "payment"} <= {one.kind for one in done}
        held = {"ALFA": Fraction(300), "BRAV": Fraction(300)}
        for one in splits:
            held[one.symbol] = Fraction(int(held[one.symbol] * Fraction(one.ratio)))
        assert {one.symbol: one.quantity for one in gateway.ledger.accounts[ACCOUNT].holdings.values()} == held
        assert all(abs(later / earlier - 1) < Decimal("0.02") for earlier, later in pairwise(equities))
        assert gateway.ledger.fault == ""

    on_a_gateway(scenario, at=begins + timedelta(minutes=5), market=Market(listed, hours, seed=5))


def test_a_gateway_started_again_remembers_what_was_scripted(tmp_path: Path) -> None:
    """Its prices are those after the split, its shares are not split twice, and a dividend due is paid."""
    config = {"ledger_path": tmp_path / "books.jsonl"}

    async def before(gateway: Gateway) -> None:
        await a_holder(gateway)
        gateway.events.happen(event("split", symbol="AAPL", ratio="2/1"))
        gateway.events.happen(event("dividend", symbol="AAPL", amount=1))
        await until(gateway, NEXT_OPEN + timedelta(minutes=1))

    async def after(gateway: Gateway) -> None:
        assert gateway.desk.market.quote(AAPL, gateway.desk.now()).open == Decimal("42.025")
        await until(gateway, NEXT_OPEN + timedelta(days=1, minutes=1))
        books = gateway.ledger.accounts[ACCOUNT]
        cash = books.cash
        assert (books.holdings[AAPL.con_id].quantity, books.accrued) == (200, 100)
        await until(gateway, NEXT_OPEN + PAID_AFTER)
        assert (books.cash, books.accrued) == (cash + 100, 0)

    on_a_gateway(before, **config)
    on_a_gateway(after, at=NEXT_OPEN + timedelta(minutes=2), **config)


def test_nothing_is_told_while_the_broker_can_not_be_heard() -> None:
    """The books change at once, the position is told with the restored link."""

    async def scenario(gateway: Gateway) -> None:
        client = await a_holder(gateway)
        gateway.desk.lose_backend()
        gateway.events.happen(event("transfer", symbol="AAPL", quantity=5, price=1))
        await asyncio.sleep(5)
        assert gateway.ledger.accounts[ACCOUNT].holdings[AAPL.con_id].quantity == 105
        assert client.replies("position") == []
        gateway.desk.restore_backend()
        await asyncio.sleep(1)
        assert [one["position"] for one in client.replies("position")] == [105]

    on_a_gateway(scenario)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (event("gift"), "'gift' is not known"),
        (event("transfer", symbol="AAPL", price=1), "transfer needs `quantity`"),
        (event("cash", amount=1, account="DU9"), "no account DU9; there are DU123456"),
        (event("dividend", symbol="AAPL", amount=1, account=ACCOUNT), "leave `account` out"),
        (event("split", symbol="AAPL", ratio="2:1"), "write 2/1, or 1/10"),
        (event("expiry", symbol="NONE"), "no instrument NONE"),
        (event("correction", symbol="AAPL", price=-300), "correction at -300 can't be; write a price above 0"),
        (event("transfer", symbol="AAPL", quantity=1, price=-5), "transfer at -5 can't be"),
        (event("trade", symbol="AAPL", quantity="0.37"), "trade of 0.37 shares is no whole number"),
        (event("trade", symbol="AAPL", quantity=10, price="999.123456"), "AAPL moves by 0.01"),
        (event("trade", symbol="SPX", quantity=3), "SPX has prices and can't be held or traded"),
        (event("assignment", symbol="SPX", quantity=3, price=1), "SPX has prices and can't be held or traded"),
        (event("transfer", symbol="AAPL", quantity="1e50", price=1), "is too many; write 1,000,000,000 at most"),
        (event("cash", amount="1e30"), "write whole cents, 1,000,000,000,000,000 at most"),
        (event("cash", amount="0.001"), "write whole cents"),
        (event("dividend", symbol="AAPL", amount=-1), "a dividend of -1 a share can't be"),
        (event("liquidation", symbol="AAPL"), "holds no AAPL"),
        (event("bust", symbol="IBM"), "no fill of IBM"),
    ],
)
def test_an_event_that_can_not_happen_says_why_and_changes_nothing(wrong: Event, words: str) -> None:
    async def scenario(gateway: Gateway) -> None:
        with pytest.raises(UsageError, match=words):
            gateway.events.happen(wrong)
        assert gateway.events.happened == []

    on_a_gateway(scenario)


def test_every_event_leaves_a_line_in_the_ledger(tmp_path: Path) -> None:
    """With its kind and terms, beside what it moved; and the books of the file are those of the gateway."""
    path = tmp_path / "books.jsonl"
    events = [
        event("split", symbol="IBM", ratio="2/1"),
        event("dividend", symbol="IBM", amount="0.25"),
        event("transfer", symbol="AAPL", quantity=300, price=40),
        event("cash", amount=-10),
        event("assignment", symbol="IBM", quantity=100, price=60),
        event("liquidation", symbol="IBM"),
        event("trade", symbol="AAPL", quantity=-20),
        event("expiry"),
        event("correction", symbol="AAPL", price=30),
        event("bust", symbol="AAPL"),
    ]
    seen: dict[str, Any] = {}

    async def scenario(gateway: Gateway) -> None:
        for one in events:
            gateway.events.happen(one)
            await asyncio.sleep(2)
        seen["books"] = gateway.ledger.accounts

    async def again(gateway: Gateway) -> None:
        assert gateway.ledger.accounts == seen["books"]

    on_a_gateway(scenario, ledger_path=path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["event"] for line in lines if line["kind"] == "event"] == [one.kind for one in events]
    assert {one.kind for one in events} == EVENTS.keys()
    on_a_gateway(again, ledger_path=path)
