"""The backtest and the demo are one code path: same orders on the same fills, and a change in sizing changes both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TypeGuard

import pytest

from longwatch.backtest.copied import copy_from
from longwatch.backtest.engine import Observe, run
from longwatch.backtest.history import unadjusted
from longwatch.backtest.result import Result
from longwatch.config.load import demo_path, load
from longwatch.data import demo as history
from longwatch.domain import messages as m
from longwatch.domain.instruments import to_lot
from longwatch.domain.portfolio import sizing
from longwatch.domain.state import State
from longwatch.journal.codec import facts_of, recover
from longwatch.journal.reading import read_records
from longwatch.simulation.demo import demo
from tests.backtest.made import CALENDAR, FIRST, Heard, demo_settings, orders_of

DAYS = 20


def demo_run(folder: Path) -> State:
    """The daemon's state after twenty days of the demo, folded from its journal."""
    demo(days=DAYS, pace_seconds=0.0, http_port=0, as_json=True, keep=folder)
    return recover(read_records(folder / "journal.sqlite"))


def backtest_of(folder: Path, observe: Observe = lambda event, what: None) -> Result:
    """The same days by the backtest, filling as the demo did."""
    series = unadjusted({symbol: history.load(symbol) for symbol in history.symbols()})
    end = CALENDAR.sessions(FIRST, history.LAST_SESSION)[DAYS - 1].date
    copied = copy_from(folder / "journal.sqlite")
    return run(demo_settings(), series, CALENDAR, start=FIRST, end=end, fills_from=copied, observe=observe)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, State]:
    """The demo's journal and what it comes to."""
    folder = tmp_path_factory.mktemp("demo")
    return folder, demo_run(folder)


def test_with_the_demos_fills_copied_twenty_days_give_identical_orders(kept: tuple[Path, State]) -> None:
    """Symbol, side, quantity, outcome and shares filled of every order agree, partial fills and expiries too."""
    folder, daemon = kept
    result = backtest_of(folder)
    assert len(orders_of(daemon)) > DAYS
    assert orders_of(result.state) == orders_of(daemon)


def test_with_the_demos_fills_copied_the_account_agrees_to_the_cent(kept: tuple[Path, State]) -> None:
    """What the gateway says the account is worth is what the backtest values it at."""
    folder, daemon = kept
    result = backtest_of(folder)
    assert daemon.valued is not None
    assert result.days[-1].equity.quantize(Decimal("0.01")) == daemon.valued.net_liquidation
    held = {one.symbol: one.quantity for one in result.state.book.values() if one.quantity}
    assert held == {one.symbol: one.quantity for one in daemon.book.values() if one.quantity}


def test_the_figures_of_bars_are_the_same_in_both(kept: tuple[Path, State]) -> None:
    """Close, volatility, range and volume, to the last digit, though one measures a window and the other all days."""
    folder, _ = kept
    theirs = {fact.session: fact for fact in facts_of(read_records(folder / "journal.sqlite")) if _is_verdict(fact)}
    heard = Heard()
    backtest_of(folder, heard)
    ours = {fact.session: fact for fact in heard.facts if _is_verdict(fact)}
    assert len(ours.keys() & theirs.keys()) >= DAYS - 1
    for session in ours.keys() & theirs.keys():
        assert {row.symbol: figures(row) for row in ours[session].judged} == {
            row.symbol: figures(row) for row in theirs[session].judged
        }
        assert None not in {figure for row in ours[session].judged for figure in figures(row)}


def _is_verdict(fact: m.Fact) -> TypeGuard[m.DataJudged]:
    return isinstance(fact, m.DataJudged)


def figures(row: m.SeriesJudged) -> tuple[Decimal | None, ...]:
    return row.close, row.volatility, row.atr, row.average_volume


def test_one_change_in_sizing_changes_demo_and_backtest_alike(
    kept: tuple[Path, State], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With targets cut to whole hundreds both trade otherwise than before, and still the same as one another."""

    def in_hundreds(weight: Decimal, equity: Decimal, price: Decimal, lot: Decimal) -> Decimal:
        return to_lot(weight * equity / price, 100 * lot)

    monkeypatch.setattr(sizing, "shares_of", in_hundreds)
    changed = demo_run(tmp_path)
    assert orders_of(changed) != orders_of(kept[1])
    assert orders_of(backtest_of(tmp_path).state) == orders_of(changed)
    assert orders_of(backtest_of(kept[0]).state) != orders_of(kept[1])


SIZED = """
  sizing:
    method: portfolio
    target_volatility: 0.15
    max_leverage: 0.9
    buffer_fraction: 0.05
    cash_reserve_fraction: 0.02
    no_trade_band_weight: 0
"""
TEN = 10


def test_sized_by_volatility_with_a_buffer_both_say_and_do_the_same(tmp_path: Path) -> None:
    """Ten days by another method: the same orders, and the same of every figure that each target came from."""
    before, after = demo_path().read_text().split("\n  sizing:\n")
    chosen = tmp_path / "sized.yaml"
    chosen.write_text(f"{before}{SIZED}\n  risk:\n{after.split('  risk:', 1)[1].lstrip(chr(10))}")
    demo(days=TEN, pace_seconds=0.0, http_port=0, as_json=True, keep=tmp_path, config=chosen)
    facts = list(facts_of(read_records(tmp_path / "journal.sqlite")))
    daemon = recover(read_records(tmp_path / "journal.sqlite"))
    heard = Heard()
    series = unadjusted({symbol: history.load(symbol) for symbol in history.symbols()})
    end = CALENDAR.sessions(FIRST, history.LAST_SESSION)[TEN - 1].date
    settings, copied = load(chosen, {}).settings, copy_from(tmp_path / "journal.sqlite")
    result = run(settings, series, CALENDAR, start=FIRST, end=end, fills_from=copied, observe=heard)
    assert orders_of(result.state) == orders_of(daemon) != []
    assert sized_in(heard.facts) == sized_in(facts)
    assert {part.method for fact in facts if isinstance(fact, m.TargetSized) for part in fact.parts} == {"portfolio"}


def sized_in(facts: Iterable[m.Fact]) -> list[m.TargetSized]:
    """What each decision told of its targets; its second by the clock and the number of a contract are apart."""
    return [
        replace(fact, run_id=fact.run_id[: len("rebalance@2007-01-03")], con_id=0)
        for fact in facts
        if isinstance(fact, m.TargetSized)
    ]
