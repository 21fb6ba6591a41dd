"""The rows of the course of our holdings: what each says, how long it is kept, and what a split makes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from longwatch.domain.course import AT_ONCE, KEPT, Booked, booked, inserted, is_held_since, revised, split
from longwatch.domain.positions import Holding
from tests.domain.world import START

D = Decimal
TICK = timedelta(microseconds=1)
FLAT = Holding(con_id=1, symbol="AAA")


def holding(quantity: int | str, cost: int | str = 0, con_id: int = 1) -> Holding:
    return Holding(con_id=con_id, symbol="AAA", quantity=D(quantity), average_cost=D(cost))


def row(
    exec_id: str, signed: int | str, price: int | str, before: Holding = FLAT, tech: datetime | None = START
) -> Booked:
    return Booked(exec_id=exec_id, signed=D(signed), price=D(price), tech=tech, before=before)


def test_a_row_says_by_which_execution_what_came_to_which_holding_when() -> None:
    """Under the number given; what is returned is the holding after it."""
    course: dict[int, Booked] = {}
    held = booked(course, 1, FLAT, "a", D(10), D(100), START)
    assert held == holding(10, 100)
    assert booked(course, 2, held, "", D(30), D(120), None) == holding(40, 115)
    assert course == {1: row("a", 10, 100), 2: row("", 30, 120, held, None)}


def filled_up(*techs: datetime | None) -> dict[int, Booked]:
    """Rows at these times, and more of now up to the last one before some are looked for."""
    course: dict[int, Booked] = {}
    for number in range(AT_ONCE - 1):
        tech = techs[number] if number < len(techs) else START
        booked(course, number + 1, FLAT, f"{number + 1}", D(1), D(100), tech)
    return course


def test_rows_are_kept_for_eight_days_and_gone_by_the_next_multiple_of_64() -> None:
    """What has no time of its own is as old as what comes after it, and the first young one ends the look."""
    old, young = START - KEPT - TICK, START - KEPT
    course = filled_up(None, old, None, old, None, young, None, old)
    assert list(course) == list(range(1, AT_ONCE))
    booked(course, AT_ONCE, FLAT, "last", D(1), D(100), START)
    assert list(course) == list(range(5, AT_ONCE + 1))
    booked(course, AT_ONCE + 1, FLAT, "one more", D(1), D(100), START + KEPT)
    assert list(course) == list(range(5, AT_ONCE + 2))


def test_what_has_no_time_at_the_front_stays_with_what_comes_after_it() -> None:
    """Nothing tells that it is old."""
    course = filled_up(None, None, START - KEPT)
    booked(course, AT_ONCE, FLAT, "last", D(1), D(100), START)
    assert list(course) == list(range(1, AT_ONCE + 1))


def test_a_clock_that_had_jumped_ahead_keeps_nothing_for_longer() -> None:
    """Its row is as old as the next that has a time of its own."""
    ahead, old = START + 100 * KEPT, START - KEPT - TICK
    course = filled_up(old, ahead, old, ahead)
    booked(course, AT_ONCE, FLAT, "last", D(1), D(100), START)
    assert list(course) == list(range(4, AT_ONCE + 1))
    course = filled_up(ahead, START)
    booked(course, AT_ONCE, FLAT, "last", D(1), D(100), START)
    assert list(course) == list(range(1, AT_ONCE + 1))
    course = filled_up(START + KEPT, old)
    booked(course, AT_ONCE, FLAT, "last", D(1), D(100), START + KEPT)
    assert 1 in course and 2 in course, "one of this very instant is young, and ends the look"


def test_what_has_no_time_ends_no_row() -> None:
    """The next one that has, at such a number, does."""
    course = filled_up(START - 2 * KEPT)
    booked(course, AT_ONCE, FLAT, "adopted", D(1), D(100), None)
    assert list(course) == list(range(1, AT_ONCE + 1))


def test_an_execution_that_replaces_another_takes_its_place_and_its_name() -> None:
    """A third replaces the second again; the time of the first stays, and other instruments' rows do."""
    course: dict[int, Booked] = {}
    first = booked(course, 1, FLAT, "a.01", D(10), D(100), START)
    booked(course, 2, holding(5, 7, con_id=2), "b.01", D(1), D(8), START)
    booked(course, 3, first, "c.01", D(10), D(120), START + TICK)
    assert revised(course, 1, "a.01", "a.02", D(10), D(110)) == holding(20, 115)
    assert course == {
        1: row("a.02", 10, 110),
        2: row("b.01", 1, 8, holding(5, 7, con_id=2)),
        3: row("c.01", 10, 120, holding(10, 110), START + TICK),
    }
    assert revised(course, 1, "a.02", "a.03", D(30), D(100)) == holding(40, 105)
    assert revised(course, 1, "a.01", "a.04", D(1), D(1)) is None
    assert revised(course, 2, "a.03", "a.04", D(1), D(1)) is None


def test_a_row_comes_right_after_the_execution_it_belongs_to() -> None:
    """With that one's time, before whatever came since, which is counted anew; its number is a new one all the same."""
    course = {
        3: row("a", 10, 100, FLAT, START - TICK),
        4: row("b", 1, 8, holding(5, 7, con_id=2)),
        7: row("c", 10, 120, holding(10, 100)),
        8: row("d", -5, 130, holding(20, 110)),
    }
    assert inserted(course, 9, "a", 1, "a.rest", D(20), D(70)) == replace(holding(35, 90), realized=D(200))
    assert list(course.items()) == [
        (3, row("a", 10, 100, FLAT, START - TICK)),
        (9, row("a.rest", 20, 70, holding(10, 100), START - TICK)),
        (4, row("b", 1, 8, holding(5, 7, con_id=2))),
        (7, row("c", 10, 120, holding(30, 80))),
        (8, row("d", -5, 130, holding(40, 90))),
    ]


def test_a_row_after_what_is_not_kept_has_no_place() -> None:
    """Of that very instrument."""
    course = {3: row("a", 10, 100)}
    assert inserted(course, 9, "b", 1, "b.rest", D(20), D(70)) is None
    assert inserted(course, 9, "a", 2, "a.rest", D(20), D(70)) is None
    assert course == {3: row("a", 10, 100)}


def test_a_row_of_no_shares_leaves_the_holding_as_it_is() -> None:
    """Its price says nothing: neither where something is held nor where nothing is."""
    course: dict[int, Booked] = {}
    booked(course, 1, holding(10, 100), "a.01", D(5), D(130), START)
    assert revised(course, 1, "a.01", "a.02", D(0), D(7)) == holding(10, 100)
    course = {1: row("a.01", 5, 130)}
    assert revised(course, 1, "a.01", "a.02", D(0), D(7)) is not None
    assert revised(course, 1, "a.02", "a.03", D(0), D(7)) == FLAT


def test_held_since_is_held_at_each_later_row_of_the_instrument() -> None:
    """On that side, be it a part of a share; the row itself, from which on, may begin at nothing."""
    course = {
        3: row("a", 10, 100),
        4: row("b", 1, 8, holding(-5, con_id=2)),
        5: row("c", "-9.5", 100, holding(10)),
        6: row("d", "0.1", 100, holding("0.5")),
    }
    assert is_held_since(course, 1, 3, 1)
    assert not is_held_since(course, 1, 3, -1)
    assert is_held_since(course, 2, 3, -1)
    assert not is_held_since(course, 1, 2, 1), "no more is known"
    course[7] = row("e", 5, 100, holding(0))
    assert not is_held_since(course, 1, 3, 1)
    assert is_held_since(course, 1, 7, 1) and not is_held_since(course, 1, 7, -1)
    course[8] = row("f", "-4.5", 100, holding(5))
    assert is_held_since(course, 1, 8, 1)
    course[8] = row("f", -5, 100, holding(5))
    assert not is_held_since(course, 1, 8, 1), "it has closed the holding"
    assert is_held_since(course, 2, 8, 1), "and no other's"


def halved() -> dict[int, Booked]:
    """30 shares of AAA in two rows, and a row of another instrument between them."""
    return {
        1: row("a", 10, 100, holding(0, 0)),
        2: row("b", 1, 8, holding(5, 7, con_id=2)),
        3: row("c", 20, 130, holding(10, 100), None),
    }


def test_a_split_makes_every_row_one_in_shares_of_after_it() -> None:
    """Three for two: 45 shares; quantities grow as prices shrink, and nothing else of a row changes."""
    course = halved()
    assert split(course, 1, 3, 2, D(45))
    assert course == {
        1: row("a", 15, D(200) / 3, holding(0, 0)),
        2: row("b", 1, 8, holding(5, 7, con_id=2)),
        3: row("c", 30, D(260) / 3, holding(15, D(200) / 3), None),
    }


def test_a_split_that_left_a_rest_ends_what_is_known_of_the_instrument() -> None:
    """One for seven would be 4.2857…; another's rows stay, and where there is none nothing does."""
    course = halved()
    assert not split(course, 1, 1, 7, D(4))
    assert list(course) == [2]
    assert not split(course, 1, 1, 7, D(4))
    assert list(course) == [2]
