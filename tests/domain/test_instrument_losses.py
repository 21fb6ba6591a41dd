"""What an instrument has lost in a session: from which value, at which prices, and when a hold follows."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.levels import Level
from longwatch.domain.order_life.evidence import Decided
from longwatch.domain.risk.instrument_losses import after_fill, instruments_valued
from longwatch.domain.sessions import Session
from longwatch.domain.state import evolve
from tests.domain.test_holds import limited
from tests.domain.world import MONDAY, START, World, execution, of_kind

D = Decimal


def bought(limit: str = "0.01", shares: int = 100) -> World:
    """100 AAA at 100, of an equity of 100,000: a point is a thousandth of it."""
    world = World.ready(limited(daily_loss=None, instrument_daily_loss=D(limit)))
    intent = world.one(AAA=str(D(shares) / 1000))
    world.acknowledge(intent)
    world.fill(intent, shares)
    return world


def valued(world: World, price: str) -> list[m.HoldSet]:
    def take(facts: Decided) -> list[object]:
        found = []
        for one in facts:
            if isinstance(one, m.EquityMarked | m.HoldSet):
                evolve(world.state, one)
            found.append(one)
        return found

    return of_kind(take(instruments_valued(world.state, {"AAA": D(price)}, world.now)), m.HoldSet)


def test_a_loss_at_the_limit_holds_the_instrument_and_one_below_it_does_not() -> None:
    world = bought()
    assert valued(world, "90.01") == []
    (hold,) = valued(world, "90")
    assert (hold.level, hold.name, hold.con_id, hold.observed) == (Level.INSTRUMENT, "AAA", 1, D("0.01"))
    assert valued(world, "80") == []


def test_what_a_sale_has_realized_counts_at_once() -> None:
    """By its own fill: no rebalance is waited for."""
    world = bought()
    (sale,) = world.trade(AAA="0")
    world.acknowledge(sale.intent)
    step = world.fill(sale.intent, 100, "90")
    assert [hold.rule for hold in of_kind(step.facts, m.HoldSet)] == ["instrument_daily_loss"]


def test_the_next_session_begins_where_the_last_one_was_valued() -> None:
    """The loss of the day before is no loss of this one, the gap since its close is."""
    world = bought()
    assert valued(world, "91") == []
    world.now = MONDAY.open_at
    assert valued(world, "82") == []
    assert [hold.observed for hold in valued(world, "81")] == [D("0.01")]


def without_a_limit() -> World:
    """100 AAA at 100, and no limit on what an instrument loses yet."""
    world = World.ready(limited(daily_loss=None))
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    world.fill(intent, 100)
    return world


def limit_set(world: World) -> None:
    holds = replace(world.state.settings.holds, instrument_daily_loss=D("0.01"))
    world.hear(m.ConfigLoaded, settings=replace(world.state.settings, holds=holds), sha256="limited")


def test_a_limit_set_in_a_session_measures_from_its_start() -> None:
    """What was lost in it before counts, to the share's penny; without a limit nothing is held."""
    world = without_a_limit()
    assert valued(world, "90.01") == []
    limit_set(world)
    assert valued(world, "90.01") == []
    assert [hold.observed for hold in valued(world, "90")] == [D("0.01")]


def test_a_limit_set_for_the_next_session_leaves_out_what_was_lost_in_the_last_one() -> None:
    """That session's last valuing is this one's start, with or without a limit then."""
    world = without_a_limit()
    assert valued(world, "50") == []
    world.now = MONDAY.open_at
    limit_set(world)
    assert valued(world, "40.01") == []
    assert [hold.observed for hold in valued(world, "40")] == [D("0.01")]


def test_a_sale_before_the_limit_was_set_counts_in_its_session() -> None:
    """Its own fill has valued the instrument."""
    world = without_a_limit()
    (sale,) = world.trade(AAA="0")
    world.acknowledge(sale.intent)
    world.fill(sale.intent, 100, "90")
    limit_set(world)
    assert [hold.observed for hold in valued(world, "123")] == [D("0.01")]


def test_resumed_it_is_measured_anew() -> None:
    world = bought()
    assert len(valued(world, "90")) == 1
    world.hear(m.ControlRequested, command="resume", argument="AAA", by="uid 1000", reason="seen")
    assert valued(world, "90") == [] and valued(world, "81") == []
    assert len(valued(world, "80")) == 1


def adopted(cost: str, *, own: int = 100, limit: str = "0.01") -> World:
    """200 AAA come by transfer, the account's average of all is `cost`, and a person takes them for ours."""
    world = bought(limit, own)
    world.positions[1] += 200
    world.costs[1] = D(cost)
    world.moved("AAA")
    world.reconcile(3)
    world.hear(m.ControlRequested, command="adopt", argument="AAA", by="uid 1000", reason="transfer")
    assert world.state.held(1) == own + 200
    return world


@pytest.mark.parametrize("cost", ["70", "130"])
def test_what_adopted_shares_made_or_lost_before_neither_hides_a_loss_nor_is_one(cost: str) -> None:
    """300 shares at the price of the last valuing, 100: nothing lost there, 999 at 96.67, more than the limit below."""
    world = adopted(cost)
    assert valued(world, "100") == []
    assert valued(world, "96.67") == []
    (hold,) = valued(world, "96")
    assert hold.observed == D("0.012")


def test_what_ours_have_lost_before_an_adoption_is_not_forgotten() -> None:
    world = bought()
    assert valued(world, "91") == []
    world.positions[1] += 200
    world.costs[1] = D(130)
    world.moved("AAA")
    world.reconcile(3)
    world.hear(m.ControlRequested, command="adopt", argument="AAA", by="uid 1000", reason="transfer")
    assert valued(world, "91") == []
    assert len(valued(world, "90")) == 1


def test_shares_adopted_where_none_of_ours_are_left_begin_at_the_last_close() -> None:
    """What the sale realized goes on counting: 900 of the thousand."""
    world = bought()
    (sale,) = world.trade(AAA="0")
    world.acknowledge(sale.intent)
    world.fill(sale.intent, 100, "91")
    world.status(sale.intent, "Filled")
    world.positions[1] += 200
    world.costs[1] = D(150)
    world.moved("AAA")
    world.reconcile(3)
    world.hear(m.ControlRequested, command="adopt", argument="AAA", by="uid 1000", reason="transfer")
    assert world.state.held(1) == 200
    assert valued(world, "99.51") == []
    assert len(valued(world, "99.50")) == 1


def sold_out() -> tuple[World, list[datetime]]:
    """100 AAA bought at 100 and sold at 91, at the open of the next session; and the opens of those that follow."""
    world = bought()
    (sale,) = world.trade(AAA="0")
    world.acknowledge(sale.intent)
    world.fill(sale.intent, 100, "91")
    world.status(sale.intent, "Filled")
    days = [timedelta(days=number) for number in range(5)]
    week = [
        Session(date=MONDAY.date + day, open_at=MONDAY.open_at + day, close_at=MONDAY.close_at + day) for day in days
    ]
    world.hear(m.CalendarLoaded, sessions=(*world.state.sessions[:-1], *week))
    world.reconcile(2)
    return world, [one.open_at for one in week]


def test_what_is_held_no_more_is_marked_once_more_and_then_never() -> None:
    """Its loss was that of its own session: the next one shows none, and no further one says so again."""
    world, opens = sold_out()
    marked = []
    for at in opens:
        world.now = at
        facts = list(instruments_valued(world.state, {"AAA": D(80)}, at))
        for fact in facts:
            evolve(world.state, fact)  # type: ignore[arg-type]
        marked.append(len(of_kind(facts, m.EquityMarked)))
        mark = world.state.marks[(Level.INSTRUMENT, "AAA")]
        assert mark.start == mark.value == -900
    assert marked == [1, 0, 0, 0, 0]


def test_shares_adopted_long_after_all_was_sold_begin_at_the_last_close_too() -> None:
    """The mark that was not renewed meanwhile is as good as one of the session in which they are adopted."""
    world, opens = sold_out()
    for at in opens:
        world.now = at
        assert valued(world, "100") == []
    world.snapshot()
    world.positions[1] = D(200)
    world.costs[1] = D(150)
    world.moved("AAA")
    world.reconcile(3)
    world.hear(m.ControlRequested, command="adopt", argument="AAA", by="uid 1000", reason="transfer")
    assert world.state.held(1) == 200
    assert valued(world, "95.01") == []
    (hold,) = valued(world, "95")
    assert hold.observed == D("0.01")


def test_a_mark_of_a_session_longer_ago_than_the_last_one_is_none() -> None:
    """A session in which nothing was valued has no last value for this one to start at."""
    world = bought()
    day = timedelta(days=1)
    tuesday = Session(date=MONDAY.date + day, open_at=MONDAY.open_at + day, close_at=MONDAY.close_at + day)
    world.hear(m.CalendarLoaded, sessions=(*world.state.sessions, tuesday))
    world.now = tuesday.open_at
    assert valued(world, "85") == [] and valued(world, "75.01") == []
    assert len(valued(world, "75")) == 1


@pytest.mark.parametrize("rebased", [True, False])
def test_a_split_that_is_not_booked_yet_is_no_loss(rebased: bool) -> None:
    """Half the price, and the book's shares are still the old ones; once it is booked losses count again."""
    world = bought()
    world.moved("AAA")
    world.reconcile()
    world.split("AAA", 2, 1, rebased=rebased)
    assert (1 in world.state.quarantines, valued(world, "50")) == (True, [])
    world.fetched(AAA=D(2))
    world.reconcile(2)
    assert (world.state.held(1), world.state.quarantines) == (200, {})
    assert valued(world, "50") == [] and len(valued(world, "45")) == 1


def test_where_account_and_book_differ_nothing_is_valued_but_for_fills_not_shown_yet() -> None:
    """Twice the shares, and no quarantine yet: neither a price nor a fill says what is lost."""
    world = bought()
    assert world.state.account_positions == {}
    assert len(valued(world, "90")) == 1, "the account has not shown the fill yet"
    world = bought()
    (sale,) = world.trade(AAA="0")
    world.acknowledge(sale.intent)
    world.positions[1] = D(200)
    world.moved("AAA")
    assert (world.state.quarantines, valued(world, "50")) == ({}, [])
    assert of_kind(world.fill(sale.intent, 50, "50").facts, m.HoldSet) == []


# ── what a fill's price says ────────────────────────────────────────────────────────────────────────────────────────


def risen() -> World:
    """100 AAA bought at 100 on Friday, by `0000.01`, valued at 120 then and at 121 on Monday."""
    world = bought()
    assert valued(world, "120") == []
    world.now = MONDAY.open_at + timedelta(hours=2)
    assert valued(world, "121") == []
    return world


def corrected(world: World, price: str, exec_id: str = "0000.02", executed_at: datetime = START) -> list[m.HoldSet]:
    """Friday's purchase again, at another price; the holds that came of it."""
    row = execution(world.order(1), world.now, exec_id, 100, price)
    return of_kind(world.take(replace(row, executed_at=executed_at)).facts, m.HoldSet)


def test_a_correction_of_another_session_is_no_price_of_today() -> None:
    """A penny was lost, not the gain of two days; the penny counts once the holding is valued again."""
    world = risen()
    assert corrected(world, "100.01") == []
    assert world.state.book[1].average_cost == D("100.01")
    assert valued(world, "110.02") == []
    (hold,) = valued(world, "110.01")
    assert hold.observed == D("0.01")


@pytest.mark.parametrize(
    ("ago", "marked_ago", "counts"),
    [(20, None, True), (31, None, False), (20, 21, True), (20, 20, True), (20, 19, False), (7200, None, False)],
)
def test_an_execution_tells_a_price_while_it_is_fresh_and_newer_than_the_last(
    ago: int, marked_ago: int | None, counts: bool
) -> None:
    """Half is sold at 80 and heard so many seconds later; the other half is worth that price only where it is news."""
    world = bought("0.015")
    (sale,) = world.trade(AAA="0")
    world.acknowledge(sale.intent)
    world.wait(7200)
    if marked_ago is not None:
        world.wait(-marked_ago)
        assert valued(world, "99") == []
        world.wait(marked_ago)
    row = execution(world.order(sale.intent), world.now, "late.01", 50, "80")
    found = of_kind(world.take(replace(row, executed_at=world.now - timedelta(seconds=ago))).facts, m.HoldSet)
    assert [hold.observed for hold in found] == ([D("0.02")] if counts else [])


def test_an_execution_of_before_the_open_is_of_another_session() -> None:
    """Seconds old, and yet a price of the night."""
    world = bought("0.015")
    (sale,) = world.trade(AAA="0")
    world.acknowledge(sale.intent)
    world.now = MONDAY.open_at + timedelta(seconds=10)
    row = execution(world.order(sale.intent), world.now, "night.01", 50, "80")
    before, after = MONDAY.open_at - timedelta(seconds=1), MONDAY.open_at
    assert of_kind(world.take(replace(row, executed_at=before)).facts, m.HoldSet) == []
    assert len(of_kind(world.take(replace(row, exec_id="night.04.01", executed_at=after)).facts, m.HoldSet)) == 1


def test_executions_of_one_second_each_tell_their_price() -> None:
    """They are heard after it: the mark is of the time of the price."""
    world = bought("0.015")
    (sale,) = world.trade(AAA="0")
    world.acknowledge(sale.intent)
    second = world.now
    world.wait(1)
    for name, price, holds in (("a.01", "90", 0), ("b.01", "80", 1)):
        row = replace(execution(world.order(sale.intent), world.now, name, 40, price), executed_at=second)
        assert len(of_kind(world.take(row).facts, m.HoldSet)) == holds


def test_what_a_sale_heard_late_has_realized_counts_at_once() -> None:
    """Nothing is left to be priced."""
    world = bought()
    (sale,) = world.trade(AAA="0")
    world.acknowledge(sale.intent)
    world.wait(7200)
    row = execution(world.order(sale.intent), world.now, "late.01", 100, "90")
    found = of_kind(world.take(replace(row, executed_at=world.now - timedelta(hours=1))).facts, m.HoldSet)
    assert [hold.observed for hold in found] == [D("0.01")]


@pytest.mark.parametrize("name", ["inferred:2.1", "resolved:2.1"])
def test_a_price_that_nobody_paid_says_nothing_of_what_is_held(name: str) -> None:
    """The decision's, or a person's: the account's next prices tell what was lost."""
    world = bought()
    fill = m.FillBooked(
        exec_id=name,
        intent=1,
        con_id=1,
        symbol="AAA",
        side=Side.SELL,
        quantity=D(50),
        price=D(50),
        executed_at=world.now,
        tech=world.now,
    )
    evolve(world.state, fill)
    assert list(after_fill(world.state, fill, world.now)) == []
    told = replace(fill, exec_id="0001.01")
    evolve(world.state, told)
    assert of_kind(after_fill(world.state, told, world.now), m.HoldSet) != []
