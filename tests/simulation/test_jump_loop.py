"""The jump-when-idle loop: virtual time, pacing, holds, real sockets and the deadlock report."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.simulation.loop import OVERSHOOT_SECONDS, Deadlock, JumpLoop, run

DAY = 86_400.0


def test_a_year_of_sleep_passes_in_no_real_time() -> None:
    """An idle loop jumps to its next timer whatever the distance."""

    async def main() -> float:
        await asyncio.sleep(365 * DAY)
        return asyncio.get_running_loop().time()

    began = time.monotonic()
    assert run(main()) == pytest.approx(365 * DAY, abs=0.001)
    assert time.monotonic() - began < 1.0


def test_a_timer_fires_one_microsecond_late() -> None:
    """The clock overshoots each timer, so `now - then > interval` is true when a timer of that interval fires."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for distance in (0.001, 1.0, 3 * DAY, 4000 * DAY):
            began = loop.time()
            await asyncio.sleep(distance)
            assert distance < loop.time() - began < distance + 2 * OVERSHOOT_SECONDS

    run(main())


def test_a_caller_that_rearms_at_the_exact_instant_gets_on() -> None:
    """The throttle that waits for `elapsed > interval` from timers at exactly `interval` ends."""

    async def main() -> int:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        rounds = 0
        began = loop.time()

        def again() -> None:
            nonlocal rounds
            rounds += 1
            if loop.time() - began > 1.0:
                done.set_result(None)
            else:
                loop.call_at(began + 1.0, again)

        again()
        await done
        return rounds

    assert run(main()) == 2


def test_busy_callbacks_take_no_virtual_time() -> None:
    """Time stands still while the machine computes."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        deadline = time.monotonic() + 0.02
        while time.monotonic() < deadline:
            await asyncio.sleep(0)
        return loop.time() - began

    assert run(main()) == 0.0


def test_timers_of_one_instant_run_in_the_order_they_were_made() -> None:
    """A heap alone would shuffle equal instants."""

    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        seen: list[int] = []
        for number in range(100):
            loop.call_at(10.0, seen.append, number)
        await asyncio.sleep(11)
        return seen

    assert run(main()) == list(range(100))


@given(st.lists(st.floats(min_value=0, max_value=1e9), min_size=1, max_size=30))
def test_timers_run_in_the_order_of_their_instants(delays: list[float]) -> None:
    """Whatever the delays, the callbacks come sorted by due instant and never early."""

    async def main() -> list[tuple[float, float]]:
        loop = asyncio.get_running_loop()
        seen: list[tuple[float, float]] = []
        for delay in delays:
            loop.call_at(delay, lambda delay=delay: seen.append((delay, loop.time())))
        await asyncio.sleep(2e9)
        return seen

    seen = run(main())
    assert [due for due, _ in seen] == sorted(delays)
    assert all(at >= due for due, at in seen)


def test_cancelled_timers_are_jumped_over() -> None:
    """Time never stops at a timer that was cancelled."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        for number in range(200):
            loop.call_later(5 + number, lambda: None).cancel()
        await asyncio.sleep(1000)
        return loop.time()

    assert run(main()) == pytest.approx(1000, abs=1e-5)


def test_a_deadline_is_virtual() -> None:
    """`asyncio.timeout` ends a wait for something that never comes."""

    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await asyncio.get_running_loop().create_future()
        return asyncio.get_running_loop().time()

    assert run(main()) == pytest.approx(3600, abs=1e-5)


def test_an_idle_loop_with_nothing_scheduled_is_reported_with_its_waiting_tasks() -> None:
    """A deadlock names each task and the innermost line it waits at, and does not wait it out."""

    async def stuck_on_an_event() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(stuck_on_an_event(), name="link")

    with pytest.raises(Deadlock) as caught:
        run(main())
    text = str(caught.value)
    assert "nothing scheduled" in text
    assert "link (locks.py:" in text
    assert "in Event.wait)" in text


def test_a_real_socket_is_not_a_deadlock() -> None:
    """With a real server listening an idle loop waits for it."""

    async def main() -> str:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        threading.Timer(0.02, talk, (port,)).start()
        await asyncio.wait_for(answered.wait(), None)
        server.close()
        return "served"

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()
        answered.set()

    answered = asyncio.Event()
    assert run(main()) == "served"


def talk(port: int) -> bytes:
    """One line to an echo server over real TCP, from another thread."""
    import socket

    with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
        link.sendall(b"hello\n")
        return link.recv(100)


CLIENT = """
import socket, sys
for _ in range(20):
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5) as link:
        link.sendall(b"hello\\n")
        assert link.recv(100) == b"hello\\n"
"""


def test_real_sockets_are_served_while_time_races() -> None:
    """At full speed with timers always pending, another process still gets its answers."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    async def main() -> tuple[int, float]:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        client = subprocess.Popen([sys.executable, "-c", CLIENT, str(port)])
        while client.poll() is None:
            await asyncio.sleep(1)
        server.close()
        return client.returncode, asyncio.get_running_loop().time()

    code, virtual = run(main())
    assert code == 0
    assert virtual > 20


def test_an_idle_day_takes_the_pace_set() -> None:
    """With 0.1 real seconds a day, two days of timers every hour take about 0.2 real seconds."""

    async def main() -> None:
        for _ in range(48):
            await asyncio.sleep(3600)

    began = time.monotonic()
    run(main(), loop=JumpLoop(pace_seconds_per_day=0.1))
    assert 0.19 <= time.monotonic() - began < 1.5


def test_many_close_timers_keep_the_pace() -> None:
    """Waits shorter than the selector can measure are saved up, not rounded up a thousand times."""

    async def main() -> None:
        for _ in range(2000):
            await asyncio.sleep(43.2)

    began = time.monotonic()
    run(main(), loop=JumpLoop(pace_seconds_per_day=0.1))
    assert 0.09 <= time.monotonic() - began < 1.5


def test_a_socket_that_wakes_a_paced_loop_advances_time_by_the_part_waited() -> None:
    """Part of the way through a real wait, that part of the day has passed; the timer fires at its own instant."""

    async def main() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, JumpLoop)
        seen: list[float] = []

        def woken() -> None:
            seen.append(loop.time())
            loop.set_pace(0)

        threading.Timer(0.1, lambda: loop.call_soon_threadsafe(woken)).start()
        await asyncio.sleep(DAY)
        return seen[0], loop.time()

    at, end = run(main(), loop=JumpLoop(pace_seconds_per_day=4.0))
    assert 0.02 * DAY < at < 0.9 * DAY
    assert end == pytest.approx(DAY + OVERSHOOT_SECONDS, abs=1e-7)


def test_the_pace_can_change_on_the_way() -> None:
    """set_pace counts from the next wait on."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, JumpLoop)
        await asyncio.sleep(0.1 * DAY)
        loop.set_pace(0)
        await asyncio.sleep(1000 * DAY)

    began = time.monotonic()
    run(main(), loop=JumpLoop(pace_seconds_per_day=1.0))
    assert 0.09 <= time.monotonic() - began < 1.5


@pytest.mark.parametrize("pace", [-1.0, float("nan"), float("inf")])
def test_an_impossible_pace_is_refused(pace: float) -> None:
    """A pace is a finite number of real seconds, 0 or more."""
    with pytest.raises(ValueError, match="pace"):
        JumpLoop(pace_seconds_per_day=pace)


def test_time_stands_still_while_a_hold_is_open() -> None:
    """Work in a thread under a hold finishes before any virtual deadline."""

    async def main() -> tuple[str, float]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, JumpLoop)
        done = loop.create_future()
        threading.Timer(0.05, lambda: loop.call_soon_threadsafe(done.set_result, "done")).start()
        async with asyncio.timeout(1e-3):
            with loop.hold("thread"):
                return await done, loop.time()

    assert run(main()) == ("done", 0.0)


def test_executor_work_holds_time_by_itself() -> None:
    """run_in_executor and to_thread need no hold of their own."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(1e-3):
            await asyncio.to_thread(time.sleep, 0.02)
            with ThreadPoolExecutor(1) as pool:
                await loop.run_in_executor(pool, time.sleep, 0.02)
        return loop.time()

    assert run(main()) == 0.0


def test_a_hold_that_is_never_released_lapses() -> None:
    """After its real limit the virtual deadline comes, so hanging work can be given up."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, JumpLoop)
        with loop.hold("hanging worker", limit_seconds=0.03), pytest.raises(TimeoutError):
            async with asyncio.timeout(100):
                await loop.create_future()
        return loop.time()

    assert run(main()) == pytest.approx(100, abs=1e-5)


def test_a_lapsed_hold_with_nothing_scheduled_is_a_deadlock_by_name() -> None:
    """The report says which work never came back."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, JumpLoop)
        with loop.hold("hanging worker", limit_seconds=0.01):
            await loop.create_future()

    with pytest.raises(Deadlock, match="hanging worker"):
        run(main())


def test_a_signal_reaches_its_callback_while_time_races() -> None:
    """add_signal_handler works at full speed."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        seen = asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, seen.set)
        os.kill(os.getpid(), signal.SIGUSR1)
        while not seen.is_set():
            await asyncio.sleep(1)
        loop.remove_signal_handler(signal.SIGUSR1)

    run(main())


def test_ctrl_c_cancels_the_main_task_as_in_asyncio() -> None:
    """SIGINT in a paced wait cancels main, lets it clean up, and surfaces as KeyboardInterrupt."""
    code = (
        "import asyncio, os, signal, threading\n"
        "from longwatch.simulation.loop import JumpLoop, run\n"
        "async def main():\n"
        "    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "    try:\n"
        "        await asyncio.sleep(86400)\n"
        "    finally:\n"
        "        print('drained')\n"
        "try:\n"
        "    run(main(), loop=JumpLoop(pace_seconds_per_day=60))\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    path = os.pathsep.join(entry for entry in sys.path if entry)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert done.stdout.split() == ["drained", "interrupted"]


def test_run_cleans_up_like_asyncio_run() -> None:
    """Remaining tasks are cancelled, async generators closed, the loop closed and no longer current."""
    ended: list[str] = []
    loop = JumpLoop()

    async def numbers():  # type: ignore[no-untyped-def]
        try:
            yield 1
        finally:
            ended.append("generator")

    async def background() -> None:
        try:
            await asyncio.sleep(1e9)
        finally:
            ended.append("task")

    kept = numbers()

    async def main() -> int:
        task = asyncio.create_task(background(), name="background")
        loop.__dict__["kept"] = task
        await asyncio.sleep(1)
        return await anext(kept)

    assert run(main(), loop=loop) == 1
    assert ended == ["task", "generator"]
    assert loop.is_closed()


def test_an_error_of_main_is_raised() -> None:
    """run raises what main raises."""

    async def main() -> None:
        await asyncio.sleep(10)
        raise KeyError("sentinel")

    with pytest.raises(KeyError, match="sentinel"):
        run(main())


def schedule_of_a_busy_run(serve: bool) -> list[tuple[float, str]]:
    """The log of two tasks and timers over a virtual day, with or without a real client talking meanwhile."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    async def main() -> list[tuple[float, str]]:
        loop = asyncio.get_running_loop()
        log: list[tuple[float, str]] = []

        async def beat(name: str, every: float) -> None:
            for _ in range(100):
                await asyncio.sleep(every)
                log.append((loop.time(), name))

        client = None
        server = None
        if serve:
            server = await asyncio.start_server(echo, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            client = threading.Thread(target=lambda: [talk(port) for _ in range(3)])
            client.start()
        await asyncio.gather(beat("a", 0.1), beat("b", 0.3), beat("c", 0.1))
        if client is not None and server is not None:
            await asyncio.to_thread(client.join)
            server.close()
        return log

    return run(main(), loop=JumpLoop(pace_seconds_per_day=300.0 if serve else 0.0))


def test_two_runs_are_the_same_to_the_last_bit() -> None:
    """Virtual instants do not depend on the machine's speed, on the pace, or on real clients being served."""
    assert schedule_of_a_busy_run(False) == schedule_of_a_busy_run(False) == schedule_of_a_busy_run(True)


def test_the_loop_is_quick() -> None:
    """50,000 timer callbacks take well under a second: the loop is not what limits a simulation."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        left = 50_000
        done = loop.create_future()

        def tick() -> None:
            nonlocal left
            left -= 1
            if left:
                loop.call_later(1.0, tick)
            else:
                done.set_result(None)

        tick()
        await done

    began = time.process_time()
    run(main())
    assert time.process_time() - began < 2.0
