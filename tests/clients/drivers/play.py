"""What every client does against the gateway, and a tape of all it hears; imported by the drivers.

Drivers run alone, inside an environment that holds one client library and nothing of ours. A library's own objects are
made and read here; nothing of it is changed.
"""

from __future__ import annotations

import datetime
import json
import sys
import threading
import time
from decimal import Decimal
from enum import Enum
from typing import Any, Protocol

WAIT_SECONDS = 8.0
QUIET_SECONDS = 0.2
UNSET = {1.7976931348623157e308, 2147483647, 9223372036854775807, 2.0**127 - 1}

Event = list[Any]


class Library(Protocol):
    """One client library: how to ask something of it, and its own contracts, orders and filters."""

    name: str
    account: str

    def ask(self, request: str, *arguments: Any) -> None: ...
    def cancel(self, order_id: int) -> None: ...
    def contract(self) -> Any: ...
    def order(self) -> Any: ...
    def filter(self) -> Any: ...
    def quantity(self, text: str) -> Any: ...


class Tape:
    """Every callback in the order it came, with the phase it came in."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, Event]] = []
        self.phase = "opening"
        self._begun = 0
        self._changed = threading.Condition()

    def write(self, name: str, arguments: tuple[Any, ...]) -> None:
        with self._changed:
            self.events.append((self.phase, name, [plain(one) for one in arguments]))
            self._changed.notify_all()

    def begin(self, phase: str) -> None:
        with self._changed:
            self.phase, self._begun = phase, len(self.events)

    def wait(self, name: str, *leading: Any) -> None:
        """Wait until this phase has heard `name` with these first arguments. Exits when it does not come."""

        def came() -> bool:
            return any(
                heard == name and arguments[: len(leading)] == list(leading)
                for _, heard, arguments in self.events[self._begun :]
            )

        with self._changed:
            if not self._changed.wait_for(came, WAIT_SECONDS):
                heard = [(event, arguments[:2]) for _, event, arguments in self.events[self._begun :]]
                sys.exit(f"{self.phase}: {name} {leading} did not come; heard {heard}")

    def settle(self) -> None:
        """Wait until nothing has come for a while."""
        heard = -1
        while heard != len(self.events):
            heard = len(self.events)
            time.sleep(QUIET_SECONDS)


def plain(value: Any) -> Any:
    """A library's value as JSON has it: objects as their attributes, unset numbers as null."""
    match value:
        case None | bool() | str():
            return value
        case Enum():
            return str(value)
        case int() | float() | Decimal():
            number = float(value)
            if number != number or not UNSET.isdisjoint((number, value)):
                return None
            return int(value) if number == int(number) else number
        case datetime.date():
            return value.isoformat()
        case bytes():
            return value.decode()
        case dict():
            return {str(key): plain(one) for key, one in value.items()}
        case tuple() if hasattr(value, "_asdict"):
            return {name: plain(one) for name, one in value._asdict().items()}
        case list() | tuple() | set():
            return [plain(one) for one in value]
        case _:
            KINDS[type(value).__name__] = type(value)
            return {"class": type(value).__name__} | {name: plain(one) for name, one in attributes(value).items()}


KINDS: dict[str, type] = {}
"""The library's classes of which something was heard."""


def defaults() -> dict[str, Any]:
    """What each of these classes holds when nothing was said; none of a class that can't be made of nothing."""
    made = {}
    for name, kind in sorted(KINDS.items()):
        try:
            made[name] = plain(kind())
        except TypeError:
            continue
    return made


def attributes(value: Any) -> dict[str, Any]:
    """An object's attributes, also of classes with slots."""
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    return {**{name: getattr(value, name) for name in slots if hasattr(value, name)}, **getattr(value, "__dict__", {})}


def told(library: Library, tape: Tape, **facts: Any) -> None:
    """Print everything as one JSON object."""
    print(json.dumps({"library": library.name, **facts, "defaults": defaults(), "events": tape.events}))


def play(library: Library, tape: Tape) -> None:
    """Ask everything a trading program asks, one thing after the other."""
    tape.wait("nextValidId")
    tape.wait("managedAccounts")
    tape.settle()
    first = next(arguments[0] for _, name, arguments in tape.events if name == "nextValidId")
    general(library, tape)
    listings(library, tape)
    history(library, tape)
    growing(library, tape)
    quotes(library, tape)
    orders(library, tape, first)
    linked(library, tape, first + 100)
    account(library, tape)
    refusals(library, tape)


def play_accounts(library: Library, tape: Tape, other: str, con_id: int) -> None:
    """Two accounts under one log-in, an order typed in by hand, and gains."""
    tape.wait("nextValidId")
    tape.wait("managedAccounts")
    tape.settle()
    first = next(arguments[0] for _, name, arguments in tape.events if name == "nextValidId")
    name, contract = library.account, stock(library)
    phase(library, tape, "by hand", ("reqOpenOrders",), "openOrderEnd")
    nameless = ordered(library, size="10", orderType="MKT")
    phase(library, tape, "no account", ("placeOrder", first, contract, nameless), "error", first)
    order = ordered(library, size="30", orderType="MKT", account=other)
    phase(library, tape, "bought", ("placeOrder", first + 1, contract, order), "orderStatus", first + 1, "Filled")
    tape.settle()
    phase(library, tape, "positions", ("reqPositions",), "positionEnd")
    library.ask("cancelPositions")
    phase(library, tape, "summary", ("reqAccountSummary", 140, "All", "TotalCashValue"), "accountSummaryEnd", 140)
    library.ask("cancelAccountSummary", 140)
    phase(library, tape, "gains", ("reqPnL", 141, other, ""), "pnl", 141)
    phase(library, tape, "of one", ("reqPnLSingle", 142, name, "", con_id), "pnlSingle", 142)
    phase(library, tape, "of none", ("reqPnLSingle", 143, name, "", 1), "pnlSingle", 143)
    phase(library, tape, "nobody's", ("reqPnL", 144, "DU9", ""), "error", 144)
    phase(library, tape, "nobody's single", ("reqPnLSingle", 145, "DU9", "", con_id), "error", 145)
    phase(library, tape, "not followed", ("cancelPnL", 146), "error", 146)
    phase(library, tape, "not followed single", ("cancelPnLSingle", 147), "error", 147)
    phase(library, tape, "multi", ("reqPositionsMulti", 148, other, ""), "positionMultiEnd", 148)
    phase(library, tape, "light", ("reqAccountUpdatesMulti", 149, other, "", True), "accountUpdateMultiEnd", 149)


def play_quotes(library: Library, tape: Tape, name: str, kind: int) -> None:
    """A stream and a snapshot of one kind of quotes; where it is a delayed one, live ones are asked for first."""
    tape.wait("nextValidId")
    tape.settle()
    contract = stock(library)
    if kind > 2:
        library.ask("reqMarketDataType", 1)
        phase(library, tape, f"{name} refused", ("reqMktData", 119, contract, "", False, False, []), "error", 119)
    library.ask("reqMarketDataType", kind)
    phase(library, tape, name, ("reqMktData", 120, contract, "", False, False, []), "tickReqParams", 120)
    tape.settle()
    library.ask("cancelMktData", 120)


def phase(library: Library, tape: Tape, name: str, request: tuple[Any, ...], *until: Any) -> None:
    """Ask one thing and wait for its end."""
    tape.begin(name)
    library.ask(*request)
    tape.wait(*until)


def general(library: Library, tape: Tape) -> None:
    phase(library, tape, "time", ("reqCurrentTime",), "currentTime")
    phase(library, tape, "ids", ("reqIds", 1), "nextValidId")
    phase(library, tape, "accounts", ("reqManagedAccts",), "managedAccounts")
    phase(library, tape, "details", ("reqContractDetails", 101, stock(library)), "contractDetailsEnd", 101)
    phase(library, tape, "unknown", ("reqContractDetails", 102, stock(library, "NO SUCH")), "error", 102)
    phase(library, tape, "samples", ("reqMatchingSymbols", 103, "ABC"), "symbolSamples", 103)
    phase(library, tape, "rule", ("reqMarketRule", 26), "marketRule", 26)
    phase(library, tape, "families", ("reqFamilyCodes",), "familyCodes")
    phase(library, tape, "tiers", ("reqSoftDollarTiers", 104), "softDollarTiers", 104)
    phase(library, tape, "providers", ("reqNewsProviders",), "newsProviders")
    phase(library, tape, "depth", ("reqMktDepthExchanges",), "mktDepthExchanges")
    phase(library, tape, "smart", ("reqSmartComponents", 105, "9c0001"), "smartComponents", 105)
    options = ("reqSecDefOptParams", 106, "ABC", "", "STK", 1)
    phase(library, tape, "options", options, "securityDefinitionOptionParameterEnd", 106)


def history(library: Library, tape: Tape) -> None:
    contract = stock(library)
    phase(library, tape, "head", ("reqHeadTimeStamp", 110, contract, "TRADES", 1, 1), "headTimestamp", 110)
    asked = {"daily": ("1 day", "5 D", 1), "short": ("15 mins", "1 D", 1), "epochs": ("15 mins", "1 D", 2)}
    for number, (name, (size, duration, form)) in enumerate(asked.items(), 111):
        request = ("reqHistoricalData", number, contract, "", duration, size, "TRADES", 1, form, False, [])
        phase(library, tape, name, request, "historicalDataEnd", number)
    request = ("reqHistoricalData", 114, contract, "", "1 D", "7 mins", "TRADES", 1, 1, False, [])
    phase(library, tape, "no step", request, "error", 114)


def listings(library: Library, tape: Tape) -> None:
    """What is no share: a fund, a currency, a chain of futures and one of them, a price grid with bands."""

    def listed(name: str, number: int, symbol: str, kind: str, exchange: str, **terms: Any) -> None:
        contract = stock(library, symbol)
        contract.secType, contract.exchange = kind, exchange
        for term, value in terms.items():
            setattr(contract, term, value)
        phase(library, tape, name, ("reqContractDetails", number, contract), "contractDetailsEnd", number)

    listed("fund", 150, "FUND", "STK", "SMART")
    listed("euro", 151, "EUR", "CASH", "IDEALPRO")
    listed("chain", 152, "IDX", "FUT", "CME")
    listed("future", 153, "IDX", "FUT", "CME", lastTradeDateOrContractMonth="202006")
    phase(library, tape, "bands", ("reqMarketRule", 85), "marketRule", 85)


def growing(library: Library, tape: Tape) -> None:
    """Bars of five seconds and a bar that grows, until they are cancelled; bids; the schedule of sessions."""
    contract = stock(library)
    phase(library, tape, "five seconds", ("reqRealTimeBars", 160, contract, 5, "TRADES", True, []), "realtimeBar", 160)
    library.ask("cancelRealTimeBars", 160)
    tape.settle()
    asked = ("reqHistoricalData", 161, contract, "", "1 D", "15 mins", "TRADES", 1, 1, True, [])
    phase(library, tape, "growing", asked, "historicalDataUpdate", 161)
    phase(library, tape, "grown", ("cancelHistoricalData", 161), "error", 161)
    bids = ("reqHistoricalData", 162, contract, "", "1 D", "1 hour", "BID", 1, 1, False, [])
    phase(library, tape, "bids", bids, "historicalDataEnd", 162)
    ticks = {"trades": "TRADES", "sides": "BID_ASK", "middles": "MIDPOINT"}
    ends = {"trades": "historicalTicksLast", "sides": "historicalTicksBidAsk", "middles": "historicalTicks"}
    for number, (name, what) in enumerate(ticks.items(), 164):
        past = ("reqHistoricalTicks", number, contract, "", "20200106-12:00:30", 3, what, 1, False, [])
        phase(library, tape, name, past, ends[name], number)
    tape.begin("schedule")
    library.ask("reqHistoricalData", 163, contract, "", "2 D", "1 day", "SCHEDULE", 1, 1, False, [])
    tape.settle()


def quotes(library: Library, tape: Tape) -> None:
    contract = stock(library)
    library.ask("reqMarketDataType", 1)
    request = ("reqMktData", 120, contract, "", False, False, [])
    phase(library, tape, "stream", request, "tickReqParams", 120)
    tape.settle()
    library.ask("cancelMktData", 120)
    phase(library, tape, "snapshot", ("reqMktData", 121, contract, "", True, False, []), "tickSnapshotEnd", 121)


def orders(library: Library, tape: Tape, first: int) -> None:
    contract = stock(library)
    market, resting, stop, what_if, half, huge = range(first, first + 6)

    def place(name: str, order_id: int, *until: Any, **terms: Any) -> None:
        order = ordered(library, **terms)
        phase(library, tape, name, ("placeOrder", order_id, contract, order), *until)
        tape.settle()

    limit = {"orderType": "LMT", "tif": "GTC", "orderRef": "lw:client:2", "outsideRth": True}
    place("bought", market, "orderStatus", market, "Filled", size="100", orderType="MKT", orderRef="lw:client:1")
    place("resting", resting, "orderStatus", resting, "Submitted", size="50", lmtPrice=10.25, **limit)
    place("modified", resting, "orderStatus", resting, "Submitted", size="60", lmtPrice=10.5, **limit)
    terms = {"orderType": "STP LMT", "auxPrice": 5.25, "lmtPrice": 5.0, "action": "SELL"}
    place("stop", stop, "orderStatus", stop, "PreSubmitted", size="100", **terms)
    place("what if", what_if, "openOrder", what_if, size="10", orderType="MKT", whatIf=True)
    place("half", half, "error", half, size="0.5", orderType="MKT")
    place("huge", huge, "orderStatus", huge, "Inactive", size="900000", orderType="MKT")
    phase(library, tape, "open", ("reqOpenOrders",), "openOrderEnd")
    phase(library, tape, "all open", ("reqAllOpenOrders",), "openOrderEnd")
    tape.begin("cancelled")
    library.cancel(resting)
    tape.wait("orderStatus", resting, "Cancelled")
    tape.settle()
    tape.begin("no order")
    library.cancel(huge + 1)
    tape.wait("error", huge + 1)
    place("sold", huge + 2, "orderStatus", huge + 2, "Filled", size="40", orderType="MKT", action="SELL")


def linked(library: Library, tape: Tape, first: int) -> None:
    """A bracket, two groups of which one cancels another, trailing stops, an order for the close, a part of a fill."""
    contract = stock(library)
    parent, profit, stop, one, other, rest, half, amount, percent, late, big = range(first, first + 11)

    def place(order_id: int, **terms: Any) -> None:
        library.ask("placeOrder", order_id, contract, ordered(library, **terms))

    def ended(name: str, cancelled: int, *also: int) -> None:
        tape.begin(name)
        library.cancel(cancelled)
        for order_id in (cancelled, *also):
            tape.wait("orderStatus", order_id, "Cancelled")
        tape.settle()

    def rests(order_id: int, status: str = "PreSubmitted") -> None:
        tape.wait("orderStatus", order_id, status)
        tape.settle()

    tape.begin("bracket")
    place(parent, size="20", orderType="LMT", lmtPrice=9.5, transmit=False)
    place(profit, size="20", orderType="LMT", lmtPrice=900.5, action="SELL", parentId=parent, transmit=False, tif="GTC")
    place(stop, size="20", orderType="STP", auxPrice=3.5, action="SELL", parentId=parent, tif="GTC")
    rests(stop)
    tape.begin("entered")
    place(parent, size="20", orderType="MKT")
    tape.wait("orderStatus", parent, "Filled")
    tape.settle()
    ended("left", profit)
    ended("left too", stop)

    tape.begin("either")
    place(one, size="30", orderType="LMT", lmtPrice=8.25, ocaGroup=f"either {one}", ocaType=1)
    place(other, size="30", orderType="STP", auxPrice=950.75, ocaGroup=f"either {one}", ocaType=1)
    rests(other)
    ended("neither", one, other)
    tape.begin("reduced")
    place(rest, size="70", orderType="LMT", lmtPrice=7.75, ocaGroup=f"reduced {half}", ocaType=3)
    rests(rest, "Submitted")
    place(half, size="10", orderType="MKT", ocaGroup=f"reduced {half}", ocaType=3)
    tape.wait("orderStatus", rest, "Cancelled")
    tape.settle()

    tape.begin("trailing")
    place(amount, size="15", orderType="TRAIL", auxPrice=1.25, trailStopPrice=2.5, action="SELL", tif="GTC")
    place(percent, size="15", orderType="TRAIL", trailingPercent=12.5, action="SELL")
    rests(amount)
    rests(percent)
    ended("trailed", amount)
    ended("trailed too", percent)
    tape.begin("closing")
    place(late, size="25", orderType="LOC", lmtPrice=6.5)
    rests(late)
    ended("not closing", late)
    tape.begin("partly")
    place(big, size="9000", orderType="LMT", lmtPrice=990.0)
    tape.wait("execDetails", -1)
    tape.settle()
    ended("the rest", big)


def account(library: Library, tape: Tape) -> None:
    name = library.account
    phase(library, tape, "executions", ("reqExecutions", 130, library.filter()), "execDetailsEnd", 130)
    phase(library, tape, "positions", ("reqPositions",), "positionEnd")
    library.ask("cancelPositions")
    phase(library, tape, "positions multi", ("reqPositionsMulti", 131, name, ""), "positionMultiEnd", 131)
    tags = "AccountType,NetLiquidation,TotalCashValue,BuyingPower,Cushion"
    phase(library, tape, "summary", ("reqAccountSummary", 132, "All", tags), "accountSummaryEnd", 132)
    library.ask("cancelAccountSummary", 132)
    phase(library, tape, "updates", ("reqAccountUpdates", True, name), "accountDownloadEnd", name)
    library.ask("reqAccountUpdates", False, name)
    multi = ("reqAccountUpdatesMulti", 133, name, "", False)
    phase(library, tape, "updates multi", multi, "accountUpdateMultiEnd", 133)
    phase(library, tape, "completed", ("reqCompletedOrders", False), "completedOrdersEnd")


def refusals(library: Library, tape: Tape) -> None:
    """What this gateway has not, it refuses with the code a real one uses."""
    phase(library, tape, "no tickers", ("cancelMktData", 999), "error", 999)
    phase(library, tape, "no number", ("cancelHistoricalData", 998), "error", 998)


def stock(library: Library, symbol: str = "ABC") -> Any:
    contract = library.contract()
    contract.symbol, contract.secType, contract.exchange, contract.currency = symbol, "STK", "SMART", "USD"
    return contract


def ordered(library: Library, *, size: str, action: str = "BUY", tif: str = "DAY", **terms: Any) -> Any:
    order = library.order()
    order.action, order.totalQuantity, order.tif = action, library.quantity(size), tif
    for name, value in terms.items():
        setattr(order, name, value)
    return order
