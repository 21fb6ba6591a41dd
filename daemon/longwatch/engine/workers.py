"""Where work goes that would hold the loop up: a small pool of threads in production, nowhere else in simulation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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

    def close(self) -> None:
        """Take no more work; what runs is left to end."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class InlineWorkers:
    """Does the work at once: one seed, one order of things."""

    async def run(self, work: Callable[[], Result], *, deadline_seconds: float) -> Result:
        """Do `work` before returning."""
        return work()

    def close(self) -> None:
        """Nothing to give up."""
