"""What the system asks of a daemon: SIGTERM and SIGINT drain, SIGHUP reloads; called by production, demo and app."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from longwatch.errors import LongwatchError

Result = TypeVar("Result")

_LOG = logging.getLogger("longwatch.reload")


class Obedient(Protocol):
    """What can be told to stop, and to read its configuration again."""

    def stop(self) -> None:
        """Begin to drain."""
        ...

    async def reload(self, *, loosen: bool = False, by: str = "SIGHUP") -> dict[str, Any]:
        """Read the configuration again; the reply says whether it was taken over."""
        ...


def obey_signals(daemon: Obedient) -> None:
    """Listen on the running loop."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, daemon.stop)
    loop.add_signal_handler(signal.SIGINT, daemon.stop)
    loop.add_signal_handler(signal.SIGHUP, Reloader(daemon))


class Reloader:
    """Called at each SIGHUP; however many come during a reload, one more follows: the file may have changed since."""

    def __init__(self, daemon: Obedient) -> None:
        self._daemon = daemon
        self._is_wanted = False
        self._task: asyncio.Task[None] | None = None

    def __call__(self) -> None:
        self._is_wanted = True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._obey(), name="reload")

    async def _obey(self) -> None:
        while self._is_wanted:
            self._is_wanted = False
            try:
                reply = await self._daemon.reload()
            except (LongwatchError, TimeoutError) as error:
                _LOG.error("reload: %s", error)
            else:
                _LOG.log(logging.INFO if reply["ok"] else logging.ERROR, "reload: %s", reply["text"])


async def unless_stopped(stop: asyncio.Event, work: Coroutine[Any, Any, Result]) -> Result | None:
    """What `work` returns; None when told to stop first, and the work is then cancelled."""
    working = asyncio.create_task(work, name="before-stop")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        stopping.cancel()
        await asyncio.wait({working, stopping})
