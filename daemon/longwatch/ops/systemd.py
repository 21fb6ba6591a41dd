"""What systemd is told of the daemon, over the socket it names in the environment; app.py calls this at each change.

The protocol is that of sd_notify(3): datagrams of `NAME=value` lines. Without NOTIFY_SOCKET every call does nothing.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from longwatch.clock import Clock


class Notifier:
    """Tells systemd the daemon's state. Each call returns whether the message was delivered, at once, and never raises.

    `environ` is the process's environment; `clock` is the machine's, since RELOADING carries its CLOCK_MONOTONIC.
    """

    def __init__(self, environ: Mapping[str, str], clock: Clock) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._clock = clock

    def ready(self, status: str) -> bool:
        """Start-up, or a reload, is done."""
        return self._send("READY=1", _status(status))

    def status(self, status: str) -> bool:
        """One line for `systemctl status`."""
        return self._send(_status(status))

    def watchdog(self) -> bool:
        """The loop is alive; due every half of `watchdog_seconds`."""
        return self._send("WATCHDOG=1")

    def reloading(self) -> bool:
        """A reload begins; `ready` ends it. The instant lets systemd tell this reload from an earlier one."""
        return self._send("RELOADING=1", f"MONOTONIC_USEC={int(self._clock.monotonic() * 1_000_000)}")

    def stopping(self, status: str) -> bool:
        """The daemon drains and will exit."""
        return self._send("STOPPING=1", _status(status))

    def _send(self, *lines: str) -> bool:
        if not self._address.startswith(("/", "@")):
            return False
        # A leading @ stands for the zero byte of Linux's abstract namespace.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as link:
                link.setblocking(False)  # a full queue must not stop the loop; the caller may say it again
                link.sendto("\n".join(lines).encode(), address)
        except OSError:
            return False
        return True


def watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    """How long systemd waits for a sign of life before it kills the daemon; None when it does not watch us."""
    pid = environ.get("WATCHDOG_PID", "")
    microseconds = environ.get("WATCHDOG_USEC", "")
    if not (microseconds.isascii() and microseconds.isdecimal()) or (pid and pid != str(os.getpid())):
        return None
    return int(microseconds) / 1_000_000 or None


def _status(text: str) -> str:
    # A newline would begin a variable of its own.
    return f"STATUS={' '.join(text.split())}"
