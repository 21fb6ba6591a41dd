"""What other people hold and order in the account counts at a price, also where no close is known of it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.risk.exposure import worst_values
from tests.domain.test_means import CASH_ACCOUNT, world_of
from tests.domain.world import ACCOUNT, PRICES, SETTINGS, World

D = Decimal
WIDE = replace(SETTINGS, max_weight=D(1), max_order_value=None, max_order_shares=None)


def ordered(world: World, con_id: int, symbol: str, quantity: int, limit: object, stop: object = None) -> None:
    """Somebody else's purchase at work."""
    world.open_orders.add(778)
    world.hear(
        m.OpenOrderSeen,
        order_id=0,
        client_id=0,
        perm_id=778,
        ref="",
        account=ACCOUNT,
        con_id=con_id,
        symbol=symbol,
        side=Side.BUY,
        quantity=D(quantity),
        order_type="LMT",
        limit_price=None if limit is None else D(str(limit)),
        stop_price=None if stop is None else D(str(stop)),
        tif="DAY",
        status="Submitted",
    )


def test_shares_outside_the_universe_count_at_what_the_account_paid() -> None:
    """300 at 290, which no close is known of: 87,000 of gross exposure."""
    world = World(settings=WIDE)
    world.positions[99], world.costs[99] = D(300), D(290)
    world.start()
    world.connect()
    world.snapshot()
    assert worst_values(world.state, PRICES) == (87_000, 87_000)


def test_an_order_of_others_counts_at_the_dearer_of_its_price_and_the_market() -> None:
    """Its limit or stop where that is above the close; the close where that is above; a changed price is news."""
    world = World.ready(WIDE)
    for limit, stop, value in ((130, None, 65_000), (90, None, 50_000), (90, 140, 70_000), (None, None, 50_000)):
        ordered(world, 1, "AAA", 500, limit, stop)
        assert worst_values(world.state, PRICES) == (value, value)
    ordered(world, 1, "AAA", 500, 130)
    world.hear(
        m.OrderStatusSeen,
        order_id=0,
        client_id=0,
        perm_id=778,
        status="Submitted",
        filled=D(100),
        remaining=D(400),
        average_price=D(100),
    )
    assert worst_values(world.state, PRICES) == (52_000, 52_000)


def test_a_purchase_of_others_takes_of_the_settled_cash_at_its_own_limit() -> None:
    """29,000 of 30,000: what is left buys no more than nine shares."""
    world = world_of(replace(CASH_ACCOUNT, settled_cash=D(30_000), buying_power=D(30_000)))
    ordered(world, 99, "TSLA", 100, 290)
    world.snapshot()
    assert [int(order.quantity) for order in world.trade(AAA="0.3")] == [9]
