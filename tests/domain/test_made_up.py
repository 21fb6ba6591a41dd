"""Fills that nobody told, of which several executions take the place: what is held is what these come to alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.orders import Allocation
from longwatch.domain.positions import Holding
from longwatch.domain.state import evolve, put_order
from tests.domain.test_exposure import order
from tests.domain.world import World, execution, of_kind

D = Decimal
ORDER, ENTRY, EXIT = 1, 8, 9


def booked(world: World, exec_id: str, intent: int, signed: Decimal, price: Decimal) -> None:
    side = Side.BUY if signed > 0 else Side.SELL
    evolve(
        world.state,
        m.FillBooked(
            exec_id=exec_id,
            intent=intent,
            con_id=1,
            symbol="AAA",
            side=side,
            quantity=abs(signed),
            price=price,
            executed_at=world.now,
            tech=world.now,
        ),
    )


def a_world(side: Side) -> World:
    """Three orders without end: the one whose executions nobody told, one that buys, one that sells."""
    world = World.ready()
    limit = D(20)
    for intent, of in ((ORDER, side), (ENTRY, Side.BUY), (EXIT, Side.SELL)):
        put_order(world.state, replace(order(intent, 10_000, of), con_id=1, limit_price=limit))
    return world


def others(world: World, trades: list[tuple[int, Decimal]], stem: str) -> None:
    for number, (signed, price) in enumerate(trades):
        booked(world, f"{stem}{number}.01", ENTRY if signed > 0 else EXIT, D(signed), price)


quantities = st.integers(1, 90)
prices = st.decimals("5", "50", places=2)
trades = st.lists(st.tuples(st.integers(-200, 200).filter(bool), prices), max_size=4)


@given(
    st.sampled_from(list(Side)),
    st.sampled_from(["inferred:", "resolved:"]),
    st.lists(st.tuples(quantities, prices), min_size=1, max_size=4),
    quantities,
    trades,
    trades,
    st.booleans(),
)
def test_executions_that_come_after_all_count_from_where_the_fill_was_made_up(
    side: Side, prefix: str, parts, unheard: int, before, after, is_whole: bool
) -> None:
    """Shares, average cost and realised profit, whatever was traded before and since; what is still not heard stays."""
    left = 0 if is_whole else unheard
    total, made_at = sum(quantity for quantity, _ in parts) + left, D("20")
    world, plain = a_world(side), a_world(side)
    for one in (world, plain):
        others(one, before, "b")
    booked(world, f"{prefix}{ORDER}.1", ORDER, D(total * side.sign), made_at)
    for number, (quantity, price) in enumerate(parts):
        booked(plain, f"x{number}.01", ORDER, D(quantity * side.sign), price)
    if left:
        booked(plain, "rest.01", ORDER, D(left * side.sign), made_at)
    for one in (world, plain):
        others(one, after, "a")
    for number, (quantity, price) in enumerate(parts):
        world.take(execution(world.order(ORDER), world.now, f"x{number}.01", quantity, str(price)))
    assert world.state.book == plain.state.book
    assert world.state.paid == plain.state.paid
    assert world.order(ORDER).filled == total
    made = [fill for fill in world.state.fills.values() if fill.exec_id.startswith(prefix)]
    assert [abs(fill.quantity) for fill in made] == ([left] if left else [])


@pytest.mark.parametrize("prefix", ["inferred:", "resolved:"])
def test_two_executions_at_the_price_that_was_made_up_change_nothing(prefix: str) -> None:
    """Bought at 20, then at 10, half of it sold at 12: it has cost 15, and the sale lost 300."""
    world = a_world(Side.BUY)
    booked(world, f"{prefix}{ORDER}.1", ORDER, D(100), D(20))
    others(world, [(100, D(10)), (-100, D(12))], "y")
    expected = Holding(con_id=1, symbol="AAA", quantity=D(100), average_cost=D(15), realized=D(-300))
    assert world.state.book[1] == expected
    for name, quantity in (("x1.01", 30), ("x2.01", 70)):
        world.take(execution(world.order(ORDER), world.now, name, quantity, "20"))
        assert world.state.book[1] == expected


def test_the_rest_is_a_change_of_its_own_right_after_what_it_is_the_rest_of() -> None:
    """Under a number that no other change has or had."""
    world = a_world(Side.BUY)
    booked(world, "b.01", ENTRY, D(100), D(20))
    booked(world, f"inferred:{ORDER}.1", ORDER, D(50), D(20))
    others(world, [(-30, D(21))], "s")
    world.take(execution(world.order(ORDER), world.now, "x1.01", 20, "20"))
    names = [one.exec_id for one in world.state.course.values()]
    assert names[:2] + names[3:] == ["b.01", "x1.01", "s0.01"] and names[2].startswith(f"inferred:{ORDER}.")
    assert [one.before.quantity for one in world.state.course.values()] == [0, 100, 120, 150]
    assert len(set(world.state.course)) == 4


@pytest.mark.parametrize("prefix", ["inferred:", "resolved:"])
def test_a_strategys_part_is_of_what_was_heard_and_of_the_rest(prefix: str) -> None:
    """30 are heard of 100 bought, then 50 more, and then the last 20."""
    world = a_world(Side.BUY)
    mine = (Allocation(strategy="trend", quantity=D(1)),)
    put_order(world.state, replace(world.order(ORDER), allocations=mine))
    booked(world, f"{prefix}{ORDER}.1", ORDER, D(100), D(20))
    for name, quantity in (("x1.01", 30), ("x2.01", 50), ("x3.01", 20)):
        world.take(execution(world.order(ORDER), world.now, name, quantity, "20"))
        assert (world.state.held(1), world.state.parts["trend", 1].quantity) == (100, 100)


def test_how_much_is_still_not_heard_is_told_where_nobody_said_that_it_filled() -> None:
    """70 of 100 concluded from the position; what a person has said needs no more words."""
    for prefix, start in (("inferred:", "BUY 70 AAA"), ("resolved:", None)):
        world = a_world(Side.BUY)
        booked(world, f"{prefix}{ORDER}.1", ORDER, D(100), D(20))
        step = world.take(execution(world.order(ORDER), world.now, "x1.01", 30, "20"))
        told = [one for one in of_kind(step.effects, m.RaiseAlert) if one.key == "inferred_fill"]
        assert len(told) == (start is not None)
        assert all(one.text.startswith(f"{start} ({world.order(ORDER).ref}) filled by the account's") for one in told)


def test_an_older_journals_rest_is_traded_at_the_end() -> None:
    """Its facts do not say after which execution it comes, and mean what they did."""
    world = a_world(Side.BUY)
    booked(world, f"resolved:{ORDER}.1", ORDER, D(100), D(20))
    others(world, [(100, D(10)), (-100, D(12))], "y")
    step = world.take(execution(world.order(ORDER), world.now, "x1.01", 30, "20"))
    first, rest = of_kind(step.facts, m.FillBooked)
    assert (first.replaces, first.after, rest.replaces, rest.after) == (f"resolved:{ORDER}.1", None, None, "x1.01")
    old = a_world(Side.BUY)
    booked(old, f"resolved:{ORDER}.1", ORDER, D(100), D(20))
    others(old, [(100, D(10)), (-100, D(12))], "y")
    evolve(old.state, first)
    evolve(old.state, replace(rest, after=None))
    assert old.state.book[1].quantity == 100 and old.state.book[1].average_cost != 15


def test_what_the_rest_comes_after_may_be_kept_no_more() -> None:
    """Then it is traded at the end: shares and money are right."""
    world = a_world(Side.BUY)
    booked(world, f"resolved:{ORDER}.1", ORDER, D(100), D(20))
    others(world, [(100, D(10))], "y")
    world.state.course.clear()
    event = execution(world.order(ORDER), world.now, "x1.01", 30, "20")
    world.take(replace(event, executed_at=world.now - timedelta(days=2)))
    assert world.state.held(1) == 200 and world.state.paid == 3000
