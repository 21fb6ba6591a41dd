"""Where a strategy's code runs: `compute` is called inline in simulation, and by this module's own loop in a process.

A process is started by host.py as `python -m longwatch.strategies.worker DESCRIPTOR PARENT`, and talks over the socket
of that descriptor. A frame is a length (8 bytes, little-endian) and as many bytes. A request is one frame of JSON, then
one of columns for each series; an answer is one frame of JSON. No class crosses, in either direction.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import signal
import socket
import struct
import sys
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from longwatch.domain.bars import BarSeries
from longwatch.errors import StrategyError
from longwatch.strategies.base import Bars, Context, settle_weights
from longwatch.strategies.source import Loaded, blamed, hash_of, load

LENGTH = struct.Struct("<Q")
MAX_MEMORY_BYTES = 64 * 1024

_PRICES = ("open", "high", "low", "close", "volume", "adjusted")
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """Which strategy: its name in the configuration, `path.py:Class` or `package.module:Class`, and its parameters.

    A relative path counts from `folder`. With `source_hash` (SHA-256, hex) any other source than that is refused.
    """

    name: str
    reference: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    source_hash: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One decision asked of a strategy: on these series, in this context."""

    code: Code
    series: Mapping[str, BarSeries]
    context: Context


def compute(loaded: Loaded, request: Request) -> tuple[dict[str, Decimal], dict[str, Any]]:
    """The settled weights and the plain memory a strategy answers with; StrategyError for all it may do wrong."""
    with blamed(request.code.reference):
        answer = loaded.strategy.target_weights(Bars(request.series), request.context)
    if not (isinstance(answer, tuple) and len(answer) == 2):
        raise StrategyError(f"strategy {request.code.reference} returned no pair of weights and memory")
    try:
        with blamed(request.code.reference):
            return settle_weights(answer[0], loaded.needs), _settled_memory(answer[1])
    except StrategyError as error:
        raise StrategyError(f"strategy {request.code.reference}: {error}") from error


def checked_load(code: Code) -> Loaded:
    """Load a strategy, refusing another source than the one asked for."""
    loaded = load(code.reference, plain_parameters(code), code.folder)
    if code.source_hash not in (None, loaded.source_hash):
        raise StrategyError(f"strategy {code.reference}: its source has changed since it was configured; reload")
    return loaded


def plain_parameters(code: Code) -> dict[str, Any]:
    """Parameters as plain JSON data, the same inline as after crossing to a process."""
    parameters: dict[str, Any] = json.loads(json.dumps(dict(code.parameters), default=str))
    return parameters


def parameters_text(code: Code) -> str:
    """The parameters as JSON, the same text for the same ones."""
    return json.dumps(plain_parameters(code), sort_keys=True, separators=(",", ":"))


def _settled_memory(memory: object) -> dict[str, Any]:
    if not isinstance(memory, Mapping):
        raise StrategyError(f"memory must be a mapping, and {type(memory).__name__} is none")
    plain: dict[str, Any] = _plain(memory, "memory")
    size = len(json.dumps(plain))
    if size > MAX_MEMORY_BYTES:
        raise StrategyError(f"memory of {size} bytes was returned; at most {MAX_MEMORY_BYTES} are kept")
    return plain


def _plain(value: object, where: str) -> Any:
    """JSON data with sorted keys, or StrategyError naming the place of what is none."""
    match value:
        case None | bool() | int() | str():
            return value
        case float() if math.isfinite(value):
            return float(value)
        case list() | tuple():
            return [_plain(item, f"{where}[{place}]") for place, item in enumerate(value)]
        case Mapping() if all(isinstance(key, str) for key in value):
            return {key: _plain(value[key], f"{where}.{key}") for key in sorted(value)}
    raise StrategyError(f"{where} is {value!r:.40}, which is not plain JSON data")


def frames_of(task: str, code: Code, request: Request | None = None) -> Iterator[bytes]:
    """A request as frames, without their lengths."""
    head: dict[str, Any] = {
        "task": task,
        "code": asdict(code) | {"parameters": plain_parameters(code), "folder": code.folder and str(code.folder)},
    }
    series = list(request.series.values()) if request else []
    head["series"] = [[one.symbol, one.bar_size, len(one)] for one in series]
    if request is not None:
        context = request.context
        head["context"] = {
            "session": context.session.isoformat(),
            "now": context.now.isoformat(),
            "memory": dict(context.memory),
            "weights": {symbol: str(weight) for symbol, weight in context.weights.items()},
        }
    yield json.dumps(head).encode()
    for one in series:
        yield one.stamps.tobytes() + b"".join(getattr(one, name).tobytes() for name in _PRICES)


def main() -> None:
    """Answer requests until the daemon closes the socket or dies."""
    descriptor, parent = int(sys.argv[1]), int(sys.argv[2])
    _die_with(parent)
    with socket.socket(fileno=descriptor) as channel, channel.makefile("rb") as incoming:
        loaded: Loaded | None = None
        while head := _frame(incoming):
            task = json.loads(head)
            series = {one.symbol: one for one in _series(task["series"], incoming)}
            try:
                answer, loaded = _answered(task, series, loaded)
            except StrategyError as error:
                answer = {"error": str(error)}
            reply = json.dumps(answer).encode()
            channel.sendall(LENGTH.pack(len(reply)) + reply)


def _answered(
    task: Mapping[str, Any], series: Mapping[str, BarSeries], loaded: Loaded | None
) -> tuple[dict[str, Any], Loaded]:
    folder = task["code"]["folder"]
    code = Code(**task["code"] | {"folder": Path(folder) if folder else None})
    if loaded is not None and hash_of(code.reference, code.folder) != loaded.source_hash:
        return {"stale": True}, loaded
    loaded = loaded or checked_load(code)
    if task["task"] == "needs":
        return {"needs": asdict(loaded.needs), "source_hash": loaded.source_hash}, loaded
    weights, memory = compute(loaded, Request(code=code, series=series, context=_context(task["context"])))
    plain = {symbol: str(weight) for symbol, weight in weights.items()}
    return {"weights": plain, "memory": memory, "source_hash": loaded.source_hash}, loaded


def _context(plain: Mapping[str, Any]) -> Context:
    return Context(
        session=date.fromisoformat(plain["session"]),
        now=datetime.fromisoformat(plain["now"]),
        memory=plain["memory"],
        weights={symbol: Decimal(weight) for symbol, weight in plain["weights"].items()},
    )


def _series(heads: list[tuple[str, str, int]], incoming: Any) -> Iterator[BarSeries]:
    for symbol, bar_size, count in heads:
        columns = memoryview(_frame(incoming)).cast("B")
        width = 8 * count
        stamps = array("q", bytes(columns[:width]))
        prices = {
            name: array("d", bytes(columns[place * width : (place + 1) * width]))
            for place, name in enumerate(_PRICES, 1)
        }
        yield BarSeries(symbol=symbol, bar_size=bar_size, stamps=stamps, **prices)


def _frame(incoming: Any) -> bytes:
    """The next frame; nothing when the daemon has gone."""
    head: bytes = incoming.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return b""
    body: bytes = incoming.read(LENGTH.unpack(head)[0])
    return body


def _die_with(parent: int) -> None:
    """Have the kernel end this process when the daemon is killed, even in the midst of an endless loop."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit("the daemon that asked for this strategy is gone")


if __name__ == "__main__":
    main()
