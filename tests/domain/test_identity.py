"""By which names the broker's rows are known as ours: ref, permId, order id while it counts on, execution; twins."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import islice

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.order_life.identity import (
    TWO_ORDERS,
    disowned,
    identify,
    ids_began_again,
    instrument_of,
    intent_of,
    is_reachable,
    own_number,
)
from longwatch.domain.orders import Absence, Change, Order, OrderState, whole_number
from longwatch.domain.reconciliation.causes import Cause
from longwatch.domain.risk.exposure import worst_shares
from longwatch.domain.state import put_order
from tests.domain.world import (
    ACCOUNT,
    CLIENT,
    World,
    alerts,
    completed,
    execution,
    of_kind,
    open_order,
    order_status,
    perm_id,
)

D = Decimal
S = OrderState
OTHER = 4711
"""The permId of a second order at the broker."""


def working(**weights: str) -> tuple[World, int]:
    world = World.ready()
    intent = world.one(**(weights or {"AAA": "0.1"}))
    world.acknowledge(intent)
    return world, intent


def cancelled_ids(step) -> list[int]:
    return [effect.order_id for effect in of_kind(step.effects, m.CancelOrder)]


# ── names ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_row_is_ours_by_any_one_of_its_names() -> None:
    """Ref, permId, order id of this client, or the execution it corrects; of nobody's names it is nobody's."""
    world, intent = working()
    world.fill(intent, 40, exec_id="00018.01.01")
    order = world.order(intent)
    assert order.order_id is not None
    names = {"ref": order.ref, "perm_id": perm_id(intent), "replaces": "00018.01.01"}
    for name, value in names.items():
        assert intent_of(world.state, **{name: value}) == intent, name  # type: ignore[arg-type]
    assert intent_of(world.state, client_id=CLIENT, order_id=order.order_id) == intent
    strangers = {"ref": "lw:other:1", "perm_id": 77, "replaces": "00018.09.01"}
    assert [intent_of(world.state, **{name: value}) for name, value in strangers.items()] == [None] * 3  # type: ignore[arg-type]
    assert intent_of(world.state, client_id=2, order_id=order.order_id) is None
    assert intent_of(world.state, ref="by somebody else", client_id=CLIENT, order_id=order.order_id) is None


def test_a_status_under_our_number_is_not_ours_when_its_perm_id_is_known_as_somebody_elses() -> None:
    """An order of a lost journal was shown with its reference; a status has none, only a number that is ours too."""
    world, intent = working()
    order = world.state.orders[intent]
    number = {"client_id": CLIENT, "order_id": order.order_id or 0}
    assert intent_of(world.state, perm_id=OTHER, **number) == intent
    theirs = m.ForeignOrderSet(
        perm_id=OTHER, con_id=order.con_id, symbol=order.symbol, side=Side.BUY, remaining=D(24), status="PreSubmitted"
    )
    world.state.foreign_orders[OTHER] = theirs
    assert intent_of(world.state, perm_id=OTHER, **number) is None
    assert intent_of(world.state, perm_id=OTHER, ref=order.ref, **number) == intent


def test_a_correction_that_names_nothing_but_the_execution_is_of_the_same_order() -> None:
    """Told without ref, permId and ids, by a gateway that was started since: the book follows, nothing is outside."""
    world, intent = working()
    world.fill(intent, 40, "100", exec_id="00018.01.01")
    row = execution(world.order(intent), world.now, "00018.01.02", 40, "101")
    world.take(replace(row, ref="", perm_id=0, client_id=0, order_id=0))
    order = world.order(intent)
    assert (order.filled, order.average_price, world.state.outside) == (40, 101, {})


# ── order ids that begin again ──────────────────────────────────────────────────────────────────────────────────────


def reconnected(world: World, next_order_id: int) -> None:
    world.hear(m.LinkLost, reason="reset by peer")
    world.wait(2)
    world.hear(m.LinkUp, client_id=CLIENT, next_order_id=next_order_id, accounts=(ACCOUNT,), server_version=176)


@pytest.mark.parametrize("anew", [False, True])
def test_an_order_id_names_an_order_only_while_the_gateway_counts_on(anew: bool) -> None:
    """Another program of the same client id may be given the number after a reset: its order is not ours."""
    world, intent = working()
    order_id = world.order(intent).order_id
    assert order_id is not None
    reconnected(world, 1 if anew else order_id + 1)
    stranger = replace(order_status(world.order(intent), world.now, "Cancelled", D(0)), perm_id=0)
    world.take(stranger)
    assert world.order(intent).state is (S.WORKING if anew else S.CANCELLED)
    assert is_reachable(world.state, world.order(intent)) is not anew


def test_an_error_on_a_number_that_was_given_anew_is_not_our_orders() -> None:
    """A rejection of somebody's order 2001 ends nothing of ours; it is told."""
    world, intent = working()
    order_id = world.order(intent).order_id
    reconnected(world, 1)
    step = world.hear(m.OrderErrorSeen, order_id=order_id, code=201, text="rejected", verdict="rejected")
    assert (alerts(step), world.order(intent).state) == (["error_on_unknown_order"], S.WORKING)


def test_an_order_shown_again_after_ids_began_anew_can_be_cancelled_by_its_id() -> None:
    """Live orders keep their numbers: the row that shows it, known by ref and permId, names it anew."""
    world, intent = working()
    order_id = world.order(intent).order_id
    reconnected(world, 1)
    refused = world.hear(m.ControlRequested, command="cancel", argument="all", by="uid 1000")
    assert (cancelled_ids(refused), alerts(refused)) == ([], ["cancel_unreachable"])
    world.open_order(intent)
    assert is_reachable(world.state, world.order(intent))
    again = world.snapshot(reason="sync")
    assert cancelled_ids(again) == [order_id]


def test_an_unknown_order_of_before_ids_began_anew_is_never_cancelled_by_its_number() -> None:
    """Its cancel could end an order of somebody else; the gateway is asked under a number that was never an order's."""
    world, _ = working()
    (unknown,) = (order.intent for order in world.trade(AAA="0.1", BBB="0.1"))
    world.handed(unknown)
    reconnected(world, 1)
    for step in (world.snapshot(reason="sync"), *world.reconcile(6)):
        assert world.order(unknown).order_id not in cancelled_ids(step)
    order = world.order(unknown)
    assert order.state is S.UNKNOWN
    assert order.text == "its order id names nothing at this gateway any more, which has not yet answered"


def test_an_order_of_another_client_id_is_not_cancelled_under_ours() -> None:
    """The daemon's client id was changed: our number would hit another order, so a person is told instead."""
    world, _ = working()
    world.state.client_id = 2
    step = world.hear(m.ControlRequested, command="cancel", argument="all", by="uid 1000")
    assert (cancelled_ids(step), alerts(step)) == ([], ["cancel_unreachable"])


# ── two orders for one intent ───────────────────────────────────────────────────────────────────────────────────────


def test_a02_a_second_order_of_one_intent_is_found_counted_and_both_are_cancelled() -> None:
    """A modification in an outage became a second order, under the same orderRef and an id of its own."""
    world, intent = working()
    step = world.open_order(intent, perm_id=OTHER, order_id=2777)
    twin = world.order(2)
    assert (twin.twin_of, twin.ref, twin.perm_ids, twin.order_id) == (intent, world.order(intent).ref, (OTHER,), 2777)
    assert worst_shares(world.state, 1, Side.BUY) == 200
    assert alerts(step) == ["two_orders_one_intent"]
    assert cancelled_ids(step) == [world.order(intent).order_id, 2777]
    assert world.state.quarantines[1].reason.startswith(f"AAA: {TWO_ORDERS}")
    world.status(intent, "Cancelled", 0)
    assert (world.order(intent).state, twin.state) == (S.CANCELLED, S.WORKING)
    assert worst_shares(world.state, 1, Side.BUY) == 100
    world.take(replace(order_status(world.order(intent), world.now, "Cancelled", D(0)), perm_id=OTHER, order_id=2777))
    assert world.order(2).state is S.CANCELLED
    assert worst_shares(world.state, 1, Side.BUY) == 0


@pytest.mark.parametrize("ended", [1, 2])
def test_a_code_by_the_id_of_two_orders_ends_neither_until_the_account_tells_which(ended: int) -> None:
    """Both bear one id: the rejection may be of either, and the one that lives on must go on counting."""
    world, intent = working()
    world.open_order(intent, perm_id=OTHER)
    names = {1: perm_id(intent), 2: OTHER}
    world.open_orders.add(OTHER)
    fields = {"code": 201, "text": "rejected", "verdict": "rejected"}
    step = world.hear(m.OrderErrorSeen, order_id=world.order(intent).order_id, **fields)
    assert [world.order(one).state for one in (1, 2)] == [S.WORKING, S.WORKING]
    assert worst_shares(world.state, 1, Side.BUY) == 200
    (asked,) = of_kind(step.effects, m.RequestSnapshot)
    assert asked.reason == f"which of two orders under id {world.order(1).order_id} has ended: 201 rejected"
    world.take(replace(completed(world.order(1), world.now, "Cancelled", 0), perm_id=names[ended]))
    assert [world.order(one).is_live for one in (1, 2)] == [ended != 1, ended != 2]
    world.hear(m.OrderErrorSeen, order_id=world.order(intent).order_id, **fields)
    assert worst_shares(world.state, 1, Side.BUY) == 100


def test_each_fill_of_two_orders_of_one_intent_is_its_own_orders() -> None:
    """The second one's fill in full does not end the first, which may fill as well."""
    world, intent = working()
    world.open_order(intent, perm_id=OTHER)
    row = execution(world.order(intent), world.now, "00018.01.01", 100, "100")
    world.take(replace(row, perm_id=OTHER))
    assert (world.order(intent).state, world.order(2).state) == (S.WORKING, S.FILLED)
    assert (world.state.held(1), worst_shares(world.state, 1, Side.BUY)) == (100, 200)
    world.fill(intent, 100)
    assert (world.order(intent).state, world.state.held(1)) == (S.FILLED, 200)


def test_two_orders_under_one_id_are_cancelled_one_after_the_other() -> None:
    """The id reaches one of them; when that has ended, the same cancel goes out for the other."""
    world, intent = working()
    step = world.open_order(intent, perm_id=OTHER)
    order_id = world.order(intent).order_id
    assert cancelled_ids(step) == [order_id, order_id]
    world.status(intent, "Cancelled", 0)
    world.open_orders, world.completed = {OTHER}, {perm_id(intent)}
    world.wait(31)
    assert cancelled_ids(world.snapshot(reason="reconcile")) == [order_id]


def test_a_second_order_of_another_client_is_told_to_be_out_of_reach() -> None:
    """A cancel by our number would hit another order: a person must cancel it in TWS; until then it counts."""
    world, intent = working()
    step = world.open_order(intent, perm_id=OTHER, client_id=9, order_id=5)
    (told,) = of_kind(step.effects, m.RaiseAlert)
    assert "client 9, which this daemon can't cancel: cancel it by hand in TWS" in told.text
    assert cancelled_ids(step) == [world.order(intent).order_id]
    world.open_orders.add(OTHER)
    world.wait(31)
    assert cancelled_ids(world.snapshot(reason="reconcile")) == [world.order(intent).order_id]
    assert worst_shares(world.state, 1, Side.BUY) == 200


@pytest.mark.parametrize("first_heard", ["status", "execution", "completed"])
def test_a_second_order_is_found_by_whatever_row_tells_of_it_first(first_heard: str) -> None:
    """A status by its order id, an execution or a completed order by its ref; none ends the first."""
    world, intent = working()
    order = world.order(intent)
    rows: dict[str, m.Event] = {
        "status": replace(order_status(order, world.now, "Cancelled", D(0)), perm_id=OTHER),
        "execution": replace(execution(order, world.now, "00018.01.01", 40, "100"), perm_id=OTHER),
        "completed": replace(completed(order, world.now, "Cancelled", 0), perm_id=OTHER),
    }
    step = world.take(rows[first_heard])
    assert "two_orders_one_intent" in alerts(step)
    assert world.order(intent).state is S.WORKING
    assert world.order(2).state is (S.WORKING if first_heard == "execution" else S.CANCELLED)
    held, left = (40, 60) if first_heard == "execution" else (0, 0)
    assert (world.state.held(1), worst_shares(world.state, 1, Side.BUY)) == (held, held + left + 100)


def test_a_second_order_heard_of_by_its_fill_is_cancelled_once_it_is_shown() -> None:
    """An execution tells no id to cancel by; the row of a download does."""
    world, intent = working()
    row = execution(world.order(intent), world.now, "00018.01.01", 40, "100")
    world.take(replace(row, perm_id=OTHER))
    assert world.order(2).order_id is None
    world.open_orders.add(OTHER)
    world.positions[1] = D(40)
    world.take(open_order(world.order(intent), world.now, perm_id=OTHER, order_id=2777))
    world.wait(31)
    assert 2777 in cancelled_ids(world.snapshot(reason="reconcile"))


def test_a_second_order_found_after_the_end_of_the_first_counts_and_is_cancelled() -> None:
    """The first was told to be cancelled; the other one works on."""
    world, intent = working()
    world.status(intent, "Cancelled", 0)
    step = world.open_order(intent, perm_id=OTHER, order_id=2777)
    assert world.order(intent).state is S.CANCELLED
    assert (cancelled_ids(step), worst_shares(world.state, 1, Side.BUY)) == ([2777], 100)


def test_a_second_order_is_known_after_a_restart_and_waits_for_a_persons_word() -> None:
    """It is folded from the journal; the instrument trades again when a person has lifted its quarantine."""
    world, intent = working()
    world.open_order(intent, perm_id=OTHER, order_id=2777)
    world.open_orders.add(OTHER)
    world.start()
    world.connect()
    assert worst_shares(world.state, 1, Side.BUY) == 200
    for one, number in ((perm_id(intent), intent), (OTHER, 2)):
        order = world.order(number)
        world.take(replace(order_status(order, world.now, "Cancelled", D(0)), perm_id=one))
        world.open_orders.discard(one)
        world.completed.add(one)
    world.reconcile(2)
    assert world.trade(AAA="0.2") == [] and 1 in world.state.quarantines
    world.hear(m.ControlRequested, command="unquarantine", argument="AAA", by="uid 1000", reason="looked at")
    assert 1 not in world.state.quarantines


@pytest.mark.parametrize("number", ["001", "\u0663", "9" * 30, "9" * 5000, "+1", ""])
def test_a_reference_that_we_would_not_write_is_none_of_ours(number: str) -> None:
    """It names no order, takes no number, and asks for nobody's cancel."""
    world = World.ready()
    world.acknowledge(world.one(AAA="0.1"))
    before = world.state.next_intent
    step = world.stranger("BBB", 5, "f1.01", ref=f"lw:{world.state.journal_id}:{number}")
    assert world.state.next_intent == before and world.order(1).filled == 0
    assert not of_kind(step.effects, m.CancelOrder)


# ── every field of what is noted ────────────────────────────────────────────────────────────────────────────────────


def test_a_number_of_ours_has_up_to_eighteen_digits() -> None:
    """The longest that is read, and the shortest that is not."""
    assert whole_number("9" * 18) == 10**18 - 1
    assert whole_number("9" * 19) is None


def test_a_row_without_a_name_is_nobodys() -> None:
    """Not even where the journal, by a mistake, knows an order under no number."""
    world, intent = working()
    for number in (0, 1):
        world.state.by_perm_id[number] = world.state.by_order_id[(number, 1)] = intent
    world.state.by_order_id[(0, 0)] = world.state.by_order_id[(1, 5)] = intent
    assert intent_of(world.state) is None
    assert intent_of(world.state, order_id=5) is None
    assert intent_of(world.state, client_id=CLIENT, order_id=1) == intent
    journal = world.state.journal_id
    assert own_number(world.state, "") is None and own_number(world.state, f"lw:{journal}:7") == 7


@pytest.mark.parametrize("ref", ["1", "lw:other:1", "lw:k7q2:01", "lw:k7q2:+1", "lw:k7q2: 1", "k7q2:1"])
def test_a_name_that_is_almost_ours_is_somebody_elses(ref: str) -> None:
    """Other programs number their orders too: only what we write ourselves is ours."""
    world, intent = working()
    assert (world.state.journal_id, intent) == ("k7q2", 1)
    assert own_number(world.state, ref) is None and intent_of(world.state, ref=ref) is None


def test_a_correction_of_somebody_elses_execution_is_somebody_elses() -> None:
    """Its order id may be the number of one of ours: the execution decides."""
    world, intent = working()
    world.stranger("AAA", 5, "0000f.01.01")
    order_id = world.order(intent).order_id or 0
    assert intent_of(world.state, client_id=CLIENT, order_id=order_id, replaces="0000f.01.01") is None
    assert intent_of(world.state, client_id=CLIENT, order_id=order_id, replaces="0000f.02.01") == intent


def of_a_lost_copy(world: World, number: int) -> m.OpenOrderSeen:
    """A row that bears this journal's name and a number it has not given."""
    order = world.order(1)
    row = open_order(order, world.now, ref=f"lw:{world.state.journal_id}:{number}")
    return replace(row, perm_id=OTHER, order_id=2777, con_id=2, symbol="BBB")


@pytest.mark.parametrize(("beyond", "is_taken"), [(0, True), (5, True), (-1, False)])
def test_a_number_of_a_lost_copy_is_never_given_again(beyond: int, is_taken: bool) -> None:
    """It quarantines the instrument with its cause, and tells a person at once; what is known is not disowned."""
    world, _ = working()
    number = world.state.next_intent + beyond
    row = of_a_lost_copy(world, number)
    if not is_taken:
        assert list(disowned(world.state, replace(row, con_id=1, symbol="AAA"))) == []
        return
    found = list(disowned(world.state, row))
    text = f"BBB: {row.ref} bears this journal's name but is not in it; was an older copy restored?"
    assert found == [
        m.IntentsTaken(up_to=number, reason=f"{row.ref} was seen at the broker"),
        m.QuarantineSet(con_id=2, symbol="BBB", reason=text, tech=row.tech, cause=Cause.OURS_UNKNOWN),
        m.RaiseAlert(key="ours_but_unknown", text=text, severity="critical"),
    ]
    world.take(row)
    assert list(disowned(world.state, row)) == []


def test_a_number_that_was_given_and_is_known_no_more_is_not_taken_twice() -> None:
    """It lies before the next one; the instrument is quarantined all the same."""
    world, _ = working()
    row = of_a_lost_copy(world, world.state.next_intent)
    world.hear(m.OpenOrderSeen, **{name: getattr(row, name) for name in row.__dataclass_fields__})
    world.state.quarantines.clear()
    assert [type(one) for one in disowned(world.state, row)] == [m.QuarantineSet, m.RaiseAlert]


def test_the_instrument_of_each_kind_of_event() -> None:
    """Of what no order or fill of ours is behind, and of what speaks of all, none."""
    world, intent = working()
    order = world.order(intent)
    fill = world.fill(intent, 40, exec_id="00018.01.01")
    assert fill.facts
    stamp = {"at": world.now, "tech": world.now}
    status = order_status(order, world.now, "Submitted", D(0))
    error = m.OrderErrorSeen(**stamp, order_id=order.order_id, code=201, text="no", verdict="rejected")
    paid = m.CommissionSeen(**stamp, exec_id="00018.01.01", commission=D(1), currency="USD")
    ours = (
        *(status, replace(status, perm_id=0), replace(status, order_id=0, client_id=0)),
        *(error, m.OrderHanded(**stamp, intent=intent), m.OrderWithheld(**stamp, intent=intent, reason="closed")),
        *(paid, open_order(order, world.now)),
    )
    assert [instrument_of(world.state, one) for one in ours] == [(1, "AAA")] * len(ours)
    nobodys = (
        *(replace(status, perm_id=0, order_id=77), replace(status, perm_id=0, client_id=CLIENT + 1)),
        *(replace(error, order_id=77), m.OrderHanded(**stamp, intent=99)),
        *(replace(paid, exec_id="00019.01.01"), m.TimeReached(**stamp)),
    )
    assert [instrument_of(world.state, one) for one in nobodys] == [None] * len(nobodys)
    raw = m.MessageUndecodable(**stamp, message_id=11, raw=("11",), reason="a field is missing", con_id=3)
    assert instrument_of(world.state, raw) == (3, "3")


def handed() -> tuple[World, Order]:
    """One that is sent, and that the broker has not named yet."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.handed(intent)
    return world, world.order(intent)


def identified(world: World, order: Order, row) -> list[m.OrderIdentified]:
    return of_kind(list(identify(world.state, order.intent, row)), m.OrderIdentified)


def test_the_first_row_with_a_perm_id_names_the_order_with_the_address_it_has_now() -> None:
    """An execution and a completed row tell no address; a row without a permId names nothing."""
    world, order = handed()
    number = order.order_id or 0
    named = {"intent": order.intent, "perm_id": perm_id(1)}
    at_the_gateway = m.OrderIdentified(**named, client_id=CLIENT, order_id=number)
    assert identified(world, order, open_order(order, world.now)) == [at_the_gateway]
    assert identified(world, order, order_status(order, world.now, "Submitted", D(0))) == [at_the_gateway]
    without = m.OrderIdentified(**named, client_id=0, order_id=0)
    assert identified(world, order, execution(order, world.now, "1.01", 5, "100")) == [without]
    assert identified(world, order, completed(order, world.now, "Filled", 100)) == [without]
    assert identified(world, order, open_order(order, world.now, perm_id=0)) == []


def test_an_order_is_named_again_only_by_an_address_that_names_nothing_yet() -> None:
    """By whatever row; one without a number says nothing of it."""
    world, intent = working()
    order = world.order(intent)
    row = open_order(order, world.now)
    assert identified(world, order, row) == []
    assert identified(world, order, replace(row, order_id=2777)) == [
        m.OrderIdentified(intent=1, perm_id=perm_id(1), client_id=CLIENT, order_id=2777)
    ]
    assert identified(world, order, replace(row, client_id=9)) == [
        m.OrderIdentified(intent=1, perm_id=perm_id(1), client_id=9, order_id=order.order_id or 0)
    ]
    assert identified(world, order, replace(row, order_id=0)) == []
    assert len(identified(world, order, replace(row, order_id=1))) == 1
    put_order(world.state, replace(order, order_id=None))
    assert len(identified(world, world.order(1), row)) == 1
    assert identified(world, world.order(1), replace(row, order_id=-1)) == []


def test_shares_taken_back_from_the_first_are_awaited_of_its_twin() -> None:
    """50 of the first were heard of and busted; 50 of the second have filled, and nobody has told of them yet."""
    world, intent = working()
    world.fill(intent, 50, "100", "y1.01")
    world.executions[:] = ["y1.02"]
    world.positions[1] -= 50
    world.take(execution(world.order(intent), world.now, "y1.02", 0, "100"))
    world.open_order(intent, perm_id=OTHER, order_id=2777)
    word = order_status(world.order(2), world.now, "Cancelled", D(50))
    world.take(replace(word, perm_id=OTHER, order_id=2777, remaining=D(50)))
    twin = world.order(2)
    assert (twin.state, twin.told, twin.reported) == (S.WORKING, 0, 50) and twin.ending is S.CANCELLED


def test_a_twin_is_an_order_of_its_own_that_has_only_its_terms_from_the_first() -> None:
    """Nothing that was heard of the first, asked of it or noted on it is the second one's."""
    world, intent = working()
    former = world.order(intent)
    change = Change(number=1, quantity=D(120), limit_price=None, stop_price=None, asked_at=world.now)
    heard_of = {
        "cancel_reason": "a person's",
        "cancel_asked": True,
        "replaces": 7,
        "replacement": 2,
        "filled": D(40),
        "reported": D(50),
        "taken_back": D(10),
        "ending": S.CANCELLED,
        "average_price": D(99),
        "commission": D(1),
        "absence": Absence(since=world.now),
        "change": change,
        "changed": 1,
        "changed_at": world.now,
        "vain": change,
        "deadline": world.now,
        "evidence": "handed to the transport",
        "proof": "TimeReached",
        "handed": False,
        "epoch": 7,
        "text": "told",
    }
    put_order(world.state, replace(former, **heard_of))
    world.wait(5)
    row = open_order(former, world.now, perm_id=OTHER, client_id=9, order_id=2777)
    made, named = islice(identify(world.state, intent, row), 2)
    terms = ("ref", "run_id", "con_id", "symbol", "side", "order_type", "limit_price", "stop_price", "tif", "account")
    terms += ("mode", "purpose", "outside_rth", "decision_price", "allocations", "oca_group", "sent_at")
    assert isinstance(made, m.OrderIntended)
    assert made.order == Order(
        **{name: getattr(former, name) for name in terms},
        intent=2,
        twin_of=intent,
        quantity=D(120),
        created_at=world.now,
        state=S.WORKING,
        evidence="acknowledged by the broker",
        proof="OpenOrderSeen",
        text="two orders at the broker for one intent",
        order_id=2777,
        client_id=9,
        epoch=world.state.epoch,
        handed=True,
        moved_at=world.now,
    )
    assert named == m.OrderIdentified(intent=2, perm_id=OTHER, client_id=9, order_id=2777)


@pytest.mark.parametrize(
    ("row", "quantity"),
    [
        (lambda order, at: open_order(order, at, quantity=D(130)), 130),
        (lambda order, at: replace(order_status(order, at, "Submitted", D(60)), remaining=D(70)), 130),
        (lambda order, at: replace(execution(order, at, "1.01", 30, "100"), cumulative=D(130)), 130),
        (lambda order, at: replace(execution(order, at, "1.01", 130, "100"), cumulative=D(0)), 130),
        (lambda order, at: completed(order, at, "Filled", 130), 130),
        (lambda order, at: completed(order, at, "Cancelled", 0), 100),
    ],
)
def test_a_twin_is_as_large_as_the_first_or_as_what_told_of_it(row, quantity: int) -> None:
    """Whichever is more."""
    world, intent = working()
    made = next(iter(identify(world.state, intent, replace(row(world.order(intent), world.now), perm_id=OTHER))))
    assert isinstance(made, m.OrderIntended) and made.order.quantity == quantity


def test_what_is_said_and_done_about_two_orders_of_one_intent() -> None:
    """One sentence for the quarantine and the alert; a cancel that was asked for is not asked for anew, only sent."""
    world, intent = working()
    number = world.order(intent).order_id
    step = world.open_order(intent, perm_id=OTHER, order_id=2777)
    text = f"AAA: two orders at the broker for one intent: lw:k7q2:1 is permId {perm_id(1)} and #2, permId {OTHER}"
    text += "; both are cancelled"
    assert of_kind(step.facts, m.QuarantineSet) == [
        m.QuarantineSet(con_id=1, symbol="AAA", reason=text, tech=world.now)
    ]
    assert of_kind(step.effects, m.RaiseAlert) == [
        m.RaiseAlert(key="two_orders_one_intent", text=text, severity="critical")
    ]
    assert of_kind(step.facts, m.OrderCancelAsked) == [
        m.OrderCancelAsked(intent=one, reason="two orders at the broker for one intent") for one in (1, 2)
    ]
    third = world.open_order(intent, perm_id=OTHER + 1, order_id=2778, client_id=9)
    assert [one.intent for one in of_kind(third.facts, m.OrderCancelAsked)] == [3]
    assert of_kind(third.effects, m.CancelOrder) == [m.CancelOrder(intent=1, order_id=number)]
    assert not of_kind(third.facts, m.QuarantineSet)
    (told,) = of_kind(third.effects, m.RaiseAlert)
    assert told.text.endswith(
        f"and #3, permId {OTHER + 1} of client 9, which this daemon can't cancel: cancel it by hand in TWS"
    )


@pytest.mark.parametrize(("next_id", "anew"), [(-1, True), (0, True), (1, False)])
def test_ids_begin_again_with_one_that_the_broker_has_named_of_ours(next_id: int, anew: bool) -> None:
    """By this client; a number of ours that it never spoke of may not have arrived."""
    world, intent = working()
    number = world.order(intent).order_id or 0
    (unnamed,) = (order for order in world.trade(AAA="0.1", BBB="0.1"))
    assert (unnamed.order_id or 0) > number
    fields = {"client_id": CLIENT, "accounts": (ACCOUNT,), "server_version": 176, "next_order_id": number + next_id}
    event = m.LinkUp(at=world.now, tech=world.now, **fields)
    assert ids_began_again(world.state, event) is anew
    assert not ids_began_again(world.state, replace(event, client_id=2))
    assert ids_began_again(World.ready().state, replace(event, next_order_id=0))
    assert not ids_began_again(World.ready().state, replace(event, next_order_id=1))


def test_an_order_without_an_id_or_under_one_that_names_another_is_out_of_reach() -> None:
    """A cancel by it would hit nothing, or somebody."""
    world, intent = working()
    order = world.order(intent)
    assert is_reachable(world.state, order)
    assert not is_reachable(world.state, replace(order, order_id=None))
    assert not is_reachable(world.state, replace(order, client_id=None))
    assert not is_reachable(world.state, replace(order, order_id=77))
    assert not is_reachable(world.state, replace(order, ref="lw:k7q2:9"))
