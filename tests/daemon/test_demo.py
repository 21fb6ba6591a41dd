"""`longwatch demo` as a newcomer starts it: a process, its terminal, its pages, its port, its files."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from longwatch.broker.ib import installed
from longwatch.config.load import demo_path, load
from longwatch.simulation.bench import Bench
from longwatch.simulation.demo import DemoOptions, play
from longwatch.simulation.loop import JumpLoop, run
from longwatch.simulation.replay import opening
from longwatch.simulation.strays import guard_clocks
from longwatch.simulation.summary import Tally, summary_of
from tests.conftest import ROOT
from tests.daemon import ledger_reader
from tests.daemon.bench import ACCOUNT, DAY, recorded_market

LONGWATCH = [sys.executable, "-c", "from longwatch.cli import main; main()", "demo"]
ENVIRON = {**os.environ, "PYTHONPATH": str(ROOT / "daemon")}
PROCESS_SECONDS = 60


def finished(*options: str) -> dict[str, Any]:
    """Run a demo at full speed to its end; the summary it prints."""
    done = subprocess.run(
        [*LONGWATCH, "--pace", "0", "--http-port", "0", "--json", *options],
        env=ENVIRON,
        capture_output=True,
        text=True,
        timeout=PROCESS_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


@contextmanager
def running(*options: str) -> Iterator[subprocess.Popen[str]]:
    """A demo under way, its lines on its standard output; killed at the end if it still runs."""
    with subprocess.Popen(
        [*LONGWATCH, "--http-port", "0", *options],
        env={**ENVIRON, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def lines_until(process: subprocess.Popen[str], pattern: str) -> list[str]:
    """The lines up to and with the first that holds `pattern`."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if re.search(pattern, line):
            return lines
    raise AssertionError(f"no line holds {pattern!r}: {lines}")


def found(pattern: str, lines: list[str]) -> str:
    """What `pattern`'s group holds in the first line that has it."""
    for line in lines:
        match = re.search(pattern, line)
        if match:
            return match[1]
    raise AssertionError(f"no line holds {pattern!r}: {lines}")


def test_twenty_days_trade_and_the_books_agree_to_the_cent(tmp_path: Path) -> None:
    """Buys and sells in three symbols, a clamp and a refusal; the daemon's cash and shares are the ledger file's."""
    summary = finished("--days", "20", "--keep", str(tmp_path))
    books = ledger_reader.read(tmp_path / "ledger.jsonl")[ACCOUNT]
    assert summary["days"] == 20 and summary["decisions"] >= 20
    assert len(books.bought & books.sold) >= 3
    assert summary["orders"]["clamped"] >= 1 and summary["orders"]["refused"] >= 1
    assert summary["orders"]["filled"] >= 20
    assert summary["reconciliation_differences"] == 0 and summary["limit_breaches"] == 0
    assert ledger_reader.differences(summary, tmp_path / "ledger.jsonl", ACCOUNT) == []
    assert not books.unpaid


def test_a_lost_fill_would_show_in_that_comparison(tmp_path: Path) -> None:
    """The gateway books a fill that the daemon never hears of: that comparison finds it, and so does the daemon."""
    loop = JumpLoop()

    async def main() -> dict[str, Any]:
        environ = {"LONGWATCH_DATA__CACHE_DIR": str(tmp_path / "cache"), "LONGWATCH_IB__CLIENT_LIBRARY": installed()}
        loaded = load(demo_path(), environ)
        bench = Bench(loaded=loaded, market=recorded_market(), market_starts=opening(None), folder=tmp_path, loop=loop)
        bench.gateway.faults.lose_fills = 1
        tally = Tally()
        daemon = bench.daemon(tally.heard, serves_http=False)
        tally.watch(daemon.state)
        loop.call_later(2 * DAY, daemon.stop)
        await bench.run(daemon)
        await bench.close()
        return summary_of(daemon.state, tally, bench.journal)

    summary = run(main(), loop=loop)
    found = ledger_reader.differences(summary, tmp_path / "ledger.jsonl", ACCOUNT)
    assert [text.partition(":")[0] for text in found] == ["positions", "cash", "fills"]
    assert summary["reconciliation_differences"] == 1


def played(folder: Path, **asked: Any) -> dict[str, Any]:
    """A demo of two days inside this process."""
    loop = JumpLoop(pace_seconds_per_day=asked.pop("pace_seconds", 0.0))
    folder.mkdir()
    options = DemoOptions(days=2, http_port=0, as_json=True, **asked)
    return run(play(options, folder, loop), loop=loop)


def test_one_seed_is_one_journal_in_every_process(tmp_path: Path) -> None:
    """Two days with one seed are the same to the byte whatever the process and its hash seed; another seed is not."""
    processes = [
        subprocess.Popen(
            [*LONGWATCH, "--pace", "0", "--http-port", "0", "--json", "--days", "2", "--seed", "7"],
            env={**ENVIRON, "PYTHONHASHSEED": hashing},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for hashing in ("0", "77")
    ]
    here, other = played(tmp_path / "here", seed=7), played(tmp_path / "other", seed=8)
    once, again = (json.loads(process.communicate(timeout=PROCESS_SECONDS)[0]) for process in processes)
    assert [process.returncode for process in processes] == [0, 0]
    assert once == again == here
    assert once["journal_sha256"] != other["journal_sha256"]


def test_the_pace_changes_nothing(tmp_path: Path) -> None:
    """Days watched at half a second each are the days at full speed."""
    slow, fast = (played(tmp_path / str(pace), pace_seconds=pace) for pace in (0.5, 0.0))
    assert slow == fast


def test_no_clock_is_read_and_nothing_is_drawn_behind_the_runs_back(tmp_path: Path) -> None:
    """Three days under the guard: no module of ours reads a wall clock or unseeded randomness."""
    asked = DemoOptions(days=3, pace_seconds=0.0, http_port=0, as_json=True)
    loop = JumpLoop()
    with guard_clocks(strict=True) as strays:
        summary = run(play(asked, tmp_path, loop), loop=loop)
    assert strays == []
    assert summary["days"] == 3


READS_LIKE_THIS = [
    r"demo +a simulated IB gateway replays recorded prices from 2007-01-03 on",
    r"demo +look at http://127\.0\.0\.1:\d+/status and http://127\.0\.0\.1:\d+/metrics",
    r"link +connected as client 1, account DU123456",
    r"link +ready",
    r"data +refreshed: 520 bars of 4 symbols up to 2006-12-29, all sound",
    r"signals +momentum wants .*AAPL \d",
    r"next +reconcile 2007-01-03 14:30Z, rebalance 14:35Z, end of day 21:15Z, refresh 21:30Z, signals 21:45Z",
    r"orders +BUY [\d,]+ AAPL LMT \d+\.\d\d DAY \(entry, #\d\)",
    r"risk +IBM clamped by max_weight: ",
    r"sizing +3 orders, [1-9] clamped, 0 refused",
    r"fills +BUY [\d,]+ \w+ at \d",
    r"reconcile +compared [1-9]\d* positions and \d+ orders? \(.*\): 0 differences",
]


def test_the_terminal_shows_a_day_and_ctrl_c_ends_it_in_order() -> None:
    """Every part of the day has its readable line, in order; SIGINT drains, summarises and ends with 0."""
    with running("--pace", "8") as process:
        lines = lines_until(process, r"reconcile +compared [1-9]")
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=PROCESS_SECONDS)
    place = 0
    for pattern in READS_LIKE_THIS:
        following = [n for n, line in enumerate(lines) if re.search(pattern, line)]
        assert following, f"no line reads {pattern}"
        place = max(place, following[0])
    assert max(map(len, lines)) < 200
    assert not [line for line in lines if "warning" in line or "error" in line]
    assert process.returncode == 0
    assert re.search(r"demo +drained", rest)
    assert re.search(r"^days +1$", rest, re.MULTILINE)
    assert re.search(r"^journal sha256 +[0-9a-f]{64}$", rest, re.MULTILINE)


PLAIN_CLIENT = (
    f"from {installed()} import IB"
    + """
import json, sys

ib = IB()
ib.connect("127.0.0.1", int(sys.argv[1]), clientId=9, timeout=20)
print("connected", flush=True)
for _ in sys.stdin:
    orders = {t.order.permId: [t.contract.symbol, t.order.action, t.order.totalQuantity] for t in ib.reqAllOpenOrders()}
    held = {p.contract.symbol: p.position for p in ib.reqPositions() if p.position}
    print(json.dumps({"orders": orders, "positions": held}), flush=True)
"""
)


def status_of(address: str) -> dict[str, Any]:
    """Live orders and positions as /status shows them, in the client's form."""
    with urllib.request.urlopen(address, timeout=10) as page:
        status = json.load(page)
    live = [order for order in status["orders"] if order["live"]]
    return {
        "orders": {
            str(order["perm_ids"][0]): [order["symbol"], order["side"], float(order["quantity"])]
            for order in live
            if order["perm_ids"]
        },
        "positions": {row["symbol"]: float(row["book"]) for row in status["positions"] if float(row["book"])},
    }


def test_an_unmodified_client_sees_the_same_orders_and_positions_in_mid_run() -> None:
    """A plain IB library in a process of its own, over TCP: what it is told is what /status shows at that moment."""
    with running("--pace", "90", "--port", "0") as process:
        lines = lines_until(process, r"look at http")
        port = found(r"other IB clients may connect to 127\.0\.0\.1:(\d+)", lines)
        address = found(r"look at (http://\S+/status)", lines)
        with subprocess.Popen(
            [sys.executable, "-c", PLAIN_CLIENT, port], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as client:
            assert client.stdin is not None and client.stdout is not None
            assert client.stdout.readline() == "connected\n"
            lines_until(process, r"Z  fills ")
            for _ in range(50):
                before = status_of(address)
                client.stdin.write("look\n")
                client.stdin.flush()
                seen = json.loads(client.stdout.readline())
                if before == status_of(address):
                    break
            else:
                pytest.fail("the account never stood still for as long as a look takes")
            client.stdin.close()
        assert seen == before
        assert seen["orders"] and seen["positions"]
