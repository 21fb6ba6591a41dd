"""The simulated IB Gateway as a whole, on a TCP port or any other transport; made by the command line and by tests."""

from __future__ import annotations

import asyncio
import errno
import socket
from decimal import Decimal

from longwatch.clock import Clock
from longwatch.errors import LinkError
from longwatch.gateway.desk import Desk, GatewayConfig
from longwatch.gateway.events import Event, Events
from longwatch.gateway.exchange.ledger import Ledger
from longwatch.gateway.faults import Faults
from longwatch.gateway.market.market import Market
from longwatch.gateway.requests.requests import answer
from longwatch.gateway.session import Session

CLOSING_SECONDS = 2.0


class Gateway:
    """One gateway. It needs a running loop; `clock.market()` is its time, which `config.speed` must agree with.

    Raises JournalError when the ledger file can't be read, or belongs to another market.
    """

    def __init__(self, config: GatewayConfig, market: Market, clock: Clock, faults: Faults | None = None) -> None:
        self.config = config
        self.desk = Desk(config, market, clock, asyncio.get_running_loop(), answer, faults or Faults())
        self._server: asyncio.Server | None = None
        self._address: tuple[str, int] | None = None

    @property
    def faults(self) -> Faults:
        """What it does wrong; change it at any time."""
        return self.desk.faults

    @property
    def events(self) -> Events:
        """What is done to its accounts from outside."""
        return self.desk.events

    @property
    def ledger(self) -> Ledger:
        """The true books, which no fault touches."""
        return self.desk.ledger

    @property
    def port(self) -> int:
        """The TCP port it listens on; 0 when it does not."""
        return self._address[1] if self._address and self._server else 0

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen on a TCP port, 0 for any free one; returns it. Raises LinkError when it is taken or no port here."""
        try:
            self._server = await self.desk.loop.create_server(lambda: Session(self.desk), host, port)
        except OSError as error:
            is_host = isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL
            other = "name an address of this machine" if is_host else "choose another port"
            raise LinkError(f"The gateway can't listen on {host}:{port} ({error}); {other}.") from error
        self._address = (host, self._server.sockets[0].getsockname()[1])
        return self._address[1]

    def protocol_factory(self) -> Session:
        """The protocol of one connection, for a transport in memory; raises ConnectionRefusedError while refusing."""
        if self.faults.refuse:
            raise ConnectionRefusedError("the gateway refuses connections")
        return Session(self.desk)

    async def refuse_connections(self) -> None:
        """Cut every client off and refuse new ones, as a gateway that is down."""
        self.faults.refuse = True
        if self._server is not None:
            self._server.close()
            self._server = None
        for session in list(self.desk.connections):
            session.abort()
        await asyncio.sleep(0)

    async def accept_connections(self) -> None:
        """Listen again, on the same port."""
        self.faults.refuse = False
        if self._server is None and self._address is not None:
            await self.start(*self._address)

    def trade_by_hand(
        self, symbol: str, action: str, quantity: Decimal, *, account: str = "", limit: Decimal | None = None
    ) -> None:
        """An order typed into the gateway's own window. Raises UsageError when it lists no such symbol."""
        shares = quantity if action == "BUY" else -quantity
        traded = Event(kind="trade", account=account, symbol=symbol, quantity=shares, price=limit or Decimal(0))
        self.events.happen(traded)

    async def close(self) -> None:
        """Stop listening, cut every client off, close the books."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        self.desk.close()
        if server is not None:
            await self._wait_for(server)

    async def _wait_for(self, server: asyncio.Server) -> None:
        """Give clients a moment to take their last bytes; who does not is cut off."""
        try:
            async with asyncio.timeout(CLOSING_SECONDS):
                await server.wait_closed()
        except TimeoutError:
            for session in list(self.desk.connections):
                session.abort()
