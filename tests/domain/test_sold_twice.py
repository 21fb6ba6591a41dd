"""An exit of ours beside open orders of others: what both could sell is not sold twice, or a person is told."""

from __future__ import annotations

from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.decide import Step, gate
from longwatch.domain.instruments import Side
from tests.domain.world import ACCOUNT, World, alerts, of_kind

D = Decimal


def theirs(world: World, remaining: int, side: Side = Side.SELL) -> None:
    """Typed into TWS."""
    world.open_orders.add(777)
    world.take(
        m.OpenOrderSeen(
            at=world.now,
            tech=world.now,
            order_id=0,
            client_id=0,
            perm_id=777,
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


@pytest.mark.parametrize(("remaining", "ours"), [(200, []), (250, []), (50, [D(150)])])
def test_an_exit_is_for_what_the_orders_of_others_leave(remaining: int, ours: list[Decimal]) -> None:
    """200 are held: with what somebody else sells it never comes to more, and a person is told whose order it is."""
    world = held()
    theirs(world, remaining)
    step = left(world)
    assert sold(step) == ours and alerts(step) == ["sold_twice"]
    (told,) = of_kind(step.effects, m.RaiseAlert)
    assert f"SELL {remaining} (permId 777), not ours, and our SELL 200 are more than the 200" in told.text
    assert [one.check for one in of_kind(step.facts, m.TradeRefused)] == ([] if ours else ["reversal"])


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


def test_a_flatten_closes_beside_them_and_says_so() -> None:
    """It is the last word of a person that there is."""
    world = held()
    theirs(world, 200)
    world.hear(m.ControlRequested, command="flatten", by="uid 1000", reason="enough")
    step = world.rebalance()
    assert sold(step) == [D(200)] and alerts(step) == ["sold_twice"]
    assert "is sent all the same" in of_kind(step.effects, m.RaiseAlert)[0].text


def test_an_exit_that_an_order_of_theirs_has_overtaken_is_not_written() -> None:
    """It was intended before theirs was heard of."""
    world = held()
    (order,) = [one.order for one in of_kind(left(world).effects, m.SubmitOrder)]
    assert gate(world.state, order.intent, world.now) is None
    theirs(world, 200)
    assert str(gate(world.state, order.intent, world.now)).startswith("reversal")
