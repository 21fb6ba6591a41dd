"""A split that its history does not show is settled by a person: its stop's level moves with its shares."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

import pytest

from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.domain.orders import Order, Purpose
from longwatch.domain.reconciliation import splits
from longwatch.domain.reconciliation.causes import Cause
from longwatch.domain.settings import TradeSettings
from tests.domain.test_protection import FIXED, TRAILING, changes, sent, works
from tests.domain.test_splits_ahead import BY_ATR, MORNING, causes, moves, overnight, refreshed
from tests.domain.test_take_profit import PAIR
from tests.domain.world import CLOSE, CON_IDS, MONDAY, World, alerts, judged, of_kind


def adopted(world: World) -> list[Step]:
    said = world.hear(m.ControlRequested, command="adopt", argument="AAA", by="uid 1000", reason="a letter")
    return [said, *world.reconcile(2)]


def split_unseen(settings: TradeSettings, new: int = 2, old: int = 1) -> tuple[World, Order, list[Step]]:
    """200 AAA at 100 are split before the open, which no history shows; a person adopts the new shares."""
    world, stop = overnight(settings)
    moves(world, stop, new, old)
    assert causes(world) == [Cause.SPLIT]
    return world, stop, adopted(world)


@pytest.mark.parametrize("settings", [FIXED, TRAILING, BY_ATR], ids=["fixed", "trailing", "by the range"])
@pytest.mark.parametrize(("new", "old"), [(2, 1), (1, 10)])
def test_its_stop_is_placed_at_the_level_of_new_shares(new: int, old: int, settings: TradeSettings) -> None:
    """At 95 for shares at 50 it would sell all of them at once; at 95 for shares at 1000 it would never sell."""
    world, stop, steps = split_unseen(settings, new, old)
    times, before = D(new) / old, stop.stop_price
    assert before is not None
    (placed,) = [order for step in steps for order in sent(step)]
    assert (placed.quantity, placed.stop_price) == (200 * times, (before / times).quantize(D("0.01"), "ROUND_FLOOR"))
    assert (world.state.book[1].quantity, world.state.book[1].average_cost) == (200 * times, 100 / times)
    assert not world.state.quarantines and alerts(steps[0]) == ["split_booked"]
    assert not [one for step in world.reconcile(2) for one in changes(step)]


def test_its_proof_names_who_said_so() -> None:
    world, _, steps = split_unseen(FIXED)
    (split,) = of_kind(steps[0].facts, m.SplitBooked)
    assert split.awaits_history and split.at == MORNING - timedelta(minutes=30), (
        "when the shares moved, not when it was said"
    )
    assert split.proof == "position 200 -> 400, average cost 100 -> 50, history not rebased yet; uid 1000: a letter"
    assert world.state.parts[("trend", 1)].quantity == 400, "the strategy's, not nobody's"


def test_a_dividend_that_its_history_was_rebased_by_before_shows_nothing_of_it() -> None:
    """It is awaited all the same: closes are of the shares before until then."""
    world, stop = overnight(FIXED)
    refreshed(world, D("0.99"), D("1.01"))
    assert not world.state.quarantines
    moves(world, stop, 2, 1)
    (split,) = of_kind(adopted(world)[0].facts, m.SplitBooked)
    assert split.awaits_history and "history not rebased yet" in split.proof


def test_its_history_may_follow() -> None:
    """It is not ahead then, and closes raise the level again."""
    world, _, _ = split_unseen(TRAILING)
    step = refreshed(world, D("0.5"), D(2))
    assert not world.state.quarantines and not changes(step)
    refreshed(world, D("0.6"))
    assert world.state.stop_levels[1].level == 57


def test_a_session_that_has_ended_since_has_closes_of_new_shares() -> None:
    """A source that never rebases."""
    world, _, _ = split_unseen(TRAILING)
    world.now = CLOSE + timedelta(days=3, minutes=15)
    row = replace(judged("AAA"), last_session=MONDAY.date, close=D(60))
    rows = (row, *(replace(judged(one), last_session=MONDAY.date) for one in CON_IDS if one != "AAA"))
    world.hear(m.DataRefreshed, run_id="refresh@4", session=MONDAY.date, judged=rows)
    assert world.state.stop_levels[1].level == 57


@pytest.mark.parametrize(("new", "old"), [(2, 1), (5, 4), (1, 10)])
def test_it_is_sized_at_a_price_of_new_shares_at_once(new: int, old: int) -> None:
    """400 at 50 are what was wanted as 200 at 100."""
    world, stop = overnight(FIXED)
    world.targets(AAA="0.2")
    moves(world, stop, new, old)
    adopted(world)
    assert world.state.equity is not None and dict(world.state.equity.prices)["AAA"] == D(100) * old / new
    step = world.rebalance(session=MONDAY)
    assert not of_kind(step.effects, m.SubmitOrder) and not of_kind(step.facts, m.TradeRefused)


def test_a_history_that_is_ahead_and_shares_that_follow_it_are_enough() -> None:
    """The account's cost was never told anew: a difference, that only a person settles."""
    world, stop = overnight(TRAILING)
    refreshed(world, D("0.5"), D(2))
    world.end(stop.intent)
    world.status(stop.intent, "Cancelled")
    world.positions[1] = D(400)
    world.moved("AAA")
    world.now = MORNING + timedelta(minutes=1)
    world.reconcile(3)
    assert [one.cause for one in (world.state.quarantines[1], world.state.quarantines[1].beneath) if one] == [
        Cause.UNEXPLAINED,
        Cause.REBASED,
    ]
    steps = adopted(world)
    (split,) = of_kind(steps[0].facts, m.SplitBooked)
    assert (split.new, split.old, split.awaits_history) == (2, 1, False)
    assert split.proof == "position 200 -> 400, average cost 100 -> 100, history rebased by it; uid 1000: a letter"
    assert not world.state.quarantines
    assert {one.reason for one in of_kind(steps[0].facts, m.QuarantineLifted)} == {"uid 1000: a letter"}
    (placed,) = [order for step in steps for order in sent(step)]
    assert (placed.quantity, placed.stop_price) == (400, D("47.5"))


def test_a_history_rebased_by_a_dividend_beside_the_split_is_not_awaited() -> None:
    """2.03 for 2: not the split's proof, yet its closes are of new shares, and are not divided again."""
    world, stop = overnight(FIXED)
    refreshed(world, D("0.5"), D("2.03"))
    world.prices["AAA"] = D(50)
    world.targets(AAA="0.2")
    moves(world, stop, 2, 1)
    (split,) = of_kind(adopted(world)[0].facts, m.SplitBooked)
    assert (split.awaits_history, "history rebased with it" in split.proof) == (False, True)
    assert world.state.equity is not None and dict(world.state.equity.prices)["AAA"] == 50


def test_where_the_ratio_is_lost_the_level_is_made_anew() -> None:
    """Somebody bought 7 more, unheard: by what to divide nobody knows; what shares cost is told."""
    world, stop = overnight(FIXED)
    moves(world, stop, 2, 1)
    world.positions[1], world.costs[1] = D(407), D(50)
    world.moved("AAA")
    steps = adopted(world)
    assert not of_kind(steps[0].facts, m.SplitBooked) and "stop_set_anew" in alerts(steps[0])
    (gone,) = [one for one in of_kind(steps[0].facts, m.StopLevelSet) if one.level is None]
    assert gone.because == "it may be of shares that a split has replaced"
    assert gone.at == next(event.at for event, step in world.steps if step is steps[0])
    (alert,) = [one for one in of_kind(steps[0].effects, m.RaiseAlert) if one.key == "stop_set_anew"]
    assert alert.text == "AAA: its stop at 95.00 is set anew by what its shares cost now, see `status`"
    assert world.state.book[1].quantity == 407
    (placed,) = [order for step in steps for order in sent(step)]
    assert (placed.quantity, placed.stop_price) == (407, D("47.5"))


def test_others_shares_are_split_too() -> None:
    """As where the history proves it: 3 for 2 of 150 ours and 50 of theirs."""
    world = World.ready(AAA=50)
    world.finish(world.one(AAA="0.15"))
    world.costs[1] = D(100)
    world.reconcile()
    world.split("AAA", 3, 2, rebased=False)
    adopted(world)
    assert (world.state.held(1), world.state.outside[1][1]) == (225, 75)


def test_a_take_profit_waits_for_the_history() -> None:
    """Its distance may be in ranges of the shares of before."""
    world, stop = overnight(PAIR)
    (profit,) = [one for one in world.state.live_orders() if one.purpose is Purpose.PROFIT]
    world.acknowledge(profit.intent)
    moves(world, stop, 2, 1)
    world.end(profit.intent)
    world.status(profit.intent, "Cancelled")
    (stop,) = [order for step in adopted(world) for order in sent(step)]
    works(world, stop.intent)
    assert not [order for step in world.reconcile(2) for order in sent(step, Purpose.PROFIT)]
    steps = [refreshed(world, D("0.5"), D(2)), *world.reconcile(2)]
    assert [order.quantity for step in steps for order in sent(step, Purpose.PROFIT)] == [400]


def test_what_is_told_of_a_split_is_its_proof() -> None:
    """For the record, not an alarm; and why the history is awaited no more."""
    world, stop = overnight(TRAILING)
    refreshed(world, D("0.5"), D(2))
    steps = moves(world, stop, 2, 1)
    (alert,) = [one for step in steps for one in of_kind(step.effects, m.RaiseAlert) if one.key == "split_booked"]
    assert alert.severity == "info"
    assert alert.text == ("AAA was split 2/1: position 200 -> 400, average cost 100 -> 50, history rebased by 2")
    ended = [fact.reason for step in steps for fact in of_kind(step.facts, m.QuarantineLifted)]
    assert ended == ["the split is booked", "book and account agree"]


def test_others_shares_follow_a_history_too() -> None:
    """3 for 2 of 150 ours and 50 of theirs, by history and shares alone."""
    world = World.ready(AAA=50)
    world.finish(world.one(AAA="0.15"))
    world.reconcile()
    world.now = CLOSE + timedelta(minutes=15)
    world.snapshot()
    refreshed(world)
    world.now = MORNING - timedelta(hours=1)
    world.snapshot()
    refreshed(world, 1 / D("1.5"), D("1.5"))
    assert causes(world) == [Cause.REBASED]
    world.positions[1] = D(300)
    world.moved("AAA")
    world.now = MORNING + timedelta(minutes=1)
    world.reconcile(3)
    (split,) = of_kind(adopted(world)[0].facts, m.SplitBooked)
    assert (split.new, split.old) == (3, 2)
    assert (world.state.held(1), world.state.outside[1][1]) == (225, 75)


def test_of_a_history_that_nobody_waits_for_no_split_is_concluded() -> None:
    """A person said that none is coming; later the shares double at the cost of before: taken over, as they are."""
    world, _ = overnight(TRAILING)
    refreshed(world, D("0.5"), D(2))
    world.hear(m.ControlRequested, command="unquarantine", argument="AAA", by="uid 1000", reason="none is coming")
    world.positions[1] = D(400)
    world.moved("AAA")
    world.now = MORNING + timedelta(minutes=1)
    world.reconcile(3)
    assert causes(world) == [Cause.UNEXPLAINED]
    steps = adopted(world)
    assert not of_kind(steps[0].facts, m.SplitBooked)
    assert world.state.book[1].quantity == 400


def test_shares_that_differed_before_the_split_are_no_part_of_it() -> None:
    """Seven too many, then all doubled: what of that is ours nobody knows, and adopting takes it all."""
    world, stop = overnight(FIXED)
    world.positions[1] = D(207)
    world.moved("AAA")
    world.reconcile(3)
    world.now = MORNING - timedelta(minutes=30)
    world.end(stop.intent)
    world.status(stop.intent, "Cancelled")
    world.positions[1], world.costs[1] = D(414), D(50)
    world.moved("AAA")
    world.now = MORNING + timedelta(minutes=1)
    world.reconcile(3)
    steps = adopted(world)
    assert not of_kind(steps[0].facts, m.SplitBooked) and "stop_set_anew" in alerts(steps[0])
    assert (world.state.book[1].quantity, world.state.outside.get(1)) == (414, None)


def test_a_position_that_the_account_never_told_is_no_split() -> None:
    """Bought, and gone before the first reading: a person takes it as gone."""
    world = World.ready()
    world.finish(world.one(AAA="0.2"))
    world.positions.clear()
    world.reconcile(4)
    assert causes(world) == [Cause.UNEXPLAINED] and 1 not in world.state.moved
    assert not of_kind(adopted(world)[0].facts, m.SplitBooked)
    assert not world.state.held(1) and not world.state.quarantines


def test_a_journal_that_did_not_note_when_shares_moved_has_the_split_as_of_the_word() -> None:
    """Older ones."""
    world, stop = overnight(FIXED)
    moves(world, stop, 2, 1)
    world.state.moved[1] = replace(world.state.moved[1], at=None)
    (split,) = of_kind(adopted(world)[0].facts, m.SplitBooked)
    assert split.at == max(event.at for event, _ in world.steps if isinstance(event, m.ControlRequested))


def test_bars_are_of_shares_before_only_a_split_that_they_have_not_shown() -> None:
    """A proven one has its history; of bars whose session no calendar knows nothing says that they are later."""
    world, stop = overnight(TRAILING)
    refreshed(world, D("0.5"), D(2))
    moves(world, stop, 2, 1)
    assert world.state.splits[1] and not splits.awaits_history(world.state, 1, "AAA")
    world, _, _ = split_unseen(TRAILING)
    assert splits.awaits_history(world.state, 1, "AAA")
    world.state.judged["AAA"] = replace(world.state.judged["AAA"], last_session=None)
    assert splits.awaits_history(world.state, 1, "AAA")
