"""Names what of our own code reads a wall clock, draws unseeded randomness or starts a thread in a run; for simulate.

The clocks themselves are exchanged for ones that look at who calls, so a run that calls none of them costs nothing.
"""

from __future__ import annotations

import datetime as real_datetime
import dis
import os
import random as real_random
import sys
import threading
import time as real_time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.abc import SourceLoader
from random import Random
from types import CodeType, FrameType, ModuleType
from typing import Any

from longwatch.errors import LongwatchError
from longwatch.simulation.clockguard import Passing


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


FUNCTIONS: Mapping[str, tuple[ModuleType, tuple[str, ...]]] = {
    "time": (
        real_time,
        (
            *("time", "time_ns", "monotonic", "monotonic_ns", "sleep"),
            *("perf_counter", "perf_counter_ns", "process_time", "process_time_ns"),
        ),
    ),
    "random": (real_random, ("random", "getrandbits")),
    "os": (os, ("urandom",)),
}
"""Functions that must not be called, by the module they are of."""

CLASSES: Mapping[type, tuple[str, ...]] = {
    real_datetime.datetime: ("now", "utcnow", "today"),
    real_datetime.date: ("today",),
}
"""Class methods that must not be called; the classes can't be changed, so each module gets others in their place."""

READS_NOW = frozenset(name for names in CLASSES.values() for name in names)
THREAD_START = "threading.Thread.start"
UNSEEDED = "random.Random()"

# What may be called where, and nowhere else: (module, call); "*" stands for every call.
ALLOWED: frozenset[tuple[str, str]] = frozenset(
    {
        ("longwatch.clock", "*"),  # the one reader of clocks
        ("longwatch.journal.threaded", THREAD_START),  # the journal's writer
    }
)
# Modules that call on behalf of whoever called them.
GO_BETWEENS = frozenset(
    {
        __name__,
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

    Yields the list that fills with them. Raises StrayCall at the end when `strict` and there are any. What the clocks
    are replaced by works on as they do, also for everybody else; all is put back. A module of the package imported
    meanwhile may not so much as name `datetime.now`. A clock that was put into a table or a default before is not seen.
    """
    watch = _Watch(package, allowed)
    with _exchanged(watch):
        yield watch.strays
    if strict and watch.strays:
        raise StrayCall(f"Calls that make a run unrepeatable: {'; '.join(dict.fromkeys(map(str, watch.strays)))}.")


class _Watch:
    """Whose calls are strays, and those there were."""

    def __init__(self, package: str, allowed: frozenset[tuple[str, str]]) -> None:
        self.strays: list[Stray] = []
        self._package = package
        self._allowed = allowed
        self._thread = threading.get_ident()

    def owns(self, module: str) -> bool:
        """Whether a module is of the package, and not one that may call what it likes."""
        return f"{module}.".startswith(f"{self._package}.") and (module, "*") not in self._allowed

    def called(self, call: str) -> None:
        """Somebody, at the other end of this call's frames, calls what ours must not."""
        if threading.get_ident() != self._thread:
            return
        caller: FrameType | None = sys._getframe(1)
        while caller is not None and caller.f_globals.get("__name__") in GO_BETWEENS:
            caller = caller.f_back
        if caller is not None:
            module = str(caller.f_globals.get("__name__"))
            self.note(call, module, caller.f_lineno, caller.f_code.co_qualname)

    def note(self, call: str, module: str, line: int, function: str) -> None:
        """Keep one, if it is ours and not allowed."""
        if self.owns(module) and (module, call) not in self._allowed:
            self.strays.append(Stray(call=call, module=module, line=line, function=function))


@contextmanager
def _exchanged(watch: _Watch) -> Iterator[None]:
    """Stand-ins in every place where our modules, and those that call for them, would find a clock."""
    before = set(sys.modules)
    replaced: list[tuple[Any, str, Any]] = []

    def replace(owner: Any, name: str, stand_in: Any) -> None:
        replaced.append((owner, name, vars(owner).get(name, replaced)))
        setattr(owner, name, stand_in)

    stand_ins = _functions(watch)
    classes = {kind: _class(kind, names, watch) for kind, names in CLASSES.items()}
    try:
        for home, names in FUNCTIONS.values():
            for name in names:
                replace(home, name, stand_ins[id(getattr(home, name))])
        for name in FUNCTIONS["random"][1]:
            # The module's other functions are methods of this one object, and draw from these two.
            replace(_MODULES_OWN, name, getattr(real_random, name))
        replace(threading.Thread, "start", _passing(threading.Thread.start, THREAD_START, watch))
        replace(Random, "seed", _seeding(Random.seed, watch))
        for module_name, module in tuple(sys.modules.items()):
            ours = watch.owns(module_name)
            if not ours and module_name not in GO_BETWEENS:
                continue
            now_read = ours and _names_now(module) != ()
            for name, value in tuple(vars(module).items()):
                if (stand_in := _stand_in(value, stand_ins, classes if now_read else {})) is not None:
                    replace(module, name, stand_in)
        yield
    finally:
        for owner, name, original in reversed(replaced):
            if original is replaced:
                delattr(owner, name)
            else:
                setattr(owner, name, original)
        _put_back(stand_ins)
    _look_at_latecomers(set(sys.modules) - before, watch)


_MODULES_OWN: Any = real_random.random.__self__  # type: ignore[attr-defined]
"""The generator behind random.random and its like, seeded by nobody."""


def _functions(watch: _Watch) -> dict[int, Callable[..., Any]]:
    return {
        id(real := getattr(home, name)): _passing(real, f"{label}.{name}", watch)
        for label, (home, names) in FUNCTIONS.items()
        for name in names
    }


def _passing(real: Callable[..., Any], call: str, watch: _Watch) -> Callable[..., Any]:
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        watch.called(call)
        return real(*args, **kwargs)

    stand_in.__wrapped__ = real  # type: ignore[attr-defined]
    return stand_in


def _seeding(real: Callable[..., None], watch: _Watch) -> Callable[..., None]:
    def seed(self: Random, a: Any = None, version: int = 2) -> None:
        if a is None:
            watch.called(UNSEEDED)
        real(self, a, version)

    return seed


def _class(kind: type, names: tuple[str, ...], watch: _Watch) -> type:
    """A class that stands for `kind` in a module: what it makes, and takes for its own, are the real one's objects."""
    methods = {name: staticmethod(_passing(getattr(kind, name), f"{kind.__name__}.{name}", watch)) for name in names}
    return Passing(kind.__name__, (kind,), {**methods, "_real": kind})


def _stand_in(value: object, functions: Mapping[int, Any], classes: Mapping[type, type]) -> object | None:
    """What a module gets for one of its values, or None when that is no clock."""
    if isinstance(value, type):
        return classes.get(value)
    if value is real_datetime:
        return _DatetimeModule(classes) if classes else None
    return functions.get(id(value))


class _DatetimeModule(ModuleType):
    """The datetime module with other classes in it."""

    def __init__(self, classes: Mapping[type, type]) -> None:
        super().__init__("datetime")
        self.__dict__.update(vars(real_datetime) | {kind.__name__: other for kind, other in classes.items()})


def _put_back(stand_ins: Mapping[int, Callable[..., Any]]) -> None:
    """Modules imported meanwhile took the stand-ins for the functions."""
    real = {id(stand_in): stand_in.__wrapped__ for stand_in in stand_ins.values()}  # type: ignore[attr-defined]
    for module in tuple(sys.modules.values()):
        for name, value in tuple(vars(module).items()):
            if id(value) in real:
                setattr(module, name, real[id(value)])


def _look_at_latecomers(names: set[str], watch: _Watch) -> None:
    """Their classes could not be exchanged: naming what reads a clock is held against them."""
    for name in sorted(filter(watch.owns, names)):
        for call, code, line in _names_now(sys.modules[name]) or ():
            watch.note(call, name, line, code.co_qualname)


@cache
def _names_now(module: ModuleType) -> tuple[tuple[str, CodeType, int], ...] | None:
    """The places where a module reads `now` or its like: call, code and line; None when its code can't be had."""
    spec = module.__spec__
    code = spec.loader.get_code(module.__name__) if spec is not None and isinstance(spec.loader, SourceLoader) else None
    return None if code is None else tuple(_readers_of_now(code, vars(module)))


def _readers_of_now(code: CodeType, names: Mapping[str, Any]) -> Iterator[tuple[str, CodeType, int]]:
    if not READS_NOW.isdisjoint(code.co_names):
        owner, line = "", code.co_firstlineno
        for instruction in dis.get_instructions(code):
            line = instruction.starts_line or line
            if owner and instruction.opname in {"LOAD_METHOD", "LOAD_ATTR"} and instruction.argval in READS_NOW:
                yield f"{owner}.{instruction.argval}", code, line
            match instruction.opname:
                case "LOAD_GLOBAL" | "LOAD_NAME":
                    kind = names.get(instruction.argval)
                    owner = kind.__name__ if isinstance(kind, type) and kind in CLASSES else ""
                case "LOAD_ATTR" if instruction.argval in {"datetime", "date"}:
                    owner = instruction.argval
                case _:
                    owner = ""
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _readers_of_now(inner, names)
