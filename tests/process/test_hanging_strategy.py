"""A strategy that computes for ever, beside one that trades."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from longwatch.domain import messages as m
from tests.process.made import Place, until

DEADLINE_SECONDS = 1.5
LAG = "longwatch_loop_lag_seconds"
MOST_LAG_SECONDS = 0.1


class Machine:
    """How late timers come in this process, which does little else: what the machine itself is to blame for."""

    def __init__(self) -> None:
        self.worst_seconds = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._measure, name="machine", daemon=True)

    def __enter__(self) -> Machine:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def _measure(self) -> None:
        while not self._done.is_set():
            before = time.monotonic()
            time.sleep(0.02)
            self.worst_seconds = max(self.worst_seconds, time.monotonic() - before - 0.02)


def test_a_strategy_that_never_returns_is_killed_while_the_loop_turns_and_the_other_trades(place: Place) -> None:
    """It is a fault with its deadline in the text, its process is gone, no timer came 100 ms late, orders went out."""
    place.configure(
        {
            "strategies": [
                {"name": "flip", "path": "flip.py:Flip", "allocation": 0.5},
                {"name": "spin", "path": "spin.py:Spin", "allocation": 0.5, "deadline_seconds": DEADLINE_SECONDS},
            ]
        }
    )
    place.gateway()
    daemon = place.ready_daemon()
    until(lambda: len(_spins(place)) == 1, "the first kill", daemon)
    began, looked, late = len(place.records()), *_timers(place)
    with Machine() as machine:
        until(lambda: len(_spins(place)) >= 4, "three more kills", daemon)
    timers, late_timers = _timers(place)
    assert timers - looked >= 6
    excused = machine.worst_seconds > MOST_LAG_SECONDS
    assert late_timers == late or excused, f"{late_timers - late:g} timers of {timers - looked:g} came too late"

    (fault,) = place.status()["strategy_faults"].items()
    assert fault[0] == "spin"
    assert f"ran past its deadline of {DEADLINE_SECONDS:g} s" in fault[1]["reason"]
    assert place.messages(m.OrderHanded, began)
    assert {fact.strategy for fact in place.messages(m.StrategyFaulted)} == {"spin"}
    assert 1 <= len(_children(daemon.pid)) <= 2, "processes that were killed are still there"

    until(lambda: len(_children(daemon.pid)) == 2, "the next turn of both strategies", daemon)
    orphans = _children(daemon.pid)
    daemon.kill()
    until(lambda: not any(map(_is_alive, orphans)), "the strategies to die with the daemon")


def _spins(place: Place) -> list[m.StrategyFaulted]:
    return [fact for fact in place.messages(m.StrategyFaulted) if fact.strategy == "spin"]


def _timers(place: Place) -> tuple[float, float]:
    """Timers of the loop measured so far, and how many of them came too late."""
    count = place.metric(f"{LAG}_count")
    return count, count - place.metric(f"{LAG}_bucket", f'le="{MOST_LAG_SECONDS}"')


def _children(pid: int) -> list[str]:
    """The daemon's child processes that live: one for each strategy at work."""
    return [child for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split() if _is_alive(child)]


def _is_alive(pid: str) -> bool:
    """Whether a process runs; one that has ended and is not yet buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
