"""At what price a stop is to lie, rule by rule: what it is reckoned from, how far behind, and when it moves."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.course import Booked
from longwatch.domain.instruments import Instrument, Side
from longwatch.domain.positions import Holding
from longwatch.domain.safeguards.stop_levels import BY_HAND, any_rule, by_hand, gone, levelled, rules_of, tightest
from longwatch.domain.settings import StopRule
from longwatch.domain.state import State, evolve
from tests.domain.world import CLOSE, DAY, OPEN, SESSIONS, SETTINGS, START, YESTERDAY, judged

D = Decimal
AAA = Instrument(con_id=1, symbol="AAA")
FIVE, TRAILING = StopRule(fraction=D("0.05")), StopRule(fraction=D("0.05"), trails=True)
NOW = START + timedelta(hours=1)
TICK = timedelta(microseconds=1)


def state_of(rule: StopRule | None = FIVE, *, cost: str = "100", close: str | None = None, **fields: object) -> State:
    """AAA held at this cost, its last close, of today's session, known or not."""
    state = State()
    state.settings = replace(SETTINGS, stop=rule)
    state.sessions = SESSIONS
    state.book[1] = Holding(con_id=1, symbol="AAA", quantity=D(10), average_cost=D(cost))
    if close is not None:
        state.judged["AAA"] = replace(judged("AAA"), close=D(close), last_session=DAY, **fields)  # type: ignore[arg-type]
    return state


def event(kind: type = m.TimeReached) -> m.Event:
    if kind is m.TimeReached:
        return m.TimeReached(at=NOW, tech=NOW)
    return m.ExecutionSeen(
        at=NOW,
        tech=NOW,
        exec_id="1.01",
        order_id=0,
        client_id=0,
        perm_id=1,
        ref="",
        account="",
        con_id=1,
        symbol="AAA",
        side=Side.BUY,
        quantity=D(1),
        price=D(1),
        cumulative=D(1),
        executed_at=NOW,
    )


def row(level: str | None = "95", **fields: object) -> m.StopLevelSet:
    common = m.StopLevelSet(
        con_id=1, symbol="AAA", level=level and D(level), is_long=True, opened_at=START, at=START, because="paid"
    )
    return replace(common, **fields)  # type: ignore[arg-type]


def level(state: State, held: int = 1, kind: type = m.TimeReached) -> tuple[Decimal | None, str] | None:
    """Where the stop is to lie, and why; None where that is no news."""
    found = list(levelled(state, AAA, D(held), event(kind)))
    return (found[-1].level, found[-1].because) if found else None


def test_a_first_level_is_a_fact_with_all_its_fields() -> None:
    opened = m.StopLevelSet(
        con_id=1,
        symbol="AAA",
        level=D("95.00"),
        is_long=True,
        opened_at=NOW,
        at=NOW,
        because="paid 100 less 5%",
    )
    assert list(levelled(state_of(), AAA, D(1), event())) == [opened]
    short = replace(opened, level=D("105.00"), is_long=False, because="paid 100 plus 5%")
    assert list(levelled(state_of(), AAA, D(-1), event())) == [short]


def test_a_row_that_is_set_by_hand_or_gone_keeps_what_it_is_of() -> None:
    assert by_hand(row(), D(80), NOW) == row("80", at=NOW, because=BY_HAND)
    assert gone(row(), NOW, "nothing is held") == row(None, at=NOW, because="nothing is held")


@pytest.mark.parametrize(
    ("rule", "atr", "distance", "why"),
    [
        (StopRule(fraction=D("0.05"), atr_multiple=D(3)), D("1.5"), "4.5", "3 times the average true range 1.5"),
        (
            StopRule(fraction=D("0.05"), atr_multiple=D(3)),
            None,
            "5",
            "5%, for want of an average true range",
        ),
        (StopRule(atr_multiple=D(3)), None, "0", "0%, for want of an average true range"),
        (StopRule(amount=D("2.5")), D("1.5"), "2.5", "2.5"),
        (StopRule(fraction=D("0.05")), D("1.5"), "5", "5%"),
    ],
)
def test_the_distance_is_what_the_rule_asks_for(rule: StopRule, atr: Decimal | None, distance: str, why: str) -> None:
    """In words as well; without a series there is no average true range."""
    state = state_of(rule, close="100", atr=atr)
    assert level(state) == (D(100) - D(distance), f"paid 100 less {why}")
    assert tightest(state, "AAA", D(100)) == D(distance)
    if atr is None:
        state.judged.clear()
        assert level(state) == (D(100) - D(distance), f"paid 100 less {why}")


def test_the_rules_are_the_symbols_own_else_its_strategies_else_the_general_one() -> None:
    """A strategy's where its universe or its targets name the symbol; the tightest distance counts."""
    state = state_of(FIVE)
    far, near, own = (StopRule(fraction=D(one)) for one in ("0.2", "0.1", "0.3"))
    strategies = (("far", far), ("near", near))
    universes = (("far", ("AAA", "BBB")), ("near", ("CCC",)))
    state.settings = replace(
        state.settings, stops_of_strategies=strategies, universes=universes, stops_of_symbols=(("DDD", own),)
    )
    assert [rules_of(state, name) for name in ("AAA", "CCC", "DDD", "EEE")] == [(far,), (near,), (own,), (FIVE,)]
    state.targets["near"] = m.TargetsComputed(
        at=NOW,
        tech=NOW,
        run_id="1",
        strategy="near",
        session=DAY,
        weights=(("BBB", D(1)), ("AAA", D(0))),
        memory="",
        source_sha256="",
        seconds=0.0,
    )
    assert rules_of(state, "AAA") == rules_of(state, "BBB") == (far, near)
    assert rules_of(state, "EEE") == (FIVE,)
    assert tightest(state, "AAA", D(100)) == D(10)
    assert level(state) == (D("90.00"), "paid 100 less 10%")
    assert level(state, -1) == (D("110.00"), "paid 100 plus 10%")
    state.settings = replace(state.settings, universes=())
    assert (rules_of(state, "AAA"), rules_of(state, "CCC")) == ((near,), (FIVE,))
    state.settings = SETTINGS
    assert (rules_of(state, "AAA"), tightest(state, "AAA", D(100)), level(state)) == ((), None, None)


def test_any_rule_is_one_of_the_three_kinds() -> None:
    assert not any_rule(SETTINGS)
    for fields in ({"stop": FIVE}, {"stops_of_symbols": (("AAA", FIVE),)}, {"stops_of_strategies": (("a", FIVE),)}):
        assert any_rule(replace(SETTINGS, **fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("held", "cost", "close", "known", "kind", "paid"),
    [
        (1, "130", "100", False, m.TimeReached, "100"),
        (1, "90", "100", False, m.TimeReached, "90"),
        (-1, "90", "100", False, m.TimeReached, "100"),
        (-1, "130", "100", False, m.TimeReached, "130"),
        (1, "130", "100", False, m.ExecutionSeen, "130"),
        (1, "130", "100", True, m.TimeReached, "130"),
        (1, "130", None, False, m.TimeReached, "130"),
        (1, "0", "100", True, m.TimeReached, "100"),
        (-1, "0", "100", False, m.TimeReached, "100"),
    ],
)
def test_what_was_held_before_its_stop_is_reckoned_from_the_worse_of_cost_and_close(
    held: int, cost: str, close: str | None, known: bool, kind: type, paid: str
) -> None:
    """What was just bought from its cost, as what has a level already; without a cost from the close."""
    state = state_of(cost=cost, close=close)
    if known:
        state.stop_levels[1] = row("1", is_long=held > 0)
    found = level(state, held, kind)
    assert found is not None
    assert found[1].startswith(f"paid {paid} ")


def test_without_cost_or_close_there_is_no_level() -> None:
    assert level(state_of(cost="0")) is None
    state = state_of()
    state.book.clear()
    assert level(state) is None


def test_a_trailing_stop_follows_the_close_of_a_session_that_ended_after_the_opening() -> None:
    """The better of close and cost, from the next session's close on; a flawed series tells nothing."""
    assert level(state_of(TRAILING, close="120")) == (D("114.00"), "close 120 less 5%")
    assert level(state_of(FIVE, close="120")) == (D("95.00"), "paid 100 less 5%")
    assert level(state_of(TRAILING, close="80"), kind=m.ExecutionSeen) == (D("95.00"), "paid 100 less 5%")
    assert level(state_of(TRAILING, close="80"), -1, m.ExecutionSeen) == (D("84.00"), "close 80 plus 5%")
    for spoilt in ({"flaws": ("a gap",)}, {"last_session": YESTERDAY.date}, {"last_session": None}):
        state = state_of(TRAILING, close="120")
        state.judged["AAA"] = replace(state.judged["AAA"], **spoilt)  # type: ignore[arg-type]
        assert level(state) == (D("95.00"), "paid 100 less 5%"), spoilt
    for opened_at, follows in ((CLOSE, False), (CLOSE - TICK, True)):
        state = state_of(TRAILING, close="120")
        state.stop_levels[1] = row(opened_at=opened_at)
        assert level(state) == ((D("114.00"), "close 120 less 5%") if follows else None)


def test_a_level_moves_in_favour_and_by_a_thousandth_at_least() -> None:
    """Neither back nor for a tick; one that was gone is set anew, for a holding of the other side as well."""
    for former, held, moves in (
        ("94.91", 1, False),
        ("94.90", 1, True),
        ("95", 1, False),
        ("96", 1, False),
        ("105.11", -1, True),
        ("105.10", -1, False),
        ("105", -1, False),
        ("104", -1, False),
    ):
        state = state_of()
        state.stop_levels[1] = row(former, is_long=held > 0)
        assert (level(state, held) is not None) is moves, (former, held)
    state = state_of()
    state.stop_levels[1] = row("99", opened_at=OPEN)
    assert level(state, -1) == (D("105.00"), "paid 100 plus 5%")
    (kept,) = levelled(replace_row(state, row(None, opened_at=OPEN)), AAA, D(1), event())
    assert (kept.level, kept.opened_at, kept.at) == (D("95.00"), OPEN, NOW)
    (turned,) = levelled(replace_row(state, row("99", opened_at=OPEN)), AAA, D(-1), event())
    assert turned.opened_at == NOW


def replace_row(state: State, new: m.StopLevelSet) -> State:
    state.stop_levels[1] = new
    return state


def test_a_level_set_by_hand_follows_only_closes_since_then() -> None:
    """What was paid moves it no more."""
    state = state_of(FIVE, close="120")
    assert level(replace_row(state, row("80", because=BY_HAND))) is None
    for at, follows in ((CLOSE, False), (CLOSE - TICK, True)):
        state = state_of(TRAILING, close="120")
        found = level(replace_row(state, row("80", because=BY_HAND, at=at)))
        assert found == ((D("114.00"), "close 120 less 5%") if follows else None)


@pytest.mark.parametrize(
    ("held", "rule", "expected"),
    [
        (1, StopRule(amount=D("2.345")), "97.65"),
        (-1, StopRule(amount=D("2.345")), "102.35"),
        (1, StopRule(amount=D(100)), "0.01"),
        (1, StopRule(amount=D(200)), "0.01"),
    ],
)
def test_a_level_lies_on_the_tick_grid_away_from_the_market_and_above_nothing(
    held: int, rule: StopRule, expected: str
) -> None:
    found = level(state_of(rule), held)
    assert found is not None
    assert found[0] == D(expected)


def split(at: datetime, new: int = 2, old: int = 1) -> m.SplitBooked:
    return m.SplitBooked(
        con_id=1,
        symbol="AAA",
        new=new,
        old=old,
        book=D(20),
        outside=D(0),
        average_cost=D(50),
        sizing_price=None,
        at=at,
        proof="",
    )


def test_a_split_divides_the_level_once() -> None:
    """By all the splits since it was set, rounded away from the market; not by those before."""
    for held, expected in ((1, "31.66"), (-1, "31.67")):
        state = state_of(cost="0")
        state.stop_levels[1] = row("95", is_long=held > 0, opened_at=OPEN)
        state.splits[1] = (split(START), split(START + TICK), split(NOW, 3, 2))
        found = next(levelled(state, AAA, D(held), event()))
        assert (found.level, found.opened_at, found.at) == (D(expected), OPEN, NOW)
        assert found.because == "a split: 95 divided by 3"


def test_after_a_split_the_level_that_was_set_counts() -> None:
    """No other is found for a holding that has one as good."""
    state = replace_row(state_of(), row("95"))
    state.splits[1] = (split(NOW),)
    (found,) = levelled(state, AAA, D(1), event())
    assert found.level == D("47.50")


def test_shares_of_pennies_have_levels_too() -> None:
    assert level(state_of(cost="0.50")) == (D("0.47"), "paid 0.50 less 5%")


def test_a_thousandth_is_worth_moving() -> None:
    """Just that much."""
    for cost, moves in (("105.10", True), ("105.09", False)):
        state = replace_row(state_of(StopRule(amount=D(5)), cost=cost), row("100"))
        assert (level(state) is not None) is moves


def test_levels_of_one_holding_are_compared_in_shares_of_today_and_on_the_grid() -> None:
    """A split divides the level of before, once; where both then come to the same, that is no news."""
    state = state_of(None)
    split = m.SplitBooked(
        con_id=1,
        symbol="AAA",
        new=3,
        old=1,
        book=D(10),
        outside=D(0),
        average_cost=D(40),
        sizing_price=None,
        at=START + TICK,
        proof="",
    )
    state.splits[1] = (split,)
    state.course[7] = Booked(exec_id="s", signed=D(0), price=D(40), tech=NOW, before=state.book[1])
    state.left_levels[1] = ((row("123.50", opened_at=OPEN), 7),)
    for level_of_now, news in (("41.15", "41.16"), ("41.16", None), ("42", None), ("0.01", "41.16")):
        former = row(level_of_now, opened_at=OPEN, at=NOW)
        assert level(replace_row(state, former)) == (news and (D(news), "a split: 123.50 divided by 3"))
        evolve(state, replace(former, level=D("41.16")))
        assert level(state) is None
    state.course[8] = replace(state.course[7], before=replace(state.book[1], quantity=D(0)))
    assert level(replace_row(state, row("41.15", opened_at=OPEN, at=NOW))) is None


@pytest.mark.parametrize(("side", "worse", "better"), [(1, "99", "101"), (-1, "101", "99")])
def test_of_levels_that_are_joined_the_better_one_is_that_of_the_side(side: int, worse: str, better: str) -> None:
    """And the earliest opening that of the whole."""
    for left, now, found in ((better, worse, better), (worse, better, better)):
        state, before = state_of(None), Holding(con_id=1, symbol="AAA", quantity=D(side), average_cost=D(100))
        state.course[7] = Booked(exec_id="s", signed=D(0), price=D(40), tech=NOW, before=before)
        state.left_levels[1] = ((row(left, opened_at=OPEN, is_long=side > 0), 7),)
        state.stop_levels[1] = row(now, opened_at=NOW, at=NOW, is_long=side > 0)
        (joined,) = levelled(state, AAA, D(side), event())
        assert (joined.level, joined.opened_at) == (D(found), OPEN)


# ── an average true range that is not known any more ────────────────────────────────────────────────────────────────


BY_RANGE = StopRule(fraction=D("0.05"), atr_multiple=D(3))


def ranged(atr: str | None, *flaws: str) -> m.DataJudged:
    """A judgement of AAA with this average true range."""
    one = replace(judged("AAA", *flaws), close=D(110), last_session=DAY, atr=atr and D(atr))  # type: ignore[arg-type]
    return m.DataJudged(session=DAY, judged=(one,))


@pytest.mark.parametrize("held", [1, -1])
def test_what_stands_in_for_an_average_true_range_moves_no_level_once_one_was_known(held: int) -> None:
    """Whatever else may be known; another rule goes on counting, and so does this one once its range is known again."""
    rule = replace(BY_RANGE, trails=True)
    state = replace_row(state_of(rule), row("94" if held > 0 else "106", is_long=held > 0))
    for missing in (ranged(None), ranged(None, "no history within 30 s"), m.DataJudged(session=DAY, judged=())):
        evolve(state, ranged("2"))
        evolve(state, missing)
        assert level(state, held) is None
    state.settings = replace(SETTINGS, stop=None, stops_of_strategies=(("a", rule), ("b", FIVE)))
    state.settings = replace(state.settings, universes=(("a", ("AAA",)), ("b", ("AAA",))))
    assert level(state, held) == ((D(95), "paid 100 less 5%") if held > 0 else (D(105), "paid 100 plus 5%"))
    state.settings = replace(SETTINGS, stop=BY_RANGE)
    evolve(state, ranged("1"))
    assert (level(state, held) or [None])[0] == (D(97) if held > 0 else D(103))


def test_a_first_level_has_what_stands_in_and_keeps_it_where_it_is_tighter() -> None:
    """Also where a range was known before; and it is made better by what stands in while none was known ever."""
    state = state_of(BY_RANGE)
    stood_in = "5%, for want of an average true range"
    assert level(state) == (D(95), f"paid 100 less {stood_in}")
    assert level(replace_row(state, row("94"))) == (D(95), f"paid 100 less {stood_in}")
    evolve(state, ranged("2"))
    assert level(replace_row(state, row("95"))) is None, "94 would be farther away"
    evolve(state, ranged("1"))
    assert level(state) == (D(97), "paid 100 less 3 times the average true range 1")
    evolve(state, ranged(None, "no history within 30 s"))
    state.stop_levels.clear()
    assert level(state) == (D(95), f"paid 100 less {stood_in}")
