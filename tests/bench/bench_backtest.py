"""P8: backtest A with the daemon's own rules, against a minimal loop in numpy over the same prices.

Monthly 12-1 momentum, the top 5 of 20 by inverse volatility, 33 years of seeded synthetic days, filled at the next open
at 5 basis points against us.
"""

from __future__ import annotations

from array import array
from datetime import date
from decimal import Decimal
from functools import partial

import numpy as np
from numpy.typing import NDArray

from longwatch.backtest.engine import run
from longwatch.backtest.result import Result
from longwatch.config.schema import ExecutionSettings, RiskSettings, Settings, SizingSettings, StrategySettings
from longwatch.data.calendar import ExchangeCalendar
from longwatch.domain.bars import BarSeries, stamp_of
from longwatch.domain.sessions import Session
from tests.bench.figures import ROOT, seconds, start, tell

SYMBOLS = tuple(f"S{number:02d}" for number in range(20))
BEGIN, END = date(1990, 1, 2), date(2022, 12, 30)
LOOKBACK, SKIP, WINDOW, TOP = 252, 21, 63, 5
COST_BPS = 5
CAPITAL = 1_000_000
RUNS = 3
FLOOR_RUNS = 100

SETTINGS = Settings(
    initial_capital=Decimal(CAPITAL),
    execution=ExecutionSettings(order_type="MKT", max_position_size=Decimal(10_000_000)),
    sizing=SizingSettings(cash_reserve_fraction=Decimal("0.01"), no_trade_band_weight=Decimal("0.05")),
    risk=RiskSettings(
        max_weight=Decimal(1),
        max_order_value=Decimal(1_000_000_000_000),
        max_order_shares=Decimal(1_000_000_000),
        max_volume_fraction=None,
        price_band_fraction=Decimal("0.5"),
    ),
    strategies=(
        StrategySettings(
            name="momentum",
            path="longwatch.strategies.momentum:Momentum",
            parameters={
                "universe": list(SYMBOLS), "lookback": LOOKBACK, "skip": SKIP, "top": TOP,
                "volatility_window": WINDOW, "positive_only": False, "hold": "month",
            },
        ),
    ),
)  # fmt: skip


def main() -> None:
    """Ours, the floor, and the time from a shell's command to the result of the demo's six years."""
    calendar = ExchangeCalendar("XNYS", start=date(1989, 12, 1), end=date(2023, 3, 31))
    sessions = calendar.sessions(BEGIN, END)
    opens, closes = prices(len(sessions))
    series = {symbol: bars(symbol, sessions, opens[:, at], closes[:, at]) for at, symbol in enumerate(SYMBOLS)}
    first = sessions[LOOKBACK].date
    results: list[Result] = []

    def ours() -> None:
        result = run(SETTINGS, series, calendar, start=first, end=END, slippage_bps=Decimal(COST_BPS))
        results.append(result)

    runs = [seconds(ours) for _ in range(RUNS)]
    floor = [seconds(partial(floor_runs, sessions, opens, closes)) / FLOOR_RUNS for _ in range(RUNS)]
    equity, reference = float(results[0].days[-1].equity), minimal(sessions, opens, closes)
    days, orders = len(results[0].days), len(results[0].state.orders)
    tell(
        "P8 backtest A, 33 years, 20 symbols",
        runs,
        "s",
        peer="minimal loop in numpy",
        peer_runs=floor,
        goal="≤ 1/45 of backtrader (8.0 s on another day)",
        note=f"CPU seconds; {days / np.median(runs):,.0f} sessions/s, {orders} orders; equity {equity / reference:.4f} "
        "of the loop's, which has no lots, no commission and no reserve",
    )
    shell = [seconds(by_shell) for _ in range(RUNS)]
    note = "--csv-dir demo from 2007 on, table printed"
    tell("P8 shell command to result, demo's six years, daily", shell, "s", note=note)


def by_shell() -> None:
    """A whole `longwatch backtest` of the commented reference configuration."""
    arguments = ("-m", "longwatch.cli") if (ROOT / "daemon/longwatch/__main__.py").exists() else ("-c", COMMAND)
    child = start(*arguments, "backtest", "config/trading_config.yaml", "--csv-dir", "demo", "--start", "2007-01-03")
    child.communicate()
    if child.returncode:
        raise SystemExit(f"longwatch backtest ended with {child.returncode}")


COMMAND = "from longwatch.cli import main; main()"


def prices(days: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Opening and closing prices (days by symbols) of seeded random walks, to the cent."""
    generator = np.random.default_rng(8)
    drift, spread = generator.uniform(0.0001, 0.0006, len(SYMBOLS)), generator.uniform(0.008, 0.02, len(SYMBOLS))
    night = generator.normal(drift / 2, spread / 2, (days, len(SYMBOLS)))
    day = generator.normal(drift / 2, spread, (days, len(SYMBOLS)))
    closes = 50 * np.exp(np.cumsum(night + day, axis=0))
    opens = np.vstack([np.full((1, len(SYMBOLS)), 50.0), closes[:-1]]) * np.exp(night)
    return np.round(opens, 2), np.round(closes, 2)


def bars(symbol: str, sessions: list[Session], opens: NDArray[np.float64], closes: NDArray[np.float64]) -> BarSeries:
    """One symbol's column as the bars a provider gives."""
    return BarSeries(
        symbol=symbol,
        bar_size="1 day",
        stamps=array("q", [stamp_of(session.date) for session in sessions]),
        open=array("d", opens),
        high=array("d", np.maximum(opens, closes)),
        low=array("d", np.minimum(opens, closes)),
        close=array("d", closes),
        volume=array("d", [1e6]) * len(sessions),
        adjusted=array("d", closes),
    )


def floor_runs(sessions: list[Session], opens: NDArray[np.float64], closes: NDArray[np.float64]) -> None:
    """As often as a clock of ten milliseconds needs."""
    for _ in range(FLOOR_RUNS):
        minimal(sessions, opens, closes)


def minimal(sessions: list[Session], opens: NDArray[np.float64], closes: NDArray[np.float64]) -> float:
    """The same idea in as few steps as numpy allows: the equity at the end."""
    cash, held = float(CAPITAL), np.zeros(len(SYMBOLS))
    months = [session.date.month for session in sessions]
    for day in range(LOOKBACK, len(sessions)):
        if months[day - 1] != months[day - 2] or day == LOOKBACK:
            known = closes[:day]
            momentum = known[-1 - SKIP] / known[-1 - LOOKBACK] - 1 if day > LOOKBACK else known[-1] / known[0] - 1
            best = np.argsort(-momentum)[:TOP]
            recent = known[-1 - WINDOW :, best]
            inverse = 1 / np.std(recent[1:] / recent[:-1] - 1, axis=0, ddof=1)
            target = np.zeros(len(SYMBOLS))
            target[best] = inverse / inverse.sum() * (cash + held @ known[-1]) / known[-1, best]
            traded = target - held
            cash -= float(traded @ opens[day] + np.abs(traded) @ opens[day] * COST_BPS / 10_000)
            held = target
    return cash + float(held @ closes[-1])


if __name__ == "__main__":
    main()
