"""What a backtest works on: the strategies of a configuration, and the history they see; used by engine.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from longwatch.backtest.copied import Copied, CopyingExchange
from longwatch.backtest.history import History
from longwatch.backtest.timeline import Timeline
from longwatch.broker.exchange import MockExchange
from longwatch.config.schema import Settings
from longwatch.data.factory import windows_of
from longwatch.data.validation import Rules
from longwatch.domain.bars import BarSeries
from longwatch.errors import ConfigError
from longwatch.strategies.source import Loaded
from longwatch.strategies.worker import Code, checked_load


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """One enabled strategy, loaded."""

    name: str
    code: Code
    loaded: Loaded


def strategies_of(settings: Settings, folder: Path | None) -> tuple[Strategy, ...]:
    """Every enabled strategy, loaded. Raises StrategyError when one can't be, ConfigError when there is none."""
    enabled = [one for one in settings.strategies if one.enabled]
    codes = [Code(name=s.name, reference=s.path, parameters=s.parameters, folder=folder) for s in enabled]
    found = tuple(Strategy(name=code.name, code=code, loaded=checked_load(code)) for code in codes)
    if not found:
        raise ConfigError("trading.strategies: no strategy is enabled; enable one")
    return found


def universe_of(strategies: Sequence[Strategy]) -> tuple[str, ...]:
    """Every symbol that any strategy asks for, in order."""
    return tuple(sorted({symbol for one in strategies for symbol in one.loaded.needs.universe}))


def histories_of(
    settings: Settings, series: Mapping[str, BarSeries], timeline: Timeline, strategies: Sequence[Strategy]
) -> dict[str, History]:
    """Every series as a refresh asks for it: as long as the settings or the longest lookback say."""
    wanted: dict[str, int] = {}
    for needs in (one.loaded.needs for one in strategies):
        for symbol in needs.universe:
            wanted[symbol] = max(wanted.get(symbol, settings.data.history_bars), needs.lookback + 1)
    rules = Rules(stale_sessions=settings.data.stale_sessions, source_adjusts=settings.data_provider == "ib")
    windows = windows_of(settings.data)
    return {
        symbol: History(series[symbol], timeline.known, count=count, rules=rules, windows=windows)
        for symbol, count in wanted.items()
        if symbol in series and len(series[symbol])
    }


def exchange_of(settings: Settings, copied: Copied, slippage_bps: Decimal) -> MockExchange:
    """The account at its beginning, on an exchange of its own or one that fills as another run's did."""
    cash, account, client_id = settings.initial_capital, settings.account or "MOCK", settings.ib.client_id
    if copied.fills:
        return CopyingExchange(copied, cash=cash, account=account, client_id=client_id)
    return MockExchange(cash=cash, account=account, client_id=client_id, slippage_bps=slippage_bps)
