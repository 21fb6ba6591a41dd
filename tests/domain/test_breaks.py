"""Differences between book and account: what they look like, who is told, what ends them, and what is only shown."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal as D

import pytest

from longwatch.domain import messages as m
from longwatch.domain.commands import named
from longwatch.domain.instruments import Side
from longwatch.domain.orders import OrderState
from longwatch.domain.portfolio.parts import gain_of
from longwatch.domain.reconciliation.causes import LIFTED_BY, Cause, lifted_by
from longwatch.domain.replies import objection
from longwatch.domain.risk.exposure import still_there, worst_shares
from tests.domain.world import ACCOUNT, World, alerts, commission, completed, of_kind


def held() -> World:
    world = World.ready()
    world.finish(world.one(AAA="0.2"))
    world.reconcile()
    return world


def asked(world: World, command: str, argument: str) -> m.ControlRequested:
    now = world.now
    return m.ControlRequested(
        at=now, tech=now, command=command, argument=argument, by="uid 1000", reason="the statement"
    )


def say(world: World, command: str, argument: str) -> None:
    event = asked(world, command, argument)
    assert objection(world.state, event) is None
    world.take(event)


# ── what a difference looks like ────────────────────────────────────────────────────────────────────────────────────


def transfer(world: World) -> None:
    world.positions[1] += 30


def assignment(world: World) -> None:
    world.positions[1] -= 100
    world.cash += 100 * D("92.5")


def bust(world: World) -> None:
    """The purchase is taken back with its commission, and nobody says so."""
    world.take(commission(world.executions[0], world.now))
    world.reconcile()
    world.positions[1] = D(0)
    world.cash += 200 * 100 + D("1.25")


def lost_fill(world: World) -> None:
    """Of a working order."""
    intent = world.one(AAA="0.4")
    world.acknowledge(intent)
    world.positions[1] += 50
    world.cash -= 50 * D("100.13") + 1


def foreign_fill(world: World) -> None:
    """An order of somebody else's works; its fill is not told."""
    foreign(world, quantity=40)
    world.positions[1] += 40


def odd_trade(world: World) -> None:
    world.positions[1] -= 10
    world.cash += 10 * D("100.13") - 1


LOOKS_LIKE: dict[Callable[[World], None], Cause] = {
    transfer: Cause.TRANSFER,
    assignment: Cause.ASSIGNMENT,
    bust: Cause.CORRECTION,
    lost_fill: Cause.LATE_FILL,
    foreign_fill: Cause.OTHER_CLIENT,
    odd_trade: Cause.UNEXPLAINED,
}


@pytest.mark.parametrize("happens", LOOKS_LIKE, ids=lambda one: one.__name__)
def test_what_nothing_proves_is_quarantined_as_what_it_looks_like(happens: Callable[[World], None]) -> None:
    """Class, age and what would lift it are there; book and outside are as they were."""
    world = held()
    world.reconcile()
    happens(world)
    before = world.state.held(1), dict(world.state.outside)
    steps = world.reconcile(3)
    held_back = world.state.quarantines[1]
    assert held_back.cause is LOOKS_LIKE[happens]
    assert (world.state.held(1), dict(world.state.outside)) == before
    said = [effect.text for step in steps for effect in of_kind(step.effects, m.RaiseAlert)]
    (text,) = [one for one in said if "no new" in one]
    assert text.endswith(lifted_by(held_back.cause, "AAA"))
    (row,) = world.state.compared.differences if world.state.compared else ()
    assert row.cause is held_back.cause and row.looks == 3 and row.first == row.since


def test_every_cause_says_what_would_lift_it() -> None:
    """A quarantine that nothing can end would need a mended database."""
    assert set(LIFTED_BY) == set(Cause)
    assert all("AAA" in lifted_by(cause, "AAA") and "{" not in lifted_by(cause, "AAA") for cause in Cause)


@pytest.mark.parametrize("cash", [None, D(1)])
def test_cash_that_is_not_known_or_fits_nothing_says_nothing(cash: D | None) -> None:
    """A look is no proof, and a wrong look no better than none."""
    world = held()
    if cash is None:
        world.snapshot(cash=None)
        world.positions[1] += 30
    else:
        world.positions[1] += 30
        world.cash += cash
    world.reconcile(2)
    assert world.state.quarantines[1].cause is Cause.UNEXPLAINED


def test_a_difference_that_never_stands_still_ends_in_quarantine() -> None:
    """Looked at again and again it would never be twice the same: after six looks and five minutes it is enough."""
    world = held()
    for number in range(1, 6):
        world.positions[1] += number
        world.reconcile(seconds=70)
    assert not world.state.quarantines
    world.positions[1] += 6
    world.reconcile(seconds=70)
    assert list(world.state.quarantines) == [1]


def test_many_looks_in_a_short_time_are_not_enough() -> None:
    """While fills come in, book and account leapfrog each other."""
    world = held()
    for number in range(1, 12):
        world.positions[1] += number
        world.reconcile(seconds=2)
    assert not world.state.quarantines


@pytest.mark.parametrize(("steps", "is_lifted"), [((100,), True), ((30, 70), False), ((-10, 110), False)])
def test_a_fill_never_told_is_made_up_for_by_its_own_shares_alone(steps: tuple[int, ...], is_lifted: bool) -> None:
    """Taken back, they return in one piece; what others bring by and by only adds up to as many (seed 165)."""
    world = held()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    world.end(intent)
    world.positions[1] -= 100
    world.take(completed(world.order(intent), world.now, "Filled", 100))
    world.reconcile(2)
    assert 1 in world.state.quarantines
    for step in steps:
        world.positions[1] += step
        world.reconcile(2)
    world.wait(7 * 3600)
    told = [text for step in world.reconcile(3) for text in alerts(step)]
    assert world.state.held(1) == world.positions[1] == 200
    assert (1 not in world.state.quarantines) is is_lifted
    assert world.order(intent).state is (OrderState.EXPIRED if is_lifted else OrderState.WORKING)
    assert ("fill_taken_back" in told) is is_lifted


def test_an_agreement_by_chance_is_told_once_and_ended_by_a_person() -> None:
    """It names the order that is told to have filled: the statement says whether it has."""
    world = held()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    world.end(intent)
    world.positions[1] -= 100
    world.take(completed(world.order(intent), world.now, "Filled", 100))
    world.reconcile(2)
    for step in (30, 70):
        world.positions[1] += step
        world.reconcile()
    assert [key for step in world.reconcile(3) for key in alerts(step)] == []
    told = [one for _, step in world.steps for one in of_kind(step.effects, m.RaiseAlert)]
    (alert,) = (one for one in told if "agree, yet" in one.text)
    start = f"AAA: book and account agree, yet {world.order(intent).ref} is told to have filled shares"
    assert alert.text.startswith(start) and "`longwatch unquarantine AAA`" in alert.text
    assert (alert.key, alert.severity) == ("unexplained_difference", "critical")
    say(world, "unquarantine", "AAA")
    assert not world.state.quarantines


# ── what a person says of it ────────────────────────────────────────────────────────────────────────────────────────


def test_unquarantine_leaves_the_difference_outside_for_good() -> None:
    """The next comparison finds nothing any more: it is somebody else's, by this person's word."""
    world = held()
    world.positions[1] += 30
    world.reconcile(2)
    say(world, "unquarantine", "AAA")
    assert world.state.outside[1] == ("AAA", D(30))
    world.reconcile(3)
    assert not world.state.quarantines and world.state.held(1) == 200


def test_adopt_takes_the_difference_as_ours() -> None:
    """At the account's own cost."""
    world = held()
    world.positions[1] += 200
    world.costs[1] = D(110)
    world.reconcile(2)
    say(world, "adopt", "AAA")
    assert (world.state.book[1].quantity, world.state.book[1].average_cost) == (400, 110)
    world.reconcile(2)
    assert not world.state.quarantines and not world.state.outside


def test_adopt_of_shares_that_are_gone_takes_them_off_the_strategys_part() -> None:
    """All 200 bought at 100 are called away, and 200 are bought anew: at 90 these have lost 2000, and no others."""
    world = held()
    world.positions[1] = D(0)
    world.reconcile(2)
    say(world, "adopt", "AAA")
    assert world.state.parts["trend", 1].quantity == 0
    world.reconcile(2)
    (again,) = world.trade(AAA="0.2")
    world.finish(again.intent)
    assert world.state.held(1) == world.state.parts["trend", 1].quantity == 200
    costs = world.state.part_costs.get("trend", D(0))
    assert gain_of(world.state, "trend", {"AAA": D(90)}) == -2000 - costs


def test_adopt_of_what_was_left_outside_takes_what_is_gone_off_the_part_too() -> None:
    world = held()
    world.positions[1] = D(50)
    world.reconcile(2)
    say(world, "unquarantine", "AAA")
    assert world.state.outside[1] == ("AAA", D(-150))
    world.reconcile()
    say(world, "adopt", "AAA")
    assert world.state.held(1) == world.state.parts["trend", 1].quantity == 50


def test_adopt_of_shares_that_are_gone_closes_them() -> None:
    """What was ours and is no longer there is sold at the last close, for want of a better price."""
    world = held()
    world.positions[1] = D(50)
    world.reconcile(2)
    say(world, "adopt", "AAA")
    assert world.state.held(1) == 50
    world.reconcile(2)
    assert not world.state.quarantines


@pytest.mark.parametrize(
    ("command", "known"),
    [("cancel", "2 (BBB)"), ("adopt", "CCC"), ("unquarantine", "AAA")],
)
def test_a_name_that_nobody_knows_is_answered_with_those_there_are(command: str, known: str) -> None:
    """Never "done"."""
    world = World.ready(CCC=10)
    world.finish(world.one(AAA="0.2"))
    world.reconcile()
    world.positions[1] += 30
    world.reconcile(2)
    world.acknowledge(world.one(BBB="0.1"))
    why = objection(world.state, asked(world, command, "XXX"))
    assert why is not None and "XXX" in why and known in why
    assert not named(world.state, "XXX")


# ── trades and orders of others ─────────────────────────────────────────────────────────────────────────────────────


def traded(world: World, quantity: int, **marks: object) -> list[str]:
    """Somebody's sale of our instrument, in the account and told; the alerts it caused."""
    world.positions[1] -= quantity
    fields = {"client_id": 0, "order_id": 0, "ref": "", "is_liquidation": False} | marks
    step = world.hear(
        m.ExecutionSeen,
        exec_id=f"0000f1.{len(world.steps)}.01",
        perm_id=991,
        account=ACCOUNT,
        con_id=1,
        symbol="AAA",
        side=Side.SELL,
        quantity=D(quantity),
        price=D(99),
        cumulative=D(quantity),
        executed_at=world.now,
        **fields,
    )
    return alerts(step)


@pytest.mark.parametrize(
    ("marks", "cause"),
    [
        ({}, Cause.MANUAL_TRADE),
        ({"client_id": 7, "order_id": 3}, Cause.OTHER_CLIENT),
        ({"client_id": 7, "order_id": 3, "ref": "theirs"}, Cause.OTHER_CLIENT),
        ({"is_liquidation": True}, Cause.LIQUIDATION),
        ({"client_id": 1, "order_id": 900, "ref": "lw:other:4"}, Cause.OURS_UNKNOWN),
        ({"client_id": 1, "order_id": 900}, Cause.OURS_UNKNOWN),
    ],
)
def test_an_execution_by_others_proves_who_traded(marks: dict[str, object], cause: Cause) -> None:
    """The fact names it; ours stays ours. Only what nobody else should have done stops the instrument."""
    world = held()
    told = traded(world, 50, **marks)
    fact = next(fact for _, step in reversed(world.steps) for fact in step.facts if isinstance(fact, m.OutsideSet))
    assert (fact.quantity, fact.cause) == (-50, cause) and "0000f1" in fact.reason
    assert world.state.held(1) == 200
    world.reconcile(2)
    never = cause in (Cause.LIQUIDATION, Cause.OURS_UNKNOWN)
    assert (1 in world.state.quarantines) == never == bool(told)


def test_a_liquidation_is_followed_by_no_order_until_a_person_has_looked() -> None:
    """Adopted, the loss is ours, and trading goes on from what is left."""
    world = held()
    traded(world, 200, is_liquidation=True)
    world.reconcile(2)
    assert world.trade(AAA="0.4") == []
    say(world, "adopt", "AAA")
    assert world.state.held(1) == 0 and not world.state.quarantines
    world.wait(60)
    world.reconcile()
    assert [order.symbol for order in world.trade(AAA="0.1")] == ["AAA"]


def test_shares_that_others_have_sold_are_not_sold_again() -> None:
    """Our book says 200, the account has 50: closing sells 50, and the account is never short."""
    world = held()
    traded(world, 150)
    world.reconcile()
    assert still_there(world.state, 1) == 50
    (order,) = world.trade(AAA="0")
    assert (order.side, order.quantity) == (Side.SELL, 50)
    world.finish(order.intent)
    world.reconcile()
    assert world.positions[1] == 0
    assert world.trade(AAA="0") == []


def foreign(world: World, quantity: int, status: str = "Submitted", account: str = ACCOUNT) -> None:
    """A purchase by hand, working."""
    fields = {"order_id": 0, "client_id": 0, "perm_id": 77, "ref": "", "account": account, "con_id": 1}
    price = {"order_type": "LMT", "limit_price": D(90), "stop_price": None, "tif": "GTC"}
    world.open_orders.add(77)
    world.hear(m.OpenOrderSeen, symbol="AAA", side=Side.BUY, quantity=D(quantity), status=status, **fields, **price)


def test_adopt_of_a_difference_leaves_what_others_hold_beside_it() -> None:
    """Theirs were explained before; the second time, with nothing apart any more, it is meant for them."""
    world = held()
    traded(world, 5)
    world.reconcile()
    assert world.state.outside[1] == ("AAA", D(-5))
    world.positions[1] -= 30
    world.reconcile(2)
    say(world, "adopt", "AAA")
    assert (world.state.held(1), world.state.outside[1]) == (170, ("AAA", D(-5)))
    world.reconcile(2)
    assert not world.state.quarantines
    say(world, "adopt", "AAA")
    assert world.state.held(1) == 165 and not world.state.outside


def test_an_order_of_somebody_else_counts_and_is_never_touched() -> None:
    """It is exposure at worst; neither halt, nor flatten, nor `cancel all` asks for its end."""
    world = held()
    foreign(world, quantity=150)
    assert worst_shares(world.state, 1, Side.BUY) == 350
    effects = []
    for command, argument in (("cancel", "all"), ("halt", ""), ("resume", ""), ("flatten", "")):
        world.hear(m.ControlRequested, command=command, argument=argument, by="uid 1000", reason="")
    for _, step in world.steps:
        effects += of_kind(step.effects, m.CancelOrder)
    assert not effects
    assert list(world.state.foreign_orders) == [77]
    assert objection(world.state, asked(world, "cancel", "77")) is not None


@pytest.mark.parametrize("client_id", [1, 7], ids=["ours", "another"])
def test_ids_up_to_that_of_an_open_order_that_is_not_ours_are_never_given(client_id: int) -> None:
    """The gateway would reject an order with an id as low (103), whichever client's the open order is."""
    world = held()
    row = {"perm_id": 78, "ref": "lw:other:3", "account": ACCOUNT, "con_id": 1, "symbol": "AAA", "side": Side.BUY}
    terms = {"quantity": D(5), "order_type": "MKT", "limit_price": None, "stop_price": None, "tif": "DAY"}
    assert world.state.next_id < 9_000
    epoch = world.state.epoch
    world.hear(m.OpenOrderSeen, order_id=9_000, client_id=client_id, status="Submitted", **row, **terms)
    assert (world.state.next_id, world.state.epoch) == (9_001, epoch)
    given = [world.order(order.intent).order_id for order in world.trade(BBB="0.1", CCC="0.1")]
    assert given and min(one or 0 for one in given) == 9_001


def test_an_order_in_another_account_is_no_matter_of_ours() -> None:
    """One log-in may have several."""
    world = held()
    foreign(world, quantity=150, account="DU999999")
    assert not world.state.foreign_orders
