"""Makes what of market data a configuration names; called by app when the daemon is built, and by backtests."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from random import Random

from longwatch.config.schema import DataSettings
from longwatch.data.csv import CsvProvider
from longwatch.data.ib import History, IbProvider
from longwatch.data.statistics import Windows
from longwatch.errors import ConfigError
from longwatch.ports import Provider, Workers

NAMES = ("csv", "ib")


def provider(
    name: str,
    *,
    deadline_seconds: float,
    csv_dir: Path | None = None,
    workers: Workers | None = None,
    history: History | None = None,
    random: Random | None = None,
) -> Provider:
    """The provider called `name`: "csv" needs `csv_dir` and `workers`, "ib" needs `history` and a seeded `random`.

    `deadline_seconds` bounds the answer for one symbol. Raises ConfigError for another name or a missing part.
    """
    match name:
        case "csv":
            if csv_dir is None or workers is None:
                raise ConfigError("data_provider 'csv' needs a directory of files; set trading.data.csv_dir")
            return CsvProvider(csv_dir, workers=workers, deadline_seconds=deadline_seconds)
        case "ib":
            if history is None or random is None:
                raise ConfigError("data_provider 'ib' needs a broker; set an executor that has one, or use 'csv'")
            return IbProvider(history, random=random, deadline_seconds=deadline_seconds)
        case "yahoo":
            raise ConfigError("data_provider 'yahoo' is not in this version; use 'csv' or 'ib'")
        case _:
            nearest = get_close_matches(name, NAMES, n=1, cutoff=0.0)[0]
            raise ConfigError(f"data_provider '{name}' is not known; did you mean '{nearest}'?")


def windows_of(settings: DataSettings) -> Windows:
    """How far back the figures of bars look."""
    return Windows(
        half_life=settings.volatility_half_life_sessions, atr=settings.atr_sessions, volume=settings.volume_sessions
    )
