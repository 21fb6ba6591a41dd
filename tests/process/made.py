"""Real processes of Longwatch for the tests of this folder: a gateway and a daemon in a place of their own.

They are watched through their own doors only (pages, control socket, journal, ledger), waited for with deadlines, and
always killed.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import count, islice
from pathlib import Path
from typing import Any

from longwatch.broker.ib import installed
from longwatch.domain import messages as m
from longwatch.domain.state import State
from longwatch.journal.codec import decode, recover
from longwatch.journal.reading import read_records
from longwatch.journal.records import Record
from longwatch.ops.control import call
from tests.process.ledger import Books, read_books

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = Path(__file__).resolve().parent / "samples"
ACCOUNT = "DU123456"
SPEED = 10
FIRST_PORT, PORTS = 20_000, 12_000
"""Below the ports that the kernel gives to outgoing connections."""
LOOK_SECONDS = 0.02
PATIENCE_SECONDS = 60
"""How long anything may take on a machine that is busy with other things; when all is well it takes a few seconds."""
LOG_SHOWN = 8_000

Settings = dict[str, Any]
ABSENT = object()
"""As a change: the setting is not written at all."""

BASE: Settings = {
    "mode": "paper",
    "data_provider": "ib",
    "executor": "ib_paper",
    "calendar": "24/7",
    "ib": {
        "client_library": installed(),
        "heartbeat_seconds": 5.0,
        "backoff_initial_seconds": 0.2,
        "backoff_max_seconds": 0.5,
    },
    "clock": {"source": "gateway", "speed": float(SPEED)},
    "execution": {
        "paper_account": ACCOUNT,
        "acknowledge_seconds": 3.0,
        "absence_quiet_seconds": 1.0,
        "absence_round_seconds": 0.5,
    },
    "schedule": {
        "refresh": "every 1 h",
        "signals": "every 20 s",
        "rebalance": {"trigger": "every 20 s", "latest_start_minutes": 1.0},
        "reconcile": "every 50 s",
    },
    "strategies": [{"name": "flip", "path": "flip.py:Flip"}],
    "sizing": {"no_trade_band_weight": 0},
    "risk": {"max_order_value": 1_000_000, "max_order_shares": 100_000, "max_orders_per_minute": 1_000},
    "data": {"history_bars": 20, "cache_dir": "cache"},
    "ops": {"control_socket": "c.sock"},
}
"""What every daemon here runs on. Times of the schedule are market time, ten market seconds a second."""


class Program:
    """One running command of `longwatch`, its output kept in a file."""

    def __init__(self, folder: Path, log: Path, words: tuple[str, ...], extra: Mapping[str, str]) -> None:
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command(*words),
                cwd=folder,
                env=environment(extra),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    @property
    def said(self) -> str:
        """All it has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """SIGKILL, and its body buried; nothing when it has ended already."""
        self.process.kill()
        self.process.wait(timeout=10)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self) -> int:
        """Its exit code, once it has ended by itself."""
        return self.process.wait(timeout=PATIENCE_SECONDS)


class Place:
    """A folder with a configuration, the ports of one gateway and one daemon, and what they leave behind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs: list[Program] = []
        self.gateway_port, self.http_port = free_ports(2)
        self.settings = BASE
        for sample in SAMPLES.glob("*.py"):
            shutil.copy(sample, folder)
        self.configure()

    # ── configuration ───────────────────────────────────────────────────────────────────────────────────────────

    @property
    def config(self) -> Path:
        return self.folder / "c.yaml"

    def configure(self, changes: Settings | None = None) -> None:
        """Write the configuration with changes on top of what it was."""
        ports = {"ib": {"port": self.gateway_port}, "ops": {"http_port": self.http_port}}
        self.settings = merged(merged(self.settings, ports), changes or {})
        self.config.write_text(json.dumps({"trading": self.settings}, indent=1), encoding="utf-8")

    # ── processes ───────────────────────────────────────────────────────────────────────────────────────────────

    def gateway(self, *options: object) -> Program:
        """A gateway that listens, on this place's port and ledger."""
        words = ("--port", self.gateway_port, "--speed", SPEED, "--around-the-clock", "--ledger", self.ledger_path)
        program = self.start("gateway", *words, *options)
        until(lambda: "serving" in program.said, "the gateway to listen", program)
        return program

    def daemon(self, extra: Mapping[str, str] | None = None, *, config: Path | None = None) -> Program:
        """A daemon, just started."""
        return self.start("run", config or self.config, extra=extra)

    def ready_daemon(self) -> Program:
        """A daemon that may trade."""
        program = self.daemon()
        until(lambda: self.page("/readyz")[0] == 200, "the daemon to be ready", program)
        return program

    def start(self, *words: object, extra: Mapping[str, str] | None = None) -> Program:
        log = self.folder / f"{len(self.programs):02d}-{words[0]}.log"
        program = Program(self.folder, log, tuple(map(str, words)), extra or {})
        self.programs.append(program)
        return program

    def tell(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Run a command of the command line to its end, on this daemon's socket."""
        return subprocess.run(
            command(*map(str, words), "--socket", "c.sock"),
            cwd=self.folder,
            env=environment({}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def close(self) -> None:
        for program in self.programs:
            program.kill()

    def logs(self) -> Iterator[tuple[str, str]]:
        """The end of what each process printed, for a test that failed."""
        for program in self.programs:
            yield program.log.name, program.said[-LOG_SHOWN:]

    # ── what can be seen from outside ───────────────────────────────────────────────────────────────────────────

    def page(self, path: str) -> tuple[int, str]:
        """Status and text of one of the daemon's pages; (0, "") while nothing listens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=PATIENCE_SECONDS)
        try:
            connection.request("GET", path)
            reply = connection.getresponse()
            return reply.status, reply.read().decode()
        except (ConnectionError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()

    def status(self) -> dict[str, Any]:
        """The page /status."""
        code, text = self.page("/status")
        assert code == 200, f"/status answered {code}"
        found: dict[str, Any] = json.loads(text)
        return found

    def metric(self, name: str, labels: str = "") -> float:
        """One sample of /metrics, by its name and its labels as they stand there."""
        head = f"{name}{{{labels}}} " if labels else f"{name} "
        rows = [line for line in self.page("/metrics")[1].splitlines() if line.startswith(head)]
        assert len(rows) == 1, f"{len(rows)} samples begin with {head!r}"
        return float(rows[0].rpartition(" ")[2])

    def ask(self, name: str, argument: str = "") -> dict[str, Any]:
        """One request on the control socket, without a process of its own."""
        return call(self.folder / "c.sock", {"command": name, "argument": argument})

    @property
    def ledger_path(self) -> Path:
        return self.folder / "ledger.jsonl"

    def books(self) -> Books:
        """The gateway's books, read from its file alone."""
        return read_books(self.ledger_path, ACCOUNT)

    @property
    def journal_path(self) -> Path:
        return self.folder / "var" / f"paper-{ACCOUNT}.sqlite"

    def records(self, after: int = 0) -> list[Record]:
        """The journal's records after a sequence number; none while there is no journal."""
        return list(read_records(self.journal_path, after + 1)) if self.journal_path.exists() else []

    def messages(self, kind: type[m.Event | m.Fact], after: int = 0) -> list[Any]:
        """The events or facts of one kind in the journal."""
        return [decode(record) for record in self.records(after) if record.kind == kind.__name__]

    def folded(self) -> State:
        """What the journal stands for."""
        return recover(self.records())


def command(*words: str) -> list[str]:
    """The command line of `longwatch`, under this interpreter."""
    return [sys.executable, "-c", "from longwatch.cli import main; main()", *words]


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without anything that a daemon would obey, and with `extra`."""
    obeyed = ("LONGWATCH_", "NOTIFY_", "WATCHDOG_", "JOURNAL_", "CREDENTIALS_")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(obeyed)}
    return plain | {"PYTHONPATH": str(ROOT / "daemon"), "PYTHONUNBUFFERED": "1"} | dict(extra)


def until(
    holds: Callable[[], bool], what: str, program: Program | None = None, look_seconds: float = LOOK_SECONDS
) -> None:
    """Wait until something holds; fails when patience ends, or the program meant to bring it about has ended."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end, f"waited {PATIENCE_SECONDS} s in vain for {what}"
        assert program is None or program.is_running, f"waiting for {what}, the process ended: {program.said[-2000:]}"
        time.sleep(look_seconds)


def merged(base: Settings, changes: Settings) -> Settings:
    """Settings with changes laid over them, group by group."""
    both = dict(base)
    for name, value in changes.items():
        former = both.get(name)
        both[name] = merged(former, value) if isinstance(former, dict) and isinstance(value, dict) else value
    return {name: value for name, value in both.items() if value is not ABSENT}


_CANDIDATES = count(os.getpid() * 97)


def free_ports(wanted: int) -> tuple[int, ...]:
    """Ports that nobody listens on, none of them given twice; where to begin is this process's own."""
    candidates = (FIRST_PORT + number % PORTS for number in _CANDIDATES)
    return tuple(islice(filter(_is_free, candidates), wanted))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
