"""Signals of the operating system: SIGTERM and SIGINT drain, SIGHUP reloads; called by who runs a daemon."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import Any, Protocol

from longwatch.errors import LongwatchError

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
    """Listen on the running loop; a second SIGHUP while one is being obeyed is the same reload."""
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()

    def reload() -> None:
        if not reloads:
            task = loop.create_task(_reload(daemon), name="reload")
            reloads.add(task)
            task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGTERM, daemon.stop)
    loop.add_signal_handler(signal.SIGINT, daemon.stop)
    loop.add_signal_handler(signal.SIGHUP, reload)


async def _reload(daemon: Obedient) -> None:
    try:
        reply = await daemon.reload()
    except (LongwatchError, TimeoutError) as error:
        _LOG.error("reload: %s", error)
    else:
        _LOG.log(logging.INFO if reply["ok"] else logging.ERROR, "reload: %s", reply["text"])
