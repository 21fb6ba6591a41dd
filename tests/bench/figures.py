"""What every bench prints: one JSON line a figure, the median of its runs with their spread."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# An installed program has its byte code: children find theirs here, whatever this process was told about writing it.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {
    "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "longwatch-bench-bytecode")
}

TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")


def tell(
    name: str,
    runs: Sequence[float],
    unit: str,
    *,
    peer: str = "",
    peer_runs: Sequence[float] = (),
    goal: str = "",
    note: str = "",
) -> None:
    """Print one figure; `ratio` is ours by the peer's, medians of both."""
    value = statistics.median(runs)
    theirs = statistics.median(peer_runs) if peer_runs else None
    line = {
        "name": name,
        "value": rounded(value),
        "unit": unit,
        "spread": [rounded(min(runs)), rounded(max(runs))],
        "runs": len(runs),
        "peer": peer,
        "peer_value": rounded(theirs) if theirs is not None else None,
        "peer_spread": [rounded(min(peer_runs)), rounded(max(peer_runs))] if peer_runs else None,
        "ratio": rounded(value / theirs) if theirs else None,
        "goal": goal,
        "note": note,
    }
    print(json.dumps(line), flush=True)


def rounded(value: float) -> float:
    """Four significant digits."""
    return float(f"{value:.4g}")


def quantile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all values do not pass."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def seconds(work: Callable[[], object]) -> float:
    """Seconds of CPU that `work` takes, here and in processes it waits for; who else is busy doesn't count."""
    began = sum(os.times()[:4])
    work()
    return max(sum(os.times()[:4]) - began, TICK_SECONDS)


def child(*arguments: str, python: Path = Path(sys.executable)) -> dict[str, float]:
    """What a process of its own prints, one line of JSON."""
    environ = {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join((str(ROOT / "daemon"), str(ROOT)))}
    ended = subprocess.run([python, *arguments], cwd=ROOT, env=environ, stdout=subprocess.PIPE, check=True)
    found: dict[str, float] = json.loads(ended.stdout)
    return found


def start(*arguments: str) -> subprocess.Popen[str]:
    """A child process of this interpreter at the project's root, its pipes as text."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=ENVIRONMENT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
