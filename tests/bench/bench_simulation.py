"""P13: trading days a second of the whole daemon in simulation, 20 symbols rebalanced daily, and of the demo."""

from __future__ import annotations

import asyncio
import json
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from time import process_time

from longwatch.config.load import Loaded, demo_path, load
from longwatch.data.calendar import ExchangeCalendar
from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.domain.sessions import Session
from longwatch.gateway.hours import ListedHours
from longwatch.gateway.market import Instrument, Market, Replay
from longwatch.gateway.path import DayBar
from longwatch.simulation.bench import Bench
from longwatch.simulation.loop import JumpLoop, run
from tests.bench.figures import tell

DAYS = 20
RUNS = 3
SYMBOLS = tuple(f"S{number:02d}" for number in range(20))
HISTORY = 200
GOAL = "≥ 30 calm (first figure)"


def main() -> None:
    """Seconds of this process' own CPU: the daemon, its gateway and the network in memory, on one core."""
    logging.disable(logging.CRITICAL)
    sessions = ExchangeCalendar().sessions(date(2007, 1, 3), date(2008, 6, 30))
    outcomes = [simulated(sessions) for _ in range(RUNS)]
    orders = outcomes[0][1]
    tell(
        "P13 whole-daemon simulation, 20 symbols",
        [DAYS / took for took, _ in outcomes],
        "days/s",
        goal=GOAL,
        note=f"{DAYS} days from process start on, {orders} orders; nobody else has one to compare with",
    )


def simulated(sessions: Sequence[Session]) -> tuple[float, int]:
    """CPU seconds of one run, and its orders; the same seed each time."""
    with tempfile.TemporaryDirectory() as place:
        loop = JumpLoop()
        began = process_time()
        orders = run(play(loop, Path(place), sessions), loop=loop)
        return process_time() - began, orders


async def play(loop: JumpLoop, folder: Path, sessions: Sequence[Session]) -> int:
    """Twenty days of a daemon beside its gateway."""
    first = sessions[HISTORY]
    bench = Bench(
        loaded=_loaded(folder),
        market=market(sessions),
        market_starts=first.open_at - timedelta(hours=1),
        folder=folder,
        loop=loop,
    )
    orders = 0

    def heard(event: m.Event, what: Step) -> None:
        nonlocal orders
        orders += sum(isinstance(fact, m.OrderIntended) for fact in what.facts)

    daemon = bench.daemon(heard, serves_http=False)

    async def stop() -> None:
        until: datetime = sessions[HISTORY + DAYS - 1].close_at + timedelta(hours=1)
        await asyncio.sleep(bench.clock.seconds_until(until))
        daemon.stop()

    ending = asyncio.create_task(stop(), name="bench-end")
    try:
        await bench.run(daemon)
    finally:
        ending.cancel()
        await bench.close()
    return orders


def market(sessions: Sequence[Session]) -> Market:
    """Twenty seeded random walks in New York's sessions."""
    sources = [Replay(Instrument(con_id=1000 + at, symbol=one), _days(one, sessions)) for at, one in enumerate(SYMBOLS)]
    return Market(sources, ListedHours(sessions), seed=1, path_points=26)


def _days(symbol: str, sessions: Sequence[Session]) -> list[DayBar]:
    walk, price, days = Random(f"bench|{symbol}"), 100.0, []
    for session in sessions:
        opened, price = price, round(price * (1 + walk.gauss(0.0004, 0.012)), 2)
        days.append(
            DayBar(
                date=session.date,
                open_at=session.open_at,
                close_at=session.close_at,
                open=opened,
                high=max(opened, price) + 0.1,
                low=min(opened, price) - 0.1,
                close=price,
                volume=2e6,
            )
        )
    return days


def _loaded(folder: Path) -> Loaded:
    """The demo's settings with twenty symbols, ten of them held."""
    loaded = load(demo_path(), {})
    settings = loaded.settings
    (momentum,) = settings.strategies
    parameters = {**momentum.parameters, "universe": list(SYMBOLS), "top": 10}
    changed = settings.model_copy(
        update={
            "strategies": (momentum.model_copy(update={"parameters": json.loads(json.dumps(parameters))}),),
            "data": settings.data.model_copy(update={"cache_dir": folder / "cache"}),
            "execution": settings.execution.model_copy(update={"min_order_value": Decimal(0)}),
        }
    )
    return replace(loaded, settings=changed)


if __name__ == "__main__":
    main()
