"""Protective stops in a backtest: the same levels and orders, met by the bars."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from longwatch.backtest.engine import run
from longwatch.config.schema import TakeProfitSettings
from longwatch.domain.orders import Order, OrderState, Purpose
from tests.backtest.made import CALENDAR, demo_settings, strategy
from tests.backtest.test_engine import HERE
from tests.backtest.test_policies import DAYS, bars

D = Decimal
Row = tuple[float, float, float, float]


def played(*rows: Row, band: str = "0", **stops: Any) -> list[Order]:
    """Half the capital in AAA, bought at the open of the first row, with these stops; `band`: drifts let be."""
    settings = demo_settings(
        initial_capital=D(100_000),
        strategies=(strategy("strategies.py:Half"),),
        risk={"max_weight": D(1), "price_band_fraction": D(1)},
        sizing={"cash_reserve_fraction": D(0), "no_trade_band_weight": D(band)},
        stops=stops,
    )
    first, last = DAYS[5], DAYS[4 + len(rows)]
    result = run(settings, {"AAA": bars(*rows)}, CALENDAR, start=first, end=last, folder=HERE)
    return list(result.state.orders.values())


def stops_of(orders: list[Order]) -> list[Order]:
    return [order for order in orders if order.purpose is Purpose.STOP]


@pytest.mark.parametrize(
    ("second", "paid"),
    [((100, 101, 94, 99), "95.00"), ((90, 91, 89, 90), "90"), ((100, 101, 95.5, 96), None)],
)
def test_a_stop_trades_at_its_price_or_at_an_open_beyond_it(second: Row, paid: str | None) -> None:
    """Touched in the session, jumped over by its open, or not reached."""
    orders = played((100, 100.5, 99, 100), second, fraction=D("0.05"))
    (stop,) = stops_of(orders)[:1]
    assert (stop.quantity, stop.stop_price, stop.tif) == (orders[0].quantity, D("95.00"), "GTC")
    assert stop.average_price == D(paid or 0)
    assert (stop.state is OrderState.FILLED) == (paid is not None)


def test_a_trailing_stop_has_followed_the_close_by_the_next_session() -> None:
    """Bought at 100, closed at 120: the next session's fall is met at 114."""
    rows = ((100, 121, 99, 120), (119, 119, 110, 111))
    trailing, fixed = (stops_of(played(*rows, fraction=D("0.05"), trails=trails)) for trails in (True, False))
    assert [one.average_price for one in trailing if one.filled] == [D("114.00")]
    assert not any(one.filled for one in fixed)


def profits_of(orders: list[Order]) -> list[Order]:
    return [order for order in orders if order.purpose is Purpose.PROFIT]


@pytest.mark.parametrize(
    ("later", "taken", "stopped"),
    [
        ((105, 111, 104, 108), "110.00", False),
        ((112, 113, 111, 112), "112", False),
        ((100, 111, 94, 100), None, True),
        ((112, 113, 94, 100), "112", False),
        ((100, 109, 96, 100), None, False),
    ],
)
def test_a_take_profit_is_met_by_the_bars_and_ends_its_stop(later: Row, taken: str | None, stopped: bool) -> None:
    """At its price, or at an open beyond it; where a bar has touched both, the stop was first, but for the open."""
    rows = ((100, 100.5, 99, 100), (100, 101, 99, 100), later)
    orders = played(*rows, band="0.3", fraction=D("0.05"), take_profit=TakeProfitSettings(fraction=D("0.10")))
    (profit,), (stop,) = profits_of(orders)[:1], stops_of(orders)[:1]
    assert (profit.quantity, profit.limit_price, profit.oca_group) == (stop.quantity, D("110.00"), stop.oca_group)
    assert profit.average_price == D(taken or 0)
    assert (stop.state is OrderState.FILLED) == stopped
    if taken:
        assert stop.state is OrderState.CANCELLED
