"""The daemon's life in a simulated run: killed and started again, told what to do by a person; part of simulate."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta

from longwatch.app import Daemon
from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.domain.orders import OrderState
from longwatch.domain.reconciliation.breaks import differences
from longwatch.domain.state import State
from longwatch.gateway.app import Gateway
from longwatch.simulation.bench import Bench, OnStep
from longwatch.simulation.mortal import Killed
from longwatch.simulation.plan import Incident
from longwatch.simulation.strangers import others, ours
from longwatch.simulation.trouble import Act

BY = "a person in the simulation"
LOOKS_EACH_SECONDS = 600.0
STATED_AFTER = timedelta(hours=1)
"""How long after an order was sent a statement shows it, if it came to anything."""
SAYS_AGAIN_SECONDS = 5.0
"""How long after a start a person sees that something said is not in force, and says it again."""


class Life:
    """One daemon after the other on one journal. `acts` are the faults of plan.OURS, for Trouble."""

    def __init__(self, bench: Bench, on_step: OnStep) -> None:
        self._bench = bench
        self._on_step = on_step
        self._daemon: Daemon | None = None
        self._killed = asyncio.Event()
        self._revived = asyncio.Event()
        self._ended = False
        self._living: asyncio.Task[None] | None = None
        self._fell = False
        self._unheard: list[tuple[str, str]] = []
        self.acts: dict[str, tuple[Act, Act]] = {
            "crash": (self._kill, self._revive),
            "cancel_all": (self._says("cancel", "all"), self._says("")),
            "flatten": (self._says("flatten"), self._says("resume")),
            "halt": (self._says("halt"), self._says("resume")),
        }

    async def run(self) -> None:
        """Until `end`: a daemon, and after each crash the next."""
        looking = asyncio.create_task(self._look_at_statements(), name="statements")
        try:
            await self._live()
        finally:
            looking.cancel()

    async def _live(self) -> None:
        while not self._ended:
            self._killed.clear()
            self._revived.clear()
            self._fell = False
            self._daemon = daemon = self._bench.daemon(self._heard, serves_http=False)
            living = self._living = asyncio.create_task(self._bench.run(daemon), name="daemon")
            killed = asyncio.create_task(self._killed.wait(), name="kill")
            await asyncio.wait({living, killed}, return_when=asyncio.FIRST_COMPLETED)
            killed.cancel()
            if living.done() and not self._fell:
                living.result()
                return
            await self._bury(living, is_reset=not self._fell)
            await self._revived.wait()
            asyncio.get_running_loop().call_later(SAYS_AGAIN_SECONDS, self._says_again)

    def end(self) -> None:
        """Let the daemon drain and stop."""
        self._ended = True
        self._revived.set()
        if self._daemon is not None:
            self._daemon.stop()

    def fell(self) -> None:
        """The daemon was killed by somebody who has ended its connections and its journal: let nothing of it go on."""
        self._fell = True
        self._killed.set()
        if self._living is not None:
            self._living.cancel()

    def revive(self) -> None:
        """Start the next one."""
        self._revived.set()

    async def _bury(self, living: asyncio.Task[None], *, is_reset: bool) -> None:
        """As a killed process: its sockets are reset, nothing is told to anybody, and the journal is as it was."""
        self._daemon = None
        for link in self._bench.network.links if is_reset else ():
            link.reset()
        living.cancel()
        try:
            await living
        except asyncio.CancelledError:
            pass
        except BaseExceptionGroup as group:
            if group.split(Killed)[1] is not None:
                raise

    def _kill(self, gateway: Gateway, incident: Incident) -> None:
        self._killed.set()

    def _revive(self, gateway: Gateway, incident: Incident) -> None:
        self._revived.set()

    def _says(self, command: str, argument: str = "") -> Act:
        def act(gateway: Gateway, incident: Incident) -> None:
            if command:
                self._unheard.append((command, argument))
                self._put(command, argument)

        return act

    def _says_again(self) -> None:
        """What was said to a dead daemon, or to one that died before it had written it down."""
        for command, argument in self._unheard:
            self._put(command, argument)

    async def _look_at_statements(self) -> None:
        """A person compares what is quarantined with the broker's statement, and goes by that."""
        while True:
            await asyncio.sleep(LOOKS_EACH_SECONDS)
            state = self._daemon.state if self._daemon is not None else None
            if state is None or state.link is not m.Link.READY:
                continue
            for row in differences(state):
                if row.con_id in state.quarantines and (command := self._answer(row)) is not None:
                    for first, argument in self._before(state, row) if command == "adopt" else ():
                        self._put(first, argument)
                    self._put(command, row.symbol)

    def _answer(self, row: m.Difference) -> str | None:
        """What to say of a difference: a fill taken back is ours, what others did is not, and the rest will be told."""
        gateway = self._bench.gateway
        mine, theirs = ours(gateway, row.con_id), others(gateway, row.con_id)
        if (theirs or row.outside) and row.book == mine and row.account == mine + theirs:
            return "unquarantine"
        busted = (one for one in gateway.ledger.busted() if one.con_id == row.con_id)
        gone = [one.quantity if one.is_buy else -one.quantity for one in busted]
        return "adopt" if row.book + row.outside - row.account in gone else None

    def _before(self, state: State, row: m.Difference) -> Iterator[tuple[str, str]]:
        """What `adopt` asks for first, of orders that may have made the difference and are on the statement or not."""
        book = self._bench.gateway.desk.exchange.book
        there = {one.ticket.order_ref for one in (*book.live(), *book.ended())}
        there |= {one.order_ref for one in self._bench.gateway.ledger.executions}
        long_ago = self._bench.clock.technical() - STATED_AFTER
        for order in state.live_in(row.con_id):
            if order.side.sign * row.missing <= 0 or order.sent_at is None or order.sent_at > long_ago:
                continue
            if order.state is OrderState.UNKNOWN and order.ref not in there:
                yield "resolve", f"{order.intent} absent"
            elif order.state is OrderState.WORKING and not order.rests and not order.cancel_asked:
                yield "cancel", str(order.intent)

    def _put(self, command: str, argument: str) -> None:
        if self._daemon is not None:
            at, tech = self._bench.clock.market(), self._bench.clock.technical()
            said = m.ControlRequested(
                at=at, tech=tech, command=command, argument=argument, by=BY, reason="the simulation"
            )
            self._daemon.inbox.put(said)

    def _heard(self, event: m.Event, what: Step) -> None:
        if isinstance(event, m.ControlRequested) and (event.command, event.argument) in self._unheard:
            self._unheard.remove((event.command, event.argument))
        self._on_step(event, what)
