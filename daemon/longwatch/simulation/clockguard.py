"""Clocks inside libraries made virtual; surrounds every simulated run."""

from __future__ import annotations

import datetime as real_datetime
import importlib
import importlib.util
import time as real_time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from random import Random
from typing import Any, assert_never

from longwatch.clock import Clock


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


class Passing(type):
    """The type of stand-in classes: the real class's objects are theirs, and making one makes a real one."""

    _real: type

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls._real)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return cls._real(*args, **kwargs)


def _datetime_class(now: Callable[[], real_datetime.datetime]) -> type:
    class VirtualDatetime(real_datetime.datetime, metaclass=Passing):
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
    class VirtualDate(real_datetime.date, metaclass=Passing):
        _real = real_datetime.date

        @classmethod
        def today(cls) -> Any:
            return now().astimezone().date()

    return VirtualDate
