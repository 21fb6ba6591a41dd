"""Other people's orders and trades in the account: what is noted of each, and what a person hears."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.reconciliation.causes import Cause, lifted_by
from longwatch.domain.reconciliation.others import foreign, foreign_status, outside_trade
from tests.domain.world import ACCOUNT, CLIENT, World

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


NOTED = {"perm_id": 77, "con_id": 2, "symbol": "BBB", "side": Side.SELL, "price": D(60)}


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
    assert list(foreign_status(world.state, status(world, 30, perm_id=78))) == []
    for word in ("Filled", "Cancelled", "ApiCancelled", "Inactive"):
        ended = replace(seen, remaining=D(0), status=word)
        assert list(foreign(world.state, row(world, status=word))) == [ended]
        assert list(foreign_status(world.state, status(world, 30, word))) == [replace(ended, filled=D(20))]


@pytest.mark.parametrize(("beyond", "client_id", "is_taken"), [(0, CLIENT, True), (-1, CLIENT, False), (0, 9, False)])
def test_an_id_of_ours_that_the_journal_does_not_know_is_used_up(beyond: int, client_id: int, is_taken: bool) -> None:
    """From our next one on, under our client id: the gateway would take no lower one after it."""
    world = World.ready()
    order_id = world.state.next_id + beyond
    found = list(foreign(world.state, row(world, order_id=order_id, client_id=client_id)))
    taken = m.IdsReserved(first=order_id + 1, count=0, epoch=world.state.epoch)
    assert found[:-1] == ([taken] if is_taken else [])


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
