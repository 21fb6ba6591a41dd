"""Drives ib_insync or ib_async: `insync.py LIBRARY HOST PORT CLIENT_ID`; first its client, then its façade IB.

The client hears through a wrapper of ours, which shows each callback as decoded; the façade is the library's own whole.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import threading
from datetime import UTC
from types import SimpleNamespace
from typing import Any

from play import Tape, plain, play, play_accounts, play_quotes, told


class Heard:
    """Stands where the library's wrapper stands and writes every callback to the tape."""

    defaultTimezone = UTC
    ib = SimpleNamespace(TimezoneTWS="UTC")

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in {"tcpDataArrived", "tcpDataProcessed"}:
            raise AttributeError(name)
        return lambda *arguments: self._tape.write(name, arguments)


class Insync:
    """The library's client, on a loop in a thread of its own."""

    account = "DU123456"

    def __init__(self, name: str, tape: Tape) -> None:
        self.name = name
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.library = importlib.import_module(name)
        self.client = self.library.client.Client(Heard(tape))
        threading.Thread(target=self._turn, daemon=True).start()

    def _turn(self) -> None:
        # The library asks the thread for its loop.
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def connect(self, host: str, port: int, client_id: int) -> None:
        self.run(self.client.connectAsync(host, port, client_id))

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def ask(self, request: str, *arguments: Any) -> None:
        self.loop.call_soon_threadsafe(lambda: getattr(self.client, request)(*arguments))

    def cancel(self, order_id: int) -> None:
        self.ask("cancelOrder", order_id)

    def contract(self) -> Any:
        return self.library.Contract()

    def order(self) -> Any:
        return self.library.Order()

    def filter(self) -> Any:
        return self.library.ExecutionFilter()

    @staticmethod
    def quantity(text: str) -> float:
        return float(text)

    async def stop(self) -> None:
        self.client.disconnect()

    async def facade(self, host: str, port: int, client_id: int) -> dict[str, Any]:
        """What a program sees that uses the library as its manual says."""
        ib = self.library.IB()
        ib.RaiseRequestErrors = True
        await ib.connectAsync(host, port, clientId=client_id, timeout=8)
        (contract,) = await ib.qualifyContractsAsync(self.library.Stock("ABC", "SMART", "USD"))
        bars = await ib.reqHistoricalDataAsync(contract, "", "5 D", "1 day", "TRADES", True)
        (ticker,) = await ib.reqTickersAsync(contract)
        trade = ib.placeOrder(contract, self.library.LimitOrder("BUY", 20, 10.75, tif="GTC", orderRef="lw:facade:1"))
        await self._until(trade, "Submitted")
        preview = await ib.whatIfOrderAsync(contract, self.library.MarketOrder("BUY", 10))
        orders = await ib.reqAllOpenOrdersAsync()
        ib.cancelOrder(trade.order)
        await self._until(trade, "Cancelled")
        seen = {
            "accounts": ib.managedAccounts(),
            "contract": contract,
            "bars": bars,
            "ticker": {name: getattr(ticker, name) for name in ("bid", "ask", "bidSize", "askSize", "last", "close")},
            "trade": {"order": trade.order, "status": trade.orderStatus, "log": [one.status for one in trade.log]},
            "preview": preview,
            "open": [one.order for one in orders],
            "positions": ib.positions(),
            "portfolio": ib.portfolio(),
            "values": ib.accountValues(),
            "summary": await ib.accountSummaryAsync(),
            "fills": ib.fills(),
            "completed": [one.order for one in await ib.reqCompletedOrdersAsync(False)],
        }
        ib.disconnect()
        return {name: plain(value) for name, value in seen.items()}

    @staticmethod
    async def _until(trade: Any, status: str) -> None:
        async with asyncio.timeout(8):
            while trade.orderStatus.status != status:
                await asyncio.sleep(0.02)


def quotes(name: str, host: str, client_id: int, asked: str) -> None:
    """One gateway after the other: `asked` are `PORT:NAME:KIND`, with commas between."""
    tape, version = Tape(), 0
    for one in asked.split(","):
        port, phase, kind = one.split(":")
        tape.begin(f"{phase} opening")
        library = Insync(name, tape)
        library.connect(host, int(port), client_id)
        play_quotes(library, tape, phase, int(kind))
        version = library.client.serverVersion()
        library.run(library.stop())
    told(library, tape, server_version=version, connected_at="")


def main(name: str, host: str, port: str, client_id: str, other: str = "", con_id: str = "0") -> None:
    if port == "quotes":
        quotes(name, host, int(client_id), other)
        return
    tape = Tape()
    library = Insync(name, tape)
    library.connect(host, int(port), int(client_id))
    if other:
        play_accounts(library, tape, other, int(con_id))
    else:
        play(library, tape)
    version = library.client.serverVersion()
    library.run(library.stop())
    if other:
        told(library, tape, server_version=version, connected_at="")
        return
    facade = library.run(library.facade(host, int(port), int(client_id) + 1))
    told(library, tape, server_version=version, connected_at="", facade=facade)


if __name__ == "__main__":
    main(*sys.argv[1:])
