"""Two accounts, gains and an order typed in by hand: unmodified clients decode what books and orders hold."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from longwatch.clock import SteppedClock
from longwatch.gateway.app import Gateway
from longwatch.gateway.desk import GatewayConfig
from longwatch.gateway.events import Event
from longwatch.gateway.exchange.orders import Order
from longwatch.gateway.market.market import Instrument
from longwatch.gateway.market.synthetic import synthetic_market
from tests.clients.environments import python_of
from tests.clients.expected import Said, contract_of, error
from tests.clients.tape import defaults_of, differences, phases_of
from tests.clients.test_clients import CLIENTS, DRIVERS, NOON, SPEED, Client, ran

MAIN, OTHER = "DU123456", "DU654321"
HELD, COST = Decimal(250), Decimal("31.25")


@pytest.mark.parametrize("client", CLIENTS, ids=lambda one: f"{one}-of-{one.offered}")
async def test_a_client_decodes_accounts_gains_and_what_was_typed_by_hand(client: Client) -> None:
    """Every field of positions, summaries, gains and bound orders, and every error, with two accounts."""
    python = await asyncio.to_thread(python_of, client.library)
    clock = SteppedClock(asyncio.get_running_loop().time, market_start=NOON, speed=SPEED)
    market = synthetic_market(seed=1, first=date(2019, 12, 1))
    config = GatewayConfig(speed=SPEED, zone="UTC", server_version=client.offered, accounts=(MAIN, OTHER))
    gateway = Gateway(config, market, clock)
    port = await gateway.start()
    xyz = market.find("XYZ")
    assert xyz is not None
    try:
        gateway.events.happen(Event(kind="transfer", account=MAIN, symbol="XYZ", quantity=HELD, price=COST))
        gateway.trade_by_hand("ABC", "BUY", Decimal(7), limit=Decimal("9.75"))
        script, *options = client.driver
        command = (str(DRIVERS / script), *options, "127.0.0.1", str(port), "0", OTHER, str(xyz.con_id))
        heard = json.loads(await ran(python, *command))
        phases, defaults = phases_of(heard["events"]), defaults_of(heard["defaults"])
        wanted = dict(expected(gateway, xyz))
        assert wanted.keys() == phases.keys() - {"opening", "bought"}
        found = [
            f"{phase} {place}" for phase in wanted for place in differences(wanted[phase], phases[phase], defaults)
        ]
        assert "\n".join(found) == ""
        assert phases["opening"][0] == ("managedAccounts", (f"{MAIN},{OTHER}",))
    finally:
        await gateway.close()


def expected(gateway: Gateway, xyz: Instrument) -> Iterator[tuple[str, list[Said]]]:
    """Each phase and what is heard in it, from orders, books and market."""
    abc = gateway.desk.market.find("ABC")
    assert abc is not None
    books, ledger = gateway.ledger.accounts, gateway.ledger
    (fill,) = ledger.executions
    fee = ledger.commissions[fill.exec_id].amount
    first = fill.order_id - 1
    (typed,) = gateway.desk.exchange.book.live()
    yield "by hand", [*bound(typed, abc), ("openOrderEnd", ())]
    yield "no account", [error(first, 435, "You must specify an account.")]
    average = (30 * fill.price + fee) / 30
    rows = [
        (MAIN, {**contract_of(xyz, "NASDAQ"), "strike": 0}, HELD, COST),
        (OTHER, {**contract_of(abc, "NASDAQ"), "strike": 0}, 30, average),
    ]
    yield "positions", [*(("position", row) for row in rows), ("positionEnd", ())]
    cash = [(140, account, "TotalCashValue", f"{books[account].cash:.2f}", "USD") for account in (MAIN, OTHER)]
    yield "summary", [*(("accountSummary", row) for row in cash), ("accountSummaryEnd", (140,))]
    gain = 30 * last(gateway, abc) - 30 * fill.price - fee
    yield "gains", [("pnl", (141, float(gain), float(gain), 0))]
    value = HELD * last(gateway, xyz)
    gains = float(value - HELD * COST)
    yield "of one", [("pnlSingle", (142, HELD, gains, gains, 0, float(value)))]
    yield "of none", [("pnlSingle", (143, 0, None, None, None, None))]
    yield "nobody's", [error(144, 10183, "Failed to request PNL")]
    yield "nobody's single", [error(145, 10184, "Failed to request PNL single")]
    yield "not followed", [error(146, 10185, "Failed to cancel PNL (not subscribed)")]
    yield "not followed single", [error(147, 10186, "Failed to cancel PNL single (not subscribed)")]
    multi = ("positionMulti", (148, OTHER, "", {**contract_of(abc, "NASDAQ"), "strike": 0}, 30, average))
    yield "multi", [multi, ("positionMultiEnd", (148,))]
    yield "light", [*light(books[OTHER].cash, 30 * last(gateway, abc), gain), ("accountUpdateMultiEnd", (149,))]


def bound(order: Order, instrument: Instrument) -> Iterator[Said]:
    """An order typed by hand under the id it was given, with the perm id that tells which it is."""
    contract = {**contract_of(instrument, "SMART"), "strike": 0, "right": "?"}
    terms = {"action": "BUY", "totalQuantity": 7, "orderType": "LMT", "lmtPrice": 9.75, "account": MAIN}
    yield "orderBound", (order.perm_id, 0, -1)
    terms |= {"auxPrice": 0, "tif": "DAY", "clearingIntent": "IB", "ocaType": 3, "trailStopPrice": 10.75}
    ids = {"orderId": -1, "clientId": 0, "permId": order.perm_id, "rule80A": "0"}
    yield "openOrder", (-1, contract, {**terms, **ids}, {"status": "Submitted"})
    yield "orderStatus", (-1, "Submitted", 0, 7, 0, order.perm_id, 0, 0, 0, "", 0)


def light(cash: Decimal, value: Decimal, gain: Decimal) -> Iterator[Said]:
    """The values kept per currency, by key, BASE first, and the net liquidation value."""
    money = {
        "CashBalance": cash,
        "NetDividend": Decimal(0),
        "NetLiquidationByCurrency": cash + value,
        "RealizedPnL": Decimal(0),
        "StockMarketValue": value,
        "TotalCashBalance": cash,
        "UnrealizedPnL": gain,
    }
    words = {"AccountOrGroup": OTHER, "Currency": "USD", "ExchangeRate": "1.00", "RealCurrency": "USD"}
    shown = {**words, **{key: f"{amount:.2f}" for key, amount in money.items()}}
    rows: list[tuple[str, str, str]] = [("NetLiquidation", f"{cash + value:.2f}", "USD")]
    for key, text in shown.items():
        base = "BASE" if key in ("Currency", "RealCurrency") else text
        rows += [(key, base, "BASE"), (key, text, "USD")]
    for key, text, currency in sorted(rows, key=lambda row: row[0]):
        yield "accountUpdateMulti", (149, OTHER, "", key, text, currency)


def last(gateway: Gateway, instrument: Instrument) -> Any:
    return gateway.desk.market.quote(instrument, gateway.desk.now()).last
