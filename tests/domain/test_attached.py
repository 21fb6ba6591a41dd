"""Entries that leave with their stop: what leaves, what it counts, when it is given up, and what its end says."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.domain import messages as m
from longwatch.domain.decide import Step, gate
from longwatch.domain.instruments import Side
from longwatch.domain.orders import Order, OrderState, OrderType, Purpose
from longwatch.domain.risk.exposure import worst_shares, worst_values
from longwatch.domain.risk.oca import is_intact
from longwatch.domain.safeguards.attached import NO_MORE, PATIENCE, REGROUPED
from longwatch.domain.safeguards.stop_levels import BY_HAND
from longwatch.domain.settings import StopRule
from tests.domain.play import Play, played
from tests.domain.test_protection import works
from tests.domain.world import PRICES, SETTINGS, SYMBOLS, World, alerts, execution, of_kind

D = Decimal
S = OrderState
SECOND = timedelta(seconds=1)
ATTACHED = replace(SETTINGS, stop=StopRule(fraction=D("0.05")), attached_stops=True)


def submitted(step: Step) -> list[m.SubmitOrder]:
    return of_kind(step.effects, m.SubmitOrder)


def decided(world: World, **weights: str) -> m.SubmitOrder:
    """The only write that these weights come to."""
    world.targets(**weights)
    (effect,) = submitted(world.rebalance())
    return effect


def pair(**settings: object) -> tuple[World, Order, Order]:
    """200 AAA are being bought at 100 or a little more, with a stop at 95: both are known to the broker."""
    world = World.ready(replace(ATTACHED, **settings))  # type: ignore[arg-type]
    effect = decided(world, AAA="0.2")
    assert effect.attached is not None
    world.acknowledge(effect.order.intent)
    works(world, effect.attached.intent)
    return world, effect.order, effect.attached


def cancelled(step: Step) -> list[int]:
    return [one.intent for one in of_kind(step.effects, m.CancelOrder)]


def told_cancelled(world: World, *orders: Order) -> None:
    for order in orders:
        world.end(order.intent)
        world.status(order.intent, "Cancelled")


def test_an_entry_and_its_stop_leave_in_one_write() -> None:
    """Opposite sides, one size, good till cancelled, a group of its own, the entry's order id for its parent."""
    world = World.ready(ATTACHED)
    effect = decided(world, AAA="0.2")
    entry, stop = effect.order, effect.attached
    assert stop is not None
    assert (stop.side, stop.quantity, stop.stop_price) == (Side.SELL, entry.quantity, D("95.00"))
    assert (stop.order_type, stop.tif, stop.purpose) == (OrderType.STOP, "GTC", Purpose.STOP)
    assert (stop.attached_to, stop.parent_id, stop.oca_group) == (entry.intent, entry.order_id, stop.ref)
    assert stop.order_id == (entry.order_id or 0) + 1
    decision = of_kind(world.steps[-1][1].facts, m.RebalanceDecided)[0]
    assert decision.intended == 1


@pytest.mark.parametrize(
    ("changes", "held"),
    [({"attached_stops": False}, 0), ({"stop": None}, 0), ({"order_type": "MOC"}, 0), ({}, 100)],
    ids=["not asked for", "no rule", "an auction", "something is held"],
)
def test_an_entry_leaves_alone_where_a_stop_of_its_own_size_would_not_be_the_holdings(
    changes: dict[str, object], held: int
) -> None:
    """Then the stop follows the first fill as ever."""
    settings = replace(ATTACHED, adopt_existing=True, **changes)  # type: ignore[arg-type]
    world = World.ready(settings, **({"AAA": held} if held else {}))
    world.targets(AAA="0.3")
    entries = [one for one in submitted(world.rebalance()) if one.order.purpose is Purpose.ENTRY]
    assert [one.attached for one in entries] == [None]


def test_a_stop_that_waits_counts_nothing_as_long_as_its_entry_may_fill_as_much() -> None:
    """Neither short nor gross; once the entry has ended it counts for what it may sell."""
    world, entry, stop = pair()
    assert worst_shares(world.state, 1, Side.SELL) == 0
    assert worst_shares(world.state, 1, Side.BUY) == entry.quantity
    gross, _ = worst_values(world.state, dict(PRICES))
    assert gross == entry.quantity * entry.worst_price
    world.fill(entry.intent, 50)
    assert worst_shares(world.state, 1, Side.SELL) == 0
    told_cancelled(world, entry)
    assert worst_shares(world.state, 1, Side.SELL) == 50 - stop.quantity


def test_what_withholds_one_withholds_both_and_the_gate_lets_the_stop_of_a_leaving_entry_pass() -> None:
    """Less is held than it would sell, and yet it may leave: with its entry alone."""
    world = World.ready(ATTACHED)
    effect = decided(world, AAA="0.2")
    assert effect.attached is not None
    assert gate(world.state, effect.order.intent, world.now) is None
    assert gate(world.state, effect.attached.intent, world.now) is None
    world.hear(m.OrderWithheld, intent=effect.order.intent, reason="a test")
    assert gate(world.state, effect.attached.intent, world.now) == "less is held than it would sell"


def test_at_the_write_the_stop_takes_up_no_room_of_its_entrys() -> None:
    """A fifth of the equity is bought where three tenths may be held: counted as a sale of its own it had no room."""
    world = World.ready(replace(ATTACHED, max_gross_exposure=D("0.3")))
    assert gate(world.state, decided(world, AAA="0.2").order.intent, world.now) is None


def test_an_entry_filled_whole_has_its_stop_at_once() -> None:
    """Nothing is sent, nothing modified, nothing was ever bare; an exit may enter its group from then on."""
    world, entry, stop = pair()
    assert not is_intact(world.state, world.order(stop.intent))
    step = world.fill(entry.intent, 200)
    assert step.effects == () and world.state.unprotected == {}
    world.moved("AAA")
    assert is_intact(world.state, world.order(stop.intent))
    assert world.state.stop_levels[1].level == D("95.00")


def test_a_price_paid_far_from_the_decisions_moves_the_stop() -> None:
    """As any stop: by modification, to where the rule has it."""
    world, entry, stop = pair()
    step = world.fill(entry.intent, 200, "101")
    (asked,) = of_kind(step.facts, m.OrderChangeAsked)
    assert (asked.intent, asked.change.stop_price) == (stop.intent, D("95.95"))


def test_an_entry_left_with_a_part_filled_gives_its_stop_up_and_the_next_is_for_that_part() -> None:
    """Not at once, for the rest may follow at once; and none is sent before the first one's end is told."""
    world, entry, stop = pair()
    assert cancelled(world.fill(entry.intent, 50)) == []
    assert world.state.unprotected[1].unprotected == 50
    world.wait(PATIENCE.total_seconds())
    assert cancelled(world.hear(m.TimeReached)) == [stop.intent]
    assert submitted(world.fill(entry.intent, 10)) == []
    world.end(stop.intent)
    (next_one,) = submitted(world.status(stop.intent, "Cancelled"))
    assert (next_one.order.quantity, next_one.order.attached_to) == (D(60), None)


def test_the_rest_at_once_keeps_the_stop() -> None:
    world, entry, stop = pair()
    world.fill(entry.intent, 50)
    world.fill(entry.intent, 150)
    world.wait(60)
    assert cancelled(world.hear(m.TimeReached)) == []
    assert world.state.unprotected.get(1) is None or not world.state.unprotected[1].unprotected
    assert world.order(stop.intent).is_live


def test_a_stop_is_cancelled_with_its_entry_without_a_word_and_rejected_with_one() -> None:
    """The broker ends it beside an entry that has not filled: nobody took it away. A rejection is told and counted."""
    for code in (None, 201):
        world, entry, stop = pair()
        if code is None:
            told_cancelled(world, stop)
        else:
            world.hear(m.OrderErrorSeen, order_id=stop.order_id, code=code, text="no", verdict="rejected")
        assert world.order(entry.intent).told == 0 and not world.order(stop.intent).is_live
        struck = [row.reason for row in world.state.breakers.values() if row.purpose is Purpose.STOP]
        told = [key for _, step in world.steps for key in alerts(step)]
        assert struck == ([] if code is None else ["rejected (201)"])
        assert [key for key in told if key in ("order_cancelled", "order_rejected")] == ["order_rejected"] * len(struck)


def test_a_stop_that_ends_with_its_entry_is_no_persons_word_and_needs_no_reading() -> None:
    """The next entry leaves with one of its own, and no breaker holds stops back."""
    world, entry, stop = pair()
    told_cancelled(world, entry, stop)
    assert not world.state.live and not [one for one in world.state.breakers.values() if one.purpose is Purpose.STOP]
    world.hear(m.ControlRequested, command="resume", argument="AAA", by="uid 1000")
    world.moved("AAA")
    assert decided(world, AAA="0.2").attached is not None


def test_an_entry_that_ended_without_a_fill_leaves_no_stop_alone() -> None:
    """Should the broker not end it by itself, it is cancelled."""
    world, entry, stop = pair()
    world.end(entry.intent)
    assert cancelled(world.status(entry.intent, "Cancelled")) == [stop.intent]


def test_a_stop_made_smaller_by_the_broker_with_its_entrys_end_alarms_nobody() -> None:
    """It is for what the entry has filled."""
    world, entry, stop = pair()
    world.fill(entry.intent, 50)
    told_cancelled(world, entry)
    step = world.open_order(stop.intent, "PreSubmitted", quantity=D(50), stop_price=D("95.00"))
    assert "order_changed_elsewhere" not in alerts(step)
    assert world.order(stop.intent).quantity == 50


def test_a_refused_stop_takes_the_entry_along_that_never_left_the_gateway() -> None:
    """A parent whose child is refused is never transmitted, and must not be by somebody later."""
    world = World.ready(ATTACHED)
    effect = decided(world, AAA="0.2")
    entry, stop = effect.order, effect.attached
    assert stop is not None
    world.handed(entry.intent)
    world.handed(stop.intent)
    row = {"order_id": stop.order_id, "code": 201, "text": "rejected", "verdict": "rejected"}
    assert cancelled(world.hear(m.OrderErrorSeen, **row)) == [entry.intent]


def test_a_stop_in_a_group_of_the_brokers_naming_is_given_up() -> None:
    """No exit of ours could enter it: one of our own follows."""
    world, _, stop = pair()
    step = world.open_order(stop.intent, "PreSubmitted", oca_group="1580482311")
    assert cancelled(step) == [stop.intent]
    assert of_kind(step.facts, m.OrderCancelAsked)[0].reason == REGROUPED
    assert cancelled(pair()[0].open_order(stop.intent, "PreSubmitted", oca_group=stop.oca_group)) == []


def test_an_entry_with_a_stop_keeps_its_quantity() -> None:
    """Made smaller, the stop would sell what was never bought; by somebody in TWS, it is given up."""
    world, entry, stop = pair()
    step = world.hear(m.ControlRequested, command="modify", argument=f"{entry.intent} 100", by="uid 1000", quotes=())
    assert of_kind(step.effects, m.ModifyOrder) == []
    assert cancelled(world.open_order(entry.intent, quantity=D(100))) == [stop.intent]


@pytest.mark.parametrize("limit", ["95.00", "93.00"])
def test_an_entry_priced_at_or_past_its_stop_gives_that_up(limit: str) -> None:
    """Filled there, the stop would sell at once what was just bought; asked for by us, or set in TWS."""
    world, entry, stop = pair()
    words = f"{entry.intent} - {limit}"
    step = world.hear(m.ControlRequested, command="modify", argument=words, by="uid 1000", quotes=world.quotes())
    assert len(of_kind(step.effects, m.ModifyOrder)) == 1 and cancelled(step) == [stop.intent]
    world, entry, stop = pair()
    assert cancelled(world.open_order(entry.intent, limit_price=D("95.01"))) == []
    assert cancelled(world.open_order(entry.intent, limit_price=D(limit))) == [stop.intent]


def test_a_stop_moved_by_hand_while_it_waits_is_not_moved_back() -> None:
    """As of any stop: where somebody has put it, it lies, also once its entry has filled."""
    world, entry, stop = pair()
    world.open_order(stop.intent, "PreSubmitted", stop_price=D("98"))
    steps = [world.fill(entry.intent, 200), world.status(entry.intent, "Filled")]
    steps.append(world.open_order(stop.intent, "PreSubmitted", stop_price=D("98")))
    assert [one for step in steps for one in of_kind(step.effects, m.ModifyOrder)] == []
    row = world.state.stop_levels[1]
    assert (row.level, row.because) == (D("98"), BY_HAND)


def test_shares_taken_back_are_not_open_again_to_a_waiting_stop() -> None:
    """50 are filled and undone: the entry can fill 150 more, and the stop sell 200, 50 more than are then held."""
    world, entry, _ = pair()
    world.fill(entry.intent, 50, exec_id="zz.01")
    world.positions[1] = D(0)
    world.take(replace(execution(world.order(entry.intent), world.now, "zz.02", 0, "100")))
    assert (world.state.held(1), world.order(entry.intent).taken_back) == (0, 50)
    assert worst_shares(world.state, 1, Side.SELL) == -50


def test_shares_taken_back_before_the_stop_was_given_up_for_its_part_take_it_along() -> None:
    """The bust is heard within the half second: the entry's rest would let a stop loose for more than is then held."""
    world, entry, stop = pair()
    world.fill(entry.intent, 50, exec_id="zz.01")
    world.positions[1] = D(0)
    step = world.take(replace(execution(world.order(entry.intent), world.now, "zz.02", 0, "100")))
    assert cancelled(step) == [stop.intent]
    assert of_kind(step.facts, m.OrderCancelAsked)[0].reason == NO_MORE


def told_of(world: World, entry: Order, status: str, filled: int) -> list[list[int]]:
    """The status counts so many as filled, of which nothing more is told; then the reading it asks for, and another."""
    world.status(entry.intent, status, filled)
    world.wait(SETTINGS.acknowledge_seconds + 1)
    world.hear(m.TimeReached)
    return [cancelled(world.snapshot()), cancelled(world.snapshot())]


def test_a_fill_that_was_taken_back_before_it_was_heard_of_takes_the_stop_along() -> None:
    """50 are filled by the status, of which neither an execution nor the account knows (seed 96, 20 days)."""
    world, entry, stop = pair()
    assert worst_shares(world.state, 1, Side.SELL) == 0
    assert told_of(world, entry, "Submitted", 50) == [[stop.intent], []]
    assert worst_shares(world.state, 1, Side.SELL) == -50
    world.end(stop.intent)
    assert submitted(world.status(stop.intent, "Cancelled")) == []
    (next_one,) = submitted(world.fill(entry.intent, 150))
    assert (next_one.order.quantity, next_one.order.attached_to) == (D(150), None)


def test_a_stop_let_loose_by_a_fill_that_is_nowhere_goes() -> None:
    """Its entry is told to have filled whole, and none of it is there: the broker would let the stop sell short."""
    world, entry, stop = pair()
    world.end(entry.intent)
    assert told_of(world, entry, "Filled", 200) == [[stop.intent], []]
    world.end(stop.intent)
    assert submitted(world.status(stop.intent, "Cancelled")) == []


@pytest.mark.parametrize("status", ["Submitted", "Filled"])
def test_a_fill_that_the_account_shows_is_only_told_late_and_keeps_the_stop(status: str) -> None:
    """Its execution may come at any time: the stop is for these shares."""
    world, entry, stop = pair()
    filled = 50 if status == "Submitted" else 200
    world.positions[1] = D(filled)
    assert told_of(world, entry, status, filled) == [[], []]
    assert not world.order(stop.intent).cancel_asked


def test_a_reading_that_was_under_way_or_failed_says_nothing_of_what_the_status_told() -> None:
    """It may be from before the fill; and executions are waited for as long as any answer."""
    world, entry, stop = pair()
    world.status(entry.intent, "Submitted", 50)
    assert cancelled(world.snapshot()) == []
    world.wait(SETTINGS.acknowledge_seconds + 1)
    world.hear(m.TimeReached)
    assert cancelled(world.snapshot(started_tech=world.now - SECOND)) == []
    assert cancelled(world.snapshot(positions=None, failures=(("positions", "timed out"),))) == []
    assert cancelled(world.snapshot()) == [stop.intent]


def test_a_lost_link_leaves_both_unknown_and_nothing_is_sent_beside_them() -> None:
    """Until it is proven that neither is there: then nothing of them is left."""
    world = World.ready(ATTACHED)
    effect = decided(world, AAA="0.2")
    assert effect.attached is not None
    for one in (effect.order, effect.attached):
        world.handed(one.intent)
    world.hear(m.LinkLost, reason="reset by peer")
    assert {world.order(one.intent).state for one in (effect.order, effect.attached)} == {S.UNKNOWN}
    world.connect()
    assert submitted(world.rebalance()) == []


CALM = (
    *("rebalance", "again", "write", "write", "write", "acknowledge", "fill", "fill", "cancel", "kill", "reject"),
    *("silence", "snapshot", "snapshot", "lose link", "connect", "crash", "market", "change"),
)


class Watched(Play):
    """After every act, what could be sold at the broker is held there: nobody else trades in these plays."""

    def act(self, name: str, number: int) -> None:
        Play.act(self, name, number)
        for con_id in SYMBOLS:
            groups: dict[str, Decimal] = {}
            for intent, one in self.book.items():
                sells = one.order.con_id == con_id and one.order.side is Side.SELL and not one.ended
                if sells and not self.waits(one):
                    group = one.order.oca_group or str(intent)
                    groups[group] = max(groups.get(group, D(0)), one.remaining)
            held = self.positions.get(con_id, D(0))
            assert sum(groups.values(), D(0)) <= held, f"{groups} of {held} {SYMBOLS[con_id]} after {name}"


@given(st.lists(st.tuples(st.sampled_from(CALM), st.integers(0, 5_000)), max_size=80))
def test_whatever_happens_to_the_two_no_more_is_ever_to_be_sold_than_is_held(acts: list[tuple[str, int]]) -> None:
    played(acts, Watched(settings=replace(ATTACHED, max_weight=D("0.4"))))


def test_these_plays_have_pairs_of_every_fate() -> None:
    """A property over plays without them would show nothing."""
    fates: set[OrderState] = set()
    for seed in range(60):
        random = Random(f"{seed}|attached")
        acts = [(random.choice(CALM), random.randrange(5_000)) for _ in range(100)]
        play = played(acts, Watched(settings=ATTACHED))
        fates |= {one.state for one in play.state.orders.values() if one.attached_to is not None}
    assert fates >= {S.FILLED, S.CANCELLED, S.REJECTED, S.UNSENT, S.UNKNOWN}
