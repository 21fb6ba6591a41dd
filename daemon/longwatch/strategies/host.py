"""Runs strategies for the signals job: each in a process of its own that is killed at its deadline, or inline."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from longwatch.errors import StrategyError
from longwatch.strategies.base import Needs
from longwatch.strategies.source import Loaded, hash_of
from longwatch.strategies.worker import LENGTH, Code, Request, checked_load, compute, frames_of, plain_parameters

_MAX_REPLY_BYTES = 8 * 1024 * 1024
_REAP_SECONDS = 5.0
_FRAMES_A_TURN = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyResult:
    """What a strategy decided: exact weights of its allocation, memory as plain JSON data, and the code's SHA-256.

    `seconds` are the loop's; 0 inline, so that a simulation is the same on every machine.
    """

    weights: dict[str, Decimal]
    memory: dict[str, Any]
    source_hash: str
    seconds: float

    @property
    def memory_text(self) -> str:
        """The memory as JSON, the same text for the same memory."""
        return json.dumps(self.memory, sort_keys=True, separators=(",", ":"))


class Host(Protocol):
    """Where strategies run."""

    async def needs(self, code: Code, *, deadline_seconds: float) -> tuple[Needs, str]:
        """What the strategy asks for and the SHA-256 of its source. Raises StrategyError."""
        ...

    async def run(self, request: Request, *, deadline_seconds: float) -> StrategyResult:
        """One decision. Raises StrategyError when the code raises, ends, is late, or answers what can't be traded."""
        ...

    async def close(self) -> None:
        """End what still runs."""
        ...


class InlineHost:
    """Runs a strategy at once in the caller's thread, without a deadline: for simulation, demo and backtest."""

    def __init__(self) -> None:
        self._loaded: dict[str, tuple[str, Loaded]] = {}

    async def needs(self, code: Code, *, deadline_seconds: float) -> tuple[Needs, str]:
        """What the strategy asks for and the SHA-256 of its source."""
        loaded = self._load(code)
        return loaded.needs, loaded.source_hash

    async def run(self, request: Request, *, deadline_seconds: float) -> StrategyResult:
        """One decision, made before this returns."""
        loaded = self._load(request.code)
        weights, memory = compute(loaded, request)
        return StrategyResult(weights=weights, memory=memory, source_hash=loaded.source_hash, seconds=0.0)

    async def close(self) -> None:
        """Forget what was loaded."""
        self._loaded.clear()

    def _load(self, code: Code) -> Loaded:
        """The strategy as its file stands now; made anew when code or parameters have changed."""
        key = _key(code) + hash_of(code.reference, code.folder)
        kept = self._loaded.get(code.name)
        if kept is None or kept[0] != key:
            kept = self._loaded[code.name] = (key, checked_load(code))
        return kept[1]


class ProcessHost:
    """Keeps one warm process for each strategy; the loop never waits for one, and none outlives its deadline."""

    def __init__(self) -> None:
        self._processes: dict[str, _Process] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    async def needs(self, code: Code, *, deadline_seconds: float) -> tuple[Needs, str]:
        """What the strategy asks for and the SHA-256 of its source; its code is loaded in its process only."""
        answer = await self._ask("needs", code, None, deadline_seconds)
        needs = answer["needs"] | {"universe": tuple(answer["needs"]["universe"])}
        return Needs(**needs), str(answer["source_hash"])

    async def run(self, request: Request, *, deadline_seconds: float) -> StrategyResult:
        """One decision; at the deadline (seconds, with the start of a process) the process is killed."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        answer = await self._ask("run", request.code, request, deadline_seconds)
        return StrategyResult(
            weights={symbol: Decimal(weight) for symbol, weight in answer["weights"].items()},
            memory=answer["memory"],
            source_hash=answer["source_hash"],
            seconds=loop.time() - begun,
        )

    async def close(self) -> None:
        """Kill every process and wait until none is left."""
        for name in tuple(self._processes):
            await self._drop(name)

    def pids(self) -> tuple[int, ...]:
        """The process ids that are kept warm."""
        return tuple(process.pid for process in self._processes.values())

    async def _ask(self, task: str, code: Code, request: Request | None, deadline_seconds: float) -> dict[str, Any]:
        async with self._turns.setdefault(code.name, asyncio.Lock()):
            try:
                async with asyncio.timeout(deadline_seconds):
                    answer = await self._answer(task, code, request)
            except TimeoutError as error:
                raise StrategyError(
                    f"strategy {code.reference} ran past its deadline of {deadline_seconds:g} s and was ended; "
                    f"make it quicker, or raise its deadline_seconds"
                ) from error
        if "error" in answer:
            raise StrategyError(answer["error"])
        return answer

    async def _answer(self, task: str, code: Code, request: Request | None) -> dict[str, Any]:
        """The answer of a process that has this code and its present source; whatever goes wrong ends the process."""
        answered = False
        try:
            answer = await (await self._process(code)).ask(task, code, request)
            if "stale" in answer:
                await self._drop(code.name)
                answer = await (await self._process(code)).ask(task, code, request)
            answered = True
            return answer
        finally:
            if not answered:
                await self._drop(code.name)

    async def _process(self, code: Code) -> _Process:
        process = self._processes.get(code.name)
        if process is not None and process.key != _key(code):
            await self._drop(code.name)
            process = None
        if process is None:
            process = self._processes[code.name] = await _Process.start(code)
        return process

    async def _drop(self, name: str) -> None:
        process = self._processes.pop(name, None)
        if process is not None:
            await process.end()


class _Process:
    """One running worker and the socket to it."""

    def __init__(
        self, key: str, child: subprocess.Popen[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.key = key
        self.pid = child.pid
        self._child = child
        self._reader = reader
        self._writer = writer

    @classmethod
    async def start(cls, code: Code) -> _Process:
        """Start a worker in a session of its own: a Ctrl-C in the terminal is the daemon's, not the strategy's."""
        ours, theirs = socket.socketpair()
        with theirs:
            child = subprocess.Popen(  # noqa: ASYNC220 - a fork and exec of two milliseconds, nothing is waited for
                [sys.executable, "-m", "longwatch.strategies.worker", str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=2,  # what a strategy prints belongs with the logs, never in a command's output
                pass_fds=(theirs.fileno(),),
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                start_new_session=True,
            )
        reader, writer = await asyncio.open_connection(sock=ours)
        return cls(_key(code), child, reader, writer)

    async def ask(self, task: str, code: Code, request: Request | None) -> dict[str, Any]:
        """Send a request and read its answer; StrategyError when the process ends instead."""
        try:
            for count, frame in enumerate(frames_of(task, code, request), 1):
                self._writer.write(LENGTH.pack(len(frame)))
                self._writer.write(frame)
                await self._writer.drain()
                if count % _FRAMES_A_TURN == 0:
                    await asyncio.sleep(0)
            (length,) = LENGTH.unpack(await self._reader.readexactly(LENGTH.size))
            if length > _MAX_REPLY_BYTES:
                raise StrategyError(f"strategy {code.reference} answered {length} bytes, too many to be weights")
            answer: dict[str, Any] = json.loads(await self._reader.readexactly(length))
            return answer
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            await self.end()
            raise StrategyError(f"strategy {code.reference}: its process ended ({self._ending()})") from error

    async def end(self) -> None:
        """Kill the process and all it started, and take it off the process table."""
        self._writer.transport.abort()
        if self._child.returncode is None:
            # Asked before the process is reaped: until then its group's number can't have passed to another.
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        with suppress(TimeoutError):
            async with asyncio.timeout(_REAP_SECONDS):
                while self._child.poll() is None:  # noqa: ASYNC110 - the kernel has no event for this before 5.3
                    await asyncio.sleep(0.001)

    def _ending(self) -> str:
        code = self._child.returncode
        if code is None or code >= 0:
            return f"exit status {code}"
        return f"signal {signal.Signals(-code).name}"


def _key(code: Code) -> str:
    """What must be the same for a loaded strategy to be used again."""
    parts: Mapping[str, Any] = {
        "reference": code.reference,
        "parameters": plain_parameters(code),
        "folder": str(code.folder),
        "source_hash": code.source_hash,
    }
    return json.dumps(parts, sort_keys=True)
