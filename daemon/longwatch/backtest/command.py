"""`longwatch backtest`: a configuration and a directory of prices in, a table or one JSON object out."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from longwatch.backtest.copied import copy_from
from longwatch.backtest.engine import run
from longwatch.backtest.history import directory_of, read_all, split_adjusted, unadjusted
from longwatch.backtest.inputs import strategies_of, universe_of
from longwatch.backtest.report import report, table
from longwatch.config.load import load
from longwatch.config.schema import Settings
from longwatch.data import demo
from longwatch.data.calendar import AlwaysOpen, ExchangeCalendar
from longwatch.domain.bars import BarSeries, session_of
from longwatch.errors import UsageError
from longwatch.ports import Calendar

ALWAYS_OPEN = "24/7"
GC_THRESHOLD = 50_000
"""Objects between two young collections: a run makes many that live to its end, and next to no cycles."""


def backtest(
    file: Path,
    *,
    start: date | None = None,
    end: date | None = None,
    as_json: bool = False,
    csv_dir: Path | None = None,
    fills_from: Path | None = None,
) -> int:
    """Run and print. Raises ConfigError, DataError, StrategyError, JournalError, UsageError, each one sentence."""
    loaded = load(file, os.environ)
    settings, folder = loaded.settings, file.resolve().parent
    for warning in loaded.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    strategies = strategies_of(settings, folder)
    series, reasons = read_all(directory_of(csv_dir or settings.data.csv_dir), universe_of(strategies))
    for reason in reasons.values():
        print(f"warning: {reason}", file=sys.stderr)
    series = {symbol: split_adjusted(one) for symbol, one in series.items()}
    if settings.data_provider == "ib":
        series = unadjusted(series)
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 20, 50)
    first, last = span(series, max(one.loaded.needs.lookback for one in strategies), start, end)
    result = run(
        settings,
        series,
        calendar_of(settings),
        start=first,
        end=last,
        fills_from=copy_from(fills_from) if fills_from else None,
        folder=folder,
    )
    told = report(result, demo.load(demo.BENCHMARK))
    print(json.dumps(told.plain(), indent=2) if as_json else table(told))
    return 0


def span(series: Mapping[str, BarSeries], lookback: int, start: date | None, end: date | None) -> tuple[date, date]:
    """The first and last session traded: as asked, else from where a decision has all its bars to where bars end.

    Raises UsageError when the data don't reach there.
    """
    oldest = min(series.values(), key=lambda one: one.stamps[0])
    first, ready = session_of(oldest.stamps[0]), session_of(oldest.stamps[min(lookback, len(oldest)) - 1])
    last = session_of(max(one.stamps[-1] for one in series.values()))
    begin, finish = max(start or ready, first), min(end or last, last)
    if begin > finish:
        asked = f"{start or ready} to {end or last}"
        raise UsageError(f"the data reach from {first} to {last}, not from {asked}; choose other dates")
    return begin, finish


def calendar_of(settings: Settings) -> Calendar:
    """The sessions the configuration names."""
    return AlwaysOpen() if settings.calendar == ALWAYS_OPEN else ExchangeCalendar(settings.calendar)
