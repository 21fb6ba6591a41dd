"""The comparison of book and account by itself: its figures, its boundaries of time, and all that it says and asks."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.decide import READ_AGAIN, next_deadline
from longwatch.domain.instruments import Side
from longwatch.domain.positions import Holding
from longwatch.domain.reconciliation.breaks import UNREADABLE, compare, differences
from longwatch.domain.reconciliation.causes import Cause, lifted_by
from longwatch.domain.reconciliation.looks import cash_moved, likely_causes
from longwatch.domain.state import Fill, Moved
from tests.domain.world import ACCOUNT, CLIENT, EQUITY, World, of_kind

D = Decimal
TICK = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)


def reading(world: World, **fields: object) -> m.SnapshotSeen:
    """A whole download that took a second; what it shows of positions is in the state already."""
    whole = {"reason": "reconcile", "positions": (), "open_perm_ids": (), "completed_perm_ids": (), "exec_ids": ()}
    times = {"at": world.now, "tech": world.now, "started_tech": world.now - timedelta(seconds=1)}
    return m.SnapshotSeen(**(whole | times | {"net_liquidation": EQUITY, "cash": EQUITY} | fields))  # type: ignore[arg-type]


def apart(world: World, **fields: object) -> m.Difference:
    """The account has 30 AAA that the book has not."""
    world.state.account_positions[1] = ("AAA", D(30))
    return replace(m.Difference(con_id=1, symbol="AAA", book=D(0), outside=D(0), account=D(30)), **fields)  # type: ignore[arg-type]


def theirs(side: Side, remaining: int, con_id: int = 1) -> m.ForeignOrderSet:
    """An order of somebody else's."""
    return m.ForeignOrderSet(
        perm_id=77, con_id=con_id, symbol="AAA", side=side, remaining=D(remaining), status="Submitted"
    )


def looked_at_before(world: World, *rows: m.Difference, cash: Decimal | None = None) -> None:
    assert world.state.compared is not None
    world.state.compared = replace(world.state.compared, differences=rows, cash=cash)


def compared(world: World, **fields: object) -> list[object]:
    return list(compare(world.state, reading(world, **fields)))


def test_a_difference_is_shown_for_every_instrument_of_book_outside_or_account() -> None:
    """In the order of their numbers, each with its three figures; what adds up is none."""
    world = World.ready()
    world.state.book[3] = Holding(con_id=3, symbol="CCC", quantity=D(10))
    world.state.outside[2] = ("BBB", D(5))
    apart(world)
    world.state.book[4] = Holding(con_id=4, symbol="DDD", quantity=D(6))
    world.state.outside[4], world.state.account_positions[4] = ("DDD", D(-2)), ("DDD", D(4))
    names = {"AAA": (1, 0, 0, 30), "BBB": (2, 0, 5, 0), "CCC": (3, 10, 0, 0)}
    assert differences(world.state) == tuple(
        m.Difference(con_id=con_id, symbol=symbol, book=D(book), outside=D(outside), account=D(account))
        for symbol, (con_id, book, outside, account) in names.items()
    )
    assert differences(world.state)[1].missing == -5


def test_the_first_look_at_a_difference_notes_it_and_asks_for_another() -> None:
    """A second after a fill that is on its way must have been told; nothing else is said."""
    world = World.ready()
    row = apart(world)
    world.acknowledge(world.one(BBB="0.1"))
    world.state.foreign_orders[77] = theirs(Side.SELL, 5, con_id=2)
    found, *asked = compared(world, cash=EQUITY - 7)
    assert found == m.BookCompared(
        reason="reconcile",
        positions=1,
        orders=2,
        differences=(replace(row, since=world.now, first=world.now, looks=1),),
        activity=world.state.activity,
        tech=world.now,
        cash=EQUITY - 7,
        net_liquidation=EQUITY,
        former_value=EQUITY,
        paid=D(0),
        at=world.now,
    )
    wait = world.settings.acknowledge_seconds + 1
    assert asked == [m.RequestSnapshot(reason="a difference is looked at again", after_seconds=wait)]


@pytest.mark.parametrize("link", [m.Link.SYNCING, m.Link.READY, m.Link.DISCONNECTED])
def test_a_reading_that_failed_is_followed_by_another(link: m.Link) -> None:
    """The next one of its own may be far, after the close until the next morning, and until then no order leaves."""
    world = World.ready()
    world.take(reading(world, exec_ids=None, failures=(("executions", "no end mark within 30 s"),)))
    world.state.link = link
    due = world.now + READ_AGAIN
    is_read = link is not m.Link.DISCONNECTED
    assert (next_deadline(world.state) == due) is is_read
    world.wait((READ_AGAIN - TICK).total_seconds())
    assert of_kind(world.hear(m.TimeReached).effects, m.RequestSnapshot) == []
    world.wait(TICK.total_seconds())
    again = m.RequestSnapshot(reason="the last download failed")
    assert of_kind(world.hear(m.TimeReached).effects, m.RequestSnapshot) == [again] * is_read
    assert of_kind(world.hear(m.TimeReached).effects, m.RequestSnapshot) == [], "once in so long a time"


def test_a_reading_that_keeps_failing_is_repeated_more_and_more_seldom_and_told_with_its_age() -> None:
    """After 30 s at first, after five minutes at the most; a whole one ends it, and the next failure begins anew."""
    world = World.ready()
    failures = (("executions", "no end mark within 30 s"),)
    world.take(reading(world, exec_ids=None, failures=failures))
    since, gaps = world.now, []
    for _ in range(20):
        due = next_deadline(world.state)
        assert due is not None
        gaps.append((due - world.now).total_seconds())
        world.wait(gaps[-1])
        asked = of_kind(world.hear(m.TimeReached).effects, m.RequestSnapshot)
        assert [one.reason for one in asked] == ["the last download failed"]
        step = world.take(reading(world, exec_ids=None, failures=failures))
        (alert,) = of_kind(step.effects, m.RaiseAlert)
        assert f"could not be read for {(world.now - since).total_seconds():.0f} s (" in alert.text
    assert gaps == sorted(gaps) and gaps[0] == 30 and gaps[-1] == 300
    assert 1.2 < gaps[8] / gaps[7] < 1.3
    world.snapshot()
    assert world.state.snapshot_failed is None
    world.take(reading(world, exec_ids=None, failures=failures))
    assert next_deadline(world.state) == world.now + READ_AGAIN


def test_the_first_failing_reading_of_a_new_connection_begins_anew() -> None:
    """Two hours without a link are no two hours of failing readings: 30 s again, and no age is told."""
    world = World.ready()
    failures = (("positions", "no answer"),)
    world.snapshot(failures=failures)
    world.hear(m.LinkLost, reason="reset by peer")
    world.wait(7200)
    up = {"next_order_id": world.next_order_id(), "accounts": (ACCOUNT,), "server_version": 176}
    world.hear(m.LinkUp, client_id=CLIENT, **up)
    assert world.state.link is m.Link.SYNCING
    (alert,) = of_kind(world.snapshot(reason="sync", failures=failures).effects, m.RaiseAlert)
    assert "could not be read (positions" in alert.text
    assert next_deadline(world.state) == world.now + READ_AGAIN
    world.wait(40)
    (alert,) = of_kind(world.snapshot(reason="sync", failures=failures).effects, m.RaiseAlert)
    assert "could not be read for 41 s" in alert.text


def test_a_difference_that_is_another_one_begins_anew_and_keeps_its_age() -> None:
    """Since when it is just so, since when it is there, and how often it was seen; its cash is no longer known."""
    world = World.ready()
    since = world.now - MINUTE
    former = apart(world, since=since, first=since - MINUTE, looks=3, cause=Cause.TRANSFER)
    for changed in ({"book": D(1)}, {"outside": D(1)}, {"account": D(29)}):
        looked_at_before(world, replace(former, **changed))  # type: ignore[arg-type]
        (found,) = of_kind(compared(world), m.BookCompared)
        kept = replace(former, since=world.now, looks=4, cause=Cause.UNEXPLAINED)
        assert found.differences == (kept,), changed
    looked_at_before(world, former)
    (found,) = of_kind(compared(world), m.BookCompared)
    assert found.differences == (replace(former, looks=4),)
    looked_at_before(world, replace(former, first=None))
    (found,) = of_kind(compared(world), m.BookCompared)
    assert found.differences == (replace(former, first=since, looks=4),)


@pytest.mark.parametrize(("late", "stands"), [(timedelta(0), True), (TICK, False)])
def test_a_difference_stands_that_was_so_long_enough_before_the_reading_began(late: timedelta, stands: bool) -> None:
    """Time for an answer: at the very instant it is enough. A person hears of it once, with what would lift it."""
    world = World.ready()
    began = world.now - timedelta(seconds=1)
    since = began - timedelta(seconds=world.settings.acknowledge_seconds) + late
    looked_at_before(world, apart(world, since=since, first=since, cause=Cause.TRANSFER))
    told = compared(world)[1:]
    if not stands:
        assert [type(one) for one in told] == [m.RequestSnapshot]
        return
    reason = "position: book 0 + outside 0 is not the account's 30; it looks like: transfer"
    held = m.QuarantineSet(con_id=1, symbol="AAA", reason=reason, tech=world.now, cause=Cause.TRANSFER)
    text = f"AAA: {reason}; no new orders in it until: {lifted_by(Cause.TRANSFER, 'AAA')}"
    alert = m.RaiseAlert(key="unexplained_difference", text=text, severity="critical")
    assert told[:2] == [held, alert] and len(told) == 3
    world.state.quarantines[1] = held
    assert len(compared(world)) == 1


def test_a_difference_that_looks_like_nothing_says_no_more_than_its_figures() -> None:
    world = World.ready()
    looked_at_before(world, apart(world, since=world.now - MINUTE, first=world.now - MINUTE))
    _, held, alert, _ = compared(world)
    assert isinstance(held, m.QuarantineSet) and isinstance(alert, m.RaiseAlert)
    assert held.reason == "position: book 0 + outside 0 is not the account's 30"
    assert alert.text.startswith(f"AAA: {held.reason}; no new orders in it until: book and account agreeing again")


@pytest.mark.parametrize(
    ("age", "looks", "is_enough"),
    [(5 * MINUTE, 5, True), (5 * MINUTE - TICK, 5, False), (5 * MINUTE, 4, False)],
)
def test_one_that_never_stands_still_is_enough_after_five_minutes_and_six_looks(
    age: timedelta, looks: int, is_enough: bool
) -> None:
    """This one included; neither by itself."""
    world = World.ready()
    first = world.now - age
    looked_at_before(world, apart(world, since=world.now - MINUTE, first=first, looks=looks, book=D(1)))
    assert bool(of_kind(compared(world), m.QuarantineSet)) is is_enough


def test_a_quarantine_for_a_position_or_an_unreadable_message_ends_when_both_agree() -> None:
    """Of a message: by a reading that began no earlier than it came. What a person must look at stays."""
    world = World.ready()
    looked_at_before(world)
    began = world.now - timedelta(seconds=1)
    reasons = {4: ("two orders", began), 5: ("position: 6 became 12", began)}
    reasons |= {1: ("position: 5 became 10", began), 2: (UNREADABLE, began), 3: (UNREADABLE, began + TICK)}
    for con_id, (reason, tech) in reasons.items():
        world.state.quarantines[con_id] = m.QuarantineSet(con_id=con_id, symbol="S", reason=reason, tech=tech)
    world.state.account_positions[5] = ("S", D(30))
    lifted = of_kind(compared(world), m.QuarantineLifted)
    assert lifted == [m.QuarantineLifted(con_id=con_id, reason="book and account agree") for con_id in (1, 2)]


def test_a_quarantine_for_an_unreadable_message_ends_though_an_order_is_told_to_have_filled_more() -> None:
    """All was read: its executions are waited for as any order's are."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    world.status(intent, "Submitted", 40)
    held = m.QuarantineSet(con_id=1, symbol="AAA", reason=UNREADABLE, tech=world.now - MINUTE)
    world.state.quarantines[1] = held
    lifted = of_kind(compared(world), m.QuarantineLifted)
    assert lifted == [m.QuarantineLifted(con_id=1, reason="book and account agree")]


def test_a_reading_without_the_accounts_value_keeps_the_one_before() -> None:
    """What is gained or lost is measured from it."""
    world = World.ready()
    assert world.state.compared is not None
    world.state.compared = replace(world.state.compared, net_liquidation=EQUITY + 5)
    for told, kept in ((EQUITY, EQUITY), (None, EQUITY + 5)):
        (noted,) = of_kind(compared(world, net_liquidation=told), m.BookCompared)
        assert (noted.net_liquidation, noted.former_value) == (kept, EQUITY + 5)


# ── what it looks like ──────────────────────────────────────────────────────────────────────────────────────────────


def cause_of(world: World, cash: str | None = None, missing: int = 30) -> Cause:
    row = m.Difference(con_id=1, symbol="AAA", book=D(0), outside=D(0), account=D(missing))
    world.state.moved[1] = Moved(quantity=D(0), average_cost=None, at=world.now + TICK)
    return likely_causes(world.state, [row], None if cash is None else D(cash))[0].cause


def test_shares_with_a_price_look_like_an_assignment_where_that_is_a_strike() -> None:
    """A whole or half unit, and above nothing; with no cash at all they were transferred."""
    world = World.ready()
    prices = {
        "-1500": "assignment or exercise",
        "-1515": "assignment or exercise",
        "-1507.5": "unexplained",
        "1500": "unexplained",
    }
    prices |= {"0": "transfer", "0.009": "transfer", "-0.009": "transfer", "0.01": "unexplained"}
    assert {cash: cause_of(world, cash).value for cash in prices} == prices
    assert cause_of(world, "1500", missing=-30) is Cause.ASSIGNMENT
    assert cause_of(world) is Cause.UNEXPLAINED


def at_work(world: World, side: Side, remaining: int, con_id: int = 1) -> None:
    world.state.foreign_orders[77] = theirs(side, remaining, con_id)


@pytest.mark.parametrize(
    ("side", "remaining", "missing", "is_theirs"),
    [
        (Side.BUY, 30, 30, True),
        (Side.BUY, 29, 30, False),
        (Side.SELL, 30, 30, False),
        (Side.SELL, 31, -30, True),
        (Side.BUY, 31, -30, False),
        (Side.BUY, 1, 1, True),
    ],
)
def test_shares_that_an_order_of_others_may_have_filled_look_like_theirs(
    side: Side, remaining: int, missing: int, is_theirs: bool
) -> None:
    """Up to all of it, on its side, in its instrument."""
    world = World.ready()
    at_work(world, side, remaining)
    expected = Cause.OTHER_CLIENT if is_theirs else Cause.UNEXPLAINED
    assert cause_of(world, missing=missing) is expected
    at_work(world, side, remaining, con_id=2)
    assert cause_of(world, missing=missing) is Cause.UNEXPLAINED


def test_an_order_of_ours_is_thought_of_before_one_of_others_and_a_suspected_split_before_both() -> None:
    world = World.ready()
    at_work(world, Side.BUY, 30)
    world.acknowledge(world.one(AAA="0.1"))
    assert cause_of(world) is Cause.LATE_FILL
    held = m.QuarantineSet(con_id=1, symbol="AAA", reason="position: …", tech=world.now, cause=Cause.SPLIT)
    world.state.quarantines[1] = held
    assert cause_of(world) is Cause.SPLIT
    world.state.quarantines[1] = replace(held, cause=Cause.TRANSFER)
    assert cause_of(world) is Cause.LATE_FILL


def bought(
    world: World, quantity: int = 30, price: str = "50.30", con_id: int = 1, tech: datetime | None = None
) -> Fill:
    """A fill that was told, with a commission of 1.25."""
    exec_id = f"{len(world.state.fills):04x}.01"
    world.state.fills[exec_id] = Fill(
        exec_id=exec_id,
        intent=1,
        con_id=con_id,
        symbol="AAA",
        quantity=D(quantity),
        price=D(price),
        executed_at=world.now,
        tech=tech or world.now,
    )
    world.state.commissions[exec_id] = D("1.25")


@pytest.mark.parametrize(
    ("cash", "is_undone"),
    [
        ("1509", True),
        ("1509.01", True),
        ("1508.99", True),
        ("1510.25", True),
        ("1510.26", True),
        ("1510.24", True),
        ("1508.98", False),
        ("1509.02", False),
        ("1510.23", False),
        ("1510.27", False),
        ("1507.75", False),
    ],
)
def test_cash_of_a_fill_and_its_commission_coming_back_looks_like_a_correction(cash: str, is_undone: bool) -> None:
    """To within a cent, the commission as well or not."""
    world = World.ready()
    bought(world)
    assert cause_of(world, cash, missing=-30) is (Cause.CORRECTION if is_undone else Cause.UNEXPLAINED)


@pytest.mark.parametrize("other", [{"quantity": 29}, {"quantity": -30}, {"con_id": 2}])
def test_only_the_whole_of_a_fill_in_that_instrument_can_have_been_taken_back(other: dict[str, int]) -> None:
    world = World.ready()
    bought(world, **other)  # type: ignore[arg-type]
    assert cause_of(world, "1509", missing=-30) is Cause.UNEXPLAINED
    bought(world)
    assert cause_of(world, "1509", missing=-30) is Cause.CORRECTION
    world.state.commissions.clear()
    assert cause_of(world, "1509.01", missing=-30) is Cause.CORRECTION
    assert cause_of(world, "1509.02", missing=-30) is Cause.UNEXPLAINED


def test_cash_that_executions_explain_is_not_counted_as_moved() -> None:
    """Those told since the former comparison, with their commissions; unknown where any figure is."""
    world = World.ready()
    former = world.state.compared
    assert former is not None and former.paid == 0
    former, world.state.paid = replace(former, cash=D(1000), paid=D(300)), D(300)
    now = reading(world, cash=D(900))
    assert cash_moved(world.state, now, former) == -100
    assert cash_moved(world.state, now, None) is None
    assert cash_moved(world.state, now, replace(former, cash=None)) is None
    assert cash_moved(world.state, now, replace(former, paid=None)) is None
    assert cash_moved(world.state, replace(now, cash=None), former) is None
    world.state.paid += D("22.50")
    assert cash_moved(world.state, now, former) == D("-77.50")


@pytest.mark.parametrize("is_ahead", [False, True], ids=["first seen in the account", "first seen in its history"])
def test_a_split_that_is_proven_is_booked_and_told(is_ahead: bool) -> None:
    """Before anything is looked at as a difference; that the history was ahead holds nothing any more."""
    world = World.ready()
    (order,) = world.trade(AAA="0.2")
    world.finish(order.intent)
    world.costs = {1: D(100)}
    world.reconcile()
    if is_ahead:
        world.prices["AAA"] /= 2
        world.fetched(AAA=D(2))
        assert world.state.quarantines[1].cause is Cause.REBASED
        world.prices["AAA"] *= 2
    world.split("AAA", 2, 1, rebased=not is_ahead)
    step = world.snapshot()
    (split,) = of_kind(step.facts, m.SplitBooked)
    why = ["the split is booked"] if is_ahead else []
    assert [one.reason for one in of_kind(step.facts, m.QuarantineLifted)] == [*why, "book and account agree"]
    assert of_kind(step.effects, m.RaiseAlert) == [
        m.RaiseAlert(key="split_booked", text=f"AAA was split 2/1: {split.proof}", severity="info")
    ]
    (found,) = of_kind(step.facts, m.BookCompared)
    assert found.differences == ()
