"""Drives Interactive Brokers' own Python client, `ibapi`, of any generation: `official.py HOST PORT CLIENT_ID`.

With a second account and a contract number after these it asks about accounts alone.
"""

from __future__ import annotations

import sys
import threading
from decimal import Decimal
from inspect import signature
from typing import Any

from ibapi.client import EClient
from ibapi.contract import Contract
from ibapi.execution import ExecutionFilter
from ibapi.order import Order
from ibapi.wrapper import EWrapper
from play import Tape, play, play_accounts, play_quotes, told

OWN = frozenset(name for name in vars(EWrapper) if not name.startswith("_")) - {"logAnswer"}


class Heard(EWrapper):
    """Writes every callback to the tape."""

    def __init__(self, tape: Tape) -> None:
        EWrapper.__init__(self)
        self.tape = tape

    def __getattribute__(self, name: str) -> Any:
        if name not in OWN:
            return object.__getattribute__(self, name)
        tape = object.__getattribute__(self, "tape")
        return lambda *arguments: tape.write(name, arguments)


class Official:
    """The client, with its reader in a thread of its own as its manual says."""

    name = "ibapi"
    account = ""

    def __init__(self, tape: Tape) -> None:
        self.client = EClient(Heard(tape))

    def connect(self, host: str, port: int, client_id: int) -> None:
        self.client.connect(host, port, client_id)
        threading.Thread(target=self.client.run, daemon=True).start()

    def ask(self, request: str, *arguments: Any) -> None:
        getattr(self.client, request)(*arguments)

    def cancel(self, order_id: int) -> None:
        if len(signature(EClient.cancelOrder).parameters) == 2:
            self.client.cancelOrder(order_id)
            return
        from ibapi.order_cancel import OrderCancel

        self.client.cancelOrder(order_id, OrderCancel())

    contract = staticmethod(Contract)
    order = staticmethod(Order)
    filter = staticmethod(ExecutionFilter)

    @staticmethod
    def quantity(text: str) -> Any:
        """Sizes are Decimal in the newer generation."""
        return Decimal(text) if "Decimal" in vars(sys.modules["ibapi.order"]) else float(text)


def quotes(host: str, client_id: int, asked: str) -> None:
    """One gateway after the other: `asked` are `PORT:NAME:KIND`, with commas between."""
    tape, version = Tape(), 0
    for one in asked.split(","):
        port, phase, kind = one.split(":")
        tape.begin(f"{phase} opening")
        library = Official(tape)
        library.connect(host, int(port), client_id)
        play_quotes(library, tape, phase, int(kind))
        version = library.client.serverVersion()
        library.client.disconnect()
    told(library, tape, server_version=version, connected_at="")


def main(host: str, port: str, client_id: str, other: str = "", con_id: str = "0") -> None:
    if port == "quotes":
        quotes(host, int(client_id), other)
        return
    tape = Tape()
    library = Official(tape)
    library.connect(host, int(port), int(client_id))
    library.account = "DU123456"
    if other:
        play_accounts(library, tape, other, int(con_id))
    else:
        play(library, tape)
    client = library.client
    version, connected_at = client.serverVersion(), client.twsConnectionTime()
    client.disconnect()
    told(library, tape, server_version=version, connected_at=str(connected_at))


if __name__ == "__main__":
    main(*sys.argv[1:])
