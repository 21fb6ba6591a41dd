"""`make bench`: every bench, one after the other, as a table on the terminal and in docs/performance.md.

Names of benches given as arguments (`fold start`) run these alone; the rows of the others stay as they were. A bench
that ran to its end replaces all its rows, whatever they were called; rows of a bench that is no more go.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

from tests.bench.figures import ENVIRONMENT, ROOT

HERE = Path(__file__).parent
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- figures: written by `make bench` -->", "<!-- end of figures -->"
COLUMNS = ("figure", "ours", "spread", "compared with", "its figure", "ours / its", "goal", "note", "bench")
HEAD = "| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|"
LONGEST_SECONDS = 300

Line = dict[str, Any]


def main() -> int:
    """Run the benches; 1 when one of them failed."""
    wanted = sys.argv[1:] or benches()
    failed, lines = [], []
    for name in wanted:
        print(f"── {name}", flush=True)
        found = measured(name)
        failed += [] if found else [name]
        lines += found
        for line in found:
            print(f"   {text_of(line)}", flush=True)
    if lines:
        PAGE.write_text(written(PAGE.read_text(), lines, benches()))
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def benches() -> list[str]:
    """The names of all benches there are."""
    return sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))


def measured(name: str) -> list[Line]:
    """The figures of one bench, in a process of its own; none when it failed."""
    path = os.pathsep.join([str(ROOT / "daemon"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    try:
        child = subprocess.run(
            [sys.executable, "-m", f"tests.bench.bench_{name}"],
            cwd=ROOT,
            env={**ENVIRONMENT, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            text=True,
            timeout=LONGEST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return []
    if child.returncode:
        return []
    return [{**json.loads(line), "bench": name} for line in child.stdout.splitlines() if line.startswith("{")]


def text_of(line: Line) -> str:
    """A figure for the terminal."""
    compared = f", {line['ratio']} × {line['peer']}" if line.get("ratio") is not None else ""
    return f"{line['name']}: {shown(line['value'])} {line['unit']}{compared}"


def row_of(line: Line) -> str:
    """A figure as a row of the page's table."""
    unit, peer = line["unit"], line.get("peer_value")
    cells = (
        line["name"],
        f"{shown(line['value'])} {unit}",
        between(line.get("spread")),
        line.get("peer") or "",
        "" if peer is None else f"{shown(peer)} {unit} ({between(line.get('peer_spread'))})",
        "" if line.get("ratio") is None else shown(line["ratio"]),
        line.get("goal") or "",
        line.get("note") or "",
        line["bench"],
    )
    return "| " + " | ".join(str(cell).replace("|", "/") for cell in cells) + " |"


def between(spread: list[float] | None) -> str:
    return f"{shown(spread[0])} – {shown(spread[1])}" if spread else ""


def shown(value: float) -> str:
    """Thousands apart, and no digits beyond the fourth."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def written(page: str, lines: list[Line], known: Collection[str]) -> str:
    """The page with these figures in the place of all rows of the same benches, in order of name.

    `known` are the benches there are; rows of others are left out.
    """
    before, _, rest = page.partition(BEGIN)
    table, _, after = rest.partition(END)
    kept = set(known) - {line["bench"] for line in lines}
    rows = [row for row in table.splitlines() if row.startswith("| ") and bench_of(row) in kept]
    ordered = sorted([*rows, *map(row_of, lines)], key=place_of)
    machine = f"CPython {platform.python_version()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    return "\n".join([f"{before}{BEGIN}", f"Last written on {machine}.", "", HEAD, *ordered, END]) + after


def bench_of(row: str) -> str:
    """The bench that printed a row: its last cell."""
    return row.rstrip("| ").rpartition("| ")[2]


def place_of(row: str) -> tuple[int, str]:
    """P2 before P13, and what is no promise last."""
    name = row.removeprefix("| ").partition(" | ")[0]
    found = re.match(r"P(\d+)", name)
    return (int(found[1]) if found else 1000, name)


if __name__ == "__main__":
    raise SystemExit(main())
