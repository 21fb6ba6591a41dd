"""Which prices a row of an open order says that the order has, where it shows none, or another type's."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from longwatch.domain.order_life.told_terms import as_told
from longwatch.domain.orders import Change, Order, OrderType, Purpose
from tests.domain.test_exposure import order
from tests.domain.test_unprotected import stop
from tests.domain.world import START, open_order

D = Decimal
LIMIT = order(1, 100, limit_price=D(105))
BOTH = stop(2, 100, order_type=OrderType.STOP_LIMIT, limit_price=D(94), stop_price=D(95))


def changing(one: Order, quantity: int, limit: int | None, level: int | None = None) -> Order:
    prices = {"limit_price": None if limit is None else D(limit), "stop_price": None if level is None else D(level)}
    return replace(one, change=Change(number=1, quantity=D(quantity), asked_at=START, **prices))


def told(one: Order, **fields: Any) -> tuple[Decimal, Decimal | None, Decimal | None]:
    row = as_told(one, open_order(one, START, **fields))
    return row.quantity, row.limit_price, row.stop_price


def test_a_price_that_is_shown_is_told() -> None:
    """The other of a type with two is the one in force where it is not shown."""
    assert told(LIMIT, limit_price=D(104), quantity=D(90)) == (90, 104, None)
    assert told(LIMIT, stop_price=D(7)) == (100, 105, 7)
    assert told(BOTH, limit_price=D(93), stop_price=None) == (100, 93, 95)
    assert told(BOTH, limit_price=None, stop_price=D(96)) == (100, 94, 96)
    assert told(BOTH, limit_price=None, stop_price=None) == (100, 94, 95)
    assert told(LIMIT, limit_price=None, order_type="") == (100, 105, None)


@pytest.mark.parametrize(
    ("quantity", "limit"), [(100, 105), (80, 101), (90, 105)], ids=["in force", "asked for", "neither"]
)
def test_a_price_that_is_not_shown_is_that_of_the_terms_that_the_rest_fits(quantity: int, limit: int) -> None:
    """Those in force where it fits none; what is in force comes first where it fits both."""
    assert told(changing(LIMIT, 80, 101), quantity=D(quantity), limit_price=None) == (quantity, limit, None)
    assert told(changing(LIMIT, 100, 101), limit_price=None) == (100, 105, None)
    asked = changing(BOTH, 100, 93, 92)
    assert told(asked, limit_price=None, stop_price=D(92)) == (100, 93, 92)
    assert told(asked, limit_price=D(93), stop_price=None) == (100, 93, 92)


def test_a_row_of_another_type_is_told_as_it_is_but_that_a_stop_has_no_level_any_more() -> None:
    """Whatever stands in its place."""
    rest = stop(3, 60)
    assert told(rest, order_type="LMT", limit_price=D(110), stop_price=D(95)) == (60, 110, None)
    row = open_order(rest, START, order_type="LMT", limit_price=D(110), stop_price=D(95))
    assert as_told(rest, row) == replace(row, stop_price=None)
    assert told(LIMIT, order_type="STP", limit_price=None, stop_price=D(95)) == (100, None, 95)
    assert rest.purpose is Purpose.STOP and told(rest) == (60, None, 95)
