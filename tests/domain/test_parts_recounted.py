"""Strategies' parts after executions are corrected and taken back: what they would be had only those been that remain.

Above all of what no strategy asked for: a stop or a take-profit comes off the parts there are.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.domain import messages as m
from longwatch.domain.course import AT_ONCE, KEPT
from longwatch.domain.instruments import Side
from longwatch.domain.levels import Grade, Level
from longwatch.domain.orders import Allocation, Purpose
from longwatch.domain.portfolio.parts import gain_of
from longwatch.domain.positions import Holding
from longwatch.domain.state import State, evolve, put_order
from longwatch.journal.checkpoints import decoded, encoded
from tests.domain.test_exposure import order
from tests.domain.test_protection import FIXED, holding, sent, works
from tests.domain.world import START, World, execution, of_kind

D, ZERO = Decimal, Decimal(0)
WANTS: dict[str, tuple[tuple[str, int], ...]] = {
    "one": (("one", 1),),
    "two": (("two", 1),),
    "both": (("one", 60), ("two", 40)),
    "stop": (),
}
"""Who asked for the orders of each kind, and for how much of them; for a stop, nobody."""
INTENTS = {(kind, side): number for number, (kind, side) in enumerate(((k, s) for k in WANTS for s in Side), 1)}
STRATEGIES = ("one", "two")


@dataclass(slots=True)
class Shared:
    """Executions told, corrected and taken back of two strategies' orders and their stops; `rows`, what remains.

    `nobodys`: shares that no part had to do with, adopted ones and a stop's where no strategy held any.
    """

    state: State = field(default_factory=State)
    rows: list[tuple[str, str, Decimal, Decimal]] = field(default_factory=list)
    names: int = 0
    now: timedelta = timedelta(0)
    recounted: bool = True
    nobodys: Decimal = ZERO

    def __post_init__(self) -> None:
        for (kind, side), intent in INTENTS.items():
            parts = tuple(Allocation(strategy=name, quantity=D(side.sign * weight)) for name, weight in WANTS[kind])
            purpose = Purpose.ENTRY if parts else Purpose.STOP
            put_order(self.state, replace(order(intent, 10**6, side), allocations=parts, purpose=purpose))

    def fold(self, kind: str, signed: Decimal, price: Decimal, replaces: str | None = None) -> str:
        self.names += 1
        side = Side.BUY if signed > 0 or (not signed and self.names % 2) else Side.SELL
        fact = m.FillBooked(
            exec_id=f"e{self.names}",
            intent=INTENTS[kind, side],
            con_id=1,
            symbol="AAA",
            side=side,
            quantity=abs(signed),
            price=price,
            executed_at=START + self.now,
            tech=START + self.now,
            replaces=replaces,
            recounted=self.recounted and replaces is not None,
        )
        evolve(self.state, fact)
        return fact.exec_id

    def fill(self, kind: str, signed: Decimal, price: Decimal) -> None:
        if kind == "stop" and not any(part.quantity * signed < 0 for part in self.state.parts.values()):
            self.nobodys += signed
        self.rows.append((self.fold(kind, signed, price), kind, signed, price))

    def cross(self, signed: Decimal, price: Decimal) -> None:
        moves = tuple(zip(STRATEGIES, (signed, -signed), strict=True))
        evolve(self.state, m.PartsCrossed(con_id=1, symbol="AAA", moves=moves, price=price, run_id=""))
        self.rows.append(("", "cross", signed, price))

    def adopt(self, signed: Decimal, price: Decimal, kind: str = "adopt") -> None:
        """By a `gone` one, what the strategies hold on the other side goes first, as far as we do."""
        theirs = ZERO
        if kind == "gone":
            there = sum((part for part in self.parts().values() if part * signed < 0), ZERO)
            held = self.state.held(1)
            theirs = min(abs(signed), abs(there), abs(held) if held * signed < 0 else ZERO).copy_sign(signed)
        fact = m.HoldingAdopted(
            con_id=1, symbol="AAA", quantity=signed, average_cost=price, reason="", off_parts=kind == "gone"
        )
        evolve(self.state, fact)
        self.nobodys += signed - theirs
        self.rows.append(("", kind, signed, price))

    def correct(self, at: int, signed: Decimal, price: Decimal) -> None:
        name, kind, _, _ = self.rows[at]
        if name:
            self.rows[at] = self.fold(kind, signed, price, name), kind, signed, price

    def split(self, new: int, old: int) -> None:
        """Exactly: no rest is paid out."""
        held = self.state.book.get(1) or Holding(con_id=1, symbol="AAA")
        fact = m.SplitBooked(
            con_id=1,
            symbol="AAA",
            new=new,
            old=old,
            book=held.quantity * new / old,
            outside=D(0),
            average_cost=held.average_cost * old / new,
            sizing_price=None,
            at=START + self.now + timedelta(minutes=1),
            proof="",
        )
        evolve(self.state, fact)
        self.now += timedelta(hours=1)
        self.rows = [(name, kind, signed * new / old, price * old / new) for name, kind, signed, price in self.rows]

    def act(self, what: str, number: int, signed: Decimal, price: Decimal) -> None:
        self.now += timedelta(hours=number % 3)
        held = self.state.held(1)
        if what in ("one", "two", "both"):
            self.fill(what, signed, price)
        elif what == "stop":
            self.fill("stop", -(held * (number % 4 + 1) / 4).quantize(D("0.0001")) or signed, price)
        elif what == "cross":
            self.cross(signed, price)
        elif what in ("adopt", "gone"):
            self.adopt(signed, price, what)
        elif self.rows:
            at = number % len(self.rows)
            former = self.rows[at][2]
            new = {"price": former, "bust": D(0), "quantity": abs(signed) * (1 if former > 0 else -1)}[what]
            self.correct(at, new, price)

    def remaining(self) -> Shared:
        """The same, had only those been told that remain."""
        other = Shared()
        for _, kind, signed, price in self.rows:
            if kind == "cross":
                other.cross(signed, price)
            elif kind in ("adopt", "gone"):
                other.adopt(signed, price, kind)
            elif signed:
                other.fill(kind, signed, price)
        return other

    def parts(self) -> dict[str, Decimal]:
        return {name: part.quantity for (name, _), part in self.state.parts.items()}


KINDS = ("one", "two", "both", "both", "stop", "stop", "price", "bust", "bust", "quantity", "cross", "adopt")
shares = st.one_of(st.integers(-300, 300).map(D), st.decimals("-50", "50", places=4)).filter(bool)
prices = st.decimals("0.01", "1000", places=2)


def of_kinds(*kinds: str):
    return st.lists(st.tuples(st.sampled_from(kinds), st.integers(0, 60), shares, prices), min_size=1, max_size=40)


histories, traded = of_kinds(*KINDS, "gone"), of_kinds(*KINDS)


def told_of(history) -> Shared:
    told = Shared()
    for act in history:
        told.act(*act)
    return told


@given(histories)
def test_parts_are_what_the_executions_that_remain_come_to(history) -> None:
    """Shares, cost and gain of each, to the last digit, whatever was corrected or taken back, and in what order."""
    told = told_of(history)
    assert told.state.parts == told.remaining().state.parts


@given(histories)
def test_parts_sum_to_what_is_held(history) -> None:
    """But for what was adopted, and what a stop sold of it: to a billionth for each time that a stop's were shared."""
    told = told_of(history)
    whole = sum(told.parts().values(), told.remaining().nobodys)
    assert abs(whole - told.state.held(1)) <= len(told.rows) * D("1e-9")


@given(traded, traded, st.sampled_from([(2, 1), (1, 4), (5, 2)]))
def test_so_it_is_across_a_split(before, after, ratio) -> None:
    """Without shares that are gone: the billionth they are shared to grows where a stop then sells far more than is."""
    told = told_of(before)
    told.split(*ratio)
    for act in after:
        told.act(*act)
    other = told.remaining()
    for name in STRATEGIES:
        mine, theirs = (one.state.parts.get((name, 1)) or Holding(con_id=1, symbol="AAA") for one in (told, other))
        assert abs(mine.quantity - theirs.quantity) < D("1e-6")


@given(histories)
def test_a_state_that_was_stored_recounts_as_the_one_that_was_not(history) -> None:
    """All that is needed is in the checkpoint."""
    told = told_of(history)
    stored = copy(told)
    stored.state, stored.rows = decoded(encoded(told.state)), list(told.rows)
    assert stored.state == told.state
    for at in range(len(told.rows)):
        for one in (told, stored):
            one.correct(at, D(0), D(1))
    assert stored.state == told.state


def shared_by_two() -> Shared:
    """100 bought at 100 for both, 60 and 40 of them; their stop has sold 40 at 90."""
    told = Shared()
    told.fill("both", D(100), D(100))
    told.fill("stop", D(-40), D(90))
    assert told.parts() == {"one": 36, "two": 24}
    return told


@pytest.mark.parametrize(
    ("quantity", "price", "parts", "gain"),
    [(40, 89, (36, 24), "-264"), (50, 90, (30, 20), "-300"), (0, 90, (60, 40), "0"), (100, 90, (0, 0), "-600")],
)
def test_a_stops_fill_that_is_corrected_is_taken_off_once(
    quantity: int, price: int, parts: tuple[int, int], gain: str
) -> None:
    """At the same shares it comes off as the one before did; at others, by the size of the parts by then."""
    told = shared_by_two()
    told.correct(1, D(-quantity), D(price))
    assert tuple(told.parts().values()) == parts
    assert told.state.parts["one", 1].realized == D(gain)


def test_a_stop_out_that_is_taken_back_gives_each_its_part_again() -> None:
    """Though neither has any more; and told again after all, it takes them again."""
    told = shared_by_two()
    told.fill("stop", D(-60), D(90))
    assert told.parts() == {"one": 0, "two": 0}
    told.correct(2, D(0), D(90))
    assert told.parts() == {"one": 36, "two": 24}
    told.correct(2, D(-60), D(90))
    assert told.parts() == {"one": 0, "two": 0}


def test_a_stops_fill_is_shared_by_the_parts_that_remain() -> None:
    """What one had bought before it was not: all that the stop sold was the other's."""
    told = Shared()
    told.fill("one", D(50), D(100))
    told.fill("two", D(50), D(100))
    told.fill("stop", D(-20), D(90))
    assert told.parts() == {"one": 40, "two": 40}
    told.correct(0, D(0), D(100))
    left = Holding(con_id=1, symbol="AAA", quantity=D(30), average_cost=D(100), realized=D(-200))
    assert told.state.parts == {("two", 1): left}


@pytest.mark.parametrize("held", [1, -1])
def test_a_single_share_that_a_stop_closed_comes_off_the_part(held: int) -> None:
    told = Shared()
    told.fill("one", D(held), D(100))
    told.fill("stop", D(-held), D(90))
    assert told.parts() == {"one": 0}


def test_shares_bought_back_by_a_short_holdings_stop_return_too() -> None:
    told = Shared()
    told.fill("both", D(-100), D(100))
    told.fill("stop", D(100), D(110))
    assert told.parts() == {"one": 0, "two": 0}
    told.correct(1, D(0), D(110))
    assert told.parts() == {"one": -60, "two": -40}


def test_what_changed_hands_since_stays_with_who_took_it() -> None:
    """10 went from one to the other after a stop's fill, which is then taken back: they are the other's."""
    told = shared_by_two()
    told.cross(D(-10), D(95))
    told.correct(1, D(0), D(90))
    assert told.parts() == {"one": 50, "two": 50}
    assert told.state.book[1] == Holding(con_id=1, symbol="AAA", quantity=D(100), average_cost=D(100))


def test_shares_that_change_hands_where_nothing_is_held_make_no_holding() -> None:
    told = Shared()
    told.cross(D(10), D(95))
    assert told.parts() == {"one": 10, "two": -10} and told.state.book == {}


def test_shares_that_are_gone_come_off_the_parts_there_are() -> None:
    """A tenth of 60 and of 40 here, and the rest at a price of its own."""
    told = shared_by_two()
    told.correct(1, D(0), D(90))
    told.adopt(D(-10), D(100), "gone")
    assert told.parts() == {"one": 54, "two": 36}
    told.adopt(D(-90), D(90), "gone")
    assert told.parts() == {"one": 0, "two": 0}
    assert [part.realized for part in told.state.parts.values()] == [-540, -360]


@pytest.mark.parametrize("side", [1, -1])
def test_shares_that_are_gone_leave_no_part_beyond_nothing(side: int) -> None:
    """50 adopted before are nobody's, and so is what is short afterwards; and what is added."""
    told = Shared()
    told.fill("both", D(100 * side), D(100))
    told.adopt(D(50 * side), D(100), "gone")
    assert told.parts() == {"one": 60 * side, "two": 40 * side}
    told.adopt(D(-170 * side), D(100), "gone")
    assert told.parts() == {"one": 0, "two": 0}
    assert told.state.held(1) == -20 * side


@pytest.mark.parametrize("held", [10, -10])
def test_a_single_share_that_is_gone_comes_off_the_part(held: int) -> None:
    told = Shared()
    told.fill("one", D(held), D(100))
    told.adopt(D(-held) / 10, D(100), "gone")
    assert told.parts() == {"one": D(held) * 9 / 10}


def test_shares_that_are_gone_close_no_part_on_the_other_side() -> None:
    """Of 70 held, 100 of one and 30 short of the other, all are gone: the one's."""
    told = Shared()
    told.fill("one", D(100), D(100))
    told.fill("two", D(-30), D(100))
    told.adopt(D(-100), D(100), "gone")
    assert told.parts() == {"one": 30, "two": -30}, "and 30 are short now that no strategy has asked for"


def test_shares_gone_that_were_never_bought_are_no_parts() -> None:
    """The purchase is taken back after all: the next adoption brings all to nothing again."""
    told = Shared()
    told.fill("one", D(100), D(100))
    told.adopt(D(-100), D(100), "gone")
    told.correct(0, D(0), D(100))
    assert told.parts().get("one", ZERO) == 0 and told.state.held(1) == -100
    told.adopt(D(100), D(100), "gone")
    assert told.parts().get("one", ZERO) == 0 and told.state.held(1) == 0


def test_shares_that_are_gone_come_off_what_was_bought_before_a_split() -> None:
    """Recounted after it, they are as many fewer."""
    told = Shared()
    told.fill("both", D(100), D(100))
    told.adopt(D(-50), D(100), "gone")
    told.split(1, 2)
    assert told.parts() == {"one": 15, "two": 10}
    told.correct(0, D(40), D(200))
    assert told.parts() == {"one": 9, "two": 6} and told.state.held(1) == 15


def test_what_was_bought_before_a_split_is_recounted_in_shares_of_since() -> None:
    """What was bought before what is taken back, and since: three for two of each."""
    told = Shared()
    for whose in ("one", "two", "both"):
        told.fill(whose, D(40), D(100))
    told.split(3, 2)
    told.correct(1, D(0), D(100))
    assert told.parts() == {"one": 96, "two": 24}


def test_adoptions_of_older_journals_leave_every_part_as_it_was() -> None:
    told = shared_by_two()
    told.adopt(D(-60), D(100))
    assert told.parts() == {"one": 36, "two": 24}
    assert told.state.held(1) == 0


def aged(told: Shared) -> Shared:
    """Long after, of all that was told nothing is kept to recount."""
    for _ in range(AT_ONCE):
        told.now += KEPT
        told.fill("both", D(1), D(100))
        told.fill("both", D(-1), D(100))
    return told


def test_what_is_kept_no_more_comes_back_by_the_size_of_the_parts() -> None:
    """And its successor, which is kept, comes off them so: at the same shares nothing has moved."""
    told = aged(shared_by_two())
    told.correct(1, D(-40), D(80))
    assert told.parts() == {"one": 36, "two": 24}
    told.correct(1, D(0), D(80))
    assert told.parts() == {"one": 60, "two": 40}
    assert told.state.held(1) == 100


def test_what_is_kept_no_more_is_nobodys_where_there_is_no_part() -> None:
    """Whose the shares were is not known any more: they are as adopted ones."""
    told = shared_by_two()
    told.fill("stop", D(-60), D(90))
    told = aged(told)
    told.correct(2, D(0), D(90))
    assert told.parts() == {"one": 0, "two": 0}
    assert told.state.held(1) == 60


def test_facts_of_older_journals_mean_what_they_did() -> None:
    """Without its mark a stop's fill is traded back to those on the other side, and comes off once more."""
    told = shared_by_two()
    told.recounted = False
    told.correct(1, D(-40), D(89))
    assert {name: round(part) for name, part in told.parts().items()} == {"one": 12, "two": 8}
    assert told.state.held(1) == 60


def held_by(world: World) -> tuple[Decimal, Decimal]:
    return world.state.held(1), world.state.parts["trend", 1].quantity


def stopped_out(quantity: int) -> tuple[World, int]:
    world, stop = holding(FIXED)
    world.snapshot()
    world.fill(stop.intent, quantity, "95", exec_id="st.01")
    return world, stop.intent


def revised(world: World, intent: int, quantity: int, price: str) -> None:
    """The broker tells a second revision of the stop's execution."""
    world.executions.remove("st.01")
    world.executions.append("st.02")
    world.take(execution(world.order(intent), world.now, "st.02", quantity, price))


def test_a_corrected_price_of_a_stop_leaves_the_strategy_its_part() -> None:
    world, intent = stopped_out(50)
    revised(world, intent, 50, "94.99")
    assert held_by(world) == (150, 150)
    assert world.state.parts["trend", 1].realized == D("-250.50")
    revised_gain = gain_of(world.state, "trend", {"AAA": D(100)}) + world.state.part_costs.get("trend", D(0))
    assert revised_gain == D("-250.50")


@pytest.mark.parametrize("grade", [None, Grade.REDUCING])
def test_a_stop_out_that_is_taken_back_leaves_a_way_out(grade: Grade | None) -> None:
    """Whoever's limit holds them: the strategy may sell what it has, and then has nothing left."""
    world, intent = stopped_out(200)
    world.end(intent)
    world.status(intent, "Filled")
    world.snapshot()
    revised(world, intent, 0, "95")
    world.positions[1] = D(200)
    world.moved("AAA")
    for _ in range(3):
        world.wait(30)
        for one in sent(world.snapshot()):
            works(world, one.intent)
    assert held_by(world) == (200, 200)
    if grade is not None:
        held = m.HoldSet(
            level=Level.STRATEGY, name="trend", rule="drawdown", grade=grade, observed=D(1), limit=D(1), since=START
        )
        evolve(world.state, held)
    world.targets(AAA="0")
    (exit_,) = [one.order for one in of_kind(world.rebalance().effects, m.SubmitOrder)]
    assert (exit_.side, exit_.quantity) == (Side.SELL, 200)
    world.acknowledge(exit_.intent)
    world.fill(exit_.intent, 200, "100")
    assert held_by(world) == (0, 0)
    assert world.state.parts["trend", 1].realized == world.state.book[1].realized == 0
