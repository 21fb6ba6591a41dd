"""What a backtest does with a configuration and bars, by the daemon's own rules."""

from __future__ import annotations

from array import array
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from longwatch.backtest.engine import run
from longwatch.backtest.history import unadjusted
from longwatch.backtest.result import Result
from longwatch.data import demo as history
from longwatch.domain import messages as m
from longwatch.domain.bars import BarSeries
from longwatch.domain.instruments import Side
from longwatch.domain.state import State, evolve, fingerprint
from longwatch.errors import ConfigError, DataError, StrategyError
from longwatch.journal.codec import encode, recover
from longwatch.journal.records import Record
from tests.backtest.made import CALENDAR, FIRST, Heard, changed_after, days, demo_settings, flat, orders_of, strategy

HERE = Path(__file__).parent
END = date(2007, 2, 28)


def demo_series() -> dict[str, BarSeries]:
    return unadjusted({symbol: history.load(symbol) for symbol in history.symbols()})


def demo_backtest(series: dict[str, BarSeries] | None = None, **options: Any) -> Result:
    """Two months of the demo's market."""
    return run(demo_settings(), series or demo_series(), CALENDAR, start=FIRST, end=END, **options)


def half(prices: list[float], *, start: date, end: date, breaks_on: str = "", **trading: Any) -> Result:
    """Half of 100,000 in AAA, at these prices from the year's first session on."""
    settings = demo_settings(
        initial_capital=Decimal(100_000),
        strategies=(strategy("strategies.py:Half", breaks_on=breaks_on),),
        risk={"max_weight": Decimal(1), "price_band_fraction": Decimal(1), **trading.pop("risk", {})},
        sizing={"cash_reserve_fraction": Decimal(0)},
        **trading,
    )
    return run(settings, {"AAA": flat("AAA", prices)}, CALENDAR, start=start, end=end, folder=HERE)


def test_the_same_run_twice_ends_in_the_same_state() -> None:
    """Nothing but configuration and bars goes in."""
    assert fingerprint(demo_backtest().state) == fingerprint(demo_backtest().state)


def test_a_decision_knows_nothing_of_what_comes_after_it() -> None:
    """With every later price doubled, all orders up to and with the next session are the same."""
    known = days(FIRST, END)[20]
    after = next(day for day in days(FIRST, END) if day > known)
    changed = demo_backtest(changed_after(demo_series(), known, 1.07))
    until = f"rebalance@{known}"
    first = [order for order in orders_of(demo_backtest().state) if order[0] <= until]
    assert [order for order in orders_of(changed.state) if order[0] <= until] == first
    assert any(order[0] == f"rebalance@{after}" for order in orders_of(changed.state))


def test_orders_are_sized_at_the_last_close_and_filled_at_the_next_open() -> None:
    """Half of 100,000 at a close of 100 are 500 shares, paid at the open of 101."""
    bars = flat("AAA", [100.0, 100.0, 101.0])
    settings = demo_settings(
        initial_capital=Decimal(100_000),
        strategies=(strategy("strategies.py:Half"),),
        risk={"max_weight": Decimal(1)},
        sizing={"cash_reserve_fraction": Decimal(0)},
    )
    third = days()[2]
    result = run(settings, {"AAA": bars}, CALENDAR, start=third, end=third, folder=HERE)
    (fill,) = result.state.fills.values()
    assert (fill.quantity, fill.price, fill.executed_at.date()) == (Decimal(500), Decimal(101), third)


def test_cash_and_positions_are_what_fills_and_commissions_come_to() -> None:
    """The account and the book are one and the same sum."""
    result = demo_backtest()
    state = result.state
    flows = sum((fill.quantity * fill.price for fill in state.fills.values()), Decimal(0))
    assert state.valued is not None
    expected = result.initial - flows - sum(state.commissions.values(), Decimal(0))
    assert abs(state.valued.cash - expected) <= Decimal("0.005")
    held = {con_id: one.quantity for con_id, one in state.book.items() if one.quantity}
    assert held == {con_id: quantity for con_id, (_, quantity) in state.account_positions.items()}


def test_what_a_run_concluded_folds_to_its_state_as_any_journal_does() -> None:
    """Events and facts are the daemon's own records: recovery from them is the state at the end."""
    heard = Heard()
    result = demo_backtest(observe=heard)
    records: list[Record] = [encode(number, 0, fact) for number, fact in enumerate(heard.facts, 1)]
    assert fingerprint(recover(records)) == fingerprint(result.state)


def test_readiness_goes_through_the_same_certificate() -> None:
    """The first snapshot of the account opens the gate, as on a real link."""
    heard = Heard()
    demo_backtest(observe=heard)
    moves = [fact.link for fact in heard.facts if isinstance(fact, m.LinkMoved)]
    assert moves == [m.Link.DISCONNECTED, m.Link.CONNECTING, m.Link.SYNCING, m.Link.READY]
    first = next(place for place, fact in enumerate(heard.facts) if isinstance(fact, m.OrderIntended))
    assert any(isinstance(fact, m.BookCompared) for fact in heard.facts[:first])


def test_a_flawed_symbol_is_neither_bought_nor_sold_and_the_others_trade_on() -> None:
    """A negative price in one series refuses that symbol alone."""
    series = demo_series()
    low = series["IBM"].low[:]
    place = series["IBM"].sessions().index(FIRST) - 1
    low[place] = -1.0
    series["IBM"] = replace(series["IBM"], low=low)
    result = demo_backtest(series)
    assert "IBM" not in {order.symbol for order in result.state.orders.values()}
    assert {"AAPL", "GOOG"} <= {order.symbol for order in result.state.orders.values()}
    assert result.alerts["flawed_data"] > 0


def test_a_strategy_that_breaks_on_one_session_is_told_of_and_keeps_what_it_holds() -> None:
    """Its symbol is left alone that day, and traded again the next."""
    prices = [100.0] * 5 + [110.0] * 10
    sound = half(prices, start=days()[2], end=days()[8])
    broken = half(prices, start=days()[2], end=days()[8], breaks_on=days()[5].isoformat())
    assert broken.alerts["strategy_failed"] == 1
    assert [order[0] for order in orders_of(sound.state)][1] == f"rebalance@{days()[6]}"
    assert [order[0] for order in orders_of(broken.state)][1] == f"rebalance@{days()[7]}"


def test_slippage_makes_every_buy_dearer() -> None:
    """Five basis points on a price of 100 are five cents, on the tick grid."""
    settings = demo_settings(strategies=(strategy("strategies.py:Half"),), risk={"max_weight": Decimal(1)})
    series = {"AAA": flat("AAA", [100.0] * 5)}
    third = days()[2]
    dear = run(settings, series, CALENDAR, start=third, end=third, folder=HERE, slippage_bps=Decimal(5))
    assert {fill.price for fill in dear.state.fills.values()} == {Decimal("100.05")}


def test_a_rebalance_before_the_close_trades_at_the_close() -> None:
    """The price of a daily bar that is nearest to the schedule's instant is the fill's."""
    late = demo_settings().schedule.rebalance.model_copy(update={"trigger": "15 min before the close"})
    settings = demo_settings(
        strategies=(strategy("strategies.py:Half"),),
        risk={"max_weight": Decimal(1)},
        schedule={"rebalance": late},
    )
    bars = flat("AAA", [100.0, 100.0, 100.0])
    higher = array("d", [100.0, 100.0, 102.0])
    bars = replace(bars, close=higher, high=higher)
    third = days()[2]
    result = run(settings, {"AAA": bars}, CALENDAR, start=third, end=third, folder=HERE)
    (fill,) = result.state.fills.values()
    assert fill.price == Decimal(102)
    assert fill.executed_at == CALENDAR.sessions(third, third)[0].close_at - timedelta(minutes=15)


def test_an_interval_is_refused_where_a_job_runs_once_a_session() -> None:
    """One sentence names the setting and what to write."""
    schedule = {"rebalance": demo_settings().schedule.rebalance.model_copy(update={"trigger": "every 30 s"})}
    with pytest.raises(ConfigError, match=r"trading\.schedule\.rebalance.*every 30 s.*after the open"):
        run(demo_settings(schedule=schedule), demo_series(), CALENDAR, start=FIRST, end=END)


def test_dates_without_a_session_and_strategies_without_a_source_are_refused() -> None:
    """A weekend has no session, a missing file no strategy."""
    with pytest.raises(DataError, match="no session from 2007-01-06 to 2007-01-07"):
        run(demo_settings(), demo_series(), CALENDAR, start=date(2007, 1, 6), end=date(2007, 1, 7))
    with pytest.raises(StrategyError, match=r"no file .*gone\.py"):
        run(
            demo_settings(strategies=(strategy("gone.py:Gone"),)),
            demo_series(),
            CALENDAR,
            start=FIRST,
            end=END,
            folder=HERE,
        )


def test_no_buy_passes_the_cap_on_weight_at_the_price_it_was_sized_at() -> None:
    """Held and bought together stay within the cap, for every order of the run, and there is never a debt."""
    heard, state, bought = Heard(), State(), 0
    demo_backtest(observe=heard)
    for fact in heard.facts:
        evolve(state, fact)
        if isinstance(fact, m.OrderIntended) and fact.order.side is Side.BUY:
            assert state.equity is not None
            price = dict(state.equity.prices)[fact.order.symbol]
            after = state.held(fact.order.con_id) + fact.order.quantity
            assert after * price <= state.settings.max_weight * state.equity.equity
            bought += 1
    assert bought > 30
    cash = [event.cash for event in heard.events if isinstance(event, m.SnapshotSeen)]
    assert min(left for left in cash if left is not None) >= 0
