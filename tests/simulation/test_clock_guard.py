"""Library clocks made virtual, and the guard that names stray calls of our own code."""

from __future__ import annotations

import asyncio
import datetime as dt
import importlib
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import pytest

from longwatch.broker.ib import installed
from longwatch.clock import SteppedClock, SystemClock, real_monotonic
from longwatch.simulation.clockguard import LIBRARY_SOURCES, virtual_clocks
from longwatch.simulation.loop import run
from longwatch.simulation.strays import StrayCall, guard_clocks

START = datetime(2007, 1, 3, 14, 30, tzinfo=UTC)


def in_virtual_time(script: Callable[[], None], *, seed: int = 1) -> None:
    """Run `script` an hour into a virtual run that started at START, with library clocks made virtual."""

    async def main() -> None:
        clock = SteppedClock(asyncio.get_running_loop().time, market_start=START)
        with virtual_clocks(clock, Random(seed)):
            await asyncio.sleep(3600)
            script()

    run(main())


def module_of_the_library(name: str) -> Any:
    """A module of the installed IB library, which is imported inside a running loop only."""
    return importlib.import_module(f"{installed()}.{name}")


def test_the_ib_library_stamps_its_packets_in_virtual_time() -> None:
    """The wrapper's packet stamp and the client's start time are the run's, not the machine's."""

    def script() -> None:
        ib = module_of_the_library("ib").IB()
        ib.wrapper.tcpDataArrived()
        assert abs(ib.wrapper.lastTime - (START + timedelta(hours=1))) < timedelta(seconds=1)
        client = ib.client
        assert client._startTime == pytest.approx(START.timestamp() + 3600, abs=1)

    in_virtual_time(script)


def test_a_virtual_datetime_is_the_real_one_but_for_now() -> None:
    """Its instances, parsing, constants and checks are those of datetime itself, so nothing else notices."""

    def script() -> None:
        util, wrapper = module_of_the_library("util"), module_of_the_library("wrapper")
        made = util.dt.datetime(2007, 1, 3, tzinfo=UTC)
        assert type(made) is datetime
        assert isinstance(datetime(2020, 1, 1, tzinfo=UTC), util.dt.datetime)
        assert not isinstance("2020", util.dt.datetime)
        assert type(wrapper.datetime.fromtimestamp(0, UTC)) is datetime
        assert wrapper.datetime.min == dt.datetime.min  # noqa: DTZ901 - the library compares with it
        assert type(util.dt.datetime.now(UTC)) is datetime
        assert util.dt.date.today() == (START + timedelta(hours=1)).astimezone().date()
        assert util.parseIBDatetime("20070103") == dt.date(2007, 1, 3)
        assert isinstance(dt.date(2007, 1, 3), util.dt.date)

    in_virtual_time(script)


def waits(seed: int) -> list[float]:
    """Five full-jitter waits of tenacity under a seed."""
    found: list[float] = []

    def script() -> None:
        from tenacity import RetryCallState, Retrying, wait_random_exponential

        state = RetryCallState(Retrying(), None, (), {})
        state.attempt_number = 4
        found.extend(wait_random_exponential(max=60)(state) for _ in range(5))

    in_virtual_time(script, seed=seed)
    return found


def test_tenacity_s_jitter_comes_from_the_seed() -> None:
    """Its full-jitter wait uses the random module's own generator; in a run the seed decides."""
    assert waits(1) == waits(1)
    assert waits(1) != waits(2)


def test_everything_is_put_back() -> None:
    """After the run the libraries read the machine's clock again, also when the run failed."""
    with pytest.raises(KeyError):
        in_virtual_time(lambda: {}["sentinel"])
    real = {"time": time, "datetime": dt, "dt": dt, "random": random}
    read = {(name, attribute) for name, attribute in LIBRARY_SOURCES if name in sys.modules}
    assert {name.partition(".")[0] for name, _ in read} == {installed(), "eventkit", "tenacity"}
    for name, attribute in read:
        expected = datetime if name.endswith(".wrapper") else real[attribute]
        assert getattr(sys.modules[name], attribute) is expected


Make = Callable[..., ModuleType]


@pytest.fixture
def module_of_ours(monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes an imported module that claims to be of the package, from source."""

    def made(source: str, name: str = "longwatch.stray") -> ModuleType:
        module = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        exec(compile(source, f"{name}.py", "exec"), module.__dict__)
        return module

    return made


@pytest.mark.parametrize(
    ("imports", "call", "reported"),
    [
        ("import time", "time.time()", "time.time"),
        ("from time import monotonic", "monotonic()", "time.monotonic"),
        ("import time", "time.sleep(0)", "time.sleep"),
        ("from datetime import datetime, UTC", "datetime.now(UTC)", "datetime.now"),
        ("import datetime", "datetime.date.today()", "date.today"),
        ("import random", "random.random()", "random.random"),
        ("import random", "random.uniform(1, 2)", "random.random"),
        ("import random", "random.randint(1, 9)", "random.getrandbits"),
        ("import random", "random.Random()", "random.Random()"),
        ("import os", "os.urandom(4)", "os.urandom"),
        ("import uuid", "uuid.uuid4()", "os.urandom"),
        ("import secrets", "secrets.token_hex(4)", "os.urandom"),
        ("import threading", "threading.Thread(target=int).start()", "threading.Thread.start"),
    ],
)
def test_a_stray_call_of_ours_is_named(module_of_ours: Make, imports: str, call: str, reported: str) -> None:
    """Whatever the way it was imported, and also by way of uuid or secrets, with its place."""
    module = module_of_ours(f"{imports}\ndef stray():\n    return {call}\n")
    with pytest.raises(StrayCall) as caught, guard_clocks():
        module.stray()
    assert f"{reported} in stray (longwatch.stray:3)" in str(caught.value)


def test_what_others_and_the_allowed_modules_call_is_nobody_s_stray(module_of_ours: Make) -> None:
    """Libraries, tests, clock.py, seeded generators, and a name listed as allowed pass."""
    ours = module_of_ours("import random\ndef draw():\n    return random.Random(7).random()\n")
    reader = module_of_ours("import time\ndef read():\n    return time.time()\n", "longwatch.reader")
    foreign = module_of_ours("import time\ndef read():\n    return time.time()\n", "longwatchful.reader")
    allowed = frozenset({("longwatch.clock", "*"), ("longwatch.reader", "time.time")})
    with guard_clocks(allowed=allowed) as strays:
        ours.draw()
        reader.read()
        foreign.read()
        time.time()
        real_monotonic()
        SystemClock().market()
    assert strays == []


def test_a_guard_that_is_not_strict_only_records(module_of_ours: Make) -> None:
    """The list tells what happened; nothing is raised."""
    module = module_of_ours("import time\ndef stray():\n    return time.time()\n")
    with guard_clocks(strict=False) as strays:
        module.stray()
        module.stray()
    assert [(stray.call, stray.function, stray.line) for stray in strays] == [("time.time", "stray", 3)] * 2


def test_a_thread_by_way_of_an_executor_is_charged_to_its_caller(module_of_ours: Make) -> None:
    """asyncio.to_thread in our code is a thread of ours, although asyncio starts it."""
    module = module_of_ours("import asyncio\nasync def stray():\n    await asyncio.to_thread(int)\n")
    with pytest.raises(StrayCall, match=r"threading.Thread.start in stray"), guard_clocks():
        run(module.stray())


def test_the_loop_and_the_network_pass_their_own_guard() -> None:
    """A virtual run over memory reads clocks only by way of clock.py."""

    async def main() -> float:
        await asyncio.sleep(100)
        return asyncio.get_running_loop().time()

    with guard_clocks():
        assert run(main()) > 100


CLOCKS = (time.time, time.monotonic, random.random, random.Random.seed, os.urandom, threading.Thread.start)


def test_the_clocks_are_put_back(module_of_ours: Make) -> None:
    """Every function and class, in modules that were there and in one imported meanwhile, also after a failure."""
    imports = "import datetime, random\nfrom datetime import date\nfrom time import monotonic\n"
    uses = "def use():\n    datetime.datetime.now(), date.today(), random.uniform(1, 2)\n"
    early = module_of_ours(imports + uses)
    with pytest.raises(KeyError), guard_clocks(strict=False):
        late = module_of_ours("from time import monotonic\n", "longwatch.late")
        assert early.monotonic is not CLOCKS[1] and early.date is not dt.date
        raise KeyError
    assert (time.time, time.monotonic, random.random, random.Random.seed, os.urandom, threading.Thread.start) == CLOCKS
    assert early.monotonic is late.monotonic is CLOCKS[1]
    assert early.datetime is dt and early.date is dt.date
    assert "random" not in vars(random.random.__self__)


def test_a_stand_in_class_is_the_real_one_but_for_now(module_of_ours: Make) -> None:
    """What a module of ours makes, checks and takes apart by it while it is watched is the real thing."""
    source = (
        "from datetime import UTC, date, datetime\n"
        "def use():\n    made = datetime(2007, 1, 3, tzinfo=UTC)\n"
        "    return made, datetime.fromtimestamp(0, UTC), isinstance(made, datetime), isinstance(made.date(), date)\n"
        "def stray():\n    return datetime.now(UTC)\n"
    )
    module = module_of_ours(source)
    with guard_clocks(strict=False) as strays:
        made, parsed, is_one, is_date = module.use()
        assert strays == []
        assert type(module.stray()) is datetime
    assert (type(made), type(parsed), is_one, is_date) == (datetime, datetime, True, True)
    assert [str(stray) for stray in strays] == ["datetime.now in stray (longwatch.stray:6)"]


def test_a_module_imported_meanwhile_may_not_name_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module_of_ours: Make
) -> None:
    """Its class can't be exchanged any more, so the very name is held against it."""
    (tmp_path / "late.py").write_text("import datetime as d\ndef stray():\n    return d.datetime.now()\n")
    (tmp_path / "fine.py").write_text("import datetime as d\ndef fine(clock):\n    return clock.now()\n")
    module_of_ours(f"__path__ = [{str(tmp_path)!r}]", "longwatch.later")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    with pytest.raises(StrayCall) as caught, guard_clocks():
        for name in ("late", "fine"):
            importlib.import_module(f"longwatch.later.{name}")
    for name in ("late", "fine"):
        del sys.modules[f"longwatch.later.{name}"]
    assert "datetime.now in stray (longwatch.later.late:3)" in str(caught.value)
    assert "fine" not in str(caught.value)
