"""Other people's orders and trades in the account: what is noted of each, and what a person hears."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.reconciliation.causes import Cause, lifted_by
from longwatch.domain.reconciliation.others import LAST_ID, ROOM, foreign, foreign_status, outside_trade
from tests.domain.world import ACCOUNT, CLIENT, World, alerts, of_kind

D = Decimal


def row(world: World, **fields: object) -> m.OpenOrderSeen:
    """A sale of 50 by another client, working."""
    told = {
        "order_id": 5,
        "client_id": 9,
        "perm_id": 77,
        "ref": "by hand",
        "account": ACCOUNT,
        "con_id": 2,
        "symbol": "BBB",
        "side": Side.SELL,
        "quantity": D(50),
        "order_type": "LMT",
        "limit_price": D(60),
        "stop_price": None,
        "tif": "GTC",
        "status": "Submitted",
    }
    return m.OpenOrderSeen(at=world.now, tech=world.now, **(told | fields))  # type: ignore[arg-type]


def status(world: World, remaining: int, word: str = "Submitted", perm_id: int = 77) -> m.OrderStatusSeen:
    return m.OrderStatusSeen(
        at=world.now,
        tech=world.now,
        order_id=5,
        client_id=9,
        perm_id=perm_id,
        status=word,
        filled=D(50) - remaining,
        remaining=D(remaining),
        average_price=D(60),
    )


NOTED: dict[str, Any] = {
    "perm_id": 77,
    "con_id": 2,
    "symbol": "BBB",
    "side": Side.SELL,
    "price": D(60),
    "client_id": 9,
    "order_id": 5,
}


def test_somebody_elses_order_is_noted_with_what_is_left_of_it_and_only_when_that_is_news() -> None:
    """Until it has ended; one that is first heard of when it has ended is none."""
    world = World.ready()
    seen = m.ForeignOrderSet(**NOTED, remaining=D(50), status="Submitted")
    assert list(foreign(world.state, row(world))) == [seen]
    for word in ("Filled", "Cancelled", "ApiCancelled", "Inactive"):
        assert list(foreign(world.state, row(world, status=word))) == []
    assert list(foreign_status(world.state, status(world, 30))) == []
    world.take(row(world))
    assert list(foreign(world.state, row(world))) == list(foreign_status(world.state, status(world, 50))) == []
    assert list(foreign(world.state, row(world, quantity=D(60)))) == [replace(seen, remaining=D(60))]
    assert list(foreign_status(world.state, status(world, 30))) == [replace(seen, remaining=D(30), filled=D(20))]
    made_smaller = replace(status(world, 50), remaining=D(40))
    assert list(foreign_status(world.state, made_smaller)) == [replace(seen, remaining=D(40))]
    assert list(foreign_status(world.state, status(world, 30, perm_id=78))) == []
    for word in ("Filled", "Cancelled", "ApiCancelled", "Inactive"):
        ended = replace(seen, remaining=D(0), status=word)
        assert list(foreign(world.state, row(world, status=word))) == [ended]
        assert list(foreign_status(world.state, status(world, 30, word))) == [replace(ended, filled=D(20))]


@pytest.mark.parametrize("account", ["", ACCOUNT, "DU999999"])
@pytest.mark.parametrize("client_id", [CLIENT, 9, 0])
@pytest.mark.parametrize("beyond", [-1, 0, 7, 10**9])
def test_an_id_of_an_open_order_is_used_up_whoevers_it_is(beyond: int, client_id: int, account: str) -> None:
    """From our next one on, in any account of the log-in: the gateway takes no lower one after it (103)."""
    world = World.ready()
    order_id = world.state.next_id + beyond
    step = world.take(row(world, order_id=order_id, client_id=client_id, account=account))
    taken = m.IdsReserved(first=order_id + 1, count=0, epoch=world.state.epoch)
    assert of_kind(step.facts, m.IdsReserved) == ([taken] if beyond >= 0 else [])
    assert world.state.next_id == order_id + 1
    assert not of_kind(step.effects, m.RaiseAlert)
    (order,) = world.trade(AAA="0.1")
    assert (order.order_id or 0) > order_id


@pytest.mark.parametrize(
    ("order_id", "is_taken", "is_told"),
    [
        (LAST_ID - ROOM, True, False),
        (LAST_ID - ROOM + 1, False, True),
        (LAST_ID - 1, False, True),
        (LAST_ID, False, False),
    ],
)
def test_an_id_near_the_end_of_all_ids_is_not_gone_above_but_told(order_id: int, is_taken: bool, is_told: bool) -> None:
    """Nothing could be sent or asked for any more; the very last stands for no id."""
    world = World.ready()
    before = world.state.next_id
    step = world.take(row(world, order_id=order_id))
    assert world.state.next_id == (order_id + 1 if is_taken else before)
    told = of_kind(step.effects, m.RaiseAlert)
    assert [(one.key, one.severity) for one in told] == ([("no_order_ids", "critical")] if is_told else [])
    text = (
        f"client 9 has an open order with the id {order_id}, above which hardly any is left: the gateway refuses every "
        "order of ours (103) until it is cancelled and that program counts from lower ids"
    )
    assert all(one.text == text for one in told)


def test_an_order_noted_without_its_number_gets_it_at_the_next_reading() -> None:
    """It was noted by an older version."""
    world = World.ready()
    world.take(row(world))
    world.state.foreign_orders[77] = replace(world.state.foreign_orders[77], client_id=0, order_id=0)
    (seen,) = world.take(row(world)).facts
    assert (seen.client_id, seen.order_id) == (9, 5)  # type: ignore[union-attr]
    assert not world.take(row(world)).facts


def at_work(world: World) -> dict[tuple[int, int], tuple[Decimal, Decimal]]:
    """Of each order of others, by its instrument and permId (0: it has none yet): what remains and what has filled."""
    rows = world.state.foreign_orders.values()
    return {(one.con_id, max(one.perm_id, 0)): (one.remaining, one.filled) for one in rows}


def test_an_order_that_had_no_permid_yet_is_the_same_once_it_has_one() -> None:
    """What it had filled by then counts, and it counts once."""
    world = World.ready()
    world.take(row(world, perm_id=0))
    world.take(status(world, 30, perm_id=0))
    assert at_work(world) == {(2, 0): (30, 20)}
    step = world.take(row(world))
    assert [(one.remaining, one.status) for one in of_kind(step.facts, m.ForeignOrderSet)] == [
        (0, "named"),
        (30, "Submitted"),
    ]
    assert at_work(world) == {(2, 77): (30, 20)}
    assert not world.take(row(world)).facts
    world.take(status(world, 0, "Cancelled"))
    assert at_work(world) == {}


def test_orders_typed_by_hand_are_told_apart_before_they_have_a_permid() -> None:
    """By their instrument, and by which of several in it they are; the next reading names one of them."""
    world = World.ready()
    hand = {"client_id": 0, "order_id": 0, "ref": ""}
    other = {"con_id": 3, "symbol": "CCC", "quantity": D(10)}
    rows = ({"quantity": D(50), "nth": 0}, {"quantity": D(40), "nth": 1}, other)
    for one in rows:
        world.take(row(world, perm_id=0, **hand, **one))
    assert sorted(one.remaining for one in world.state.foreign_orders.values()) == [10, 40, 50]
    world.take(row(world, **hand, **rows[1]))
    assert at_work(world) == {(2, 0): (50, 0), (2, 77): (40, 0), (3, 0): (10, 0)}
    for one in rows[::2]:
        assert not world.take(row(world, perm_id=0, **hand, **one)).facts


def test_an_order_of_others_at_the_market_has_no_price() -> None:
    """Nor does one that has filled more than its new quantity have anything left."""
    world = World.ready()
    (seen,) = of_kind(world.take(row(world, order_type="MKT", limit_price=None)).facts, m.ForeignOrderSet)
    assert seen.price is None
    world.take(status(world, 10))
    world.take(row(world, order_type="MKT", limit_price=None, quantity=D(30)))
    assert at_work(world) == {}


def sale(world: World, **fields: object) -> m.ExecutionSeen:
    """5 BBB by another client."""
    told = {"exec_id": "f1.01", "order_id": 5, "client_id": 9, "perm_id": 990, "ref": "", "account": ACCOUNT}
    what = {"con_id": 2, "symbol": "BBB", "side": Side.SELL, "quantity": D(5), "price": D(50), "cumulative": D(5)}
    when = {"at": world.now, "tech": world.now, "executed_at": world.now}
    return m.ExecutionSeen(**(told | what | when | fields))  # type: ignore[arg-type]


def noted(world: World, event: m.ExecutionSeen, change: int, *, is_revised: bool = False) -> list[object]:
    return list(outside_trade(world.state, event, D(change), is_revised=is_revised))


OUTSIDE = {"con_id": 2, "symbol": "BBB", "reason": "execution f1.01 by somebody else"}


def test_a_trade_by_others_moves_what_is_not_ours_from_the_first_comparison_on() -> None:
    """By its change, on top of what there was; a revision of it is a correction; one of nothing is nothing."""
    world = World.ready()
    event = sale(world)
    assert noted(world, event, 0) == []
    assert noted(world, event, -5) == [m.OutsideSet(**OUTSIDE, quantity=D(-5), cause=Cause.OTHER_CLIENT)]
    world.state.outside[2] = ("BBB", D(20))
    revised = m.OutsideSet(**OUTSIDE, quantity=D(23), cause=Cause.CORRECTION)
    assert noted(world, event, 3, is_revised=True) == [revised]
    world.state.compared = None
    assert noted(world, event, -5) == []


@pytest.mark.parametrize(
    ("marks", "cause"),
    [
        ({"client_id": 0, "order_id": 0}, Cause.MANUAL_TRADE),
        ({"client_id": 9}, Cause.OTHER_CLIENT),
        ({"client_id": CLIENT, "order_id": 0}, Cause.OTHER_CLIENT),
        ({"client_id": CLIENT, "order_id": 1}, Cause.OURS_UNKNOWN),
        ({"ref": "lw:other:3"}, Cause.OURS_UNKNOWN),
        ({"ref": "lw:other:3", "is_liquidation": True}, Cause.LIQUIDATION),
    ],
)
def test_who_traded_is_told_by_the_marks_of_the_execution(marks: dict[str, object], cause: Cause) -> None:
    """Those that nobody else should have made hold the instrument back and are told, once, with what lifts it."""
    world = World.ready()
    event = sale(world, **marks)
    outside, *held_back = noted(world, event, -5)
    assert outside == m.OutsideSet(**OUTSIDE, quantity=D(-5), cause=cause)
    if cause not in (Cause.LIQUIDATION, Cause.OURS_UNKNOWN):
        assert held_back == []
        return
    text = f"BBB: {cause.value}: execution f1.01 of -5, order {event.ref or 'nameless'}"
    told = f"{text}; no new orders in it until: {lifted_by(cause, 'BBB')}"
    assert held_back == [
        m.QuarantineSet(con_id=2, symbol="BBB", reason=text, tech=world.now, cause=cause),
        m.RaiseAlert(key=cause.name.lower(), text=told, severity="critical"),
    ]
    world.state.quarantines[2] = held_back[0]  # type: ignore[assignment]
    assert noted(world, event, -5) == [outside]


LOST = {"ref": "lw:0123:7", "side": Side.SELL, "order_type": "STP", "limit_price": None, "stop_price": D(40)}


def test_an_open_order_of_a_lost_journal_holds_its_instrument_once_and_is_told() -> None:
    """It may trade any day, and nothing may be laid beside it; told again, changed or filled in part it is no news."""
    world = World.ready()
    step = world.take(row(world, **LOST))
    held = world.state.quarantines[2]
    assert held.cause is Cause.OURS_UNKNOWN and "lw:0123:7, SELL 50 STP, permId 77" in held.reason
    assert held.tech == world.now
    (alert,) = [one for one in step.effects if isinstance(one, m.RaiseAlert)]
    assert (alert.key, alert.severity) == ("ours_unknown", "critical")
    assert "cancel it in TWS" in alert.text and lifted_by(Cause.OURS_UNKNOWN, "BBB") in alert.text
    assert world.take(row(world, **LOST)).facts == ()
    assert [type(fact) for fact in world.take(row(world, **LOST, quantity=D(60))).facts] == [m.ForeignOrderSet]
    world.targets(BBB="0.2")
    assert not [one for one in world.rebalance().effects if isinstance(one, m.SubmitOrder)]


def test_a_person_s_word_on_it_holds_while_it_works_on() -> None:
    """What was left outside by a person is not held again because the same order is listed again."""
    world = World.ready()
    world.take(row(world, **LOST))
    world.hear(m.ControlRequested, command="unquarantine", argument="BBB", by="me", reason="it stays")
    assert world.take(row(world, **LOST)).facts == () and not world.state.quarantines


def test_a_difference_beside_an_open_order_of_a_lost_journal_is_told_and_outlasts_a_word_about_the_order() -> None:
    """Nothing has come of the order: a fill of ours nobody heard of would be left outside, and bought once more."""
    world = World.ready()
    world.take(row(world, **LOST))
    world.positions[2] = D(50)
    told = [key for step in world.reconcile(3) for key in alerts(step)]
    assert told == ["unexplained_difference"]
    assert world.state.quarantines[2].reason.startswith("position")


@pytest.mark.parametrize("fields", [{"status": "Cancelled"}, {"ref": "by hand"}, {"ref": "my lw:0123:7"}])
def test_what_has_ended_or_is_of_no_journal_holds_nothing(fields: dict[str, object]) -> None:
    """An order of any other program is counted, and no more."""
    world = World.ready()
    world.take(row(world, **(LOST | fields)))
    assert not world.state.quarantines


def test_a_lost_journals_order_is_held_upon_what_holds_the_instrument_already() -> None:
    """A quarantine for something else ends by other means than this one; one for the same is enough."""
    world = World.ready()
    reason = "no permission"
    world.state.quarantines[2] = m.QuarantineSet(
        con_id=2, symbol="BBB", reason=reason, tech=world.now, cause=Cause.NOT_PERMITTED
    )
    world.take(row(world, **LOST))
    held = world.state.quarantines[2]
    assert held.cause is Cause.OURS_UNKNOWN and held.beneath is not None and held.beneath.reason == reason
    again = world.take(row(world, **LOST, perm_id=78, order_id=6))
    assert [type(fact) for fact in again.facts] == [m.ForeignOrderSet]
