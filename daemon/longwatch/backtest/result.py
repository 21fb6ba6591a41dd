"""What a backtest came to; made by engine.py, told by report.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from longwatch.domain.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One session's end, in money: equity and exposure (absolute values) at the close, and what was traded in it."""

    session: date
    equity: Decimal
    exposure: Decimal
    traded: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a run came to; `state` is the daemon's at the end, `alerts` counts those it would have raised, by key."""

    days: tuple[Day, ...]
    initial: Decimal
    state: State
    alerts: Mapping[str, int]
