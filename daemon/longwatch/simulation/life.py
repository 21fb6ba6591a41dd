"""The daemon's life in a simulated run: killed and started again, told what to do by a person; part of simulate."""

from __future__ import annotations

import asyncio
import contextlib

from longwatch.app import Daemon
from longwatch.domain import messages as m
from longwatch.gateway.app import Gateway
from longwatch.simulation.bench import Bench, OnStep
from longwatch.simulation.plan import Incident
from longwatch.simulation.trouble import Act

BY = "a person in the simulation"


class Life:
    """One daemon after the other on one journal. `acts` are the faults of plan.OURS, for Trouble."""

    def __init__(self, bench: Bench, on_step: OnStep) -> None:
        self._bench = bench
        self._on_step = on_step
        self._daemon: Daemon | None = None
        self._killed = asyncio.Event()
        self._revived = asyncio.Event()
        self._ended = False
        self.acts: dict[str, tuple[Act, Act]] = {
            "crash": (self._kill, self._revive),
            "cancel_all": (self._says("cancel", "all"), self._says("")),
            "flatten": (self._says("flatten"), self._says("resume")),
            "halt": (self._says("halt"), self._says("resume")),
        }

    async def run(self) -> None:
        """Until `end`: a daemon, and after each crash the next."""
        while not self._ended:
            self._killed.clear()
            self._revived.clear()
            self._daemon = daemon = self._bench.daemon(self._on_step, serves_http=False)
            living = asyncio.create_task(self._bench.run(daemon), name="daemon")
            killed = asyncio.create_task(self._killed.wait(), name="kill")
            await asyncio.wait({living, killed}, return_when=asyncio.FIRST_COMPLETED)
            killed.cancel()
            if living.done():
                living.result()
                return
            await self._bury(living)
            await self._revived.wait()

    def end(self) -> None:
        """Let the daemon drain and stop."""
        self._ended = True
        self._revived.set()
        if self._daemon is not None:
            self._daemon.stop()

    async def _bury(self, living: asyncio.Task[None]) -> None:
        """As a killed process: its sockets are reset, nothing is told to anybody, and the journal is as it was."""
        self._daemon = None
        for link in self._bench.network.links:
            link.reset()
        living.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await living

    def _kill(self, gateway: Gateway, incident: Incident) -> None:
        self._killed.set()

    def _revive(self, gateway: Gateway, incident: Incident) -> None:
        self._revived.set()

    def _says(self, command: str, argument: str = "") -> Act:
        def act(gateway: Gateway, incident: Incident) -> None:
            daemon, clock = self._daemon, self._bench.clock
            if daemon is not None and command:
                at, tech = clock.market(), clock.technical()
                said = m.ControlRequested(
                    at=at, tech=tech, command=command, argument=argument, by=BY, reason="the simulation"
                )
                daemon.inbox.put(said)

        return act
