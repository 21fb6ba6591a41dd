"""Fills that the exchange takes back: what proves it, what does not, and what a person can say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.orders import Evidence, OrderState
from longwatch.domain.reconciliation.busts import never_were, take_back, taken_back_as
from longwatch.domain.replies import objection
from longwatch.domain.risk.exposure import worst_values
from longwatch.domain.state import put_order
from tests.domain.world import EQUITY, PRICES, World, alerts, commission, completed, execution, of_kind, perm_id

D = Decimal
SECOND = timedelta(seconds=1)


def held_two() -> World:
    """A world that has bought 200 BBB and 100 AAA, by executions that were heard."""
    world = World.ready()
    world.finish(world.one(BBB="0.1"), price="50")
    world.wait(5)
    world.finish(world.one(AAA="0.1", BBB="0.1"))
    world.take(commission("0001.01", world.now))
    world.reconcile()
    return world


def bust(world: World, exec_id: str, signed: int, con_id: int = 1) -> None:
    """The broker takes a fill back and says nothing: its position and its list of executions lack it."""
    world.executions.remove(exec_id)
    world.positions[con_id] -= signed


def told(world: World) -> list[str]:
    return [key for _, step in world.steps for key in alerts(step)]


def said(world: World, name: str, argument: str) -> m.ControlRequested:
    return m.ControlRequested(
        at=world.now, tech=world.now, command=name, argument=argument, by="uid 1000", reason="the statement"
    )


def command(world: World, name: str, argument: str) -> None:
    world.take(said(world, name, argument))


def test_a_fill_missing_from_position_and_executions_is_taken_back() -> None:
    """Looked at twice: its shares and its commission leave the book, the order stays filled, a person is told."""
    world = held_two()
    assert (world.state.held(1), world.order(2).commission) == (100, D("1.25"))
    bust(world, "0001.01", 100)
    world.reconcile()
    assert world.state.held(1) == 100
    world.reconcile()
    order = world.order(2)
    assert (world.state.held(1), order.filled, order.taken_back, order.state) == (0, 0, 100, OrderState.FILLED)
    assert order.commission == 0
    assert "fill_taken_back" in told(world) and not world.state.quarantines
    assert not of_kind([fact for step in world.reconcile(rounds=2) for fact in step.facts], m.FillBooked)


def test_a_row_missing_alone_takes_nothing_back() -> None:
    """A download may lack a row: the position shows the shares."""
    world = held_two()
    world.executions.remove("0001.01")
    world.reconcile(rounds=3)
    assert world.state.held(1) == 100 and "fill_taken_back" not in told(world)


@pytest.mark.parametrize("change", [-40, -160, 100])
def test_a_difference_of_another_size_is_not_explained(change: int) -> None:
    """Neither by a fill that is not shown: quarantined."""
    world = held_two()
    world.executions.remove("0001.01")
    world.positions[1] += change
    world.reconcile(rounds=3)
    assert world.state.held(1) == 100 and set(world.state.quarantines) == {1}


def test_a_position_lower_by_a_fill_that_is_still_shown_is_not_explained() -> None:
    """The broker stands by the execution: something else took the shares."""
    world = held_two()
    world.positions[1] -= 100
    world.reconcile(rounds=3)
    assert world.state.held(1) == 100 and set(world.state.quarantines) == {1}


def test_a_gateway_started_anew_has_forgotten_the_day_and_proves_nothing() -> None:
    """Quarantined, until a person says that the account is right: `adopt`."""
    world = held_two()
    bust(world, "0001.01", 100)
    world.hear(m.LinkLost, reason="closed")
    world.executions.clear()
    world.wait(200)
    world.connect()
    world.reconcile(rounds=3)
    assert world.state.held(1) == 100 and set(world.state.quarantines) == {1}
    assert objection(world.state, said(world, "adopt", "AAA")) is None
    command(world, "adopt", "AAA")
    world.reconcile()
    assert world.state.held(1) == 0 and not world.state.quarantines
    assert objection(world.state, said(world, "adopt", "AAA")) is not None


def test_an_earlier_execution_that_is_still_shown_proves_that_nothing_was_forgotten() -> None:
    """Another connection to the same gateway: the later fill alone is missing."""
    world = held_two()
    bust(world, "0001.01", 100)
    world.hear(m.LinkLost, reason="closed")
    world.wait(200)
    world.connect()
    world.reconcile(rounds=2)
    assert world.state.held(1) == 0 and not world.state.quarantines


def test_yesterdays_fill_proves_nothing() -> None:
    """At midnight the list of executions begins anew."""
    world = held_two()
    bust(world, "0001.01", 100)
    world.wait(16 * 3600)
    world.reconcile(rounds=3)
    assert world.state.held(1) == 100 and set(world.state.quarantines) == {1}


@pytest.mark.parametrize("hours", [1.5, 10.5])
def test_a_list_that_began_anew_at_the_gateways_own_midnight_proves_nothing(hours: float) -> None:
    """On one connection, New York's day the same: the list is empty, and the shares were called away. A person decides.

    Ten hours on it is midnight in Greenwich, an hour on in Hong Kong; what was traded since then is listed.
    """
    world = held_two()
    world.wait(hours * 3600)
    world.executions.clear()
    world.executions.append("since.01")
    world.stranger("CCC", 5, "since.01")
    world.positions[3] = D(5)
    world.reconcile(rounds=2)
    assert not world.state.quarantines
    world.positions[1] -= 100
    world.reconcile(rounds=3)
    assert world.state.held(1) == 100 and set(world.state.quarantines) == {1}
    assert "fill_taken_back" not in told(world)


def test_an_order_on_the_other_side_may_have_sold_the_shares() -> None:
    """While it lives nothing is concluded; when it has ended unfilled, the fill is."""
    world = held_two()
    sale = world.one(BBB="0.1")
    world.acknowledge(sale)
    bust(world, "0001.01", 100)
    world.reconcile(rounds=3)
    assert world.state.held(1) == 100 and set(world.state.quarantines) == {1}
    world.end(sale)
    world.status(sale, "Cancelled")
    world.reconcile(rounds=2)
    assert world.state.held(1) == 0 and not world.state.quarantines


def test_of_two_fills_of_one_size_none_is_chosen_at_random() -> None:
    """One is gone and the other's row was left out: the next whole download tells which."""
    world = World.ready()
    order = world.one(AAA="0.1")
    world.acknowledge(order)
    world.fill(order, 50)
    world.fill(order, 50)
    bust(world, "0000.01", 50)
    world.reconcile()
    world.executions.remove("0001.01")
    world.reconcile(rounds=2)
    assert world.state.held(1) == 100
    world.executions.append("0001.01")
    world.reconcile()
    assert world.state.held(1) == 50 and "busted:0000.01" in world.state.fills


def test_two_fills_taken_back_at_once_are() -> None:
    """Where all that is missing comes to the difference."""
    world = World.ready()
    order = world.one(AAA="0.1")
    world.acknowledge(order)
    world.fill(order, 70)
    world.fill(order, 30)
    bust(world, "0000.01", 70)
    bust(world, "0001.01", 30)
    world.reconcile(rounds=2)
    assert world.state.held(1) == 0 and not world.state.quarantines


def test_an_execution_told_again_is_booked_again_once() -> None:
    """By the same name or a later revision; an older one is a message that was late."""
    world = held_two()
    order = world.order(2)
    bust(world, "0001.01", 100)
    world.reconcile(rounds=2)
    world.take(execution(order, world.now, "0001.00", 100, "100"))
    assert world.state.held(1) == 0
    world.positions[1] += 100
    world.executions.append("0001.01")
    world.take(execution(order, world.now, "0001.01", 100, "100"))
    order = world.order(2)
    assert (world.state.held(1), order.filled, order.taken_back) == (100, 100, 0)
    world.reconcile(rounds=2)
    assert world.state.held(1) == 100 and not world.state.quarantines


@pytest.mark.parametrize("revised", [False, True])
def test_an_order_ends_by_the_brokers_count_though_a_fill_of_it_was_taken_back(revised: bool) -> None:
    """The status goes on counting the shares: the cancelled order does not wait for them for ever."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    world.fill(intent, 60)
    bust(world, "0000.01", 60)
    if revised:
        world.take(execution(world.order(intent), world.now, "0000.02", 0, "100"))
    else:
        world.reconcile(rounds=2)
    assert (world.state.held(1), world.order(intent).state) == (0, OrderState.WORKING)
    world.fill(intent, 20, exec_id="bbbb.01")
    world.end(intent)
    world.status(intent, "Cancelled", filled=80)
    order = world.order(intent)
    assert (order.state, order.filled, order.taken_back) == (OrderState.CANCELLED, 20, 60)


def test_a_fill_taken_back_before_it_was_heard_of_ends_with_its_session() -> None:
    """Told as filled, with no execution and no shares: it waits until the session is over, and is expired then."""
    world = held_two()
    intent = world.one(AAA="0.2", BBB="0.1")
    world.acknowledge(intent)
    world.end(intent)
    world.take(completed(world.order(intent), world.now, "Filled", int(world.order(intent).quantity)))
    world.reconcile(rounds=3)
    assert world.order(intent).state is OrderState.WORKING
    world.wait(7 * 3600)
    world.reconcile(rounds=2)
    assert (world.order(intent).state, world.state.held(1)) == (OrderState.EXPIRED, 100)
    assert "fill_taken_back" in told(world)


def test_a_cancel_told_before_the_close_stays_one_when_its_row_is_told_again_after_it() -> None:
    """Killed at the broker in the morning, a part filled and taken back unheard: the evening's rows are no expiry."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    world.end(intent)
    world.take(completed(world.order(intent), world.now, "Cancelled", 60))
    assert (world.order(intent).state, world.order(intent).ending) == (OrderState.WORKING, OrderState.CANCELLED)
    world.wait(7 * 3600)
    world.take(completed(world.order(intent), world.now, "Cancelled", 60))
    world.reconcile()
    assert (world.order(intent).state, world.order(intent).reported) == (OrderState.CANCELLED, 60)


def test_a_fill_unheard_of_that_the_account_has_is_waited_for_beyond_its_session() -> None:
    """The difference stands: that is no order that came to nothing."""
    world = held_two()
    intent = world.one(AAA="0.2", BBB="0.1")
    world.acknowledge(intent)
    world.end(intent)
    world.positions[1] += world.order(intent).quantity
    world.take(completed(world.order(intent), world.now, "Filled", int(world.order(intent).quantity)))
    world.wait(7 * 3600)
    world.reconcile(rounds=3)
    assert world.order(intent).state is OrderState.WORKING and set(world.state.quarantines) == {1}


def test_a_sale_taken_back_counts_as_exposure_while_nobody_knows_why() -> None:
    """In quarantine the account's shares count where they are more than the book's."""
    world = held_two()
    world.finish(world.one(BBB="0.1"))
    assert world.state.held(1) == 0
    gross = worst_values(world.state, PRICES)[0]
    world.positions[1] += 70
    world.reconcile(rounds=3)
    assert set(world.state.quarantines) == {1}
    assert worst_values(world.state, PRICES)[0] == gross + 7000


def test_somebody_elses_order_in_the_instrument_takes_the_proof_away() -> None:
    """It may have filled untold."""
    world = held_two()
    world.open_orders.add(perm_id(77))
    world.hear(
        m.OpenOrderSeen,
        order_id=5,
        client_id=9,
        perm_id=perm_id(77),
        ref="by hand",
        account="DU123456",
        con_id=1,
        symbol="AAA",
        side=Side.SELL,
        quantity=D(100),
        order_type="LMT",
        limit_price=D(100),
        stop_price=None,
        tif="DAY",
        status="Submitted",
    )
    bust(world, "0001.01", 100)
    world.reconcile(rounds=3)
    assert world.state.held(1) == 100 and set(world.state.quarantines) == {1}


def test_revisions_of_one_execution_are_told_of_as_its_largest() -> None:
    """40, then 35, then 40 again are 40 shares told of, not 45."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    for revision, quantity in enumerate((40, 35, 40), start=1):
        world.take(execution(world.order(intent), world.now, f"00018.01.{revision:02d}", quantity, "100"))
        assert (world.order(intent).filled, world.order(intent).told) == (quantity, 40)


# ── the rules by themselves ─────────────────────────────────────────────────────────────────────────────────────────


def reading(world: World, **fields: object) -> m.SnapshotSeen:
    """A whole download that shows the executions of the account, begun a second before."""
    parts = {"positions": (), "open_perm_ids": (), "completed_perm_ids": (), "exec_ids": tuple(world.executions)}
    times = {"at": world.now, "tech": world.now, "started_tech": world.now - SECOND}
    whole = {"reason": "reconcile", "net_liquidation": EQUITY, "cash": EQUITY}
    return m.SnapshotSeen(**(whole | parts | times | fields))  # type: ignore[arg-type]


def taken_back(world: World, missing: int, **fields: object) -> list[object]:
    row = m.Difference(con_id=1, symbol="AAA", book=D(100), outside=D(7), account=D(107) + missing)
    return list(take_back(world.state, row, reading(world, **fields)))


def changed(world: World, name: str, **fields: object) -> None:
    world.state.fills[name] = replace(world.state.fills[name], **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("side", list(Side))
def test_what_is_said_of_a_fill_taken_back_and_noted_in_its_place(side: Side) -> None:
    """Its shares at its price and time, of no quantity any more; a person is told what it was."""
    world = held_two()
    fill = world.state.fills["0001.01"]
    changed(world, "0001.01", quantity=D(100) * side.sign)
    world.executions.remove("0001.01")
    world.wait(9)
    noted, told = taken_back(world, -100 * side.sign)
    assert noted == m.FillBooked(
        exec_id="busted:0001.01",
        intent=2,
        con_id=1,
        symbol="AAA",
        side=side,
        quantity=D(0),
        price=D(100),
        executed_at=fill.executed_at,
        tech=world.now,
        replaces="0001.01",
        taken_back=D(100),
        recounted=True,
    )
    text = f"{side.value} 100 AAA at 100 (0001.01) was taken back: neither the day's executions nor the account show it"
    assert told == m.RaiseAlert(key="fill_taken_back", text=f"{text} any more", severity="critical")
    assert taken_back(world, 100 * side.sign) == taken_back(world, -99 * side.sign) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"con_id": 2},
        {"intent": None},
        {"quantity": D(0)},
        {"executed_at": datetime(2007, 1, 4, 20, tzinfo=UTC)},
        {"executed_at": datetime(2007, 1, 5, 4, 59, tzinfo=UTC)},
    ],
)
def test_only_a_fill_of_ours_and_of_the_exchanges_day_is_looked_for(fields: dict[str, object]) -> None:
    world = held_two()
    world.executions.remove("0001.01")
    assert taken_back(world, -100)
    changed(world, "0001.01", **fields)
    assert taken_back(world, -100) == []


def test_a_fill_of_the_exchanges_day_is_one_also_when_it_is_another_day_elsewhere() -> None:
    """At nine in the evening of New York."""
    world = held_two()
    world.executions.remove("0001.01")
    evening = datetime(2007, 1, 6, 2, tzinfo=UTC)
    assert taken_back(world, -100, at=evening)
    changed(world, "0001.01", executed_at=evening)
    assert taken_back(world, -100, at=evening) and taken_back(world, -100)


@pytest.mark.parametrize("prefix", ["inferred:", "resolved:", "void:", "busted:"])
def test_what_nobody_told_can_not_be_missing(prefix: str) -> None:
    world = held_two()
    world.executions.remove("0001.01")
    fill = world.state.fills.pop("0001.01")
    world.state.fills[f"{prefix}0001.01"] = replace(fill, exec_id=f"{prefix}0001.01")
    assert taken_back(world, -100) == []


def test_any_revision_that_is_shown_stands_for_the_execution() -> None:
    """And for it alone, though other names begin like it."""
    world = held_two()
    fill = world.state.fills.pop("0001.01")
    world.state.fills["0001.07.01"] = replace(fill, exec_id="0001.07.01")
    world.executions[world.executions.index("0001.01")] = "0001.07.02"
    assert taken_back(world, -100) == []
    world.executions.append("0001.08.01")
    world.executions.remove("0001.07.02")
    assert taken_back(world, -100)


def test_of_several_fills_not_shown_the_one_that_fits_is_gone() -> None:
    """The other's row was left out: the account has its shares."""
    world = held_two()
    world.executions.remove("0001.01")
    world.state.fills["0002.01"] = replace(world.state.fills["0001.01"], exec_id="0002.01", quantity=D(1))
    for missing, name in ((-100, "0001.01"), (-1, "0002.01")):
        noted = taken_back(world, missing)[0]
        assert isinstance(noted, m.FillBooked) and (noted.replaces, noted.side) == (name, Side.BUY)
    assert len(taken_back(world, -101)) == 4 and taken_back(world, -99) == []


@pytest.mark.parametrize(("earlier", "is_known"), [(SECOND, True), (timedelta(0), True), (-SECOND, False)])
def test_a_gateway_that_shows_what_was_heard_no_later_must_know_the_fill(earlier: timedelta, is_known: bool) -> None:
    """On a later connection; of its own connection it must anyway."""
    world = held_two()
    world.executions.remove("0001.01")
    changed(world, "0000.01", tech=world.state.fills["0001.01"].tech - earlier)
    assert taken_back(world, -100)
    put_order(world.state, replace(world.order(2), epoch=(world.order(2).epoch or 0) - 1))
    assert bool(taken_back(world, -100)) is is_known
    assert taken_back(world, -100, exec_ids=()) == taken_back(world, -100, exec_ids=None) == []


@pytest.mark.parametrize(
    ("shown", "after", "is_proof"),
    [
        ("0000.01", -3600, True),
        ("0000.01", 0, True),
        ("0000.01", 60, True),
        ("0000.01", 13 * 60 + 59, True),
        ("0000.01", 14 * 60, False),
        ("0000.01", 3600, False),
        ("0000.02", 60, False),
        ("0000.02", -3600, False),
    ],
)
def test_a_list_reaches_back_to_what_it_shows_and_to_that_quarter_of_an_hour(
    shown: str, after: int, is_proof: bool
) -> None:
    """Some zone's midnight may lie between quarters, with a minute for the clocks; what was revised may be older."""
    world = held_two()
    at = datetime(2007, 1, 5, 16, 0, tzinfo=UTC)
    world.wait(6 * 3600)
    changed(world, "0001.01", executed_at=at)
    row = replace(world.state.fills["0000.01"], exec_id=shown, executed_at=at + after * SECOND)
    world.state.fills[shown] = row
    assert bool(taken_back(world, -100, exec_ids=(shown,))) is is_proof


def test_a_list_reaches_back_to_what_it_shows_of_that_very_instant_though_a_quarter_began_with_it() -> None:
    """No midnight lies between two executions of one time."""
    world = held_two()
    at = datetime(2007, 1, 5, 15, 59, 59, tzinfo=UTC)
    world.wait(6 * 3600)
    for name in ("0000.01", "0001.01"):
        changed(world, name, executed_at=at)
    assert taken_back(world, -100, exec_ids=("0000.01",))
    changed(world, "0001.01", executed_at=at - SECOND)
    assert taken_back(world, -100, exec_ids=("0000.01",)) == []


@pytest.mark.parametrize(("name", "is_proof"), [("00025b46.63f8a1c2.01.01", True), ("00025b46.01.63f8a1c2.02", False)])
def test_what_was_revised_is_told_by_the_last_part_of_a_name_alone(name: str, is_proof: bool) -> None:
    """As brokers name executions: of several parts, the last of which counts the revisions."""
    world = held_two()
    world.wait(6 * 3600)
    world.state.fills[name] = replace(world.state.fills["0000.01"], exec_id=name)
    changed(world, name, executed_at=world.state.fills["0001.01"].executed_at - 3600 * SECOND)
    assert bool(taken_back(world, -100, exec_ids=(name,))) is is_proof


@pytest.mark.parametrize(("after", "is_proof"), [(13 * 60 + 59, True), (14 * 60, False), (15 * 60, False)])
def test_an_empty_list_proves_something_for_a_quarter_of_an_hour(after: int, is_proof: bool) -> None:
    world = held_two()
    at = datetime(2007, 1, 5, 16, 0, tzinfo=UTC)
    changed(world, "0001.01", executed_at=at)
    assert bool(taken_back(world, -100, at=at + after * SECOND, exec_ids=())) is is_proof


@pytest.mark.parametrize(("side", "may_be"), [(Side.SELL, True), (Side.BUY, False)])
def test_only_an_order_on_the_other_side_could_have_made_the_same_difference(side: Side, may_be: bool) -> None:
    world = held_two()
    world.executions.remove("0001.01")
    live = replace(world.order(2), intent=9, side=side, state=OrderState.WORKING, filled=D(0))
    put_order(world.state, live)
    assert (taken_back(world, -100) == []) is may_be
    put_order(world.state, replace(live, state=OrderState.CANCELLED))
    put_order(world.state, replace(live, intent=10, con_id=2))
    assert taken_back(world, -100)
    changed(world, "0001.01", quantity=D("0.5"))
    put_order(world.state, live)
    row = m.Difference(con_id=1, symbol="AAA", book=D("0.5"), outside=D(0), account=D(0))
    assert (list(take_back(world.state, row, reading(world))) == []) is may_be
    changed(world, "0001.01", quantity=D(100))
    put_order(world.state, replace(live, state=OrderState.CANCELLED))
    order = m.ForeignOrderSet(perm_id=77, con_id=2, symbol="BBB", side=side, remaining=D(5), status="Submitted")
    world.state.foreign_orders[77] = order
    assert taken_back(world, -100)
    world.state.foreign_orders[77] = replace(order, con_id=1)
    assert taken_back(world, -100) == []


def test_a_name_tells_what_stands_in_an_executions_place() -> None:
    """By the same or a later revision; by an older one it is news no more; other names are not looked for."""
    world = held_two()
    world.state.fills["busted:0001.02"] = world.state.fills["0001.01"]
    world.state.fills["busted:0018.07.02"] = world.state.fills["0001.01"]
    names = {"0001.02": "busted:0001.02", "0001.03": "busted:0001.02", "0001.01": "newer"}
    names |= {"0018.07.02": "busted:0018.07.02", "0018.07.03": "busted:0018.07.02", "0018.07.01": "newer"}
    assert {name: taken_back_as(world.state, name) for name in names} == names
    assert taken_back_as(world.state, "0018.08.02") is None
    assert taken_back_as(world.state, "000.02") is taken_back_as(world.state, "nameless") is None
    world.state.fills["busted:."] = world.state.fills["0001.01"]
    assert taken_back_as(world.state, "nameless") is None


@pytest.mark.parametrize(
    ("ending", "end", "evidence"),
    [
        (OrderState.FILLED, OrderState.EXPIRED, Evidence.EXPIRED),
        (OrderState.CANCELLED, OrderState.CANCELLED, Evidence.CANCELLED),
        (OrderState.EXPIRED, OrderState.EXPIRED, Evidence.EXPIRED),
    ],
)
def test_an_order_told_to_have_filled_that_never_was_ends_as_it_can(
    ending: OrderState, end: OrderState, evidence: Evidence
) -> None:
    """Filled it is not; the sentence says what was told and what is no more."""
    world = World.ready()
    world.acknowledge(world.one(AAA="0.1"))
    before = world.now - 2 * SECOND
    order = replace(world.order(1), ending=ending, reported=D(100), filled=D(40), moved_at=before, deadline=before)
    put_order(world.state, order)
    told, moved = never_were(world.state, order, reading(world))
    text = f"told to be {ending.value} after 100, of which 60 are no more"
    assert told == m.RaiseAlert(
        key="fill_taken_back",
        text=f"BUY 100 AAA ({order.ref}) is {text}: neither the day's executions nor the account show them; see the "
        "broker's statement",
        severity="critical",
    )
    assert isinstance(moved, m.OrderMoved)
    assert (moved.state, moved.evidence, moved.text) == (end, evidence, text)


@pytest.mark.parametrize(
    "fields",
    [{"state": OrderState.UNKNOWN}, {"filled": D(100)}, {"filled": D(101)}, {"moved_at": "began"}],
)
def test_nothing_is_concluded_of_an_order_that_misses_nothing_or_has_just_moved(fields: dict[str, object]) -> None:
    """Moved at the instant that the reading began, it may have come too late for it; never moved, it has not."""
    world = World.ready()
    world.acknowledge(world.one(AAA="0.1"))
    order = replace(world.order(1), ending=OrderState.CANCELLED, reported=D(100), moved_at=None)
    put_order(world.state, order)
    assert list(never_were(world.state, order, reading(world)))
    if "moved_at" in fields:
        fields = {"moved_at": world.now - SECOND}
    assert list(never_were(world.state, replace(order, **fields), reading(world))) == []  # type: ignore[arg-type]
