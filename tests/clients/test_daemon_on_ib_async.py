"""The daemon on ib_async instead of ib_insync, in an environment that holds it alone."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.clients.environments import ROOT, daemon_python

IS_PROOF = os.environ.get("HYPOTHESIS_PROFILE") == "proof"

# Everything that touches the broker: all of it in `make proof`, else what shows most in a minute.
WHOLE = (
    "tests/broker",
    "tests/daemon",
    "tests/data",
    "tests/engine",
    "tests/ops",
    "tests/process",
    "tests/scenarios",
    "tests/simulation",
    "tests/wire",
)
SHORT = (
    "tests/broker tests/wire/test_against_the_ib_library.py tests/data/test_ib.py",
    "tests/daemon/test_holdings.py tests/daemon/test_trouble.py",
    "tests/simulation/test_clock_guard.py tests/simulation/test_memory_transport.py",
)
DEMO = (
    "-c",
    "from longwatch.cli import main; main()",
    "demo",
    "--days",
    "2",
    "--pace",
    "0",
    "--json",
    "--http-port",
    "0",
)
NOT_RECORDED = (
    "no recorded messages beside the repository",
    "the recorded reference messages are not beside this tree",
)
SECONDS = 3000 if IS_PROOF else 300
"""Many times what a machine at rest needs."""


@pytest.mark.timeout(SECONDS + 20)
@pytest.mark.parametrize("part", WHOLE if IS_PROOF else SHORT)
async def test_the_daemon_s_own_tests_pass_on_it(part: str) -> None:
    """The same tests, none left out but for want of recordings or of the library that is not there."""
    python = await asyncio.to_thread(daemon_python)
    printed = await ran(python, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "-p", "no:xdist", *part.split())
    skipped = [line for line in printed.splitlines() if line.startswith("SKIPPED")]
    assert " passed" in printed.splitlines()[-1]
    assert [line for line in skipped if not any(reason in line for reason in NOT_RECORDED)] == []


@pytest.mark.timeout(SECONDS + 20)
async def test_a_demo_on_either_library_is_the_same_to_the_last_record() -> None:
    """Same seed, same decisions, orders and fills, and so the same journal, whichever library reads the bytes."""
    python = await asyncio.to_thread(daemon_python)
    ours, its = await asyncio.gather(summary_of(Path(sys.executable)), summary_of(python))
    assert ours["fills"] > 0
    assert its == ours


async def summary_of(python: Path) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((await ran(python, *DEMO)).splitlines()[-1])
    return summary


async def ran(python: Path, *arguments: str) -> str:
    """What a run of this environment prints. Fails when it ends otherwise than well."""
    pipe = asyncio.subprocess.PIPE
    # A worker of the outer run tells its children so in the environment.
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "HYPOTHESIS_"))}
    process = await asyncio.create_subprocess_exec(
        str(python), *arguments, stdout=pipe, stderr=pipe, cwd=ROOT, env=environ
    )
    try:
        async with asyncio.timeout(SECONDS):
            printed, complaints = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == 0, (printed + complaints).decode()[-3000:]
    return printed.decode()
