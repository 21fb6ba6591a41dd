"""P6: from the start of the process to ready on a local gateway, its memory, and `--help`; against bare imports."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from time import perf_counter

from tests.bench.figures import ENVIRONMENT, ROOT, start, tell

RUNS = 3
HELP_RUNS = 5
DEADLINE_SECONDS = 20
CLI = ("-c", "from longwatch.cli import main; main()")
FLOOR = "import ib_insync, pandas, pydantic, prometheus_client, aiohttp"


def main() -> None:
    """Each run with a journal of its own."""
    with tempfile.TemporaryDirectory() as place:
        port = free_port()
        gateway = launch(*CLI, "gateway", "--port", str(port), "--around-the-clock")
        try:
            await_port(port)
            to_ready(Path(place) / "first", port)  # the byte code is written
            started = [to_ready(Path(place) / str(run), port) for run in range(RUNS)]
        finally:
            gateway.terminate()
            gateway.wait()
    imports()
    floor = [imports() for _ in range(RUNS)]
    tell(
        "P6 process start to ready",
        [took * 1e3 for took, _ in started],
        "ms",
        peer="importing " + FLOOR.removeprefix("import "),
        peer_runs=[took * 1e3 for took, _ in floor],
        goal="≤ 1.2 × peer",
        note="/readyz says 200: link, account, instruments, book",
    )
    tell(
        "P6 memory of the daemon when ready",
        [kilobytes / 1024 for _, kilobytes in started],
        "MiB",
        peer="those imports",
        peer_runs=[kilobytes / 1024 for _, kilobytes in floor],
        goal="≤ 90",
        note="RSS; each strategy has a process of its own beside it",
    )
    told = [run_seconds(*CLI, "--help") * 1e3 for _ in range(HELP_RUNS)]
    bare = [run_seconds("-c", "pass") * 1e3 for _ in range(HELP_RUNS)]
    tell("P6 longwatch --help", told, "ms", peer="python -c pass", peer_runs=bare, goal="≤ 150 ms")


def to_ready(folder: Path, port: int) -> tuple[float, int]:
    """Seconds until /readyz says so, and kilobytes resident then."""
    folder.mkdir()
    http = free_port()
    config = folder / "trading.json"
    config.write_text(json.dumps({"trading": settings(folder, port, http)}))
    began = perf_counter()
    daemon = launch(*CLI, "run", str(config))
    try:
        while not is_ready(http):
            if perf_counter() - began > DEADLINE_SECONDS or daemon.poll() is not None:
                raise SystemExit(f"the daemon was not ready within {DEADLINE_SECONDS} s")
            time.sleep(0.002)
        return perf_counter() - began, resident(daemon.pid)
    finally:
        daemon.terminate()
        daemon.wait()


def settings(folder: Path, port: int, http: int) -> dict[str, object]:
    """A paper account on the gateway, everything else at its default."""
    return {
        "mode": "paper",
        "data_provider": "ib",
        "executor": "ib_paper",
        "calendar": "24/7",
        "ib": {"port": port},
        "clock": {"source": "gateway"},
        "data": {"cache_dir": str(folder / "cache")},
        "execution": {"paper_account": "DU123456"},
        "journal": {"path": str(folder / "journal.sqlite")},
        "ops": {"http_port": http, "control_socket": str(folder / "control.sock"), "log_level": "error"},
    }


def is_ready(port: int) -> bool:
    """Whether /readyz answers 200."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as client:
            client.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
            return client.recv(64).split(b" ")[1:2] == [b"200"]
    except OSError:
        return False


def imports() -> tuple[float, int]:
    """Seconds and kilobytes of a process that does nothing but import what a program of this kind needs."""
    program = f"{FLOOR}\nprint('there', flush=True)\ninput()"
    began = perf_counter()
    with start("-c", program) as child:
        assert child.stdout is not None
        child.stdout.readline()
        took, kilobytes = perf_counter() - began, resident(child.pid)
        child.communicate("\n")
    return took, kilobytes


def resident(pid: int) -> int:
    """Kilobytes resident."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) if found else 0


def run_seconds(*arguments: str) -> float:
    """How long a process takes from start to end."""
    began = perf_counter()
    launch(*arguments).wait()
    return perf_counter() - began


def launch(*arguments: str) -> subprocess.Popen[bytes]:
    """A process of this interpreter, silent."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def free_port() -> int:
    """A port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def await_port(port: int) -> None:
    """Return once something listens."""
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise SystemExit("the gateway does not listen")


if __name__ == "__main__":
    main()
