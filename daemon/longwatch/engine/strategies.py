"""Asks each enabled strategy, once at the start, what it needs; called by the composition root."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from longwatch.config.schema import Settings
from longwatch.engine.desk import StrategyTask
from longwatch.errors import StrategyError
from longwatch.strategies.host import Host
from longwatch.strategies.worker import Code

NEEDS_SECONDS = 30.0


async def strategy_tasks(
    settings: Settings, host: Host, folder: Path | None, failed: Callable[[str, str], None]
) -> tuple[StrategyTask, ...]:
    """What each enabled strategy needs; of one that can't be loaded `failed` is told name and reason, the others go on.

    A strategy's relative path starts at `folder`.
    """
    tasks = []
    for strategy in settings.strategies:
        if not strategy.enabled:
            continue
        code = Code(name=strategy.name, reference=strategy.path, parameters=strategy.parameters, folder=folder)
        try:
            needs, _ = await host.needs(code, deadline_seconds=NEEDS_SECONDS)
        except StrategyError as error:
            failed(strategy.name, str(error))
            continue
        tasks.append(
            StrategyTask(name=strategy.name, code=code, needs=needs, deadline_seconds=strategy.deadline_seconds)
        )
    return tuple(tasks)


def universes_of(tasks: tuple[StrategyTask, ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The symbols that each strategy asks for, by its name."""
    return tuple((task.name, tuple(task.needs.universe)) for task in tasks)


def universe_of(tasks: tuple[StrategyTask, ...]) -> tuple[str, ...]:
    """Every symbol that some strategy asks for, in order."""
    return tuple(sorted({symbol for task in tasks for symbol in task.needs.universe}))
