"""What a simulated daemon has of its own: the ports that the page of design lists, and no other."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import UTC, date, datetime
from inspect import isfunction
from pathlib import Path
from random import Random

from longwatch.app import Ports
from longwatch.config.load import demo_path, load
from longwatch.gateway.market.synthetic import synthetic_market
from longwatch.simulation.bench import Bench
from longwatch.simulation.loop import JumpLoop, run

ROW = re.compile(r"^ *\| `(\w+)` \| `(\w+)` \| `(\w+)` \|$", re.MULTILINE)
REPLACED = {"clock", "journal", "workers", "host", "calendar", "watches_lag"}
"""Of `calendar` the class is the same where the settings name an exchange; the bench does not ask them."""


def listed(root: Path) -> dict[str, tuple[str, str]]:
    """Port, and what it is in production and simulated."""
    return {port: (real, simulated) for port, real, simulated in ROW.findall((root / "docs/design.md").read_text())}


def test_the_page_lists_every_port_and_which_of_them_are_replaced(root: Path) -> None:
    rows = listed(root)
    assert list(rows) == [field.name for field in fields(Ports)]
    assert {port for port, (real, simulated) in rows.items() if real != simulated} == REPLACED


def test_the_bench_has_what_the_page_says(root: Path, tmp_path: Path) -> None:
    async def ports() -> Ports:
        market, starts = synthetic_market(seed=1, first=date(2019, 12, 1)), datetime(2020, 1, 6, 12, tzinfo=UTC)
        loaded = load(demo_path(), {})
        bench = Bench(loaded=loaded, market=market, market_starts=starts, folder=tmp_path, loop=loop)
        made = bench._ports(Random(1))
        await made.journal.close()
        await bench.close()
        return made

    loop = JumpLoop()
    made = run(ports(), loop=loop)
    assert {field.name: name_of(getattr(made, field.name)) for field in fields(Ports)} == {
        port: simulated for port, (_, simulated) in listed(root).items()
    }


def test_production_has_what_the_page_says(root: Path) -> None:
    """Each name stands in the module that composes it, but for the port that is left as it is by default."""
    composed = (root / "daemon/longwatch/production.py").read_text()
    named = {port: real for port, (real, _) in listed(root).items() if port != "watches_lag"}
    assert [port for port, real in named.items() if not re.search(rf"\b{real}[(.,]", composed)] == []
    assert "watches_lag" not in composed and Ports.__dataclass_fields__["watches_lag"].default is True


def name_of(port: object) -> str:
    if isinstance(port, bool):
        return str(port)
    return port.__name__ if isfunction(port) else type(port).__name__
