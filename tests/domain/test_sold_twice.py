"""An exit of ours beside open orders of others: it leaves, and a person is told what both could sell twice."""

from __future__ import annotations

from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.decide import Step, gate
from longwatch.domain.instruments import Side
from tests.domain.world import ACCOUNT, World, alerts, of_kind

D = Decimal


def theirs(world: World, remaining: int, side: Side = Side.SELL, perm_id: int = 777) -> None:
    """Typed into TWS."""
    world.open_orders.add(perm_id)
    world.take(
        m.OpenOrderSeen(
            at=world.now,
            tech=world.now,
            order_id=0,
            client_id=0,
            perm_id=perm_id,
            ref="",
            account=ACCOUNT,
            con_id=1,
            symbol="AAA",
            side=side,
            quantity=D(remaining),
            order_type="LMT",
            limit_price=D(101),
            stop_price=None,
            tif="GTC",
            status="Submitted",
        )
    )


def held(outside: int = 0) -> World:
    """200 AAA of ours, and some that are not."""
    world = World.ready(AAA=outside) if outside else World.ready()
    world.finish(world.one(AAA="0.2"))
    assert world.state.held(1) == 200
    world.wait(60)
    world.snapshot()
    return world


def left(world: World) -> Step:
    world.targets(AAA="0")
    return world.rebalance()


def sold(step: Step) -> list[Decimal]:
    return [one.order.quantity for one in of_kind(step.effects, m.SubmitOrder) if one.order.side is Side.SELL]


@pytest.mark.parametrize("remaining", [200, 250, 50])
def test_an_exit_leaves_beside_a_sale_of_theirs_and_a_person_is_told(remaining: int) -> None:
    """200 are held: theirs may rest far from the market for as long as it likes, and ours goes by what is wanted."""
    world = held()
    theirs(world, remaining)
    step = left(world)
    assert sold(step) == [D(200)] and alerts(step) == ["sold_twice"]
    (told,) = of_kind(step.effects, m.RaiseAlert)
    assert f"SELL {remaining} (permId 777), not ours, beside our SELL 200: the account holds 200" in told.text


def test_a_bracket_of_theirs_sells_their_shares_once() -> None:
    """Its profit and its stop, of which one fills: of 300 in the account 100 are theirs."""
    world = held(outside=100)
    for perm_id in (777, 778):
        theirs(world, 100, perm_id=perm_id)
    step = left(world)
    assert sold(step) == [D(200)] and alerts(step) == []


def test_their_sale_of_their_own_shares_or_a_purchase_stands_in_no_way() -> None:
    """100 in the account are not ours: their sale of these leaves ours whole."""
    world = held(outside=100)
    theirs(world, 100)
    step = left(world)
    assert sold(step) == [D(200)] and alerts(step) == []
    world = held()
    theirs(world, 500, Side.BUY)
    step = left(world)
    assert sold(step) == [D(200)] and alerts(step) == []


def test_an_exit_that_an_order_of_theirs_has_overtaken_is_written() -> None:
    """It was intended before theirs was heard of."""
    world = held()
    (order,) = [one.order for one in of_kind(left(world).effects, m.SubmitOrder)]
    theirs(world, 200)
    assert gate(world.state, order.intent, world.now) is None
