"""What systemd hears of a real process, on a socket of ours in its place."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.process.made import Place, until

WATCHDOG_SECONDS = 3.0


class Supervisor:
    """Listens where NOTIFY_SOCKET points, and keeps every datagram with the time it came."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: list[tuple[float, dict[str, str]]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._thread = threading.Thread(target=self._listen, name="supervisor", daemon=True)
        self._thread.start()

    def times(self, name: str) -> list[float]:
        """When each datagram with this variable came."""
        return [at for at, variables in self.heard if name in variables]

    def order(self, *names: str) -> list[str]:
        """Which of these came, in order."""
        return [name for _, variables in self.heard for name in variables if name in names]

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=5)
        self._socket.close()

    def _listen(self) -> None:
        while data := self._socket.recv(4096):
            rows = (line.partition("=") for line in data.decode().splitlines())
            self.heard.append((time.monotonic(), {name: value for name, _, value in rows}))


@pytest.fixture
def supervisor(place: Place) -> Iterator[Supervisor]:
    supervisor = Supervisor(place.folder / "notify.sock")
    yield supervisor
    supervisor.close()


def test_ready_watchdog_reloading_ready_stopping(place: Place, supervisor: Supervisor) -> None:
    """READY once journal and pages are there though no gateway is, WATCHDOG in time, RELOADING then READY, STOPPING."""
    place.gateway()
    first = place.ready_daemon()
    until(lambda: len(place.books().executions) >= 2, "trades", first)
    first.kill()
    place.programs[0].kill()
    known = {h.symbol: str(h.quantity) for h in place.folded().book.values() if h.quantity}

    extra = {"NOTIFY_SOCKET": str(supervisor.path), "WATCHDOG_USEC": str(int(WATCHDOG_SECONDS * 1_000_000))}
    daemon = place.daemon(extra)
    until(lambda: bool(supervisor.times("READY")), "READY", daemon)
    assert place.page("/livez")[0] == 200
    assert place.page("/readyz")[0] == 503, "ready, with no gateway"
    told = {row["symbol"]: row["book"] for row in place.status()["positions"] if row["book"] != "0"}
    assert told == known

    until(lambda: len(supervisor.times("WATCHDOG")) >= 6, "signs of life", daemon)
    signs = supervisor.times("WATCHDOG")
    gaps = [later - earlier for earlier, later in pairwise(signs)]
    assert max(gaps) < WATCHDOG_SECONDS

    begun = time.monotonic_ns() // 1000
    daemon.send(signal.SIGHUP)
    until(lambda: len(supervisor.times("READY")) == 2, "READY after the reload", daemon)
    (stamp,) = [variables["MONOTONIC_USEC"] for _, variables in supervisor.heard if "RELOADING" in variables]
    assert begun <= int(stamp) <= time.monotonic_ns() // 1000

    daemon.send(signal.SIGTERM)
    assert daemon.ended() == 0
    assert supervisor.order("READY", "RELOADING", "STOPPING") == ["READY", "RELOADING", "READY", "STOPPING"]


def test_the_watchdog_is_fed_and_sigterm_obeyed_while_a_strategy_still_loads(
    place: Place, supervisor: Supervisor
) -> None:
    """A strategy that takes for ever to import keeps neither systemd nor a person waiting."""
    (place.folder / "slow.py").write_text("import time\ntime.sleep(60)\n")
    place.configure({"strategies": [{"name": "slow", "path": "slow.py:Slow"}]})
    extra = {"NOTIFY_SOCKET": str(supervisor.path), "WATCHDOG_USEC": str(int(WATCHDOG_SECONDS * 1_000_000))}
    daemon = place.daemon(extra)
    until(lambda: len(supervisor.times("WATCHDOG")) >= 4, "signs of life", daemon)
    assert place.page("/livez") == (200, "live\n")
    daemon.send(signal.SIGTERM)
    assert daemon.ended() == 0
    assert supervisor.order("READY", "STOPPING") == ["READY", "STOPPING"]


def test_sigterm_drains_and_leaves_nothing_undone(place: Place) -> None:
    """Exit 0, without a word of trouble; the socket's file is gone, the lock is free, and the next one goes on."""
    place.gateway()
    daemon = place.ready_daemon()
    until(lambda: len(place.books().executions) >= 2, "trades", daemon)
    daemon.send(signal.SIGTERM)
    assert daemon.ended() == 0
    assert not (place.folder / "c.sock").exists()
    assert place.page("/livez") == (0, "")
    assert "Traceback" not in daemon.said
    folded = place.folded()
    again = place.ready_daemon()
    assert place.folded().fills.keys() >= folded.fills.keys()
    again.send(signal.SIGINT)
    assert again.ended() == 0
