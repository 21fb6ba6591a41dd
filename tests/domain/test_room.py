"""What each limit sees between orders, and how much room it leaves: `longwatch limits`, reading by reading."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument, Side
from longwatch.domain.levels import HoldLimits, Level
from longwatch.domain.orders import Purpose
from longwatch.domain.positions import Holding
from longwatch.domain.risk import room
from longwatch.domain.risk.limits import Reading
from longwatch.domain.risk.table import LIMITS
from longwatch.domain.state import State
from tests.domain.test_exposure import foreign, order, state_of
from tests.domain.test_means import CASH_ACCOUNT, small
from tests.domain.test_means_figures import read
from tests.domain.world import ACCOUNT, DAY, EQUITY, MONDAY, OPEN, SESSIONS, SETTINGS, START, World, judged

D = Decimal
NOW = START
LIMITED = replace(
    SETTINGS,
    max_order_shares=D(40),
    max_order_value=D(5_000),
    max_orders_per_minute=9,
    max_volume_fraction=D("0.01"),
    max_position_size=D(500),
    max_weight=D("0.3"),
    max_gross_exposure=D("0.8"),
    max_net_exposure=D("0.6"),
    groups=(("some", ("AAA", "BBB"), D("0.5")), ("others", ("CCC",), D("0.2"))),
    holds=HoldLimits(daily_loss=D("0.05"), drawdown=D("0.2"), strategy_daily_loss=D("0.04"), strategy_drawdown=None),
    allocations=(("trend", D("0.5")), ("none", D(0))),
)


def traded(*orders: object, equity: Decimal | None = EQUITY, held: int = 100) -> State:
    """100 AAA held, sized at 120, of a capital of 100,000."""
    state = state_of(*orders, held=held)  # type: ignore[arg-type]
    state.settings = LIMITED
    if equity is not None:
        state.equity = m.EquitySet(session=DAY, equity=equity, prices=(("AAA", D(120)), ("BBB", D(50))))
    return state


def of(state: State, name: str) -> list[tuple[str, Decimal, Decimal, bool]]:
    """Subject, observed, limit and whether it is a floor, of what a limit of the table sees."""
    found = [reading for limit, reading in room.readings(state, NOW) if limit == name]
    return [(one.subject, one.observed, one.limit, one.floor) for one in found]


def seen(observed: object, limit: object, subject: str = "", floor: bool = False) -> tuple[str, Decimal, Decimal, bool]:
    return subject, D(str(observed)), D(str(limit)), floor


@pytest.mark.parametrize(
    ("observed", "limit", "floor", "left", "part"),
    [
        (3, 4, False, 1, D("0.75")),
        (1, 1, False, 0, D(1)),
        (5, 4, False, -1, D("1.25")),
        (3, 1, True, 2, None),
        (0, 0, False, 0, None),
    ],
)
def test_room_is_what_is_left_and_used_the_part_that_is_gone(
    observed: int, limit: int, floor: bool, left: int, part: Decimal | None
) -> None:
    """Of a floor what is above it; of a limit of nothing there is no part."""
    reading = Reading(observed=D(observed), limit=D(limit), floor=floor)
    assert (room.room(reading), room.used(reading)) == (left, part)


def test_readings_come_in_the_order_of_the_table_and_nothing_is_seen_where_nothing_is_known() -> None:
    """All that a new daemon can say is that it has sent no order."""
    assert list(room.readings(State(settings=LIMITED), NOW)) == [("order_rate", Reading(observed=D(0), limit=D(9)))]
    world = World.ready(LIMITED)
    world.finish(world.one(AAA="0.2"))
    names = [row.name for row in LIMITS]
    places = [names.index(name) for name, _ in room.readings(world.state, world.now)]
    assert places == sorted(places) and len(set(places)) > 8


# ── orders ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_instruments_largest_and_dearest_live_order_is_seen() -> None:
    """At what it may still come to: 30 at 105 and 25 at 130 of AAA, 5 of BBB; without a limit none."""
    bbb = order(3, 5, symbol="BBB", con_id=2)
    state = traded(order(1, 30), order(2, 25, limit_price=D(130)), order(4, 1), bbb)
    assert of(state, "max_order_shares") == [seen(30, 40, "AAA"), seen(5, 40, "BBB")]
    assert of(state, "max_order_value") == [seen(3250, 5000, "AAA"), seen(525, 5000, "BBB")]
    state.settings = replace(LIMITED, max_order_shares=None, max_order_value=None)
    assert of(state, "max_order_shares") == of(state, "max_order_value") == []


def test_the_rate_is_of_the_last_minute() -> None:
    """An order of just a minute ago counts no more."""
    state = traded()
    state.sends = (NOW - timedelta(minutes=1), NOW - timedelta(seconds=59), NOW)
    assert of(state, "order_rate") == [seen(2, 9)]


def test_a_sessions_orders_are_a_part_of_the_average_volume() -> None:
    """Of those with orders since the open that stands last; unknown are hour, session, volume: nothing is seen."""
    bbb = order(2, 50, symbol="BBB", con_id=2, created_at=OPEN, handed=True)
    first = order(3, 10, symbol="AA", con_id=3, created_at=OPEN, handed=True)
    state = traded(order(1, 200, created_at=OPEN, handed=True), bbb, first)
    state.sessions = SESSIONS
    state.judged = {"AA": judged("AAA"), "AAA": judged("AAA"), "BBB": replace(judged("BBB"), average_volume=None)}
    assert of(state, "max_volume_fraction") == []
    state.valued = m.AccountValued(net_liquidation=EQUITY, cash=EQUITY, tech=START, at=OPEN)
    found = [seen("0.00001", "0.01", "AA"), seen("0.0002", "0.01", "AAA")]
    assert of(state, "max_volume_fraction") == found
    state.judged["BBB"] = judged("BBB")
    assert of(state, "max_volume_fraction") == [*found, seen("0.00005", "0.01", "BBB")]
    state.valued = replace(state.valued, at=MONDAY.open_at)
    assert of(state, "max_volume_fraction") == []
    state.valued = replace(state.valued, at=OPEN)
    state.settings = replace(LIMITED, max_volume_fraction=None)
    assert of(state, "max_volume_fraction") == []


# ── positions ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_instrument_held_or_ordered_is_seen_at_worst_on_its_larger_side() -> None:
    """Ours and others', by its name; one that is no more held is not seen."""
    state = traded(order(1, 10), order(2, 300, Side.SELL, symbol="BBB", con_id=2))
    state.foreign_orders = {77: replace(foreign(77, 7, con_id=3), symbol="CCC")}
    state.book[4] = Holding(con_id=4, symbol="DDD", quantity=D(0), average_cost=D(1))
    state.book[5] = Holding(con_id=5, symbol="EEE", quantity=D(-8), average_cost=D(10))
    state.outside[6] = ("ABC", D(3))
    state.account_positions |= {5: ("EEE", D(-8)), 6: ("ABC", D(3))}
    found = [seen(300, 500, "BBB"), seen(7, 500, "CCC"), seen(8, 500, "EEE")]
    assert of(state, "max_position_size") == [seen(110, 500, "AAA"), seen(3, 500, "ABC"), *found]
    state.account_costs[6] = D(40)
    weights = {subject: observed for subject, observed, _, _ in of(state, "max_weight")}
    # 100 held and 10 ordered at 120, above their limit; 300 sold at 105 at most; what has no sizing price at its cost.
    assert weights["AAA"] == D(13_200) / EQUITY
    assert weights["BBB"] == D(300) * 105 / EQUITY
    assert weights["EEE"] == D(80) / EQUITY
    assert weights["ABC"] == D(120) / EQUITY
    assert list(weights) == ["AAA", "ABC", "BBB", "EEE"]
    assert {limit for _, _, limit, _ in of(state, "max_weight")} == {D("0.3")}
    gross, net = D(13_200 + 31_500 + 80 + 120), D(12_000) - 31_500 - 80 + 120
    assert of(state, "max_gross_exposure") == [seen(gross / EQUITY, "0.8")]
    assert of(state, "max_net_exposure") == [seen(abs(net) / EQUITY, "0.6")]


def test_an_instrument_is_called_by_whoever_knows_its_name() -> None:
    """An order, somebody else's, the account, what is not ours, the book, or the contract of a judged symbol."""
    state = State(settings=LIMITED)
    state.judged["HHH"] = judged("AAA")
    state.instruments = {"HHH": Instrument(con_id=8, symbol="HHH"), "III": Instrument(con_id=9, symbol="III")}
    state.account_positions[1] = ("AAA", D(1))
    state.outside[2] = ("BBB", D(1))
    state.book[3] = Holding(con_id=3, symbol="CCC", quantity=D(1), average_cost=D(1))
    state.book[4] = Holding(con_id=4, symbol="DDD", quantity=D(0), average_cost=D(1))
    state.foreign_orders = {77: replace(foreign(77, 7, con_id=5), symbol="EEE")}
    assert room._symbols(state) == {1: "AAA", 2: "BBB", 3: "CCC", 5: "EEE", 8: "HHH"}
    both = state_of(order(1, 10, con_id=6, symbol="FFF"))
    assert room._symbols(both)[6] == "FFF"


def test_a_group_is_seen_at_worst_also_with_nothing_in_it() -> None:
    """AAA and BBB together: 110 and 20 at worst."""
    state = traded(order(1, 10), order(2, 20, symbol="BBB", con_id=2))
    state.instruments = {"AAA": Instrument(con_id=1, symbol="AAA"), "BBB": Instrument(con_id=2, symbol="BBB")}
    value = D(13_200 + 20 * 105)
    assert of(state, "max_group_weight") == [seen(value / EQUITY, "0.5", "some"), seen(0, "0.2", "others")]


@pytest.mark.parametrize("equity", [None, D(0), D("0.5")])
def test_without_a_capital_nothing_is_a_part_of_it(equity: Decimal | None) -> None:
    """Of half a dollar everything is."""
    state = traded(order(1, 10), equity=equity)
    names = ("max_weight", "max_group_weight", "max_gross_exposure", "max_net_exposure")
    assert all(bool(of(state, name)) is bool(equity) for name in names)


# ── account ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_accounts_means_are_seen_by_its_kind() -> None:
    """10 at a limit of 105 of settled cash, or half of that of the liquidity above the floor; an exit takes none."""
    orders = (order(1, 10), order(2, 10, Side.SELL, purpose=Purpose.REDUCE))
    cash, margin = read(*orders, figures=CASH_ACCOUNT), read(*orders, min_excess_liquidity=D(1_000))
    assert of(cash, "settled_cash") == [seen(1050, EQUITY)]
    assert of(margin, "excess_liquidity") == [seen(525, 99_000)]
    assert of(cash, "excess_liquidity") == of(margin, "settled_cash") == []


@pytest.mark.parametrize(("left", "found"), [(2, [seen(2, 0, floor=True)]), (0, [seen(0, 0, floor=True)]), (-1, [])])
def test_day_trades_left_are_a_floor(left: int, found: list[object]) -> None:
    """A figure below zero means there is no limit; nor is there one where nobody told of it."""
    assert of(read(figures=small(left)), "day_trades") == found
    assert of(read(figures=small(None)), "day_trades") == of(read(figures=None), "day_trades") == []


def test_the_ages_of_account_and_clock_are_seen_to_the_tenth() -> None:
    """Of the clock by how much it is off, either way."""
    state = traded()
    state.settings = replace(LIMITED, account_age_seconds=900.0, clock_skew_seconds=2.5)
    tech = NOW - timedelta(seconds=61.26)
    state.compared = m.BookCompared(reason="", positions=0, orders=0, differences=(), activity=0, tech=tech)
    state.clock = m.ClockChecked(skew_seconds=-1.25, tech=NOW)
    assert of(state, "account_is_fresh") == [seen("61.3", "900.0")]
    assert of(state, "clock_is_right") == [seen("1.2", "2.5")]


# ── what has happened ───────────────────────────────────────────────────────────────────────────────────────────────


def test_strikes_of_a_kind_are_seen_by_instrument() -> None:
    world = World.ready(replace(SETTINGS, breaker_strikes=4))
    for _ in range(2):
        (order,) = world.trade(AAA="0.1")
        world.handed(order.intent)
        world.hear(m.OrderErrorSeen, order_id=order.order_id, code=201, text="no", verdict="rejected")
        world.wait(1)
    assert of(world.state, "breaker") == [seen(2, 4, "AAA")]


def marked(level: Level, name: str, start: int, peak: int, value: int) -> Callable[[State], None]:
    def put(state: State) -> None:
        state.marks[(level, name)] = m.EquityMarked(
            level=level,
            name=name,
            session=date(2007, 1, 5),
            start=D(start),
            peak=D(peak),
            value=D(value),
            at=NOW,
        )

    return put


def test_losses_are_seen_from_the_start_of_the_session_and_from_the_peak() -> None:
    """The account's and an instrument's of the equity, a strategy's of its capital; a gain is no loss."""
    state = traded()
    marked(Level.ACCOUNT, ACCOUNT, 100_000, 120_000, 96_000)(state)
    marked(Level.STRATEGY, "trend", 500, 3_000, -1_000)(state)
    marked(Level.STRATEGY, "none", 500, 3_000, -1_000)(state)
    marked(Level.STRATEGY, "gone", 500, 3_000, -1_000)(state)
    marked(Level.INSTRUMENT, "AAA", 500, 3_000, -1_000)(state)

    def lost(limit: str, level: Level, since: str) -> list[tuple[str, Decimal, Decimal, bool]]:
        """What is seen, by the table and by the reader made anew."""
        anew = [
            (one.subject, one.observed, one.limit, one.floor) for one in room._losses(level, limit, since)(state, NOW)
        ]
        assert anew == of(state, limit)
        return anew

    assert lost("daily_loss", Level.ACCOUNT, "start") == [seen("0.04", "0.05")]
    assert lost("drawdown", Level.ACCOUNT, "peak") == [seen("0.2", "0.2")]
    assert lost("strategy_daily_loss", Level.STRATEGY, "start") == [seen("0.03", "0.04", "trend")]
    assert lost("strategy_drawdown", Level.STRATEGY, "peak") == []
    assert lost("instrument_daily_loss", Level.INSTRUMENT, "start") == []
    state.settings = replace(LIMITED, holds=replace(LIMITED.holds, instrument_daily_loss=D("0.02")))
    assert lost("instrument_daily_loss", Level.INSTRUMENT, "start") == [seen("0.015", "0.02", "AAA")]
    state.settings = replace(LIMITED, holds=replace(LIMITED.holds, strategy_drawdown=D("0.1")))
    assert lost("strategy_drawdown", Level.STRATEGY, "peak") == [seen("0.08", "0.1", "trend")]
    marked(Level.ACCOUNT, ACCOUNT, 100_000, 120_000, 130_000)(state)
    assert lost("daily_loss", Level.ACCOUNT, "start") == [seen(0, "0.05")]
    marked(Level.ACCOUNT, ACCOUNT, 0, 1, 0)(state)
    assert lost("daily_loss", Level.ACCOUNT, "start") == []
    assert lost("drawdown", Level.ACCOUNT, "peak") == [seen(1, "0.2")]
