"""Clocks inside libraries made virtual, and a guard that names any stray clock, randomness or thread of our own code.

`virtual_clocks` surrounds every simulated run, `guard_clocks` the tests of such runs.
"""

from __future__ import annotations

import datetime as real_datetime
import importlib
import importlib.util
import os
import random as real_random
import sys
import threading
import time as real_time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from random import Random
from types import FrameType
from typing import Any, assert_never

from longwatch.clock import Clock
from longwatch.errors import LongwatchError


class Source(Enum):
    """What a library's module attribute is, hence what takes its place."""

    TIME_MODULE = "the time module"
    DATETIME_MODULE = "the datetime module"
    DATETIME_CLASS = "the class datetime"
    RANDOM_MODULE = "the random module"


# Every place where a library in a simulated run reads the wall clock or unseeded randomness, as (module, attribute).
LIBRARY_SOURCES: Mapping[tuple[str, str], Source] = {
    # ib_insync 0.9.86: `time.time()` in Client.reset and connectionStats
    ("ib_insync.client", "time"): Source.TIME_MODULE,
    # `datetime.now(utc)` stamps every packet in tcpDataArrived, and is read by setTimeout's timer
    ("ib_insync.wrapper", "datetime"): Source.DATETIME_CLASS,
    # waitOnUpdate's `time.time()`; the stamps of placeOrder's and cancelOrder's log entries
    ("ib_insync.ib", "time"): Source.TIME_MODULE,
    ("ib_insync.ib", "datetime"): Source.DATETIME_MODULE,
    # schedule, timeRange, timeit
    ("ib_insync.util", "time"): Source.TIME_MODULE,
    ("ib_insync.util", "dt"): Source.DATETIME_MODULE,
    # ib_async 2.1.0: the same places
    ("ib_async.client", "time"): Source.TIME_MODULE,
    ("ib_async.wrapper", "datetime"): Source.DATETIME_CLASS,
    ("ib_async.ib", "time"): Source.TIME_MODULE,
    ("ib_async.ib", "datetime"): Source.DATETIME_MODULE,
    ("ib_async.util", "time"): Source.TIME_MODULE,
    ("ib_async.util", "dt"): Source.DATETIME_MODULE,
    # eventkit 1.0.3: timers, Timestamp, timerange
    ("eventkit.ops.create", "time"): Source.TIME_MODULE,
    ("eventkit.ops.transform", "time"): Source.TIME_MODULE,
    ("eventkit.util", "dt"): Source.DATETIME_MODULE,
    # tenacity 9: statistics by `time.monotonic()`; full jitter by the module's own, unseeded generator
    ("tenacity", "time"): Source.TIME_MODULE,
    ("tenacity.wait", "random"): Source.RANDOM_MODULE,
}


@contextmanager
def virtual_clocks(clock: Clock, random: Random) -> Iterator[None]:
    """Let the libraries of LIBRARY_SOURCES read `clock`'s market time and draw from `random` while this is open.

    Enter it inside the running loop, since it imports those of them that are installed, and once at a time in a
    process. Raises AttributeError when a library no longer has what the list names.
    """
    replaced: list[tuple[Any, str, Any]] = []
    try:
        for (name, attribute), source in LIBRARY_SOURCES.items():
            if importlib.util.find_spec(name.partition(".")[0]) is None:
                continue
            module = importlib.import_module(name)
            replaced.append((module, attribute, getattr(module, attribute)))
            setattr(module, attribute, _stand_in(source, clock, random))
        yield
    finally:
        for module, attribute, original in reversed(replaced):
            setattr(module, attribute, original)


def _stand_in(source: Source, clock: Clock, random: Random) -> object:
    match source:
        case Source.TIME_MODULE:
            return _View(real_time, time=lambda: clock.market().timestamp(), monotonic=clock.monotonic)
        case Source.DATETIME_MODULE:
            return _View(real_datetime, datetime=_datetime_class(clock.market), date=_date_class(clock.market))
        case Source.DATETIME_CLASS:
            return _datetime_class(clock.market)
        case Source.RANDOM_MODULE:
            return random
        case _:
            assert_never(source)


class _View:
    """A module with some of its names replaced."""

    def __init__(self, module: object, **replaced: object) -> None:
        self.__dict__.update(replaced)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


class _Passing(type):
    """The type of stand-in classes: the real class's objects are theirs, and making one makes a real one."""

    _real: type

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls._real)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return cls._real(*args, **kwargs)


def _datetime_class(now: Callable[[], real_datetime.datetime]) -> type:
    class VirtualDatetime(real_datetime.datetime, metaclass=_Passing):
        _real = real_datetime.datetime

        @classmethod
        def now(cls, tz: real_datetime.tzinfo | None = None) -> Any:
            return now().astimezone(tz) if tz else now().astimezone().replace(tzinfo=None)

        @classmethod
        def today(cls) -> Any:
            return cls.now()

        @classmethod
        def utcnow(cls) -> Any:
            return now().replace(tzinfo=None)

    return VirtualDatetime


def _date_class(now: Callable[[], real_datetime.datetime]) -> type:
    class VirtualDate(real_datetime.date, metaclass=_Passing):
        _real = real_datetime.date

        @classmethod
        def today(cls) -> Any:
            return now().astimezone().date()

    return VirtualDate


class StrayCall(LongwatchError):
    """Raised when our own code read a clock, drew unseeded randomness or started a thread where it must not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """One such call: what was called, and the module, line and function it was called from."""

    call: str
    module: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.call} in {self.function} ({self.module}:{self.line})"


def _named(owner: object, label: str, *names: str) -> dict[object, str]:
    return {getattr(owner, name): f"{label}.{name}" for name in names}


# Builtins as a profiler sees them called; a bound one compares equal each time it is looked up.
BUILTINS: Mapping[object, str] = {
    **_named(real_time, "time", "time", "time_ns", "monotonic", "monotonic_ns", "sleep"),
    **_named(real_time, "time", "perf_counter", "perf_counter_ns", "process_time", "process_time_ns"),
    **_named(real_datetime.datetime, "datetime", "now", "utcnow", "today"),
    **_named(real_datetime.date, "date", "today"),
    **_named(real_random, "random", "random", "getrandbits"),
    **_named(os, "os", "urandom"),
}
THREAD_START = "threading.Thread.start"
UNSEEDED = "random.Random()"

# What may be called where, and nowhere else: (module, call); "*" stands for every call.
ALLOWED: frozenset[tuple[str, str]] = frozenset(
    {
        ("longwatch.clock", "*"),  # the one reader of clocks
        ("longwatch.journal.sqlite", THREAD_START),  # the journal's writer
    }
)
# Modules that call on behalf of whoever called them.
GO_BETWEENS = frozenset(
    {
        "asyncio.base_events",
        "asyncio.threads",
        "concurrent.futures.thread",
        "longwatch.simulation.loop",
        "random",
        "secrets",
        "tempfile",
        "threading",
        "uuid",
    }
)


@contextmanager
def guard_clocks(
    package: str = "longwatch", *, allowed: frozenset[tuple[str, str]] = ALLOWED, strict: bool = True
) -> Iterator[list[Stray]]:
    """Watch this thread for wall clocks, sleep, unseeded randomness and new threads called by modules of `package`.

    Yields the list that fills with them. Raises StrayCall at the end when `strict` and there are any. It works by the
    interpreter's profiling hook, so it replaces nothing, and slows the code down a few times.
    """
    strays: list[Stray] = []
    former = sys.getprofile()
    sys.setprofile(_watch(package, allowed, strays))
    try:
        yield strays
    finally:
        sys.setprofile(former)
    if strict and strays:
        raise StrayCall(f"Calls that make a run unrepeatable: {'; '.join(dict.fromkeys(map(str, strays)))}.")


def _watch(
    package: str, allowed: frozenset[tuple[str, str]], strays: list[Stray]
) -> Callable[[FrameType, str, Any], None]:
    prefix = f"{package}."
    thread_start = threading.Thread.start.__code__
    seed = Random.seed.__code__

    def watch(frame: FrameType, event: str, arg: Any) -> None:
        if event == "c_call":
            call = BUILTINS.get(arg)
        elif event != "call":
            return
        elif frame.f_code is thread_start:
            call = THREAD_START
        elif frame.f_code is seed and frame.f_locals.get("a") is None:
            call = UNSEEDED
        else:
            return
        if call is None:
            return
        caller: FrameType | None = frame
        while caller is not None and caller.f_globals.get("__name__") in GO_BETWEENS:
            caller = caller.f_back
        if caller is None:
            return
        module = str(caller.f_globals.get("__name__"))
        if not (module + ".").startswith(prefix) or {(module, call), (module, "*")} & allowed:
            return
        strays.append(Stray(call=call, module=module, line=caller.f_lineno, function=caller.f_code.co_qualname))

    return watch
