"""A bare TWS server for benches: answers what a client asks at its start, sends ticks, and tells when an order came.

Run as a process of its own. It prints its port; then it obeys lines on its standard input and answers each by one line
of JSON: `ticks N GAP` sends N ticks, one after the other's order has come, and gives the microseconds between the two;
`order` gives the perf_counter reading (the same clock in every process) at which the next order came; `quit` ends it.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from longwatch.wire.framing import Frames, greeting, split, take_hello
from longwatch.wire.replies import encode_reply, quick
from longwatch.wire.requests import Request, decode_request

VERSION = 176
ACCOUNT = "DU123456"
STOCK = {
    "conId": 265598, "symbol": "AAPL", "secType": "STK", "exchange": "SMART", "currency": "USD",
    "localSymbol": "AAPL", "tradingClass": "NMS",
}  # fmt: skip
SUMMARY = {"NetLiquidation": "1000000.00", "TotalCashValue": "1000000.00", "AvailableFunds": "1000000.00"}
PRICE = Decimal("100.00")
PATIENCE_SECONDS = 1.0
ATTEMPTS = 5


class Server:
    """One client at a time."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._client: socket.socket | None = None
        self._frames = Frames()
        self._greeted = False
        self._ticker = 0
        self._executions = 0
        self._position = Decimal(0)
        self._orders: list[tuple[float, Request]] = []
        self._tick = quick("tickPrice", VERSION)

    def run(self) -> None:
        """Obey until told to quit or the standard input ends."""
        while True:
            ready, _, _ = select.select([sys.stdin, self._client or self._listener], [], [])
            if sys.stdin in ready:
                words = sys.stdin.readline().split()
                if not words or words[0] == "quit":
                    return
                print(json.dumps(self._obey(words)), flush=True)
            elif self._client is None:
                self._accept()
            else:
                self._read()

    def _obey(self, words: list[str]) -> Any:
        if words[0] == "ticks":
            return [self._one_tick(number, float(words[2])) for number in range(int(words[1]))]
        return self._next_order()[0]

    def _one_tick(self, number: int, gap: float) -> float:
        """Microseconds from a tick to its order; a tick that found the client still busy is followed by another."""
        for attempt in range(ATTEMPTS):
            self._listen(gap)
            self._orders.clear()
            size = 300 + number % 7 + 10 * attempt
            frame = self._tick(self._ticker, 1, Decimal("99.99") - Decimal(number % 2) / 100, size, 0)
            began = time.perf_counter()
            self._send(frame)
            while not self._orders and self._is_heard(PATIENCE_SECONDS):
                self._read()
            if self._orders:
                came, request = self._orders.pop(0)
                self._fill(request.values)
                return (came - began) * 1e6
        raise SystemExit("no order came for a tick")

    def _listen(self, seconds: float) -> None:
        """Answer what comes for so long."""
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            if self._is_heard(left):
                self._read()

    def _is_heard(self, seconds: float) -> bool:
        return bool(select.select([self._client], [], [], seconds)[0])

    def _next_order(self) -> tuple[float, Request]:
        while not self._orders:
            self._read()
        return self._orders.pop(0)

    def _accept(self) -> None:
        self._client, _ = self._listener.accept()
        self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._frames, self._greeted, self._position = Frames(), False, Decimal(0)

    def _read(self) -> None:
        assert self._client is not None
        data = self._client.recv(1 << 20)
        came = time.perf_counter()
        if not data:
            self._client.close()
            self._client = None
            return
        if not self._greeted:
            taken = take_hello(data)
            if taken is None:
                return
            self._greeted, data = True, taken[1]
            self._send(greeting(VERSION, "20240325 14:30:18 Greenwich Mean Time"))
        for payload in self._frames.feed(data) if data else ():
            request = decode_request(split(payload), VERSION)
            if isinstance(request, Request):
                self._answer(request, came)

    def _answer(self, request: Request, came: float) -> None:
        answer = ANSWERS.get(request.name)
        if request.name == "placeOrder":
            self._orders.append((came, request))
        elif request.name == "reqMktData":
            self._ticker = request.values["reqId"]
            self._send(self._tick(self._ticker, 1, Decimal("99.98"), 300, 0))
            self._send(self._tick(self._ticker, 2, Decimal("100.02"), 300, 0))
        elif answer is not None:
            for name, values in answer(request.values):
                self._reply(name, values)

    def _fill(self, order: dict[str, Any]) -> None:
        self._executions += 1
        sign = 1 if order["action"] == "BUY" else -1
        quantity, perm_id = order["totalQuantity"], 1_000 + order["orderId"]
        self._position += sign * quantity
        head = {"orderId": order["orderId"], "permId": perm_id, "clientId": 1}
        exec_id = f"00025b49.{self._executions:08x}.01.01"
        kept = ("action", "totalQuantity", "orderType", "lmtPrice", "orderRef")
        self._reply(
            "openOrder",
            {**STOCK, **head, **{name: order[name] for name in kept}, "account": ACCOUNT, "status": "Submitted"},
        )
        execution = {
            **STOCK, **head, "reqId": -1, "execId": exec_id, "time": time.strftime("%Y%m%d-%H:%M:%S", time.gmtime()),
            "acctNumber": ACCOUNT, "executionExchange": "IEX", "side": "BOT" if sign > 0 else "SLD",
            "shares": quantity, "price": PRICE, "cumQty": quantity, "avgPrice": PRICE, "orderRef": order["orderRef"],
        }  # fmt: skip
        self._reply("execDetails", execution)
        status = {"status": "Filled", "filled": quantity, "remaining": 0, "avgFillPrice": PRICE, "lastFillPrice": PRICE}
        self._reply("orderStatus", {**head, **status})
        self._reply("commissionReport", {"execId": exec_id, "commission": Decimal(1), "currency": "USD"})

    def _reply(self, name: str, values: dict[str, Any]) -> None:
        self._send(encode_reply(name, values, VERSION))

    def _send(self, data: bytes) -> None:
        assert self._client is not None
        self._client.sendall(data)


Replies = list[tuple[str, dict[str, Any]]]


def _summary(values: dict[str, Any]) -> Replies:
    head = {"reqId": values["reqId"], "account": ACCOUNT, "currency": "USD"}
    rows: Replies = [("accountSummary", {**head, "tag": tag, "value": value}) for tag, value in SUMMARY.items()]
    return [*rows, ("accountSummaryEnd", {"reqId": values["reqId"]})]


def _details(values: dict[str, Any]) -> Replies:
    head = {"reqId": values["reqId"]}
    details = {"minTick": Decimal("0.01"), "primaryExchange": "NASDAQ", "timeZoneId": "US/Eastern", "marketName": "NMS"}
    return [("contractDetails", {**head, **STOCK, **details}), ("contractDetailsEnd", head)]


ANSWERS: dict[str, Callable[[dict[str, Any]], Replies]] = {
    "startApi": lambda _: [("managedAccounts", {"accountsList": ACCOUNT}), ("nextValidId", {"orderId": 1})],
    "reqPositions": lambda _: [("positionEnd", {})],
    "reqAllOpenOrders": lambda _: [("openOrderEnd", {})],
    "reqOpenOrders": lambda _: [("openOrderEnd", {})],
    "reqCompletedOrders": lambda _: [("completedOrdersEnd", {})],
    "reqExecutions": lambda values: [("execDetailsEnd", {"reqId": values["reqId"]})],
    "reqAccountSummary": _summary,
    "reqContractDetails": _details,
    "reqCurrentTime": lambda _: [("currentTime", {"time": int(time.time())})],
    "reqAccountUpdatesMulti": lambda values: [("accountUpdateMultiEnd", {"reqId": values["reqId"]})],
    "reqAccountUpdates": lambda _: [("accountDownloadEnd", {"account": ACCOUNT})],
}


def main() -> None:
    """Serve."""
    server = Server()
    print(server.port, flush=True)
    server.run()


if __name__ == "__main__":
    main()
