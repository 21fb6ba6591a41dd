"""What is held after a correction across a split, to the last digit: a third of a share, three times, is a share."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.domain import messages as m
from longwatch.domain.course import Booked, is_held_since
from longwatch.domain.instruments import Side
from longwatch.domain.orders import Allocation
from longwatch.domain.positions import Holding, after_fill, settled
from longwatch.domain.state import State, evolve, put_order
from tests.domain.test_exposure import order
from tests.domain.world import START

D = Decimal
RATIOS = [(1, 3), (1, 6), (1, 7), (1, 12), (1, 15), (1, 30), (2, 3), (3, 2), (7, 5), (4, 1)]
LATER = timedelta(hours=1)
INTENTS = {Side.BUY: 1, Side.SELL: 2}


@dataclass(slots=True)
class Split:
    """Executions in whole shares of their own time, of one strategy's orders; `rows`: name -> shares, splits by then.

    Each split comes out in whole shares: the broker's are whole.
    """

    state: State = field(default_factory=State)
    rows: dict[str, tuple[int, int]] = field(default_factory=dict)
    ratios: list[tuple[int, int]] = field(default_factory=list)
    names: int = 0

    def __post_init__(self) -> None:
        for side, intent in INTENTS.items():
            mine = (Allocation(strategy="one", quantity=D(side.sign)),)
            put_order(self.state, replace(order(intent, 10**6, side), allocations=mine))

    def tell(self, shares: int, price: str, splits: int, replaces: str | None = None) -> str:
        """An execution of the time after so many splits, told now."""
        self.names += 1
        side = Side.BUY if shares >= 0 else Side.SELL
        name, at = f"e{self.names}", START + splits * LATER
        fact = m.FillBooked(
            exec_id=name,
            intent=INTENTS[side],
            con_id=1,
            symbol="AAA",
            side=side,
            quantity=D(abs(shares)),
            price=D(price),
            executed_at=at,
            tech=at,
            replaces=replaces,
            recounted=replaces is not None,
        )
        evolve(self.state, fact)
        if replaces is not None:
            del self.rows[replaces]
        self.rows[name] = shares, splits
        return name

    def exact(self) -> Fraction:
        whole = Fraction(0)
        for shares, splits in self.rows.values():
            mine = Fraction(shares)
            for new, old in self.ratios[splits:]:
                mine *= Fraction(new, old)
            whole += mine
        return whole

    def split(self, new: int, old: int) -> None:
        short = -self.exact() % old
        assert short.denominator == 1
        if short:
            self.tell(int(short), "10", len(self.ratios))
        book = self.exact() * new / old
        fact = m.SplitBooked(
            con_id=1,
            symbol="AAA",
            new=new,
            old=old,
            book=D(int(book)),
            outside=D(0),
            average_cost=self.state.book.get(1, Holding(con_id=1, symbol="AAA")).average_cost * old / new,
            sizing_price=None,
            at=START + len(self.ratios) * LATER + LATER / 2,
            proof="",
        )
        evolve(self.state, fact)
        self.ratios.append((new, old))

    def judge(self) -> None:
        """Exactly, where it is a number of shares that there can be; what has no end of digits, as far as these go."""
        exact, part = self.exact(), self.state.parts.get(("one", 1))
        for told in (self.state.held(1), part.quantity if part else D(0)):
            if (exact * 10**9).denominator == 1:
                assert told == exact
            assert abs(Fraction(told) - exact) < Fraction(1, 10**15)


shares = st.integers(-300, 300)
bought = st.lists(shares.filter(bool), max_size=6)
changes = st.lists(st.tuples(st.sampled_from(("correct", "price", "late", "fill")), st.integers(0, 60), shares))


def changed(told: Split, what: str, number: int, amount: int) -> None:
    names = list(told.rows)
    if what in ("correct", "price") and names:
        name = names[number % len(names)]
        former, splits = told.rows[name]
        told.tell(former if what == "price" else amount, "11.01", splits, name)
    elif amount:
        told.tell(amount, "12", 0 if what == "late" else len(told.ratios))


@given(st.lists(st.tuples(bought, st.sampled_from(RATIOS)), min_size=1, max_size=2), changes)
def test_what_is_held_is_what_the_fills_make_it(past, later) -> None:
    """Fills, splits, and whatever is corrected, taken back or told late after them; of the strategy's part too."""
    told = Split()
    for fills, ratio in past:
        for amount in fills:
            told.tell(amount, "10", len(told.ratios))
        told.split(*ratio)
    told.judge()
    for act in later:
        changed(told, *act)
        told.judge()


@pytest.mark.parametrize("old", [3, 6, 7, 12, 15, 30])
def test_a_price_corrected_after_a_reverse_split_leaves_the_shares_as_they_are(old: int) -> None:
    """A fraction off, the book would differ from the account for ever."""
    told = Split()
    names = [told.tell(amount, "10", 0) for amount in (100, 100, 100 + -300 % old)]
    told.split(1, old)
    held = told.state.held(1)
    told.tell(100, "10.01", 0, names[1])
    assert told.state.held(1) == held == told.exact()


def test_three_fills_of_before_a_reverse_split_told_after_it_are_whole_shares() -> None:
    """And sold again they are none at all, at no cost."""
    told = Split()
    told.split(1, 3)
    for _ in range(3):
        told.tell(10, "10", 0)
    assert told.state.held(1) == 10
    told.tell(-10, "30", 1)
    assert (told.state.held(1), told.state.book[1].average_cost) == (0, 0)
    assert str(told.state.held(1)) == "0"


@pytest.mark.parametrize(
    ("shares", "told"),
    [
        ("99.99999999999999999999999999", "100"),
        ("100.0000000000000000000000001", "100"),
        ("-33.49999999999999999999999999", "-33.5"),
        ("1E-26", "0"),
        ("33.33333333333333333333333333", "33.33333333333333333333333333"),
        ("0.000000001", "1E-9"),
        ("5.000000001000001", "5.000000001000001"),
        ("100.50", "100.50"),
    ],
)
def test_the_last_digits_of_a_ratio_are_no_shares(shares: str, told: str) -> None:
    """What is a part of a billionth is as it was, and what is none is not touched."""
    assert str(settled(D(shares))) == told


def test_a_sale_that_closes_all_but_for_the_last_digit_closes_it() -> None:
    """From either side: no cost is left of it, nor is it a holding the other way."""
    third = D(100) / 3
    for off in (D("1e-26"), D("-1e-26")):
        held = Holding(con_id=1, symbol="AAA", quantity=third + off, average_cost=D(3))
        after = after_fill(held, -third, D(4))
        assert (after.quantity, after.average_cost) == (0, 0)
        assert abs(after.realized - third) < D("1e-20")


def test_what_was_closed_but_for_the_last_digit_was_not_held_since() -> None:
    third = D(100) / 3
    before = Holding(con_id=1, symbol="AAA", quantity=third + D("1e-26"))
    row = Booked(exec_id="a", signed=-third, price=D(3), tech=START, before=before)
    assert not is_held_since({1: row}, 1, 1, 1)
    assert is_held_since({1: replace(row, signed=1 - third)}, 1, 1, 1)
