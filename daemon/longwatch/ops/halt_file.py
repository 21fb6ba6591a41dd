"""The file whose appearance halts: looked for again and again beside the loop; made and run by the app."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from longwatch.domain import messages as m
from longwatch.errors import LongwatchError
from longwatch.ops.control import Answer
from longwatch.ports import Workers

LOOK_SECONDS = 1.0
DEADLINE_SECONDS = 5.0
"""A file system that takes longer is told of, and asked again."""
MOST_WORDS = 200
"""Characters of the file's first line that are kept as the reason."""


@dataclass(slots=True, kw_only=True)
class HaltFile:
    """Halts, as `longwatch halt` does, when there is a file at `path`; its first line is the reason.

    While it is there the halt can't be lifted; that it goes away lifts nothing.
    """

    path: Path
    workers: Workers
    """Its own: on a file system that hangs a look may never end, and nothing else must wait behind it."""
    answer: Answer
    alert: Callable[[m.RaiseAlert], None]
    is_there: bool = field(init=False, default=False)
    _looking: bool = field(init=False, default=False)

    def keeps(self) -> str | None:
        """Why a halt can't be lifted now."""
        return f"{self.path} is there and halts: take it away, then resume" if self.is_there else None

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                reason = await self._look()
            except (OSError, TimeoutError) as error:
                why = f"{error}" or f"no answer within {DEADLINE_SECONDS:g} s"
                text = f"the halt file {self.path} can't be looked for ({why}): halt by `longwatch halt` until it can"
                self.alert(m.RaiseAlert(key="halt_file", text=text, severity="critical"))
            else:
                was_there, self.is_there = self.is_there, reason is not None
                if reason is not None and not was_there:
                    await self._halt(reason)
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> str | None:
        """The first line, None without a file. Raises TimeoutError too while an earlier look has not ended."""
        if self._looking:
            raise TimeoutError
        return await self.workers.run(self._looked, deadline_seconds=DEADLINE_SECONDS)

    def _looked(self) -> str | None:
        self._looking = True
        try:
            return first_line(self.path)
        finally:
            self._looking = False

    async def _halt(self, reason: str) -> None:
        try:
            await self.answer("halt", "", reason, f"file {self.path}")
        except LongwatchError as error:
            # It is decided, and what works is being cancelled; only the journal does not know it yet.
            logging.getLogger("longwatch.control").error("the halt by %s: %s", self.path, error)


def first_line(path: Path) -> str | None:
    """The file's first line, None without a file.

    Whatever else is there, or can't be read, is there: its line is empty. Raises OSError when that can't be known.
    """
    try:
        # Without O_NONBLOCK, what became a FIFO since would be opened for ever.
        if not stat.S_ISREG(path.stat().st_mode):
            return ""
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            return file.readline(4 * MOST_WORDS).decode("utf-8", "replace").strip()[:MOST_WORDS]
    except OSError as error:
        if os.path.lexists(path):
            return ""
        if isinstance(error, FileNotFoundError):
            return None
        raise
