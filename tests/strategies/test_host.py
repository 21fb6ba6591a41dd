"""Strategies at work: the same answer in a process and inline, and an end to each that goes wrong."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from longwatch.errors import StrategyError
from longwatch.strategies.host import Host, InlineHost, ProcessHost
from longwatch.strategies.worker import MAX_MEMORY_BYTES, Code, Request
from tests.strategies.samples import context, request, walk, written

FOUR = {symbol: walk(symbol, seed, 300, 0.001) for seed, symbol in enumerate(("AAPL", "GOOG", "IBM", "MSFT"))}
MOMENTUM = Code(name="momentum", reference="longwatch.strategies.momentum:Momentum", parameters={"hold": "month"})


@pytest.fixture
async def processes() -> AsyncIterator[ProcessHost]:
    host = ProcessHost()
    yield host
    await host.close()


@pytest.fixture(params=[InlineHost, ProcessHost])
async def host(request: pytest.FixtureRequest) -> AsyncIterator[Host]:
    made: Host = request.param()
    yield made
    await made.close()


def is_gone(pid: int) -> bool:
    """Neither running nor a zombie."""
    return not Path(f"/proc/{pid}").exists()


async def test_a_process_and_inline_give_the_same_answer(processes: ProcessHost) -> None:
    """Weights, memory and hash are equal, exact, and the memory text is canonical."""
    ask = Request(code=MOMENTUM, series=FOUR, context=context(FOUR["IBM"]))
    one = await processes.run(ask, deadline_seconds=30)
    two = await InlineHost().run(ask, deadline_seconds=30)
    assert replace(one, seconds=0.0) == two
    assert sum(one.weights.values()) > Decimal("0.999")
    assert json.loads(one.memory_text) == one.memory
    assert one.seconds > 0


async def test_memory_comes_back_as_it_was_returned(host: Host, tmp_path: Path) -> None:
    """What one run returns the next one reads, and the current weights with it."""
    code = written(
        tmp_path,
        "seen = context.memory.get('seen', [])\n"
        "return {'AAPL': 0.1 * len(seen)}, {'seen': [*seen, str(context.weights['AAPL'])], 'b': (1, None), 'a': 0.1}",
    )
    first = await host.run(request(code), deadline_seconds=30)
    second = await host.run(request(code, memory=first.memory), deadline_seconds=30)
    assert first.memory == {"a": 0.1, "b": [1, None], "seen": ["0.25"]}
    assert second.memory["seen"] == ["0.25", "0.25"]
    assert second.weights == {"AAPL": Decimal("0.1"), "IBM": Decimal(0)}


async def test_needs_are_asked_where_the_code_runs(host: Host, tmp_path: Path) -> None:
    """The daemon learns universe and lookback without loading the code itself."""
    needs, source_hash = await host.needs(written(tmp_path, "return {}, {}"), deadline_seconds=30)
    assert (needs.universe, needs.lookback, needs.bar_size) == (("AAPL", "IBM"), 2, "1 day")
    assert len(source_hash) == 64


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("return {'AAPL': float('nan')}, {}", "the weight of AAPL is NaN"),
        ("return {'TSLA': 0.1}, {}", "'TSLA', which is not in the strategy's universe"),
        ("return {'AAPL': 0.7, 'IBM': 0.7}, {}", "absolute weights sum to 1.4"),
        ("return {'AAPL': 0.7}", "no pair of weights and memory"),
        ("return 1 / 0", r"raised ZeroDivisionError: division by zero \(sample.py:13\)"),
        ("raise ValueError('two\\nlines')", r"raised ValueError: two lines \(sample.py:13\)"),
        ("sys.exit(4)", r"raised SystemExit: 4 \(sample.py:13\)"),
        ("return {}, {'when': context.now}", "memory.when is datetime.*, which is not plain JSON data"),
        ("return {}, {'x': float('inf')}", "memory.x is inf"),
        ("return {}, {1: 2}", "memory is {1: 2}, which is not plain JSON data"),
        ("return {}, [1]", "memory must be a mapping"),
        (f"return {{}}, {{'x': 'y' * {MAX_MEMORY_BYTES}}}", "at most 65536 are kept"),
        ("return bars.close.loc['1999-01-01'], {}", "raised KeyError"),
    ],
)
async def test_a_wrong_answer_is_one_sentence_and_the_next_run_is_served(
    body: str, sentence: str, host: Host, tmp_path: Path
) -> None:
    """The same sentence inline and from a process; the strategy's own line is named where there is one."""
    with pytest.raises(StrategyError, match=sentence) as told:
        await host.run(request(written(tmp_path, body)), deadline_seconds=30)
    assert str(told.value).startswith(f"strategy {tmp_path}/sample.py:Sample") and "\n" not in str(told.value)
    assert await host.run(request(written(tmp_path, "return {}, {}")), deadline_seconds=30)


async def test_an_endless_loop_is_killed_at_its_deadline_while_the_loop_and_the_other_strategy_go_on(
    processes: ProcessHost, tmp_path: Path
) -> None:
    """No zombie, no lag above 100 ms, and the second strategy answers meanwhile."""
    endless = written(tmp_path, "while True: pass")
    other = Request(code=MOMENTUM, series=FOUR, context=context(FOUR["IBM"]))
    await processes.run(other, deadline_seconds=30)
    await processes.needs(endless, deadline_seconds=30)
    pid = next(pid for pid in processes.pids() if b"worker" in Path(f"/proc/{pid}/cmdline").read_bytes())
    pids = processes.pids()
    lag, before = 0.0, time.perf_counter()
    hanging = asyncio.ensure_future(processes.run(request(endless), deadline_seconds=0.6))
    answered = asyncio.ensure_future(processes.run(other, deadline_seconds=30))
    while not hanging.done():
        await asyncio.sleep(0.002)
        lag, before = max(lag, time.perf_counter() - before), time.perf_counter()
    assert "ran past its deadline of 0.6 s" in str(hanging.exception())
    assert (await answered).weights
    assert lag < 0.1
    assert len(processes.pids()) == 1 and pid in pids
    assert all(is_gone(pid) for pid in set(pids) - set(processes.pids()))


@pytest.mark.parametrize(
    ("body", "ending"),
    [
        ("os._exit(3)", "exit status 3"),
        ("os.kill(os.getpid(), 11)", "signal SIGSEGV"),
        ("time.sleep(100)", "past its deadline"),
    ],
)
async def test_a_process_that_ends_is_told_and_replaced(
    body: str, ending: str, processes: ProcessHost, tmp_path: Path
) -> None:
    """A crash is a StrategyError that says how it ended; the next run starts a fresh process."""
    code = written(tmp_path, f"if not context.memory: {body}\nreturn {{}}, {{}}")
    await processes.needs(code, deadline_seconds=30)
    (old,) = processes.pids()
    with pytest.raises(StrategyError, match=ending):
        await processes.run(request(code), deadline_seconds=0.5 if "sleep" in body else 30)
    assert is_gone(old) and processes.pids() == ()
    await processes.run(request(code, memory={"again": 1}), deadline_seconds=30)
    assert len(processes.pids()) == 1


async def test_the_process_stays_warm_until_code_or_parameters_change(processes: ProcessHost, tmp_path: Path) -> None:
    """Same code: same process. New source or new parameters: a fresh one, and the new hash is reported."""
    code = written(tmp_path, "return {'AAPL': self.parameters.share}, {}")
    seen = []
    for change in (None, None, "source", "parameters"):
        if change == "source":
            written(tmp_path, "return {'IBM': self.parameters.share}, {}")
        if change == "parameters":
            code = replace(code, parameters={"share": 0.125})
        result = await processes.run(request(code), deadline_seconds=30)
        seen.append((processes.pids()[0], result.source_hash, dict(result.weights)))
    assert seen[0] == seen[1]
    assert len({pid for pid, _, _ in seen}) == 3
    assert seen[2][1] == seen[3][1] != seen[0][1]
    assert seen[3][2] == {"AAPL": Decimal(0), "IBM": Decimal("0.125")}


async def test_source_other_than_the_configured_is_refused(host: Host, tmp_path: Path) -> None:
    """With a hash in the request nothing else is run."""
    code = replace(written(tmp_path, "return {}, {}"), source_hash="0" * 64)
    with pytest.raises(StrategyError, match="its source has changed"):
        await host.run(request(code), deadline_seconds=30)


async def test_what_a_strategy_starts_or_prints_neither_survives_nor_disturbs(
    processes: ProcessHost, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A print goes to stderr, and a grandchild ends with its parent at the deadline."""
    code = written(
        tmp_path,
        "import subprocess\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        "print('child', child.pid, flush=True)\n"
        "while True: pass",
    )
    await processes.needs(code, deadline_seconds=30)
    with pytest.raises(StrategyError, match="deadline"):
        await processes.run(request(code), deadline_seconds=0.8)
    captured = capfd.readouterr()
    assert captured.out == ""
    grandchild = Path(f"/proc/{captured.err.split()[1]}/stat")
    for _ in range(200):
        if not grandchild.exists() or grandchild.read_text().split()[2] == "Z":
            break
        await asyncio.sleep(0.01)
    else:
        pytest.fail("the grandchild still runs")


async def test_a_cancelled_run_leaves_no_process_in_the_middle_of_an_answer(
    processes: ProcessHost, tmp_path: Path
) -> None:
    """Draining cancels: the process is killed, since its answer would be taken for the next one's."""
    code = written(tmp_path, "while True: pass")
    await processes.needs(code, deadline_seconds=30)
    (pid,) = processes.pids()
    running = asyncio.ensure_future(processes.run(request(code), deadline_seconds=30))
    await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert is_gone(pid)


async def test_closing_ends_a_run_under_way(processes: ProcessHost, tmp_path: Path) -> None:
    """Nothing outlives the host, and who waited is told."""
    running = asyncio.ensure_future(processes.run(request(written(tmp_path, "while True: pass")), deadline_seconds=30))
    while not processes.pids():
        await asyncio.sleep(0.01)
    (pid,) = processes.pids()
    await processes.close()
    with pytest.raises(StrategyError, match="its process ended"):
        await running
    assert is_gone(pid)


async def test_five_hundred_series_cross_without_holding_the_loop(processes: ProcessHost, tmp_path: Path) -> None:
    """Seven megabytes of columns go over in pieces."""
    code = written(tmp_path, "return {'AAPL': 0.5}, {'symbols': len(bars), 'sum': bars.close.to_numpy().sum().item()}")
    one = walk("S", 1, 300)
    many = {f"S{n}": replace(one, symbol=f"S{n}") for n in range(500)}
    await processes.needs(code, deadline_seconds=30)
    running = asyncio.ensure_future(
        processes.run(Request(code=code, series=many, context=context(one)), deadline_seconds=30)
    )
    lag, before = 0.0, time.perf_counter()
    while not running.done():
        await asyncio.sleep(0.001)
        lag, before = max(lag, time.perf_counter() - before), time.perf_counter()
    assert (await running).memory == {"sum": pytest.approx(500 * sum(one.close)), "symbols": 500}
    assert lag < 0.1


DAEMON = """
import asyncio, sys
from pathlib import Path
from longwatch.strategies.host import ProcessHost
from tests.strategies.samples import request, written

async def main():
    host = ProcessHost()
    code = written(Path(sys.argv[1]), "while True: pass")
    await host.needs(code, deadline_seconds=30)
    print(*host.pids(), flush=True)
    await host.run(request(code), deadline_seconds=60)

asyncio.run(main())
"""


def test_a_killed_daemon_takes_its_strategies_along(tmp_path: Path, root: Path) -> None:
    """After kill -9 of the daemon an endless strategy does not eat a core for ever."""
    env = os.environ | {"PYTHONPATH": f"{root}:{root / 'daemon'}"}
    with subprocess.Popen(
        [sys.executable, "-c", DAEMON, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=env
    ) as daemon:
        assert daemon.stdout is not None
        pid = int(daemon.stdout.readline())
        time.sleep(0.2)
        daemon.kill()
    stat = Path(f"/proc/{pid}/stat")
    for _ in range(300):
        if not stat.exists() or stat.read_text().split()[2] == "Z":
            return
        time.sleep(0.01)
    os.kill(pid, 9)
    pytest.fail("the strategy outlived the daemon")
