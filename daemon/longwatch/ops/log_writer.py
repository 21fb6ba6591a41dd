"""Writes log lines from a thread of its own, so that a standard error nobody reads holds up only the log."""

from __future__ import annotations

import logging
import queue
import threading
from typing import TextIO

LINES_KEPT = 10_000
"""Lines that wait at most; of more, the newest are counted and left out."""
CLOSING_SECONDS = 1.0


class BackgroundHandler(logging.Handler):
    """Formats a record where it is made, writes it elsewhere; what there was no room for is counted and told.

    `close` waits a second at most for what is still unwritten: the process can end while nobody reads its log.
    """

    def __init__(self, stream: TextIO, *, kept: int = LINES_KEPT) -> None:
        super().__init__()
        self._stream = stream
        self._lines: queue.Queue[str | None] = queue.Queue(kept)
        self._left_out = 0
        self._thread = threading.Thread(target=self._run, name="longwatch-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.put_nowait(self.format(record) + "\n")
        except queue.Full:
            # Every caller holds the handler's lock.
            self._left_out += 1
        except (TypeError, ValueError, LookupError, AttributeError):
            # What such a record says on standard error is logging's own to decide.
            self.handleError(record)

    def close(self) -> None:
        """Write what waits, for a second at most."""
        super().close()
        try:
            self._lines.put(None, timeout=CLOSING_SECONDS)
        except queue.Full:
            return
        self._thread.join(CLOSING_SECONDS)

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            self._write(line)
            if self._lines.empty():
                self._tell_left_out()

    def _tell_left_out(self) -> None:
        with self.lock or threading.RLock():
            count, self._left_out = self._left_out, 0
        if count:
            self._write(f"warning: {count} lines of the log were left out: its reader was too slow\n")

    def _write(self, line: str) -> None:
        try:
            self._stream.write(line)
            self._stream.flush()
        except (OSError, ValueError):
            # The reader has gone: the daemon goes on, and the next line is tried again.
            return
