"""Book and account that come to agree although an order of ours has filled: what others bring makes up for it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal as D

import pytest

from longwatch.domain import messages as m
from longwatch.domain.orders import OrderState
from longwatch.domain.state import evolve, put_order
from tests.domain.test_breaks import held, say
from tests.domain.world import World, alerts, completed, execution, of_kind


def told_to_have_sold(world: World) -> int:
    """A sale of 100 AAA in the account, told by its end alone; the order is known to have filled, unheard."""
    intent = sold_unheard(world)
    told_filled(world, intent)
    return intent


def sold_unheard(world: World) -> int:
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    world.end(intent)
    world.positions[1] -= 100
    world.moved("AAA")
    return intent


def told_filled(world: World, intent: int) -> None:
    world.take(completed(world.order(intent), world.now, "Filled", 100))


def stepped(world: World, *steps: int) -> None:
    """What others bring and take, each seen by one reading."""
    for step in steps:
        world.positions[1] += step
        world.moved("AAA")
        world.reconcile()


def after_the_close(world: World) -> list[str]:
    """The alerts of the readings after the session."""
    world.wait(7 * 3600)
    return [text for step in world.reconcile(4, seconds=90) for text in alerts(step)]


@pytest.mark.parametrize(
    ("steps", "is_held"), [((0, 30, 20, 50), True), ((0, 30, 70), True), ((0, -10, 110), True), ((0, 100), False)]
)
def test_a_difference_that_never_stood_and_is_gone_by_chance_holds_the_instrument(
    steps: tuple[int, ...], is_held: bool
) -> None:
    """Another at each reading, so nothing was held when it was none any more; the order is not taken for one that
    never was. One lot of just its shares is what one taken back looks like."""
    world = held()
    intent = told_to_have_sold(world)
    stepped(world, *steps)
    assert (1 in world.state.quarantines) is is_held
    told = after_the_close(world)
    assert world.state.held(1) == world.positions[1] == 200
    assert (1 in world.state.quarantines) is is_held
    assert world.order(intent).state is (OrderState.WORKING if is_held else OrderState.EXPIRED)
    assert ("fill_taken_back" in told) is not is_held
    texts = [one.text for _, step in world.steps for one in of_kind(step.effects, m.RaiseAlert)]
    agree_yet = [text for text in texts if "agree, yet" in text]
    assert len(agree_yet) == int(is_held) and all(text.startswith("AAA: ") for text in agree_yet)


def test_what_executions_have_told_of_is_no_part_of_what_may_come_back() -> None:
    """Of 100 sold 20 were heard: the 80 that return in one lot are one trade taken back."""
    world = held()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    world.fill(intent, 20)
    world.end(intent)
    world.positions[1] -= 80
    world.moved("AAA")
    told_filled(world, intent)
    stepped(world, 0, 80)
    assert not world.state.quarantines
    assert "fill_taken_back" in after_the_close(world)
    assert (world.state.held(1), world.positions[1]) == (180, 180)


def test_all_orders_that_were_told_to_have_filled_are_named() -> None:
    """Two sales, of which the account shows nothing any more."""
    world = held()
    first = told_to_have_sold(world)
    stepped(world, 0)
    second = replace(world.order(first), intent=first + 1, ref="lw:k7q2:9", perm_ids=())
    put_order(world.state, second)
    stepped(world, 30, 70)
    reason = world.state.quarantines[1].reason
    assert f"{world.order(first).ref}, {second.ref} is told to have filled more" in reason
    assert world.state.quarantines[1].tech == world.now


@pytest.mark.parametrize("is_told", [False, True], ids=["nothing is told of it", "it was told just now"])
def test_one_instrument_that_is_not_held_keeps_no_other_from_it(is_told: bool) -> None:
    """AAA and BBB come to agree at the same reading; of BBB a sale was told to have filled."""
    world = World.ready()
    for order in world.trade(AAA="0.2", BBB="0.2"):
        world.finish(order.intent)
    world.reconcile()
    sales = world.trade(AAA="0.1", BBB="0.1")
    for sale in sales:
        world.acknowledge(sale.intent)
        world.end(sale.intent)
        world.positions[sale.con_id] -= sale.quantity
        world.moved(sale.symbol)
    for part in (D(0), D("0.3"), D("0.7")):
        for sale in sales:
            world.positions[sale.con_id] += sale.quantity * part
            world.moved(sale.symbol)
        world.reconcile()
    assert not world.state.quarantines
    told = {sale.symbol: sale for sale in sales}
    world.take(completed(told["BBB"], world.now, "Filled", 200))
    world.wait(60)
    if is_told:
        world.take(completed(told["AAA"], world.now, "Filled", 100))
    world.snapshot()
    assert [one.symbol for one in world.state.quarantines.values()] == ["BBB"]


@pytest.mark.parametrize("steps", [(0, 30, 70), (0, 0, 30, 70)])
def test_an_order_told_to_have_filled_after_the_difference_is_gone_is_held_against_it(steps: tuple[int, ...]) -> None:
    """Whether it had been held by then, and let go as nothing was told, or not."""
    world = held()
    intent = sold_unheard(world)
    stepped(world, *steps)
    assert not world.state.quarantines
    told_filled(world, intent)
    asked = of_kind(world.snapshot().effects, m.RequestSnapshot)
    assert not world.state.quarantines, "its executions may be on their way"
    assert [one.after_seconds for one in asked if one.reason == "fills are told without executions"] == [
        world.state.settings.acknowledge_seconds + 1
    ]
    world.reconcile()
    reason = world.state.quarantines[1].reason
    assert reason == f"position: book and account agree, yet {world.order(intent).ref} is told to have filled more"
    assert "fill_taken_back" not in after_the_close(world)
    assert world.order(intent).state is OrderState.WORKING


def test_executions_heard_after_all_end_the_hold() -> None:
    """What others brought is then the difference, and stands by itself."""
    world = held()
    intent = told_to_have_sold(world)
    stepped(world, 0, 30, 70)
    assert 1 in world.state.quarantines
    world.take(execution(world.order(intent), world.now, "late.01", 100, "100"))
    world.positions[1] -= 100
    world.reconcile(2)
    assert world.state.held(1) == world.positions[1] == 100 and not world.state.quarantines


@pytest.mark.parametrize("steps", [(0, 100), (100,)], ids=["apart for a reading", "never seen apart"])
def test_what_was_apart_before_the_order_was_sent_is_not_held_against_it(steps: tuple[int, ...]) -> None:
    world = held()
    stepped(world, 30, -30)
    world.wait(60)
    intent = told_to_have_sold(world)
    stepped(world, *steps)
    after_the_close(world)
    assert world.order(intent).state is OrderState.EXPIRED and not world.state.quarantines


def test_a_difference_that_an_execution_explains_is_not_gone_by_chance() -> None:
    """The account stayed where it was, and the book came to it: a part that was heard late."""
    world = held()
    intent = sold_unheard(world)
    world.positions[1] += 80
    world.moved("AAA")
    world.snapshot()
    world.take(execution(world.order(intent), world.now, "part.01", 20, "100"))
    world.executions.append("part.01")
    told_filled(world, intent)
    world.reconcile(2)
    assert world.state.held(1) == world.positions[1] == 180
    assert not world.state.quarantines


@pytest.mark.parametrize("reason", ["a row of it was unreadable", ""])
def test_an_agreement_by_chance_under_another_hold_ends_no_order(reason: str) -> None:
    """The other's reason stays; without one, a person who lifts it has looked, and it is not held again."""
    world = held()
    intent = told_to_have_sold(world)
    if reason:
        evolve(world.state, m.QuarantineSet(con_id=1, symbol="AAA", reason=reason, tech=world.now))
    stepped(world, 0, 30, 70)
    if reason:
        assert world.state.quarantines[1].reason == reason
        assert "fill_taken_back" not in after_the_close(world)
        assert world.order(intent).state is OrderState.WORKING
    else:
        say(world, "unquarantine", "AAA")
        assert "fill_taken_back" in after_the_close(world)
        assert world.order(intent).state is OrderState.EXPIRED and not world.state.quarantines
