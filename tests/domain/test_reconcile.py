"""The account against the book: what counts as a difference, who owns what, and when an order is proven absent."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.domain.orders import OrderState
from longwatch.domain.risk.readiness import reasons
from tests.domain.world import ACCOUNT, CLIENT, CLOSE, SETTINGS, World, alerts, commission, of_kind, perm_id

D = Decimal
S = OrderState


# ── snapshots ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("part", ["positions", "open_perm_ids", "completed_perm_ids", "exec_ids"])
def test_a_failed_part_is_not_an_empty_one(part: str) -> None:
    """Nothing is compared, nothing known is lost, the gate is shut until a whole download has come."""
    world = World.ready(AAA=100)
    former = world.state.compared
    step = world.snapshot(**{part: None}, failures=((part, "no end mark within 30 s"),))
    assert world.state.compared is former
    assert world.state.account_positions == {1: ("AAA", D(100))}
    assert alerts(step) == ["snapshot_failed"]
    assert reasons(world.state, world.now) == (f"account: the last download failed ({part}: no end mark within 30 s)",)
    world.snapshot()
    assert reasons(world.state, world.now) == ()


def test_a_part_that_is_missing_without_a_word_counts_as_failed() -> None:
    """None is never empty, whoever forgot to say why."""
    world = World.ready()
    assert alerts(world.snapshot(exec_ids=None)) == ["snapshot_failed"]


def test_a_first_download_that_failed_is_asked_for_again() -> None:
    """Before the link is ready no job reads the account, so a deadline in the state does, and moves on."""
    world = World()
    world.start()
    world.hear(m.LinkUp, client_id=1, next_order_id=1, accounts=("DU123456",), server_version=176)
    world.snapshot(positions=None, failures=(("positions", "a row could not be decoded"),))
    for _ in range(2):
        world.wait(30)
        step = world.hear(m.TimeReached)
        assert of_kind(step.effects, m.RequestSnapshot)
        assert not of_kind(world.hear(m.TimeReached).effects, m.RequestSnapshot)
    world.snapshot()
    assert world.state.link is m.Link.READY


# ── whose shares these are ──────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_there_before_is_not_ours() -> None:
    """The default at the first start: the book is empty, the shares are outside, and nothing differs."""
    world = World.ready(AAA=100)
    assert world.state.book == {}
    assert world.state.outside == {1: ("AAA", D(100))}
    assert world.state.compared is not None and world.state.compared.differences == ()
    assert world.trade(BBB="0.1", AAA="0")[0].symbol == "BBB"


def test_existing_shares_are_adopted_when_the_settings_say_so() -> None:
    """They are held at the broker's average cost, and a zero weight sells them."""
    world = World.ready(replace(SETTINGS, adopt_existing=True), AAA=100)
    assert world.state.held(1) == 100
    assert world.state.book[1].average_cost == 90
    assert world.state.outside == {}
    (order,) = world.trade(AAA="0")
    assert (order.side.value, order.quantity) == ("SELL", 100)


def test_a_strangers_trade_is_explained_by_its_execution() -> None:
    """Execution and position agree: no difference, whichever comes first."""
    world = World.ready(AAA=100)
    world.positions[1] = D(130)
    world.stranger("AAA", 30, "0009.01")
    step = world.snapshot()
    assert of_kind(step.facts, m.BookCompared)[0].differences == ()
    assert world.state.outside == {1: ("AAA", D(130))}


# ── differences ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_difference_is_quarantined_when_two_snapshots_show_it() -> None:
    """Only that instrument, with an alert; the others trade on."""
    world = World.ready()
    world.positions[1] = D(7)
    (first,) = world.reconcile()
    assert world.state.quarantines == {}
    assert first.facts[-1].differences[0].account == 7
    (second,) = world.reconcile()
    assert list(world.state.quarantines) == [1]
    assert alerts(second) == ["unexplained_difference"]
    assert [order.symbol for order in world.trade(AAA="0.1", BBB="0.1")] == ["BBB"]


def test_two_snapshots_in_the_same_second_are_no_proof() -> None:
    """A position may follow its fill by seconds: the second look must leave it the time of an answer."""
    world = World.ready()
    world.positions[1] = D(7)
    world.snapshot()
    world.snapshot()
    assert world.state.quarantines == {}
    world.wait(10)
    world.snapshot()
    assert list(world.state.quarantines) == [1]


def test_a_difference_is_looked_at_again_by_itself_until_it_is_explained_or_quarantined() -> None:
    """The next comparison by the schedule may be far: after the close it comes the next morning."""
    world = World.ready()
    assert looks(world.reconcile()) == []
    world.positions[1] = D(7)
    (wait,) = looks(world.reconcile())
    assert wait > world.state.settings.acknowledge_seconds
    world.wait(wait)
    assert looks([world.snapshot()]) == []
    assert list(world.state.quarantines) == [1]


def looks(steps: Iterable[Step]) -> list[float]:
    """After how many seconds the account is read again."""
    return [one.after_seconds for step in steps for one in step.effects if isinstance(one, m.RequestSnapshot)]


def test_a_difference_that_changes_is_looked_at_anew() -> None:
    """Something moves in that instrument: it is not yet the same difference twice."""
    world = World.ready()
    for quantity in (7, 8, 9):
        world.positions[1] = D(quantity)
        world.reconcile()
    assert world.state.quarantines == {}


def test_trading_in_one_instrument_does_not_hide_a_difference_in_another() -> None:
    """The second look is per instrument."""
    world = World.ready()
    world.positions[2] = D(7)
    for quantity in ("0.1", "0.2", "0.3"):
        world.reconcile()
        world.finish(world.one(AAA=quantity))
    assert list(world.state.quarantines) == [2]


def test_a_quarantine_is_lifted_when_book_and_account_agree_again() -> None:
    """By itself, at the first comparison without the difference."""
    world = World.ready()
    world.positions[1] = D(7)
    world.reconcile(2)
    world.positions[1] = D(0)
    (step,) = world.reconcile()
    assert world.state.quarantines == {}
    assert of_kind(step.facts, m.QuarantineLifted)[0].reason == "book and account agree"


def test_a_fill_that_comes_after_its_position_is_no_break() -> None:
    """The account shows the shares first; the execution follows in time."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    world.positions[1] = D(100)
    world.snapshot()
    world.positions[1] = D(0)
    world.fill(intent, 100)
    world.end(intent)
    world.reconcile(2)
    assert world.state.quarantines == {}
    assert world.state.compared is not None and world.state.compared.differences == ()


# ── orders that are no longer shown ─────────────────────────────────────────────────────────────────────────────────


def test_a_working_order_that_is_nowhere_any_more_is_unknown() -> None:
    """Neither open nor completed: its outcome is asked for again at once, and nothing is cancelled on one look."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    world.open_orders.clear()
    world.wait(1)
    step = world.snapshot()
    assert world.order(intent).state is S.UNKNOWN
    assert of_kind(step.effects, m.CancelOrder) == []
    assert of_kind(world.hear(m.TimeReached).effects, m.RequestSnapshot)


def test_the_first_list_of_a_later_connection_that_lacks_a_working_order_cancels_nothing() -> None:
    """It may lack a row: the next one is asked for at once, and only what that lacks too is asked for by a cancel.

    A stop that such a list lacked was cancelled to hear of it, and its shares had none until the next open (seed 48).
    """
    for lists_it in (True, False):
        world = World.ready()
        intent = world.one(AAA="0.1")
        world.acknowledge(intent)
        world.hear(m.LinkLost, reason="reset by peer")
        world.wait(2)
        world.hear(m.LinkUp, client_id=CLIENT, next_order_id=9, accounts=(ACCOUNT,), server_version=176)
        step = world.snapshot(reason="sync", open_perm_ids=())
        assert world.order(intent).state is S.UNKNOWN
        assert of_kind(step.effects, m.CancelOrder) == []
        assert of_kind(world.hear(m.TimeReached).effects, m.RequestSnapshot)
        if lists_it:
            world.open_order(intent)
        step = world.snapshot(open_perm_ids=(perm_id(intent),) if lists_it else ())
        asked = [one.intent for one in of_kind(step.effects, m.CancelOrder)]
        assert (world.order(intent).state, asked) == ((S.WORKING, []) if lists_it else (S.UNKNOWN, [intent]))


def test_an_order_sent_while_a_snapshot_ran_is_not_missed() -> None:
    """The open orders may have been listed before it arrived."""
    world = World.ready()
    began = world.now
    world.wait(1)
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    world.snapshot(started_tech=began, open_perm_ids=())
    assert world.order(intent).state is S.WORKING


def test_an_order_acknowledged_while_a_snapshot_ran_is_not_missed() -> None:
    """Sent by a daemon that was killed, it reached the broker after the open orders had been listed: it works.

    It was taken for gone, and cancelled to prove that it was absent (crash points, seed 109, sending:1).
    """
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.handed(intent)
    world.wait(1)
    began = world.now
    world.wait(1)
    world.acknowledge(intent)
    step = world.snapshot(started_tech=began, open_perm_ids=())
    assert world.order(intent).state is S.WORKING
    assert of_kind(step.effects, m.CancelOrder) == []
    world.wait(1)
    world.snapshot(open_perm_ids=())
    assert world.order(intent).state is S.UNKNOWN


# ── absence ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def lost(**positions: int) -> tuple[World, int]:
    """An order handed to the transport of which nothing was heard by its deadline."""
    world = World.ready(**positions)
    intent = world.one(BBB="0.1")
    world.handed(intent)
    world.wait(10)
    world.hear(m.TimeReached)
    return world, intent


def comes_too_late(world: World, intent: int) -> None:
    """The broker answers a cancel by its id with 10148: it knows the order."""
    row = {"order_id": world.order(intent).order_id, "code": 10148, "text": "too late", "verdict": "too late"}
    world.hear(m.OrderErrorSeen, **row)


def answer_cancels(world: World, intent: int) -> None:
    """The broker answers a cancel by its id with 10147."""
    world.hear(
        m.OrderErrorSeen,
        order_id=world.order(intent).order_id,
        code=10147,
        text="that needs to be cancelled is not found",
        verdict="not found",
    )


def test_an_unknown_order_is_absent_when_all_five_proofs_hold() -> None:
    """Links up, two rounds apart, 10147, equal positions, no restart and no midnight: then, and not before."""
    world, intent = lost()
    (first,) = world.reconcile()
    assert of_kind(first.effects, m.CancelOrder) == []
    (second,) = world.reconcile()
    assert [effect.intent for effect in of_kind(second.effects, m.CancelOrder)] == [intent]
    answer_cancels(world, intent)
    world.reconcile()
    assert world.order(intent).state is S.ABSENT
    assert intent not in world.state.live


@pytest.mark.parametrize(("minutes", "state"), [(2, S.UNKNOWN), (237, S.UNKNOWN), (242, S.EXPIRED)])
def test_a_day_order_that_may_fill_late_ends_with_the_late_trading(minutes: int, state: OrderState) -> None:
    """Until 20:00 in New York it may still fill: it is not over a minute after the regular close."""
    world = World.ready(replace(SETTINGS, outside_rth=True))
    intent = world.one(AAA="0.1")
    world.handed(intent)
    world.wait(11)
    world.hear(m.TimeReached)
    world.reconcile()
    comes_too_late(world, intent)
    world.now = CLOSE + timedelta(minutes=minutes)
    world.reconcile(3)
    assert world.order(intent).state is state


@pytest.mark.parametrize(("minutes", "state"), [(30, S.CANCELLED), (240, S.EXPIRED)])
def test_a_cancel_of_late_trading_is_an_expiry_at_its_end_alone(minutes: int, state: OrderState) -> None:
    world = World.ready(replace(SETTINGS, outside_rth=True))
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    world.now = CLOSE + timedelta(minutes=minutes)
    world.status(intent, "Cancelled", 0)
    assert world.order(intent).state is state


@pytest.mark.parametrize("is_answered", [True, False])
def test_an_order_that_was_acknowledged_is_never_absent_and_never_sent_again(is_answered: bool) -> None:
    """It worked, is in no list, and its cancel finds nothing: how it ended is not known, so it goes on counting."""
    world = World.ready()
    world.finish(world.one(BBB="0.05"))
    (order,) = world.trade(BBB="0.05", AAA="0.1")
    world.acknowledge(order.intent)
    world.open_orders.clear()
    for _ in range(8):
        world.reconcile()
        if is_answered:
            answer_cancels(world, order.intent)
    world.reconcile()
    assert world.order(order.intent).state is S.UNKNOWN
    assert not is_answered or world.order(order.intent).text == "the broker has had it, and tells no end of it"
    assert world.trade(BBB="0.05", AAA="0.1") == []
    world.now = CLOSE + timedelta(minutes=2)
    world.reconcile(2)
    assert world.order(order.intent).state is S.EXPIRED


def _flap(kind, **fields):
    def flap(world: World, intent: int) -> None:
        world.hear(kind, up=False, **fields)
        world.hear(kind, up=True, **fields)

    return flap


def _down(kind, **fields):
    def down(world: World, intent: int) -> None:
        """Down, and for longer than any quiet time."""
        world.hear(kind, up=False, **fields)
        world.wait(90)

    return down


def _reconnected(world: World, intent: int) -> None:
    """A new connection, long ago by now, and no execution of before that is still shown."""
    world.hear(m.LinkLost, reason="reset by peer")
    world.connect()
    world.wait(90)


def _position_differs(world: World, intent: int) -> None:
    world.positions[2] = D(200)


def _midnight(world: World, intent: int) -> None:
    world.state.orders[intent] = replace(world.order(intent), tif="GTC", created_at=world.now - timedelta(days=1))


def _shown_inactive(world: World, intent: int) -> None:
    world.open_order(intent, "Inactive")


BREAKS: dict[str, Callable[[World, int], object]] = {
    "the gateway's own link is not up for long enough": _flap(m.BackendSeen),
    "the gateway's own link is not up": _down(m.BackendSeen),
    "the farms are not up for long enough": _flap(m.FarmSeen, farm="usfarm"),
    "the farms are not up": _down(m.FarmSeen, farm="usfarm"),
    "the gateway may have been restarted": _reconnected,
    "positions differ": _position_differs,
    "midnight has passed": _midnight,
    "two rounds of downloads are needed": _shown_inactive,
}


@pytest.mark.parametrize("why", BREAKS)
def test_an_order_stays_unknown_while_one_proof_is_missing(why: str) -> None:
    """Each of the proofs alone keeps it unknown, counted as exposure, and names itself."""
    world, intent = lost()
    world.reconcile(2)
    answer_cancels(world, intent)
    BREAKS[why](world, intent)
    world.reconcile()
    assert world.order(intent).state is S.UNKNOWN
    assert world.order(intent).text.startswith(why)
    assert intent in world.state.live


def test_without_the_answer_to_a_cancel_an_order_stays_unknown() -> None:
    """However many rounds show nothing, the broker itself must say that it has no such order."""
    world, intent = lost()
    steps = world.reconcile(6)
    assert world.order(intent).state is S.UNKNOWN
    assert world.order(intent).text == "its cancel is not yet answered"
    assert len([1 for step in steps if of_kind(step.effects, m.CancelOrder)]) == 5


def test_a_cancel_that_comes_too_late_is_not_asked_for_in_a_circle() -> None:
    """Its answer asks for a download; that must not ask for the cancel again, and so on, some times a second."""
    world, intent = lost()
    world.reconcile(2)
    for _ in range(5):
        too_late = {"code": 10148, "text": "cannot be cancelled, state: Filled", "verdict": "too late"}
        step = world.hear(m.OrderErrorSeen, order_id=world.order(intent).order_id, **too_late)
        assert of_kind(step.effects, m.RequestSnapshot)
        assert not of_kind(world.snapshot().effects, m.CancelOrder)


def test_rounds_in_quick_succession_count_once() -> None:
    """Two rounds are thirty seconds apart."""
    world, intent = lost()
    world.wait(60)
    for _ in range(5):
        world.snapshot()
    absence = world.order(intent).absence
    assert absence is not None and absence.rounds == 1


def test_a_round_that_began_before_the_order_left_proves_nothing() -> None:
    """The first snapshot of an unknown order on its own connection only starts the count."""
    world, intent = lost()
    world.snapshot()
    absence = world.order(intent).absence
    assert absence is not None and absence.rounds == 0
    assert of_kind(world.hear(m.TimeReached).effects, m.RequestSnapshot)


def test_a_new_connection_to_the_same_gateway_proves_as_well() -> None:
    """An execution of before the send that is still shown tells that the gateway was not restarted."""
    world = World.ready()
    world.finish(world.one(AAA="0.1"))
    world.wait(1)
    (order,) = world.trade(AAA="0.1", BBB="0.1")
    world.handed(order.intent)
    world.hear(m.LinkLost, reason="reset by peer")
    assert world.order(order.intent).state is S.UNKNOWN
    world.wait(5)
    world.connect()
    world.reconcile(2)
    answer_cancels(world, order.intent)
    world.reconcile()
    assert world.order(order.intent).state is S.ABSENT


def test_a_day_order_settles_at_its_sessions_end_when_positions_agree() -> None:
    """It can't fill any more, and nothing came of it: so say two readings, for one may lack a row (seed 16, 4 days)."""
    world, intent = lost()
    world.snapshot()
    answer_cancels(world, intent)
    world.now = world.state.sessions[1].close_at + timedelta(minutes=2)
    world.snapshot()
    assert world.order(intent).state is S.UNKNOWN
    world.reconcile()
    assert world.order(intent).state is S.EXPIRED


@pytest.mark.parametrize("breaks", [_position_differs, _down(m.BackendSeen)])
def test_a_day_order_does_not_settle_on_positions_that_differ_or_are_old(breaks) -> None:
    """Behind a broken link the gateway repeats what it knew."""
    world, intent = lost()
    world.reconcile()
    comes_too_late(world, intent)
    world.now = world.state.sessions[1].close_at + timedelta(minutes=2)
    breaks(world, intent)
    world.reconcile(2)
    assert world.order(intent).state is S.UNKNOWN


def test_an_order_found_again_works() -> None:
    """The open orders show it: what was gathered is void."""
    world, intent = lost()
    world.reconcile(2)
    world.open_orders.add(perm_id(intent))
    world.open_order(intent)
    assert (world.order(intent).state, world.order(intent).absence) == (S.WORKING, None)


def test_an_unknown_order_blocks_entries_in_its_instrument_and_not_reductions() -> None:
    """What it may do is counted; what makes the position smaller is let through.

    The gateway has answered its cancel, so no window in it holds everything up.
    """
    world, unknown = lost()
    world.hear(m.LinkLost, reason="reset by peer")
    world.connect()
    world.reconcile(1)
    comes_too_late(world, unknown)
    world.wait(61)
    world.finish(world.one(AAA="0.2", BBB="0.1"))
    world.wait(10)
    world.snapshot()
    world.targets(AAA="0.1", BBB="0.2")
    step = world.rebalance()
    assert [(effect.order.symbol, effect.order.side.value) for effect in of_kind(step.effects, m.SubmitOrder)] == [
        ("AAA", "SELL")
    ]
    assert [fact.check for fact in of_kind(step.facts, m.TradeRefused)] == ["unknown"]
    assert world.order(unknown).state is S.UNKNOWN


def test_a_download_from_before_the_backend_was_back_is_asked_for_again() -> None:
    """1100 and 1102 in the middle of it: what it shows may be of before the outage, so it is compared with nothing."""
    world = World.ready()
    began = world.now
    world.wait(1)
    world.hear(m.BackendSeen, up=False)
    world.wait(1)
    world.hear(m.BackendSeen, up=True)
    world.wait(1)
    compared = world.state.compared
    step = world.snapshot(started_tech=began)
    assert [type(effect) for effect in step.effects] == [m.RequestSnapshot] and not step.facts
    assert world.state.compared is compared
    world.snapshot()
    assert world.state.compared is not compared


def test_an_answer_to_the_cancel_of_an_unknown_order_is_not_followed_by_the_next_cancel_at_once() -> None:
    """10148 says that it was there: the proof begins anew, at the pace it had. Else each would ask for the next."""
    world, intent = lost()
    asked = [step for step in world.reconcile(2) if of_kind(step.effects, m.CancelOrder)]
    assert asked
    for _ in range(10):
        world.wait(1)
        order_id = world.order(intent).order_id
        said = world.hear(m.OrderErrorSeen, order_id=order_id, code=10148, text="too late", verdict="too late")
        assert of_kind(said.effects, m.RequestSnapshot)
        assert not of_kind(world.snapshot().effects, m.CancelOrder)
    answer_cancels(world, intent)
    world.reconcile(1)
    assert world.order(intent).state is S.UNKNOWN
    world.reconcile(1)
    assert world.order(intent).state is S.ABSENT


def test_a_commission_alone_is_no_evidence() -> None:
    """It names an execution that was never heard: the order stays as it is."""
    world, intent = lost()
    world.take(commission("0077.01", world.now))
    assert world.order(intent).state is S.UNKNOWN


def test_a_cancel_asked_for_on_a_lost_connection_is_asked_for_again_on_the_next() -> None:
    """It may never have left; once per connection, as long as the order works, and never for one not asked about."""
    world = World.ready()
    cancelled, kept = (order.intent for order in world.trade(AAA="0.1", BBB="0.1"))
    for intent in (cancelled, kept):
        world.acknowledge(intent)
    world.hear(m.ControlRequested, command="cancel", argument=str(cancelled), by="uid 1000", reason="")
    world.hear(m.LinkLost, reason="the gateway closed the connection")
    again = of_kind(world.connect().effects, m.CancelOrder)
    assert [(effect.intent, effect.order_id) for effect in again] == [(cancelled, world.order(cancelled).order_id)]
    assert of_kind(world.snapshot().effects, m.CancelOrder) == []


def test_a_quarantine_for_an_unreadable_message_ends_with_a_download_read_whole() -> None:
    """One that began before the message proves nothing; the next one shows that book and account agree."""
    world = World.ready(AAA=100)
    started = world.now
    world.wait(1)
    world.hear(m.MessageUndecodable, message_id=11, raw=("11",), reason="not a number", con_id=1)
    assert world.state.quarantines
    world.hear(m.SnapshotSeen, **world_snapshot(world, started))
    assert world.state.quarantines
    world.snapshot()
    assert not world.state.quarantines


def world_snapshot(world: World, started: datetime) -> dict[str, object]:
    """A round that began at `started` and shows the account as it is."""
    return {
        "reason": "scheduled",
        "positions": (m.PositionRow(con_id=1, symbol="AAA", quantity=D(100)),),
        "open_perm_ids": (),
        "completed_perm_ids": (),
        "exec_ids": (),
        "net_liquidation": D(100_000),
        "cash": D(100_000),
        "started_tech": started,
    }


def test_without_a_link_an_unknown_order_is_not_looked_at_and_with_the_next_one_it_is() -> None:
    """A gateway away for hours would fill the journal, twice a minute for each order, with nothing learned."""
    world, intent = lost()
    world.hear(m.LinkLost, reason="closed")
    moved = []
    for _ in range(10):
        world.wait(60)
        moved += of_kind(world.hear(m.TimeReached).facts, m.OrderMoved)
    assert len(moved) <= 1 and world.order(intent).deadline is None
    world.connect()
    assert world.order(intent).deadline is not None


def test_an_unknown_order_that_nothing_settles_is_looked_at_less_and_less_often() -> None:
    """Every half minute at first; after many rounds the daemon does not download the account all night for it."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.handed(intent)
    world.hear(m.LinkLost, reason="reset")
    world.connect()
    pauses = []
    for _ in range(40):
        world.reconcile(seconds=60)
        due = world.order(intent).deadline
        assert due is not None
        pauses.append((due - world.now).total_seconds())
    assert world.order(intent).state is OrderState.UNKNOWN
    assert pauses[2] == 30 and pauses[-1] == 30 * 64
    assert pauses == sorted(pauses)
