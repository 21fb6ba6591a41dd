"""sd_notify to a fake NOTIFY_SOCKET, the watchdog's interval, and the unit as systemd's own checker sees it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from datetime import UTC, datetime
from pathlib import Path

import pytest

from longwatch.clock import SteppedClock
from longwatch.ops.systemd import Notifier, watchdog_seconds

CLOCK = SteppedClock(lambda: 12.3456789, market_start=datetime(2007, 1, 3, tzinfo=UTC))


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """A fake systemd: the address to put into NOTIFY_SOCKET, and the socket it listens on."""
    abstract = f"longwatch-test-{os.getpid()}"
    address = str(tmp_path / "notify") if request.param == "path" else f"@{abstract}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.bind(address if request.param == "path" else f"\0{abstract}")
        link.settimeout(5)
        yield address, link


def test_each_state_is_one_datagram(listener: tuple[str, socket.socket]) -> None:
    """READY, STATUS, WATCHDOG, RELOADING with the monotonic instant, and STOPPING, over both kinds of socket."""
    address, link = listener
    notifier = Notifier({"NOTIFY_SOCKET": address}, CLOCK)
    assert all(
        (
            notifier.ready("ready"),
            notifier.status("trading"),
            notifier.watchdog(),
            notifier.reloading(),
            notifier.stopping("draining"),
        )
    )
    assert [link.recv(4096) for _ in range(5)] == [
        b"READY=1\nSTATUS=ready",
        b"STATUS=trading",
        b"WATCHDOG=1",
        b"RELOADING=1\nMONOTONIC_USEC=12345678",
        b"STOPPING=1\nSTATUS=draining",
    ]


def test_a_status_stays_one_line(listener: tuple[str, socket.socket]) -> None:
    """A newline in a status can't smuggle in another variable."""
    address, link = listener
    Notifier({"NOTIFY_SOCKET": address}, CLOCK).status("link lost\r\nREADY=1\n")
    assert link.recv(4096) == b"STATUS=link lost READY=1"


@pytest.mark.parametrize("address", ["", "relative", "vsock:2:1234", "/nowhere/at/all", "@longwatch-nobody-listens"])
def test_without_a_listener_nothing_happens(address: str) -> None:
    """Outside systemd, or when its socket is gone, the daemon goes on; the caller learns that nobody heard."""
    assert Notifier({"NOTIFY_SOCKET": address}, CLOCK).watchdog() is False
    assert Notifier({}, CLOCK).ready("ready") is False


def test_a_listener_that_does_not_read_never_stops_the_loop(tmp_path: Path) -> None:
    """When systemd's queue is full the call returns False at once instead of waiting."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.bind(str(tmp_path / "notify"))
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")}, CLOCK)
        assert not all(notifier.watchdog() for _ in range(10_000))


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
    ],
)
def test_the_watchdog_counts_only_when_meant_for_this_process(environ: dict[str, str], seconds: float | None) -> None:
    """Microseconds become seconds; another process's watchdog, none, or nonsense is None."""
    assert watchdog_seconds(environ) == seconds


class UnitFile(ConfigParser):
    """A unit file: names keep their case, and a value may hold any sign."""

    def __init__(self) -> None:
        super().__init__(interpolation=None, strict=False)

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def test_the_unit_says_what_the_daemon_relies_on(root: Path) -> None:
    """Notify with a watchdog and reload by SIGHUP; a wrong configuration (78) is not tried again."""
    unit = UnitFile()
    unit.read(root / "systemd" / "longwatch.service")
    service = dict(unit["Service"])
    assert service["Type"] == "notify"
    assert service["ExecStart"] == "/opt/longwatch/.venv/bin/longwatch run /etc/longwatch/trading_config.yaml"
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert int(service["WatchdogSec"]) > 0
    assert service["Restart"] == "on-failure"
    assert service["RestartPreventExitStatus"] == "78"
    assert service["StateDirectory"] == "longwatch"
    assert "ProcSubset" not in service


def test_systemd_analyze_verify_prints_nothing(root: Path, tmp_path: Path) -> None:
    """systemd's own checker has no complaint, with ExecStart pointed to a program that exists here."""
    checker = shutil.which("systemd-analyze")
    assert checker, "systemd-analyze is missing: install the Debian package systemd"
    text = (root / "systemd" / "longwatch.service").read_text()
    installed = "ExecStart=/opt/longwatch/.venv/bin/longwatch "
    assert text.count(installed) == 1
    copy = tmp_path / "longwatch.service"
    copy.write_text(text.replace(installed, f"ExecStart={sys.executable} "))
    done = subprocess.run([checker, "verify", str(copy)], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
