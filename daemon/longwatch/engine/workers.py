"""Where work goes that would hold the loop up: a small pool of threads in production, nowhere else in simulation."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

Result = TypeVar("Result")

THREADS = 2


class ThreadWorkers:
    """File and short CPU work beside the loop; strategies have processes of their own (strategies/host.py)."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="longwatch-worker")

    async def run(self, work: Callable[[], Result], *, deadline_seconds: float) -> Result:
        """Do `work` in a thread. Raises TimeoutError past the deadline; the thread ends its work unheard."""
        async with asyncio.timeout(deadline_seconds):
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def apart(self) -> OwnThreads:
        """Threads that are none of these."""
        return OwnThreads()

    def close(self) -> None:
        """Take no more work; what runs is left to end."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class OwnThreads:
    """Does each work in a thread of its own, which the end of the process does not wait for.

    Whoever asks sees to it that those that hang do not grow in number.
    """

    async def run(self, work: Callable[[], Result], *, deadline_seconds: float) -> Result:
        """Do `work` in a new thread. Raises TimeoutError past the deadline; the thread goes on unheard."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Result] = loop.create_future()
        threading.Thread(target=_report, args=(work, loop, ended), name="longwatch-apart", daemon=True).start()
        async with asyncio.timeout(deadline_seconds):
            return await ended

    def apart(self) -> OwnThreads:
        """These are."""
        return self


def _report(work: Callable[[], Result], loop: asyncio.AbstractEventLoop, ended: asyncio.Future[Result]) -> None:
    done: Future[Result] = Future()
    try:
        done.set_result(work())
    except Exception as error:  # noqa: BLE001  # firewall "apart": it is raised where the work was asked for
        done.set_exception(error)
    with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
        loop.call_soon_threadsafe(_settle, ended, done)


def _settle(ended: asyncio.Future[Result], done: Future[Result]) -> None:
    if ended.done():
        return
    error = done.exception()
    if error is None:
        ended.set_result(done.result())
    else:
        ended.set_exception(error)


class InlineWorkers:
    """Does the work at once: one seed, one order of things."""

    async def run(self, work: Callable[[], Result], *, deadline_seconds: float) -> Result:
        """Do `work` before returning."""
        return work()

    def apart(self) -> InlineWorkers:
        """Nothing runs beside another."""
        return self

    def close(self) -> None:
        """Nothing to give up."""
