"""The figures of a backtest and their formulas, as an object and as a table; called by backtest/command.py.

With E the equity at each session's close, E(0) the initial capital, n sessions and 252 sessions a year:

    return r(t)      E(t) / E(t-1) - 1
    CAGR             (E(n) / E(0)) ^ (252 / n) - 1
    volatility       sample standard deviation of r, times sqrt(252)
    Sharpe           mean of r / sample standard deviation of r, times sqrt(252); no interest is deducted
    drawdown         E(t) / highest E up to t - 1; the greatest is shown
    turnover         money traded a year, bought and sold alike, by the mean of E
    exposure         mean of (sum of absolute positions / E) at the closes
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise

from longwatch.backtest.result import Result
from longwatch.domain.bars import BarSeries, session_of

SESSIONS_A_YEAR = 252


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What can be said of any equity curve; fractions, a year's where the name says so, None where undefined."""

    total_return: float
    cagr: float | None
    volatility_a_year: float | None
    sharpe: float | None
    max_drawdown: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A run in figures; money in the base currency."""

    start: date
    end: date
    sessions: int
    initial_capital: Decimal
    final_equity: Decimal
    strategy: Curve
    turnover_a_year: float
    mean_exposure: float
    orders: dict[str, int]
    trades: int
    refused: int
    clamped: int
    commissions: Decimal
    benchmark: Curve | None

    def plain(self) -> dict[str, object]:
        """The same as JSON-able values: money and dates as text."""
        return {name: _plain(value) for name, value in asdict(self).items()}


def report(result: Result, benchmark: BarSeries | None = None) -> Report:
    """The figures of a run; `benchmark` is held over the same sessions, and left out where it does not cover them."""
    state, days = result.state, result.days
    equities = [float(result.initial), *(float(day.equity) for day in days)]
    mean_equity = sum(equities[1:]) / len(days)
    years = len(days) / SESSIONS_A_YEAR
    counts = state.counts
    return Report(
        start=days[0].session,
        end=days[-1].session,
        sessions=len(days),
        initial_capital=result.initial,
        final_equity=days[-1].equity.quantize(Decimal("0.01")),
        strategy=curve(equities),
        turnover_a_year=float(sum(day.traded for day in days)) / years / mean_equity,
        mean_exposure=sum(float(day.exposure) / float(day.equity) for day in days) / len(days),
        orders=_outcomes(result),
        trades=len(state.fills),
        refused=sum(count for name, count in counts.items() if name.startswith("refused:")),
        clamped=sum(count for name, count in counts.items() if name.startswith("clamped:")),
        commissions=sum(state.commissions.values(), Decimal(0)),
        benchmark=_benchmark(benchmark, [day.session for day in days]),
    )


def curve(values: Sequence[float]) -> Curve:
    """The figures of an equity curve that begins with the initial capital; formulas above."""
    returns = [after / before - 1 if before else 0.0 for before, after in pairwise(values)]
    total, sessions = values[-1] / values[0], len(returns)
    deviation = _deviation(returns)
    return Curve(
        total_return=total - 1,
        cagr=total ** (SESSIONS_A_YEAR / sessions) - 1 if sessions and total > 0 else None,
        volatility_a_year=None if deviation is None else deviation * math.sqrt(SESSIONS_A_YEAR),
        sharpe=(math.fsum(returns) / sessions / deviation * math.sqrt(SESSIONS_A_YEAR)) if deviation else None,
        max_drawdown=_drawdown(values),
    )


def table(report: Report) -> str:
    """The report for a person, one line a figure, the benchmark beside it."""
    other = report.benchmark
    rows = [
        ("", "strategy", "S&P 500" if other else ""),
        ("total return", *_both(report, "total_return", _percent)),
        ("CAGR", *_both(report, "cagr", _percent)),
        ("volatility a year", *_both(report, "volatility_a_year", _percent)),
        ("Sharpe (252, no interest)", *_both(report, "sharpe", _number)),
        ("greatest drawdown", *_both(report, "max_drawdown", _percent)),
        ("turnover a year", _number(report.turnover_a_year), ""),
        ("mean exposure", _percent(report.mean_exposure), ""),
        ("trades", f"{report.trades:,}", ""),
        ("trades refused / clamped", f"{report.refused:,} / {report.clamped:,}", ""),
        ("commissions", f"{report.commissions:,.2f}", ""),
        ("final equity", f"{report.final_equity:,.2f}", ""),
    ]
    head = f"{report.start} to {report.end}, {report.sessions:,} sessions, from {report.initial_capital:,.2f}"
    return "\n".join([head, *(f"{name:<26}{ours:>16}{theirs:>12}".rstrip() for name, ours, theirs in rows)])


def _outcomes(result: Result) -> dict[str, int]:
    outcomes: dict[str, int] = {}
    for order in result.state.orders.values():
        outcomes[order.state.value] = outcomes.get(order.state.value, 0) + 1
    return dict(sorted(outcomes.items()))


def _benchmark(series: BarSeries | None, sessions: Sequence[date]) -> Curve | None:
    """Bought at the close before the first session, held to the last."""
    if series is None:
        return None
    closes = dict(zip((session_of(stamp) for stamp in series.stamps), series.adjusted, strict=True))
    before = [day for day in closes if day < sessions[0]]
    if not before or any(day not in closes for day in sessions):
        return None
    return curve([closes[max(before)], *(closes[day] for day in sessions)])


def _deviation(returns: Sequence[float]) -> float | None:
    if len(returns) < 2:
        return None
    mean = math.fsum(returns) / len(returns)
    return math.sqrt(math.fsum((one - mean) ** 2 for one in returns) / (len(returns) - 1))


def _drawdown(values: Sequence[float]) -> float:
    highest, deepest = values[0], 0.0
    for value in values:
        highest = max(highest, value)
        deepest = min(deepest, value / highest - 1)
    return deepest


def _both(report: Report, name: str, shown: Callable[[float | None], str]) -> tuple[str, str]:
    other = report.benchmark
    return shown(getattr(report.strategy, name)), shown(getattr(other, name)) if other else ""


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.2%}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _plain(value: object) -> object:
    match value:
        case Decimal() | date():
            return str(value)
        case dict():
            return {name: _plain(inner) for name, inner in value.items()}
        case _:
            return value
