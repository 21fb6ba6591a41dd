"""Logs over the standard library: JSON for systemd's journal, a calm line for a person; set up once by the commands.

Any part logs with `logging.getLogger("longwatch.<topic>")`; keys given as `extra={...}` become fields; the topic is
what stands after the dot. Lines for people carry market time, JSON technical and, where it differs, market time.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from io import UnsupportedOperation
from typing import Literal, TextIO

from longwatch.clock import Clock
from longwatch.ops.log_writer import BackgroundHandler

Style = Literal["auto", "json", "console"]

TOPIC_WIDTH = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """How a library's own records come through: none below `threshold`, the rest one level lower if `demoted`."""

    threshold: int = logging.WARNING
    demoted: bool = False


# The IB libraries log every refusal of the gateway as an error; we hear the same as events and judge them ourselves.
LIBRARIES: dict[str, Library] = {
    "ib_insync": Library(demoted=True),
    "ib_async": Library(demoted=True),
    "eventkit": Library(),
    "aiohttp": Library(),
    "asyncio": Library(),
}

_DEMOTED = {
    logging.CRITICAL: logging.ERROR,
    logging.ERROR: logging.WARNING,
    logging.WARNING: logging.INFO,
    logging.INFO: logging.DEBUG,
}

# sd-daemon(3): syslog's priorities.
_PRIORITY = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}

_OWN_KEYS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def setup(
    clock: Clock,
    *,
    level: str = "info",
    style: Style = "auto",
    stream: TextIO | None = None,
    environ: Mapping[str, str] | None = None,
    in_background: bool = False,
) -> logging.Handler:
    """Send every log record of the process to `stream` (standard error unless given); a second call replaces the first.

    `style` auto is JSON under systemd, else the console's line. `in_background`: a thread writes, so that a reader who
    has stopped reading stops nobody. Raises ValueError for an unknown level.
    """
    stream = stream or sys.stderr
    under_systemd = is_journal(stream, os.environ if environ is None else environ)
    as_json = style == "json" or (style == "auto" and under_systemd)
    handler = BackgroundHandler(stream) if in_background else logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter(clock, prefixed=under_systemd) if as_json else ConsoleFormatter(clock))
    handler.addFilter(_Demotion(_level_of(level)))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(_level_of(level))
    for name, library in LIBRARIES.items():
        logging.getLogger(name).setLevel(max(library.threshold, _level_of(level)))
    return handler


def is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether `stream` is the one systemd connected to its journal: $JOURNAL_STREAM names it by device and inode."""
    named = environ.get("JOURNAL_STREAM", "")
    if not named:
        return False
    try:
        found = os.fstat(stream.fileno())
    except (OSError, UnsupportedOperation):
        return True
    return named == f"{found.st_dev}:{found.st_ino}"


def topic_of(name: str) -> str:
    """The word a record is filed under: of ours what follows `longwatch.`, of a library its name."""
    first, _, rest = name.partition(".")
    return rest.rpartition(".")[2] if first == "longwatch" and rest else first


class ConsoleFormatter(logging.Formatter):
    """`2007-01-03 14:35:00Z  orders    BUY 120 AAPL LMT 12.05`: one line a record, tracebacks indented below."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def format(self, record: logging.LogRecord) -> str:
        mark = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        pairs = "".join(f"  {key}={value}" for key, value in _fields(record).items())
        text = f"{mark}{_one_line(record.getMessage())}{pairs}"
        line = f"{self._clock.market():%Y-%m-%d %H:%M:%SZ}  {topic_of(record.name):<{TOPIC_WIDTH - 1}} {text}"
        return line + _traceback(self, record, indent="    ")


class JsonFormatter(logging.Formatter):
    """One JSON object a record, with systemd's `<N>` before it where asked."""

    def __init__(self, clock: Clock, *, prefixed: bool) -> None:
        super().__init__()
        self._clock = clock
        self._prefixed = prefixed

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            **self._times(),
            "level": record.levelname.lower(),
            "topic": topic_of(record.name),
            "text": record.getMessage(),
            **_fields(record),
        }
        trace = _traceback(self, record, indent="")
        if trace:
            entry["traceback"] = trace.strip()
        prefix = f"<{_PRIORITY.get(record.levelno, 5)}>" if self._prefixed else ""
        return prefix + json.dumps(entry, default=str, ensure_ascii=False)

    def _times(self) -> dict[str, str]:
        technical, market = self._clock.technical(), self._clock.market()
        times = {"time": _iso(technical)}
        return times if abs((market - technical).total_seconds()) < 1 else {**times, "market_time": _iso(market)}


class _Demotion(logging.Filter):
    """Lowers the records of demoted libraries by one level, and drops those then below the level asked for."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self._level = level

    def filter(self, record: logging.LogRecord) -> bool:
        library = LIBRARIES.get(record.name.partition(".")[0])
        if library is None or not library.demoted:
            return True
        record.levelno = _DEMOTED.get(record.levelno, record.levelno)
        record.levelname = logging.getLevelName(record.levelno)
        return record.levelno >= self._level


def _level_of(name: str) -> int:
    levels = logging.getLevelNamesMapping()
    if name.upper() not in levels:
        raise ValueError(f"log level {name!r} is not one of debug, info, warning, error, critical")
    return levels[name.upper()]


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in vars(record).items() if key not in _OWN_KEYS}


def _one_line(text: str) -> str:
    return " | ".join(text.splitlines()) if "\n" in text or "\r" in text else text


def _traceback(formatter: logging.Formatter, record: logging.LogRecord, *, indent: str) -> str:
    if not record.exc_info:
        return ""
    return "".join(f"\n{indent}{line}" for line in formatter.formatException(record.exc_info).splitlines())


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
