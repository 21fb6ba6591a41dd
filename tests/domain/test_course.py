"""What is held after executions are corrected and taken back: what it would be had only those been that remain."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longwatch.domain import messages as m
from longwatch.domain.course import AT_ONCE, KEPT, is_held_since
from longwatch.domain.decide import Step
from longwatch.domain.instruments import Side
from longwatch.domain.positions import Holding, after_fill
from longwatch.domain.safeguards import profits
from longwatch.domain.safeguards.stop_levels import BY_HAND
from longwatch.domain.settings import StopRule
from longwatch.domain.state import State, evolve, put_order
from tests.domain.play import played, plays
from tests.domain.test_exposure import order
from tests.domain.test_protection import SETTINGS, confirmed, holding, sent, works
from tests.domain.test_protection import changes as changes_of
from tests.domain.world import CLOSE, DAY, MONDAY, START, World, execution, judged, of_kind

D = Decimal
SIDES = {Side.BUY: 1, Side.SELL: 2}
NAMES = {1: "AAA", 2: "BBB"}


@dataclass(slots=True)
class Told:
    """Executions told, corrected and taken back: a state that folds it all, and `rows`, what remains, in order."""

    state: State = field(default_factory=State)
    rows: list[tuple[str, int, Decimal, Decimal]] = field(default_factory=list)
    names: int = 0
    now: timedelta = timedelta(0)
    recounted: bool = True

    def __post_init__(self) -> None:
        for con_id in NAMES:
            for side, number in SIDES.items():
                put_order(self.state, replace(order(10 * con_id + number, 10**6, side), con_id=con_id))

    def fold(self, con_id: int, signed: Decimal, price: Decimal, replaces: str | None = None) -> str:
        self.names += 1
        side = Side.BUY if signed > 0 or (not signed and self.names % 2) else Side.SELL
        evolve(
            self.state,
            m.FillBooked(
                exec_id=f"e{self.names}",
                intent=10 * con_id + SIDES[side],
                con_id=con_id,
                symbol=NAMES[con_id],
                side=side,
                quantity=abs(signed),
                price=price,
                executed_at=START + self.now,
                tech=START + self.now,
                replaces=replaces,
                recounted=self.recounted and replaces is not None,
            ),
        )
        return f"e{self.names}"

    def fill(self, con_id: int, signed: Decimal, price: Decimal) -> None:
        self.rows.append((self.fold(con_id, signed, price), con_id, signed, price))

    def adopt(self, con_id: int, signed: Decimal, price: Decimal) -> None:
        fact = m.HoldingAdopted(con_id=con_id, symbol=NAMES[con_id], quantity=signed, average_cost=price, reason="")
        evolve(self.state, fact)
        self.rows.append(("", con_id, signed, price))

    def correct(self, at: int, signed: Decimal, price: Decimal) -> None:
        """The row `at` was another; with no shares, none; with some again, it was after all."""
        name, con_id, _, _ = self.rows[at]
        if name:
            self.rows[at] = self.fold(con_id, signed, price, name), con_id, signed, price

    def act(self, what: str, con_id: int, number: int, signed: Decimal, price: Decimal) -> None:
        self.now += timedelta(hours=number % 3)
        if what == "fill" or not self.rows:
            self.fill(con_id, signed, price)
        elif what == "adopt":
            self.adopt(con_id, signed, price)
        elif what == "flat":
            held = self.state.held(con_id)
            self.fill(con_id, -held or signed, price)
        else:
            at = number % len(self.rows)
            former = self.rows[at][2]
            new = {"price": former, "bust": D(0), "quantity": signed}[what]
            self.correct(at, new, price)

    def remaining(self) -> Told:
        """The same, had only those been told that remain."""
        other = Told()
        for name, con_id, signed, price in self.rows:
            if signed:
                (other.fill if name else other.adopt)(con_id, signed, price)
        return other


KINDS = ("fill", "fill", "fill", "flat", "price", "bust", "bust", "quantity", "adopt")
shares = st.one_of(st.integers(-300, 300).map(D), st.decimals("-50", "50", places=4)).filter(bool)
prices = st.decimals("0.01", "1000", places=2)
acts = st.tuples(st.sampled_from(KINDS), st.sampled_from(sorted(NAMES)), st.integers(0, 60), shares, prices)
histories = st.lists(acts, min_size=1, max_size=40)


def told_of(history) -> Told:
    told = Told()
    for act in history:
        told.act(*act)
    return told


def figures(told: Told, con_id: int) -> tuple[Decimal, Decimal, Decimal]:
    one = told.state.book.get(con_id) or Holding(con_id=con_id, symbol="")
    return one.quantity, one.average_cost, one.realized


@given(histories)
def test_what_is_held_is_what_the_executions_that_remain_come_to(history) -> None:
    """Shares, average cost and realised profit, to the last digit: long and short, through zero, with parts of shares,
    whatever was corrected or taken back, how often and in what order."""
    told = told_of(history)
    other = told.remaining()
    for con_id in NAMES:
        assert figures(told, con_id) == figures(other, con_id)
    assert told.state.paid == other.state.paid


@given(histories, histories, st.sampled_from([(2, 1), (1, 4), (3, 2)]))
def test_so_it_is_across_a_split(before, after, ratio) -> None:
    """What was told of before it and is corrected after it counts in shares of since."""
    told = told_of(before)
    held, (new, old) = told.state.book.get(1), ratio
    quantity, cost, _ = figures(told, 1)
    ends = START + told.now + timedelta(minutes=30)
    split = m.SplitBooked(
        con_id=1,
        symbol="AAA",
        new=new,
        old=old,
        book=quantity * new / old,
        outside=D(0),
        average_cost=cost * old / new,
        sizing_price=None,
        at=ends,
        proof="",
    )
    evolve(told.state, split)
    told.rows = [
        (name, con_id, signed * new / old, price * old / new) if con_id == 1 else (name, con_id, signed, price)
        for name, con_id, signed, price in told.rows
    ]
    told.now += timedelta(hours=1)
    for act in after:
        told.act(*act)
    for mine, theirs in zip(figures(told, 1), figures(told.remaining(), 1), strict=True):
        assert abs(mine - theirs) < D("1e-9")
    assert figures(told, 2) == figures(told.remaining(), 2)
    assert held is None or held.quantity == quantity


def test_a_split_that_pays_out_a_rest_leaves_nothing_to_recount() -> None:
    """What there was before it can't be told any more in shares of since: it is traded back as it was."""
    told = Told()
    told.fill(1, D(3), D(10))
    fields = {"outside": D(0), "sizing_price": None, "at": START + timedelta(hours=1), "proof": ""}
    evolve(
        told.state,
        m.SplitBooked(con_id=1, symbol="AAA", new=1, old=2, book=D(1), average_cost=D(20), **fields),
    )
    assert told.state.course == {}
    told.correct(0, D(3), D(12))
    assert told.state.held(1) == 1


@given(histories)
def test_facts_of_older_journals_mean_what_they_did(history) -> None:
    """Without its mark a correction is the opposite trade at the former price, then the new one."""
    told = Told(recounted=False)
    book: dict[int, Holding] = {}

    def trade(con_id: int, signed: Decimal, price: Decimal) -> None:
        book[con_id] = after_fill(book.get(con_id) or Holding(con_id=con_id, symbol=NAMES[con_id]), signed, price)

    for act in history:
        rows = list(told.rows)
        told.act(*act)
        changed = [(old, new) for old, new in zip(rows, told.rows, strict=False) if old != new]
        for (_, con_id, signed, price), (_, _, signed_now, price_now) in changed:
            trade(con_id, -signed, price)
            trade(con_id, signed_now, price_now)
        for _, con_id, signed, price in told.rows[len(rows) :]:
            trade(con_id, signed, price)
    assert told.state.book == book


def test_a_year_of_executions_keeps_a_week_of_them() -> None:
    """What is kept does not grow; the oldest that is kept is still recounted to the last digit."""
    told = Told()
    for number in range(2_000):
        told.now += timedelta(hours=2)
        told.fill(1 + number % 2, D(number % 7 - 3 or 9), D(100 + number % 11))
    a_week = int(KEPT / timedelta(hours=2))
    assert a_week <= len(told.state.course) <= a_week + AT_ONCE + 1
    oldest = min(told.state.course)
    told.correct(oldest - 1, D(0), D(1))
    assert [figures(told, con_id) for con_id in NAMES] == [figures(told.remaining(), con_id) for con_id in NAMES]


def test_an_execution_that_is_kept_no_more_is_traded_back() -> None:
    """Shares and money are right; the average cost is that of a trade."""
    told = Told()
    for _ in range(2 * AT_ONCE):
        told.now += timedelta(days=1)
        told.fill(1, D(1), D(10))
    told.correct(0, D(0), D(1))
    told.correct(1, D(1), D(13))
    quantity, cost, realized = figures(told, 1)
    assert quantity == 2 * AT_ONCE - 1
    assert told.state.paid == quantity * 10 + 3
    assert abs(quantity * cost - realized - told.state.paid) < D("1e-15")


@settings(max_examples=20)
@given(plays)
def test_every_correction_that_is_decided_recounts(acts) -> None:
    """Whatever corrects, takes back or claims an execution says that it does not trade back."""
    facts = [fact for _, step in played(acts).steps for fact in of_kind(step.facts, m.FillBooked)]
    assert all(fact.recounted == (fact.replaces is not None) for fact in facts)


PAIR = replace(SETTINGS, stop=StopRule(fraction=D("0.05"), profit_fraction=D("0.10")))


def sold_a_part(price: str = "94") -> tuple[World, int]:
    """200 AAA bought at 100 behind a stop at 95, of which 80 have been sold by it."""
    world, stop = holding(PAIR)
    world.fill(stop.intent, 80, price, exec_id="s.01")
    return world, stop.intent


def corrected(world: World, intent: int, exec_id: str, quantity: int, price: str) -> None:
    world.wait(2)
    world.take(execution(world.order(intent), world.now, exec_id, quantity, price))


def levels(world: World) -> tuple[Decimal, Decimal | None, Decimal]:
    """The average cost, where the stop is to lie, and where the take-profit."""
    instrument = world.state.instruments["AAA"]
    profit = profits.level(world.state, instrument, world.state.held(1))
    assert profit is not None
    return world.state.book[1].average_cost, world.state.stop_levels[1].level, profit.price


@pytest.mark.parametrize(("quantity", "held", "realized"), [(80, 120, "-640"), (0, 200, "0"), (50, 150, "-400")])
def test_a_sale_that_is_corrected_or_taken_back_moves_no_level(quantity: int, held: int, realized: str) -> None:
    """The average cost of what was bought is what it was; the realised loss is that of the sale that remains."""
    world, intent = sold_a_part()
    before = levels(world)
    corrected(world, intent, "s.02", quantity, "92")
    assert levels(world) == before == (D(100), D("95.00"), D("110.00"))
    assert (world.state.held(1), world.state.book[1].realized) == (held, D(realized))


def test_a_purchase_at_a_dearer_price_takes_its_stop_and_its_take_profit_along() -> None:
    """Both lie where they would had it been told so at once, whatever was sold meanwhile."""
    world, stop = holding(PAIR)
    (bought,) = [one.intent for one in world.state.orders.values() if one.intent != stop.intent]
    world.wait(2)
    step = world.take(execution(world.order(bought), world.now, "0000.02", 200, "104"))
    assert levels(world) == (D(104), D("98.80"), D("114.40"))
    assert [one.change.stop_price for one in changes_of(step)] == [D("98.80")]
    confirmed(world, step)


def test_a_purchase_at_a_cheaper_price_leaves_the_stop_where_it_is() -> None:
    """A level moves in the holding's favour only; the take-profit follows."""
    world, stop = holding(PAIR)
    (bought,) = [one.intent for one in world.state.orders.values() if one.intent != stop.intent]
    corrected(world, bought, "0000.02", 200, "96")
    assert levels(world) == (D(96), D("95.00"), D("105.60"))


def trailed(rule: StopRule) -> tuple[World, int]:
    """200 AAA bought at 100; a close at 130 has drawn the stop up behind it."""
    world, stop = holding(replace(PAIR, stop=rule))
    world.now = CLOSE + timedelta(hours=1)
    row = replace(judged("AAA"), close=D(130), last_session=DAY)
    world.hear(m.DataRefreshed, run_id="refresh@9", session=DAY, judged=(row,))
    world.now = MONDAY.open_at + timedelta(minutes=5)
    return world, stop.intent


TRAILS = StopRule(fraction=D("0.05"), trails=True)


def test_a_stop_out_that_is_taken_back_leaves_the_level_where_it_was() -> None:
    """The best close since the holding was opened counts on: it has never been closed."""
    world, intent = trailed(TRAILS)
    before = world.state.stop_levels[1]
    assert before.level == D("123.50")
    world.fill(intent, 200, "123", exec_id="s.01")
    assert world.state.held(1) == 0 and 1 not in world.state.stop_levels
    corrected(world, intent, "s.02", 0, "123")
    assert world.state.held(1) == 200 and world.state.stop_levels[1] == before


def test_a_stop_out_of_which_a_part_is_taken_back_leaves_the_level_of_the_rest() -> None:
    """In any order: here what was sold first is taken back, after what closed the holding."""
    world, intent = trailed(TRAILS)
    before = world.state.stop_levels[1]
    world.fill(intent, 120, "123", exec_id="s.01")
    world.fill(intent, 80, "122", exec_id="t.01")
    assert 1 not in world.state.stop_levels
    corrected(world, intent, "s.02", 100, "123")
    assert world.state.held(1) == 20 and world.state.stop_levels[1] == before


def test_a_holding_opened_anew_has_a_level_of_its_own() -> None:
    """Bought after a stop-out that stands, it is measured from what it cost and from its own closes."""
    world, intent = trailed(replace(TRAILS, fraction=D("0.06")))
    world.fill(intent, 200, "121", exec_id="s.01")
    (entry,) = [one for one in world.state.orders.values() if one.intent != intent]
    world.fill(entry.intent, 10, "90", exec_id="late.01")
    assert world.state.held(1) == 10
    assert world.state.stop_levels[1].level == D("84.60")


def bought_again(rule: StopRule = TRAILS, price: str = "125") -> tuple[World, int, int]:
    """Stopped out of 200 whose stop had followed to 123.50, and 10 bought since, with a stop of their own."""
    world, intent = trailed(rule)
    world.fill(intent, 200, "123", exec_id="s.01")
    world.wait(60)
    (entry,) = [one for one in world.state.orders.values() if one.intent != intent]
    world.fill(entry.intent, 10, price, exec_id="late.01")
    world.positions[1] = D(10)
    (own,) = sent(world.snapshot())
    works(world, own.intent)
    return world, intent, own.intent


def test_shares_bought_again_before_the_stop_out_is_taken_back_join_the_better_level() -> None:
    """It was never closed: all that is held is one holding, whose level moves in its favour only."""
    world, intent, own = bought_again()
    assert (world.state.held(1), world.state.stop_levels[1].level) == (10, D("118.75"))
    corrected(world, intent, "s.02", 0, "123")
    row = world.state.stop_levels[1]
    assert (world.state.held(1), row.level, row.because) == (210, D("123.50"), "close 130 less 5%")
    assert row.opened_at < world.state.orders[intent].created_at + timedelta(minutes=1)
    (asked,) = [one for _, step in world.steps for one in changes_of(step) if one.intent == own]
    assert asked.change.stop_price == D("123.50")


def test_a_better_level_of_what_was_bought_again_is_that_of_all() -> None:
    """Closes count from when the whole was opened."""
    world, intent, _ = bought_again(price="140")
    opened_at = world.state.left_levels[1][-1][0].opened_at
    own = world.state.stop_levels[1]
    assert own.level == D("133.00") and own.opened_at > opened_at
    corrected(world, intent, "s.02", 0, "123")
    assert world.state.stop_levels[1] == replace(own, opened_at=opened_at)
    assert level_facts(world.snapshot()) == [], "and that is no news again"


def level_facts(step: Step) -> list[m.StopLevelSet]:
    return of_kind(step.facts, m.StopLevelSet)


def test_the_level_that_somebody_has_set_since_stays_that_of_all() -> None:
    world, intent, own = bought_again()
    world.open_order(own, "PreSubmitted", stop_price=D(110))
    assert world.state.stop_levels[1].because == BY_HAND
    corrected(world, intent, "s.02", 0, "123")
    assert (world.state.held(1), world.state.stop_levels[1].level) == (210, D(110))
    assert level_facts(world.snapshot()) == []


def test_of_two_stop_outs_the_earlier_one_taken_back_brings_its_level_too() -> None:
    """Neither holding was closed then: 200 and 10 were one, and the second sale left 200."""
    world, intent, own = bought_again()
    world.fill(own, 10, "118", exec_id="u.01")
    assert world.state.held(1) == 0 and len(world.state.left_levels[1]) == 2
    corrected(world, intent, "s.02", 0, "123")
    assert (world.state.held(1), world.state.stop_levels[1].level) == (200, D("123.50"))
    assert level_facts(world.snapshot()) == []


def test_of_two_stop_outs_the_later_one_taken_back_brings_its_own_level_alone() -> None:
    world, _, own = bought_again()
    world.fill(own, 10, "118", exec_id="u.01")
    corrected(world, own, "u.02", 0, "118")
    assert (world.state.held(1), world.state.stop_levels[1].level) == (10, D("118.75"))


def test_a_level_no_longer_known_of_is_none() -> None:
    """Where the changes since it went are not kept any more, the holding is like a new one."""
    course = Told().state.course
    assert not is_held_since(course, 1, 0, 1)
