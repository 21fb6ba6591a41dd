"""Whose shares are whose, figure by figure: targets, what is under way, what an order is for, what changes hands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.levels import Grade, Level
from longwatch.domain.orders import Allocation, Order, OrderState
from longwatch.domain.portfolio.parts import (
    ROUNDED_UP,
    allocate,
    crossed,
    equity_of,
    forbidden_part,
    gain_of,
    gaps,
    held_as,
    part_of,
    within_part,
)
from longwatch.domain.positions import Holding
from longwatch.domain.state import State, put_order
from tests.domain.test_exposure import order
from tests.domain.world import DAY, PRICES, SETTINGS, START, SYMBOLS

D = Decimal
R, H = Grade.REDUCING, Grade.HALTED
LEFT, RIGHT = D("0.5"), D("0.25")
THREE = replace(
    SETTINGS, allocations=(("right", RIGHT), ("left", LEFT), ("bare", D("0.1"))), cash_reserve_fraction=D("0.2")
)
"""Of 100,000: 40,000 to `left`, 20,000 to `right`."""


def state_of(*orders: Order, parts: Mapping[tuple[str, int], int | str] | None = None) -> State:
    """Nothing held but these parts, at a cost of 90, with the closes of `PRICES`."""
    state = State(settings=THREE)
    state.equity = m.EquitySet(session=DAY, equity=D(100_000), prices=tuple(PRICES.items()))
    for (strategy, con_id), quantity in (parts or {}).items():
        state.parts[strategy, con_id] = Holding(
            con_id=con_id, symbol=SYMBOLS[con_id], quantity=D(quantity), average_cost=D(90)
        )
    for one in orders:
        put_order(state, one)
    return state


def held(state: State, strategy: str, grade: Grade, rule: str = "drawdown", level: Level = Level.STRATEGY) -> State:
    state.holds[level, strategy, rule] = m.HoldSet(
        level=level, name=strategy, rule=rule, grade=grade, observed=D(1), limit=D(1), since=START
    )
    return state


def flattened(state: State) -> State:
    state.verbs[m.Verb.FLATTEN] = m.VerbSet(verb=m.Verb.FLATTEN, on=True, by="", reason="")
    return state


def for_(*parts: tuple[str, str | int]) -> tuple[Allocation, ...]:
    return tuple(Allocation(strategy=name, quantity=D(quantity)) for name, quantity in parts)


def aiming(state: State, strategy: str, **weights: str) -> State:
    state.targets[strategy] = m.TargetsSet(
        run_id="",
        strategy=strategy,
        session=DAY,
        weights=tuple((symbol, D(weight)) for symbol, weight in weights.items()),
        memory="{}",
    )
    return state


# ── the capital, the hold, the part ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("cap", "capital"), [(None, 100_000), (60_000, 60_000), (140_000, 100_000)])
def test_the_capital_is_what_the_account_is_worth_up_to_what_it_may_be(cap: int | None, capital: int) -> None:
    """Nothing where it has never been told, whatever it may be."""
    state = state_of()
    state.settings = replace(THREE, max_capital_value=None if cap is None else D(cap))
    assert equity_of(state) == capital
    state.equity = None
    assert equity_of(state) == 0


def test_the_strictest_hold_of_a_strategy_counts() -> None:
    """In whichever order they were set; one of another strategy, or of an instrument of its name, does not."""
    state = held(held(state_of(), "right", H), "left", H, level=Level.INSTRUMENT)
    assert held_as(state, "left") is None
    assert held_as(held(state, "left", R), "left") is R
    assert held_as(held(state, "left", H, "daily_loss"), "left") is H
    assert held_as(held(state, "left", R, "slippage"), "left") is H


def test_a_part_is_a_strategys_own_in_one_instrument() -> None:
    state = state_of(parts={("left", 1): 7, ("right", 1): -3, ("left", 2): 5})
    assert [part_of(state, name, con_id) for name in ("left", "right") for con_id in (1, 2)] == [7, 5, -3, 0]


# ── what a hold leaves of the weights ───────────────────────────────────────────────────────────────────────────────


def within(state: State, strategy: str = "left", **weights: str) -> dict[str, Decimal]:
    given = {symbol: D(weight) for symbol, weight in weights.items()}
    return dict(within_part(state, strategy, given, dict(THREE.allocations)[strategy]))


def test_without_a_hold_weights_are_left_as_they_are() -> None:
    state = held(state_of(parts={("left", 1): 100}), "right", H)
    assert within(state, AAA="0.9", BBB="-0.9") == {"AAA": D("0.9"), "BBB": D("-0.9")}


@pytest.mark.parametrize(
    ("weight", "left"),
    [("0.2", "0.2"), ("0.25", "0.25"), ("0.3", "most"), ("0", "0"), ("-0.1", "0"), ("-0.5", "0")],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_strategy_that_may_only_reduce_keeps_within_its_part(weight: str, left: str, sign: int) -> None:
    """100 shares at 100 are a quarter of its 40,000; the way over nothing ends at nothing."""
    state = held(state_of(parts={("left", 1): 100 * sign, ("right", 1): 900}), "left", R)
    most = D("0.25") * ROUNDED_UP
    found = within(state, AAA=str(D(weight) * sign))
    assert found == {"AAA": (most if left == "most" else D(left)) * sign}


def test_its_part_comes_to_a_weight_just_above_it() -> None:
    """So that whole shares come to these shares again: a weight between a part and what it is rounded to is kept."""
    state = held(state_of(parts={("left", 1): 100}), "left", R)
    assert within(state, AAA="0.2500000000000000001") == {"AAA": D("0.2500000000000000001")}


def test_what_it_does_not_have_or_no_longer_names_it_may_not_add_to() -> None:
    """BBB is nothing of it; what it holds of CCC and does not want goes. A name without a price stays as it was."""
    state = held(state_of(parts={("left", 2): 0, ("left", 3): 50}), "left", R)
    assert within(state, AAA="0.1", BBB="-0.1", ZZZ="0.3") == {"AAA": 0, "BBB": 0, "ZZZ": D("0.3")}
    assert within(state, AAA="0") == {"AAA": 0}


def test_a_halted_strategy_keeps_just_what_it_has() -> None:
    """Whatever it wants, in what it does not name too; a name without a price stops none that come after it."""
    state = held(state_of(parts={("left", 1): 100, ("left", 3): -200, ("right", 2): 10}), "left", H)
    state.equity = m.EquitySet(session=DAY, equity=D(100_000), prices=(("AAA", D(100)), ("CCC", D(20))))
    found = within(state, AAA="0.1", BBB="0.4")
    assert found == {"AAA": D("0.25") * ROUNDED_UP, "BBB": D("0.4"), "CCC": D("-0.1") * ROUNDED_UP}


@pytest.mark.parametrize("equity", ["0", "-5", None])
def test_without_a_capital_there_are_no_parts_of_it(equity: str | None) -> None:
    state = held(state_of(parts={("left", 1): 100}), "left", H)
    state.equity = None if equity is None else m.EquitySet(session=DAY, equity=D(equity), prices=(("AAA", D(100)),))
    assert within(state, AAA="0.1") == {"AAA": D("0.1")}


def test_a_capital_of_less_than_one_is_one_all_the_same() -> None:
    """2 of equity are 0.8 of the strategy's; a share at 0.2 is a quarter of that."""
    state = held(state_of(parts={("left", 1): 1}), "left", H)
    state.equity = m.EquitySet(session=DAY, equity=D(2), prices=(("AAA", D("0.2")),))
    assert within(state, AAA="0.1") == {"AAA": D("0.25") * ROUNDED_UP}


# ── which orders a hold forbids ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("quantity", "is_forbidden"),
    [("-99", False), ("-100", False), ("-100.000001", False), ("-100.000002", True), ("-0.5", False), ("1", True)],
)
def test_a_strategy_that_may_only_reduce_may_take_what_it_has(sign: int, quantity: str, is_forbidden: bool) -> None:
    """To a millionth of a share."""
    state = held(state_of(parts={("left", 1): 100 * sign, ("left", 2): 500, ("right", 1): 500}), "left", R)
    found = forbidden_part(state, 1, for_(("left", str(D(quantity) * sign))))
    assert found == ("strategy left is reducing only" if is_forbidden else None)


def test_nothing_is_not_reduced_and_a_halted_strategy_reduces_nothing() -> None:
    """Only what it has a share in is asked about, and all of these; a flatten closes whosesoever it is."""
    state = held(state_of(parts={("left", 1): 100, ("right", 1): 100}), "left", R)
    assert forbidden_part(state, 2, for_(("left", -1))) == "strategy left is reducing only"
    assert forbidden_part(state, 1, for_(("right", 5), ("left", 5))) == "strategy left is reducing only"
    assert forbidden_part(state, 1, for_(("right", 5), ("left", 0))) is None
    assert forbidden_part(state, 1, for_(("left", -5), ("right", 5))) is None
    held(state, "right", H)
    assert forbidden_part(state, 1, for_(("left", -5), ("right", -5))) == "strategy right is halted"
    assert forbidden_part(state, 1, for_(("left", -5), ("right", 0))) is None
    state.verbs[m.Verb.HALT] = m.VerbSet(verb=m.Verb.HALT, on=True, by="", reason="")
    assert forbidden_part(state, 1, for_(("right", -5))) == "strategy right is halted"
    assert forbidden_part(flattened(state), 1, for_(("right", -5))) is None


def selling(intent: int, quantity: int, *parts: tuple[str, str | int], **fields: object) -> Order:
    """A sale of AAA at work for these parts of it, or for `left` alone."""
    return order(intent, quantity, Side.SELL, allocations=for_(*parts or (("left", -quantity),)), **fields)


@pytest.mark.parametrize(
    ("orders", "most"),
    [
        ((), 100),
        ((selling(1, 30),), 70),
        ((selling(1, 30), selling(2, 20)), 50),
        ((selling(1, 30, ("left", -10), ("right", -20)),), 90),
        ((selling(1, 30, ("right", -30)),), 100),
        ((selling(1, 30, filled=D(10)),), 80),
        ((selling(1, 30, con_id=2),), 100),
        ((selling(1, 30, state=OrderState.CANCELLED),), 100),
        ((selling(1, 30, state=OrderState.UNKNOWN),), 70),
        ((order(1, 30, allocations=for_(("left", 30))),), 100),  # what is bought is not counted on
        ((selling(7, 30),), 100),  # the order that is asked about
        ((selling(7, 30), selling(8, 20)), 80),
    ],
)
def test_what_is_under_way_already_is_not_reduced_twice(orders: tuple[Order, ...], most: int) -> None:
    """Of 100 shares; of a modification the order itself does not count against it."""
    state = held(state_of(*orders, parts={("left", 1): 100}), "left", R)
    assert forbidden_part(state, 1, for_(("left", -most)), besides=7) is None
    assert forbidden_part(state, 1, for_(("left", -most - 1)), besides=7) == "strategy left is reducing only"


def test_a_short_part_is_covered_by_what_is_bought() -> None:
    state = held(state_of(order(1, 30, allocations=for_(("left", 30))), parts={("left", 1): -100}), "left", R)
    assert forbidden_part(state, 1, for_(("left", 70))) is None
    assert forbidden_part(state, 1, for_(("left", 71))) == "strategy left is reducing only"


def test_a_part_of_less_than_a_share_is_one_all_the_same() -> None:
    """Half a share can be reduced, by no more than that, and is not reduced by another half; nothing can't be."""
    reducing, bought = "strategy left is reducing only", order(1, 30, allocations=for_(("left", 30)))
    state = held(state_of(bought, parts={("left", 1): "0.01", ("left", 2): "0.5"}), "left", R)
    assert forbidden_part(state, 1, for_(("left", "-0.01"))) is None
    assert forbidden_part(state, 1, for_(("left", -1))) == reducing
    assert forbidden_part(state, 2, for_(("left", "0.5"))) == reducing
    assert forbidden_part(state, 3, for_(("left", "-0.000001"))) == reducing
    assert forbidden_part(held(state_of(bought), "left", R), 1, for_(("left", -5))) == reducing


# ── the way to the targets ──────────────────────────────────────────────────────────────────────────────────────────

WEIGHTS = {"left": {"AAA": D("0.4"), "BBB": D("0.1")}, "right": {"AAA": D("-0.2")}}


def test_a_gap_is_from_the_part_and_what_is_under_way_to_the_target() -> None:
    """40 % of 40,000 are 160 shares at 100, and -20 % of 20,000 are -40; who has no weights has no gap."""
    state = state_of(parts={("left", 1): 100, ("right", 1): 10, ("left", 2): 900, ("bare", 1): 5})
    assert gaps(state, 1, "AAA", D(100), WEIGHTS) == {"left": D(60), "right": D(-50)}
    put_order(state, order(1, 12, allocations=for_(("left", 8), ("right", 4))))
    put_order(state, selling(2, 5))
    put_order(state, selling(3, 70, con_id=2))
    assert gaps(state, 1, "AAA", D(100), WEIGHTS) == {"left": D(57), "right": D(-54)}
    assert gaps(state, 3, "CCC", D(20), WEIGHTS) == {"left": D(0), "right": D(0)}


def test_gaps_are_told_in_one_order() -> None:
    """By name, whichever order the settings name strategies in, or they came to their parts in."""
    state = state_of(parts={("right", 1): 10, ("left", 1): 10})
    assert list(gaps(state, 1, "AAA", D(100), WEIGHTS)) == ["left", "right"]
    assert list(gaps(flattened(state), 1, "AAA", D(100), WEIGHTS)) == ["left", "right"]


def test_a_flatten_is_the_way_to_nothing() -> None:
    """Of everybody who has a part, be there weights or not; another verb is not."""
    state = state_of(parts={("left", 1): 100, ("right", 1): -10, ("bare", 1): 5, ("left", 2): 7})
    state.verbs[m.Verb.HALT] = m.VerbSet(verb=m.Verb.HALT, on=True, by="", reason="")
    assert gaps(state, 1, "AAA", D(100), {}) == {}
    assert gaps(flattened(state), 1, "AAA", D(100), WEIGHTS) == {"left": -100, "right": 10, "bare": -5}


# ── whose an order is ───────────────────────────────────────────────────────────────────────────────────────────────


def parts(signed: str | int, state: State | None = None, **found: str | int) -> list[tuple[str, Decimal]]:
    gaps = {name: D(gap) for name, gap in found.items()}
    return [(one.strategy, one.quantity) for one in allocate(state or state_of(), "AAA", D(signed), gaps)]


@pytest.mark.parametrize("sign", [1, -1])
def test_an_order_is_for_whom_it_brings_nearer_by_how_far_they_are(sign: int) -> None:
    """Who wants the other way, or nothing, or no more than a millionth of a share, has no part in it."""
    far = {"a": 30 * sign, "b": -500 * sign, "c": 60 * sign, "d": 0, "e": str(D("0.000001") * sign), "f": 10 * sign}
    assert parts(50 * sign, **far) == [("a", 15 * sign), ("c", 30 * sign), ("f", 5 * sign)]
    assert parts(50 * sign, a=str(D("0.000002") * sign)) == [("a", 50 * sign)]
    assert parts(50 * sign, a=str(D("0.000001") * sign)) == []


@pytest.mark.parametrize(("found", "signed"), [({"a": "0.5", "b": "0.5"}, 1), ({"a": 3, "b": 3}, "0.2")])
def test_small_gaps_count_as_large_ones_do(found: dict[str, str | int], signed: str | int) -> None:
    half = D(signed) / 2
    assert parts(signed, **found) == [("a", half), ("b", half)]


def test_parts_are_to_a_millionth_and_the_last_has_the_rest() -> None:
    """Together they are the order."""
    found = parts(100, a=1, b=1, c=1)
    assert found == [("a", D("33.333333")), ("b", D("33.333333")), ("c", D("33.333334"))]
    assert [str(quantity) for _, quantity in parts(1, a=1, b=2)] == ["0.333333", "0.666667"]
    assert parts(1, a=1, b=10_000_000) == [("b", 1)]


def test_what_nobody_wants_is_for_those_who_name_it_by_their_weights() -> None:
    """What was adopted goes: 0.4 of a half to 0.8 of a quarter, whatever the sign, by name."""
    state = aiming(aiming(state_of(), "right", AAA="-0.8", BBB="0.1"), "left", AAA="0.2")
    assert parts(-90, state) == [("left", -30), ("right", -60)]
    assert parts(-90, state, left=5, right=90) == [("left", -30), ("right", -60)]
    assert parts(-90, aiming(state_of(), "left", AAA="0.2")) == [("left", -90)]


def test_where_all_weights_are_zero_it_is_evenly_theirs() -> None:
    """And nobody's where none names it."""
    state = aiming(aiming(aiming(state_of(), "right", AAA="0"), "left", AAA="0"), "bare", BBB="0.5")
    assert parts(-90, state) == [("left", -45), ("right", -45)]
    assert parts(-90, aiming(state_of(), "left", BBB="0.2")) == []


# ── what changes hands ──────────────────────────────────────────────────────────────────────────────────────────────


def moves(**found: str | int) -> list[tuple[str, Decimal]] | None:
    """None where nothing does."""
    told = list(crossed(2, "BBB", D("49.5"), {name: D(gap) for name, gap in found.items()}, "r@1"))
    for one in told:
        assert one == m.PartsCrossed(con_id=2, symbol="BBB", moves=one.moves, price=D("49.5"), run_id="r@1")
    return list(told[0].moves) if told else None


def test_what_one_sells_another_buys_by_what_each_wants() -> None:
    """The lesser of both sides; who wants nothing has no move, the last of each side the rest."""
    assert moves(a=30, b=-12, c=0, d=-8, e=10) == [("a", 15), ("e", 5), ("b", -12), ("d", -8)]
    assert moves(a=1, b=1, c=1, d=-10) == [("a", 1), ("b", 1), ("c", 1), ("d", -3)]
    third, rest = D("0.333333"), D("0.333334")
    assert moves(a=5, b=5, c=5, d=-1) == [("a", third), ("b", third), ("c", rest), ("d", -1)]
    assert moves(a=1, b=-5, c=-5, d=-5) == [("a", 1), ("b", -third), ("c", -third), ("d", -rest)]
    assert [str(one) for _, one in moves(a="0.5", b="0.75", c="-1.2") or ()] == ["0.480000", "0.720000", "-1.200000"]


def test_less_than_a_share_does_not_change_hands() -> None:
    """A whole one does; what one side wants alone does not."""
    assert moves(a="0.999999", b=-5) is None
    assert moves(a=1, b=-5) == [("a", 1), ("b", -1)]
    assert moves(a=5, b="-1.5") == [("a", D("1.5")), ("b", D("-1.5"))]
    assert moves(a=5, b=7) is moves(a=-5) is moves() is None


# ── what it made ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_gain_is_what_was_realised_and_what_the_parts_are_worth_more_less_commissions() -> None:
    """What has no price counts at its cost; another's parts and commissions do not count."""
    state = state_of(parts={("left", 1): 10, ("left", 2): -5, ("left", 3): 7, ("right", 1): 1000})
    state.parts["left", 1] = replace(state.parts["left", 1], realized=D(13))
    state.parts["left", 3] = replace(state.parts["left", 3], realized=D(-4))
    state.part_costs.update(left=D("2.5"), right=D(900))
    assert gain_of(state, "left", {"AAA": D(95), "BBB": D(80)}) == 50 + 50 + 13 - 4 - D("2.5")
    assert gain_of(state, "bare", {"AAA": D(95)}) == 0
