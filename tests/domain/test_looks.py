"""What differences look like that came up together: their causes share one figure of cash, and all must fit it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.reconciliation.causes import Cause
from longwatch.domain.reconciliation.looks import likely_causes
from longwatch.domain.state import Fill, Moved
from tests.domain.world import SYMBOLS, World, of_kind

A, C, T, U = Cause.ASSIGNMENT, Cause.CORRECTION, Cause.TRANSFER, Cause.UNEXPLAINED
LATER = timedelta(microseconds=1)


def filled(world: World, con_id: int, quantity: int, price: str, commission: str = "1.25") -> None:
    exec_id = f"{len(world.state.fills):04x}.01"
    world.state.fills[exec_id] = Fill(
        exec_id=exec_id,
        intent=1,
        con_id=con_id,
        symbol=SYMBOLS[con_id],
        quantity=D(quantity),
        price=D(price),
        executed_at=world.now,
        tech=world.now,
    )
    world.state.commissions[exec_id] = D(commission)


def rows(world: World, *missing: int | str) -> list[m.Difference]:
    """One difference in each of the first instruments; the account's shares have moved since the last comparison."""
    found = []
    for con_id, quantity in enumerate(missing, start=1):
        world.state.moved[con_id] = Moved(quantity=D(0), average_cost=None, at=world.now + LATER)
        found.append(m.Difference(con_id=con_id, symbol=SYMBOLS[con_id], book=D(0), outside=D(0), account=D(quantity)))
    return found


def looks(world: World, cash: str | None, *missing: int | str) -> list[tuple[Cause, tuple[Cause, ...]]]:
    told = likely_causes(world.state, rows(world, *missing), None if cash is None else D(cash))
    return [(row.cause, row.possible) for row in told]


@pytest.mark.parametrize(
    ("cash", "missing", "causes"),
    [
        ("0", (30, -7, 12), (T, T, T)),
        ("-3750", (100, 30), (A, T)),
        ("-3750", (30, 100), (T, A)),
        ("-3750", (100, 200), (A, A)),
        ("3750", (-100, -200), (A, A)),
        ("-150", (100, 200), (A, A)),
        ("150", (-100, -200), (A, A)),
        ("3750", (100, 200), (U, U)),
        ("3750", (100, -200), (A, A)),
        ("-3750.01", (100, 200), (U, U)),
        ("-3775", (100, 200), (U, U)),
        ("-3750", (30, 60), (U, U)),
    ],
)
def test_several_at_once_are_named_where_each_part_could_be_it(
    cash: str, missing: tuple[int, ...], causes: tuple[Cause, ...]
) -> None:
    """Strikes are half units above nothing, and contracts deliver hundreds; fewest kinds of causes come first."""
    assert looks(World.ready(), cash, *missing) == [(cause, ()) for cause in causes]


@pytest.mark.parametrize(
    ("cash", "fits"),
    [
        ("-2241", True),
        ("-2239.75", True),
        ("-2239.74", True),
        ("-2241.01", True),
        ("-2240", False),
        ("-2239.73", False),
    ],
)
def test_a_fill_taken_back_and_an_assignment_share_the_cash(cash: str, fits: bool) -> None:
    """1509 came back, with the commission of 1.25 or without, to a cent; 3750 was paid at a strike of 37.5."""
    world = World.ready()
    filled(world, 2, 30, "50.30")
    assert looks(world, cash, 100, -30) == ([(A, ()), (C, ())] if fits else [(U, ()), (U, ())])


def test_where_explanations_are_as_plain_as_each_other_all_of_them_are_said() -> None:
    """An assignment may have been of either; which nobody can tell."""
    world = World.ready()
    filled(world, 1, -100, "37.50", commission="0")
    assert looks(world, "-3750", 100) == [(U, (C, A))]


@pytest.mark.parametrize(("cash", "missing"), [("-100", (100, 200)), ("100", (-100, -200))])
def test_no_strike_is_below_half_a_unit(cash: str, missing: tuple[int, int]) -> None:
    """Both assigned would have moved 150 at least: one was, and the other transferred, whichever."""
    assert looks(World.ready(), cash, *missing) == [(U, (T, A)), (U, (A, T))]


def test_what_a_working_order_may_have_paid_leaves_the_others_several_causes() -> None:
    """Its cash is not known, so what is left of it says nothing of them; what has one cause only is not told apart."""
    world = World.ready()
    world.acknowledge(world.one(AAA="0.1"))
    assert looks(world, "-3750", 30, 100, 7) == [(Cause.LATE_FILL, ()), (U, (T, A)), (U, ())]


def test_without_cash_one_alone_says_nothing() -> None:
    """A look is no proof, and a wrong look no better than none."""
    assert looks(World.ready(), None, 100) == [(U, ())]
    assert looks(World.ready(), None, 100, 30) == [(U, (T, A)), (U, ())]


def test_fractions_are_assigned_to_nobody() -> None:
    assert looks(World.ready(), "-50", "0.5") == [(U, ())]
    assert looks(World.ready(), "0", "0.5") == [(T, ())]


def test_a_book_that_has_changed_beside_an_account_that_has_not_is_no_transfer() -> None:
    """No cause of the account's can have been at work; its cash is the others'."""
    world = World.ready()
    found = rows(world, 30, 100)
    compared = world.state.compared
    assert compared is not None
    for at in (compared.at, None):
        moved = world.state.moved[1]
        world.state.moved[1] = replace(moved, at=at)
        told = likely_causes(world.state, found, D(-3750))
        expected = [U, A] if at is not None else [T, A]
        assert [row.cause for row in told] == expected
    world.state.moved.clear()
    assert [row.cause for row in likely_causes(world.state, found, D(0))] == [U, U]
    world.state.compared = replace(compared, at=None)
    assert [row.cause for row in likely_causes(world.state, found, D(0))] == [T, T]
    world.state.compared = None
    assert [row.cause for row in likely_causes(world.state, found, D(0))] == [T, T]


def test_more_explanations_than_can_be_looked_through_leave_several() -> None:
    """Eight fills of one size in each of three instruments: none can be told from another."""
    world = World.ready()
    for con_id in (1, 2, 3):
        for _ in range(8):
            filled(world, con_id, 30, "50.30")
    assert looks(world, "1509", -30, -30, -30) == [(U, (T, C))] * 3


@pytest.mark.parametrize(("most", "named"), [(4, [(A, ()), (A, ())]), (3, [(U, (T, A)), (U, (T, A))])])
def test_as_many_as_can_be_looked_through_are(
    most: int, named: list[tuple[Cause, tuple[Cause, ...]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two causes each are four explanations of both."""
    monkeypatch.setattr("longwatch.domain.reconciliation.looks.MOST_EXPLANATIONS", most)
    assert looks(World.ready(), "-3750", 100, 200) == named


def test_a_single_share_is_assigned_as_many_are() -> None:
    """Above half a unit, and not below it."""
    assert looks(World.ready(), "-50", 1) == [(A, ())]
    assert looks(World.ready(), "50", -1) == [(A, ())]
    assert looks(World.ready(), "50", 1) == [(U, ())]


@pytest.mark.parametrize(
    ("cash", "missing", "fits"),
    [
        ("1459.01", 100, True),
        ("1459.02", 100, False),
        ("1458.99", 100, True),
        ("1558.99", -100, True),
        ("1558.98", -100, False),
        ("1559.01", -100, True),
    ],
)
def test_the_cent_of_a_fill_taken_back_counts_at_the_least_strike_too(cash: str, missing: int, fits: bool) -> None:
    """1509 came back; a hundred shares at a strike of a half came for 50, or went for it."""
    world = World.ready()
    filled(world, 2, 30, "50.30", commission="0")
    assert looks(world, cash, missing, -30) == ([(A, ()), (C, ())] if fits else [(U, ()), (U, ())])


def held() -> World:
    world = World.ready(CCC=10)
    world.finish(world.one(AAA="0.2"))
    world.reconcile()
    return world


def test_several_that_came_at_once_are_told_as_what_they_look_like() -> None:
    """By the whole daemon's way: downloads, two looks, a quarantine each with its cause in words."""
    world = held()
    world.positions[1] += 100
    world.positions[3] += 40
    world.cash -= 100 * D("92.5")
    steps = world.reconcile(3)
    assert [world.state.quarantines[con_id].cause for con_id in (1, 3)] == [A, T]
    said = [one.text for step in steps for one in of_kind(step.effects, m.RaiseAlert)]
    assert any("AAA" in text and "it looks like: assignment or exercise" in text for text in said)


def test_several_possible_causes_are_told_in_words() -> None:
    world = World.ready()
    world.finish(world.one(AAA="0.1"))
    world.reconcile()
    world.acknowledge(world.one(AAA="0.1", BBB="0.1"))
    world.positions[1] += 100
    world.positions[2] = D(50)
    steps = world.reconcile(3)
    assert world.state.quarantines[2].cause is Cause.LATE_FILL
    held_back = world.state.quarantines[1]
    assert held_back.cause is U
    assert held_back.reason.endswith("; several causes are possible: transfer, assignment or exercise")
    said = [one.text for step in steps for one in of_kind(step.effects, m.RaiseAlert)]
    assert any("AAA" in text and "several causes are possible" in text for text in said)
    (row,) = (one for one in world.state.compared.differences if one.con_id == 1) if world.state.compared else ()
    assert row.possible == (T, A) and row.looks == 3


def test_a_correction_and_a_fill_taken_back_leave_no_cash_unexplained() -> None:
    """What was paid follows each revision, and each commission: a transfer beside them still is one."""
    world = held()
    (exec_id, *_) = world.executions
    world.hear(m.CommissionSeen, exec_id=exec_id, commission=D("1.25"), currency="USD")
    world.cash -= D("1.25")
    world.reconcile()
    fill = world.state.fills[exec_id]
    new = exec_id.removesuffix(".01") + ".02"
    order = world.state.orders[fill.intent or 0]
    world.hear(
        m.ExecutionSeen,
        exec_id=new,
        perm_id=order.perm_ids[0],
        account=world.state.account,
        con_id=fill.con_id,
        symbol=fill.symbol,
        side=Side.BUY,
        quantity=fill.quantity,
        price=fill.price - 2,
        cumulative=fill.quantity,
        executed_at=fill.executed_at,
        ref=order.ref,
        client_id=world.state.client_id,
        order_id=order.order_id,
    )
    assert new in world.state.fills and exec_id not in world.state.fills
    world.executions = [new if one == exec_id else one for one in world.executions]
    world.cash += 2 * fill.quantity
    world.positions[3] += 40
    world.reconcile(3)
    assert world.state.quarantines[3].cause is T
    spent = sum((one.quantity * one.price for one in world.state.fills.values()), D(0))
    assert world.state.paid == spent + sum(world.state.commissions.values(), D(0))
    assert of_kind(world.steps[-1][1].facts, m.BookCompared)[0].paid == world.state.paid
