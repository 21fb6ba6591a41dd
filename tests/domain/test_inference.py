"""Fills nobody told: what the account's position proves, and what it does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.order_life.inference import infer, made_up, may_have_filled, replaced_by, rest_of
from longwatch.domain.orders import OrderState
from longwatch.domain.state import Fill, put_order
from tests.domain.world import EQUITY, World, alerts, completed, execution, of_kind

D = Decimal
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


def traded() -> World:
    """A world that has bought BBB today, by an execution that was heard."""
    world = World.ready()
    world.finish(world.one(BBB="0.2"), price="50")
    world.wait(5)
    return world


def bought(world: World, weight: str = "0.1") -> int:
    """The intent of an order for AAA; BBB stays."""
    return world.one(AAA=weight, BBB="0.2")


def connected_again(world: World) -> None:
    """The link goes and comes back, to a gateway that shows what it showed."""
    world.hear(m.LinkLost, reason="closed")
    world.wait(200)
    world.connect()


def restarted(world: World) -> None:
    """The gateway comes back and has forgotten the executions; its positions are right."""
    world.executions.clear()
    connected_again(world)


def orphan(world: World, weight: str = "0.1") -> int:
    """An order sent, never acknowledged, whose connection ended; the gateway was started anew since."""
    intent = bought(world, weight)
    world.handed(intent)
    restarted(world)
    return intent


def filled_unheard(world: World, intent: int) -> None:
    """The account has all the order was for."""
    order = world.order(intent)
    world.positions[order.con_id] = world.positions.get(order.con_id, D(0)) + order.remaining * order.side.sign


def inferred(world: World) -> list[str]:
    return [exec_id for exec_id in world.state.fills if exec_id.startswith("inferred:")]


def left_to_a_person(world: World, intent: int, state: OrderState = OrderState.UNKNOWN) -> bool:
    """Nothing concluded: the order is as it was, the book too, and the instrument is quarantined."""
    order = world.order(intent)
    return (order.state, inferred(world), set(world.state.quarantines)) == (state, [], {1})


def test_fills_forgotten_by_a_restarted_gateway_are_taken_from_its_word_and_the_position() -> None:
    """The completed orders say filled, the account has the shares, no execution comes: the order is filled, once."""
    world = traded()
    intent = bought(world)
    world.acknowledge(intent)
    quantity = world.order(intent).quantity
    filled_unheard(world, intent)
    world.end(intent)
    world.hear(m.LinkLost, reason="closed")
    world.take(completed(world.order(intent), world.now, "Filled", int(quantity)))
    restarted(world)
    world.reconcile(rounds=2)
    assert (world.order(intent).state, world.state.held(1)) == (OrderState.FILLED, quantity)
    assert not world.state.quarantines
    assert not of_kind(world.snapshot().facts, m.FillBooked)


def test_a_part_filled_order_that_works_on_is_brought_up_to_its_status() -> None:
    """The status of a restarted gateway says 40, and so does the position: 40 are booked, and the order works on."""
    world = traded()
    intent = bought(world)
    world.acknowledge(intent)
    world.positions[1] = D(40)
    restarted(world)
    world.status(intent, "Submitted", filled=40)
    world.reconcile(rounds=2)
    assert (world.order(intent).state, world.order(intent).filled) == (OrderState.WORKING, D(40))
    assert not world.state.quarantines


def test_an_unknown_order_alone_explains_what_the_account_gained_over_a_restart() -> None:
    """Sent, never acknowledged, the link gone: the position shows all it was for, and the order is settled by it.

    What was paid is pending: it stands at the limit, and the order says so.
    """
    world = traded()
    intent = orphan(world)
    filled_unheard(world, intent)
    world.reconcile(rounds=2)
    order = world.order(intent)
    assert (order.state, order.filled, world.state.held(1)) == (OrderState.INFERRED, order.quantity, order.quantity)
    assert order.average_price == order.limit_price
    assert f"price is pending at {order.limit_price}" in order.text
    assert "inferred_fill" in {key for _, step in world.steps for key in alerts(step)}


def test_one_comparison_is_not_enough() -> None:
    """An execution may still be on its way: a difference seen once proves nothing."""
    world = traded()
    intent = orphan(world)
    filled_unheard(world, intent)
    world.reconcile()
    assert world.order(intent).state is OrderState.UNKNOWN


@pytest.mark.parametrize("status", ["", "Submitted", "Filled"])
def test_a_fill_lost_on_a_live_link_is_not_made_up(status: str) -> None:
    """The gateway was never away: it must know the execution and does not tell, so a person must look."""
    world = traded()
    intent = bought(world)
    world.acknowledge(intent)
    filled_unheard(world, intent)
    if status:
        world.status(intent, status, filled=int(world.order(intent).quantity))
    world.reconcile(rounds=3)
    assert left_to_a_person(world, intent, OrderState.WORKING)


def test_a_lost_link_to_a_gateway_that_shows_the_days_executions_proves_no_restart() -> None:
    """It has forgotten nothing, and shows none of the order: the shares came from elsewhere."""
    world = traded()
    intent = bought(world)
    world.handed(intent)
    filled_unheard(world, intent)
    connected_again(world)
    world.reconcile(rounds=3)
    assert left_to_a_person(world, intent)


def test_where_there_was_nothing_to_forget_an_unknown_order_proves_nothing() -> None:
    """Without an execution before the order, nothing tells an old gateway from a new one."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.handed(intent)
    restarted(world)
    filled_unheard(world, intent)
    world.reconcile(rounds=3)
    assert left_to_a_person(world, intent)


def test_the_brokers_word_on_an_order_is_enough_where_there_was_nothing_to_forget() -> None:
    """The first order of the day, told as filled by the next connection, with the shares in the account: it is."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    filled_unheard(world, intent)
    restarted(world)
    world.end(intent)
    world.take(completed(world.order(intent), world.now, "Filled", int(world.order(intent).quantity)))
    world.reconcile(rounds=2)
    assert (world.order(intent).state, len(inferred(world))) == (OrderState.FILLED, 1)
    assert not world.state.quarantines


@pytest.mark.parametrize("change", [30, 5000, -10])
def test_a_difference_of_another_size_or_sign_explains_nothing(change: int) -> None:
    """Less or more than the order was for, or the other side: quarantined, and the order stays unknown."""
    world = traded()
    intent = orphan(world, "0.3")
    world.positions[1] = D(change)
    world.reconcile(rounds=3)
    assert left_to_a_person(world, intent)


def test_an_execution_of_somebody_else_since_takes_the_proof_away() -> None:
    """Who trades by hand in the same instrument may have made the difference as well."""
    world = traded()
    intent = orphan(world)
    filled_unheard(world, intent)
    world.positions[1] += 7
    world.stranger("AAA", 7, "aaaa.01")
    world.reconcile(rounds=3)
    assert left_to_a_person(world, intent)


@pytest.mark.parametrize("ended", [False, True])
def test_an_order_of_somebody_else_since_takes_the_proof_away(ended: bool) -> None:
    """It may have filled untold, whether it is still there or gone by now."""
    world = traded()
    intent = orphan(world)
    world.open_orders.add(77)
    for status in ("Submitted", "Cancelled") if ended else ("Submitted",):
        world.hear(
            m.OpenOrderSeen,
            order_id=5,
            client_id=9,
            perm_id=77,
            ref="by hand",
            account="DU123456",
            con_id=1,
            symbol="AAA",
            side=Side.BUY,
            quantity=D(100),
            order_type="LMT",
            limit_price=D(100),
            stop_price=None,
            tif="DAY",
            status=status,
        )
    filled_unheard(world, intent)
    world.reconcile(rounds=3)
    assert left_to_a_person(world, intent)


def test_an_execution_heard_after_all_takes_the_inferred_ones_place() -> None:
    """Part by part, at its own price; the book never counts a share twice."""
    world = traded()
    intent = orphan(world)
    quantity = int(world.order(intent).quantity)
    filled_unheard(world, intent)
    parts = (30, quantity - 30)
    made = [execution(world.order(intent), world.now, f"a{n:03x}.01", q, "99.50") for n, q in enumerate(parts)]
    world.reconcile(rounds=2)
    assert inferred(world)
    for event in made:
        world.take(event)
        assert world.state.held(1) == quantity
    order = world.order(intent)
    assert (order.filled, order.average_price, order.state) == (quantity, D("99.50"), OrderState.FILLED)
    assert not inferred(world)


def test_a_later_fill_is_one_of_its_own() -> None:
    """What the order fills after the inference is added to it."""
    world = traded()
    intent = bought(world)
    world.acknowledge(intent)
    world.positions[1] = D(40)
    restarted(world)
    world.status(intent, "Submitted", filled=40)
    world.reconcile(rounds=2)
    world.wait(5)
    world.fill(intent, 20, exec_id="bbbb.01")
    assert world.state.held(1) == world.positions[1] == D(60)


def test_a_figure_seen_for_the_first_time_proves_nothing_however_long_another_was_there() -> None:
    """Forty were there for minutes, then a hundred at once: only the next reading shows that the hundred stand."""
    world = traded()
    intent = orphan(world)
    world.positions[1] = D(40)
    world.reconcile(rounds=12)
    world.positions[1] = world.order(intent).quantity
    world.reconcile()
    assert world.order(intent).state is OrderState.UNKNOWN and inferred(world) == []
    world.reconcile()
    assert world.order(intent).state is OrderState.INFERRED


# ── the rule by itself ──────────────────────────────────────────────────────────────────────────────────────────────


def reading(world: World, at: datetime | None = None) -> m.SnapshotSeen:
    """A whole download that shows no execution, begun a second before."""
    parts = {"positions": (), "open_perm_ids": (), "completed_perm_ids": (), "exec_ids": ()}
    now = at or world.now
    return m.SnapshotSeen(
        at=now, tech=now, started_tech=now, reason="sync", net_liquidation=EQUITY, cash=EQUITY, **parts
    )


def difference(missing: int, book: int = 0, outside: int = 0) -> m.Difference:
    account = D(missing) + book + outside
    return m.Difference(con_id=1, symbol="AAA", book=D(book), outside=D(outside), account=account)


def concluded(world: World, row: m.Difference, at: datetime | None = None) -> list[object]:
    return list(infer(world.state, row, reading(world, at)))


def a_fill(world: World, name: str, **fields: object) -> Fill:
    """An execution of BBB, made and heard before the order was sent, put into the state."""
    sent = world.order(2).sent_at
    assert sent is not None
    told = {"intent": 1, "con_id": 2, "symbol": "BBB", "quantity": D(5), "price": D(50)}
    times = {"executed_at": sent - SECOND, "tech": sent - SECOND}
    fill = Fill(exec_id=name, **(told | times | fields))  # type: ignore[arg-type]
    world.state.fills[name] = fill
    return fill


def test_what_is_concluded_is_a_fill_at_the_pending_price_an_alert_and_the_end_of_the_order() -> None:
    """Whatever the book and others hold beside it; every field of each."""
    world = traded()
    intent = orphan(world)
    order = world.order(intent)
    booked, alert, moved = concluded(world, difference(100, book=10, outside=-3))
    assert booked == m.FillBooked(
        exec_id=f"inferred:{intent}.1",
        intent=intent,
        con_id=1,
        symbol="AAA",
        side=Side.BUY,
        quantity=D(100),
        price=order.limit_price or D(0),
        executed_at=world.now,
        tech=world.now,
    )
    assert alert == m.RaiseAlert(
        key="inferred_fill",
        text=f"BUY 100 AAA ({order.ref}) filled by the account's position; no execution was heard, so its price is "
        "the decision's: see the broker's statement",
    )
    assert isinstance(moved, m.OrderMoved) and (moved.state, moved.intent) == (OrderState.INFERRED, intent)
    assert moved.text == (
        f"the account shows 100 that no execution told of; their price is pending at {order.limit_price}"
    )
    put_order(world.state, replace(order, limit_price=None, filled=D(40)))
    booked = concluded(world, difference(60))[0]
    assert isinstance(booked, m.FillBooked) and (booked.quantity, booked.price) == (60, order.decision_price)


@pytest.mark.parametrize(
    ("fields", "part", "state", "evidence"),
    [
        ({"reported": D(40)}, 40, OrderState.WORKING, None),
        ({"reported": D(40), "ending": OrderState.CANCELLED}, 40, OrderState.CANCELLED, "cancelled by the broker"),
        ({"reported": D(40), "ending": OrderState.EXPIRED}, 40, OrderState.EXPIRED, "expired at the session's end"),
        ({"reported": D(100), "filled": D(30), "ending": OrderState.FILLED}, 70, OrderState.FILLED, "filled in full"),
    ],
)
def test_an_order_the_broker_spoke_of_goes_where_its_word_leads(
    fields: dict[str, object], part: int, state: OrderState, evidence: str | None
) -> None:
    """To its end where that was told, on with its work where not; its text says what is pending."""
    world = traded()
    order = world.order(orphan(world))
    working = replace(order, state=OrderState.WORKING, deadline=world.now, **fields)  # type: ignore[arg-type]
    put_order(world.state, working)
    booked, _, moved = concluded(world, difference(part))
    assert isinstance(booked, m.FillBooked) and booked.quantity == part
    assert isinstance(moved, m.OrderMoved) and moved.state is state
    assert evidence is None or moved.evidence.value == evidence
    assert moved.text.startswith(f"the account shows {part} that no execution told of")
    assert concluded(world, difference(part + 1)) == concluded(world, difference(-part)) == []


def test_a_working_order_of_which_nothing_is_missing_stands_in_nobodys_way() -> None:
    """Another of which something is does."""
    world = traded()
    order = world.order(orphan(world))
    other = replace(order, intent=9, state=OrderState.WORKING, filled=D(20), reported=D(20))
    put_order(world.state, other)
    assert concluded(world, difference(100))
    put_order(world.state, replace(other, reported=D(21)))
    assert concluded(world, difference(100)) == []


@pytest.mark.parametrize(
    ("fields", "missing", "may"),
    [
        ({}, 100, True),
        ({}, 101, False),
        ({}, 1, True),
        ({}, 0, False),
        ({}, -1, False),
        ({"filled": D(30)}, 70, True),
        ({"filled": D(30)}, 71, False),
        ({"filled": D(30), "reported": D(30)}, 70, True),
        ({"filled": D(30), "reported": D(40)}, 10, True),
        ({"filled": D(30), "reported": D(40)}, 11, False),
        ({"side": Side.SELL}, -100, True),
        ({"side": Side.SELL}, 100, False),
    ],
)
def test_a_live_order_may_have_filled_what_was_reported_or_what_is_left(
    fields: dict[str, object], missing: int, may: bool
) -> None:
    world = traded()
    order = replace(world.order(bought(world)), **fields)  # type: ignore[arg-type]
    assert may_have_filled(order, D(missing)) is may


def test_executions_that_a_midnight_before_the_order_may_have_taken_prove_no_restart() -> None:
    """Bought at ten; in Hong Kong the list begins anew at eleven; an order at half past would be in it."""
    world = traded()
    world.wait(1.5 * 3600)
    world.hear(m.ClockSeen, skew_seconds=0.1)
    world.reconcile()
    intent = orphan(world)
    filled_unheard(world, intent)
    world.reconcile(rounds=3)
    assert left_to_a_person(world, intent)


@pytest.mark.parametrize(("minutes", "proves"), [(0, True), (13, True), (14, False), (75, False)])
def test_an_execution_missed_proves_a_restart_for_orders_of_its_quarter_of_an_hour(minutes: int, proves: bool) -> None:
    """With a minute for the clocks: no zone's midnight lies between."""
    world = traded()
    orphan(world)
    world.state.fills.clear()
    at = datetime(2007, 1, 5, 14, 30, tzinfo=UTC)
    a_fill(world, "1.01", executed_at=at)
    put_order(world.state, replace(world.order(2), created_at=at + timedelta(minutes=minutes)))
    assert bool(concluded(world, difference(100))) is proves


def test_the_day_whose_executions_are_forgotten_is_the_exchanges() -> None:
    """At nine in the evening of New York it is the next day elsewhere."""
    world = traded()
    orphan(world)
    evening = datetime(2007, 1, 6, 2, 0, tzinfo=UTC)
    assert concluded(world, difference(100), evening)
    assert concluded(world, difference(100), evening + 3 * HOUR) == []
    world.state.fills.clear()
    a_fill(world, "1.01", executed_at=evening - HOUR)
    assert concluded(world, difference(100), evening)


@pytest.mark.parametrize(
    ("fields", "proves"),
    [
        ({}, True),
        ({"tech": timedelta(0)}, False),
        ({"exec_id": "inferred:1.1"}, False),
        ({"exec_id": "resolved:1.1"}, False),
        ({"exec_id": "void:1.1"}, False),
        ({"intent": None}, False),
    ],
)
def test_only_an_execution_of_ours_heard_before_the_order_was_sent_can_be_missed(
    fields: dict[str, object], proves: bool
) -> None:
    """That the gateway shows it no more is the proof that it was started anew."""
    world = traded()
    orphan(world)
    sent = world.order(2).sent_at
    assert sent is not None
    world.state.fills.clear()
    assert concluded(world, difference(100)) == []
    if "tech" in fields:
        fields = {"tech": sent}
    a_fill(world, **({"name": fields.get("exec_id", "1.01")} | {k: v for k, v in fields.items() if k != "exec_id"}))  # type: ignore[arg-type]
    assert bool(concluded(world, difference(100))) is proves
    put_order(world.state, replace(world.order(2), sent_at=None))
    assert concluded(world, difference(100)) == []


def test_others_at_work_are_those_in_the_instrument_since_the_order_was_made() -> None:
    """Orders seen before it and gone, executions heard before it was sent, and other instruments are none."""
    world = traded()
    intent = orphan(world)
    sent = world.order(intent).sent_at
    assert sent is not None
    row = difference(100)
    world.state.foreign_seen = {1: intent, 2: intent + 5}
    assert concluded(world, row)
    world.state.foreign_seen = {1: intent + 1}
    assert concluded(world, row) == []
    world.state.foreign_seen = {}
    order = m.ForeignOrderSet(perm_id=77, con_id=2, symbol="BBB", side=Side.BUY, remaining=D(5), status="Submitted")
    world.state.foreign_orders = {77: order}
    assert concluded(world, row)
    world.state.foreign_orders = {77: order, 78: replace(order, con_id=1)}
    assert concluded(world, row) == []
    world.state.foreign_orders = {}
    theirs = a_fill(world, "f.01", intent=None, con_id=1, tech=sent - SECOND)
    a_fill(world, "f.02", intent=None, con_id=2, tech=sent + SECOND)
    assert concluded(world, row)
    world.state.fills["f.01"] = replace(theirs, tech=sent)
    assert concluded(world, row) == []


def test_fills_that_nobody_told_are_numbered_after_all_there_are_of_the_order() -> None:
    """No name is given twice, whatever has been replaced meanwhile."""
    world = traded()
    order = world.order(bought(world))
    world.state.fills.clear()
    put_order(world.state, replace(order, sent_at=world.now))
    for name, intent in (("inferred:2.1", 2), ("x.01", 2), ("y.01", 1), ("inferred:1.7", 1), ("resolved:2.1", 2)):
        a_fill(world, name, intent=intent)
    made = made_up(world.state, order, "inferred:", D(5), D(50), world.now, world.now)
    assert made.exec_id == "inferred:2.5"


@pytest.mark.parametrize(("prefix", "told"), [("inferred:", True), ("resolved:", False)])
def test_what_is_left_of_a_fill_nobody_told_keeps_its_time_and_a_persons_price(prefix: str, told: bool) -> None:
    """When an execution has taken the place of a part; down to the last share, and not beyond."""
    world = traded()
    order = world.order(bought(world))
    put_order(world.state, replace(order, sent_at=world.now))
    former = a_fill(world, f"{prefix}2.1", intent=2, quantity=D(-100), price=D(77))
    world.wait(60)

    def heard(quantity: int) -> m.ExecutionSeen:
        return execution(order, world.now, "x.01", quantity, "76")

    found = list(rest_of(world.state, former, heard(99)))
    rest = found[0]
    assert isinstance(rest, m.FillBooked) and rest.exec_id.startswith(f"{prefix}2.")
    assert (rest.quantity, rest.executed_at, rest.tech) == (1, former.executed_at, world.now)
    assert rest.after == "x.01" and rest.replaces is None
    assert rest.price == (order.limit_price if told else 77)
    assert [type(one) for one in found[1:]] == ([m.RaiseAlert] if told else [])
    for executed in (100, 101):
        assert list(rest_of(world.state, former, heard(executed))) == []
    assert list(rest_of(world.state, replace(former, intent=None), heard(50))) == []


def test_an_execution_replaces_what_was_made_up_for_its_order_up_to_that_time() -> None:
    """Concluded or said by a person; what the order fills later is no part of it."""
    world = traded()
    order = world.order(bought(world))
    put_order(world.state, replace(order, sent_at=world.now))
    for name, intent in (("inferred:21.1", 21), ("x.01", 2), ("void:2.1", 2)):
        a_fill(world, name, intent=intent, executed_at=world.now + HOUR)
    assert replaced_by(world.state, 2, world.now) is None
    for prefix in ("inferred:", "resolved:"):
        made = a_fill(world, f"{prefix}2.1", intent=2, executed_at=world.now)
        assert replaced_by(world.state, 2, world.now) == made
        assert replaced_by(world.state, 2, world.now + SECOND) is None
        assert replaced_by(world.state, None, world.now) is None
        del world.state.fills[made.exec_id]


def test_an_order_told_to_work_that_the_account_shows_to_have_filled_in_full_is_filled() -> None:
    """The status counted all of it before the end was told."""
    world = traded()
    intent = bought(world)
    world.acknowledge(intent)
    filled_unheard(world, intent)
    restarted(world)
    world.status(intent, "Submitted", filled=100)
    world.reconcile(rounds=2)
    order = world.order(intent)
    assert (order.state, order.filled, order.reported) == (OrderState.FILLED, 100, 100)
    assert order.text.startswith("the account shows 100 that no execution told of")
