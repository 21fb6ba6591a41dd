"""What losses and slippage are measured from, fact by fact, and what a hold cancels, says and ends with."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from longwatch.domain import messages as m
from longwatch.domain.levels import Grade, Level
from longwatch.domain.orders import OrderState, Purpose
from longwatch.domain.replies import objection
from longwatch.domain.risk import held_at, holds
from longwatch.domain.risk.held_at import RULE, told
from longwatch.domain.risk.limits import Does, Limit, Setting
from longwatch.domain.sessions import Session
from tests.domain.test_exposure import order as an_order
from tests.domain.test_exposure import state_of
from tests.domain.test_flows import mark, said
from tests.domain.test_holds import TWO, aim, held, limited, ordered, read, two
from tests.domain.world import ACCOUNT, CLOSE, EQUITY, MONDAY, OPEN, SESSION, YESTERDAY, World, alerts, of_kind

D = Decimal
TUESDAY, WEDNESDAY = (
    Session(date=MONDAY.date + days, open_at=MONDAY.open_at + days, close_at=MONDAY.close_at + days)
    for days in (timedelta(days=1), timedelta(days=2))
)


def told_of(world: World, kind: type) -> list[Any]:
    """Every fact of a kind since the world began."""
    return [fact for _, step in world.steps for fact in of_kind(step.facts, kind)]


def flows(world: World, equity: object, cash: object) -> list[Decimal]:
    """The money that one more reading is taken to show as come or gone."""
    world.wait(31)
    step = world.snapshot(net_liquidation=D(str(equity)), cash=D(str(cash)))
    return [fact.amount for fact in of_kind(step.facts, m.FlowBooked)]


# ── money that comes or goes ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("amount", "went"), [(-30_000, "30,000.00 left"), (30_000, "30,000.00 came into")])
def test_money_without_a_trade_is_booked_with_what_the_account_was_worth_and_told(amount: int, went: str) -> None:
    """The alert says how much, which way, and how to correct it."""
    world = World.ready(limited())
    step = world.snapshot(net_liquidation=EQUITY + amount, cash=EQUITY + amount)
    reason = "cash and equity moved alike, without a trade"
    booked = m.FlowBooked(amount=D(amount), reason=reason, at=world.now, equity=EQUITY, noticed=True)
    assert of_kind(step.facts, m.FlowBooked) == [booked]
    (alert,) = of_kind(step.effects, m.RaiseAlert)
    assert (alert.key, alert.text) == (
        "cash_flow",
        f"{went} the account without a trade: neither a gain nor a loss; "
        f"if that is wrong, `longwatch flow {-amount}.00` takes it back",
    )


def test_what_was_told_before_is_booked_as_shown_and_raises_nothing() -> None:
    """Up to three days after the word, that instant included; a moment later it is money of its own."""
    for late, is_shown in ((timedelta(0), True), (timedelta(seconds=1), False)):
        world = World.ready(limited())
        world.hear(m.ControlRequested, command="flow", argument="-20000", by="uid 1000", reason="rent")
        word = m.FlowBooked(amount=D(-20_000), reason="uid 1000: rent", at=world.now, equity=EQUITY, awaited=True)
        assert told_of(world, m.FlowBooked) == [word]
        world.now += holds.AWAITED + late - timedelta(seconds=1)
        step = world.snapshot(net_liquidation=D(80_000), cash=D(80_000))
        (seen,) = of_kind(step.facts, m.FlowBooked)
        assert (seen.shown, alerts(step)) == ((True, []) if is_shown else (False, ["cash_flow"]))
        if is_shown:
            text = "a reading shows what was told of before"
            assert seen == replace(word, reason=text, at=world.now, awaited=False, shown=True)


@pytest.mark.parametrize(
    ("amount", "late", "is_it"),
    [
        ("-30000", timedelta(0), True),
        ("-30300", timedelta(0), True),  # a fee may have been taken
        ("-29700", timedelta(0), True),
        ("-30301", timedelta(0), False),
        ("30000", timedelta(0), False),
        ("-30000", timedelta(hours=6), True),
        ("-30000", timedelta(days=3), False),
    ],
)
def test_a_person_who_tells_what_was_noticed_lately_tells_nothing_new(
    amount: str, late: timedelta, is_it: bool
) -> None:
    """To a hundredth of it, and in the same session: it is counted already."""
    world = World.ready(limited())
    assert holds.noticed(world.state, D(amount), world.now) is None
    world.snapshot(net_liquidation=D(70_000), cash=D(70_000))
    (seen,) = told_of(world, m.FlowBooked)
    assert holds.noticed(world.state, D(amount), world.now + late) == (seen if is_it else None)
    facts = list(holds.flow_told(world.state, D(amount), "rent", world.now + late))
    assert bool(facts) is not is_it


def test_a_loss_that_two_readings_show_counts_though_money_left_between_them() -> None:
    """90,000 of 100,000, then 60,000 with 30,000 gone: a tenth lost, both times."""
    world = World.ready(limited(daily_loss=D("0.1")))
    assert read(world, 90_000, 100_000) == []
    (hold,) = read(world, 60_000, 70_000)
    assert hold.observed == D("0.1")


@pytest.mark.parametrize(
    ("equity", "cash", "is_flow"),
    [
        (100_200, 100_200, True),  # just 0.2 % of the equity
        (100_199, 100_199, False),  # interest, or a dividend
        (75_000, 80_000, True),  # the equity moved by a quarter more
        (74_999, 80_000, False),
        (250_000, 250_000, True),  # more than there was
        (0, 0, False),  # nothing would be left to measure from
    ],
)
def test_cash_is_a_flow_when_it_is_large_and_the_equity_moved_by_about_as_much(
    equity: int, cash: int, is_flow: bool
) -> None:
    """From 0.2 % of the equity on, and to a quarter of itself."""
    assert bool(flows(World.ready(limited()), equity, cash)) is is_flow


def test_cash_is_no_flow_where_book_and_account_differ_before_or_after() -> None:
    """Nobody knows what it was for."""
    world = World.ready(limited())
    world.positions[2] = D(100)
    assert flows(world, 75_000, 75_000) == []
    world = World.ready(limited())
    world.positions[2] = D(100)
    assert flows(world, 100_000, 100_000) == []
    del world.positions[2]
    assert flows(world, 75_000, 75_000) == []
    assert flows(world, 60_000, 60_000) == [-15_000]


def test_a_flow_is_measured_at_the_last_value_there_is() -> None:
    """Of a reading without one, the one before it."""
    world = World.ready(limited())
    world.wait(31)
    world.snapshot(net_liquidation=None)
    said(world, "-30000")
    assert [fact.equity for fact in told_of(world, m.FlowBooked)] == [EQUITY]


def test_a_flow_that_would_have_begun_with_nothing_is_refused() -> None:
    """70,000 are said to be gone and not seen yet; all of the 100,000 that are seen can't have come since."""
    world = World.ready(limited())
    said(world, "-70000")
    assert mark(world).start == 30_000
    event = said(world, "100000")
    assert objection(world.state, event) is not None
    assert len(told_of(world, m.FlowBooked)) == 1


# ── the account ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_mark_says_what_was_read_and_when() -> None:
    """With the session it belongs to; no news where nothing has changed."""
    world = World.ready(limited())
    read(world, 120_000)
    assert len(told_of(world, m.EquityMarked)) == 1
    read(world, 130_000)
    assert mark(world) == m.EquityMarked(
        level=Level.ACCOUNT,
        name=ACCOUNT,
        session=SESSION.date,
        start=EQUITY,
        peak=D(120_000),
        value=D(130_000),
        at=world.now,
    )


def test_a_reading_after_one_without_a_value_makes_no_peak() -> None:
    """The value that counts before it is still the last one told."""
    world = World.ready(limited())
    world.wait(31)
    world.snapshot(net_liquidation=None)
    read(world, 900_000)
    assert mark(world).peak == EQUITY


@pytest.mark.parametrize(("start", "found"), [(0, []), (1, [D(1)])])
def test_an_account_that_began_with_nothing_loses_no_share_of_it(start: int, found: list[Decimal]) -> None:
    """Of one dollar all can be lost."""
    world = World.ready(limited(drawdown=D("0.5")))
    read(world, 0)
    world.state.marks[(Level.ACCOUNT, ACCOUNT)] = replace(mark(world), start=D(start), peak=D(start))
    assert [hold.observed for hold in read(world, 0)] == found


def test_a_session_begins_with_its_opening_instant() -> None:
    """Its start is the last reading before; what was read before the session that went before is too old."""
    for before, start in ((OPEN, 97_000), (OPEN - timedelta(seconds=1), 94_000)):
        world = World.ready(limited())
        read(world, 97_000, rounds=2)
        assert world.state.compared is not None
        world.state.compared = replace(world.state.compared, at=before)
        world.now = MONDAY.open_at - timedelta(seconds=1)
        world.snapshot(net_liquidation=D(94_000))
        assert (mark(world).session, mark(world).start) == (MONDAY.date, start)


def test_the_second_session_that_is_known_starts_from_the_first_ones_last_readings() -> None:
    """And the first one from its first reading: there is no session before it."""
    world = World(now=YESTERDAY.open_at + timedelta(minutes=5), settings=limited())
    world.start()
    world.connect()
    assert (mark(world).session, mark(world).start) == (YESTERDAY.date, EQUITY)
    read(world, 98_000, rounds=2)
    world.now = OPEN
    read(world, 95_000)
    assert (mark(world).session, mark(world).start) == (SESSION.date, 98_000)


def test_money_that_left_is_taken_off_each_of_the_three_readings_that_a_session_starts_from() -> None:
    """100,000 and a wrong 112,000 before 30,000 left, 76,000 after it: the middle one of 70, 82 and 76."""
    world = World.ready(limited())
    world.now = MONDAY.open_at - timedelta(minutes=2)
    read(world, 100_000, rounds=2)
    read(world, 112_000)
    world.now = MONDAY.open_at
    assert flows(world, 76_000, 70_000) == [-30_000]
    assert mark(world).start == 76_000


# ── strategies ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_strategy_is_marked_from_when_it_has_made_or_lost_something() -> None:
    """What it had made at the last look of the session before is its start; its peak stays. The other has no mark."""
    world = World.ready(limited(replace(TWO, allocations=(("left", D("0.4")), ("right", D("0.6"))))))
    aim(world, right={"AAA": "0.2"})
    (order,) = ordered(world)
    world.finish(order.intent)
    assert [key for key in world.state.marks if key[0] is Level.STRATEGY] == []

    def marked(price: int) -> m.EquityMarked:
        world.prices["AAA"] = D(price)
        aim(world, right={"AAA": "0.2"})
        assert (Level.STRATEGY, "left") not in world.state.marks
        return world.state.marks[(Level.STRATEGY, "right")]

    shares = order.quantity
    whole = {"level": Level.STRATEGY, "name": "right", "session": SESSION.date, "start": D(0)}
    assert marked(110) == m.EquityMarked(**whole, peak=10 * shares, value=10 * shares, at=world.now)
    world.wait(1)
    assert marked(105) == m.EquityMarked(**whole, peak=10 * shares, value=5 * shares, at=world.now)
    world.now = MONDAY.open_at
    monday = whole | {"session": MONDAY.date, "start": 5 * shares}
    assert marked(108) == m.EquityMarked(**monday, peak=10 * shares, value=8 * shares, at=world.now)
    assert marked(107) == m.EquityMarked(**monday, peak=10 * shares, value=7 * shares, at=world.now)


def test_a_strategy_without_capital_is_not_measured_by_it() -> None:
    """A strategy whose share was taken away still holds what it holds."""
    world = two(strategy_drawdown=D("0.01"))
    shares = replace(world.settings, allocations=(("left", D(0)), ("right", D(1))))
    world.hear(m.ConfigLoaded, settings=shares, sha256="none for the left")
    world.prices["AAA"] = D(90)
    aim(world, left={"AAA": "0.2"}, right={"AAA": "0.2"})
    assert held(world) == {("right", "strategy_drawdown", "halted")}


# ── orders ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_slippage_is_judged_at_an_orders_end() -> None:
    """The first word of it is a fill two per cent off, by which it is known to work: not yet."""
    world = World.ready(limited(order_slippage_bps=D(100)))
    intent = world.one(AAA="0.2")
    world.handed(intent)
    world.fill(intent, 100, "102")
    assert world.order(intent).state is OrderState.WORKING and not world.state.holds
    world.fill(intent, 100, "102")
    assert held(world) == {("AAA", "order_slippage", "reducing")}


def test_an_order_that_was_concluded_from_a_position_has_no_price_of_its_own() -> None:
    """However far from the decision the price is that it was booked at."""
    world = World.ready(limited(order_slippage_bps=D(100)))
    intent = world.one(AAA="0.2")
    world.acknowledge(intent)
    world.fill(intent, 100, "102")
    order = world.order(intent)
    assert holds._has_slippage(order)
    assert not holds._has_slippage(replace(order, state=OrderState.INFERRED))
    assert not holds._has_slippage(replace(order, decision_price=D(0)))


def test_only_fills_of_the_session_that_have_slippage_count_for_it() -> None:
    """An order at work without a fill weighs nothing, nor does what was decided before the open."""
    world = World.ready(limited(session_slippage_bps=D(40)))
    (order,) = world.trade(AAA="0.2")
    world.acknowledge(order.intent)
    world.finish(world.one(AAA="0.2", BBB="0.2"), price="50.19")
    assert not world.state.holds
    world.now = MONDAY.open_at + timedelta(minutes=5)
    world.snapshot()
    world.targets(AAA="0.2", BBB="0.2", CCC="0.1")
    (bought,) = of_kind(world.rebalance(session=MONDAY).effects, m.SubmitOrder)
    world.finish(bought.order.intent, price="20.08")
    (hold,) = world.state.holds.values()
    assert (hold.name, hold.rule, hold.observed, hold.since) == (ACCOUNT, "session_slippage", D(40), world.now)


def test_an_order_is_of_the_session_from_its_opening_instant_on() -> None:
    """The latest first; what rested, and what has no fill, is left out, and the one before ends the search."""
    filled = {"filled": D(10), "average_price": D(101), "state": OrderState.FILLED}
    at = {number: OPEN + timedelta(seconds=number) for number in range(-2, 5)}
    state = state_of(
        an_order(1, created_at=at[-2], **filled),
        an_order(2, created_at=at[-1], **filled),
        an_order(3, created_at=at[0], **filled),
        an_order(4, created_at=at[1], **filled | {"purpose": Purpose.STOP}),
        an_order(5, created_at=at[2]),
        an_order(6, created_at=at[3], **filled),
    )
    state.sessions = (YESTERDAY, SESSION, MONDAY)
    assert [order.intent for order in holds._of_the_session(state, OPEN)] == [6, 3]
    assert [order.intent for order in holds._of_the_session(state, at[-1])] == [6, 3, 2, 1]
    state.sessions = (MONDAY,)
    assert list(holds._of_the_session(state, OPEN)) == []


def test_before_any_session_is_known_no_slippage_is_of_one() -> None:
    """An order's own counts."""
    world = World.ready(limited(session_slippage_bps=D(1), order_slippage_bps=D(1)))
    intent = world.one(AAA="0.2")
    world.hear(m.CalendarLoaded, sessions=())
    world.finish(intent, price="102")
    assert held(world) == {("AAA", "order_slippage", "reducing")}


def test_a_resumed_session_slippage_is_measured_anew() -> None:
    """What was decided up to a person's word is not held against the account again."""
    world = World.ready(limited(session_slippage_bps=D(50)))
    world.finish(world.one(AAA="0.2"), price="101")
    assert held(world) == {(ACCOUNT, "session_slippage", "reducing")}
    world.hear(m.ControlRequested, command="resume", by="uid 1000")
    world.wait(1)
    world.finish(world.one(AAA="0.2", BBB="0.2"), price="50.2")
    assert not world.state.holds
    world.finish(world.one(AAA="0.2", BBB="0.2", CCC="0.2"), price="20.2")
    (hold,) = world.state.holds.values()
    assert hold.observed == 70


def test_a_strategys_slippage_weighs_each_order_by_its_share_of_it() -> None:
    """A third of 30,000 at 1 % and 10,000 at 0.1 % are 55 bp of 20,000; all of the first would be 77 bp."""
    world = World.ready(limited(TWO, strategy_slippage_bps=D(55)))
    aim(world, left={"AAA": "0.2", "BBB": "0.2"}, right={"AAA": "0.4"})
    first, second = sorted(ordered(world), key=lambda order: order.symbol)
    world.finish(second.intent, price="50.05")
    world.state.lifted.clear()
    world.finish(first.intent, price="101")
    found = {hold.name: hold.observed for hold in world.state.holds.values()}
    assert found.keys() == {"left", "right"}
    assert (round(found["left"], 9), round(found["right"], 9)) == (55, 100)


def test_an_order_that_never_reached_the_broker_ends_no_row_of_rejections() -> None:
    """It was withheld: the broker has taken nothing."""
    world = World.ready(limited(rejections=2))

    def rejected(symbol: str) -> None:
        (order,) = world.trade(**{symbol: "0.1"})
        world.handed(order.intent)
        world.hear(m.OrderErrorSeen, order_id=order.order_id, code=201, text="no", verdict="rejected")
        world.wait(1)

    rejected("AAA")
    world.hear(m.OrderWithheld, intent=world.one(CCC="0.1"), reason="the link is gone")
    world.wait(1)
    assert not world.state.holds
    rejected("BBB")
    (hold,) = world.state.holds.values()
    assert (hold.rule, hold.observed, hold.since) == ("rejections", 2, world.now - timedelta(seconds=1))


# ── what a hold says, cancels and ends with ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"rule": "daily_loss", "level": Level.ACCOUNT, "name": ACCOUNT, "until": MONDAY.open_at},
            "account: daily_loss 6.25% of the equity at the session's start, the limit is 5.00%: only reducing orders "
            "until 2007-01-08 14:30Z or `longwatch resume`",
        ),
        (
            {"rule": "drawdown", "level": Level.ACCOUNT, "name": ACCOUNT, "grade": Grade.HALTED},
            "account: drawdown 6.25% of the highest equity, the limit is 5.00%: no order until `longwatch resume`",
        ),
        (
            {"rule": "strategy_drawdown", "level": Level.STRATEGY, "name": "trend", "grade": Grade.HALTED},
            "strategy trend: strategy_drawdown 6.25% of the strategy's capital, the limit is 5.00%: no order until "
            "`longwatch resume trend`",
        ),
        (
            {"rule": "order_slippage", "level": Level.INSTRUMENT, "name": "AAA", "observed": D(70), "limit": D(60)},
            "instrument AAA: order_slippage 70.0 bp of the decision price, the limit is 60.0: only reducing orders "
            "until `longwatch resume AAA`",
        ),
    ],
)
def test_a_hold_says_whose_it_is_by_what_what_it_lets_leave_and_what_ends_it(
    fields: dict[str, Any], words: str
) -> None:
    """With the measure and the limit in the rule's own unit, and the command that lifts it."""
    plain = {"grade": Grade.REDUCING, "observed": D("0.0625"), "limit": D("0.05"), "since": MONDAY.open_at}
    assert told(m.HoldSet(**(plain | fields))) == words


def test_each_rule_is_a_row_of_the_table_of_limits() -> None:
    """With the settings of its limit and its grade, and where it may end with a session the one that says so."""
    rows = {rule.name: held_at._row(rule) for rule in held_at.RULES}
    assert tuple(rows.values()) == held_at.ROWS
    assert rows["daily_loss"] == Limit(
        name="daily_loss",
        does=Does.LATCHES,
        unit="of the equity at the session's start",
        text="Equity lost since the session's start, its opening gap included. Holds the account.",
        test="tests/daemon/test_holds.py::test_a_loss_of_the_day_holds_the_account_until_the_next_session",
        settings=(
            Setting("holds.daily_loss", "0.05"),
            Setting("holds.daily_loss_sets", "reducing"),
            Setting("holds.until", "next session"),
        ),
    )
    assert [one.path for one in rows["drawdown"].settings] == ["holds.drawdown", "holds.drawdown_sets"]


def test_a_hold_is_told_to_a_person_at_once() -> None:
    """Critically, in the words of its rule; it has the instant it was set at."""
    world = World.ready(limited(daily_loss=D("0.05")))
    (hold,) = read(world, 90_000, rounds=2)
    assert hold.since == world.now
    alert = m.RaiseAlert(key="hold", text=told(hold), severity="critical")
    assert of_kind(world.steps[-1][1].effects, m.RaiseAlert) == [alert]


@pytest.mark.parametrize("at", [CLOSE + timedelta(hours=1), MONDAY.open_at, MONDAY.close_at - timedelta(seconds=1)])
def test_a_sessions_hold_ends_with_the_one_after_it(at: datetime) -> None:
    """One of the evening is about the morning; one set with the opening bell is about the session that opens."""
    world = World.ready(limited())
    world.hear(m.CalendarLoaded, sessions=(YESTERDAY, SESSION, MONDAY, TUESDAY, WEDNESDAY))
    assert holds._until(world.state, RULE["session_slippage"], at) == TUESDAY.open_at


def test_an_instruments_hold_cancels_the_entries_of_that_instrument_alone() -> None:
    """Set while two more work: the one in AAA is asked to end, for the limit's sake."""
    world = World.ready(limited(order_slippage_bps=D(100)))
    first = world.one(AAA="0.1")
    world.acknowledge(first)
    for order in world.trade(AAA="0.2", BBB="0.1"):
        world.acknowledge(order.intent)
    world.fill(first, int(world.order(first).quantity), "102")
    assert {order.symbol for order in world.state.live_orders() if order.cancel_asked} == {"AAA"}
    assert {order.symbol for order in world.state.live_orders() if not order.cancel_asked} == {"BBB"}
    assert {fact.reason for fact in told_of(world, m.OrderCancelAsked)} == {"order_slippage limit"}


def test_a_strategys_hold_cancels_the_entries_it_has_a_share_in() -> None:
    """What is the other one's alone goes on."""
    world = World.ready(limited(TWO, strategy_slippage_bps=D(100)))
    aim(world, left={"AAA": "0.2", "BBB": "0.2"}, right={"CCC": "0.2"})
    orders = {order.symbol: order.intent for order in ordered(world)}
    for intent in orders.values():
        world.acknowledge(intent)
    world.fill(orders["AAA"], int(world.order(orders["AAA"]).quantity), "102")
    assert {order.symbol: order.cancel_asked for order in world.state.live_orders()} == {"BBB": True, "CCC": False}


def test_a_hold_that_halts_leaves_a_flattens_orders_alone() -> None:
    """They close what the hold is about; without the flatten they are cancelled."""
    for flattens in (True, False):
        world = World.ready(limited(drawdown=D("0.05")))
        world.wait(1)
        world.finish(world.one(AAA="0.2"))
        read(world, 99_000, 80_000)
        if flattens:
            world.hear(m.ControlRequested, command="flatten", by="uid 1000")
            (order,) = [effect.order for effect in of_kind(world.rebalance().effects, m.SubmitOrder)]
        else:
            (order,) = world.trade(AAA="0.1")
        world.acknowledge(order.intent)
        read(world, 90_000, 80_000, rounds=2)
        assert held(world) == {(ACCOUNT, "drawdown", "halted")}
        assert world.order(order.intent).cancel_asked is not flattens


def test_a_hold_lapses_at_the_next_sessions_open() -> None:
    """The end has the instant it came at."""
    world = World.ready(limited(daily_loss=D("0.05")))
    (hold,) = read(world, 90_000, rounds=2)
    world.now = MONDAY.open_at
    assert of_kind(world.hear(m.TimeReached).facts, m.HoldLifted) == [
        m.HoldLifted(level=hold.level, name=ACCOUNT, rule=hold.rule, because="the next session has begun", at=world.now)
    ]


@pytest.mark.parametrize(
    ("argument", "left"),
    [
        ("", {"AAA", "right"}),
        ("AAA", {ACCOUNT, "right"}),
        ("right", {ACCOUNT, "AAA"}),
        ("all", set()),
        ("BBB", {ACCOUNT, "AAA", "right"}),
    ],
)
def test_resume_lifts_the_holds_it_names(argument: str, left: set[str]) -> None:
    """The account's without a name, an instrument's or a strategy's by its own, every one with `all`."""
    world = World.ready(limited(TWO))
    for level, name, rule in (
        (Level.INSTRUMENT, "AAA", "order_slippage"),
        (Level.STRATEGY, "right", "strategy_slippage"),
        (Level.ACCOUNT, ACCOUNT, "rejections"),
    ):
        figures = {"grade": Grade.REDUCING, "observed": D(3), "limit": D(2), "since": world.now}
        world.state.holds[(level, name, rule)] = m.HoldSet(level=level, name=name, rule=rule, **figures)
    marks = dict(world.state.marks)
    facts = list(holds.resumed(world.state, argument, "uid 1000: seen", world.now))
    lifted = of_kind(facts, m.HoldLifted)
    assert {ACCOUNT, "AAA", "right"} - {fact.name for fact in lifted} == left
    assert all((fact.because, fact.at) == ("uid 1000: seen", world.now) for fact in lifted)
    # None of these is about a loss, so nothing is measured anew.
    assert len(facts) == len(lifted) and marks == world.state.marks


def test_a_resumed_loss_is_measured_from_the_last_reading() -> None:
    """The day's from its start, the drawdown from its peak; each leaves the other's as it is."""
    world = World.ready(limited(daily_loss=D("0.05"), drawdown=D("0.10")))
    read(world, 89_000, rounds=2)
    read(world, 88_000)
    before = mark(world)
    marks = of_kind(holds.resumed(world.state, "", "uid 1000", world.now), m.EquityMarked)
    day, most = replace(before, value=D(88_000), at=world.now), D(88_000)
    assert marks == [replace(day, start=most), replace(day, peak=most)]
