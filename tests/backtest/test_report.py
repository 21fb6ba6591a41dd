"""The figures of a report, by hand and by their definitions."""

from __future__ import annotations

import json
import math
from datetime import date

import pytest

from longwatch.backtest.engine import run
from longwatch.backtest.history import unadjusted
from longwatch.backtest.report import curve, report, table
from longwatch.data import demo
from tests.backtest.made import CALENDAR, FIRST, demo_settings


def test_the_figures_of_a_curve_by_hand() -> None:
    """100, 110, 99, 108.9 are returns of +10 %, -10 %, +10 %."""
    figures = curve([100.0, 110.0, 99.0, 108.9])
    mean, deviation = 0.1 / 3, math.sqrt(((0.1 - 0.1 / 3) ** 2 * 2 + (-0.1 - 0.1 / 3) ** 2) / 2)
    assert figures.total_return == pytest.approx(0.089)
    assert figures.cagr == pytest.approx(1.089**84 - 1)
    assert figures.volatility_a_year == pytest.approx(deviation * math.sqrt(252))
    assert figures.sharpe == pytest.approx(mean / deviation * math.sqrt(252))
    assert figures.max_drawdown == pytest.approx(-0.1)


def test_what_is_undefined_is_none_and_never_a_number() -> None:
    """One session has no deviation; a curve that never moves has no Sharpe."""
    assert curve([100.0, 110.0]).volatility_a_year is None
    assert curve([100.0, 100.0, 100.0]).sharpe is None
    assert curve([100.0, 0.0, 0.0]).cagr is None


def test_a_fall_from_the_first_day_counts_from_the_initial_capital() -> None:
    """The capital is the first peak."""
    assert curve([100.0, 80.0, 90.0]).max_drawdown == pytest.approx(-0.2)


def test_a_report_is_plain_json_and_a_table_says_the_same() -> None:
    """Money is text, and every figure of the table is in the object."""
    series = unadjusted({symbol: demo.load(symbol) for symbol in demo.symbols()})
    result = run(demo_settings(), series, CALENDAR, start=FIRST, end=date(2007, 3, 30))
    told = report(result, demo.load(demo.BENCHMARK))
    plain = json.loads(json.dumps(told.plain()))
    assert plain["final_equity"] == str(result.days[-1].equity.quantize(told.commissions))
    assert plain["trades"] == len(result.state.fills) == sum(plain["orders"].values())
    assert plain["benchmark"]["total_return"] == pytest.approx(1420.86 / 1418.30 - 1, abs=1e-4)
    lines = table(told).splitlines()
    assert lines[0].startswith("2007-01-03 to 2007-03-30, 61 sessions, from 1,000,000.00")
    assert any(line.startswith("final equity") and f"{told.final_equity:,.2f}" in line for line in lines)


def test_without_a_benchmark_over_the_same_sessions_there_is_none() -> None:
    """A benchmark that ends before is not stretched."""
    series = unadjusted({symbol: demo.load(symbol) for symbol in demo.symbols()})
    result = run(demo_settings(), series, CALENDAR, start=FIRST, end=date(2007, 1, 31))
    index = demo.load(demo.BENCHMARK)
    assert report(result, index.until(date(2007, 1, 30))).benchmark is None
    assert report(result).benchmark is None
