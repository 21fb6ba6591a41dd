"""Execution policies over daily bars: the daemon's own orders, filled by what a bar can prove and no more."""

from __future__ import annotations

from array import array
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from longwatch.backtest.engine import run
from longwatch.backtest.result import Result
from longwatch.domain import messages as m
from longwatch.domain.bars import BarSeries, stamp_of
from longwatch.domain.orders import Order, OrderState, OrderType
from tests.backtest.made import CALENDAR, Heard, days, demo_settings, strategy

HERE = Path(__file__).parent
D = Decimal
DAYS = days()
QUIET = (100.0, 100.0, 100.0, 100.0)
Row = tuple[float, float, float, float]


def bars(*special: Row) -> BarSeries:
    """AAA at 100 for some days, then these days of (open, high, low, close), then at the last close."""
    rows = [QUIET] * 5 + list(special)
    rows += [(rows[-1][3],) * 4] * 5
    columns = [array("d", column) for column in zip(*rows, strict=True)]
    return BarSeries(
        symbol="AAA",
        bar_size="1 day",
        stamps=array("q", map(stamp_of, DAYS[: len(rows)])),
        open=columns[0],
        high=columns[1],
        low=columns[2],
        close=columns[3],
        volume=array("d", [10_000_000.0]) * len(rows),
        adjusted=columns[3],
    )


def played(*special: Row, sessions: int = 1, **execution: Any) -> tuple[Result, list[Order], Heard]:
    """Half of 100,000 in AAA, decided on a close of 100 and traded in the sessions after it."""
    heard = Heard()
    settings = demo_settings(
        initial_capital=D(100_000),
        strategies=(strategy("strategies.py:Half"),),
        risk={"max_weight": D(1), "price_band_fraction": D(1), "max_gross_exposure": D(2), "max_net_exposure": D(2)},
        sizing={"cash_reserve_fraction": D(0), "no_trade_band_weight": D("0.02")},
        execution=execution,
    )
    start, end = DAYS[5], DAYS[5 + sessions - 1]
    result = run(settings, {"AAA": bars(*special)}, CALENDAR, start=start, end=end, folder=HERE, observe=heard)
    return result, list(result.state.orders.values()), heard


def fills(heard: Heard) -> list[tuple[date, Decimal]]:
    """Each execution's day and price."""
    return [(one.at.date(), one.price) for one in heard.events if isinstance(one, m.ExecutionSeen)]


STOP = {"order_type": "STP", "stop_offset_bps": D(100)}
STOP_LIMIT = STOP | {"order_type": "STP LMT", "limit_offset_bps": D(50)}
AUCTION = {"order_type": "MOC"}
LIMIT_AUCTION = {"order_type": "LOC", "limit_offset_bps": D(50)}


@pytest.mark.parametrize(
    ("execution", "bar", "price", "state"),
    [
        (STOP, (100, 101.5, 99, 99), "101.00", OrderState.FILLED),
        (STOP, (100, 101.0, 99, 99), "101.00", OrderState.FILLED),
        (STOP, (100, 100.9, 99, 99), None, OrderState.EXPIRED),
        (STOP_LIMIT, (100, 104, 99, 99), "101.00", OrderState.FILLED),
        (STOP_LIMIT, (100, 100.9, 99, 99), None, OrderState.EXPIRED),
        (AUCTION, (100, 104, 97, 103), "103", OrderState.FILLED),
        (LIMIT_AUCTION, (100, 104, 97, 100.5), "100.5", OrderState.FILLED),
        (LIMIT_AUCTION, (100, 104, 97, 100.6), None, OrderState.EXPIRED),
        ({"order_type": "MKT"}, (100, 104, 97, 103), "100", OrderState.FILLED),
        ({"order_type": "LMT"}, (100, 104, 97, 103), "100", OrderState.FILLED),
    ],
)
def test_an_order_fills_at_what_its_kind_has_in_the_sessions_bar(
    execution: dict[str, Any], bar: Row, price: str | None, state: OrderState
) -> None:
    """Decided at the open of 100: a stop at its price once touched, the auctions at the close, the rest at the open."""
    _, (order,), heard = played(bar, **execution)
    assert [at for _, at in fills(heard)] == ([] if price is None else [D(price)])
    assert order.state is state
    assert order.order_type is OrderType(execution["order_type"])


def test_a_stop_that_rests_over_the_night_is_paid_at_an_opening_beyond_it() -> None:
    """Not at the stop, which nobody had to give: the next session opens at 105."""
    _, orders, heard = played((100, 100.5, 99, 100), (105, 106, 104, 105), sessions=2, tif="GTC", **STOP)
    assert orders[0].stop_price == 101
    assert fills(heard)[0] == (DAYS[6], D(105))


def test_a_stop_limit_that_the_market_jumps_over_waits_for_its_limit() -> None:
    """Triggered by an opening above its limit of 101.50, filled there only when the market comes through it."""
    jumped = (102.5, 103, 102, 102.5)
    _, _, heard = played((100, 100.5, 99, 100), jumped, sessions=2, tif="GTC", **STOP_LIMIT)
    assert fills(heard) == []
    back = (102, 102, 101, 101.8)
    _, orders, heard = played((100, 100.5, 99, 100), jumped, back, sessions=3, tif="GTC", **STOP_LIMIT)
    assert orders[0].limit_price == D("101.50")
    assert fills(heard)[0] == (DAYS[7], D("101.50"))


def test_what_was_not_filled_by_its_last_minutes_is_cancelled_or_goes_into_the_auction() -> None:
    """A stop has no rest to buy; a limit off the market has, and the auction gives it at the close."""
    _, (order,), _ = played((100, 100.5, 99, 100.2), at_close="cancel", **STOP)
    assert order.state is OrderState.CANCELLED
    late = {"at_close": "moc", "at_close_minutes": 15.0}
    _, orders, heard = played((100, 100.5, 99, 100.2), **late, **STOP)
    assert [one.state for one in orders] == [OrderState.CANCELLED] and fills(heard) == []


def test_an_order_whose_time_is_up_is_cancelled_and_sent_anew_as_often_as_allowed() -> None:
    """The same bar, the same open: three stops one after the other, none alive beside another."""
    patient = {"working_seconds": 600.0, "replacements": 2}
    _, orders, _ = played((100, 100.5, 99, 100.2), **STOP, **patient)
    assert [one.replacement for one in orders] == [0, 1, 2]
    assert {one.state for one in orders} == {OrderState.CANCELLED}
    sent = [one.sent_at for one in orders]
    assert all(b - a >= timedelta(seconds=600) for a, b in pairwise(sent) if a and b)


def test_the_auction_is_held_at_the_sessions_close() -> None:
    """Of the whole order, and not when it was sent."""
    _, (order,), heard = played((100, 104, 97, 103), **AUCTION)
    assert order.filled == order.quantity == 500
    executed = [one for one in heard.events if isinstance(one, m.ExecutionSeen)]
    assert executed[0].executed_at == CALENDAR.sessions(DAYS[5], DAYS[5])[0].close_at
