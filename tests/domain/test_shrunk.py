"""An order that its OCA group made smaller while nobody listened, and that then filled, ends with its figure."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import permutations

import pytest

from longwatch.domain import messages as m
from longwatch.domain.orders import OrderState
from tests.domain.test_protection import holding
from tests.domain.world import ACCOUNT, CLIENT, World, completed, execution

D = Decimal
AAA = 1
Row = m.ExecutionSeen | m.CompletedOrderSeen


def filled(world: World, intent: int, shares: int, name: str) -> m.ExecutionSeen:
    """Executed at the broker, and not heard of yet."""
    order = world.order(intent)
    world.executions.append(name)
    world.positions[AAA] += shares * order.side.sign
    return execution(order, world.now, name, shares, "95")


def told(world: World, rows: list[Row]) -> None:
    for row in rows:
        world.take(replace(row, at=world.now, tech=world.now))


def back(world: World, rows: list[Row]) -> None:
    """The link is up again; the downloads show the rows, in this order, and once more in the regular ones after."""
    world.wait(5)
    world.hear(m.LinkOpening, attempt=1)
    up = {"client_id": CLIENT, "next_order_id": world.next_order_id(), "accounts": (ACCOUNT,), "server_version": 176}
    world.hear(m.LinkUp, **up)
    world.hear(m.ClockSeen, skew_seconds=0.1)
    told(world, rows)
    world.snapshot(reason="sync")
    for _ in range(2):
        told(world, rows)
        world.reconcile(1)


def parted() -> tuple[World, int, int]:
    """A stop for 200 and an exit of 100 in its group, and then the link is lost."""
    world, stop = holding()
    (sale,) = world.trade(AAA="0.1")
    world.acknowledge(sale.intent)
    assert sale.oca_group == stop.oca_group
    return world, stop.intent, sale.intent


@pytest.mark.parametrize("turn", list(permutations(range(4))))
def test_a_stop_that_the_exit_has_made_smaller_ends_with_what_it_filled(turn: tuple[int, ...]) -> None:
    """40 of the exit, so 160 of the stop, which ends the exit: nothing is left, in whatever order it is told."""
    world, stop, sale = parted()
    world.hear(m.LinkLost, reason="reset")
    world.wait(20)
    world.end(stop)
    world.end(sale)
    rows: list[Row] = [
        filled(world, sale, 40, "a1.01"),
        filled(world, stop, 160, "a2.01"),
        completed(world.order(stop), world.now, "Filled", 160),
        completed(world.order(sale), world.now, "Cancelled", 40),
    ]
    back(world, [rows[one] for one in turn])
    assert world.order(stop).state is OrderState.FILLED and world.order(stop).filled == 160
    assert world.order(sale).state is OrderState.CANCELLED and world.order(sale).filled == 40
    assert not world.state.held(AAA) and not world.state.live_in(AAA) and not world.state.quarantines


def test_an_exit_that_the_stop_has_made_smaller_ends_with_what_it_filled() -> None:
    """50 of the stop, so the exit of 100 is for 75 at most, which fill: 75 are left, and the stop works on."""
    world, stop, sale = parted()
    world.hear(m.LinkLost, reason="reset")
    world.wait(20)
    world.end(sale)
    first, second = filled(world, stop, 50, "b1.01"), filled(world, sale, 75, "b2.01")
    back(world, [first, second, completed(world.order(sale), world.now, "Filled", 75)])
    assert world.order(sale).state is OrderState.FILLED and world.order(sale).filled == 75
    assert world.order(stop).is_live and world.state.held(AAA) == 75


@pytest.mark.parametrize("figure", [0, 160])
def test_an_order_whose_group_has_not_traded_has_filled_in_full_whatever_the_figure(figure: int) -> None:
    """Nothing can have made it smaller: the other 40 are looked for."""
    world, stop, _ = parted()
    filled(world, stop, 40, "c1.01")
    world.take(replace(filled(world, stop, 160, "c2.01"), at=world.now, tech=world.now))
    world.end(stop)
    told(world, [completed(world.order(stop), world.now, "Filled", figure)])
    assert world.order(stop).is_live and world.order(stop).ending is OrderState.FILLED
    assert world.order(stop).reported == 200
