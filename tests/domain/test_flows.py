"""Readings of the account's worth that are wrong, not whole, or moved by money that came or went."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.levels import Level
from longwatch.domain.replies import objection
from tests.domain.test_holds import held, limited, read
from tests.domain.world import MONDAY, World, of_kind

D = Decimal
NOT_WHOLE = (("completed orders", "no answer in time"),)


def mark(world: World) -> m.EquityMarked:
    return world.state.marks[(Level.ACCOUNT, "DU123456")]


def said(world: World, amount: str) -> m.ControlRequested:
    """What a person says of money; decided on, whatever there is against it."""
    event = m.ControlRequested(at=world.now, tech=world.now, command="flow", argument=amount, by="uid 1000")
    world.take(event)
    return event


def test_a_withdrawal_in_a_drawdown_is_no_further_loss() -> None:
    """A tenth below the peak before 60,000 of 90,000 went, and a tenth below it after; a fifth is a fifth then."""
    world = World.ready(limited(drawdown=D("0.2"), daily_loss=D("0.2")))
    assert read(world, 90_000, 100_000, rounds=2) == []
    assert read(world, 30_000, 40_000, rounds=3) == []
    assert round(mark(world).peak, 6) == round(D(100_000) / 3, 6)
    assert {hold.rule for hold in read(world, 26_000, 40_000, rounds=2)} == {"drawdown", "daily_loss"}


def test_a_withdrawal_that_a_person_tells_is_scaled_whether_or_not_a_reading_shows_it() -> None:
    """Said before the money goes, or after: the same start."""
    for equity in (100_000, 70_000):
        world = World.ready(limited(daily_loss=D("0.5")))
        read(world, equity, rounds=2)
        said(world, "-30000")
        assert (mark(world).start, mark(world).peak) == (70_000, 70_000)


def test_a_reading_that_is_not_whole_counts_neither_for_a_loss_nor_for_a_flow() -> None:
    """One whole reading is one; a withdrawal that the failed one has shown first is a withdrawal."""
    world = World.ready(limited(daily_loss=D("0.05")))
    world.wait(31)
    world.snapshot(net_liquidation=D(90_000), failures=NOT_WHOLE)
    assert read(world, 90_000) == []
    assert len(read(world, 90_000)) == 1
    world = World.ready(limited(daily_loss=D("0.05")))
    world.wait(31)
    world.snapshot(net_liquidation=D(70_000), cash=D(70_000), failures=NOT_WHOLE)
    assert read(world, 70_000, 70_000, rounds=3) == []
    assert mark(world).start == 70_000


@pytest.mark.parametrize("wrong", [112_000, 92_000])
def test_one_wrong_reading_before_the_open_is_no_start(wrong: int) -> None:
    """Too high it would set a hold, too low hide a loss of nine per cent."""
    world = World.ready(limited(daily_loss=D("0.05")))
    world.now = MONDAY.open_at - timedelta(minutes=10)
    read(world, 100_000, rounds=2)
    world.now = MONDAY.open_at - timedelta(minutes=2)
    read(world, wrong)
    world.now = MONDAY.open_at
    assert read(world, 100_000, rounds=2) == []
    assert mark(world).start == 100_000
    (hold,) = read(world, 91_000, rounds=2)
    assert hold.observed == D("0.09")


def test_a_flow_that_was_told_is_not_booked_again_when_it_shows() -> None:
    """Twenty per cent told, then seen: the start is 80,000, and 66,000 are a loss of 17.5 %. A second one counts."""
    world = World.ready(limited(daily_loss=D("0.17")))
    said(world, "-20000")
    assert read(world, 80_000, 80_000, rounds=2) == []
    assert (mark(world).start, mark(world).peak) == (80_000, 80_000)
    assert read(world, 60_000, 60_000, rounds=2) == []
    assert mark(world).start == 60_000
    (hold,) = read(world, 49_500, 60_000, rounds=2)
    assert hold.observed == D("0.175")


@pytest.mark.parametrize("told", ["-20000", "-19900"])
def test_a_flow_that_was_noticed_is_not_booked_again_when_it_is_told(told: str) -> None:
    """Nor about the same with a fee; the reply says so. Taken back, or told long afterwards, it is another one."""
    world = World.ready(limited(daily_loss=D("0.5")))
    read(world, 100_000, 100_000, rounds=2)
    read(world, 80_000, 80_000, rounds=2)
    assert (mark(world).start, mark(world).peak) == (80_000, 80_000)
    why = objection(world.state, said(world, told))
    assert why is not None and "counted already" in why
    assert (mark(world).start, mark(world).peak) == (80_000, 80_000)
    assert objection(world.state, said(world, "20000")) is None
    assert mark(world).start == 100_000
    later = m.ControlRequested(at=world.now + timedelta(days=4), tech=world.now, command="flow", argument=told, by="x")
    assert objection(world.state, later) is None


def test_a_second_flow_of_the_same_amount_can_be_told_in_parts_or_in_the_next_session() -> None:
    """The market moved with it, so that no reading told of it; the refusal names both ways."""
    for parts in (["-5000", "-5000"], ["-10000"]):
        world = World.ready(limited(daily_loss=D("0.5")))
        read(world, 100_000, 100_000, rounds=2)
        read(world, 90_000, 90_000, rounds=2)
        read(world, 77_000, 80_000, rounds=2)
        assert mark(world).start == 90_000
        why = objection(world.state, said(world, "-10000"))
        assert why is not None and "in two parts, or after the next open" in why
        assert mark(world).start == 90_000
        if len(parts) == 1:
            world.now = MONDAY.open_at
        event = m.ControlRequested(at=world.now, tech=world.now, command="flow", argument=parts[0], by="x")
        assert objection(world.state, event) is None
        for part in parts:
            said(world, part)
        assert mark(world).start < 90_000 - 9_000


@pytest.mark.parametrize("amount", ["-100000", "-200000"])
def test_what_would_leave_nothing_is_refused_and_moves_nothing(amount: str) -> None:
    """A limit on losses that is measured from nothing is none."""
    world = World.ready(limited(daily_loss=D("0.05")))
    event = said(world, amount)
    why = objection(world.state, event)
    assert why is not None and "worth nothing" in why
    assert of_kind(world.steps[-1][1].facts, m.FlowBooked) == []
    assert (mark(world).start, mark(world).peak) == (100_000, 100_000)
    read(world, 50_000, rounds=2)
    assert held(world) == {("DU123456", "daily_loss", "reducing")}
