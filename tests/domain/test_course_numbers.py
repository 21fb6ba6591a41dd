"""Changes of our holdings are told apart by their numbers for ever: what is gone gives its number to nothing else."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument
from longwatch.domain.safeguards.stop_levels import levelled
from longwatch.domain.state import evolve
from tests.domain.test_course import Told
from tests.domain.world import START

D = Decimal
LATER = START + timedelta(hours=1)


def level_set(told: Told, level: Decimal | None) -> None:
    row = m.StopLevelSet(
        con_id=1, symbol="AAA", level=level, is_long=True, opened_at=START, at=START, because="as it was"
    )
    evolve(told.state, row)


def split(told: Told, book: str) -> None:
    """One new share of AAA for ten."""
    fact = m.SplitBooked(
        con_id=1,
        symbol="AAA",
        new=1,
        old=10,
        book=D(book),
        outside=D(0),
        average_cost=D(100),
        sizing_price=None,
        at=LATER,
        proof="",
    )
    evolve(told.state, fact)


def test_a_number_is_never_given_twice() -> None:
    """A split that pays out a rest ends all that is known; what comes then counts on."""
    told = Told()
    for _ in range(3):
        told.fill(1, D(33), D(10))
    assert list(told.state.course) == [1, 2, 3]
    split(told, "9")
    told.fill(2, D(5), D(1))
    assert list(told.state.course) == [4]


@pytest.mark.parametrize(("bought", "held"), [("33", "3"), ("30", "3")])
def test_a_level_of_before_a_split_does_not_come_to_what_was_bought_anew(bought: str, held: str) -> None:
    """Whether a rest was paid out, so that its purchase is no more known of, or not: it had been closed before."""
    told = Told()
    told.fill(1, D(100), D(10))
    level_set(told, D(9))
    told.fill(1, D(-100), D(9))
    told.fill(2, D(5), D(1))
    level_set(told, None)
    told.fill(1, D(bought), D(10))
    split(told, held)
    at = LATER + timedelta(minutes=1)
    event = m.OrderHanded(at=at, tech=at, intent=11)
    assert told.state.held(1) == 3
    assert list(levelled(told.state, Instrument(con_id=1, symbol="AAA"), D(held), event)) == []
