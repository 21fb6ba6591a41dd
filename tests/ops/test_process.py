"""What the system's signals do to a daemon, and how work before the start is given up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from longwatch.errors import ConfigError
from longwatch.ops.process import Reloader, unless_stopped


class Daemon:
    """Reloads when it is let; `read` counts how often it began to."""

    def __init__(self) -> None:
        self.read = 0
        self.may_end = asyncio.Event()

    def stop(self) -> None:
        raise AssertionError("nobody asked for this")

    async def reload(self, *, loosen: bool = False, by: str = "SIGHUP") -> dict[str, Any]:
        self.read += 1
        await self.may_end.wait()
        if self.read == 1:
            raise ConfigError("the first file was bad")
        return {"ok": True, "text": "taken"}


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_sighups_during_a_reload_are_one_more_reload_after_it() -> None:
    """The file may have changed after the first was read: it is read once more, not three times, and not never."""
    daemon = Daemon()
    reload = Reloader(daemon)
    reload()
    await turns()
    for _ in range(3):
        reload()
    await turns()
    assert daemon.read == 1
    daemon.may_end.set()
    await turns()
    assert daemon.read == 2
    reload()
    await turns()
    assert daemon.read == 3


async def test_work_before_the_start_is_cancelled_by_a_stop() -> None:
    """None comes back at once, and the work does not go on behind anybody's back."""
    stop, ended = asyncio.Event(), asyncio.Event()

    async def work() -> str:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()
        return "done"

    waiting = asyncio.create_task(unless_stopped(stop, work()))
    await turns()
    stop.set()
    assert await waiting is None
    assert ended.is_set()


async def test_work_that_ends_or_fails_before_a_stop_is_told() -> None:
    """Its result, or its error."""

    async def work() -> str:
        return "done"

    async def failing() -> str:
        raise ConfigError("no such strategy")

    assert await unless_stopped(asyncio.Event(), work()) == "done"
    with pytest.raises(ConfigError, match="no such strategy"):
        await unless_stopped(asyncio.Event(), failing())
