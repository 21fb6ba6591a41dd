"""Names of ours on orders of somebody else's: a number that another program was given, an orderRef that was copied."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal as D
from typing import Any

import pytest

from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.domain.instruments import Side
from longwatch.domain.order_life.identity import intent_of, is_reachable
from longwatch.domain.orders import Order, OrderState
from longwatch.domain.reconciliation.causes import Cause, lifted_by
from longwatch.domain.risk.exposure import worst_shares
from tests.domain.world import CLIENT, World, execution, of_kind, open_order, order_status, perm_id

THEIRS = 777
S = OrderState


def unsent() -> tuple[World, Order]:
    """200 AAA bought, and an order for BBB that the gate withheld: the gateway has never heard of its number."""
    world = World.ready()
    first, second = world.trade(AAA="0.2", BBB="0.2")
    world.finish(first.intent)
    world.hear(m.OrderWithheld, intent=second.intent, reason="gate")
    return world, world.order(second.intent)


def unknown() -> tuple[World, Order]:
    """200 AAA bought, and an order for BBB whose bytes left, of which nothing has been heard."""
    world = World.ready()
    first, second = world.trade(AAA="0.2", BBB="0.2")
    world.finish(first.intent)
    world.handed(second.intent)
    return world, world.order(second.intent)


def restarted(world: World) -> None:
    """The daemon stops; another program works under its client id, and the daemon comes back."""
    world.hear(m.LinkLost, reason="stop")
    world.wait(600)
    world.start()
    world.connect()
    world.wait(60)


def absent() -> tuple[World, Order]:
    """As `unknown`, proven never to have reached the broker, before a restart."""
    world, order = unknown()
    world.hear(m.ControlRequested, command="halt", argument="", by="uid 1000", reason="test")
    world.wait(30)
    world.hear(m.TimeReached)
    world.reconcile(3)
    gone = {"order_id": order.order_id, "code": 10147, "text": "not found", "verdict": "not found"}
    world.hear(m.OrderErrorSeen, **gone)
    world.reconcile(3)
    assert world.order(order.intent).state is S.ABSENT
    return world, world.order(order.intent)


def theirs(order: Order, world: World, **fields: Any) -> m.OpenOrderSeen:
    """An order under our client id and this order's number that bears no name of ours."""
    return replace(open_order(order, world.now), perm_id=THEIRS, ref="", **fields)


def traded(order: Order, world: World, shares: int, **fields: Any) -> Step:
    """Shares of such an order, heard, and its end told twice, as it often is."""
    row = execution(order, world.now, "9999.01", shares, "50")
    step = world.take(replace(row, perm_id=THEIRS, ref="", **fields))
    for _ in range(2):
        world.take(replace(order_status(order, world.now, "Filled", D(shares)), perm_id=THEIRS))
    return step


@pytest.mark.parametrize("gone", [unsent, absent])
@pytest.mark.parametrize("contract", ["another", "the same"])
def test_an_order_of_another_program_under_a_number_that_never_left_is_not_ours(gone: Any, contract: str) -> None:
    """Not even one in the same contract: no fill is booked, `halt` leaves it alone, and a person is told."""
    world, order = gone()
    restarted(world)
    other = {"con_id": 3, "symbol": "CCC", "side": Side.SELL} if contract == "another" else {}
    step = world.take(theirs(order, world, **other))
    (row,) = world.state.foreign_orders.values()
    assert (row.perm_id, row.symbol) == (THEIRS, other.get("symbol", "BBB"))
    assert not of_kind(step.facts, m.OrderIdentified)
    halted = world.hear(m.ControlRequested, command="halt", argument="", by="uid 1000", reason="test")
    assert not of_kind(halted.effects, m.CancelOrder)
    told = traded(order, world, 100, **other)
    after = world.order(order.intent)
    assert (after.state, after.filled, after.perm_ids) == (order.state, 0, ())
    assert world.state.held(2) == world.state.held(3) == 0
    assert [one.key for one in of_kind(told.effects, m.RaiseAlert)] == ["ours_unknown"]
    assert world.state.quarantines[row.con_id].cause is Cause.OURS_UNKNOWN


def test_an_order_whose_bytes_may_have_left_is_still_known_by_its_number() -> None:
    """Also after a restart, by rows without our name in its contract and on its side, and by its status."""
    world, order = unknown()
    restarted(world)
    assert world.order(order.intent).state is S.UNKNOWN
    world.take(replace(order_status(order, world.now, "Submitted", D(0)), perm_id=THEIRS))
    assert world.order(order.intent).perm_ids == (THEIRS,)
    traded(order, world, 100)
    assert (world.state.held(2), world.order(order.intent).filled) == (100, 100)


@pytest.mark.parametrize("other", [{"con_id": 3, "symbol": "CCC"}, {"side": Side.SELL}])
@pytest.mark.parametrize("told_first", ["open order", "execution"])
def test_a_row_of_another_contract_or_side_is_not_an_unknown_orders(other: dict[str, Any], told_first: str) -> None:
    world, order = unknown()
    restarted(world)
    if told_first == "open order":
        world.take(theirs(order, world, **other))
    traded(order, world, 100, **other)
    after = world.order(order.intent)
    assert (after.state, after.filled) == (S.UNKNOWN, 0)
    assert world.state.held(2) == world.state.held(3) == 0


@pytest.mark.parametrize("shares", ["100", "0.5", "0"])
@pytest.mark.parametrize("side", list(Side))
def test_what_was_traded_under_a_permid_says_whether_the_order_under_our_number_is_ours(
    side: Side, shares: str
) -> None:
    """A part of a share on the other side tells it; what was corrected to nothing is on no side."""
    world, order = unknown()
    row = execution(order, world.now, "9999.01", 100, "50")
    nobodys = {"perm_id": THEIRS, "ref": "", "client_id": 0, "order_id": 0}
    world.take(replace(row, **nobodys, side=side, quantity=D(shares)))
    named = intent_of(world.state, perm_id=THEIRS, client_id=CLIENT, order_id=order.order_id or 0)
    assert named == (order.intent if side is Side.BUY or not D(shares) else None)


def test_an_order_that_left_after_all_is_known_by_its_number() -> None:
    """Our transport said that it was withheld, and then that it has it."""
    world, order = unsent()
    assert intent_of(world.state, client_id=CLIENT, order_id=order.order_id or 0) is None
    world.handed(order.intent)
    assert intent_of(world.state, client_id=CLIENT, order_id=order.order_id or 0) == order.intent


def test_an_order_taken_for_unsent_is_ours_by_its_name() -> None:
    """The row that shows it bears its orderRef; from then on its permId names it, and its number."""
    world, order = unsent()
    step = world.open_order(order.intent)
    assert [one.key for one in of_kind(step.effects, m.RaiseAlert)] == ["order_revived"]
    assert world.order(order.intent).state is S.WORKING
    assert is_reachable(world.state, world.order(order.intent))
    assert intent_of(world.state, client_id=CLIENT, order_id=order.order_id or 0) == order.intent


def test_a_status_on_the_connection_on_which_it_was_lost_is_of_an_absent_order() -> None:
    """No other program can have been given its number meanwhile."""
    world, order = absent()
    world.take(replace(order_status(order, world.now, "Submitted", D(0)), perm_id=THEIRS))
    assert world.order(order.intent).state is S.WORKING


def working() -> tuple[World, Order]:
    world = World.ready()
    (order,) = world.trade(AAA="0.2")
    world.acknowledge(order.intent)
    return world, world.order(order.intent)


COPIES = [{"side": Side.SELL}, {"con_id": 3, "symbol": "CCC"}]


@pytest.mark.parametrize("other", COPIES)
@pytest.mark.parametrize("is_unknown", [False, True])
def test_an_order_copied_with_our_name_to_another_contract_or_side_is_somebody_elses(
    other: dict[str, Any], is_unknown: bool
) -> None:
    """It is no twin, which would count on our side in our contract: it is told, and its instrument waits."""
    world, order = unknown() if is_unknown else working()
    row = replace(open_order(order, world.now), perm_id=THEIRS, client_id=0, order_id=0, quantity=D(50), **other)
    step = world.take(row)
    assert world.state.orders.keys() == {*range(1, order.intent + 1)}, "no second order of ours"
    assert world.order(order.intent).perm_ids == order.perm_ids
    (alert,) = of_kind(step.effects, m.RaiseAlert)
    assert (alert.key, alert.severity) == ("ours_but_unknown", "critical")
    text = (
        f"{row.symbol}: {order.ref} is our BUY {order.symbol}, yet permId {THEIRS}, {row.side.value} {row.symbol}, "
        "bears that name: was it copied by hand? It counts as somebody else's"
    )
    assert alert.text == f"{text}; no new orders in it until: {lifted_by(Cause.OURS_UNKNOWN, row.symbol)}"
    held = world.state.quarantines[row.con_id]
    assert (held.cause, held.reason, held.tech) == (Cause.OURS_UNKNOWN, text, world.now)
    assert not of_kind(step.effects, m.CancelOrder)
    assert worst_shares(world.state, order.con_id, Side.BUY) == order.quantity + world.state.held(order.con_id)
    traded(order, world, 50, client_id=0, order_id=0, **other)
    named = replace(execution(order, world.now, "9999.02.01", 50, "50"), perm_id=THEIRS, **other)
    world.take(named)
    assert (world.order(order.intent).filled, world.state.held(row.con_id)) == (0, 0)
    assert world.state.outside[row.con_id][1] == 100 * row.side.sign


def test_a_copied_order_is_told_of_once_and_not_again_when_a_person_has_looked() -> None:
    """Each download tells of it again; what it fills is news."""
    world, order = working()
    row = replace(open_order(order, world.now), perm_id=THEIRS, client_id=0, order_id=0, side=Side.SELL)
    world.take(row)
    world.hear(m.ControlRequested, command="unquarantine", argument="AAA", by="uid 1000", reason="looked at")
    again = world.take(row)
    assert not again.facts and not again.effects and not world.state.quarantines
    filled = replace(execution(order, world.now, "9999.01", 50, "50"), perm_id=THEIRS, side=Side.SELL)
    assert "ours_unknown" in [one.key for one in of_kind(world.take(filled).effects, m.RaiseAlert)]
    assert world.state.quarantines[1].cause is Cause.OURS_UNKNOWN


def test_a_second_copy_in_an_instrument_that_waits_for_a_person_is_not_told_again() -> None:
    """It is noted as somebody else's all the same."""
    world, order = working()
    for number in (THEIRS, THEIRS + 1):
        row = replace(open_order(order, world.now), perm_id=number, client_id=0, order_id=0, side=Side.SELL)
        told = [one.key for one in of_kind(world.take(row).effects, m.RaiseAlert)]
        assert told == (["ours_but_unknown"] if number == THEIRS else [])
    assert set(world.state.foreign_orders) == {THEIRS, THEIRS + 1}


@pytest.mark.parametrize("other", COPIES)
def test_the_end_of_a_copied_order_ends_nothing_of_ours(other: dict[str, Any]) -> None:
    """A completed order with our name, of another contract or side."""
    world, order = working()
    row = m.CompletedOrderSeen(
        at=world.now,
        tech=world.now,
        perm_id=THEIRS,
        ref=order.ref,
        account=order.account,
        status="Cancelled",
        filled=D(0),
        **{"con_id": order.con_id, "symbol": order.symbol, "side": order.side} | other,
    )
    step = world.take(row)
    assert not step.facts and world.order(order.intent).state is S.WORKING


def test_an_order_that_the_broker_moved_to_another_contract_stays_ours_by_its_permid() -> None:
    """A contract is renamed, or gets another conId: the permId goes on naming the order."""
    world, order = working()
    world.open_order(order.intent, con_id=11, symbol="AAAB")
    world.take(replace(execution(order, world.now, "00018.01", 40, "100"), con_id=11, symbol="AAAB"))
    after = world.order(order.intent)
    assert (after.filled, after.perm_ids) == (40, (perm_id(order.intent),))
    assert not world.state.foreign_orders


# ── another client's open order under the number of ours ────────────────────────────────────────────────────────────


def borne(world: World, order: Order, client_id: int = 7) -> None:
    """An open order of another client under the number of our order, downloaded."""
    row = replace(open_order(order, world.now), perm_id=THEIRS, client_id=client_id, ref="", con_id=3, symbol="CCC")
    world.take(row)
    world.open_orders.add(THEIRS)


def test_what_may_be_lost_is_not_asked_about_by_a_cancel_that_may_end_an_order_of_another_client() -> None:
    """Gateways have been seen to cancel it: the gateway is asked under a number that no order has."""
    world, order = unknown()
    borne(world, order)
    world.wait(30)
    steps = [world.hear(m.TimeReached), *world.reconcile(3)]
    asked = [one.order_id for step in steps for one in of_kind(step.effects, m.CancelOrder)]
    assert world.order(order.intent).state is S.UNKNOWN
    assert asked and order.order_id not in asked
    assert set(asked).isdisjoint({one.order_id for one in world.state.orders.values()})
    why = "its order id is that of somebody else's open order at this gateway"
    assert world.order(order.intent).text == f"{why}, which has not yet answered"
    assert not is_reachable(world.state, world.order(order.intent))


def test_its_cancel_by_a_person_says_why_it_does_not_go_out() -> None:
    world, order = unknown()
    borne(world, order)
    step = world.hear(m.ControlRequested, command="cancel", argument="all", by="uid 1000", reason="test")
    assert not of_kind(step.effects, m.CancelOrder)
    (alert,) = [one for one in of_kind(step.effects, m.RaiseAlert) if one.key == "cancel_unreachable"]
    assert f"somebody else's open order at this gateway (order {order.order_id} of client 1)" in alert.text


def test_once_that_order_is_gone_the_number_is_asked_about() -> None:
    world, order = unknown()
    borne(world, order)
    world.open_orders.discard(THEIRS)
    world.wait(30)
    steps = [world.hear(m.TimeReached), *world.reconcile(3)]
    asked = [one.order_id for step in steps for one in of_kind(step.effects, m.CancelOrder)]
    assert order.order_id in asked


@pytest.mark.parametrize(("client_id", "is_reached"), [(7, True), (CLIENT, False)])
def test_an_order_that_the_broker_has_is_cancelled_by_its_number(client_id: int, is_reached: bool) -> None:
    """Another client's order is another; under our own client id the number is one order's alone."""
    world, order = working()
    borne(world, order, client_id)
    assert is_reachable(world.state, world.order(order.intent)) is is_reached
    step = world.hear(m.ControlRequested, command="cancel", argument="all", by="uid 1000", reason="test")
    assert bool(of_kind(step.effects, m.CancelOrder)) is is_reached
